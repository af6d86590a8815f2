//! Offers of our own inside a dialog (RFC 3261 §14.1): when the two sides of a call speak different codecs and one of
//! them knows the other's, it is asked to speak that one, so that packets pass as they are.
//!
//! Until it has answered, and when it will not, audio is transcoded: nobody is ever without. A side on hold is left
//! alone, and so is one that has refused. The offers that a far end asks us for, those that only refresh a session, and
//! those that lead audio past us (`bypass`) go the same way, so that there is one at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use media::sdp::{self, Formats, Offer};
use media::{Codec, Direction, LegId};

use super::bypass::Receiver;
use super::call::{Call, Stage};
use super::codecs;
use super::context::Context;
use super::leg::{Dialog, Leg, Stream};
use super::timer::Timer;
use super::{Description, ReplyId, SessionTerms, SipCommand};
use crate::notice::What;

/// Our offers inside the dialog of one leg.
#[derive(Debug, Default)]
pub(super) struct Reoffers {
    open: Option<Open>,
    /// None is made before.
    rest_until: Option<Duration>,
    made: u8,
    tries: BTreeMap<Codec, Tries>,
}

/// An offer that waits for its answer.
#[derive(Debug)]
struct Open {
    purpose: Purpose,
    offer: Offer,
    description: Description,
}

/// What an offer is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    /// That the far end speaks this codec.
    Change(Codec),
    /// That the session goes on.
    Refresh,
    /// That the far end sends there instead of to us.
    Lead(Box<Receiver>),
    /// That it sends to us again.
    CallBack,
    /// The far end has asked for it, in this re-INVITE.
    Asked(ReplyId),
}

/// What came of asking for one codec.
#[derive(Debug, Clone, Copy, Default)]
struct Tries {
    made: u8,
    /// It was offered first, beside the codec in use, and the far end stayed with that one.
    passed_over: bool,
}

/// What the far end says to our offer.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    pub(super) code: u16,
    pub(super) sdp: Option<&'a str>,
    pub(super) session: SessionTerms,
}

/// What came of one offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The codec is spoken from now on.
    Accepted,
    /// The answer names another one.
    PassedOver,
    /// It crossed an offer of the far end.
    Crossed,
    /// No answer, or none that counts.
    Failed,
    /// The far end does not want it.
    Refused,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Outcome::Accepted => "accepted",
            Outcome::PassedOver => "passed_over",
            Outcome::Crossed => "crossed",
            Outcome::Failed => "failed",
            Outcome::Refused => "refused",
        }
    }
}

impl Reoffers {
    /// Whether an offer of ours has no answer yet: no other may be made or answered meanwhile.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether no offer may be made for a while.
    fn rests(&self) -> bool {
        self.rest_until.is_some()
    }

    /// Whether the far end is being told to send to somebody else.
    pub(super) fn leads(&self) -> bool {
        self.open.as_ref().is_some_and(|open| matches!(open.purpose, Purpose::Lead(_)))
    }

    /// Whether asking for a codec is still worth anything.
    fn may_ask(&self, codec: Codec) -> bool {
        self.made < OFFERS_MAX && self.tries.get(&codec).is_none_or(|tries| tries.made < TRIES_MAX)
    }

    fn note(&mut self, codec: Codec, outcome: Outcome) {
        let tries = self.tries.entry(codec).or_default();
        match outcome {
            Outcome::Accepted => *tries = Tries::default(),
            Outcome::PassedOver => *tries = Tries { made: tries.made + 1, passed_over: true },
            Outcome::Crossed | Outcome::Failed => tries.made += 1,
            Outcome::Refused => tries.made = TRIES_MAX,
        }
    }
}

impl Call {
    /// Makes the two sides known to each other, and asks one for the other's codec when they differ.
    pub(super) fn match_codecs(&mut self, context: &mut Context<'_>) {
        let (Stage::Talking(talking), Some(far)) = (&self.stage, &mut self.far) else { return };
        self.caller.meet(far);
        let (Some(near_codec), Some(far_codec)) = (self.caller.codec(), far.codec()) else { return };
        if near_codec == far_codec {
            return;
        }
        if self.caller.could_change_to(far_codec) {
            // One INVITE at a time: the caller's own is over with its ACK (RFC 3261 §14.1).
            if talking.watch.is_confirmed() {
                self.caller.ask_for(context, far_codec);
            }
        } else if far.could_change_to(near_codec) {
            far.ask_for(context, near_codec);
        }
    }

