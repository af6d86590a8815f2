//! Rows smoothed as eGeMAPSv02 wants them: means over three hops, and the contours that functionals are made of.
//!
//! Two kinds of mean: over all three, or (`nz`) over those that are not 0, and 0 where the middle one is 0.

use crate::analyzer::Row;
use crate::descriptors::{DESCRIPTORS, Descriptor, FIRST_SPARSE};

/// Contours that functionals are made of.
pub(crate) const CONTOURS: usize = 35;

/// What a contour follows, and where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mask {
    /// Everywhere; zeros are values.
    All,
    /// Where the descriptor is not 0.
    Sparse,
    /// Where there is a pitch.
    Voiced,
    /// Where there is none.
    Unvoiced,
}

use Descriptor as D;

/// In the order in which openSMILE lists its functionals.
pub(crate) const FOLLOWED: [(Descriptor, Mask); CONTOURS] = [
    (D::Pitch, Mask::Sparse),
    (D::Loudness, Mask::All),
    (D::SpectralFlux, Mask::All),
    (D::Mfcc1, Mask::All),
    (D::Mfcc2, Mask::All),
    (D::Mfcc3, Mask::All),
    (D::Mfcc4, Mask::All),
    (D::Jitter, Mask::Sparse),
    (D::Shimmer, Mask::Sparse),
    (D::Harmonicity, Mask::Sparse),
    (D::FirstOverSecond, Mask::Sparse),
    (D::FirstOverThirdFormant, Mask::Sparse),
    (D::Formant1, Mask::Voiced),
    (D::Formant1Width, Mask::Voiced),
    (D::Formant1Level, Mask::Voiced),
    (D::Formant2, Mask::Voiced),
    (D::Formant2Width, Mask::Voiced),
    (D::Formant2Level, Mask::Voiced),
    (D::Formant3, Mask::Voiced),
    (D::Formant3Width, Mask::Voiced),
    (D::Formant3Level, Mask::Voiced),
    (D::AlphaRatio, Mask::Voiced),
    (D::HammarbergIndex, Mask::Voiced),
    (D::SlopeTo500, Mask::Voiced),
    (D::SlopeTo1500, Mask::Voiced),
    (D::SpectralFlux, Mask::Voiced),
    (D::Mfcc1, Mask::Voiced),
    (D::Mfcc2, Mask::Voiced),
    (D::Mfcc3, Mask::Voiced),
    (D::Mfcc4, Mask::Voiced),
    (D::AlphaRatio, Mask::Unvoiced),
    (D::HammarbergIndex, Mask::Unvoiced),
    (D::SlopeTo500, Mask::Unvoiced),
    (D::SlopeTo1500, Mask::Unvoiced),
    (D::SpectralFlux, Mask::Unvoiced),
];

/// One hop after smoothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Smoothed {
    /// Position of the hop's first sample in the stream.
    pub position: u64,
    /// By [`Descriptor`], means over three hops.
    pub descriptors: [f32; DESCRIPTORS],
    /// Level of the hop, dBov, not smoothed.
    pub level_dbov: f32,
    pub(crate) contours: [f32; CONTOURS],
}

/// Smooths one party's rows over three hops, as openSMILE's `sma3` and `sma3nz` do; one hop late.
#[derive(Debug, Clone, Default)]
pub struct Smoother {
    /// The row before the middle one, and the middle one.
    before: Option<Row>,
    middle: Option<Row>,
}

impl Smoother {
    /// Takes the next row and gives the one before it, smoothed, when there is one.
    pub fn push(&mut self, row: &Row) -> Option<Smoothed> {
        let smoothed = self.middle.as_ref().map(|middle| smooth(self.before.as_ref(), middle, Some(row)));
        self.before = self.middle.replace(*row);
        smoothed
    }

    /// Gives the last row, smoothed, and starts again.
    pub fn finish(&mut self) -> Option<Smoothed> {
        let smoothed = self.middle.as_ref().map(|middle| smooth(self.before.as_ref(), middle, None));
        *self = Self::default();
        smoothed
    }
}

fn smooth(before: Option<&Row>, middle: &Row, after: Option<&Row>) -> Smoothed {
    // At the ends of the stream the row itself stands for the missing neighbour.
    let rows = [before.unwrap_or(middle), middle, after.unwrap_or(middle)];
    let mask = |mask: Mask, descriptor: Descriptor| {
        rows.map(|row| {
            let shown = match mask {
                Mask::All | Mask::Sparse => true,
                Mask::Voiced => row.pitch_hz.is_some(),
                Mask::Unvoiced => row.pitch_hz.is_none(),
            };
            if shown { row.get(descriptor) } else { 0.0 }
        })
    };
    Smoothed {
        position: middle.position,
        descriptors: std::array::from_fn(|i| {
            let values = rows.map(|row| row.descriptors[i]);
            if i < FIRST_SPARSE { mean(values) } else { mean_of_some(values) }
        }),
        level_dbov: middle.level.dbov,
        contours: FOLLOWED.map(|(descriptor, kind)| {
            let values = mask(kind, descriptor);
            if kind == Mask::All { mean(values) } else { mean_of_some(values) }
        }),
    }
}

fn mean([before, middle, after]: [f32; 3]) -> f32 {
    (before + middle + after) / 3.0
}

/// Over those that are not 0; 0 where the middle one is.
fn mean_of_some(values: [f32; 3]) -> f32 {
    if values[1] == 0.0 {
        return 0.0;
    }
    let count = values.iter().filter(|value| **value != 0.0).count();
    values.iter().sum::<f32>() / count as f32
}
