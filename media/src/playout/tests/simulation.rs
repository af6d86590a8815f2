//! A sender, a network and a listener in simulated time; what is sent is a slow chirp, so that what is heard tells
//! when it was said.

use super::*;
use crate::codec::{Encoder, OpusSettings};
use crate::network::{Network, Way};

/// What happens.
pub(super) struct Scene {
    pub(super) codec: Codec,
    pub(super) rate_hz: u32,
    pub(super) frame_ms: u64,
    pub(super) packet_ms: u64,
    pub(super) seconds: u64,
    pub(super) seed: u64,
    /// How much faster the sender's clock is.
    pub(super) drift_ppm: i64,
    /// The network at a second.
    pub(super) network: fn(f64) -> Network,
    /// The sender says nothing at a second: packets are left out, timestamps go on.
    pub(super) is_pause: fn(f64) -> bool,
    /// SSRC, and what is added to sequence number and timestamp, at a second.
    pub(super) names: Names,
    /// What is said, by seconds of the sender.
    pub(super) signal: fn(f64) -> f64,
    /// Opus leaves silence out: what is no audio is sent once in 400 ms.
    pub(super) dtx: bool,
}

/// SSRC, and what is added to the sequence number and to the timestamp.
pub(super) type Name = (u32, u16, u32);
pub(super) type Names = fn(f64) -> Name;

/// What came of it.
pub(super) struct Report {
    pub(super) frames: Vec<Frame>,
    pub(super) sent: Vec<i16>,
    pub(super) stats: PlayoutStats,
    rate_hz: u32,
    drift_ppm: i64,
}

pub(super) struct Frame {
    pub(super) second: f64,
    pub(super) kind: FrameKind,
    pub(super) samples: Vec<i16>,
    pub(super) stats: PlayoutStats,
}

impl Scene {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            codec: Codec::Pcmu,
            rate_hz: 8_000,
            frame_ms: 20,
            packet_ms: 20,
            seconds: 30,
            seed,
            drift_ppm: 0,
            network: |_| Network::PERFECT,
            is_pause: |_| false,
            names: |_| (7, 0, 0),
            signal: chirp,
            dtx: false,
        }
    }

    pub(super) fn run(&self) -> Report {
        let mut playout = Playout::new(self.codec, self.rate_hz).expect("a codec that is there");
        let mut arrivals = self.send();
        arrivals.sort_by_key(|(at, ..)| *at);
        let mut arrivals = arrivals.into_iter().peekable();
        let mut frames = Vec::new();
        let length = (u64::from(self.rate_hz) * self.frame_ms / 1_000) as usize;
        for tick in 0..self.seconds * 1_000 / self.frame_ms {
            // The tick has a phase of its own.
            let now = Duration::from_micros(tick * self.frame_ms * 1_000 + self.seed % 20 * 1_000);
            while let Some((at, name, payload)) = arrivals.next_if(|(at, ..)| *at <= now) {
                let (ssrc, sequence, timestamp) = name;
                let payload = Payload::Audio(&payload);
                playout.push(at, Packet { ssrc: Ssrc(ssrc), sequence, timestamp, payload });
            }
            let mut samples = vec![0; length];
            let kind = playout.pull(now, &mut samples);
            frames.push(Frame { second: now.as_secs_f64(), kind, samples, stats: playout.stats() });
        }
        let (rate_hz, drift_ppm) = (self.rate_hz, self.drift_ppm);
        Report { frames, sent: self.said(self.seconds), stats: playout.stats(), rate_hz, drift_ppm }
    }

    fn said(&self, seconds: u64) -> Vec<i16> {
        let rate_hz = u64::from(self.rate_hz);
        (0..seconds * rate_hz).map(|n| (self.signal)(n as f64 / rate_hz as f64) as i16).collect()
    }

    fn send(&self) -> Vec<(Duration, Name, Vec<u8>)> {
        let opus = OpusSettings { fec: true, dtx: self.dtx, ..OpusSettings::default() };
        let mut encoder = Encoder::new(self.codec, self.rate_hz, opus).expect("a codec that is there");
        let mut way = Way::new(self.seed);
        let mut arrivals = Vec::new();
        let said = self.said(self.seconds);
        let ticks = u64::from(self.codec.clock_hz()) * self.packet_ms / 1_000;
        let (mut sequence, mut silent) = (65_500_u16, 0_u64);
        for (n, samples) in said.chunks_exact((u64::from(self.rate_hz) * self.packet_ms / 1_000) as usize).enumerate() {
            let mut payload = Vec::new();
            encoder.encode(samples, &mut payload).expect("a packet");
            let own = Duration::from_millis(n as u64 * self.packet_ms);
            silent = if self.dtx && payload.len() <= OPUS_DTX_OCTETS_MAX { silent + 1 } else { 0 };
            let left_out = silent > 1 && !(silent * self.packet_ms).is_multiple_of(400);
            if left_out || (self.is_pause)(own.as_secs_f64()) {
                continue;
            }
            sequence = sequence.wrapping_add(1);
            let (ssrc, sequence_more, timestamp_more) = (self.names)(own.as_secs_f64());
            let timestamp = (u32::MAX - 5_000).wrapping_add((n as u64 * ticks) as u32).wrapping_add(timestamp_more);
            let name = (ssrc, sequence.wrapping_add(sequence_more), timestamp);
            // A packet is sent when its last sample was said, by a clock that runs faster or slower than ours.
            let own_us = own.as_micros() as i64 + self.packet_ms as i64 * 1_000;
            let sent = Duration::from_micros((own_us - own_us * self.drift_ppm / 1_000_000) as u64);
            let network = (self.network)(sent.as_secs_f64());
            let came = way.send(sent, &network).into_iter().flatten();
            arrivals.extend(came.map(|at| (at, name, payload.clone())));
        }
        arrivals
    }
}

