//! What a party costs when many take turns on one processor, so that none finds its state in the cache.
//!
//! `parties [SECONDS]`: a table of comma-separated values: parties, and milliseconds of processor per second of 8 kHz
//! audio for one of them (the fastest second): pitch alone, rows, rows with functionals of 3 s every 0.5 s.

use std::time::Instant;

use prosody::SampleRate::Hz8000;
use prosody::functionals::Functionals;
use prosody::pitch::{Pitch, Tracker};
use prosody::synthetic::{self, Kind, Plan, Voice};
use prosody::{Analyzer, Row, Smoother};

/// Samples of a packet of 20 ms, and packets of a second.
const PACKET: usize = 160;
const PACKETS: usize = 50;

/// What is done for one party with its next packet.
type Party = Box<dyn FnMut(&[f32])>;

#[expect(clippy::print_stdout, reason = "a program that prints a table")]
fn main() -> Result<(), std::num::ParseIntError> {
    let seconds = std::env::args().nth(1).map_or(Ok(5), |text| text.parse::<usize>())?;
    let voice = Voice::of(&Plan { seconds: seconds as f32, ..Plan::new(Kind::Phrases, 140.0, 1) });
    let samples = synthetic::telephone_band(&synthetic::half_rate(&voice.samples));
    println!("parties,pitch,rows,functionals");
    for count in [1, 10, 100, 1_000] {
        let costs = [pitch as fn() -> Party, rows, functionals].map(|party| cost_ms(count, party, &samples));
        println!("{count},{:.3},{:.3},{:.3}", costs[0], costs[1], costs[2]);
    }
    Ok(())
}

/// Milliseconds per party and second of audio, where `count` parties get their packets in turn.
#[expect(clippy::disallowed_methods, reason = "a program that measures time")]
fn cost_ms(count: usize, party: fn() -> Party, samples: &[f32]) -> f64 {
    let mut parties: Vec<Party> = (0..count).map(|_| party()).collect();
    let mut least_ms = f64::INFINITY;
    for second in samples.chunks_exact(PACKETS * PACKET) {
        let began = Instant::now();
        for packet in second.chunks_exact(PACKET) {
            parties.iter_mut().for_each(|party| party(packet));
        }
        least_ms = least_ms.min(began.elapsed().as_secs_f64() * 1e3 / count as f64);
    }
    least_ms
}

fn pitch() -> Party {
    let (mut tracker, mut out) = (Tracker::new(Hz8000), Vec::<Pitch>::new());
    Box::new(move |packet| {
        out.clear();
        tracker.push(packet, &mut out);
    })
}

fn rows() -> Party {
    let (mut analyzer, mut out) = (Analyzer::new(Hz8000), Vec::<Row>::new());
    Box::new(move |packet| {
        out.clear();
        analyzer.push(packet, &mut out);
    })
}

fn functionals() -> Party {
    let (mut analyzer, mut out) = (Analyzer::new(Hz8000), Vec::<Row>::new());
    let (mut smoother, mut functionals, mut hops) = (Smoother::default(), Functionals::new(300), 0);
    Box::new(move |packet| {
        analyzer.push(packet, &mut out);
        for smoothed in out.drain(..).filter_map(|row| smoother.push(&row)) {
            functionals.push(&smoothed);
            hops += 1;
            if hops % 50 == 0 {
                std::hint::black_box(functionals.values());
            }
        }
    })
}
