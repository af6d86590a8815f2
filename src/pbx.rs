//! What a PBX or another system outside is asked to do with a call, and what it answers. Pure.
//!
//! Call control gives orders and hears answers; `ami`, `esl` and `ari` put them into the words of their protocols, as
//! sessions without a socket. `shell::pbx` connects these to real ones.

pub mod ami;
pub mod ari;
mod blocks;
pub mod esl;
mod handover;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

pub use handover::Handover;

/// Names an order; never used twice in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// One thing to be done by somebody else.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Named by the answer.
    pub ticket: Ticket,
    /// Who is asked: the name of a `[pbx.NAME]`.
    pub pbx: String,
    /// What is asked for.
    pub deed: Deed,
    /// An order that could not be passed on for this long is not passed on any more.
    pub within: Duration,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Deed {
    /// Moves a channel of the PBX to another place. A webhook is told all of it and moves what it will.
    Move(Box<Move>),
    /// Plays something to a channel of the PBX.
    Play {
        /// The channel, as the PBX names it.
        channel: String,
        /// What, in the PBX's words.
        media: String,
    },
    /// Tells what is known of the call; nothing has to be done about it.
    Tell(Box<Handover>),
}

/// Which channel goes where, and what is said about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Move {
    /// The channel, as the PBX names it: Asterisk's channel name or unique id, FreeSWITCH's UUID. `None` where nothing
    /// named it; only a webhook can do without.
    pub channel: Option<String>,
    /// Where it goes.
    pub place: Place,
    /// What whoever takes the call gets to know.
    pub handover: Handover,
}

/// A place inside a PBX.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// A place in the dialplan.
    pub dialplan: Option<Dialplan>,
    /// A device that ARI calls and puts into a bridge with the caller, e.g. `PJSIP/agent1`.
    pub endpoint: Option<String>,
    /// How far ahead of others the caller waits there; more is further.
    pub queue_priority: Option<u32>,
    /// Channel variables to set.
    pub variables: BTreeMap<String, String>,
}

/// A place in the dialplan of a PBX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialplan {
    /// The context.
    pub context: String,
    /// The extension.
    pub extension: String,
    /// The priority, from 1; FreeSWITCH has none.
    pub priority: u32,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Which order.
    pub ticket: Ticket,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// It has been taken on; that it is done shows when the caller's leg ends.
    Accepted,
    /// It is not done, and why.
    Failed(String),
}

/// What a session wants, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// These octets go out.
    Send(Vec<u8>),
    /// This request goes out; its response comes in by its id.
    Ask(ari::Request),
    /// Orders are taken from now on.
    Up,
    /// An order has its answer.
    Answer(Answer),
    /// The far end will not have us, or does not speak the protocol; the connection is of no use.
    Broken(String),
    /// Something that an operator should read, e.g. a variable that could not be set.
    Note(String),
}

impl Said {
    fn answer(ticket: Ticket, outcome: Outcome) -> Said {
        Said::Answer(Answer { ticket, outcome })
    }

    fn failed(ticket: Ticket, reason: impl Into<String>) -> Said {
        Said::answer(ticket, Outcome::Failed(reason.into()))
    }
}

/// A password or token. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret from its text.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The secret itself, for whom it is meant.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// `text` as it may stand in one line of a protocol: without control characters, at most `VALUE_CHARS_MAX` characters.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(VALUE_CHARS_MAX).collect()
}

/// The name of a channel when it can be one: a word of graphic ASCII characters.
fn channel_name(name: &str) -> Option<&str> {
    let fits = (1..=VALUE_CHARS_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then_some(name)
}

/// The longest value that is put into a line of a protocol, characters.
const VALUE_CHARS_MAX: usize = 256;
/// The most orders of one session that wait for their answers.
const UNANSWERED_MAX: usize = 1_000;

/// Why a move cannot be asked for: what it lacks.
const NO_CHANNEL: &str = "the call does not say which channel of the PBX it is";
const NO_DIALPLAN: &str = "the target has no dialplan";
const TOO_MANY: &str = "too many orders wait for an answer";
