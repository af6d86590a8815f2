//! Drives single SIP transactions: sends ours to their final response, keeps theirs alive until they are over.
//!
//! Knows no leg: whoever starts a transaction says where the news goes. A transaction is driven to its end even when
//! its leg is gone, so that retransmissions are still answered.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use rsipstack::sip::{Method, Request, Response, SipMessage, StatusCode, StatusCodeKind};
use rsipstack::transaction::Transaction;
use rsipstack::transaction::endpoint::EndpointInnerRef;
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transaction::transaction::{TransactionEvent, TransactionEventSender};
use rsipstack::transport::SipAddr;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::dialog;
use super::leg::Input;
use super::message::{self, Identity, Reply};

/// What became of a request of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Final status code; 408 without an answer or when it could not be sent.
    pub(super) code: u16,
    /// Its reason phrase.
    pub(super) reason: String,
}

impl Outcome {
    fn new(code: u16, reason: &str) -> Self {
        Self { code, reason: reason.to_owned() }
    }
}

/// News of an INVITE that we sent.
pub(super) enum CallNews {
    /// A response, also each retransmitted or forked 2xx; the stack has sent the ACK.
    Response(Box<Response>),
    /// It could not be sent.
    Unsent,
    /// The transaction is over.
    Over,
}

/// News of a request that we answer ourselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerNews {
    /// The ACK of our final response.
    Acknowledged,
    /// A CANCEL, already answered with 200.
    Cancelled,
    /// The transaction is over.
    Over,
}

/// Answers one request of the far end.
pub(super) struct Responder {
    request: Request,
    queue: TransactionEventSender,
    tag: String,
}

impl fmt::Debug for Responder {
    /// Without the request, whose body may hold keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Responder({})", self.request.method)
    }
}

impl Responder {
    /// For `transaction`, which `drive_server` drives; `tag` is our tag in To.
    pub(super) fn new(transaction: &Transaction, tag: &str) -> Self {
        Self { request: transaction.original.clone(), queue: transaction.tu_sender.clone(), tag: tag.to_owned() }
    }

    /// Sends a response; retransmissions are the stack's business.
    pub(super) fn respond(&self, identity: &Identity, reply: &Reply<'_>) {
        let response = message::response(&self.request, &self.tag, identity, reply);
        if self.queue.send(TransactionEvent::Respond(response)).is_err() {
            tracing::debug!(code = reply.code, "the transaction was over before its response");
        }
    }
}

/// A client transaction for `request`.
pub(super) fn client(
    endpoint: &EndpointInnerRef,
    request: Request,
    destination: Option<SocketAddr>,
) -> Option<Box<Transaction>> {
    let key = TransactionKey::from_request(&request, TransactionRole::Client).ok()?;
    let mut transaction = Transaction::new_client(key, request, endpoint.clone(), None);
    transaction.destination = destination.map(udp);
    Some(Box::new(transaction))
}

/// Sends a request other than INVITE and waits for its final response (at most 64*T1, 32 s).
pub(super) async fn exchange(endpoint: EndpointInnerRef, request: Request, destination: Option<SocketAddr>) -> Outcome {
    let Some(mut transaction) = client(&endpoint, request, destination) else {
        return Outcome::new(408, "not sendable");
    };
    if let Err(error) = transaction.send().await {
        return Outcome::new(408, &format!("not sent: {error}"));
    }
    while let Some(received) = transaction.receive().await {
        if let SipMessage::Response(response) = received
            && response.status_code.kind() != StatusCodeKind::Provisional
        {
            let (code, reason) = message::code_and_reason(&response);
            return Outcome { code, reason };
        }
    }
    Outcome::new(408, "No answer")
}

/// Sends an INVITE and tells `inbox` everything that comes back, until the transaction is over.
pub(super) async fn drive_invite(mut transaction: Box<Transaction>, inbox: mpsc::Sender<Input>) {
    if let Err(error) = transaction.send().await {
        tracing::warn!(%error, "INVITE not sent");
        tell(&inbox, Input::Call(CallNews::Unsent)).await;
        return;
    }
    while let Some(received) = transaction.receive().await {
        if let SipMessage::Response(response) = received {
            tell(&inbox, Input::Call(CallNews::Response(Box::new(response)))).await;
        }
    }
    tell(&inbox, Input::Call(CallNews::Over)).await;
}

