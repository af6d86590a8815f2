//! The Asterisk REST Interface (ARI), as a session without a socket: requests go out, their answers and the events of
//! our application come in.
//!
//! Moves a channel that is in a Stasis application: back into the dialplan (`continue`), or into a bridge with a device
//! that is called for it. Who is left alone in such a bridge is hung up, and the bridge is taken down.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

use serde_json::{Value, json};

use super::ami::variables;
use super::{
    Deed, Dialplan, Move, NO_CHANNEL, Outcome, Place, Said, TOO_MANY, Ticket, UNANSWERED_MAX, channel_name, clean,
};
use crate::hexadecimal::escaped;

/// One application of an Asterisk.
#[derive(Debug)]
pub struct Session {
    app: String,
    /// Goes in front of the ids of channels and bridges, so that those of different runs differ.
    prefix: String,
    next_request: u64,
    /// What each request was for, and what comes after it.
    unanswered: BTreeMap<u64, (Step, Deal)>,
    /// The devices that were called, by their channels.
    bridges: BTreeMap<String, Bridge>,
}

/// One request to the PBX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Named by its response.
    pub id: u64,
    /// What is done.
    pub method: Method,
    /// Path and query below the interface's URL, e.g. `/channels/1.2/continue?priority=1`.
    pub path: String,
    /// JSON.
    pub body: Option<String>,
}

/// The methods that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Does something.
    Post,
    /// Removes something.
    Delete,
}

/// Requests of one order, one after the other.
#[derive(Debug)]
struct Deal {
    ticket: Ticket,
    rest: VecDeque<Planned>,
}

#[derive(Debug)]
struct Planned {
    step: Step,
    method: Method,
    path: String,
    body: Option<Value>,
}

/// What a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// Good to have; the order goes on without it.
    Helpful(&'static str),
    /// The order has failed when this has.
    Needed,
    /// The order is done with this.
    Last,
    /// Calls the device of this channel.
    Call(String),
    /// Asks whether a channel of this device's bridge is still there; nobody waits for it.
    Check { device: String, channel: String },
    /// Nobody waits for it.
    Tidying,
}

/// A device that was called for a caller.
#[derive(Debug)]
struct Bridge {
    ticket: Ticket,
    /// The caller's channel, as the PBX names it.
    caller: String,
    /// Whether it has answered.
    up: bool,
}

impl Session {
    /// A session for the application `app`; `prefix` is different in every run.
    pub fn new(app: &str, prefix: &str) -> Session {
        Session {
            app: app.to_owned(),
            prefix: prefix.to_owned(),
            next_request: 0,
            unanswered: BTreeMap::new(),
            bridges: BTreeMap::new(),
        }
    }

    /// Asks for what `deed` wants; the answer comes later, or at once when it cannot be asked for.
    pub fn order(&mut self, ticket: Ticket, deed: &Deed, out: &mut Vec<Said>) {
        let planned = match deed {
            _ if self.waiting() >= UNANSWERED_MAX => Err(TOO_MANY.to_owned()),
            Deed::Move(wanted) => self.plan_move(ticket, wanted),
            Deed::Play { channel, media } => named(Some(channel)).map(|channel| {
                let path = format!("/channels/{}/play?media={}", escaped(channel), escaped(media));
                vec![Planned { step: Step::Last, ..Planned::post(path) }]
            }),
            Deed::Tell(_) => Err("ARI is told nothing: webhooks are".to_owned()),
        };
        match planned {
            Ok(rest) => self.go_on(Deal { ticket, rest: rest.into() }, out),
            Err(reason) => out.push(Said::failed(ticket, reason)),
        }
    }

    /// Takes in the response to a request: its status and body, or why there is none.
    pub fn response(&mut self, id: u64, response: Result<(u16, &str), String>, out: &mut Vec<Said>) {
        let Some((step, deal)) = self.unanswered.remove(&id) else { return };
        let is_gone = matches!(response, Ok((NO_SUCH_SOURCE, _)));
        let failed = match response {
            Ok((200..300, _)) => None,
            Ok((code, body)) => Some(explained(code, body)),
            Err(reason) => Some(reason),
        };
        match (step, failed) {
            (Step::Last, None) => out.push(Said::answer(deal.ticket, Outcome::Done)),
            // The order was given up while the device was being called.
            (Step::Call(channel), None) if !self.bridges.contains_key(&channel) => {
                self.tidy(deal.ticket, &[format!("/channels/{channel}")], out);
            }
            (Step::Check { device, channel }, _) => {
                if is_gone {
                    self.left(&channel, "it is gone", out);
                }
                self.check_on(&device, deal, out);
            }
            (Step::Call(_) | Step::Tidying, None) => {}
            (Step::Helpful(_) | Step::Needed, None) => self.go_on(deal, out),
            (Step::Helpful(what), Some(reason)) => {
                out.push(Said::Note(format!("{what} not set: {reason}")));
                self.go_on(deal, out);
            }
            (Step::Tidying, Some(_)) => {}
            (Step::Call(channel), Some(reason)) => {
                self.bridges.remove(&channel);
                out.push(Said::failed(deal.ticket, reason));
            }
            (Step::Needed | Step::Last, Some(reason)) => {
                out.push(Said::failed(deal.ticket, reason));
                self.give_up(deal.ticket, out);
            }
        }
    }

