//! What the two ends of the calls of a run speak: codecs, packet time, protection, and the caller's network.
//!
//! Says how a run is measured, too. Where both ends speak the same, every packet carries the time it was sent, one way.
//! Where the server has to transcode, packets do not survive: the caller says clicks, the callee echoes its packets as
//! they are, and the caller measures the round trip, through two transcodes, in the audio that comes back.

use std::net::SocketAddr;
use std::sync::Arc;

use media::Codec;

use super::NOTHING;
use crate::audio::Audio;
use crate::clip::Clip;
use crate::driver::PhonePlan;
use crate::network::BadNetwork;
use crate::stream::StreamPlan;

/// What is spoken in every call of a run.
#[derive(Debug, Clone)]
pub struct Speaking {
    /// By those who call. One that is cheap to decode, for they listen for clicks.
    pub caller: Codec,
    /// By those who are called.
    pub callee: Codec,
    /// Milliseconds of audio per packet of both; `None` leaves it to offer and answer.
    pub ptime_ms: Option<u8>,
    /// Who speaks SRTP.
    pub secured: Secured,
    /// What is wrong with the callers' network.
    pub network: Option<BadNetwork>,
    /// Measures round trips by clicks even where packets survive.
    pub echoes: bool,
    /// What callers say, where only those who are called send packets that carry their time.
    pub says: Option<Arc<Clip>>,
}

/// Who speaks SRTP, with keys in the descriptions, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secured {
    /// Both speak plain RTP.
    Nobody,
    /// Those who call.
    Caller,
    /// Those who are called.
    Callee,
    /// Both.
    Both,
}

impl Secured {
    pub(super) fn caller(self) -> bool {
        matches!(self, Secured::Caller | Secured::Both)
    }

    pub(super) fn callee(self) -> bool {
        matches!(self, Secured::Callee | Secured::Both)
    }

    fn name(self) -> &'static str {
        match self {
            Secured::Nobody => "",
            Secured::Caller => ", SRTP to the callers",
            Secured::Callee => ", SRTP to the callees",
            Secured::Both => ", SRTP to both",
        }
    }
}

impl Speaking {
    /// The same codec at both ends over plain RTP, measured by stamped packets.
    pub fn plain(codec: Codec) -> Self {
        Speaking {
            caller: codec,
            callee: codec,
            ptime_ms: None,
            secured: Secured::Nobody,
            network: None,
            echoes: false,
            says: None,
        }
    }

    /// True when round trips are measured, and not each way by itself.
    pub fn is_echoed(&self) -> bool {
        self.echoes || self.caller != self.callee
    }

    /// What callers and callees say.
    pub(super) fn audio(&self) -> (Audio, Audio) {
        if self.is_echoed() {
            (Audio::Clip(Clip::with_clicks(&[(self.caller, self.ptime_ms.unwrap_or(20))])), Audio::Echo)
        } else {
            (self.says.clone().map_or(Audio::Stamped, Audio::Clip), Audio::Stamped)
        }
    }

    /// What is special about the streams of callers and callees. Only callers have a bad network.
    pub(super) fn streams(&self) -> (StreamPlan, StreamPlan) {
        let callee = StreamPlan { ptime_ms: self.ptime_ms, network: None };
        (StreamPlan { network: self.network, ..callee }, callee)
    }

    /// The telephone that calls and the one that answers.
    pub(super) fn phones(&self, caller: SocketAddr, callee: SocketAddr, lines: usize) -> (PhonePlan, PhonePlan) {
        let (says, answers) = self.audio();
        let (caller_stream, callee_stream) = self.streams();
        let plan = |bind, user: &str| PhonePlan { user: user.to_owned(), lines, keep: NOTHING, ..PhonePlan::new(bind) };
        let caller = PhonePlan {
            codecs: vec![self.caller],
            audio: says,
            stream: caller_stream,
            is_secured: self.secured.caller(),
            ..plan(caller, "caller")
        };
        let callee = PhonePlan {
            codecs: vec![self.callee],
            audio: answers,
            stream: callee_stream,
            is_secured: self.secured.callee(),
            ..plan(callee, "callee")
        };
        (caller, callee)
    }

    /// In words.
    pub(super) fn name(&self) -> String {
        let codecs = match self.caller == self.callee {
            true => self.caller.name().to_owned(),
            false => format!("{} to {}", self.caller.name(), self.callee.name()),
        };
        let packets = self.ptime_ms.map(|ms| format!(", {ms} ms")).unwrap_or_default();
        format!("{codecs}{packets}{}", self.secured.name())
    }
}
