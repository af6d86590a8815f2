//! Drives single SIP transactions: sends ours to their final response, keeps theirs alive until they are over.
//!
//! Knows no leg: whoever starts a transaction says where the news goes. A transaction is driven to its end even when
//! its leg is gone, so that retransmissions are still answered.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use rsipstack::platform::CancellationToken;
use rsipstack::sip::{Method, Request, Response, SipMessage, StatusCode, StatusCodeKind, Uri};
use rsipstack::transaction::Transaction;
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transaction::transaction::{TransactionEvent, TransactionEventSender};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::dialog::Sequence;
use super::leg::Input;
use super::message::{self, Identity, Reply, session};
use super::transport::Link;
use super::trunk::Trunk;
use super::{Shared, astray, dialog, vouch};
use crate::control::{Description, SessionTerms};

/// How often one request is sent again with credentials: a nonce may be old once.
const TRIES_MAX: usize = 3;

/// How often a probe is tried that cannot be sent.
const PROBES_MAX: usize = 3;

/// What became of a request of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Final status code; 408 without an answer or when it could not be sent.
    pub(super) code: u16,
    /// Its reason phrase.
    pub(super) reason: String,
    /// What it says of the session timer.
    pub(super) session: SessionTerms,
}

impl Outcome {
    /// As if the far end had said so.
    pub(super) fn new(code: u16, reason: &str) -> Self {
        Self { code, reason: reason.to_owned(), session: SessionTerms::default() }
    }

    fn of(response: Option<&Response>) -> Self {
        let Some(response) = response else { return Self::new(408, "No answer") };
        let (code, reason) = message::code_and_reason(response);
        Self { code, reason, session: session::terms(response) }
    }
}

/// News of an INVITE that we sent.
pub(super) enum CallNews {
    /// A response, also each retransmitted or forked 2xx; the stack has sent the ACK.
    Response(Box<Response>),
    /// It could not be sent.
    Unsent,
    /// The connection went away before the answer.
    Lost,
    /// The transaction is over.
    Over,
}

/// What is to become of an INVITE that we sent.
pub(super) struct Fate {
    trunk: Option<Arc<Trunk>>,
    /// Another place has the call: this one must neither ring nor be up.
    is_given_up: AtomicBool,
    /// The highest class of responses that it was taken down for; a repeated ringing or answer is nothing new.
    dismissed: AtomicU16,
}

impl Fate {
    /// Of one that goes to `trunk`, when it is one, and is wanted.
    pub(super) fn new(trunk: Option<Arc<Trunk>>) -> Self {
        Self { trunk, is_given_up: AtomicBool::new(false), dismissed: AtomicU16::new(0) }
    }

    /// From now on its leg hears nothing of it, and a call that comes of it is taken down.
    pub(super) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }
}

/// News of a request that we answer ourselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ServerNews {
    /// The ACK of our final response, with its body when that is SDP.
    Acknowledged(Option<Description>),
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
    /// Who we are on the way that the request came by.
    identity: Identity,
}

impl fmt::Debug for Responder {
    /// Without the request, whose body may hold keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Responder({})", self.request.method)
    }
}

impl Responder {
    /// For `transaction`, which `drive_server` drives; `tag` is our tag in To.
    pub(super) fn new(shared: &Shared, transaction: &Transaction, tag: &str) -> Self {
        let (request, queue) = (transaction.original.clone(), transaction.tu_sender.clone());
        Self { request, queue, tag: tag.to_owned(), identity: shared.identity(transaction) }
    }

    /// Sends a response; retransmissions are the stack's business.
    pub(super) fn respond(&self, reply: &Reply<'_>) {
        let response = message::response(&self.request, &self.tag, &self.identity, reply);
        if self.queue.send(TransactionEvent::Respond(response)).is_err() {
            tracing::debug!(code = reply.code, "the transaction was over before its response");
        }
    }
}

/// The way that a request takes.
#[derive(Clone)]
pub(super) enum Way {
    /// This one.
    Link(Link),
    /// Of a request inside a dialog: the connection that it came by, while that is up, else where the URI leads. What
    /// leads back to a far end by UDP is always up.
    Dialog {
        /// The connection.
        flow: Option<Link>,
        /// The URI.
        next: Uri,
    },
}

