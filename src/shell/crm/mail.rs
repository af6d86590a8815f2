//! Reports by mail: a message with the figures to read and files attached, handed to a mail server (SMTP, RFC 5321).

use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use lettre::Message;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Body, Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use tracing::warn;

use crate::crm::{Answer, Letter, Parcel};
use crate::report::{ReportFormat, mail_page, subject};
use crate::reporting::{in_turn, typeface};
use crate::settings::{MailProtection, MailSettings, ReportRecipient, ReportWay, Settings, is_this_machine};

/// How long a server that has taken a mail may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// What is sent to whom, by what.
#[derive(Debug, Clone)]
pub struct MailTerms {
    server: MailSettings,
    recipient: ReportRecipient,
    addresses: Vec<Mailbox>,
    font: Option<PathBuf>,
}

impl MailTerms {
    /// Everybody who is sent reports by mail, by what their deliveries are called: `mail:NAME`, as no `[crm.NAME]` can be.
    pub(super) fn all(settings: &Settings) -> Vec<(String, MailTerms)> {
        let (Some(server), Some(reports)) = (&settings.mail, &settings.reports) else { return Vec::new() };
        let by_mail = reports.to.iter().filter_map(|(name, recipient)| match &recipient.by {
            ReportWay::Mail(addresses) => Some((name, recipient, addresses.clone())),
            ReportWay::Crm(_) => None,
        });
        let terms = by_mail.map(|(name, recipient, addresses)| {
            let (server, recipient, font) = (server.clone(), recipient.clone(), settings.report_font.clone());
            (MailTerms::receiver(name), MailTerms { server, recipient, addresses, font })
        });
        terms.collect()
    }

    /// What deliveries to a recipient by mail are called.
    pub fn receiver(name: &str) -> String {
        format!("mail:{name}")
    }

    /// Whom a parcel goes to: the one address that it names, or all.
    fn addresses_of(&self, parcel: &Parcel) -> Vec<Mailbox> {
        let is_meant = |own: &&Mailbox| parcel.to.as_ref().is_none_or(|to| own.email.to_string() == *to.reveal());
        self.addresses.iter().filter(is_meant).cloned().collect()
    }
}

/// Who hands mail to the server.
pub(super) struct Mailer {
    terms: MailTerms,
    tls: Tls,
    credentials: Option<Credentials>,
}

impl Mailer {
    /// Fetches the password, and reads the certificates.
    ///
    /// # Errors
    /// What is not to be had.
    pub(super) fn new(terms: MailTerms) -> Result<Mailer, String> {
        let tls = protection(&terms.server)?;
        let credentials = match &terms.server.login {
            Some((user, secret)) => Some(Credentials::new(user.clone(), secret.fetch()?.reveal().to_owned())),
            None => None,
        };
        Ok(Mailer { terms, tls, credentials })
    }

    pub(super) fn patience(&self) -> (Duration, u32) {
        (self.terms.server.retry, self.terms.server.attempts)
    }

    /// Writes a parcel's report as a mail and hands it over; what came of it.
    pub(super) fn send(&self, parcel: Parcel) -> impl Future<Output = Answer> + Send + 'static {
        let (terms, tls, credentials) = (self.terms.clone(), self.tls.clone(), self.credentials.clone());
        let server = terms.server.clone();
        async move {
            let to = terms.addresses_of(&parcel);
            if to.is_empty() {
                return Answer::Refused("its address is not in reports.to any more".to_owned());
            }
            let message = match in_turn(move || message(&terms, to, &parcel)).await {
                Ok(message) => message,
                // A font may be missing today and there tomorrow.
                Err(why) => return Answer::Later(why, None),
            };
            let taken = hand_over(&server, &tls, credentials.as_ref(), &message);
            let mut connection = match tokio::time::timeout(server.within, taken).await {
                Ok(Ok(connection)) => connection,
                Ok(Err(error)) if error.is_permanent() => return Answer::Refused(masked(&in_words(&error))),
                Ok(Err(error)) => return Answer::Later(masked(&in_words(&error)), None),
                Err(_) => return Answer::Later(format!("not taken within {} s", server.within.as_secs()), None),
            };
            // It has the mail, whatever it says to this.
            drop(tokio::time::timeout(GOODBYE, connection.abort()).await);
            Answer::Taken
        }
    }
}

fn protection(server: &MailSettings) -> Result<Tls, String> {
    if server.protection == MailProtection::Plain {
        if !is_this_machine(&server.host) {
            warn!(host = server.host, "reports go to the mail server unencrypted: mail.tls = \"none\"");
        }
        return Ok(Tls::None);
    }
    let mut parameters = TlsParameters::builder(server.host.clone());
    if let Some(file) = &server.authorities {
        let pem = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let found = Certificate::from_pem(&pem).map_err(|error| format!("{}: {error}", file.display()))?;
        parameters = parameters.certificate_store(CertificateStore::None).add_root_certificate(found);
    }
    let parameters = parameters.build_rustls().map_err(|error| error.to_string())?;
    Ok(match server.protection {
        MailProtection::Tls => Tls::Wrapper(parameters),
        MailProtection::StartTls | MailProtection::Plain => Tls::Required(parameters),
    })
}

