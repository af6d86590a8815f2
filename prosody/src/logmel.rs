//! Log-mel energies as Kaldi makes them: what speech recognisers are fed with.
//!
//! Windows of 25 ms every 10 ms, no dither, mean removed, pre-emphasis 0.97, power, logarithm of triangles in mel (Kaldi's
//! `feat/feature-fbank.cc`). Shares no transform with the descriptors: their windows are 20 ms, without pre-emphasis, so no
//! spectrum is common to both.

mod bands;

use std::f64::consts::TAU;
use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{RealFftPlanner, RealToComplex};

use self::bands::Bands;
use crate::SampleRate;

/// Most energies per frame.
pub const LOG_MEL_BINS_MAX: usize = 256;

/// Share of the sample before that is taken off each sample.
const PRE_EMPHASIS: f32 = 0.97;
/// The "povey" window is a Hann window to this power.
const POVEY_POWER: f64 = 0.85;

/// Which energies a recogniser was trained on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogMelSettings {
    /// Rate of the input.
    pub rate: SampleRate,
    /// Energies per frame, 1-256.
    pub bins: usize,
    /// Lower edge of the lowest triangle, Hz.
    pub low_hz: f32,
    /// Upper edge of the highest triangle, Hz, up to half the rate. Kaldi's `high_freq` of 0 or less counts from there.
    pub high_hz: f32,
    /// What each window is multiplied by.
    pub taper: Taper,
    /// Only windows that lie within the stream (Kaldi's `snip_edges`); otherwise the stream is mirrored at its ends.
    pub snip_edges: bool,
    /// The mean of a window is taken off it.
    pub centred: bool,
    /// 0.97 of the sample before is taken off each sample.
    pub emphasised: bool,
    /// Windows are continued with zeros up to a power of two; otherwise the transform is as long as the window.
    pub continued: bool,
    /// How the triangles lie.
    pub triangles: Triangles,
}

/// What energies are taken under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Triangles {
    /// Kaldi's: of equal width, straight and one high in mel (O'Shaughnessy's, 1,127 ln(1 + f/700)).
    Kaldi,
    /// librosa's, after Slaney's Auditory Toolbox (1998): of equal width in its mel, which is linear up to 1 kHz, straight in Hz
    /// and of area one.
    Slaney,
}

/// What a window of samples is multiplied by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taper {
    /// Kaldi's own: a Hann window to the power of 0.85.
    Povey,
    /// A Hamming window.
    Hamming,
    /// A Hann window of which the next sample would be the first one again.
    PeriodicHann,
}

impl Taper {
    /// The weight of sample `at` of `length`.
    fn weight(self, at: usize, length: usize) -> f32 {
        let period = if self == Taper::PeriodicHann { length } else { length - 1 };
        let cosine = (TAU * at as f64 / period as f64).cos();
        let weight = match self {
            Taper::Povey => (0.5 - 0.5 * cosine).powf(POVEY_POWER),
            Taper::Hamming => 0.54 - 0.46 * cosine,
            Taper::PeriodicHann => 0.5 - 0.5 * cosine,
        };
        weight as f32
    }
}

impl LogMelSettings {
    /// 80 energies from 20 Hz up to half the rate, as many frames as fit the length of the stream; otherwise Kaldi's defaults.
    pub fn new(rate: SampleRate) -> Self {
        let high_hz = rate.hz() as f32 / 2.0;
        let (taper, triangles) = (Taper::Povey, Triangles::Kaldi);
        Self {
            rate,
            bins: 80,
            low_hz: 20.0,
            high_hz,
            taper,
            snip_edges: false,
            centred: true,
            emphasised: true,
            continued: true,
            triangles,
        }
    }

    /// 80 energies as NVIDIA's NeMo takes them, with the pre-emphasis and the edges of Kaldi, as sherpa-onnx does.
    pub fn nemo(rate: SampleRate) -> Self {
        let (taper, triangles) = (Taper::PeriodicHann, Triangles::Slaney);
        Self { low_hz: 0.0, taper, centred: false, triangles, ..Self::new(rate) }
    }

    /// The energies of OpenAI's Whisper: 80 up to 8 kHz, of which those that end within half the rate are there (61 at 8 kHz).
    ///
    /// Whisper takes 4 times the power of a window at 16 kHz as it has at 8 kHz, the decimal logarithm, and no less than 80 dB below the loudest:
    /// that is left to whoever feeds it. Its frames are centred on `i · 10 ms`, these 5 ms later.
    pub fn whisper(rate: SampleRate) -> Self {
        let (bins, high_hz) = bands::whisper_band(rate.hz() as f32 / 2.0);
        Self { bins, high_hz, emphasised: false, continued: false, ..Self::nemo(rate) }
    }

