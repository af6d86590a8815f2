//! `[mail]`: the server that reports are mailed by; and `[reports.to.NAME]`: who is sent which reports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::message::Mailbox;
use routing::section::{Section, list, name, shown, text, whole};
use toml::Value;

use super::SecretSource;
use super::pbx::{needed, read_secret};
use super::read::{path, span};
use super::reports::some_of;
use crate::report::{Language, Period, ReportFormat};

/// Recipients of one server's reports, and addresses of each.
const RECIPIENTS_MAX: usize = 50;
const ADDRESSES_MAX: usize = 50;
const ADDRESS: &str = "a mail address, e.g. \"Calmline <calmline@shop.example>\"";

/// The server that mail is handed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailSettings {
    /// Its name or address, which its certificate has to bear.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is protected.
    pub protection: MailProtection,
    /// Whose certificates are good; the system's when nothing is said.
    pub authorities: Option<PathBuf>,
    /// Who we are, when it asks.
    pub login: Option<(String, SecretSource)>,
    /// Whom mail is from.
    pub from: Mailbox,
    /// How long one attempt may take.
    pub within: Duration,
    /// The pause after the first attempt; it doubles with every further one.
    pub retry: Duration,
    /// Attempts until a mail is set aside.
    pub attempts: u32,
}

/// How a connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailProtection {
    /// TLS after STARTTLS (RFC 3207), never without.
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// None.
    Plain,
}

impl MailProtection {
    const ALL: [MailProtection; 3] = [MailProtection::StartTls, MailProtection::Tls, MailProtection::Plain];

    fn name(self) -> &'static str {
        match self {
            MailProtection::StartTls => "starttls",
            MailProtection::Tls => "tls",
            MailProtection::Plain => "none",
        }
    }

    /// Where servers listen for it unless something else is said.
    fn port(self) -> u16 {
        match self {
            MailProtection::StartTls => 587,
            MailProtection::Tls => 465,
            MailProtection::Plain => 25,
        }
    }
}

/// Somebody who is sent reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRecipient {
    /// By what.
    pub by: ReportWay,
    /// Of which times.
    pub periods: Vec<Period>,
    /// What is attached to a mail.
    pub formats: Vec<ReportFormat>,
    /// In which language.
    pub language: Language,
}

/// How a report gets to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportWay {
    /// A mail to these addresses.
    Mail(Vec<Mailbox>),
    /// All figures, posted to a `[crm.NAME]`.
    Crm(String),
}

/// Reads `[mail]`.
pub(super) fn read_mail(mut section: Section<'_>, folder: &Path) -> Option<MailSettings> {
    let is_there = section.is_present();
    let protection = section.read("tls", "\"starttls\", \"tls\" or \"none\"", |value| {
        MailProtection::ALL.into_iter().find(|one| value.as_str() == Some(one.name()))
    });
    let protection = protection.unwrap_or(MailProtection::StartTls);
    let server = match is_there {
        true => section.need("server", "\"HOST\" or \"HOST:PORT\"", server),
        false => section.read("server", "\"HOST\" or \"HOST:PORT\"", server),
    };
    let from = match is_there {
        true => section.need("from", ADDRESS, mailbox),
        false => section.read("from", ADDRESS, mailbox),
    };
    let user = section.read("user", "a user's name of 1-100 characters", text(100));
    let secret = read_secret(&mut section, folder);
    let secret = if user.is_some() { needed(&mut section, secret) } else { secret };
    if user.is_none() && secret.is_some() {
        section.fault("user", "a secret without it", "whose secret it is");
    }
    if user.is_some() && protection == MailProtection::Plain {
        section.fault("user", "one beside tls = \"none\"", "a connection on which nobody reads the password");
    }
    let attempts = section.read("attempts", "a whole number from 1 to 200", whole(1..=200));
    let mail = server.zip(from).map(|((host, port), from)| MailSettings {
        host,
        port: port.unwrap_or_else(|| protection.port()),
        protection,
        authorities: section.read("authorities", "a file's path", path(folder)),
        login: user.zip(secret),
        from,
        within: span(&mut section, "within_s", 1..=300).unwrap_or(Duration::from_secs(60)),
        retry: span(&mut section, "retry_s", 1..=600).unwrap_or(Duration::from_secs(60)),
        attempts: attempts.map_or(100, |attempts| u32::try_from(attempts).unwrap_or(100)),
    });
    section.finish();
    mail
}

/// Reads `[reports.to.NAME]`.
pub(super) fn read_recipients(mut section: Section<'_>) -> BTreeMap<String, ReportRecipient> {
    let mut recipients = BTreeMap::new();
    section.each_named(|own_name, recipient| {
        if name(&Value::from(own_name)).is_none() {
            recipient.fault("", format!("\"{own_name}\""), "a name of 1-64 letters, digits, \"-\", \"_\" or \".\"");
        }
        if let Some(read) = read_recipient(recipient) {
            recipients.insert(own_name.to_owned(), read);
        }
    });
    if recipients.len() > RECIPIENTS_MAX {
        section.fault("", format!("{} of them", recipients.len()), format!("at most {RECIPIENTS_MAX}"));
    }
    section.finish();
    recipients
}

