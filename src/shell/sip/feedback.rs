//! Overload feedback in Via (RFC 7339): what of a neighbour's new calls we would refuse, and what servers say to us.
//!
//! Only the grammar and our own word are here, what is done about that of others is in `restraint`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rsipstack::sip::{Header as SipHeader, Request, Response, SipMessage};
use rsipstack::transaction::endpoint::MessageInspector;
use rsipstack::transport::SipAddr;

use super::guard::Guard;
use super::restraint::ASKED_FOR_MAX;
use super::uri;
use crate::quoted::parts;
use crate::shell::clock::since_1970;

/// What our requests say in Via: that we obey the loss-based scheme (RFC 7339 §4).
pub(super) const OFFER: &str = ";oc;oc-algo=\"loss\"";
/// The only scheme that everybody who speaks of load knows (RFC 7339 §7).
const SCHEME: &str = "loss";
/// How long a word of ours holds: the load is measured anew four times in it.
const VALIDITY: Duration = Duration::from_secs(2);
/// How long a word holds that does not say so (RFC 7339 §4).
const VALIDITY_UNSAID: Duration = Duration::from_millis(500);
/// Digits behind the point of a sequence number, at most (RFC 7339 §4).
const FRACTION_DIGITS: usize = 5;

/// What a server says of its load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Feedback {
    /// How many of a hundred new calls are to be kept back.
    pub(super) kept_back_percent: u8,
    /// For how long; zero: there is nothing to keep back.
    pub(super) validity: Duration,
    /// Grows from word to word of the same server.
    pub(super) sequence: Sequence,
}

/// Says which of two words of a server is the newer one: hundred-thousandths of a second, as a rule since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sequence(pub(super) u64);

/// Whether whoever sent a request with this topmost Via wants to hear of our load, in a scheme that we speak.
pub(super) fn is_asked(via: &str) -> bool {
    let top = parts(via, ',').next().unwrap_or_default();
    let knows_scheme = |list: &str| list.trim_matches('"').split(',').any(|each| is_same(each, SCHEME));
    parameter(top, "oc").is_some() && parameter(top, "oc-algo").flatten().is_none_or(knows_scheme)
}

/// What the topmost Via of a response says of its server's load; nothing when it says nothing.
///
/// # Errors
/// What is wrong with it, in a few words.
pub(super) fn heard(via: &str) -> Result<Option<Feedback>, &'static str> {
    let top = parts(via, ',').next().unwrap_or_default();
    // A server that does not know the parameter sends it back as it came.
    let Some(Some(value)) = parameter(top, "oc") else { return Ok(None) };
    if parameter(top, "oc-algo").flatten().is_some_and(|scheme| !is_same(scheme.trim_matches('"'), SCHEME)) {
        return Err("a scheme that was not offered");
    }
    let kept_back_percent = number(value).filter(|percent| *percent <= 100).ok_or("oc is no share of a hundred")?;
    let validity = match parameter(top, "oc-validity").flatten() {
        Some(value) => Duration::from_millis(number(value).ok_or("oc-validity is no number")?),
        None => VALIDITY_UNSAID,
    };
    let sequence = parameter(top, "oc-seq").flatten().and_then(Sequence::read).ok_or("no oc-seq")?;
    let kept_back_percent = u8::try_from(kept_back_percent).unwrap_or(100);
    Ok(Some(Feedback { kept_back_percent, validity: validity.min(ASKED_FOR_MAX), sequence }))
}

/// `via` with our word in its topmost value, in place of what was asked there.
fn answered(via: &str, ours: &Feedback) -> String {
    let mut values = parts(via, ',');
    let top = values.next().unwrap_or_default();
    let is_about_load = |part: &str| {
        let name = part.split('=').next().unwrap_or_default();
        ["oc", "oc-algo", "oc-validity", "oc-seq"].iter().any(|each| is_same(each, name))
    };
    let kept: Vec<&str> = parts(top, ';').filter(|part| !is_about_load(part)).collect();
    let Feedback { kept_back_percent, validity, sequence } = ours;
    let word = format!(
        "oc={kept_back_percent};oc-algo=\"{SCHEME}\";oc-validity={};oc-seq={}",
        validity.as_millis(),
        sequence.written()
    );
    let mut answered = format!("{};{word}", kept.join(";"));
    for older in values {
        answered.push(',');
        answered.push_str(older);
    }
    answered
}

