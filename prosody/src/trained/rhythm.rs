//! Finds syllable nuclei: voiced peaks of the level with a dip of 2 dB on both sides (de Jong & Wempe 2009).
//!
//! A nucleus is told in the hop that confirms it, when the level has fallen by the dip again.

use super::frame::{Frame, LEVEL_DBOV_MIN};

/// How far the level rises before and falls after a nucleus, dB.
const DIP_DB: f32 = 2.0;
/// Peaks this far under the loudest recent ones are none, dB.
const QUIET_DB: f32 = 25.0;
/// How fast the memory of the loudest level sinks, dB per hop (2 dB/s).
const FORGET_DB: f32 = 0.02;
/// Levels averaged, hops (70 ms: longer than the slowest pitch period, shorter than a syllable).
const SMOOTH: usize = 7;
/// Weights of the average: a Hann window over `SMOOTH` hops, sum 1.
const WEIGHTS: [f32; SMOOTH] = [0.036_6, 0.125, 0.213_4, 0.25, 0.213_4, 0.125, 0.036_6];

pub(crate) struct Rhythm {
    /// Levels of the last hops, oldest first, with whether each was voiced.
    recent: [(f32, bool); SMOOTH],
    /// Slowly sinking maximum of the smoothed level.
    loudest_db: f32,
    /// Lowest smoothed level since the last nucleus ended, or the highest since it rose.
    extreme_db: f32,
    /// Whether the level is on its way up, and whether the highest hop so far was voiced.
    rising: bool,
    voiced: bool,
}

impl Rhythm {
    pub(crate) fn new() -> Self {
        Self {
            recent: [(LEVEL_DBOV_MIN, false); SMOOTH],
            loudest_db: LEVEL_DBOV_MIN,
            extreme_db: LEVEL_DBOV_MIN,
            rising: false,
            voiced: false,
        }
    }

    /// True when this hop confirms a nucleus.
    pub(crate) fn push(&mut self, frame: &Frame) -> bool {
        self.recent.copy_within(1.., 0);
        self.recent[SMOOTH - 1] = (frame.level_dbov, frame.pitch_hz.is_some());
        let level_db: f32 = self.recent.iter().zip(WEIGHTS).map(|((level, _), weight)| level * weight).sum();
        let voiced = self.recent[SMOOTH / 2].1;
        self.loudest_db = (self.loudest_db - FORGET_DB).max(level_db);

        if !self.rising {
            self.extreme_db = self.extreme_db.min(level_db);
            if level_db >= self.extreme_db + DIP_DB {
                self.rising = true;
                self.rise_to(level_db, voiced);
            }
            return false;
        }
        if level_db > self.extreme_db {
            self.rise_to(level_db, voiced);
        }
        if level_db > self.extreme_db - DIP_DB {
            return false;
        }
        let nucleus = self.voiced && self.extreme_db > self.loudest_db - QUIET_DB;
        self.rising = false;
        self.extreme_db = level_db;
        nucleus
    }

    fn rise_to(&mut self, level_db: f32, voiced: bool) {
        self.extreme_db = level_db;
        self.voiced = voiced;
    }
}
