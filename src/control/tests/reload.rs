//! Scenarios of a configuration that changes while calls run: they go on as they began, new ones go by the new one.
//!
//! After `> reload` the route `sales` leads to another target, its policy has another version and other rules, nobody is
//! called `bot` or `human` any more, and no prompt is known.

use std::time::Duration;

use super::reroute::ANGRY;
use super::script::{TALKING, check};
use super::sim::{Sim, settings};
use crate::control::{ControlSettings, Sounds};

/// The other configuration.
pub(super) fn reload(sim: &mut Sim) {
    let mut settings = settings();
    settings.limits.calls = 2;
    settings.limits.call = Duration::from_secs(60);
    settings.supervision.per_call = 0;
    settings.targets.retain(|name, _| !["bot", "human"].contains(&name.as_str()));
    settings.routes.0.retain(|route| ["sales", "help"].contains(&route.name.as_str()));
    for route in &mut settings.routes.0 {
        route.targets = vec!["spare".to_owned()];
    }
    let policy = routing::Policy::parse(AFTER_SALES_2).expect("the test's policy is valid");
    sim.control.reload(ControlSettings { pbxes: [].into(), ..settings }, vec![policy], Sounds::default());
}

const AFTER_SALES_2: &str = r#"
name = "after-sales"
version = 2
scenarios = ["after-sales"]
[[rule]]
id = "note"
when = { emotion = "anger", level = "high" }
then = [{ alert = "info", text = "angry" }]
"#;

/// A caller who is connected after the reload.
const NEW_CALL: &str = "
    > invite
    open caller
    started sales after-sales
    open spare
    invite spare [0 8 101 sendrecv]
    > spare answers 0
    configure spare Pcmu/0 SendRecv
    configure caller Pcmu/0 SendRecv
    bridge caller spare
    answer [0 101 sendrecv]
    tap caller on
    answered spare
    > caller acks
";

#[test]
fn a_running_call_keeps_its_policy_prompts_and_targets() {
    check(&format!(
        "{TALKING}
        > reload
        {ANGRY}
        > wait 0.02
        > prompt starts
        prompt sorry.wav started after 20
        > human rings 180
        > wait 1.98
        > human answers 0 101
        configure human Pcmu/0 SendRecv
        stop caller
        bridge caller human
        bye bot
        close bot
        prompt sorry.wav ended false
        > wait 0.03
        > caller hears human
        rerouted bridge human after 2000 gap Some(30)
        > wait 100
        > caller byes
        close caller
        bye human
        close human
        ended: BYE received; talk 102030 peak high lost 9"
    ));
}

#[test]
fn a_call_that_still_rings_keeps_them_too() {
    check(&format!(
        "
        > invite
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > reload
        > bot answers 0
        configure bot Pcmu/0 SendRecv
        configure caller Pcmu/0 SendRecv
        bridge caller bot
        answer [0 101 sendrecv]
        tap caller on
        answered bot
        > caller acks
        {ANGRY}
        > caller byes
        close caller
        bye bot
        close bot
        prompt sorry.wav failed: the call ended first
        cancel human
        close human
        ended: BYE received; talk 0 peak high lost 9"
    ));
}

#[test]
fn a_new_call_goes_the_new_way() {
    check(&format!(
        "
        > reload
        {NEW_CALL}
        > caller is angry
        observed caller anger high
        decided note after-sales@2
        alert info
        > order supervise floor listen
        denied Conflict: the call has as many supervisors as it may have: 0
        > wait 59
        > caller byes
        close caller
        bye spare
        close spare
        ended: BYE received; talk 59000 peak high lost 6"
    ));
}

#[test]
fn limits_count_for_all_calls_at_once() {
    check(&format!(
        "{TALKING}
        > reload
        > invite to=money
        reject 404 Not Found
        refused 404 Not Found
        > invite to=help
        open caller3
        started help service
        open spare
        invite spare [0 8 101 sendrecv]
        > invite to=help
        reject 503 Call limit reached Retry-After: 5
        refused 503 Call limit reached
        > spare fails 404 Not Found
        close spare
        reject 404 Not Found
        close caller3
        ended: Not Found; talk 0 peak low lost 6
        > wait 100
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 100000 peak low lost 6"
    ));
}
