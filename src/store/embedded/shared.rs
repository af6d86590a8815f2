//! What a node has together with the others of its site: what reports need of calls goes there, too.

use std::sync::Arc;

use super::{Embedded, Order, Place, facts_context, forget};
use crate::escalation::WaitingAlert;
use crate::report::CallFacts;
use crate::store::site::{Door, Site};
use crate::web::Moment;

/// Calls whose facts are handed over together.
const TOGETHER_MAX: usize = 1_000;
/// Noted once a site has the facts of all calls of before.
const MARK: &[u8] = b"facts shared with ";

/// Whoever takes the facts of calls, one after the other, with their places.
type Taker<'a> = dyn FnMut(&Place, Vec<u8>) -> Result<(), String> + 'a;

impl Embedded {
    /// Takes part in a site: what it has of its own by now goes there.
    ///
    /// # Errors
    /// When the site cannot be entered, or the store cannot be read or written.
    pub fn in_site(mut self, door: &Door) -> Result<Self, String> {
        let site = self.open_site(door)?;
        let mark = [MARK, door.name().as_bytes()].concat();
        if !self.marks.contains_key(&mark)? {
            let mut some = Vec::new();
            self.own_facts(Moment(0), Moment(u64::MAX), &mut |place, facts| {
                some.push((*place, facts));
                if some.len() < TOGETHER_MAX { Ok(()) } else { site.keep_facts(&std::mem::take(&mut some)) }
            })?;
            site.keep_facts(&some)?;
            self.marks.insert(&mark, [])?;
        }
        let own = self.alerts()?;
        let names: Vec<_> = own.iter().map(WaitingAlert::name).collect();
        let all: Vec<_> = names.iter().cloned().zip(own.into_iter().map(Some)).collect();
        site.keep_alerts(&all)?;
        self.keep_alerts(&names.into_iter().map(|name| (name, None)).collect::<Vec<_>>())?;
        self.bring(&site)?;
        self.site = Some(Arc::new(site));
        Ok(self)
    }

    /// Brings who may sign in, and what systems outside are to be told, from before this node was one of several.
    fn bring(&self, site: &Site) -> Result<(), String> {
        for (name, account) in self.accounts()? {
            site.bring_account(&name, &account)?;
            // Else whoever is removed by another node would come back with this one.
            self.keep_account(&name, None)?;
        }
        let parcels = self.parcels()?;
        site.keep_parcels(&parcels)?;
        self.drop_parcels(&parcels.iter().map(|parcel| parcel.id).collect::<Vec<_>>())
    }

    /// Enters a site: its secret is sealed by the master key of now.
    ///
    /// # Errors
    /// As [`Embedded::in_site`].
    pub fn open_site(&self, door: &Door) -> Result<Site, String> {
        Site::open(&self.trees, door)
    }

    /// What it has together with other nodes.
    pub fn site(&self) -> Option<&Site> {
        self.site.as_deref()
    }

    pub(super) fn share_facts(&self, facts: &[(Place, Vec<u8>)]) -> Result<(), String> {
        self.site().map_or(Ok(()), |site| site.keep_facts(facts))
    }

    /// Tells what reports need of the ended calls, of all nodes of the site, that started from `from` on and before `before`.
    ///
    /// # Errors
    /// As [`Embedded::call`].
    pub fn facts(&self, from: Moment, before: Moment, each: &mut dyn FnMut(Moment, &CallFacts)) -> Result<(), String> {
        if let Some(site) = self.site() {
            return site.facts(from, before, each);
        }
        self.own_facts(from, before, &mut |place, facts| {
            let started = place.first_chunk().map_or(0, |chunk| u64::from_be_bytes(*chunk));
            each(Moment(started), &serde_json::from_slice(&facts).map_err(|error| error.to_string())?);
            Ok(())
        })
    }

    /// The same of its own calls, as written: their places, and what of them is JSON.
    fn own_facts(&self, from: Moment, before: Moment, each: &mut Taker<'_>) -> Result<(), String> {
        let (from, before) = (from.0.to_be_bytes(), before.0.to_be_bytes());
        let mut facts = self.facts.pairs(&from, Some(&before), Order::Up).peekable();
        for place in self.calls.keys(&from, Some(&before)) {
            let Ok(place) = Place::try_from(place?) else { continue };
            // Both are in the order of places.
            while facts.next_if(|pair| pair.as_ref().is_ok_and(|(key, _)| key[..] < place[..])).is_some() {}
            let known =
                facts.next_if(|pair| pair.as_ref().map_or(true, |(key, _)| key[..] == place[..])).transpose()?;
            let facts = match known {
                Some((_, sealed)) => self.open_one(&facts_context(&place), &sealed)?,
                // Kept by a version that told none.
                None => {
                    let record = self.fold(&forget::name_in(&place))?.record;
                    record.and_then(|record| serde_json::to_vec(&CallFacts::from(&record)).ok())
                }
            };
            if let Some(facts) = facts {
                each(&place, facts)?;
            }
        }
        Ok(())
    }
}
