//! Requests with the headers that a browser sends, and answers with theirs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::stage::LONG;

/// A request.
pub struct Asked {
    web: SocketAddr,
    head: String,
    body: String,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Asked {
    pub fn new(web: SocketAddr, method: &str, path: &str) -> Self {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {web}\r\nConnection: close\r\n");
        Self { web, head, body: String::new() }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub fn body(self, kind: &str, body: &str) -> Self {
        Self { body: body.to_owned(), ..self.header("Content-Type", kind) }
    }

    pub fn offer(self, sdp: &str) -> Self {
        self.body("application/sdp", sdp)
    }

    pub fn json(self, body: &str) -> Self {
        self.body("application/json", body)
    }

    pub fn send(self) -> Answer {
        let mut stream = TcpStream::connect(self.web).expect("a connection");
        stream.set_read_timeout(Some(LONG)).expect("a timeout");
        let head = self.header_of_length();
        // Who is refused for the head alone may be cut off while the body is still on its way.
        let _ = stream.write_all(head.as_bytes());
        let mut octets = Vec::new();
        stream.read_to_end(&mut octets).expect("an answer");
        let text = String::from_utf8(octets).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn header_of_length(&self) -> String {
        format!("{}Content-Length: {}\r\n\r\n{}", self.head, self.body.len(), self.body)
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}