    /// Takes in one event of the application, a JSON text; what is not known is passed over.
    pub fn event(&mut self, text: &str, out: &mut Vec<Said>) {
        let Ok(event) = serde_json::from_str::<Value>(text) else { return };
        let Some(channel) = event["channel"]["id"].as_str() else { return };
        match event["type"].as_str() {
            Some("StasisStart") => self.entered(channel, out),
            Some("StasisEnd" | "ChannelDestroyed") => {
                let why = event["cause_txt"].as_str().unwrap_or("it left the application");
                self.left(channel, &clean(why), out);
            }
            _ => {}
        }
    }

    /// Gives up on an order whose time has run out: what has not been asked is asked no more, and a device that rings
    /// for it rings no more.
    pub fn give_up(&mut self, ticket: Ticket, out: &mut Vec<Said>) {
        for (_, deal) in self.unanswered.values_mut().filter(|(_, deal)| deal.ticket == ticket) {
            deal.rest.clear();
        }
        let ended: Vec<String> =
            self.bridges.extract_if(.., |_, each| each.ticket == ticket).map(|(id, _)| id).collect();
        for channel in ended {
            self.tidy(ticket, &[format!("/channels/{channel}"), format!("/bridges/{channel}")], out);
        }
    }

    /// The connection is lost: no response comes any more, and devices that ring find no application. The orders that
    /// have no answer.
    pub fn lost(&mut self) -> BTreeSet<Ticket> {
        let asked = std::mem::take(&mut self.unanswered).into_values();
        let asked = asked.filter(|(step, _)| !matches!(step, Step::Tidying | Step::Check { .. }));
        let asked = asked.map(|(_, deal)| deal.ticket);
        let ringing = self.bridges.extract_if(.., |_, bridge| !bridge.up).map(|(_, bridge)| bridge.ticket);
        asked.chain(ringing).collect()
    }

    /// The connection is back: bridges that stand are asked for, for nobody has told what ended meanwhile.
    pub fn back(&mut self, out: &mut Vec<Said>) {
        self.check_after("", out);
    }

    /// Orders that wait for an answer; a device that has answered is no longer waited for.
    fn waiting(&self) -> usize {
        self.unanswered.len() + self.bridges.values().filter(|bridge| !bridge.up).count()
    }

    fn plan_move(&mut self, ticket: Ticket, wanted: &Move) -> Result<Vec<Planned>, String> {
        let Move { channel, place, handover } = wanted;
        let channel = named(channel.as_deref())?;
        let Place { dialplan, endpoint, queue_priority, variables: own } = place;
        let set = variables(*queue_priority, handover, own);
        match (endpoint, dialplan) {
            (Some(endpoint), _) => Ok(self.plan_bridge(ticket, channel, endpoint, set)),
            (None, Some(dialplan)) => Ok(plan_continue(&escaped(channel), dialplan, set)),
            (None, None) => Err("the target has neither an endpoint nor a dialplan".to_owned()),
        }
    }

    fn plan_bridge(
        &mut self,
        ticket: Ticket,
        caller: &str,
        endpoint: &str,
        set: Vec<(String, String)>,
    ) -> Vec<Planned> {
        let device = format!("{}-{}", self.prefix, ticket.0);
        let watch = self.watch(caller);
        let call = format!(
            "/channels?endpoint={}&app={}&channelId={device}&originator={}",
            escaped(endpoint),
            escaped(&self.app),
            escaped(caller)
        );
        let variables: serde_json::Map<String, Value> =
            set.into_iter().map(|(name, value)| (name, json!(value))).collect();
        self.bridges.insert(device.clone(), Bridge { ticket, caller: caller.to_owned(), up: false });
        let body = Some(json!({ "variables": variables }));
        vec![
            Planned { step: Step::Helpful("subscription to the caller's channel"), ..Planned::post(watch) },
            Planned { step: Step::Call(device), body, ..Planned::post(call) },
        ]
    }

    /// Where the events of a channel are asked for.
    fn watch(&self, channel: &str) -> String {
        format!("/applications/{}/subscription?eventSource=channel:{}", escaped(&self.app), escaped(channel))
    }

    /// Goes on with a bridge's check, or with the next bridge: one request at a time, however many stand.
    fn check_on(&mut self, device: &str, deal: Deal, out: &mut Vec<Said>) {
        if self.bridges.contains_key(device) && !deal.rest.is_empty() {
            return self.go_on(deal, out);
        }
        self.check_after(device, out);
    }

