//! What operators ask for from outside a call, and what is said to that at once.
//!
//! What becomes of it later is told by notices.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use media::{LegId, Sound};
use routing::{Fact, Language, PlayMode, Until};

use super::browser::Browser;
use super::chat::{ChatOpening, Message, Showing};
use super::transfer::Wish;
use crate::notice::PriorityChange;

/// Orders from outside the call. `call` is the call's id as in notices.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// Ends one call.
    HangUp {
        /// Which.
        call: String,
    },
    /// Lets the audio of one call go past us, from one side to the other.
    Bypass {
        /// Which.
        call: String,
    },
    /// Takes it back.
    EndBypass {
        /// Which.
        call: String,
    },
    /// Calls a supervisor's phone and lets it take part.
    Supervise {
        /// In which call.
        call: String,
        /// Whom to call.
        whom: Whom,
        /// Who is to hear it.
        mode: SupervisorMode,
        /// Whom it is to hear.
        hears: Hears,
    },
    /// Changes who hears a supervisor, or whom it hears.
    ChangeSupervisor {
        /// In which call.
        call: String,
        /// Its number in that call.
        supervisor: u32,
        /// Who is to hear it from now on; as before when nothing is said.
        mode: Option<SupervisorMode>,
        /// Whom it is to hear from now on; as before when nothing is said.
        hears: Option<Hears>,
        /// What a browser of whoever asks is called; nothing: anybody's may be changed, by the token.
        by: Option<String>,
    },
    /// Hangs up on a supervisor.
    EndSupervisor {
        /// In which call.
        call: String,
        /// Its number in that call.
        supervisor: u32,
    },
    /// Lets a supervisor take part who listens in a browser, once that is connected.
    AdmitBrowser {
        /// In which call.
        call: String,
        /// Who, and how.
        browser: Browser,
    },
    /// A browser that was admitted is connected.
    BrowserConnected {
        /// In which call.
        call: String,
        /// Its number in that call.
        supervisor: u32,
    },
    /// A browser that was admitted is gone, or has not come.
    BrowserGone {
        /// In which call.
        call: String,
        /// Its number in that call.
        supervisor: u32,
        /// Why, in a few words.
        reason: String,
    },
    /// Moves the caller to a target.
    Move {
        /// In which call.
        call: String,
        /// Where, and how.
        wish: Wish,
    },
    /// Changes the caller's place in queues, wherever the caller is moved from now on.
    Prioritise {
        /// In which call.
        call: String,
        /// Which, and who says so.
        change: PriorityChange,
    },
    /// Makes a party hear something.
    Play {
        /// In which call.
        call: String,
        /// Who hears it.
        party: Party,
        /// What is heard.
        sound: PlayedSound,
        /// What happens to the other side's audio meanwhile.
        mode: PlayMode,
        /// What that party may do to end it early.
        until: Until,
    },
    /// Ends what an earlier order, or a policy, makes a party hear.
    StopPlay {
        /// In which call.
        call: String,
        /// Its number.
        prompt: u32,
    },
    /// A party has typed something, e.g. in a chat beside the call.
    Typed {
        /// In which call.
        call: String,
        /// Who.
        party: Party,
        /// What.
        text: String,
    },
    /// A customer begins to write.
    OpenChat(Box<ChatOpening>),
    /// A party has written something in a chat.
    Write {
        /// In which chat.
        call: String,
        /// What.
        message: Message,
    },
    /// Something is seen of a party of a call or chat: an expression of its face, or an emoji.
    Show {
        /// In which.
        call: String,
        /// What, and of whom.
        showing: Showing,
    },
    /// A chat is over.
    EndChat {
        /// Which.
        call: String,
        /// Why, in a few words.
        reason: String,
    },
    /// What has become of the customer whom the channel's software was asked to move.
    ChatMoved {
        /// In which chat.
        call: String,
        /// Whether it has moved the customer, or why not.
        outcome: Result<(), String>,
    },
    /// Somebody says what is known of the customer or the order.
    TellFacts {
        /// In which call.
        call: String,
        /// Names and what they say; `None` takes a fact back.
        facts: Vec<(String, Option<Fact>)>,
        /// Who says so, when nobody asked for it: `sources`.
        by: Option<String>,
    },
    /// Somebody says whether the caller has agreed that words are kept.
    Consent {
        /// In which call.
        call: String,
        /// Whether that is so.
        given: bool,
    },
    /// Somebody wants the live copy of a call.
    OpenAudio {
        /// Of which call.
        call: String,
        /// In which layout, for the record.
        layout: &'static str,
    },
    /// Somebody who has the live copy has missed some of it.
    AudioMissed {
        /// Of which call.
        call: String,
        /// Its number in that call.
        client: u32,
        /// How much, milliseconds.
        missed_ms: u64,
    },
    /// Somebody wants no more of it.
    CloseAudio {
        /// Of which call.
        call: String,
        /// Its number in that call.
        client: u32,
    },
    /// Lets calls that begin from now on go by the policies before the last reload.
    PoliciesBack,
    /// Refuses new calls from now on (503). Running calls go on, and are handed over when the time is up that the
    /// configuration gives them.
    Drain,
    /// Lets go of all calls: those whose audio goes past us live on, the others are hung up.
    Stop,
    /// Says that the listening side is up, or down (calls go on either way).
    Listening {
        /// True when observations can be expected.
        up: bool,
    },
    /// Says that what is spoken was not understood for a moment, or is not: a recogniser or the listening side broke.
    Unheard,
}

