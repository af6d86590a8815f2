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
use std::sync::{Arc, Weak};
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
use crate::pbx::{Answer, Order, Outcome, Secret};
use crate::settings::{PbxKind, PbxSettings, SecretSource};

/// All connections.
pub struct Connectors {
    /// Different in every run of the program.
    run: String,
    metrics: Metrics,
    answers: mpsc::Sender<Answer>,
    present: BTreeMap<String, Arc<Connector>>,
    /// Those that were taken out, as long as somebody keeps them for calls that began before.
    past: BTreeMap<String, Weak<Connector>>,
}

/// Where one PBX's orders go in. Its task ends with it, once every order has had its time.
struct Connector {
    terms: Terms,
    orders: mpsc::Sender<Waiting>,
    reporter: Reporter,
}

/// PBXs as they are read, with their secrets at hand.
#[derive(Debug)]
pub struct FreshPbxes(BTreeMap<String, FreshPbx>);

#[derive(Debug)]
struct FreshPbx {
    terms: Terms,
    client: reqwest::Client,
}

/// What a connection is made of; while that is the same, it stays.
#[derive(Debug, PartialEq, Eq)]
struct Terms {
    settings: PbxSettings,
    secret: Option<Secret>,
}

/// Connections that were taken out: calls that began before can give orders as long as this is kept.
pub struct PastConnectors {
    _kept: Vec<Arc<Connector>>,
}

impl fmt::Debug for Connectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connectors").field(&self.present.keys().collect::<Vec<_>>()).finish()
    }
}

impl FreshPbxes {
    /// Fetches the secrets.
    ///
    /// # Errors
    /// Of which PBX what is not to be had.
    pub fn read(pbxes: &BTreeMap<String, PbxSettings>) -> Result<FreshPbxes, (String, String)> {
        let pbxes = pbxes.iter().map(|(name, settings)| {
            let fault = |why: String| (name.clone(), why);
            let secret = settings.secret().map(SecretSource::fetch).transpose().map_err(fault)?;
            let (terms, client) = (Terms { settings: settings.clone(), secret }, client().map_err(fault)?);
            Ok((name.clone(), FreshPbx { terms, client }))
        });
        pbxes.collect::<Result<_, _>>().map(FreshPbxes)
    }
}

impl Connectors {
    /// Starts one task per PBX on the current tokio runtime. `run` is different in every run of the program.
    pub fn start(pbxes: FreshPbxes, run: &str, metrics: &Metrics, answers: &mpsc::Sender<Answer>) -> Connectors {
        let (present, past) = (BTreeMap::new(), BTreeMap::new());
        let mut connectors =
            Connectors { run: run.to_owned(), metrics: metrics.clone(), answers: answers.clone(), present, past };
        connectors.exchange(pbxes);
        connectors
    }

    /// Puts others in the place of those that there are. A connection whose settings and secret are the same stays up;
    /// orders that were given to others keep them until they have their answers.
    pub fn exchange(&mut self, FreshPbxes(fresh): FreshPbxes) -> PastConnectors {
        let mut before = std::mem::take(&mut self.present);
        for (name, pbx) in fresh {
            let connector = match before.remove(&name) {
                Some(same) if same.terms == pbx.terms => same,
                old => {
                    let past = self.past.remove(&name).and_then(|past| past.upgrade());
                    for replaced in old.iter().chain(&past) {
                        replaced.reporter.replace();
                    }
                    Arc::new(self.connect(&name, pbx))
                }
            };
            self.present.insert(name, connector);
        }
        self.past.retain(|_, past| past.strong_count() > 0);
        self.past.extend(before.iter().map(|(name, gone)| (name.clone(), Arc::downgrade(gone))));
        PastConnectors { _kept: before.into_values().collect() }
    }

    fn connect(&self, name: &str, FreshPbx { terms, client }: FreshPbx) -> Connector {
        let Terms { settings, secret } = &terms;
        let (orders, inlet) = mpsc::channel(settings.orders_max);
        let reporter = Reporter::new(name, &self.metrics, &self.answers);
        let queue = Queue::new(inlet, settings.orders_max, reporter.clone());
        let needed = || secret.clone().expect("the configuration is not read without the secret of a PBX");
        match &settings.kind {
            PbxKind::Ami { address, user, .. } => {
                tokio::spawn(Link::ami(*address, user, needed(), queue).run());
            }
            PbxKind::Esl { address, .. } => {
                tokio::spawn(Link::esl(*address, needed(), queue).run());
            }
            PbxKind::Ari { url, user, app, .. } => {
                tokio::spawn(Rest::new(url, (user, needed()), (app, &self.run), client, queue).run());
            }
            PbxKind::Webhook { url, .. } => {
                tokio::spawn(Webhook::new(url, secret.clone(), client, queue).run());
            }
        }
        Connector { terms, orders, reporter }
    }

