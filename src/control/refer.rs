//! REFER both ways: asking the caller's side to call the target, blind or attended, and doing what a far end asks for.
//!
//! A back-to-back user agent cannot pass a REFER on, for its dialogs differ: it calls the target itself.

use std::net::IpAddr;
use std::time::Duration;

use media::LegId;
use routing::Route;

use super::call::{Call, Role, Stage, millis};
use super::context::Context;
use super::drain::Departure;
use super::leg::{Dialog, Farewell, Leg, header};
use super::reroute::{Errand, Reroute, ringing};
use super::{ControlSettings, Header, SipCommand};
use crate::notice::{CALLER_REPLACED, HANDED_OVER, What};
use crate::pbx::Ticket;
use crate::settings::{AudioTerms, Target, host_of};

/// A REFER that has been sent.
#[derive(Debug)]
pub(super) struct Referring {
    target: String,
    decided: Duration,
    pub(super) until: Duration,
    accepted: bool,
    /// The way, in events.
    via: &'static str,
    /// The target, which has answered us: the caller's side is to take our place in its dialog.
    pub(super) consulted: Option<Leg>,
}

/// A way whose time ran out and that may yet succeed.
#[derive(Debug)]
pub(super) struct Lapsed {
    pub(super) via: String,
    pub(super) target: String,
    pub(super) decided: Duration,
    /// The order; none for a REFER.
    pub(super) ticket: Option<Ticket>,
}

/// A far end that has sent a REFER and waits for news.
#[derive(Debug)]
pub(super) struct Referrer {
    leg: LegId,
    /// Whether it is the caller's side: then the far end stays and the caller's leg is replaced.
    is_caller: bool,
}

impl Referrer {
    /// Somebody whose REFER cannot be served, on `leg`.
    pub(super) fn in_vain(leg: LegId) -> Referrer {
        Referrer { leg, is_caller: true }
    }

    /// Whether the caller's leg is to be replaced; else the caller stays and waits.
    pub(super) fn is_caller(&self) -> bool {
        self.is_caller
    }

    /// Tells how the call to the target goes; the last word from 200 on.
    pub(super) fn tell(&self, context: &mut Context<'_>, code: u16, reason: &str) {
        let reason = reason.to_owned();
        context.sip(SipCommand::TellReferrer { leg: self.leg, code, reason });
    }

    /// The way, in events: whoever takes the place of the caller's side serves nobody.
    pub(super) fn via(&self) -> &'static str {
        if self.is_caller { CALLER_REPLACED } else { REFERRED }
    }
}

/// What a REFER of a far end asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Referral<'a> {
    pub(super) uri: &'a str,
    /// Headers that the target is to get: of the URI, and Referred-By (RFC 3892 §2.2).
    pub(super) headers: Vec<Header>,
}

impl Call {
    /// Asks the caller's side to call the target.
    pub(super) fn refer(
        &self,
        context: &mut Context<'_>,
        name: &str,
        uri: String,
        headers: Vec<Header>,
        within: Option<Duration>,
    ) -> Reroute {
        let headers = [vec![header("X-Calmline-Call", self.id.clone())], headers].concat();
        context.sip(SipCommand::Refer { leg: self.caller.id, uri, replaces: None, headers });
        let until = context.now + within.unwrap_or(REFER_WAIT);
        let (target, decided) = (name.to_owned(), context.now);
        Reroute::Referring(Box::new(Referring {
            target,
            decided,
            until,
            accepted: false,
            via: "refer",
            consulted: None,
        }))
    }

    /// The target has answered us: the caller's side is asked to take our place (RFC 3891, RFC 5589 §7).
    pub(super) fn refer_attended(&mut self, context: &mut Context<'_>, leg: Leg, decided: Duration, via: &'static str) {
        let known = context.terms.settings.targets.get(&leg.name);
        let uri = known.map_or_else(String::new, |target| target.uri.clone());
        let headers = vec![header("X-Calmline-Call", self.id.clone())];
        context.sip(SipCommand::Refer { leg: self.caller.id, uri, replaces: Some(leg.id), headers });
        let (target, until) = (leg.name.clone(), context.now + ATTENDED_WAIT);
        let referring = Referring { target, decided, until, accepted: false, via, consulted: Some(leg) };
        if let Stage::Talking(talking) = &mut self.stage {
            talking.reroute = Some(Reroute::Referring(Box::new(referring)));
        }
    }

