//! What call control asks of the media path, and what the media path tells it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::codec::OpusSettings;
use crate::dtmf::Key;
use crate::engine::{Capturing, Channel};
use crate::quality::LegQuality;
use crate::sdp::Formats;
use crate::srtp::{Security, SessionKeys};
use crate::{Codec, LegId, PromptId};

/// An order to the media path. Orders are carried out in the order given.
#[derive(Debug, Clone)]
pub enum Command {
    /// A new leg that receives on the local UDP port `port` (bound by whoever owns the sockets).
    Open {
        /// The new leg.
        leg: LegId,
        /// The local RTP port; control packets come to the next one.
        port: u16,
        /// The local address, when it is not the one that all legs share.
        address: Option<IpAddr>,
    },
    /// What offer/answer agreed for a leg; sent again after every re-offer.
    Configure {
        /// The leg that is set.
        leg: LegId,
        /// Codec, payload types, direction and the far end's address.
        settings: StreamSettings,
    },
    /// Audio of `a` goes to `b` and the other way round. Ends any earlier bridge of either.
    Bridge {
        /// One leg.
        a: LegId,
        /// The other leg.
        b: LegId,
    },
    /// Plays a sound to the party on `leg`. Ends any sound that plays there.
    Play {
        /// Who hears it.
        leg: LegId,
        /// The name events will carry.
        prompt: PromptId,
        /// What is heard. Whoever loaded it keeps a reference until it has ended, so that the media path frees nothing.
        sound: Arc<Sound>,
        /// What happens to the other side's audio meanwhile.
        mode: PlayMode,
        /// It begins again at its end until it is stopped (music on hold).
        repeats: bool,
        /// A key that the hearer presses ends it.
        key_ends: bool,
    },
    /// Ends the sound that plays to `leg`, if any.
    StopPlay {
        /// Who hears it.
        leg: LegId,
    },
    /// A third party joins the call of `leg`: hears its sides and what plays to `leg`, and is heard by whom the mode says.
    ///
    /// Said again to change the mode; ends when either leg is closed. Bridging `leg` to somebody else changes nothing. At
    /// most [`SUPERVISORS_MAX`](crate::SUPERVISORS_MAX) per leg; one more is not heard and hears nothing.
    Supervise {
        /// The third party's leg.
        supervisor: LegId,
        /// The leg that is supervised.
        leg: LegId,
        /// Who hears the supervisor.
        mode: Supervision,
        /// Whom the supervisor hears.
        hears: Sides,
    },
    /// Sends a key press to the party on `leg`: as telephone-event where agreed, else as its two tones.
    Press {
        /// Who receives it.
        leg: LegId,
        /// The key.
        key: Key,
    },
    /// What the far end of `leg` has sent meanwhile went elsewhere: its next packet begins anew, and nothing before it is
    /// missing.
    Renew {
        /// The leg.
        leg: LegId,
    },
    /// While on, what `leg` sends is not copied to the listening side, nothing of its call is copied to whoever records,
    /// and supervisors do not hear the call: a card number is being typed or said.
    Secure {
        /// Whose input is secret.
        leg: LegId,
        /// On or off.
        on: bool,
    },
    /// Sends a datagram of the key handshake from the leg's socket.
    Send {
        /// The leg that shakes hands.
        leg: LegId,
        /// From which of its ports.
        channel: Channel,
        /// A DTLS datagram.
        datagram: Vec<u8>,
    },
    /// The keys that a handshake has brought.
    Key {
        /// The leg that shook hands.
        leg: LegId,
        /// What they protect: the packets of this port.
        channel: Channel,
        /// The keys.
        keys: Box<SessionKeys>,
    },
    /// Starts or ends the copying of what `leg` sends to the listening side.
    Tap {
        /// The party that is listened to.
        leg: LegId,
        /// On or off.
        on: bool,
    },
    /// Starts or ends the copying of what `leg` sends and of what it is sent, as it is heard there, for whoever records.
    Copy {
        /// The party whose call is copied.
        leg: LegId,
        /// On or off.
        on: bool,
    },
    /// Starts or ends the capturing of a leg's packets.
    Capture {
        /// Whose.
        leg: LegId,
        /// How; `None` ends it.
        capture: Option<Capturing>,
    },
    /// Ends a leg and its bridge; `Event::Closed` follows.
    Close {
        /// The leg that ends.
        leg: LegId,
    },
}

