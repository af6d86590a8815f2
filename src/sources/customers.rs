//! What is known of people by now: the last good pull of every source, for as long as no better one comes.
//!
//! In memory alone, by pseudonyms: nothing of it is written anywhere, and it is gone with the process.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use routing::{FACTS_MAX, Fact};

use super::mapping::{Pulled, Tally};
use crate::web::Moment;

/// What is known of people; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Customers(Arc<RwLock<BTreeMap<String, State>>>);

/// One source.
#[derive(Debug, Default)]
struct State {
    pulled: Pulled,
    standing: Standing,
}

/// How it stands with a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// When the last good pull came.
    pub pulled: Option<Moment>,
    /// Why the last try was none, when that is so.
    pub failure: Option<String>,
    /// What became of the rows of the last good one.
    pub tally: Tally,
}

impl Standing {
    /// How old the data is.
    pub fn age(&self, now: Moment) -> Option<Duration> {
        self.pulled.map(|pulled| Duration::from_millis(now.0.saturating_sub(pulled.0)))
    }
}

impl Customers {
    /// Takes the place of what a source brought before; what comes back is dropped by whoever has time.
    pub fn take(&self, source: &str, pulled: Pulled, now: Moment) -> Option<Pulled> {
        let standing = Standing { pulled: Some(now), failure: None, tally: pulled.tally.clone() };
        self.with_mut(|states| states.insert(source.to_owned(), State { pulled, standing })).map(|before| before.pulled)
    }

    /// A source could not be read: what it brought before stays.
    pub fn fail(&self, source: &str, why: &str) {
        self.with_mut(|states| states.entry(source.to_owned()).or_default().standing.failure = Some(why.to_owned()));
    }

    /// There is no such source any more; what comes back is dropped by whoever has time.
    pub fn forget_source(&self, source: &str) -> Option<Pulled> {
        self.with_mut(|states| states.remove(source)).map(|state| state.pulled)
    }

    /// What is known of a person, of all sources in the order of their names.
    pub fn facts_of(&self, person: &str) -> Vec<(String, Option<Fact>)> {
        let states = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut known: BTreeMap<&str, &Fact> = BTreeMap::new();
        for state in states.values() {
            let facts = state.pulled.people.get(person).into_iter().flat_map(|facts| facts.iter());
            known.extend(facts.map(|(name, fact)| (&**name, fact)));
        }
        known.into_iter().take(FACTS_MAX).map(|(name, fact)| (name.to_owned(), Some(fact.clone()))).collect()
    }

    /// Forgets a person, until the next pull: whoever erases one has the source forget the person, too.
    pub fn forget(&self, person: &str) {
        self.with_mut(|states| {
            for state in states.values_mut() {
                state.pulled.people.remove(person);
            }
        });
    }

    /// How it stands with every source, by name.
    pub fn standings(&self) -> BTreeMap<String, Standing> {
        let states = self.0.read().unwrap_or_else(PoisonError::into_inner);
        states.iter().map(|(name, state)| (name.clone(), state.standing.clone())).collect()
    }

    fn with_mut<T>(&self, change: impl FnOnce(&mut BTreeMap<String, State>) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}
