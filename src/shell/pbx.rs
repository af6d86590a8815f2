//! The connections to PBXs and webhooks: orders go in, answers come out; what cannot be passed on waits, and expires.
//!
//! One task per `[pbx.NAME]`, started with the server and never ending: it connects, and connects again. The words of
//! the protocols are in `crate::pbx`.

pub(in crate::shell) mod backoff;
mod link;
mod queue;
mod rest;
pub(in crate::shell) mod stream;
mod webhook;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;
use tracing::{info, warn};

use self::link::Link;
use self::queue::{Queue, Reporter, Waiting};
use self::rest::Rest;
use self::stream::Secured;
use self::webhook::Webhook;
use crate::metrics::Metrics;
use crate::pbx::{Answer, Order, Outcome, Secret};
use crate::settings::{PbxKind, PbxSettings, SecretSource};
use crate::shell::sip::client_by;

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
    /// What certificates are checked by.
    by: Arc<ClientConfig>,
}

/// What a connection is made of; while that is the same, it stays.
#[derive(Debug, PartialEq, Eq)]
struct Terms {
    settings: PbxSettings,
    secret: Option<Secret>,
    /// The authorities' file, as it is read.
    authorities: Option<Vec<u8>>,
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
    /// Fetches the secrets and reads the authorities' files.
    ///
    /// # Errors
    /// Of which PBX what is not to be had.
    pub fn read(pbxes: &BTreeMap<String, PbxSettings>) -> Result<FreshPbxes, (String, String)> {
        let pbxes = pbxes.iter().map(|(name, settings)| {
            let fault = |why: String| (name.clone(), why);
            let secret = settings.secret().map(SecretSource::fetch).transpose().map_err(fault)?;
            let file = settings.authorities.as_deref();
            let read = |file: &Path| std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()));
            let authorities = file.map(read).transpose().map_err(fault)?;
            let by = client_by(file).map_err(|error| fault(error.to_string()))?;
            let client = client(&by).map_err(fault)?;
            let terms = Terms { settings: settings.clone(), secret, authorities };
            Ok((name.clone(), FreshPbx { terms, client, by: Arc::new(by) }))
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

    fn connect(&self, name: &str, FreshPbx { terms, client, by }: FreshPbx) -> Connector {
        let Terms { settings, secret, .. } = &terms;
        if let Some(to) = settings.exposed() {
            warn!(pbx = name, to, "the secret and what is said of callers go there unencrypted");
        }
        let (orders, inlet) = mpsc::channel(settings.orders_max);
        let reporter = Reporter::new(name, &self.metrics, &self.answers);
        let queue = Queue::new(inlet, settings.orders_max, reporter.clone());
        let needed = || secret.clone().expect("the configuration is not read without the secret of a PBX");
        match &settings.kind {
            PbxKind::Ami { address, tls, user, .. } => {
                let secured = tls.clone().map(|name| Secured { name, by });
                tokio::spawn(Link::ami(*address, secured, (user, needed()), queue).run());
            }
            PbxKind::Esl { address, .. } => {
                tokio::spawn(Link::esl(*address, needed(), queue).run());
            }
            PbxKind::Ari { url, user, app, .. } => {
                tokio::spawn(Rest::new(url, (user, needed()), (app, &self.run), (client, by), queue).run());
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
pub(super) fn client(by: &ClientConfig) -> Result<reqwest::Client, String> {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).connect_timeout(CONNECT_WAIT);
    client.use_preconfigured_tls(by.clone()).build().map_err(|error| in_words(&error))
}

/// What went wrong with a request, down to the cause, without the URL, which may hold secrets.
pub(super) fn in_words(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// A number by chance, for pauses.
pub(in crate::shell) fn chance() -> u8 {
    let mut octet = [0];
    // Without randomness all servers knock at the same time, which is a pity and no more.
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut octet);
    octet[0]
}

/// How long a connection may take to be made, TLS and the opening of a WebSocket included.
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
mod tests;
