//! What call control wants done.

use std::net::SocketAddr;

use media::sdp::Handshake;
use media::{LegId, PromptId};

use super::input::{Header, ReplyId};
use super::{Description, ForkCommand, ReelCommand};
use crate::notice::Notice;
use crate::pbx::Order;
use crate::speech::Saying;

/// One thing to do, in the order given.
#[derive(Debug, Clone)]
pub enum Command {
    /// For the SIP side.
    Sip(SipCommand),
    /// For the media path.
    Media(media::Command),
    /// For whoever makes DTLS handshakes: the leg has been configured with `Security::Handshake`. `Input::Shaken` follows.
    /// Comes again only when the far end shows another certificate or the roles change, or when the last one has failed.
    Handshake {
        /// The leg.
        leg: LegId,
        /// The far end's certificate and who begins.
        handshake: Handshake,
        /// Whether several ends may answer our offer: keys that one of them has brought before are still its keys.
        forks: bool,
    },
    /// For the listening side: who speaks on a leg, before it is listened to, where callers may be remembered.
    Know {
        /// The caller's leg.
        leg: LegId,
        /// The caller's URI.
        caller: String,
    },
    /// For the listening side: what the far end of a leg has typed.
    Read {
        /// Whose words they are.
        leg: LegId,
        /// What was typed.
        text: String,
    },
    /// For the listening side: what is seen of the far end of a leg, at the moment in which it comes.
    See {
        /// Of whom.
        leg: LegId,
        /// What.
        expression: nlu::Expression,
    },
    /// For the listening side: the far end of a leg has no audio and writes, or does so no longer.
    Attend {
        /// Whose messages are read.
        leg: LegId,
        /// Whether they are.
        on: bool,
    },
    /// For whoever speaks texts: `Input::Spoken` follows.
    Speak {
        /// Who is to hear it.
        leg: LegId,
        /// The prompt that it becomes.
        prompt: PromptId,
        /// What is said.
        saying: Saying,
    },
    /// For whoever holds the streams of forked calls.
    Fork(ForkCommand),
    /// For whoever holds the connections of supervisors' browsers: this one takes part no longer. One that has said so
    /// itself is told, too.
    EndBrowser {
        /// Its leg.
        leg: LegId,
        /// Why, in a few words.
        reason: String,
    },
    /// For whoever keeps audio.
    Reel(ReelCommand),
    /// For whoever is connected with PBXs and webhooks: `Input::Pbx` follows.
    Pbx(Order),
    /// For everybody who watches: API, metrics, logs.
    Notice(Notice),
}

/// What the SIP side is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SipCommand {
    /// Calls a target.
    Invite {
        /// The new leg, numbered by call control.
        leg: LegId,
        /// The target's SIP URI, also the request-URI and To.
        uri: String,
        /// Where the request is sent instead of to the URI's host.
        proxy: Option<SocketAddr>,
        /// The trunk that the target is reached by, when it has one.
        trunk: Option<String>,
        /// Max-Forwards: what the caller's INVITE had left, less one.
        hops_left: u8,
        /// The From value (display name and URI) to show the target.
        from: String,
        /// Headers to add.
        headers: Vec<Header>,
        /// Our offer.
        sdp: Description,
    },
    /// Gives up on an INVITE that is not yet answered.
    Cancel {
        /// The outgoing leg.
        leg: LegId,
    },
    /// A provisional response to the caller.
    Progress {
        /// The incoming leg.
        leg: LegId,
        /// 180-189.
        code: u16,
        /// Early media, when there is any.
        sdp: Option<Description>,
    },
    /// 200 to the caller.
    Answer {
        /// The incoming leg.
        leg: LegId,
        /// Our answer.
        sdp: Description,
        /// Headers to add.
        headers: Vec<Header>,
    },
    /// A final failure to the caller.
    Reject {
        /// The incoming leg.
        leg: LegId,
        /// 300-699.
        code: u16,
        /// Reason phrase.
        reason: String,
        /// Headers to add, e.g. Retry-After.
        headers: Vec<Header>,
    },
    /// Answers an `Offer`.
    Reply {
        /// The leg.
        leg: LegId,
        /// Which request.
        reply: ReplyId,
        /// 200, or 300-699.
        code: u16,
        /// Our answer, or our offer.
        sdp: Option<Description>,
        /// Headers to add.
        headers: Vec<Header>,
    },
    /// Offers the far end something else inside the dialog (RFC 3261 §14.1): `SipEvent::Reinvited` follows.
    Reinvite {
        /// The leg.
        leg: LegId,
        /// Our offer.
        sdp: Description,
        /// Headers to add.
        headers: Vec<Header>,
    },
    /// Refreshes the session by an UPDATE without an offer (RFC 4028 §7.4): `SipEvent::Updated` follows.
    Update {
        /// The leg.
        leg: LegId,
        /// Headers to add.
        headers: Vec<Header>,
    },
    /// Ends an answered leg.
    Bye {
        /// The leg.
        leg: LegId,
        /// Value of the Reason header (RFC 3326), when there is something to say.
        reason: Option<String>,
    },
    /// Asks the far end of `leg` to call `uri` (RFC 3515).
    Refer {
        /// The leg.
        leg: LegId,
        /// Refer-To.
        uri: String,
        /// Our leg whose place is to be taken (RFC 3891): Refer-To is its far end then, and `uri` only stands in for it.
        replaces: Option<LegId>,
        /// Headers to add, e.g. `X-Calmline-Emotion`.
        headers: Vec<Header>,
    },
    /// Tells a far end that has sent a REFER how it goes (RFC 3515 §2.4.5); the last word from 200 on.
    TellReferrer {
        /// The leg that sent it.
        leg: LegId,
        /// 100-699.
        code: u16,
        /// Reason phrase; the standard one when empty.
        reason: String,
    },
    /// Tells the far end something inside the dialog: `SipEvent::Informed` follows.
    Inform {
        /// The leg.
        leg: LegId,
        /// By which request.
        method: InfoMethod,
        /// Headers to add.
        headers: Vec<Header>,
        /// The body, `application/json`.
        json: String,
    },
    /// Sends the caller elsewhere before the answer: 302 (RFC 3261 §21.3.3).
    Redirect {
        /// The incoming leg.
        leg: LegId,
        /// Contact.
        uri: String,
        /// Headers to add.
        headers: Vec<Header>,
    },
    /// Forgets the dialog of an answered leg and says nothing: its far end goes on without us.
    Leave {
        /// The leg.
        leg: LegId,
    },
    /// Asks whether the far end still knows the dialog (OPTIONS inside it).
    Probe {
        /// The leg.
        leg: LegId,
    },
}

/// The requests that tell something inside a dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InfoMethod {
    /// INFO (RFC 6086).
    Info,
    /// MESSAGE (RFC 3428).
    Message,
}
