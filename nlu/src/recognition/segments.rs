//! One party's audio cut into stretches of speech, as a recogniser that decodes whole utterances wants them.
//!
//! A stretch begins a little before speech does, ends after a pause, and is cut at its quietest moment when nobody pauses.

use std::collections::VecDeque;

use crate::activity::{ACTIVITY_STEP, Activity};

/// Audio kept before speech begins: the detector's lag and soft first sounds. Samples (240 ms).
const BEFORE: usize = 15 * ACTIVITY_STEP;
/// A pause this long ends a stretch, steps of 16 ms (400 ms).
const PAUSE_STEPS: usize = 25;
/// Less speech than this is no word, steps (128 ms).
const SPEECH_STEPS_MIN: usize = 8;
/// The longest stretch, samples (10 s).
const STRETCH_MAX: usize = 80_000;
/// Where a stretch that is too long may be cut: its last 2 s.
const CUT_WITHIN: usize = 16_000;
/// Audio of stretches that may wait to be decoded, samples (10 min, as much as waits for the recogniser itself); the oldest
/// stretches give way.
const WAITING_MAX: usize = 10 * 60 * 8_000;
/// Lost audio up to this long is taken as silence; longer gaps end a stretch. Samples (200 ms).
const SILENCE_SAMPLES_MAX: u64 = 1_600;
/// How often a stretch that goes on is looked at, samples (1.5 s).
const LOOK_EVERY: usize = 12_000;
/// How much of it is looked at, samples (3.2 s).
const LOOK_AT: usize = 25_600;

/// A stretch of speech.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stretch {
    /// Position of the first sample.
    pub(super) start: u64,
    /// 8 kHz, [-1, 1].
    pub(super) samples: Vec<f32>,
}

/// Cuts one party's audio. Holds at most 10 s of it, and 10 min of stretches that wait.
#[derive(Debug, Default)]
pub(super) struct Segmenter {
    activity: Activity,
    decisions: Vec<bool>,
    /// The stretch that goes on, or the audio before the next one.
    heard: Vec<f32>,
    /// Position of `heard[0]`.
    start: u64,
    /// Samples of `heard` that the detector has judged.
    judged: usize,
    speaks: bool,
    speech_steps: usize,
    silent_steps: usize,
    looked_at: usize,
    waiting: VecDeque<Stretch>,
    /// Samples of them.
    waiting_samples: usize,
    dropped: u64,
}

impl Segmenter {
    /// Takes samples at 8 kHz.
    pub(super) fn push(&mut self, samples: &[f32]) {
        for step in samples.chunks(ACTIVITY_STEP) {
            self.heard.extend_from_slice(step);
            self.activity.push(step, &mut self.decisions);
            for speech in std::mem::take(&mut self.decisions) {
                self.step(speech);
            }
        }
    }

    /// Goes on behind audio that will never come.
    pub(super) fn skip(&mut self, samples: u64) {
        if samples <= SILENCE_SAMPLES_MAX {
            return self.push(&vec![0.0; samples as usize]);
        }
        self.finish();
        self.start += self.heard.len() as u64 + samples;
        self.heard.clear();
        self.judged = 0;
        self.activity.reset();
    }

    /// Ends the stretch that goes on, if there is one.
    pub(super) fn finish(&mut self) {
        if self.speaks {
            self.end(self.heard.len());
        }
    }

    /// The oldest stretch that has ended.
    pub(super) fn next(&mut self) -> Option<Stretch> {
        let stretch = self.waiting.pop_front()?;
        self.waiting_samples -= stretch.samples.len();
        Some(stretch)
    }

    /// The end of the stretch that goes on, when it is time to look at it again.
    pub(super) fn look(&mut self) -> Option<Stretch> {
        if !self.speaks || self.heard.len() < self.looked_at + LOOK_EVERY {
            return None;
        }
        self.looked_at = self.heard.len();
        let from = self.heard.len().saturating_sub(LOOK_AT);
        Some(Stretch { start: self.start + from as u64, samples: self.heard[from..].to_vec() })
    }