    /// Checks the first bridge behind `device` that stands.
    fn check_after(&mut self, device: &str, out: &mut Vec<Said>) {
        let mut behind = self.bridges.range::<str, _>((Bound::Excluded(device), Bound::Unbounded));
        let Some((device, bridge)) = behind.find(|(_, bridge)| bridge.up) else { return };
        let check = |channel: &String| {
            let step = Step::Check { device: device.clone(), channel: channel.clone() };
            Planned { step, ..Planned::post(self.watch(channel)) }
        };
        let deal = Deal { ticket: bridge.ticket, rest: [check(device), check(&bridge.caller)].into() };
        self.go_on(deal, out);
    }

    /// A channel has entered the application: a device that we called has answered.
    fn entered(&mut self, channel: &str, out: &mut Vec<Said>) {
        let Some(bridge) = self.bridges.get_mut(channel) else { return self.entered_in_vain(channel, out) };
        if std::mem::replace(&mut bridge.up, true) {
            return;
        }
        let (ticket, caller) = (bridge.ticket, escaped(&bridge.caller));
        let join = format!("/bridges/{channel}/addChannel?channel={caller},{channel}");
        let rest = VecDeque::from([
            Planned { step: Step::Needed, ..Planned::post(format!("/bridges/{channel}?type=mixing")) },
            Planned { step: Step::Last, ..Planned::post(join) },
        ]);
        self.go_on(Deal { ticket, rest }, out);
    }

    /// A device whose order is over has answered: nobody would speak with it.
    fn entered_in_vain(&mut self, channel: &str, out: &mut Vec<Said>) {
        let number = channel.strip_prefix(&self.prefix).and_then(|rest| rest.strip_prefix('-'));
        let Some(ticket) = number.and_then(|number| number.parse().ok()) else { return };
        self.tidy(Ticket(ticket), &[format!("/channels/{}", escaped(channel))], out);
    }

    /// A channel has left: whoever was or was to be with it is let go too.
    fn left(&mut self, channel: &str, why: &str, out: &mut Vec<Said>) {
        let found = self.bridges.iter().find(|(id, bridge)| *id == channel || bridge.caller == channel);
        let Some(device) = found.map(|(id, _)| id.clone()) else { return };
        let Some(Bridge { ticket, caller, up }) = self.bridges.remove(&device) else { return };
        if !up {
            let who = if device == channel { "the device" } else { "the caller's channel" };
            out.push(Said::failed(ticket, format!("{who}: {why}")));
        }
        let mut gone = vec![format!("/channels/{device}")];
        if up {
            gone.push(format!("/channels/{}", escaped(&caller)));
            gone.push(format!("/bridges/{device}"));
        }
        // The one that has left is not there to be hung up.
        gone.retain(|path| *path != format!("/channels/{}", escaped(channel)));
        self.tidy(ticket, &gone, out);
    }

    fn tidy(&mut self, ticket: Ticket, paths: &[String], out: &mut Vec<Said>) {
        for path in paths {
            let deleted = Planned { step: Step::Tidying, method: Method::Delete, ..Planned::post(path.clone()) };
            self.go_on(Deal { ticket, rest: VecDeque::from([deleted]) }, out);
        }
    }

    /// Sends the next request of an order.
    fn go_on(&mut self, mut deal: Deal, out: &mut Vec<Said>) {
        let Some(Planned { step, method, path, body }) = deal.rest.pop_front() else { return };
        self.next_request += 1;
        let id = self.next_request;
        out.push(Said::Ask(Request { id, method, path, body: body.map(|body| body.to_string()) }));
        self.unanswered.insert(id, (step, deal));
    }
}

impl Planned {
    fn post(path: String) -> Planned {
        Planned { step: Step::Needed, method: Method::Post, path, body: None }
    }
}

/// Variables, then `continue`: the channel leaves the application for the dialplan.
fn plan_continue(channel: &str, dialplan: &Dialplan, set: Vec<(String, String)>) -> Vec<Planned> {
    let variable = |(name, value): (String, String)| {
        let path = format!("/channels/{channel}/variable?variable={}&value={}", escaped(&name), escaped(&value));
        Planned { step: Step::Helpful("a channel variable"), ..Planned::post(path) }
    };
    let Dialplan { context, extension, priority } = dialplan;
    let path = format!(
        "/channels/{channel}/continue?context={}&extension={}&priority={priority}",
        escaped(context),
        escaped(extension)
    );
    let goes = Planned { step: Step::Last, ..Planned::post(path) };
    set.into_iter().map(variable).chain([goes]).collect()
}

fn named(channel: Option<&str>) -> Result<&str, String> {
    let channel = channel.ok_or(NO_CHANNEL)?;
    channel_name(channel).ok_or_else(|| "the channel's name is no word".to_owned())
}

/// What a refusal says, e.g. `404 Channel not found`.
fn explained(code: u16, body: &str) -> String {
    let told: Option<Value> = serde_json::from_str(body).ok();
    let message = told.as_ref().and_then(|told| told["message"].as_str().or(told["error"].as_str()));
    format!("{code} {}", clean(message.unwrap_or("without a word")))
}

/// The status for events of a channel that is not there; 404 is for the application.
const NO_SUCH_SOURCE: u16 = 422;

#[cfg(test)]
mod tests;
