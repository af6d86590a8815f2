//! Moving the caller: the ways in order, and the one in which we call the target and swap the far leg.
//!
//! One re-route at a time, one way at a time. Until a way has come to its end, the caller stays where it is; when all
//! have failed, the policy engine is told and may fall back. Ways by REFER are in `refer`, those by others in `asking`.

use std::collections::VecDeque;
use std::time::Duration;

use media::LegId;
use routing::{Because, Hold, Route, Whisper};

use super::asking::Asking;
use super::call::{Call, Stage, millis};
use super::context::Context;
use super::leg::{Dialog, Farewell, Leg, header};
use super::refer::{Referrer, Referring};
use super::{Description, Header};
use crate::notice::{HANDED_OVER, What};
use crate::pbx::Handover;
use crate::settings::Target;

/// A re-route in flight.
#[derive(Debug)]
pub(super) enum Reroute {
    /// The target of a bridge has been called.
    Ringing(Box<Ringing>),
    /// A leg has been swapped; the new one's first packet is awaited, to measure the gap.
    Settling(Settling),
    /// The caller's side has been asked to call the target.
    Referring(Box<Referring>),
    /// Somebody else has been asked to move the caller.
    Asking(Asking),
}

/// The ways that are left of a re-route that a policy ordered.
#[derive(Debug)]
pub(super) struct Plan {
    ways: VecDeque<Route>,
    target: String,
    rule: String,
    because: Because,
    within: Option<Duration>,
    whisper: Option<Whisper>,
    /// Its place in the target's queue, in place of the target's own.
    queue_priority: Option<u32>,
}

/// A target that has been called.
#[derive(Debug)]
pub(super) struct Ringing {
    pub(super) leg: Leg,
    pub(super) decided: Duration,
    pub(super) until: Duration,
    /// Why it was called.
    pub(super) errand: Errand,
    /// The last description of a provisional response, for a 2xx that brings none.
    pub(super) early: Option<Description>,
}

/// What happens once a target has answered.
#[derive(Debug)]
pub(super) enum Errand {
    /// The caller is connected with it; what it alone hears first.
    Bridge(Option<Whisper>),
    /// The caller's side is asked to take our place.
    Attended,
    /// A far end has asked for it by REFER: whoever it talks to is connected with the target in its place.
    Referred(Referrer),
}

/// A bridge that has been swapped.
#[derive(Debug)]
pub(super) struct Settling {
    target: String,
    via: String,
    answer: Duration,
    answered: Duration,
    until: Duration,
}

impl Reroute {
    pub(super) fn leg(&self) -> Option<&Leg> {
        match self {
            Reroute::Ringing(ringing) => Some(&ringing.leg),
            Reroute::Referring(referring) => referring.consulted.as_ref(),
            Reroute::Settling(_) | Reroute::Asking(_) => None,
        }
    }

    pub(super) fn leg_mut(&mut self) -> Option<&mut Leg> {
        match self {
            Reroute::Ringing(ringing) => Some(&mut ringing.leg),
            Reroute::Referring(referring) => referring.consulted.as_mut(),
            Reroute::Settling(_) | Reroute::Asking(_) => None,
        }
    }

    /// Whether the caller is still to be moved.
    pub(super) fn is_pending(&self) -> bool {
        !matches!(self, Reroute::Settling(_))
    }

    fn until(&self) -> (Duration, &'static str) {
        match self {
            Reroute::Ringing(ringing) => (ringing.until, "re-route target's answer"),
            Reroute::Settling(settling) => (settling.until, "re-route target's first packet"),
            Reroute::Referring(referring) => (referring.until, "outcome of REFER"),
            Reroute::Asking(asking) => (asking.until(), "outcome of an order"),
        }
    }
}

impl Errand {
    /// The way that events tell of.
    fn via(&self) -> &'static str {
        match self {
            Errand::Bridge(_) => "bridge",
            Errand::Attended => "attended",
            Errand::Referred(referrer) => referrer.via(),
        }
    }
}

/// What a policy asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) ways: &'a [Route],
    pub(super) target: &'a str,
    pub(super) within: Option<Duration>,
    pub(super) whisper: Option<&'a Whisper>,
    pub(super) queue_priority: Option<u32>,
    pub(super) rule: &'a str,
    pub(super) because: &'a Because,
}