impl Report {
    /// Clean frames of the chirp: when they were played, and how much earlier they were said; seconds.
    pub(super) fn delays(&self) -> Vec<(f64, f64)> {
        let mut delays = Vec::new();
        // The first frame after a loss is still joined to what was made for it.
        let clean = self.frames.windows(2).filter(|two| two.iter().all(|frame| frame.kind == FrameKind::Heard));
        for frame in clean.map(|two| &two[1]) {
            let Some(said) = said_at(&frame.samples, self.rate_hz) else { continue };
            // The chirp begins anew every ten seconds; the frame's middle is played half a frame after its tick.
            let middle = frame.samples.len() as f64 / 2.0 / f64::from(self.rate_hz);
            // What was said is told by the sender's clock.
            let own = (frame.second + middle) * (1.0 + self.drift_ppm as f64 / 1e6);
            let behind = (own - said).rem_euclid(CYCLE_SECONDS);
            let behind = if behind > CYCLE_SECONDS - 1.0 { behind - CYCLE_SECONDS } else { behind };
            delays.push((frame.second, behind));
        }
        delays
    }

    /// What is heard was said ever later, and never longer ago than `seconds_max`.
    #[track_caller]
    pub(super) fn assert_order(&self, seconds_max: f64, seed: u64) {
        let delays = self.delays();
        let mut said_last = f64::MIN;
        for (second, behind) in &delays {
            let said = second - behind;
            assert!(said > said_last - 0.025, "seed {seed}: at {second:.2} s back from {said_last:.3} to {said:.3}");
            assert!(*behind <= seconds_max, "seed {seed}: {behind:.3} s behind at {second:.2} s");
            said_last = said_last.max(said);
        }
        let share = delays.len() as f64 / self.frames.len() as f64;
        assert!(share > 0.1, "seed {seed}: only {share:.2} of the frames are clean");
    }

    /// Audio as it came out.
    pub(super) fn heard(&self) -> Vec<i16> {
        self.frames.iter().flat_map(|frame| frame.samples.iter().copied()).collect()
    }
}

/// How long the chirp rises.
const CYCLE_SECONDS: f64 = 10.0;
const LOWEST_HZ: f64 = 500.0;
const RISE_HZ_PER_SECOND: f64 = 220.0;

/// 500 Hz to 2,700 Hz in ten seconds, again and again.
pub(super) fn chirp(second: f64) -> f64 {
    let within = second % CYCLE_SECONDS;
    let cycles = LOWEST_HZ * within + RISE_HZ_PER_SECOND * within * within / 2.0;
    8_000.0 * (cycles * std::f64::consts::TAU).sin()
}

/// When the middle of a frame of the chirp was said, within its cycle; `None` when it is no clean tone.
fn said_at(samples: &[i16], rate_hz: u32) -> Option<f64> {
    let (mut own, mut cross) = (0.0, 0.0);
    for three in samples.windows(3) {
        let [before, now, after] = [three[0], three[1], three[2]].map(f64::from);
        own += now * now;
        cross += now * (before + after) / 2.0;
    }
    // For a tone, x[n-1] + x[n+1] = 2 cos(w) x[n].
    let cosine = cross / own;
    let mut error = 0.0;
    for three in samples.windows(3) {
        let [before, now, after] = [three[0], three[1], three[2]].map(f64::from);
        error += ((before + after) / 2.0 - cosine * now).powi(2);
    }
    let is_clean = own > samples.len() as f64 * 1e6 && error < own * 2e-3;
    let hz = cosine.acos() * f64::from(rate_hz) / std::f64::consts::TAU;
    let within = (hz - LOWEST_HZ) / RISE_HZ_PER_SECOND;
    (is_clean && (0.1..CYCLE_SECONDS - 0.1).contains(&within)).then_some(within)
}

pub(super) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
