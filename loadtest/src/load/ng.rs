//! rtpengine's control protocol: a cookie and a bencoded dictionary over UDP, one reply per request.
//!
//! Only what a media load needs: `offer`, `answer`, `delete`. Not a general bencode library.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use media::{Codec, Direction, StreamSettings};

use super::Speaking;
use crate::driver::{invalid, loopback, secret};
use crate::phone::PhoneSettings;
use crate::phone::speech::Speech;

/// How long a reply may take.
const REPLY_MAX: Duration = Duration::from_secs(2);
/// How deep lists and dictionaries may be nested.
const DEPTH_MAX: usize = 16;

/// The control connection.
pub(super) struct Client {
    socket: UdpSocket,
    cookie: u64,
    server: SocketAddr,
    speaking: Speaking,
}

impl Client {
    pub(super) fn connect(server: SocketAddr, speaking: Speaking) -> io::Result<Self> {
        loopback(server.ip())?;
        let socket = UdpSocket::bind(SocketAddr::new(server.ip(), 0))?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(REPLY_MAX))?;
        Ok(Client { socket, cookie: 0, server, speaking })
    }

    /// Offer and answer of one call; `ports` are our two local ones. Returns the settings of both sides.
    pub(super) fn set_up(&mut self, call: usize, ports: (u16, u16)) -> io::Result<(StreamSettings, StreamSettings)> {
        let mut caller = self.speech(ports.0, self.speaking.caller, self.speaking.secured.caller(), 2 * call)?;
        let mut callee = self.speech(ports.1, self.speaking.callee, self.speaking.secured.callee(), 2 * call + 1)?;
        let offer = caller.offer(Direction::SendRecv);
        let to_callee = self.describe("offer", call, &offer)?;
        let answered = callee.answer(&to_callee);
        let (answer, callee_settings) = answered.ok_or_else(|| refused(&format!("an offer of {to_callee:?}")))?;
        let to_caller = self.describe("answer", call, &answer)?;
        let accepted = caller.accept(&to_caller);
        let caller_settings = accepted.ok_or_else(|| refused(&format!("an answer of {to_caller:?}")))?;
        Ok((caller_settings, callee_settings))
    }

    fn speech(&self, port: u16, codec: Codec, is_secured: bool, number: usize) -> io::Result<Speech> {
        let (stream, _) = self.speaking.streams();
        let settings = PhoneSettings {
            codecs: vec![codec],
            stream,
            secret: if is_secured { Some(secret()?) } else { None },
            ..PhoneSettings::new(SocketAddr::new(self.server.ip(), port), vec![port])
        };
        Ok(Speech::new(&settings, port, (number as u64 + 1) << 32))
    }

    /// Ends one call; a relay that does not answer has nothing left to end.
    pub(super) fn delete(&mut self, call: usize) {
        let _ = self.ask("delete", call, None);
    }

    fn describe(&mut self, command: &str, call: usize, sdp: &str) -> io::Result<String> {
        let reply = self.ask(command, call, Some(sdp))?;
        let result = reply.get("result").map(String::as_str);
        match (result, reply.get("sdp")) {
            (Some("ok"), Some(sdp)) => Ok(sdp.clone()),
            (result, _) => Err(refused(&format!("{command}: {result:?} {:?}", reply.get("error-reason")))),
        }
    }

    fn ask(&mut self, command: &str, call: usize, sdp: Option<&str>) -> io::Result<BTreeMap<String, String>> {
        self.cookie += 1;
        let cookie = format!("{}_{}", std::process::id(), self.cookie);
        let call_id = format!("load-{}-{call}", std::process::id());
        let mut fields = vec![("call-id", text(&call_id)), ("command", text(command)), ("from-tag", text("caller"))];
        let (caller, callee) = (self.speaking.caller, self.speaking.callee);
        if command == "offer" && caller != callee {
            let (mask, transcode) = (text(caller.name()), text(callee.name()));
            fields.insert(1, ("codec", format!("d4:maskl{mask}e9:transcodel{transcode}ee")));
        }
        if let Some(sdp) = sdp {
            fields.push(("sdp", text(sdp)));
        }
        if command == "answer" {
            fields.push(("to-tag", text("callee")));
        }
        if command == "offer" {
            let transport = if self.speaking.secured.callee() { "RTP/SAVP" } else { "RTP/AVP" };
            fields.push(("transport-protocol", text(transport)));
        }
        self.socket.send(format!("{cookie} {}", encoded(&fields)).as_bytes())?;

        let mut buffer = vec![0; 65_536];
        loop {
            let length = self.socket.recv(&mut buffer)?;
            let reply = String::from_utf8_lossy(&buffer[..length]);
            // A reply to an earlier request that came too late is passed over.
            if let Some((_, body)) = reply.split_once(' ').filter(|(found, _)| *found == cookie) {
                return decoded(body).ok_or_else(|| refused(&"a reply that is no bencoded dictionary"));
            }
        }
    }
}

fn refused(reason: &dyn std::fmt::Display) -> io::Error {
    invalid(format!("the media relay refused: {reason}"))
}

/// A dictionary of values that are encoded already; the keys must come sorted.
fn encoded(fields: &[(&str, String)]) -> String {
    let fields: String = fields.iter().map(|(key, value)| format!("{}{value}", text(key))).collect();
    format!("d{fields}e")
}

/// A string.
fn text(text: &str) -> String {
    format!("{}:{text}", text.len())
}

/// The string fields of a dictionary; others are skipped.
fn decoded(text: &str) -> Option<BTreeMap<String, String>> {
    let mut rest = text.strip_prefix('d')?;
    let mut fields = BTreeMap::new();
    while !rest.starts_with('e') {
        let (key, after) = string(rest)?;
        match string(after) {
            Some((value, after)) => {
                fields.insert(key.to_owned(), value.to_owned());
                rest = after;
            }
            None => rest = skipped(after, DEPTH_MAX)?,
        }
    }
    Some(fields)
}

/// `4:spam` and what follows it.
fn string(text: &str) -> Option<(&str, &str)> {
    let (length, rest) = text.split_once(':')?;
    let length = length.parse().ok()?;
    Some((rest.get(..length)?, rest.get(length..)?))
}

/// What follows the value at the beginning of `text`.
fn skipped(text: &str, depth: usize) -> Option<&str> {
    if let Some((_, rest)) = string(text) {
        return Some(rest);
    }
    if let Some(number) = text.strip_prefix('i') {
        return Some(number.split_once('e')?.1);
    }
    let mut rest = text.strip_prefix(['l', 'd'])?;
    while !rest.starts_with('e') {
        rest = skipped(rest, depth.checked_sub(1)?)?;
    }
    rest.get(1..)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dictionaries() {
        assert_eq!(encoded(&[("command", text("ping")), ("x", text(""))]), "d7:command4:ping1:x0:e");
        let reply = decoded("d6:result2:ok3:sdp4:v=0\n4:tagsd1:ad2:ini5eee5:totall1:a1:bee").expect("a dictionary");
        assert_eq!(reply.get("sdp").map(String::as_str), Some("v=0\n"));
        assert_eq!(reply.len(), 2);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[deil0-9:a-z]{0,80}") {
            let _ = decoded(&text);
        }
    }
}
