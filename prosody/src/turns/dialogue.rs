//! Two parties whose audio comes apart, put on one time axis.
//!
//! Each party tells its hops in order; the meter gets a hop once both have told it, or one has kept silent too long.

use std::collections::VecDeque;

use super::{LATENCY_HOPS_MAX, TurnMeter, Turns};

/// A party that tells nothing for this long, while the other one does, counts as silent, hops.
const LAG_HOPS_MAX: u64 = 200;
/// A silence of both that is longer changes nothing any more, hops.
const SILENCE_HOPS_MAX: u64 = 2 * LATENCY_HOPS_MAX as u64;

/// Follows a conversation of two parties that do not tell their hops at the same moment. Holds about 1 KiB.
#[derive(Debug, Clone, Default)]
pub struct Dialogue {
    meter: TurnMeter,
    /// The hop that the meter gets next; `None` before the first one.
    next: Option<u64>,
    /// From `next` on, per party; at most [`LAG_HOPS_MAX`] and one.
    told: [VecDeque<bool>; 2],
}

impl Dialogue {
    /// Takes whether `party` (0 or 1) speaks in `hop`, counted in hops of 10 ms on an axis that both share.
    ///
    /// Hops that were left out are silent. What was told before, or comes more than 2 s behind the other party, is too
    /// late and changes nothing; so does another party.
    pub fn push(&mut self, party: usize, hop: u64, speech: bool) {
        let next = *self.next.get_or_insert(hop);
        self.go_on_to(hop.saturating_sub(LAG_HOPS_MAX).max(next));
        let Some(ahead) = self.next.and_then(|next| hop.checked_sub(next)) else { return };
        let Some(told) = self.told.get_mut(party) else { return };
        if (ahead as usize) < told.len() {
            return;
        }
        told.resize(ahead as usize, false);
        told.push_back(speech);
        while self.told.iter().all(|told| !told.is_empty()) {
            self.step();
        }
    }

    /// What has happened so far.
    pub fn turns(&self) -> Turns {
        self.meter.turns()
    }

    /// Gives the meter everything before `hop`.
    fn go_on_to(&mut self, hop: u64) {
        while self.next < Some(hop) && self.told.iter().any(|told| !told.is_empty()) {
            self.step();
        }
        let silent_hops = hop.saturating_sub(self.next.unwrap_or(hop));
        (0..silent_hops.min(SILENCE_HOPS_MAX)).for_each(|_| self.meter.push([false; 2]));
        self.next = self.next.max(Some(hop));
    }

    fn step(&mut self) {
        let [a, b] = &mut self.told;
        self.meter.push([a, b].map(|told| told.pop_front().unwrap_or(false)));
        self.next = self.next.map(|next| next + 1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_party_that_sends_nothing_holds_nothing_up() {
        let mut dialogue = Dialogue::default();
        (1_000..2_000).for_each(|hop| dialogue.push(0, hop, true));
        assert_eq!(dialogue.turns().parties[0].speech_s, 8.0 - 0.01);
        // An answer after an hour on hold is none, and takes no hour to work out.
        (361_000..361_100).for_each(|hop| dialogue.push(1, hop, true));
        (361_000..361_300).for_each(|hop| dialogue.push(0, hop, false));
        let turns = dialogue.turns();
        assert_eq!((turns.parties[0].speech_s, turns.parties[1].speech_s), (10.0, 1.0));
        assert_eq!(turns.parties[1].latency_mean_s, None);
    }

    #[test]
    fn what_comes_twice_or_too_late_or_from_nobody_changes_nothing() {
        let mut dialogue = Dialogue::default();
        (0..500).for_each(|hop| dialogue.push(0, hop, true));
        let before = dialogue.turns();
        (0..290).for_each(|hop| dialogue.push(1, hop, true));
        (0..500).for_each(|hop| dialogue.push(0, hop, false));
        dialogue.push(2, u64::MAX, true);
        assert_eq!((dialogue.turns().overlap_s, dialogue.turns().parties[0].turns), (0.0, before.parties[0].turns));
    }

    proptest! {
        /// However the two are told one after the other, the meter hears the same.
        #[test]
        fn the_order_of_telling_does_not_matter(
            speech in proptest::collection::vec((0usize..60, any::<[bool; 2]>()), 1..30),
            leads in proptest::collection::vec(1usize..LAG_HOPS_MAX as usize, 1..40),
        ) {
            let hops: Vec<[bool; 2]> =
                speech.iter().flat_map(|(count, who)| std::iter::repeat_n(*who, *count)).collect();
            let mut meter = TurnMeter::default();
            hops.iter().for_each(|hop| meter.push(*hop));
            let mut dialogue = Dialogue::default();
            // Both begin at once; then one after the other gets ahead.
            let mut at = [0, 0];
            let mut ahead = leads.iter().cycle().enumerate();
            while at[0] < hops.len() || at[1] < hops.len() {
                let (turn, lead) = ahead.next().expect("it goes round for ever");
                let party = turn % 2;
                let until = (at[1 - party] + lead).min(hops.len());
                while at[party] < until {
                    dialogue.push(party, 77 + at[party] as u64, hops[at[party]][party]);
                    at[party] += 1;
                }
            }
            prop_assert_eq!(dialogue.turns(), meter.turns());
        }
    }
}