/// Connects to a server, protected as it is to be or not at all, and has it take a mail; the connection that it has taken it on.
async fn hand_over(
    server: &MailSettings,
    tls: &Tls,
    credentials: Option<&Credentials>,
    message: &Message,
) -> Result<AsyncSmtpConnection, lettre::transport::smtp::Error> {
    let (at, own_name) = ((server.host.as_str(), server.port), ClientId::default());
    let from_the_start = match tls {
        Tls::Wrapper(parameters) => Some(parameters.clone()),
        _ => None,
    };
    let connecting = AsyncSmtpConnection::connect_tokio1(at, Some(server.within), &own_name, from_the_start, None);
    let mut connection = connecting.await?;
    if let Tls::Required(parameters) = tls {
        connection.starttls(parameters.clone(), &own_name).await?;
    }
    if let Some(credentials) = credentials {
        connection.auth(DEFAULT_MECHANISMS, credentials).await?;
    }
    connection.send(message.envelope(), &message.formatted()).await?;
    Ok(connection)
}

/// The mail of a parcel: the same one however often it is written, so that who gets it twice can tell.
fn message(terms: &MailTerms, to: Vec<Mailbox>, parcel: &Parcel) -> Result<Message, String> {
    let letter = Letter::open(parcel)?;
    let (language, report) = (terms.recipient.language, &letter.report);
    let date = UNIX_EPOCH + Duration::from_millis(parcel.unix_ms);
    let from = &terms.server.from;
    let id = format!("<{}@{}>", parcel.key, from.email.domain());
    let mut message =
        Message::builder().from(from.clone()).subject(subject(report, language)).message_id(Some(id)).date(date);
    for address in to {
        message = message.to(address);
    }
    let page = mail_page(report, language);
    let mut parts = MultiPart::mixed().singlepart(SinglePart::html(page));
    let is_printed = terms.recipient.formats.contains(&ReportFormat::Pdf);
    let typeface = if is_printed { typeface(terms.font.as_deref())? } else { None };
    for format in &terms.recipient.formats {
        let bytes = format.write(report, language, typeface.as_ref()).map_err(|error| error.to_string())?;
        let kind = ContentType::parse(format.media_type()).expect("a media type of ours");
        let name = format!("{}.{}", letter.file_name(), format.name());
        parts = parts.singlepart(Attachment::new(name).body(Body::new(bytes), kind));
    }
    message.multipart(parts).map_err(|error| error.to_string())
}

/// An error with what is behind it: a server's own words among others.
fn in_words(error: &lettre::transport::smtp::Error) -> String {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if !words.contains(&inner.to_string()) {
            words = format!("{words}: {inner}");
        }
        source = inner.source();
    }
    words
}

/// A server's words without the addresses in them.
fn masked(words: &str) -> String {
    let is_edge = |sign: char| sign.is_whitespace() || "<>()[]\"',;:".contains(sign);
    let masked = words.split_inclusive(is_edge).map(|piece| {
        let word = piece.trim_end_matches(is_edge);
        if word.contains('@') { format!("…{}", &piece[word.len()..]) } else { piece.to_owned() }
    });
    masked.collect()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::pii::Pii;
    use crate::report::{Language, Period, Report};

    #[tokio::test]
    async fn a_server_that_says_nothing_is_waited_for_and_not_for_ever() {
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mailer = mailer(silent.local_addr().expect("an address").port());
        let answer = mailer.send(parcel(Some("heads@shop.example"))).await;
        assert_eq!(answer, Answer::Later("not taken within 1 s".to_owned(), None));
    }

    #[tokio::test]
    async fn who_is_not_sent_reports_any_more_gets_none() {
        // Nobody is asked.
        let answer = mailer(9).send(parcel(Some("gone@shop.example"))).await;
        assert_eq!(answer, Answer::Refused("its address is not in reports.to any more".to_owned()));
    }

    #[test]
    fn a_parcel_goes_to_one_or_to_all() {
        let terms = mailer(9).terms;
        for (to, expected) in [(Some("heads@shop.example"), 1), (Some("gone@shop.example"), 0), (None, 2)] {
            assert_eq!(terms.addresses_of(&parcel(to)).len(), expected, "{to:?}");
        }
    }

    #[test]
    fn addresses_are_masked() {
        for (words, expected) in [
            ("permanent error (550): 5.1.1 <heads@shop.example>: unknown", "permanent error (550): 5.1.1 <…>: unknown"),
            ("no heads@shop.example here", "no … here"),
            ("try again later", "try again later"),
            ("@", "…"),
            ("", ""),
        ] {
            assert_eq!(masked(words), expected);
        }
    }

    fn mailer(port: u16) -> Mailer {
        let server = MailSettings {
            host: "127.0.0.1".to_owned(),
            port,
            protection: MailProtection::Plain,
            authorities: None,
            login: None,
            from: "calmline@shop.example".parse().expect("an address"),
            within: Duration::from_secs(1),
            retry: Duration::from_secs(1),
            attempts: 1,
        };
        let addresses: [Mailbox; 2] =
            ["heads@shop.example", "desk@shop.example"].map(|address| address.parse().expect("an address"));
        let recipient = ReportRecipient {
            by: ReportWay::Mail(addresses.to_vec()),
            periods: vec![Period::Day],
            formats: vec![ReportFormat::Csv],
            language: Language::En,
        };
        let terms = MailTerms { server, recipient, addresses: addresses.to_vec(), font: None };
        Mailer::new(terms).expect("no secret is needed")
    }

    fn parcel(to: Option<&str>) -> Parcel {
        let report = Report::of_day("2026-11-26", "UTC");
        let parcel = Letter::new(Period::Day, "2026-11-26".to_owned(), report).parcel("mail:heads", "k".to_owned(), 0);
        Parcel { to: to.map(Pii::from), ..parcel }
    }
}
