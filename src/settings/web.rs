//! `[web]`: the API, which machines may use it, and whose pages may show the agents' page.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use routing::section::{Section, list, name};
use toml::Value;

use super::oidc::read_oidc;
use super::read::{SOCKET, path, sip, socket, variable};
use super::users::{TENANT, is_tenant};
use super::{LOOPBACK, TenantTokenSource, Token, TokenSource, WebSettings};

pub(super) fn read_web(mut section: Section<'_>, folder: &Path) -> Option<WebSettings> {
    if !section.is_present() {
        section.finish();
        return None;
    }
    let listen = section.read("listen", SOCKET, socket);
    let token = read_token(&mut section, folder, "the API is never open to everybody");
    let tokens = read_tokens(section.section("tokens"), folder);
    let origins = "a list of at most 16 origins, e.g. [\"https://crm.example.com\"]";
    let frame_ancestors = section.read("frame_ancestors", origins, list(FRAMES_MAX, origin)).unwrap_or_default();
    let oidc = read_oidc(section.section("oidc"), folder);
    let tls = sip::read_tls(section.section("tls"), folder);
    section.finish();
    let listen = listen.unwrap_or(SocketAddr::new(LOOPBACK, 8080));
    Some(WebSettings { listen, token: token?, tokens, frame_ancestors, oidc, tls })
}

/// `token_file` or `token_env` of the section.
fn read_token(section: &mut Section<'_>, folder: &Path, why: &str) -> Option<TokenSource> {
    let file = section.read("token_file", "a file's path", path(folder));
    let variable = section.read("token_env", "the name of an environment variable", variable);
    match (file, variable) {
        (Some(file), None) => Some(TokenSource::File(file)),
        (None, Some(variable)) => Some(TokenSource::Variable(variable)),
        (None, None) => {
            // A value that was refused above has its fault already.
            if !section.has("token_file") && !section.has("token_env") {
                section.fault("token_file", "nothing", format!("token_file or token_env: {why}"));
            }
            None
        }
        (Some(_), Some(_)) => {
            section.fault("token_env", "both token_file and token_env", "one of them");
            None
        }
    }
}

fn read_tokens(mut section: Section<'_>, folder: &Path) -> BTreeMap<String, TenantTokenSource> {
    let mut tokens = BTreeMap::new();
    section.each_named(|own_name, each| {
        if !is_tenant(own_name) {
            each.fault("", format!("\"{own_name}\""), "a name of 1-64 letters, digits, \"-\", \"_\" or \".\"");
        }
        let tenant = each.need("tenant", TENANT, name);
        let token = read_token(each, folder, "a token that is none lets nobody in");
        if let (Some(tenant), Some(token)) = (tenant, token) {
            tokens.insert(own_name.to_owned(), TenantTokenSource { tenant, token });
        }
    });
    if tokens.len() > TOKENS_MAX {
        section.fault("", format!("{} of them", tokens.len()), format!("at most {TOKENS_MAX}"));
    }
    section.finish();
    tokens
}

/// The first token that is another one, too, by the names of their sections: nobody could tell whose requests with it are.
pub(crate) fn shared_token<'a>(tokens: impl Iterator<Item = (String, &'a Token)>) -> Option<(String, String)> {
    let mut known: Vec<(String, &Token)> = Vec::new();
    for (section, token) in tokens {
        let same = known.iter().find(|(_, before)| before.matches(token.reveal()));
        if let Some((before, _)) = same {
            return Some((section, before.clone()));
        }
        known.push((section, token));
    }
    None
}

/// Who pages are of (RFC 6454): scheme, host and port, and nothing that would say something else in a header.
fn origin(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-.:[]".contains(letter);
    (!host.is_empty() && host.len() <= 255 && host.chars().all(is_plain)).then(|| text.to_owned())
}

/// Origins of `web.frame_ancestors`.
const FRAMES_MAX: usize = 16;
/// Tokens of tenants.
const TOKENS_MAX: usize = 100;
