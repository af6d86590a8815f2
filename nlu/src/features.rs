//! From samples to the rows that the emotion model judges: frames, speech, the speaker's baseline, functionals.
//!
//! The server and the training recipe run this same code, so a model meets in a call what it was trained on.

use std::collections::VecDeque;

use prosody::baseline::Usual;
use prosody::trained::{Analyzer, Baseline, FUNCTIONALS, Feature, Frame, HOP, SAMPLE_RATE_HZ, functionals, semitones};

use crate::activity::{ACTIVITY_LAG, ACTIVITY_STEP, Activity};
use crate::delivery::DeliveryMeter;
use crate::observation::Evidence;

/// What is appended to the functionals, in order: the window against the speaker's baseline, cut to ±6.
pub const RELATIVE_NAMES: [&str; RELATIVE] =
    ["pitch_z", "pitch_p90_z", "level_z", "level_p90_z", "rate_z", "tilt_z", "baseline_known"];
/// Values of one row.
pub const FEATURES: usize = FUNCTIONALS + RELATIVE;

const RELATIVE: usize = 7;
/// Frames looked at: 2 s. A longer window would judge more surely and notice later.
pub const WINDOW_FRAMES: usize = 200;
/// Frames between two rows: 0.5 s.
pub const STEP_FRAMES: usize = 50;
/// Speech frames a window needs before it is judged: 0.8 s.
const SPEECH_FRAMES_MIN: usize = 80;
/// Speech frames the last step needs: nobody is judged again for being silent.
const RECENT_SPEECH_FRAMES_MIN: usize = 10;
/// Seconds of speech after which the baseline counts as known.
const BASELINE_KNOWN_S: f32 = 8.0;
/// Frames in the window per second.
const FRAMES_PER_S: f32 = 100.0;

/// One window, ready to be judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// End of the window, samples from the start of the party's audio.
    pub position: u64,
    /// Functionals, then [`RELATIVE_NAMES`].
    pub values: [f32; FEATURES],
    /// The readable part.
    pub evidence: Evidence,
    /// Tilt against the speaker's baseline.
    pub tilt_z: f32,
}

/// Called with every frame in order; the flag says whether it is speech.
pub type FrameSink<'a> = &'a mut dyn FnMut(&Frame, bool);

/// Turns one party's samples into rows. Holds about 250 KiB; nothing grows.
pub struct Extractor {
    analyzer: Analyzer,
    activity: Activity,
    baseline: Baseline,
    delivery: DeliveryMeter,
    /// From which position on `delivery` is followed; `None` while it is not.
    delivery_from: Option<u64>,
    /// Position of the sample after which analyser and activity last started afresh.
    origin: u64,
    /// Samples taken since `origin`.
    taken: u64,
    frames: VecDeque<Frame>,
    /// Activity decisions not needed up to now are gone; `decisions[0]` is the one of step `decisions_from`.
    decisions: VecDeque<bool>,
    decisions_from: usize,
    fresh_frames: Vec<Frame>,
    fresh_decisions: Vec<bool>,
    window: SlidingWindow,
}

impl std::fmt::Debug for Extractor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extractor").field("position", &self.position()).finish_non_exhaustive()
    }
}

impl Default for Extractor {
    fn default() -> Self {
        Self {
            analyzer: Analyzer::new(),
            activity: Activity::default(),
            baseline: Baseline::new(),
            delivery: DeliveryMeter::default(),
            delivery_from: Some(0),
            origin: 0,
            taken: 0,
            frames: VecDeque::new(),
            decisions: VecDeque::new(),
            decisions_from: 0,
            fresh_frames: Vec::new(),
            fresh_decisions: Vec::new(),
            window: SlidingWindow::default(),
        }
    }
}

