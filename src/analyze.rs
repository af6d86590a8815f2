//! `calmline analyze`: the listening pipeline on a recording, as fast as it goes.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use media::wav::{self, Channel};
use nlu::{HOP, Level, Listener, ListenerSettings, Observation, PartyId, SAMPLE_RATE_HZ};
use prosody::Row as Hop;
use serde::Serialize;

use crate::cli::{AnalyzeArgs, Failure, ModelArgs, print_line, shows_progress};
use crate::features;
use crate::model::ModelFiles;
use crate::picture::{self, CallPicture};
use crate::signed::Trust;
use crate::words;

/// Samples handed to the listener at once: one 20 ms packet, as on a call.
const PACKET: usize = 160;
/// The only party there is.
const PARTY: PartyId = PartyId(1);

/// What the listener made of a recording.
#[derive(Debug)]
pub struct Analysis {
    /// The recording at 8 kHz, `[-1, 1]`.
    pub samples: Vec<f32>,
    /// Every hop, and whether it is speech.
    pub hops: Vec<(Hop, bool)>,
    /// The emotion timeline.
    pub observations: Vec<Observation>,
    /// Why there is no model, when there is none.
    pub without_model: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// When the recording cannot be read, or what was found cannot be written.
pub fn run(args: &AnalyzeArgs) -> Result<(), Failure> {
    if let Some(table) = args.features.features {
        return features::run(&args.file, table, &args.features);
    }
    let samples = read_recording(&args.file)?;
    let analysis = analyze(samples, &args.model)?;
    if let Some(why) = analysis.without_model.as_ref().filter(|_| shows_progress()) {
        tracing::warn!("no acoustic model ({why}): judged by signal processing only");
    }
    for observation in &analysis.observations {
        let step = Step::of(observation);
        if args.json {
            print_json(&step)?;
        } else {
            print_line(step.text())?;
        }
    }
    let summary = Summary::of(&args.file, &analysis);
    if args.json {
        print_json(&summary)?;
    } else {
        print_line(summary.text())?;
    }
    let Some(svg) = &args.svg else { return Ok(()) };
    let picture = analysis.picture(&args.file.display().to_string());
    let text = picture::draw(&picture).map_err(|error| Failure::of("drawing", error))?;
    std::fs::write(svg, text).map_err(|error| Failure::of(svg.display(), error))
}

/// A recording as mono at 8 kHz, `[-1, 1]`.
///
/// # Errors
/// When it cannot be opened or is not a WAV that we read.
pub fn read_recording(path: &Path) -> Result<Vec<f32>, Failure> {
    let file = File::open(path).map_err(|error| Failure::of(path.display(), error))?;
    let recording =
        wav::read(BufReader::new(file), Channel::Only(0)).map_err(|error| Failure::of(path.display(), error))?;
    Ok(recording.samples)
}

/// Listens to `samples` (8 kHz) as the server would listen to a caller.
///
/// # Errors
/// When a model was named that cannot be read.
pub fn analyze(samples: Vec<f32>, model: &ModelArgs) -> Result<Analysis, Failure> {
    let files = ModelFiles::read(model.model.as_deref(), model.runtime.as_deref(), &Trust::anybody())
        .map_err(Failure::Failed)?
        .hearing_sound(!model.without_sound);
    let (loaded, without_model) = match files.load() {
        Ok(loaded) => (Some(loaded), None),
        Err(why) if model.model.is_some() => return Err(Failure::Failed(why)),
        Err(why) => (None, Some(why)),
    };
    let mut listener = Listener::new(loaded, ListenerSettings::default());
    listener.add(PARTY);
    let (mut hops, mut observations) = (Vec::new(), Vec::new());
    for packet in samples.chunks(PACKET) {
        listener.push(PARTY, packet);
        listener.run_with(&mut |_, hop, speech| hops.push((*hop, speech)), &mut observations);
    }
    Ok(Analysis { samples, hops, observations, without_model })
}

impl Analysis {
    /// The observation with the highest anger.
    pub fn peak(&self) -> Option<&Observation> {
        self.observations.iter().max_by(|a, b| a.anger.total_cmp(&b.anger))
    }

