//! Whatever phones and call control do, each phone receives one well-formed stream.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    Speak { leg: usize, lost: u8 },
    Swap { leg: usize },
    NewSource { leg: usize, sequence: u16, timestamp: u32 },
    ClockJump { leg: usize, samples: u32 },
    Bridge { other: usize },
    Play { leg: usize, samples: usize, duck: bool },
    Stop { leg: usize },
    Hold { leg: usize, held: bool },
    Pass { span_ms: u64 },
    Stall { span_ms: u64 },
}

const LEGS: [LegId; 3] = [CALLER, BOT, AGENT];

fn step() -> impl Strategy<Value = Step> {
    let leg = 0..LEGS.len();
    prop_oneof![
        12 => (leg.clone(), 0_u8..6).prop_map(|(leg, lost)| Step::Speak { leg, lost: lost.saturating_sub(3) }),
        2 => leg.clone().prop_map(|leg| Step::Swap { leg }),
        1 => (leg.clone(), any::<u16>(), any::<u32>())
            .prop_map(|(leg, sequence, timestamp)| Step::NewSource { leg, sequence, timestamp }),
        1 => (leg.clone(), any::<u32>()).prop_map(|(leg, samples)| Step::ClockJump { leg, samples }),
        1 => (1..LEGS.len()).prop_map(|other| Step::Bridge { other }),
        2 => (leg.clone(), 0_usize..2_000, any::<bool>())
            .prop_map(|(leg, samples, duck)| Step::Play { leg, samples, duck }),
        1 => leg.clone().prop_map(|leg| Step::Stop { leg }),
        1 => (leg, any::<bool>()).prop_map(|(leg, held)| Step::Hold { leg, held }),
        8 => (0_u64..45).prop_map(|span_ms| Step::Pass { span_ms }),
        1 => (0_u64..3_000).prop_map(|span_ms| Step::Stall { span_ms }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_phone_receives_one_stream(steps in proptest::collection::vec(step(), 1..200)) {
        let mut world = World::new();
        let mut phones: Vec<Phone> = (0..LEGS.len() as u32).map(Phone::new).collect();
        for step in steps {
            take(&mut world, &mut phones, &step);
        }

        for leg in LEGS {
            let heard = world.heard_by(leg);
            let ssrcs: BTreeSet<Ssrc> = heard.iter().map(|heard| heard.header.ssrc).collect();
            prop_assert!(ssrcs.len() <= 1);

            // Widened from the first packet on: scripts are far shorter than a cycle.
            let mut numbers: Vec<(i32, i64)> = world.numbers(leg).iter()
                .map(|&(sequence, timestamp)| (i32::from(sequence as i16), i64::from(timestamp)))
                .collect();
            let count = numbers.len();
            numbers.sort_unstable();
            numbers.dedup_by_key(|&mut (sequence, _)| sequence);
            prop_assert_eq!(numbers.len(), count, "a sequence number was used twice");
            prop_assert!(numbers.windows(2).all(|pair| pair[0].1 <= pair[1].1), "time ran backwards: {:?}", numbers);
        }
    }

    #[test]
    fn any_octets_are_survived(datagrams in proptest::collection::vec(
        (any::<bool>(), proptest::collection::vec(any::<u8>(), 0..200)), 0..50)) {
        let mut world = World::new();
        world.order(Command::Tap { leg: BOT, on: true });
        for (plausible, mut bytes) in datagrams {
            if plausible && bytes.len() > 1 {
                bytes[0] = 0x80 | bytes[0] & 0x3f;
                bytes[1] &= 0x80;
            }
            world.packet(BOT, bytes);
            world.pass(ms(7));
        }
    }
}

fn take(world: &mut World, phones: &mut [Phone], step: &Step) {
    match *step {
        Step::Speak { leg, lost } => {
            (0..lost).for_each(|_| phones[leg].skip(160));
            let bytes = phones[leg].next();
            world.packet(LEGS[leg], bytes);
        }
        Step::Swap { leg } => {
            let (first, second) = (phones[leg].next(), phones[leg].next());
            world.packet(LEGS[leg], second);
            world.packet(LEGS[leg], first);
        }
        Step::NewSource { leg, sequence, timestamp } => {
            let stamp = &mut phones[leg].stamp;
            stamp.ssrc = Ssrc(stamp.ssrc.0 + 100);
            (stamp.sequence, stamp.timestamp) = (sequence, timestamp);
        }
        Step::ClockJump { leg, samples } => phones[leg].skip(samples),
        Step::Bridge { other } => world.order(Command::Bridge { a: CALLER, b: LEGS[other] }),
        Step::Play { leg, samples, duck } => {
            let mode = if duck { PlayMode::Duck { attenuation_db: 12 } } else { PlayMode::Replace };
            world.play(LEGS[leg], 1, vec![5_000; samples], mode);
        }
        Step::Stop { leg } => world.order(Command::StopPlay { leg: LEGS[leg] }),
        Step::Hold { leg, held } => {
            let direction = if held { Direction::Inactive } else { Direction::SendRecv };
            let settings = StreamSettings { direction, ..settings(LEGS[leg]) };
            world.order(Command::Configure { leg: LEGS[leg], settings });
        }
        Step::Pass { span_ms } => world.pass(ms(span_ms)),
        Step::Stall { span_ms } => world.stall(ms(span_ms)),
    }
}
