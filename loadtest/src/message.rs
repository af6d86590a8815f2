//! SIP messages as text: a small reader and writer for the telephones (RFC 3261 §7).
//!
//! Deliberately not the parser that the server uses: a telephone that shares the server's mistakes would not see them.

use std::fmt::Write;

/// The longest message that is read, bytes: one UDP datagram.
pub const BYTES_MAX: usize = 65_535;
/// The most header lines that are read.
pub const HEADERS_MAX: usize = 128;

/// One request or response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The first line.
    pub start: Start,
    /// Header names as written, and values without surrounding blanks, in order.
    pub headers: Vec<(String, String)>,
    /// What follows the empty line.
    pub body: String,
}

/// The first line of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// A request.
    Request {
        /// INVITE, BYE, …
        method: String,
        /// The request-URI.
        uri: String,
    },
    /// A response.
    Response {
        /// 100-699.
        status: u16,
        /// The reason phrase.
        reason: String,
    },
}

/// Why bytes are no SIP message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Over one of the limits.
    #[error("larger than a datagram or more headers than we read")]
    TooLarge,
    /// Not UTF-8.
    #[error("not UTF-8")]
    Encoding,
    /// The first line is neither a request nor a response.
    #[error("neither a request nor a response")]
    FirstLine,
    /// A header line has no colon.
    #[error("a header line has no colon")]
    Header,
}

impl Message {
    /// Reads one datagram.
    ///
    /// # Errors
    /// Says what is wrong; nothing in the datagram can make this panic.
    pub fn parse(bytes: &[u8]) -> Result<Self, MessageError> {
        if bytes.len() > BYTES_MAX {
            return Err(MessageError::TooLarge);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| MessageError::Encoding)?;
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text.trim_end_matches("\r\n"), ""));
        let mut lines = head.split("\r\n");
        let start = start(lines.next().unwrap_or_default())?;

        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines {
            if line.starts_with([' ', '\t']) {
                let Some((_, value)) = headers.last_mut() else { return Err(MessageError::Header) };
                value.push(' ');
                value.push_str(line.trim());
                continue;
            }
            if headers.len() >= HEADERS_MAX {
                return Err(MessageError::TooLarge);
            }
            let Some((name, value)) = line.split_once(':') else { return Err(MessageError::Header) };
            headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }

        let message = Message { start, headers, body: String::new() };
        let length = message.header("Content-Length").and_then(|value| value.parse::<usize>().ok());
        let body = length.and_then(|length| body.get(..length)).unwrap_or(body).to_owned();
        Ok(Message { body, ..message })
    }

    /// A request without headers.
    pub fn request(method: &str, uri: &str) -> Self {
        let start = Start::Request { method: method.to_owned(), uri: uri.to_owned() };
        Message { start, headers: Vec::new(), body: String::new() }
    }

    /// The response to `request` with what every response repeats (RFC 3261 §8.2.6).
    pub fn response(request: &Message, status: u16, reason: &str) -> Self {
        let start = Start::Response { status, reason: reason.to_owned() };
        let mut response = Message { start, headers: Vec::new(), body: String::new() };
        for name in ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"] {
            for value in request.values(name) {
                response.push(name, value);
            }
        }
        response
    }

    /// Adds a header at the end.
    pub fn push(&mut self, name: &str, value: impl Into<String>) {
        self.headers.push((name.to_owned(), value.into()));
    }

    /// Sets the body and its type.
    pub fn set_body(&mut self, content_type: &str, body: String) {
        self.push("Content-Type", content_type);
        self.body = body;
    }

    /// The message on the wire; Content-Length is added.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = match &self.start {
            Start::Request { method, uri } => format!("{method} {uri} SIP/2.0\r\n"),
            Start::Response { status, reason } => format!("SIP/2.0 {status} {reason}\r\n"),
        };
        for (name, value) in &self.headers {
            // Writing to a string cannot fail.
            let _ = write!(text, "{name}: {value}\r\n");
        }
        let _ = write!(text, "Content-Length: {}\r\n\r\n{}", self.body.len(), self.body);
        text.into_bytes()
    }

    /// The first value of a header, by its long name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// All values of a header, by its long name, one per line.
    pub fn values<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        let matches = move |found: &str| found.eq_ignore_ascii_case(name) || compact(name) == Some(found);
        self.headers.iter().filter(move |(found, _)| matches(found)).map(|(_, value)| value.as_str())
    }

    /// The method of a request, or of the request that a response answers.
    pub fn method(&self) -> &str {
        match &self.start {
            Start::Request { method, .. } => method,
            Start::Response { .. } => self.header("CSeq").and_then(|v| v.split_whitespace().nth(1)).unwrap_or_default(),
        }
    }

    /// The status of a response.
    pub fn status(&self) -> Option<u16> {
        match self.start {
            Start::Response { status, .. } => Some(status),
            Start::Request { .. } => None,
        }
    }

    /// The number in CSeq.
    pub fn cseq(&self) -> Option<u32> {
        self.header("CSeq")?.split_whitespace().next()?.parse().ok()
    }

    /// The branch of the topmost Via.
    pub fn branch(&self) -> Option<&str> {
        parameter(self.header("Via")?.split(',').next()?, "branch")
    }

    /// The tag of From.
    pub fn from_tag(&self) -> Option<&str> {
        parameter(self.header("From")?, "tag")
    }

    /// The tag of To.
    pub fn to_tag(&self) -> Option<&str> {
        parameter(self.header("To")?, "tag")
    }

    /// The body when it is a session description.
    pub fn description(&self) -> Option<&str> {
        let is_description = self.header("Content-Type")?.to_ascii_lowercase().starts_with("application/sdp");
        (is_description && !self.body.is_empty()).then_some(self.body.as_str())
    }
}

