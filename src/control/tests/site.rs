//! Groups of calls that turn sour: by scenario, and by what facts say by which calls are compared.

use media::LegId;
use routing::Fact;

use super::script::observation;
use super::sim::{Sim, settings};
use crate::control::{ChatOpening, Command, Done, Input, Order};
use crate::notice::What;

#[test]
fn a_region_that_turns_sour_is_told_once() {
    let mut sim = Sim::new(settings());
    let mut told = Vec::new();
    // Calm and cross in turn in the south; in the north first calm, and then cross.
    for number in 0..80 {
        let (region, cross) = if number % 2 == 0 { ("south", number % 4 == 0) } else { ("north", number > 40) };
        told.extend(chat(&mut sim, region, if cross { "cross" } else { "calm" }));
    }
    let turned = |what: &What| match what {
        What::GroupTurned(turn) => Some(format!("{} {} {}", turn.by, turn.group, turn.after > turn.before)),
        _ => None,
    };
    assert_eq!(told.iter().filter_map(turned).collect::<Vec<_>>(), ["customer.region north true"]);
    sim.assert_clean();
}

/// One chat of a customer from a region, with one mood; what was told.
fn chat(sim: &mut Sim, region: &str, mood: &str) -> Vec<What> {
    let opening = ChatOpening {
        channel: "app".to_owned(),
        name: None,
        customer: String::new(),
        language: None,
        route: Some("sales".to_owned()),
        details: Vec::new(),
    };
    let (opened, out) = sim.order(Order::OpenChat(Box::new(opening)));
    let Ok(Done::Opened { call, .. }) = opened else { panic!("{opened:?}") };
    let customer = |command: &Command| match command {
        Command::Attend { leg, on: true } => Some(*leg),
        _ => None,
    };
    let customer: LegId = out.iter().find_map(customer).expect("the customer is read");
    let facts = vec![
        ("customer.region".to_owned(), Some(Fact::Text(region.to_owned()))),
        ("customer.tier".to_owned(), Some(Fact::Text("gold".to_owned()))),
    ];
    let (known, _) = sim.order(Order::TellFacts { call: call.clone(), facts, by: None });
    assert_eq!(known, Ok(Done::Accepted));
    sim.tell(Input::Heard(Box::new(observation(customer, mood))));
    let (_, out) = sim.order(Order::EndChat { call, reason: "solved".to_owned() });
    out.into_iter()
        .filter_map(|command| match command {
            Command::Notice(notice) => Some(notice.what),
            _ => None,
        })
        .collect()
}
