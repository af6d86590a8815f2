//! Captured telephones through the whole media path: what a real far end sent reaches the other side of the call, in
//! another codec and packet time, as one steady stream, and its keys are told once. Says "skipped" without the captures.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "these tests read files and tell what they measured"
)]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use media::codec::Decoder;
use media::{
    Arrival, BUFFER_BYTES, Channel, Codec, Command, Datagram, Engine, Event, Input, LegId, Output, RtpHeader,
    StreamSettings,
};

use captures::{datagrams, shared};

mod captures;

/// The captured side.
const CALLER: LegId = LegId(0x8000_0001);
/// Who hears it.
const BOT: LegId = LegId(1);
/// The payload type of events in every capture.
const EVENT_TYPE: u8 = 101;
const RECOGNITION: &str = "captures/asterisk-testsuite/tests/channels/pjsip/dtmf_sdp/dtmf_sdp_recognition/sipp/";
const SSRC_CHANGE: &str = "captures/asterisk-testsuite/tests/channels/pjsip/non_negotiated_frame_SSRC_change/sipp/";
const FAX: &str = "captures/asterisk-testsuite/tests/fax/pjsip/";

/// A call of two legs, and what the bot's telephone got.
struct Replay {
    engine: Engine,
    out: Output,
    now: Duration,
    keys: String,
    heard: Vec<(RtpHeader, Vec<u8>)>,
}

impl Replay {
    fn new(caller: (Codec, u8), bot: (Codec, u8), bot_ptime_ms: u8) -> Replay {
        let mut replay = Replay {
            engine: Engine::new(2, 7),
            out: Output::new(),
            now: Duration::from_secs(1),
            keys: String::new(),
            heard: Vec::new(),
        };
        for (leg, (codec, payload_type), ptime_ms) in [(CALLER, caller, 20), (BOT, bot, bot_ptime_ms)] {
            let plain = StreamSettings::plain(Some(home(leg)), codec, payload_type).with_events(Some(EVENT_TYPE));
            replay.order(Command::Open { leg, port: 4_000, address: None });
            replay.order(Command::Configure { leg, settings: StreamSettings { ptime_ms, ..plain } });
        }
        replay.order(Command::Bridge { a: CALLER, b: BOT });
        replay
    }

    fn order(&mut self, command: Command) {
        self.engine.handle(self.now, Input::Command(command), &mut self.out);
        self.collect(&[]);
    }

    /// The caller's telephone sends `datagrams` at their times.
    fn send(&mut self, datagrams: &[(Duration, Vec<u8>)]) {
        let began = self.now;
        for (at, datagram) in datagrams {
            self.pass_until(began + *at);
            let slot = self.engine.slot(CALLER).expect("the leg is open");
            let mut bytes = datagram.clone();
            bytes.resize(BUFFER_BYTES.max(datagram.len()), 0);
            let arrival = Arrival {
                slot,
                channel: Channel::Media,
                from: home(CALLER),
                at: self.now,
                buffer: 0,
                bytes: &mut bytes,
                length: datagram.len(),
            };
            self.engine.handle(self.now, Input::Packet(arrival), &mut self.out);
            self.collect(&bytes);
        }
    }

    fn pass_until(&mut self, end: Duration) {
        while let Some((due, _)) = self.engine.deadline()
            && due <= end
        {
            self.now = self.now.max(due);
            self.engine.handle(self.now, Input::Tick, &mut self.out);
            self.collect(&[]);
        }
        self.now = self.now.max(end);
    }

    fn collect(&mut self, received: &[u8]) {
        let slot = self.engine.slot(BOT);
        for departure in self.out.packets.iter().filter(|departure| Some(departure.slot) == slot) {
            let bytes = match departure.datagram {
                Datagram::Received { start, end, .. } => &received[usize::from(start)..usize::from(end)],
                Datagram::Made { start, end } => &self.out.made[start as usize..end as usize],
            };
            if departure.channel == Channel::Media
                && let Ok(header) = RtpHeader::parse(bytes)
            {
                self.heard.push((header, bytes[header.payload_start..header.payload_end].to_vec()));
            }
        }
        for event in &self.out.events {
            if let Event::Key { key, .. } = event {
                self.keys.push_str(&key.to_string());
            }
        }
        self.out.clear();
    }

