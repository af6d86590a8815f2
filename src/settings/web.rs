//! `[web]`: the API, who may use it without a name, and whose pages may show the agents' page.

use std::net::SocketAddr;
use std::path::Path;

use routing::section::{Section, list};
use toml::Value;

use super::oidc::read_oidc;
use super::read::{SOCKET, path, sip, socket, variable};
use super::{LOOPBACK, TokenSource, WebSettings};

pub(super) fn read_web(mut section: Section<'_>, folder: &Path) -> Option<WebSettings> {
    if !section.is_present() {
        section.finish();
        return None;
    }
    let listen = section.read("listen", SOCKET, socket);
    let file = section.read("token_file", "a file's path", path(folder));
    let variable = section.read("token_env", "the name of an environment variable", variable);
    let token = match (file, variable) {
        (Some(file), None) => Some(TokenSource::File(file)),
        (None, Some(variable)) => Some(TokenSource::Variable(variable)),
        (None, None) => {
            // A value that was refused above has its fault already.
            if !section.has("token_file") && !section.has("token_env") {
                section.fault("token_file", "nothing", "token_file or token_env: the API is never open to everybody");
            }
            None
        }
        (Some(_), Some(_)) => {
            section.fault("token_env", "both token_file and token_env", "one of them");
            None
        }
    };
    let origins = "a list of at most 16 origins, e.g. [\"https://crm.example.com\"]";
    let frame_ancestors = section.read("frame_ancestors", origins, list(FRAMES_MAX, origin)).unwrap_or_default();
    let oidc = read_oidc(section.section("oidc"), folder);
    let tls = sip::read_tls(section.section("tls"), folder);
    section.finish();
    let listen = listen.unwrap_or(SocketAddr::new(LOOPBACK, 8080));
    Some(WebSettings { listen, token: token?, frame_ancestors, oidc, tls })
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
