//! What call control is told.

use std::sync::Arc;
use std::time::Duration;

use media::dtmf::Key;
use media::{LegId, PromptId, Sound};

use super::order::Order;

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
    Heard(nlu::Observation),
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
    /// A text has been spoken.
    Spoken {
        /// Who is to hear it.
        leg: LegId,
        /// The prompt of `Command::Speak`.
        prompt: PromptId,
        /// Its sound, or why there is none.
        sound: Result<Arc<Sound>, String>,
    },
    /// An operator's or the system's order, when nobody waits to hear whether it can be carried out.
    Order(Order),
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
        sdp: Option<String>,
    },
    /// A 2xx to our INVITE; ACK has been sent.
    Answered {
        /// The outgoing leg.
        leg: LegId,
        /// The body, when it is SDP.
        sdp: Option<String>,
    },
    /// Our INVITE failed: final response 300-699, 408 when nobody answered, 503 when it could not be sent.
    Failed {
        /// The outgoing leg.
        leg: LegId,
        /// Status code.
        code: u16,
        /// Reason phrase.
        reason: String,
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
        sdp: Option<String>,
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
    /// The answer to a probe: false on 481, 408 or no answer.
    Probed {
        /// The leg.
        leg: LegId,
        /// True when the far end still knows the dialog.
        alive: bool,
    },
    /// The dialog is over: BYE from either side, or lost.
    Ended {
        /// The leg.
        leg: LegId,
        /// Why, in a few words, for records and logs.
        reason: String,
    },
}

/// What an INVITE asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// The request-URI, e.g. `sip:4000@pbx.example`.
    pub request_uri: String,
    /// The From header's value.
    pub from: String,
    /// The To header's value.
    pub to: String,
    /// The caller's own Call-ID, for logs.
    pub sip_call_id: String,
    /// All headers that are not about transaction, dialog or body, for rules and pass-through.
    pub headers: Vec<Header>,
    /// The body, when it is SDP.
    pub sdp: Option<String>,
    /// Session-Expires and its refresher when the caller supports session timers (RFC 4028), seconds.
    pub session_expires_s: Option<u32>,
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
