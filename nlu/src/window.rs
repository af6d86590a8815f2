//! The last seconds of a voice as one vector: what the emotion model looks at.
//!
//! The server and the training recipe run this same code. Knows hops, not samples, and nothing of the speaker.

use std::f32::consts::PI;

use prosody::{DESCRIPTOR_NAMES, DESCRIPTORS, Descriptor, Row};

/// Hops looked at: 3 s.
pub(crate) const WINDOW_HOPS: usize = 300;
/// Hops that people are told of: 2 s.
const SUMMARY_HOPS: usize = 200;
/// Log-mel energies that a hop comes with.
pub(crate) const BINS: usize = 40;
/// Cepstral coefficients made of them.
const CEPSTRA: usize = 16;
/// Bands that neighbouring energies are put together to.
const BANDS: usize = BINS / 2;
/// Descriptors that are there in unvoiced hops too.
const DENSE: usize = Descriptor::Pitch as usize;
/// Contours that are there in all speech; the others of a voice follow, then voicing and the bands.
const EVERYWHERE: usize = CEPSTRA + DENSE + 1;
const LEVEL: usize = EVERYWHERE - 1;
const PITCH: usize = EVERYWHERE;
const ALPHA_RATIO: usize = CEPSTRA + Descriptor::AlphaRatio as usize;
const VOICING: usize = EVERYWHERE + DESCRIPTORS - DENSE;
/// Contours followed.
const CONTOURS: usize = VOICING + 1 + BANDS;
/// What is told of each.
const STATISTICS: [&str; 8] = ["mean", "deviation", "p10", "median", "p90", "step", "swing", "rise"];
/// What is told of the voiced hops of the contours that are everywhere.
const VOICED: usize = 2;
const RHYTHM: [&str; 12] = [
    "voiced_share",
    "voiced_run_s_mean",
    "voiced_run_s_deviation",
    "voiced_run_s_longest",
    "voiced_runs_per_s",
    "syllables_per_s",
    "speech_share",
    "modulation_16_hz",
    "modulation_8_hz",
    "modulation_4_hz",
    "modulation_2_hz",
    "pitch_slope_per_s",
];
/// Values of one window.
pub(crate) const VALUES: usize = CONTOURS * STATISTICS.len() + EVERYWHERE * VOICED + RHYTHM.len();

/// Hops per second.
const HOPS_PER_S: f32 = 100.0;
/// Of fewer hops nothing is told.
const HOPS_MIN: usize = 5;
/// Hops over which a contour swings and rises.
const SWING_HOPS: usize = 5;
/// Widths of the means whose differences are the modulations, hops.
const WIDTHS: [usize; 5] = [3, 6, 12, 25, 50];
/// Levels further below the loud ones are silence, dB.
const SILENCE_DB: f32 = 40.0;
const SLOPE_MAX: f32 = 50.0;

/// One hop, as far as it is looked at.
#[derive(Debug, Clone, Copy)]
struct Hop {
    contours: [f32; CONTOURS],
    speech: bool,
    voiced: bool,
    syllable: bool,
}

/// The last hops of a voice. Holds about 80 KiB; nothing grows.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    hops: Vec<Hop>,
    /// Hops taken so far.
    taken: usize,
    cosines: Vec<[f32; CEPSTRA]>,
}

impl Default for Window {
    fn default() -> Self {
        let silent = Hop { contours: [0.0; CONTOURS], speech: false, voiced: false, syllable: false };
        Self { hops: vec![silent; WINDOW_HOPS], taken: 0, cosines: cosines() }
    }
}

impl Window {
    /// Names of the values, in order.
    pub(crate) fn names() -> Vec<String> {
        let numbered = |name: &'static str, count| (0..count).map(move |i| format!("{name}_{i:02}"));
        let described = |from: usize, to: usize| DESCRIPTOR_NAMES[from..to].iter().map(|name| (*name).to_owned());
        let everywhere: Vec<String> =
            numbered("cepstrum", CEPSTRA).chain(described(0, DENSE)).chain(["level".to_owned()]).collect();
        let rest = described(DENSE, DESCRIPTORS).chain(["voicing".to_owned()]).chain(numbered("band", BANDS));
        let contours = everywhere.iter().cloned().chain(rest);
        let told = contours.flat_map(|contour| STATISTICS.map(|statistic| format!("{contour}_{statistic}")));
        let voiced = everywhere
            .iter()
            .flat_map(|contour| ["voiced_mean", "voiced_deviation"].map(|statistic| format!("{contour}_{statistic}")));
        told.chain(voiced).chain(RHYTHM.map(str::to_owned)).collect()
    }

