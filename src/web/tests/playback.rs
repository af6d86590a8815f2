//! Kept audio over the API: what may be heard, in parts or whole, and why there is none.

use std::time::Duration;

use media::Codec;
use media::copy::CopyFrame;

use super::*;
use crate::reel::{Encoders, Record, ReelWriter};
use crate::store::Store;

#[tokio::test]
async fn what_is_kept_is_played_whole_or_in_parts_and_who_asked_is_in_the_trail() {
    let root = tempfile::tempdir().expect("a folder");
    let store = audit::store(root.path());
    let fixture = fixture_with(Some(store.clone())).await;
    let wire = Wire(fixture.handle.addr);
    let ask = async |range: &str| {
        let headers = format!("Authorization: Bearer {TOKEN}\r\n{range}");
        wire.ask("GET", "/v1/calls/call-1/playback.wav", &headers).await
    };
    problem(&ask("").await, 404);
    keep(&store).await;

    let shown = wire.ask_with_token("GET", "/v1/calls/call-1/playback").await;
    let expected = serde_json::json!({
        "began": "2026-01-02T03:04:05.678Z",
        "call_ms": 1_500,
        "duration_ms": 1_000,
        "muted": [{ "from_ms": 200, "to_ms": 400 }],
        "whole": true,
    });
    assert_eq!((shown.status, shown.json()), (200, expected), "{}", shown.body);

    let whole = ask("").await;
    assert_eq!(whole.status, 200, "{}", whole.body);
    for header in ["content-type: audio/wav", "accept-ranges: bytes", "content-length: 32044"] {
        assert!(whole.head.contains(header), "{}", whole.head);
    }
    assert!(whole.body.starts_with("RIFF"), "{}", &whole.body[..20]);
    let muted = ask("Range: bytes=6444-6447\r\n").await;
    assert_eq!((muted.status, muted.body.as_bytes()), (206, &[0; 4][..]));
    assert!(muted.head.contains("content-range: bytes 6444-6447/32044"), "{}", muted.head);
    let head = ask("Range: bytes=40-43\r\n").await;
    assert_eq!((head.status, head.body.as_bytes()), (206, &32_000_u32.to_le_bytes()[..]));
    let beyond = ask("Range: bytes=32044-\r\n").await;
    problem(&beyond, 416);
    assert!(beyond.head.contains("content-range: bytes */32044"), "{}", beyond.head);
    assert_eq!(ask("Range: bytes=0-3\r\nIf-Range: \"other\"\r\n").await.status, 200);

    let trail = wire.ask_with_token("GET", "/v1/audit?kind=played").await.json();
    let entries = trail["entries"].as_array().expect("a list");
    assert_eq!(entries.len(), 4, "{trail}");
    assert_eq!((&entries[3]["call"], &entries[3]["who"]), (&Value::from("call-1"), &Value::from("api")), "{trail}");
    assert_eq!(entries[2]["what"]["from_ms"], 200, "{trail}");

    assert_eq!(store.drop_reel("call-1".to_owned()).recv(), Ok(Ok(())));
    store.reel("call-1".to_owned()).await.expect("readable");
    for _ in 0..500 {
        if ask("").await.status == 410 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    problem(&ask("").await, 410);
    problem(&wire.ask_with_token("GET", "/v1/calls/call-1/playback").await, 410);
    store.stop();
}

/// Keeps a second of a call: a constant in both channels, a fifth of it muted.
async fn keep(store: &Store) {
    store.keep(&one_of_each()[0], Moment::now());
    let begun = store.begin_reel("call-1".to_owned(), None);
    let key =
        tokio::task::spawn_blocking(move || begun.recv()).await.expect("no panic").expect("an answer").expect("a key");
    let mut writer = ReelWriter::create(&store.audio().folder, key).expect("a file");
    let mut encoders = Encoders::new(Codec::Pcmu).expect("an encoder");
    let mut chunk = encoders.chunk(0);
    for number in 0..50 {
        let frame = CopyFrame { position: number * 160, left: [1_000; 160], right: [-1_000; 160] };
        encoders.add(&frame, &mut chunk).expect("encoded");
    }
    for record in [
        Record::Begin { unix_ms: 1_767_323_045_678, call_ms: 1_500, words: true },
        Record::Audio(chunk),
        Record::Mute { from: 1_600, to: 3_200 },
        Record::End { samples: 8_000 },
    ] {
        writer.append(&record).expect("written");
    }
}
