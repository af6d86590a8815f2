//! From the INVITE to the answer: admission, targets in order, early media, failures mapped for the caller.

use std::sync::Arc;
use std::time::Duration;

use media::LegId;
use media::sdp::{self, Formats, Session, Wishes};
use routing::CallKey;

use super::asking::channels_of;
use super::call::{Call, Stage, Talking, Tally, millis};
use super::codecs;
use super::context::{Context, Shared};
use super::drain::Departure;
use super::duties::Serving;
use super::facts::Learned;
use super::leg::{Beginning, Dialog, Farewell, Leg, Partner, header, quotable};
use super::relief::Relievable;
use super::timer::{self, Timer};
use super::{Command, Description, Header, Invite, SessionTerms, SipCommand, history, pass};
use crate::notice::What;
use crate::settings::{AudioTerms, Bypass, RequestView, Returning, Route, Target};

/// A call for which a target is sought.
#[derive(Debug)]
pub(super) struct Seeking {
    /// The caller's offer; without one, we make it with the 200.
    session: Option<Session>,
    terms: SessionTerms,
    scenario: String,
    /// Whether the caller's baseline is kept from call to call.
    remembers: bool,
    /// Names of targets that have not been tried.
    targets: std::vec::IntoIter<String>,
    /// When the present target has rung long enough.
    pub(super) ring_until: Duration,
    /// Whether the caller hears the present target already.
    bridged: bool,
    /// For how long the last target takes no calls, when it has said so.
    retry_after: Option<Duration>,
}

/// What an admitted INVITE will become.
#[derive(Debug)]
pub(super) struct Admitted {
    route: String,
    scenario: String,
    targets: Vec<String>,
    passed: Vec<Header>,
    session: Option<Session>,
    audio: AudioTerms,
    formats: Formats,
    /// Whether the caller's baseline is kept from call to call.
    remembers: bool,
    relievable: Relievable,
}

/// Why an INVITE is refused before it becomes a call, or why a target is left.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: u16,
    pub(super) reason: String,
    pub(super) headers: Vec<Header>,
}

impl Refusal {
    pub(super) fn new(code: u16, reason: impl Into<String>) -> Refusal {
        Refusal { code, reason: reason.into(), headers: Vec::new() }
    }
}

/// Judges an INVITE by itself: is there a route, and can we talk to the caller?
pub(super) fn admit(shared: &Shared, invite: &Invite) -> Result<Admitted, Refusal> {
    check(invite)?;
    let route = route_of(shared, invite).ok_or_else(|| Refusal::new(404, "Not Found"))?;

    let (session, formats) = match &invite.sdp {
        Some(text) => {
            let session = sdp::parse(text).map_err(|error| not_acceptable(&error.to_string()))?;
            let formats = spoken(shared, &session, &route.audio)?;
            (Some(session), formats)
        }
        None => (None, codecs::offer_for(&Formats::default(), &route.audio.codecs)),
    };
    Ok(Admitted {
        route: route.name.clone(),
        scenario: route.scenario.clone(),
        targets: route.targets.clone(),
        passed: pass::kept(&invite.headers, &route.headers),
        audio: route.audio.clone(),
        session,
        formats,
        remembers: shared.terms.settings.remembers(route),
        relievable: Relievable::by(route.bypass_running),
    })
}

/// Whether an INVITE can become anything at all.
pub(super) fn check(invite: &Invite) -> Result<(), Refusal> {
    let hops_used_up = |each: &Header| each.name.eq_ignore_ascii_case("Max-Forwards") && each.value.trim() == "0";
    if invite.headers.iter().any(hops_used_up) {
        return Err(Refusal::new(483, "Too Many Hops"));
    }
    if let Some(headers) = timer::too_short(&invite.session) {
        return Err(Refusal { headers, ..Refusal::new(422, "Session Interval Too Small") });
    }
    Ok(())
}

