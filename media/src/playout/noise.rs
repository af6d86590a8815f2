//! Comfort noise: the sound of the room, at the level at which it was last heard.

/// The noise of one leg.
#[derive(Debug)]
pub(super) struct Noise {
    block: usize,
    /// The room's amplitude (root mean square).
    level: f32,
    state: u32,
    /// What came out last, for the low-pass.
    last: f32,
}

/// A room is never louder than this, about -42 dB below full scale.
const LEVEL_MAX: f32 = 250.0;
/// Before anything was heard.
const LEVEL_START: f32 = 30.0;
/// How fast the level follows a room that grows louder, per block of 10 ms: 3 dB in a second.
const RISE: f32 = 1.003_5;
/// A silent start is believed up to here.
const LEVEL_MIN: f32 = 1.0;
/// How much of the last sample stays: noise of a room is not white.
const MEMORY: f32 = 0.6;

impl Noise {
    pub(super) fn new(rate_hz: u32) -> Self {
        Self { block: rate_hz as usize / 100, level: LEVEL_START, state: 0x2545_f491, last: 0.0 }
    }

    /// Below this amplitude there is only the room.
    pub(super) fn silence_max(&self) -> f32 {
        2.0 * self.level
    }

    /// Learns from what was heard.
    pub(super) fn learn(&mut self, samples: &[i16]) {
        for block in samples.chunks_exact(self.block) {
            let energy: f32 = block.iter().map(|sample| f32::from(*sample) * f32::from(*sample)).sum();
            let level = (energy / self.block as f32).sqrt();
            self.level = level.max(LEVEL_MIN).min(self.level * RISE).min(LEVEL_MAX);
        }
    }

    /// What the sender says of its room (RFC 3389 §3.1).
    pub(super) fn set(&mut self, level: f32) {
        self.level = level.clamp(0.0, LEVEL_MAX);
    }

    /// Appends noise.
    pub(super) fn make(&mut self, count: usize, samples: &mut Vec<i16>) {
        // A uniform number in ±1 has a power of 1/3, the low-pass lets (1 - m) / (1 + m) of it through.
        let gain = self.level * (3.0 * (1.0 + MEMORY) / (1.0 - MEMORY)).sqrt();
        for _ in 0..count {
            self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let uniform = f32::from((self.state >> 16) as i16) / 32_768.0;
            self.last = MEMORY * self.last + (1.0 - MEMORY) * uniform;
            samples.push((gain * self.last) as i16);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_the_rooms_and_not_the_voices() {
        let mut noise = Noise::new(8_000);
        for second in 0..20 {
            let loud = second % 2 == 0;
            let amplitude = if loud { 9_000 } else { 40 };
            let samples: Vec<i16> = (0..8_000).map(|n| if n % 2 == 0 { amplitude } else { -amplitude }).collect();
            noise.learn(&samples);
        }
        let mut made = Vec::new();
        noise.make(8_000, &mut made);
        let power = made.iter().map(|s| f32::from(*s) * f32::from(*s)).sum::<f32>() / made.len() as f32;
        assert!((35.0..60.0).contains(&power.sqrt()), "{}", power.sqrt());
    }
}
