//! Finds a known sound in a recording, so that "it was heard" is measured and not assumed.

use realfft::RealFftPlanner;

/// Where a sound was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Position of the sound's first sample in the recording.
    pub position: usize,
    /// Normalised correlation there, 0-1; 1 = the same up to loudness.
    pub likeness: f32,
}

/// Correlation from which on a sound counts as heard. G.711 alone leaves more than 0.99; unrelated speech stays
/// under 0.2; a sound mixed over another of the same level gives about 0.7.
pub const HEARD: f32 = 0.5;

/// The place in `recording` that is most like `sound`; both 8 kHz. `None` when either is too short or silent.
pub fn find(recording: &[i16], sound: &[i16]) -> Option<Found> {
    if sound.is_empty() || recording.len() < sound.len() {
        return None;
    }
    let sound_energy: f64 = sound.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
    if sound_energy == 0.0 {
        return None;
    }

    let products = correlate(recording, sound)?;
    let mut window_energy: f64 = recording[..sound.len()].iter().map(|&s| f64::from(s) * f64::from(s)).sum();
    let mut best: Option<Found> = None;
    for (position, product) in products.iter().enumerate() {
        // A window that is all but silent has nothing to say, however well it fits.
        if window_energy > sound_energy * 1e-4 {
            let likeness = (f64::from(*product) / (window_energy * sound_energy).sqrt()) as f32;
            if best.is_none_or(|best| likeness > best.likeness) {
                best = Some(Found { position, likeness });
            }
        }
        let Some(&entering) = recording.get(position + sound.len()) else { break };
        let leaving = f64::from(recording[position]);
        window_energy += f64::from(entering) * f64::from(entering) - leaving * leaving;
    }
    best
}

/// Sums of products of `sound` with every window of `recording`, by way of the spectrum.
fn correlate(recording: &[i16], sound: &[i16]) -> Option<Vec<f32>> {
    let size = (recording.len() + sound.len()).next_power_of_two();
    let mut planner = RealFftPlanner::<f32>::new();
    let forward = planner.plan_fft_forward(size);
    let inverse = planner.plan_fft_inverse(size);

    let spectrum = |samples: &[i16]| {
        let mut padded = vec![0.0; size];
        for (slot, &sample) in padded.iter_mut().zip(samples) {
            *slot = f32::from(sample);
        }
        let mut spectrum = forward.make_output_vec();
        forward.process(&mut padded, &mut spectrum).ok()?;
        Some(spectrum)
    };
    let mut product = spectrum(recording)?;
    for (bin, other) in product.iter_mut().zip(spectrum(sound)?) {
        *bin *= other.conj();
    }
    // Rounding may leave an imaginary part where a real signal has none.
    if let Some(first) = product.first_mut() {
        first.im = 0.0;
    }
    if let Some(last) = product.last_mut() {
        last.im = 0.0;
    }
    let mut products = vec![0.0; size];
    inverse.process(&mut product, &mut products).ok()?;
    products.truncate(recording.len() - sound.len() + 1);
    products.iter_mut().for_each(|value| *value /= size as f32);
    Some(products)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_sound_where_it_is() {
        let sound = noise(1, 4_000);
        let mut recording = noise(2, 20_000);
        recording.splice(7_000..11_000, sound.iter().copied());
        let found = find(&recording, &sound).expect("long enough");
        assert_eq!(found.position, 7_000);
        assert!(found.likeness > 0.99, "{found:?}");
    }

    #[test]
    fn finds_it_quieter_and_under_another_sound() {
        let sound = noise(1, 4_000);
        let mut recording = noise(2, 20_000);
        for (slot, &sample) in recording[5_000..9_000].iter_mut().zip(&sound) {
            *slot = *slot / 2 + sample / 2;
        }
        let found = find(&recording, &sound).expect("long enough");
        assert_eq!(found.position, 5_000);
        assert!((HEARD..0.9).contains(&found.likeness), "{found:?}");
    }

    #[test]
    fn does_not_find_what_is_not_there() {
        let found = find(&noise(3, 20_000), &noise(4, 4_000)).expect("long enough");
        assert!(found.likeness < 0.2, "{found:?}");
    }

    #[test]
    fn says_nothing_of_silence_and_of_too_little() {
        assert_eq!(find(&[0; 100], &[1; 200]), None);
        assert_eq!(find(&[0; 100], &[0; 10]), None);
        assert_eq!(find(&[0; 100], &[5; 10]), None);
        assert_eq!(find(&[], &[]), None);
    }

    /// White noise from a seed.
    fn noise(seed: u32, len: usize) -> Vec<i16> {
        let mut state = seed;
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as i16 / 4
        })
        .take(len)
        .collect()
    }
}