fn read_recipient(section: &mut Section<'_>) -> Option<ReportRecipient> {
    let mail = read_addresses(section);
    let crm = section.read("crm", "the name of a [crm.NAME]", name);
    if section.has("mail") == section.has("crm") {
        section.fault("mail", "both or neither of mail and crm", "one of them");
    }
    let periods =
        section.read("periods", "some of \"day\", \"week\" and \"month\"", some_of(Period::ALL, Period::name));
    let expected = "some of \"html\", \"pdf\", \"csv\", \"json\" and \"xlsx\"";
    let formats = section.read("formats", expected, some_of(ReportFormat::ALL, ReportFormat::name));
    let language = section.read("language", "\"zh\" or \"en\"", |value| {
        Language::ALL.into_iter().find(|language| value.as_str() == Some(language.name()))
    });
    Some(ReportRecipient {
        by: mail.map(ReportWay::Mail).or(crm.map(ReportWay::Crm))?,
        periods: periods.unwrap_or_else(|| Period::ALL.to_vec()),
        formats: formats.unwrap_or_else(|| vec![ReportFormat::Pdf, ReportFormat::Xlsx]),
        language: language.unwrap_or(Language::Zh),
    })
}

/// `mail` of a recipient; each address that is none is a fault of its own, for a long list is not told whole.
fn read_addresses(section: &mut Section<'_>) -> Option<Vec<Mailbox>> {
    let expected = format!("a list of 1 to {ADDRESSES_MAX} mail addresses");
    let written = section.read("mail", expected, list(ADDRESSES_MAX, |value| Some(value.clone())))?;
    let mut addresses = Vec::new();
    for (number, value) in (1..).zip(&written) {
        match mailbox(value) {
            Some(address) => addresses.push(address),
            None => section.fault(&format!("mail[{number}]"), shown(value), ADDRESS),
        }
    }
    (addresses.len() == written.len()).then_some(addresses)
}

fn mailbox(value: &Value) -> Option<Mailbox> {
    text(320)(value)?.parse().ok()
}

/// A host and, where it is said, a port.
fn server(value: &Value) -> Option<(String, Option<u16>)> {
    let text = text(260)(value).filter(|text| text.is_ascii() && !text.contains(char::is_whitespace))?;
    let is_bare = text.parse::<std::net::Ipv6Addr>().is_ok();
    let (host, port) = match text.rsplit_once(':').filter(|_| !is_bare) {
        Some((host, port)) => (host, Some(port.parse().ok().filter(|&port| port > 0)?)),
        None => (text.as_str(), None),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    (!host.is_empty() && !host.contains(['/', '@'])).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    const STORE: &str = "[store]\n[reports]\n";

    #[test]
    fn servers() {
        for (text, expected) in [
            ("mail.example", Some(("mail.example", None))),
            ("mail.example:2525", Some(("mail.example", Some(2525)))),
            ("[2001:db8::1]:25", Some(("2001:db8::1", Some(25)))),
            ("2001:db8::1", Some(("2001:db8::1", None))),
            ("mail.example:0", None),
            ("mail.example:smtp", None),
            (":25", None),
            ("smtp://mail.example", None),
        ] {
            let expected = expected.map(|(host, port): (&str, Option<u16>)| (host.to_owned(), port));
            assert_eq!(server(&Value::from(text)), expected, "{text}");
        }
    }

    #[test]
    fn who_is_sent_what() {
        let text = format!(
            "{STORE}[mail]\nserver = \"mail.example\"\nfrom = \"Calmline <calm@shop.example>\"\nuser = \"calm\"\n\
             secret_env = \"MAIL\"\n[reports.to.heads]\nmail = [\"a@shop.example\"]\nperiods = [\"month\"]\nlanguage = \"en\"\n"
        );
        let settings = Settings::parse(&text, Path::new("a.toml")).expect("good");
        let mail = settings.mail.expect("it is there");
        assert_eq!((mail.host.as_str(), mail.port, mail.protection), ("mail.example", 587, MailProtection::StartTls));
        let heads = &settings.reports.expect("it is there").to["heads"];
        assert_eq!((heads.periods.as_slice(), heads.language), (&[Period::Month][..], Language::En));
        assert_eq!(heads.formats, [ReportFormat::Pdf, ReportFormat::Xlsx]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let mail = "[mail]\nserver = \"mail.example\"\nfrom = \"a@b.example\"\n";
        for (text, key) in [
            (format!("{STORE}[reports.to.heads]\nmail = [\"a@b.example\"]\n"), "reports.to"),
            (format!("{STORE}[reports.to.heads]\ncrm = \"desk\"\n"), "reports.to"),
            (
                format!("{STORE}{mail}[reports.to.heads]\nmail = [\"a@b.example\", \"nobody\"]\n"),
                "reports.to.heads.mail[2]",
            ),
            (format!("{STORE}{mail}[reports.to.heads]\nmail = []\n"), "reports.to.heads.mail"),
            (format!("{STORE}{mail}[reports.to.heads]\nperiods = [\"day\"]\n"), "reports.to.heads.mail"),
            (format!("{STORE}[mail]\nserver = \"mail.example\"\n"), "mail.from"),
            (format!("{STORE}{mail}tls = \"maybe\"\n"), "mail.tls"),
            (format!("{STORE}{mail}tls = \"none\"\nuser = \"a\"\nsecret_env = \"A\"\n"), "mail.user"),
            (format!("{STORE}{mail}user = \"a\"\n"), "mail.secret_env"),
        ] {
            let faults = Settings::parse(&text, Path::new("a.toml")).expect_err(&text);
            assert!(faults.iter().any(|fault| fault.key == key), "{key} of {text}: {faults:?}");
        }
    }
}
