//! The committed speech is what its README says: its format, and that listening hears the callers as meant.
//!
//! By signal processing alone, so that it holds on machines without the model's library.

use std::path::{Path, PathBuf};

use nlu::{Level, Listener, ListenerSettings, Observation, PartyId};

/// Seconds from which the angry caller is angry.
const ANGRY_FROM_S: f64 = 15.8;
const BYTES_MAX: u64 = 500_000;

#[test]
fn every_file_is_8_khz_mono_16_bit_and_small() {
    let folders = ["fixtures/audio", "config/prompts"].map(|folder| root().join(folder));
    let entries = folders.iter().flat_map(|folder| folder.read_dir().expect("the folder is committed"));
    let files: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    assert!(files.len() >= 8, "{files:?}");
    for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "wav")) {
        let spec = hound::WavReader::open(file).expect("a WAV file").spec();
        assert_eq!((spec.sample_rate, spec.channels, spec.bits_per_sample), (8_000, 1, 16), "{}", file.display());
        assert!(file.metadata().expect("readable").len() < BYTES_MAX, "{}", file.display());
    }
}

#[test]
fn the_calm_caller_stays_calm() {
    let steps = heard("calm-caller.wav");
    assert!(steps.len() > 15, "{} steps", steps.len());
    assert!(steps.iter().all(|step| step.level == Level::Low), "{steps:#?}");
}

#[test]
fn the_angry_caller_is_heard_getting_angry() {
    let steps = heard("angry-caller.wav");
    let (calm, angry): (Vec<&Observation>, Vec<&Observation>) =
        steps.iter().partition(|step| seconds(step) < ANGRY_FROM_S);
    assert!(calm.iter().all(|step| step.level == Level::Low), "{calm:#?}");
    let first_high = angry.iter().find(|step| step.level == Level::High).map(|step| seconds(step));
    assert!(first_high.is_some_and(|at| at < ANGRY_FROM_S + 3.0), "high at {first_high:?} s");
}

/// The emotion timeline of one file.
fn heard(name: &str) -> Vec<Observation> {
    let mut reader = hound::WavReader::open(root().join("fixtures/audio").join(name)).expect("a WAV file");
    let samples: Vec<f32> = reader.samples::<i16>().map(|s| f32::from(s.expect("a sample")) / 32_768.0).collect();
    let mut listener = Listener::new(None, ListenerSettings::default());
    let mut steps = Vec::new();
    listener.add(PartyId(1));
    for packet in samples.chunks(160) {
        listener.push(PartyId(1), packet);
        listener.run(&mut steps);
    }
    steps
}

fn seconds(step: &Observation) -> f64 {
    step.position as f64 / 8_000.0
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
