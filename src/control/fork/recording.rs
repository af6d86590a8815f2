//! The recording server's side of SIPREC (RFC 7866): a recording client's INVITE becomes a call whose parties are the
//! streams that it sends, and whose names are in its metadata (RFC 7865).
//!
//! Metadata that cannot be read costs the names, not the call: the streams' order tells the sides then.

use std::collections::BTreeMap;

use forks::siprec::{self, How, Metadata, Seat, Seats};
use media::sdp::{self, Line, LineAnswer, Local, SdpError, Session};
use media::{Direction, LegId, StreamSettings};
use routing::CallKey;

use super::super::call::{Call, Stage};
use super::super::codecs;
use super::super::context::{Context, Shared};
use super::super::doubt::Doubt;
use super::super::leg::{Dialog, Farewell, Leg, quotable};
use super::super::refer::Referrer;
use super::super::setup::{Refusal, check, not_acceptable};
use super::super::timer::{self, Timer};
use super::super::{
    ControlSettings, Description, Header, Invite, OfferMethod, Presence, ReplyId, SessionTerms, SipCommand, SipEvent,
    pass,
};
use super::{Begun, Fork, Link, Routed, Source, abandon, open_party, party};
use crate::notice::{ForkedParty, What};
use crate::settings::{AudioTerms, RequestView};

/// A recording session.
#[derive(Debug)]
pub(in super::super) struct Recording {
    pub(super) leg: LegId,
    pub(super) dialog: Dialog,
    /// Its session timer: the client refreshes, we never do.
    pub(super) timer: Option<Timer>,
    /// Whether the client is there, as far as it has been asked.
    pub(super) doubt: Doubt,
    metadata: siprec::Recording,
    /// Why the newest metadata could not be read.
    fault: Option<String>,
    how: How,
    /// The media lines as they were offered last, and whose they are.
    lines: Vec<Place>,
    /// `o=` version of our descriptions.
    version: u64,
    /// Our newest description.
    sdp: Description,
}

/// One media line.
#[derive(Debug, Clone)]
struct Place {
    label: String,
    is_audio: bool,
    leg: Option<LegId>,
}

/// What an admitted INVITE of a recording client will become.
#[derive(Debug)]
pub(in super::super) struct Admitted {
    route: Routed,
    audio: AudioTerms,
    /// The headers that may be shown to others.
    passed: Vec<Header>,
    session: Session,
    metadata: siprec::Recording,
    fault: Option<String>,
    seats: Seats,
    from: String,
    to: String,
}

impl Admitted {
    /// How the client names the recorded call.
    pub(in super::super) fn pbx_call(&self) -> Option<String> {
        let session = self.metadata.sessions().first()?;
        session.sip_ids.first().cloned().or_else(|| Some(session.id.clone()))
    }
}

/// Judges an INVITE of a recording client by itself: is there a route, and a stream that we can listen to?
///
/// # Errors
/// What it is refused with.
pub(in super::super) fn admit(shared: &Shared, invite: &Invite) -> Result<Admitted, Refusal> {
    check(invite)?;
    let text = invite.sdp.as_ref().ok_or_else(|| not_acceptable("a recording session without an offer"))?;
    let session = sdp::parse(text).map_err(|error| not_acceptable(&error.to_string()))?;
    let mut metadata = siprec::Recording::default();
    let fault = invite.metadata.as_ref().and_then(|text| take(&mut metadata, text));
    let lines = session.lines();
    let seats = seats(&shared.terms.settings, &metadata, lines.iter().map(|line| (line.label.as_str(), line.is_audio)));
    let address = |place: Option<usize>, otherwise: &str| {
        let of = |place: usize| audio_place(lines.iter().map(|line| line.is_audio), place);
        let participant = place.and_then(|place| speaker(&metadata, &lines[place].label, of(place)));
        let name = participant.and_then(|participant| participant.names.first());
        name.map_or_else(|| otherwise.to_owned(), |name| name.address.clone())
    };
    let (from, to) = (address(seats.caller, &invite.from), address(seats.callee, &invite.to));

    let headers: Vec<(&str, &str)> = invite.headers.iter().map(|each| (&*each.name, &*each.value)).collect();
    let view = RequestView { request_uri: &invite.request_uri, to: &to, from: &from, headers: &headers };
    let route = shared.terms.settings.routes.find_forked(&view);
    let route = route.ok_or_else(|| Refusal::new(404, "no route takes this recording session"))?;
    let certified = shared.terms.settings.fingerprint.is_some();
    let usable = |line: &Line| {
        let formats = line.session().formats(route.audio.protection, certified)?;
        Ok::<bool, SdpError>(!codecs::usable(&formats, &route.audio.codecs).codecs.is_empty())
    };
    let seated = [seats.caller, seats.callee].into_iter().flatten();
    let judged: Vec<Result<bool, SdpError>> = seated.map(|place| usable(&lines[place])).collect();
    if !judged.iter().any(|usable| matches!(usable, Ok(true))) {
        let why = judged.into_iter().find_map(Result::err).map(|error| error.to_string());
        return Err(not_acceptable(why.as_deref().unwrap_or("no audio stream in a codec that we speak")));
    }
    let passed = pass::kept(&invite.headers, &route.headers);
    let (route, audio) = (Routed::by(&shared.terms.settings, route), route.audio.clone());
    Ok(Admitted { route, audio, passed, session, metadata, fault, seats, from, to })
}

