//! `linphonec` with files in the place of sound hardware; takes orders as lines.

use std::fs;
use std::io::Write;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};

use super::ports::Ports;
use super::program::{self, Program};
use crate::stage::eventually;
use crate::tones;

/// The rate of what it says, Hz.
const RATE_HZ: u32 = 16_000;
/// How long it has something to say, seconds.
const SECONDS: u32 = 40;
/// Every codec that is on unless somebody says otherwise, and those that tests ask for: name, rate, channels.
const CODECS: [(&str, u32, u8); 7] = [
    ("opus", 48_000, 2),
    ("speex", 16_000, 1),
    ("speex", 8_000, 1),
    ("PCMU", 8_000, 1),
    ("PCMA", 8_000, 1),
    ("G722", 8_000, 1),
    ("G729", 8_000, 1),
];

/// How one `linphonec` is set up.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    /// Its codecs, best first; the names of `CODECS`.
    pub codecs: &'static [&'static str],
    /// `media_encryption` of its configuration: `none`, `srtp` (keys in the description), `dtls`.
    pub encryption: &'static str,
    /// Whether it does without a call that is not encrypted.
    pub is_strict: bool,
    /// Whether keys are pressed by INFO instead of RFC 4733.
    pub keys_by_info: bool,
}

impl Account {
    /// Plain RTP.
    pub const fn plain(codecs: &'static [&'static str]) -> Account {
        Account { codecs, encryption: "none", is_strict: false, keys_by_info: false }
    }
}

/// One that runs; ended with this.
pub struct Linphone {
    _program: Program,
    orders: ChildStdin,
    folder: PathBuf,
}

/// False, and said aloud, when the program is missing.
pub fn is_there() -> bool {
    program::is_there("linphonec", "-v", "linphone-cli")
}

impl Linphone {
    /// Starts one that answers every call at once and says a tone of `hz`.
    pub fn start(folder: &Path, ports: &Ports, account: Account, hz: u16) -> Linphone {
        // What an earlier run recorded must not be taken for this one's.
        let _ = fs::remove_dir_all(folder);
        // Where it keeps its database; it does not make the folder itself.
        fs::create_dir_all(folder.join(".local/share/linphone")).expect("a folder");
        let says = folder.join("says.wav");
        tones::write_tone(&says, RATE_HZ, hz, SECONDS);
        fs::write(folder.join("linphonerc"), configuration(ports, account)).expect("a file");

        let mut command = Command::new("linphonec");
        command.arg("-a").arg("-c").arg(folder.join("linphonerc"));
        command.args(["-d", "5", "-l"]).arg(folder.join("log"));
        command.env("HOME", folder).stdin(Stdio::piped());
        let mut program = Program::start(&mut command, &folder.join("output"));
        let orders = program.take_stdin().expect("it was asked for");
        let address = ports.sip();
        let mut linphone = Linphone { _program: program, orders, folder: folder.to_owned() };
        eventually("linphonec takes calls", || UdpSocket::bind(address).is_err());
        linphone.order("soundcard use files");
        linphone.order(&format!("play {}", says.display()));
        linphone.order(&format!("record {}", folder.join("heard.wav").display()));
        linphone
    }

    /// Orders something, in the words of its command line. A digit alone is a key.
    pub fn order(&mut self, line: &str) {
        writeln!(self.orders, "{line}").expect("it listens");
    }

    /// Calls somebody and waits until audio goes both ways.
    pub fn call(&mut self, target: &str) {
        self.order(&format!("call {target}"));
        self.until("Media streams established");
    }

    /// Waits until it has printed something.
    #[track_caller]
    pub fn until(&self, text: &str) {
        eventually(text, || self.output().contains(text));
    }

    /// What it heard, 8 kHz. Whole once the call is over.
    pub fn heard(&self) -> Vec<i16> {
        tones::read(&self.folder.join("heard.wav"))
    }

    /// Everything it has printed.
    fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.join("output")).unwrap_or_default()).into_owned()
    }
}

fn configuration(ports: &Ports, account: Account) -> String {
    let (sip, (first, last)) = (ports.sip(), ports.audio());
    let (address, port) = (sip.ip(), sip.port());
    let rank = |name: &str| account.codecs.iter().position(|codec| *codec == name);
    let mut codecs = CODECS;
    codecs.sort_by_key(|(name, ..)| rank(name).unwrap_or(usize::MAX));
    let codecs: String = codecs
        .iter()
        .enumerate()
        .map(|(at, (name, rate_hz, channels))| {
            let enabled = u8::from(rank(name).is_some());
            format!("[audio_codec_{at}]\nmime={name}\nrate={rate_hz}\nchannels={channels}\nenabled={enabled}\n\n")
        })
        .collect();
    let (strict, info) = (u8::from(account.is_strict), u8::from(account.keys_by_info));
    // A packet size that is given need not be found out, which takes a second.
    format!(
        "[net]\nmtu=1300\n\n\
         [sip]\nsip_port={port}\nsip_tcp_port=0\nsip_tls_port=0\nbind_address={address}\nuse_ipv6=0\n\
         ipv6_migration_done=1\nguess_hostname=0\ncontact=sip:linphone@{address}:{port}\n\
         media_encryption={encryption}\nmedia_encryption_mandatory={strict}\nuse_info={info}\nuse_rfc2833={events}\n\n\
         [rtp]\nbind_address={address}\naudio_rtp_port={first}-{last}\n\n\
         [sound]\nechocancellation=0\nagc=0\n\n\
         [misc]\nlog_collection=0\n\n{codecs}",
        encryption = account.encryption,
        events = 1 - info,
    )
}