/// Where a caller is sent before the answer, by 302.
#[derive(Debug)]
pub(super) struct Elsewhere {
    /// The target's name.
    pub(super) target: String,
    pub(super) uri: String,
    /// Why, in words.
    pub(super) reason: &'static str,
}

/// Whether a caller is sent elsewhere; `has_room` when the call can be taken without harm to others.
pub(super) fn elsewhere(shared: &Shared, now: Duration, invite: &Invite, has_room: bool) -> Option<Elsewhere> {
    let route = route_of(shared, invite)?;
    let was_angry = |returning: &&Returning| shared.history.tells(now, &invite.from, returning.level, returning.within);
    let (target, reason) = match (route.returning.as_ref().filter(was_angry), route.bypass) {
        (Some(returning), _) => (&returning.target, "angry in the last call"),
        (None, Bypass::Always) => (route.targets.first()?, "the route goes past us"),
        (None, Bypass::OnOverload) if !has_room => (route.targets.first()?, "no room for it here"),
        (None, Bypass::OnOverload | Bypass::Never) => return None,
    };
    let uri = shared.terms.settings.targets.get(target)?.uri.clone();
    Some(Elsewhere { target: target.clone(), uri, reason })
}

fn route_of<'s>(shared: &'s Shared, invite: &Invite) -> Option<&'s Route> {
    let headers: Vec<(&str, &str)> = invite.headers.iter().map(|each| (&*each.name, &*each.value)).collect();
    let view = RequestView { request_uri: &invite.request_uri, to: &invite.to, from: &invite.from, headers: &headers };
    shared.terms.settings.routes.find(&view)
}

/// What of a caller's offer the route speaks.
fn spoken(shared: &Shared, session: &Session, audio: &AudioTerms) -> Result<Formats, Refusal> {
    let certified = shared.terms.settings.fingerprint.is_some();
    let offered = session.formats(audio.protection, certified).map_err(|error| not_acceptable(&error.to_string()))?;
    let formats = codecs::usable(&offered, &audio.codecs);
    if formats.codecs.is_empty() {
        return Err(not_acceptable("no audio stream in a codec that this route speaks"));
    }
    Ok(formats)
}

pub(super) fn not_acceptable(why: &str) -> Refusal {
    let warning = header("Warning", format!("399 calmline \"{}\"", quotable(why)));
    Refusal { headers: vec![warning], ..Refusal::new(488, "Not Acceptable Here") }
}

impl Call {
    /// Begins a call; `Err` when there is no port for the caller.
    pub(super) fn start(
        context: &mut Context<'_>,
        key: CallKey,
        id: String,
        leg: LegId,
        invite: &Invite,
        admitted: Admitted,
    ) -> Result<Call, Refusal> {
        let Admitted { route, scenario, targets, passed, session, audio, formats, remembers, relievable } = admitted;
        let beginning = Beginning {
            name: "caller",
            audio,
            formats,
            wishes: session.as_ref().map(Session::wishes).unwrap_or_default(),
            partner: Partner::default(),
            destination: session.as_ref().and_then(Session::address),
            bind: None,
        };
        let Some(mut caller) = Leg::open(context, key, Some(leg), beginning) else {
            return Err(Refusal::new(503, "No media port is free"));
        };
        caller.takes_update = invite.session.takes_update;
        let seeking = Seeking {
            session,
            terms: invite.session,
            scenario: scenario.clone(),
            targets: targets.into_iter(),
            ring_until: context.now,
            bridged: false,
            retry_after: None,
            remembers,
        };
        let mut call = Call {
            key,
            id,
            terms: Arc::clone(&context.terms),
            started: context.now,
            from: without_tag(&invite.from).to_owned(),
            hops_left: invite.hops_left,
            language: context.terms.settings.language_on(&route),
            maskers: context.terms.settings.maskers_on(&route),
            consent: context.terms.settings.consent_on(&route, &invite.headers),
            indicator: context.terms.settings.indicator_on(&route),
            queue_priority: None,
            passed,
            channels: channels_of(&invite.headers, None, &context.terms.settings.pbxes),
            caller,
            far: None,
            leaving: Vec::new(),
            fork: None,
            stage: Stage::Seeking(Box::new(seeking)),
            tally: Tally::default(),
            learned: Learned::default(),
            serving: Serving::default(),
            relievable,
            ports_refused: 0,
            departure: Departure::default(),
            wake: None,
        };
        let (from, to) = (invite.from.clone().into(), invite.to.clone().into());
        let tags = context.terms.settings.tags_on(&route);
        call.notice(context, What::CallStarted { from, to, route, scenario, tags });
        call.try_next(context, &Refusal::new(480, "no target"));
        Ok(call)
    }

