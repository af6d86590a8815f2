//! What a stretch of frames looks like as one vector: the input of the emotion model.
//!
//! The same function serves the server and the training recipe, so both see the same numbers.
//! Finite for any frames; a group without frames to speak of (no voiced ones, no speech) is all zeros.

use super::frame::{Frame, MEL_BANDS};
use super::order::{quantile, sort};

/// Functionals that are not log-mel statistics.
const PLAIN: usize = 20;
/// Length of the vector.
pub const FUNCTIONALS: usize = PLAIN + 2 * MEL_BANDS;
/// Longest stretch looked at, frames (10 s); of a longer one the end counts.
const FRAMES_MAX: usize = 1_000;
/// Frames per second.
const FRAME_RATE: f32 = 100.0;

/// The names of the functionals, in order. `st` = semitones re 55 Hz; log-mel is relative to the stretch's own mean.
pub const FUNCTIONAL_NAMES: [&str; FUNCTIONALS] = [
    "pitch_st_median",
    "pitch_st_p10",
    "pitch_st_p90",
    "pitch_st_iqr",
    "pitch_st_slope_per_s",
    "pitch_st_step_mean",
    "level_dbov_median",
    "level_dbov_p90",
    "level_db_iqr",
    "level_db_step_mean",
    "level_db_rise_p90",
    "tilt_db_median",
    "tilt_db_iqr",
    "tilt_db_p90",
    "voicing_mean",
    "voiced_share",
    "voiced_run_s_mean",
    "syllables_per_s",
    "pause_share",
    "pauses_per_s",
    "log_mel_mean_00",
    "log_mel_mean_01",
    "log_mel_mean_02",
    "log_mel_mean_03",
    "log_mel_mean_04",
    "log_mel_mean_05",
    "log_mel_mean_06",
    "log_mel_mean_07",
    "log_mel_mean_08",
    "log_mel_mean_09",
    "log_mel_mean_10",
    "log_mel_mean_11",
    "log_mel_mean_12",
    "log_mel_mean_13",
    "log_mel_mean_14",
    "log_mel_mean_15",
    "log_mel_mean_16",
    "log_mel_mean_17",
    "log_mel_mean_18",
    "log_mel_mean_19",
    "log_mel_mean_20",
    "log_mel_mean_21",
    "log_mel_mean_22",
    "log_mel_mean_23",
    "log_mel_std_00",
    "log_mel_std_01",
    "log_mel_std_02",
    "log_mel_std_03",
    "log_mel_std_04",
    "log_mel_std_05",
    "log_mel_std_06",
    "log_mel_std_07",
    "log_mel_std_08",
    "log_mel_std_09",
    "log_mel_std_10",
    "log_mel_std_11",
    "log_mel_std_12",
    "log_mel_std_13",
    "log_mel_std_14",
    "log_mel_std_15",
    "log_mel_std_16",
    "log_mel_std_17",
    "log_mel_std_18",
    "log_mel_std_19",
    "log_mel_std_20",
    "log_mel_std_21",
    "log_mel_std_22",
    "log_mel_std_23",
];

/// Semitones above 55 Hz (A1).
pub fn semitones(hz: f32) -> f32 {
    12.0 * (hz / 55.0).log2()
}

/// The functionals of consecutive `frames`, `speech[i]` telling whether voice activity calls frame `i` speech.
///
/// Pitch, voicing and voiced runs look at voiced speech frames, level, tilt and log-mel at speech frames, the rates and
/// shares at all. Frames without a `speech` entry are left out; more than 10 s of frames are cut to the last 10 s.
pub fn functionals(frames: &[Frame], speech: &[bool]) -> [f32; FUNCTIONALS] {
    let len = frames.len().min(speech.len());
    let from = len.saturating_sub(FRAMES_MAX);
    let (frames, speech) = (&frames[from..len], &speech[from..len]);

    let mut out = [0.0; FUNCTIONALS];
    let (plain, mel) = out.split_at_mut(PLAIN);
    pitch(frames, speech, &mut plain[0..6]);
    level(frames, speech, &mut plain[6..11]);
    tilt(frames, speech, &mut plain[11..14]);
    rhythm(frames, speech, &mut plain[14..20]);
    log_mel(frames, speech, mel);
    for value in &mut out {
        if !value.is_finite() {
            *value = 0.0;
        }
    }
    out
}

fn spoken<'a>(frames: &'a [Frame], speech: &'a [bool]) -> impl Iterator<Item = &'a Frame> {
    frames.iter().zip(speech).filter(|(_, speech)| **speech).map(|(frame, _)| frame)
}

/// The pitch of each frame in semitones, where it is speech and voiced.
fn contour<'a>(frames: &'a [Frame], speech: &'a [bool]) -> impl Iterator<Item = Option<f32>> + 'a {
    frames.iter().zip(speech).map(|(frame, speech)| frame.pitch_hz.filter(|_| *speech).map(semitones))
}

