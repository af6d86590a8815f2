//! What a telephone does when it is asked: rings, answers, refuses, follows re-offers, REFER and BYE.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use media::Direction;

use super::call::{Call, State};
use super::outgoing::reason;
use super::transaction::Repeat;
use super::{Context, Event, Outgoing, T2, Then};
use crate::message::{Message, host_port, uri};

impl Call {
    /// The first INVITE: rings, or goes on at once when it need not ring.
    pub(super) fn ring(&mut self, context: &mut Context<'_>, invite: &Message) {
        context.event(Event::Incoming { invite: Box::new(invite.clone()) });
        let behaviour = context.settings.behaviour.clone();
        let immediate = behaviour.ring == Duration::ZERO && behaviour.then != Then::Ring;
        if immediate && !behaviour.early_media {
            self.finish_ringing(context);
            return;
        }

        let early =
            if behaviour.early_media { invite.description().and_then(|o| self.answer(context, o)) } else { None };
        let status = if early.is_some() { 183 } else { 180 };
        self.respond_to_invite(context, status, early);
        context.event(Event::Ringing { status });
        if behaviour.then != Then::Ring {
            self.answer_at = Some(context.now + behaviour.ring);
        }
    }

    /// The ringing has lasted long enough.
    pub(super) fn finish_ringing(&mut self, context: &mut Context<'_>) {
        match context.settings.behaviour.then {
            Then::Ring => {}
            Then::Refuse(status) => self.refuse(context, status),
            Then::Answer { hang_up_after } => {
                self.hang_up_after = hang_up_after;
                self.pick_up(context);
            }
        }
    }

    /// Refuses the INVITE that rings.
    pub(super) fn refuse(&mut self, context: &mut Context<'_>, status: u16) {
        self.respond_to_invite(context, status, None);
        self.over(context, Event::Failed { status });
    }

    /// A request inside the call, or a repetition of the one that began it.
    pub(super) fn request(&mut self, context: &mut Context<'_>, from: SocketAddr, request: &Message) {
        if request.method() == "ACK" {
            self.confirm(context, request);
            return;
        }
        if let Some(response) = self.answered.response(&key(request)) {
            context.out.sip.push((from, response.to_vec()));
            return;
        }
        match (request.method(), self.state) {
            ("CANCEL", _) => self.cancelled(context, from, request),
            ("BYE", _) => self.ended(context, from, request),
            (_, State::Over) => self.respond(context, from, request, 481, None),
            ("INVITE" | "UPDATE", _) => self.reoffered(context, from, request),
            ("REFER", State::Up) => self.referred(context, from, request),
            ("REFER", _) => self.respond(context, from, request, 488, None),
            ("OPTIONS" | "INFO" | "NOTIFY" | "MESSAGE" | "PRACK", _) => self.respond(context, from, request, 200, None),
            _ => self.respond(context, from, request, 405, None),
        }
    }

    fn pick_up(&mut self, context: &mut Context<'_>) {
        let Some((_, invite)) = &self.ringing else { return };
        let body = match invite.description().map(str::to_owned) {
            Some(offer) => self.answer(context, &offer),
            None => Some(self.offer(Direction::SendRecv)),
        };
        match body {
            Some(body) => {
                self.respond_to_invite(context, 200, Some(body));
                self.up(context);
            }
            None => self.refuse(context, 488),
        }
    }

    fn respond_to_invite(&mut self, context: &mut Context<'_>, status: u16, body: Option<String>) {
        if let Some((from, invite)) = self.ringing.clone() {
            self.respond(context, from, &invite, status, body);
        }
    }

    /// Responds, remembers the response, and repeats a final one to INVITE until its ACK comes.
    fn respond(
        &mut self,
        context: &mut Context<'_>,
        from: SocketAddr,
        request: &Message,
        status: u16,
        body: Option<String>,
    ) {
        let mut response = Message::response(request, status, reason(status));
        if request.to_tag().is_none() {
            response.headers.retain(|(name, _)| name != "To");
            response.push("To", self.dialog.local.clone());
        }
        if status < 300 {
            response.push("Contact", context.contact());
        }
        if let Some(body) = body {
            response.set_body("application/sdp", body);
        }
        let bytes = response.to_bytes();
        self.answered.remember(key(request), bytes.clone());
        context.out.sip.push((from, bytes.clone()));
        if request.method() == "INVITE" && status >= 200 {
            let repeat = Repeat::new(context.now, from, bytes, T2);
            self.unconfirmed = Some((request.cseq().unwrap_or_default(), status < 300, repeat));
            self.ringing = None;
        }
    }