    /// Calls the next target; when there is none, the caller gets the last failure.
    fn try_next(&mut self, context: &mut Context<'_>, failure: &Refusal) {
        loop {
            let Stage::Seeking(seeking) = &mut self.stage else { return };
            let Some(name) = seeking.targets.next() else {
                let farewell = Farewell { code: code_for_caller(failure.code), reason: &failure.reason };
                if let (Some(time), 503) = (seeking.retry_after, farewell.code) {
                    let headers = vec![context.shared.retry_after(time)];
                    self.caller.reject(context, farewell, headers);
                }
                return self.finish_with(context, farewell);
            };
            let Some(target) = context.terms.settings.targets.get(&name) else { continue };
            let target = target.clone();

            let Some(leg) = self.invite(context, &name, target, Vec::new(), &self.caller) else {
                return self.finish_with(context, Farewell { code: 503, reason: "No media port is free" });
            };
            let ring = context.terms.settings.limits.ring;
            if let Stage::Seeking(seeking) = &mut self.stage {
                seeking.ring_until = context.now + ring;
                seeking.bridged = false;
            }
            self.far = Some(leg);
            return;
        }
    }

    /// Calls a target with an offer of what suits `partner` best, whom it will talk to; `None` when no port is free.
    pub(super) fn invite(
        &self,
        context: &mut Context<'_>,
        name: &str,
        target: Target,
        extra: Vec<Header>,
        partner: &Leg,
    ) -> Option<Leg> {
        let destination = target.address();
        let Target { uri, proxy, trunk, audio, headers: rules, .. } = target;
        let wanted = if audio.codecs.is_empty() { &partner.audio.codecs } else { &audio.codecs };
        let formats = codecs::offer_for(&partner.formats, wanted);
        // What the partner speaks already comes first, unless this target has an order of its own.
        let formats = match &partner.settings {
            Some(settings) if audio.codecs.is_empty() => codecs::preferring(&formats, settings.codec),
            Some(_) | None => formats,
        };
        let partner = partner.as_partner();
        let wishes = Wishes::default();
        let beginning = Beginning { name, audio, formats, wishes, partner, destination, bind: None };
        let mut leg = Leg::open(context, self.key, None, beginning)?;
        let sdp = Description::from(leg.offer().write(&leg.local));
        leg.sdp = Some(sdp.clone());
        let mut headers = vec![header("X-Calmline-Call", self.id.clone())];
        headers.extend(context.terms.settings.limits.session_expires_s.into_iter().flat_map(timer::offer_headers));
        headers.extend(extra);
        let host = context.terms.settings.sip_address_for(destination);
        let (from, passed) = pass::shown(&self.from, &self.passed, &rules, host);
        headers.extend(passed);
        let hops_left = self.hops_left;
        context.sip(SipCommand::Invite { leg: leg.id, uri, proxy, trunk, from, hops_left, headers, sdp });
        Some(leg)
    }

    /// The present target will not take the call.
    pub(super) fn target_failed(&mut self, context: &mut Context<'_>, code: u16, reason: &str) {
        if let Some(leg) = self.far.take() {
            self.dismiss(context, leg, Farewell { code, reason });
        }
        self.try_next(context, &Refusal::new(code, reason));
    }