    fn check(&self) -> Result<(), LogMelFault> {
        if !(1..=LOG_MEL_BINS_MAX).contains(&self.bins) {
            return Err(LogMelFault::Bins { found: self.bins });
        }
        let half_hz = self.rate.hz() as f32 / 2.0;
        // Written so that NaN is refused too.
        if !(self.low_hz >= 0.0 && self.low_hz < self.high_hz && self.high_hz <= half_hz) {
            return Err(LogMelFault::Band { low_hz: self.low_hz, high_hz: self.high_hz, half_hz });
        }
        Ok(())
    }
}

/// Settings that describe no log-mel energies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LogMelFault {
    /// None or too many.
    Bins {
        /// How many were asked for.
        found: usize,
    },
    /// The edges are not in order.
    Band {
        /// The lower edge asked for, Hz.
        low_hz: f32,
        /// The upper edge asked for, Hz.
        high_hz: f32,
        /// Half the rate, Hz.
        half_hz: f32,
    },
}

impl std::fmt::Display for LogMelFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bins { found } => write!(f, "expected 1 to {LOG_MEL_BINS_MAX} log-mel energies, found {found}"),
            Self::Band { low_hz, high_hz, half_hz } => {
                write!(f, "expected 0 <= low < high <= {half_hz} Hz, found {low_hz} to {high_hz} Hz")
            }
        }
    }
}

impl std::error::Error for LogMelFault {}

/// Makes frames of log-mel energies of one stream. Holds about 20 KiB; nothing grows, and nothing is allocated after
/// `new` but what `out` needs.
pub struct LogMel {
    settings: LogMelSettings,
    /// Samples from the start of the next frame on, with the mirrored ones before the stream.
    held: Vec<f32>,
    /// What lies before the stream is in `held`.
    begun: bool,
    window: Vec<f32>,
    bands: Bands,
    fft: Arc<dyn RealToComplex<f32>>,
    input: Vec<f32>,
    output: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl std::fmt::Debug for LogMel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogMel").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl LogMel {
    /// A stream at its beginning.
    ///
    /// # Errors
    /// [`LogMelFault`] when `settings` are out of their ranges.
    pub fn new(settings: LogMelSettings) -> Result<Self, LogMelFault> {
        settings.check()?;
        let length = settings.rate.hop() * 5 / 2;
        let size = if settings.continued { length.next_power_of_two() } else { length };
        let fft = RealFftPlanner::<f32>::new().plan_fft_forward(size);
        Ok(Self {
            settings,
            // At the end of a stream there are at most two frames more.
            held: Vec::with_capacity(length + settings.rate.hop()),
            begun: false,
            window: (0..length).map(|at| settings.taper.weight(at, length)).collect(),
            bands: Bands::new(&settings, fft.len()),
            input: fft.make_input_vec(),
            output: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            fft,
        })
    }

    /// What it was made for.
    pub fn settings(&self) -> &LogMelSettings {
        &self.settings
    }

    /// Takes samples and appends the frames that became complete, `bins` values each: natural logarithms of power, −15.94
    /// (ln 2⁻²³) and up.
    ///
    /// Frame `i` is centred on `(i + 0.5) · 10 ms` and complete 12.5 ms later; where edges are snipped it begins at
    /// `i · 10 ms` and is complete 25 ms later. The scale is the recogniser's: `[-1, 1]`
    /// or 16-bit values, which differ by 2 ln 32768 above the floor ln 2⁻²³. A NaN counts as 0.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        let mut rest = samples;
        while !rest.is_empty() {
            let missing = self.window.len() - self.mirrored() - self.held.len();
            let (piece, after) = rest.split_at(rest.len().min(missing));
            rest = after;
            self.held.extend(piece.iter().map(|sample| if sample.is_nan() { 0.0 } else { *sample }));
            if piece.len() == missing {
                self.surround(self.window.len());
                self.take_frame(out);
            }
        }
    }

    /// Appends the frames whose windows reach beyond the end, with the end mirrored there, and begins a new stream.
    ///
    /// With them a stream of `n` samples has `n / hop` frames, rounded to the nearest. Where edges are snipped there are none.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        if self.settings.snip_edges {
            self.held.clear();
            return;
        }
        let (hop, length) = (self.settings.rate.hop(), self.window.len());
        // A frame is there while its middle is at most half a hop behind the end.
        let frames = (self.mirrored() + self.held.len() + hop).saturating_sub(length / 2) / hop;
        if frames > 0 {
            self.surround(length + (frames - 1) * hop);
        }
        (0..frames).for_each(|_| self.take_frame(out));
        self.held.clear();
        self.begun = false;
    }

    /// Samples at the start of the next window that lie before the stream and are not held.
    fn mirrored(&self) -> usize {
        let is_whole = self.begun || self.settings.snip_edges;
        if is_whole { 0 } else { (self.window.len() - self.settings.rate.hop()) / 2 }
    }

    /// Continues what is held with its mirror image on both sides: before the stream, and behind it up to `total`.
    fn surround(&mut self, total: usize) {
        let (before, count) = (self.mirrored(), self.held.len());
        self.held.resize(total, 0.0);
        self.held.copy_within(..count, before);
        for i in (0..before).chain(before + count..total) {
            self.held[i] = self.held[before + mirror(i as i64 - before as i64, count)];
        }
        self.begun = true;
    }

    fn take_frame(&mut self, out: &mut Vec<f32>) {
        self.describe(out);
        let (hop, count) = (self.settings.rate.hop(), self.held.len());
        self.held.copy_within(hop.., 0);
        self.held.truncate(count - hop);
    }

    /// Appends the energies of the first window that is held.
    fn describe(&mut self, out: &mut Vec<f32>) {
        let length = self.window.len();
        let window = &self.held[..length];
        let mean = if self.settings.centred { window.iter().sum::<f32>() / length as f32 } else { 0.0 };
        let emphasis = if self.settings.emphasised { PRE_EMPHASIS } else { 0.0 };
        let mut before = window[0] - mean;
        for ((into, sample), weight) in self.input.iter_mut().zip(window).zip(&self.window) {
            let centred = sample - mean;
            *into = (centred - emphasis * before) * weight;
            before = centred;
        }
        self.input[length..].fill(0.0);
        self.fft
            .process_with_scratch(&mut self.input, &mut self.output, &mut self.scratch)
            .expect("the buffers were made by this plan");
        self.bands.describe(&self.output, out);
    }
}

