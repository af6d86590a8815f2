//! Chats: interactions whose parties write instead of speaking, over the API. Inside they are calls like any other, without
//! media and without dialogs: read, judged, on record.
//!
//! What policies do by sound is done by what the channel's software can show instead; what it cannot do is told.

use std::collections::VecDeque;
use std::time::Duration;

use nlu::recognition::{Language, LanguageChoice};
use nlu::{Expression, SeenIn, Shown};
use routing::{Action, CallKey, Decision, Route, Texts};

use super::call::{Call, Stage, millis};
use super::context::Context;
use super::fork::{Begun, Fork, Link, Routed, Source};
use super::leg::Leg;
use super::order::{Denied, DeniedKind, Done, Order, Party};
use super::recorded::{RECORDING, RECORDING_MAX, Recorded};
use super::{Command, Control, ControlSettings, Header};
use crate::notice::What;
use crate::pbx::Outcome;
use crate::settings::RequestView;

/// What a chat begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatOpening {
    /// By what the customer writes, e.g. `app`, `web`, `mini_program`.
    pub channel: String,
    /// How the channel's software names the chat; the same name in the same channel is the same chat, as long as it is up.
    pub name: Option<String>,
    /// Who the customer is; empty when it is not said.
    pub customer: String,
    /// What is written in it; as the route says when it is not said.
    pub language: Option<Language>,
    /// The route by its name; the first one for forked calls that matches `chat:CHANNEL` when it is not said.
    pub route: Option<String>,
    /// Names and values for the texts of policies, e.g. `X-Order`.
    pub details: Vec<(String, String)>,
}

/// Something that a party has written.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Who.
    pub party: Party,
    /// What.
    pub text: String,
    /// How the channel's software names it: the same name again is the same message.
    pub name: Option<String>,
    /// How long ago it was written.
    pub age: Duration,
}

/// Something that a party has shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Showing {
    /// Who.
    pub party: Party,
    /// What.
    pub shown: Shown,
    /// How sure that is, 0-1.
    pub score: f32,
    /// Where it is seen.
    pub seen_in: SeenIn,
}

/// The state of one chat.
#[derive(Debug)]
pub(super) struct Chat {
    channel: String,
    route: String,
    idle: Duration,
    /// When something was written last.
    active: Duration,
    /// Names of the last messages, oldest first.
    names: VecDeque<String>,
    /// What each party wrote last, and when: caller, callee.
    last: [Option<(Duration, String)>; 2],
    messages: u32,
    /// Whether whoever serves has written something that was read.
    served: bool,
    allowance: Allowance,
    /// The mood that the customer's last message has left, and when policies hear of it once more.
    left: Option<(Duration, routing::Event)>,
    /// What it is when it is no chat at all, but a recording that is listened to afterwards.
    pub(super) recorded: Option<Recorded>,
    over: bool,
}

/// A bucket of messages and expressions: full at the beginning, filled up steadily.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    left: f64,
    since: Duration,
}

impl Default for Allowance {
    fn default() -> Allowance {
        Allowance { left: BURST, since: Duration::ZERO }
    }
}

impl Allowance {
    /// Takes one out.
    ///
    /// # Errors
    /// When there is none.
    fn take(&mut self, now: Duration) -> Result<(), Denied> {
        let left = (self.left + now.saturating_sub(self.since).as_secs_f64() * PER_SECOND).min(BURST);
        *self = Allowance { left, since: now };
        if left < 1.0 {
            let reason = format!("at most {BURST} at once and {PER_SECOND} per second, of one interaction");
            return Err(Denied::new(DeniedKind::TooFast, reason));
        }
        self.left -= 1.0;
        Ok(())
    }
}

impl Chat {
    /// The channel.
    pub(super) fn channel(&self) -> &str {
        &self.channel
    }

    /// When the chat is over, unless something is written.
    pub(super) fn ends_at(&self) -> Duration {
        self.active + self.idle
    }

