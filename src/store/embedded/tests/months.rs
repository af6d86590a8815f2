//! A month of calls, added up: `CALMLINE_REPORT_CALLS=1000000` for as many as a large call centre has.

use std::time::Instant;

use super::*;
use crate::report::Report;
use crate::settings::Zone;

/// Calls when nobody says how many.
const CALLS: u64 = 3_000;
/// Calls written together.
const TOGETHER: u64 = 1_000;
const DAYS: u64 = 30;

#[test]
fn a_month_of_calls_is_added_up() {
    let wanted: Option<u64> = std::env::var("CALMLINE_REPORT_CALLS").ok().and_then(|calls| calls.parse().ok());
    // A database has as many only when nobody asks for more.
    for place in Place::each().iter().filter(|place| wanted.is_none() || place.database.is_none()) {
        check(place, wanted.unwrap_or(CALLS));
    }
}

#[expect(clippy::print_stderr, reason = "whoever asks for a million wants to know how long it took")]
fn check(place: &Place, calls: u64) {
    let store = place.open();
    let zone = Zone::named("Asia/Shanghai").expect("a zone");
    let first: jiff::civil::Date = "2026-11-01".parse().expect("a day");
    let (Moment(begin), _) = zone.day(first).expect("a year that is known");
    let began = Instant::now();
    for from in (0..calls).step_by(TOGETHER as usize) {
        let numbers = from..(from + TOGETHER).min(calls);
        write(&store, numbers.map(|number| (number, begin + number * DAYS * 86_400_000 / calls)));
    }
    store.slots().sync().expect("written");
    let written = began.elapsed();
    let store = place.open_again(store);
    let began = Instant::now();
    let mut month: Option<Report> = None;
    for day in first.series(jiff::ToSpan::day(1)).take(DAYS as usize) {
        let (from, before) = zone.day(day).expect("a year that is known");
        let mut report = Report::of_day(&day.to_string(), zone.name());
        store.facts(from, before, &mut |started, facts| report.add(zone.hour(started), facts)).expect("readable");
        match &mut month {
            Some(month) => month.merge(&report),
            None => month = Some(report),
        }
    }
    let month = month.expect("days");
    let added_up = began.elapsed();
    assert_eq!((month.total.calls, month.by_day.len()), (calls, DAYS as usize));
    assert_eq!(month.total.high, calls.div_ceil(5));
    eprintln!("{calls} calls of a month: written in {written:.1?}, added up in {added_up:.1?}");
}

/// Writes what reports and lists need of calls that have ended.
fn write(store: &Embedded, calls: impl Iterator<Item = (u64, u64)>) {
    let (mut facts, mut lines) = (Batch::default(), Batch::default());
    for (number, started) in calls {
        let place = place_of(started, &store.keys.blind(&number.to_be_bytes()));
        let keys = store.fresh_keys(None).expect("random numbers");
        let plain = serde_json::to_vec(&facts_of(number)).expect("strings and numbers");
        let seal =
            |context: &[u8], plain: &[u8]| keys.seal(&store.keys, Class::Record, context, plain).expect("sealed");
        facts.insert(place, seal(&facts_context(&place), &plain));
        lines.insert(place, seal(&place, b"{}"));
    }
    store.facts.apply(facts).expect("written");
    store.calls.apply(lines).expect("written");
}

fn facts_of(number: u64) -> CallFacts {
    let is_high = number.is_multiple_of(5);
    CallFacts {
        route: format!("route {}", number % 20),
        scenario: "after-sales".to_owned(),
        channel: Some("phone".to_owned()),
        target: Some(format!("queue {}", number % 50)),
        answered: true,
        setup_ms: Some(400 + number % 3_000),
        talk_ms: 180_000,
        level: if is_high { "high" } else { "low" }.to_owned(),
        reaction_ms: is_high.then_some(900),
        rules: ["angry-to-human".to_owned()].into(),
        said: ["refund".to_owned(), "complaint".to_owned()].into(),
        anger_tenth: Some((number % 10) as u8),
        emotion: Some("neutral".to_owned()),
        ..CallFacts::default()
    }
}
