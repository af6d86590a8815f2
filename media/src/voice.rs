//! The audio that we make for one leg on the tick: prompts alone, or the other parties mixed, quieter under a prompt.
//!
//! Exists only while there is something to make; the rest of the time packets are relayed as they come.

use std::time::Duration;

use crate::codec::{CodecError, Encoder, Resampler};
use crate::dtmf::{self, EventPacket, Key};
use crate::mix::{self, Fader, UNITY_Q15, gain_q15};
use crate::packet::HEADER_BYTES;
use crate::play::{Player, Playing};
use crate::playout::{FrameKind, Packet, Playout};
use crate::transcode::Target;
use crate::{Codec, PlayMode};

/// The most parties that one leg hears: the other side of its call and three supervisors.
pub const SOURCES_MAX: usize = 4;
/// Most packets sent at once after a late tick; what is later still is played later, not faster.
pub const BURST_MAX: u32 = 3;

/// A party that is to be heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The slot of its leg.
    pub slot: u32,
    /// Its codec.
    pub codec: Codec,
}

/// What is made for one leg.
#[derive(Debug)]
pub struct Voice {
    target: Target,
    rate_hz: u32,
    encoder: Encoder,
    player: Option<Player>,
    /// Keys that are being pressed for the leg, in the place of audio.
    keys: Option<Box<dtmf::Sender>>,
    /// Brings the player's 8 kHz to ours.
    doubler: Option<Resampler>,
    speakers: Vec<Speaker>,
    /// When the next packet is due.
    due: Duration,
    /// The next packet follows a pause of our own.
    resumes: bool,
    packet: Vec<i16>,
    /// The same without a sound that is for the hearer's ear alone, for copies of the call.
    without_aside: Vec<i16>,
    /// What copies get in the place of the packet that was made last, behind room for a header.
    copied: Vec<u8>,
    /// Encodes that, where a sound is for the hearer's ear alone.
    copy_encoder: Option<Box<Encoder>>,
    prompt: Vec<i16>,
    narrow: Vec<i16>,
    underruns: u64,
}

/// One party that is heard.
#[derive(Debug)]
struct Speaker {
    wanted: Wanted,
    playout: Playout,
    fader: Fader,
    frame: Vec<i16>,
}

/// A packet that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// It is a key's and no audio.
    pub event: Option<EventPacket>,
    /// Ticks of the leg's clock.
    pub ticks: u32,
    /// It follows a pause of our own.
    pub resumes: bool,
    /// Copies of the call get another one: [`Voice::copied`].
    pub copied_apart: bool,
}

impl Voice {
    /// A voice with nothing to say yet, whose first packet is due at `due`.
    ///
    /// # Errors
    /// When the codec cannot be opened.
    pub fn new(target: Target, due: Duration) -> Result<Self, CodecError> {
        let rate_hz = target.codec.audio_rate_hz();
        let room = rate_hz as usize / 1_000 * PACKET_MS_MAX;
        Ok(Self {
            target,
            rate_hz,
            encoder: Encoder::new(target.codec, rate_hz, target.opus)?,
            player: None,
            keys: None,
            doubler: Resampler::new(NARROW_HZ, rate_hz),
            speakers: Vec::with_capacity(SOURCES_MAX),
            due,
            resumes: false,
            packet: Vec::with_capacity(room),
            without_aside: Vec::new(),
            copied: Vec::new(),
            copy_encoder: None,
            prompt: Vec::with_capacity(room),
            narrow: Vec::with_capacity(room),
            underruns: 0,
        })
    }

    /// Begins after a rest: nothing of before is heard, and the first packet is due at `due`.
    pub fn begin(&mut self, due: Duration) {
        self.speakers.clear();
        (self.due, self.resumes) = (due, false);
    }

    /// What makes its packets, to be handed on to whoever speaks next.
    pub fn encoder(&mut self) -> &mut Encoder {
        &mut self.encoder
    }

    /// Makes it speak another codec, and hear exactly the parties named. Those that stay keep what they hold.
    ///
    /// # Errors
    /// When a codec cannot be opened; then nothing more is changed.
    pub fn arrange(&mut self, target: Target, wanted: &[Wanted]) -> Result<(), CodecError> {
        if target != self.target {
            let mut fresh = Self::new(target, self.due)?;
            fresh.encoder.go_on_from(&mut self.encoder);
            let (player, keys) = (self.player.take(), self.keys.take());
            *self = Self { player, keys, underruns: self.underruns, resumes: self.resumes, ..fresh };
            self.prepare_copies();
        }
        self.speakers.retain(|speaker| wanted.contains(&speaker.wanted));
        for &party in wanted.iter().take(SOURCES_MAX) {
            if self.speakers.iter().all(|speaker| speaker.wanted != party) {
                let playout = Playout::new(party.codec, self.rate_hz)?;
                // Heard from the first sample on, as loud as the prompt leaves it.
                let fader = Fader::new(self.gain_of_others());
                let frame = vec![0; self.rate_hz as usize / 1_000 * PACKET_MS_MAX];
                self.speakers.push(Speaker { wanted: party, playout, fader, frame });
            }
        }
        Ok(())
    }

