//! Real speech through the key detector: how often it takes a voice for a key. Needs the shared folder, else says
//! "skipped".
#![expect(clippy::disallowed_methods, reason = "this test reads files")]

use std::io::Cursor;
use std::path::{Path, PathBuf};

use media::dtmf::{Detector, Press};
use media::wav::{self, Channel};

/// False keys in an hour of speech without pause; the measured figure is printed.
const PER_HOUR_MAX: f64 = 2.0;
const FOLDERS: [&str; 5] = ["calls_8k", "vad", "speech_en_misc", "speech_zh_misc", "speech_en_by_mandarin_speakers"];

#[test]
#[expect(clippy::print_stderr, reason = "a figure and a skipped test have to be seen")]
fn voices_are_no_keys() {
    let mut samples = 0_usize;
    let mut false_keys = Vec::new();
    for file in FOLDERS.into_iter().flat_map(files) {
        let Some(sound) = read(&file) else { continue };
        samples += sound.len();
        let mut out = Vec::new();
        Detector::new().handle(&sound, &mut out);
        let downs = out.iter().filter(|press| matches!(press, Press::Down(_)));
        false_keys.extend(downs.map(|press| format!("{press:?} in {}", file.display())));
    }
    if samples == 0 {
        eprintln!("skipped: no speech under {}", shared().display());
        return;
    }

    let hours = samples as f64 / 8_000.0 / 3_600.0;
    let per_hour = false_keys.len() as f64 / hours;
    eprintln!("{} false keys in {hours:.2} hours of speech, {per_hour:.2} per hour", false_keys.len());
    assert!(per_hour <= PER_HOUR_MAX, "{false_keys:#?}");
}

fn shared() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    std::env::var_os("CALMLINE_SHARED").map_or(beside, PathBuf::from).join("data")
}

/// In the order of their names, folders within the folder included.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![shared().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// The samples of a WAV or FLAC file at 8 kHz; `None` for other files.
fn read(path: &Path) -> Option<Vec<i16>> {
    let bytes = match path.extension()?.to_str()? {
        "wav" => std::fs::read(path).ok()?,
        "flac" => {
            let mut reader = claxon::FlacReader::open(path).ok()?;
            let info = reader.streaminfo();
            let shift = info.bits_per_sample.checked_sub(16)?;
            let samples: Vec<i16> = reader.samples().flatten().map(|sample| (sample >> shift) as i16).collect();
            let mut bytes = Cursor::new(Vec::new());
            wav::write(&samples, info.sample_rate, &mut bytes).ok()?;
            bytes.into_inner()
        }
        _ => return None,
    };
    Some(wav::read(Cursor::new(bytes), Channel::Mix).ok()?.to_sound().samples)
}