/// A parameter of one Via value: nothing when it is not there, and its value when it has one.
fn parameter<'a>(via: &'a str, name: &str) -> Option<Option<&'a str>> {
    parts(via, ';').skip(1).find_map(|part| match part.split_once('=') {
        Some((named, value)) => is_same(named, name).then(|| Some(value.trim())),
        None => is_same(part, name).then_some(None),
    })
}

fn is_same(one: &str, other: &str) -> bool {
    one.trim().eq_ignore_ascii_case(other.trim())
}

fn number(text: &str) -> Option<u64> {
    Some(text).filter(|text| (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
}

impl Sequence {
    /// Reads `1282321615.782` (RFC 7339 §4).
    fn read(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.')?;
        let digits = Some(fraction).filter(|digits| digits.len() <= FRACTION_DIGITS)?;
        let places = u32::try_from(FRACTION_DIGITS - digits.len()).ok()?;
        Some(Self(number(whole)? * 100_000 + number(digits)? * 10_u64.pow(places)))
    }

    fn written(self) -> String {
        format!("{}.{:05}", self.0 / 100_000, self.0 % 100_000)
    }
}

/// What we say of our load to trunks that ask, in every response that the stack sends. Spells the URIs of requests, too:
/// all that is sent passes here.
#[derive(Clone)]
pub(super) struct Teller {
    guard: Arc<Guard>,
    ours: Arc<Mutex<Feedback>>,
}

impl Teller {
    /// Says at first that nothing need be kept back.
    pub(super) fn new(guard: Arc<Guard>) -> Self {
        let ours = Feedback { kept_back_percent: 0, validity: Duration::ZERO, sequence: Sequence(0) };
        let teller = Self { guard, ours: Arc::new(Mutex::new(ours)) };
        teller.set(0, since_1970());
        teller
    }

    /// Says from now on that `refused_percent` of new calls are refused.
    pub(super) fn measure(&self, refused_percent: u32) {
        if let Some(percent) = self.set(u8::try_from(refused_percent.min(100)).unwrap_or(100), since_1970()) {
            tracing::warn!(percent, "trunks that speak RFC 7339 are asked to keep so many new calls back");
        }
        self.guard.metrics().set_feedback_told(refused_percent);
    }

    /// The share, when it has become one or none.
    fn set(&self, kept_back_percent: u8, now: Duration) -> Option<u8> {
        let mut ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        let was = ours.kept_back_percent;
        let at = u64::try_from(now.as_micros() / 10).unwrap_or(u64::MAX);
        // A clock that is put back must not make us unheard.
        let sequence = Sequence(at.max(ours.sequence.0 + 1));
        let validity = if kept_back_percent == 0 { Duration::ZERO } else { VALIDITY };
        *ours = Feedback { kept_back_percent, validity, sequence };
        ((was == 0) != (kept_back_percent == 0)).then_some(kept_back_percent)
    }

    fn say(&self, response: &mut Response) {
        let via = response.headers.iter_mut().find_map(|header| match header {
            SipHeader::Via(via) => Some(via),
            _ => None,
        });
        let Some(top) = via.filter(|top| is_asked(top.value())) else { return };
        let ours = *self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        *top = answered(top.value(), &ours).into();
        if response.status_code.code() == 503 && ours.kept_back_percent > 0 {
            // The share is enough; Retry-After would keep every call away (RFC 7339 §5.10).
            response.headers.retain(|header| !header.name().eq_ignore_ascii_case("Retry-After"));
        }
    }
}

impl MessageInspector for Teller {
    fn before_send(&self, message: SipMessage, to: Option<&SipAddr>) -> SipMessage {
        let mut response = match message {
            SipMessage::Response(response) => response,
            SipMessage::Request(request) => {
                let uri = uri::spelled(&request.uri);
                return SipMessage::Request(Request { uri, ..request });
            }
        };
        let is_trunk = to.and_then(|to| to.get_socketaddr().ok()).is_some_and(|to| self.guard.is_trunk(to.ip()));
        if is_trunk {
            self.say(&mut response);
        }
        SipMessage::Response(response)
    }

    fn after_received(&self, message: SipMessage, _: Option<&SipAddr>) -> SipMessage {
        message
    }
}

#[cfg(test)]
mod tests;
