//! Moving the caller by asking somebody else: a PBX by its API, a webhook, or the caller's side by INFO and MESSAGE.
//!
//! What is asked is an order of `pbx`; who carries it out is not known here.

use std::collections::BTreeMap;
use std::time::Duration;

use routing::Route;

use super::call::{Call, Stage};
use super::chat::MOVE_WAIT;
use super::context::Context;
use super::leg::header;
use super::refer::Lapsed;
use super::reroute::Reroute;
use super::{Header, InfoMethod, SipCommand};
use crate::notice::What;
use crate::pbx::{Answer, Deed, Handover, Move, Outcome, Place, Ticket};
use crate::settings::PbxTerms;

/// Somebody has been asked to move the caller.
#[derive(Debug)]
pub(super) struct Asking {
    via: Route,
    target: String,
    decided: Duration,
    until: Duration,
    /// The order; none for INFO and MESSAGE.
    ticket: Option<Ticket>,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Nothing has been said yet.
    Asked,
    /// The caller's leg has ended before anything was said, and why.
    Gone(String),
    /// It was taken on: the caller's leg is going to end.
    Accepted,
    /// It is done, at this time: the caller's leg ends, or is ended.
    Done(Duration),
}

impl Asking {
    pub(super) fn until(&self) -> Duration {
        self.until
    }
}

impl Call {
    /// Asks a PBX or webhook to move the caller.
    pub(super) fn ask(
        &self,
        context: &mut Context<'_>,
        pbx: &str,
        place: Place,
        handover: Handover,
        within: Option<Duration>,
    ) -> Result<Asking, String> {
        let terms = context.terms.settings.pbxes.get(pbx).ok_or_else(|| format!("no PBX named {pbx}"))?;
        let within = within.unwrap_or(terms.within);
        let channel = self.channel_at(pbx, terms)?;
        let target = handover.target.clone();
        let deed = Deed::Move(Box::new(Move { channel, place, handover }));
        let ticket = context.order(self.key, pbx, deed, within);
        let via = Route::Pbx(pbx.to_owned());
        Ok(Asking {
            via,
            target,
            decided: context.now,
            // The connector speaks first: it knows more about the reason.
            until: context.now + within + LATER,
            ticket: Some(ticket),
            state: State::Asked,
        })
    }

    /// Has a PBX play something to the caller on its own call.
    pub(super) fn announce(&mut self, context: &mut Context<'_>, pbx: &str, media: &str) {
        let terms = context.terms.settings.pbxes.get(pbx);
        let known = terms.ok_or_else(|| format!("no PBX named {pbx}")).and_then(|terms| {
            let channel = self.channel_at(pbx, terms)?.ok_or("webhooks play nothing")?;
            Ok((channel, terms.within))
        });
        match known {
            Ok((channel, within)) => {
                let deed = Deed::Play { channel, media: media.to_owned() };
                self.begin_errand(context, pbx, deed, within);
            }
            Err(reason) => self.notice(context, What::PbxFailed { pbx: pbx.to_owned(), reason }),
        }
    }

    /// Tells a system outside.
    pub(super) fn tell(&mut self, context: &mut Context<'_>, pbx: &str, handover: Handover) {
        match context.terms.settings.pbxes.get(pbx).map(|terms| terms.within) {
            Some(within) => self.begin_errand(context, pbx, Deed::Tell(Box::new(handover)), within),
            None => {
                let reason = format!("no PBX named {pbx}");
                self.notice(context, What::PbxFailed { pbx: pbx.to_owned(), reason });
            }
        }
    }

    fn begin_errand(&mut self, context: &mut Context<'_>, pbx: &str, deed: Deed, within: Duration) {
        let ticket = context.order(self.key, pbx, deed, within);
        if let Stage::Talking(talking) = &mut self.stage {
            talking.errands.insert(ticket, pbx.to_owned());
        }
    }

