//! Sounds that play into a leg, judged by numbers and by spectrum.

use super::*;

const PROMPT_HZ: f32 = 500.0;
const BOT_HZ: f32 = 1_000.0;

#[test]
fn replace_is_one_continuous_stream() {
    let mut world = World::new();
    let mut bot = talking_bot();
    world.speak(BOT, &mut bot, 10);
    world.play(CALLER, 1, tone(PROMPT_HZ, 8_000.0, 1_600), PlayMode::Replace);
    world.speak(BOT, &mut bot, 10);
    world.pass(ms(5));
    world.speak(BOT, &mut bot, 10);

    let numbers = world.numbers(CALLER);
    assert_eq!(numbers.len(), 30);
    assert_one_stream(&numbers);
    let sound = world.sound(CALLER, Codec::Pcmu);
    check_levels(&sound[..1_600], 0.0, 4_000.0);
    check_levels(&sound[1_600..3_200], 8_000.0, 0.0);
    check_levels(&sound[3_200..], 0.0, 4_000.0);
    assert_eq!(prompt_events(&world), ["started 1", "ended 1 true"]);
}

#[test]
fn duck_mixes_the_other_side_quieter() {
    let mut world = World::new();
    let mut bot = talking_bot();
    world.speak(BOT, &mut bot, 10);
    world.play(CALLER, 1, tone(PROMPT_HZ, 8_000.0, 8_000), PlayMode::Duck { attenuation_db: 12 });
    world.speak(BOT, &mut bot, 60);

    assert_one_stream(&world.numbers(CALLER));
    let sound = world.sound(CALLER, Codec::Pcmu);
    // Away from the edges: the other side is held for a moment at the beginning.
    check_levels(&sound[3_200..8_000], 8_000.0, 4_000.0 * 0.251);
    check_levels(&sound[sound.len() - 1_600..], 0.0, 4_000.0);
}

#[test]
fn duck_over_a_silent_side_plays_alone() {
    let mut world = World::new();
    world.play(CALLER, 1, tone(PROMPT_HZ, 8_000.0, 1_600), PlayMode::Duck { attenuation_db: 12 });
    world.pass(ms(300));
    assert_eq!(world.numbers(CALLER).len(), 10);
    check_levels(&world.sound(CALLER, Codec::Pcmu), 8_000.0, 0.0);
}

#[test]
fn duck_transcodes_to_the_hearers_law() {
    let caller = StreamSettings { ptime_ms: 30, ..settings_of(CALLER, Codec::Pcma, 8) };
    let mut world = World::with(caller, settings(BOT));
    let mut bot = talking_bot();
    world.play(CALLER, 1, tone(PROMPT_HZ, 8_000.0, 9_600), PlayMode::Duck { attenuation_db: 6 });
    world.speak(BOT, &mut bot, 59);
    let sound = world.sound(CALLER, Codec::Pcma);
    check_levels(&sound[1_600..8_000], 8_000.0, 4_000.0 * 0.501);
    assert!(world.heard_by(CALLER).iter().all(|heard| heard.header.payload_type == 8 && heard.payload.len() == 240));
}

#[test]
fn packet_times_are_honoured() {
    for ptime_ms in [10_u8, 20, 30, 40, 60] {
        let mut world = World::with(StreamSettings { ptime_ms, ..settings(CALLER) }, settings(BOT));
        let start = world.now;
        world.play(CALLER, 1, vec![0; 8 * 240], PlayMode::Replace);
        world.pass(ms(300));
        let heard = world.heard_by(CALLER);
        assert_eq!(heard.len(), 240 / usize::from(ptime_ms));
        for (n, packet) in heard.iter().enumerate() {
            assert_eq!(packet.payload.len(), 8 * usize::from(ptime_ms));
            assert_eq!(packet.at - start, ms(n as u64 * u64::from(ptime_ms)));
        }
    }
}

#[test]
fn the_other_direction_is_not_touched() {
    let mut world = World::new();
    let mut caller = Phone::new(11);
    world.play(CALLER, 1, tone(PROMPT_HZ, 8_000.0, 1_600), PlayMode::Replace);
    world.speak(CALLER, &mut caller, 10);
    assert_eq!(world.numbers(BOT).len(), 10);
}

