//! What call control is told.

use std::sync::Arc;
use std::time::Duration;

use media::dtmf::Key;
use media::srtp::Suite;
use media::{LegId, PromptId, Sound};
use nlu::recognition::Transcript;
use prosody::turns::Turns;

use super::order::Order;
use super::{Description, ForkEvent, Measured};
use crate::pbx::Answer;

/// A header that is passed through by name and value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name as it stands in the message.
    pub name: String,
    /// The value, unfolded.
    pub value: String,
}

/// Everything that can happen to call control.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Something on a SIP leg.
    Sip(SipEvent),
    /// Something in the media path.
    Media(media::Event),
    /// A step of a party's emotion timeline; the party's number is the leg's number.
    Heard(Box<nlu::Observation>),
    /// What a party has said; the party's number is the leg's number.
    Said(Transcript),
    /// As `Said`, of words of the other party that came back on this one's line: they are told and move nothing.
    Crosstalk(Transcript),
    /// What a party speaks was found out, or not surely enough.
    Language {
        /// Who.
        leg: LegId,
        /// What was found out.
        found: nlu::LanguageFound,
        /// What it is heard in from now on.
        heard_in: nlu::recognition::Language,
    },
    /// How the two parties of a call have taken turns since both are listened to.
    Turns {
        /// The parties, in the order of `turns`.
        legs: [LegId; 2],
        /// What has happened so far.
        turns: Turns,
    },
    /// A party has begun to speak, and has done so for a while; said once until it pauses.
    Spoke {
        /// Who speaks.
        leg: LegId,
        /// For how long, as far as can be told.
        lasted: Duration,
    },
    /// The tones of a key have been heard on a leg without telephone-events.
    Key {
        /// Who presses it.
        leg: LegId,
        /// Which.
        key: Key,
    },
    /// A handshake has come to its end: what `Command::Handshake` asked for.
    Shaken {
        /// The leg that shook hands.
        leg: LegId,
        /// How its audio is protected from now on, or why there are no keys.
        outcome: Result<Suite, HandshakeFailure>,
    },
    /// A text has been spoken.
    Spoken {
        /// Who is to hear it.
        leg: LegId,
        /// The prompt of `Command::Speak`.
        prompt: PromptId,
        /// Its sound, or why there is none.
        sound: Result<Arc<Sound>, String>,
    },
    /// Something on a stream of a forked call that comes without SIP.
    Fork(ForkEvent),
    /// What became of an order: what `Command::Pbx` asked for.
    Pbx(Answer),
    /// What was measured of the load.
    Measured(Measured),
    /// An operator's or the system's order, when nobody waits to hear whether it can be carried out.
    Order(Order),
}

/// Why a handshake has brought no keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeFailure {
    /// No certificate, or no way to begin: the library said why in the log.
    #[error("the handshake could not begin")]
    Begin,
    /// The far end, whose turn it was, said nothing.
    #[error("the far end has not begun the handshake")]
    NotBegun,
    /// The far end did not finish in time.
    #[error("the far end has not finished the handshake in time")]
    TooSlow,
    /// The far end is not who its session description says.
    #[error("the far end's certificate is not the one of its fingerprint")]
    WrongCertificate,
    /// It shook hands without agreeing on how media is protected.
    #[error("the far end has agreed on no protection profile")]
    NoProfile,
    /// More handshakes at a time than are carried.
    #[error("too many handshakes at a time")]
    Busy,
    /// Something in the handshake went wrong in a way that ends this one only.
    #[error("the handshake broke")]
    Broken,
    /// The keys cannot be had from the finished handshake.
    #[error("the handshake gives no keys")]
    NoKeys,
}

impl HandshakeFailure {
    /// One word for it, in events and metrics.
    pub fn name(self) -> &'static str {
        match self {
            HandshakeFailure::Begin => "begin",
            HandshakeFailure::NotBegun => "not_begun",
            HandshakeFailure::TooSlow => "too_slow",
            HandshakeFailure::WrongCertificate => "wrong_certificate",
            HandshakeFailure::NoProfile => "no_profile",
            HandshakeFailure::Busy => "busy",
            HandshakeFailure::Broken => "broken",
            HandshakeFailure::NoKeys => "no_keys",
        }
    }
}