    /// Takes the next hop, its log-mel energies, whether it is speech and whether a syllable ends in it.
    pub(crate) fn push(&mut self, row: &Row, energies: &[f32; BINS], speech: bool, syllable: bool) {
        let mut contours = [0.0; CONTOURS];
        let (everywhere, rest) = contours.split_at_mut(EVERYWHERE);
        for (energy, cosines) in energies.iter().zip(&self.cosines) {
            for (cepstrum, cosine) in everywhere.iter_mut().zip(cosines) {
                *cepstrum += energy * cosine;
            }
        }
        everywhere[CEPSTRA..LEVEL].copy_from_slice(&row.descriptors[..DENSE]);
        everywhere[LEVEL] = row.level.dbov;
        rest[..DESCRIPTORS - DENSE].copy_from_slice(&row.descriptors[DENSE..]);
        rest[VOICING - EVERYWHERE] = row.voicing;
        let mean = energies.iter().sum::<f32>() / BINS as f32;
        for (band, pair) in rest[VOICING + 1 - EVERYWHERE..].iter_mut().zip(energies.chunks_exact(2)) {
            *band = (pair[0] + pair[1]) / 2.0 - mean;
        }
        self.hops[self.taken % WINDOW_HOPS] = Hop { contours, speech, voiced: row.pitch_hz.is_some(), syllable };
        self.taken += 1;
    }

    /// Hops with speech among the last `count`.
    pub(crate) fn speech_hops(&self, count: usize) -> usize {
        self.recent(count).filter(|hop| hop.speech).count()
    }

    /// Hops taken since the beginning.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// What the window is like: [`Window::names`] tells what each value is.
    pub(crate) fn values(&self) -> [f32; VALUES] {
        let hops: Vec<&Hop> = self.recent(WINDOW_HOPS).collect();
        let mut values = [0.0; VALUES];
        let (told, rest) = values.split_at_mut(CONTOURS * STATISTICS.len());
        let mut contour = Contour::default();
        for (i, told) in told.chunks_exact_mut(STATISTICS.len()).enumerate() {
            // A 0 of what only a voice has means that there is none.
            let sparse = (PITCH..VOICING).contains(&i);
            contour.take(
                hops.iter().map(|hop| (hop.speech && (!sparse || hop.contours[i] != 0.0)).then_some(hop.contours[i])),
            );
            told.copy_from_slice(&contour.statistics());
        }
        let (voiced, rhythm) = rest.split_at_mut(EVERYWHERE * VOICED);
        for (i, told) in voiced.chunks_exact_mut(VOICED).enumerate() {
            contour.take(hops.iter().map(|hop| (hop.speech && hop.voiced).then_some(hop.contours[i])));
            told.copy_from_slice(&contour.statistics()[..VOICED]);
        }
        rhythm.copy_from_slice(&describe_rhythm(&hops));
        values
    }

    /// The readable part, of the last 2 s: shorter, so that a voice that rises is seen soon.
    pub(crate) fn summary(&self) -> Summary {
        let hops: Vec<&Hop> = self.recent(SUMMARY_HOPS).collect();
        let median = |contour: usize, voiced: bool| {
            let there = hops.iter().filter(|hop| hop.speech && (hop.voiced || !voiced));
            let mut values: Vec<f32> = there.map(|hop| hop.contours[contour]).collect();
            sort(&mut values);
            quantile(&values, 0.5)
        };
        let spoken = hops.iter().filter(|hop| hop.speech).count() as f32;
        let syllables = hops.iter().filter(|hop| hop.speech && hop.syllable).count() as f32;
        let voiced = hops.iter().any(|hop| hop.speech && hop.voiced);
        Summary {
            pitch_semitones: voiced.then(|| median(PITCH, true)),
            level_dbov: median(LEVEL, false),
            alpha_ratio_db: median(ALPHA_RATIO, true),
            articulation_rate: syllables * HOPS_PER_S / spoken.max(1.0),
            speech_share: spoken / hops.len().max(1) as f32,
        }
    }

    fn recent(&self, count: usize) -> impl Iterator<Item = &Hop> {
        let count = count.min(self.taken).min(WINDOW_HOPS);
        (self.taken - count..self.taken).map(|i| &self.hops[i % WINDOW_HOPS])
    }
}

/// What people can read of the last 2 s.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    /// Median F0 of voiced speech, semitones above 27.5 Hz; `None` where nothing is voiced.
    pub(crate) pitch_semitones: Option<f32>,
    /// Median level of speech.
    pub(crate) level_dbov: f32,
    /// Median alpha ratio of voiced speech.
    pub(crate) alpha_ratio_db: f32,
    /// Syllables per second of speech.
    pub(crate) articulation_rate: f32,
    /// Share of the time that is speech, 0-1.
    pub(crate) speech_share: f32,
}

/// One contour over the window, and room to sort.
#[derive(Default)]
struct Contour {
    hops: Vec<Option<f32>>,
    there: Vec<f32>,
    changes: Vec<f32>,
}

