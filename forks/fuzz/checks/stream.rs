//! Any bytes as the messages of a stream: they are taken or refused, the stream begins once and before its audio.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use forks::stream::{Event, Message, Request, Stream};

/// Takes the first line as the URL's parameters; of what a NUL stands between, what begins with `b` is a binary
/// message and everything else a text.
///
/// # Panics
/// When audio comes before the beginning or in a channel that was not announced.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (query, _) = text.split_once('\n').unwrap_or((&text, ""));
    let parameters = query.split('&').filter_map(|pair| pair.split_once('='));
    let Ok(request) = Request::read(parameters) else { return };
    let mut stream = Stream::new(request);
    let mut channels = None;
    let start = bytes.iter().position(|&octet| octet == b'\n').map_or(bytes.len(), |at| at + 1);
    for message in bytes[start..].split(|&octet| octet == 0) {
        let message = match message {
            [b'b', octets @ ..] => Message::Binary(octets.to_vec()),
            octets => Message::Text(String::from_utf8_lossy(octets).into_owned()),
        };
        let mut events = Vec::new();
        let taken = stream.read(&message, &mut events);
        for event in events {
            match event {
                Event::Begun(opening) => assert!(channels.replace(opening.voices.len()).is_none(), "begun twice"),
                Event::Audio { channel, .. } => assert!(channels.is_some_and(|channels| channel < channels)),
                _ => {}
            }
        }
        if taken.is_err() {
            return;
        }
        let mut replies = Vec::new();
        stream.play(&[0; 160], &mut replies);
        stream.clear(&mut replies);
        stream.mark(1, &mut replies);
    }
}