    /// Calls the present target once more, before any other; `true` when it is being called.
    pub(super) fn call_again(&mut self, context: &mut Context<'_>, reason: &str) -> bool {
        let (Stage::Seeking(seeking), Some(far)) = (&mut self.stage, &self.far) else { return false };
        let left = std::mem::take(&mut seeking.targets);
        seeking.targets = std::iter::once(far.name.clone()).chain(left).collect::<Vec<_>>().into_iter();
        self.target_failed(context, 500, reason);
        true
    }

    /// A target has not been called, or said so, because it takes no calls for so long.
    pub(super) fn note_retry_after(&mut self, time: Option<Duration>) {
        if let Stage::Seeking(seeking) = &mut self.stage {
            seeking.retry_after = time;
        }
    }

    /// A provisional response of the present target.
    pub(super) fn target_rings(&mut self, context: &mut Context<'_>, code: u16, sdp: Option<&str>) {
        if !matches!(self.stage, Stage::Seeking(_)) {
            return;
        }
        let early = sdp.is_some_and(|text| self.connect(context, Some(text)).is_ok());
        if (180..=189).contains(&code) {
            // An offer of ours has to wait for the 200: a provisional response may be lost (RFC 3261 §13.2.1).
            let sdp = if early && self.caller.settings.is_some() { self.caller.sdp.clone() } else { None };
            context.sip(SipCommand::Progress { leg: self.caller.id, code, sdp });
        }
    }

    /// A 2xx of the present target: the caller is answered too.
    pub(super) fn target_answered(&mut self, context: &mut Context<'_>, sdp: Option<&str>) {
        if !matches!(self.stage, Stage::Seeking(_)) {
            return;
        }
        if let Some(far) = &mut self.far {
            far.dialog = Dialog::Answered;
        }
        if let Err(reason) = self.connect(context, sdp) {
            return self.target_failed(context, 488, &reason);
        }
        let (Stage::Seeking(seeking), Some(answer), Some(far)) = (&self.stage, &self.caller.sdp, &mut self.far) else {
            return;
        };
        far.await_keys(context);

        let talking = Talking::new(context.now, &context.terms.settings);
        let (scenario, terms, remembers) = (seeking.scenario.clone(), seeking.terms, seeking.remembers);
        let (answer, target, far) = (answer.clone(), far.name.clone(), far.id);
        self.stage = Stage::Talking(Box::new(talking));
        self.caller.dialog = Dialog::Answered;
        self.caller.await_keys(context);
        let ours_s = context.terms.settings.limits.session_expires_s;
        self.caller.timer = Timer::for_answer(context.now, &terms, ours_s, None);
        let headers = self.caller.timer.as_ref().map(Timer::answer_headers).unwrap_or_default();
        context.sip(SipCommand::Answer { leg: self.caller.id, sdp: answer, headers });
        if remembers && let Some(caller) = history::caller(&self.from) {
            context.out.push(Command::Know { leg: self.caller.id, caller });
        }
        self.tap(context, self.caller.id, true);
        if context.terms.settings.listens_to_far() {
            self.tap(context, far, true);
        }
        let setup_ms = millis(context.now.saturating_sub(self.started));
        let opening = self.opening(context.now, &scenario);
        let groups = routing::groups(&context.terms.policies, &opening);
        self.notice(context, What::CallAnswered { target, setup_ms, uncalled: false, groups });
        context.follow(self.key, &opening);
        self.begin_consent(context);
    }

