//! What is usual for callers who have called before, for the routes that allow it.
//!
//! In memory only and for a bounded number of callers: the one whose last call ended first gives way. Callers are known
//! by a keyed hash of their URI (HMAC-SHA-256) under a key that is drawn at the start and leaves this room never.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prosody::baseline::Usual;
use ring::error::Unspecified;
use ring::{hmac, rand};

/// The most callers that are remembered; 3 MB of memory.
const SPEAKERS_MAX: usize = 10_000;
/// Speech that it takes for a caller to be remembered, seconds.
const SPEECH_MIN_S: u32 = 10;

/// A caller, for whoever does not have the key: a number without meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpeakerKey([u8; 16]);

/// The callers of one run of the server.
pub struct Baselines {
    key: hmac::Key,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    speakers: BTreeMap<SpeakerKey, (u64, Usual)>,
    /// By the order in which they were kept.
    oldest: BTreeMap<u64, SpeakerKey>,
    next: u64,
}

impl fmt::Debug for Baselines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Baselines(…)")
    }
}

impl Baselines {
    /// Nobody is known yet.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn new() -> Result<Self, Unspecified> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new())?;
        Ok(Self { key, kept: Mutex::default() })
    }

    /// What a caller is known by.
    pub fn key_of(&self, caller: &str) -> SpeakerKey {
        let tag = hmac::sign(&self.key, caller.as_bytes());
        SpeakerKey(*tag.as_ref().first_chunk().expect("a tag of SHA-256 has 32 octets"))
    }

    /// What is usual for a caller who has called before.
    pub(super) fn usual(&self, speaker: SpeakerKey) -> Option<Usual> {
        self.lock().speakers.get(&speaker).map(|(_, usual)| *usual)
    }

    /// Remembers what was usual for a caller whose call has ended; too little speech teaches nothing.
    pub(super) fn keep(&self, speaker: SpeakerKey, usual: Usual) {
        if usual.speech_s < SPEECH_MIN_S {
            return;
        }
        let mut kept = self.lock();
        if let Some((at, _)) = kept.speakers.remove(&speaker) {
            kept.oldest.remove(&at);
        }
        if kept.speakers.len() >= SPEAKERS_MAX
            && let Some((_, oldest)) = kept.oldest.pop_first()
        {
            kept.speakers.remove(&oldest);
        }
        let at = kept.next;
        kept.next += 1;
        kept.oldest.insert(at, speaker);
        kept.speakers.insert(speaker, (at, usual));
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // What a panic elsewhere leaves half done costs one caller's baseline at most.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use prosody::baseline::FEATURES;

    use super::*;

    #[test]
    fn a_caller_is_known_again_and_by_no_name() {
        let baselines = Baselines::new().expect("random numbers");
        let li = baselines.key_of("sip:13800138000@pbx");
        assert_eq!(baselines.usual(li), None);
        baselines.keep(li, usual(9));
        assert_eq!(baselines.usual(li), None, "nine seconds are too little");
        baselines.keep(li, usual(30));
        baselines.keep(li, usual(75));
        assert_eq!(baselines.usual(baselines.key_of("sip:13800138000@pbx")), Some(usual(75)));
        assert_eq!(baselines.usual(baselines.key_of("sip:13900139000@pbx")), None);
        let elsewhere = Baselines::new().expect("random numbers");
        assert_ne!(elsewhere.key_of("sip:13800138000@pbx"), li, "another run cannot tell who that was");
        assert!(!format!("{baselines:?}{li:?}").contains("13800138000"), "{li:?}");
    }

    #[test]
    fn is_bounded_and_the_oldest_gives_way() {
        let baselines = Baselines::new().expect("random numbers");
        let speaker = |number: usize| baselines.key_of(&format!("sip:{number}@pbx"));
        (0..SPEAKERS_MAX).for_each(|number| baselines.keep(speaker(number), usual(20)));
        baselines.keep(speaker(0), usual(40));
        baselines.keep(speaker(SPEAKERS_MAX), usual(20));
        assert_eq!(baselines.usual(speaker(0)), Some(usual(40)), "who has called again is not the oldest");
        assert_eq!(baselines.usual(speaker(1)), None);
        assert!(baselines.usual(speaker(SPEAKERS_MAX)).is_some());
        let kept = baselines.lock();
        assert_eq!((kept.speakers.len(), kept.oldest.len()), (SPEAKERS_MAX, SPEAKERS_MAX));
    }

    fn usual(speech_s: u32) -> Usual {
        Usual { speech_s, centres: [0.5; FEATURES], spreads: [0.25; FEATURES] }
    }
}