    /// Gives an order; the answer comes out of the channel, or at once when the order cannot be taken.
    pub fn ask(&self, order: Order) -> Option<Answer> {
        let Order { ticket, pbx, deed, within } = order;
        let past = || self.past.get(&pbx).and_then(Weak::upgrade);
        let Some(connector) = self.present.get(&pbx).cloned().or_else(past) else {
            return Some(Answer { ticket, outcome: Outcome::Failed("no PBX of that name".to_owned()) });
        };
        let reason = match connector.orders.try_send(Waiting { ticket, deed, until: Instant::now() + within }) {
            Ok(()) => return None,
            Err(TrySendError::Full(_)) => "too many orders wait for it",
            Err(TrySendError::Closed(_)) => "its connection has ended",
        };
        connector.reporter.count("full");
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

/// Why a connection ends that no order comes by any more.
const NO_LONGER: &str = "it is configured no more";

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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

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

    #[tokio::test]
    async fn an_order_for_nobody_and_one_too_many() {
        let (metrics, (answers, _inlet)) = (Metrics::new(), mpsc::channel(1));
        let (orders, _waiting) = mpsc::channel(1);
        let mut connectors = Connectors::start(FreshPbxes([].into()), "run", &metrics, &answers);
        let reporter = Reporter::new("asterisk", &metrics, &answers);
        let terms = Terms { settings: webhook("http://127.0.0.1:1"), secret: None };
        let connector = Connector { terms, orders, reporter };
        connectors.present.insert("asterisk".to_owned(), Arc::new(connector));
        let ask = |number: u64, pbx: &str| connectors.ask(order(number, pbx)).map(|answer| answer.outcome);
        let failed = |why: &str| Some(Outcome::Failed(why.to_owned()));
        let got = [ask(1, "nobody"), ask(2, "asterisk"), ask(3, "asterisk")];
        assert_eq!(got, [failed("no PBX of that name"), None, failed("too many orders wait for it")]);
        assert!(metrics.render().contains("calmline_pbx_orders_total{pbx=\"asterisk\",outcome=\"full\"} 1"));
    }

    #[tokio::test]
    async fn what_has_not_changed_stays_connected_and_what_has_gone_serves_those_who_keep_it() {
        let [first, second] = [listen().await, listen().await];
        let (metrics, (answers, mut told)) = (Metrics::new(), mpsc::channel(8));
        let mut connectors = Connectors::start(hooks(&[("a", &first), ("b", &second)]), "run", &metrics, &answers);
        let connection = |connectors: &Connectors, name: &str| Arc::as_ptr(&connectors.present[name]);
        let (a, b) = (connection(&connectors, "a"), connection(&connectors, "b"));

        // The same again, another address, and one that is new.
        let _kept = connectors.exchange(hooks(&[("a", &first), ("b", &first), ("c", &first)]));
        assert_eq!((connection(&connectors, "a") == a, connection(&connectors, "b") == b), (true, false));
        assert!(connectors.ask(order(1, "b")).is_none() && connectors.ask(order(2, "c")).is_none());
        // One whose answer is still to come when it is taken out.
        assert!(connectors.ask(order(3, "a")).is_none());
        let past = connectors.exchange(hooks(&[("b", &first)]));
        assert!(connectors.ask(order(4, "a")).is_none(), "for a call that began before");
        for _ in 0..4 {
            let (mut stream, _) = first.accept().await.expect("a request");
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .await
                .expect("taken");
        }
        let mut done = Vec::new();
        for _ in 0..4 {
            let answer = told.recv().await.expect("connectors live");
            assert_eq!(answer.outcome, Outcome::Done, "{answer:?}");
            done.push(answer.ticket.0);
        }
        done.sort_unstable();
        assert_eq!(done, [1, 2, 3, 4]);

        drop(past);
        let refused = connectors.ask(order(5, "a")).map(|answer| answer.outcome);
        assert_eq!(refused, Some(Outcome::Failed("no PBX of that name".to_owned())));
        while !metrics.render().contains("calmline_pbx_up{pbx=\"a\"} NaN") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(metrics.render().contains("calmline_pbx_up{pbx=\"b\"} 1"), "{}", metrics.render());
    }

    #[tokio::test]
    async fn a_connection_that_is_configured_no_more_is_closed() {
        let far = listen().await;
        let kind =
            PbxKind::Esl { address: far.local_addr().expect("an address"), secret: SecretSource::Variable("S".into()) };
        let terms = Terms { settings: PbxSettings { kind, ..webhook("") }, secret: Some(Secret::new("ours")) };
        let pbxes = FreshPbxes([("switch".to_owned(), FreshPbx { terms, client: client().expect("HTTP") })].into());
        let (metrics, (answers, _told)) = (Metrics::new(), mpsc::channel(8));
        let mut connectors = Connectors::start(pbxes, "run", &metrics, &answers);
        let (mut stream, _) = far.accept().await.expect("a connection");
        stream.write_all(b"Content-Type: auth/request\n\n").await.expect("taken");
        let mut said = [0; 64];
        let length = stream.read(&mut said).await.expect("a password");
        assert_eq!(&said[..length], b"auth ours\n\n");
        stream.write_all(b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n").await.expect("taken");
        while !metrics.render().contains("calmline_pbx_up{pbx=\"switch\"} 1") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(connectors.exchange(FreshPbxes([].into())));
        let end = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut said)).await;
        assert_eq!(end.expect("it is closed").expect("in good order"), 0);
    }

    async fn listen() -> tokio::net::TcpListener {
        tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port")
    }

    fn hooks(named: &[(&str, &tokio::net::TcpListener)]) -> FreshPbxes {
        let pbxes = named.iter().map(|(name, listener)| {
            let address = listener.local_addr().expect("an address");
            ((*name).to_owned(), webhook(&format!("http://{address}/")))
        });
        FreshPbxes::read(&pbxes.collect()).expect("nothing is secret")
    }

    fn webhook(url: &str) -> PbxSettings {
        PbxSettings {
            kind: PbxKind::Webhook { url: url.to_owned(), secret: None },
            channel_header: String::new(),
            within: Duration::from_secs(5),
            orders_max: 8,
        }
    }

    fn order(number: u64, pbx: &str) -> Order {
        let deed = crate::pbx::Deed::Play { channel: "x".to_owned(), media: "y".to_owned() };
        Order { ticket: crate::pbx::Ticket(number), pbx: pbx.to_owned(), deed, within: Duration::from_secs(5) }
    }
}
