//! Call-progress tones as samples at 8 kHz: ringback, busy, congestion, a beep.
//!
//! Made once and played as any sound. A sound can be repeated end to end: no phase jumps and no click at the seam.

use std::f32::consts::TAU;

use crate::Sound;
use crate::wav::RATE_HZ;

/// Which country's telephones the caller is used to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Region {
    /// Mainland China (GF 002-9002): 450 Hz.
    China,
    /// North America.
    UnitedStates,
    /// The United Kingdom.
    UnitedKingdom,
    /// Continental Europe: 425 Hz (ETSI TR 101 041).
    Europe,
}

/// What a caller is told by a tone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The other telephone rings.
    Ringback,
    /// The other party talks to somebody.
    Busy,
    /// No way through.
    Congestion,
}

/// A tone as the standards write it.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    /// The sines that sound together, Hz; at most [`FREQUENCIES_MAX`] count.
    pub frequencies_hz: Vec<u32>,
    /// The level of each, dBm0.
    pub level_dbm0: f32,
    /// How long it sounds and how long it is silent, in turn; at most [`SPANS_MAX`] count.
    pub spans: Vec<Span>,
}

/// One sound and the silence after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// How long it sounds, at most [`SPAN_MS_MAX`].
    pub on_ms: u32,
    /// How long it is silent after that, at most [`SPAN_MS_MAX`].
    pub off_ms: u32,
}

/// The most sines at once.
pub const FREQUENCIES_MAX: usize = 4;
/// The most sounds in one pattern.
pub const SPANS_MAX: usize = 8;
/// The longest sound and the longest silence, milliseconds.
pub const SPAN_MS_MAX: u32 = 60_000;

/// The peak of a sine of 0 dBm0, of full scale: full scale is 3.14 dBm0 (ITU-T G.711).
pub const SINE_0_DBM0: f32 = 0.696_6;

impl Pattern {
    /// The tone of a region.
    pub fn of(region: Region, progress: Progress) -> Self {
        let (frequencies_hz, spans): (&[u32], &[(u32, u32)]) = match (region, progress) {
            (Region::China, Progress::Ringback) => (&[450], &[(1_000, 4_000)]),
            (Region::China, Progress::Busy) => (&[450], &[(350, 350)]),
            (Region::China, Progress::Congestion) => (&[450], &[(700, 700)]),
            (Region::UnitedStates, Progress::Ringback) => (&[440, 480], &[(2_000, 4_000)]),
            (Region::UnitedStates, Progress::Busy) => (&[480, 620], &[(500, 500)]),
            (Region::UnitedStates, Progress::Congestion) => (&[480, 620], &[(250, 250)]),
            (Region::UnitedKingdom, Progress::Ringback) => (&[400, 450], &[(400, 200), (400, 2_000)]),
            (Region::UnitedKingdom, Progress::Busy) => (&[400], &[(375, 375)]),
            (Region::UnitedKingdom, Progress::Congestion) => (&[400], &[(400, 350), (225, 525)]),
            (Region::Europe, Progress::Ringback) => (&[425], &[(1_000, 4_000)]),
            (Region::Europe, Progress::Busy) => (&[425], &[(500, 500)]),
            (Region::Europe, Progress::Congestion) => (&[425], &[(200, 200)]),
        };
        Self {
            frequencies_hz: frequencies_hz.to_vec(),
            level_dbm0: LEVEL_DBM0 - 3.0 * (frequencies_hz.len() - 1) as f32,
            spans: spans.iter().map(|&(on_ms, off_ms)| Span { on_ms, off_ms }).collect(),
        }
    }

    /// A short high tone: somebody listens or records.
    pub fn beep() -> Self {
        Self { frequencies_hz: vec![1_400], level_dbm0: -19.0, spans: vec![Span { on_ms: 250, off_ms: 50 }] }
    }

    /// One turn of the pattern.
    ///
    /// Each sound rises and falls within 5 ms. A pattern that is never silent has no pause to begin anew after: it
    /// is one sound without edges, made longer to the next whole number of periods of all its sines.
    pub fn render(&self) -> Sound {
        let spans = &self.spans[..self.spans.len().min(SPANS_MAX)];
        let mut samples = Vec::new();
        if spans.iter().all(|span| span.off_ms == 0) {
            let length: usize = spans.iter().map(|span| samples_in(span.on_ms)).sum();
            self.sines(length.next_multiple_of(self.period_samples()), 0, &mut samples);
            return Sound { samples };
        }

        for span in spans {
            self.sines(samples_in(span.on_ms), RAMP_SAMPLES, &mut samples);
            samples.resize(samples.len() + samples_in(span.off_ms), 0);
        }
        Sound { samples }
    }

    fn frequencies(&self) -> impl Iterator<Item = u32> {
        self.frequencies_hz.iter().copied().take(FREQUENCIES_MAX)
    }

    /// After so many samples every sine begins anew; a divisor of one second.
    fn period_samples(&self) -> usize {
        (RATE_HZ / self.frequencies().fold(RATE_HZ, common_divisor)) as usize
    }

    fn sines(&self, length: usize, ramp: usize, samples: &mut Vec<i16>) {
        let peak = f32::from(i16::MAX) * SINE_0_DBM0 * 10_f32.powf(self.level_dbm0 / 20.0);
        samples.extend((0..length).map(|n| {
            let sum: f32 = self.frequencies().map(|frequency_hz| sine(frequency_hz, n)).sum();
            (peak * sum * edge(n, length, ramp)).round() as i16
        }));
    }
}

