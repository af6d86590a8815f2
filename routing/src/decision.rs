//! What the policy engine hears and what it decides.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{Fact, words};

/// What it means to thank: who thanks wants nothing, and saying it again is no sign that somebody is not understood.
pub(crate) const THANKS: &str = "thanks";

/// A call, as the policy engine knows it. Chosen by call control, never reused in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey(pub u64);

/// The emotions a rule can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Emotion {
    /// Nothing stands out.
    Neutral,
    /// Anger.
    Anger,
    /// Joy or satisfaction.
    Joy,
    /// Sadness.
    Sadness,
}

/// The levels a rule can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Little or none.
    Low,
    /// Clearly there.
    Medium,
    /// Act now.
    High,
}

/// What is known of a call when it begins.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Opening {
    /// The scenario of the route that took the call, e.g. `after-sales`.
    pub scenario: String,
    /// What is spoken in it, as far as that is known.
    pub language: Option<Language>,
    /// How it came, e.g. `phone`, `siprec`.
    pub channel: Option<String>,
    /// The call's id.
    pub id: String,
    /// Tells callers apart from call to call, and goes nowhere; `None` for callers without a name of their own.
    pub caller: Option<String>,
    /// How long the caller had waited before.
    pub waited: Duration,
    /// How long an emotion is taken to last after its last observation; as for voices, which are observed every half
    /// second, when nothing is said.
    pub emotion_holds: Option<Duration>,
}

/// What the engine is told about a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The call was answered; rules apply from now on.
    Started(Opening),
    /// A new step of the caller's emotion timeline.
    Emotion {
        /// The leading emotion.
        emotion: Emotion,
        /// Its level.
        level: Level,
        /// Its score, 0-1.
        score: f32,
        /// Change of the score per second.
        trend_per_s: f32,
    },
    /// The caller pressed a key.
    Key {
        /// `0`-`9`, `*`, `#` or `A`-`D`.
        key: char,
    },
    /// The caller began to speak over the other side, and both went on for a while.
    Interrupted {
        /// How often by now in the present conversation.
        times: u32,
    },
    /// The caller said something that the phrase lists know.
    Said {
        /// What it means there, e.g. `complaint`.
        intent: String,
    },
    /// The caller's last words have words of these categories of the lexicons, and no negation before them.
    Words {
        /// The categories, e.g. `complaint`.
        categories: Vec<String>,
    },
    /// Whoever serves has said what is never to be said, or has not said what must be.
    Breached {
        /// The compliance rule's id, e.g. `no-promise-of-returns`.
        rule: String,
    },
    /// The other side was heard speaking.
    OtherSpoke,
    /// The caller is listened to from now on, or is not: what is not heard is no silence.
    Listened {
        /// Whether anybody listens.
        on: bool,
    },
    /// How good the audio of the caller is.
    Quality {
        /// Mean opinion of one who listens, 1-4.5; `None` while unknown.
        mos: Option<f32>,
        /// Packets that were lost, 0-1; `None` while unknown.
        loss: Option<f32>,
    },
    /// Somebody has said something of the customer or the order.
    Fact {
        /// Which fact, e.g. `order.state`.
        name: String,
        /// What it says; `None`: it is not known any more.
        value: Option<Fact>,
    },
    /// The caller was found to speak this language: scripts are chosen by it from now on.
    Speaks {
        /// Which.
        language: Language,
    },
    /// The call is likely to escalate.
    Warned {
        /// How likely, 0-1.
        score: f32,
        /// What speaks for it, in words.
        evidence: Vec<String>,
    },
    /// The re-route of an earlier decision was refused or timed out.
    RerouteFailed {
        /// Why, for the record, e.g. `486 Busy Here`.
        reason: String,
    },
    /// The call is with a human now; rules that re-route no longer apply.
    Rerouted,
}

/// One decision: what to do, by which rule, because of what.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The call it is about.
    pub call: CallKey,
    /// The rule's id in the policy file.
    pub rule: String,
    /// Name and version of the policy that holds the rule, e.g. `after-sales@3`.
    pub policy: String,
    /// What made the rule apply.
    pub because: Because,
    /// What is to be done, in order.
    pub actions: Vec<Action>,
}

