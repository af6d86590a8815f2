//! Once made, no encoder, decoder or noise generator asks the allocator for anything, whatever is lost.

mod counting;

use media::Codec;
use media::codec::noise::{Noise, NoiseGenerator};
use media::codec::{Decoder, Encoder, OpusSettings, RATES_HZ};

#[test]
fn coding_allocates_nothing() {
    for codec in Codec::ALL {
        for rate_hz in RATES_HZ {
            let settings = OpusSettings { fec: true, dtx: true, bitrate_max: Some(24_000), ..OpusSettings::default() };
            let mut encoder = Encoder::new(codec, rate_hz, settings).expect("every codec at both rates");
            let mut decoder = Decoder::new(codec, rate_hz).expect("every codec at both rates");
            let audio: Vec<i16> = (0..rate_hz * 2).map(|n| (n % 71 * 200) as i16).collect();
            let (mut payload, mut samples) = (Vec::with_capacity(1_500), Vec::with_capacity(1_000));

            let before = counting::calls();
            for (n, frame) in audio.chunks_exact(rate_hz as usize / 50).enumerate() {
                payload.clear();
                samples.clear();
                encoder.encode(frame, &mut payload).expect("20 ms");
                match n % 7 {
                    3 => decoder.conceal(frame.len(), &mut samples),
                    5 => decoder.recover(&payload, frame.len(), &mut samples),
                    _ => assert_eq!(decoder.decode(&payload, &mut samples), Ok(frame.len())),
                }
                assert_eq!(samples.len(), frame.len());
            }
            assert_eq!(counting::calls() - before, 0, "calls of the allocator by {codec:?} at {rate_hz} Hz");
        }
    }
}

#[test]
fn noise_allocates_nothing() {
    let mut generator = NoiseGenerator::new(1);
    let (mut payload, mut samples) = (Vec::with_capacity(20), Vec::with_capacity(320));
    let before = counting::calls();
    for _ in 0..50 {
        generator.set(Noise::read(&[40, 100, 130, 127]).expect("a payload"));
        samples.clear();
        generator.make(320, &mut samples);
        payload.clear();
        Noise::measure(&samples).write(&mut payload);
    }
    assert_eq!(counting::calls() - before, 0, "calls of the allocator");
    assert!(payload.len() > 1);
}
