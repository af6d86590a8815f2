//! The neighbours while the program runs: who they are, whether they are there, whether they know where we are.

mod health;
mod registration;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};

pub(super) use self::health::watch;
pub(super) use self::registration::register;
use rsipstack::platform::CancellationToken;
use rsipstack::sip::Uri;

use super::digest::{Credentials, Demand};
use super::{SipError, uri};
use crate::settings::{Account, IpNet, TrunkSettings};

/// All trunks, which a reload of the configuration exchanges.
#[derive(Debug, Default)]
pub(super) struct Trunks(RwLock<Arc<Table>>);

/// The trunks of one time.
#[derive(Debug, Default)]
pub(super) struct Table {
    present: BTreeMap<String, Arc<Trunk>>,
    /// Those that were taken out, as long as somebody keeps them for calls that began before.
    past: Vec<Weak<Trunk>>,
}

/// Trunks as they are read, with their passwords at hand.
#[derive(Debug)]
pub struct FreshTrunks(BTreeMap<String, Arc<Trunk>>);

/// Trunks that were taken out: targets of calls that began before are reached by them as long as this is kept.
#[derive(Debug)]
pub struct PastTrunks {
    _kept: Vec<Arc<Trunk>>,
}

/// One trunk.
#[derive(Debug)]
pub(super) struct Trunk {
    pub(super) name: String,
    pub(super) settings: TrunkSettings,
    /// What it has to know to call us.
    wanted: Option<Credentials>,
    /// What we say when it asks.
    pub(super) own: Option<Credentials>,
    health: AtomicU8,
    registered: AtomicBool,
    /// Ends the questions and the registration.
    leaving: CancellationToken,
    /// Whether the registrar hears that we go.
    gives_back: AtomicBool,
    /// The registrar has been told, as far as it can be.
    farewell: CancellationToken,
}

/// Whether a trunk answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Nobody has asked, or no answer is due yet.
    Unknown,
    /// It answers.
    Up,
    /// It does not.
    Down,
}

/// How one trunk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkReport {
    /// Its name.
    pub name: String,
    /// Whether it answers.
    pub health: Health,
    /// Whether we are registered there; `None` when we need not be.
    pub registered: Option<bool>,
}

impl FreshTrunks {
    /// Makes trunks of the settings; reads their passwords.
    ///
    /// # Errors
    /// When a password is not to be had.
    pub fn read(settings: &BTreeMap<String, TrunkSettings>) -> Result<Self, SipError> {
        let trunks = settings.iter().map(|(name, settings)| {
            let fetch = |account: &Account| {
                let fault = |reason: String| SipError::Password { trunk: name.clone(), reason };
                account
                    .password
                    .fetch()
                    .map_err(fault)
                    .map(|password| Credentials { user: account.user.clone(), password })
            };
            let wanted = settings.authentication.as_ref().map(|wanted| fetch(&wanted.account)).transpose()?;
            let own = settings.credentials.as_ref().map(fetch).transpose()?;
            Ok((name.clone(), Arc::new(Trunk::new(name, settings, wanted, own))))
        });
        trunks.collect::<Result<_, SipError>>().map(Self)
    }
}

impl PastTrunks {
    pub(super) fn new(trunks: Vec<Arc<Trunk>>) -> Self {
        Self { _kept: trunks }
    }
}

impl Trunks {
    /// The first ones; nobody watches them yet.
    pub(super) fn new(fresh: FreshTrunks) -> Self {
        Self(RwLock::new(Arc::new(Table { present: fresh.0, past: Vec::new() })))
    }

    /// Those of now.
    pub(super) fn now(&self) -> Arc<Table> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts others in the place of those that there are. What has not changed stays as it is.
    ///
    /// # Returns
    /// Those that are new and have to be watched, and those that have gone. Of these, one whose registration a new one
    /// takes over does not give it back.
    pub(super) fn exchange(&self, FreshTrunks(fresh): FreshTrunks) -> (Vec<Arc<Trunk>>, Vec<Arc<Trunk>>) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let (mut present, mut come) = (BTreeMap::new(), Vec::new());
        for (name, new) in fresh {
            let old = table.present.get(&name);
            let trunk = old.filter(|old| old.is_same(&new)).cloned().unwrap_or_else(|| {
                if let Some(old) = old {
                    new.take_over(old);
                }
                come.push(new.clone());
                new
            });
            present.insert(name, trunk);
        }
        let is_kept = |old: &Arc<Trunk>| present.get(&old.name).is_some_and(|trunk| Arc::ptr_eq(trunk, old));
        let gone: Vec<Arc<Trunk>> = table.present.values().filter(|old| !is_kept(old)).cloned().collect();
        for old in &gone {
            let taken_over = old
                .binding()
                .is_some_and(|binding| present.values().any(|trunk| trunk.binding().as_ref() == Some(&binding)));
            old.gives_back.store(!taken_over, Ordering::Relaxed);
        }
        let still = table.past.iter().filter(|past| past.strong_count() > 0).cloned();
        let past = still.chain(gone.iter().map(Arc::downgrade)).collect();
        *table = Arc::new(Table { present, past });
        (come, gone)
    }
}

