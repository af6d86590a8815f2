//! Audio that goes past us: both sides of a call are told by re-INVITE to send to each other, and later to us again.
//!
//! Third-party call control inside the dialogs (RFC 3725): the caller is offered where the far end receives, the far end
//! what the caller has answered, until both know the same of each other. Signalling stays with us. What comes to nothing
//! is undone: every leg that was told to send past us is told to come back, and asked again until it does.

use std::net::SocketAddr;
use std::time::Duration;

use media::sdp::{Formats, Offer, Wishes};
use media::srtp::Security;
use media::{ControlPort, Direction, LegId, StreamSettings};

use super::call::{Call, Stage, millis};
use super::context::Context;
use super::leg::{Dialog, Leg, Stream};
use super::order::{Denied, DeniedKind};
use super::reoffer::{Outcome, Purpose};
use crate::notice::What;

/// Which way the audio of a connected call goes.
#[derive(Debug, Default)]
pub(super) enum Path {
    /// Through us.
    #[default]
    Through,
    /// Both sides are being told of each other.
    Leaving { pair: Pair, since: Duration, offers_made: u8, by: BypassBy },
    /// From one side to the other.
    Past { pair: Pair, by: BypassBy },
    /// Whoever was told to send past us is being told to come back.
    Returning { since: Duration, reason: String, was_past: bool, by: BypassBy, refusals: u8 },
}

/// Who has let audio go past us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BypassBy {
    Operator,
    Drain,
    Overload,
}

impl BypassBy {
    fn as_str(self) -> &'static str {
        match self {
            BypassBy::Operator => "operator",
            BypassBy::Drain => "drain",
            BypassBy::Overload => "overload",
        }
    }
}

/// The two legs that are connected with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    caller: LegId,
    far: LegId,
}

/// What one far end is told of the other: where it receives audio, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Receiver {
    at: SocketAddr,
    shares_port: bool,
    formats: Formats,
    wishes: Wishes,
}

impl Path {
    /// Whether all audio goes through us.
    pub(super) fn is_through(&self) -> bool {
        matches!(self, Path::Through)
    }

    /// Whether audio goes from one side to the other, as far as both have been told.
    pub(super) fn is_past(&self) -> bool {
        matches!(self, Path::Past { .. } | Path::Returning { was_past: true, .. })
    }
}

impl Receiver {
    /// What is offered to whoever is to send there.
    pub(super) fn offer(&self) -> Offer {
        let Receiver { at, shares_port, formats, wishes } = self.clone();
        Offer { at: Some(at), shares_port, wishes, ..Offer::plain(formats) }
    }
}

impl Call {
    /// Lets the audio go past us, from one side to the other.
    pub(super) fn begin_bypass(&mut self, context: &Context<'_>, by: BypassBy) -> Result<(), Denied> {
        let conflict = |reason: &str| Denied::new(DeniedKind::Conflict, reason);
        let why_not = self.needs_us();
        let (Stage::Talking(talking), Some(far)) = (&mut self.stage, &self.far) else {
            return Err(Denied::not_connected());
        };
        if !talking.path.is_through() {
            return Err(conflict("its audio goes past us already, or is on its way there or back"));
        }
        if let Some(reason) = why_not {
            return Err(conflict(reason));
        }
        let pair = Pair { caller: self.caller.id, far: far.id };
        talking.path = Path::Leaving { pair, since: context.now, offers_made: 0, by };
        Ok(())
    }

    /// Takes the audio back.
    pub(super) fn end_bypass(&mut self, context: &Context<'_>, reason: &str) -> Result<(), Denied> {
        match &self.stage {
            Stage::Talking(talking) if talking.path.is_through() => {
                Err(Denied::new(DeniedKind::Conflict, "its audio goes through us"))
            }
            Stage::Talking(_) => {
                self.bring_back(context, reason);
                Ok(())
            }
            Stage::Seeking(_) | Stage::Finished(_) => Err(Denied::not_connected()),
        }
    }

    /// What is said to whoever wants to hear the call, or be heard in it, while its audio goes past us.
    pub(super) fn check_audio_here(&self) -> Result<(), Denied> {
        match &self.stage {
            Stage::Talking(talking) if !talking.path.is_through() => {
                Err(Denied::new(DeniedKind::Conflict, "the call's audio goes past us: end the bypass first"))
            }
            _ => Ok(()),
        }
    }

    /// Does the next step towards where the audio is to go. Comes after everything that happened to the call.
    pub(super) fn steer_audio(&mut self, context: &mut Context<'_>) {
        let Stage::Talking(talking) = &self.stage else { return };
        if let Path::Leaving { pair, .. } | Path::Past { pair, .. } = talking.path {
            let are_here = self.caller.id == pair.caller && self.far.as_ref().is_some_and(|far| far.id == pair.far);
            match self.needs_us() {
                None if are_here => return self.lead_next(context, pair),
                None => self.bring_back(context, "the call was moved"),
                Some(reason) => self.bring_back(context, reason),
            }
        }
        self.call_back_next(context);
    }

