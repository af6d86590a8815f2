//! How a party speaks: prosody of the last seconds beside what is usual for the speaker, and how far to trust it.
//!
//! Stands beside the emotion model and feeds only readers; the model has its own features.

use std::collections::VecDeque;
use std::ops::Range;

use prosody::baseline::{FEATURES, LEVEL, SpeakerBaseline};
use prosody::functionals::{FUNCTIONALS, Functionals};
use prosody::quality::QualityMeter;
use prosody::rhythm::RhythmMeter;
use prosody::{Descriptor, Row, SampleRate, Smoother};

/// Pieces of lost audio that are remembered until their hops come; the oldest give way.
const LOST_MAX: usize = 64;
/// Hops that functionals are of: 3 s.
const FUNCTIONAL_HOPS: usize = 300;
/// Samples per hop.
const HOP: u64 = SampleRate::Hz8000.hop() as u64;

/// How a party speaks. Scores (`_z`) are robust standard scores of the newest second of speech against the speaker's
/// baseline, ±6, and 0 until 3 s of speech are known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Delivery {
    /// Syllables per second of the last 10 s from first to last speech.
    pub speaking_rate: f32,
    /// Syllables per second of speech without pauses.
    pub articulation_rate: f32,
    /// Share of pauses in that time, 0-1.
    pub pause_share: f32,
    /// Signal-to-noise ratio of the last 10 s, dB; `None` while too little is voiced.
    pub snr_db: Option<f32>,
    /// Share of the packets of the last 10 s that were lost on the way, 0-1; where nobody has told it, of the audio that was
    /// made up.
    pub lost_share: f32,
    /// Share of the samples of the last 10 s that are cut off at full scale, 0-1.
    pub clipped_share: f32,
    /// F0, median of the voiced hops as all of these.
    pub pitch_z: f32,
    /// Loudness.
    pub loudness_z: f32,
    /// Jitter.
    pub jitter_z: f32,
    /// Shimmer.
    pub shimmer_z: f32,
    /// Harmonics-to-noise ratio.
    pub harmonicity_z: f32,
    /// Alpha ratio: a pressed voice is brighter.
    pub alpha_ratio_z: f32,
    /// Level of speech.
    pub level_z: f32,
    /// Every feature of [`prosody::baseline`], in its order: those above among them.
    pub scores: [f32; FEATURES],
    /// The functionals of the last 3 s by [`FUNCTIONAL_NAMES`](prosody::functionals::FUNCTIONAL_NAMES); `None` where
    /// nobody asks for them.
    pub functionals: Option<[f32; FUNCTIONALS]>,
}

/// Follows one party. Holds about 10 KiB, and 50 KiB more with functionals; nothing grows.
pub(crate) struct DeliveryMeter {
    rhythm: RhythmMeter,
    quality: QualityMeter,
    functionals: Option<Described>,
    lost: VecDeque<Range<u64>>,
    /// The share of lost packets, where whoever receives them tells it.
    told_lost: Option<f32>,
}

impl Default for DeliveryMeter {
    fn default() -> Self {
        Self {
            rhythm: RhythmMeter::default(),
            quality: QualityMeter::default(),
            functionals: None,
            lost: VecDeque::with_capacity(LOST_MAX),
            told_lost: None,
        }
    }
}

/// The functionals, and what smooths the rows that they are of.
struct Described {
    smoother: Smoother,
    functionals: Functionals,
}

impl Default for Described {
    fn default() -> Self {
        Self { smoother: Smoother::default(), functionals: Functionals::new(FUNCTIONAL_HOPS) }
    }
}

impl Described {
    fn push(&mut self, row: &Row) {
        if let Some(smoothed) = self.smoother.push(row) {
            self.functionals.push(&smoothed);
        }
    }
}

impl DeliveryMeter {
    /// Tells functionals too, of the rows from now on.
    pub(crate) fn tell_functionals(&mut self) {
        self.functionals = Some(Described::default());
    }

    /// Tells that the samples at these positions, which are still to come, were made up.
    pub(crate) fn lose(&mut self, positions: Range<u64>) {
        if let Some(last) = self.lost.back_mut().filter(|last| last.end == positions.start) {
            last.end = positions.end;
            return;
        }
        if self.lost.len() == LOST_MAX {
            self.lost.pop_front();
        }
        self.lost.push_back(positions);
    }

    /// Tells what share of the packets is lost.
    pub(crate) fn tell_lost(&mut self, share: f32) {
        self.told_lost = Some(share);
    }

    /// Takes the next hop, whether it is speech and whether delivery is followed there; true when its audio was made up.
    pub(crate) fn take(&mut self, hop: &Row, speech: bool, followed: bool) -> bool {
        while self.lost.front().is_some_and(|lost| lost.end <= hop.position) {
            self.lost.pop_front();
        }
        let lost = self.lost.front().is_some_and(|lost| lost.start < hop.position + HOP);
        if followed {
            if let Some(described) = &mut self.functionals {
                described.push(hop);
            }
            self.rhythm.push(hop, speech);
            self.quality.push(&hop.level, hop.pitch_hz.is_some(), lost);
        }
        lost
    }