impl Contour {
    fn take(&mut self, hops: impl Iterator<Item = Option<f32>>) {
        self.hops.clear();
        self.hops.extend(hops);
        self.there.clear();
        self.there.extend(self.hops.iter().flatten());
    }

    /// As [`STATISTICS`] has them: mean, standard deviation, three percentiles; mean step between neighbouring hops;
    /// standard deviation and 90th percentile of the change over 50 ms.
    fn statistics(&mut self) -> [f32; STATISTICS.len()] {
        if self.there.len() < HOPS_MIN {
            return [0.0; STATISTICS.len()];
        }
        let (mean, deviation) = spread(&self.there);
        sort(&mut self.there);
        let [low, median, high] = [0.1, 0.5, 0.9].map(|share| quantile(&self.there, share));
        self.change(1);
        let step = self.changes.iter().map(|change| change.abs()).sum::<f32>() / self.changes.len().max(1) as f32;
        self.change(SWING_HOPS);
        let (_, swing) = spread(&self.changes);
        sort(&mut self.changes);
        [mean, deviation, low, median, high, step, swing, quantile(&self.changes, 0.9)]
    }

    /// The changes over `hops` hops where the contour is there at both ends.
    fn change(&mut self, hops: usize) {
        let later = self.hops.iter().skip(hops);
        self.changes.clear();
        self.changes.extend(self.hops.iter().zip(later).filter_map(|(before, after)| Some((*after)? - (*before)?)));
    }
}

/// As [`RHYTHM`] has it.
fn describe_rhythm(hops: &[&Hop]) -> [f32; RHYTHM.len()] {
    let spoken = hops.iter().filter(|hop| hop.speech).count() as f32;
    let speech = spoken.max(1.0);
    let voiced = |hop: &&Hop| hop.speech && hop.voiced;
    let runs: Vec<f32> = hops
        .chunk_by(|a, b| voiced(a) == voiced(b))
        .filter(|run| voiced(&run[0]))
        .map(|run| run.len() as f32 / HOPS_PER_S)
        .collect();
    let (run_mean, run_deviation) = spread(&runs);
    let syllables = hops.iter().filter(|hop| hop.speech && hop.syllable).count() as f32;
    let [sixteen, eight, four, two] = modulations(hops);
    [
        hops.iter().filter(|hop| voiced(hop)).count() as f32 / speech,
        run_mean,
        run_deviation,
        runs.iter().copied().fold(0.0, f32::max),
        runs.len() as f32 * HOPS_PER_S / speech,
        syllables * HOPS_PER_S / speech,
        spoken / hops.len().max(1) as f32,
        sixteen,
        eight,
        four,
        two,
        pitch_slope(hops),
    ]
}

/// How much the level moves about 16, 8, 4 and 2 times a second, as shares of its variance.
fn modulations(hops: &[&Hop]) -> [f32; WIDTHS.len() - 1] {
    let mut levels: Vec<f32> = hops.iter().map(|hop| hop.contours[LEVEL]).collect();
    let mut sorted = levels.clone();
    sort(&mut sorted);
    let floor = quantile(&sorted, 0.9) - SILENCE_DB;
    levels.iter_mut().for_each(|level| *level = level.max(floor));
    let (_, deviation) = spread(&levels);
    let sums: Vec<f32> = std::iter::once(0.0)
        .chain(levels.iter().scan(0.0, |sum, level| {
            *sum += level - floor;
            Some(*sum)
        }))
        .collect();
    let mean = |at: usize, width: usize| {
        let (from, to) = (at.saturating_sub(width / 2), (at + width.div_ceil(2)).min(levels.len()));
        (sums[to] - sums[from]) / (to - from) as f32
    };
    std::array::from_fn(|i| {
        let squares: f32 = (0..levels.len()).map(|at| (mean(at, WIDTHS[i]) - mean(at, WIDTHS[i + 1])).powi(2)).sum();
        squares / levels.len().max(1) as f32 / deviation.powi(2).max(1e-3)
    })
}

/// Slope of the least-squares line through the pitch of voiced speech, semitones per second.
fn pitch_slope(hops: &[&Hop]) -> f32 {
    let points: Vec<(f32, f32)> = hops
        .iter()
        .enumerate()
        .filter(|(_, hop)| hop.speech && hop.voiced)
        .map(|(i, hop)| (i as f32 / HOPS_PER_S, hop.contours[PITCH]))
        .collect();
    if points.len() < 2 * HOPS_MIN {
        return 0.0;
    }
    let count = points.len() as f32;
    let (time, pitch) = points.iter().fold((0.0, 0.0), |(time, pitch), point| (time + point.0, pitch + point.1));
    let (time, pitch) = (time / count, pitch / count);
    let (mut product, mut square) = (0.0, 0.0);
    for (at, semitones) in points {
        product += (at - time) * (semitones - pitch);
        square += (at - time).powi(2);
    }
    (product / square.max(1e-6)).clamp(-SLOPE_MAX, SLOPE_MAX)
}

