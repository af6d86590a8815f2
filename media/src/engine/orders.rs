//! Carries out call control's orders on the engine's legs.

use std::sync::Arc;
use std::time::Duration;

use super::{Engine, Output};
use crate::leg::Leg;
use crate::packet::Ssrc;
use crate::play::Player;
use crate::relay::Outgoing;
use crate::{Command, Event, LegId, PlayMode, PromptId, Sound};

impl Engine {
    pub(super) fn order(&mut self, now: Duration, command: Command, out: &mut Output) {
        match command {
            Command::Open { leg, .. } => self.open(now, leg, out),
            Command::Configure { leg, settings } => {
                if let Some(leg) = self.find(leg) {
                    leg.configure(now, settings);
                }
            }
            Command::Bridge { a, b } => self.bridge(a, b),
            Command::Play { leg, prompt, sound, mode } => self.start_play(now, leg, (prompt, sound, mode), out),
            Command::StopPlay { leg } => {
                if let Some(&slot) = self.slots.get(&leg) {
                    self.end_play(slot, out);
                }
            }
            Command::Tap { leg, on } => {
                if let Some(leg) = self.find(leg) {
                    leg.tapped = on;
                }
            }
            Command::Close { leg } => self.close(leg, out),
        }
    }

    fn open(&mut self, now: Duration, leg: LegId, out: &mut Output) {
        if self.slots.contains_key(&leg) {
            out.events.push(Event::OpenFailed { leg, reason: "the leg is open already".into() });
            return;
        }
        let Some(slot) = self.free.pop() else {
            out.events.push(Event::OpenFailed { leg, reason: "no room for another leg".into() });
            return;
        };

        if self.slots.is_empty() {
            self.watch_due = now + super::WATCH_EVERY;
        }
        let numbers = self.random.next();
        let ssrc = Ssrc(self.random.next() as u32);
        let outgoing = Outgoing::new(ssrc, numbers as u16, (numbers >> 32) as u32);
        self.legs[slot as usize] = Some(Leg::new(leg, outgoing));
        self.slots.insert(leg, slot);
    }

    fn bridge(&mut self, a: LegId, b: LegId) {
        let (Some(&slot_a), Some(&slot_b)) = (self.slots.get(&a), self.slots.get(&b)) else {
            return;
        };
        let bridged_already = self.leg(slot_a).is_some_and(|leg| leg.peer == Some(slot_b));
        if slot_a == slot_b || bridged_already {
            return;
        }

        self.unbridge(slot_a);
        self.unbridge(slot_b);
        for (slot, peer) in [(slot_a, slot_b), (slot_b, slot_a)] {
            if let Some(leg) = self.leg_mut(slot) {
                leg.peer = Some(peer);
                leg.bridged_said = false;
            }
        }
    }

    fn unbridge(&mut self, slot: u32) {
        let Some(peer) = self.leg_mut(slot).and_then(|leg| leg.peer.take()) else {
            return;
        };
        if let Some(peer) = self.leg_mut(peer) {
            peer.peer = None;
        }
    }

    fn start_play(
        &mut self,
        now: Duration,
        leg: LegId,
        (prompt, sound, mode): (PromptId, Arc<Sound>, PlayMode),
        out: &mut Output,
    ) {
        let configured = self.slots.get(&leg).copied().filter(|&slot| self.leg(slot).is_some_and(Leg::is_configured));
        let Some(slot) = configured else {
            out.events.push(Event::PlayEnded { leg, prompt, completed: false });
            return;
        };

        // The next frame keeps the rhythm of a sound that it cuts short.
        let due = self.end_play(slot, out).map_or(now, |due| due.max(now));
        let hold = match mode {
            PlayMode::Replace => None,
            PlayMode::Duck { .. } => self.holds.pop(),
        };
        if let Some(leg) = self.leg_mut(slot) {
            leg.player = Some(Player::new(prompt, sound, mode, due, hold));
        }
        self.playing.push(slot);
        self.find_play_due();
    }

    fn close(&mut self, leg: LegId, out: &mut Output) {
        let Some(slot) = self.slots.get(&leg).copied() else {
            return;
        };
        self.end_play(slot, out);
        self.unbridge(slot);
        self.slots.remove(&leg);
        if let Some(leg) = self.legs[slot as usize].take() {
            out.events.push(Event::Closed { leg: leg.id, stats: leg.stats() });
        }
        self.free.push(slot);
    }

    fn find(&mut self, leg: LegId) -> Option<&mut Leg> {
        let slot = *self.slots.get(&leg)?;
        self.leg_mut(slot)
    }
}
