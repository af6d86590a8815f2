//! Who may ask what: one table of every address, by what it is about. Machines have the token and may everything; what stands
//! not in the table, no person may.

use axum::http::Method;
use serde::Serialize;

use crate::users::Role;

/// What an address is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Area {
    /// Calls, as they are told.
    Calls,
    /// What is done in calls.
    Orders,
    /// What is heard in calls.
    Audio,
    /// What other systems tell of calls, and begin.
    Integration,
    /// What a person may ask for who called.
    People,
    /// Sums of calls.
    Reports,
    /// Configuration, policies, back-ups, figures.
    Operate,
}

impl Area {
    const ALL: [Area; 7] =
        [Area::Calls, Area::Orders, Area::Audio, Area::Integration, Area::People, Area::Reports, Area::Operate];

    /// Whether a role has to do with it.
    fn is_for(self, role: Role) -> bool {
        match role {
            Role::Administrator => true,
            Role::Supervisor => matches!(self, Area::Calls | Area::Orders | Area::Audio),
            Role::Operator => matches!(self, Area::Reports | Area::Operate),
        }
    }
}

/// Every address that asks for somebody who is known: method, path as it is routed, what it is about.
const PERMISSIONS: &[(Method, &str, Area)] = &[
    (Method::GET, "/metrics", Area::Operate),
    (Method::GET, "/v1/calls", Area::Calls),
    (Method::GET, "/v1/calls/{id}", Area::Calls),
    (Method::GET, "/v1/events", Area::Calls),
    (Method::GET, "/v1/calls/{id}/audio", Area::Audio),
    (Method::POST, "/v1/calls/{id}/bypass", Area::Orders),
    (Method::DELETE, "/v1/calls/{id}/bypass", Area::Orders),
    (Method::POST, "/v1/calls/{id}/hangup", Area::Orders),
    (Method::POST, "/v1/calls/{id}/prompts", Area::Orders),
    (Method::DELETE, "/v1/calls/{id}/prompts/{prompt}", Area::Orders),
    (Method::POST, "/v1/calls/{id}/supervisors", Area::Orders),
    (Method::PATCH, "/v1/calls/{id}/supervisors/{supervisor}", Area::Orders),
    (Method::DELETE, "/v1/calls/{id}/supervisors/{supervisor}", Area::Orders),
    (Method::POST, "/v1/calls/{id}/utterances", Area::Integration),
    (Method::PUT, "/v1/calls/{id}/facts", Area::Integration),
    (Method::POST, "/v1/calls/{id}/expressions", Area::Integration),
    (Method::POST, "/v1/forks", Area::Integration),
    (Method::GET, "/v1/interactions", Area::Calls),
    (Method::GET, "/v1/interactions/{id}", Area::Calls),
    (Method::POST, "/v1/interactions", Area::Integration),
    (Method::GET, "/v1/interactions/{id}/channel", Area::Integration),
    (Method::POST, "/v1/interactions/{id}/end", Area::Integration),
    (Method::POST, "/v1/interactions/{id}/expressions", Area::Integration),
    (Method::PUT, "/v1/interactions/{id}/facts", Area::Integration),
    (Method::POST, "/v1/interactions/{id}/messages", Area::Integration),
    (Method::POST, "/v1/interactions/{id}/moved", Area::Integration),
    (Method::POST, "/v1/people/calls", Area::People),
    (Method::POST, "/v1/people/erase", Area::People),
    (Method::POST, "/v1/people/hold", Area::People),
    (Method::GET, "/v1/people/holds", Area::People),
    (Method::POST, "/v1/people/release", Area::People),
    (Method::GET, "/v1/reports/{date}", Area::Reports),
    (Method::GET, "/v1/backup", Area::Operate),
    (Method::POST, "/v1/backup", Area::Operate),
    (Method::POST, "/v1/drain", Area::Operate),
    (Method::POST, "/v1/policies/back", Area::Operate),
    (Method::POST, "/v1/reload", Area::Operate),
];

/// Whether a person of that role may ask for an address, by its path as it is routed.
pub(super) fn may(role: Role, method: &Method, path: &str) -> bool {
    // Whoever may GET may ask for the head alone.
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    PERMISSIONS.iter().any(|(known, at, area)| known == method && *at == path && area.is_for(role))
}

/// What a role has to do with.
pub(super) fn areas(role: Role) -> Vec<Area> {
    Area::ALL.into_iter().filter(|area| area.is_for(role)).collect()
}

/// The table, for tests that walk it.
#[cfg(test)]
pub(super) fn table() -> impl Iterator<Item = (&'static Method, &'static str, Area)> {
    PERMISSIONS.iter().map(|(method, path, area)| (method, *path, *area))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_in_the_table_is_for_nobody() {
        for role in Role::ALL {
            assert!(!may(role, &Method::GET, "/v1/secrets") && !may(role, &Method::DELETE, "/v1/calls"), "{role:?}");
        }
        assert!(may(Role::Supervisor, &Method::HEAD, "/v1/calls") && !may(Role::Operator, &Method::HEAD, "/v1/calls"));
        assert!(PERMISSIONS.iter().all(|(method, path, _)| may(Role::Administrator, method, path)));
        assert_eq!(areas(Role::Operator), [Area::Reports, Area::Operate]);
    }
}
