//! Who takes parcels: all systems outside and all people who get mail, by name, as one configuration has them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::mail::{MailTerms, Mailer};
use super::post::{Receiver, Webhook};
use crate::settings::Settings;

/// The receivers of a configuration, with the secrets at hand: nothing of it can fail any more.
#[derive(Default)]
pub struct Receivers {
    by_name: BTreeMap<String, Receiver>,
    /// Types of events that some system is told of.
    events: BTreeSet<String>,
}

impl Receivers {
    /// Fetches secrets, and reads templates and certificates.
    ///
    /// # Errors
    /// The key of whose secret, template or certificate is not to be had, and why.
    pub fn read(settings: &Settings) -> Result<Receivers, (String, String)> {
        let mut by_name = BTreeMap::new();
        for (name, settings) in &settings.crms {
            let webhook = Webhook::new(settings).map_err(|why| (format!("crm.{name}"), why))?;
            by_name.insert(name.clone(), Receiver::Webhook(Box::new(webhook)));
        }
        for (name, terms) in MailTerms::all(settings) {
            let mailer = Mailer::new(terms).map_err(|why| ("mail".to_owned(), why))?;
            by_name.insert(name, Receiver::Mailer(Box::new(mailer)));
        }
        let events = settings.crms.values().flat_map(|crm| crm.events.iter().cloned()).collect();
        Ok(Receivers { by_name, events })
    }

    /// Whether some system is told of a type of events.
    pub(super) fn are_told(&self, event: &str) -> bool {
        self.events.contains(event)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Receiver> {
        self.by_name.get(name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &Receiver)> {
        self.by_name.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn are_none(&self) -> bool {
        self.by_name.is_empty()
    }
}

impl fmt::Debug for Receivers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}
