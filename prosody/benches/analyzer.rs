//! What one second of one party's audio costs, and how often it allocates.
//!
//! `cargo bench -p prosody`: the time of every `one_second_…` is CPU seconds per audio second.

use divan::{AllocProfiler, Bencher};
use prosody::SampleRate::{self, Hz8000, Hz16000};
use prosody::baseline::SpeakerBaseline;
use prosody::functionals::Functionals;
use prosody::pitch::Tracker;
use prosody::quality::QualityMeter;
use prosody::rhythm::RhythmMeter;
use prosody::{Analyzer, Row, Smoother};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// A buzz at 140 Hz with some noise: voiced all the time, the dearest case.
fn second() -> Vec<f32> {
    second_at(Hz8000)
}

fn second_at(rate: SampleRate) -> Vec<f32> {
    let mut random = 1u32;
    (0..rate.hz())
        .map(|i| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let buzz = (i as f32 * 140.0 / rate.hz() as f32).fract() - 0.5;
            0.2 * buzz + 0.02 * ((random >> 8) as f32 / (1u32 << 24) as f32 - 0.5)
        })
        .collect()
}

/// In packets of 20 ms.
#[divan::bench(args = [Hz8000, Hz16000])]
fn one_second_of_pitch(bencher: Bencher<'_, '_>, rate: SampleRate) {
    let samples = second_at(rate);
    let mut tracker = Tracker::new(rate);
    let mut out = Vec::with_capacity(200);
    bencher.bench_local(|| {
        out.clear();
        samples.chunks(2 * rate.hop()).for_each(|packet| tracker.push(packet, &mut out));
        out.len()
    });
}

#[divan::bench(args = [Hz8000, Hz16000])]
fn one_second_of_rows(bencher: Bencher<'_, '_>, rate: SampleRate) {
    let samples = second_at(rate);
    let mut analyzer = Analyzer::new(rate);
    let mut out = Vec::with_capacity(200);
    bencher.bench_local(|| {
        out.clear();
        samples.chunks(2 * rate.hop()).for_each(|packet| analyzer.push(packet, &mut out));
        out.len()
    });
}

/// Descriptors, and functionals of the last 3 s twice a second.
#[divan::bench(args = [Hz8000, Hz16000])]
fn one_second_of_functionals(bencher: Bencher<'_, '_>, rate: SampleRate) {
    let samples = second_at(rate);
    let mut analyzer = Analyzer::new(rate);
    let (mut smoother, mut functionals) = (Smoother::default(), Functionals::new(300));
    let mut rows = Vec::with_capacity(200);
    let mut hops = 0;
    bencher.bench_local(|| {
        let mut sum = 0.0;
        for packet in samples.chunks(2 * rate.hop()) {
            analyzer.push(packet, &mut rows);
            for row in rows.drain(..) {
                let Some(smoothed) = smoother.push(&row) else { continue };
                functionals.push(&smoothed);
                hops += 1;
                if hops % 50 == 0 {
                    sum += functionals.values()[0];
                }
            }
        }
        sum
    });
}

#[divan::bench]
fn one_second_of_rhythm_quality_and_baseline(bencher: Bencher<'_, '_>) {
    let mut rows: Vec<Row> = Vec::new();
    let mut analyzer = Analyzer::new(Hz8000);
    (0..2).for_each(|_| analyzer.push(&second(), &mut rows));
    let (mut rhythm, mut quality, mut baseline) =
        (RhythmMeter::default(), QualityMeter::default(), SpeakerBaseline::default());
    bencher.bench_local(|| {
        for row in &rows[..100] {
            rhythm.push(row, true);
            quality.push(&row.level, row.pitch_hz.is_some(), false);
            baseline.push(row, true);
        }
        (rhythm.rhythm(), quality.quality(), baseline.z(0, 1.0))
    });
}
