//! `calmline eval speech`: emotion from voice, on data of the user's own.
//!
//! Reads recordings and labels and prints figures; how clips are judged and counted is `nlu::evaluation`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use media::wav;
use nlu::evaluation::{ClipFigures, ClipTally, Estimate, class_of, judge_clip};
use nlu::{AcousticModel, CLASS_NAMES};
use serde::{Deserialize, Serialize};

use super::{bold, cpu_s, progress, recording};
use crate::cli::{EvalSpeechArgs, Failure, print_line};
use crate::model::ModelFiles;
use crate::signed::Trust;

/// Neutral clips of a speaker that the baseline hears before one of the speaker's clips is judged.
const BASELINE_CLIPS: usize = 5;
/// What the loudest twentieth of a recording's frames have at least, dB of full scale (1.0).
const SPEECH_DBOV_LEAST: f32 = -36.0;
/// By no more than 40 dB: silence stays silence.
const GAIN_MOST: f32 = 100.0;
/// A frame of 20 ms.
const FRAME: usize = wav::RATE_HZ as usize / 50;
/// The largest data set, clips.
const CLIPS_MAX: usize = 100_000;

/// One row of a manifest; further columns are passed over.
#[derive(Debug, Deserialize)]
struct Row {
    file: String,
    label: String,
    #[serde(default)]
    speaker: String,
}

/// One clip, decoded.
struct Clip {
    label: String,
    speaker: String,
    samples: Vec<f32>,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Figures {
    data: String,
    /// `model` or `signal_only`.
    source: &'static str,
    /// The telephone's band is the only one: everything is judged at 8 kHz.
    sample_rate_hz: u32,
    /// Each clip by itself.
    alone: ClipFigures,
    /// Each clip after five other neutral clips of its speaker; `null` when the manifest names no speakers.
    with_baseline: Option<ClipFigures>,
    /// Files that could not be read.
    unreadable: usize,
    audio_s: f64,
    /// Seconds of processor time per second of audio, decoding left out.
    cost: f64,
}

/// Runs `calmline eval speech`.
///
/// # Errors
/// When the manifest cannot be read or nothing in it can be judged.
pub fn run(args: &EvalSpeechArgs) -> Result<(), Failure> {
    let manifest = if args.data.is_dir() { args.data.join("manifest.csv") } else { args.data.clone() };
    let (clips, unreadable) = read_clips(&manifest)?;
    let files = ModelFiles::read(args.model.model.as_deref(), args.model.runtime.as_deref(), &Trust::anybody())
        .map_err(Failure::Failed)?
        .hearing_sound(!args.model.without_sound);
    let mut model = match files.load() {
        Ok(model) => Some(model),
        Err(why) if args.model.model.is_some() => return Err(Failure::Failed(why)),
        Err(_) => None,
    };
    let audio_s = clips.iter().map(|clip| clip.samples.len()).sum::<usize>() as f64 / f64::from(wav::RATE_HZ);
    let began_s = cpu_s();
    let alone = judge(&clips, &mut model, |_| Vec::new())?;
    let cost = (cpu_s() - began_s) / audio_s.max(f64::MIN_POSITIVE);

    let neutral = neutral_clips(&clips);
    let with_baseline = if neutral.is_empty() {
        None
    } else {
        Some(judge(&clips, &mut model, |index| baseline(&clips, &neutral, index))?)
    };
    let source = if model.is_some() { "model" } else { "signal_only" };
    let data = args.data.display().to_string();
    let figures =
        Figures { data, source, sample_rate_hz: wav::RATE_HZ, alone, with_baseline, unreadable, audio_s, cost };
    report(&figures, args.json)
}

/// Judges every clip after what `before` says was heard of its speaker.
fn judge<'a>(
    clips: &'a [Clip],
    model: &mut Option<AcousticModel>,
    before: impl Fn(usize) -> Vec<&'a [f32]>,
) -> Result<ClipFigures, Failure> {
    let among: BTreeSet<usize> = clips.iter().filter_map(|clip| class_of(&clip.label)).collect();
    let mut tally = ClipTally::new(&among);
    for (index, clip) in clips.iter().enumerate() {
        let judgement = judge_clip(model.as_mut(), &before(index), &clip.samples)
            .map_err(|error| Failure::of("running the acoustic model", error))?;
        tally.add(class_of(&clip.label), judgement);
        progress(index + 1, clips.len());
    }
    Ok(tally.figures())
}

/// The neutral clips of each speaker, by index.
fn neutral_clips(clips: &[Clip]) -> BTreeMap<&str, Vec<usize>> {
    let mut neutral: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, clip) in clips.iter().enumerate() {
        if !clip.speaker.is_empty() && class_of(&clip.label).is_some_and(|class| CLASS_NAMES[class] == "neutral") {
            neutral.entry(&clip.speaker).or_default().push(index);
        }
    }
    neutral
}

/// Up to five neutral clips of the speaker, never the clip itself.
fn baseline<'a>(clips: &'a [Clip], neutral: &BTreeMap<&str, Vec<usize>>, index: usize) -> Vec<&'a [f32]> {
    let own = neutral.get(clips[index].speaker.as_str()).map_or(&[][..], Vec::as_slice);
    own.iter().filter(|&&other| other != index).take(BASELINE_CLIPS).map(|&other| &clips[other].samples[..]).collect()
}

