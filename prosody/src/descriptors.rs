//! The 25 low-level descriptors of eGeMAPSv02 (Eyben et al. 2016): their order, names and units.
//!
//! The order and the names are openSMILE's, so that tables of both can be laid beside each other.

/// Low-level descriptors of one row.
pub const DESCRIPTORS: usize = 25;

/// One low-level descriptor. `as usize` is its place in [`Row::descriptors`](crate::Row::descriptors).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Descriptor {
    /// Sum of 26 mel bands, weighted by hearing, to the power of 0.33, divided by 26 (after Zwicker); 0 and up.
    Loudness,
    /// Energy of 1-5 kHz (up to half the rate) over energy below 1 kHz, dB (Frøkjær-Jensen & Prytz 1976); 0 at silence.
    AlphaRatio,
    /// Highest bin below 2 kHz over highest bin of 2-5 kHz, dB (Hammarberg 1980).
    HammarbergIndex,
    /// Slope of the levels of 0-500 Hz, dB per Hz, least-squares line through the bins (Eyben et al. 2016).
    SlopeTo500,
    /// Slope of the levels of 500-1,500 Hz, dB per Hz, the same way.
    SlopeTo1500,
    /// Root mean square of the change of the magnitudes of 0-5 kHz since the hop before, 0 and up (Eyben et al. 2016).
    SpectralFlux,
    /// Mel-frequency cepstral coefficient 1, without unit (Davis & Mermelstein 1980; HTK's scaling, lifter 22).
    Mfcc1,
    /// The same, 2.
    Mfcc2,
    /// The same, 3.
    Mfcc3,
    /// The same, 4.
    Mfcc4,
    /// F0, semitones above 27.5 Hz, 13.5-53.4; 0 where unvoiced.
    Pitch,
    /// Mean difference of neighbouring periods over their mean length, a share, 0-0.3 (Praat's local jitter within 30 ms);
    /// 0 where unvoiced.
    Jitter,
    /// Mean difference of the levels of neighbouring periods, dB, 0 and up (Praat's local shimmer in dB); 0 where unvoiced.
    Shimmer,
    /// Harmonics-to-noise ratio, dB, −30 to 40: autocorrelation of 60 ms at one period, less the window's own (Boersma 1993);
    /// 0 where unvoiced. openSMILE leaves the window in: at 100 Hz its values end at 7 dB.
    Harmonicity,
    /// First over second harmonic, dB (Hanson 1997); 0 where unvoiced. Below 300 Hz the telephone leaves little of the first.
    FirstOverSecond,
    /// First harmonic over the highest one near the third formant, dB (Hanson 1997); 0 where unvoiced.
    FirstOverThirdFormant,
    /// Frequency of the first formant, Hz, up to half the rate and 5.5 kHz: the lowest pole of linear prediction of order 11
    /// that is narrow enough (Markel & Gray 1976); 0 where there is none.
    Formant1,
    /// Its bandwidth, Hz, 0-800.
    Formant1Width,
    /// The highest harmonic within 20 % of it over the first harmonic, dB; 0 where unvoiced.
    Formant1Level,
    /// Frequency of the second formant, Hz, as [`Self::Formant1`].
    Formant2,
    /// Its bandwidth, Hz, 0-800.
    Formant2Width,
    /// Its level, as [`Self::Formant1Level`].
    Formant2Level,
    /// Frequency of the third formant, Hz, as [`Self::Formant1`].
    Formant3,
    /// Its bandwidth, Hz, 0-800.
    Formant3Width,
    /// Its level, as [`Self::Formant1Level`].
    Formant3Level,
}

/// The names in openSMILE's tables, without the suffix that tells how they were smoothed.
pub const DESCRIPTOR_NAMES: [&str; DESCRIPTORS] = [
    "Loudness",
    "alphaRatio",
    "hammarbergIndex",
    "slope0-500",
    "slope500-1500",
    "spectralFlux",
    "mfcc1",
    "mfcc2",
    "mfcc3",
    "mfcc4",
    "F0semitoneFrom27.5Hz",
    "jitterLocal",
    "shimmerLocaldB",
    "HNRdBACF",
    "logRelF0-H1-H2",
    "logRelF0-H1-A3",
    "F1frequency",
    "F1bandwidth",
    "F1amplitudeLogRelF0",
    "F2frequency",
    "F2bandwidth",
    "F2amplitudeLogRelF0",
    "F3frequency",
    "F3bandwidth",
    "F3amplitudeLogRelF0",
];

/// The names of smoothed descriptors: `_sma3` for the mean over three hops, `_sma3nz` for that over those not 0.
pub fn smoothed_names() -> impl Iterator<Item = String> {
    let suffix = |i: usize| if i < FIRST_SPARSE { "_sma3" } else { "_sma3nz" };
    DESCRIPTOR_NAMES.iter().enumerate().map(move |(i, name)| format!("{name}{}", suffix(i)))
}

/// From this one on a 0 means "not there", and means leave it out.
pub(crate) const FIRST_SPARSE: usize = Descriptor::Pitch as usize;

/// F0 (Hz, above 0) in semitones above 27.5 Hz, eGeMAPSv02's scale.
pub fn semitones(hz: f32) -> f32 {
    12.0 * (hz / 27.5).log2()
}
