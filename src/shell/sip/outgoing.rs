//! The INVITE that went out: progress, answer, failure, CANCEL and its race with the answer.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;
use std::time::Duration;

use rsipstack::sip::uri::ParamsExt;
use rsipstack::sip::{Host, Method, Request, Response, Transport, Uri};
use tokio::time::Instant;

use super::exchange::{self, CallNews};
use super::leg::{End, Flow, Leg, Stage};
use super::{dialog, message};
use crate::control::SipEvent;

/// How long a name may take to be resolved.
const RESOLVE_WAIT: Duration = Duration::from_secs(2);

/// The port of a SIP URI that names none.
const DEFAULT_PORT: u16 = 5060;

/// An INVITE of ours that has no final response.
pub(super) struct Calling {
    invite: Request,
    /// Known at once with a proxy, else once the target's name is resolved.
    destination: Option<SocketAddr>,
    /// True since the first provisional response: only then may CANCEL be sent (RFC 3261 §9.1).
    heard: bool,
    cancel: Cancel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cancel {
    No,
    Wanted(Instant),
    Sent(Instant),
}

impl fmt::Debug for Calling {
    /// Without the INVITE, whose body may hold keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Calling({:?}, {:?})", self.destination, self.cancel)
    }
}

impl Calling {
    /// For an INVITE that goes out as soon as the leg runs, to `proxy` when there is one.
    pub(super) fn new(invite: Request, proxy: Option<SocketAddr>) -> Self {
        Self { invite, destination: proxy, heard: false, cancel: Cancel::No }
    }

    /// When a cancelled INVITE is given up.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.cancel {
            Cancel::No => None,
            Cancel::Wanted(until) | Cancel::Sent(until) => Some(until),
        }
    }
}

