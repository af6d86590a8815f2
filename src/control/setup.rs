//! From the INVITE to the answer: admission, targets in order, early media, failures mapped for the caller.

use std::time::Duration;

use media::LegId;
use media::sdp::{self, Formats, Session, Wishes};
use routing::CallKey;

use super::call::{Call, Stage, Talking, Tally, millis};
use super::codecs;
use super::context::{Context, Shared};
use super::keys::Keys;
use super::leg::{Beginning, Dialog, Farewell, Leg, Partner, header, quotable};
use super::session::{SESSION_EXPIRES_S_MIN, Watch};
use super::{Description, Header, Invite, SipCommand};
use crate::notice::What;
use crate::settings::{AudioTerms, RequestView, Target};

/// A call for which a target is sought.
#[derive(Debug)]
pub(super) struct Seeking {
    /// The caller's offer.
    session: Session,
    session_expires_s: Option<u32>,
    scenario: String,
    /// Names of targets that have not been tried.
    targets: std::vec::IntoIter<String>,
    /// When the present target has rung long enough.
    pub(super) ring_until: Duration,
    /// Whether the caller hears the present target already.
    bridged: bool,
}

/// What an admitted INVITE will become.
#[derive(Debug)]
pub(super) struct Admitted {
    route: String,
    scenario: String,
    targets: Vec<String>,
    session: Session,
    audio: AudioTerms,
    formats: Formats,
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
    let hops_used_up = |each: &Header| each.name.eq_ignore_ascii_case("Max-Forwards") && each.value.trim() == "0";
    if invite.headers.iter().any(hops_used_up) {
        return Err(Refusal::new(483, "Too Many Hops"));
    }
    if let Some(seconds) = invite.session_expires_s.filter(|&seconds| seconds < SESSION_EXPIRES_S_MIN) {
        let headers = vec![header("Min-SE", SESSION_EXPIRES_S_MIN.to_string())];
        return Err(Refusal { headers, ..Refusal::new(422, format!("Session Interval Too Small: {seconds} s")) });
    }

    let headers: Vec<(&str, &str)> = invite.headers.iter().map(|each| (&*each.name, &*each.value)).collect();
    let view = RequestView { request_uri: &invite.request_uri, to: &invite.to, from: &invite.from, headers: &headers };
    let route = shared.settings.routes.find(&view).ok_or_else(|| Refusal::new(404, "Not Found"))?;

    let Some(text) = &invite.sdp else {
        // The caller's answer would come with the ACK, which is not looked into: a limit of this version.
        return Err(not_acceptable("an INVITE without an offer is not supported"));
    };
    let session = sdp::parse(text).map_err(|error| not_acceptable(&error.to_string()))?;
    let certified = shared.settings.fingerprint.is_some();
    let offered =
        session.formats(route.audio.protection, certified).map_err(|error| not_acceptable(&error.to_string()))?;
    let formats = codecs::usable(&offered, &route.audio.codecs);
    if formats.codecs.is_empty() {
        return Err(not_acceptable("no audio stream in a codec that this route speaks"));
    }
    Ok(Admitted {
        route: route.name.clone(),
        scenario: route.scenario.clone(),
        targets: route.targets.clone(),
        audio: route.audio.clone(),
        session,
        formats,
    })
}