/// What offer/answer agreed for one leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSettings {
    /// Where the far end's SDP says it receives; `None` when unknown or `0.0.0.0`.
    pub remote: Option<SocketAddr>,
    /// Where the far end's control packets (RTCP) go.
    pub control: ControlPort,
    /// The audio codec both sides use.
    pub codec: Codec,
    /// The payload type of `codec` that we send: the number in the far end's description.
    pub payload_type: u8,
    /// The payload type of `codec` that the far end sends: the number in our description, usually the same.
    pub payload_type_received: u8,
    /// The payload type of telephone-event at this codec's clock rate that we send, when agreed (RFC 4733).
    pub event_payload_type: Option<u8>,
    /// The one that the far end sends.
    pub event_payload_type_received: Option<u8>,
    /// Ticks per second of telephone-events: the codec's own clock, or 8,000 for far ends that know no other.
    pub event_clock_hz: u32,
    /// What else the far end may send, by the numbers of the offer: it is taken too, so that nothing is lost while
    /// another codec is being agreed, and far ends are heard that send something else than they answered.
    pub also_received: Box<Formats>,
    /// Milliseconds of audio per packet that we send when we make the audio ourselves.
    pub ptime_ms: u8,
    /// The most that a packet to the far end may hold, milliseconds; longer ones of the other side are cut.
    pub packet_ms_max: Option<u8>,
    /// What we do on this leg (RFC 3264 §5.1, seen from us).
    pub direction: Direction,
    /// What the far end wants of Opus; of no interest to the other codecs.
    pub opus: OpusSettings,
    /// How packets are protected.
    pub security: Security,
    /// The names and passwords of connectivity checks, when the far end does them (RFC 8445).
    pub ice: Option<IceCredentials>,
}

impl StreamSettings {
    /// Plain RTP with 20 ms packets both ways, one payload type for both directions, and nothing else agreed.
    pub fn plain(remote: Option<SocketAddr>, codec: Codec, payload_type: u8) -> Self {
        Self {
            remote,
            control: ControlPort::Next,
            codec,
            payload_type,
            payload_type_received: payload_type,
            event_payload_type: None,
            event_payload_type_received: None,
            event_clock_hz: codec.clock_hz(),
            also_received: Box::default(),
            ptime_ms: 20,
            packet_ms_max: None,
            direction: Direction::SendRecv,
            opus: OpusSettings { fec: true, dtx: false, bitrate_max: None, ..OpusSettings::default() },
            security: Security::Plain,
            ice: None,
        }
    }

    /// The same with telephone-event, with one payload type for both directions.
    pub fn with_events(self, payload_type: Option<u8>) -> Self {
        Self { event_payload_type: payload_type, event_payload_type_received: payload_type, ..self }
    }
}

/// Where the far end receives control packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlPort {
    /// One port above its RTP port (RFC 3550 §11).
    Next,
    /// Somewhere else (`a=rtcp`, RFC 3605).
    At(SocketAddr),
    /// On the RTP port, both ways (RFC 5761).
    Shared,
}

/// What connectivity checks are made with; we answer them and make none (ICE-lite, RFC 8445 §2.5).
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// Our name part.
    pub local_name: String,
    /// Our password: requests to us are authenticated with it.
    pub local_password: String,
    /// The far end's name part.
    pub remote_name: String,
}

impl std::fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IceCredentials({} and {})", self.local_name, self.remote_name)
    }
}

/// The direction attribute, seen from us (RFC 3264 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// We send and receive.
    SendRecv,
    /// We only send: the far end holds us or only listens.
    SendOnly,
    /// We only receive.
    RecvOnly,
    /// Neither.
    Inactive,
}

/// What happens to the other side's audio while a sound plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlayMode {
    /// The other side is muted towards the hearer.
    Replace,
    /// The other side is mixed in, quieter by the given number of decibels.
    Duck {
        /// Attenuation of the other side, dB, positive.
        attenuation_db: u8,
    },
    /// The other side is mixed in as it is, and the sound is for the hearer's ear alone: copies of the call are made without it,
    /// and supervisors do not hear it.
    Aside,
}

