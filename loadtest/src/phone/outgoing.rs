//! What a telephone asks for: INVITE, re-INVITE, CANCEL, BYE, NOTIFY, and what it makes of the responses.

use media::Direction;

use super::call::{Call, State};
use super::transaction::Client;
use super::{Context, Event};
use crate::message::{Message, Start};

impl Call {
    /// Sends the first INVITE.
    pub(super) fn invite(&mut self, context: &mut Context<'_>, headers: &[(String, String)]) {
        let body = self.offer(Direction::SendRecv);
        let cseq = self.dialog.cseq;
        self.send_invite(context, cseq, headers, body);
    }

    /// Sends a re-INVITE, unless another one is open.
    pub(super) fn reoffer(&mut self, context: &mut Context<'_>, direction: Direction) {
        if self.state != State::Up || self.invite_open() {
            return;
        }
        let body = self.offer(direction);
        let cseq = self.dialog.next_cseq();
        self.send_invite(context, cseq, &[], body);
    }

    /// Ends the call in whatever state it is.
    pub(super) fn hang_up(&mut self, context: &mut Context<'_>) {
        match self.state {
            State::Calling => {
                self.cancel_wanted = true;
                if self.clients.iter().any(|client| client.method == "INVITE" && client.provisional) {
                    self.cancel(context);
                }
            }
            State::Ringing => self.refuse(context, 603),
            State::Up => {
                self.bye(context);
                self.over(context, Event::HungUp);
            }
            State::Over => {}
        }
    }

    /// Tells whoever referred us how the call stands (RFC 3515 §2.4.5).
    pub(super) fn notify(&mut self, context: &mut Context<'_>, status: u16) {
        if self.state != State::Up {
            return;
        }
        let state = if status < 200 { "active;expires=60" } else { "terminated;reason=noresource" };
        let headers = [("Event", "refer"), ("Subscription-State", state)];
        let body = Some(("message/sipfrag;version=2.0", format!("SIP/2.0 {status} {}\r\n", reason(status))));
        self.send(context, "NOTIFY", &headers, body);
        if (200..300).contains(&status) {
            // The voice goes on in the new call.
            self.stream.stop();
        }
    }

    pub(super) fn bye(&mut self, context: &mut Context<'_>) {
        self.send(context, "BYE", &[], None);
    }

    pub(super) fn invite_open(&self) -> bool {
        self.clients.iter().any(|client| client.method == "INVITE")
    }

    /// A response to one of our requests.
    pub(super) fn response(&mut self, context: &mut Context<'_>, response: &Message) {
        let (Some(status), Some(cseq)) = (response.status(), response.cseq()) else { return };
        let method = response.method();
        let matches = |client: &Client| Some(client.branch.as_str()) == response.branch() && client.method == method;
        let Some(at) = self.clients.iter().position(matches) else {
            self.acknowledge_again(context, method, cseq, status);
            return;
        };

        if status < 200 {
            self.clients[at].proceed(context.now);
            if method == "INVITE" && self.state == State::Calling {
                self.progress(context, response, status);
            }
            return;
        }
        self.clients.remove(at);
        match (method, self.state) {
            ("INVITE", State::Calling) => self.final_response(context, response, status),
            ("INVITE", _) => self.offer_answered(context, response, status),
            _ => {}
        }
    }

    /// 100-199 to the first INVITE.
    fn progress(&mut self, context: &mut Context<'_>, response: &Message, status: u16) {
        if status > 100 {
            self.dialog.learn(response);
            context.event(Event::Ringing { status });
            if let Some(answer) = response.description() {
                self.accept(context, answer);
            }
        }
        if self.cancel_wanted {
            self.cancel(context);
        }
    }

    /// The final response to the first INVITE.
    fn final_response(&mut self, context: &mut Context<'_>, response: &Message, status: u16) {
        if status >= 300 {
            self.acknowledge_failure(context, response);
            self.over(context, Event::Failed { status });
            return;
        }
        self.dialog.learn(response);
        self.acknowledge_success(context, response);
        if self.cancel_wanted {
            // The answer crossed our CANCEL.
            self.bye(context);
            self.over(context, Event::Failed { status: 487 });
            return;
        }
        let accepted = response.description().and_then(|answer| self.accept(context, answer));
        if accepted.is_none() && self.stream.settings().is_none() {
            self.bye(context);
            self.over(context, Event::Failed { status: 488 });
            return;
        }
        self.up(context);
    }

    /// The final response to a re-INVITE.
    fn offer_answered(&mut self, context: &mut Context<'_>, response: &Message, status: u16) {
        if status >= 300 {
            self.offer_open = false;
            self.acknowledge_failure(context, response);
            context.event(Event::OfferAnswered { status, direction: None });
            return;
        }
        self.dialog.refresh(response);
        self.acknowledge_success(context, response);
        let direction = response.description().and_then(|answer| self.accept(context, answer));
        context.event(Event::OfferAnswered { status, direction });
    }

