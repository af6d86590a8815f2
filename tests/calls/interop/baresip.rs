//! `baresip` without sound hardware: says a file, records what it hears, and takes orders as JSON over TCP.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::ports::Ports;
use super::program::{self, Program};
use crate::stage::{LONG, eventually};
use crate::tones;

/// The user part of its address; calls for anybody else are refused with 404.
pub const USER: &str = "callee";
/// How long it has something to say, seconds.
const SECONDS: u32 = 40;

/// How one `baresip` is set up.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    /// Its codecs in its own words, best first: `opus/48000/2,PCMA/8000/1`.
    pub codecs: &'static str,
    /// More parameters of its account: `;mediaenc=srtp;ptime=40`.
    pub parameters: &'static str,
    /// Speaks SIP over TLS: the folder of its certificate, `us.pem` and `us.key`, and of `authority.pem`, which has
    /// signed those of others.
    pub certificates: Option<&'static Path>,
}

impl Account {
    /// Plain RTP, 20 ms.
    pub const fn plain(codecs: &'static str) -> Account {
        Account { codecs, parameters: "", certificates: None }
    }

    /// The rate of its first codec, Hz. What it says and hears is at this rate: its own conversion spoils the sound.
    fn rate_hz(&self) -> u32 {
        self.codecs.split(['/', ',']).nth(1).and_then(|rate| rate.parse().ok()).expect("NAME/RATE/CHANNELS")
    }
}

/// One that runs; ended with this.
pub struct Baresip {
    _program: Program,
    folder: PathBuf,
    control: TcpStream,
    /// What came over the control connection and is not whole yet.
    pending: Vec<u8>,
    /// What happened, as it tells it; answers to orders are among it.
    told: Vec<Value>,
}

/// False, and said aloud, when the program is missing.
pub fn is_there() -> bool {
    let has_modules = Path::new(MODULE_FOLDER).exists();
    if !has_modules {
        println!("skipped: no modules of baresip in {MODULE_FOLDER} (Debian package baresip-core)");
    }
    has_modules && program::is_there("baresip", "-h", "baresip-core")
}

impl Baresip {
    /// Starts one that answers every call at once and says a tone of `hz`.
    pub fn start(folder: &Path, ports: &Ports, account: Account, hz: u16) -> Baresip {
        // What an earlier run recorded must not be taken for this one's.
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).expect("a folder");
        let says = folder.join("says.wav");
        tones::write_tone(&says, account.rate_hz(), hz, SECONDS);
        fs::write(folder.join("config"), configuration(folder, ports, account)).expect("a file");
        let Account { codecs, parameters, certificates } = account;
        let transport = certificates.map_or("", |certificates| carry(certificates, folder));
        let uri = format!("<sip:{USER}@{}{transport}>", ports.sip());
        let line = format!("{uri};regint=0;answermode=auto;audio_codecs={codecs}{parameters}\n");
        fs::write(folder.join("accounts"), line).expect("a file");
        fs::write(folder.join("contacts"), "").expect("a file");

