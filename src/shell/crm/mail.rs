//! Reports by mail: a message with the figures to read and files attached, handed to a mail server (SMTP, RFC 5321).

use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::ContentType;
use lettre::message::{Attachment, Body, Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tracing::warn;

use crate::crm::{Answer, Letter, Parcel};
use crate::report::{ReportFormat, mail_page, subject};
use crate::reporting::typeface;
use crate::settings::{MailProtection, MailSettings, ReportRecipient, ReportWay, Settings, is_this_machine};

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
}

/// Who hands mail to the server.
pub(super) struct Mailer {
    terms: MailTerms,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl Mailer {
    /// Fetches the password, and reads the certificates.
    ///
    /// # Errors
    /// What is not to be had.
    pub(super) fn new(terms: MailTerms) -> Result<Mailer, String> {
        let server = &terms.server;
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
            .port(server.port)
            .timeout(Some(server.within))
            .tls(protection(server)?);
        if let Some((user, secret)) = &server.login {
            let secret = secret.fetch()?;
            transport = transport.credentials(Credentials::new(user.clone(), secret.reveal().to_owned()));
        }
        Ok(Mailer { transport: transport.build(), terms })
    }

    pub(super) fn patience(&self) -> (Duration, u32) {
        (self.terms.server.retry, self.terms.server.attempts)
    }

    /// Writes a parcel's report as a mail and hands it over; what came of it.
    pub(super) fn send(&self, parcel: Parcel) -> impl Future<Output = Answer> + Send + 'static {
        let (terms, transport) = (self.terms.clone(), self.transport.clone());
        async move {
            // Pictures take a while, and calls are handled by these threads.
            let written = tokio::task::spawn_blocking(move || message(&terms, &parcel)).await;
            let message = match written.unwrap_or_else(|error| Err(error.to_string())) {
                Ok(message) => message,
                // A font may be missing today and there tomorrow.
                Err(why) => return Answer::Later(why, None),
            };
            match transport.send(message).await {
                Ok(_) => Answer::Taken,
                Err(error) if error.is_permanent() => Answer::Refused(in_words(&error)),
                Err(error) => Answer::Later(in_words(&error), None),
            }
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

/// The mail of a parcel: the same one however often it is written, so that who gets it twice can tell.
fn message(terms: &MailTerms, parcel: &Parcel) -> Result<Message, String> {
    let letter = Letter::open(parcel)?;
    let (language, report) = (terms.recipient.language, &letter.report);
    let date = UNIX_EPOCH + Duration::from_millis(parcel.unix_ms);
    let from = &terms.server.from;
    let id = format!("<{}@{}>", parcel.key, from.email.domain());
    let mut message =
        Message::builder().from(from.clone()).subject(subject(report, language)).message_id(Some(id)).date(date);
    for address in &terms.addresses {
        message = message.to(address.clone());
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
