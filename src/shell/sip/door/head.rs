//! Reads the start line and the headers of a message: lines are unfolded, compact names written out.
//!
//! Knows where a header ends, not what it means.

use std::borrow::Cow;

use super::HEADERS_MAX;

/// A message, cut into its parts.
#[derive(Debug)]
pub(super) struct Head<'a> {
    pub(super) start: Start<'a>,
    /// Names written out, values trimmed, in message order.
    pub(super) headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// As long as Content-Length says; everything that follows the head when it says nothing.
    pub(super) body: &'a [u8],
}

/// The first line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start<'a> {
    /// Of a request of SIP 2.0.
    Request { method: &'a str, uri: &'a str },
    /// Of a response of SIP 2.0.
    Response { code: u16, reason: &'a str },
}

impl Start<'_> {
    /// The line with its end.
    pub(super) fn line(&self) -> String {
        match self {
            Start::Request { method, uri } => format!("{method} {uri} SIP/2.0\r\n"),
            Start::Response { code, reason } => format!("SIP/2.0 {code} {reason}\r\n"),
        }
    }
}

/// What is wrong with a request, and the code that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: u16,
    pub(super) why: &'static str,
}

impl Fault {
    pub(super) const fn bad(why: &'static str) -> Fault {
        Fault { code: 400, why }
    }
}

/// Why a message has no head that can be judged further.
pub(super) enum Unreadable<'a> {
    /// Nobody can be answered.
    Drop(&'static str),
    /// A request, as far as it could be read.
    Refuse(Box<Head<'a>>, Fault),
}

/// Where the head of a message ends, and where its body begins; empty lines in front are keep-alives that ran into the
/// message (RFC 3261 §7.5).
pub(super) fn cut(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = message.iter().take_while(|byte| b"\r\n".contains(byte)).count();
    let message = &message[blank..];
    match message.windows(4).position(|window| window == b"\r\n\r\n") {
        Some(end) => Some((&message[..end], &message[end + 4..])),
        // The end of a datagram does for an empty line that was forgotten.
        None => Some((message.strip_suffix(b"\r\n")?, &[])),
    }
}

/// Reads a head, and cuts the body to the length that it names.
pub(super) fn read<'a>(text: &'a str, body: &'a [u8]) -> Result<Head<'a>, Unreadable<'a>> {
    let (first, rest) = text.split_once("\r\n").unwrap_or((text, ""));
    let (start, mut fault) = match start_line(first) {
        Ok(start) => (start, None),
        Err((Some(start), fault)) => (start, Some(fault)),
        Err((None, fault)) => return Err(Unreadable::Drop(fault.why)),
    };
    let mut head = Head { start, headers: Vec::with_capacity(24), body };
    fault = fault.or(read_headers(&mut head, rest).err());
    fault = fault.or(cut_body(&mut head).err());
    match fault {
        None => Ok(head),
        Some(fault) if matches!(head.start, Start::Request { .. }) => Err(Unreadable::Refuse(Box::new(head), fault)),
        Some(fault) => Err(Unreadable::Drop(fault.why)),
    }
}

/// The head of a message that is too large, as far as an answer needs it.
pub(super) fn read_beginning(text: &str) -> Unreadable<'_> {
    let fault = Fault { code: 513, why: "too large" };
    let whole_lines = &text[..text.rfind("\r\n").unwrap_or(0)];
    let (first, rest) = whole_lines.split_once("\r\n").unwrap_or((whole_lines, ""));
    let Ok(start @ Start::Request { .. }) = start_line(first) else { return Unreadable::Drop(fault.why) };
    let mut head = Head { start, headers: Vec::new(), body: &[] };
    // What can be read is enough: an answer needs the first few headers only.
    let _ = read_headers(&mut head, rest);
    Unreadable::Refuse(Box::new(head), fault)
}

/// Reads the first line; with a fault, what of it an answer needs.
fn start_line(line: &str) -> Result<Start<'_>, (Option<Start<'_>>, Fault)> {
    if let Some(rest) = line.strip_prefix("SIP/") {
        return status_line(rest).ok_or((None, Fault::bad("no status line")));
    }
    let words: Vec<&str> = line.split(' ').collect();
    let method = words.first().copied().unwrap_or_default();
    let version = line.trim_end().rsplit(' ').next().unwrap_or_default();
    if !is_token(method) || !version.get(..4).is_some_and(|name| name.eq_ignore_ascii_case("SIP/")) {
        return Err((None, Fault::bad("no request line")));
    }
    let &[method, uri, _] = words.as_slice() else {
        // Blanks in the URI, or too many between the parts (RFC 4475 §3.1.2.8-10).
        return Err((Some(Start::Request { method, uri: "" }), Fault::bad("blanks in the request line")));
    };
    let start = Start::Request { method, uri };
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        return Err((Some(start), Fault { code: 505, why: "another version of SIP" }));
    }
    Ok(start)
}