    fn confirm(&mut self, context: &mut Context<'_>, ack: &Message) {
        if self.unconfirmed.as_ref().is_some_and(|(cseq, _, _)| Some(*cseq) == ack.cseq()) {
            self.unconfirmed = None;
            if let Some(answer) = ack.description()
                && self.offer_open
            {
                self.accept(context, answer);
            }
        }
    }

    fn cancelled(&mut self, context: &mut Context<'_>, from: SocketAddr, cancel: &Message) {
        self.respond(context, from, cancel, 200, None);
        if self.state == State::Ringing {
            self.refuse(context, 487);
        }
    }

    fn ended(&mut self, context: &mut Context<'_>, from: SocketAddr, bye: &Message) {
        let crossing = self.clients.iter().any(|client| client.method == "BYE");
        if self.state == State::Over && !crossing {
            self.respond(context, from, bye, 481, None);
            return;
        }
        self.respond(context, from, bye, 200, None);
        if self.state == State::Ringing {
            self.refuse(context, 487);
        } else if self.state != State::Over {
            self.clients.retain(|client| client.method != "NOTIFY");
            self.over(context, Event::Bye { reason: bye.header("Reason").map(str::to_owned) });
        }
    }

    /// A re-INVITE or UPDATE.
    fn reoffered(&mut self, context: &mut Context<'_>, from: SocketAddr, request: &Message) {
        let invite = request.method() == "INVITE";
        let unanswered = invite && self.state != State::Up;
        if self.invite_open() && (invite || request.description().is_some()) || unanswered {
            self.respond(context, from, request, 491, None);
            return;
        }
        self.dialog.refresh(request);
        let body = match request.description() {
            Some(offer) => match self.answer(context, offer) {
                Some(answer) => Some(answer),
                None => {
                    self.respond(context, from, request, 488, None);
                    return;
                }
            },
            None if invite => Some(self.offer(Direction::SendRecv)),
            None => None,
        };
        self.respond(context, from, request, 200, body);
        let direction = request.description().and_then(|_| self.direction());
        context.event(Event::Reoffered { method: request.method().to_owned(), direction });
    }

    /// REFER: takes it on as a PBX does for its caller's leg (RFC 3515 §2.4).
    fn referred(&mut self, context: &mut Context<'_>, from: SocketAddr, refer: &Message) {
        let Some(outgoing) = refer.header("Refer-To").and_then(|value| referral(uri(value), from)) else {
            self.respond(context, from, refer, 400, None);
            return;
        };
        self.respond(context, from, refer, 202, None);
        self.notify(context, 100);
        self.set_referral(outgoing);
    }
}

/// The call that a Refer-To asks for; headers embedded in the URI become headers of the INVITE (RFC 3261 §19.1.1).
fn referral(refer_to: &str, from: SocketAddr) -> Option<Outgoing> {
    let (target, embedded) = refer_to.split_once('?').unwrap_or((refer_to, ""));
    let (host, port) = host_port(target)?;
    let address = host.parse::<IpAddr>().ok().filter(IpAddr::is_loopback).map(|ip| SocketAddr::new(ip, port));
    let headers = embedded.split('&').filter_map(|pair| pair.split_once('='));
    Some(Outgoing {
        target: target.to_owned(),
        // A name is left to whoever referred us; nothing but this machine is ever called.
        server: address.unwrap_or(from),
        name: None,
        headers: headers.map(|(name, value)| (unescaped(name), unescaped(value))).collect(),
        hang_up_after: None,
    })
}

/// Undoes `%xx`; what would end the header line is left out.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (byte, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    bytes.retain(|byte| !matches!(byte, b'\r' | b'\n'));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What tells a request from another one: its transaction (RFC 3261 §17.2.3).
fn key(request: &Message) -> String {
    format!("{} {}", request.method(), request.branch().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn referrals_carry_headers() {
        let from = SocketAddr::from(([127, 0, 0, 1], 5060));
        let outgoing =
            referral("sip:queue@127.0.0.1:5090?X-Emotion=angry%3Bhigh&X-Two=a%0D%0Ab", from).expect("a target");
        assert_eq!(outgoing.target, "sip:queue@127.0.0.1:5090");
        assert_eq!(outgoing.server.port(), 5090);
        let expected = [("X-Emotion".to_owned(), "angry;high".to_owned()), ("X-Two".to_owned(), "ab".to_owned())];
        assert_eq!(outgoing.headers, expected);
        assert_eq!(referral("sip:queue@pbx.example", from).expect("a target").server, from);
        assert_eq!(referral("sip:queue@192.0.2.1:5060", from).expect("a target").server, from);
        assert_eq!(referral("tel:1", from), None);
    }
}