/// The timer that a client's request asks for, when the client refreshes it; else OPTIONS tell whether it is there.
fn client_timer(context: &Context<'_>, terms: &SessionTerms, before: Option<Timer>) -> Option<Timer> {
    Timer::for_answer(context.now, terms, None, before).filter(|timer| !timer.is_ours())
}

/// Takes up a document; why it cannot be read, when that is so.
fn take(known: &mut siprec::Recording, text: &str) -> Option<String> {
    match Metadata::parse(text) {
        Ok(metadata) => {
            known.apply(metadata);
            None
        }
        Err(error) => Some(error.to_string()),
    }
}

/// Which media lines carry which side.
fn seats<'a>(
    settings: &ControlSettings,
    metadata: &siprec::Recording,
    lines: impl Iterator<Item = (&'a str, bool)>,
) -> Seats {
    let audio: Vec<(usize, &str)> =
        lines.enumerate().filter(|(_, (_, is_audio))| *is_audio).map(|(place, (label, _))| (place, label)).collect();
    let labels: Vec<&str> = audio.iter().map(|(_, label)| *label).collect();
    let is_agent = |address: &str| settings.agents.iter().any(|pattern| pattern.matches(address));
    let seats = siprec::seats(metadata, &labels, is_agent, settings.first_stream);
    let line = |place: Option<usize>| place.and_then(|place| audio.get(place)).map(|(line, _)| *line);
    Seats { caller: line(seats.caller), callee: line(seats.callee), how: seats.how }
}

/// Who speaks in a stream, the first of those who do; where nobody says so, participants and streams are in the same order.
/// A stream that is alone is nobody's in particular when there are several.
fn speaker<'a>(
    metadata: &'a siprec::Recording,
    label: &str,
    (place, streams): (usize, usize),
) -> Option<&'a siprec::Participant> {
    let mut speakers = metadata.speakers(label);
    let (first, is_mixed) = (speakers.next(), speakers.next().is_some());
    let participants = metadata.participants();
    let unsaid =
        || participants.get(place).filter(|_| !metadata.has_speakers() && (streams > 1 || participants.len() == 1));
    first.filter(|_| streams > 1 || !is_mixed).or_else(unsaid)
}

/// Which of the audio lines one is, and how many there are.
fn audio_place(are_audio: impl Iterator<Item = bool>, place: usize) -> (usize, usize) {
    let audio = are_audio.enumerate().filter(|(_, is_audio)| *is_audio);
    audio.fold((0, 0), |(before, all), (at, _)| (before + usize::from(at < place), all + 1))
}

impl Recording {
    /// Ends the session, as far as it has not ended.
    pub(super) fn end(&mut self, context: &mut Context<'_>, reason: &str) {
        if self.dialog == Dialog::Answered {
            let reason = Some(format!("SIP;cause=200;text=\"{}\"", quotable(reason)));
            context.sip(SipCommand::Bye { leg: self.leg, reason });
            self.dialog = Dialog::Ending;
        }
    }

    fn timer_headers(&self) -> Vec<Header> {
        self.timer.as_ref().map(Timer::answer_headers).unwrap_or_default()
    }

    fn local(&self, leg: &Leg) -> Local {
        Local { session_id: u64::from(self.leg.0), version: self.version, ..leg.local }
    }

    /// Who speaks on the stream of a party, as the metadata has it.
    pub(super) fn participant(&self, leg: LegId) -> Option<&siprec::Participant> {
        let (label, of) = self.stream(leg)?;
        speaker(&self.metadata, label, of)
    }

