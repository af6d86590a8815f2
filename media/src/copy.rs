//! A live copy of one call, for whoever records it or listens along: what the caller says and what the caller hears, as
//! frames of 20 ms on a grid of real time.
//!
//! The right channel is what reaches the caller: whoever the caller talks to, prompts, music, a supervisor who speaks to
//! all; not what only the other side hears. Both come from packets of the caller's leg, so a copy outlives every re-route.
//! Lost packets are concealed, and gaps are silence: nothing moves. Not in the way of the call: packets have long gone on.

use std::collections::VecDeque;
use std::time::Duration;

use crate::jitter::{JitterBuffer, RATE_HZ};
use crate::mix::{Ramp, Source, UNITY_Q15, mix};
use crate::{Codec, CopiedPacket, Way, g711};

/// Samples of a frame: 20 ms at 8 kHz.
pub const FRAME_SAMPLES: usize = 160;
/// How far a copy is behind the call: as long as the jitter buffers may hold a sample back, and a little more.
pub const DELAY: Duration = Duration::from_millis(120);
/// Frames that are given out at once after a pause of the reader; what is older is left out and counted.
pub const BACKLOG_FRAMES_MAX: u64 = 50;

/// One frame of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyFrame {
    /// The first sample's place since the copy began, at 8 kHz; it grows by [`FRAME_SAMPLES`], and by more over frames
    /// that were left out.
    pub position: u64,
    /// What the caller says.
    pub left: [i16; FRAME_SAMPLES],
    /// What the caller hears.
    pub right: [i16; FRAME_SAMPLES],
}

impl CopyFrame {
    /// Both in one channel.
    pub fn mixed(&self) -> [i16; FRAME_SAMPLES] {
        let gain = Ramp::steady(UNITY_Q15);
        let mut mixed = [0; FRAME_SAMPLES];
        mix(&[Source { samples: &self.left, gain }, Source { samples: &self.right, gain }], &mut mixed);
        mixed
    }
}

/// The figures of one copy since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CopyStats {
    /// Frames given out.
    pub frames: u64,
    /// Frames left out because the reader was away for too long.
    pub frames_missed: u64,
    /// Samples of both channels that were rebuilt in place of lost ones.
    pub concealed_samples: u64,
}

/// Makes the copy of one call.
#[derive(Debug)]
pub struct CallCopy {
    start: Duration,
    /// The next frame's number on the grid.
    next: u64,
    said: Side,
    heard: Side,
    /// Used again for every piece that is decoded.
    samples: Vec<f32>,
    frames: u64,
    frames_missed: u64,
}

/// One channel.
#[derive(Debug)]
struct Side {
    buffer: JitterBuffer,
    /// Where the buffer's first sample stands, counted from the copy's beginning.
    origin: Option<u64>,
    /// Decoded samples that wait, the first of them at `from`.
    ready: VecDeque<i16>,
    from: u64,
}

impl CallCopy {
    /// A copy that begins at `now`.
    pub fn new(now: Duration) -> Self {
        // The packets say themselves what is in them.
        let side = || Side { buffer: JitterBuffer::new(Codec::Pcmu, 0), origin: None, ready: VecDeque::new(), from: 0 };
        Self {
            start: now,
            next: 0,
            said: side(),
            heard: side(),
            samples: Vec::with_capacity(8 * FRAME_SAMPLES),
            frames: 0,
            frames_missed: 0,
        }
    }

    /// Takes one packet. Never fails: what cannot be used is left out.
    pub fn push(&mut self, packet: &CopiedPacket) {
        // What came before the copy began is none of its business.
        if packet.frame.arrival < self.start {
            return;
        }
        let side = match packet.way {
            Way::Said => &mut self.said,
            Way::Heard => &mut self.heard,
        };
        // After a pause of the reader many packets come at once: the buffer holds only what has to wait.
        side.decode(self.start, packet.frame.arrival, &mut self.samples);
        if let Some(codec) = packet.frame.codec {
            side.buffer.configure(codec, packet.frame.payload_type());
        }
        side.buffer.push(packet.frame.arrival, packet.frame.packet());
    }

    /// The next frame whose time has come; `None` when there is none yet. Call until `None`.
    pub fn pop(&mut self, now: Duration) -> Option<CopyFrame> {
        let due = self.frames_due(now);
        if self.next >= due {
            return None;
        }
        for side in [&mut self.said, &mut self.heard] {
            side.decode(self.start, now, &mut self.samples);
        }
        let missed = (due - self.next).saturating_sub(BACKLOG_FRAMES_MAX);
        self.frames_missed += missed;
        self.next += missed;

        let position = self.next * FRAME_SAMPLES as u64;
        let mut frame = CopyFrame { position, left: [0; FRAME_SAMPLES], right: [0; FRAME_SAMPLES] };
        self.said.take(position, &mut frame.left);
        self.heard.take(position, &mut frame.right);
        self.next += 1;
        self.frames += 1;
        Some(frame)
    }

    /// The figures so far.
    pub fn stats(&self) -> CopyStats {
        let concealed = |side: &Side| side.buffer.stats().concealed_samples;
        CopyStats {
            frames: self.frames,
            frames_missed: self.frames_missed,
            concealed_samples: concealed(&self.said) + concealed(&self.heard),
        }
    }

    /// Frames whose end lies [`DELAY`] back.
    fn frames_due(&self, now: Duration) -> u64 {
        let since = now.saturating_sub(self.start + DELAY);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX) / FRAME_MS
    }
}

impl Side {
    /// Decodes what is due at `now`.
    fn decode(&mut self, start: Duration, now: Duration, samples: &mut Vec<f32>) {
        while let Some(piece) = self.buffer.pop(now, samples) {
            if self.ready.is_empty() {
                let first = || self.buffer.time_of(0).unwrap_or(start);
                let origin = *self.origin.get_or_insert_with(|| position_at(first().saturating_sub(start)));
                self.from = origin + piece.position;
            }
            self.ready.extend(samples.iter().map(|sample| g711::to_i16(*sample)));
            let excess = self.ready.len().saturating_sub(READY_SAMPLES_MAX);
            self.ready.drain(..excess);
            self.from += excess as u64;
        }
    }

    /// Fills a frame with what stands at its place; the rest of it is silence.
    fn take(&mut self, position: u64, frame: &mut [i16]) {
        let behind = position.saturating_sub(self.from).min(self.ready.len() as u64);
        self.ready.drain(..behind as usize);
        self.from += behind;
        let before = self.from.saturating_sub(position).min(frame.len() as u64) as usize;
        let count = (frame.len() - before).min(self.ready.len());
        for (into, sample) in frame[before..].iter_mut().zip(self.ready.drain(..count)) {
            *into = sample;
        }
        self.from += count as u64;
    }
}

const FRAME_MS: u64 = FRAME_SAMPLES as u64 * 1_000 / RATE_HZ as u64;
/// Decoded samples that may wait in a channel: what [`BACKLOG_FRAMES_MAX`] frames take, and the delay.
const READY_SAMPLES_MAX: usize = FRAME_SAMPLES * (BACKLOG_FRAMES_MAX as usize + 20);

fn position_at(since: Duration) -> u64 {
    let samples = (since.as_nanos() * u128::from(RATE_HZ) + 500_000_000) / 1_000_000_000;
    u64::try_from(samples).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
