//! Who may ask what: every address is routed together with what it is about. Machines have the token and may everything;
//! people what their role has to do with.

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, on};
use serde::Serialize;
use utoipa::ToSchema;

use super::openapi::Description;
use super::routes::App;
use crate::users::Role;

/// What an address is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Area {
    /// Calls, as they are told.
    Calls,
    /// What is done in calls.
    Orders,
    /// What is heard in calls.
    Audio,
    /// What was heard in calls that are over.
    Playback,
    /// The packets of calls, for whoever looks for a fault.
    Capture,
    /// What other systems tell of calls, and begin.
    Integration,
    /// What a person may ask for who called.
    People,
    /// What customers may be answered.
    Knowledge,
    /// Sums of calls.
    Reports,
    /// Configuration, policies, back-ups, figures.
    Operate,
    /// Who did what.
    Audit,
    /// The calls that a person serves.
    Own,
    /// Who may sign in.
    Users,
}

impl Area {
    const ALL: [Area; 13] = [
        Area::Calls,
        Area::Orders,
        Area::Audio,
        Area::Playback,
        Area::Capture,
        Area::Integration,
        Area::People,
        Area::Knowledge,
        Area::Reports,
        Area::Operate,
        Area::Audit,
        Area::Own,
        Area::Users,
    ];

    /// Its name, as people are told what they may.
    pub(super) fn name(self) -> &'static str {
        match self {
            Area::Calls => "calls",
            Area::Orders => "orders",
            Area::Audio => "audio",
            Area::Playback => "playback",
            Area::Capture => "capture",
            Area::Integration => "integration",
            Area::People => "people",
            Area::Reports => "reports",
            Area::Operate => "operate",
            Area::Audit => "audit",
            Area::Own => "own",
            Area::Users => "users",
            Area::Knowledge => "knowledge",
        }
    }

    /// Whether a role has to do with it.
    pub(super) fn is_for(self, role: Role) -> bool {
        match role {
            // Nobody serves calls as an administrator.
            Role::Administrator => self != Area::Own,
            Role::Supervisor => {
                matches!(self, Area::Calls | Area::Orders | Area::Audio | Area::Playback | Area::Knowledge)
            }
            Role::Operator => matches!(self, Area::Capture | Area::Knowledge | Area::Reports | Area::Operate),
            Role::Agent => matches!(self, Area::Knowledge | Area::Own),
            Role::Auditor => matches!(self, Area::Audit),
        }
    }
}

/// Addresses as they are put together: each with what it is about, and how it is described.
#[derive(Default)]
pub(super) struct Doors {
    router: Router<App>,
    permissions: Permissions,
    descriptions: Vec<(Method, &'static str, Option<Area>, Description)>,
}

impl Doors {
    /// One more, which asks for somebody who is known.
    pub(super) fn at<T: 'static>(
        mut self,
        method: Method,
        path: &'static str,
        area: Area,
        handler: impl Handler<T, App>,
        description: Description,
    ) -> Self {
        self.permissions.0.push((method.clone(), path, area));
        self.add(method, path, Some(area), handler, description)
    }

    /// One more, for everybody.
    pub(super) fn open<T: 'static>(
        self,
        method: Method,
        path: &'static str,
        handler: impl Handler<T, App>,
        description: Description,
    ) -> Self {
        self.add(method, path, None, handler, description)
    }

    fn add<T: 'static>(
        mut self,
        method: Method,
        path: &'static str,
        area: Option<Area>,
        handler: impl Handler<T, App>,
        description: Description,
    ) -> Self {
        let filter = MethodFilter::try_from(method.clone()).expect("a method of HTTP");
        self.router = self.router.route(path, on(filter, handler));
        self.descriptions.push((method, path, area, description));
        self
    }

    /// How each is described.
    pub(super) fn into_descriptions(self) -> impl Iterator<Item = (Method, &'static str, Option<Area>, Description)> {
        self.descriptions.into_iter()
    }

    /// All of them, and who may ask for them.
    pub(super) fn parts(self) -> (Router<App>, Permissions) {
        (self.router, self.permissions)
    }
}

/// Every address by method and path as it is routed, and what it is about.
#[derive(Debug, Default)]
pub(super) struct Permissions(Vec<(Method, &'static str, Area)>);

impl Permissions {
    /// Whether a person of that role may ask for an address, by its path as it is routed.
    pub(super) fn may(&self, role: Role, method: &Method, path: &str) -> bool {
        // Whoever may GET may ask for the head alone.
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        self.0.iter().any(|(known, at, area)| known == method && *at == path && area.is_for(role))
    }

    /// The whole table, for tests that walk it.
    #[cfg(test)]
    pub(super) fn table(&self) -> impl Iterator<Item = (&Method, &'static str, Area)> {
        self.0.iter().map(|(method, path, area)| (method, *path, *area))
    }
}

/// What a role has to do with.
pub(super) fn areas(role: Role) -> Vec<Area> {
    Area::ALL.into_iter().filter(|area| area.is_for(role)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::addresses::closed;
    use super::*;

    #[test]
    fn what_is_not_in_the_table_is_for_nobody() {
        let (_, permissions) = closed().parts();
        for role in Role::ALL {
            for (method, path) in [(Method::GET, "/v1/secrets"), (Method::DELETE, "/v1/calls"), (Method::GET, "")] {
                assert!(!permissions.may(role, &method, path), "{role:?} {method} {path}");
            }
        }
        let head = |role| permissions.may(role, &Method::HEAD, "/v1/calls");
        assert!(head(Role::Supervisor) && !head(Role::Operator));
        let is_administrators =
            |(method, path, area)| permissions.may(Role::Administrator, method, path) == (area != Area::Own);
        assert!(permissions.table().all(is_administrators));
        assert_eq!(areas(Role::Operator), [Area::Capture, Area::Knowledge, Area::Reports, Area::Operate]);
        assert_eq!((areas(Role::Auditor), areas(Role::Agent)), (vec![Area::Audit], vec![Area::Knowledge, Area::Own]));
    }
}