    /// The same, where nobody else speaks there: what is alone and of which nothing is said may be everybody's.
    pub(super) fn sole_speaker(&self, leg: LegId) -> Option<&siprec::Participant> {
        let (label, of) = self.stream(leg)?;
        let (speakers, (_, streams)) = (self.metadata.speakers(label).count(), of);
        let is_mixed = self.metadata.is_mixed(label) == Some(true) || speakers > 1 || (streams == 1 && speakers == 0);
        speaker(&self.metadata, label, of).filter(|_| !is_mixed)
    }

    /// The label of a party's stream, and which of the audio lines it is.
    fn stream(&self, leg: LegId) -> Option<(&str, (usize, usize))> {
        let place = self.lines.iter().position(|line| line.leg == Some(leg))?;
        Some((&self.lines[place].label, audio_place(self.lines.iter().map(|line| line.is_audio), place)))
    }

    /// What is told of the session: who takes part, and whatever else its client has said.
    fn as_notice(&self, pbx_call: Option<&String>, caller: LegId, far: Option<LegId>) -> What {
        let (caller, callee) = (self.participant(caller), far.and_then(|far| self.participant(far)));
        let seated = [("caller", caller), ("callee", callee)];
        let mut parties: Vec<ForkedParty> =
            seated.into_iter().filter_map(|(side, participant)| party(side, participant)).collect();
        let known: Vec<&String> = [caller, callee].into_iter().flatten().map(|each| &each.id).collect();
        let others = self.metadata.participants().iter().filter(|each| !known.contains(&&each.id));
        parties.extend(others.filter_map(|each| party("other", Some(each))));
        let mut details: BTreeMap<String, String> = self.metadata.extensions().iter().cloned().collect();
        let session = self.metadata.sessions().first();
        let said = |name: &str, value: Option<&String>| value.map(|value| (name.to_owned(), value.clone()));
        details.extend(session.and_then(|session| said("session_id", Some(&session.id))));
        details.extend(session.and_then(|session| said("session_started", session.started.as_ref())));
        details.extend(session.and_then(|session| said("session_stopped", session.stopped.as_ref())));
        details.extend(said("metadata_fault", self.fault.as_ref()));
        What::CallForked {
            source: Source::Siprec.name().to_owned(),
            again: false,
            pbx_call: pbx_call.cloned(),
            told_by: Some(self.how.name().to_owned()),
            parties,
            details: details.into(),
        }
    }
}

impl Call {
    /// Begins the call of a recording session; `Err` when there is no port.
    pub(in super::super) fn start_recording(
        context: &mut Context<'_>,
        (key, id): (CallKey, String),
        leg: LegId,
        invite: &Invite,
        admitted: Admitted,
    ) -> Result<Call, Refusal> {
        let pbx_call = admitted.pbx_call();
        let Admitted { route, audio, passed, session, metadata, fault, seats, from, to } = admitted;
        let Routed { name: route, scenario, remembers } = route;
        let lines = session.lines();
        let (caller, far) = open_parties(context, key, &lines, seats, &audio)?;
        let mut recording = Recording {
            leg,
            dialog: Dialog::Answered,
            timer: client_timer(context, &invite.session, None),
            doubt: Doubt::None,
            metadata,
            fault,
            how: seats.how,
            lines: places(&lines),
            version: 1,
            sdp: Description::default(),
        };
        for (place, leg) in [(seats.caller, Some(caller.id)), (seats.callee, far.as_ref().map(|far| far.id))] {
            if let Some(place) = place {
                recording.lines[place].leg = leg;
            }
        }
        context.shared.owners.insert(leg, key);
        let fork = Fork::new(Source::Siprec, pbx_call, Link::Recording(Box::new(recording)), remembers);
        let mut call = Call::forked(
            context,
            Begun { key, id, from, to, route, scenario: scenario.clone(), passed, fork, caller, far },
        );
        call.begin_recording(context, leg, &session);
        context.follow(call.key, &call.opening(context.now, &scenario));
        Ok(call)
    }

    /// Answers the client's first offer.
    fn begin_recording(&mut self, context: &mut Context<'_>, leg: LegId, session: &Session) {
        if let Err(error) = self.take_offer(context, session) {
            // It was judged before: only a description that is odd in a way of its own comes here.
            return self.refuse_recording(context, &error);
        }
        if let Some((sdp, headers)) =
            self.recording().map(|recording| (recording.sdp.clone(), recording.timer_headers()))
        {
            context.sip(SipCommand::Answer { leg, sdp, headers });
        }
        self.tap_parties(context);
        self.join_parties(context);
        self.tell_recording(context);
    }

