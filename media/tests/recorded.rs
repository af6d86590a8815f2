//! Captures and recordings of the outside world, when the shared folder is there: the jitter buffer on real packets,
//! the description reader on real offers, the WAV reader on real files. Says "skipped" otherwise.
#![expect(clippy::disallowed_methods, reason = "these tests read files")]

use media::Codec;
use media::jitter::{JitterBuffer, PieceKind};
use media::sdp;
use media::wav::{self, Channel};

use captures::{datagrams, shared};

mod captures;

#[test]
fn captured_streams_come_out_whole() {
    for (capture, codec, payload_type) in [
        ("captures/sipp/pcap/g711a.pcap", Codec::Pcma, 8),
        ("captures/asterisk-testsuite/tests/channels/pjsip/rtp_ptime/transcode/sipp/40msalaw.pcap", Codec::Pcma, 8),
        (
            "captures/asterisk-testsuite/tests/channels/pjsip/dtmf_sdp/dtmf_sdp_recognition/sipp/ulaw-2013785496.pcap",
            Codec::Pcmu,
            0,
        ),
    ] {
        let Some(bytes) = shared(capture).and_then(|path| std::fs::read(path).ok()) else { continue };
        let packets = datagrams(&bytes);
        assert!(packets.len() > 20, "{capture}: {} packets", packets.len());
        let mut buffer = JitterBuffer::new(codec, payload_type);
        let mut samples = Vec::new();
        let (mut heard, mut next) = (0, 0);
        for (at, datagram) in &packets {
            buffer.push(*at, datagram);
            while let Some(piece) = buffer.pop(*at, &mut samples) {
                assert_eq!(piece.position, next, "{capture}");
                next += samples.len() as u64;
                heard += if piece.kind == PieceKind::Heard { samples.len() as u64 } else { 0 };
            }
        }
        let stats = buffer.stats();
        let spans = packets.last().map_or(0, |(at, _)| at.as_micros() as u64 * 8 / 1_000);
        assert!(stats.packets > 20 && stats.refused == 0 && stats.lost == 0, "{capture}: {stats:?}");
        // While a key is pressed, event packets stand in for audio.
        let accounted = heard + stats.ignored * 160;
        assert!(accounted * 20 >= next * 19, "{capture}: {heard} of {next} samples were heard; {stats:?}");
        assert!(next.abs_diff(spans) <= 1_600, "{capture}: {next} samples in a capture of {spans}");
    }
}

#[test]
fn captured_offers_are_read() {
    for offer in ["acme-siprec-offer.txt", "broadworks-offer.txt", "connectel-offer.txt"] {
        let Some(path) = shared(&format!("captures/siprec/{offer}")) else { continue };
        let text = String::from_utf8_lossy(&std::fs::read(path).expect("readable")).into_owned();
        let begins = text.find("v=0").expect("a description");
        let body: Vec<&str> =
            text[begins..].lines().take_while(|line| line.trim_end().chars().nth(1) == Some('=')).collect();
        let session = sdp::parse(&body.join("\r\n")).unwrap_or_else(|error| panic!("{offer}: {error}"));
        let formats = session.formats(sdp::Protection::OFF, false).expect("audio over plain RTP");
        assert!(!formats.codecs.is_empty(), "{offer}: nothing usable");
    }
}

#[test]
fn recordings_are_read() {
    let Some(folder) = shared("vad") else { return };
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "wav") {
            let file = std::fs::File::open(&path).expect("readable");
            let recording = wav::read(std::io::BufReader::new(file), Channel::Mix);
            let recording = recording.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(recording.samples.len() > 8_000, "{}", path.display());
            files += 1;
        }
    }
    assert!(files > 0);
}
