//! Decoded audio on its way out, and how it is made shorter or longer by one pitch period without a click.
//!
//! Overlap-add at the lag where the signal is most like itself (WSOLA, Verhelst and Roelands 1993). Allocates once.

/// The decoded audio of one leg: what was given out last, then what waits.
#[derive(Debug)]
pub(super) struct Audio {
    samples: Vec<i16>,
    /// The first sample that waits.
    read: usize,
    rate_hz: usize,
}

/// A change of length that may be heard, or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Care {
    /// The signal must be like itself at least so much, -1 to 1.
    pub(super) likeness_min: f32,
    /// Below this amplitude (root mean square) it needs no likeness.
    pub(super) silence_max: f32,
}

impl Audio {
    pub(super) fn new(rate_hz: u32) -> Self {
        let rate_hz = rate_hz as usize;
        let history = 2 * rate_hz / LAGS_PER_SECOND_MIN;
        let mut samples = Vec::with_capacity(rate_hz * CAPACITY_MS / 1_000);
        samples.resize(history, 0);
        Self { samples, read: history, rate_hz }
    }

    /// Samples that wait.
    pub(super) fn ready(&self) -> usize {
        self.samples.len() - self.read
    }

    /// Where more is appended.
    pub(super) fn tail(&mut self) -> &mut Vec<i16> {
        &mut self.samples
    }

    /// The newest `count` samples, or all that wait.
    pub(super) fn newest(&self, count: usize) -> &[i16] {
        &self.samples[self.samples.len() - count.min(self.ready())..]
    }

    /// Takes `covered` samples out that begin `from_end` samples before the end.
    pub(super) fn cut(&mut self, from_end: usize, covered: usize) {
        let from = self.samples.len() - from_end;
        self.samples.drain(from..from + covered.min(from_end));
    }

    /// Gives out a frame; what is missing is silence.
    pub(super) fn take(&mut self, frame: &mut [i16]) {
        let count = frame.len().min(self.ready());
        frame[..count].copy_from_slice(&self.samples[self.read..self.read + count]);
        frame[count..].fill(0);
        self.read += count;
        let history = 2 * self.lag_max();
        self.samples.drain(..self.read - history);
        self.read = history;
    }

    /// How much must wait, so that `shorten` can work.
    pub(super) fn needed_to_shorten(&self) -> usize {
        2 * self.lag_max()
    }

    /// How much must wait, so that `lengthen` can work.
    pub(super) fn needed_to_lengthen(&self) -> usize {
        self.lag_max()
    }

    /// Takes one period out of what waits; returns its samples, zero when it would be heard.
    pub(super) fn shorten(&mut self, care: Care) -> usize {
        if self.ready() < self.needed_to_shorten() {
            return 0;
        }
        let Some(lag) = self.best_lag(care, |read, lag| read + lag) else { return 0 };
        let (played, waiting) = self.samples[self.read..].split_at_mut(lag);
        for (n, (into, from)) in waiting.iter_mut().zip(played.iter()).enumerate() {
            *into = faded(*from, *into, n, lag);
        }
        self.read += lag;
        lag
    }

    /// Plays the last period once more; returns its samples, zero when it would be heard.
    pub(super) fn lengthen(&mut self, care: Care) -> usize {
        if self.ready() < self.needed_to_lengthen() || self.samples.len() + self.lag_max() > self.samples.capacity() {
            return 0;
        }
        let Some(lag) = self.best_lag(care, |read, lag| read - lag) else { return 0 };
        let (read, end) = (self.read, self.samples.len());
        self.samples.resize(end + lag, 0);
        self.samples.copy_within(read..end, read + lag);
        for n in 0..lag {
            self.samples[read + n] = faded(self.samples[read + n], self.samples[read + n - lag], n, lag);
        }
        lag
    }

    /// The lag at which what comes now is most like what stands at `other(read, lag)`.
    fn best_lag(&self, care: Care, other: impl Fn(usize, usize) -> usize) -> Option<usize> {
        let window = self.rate_hz / WINDOWS_PER_SECOND;
        let now = &self.samples[self.read..self.read + window];
        let energy_now = product(now, now);
        if (energy_now as f32 * PRODUCT_SCALE / window as f32).sqrt() < care.silence_max {
            return Some(self.lag_max());
        }
        let likeness = |lag: usize| {
            let from = other(self.read, lag);
            let there = &self.samples[from..from + window];
            let energy = product(there, there) as f32 * energy_now as f32;
            if energy > 0.0 { product(now, there) as f32 / energy.sqrt() } else { -1.0 }
        };
        let best = |lags: &mut dyn Iterator<Item = usize>| {
            lags.map(|lag| (likeness(lag), lag)).max_by(|a, b| a.0.total_cmp(&b.0))
        };
        // Steps of an eighth of a millisecond first, then the samples around the best of them.
        let step = (self.rate_hz / 8_000).max(1);
        let (lag_min, lag_max) = (self.rate_hz / LAGS_PER_SECOND_MAX, self.lag_max());
        let (_, coarse) = best(&mut (lag_min..=lag_max).step_by(step))?;
        let around = (coarse + 1).saturating_sub(step).max(lag_min)..(coarse + step).min(lag_max + 1);
        let (likeness, lag) = best(&mut around.into_iter())?;
        (likeness >= care.likeness_min).then_some(lag)
    }