impl Way {
    /// Opens it for `request`.
    async fn open(&self, shared: &Shared, request: &Request) -> Result<Link, String> {
        match self {
            Way::Link(link) => Ok(link.clone()),
            Way::Dialog { flow: Some(flow), .. } if flow.is_open() => Ok(flow.clone()),
            Way::Dialog { next, .. } => shared.router.open_for(next, Some(request)).await,
        }
    }
}

/// What a request is sent again with when it is challenged.
#[derive(Debug, Clone)]
pub(super) struct Voucher {
    /// Whose credentials.
    pub(super) trunk: Option<Arc<Trunk>>,
    /// The numbers of its dialog's requests.
    pub(super) sequence: Sequence,
}

impl Voucher {
    /// `request` with credentials, when `response` asks for them and they are at hand.
    pub(super) fn again(&self, request: &Request, response: &Response) -> Option<Request> {
        let own = self.trunk.as_ref()?.own.as_ref()?;
        vouch::again(request, response, own, || self.sequence.next())
    }
}

/// A client transaction for `request`, which has no Via yet, over `link`, to `trunk` when it is one.
pub(super) fn client(
    shared: &Shared,
    mut request: Request,
    link: &Link,
    trunk: Option<&Arc<Trunk>>,
) -> Option<Box<Transaction>> {
    let asks = trunk.is_some_and(|trunk| trunk.settings.overload_feedback);
    shared.transports.stamper.stamp(&mut request, link, asks);
    client_as_is(shared, request, link)
}

/// What comes next of a transaction of ours; what a response says of the load at the other end of `link` is noted.
async fn receive(shared: &Shared, transaction: &mut Transaction, link: &Link) -> Option<SipMessage> {
    let received = transaction.receive().await?;
    if let SipMessage::Response(response) = &received {
        shared.keeper.note(&transaction.original, response, link);
    }
    Some(received)
}

fn client_as_is(shared: &Shared, request: Request, link: &Link) -> Option<Box<Transaction>> {
    let key = TransactionKey::from_request(&request, TransactionRole::Client).ok()?;
    let connection = Some(link.connection.clone());
    let mut transaction = Transaction::new_client(key, request, shared.endpoint.clone(), connection);
    transaction.destination = Some(link.destination.clone());
    Some(Box::new(transaction))
}

/// Sends a request other than INVITE and waits for its final response (at most 64*T1, 32 s).
pub(super) async fn exchange(shared: &Shared, request: Request, way: &Way, voucher: &Voucher) -> Outcome {
    Outcome::of(converse(shared, request, way, voucher).await.as_ref())
}

/// As `exchange`, but what cannot be sent, or loses its connection, is tried again for half a minute: a far end that
/// starts anew, or changes its network, is there all the same.
pub(super) async fn probe(shared: &Shared, request: Request, way: &Way, voucher: &Voucher) -> Outcome {
    for _ in 1..PROBES_MAX {
        let answer = insist(shared, request.clone(), way, voucher).await;
        if !matches!(answer, Err(Unanswered::Unsent)) {
            return Outcome::of(answer.ok().as_ref());
        }
        tokio::time::sleep(shared.waits.probe).await;
    }
    exchange(shared, request, way, voucher).await
}

/// As `exchange`, with the whole final response; nothing when there is none.
pub(super) async fn converse(shared: &Shared, request: Request, way: &Way, voucher: &Voucher) -> Option<Response> {
    insist(shared, request, way, voucher).await.ok()
}

/// Why a request has no final response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unanswered {
    /// It could not be sent, or its connection broke.
    Unsent,
    /// Nobody has said anything.
    Silent,
}

/// Sends a request, again with credentials when it is challenged.
async fn insist(shared: &Shared, mut request: Request, way: &Way, voucher: &Voucher) -> Result<Response, Unanswered> {
    for _ in 1..TRIES_MAX {
        let response = once(shared, &request, way, voucher).await?;
        match voucher.again(&request, &response) {
            Some(again) => request = again,
            None => return Ok(response),
        }
    }
    once(shared, &request, way, voucher).await
}