    /// The timeline as a picture, without marks.
    pub fn picture(&self, title: &str) -> CallPicture {
        let seconds = |position: u64| position as f32 / SAMPLE_RATE_HZ as f32;
        CallPicture {
            title: title.to_owned(),
            duration_s: seconds(self.samples.len() as u64),
            envelope: envelope(&self.samples),
            pitch: self.hops.iter().map(|(hop, _)| (seconds(hop.position), hop.pitch_hz)).collect(),
            level: self.hops.iter().map(|(hop, _)| (seconds(hop.position), hop.level.dbov)).collect(),
            anger: self.observations.iter().map(|o| (seconds(o.position), o.anger, o.level)).collect(),
            marks: Vec::new(),
        }
    }
}

/// Lowest and highest sample of every 50 ms.
fn envelope(samples: &[f32]) -> Vec<(f32, f32, f32)> {
    const STEP: usize = SAMPLE_RATE_HZ as usize / 20;
    let extremes = |piece: &[f32]| piece.iter().fold((0f32, 0f32), |(low, high), &s| (low.min(s), high.max(s)));
    let at = |index: usize| (index * STEP) as f32 / SAMPLE_RATE_HZ as f32;
    samples.chunks(STEP).map(extremes).enumerate().map(|(index, (low, high))| (at(index), low, high)).collect()
}

/// One line of the output: an observation in the words of the API.
#[derive(Debug, Serialize)]
struct Step {
    audio_ms: u64,
    emotion: &'static str,
    level: &'static str,
    anger: f32,
    trend_per_s: f32,
    pitch_hz: f32,
    pitch_z: f32,
    level_dbov: f32,
    level_z: f32,
    syllables_per_s: f32,
    rate_z: f32,
    source: &'static str,
}

impl Step {
    fn of(observation: &Observation) -> Self {
        let evidence = &observation.evidence;
        Self {
            audio_ms: observation.position * 1_000 / u64::from(SAMPLE_RATE_HZ),
            emotion: words::emotion(observation.emotion),
            level: words::level(observation.level),
            anger: observation.anger,
            trend_per_s: observation.trend_per_s,
            pitch_hz: evidence.pitch_hz,
            pitch_z: evidence.pitch_z,
            level_dbov: evidence.level_dbov,
            level_z: evidence.level_z,
            syllables_per_s: evidence.syllables_per_s,
            rate_z: evidence.rate_z,
            source: words::source(observation.source),
        }
    }

    fn text(&self) -> String {
        let Self { audio_ms, emotion, level, anger, pitch_hz, pitch_z, level_dbov, level_z, syllables_per_s, .. } =
            self;
        let at = *audio_ms as f64 / 1_000.0;
        format!(
            "{at:7.1} s  anger {anger:.2} {level:<6} {emotion:<8} F0 {pitch_hz:>3.0} Hz ({pitch_z:+.1}σ)  \
             level {level_dbov:>3.0} dBov ({level_z:+.1}σ)  {syllables_per_s:.1} syllables/s"
        )
    }
}

/// The last line of the output.
#[derive(Debug, Serialize)]
struct Summary {
    summary: bool,
    file: String,
    duration_s: f64,
    speech_s: f64,
    observations: usize,
    peak_anger: f32,
    peak_level: &'static str,
    first_high_ms: Option<u64>,
    source: &'static str,
}

impl Summary {
    fn of(file: &Path, analysis: &Analysis) -> Self {
        let high = analysis.observations.iter().find(|observation| observation.level == Level::High);
        let peak_level = analysis.observations.iter().map(|observation| observation.level).max().unwrap_or(Level::Low);
        let rate = f64::from(SAMPLE_RATE_HZ);
        Self {
            summary: true,
            file: file.display().to_string(),
            duration_s: analysis.samples.len() as f64 / rate,
            speech_s: analysis.hops.iter().filter(|(_, speech)| *speech).count() as f64 * HOP as f64 / rate,
            observations: analysis.observations.len(),
            peak_anger: analysis.peak().map_or(0.0, |peak| peak.anger),
            peak_level: words::level(peak_level),
            first_high_ms: high.map(|observation| Step::of(observation).audio_ms),
            source: if analysis.without_model.is_some() { "signal_only" } else { "model" },
        }
    }

    fn text(&self) -> String {
        let Self { duration_s, speech_s, observations, peak_anger, peak_level, .. } = self;
        let high = match self.first_high_ms {
            Some(ms) => format!("high from {:.1} s on", ms as f64 / 1_000.0),
            None => "never high".to_owned(),
        };
        format!(
            "{duration_s:.1} s of audio, {speech_s:.1} s of speech, {observations} observations: \
             peak anger {peak_anger:.2} ({peak_level}), {high}; judged by {}",
            self.source
        )
    }
}

fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    print_line(serde_json::to_string(value).map_err(|error| Failure::of("writing JSON", error))?)
}
