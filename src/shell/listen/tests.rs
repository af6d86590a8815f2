//! What the listening thread tells of a voice that goes through it in real time.

use std::io::Cursor;
use std::thread;

use media::dtmf::Tones;
use media::g711::{Law, encode_sample};
use media::wav::{self, Channel, RATE_HZ};
use media::{Codec, Command, StreamSettings, TapFrame};

use super::*;
use crate::judges::JudgeFiles;

const LEG: LegId = LegId(7);

#[test]
fn keys_in_the_audio_of_who_has_no_other_way() {
    let audio = [vec![0; 1_600], tone('4'), vec![0; 800], tone('#'), vec![0; 3_200]].concat();
    let keys = ['4', '#'].map(|letter| Heard::Key { leg: LEG, key: letter.try_into().expect("a key") });
    check(&audio, None, |heard| assert_eq!(heard, keys));
    // Who agreed on telephone-events says so when it presses a key.
    check(&audio, Some(101), |heard| assert_eq!(heard, []));
}

#[test]
fn a_voice_is_told_once_it_lasts() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/audio/calm-caller.wav");
    let bytes = std::fs::read(path).expect("a fixture");
    let voice = wav::read(Cursor::new(bytes), Channel::Mix).expect("a recording").to_sound().samples;
    let begin = voice.iter().position(|sample| sample.unsigned_abs() > 1_000).expect("somebody speaks");
    check(&voice[begin..begin + 12_000], Some(101), |heard| {
        let [Heard::Speech { leg: LEG, lasted }] = heard else { panic!("{heard:?}") };
        assert!((480..900).contains(&lasted.as_millis()), "{lasted:?}");
    });
}

/// Sends `audio` as PCMU, 20 ms at a time, and looks at what is told of it besides observations.
fn check(audio: &[i16], event_payload_type: Option<u8>, expected: impl FnOnce(&[Heard])) {
    let (tap, parties, clock) = (Arc::new(TapRing::new(64)), Arc::new(Parties::default()), Clock::start());
    let (heard, mut told) = mpsc::channel(256);
    let listening = Listening::start(ListenOptions {
        tap: Arc::clone(&tap),
        parties: Arc::clone(&parties),
        clock,
        bench: Arc::new(Bench::new(JudgeFiles::without_models())),
        chaos: None,
        baselines: Arc::new(Baselines::new().expect("random numbers")),
        on_restart: Box::new(|cause| panic!("the listening thread broke: {cause}")),
        barge_in: Duration::from_millis(480),
        words: Words { recognizing: None, utterances: Arc::default() },
        heard,
    });
    let listening = listening.expect("a thread");
    let settings = StreamSettings::plain(None, Codec::Pcmu, 0).with_events(event_payload_type);
    parties.observe(&Command::Configure { leg: LEG, settings });
    parties.observe(&Command::Tap { leg: LEG, on: true });
    thread::sleep(Duration::from_millis(100));

    for (number, samples) in (0_u16..).zip(audio.chunks(160)) {
        let mut packet = vec![0x80, 0];
        packet.extend(number.to_be_bytes());
        packet.extend((u32::from(number) * 160).to_be_bytes());
        packet.extend([1, 2, 3, 4]);
        packet.extend(samples.iter().map(|&sample| encode_sample(Law::Mu, sample)));
        tap.push(TapFrame::new(LEG, clock.now(), Some(Codec::Pcmu), &packet).expect("a short packet"));
        thread::sleep(Duration::from_millis(20));
    }
    thread::sleep(Duration::from_millis(500));
    listening.stop();
    let is_moment = |heard: &Heard| !matches!(heard, Heard::Observation(_) | Heard::Began { .. });
    let moments = std::iter::from_fn(|| told.try_recv().ok()).filter(is_moment);
    expected(&moments.collect::<Vec<_>>());
}

/// 120 ms of a key.
fn tone(letter: char) -> Vec<i16> {
    let mut samples = vec![0; 960];
    Tones::new(letter.try_into().expect("a key"), 120, RATE_HZ).next_frame(&mut samples);
    samples
}
