//! People who sign in to the console and are kept in the store, beside those of the configuration: administrators make and change
//! them while the server runs.
//!
//! Passwords and secrets are made here, shown once, and kept as argon2id hashes and sealed.

use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::settings::UserSettings;
use crate::totp::{self, TotpSecret};
use crate::users::{PasswordDigest, Role};

/// People kept in the store.
pub const ACCOUNTS_MAX: usize = 1_000;
/// Letters and digits of passwords that nobody takes for another.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// How many of them: 100 bits.
const PASSWORD_LETTERS: usize = 20;

/// How somebody signs in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// What they may do.
    pub role: Role,
    /// Of an agent: the target, or else the extension, whose calls are their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serves: Option<String>,
    /// Of a supervisor: the tenant whose calls they see, when it is not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Whether they may not sign in for the time being.
    #[serde(default)]
    pub disabled: bool,
    /// The hash of their password.
    pub password_hash: String,
    /// The secret of their authenticator app, base32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totp: Option<String>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("role", &self.role).field("disabled", &self.disabled).finish_non_exhaustive()
    }
}

/// What is shown once of an account, to whoever makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Secrets {
    /// The password, when it is a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub password: Option<String>,
    /// What an authenticator app takes up, when the second factor is a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub otpauth_url: Option<String>,
}

impl Account {
    /// As the configuration would have it; nothing of whoever may not sign in.
    pub fn settings(&self) -> Option<UserSettings> {
        let password = PasswordDigest::parse(&self.password_hash).ok()?;
        let totp = self.totp.as_deref().map(TotpSecret::parse).transpose().ok()?;
        (!self.disabled).then(|| UserSettings {
            role: self.role,
            password,
            serves: self.serves.clone(),
            totp,
            routes: None,
            tenant: self.tenant.clone(),
        })
    }

    /// Gives it a new password: the password. Takes tens of milliseconds of a processor.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn renew_password(&mut self) -> Result<String, String> {
        let password = fresh_password()?;
        self.password_hash = PasswordDigest::of(&password)?.as_str().to_owned();
        Ok(password)
    }

    /// Gives it a new second factor: what an authenticator app takes up.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn renew_totp(&mut self, name: &str) -> Result<String, String> {
        let (secret, url) = totp::fresh(name)?;
        self.totp = Some(secret);
        Ok(url)
    }
}

fn fresh_password() -> Result<String, String> {
    let mut octets = [0; PASSWORD_LETTERS];
    SystemRandom::new().fill(&mut octets).map_err(|_| "the system gives no random numbers")?;
    // 32 letters: every octet gives one without a preference.
    Ok(octets.iter().map(|octet| char::from(LETTERS[usize::from(octet % 32)])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_lets_in_and_nothing_of_it_prints() {
        let mut account = Account {
            role: Role::Agent,
            serves: Some("1001".into()),
            tenant: None,
            disabled: false,
            password_hash: String::new(),
            totp: None,
        };
        assert!(account.settings().is_none(), "nobody signs in without a password");
        let first = account.renew_password().expect("random numbers");
        let second = account.renew_password().expect("random numbers");
        assert!(first != second && second.len() == PASSWORD_LETTERS);
        let url = account.renew_totp("li").expect("random numbers");
        assert!(url.starts_with("otpauth://totp/Calmline:li?"), "{url}");
        let settings = account.settings().expect("somebody");
        assert!(settings.password.is_of(&second) && !settings.password.is_of(&first) && settings.totp.is_some());
        assert_eq!((settings.role, settings.serves.as_deref()), (Role::Agent, Some("1001")));
        let shown = format!("{account:?}");
        assert!(!shown.contains("argon2") && !shown.contains(account.totp.as_deref().expect("just made")), "{shown}");
        let disabled = Account { disabled: true, ..account };
        assert!(disabled.settings().is_none());
    }

    #[test]
    fn accounts_outlive_a_restart_in_these_words() {
        let text = r#"{"role":"auditor","disabled":false,"password_hash":"$argon2id$"}"#;
        let account: Account = serde_json::from_str(text).expect("an account");
        assert_eq!(serde_json::to_string(&account).expect("strings"), text);
    }
}
