//! The 88 functionals of eGeMAPSv02 over the last hops, kept up to date hop by hop.
//!
//! Sums are sums of integers, so that taking the oldest hop out leaves exactly what adding the others would have made:
//! a sliding window and one that is filled anew give the same bits.

mod names;
mod peaks;
mod runs;
mod sums;

use std::collections::VecDeque;

pub use names::FUNCTIONAL_NAMES;

use self::peaks::Peaks;
use self::runs::Runs;
use self::sums::{Sorted, Sum, Sums};
use crate::contours::{CONTOURS, FOLLOWED, Mask, Smoothed};
use crate::math::decibels;

/// Values of one window; [`FUNCTIONAL_NAMES`] tells what each is.
pub const FUNCTIONALS: usize = 88;

/// Hops per second.
pub(crate) const HOPS_PER_S: f32 = 100.0;
/// Where the two contours are that more is told of than mean and deviation.
const PITCH: usize = 0;
const LOUDNESS: usize = 1;
/// Powers are summed up in these parts of full scale.
const POWER_PARTS: f32 = 1e5;
/// The power of silence.
const SILENCE: f32 = 1e-12;

/// What is remembered of one hop.
#[derive(Debug, Clone, Copy)]
struct Hop {
    contours: [f32; CONTOURS],
    /// In [`POWER_PARTS`].
    power: f32,
}

/// The functionals of a sliding window. Holds about 170 bytes per hop of the window; nothing grows.
#[derive(Debug, Clone)]
pub struct Functionals {
    window: usize,
    hops: VecDeque<Hop>,
    sums: [Sums; CONTOURS],
    power: Sum,
    pitch: Contour,
    loudness: Contour,
    runs: Runs,
}

/// A contour whose order and turning points matter.
#[derive(Debug, Clone)]
struct Contour {
    sorted: Sorted,
    peaks: Peaks,
}

impl Functionals {
    /// A window of the last `window` hops (10 ms each; at least 1).
    pub fn new(window: usize) -> Self {
        let window = window.max(1);
        let contour = || Contour { sorted: Sorted::new(window), peaks: Peaks::new(window) };
        Self {
            window,
            hops: VecDeque::with_capacity(window),
            sums: [Sums::default(); CONTOURS],
            power: Sum::default(),
            pitch: contour(),
            loudness: contour(),
            runs: Runs::new(window),
        }
    }

    /// Hops in the window.
    pub fn len(&self) -> usize {
        self.hops.len()
    }

    /// True before the first hop.
    pub fn is_empty(&self) -> bool {
        self.hops.is_empty()
    }

    /// Takes the next hop; from a full window the oldest goes.
    pub fn push(&mut self, smoothed: &Smoothed) {
        if self.hops.len() == self.window
            && let Some(oldest) = self.hops.pop_front()
        {
            self.remove(&oldest);
        }
        let hop = Hop { contours: smoothed.contours, power: POWER_PARTS * 10f32.powf(0.1 * smoothed.level_dbov) };
        for (i, value) in hop.contours.iter().enumerate() {
            if is_there(i, *value) {
                self.sums[i].add(*value);
            }
        }
        self.power.add(hop.power);
        if is_there(PITCH, hop.contours[PITCH]) {
            self.pitch.push(hop.contours[PITCH]);
        }
        self.loudness.push(hop.contours[LOUDNESS]);
        self.runs.push(is_there(PITCH, hop.contours[PITCH]));
        self.hops.push_back(hop);
    }

    /// The values by [`FUNCTIONAL_NAMES`], in the units told there; 0 where there is nothing to tell.
    pub fn values(&self) -> [f32; FUNCTIONALS] {
        let mut values = [0.0; FUNCTIONALS];
        let mut places = values.iter_mut();
        let mut put = |value: f32| *places.next().expect("as many values as names") = value;
        for (i, (sums, (_, mask))) in self.sums.iter().zip(FOLLOWED).enumerate() {
            put(sums.mean());
            if mask != Mask::Unvoiced {
                put(sums.variation());
            }
            let contour = match i {
                PITCH => &self.pitch,
                LOUDNESS => &self.loudness,
                _ => continue,
            };
            contour.describe().into_iter().for_each(&mut put);
        }
        let seconds = self.hops.len().max(1) as f32 / HOPS_PER_S;
        put(self.loudness.peaks.count(self.loudness.sorted.range()) as f32 / seconds);
        self.runs.describe(seconds).into_iter().for_each(&mut put);
        let power = self.power.value() / POWER_PARTS / self.hops.len().max(1) as f32;
        put(decibels(power.max(SILENCE)));
        values
    }

    /// Forgets all hops.
    pub fn restart(&mut self) {
        *self = Self::new(self.window);
    }

    fn remove(&mut self, hop: &Hop) {
        for (i, value) in hop.contours.iter().enumerate() {
            if is_there(i, *value) {
                self.sums[i].take(*value);
            }
        }
        self.power.take(hop.power);
        if is_there(PITCH, hop.contours[PITCH]) {
            self.pitch.pop(hop.contours[PITCH]);
        }
        self.loudness.pop(hop.contours[LOUDNESS]);
        self.runs.pop();
    }
}

impl Contour {
    fn push(&mut self, value: f32) {
        self.sorted.insert(value);
        self.peaks.push(value);
    }

    /// `value` is the oldest one.
    fn pop(&mut self, value: f32) {
        self.sorted.remove(value);
        self.peaks.pop();
    }

    /// Percentiles 20, 50, 80, the range between the outer two; mean and deviation of rising and of falling slopes.
    fn describe(&self) -> [f32; 8] {
        let [low, middle, high] = [0.2, 0.5, 0.8].map(|share| self.sorted.percentile(share));
        let [rising, falling] = self.peaks.slopes(self.sorted.range());
        [low, middle, high, high - low, rising.mean, rising.deviation, falling.mean, falling.deviation]
    }
}

/// A 0 counts only in contours that are everywhere.
fn is_there(contour: usize, value: f32) -> bool {
    FOLLOWED[contour].1 == Mask::All || value != 0.0
}
