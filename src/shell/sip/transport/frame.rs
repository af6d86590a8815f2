//! Cuts a stream into messages by Content-Length, and tells keep-alives from them (RFC 3261 §18.3, RFC 5626 §4.4.1).
//!
//! Pure; holds at most one message. Judges nothing but where a message ends.

use crate::shell::sip::door::{HEAD_BYTES_MAX, MESSAGE_BYTES_MAX};

/// One thing that a stream said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A whole message.
    Message(Vec<u8>),
    /// A keep-alive that wants a pong.
    Ping,
    /// The answer to a ping of ours.
    Pong,
}

/// Why nothing more can be read: nobody knows where the next message begins.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FrameFault {
    /// More than we take; what there is of it.
    TooLarge(Vec<u8>),
    /// No length, or more than one; the head.
    NoLength(Vec<u8>),
}

/// What came of a stream and was not yet a whole message.
#[derive(Debug, Default)]
pub(crate) struct Framer {
    buffer: Vec<u8>,
    /// How much of it holds no end of a head.
    searched: usize,
}

impl Framer {
    /// Takes what the stream said next.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// True while a message has begun that is not whole.
    pub(crate) fn is_amid(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next frame; nothing when more has to come first.
    ///
    /// # Errors
    /// When the end of the message cannot be found; the stream is of no more use then.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, FrameFault> {
        for (keep_alive, frame) in [(&b"\r\n\r\n"[..], Frame::Ping), (&b"\r\n"[..], Frame::Pong)] {
            if self.buffer.starts_with(keep_alive) {
                self.drop_first(keep_alive.len());
                return Ok(Some(frame));
            }
        }
        let from = self.searched.saturating_sub(3);
        let Some(end) = self.buffer[from..].windows(4).position(|window| window == b"\r\n\r\n") else {
            self.searched = self.buffer.len();
            return self.wait_for_more(HEAD_BYTES_MAX);
        };
        self.searched = from + end;
        let head = from + end + 4;
        if head > HEAD_BYTES_MAX {
            return Err(FrameFault::TooLarge(std::mem::take(&mut self.buffer)));
        }
        let Some(body) = body_length(&self.buffer[..head]) else {
            return Err(FrameFault::NoLength(self.buffer[..head].to_vec()));
        };
        let length = head.saturating_add(body);
        if length > MESSAGE_BYTES_MAX {
            return Err(FrameFault::TooLarge(std::mem::take(&mut self.buffer)));
        }
        if self.buffer.len() < length {
            return Ok(None);
        }
        let rest = self.buffer.split_off(length);
        let message = std::mem::replace(&mut self.buffer, rest);
        self.searched = 0;
        Ok(Some(Frame::Message(message)))
    }

    fn wait_for_more(&mut self, most: usize) -> Result<Option<Frame>, FrameFault> {
        if self.buffer.len() > most {
            return Err(FrameFault::TooLarge(std::mem::take(&mut self.buffer)));
        }
        Ok(None)
    }

    fn drop_first(&mut self, count: usize) {
        self.buffer.drain(..count);
        self.searched = 0;
    }
}

/// The number of Content-Length, 0 when there is none; nothing when it is no number or there are several that differ.
fn body_length(head: &[u8]) -> Option<usize> {
    let mut length = None;
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end).peekable();
    while let Some(line) = lines.next() {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = line[..colon].trim_ascii_end();
        if !name.eq_ignore_ascii_case(b"content-length") && !name.eq_ignore_ascii_case(b"l") {
            continue;
        }
        let mut value = line[colon + 1..].trim_ascii().to_vec();
        // Folded lines belong to it (RFC 3261 §7.3.1).
        while let Some(more) = lines.next_if(|line| line.starts_with(b" ") || line.starts_with(b"\t")) {
            value.extend_from_slice(more.trim_ascii());
        }
        let is_number = (1..=9).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(&value).ok().filter(|_| is_number)?.parse().ok()?;
        if length.replace(number).is_some() {
            return None;
        }
    }
    Some(length.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INVITE: &str = "INVITE sip:a@b SIP/2.0\r\nContent-Length: 5\r\nX: y\r\n\r\nhello";
    const BYE: &str = "BYE sip:a@b SIP/2.0\r\nl : 0\r\n\r\n";

    #[test]
    fn messages_and_keep_alives() {
        let stream = format!("\r\n\r\n{INVITE}{BYE}\r\n{INVITE}");
        let message = |text: &str| Frame::Message(text.as_bytes().to_vec());
        let expected = [Frame::Ping, message(INVITE), message(BYE), Frame::Pong, message(INVITE)];
        assert_eq!(frames(stream.as_bytes(), stream.len()), Ok(expected.into()));
        // Bit by bit, a ping is two pongs, which says as much.
        let expected = [Frame::Pong, Frame::Pong, message(INVITE), message(BYE), Frame::Pong, message(INVITE)];
        assert_eq!(frames(stream.as_bytes(), 1), Ok(expected.into()));
    }

    #[test]
    fn folded_and_missing_lengths() {
        let folded = "INVITE sip:a@b SIP/2.0\r\nContent-Length:\r\n  5\r\n\r\nhello";
        assert_eq!(frames(folded.as_bytes(), 7), Ok(vec![Frame::Message(folded.as_bytes().to_vec())]));
        let without = "BYE sip:a@b SIP/2.0\r\nX: y\r\n\r\n";
        assert_eq!(frames(without.as_bytes(), 7), Ok(vec![Frame::Message(without.as_bytes().to_vec())]));
    }

    #[test]
    fn lengths_that_are_none() {
        for length in ["-1", "5\r\nl: 5", "five", "", "9999999999"] {
            let head = format!("INVITE sip:a@b SIP/2.0\r\nContent-Length: {length}\r\n\r\n");
            assert_eq!(frames(head.as_bytes(), 9), Err(FrameFault::NoLength(head.clone().into_bytes())), "{length}");
        }
    }

    #[test]
    fn nothing_grows_without_bound() {
        let endless = vec![b'a'; 10 * HEAD_BYTES_MAX];
        let Err(FrameFault::TooLarge(beginning)) = frames(&endless, 1_000) else { panic!("it has a bound") };
        assert!(beginning.len() <= HEAD_BYTES_MAX + 1_000);
        let large = "INVITE sip:a@b SIP/2.0\r\nl: 70000\r\n\r\n";
        assert_eq!(frames(large.as_bytes(), 100), Err(FrameFault::TooLarge(large.as_bytes().to_vec())));
    }

    proptest! {
        /// However a stream is cut, the same messages come out of it.
        #[test]
        fn cuts_do_not_matter(bodies in prop::collection::vec("[a-z\r\n]{0,40}", 1..6), step in 1..90_usize) {
            let stream: String = bodies
                .iter()
                .map(|body| format!("INVITE sip:a@b SIP/2.0\r\nl: {}\r\n\r\n{body}", body.len()))
                .collect();
            prop_assert_eq!(frames(stream.as_bytes(), step), frames(stream.as_bytes(), stream.len()));
            prop_assert_eq!(frames(stream.as_bytes(), step).expect("all is well formed").len(), bodies.len());
        }
    }

    /// What comes out of a stream that arrives in pieces.
    fn frames(stream: &[u8], step: usize) -> Result<Vec<Frame>, FrameFault> {
        let mut framer = Framer::default();
        let mut frames = Vec::new();
        for piece in stream.chunks(step) {
            framer.push(piece);
            while let Some(frame) = framer.next()? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }
}