    /// Goes on at `position` after audio that will never come.
    pub(crate) fn skip_to(&mut self, position: u64) {
        if let Some(described) = &mut self.functionals {
            *described = Described::default();
        }
        self.lost.retain(|lost| lost.end > position);
    }

    /// What it is like now, beside what is usual for the speaker.
    pub(crate) fn delivery(&self, baseline: &SpeakerBaseline) -> Delivery {
        let rhythm = self.rhythm.rhythm();
        let quality = self.quality.quality();
        let scores = baseline.scores();
        let z = |descriptor: Descriptor| scores[descriptor as usize];
        Delivery {
            speaking_rate: rhythm.speaking_rate,
            articulation_rate: rhythm.articulation_rate,
            pause_share: rhythm.pause_share,
            snr_db: quality.snr_db,
            lost_share: self.told_lost.unwrap_or(quality.lost),
            clipped_share: quality.clipped,
            pitch_z: z(Descriptor::Pitch),
            loudness_z: z(Descriptor::Loudness),
            jitter_z: z(Descriptor::Jitter),
            shimmer_z: z(Descriptor::Shimmer),
            harmonicity_z: z(Descriptor::Harmonicity),
            alpha_ratio_z: z(Descriptor::AlphaRatio),
            level_z: scores[LEVEL],
            scores,
            functionals: self.functionals.as_ref().map(|described| described.functionals.values()),
        }
    }
}

#[cfg(test)]
mod tests {
    use prosody::Analyzer;
    use prosody::synthetic::{Kind, Plan, Voice, half_rate, telephone_band};

    use super::*;

    #[test]
    fn a_raised_voice_stands_out_and_losses_are_counted() {
        let (mut meter, mut baseline) = (DeliveryMeter::default(), SpeakerBaseline::default());
        speak(&mut meter, &mut baseline, 120.0, 0.5, 0..1_200);
        let calm = meter.delivery(&baseline);
        assert!(calm.pitch_z.abs() < 3.0 && calm.level_z.abs() < 3.0, "{calm:?}");
        assert!(calm.speaking_rate > 1.5 && calm.speaking_rate < 8.0 && calm.lost_share == 0.0, "{calm:?}");
        assert!(calm.snr_db.is_some_and(|db| db > 15.0), "{calm:?}");
        meter.lose(96_000..96_000 + 8_000);
        speak(&mut meter, &mut baseline, 200.0, 2.0, 1_200..1_600);
        let raised = meter.delivery(&baseline);
        assert!(raised.pitch_z > 2.0 && raised.loudness_z > 2.0 && raised.level_z > 1.5, "{raised:?}");
        assert!((raised.lost_share - 0.1).abs() < 0.01, "{raised:?}");
    }

    #[test]
    fn functionals_are_those_of_the_last_three_seconds_where_they_are_asked_for() {
        let (mut meter, mut baseline) = (DeliveryMeter::default(), SpeakerBaseline::default());
        meter.tell_functionals();
        speak(&mut meter, &mut baseline, 120.0, 0.5, 0..400);
        speak(&mut meter, &mut baseline, 220.0, 0.5, 400..800);
        let values = meter.delivery(&baseline).functionals.expect("they are asked for");
        let mean_semitones = values[0];
        assert!((mean_semitones - prosody::semitones(220.0)).abs() < 3.0, "{mean_semitones}");
        assert!(values.iter().all(|value| value.is_finite()));
        assert_eq!(DeliveryMeter::default().delivery(&baseline).functionals, None);
    }

    /// Speaks during these hops of the stream.
    fn speak(meter: &mut DeliveryMeter, baseline: &mut SpeakerBaseline, pitch_hz: f32, gain: f32, hops: Range<usize>) {
        let voice = Voice::of(&Plan { seconds: hops.len() as f32 / 100.0, ..Plan::new(Kind::Phrases, pitch_hz, 77) });
        let samples: Vec<f32> = telephone_band(&half_rate(&voice.samples)).iter().map(|s| gain * s).collect();
        let (mut analyzer, mut rows) = (Analyzer::new(SampleRate::Hz8000), Vec::new());
        analyzer.push(&samples, &mut rows);
        analyzer.finish(&mut rows);
        for (i, mut hop) in rows.into_iter().enumerate().take(hops.len()) {
            hop.position += hops.start as u64 * HOP;
            let speech = voice.pitch_hz.get(10 * i + 5).is_some_and(|hz| *hz > 0.0);
            let lost = meter.take(&hop, speech, true);
            baseline.push(&hop, speech && !lost);
        }
    }
}
