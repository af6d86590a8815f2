//! Which calls somebody sees: all of them, those of some routes, or those of a tenant.
//!
//! A call has one route, and one tenant or none, from its INVITE to its end, so whoever sees it once sees it always.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::record::CallRecord;
use super::signing::Who;
use crate::settings::UserSettings;

/// Where a call belongs: its route, and its tenant where it has one.
pub type Place = (String, Option<String>);

impl CallRecord {
    /// Where it belongs.
    pub fn place(&self) -> Place {
        (self.route.clone(), self.tags.tenant.clone())
    }
}

/// The routes and the tenant whose calls somebody sees; all, when neither is named. Clones share them.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scope(Option<Arc<Limits>>);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Limits {
    routes: Option<BTreeSet<String>>,
    tenant: Option<String>,
}

impl Scope {
    /// Of these routes and this tenant alone, where they are named.
    pub(super) fn new(routes: Option<&BTreeSet<String>>, tenant: Option<&str>) -> Self {
        let is_limited = routes.is_some() || tenant.is_some();
        let limits = || Limits { routes: routes.cloned(), tenant: tenant.map(str::to_owned) };
        Self(is_limited.then(|| Arc::new(limits())))
    }

    /// What a user sees.
    pub(super) fn of_user(user: &UserSettings) -> Self {
        Self::new(user.routes.as_ref(), user.tenant.as_deref())
    }

    /// Of whoever asks; machines with the server's own token see everything.
    pub(super) fn of(who: Option<&Who>) -> Self {
        match who {
            Some(Who::Person { scope, .. }) => scope.clone(),
            Some(Who::Machine) | None => Self::default(),
        }
    }

    /// The routes and the tenant that limit it, where any do.
    pub(super) fn limits(&self) -> (Option<BTreeSet<String>>, Option<String>) {
        self.0.as_ref().map_or((None, None), |limits| (limits.routes.clone(), limits.tenant.clone()))
    }

    /// Whether there are calls that are not in it.
    pub(super) fn is_limited(&self) -> bool {
        self.0.is_some()
    }

    /// Whether a call of that route and that tenant is in it; what belongs to no call is for those who see all.
    pub(super) fn sees(&self, route: Option<&str>, tenant: Option<&str>) -> bool {
        let Some(limits) = &self.0 else { return true };
        let in_routes = |routes: &BTreeSet<String>| route.is_some_and(|route| routes.contains(route));
        limits.routes.as_ref().is_none_or(in_routes)
            && limits.tenant.as_deref().is_none_or(|own| route.is_some() && tenant == Some(own))
    }

    /// Whether a call is in it.
    pub(super) fn sees_call(&self, record: &CallRecord) -> bool {
        self.sees(Some(&record.route), record.tags.tenant.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_routes_or_a_tenant_sees_their_calls_and_nothing_else() {
        let routes = |names: &[&str]| -> BTreeSet<String> { names.iter().map(|name| (*name).to_owned()).collect() };
        let scopes = [
            Scope::default(),
            Scope::new(Some(&routes(&["refunds", "sales"])), None),
            Scope::new(Some(&routes(&[])), None),
            Scope::new(None, Some("acme")),
            Scope::new(Some(&routes(&["sales"])), Some("acme")),
        ];
        for (route, tenant, expected) in [
            (Some("refunds"), None, [true, true, false, false, false]),
            (Some("sales"), None, [true, true, false, false, false]),
            (Some("Sales"), None, [true, false, false, false, false]),
            (Some("refunds"), Some("acme"), [true, true, false, true, false]),
            (Some("sales"), Some("acme"), [true, true, false, true, true]),
            (Some("sales"), Some("Acme"), [true, true, false, false, false]),
            (Some("sales"), Some("other"), [true, true, false, false, false]),
            (None, None, [true, false, false, false, false]),
        ] {
            let got = scopes.clone().map(|scope| scope.sees(route, tenant));
            assert_eq!(got, expected, "{route:?} {tenant:?}");
        }
        assert!(scopes[1..].iter().all(Scope::is_limited) && !scopes[0].is_limited());
    }
}
