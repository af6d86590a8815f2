//! What is said in forked calls, and how it is sent as RTP.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use media::g711::{self, Law};
use media::ogg;

use crate::stage::{ANY, RATE, fixture};

/// Samples of 20 ms.
pub const FRAME: usize = RATE / 50;
/// Texts of the calm beginning, of the anger after it, and of the agent, by their numbers.
const TEXTS: [std::ops::RangeInclusive<u32>; 3] = [201..=204, 221..=230, 201..=210];

/// What two people say, 8 kHz.
pub struct Talk {
    /// Calm at first, then angry.
    pub caller: Vec<i16>,
    /// Calm.
    pub agent: Vec<i16>,
}

/// Two people of the recordings; without them, said aloud, the synthesised ones.
pub fn talk() -> Talk {
    let data = shared().join("data/casia");
    if !data.join("manifest.csv").exists() {
        println!("skipped: no recordings of people in {}, going on with synthesised speech", data.display());
        let angry = fixture("fixtures/audio/angry-caller.wav");
        return Talk { caller: angry[8 * RATE..].to_vec(), agent: fixture("fixtures/audio/agent.wav").to_vec() };
    }
    let clips = |speaker: &str, mood: &str, texts: std::ops::RangeInclusive<u32>| {
        texts.flat_map(|text| clip(&data.join(format!("{speaker}_{mood}_{text}.opus")))).collect::<Vec<_>>()
    };
    let [calm, angry, agent] = TEXTS;
    Talk {
        caller: [clips("liuchanhg", "neutral", calm), clips("liuchanhg", "angry", angry)].concat(),
        agent: clips("ZhaoZuoxiang", "neutral", agent),
    }
}

/// What comes with the project's development, and not with the project.
pub fn shared() -> PathBuf {
    std::env::var_os("CALMLINE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from)
}

/// One recording, and a short pause after it.
fn clip(path: &Path) -> Vec<i16> {
    let bytes = std::fs::read(path).expect("a recording");
    let mut samples = ogg::read(&bytes).expect("Ogg Opus").to_sound().samples;
    samples.extend([0; RATE / 4]);
    samples
}

/// Somebody who speaks over RTP, PCMU.
pub struct Speaker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Speaker {
    /// Says `samples` to `to`, then nothing but silence.
    pub fn start(to: SocketAddr, samples: &[i16]) -> Speaker {
        let socket = UdpSocket::bind(ANY).expect("a port");
        let ssrc = u32::from(socket.local_addr().expect("bound").port()) << 8;
        let (samples, stop) = (samples.to_vec(), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut number: u16 = 0;
            paced(&samples, &stopped, |frame| {
                let mut packet = vec![0x80, 0];
                packet.extend(number.to_be_bytes());
                packet.extend((u32::from(number) * FRAME as u32).to_be_bytes());
                packet.extend(ssrc.to_be_bytes());
                g711::encode(Law::Mu, frame, &mut packet);
                number = number.wrapping_add(1);
                // Nobody listens any more once the call is over.
                socket.send_to(&packet, to).is_ok()
            });
        });
        Speaker { stop, thread: Some(thread) }
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Hands out 20 ms of `samples` every 20 ms, then silence, until stopped or refused.
pub fn paced(samples: &[i16], stop: &AtomicBool, mut send: impl FnMut(&[i16]) -> bool) {
    let silence = [0; FRAME];
    let begin = Instant::now();
    let mut frames = samples.chunks_exact(FRAME);
    for number in 0.. {
        let due = begin + Duration::from_millis(20) * number;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if stop.load(Ordering::Relaxed) || !send(frames.next().unwrap_or(&silence)) {
            return;
        }
    }
}