    /// Where the stretch that goes on begins.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Stretches that were dropped because too many waited.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    fn step(&mut self, speech: bool) {
        self.judged += ACTIVITY_STEP;
        self.silent_steps = if speech { 0 } else { self.silent_steps + 1 };
        self.speech_steps += usize::from(speech);
        match self.speaks {
            false if speech => (self.speaks, self.looked_at) = (true, 0),
            false => {
                self.speech_steps = 0;
                self.forget(self.judged.saturating_sub(BEFORE));
            }
            true if self.silent_steps >= PAUSE_STEPS => self.end(self.judged),
            true if self.judged >= STRETCH_MAX => {
                let silent_steps = self.silent_steps;
                self.end(quietest(&self.heard[..self.judged]));
                // What stays behind the cut was said, too.
                let speech_steps = (self.judged / ACTIVITY_STEP).saturating_sub(silent_steps);
                (self.speaks, self.looked_at) = (true, 0);
                (self.speech_steps, self.silent_steps) = (speech_steps, silent_steps);
            }
            true => {}
        }
    }

    /// Hands over the first `length` samples as a stretch; what is behind them stays.
    fn end(&mut self, length: usize) {
        if self.speech_steps >= SPEECH_STEPS_MIN {
            self.waiting_samples += length;
            while self.waiting_samples > WAITING_MAX && self.next().is_some() {
                self.dropped += 1;
            }
            self.waiting.push_back(Stretch { start: self.start, samples: self.heard[..length].to_vec() });
        }
        self.forget(length);
        (self.speaks, self.speech_steps, self.silent_steps) = (false, 0, 0);
    }

    fn forget(&mut self, samples: usize) {
        self.heard.drain(..samples);
        self.judged = self.judged.saturating_sub(samples);
        self.start += samples as u64;
    }
}

/// The end of the quietest step within the last seconds.
fn quietest(samples: &[f32]) -> usize {
    let from = samples.len().saturating_sub(CUT_WITHIN);
    let power = |step: &[f32]| step.iter().map(|sample| sample * sample).sum::<f32>();
    let steps = samples[from..].chunks_exact(ACTIVITY_STEP).map(power).enumerate();
    let quietest = steps.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(step, _)| step + 1);
    from + quietest * ACTIVITY_STEP
}

#[cfg(test)]
mod tests {
    use prosody::synthetic::{Kind, Plan, Voice, half_rate, telephone_band};

    use super::*;

    #[test]
    fn speech_between_pauses_is_a_stretch() {
        let mut audio = vec![0.0; 8_000];
        audio.extend(speech(2.0));
        audio.extend(vec![0.0; 8_000]);
        audio.extend(speech(2.0));
        audio.extend(vec![0.0; 8_000]);
        for chunk in [80, 160, 1_000] {
            let stretches = cut(&audio, chunk);
            assert_eq!(stretches.len(), 2, "{:?}", ends(&stretches));
            let [(a, b), (c, d)] = ends(&stretches)[..] else { panic!() };
            assert!((5_000..8_500).contains(&a) && (22_000..29_000).contains(&b), "{a}-{b}");
            assert!((29_000..33_500).contains(&c) && (46_000..53_000).contains(&d), "{c}-{d}");
        }
    }

    #[test]
    fn chunks_do_not_matter_and_positions_are_those_of_the_audio() {
        let mut audio = vec![0.0; 4_001];
        audio.extend(speech(2.5));
        audio.extend(vec![0.0; 6_000]);
        let whole = cut(&audio, 160);
        assert!(!whole.is_empty());
        for stretch in &whole {
            let start = stretch.start as usize;
            assert_eq!(stretch.samples, audio[start..start + stretch.samples.len()]);
        }
        for chunk in [1, 37, 128, 5_000] {
            assert_eq!(ends(&cut(&audio, chunk)), ends(&whole), "in chunks of {chunk}");
        }
    }