/// The value of `;name=` after the address of a header value.
pub fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let after = value.rfind('>').map_or(value, |at| &value[at..]);
    after.split(';').skip(1).find_map(|field| {
        let (found, value) = field.split_once('=').unwrap_or((field, ""));
        found.trim().eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// The URI of a header value such as `"Name" <sip:a@b;lr>;tag=1`.
pub fn uri(value: &str) -> &str {
    match (value.find('<'), value.find('>')) {
        (Some(open), Some(close)) if open < close => &value[open + 1..close],
        _ => value.split(';').next().unwrap_or_default().trim(),
    }
}

/// Host and port of a `sip:` URI, port 5060 when it names none.
pub fn host_port(uri: &str) -> Option<(&str, u16)> {
    let rest = uri.strip_prefix("sip:").or_else(|| uri.strip_prefix("sips:"))?;
    let rest = rest.split([';', '?']).next()?;
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    if let Some(v6) = host.strip_prefix('[') {
        let (address, after) = v6.split_once(']')?;
        let port = after.strip_prefix(':').map_or(Some(5060), |port| port.parse().ok())?;
        return Some((address, port));
    }
    match host.rsplit_once(':') {
        Some((host, port)) => Some((host, port.parse().ok()?)),
        None => Some((host, 5060)),
    }
}

fn start(line: &str) -> Result<Start, MessageError> {
    if let Some(rest) = line.strip_prefix("SIP/2.0 ") {
        let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let status = status.parse().ok().filter(|status| (100..700).contains(status));
        let status = status.ok_or(MessageError::FirstLine)?;
        return Ok(Start::Response { status, reason: reason.to_owned() });
    }
    let mut words = line.split(' ');
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some(method), Some(uri), Some("SIP/2.0"), None) if !method.is_empty() && !uri.is_empty() => {
            Ok(Start::Request { method: method.to_owned(), uri: uri.to_owned() })
        }
        _ => Err(MessageError::FirstLine),
    }
}

/// The compact form of a header (RFC 3261 §7.3.3, RFC 3515).
fn compact(name: &str) -> Option<&'static str> {
    Some(match name {
        "Via" => "v",
        "From" => "f",
        "To" => "t",
        "Call-ID" => "i",
        "Contact" => "m",
        "Content-Type" => "c",
        "Content-Length" => "l",
        "Refer-To" => "r",
        "Event" => "o",
        "Supported" => "k",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INVITE: &str = "INVITE sip:bot@127.0.0.1:5060 SIP/2.0\r\nv: SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKa;rport\r\n\
        From: \"A;tag=no\" <sip:a@b;x=1>;tag=yes\r\nt: <sip:c@d>\r\nCall-ID: 1@x\r\nSubject: long\r\n  line\r\n\
        CSeq: 7 INVITE\r\nc: application/sdp\r\nl: 4\r\n\r\nv=0\nrest";

    #[test]
    fn request() {
        let message = Message::parse(INVITE.as_bytes()).expect("a request");
        assert_eq!((message.method(), message.cseq(), message.status()), ("INVITE", Some(7), None));
        assert_eq!((message.branch(), message.from_tag(), message.to_tag()), (Some("z9hG4bKa"), Some("yes"), None));
        assert_eq!(message.header("Subject"), Some("long line"));
        assert_eq!(message.description(), Some("v=0\n"));
        let again = Message::parse(&message.to_bytes()).expect("what we write");
        assert_eq!(again.body, message.body);
    }

    #[test]
    fn response_repeats_the_request() {
        let request = Message::parse(INVITE.as_bytes()).expect("a request");
        let response = Message::parse(&Message::response(&request, 180, "Ringing").to_bytes()).expect("a response");
        assert_eq!((response.status(), response.method(), response.branch()), (Some(180), "INVITE", Some("z9hG4bKa")));
        assert_eq!(response.header("To"), Some("<sip:c@d>"));
    }

    #[test]
    fn addresses() {
        assert_eq!(uri("\"x\" <sip:a@b;lr>;tag=1"), "sip:a@b;lr");
        assert_eq!(uri("sip:a@b;tag=1"), "sip:a@b");
        assert_eq!(host_port("sip:a@127.0.0.1:5070;lr"), Some(("127.0.0.1", 5070)));
        assert_eq!(host_port("sip:127.0.0.1"), Some(("127.0.0.1", 5060)));
        assert_eq!(host_port("sip:a@[::1]:5070"), Some(("::1", 5070)));
        assert_eq!(host_port("tel:123"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Message::parse(&bytes);
        }

        #[test]
        fn damaged_messages_are_read_or_refused(place in 0_usize..300, byte in any::<u8>(), length in 0_usize..320) {
            let mut bytes = INVITE.as_bytes().to_vec();
            let place = place % bytes.len();
            bytes[place] = byte;
            bytes.truncate(length);
            if let Ok(message) = Message::parse(&bytes) {
                let _ = (message.branch(), message.from_tag(), message.to_tag(), message.cseq(), message.description());
                let _ = message.header("Via").map(|value| host_port(uri(value)));
            }
        }
    }
}