/// Median, p10, p90, interquartile range, slope per second, mean step between neighbouring frames.
fn pitch(frames: &[Frame], speech: &[bool], out: &mut [f32]) {
    let mut sorted: Vec<f32> = contour(frames, speech).flatten().collect();
    sort(&mut sorted);
    out[0] = quantile(&sorted, 0.5);
    out[1] = quantile(&sorted, 0.1);
    out[2] = quantile(&sorted, 0.9);
    out[3] = quantile(&sorted, 0.75) - quantile(&sorted, 0.25);

    let (low, high) = (quantile(&sorted, 0.05), quantile(&sorted, 0.95));
    let points = contour(frames, speech)
        .enumerate()
        .filter_map(|(i, st)| st.filter(|st| (low..=high).contains(st)).map(|st| (i as f32 / FRAME_RATE, st)));
    out[4] = slope(points).clamp(-50.0, 50.0);
    out[5] = mean(steps(contour(frames, speech)).map(|step| step.abs().min(OCTAVE_ST)));
}

/// A larger step is an error of the tracker, semitones.
const OCTAVE_ST: f32 = 12.0;

/// Median, p90, interquartile range, mean step between neighbours, p90 of the rise over 50 ms.
fn level(frames: &[Frame], speech: &[bool], out: &mut [f32]) {
    let mut sorted: Vec<f32> = spoken(frames, speech).map(|frame| frame.level_dbov).collect();
    sort(&mut sorted);
    out[0] = quantile(&sorted, 0.5);
    out[1] = quantile(&sorted, 0.9);
    out[2] = quantile(&sorted, 0.75) - quantile(&sorted, 0.25);

    let levels = frames.iter().zip(speech).map(|(frame, speech)| speech.then_some(frame.level_dbov));
    out[3] = mean(steps(levels).map(f32::abs));
    let mut rises: Vec<f32> = frames
        .windows(RISE_FRAMES + 1)
        .zip(speech.windows(RISE_FRAMES + 1))
        .filter(|(_, speech)| speech.iter().all(|s| *s))
        .map(|(frames, _)| frames[RISE_FRAMES].level_dbov - frames[0].level_dbov)
        .collect();
    sort(&mut rises);
    out[4] = quantile(&rises, 0.9);
}

const RISE_FRAMES: usize = 5;

/// Median, interquartile range and p90 over voiced speech: fricatives would hide the voice's own tilt.
fn tilt(frames: &[Frame], speech: &[bool], out: &mut [f32]) {
    let mut sorted: Vec<f32> =
        spoken(frames, speech).filter(|frame| frame.pitch_hz.is_some()).map(|frame| frame.tilt_db).collect();
    sort(&mut sorted);
    out[0] = quantile(&sorted, 0.5);
    out[1] = quantile(&sorted, 0.75) - quantile(&sorted, 0.25);
    out[2] = quantile(&sorted, 0.9);
}

/// Mean voicing and voiced share of speech, mean voiced run, syllables and pauses per second, share of pauses.
fn rhythm(frames: &[Frame], speech: &[bool], out: &mut [f32]) {
    if frames.is_empty() {
        return;
    }
    let seconds = frames.len() as f32 / FRAME_RATE;
    let voiced = contour(frames, speech).flatten().count() as f32;
    let runs = starts(contour(frames, speech).map(|st| st.is_some()));
    let syllables = frames.iter().filter(|frame| frame.syllable).count();
    let silent = speech.iter().filter(|speech| !**speech).count();

    out[0] = mean(spoken(frames, speech).map(|frame| frame.voicing));
    out[1] = voiced / (frames.len() - silent).max(1) as f32;
    out[2] = voiced / FRAME_RATE / runs.max(1) as f32;
    out[3] = syllables as f32 / seconds;
    out[4] = silent as f32 / frames.len() as f32;
    out[5] = starts(speech.iter().map(|speech| !speech)) as f32 / seconds;
}

/// Means and standard deviations per band, less the mean of all bands and frames: the gain drops out.
fn log_mel(frames: &[Frame], speech: &[bool], out: &mut [f32]) {
    let count = spoken(frames, speech).count() as f64;
    if count == 0.0 {
        return;
    }
    let mut sums = [(0.0f64, 0.0f64); MEL_BANDS];
    for frame in spoken(frames, speech) {
        for ((sum, squares), value) in sums.iter_mut().zip(&frame.log_mel) {
            let value = f64::from(*value);
            *sum += value;
            *squares += value * value;
        }
    }
    let overall = sums.iter().map(|(sum, _)| sum / count).sum::<f64>() / MEL_BANDS as f64;
    for (band, (sum, squares)) in sums.iter().enumerate() {
        let mean = sum / count;
        out[band] = (mean - overall) as f32;
        out[MEL_BANDS + band] = (squares / count - mean * mean).max(0.0).sqrt() as f32;
    }
}