    /// Whether the customer still waits for somebody to write; of a recording both are there from the beginning.
    pub(super) fn is_unserved(&self) -> bool {
        !self.served && self.recorded.is_none()
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn end(&mut self) {
        self.over = true;
    }

    /// Whether one more event may be taken now.
    ///
    /// # Errors
    /// When they come too fast, or there were too many.
    fn admit(&mut self, now: Duration) -> Result<(), Denied> {
        if self.messages >= MESSAGES_MAX {
            return Err(Denied::new(DeniedKind::Full, format!("at most {MESSAGES_MAX} messages of one chat")));
        }
        self.allowance.take(now)?;
        self.messages += 1;
        Ok(())
    }

    /// Why a message says nothing, when that is so; else it is remembered.
    fn refuse(&mut self, now: Duration, message: &Message) -> Option<&'static str> {
        let text = message.text.trim();
        if text.is_empty() {
            return Some("empty");
        }
        if is_garbled(text) {
            return Some("garbled");
        }
        let last = &mut self.last[usize::from(message.party == Party::Callee)];
        match &message.name {
            Some(name) if self.names.contains(name) => return Some("duplicate"),
            Some(name) => {
                if self.names.len() == NAMES_MAX {
                    self.names.pop_front();
                }
                self.names.push_back(name.clone());
            }
            // Without a name, the same words at once are the same message sent again.
            None => {
                let again = last.as_ref().filter(|(at, _)| now.saturating_sub(*at) < AGAIN_WITHIN);
                if again.is_some_and(|(_, before)| before == text) {
                    return Some("duplicate");
                }
            }
        }
        *last = Some((now, text.to_owned()));
        None
    }
}

impl Control {
    /// Carries out an order about a chat, or about an expression; every other one is denied.
    pub(super) fn chat_order(&mut self, now: Duration, order: Order, out: &mut Vec<Command>) -> Result<Done, Denied> {
        match order {
            Order::OpenChat(opening) => self.open_chat(now, *opening, out),
            Order::Write { call, message } => {
                self.ordered(now, &call, out, |call, context| call.write(context, message))
            }
            Order::Show { call, showing } => {
                self.ordered(now, &call, out, |call, context| call.show(context, showing).map(|()| Done::Accepted))
            }
            Order::EndChat { call, reason } => {
                self.ordered(now, &call, out, |call, context| call.end_chat(context, &reason).map(|()| Done::Accepted))
            }
            Order::ChatMoved { call, outcome } => self
                .ordered(now, &call, out, |call, context| call.chat_moved(context, outcome).map(|()| Done::Accepted)),
            _ => Err(Denied::new(DeniedKind::Wrong, "no order about a chat")),
        }
    }

    /// Begins a chat, or finds the one that is up by that name.
    fn open_chat(&mut self, now: Duration, opening: ChatOpening, out: &mut Vec<Command>) -> Result<Done, Denied> {
        let name = opening.name.as_ref().map(|name| (Source::Chat, known_as(&opening.channel, name)));
        let known = name.and_then(|name| self.shared.forks.get(&name));
        if let Some(call) = known.and_then(|key| self.calls.get(key)) {
            call.check_same_chat(&opening)?;
            return Ok(Done::Opened { call: call.id.clone(), again: true });
        }
        if self.drain.is_some() {
            return Err(Denied::new(DeniedKind::Full, "draining"));
        }
        let limits = &self.shared.terms.settings.limits;
        if self.chats_up >= limits.chats {
            return Err(Denied::new(DeniedKind::Full, format!("at most {} chats at a time", limits.chats)));
        }
        if self.shared.terms.settings.parties.is_none() {
            return Err(Denied::new(DeniedKind::Conflict, "nobody reads: [listening] enabled = false"));
        }
        let routed = route(&self.shared.terms.settings, &opening)?;
        let (key, id) = self.new_call();
        let mut context = Context::of_newest(now, &mut self.shared, out);
        let call = Call::start_chat(&mut context, (key, id.clone()), opening, routed);
        self.chats_up += 1;
        self.take_up(now, key, call, out);
        Ok(Done::Opened { call: id, again: false })
    }
}

/// What a chat is found by: each channel has names of its own. No channel has a blank in it.
pub(super) fn known_as(channel: &str, name: &str) -> String {
    format!("{channel} {name}")
}

