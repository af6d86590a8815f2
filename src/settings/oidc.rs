//! `[web.oidc]`: an OpenID provider by which people sign in, and what its claims make of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use routing::section::{Section, list, text};
use toml::Value;

use super::is_this_machine;
use super::pbx::{SecretSource, read_secret};
use super::read::path;
use crate::users::Role;

/// Values of the claim that make somebody something.
const ROLES_MAX: usize = 100;

/// A provider, who we are there, and what it says of people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcSettings {
    /// The provider's issuer identifier (OpenID Connect Discovery 1.0 §2): its document is at `…/.well-known/openid-configuration`.
    pub issuer: String,
    /// Who we are there.
    pub client_id: String,
    /// Our secret there; none for a public client.
    pub secret: Option<SecretSource>,
    /// Where browsers come back to, as they see us: an address ending in `/v1/session/oidc/done`.
    pub redirect: String,
    /// Scopes that are asked for besides `openid`.
    pub scopes: Vec<String>,
    /// The claim that names a person.
    pub name_claim: String,
    /// The claim whose values say what a person is; a text or a list of texts.
    pub role_claim: String,
    /// What each value makes of them.
    pub roles: BTreeMap<String, Role>,
    /// The claim that says which target or extension an agent answers at.
    pub serves_claim: Option<String>,
    /// The claim that lists the routes whose calls a supervisor sees; all, without it.
    pub routes_claim: Option<String>,
    /// The claim that names the tenant whose calls a supervisor sees; all, without it.
    pub tenant_claim: Option<String>,
    /// Who signs the provider's certificate, PEM; the authorities of the system when nothing is said.
    pub authorities: Option<PathBuf>,
}

/// Reads `[web.oidc]`.
pub(super) fn read_oidc(mut section: Section<'_>, folder: &Path) -> Option<OidcSettings> {
    if !section.is_present() {
        section.finish();
        return None;
    }
    let address = "an https:// address; http:// on this machine alone";
    let issuer = section.need("issuer", address, secured);
    let client_id = section.need("client_id", "a text of 1-200 characters", text(200));
    let secret = read_secret(&mut section, folder);
    let back = "the address of this server's /v1/session/oidc/done as browsers see it, https:// beyond this machine";
    let redirect =
        section.need("redirect", back, |value| secured(value).filter(|url| url.ends_with("/v1/session/oidc/done")));
    let scopes = section.read("scopes", "a list of 1-20 names of scopes", list(20, word));
    let claim = "the name of a claim";
    let name_claim = section.read("name_claim", claim, word).unwrap_or_else(|| "preferred_username".to_owned());
    let role_claim = section.read("role_claim", claim, word).unwrap_or_else(|| "groups".to_owned());
    let serves_claim = section.read("serves_claim", claim, word);
    let routes_claim = section.read("routes_claim", claim, word);
    let tenant_claim = section.read("tenant_claim", claim, word);
    let expected = "a table of 1-100 values of the claim, and the role of each, e.g. { leads = \"supervisor\" }";
    let roles = section.need("roles", expected, roles);
    if serves_claim.is_none() && roles.as_ref().is_some_and(|roles| roles.values().any(|role| *role == Role::Agent)) {
        section.fault("serves_claim", "nothing, and agents among roles", "the claim with the extension of each agent");
    }
    let authorities = section.read("authorities", "a file's path", path(folder));
    section.finish();
    Some(OidcSettings {
        issuer: issuer?,
        client_id: client_id?,
        secret,
        redirect: redirect?,
        scopes: scopes.unwrap_or_else(|| vec!["profile".to_owned()]),
        name_claim,
        role_claim,
        roles: roles?,
        serves_claim,
        routes_claim,
        tenant_claim,
        authorities,
    })
}

/// An address that nobody on the way can read or change what goes to.
fn secured(value: &Value) -> Option<String> {
    let written = text(500)(value)?;
    let url = reqwest::Url::parse(&written).ok()?;
    let is_plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    let is_here = url.host_str().is_some_and(is_this_machine);
    (is_plain && (url.scheme() == "https" || url.scheme() == "http" && is_here)).then_some(written)
}

/// What may stand between others without quotes.
fn word(value: &Value) -> Option<String> {
    text(100)(value).filter(|word| word.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '\\'))
}

fn roles(value: &Value) -> Option<BTreeMap<String, Role>> {
    let table = value.as_table().filter(|table| (1..=ROLES_MAX).contains(&table.len()))?;
    let role = |name: &Value| Role::named(name.as_str()?);
    table.iter().map(|(value, name)| Some((value.clone(), role(name)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    const GOOD: &str = "issuer = \"https://id.example/realms/calls\"\nclient_id = \"calmline\"\n\
                        redirect = \"https://calmline.example/v1/session/oidc/done\"\n";

    fn read(oidc: &str) -> Result<OidcSettings, String> {
        let text = format!(
            "[sip]\n[web]\ntoken_env = \"X\"\n[web.oidc]\n{oidc}\n[policy]\n[targets.bot]\nuri = \"sip:bot@127.0.0.1\"\n\
             [[route]]\nname = \"all\"\ntargets = [\"bot\"]\nscenario = \"any\"\n"
        );
        let read = Settings::parse(&text, Path::new("calmline.toml"));
        read.map(|settings| settings.web.and_then(|web| web.oidc).expect("a provider"))
            .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn a_provider_and_what_its_claims_make_of_people() {
        let read =
            read(&format!("{GOOD}roles = {{ leads = \"supervisor\", \"ops team\" = \"operator\" }}")).expect("good");
        let expected = [("leads".to_owned(), Role::Supervisor), ("ops team".to_owned(), Role::Operator)];
        assert_eq!(read.roles, expected.into());
        assert_eq!((read.name_claim.as_str(), read.role_claim.as_str()), ("preferred_username", "groups"));
        assert_eq!(read.scopes, ["profile"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, key) in [
            (GOOD.to_owned(), "web.oidc.roles"),
            (format!("{GOOD}roles = {{ a = \"boss\" }}"), "web.oidc.roles"),
            (format!("{GOOD}roles = {{ a = \"agent\" }}"), "web.oidc.serves_claim"),
            (format!("{}roles = {{ a = \"auditor\" }}", GOOD.replace("https://id", "http://id")), "web.oidc.issuer"),
            (format!("{}roles = {{ a = \"auditor\" }}", GOOD.replace("/oidc/done", "")), "web.oidc.redirect"),
            (format!("{GOOD}roles = {{ a = \"auditor\" }}\nrealm = \"x\""), "web.oidc.realm"),
        ] {
            let told = read(&text).expect_err("refused");
            assert!(told.contains(key), "{text}: {told}");
        }
    }
}
