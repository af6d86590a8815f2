//! The upper bounds of the buckets of histograms.

/// The sets of bucket bounds in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bounds {
    /// 5 ms to 10 s: things a person waits for.
    Waiting,
    /// 0.1 ms to 100 ms: things a packet waits for.
    Packet,
    /// 0.1 to 1.0: scores.
    Score,
    /// 1.0 to 4.5: mean opinions (ITU-T P.800).
    Opinion,
    /// 0 to 100: transmission ratings; the steps of users' satisfaction in ITU-T G.109 among them.
    Rating,
    /// 0.1 % to 50 %: lost packets.
    Loss,
    /// 1 to 20: how much longer runs of losses are than by chance.
    Runs,
}

impl Bounds {
    /// Upper bounds of the buckets, in the metric's unit, rising; the bucket without bound is not listed.
    pub fn upper(self) -> &'static [f64] {
        match self {
            Self::Waiting => &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
            Self::Packet => &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.02, 0.05, 0.1],
            Self::Score => &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
            Self::Opinion => &[1.5, 2.0, 2.5, 3.0, 3.25, 3.5, 3.75, 4.0, 4.1, 4.2, 4.3, 4.4, 4.5],
            Self::Rating => &[20.0, 40.0, 50.0, 60.0, 70.0, 75.0, 80.0, 85.0, 90.0, 92.5, 95.0, 100.0],
            Self::Loss => &[0.001, 0.002_5, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5],
            Self::Runs => &[1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0],
        }
    }
}
