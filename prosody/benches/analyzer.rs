//! What one second of one party's audio costs, and how often it allocates.
//!
//! `cargo bench -p prosody`: the time per sample of `one_second` is CPU seconds per audio second.

use divan::{AllocProfiler, Bencher};
use prosody::trained::{Analyzer, Baseline, Frame, functionals};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// A buzz at 140 Hz with some noise: voiced all the time, the dearest case.
fn second() -> Vec<f32> {
    let mut random = 1u32;
    (0..8_000u32)
        .map(|i| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let buzz = (i as f32 * 140.0 / 8_000.0).fract() - 0.5;
            0.2 * buzz + 0.02 * ((random >> 8) as f32 / (1u32 << 24) as f32 - 0.5)
        })
        .collect()
}

fn frames() -> Vec<Frame> {
    let mut out = Vec::new();
    let mut analyzer = Analyzer::new();
    for _ in 0..3 {
        analyzer.push(&second(), &mut out);
    }
    analyzer.finish(&mut out);
    out
}

#[divan::bench]
fn one_second_of_frames(bencher: Bencher<'_, '_>) {
    let samples = second();
    let mut analyzer = Analyzer::new();
    let mut out = Vec::with_capacity(200);
    bencher.bench_local(|| {
        out.clear();
        for packet in samples.chunks(160) {
            analyzer.push(packet, &mut out);
        }
        out.len()
    });
}

#[divan::bench]
fn one_second_of_baseline(bencher: Bencher<'_, '_>) {
    let frames = frames();
    let mut baseline = Baseline::new();
    bencher.bench_local(|| frames[..100].iter().for_each(|frame| baseline.push(frame, true)));
}

#[divan::bench]
fn functionals_of_three_seconds(bencher: Bencher<'_, '_>) {
    let frames = frames();
    bencher.bench_local(|| functionals(&frames, &[true; 300]));
}
