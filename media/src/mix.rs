//! Adds up the frames of several speakers for one hearer, on the tick, without clicks and without wrapping.
//!
//! Pure functions over 16-bit frames of one length and rate; who hears whom is the caller's. Nothing is allocated.

/// The most speakers in one frame.
pub const SOURCES_MAX: usize = 8;
/// The longest frame, samples: 20 ms at 48 kHz.
pub const FRAME_SAMPLES_MAX: usize = 960;
/// The gain that changes nothing.
pub const UNITY_Q15: i32 = 1 << 15;

/// One speaker's part of a frame.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The samples; a frame that is too short ends in silence.
    pub samples: &'a [i16],
    /// How loud it is.
    pub gain: Ramp,
}

/// A gain that moves in a straight line over one frame, from 0 to [`UNITY_Q15`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ramp {
    /// Before the first sample.
    pub from_q15: i32,
    /// At the last sample.
    pub to_q15: i32,
}

impl Ramp {
    /// A gain that stays.
    pub fn steady(gain_q15: i32) -> Self {
        Self { from_q15: gain_q15, to_q15: gain_q15 }
    }
}

/// A gain that is changed between frames and moves during one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fader {
    present_q15: i32,
    wanted_q15: i32,
}

impl Fader {
    /// Begins at a gain.
    pub fn new(gain_q15: i32) -> Self {
        Self { present_q15: gain_q15, wanted_q15: gain_q15 }
    }

    /// Moves to another gain during the next frame.
    pub fn set(&mut self, gain_q15: i32) {
        self.wanted_q15 = gain_q15;
    }

    /// The gain over the next frame.
    pub fn next_ramp(&mut self) -> Ramp {
        let from_q15 = std::mem::replace(&mut self.present_q15, self.wanted_q15);
        Ramp { from_q15, to_q15: self.wanted_q15 }
    }

    /// True when the next frame adds nothing.
    pub fn is_silent(&self) -> bool {
        (self.present_q15, self.wanted_q15) == (0, 0)
    }
}