    /// Tells the caller's side who is to be moved, and trusts that it does.
    pub(super) fn inform(
        &self,
        context: &mut Context<'_>,
        way: &Route,
        handover: Handover,
        within: Option<Duration>,
    ) -> Reroute {
        let method = if *way == Route::Info { InfoMethod::Info } else { InfoMethod::Message };
        let mut told = handover.json();
        told["action"] = "move".into();
        context.sip(SipCommand::Inform {
            leg: self.caller.id,
            method,
            headers: vec![
                header("X-Calmline-Call", self.id.clone()),
                header("X-Calmline-Emotion", handover.line()),
                header("X-Calmline-Target", handover.target.clone()),
            ],
            json: told.to_string(),
        });
        Reroute::Asking(Asking {
            via: way.clone(),
            target: handover.target,
            decided: context.now,
            until: context.now + within.unwrap_or(INFORM_WAIT),
            ticket: None,
            state: State::Asked,
        })
    }

    /// Asks the software of a chat's channel, which follows the events, to move the customer.
    pub(super) fn ask_channel(
        &self,
        context: &Context<'_>,
        via: Route,
        target: &str,
        within: Option<Duration>,
    ) -> Reroute {
        Reroute::Asking(Asking {
            via,
            target: target.to_owned(),
            decided: context.now,
            until: context.now + within.unwrap_or(MOVE_WAIT),
            ticket: None,
            state: State::Asked,
        })
    }

    /// What the caller's side says to an INFO or MESSAGE of ours.
    pub(super) fn informed(&mut self, context: &mut Context<'_>, code: u16, reason: &str) {
        let outcome = match code {
            200..300 => Outcome::Accepted,
            _ => Outcome::Failed(format!("{code} {reason}")),
        };
        self.asking_answered(context, None, outcome);
    }

    /// What the software of a chat's channel says to what was asked last, of itself or of a PBX or webhook: it has the customer,
    /// and so knows. False when nobody is asked.
    pub(super) fn channel_answered(&mut self, context: &mut Context<'_>, outcome: Outcome) -> bool {
        let Stage::Talking(talking) = &self.stage else { return false };
        let Some(Reroute::Asking(asking)) = &talking.reroute else { return false };
        let ticket = asking.ticket;
        self.asking_answered(context, ticket, outcome);
        true
    }

    /// The answer to an order.
    pub(super) fn order_answered(&mut self, context: &mut Context<'_>, Answer { ticket, outcome }: Answer) {
        if let Stage::Talking(talking) = &mut self.stage
            && let Some(pbx) = talking.errands.remove(&ticket)
        {
            let what = match outcome {
                Outcome::Done | Outcome::Accepted => What::PbxDone { pbx },
                Outcome::Failed(reason) => What::PbxFailed { pbx, reason },
            };
            return self.notice(context, what);
        }
        self.asking_answered(context, Some(ticket), outcome);
    }

    pub(super) fn asking_answered(&mut self, context: &mut Context<'_>, ticket: Option<Ticket>, outcome: Outcome) {
        let forked = self.fork.is_some();
        let Stage::Talking(talking) = &mut self.stage else { return };
        let Some(Reroute::Asking(asking)) = talking.reroute.as_mut().filter(|each| is_of(each, ticket)) else {
            // Too late, but done is done: the caller is no longer here.
            let lapsed = talking.lapsed.take_if(|lapsed| lapsed.ticket == ticket && ticket.is_some());
            if let (Some(lapsed), Outcome::Done) = (lapsed, &outcome) {
                self.moved(context, lapsed.via, lapsed.target, context.now.saturating_sub(lapsed.decided));
            }
            return;
        };
        match (outcome, &asking.state) {
            (Outcome::Done | Outcome::Accepted, State::Gone(_)) => self.asking_done(context),
            (Outcome::Failed(_), State::Gone(why)) => {
                let why = why.clone();
                self.finish(context, &why);
            }
            // No leg of ours has to end: the copy goes on.
            (Outcome::Done, _) if forked => self.asking_done(context),
            (Outcome::Done, _) => {
                asking.state = State::Done(context.now);
                asking.until = context.now + LEAVE_WAIT;
            }
            (Outcome::Accepted, _) => asking.state = State::Accepted,
            (Outcome::Failed(reason), _) => self.asking_failed(context, reason),
        }
    }