    fn lag_max(&self) -> usize {
        self.rate_hz / LAGS_PER_SECOND_MIN
    }
}

/// Two packets of 120 ms, what was played, and what is put in.
const CAPACITY_MS: usize = 320;
/// The lowest pitch whose periods are found, Hz: 12.5 ms.
const LAGS_PER_SECOND_MIN: usize = 80;
/// The highest, Hz: 2.5 ms. Higher voices are cut by several periods.
const LAGS_PER_SECOND_MAX: usize = 400;
/// How much is compared: 10 ms.
const WINDOWS_PER_SECOND: usize = 100;
/// Samples lose this many bits, so that a sum of products fits 32 bits.
const PRODUCT_SHIFT: u32 = 4;
const PRODUCT_SCALE: f32 = (1 << (2 * PRODUCT_SHIFT)) as f32;

fn product(a: &[i16], b: &[i16]) -> i32 {
    a.iter().zip(b).map(|(a, b)| i32::from(a >> PRODUCT_SHIFT) * i32::from(b >> PRODUCT_SHIFT)).sum()
}

fn faded(from: i16, into: i16, n: usize, count: usize) -> i16 {
    let (n, count) = (n as i32, count as i32);
    ((i32::from(from) * (count - n) + i32::from(into) * n) / count) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARE: Care = Care { likeness_min: 0.8, silence_max: 10.0 };

    #[test]
    fn a_vowel_loses_and_gains_whole_periods() {
        for rate_hz in [8_000, 16_000] {
            for pitch_hz in [90.0, 120.0, 210.0, 330.0] {
                let period = f64::from(rate_hz) / pitch_hz;
                let mut audio = voiced(rate_hz, pitch_hz);
                let before = audio.ready();
                let removed = audio.shorten(CARE);
                assert_eq!(audio.ready(), before - removed);
                whole(removed, period);
                smooth(&mut audio, rate_hz);

                let mut audio = voiced(rate_hz, pitch_hz);
                let added = audio.lengthen(CARE);
                assert_eq!(audio.ready(), before + added);
                whole(added, period);
                smooth(&mut audio, rate_hz);
            }
        }
    }

    #[test]
    fn silence_is_cut_and_noise_is_not() {
        let mut audio = Audio::new(8_000);
        audio.tail().resize(600, 0);
        assert_eq!(audio.shorten(CARE), 100);
        let mut audio = Audio::new(8_000);
        let mut state = 1_u32;
        audio.tail().extend((0..600).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 18) as i16 - 8_192
        }));
        assert_eq!((audio.shorten(CARE), audio.lengthen(CARE)), (0, 0));
        assert!(audio.shorten(Care { likeness_min: -1.0, ..CARE }) > 0);
    }

    fn voiced(rate_hz: u32, pitch_hz: f64) -> Audio {
        let mut audio = Audio::new(rate_hz);
        let count = audio.samples.len() + rate_hz as usize / 10;
        audio.samples.clear();
        audio.samples.extend((0..count).map(|n| {
            let at = n as f64 * pitch_hz / f64::from(rate_hz) * std::f64::consts::TAU;
            (4_000.0 * at.sin() + 2_500.0 * (2.0 * at).sin() + 1_500.0 * (3.0 * at).cos()) as i16
        }));
        audio
    }

    #[track_caller]
    fn whole(count: usize, period: f64) {
        let periods = count as f64 / period;
        assert!(count > 0 && (periods - periods.round()).abs() < 0.1, "{count} samples are {periods} periods");
    }

    /// No step between samples is larger than the signal's own.
    #[track_caller]
    fn smooth(audio: &mut Audio, rate_hz: u32) {
        let mut heard = vec![audio.samples[audio.read - 1]];
        let mut frame = vec![0; rate_hz as usize / 20];
        audio.take(&mut frame);
        heard.extend(frame);
        let largest = heard.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max();
        let own = 14_000.0 * 330.0 * std::f64::consts::TAU / f64::from(rate_hz);
        assert!(f64::from(largest.expect("samples")) < own, "{largest:?} of {own}");
    }
}