    /// One source, no number left out, no time that runs back; the audio among it and its ticks of the codec's clock.
    fn is_one_stream(&self, what: &str, codec: Codec, payload_type: u8) -> Vec<i16> {
        let mut decoder = Decoder::new(codec, codec.audio_rate_hz()).expect("it can be opened");
        let mut samples = Vec::new();
        let (first, _) = self.heard.first().unwrap_or_else(|| panic!("{what}: nothing was heard"));
        for (n, (header, payload)) in self.heard.iter().enumerate() {
            assert_eq!(header.ssrc, first.ssrc, "{what}");
            assert_eq!(header.sequence, first.sequence.wrapping_add(n as u16), "{what}: packet {n}");
            if header.payload_type == payload_type {
                decoder.decode(payload, &mut samples).unwrap_or_else(|error| panic!("{what}: packet {n}: {error}"));
            }
        }
        let audio = self.heard.iter().filter(|(header, _)| header.payload_type == payload_type);
        let times: Vec<u32> = audio.map(|(header, _)| header.timestamp.wrapping_sub(first.timestamp)).collect();
        assert!(times.is_sorted_by(|a, b| a < b), "{what}: time runs back");
        samples
    }
}

/// A row: the capture, what it speaks, what the other side speaks and in packets of how many milliseconds, the keys
/// that are pressed in it.
type Row = (String, (Codec, u8), (Codec, u8), u8, &'static str);

#[test]
fn captured_calls_are_heard_in_another_codec() {
    const PTIME_40: &str = "captures/asterisk-testsuite/tests/channels/pjsip/rtp_ptime/transcode/sipp/40msalaw.pcap";
    let (ulaw, opus) = ((Codec::Pcmu, 0), (Codec::Opus, 96));
    let rows: [Row; 8] = [
        (format!("{RECOGNITION}ulaw-2013785496.pcap"), ulaw, opus, 20, "2013785496"),
        (format!("{RECOGNITION}ulaw-3125894607.pcap"), ulaw, (Codec::G722, 9), 30, "3125894607"),
        (format!("{RECOGNITION}opus-2013785496.pcap"), opus, ulaw, 20, "2013785496"),
        (format!("{RECOGNITION}opus-3125894607.pcap"), opus, (Codec::G722, 9), 40, "3125894607"),
        (PTIME_40.to_owned(), (Codec::Pcma, 8), ulaw, 20, ""),
        (PTIME_40.to_owned(), (Codec::Pcma, 8), opus, 60, ""),
        ("captures/sipp/pcap/g711a.pcap".to_owned(), (Codec::Pcma, 8), opus, 20, ""),
        (format!("{SSRC_CHANGE}A_party_g711a.pcap"), (Codec::Pcma, 8), ulaw, 20, ""),
    ];
    for (capture, caller, bot, ptime_ms, keys) in rows {
        let Some(bytes) = shared(&capture).and_then(|path| std::fs::read(path).ok()) else { continue };
        let packets = datagrams(&bytes);
        let mut replay = Replay::new(caller, bot, ptime_ms);
        replay.send(&packets);
        let what = format!("{capture} as {:?} of {ptime_ms} ms", bot.0);
        assert_eq!(replay.keys, keys, "{what}");

        let heard = replay.is_one_stream(&what, bot.0, bot.1);
        let (said, rate_hz) = decoded(&packets, caller);
        let seconds = |samples: &[i16], rate_hz: u32| samples.len() as f64 / f64::from(rate_hz);
        let (said_s, heard_s) = (seconds(&said, rate_hz), seconds(&heard, bot.0.audio_rate_hz()));
        let (said_db, heard_db) = (level_db(&said, rate_hz), level_db(&heard, bot.0.audio_rate_hz()));
        println!("{what}: {said_s:.2} s at {said_db:.1} dB, heard {heard_s:.2} s at {heard_db:.1} dB");
        // A packet may still be half full at the end, and begins anew behind each key.
        let unfinished = 0.1 + 0.02 * keys.len() as f64;
        assert!((said_s - heard_s).abs() <= unfinished, "{what}: {said_s:.2} s were said, {heard_s:.2} s heard");
        assert!((said_db - heard_db).abs() < 1.5, "{what}: {said_db:.1} dB were said, {heard_db:.1} dB heard");
        let stats = replay.engine.stats(CALLER).expect("the leg is open");
        assert_eq!((stats.packets_refused, stats.packets_lost), (0, 0), "{what}");
    }
}

#[test]
fn every_captured_key_is_told_once_and_passed_on() {
    for (name, key) in
        ('0'..='9').map(|digit| (digit.to_string(), digit)).chain([("star".to_owned(), '*'), ("pound".to_owned(), '#')])
    {
        let capture = format!("captures/sipp/pcap/dtmf_2833_{name}.pcap");
        let Some(bytes) = shared(&capture).and_then(|path| std::fs::read(path).ok()) else { continue };
        let packets = datagrams(&bytes);
        // The end of the press is there three times under one number, and passed on once.
        let numbers: BTreeSet<u16> =
            packets.iter().map(|(_, datagram)| RtpHeader::parse(datagram).expect("RTP").sequence).collect();
        // Another clock on the far side: the events are timed anew.
        for bot in [(Codec::Pcmu, 0), (Codec::Opus, 96)] {
            let mut replay = Replay::new((Codec::Pcmu, 0), bot, 20);
            replay.send(&packets);
            assert_eq!(replay.keys, key.to_string(), "{capture}");
            let events: Vec<u8> = replay.heard.iter().map(|(_, payload)| payload[0]).collect();
            let code = media::dtmf::Key::try_from(key).expect("a key").event();
            assert_eq!(events, vec![code; numbers.len()], "{capture} to {:?}", bot.0);
        }
    }
}

/// Strangers' packets and frames of a type that nobody agreed on, between those of the call, from the same address.
#[test]
fn what_was_not_agreed_leaves_the_stream_alone() {
    let Some(bytes) = shared(&format!("{SSRC_CHANGE}A_party_g711a.pcap")).and_then(|path| std::fs::read(path).ok())
    else {
        return;
    };
    let mut call = datagrams(&bytes);
    call.truncate(500);
    let mut odd = Vec::new();
    for capture in [
        format!("{SSRC_CHANGE}ssrc1.pcap"),
        format!("{SSRC_CHANGE}ssrc2.pcap"),
        format!("{FAX}ast-2016-003/sipp/crash.pcap"),
    ] {
        let bytes = shared(&capture).and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
        odd.extend(datagrams(&bytes).into_iter().map(|(_, datagram)| datagram));
    }
    assert!(odd.len() > 100, "{} odd datagrams", odd.len());
    let mixed: Vec<(Duration, Vec<u8>)> = call
        .iter()
        .enumerate()
        .flat_map(|(n, (at, datagram))| [(*at, datagram.clone()), (*at, odd[n % odd.len()].clone())])
        .collect();

    let mut replay = Replay::new((Codec::Pcma, 8), (Codec::Opus, 96), 20);
    replay.send(&mixed);
    let heard = replay.is_one_stream("with odd packets", Codec::Opus, 96);
    let stats = replay.engine.stats(CALLER).expect("the leg is open");
    println!("{stats:?}");
    assert_eq!(stats.packets_lost, 0);
    let packets = heard.len() / (Codec::Opus.audio_rate_hz() as usize / 50);
    assert!(packets.abs_diff(call.len()) <= 1, "{packets} of {} packets were heard", call.len());
}

/// The audio of a capture as its sender said it, and its rate.
fn decoded(packets: &[(Duration, Vec<u8>)], (codec, payload_type): (Codec, u8)) -> (Vec<i16>, u32) {
    let rate_hz = codec.audio_rate_hz();
    let mut decoder = Decoder::new(codec, rate_hz).expect("it can be opened");
    let mut samples = Vec::new();
    for (_, datagram) in packets {
        let header = RtpHeader::parse(datagram).expect("the capture is RTP");
        if header.payload_type == payload_type {
            let payload = &datagram[header.payload_start..header.payload_end];
            decoder.decode(payload, &mut samples).expect("the capture is in this codec");
        }
    }
    (samples, rate_hz)
}

/// Mean power above 200 Hz: captures hold steps and hum below, which codecs for speech take away.
fn level_db(samples: &[i16], rate_hz: u32) -> f64 {
    let kept = 1.0 - std::f64::consts::TAU * 200.0 / f64::from(rate_hz);
    let (mut last, mut passed, mut power) = (0.0, 0.0, 0.0);
    for &sample in samples {
        let value = f64::from(sample) / 32_768.0;
        passed = value - last + kept * passed;
        last = value;
        power += passed * passed;
    }
    10.0 * (power / samples.len().max(1) as f64).max(1e-12).log10()
}

fn home(leg: LegId) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, (leg.0 & 0xff) as u8 + u8::from(leg == CALLER) * 100], 5_004))
}
