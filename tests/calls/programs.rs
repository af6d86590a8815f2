//! The commands as a user runs them: `demo`, `check`, `analyze`; and people's voices where they are at hand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::stage::{PROGRAM, folder};

/// What the summary says of each call; a promise to whoever reads it by program.
const FIELDS: [&str; 17] = [
    "added_latency_ms",
    "both_heard",
    "call",
    "decision",
    "duration_s",
    "faults",
    "gap_ms",
    "name",
    "onset_to_level_ms",
    "packets_lost",
    "peak_anger",
    "peak_emotion",
    "peak_level",
    "picture",
    "prompt_played",
    "reaction_ms",
    "rerouted",
];
/// Clips of each kind per speaker.
const CLIPS: usize = 6;
/// Sampling rate of the recordings, Hz.
const PEOPLE_HZ: u32 = 16_000;

#[test]
fn demo_says_what_happened() {
    let out = folder("demo");
    let output = run(&["demo", "--json", "--out", &out.display().to_string()]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = last_line(&output);
    let calls = summary["calls"].as_array().expect("calls");
    assert_eq!(calls.len(), 2);
    for call in calls {
        let fields: Vec<&str> = call.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(fields, FIELDS);
        assert!(Path::new(call["picture"].as_str().expect("a path")).exists());
    }
    assert_eq!((&calls[0]["name"], &calls[0]["rerouted"]), (&"calm".into(), &false.into()));
    assert_eq!((&calls[1]["name"], &calls[1]["rerouted"]), (&"angry".into(), &true.into()));
}

#[test]
fn check_names_what_is_wrong() {
    let file = folder("check").join("calmline.toml");
    std::fs::create_dir_all(folder("check")).expect("a folder");
    std::fs::write(&file, "[limits]\ncalls = 0\n").expect("a file");
    let output = run(&["check", &file.display().to_string()]);
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8_lossy(&output.stderr);
    for word in ["calmline.toml", "limits.calls", "0", "a whole number from 1 to 10000"] {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
}

#[test]
fn analyze_ends_with_a_summary() {
    let summary = analyze(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/audio/angry-caller.wav"));
    assert_eq!((&summary["summary"], &summary["peak_level"]), (&true.into(), &"high".into()), "{summary}");
}

#[test]
fn anger_of_people_stands_out_from_their_calm() {
    let Some(speakers) = people() else { return };
    std::fs::create_dir_all(folder("people")).expect("a folder");
    let (mut rises, mut stays, mut heard) = (0, 0, 0);
    for (speaker, clips) in &speakers {
        let (calm, angry) = (joined(&clips.calm), joined(&clips.angry));
        let changed = analyze(&save(&format!("{speaker}-changed"), &[calm.clone(), angry].concat()));
        let calm_only = analyze(&save(&format!("{speaker}-calm"), &calm));
        println!(
            "{speaker}: calm {} {}, then angry {} {} from {} ms (change at {} ms)",
            calm_only["peak_anger"],
            calm_only["peak_level"],
            changed["peak_anger"],
            changed["peak_level"],
            changed["first_high_ms"],
            calm.len() * 1_000 / PEOPLE_HZ as usize
        );
        heard += 1;
        rises += usize::from(changed["peak_level"] == "high");
        stays += usize::from(calm_only["peak_level"] != "high");
    }
    println!("{heard} speakers: {rises} reach high when angry, {stays} do not when calm");
    assert!(rises * 4 >= heard * 3 && stays * 4 >= heard * 3, "{rises} and {stays} of {heard}");
}

#[test]
fn a_recording_of_a_person_goes_through_the_demo() {
    let Some(speakers) = people() else { return };
    let (speaker, clips) = speakers.first_key_value().expect("a speaker");
    let file = save(&format!("{speaker}-demo"), &[joined(&clips.calm[..2]), joined(&clips.angry[..3])].concat());
    let out = folder("demo-person");
    let output = run(&["demo", "--json", "--call", &file.display().to_string(), "--out", &out.display().to_string()]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = last_line(&output);
    println!("{summary}");
    assert_eq!(summary["calls"][0]["packets_lost"], 0);
}

#[derive(Default)]
struct Clips {
    calm: Vec<PathBuf>,
    angry: Vec<PathBuf>,
}

/// Speakers with enough clips of both kinds; `None`, said aloud, when the recordings are not at hand.
fn people() -> Option<BTreeMap<String, Clips>> {
    let shared = std::env::var_os("CALMLINE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let data = shared.join("data/emodb4");
    let Ok(manifest) = std::fs::read_to_string(data.join("manifest.csv")) else {
        println!("skipped: no recordings of people in {}", data.display());
        return None;
    };
    let mut speakers: BTreeMap<String, Clips> = BTreeMap::new();
    for line in manifest.lines().skip(1) {
        let [file, label, speaker, ..] = line.split(',').collect::<Vec<_>>()[..] else { continue };
        let clips = speakers.entry(speaker.to_owned()).or_default();
        match label {
            "neutral" => clips.calm.push(data.join(file)),
            "angry" => clips.angry.push(data.join(file)),
            _ => {}
        }
    }
    speakers.retain(|_, clips| clips.calm.len() >= CLIPS && clips.angry.len() >= CLIPS);
    assert!(!speakers.is_empty(), "no speaker with {CLIPS} clips of each kind");
    Some(speakers)
}

/// The first clips one after the other, 0.3 s apart; 16 kHz.
fn joined(files: &[PathBuf]) -> Vec<i16> {
    let mut samples = Vec::new();
    for file in files.iter().take(CLIPS) {
        let mut reader = claxon::FlacReader::open(file).expect("a FLAC file");
        let info = reader.streaminfo();
        assert_eq!((info.sample_rate, info.channels, info.bits_per_sample), (PEOPLE_HZ, 1, 16), "{}", file.display());
        samples.extend(reader.samples().map(|sample| sample.expect("a sample") as i16));
        samples.extend([0; PEOPLE_HZ as usize * 3 / 10]);
    }
    samples
}

fn save(name: &str, samples: &[i16]) -> PathBuf {
    let path = folder("people").join(format!("{name}.wav"));
    std::fs::create_dir_all(folder("people")).expect("a folder");
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: PEOPLE_HZ,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(&path, spec).expect("a file");
    samples.iter().for_each(|&sample| writer.write_sample(sample).expect("disk space"));
    writer.finalize().expect("disk space");
    path
}

fn analyze(file: &Path) -> Value {
    let output = run(&["analyze", &file.display().to_string(), "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    last_line(&output)
}

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().expect("the program runs")
}

fn last_line(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default()).expect("JSON on the last line")
}
