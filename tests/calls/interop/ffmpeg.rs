//! `ffmpeg` as both ends of an Opus stream: one process says stereo and describes it, another one hears what comes
//! back by the server's own description. Between them and the server stands one pair of sockets, as a telephone has it.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use calmline::notice::What;
use media::rtcp::{self, Received};
use media::{RtpHeader, Ssrc};

use super::ports::Ports;
use super::program::{self, Program};
use super::{CALLER_HZ, judge};
use crate::raw::{RawCaller, audio_port, with_audio_port};
use crate::stage::{BOT_HZ, RATE, Setup, Stage, continuous, eventually};
use crate::tones;

/// How long what comes back is recorded, seconds.
const RECORDED_S: u32 = 4;

#[test]
fn opus_in_stereo_is_heard_and_answered_and_both_report() {
    if !program::is_there("ffmpeg", "-version", "ffmpeg") {
        return;
    }
    let stage = Stage::set(Setup::named("ffmpeg"));
    let folder = crate::stage::folder("ffmpeg");
    let ports = Ports::claim();
    let between = Between::open(ports.audio().0);
    let _says = say(&folder, &between);
    let description = folder.join("says.sdp");
    eventually("ffmpeg speaks", || between.source().is_some());

    let offer = fs::read_to_string(&description).expect("written before the first packet");
    let offer = &offer[offer.find("v=0").expect("a description")..];
    assert!(offer.contains("opus/48000/2") && offer.contains("sprop-stereo=1"), "{offer}");
    let mut caller = RawCaller::new(stage.server.addresses.sip);
    let answer = caller.offer(&with_audio_port(offer, between.outer));
    assert!(answer.contains("opus/48000/2"), "{answer}");
    fs::write(folder.join("hears.sdp"), with_audio_port(&answer, between.hearing)).expect("a file");
    let mut hears = hear(&folder);
    between.carry_to(audio_port(&answer));
    eventually("ffmpeg has heard enough", || hears.has_ended());
    eventually("the server tells that it has read a report of ffmpeg's", || {
        between.reports().iter().any(|report| report.account.is_some_and(|account| account.sender_report != 0))
    });

    caller.hang_up();
    stage.until("the end", |what| matches!(what, What::CallEnded { packets_lost: 0, .. }));
    let bot = stage.bot.heard();
    continuous("the bot", &bot.stats);
    judge("the bot", &bot.samples, (CALLER_HZ, tones::PEAK), BOT_HZ).unwrap_or_else(|why| panic!("{why}"));
    // It came into a stream that was running: a decoder of Opus needs half a second to catch up with a tone.
    let heard = tones::read(&folder.join("hears.wav"));
    judge("ffmpeg", &heard[RATE..], (BOT_HZ, tones::PEAK), CALLER_HZ).unwrap_or_else(|why| panic!("{why}"));
    let reports = between.reports();
    println!("{reports:?}");
    assert!(reports.iter().filter_map(|report| report.account).all(|account| account.lost == 0), "{reports:?}");
    assert!(reports.iter().any(|report| report.sender.is_some_and(|sender| sender.packets > 50)), "{reports:?}");
    stage.is_empty();
}

/// Stereo Opus of a tone, in real time, and its description.
fn say(folder: &Path, between: &Between) -> Program {
    let tone = format!("{}*sin(2*PI*{CALLER_HZ}*t)", tones::PEAK);
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-re", "-f", "lavfi", "-i", &format!("aevalsrc={tone}|{tone}:s=48000:c=stereo")]);
    command.args(["-c:a", "libopus", "-b:a", "48k", "-frame_duration", "20", "-payload_type", "98"]);
    command.arg("-sdp_file").arg(folder.join("says.sdp"));
    command.args(["-f", "rtp", &format!("rtp://127.0.0.1:{}", between.saying)]);
    Program::start(&mut command, &folder.join("says.log"))
}

/// Records what comes by `hears.sdp`.
fn hear(folder: &Path) -> Program {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-y", "-protocol_whitelist", "file,udp,rtp"]);
    command.arg("-i").arg(folder.join("hears.sdp")).args(["-t", &RECORDED_S.to_string(), "-c:a", "pcm_s16le"]);
    command.arg(folder.join("hears.wav")).stdin(Stdio::null());
    Program::start(&mut command, &folder.join("hears.log"))
}

/// The sockets between `ffmpeg` and the server: to the server it is one telephone with one address.
struct Between {
    /// Where the server sends audio; reports go one higher, here and below.
    outer: u16,
    /// Where `ffmpeg` sends.
    saying: u16,
    /// Where `ffmpeg` listens.
    hearing: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// The server's port; 0 until it is known.
    server: AtomicU16,
    over: AtomicBool,
    /// The SSRC of what `ffmpeg` says.
    source: Mutex<Option<Ssrc>>,
    /// What the server's control packets were.
    control: Mutex<Vec<Vec<u8>>>,
}

impl Between {
    fn open(first: u16) -> Between {
        let (outer, saying, hearing) = (first, first + 2, first + 4);
        let sockets = [outer, outer + 1, saying, saying + 1].map(|port| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is ours");
            socket.set_nonblocking(true).expect("a socket may");
            socket
        });
        let shared = Arc::new(Shared::default());
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.carry(&sockets, hearing)
        });
        Between { outer, saying, hearing, shared, thread: Some(thread) }
    }

    /// The server is at this port from now on; before, what `ffmpeg` says is lost.
    fn carry_to(&self, server: u16) {
        self.shared.server.store(server, Ordering::Relaxed);
    }

    fn source(&self) -> Option<Ssrc> {
        *self.shared.source.lock().expect("no panic")
    }

    /// The server's reports as the sender of `ffmpeg`'s stream reads them.
    fn reports(&self) -> Vec<Received> {
        let source = self.source().expect("ffmpeg has spoken");
        let mut session = rtcp::Session::new(Duration::ZERO, source, "ffmpeg", 1);
        let control = self.shared.control.lock().expect("no panic");
        control.iter().map(|bytes| session.receive(Duration::ZERO, bytes).expect("a control packet")).collect()
    }
}

impl Shared {
    fn carry(&self, [outer, outer_control, saying, saying_control]: &[UdpSocket; 4], hearing: u16) {
        let mut bytes = [0; 2_048];
        while !self.over.load(Ordering::Relaxed) {
            let server = self.server.load(Ordering::Relaxed);
            // What the system does not take is lost, as on any network.
            let pass = |from: &UdpSocket, to: u16, socket: &UdpSocket, bytes: &mut [u8]| {
                let length = from.recv(bytes).ok()?;
                if to > 1 {
                    let _ = socket.send_to(&bytes[..length], (Ipv4Addr::LOCALHOST, to));
                }
                Some(length)
            };
            let mut idle = true;
            if let Some(length) = pass(saying, server, outer, &mut bytes) {
                idle = false;
                let header = RtpHeader::parse(&bytes[..length]).expect("ffmpeg speaks RTP");
                self.source.lock().expect("no panic").get_or_insert(header.ssrc);
            }
            idle &= pass(saying_control, server + 1, outer_control, &mut bytes).is_none();
            idle &= pass(outer, hearing, outer, &mut bytes).is_none();
            if let Some(length) = pass(outer_control, hearing + 1, outer_control, &mut bytes) {
                idle = false;
                self.control.lock().expect("no panic").push(bytes[..length].to_vec());
            }
            if idle {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
