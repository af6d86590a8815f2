//! Cuts samples into hops of 10 ms, gives every room the window it needs and puts the rows together.
//!
//! Does no signal processing of its own. The streaming contract is in docs/decisions/prosody.md.

use crate::SampleRate;
use crate::descriptors::{DESCRIPTORS, Descriptor, semitones};
use crate::formants::{FORMANTS, Formant, Formants};
use crate::lanes::widest;
use crate::pitch::{FINAL_HOPS, Pitch, Tracker};
use crate::quality::{Level, Leveller};
use crate::recent::Recent;
use crate::spectrum::{Spectral, Spectrum};
use crate::voice::{HARMONICS_WINDOW_MS, Harmonic, Harmonics, Irregularity, PERIODS_REACH_MS, Periods};

/// Everything that is told about one hop of 10 ms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Position of the hop's first sample in the stream, at the input's rate.
    pub position: u64,
    /// F0, Hz, 60-600; `None` where unvoiced.
    pub pitch_hz: Option<f32>,
    /// Probability that the hop is voiced, 0-1.
    pub voicing: f32,
    /// Level, peak and clipping of the hop.
    pub level: Level,
    /// By [`Descriptor`], not smoothed.
    pub descriptors: [f32; DESCRIPTORS],
}

/// Hops before the described one, and itself, that the widest window reaches into.
const WINDOW_HOPS_BEHIND: usize = 4;

/// The widest windows fit into what is kept.
const _: () =
    assert!(HARMONICS_WINDOW_MS / 2 <= 10 * WINDOW_HOPS_BEHIND - 10 && 2 * PERIODS_REACH_MS < 10 * FINAL_HOPS);

impl Row {
    /// The value of one descriptor.
    pub fn get(&self, descriptor: Descriptor) -> f32 {
        self.descriptors[descriptor as usize]
    }
}

/// Describes one voice. Holds about 64 KiB; nothing grows, nothing is allocated after `new` but what `out` needs.
pub struct Analyzer {
    rate: SampleRate,
    tracker: Tracker,
    spectrum: Spectrum,
    formants: Formants,
    harmonics: Harmonics,
    periods: Periods,
    leveller: Leveller,
    recent: Recent,
    hop: Vec<f32>,
}

impl std::fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Analyzer").field("rate", &self.rate).finish_non_exhaustive()
    }
}

impl Analyzer {
    /// An analyzer at position 0 with silence before it.
    pub fn new(rate: SampleRate) -> Self {
        let spectrum = Spectrum::new(rate);
        Self {
            rate,
            tracker: Tracker::new(rate),
            formants: Formants::new(rate, spectrum.bin_hz),
            spectrum,
            harmonics: Harmonics::new(rate),
            periods: Periods::new(rate),
            leveller: Leveller::default(),
            recent: Recent::new((FINAL_HOPS + WINDOW_HOPS_BEHIND) * rate.hop()),
            hop: Vec::with_capacity(rate.hop()),
        }
    }

    /// The rate of the input.
    pub fn rate(&self) -> SampleRate {
        self.rate
    }