async fn once(shared: &Shared, request: &Request, way: &Way, voucher: &Voucher) -> Result<Response, Unanswered> {
    let link = match way.open(shared, request).await {
        Ok(link) => link,
        Err(why) => {
            tracing::debug!(method = %request.method, why, "a request leads nowhere");
            return Err(Unanswered::Unsent);
        }
    };
    let transaction = client(shared, request.clone(), &link, voucher.trunk.as_ref()).ok_or(Unanswered::Unsent)?;
    final_response(shared, transaction, &link).await
}

async fn final_response(
    shared: &Shared,
    mut transaction: Box<Transaction>,
    link: &Link,
) -> Result<Response, Unanswered> {
    if let Err(error) = transaction.send().await {
        tracing::debug!(%error, "a request was not sent");
        return Err(Unanswered::Unsent);
    }
    let closed = link.closed();
    loop {
        let received = tokio::select! {
            biased;
            received = receive(shared, &mut transaction, link) => received.ok_or(Unanswered::Silent)?,
            () = cancelled(closed.as_ref()) => return Err(Unanswered::Unsent),
        };
        if let SipMessage::Response(response) = received
            && response.status_code.kind() != StatusCodeKind::Provisional
        {
            return Ok(response);
        }
    }
}

/// Cancels an INVITE that was sent over `link`; the INVITE itself ends with its own final response.
pub(super) async fn cancel(shared: Arc<Shared>, invite: Request, link: Link) {
    let Some(transaction) = client_as_is(&shared, dialog::cancel_of(&invite), &link) else { return };
    let response = final_response(&shared, transaction, &link).await.ok();
    tracing::debug!(code = response.map(|response| response.status_code.code()), "CANCEL is over");
}

async fn cancelled(token: Option<&CancellationToken>) {
    match token {
        Some(token) => token.cancelled().await,
        None => std::future::pending().await,
    }
}

/// Sends an INVITE and tells `inbox` everything that comes back, until the transaction is over; `attempt` is which of
/// the leg's INVITEs it is.
///
/// When the leg is over before, or `fate` says so, a call that comes of it all the same is taken down: it must neither
/// ring nor be up.
pub(super) async fn drive_invite(
    shared: Arc<Shared>,
    mut transaction: Box<Transaction>,
    link: Link,
    (attempt, fate): (usize, Arc<Fate>),
    inbox: mpsc::Sender<Input>,
) {
    if let Err(error) = transaction.send().await {
        tracing::warn!(%error, "INVITE not sent");
        tell(&inbox, Input::Call(attempt, CallNews::Unsent)).await;
        return;
    }
    let (closed, mut is_final) = (link.closed(), false);
    loop {
        let received = tokio::select! {
            biased;
            received = receive(&shared, &mut transaction, &link) => received,
            () = cancelled(closed.as_ref()), if !is_final => {
                return tell(&inbox, Input::Call(attempt, CallNews::Lost)).await;
            }
        };
        match received {
            Some(SipMessage::Response(response)) => {
                is_final |= response.status_code.kind() != StatusCodeKind::Provisional;
                let news = Input::Call(attempt, CallNews::Response(Box::new(response.clone())));
                if fate.is_given_up.load(Ordering::Relaxed) || inbox.send(news).await.is_err() {
                    dismiss(&shared, &transaction.original, &response, &link, &fate);
                }
            }
            Some(SipMessage::Request(_)) => {}
            None => break,
        }
    }
    tell(&inbox, Input::Call(attempt, CallNews::Over)).await;
}

/// Takes down the call of an INVITE that nobody wants any more, as far as `response` says that it is one.
pub(super) fn dismiss(shared: &Arc<Shared>, invite: &Request, response: &Response, link: &Link, fate: &Fate) {
    let code = response.status_code.code();
    if fate.dismissed.fetch_max(code / 100, Ordering::Relaxed) >= code / 100 {
        return;
    }
    match code {
        // It may be answered all the same.
        100..200 => drop(tokio::spawn(cancel(shared.clone(), invite.clone(), link.clone()))),
        200..300 => {
            let Some(mut dialog) = dialog::Dialog::of_answer(invite, response) else { return };
            let bye = dialog.request(shared.user_agent(), Method::Bye, &[], None);
            let is_kept = |link: &Link| link.closed().is_some() || astray::leads_back(&dialog, link);
            let flow = Some(link.clone()).filter(is_kept);
            let way = Way::Dialog { flow, next: dialog.next_uri() };
            let voucher = Voucher { trunk: fate.trunk.clone(), sequence: dialog.sequence() };
            let shared = shared.clone();
            tokio::spawn(async move { exchange(&shared, bye, &way, &voucher).await });
        }
        _ => {}
    }
}