/// The evidence of a decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Because {
    /// The emotion when the rule fired.
    pub emotion: Emotion,
    /// Its level.
    pub level: Level,
    /// Its score, 0-1.
    pub score: f32,
    /// Change of the score per second.
    pub trend_per_s: f32,
    /// How long the emotion had been at this level or above.
    pub lasted: Duration,
    /// For fallback rules: what failed.
    pub failure: Option<String>,
    /// For rules about keys: the keys of the rule, which the caller pressed.
    pub keys: Option<String>,
    /// For rules about interruptions: how often the caller had interrupted.
    pub interruptions: Option<u32>,
    /// For rules about what was said: what it means.
    pub said: Option<String>,
    /// What else made it apply, in words, e.g. `order.state = delayed`.
    pub facts: Vec<String>,
    /// The call's part in the comparison of the policy, e.g. `wording: control`.
    pub group: Option<String>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Play a prompt to the caller.
    Prompt {
        /// File name, relative to the configuration's prompt folder.
        file: String,
        /// What happens to the other side's audio meanwhile.
        mode: PlayMode,
        /// What the caller can end it with.
        until: Until,
    },
    /// Say a text to the caller.
    Say {
        /// What is said; `{NAME}` stands for a header of the caller's INVITE, see [`crate::fill`].
        text: String,
        /// In which language.
        language: Language,
        /// What happens to the other side's audio meanwhile.
        mode: PlayMode,
        /// What the caller can end it with.
        until: Until,
    },
    /// Say a script in the language of the call. What is decided is a `Say` in that language.
    Script {
        /// The script's id.
        id: String,
        /// Its text in every language it has.
        texts: Texts,
        /// The files that are played in the place of texts, in the languages in which it has been recorded.
        sounds: Texts,
        /// What happens to the other side's audio meanwhile.
        mode: PlayMode,
        /// What the caller can end it with.
        until: Until,
    },
    /// Serve the caller otherwise from now on.
    Serve(Box<Switch>),
    /// Begin or end the time in which what the caller types is secret.
    SecureInput(SecureInput),
    /// Move the caller to another target.
    Reroute {
        /// By which means, best first: when one fails, the next one is tried. At most [`WAYS_MAX`](crate::WAYS_MAX).
        ways: Vec<Route>,
        /// Name of the target in the configuration.
        target: String,
        /// What the caller hears until the target answers; `None`: whoever the caller is with.
        hold: Option<Hold>,
        /// How long each way may take; `None`: as long as is usual for it.
        within: Option<Duration>,
        /// What the target of a bridge alone hears when the caller is connected to it.
        whisper: Option<Whisper>,
    },
    /// Have a PBX play something to the caller on its own call.
    Announce {
        /// Name of the PBX in the configuration.
        pbx: String,
        /// What, in the PBX's own words, e.g. a path or `sound:sorry`.
        media: String,
    },
    /// Tell a system outside, which decides itself what to do about it.
    Notify {
        /// Name of the webhook in the configuration.
        pbx: String,
    },
    /// Tell a supervisor.
    Alert {
        /// How urgent.
        severity: Severity,
        /// What to say.
        text: String,
    },
}

/// One text in the languages it has; at least one.
pub type Texts = BTreeMap<Language, String>;

/// How a caller is to be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serve {
    /// The id of the `[[service]]`.
    pub id: String,
    /// By whom.
    pub served_by: ServedBy,
    /// Its place among those who wait: 1 goes first, 9 last.
    pub priority: u8,
    /// What whoever serves must be able to do.
    pub skill: Option<String>,
    /// The id of the script to speak by.
    pub script: Option<String>,
    /// In which tone.
    pub tone: Option<String>,
    /// Fewer steps at a time, and progress told at once.
    pub simplify: bool,
}

/// A caller is served otherwise from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// As before; `None` where the policy has no usual service.
    pub before: Option<Serve>,
    /// From now on; `None`: as usual, whatever that is.
    pub after: Option<Serve>,
    /// The words of the new script in the language of the call.
    pub words: Option<(String, Language)>,
}

/// Who serves a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServedBy {
    /// A machine.
    Bot,
    /// A person.
    Human,
}

/// What ends a prompt before its own end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Until {
    /// The caller begins to speak.
    pub speech: bool,
    /// The caller presses a key.
    pub key: bool,
}

/// What a caller hears who waits for the target of a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// A file of the configuration's prompt folder, again and again.
    Music(String),
    /// The ringback tone of the country that the configuration names.
    Ringback,
}

/// What only the target of a bridge hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whisper {
    /// A file of the configuration's prompt folder.
    File(String),
    /// A text.
    Say {
        /// What is said; `{NAME}` stands for a header of the caller's INVITE, see [`crate::fill`].
        text: String,
        /// In which language.
        language: Language,
    },
}

/// Whether what the caller types is secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecureInput {
    /// From now on, until the caller presses a key.
    On {
        /// The key that ends it.
        end_key: char,
    },
    /// No longer.
    Off,
}

/// The languages a text can be spoken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// Mandarin Chinese.
    Mandarin,
    /// English.
    English,
}

/// What happens to the other side's audio while a prompt plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlayMode {
    /// The other side is muted towards the caller.
    Replace,
    /// The other side is heard, quieter.
    Duck,
}

/// How a call is moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// We call the target and swap the far leg; we stay in the path.
    Bridge,
    /// We ask the caller's side to call the target (RFC 3515).
    Refer,
    /// We call the target, and once it has answered ask the caller's side to take our place (RFC 3891).
    Attended,
    /// We tell the caller's side in an INFO inside the dialog (RFC 6086), and it moves the caller as it sees fit.
    Info,
    /// The same in a MESSAGE (RFC 3428).
    Message,
    /// The PBX or webhook of that name in the configuration is asked to.
    Pbx(String),
}

impl Route {
    /// The ways that need no PBX of the configuration, and have names of their own.
    pub const OWN: [Route; 5] = [Route::Bridge, Route::Refer, Route::Attended, Route::Info, Route::Message];

    /// The word that policies and notices use.
    pub fn as_str(&self) -> &str {
        match self {
            Route::Bridge => "bridge",
            Route::Refer => "refer",
            Route::Attended => "attended",
            Route::Info => "info",
            Route::Message => "message",
            Route::Pbx(name) => name,
        }
    }

    /// The way that a word of a policy means.
    pub fn named(word: &str) -> Route {
        let own = Route::OWN.into_iter().find(|own| own.as_str() == word);
        own.unwrap_or_else(|| Route::Pbx(word.to_owned()))
    }
}

/// How urgent an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// For the record.
    Info,
    /// Look soon.
    Warning,
    /// Look now.
    Critical,
}

words!(Emotion: Neutral = "neutral", Anger = "anger", Joy = "joy", Sadness = "sadness");
words!(Level: Low = "low", Medium = "medium", High = "high");
words!(Language: Mandarin = "zh", English = "en");
words!(PlayMode: Replace = "replace", Duck = "duck");
words!(Severity: Info = "info", Warning = "warning", Critical = "critical");
words!(ServedBy: Bot = "bot", Human = "human");
