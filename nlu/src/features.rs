//! From samples to the rows that the emotion model judges: hops, speech, the speaker's baseline, the last seconds.
//!
//! The server and the training recipe run this same code, so a model meets in a call what it was trained on.

use std::collections::VecDeque;

use prosody::baseline::{LEVEL, SYLLABLE_RATE, SpeakerBaseline, Usual};
use prosody::logmel::{LogMel, LogMelSettings};
use prosody::rhythm::Syllables;
use prosody::{Analyzer, Descriptor, Row as Hop, SampleRate};

use crate::activity::{ACTIVITY_LAG, ACTIVITY_STEP, Activity};
use crate::delivery::DeliveryMeter;
use crate::firsts::Firsts;
use crate::observation::Evidence;
use crate::sound::{Meter, SoundStep};
use crate::window::{BINS, Summary, VALUES, Window};

/// Values of one row: the window's, what they were over the speaker's first windows, and how well these are known.
pub const FEATURES: usize = 2 * VALUES + 1;

/// The telephone's rate, Hz.
pub const SAMPLE_RATE_HZ: u32 = SampleRate::Hz8000.hz();
/// How many times a sample in [-1, 1] its 16-bit value is.
pub(crate) const SCALE_16_BIT: f32 = 32_768.0;
/// Samples per hop of 10 ms.
pub const HOP: usize = SampleRate::Hz8000.hop();

/// Hops between two rows: 0.5 s.
const STEP_HOPS: usize = 50;
/// Speech hops a window needs before it is judged: 0.8 s.
const SPEECH_HOPS_MIN: usize = 80;
/// Speech hops the last step needs: nobody is judged again for being silent.
const RECENT_SPEECH_HOPS_MIN: usize = 10;

/// One window, ready to be judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// End of the window, samples from the start of the party's audio.
    pub position: u64,
    /// By [`Extractor::names`].
    pub values: Box<[f32; FEATURES]>,
    /// The readable part.
    pub evidence: Evidence,
    /// Alpha ratio against the speaker's baseline.
    pub alpha_ratio_z: f32,
    /// The sound since the row before, where it is listened to.
    pub steps: Vec<SoundStep>,
}

/// Called with every hop in order; the flag says whether it is speech.
pub type HopSink<'a> = &'a mut dyn FnMut(&Hop, bool);

/// Turns one party's samples into rows. Holds about 350 KiB; where it tells the sound 60 more, and 150 of steps that wait
/// at most; nothing grows.
pub struct Extractor {
    analyzer: Analyzer,
    log_mel: LogMel,
    activity: Activity,
    syllables: Syllables,
    baseline: SpeakerBaseline,
    delivery: DeliveryMeter,
    spared: bool,
    /// Position of the sample after which analyser and activity last started afresh.
    origin: u64,
    /// Samples taken since `origin`.
    taken: u64,
    hops: VecDeque<Hop>,
    /// Log-mel energies of the hops from the first of `hops` on.
    energies: VecDeque<[f32; BINS]>,
    /// Activity decisions not needed up to now are gone; `decisions[0]` is the one of step `decisions_from`.
    decisions: VecDeque<bool>,
    decisions_from: usize,
    fresh_hops: Vec<Hop>,
    fresh_energies: Vec<f32>,
    fresh_decisions: Vec<bool>,
    window: Window,
    usual: Firsts<VALUES>,
    /// `None` where nobody judges by the sound.
    sound: Option<Meter>,
}

impl std::fmt::Debug for Extractor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extractor").field("position", &self.position()).finish_non_exhaustive()
    }
}

impl Default for Extractor {
    fn default() -> Self {
        Self {
            analyzer: Analyzer::new(SampleRate::Hz8000),
            log_mel: log_mel(),
            activity: Activity::default(),
            syllables: Syllables::default(),
            baseline: SpeakerBaseline::default(),
            delivery: DeliveryMeter::default(),
            spared: false,
            origin: 0,
            taken: 0,
            hops: VecDeque::new(),
            energies: VecDeque::new(),
            decisions: VecDeque::new(),
            decisions_from: 0,
            fresh_hops: Vec::new(),
            fresh_energies: Vec::new(),
            fresh_decisions: Vec::new(),
            window: Window::default(),
            usual: Firsts::default(),
            sound: None,
        }
    }
}

impl Extractor {
    /// The names of a row's values, in order.
    pub fn names() -> Vec<String> {
        let values = Window::names();
        let usual = values.iter().map(|name| format!("usual_{name}"));
        values.iter().cloned().chain(usual).chain(["usual_known".to_owned()]).collect()
    }

    /// One whose rows tell the sound, too, if `sound`.
    pub fn hearing(sound: bool) -> Self {
        Self { sound: sound.then(Meter::default), ..Self::default() }
    }

    /// Position of the next sample.
    pub fn position(&self) -> u64 {
        self.origin + self.taken
    }

    /// Lets rows also tell the functionals of eGeMAPSv02, of what comes from now on.
    pub fn tell_functionals(&mut self) {
        self.delivery.tell_functionals();
    }

    /// Begins with what earlier calls have told of the speaker. The windows that are usual are those of this call: the
    /// model was trained that way.
    pub fn resume(&mut self, usual: Usual) {
        self.baseline = SpeakerBaseline::resume(usual);
    }

    /// What is usual for the speaker; `None` before 3 s of speech.
    pub fn usual(&self) -> Option<&Usual> {
        self.baseline.usual()
    }

