//! The promises of everything that is made of a stream: any chunking gives the same bits, and nothing is allocated once a
//! stream runs.

#[path = "../../media/tests/counting/mod.rs"]
mod counting;

use proptest::prelude::*;
use prosody::SampleRate::{self, Hz8000, Hz16000};
use prosody::baseline::{FEATURES, SpeakerBaseline};
use prosody::functionals::{FUNCTIONALS, Functionals};
use prosody::logmel::{LogMel, LogMelSettings};
use prosody::pitch::{Pitch, Tracker};
use prosody::quality::{Quality, QualityMeter};
use prosody::rhythm::{Rhythm, RhythmMeter};
use prosody::synthetic::{self, Kind, Plan, Voice};
use prosody::turns::{Dialogue, Turns};
use prosody::{Analyzer, Row, Smoother};

/// Hops that functionals are of: 1 s, so that the window slides within a short signal.
const WINDOW: usize = 100;
/// A hop is speech where its level is above this, dBov.
const SPEECH_DBOV: f32 = -45.0;

/// Everything that one party's samples are turned into.
struct Extractors {
    tracker: Tracker,
    log_mel: LogMel,
    analyzer: Analyzer,
    smoother: Smoother,
    functionals: Functionals,
    rhythm: RhythmMeter,
    quality: QualityMeter,
    baseline: SpeakerBaseline,
    dialogue: Dialogue,
    hops: u64,
    rows: Vec<Row>,
    pitches: Vec<Pitch>,
    energies: Vec<f32>,
}

/// What they say at the end.
#[derive(Debug, PartialEq)]
struct Told {
    pitches: Vec<Pitch>,
    energies: Vec<f32>,
    functionals: [f32; FUNCTIONALS],
    rhythm: Rhythm,
    quality: Quality,
    scores: [f32; FEATURES],
    turns: Turns,
}

#[test]
fn a_running_stream_allocates_nothing() {
    for rate in [Hz8000, Hz16000] {
        let samples = speech(rate, 6.0, 7);
        let mut extractors = Extractors::new(rate);
        let (first, rest) = samples.split_at(samples.len() / 2);
        first.chunks(2 * rate.hop()).for_each(|packet| extractors.push(packet));
        extractors.forget_outputs();
        let before = counting::calls();
        for packet in rest.chunks(2 * rate.hop()) {
            extractors.push(packet);
            std::hint::black_box((extractors.functionals.values(), extractors.baseline.scores()));
            std::hint::black_box((
                extractors.rhythm.rhythm(),
                extractors.quality.quality(),
                extractors.dialogue.turns(),
            ));
            extractors.forget_outputs();
        }
        assert_eq!(counting::calls() - before, 0, "calls of the allocator, {rate:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn chunking_changes_nothing(seed in any::<u64>(), wide in any::<bool>(), cuts in prop::collection::vec(1usize..900, 1..60)) {
        let rate = if wide { Hz16000 } else { Hz8000 };
        let samples = speech(rate, 5.0, seed);
        let (mut whole, mut pieces) = (Extractors::new(rate), Extractors::new(rate));
        whole.push(&samples);
        let mut rest = &samples[..];
        for cut in cuts.iter().cycle() {
            let (chunk, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push(chunk);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        let told = whole.told();
        prop_assert!(told.pitches.iter().any(|pitch| pitch.hz.is_some()) && told.functionals[0] > 0.0, "nothing is heard");
        prop_assert_eq!(told, pieces.told());
    }
}

impl Extractors {
    fn new(rate: SampleRate) -> Self {
        Self {
            tracker: Tracker::new(rate),
            log_mel: LogMel::new(LogMelSettings::new(rate)).expect("Kaldi's defaults"),
            analyzer: Analyzer::new(rate),
            smoother: Smoother::default(),
            functionals: Functionals::new(WINDOW),
            rhythm: RhythmMeter::default(),
            quality: QualityMeter::default(),
            baseline: SpeakerBaseline::default(),
            dialogue: Dialogue::default(),
            hops: 0,
            rows: Vec::with_capacity(1_000),
            pitches: Vec::with_capacity(1_000),
            energies: Vec::with_capacity(100_000),
        }
    }

    fn push(&mut self, samples: &[f32]) {
        self.tracker.push(samples, &mut self.pitches);
        self.log_mel.push(samples, &mut self.energies);
        self.analyzer.push(samples, &mut self.rows);
        for row in self.rows.drain(..) {
            let speech = row.level.dbov > SPEECH_DBOV;
            if let Some(smoothed) = self.smoother.push(&row) {
                self.functionals.push(&smoothed);
            }
            self.rhythm.push(&row, speech);
            self.quality.push(&row.level, row.pitch_hz.is_some(), false);
            self.baseline.push(&row, speech);
            // The other party speaks where this one does not.
            self.dialogue.push(0, self.hops, speech);
            self.dialogue.push(1, self.hops, !speech);
            self.hops += 1;
        }
    }

    fn forget_outputs(&mut self) {
        self.pitches.clear();
        self.energies.clear();
    }

    fn told(self) -> Told {
        Told {
            pitches: self.pitches,
            energies: self.energies,
            functionals: self.functionals.values(),
            rhythm: self.rhythm.rhythm(),
            quality: self.quality.quality(),
            scores: self.baseline.scores(),
            turns: self.dialogue.turns(),
        }
    }
}

/// Syllables with pauses: through the telephone's band at 8 kHz.
fn speech(rate: SampleRate, seconds: f32, seed: u64) -> Vec<f32> {
    let voice = Voice::of(&Plan { seconds, ..Plan::new(Kind::Phrases, 100.0 + (seed % 150) as f32, seed) });
    match rate {
        Hz8000 => synthetic::telephone_band(&synthetic::half_rate(&voice.samples)),
        Hz16000 => voice.samples,
    }
}
