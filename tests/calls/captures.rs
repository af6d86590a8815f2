//! `calmline capture` on running calls: what is in the file, as others read it, and what never is.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use calmline::notice::What;
use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use loadtest::audio::Audio;
use media::RtpHeader;
use pcap_file::pcapng::{Block, PcapNgReader};

use crate::kept;
use crate::stage::{BOT_HZ, CALLER_HZ, PROGRAM, Setup, Stage, eventually, folder, more_packets, strength};

/// A store for the trail, and captures with audio in them.
pub const WITH_AUDIO: (&str, &str) =
    ("[listening]", "[store]\nfolder = \"../kept\"\n\n[capture]\npayloads = true\n\n[listening]");
const HEADERS_ONLY: (&str, &str) = ("[listening]", "[store]\nfolder = \"../kept\"\n\n[capture]\n\n[listening]");
const SECRET_KEYS: &str = "name = \"own\"\nversion = 1\nscenarios = [\"after-sales\"]\n\
    [[rule]]\nid = \"card\"\nwhen = { key = \"1\" }\nthen = [{ secure_input = \"on\", end_key = \"#\" }]\n";

/// One datagram of a capture.
#[derive(Debug, Clone)]
pub struct Datagram {
    pub from: SocketAddr,
    pub to: SocketAddr,
    /// As far as it is kept.
    pub octets: Vec<u8>,
    /// Whether all of it is.
    pub is_whole: bool,
}

impl Datagram {
    /// The header and the payload of what is RTP.
    fn rtp(&self) -> Option<(RtpHeader, &[u8])> {
        let is_rtp = self.octets.first().is_some_and(|octet| octet >> 6 == 2);
        let is_report = self.octets.get(1).is_some_and(|octet| (192..224).contains(octet));
        let header = RtpHeader::parse(&self.octets).ok().filter(|_| is_rtp && !is_report)?;
        Some((header, &self.octets[12..]))
    }
}

/// A capture that is being written.
pub struct Capturing {
    child: Child,
    file: PathBuf,
}

impl Capturing {
    /// Begins to capture a call, for at most a minute.
    pub fn begin(stage: &Stage, name: &str, call: &str) -> Capturing {
        let file = folder(name).join("call.pcapng");
        // One of an earlier run would be taken for this one's beginning.
        let _ = std::fs::remove_file(&file);
        let child = Command::new(PROGRAM)
            .args(["capture", call, "--reason", "ticket 4711", "--out"])
            .arg(&file)
            .args(["--url", &format!("http://{}", stage.server.addresses.web)])
            .env("CALMLINE_TOKEN", &stage.server.token)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        eventually("the capture's first packets", || std::fs::metadata(&file).is_ok_and(|file| file.len() > 4_000));
        Capturing { child, file }
    }

    /// Waits for the end; what is in it, and what the program said.
    pub fn end(self) -> (Vec<Datagram>, String) {
        let output = self.child.wait_with_output().expect("it ends with the call");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        (read(&self.file), said)
    }
}

/// What is in a file.
fn read(file: &Path) -> Vec<Datagram> {
    let octets = std::fs::read(file).expect("a file");
    let mut reader = PcapNgReader::new(&octets[..]).expect("a capture");
    let mut datagrams = Vec::new();
    while let Some(block) = reader.next_block() {
        let Block::EnhancedPacket(packet) = block.expect("a whole block") else { continue };
        let sliced = LaxSlicedPacket::from_ip(&packet.data).expect("IP");
        let (from, to) = match sliced.net {
            Some(LaxNetSlice::Ipv4(ip)) => (ip.header().source_addr(), ip.header().destination_addr()),
            other => panic!("no IPv4: {other:?}"),
        };
        let Some(TransportSlice::Udp(udp)) = sliced.transport else { panic!("no UDP") };
        datagrams.push(Datagram {
            from: SocketAddr::new(IpAddr::V4(from), udp.source_port()),
            to: SocketAddr::new(IpAddr::V4(to), udp.destination_port()),
            octets: packet.data[28..].to_vec(),
            is_whole: packet.data.len() == packet.original_len as usize,
        });
    }
    datagrams
}

/// SIP messages of a capture.
pub fn messages(datagrams: &[Datagram]) -> Vec<String> {
    let texts = datagrams.iter().filter_map(|datagram| String::from_utf8(datagram.octets.clone()).ok());
    texts.filter(|text| text.contains("SIP/2.0")).collect()
}

/// The samples of µ-law or A-law that went to somebody at a port, put together without regard to time.
pub fn sound_to(datagrams: &[Datagram], port: u16) -> Vec<i16> {
    let mut samples = Vec::new();
    for (header, payload) in datagrams.iter().filter(|datagram| datagram.to.port() == port).filter_map(Datagram::rtp) {
        let codec = if header.payload_type == 8 { media::Codec::Pcma } else { media::Codec::Pcmu };
        let mut decoder = media::codec::Decoder::new(codec, 8_000).expect("it can be opened");
        decoder.decode(payload, &mut samples).expect("whole packets");
    }
    samples
}

