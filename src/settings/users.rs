//! `[users.NAME]`: who signs in to the console, and what they may do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use routing::section::{Section, list, name, text};
use toml::Value;

use super::read::path;
use crate::totp::TotpSecret;
use crate::users::{PasswordDigest, Role};

/// Whom the audit trail names besides.
const TAKEN: [&str; 6] = ["api", "caller", "callee", "operator", "policy", "server"];
/// Users of one server.
const USERS_MAX: usize = 1_000;

/// A person who may sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSettings {
    /// What they may do.
    pub role: Role,
    /// Their password's hash.
    pub password: PasswordDigest,
    /// The name of the target that an agent answers at, or else their extension, perhaps with its host: the calls there are their
    /// own.
    pub serves: Option<String>,
    /// What the codes of their authenticator app are made from, when they need one to sign in.
    pub totp: Option<TotpSecret>,
    /// The routes whose calls a supervisor sees, when it is not all.
    pub routes: Option<BTreeSet<String>>,
    /// The tenant whose calls a supervisor sees, when it is not all.
    pub tenant: Option<String>,
}

/// What a tenant may be called.
pub(crate) const TENANT: &str = "a tenant's name, 1-64 letters, digits, \"-\", \"_\" or \".\"";

/// Whether a tenant may be called so.
pub(crate) fn is_tenant(own_name: &str) -> bool {
    name(&Value::from(own_name)).is_some()
}

/// Whether somebody may be called so.
///
/// # Errors
/// What was expected instead.
pub(crate) fn check_user_name(own_name: &str) -> Result<(), &'static str> {
    if name(&Value::from(own_name)).is_none() {
        return Err("a name of 1-64 letters, digits, \"-\", \"_\" or \".\"");
    }
    if TAKEN.contains(&own_name) {
        return Err("another name: the audit trail calls others so");
    }
    Ok(())
}

pub(super) fn read_users(mut section: Section<'_>, folder: &Path) -> BTreeMap<String, UserSettings> {
    let mut users = BTreeMap::new();
    section.each_named(|own_name, user| {
        if let Err(expected) = check_user_name(own_name) {
            user.fault("", format!("\"{own_name}\""), expected);
        }
        let roles = "\"administrator\", \"supervisor\", \"operator\", \"agent\" or \"auditor\"";
        let role = user.need("role", roles, |value| Role::named(value.as_str()?));
        let expected = "a hash by `calmline user hash`";
        let password = user.need("password_hash", expected, text(512)).and_then(|text| {
            PasswordDigest::parse(&text).map_err(|found| user.fault("password_hash", found, expected)).ok()
        });
        let serves = user.read("serves", "the name of a [targets.NAME], or an extension, of 1-64 characters", text(64));
        match role {
            Some(Role::Agent) if !user.has("serves") => {
                user.fault("serves", "nothing", "the extension, or the target, at which the agent answers");
            }
            Some(other) if other != Role::Agent && user.has("serves") => {
                user.fault("serves", format!("it beside role = \"{}\"", other.name()), "it of agents alone");
            }
            _ => {}
        }
        let expected = "a file by `calmline user totp`";
        let totp = user
            .read("totp_file", expected, path(folder))
            .and_then(|path| TotpSecret::read(&path).map_err(|found| user.fault("totp_file", found, expected)).ok());
        let routes =
            user.read("routes", "a list of 1-200 names of routes", list(200, text(64))).map(BTreeSet::from_iter);
        let tenant = user.read("tenant", TENANT, name);
        for (key, is_there) in [("routes", routes.is_some()), ("tenant", tenant.is_some())] {
            if is_there && role.is_some_and(|role| role != Role::Supervisor) {
                user.fault(key, "it beside another role", "it of supervisors alone");
            }
        }
        if let (Some(role), Some(password)) = (role, password) {
            users.insert(own_name.to_owned(), UserSettings { role, password, serves, totp, routes, tenant });
        }
    });
    if users.len() > USERS_MAX {
        section.fault("", format!("{} of them", users.len()), format!("at most {USERS_MAX}"));
    }
    section.finish();
    users
}
