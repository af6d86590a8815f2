//! The door: what is done with the bytes of one message before the stack sees them. Pure.
//!
//! Reads as RFC 3261 §25 has it and judges: what is well formed passes in a plain form (long names, one line per
//! header, one blank), a request that is not gets its answer, anything else is dropped. Knows no socket and no dialog.

mod answer;
mod head;
mod values;

use std::net::SocketAddr;

use self::head::{Head, Start};

pub(crate) use self::answer::Refusal;
#[cfg(test)]
pub(crate) use self::answer::reply_address;

/// The longest message, bytes; what a UDP datagram can hold anyway.
pub(crate) const MESSAGE_BYTES_MAX: usize = 65_535;
/// The longest start line and headers together, bytes.
pub(crate) const HEAD_BYTES_MAX: usize = 16 * 1_024;
/// The most header lines.
pub(crate) const HEADERS_MAX: usize = 128;

/// Headers whose parameters the stack reads.
const WITH_PARAMETERS: [&str; 6] = ["Via", "From", "To", "Contact", "Route", "Record-Route"];

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is well formed.
    Pass(Plain),
    /// It is a request that cannot be served.
    Refuse(Refusal),
    /// It deserves no answer; why, in a few words.
    Drop(&'static str),
}

/// A message that is well formed, and what the guard asks of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plain {
    /// In the form that the stack reads.
    pub(crate) bytes: Vec<u8>,
    pub(crate) kind: Kind,
}

/// Where a message belongs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// To a request of ours.
    Response,
    /// A request inside a dialog: it has a tag in To.
    Inside,
    /// A request of this method that belongs to no dialog yet.
    Begins(String),
}

/// Judges one message as it was cut out of a datagram, a stream or a WebSocket; `from` is who sent it.
pub(crate) fn judge(message: &[u8], from: SocketAddr) -> Verdict {
    let (text, body) = match head::cut(message) {
        Some((text, body)) if text.len() <= HEAD_BYTES_MAX && message.len() <= MESSAGE_BYTES_MAX => (text, body),
        Some((text, _)) => return refuse_large(text, from),
        None => return Verdict::Drop("no end of the headers"),
    };
    // Names of people in another encoding than UTF-8 must not cost a call.
    let text = String::from_utf8_lossy(text);
    let head = match head::read(&text, body) {
        Ok(head) => head,
        Err(unreadable) => return refuse(unreadable, from),
    };
    match (&head.start, values::check(&head)) {
        (_, Ok(())) => Verdict::Pass(Plain { bytes: plain(&head), kind: kind(&head) }),
        (Start::Request { .. }, Err(fault)) => answer::refuse(&head, fault, from),
        (Start::Response { .. }, Err(fault)) => Verdict::Drop(fault.why),
    }
}

/// Refuses a message of which only the beginning is at hand: the rest is more than we take.
pub(crate) fn refuse_large(beginning: &[u8], from: SocketAddr) -> Verdict {
    let text = String::from_utf8_lossy(&beginning[..beginning.len().min(HEAD_BYTES_MAX)]);
    refuse(head::read_beginning(&text), from)
}

/// Refuses a request that is well formed, for a reason of the guard's; nothing when nobody can be answered.
pub(crate) fn turn_away(message: &[u8], from: SocketAddr, code: u16) -> Option<Refusal> {
    let (text, body) = head::cut(message)?;
    let text = String::from_utf8_lossy(text);
    let head = head::read(&text, body).ok()?;
    match answer::refuse(&head, head::Fault { code, why: "turned away" }, from) {
        Verdict::Refuse(refusal) => Some(refusal),
        Verdict::Pass(_) | Verdict::Drop(_) => None,
    }
}

fn kind(head: &Head<'_>) -> Kind {
    let Start::Request { method, .. } = head.start else { return Kind::Response };
    let to = values::values(head, "To").next().unwrap_or_default();
    match super::message::tag_of(to) {
        Some(_) => Kind::Inside,
        None => Kind::Begins(method.to_owned()),
    }
}

fn refuse(unreadable: head::Unreadable<'_>, from: SocketAddr) -> Verdict {
    match unreadable {
        head::Unreadable::Drop(why) => Verdict::Drop(why),
        head::Unreadable::Refuse(head, fault) => answer::refuse(&head, fault, from),
    }
}

/// The message in the form the stack reads.
fn plain(head: &Head<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADERS_MAX.max(head.body.len()) + head.body.len() + 1_024);
    bytes.extend_from_slice(head.start.line().as_bytes());
    for (name, value) in &head.headers {
        if !name.eq_ignore_ascii_case("Content-Length") {
            let value = if WITH_PARAMETERS.contains(&name.as_ref()) { tight(value) } else { value.to_string() };
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
    }
    bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", head.body.len()).as_bytes());
    bytes.extend_from_slice(head.body);
    bytes
}

/// A value without the blanks around the semicolons and equals signs of its parameters (RFC 3261 §7.3.1), which the
/// stack does not expect there. What is quoted or in angle brackets stays as it is.
fn tight(value: &str) -> String {
    let (mut text, mut closing, mut escaped) = (String::with_capacity(value.len()), None, false);
    for character in value.chars() {
        let is_separator = closing.is_none() && [';', '='].contains(&character);
        if is_separator {
            text.truncate(text.trim_end().len());
        } else if closing.is_none() && character == ' ' && text.ends_with([';', '=']) {
            continue;
        }
        text.push(character);
        match (closing, character) {
            (None, '"') => closing = Some('"'),
            (None, '<') => closing = Some('>'),
            (Some('"'), '\\') if !escaped => {
                escaped = true;
                continue;
            }
            (Some(end), character) if end == character && !escaped => closing = None,
            _ => {}
        }
        escaped = false;
    }
    text
}

#[cfg(test)]
mod tests;