impl Call {
    /// Begins a re-route by the first way that can begin; `Err` says why none can, and the caller stays.
    pub(super) fn begin_reroute(&mut self, context: &mut Context<'_>, wanted: Wanted<'_>) -> Result<(), String> {
        let Wanted { ways, target, within, whisper, queue_priority, rule, because } = wanted;
        let because = self.evidence_for(because);
        let (target, rule, whisper) = (target.to_owned(), rule.to_owned(), whisper.cloned());
        let plan =
            Plan { ways: ways.iter().cloned().collect(), target, rule, because, within, whisper, queue_priority };
        if let Stage::Talking(talking) = &mut self.stage {
            talking.plan = Some(plan);
        }
        self.next_way(context).unwrap_or_else(|| Err("no way is left".to_owned()))
    }

    /// Begins the next way that can begin; nothing when no way is left, `Err` when none of those left can.
    fn next_way(&mut self, context: &mut Context<'_>) -> Option<Result<(), String>> {
        let Stage::Talking(talking) = &mut self.stage else { return None };
        let mut plan = talking.plan.take()?;
        let mut last = None;
        while let Some(way) = plan.ways.pop_front() {
            let (via, target) = (self.via(&way).as_str().to_owned(), plan.target.clone());
            match self.begin_way(context, &way, &plan) {
                Ok(reroute) => {
                    if self.chat().is_some() {
                        // The channel's software stands for all ways but those by name: it is asked once.
                        plan.ways.retain(|left| matches!(left, Route::Pbx(_)));
                    }
                    if let Stage::Talking(talking) = &mut self.stage {
                        talking.reroute = Some(reroute);
                        talking.plan = Some(plan);
                    }
                    self.notice(context, What::RerouteStarted { via, target });
                    return Some(Ok(()));
                }
                Err(reason) => {
                    self.notice(context, What::RerouteFailed { via, target, reason: reason.clone() });
                    last = Some(Err(reason));
                }
            }
        }
        last
    }

    fn begin_way(&mut self, context: &mut Context<'_>, way: &Route, plan: &Plan) -> Result<Reroute, String> {
        let name = plan.target.as_str();
        let target = context.terms.settings.targets.get(name).ok_or_else(|| format!("no target named {name}"))?;
        let mut target = target.clone();
        target.place.queue_priority = plan.queue_priority.or(self.queue_priority).or(target.place.queue_priority);
        if self.chat().is_some() && !matches!(way, Route::Pbx(_)) {
            return Ok(self.ask_channel(context, self.via(way), name, plan.within));
        }
        if self.fork.is_some() && !matches!(way, Route::Pbx(_)) {
            return Err("the call is forked to us: only its PBX can move it, by a connector".to_owned());
        }
        let handover = self.handover(plan);
        let headers = self.handover_headers(&handover, &target);
        match way {
            Route::Bridge | Route::Attended => {
                let errand = match way {
                    Route::Bridge => Errand::Bridge(plan.whisper.clone()),
                    _ => Errand::Attended,
                };
                let until = context.now + plan.within.unwrap_or(context.terms.settings.limits.ring);
                let leg = self.invite(context, name, target, headers, &self.caller).ok_or("no media port is free")?;
                Ok(ringing(context.now, leg, until, errand))
            }
            Route::Refer => Ok(self.refer(context, name, target.uri, headers, plan.within)),
            Route::Info | Route::Message => Ok(self.inform(context, way, handover, plan.within)),
            Route::Pbx(pbx) => self.ask(context, pbx, target.place, handover, plan.within).map(Reroute::Asking),
        }
    }

    /// What whoever takes the caller gets to know.
    fn handover(&self, plan: &Plan) -> Handover {
        let Plan { target, rule, because, .. } = plan;
        self.told(target, rule, because)
    }

    /// The same, of a decision that moves nobody.
    pub(super) fn told(&self, target: &str, rule: &str, because: &Because) -> Handover {
        Handover {
            call: self.id.clone(),
            target: target.to_owned(),
            rule: rule.to_owned(),
            emotion: because.emotion.as_str().to_owned(),
            level: because.level.as_str().to_owned(),
            score: because.score,
            trend_per_s: because.trend_per_s,
            lasted_ms: millis(because.lasted),
        }
    }

    /// The headers by which a target gets to know.
    fn handover_headers(&self, handover: &Handover, target: &Target) -> Vec<Header> {
        let mut headers = vec![header("X-Calmline-Emotion", handover.line())];
        if let Some(priority) = target.place.queue_priority {
            headers.push(header("X-Calmline-Queue-Priority", priority.to_string()));
        }
        let has_data = self.passed.iter().any(|each| each.name.eq_ignore_ascii_case(USER_TO_USER));
        if target.user_to_user && !has_data {
            headers.push(header(USER_TO_USER, handover.user_to_user()));
        }
        headers
    }

