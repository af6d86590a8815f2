//! Several parties at once, and each of them alone.

use nlu::{Listener, Observation, PartyId};

use crate::voice::{AGITATED, CALM, Manner, speak};

/// What the listeners that `listener` makes hear of four voices: of each together with the others, and by itself.
pub fn heard(listener: impl Fn() -> Listener) -> Vec<[Vec<Observation>; 2]> {
    let voices: Vec<Vec<f32>> = [0.8, 1.0, 1.3, 1.7]
        .iter()
        .map(|factor| speak(Manner { pitch_hz: CALM.pitch_hz * factor, ..AGITATED }, 6.0))
        .collect();
    let mut together = listener();
    let mut found = Vec::new();
    for i in 0..voices.len() {
        together.add(PartyId(i as u32));
    }
    for start in (0..48_000).step_by(4_000) {
        for (i, samples) in voices.iter().enumerate() {
            together.push(PartyId(i as u32), &samples[start..start + 4_000]);
        }
        together.run(&mut found);
    }
    let alone = |samples: &Vec<f32>| {
        let (mut listener, mut found) = (listener(), Vec::new());
        listener.add(PartyId(0));
        for piece in samples.chunks(160) {
            listener.push(PartyId(0), piece);
            listener.run(&mut found);
        }
        assert_eq!(listener.model_failures(), 0, "{:?}", listener.model_failure());
        found
    };
    let of = |id: usize| found.iter().filter(|found| found.party == PartyId(id as u32)).cloned().collect();
    voices.iter().enumerate().map(|(id, samples)| [of(id), alone(samples)]).collect()
}