/// The route that a chat takes, or a recording.
pub(super) fn route(settings: &ControlSettings, opening: &ChatOpening) -> Result<Routed, Denied> {
    let found = match &opening.route {
        Some(name) => settings.routes.named(name),
        None => {
            let uri = format!("chat:{}", opening.channel);
            let headers: Vec<(&str, &str)> = opening.details.iter().map(|(name, value)| (&**name, &**value)).collect();
            let view = RequestView { request_uri: &uri, to: "", from: &opening.customer, headers: &headers };
            settings.routes.find_forked(&view)
        }
    };
    let unknown = || match &opening.route {
        Some(name) => format!("no route named {name}"),
        None => format!("no [[route]] with forked = true matches chat:{}", opening.channel),
    };
    found.map(|route| Routed::by(settings, route)).ok_or_else(|| Denied::new(DeniedKind::Wrong, unknown()))
}

impl Call {
    fn start_chat(
        context: &mut Context<'_>,
        (key, id): (CallKey, String),
        opening: ChatOpening,
        routed: Routed,
    ) -> Call {
        let ChatOpening { channel, name, customer, language, route: _, details } = opening;
        let (caller, far) = (Leg::of_writer(context, key, "caller"), Leg::of_writer(context, key, "callee"));
        let Routed { name: route, scenario, .. } = routed;
        let chat = Chat {
            channel: channel.clone(),
            route: route.clone(),
            idle: if channel == RECORDING { RECORDING_MAX } else { context.terms.settings.limits.chat_idle },
            active: context.now,
            names: VecDeque::new(),
            last: [None, None],
            messages: 0,
            served: false,
            allowance: Allowance::default(),
            left: None,
            recorded: (channel == RECORDING).then(Recorded::default),
            over: false,
        };
        let passed = details.into_iter().map(|(name, value)| Header { name, value });
        let begun = Begun {
            key,
            id,
            from: customer,
            to: String::new(),
            route,
            scenario: scenario.clone(),
            passed: passed.collect(),
            fork: Fork::new(Source::Chat, name.clone(), Link::Chat(Box::new(chat)), false),
            caller,
            far: Some(far),
        };
        let mut call = Call::forked(context, begun);
        let told = language.map(|language| LanguageChoice { language, by_ear: false });
        call.language = told.or(call.language);
        call.fork_confirmed();
        let language = call.language.map(|choice| choice.language.code().to_owned());
        call.notice(context, What::ChatOpened { channel, name, language });
        call.attend(context, true);
        context.follow(call.key, &call.opening(context.now, &scenario));
        call
    }

    /// Whether what opens a chat of this one's channel and name may mean this one. What it does not say may be as it was.
    ///
    /// # Errors
    /// When it is of another customer, or of another route: whoever asks would read what is somebody else's.
    fn check_same_chat(&self, opening: &ChatOpening) -> Result<(), Denied> {
        let differs = |said: &str, is: &str| !said.is_empty() && !is.is_empty() && said != is;
        let route = self.chat().map_or("", |chat| &chat.route);
        let other = if differs(&opening.customer, &self.from) {
            "with another customer"
        } else if differs(opening.route.as_deref().unwrap_or_default(), route) {
            "by another route"
        } else {
            return Ok(());
        };
        let reason = format!("a chat of this name is up in the channel {}, {other}", opening.channel);
        Err(Denied::new(DeniedKind::Conflict, reason))
    }

    /// The chat that the call is, when it is one.
    pub(super) fn chat(&self) -> Option<&Chat> {
        match &self.fork.as_ref()?.link {
            Link::Chat(chat) => Some(chat),
            Link::Recording(_) | Link::Wire(_) => None,
        }
    }

    pub(super) fn chat_mut(&mut self) -> Result<&mut Chat, Denied> {
        if !matches!(self.stage, Stage::Talking(_)) {
            return Err(Denied::new(DeniedKind::Conflict, "the chat is over"));
        }
        match self.fork.as_mut().map(|fork| &mut fork.link) {
            Some(Link::Chat(chat)) => Ok(chat),
            _ => Err(Denied::new(DeniedKind::Conflict, "this is a call, not a chat")),
        }
    }

    /// Has the parties read who are to be read, or no longer; nobody as long as that is not agreed to.
    pub(super) fn attend(&self, context: &mut Context<'_>, on: bool) {
        if on && !self.consent.is_listened_to() {
            return;
        }
        context.out.push(Command::Attend { leg: self.caller.id, on });
        if let Some(far) = self.far.as_ref().filter(|_| context.terms.settings.listens_to_far()) {
            context.out.push(Command::Attend { leg: far.id, on });
        }
    }