    /// A far end has said something to an offer that leads its audio elsewhere, or back.
    pub(super) fn lead_answered(&mut self, context: &Context<'_>, id: LegId, purpose: Purpose, said: (u16, Outcome)) {
        let (code, outcome) = said;
        let Some(leg) = self.leg_mut(id) else { return };
        match (purpose, outcome) {
            (_, Outcome::Crossed) => {}
            (Purpose::Lead(receiver), Outcome::Accepted | Outcome::PassedOver) => leg.led = Some(*receiver),
            (Purpose::Lead(receiver), Outcome::Failed | Outcome::Refused) => {
                // Without an answer, or with one that says nothing, it may send elsewhere all the same.
                if code == 408 || code < 300 {
                    leg.led = Some(*receiver);
                }
                let party = leg.party;
                self.bring_back(context, &format!("the {party} has not agreed: {code}"));
            }
            (_, Outcome::Accepted | Outcome::PassedOver) => leg.led = None,
            // It comes back, and says how in a way that nobody understands: audio goes on as it was agreed before.
            (_, Outcome::Refused) if code < 300 => leg.led = None,
            (_, Outcome::Failed | Outcome::Refused) => self.note_refusal(),
        }
    }

    /// Audio is to go through us again.
    pub(super) fn bring_back(&mut self, context: &Context<'_>, reason: &str) {
        let Stage::Talking(talking) = &mut self.stage else { return };
        let (was_past, by) = match talking.path {
            Path::Through | Path::Returning { .. } => return,
            Path::Leaving { by, .. } => (false, by),
            Path::Past { by, .. } => (true, by),
        };
        talking.path = Path::Returning { since: context.now, reason: reason.to_owned(), was_past, by, refusals: 0 };
    }

    /// Why the audio has to go through us, when it does.
    pub(super) fn needs_us(&self) -> Option<&'static str> {
        let (Stage::Talking(talking), Some(far)) = (&self.stage, &self.far) else {
            return Some("the call is not connected");
        };
        let is_moved = talking.is_being_moved();
        let plays = !talking.playing.is_empty() || talking.waiting.is_some();
        [
            (self.fork.is_some(), "the call is forked to us: its audio goes past us as it is"),
            (!talking.watch.is_confirmed(), "the caller has not confirmed the answer yet"),
            (is_moved, "the caller is being moved"),
            (plays, "something plays to one of the sides"),
            (talking.supervisors.legs().next().is_some(), "a supervisor takes part"),
            (!talking.audio.is_empty(), "somebody has a live copy of the audio"),
            (talking.keeps_audio, "the audio is kept"),
            (talking.keys.is_secure(), "the caller types in secret"),
        ]
        .into_iter()
        .find_map(|(applies, reason)| applies.then_some(reason))
        .or_else(|| self.cannot_part(far))
    }

    /// Whether the two sides could talk to each other without us.
    pub(super) fn could_part(&self) -> bool {
        self.far.as_ref().is_some_and(|far| self.cannot_part(far).is_none())
    }

    /// Why they could not.
    fn cannot_part(&self, far: &Leg) -> Option<&'static str> {
        let differ = self.caller.codec() != far.codec();
        let codecs = differ.then_some("the two sides speak different codecs");
        codecs.or_else(|| self.caller.needs_us()).or_else(|| far.needs_us())
    }

    /// Tells one side of the other, when there is something new to tell; once there is not, audio goes past us.
    fn lead_next(&mut self, context: &mut Context<'_>, pair: Pair) {
        let (now, next) = (context.now, self.next_to_tell());
        let Stage::Talking(talking) = &mut self.stage else { return };
        let (since, offers_made, by) = match (&talking.path, &next) {
            (Path::Leaving { since, offers_made, by, .. }, Some(_)) => (*since, *offers_made, *by),
            (Path::Leaving { since, by, .. }, None) => {
                let (took_ms, by) = (millis(now.saturating_sub(*since)), *by);
                talking.path = Path::Past { pair, by };
                self.notice(context, What::Bypassed { took_ms, by: by.as_str().to_owned() });
                return self.judge(context, &routing::Event::Listened { on: false });
            }
            // One of them has moved since.
            (Path::Past { by, .. }, Some(_)) => (now, 0, *by),
            _ => return,
        };
        let Some((leg, receiver)) = next else { return };
        if offers_made >= OFFERS_MAX {
            self.bring_back(context, "the two sides do not agree on where audio goes");
            return self.call_back_next(context);
        }
        let is_made = self.leg_mut(leg).is_some_and(|leg| leg.lead(context, receiver));
        if let Stage::Talking(talking) = &mut self.stage {
            talking.path = Path::Leaving { pair, since, offers_made: offers_made + u8::from(is_made), by };
        }
    }

    /// Who does not know yet where the other side receives.
    pub(super) fn next_to_tell(&self) -> Option<(LegId, Receiver)> {
        let far = self.far.as_ref()?;
        let pairs = [(&self.caller, far.receiver()?), (far, self.caller.receiver()?)];
        pairs.into_iter().find(|(leg, told)| leg.led.as_ref() != Some(told)).map(|(leg, told)| (leg.id, told))
    }

    /// Tells whoever sends past us to come back; once nobody does, audio goes through us.
    fn call_back_next(&mut self, context: &mut Context<'_>) {
        let Stage::Talking(talking) = &mut self.stage else { return };
        let Path::Returning { since, reason, was_past, by, refusals } = &mut talking.path else { return };
        let mut are_back = true;
        for leg in std::iter::once(&mut self.caller).chain(self.far.as_mut()) {
            if *refusals >= REFUSALS_MAX {
                leg.led = None;
            }
            are_back &= leg.led.is_none() && !leg.reoffers.leads();
            if leg.led.is_some() {
                leg.call_back(context);
            }
        }
        if !are_back {
            return;
        }
        let (reason, took_ms) = (std::mem::take(reason), millis(context.now.saturating_sub(*since)));
        let by = by.as_str().to_owned();
        let what = match was_past {
            true => What::BypassEnded { reason, took_ms, by },
            false => What::BypassFailed { reason, by },
        };
        talking.path = Path::Through;
        talking.watch.streams_changed(context.now);
        let was_past = matches!(what, What::BypassEnded { .. });
        self.notice(context, what);
        if was_past && context.terms.settings.parties.is_some() {
            self.judge(context, &routing::Event::Listened { on: true });
        }
    }

    fn note_refusal(&mut self) {
        if let Stage::Talking(talking) = &mut self.stage
            && let Path::Returning { refusals, .. } = &mut talking.path
        {
            *refusals += 1;
        }
    }
}

