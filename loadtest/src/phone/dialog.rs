//! What both ends of a call agree to call it, and where requests inside it go (RFC 3261 §12).

use std::net::SocketAddr;

use super::random::Random;
use crate::message::{Message, host_port, parameter, uri};

/// One dialog, from the first request on.
#[derive(Debug)]
pub(super) struct Dialog {
    pub(super) call_id: String,
    /// Our From (or To) value, with our tag.
    pub(super) local: String,
    /// Theirs; with their tag once it is known.
    pub(super) remote: String,
    /// The request-URI of our requests.
    pub(super) target: String,
    route: Vec<String>,
    pub(super) cseq: u32,
    /// Where requests go when target and route name no address.
    server: SocketAddr,
    confirmed: bool,
}

impl Dialog {
    /// The dialog that an INVITE of ours begins.
    pub(super) fn calling(
        random: &mut Random,
        from: &str,
        address: SocketAddr,
        target: &str,
        server: SocketAddr,
    ) -> Self {
        Dialog {
            call_id: format!("{}@{}", random.token(), address.ip()),
            local: format!("{from};tag={}", random.token()),
            remote: format!("<{target}>"),
            target: target.to_owned(),
            route: Vec::new(),
            cseq: 1,
            server,
            confirmed: false,
        }
    }

    /// The dialog that an INVITE of theirs begins.
    pub(super) fn called(random: &mut Random, from: SocketAddr, invite: &Message) -> Self {
        let value = |name: &str| invite.header(name).unwrap_or_default().to_owned();
        Dialog {
            call_id: value("Call-ID"),
            local: format!("{};tag={}", value("To"), random.token()),
            remote: value("From"),
            target: invite.header("Contact").map_or_else(|| format!("sip:{from}"), |contact| uri(contact).to_owned()),
            route: routes(invite),
            cseq: 1,
            server: from,
            confirmed: true,
        }
    }

    /// Learns from a response with a tag to our INVITE.
    pub(super) fn learn(&mut self, response: &Message) {
        let Some(to) = response.header("To") else { return };
        if parameter(to, "tag").is_none() {
            return;
        }
        let final_answer = response.status().is_some_and(|status| status >= 200);
        if !self.confirmed || final_answer {
            self.remote = to.to_owned();
            self.route = routes(response);
            self.route.reverse();
            self.confirmed = true;
        }
        self.refresh(response);
    }

    /// Learns a new target (RFC 3261 §12.2: target refresh).
    pub(super) fn refresh(&mut self, message: &Message) {
        if let Some(contact) = message.header("Contact") {
            self.target = uri(contact).to_owned();
        }
    }

    /// A request of ours and where it goes.
    pub(super) fn request(&self, method: &str, cseq: u32, branch: &str, sip: SocketAddr) -> (SocketAddr, Message) {
        let mut request = Message::request(method, &self.target);
        request.push("Via", format!("SIP/2.0/UDP {sip};rport;branch={branch}"));
        request.push("Max-Forwards", "70");
        for route in &self.route {
            request.push("Route", route);
        }
        request.push("From", &self.local);
        request.push("To", &self.remote);
        request.push("Call-ID", &self.call_id);
        request.push("CSeq", format!("{cseq} {method}"));
        request.push("User-Agent", "calmline-loadtest");
        (self.destination(), request)
    }

    /// The next CSeq number of ours.
    pub(super) fn next_cseq(&mut self) -> u32 {
        self.cseq += 1;
        self.cseq
    }

    fn destination(&self) -> SocketAddr {
        if !self.confirmed {
            return self.server;
        }
        let next = self.route.first().map_or(self.target.as_str(), |route| uri(route));
        let address = host_port(next).and_then(|(host, port)| Some(SocketAddr::new(host.parse().ok()?, port)));
        // Nothing but this machine is ever called, whatever a Contact says.
        address.filter(|address| address.ip().is_loopback()).unwrap_or(self.server)
    }
}

fn routes(message: &Message) -> Vec<String> {
    message.values("Record-Route").flat_map(|value| value.split(',')).map(|route| route.trim().to_owned()).collect()
}
