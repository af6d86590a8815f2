//! The UDP socket in front of the stack: answers requests whose method the stack cannot even name.
//!
//! `rsipstack` drops a message with an unknown method while parsing; RFC 3261 §8.2.1 wants 405. Everything else passes
//! through untouched.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use rsipstack::Result;
use rsipstack::platform::net::UdpSocket;
use rsipstack::sip::Method;
use rsipstack::transaction::make_tag;

use super::Trust;
use super::message::{ALLOW, with_tag};

/// Pause after a failed read, so that a broken socket does not spin.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// The socket.
pub(super) struct Door {
    socket: tokio::net::UdpSocket,
    trusted: Trust,
}

impl Door {
    /// Guards `socket`; strangers get no answer from here.
    pub(super) fn new(socket: tokio::net::UdpSocket, trusted: Trust) -> Self {
        Self { socket, trusted }
    }
}

#[async_trait]
impl UdpSocket for Door {
    async fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr)> {
        loop {
            let (length, source) = match self.socket.recv_from(buffer).await {
                Ok(received) => received,
                Err(error) => {
                    tokio::time::sleep(ERROR_PAUSE).await;
                    return Err(error.into());
                }
            };
            let Some(response) = refusal(&buffer[..length]) else {
                return Ok((length, source));
            };
            if (self.trusted)(source.ip()) {
                self.socket.send_to(response.as_bytes(), source).await?;
            }
        }
    }

    async fn send_to(&self, buffer: &[u8], target: SocketAddr) -> Result<usize> {
        Ok(self.socket.send_to(buffer, target).await?)
    }

    fn local_addr(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }
}

/// The 405 for a request with an unknown method; nothing for anything else.
fn refusal(datagram: &[u8]) -> Option<String> {
    let end = datagram.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&datagram[..end]).ok()?;
    let (request_line, headers) = head.split_once("\r\n")?;
    let mut words = request_line.split(' ');
    let (method, _uri, version) = (words.next()?, words.next()?, words.next()?);
    let is_token = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if version != "SIP/2.0" || words.next().is_some() || !is_token || method.parse::<Method>().is_ok() {
        return None;
    }
    let mut response = String::from("SIP/2.0 405 Method Not Allowed\r\n");
    for line in headers.split("\r\n") {
        let (name, value) = line.split_once(':')?;
        match name.trim().to_ascii_lowercase().as_str() {
            "via" | "v" | "from" | "f" | "call-id" | "i" | "cseq" => response += &format!("{line}\r\n"),
            "to" | "t" => response += &format!("To: {}\r\n", with_tag(value.trim(), make_tag().value())),
            _ => {}
        }
    }
    Some(response + &format!("Allow: {ALLOW}\r\nContent-Length: 0\r\n\r\n"))
}

#[cfg(test)]
mod tests {
    use super::refusal;

    #[test]
    fn unknown_method() {
        let response = refusal(
            b"FLY sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bKx\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\n\
              Call-ID: x\r\nCSeq: 1 FLY\r\nMax-Forwards: 70\r\n\r\n",
        )
        .expect("FLY is no method");
        assert!(response.starts_with("SIP/2.0 405 Method Not Allowed\r\nVia: SIP/2.0/UDP c;branch=z9hG4bKx\r\n"));
        assert!(response.contains("\r\nTo: <sip:a@b>;tag="), "{response}");
        assert!(response.contains("\r\nCSeq: 1 FLY\r\n") && !response.contains("Max-Forwards"), "{response}");
    }

    #[test]
    fn everything_else_passes() {
        check(b"OPTIONS sip:a@b SIP/2.0\r\nTo: <sip:a@b>\r\n\r\n");
        check(b"SIP/2.0 200 OK\r\nTo: <sip:a@b>\r\n\r\n");
        check(b"FLY sip:a@b SIP/2.0\r\nno end");
        check(b"F\xff sip:a@b SIP/2.0\r\nTo: x\r\n\r\n");
        check(b"\r\n\r\n");
        check(b"");
    }

    #[track_caller]
    fn check(datagram: &[u8]) {
        assert_eq!(refusal(datagram), None);
    }
}
