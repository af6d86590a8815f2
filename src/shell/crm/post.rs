//! One attempt to have a parcel taken: a mail, or an HTTP request, signed, and what its answer means.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::mail::Mailer;
use crate::crm::{Answer, Parcel, Template, signature};
use crate::hexadecimal::hexadecimal;
use crate::pbx::Secret;
use crate::settings::{CrmSettings, SecretSource};
use crate::shell::pbx::{client, in_words};
use crate::shell::sip::client_by;
use crate::web::Moment;

/// Who takes parcels.
pub(super) enum Receiver {
    /// A system outside.
    Webhook(Box<Webhook>),
    /// People who get mail.
    Mailer(Box<Mailer>),
}

impl Receiver {
    /// Whether it is told every event of a type.
    pub(super) fn is_told(&self, event: &str) -> bool {
        match self {
            Receiver::Webhook(webhook) => webhook.settings.events.iter().any(|wanted| wanted == event),
            Receiver::Mailer(_) => false,
        }
    }

    /// What an event is told as.
    pub(super) fn body(&self, facts: &BTreeMap<&'static str, Value>) -> Option<String> {
        match self {
            Receiver::Webhook(webhook) => Some(webhook.template.fill(facts)),
            Receiver::Mailer(_) => None,
        }
    }

    /// The pause after the first attempt, and how many there are.
    pub(super) fn patience(&self) -> (Duration, u32) {
        match self {
            Receiver::Webhook(webhook) => (webhook.settings.retry, webhook.settings.attempts),
            Receiver::Mailer(mailer) => mailer.patience(),
        }
    }

    /// Hands over a parcel, and says what came of it.
    pub(super) fn post(&self, parcel: &Parcel) -> BoxFuture<'static, Answer> {
        match self {
            Receiver::Webhook(webhook) => webhook.post(parcel).boxed(),
            Receiver::Mailer(mailer) => mailer.send(parcel.clone()).boxed(),
        }
    }
}

/// One system outside.
pub(super) struct Webhook {
    settings: CrmSettings,
    template: Template,
    secret: Secret,
    authorization: Option<Secret>,
    client: reqwest::Client,
}

impl Webhook {
    /// Fetches its secrets, and reads its template and certificates.
    ///
    /// # Errors
    /// What is not to be had.
    pub(super) fn new(settings: &CrmSettings) -> Result<Webhook, String> {
        let by = client_by(settings.authorities.as_deref()).map_err(|error| error.to_string())?;
        Ok(Webhook {
            template: settings.read_template().map_err(|fault| fault.to_string())?,
            secret: settings.secret.fetch()?,
            authorization: settings.authorization.as_ref().map(SecretSource::fetch).transpose()?,
            client: client(&by)?,
            settings: settings.clone(),
        })
    }

    /// Posts a parcel, and says what came of it.
    fn post(&self, parcel: &Parcel) -> impl Future<Output = Answer> + Send + 'static {
        let unix_s = Moment::now().0 / 1_000;
        let mut request = self
            .client
            .post(&self.settings.url)
            .timeout(self.settings.within)
            .header("Content-Type", "application/json")
            .header("Idempotency-Key", &parcel.key)
            .header("X-Calmline-Event", &parcel.event)
            .header("X-Calmline-Attempt", parcel.attempts + 1)
            .header("X-Calmline-Signature", signature(&self.secret, unix_s, &parcel.body))
            .body(parcel.body.clone());
        if let Some(value) = &self.authorization {
            request = request.header("Authorization", value.reveal());
        }
        async move {
            match request.send().await {
                Ok(response) => {
                    let status = response.status();
                    let reason = status.canonical_reason().unwrap_or_default();
                    Answer::of_status(status.as_u16(), reason, retry_after(&response))
                }
                Err(error) => Answer::Later(in_words(&error), None),
            }
        }
    }
}

/// The seconds of Retry-After (RFC 9110 §10.2.3); dates are not read.
fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let seconds = response.headers().get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// What a parcel is known by: 32 hexadecimal digits by chance.
pub(super) fn fresh_key() -> String {
    hexadecimal(&octets::<16>())
}

/// A number by chance, 0-1.
pub(super) fn chance() -> f64 {
    f64::from(u16::from_be_bytes(octets())) / f64::from(u16::MAX)
}

fn octets<const N: usize>() -> [u8; N] {
    let mut octets = [0; N];
    SystemRandom::new().fill(&mut octets).expect("the system gave random numbers at the start");
    octets
}