/// Writes the sum of `sources` to `frame`; at most [`SOURCES_MAX`] of them and [`FRAME_SAMPLES_MAX`] samples count.
///
/// Up to three quarters of full scale the sum is exact. Above, the excess `d` is bent to `R·d / (R + d)`, where `R` is
/// the room left: the slope at the knee is one, louder stays louder, and full scale is never passed.
pub fn mix(sources: &[Source<'_>], frame: &mut [i16]) {
    let length = frame.len().min(FRAME_SAMPLES_MAX);
    let (frame, beyond) = frame.split_at_mut(length);
    beyond.fill(0);

    let mut sums = [0_i32; FRAME_SAMPLES_MAX];
    let sums = &mut sums[..length];
    for source in sources.iter().take(SOURCES_MAX) {
        add(source, sums);
    }

    let peak = sums.iter().fold(0, |peak, sum| peak.max(sum.abs()));
    if peak <= KNEE {
        for (sample, sum) in frame.iter_mut().zip(sums) {
            *sample = *sum as i16;
        }
    } else {
        for (sample, sum) in frame.iter_mut().zip(sums) {
            *sample = limited(*sum);
        }
    }
}

/// Makes a frame quieter or louder in place.
pub fn scale(frame: &mut [i16], gain: Ramp) {
    let (from, step) = slope(gain, frame.len());
    for (index, sample) in (1..).zip(frame) {
        *sample = scaled(*sample, from + step * index) as i16;
    }
}

/// A level change as a factor: 0 dB and above change nothing, -96 dB and below (or no number) leave nothing.
pub fn gain_q15(level_db: f32) -> i32 {
    if level_db > SILENT_DB { (10_f32.powf(level_db.min(0.0) / 20.0) * UNITY_Q15 as f32).round() as i32 } else { 0 }
}

const SILENT_DB: f32 = -96.0;

/// Three quarters of full scale.
const KNEE: i32 = 24_576;
/// What is left above the knee.
const ROOM: f32 = (i16::MAX as i32 - KNEE) as f32;

fn add(source: &Source<'_>, sums: &mut [i32]) {
    if source.gain == Ramp::steady(UNITY_Q15) {
        for (sum, sample) in sums.iter_mut().zip(source.samples) {
            *sum += i32::from(*sample);
        }
        return;
    }
    let (from, step) = slope(source.gain, sums.len());
    for (index, (sum, sample)) in (1..).zip(sums.iter_mut().zip(source.samples)) {
        *sum += scaled(*sample, from + step * index);
    }
}

/// Where a ramp begins and how much it moves per sample, with 15 more bits than the gain.
fn slope(gain: Ramp, length: usize) -> (i32, i32) {
    let from = gain.from_q15.clamp(0, UNITY_Q15) << 15;
    let to = gain.to_q15.clamp(0, UNITY_Q15) << 15;
    (from, (to - from) / length.max(1) as i32)
}

fn scaled(sample: i16, gain_q30: i32) -> i32 {
    (i32::from(sample) * (gain_q30 >> 15)) >> 15
}

fn limited(sum: i32) -> i16 {
    let size = sum.abs();
    let excess = (size - KNEE).max(0) as f32;
    let bent = size.min(KNEE) + (ROOM * excess / (ROOM + excess)) as i32;
    (bent * sum.signum()) as i16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quiet_sums_are_exact() {
        check(&[&[1_000, -2_000, 3], &[1, 2, 3]], &[1_001, -1_998, 6]);
        check(&[&[24_576, -24_576, 0]], &[24_576, -24_576, 0]);
        check(&[], &[0, 0, 0]);
    }

    #[test]
    fn loud_sums_are_bent_and_never_wrap() {
        check(&[&[32_767, -32_767, 0][..]; 2], &[31_401, -31_401, 0]);
        check(&[&[32_767, -32_768, 100][..]; 8], &[32_493, -32_493, 800]);
    }

    #[test]
    fn a_short_frame_ends_in_silence() {
        check(&[&[5], &[1, 1, 1]], &[6, 1, 1]);
    }

    #[test]
    fn a_change_of_gain_has_no_step() {
        let mut fader = Fader::new(0);
        fader.set(UNITY_Q15);
        let samples = [20_000; 160];
        let mut frame = [0; 160];
        mix(&[Source { samples: &samples, gain: fader.next_ramp() }], &mut frame);
        let steps: Vec<i16> = frame.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(frame[0] <= 126 && steps.iter().all(|step| (0..=127).contains(step)), "{frame:?}");
        assert!((19_900..=20_000).contains(&frame[159]));
        mix(&[Source { samples: &samples, gain: fader.next_ramp() }], &mut frame);
        assert_eq!(frame, [20_000; 160]);
        fader.set(0);
        assert!(!fader.is_silent());
        fader.next_ramp();
        assert!(fader.is_silent());
    }

    #[test]
    fn scaling_is_mixing_alone() {
        let ramp = Ramp { from_q15: 1_000, to_q15: 30_000 };
        let samples: Vec<i16> = (0..320).map(|n| (n * 71 % 40_000 - 20_000) as i16).collect();
        let mut mixed = vec![0; 320];
        mix(&[Source { samples: &samples, gain: ramp }], &mut mixed);
        let mut scaled = samples;
        scale(&mut scaled, ramp);
        assert_eq!(mixed, scaled);
    }

    #[test]
    fn levels_are_factors() {
        assert_eq!([0.0, -6.0206, -20.0, -96.0, 3.0, f32::NAN].map(gain_q15), [32_768, 16_384, 3_277, 0, 32_768, 0]);
    }

    proptest! {
        #[test]
        fn the_limit_keeps_order_and_sign(a in -262_144_i32..262_144, b in -262_144_i32..262_144) {
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(limited(low) <= limited(high));
            prop_assert_eq!(limited(low), -limited(-low));
            prop_assert!(i32::from(limited(high)).abs() <= high.abs());
        }

        #[test]
        fn any_frames_and_gains(samples: Vec<i16>, from_q15: i32, to_q15: i32, length in 0_usize..1_100) {
            let source = Source { samples: &samples, gain: Ramp { from_q15, to_q15 } };
            let mut frame = vec![1; length];
            mix(&[source; 9], &mut frame);
            let heard = samples.len().min(FRAME_SAMPLES_MAX).min(length);
            prop_assert!(frame[heard..].iter().all(|sample| *sample == 0));
        }
    }

    #[track_caller]
    fn check(speakers: &[&[i16]], expected: &[i16]) {
        let sources: Vec<Source<'_>> =
            speakers.iter().map(|samples| Source { samples, gain: Ramp::steady(UNITY_Q15) }).collect();
        let mut frame = vec![9; 3];
        mix(&sources, &mut frame);
        assert_eq!(frame, expected);
    }
}
