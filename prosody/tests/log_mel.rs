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
    for (name, settings) in [("8000", usual(Hz8000)), ("16000", usual(Hz16000)), ("snipped", snipped), ("nemo", nemo)] {
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