/// Whom a supervisor's call goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// A target of the configuration, by name.
    Target(String),
    /// Any address that the configuration allows.
    Uri(String),
}

/// Whom a supervisor hears.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Hears {
    /// Both sides.
    #[default]
    Both,
    /// One of them; with the callee, also what plays to the caller.
    Only(Party),
}

/// Who hears a supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SupervisorMode {
    /// Nobody.
    Listen,
    /// One party.
    Whisper(Party),
    /// Everybody.
    Barge,
}

/// The two sides of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// Who called.
    Caller,
    /// Whoever the caller is connected to at the time.
    Callee,
}

/// What is played by order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlayedSound {
    /// A file that has been read, or a tone.
    Ready {
        /// The file's name, or the tone's.
        name: String,
        /// Its sound.
        sound: Arc<Sound>,
    },
    /// A text, in the words of a policy: `{X-NAME}` stands for a header of the caller's INVITE.
    Text {
        /// What is said.
        text: String,
        /// In which language.
        language: Language,
    },
}

/// What an order has led to so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// It is done, or on its way.
    Accepted,
    /// A chat has begun.
    Opened {
        /// Its id as in notices.
        call: String,
        /// Whether it was up already.
        again: bool,
    },
    /// What came says nothing, and was dropped: `empty`, `garbled` or `duplicate`.
    Dropped(&'static str),
    /// A supervisor is being called; its number in the call.
    Supervisor(u32),
    /// A supervisor's browser may take part once it is connected.
    Browser {
        /// Its number in the call.
        supervisor: u32,
        /// Its leg.
        leg: LegId,
        /// Where what it says goes, as plain RTP.
        receiver: SocketAddr,
    },
    /// A sound is on its way to the party; its number.
    Prompt(u32),
    /// The copy is made.
    Audio {
        /// The client's number in the call.
        client: u32,
        /// The leg whose copy it is.
        leg: LegId,
    },
}

/// Why an order is not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// What kind of reason it is.
    pub kind: DeniedKind,
    /// The reason, for whoever ordered.
    pub reason: String,
}

/// Kinds of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeniedKind {
    /// There is no such call, supervisor or sound.
    Unknown,
    /// The order names something that does not exist, or makes no sense.
    Wrong,
    /// The configuration does not allow it.
    Forbidden,
    /// The call is not, or no longer, in a state for it.
    Conflict,
    /// There is no room for it now.
    Full,
    /// Such orders come too fast.
    TooFast,
}

impl Denied {
    pub(super) fn new(kind: DeniedKind, reason: impl Into<String>) -> Denied {
        Denied { kind, reason: reason.into() }
    }

    pub(super) fn no_such_call() -> Denied {
        Denied::new(DeniedKind::Unknown, "no such call")
    }

    pub(super) fn not_connected() -> Denied {
        Denied::new(DeniedKind::Conflict, "the call is not connected")
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Denied {}

impl Party {
    /// The word that notices use.
    pub fn as_str(self) -> &'static str {
        match self {
            Party::Caller => "caller",
            Party::Callee => "callee",
        }
    }
}

impl Hears {
    /// The word that notices use.
    pub fn as_str(self) -> &'static str {
        match self {
            Hears::Both => "both",
            Hears::Only(party) => party.as_str(),
        }
    }
}

impl SupervisorMode {
    /// The word that notices use.
    pub fn as_str(self) -> &'static str {
        match self {
            SupervisorMode::Listen => "listen",
            SupervisorMode::Whisper(_) => "whisper",
            SupervisorMode::Barge => "barge",
        }
    }

    /// The only one who hears a whisper.
    pub fn party(self) -> Option<Party> {
        match self {
            SupervisorMode::Whisper(party) => Some(party),
            SupervisorMode::Listen | SupervisorMode::Barge => None,
        }
    }
}
