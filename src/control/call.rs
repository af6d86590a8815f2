//! One call: its legs, its stage, and where each event goes.
//!
//! The stages live in their own files: `setup` (nobody answered yet), `session` (timers of a connected call),
//! `act` (what policies ask for), `conversation` (turns), `prompts`, `hold`, `keys`, `handshake`, `supervise`, `indicator`,
//! `audio` (who has a live copy), `reroute` (moving the caller; by REFER in `refer`, by others in `asking`), `reoffer` (one codec
//! for both sides), `bypass` (audio that goes past us), `relief` (by the load), `drain` (calls that are handed over), `finish` (the end).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use media::{LegId, PromptId};
use nlu::recognition::LanguageChoice;
use routing::{Because, CallKey};

use super::audio::AudioClients;
use super::bypass::Path;
use super::consent::Consent;
use super::context::Context;
use super::conversation::Conversation;
use super::drain::{Departure, HandingOver};
use super::duties::Serving;
use super::facts::Learned;
use super::finish::Finished;
use super::fork::Fork;
use super::hold::Waiting;
use super::indicator::Indicator;
use super::keys::{Keys, Way};
use super::leg::{Dialog, Farewell, Leg, Stream};
use super::offer::{self, Outcome};
use super::prompts::Playing;
use super::refer::{Lapsed, Referral};
use super::relief::Relievable;
use super::reoffer::Answer;
use super::reroute::{Plan, Reroute};
use super::said::Maskers;
use super::session::Watch;
use super::setup::Seeking;
use super::supervise::Supervisors;
use super::terms::Terms;
use super::{Command, ControlSettings, Header, SipEvent};
use crate::notice::{Notice, What};
use crate::pbx::Ticket;

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) key: CallKey,
    /// The id in notices, logs and `X-Calmline-Call`.
    pub(super) id: String,
    /// What it began with and goes by to its end.
    pub(super) terms: Arc<Terms>,
    /// When the INVITE arrived.
    pub(super) started: Duration,
    /// The From value shown to targets, without tag.
    pub(super) from: String,
    /// Max-Forwards of what is sent on.
    pub(super) hops_left: u8,
    /// What is spoken in it, where somebody listens for words.
    pub(super) language: Option<LanguageChoice>,
    /// What masks what they say.
    pub(super) maskers: Maskers,
    /// Whether the caller has agreed that they are told and kept.
    pub(super) consent: Consent,
    /// By what its parties are told that somebody takes part.
    pub(super) indicator: Indicator,
    /// The caller's place in queues, where somebody has said one.
    pub(super) queue_priority: Option<u32>,
    /// Headers of the INVITE that targets may get to see.
    pub(super) passed: Vec<Header>,
    /// Which channel of each PBX this call is, by the PBX's name.
    pub(super) channels: Vec<(String, String)>,
    pub(super) caller: Leg,
    /// Whoever the caller is, or may soon be, connected to.
    pub(super) far: Option<Leg>,
    /// Legs that have been told to end and have not yet ended, with the moment we stop waiting.
    pub(super) leaving: Vec<(Leg, Duration)>,
    /// What it is when it is forked to us; `None` when we are in its path.
    pub(super) fork: Option<Fork>,
    pub(super) stage: Stage,
    pub(super) tally: Tally,
    /// What policies were told of it besides the caller's mood.
    pub(super) learned: Learned,
    /// What whoever serves must say and must never say.
    pub(super) serving: Serving,
    /// What an overload may do to it.
    pub(super) relievable: Relievable,
    /// How many of its media ports could not be opened.
    pub(super) ports_refused: u8,
    /// How it has left us, once it has.
    pub(super) departure: Departure,
    /// When the call is next due, as `Control` has noted it.
    pub(super) wake: Option<(Duration, CallKey, &'static str)>,
}

/// How far a call has come; each stage has only its own data.
#[derive(Debug)]
pub(super) enum Stage {
    /// Targets are tried in order.
    Seeking(Box<Seeking>),
    /// The caller has been answered.
    Talking(Box<Talking>),
    /// Over; last words are awaited.
    Finished(Finished),
}

