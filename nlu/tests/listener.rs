//! The listener as its users see it: audio in, observations out, memory bounded, chunks irrelevant.

mod crowd;
mod runtime;
mod voice;

use nlu::{AcousticModel, Level, Listener, ListenerSettings, Observation, PartyId, Source};
use runtime::runtime_or_skip;
use voice::{AGITATED, CALM, speak};

const PARTY: PartyId = PartyId(7);

#[test]
fn agitation_after_calm_speech_is_high_within_two_seconds() {
    let mut samples = speak(CALM, 14.0);
    let onset = samples.len() as u64;
    samples.extend(speak(AGITATED, 8.0));
    check_onset(Listener::new(None, ListenerSettings::default()), &samples, onset);
    if let Some(runtime) = runtime_or_skip("agitation with the model") {
        let model = AcousticModel::built_in(&runtime).expect("the model that comes with the program loads");
        check_onset(Listener::new(Some(model), ListenerSettings::default()), &samples, onset);
    }
}

#[test]
fn the_observation_tells_what_was_heard() {
    let observations = listen(&mut signal_only(), &speak(CALM, 10.0), 160);
    let last = observations.last().expect("ten seconds of speech are judged");
    assert_eq!((last.party, last.source, last.level), (PARTY, Source::SignalOnly, Level::Low));
    assert!((last.evidence.pitch_hz - 120.0).abs() < 15.0, "{:?}", last.evidence);
    assert!(last.evidence.level_dbov < -20.0 && last.evidence.level_dbov > -50.0, "{:?}", last.evidence);
    assert!((0.5..=1.0).contains(&last.evidence.speech_share), "{:?}", last.evidence);
    assert!((last.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    let steps = observations.windows(2).map(|pair| pair[1].position - pair[0].position);
    assert!(steps.into_iter().all(|step| step > 0 && step % 4_000 == 0));
}

#[test]
fn chunks_and_runs_do_not_matter() {
    let mut samples = speak(CALM, 6.0);
    samples.extend(speak(AGITATED, 5.0));
    let whole = listen(&mut signal_only(), &samples, 8_000);
    assert!(whole.len() > 10);
    for chunk in [1_usize, 80, 160, 333, 4_001] {
        assert_eq!(listen(&mut signal_only(), &samples, chunk), whole, "in chunks of {chunk}");
    }
}

/// What is spared costs steps and delivery, and nothing else: the same windows are judged, and the level still rises.
#[test]
fn sparing_leaves_out_every_second_step() {
    let mut samples = speak(CALM, 14.0);
    let onset = samples.len() as u64;
    samples.extend(speak(AGITATED, 8.0));
    let all = listen(&mut signal_only(), &samples, 160);
    let mut spared = signal_only();
    spared.spare(true);
    let some = listen(&mut spared, &samples, 160);
    assert!(some.len() * 2 <= all.len() + 2 && some.len() * 3 > all.len(), "{} of {}", some.len(), all.len());
    for observation in &some {
        let same = all.iter().find(|each| each.position == observation.position).expect("it is judged anyway");
        let known = nlu::Evidence { delivery: None, ..same.evidence };
        assert_eq!((observation.probabilities, observation.evidence), (same.probabilities, known));
    }
    let high = some.iter().find(|observation| observation.level == Level::High).expect("anger is heard");
    assert!(high.position > onset && high.position - onset <= 3 * 8_000, "{}", high.position - onset);
}

#[test]
fn delivery_is_followed_again_after_sparing() {
    let mut listener = signal_only();
    let mut found = listen(&mut listener, &speak(CALM, 6.0), 160);
    listener.spare(true);
    found.extend(go_on(&mut listener, &speak(CALM, 3.0), 160));
    listener.spare(false);
    found.extend(go_on(&mut listener, &speak(CALM, 8.0), 160));
    let followed: Vec<bool> = found.iter().map(|observation| observation.evidence.delivery.is_some()).collect();
    assert!(followed.windows(2).filter(|pair| pair[0] != pair[1]).count() == 2, "{followed:?}");
    let last = found.last().and_then(|observation| observation.evidence.delivery).expect("it is followed again");
    assert!(last.speaking_rate > 1.5 && last.speaking_rate < 8.0 && last.pitch_z.abs() < 3.0, "{last:?}");
}

#[test]
fn a_batch_of_parties_equals_each_alone() {
    let Some(runtime) = runtime_or_skip("batch equals single") else { return };
    let model = || AcousticModel::built_in(&runtime).expect("the model that comes with the program loads");
    for [got, expected] in crowd::heard(|| Listener::new(Some(model()), ListenerSettings::default())) {
        assert_eq!(got.len(), expected.len());
        for (got, expected) in got.iter().zip(&expected) {
            assert_eq!((got.position, got.level, got.source), (expected.position, expected.level, Source::Model));
            assert!((got.anger - expected.anger).abs() < 1e-5);
        }
    }
}

#[test]
fn overload_drops_the_oldest_and_positions_keep_counting() {
    let settings = ListenerSettings { pending_samples_max: 16_000, ..ListenerSettings::default() };
    let mut listener = Listener::new(None, settings);
    listener.add(PARTY);
    let samples = speak(CALM, 20.0);
    for chunk in samples.chunks(160) {
        listener.push(PARTY, chunk);
        assert!(listener.samples_behind() <= 16_000);
    }
    let dropped = listener.samples_dropped(PARTY);
    assert_eq!(dropped + listener.samples_behind(), samples.len() as u64);
    let mut positions = Vec::new();
    let mut out = Vec::new();
    listener.run_with(&mut |_, frame, _| positions.push(frame.position), &mut out);
    assert_eq!(positions.first(), Some(&dropped));
    assert!(out.iter().all(|o| o.position > dropped));
    assert_eq!(listener.samples_behind(), 0);
}

#[test]
fn lost_audio_moves_the_positions() {
    for lost in [800, 80_000] {
        let mut listener = signal_only();
        listener.add(PARTY);
        listener.push(PARTY, &speak(CALM, 1.0));
        let mut out = Vec::new();
        listener.run(&mut out);
        listener.skip(PARTY, lost);
        listener.push(PARTY, &speak(CALM, 3.0));
        let mut last = 0;
        listener.run_with(&mut |_, frame, _| last = frame.position, &mut out);
        let end = 8_000 + lost + 24_000;
        assert!(end - last < 2_000, "lost {lost}: the last frame is at {last} of {end}");
        assert_eq!(listener.samples_dropped(PARTY), lost);
    }
}

#[test]
fn concealed_audio_is_told_as_lost() {
    let samples = speak(CALM, 10.0);
    let (mut listener, mut observations) = (signal_only(), Vec::new());
    listener.add(PARTY);
    for (i, packet) in samples.chunks(160).enumerate() {
        // Every fifth packet of the last 5 s, some of them while others still wait.
        if i >= 250 && i % 5 == 0 {
            listener.push_concealed(PARTY, packet);
        } else {
            listener.push(PARTY, packet);
        }
        if i % 3 == 0 {
            listener.run(&mut observations);
        }
    }
    let lost: Vec<f32> = observations
        .iter()
        .map(|observation| observation.evidence.delivery.expect("it is followed").lost_share)
        .collect();
    assert!(lost[..5].iter().all(|share| *share == 0.0), "{lost:?}");
    assert!(lost.last().is_some_and(|share| (0.08..0.12).contains(share)), "{lost:?}");
}

#[test]
fn unknown_and_removed_parties_are_ignored() {
    let mut listener = signal_only();
    listener.push(PARTY, &[0.1; 16_000]);
    listener.add(PARTY);
    listener.push(PARTY, &speak(AGITATED, 3.0));
    listener.remove(PARTY);
    let mut out = Vec::new();
    listener.run(&mut out);
    assert_eq!((out.len(), listener.parties(), listener.samples_behind()), (0, 0, 0));
}

#[test]
fn silence_and_noise_are_not_judged() {
    let mut noise = 1_u32;
    let mut random = || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        0.004 * ((noise >> 16) as f32 / 32_768.0 - 1.0)
    };
    let hiss: Vec<f32> = (0..80_000).map(|_| random()).collect();
    for samples in [vec![0.0; 80_000], vec![f32::NAN; 80_000], hiss] {
        assert_eq!(listen(&mut signal_only(), &samples, 160), Vec::new());
    }
}

/// High must come within 2 s of `onset` and never before.
#[track_caller]
fn check_onset(mut listener: Listener, samples: &[f32], onset: u64) {
    let observations = listen(&mut listener, samples, 160);
    let high = observations.iter().find(|o| o.level == Level::High).map(|o| o.position);
    let high = high.unwrap_or_else(|| panic!("never high: {:#?}", observations.last()));
    assert!((onset..=onset + 16_000).contains(&high), "high at {high}, onset at {onset}");
    assert!(observations.iter().any(|o| o.position > onset && o.trend_per_s > 0.05));
}

fn signal_only() -> Listener {
    Listener::new(None, ListenerSettings::default())
}

fn listen(listener: &mut Listener, samples: &[f32], chunk: usize) -> Vec<Observation> {
    listener.add(PARTY);
    go_on(listener, samples, chunk)
}

/// Goes on listening to a party that is there already.
fn go_on(listener: &mut Listener, samples: &[f32], chunk: usize) -> Vec<Observation> {
    let mut out = Vec::new();
    for piece in samples.chunks(chunk) {
        listener.push(PARTY, piece);
        listener.run(&mut out);
    }
    out
}