    /// Begins a sound; the one that played before, if any, is given back.
    pub fn play(&mut self, playing: Playing) -> Option<Player> {
        let before = self.player.replace(Player::new(playing));
        self.prepare_copies();
        self.fade();
        before
    }

    /// Ends the sound and gives it back.
    pub fn end_play(&mut self) -> Option<Player> {
        let player = self.player.take();
        self.fade();
        player
    }

    /// The sound that plays.
    pub fn player(&mut self) -> Option<&mut Player> {
        self.player.as_mut()
    }

    /// The sound that plays, to be looked at.
    pub fn player_now(&self) -> Option<&Player> {
        self.player.as_ref()
    }

    /// Plays along with what somebody else hears, or no longer. A sound of the leg's own goes before.
    pub fn overhear(&mut self, overheard: Option<Player>) {
        let present = self.player.as_ref();
        let is_own = present.is_some_and(|present| !present.is_overheard());
        let goes_on = present.zip(overheard.as_ref()).is_some_and(|(present, overheard)| present.is_beside(overheard));
        if !is_own && !goes_on {
            self.player = overheard;
            self.fade();
        }
    }

    /// True when the other parties are wanted under the sound that plays.
    pub fn ducks(&self) -> bool {
        self.player.as_ref().is_some_and(|player| matches!(player.mode(), PlayMode::Duck { .. } | PlayMode::Aside))
    }

    /// Presses a key for the leg, as telephone-event of that clock. When too many wait already, it is left out.
    pub fn press(&mut self, key: Key, clock_hz: u32) {
        self.keys.take_if(|keys| keys.clock_hz() != clock_hz);
        let keys = self.keys.get_or_insert_with(|| Box::new(dtmf::Sender::new(clock_hz)));
        // Nobody presses sixty-four keys ahead of time by hand; who does it by program loses the rest.
        let _full = keys.press([key].into_iter(), KEY_MS, KEY_MS);
    }

    /// True while it has something to say that is no other party's: a sound or a key.
    pub fn has_own(&self) -> bool {
        self.player.is_some() || self.presses()
    }

    /// True when what was made has come to its end: the sound, or the keys when there is nothing else.
    pub fn is_over(&self) -> bool {
        let sound_over = |player: &Player| player.is_over() && !player.is_overheard();
        self.player.as_ref().map_or(self.speakers.is_empty() && !self.presses(), sound_over)
    }

    /// Whether a key that the hearer presses ends the sound that plays.
    pub fn key_ends(&self) -> bool {
        self.player.as_ref().is_some_and(Player::key_ends)
    }

    fn presses(&self) -> bool {
        self.keys.as_ref().is_some_and(|keys| !keys.is_idle())
    }

    /// When the next packet is due.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// Takes a packet of a party; false when that party is not mixed here.
    pub fn hear(&mut self, now: Duration, slot: u32, packet: &Packet<'_>) -> bool {
        let Some(speaker) = self.speakers.iter_mut().find(|speaker| speaker.wanted.slot == slot) else {
            return false;
        };
        speaker.playout.push(now, *packet);
        true
    }

    /// Appends the payload of the packet that is due, and moves the due time on by its length.
    ///
    /// `None` when the codec makes no packet of it. `copied`: copies of the leg's call are made.
    pub fn make(&mut self, now: Duration, copied: bool, payload: &mut Vec<u8>) -> Option<Made> {
        if let Some(event) = self.keys.as_mut().and_then(|keys| keys.tick()) {
            self.due += KEY_TICK;
            payload.extend_from_slice(&event.payload);
            let ticks = self.target.codec.clock_hz() / 50;
            let resumes = std::mem::take(&mut self.resumes);
            return Some(Made { event: Some(event), ticks, resumes, copied_apart: false });
        }
        self.mix_packet(now);
        self.due += Duration::from_millis(u64::from(self.target.ptime_ms));

        let before = payload.len();
        if self.encoder.encode(&self.packet, payload).is_err() || payload.len() == before {
            payload.truncate(before);
            self.resumes = true;
            return None;
        }
        let copied_apart = copied && !self.without_aside.is_empty();
        if copied_apart {
            self.encode_for_copies();
        }
        let samples = self.packet.len() as u64;
        let ticks = (samples * u64::from(self.target.codec.clock_hz()) / u64::from(self.rate_hz)) as u32;
        Some(Made { event: None, ticks, resumes: std::mem::take(&mut self.resumes), copied_apart })
    }