    /// Nothing is sent to either party, but whoever supervises one of them hears both.
    fn join_parties(&self, context: &mut Context<'_>) {
        if let Some(far) = &self.far {
            context.media(media::Command::Bridge { a: self.caller.id, b: far.id });
        }
    }

    fn refuse_recording(&mut self, context: &mut Context<'_>, reason: &str) {
        if let Some(recording) = self.recording_mut() {
            let leg = recording.leg;
            recording.dialog = Dialog::Ending;
            context.sip(SipCommand::Reject { leg, code: 488, reason: reason.to_owned(), headers: Vec::new() });
        }
        self.finish(context, reason);
    }

    /// Something on the recording session's own leg.
    pub(in super::super) fn recording_event(&mut self, context: &mut Context<'_>, event: SipEvent) {
        match event {
            SipEvent::Confirmed { .. } => self.fork_confirmed(),
            SipEvent::Cancelled { .. } => self.recording_over(context, "cancelled by the recording client"),
            SipEvent::Ended { reason, .. } | SipEvent::Failed { reason, .. } => self.recording_over(context, &reason),
            SipEvent::Offer { reply, method, sdp, session, metadata, .. } => {
                self.recording_offered(context, (reply, method, session), sdp.as_deref(), metadata.as_deref());
            }
            SipEvent::Referred { leg, .. } => {
                Referrer::in_vain(leg).tell(context, 603, "a recording session moves nobody");
            }
            SipEvent::Probed { found, .. } => self.recording_probed(context, found),
            SipEvent::Incoming { .. }
            | SipEvent::Progress { .. }
            | SipEvent::Answered { .. }
            | SipEvent::Reinvited { .. }
            | SipEvent::Key { .. }
            | SipEvent::Acknowledged { .. }
            | SipEvent::Updated { .. }
            | SipEvent::Informed { .. }
            | SipEvent::ReferProgress { .. } => {}
        }
    }

    /// What came of asking the client whether it still knows the session.
    fn recording_probed(&mut self, context: &mut Context<'_>, found: Presence) {
        let is_heard = std::iter::once(&self.caller).chain(&self.far).any(Leg::is_heard);
        let Some(recording) = self.recording_mut() else { return };
        if recording.doubt.judge(context.now, found, is_heard) {
            self.finish(context, "the recording client no longer knows the session");
        }
    }

    fn recording_over(&mut self, context: &mut Context<'_>, reason: &str) {
        if let Some(recording) = self.recording_mut() {
            recording.dialog = Dialog::Over;
            self.caller_gone(context, reason);
        }
    }

