//! What one frame of a mix takes.

use divan::{Bencher, black_box};
use media::mix::{Ramp, Source, UNITY_Q15, mix};

fn main() {
    divan::main();
}

#[divan::bench]
fn four_speakers(bencher: Bencher<'_, '_>) {
    speakers(bencher, Ramp::steady(UNITY_Q15), 2_000);
}

#[divan::bench]
fn four_speakers_with_moving_gains(bencher: Bencher<'_, '_>) {
    speakers(bencher, Ramp { from_q15: 0, to_q15: UNITY_Q15 }, 2_000);
}

#[divan::bench]
fn four_speakers_too_loud(bencher: Bencher<'_, '_>) {
    speakers(bencher, Ramp::steady(UNITY_Q15), 30_000);
}

/// 20 ms at 8 kHz.
fn speakers(bencher: Bencher<'_, '_>, gain: Ramp, peak: i16) {
    let frames: Vec<[i16; 160]> = (1..=4).map(|step| std::array::from_fn(|n| (n as i16 * step * 37) % peak)).collect();
    let sources: [Source<'_>; 4] = std::array::from_fn(|n| Source { samples: &frames[n], gain });
    let mut frame = [0; 160];
    bencher.bench_local(|| {
        mix(black_box(&sources), &mut frame);
        black_box(frame[159])
    });
}