impl Leg {
    /// Sends the INVITE of an outgoing leg.
    pub(super) async fn begin(&mut self) -> Flow {
        let Stage::Calling(calling) = &mut self.stage else { return ControlFlow::Continue(()) };
        let found = match calling.destination {
            Some(proxy) => has_route(proxy).map(|()| proxy).map_err(|error| format!("{proxy}: {error}")),
            None => resolve(&calling.invite.uri).await,
        };
        let destination = match found {
            Ok(destination) => destination,
            Err(reason) => return ControlFlow::Break(End::Failed(503, reason)),
        };
        calling.destination = Some(destination);
        match exchange::client(&self.shared.endpoint, calling.invite.clone(), Some(destination)) {
            Some(transaction) => {
                tokio::spawn(exchange::drive_invite(transaction, self.me.clone()));
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(End::Failed(503, "INVITE not sendable".to_owned())),
        }
    }

    /// Gives up on the INVITE; the leg ends with its final response.
    pub(super) fn cancel(&mut self) -> Flow {
        match &mut self.stage {
            Stage::Calling(calling) if calling.cancel == Cancel::No => {
                calling.cancel = Cancel::Wanted(Instant::now() + self.shared.waits.cancel);
                if calling.heard {
                    self.send_cancel();
                }
                ControlFlow::Continue(())
            }
            // The answer was faster.
            Stage::Up => self.hang_up(None),
            _ => ControlFlow::Continue(()),
        }
    }

    fn send_cancel(&mut self) {
        let Stage::Calling(calling) = &mut self.stage else { return };
        calling.cancel = Cancel::Sent(Instant::now() + self.shared.waits.cancel);
        let cancel = dialog::cancel_of(&calling.invite);
        let exchange = exchange::exchange(self.shared.endpoint.clone(), cancel, calling.destination);
        // The leg ends with the INVITE, not with the CANCEL.
        tokio::spawn(exchange);
    }

    /// News of our INVITE.
    pub(super) async fn handle_call(&mut self, news: CallNews) -> Flow {
        let response = match news {
            CallNews::Response(response) => response,
            CallNews::Unsent => return self.fail(503, "INVITE not sent".to_owned()),
            CallNews::Over => return self.fail(408, "INVITE lost".to_owned()),
        };
        match response.status_code.code() {
            100..200 => self.handle_provisional(&response).await,
            200..300 => self.handle_success(&response).await,
            _ => {
                let (code, reason) = message::code_and_reason(&response);
                self.fail(code, reason)
            }
        }
    }

    /// Ends the leg when it still waits for an answer.
    fn fail(&mut self, code: u16, reason: String) -> Flow {
        let Stage::Calling(calling) = &self.stage else { return ControlFlow::Continue(()) };
        if code == 408 && calling.heard && calling.cancel == Cancel::No {
            // Nobody answered for three minutes: the far end must stop ringing (RFC 3261 §16.8).
            self.send_cancel();
        }
        ControlFlow::Break(End::Failed(code, reason))
    }

    async fn handle_provisional(&mut self, response: &Response) -> Flow {
        let Stage::Calling(calling) = &mut self.stage else { return ControlFlow::Continue(()) };
        calling.heard = true;
        if matches!(calling.cancel, Cancel::Wanted(_)) {
            self.send_cancel();
        }
        let (code, reason) = message::code_and_reason(response);
        if code > 100 {
            self.dialog.establish(response);
            let sdp = message::sdp(&response.headers, &response.body);
            self.tell(SipEvent::Progress { leg: self.id, code, reason, sdp }).await;
        }
        ControlFlow::Continue(())
    }

    async fn handle_success(&mut self, response: &Response) -> Flow {
        let Stage::Calling(calling) = &self.stage else {
            self.end_fork(response);
            return ControlFlow::Continue(());
        };
        let cancelled = calling.cancel != Cancel::No;
        if !self.dialog.establish(response) {
            return self.fail(502, "200 without a tag".to_owned());
        }
        if cancelled {
            // CANCEL and 200 crossed: the call is up and has to be taken down (RFC 3261 §9.1).
            self.say_bye_to_nobody();
            return self.fail(487, "cancelled, the answer crossed".to_owned());
        }
        let sdp = message::sdp(&response.headers, &response.body);
        self.tell(SipEvent::Answered { leg: self.id, sdp }).await;
        self.come_up().await
    }

    /// Sends BYE without waiting for its answer.
    fn say_bye_to_nobody(&mut self) {
        let bye = self.dialog.request(&self.shared.endpoint, &self.shared.identity, Method::Bye, &[], None);
        if let Some(bye) = bye {
            tokio::spawn(exchange::exchange(self.shared.endpoint.clone(), bye, None));
        }
    }

    /// Takes down a second dialog that a forked 2xx made; a repeated 2xx of ours is nothing new.
    fn end_fork(&mut self, response: &Response) {
        if self.dialog.is_answer(response) {
            return;
        }
        let Some(mut fork) = self.dialog.fork(response) else { return };
        let bye = fork.request(&self.shared.endpoint, &self.shared.identity, Method::Bye, &[], None);
        if let Some(bye) = bye {
            tokio::spawn(exchange::exchange(self.shared.endpoint.clone(), bye, None));
        }
    }
}

/// Where to send an INVITE for `uri`; the error says why it cannot be sent.
async fn resolve(uri: &Uri) -> Result<SocketAddr, String> {
    if !matches!(uri.transport(), None | Some(Transport::Udp)) {
        return Err("only UDP is spoken".to_owned());
    }
    let port = uri.host_with_port.port.as_ref().map_or(DEFAULT_PORT, |port| port.value());
    let address = match &uri.host_with_port.host {
        Host::IpAddr(ip) => SocketAddr::new(*ip, port),
        Host::Domain(name) => look_up(&name.to_string(), port).await?,
    };
    has_route(address).map_err(|error| format!("{address}: {error}"))?;
    Ok(address)
}

async fn look_up(name: &str, port: u16) -> Result<SocketAddr, String> {
    let lookup = tokio::time::timeout(RESOLVE_WAIT, tokio::net::lookup_host((name, port)));
    let addresses = lookup.await.map_err(|_| format!("{name}: no answer to the name query"))?;
    let mut addresses = addresses.map_err(|error| format!("{name}: {error}"))?;
    addresses.find(SocketAddr::is_ipv4).ok_or_else(|| format!("{name}: no IPv4 address"))
}

/// Connecting a UDP socket sends nothing, but fails where no packet could go.
fn has_route(address: SocketAddr) -> std::io::Result<()> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    std::net::UdpSocket::bind((any, 0))?.connect(address)
}
