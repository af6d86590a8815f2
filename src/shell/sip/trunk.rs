//! The neighbours while the program runs: who they are, whether they are there, whether they know where we are.

mod health;
mod registration;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

pub(super) use self::health::watch;
pub(super) use self::registration::{register, unregister};
use rsipstack::sip::Uri;

use super::SipError;
use super::digest::{Credentials, Demand};
use crate::settings::{Account, IpNet, TrunkSettings};

/// All trunks.
#[derive(Debug, Default)]
pub(super) struct Trunks(BTreeMap<String, Arc<Trunk>>);

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

impl Trunks {
    /// Makes them of the settings; reads their passwords.
    pub(super) fn new(settings: BTreeMap<String, TrunkSettings>) -> Result<Self, SipError> {
        let trunks = settings.into_iter().map(|(name, settings)| {
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
            let (health, registered) = (AtomicU8::new(0), AtomicBool::new(false));
            Ok((name.clone(), Arc::new(Trunk { name, settings, wanted, own, health, registered })))
        });
        Ok(Self(trunks.collect::<Result<_, SipError>>()?))
    }

    /// The trunk of a name.
    pub(super) fn named(&self, name: &str) -> Option<Arc<Trunk>> {
        self.0.get(name).cloned()
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Trunk>> {
        self.0.values()
    }

    /// The requests per second that the trunk of an address may send, when it says so.
    pub(super) fn rate_of(&self, source: IpAddr) -> Option<u32> {
        let near = self.all().filter_map(|trunk| Some((trunk.network_of(source)?.prefix_len(), trunk)));
        near.max_by_key(|(prefix, _)| *prefix).and_then(|(_, trunk)| trunk.settings.requests_per_s)
    }
}

impl Trunk {
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
        Uri::try_from(self.settings.uri.as_deref()?).ok()
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
