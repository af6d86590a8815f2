//! The connections to PBXs and webhooks: orders go in, answers come out; what cannot be passed on waits, and expires.
//!
//! One task per `[pbx.NAME]`, started with the server and never ending: it connects, and connects again. The words of
//! the protocols are in `crate::pbx`.

mod backoff;
mod link;
mod queue;
mod rest;
mod webhook;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;
use tracing::{info, warn};

use self::link::Link;
use self::queue::{Queue, Reporter, Waiting};
use self::rest::Rest;
use self::webhook::Webhook;
use crate::metrics::Metrics;
use crate::pbx::{Answer, Order, Outcome};
use crate::settings::{PbxKind, PbxSettings};

/// All connections.
pub struct Connectors {
    connectors: BTreeMap<String, (mpsc::Sender<Waiting>, Reporter)>,
}

impl fmt::Debug for Connectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connectors").field(&self.connectors.keys().collect::<Vec<_>>()).finish()
    }
}

impl Connectors {
    /// Starts one task per PBX on the current tokio runtime. `run` is different in every run of the program.
    ///
    /// # Errors
    /// When a secret is not to be had, or HTTP cannot be spoken.
    pub fn start(
        pbxes: &BTreeMap<String, PbxSettings>,
        run: &str,
        metrics: &Metrics,
        answers: &mpsc::Sender<Answer>,
    ) -> Result<Connectors, String> {
        let mut connectors = BTreeMap::new();
        for (name, pbx) in pbxes {
            let secret = pbx.secret().map(|source| source.fetch()).transpose();
            let secret = secret.map_err(|why| format!("pbx.{name}: {why}"))?;
            let (orders, inlet) = mpsc::channel(pbx.orders_max);
            let reporter = Reporter::new(name, metrics, answers);
            let queue = Queue::new(inlet, pbx.orders_max, reporter.clone());
            match (&pbx.kind, secret) {
                (PbxKind::Ami { address, user, .. }, Some(secret)) => {
                    tokio::spawn(Link::ami(*address, user, secret, queue).run());
                }
                (PbxKind::Esl { address, .. }, Some(secret)) => {
                    tokio::spawn(Link::esl(*address, secret, queue).run());
                }
                (PbxKind::Ari { url, user, app, .. }, Some(secret)) => {
                    tokio::spawn(Rest::new(url, user, secret, (app, run), queue)?.run());
                }
                (PbxKind::Webhook { url, .. }, secret) => {
                    tokio::spawn(Webhook::new(url, secret, queue)?.run());
                }
                (_, None) => return Err(format!("pbx.{name}: no secret")),
            }
            connectors.insert(name.clone(), (orders, reporter));
        }
        Ok(Connectors { connectors })
    }

    /// Gives an order; the answer comes out of the channel, or at once when the order cannot be taken.
    pub fn ask(&self, order: Order) -> Option<Answer> {
        let Order { ticket, pbx, deed, within } = order;
        let Some((orders, reporter)) = self.connectors.get(&pbx) else {
            return Some(Answer { ticket, outcome: Outcome::Failed("no PBX of that name".to_owned()) });
        };
        let reason = match orders.try_send(Waiting { ticket, deed, until: Instant::now() + within }) {
            Ok(()) => return None,
            Err(TrySendError::Full(_)) => "too many orders wait for it",
            Err(TrySendError::Closed(_)) => "its connection has ended",
        };
        reporter.count("full");
        Some(Answer { ticket, outcome: Outcome::Failed(reason.to_owned()) })
    }
}

/// A client that follows no redirection: an order is for the one who was named.
fn client() -> Result<reqwest::Client, String> {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).connect_timeout(CONNECT_WAIT);
    client.build().map_err(|error| in_words(&error))
}

/// What went wrong with a request, down to the cause, without the URL, which may hold secrets.
fn in_words(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// A number by chance, for pauses.
fn chance() -> u8 {
    let mut octet = [0];
    // Without randomness all servers knock at the same time, which is a pity and no more.
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut octet);
    octet[0]
}

/// How long an HTTP connection may take to be made.
const CONNECT_WAIT: Duration = Duration::from_secs(3);

/// Says once how things stand, not at every try.
#[derive(Debug)]
struct Standing {
    pbx: String,
    /// Why it is down, as said last; nothing while it is up.
    down: Option<String>,
}

impl Standing {
    fn new(pbx: &str) -> Standing {
        Standing { pbx: pbx.to_owned(), down: Some(String::new()) }
    }

    fn up(&mut self) {
        if self.down.take().is_some() {
            info!(pbx = self.pbx, "the PBX takes orders");
        }
    }

    fn down(&mut self, why: &str) {
        if self.down.as_deref() != Some(why) {
            warn!(pbx = self.pbx, why, "the PBX takes no orders");
            self.down = Some(why.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn https_is_spoken_and_says_what_went_wrong() {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            }
        });
        let client = client().expect("TLS has what it needs");
        let error = client.get(format!("https://{address}/?token=secret")).send().await.expect_err("it speaks no TLS");
        let words = in_words(&error);
        assert!(!words.is_empty() && !words.contains("secret"), "{words}");
    }

    #[test]
    fn an_order_for_nobody_and_one_too_many() {
        let (metrics, (answers, _inlet)) = (Metrics::new(), mpsc::channel(1));
        let (orders, _waiting) = mpsc::channel(1);
        let reporter = Reporter::new("asterisk", &metrics, &answers);
        let connectors = Connectors { connectors: [("asterisk".to_owned(), (orders, reporter))].into() };
        let ask = |number: u64, pbx: &str| {
            let deed = crate::pbx::Deed::Play { channel: "x".to_owned(), media: "y".to_owned() };
            let ticket = crate::pbx::Ticket(number);
            let answer = connectors.ask(Order { ticket, pbx: pbx.to_owned(), deed, within: Duration::from_secs(1) });
            answer.map(|answer| answer.outcome)
        };
        let failed = |why: &str| Some(Outcome::Failed(why.to_owned()));
        let got = [ask(1, "nobody"), ask(2, "asterisk"), ask(3, "asterisk")];
        assert_eq!(got, [failed("no PBX of that name"), None, failed("too many orders wait for it")]);
        assert!(metrics.render().contains("calmline_pbx_orders_total{pbx=\"asterisk\",outcome=\"full\"} 1"));
    }
}