    #[test]
    fn endless_speech_is_cut_and_nothing_of_it_is_lost() {
        let audio = speech(25.0);
        let stretches = cut(&audio, 160);
        assert!(stretches.len() >= 2, "{:?}", ends(&stretches));
        assert!(stretches.iter().all(|stretch| stretch.samples.len() <= STRETCH_MAX));
    }

    #[test]
    fn a_gap_ends_a_stretch_and_moves_positions() {
        let mut segmenter = Segmenter::default();
        segmenter.push(&speech(2.0));
        segmenter.skip(40_000);
        let before = segmenter.next().expect("a stretch");
        assert!(before.start + before.samples.len() as u64 <= 16_000);
        segmenter.push(&speech(2.0));
        segmenter.finish();
        let after = segmenter.next().expect("a stretch");
        assert!(after.start >= 56_000, "{}", after.start);
    }

    #[test]
    fn what_stays_behind_a_cut_is_not_lost() {
        for rest in [1, 6, 20] {
            let mut segmenter = Segmenter::default();
            take(&mut segmenter, true, STRETCH_MAX / ACTIVITY_STEP + rest);
            take(&mut segmenter, false, PAUSE_STEPS);
            let stretches: Vec<Stretch> = std::iter::from_fn(|| segmenter.next()).collect();
            let [(0, cut), (from, end)] = ends(&stretches)[..] else { panic!("{:?}", ends(&stretches)) };
            assert_eq!((from, end as usize), (cut, STRETCH_MAX + (rest + PAUSE_STEPS) * ACTIVITY_STEP));
        }
        // Nothing but the beginning of a pause stays.
        let mut segmenter = Segmenter::default();
        take(&mut segmenter, true, STRETCH_MAX / ACTIVITY_STEP - PAUSE_STEPS + 1);
        segmenter.heard.fill(0.2);
        take(&mut segmenter, false, 2 * PAUSE_STEPS);
        assert_eq!(std::iter::from_fn(|| segmenter.next()).count(), 1);
    }

    /// Has a segmenter take steps that were judged already.
    fn take(segmenter: &mut Segmenter, speech: bool, steps: usize) {
        for _ in 0..steps {
            segmenter.heard.extend([0.1; ACTIVITY_STEP]);
            segmenter.step(speech);
        }
    }

    #[test]
    fn a_minute_in_one_go_waits_as_it_is() {
        let said = speech(1.5);
        let mut segmenter = Segmenter::default();
        for _ in 0..30 {
            segmenter.push(&said);
            segmenter.skip(4_000);
        }
        let starts: Vec<u64> = std::iter::from_fn(|| segmenter.next()).map(|stretch| stretch.start).collect();
        let every = said.len() as u64 + 4_000;
        let is_there = |number: u64| starts.iter().any(|start| start / every == number);
        assert!((0..30).all(is_there), "{starts:?}");
        assert_eq!(segmenter.dropped(), 0);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut segmenter = Segmenter::default();
        for _ in 0..70 {
            take(&mut segmenter, true, 560);
            take(&mut segmenter, false, PAUSE_STEPS);
        }
        assert!(segmenter.dropped() >= 3, "{}", segmenter.dropped());
        let left: usize = std::iter::from_fn(|| segmenter.next()).map(|stretch| stretch.samples.len()).sum();
        assert!((WAITING_MAX - STRETCH_MAX..=WAITING_MAX).contains(&left), "{left}");
        assert_eq!(segmenter.waiting_samples, 0);
    }

    fn cut(audio: &[f32], chunk: usize) -> Vec<Stretch> {
        let mut segmenter = Segmenter::default();
        audio.chunks(chunk).for_each(|chunk| segmenter.push(chunk));
        segmenter.finish();
        std::iter::from_fn(|| segmenter.next()).collect()
    }

    fn ends(stretches: &[Stretch]) -> Vec<(u64, u64)> {
        stretches.iter().map(|s| (s.start, s.start + s.samples.len() as u64)).collect()
    }

    fn speech(seconds: f32) -> Vec<f32> {
        let voice = Voice::of(&Plan { seconds, ..Plan::new(Kind::Phrases, 140.0, 5) });
        telephone_band(&half_rate(&voice.samples))
    }
}
