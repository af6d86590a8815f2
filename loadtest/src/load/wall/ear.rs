//! A supervisor who listens meanwhile: a live copy of one call's audio, as the console asks for it.
//!
//! Reads a WAV without an end in chunks (RFC 9112 §7.1); what it sounds like is of no matter here.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::driver::invalid;

/// Octets per second of a live copy: two channels of 16 bits at 8 kHz.
const BYTES_PER_S: f64 = 32_000.0;
/// No chunk is longer, octets.
const CHUNK_BYTES_MAX: u64 = 1 << 20;
/// A copy of which nothing comes for this long has ended.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// An ear at one call.
pub(super) struct Ear(BufReader<TcpStream>);

impl Ear {
    /// Asks for a call's audio.
    pub(super) fn open(web: SocketAddr, token: &str, call: &str) -> io::Result<Self> {
        let mut stream = TcpStream::connect(web)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        let request =
            format!("GET /v1/calls/{call}/audio HTTP/1.1\r\nHost: loadtest\r\nAuthorization: Bearer {token}\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut reader = BufReader::new(stream);
        let status = line(&mut reader)?;
        if !status.starts_with("HTTP/1.1 200 ") {
            return Err(invalid(format!("a call's audio is answered with {status:?}")));
        }
        while !line(&mut reader)?.is_empty() {}
        Ok(Self(reader))
    }

    /// Listens until it is over, or the audio is; how much of it came, seconds.
    pub(super) fn listen(mut self, over: &AtomicBool) -> f64 {
        let mut bytes = 0;
        while !over.load(Ordering::Relaxed) {
            match self.chunk() {
                Ok(0) | Err(_) => break,
                Ok(count) => bytes += count,
            }
        }
        bytes as f64 / BYTES_PER_S
    }

    /// The octets of the next chunk; none at the end.
    fn chunk(&mut self) -> io::Result<u64> {
        let length = line(&mut self.0)?;
        let length = u64::from_str_radix(&length, 16).ok().filter(|length| *length <= CHUNK_BYTES_MAX);
        let length = length.ok_or_else(|| invalid("a chunk without a length".to_owned()))?;
        let read = io::copy(&mut (&mut self.0).take(length), &mut io::sink())?;
        line(&mut self.0)?;
        Ok(read)
    }
}

/// A line without its end.
fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn audio_is_counted_until_it_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let web = listener.local_addr().expect("bound");
        let chunks = format!("{}{}0\r\n\r\n", chunk(16_000), chunk(48_000));
        let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        let server = std::thread::spawn(move || {
            for answer in [answer.as_str(), "HTTP/1.1 404 Not Found\r\n\r\n"] {
                let (mut stream, _) = listener.accept().expect("somebody");
                let mut request = [0; 1_024];
                assert!(stream.read(&mut request).expect("a request") > 0);
                stream.write_all(answer.as_bytes()).expect("room");
            }
        });
        let ear = Ear::open(web, "token", "call-1").expect("it is let in");
        assert_eq!(ear.listen(&AtomicBool::new(false)), 2.0);
        assert!(Ear::open(web, "token", "call-2").is_err(), "there is no such call");
        server.join().expect("nothing went wrong");
    }

    fn chunk(length: usize) -> String {
        format!("{length:x}\r\n{}\r\n", "x".repeat(length))
    }
}