    /// Takes samples (8 kHz, [-1, 1]); gives out every finished hop and appends every finished row.
    pub fn push(&mut self, samples: &[f32], hops: HopSink<'_>, rows: &mut Vec<Row>) {
        // Whole seconds at most at a time, so that one long push needs no more memory than many short ones.
        for piece in samples.chunks(SAMPLE_RATE_HZ as usize) {
            self.analyzer.push(piece, &mut self.fresh_hops);
            self.log_mel.push(piece, &mut self.fresh_energies);
            self.activity.push(piece, &mut self.fresh_decisions);
            if let Some(sound) = &mut self.sound {
                sound.push(piece);
            }
            self.taken += piece.len() as u64;
            self.hops.extend(self.fresh_hops.drain(..));
            self.energies.extend(self.fresh_energies.as_chunks().0);
            self.fresh_energies.clear();
            self.decisions.extend(self.fresh_decisions.drain(..));
            self.pair(hops, rows);
        }
    }

    /// Whether work is spared from now on: every second row is left out, and neither delivery nor sound is followed.
    pub fn spare(&mut self, spared: bool) {
        self.spared = spared;
    }

    /// Tells that the `samples` after the next `after` ones are going to be made up, because packets did not come.
    pub fn lose(&mut self, after: u64, samples: u64) {
        let from = self.position() + after;
        self.delivery.lose(from..from + samples);
    }

    /// Tells what share of the packets of the last 10 s did not come, which delivery says from now on.
    pub fn tell_lost(&mut self, share: f32) {
        self.delivery.tell_lost(share);
    }

    /// Goes on at `position` after audio that will never come; what is usual for the speaker is kept.
    ///
    /// The window starts afresh: a judgement never spans a gap.
    pub fn skip_to(&mut self, position: u64) {
        self.origin = position;
        self.taken = 0;
        self.analyzer = Analyzer::new(SampleRate::Hz8000);
        self.log_mel = log_mel();
        self.activity.reset();
        self.syllables = Syllables::default();
        self.delivery.skip_to(position);
        self.hops.clear();
        self.energies.clear();
        self.decisions.clear();
        self.decisions_from = 0;
        self.window = Window::default();
        self.sound = self.sound.take().map(|_| Meter::default());
    }

    /// Moves every hop whose speech decision is known into the window.
    fn pair(&mut self, sink: HopSink<'_>, rows: &mut Vec<Row>) {
        while let (Some(hop), Some(energies)) = (self.hops.front(), self.energies.front()) {
            let middle = hop.position as usize + HOP / 2;
            let wanted = middle / ACTIVITY_STEP + ACTIVITY_LAG;
            let Some(&speech) = self.decisions.get(wanted - self.decisions_from) else { return };
            let (mut hop, energies) = (*hop, *energies);
            self.hops.pop_front();
            self.energies.pop_front();
            while self.decisions_from < wanted {
                self.decisions.pop_front();
                self.decisions_from += 1;
            }
            hop.position += self.origin;
            sink(&hop, speech);
            let lost = self.delivery.take(&hop, speech, !self.spared);
            // Made-up audio teaches nothing about a speaker.
            self.baseline.push(&hop, speech && !lost);
            let syllable = self.syllables.push(&hop);
            self.window.push(&hop, &energies, speech, syllable);
            if let Some(sound) = &mut self.sound {
                // What nobody encodes need not be kept.
                sound.take(hop.position, speech && !self.spared);
            }
            let step = hop.position / (STEP_HOPS * HOP) as u64;
            if self.is_due() && (!self.spared || step.is_multiple_of(2)) {
                rows.push(self.row(hop.position + HOP as u64));
            }
        }
    }

    /// True on every step that has enough speech to judge.
    fn is_due(&self) -> bool {
        self.window.taken().is_multiple_of(STEP_HOPS)
            && self.window.speech_hops(usize::MAX) >= SPEECH_HOPS_MIN
            && self.window.speech_hops(STEP_HOPS) >= RECENT_SPEECH_HOPS_MIN
    }

    fn row(&mut self, position: u64) -> Row {
        let window = self.window.values();
        let mut values = Box::new([0.0; FEATURES]);
        values[..VALUES].copy_from_slice(&window);
        values[VALUES..2 * VALUES].copy_from_slice(self.usual.mean());
        values[2 * VALUES] = self.usual.known();
        self.usual.push(&window);
        let Summary { pitch_semitones, level_dbov, alpha_ratio_db, articulation_rate, speech_share } =
            self.window.summary();
        let voiced = pitch_semitones.is_some();
        let z = |feature: usize, value: f32, there: bool| if there { self.baseline.z(feature, value) } else { 0.0 };
        let evidence = Evidence {
            pitch_hz: pitch_semitones.map_or(0.0, hertz),
            pitch_z: z(Descriptor::Pitch as usize, pitch_semitones.unwrap_or_default(), voiced),
            level_dbov,
            level_z: z(LEVEL, level_dbov, true),
            syllables_per_s: articulation_rate * speech_share,
            rate_z: z(SYLLABLE_RATE, articulation_rate, true),
            speech_share,
            delivery: (!self.spared).then(|| self.delivery.delivery(&self.baseline)),
        };
        let alpha_ratio_z = z(Descriptor::AlphaRatio as usize, alpha_ratio_db, voiced);
        let steps = self.sound.as_mut().map(Meter::steps).filter(|_| !self.spared).unwrap_or_default();
        Row { position, values, evidence, alpha_ratio_z, steps }
    }
}

/// The inverse of [`prosody::semitones`].
fn hertz(semitones: f32) -> f32 {
    27.5 * (semitones / 12.0).exp2()
}

/// 40 energies over what a telephone line lets through.
fn log_mel() -> LogMel {
    let settings =
        LogMelSettings { bins: BINS, low_hz: 200.0, high_hz: 3_600.0, ..LogMelSettings::new(SampleRate::Hz8000) };
    LogMel::new(settings).expect("the settings are within their ranges")
}