impl Extractor {
    /// The names of a row's values, in order.
    pub fn names() -> Vec<&'static str> {
        prosody::trained::FUNCTIONAL_NAMES.iter().chain(&RELATIVE_NAMES).copied().collect()
    }

    /// Position of the next sample.
    pub fn position(&self) -> u64 {
        self.origin + self.taken
    }

    /// Lets rows also tell the functionals of eGeMAPSv02, of what comes from now on.
    pub fn tell_functionals(&mut self) {
        self.delivery.tell_functionals();
    }

    /// Begins with what earlier calls have told of the speaker. The emotion model's own baseline begins anew: it was
    /// trained that way.
    pub fn resume(&mut self, usual: Usual) {
        self.delivery.resume(usual);
    }

    /// What is usual for the speaker; `None` before 3 s of speech.
    pub fn usual(&self) -> Option<&Usual> {
        self.delivery.usual()
    }

    /// Takes samples (8 kHz, [-1, 1]); gives out every finished frame and appends every finished row.
    pub fn push(&mut self, samples: &[f32], frames: FrameSink<'_>, rows: &mut Vec<Row>) {
        // Whole seconds at most at a time, so that one long push needs no more memory than many short ones.
        for piece in samples.chunks(SAMPLE_RATE_HZ as usize) {
            self.analyzer.push(piece, &mut self.fresh_frames);
            self.activity.push(piece, &mut self.fresh_decisions);
            if self.delivery_from.is_some() {
                self.delivery.push(piece);
            }
            self.taken += piece.len() as u64;
            self.frames.extend(self.fresh_frames.drain(..));
            self.decisions.extend(self.fresh_decisions.drain(..));
            self.pair(frames, rows);
        }
    }

    /// Whether work is spared from now on: every second row is left out, and delivery is not followed.
    pub fn spare(&mut self, spared: bool) {
        if spared {
            self.delivery_from = None;
        } else if self.delivery_from.is_none() {
            self.delivery.skip_to(self.position());
            self.delivery_from = Some(self.position());
        }
    }

    /// Tells that the `samples` after the next `after` ones are going to be made up, because packets did not come.
    pub fn lose(&mut self, after: u64, samples: u64) {
        let from = self.position() + after;
        self.delivery.lose(from..from + samples);
    }

    /// Goes on at `position` after audio that will never come; the speaker's baseline is kept.
    ///
    /// The window starts afresh: a judgement never spans a gap.
    pub fn skip_to(&mut self, position: u64) {
        self.origin = position;
        self.taken = 0;
        self.analyzer = Analyzer::new();
        self.activity.reset();
        self.delivery.skip_to(position);
        self.delivery_from = self.delivery_from.map(|_| position);
        self.frames.clear();
        self.decisions.clear();
        self.decisions_from = 0;
        self.window = SlidingWindow::default();
    }

    /// Moves every frame whose speech decision is known into the window.
    fn pair(&mut self, sink: FrameSink<'_>, rows: &mut Vec<Row>) {
        while let Some(frame) = self.frames.front() {
            let middle = frame.position as usize + HOP / 2;
            let wanted = middle / ACTIVITY_STEP + ACTIVITY_LAG;
            let Some(&speech) = self.decisions.get(wanted - self.decisions_from) else { return };
            let mut frame = *frame;
            self.frames.pop_front();
            while self.decisions_from < wanted {
                self.decisions.pop_front();
                self.decisions_from += 1;
            }
            frame.position += self.origin;
            sink(&frame, speech);
            self.baseline.push(&frame, speech);
            if self.delivery_from.is_some_and(|from| frame.position >= from) {
                self.delivery.judge(speech);
            }
            self.window.push(&frame, speech);
            let step = frame.position / (STEP_FRAMES * HOP) as u64;
            if self.window.due() && (self.delivery_from.is_some() || step.is_multiple_of(2)) {
                rows.push(self.row(frame.position + HOP as u64));
            }
        }
    }

    fn row(&self, position: u64) -> Row {
        let (frames, speech) = self.window.parts();
        let mut values = [0.0; FEATURES];
        values[..FUNCTIONALS].copy_from_slice(&functionals(frames, speech));
        let [pitch, _, pitch_p90] = [values[0], values[1], values[2]];
        let [level, level_p90] = [values[LEVEL_MEDIAN], values[LEVEL_MEDIAN + 1]];
        let tilt = values[TILT_MEDIAN];
        let spoken_s = speech.iter().filter(|s| **s).count() as f32 / FRAMES_PER_S;
        let nuclei = frames.iter().zip(speech).filter(|(frame, speech)| **speech && frame.syllable).count() as f32;
        let rate = nuclei / spoken_s.max(0.1);
        let voiced = pitch > 0.0;
        let z = |feature, value, there: bool| if there { self.baseline.z(feature, value) } else { 0.0 };
        let relative = [
            z(Feature::Pitch, pitch, voiced),
            z(Feature::Pitch, pitch_p90, voiced),
            z(Feature::Level, level, true),
            z(Feature::Level, level_p90, true),
            z(Feature::SyllableRate, rate, true),
            z(Feature::Tilt, tilt, voiced),
            (self.baseline.speech_s() as f32 / BASELINE_KNOWN_S).min(1.0),
        ];
        values[FUNCTIONALS..].copy_from_slice(&relative);
        let evidence = Evidence {
            pitch_hz: if voiced { hertz(pitch) } else { 0.0 },
            pitch_z: relative[0],
            level_dbov: level,
            level_z: relative[2],
            syllables_per_s: nuclei * FRAMES_PER_S / frames.len().max(1) as f32,
            rate_z: relative[4],
            speech_share: spoken_s * FRAMES_PER_S / frames.len().max(1) as f32,
            delivery: self.delivery_from.map(|_| self.delivery.delivery()),
        };
        Row { position, values, evidence, tilt_z: relative[5] }
    }
}