    /// What the target is told: a fallback moves the caller for what moved it first, not for its silence since.
    fn evidence_for(&mut self, because: &Because) -> Because {
        match &mut self.stage {
            Stage::Talking(talking) if because.failure.is_none() => {
                talking.evidence = Some(because.clone());
                because.clone()
            }
            Stage::Talking(talking) => talking.evidence.as_ref().unwrap_or(because).clone(),
            Stage::Seeking(_) | Stage::Finished(_) => because.clone(),
        }
    }

    /// A provisional response of the re-route's target.
    pub(super) fn next_rings(&mut self, context: &mut Context<'_>, code: u16, sdp: Option<Description>) {
        if let Stage::Talking(talking) = &mut self.stage
            && let Some(Reroute::Ringing(ringing)) = &mut talking.reroute
        {
            ringing.early = sdp.or(ringing.early.take());
            if let Errand::Referred(referrer) = &ringing.errand {
                referrer.tell(context, code, "");
                let caller_waits = !referrer.is_caller() && code >= 180 && talking.waiting.is_none();
                if caller_waits {
                    self.begin_hold(context, &Hold::Ringback);
                }
            }
        }
    }

    /// The re-route's target has answered.
    pub(super) fn next_answered(&mut self, context: &mut Context<'_>, sdp: Option<&str>) {
        let Some(ringing) = self.take_ringing() else { return };
        let Ringing { mut leg, decided, errand, early, .. } = ringing;
        leg.dialog = Dialog::Answered;
        match leg.accept(sdp.or(early.as_deref())) {
            Ok(agreement) => leg.agree_first(context, agreement, false),
            Err(reason) => return self.leave_next(context, leg, &errand, 488, &reason),
        }
        match errand {
            Errand::Bridge(whisper) => {
                self.connect_next(context, leg, decided, "bridge");
                if let Some(whisper) = whisper {
                    self.whisper(context, &whisper);
                }
            }
            Errand::Attended => self.refer_attended(context, leg, decided, errand.via()),
            Errand::Referred(referrer) => self.serve_referrer(context, leg, decided, &referrer),
        }
    }

    /// Connects the caller with a target that has answered, and lets the old far leg go.
    pub(super) fn connect_next(&mut self, context: &mut Context<'_>, leg: Leg, decided: Duration, via: &str) {
        let prompt_plays = self.settle(context, &leg, decided, via);
        self.swap_far(context, leg, prompt_plays);
        self.judge(context, &routing::Event::Rerouted);
    }

    /// Notes that a leg is being swapped; true when a sound may still play to the caller.
    pub(super) fn settle(&mut self, context: &Context<'_>, leg: &Leg, decided: Duration, via: &str) -> bool {
        let (now, target) = (context.now, leg.name.clone());
        let Stage::Talking(talking) = &mut self.stage else { return false };
        talking.plan = None;
        talking.reroute = Some(Reroute::Settling(Settling {
            target,
            via: via.to_owned(),
            answer: now.saturating_sub(decided),
            answered: now,
            until: now + FIRST_PACKET_WAIT,
        }));
        talking.watch.streams_changed(now);
        self.end_hold() || self.is_played_to(self.caller.id)
    }

    /// Connects the caller with `leg` and lets the old far leg go.
    fn swap_far(&mut self, context: &mut Context<'_>, leg: Leg, prompt_plays: bool) {
        let (caller, next) = (self.caller.id, leg.id);
        self.drop_unspoken(context);
        if prompt_plays {
            // Somebody is there to talk to: nothing plays over the first words.
            context.media(media::Command::StopPlay { leg: caller });
        }
        context.media(media::Command::Bridge { a: caller, b: next });
        let tapped = context.terms.settings.listens_to_far();
        let old = self.far.replace(leg);
        if tapped {
            if let Some(old) = &old {
                context.tap(old.id, false);
            }
            self.tap(context, next, true);
        }
        if let Some(old) = old {
            self.dismiss(context, old, Farewell { code: 480, reason: "the caller was re-routed" });
        }
    }

    /// The re-route's target refused, was lost, or has rung long enough.
    pub(super) fn next_failed(&mut self, context: &mut Context<'_>, code: u16, reason: &str) {
        if let Some(Ringing { leg, errand, .. }) = self.take_ringing() {
            return self.leave_next(context, leg, &errand, code, reason);
        }
        self.consulted_lost(context);
    }

