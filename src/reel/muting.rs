//! Finds what parties say that nobody is to hear: where their words are masked, by the times of the words.
//!
//! Its maskers are its own: what is said last in a call is often understood only once the call is over.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use media::LegId;
use nlu::masking::Masker;
use nlu::recognition::{SpokenPhrase, Transcript, Word};

use super::samples_in;

/// How much is muted before and after words: recognisers tell them late, and short of their end.
const BEFORE: u64 = 8 * 600;
const AFTER: u64 = 8 * 400;
/// Parties of one call, one after the other; whoever comes later is muted as long as it speaks.
const PARTIES_MAX: usize = 64;

/// What masks the words of one call.
#[derive(Debug)]
pub struct Muting {
    /// When the reel began.
    began: Duration,
    parties: BTreeMap<LegId, Party>,
    /// For whoever comes to be connected with the caller.
    far: Masker,
}

#[derive(Debug)]
struct Party {
    masker: Masker,
    /// When its audio began.
    origin: Option<Duration>,
}

impl Muting {
    /// For a reel that begins at `began` with the caller at `leg`; the maskers of the caller and of whoever is at the other end.
    pub fn new(began: Duration, leg: LegId, (caller, far): (Masker, Masker)) -> Self {
        let parties = BTreeMap::from([(leg, Party { masker: caller, origin: None })]);
        Self { began, parties, far }
    }

    /// Takes note of when a party's audio began.
    pub fn hear(&mut self, leg: LegId, origin: Duration) {
        if let Some(party) = self.party(leg) {
            party.origin = Some(origin);
        }
    }

    /// What is not to be heard of what a party has finally said by `now`, samples of the reel.
    pub fn said(&mut self, transcript: &Transcript, now: Duration) -> Vec<Range<u64>> {
        let leg = LegId(transcript.party.0);
        let words = || transcript.words.iter().map(|word| word.text.as_str());
        for (_, other) in self.parties.iter_mut().filter(|(other, _)| **other != leg) {
            other.masker.heard_from_other(words());
        }
        self.far.heard_from_other(words());
        let began = self.began;
        let so_far = 0..samples_in(now.saturating_sub(began));
        let Some(party) = self.party(leg) else { return vec![so_far] };
        let shown = transcript.text.as_ref().map(|text| party.masker.partial(text));
        let is_secret = |phrase: &&SpokenPhrase| !party.masker.partial(&phrase.text).hits.is_empty();
        let phrases: Vec<Range<u64>> =
            transcript.phrases.iter().filter(is_secret).map(|phrase| phrase.start..phrase.end).collect();
        let hits = party.masker.finished_words(words()).hits;
        let whole = transcript.start..transcript.end;
        let mut secrets: Vec<Range<u64>> = hits
            .iter()
            .map(|hit| times_of(transcript.words.get(hit.words.clone()).unwrap_or_default()).unwrap_or(whole.clone()))
            .collect();
        let is_outside =
            |phrase: &Range<u64>| secrets.iter().all(|span| span.end <= phrase.start || phrase.end <= span.start);
        if shown.is_some_and(|shown| shown.hits.len() > secrets.len()) || phrases.iter().any(is_outside) {
            // As it is written there is a secret in it, or another one, and nobody knows by which words.
            secrets.push(whole);
        }
        let Some(origin) = party.origin else {
            return if secrets.is_empty() { secrets } else { vec![so_far] };
        };
        secrets.into_iter().filter_map(|span| placed(span, origin, began)).collect()
    }

    fn party(&mut self, leg: LegId) -> Option<&mut Party> {
        if !self.parties.contains_key(&leg) && self.parties.len() >= PARTIES_MAX {
            return None;
        }
        let far = &self.far;
        Some(self.parties.entry(leg).or_insert_with(|| Party { masker: far.clone(), origin: None }))
    }
}

/// From the first of these words to the last; nothing when they have no times.
fn times_of(words: &[Word]) -> Option<Range<u64>> {
    let (first, last) = (words.first()?, words.last()?);
    (first.start < last.end).then_some(first.start..last.end)
}

/// Where a stretch of a party's audio is in the reel, with what is muted around it; nothing of what was before the reel.
fn placed(span: Range<u64>, origin: Duration, began: Duration) -> Option<Range<u64>> {
    // Whichever of them began earlier.
    let (later, earlier) = (samples_in(origin.saturating_sub(began)), samples_in(began.saturating_sub(origin)));
    let place = |position: u64| (position + later).checked_sub(earlier);
    let end = place(span.end + AFTER)?;
    Some(place(span.start).unwrap_or(0).saturating_sub(BEFORE)..end)
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "stretches are compared, of which there may be one")]
mod tests {
    use std::sync::Arc;