/// The rise and fall of a sound: a factor that leaves and reaches zero without a corner.
pub(crate) fn edge(n: usize, length: usize, ramp: usize) -> f32 {
    let near = n.min(length.saturating_sub(n + 1));
    if near >= ramp { 1.0 } else { 0.5 - 0.5 * (TAU / 2.0 * near as f32 / ramp as f32).cos() }
}

/// The level of a single sine, dBm0; each of two is 3 dB lower.
const LEVEL_DBM0: f32 = -13.0;

/// 5 ms.
const RAMP_SAMPLES: usize = 40;

fn samples_in(duration_ms: u32) -> usize {
    duration_ms.min(SPAN_MS_MAX) as usize * RATE_HZ as usize / 1_000
}

/// The sample `n` of a sine; whole periods are taken off first, so that it is as exact in the last minute.
fn sine(frequency_hz: u32, n: usize) -> f32 {
    let turned = (u64::from(frequency_hz) * n as u64 % u64::from(RATE_HZ)) as f32;
    (TAU * turned / RATE_HZ as f32).sin()
}

fn common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGIONS: [Region; 4] = [Region::China, Region::UnitedStates, Region::UnitedKingdom, Region::Europe];
    const PROGRESS: [Progress; 3] = [Progress::Ringback, Progress::Busy, Progress::Congestion];

    /// The level of a mean square of one: a full-scale sine has 3.14 dBm0 (ITU-T G.711) and half of that square.
    const SQUARE_DBM0: f32 = 6.15;

    #[test]
    fn chinese_tones_have_their_times() {
        check(Progress::Ringback, 1_000, 5_000);
        check(Progress::Busy, 350, 700);
        check(Progress::Congestion, 700, 1_400);
    }

    #[test]
    fn every_tone_has_its_sines_and_nothing_else() {
        for (region, progress) in REGIONS.into_iter().flat_map(|region| PROGRESS.map(|progress| (region, progress))) {
            let pattern = Pattern::of(region, progress);
            let sound = pattern.render();
            let steady = &sound.samples[80..80 + 800];
            let expected = 10_f32.powf((pattern.level_dbm0 - SQUARE_DBM0) / 10.0) * 2.0;
            for &frequency_hz in &pattern.frequencies_hz {
                let ratio = power(steady, frequency_hz) / expected;
                assert!((0.98..1.02).contains(&ratio), "{region:?} {progress:?} {frequency_hz} Hz: {ratio}");
            }
            assert!(power(steady, 1_000) < expected / 1e4, "{region:?} {progress:?}");
            assert_eq!(sound.samples.last(), Some(&0), "it ends in its pause");
        }
    }

    #[test]
    fn repeating_makes_no_click() {
        for (region, progress) in REGIONS.into_iter().flat_map(|region| PROGRESS.map(|progress| (region, progress))) {
            let pattern = Pattern::of(region, progress);
            smooth(&pattern.render().samples, &pattern);
        }
        smooth(&Pattern::beep().render().samples, &Pattern::beep());
    }

    #[test]
    fn an_endless_tone_goes_on_at_the_seam() {
        for frequencies_hz in [vec![450], vec![440, 480], vec![425, 1_001]] {
            let pattern = Pattern { frequencies_hz, level_dbm0: -13.0, spans: vec![Span { on_ms: 333, off_ms: 0 }] };
            let turn = pattern.render().samples;
            assert!(turn.len() >= 333 * 8);
            let mut longer = pattern.clone();
            longer.spans[0].on_ms = 3_000;
            let longer = longer.render().samples;
            let repeated: Vec<i16> = turn.iter().chain(&turn).copied().take(longer.len()).collect();
            assert_eq!(repeated, longer[..repeated.len()]);
        }
    }

    #[test]
    fn nothing_to_play_is_an_empty_sound() {
        let pattern = Pattern { frequencies_hz: vec![], level_dbm0: 0.0, spans: vec![] };
        assert!(pattern.render().samples.is_empty());
    }

    #[track_caller]
    fn check(progress: Progress, on_ms: usize, turn_ms: usize) {
        let samples = Pattern::of(Region::China, progress).render().samples;
        assert_eq!(samples.len(), turn_ms * 8);
        assert!(samples[on_ms * 8..].iter().all(|sample| *sample == 0));
        assert!(samples[on_ms * 8 - 60..on_ms * 8].iter().any(|sample| sample.abs() > 1_000));
    }

    /// No second difference is larger than that of the sines themselves, at the seam neither.
    #[track_caller]
    fn smooth(turn: &[i16], pattern: &Pattern) {
        let twice: Vec<f32> = turn.iter().chain(turn).map(|sample| f32::from(*sample)).collect();
        let peak = f32::from(i16::MAX) * SINE_0_DBM0 * 10_f32.powf(pattern.level_dbm0 / 20.0);
        let bend_max: f32 = pattern.frequencies_hz.iter().map(|f| peak * (TAU * *f as f32 / 8_000.0).powi(2)).sum();
        let bend = twice.windows(3).map(|three| (three[0] - 2.0 * three[1] + three[2]).abs()).fold(0.0, f32::max);
        assert!(bend < 1.1 * bend_max + 4.0, "{bend} of {bend_max}");
    }

    /// The power of a sine of this frequency in steps of 5 Hz, of a full-scale square.
    fn power(samples: &[i16], frequency_hz: u32) -> f32 {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in samples.iter().enumerate() {
            let (sin, cos) = (TAU * frequency_hz as f32 * n as f32 / 8_000.0).sin_cos();
            re += f32::from(*sample) * cos;
            im += f32::from(*sample) * sin;
        }
        let scale = 2.0 / (samples.len() as f32 * 32_767.0);
        (re * scale).powi(2) + (im * scale).powi(2)
    }
}