    /// Lets a target go that was called in vain.
    fn leave_next(&mut self, context: &mut Context<'_>, leg: Leg, errand: &Errand, code: u16, reason: &str) {
        let (target, via) = (leg.name.clone(), errand.via());
        self.dismiss(context, leg, Farewell { code, reason });
        if let Errand::Referred(referrer) = errand {
            referrer.tell(context, code.clamp(300, 699), "");
        }
        self.reroute_failed(context, via, target, reason.to_owned());
    }

    /// Has the way that is under way begun anew once it has failed, where a policy had it begun.
    pub(super) fn same_way_again(&mut self) {
        let Stage::Talking(talking) = &mut self.stage else { return };
        if let (Some(plan), Some(Reroute::Ringing(ringing))) = (&mut talking.plan, &talking.reroute) {
            match ringing.errand {
                Errand::Bridge(_) => plan.ways.push_front(Route::Bridge),
                Errand::Attended => plan.ways.push_front(Route::Attended),
                Errand::Referred(_) => {}
            }
        }
    }

    fn take_ringing(&mut self) -> Option<Ringing> {
        let Stage::Talking(talking) = &mut self.stage else { return None };
        match talking.reroute.take_if(|reroute| matches!(reroute, Reroute::Ringing(_)))? {
            Reroute::Ringing(ringing) => Some(*ringing),
            _ => None,
        }
    }

    /// The first packet of a new far end has reached somebody.
    pub(super) fn bridged(&mut self, context: &mut Context<'_>, hears: LegId, from: LegId) {
        let caller_hears_far = hears == self.caller.id && self.far.as_ref().is_some_and(|far| far.id == from);
        if !caller_hears_far {
            return;
        }
        if let Stage::Talking(talking) = &mut self.stage
            && let Some(Reroute::Settling(settling)) =
                talking.reroute.take_if(|reroute| matches!(reroute, Reroute::Settling(_)))
        {
            let gap = context.now.saturating_sub(settling.answered);
            self.report_settled(context, settling, Some(gap));
        }
    }

    /// Gives up on a way whose time has run out.
    pub(super) fn reroute_tick(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        let Stage::Talking(talking) = &mut self.stage else { return };
        if talking.reroute.as_ref().is_none_or(|reroute| now < reroute.until().0) {
            return;
        }
        match &talking.reroute {
            Some(Reroute::Ringing(_)) => self.next_failed(context, 408, "no answer in time"),
            Some(Reroute::Settling(_)) => {
                if let Some(Reroute::Settling(settling)) = talking.reroute.take() {
                    self.report_settled(context, settling, None);
                }
            }
            Some(Reroute::Referring(_)) => self.refer_lapsed(context),
            Some(Reroute::Asking(_)) => self.asking_lapsed(context),
            None => {}
        }
    }

    /// The deadline of the re-route in flight.
    pub(super) fn reroute_deadlines(&self, out: &mut Vec<(Duration, &'static str)>) {
        if let Stage::Talking(talking) = &self.stage {
            out.extend(talking.reroute.as_ref().map(Reroute::until));
        }
    }

    /// Reports a bridge that stands; `gap` is unknown when the target has not sent anything.
    pub(super) fn report_settled(&self, context: &mut Context<'_>, settling: Settling, gap: Option<Duration>) {
        let answer_ms = millis(settling.answer);
        let Settling { target, via, .. } = settling;
        if via == HANDED_OVER {
            // It could not be handed over: the caller is back with the same target, and has been moved to nobody.
            return;
        }
        self.notice(context, What::Rerouted { via, target, answer_ms, gap_ms: gap.map(millis) });
    }

    /// A way has come to nothing: the next one begins, or the policy engine is told.
    pub(super) fn reroute_failed(&mut self, context: &mut Context<'_>, via: &str, target: String, reason: String) {
        self.notice(context, What::RerouteFailed { via: via.to_owned(), target, reason: reason.clone() });
        let reason = match self.next_way(context) {
            Some(Ok(())) => return,
            Some(Err(last)) => last,
            None => reason,
        };
        if self.caller.dialog == Dialog::Over {
            return self.finish(context, &reason);
        }
        if self.end_hold() {
            context.media(media::Command::StopPlay { leg: self.caller.id });
        }
        self.judge(context, &routing::Event::RerouteFailed { reason });
    }
}

pub(super) fn ringing(now: Duration, leg: Leg, until: Duration, errand: Errand) -> Reroute {
    Reroute::Ringing(Box::new(Ringing { leg, decided: now, until, errand, early: None }))
}

const USER_TO_USER: &str = "User-to-User";
/// How long the first packet of a new far end may take before the gap is called unknown.
const FIRST_PACKET_WAIT: Duration = Duration::from_secs(2);