    /// The answer to our offer on a leg.
    pub(super) fn reoffer_answered(&mut self, context: &mut Context<'_>, id: LegId, answer: &Answer<'_>) {
        let (by_caller, now) = (id == self.caller.id, context.now);
        let is_over = matches!(self.stage, Stage::Finished(_));
        let Some(leg) = self.leg_mut(id) else { return };
        let Some(open) = leg.reoffers.open.take().filter(|_| !is_over) else { return };
        let purpose = open.purpose.clone();
        let outcome = leg.take_answer(context, open, answer);
        let wait = if outcome == Outcome::Crossed { leg.wait_after_crossing(context) } else { REST };
        // Whoever refuses anything else has not refused to go on.
        if purpose == Purpose::Refresh || answer.code < 300 {
            leg.refresh_answered(now, answer.code, &answer.session, wait);
        }
        let is_taken = matches!(outcome, Outcome::Accepted | Outcome::PassedOver);
        match purpose {
            Purpose::Change(codec) => {
                leg.reoffers.note(codec, outcome);
                leg.reoffers.rest_until = Some(now + wait);
                let party = if by_caller { "caller" } else { "callee" }.to_owned();
                let (codec, outcome) = (codec.name().to_owned(), outcome.as_str().to_owned());
                self.notice(context, What::CodecAsked { party, codec, outcome });
            }
            Purpose::Lead(_) | Purpose::CallBack => {
                leg.reoffers.rest_until = (!is_taken).then_some(now + wait);
                self.lead_answered(context, id, purpose, (answer.code, outcome));
            }
            Purpose::Refresh | Purpose::Asked(_) => {}
        }
        if is_taken {
            self.streams_changed(now);
        }
        self.judge_code(context, id, answer.code);
    }

    /// The answer to the offer that a far end has asked us for, in its ACK.
    pub(super) fn asked_answered(&mut self, context: &mut Context<'_>, id: LegId, reply: ReplyId, sdp: Option<&str>) {
        let is_over = matches!(self.stage, Stage::Finished(_));
        let Some(leg) = self.leg_mut(id).filter(|_| !is_over) else { return };
        let is_asked = |open: &mut Open| open.purpose == Purpose::Asked(reply);
        let Some(open) = leg.reoffers.open.take_if(is_asked) else { return };
        match (sdp, leg.settings.clone()) {
            (Some(_), _) => {
                leg.take_answer(context, open, &Answer { code: 200, sdp, session: SessionTerms::default() });
            }
            // Nothing said: a held stream is taken as resumed, and everything else stays.
            (None, Some(settings)) => {
                leg.configure(context, media::StreamSettings { direction: Direction::SendRecv, ..settings });
            }
            (None, None) => {}
        }
        self.streams_changed(context.now);
    }

    /// Ends rests that are over.
    pub(super) fn reoffer_tick(&mut self, now: Duration) {
        for leg in std::iter::once(&mut self.caller).chain(self.far.as_mut()) {
            leg.reoffers.rest_until.take_if(|until| *until <= now);
        }
    }

    /// When a rest is over.
    pub(super) fn reoffer_deadlines(&self, out: &mut Vec<(Duration, &'static str)>) {
        if let Stage::Talking(_) = &self.stage {
            let legs = std::iter::once(&self.caller).chain(&self.far);
            out.extend(legs.filter_map(|leg| leg.reoffers.rest_until).map(|until| (until, "next offer of a codec")));
        }
    }
}

impl Leg {
    /// Whether the far end knows a codec and may be asked for it.
    fn could_change_to(&self, codec: Codec) -> bool {
        self.known.contains(&codec) && self.formats.payload_type(codec).is_some() && self.reoffers.may_ask(codec)
    }

    /// Whether an offer of ours could be made now.
    pub(super) fn may_offer(&self) -> bool {
        let is_up = self.dialog == Dialog::Answered && self.stream == Stream::Open;
        is_up && self.settings.is_some() && !self.reoffers.is_open()
    }

    /// Offers the far end what is in use already, so that the session goes on.
    pub(super) fn offer_to_refresh(&mut self, context: &mut Context<'_>) {
        let Some(settings) = self.settings.clone() else { return };
        let offer = self.led.as_ref().map_or_else(|| self.offer_in_use(&settings), Receiver::offer);
        self.make_offer(context, Purpose::Refresh, offer);
    }

    /// Tells the far end to send to somebody else; false when that has to wait.
    pub(super) fn lead(&mut self, context: &mut Context<'_>, receiver: Receiver) -> bool {
        let may_be = self.may_offer() && !self.reoffers.rests();
        if may_be {
            let offer = receiver.offer();
            self.make_offer(context, Purpose::Lead(Box::new(receiver)), offer);
        }
        may_be
    }