    fn send_invite(&mut self, context: &mut Context<'_>, cseq: u32, headers: &[(String, String)], body: String) {
        let branch = branch(context);
        let (to, mut invite) = self.dialog.request("INVITE", cseq, &branch, context.settings.sip);
        invite.push("Contact", context.contact());
        invite.push("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, REFER, NOTIFY, INFO");
        for (name, value) in headers {
            invite.push(name, value);
        }
        invite.set_body("application/sdp", body);
        let bytes = invite.to_bytes();
        self.invite = Some((to, invite));
        self.clients.push(Client::new(context.now, "INVITE", cseq, branch, to, bytes.clone()));
        context.out.sip.push((to, bytes));
    }

    /// Sends a request inside the dialog.
    fn send(
        &mut self,
        context: &mut Context<'_>,
        method: &str,
        headers: &[(&str, &str)],
        body: Option<(&str, String)>,
    ) {
        let (branch, cseq) = (branch(context), self.dialog.next_cseq());
        let (to, mut request) = self.dialog.request(method, cseq, &branch, context.settings.sip);
        if method != "BYE" {
            request.push("Contact", context.contact());
        }
        for (name, value) in headers {
            request.push(name, *value);
        }
        if let Some((content_type, body)) = body {
            request.set_body(content_type, body);
        }
        let bytes = request.to_bytes();
        self.clients.push(Client::new(context.now, method, cseq, branch, to, bytes.clone()));
        context.out.sip.push((to, bytes));
    }

    /// CANCEL repeats the INVITE's addresses and branch (RFC 3261 §9.1); sent once per INVITE.
    fn cancel(&mut self, context: &mut Context<'_>) {
        if self.clients.iter().any(|client| client.method == "CANCEL") {
            return;
        }
        let Some((to, invite)) = &self.invite else { return };
        let to_value = invite.header("To").unwrap_or_default();
        let cancel = follow_up("CANCEL", invite, to_value);
        let bytes = cancel.to_bytes();
        let branch = invite.branch().unwrap_or_default().to_owned();
        let cseq = invite.cseq().unwrap_or_default();
        context.out.sip.push((*to, bytes.clone()));
        self.clients.push(Client::new(context.now, "CANCEL", cseq, branch, *to, bytes));
    }

    /// ACK of a success is a request of its own (RFC 3261 §13.2.2.4).
    fn acknowledge_success(&mut self, context: &mut Context<'_>, response: &Message) {
        let cseq = response.cseq().unwrap_or(self.dialog.cseq);
        let (to, ack) = self.dialog.request("ACK", cseq, &branch(context), context.settings.sip);
        let bytes = ack.to_bytes();
        context.out.sip.push((to, bytes.clone()));
        self.last_ack = Some((cseq, to, bytes));
    }

    /// ACK of a failure belongs to the INVITE's transaction (RFC 3261 §17.1.1.3).
    fn acknowledge_failure(&mut self, context: &mut Context<'_>, response: &Message) {
        let Some((to, invite)) = &self.invite else { return };
        let bytes = follow_up("ACK", invite, response.header("To").unwrap_or_default()).to_bytes();
        context.out.sip.push((*to, bytes.clone()));
        self.last_ack = Some((invite.cseq().unwrap_or_default(), *to, bytes));
    }

    /// A final response to INVITE came again: our ACK was lost.
    fn acknowledge_again(&mut self, context: &mut Context<'_>, method: &str, cseq: u32, status: u16) {
        if let Some((acknowledged, to, bytes)) = &self.last_ack
            && method == "INVITE"
            && status >= 200
            && *acknowledged == cseq
        {
            context.out.sip.push((*to, bytes.clone()));
        }
    }
}

/// A request in the INVITE's own transaction.
fn follow_up(method: &str, invite: &Message, to: &str) -> Message {
    let Start::Request { uri, .. } = &invite.start else { return Message::request(method, "sip:invalid") };
    let mut request = Message::request(method, uri);
    for name in ["Via", "Max-Forwards", "Route", "From", "Call-ID"] {
        for value in invite.values(name) {
            request.push(name, value);
        }
    }
    request.push("To", to);
    request.push("CSeq", format!("{} {method}", invite.cseq().unwrap_or_default()));
    request
}

fn branch(context: &mut Context<'_>) -> String {
    format!("z9hG4bK{}", context.random.token())
}

/// The usual words for a status.
pub(super) fn reason(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        404 => "Not Found",
        480 => "Temporarily Unavailable",
        481 => "Call Does Not Exist",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        503 => "Service Unavailable",
        603 => "Decline",
        _ => "Because",
    }
}
