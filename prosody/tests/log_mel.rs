//! Log-mel energies equal Kaldi's; the golden ones are of `kaldi-native-fbank`, by `prosody/compare/fbank.py golden`.

use prosody::SampleRate::{Hz8000, Hz16000};
use prosody::logmel::{LogMel, LogMelSettings, Taper};

const GOLDEN: &str = include_str!("golden/log-mel.csv");
/// Where in the recording the golden energies are from.
const SAMPLES: std::ops::Range<usize> = 8_000..9_000;
/// Kaldi sums in another order.
const TOLERANCE: f32 = 1e-3;

#[test]
fn energies_are_those_of_kaldi() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/audio/calm-caller.wav");
    let mut wav = hound::WavReader::open(path).expect("a fixture");
    let samples: Vec<f32> = wav.samples::<i16>().map(|s| f32::from(s.expect("16 bit")) / 32_768.0).collect();
    let usual = LogMelSettings::new;
    let snipped = LogMelSettings { taper: Taper::Hamming, snip_edges: true, ..usual(Hz16000) };
    let nemo = LogMelSettings::nemo(Hz16000);
    let whisper = LogMelSettings::whisper(Hz16000);
    let all = [
        ("8000", usual(Hz8000)),
        ("16000", usual(Hz16000)),
        ("snipped", snipped),
        ("nemo", nemo),
        ("whisper", whisper),
    ];
    for (name, settings) in all {
        let mut log_mel = LogMel::new(settings).expect("they are in range");
        let mut got = Vec::new();
        samples[SAMPLES].chunks(33).for_each(|piece| log_mel.push(piece, &mut got));
        log_mel.finish(&mut got);
        let expected: Vec<f32> = GOLDEN
            .lines()
            .filter_map(|line| line.strip_prefix(&format!("{name},")))
            .flat_map(|line| line.split(',').map(|value| value.parse::<f32>().expect("a number")))
            .collect();
        assert_eq!(got.len(), expected.len());
        let worst = got.iter().zip(&expected).map(|(got, expected)| (got - expected).abs()).fold(0.0, f32::max);
        assert!(worst < TOLERANCE, "{worst} off, {name}");
    }
}

/// What Whisper hears of a telephone line is there without a stream of 16 kHz.
#[test]
fn at_8_khz_as_whisper_has_it_at_16() {
    let [low, high] = [Hz8000, Hz16000].map(|rate| {
        let tone = |at: usize, hz: f32| (std::f32::consts::TAU * hz * at as f32 / rate.hz() as f32).sin();
        let samples: Vec<f32> = (0..rate.hz() as usize)
            .map(|at| [220.0, 440.0, 1_130.0, 2_400.0, 3_300.0].map(|hz| 0.1 * tone(at, hz)).iter().sum())
            .collect();
        let mut log_mel = LogMel::new(LogMelSettings::whisper(rate)).expect("they are in range");
        let mut energies = Vec::new();
        log_mel.push(&samples, &mut energies);
        let bins = log_mel.settings().bins;
        // One frame amid the stream, loud enough for what leaks into far bands to be beside the point.
        energies[50 * bins..51 * bins].iter().map(|energy| energy.max(-6.0)).collect::<Vec<f32>>()
    });
    assert_eq!((low.len(), high.len()), (61, 80));
    for (bin, (low, high)) in low.iter().zip(&high).enumerate() {
        assert!((high - low - 4f32.ln()).abs() < 0.05 || *high < -5.9 + 4f32.ln(), "bin {bin}: {low} and {high}");
    }
}