    /// What copies of the call get in the place of a packet that is [`Made::copied_apart`], behind room for a header. Empty when
    /// there is nothing that they could get.
    pub fn copied(&mut self) -> &mut [u8] {
        &mut self.copied
    }

    fn prepare_copies(&mut self) {
        let is_wanted = self.copy_encoder.is_none() && self.player.as_ref().is_some_and(Player::is_aside);
        if is_wanted {
            self.copy_encoder = Encoder::new(self.target.codec, self.rate_hz, self.target.opus).ok().map(Box::new);
        }
    }

    fn encode_for_copies(&mut self) {
        self.copied.clear();
        self.copied.resize(HEADER_BYTES, 0);
        let encoded = self.copy_encoder.as_mut().map(|encoder| encoder.encode(&self.without_aside, &mut self.copied));
        if !matches!(encoded, Some(Ok(_))) || self.copied.len() == HEADER_BYTES {
            self.copied.clear();
        }
    }

    /// Remembers that the packet that was made could not be sent.
    pub fn missed(&mut self) {
        self.resumes = true;
        if let Some(player) = &mut self.player {
            player.missed();
        }
    }

    /// Gives up on being in time: the next packet is due one packet from `now`.
    pub fn postpone(&mut self, now: Duration) {
        self.due = now + Duration::from_millis(u64::from(self.target.ptime_ms));
        self.resumes = true;
    }

    /// Frames in which a party that is mixed had nothing to give although it spoke.
    pub fn underruns(&self) -> u64 {
        self.underruns
    }

    /// The same, counted anew from now on.
    pub fn take_underruns(&mut self) -> u64 {
        std::mem::take(&mut self.underruns)
    }

    /// Makes the packet of what the leg hears. All of it at once: whoever paces the speakers goes by what is taken from them when.
    fn mix_packet(&mut self, now: Duration) {
        let length = self.rate_hz as usize / 1_000 * usize::from(self.target.ptime_ms).min(PACKET_MS_MAX);
        let mut sources = [mix::Source { samples: &[], gain: mix::Ramp::steady(0) }; SOURCES_MAX + 1];
        let mut count = 0;
        if let Some(player) = &mut self.player {
            play(player, self.doubler.as_mut(), length, &mut self.narrow, &mut self.prompt);
            sources[0] = mix::Source { samples: &self.prompt, gain: mix::Ramp::steady(UNITY_Q15) };
            count = 1;
        }
        for speaker in &mut self.speakers {
            let frame = &mut speaker.frame[..length];
            if speaker.playout.pull(now, frame) == FrameKind::Concealed {
                self.underruns += 1;
            }
            sources[count] = mix::Source { samples: frame, gain: speaker.fader.next_ramp() };
            count += 1;
        }
        self.packet.resize(length, 0);
        mix::mix(&sources[..count], &mut self.packet);
        self.without_aside.clear();
        if self.player.as_ref().is_some_and(Player::is_aside) {
            self.without_aside.resize(length, 0);
            mix::mix(&sources[1..count], &mut self.without_aside);
        }
    }

    /// How loud the other parties are while the present sound plays.
    fn gain_of_others(&self) -> i32 {
        match self.player.as_ref().map(Player::mode) {
            None | Some(PlayMode::Aside) => UNITY_Q15,
            Some(PlayMode::Replace) => 0,
            Some(PlayMode::Duck { attenuation_db }) => gain_q15(-f32::from(attenuation_db)),
        }
    }

    fn fade(&mut self) {
        let gain = self.gain_of_others();
        for speaker in &mut self.speakers {
            speaker.fader.set(gain);
        }
    }
}

/// The next part of a sound, at the voice's rate.
fn play(
    player: &mut Player,
    doubler: Option<&mut Resampler>,
    length: usize,
    narrow: &mut Vec<i16>,
    prompt: &mut Vec<i16>,
) {
    prompt.clear();
    let Some(doubler) = doubler else {
        prompt.resize(length, 0);
        return player.next_frame(prompt);
    };
    narrow.clear();
    narrow.resize(length / 2, 0);
    player.next_frame(narrow);
    doubler.process(narrow, prompt);
}

/// The rate of sounds, Hz.
const NARROW_HZ: u32 = 8_000;
/// How long a key is pressed, and how long the pause after it is, ms.
const KEY_MS: u32 = 100;
/// How often a pressed key is sent.
const KEY_TICK: Duration = Duration::from_millis(20);
/// The longest packet, ms.
const PACKET_MS_MAX: usize = 60;