/// The place that `at` falls on when `count` samples are mirrored at both ends, the outermost ones doubled.
fn mirror(at: i64, count: usize) -> usize {
    let period = 2 * count as i64;
    let place = at.rem_euclid(period);
    place.min(period - 1 - place) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mirrors_at_both_ends_as_often_as_needed() {
        let places: Vec<usize> = (-7..8).map(|at| mirror(at, 3)).collect();
        assert_eq!(places, [0, 0, 1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1]);
    }

    #[test]
    fn as_many_frames_as_kaldi() {
        for rate in [SampleRate::Hz8000, SampleRate::Hz16000] {
            let hop = rate.hop();
            for samples in [0, 1, hop / 2 - 1, hop / 2, hop, 2 * hop + 3, 17 * hop / 2, 10 * hop, 1_000 * hop + 9] {
                let frames = energies(rate, &vec![0.1; samples], 77).len() / 80;
                assert_eq!(frames, (samples + hop / 2) / hop, "{samples} samples at {} Hz", rate.hz());
            }
        }
    }

    #[test]
    fn silence_and_what_is_no_number_are_at_the_floor() {
        let floor = f32::EPSILON.ln();
        for value in [0.0, 0.25, f32::NAN] {
            let energies = energies(SampleRate::Hz8000, &[value; 800], 800);
            assert!(energies.iter().all(|energy| *energy == floor), "a constant {value}: {energies:?}");
        }
    }

    #[test]
    fn settings_out_of_range_are_refused_by_name() {
        let good = LogMelSettings::new(SampleRate::Hz8000);
        let refused = |settings| LogMel::new(settings).expect_err("out of range").to_string();
        assert_eq!(refused(LogMelSettings { bins: 0, ..good }), "expected 1 to 256 log-mel energies, found 0");
        assert_eq!(
            refused(LogMelSettings { high_hz: 7_600.0, ..good }),
            "expected 0 <= low < high <= 4000 Hz, found 20 to 7600 Hz"
        );
        assert!(refused(LogMelSettings { low_hz: f32::NAN, ..good }).contains("found NaN"));
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(
            wide: bool,
            samples in proptest::collection::vec(-1.0f32..1.0, 0..2_000),
            chunk in 1usize..700,
        ) {
            let rate = if wide { SampleRate::Hz16000 } else { SampleRate::Hz8000 };
            let whole = energies(rate, &samples, samples.len().max(1));
            let cut = energies(rate, &samples, chunk);
            let bits = |energies: &[f32]| energies.iter().map(|energy| energy.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&whole), bits(&cut));
        }
    }

    /// Two streams of the same samples one after the other must be the same; the second one's energies.
    fn energies(rate: SampleRate, samples: &[f32], chunk: usize) -> Vec<f32> {
        let mut log_mel = LogMel::new(LogMelSettings::new(rate)).expect("defaults are in range");
        let mut stream = || {
            let mut out = Vec::new();
            samples.chunks(chunk).for_each(|piece| log_mel.push(piece, &mut out));
            log_mel.finish(&mut out);
            out
        };
        let first = stream();
        let second = stream();
        assert_eq!(first.len(), second.len());
        second
    }
}
