//! Which calls somebody sees: all of them, or those of some routes.
//!
//! A call has one route from its INVITE to its end, so whoever sees it once sees it always.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::record::CallRecord;
use super::signing::Who;

/// The routes whose calls somebody sees; all, when none are named. Clones share them.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scope(Option<Arc<BTreeSet<String>>>);

impl Scope {
    /// Of these routes alone, where any are named.
    pub(super) fn new(routes: Option<&BTreeSet<String>>) -> Self {
        Self(routes.cloned().map(Arc::new))
    }

    /// Of whoever asks; machines see everything.
    pub(super) fn of(who: Option<&Who>) -> Self {
        match who {
            Some(Who::Person { scope, .. }) => scope.clone(),
            Some(Who::Machine) | None => Self::default(),
        }
    }

    /// Whether there are calls that are not in it.
    pub(super) fn is_limited(&self) -> bool {
        self.0.is_some()
    }

    /// Whether a call of that route is in it; what belongs to no call is for those who see all.
    pub(super) fn sees(&self, route: Option<&str>) -> bool {
        self.0.as_ref().is_none_or(|routes| route.is_some_and(|route| routes.contains(route)))
    }

    /// Whether a call is in it.
    pub(super) fn sees_call(&self, record: &CallRecord) -> bool {
        self.sees(Some(&record.route))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_routes_sees_their_calls_and_nothing_else() {
        let two = Scope::new(Some(&["refunds".to_owned(), "sales".to_owned()].into()));
        let none = Scope::new(Some(&BTreeSet::new()));
        for (route, expected) in [
            (Some("refunds"), [true, true, false]),
            (Some("sales"), [true, true, false]),
            (Some("Sales"), [true, false, false]),
            (None, [true, false, false]),
        ] {
            assert_eq!([Scope::default(), two.clone(), none.clone()].map(|scope| scope.sees(route)), expected);
        }
        assert!(two.is_limited() && !Scope::default().is_limited());
    }
}