/// Where the functionals keep the median level; its p90 follows.
const LEVEL_MEDIAN: usize = 6;
/// Where the functionals keep the median tilt.
const TILT_MEDIAN: usize = 11;

/// The inverse of [`semitones`].
fn hertz(st: f32) -> f32 {
    debug_assert!(semitones(55.0) == 0.0, "semitones count from 55 Hz");
    55.0 * (st / 12.0).exp2()
}

/// The last [`WINDOW_FRAMES`] frames as one slice: every frame stands twice, one window apart.
struct SlidingWindow {
    frames: Vec<Frame>,
    speech: Vec<bool>,
    taken: usize,
}

impl Default for SlidingWindow {
    fn default() -> Self {
        Self { frames: vec![Frame::silent(0); 2 * WINDOW_FRAMES], speech: vec![false; 2 * WINDOW_FRAMES], taken: 0 }
    }
}

impl SlidingWindow {
    fn push(&mut self, frame: &Frame, speech: bool) {
        let at = self.taken % WINDOW_FRAMES;
        for place in [at, at + WINDOW_FRAMES] {
            self.frames[place] = *frame;
            self.speech[place] = speech;
        }
        self.taken += 1;
    }

    /// True on every step that has enough speech to judge.
    fn due(&self) -> bool {
        if !self.taken.is_multiple_of(STEP_FRAMES) {
            return false;
        }
        let (_, speech) = self.parts();
        let recent = &speech[speech.len() - STEP_FRAMES.min(speech.len())..];
        let count = |part: &[bool]| part.iter().filter(|s| **s).count();
        count(speech) >= SPEECH_FRAMES_MIN && count(recent) >= RECENT_SPEECH_FRAMES_MIN
    }

    fn parts(&self) -> (&[Frame], &[bool]) {
        let (from, to) = if self.taken < WINDOW_FRAMES {
            (0, self.taken)
        } else {
            let from = self.taken % WINDOW_FRAMES;
            (from, from + WINDOW_FRAMES)
        };
        (&self.frames[from..to], &self.speech[from..to])
    }
}
