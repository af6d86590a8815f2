//! How fast somebody speaks and where they pause: syllable nuclei, rates, pauses of the last seconds.
//!
//! A nucleus is a voiced peak of the level between two dips (after de Jong & Wempe 2009).

use std::collections::VecDeque;

use crate::analyzer::Row;

/// How far the level must rise and fall around a nucleus, dB.
const DIP_DB: f32 = 2.0;
/// A nucleus lies at most so far below the loudest hop lately, dB, and that memory sinks so fast per hop.
const BELOW_DB: f32 = 25.0;
const FORGET_DB: f32 = 0.03;
/// Weights of the neighbouring hops that the level is smoothed over: a Hann window of 70 ms.
const WEIGHTS: [f32; 7] = [0.036_6, 0.125, 0.213_4, 0.25, 0.213_4, 0.125, 0.036_6];
/// The level of silence, dBov.
const SILENCE_DBOV: f32 = -127.0;

/// Finds syllable nuclei in the rows of one party.
#[derive(Debug, Clone)]
pub struct Syllables {
    levels: [f32; WEIGHTS.len()],
    voiced: [bool; WEIGHTS.len()],
    loudest: f32,
    valley: f32,
    /// The highest level since the valley, and whether there was a voice.
    peak: Option<(f32, bool)>,
}

impl Default for Syllables {
    fn default() -> Self {
        Self {
            levels: [SILENCE_DBOV; WEIGHTS.len()],
            voiced: [false; WEIGHTS.len()],
            loudest: SILENCE_DBOV,
            valley: SILENCE_DBOV,
            peak: None,
        }
    }
}

impl Syllables {
    /// Takes the next row; true when a nucleus has just ended: its level has fallen by 2 dB.
    pub fn push(&mut self, row: &Row) -> bool {
        self.levels.rotate_left(1);
        self.voiced.rotate_left(1);
        self.levels[WEIGHTS.len() - 1] = row.level.dbov;
        self.voiced[WEIGHTS.len() - 1] = row.pitch_hz.is_some();
        let level: f32 = self.levels.iter().zip(WEIGHTS).map(|(level, weight)| level * weight).sum();
        let voiced = self.voiced[WEIGHTS.len() / 2];
        self.loudest = (self.loudest - FORGET_DB).max(level);
        match &mut self.peak {
            None => {
                self.valley = self.valley.min(level);
                if level > self.valley + DIP_DB {
                    self.peak = Some((level, voiced));
                }
                false
            }
            Some((peak, was_voiced)) => {
                if level >= *peak {
                    (*peak, *was_voiced) = (level, voiced);
                }
                let (peak, was_voiced) = (*peak, *was_voiced);
                if level > peak - DIP_DB {
                    return false;
                }
                self.peak = None;
                self.valley = level;
                was_voiced && peak > self.loudest - BELOW_DB
            }
        }
    }
}

/// The shortest silence between two pieces of speech that is a pause: shorter ones are closures of stops. Hops.
const PAUSE_HOPS: usize = 25;
/// Hops that a rhythm is told of: 10 s.
const WINDOW_HOPS: usize = 1_000;
/// Hops per second.
const HOPS_PER_S: f32 = 100.0;

/// How somebody has spoken in the last 10 s.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rhythm {
    /// Syllable nuclei per second from the first to the last speech in the window, pauses included (de Jong & Wempe 2009);
    /// 0 and up.
    pub speaking_rate: f32,
    /// Syllable nuclei per second of speech without pauses (de Jong & Wempe 2009); 0 and up.
    pub articulation_rate: f32,
    /// Number of silences of 0.25 s and more (Goldman-Eisler 1968) with speech on both sides.
    pub pauses: usize,
    /// Their mean length, seconds; 0 without any.
    pub pause_mean_s: f32,
    /// Their share of the time from the first to the last speech, 0-1.
    pub pause_share: f32,
}

#[derive(Debug, Clone, Copy)]
struct Hop {
    speech: bool,
    nucleus: bool,
}

/// Follows the rhythm of one party. Holds 2 KiB; nothing grows.
#[derive(Debug, Clone)]
pub struct RhythmMeter {
    syllables: Syllables,
    hops: VecDeque<Hop>,
    nuclei: usize,
    /// Lengths of the runs of equal hops, oldest first; the first one is of `first_is_speech`.
    runs: VecDeque<usize>,
    first_is_speech: bool,
}

