//! `[crm.NAME]`: systems outside that are told of events in words of their own, until they have taken them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use routing::section::{Section, list, name, text, whole};
use toml::Value;

use super::pbx::{needed, read_secret, url};
use super::read::{path, span, variable};
use super::{Fault, SecretSource};
use crate::crm::Template;
use crate::web::KINDS;

/// One `[crm.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrmSettings {
    /// Where events are posted to.
    pub url: String,
    /// What signs them.
    pub secret: SecretSource,
    /// The value of the Authorization header, when it wants one.
    pub authorization: Option<SecretSource>,
    /// Whose certificates are good; the system's when nothing is said.
    pub authorities: Option<PathBuf>,
    /// The file of the body; all that is known of the event when nothing is said.
    pub template: Option<PathBuf>,
    /// Types of events that are told; rules tell of others by `notify`.
    pub events: Vec<String>,
    /// How long one attempt may take.
    pub within: Duration,
    /// The pause after the first attempt; it doubles with every further one.
    pub retry: Duration,
    /// Attempts until a delivery is set aside.
    pub attempts: u32,
}

impl CrmSettings {
    /// Reads the template.
    ///
    /// # Errors
    /// The file, and what is wrong with it.
    pub fn read_template(&self) -> Result<Template, Fault> {
        let Some(file) = &self.template else { return Ok(Template::generic()) };
        let text = super::read::read_text(file)?;
        Template::parse(&text).map_err(|found| Fault {
            file: file.clone(),
            key: "the whole file".to_owned(),
            found,
            expected: format!("JSON with variables out of {}", crate::crm::VARIABLES.join(", ")),
        })
    }
}

/// Systems of one server.
const CRMS_MAX: usize = 20;

pub(super) fn read_crms(mut section: Section<'_>, folder: &Path) -> BTreeMap<String, CrmSettings> {
    let mut crms = BTreeMap::new();
    section.each_named(|own_name, crm| {
        if name(&Value::from(own_name)).is_none() {
            crm.fault("", format!("\"{own_name}\""), "a name of 1-64 letters, digits, \"-\", \"_\" or \".\"");
        }
        if let Some(read) = read_crm(crm, folder) {
            crms.insert(own_name.to_owned(), read);
        }
    });
    if crms.len() > CRMS_MAX {
        section.fault("", format!("{} of them", crms.len()), format!("at most {CRMS_MAX}"));
    }
    section.finish();
    crms
}

fn read_crm(section: &mut Section<'_>, folder: &Path) -> Option<CrmSettings> {
    let own_url = section.need("url", "a URL, https:// or http://", url);
    let secret = read_secret(section, folder);
    let secret = needed(section, secret);
    let file = section.read("authorization_file", "a file's path", path(folder)).map(SecretSource::File);
    let from = section.read("authorization_env", "the name of an environment variable", variable);
    if file.is_some() && from.is_some() {
        section.fault("authorization_env", "both authorization_file and authorization_env", "one of them");
    }
    let kind = |value: &Value| text(64)(value).filter(|kind| KINDS.contains(&kind.as_str()));
    let events = section.read("events", "a list of types of events, e.g. [\"alert\"]", list(KINDS.len(), kind));
    let attempts = section.read("attempts", "a whole number from 1 to 30", whole(1..=30));
    Some(CrmSettings {
        authorization: file.or(from.map(SecretSource::Variable)),
        authorities: section.read("authorities", "a file's path", path(folder)),
        template: section.read("template", "a file's path", path(folder)),
        events: events.unwrap_or_default(),
        within: span(section, "within_s", 1..=60).unwrap_or(Duration::from_secs(10)),
        retry: span(section, "retry_s", 1..=600).unwrap_or(Duration::from_secs(2)),
        attempts: attempts.map_or(16, |attempts| u32::try_from(attempts).unwrap_or(16)),
        url: own_url?,
        secret: secret?,
    })
}