/// What happens on SIP legs.
///
/// Every leg ends with exactly one of `Failed`, `Cancelled` or `Ended`, also after we ended it ourselves.
/// Incoming legs are numbered by the SIP side with the top bit set; call control numbers its own from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SipEvent {
    /// An INVITE outside a dialog. 100 Trying has been sent.
    Incoming {
        /// The new leg.
        leg: LegId,
        /// The request.
        invite: Invite,
    },
    /// The caller gave up before the answer; 487 has been sent.
    Cancelled {
        /// The incoming leg.
        leg: LegId,
    },
    /// The caller's ACK of our 2xx arrived.
    Confirmed {
        /// The incoming leg.
        leg: LegId,
        /// The body, when it is SDP: the answer to an offer in our 2xx.
        sdp: Option<Description>,
    },
    /// A provisional response (101-199) to our INVITE.
    Progress {
        /// The outgoing leg.
        leg: LegId,
        /// Status code.
        code: u16,
        /// Reason phrase.
        reason: String,
        /// The body, when it is SDP.
        sdp: Option<Description>,
    },
    /// A 2xx to our INVITE; ACK has been sent.
    Answered {
        /// The outgoing leg.
        leg: LegId,
        /// The body, when it is SDP.
        sdp: Option<Description>,
        /// What it says of the session timer.
        session: SessionTerms,
    },
    /// Our INVITE failed: final response 300-699, 408 when nobody answered, 503 when it could not be sent.
    Failed {
        /// The outgoing leg.
        leg: LegId,
        /// Status code.
        code: u16,
        /// Reason phrase.
        reason: String,
        /// For how long whoever was called takes no such calls, when that is known.
        retry_after: Option<Duration>,
    },
    /// A re-INVITE or UPDATE inside the dialog; must be answered with `SipCommand::Reply`.
    Offer {
        /// The leg.
        leg: LegId,
        /// What the answer must name.
        reply: ReplyId,
        /// Which request.
        method: OfferMethod,
        /// The body, when it is SDP; without one, an UPDATE is a refresh and a re-INVITE asks us to offer.
        sdp: Option<Description>,
        /// The metadata of a recording session, when some came with it (RFC 7866 §9.1).
        metadata: Option<Description>,
        /// What it says of the session timer.
        session: SessionTerms,
    },
    /// The ACK of a re-INVITE that asked us to offer.
    Acknowledged {
        /// The leg.
        leg: LegId,
        /// Which re-INVITE.
        reply: ReplyId,
        /// The body, when it is SDP: the answer to our offer.
        sdp: Option<Description>,
    },
    /// What the far end says to our re-INVITE; ACK has been sent. Comes once for each, unless the leg ends before.
    Reinvited {
        /// The leg.
        leg: LegId,
        /// The final status code: 491 when an offer of the far end is open, 408 without an answer.
        code: u16,
        /// The body, when it is SDP.
        sdp: Option<Description>,
        /// What a 2xx says of the session timer.
        session: SessionTerms,
    },
    /// What the far end says to our UPDATE without an offer.
    Updated {
        /// The leg.
        leg: LegId,
        /// The final status code, 408 without an answer.
        code: u16,
        /// What a 2xx says of the session timer.
        session: SessionTerms,
    },
    /// The far end tells of a key in an INFO; 200 has been sent.
    Key {
        /// The leg.
        leg: LegId,
        /// Which.
        key: Key,
    },
    /// The outcome of a REFER that we sent: the response to it, then each NOTIFY's status line (RFC 3515).
    ReferProgress {
        /// The leg that was referred.
        leg: LegId,
        /// Status code: 202 for the response itself, later what the sipfrag says; 300-699 failed.
        code: u16,
        /// Reason phrase.
        reason: String,
        /// True with the last word: a NOTIFY with `terminated`, or a rejected REFER.
        last: bool,
    },
    /// The far end asks by REFER to be connected with, or replaced by, somebody else; 202 has been sent, and
    /// `SipCommand::TellReferrer` must tell how it goes.
    Referred {
        /// The leg that sent it.
        leg: LegId,
        /// Refer-To, without its headers.
        uri: String,
        /// Headers for the target: those of Refer-To, e.g. Replaces, and Referred-By.
        headers: Vec<Header>,
    },
    /// What the far end says to `SipCommand::Inform`.
    Informed {
        /// The leg.
        leg: LegId,
        /// The final status code: 408 without an answer.
        code: u16,
        /// Reason phrase.
        reason: String,
    },
    /// What came of a probe.
    Probed {
        /// The leg.
        leg: LegId,
        /// Whether the far end still knows the dialog.
        found: Presence,
    },
    /// The dialog is over: BYE from either side, or lost.
    Ended {
        /// The leg.
        leg: LegId,
        /// Why, in a few words, for records and logs.
        reason: String,
    },
}