fn not_acceptable(why: &str) -> Refusal {
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
        let Admitted { route, scenario, targets, session, audio, formats } = admitted;
        let beginning = Beginning {
            name: "caller",
            audio,
            formats,
            wishes: session.wishes(),
            partner: Partner::default(),
            destination: session.address(),
        };
        let Some(caller) = Leg::open(context, key, Some(leg), beginning) else {
            return Err(Refusal::new(503, "No media port is free"));
        };
        let seeking = Seeking {
            session,
            session_expires_s: invite.session_expires_s,
            scenario: scenario.clone(),
            targets: targets.into_iter(),
            ring_until: context.now,
            bridged: false,
        };
        let mut call = Call {
            key,
            id,
            started: context.now,
            from: without_tag(&invite.from).to_owned(),
            passed: passed_on(&invite.headers),
            caller,
            far: None,
            leaving: Vec::new(),
            stage: Stage::Seeking(Box::new(seeking)),
            tally: Tally { packets_lost: 0, peak_anger: 0.0, peak_level: nlu::Level::Low },
            wake: None,
        };
        let (from, to) = (invite.from.clone(), invite.to.clone());
        call.notice(context, What::CallStarted { from, to, route, scenario });
        call.try_next(context, &Refusal::new(480, "no target"));
        Ok(call)
    }

    /// Calls the next target; when there is none, the caller gets the last failure.
    fn try_next(&mut self, context: &mut Context<'_>, failure: &Refusal) {
        loop {
            let Stage::Seeking(seeking) = &mut self.stage else { return };
            let Some(name) = seeking.targets.next() else {
                let code = code_for_caller(failure.code);
                return self.finish_with(context, Farewell { code, reason: &failure.reason });
            };
            let Some(target) = context.shared.settings.targets.get(&name) else { continue };
            let target = target.clone();

            let Some(leg) = self.invite(context, &name, target, Vec::new()) else {
                return self.finish_with(context, Farewell { code: 503, reason: "No media port is free" });
            };
            let ring = context.shared.settings.limits.ring;
            if let Stage::Seeking(seeking) = &mut self.stage {
                seeking.ring_until = context.now + ring;
                seeking.bridged = false;
            }
            self.far = Some(leg);
            return;
        }
    }

    /// Calls a target with an offer of what suits the caller best; `None` when no port is free.
    pub(super) fn invite(
        &self,
        context: &mut Context<'_>,
        name: &str,
        target: Target,
        extra: Vec<Header>,
    ) -> Option<Leg> {
        let destination = target.address();
        let Target { uri, proxy, audio } = target;
        let wanted = if audio.codecs.is_empty() { &self.caller.audio.codecs } else { &audio.codecs };
        let formats = codecs::offer_for(&self.caller.formats, wanted);
        // What the caller speaks already comes first, unless this target has an order of its own.
        let formats = match &self.caller.settings {
            Some(settings) if audio.codecs.is_empty() => codecs::preferring(&formats, settings.codec),
            Some(_) | None => formats,
        };
        let partner = self.caller.as_partner();
        let wishes = Wishes::default();
        let beginning = Beginning { name, audio, formats, wishes, partner, destination };
        let mut leg = Leg::open(context, self.key, None, beginning)?;
        let sdp = Description::from(leg.offer().write(&leg.local));
        leg.sdp = Some(sdp.clone());
        let mut headers = vec![header("X-Calmline-Call", self.id.clone())];
        headers.extend(extra);
        headers.extend(self.passed.iter().cloned());
        context.sip(SipCommand::Invite { leg: leg.id, uri, proxy, from: self.from.clone(), headers, sdp });
        Some(leg)
    }

    /// The present target will not take the call.
    pub(super) fn target_failed(&mut self, context: &mut Context<'_>, code: u16, reason: &str) {
        if let Some(leg) = self.far.take() {
            self.dismiss(context, leg, Farewell { code, reason });
        }
        self.try_next(context, &Refusal::new(code, reason));
    }

    /// A provisional response of the present target.
    pub(super) fn target_rings(&mut self, context: &mut Context<'_>, code: u16, sdp: Option<&str>) {
        if !matches!(self.stage, Stage::Seeking(_)) {
            return;
        }
        let early = sdp.is_some_and(|text| self.connect(context, Some(text)).is_ok());
        if (180..=189).contains(&code) {
            let sdp = if early { self.caller.sdp.clone() } else { None };
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

        let talking = Talking {
            answered: context.now,
            watch: Watch::new(context.now, &context.shared.settings, seeking.session_expires_s),
            reroute: None,
            evidence: None,
            lapsed: None,
            playing: std::collections::BTreeMap::new(),
            waiting: None,
            keys: Keys::default(),
        };
        let scenario = seeking.scenario.clone();
        let (answer, target, far) = (answer.clone(), far.name.clone(), far.id);
        self.stage = Stage::Talking(Box::new(talking));
        self.caller.dialog = Dialog::Answered;
        self.caller.await_keys(context);
        let headers = self.expiry_headers();
        context.sip(SipCommand::Answer { leg: self.caller.id, sdp: answer, headers });
        context.media(media::Command::Tap { leg: self.caller.id, on: true });
        if context.shared.settings.listens_to_far() {
            context.media(media::Command::Tap { leg: far, on: true });
        }
        let setup_ms = millis(context.now.saturating_sub(self.started));
        self.notice(context, What::CallAnswered { target, setup_ms });
        self.judge(context, &routing::Event::Started { scenario });
    }

    /// Connects the media of the caller and the present target; `sdp` is the target's answer, if this response had one.
    fn connect(&mut self, context: &mut Context<'_>, sdp: Option<&str>) -> Result<(), String> {
        let (Stage::Seeking(seeking), Some(far)) = (&mut self.stage, &mut self.far) else { return Ok(()) };

        // Forked targets answer more than once: the newest description counts.
        if let Some(text) = sdp {
            let session = sdp::parse(text).map_err(|error| error.to_string())?;
            let agreement = far.offer().accept(&session).map_err(|error| error.to_string())?;
            far.agree_first(context, agreement, true);
            self.caller.meet(far);
        }
        let Some(codec) = far.codec() else {
            return Err("answered without a session description".to_owned());
        };

        // The caller gets the codec that the target chose, so that packets are relayed as they are, or the next best.
        if self.caller.settings.is_none() {
            let best = codecs::answers_for(&self.caller.formats, &self.caller.audio.codecs, codec);
            let best = best.get(..1).unwrap_or_default();
            let (text, agreement) = self
                .caller
                .answer(&seeking.session, &self.caller.local, best, far.comfort_noise)
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

/// The headers that targets get to see: the caller's own, bounded, and never ours in the caller's name.
fn passed_on(headers: &[Header]) -> Vec<Header> {
    let goes_through = |each: &&Header| {
        let name = each.name.to_ascii_lowercase();
        let wanted = name.starts_with("x-") && !name.starts_with("x-calmline-")
            || matches!(&*name, "user-to-user" | "p-asserted-identity");
        wanted && each.value.len() <= PASSED_BYTES_MAX && !each.value.contains(['\r', '\n', '\0'])
    };
    headers.iter().filter(goes_through).take(PASSED_MAX).cloned().collect()
}

/// The most headers that are passed on.
const PASSED_MAX: usize = 16;
/// The longest value that is passed on, bytes.
const PASSED_BYTES_MAX: usize = 1024;

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

    #[test]
    fn only_harmless_headers_are_passed_on() {
        let names = ["X-Account", "x-calmline-emotion", "User-to-User", "P-Asserted-Identity", "Authorization"];
        let headers: Vec<Header> = names.iter().map(|name| header(name, "1")).collect();
        let passed: Vec<String> = passed_on(&headers).into_iter().map(|each| each.name).collect();
        assert_eq!(passed, ["X-Account", "User-to-User", "P-Asserted-Identity"]);
        assert_eq!(passed_on(&[header("X-A", "1\r\nVia: evil"), header("X-B", "1".repeat(2000))]), []);
        assert_eq!(passed_on(&vec![header("X-A", "1"); 99]).len(), PASSED_MAX);
    }
}