        let mut command = Command::new("baresip");
        command.args(["-4", "-s", "-n", "127.0.0.1", "-f"]).arg(folder).stdin(Stdio::null());
        let program = Program::start(&mut command, &folder.join("log"));
        let mut control = None;
        eventually("baresip takes orders", || {
            control = TcpStream::connect(ports.control()).ok();
            control.is_some()
        });
        let control = control.expect("just connected");
        control.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        Baresip { _program: program, folder: folder.to_owned(), control, pending: Vec::new(), told: Vec::new() }
    }

    /// Orders something, in the words of its menu.
    pub fn order(&mut self, command: &str, parameters: &str) {
        let text = json!({ "command": command, "params": parameters }).to_string();
        write!(self.control, "{}:{text},", text.len()).expect("it listens");
    }

    /// Calls somebody and waits until the call is up.
    pub fn call(&mut self, target: &str) {
        self.order("dial", target);
        self.until("CALL_ESTABLISHED");
    }

    /// Makes an offer inside the call (`hold`, `resume`) and waits for its answer.
    pub fn offer(&mut self, command: &str) {
        self.order(command, "");
        self.until_told("the answer to its offer", |event| {
            event["type"] == "CALL_REMOTE_SDP" && event["param"] == "answer"
        });
    }

    /// Waits for the next event of a kind.
    #[track_caller]
    pub fn until(&mut self, kind: &str) -> Value {
        self.until_told(kind, |event| event["type"] == kind)
    }

    /// Waits until something is told; everything before it is passed over.
    #[track_caller]
    pub fn until_told(&mut self, what: &str, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        let end = Instant::now() + LONG;
        let mut passed_over = Vec::new();
        loop {
            while !self.told.is_empty() {
                let event = self.told.remove(0);
                if wanted(&event) {
                    return event;
                }
                passed_over.push(event);
            }
            assert!(Instant::now() < end, "baresip never told {what}: {passed_over:#?}; {}", self.log());
            self.listen();
        }
    }

    /// Everything it prints: its words about its calls, and every SIP message.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.folder.join("log")).expect("its log");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether it says that its call is protected.
    pub fn is_protected(&self) -> bool {
        let log = self.log();
        ["SRTP is Enabled", "DTLS-SRTP complete"].iter().any(|words| log.contains(words))
    }

    /// Packets that it sent and received in its last call.
    pub fn packets(&self) -> [u64; 2] {
        let log = self.whole_calls();
        let line = log.lines().rev().find(|line| line.starts_with(FIGURES)).expect("its figures");
        let counts: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        counts.try_into().expect("two figures")
    }

    /// What it heard in its calls, the first call first; 8 kHz.
    pub fn heard(&self) -> Vec<Vec<i16>> {
        self.whole_calls();
        self.recordings().iter().map(|file| tones::read(file)).collect()
    }

    /// Its log once each call that it recorded has been put away, all of them being over.
    ///
    /// It tells of a call's end first, closes the recording after that, and prints the call's figures at last.
    fn whole_calls(&self) -> String {
        let mut log = String::new();
        eventually("baresip prints the figures of its calls", || {
            log = self.log();
            log.lines().filter(|line| line.starts_with(FIGURES)).count() >= self.recordings().len()
        });
        log
    }

    fn recordings(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.folder).expect("its folder").flatten().map(|entry| entry.path());
        let mut files: Vec<PathBuf> = entries.filter(|path| path.to_string_lossy().ends_with("-dec.wav")).collect();
        files.sort();
        files
    }

    fn listen(&mut self) {
        let mut bytes = [0; 4_096];
        match self.control.read(&mut bytes) {
            Ok(0) => panic!("baresip has ended: {}", self.log()),
            Ok(length) => self.pending.extend_from_slice(&bytes[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => panic!("baresip: {error}"),
        }
        while let Some(event) = take_netstring(&mut self.pending) {
            self.told.push(serde_json::from_slice(&event).expect("baresip speaks JSON"));
        }
    }
}

/// Puts certificates where it looks for them; the parameter of its address that goes with them.
fn carry(certificates: &Path, folder: &Path) -> &'static str {
    let read = |name: &str| fs::read_to_string(certificates.join(name)).expect("a certificate");
    fs::write(folder.join("own.pem"), read("us.pem") + &read("us.key")).expect("a file");
    fs::write(folder.join("authority.pem"), read("authority.pem")).expect("a file");
    let files = format!("sip_certificate {0}/own.pem\nsip_cafile {0}/authority.pem\n", folder.display());
    let config = fs::read_to_string(folder.join("config")).expect("written before");
    fs::write(folder.join("config"), files + &config).expect("a file");
    ";transport=tls"
}

/// `LENGTH:BYTES,` from the front of `pending`, once it is whole.
fn take_netstring(pending: &mut Vec<u8>) -> Option<Vec<u8>> {
    let colon = pending.iter().position(|byte| *byte == b':')?;
    let length: usize = std::str::from_utf8(&pending[..colon]).ok()?.parse().ok()?;
    let (begins, ends) = (colon + 1, colon + 1 + length);
    let bytes = pending.get(begins..ends)?.to_vec();
    pending.get(ends)?;
    pending.drain(..=ends);
    Some(bytes)
}

/// How the line begins with which it sums up a call.
const FIGURES: &str = "packets:";
/// Where Debian puts its modules; it does not look there by itself.
const MODULE_FOLDER: &str = "/usr/lib/baresip/modules";
/// Its modules are loaded in this order, which is that of its offers where an account names no codecs.
const MODULES: [&str; 9] = ["opus", "g722", "g711", "l16", "sndfile", "aufile", "aubridge", "srtp", "dtls_srtp"];
const APPLICATIONS: [&str; 2] = ["menu", "ctrl_tcp"];

fn configuration(folder: &Path, ports: &Ports, account: Account) -> String {
    let folder = folder.display();
    let (first, last) = ports.audio();
    let modules: String = MODULES.iter().map(|name| format!("module {name}.so\n")).collect();
    let applications: String = APPLICATIONS.iter().map(|name| format!("module_app {name}.so\n")).collect();
    // The player takes the place of a loudspeaker; what is heard is recorded before it gets there.
    format!(
        "sip_listen {sip}\ncall_max_calls 4\nctrl_tcp_listen {control}\nrtp_ports {first}-{last}\nrtp_stats yes\n\
         audio_source aufile,{folder}/says.wav\naudio_player aubridge,loudspeaker\naudio_alert aubridge,bell\n\
         ausrc_srate {rate_hz}\nauplay_srate {rate_hz}\nausrc_channels 1\nauplay_channels 1\nsnd_path {folder}\n\
         module_path {MODULE_FOLDER}\n{modules}module_tmp account.so\n{applications}",
        sip = ports.sip(),
        control = ports.control(),
        rate_hz = account.rate_hz(),
    )
}