impl Table {
    /// The trunk of a name; one that was taken out only when no other has its name.
    pub(super) fn named(&self, name: &str) -> Option<Arc<Trunk>> {
        let past = || self.past().find(|trunk| trunk.name == name);
        self.present.get(name).cloned().or_else(past)
    }

    /// All that are in force.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Trunk>> {
        self.present.values()
    }

    /// Those that were taken out and have calls yet, the newest first.
    fn past(&self) -> impl Iterator<Item = Arc<Trunk>> {
        self.past.iter().rev().filter_map(Weak::upgrade)
    }

    /// Whether `source` is of one of them.
    pub(super) fn has(&self, source: IpAddr) -> bool {
        self.all().any(|trunk| trunk.network_of(source).is_some())
    }

    /// Whether `source` is of one that was taken out and has calls yet.
    pub(super) fn had(&self, source: IpAddr) -> bool {
        self.past().any(|trunk| trunk.network_of(source).is_some())
    }

    /// The requests per second that the trunk of an address may send, when it says so.
    pub(super) fn rate_of(&self, source: IpAddr) -> Option<u32> {
        let near = self.all().filter_map(|trunk| Some((trunk.network_of(source)?.prefix_len(), trunk)));
        near.max_by_key(|(prefix, _)| *prefix).and_then(|(_, trunk)| trunk.settings.requests_per_s)
    }
}

impl Trunk {
    fn new(name: &str, settings: &TrunkSettings, wanted: Option<Credentials>, own: Option<Credentials>) -> Self {
        Self {
            name: name.to_owned(),
            settings: settings.clone(),
            wanted,
            own,
            health: AtomicU8::new(0),
            registered: AtomicBool::new(false),
            leaving: CancellationToken::new(),
            gives_back: AtomicBool::new(true),
            farewell: CancellationToken::new(),
        }
    }

    /// Whether nothing about it has changed, passwords included.
    fn is_same(&self, other: &Self) -> bool {
        (&self.settings, &self.wanted, &self.own) == (&other.settings, &other.wanted, &other.own)
    }

    /// What a registrar knows us by: where it is, the address of record, and whose.
    fn binding(&self) -> Option<(&str, &str, Option<&str>)> {
        let address = &self.settings.register.as_ref()?.address;
        Some((self.settings.uri.as_deref()?, address, self.own.as_ref().map(|own| own.user.as_str())))
    }

    /// Goes on from what is known of `old`, whose place it takes.
    fn take_over(&self, old: &Self) {
        if self.settings.uri == old.settings.uri && self.settings.health.is_some() {
            self.set_health(old.health());
        }
        if self.binding().is_some() && self.binding() == old.binding() {
            self.registered.store(old.registered.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Asks it no more, and ends the registration.
    pub(super) fn leave(&self) {
        self.leaving.cancel();
    }

    /// Returns when the registrar has been told that we go, or need not be.
    pub(super) async fn gone(&self) {
        if self.binding().is_some() {
            self.farewell.cancelled().await;
        }
    }

    /// The smallest of its networks that `source` is in.
    pub(super) fn network_of(&self, source: IpAddr) -> Option<&IpNet> {
        let around = self.settings.sources.iter().filter(|network| network.contains(&source));
        around.max_by_key(|network| network.prefix_len())
    }

    /// Whether it is the one that knows `user`'s password.
    pub(super) fn is_of(&self, user: Option<&str>) -> bool {
        self.wanted.as_ref().is_some_and(|wanted| Some(wanted.user.as_str()) == user)
    }

    /// What it has to prove, when it has to.
    pub(super) fn demand(&self) -> Option<Demand<'_>> {
        let asked = self.settings.authentication.as_ref()?;
        Some(Demand { realm: &asked.realm, who: self.wanted.as_ref()?, algorithms: &asked.algorithms })
    }

    /// Where it is asked.
    pub(super) fn uri(&self) -> Option<Uri> {
        uri::read(self.settings.uri.as_deref()?)
    }

    /// Whether it answers.
    pub(super) fn health(&self) -> Health {
        match self.health.load(Ordering::Relaxed) {
            0 => Health::Unknown,
            1 => Health::Up,
            _ => Health::Down,
        }
    }

    /// How it is.
    pub(super) fn report(&self) -> TrunkReport {
        let registered = self.settings.register.as_ref().map(|_| self.registered.load(Ordering::Relaxed));
        TrunkReport { name: self.name.clone(), health: self.health(), registered }
    }

    fn set_health(&self, health: Health) {
        self.health.store(u8::from(health != Health::Unknown) + u8::from(health == Health::Down), Ordering::Relaxed);
    }
}
