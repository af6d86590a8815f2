//! Scenarios of an overload that lasts: which running calls are led past us, which never, and how they come back.

use super::bypass::LED;
use super::script::{TALKING, check, told};

/// A second of measuring until the load is too high, and two more until running calls are led past us.
const OVERLOADED: &str = "
    > measure cpu_percent 99 for 2
    load overloaded after normal by cpu_percent 99
    > measure cpu_percent 99 for 2
";

/// Both come back, ten seconds after the load has become normal.
const BACK: &str = "
    > measure cpu_percent 1 for 6
    load normal after overloaded
    > measure cpu_percent 1 for 10
    renew caller
    reinvite caller [0 101 sendrecv]
    renew bot
    reinvite bot [0 101 sendrecv]
    > caller agrees 200 0
    configure caller Pcmu/0 SendRecv
    > bot agrees 200 0
    configure bot Pcmu/0 SendRecv
    bypass ended after 500: the overload is over
";

#[test]
fn a_calm_call_is_led_past_us_and_taken_back_when_the_load_has_been_normal_for_long() {
    check(&format!(
        "{TALKING}{OVERLOADED}{LED}
        bypassed by overload after 500
        > measure cpu_percent 99 for 5
        {BACK}
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 25000 peak low lost 6"
    ));
}

#[test]
fn a_side_that_refuses_is_not_asked_again_in_that_overload() {
    check(&format!(
        "{TALKING}{OVERLOADED}
        reinvite caller [0 sendrecv at 198.51.100.7:4000]
        > caller agrees 488
        bypass failed: the caller has not agreed: 488
        > measure cpu_percent 99 for 5
        > measure cpu_percent 1 for 16
        load normal after overloaded
        {OVERLOADED}
        reinvite caller [0 sendrecv at 198.51.100.7:4000]
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 29000 peak low lost 6"
    ));
}

#[test]
fn what_needs_us_stays_with_us() {
    for before in [
        "> order audio",
        "> order supervise floor listen",
        "> bot reinvites 8 sendrecv",
        "> bot reinvites 0 inactive",
        "> drain",
        // What an operator has led past us is the operator's to bring back.
        "> order bypass\n> caller agrees 200 0\n> bot agrees 200 0\n> measure cpu_percent 99 for 2",
    ] {
        let before = format!("{TALKING}{before}");
        let lines_before = told(&before).len();
        let lines = told(&format!("{before}\n{OVERLOADED}> measure cpu_percent 99 for 5"));
        let about_audio = |line: &&String| line.contains("reinvite") || line.contains("bypass");
        assert_eq!(lines[lines_before..].iter().find(about_audio), None, "{before}");
    }
}

#[test]
fn calm_ones_go_first_and_long_ones_before_young_ones() {
    let calls: String = (1..=3)
        .map(|number| {
            let number = if number == 1 { String::new() } else { number.to_string() };
            format!("> invite\n> bot{number} answers 0\n> caller{number} acks\n> wait 1\n")
        })
        .collect();
    let overload = "> measure cpu_percent 99 for 7";
    assert_eq!(asked(&format!("{calls}{overload}")), ["caller", "caller2", "caller3"], "all are calm");
    assert_eq!(asked(&format!("{calls}> caller is cross\n{overload}")), ["caller2", "caller3", "caller"]);
    let was_angry = "> caller2 is angry\n> human fails 486 Busy\n> prompt ends\n";
    assert_eq!(asked(&format!("{calls}{was_angry}{overload}")), ["caller", "caller3"], "whoever is angry stays");
}

/// Which callers are told to send past us, in order.
fn asked(scenario: &str) -> Vec<String> {
    let past_us = |line: &String| {
        let (name, offer) = line.strip_prefix("reinvite ")?.split_once(' ')?;
        offer.contains(" at ").then(|| name.to_owned())
    };
    told(scenario).iter().filter_map(past_us).collect()
}
