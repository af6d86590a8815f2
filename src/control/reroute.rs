//! Moving the caller: by bridge (we call the target and swap the far leg) or by REFER (the caller's side does).
//!
//! One re-route at a time. Until the target has answered, the caller stays where it is; when the target will not,
//! the policy engine is told and may fall back.

use std::time::Duration;

use media::{LegId, sdp};
use routing::{Because, Route};

use super::call::{Call, Stage, millis};
use super::context::Context;
use super::leg::{Dialog, Farewell, Leg, header, quotable};
use super::{Description, Header, SipCommand};
use crate::notice::What;

/// A re-route in flight.
#[derive(Debug)]
pub(super) enum Reroute {
    /// The target of a bridge has been called.
    Ringing(Box<Ringing>),
    /// The far leg has been swapped; the target's first packet is awaited, to measure the gap.
    Settling(Settling),
    /// The caller's side has been asked to call the target.
    Referring(Referring),
}

/// A target that has been called.
#[derive(Debug)]
pub(super) struct Ringing {
    pub(super) leg: Leg,
    decided: Duration,
    until: Duration,
    /// The last description of a provisional response, for a 2xx that brings none.
    early: Option<Description>,
}

/// A bridge that has been swapped.
#[derive(Debug)]
pub(super) struct Settling {
    target: String,
    answer: Duration,
    answered: Duration,
    until: Duration,
}

/// A REFER that has been sent.
#[derive(Debug)]
pub(super) struct Referring {
    target: String,
    decided: Duration,
    until: Duration,
    accepted: bool,
}

/// A REFER whose time ran out.
#[derive(Debug)]
pub(super) struct Lapsed(Referring);

impl Reroute {
    pub(super) fn leg(&self) -> Option<&Leg> {
        match self {
            Reroute::Ringing(ringing) => Some(&ringing.leg),
            Reroute::Settling(_) | Reroute::Referring(_) => None,
        }
    }

    pub(super) fn leg_mut(&mut self) -> Option<&mut Leg> {
        match self {
            Reroute::Ringing(ringing) => Some(&mut ringing.leg),
            Reroute::Settling(_) | Reroute::Referring(_) => None,
        }
    }

    /// Whether the caller is still to be moved.
    pub(super) fn is_pending(&self) -> bool {
        matches!(self, Reroute::Ringing(_) | Reroute::Referring(_))
    }

    pub(super) fn is_accepted_refer(&self) -> bool {
        matches!(self, Reroute::Referring(referring) if referring.accepted)
    }

    fn is_referring(&self) -> bool {
        matches!(self, Reroute::Referring(_))
    }

    fn until(&self) -> (Duration, &'static str) {
        match self {
            Reroute::Ringing(ringing) => (ringing.until, "re-route target's answer"),
            Reroute::Settling(settling) => (settling.until, "re-route target's first packet"),
            Reroute::Referring(referring) => (referring.until, "outcome of REFER"),
        }
    }
}

