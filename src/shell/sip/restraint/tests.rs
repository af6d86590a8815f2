//! What is kept back, in simulated time.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)), 5060);
const OTHER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)), 5070);

fn word(kept_back_percent: u8, validity_ms: u64, sequence: u64) -> Feedback {
    Feedback { kept_back_percent, validity: ms(validity_ms), sequence: Sequence(sequence) }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// How many of a hundred calls go out at `now`.
fn of_a_hundred(restraints: &mut Restraints, now: Duration) -> usize {
    (0..100).filter(|_| restraints.admit(now, SERVER).is_ok()).count()
}

#[test]
fn the_share_is_kept_back_while_the_word_holds() {
    let mut restraints = Restraints::default();
    assert_eq!(of_a_hundred(&mut restraints, ms(0)), 100);
    assert_eq!(restraints.hear(ms(1_000), SERVER, &word(30, 500, 1)), Some(30));
    assert_eq!((of_a_hundred(&mut restraints, ms(1_499)), restraints.active(ms(1_499))), (70, 1));
    assert_eq!(restraints.admit(ms(1_200), OTHER), Ok(()), "nobody else is spared");
    assert_eq!((of_a_hundred(&mut restraints, ms(1_500)), restraints.active(ms(1_500))), (100, 0));
    assert_eq!(restraints.hear(ms(2_000), SERVER, &word(100, 500, 2)), Some(100));
    assert_eq!(restraints.admit(ms(2_100), SERVER), Err(KeptBack::Share(ms(2_500))));
    assert_eq!(restraints.hear(ms(2_200), SERVER, &word(0, 0, 3)), Some(0), "it is over");
    assert_eq!(of_a_hundred(&mut restraints, ms(2_201)), 100);
}

#[test]
fn an_older_word_changes_nothing() {
    let mut restraints = Restraints::default();
    assert_eq!(restraints.hear(ms(0), SERVER, &word(100, 9_000, 7)), Some(100));
    for old in [word(0, 0, 6), word(20, 9_000, 7)] {
        assert_eq!(restraints.hear(ms(10), SERVER, &old), None);
        assert_eq!(of_a_hundred(&mut restraints, ms(20)), 0);
    }
    assert_eq!(restraints.hear(ms(30), SERVER, &word(100, 9_000, 8)), None, "the same share, for longer");
    assert_eq!(restraints.admit(ms(9_029), SERVER), Err(KeptBack::Share(ms(9_030))));
}

#[test]
fn a_closed_server_gets_no_calls_for_its_time_and_not_for_ever() {
    let mut restraints = Restraints::default();
    assert_eq!(restraints.close(ms(0), SERVER, ms(7_000)), ms(7_000));
    assert_eq!(restraints.admit(ms(6_999), SERVER), Err(KeptBack::Closed(ms(7_000))));
    assert_eq!(restraints.admit(ms(7_000), SERVER), Ok(()));
    assert_eq!(restraints.close(ms(8_000), SERVER, Duration::from_secs(86_400)), ASKED_FOR_MAX);
    assert_eq!(of_a_hundred(&mut restraints, ms(8_000) + ASKED_FOR_MAX - ms(1)), 0);
    assert_eq!(of_a_hundred(&mut restraints, ms(8_000) + ASKED_FOR_MAX), 100);
}

#[test]
fn who_never_asked_for_anything_is_not_remembered() {
    let mut restraints = Restraints::default();
    assert_eq!(restraints.hear(ms(0), SERVER, &word(0, 0, 1)), None);
    assert_eq!(restraints.0.len(), 0);
    for port in 1..=5_000 {
        restraints.hear(ms(0), SocketAddr::new(SERVER.ip(), port), &word(50, 500, 1));
    }
    assert!(restraints.0.len() <= SERVERS_MAX, "{}", restraints.0.len());
}

proptest! {
    /// Whatever comes in whatever order: the newest word alone decides, within one call of the exact share.
    #[test]
    fn the_newest_word_decides(words in prop::collection::vec((0_u8..=100, 0_u64..3_000, 0_u64..40), 1..60)) {
        let mut restraints = Restraints::default();
        let (mut newest, mut until, mut now) = (None, ms(0), ms(0));
        for (percent, validity, sequence) in words {
            now += ms(100);
            restraints.hear(now, SERVER, &word(percent, validity, sequence));
            let is_asked = newest.is_some() || validity > 0;
            if is_asked && newest.is_none_or(|(heard, _)| sequence > heard) {
                (newest, until) = (Some((sequence, percent)), now + ms(validity));
            }
            let share = newest.map_or(0, |(_, percent)| if now < until { usize::from(percent) } else { 0 });
            let passed = of_a_hundred(&mut restraints, now);
            prop_assert!((99 - share.min(99)..=101 - share).contains(&passed), "{passed} of {share}");
        }
    }
}