    /// Takes samples (`[-1, 1]`; others are clamped, NaN counts as 0) and appends every row that became final.
    ///
    /// The row of a hop comes out with the last sample of the hop [`FINAL_HOPS`] after it.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<Row>) {
        let mut rest = samples;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(self.rate.hop() - self.hop.len()));
            rest = after;
            self.hop.extend(piece.iter().map(|s| if s.is_nan() { 0.0 } else { s.clamp(-1.0, 1.0) }));
            if self.hop.len() == self.rate.hop() {
                self.take_hop(out);
            }
        }
    }

    /// The newest hop's pitch before it is final, see [`Tracker::provisional`].
    pub fn provisional_pitch(&self) -> Option<Pitch> {
        self.tracker.provisional()
    }

    /// Gives out the rows still inside, as if silence followed, and starts again at position 0.
    ///
    /// A last hop that is not full gets its own row.
    pub fn finish(&mut self, out: &mut Vec<Row>) {
        let missing = (self.rate.hop() - self.hop.len()) % self.rate.hop();
        let silence = [0.0; SampleRate::Hz16000.hop()];
        self.push(&silence[..missing], out);
        for _ in 0..FINAL_HOPS {
            self.push(&silence[..self.rate.hop()], out);
        }
        self.restart();
    }

    fn restart(&mut self) {
        self.tracker.restart();
        self.spectrum.restart();
        self.formants.restart();
        self.periods.restart();
        self.leveller = Leveller::default();
        self.recent.restart();
    }

    fn take_hop(&mut self, out: &mut Vec<Row>) {
        self.recent.push(&self.hop);
        let pitch = self.tracker.push_hop(&self.hop);
        self.hop.clear();
        if let Some(pitch) = pitch {
            let row = widest(
                #[inline(always)]
                || self.describe(&pitch),
            );
            out.push(row);
        }
    }

    #[inline(always)]
    fn describe(&mut self, pitch: &Pitch) -> Row {
        let hop = self.rate.hop();
        let position = pitch.position as i64;
        let middle = position + hop as i64 / 2;
        let level = self.leveller.describe(self.recent.window(position, hop));
        let spectral = self.spectrum.describe(self.recent.window(middle - hop as i64, 2 * hop));
        let formants = self.formants.describe(&self.spectrum.power);
        let irregularity = self.periods.follow(&self.recent, middle, pitch.hz);
        let harmonic = if let Some(hz) = pitch.hz {
            let length = hop * HARMONICS_WINDOW_MS / 10;
            let window = self.recent.window(middle - length as i64 / 2, length);
            Some(self.harmonics.describe(window, hz, &formants))
        } else {
            None
        };
        let voice = Voice { semitones: pitch.hz.map_or(0.0, semitones), irregularity, harmonic };
        Row {
            position: pitch.position,
            pitch_hz: pitch.hz,
            voicing: pitch.voicing,
            level,
            descriptors: in_order(&spectral, &formants, &voice),
        }
    }
}

/// What only a voice has.
struct Voice {
    semitones: f32,
    irregularity: Option<Irregularity>,
    harmonic: Option<Harmonic>,
}

/// As [`Descriptor`] counts.
#[inline(always)]
fn in_order(spectral: &Spectral, formants: &[Formant; FORMANTS], voice: &Voice) -> [f32; DESCRIPTORS] {
    let [c1, c2, c3, c4] = spectral.cepstra;
    let irregularity = voice.irregularity.unwrap_or_default();
    let harmonic = voice.harmonic.unwrap_or_default();
    let [one, two, three] = formants;
    let [level_one, level_two, level_three] = harmonic.formant_levels_db;
    [
        spectral.loudness,
        spectral.alpha_ratio_db,
        spectral.hammarberg_db,
        spectral.slope_low,
        spectral.slope_high,
        spectral.flux,
        c1,
        c2,
        c3,
        c4,
        voice.semitones,
        irregularity.jitter,
        irregularity.shimmer_db,
        harmonic.harmonicity_db,
        harmonic.first_over_second_db,
        harmonic.first_over_third_formant_db,
        one.hz,
        one.width_hz,
        level_one,
        two.hz,
        two.width_hz,
        level_two,
        three.hz,
        three.width_hz,
        level_three,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::narrow;
    use crate::synthetic::{self, Kind, Plan, Voice};

    #[test]
    fn wide_and_narrow_instructions_give_the_same_bits() {
        for (seed, rate) in [(41, SampleRate::Hz8000), (42, SampleRate::Hz16000)] {
            let mut samples = Voice::of(&Plan::new(Kind::Phrases, 140.0, seed)).samples;
            synthetic::white(samples.len(), seed).iter().zip(&mut samples).for_each(|(noise, s)| *s += 0.003 * noise);
            let wide = rows(&samples, rate);
            assert_eq!(bits(&wide), bits(&narrow::only(|| rows(&samples, rate))), "{rate:?}");
            assert!(wide.iter().filter(|row| row.pitch_hz.is_some()).count() * 3 > wide.len());
        }
    }

    fn rows(samples: &[f32], rate: SampleRate) -> Vec<Row> {
        let (mut analyzer, mut out) = (Analyzer::new(rate), Vec::new());
        analyzer.push(samples, &mut out);
        analyzer.finish(&mut out);
        out
    }

    fn bits(rows: &[Row]) -> Vec<u32> {
        let values = |row: &Row| [row.pitch_hz.unwrap_or(0.0), row.voicing, row.level.dbov].map(f32::to_bits);
        rows.iter().flat_map(|row| values(row).into_iter().chain(row.descriptors.map(f32::to_bits))).collect()
    }
}