#[test]
fn a_call_is_captured_on_both_legs_from_its_invite_to_its_bye() {
    let name = "captured";
    let _ = std::fs::remove_dir_all(folder(name).join("kept"));
    let stage = Stage::set(Setup { edits: &[WITH_AUDIO], ..Setup::named(name) });
    let caller = stage.call(Audio::tone(CALLER_HZ, 0.3));
    let up = stage.until("the answer", |what| matches!(what, What::CallAnswered { .. }));
    let capturing = Capturing::begin(&stage, name, &up.call);
    more_packets("two seconds", &caller, 100);
    caller.hang_up().expect("an order");
    let (datagrams, said) = capturing.end();
    assert!(said.contains("whole of RTP"), "{said}");

    let messages = messages(&datagrams);
    let count = |beginning: &str| messages.iter().filter(|message| message.starts_with(beginning)).count();
    assert_eq!((count("INVITE "), count("BYE "), count("ACK ")), (2, 2, 2), "{messages:#?}");
    let call_ids: std::collections::BTreeSet<&str> =
        messages.iter().flat_map(|message| message.lines().find(|line| line.starts_with("Call-ID"))).collect();
    assert_eq!(call_ids.len(), 2, "{call_ids:?}");

    let between = |from: SocketAddr, to: SocketAddr| {
        datagrams.iter().filter(|datagram| datagram.from == from && datagram.to == to).count()
    };
    let (sip, bot) = (stage.server.addresses.sip, stage.server.addresses.bot);
    assert!(between(caller.address(), sip) >= 3 && between(sip, bot) >= 3 && between(bot, sip) >= 2);
    for (hears, hz) in [(&caller, BOT_HZ), (&stage.bot, CALLER_HZ)] {
        let ports: Vec<u16> = datagrams
            .iter()
            .filter(|datagram| datagram.rtp().is_some() && datagram.to.ip() == hears.address().ip())
            .map(|datagram| datagram.to.port())
            .collect();
        let loudest = ports.iter().map(|port| strength(&sound_to(&datagrams, *port), hz)).fold(0.0, f64::max);
        assert!((0.25..0.35).contains(&loudest), "{hz} Hz at {loudest}");
    }
    stage.is_empty();

    let (_, trail) = kept::audit(&["list"], &folder(name).join("config/calmline.toml"));
    let entries: Vec<&str> = trail.lines().filter(|line| line.contains("\"capture")).collect();
    assert!(entries[0].contains("ticket 4711") && entries[0].contains("\"api\""), "{entries:?}");
    assert!(entries.iter().any(|entry| entry.contains("the call has ended")), "{entries:?}");
}

#[test]
fn headers_alone_where_the_configuration_permits_no_more() {
    let name = "captured-headers";
    let _ = std::fs::remove_dir_all(folder(name).join("kept"));
    let stage = Stage::set(Setup { edits: &[HEADERS_ONLY], ..Setup::named(name) });
    let caller = stage.call(Audio::tone(CALLER_HZ, 0.3));
    let up = stage.until("the answer", |what| matches!(what, What::CallAnswered { .. }));
    let capturing = Capturing::begin(&stage, name, &up.call);
    let (status, again) =
        stage.ask("POST", &format!("/v1/calls/{}/capture", up.call), &serde_json::json!({ "reason": "once more" }));
    assert_eq!((status, again["detail"].as_str()), (409, Some("the call is being captured already")));
    more_packets("a second", &caller, 50);
    caller.hang_up().expect("an order");
    let (datagrams, said) = capturing.end();
    assert!(said.contains("headers of RTP"), "{said}");
    let rtp: Vec<&Datagram> = datagrams.iter().filter(|datagram| datagram.rtp().is_some()).collect();
    assert!(rtp.len() > 100 && rtp.iter().all(|datagram| datagram.octets.len() == 12 && !datagram.is_whole));
    stage.is_empty();
}

#[test]
fn secret_keys_are_in_no_capture() {
    let name = "captured-secret";
    let _ = std::fs::remove_dir_all(folder(name).join("kept"));
    let stage = Stage::set(Setup { edits: &[WITH_AUDIO], policy: Some(SECRET_KEYS), ..Setup::named(name) });
    let caller = stage.call(Audio::tone(CALLER_HZ, 0.3));
    let up = stage.until("the answer", |what| matches!(what, What::CallAnswered { .. }));
    let capturing = Capturing::begin(&stage, name, &up.call);
    caller.press("5").expect("an order");
    more_packets("half a second", &caller, 25);
    caller.press("1").expect("an order");
    stage.until("secure input", |what| matches!(what, What::SecureInput { on: true }));
    caller.press("86#").expect("an order");
    stage.until("its end", |what| matches!(what, What::SecureInput { on: false }));
    more_packets("half a second", &caller, 25);
    caller.hang_up().expect("an order");
    let (datagrams, _) = capturing.end();
    // Of the key that begins it the first packets may say which one it is, as far as they are written by then; none that follows.
    let events = |digits: &[u8]| {
        let of = |datagram: &&Datagram| {
            datagram.rtp().is_some_and(|(header, payload)| {
                header.payload_type >= 96 && digits.contains(&payload.first().copied().unwrap_or(255))
            })
        };
        datagrams.iter().filter(of).count()
    };
    assert!(events(&[5]) >= 1, "what was pressed before is there");
    assert_eq!(events(&[8, 6]), 0);
    assert!(events(&[255]) > 12, "that keys were pressed is there, and not which");
    stage.is_empty();
}
