//! What the nodes of a site have together in one database: what reports need of calls, alerts that wait, which reports were made,
//! and leases, by which one of them does what is done once.
//!
//! All else of a store is one node's, which alone writes to it. What is here is written by all, a row by one statement, so that no
//! two can be in each other's way; it is sealed by a secret of the site, which every node's master key opens.

mod accounts;
mod between;
mod configuration;
mod door;
mod parcels;
mod sessions;

use std::time::Duration;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hkdf, hmac};
use tracing::warn;

pub use configuration::SiteFile;
pub(super) use door::Door;
pub use sessions::SiteSession;

use super::Store;
use super::embedded::Embedded;
use super::keys::KeyError;
use super::trees::{Batch, Order, Together, Tree, Trees};
use crate::crm::Parcel;
use crate::escalation::{AlertName, WaitingAlert};
use crate::report::CallFacts;
use crate::web::Moment;

/// Version of what is sealed here.
const VERSION: u8 = 1;
/// Facts that are written together.
const TOGETHER_MAX: usize = 1_000;
/// How long it may take to take over another node's alerts.
const TAKING_OVER: Duration = Duration::from_secs(60);
/// Whoever writes and sends reports.
pub const REPORTS_LEASE: &str = "reports";
/// Whoever removes what has become too old.
const RETENTION_LEASE: &str = "retention";
const RETENTION_LASTS: Duration = Duration::from_secs(300);
/// Facts that are removed at a time: many more take longer than a query may.
pub(super) const FACTS_SWEEP_MAX: u32 = 10_000;
/// What the lease of a node's alerts is called, before its name.
const ALERTS_LEASE: &str = "alerts/";

/// A call's place in the list of facts: when it started, then its name, which is its node's own.
type Place = [u8; 24];

/// What waited at a node that is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TakenOver {
    /// The node.
    pub node: String,
    /// Alerts that nobody has reacted to.
    pub alerts: Vec<WaitingAlert>,
    /// What systems outside are still to be told.
    pub parcels: Vec<Parcel>,
    /// Why that may not be all, where it is not: the rest waits as this node's already, or is taken over once its lease lapses again.
    pub fault: Option<String>,
}

/// One node's view of its site.
pub(super) struct Site {
    together: Together,
    /// What the nodes are together, and which of them this is.
    name: String,
    node: String,
    /// What stands before all that is this node's.
    own: [u8; 16],
    key: LessSafeKey,
    index: hmac::Key,
    accounts: Tree,
    alerts: Tree,
    parcels: Tree,
    configuration: Tree,
    facts: Tree,
    made: Tree,
    minutes: Tree,
    sessions: Tree,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Site({:?})", self.node)
    }
}