    /// A re-INVITE or UPDATE: a refresh, new or other streams, pause and resume, or news of who takes part.
    fn recording_offered(
        &mut self,
        context: &mut Context<'_>,
        (reply, method, session): (ReplyId, OfferMethod, SessionTerms),
        sdp: Option<&str>,
        metadata: Option<&str>,
    ) {
        let was_alone = self.far.is_none();
        let Some(recording) = self.recording_mut() else { return };
        let leg = recording.leg;
        let refuse = |context: &mut Context<'_>, code, headers: Vec<Header>| {
            context.sip(SipCommand::Reply { leg, reply, code, sdp: None, headers });
        };
        if recording.dialog != Dialog::Answered {
            return refuse(context, 481, Vec::new());
        }
        if let Some(headers) = timer::too_short(&session) {
            return refuse(context, 422, headers);
        }
        if let Some(text) = metadata {
            recording.fault = take(&mut recording.metadata, text);
        }
        let answer = match (sdp, method) {
            (None, OfferMethod::Update) => None,
            // Our offer says again what is agreed; the answer comes with the ACK and cannot change much.
            (None, OfferMethod::Invite) => Some(recording.sdp.clone()),
            (Some(text), _) => {
                let taken = sdp::parse(text).map_err(|error| error.to_string());
                if let Err(error) = taken.and_then(|session| self.take_offer(context, &session)) {
                    let Refusal { code, headers, .. } = not_acceptable(&error);
                    return refuse(context, code, headers);
                }
                self.recording_mut().map(|recording| recording.sdp.clone())
            }
        };
        let headers = self.recording_mut().map(|recording| {
            recording.timer = client_timer(context, &session, recording.timer);
            recording.timer_headers()
        });
        context.sip(SipCommand::Reply { leg, reply, code: 200, sdp: answer, headers: headers.unwrap_or_default() });
        self.streams_changed(context.now);
        self.reseat(context);
        self.tap_parties(context);
        if was_alone {
            self.join_parties(context);
        }
        self.tell_pause(context);
        self.tell_recording(context);
    }

    /// Answers every media line by itself and applies what was agreed; nothing changes when none can be taken.
    fn take_offer(&mut self, context: &mut Context<'_>, session: &Session) -> Result<(), String> {
        let lines = session.lines();
        let Some(before) = self.recording_mut().map(|recording| recording.lines.clone()) else { return Ok(()) };
        let mut after = places(&lines);
        for (place, now) in after.iter_mut().enumerate().filter(|(_, place)| place.is_audio) {
            now.leg = before.get(place).and_then(|before| before.leg);
        }
        self.seat_new_lines(context, &lines, &mut after);

        let (mut answers, mut agreed) = (Vec::<LineAnswer>::new(), Vec::new());
        for (line, place) in lines.iter().zip(&mut after) {
            let answered = place.leg.and_then(|leg| self.answer_line(context, line, leg));
            match answered {
                Some((answer, agreement)) => {
                    answers.push(answer);
                    agreed.extend(place.leg.map(|leg| (leg, agreement)));
                }
                None => {
                    place.leg = None;
                    answers.push(line.decline());
                }
            }
        }
        // All lines switched off is a pause like any other.
        let all_off = !lines.iter().any(|line| line.is_audio);
        let earlier = self.recording().map(|recording| recording.sdp.clone()).filter(|sdp| all_off && !sdp.is_empty());
        let text = sdp::join(&answers, earlier.as_deref()).ok_or("no audio stream in a codec that we speak")?;
        let lost: Vec<LegId> = before.iter().filter_map(|place| place.leg).collect();
        let lost = lost.into_iter().filter(|leg| !agreed.iter().any(|(kept, _)| kept == leg));
        lost.collect::<Vec<_>>().into_iter().for_each(|leg| self.switch_off(context, leg));
        for (leg, agreement) in agreed {
            if let Some(leg) = self.leg_mut(leg) {
                leg.agree(context, agreement, false);
            }
        }
        if let Some(recording) = self.recording_mut() {
            recording.sdp = text.into();
            recording.version += 1;
            recording.lines = after;
        }
        Ok(())
    }

    /// Our answer to a line that belongs to a party, and what it agrees.
    fn answer_line(&mut self, context: &Context<'_>, line: &Line, leg: LegId) -> Option<(LineAnswer, sdp::Agreement)> {
        let leg_now = std::iter::once(&self.caller).chain(&self.far).find(|each| each.id == leg)?;
        let local = self.recording()?.local(leg_now);
        let formats = offered(&context.terms.settings, line, &leg_now.audio);
        let codec = codecs::answer_again(&formats, leg_now.codec(), None)?;
        let answered = line.answer(&leg_now.terms(&[codec], false), &local).ok()?;
        self.leg_mut(leg)?.formats = codecs::preferring(&formats, codec);
        Some(answered)
    }

    /// Lines that nobody has yet become those of the sides that have none; who is who is settled afterwards.
    fn seat_new_lines(&mut self, context: &mut Context<'_>, lines: &[Line], places: &mut [Place]) {
        let Some(recording) = self.recording() else { return };
        let each = lines.iter().map(|line| (line.label.as_str(), line.is_audio));
        let Seats { caller, callee, .. } = seats(&context.terms.settings, &recording.metadata, each);
        let sides = [(caller, [Seat::Caller, Seat::Callee]), (callee, [Seat::Callee, Seat::Caller])];
        for (place, wanted) in sides {
            let Some(place) = place.filter(|place| places[*place].leg.is_none()) else { continue };
            for seat in wanted {
                let leg = match seat {
                    Seat::Caller => Some(self.caller.id),
                    Seat::Callee => self.far_for(context, &lines[place]),
                };
                if leg.is_some() && !places.iter().any(|place| place.leg == leg) {
                    places[place].leg = leg;
                    break;
                }
            }
        }
    }

    /// The far side, opened for a line when there is none.
    fn far_for(&mut self, context: &mut Context<'_>, line: &Line) -> Option<LegId> {
        if self.far.is_none() {
            let audio = self.caller.audio.clone();
            let formats = offered(&context.terms.settings, line, &audio);
            self.far = open_party(context, self.key, "callee", audio, formats, None).ok();
        }
        self.far.as_ref().map(|far| far.id)
    }

    /// The line of a party is switched off.
    fn switch_off(&mut self, context: &mut Context<'_>, leg: LegId) {
        let Some(leg) = self.leg_mut(leg) else { return };
        if let Some(settings) = leg.settings.clone() {
            leg.configure(context, StreamSettings { direction: Direction::Inactive, ..settings });
        }
    }

    /// Who is who, once the metadata tells it better than the streams' order did.
    fn reseat(&mut self, context: &mut Context<'_>) {
        let (Some(recording), Some(far)) = (self.recording(), &self.far) else { return };
        let each = recording.lines.iter().map(|line| (line.label.as_str(), line.is_audio));
        let Seats { caller, callee, how } = seats(&context.terms.settings, &recording.metadata, each);
        let leg_at = |place: Option<usize>| place.and_then(|place| recording.lines[place].leg);
        let crossed = leg_at(caller) == Some(far.id) && leg_at(callee) == Some(self.caller.id);
        let better = recording.how == How::Order && how != How::Order;
        if let Some(recording) = self.recording_mut().filter(|_| better) {
            recording.how = how;
        }
        if better && crossed {
            self.turn_sides(context);
        }
    }

    /// Caller and callee were taken for one another: whoever hears the caller's leg is moved on, or has to come anew.
    fn turn_sides(&mut self, context: &mut Context<'_>) {
        self.end_copy(context);
        if let Some(far) = &mut self.far {
            std::mem::swap(&mut self.caller, far);
            std::mem::swap(&mut self.caller.name, &mut far.name);
            std::mem::swap(&mut self.caller.party, &mut far.party);
        }
        if let Stage::Talking(talking) = &self.stage {
            talking.supervisors.follow(context, self.caller.id);
        }
        self.keep_secret(context, self.caller.id);
        self.keep_audio_as_agreed(context);
    }

    fn tell_recording(&mut self, context: &mut Context<'_>) {
        let (caller, far) = (self.caller.id, self.far.as_ref().map(|far| far.id));
        let Some(fork) = &self.fork else { return };
        if let Link::Recording(recording) = &fork.link {
            let told = recording.as_notice(fork.pbx_call.as_ref(), caller, far);
            self.tell_fork(context, told);
        }
    }

    fn recording(&self) -> Option<&Recording> {
        match &self.fork.as_ref()?.link {
            Link::Recording(recording) => Some(recording),
            Link::Wire(_) | Link::Chat(_) => None,
        }
    }

    fn recording_mut(&mut self) -> Option<&mut Recording> {
        match &mut self.fork.as_mut()?.link {
            Link::Recording(recording) => Some(recording),
            Link::Wire(_) | Link::Chat(_) => None,
        }
    }

    /// The same recording session has come again, by another dialog: its client had lost this one.
    pub(in super::super) fn superseded(&mut self, context: &mut Context<'_>) {
        if matches!(self.stage, Stage::Talking(_)) {
            self.finish_with(context, Farewell { code: 480, reason: "the recording session was begun anew" });
        }
    }
}