    /// A party has written something.
    pub(super) fn write(&mut self, context: &mut Context<'_>, message: Message) -> Result<Done, Denied> {
        let chat = self.chat_mut()?;
        chat.admit(context.now)?;
        if let Some(why) = chat.refuse(context.now, &message) {
            let party = message.party.as_str().to_owned();
            self.notice(context, What::MessageDropped { party, why: why.to_owned() });
            return Ok(Done::Dropped(why));
        }
        chat.active = context.now;
        if !self.consent.is_listened_to() {
            return Ok(Done::Accepted);
        }
        if message.party == Party::Callee {
            self.chat_mut()?.served = true;
            self.follow_serving(context);
        }
        self.words_heard(context, message.party == Party::Caller, &message.text, true);
        let Message { party, text, age, .. } = message;
        let by_caller = party == Party::Caller;
        let masked = self.maskers.mask_written(by_caller, &text);
        let at_ms = millis(context.now.saturating_sub(self.started).saturating_sub(age));
        self.tell_words(
            context,
            What::Said {
                party: party.as_str().to_owned(),
                engine: "written".to_owned(),
                is_final: true,
                audio_ms: at_ms,
                until_ms: at_ms,
                phrases: Vec::new(),
                text: Some(masked.into()),
                crosstalk: false,
            },
        );
        let leg = if by_caller { Some(self.caller.id) } else { self.far.as_ref().map(|far| far.id) };
        if let Some(leg) = leg.filter(|_| by_caller || context.terms.settings.listens_to_far()) {
            context.out.push(Command::Read { leg, text });
        } else {
            self.judge(context, &routing::Event::OtherSpoke);
        }
        Ok(Done::Accepted)
    }

    /// Something is seen of a party, on a call or in a chat.
    pub(super) fn show(&mut self, context: &mut Context<'_>, showing: Showing) -> Result<(), Denied> {
        if !matches!(self.stage, Stage::Talking(_)) {
            return Err(Denied::not_connected());
        }
        match self.chat_mut() {
            Ok(chat) => chat.admit(context.now)?,
            Err(_) => self.learned.showings.take(context.now)?,
        }
        let Showing { party, shown, score, seen_in } = showing;
        let leg = self.read_leg(context, party)?;
        let expression = Expression { shown, score, seen_in, position: 0 };
        context.out.push(Command::See { leg, expression });
        Ok(())
    }

    /// Has policies hear once more of a mood that a message has left: nobody writes twice a second, as voices are heard.
    pub(super) fn mood_left(&mut self, now: Duration, mood: &routing::Event) {
        if let Ok(chat) = self.chat_mut()
            && chat.recorded.is_none()
        {
            chat.left = Some((now + MOOD_AGAIN, mood.clone()));
        }
    }

    /// Tells policies what is due.
    pub(super) fn chat_tick(&mut self, context: &mut Context<'_>) {
        self.recorded_tick(context);
        let Ok(chat) = self.chat_mut() else { return };
        if let Some((_, mood)) = chat.left.take_if(|(at, _)| context.now >= *at) {
            self.judge(context, &mood);
        }
    }