/// A call that was answered.
#[derive(Debug)]
pub(super) struct Talking {
    pub(super) answered: Duration,
    pub(super) watch: Watch,
    /// The re-route in flight: one at most.
    pub(super) reroute: Option<Reroute>,
    /// The ways that are left when the one in flight fails.
    pub(super) plan: Option<Plan>,
    /// What others were asked for besides, and who.
    pub(super) errands: BTreeMap<Ticket, String>,
    /// Why the last re-route that was no fallback was begun.
    pub(super) evidence: Option<Because>,
    /// A way whose time ran out; its late success still counts.
    pub(super) lapsed: Option<Lapsed>,
    /// The prompts that play to the parties, and earlier ones whose end has not been reported yet.
    pub(super) playing: BTreeMap<PromptId, Playing>,
    /// What the caller hears while a target is called.
    pub(super) waiting: Option<Waiting>,
    /// The keys that the parties press.
    pub(super) keys: Keys,
    /// Who listens to the call by phone, or speaks into it.
    pub(super) supervisors: Supervisors,
    /// Who has a live copy of it.
    pub(super) audio: AudioClients,
    /// Whether it is kept.
    pub(super) keeps_audio: bool,
    /// Which way its audio goes.
    pub(super) path: Path,
    /// How it is being handed over, once the drain asks for that.
    pub(super) handing_over: Option<HandingOver>,
}

/// What is counted for the record.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) packets_lost: u64,
    pub(super) peak_anger: f32,
    pub(super) peak_level: nlu::Level,
    /// How the caller and the present callee take turns.
    pub(super) conversation: Option<Conversation>,
}

impl Default for Tally {
    fn default() -> Self {
        Self { packets_lost: 0, peak_anger: 0.0, peak_level: nlu::Level::Low, conversation: None }
    }
}

/// Who a leg is in its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Caller,
    Far,
    /// The target of a re-route by bridge that has not answered yet.
    Next,
    Supervisor,
    Leaving,
}

impl Call {
    /// Handles an event on one of the call's SIP legs; `Incoming` is not for a call that exists.
    pub(super) fn handle_sip(&mut self, context: &mut Context<'_>, leg: LegId, event: SipEvent) {
        if self.fork.as_ref().and_then(Fork::recording_leg) == Some(leg) {
            return self.recording_event(context, event);
        }
        let Some(role) = self.role(leg) else { return };
        match event {
            SipEvent::Incoming { .. } => {}
            SipEvent::Confirmed { sdp, .. } => self.confirmed(context, sdp.as_deref()),
            SipEvent::Cancelled { .. } => self.dialog_over(context, role, leg, 487, "cancelled by the caller"),
            SipEvent::Ended { reason, .. } => self.dialog_over(context, role, leg, 480, &reason),
            SipEvent::Failed { code, reason, retry_after, .. } => {
                self.note_retry_after(retry_after);
                self.dialog_over(context, role, leg, code, &reason);
            }
            SipEvent::Progress { code, sdp, .. } => match role {
                Role::Far => self.target_rings(context, code, sdp.as_deref()),
                Role::Next => self.next_rings(context, code, sdp),
                Role::Supervisor => self.supervisor_rings(leg, sdp),
                Role::Caller | Role::Leaving => {}
            },
            SipEvent::Answered { sdp, session, .. } => {
                if let Some(leg) = self.leg_mut(leg) {
                    leg.answered(context, &session);
                }
                match role {
                    Role::Far => self.target_answered(context, sdp.as_deref()),
                    Role::Next => self.next_answered(context, sdp.as_deref()),
                    Role::Supervisor => self.supervisor_answered(context, leg, sdp.as_deref()),
                    Role::Leaving => {
                        if let Some(leg) = self.leg_mut(leg) {
                            leg.end_crossed(context);
                        }
                    }
                    Role::Caller => {}
                }
            }
            SipEvent::Offer { reply, method, sdp, session, .. } => {
                self.offered(context, leg, offer::Request { reply, method, sdp: sdp.as_ref(), session });
            }
            SipEvent::Acknowledged { reply, sdp, .. } => self.asked_answered(context, leg, reply, sdp.as_deref()),
            SipEvent::Reinvited { code, sdp, session, .. } => {
                self.reoffer_answered(context, leg, &Answer { code, sdp: sdp.as_deref(), session });
            }
            SipEvent::Updated { code, session, .. } => self.updated(context, leg, code, &session),
            SipEvent::Key { key, .. } => self.pressed(context, leg, key, Way::Info),
            SipEvent::ReferProgress { code, reason, last, .. } => {
                if role == Role::Caller {
                    self.refer_progress(context, code, &reason, last);
                }
            }
            SipEvent::Referred { uri, headers, .. } => {
                self.asked_to_refer(context, role, leg, Referral { uri: &uri, headers });
            }
            SipEvent::Informed { code, reason, .. } => {
                if role == Role::Caller {
                    self.informed(context, code, &reason);
                }
            }
            SipEvent::Probed { found, .. } => self.probed(context, role, leg, found),
        }
    }

