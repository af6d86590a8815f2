//! Any bytes as the answers of a recogniser elsewhere: taken or refused, and what they say lies in the audio that was sent.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use std::sync::Arc;

use nlu::PartyId;
use nlu::recognition::remote::{Protocol, RemoteStream};
use nlu::recognition::{Language, Listed, PhraseList};

const LIST: &str = "language = \"zh\"\n[[intent]]\nname = \"complaint\"\nphrases = [\"我要投诉\", \"a refund\"]\n";

/// What stands between NULs is a message each; one that begins with `b` stands for audio, 20 ms for each of its bytes, and
/// one that begins with `g` for a gap before the next audio, 1 s for each of its bytes. Both protocols take all of it.
///
/// # Panics
/// When what is understood lies beyond the audio, stands in no order, or is sure beyond certainty.
pub fn check(bytes: &[u8]) {
    let listed = Arc::new(Listed::of(&[PhraseList::from_toml(LIST).expect("a list")], Language::Mandarin));
    for protocol in [Protocol::FunAsr, Protocol::SherpaOnnx] {
        let mut stream = RemoteStream::new(PartyId(1), protocol, Arc::clone(&listed), 0.9);
        let (mut position, mut out) = (16_000, Vec::new());
        for message in bytes.split(|&octet| octet == 0) {
            match message {
                [b'b', rest @ ..] => {
                    let samples = vec![0.1; 160 * rest.len().min(100)];
                    let sent = stream.audio(position, &samples);
                    assert!(sent.len() >= 4 * samples.len());
                    position += samples.len() as u64;
                }
                [b'g', rest @ ..] => position += 8_000 * rest.len().min(100) as u64,
                text => {
                    if let Err(error) = stream.answer(&String::from_utf8_lossy(text), &mut out) {
                        assert!(!error.expected.is_empty() && !error.found.is_empty());
                    }
                }
            }
            out.drain(..).for_each(|transcript| check_transcript(&transcript, position));
        }
        stream.finish().iter().for_each(|transcript| check_transcript(transcript, position));
        assert!(stream.finish().is_none(), "ended twice");
    }
}

fn check_transcript(transcript: &nlu::recognition::Transcript, position: u64) {
    assert!(transcript.start <= transcript.end && transcript.end <= position, "{transcript:?} beyond {position}");
    let mut earliest = 0;
    for word in &transcript.words {
        assert!(earliest <= word.start && word.start <= word.end && word.end <= position, "{transcript:?}");
        assert!((0.0..=1.0).contains(&word.confidence) && !word.text.is_empty(), "{word:?}");
        earliest = word.start;
    }
}
