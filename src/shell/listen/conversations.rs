//! Which parties talk to each other, and how they take turns: the two listened-to legs of one call.
//!
//! A call with another number of such legs has no conversation; one begins anew when one of the two is another leg.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use media::LegId;
use nlu::{Echo, HOP, SAMPLE_RATE_HZ};
use prosody::Row;
use prosody::turns::{Dialogue, Turns};
use routing::CallKey;

/// A conversation is told again after so much more speech, seconds.
const SPEECH_TOLD_S: f32 = 1.0;
const HOP_MICROS: u128 = HOP as u128 * 1_000_000 / SAMPLE_RATE_HZ as u128;

/// All conversations of one listening thread; one per call at most.
#[derive(Debug, Default)]
pub struct Conversations {
    calls: BTreeMap<CallKey, Conversation>,
    seats: BTreeMap<LegId, (CallKey, usize)>,
}

#[derive(Debug)]
struct Conversation {
    legs: [LegId; 2],
    dialogue: Dialogue,
    /// As it was told last.
    told: Turns,
    echo: Echo,
}

impl Conversations {
    /// Takes who is listened to from now on, with their calls.
    pub fn follow(&mut self, tapped: impl Iterator<Item = (LegId, CallKey)>) {
        let mut legs: BTreeMap<CallKey, Vec<LegId>> = BTreeMap::new();
        for (leg, call) in tapped {
            legs.entry(call).or_default().push(leg);
        }
        let mut before = std::mem::take(&mut self.calls);
        self.seats.clear();
        for (call, legs) in legs {
            let Ok(legs) = <[LegId; 2]>::try_from(legs) else { continue };
            let fresh =
                || Conversation { legs, dialogue: Dialogue::default(), told: Turns::default(), echo: Echo::default() };
            let goes_on = before.remove(&call).filter(|conversation| conversation.legs == legs);
            self.calls.insert(call, goes_on.unwrap_or_else(fresh));
            self.seats.extend(legs.into_iter().enumerate().map(|(seat, leg)| (leg, (call, seat))));
        }
    }

    /// Takes whether a party speaks in the hop that is `position` samples into its audio, which began at `origin`.
    pub fn hear(&mut self, leg: LegId, origin: Duration, position: u64, speech: bool) {
        let Some((call, seat)) = self.seats.get(&leg) else { return };
        let Some(conversation) = self.calls.get_mut(call) else { return };
        conversation.dialogue.push(*seat, hop_of(origin, position), speech);
    }

    /// Takes how a party sounds in a hop, as `hear` takes whether it speaks; calls `each` for hops, counted for both parties
    /// alike, in which a party's line has brought the other one's voice.
    pub fn compare(
        &mut self,
        (leg, origin): (LegId, Duration),
        row: &Row,
        speech: bool,
        each: &mut dyn FnMut(LegId, Range<u64>),
    ) {
        let Some((call, seat)) = self.seats.get(&leg) else { return };
        let Some(Conversation { legs, echo, .. }) = self.calls.get_mut(call) else { return };
        let found = echo.push(*seat, hop_of(origin, row.position), row, speech);
        found.into_iter().for_each(|(line, hops)| each(legs[line], hops));
    }

    /// The conversations that have changed since they were told last.
    pub fn tell(&mut self, mut each: impl FnMut(CallKey, [LegId; 2], Turns)) {
        for (call, conversation) in &mut self.calls {
            let turns = conversation.dialogue.turns();
            if is_news(&turns, &conversation.told) {
                conversation.told = turns;
                each(*call, conversation.legs, turns);
            }
        }
    }
}

/// The hop, counted for all parties alike, of a position of audio that began at `origin`.
pub(in crate::shell) fn hop_of(origin: Duration, position: u64) -> u64 {
    (origin.as_micros() / HOP_MICROS) as u64 + position / HOP as u64
}

fn is_news(now: &Turns, told: &Turns) -> bool {
    now.parties.iter().zip(&told.parties).any(|(now, told)| {
        now.turns != told.turns
            || now.interruptions != told.interruptions
            || now.speech_s - told.speech_s >= SPEECH_TOLD_S
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: CallKey = CallKey(3);
    const CALLER: LegId = LegId(1);
    const BOT: LegId = LegId(2);
    const AGENT: LegId = LegId(3);

    #[test]
    fn two_parties_of_a_call_take_turns_on_one_time_axis() {
        let mut conversations = Conversations::default();
        conversations.follow([(CALLER, CALL), (BOT, CALL), (AGENT, CallKey(4))].into_iter());
        // The callee's audio begins 300 ms later: its hop 0 is the caller's hop 30.
        let origins = [Duration::from_millis(5_000), Duration::from_millis(5_300)];
        speak(&mut conversations, CALLER, origins[0], 0..400, 100..200);
        speak(&mut conversations, BOT, origins[1], 0..370, 190..270);
        speak(&mut conversations, AGENT, origins[1], 0..370, 0..370);
        let told = told(&mut conversations);
        let [(call, legs, turns)] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!((*call, *legs), (CALL, [CALLER, BOT]));
        assert_eq!(turns.parties[1].latency_mean_s, Some(0.2));
        assert_eq!((turns.overlap_s, turns.parties[0].speech_s), (0.0, 1.0));
        assert!(self::told(&mut conversations).is_empty(), "nothing is told twice");
    }

    #[test]
    fn another_callee_is_another_conversation() {
        let mut conversations = Conversations::default();
        conversations.follow([(CALLER, CALL), (BOT, CALL)].into_iter());
        speak(&mut conversations, CALLER, Duration::ZERO, 0..300, 0..300);
        speak(&mut conversations, BOT, Duration::ZERO, 0..300, 200..300);
        assert_eq!(told(&mut conversations)[0].2.parties[1].interruptions, 1);
        // Nothing changes by being said again.
        conversations.follow([(CALLER, CALL), (BOT, CALL)].into_iter());
        assert!(told(&mut conversations).is_empty());
        conversations.follow([(CALLER, CALL), (BOT, CALL), (AGENT, CALL)].into_iter());
        conversations.follow([(CALLER, CALL), (AGENT, CALL)].into_iter());
        speak(&mut conversations, CALLER, Duration::ZERO, 300..400, 300..350);
        speak(&mut conversations, AGENT, Duration::ZERO, 300..400, 360..400);
        let told = told(&mut conversations);
        assert_eq!((told[0].1, told[0].2.parties[1].interruptions), ([CALLER, AGENT], 0));
        conversations.follow([].into_iter());
        speak(&mut conversations, CALLER, Duration::ZERO, 400..500, 400..500);
        assert!(self::told(&mut conversations).is_empty());
    }

    fn told(conversations: &mut Conversations) -> Vec<(CallKey, [LegId; 2], Turns)> {
        let mut told = Vec::new();
        conversations.tell(|call, legs, turns| told.push((call, legs, turns)));
        told
    }

    /// Hops of a party, and those of them in which it speaks.
    fn speak(
        conversations: &mut Conversations,
        leg: LegId,
        origin: Duration,
        hops: std::ops::Range<u64>,
        speech: std::ops::Range<u64>,
    ) {
        hops.for_each(|hop| conversations.hear(leg, origin, hop * HOP as u64, speech.contains(&hop)));
    }
}