/// Who hears a supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supervision {
    /// Nobody.
    Listen,
    /// The supervised leg only.
    Whisper,
    /// The other side of the supervised leg only, whoever that is at the time.
    WhisperAcross,
    /// Both sides, and the other supervisors.
    Barge,
}

/// Which sides of a call a supervisor hears; other supervisors who speak to all are heard in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sides {
    /// Both, and what plays to the supervised leg.
    Both,
    /// What the supervised leg says.
    Supervised,
    /// What the other side says, and what plays to the supervised leg.
    Across,
}

/// A mono sound at 8 kHz, ready to be encoded on the tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    /// Linear samples at 8 kHz.
    pub samples: Vec<i16>,
}

/// What the media path tells call control.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The leg's port could not be opened.
    OpenFailed {
        /// The leg that has no port.
        leg: LegId,
        /// What the system said.
        reason: String,
    },
    /// Audio of `leg` comes from this source from now on (symmetric RTP).
    Latched {
        /// The leg.
        leg: LegId,
        /// Where its packets come from.
        source: SocketAddr,
    },
    /// A sound's first packet has left.
    PlayStarted {
        /// Who hears it.
        leg: LegId,
        /// Which playing.
        prompt: PromptId,
    },
    /// A sound has ended.
    PlayEnded {
        /// Who heard it.
        leg: LegId,
        /// Which playing.
        prompt: PromptId,
        /// False when it was cut short.
        completed: bool,
    },
    /// The first packet of `from` reached `leg` after a bridge (or a change of bridge).
    Bridged {
        /// Who hears.
        leg: LegId,
        /// Who is heard.
        from: LegId,
    },
    /// Nothing has arrived on `leg` for this long; said again each time the span doubles.
    Silent {
        /// The leg that sends nothing.
        leg: LegId,
        /// Time since its last packet, or since it was configured.
        silence: Duration,
    },
    /// Packets arrive again on a leg that was said to be silent.
    Heard {
        /// The leg.
        leg: LegId,
    },
    /// The party on `leg` presses a key (RFC 4733).
    Key {
        /// Who presses it.
        leg: LegId,
        /// Which.
        key: Key,
    },
    /// The audio of `leg` cannot be coded; it hears nothing until something else is agreed.
    CodecFailed {
        /// The leg.
        leg: LegId,
        /// What the codec said.
        reason: String,
    },
    /// A datagram of the key handshake has arrived (RFC 5764).
    Handshake {
        /// The leg that shakes hands.
        leg: LegId,
        /// On which of its ports.
        channel: Channel,
        /// A DTLS datagram.
        datagram: Vec<u8>,
    },
    /// The leg is gone; its last figures.
    Closed {
        /// The leg.
        leg: LegId,
        /// What it carried.
        stats: LegStats,
    },
}

/// The figures of one leg since it opened.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LegStats {
    /// RTP packets received from the far end.
    pub packets_received: u64,
    /// RTP packets sent to the far end.
    pub packets_sent: u64,
    /// Bytes of RTP payload received.
    pub bytes_received: u64,
    /// Packets missing in the received sequence numbers (RFC 3550 §A.3).
    pub packets_lost: u64,
    /// Interarrival jitter of received packets, milliseconds (RFC 3550 §A.8).
    pub jitter_ms: f32,
    /// Packets refused: malformed, from a stranger after the latch, of an unknown payload type.
    pub packets_refused: u64,
    /// Packets that the listening side did not get because its ring was full.
    pub tap_dropped: u64,
    /// Packets whose protection did not hold: forged, replayed, or of another key (RFC 3711 §3.3).
    pub packets_unauthentic: u64,
    /// How much of what we sent on, transcoded, stood in for what was lost, milliseconds.
    pub concealed_ms: u64,
    /// Frames of a mix that were due while a speaker's audio was not there.
    pub underruns: u64,
    /// How the call sounds, as far as control packets and our own counts tell.
    pub quality: LegQuality,
}