#[test]
fn a_late_tick_catches_up_a_little() {
    let mut world = World::new();
    world.play(CALLER, 1, vec![0; 8_000], PlayMode::Replace);
    world.pass(ms(30));
    assert_eq!(world.numbers(CALLER).len(), 2);
    world.stall(ms(50));
    assert_eq!(world.numbers(CALLER).len(), 5, "three were due");
    world.stall(ms(400));
    assert_eq!(world.numbers(CALLER).len(), 8, "never more than three");
    world.pass(ms(2_000));
    assert_one_stream(&world.numbers(CALLER));
    assert_eq!(world.numbers(CALLER).len(), 50, "all of it, later");
    assert_eq!(prompt_events(&world), ["started 1", "ended 1 true"]);
}

#[test]
fn a_sound_can_be_cut_short() {
    let mut world = World::new();
    world.play(CALLER, 1, vec![0; 8_000], PlayMode::Replace);
    world.pass(ms(50));
    world.play(CALLER, 2, vec![0; 8_000], PlayMode::Duck { attenuation_db: 10 });
    world.pass(ms(45));
    world.order(Command::StopPlay { leg: CALLER });
    world.order(Command::StopPlay { leg: CALLER });
    world.pass(ms(50));
    assert_eq!(prompt_events(&world), ["started 1", "ended 1 false", "started 2", "ended 2 false"]);
    let expected: Vec<(u16, u32)> = (0..5).map(|n| (n, u32::from(n) * 160)).collect();
    assert_eq!(world.numbers(CALLER), expected);
}

#[test]
fn a_leg_that_may_not_hear_gets_nothing() {
    let mut world = World::with(StreamSettings { direction: Direction::RecvOnly, ..settings(CALLER) }, settings(BOT));
    world.play(CALLER, 1, vec![0; 800], PlayMode::Replace);
    world.play(AGENT, 2, vec![0; 800], PlayMode::Replace);
    world.play(LegId(77), 3, vec![0; 800], PlayMode::Replace);
    world.pass(ms(200));
    assert_eq!(world.heard.len(), 0);
    assert_eq!(prompt_events(&world), ["ended 2 false", "ended 3 false", "ended 1 false"]);
}

#[test]
fn closing_ends_the_sound() {
    let mut world = World::new();
    world.play(CALLER, 1, vec![0; 8_000], PlayMode::Replace);
    world.pass(ms(10));
    world.order(Command::Close { leg: CALLER });
    assert_eq!(prompt_events(&world), ["started 1", "ended 1 false"]);
    world.pass(ms(100));
    assert_eq!(world.heard.iter().filter(|heard| heard.leg == BOT).count(), 0);
}

/// A bot that says a tone without end.
fn talking_bot() -> Phone {
    let wave = tone(BOT_HZ, 4_000.0, 160);
    let mut octets = Vec::new();
    crate::g711::encode(crate::g711::Law::Mu, &wave, &mut octets);
    Phone::saying(22, move || octets.clone())
}

/// Amplitudes at the prompt's and the bot's frequency, within a tenth or 60.
#[track_caller]
fn check_levels(signal: &[i16], prompt: f32, bot: f32) {
    for (hz, expected) in [(PROMPT_HZ, prompt), (BOT_HZ, bot)] {
        let got = level(signal, hz);
        assert!((got - expected).abs() < (expected * 0.1).max(60.0), "{hz} Hz: {got} instead of {expected}");
    }
}

#[track_caller]
pub(super) fn assert_one_stream(numbers: &[(u16, u32)]) {
    for pair in numbers.windows(2) {
        assert_eq!(pair[1].0.wrapping_sub(pair[0].0), 1, "sequence: {pair:?}");
        let step = pair[1].1.wrapping_sub(pair[0].1) as i32;
        assert!(step >= 160, "timestamp: {pair:?}");
    }
}

fn prompt_events(world: &World) -> Vec<String> {
    world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::PlayStarted { prompt, .. } => Some(format!("started {}", prompt.0)),
            Event::PlayEnded { prompt, completed, .. } => Some(format!("ended {} {completed}", prompt.0)),
            _ => None,
        })
        .collect()
}