    /// Tells the far end to send to us again, as soon as that can be.
    pub(super) fn call_back(&mut self, context: &mut Context<'_>) {
        if !self.may_offer() || self.reoffers.rests() {
            return;
        }
        let Some(settings) = self.settings.clone() else { return };
        let in_use = self.offer_in_use(&settings);
        // What the other side could not do was not offered meanwhile.
        let known = self.formats.payload_type(settings.codec).map(|number| Formats {
            codecs: vec![(settings.codec, number)],
            events: self.formats.event(settings.codec).into_iter().collect(),
            comfort_noise: self.comfort_noise,
        });
        let offer = Offer { formats: known.unwrap_or(in_use.formats), ..in_use };
        context.media(media::Command::Renew { leg: self.id });
        self.make_offer(context, Purpose::CallBack, offer);
    }

    /// Our offer for a re-INVITE that brought none: everything that can be spoken, first what is in use (RFC 3261 §14.2).
    pub(super) fn offer_when_asked(&mut self, reply: ReplyId) -> Description {
        let offer = match &self.settings {
            Some(settings) => {
                let formats = codecs::preferring(&self.formats, settings.codec);
                let comfort_noise = self.comfort_noise;
                Offer { formats: Formats { comfort_noise, ..formats }, ..self.offer_in_use(settings) }
            }
            None => self.offer(),
        };
        self.note_offer(Purpose::Asked(reply), offer)
    }

    /// Notes an offer that goes out; what it says.
    fn note_offer(&mut self, purpose: Purpose, offer: Offer) -> Description {
        self.local.version += 1;
        let description = Description::from(offer.write(&self.local));
        self.reoffers.open = Some(Open { purpose, offer, description: description.clone() });
        description
    }

    fn make_offer(&mut self, context: &mut Context<'_>, purpose: Purpose, offer: Offer) {
        let sdp = self.note_offer(purpose, offer);
        let headers = self.timer.as_ref().map(Timer::request_headers).unwrap_or_default();
        context.sip(SipCommand::Reinvite { leg: self.id, sdp, headers });
    }

    /// Offers the far end a codec, with the one in use beside it until it has been passed over.
    fn ask_for(&mut self, context: &mut Context<'_>, wanted: Codec) {
        if !self.may_offer() || self.reoffers.rests() {
            return;
        }
        let Some(settings) = self.settings.clone().filter(|settings| settings.direction == Direction::SendRecv) else {
            return;
        };
        let alone = self.reoffers.tries.get(&wanted).is_some_and(|tries| tries.passed_over);
        let codecs = [Some(wanted), (!alone).then_some(settings.codec)];
        let mut formats = Formats { comfort_noise: self.comfort_noise, ..Formats::default() };
        for codec in codecs.into_iter().flatten() {
            let Some(number) = self.formats.payload_type(codec) else { continue };
            formats.codecs.push((codec, number));
            let event = self.formats.event(codec);
            formats.events.extend(event.filter(|event| !formats.events.contains(event)));
        }
        let offer = Offer { formats, ..self.offer_in_use(&settings) };
        self.reoffers.made += 1;
        self.make_offer(context, Purpose::Change(wanted), offer);
    }

    /// Applies an answer, when it is one.
    fn take_answer(&mut self, context: &mut Context<'_>, open: Open, answer: &Answer<'_>) -> Outcome {
        match answer.code {
            200..=299 => {}
            491 => return Outcome::Crossed,
            408 | 481 | 500..=599 => return Outcome::Failed,
            _ => return Outcome::Refused,
        }
        let agreed = answer.sdp.ok_or(()).and_then(|text| sdp::parse(text).map_err(drop));
        let Ok(agreement) = agreed.and_then(|session| open.offer.accept(&session).map_err(drop)) else {
            return Outcome::Refused;
        };
        let codec = agreement.settings.codec;
        self.sdp = Some(open.description);
        self.agree(context, agreement, false);
        match open.purpose {
            Purpose::Change(wanted) if codec != wanted => Outcome::PassedOver,
            _ => Outcome::Accepted,
        }
    }

    /// How long to wait after two offers have crossed: those who made the Call-ID wait longer (RFC 3261 §14.1).
    fn wait_after_crossing(&self, context: &mut Context<'_>) -> Duration {
        let ticks = if self.is_incoming() { 0..200 } else { 210..400 };
        Duration::from_millis(10 * context.shared.random_in(ticks))
    }
}

/// Offers on one leg at most, whatever comes of them.
const OFFERS_MAX: u8 = 20;
/// How often one codec is asked for in vain.
const TRIES_MAX: u8 = 3;
/// The shortest time between two offers on one leg.
const REST: Duration = Duration::from_secs(1);
