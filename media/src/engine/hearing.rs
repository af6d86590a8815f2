//! Who hears whom: bridges and supervision, and from them which legs are relayed, transcoded or mixed for.
//!
//! Everything follows from the legs' settings, peers and supervisors; it is worked out anew after every order that
//! changes one of them, and nothing is decided on a packet's way.

use std::time::Duration;

use super::{Engine, Output};
use crate::leg::{Leg, Supervised};
use crate::play::Player;
use crate::voice::{SOURCES_MAX, Wanted};
use crate::{Event, LegId, Sides, Supervision};

impl Engine {
    pub(super) fn bridge(&mut self, now: Duration, a: LegId, b: LegId, out: &mut Output) {
        let (Some(&slot_a), Some(&slot_b)) = (self.slots.get(&a), self.slots.get(&b)) else {
            return;
        };
        let bridged_already = self.leg(slot_a).is_some_and(|leg| leg.peer == Some(slot_b));
        if slot_a == slot_b || bridged_already {
            return;
        }

        self.unbridge(now, slot_a, out);
        self.unbridge(now, slot_b, out);
        for (slot, peer) in [(slot_a, slot_b), (slot_b, slot_a)] {
            if let Some(leg) = self.leg_mut(slot) {
                leg.peer = Some(peer);
                leg.bridged_said = false;
                leg.repacks = false;
                leg.hear_another();
            }
        }
        self.arrange(now, slot_a, out);
    }

    pub(super) fn unbridge(&mut self, now: Duration, slot: u32, out: &mut Output) {
        let Some(peer) = self.leg_mut(slot).and_then(|leg| leg.peer.take()) else {
            return;
        };
        if let Some(leg) = self.leg_mut(peer) {
            leg.peer = None;
        }
        self.arrange(now, peer, out);
    }

    pub(super) fn supervise(&mut self, now: Duration, supervisor: LegId, wanted: Supervised, out: &mut Output) {
        let Some(&supervisor) = self.slots.get(&supervisor) else { return };
        let Supervised { target, .. } = wanted;
        // One who is in a call himself, or is supervised, does not supervise: the hearing would go in circles.
        let free = supervisor != target
            && self.leg(supervisor).is_some_and(|leg| leg.peer.is_none())
            && self.leg(target).is_some_and(|leg| leg.supervises.is_none())
            && self.supervisors_of(supervisor).next().is_none()
            && self.supervisors_of(target).filter(|&other| other != supervisor).count() < SUPERVISORS_MAX;
        if !free {
            return;
        }
        let before = self.leg_mut(supervisor).and_then(|leg| leg.supervises.replace(wanted));
        if before.is_none() {
            self.supervisors.push(supervisor);
        }
        if let Some(before) = before.filter(|before| before.target != target) {
            self.arrange(now, before.target, out);
        }
        self.arrange(now, supervisor, out);
    }

    /// Forgets a leg that closes as supervisor and as supervised.
    pub(super) fn end_supervision(&mut self, now: Duration, slot: u32, out: &mut Output) {
        if let Some(Supervised { target, .. }) = self.leg_mut(slot).and_then(|leg| leg.supervises.take()) {
            self.supervisors.retain(|&supervisor| supervisor != slot);
            self.arrange(now, target, out);
        }
        loop {
            let Some(supervisor) = self.supervisors_of(slot).next() else { break };
            self.supervisors.retain(|&other| other != supervisor);
            if let Some(leg) = self.leg_mut(supervisor) {
                leg.supervises = None;
            }
            self.arrange(now, supervisor, out);
        }
    }

    /// Works out anew how each leg that has to do with this one gets its audio.
    pub(super) fn arrange(&mut self, now: Duration, slot: u32, out: &mut Output) {
        let sides = self.sides(slot);
        let supervised = self.supervisors.iter().any(|&supervisor| self.supervises_one_of(supervisor, sides));
        for side in sides.into_iter().flatten() {
            if let Some(leg) = self.leg_mut(side) {
                leg.supervised = supervised;
            }
            self.arrange_leg(now, side, out);
        }
        for index in 0..self.supervisors.len() {
            let supervisor = self.supervisors[index];
            if self.supervises_one_of(supervisor, sides) {
                self.arrange_leg(now, supervisor, out);
            }
        }
    }

    /// The two sides of the call that a leg is in, or supervises.
    pub(super) fn sides(&self, slot: u32) -> [Option<u32>; 2] {
        let one = self.leg(slot).and_then(|leg| leg.supervises).map_or(slot, |supervised| supervised.target);
        [Some(one), self.leg(one).and_then(|leg| leg.peer)]
    }

    pub(super) fn supervises_one_of(&self, supervisor: u32, sides: [Option<u32>; 2]) -> bool {
        let supervised = self.leg(supervisor).and_then(|leg| leg.supervises);
        supervised.is_some_and(|supervised| sides.contains(&Some(supervised.target)))
    }