impl Call {
    /// Begins a re-route; `Err` says why it cannot begin, and the caller stays.
    pub(super) fn begin_reroute(
        &mut self,
        context: &mut Context<'_>,
        via: Route,
        name: &str,
        rule: &str,
        because: &Because,
    ) -> Result<(), String> {
        let now = context.now;
        let target = context.shared.settings.targets.get(name).ok_or_else(|| format!("no target named {name}"))?;
        let target = target.clone();
        let emotion = emotion_header(rule, &self.evidence_for(because));
        let reroute = match via {
            Route::Bridge => {
                let leg = self.invite(context, name, target, vec![emotion]).ok_or("no media port is free")?;
                let until = now + context.shared.settings.limits.ring;
                Reroute::Ringing(Box::new(Ringing { leg, decided: now, until, early: None }))
            }
            Route::Refer => {
                let headers = vec![header("X-Calmline-Call", self.id.clone()), emotion];
                context.sip(SipCommand::Refer { leg: self.caller.id, uri: target.uri, headers });
                let target = name.to_owned();
                Reroute::Referring(Referring { target, decided: now, until: now + REFER_WAIT, accepted: false })
            }
        };
        if let Stage::Talking(talking) = &mut self.stage {
            talking.reroute = Some(reroute);
        }
        self.notice(context, What::RerouteStarted { via: via.as_str().to_owned(), target: name.to_owned() });
        Ok(())
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
    pub(super) fn next_rings(&mut self, sdp: Option<Description>) {
        if let Stage::Talking(talking) = &mut self.stage
            && let Some(Reroute::Ringing(ringing)) = &mut talking.reroute
            && sdp.is_some()
        {
            ringing.early = sdp;
        }
    }

    /// The re-route's target has answered: the far leg is swapped.
    pub(super) fn next_answered(&mut self, context: &mut Context<'_>, sdp: Option<&str>) {
        let Stage::Talking(talking) = &mut self.stage else { return };
        let Some(Reroute::Ringing(ringing)) = talking.reroute.take_if(|reroute| reroute.leg().is_some()) else {
            return;
        };
        let Ringing { mut leg, decided, early, .. } = *ringing;
        leg.dialog = Dialog::Answered;
        let agreed = match sdp.or(early.as_deref()) {
            Some(text) => {
                sdp::parse(text).and_then(|session| leg.offer().accept(&session)).map_err(|error| error.to_string())
            }
            None => Err("answered without a session description".to_owned()),
        };
        let agreement = match agreed {
            Ok(agreement) => agreement,
            Err(reason) => {
                let target = leg.name.clone();
                self.dismiss(context, leg, Farewell { code: 488, reason: &reason });
                return self.reroute_failed(context, Route::Bridge, target, reason);
            }
        };

        let (now, target) = (context.now, leg.name.clone());
        talking.reroute = Some(Reroute::Settling(Settling {
            target,
            answer: now.saturating_sub(decided),
            answered: now,
            until: now + FIRST_PACKET_WAIT,
        }));
        talking.watch.streams_changed(now);
        let prompt_plays = !talking.playing.is_empty();
        let prompt_plays = self.end_hold() || prompt_plays;
        leg.agree_first(context, agreement, false);
        self.swap_far(context, leg, prompt_plays);
        self.judge(context, &routing::Event::Rerouted);
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
        let tapped = context.shared.settings.listens_to_far();
        let old = self.far.replace(leg);
        if tapped {
            if let Some(old) = &old {
                context.media(media::Command::Tap { leg: old.id, on: false });
            }
            context.media(media::Command::Tap { leg: next, on: true });
        }
        if let Some(old) = old {
            self.dismiss(context, old, Farewell { code: 480, reason: "the caller was re-routed" });
        }
    }

    /// The re-route's target refused, was lost, or has rung long enough.
    pub(super) fn next_failed(&mut self, context: &mut Context<'_>, reason: &str) {
        let Stage::Talking(talking) = &mut self.stage else { return };
        let Some(Reroute::Ringing(ringing)) = talking.reroute.take_if(|reroute| reroute.leg().is_some()) else {
            return;
        };
        let target = ringing.leg.name.clone();
        self.dismiss(context, ringing.leg, Farewell { code: 480, reason });
        self.reroute_failed(context, Route::Bridge, target, reason.to_owned());
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

    /// What the caller's side says about our REFER.
    pub(super) fn referred(&mut self, context: &mut Context<'_>, code: u16, reason: &str, last: bool) {
        let Stage::Talking(talking) = &mut self.stage else { return };
        let succeeded = (200..300).contains(&code);
        let Some(Reroute::Referring(referring)) = &mut talking.reroute else {
            // The response to the REFER has come before its time ran out, or never will: this is the outcome.
            if succeeded
                && last
                && let Some(Lapsed(referring)) = talking.lapsed.take()
            {
                self.report_referred(context, referring);
                self.finish(context, "moved by REFER");
            }
            return;
        };
        // The first 2xx is the response to the REFER, 202 or 200 (RFC 6665 §4.1.2); a second one, or one that ends
        // the subscription, is the outcome.
        let moved = succeeded && (referring.accepted || last);
        referring.accepted |= succeeded;
        if !last && !moved {
            return;
        }

        let Some(Reroute::Referring(referring)) = talking.reroute.take_if(|reroute| reroute.is_referring()) else {
            return;
        };
        if moved {
            // A real PBX leaves the old leg up: the BYE has to be ours.
            self.report_referred(context, referring);
            self.finish(context, "moved by REFER");
        } else {
            self.reroute_failed(context, Route::Refer, referring.target, format!("{code} {reason}"));
        }
    }

    /// Gives up on a re-route whose time has run out.
    pub(super) fn reroute_tick(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        let Stage::Talking(talking) = &mut self.stage else { return };
        if talking.reroute.as_ref().is_none_or(|reroute| now < reroute.until().0) {
            return;
        }
        match &talking.reroute {
            Some(Reroute::Ringing(_)) => self.next_failed(context, "no answer in time"),
            Some(Reroute::Settling(_)) => {
                if let Some(Reroute::Settling(settling)) = talking.reroute.take() {
                    self.report_settled(context, settling, None);
                }
            }
            Some(Reroute::Referring(_)) => {
                if let Some(Reroute::Referring(referring)) = talking.reroute.take() {
                    let target = referring.target.clone();
                    talking.lapsed = Some(Lapsed(referring));
                    self.reroute_failed(context, Route::Refer, target, "no outcome in time".to_owned());
                }
            }
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
        let via = Route::Bridge.as_str().to_owned();
        let answer_ms = millis(settling.answer);
        self.notice(context, What::Rerouted { via, target: settling.target, answer_ms, gap_ms: gap.map(millis) });
    }

    /// Reports a caller who was moved by REFER.
    pub(super) fn report_referred(&self, context: &mut Context<'_>, referring: Referring) {
        let answer_ms = millis(context.now.saturating_sub(referring.decided));
        let via = Route::Refer.as_str().to_owned();
        self.notice(context, What::Rerouted { via, target: referring.target, answer_ms, gap_ms: None });
    }

    fn reroute_failed(&mut self, context: &mut Context<'_>, via: Route, target: String, reason: String) {
        let via = via.as_str().to_owned();
        self.notice(context, What::RerouteFailed { via, target, reason: reason.clone() });
        if self.end_hold() {
            context.media(media::Command::StopPlay { leg: self.caller.id });
        }
        self.judge(context, &routing::Event::RerouteFailed { reason });
    }
}

/// What the target gets to know, e.g. `anger;level=high;score=0.93;rule=angry`.
fn emotion_header(rule: &str, because: &Because) -> Header {
    let (emotion, level) = (because.emotion.as_str(), because.level.as_str());
    let rule = quotable(rule).replace([';', ' '], "_");
    header("X-Calmline-Emotion", format!("{emotion};level={level};score={:.2};rule={rule}", because.score))
}

/// How long the outcome of a REFER may take.
const REFER_WAIT: Duration = Duration::from_secs(30);
/// How long the first packet of a new far end may take before the gap is called unknown.
const FIRST_PACKET_WAIT: Duration = Duration::from_secs(2);
