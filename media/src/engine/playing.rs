//! Sends the frames of all sounds that are due, and ends those that are over.

use std::time::Duration;

use super::law;
use super::{Datagram, Departure, Engine, LegSlot, Output};
use crate::Event;
use crate::leg::Leg;
use crate::play::{BURST_MAX, FRAME_SAMPLES_MAX};

impl Engine {
    /// Sends what is due; stops when `out` is full, and goes on with the next tick.
    pub(super) fn play(&mut self, now: Duration, out: &mut Output) {
        if self.play_due.is_none_or(|due| now < due) {
            return;
        }

        let mut index = 0;
        while let Some(&slot) = self.playing.get(index) {
            let over = self.leg_mut(slot).is_none_or(|leg| play_leg(leg, LegSlot(slot), now, out));
            if over {
                self.end_play(slot, out);
            } else {
                index += 1;
            }
        }
        self.find_play_due();
    }

    /// Ends the sound that plays to a leg; returns when its next frame would have been due.
    pub(super) fn end_play(&mut self, slot: u32, out: &mut Output) -> Option<Duration> {
        self.playing.retain(|&playing| playing != slot);
        let leg = self.leg_mut(slot)?;
        let player = leg.player.take()?;
        let due = player.due();
        let completed = player.is_complete();
        out.events.push(Event::PlayEnded { leg: leg.id, prompt: player.prompt(), completed });
        self.holds.extend(player.into_hold());
        self.find_play_due();
        Some(due)
    }

    pub(super) fn find_play_due(&mut self) {
        let players = self.playing.iter().filter_map(|&slot| self.leg(slot)?.player.as_ref());
        self.play_due = players.map(|player| player.due()).min();
    }
}

/// Sends a leg's due frames; true when the sound is over and its last frame has had its time.
fn play_leg(leg: &mut Leg, slot: LegSlot, now: Duration, out: &mut Output) -> bool {
    let length = leg.frame_samples();
    for _ in 0..BURST_MAX {
        match &leg.player {
            Some(player) if player.due() > now => return false,
            Some(player) if !player.is_over() => {}
            Some(_) | None => return true,
        }
        if out.is_full() {
            return false;
        }
        send_frame(leg, slot, length, now, out);
    }

    let frame_span = Duration::from_micros(length as u64 * 125);
    if let Some(player) = &mut leg.player
        && player.due() <= now
    {
        player.postpone(now + frame_span);
    }
    false
}

fn send_frame(leg: &mut Leg, slot: LegSlot, length: usize, now: Duration, out: &mut Output) {
    let passage = leg.own_passage();
    let Some(player) = &mut leg.player else {
        return;
    };
    let mut samples = [0; FRAME_SAMPLES_MAX];
    let frame = &mut samples[..length];
    player.next_frame(frame);

    let Some(passage) = passage else {
        player.missed();
        return;
    };
    let stamp = leg.outgoing.make(now, passage.payload_type, length as u32, player.resumes());
    let start = out.made.len() as u32;
    out.made.extend_from_slice(&stamp.to_bytes());
    if let Some(law) = passage.codec.law() {
        law::encode(law, frame, &mut out.made);
    }
    let datagram = Datagram::Made { start, end: out.made.len() as u32 };
    out.packets.push(Departure { slot, to: passage.to, datagram });

    leg.packets_sent += 1;
    if player.sent() {
        out.events.push(Event::PlayStarted { leg: leg.id, prompt: player.prompt() });
    }
}