impl Leg {
    /// Why this leg's audio has to go through us, when it does.
    fn needs_us(&self) -> Option<&'static str> {
        let Some(settings) = self.settings.as_ref().filter(|_| self.dialog == Dialog::Answered) else {
            return Some("one of the sides is not connected");
        };
        let comes_from_elsewhere =
            settings.remote.zip(self.source).is_some_and(|(remote, source)| remote.ip() != source.ip());
        [
            (self.stream != Stream::Open, "the media of one side is closed"),
            (settings.direction != Direction::SendRecv, "one of the sides is on hold"),
            (settings.security != Security::Plain, "the audio of one side is protected by keys of ours"),
            (settings.ice.is_some(), "one of the sides makes connectivity checks with us"),
            (settings.remote.is_none(), "one of the sides has not said where it receives"),
            (matches!(settings.control, ControlPort::At(_)), "one of the sides receives control packets elsewhere"),
            (comes_from_elsewhere, "one of the sides is behind an address translation"),
        ]
        .into_iter()
        .find_map(|(applies, reason)| applies.then_some(reason))
    }

    /// What the other side is told of this one.
    fn receiver(&self) -> Option<Receiver> {
        let settings = self.settings.as_ref()?;
        let event = settings.event_payload_type.map(|number| (settings.event_clock_hz, number));
        Some(Receiver {
            at: settings.remote?,
            shares_port: settings.control == ControlPort::Shared,
            formats: Formats {
                codecs: vec![(settings.codec, settings.payload_type)],
                events: event.into_iter().collect(),
                comfort_noise: self.comfort_noise,
            },
            wishes: self.wishes,
        })
    }

    /// Whether a description of the far end says nothing new to one whose audio goes past us: it only refreshes.
    pub(super) fn is_known(&self, session: &media::sdp::Session) -> bool {
        let (Some(receiver), Some(settings)) = (&self.led, &self.settings) else { return false };
        let agreed = receiver.offer().accept(session).map(|agreement| agreement.settings);
        let known = StreamSettings { also_received: Box::default(), ..settings.clone() };
        session.lines().len() == 1 && agreed.is_ok_and(|agreed| agreed == known)
    }
}

/// Offers by which audio is led past us, at most: each side needs one when both keep to what they have said.
const OFFERS_MAX: u8 = 6;
/// How often far ends may refuse to come back before they are left where they are: what they send to each other is heard.
const REFUSALS_MAX: u8 = 5;