/// The parties' legs. There is a caller in any case, who may be heard later.
fn open_parties(
    context: &mut Context<'_>,
    key: CallKey,
    lines: &[Line],
    seats: Seats,
    audio: &AudioTerms,
) -> Result<(Leg, Option<Leg>), Refusal> {
    let formats = |place: Option<usize>| place.map(|place| offered(&context.terms.settings, &lines[place], audio));
    let (caller_formats, callee_formats) = (formats(seats.caller), formats(seats.callee));
    let caller = open_party(context, key, "caller", audio.clone(), caller_formats.unwrap_or_default(), None)?;
    let Some(callee_formats) = callee_formats else { return Ok((caller, None)) };
    match open_party(context, key, "callee", audio.clone(), callee_formats, None) {
        Ok(far) => Ok((caller, Some(far))),
        Err(refusal) => {
            abandon(context, caller);
            Err(refusal)
        }
    }
}

/// What of a line can be taken.
fn offered(settings: &ControlSettings, line: &Line, audio: &AudioTerms) -> sdp::Formats {
    let formats = line.session().formats(audio.protection, settings.fingerprint.is_some());
    codecs::usable(&formats.unwrap_or_default(), &audio.codecs)
}

fn places(lines: &[Line]) -> Vec<Place> {
    lines.iter().map(|line| Place { label: line.label.clone(), is_audio: line.is_audio, leg: None }).collect()
}