    /// The caller's leg has ended; true when that is what was asked for, or may be.
    pub(super) fn left_by_asking(&mut self, context: &mut Context<'_>, reason: &str) -> bool {
        let Stage::Talking(talking) = &mut self.stage else { return false };
        let Some(Reroute::Asking(asking)) = &mut talking.reroute else { return false };
        match asking.state {
            State::Asked if asking.ticket.is_some() => {
                // A BYE may overtake the answer of an API, which comes by another way.
                asking.state = State::Gone(reason.to_owned());
                asking.until = asking.until.min(context.now + LEAVE_WAIT);
                true
            }
            State::Asked | State::Gone(_) => false,
            State::Accepted | State::Done(_) => {
                self.asking_done(context);
                true
            }
        }
    }

    /// A copy of the call comes again: the call was not gone for good.
    pub(super) fn forked_again(&mut self) {
        if let Stage::Talking(talking) = &mut self.stage
            && let Some(Reroute::Asking(asking)) = &mut talking.reroute
            && let State::Gone(_) = asking.state
        {
            asking.state = State::Asked;
        }
    }

    /// The time of an order has run out.
    pub(super) fn asking_lapsed(&mut self, context: &mut Context<'_>) {
        let Stage::Talking(talking) = &mut self.stage else { return };
        let Some(Reroute::Asking(asking)) = &talking.reroute else { return };
        match &asking.state {
            State::Done(_) => self.asking_done(context),
            State::Gone(why) => {
                let why = why.clone();
                self.finish(context, &why);
            }
            State::Accepted => self.asking_failed(context, "taken on, but the call has not left".to_owned()),
            State::Asked => {
                let Asking { via, target, decided, ticket, .. } = asking;
                let (via, target) = (via.as_str().to_owned(), target.clone());
                talking.lapsed = Some(Lapsed { via, target, decided: *decided, ticket: *ticket });
                self.asking_failed(context, "no answer in time".to_owned());
            }
        }
    }

    fn asking_done(&mut self, context: &mut Context<'_>) {
        if let Some(Asking { via, target, decided, state, .. }) = self.take_asking() {
            let done = if let State::Done(at) = state { at } else { context.now };
            self.moved(context, via.as_str().to_owned(), target, done.saturating_sub(decided));
        }
    }

    fn asking_failed(&mut self, context: &mut Context<'_>, reason: String) {
        if let Some(Asking { via, target, .. }) = self.take_asking() {
            self.reroute_failed(context, via.as_str(), target, reason);
        }
    }

    fn take_asking(&mut self) -> Option<Asking> {
        let Stage::Talking(talking) = &mut self.stage else { return None };
        match talking.reroute.take_if(|reroute| matches!(reroute, Reroute::Asking(_)))? {
            Reroute::Asking(asking) => Some(asking),
            _ => None,
        }
    }

    /// Which channel of a PBX this call is; nothing for a webhook.
    fn channel_at(&self, pbx: &str, terms: &PbxTerms) -> Result<Option<String>, String> {
        let channel = self.channels.iter().find(|(name, _)| name == pbx).map(|(_, channel)| channel.clone());
        match channel {
            None if terms.needs_channel && self.fork.is_some() => {
                Err("whoever forks the call to us does not say which call of the PBX it is".to_owned())
            }
            None if terms.needs_channel => Err(format!("the INVITE has no {}", terms.channel_header)),
            channel => Ok(channel),
        }
    }
}

/// Which channel of each PBX a call is, as `headers` say, or else as the call is named by whoever forks it to us.
pub(super) fn channels_of(
    headers: &[Header],
    pbx_call: Option<&String>,
    pbxes: &BTreeMap<String, PbxTerms>,
) -> Vec<(String, String)> {
    let named = |(name, terms): (&String, &PbxTerms)| {
        let header = headers.iter().find(|each| each.name.eq_ignore_ascii_case(&terms.channel_header));
        let channel = header.map(|header| &header.value).or(pbx_call)?;
        Some((name.clone(), channel.trim().to_owned()))
    };
    pbxes.iter().filter_map(named).collect()
}

fn is_of(reroute: &Reroute, ticket: Option<Ticket>) -> bool {
    matches!(reroute, Reroute::Asking(asking) if asking.ticket == ticket)
}

/// How much longer than a connector call control waits for an answer.
const LATER: Duration = Duration::from_millis(500);
/// How long the caller's leg may outlast its move, or the answer to an order the caller's leg.
const LEAVE_WAIT: Duration = Duration::from_secs(2);
/// How long the caller's side may take to move a caller of whom it was told.
const INFORM_WAIT: Duration = Duration::from_secs(10);
