//! How long to wait before the next try to connect: half a second, then longer and longer, never the same for all.

use std::time::Duration;

/// The tries so far.
#[derive(Debug, Default)]
pub(in crate::shell) struct Backoff {
    tries: u32,
}

impl Backoff {
    /// The pause before the next try: doubled with each, at most `PAUSE_MAX`, and shortened by up to a half by chance.
    pub(in crate::shell) fn pause(&mut self, chance: u8) -> Duration {
        let whole = PAUSE.saturating_mul(1 << self.tries.min(10)).min(PAUSE_MAX);
        self.tries = self.tries.saturating_add(1);
        whole - whole.mul_f64(f64::from(chance) / 512.0)
    }

    /// The last try has succeeded.
    pub(in crate::shell) fn reset(&mut self) {
        self.tries = 0;
    }
}

const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_a_limit() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..7).map(|_| backoff.pause(0).as_millis()).collect();
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
        for _ in 0..10_000 {
            backoff.pause(255);
        }
        assert!((7_500..=7_600).contains(&backoff.pause(255).as_millis()));
        backoff.reset();
        assert_eq!(backoff.pause(0), PAUSE);
    }
}
