//! From samples to the steps that the encoder takes.

use std::collections::VecDeque;

use prosody::SampleRate;
use prosody::logmel::{LogMel, LogMelSettings};

use super::{CONTEXT_HOPS, ENERGIES, FRAMES, STEP_HOPS, STEPS};
use crate::features::{HOP, SCALE_16_BIT};

/// Speech hops that a step needs to be encoded: 50 ms.
const SPEECH_HOPS_MIN: usize = 5;

/// Half a second of one voice.
#[derive(Debug, Clone, PartialEq)]
pub struct SoundStep {
    /// Its end, samples from the start of the party's audio.
    pub(super) end: u64,
    /// Nothing before it belongs to it: audio was lost.
    pub(super) begins: bool,
    /// By hop, those of the context first: natural logarithms of power, of 16-bit values.
    pub(super) energies: Vec<f32>,
    /// Per frame of two hops: 1 where both are speech, else 0.
    pub(super) speech: [f32; FRAMES],
}

/// Makes steps of one party's samples. Holds about 50 KiB and at most 3 s of steps; nothing grows.
#[derive(Debug)]
pub(crate) struct Meter {
    log_mel: LogMel,
    scaled: Vec<f32>,
    fresh: Vec<f32>,
    /// Energies of the hops of which it is not known yet whether they are speech.
    waiting: VecDeque<[f32; ENERGIES]>,
    /// Those of the context, and what there is of the step.
    energies: Vec<f32>,
    speech: Vec<bool>,
    begins: bool,
    steps: VecDeque<SoundStep>,
}

impl Default for Meter {
    fn default() -> Self {
        let settings = LogMelSettings::whisper(SampleRate::Hz8000);
        debug_assert_eq!(settings.bins, ENERGIES);
        Self {
            log_mel: LogMel::new(settings).expect("the settings are within their ranges"),
            scaled: Vec::new(),
            fresh: Vec::new(),
            waiting: VecDeque::new(),
            // Nothing was heard before.
            energies: vec![f32::EPSILON.ln(); CONTEXT_HOPS * ENERGIES],
            speech: Vec::with_capacity(STEP_HOPS),
            begins: true,
            steps: VecDeque::new(),
        }
    }
}

impl Meter {
    /// Takes the next samples (8 kHz, [-1, 1]).
    pub(crate) fn push(&mut self, samples: &[f32]) {
        // Of 16-bit values silence is far above the least that a logarithm is taken of.
        self.scaled.clear();
        self.scaled.extend(samples.iter().map(|sample| sample * SCALE_16_BIT));
        self.log_mel.push(&self.scaled, &mut self.fresh);
        self.waiting.extend(self.fresh.as_chunks().0);
        self.fresh.clear();
    }

    /// Tells whether the next hop, which begins at `position`, is speech.
    pub(crate) fn take(&mut self, position: u64, speech: bool) {
        let Some(energies) = self.waiting.pop_front() else { return };
        self.energies.extend(energies);
        self.speech.push(speech);
        if self.speech.len() < STEP_HOPS {
            return;
        }
        if self.speech.iter().filter(|speech| **speech).count() >= SPEECH_HOPS_MIN {
            // Those that nobody asked for are of a window that was never judged.
            if self.steps.len() == STEPS {
                self.steps.pop_front();
            }
            let both = |frame: usize| f32::from(u8::from(self.speech[2 * frame] && self.speech[2 * frame + 1]));
            self.steps.push_back(SoundStep {
                end: position + HOP as u64,
                begins: std::mem::take(&mut self.begins),
                energies: self.energies.clone(),
                speech: std::array::from_fn(both),
            });
        }
        self.energies.drain(..STEP_HOPS * ENERGIES);
        self.speech.clear();
    }

    /// The steps since they were last asked for, at most those of a window.
    pub(crate) fn steps(&mut self) -> Vec<SoundStep> {
        self.steps.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_steps_with_speech_are_told_and_never_more_than_a_window() {
        let mut meter = Meter::default();
        let tone: Vec<f32> = (0..10 * 8_000).map(|at| 0.1 * (at as f32 * 0.5).sin()).collect();
        meter.push(&tone);
        let hops = tone.len() / HOP;
        for hop in 0..hops {
            // The first three seconds are silent; of the third step after them four hops are speech.
            let speech = hop >= 300 && !(404..450).contains(&hop);
            meter.take((hop * HOP) as u64, speech);
            if hop + 1 == 500 {
                let ends: Vec<u64> = meter.steps().iter().map(|step| step.end / HOP as u64).collect();
                assert_eq!(ends, [350, 400, 500]);
            }
        }
        let steps = meter.steps();
        assert_eq!(steps.len(), STEPS, "the window's, of ten that there were");
        assert!(steps.iter().all(|step| !step.begins && step.energies.len() == (CONTEXT_HOPS + STEP_HOPS) * ENERGIES));
    }
}
