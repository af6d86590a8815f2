//! Carries out call control's orders on the engine's legs.

use std::time::Duration;

use super::{Engine, LegSlot, Output, Tie};
use crate::dtmf::Key;
use crate::leg::{Leg, Supervised};
use crate::packet::Ssrc;
use crate::play::Playing;
use crate::relay::Outgoing;
use crate::sequence::Sequencer;
use crate::{Command, Event, LegId};

impl Engine {
    pub(super) fn order(&mut self, now: Duration, command: Command, out: &mut Output) {
        match command {
            Command::Open { leg, .. } => self.open(now, leg, out),
            Command::Configure { leg, settings } => {
                let Some(&slot) = self.slots.get(&leg) else { return };
                if let Some(leg) = self.leg_mut(slot) {
                    leg.configure(now, settings);
                    leg.take_early_handshakes(now, &mut out.events);
                    let slot = LegSlot(slot);
                    out.ties.extend(leg.judge_tie(now).map(|to| Tie { slot, to }));
                }
                self.arrange(now, slot, out);
            }
            Command::Bridge { a, b } => self.bridge(now, a, b, out),
            Command::Supervise { supervisor, leg, mode, hears } => {
                let Some(&target) = self.slots.get(&leg) else { return };
                self.supervise(now, supervisor, Supervised { target, mode, hears }, out);
            }
            Command::Play { leg, prompt, sound, mode, repeats, key_ends } => {
                self.start_play(now, leg, Playing { prompt, sound, mode, repeats, key_ends }, out);
            }
            Command::StopPlay { leg } => {
                if let Some(&slot) = self.slots.get(&leg) {
                    self.end_play(now, slot, out);
                }
            }
            Command::Press { leg, key } => self.press(now, leg, key, out),
            Command::Tap { leg, on } => self.change(leg, |leg| leg.tapped = on),
            Command::Copy { leg, on } => self.change(leg, |leg| leg.copied = on),
            Command::Capture { leg, capture } => self.change(leg, |leg| leg.capture.set(capture)),
            Command::Secure { leg, on } => {
                self.change(leg, |leg| leg.secure = on);
                self.slots.get(&leg).copied().into_iter().for_each(|slot| self.hide_captures(now, slot));
            }
            Command::Renew { leg } => self.change(leg, Leg::renew),
            Command::Key { leg, channel, keys } => self.change(leg, |leg| leg.take_keys(channel, &keys)),
            Command::Send { leg, channel, datagram } => {
                if let Some(&slot) = self.slots.get(&leg)
                    && let Some(leg) = self.leg(slot)
                {
                    leg.send_handshake(LegSlot(slot), channel, &datagram, out);
                }
            }
            Command::Close { leg } => self.close(now, leg, out),
        }
    }

    fn change(&mut self, leg: LegId, change: impl FnOnce(&mut Leg)) {
        if let Some(leg) = self.find(leg) {
            change(leg);
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
        // In the lower half: who misses our first packets would else take those behind the first wrap for those before it, and
        // open none of them (RFC 3711 §3.3.1).
        let outgoing = Outgoing::new(ssrc, numbers as u16 & 0x7fff, (numbers >> 32) as u32);
        self.opened = self.opened.wrapping_add(1);
        let sequencer = Sequencer::counting_from(self.opened.wrapping_mul(SOURCES_PER_LEG));
        self.legs[slot as usize] = Some(Leg::new(now, leg, outgoing, sequencer, self.random.next()));
        self.slots.insert(leg, slot);
    }

    /// Begins a sound for a leg; the one before it ends.
    fn start_play(&mut self, now: Duration, leg: LegId, playing: Playing, out: &mut Output) {
        let refused = Event::PlayEnded { leg, prompt: playing.prompt, completed: false };
        let Some(slot) = self.slots.get(&leg).copied() else {
            return out.events.push(refused);
        };
        let Some(target) = self.leg(slot).and_then(Leg::target) else {
            return out.events.push(refused);
        };
        let Some(leg) = self.leg_mut(slot) else { return };
        let Ok(voice) = leg.raise_voice(now, target) else {
            return out.events.push(refused);
        };
        if let Some(cut_short) = voice.play(playing) {
            let ended = cut_short.prompt().map(|prompt| (prompt, cut_short.is_complete()));
            out.events.extend(ended.map(|(prompt, completed)| Event::PlayEnded { leg: leg.id, prompt, completed }));
        }
        self.arrange(now, slot, out);
    }

    /// Sends a key press: as events where agreed, else as its tones.
    pub(super) fn press(&mut self, now: Duration, leg: LegId, key: Key, out: &mut Output) {
        let Some(&slot) = self.slots.get(&leg) else { return };
        let Some(target) = self.leg(slot).and_then(Leg::target) else { return };
        let Some(found) = self.leg_mut(slot) else { return };
        let event = found.event();
        if let Ok(voice) = found.raise_voice(now, target) {
            match event {
                Some((_, clock_hz)) => voice.press(key, clock_hz),
                None => voice.press_tones(key),
            }
        }
        self.arrange(now, slot, out);
    }

    fn close(&mut self, now: Duration, leg: LegId, out: &mut Output) {
        let Some(slot) = self.slots.get(&leg).copied() else {
            return;
        };
        self.end_play(now, slot, out);
        self.unbridge(now, slot, out);
        self.end_supervision(now, slot, out);
        self.voiced.retain(|&voiced| voiced != slot);
        self.holding.retain(|&holding| holding != slot);
        self.slots.remove(&leg);
        if let Some(mut leg) = self.legs[slot as usize].take() {
            leg.say_goodbye(now, LegSlot(slot), out);
            out.events.push(Event::Closed { leg: leg.id, stats: leg.stats() });
        }
        self.free.push(slot);
        self.find_tick_due();
    }

    fn find(&mut self, leg: LegId) -> Option<&mut Leg> {
        let slot = *self.slots.get(&leg)?;
        self.leg_mut(slot)
    }
}

/// Sources of one leg that are told apart from those of the legs opened after it, one of which may have its slot.
const SOURCES_PER_LEG: u32 = 1 << 12;