    /// Connects the media of the caller and the present target; `sdp` is the target's answer, if this response had one.
    fn connect(&mut self, context: &mut Context<'_>, sdp: Option<&str>) -> Result<(), String> {
        let (Stage::Seeking(seeking), Some(far)) = (&mut self.stage, &mut self.far) else { return Ok(()) };

        // Forked targets answer more than once: the newest description counts.
        if sdp.is_some() {
            let agreement = far.accept(sdp)?;
            far.agree_first(context, agreement, true);
            self.caller.meet(far);
        }
        let Some(codec) = far.codec() else {
            return Err("answered without a session description".to_owned());
        };

        // The caller gets the codec that the target chose, so that packets are relayed as they are, or the next best.
        let Some(session) = &seeking.session else {
            self.caller.formats = codecs::preferring(&self.caller.formats, codec);
            self.caller.sdp = Some(self.caller.offer().write(&self.caller.local).into());
            return Ok(());
        };
        if self.caller.settings.is_none() {
            let best = codecs::answers_for(&self.caller.formats, &self.caller.audio.codecs, codec);
            let best = best.get(..1).unwrap_or_default();
            let (text, agreement) = self
                .caller
                .answer(session, &self.caller.local, best, far.comfort_noise)
                .map_err(|error| error.to_string())?;
            self.caller.sdp = Some(text.into());
            self.caller.agree(context, agreement, false);
        }
        if !seeking.bridged {
            seeking.bridged = true;
            context.media(media::Command::Bridge { a: self.caller.id, b: far.id });
        }
        Ok(())
    }

    /// The caller, who had made no offer, has answered ours with the ACK (RFC 3261 §13.2.1).
    pub(super) fn caller_chose(&mut self, context: &mut Context<'_>, sdp: Option<&str>) {
        let offer = self.caller.offer();
        let session =
            sdp.ok_or_else(|| "nothing".to_owned()).and_then(|text| sdp::parse(text).map_err(|e| e.to_string()));
        let agreed = session.and_then(|session| offer.accept(&session).map_err(|error| error.to_string()));
        match agreed {
            Ok(agreement) => {
                self.caller.agree_first(context, agreement, false);
                if let Some(far) = &mut self.far {
                    self.caller.meet(far);
                    context.media(media::Command::Bridge { a: self.caller.id, b: far.id });
                }
                self.streams_changed(context.now);
            }
            Err(error) => self.finish(context, &format!("the ACK brought no answer to our offer: {error}")),
        }
    }
}

/// The status the caller gets for a target's last failure.
///
/// What is about the caller's request or the callee's wish goes through; what is between us and the target
/// becomes 5xx or 480, since the caller can do nothing about it (RFC 3261 §16.7 gives the same to proxies).
fn code_for_caller(code: u16) -> u16 {
    match code {
        486 | 600 => 486,
        603 => 603,
        404 | 410 | 484 | 604 => 404,
        408 | 480 | 487 => 480,
        415 | 488 | 606 => 488,
        403 => 403,
        503 => 503,
        504 => 504,
        300..=399 => 480,
        500..=699 => 500,
        _ => 502,
    }
}

/// A From value without its header parameters, which name the caller's dialog.
fn without_tag(from: &str) -> &str {
    let from = from.trim();
    match from.rfind('>') {
        Some(end) => &from[..=end],
        None => from.split(';').next().unwrap_or(from).trim_end(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_as_the_caller_sees_them() {
        for (target, caller) in [
            (486, 486),
            (600, 486),
            (603, 603),
            (404, 404),
            (604, 404),
            (408, 480),
            (480, 480),
            (487, 480),
            (488, 488),
            (606, 488),
            (401, 502),
            (407, 502),
            (302, 480),
            (500, 500),
            (503, 503),
            (504, 504),
            (699, 500),
        ] {
            assert_eq!(code_for_caller(target), caller, "{target}");
        }
    }

    #[test]
    fn from_loses_its_tag() {
        for (value, expected) in [
            ("\"Li\" <sip:li@a>;tag=1", "\"Li\" <sip:li@a>"),
            ("sip:li@a;tag=1", "sip:li@a"),
            ("<sip:li@a;user=phone>", "<sip:li@a;user=phone>"),
            ("", ""),
        ] {
            assert_eq!(without_tag(value), expected, "{value}");
        }
    }
}