/// Differences between neighbours that are both there.
fn steps(values: impl Iterator<Item = Option<f32>>) -> impl Iterator<Item = f32> {
    let mut before = None;
    values.filter_map(move |value| {
        let step = before.zip(value).map(|(before, value): (f32, f32)| value - before);
        before = value;
        step
    })
}

/// How often a run of `true` starts.
fn starts(flags: impl Iterator<Item = bool>) -> usize {
    let (count, _) = flags.fold((0, false), |(count, before), flag| (count + usize::from(flag && !before), flag));
    count
}

fn mean(values: impl Iterator<Item = f32>) -> f32 {
    let (count, sum) = values.fold((0u32, 0.0f32), |(count, sum), value| (count + 1, sum + value));
    if count == 0 { 0.0 } else { sum / count as f32 }
}

/// The slope of the least-squares line; 0 for fewer than two points.
fn slope(points: impl Iterator<Item = (f32, f32)>) -> f32 {
    let (mut n, mut sx, mut sy, mut sxx, mut sxy) = (0.0f64, 0.0f64, 0.0f64, 0.0f64, 0.0f64);
    for (x, y) in points {
        let (x, y) = (f64::from(x), f64::from(y));
        n += 1.0;
        sx += x;
        sy += y;
        sxx += x * x;
        sxy += x * y;
    }
    let spread = n * sxx - sx * sx;
    if spread <= 1e-9 { 0.0 } else { ((n * sxy - sx * sy) / spread) as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_steady_rise() {
        let frames: Vec<Frame> = (0..300)
            .map(|i| Frame {
                pitch_hz: Some(110.0 * (f32::from(i as u16) / 100.0 * 4.0 / 12.0).exp2()),
                voicing: 1.0,
                level_dbov: -20.0,
                syllable: i % 25 == 0,
                ..Frame::silent(i * 80)
            })
            .collect();
        let got = functionals(&frames, &[true; 300]);
        check(&got, "pitch_st_slope_per_s", 4.0);
        check(&got, "pitch_st_median", 12.0 + 4.0 * 1.495);
        check(&got, "pitch_st_step_mean", 0.04);
        check(&got, "level_dbov_median", -20.0);
        check(&got, "syllables_per_s", 4.0);
        check(&got, "pause_share", 0.0);
        check(&got, "voiced_run_s_mean", 3.0);
    }

    #[test]
    fn pauses_are_left_out_of_level_and_pitch() {
        let frames: Vec<Frame> = (0..300)
            .map(|i| Frame {
                pitch_hz: Some(220.0),
                level_dbov: if i < 150 { -10.0 } else { -50.0 },
                ..Frame::silent(0)
            })
            .collect();
        let speech: Vec<bool> = (0..300).map(|i| i < 150).collect();
        let got = functionals(&frames, &speech);
        check(&got, "level_dbov_p90", -10.0);
        check(&got, "pause_share", 0.5);
        check(&got, "pauses_per_s", 1.0 / 3.0);
        check(&got, "voiced_run_s_mean", 1.5);
    }

    #[test]
    fn nothing_gives_zeros() {
        assert_eq!(functionals(&[], &[]), [0.0; FUNCTIONALS]);
    }

    #[test]
    fn gain_does_not_change_log_mel() {
        let frames = |gain: f32| -> Vec<Frame> {
            (0..200u16)
                .map(|i| {
                    let log_mel = std::array::from_fn(|band| gain + (f32::from(i) * 0.1 + band as f32).sin());
                    Frame { log_mel, ..Frame::silent(0) }
                })
                .collect()
        };
        let (quiet, loud) = (functionals(&frames(-12.0), &[true; 200]), functionals(&frames(-3.0), &[true; 200]));
        for (a, b) in quiet.iter().zip(&loud).skip(PLAIN) {
            assert!((a - b).abs() < 1e-3, "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn always_finite(values in prop::collection::vec((any::<f32>(), any::<f32>(), any::<bool>(), any::<bool>()), 0..400)) {
            let frames: Vec<Frame> = values
                .iter()
                .map(|&(a, b, voiced, syllable)| Frame {
                    level_dbov: a,
                    tilt_db: b,
                    pitch_hz: voiced.then_some(b),
                    log_mel: [a; MEL_BANDS],
                    syllable,
                    ..Frame::silent(0)
                })
                .collect();
            let speech: Vec<bool> = values.iter().map(|v| v.2 || v.3).collect();
            prop_assert!(functionals(&frames, &speech).iter().all(|v| v.is_finite()));
        }
    }

    #[track_caller]
    fn check(got: &[f32; FUNCTIONALS], name: &str, expected: f32) {
        let index = FUNCTIONAL_NAMES.iter().position(|n| *n == name).expect("a known name");
        assert!((got[index] - expected).abs() < 0.02, "{name}: {} instead of {expected}", got[index]);
    }
}
