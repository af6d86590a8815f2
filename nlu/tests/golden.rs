//! What the shipped voice model says of clips made by recipe, step by step, as it was written down: a model, a front end or a
//! smoothing that is exchanged shows here.
//!
//! Where it says something else, the failure shows all of it: look at the difference before it is written down.

mod runtime;

use std::fmt::Write as _;
use std::io::Cursor;

use nlu::{AcousticModel, Listener, ListenerSettings, Observation, PartyId, SoundModel, Source};
use runtime::runtime_or_skip;

const PARTY: PartyId = PartyId(7);
/// The fixtures are at 8 kHz: pieces as packets bring them.
const PIECE: usize = 160;
/// Of the observations, two a second, every so many are written down.
const EVERY: usize = 2;
/// Other processors round otherwise, and what is brought to 8 bits may fall to the other side.
const TOLERANCE: f32 = 0.04;

/// A clip, and what was said of it.
macro_rules! clip {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!("../../fixtures/audio/", $name, ".wav")).as_slice(),
            include_str!(concat!("voice/", $name, ".tsv")),
        )
    };
}

#[test]
fn clips_made_by_recipe_are_heard_as_before() {
    let Some(runtime) = runtime_or_skip("clips as before") else { return };
    for (name, recording, golden) in [clip!("calm-caller"), clip!("angry-caller"), clip!("agent"), clip!("bot")] {
        let numbers = AcousticModel::built_in(&runtime).expect("the model that comes with the program loads");
        let sound = SoundModel::built_in(&runtime).expect("so does what judges the sound");
        let heard = listen(Listener::new(Some(numbers.with_sound(sound)), ListenerSettings::default()), recording);
        assert!(heard.iter().all(|observation| observation.source == Source::Model), "{name}");
        check(name, golden, &heard);
    }
}

/// Every line as it is heard: where and at which level exactly, numbers within the tolerance.
#[track_caller]
fn check(clip: &str, golden: &str, heard: &[Observation]) {
    let text = written(heard);
    assert_eq!(golden.lines().count(), text.lines().count(), "{clip}:\n{text}");
    for (line, (before, said)) in golden.lines().zip(text.lines()).skip(1).enumerate() {
        let fields = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
        for (before, now) in fields(before).iter().zip(&fields(said)) {
            let is_same = match (before.parse::<f32>(), now.parse::<f32>()) {
                (Ok(before), Ok(now)) => (before - now).abs() <= TOLERANCE,
                _ => before == now,
            };
            assert!(is_same, "{clip}, line {}: found {now}, expected {before}; all of it:\n{text}", line + 2);
        }
    }
}

/// One line per second: position, level, anger after smoothing, and neutral, anger, joy and sadness before it.
fn written(heard: &[Observation]) -> String {
    let mut text = "position\tlevel\tanger\tneutral\tangry\tjoy\tsad\n".to_owned();
    for Observation { position, level, anger, probabilities: [neutral, angry, joy, sad], .. } in
        heard.iter().step_by(EVERY)
    {
        writeln!(text, "{position}\t{level:?}\t{anger:.3}\t{neutral:.3}\t{angry:.3}\t{joy:.3}\t{sad:.3}")
            .expect("texts grow");
    }
    text
}

fn listen(mut listener: Listener, recording: &[u8]) -> Vec<Observation> {
    let mut recording = hound::WavReader::new(Cursor::new(recording)).expect("a fixture");
    let samples = recording.samples::<i16>().map(|sample| f32::from(sample.expect("a sample")) / 32_768.0);
    let mut heard = Vec::new();
    listener.add(PARTY);
    for piece in samples.collect::<Vec<f32>>().chunks(PIECE) {
        listener.push(PARTY, piece);
        listener.run(&mut heard);
    }
    heard
}
