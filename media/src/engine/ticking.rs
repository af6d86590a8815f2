//! Makes the audio that is due on the tick: prompts, mixes, and what a transcoder has held back too long.

use std::time::Duration;

use super::{Engine, LegSlot, Output};
use crate::Event;

impl Engine {
    /// Sends what is due; stops when `out` is full, and goes on with the next tick.
    pub(super) fn make_audio(&mut self, now: Duration, out: &mut Output) {
        if self.tick_due.is_none_or(|due| now < due) {
            return;
        }
        let mut index = 0;
        while let Some(&slot) = self.voiced.get(index) {
            index += 1;
            let over = self.leg_mut(slot).is_some_and(|leg| leg.speak(now, LegSlot(slot), out));
            if over {
                self.end_play(now, slot, out);
                // Its place in the list may have been taken by another.
                index = if self.voiced.get(index - 1) == Some(&slot) { index } else { index - 1 };
            }
        }
        self.release_held(now, out);
        self.find_tick_due();
    }

    /// Ends the sound that plays to a leg.
    pub(super) fn end_play(&mut self, now: Duration, slot: u32, out: &mut Output) {
        let Some(leg) = self.leg_mut(slot) else { return };
        if let Some(player) = leg.voice.as_mut().and_then(|voice| voice.end_play()) {
            let completed = player.is_complete();
            out.events.extend(player.prompt().map(|prompt| Event::PlayEnded { leg: leg.id, prompt, completed }));
        }
        self.arrange(now, slot, out);
    }

    /// A transcoder holds a packet back for a moment.
    pub(super) fn hold_back(&mut self, slot: u32) {
        if !self.holding.contains(&slot) {
            self.holding.push(slot);
        }
        self.find_tick_due();
    }

    pub(super) fn find_tick_due(&mut self) {
        let voices = self.voiced.iter().filter_map(|&slot| Some(self.leg(slot)?.voice.as_ref()?.due()));
        let held = self.holding.iter().filter_map(|&slot| self.leg(slot)?.transcoder.as_ref()?.deadline());
        self.tick_due = voices.chain(held).min();
    }

    fn release_held(&mut self, now: Duration, out: &mut Output) {
        let mut index = 0;
        while let Some(&slot) = self.holding.get(index) {
            let leg = self.legs.get_mut(slot as usize).and_then(Option::as_mut);
            let waits = leg.is_some_and(|leg| {
                if let Some(transcoder) = &mut leg.transcoder {
                    transcoder.tick(now);
                }
                leg.send_transcoded(now, LegSlot(slot), out);
                leg.transcoder.as_ref().is_some_and(|transcoder| transcoder.deadline().is_some())
            });
            if waits {
                index += 1;
            } else {
                self.holding.swap_remove(index);
            }
        }
    }
}