/// The orthonormal cosine transform of type 2, by energy and coefficient.
fn cosines() -> Vec<[f32; CEPSTRA]> {
    let cosine = |bin: usize, coefficient: usize| {
        let scale = if coefficient == 0 { (1.0 / BINS as f32).sqrt() } else { (2.0 / BINS as f32).sqrt() };
        scale * (PI / BINS as f32 * (bin as f32 + 0.5) * coefficient as f32).cos()
    };
    (0..BINS).map(|bin| std::array::from_fn(|coefficient| cosine(bin, coefficient))).collect()
}

/// Mean and standard deviation; zeros of nothing.
fn spread(values: &[f32]) -> (f32, f32) {
    let count = values.len().max(1) as f32;
    let mean = values.iter().sum::<f32>() / count;
    let square = values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / count;
    (mean, square.sqrt())
}

fn sort(values: &mut [f32]) {
    values.sort_unstable_by(f32::total_cmp);
}

/// The value below which `share` of the `sorted` ones lie, nearest rank; 0 of nothing.
fn quantile(sorted: &[f32], share: f32) -> f32 {
    let last = sorted.len().saturating_sub(1) as f32;
    sorted.get((last * share).round() as usize).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use prosody::synthetic::{Kind, Plan, Voice, half_rate, telephone_band};
    use prosody::{Analyzer, SampleRate};

    use super::*;

    #[test]
    fn every_value_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<String> = Window::names().into_iter().collect();
        assert_eq!(names.len(), VALUES);
    }

    #[test]
    fn nothing_is_told_of_nothing() {
        assert!(Window::default().values().iter().all(|value| *value == 0.0));
    }

    #[test]
    fn a_voice_has_its_pitch_and_louder_is_louder() {
        let (quiet, loud) = (window(120.0, 0.05), window(240.0, 0.5));
        assert!(quiet.values().iter().chain(&loud.values()).all(|value| value.is_finite()));
        let (quiet, loud) = (quiet.summary(), loud.summary());
        let rise = loud.pitch_semitones.zip(quiet.pitch_semitones).map(|(loud, quiet)| loud - quiet);
        assert!(rise.is_some_and(|rise| (rise - 12.0).abs() < 1.5), "{rise:?}");
        assert!((loud.level_dbov - quiet.level_dbov - 20.0).abs() < 3.0, "{quiet:?} {loud:?}");
        assert!((1.0..9.0).contains(&quiet.articulation_rate), "{quiet:?}");
    }

    #[test]
    fn only_the_last_seconds_count() {
        let (mut long, short) = (window(120.0, 0.05), window(240.0, 0.5));
        for i in short.taken - WINDOW_HOPS..short.taken {
            long.hops[long.taken % WINDOW_HOPS] = short.hops[i % WINDOW_HOPS];
            long.taken += 1;
        }
        assert_eq!(long.values(), short.values());
    }

    #[test]
    fn contours_are_described_as_they_are() {
        let mut contour = Contour::default();
        // A ramp of 1 per hop with a gap: the step over the gap is no step.
        contour.take((0..100).map(|i| (i != 50).then_some(i as f32)));
        let [mean, _, low, median, high, step, swing, rise] = contour.statistics();
        assert!((mean - 49.5).abs() < 0.1 && (median - 49.0).abs() <= 1.0, "{mean} {median}");
        assert_eq!((low, high, step, swing, rise), (10.0, 89.0, 1.0, 0.0, 5.0));
        contour.take([Some(1.0), None, Some(2.0)].into_iter());
        assert_eq!(contour.statistics(), [0.0; STATISTICS.len()]);
    }

    /// Four seconds of this voice.
    fn window(pitch_hz: f32, gain: f32) -> Window {
        let voice = Voice::of(&Plan { seconds: 4.0, ..Plan::new(Kind::Phrases, pitch_hz, 31) });
        let samples: Vec<f32> = telephone_band(&half_rate(&voice.samples)).iter().map(|s| gain * s).collect();
        let (mut analyzer, mut rows) = (Analyzer::new(SampleRate::Hz8000), Vec::new());
        analyzer.push(&samples, &mut rows);
        analyzer.finish(&mut rows);
        let (mut window, mut syllables) = (Window::default(), prosody::rhythm::Syllables::default());
        for row in &rows {
            let syllable = syllables.push(row);
            window.push(row, &[row.level.dbov; BINS], row.level.dbov > -70.0, syllable);
        }
        window
    }
}