    /// Gives one leg the transcoder or the voice that it needs now, and takes away what it needs no more.
    fn arrange_leg(&mut self, now: Duration, slot: u32, out: &mut Output) {
        let (sources, count) = self.sources(slot);
        let sources = &sources[..count];
        let spoken = sources.first().map(|source| source.codec);
        let overheard = self.overheard(slot);
        let Some(leg) = self.leg_mut(slot) else { return };
        let Some(target) = leg.target() else { return };

        let mixed = count > 1 || leg.supervises.is_some() && count > 0;
        let ducked = leg.voice.as_ref().is_some_and(|voice| voice.ducks());
        let wanted = if mixed || ducked { sources } else { &[] };
        let outcome = arrange_voice(leg, now, target, wanted, overheard);
        if leg.voice.is_some() != self.voiced.contains(&slot) {
            self.voiced.retain(|&voiced| voiced != slot);
            if self.leg(slot).is_some_and(|leg| leg.voice.is_some()) {
                self.voiced.push(slot);
            }
        }
        self.find_tick_due();

        let Some(leg) = self.leg_mut(slot) else { return };
        let transcodes = spoken.filter(|&spoken| (leg.repacks || !relays(spoken, target.codec)) && !mixed);
        let outcome = outcome.and_then(|()| match transcodes {
            None => {
                leg.drop_transcoder();
                Ok(())
            }
            Some(spoken) if leg.transcoder.as_ref().is_some_and(|transcoder| transcoder.fits(spoken, target)) => Ok(()),
            Some(spoken) => leg.raise_transcoder(spoken, target),
        });
        if let Err(error) = outcome {
            out.events.push(Event::CodecFailed { leg: leg.id, reason: error.to_string() });
        }
    }

    /// Whom a leg hears: the other side first, then those who whisper to it.
    fn sources(&self, slot: u32) -> ([Wanted; SOURCES_MAX], usize) {
        let mut sources = [Wanted { slot: 0, codec: crate::Codec::Pcmu }; SOURCES_MAX];
        let mut count = 0;
        let mut add = |from: u32| {
            let codec = self.leg(from).and_then(Leg::spoken);
            if let Some(codec) = codec.filter(|_| count < SOURCES_MAX) {
                sources[count] = Wanted { slot: from, codec };
                count += 1;
            }
        };
        let Some(leg) = self.leg(slot) else { return (sources, count) };
        if let Some(Supervised { target, hears, .. }) = leg.supervises {
            let far = self.leg(target).and_then(|leg| leg.peer);
            let heard = match hears {
                Sides::Both => [Some(target), far],
                Sides::Supervised => [Some(target), None],
                Sides::Across => [far, None],
            };
            heard.into_iter().flatten().for_each(&mut add);
            self.barging(slot, [Some(target), far]).for_each(add);
            return (sources, count);
        }
        if let Some(peer) = leg.peer {
            add(peer);
        }
        for &supervisor in &self.supervisors {
            let Some(supervised) = self.leg(supervisor).and_then(|leg| leg.supervises) else { continue };
            let target = supervised.target;
            let hears = match supervised.mode {
                Supervision::Listen => false,
                Supervision::Whisper => target == slot,
                Supervision::WhisperAcross => leg.peer == Some(target),
                Supervision::Barge => target == slot || leg.peer == Some(target),
            };
            if hears {
                add(supervisor);
            }
        }
        (sources, count)
    }

    /// Who speaks to everybody in the call of these two, but `slot`.
    fn barging(&self, slot: u32, sides: [Option<u32>; 2]) -> impl Iterator<Item = u32> {
        self.supervisors.iter().copied().filter(move |&supervisor| {
            let supervised = self.leg(supervisor).and_then(|leg| leg.supervises);
            let barges = supervised.is_some_and(|supervised| supervised.mode == Supervision::Barge);
            supervisor != slot && barges && self.supervises_one_of(supervisor, sides)
        })
    }

    /// What plays to the leg that `slot` supervises, as `slot` is to hear it.
    fn overheard(&self, slot: u32) -> Option<Player> {
        let supervised = self.leg(slot)?.supervises.filter(|supervised| supervised.hears != Sides::Supervised)?;
        let player = self.leg(supervised.target)?.voice.as_ref()?.player_now()?;
        (!player.is_over() && !player.is_aside()).then(|| player.overheard())
    }

    fn supervisors_of(&self, slot: u32) -> impl Iterator<Item = u32> {
        self.supervisors.iter().copied().filter(move |&supervisor| {
            self.leg(supervisor).and_then(|leg| leg.supervises).is_some_and(|supervised| supervised.target == slot)
        })
    }
}

/// Whether packets of one codec can be handed to a leg of another without decoding.
fn relays(from: crate::Codec, to: crate::Codec) -> bool {
    from == to || from.law().is_some() && to.law().is_some()
}

/// Makes, changes or ends what is made for a leg on the tick.
fn arrange_voice(
    leg: &mut Leg,
    now: Duration,
    target: crate::transcode::Target,
    wanted: &[Wanted],
    overheard: Option<Player>,
) -> Result<(), crate::codec::CodecError> {
    if overheard.is_some() {
        leg.raise_voice(now, target)?;
    }
    if let Some(voice) = &mut leg.voice {
        voice.overhear(overheard);
    }
    let needed = !wanted.is_empty() || leg.voice.as_ref().is_some_and(|voice| voice.has_own());
    if !needed {
        leg.drop_voice();
        return Ok(());
    }
    leg.raise_voice(now, target)?.arrange(target, wanted)
}

/// Supervisors of one leg.
pub const SUPERVISORS_MAX: usize = 3;