    /// The deadline of a mood that policies hear of once more.
    pub(super) fn chat_deadlines(&self, out: &mut Vec<(Duration, &'static str)>) {
        let left = self.chat().and_then(|chat| chat.left.as_ref()).filter(|_| self.is_up());
        out.extend(left.map(|(at, _)| (*at, "mood of who writes")));
        out.extend(self.chat().and_then(Chat::move_due).filter(|_| self.is_up()));
    }

    /// Whoever writes has gone.
    pub(super) fn end_chat(&mut self, context: &mut Context<'_>, reason: &str) -> Result<(), Denied> {
        self.chat_mut()?;
        self.finish(context, reason);
        Ok(())
    }

    /// The channel's software says what has become of the customer whom it was asked to move.
    pub(super) fn chat_moved(&mut self, context: &mut Context<'_>, outcome: Result<(), String>) -> Result<(), Denied> {
        self.chat_mut()?.active = context.now;
        let outcome = outcome.map_or_else(Outcome::Failed, |()| Outcome::Done);
        if !self.channel_answered(context, outcome) {
            return Err(Denied::new(DeniedKind::Conflict, "nobody is to be moved"));
        }
        Ok(())
    }

    /// What a chat does in the place of an action that needs sound; false for all others, which are as in any call.
    pub(super) fn act_in_chat(&mut self, context: &mut Context<'_>, decision: &Decision, action: &Action) -> bool {
        if self.chat().is_none() {
            return false;
        }
        if self.is_recorded() {
            return self.act_in_recording(context, action);
        }
        let rule = decision.rule.clone();
        let impossible =
            |action: String, reason: &str| What::NotPossible { rule: rule.clone(), action, reason: reason.to_owned() };
        let what = match action {
            Action::Say { text, language, .. } => self.suggested(&rule, None, text, language.as_str()),
            Action::Script { id, texts, .. } => match first_of(texts) {
                Some((language, text)) => self.suggested(&rule, Some(id), text, language),
                None => return true,
            },
            Action::Prompt { file, .. } => impossible(format!("prompt {file}"), NO_SOUND),
            Action::Announce { pbx, media } => impossible(format!("announce {media} by {pbx}"), NO_SOUND),
            Action::SecureInput(_) => impossible("secure input".to_owned(), "a chat has no keys"),
            Action::Serve(_) | Action::Alert { .. } | Action::Notify { .. } | Action::Reroute { .. } => return false,
        };
        self.notice(context, what);
        true
    }

    /// Refuses what needs sound.
    pub(super) fn check_sound(&self) -> Result<(), Denied> {
        self.chat().map_or(Ok(()), |_| Err(Denied::new(DeniedKind::Conflict, NO_SOUND)))
    }

    fn suggested(&self, rule: &str, script: Option<&String>, text: &str, language: &str) -> What {
        What::ReplySuggested {
            rule: rule.to_owned(),
            script: script.cloned(),
            text: self.filled(text).into(),
            language: language.to_owned(),
        }
    }

    /// By what a way moves the customer, as events tell it: the channel's software stands for all that are ways of a PBX.
    pub(super) fn via(&self, way: &Route) -> Route {
        match (self.chat(), way) {
            (None, way) | (Some(_), way @ Route::Pbx(_)) => way.clone(),
            (Some(chat), _) => Route::Pbx(chat.channel.clone()),
        }
    }
}

fn first_of(texts: &Texts) -> Option<(&'static str, &str)> {
    texts.first_key_value().map(|(language, text)| (language.as_str(), text.as_str()))
}

/// Whether a text is not what anybody wrote: characters that stand for lost ones, or that no keyboard has.
pub(crate) fn is_garbled(text: &str) -> bool {
    let is_lost = |letter: char| {
        letter == char::REPLACEMENT_CHARACTER
            || (letter.is_control() && !letter.is_whitespace())
            || matches!(letter, '\u{E000}'..='\u{F8FF}' | '\u{FDD0}'..='\u{FDEF}')
    };
    let (lost, all) = text.chars().fold((0, 0), |(lost, all), letter| (lost + usize::from(is_lost(letter)), all + 1));
    lost * GARBLED_ONE_OF > all
}

/// How long the mood of whoever writes is taken to last: until the next message, or this long.
pub const MOOD_HOLDS: Duration = Duration::from_secs(120);
/// When policies hear once more of a mood: most services want one to last for half a second.
const MOOD_AGAIN: Duration = Duration::from_secs(1);
/// How long the channel's software may take to say what has become of a customer whom it is to move.
pub(super) const MOVE_WAIT: Duration = Duration::from_secs(30);
/// Why a chat has no sounds.
pub(super) const NO_SOUND: &str = "a chat has no sound";
/// Why a chat ends in which nobody writes.
pub(super) const IDLE: &str = "nobody has written for too long";
/// Messages and expressions of one chat.
const MESSAGES_MAX: u32 = 5_000;
/// Names of messages that are remembered.
const NAMES_MAX: usize = 256;
/// Messages and expressions at once, and per second after that.
const BURST: f64 = 20.0;
const PER_SECOND: f64 = 5.0;
/// The same words of the same party within this time are one message, where messages have no names.
const AGAIN_WITHIN: Duration = Duration::from_secs(2);
/// A text is garbled when more than one character of so many is lost.
const GARBLED_ONE_OF: usize = 10;