impl Site {
    /// Takes part in a site, by a name that no other node has.
    ///
    /// # Errors
    /// When the database does not answer, the name is taken, or the site's secret was sealed by another master key.
    pub(super) fn open(trees: &Trees, door: &Door) -> Result<Self, String> {
        let (site, node) = (&door.settings.name, &door.settings.node);
        let together = trees.together(name_of(&["site", site]))?;
        if !together.take_name(name_of(&["node", site, node]))? {
            return Err(format!("a node \"{node}\" of the site \"{site}\" runs already: each has a name of its own"));
        }
        let secret = door.secret(&together)?;
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, b"calmline site").extract(&secret);
        let sealing = [&b"sealing, version 1"[..]];
        let sealing = secret.expand(&sealing, &AES_256_GCM).expect("32 octets are within the limit");
        let naming = [&b"naming, version 1"[..]];
        let naming = secret.expand(&naming, hmac::HMAC_SHA256).expect("32 octets are within the limit");
        let between = [&b"between nodes, version 1"[..]];
        let between = secret.expand(&between, &AES_256_GCM).expect("32 octets are within the limit");
        door.note_between(LessSafeKey::new(UnboundKey::from(between)));
        let tree = |name| together.tree(name);
        Ok(Self {
            name: site.clone(),
            node: node.clone(),
            own: name_of(&["node", site, node]),
            key: LessSafeKey::new(UnboundKey::from(sealing)),
            index: door.note_index(hmac::Key::from(naming)),
            accounts: tree("accounts"),
            alerts: tree("alerts"),
            parcels: tree("parcels"),
            configuration: tree("configuration"),
            facts: tree("facts"),
            made: tree("made"),
            minutes: tree("minutes"),
            sessions: tree(sessions::TREE),
            together,
        })
    }

    /// Whether this node has a lease, which it takes where nobody has it, and keeps for so long from now on.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) fn has_lease(&self, lease: &str, lasts: Duration) -> Result<bool, String> {
        self.together.take_lease(lease, &self.node, lasts)
    }

    /// Writes down alerts of this node as they are now, and removes those that wait no longer.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) fn keep_alerts(&self, changes: &[(AlertName, Option<WaitingAlert>)]) -> Result<(), String> {
        let mut batch = Batch::default();
        for (name, alert) in changes {
            let plain_name = serde_json::to_vec(name).map_err(|error| error.to_string())?;
            let name = self.blind(b"alert ", &plain_name);
            let at = [self.own, name].concat();
            match alert {
                Some(alert) => {
                    let plain = serde_json::to_vec(alert).map_err(|error| error.to_string())?;
                    batch.insert(at, self.seal(&[b"alert ", &name[..]].concat(), &plain)?);
                }
                None => batch.remove(at),
            }
        }
        self.alerts.apply(batch)
    }

    /// This node's alerts that wait.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) fn alerts(&self) -> Result<Vec<WaitingAlert>, String> {
        let pairs = self.alerts.scan_prefix(&self.own).collect::<Result<Vec<_>, String>>()?;
        Ok(pairs.iter().filter_map(|(key, sealed)| self.alert(key, sealed)).collect())
    }

    fn alert(&self, key: &[u8], sealed: &[u8]) -> Option<WaitingAlert> {
        let context = [b"alert ", &key[self.own.len().min(key.len())..]].concat();
        let opened = self.unseal(&context, sealed);
        let alert = opened.and_then(|plain| serde_json::from_slice(&plain).map_err(|error| error.to_string()));
        // One that cannot be read is no reason to forget all others.
        alert.inspect_err(|why| warn!(why, "an alert of before cannot be read")).ok()
    }

    /// Whether this node has its alerts' steps told for so long from now on: no other one has taken them over.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) fn has_alerts_lease(&self, lasts: Duration) -> Result<bool, String> {
        self.has_lease(&alerts_lease(&self.node), lasts)
    }

    /// Takes over the alerts and deliveries of nodes that have let their leases lapse, up to the first one where that fails.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) fn take_over(&self) -> Result<Vec<TakenOver>, String> {
        let mut taken = Vec::new();
        for lease in self.together.lapsed_leases(ALERTS_LEASE)? {
            let node = lease.strip_prefix(ALERTS_LEASE).unwrap_or_default();
            if node == self.node {
                continue;
            }
            let mut theirs = TakenOver { node: node.to_owned(), ..TakenOver::default() };
            match self.take_over_from(&lease, &mut theirs) {
                Ok(true) => taken.push(theirs),
                Ok(false) => {}
                Err(why) => {
                    taken.push(TakenOver { fault: Some(why), ..theirs });
                    break;
                }
            }
        }
        Ok(taken)
    }

    /// Takes over what waits at one node, as far as it comes; whether its lease is to be had.
    fn take_over_from(&self, lease: &str, taken: &mut TakenOver) -> Result<bool, String> {
        if !self.has_lease(lease, TAKING_OVER)? {
            return Ok(false);
        }
        let theirs = name_of(&["node", &self.name, &taken.node]);
        let (mut moved, mut alerts) = (Batch::default(), Vec::new());
        for pair in self.alerts.scan_prefix(&theirs) {
            let (key, sealed) = pair?;
            alerts.extend(self.alert(&key, &sealed));
            moved.insert([&self.own, &key[theirs.len()..]].concat(), sealed);
            moved.remove(key);
        }
        self.alerts.apply(moved)?;
        taken.alerts = alerts;
        taken.parcels = self.take_over_parcels(&theirs)?;
        // Its node takes it anew when it is back.
        self.together.give_back_lease(lease, &self.node)?;
        Ok(true)
    }

    /// Writes down what reports need of calls.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) fn keep_facts(&self, facts: &[(Place, Vec<u8>)]) -> Result<(), String> {
        for some in facts.chunks(TOGETHER_MAX) {
            let mut batch = Batch::default();
            for (place, plain) in some {
                batch.insert(*place, self.seal(&[b"facts ", &place[..]].concat(), plain)?);
            }
            self.facts.apply(batch)?;
        }
        Ok(())
    }

    /// Removes what reports needed of calls.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) fn forget_facts(&self, places: &[Place]) -> Result<(), String> {
        for some in places.chunks(TOGETHER_MAX) {
            let mut batch = Batch::default();
            some.iter().for_each(|place| batch.remove(*place));
            self.facts.apply(batch)?;
        }
        Ok(())
    }

    /// Tells what reports need of every node's ended calls that started from `from` on and before `before`.
    ///
    /// # Errors
    /// When the database does not answer, or holds what was altered.
    pub(super) fn facts(
        &self,
        from: Moment,
        before: Moment,
        each: &mut dyn FnMut(Moment, &CallFacts),
    ) -> Result<(), String> {
        for pair in self.facts.pairs(&from.0.to_be_bytes(), Some(&before.0.to_be_bytes()), Order::Up) {
            let (place, sealed) = pair?;
            let plain = self.unseal(&[b"facts ", &place[..]].concat(), &sealed)?;
            let started = place.first_chunk().map_or(0, |chunk| u64::from_be_bytes(*chunk));
            each(Moment(started), &serde_json::from_slice(&plain).map_err(|error| error.to_string())?);
        }
        Ok(())
    }

    /// Removes facts of calls that started before `before`, of nodes too that are gone, where it is this node's turn: the oldest,
    /// [`FACTS_SWEEP_MAX`] at most; how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) fn forget_before(&self, before: Moment) -> Result<u64, String> {
        if !self.has_lease(RETENTION_LEASE, RETENTION_LASTS)? {
            return Ok(0);
        }
        self.together.remove_before("facts", &before.0.to_be_bytes(), FACTS_SWEEP_MAX)
    }

    /// Notes that something was made once for good, by its key.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) fn mark_made(&self, key: &str, unix_ms: u64) -> Result<(), String> {
        self.made.insert(key.as_bytes(), unix_ms.to_be_bytes())
    }

    /// Whether any node made it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) fn was_made(&self, key: &str) -> Result<bool, String> {
        self.made.contains_key(key.as_bytes())
    }

    /// Writes down this node's minutes of a day.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) fn keep_minutes(&self, day: u64, row: &[u8]) -> Result<(), String> {
        self.minutes.insert([&day.to_be_bytes()[..], &self.own].concat(), row)
    }

    /// Every node's minutes of a day.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) fn minutes(&self, day: u64) -> Result<Vec<Vec<u8>>, String> {
        self.minutes.scan_prefix(&day.to_be_bytes()).map(|pair| pair.map(|(_, row)| row)).collect()
    }

    /// The first day of which any node has noted anything.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) fn first_day(&self) -> Result<Option<u64>, String> {
        let first = self.minutes.keys(&[], None).next().transpose()?;
        Ok(first.and_then(|key| key.first_chunk().map(|day| u64::from_be_bytes(*day))))
    }

    /// The name under which something stands in an index of the site.
    fn blind(&self, kind: &[u8], name: &[u8]) -> [u8; 16] {
        blind(&self.index, kind, name)
    }

    /// Seals by a random nonce: several nodes do so by one key (NIST SP 800-38D §8.2.2).
    fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, String> {
        seal(&self.key, context, plain).map_err(|error| error.to_string())
    }

    fn unseal(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, String> {
        unseal(&self.key, context, sealed).map_err(|error| error.to_string())
    }
}