    /// Handles an event on one of the call's media legs.
    pub(super) fn handle_media(&mut self, context: &mut Context<'_>, leg: LegId, event: media::Event) {
        let now = context.now;
        match event {
            media::Event::CodecFailed { .. } | media::Event::Handshake { .. } => {}
            media::Event::Latched { source, .. } => {
                if let Some(leg) = self.leg_mut(leg) {
                    leg.source = Some(source);
                }
            }
            media::Event::Key { key, .. } => self.pressed(context, leg, key, Way::Event),
            media::Event::OpenFailed { reason, .. } => self.open_failed(context, leg, &reason),
            media::Event::PlayStarted { prompt, .. } => self.play_started(context, prompt),
            media::Event::PlayEnded { prompt, completed, .. } => self.play_ended(context, prompt, completed),
            media::Event::Bridged { from, .. } => self.bridged(context, leg, from),
            media::Event::Silent { silence, .. } => {
                if let Some(leg) = self.leg_mut(leg) {
                    leg.silent_since.get_or_insert(now.saturating_sub(silence));
                }
            }
            media::Event::Heard { .. } => self.heard_again(leg),
            media::Event::Closed { stats, .. } => {
                self.tally.packets_lost = self.tally.packets_lost.saturating_add(stats.packets_lost);
                self.report_leg(context, leg, &stats);
                self.stream_closed(context, leg);
            }
        }
    }

    /// Does what has become due.
    pub(super) fn tick(&mut self, context: &mut Context<'_>) {
        self.sweep(context);
        match &self.stage {
            Stage::Seeking(seeking) => {
                if context.now >= seeking.ring_until {
                    self.target_failed(context, 408, "no answer in time");
                }
            }
            Stage::Talking(_) => {
                self.watch_tick(context);
                self.reroute_tick(context);
                self.prompts_tick(context);
                self.keys_tick(context);
                self.supervisors_tick(context);
                self.handshakes_tick(context);
                self.reoffer_tick(context.now);
                self.chat_tick(context);
                self.duties_tick(context);
            }
            Stage::Finished(_) => {}
        }
    }

    /// Comes after everything that happened to the call; true when nothing is left of it.
    pub(super) fn wrap_up(&mut self, context: &mut Context<'_>) -> bool {
        if let Stage::Talking(talking) = &self.stage
            && self.fork.is_none()
            && self.far.is_none()
            && !talking.is_being_moved()
            && !self.is_played_to(self.caller.id)
        {
            self.finish(context, "nobody is left to talk to");
        }
        self.follow_serving(context);
        self.steer_audio(context);
        self.hand_over_next(context);
        self.indicate(context);
        if self.fork.is_none() {
            self.match_codecs(context);
        }
        self.wind_up(context)
    }

