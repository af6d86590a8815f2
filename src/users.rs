//! People who sign in to the console: what they may do, their passwords' hashes (argon2id, RFC 9106), and `calmline user hash`,
//! which makes one.

use std::fmt;
use std::io::{BufRead, IsTerminal};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::cli::{Failure, print_line};

/// What a password may be long, bytes.
const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 10..=256;
/// What checking one password may cost: memory, KiB, passes and lanes.
const MEMORY_KIB: std::ops::RangeInclusive<u32> = 7 * 1_024..=256 * 1_024;
const PASSES_MAX: u32 = 16;
const LANES_MAX: u32 = 4;

/// What a person is, and by that, may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Administrator,
    /// Calls as they go on, in them, and alerts.
    Supervisor,
    /// Configuration, policies, back-ups and reports; no calls.
    Operator,
    /// The calls that they serve themselves: their mood, and what to say.
    Agent,
    /// The audit trail, and nothing else.
    Auditor,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 5] = [Role::Administrator, Role::Supervisor, Role::Operator, Role::Agent, Role::Auditor];

    /// The role of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Its name in configurations and the API.
    pub fn name(self) -> &'static str {
        match self {
            Role::Administrator => "administrator",
            Role::Supervisor => "supervisor",
            Role::Operator => "operator",
            Role::Agent => "agent",
            Role::Auditor => "auditor",
        }
    }
}

/// A password's hash, as a PHC string: `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`. It never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordDigest(String);

impl fmt::Debug for PasswordDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl PasswordDigest {
    /// That of whoever signs in at a provider: no password is its, and each subject of each issuer has another.
    pub fn of_subject(issuer: &str, subject: &str) -> Self {
        // No hash begins as a list does.
        Self(serde_json::json!([issuer, subject]).to_string())
    }

    /// Takes up one that was made before.
    ///
    /// # Errors
    /// What was found instead of one that can be checked at a bounded cost.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parsed = PasswordHash::new(text).map_err(|error| format!("no password hash: {error}"))?;
        if parsed.algorithm.as_str() != Algorithm::Argon2id.as_str() {
            return Err(format!("the algorithm {}", parsed.algorithm));
        }
        let params = Params::try_from(&parsed).map_err(|error| error.to_string())?;
        let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
        if !MEMORY_KIB.contains(&memory) || passes > PASSES_MAX || lanes > LANES_MAX || parsed.hash.is_none() {
            return Err(format!("one of {memory} KiB, {passes} passes, {lanes} lanes"));
        }
        Ok(Self(text.to_owned()))
    }

    /// Makes one, with a random salt.
    ///
    /// # Errors
    /// When the password is too short or too long, or the system gives no random numbers.
    pub fn of(password: &str) -> Result<Self, String> {
        if !PASSWORD_BYTES.contains(&password.len()) {
            let (least, most) = (PASSWORD_BYTES.start(), PASSWORD_BYTES.end());
            return Err(format!("expected a password of {least} to {most} bytes, found {}", password.len()));
        }
        let digest: PasswordHash =
            Argon2::default().hash_password(password.as_bytes()).map_err(|error| error.to_string())?;
        Ok(Self(digest.to_string()))
    }

    /// As it is kept.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a password may be its: nobody who signs in at a provider has one here.
    pub fn is_hash(&self) -> bool {
        PasswordHash::new(&self.0).is_ok()
    }

    /// Whether it is this password's. Takes tens of milliseconds of a processor, on purpose.
    pub fn is_of(&self, password: &str) -> bool {
        PasswordHash::new(&self.0)
            .is_ok_and(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
    }
}

/// Runs `calmline user hash`: reads a password, prints the line of the configuration.
///
/// # Errors
/// When it is too short or too long, or typed differently the second time.
pub(crate) fn hash() -> Result<(), Failure> {
    let password = read_password().map_err(|error| Failure::of("the password", error))?;
    let digest = PasswordDigest::of(&password).map_err(Failure::Failed)?;
    print_line(format!("password_hash = \"{}\"", digest.0))
}

/// Asks for a password twice where somebody types, without showing it; else reads one line.
fn read_password() -> std::io::Result<Zeroizing<String>> {
    if !std::io::stdin().is_terminal() {
        let mut line = Zeroizing::new(String::new());
        std::io::stdin().lock().read_line(&mut line)?;
        let length = line.trim_end_matches(['\r', '\n']).len();
        line.truncate(length);
        return Ok(line);
    }
    let ask = |prompt| rpassword::prompt_password(prompt).map(Zeroizing::new);
    let (password, again) = (ask("Password: ")?, ask("Again: ")?);
    if password != again {
        return Err(std::io::Error::other("expected the same twice, found two"));
    }
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_of_one_password() {
        let digest = PasswordDigest::of("a long password").expect("random numbers");
        assert!(digest.is_of("a long password") && !digest.is_of("a long passwore") && !digest.is_of(""));
        assert_eq!(PasswordDigest::parse(&digest.0).expect("just made"), digest);
        let other = PasswordDigest::of("a long password").expect("random numbers");
        assert_ne!(digest, other, "each has a salt of its own");
        assert_eq!(format!("{digest:?}"), "…");
        let elsewhere = PasswordDigest::of_subject("https://id.example", "4711");
        assert!(!elsewhere.is_of("") && !elsewhere.is_of("a long password") && !elsewhere.is_of("4711"));
        assert!(digest.is_hash() && !elsewhere.is_hash());
        assert_eq!(elsewhere, PasswordDigest::of_subject("https://id.example", "4711"));
        for (issuer, subject) in [("https://id.example", "4712"), ("https://id.example/", "4711")] {
            assert_ne!(elsewhere, PasswordDigest::of_subject(issuer, subject), "{issuer} {subject}");
        }
    }

    #[test]
    fn what_is_no_hash_or_costs_too_much_is_refused() {
        let body = "$c29tZXNhbHRzb21lc2FsdA$2WaQ1wVZg7nOFa2vPm4nBl1wFvvcCdDv1E9IY/JBF3g";
        for (text, expected) in [
            ("secret".to_owned(), "no password hash"),
            (String::new(), "no password hash"),
            (format!("$argon2i$v=19$m=19456,t=2,p=1{body}"), "the algorithm argon2i"),
            (format!("$argon2id$v=19$m=4194304,t=2,p=1{body}"), "4194304 KiB"),
            (format!("$argon2id$v=19$m=19456,t=2000,p=1{body}"), "2000 passes"),
            (format!("$argon2id$v=19$m=8,t=1,p=1{body}"), "8 KiB"),
        ] {
            let error = PasswordDigest::parse(&text).expect_err("refused");
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert!(PasswordDigest::of("short").expect_err("too short").contains("10 to 256"));
    }
}