    use nlu::PartyId;
    use nlu::masking::{Class, MaskingLists};
    use nlu::recognition::EngineKind;

    use super::*;

    const CALLER: LegId = LegId(1);
    const BOT: LegId = LegId(2);
    const SECOND: u64 = 8_000;

    #[test]
    fn a_number_is_muted_from_its_first_digit_to_its_last() {
        let mut muting = muting();
        muting.hear(CALLER, at(3));
        // Half a second a character, from the second second of the caller's audio on, which began a second before the reel.
        let transcript = said(CALLER, "我的电话是一三八零零一三八零零零", 2 * SECOND, SECOND / 2);
        let (first, last) = (2 * SECOND + 5 * SECOND / 2, 2 * SECOND + 16 * SECOND / 2);
        assert_eq!(muting.said(&transcript, at(60)), [first - SECOND - BEFORE..last - SECOND + AFTER]);
        assert_eq!(muting.said(&said(CALLER, "谢谢你", 20 * SECOND, 100), at(60)), []);
    }

    #[test]
    fn who_is_asked_for_a_code_is_muted_when_answering() {
        let mut muting = muting();
        muting.hear(CALLER, at(4));
        muting.hear(BOT, at(6));
        assert_eq!(muting.said(&said(BOT, "请说一下您收到的验证码", 0, 800), at(20)), []);
        assert_eq!(
            muting.said(&said(CALLER, "四七", 10 * SECOND, SECOND), at(20)),
            [9 * SECOND + 3_200..12 * SECOND + AFTER]
        );
        assert_eq!(muting.said(&said(BOT, "一三八零零一三八零零零", 0, 800), at(20)).len(), 1);
    }

    #[test]
    fn what_cannot_be_placed_is_muted_as_far_as_it_may_be() {
        let number = "一三八零零一三八零零零";
        let mut muting = muting();
        assert_eq!(muting.said(&said(CALLER, number, 0, 800), at(10)), [0..6 * SECOND], "nobody knows when it began");
        assert_eq!(muting.said(&said(CALLER, "谢谢你", 0, 800), at(10)), []);
        muting.hear(CALLER, at(4));
        let timeless = Transcript { end: 9 * SECOND, ..said(CALLER, number, 2 * SECOND, 0) };
        assert_eq!(muting.said(&timeless, at(20)), [2 * SECOND - BEFORE..9 * SECOND + AFTER], "words without times");
        let written = Transcript {
            words: said(CALLER, "我的号码", 2 * SECOND, 800).words,
            text: Some("我的号码13800138000".to_owned()),
            ..timeless
        };
        let all = 2 * SECOND - BEFORE..9 * SECOND + AFTER;
        assert_eq!(muting.said(&written, at(20)), std::slice::from_ref(&all), "a secret of no word");
        let words = said(CALLER, number, 2 * SECOND, 800).words;
        let both = Transcript { words, text: Some(format!("{number}，邮箱zhang@example.com")), ..written };
        assert_eq!(muting.said(&both, at(20)).last(), Some(&all), "another secret of no word");
        let phrase = |start| SpokenPhrase {
            text: "我的号码13800138000".to_owned(),
            intent: "contact".to_owned(),
            start,
            end: start + SECOND,
            confidence: 1.0,
        };
        for (start, is_all) in [(2 * SECOND, false), (7 * SECOND, true)] {
            let spoken = Transcript { phrases: vec![phrase(start)], text: None, ..both.clone() };
            assert_eq!(muting.said(&spoken, at(20)).contains(&all), is_all, "a phrase from {start} on");
        }
    }

    #[test]
    fn what_was_said_before_the_reel_is_no_business_of_it() {
        let mut muting = Muting::new(at(60), CALLER, maskers());
        muting.hear(CALLER, at(0));
        assert_eq!(muting.said(&said(CALLER, "一三八零零一三八零零零", 2 * SECOND, 800), at(70)), []);
    }

    fn muting() -> Muting {
        Muting::new(at(4), CALLER, maskers())
    }

    fn maskers() -> (Masker, Masker) {
        let masker = Masker::new(Arc::new(MaskingLists::built_in()), Class::usual());
        (masker.clone(), masker)
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A final transcript, so many samples a character.
    fn said(leg: LegId, text: &str, start: u64, each: u64) -> Transcript {
        let word = |(at, letter): (usize, char)| Word {
            text: letter.to_string(),
            start: start + at as u64 * each,
            end: start + (at as u64 + 1) * each,
            confidence: 1.0,
        };
        Transcript {
            party: PartyId(leg.0),
            engine: EngineKind::SherpaOnnx,
            is_final: true,
            start,
            end: start + text.chars().count() as u64 * each,
            words: text.chars().enumerate().map(word).collect(),
            phrases: Vec::new(),
            text: Some(text.to_owned()),
        }
    }
}