/// Sends a re-INVITE and tells `inbox` its final response; one that rings for longer than the leg waits is cancelled.
pub(super) async fn drive_reinvite(
    shared: Arc<Shared>,
    mut request: Request,
    way: Way,
    voucher: Voucher,
    inbox: mpsc::Sender<Input>,
) {
    for _ in 0..TRIES_MAX {
        let link = way.open(&shared, &request).await.inspect_err(|why| tracing::warn!(why, "re-INVITE not sent")).ok();
        let transaction = link.as_ref().and_then(|link| client(&shared, request.clone(), link, voucher.trunk.as_ref()));
        let (Some(link), Some(transaction)) = (link, transaction) else { break };
        let is_challenge = |response: &Response| voucher.again(&request, response);
        match reinvite_once(&shared, transaction, link, is_challenge, &inbox).await {
            Some(again) => request = again,
            None => return,
        }
    }
    tell(&inbox, Input::Reinvited(None)).await;
}

/// The request that is to be sent instead, when it was challenged; else everything has been told.
async fn reinvite_once(
    shared: &Arc<Shared>,
    mut transaction: Box<Transaction>,
    link: Link,
    is_challenge: impl Fn(&Response) -> Option<Request>,
    inbox: &mpsc::Sender<Input>,
) -> Option<Request> {
    if let Err(error) = transaction.send().await {
        tracing::warn!(%error, "re-INVITE not sent");
        tell(inbox, Input::Reinvited(None)).await;
        return None;
    }
    let (mut is_told, closed) = (false, link.closed());
    let mut canceller: Option<JoinHandle<()>> = None;
    loop {
        let received = tokio::select! {
            biased;
            received = receive(shared, &mut transaction, &link) => received,
            () = cancelled(closed.as_ref()), if !is_told => None,
        };
        let response = match received {
            Some(SipMessage::Response(response)) => response,
            Some(SipMessage::Request(_)) => continue,
            None => break,
        };
        if response.status_code.kind() == StatusCodeKind::Provisional {
            // Only now may it be cancelled (RFC 3261 §9.1).
            let (shared, invite, link) = (shared.clone(), transaction.original.clone(), link.clone());
            canceller.get_or_insert_with(|| tokio::spawn(cancel_after(shared, invite, link)));
        } else if !is_told {
            if let Some(again) = is_challenge(&response) {
                return Some(again);
            }
            is_told = true;
            tell(inbox, Input::Reinvited(Some(Box::new(response)))).await;
        }
        if is_told && let Some(canceller) = canceller.take() {
            canceller.abort();
        }
    }
    if !is_told {
        tell(inbox, Input::Reinvited(None)).await;
    }
    None
}

async fn cancel_after(shared: Arc<Shared>, invite: Request, link: Link) {
    tokio::time::sleep(shared.waits.reinvite).await;
    tracing::debug!("a re-INVITE that rings is cancelled");
    cancel(shared, invite, link).await;
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
            Method::Ack => {
                let sdp = message::sdp(&request.headers, &request.body);
                tell(&inbox, name(ServerNews::Acknowledged(sdp))).await;
            }
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
pub(super) async fn refuse(shared: &Shared, mut transaction: Transaction, tag: &str, reply: &Reply<'_>) {
    let response = message::response(&transaction.original, tag, &shared.identity(&transaction), reply);
    if let Err(error) = transaction.respond(response).await {
        tracing::debug!(%error, code = reply.code, "response not sent");
    }
}

/// Asks for credentials; `challenges` are the values of WWW-Authenticate.
pub(super) async fn challenge(shared: &Shared, mut transaction: Transaction, tag: &str, challenges: Vec<String>) {
    let identity = shared.identity(&transaction);
    let mut response = message::response(&transaction.original, tag, &identity, &Reply::code(401));
    for value in challenges {
        response.headers.push(rsipstack::sip::Header::WwwAuthenticate(value.into()));
    }
    if let Err(error) = transaction.respond(response).await {
        tracing::debug!(%error, "401 not sent");
    }
}