impl Default for RhythmMeter {
    fn default() -> Self {
        Self {
            syllables: Syllables::default(),
            hops: VecDeque::with_capacity(WINDOW_HOPS),
            nuclei: 0,
            runs: VecDeque::with_capacity(WINDOW_HOPS),
            first_is_speech: false,
        }
    }
}

impl RhythmMeter {
    /// Takes the next row and whether it is speech; true when a syllable nucleus has just ended.
    pub fn push(&mut self, row: &Row, speech: bool) -> bool {
        if self.hops.len() == WINDOW_HOPS {
            self.forget_oldest();
        }
        let nucleus = self.syllables.push(row);
        match self.hops.back() {
            Some(last) if last.speech == speech => *self.runs.back_mut().expect("a run for every hop") += 1,
            last => {
                if last.is_none() {
                    self.first_is_speech = speech;
                }
                self.runs.push_back(1);
            }
        }
        self.hops.push_back(Hop { speech, nucleus });
        self.nuclei += usize::from(nucleus);
        nucleus
    }

    /// What it is like now.
    pub fn rhythm(&self) -> Rhythm {
        let (mut whole, mut paused, mut pauses) = (0, 0, 0);
        let last = self.runs.len().saturating_sub(1);
        for (i, hops) in self.runs.iter().enumerate() {
            let speech = self.first_is_speech == i.is_multiple_of(2);
            let between = i > 0 && i < last;
            if speech || between {
                whole += hops;
            }
            if !speech && between && *hops >= PAUSE_HOPS {
                paused += hops;
                pauses += 1;
            }
        }
        if whole == 0 {
            return Rhythm::default();
        }
        let rate = |hops: usize| self.nuclei as f32 * HOPS_PER_S / hops.max(1) as f32;
        Rhythm {
            speaking_rate: rate(whole),
            articulation_rate: rate(whole - paused),
            pauses,
            pause_mean_s: paused as f32 / HOPS_PER_S / pauses.max(1) as f32,
            pause_share: paused as f32 / whole as f32,
        }
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.hops.pop_front() else { return };
        self.nuclei -= usize::from(oldest.nucleus);
        let run = self.runs.front_mut().expect("a run for every hop");
        *run -= 1;
        if *run == 0 {
            self.runs.pop_front();
            self.first_is_speech = !self.first_is_speech;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DESCRIPTORS;
    use crate::quality::Level;

    #[test]
    fn nuclei_of_a_level_that_swings() {
        // Five swings of 12 dB per second for 6 s.
        let meter = meter(600, |i| -30.0 + 6.0 * (std::f32::consts::TAU * 5.0 * i as f32 / 100.0).sin(), |_| true);
        assert!((meter.rhythm().articulation_rate - 5.0).abs() < 0.3, "{:?}", meter.rhythm());
        assert_eq!((meter.rhythm().pauses, meter.rhythm().pause_share), (0, 0.0));
    }

    #[test]
    fn ripples_and_noises_are_no_syllables() {
        let ripple = meter(600, |i| -30.0 + 0.9 * (std::f32::consts::TAU * 5.0 * i as f32 / 100.0).sin(), |_| true);
        assert!(ripple.rhythm().speaking_rate < 0.4, "{:?}", ripple.rhythm());
    }

    #[test]
    fn pauses_are_silences_between_speech() {
        // 2 s of speech, 0.5 s of silence, 1 s, a closure of 0.1 s, 1 s, then nothing more.
        let speech = |i: usize| matches!(i, 0..200 | 250..350 | 360..460);
        let rhythm = meter(600, |_| -30.0, speech).rhythm();
        assert_eq!((rhythm.pauses, rhythm.pause_mean_s), (1, 0.5));
        assert!((rhythm.pause_share - 50.0 / 460.0).abs() < 1e-6, "{rhythm:?}");
    }

    #[test]
    fn what_is_older_than_ten_seconds_counts_no_more() {
        let speech = |i: usize| i >= 1_000 || i % 100 < 50;
        let rhythm = meter(2_000, |_| -30.0, speech).rhythm();
        assert_eq!((rhythm.pauses, rhythm.pause_share), (0, 0.0));
    }

    fn meter(hops: usize, level: impl Fn(usize) -> f32, speech: impl Fn(usize) -> bool) -> RhythmMeter {
        let mut meter = RhythmMeter::default();
        for i in 0..hops {
            let row = Row {
                position: 80 * i as u64,
                pitch_hz: Some(150.0),
                voicing: 1.0,
                level: Level { dbov: level(i), peak: 0.1, clipped: 0.0 },
                descriptors: [0.0; DESCRIPTORS],
            };
            meter.push(&row, speech(i));
        }
        meter
    }
}