    /// Whether it is not over.
    pub(super) fn is_up(&self) -> bool {
        !matches!(self.stage, Stage::Finished(_))
    }

    /// When the call is next due, and for what.
    pub(super) fn deadline(&self) -> Option<(Duration, &'static str)> {
        let mut deadlines: Vec<(Duration, &'static str)> =
            self.leaving.iter().map(|(_, until)| (*until, "last word of a leg")).collect();
        if let Stage::Seeking(seeking) = &self.stage {
            deadlines.push((seeking.ring_until, "target's answer"));
        }
        self.watch_deadlines(&mut deadlines);
        self.reroute_deadlines(&mut deadlines);
        self.prompts_deadlines(&mut deadlines);
        self.keys_deadlines(&mut deadlines);
        self.supervisors_deadlines(&mut deadlines);
        self.indicator.deadlines(&mut deadlines);
        self.handshakes_deadlines(&mut deadlines);
        self.reoffer_deadlines(&mut deadlines);
        self.hand_over_deadlines(&mut deadlines);
        self.chat_deadlines(&mut deadlines);
        self.duties_deadlines(&mut deadlines);
        self.finish_deadlines(&mut deadlines);
        deadlines.into_iter().min_by_key(|(at, _)| *at)
    }

    /// Tells everybody who watches.
    pub(super) fn notice(&self, context: &mut Context<'_>, what: What) {
        let call_ms = millis(context.now.saturating_sub(self.started));
        context.out.push(Command::Notice(Notice { call: self.id.clone(), call_ms, what }));
    }

    /// Tells a leg that it is over and keeps it until it has said its last word.
    pub(super) fn dismiss(&mut self, context: &mut Context<'_>, mut leg: Leg, farewell: Farewell<'_>) {
        leg.end(context, farewell);
        self.leaving.push((leg, context.now + LAST_WORD));
        self.sweep(context);
    }

    /// Forgets legs that have said their last word, or had long enough to.
    pub(super) fn sweep(&mut self, context: &mut Context<'_>) {
        self.leaving.retain(|(leg, until)| {
            let done = leg.is_gone() || context.now >= *until;
            if done {
                context.shared.owners.remove(&leg.id);
            }
            !done
        });
    }

    /// The leg of that number, wherever it stands.
    pub(super) fn leg_mut(&mut self, id: LegId) -> Option<&mut Leg> {
        let (next, supervisors) = match &mut self.stage {
            Stage::Talking(talking) => {
                (talking.reroute.as_mut().and_then(Reroute::leg_mut), Some(talking.supervisors.legs_mut()))
            }
            Stage::Seeking(_) | Stage::Finished(_) => (None, None),
        };
        std::iter::once(&mut self.caller)
            .chain(self.far.as_mut())
            .chain(next)
            .chain(supervisors.into_iter().flatten())
            .chain(self.leaving.iter_mut().map(|(leg, _)| leg))
            .find(|leg| leg.id == id)
    }

    pub(super) fn role(&self, id: LegId) -> Option<Role> {
        if self.caller.id == id {
            return Some(Role::Caller);
        }
        if self.far.as_ref().is_some_and(|leg| leg.id == id) {
            return Some(Role::Far);
        }
        if let Stage::Talking(talking) = &self.stage
            && talking.reroute.as_ref().and_then(Reroute::leg).is_some_and(|leg| leg.id == id)
        {
            return Some(Role::Next);
        }
        if let Stage::Talking(talking) = &self.stage
            && talking.supervisors.legs().any(|leg| leg.id == id)
        {
            return Some(Role::Supervisor);
        }
        self.leaving.iter().any(|(leg, _)| leg.id == id).then_some(Role::Leaving)
    }

    /// The last word on a dialog; what it means depends on who has gone.
    fn dialog_over(&mut self, context: &mut Context<'_>, role: Role, id: LegId, code: u16, reason: &str) {
        let Some(leg) = self.leg_mut(id) else { return };
        if leg.dialog == Dialog::Over {
            return;
        }
        leg.dialog = Dialog::Over;
        match role {
            Role::Caller => self.caller_gone(context, reason),
            Role::Far => self.far_gone(context, code, reason),
            Role::Next => self.next_failed(context, code, &format!("{code} {reason}")),
            Role::Supervisor => self.supervisor_gone(context, id, code, reason),
            Role::Leaving => self.sweep(context),
        }
    }

    /// Whoever the caller is connected to is gone, or can no longer be heard.
    pub(super) fn far_gone(&mut self, context: &mut Context<'_>, code: u16, reason: &str) {
        match &self.stage {
            Stage::Seeking(_) => self.target_failed(context, code, reason),
            Stage::Talking(talking) => {
                // A caller who is to be replaced and has left is nobody whom the target could be connected with.
                let rings_in_vain = self.caller.dialog == Dialog::Over && talking.rings();
                if talking.is_being_moved() && !rings_in_vain {
                    self.lose_far(context);
                } else {
                    self.finish(context, reason);
                }
            }
            Stage::Finished(_) => {}
        }
    }

    /// The far side is gone, but the caller still has something to wait for.
    fn lose_far(&mut self, context: &mut Context<'_>) {
        if let Some(leg) = self.far.take() {
            self.dismiss(context, leg, Farewell { code: 480, reason: "gone" });
        }
    }

    fn offered(&mut self, context: &mut Context<'_>, id: LegId, request: offer::Request<'_>) {
        let Some(leg) = self.leg_mut(id) else { return };
        let was_led = leg.led.is_some();
        let outcome = offer::answer(context, leg, request);
        if was_led && leg.led.is_none() {
            self.bring_back(context, "one of the sides has made another offer");
        }
        if outcome == Outcome::Accepted && self.role(id) != Some(Role::Supervisor) {
            self.streams_changed(context.now);
        }
    }

    fn stream_closed(&mut self, context: &mut Context<'_>, id: LegId) {
        let Some(leg) = self.leg_mut(id) else { return };
        let expected = leg.stream == Stream::Closing;
        leg.stream = Stream::Closed;
        match self.role(id) {
            Some(Role::Leaving) => self.sweep(context),
            // The media path has lost a leg that is in use, e.g. with a thread that was restarted.
            Some(Role::Caller | Role::Far) if !expected => self.finish(context, "media was lost"),
            Some(Role::Next) if !expected => self.next_failed(context, 500, "media was lost"),
            Some(Role::Supervisor) if !expected => self.lose_supervisor(context, id, "media was lost"),
            _ => {}
        }
    }
}

impl Talking {
    /// A call that is answered now.
    pub(super) fn new(now: Duration, settings: &ControlSettings) -> Talking {
        Talking {
            answered: now,
            watch: Watch::new(now, settings),
            reroute: None,
            plan: None,
            errands: BTreeMap::new(),
            evidence: None,
            lapsed: None,
            playing: BTreeMap::new(),
            waiting: None,
            keys: Keys::default(),
            supervisors: Supervisors::default(),
            audio: AudioClients::default(),
            keeps_audio: false,
            path: Path::default(),
            handing_over: None,
        }
    }

    /// Whether a re-route is under way.
    pub(super) fn is_being_moved(&self) -> bool {
        self.reroute.as_ref().is_some_and(Reroute::is_pending)
    }

    /// Whether a target has been called and has not answered.
    fn rings(&self) -> bool {
        matches!(self.reroute, Some(Reroute::Ringing(_)))
    }

    /// Whether a copy of its audio is wanted: by anybody who has it live, or because it is kept.
    pub(super) fn wants_copy(&self) -> bool {
        self.keeps_audio || !self.audio.is_empty()
    }
}

/// Whole milliseconds, for notices.
pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// How long an ended leg may take to say its last word: longer than a SIP transaction lives (RFC 3261, 64·T1 = 32 s).
pub(super) const LAST_WORD: Duration = Duration::from_secs(40);