impl SipEvent {
    /// The leg that it is about.
    pub(super) fn leg(&self) -> LegId {
        match self {
            Self::Incoming { leg, .. }
            | Self::Cancelled { leg }
            | Self::Confirmed { leg, .. }
            | Self::Acknowledged { leg, .. }
            | Self::Updated { leg, .. }
            | Self::Progress { leg, .. }
            | Self::Answered { leg, .. }
            | Self::Failed { leg, .. }
            | Self::Offer { leg, .. }
            | Self::Reinvited { leg, .. }
            | Self::Key { leg, .. }
            | Self::ReferProgress { leg, .. }
            | Self::Referred { leg, .. }
            | Self::Informed { leg, .. }
            | Self::Probed { leg, .. }
            | Self::Ended { leg, .. } => *leg,
        }
    }
}

/// What an INVITE asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// The request-URI, e.g. `sip:4000@pbx.example`.
    pub request_uri: String,
    /// How often the call may be sent on after us: Max-Forwards less one (RFC 3261 §16.6); 69 when it said nothing.
    pub hops_left: u8,
    /// The From header's value.
    pub from: String,
    /// The To header's value.
    pub to: String,
    /// The caller's own Call-ID, for logs.
    pub sip_call_id: String,
    /// All headers that are not about transaction, dialog or body, for rules and pass-through.
    pub headers: Vec<Header>,
    /// The body, when it is SDP.
    pub sdp: Option<Description>,
    /// The metadata of a recording session, when some came with it.
    pub metadata: Option<Description>,
    /// Whether it comes from a recording client (RFC 7866 §6.1).
    pub is_recording: bool,
    /// The leg whose place the caller takes (RFC 3891), an answered one.
    pub replaces: Option<LegId>,
    /// What it says of the session timer.
    pub session: SessionTerms,
}

/// What a message says of the session timer (RFC 4028), and what its sender can do about one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionTerms {
    /// Supported or Require name `timer`.
    pub supported: bool,
    /// Session-Expires, seconds.
    pub interval_s: Option<u32>,
    /// Its `refresher` parameter.
    pub refresher: Option<Refresher>,
    /// Min-SE, seconds: the shortest interval that is agreed to; at most a day.
    pub least_s: Option<u32>,
    /// Allow names UPDATE.
    pub takes_update: bool,
}

/// What came of asking a far end whether it still knows a dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It does.
    Here,
    /// It has not answered, or nobody could ask it: 408 and the like.
    Silent,
    /// It says that it does not: 481.
    Gone,
}

/// Who refreshes a session, from the point of view of one request: roles change from one to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresher {
    /// Who sent the request.
    Uac,
    /// Who answers it.
    Uas,
}

/// Names one request that waits for our answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyId(pub u64);

/// The requests that carry an offer inside a dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfferMethod {
    /// Re-INVITE (RFC 3261 §14).
    Invite,
    /// UPDATE (RFC 3311).
    Update,
}