/// Sends a re-INVITE and tells `inbox` its final response; one that rings for longer than `patience` is cancelled.
pub(super) async fn drive_reinvite(mut transaction: Box<Transaction>, patience: Duration, inbox: mpsc::Sender<Input>) {
    if let Err(error) = transaction.send().await {
        tracing::warn!(%error, "re-INVITE not sent");
        return tell(&inbox, Input::Reinvited(None)).await;
    }
    let mut inbox = Some(inbox);
    let mut canceller: Option<JoinHandle<()>> = None;
    while let Some(received) = transaction.receive().await {
        let SipMessage::Response(response) = received else { continue };
        if response.status_code.kind() == StatusCodeKind::Provisional {
            // Only now may it be cancelled (RFC 3261 §9.1).
            let (endpoint, cancel) = (transaction.endpoint_inner.clone(), dialog::cancel_of(&transaction.original));
            canceller.get_or_insert_with(|| tokio::spawn(cancel_after(patience, endpoint, cancel)));
        } else if let Some(inbox) = inbox.take() {
            tell(&inbox, Input::Reinvited(Some(Box::new(response)))).await;
        }
        if inbox.is_none()
            && let Some(canceller) = canceller.take()
        {
            canceller.abort();
        }
    }
    if let Some(inbox) = inbox {
        tell(&inbox, Input::Reinvited(None)).await;
    }
}

async fn cancel_after(patience: Duration, endpoint: EndpointInnerRef, cancel: Request) {
    tokio::time::sleep(patience).await;
    let outcome = exchange(endpoint, cancel, None).await;
    tracing::debug!(code = outcome.code, "a re-INVITE that rang was cancelled");
}

/// Keeps a request of the far end alive until it is over; `name` makes the news known to `inbox`.
///
/// A leg that ends without a final word (it can only have panicked) leaves the far end with 500.
pub(super) async fn drive_server(
    mut transaction: Box<Transaction>,
    inbox: mpsc::Sender<Input>,
    name: impl Fn(ServerNews) -> Input + Send,
) {
    let mut has_leg = true;
    loop {
        // In this order: what the leg said last is sent before its end is noticed.
        let received = tokio::select! {
            biased;
            received = transaction.receive() => received,
            () = inbox.closed(), if has_leg => {
                has_leg = false;
                answer_for_nobody(&mut transaction).await;
                continue;
            }
        };
        let request = match received {
            Some(SipMessage::Request(request)) => request,
            Some(SipMessage::Response(_)) => continue,
            None => break,
        };
        match request.method {
            Method::Ack => tell(&inbox, name(ServerNews::Acknowledged)).await,
            Method::Cancel => tell(&inbox, name(ServerNews::Cancelled)).await,
            _ => {}
        }
    }
    tell(&inbox, name(ServerNews::Over)).await;
}

async fn answer_for_nobody(transaction: &mut Transaction) {
    let is_final = transaction.last_response.as_ref().is_some_and(|response| response.status_code.code() >= 200);
    if !is_final && let Err(error) = transaction.reply(StatusCode::ServerInternalError).await {
        tracing::debug!(%error, "500 not sent");
    }
}

/// A leg that is gone needs no news.
async fn tell(inbox: &mpsc::Sender<Input>, input: Input) {
    let _ = inbox.send(input).await;
}

/// Answers a request at once; an INVITE's refusal is not retransmitted, only repeated when the INVITE is.
pub(super) async fn refuse(mut transaction: Transaction, tag: &str, identity: &Identity, reply: &Reply<'_>) {
    let response = message::response(&transaction.original, tag, identity, reply);
    if let Err(error) = transaction.respond(response).await {
        tracing::debug!(%error, code = reply.code, "response not sent");
    }
}

/// The address as the stack wants it.
fn udp(address: SocketAddr) -> SipAddr {
    SipAddr { r#type: Some(rsipstack::sip::Transport::Udp), ..SipAddr::from(address) }
}