    /// What the caller's side says about our REFER.
    pub(super) fn refer_progress(&mut self, context: &mut Context<'_>, code: u16, reason: &str, last: bool) {
        let Stage::Talking(talking) = &mut self.stage else { return };
        let succeeded = (200..300).contains(&code);
        let Some(Reroute::Referring(referring)) = &mut talking.reroute else {
            // The response to the REFER has come before its time ran out, or never will: this is the outcome.
            if succeeded
                && last
                && let Some(lapsed) = talking.lapsed.take_if(|lapsed| lapsed.ticket.is_none())
            {
                self.moved(context, lapsed.via, lapsed.target, context.now.saturating_sub(lapsed.decided));
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
        let Some(referring) = self.take_referring() else { return };
        if moved {
            // A real PBX leaves the old leg up: the BYE has to be ours.
            self.referring_done(context, referring);
        } else {
            self.referring_failed(context, referring, format!("{code} {reason}"));
        }
    }

    /// The caller's leg has ended; true when that is part of a REFER.
    pub(super) fn left_by_refer(&mut self, context: &mut Context<'_>) -> bool {
        let Stage::Talking(talking) = &self.stage else { return false };
        match &talking.reroute {
            // Some PBXs hang up as soon as they take the REFER over; no NOTIFY can come after that.
            Some(Reroute::Referring(referring)) if referring.accepted => {
                if let Some(referring) = self.take_referring() {
                    self.referring_done(context, referring);
                }
                true
            }
            // Who asks to be replaced need not wait for it; the far end does.
            Some(Reroute::Ringing(ringing)) => {
                matches!(&ringing.errand, Errand::Referred(referrer) if referrer.is_caller)
            }
            _ => false,
        }
    }

    /// No outcome has come in time.
    pub(super) fn refer_lapsed(&mut self, context: &mut Context<'_>) {
        let Some(referring) = self.take_referring() else { return };
        if referring.consulted.is_none()
            && let Stage::Talking(talking) = &mut self.stage
        {
            let Referring { target, decided, via, .. } = &referring;
            let (via, target) = ((*via).to_owned(), target.clone());
            talking.lapsed = Some(Lapsed { via, target, decided: *decided, ticket: None });
        }
        self.referring_failed(context, referring, "no outcome in time".to_owned());
    }

    /// The target that was consulted is gone: taken over by the caller's side, or lost.
    pub(super) fn consulted_lost(&mut self, context: &mut Context<'_>) {
        let Stage::Talking(talking) = &mut self.stage else { return };
        if let Some(Reroute::Referring(referring)) = &mut talking.reroute
            && let Some(leg) = referring.consulted.take()
        {
            // Whoever takes our place ends our dialog with the target (RFC 3891 §3): the NOTIFY tells which it was.
            referring.until = referring.until.min(context.now + TAKEN_OVER_WAIT);
            self.dismiss(context, leg, Farewell { code: 480, reason: "taken over" });
        }
    }

    /// Somebody else has moved the caller: our legs end. A call that is forked to us goes on where it was moved.
    pub(super) fn moved(&mut self, context: &mut Context<'_>, via: String, target: String, answer: Duration) {
        let answer_ms = millis(answer);
        let reason = match Route::named(&via) {
            Route::Refer | Route::Attended => "moved by REFER".to_owned(),
            Route::Info => "moved by INFO".to_owned(),
            Route::Message => "moved by MESSAGE".to_owned(),
            Route::Pbx(_) if via == HANDED_OVER => "handed over".to_owned(),
            Route::Bridge | Route::Pbx(_) => format!("moved by {via}"),
        };
        let is_handed_over = matches!(&self.stage, Stage::Talking(talking) if talking.handing_over.is_some());
        if is_handed_over {
            self.departure = Departure::HandedOver;
        }
        self.notice(context, What::Rerouted { via, target, answer_ms, gap_ms: None });
        if !self.goes_on_forked() {
            return self.finish(context, &reason);
        }
        if let Stage::Talking(talking) = &mut self.stage {
            talking.plan = None;
        }
        self.judge(context, &routing::Event::Rerouted);
    }

    pub(super) fn referring_done(&mut self, context: &mut Context<'_>, mut referring: Referring) {
        let via = referring.via.to_owned();
        if let Some(leg) = referring.consulted.take() {
            self.dismiss(context, leg, Farewell { code: 480, reason: "taken over" });
        }
        self.moved(context, via, referring.target, context.now.saturating_sub(referring.decided));
    }

    /// A REFER has come to nothing; a target that was consulted is there all the same, so the caller is connected to it.
    fn referring_failed(&mut self, context: &mut Context<'_>, mut referring: Referring, reason: String) {
        let via = referring.via;
        match referring.consulted.take().filter(|leg| leg.dialog == Dialog::Answered) {
            Some(leg) => {
                let (told, target) = (via.to_owned(), referring.target);
                self.notice(context, What::RerouteFailed { via: told, target, reason });
                let back = if via == HANDED_OVER { HANDED_OVER } else { Route::Bridge.as_str() };
                self.connect_next(context, leg, referring.decided, back);
            }
            None => self.reroute_failed(context, via, referring.target, reason),
        }
    }

    fn take_referring(&mut self) -> Option<Referring> {
        let Stage::Talking(talking) = &mut self.stage else { return None };
        match talking.reroute.take_if(|reroute| matches!(reroute, Reroute::Referring(_)))? {
            Reroute::Referring(referring) => Some(*referring),
            _ => None,
        }
    }

    /// A far end asks us to connect whoever it talks to with somebody else; 202 has been sent.
    pub(super) fn asked_to_refer(&mut self, context: &mut Context<'_>, role: Role, leg: LegId, referral: Referral<'_>) {
        let is_caller = role == Role::Caller;
        let referrer = Referrer { leg, is_caller };
        let stays = if is_caller { self.far.as_ref() } else { Some(&self.caller) };
        let (Stage::Talking(talking), Some(stays), Role::Caller | Role::Far) = (&self.stage, stays, role) else {
            return referrer.tell(context, 603, "nobody to connect");
        };
        if talking.is_being_moved() {
            return referrer.tell(context, 491, "another re-route is under way");
        }
        if !may_be_called(&context.terms.settings, referral.uri) {
            return referrer.tell(context, 403, "not a host of ours");
        }
        let (name, target) = called(&context.terms.settings, referral.uri);
        let Some(next) = self.invite(context, &name, target, referral.headers, stays) else {
            return referrer.tell(context, 503, "no media port is free");
        };
        let until = context.now + context.terms.settings.limits.ring;
        let via = referrer.via().to_owned();
        let reroute = ringing(context.now, next, until, Errand::Referred(referrer));
        if let Stage::Talking(talking) = &mut self.stage {
            talking.reroute = Some(reroute);
        }
        self.notice(context, What::RerouteStarted { via, target: name });
    }

    /// The target of a far end's REFER has answered: it takes the far end's place.
    pub(super) fn serve_referrer(&mut self, context: &mut Context<'_>, leg: Leg, decided: Duration, by: &Referrer) {
        by.tell(context, 200, "OK");
        if !by.is_caller {
            return self.connect_next(context, leg, decided, by.via());
        }
        let prompt_plays = self.settle(context, &leg, decided, by.via());
        self.swap_caller(context, leg, prompt_plays);
    }

    /// Another leg has become the caller's: whoever hears the old one is moved on, or has to come anew.
    pub(super) fn caller_replaced(&mut self, context: &mut Context<'_>) {
        self.caller.party = "caller";
        let caller = self.caller.id;
        let Stage::Talking(talking) = &mut self.stage else { return };
        talking.watch.confirm();
        talking.supervisors.follow(context, caller);
        let clients = talking.audio.leave();
        self.end_audio(context, clients);
        self.consent_anew(context);
    }

    /// Connects the far end with `leg` and lets the old caller's leg go.
    fn swap_caller(&mut self, context: &mut Context<'_>, leg: Leg, prompt_plays: bool) {
        self.drop_unspoken(context);
        if prompt_plays {
            context.media(media::Command::StopPlay { leg: self.caller.id });
        }
        if let Some(far) = &self.far {
            context.media(media::Command::Bridge { a: leg.id, b: far.id });
        }
        context.tap(self.caller.id, false);
        self.keep_secret(context, leg.id);
        self.tap(context, leg.id, true);
        let old = std::mem::replace(&mut self.caller, leg);
        self.caller_replaced(context);
        self.dismiss(context, old, Farewell { code: 480, reason: "the call was transferred" });
    }
}

/// Whether a far end may have us call `uri`: a host of a target or of a trusted network.
fn may_be_called(settings: &ControlSettings, uri: &str) -> bool {
    let Some(host) = host_of(uri) else { return false };
    let is_trusted = |address: IpAddr| settings.trusted.iter().any(|network| network.contains(&address));
    let known = settings.targets.values().any(|target| {
        let own = host_of(&target.uri).is_some_and(|own| own.eq_ignore_ascii_case(host));
        own || target.proxy.is_some_and(|proxy| host.parse() == Ok(proxy.ip()))
    });
    known || host.parse().is_ok_and(is_trusted)
}

/// The target that a URI is, or one made for it.
fn called(settings: &ControlSettings, uri: &str) -> (String, Target) {
    let known = settings.targets.iter().find(|(_, target)| target.uri.eq_ignore_ascii_case(uri));
    if let Some((name, target)) = known {
        return (name.clone(), target.clone());
    }
    let target = Target { uri: uri.to_owned(), audio: AudioTerms::default(), ..Target::default() };
    // Events name targets, never numbers.
    (REFERRED.to_owned(), target)
}

/// The way, and the name of a target that has none, in events.
const REFERRED: &str = "referred";
/// How long the outcome of a REFER may take.
const REFER_WAIT: Duration = Duration::from_secs(30);
/// How long the caller's side may take to take our place with a target that waits in silence.
const ATTENDED_WAIT: Duration = Duration::from_secs(5);
/// How long the NOTIFY may take after our dialog with the target was ended.
const TAKEN_OVER_WAIT: Duration = Duration::from_secs(2);
