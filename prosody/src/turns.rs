//! Who speaks when: overlap, latency and interruptions between two parties.
//!
//! [`TurnMeter`] sees speech or silence of both, hop by hop at the same time, and knows no words; [`Dialogue`] brings two
//! streams onto one time axis for it.

mod dialogue;

pub use dialogue::Dialogue;

/// Silences up to this are inside a turn, hops of 10 ms.
const GAP_HOPS: u32 = 30;
/// An interruption speaks on for so long while the other party speaks too, hops; shorter ones are "mhm".
const INTERRUPTION_HOPS: u32 = 50;
/// An answer that takes longer is none, hops.
const LATENCY_HOPS_MAX: u32 = 500;
/// Hops per second.
const HOPS_PER_S: f32 = 100.0;

/// What has happened between two parties so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Turns {
    /// Time in which both speak, seconds (overlap, Heldner & Edlund 2010).
    pub overlap_s: f32,
    /// Per party.
    pub parties: [PartyTurns; 2],
}

/// One party's part in it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PartyTurns {
    /// Time in which it speaks, seconds.
    pub speech_s: f32,
    /// Turns begun: speech after more than 0.3 s of silence.
    pub turns: u32,
    /// Turns begun while the other spoke, with at least 0.5 s of speech of both.
    pub interruptions: u32,
    /// Mean time from the end of the other's turn to the beginning of its own, seconds; `None` before the first one.
    pub latency_mean_s: Option<f32>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Party {
    speech_hops: u64,
    turns: u32,
    interruptions: u32,
    latency_hops: u64,
    latencies: u32,
    /// Within a turn.
    is_speaking: bool,
    /// Hops since it last spoke.
    silent_hops: u32,
    /// Hops of overlap since it began to interrupt; `None` when it does not.
    interrupting: Option<u32>,
}

/// Follows two parties, 0 and 1.
#[derive(Debug, Clone, Copy, Default)]
pub struct TurnMeter {
    parties: [Party; 2],
    overlap_hops: u64,
}

impl TurnMeter {
    /// Takes the next hop: whether each of the two speaks.
    pub fn push(&mut self, speech: [bool; 2]) {
        self.overlap_hops += u64::from(speech[0] && speech[1]);
        let before = self.parties;
        for (i, speaks) in speech.into_iter().enumerate() {
            let other = &before[1 - i];
            let party = &mut self.parties[i];
            if !speaks {
                party.silent_hops = party.silent_hops.saturating_add(1);
                if party.silent_hops > GAP_HOPS {
                    (party.is_speaking, party.interrupting) = (false, None);
                }
                continue;
            }
            party.speech_hops += 1;
            if !party.is_speaking {
                party.begin(other, speech[1 - i]);
            }
            if let Some(hops) = &mut party.interrupting
                && speech[1 - i]
            {
                *hops += 1;
                if *hops == INTERRUPTION_HOPS {
                    party.interruptions += 1;
                }
            }
            party.silent_hops = 0;
        }
    }

    /// What has happened so far.
    pub fn turns(&self) -> Turns {
        let seconds = |hops: u64| hops as f32 / HOPS_PER_S;
        Turns {
            overlap_s: seconds(self.overlap_hops),
            parties: self.parties.map(|party| PartyTurns {
                speech_s: seconds(party.speech_hops),
                turns: party.turns,
                interruptions: party.interruptions,
                latency_mean_s: (party.latencies > 0)
                    .then(|| seconds(party.latency_hops) / party.latencies.max(1) as f32),
            }),
        }
    }
}

impl Party {
    fn begin(&mut self, other: &Party, other_speaks: bool) {
        self.is_speaking = true;
        self.turns += 1;
        if other_speaks {
            self.interrupting = Some(0);
        } else if other.speech_hops > 0 && other.silent_hops < self.silent_hops && other.silent_hops < LATENCY_HOPS_MAX
        {
            // The other one was the last to speak.
            self.latency_hops += u64::from(other.silent_hops);
            self.latencies += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_latency() {
        let turns = heard(&[(100, "a."), (40, ".."), (100, ".b"), (20, ".."), (50, "a.")]);
        assert_eq!(turns.parties[1].latency_mean_s, Some(0.4));
        assert_eq!(turns.parties[0].latency_mean_s, Some(0.2));
        assert_eq!((turns.parties[0].turns, turns.parties[1].turns, turns.overlap_s), (2, 1, 0.0));
    }

    #[test]
    fn whoever_begins_over_the_other_and_goes_on_interrupts() {
        let turns = heard(&[(100, "a."), (60, "ab"), (100, ".b")]);
        assert_eq!((turns.parties[0].interruptions, turns.parties[1].interruptions), (0, 1));
        assert_eq!((turns.overlap_s, turns.parties[1].latency_mean_s), (0.6, None));
    }

    #[test]
    fn a_word_of_assent_is_no_interruption() {
        let turns = heard(&[(100, "a."), (20, "ab"), (200, "a."), (30, "ab"), (100, "a.")]);
        assert_eq!((turns.parties[1].interruptions, turns.parties[1].turns, turns.overlap_s), (0, 2, 0.5));
    }

    #[test]
    fn going_on_after_a_breath_is_the_same_turn_and_no_answer() {
        let turns = heard(&[(100, "a."), (25, ".."), (100, "a."), (60, ".."), (50, "a.")]);
        assert_eq!((turns.parties[0].turns, turns.parties[0].latency_mean_s), (2, None));
    }

    /// `parts` are hops and who speaks in them.
    fn heard(parts: &[(usize, &str)]) -> Turns {
        let mut meter = TurnMeter::default();
        for (hops, who) in parts {
            (0..*hops).for_each(|_| meter.push([who.contains('a'), who.contains('b')]));
        }
        meter.turns()
    }
}
