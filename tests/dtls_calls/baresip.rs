//! baresip on both sides: OpenSSL's DTLS and libsrtp, with control packets on the port of audio or on one of their own.

use std::fs::{self, File};
use std::io::Cursor;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use media::wav::{self, Channel};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::stage::{BOT_HZ, CALLER_HZ, LONG, RATE, Stage, strength};

const REQUIRED: &str = "srtp = \"required\"\nkeys = \"dtls\"";
const ANY_REQUIRED: &str = "srtp = \"required\"\nkeys = \"any\"";
const EITHER: &str = "srtp = \"optional\"\nkeys = \"any\"";
/// Where Debian has its modules.
const MODULES: &str = "/usr/lib/baresip/modules";
/// Seconds of a call.
const TALK: Duration = Duration::from_secs(6);

#[test]
fn baresip_calls_baresip() {
    for (name, callers, bots, encryption, shares_port) in [
        ("apart", REQUIRED, REQUIRED, Some("dtls_srtp"), false),
        ("shared", EITHER, ANY_REQUIRED, Some("dtls_srtp"), true),
        ("overlooked", EITHER, EITHER, None, false),
    ] {
        println!("-- {name}");
        let stage = Stage::set(&format!("baresip-{name}"), callers, bots);
        let plan = |name: &str, sip: SocketAddr, hz: u16| Plan {
            folder: stage.folder.join(name),
            sip,
            hz,
            encryption,
            shares_port,
        };
        let bot = Baresip::start(&plan("bot", stage.server.addresses.bot, BOT_HZ), &[]);
        // Its TLS socket, which it opens above its own, is of no use here.
        let dial = format!("/dial {}", stage.target());
        let caller = Baresip::start(&plan("caller", stage.server.addresses.human, CALLER_HZ), &["-e", &dial]);
        let (Some(bot), Some(caller)) = (bot, caller) else { return };
        if encryption.is_some() {
            stage.until_keys(&["caller", "callee"]);
        } else {
            stage.until("the answer", |what| matches!(what, calmline::notice::What::CallAnswered { .. }));
        }
        std::thread::sleep(TALK);
        let heard = [(caller, "the caller", BOT_HZ, CALLER_HZ), (bot, "the bot", CALLER_HZ, BOT_HZ)];
        for (phone, who, hz, own) in heard {
            let (samples, log) = phone.end();
            let samples = &samples[..samples.len().saturating_sub(RATE / 2)];
            let (wanted, unwanted) = (strength(samples, hz), strength(samples, own));
            println!("{who} hears {hz} Hz at {wanted:.3}, {own} Hz at {unwanted:.3}, {} samples", samples.len());
            assert!(wanted > 0.2 && unwanted < 0.02, "{who}: {wanted} of {hz} Hz, {unwanted} of {own} Hz:\n{log}");
            let secured = |component: &str| log.contains(&format!("DTLS-SRTP complete (audio/{component})"));
            assert_eq!(secured("RTP"), encryption.is_some(), "{who}:\n{log}");
            assert_eq!(secured("RTCP"), encryption.is_some() && !shares_port, "{who}:\n{log}");
        }
        stage.is_empty();
    }
}

/// How a baresip is to be.
struct Plan<'a> {
    folder: PathBuf,
    sip: SocketAddr,
    hz: u16,
    encryption: Option<&'a str>,
    shares_port: bool,
}

/// A running baresip.
struct Baresip {
    process: Child,
    folder: PathBuf,
}

impl Baresip {
    /// `None`, said aloud, when it is not installed.
    fn start(plan: &Plan<'_>, arguments: &[&str]) -> Option<Baresip> {
        let folder = plan.folder.clone();
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        let shown = folder.display();
        sing(&folder.join("tone.wav"), plan.hz);
        let modules: String =
            ["g711", "aufile", "aubridge", "sndfile", "dtls_srtp"].map(|name| format!("module {name}.so\n")).concat();
        let config = format!(
            "poll_method epoll\nsip_listen {}\ncall_max_calls 4\nnet_interface 127.0.0.1\n\
             audio_player aubridge,out\naudio_alert aubridge,alert\naudio_source aufile,{shown}/tone.wav\n\
             rtcp_mux {}\nmodule_path {MODULES}\nsnd_path {shown}\n{modules}\
             module_tmp account.so\nmodule_app menu.so\n",
            plan.sip,
            if plan.shares_port { "yes" } else { "no" },
        );
        let encryption = plan.encryption.map(|name| format!(";mediaenc={name}")).unwrap_or_default();
        let account = format!("<sip:bot@{}>;regint=0;audio_codecs=PCMA;answermode=auto{encryption}\n", plan.sip);
        for (name, text) in [("config", config), ("accounts", account), ("contacts", String::new())] {
            fs::write(folder.join(name), text).expect("a file");
        }
        let log = File::create(folder.join("log")).expect("a file");
        let mut command = Command::new("baresip");
        command.arg("-v").arg("-f").arg(&folder).args(arguments).stdin(Stdio::null());
        let spawned = command.stderr(log.try_clone().expect("a file")).stdout(log).spawn();
        let Ok(process) = spawned.map_err(|error| println!("skipped: baresip: {error}")) else { return None };
        let phone = Baresip { process, folder };
        phone.wait_for_log("baresip is ready");
        Some(phone)
    }

    #[track_caller]
    fn wait_for_log(&self, wanted: &str) {
        let end = Instant::now() + LONG;
        while !self.log().contains(wanted) {
            assert!(Instant::now() < end, "no {wanted:?} in\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.join("log")).unwrap_or_default()).into_owned()
    }

    /// Ends it; what it heard, 8 kHz, and its log.
    fn end(mut self) -> (Vec<i16>, String) {
        kill(Pid::from_raw(self.process.id() as i32), Signal::SIGTERM).expect("it runs");
        self.process.wait().expect("it ends");
        (recorded(&self.folder), self.log())
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The recording of what was decoded.
fn recorded(folder: &Path) -> Vec<i16> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let found = entries.filter(|path| path.to_string_lossy().ends_with("-dec.wav")).max();
    let Some(file) = found else { return Vec::new() };
    let bytes = fs::read(file).expect("a file");
    wav::read(Cursor::new(bytes), Channel::Mix).expect("a recording").to_sound().samples
}

/// Twenty seconds of a tone, 8 kHz.
fn sing(file: &Path, hz: u16) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE as u32,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(file, spec).expect("a file");
    for n in 0..20 * RATE {
        let phase = std::f64::consts::TAU * f64::from(hz) * n as f64 / RATE as f64;
        writer.write_sample((phase.sin() * 9_830.0) as i16).expect("disk space");
    }
    writer.finalize().expect("disk space");
}