fn status_line(rest: &str) -> Option<Start<'_>> {
    let rest = rest.strip_prefix("2.0 ")?;
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let code = Some(code).filter(|code| code.len() == 3)?.parse().ok()?;
    (100..700).contains(&code).then_some(Start::Response { code, reason: reason.trim_end() })
}

/// Reads the header lines after the first one, folded ones included (RFC 3261 §7.3.1).
fn read_headers<'a>(head: &mut Head<'a>, text: &'a str) -> Result<(), Fault> {
    let mut fault = None;
    for line in text.split("\r\n").filter(|line| !line.is_empty()) {
        if line.contains(['\r', '\n']) {
            fault = fault.or(Some(Fault::bad("a line ending that is none")));
            continue;
        }
        if line.starts_with([' ', '\t']) {
            match head.headers.last_mut() {
                Some((_, value)) => {
                    let value = value.to_mut();
                    value.push(' ');
                    value.push_str(line.trim());
                }
                None => fault = fault.or(Some(Fault::bad("a folded line without a header"))),
            }
            continue;
        }
        if head.headers.len() >= HEADERS_MAX {
            return Err(Fault { code: 513, why: "too many headers" });
        }
        match line.split_once(':').map(|(name, value)| (name.trim_end(), value.trim())) {
            Some((name, value)) if is_token(name) => head.headers.push((long_name(name), Cow::Borrowed(value))),
            _ => fault = fault.or(Some(Fault::bad("a header without a name"))),
        }
    }
    for (_, value) in &mut head.headers {
        if value.starts_with([' ', '\t']) {
            *value = Cow::Owned(value.trim().to_owned());
        }
    }
    fault.map_or(Ok(()), Err)
}

/// Cuts the body to Content-Length; what follows in a datagram is none of ours (RFC 3261 §18.3).
fn cut_body(head: &mut Head<'_>) -> Result<(), Fault> {
    let mut lengths = head.headers.iter().filter(|(name, _)| name == "Content-Length").map(|(_, value)| value.as_ref());
    let Some(length) = lengths.next() else { return Ok(()) };
    if lengths.next().is_some() {
        return Err(Fault::bad("more than one Content-Length"));
    }
    let digits = Some(length).filter(|text| (1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()));
    let Some(length) = digits.and_then(|text| text.parse::<usize>().ok()) else {
        return Err(Fault::bad("a Content-Length that is no number"));
    };
    head.body = head.body.get(..length).ok_or(Fault::bad("a body shorter than Content-Length"))?;
    Ok(())
}

/// A token of RFC 3261 §25.1.
pub(super) fn is_token(text: &str) -> bool {
    let is_in_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_in_token)
}

/// The long name of a compact one; names that are looked at are written as everybody writes them.
fn long_name(name: &str) -> Cow<'_, str> {
    const LONG: [(&str, &str); 26] = [
        ("v", "Via"),
        ("f", "From"),
        ("t", "To"),
        ("i", "Call-ID"),
        ("m", "Contact"),
        ("l", "Content-Length"),
        ("c", "Content-Type"),
        ("e", "Content-Encoding"),
        ("k", "Supported"),
        ("s", "Subject"),
        ("o", "Event"),
        ("r", "Refer-To"),
        ("b", "Referred-By"),
        ("u", "Allow-Events"),
        ("x", "Session-Expires"),
        ("y", "Identity"),
        ("Via", "Via"),
        ("From", "From"),
        ("To", "To"),
        ("Call-ID", "Call-ID"),
        ("CSeq", "CSeq"),
        ("Contact", "Contact"),
        ("Content-Length", "Content-Length"),
        ("Content-Type", "Content-Type"),
        ("Max-Forwards", "Max-Forwards"),
        ("Record-Route", "Record-Route"),
    ];
    match LONG.iter().find(|(short, _)| short.eq_ignore_ascii_case(name)) {
        Some((_, long)) => Cow::Borrowed(long),
        None => Cow::Borrowed(name),
    }
}
