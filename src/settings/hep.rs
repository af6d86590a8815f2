//! `[hep]`: a collector of SIP messages and quality reports, such as Homer.

use std::net::SocketAddr;
use std::path::Path;

use routing::section::{Section, whole};

use super::SecretSource;
use super::pbx::read_secret;
use super::read::{SOCKET, socket};

/// Where messages are told, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HepSettings {
    /// The collector's UDP socket.
    pub collector: SocketAddr,
    /// By which it knows us.
    pub agent: u32,
    /// What it asks for, when it asks for anything.
    pub key: Option<SecretSource>,
}

/// Reads the section.
pub(super) fn read_hep(mut section: Section<'_>, folder: &Path) -> Option<HepSettings> {
    if !section.is_present() {
        section.finish();
        return None;
    }
    let collector = section.need("collector", SOCKET, socket);
    let agent = section.read("agent", "a whole number from 1 to 4294967295", whole(1..=i64::from(u32::MAX)));
    let key = read_secret(&mut section, folder);
    section.finish();
    let agent = agent.and_then(|agent| u32::try_from(agent).ok()).unwrap_or(2_001);
    Some(HepSettings { collector: collector?, agent, key })
}
