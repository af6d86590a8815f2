//! A party whose language is found out by its first speech: what is needed to hear it again in another one.

use std::collections::VecDeque;

use nlu::recognition::Language;
use nlu::{LanguageFinder, LanguageFound};

/// Audio that is kept until the language is found, samples at 8 kHz (10 s); beyond it the oldest is let go of.
const KEPT_MAX: usize = 80_000;

/// A party who has said too little in so much audio stays with what is usual, samples at 8 kHz (2 min).
const SOUGHT_MAX: u64 = 120 * 8_000;

/// Audio of a party, the first sample at the position.
pub(super) type Kept = (u64, Box<[f32]>);

#[derive(Debug)]
pub(super) struct Sought {
    /// What it is heard in until then.
    pub(super) usual: Language,
    finder: LanguageFinder,
    /// The position that the next samples should have.
    next: u64,
    kept: VecDeque<Kept>,
    samples: usize,
}

impl Sought {
    pub(super) fn new(usual: Language) -> Self {
        Self { usual, finder: LanguageFinder::default(), next: 0, kept: VecDeque::new(), samples: 0 }
    }

    /// Takes audio of the party; its language, once that is found.
    pub(super) fn push(&mut self, position: u64, samples: &[f32]) -> Option<LanguageFound> {
        if position != self.next {
            self.finder.skip_to(position);
        }
        self.next = position + samples.len() as u64;
        self.kept.push_back((position, samples.into()));
        self.samples += samples.len();
        while self.samples > KEPT_MAX
            && let Some((_, oldest)) = self.kept.pop_front()
        {
            self.samples -= oldest.len();
        }
        self.finder.push(samples)
    }

    /// Whether nothing is to be expected any more.
    pub(super) fn is_over(&self) -> bool {
        self.next >= SOUGHT_MAX
    }

    /// The audio that was kept, in order.
    pub(super) fn into_kept(self) -> VecDeque<Kept> {
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ten_seconds_are_kept() {
        let mut sought = Sought::new(Language::Mandarin);
        (0..30_u64).for_each(|second| assert_eq!(sought.push(second * 8_000, &[0.0; 8_000]), None));
        assert!(!sought.is_over());
        sought.push(SOUGHT_MAX - 80, &[0.0; 80]);
        assert!(sought.is_over());
        let positions: Vec<u64> = sought.into_kept().into_iter().map(|(position, _)| position / 8_000).collect();
        assert_eq!(positions, (21..30).chain([119]).collect::<Vec<_>>());
    }
}
