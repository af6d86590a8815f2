//! Fills gaps in waveform-coded speech by repeating its last pitch cycles (the method of ITU-T G.711 Appendix I).
//!
//! Unlike the Appendix it delays nothing: where the repetition begins, its step against the last sample fades out.
//! Works at the codec's own rate, 8 or 16 kHz. Opus conceals by itself.

/// Pitch that is looked for: 66 to 200 Hz; higher voices are found at a multiple of their period.
const PERIOD_US_MAX: u32 = 15_000;
const PERIOD_US_MIN: u32 = 5_000;
/// How much of the past is compared.
const WINDOW_US: u32 = 20_000;
/// The past that is kept: three of the longest cycles and the quarter that joins them.
const HISTORY_US: u32 = 48_750;
/// From when on two and three cycles are repeated instead of one.
const SECOND_CYCLE_US: u32 = 10_000;
const THIRD_CYCLE_US: u32 = 20_000;
/// How long a gap sounds as loud as what was before, and from when on nothing is left to hear.
const FULL_US: u32 = 10_000;
const SILENT_US: u32 = 60_000;

/// One stream's memory of what was heard.
#[derive(Debug)]
pub(super) struct Concealer {
    rate_hz: u32,
    /// The last samples that were given out, oldest first.
    history: Vec<f32>,
    /// The cycles that are being repeated; `cycles_len` of it count.
    cycles: Vec<f32>,
    cycles_len: usize,
    position: usize,
    period: usize,
    /// The last sample of the repetition, before it was faded.
    last: f32,
    /// The step at the last seam, and how many samples it still has to fade.
    step: f32,
    step_left: usize,
    /// The good past that the gap began with.
    before: Vec<f32>,
    /// Samples concealed since the last good one.
    gap: usize,
}

impl Concealer {
    pub(super) fn new(rate_hz: u32) -> Self {
        let history = samples(rate_hz, HISTORY_US);
        Self {
            rate_hz,
            history: vec![0.0; history],
            cycles: vec![0.0; 3 * samples(rate_hz, PERIOD_US_MAX)],
            cycles_len: 1,
            position: 0,
            period: 1,
            last: 0.0,
            step: 0.0,
            step_left: 0,
            before: vec![0.0; history],
            gap: 0,
        }
    }

    /// Takes good samples; after a gap their beginning is blended with what the gap would have gone on with.
    pub(super) fn good(&mut self, audio: &mut [i16]) {
        if self.gap > 0 {
            let overlap = self.overlap_after_gap().min(audio.len());
            for (n, sample) in audio[..overlap].iter_mut().enumerate() {
                let weight = (n + 1) as f32 / (overlap + 1) as f32;
                let blended = f32::from(*sample) * weight + self.next() * (1.0 - weight);
                *sample = blended.round() as i16;
            }
            self.gap = 0;
        }
        self.remember(audio);
    }

    /// Writes what may have been there.
    pub(super) fn lost(&mut self, audio: &mut [i16]) {
        for sample in audio.iter_mut() {
            if self.gap == 0 {
                self.start();
            }
            *sample = self.next().round() as i16;
        }
        self.remember(audio);
    }

    fn overlap_after_gap(&self) -> usize {
        // A quarter of a cycle, and 4 ms more for each 10 ms of gap, 10 ms at most.
        let more = self.gap * 4 / 10;
        (self.period / 4 + more).min(samples(self.rate_hz, 10_000))
    }

    fn start(&mut self) {
        self.before.copy_from_slice(&self.history);
        self.period = self.find_period();
        self.last = self.before[self.before.len() - 1];
        self.repeat(1, 0);
    }

    /// Takes the last `count` cycles as what is repeated, going on at `position`.
    fn repeat(&mut self, count: usize, position: usize) {
        let quarter = self.period / 4;
        self.cycles_len = count * self.period;
        let from = self.before.len() - self.cycles_len;
        self.cycles[..self.cycles_len].copy_from_slice(&self.before[from..]);
        // The end of the last cycle turns into what came before the first one, so that the repetition has no seam.
        for n in 0..quarter {
            let weight = (n + 1) as f32 / (quarter + 1) as f32;
            let end = self.cycles_len - quarter + n;
            self.cycles[end] = self.cycles[end] * (1.0 - weight) + self.before[from - quarter + n] * weight;
        }
        self.position = position % self.cycles_len;
        self.step = self.last - self.cycles[(self.position + self.cycles_len - 1) % self.cycles_len];
        self.step_left = quarter;
    }

    fn next(&mut self) -> f32 {
        let at_us = self.gap as u64 * 1_000_000 / u64::from(self.rate_hz);
        self.gap += 1;
        if at_us >= u64::from(SILENT_US) {
            return 0.0;
        }
        let at_us = at_us as u32;
        let cycles = self.cycles_len / self.period;
        let wanted = 1 + usize::from(at_us >= SECOND_CYCLE_US) + usize::from(at_us >= THIRD_CYCLE_US);
        if cycles < wanted {
            self.repeat(wanted, self.position);
        }
        let mut sample = self.cycles[self.position];
        self.position = (self.position + 1) % self.cycles_len;
        if self.step_left > 0 {
            sample += self.step * self.step_left as f32 / (self.period / 4 + 1) as f32;
            self.step_left -= 1;
        }
        self.last = sample;
        let fade = 1.0 - at_us.saturating_sub(FULL_US) as f32 / (SILENT_US - FULL_US) as f32;
        sample * fade
    }

    /// The lag at which the recent past resembles itself most (normalised cross-correlation), samples.
    fn find_period(&self) -> usize {
        let (shortest, longest) = (samples(self.rate_hz, PERIOD_US_MIN), samples(self.rate_hz, PERIOD_US_MAX));
        // Every second lag and sample (of 8 kHz) first, then all around the best.
        let step = samples(self.rate_hz, 250);
        let coarse = self.best_lag(shortest, longest, step);
        self.best_lag(coarse.saturating_sub(step).max(shortest), (coarse + step).min(longest), 1)
    }

    fn best_lag(&self, from: usize, to: usize, step: usize) -> usize {
        let window = samples(self.rate_hz, WINDOW_US);
        let end = self.before.len();
        let recent = &self.before[end - window..];
        let mut best = (f32::MIN, from);
        for lag in (from..=to).step_by(step) {
            let past = &self.before[end - window - lag..end - lag];
            let (mut product, mut energy) = (0.0_f32, 1.0_f32);
            for (a, b) in recent.iter().zip(past).step_by(step) {
                product += a * b;
                energy += b * b;
            }
            let likeness = product / energy.sqrt();
            if likeness > best.0 {
                best = (likeness, lag);
            }
        }
        best.1
    }

    fn remember(&mut self, audio: &[i16]) {
        let kept = self.history.len();
        let new = &audio[audio.len().saturating_sub(kept)..];
        self.history.copy_within(new.len().., 0);
        for (to, from) in self.history[kept - new.len()..].iter_mut().zip(new) {
            *to = f32::from(*from);
        }
    }
}

const fn samples(rate_hz: u32, duration_us: u32) -> usize {
    (rate_hz as u64 * duration_us as u64 / 1_000_000) as usize
}