impl Store {
    /// Whether this node has a lease, which it takes where no other one has it, and keeps for so long from now on. A store that is
    /// one server's is always its own.
    ///
    /// # Errors
    /// When the store is down.
    pub async fn has_lease(&self, lease: String, lasts: Duration) -> Result<bool, String> {
        let kind = lease.split('/').next().unwrap_or_default().to_owned();
        self.counted(&kind, self.of_site(true, move |site| site.has_lease(&lease, lasts)).await)
    }

    /// Gives a lease back before its time.
    ///
    /// # Errors
    /// As [`Store::has_lease`].
    pub async fn give_back(&self, lease: String) -> Result<(), String> {
        self.of_site((), move |site| site.together.give_back_lease(&lease, &site.node)).await
    }

    /// Whether this node has its alerts' steps told for so long from now on.
    ///
    /// # Errors
    /// As [`Store::has_lease`].
    pub async fn has_alerts_lease(&self, lasts: Duration) -> Result<bool, String> {
        self.counted("alerts", self.of_site(true, move |site| site.has_alerts_lease(lasts)).await)
    }

    /// Counts what came of a lease, where several nodes ask for it.
    fn counted(&self, lease: &str, outcome: Result<bool, String>) -> Result<bool, String> {
        if self.has_site() {
            let word = outcome.as_ref().map_or("failed", |has| if *has { "held" } else { "elsewhere" });
            self.metrics.count_lease(lease, word);
        }
        outcome
    }