/// Reads the manifest and every recording that it names; also how many could not be read.
fn read_clips(manifest: &Path) -> Result<(Vec<Clip>, usize), Failure> {
    let named = |error: csv::Error| Failure::of(manifest.display(), error);
    let folder = manifest.parent().unwrap_or(Path::new("."));
    let mut reader = csv::Reader::from_path(manifest).map_err(named)?;
    let rows: Vec<Row> = reader.deserialize().take(CLIPS_MAX).collect::<Result<_, _>>().map_err(named)?;
    let mut clips = Vec::with_capacity(rows.len());
    let mut first_error = None;
    for (index, row) in rows.iter().enumerate() {
        match recording::read(&folder.join(&row.file), wav::RATE_HZ) {
            Ok(samples) => {
                let samples = raised(samples);
                clips.push(Clip { label: row.label.clone(), speaker: row.speaker.clone(), samples });
            }
            Err(error) => first_error = first_error.or(Some(error)),
        }
        progress(index + 1, rows.len());
    }
    let unreadable = rows.len() - clips.len();
    match first_error {
        Some(error) if clips.is_empty() => Err(error),
        _ if clips.is_empty() => Err(Failure::Failed(format!("{}: no recordings in it", manifest.display()))),
        _ => Ok((clips, unreadable)),
    }
}

/// A recording, raised where its speech is quieter than [`SPEECH_DBOV_LEAST`]: what is quieter still than on any line would not be
/// taken for speech. How loud it is when it is loud counts.
fn raised(mut samples: Vec<f32>) -> Vec<f32> {
    let power = |frame: &[f32]| frame.iter().map(|sample| sample * sample).sum::<f32>() / frame.len() as f32;
    let mut powers: Vec<f32> = samples.chunks_exact(FRAME).map(power).collect();
    powers.sort_by(f32::total_cmp);
    let Some(loud) = powers.get(powers.len() * 19 / 20).filter(|power| **power > 0.0) else { return samples };
    let gain = 10f32.powf(SPEECH_DBOV_LEAST / 20.0) / loud.sqrt();
    if gain > 1.0 {
        samples.iter_mut().for_each(|sample| *sample *= gain.min(GAIN_MOST));
    }
    samples
}

fn report(figures: &Figures, json: bool) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string(figures).map_err(|error| Failure::of("writing JSON", error))?;
        return print_line(text);
    }
    print_line(bold(&format!("{} (8 kHz, judged by {})", figures.data, figures.source)))?;
    print_line("")?;
    table("each clip by itself", &figures.alone)?;
    if let Some(with_baseline) = &figures.with_baseline {
        table("after five other neutral clips of the speaker", with_baseline)?;
    }
    print_line(format_args!(
        "{:.0} s of audio at {:.4} s of processor time per second; {} files could not be read",
        figures.audio_s, figures.cost, figures.unreadable
    ))
}

fn table(title: &str, figures: &ClipFigures) -> Result<(), Failure> {
    let ClipFigures { classes, clips, others, not_judged, confusion, .. } = figures;
    print_line(format_args!(
        "{title}: {clips} clips of {} classes, {others} of others, {not_judged} too short",
        classes.len()
    ))?;
    print_line(format_args!(
        "  accuracy {}  UAR {}  macro-F1 {}",
        percent(figures.accuracy),
        percent(figures.uar),
        percent(figures.macro_f1)
    ))?;
    let Estimate { value, low, high } = figures.anger_auc;
    print_line(format_args!(
        "  anger F1 {}  anger AUC {value:.3} ({low:.3}-{high:.3})  ECE {}",
        percent(figures.anger_f1),
        percent(figures.calibration_error)
    ))?;
    let columns: String = classes.iter().map(|class| format!(" {class:>8}")).collect();
    print_line(format_args!("  {:<13}{columns}", "truth \\ found"))?;
    for (class, row) in classes.iter().zip(confusion) {
        let cells: String = row.iter().map(|count| format!(" {count:>8}")).collect();
        print_line(format_args!("  {class:<13}{cells}"))?;
    }
    print_line("")
}

/// With the interval of 95 %.
fn percent(Estimate { value, low, high }: Estimate) -> String {
    format!("{:.1} % ({:.1}-{:.1})", value * 100.0, low * 100.0, high * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_that_spreadsheets_write_is_passed_over() {
        let path = std::env::temp_dir().join(format!("calmline-clips-{}.csv", std::process::id()));
        let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/audio/calm-caller.wav");
        std::fs::write(&path, format!("\u{feff}file,label\r\n{},neutral\r\n", clip.display())).expect("written");
        let (clips, unreadable) = read_clips(&path).map_err(|_| "refused").expect("it is read");
        assert_eq!((clips.len(), clips[0].label.as_str(), unreadable), (1, "neutral", 0));
        std::fs::remove_file(path).expect("removed");
    }

    #[test]
    fn quiet_recordings_are_raised_and_no_others() {
        let tone = |peak: f32| -> Vec<f32> { (0..8_000).map(|n| peak * (n as f32 * 0.5).sin()).collect() };
        let loudest = |samples: &[f32]| samples.iter().fold(0.0f32, |most, sample| most.max(sample.abs()));
        // A sine is 3 dB below its peak.
        let least = 10f32.powf((SPEECH_DBOV_LEAST + 3.01) / 20.0);
        for (peak, expected) in [(0.5, 0.5), (least, least), (0.001, least), (0.000_01, 0.001), (0.0, 0.0)] {
            let found = loudest(&raised(tone(peak)));
            assert!((found - expected).abs() <= 0.05 * expected, "{peak}: {found}, expected {expected}");
        }
        assert!(raised(Vec::new()).is_empty());
    }
}