    /// Takes over alerts and deliveries that wait at nodes that are gone.
    ///
    /// # Errors
    /// As [`Store::has_lease`].
    pub async fn take_over(&self) -> Result<Vec<TakenOver>, String> {
        self.of_site(Vec::new(), Site::take_over).await
    }

    /// Whether several nodes write to the database.
    pub fn has_site(&self) -> bool {
        self.keeper.door().is_some()
    }

    /// What something is known by outside, for good: the same on every node of a site, and nothing can be read in it.
    pub fn key_of(&self, name: &str) -> String {
        let of_site = self.keeper.door().and_then(Door::index);
        let key = of_site
            .map_or_else(|| self.keys.blind(name.as_bytes()), |index| blind(index, b"outside ", name.as_bytes()));
        crate::hexadecimal::hexadecimal(&key)
    }

    /// Lets other nodes do at once what this one did for all.
    pub(super) fn leave_site(&self) {
        let Some(embedded) = self.keeper.embedded() else { return };
        let Some(site) = embedded.site() else { return };
        for lease in [REPORTS_LEASE, RETENTION_LEASE] {
            if let Err(why) = site.together.give_back_lease(lease, &site.node) {
                warn!(why, lease, "a lease is left to lapse");
            }
        }
    }

    async fn of_site<T: Send + 'static>(
        &self,
        alone: T,
        ask: impl FnOnce(&Site) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        if !self.has_site() {
            return Ok(alone);
        }
        self.read(move |embedded: &Embedded| ask(embedded.site().ok_or("the store is not of its site")?)).await
    }
}

fn blind(index: &hmac::Key, kind: &[u8], name: &[u8]) -> [u8; 16] {
    *hmac::sign(index, &[kind, name].concat()).as_ref().first_chunk().expect("32 octets")
}

fn alerts_lease(node: &str) -> String {
    format!("{ALERTS_LEASE}{node}")
}

/// What something is called in the database: nobody else's name is the same.
fn name_of(parts: &[&str]) -> [u8; 16] {
    let mut digest = digest::Context::new(&digest::SHA256);
    digest.update(b"calmline");
    for part in parts {
        digest.update(&(part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    *digest.finish().as_ref().first_chunk().expect("32 octets")
}

fn seal(key: &LessSafeKey, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, KeyError> {
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).map_err(|_| KeyError::Random)?;
    let mut body = plain.to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut body)
        .expect("values are far shorter than 64 GiB");
    Ok([&[VERSION][..], &nonce, &body].concat())
}

fn unseal(key: &LessSafeKey, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, KeyError> {
    let (version, rest) = sealed.split_first().ok_or(KeyError::Value("too short"))?;
    let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or(KeyError::Value("too short"))?;
    if *version != VERSION {
        return Err(KeyError::Value("another version"));
    }
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| KeyError::Value("its nonce"))?;
    let mut body = body.to_vec();
    let plain = key.open_in_place(nonce, Aad::from(context), &mut body);
    let length = plain.map_err(|_| KeyError::Value("altered, or another record's"))?.len();
    body.truncate(length);
    Ok(body)
}

#[cfg(test)]
pub(crate) mod tests;
