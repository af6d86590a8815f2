//! Words that a party's recogniser understood of the other party's voice: by an echo on the line, or because both
//! recognisers understood the same at the same time.
//!
//! Whoever listens tells where a line brings an echo; every final transcript is asked for and remembered for a while.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use media::LegId;
use nlu::HOP;
use nlu::recognition::Transcript;
use routing::CallKey;

use crate::shell::listen::hop_of;

/// From this share of its hops on a transcript is of an echo.
const ECHO_SHARE: f32 = 0.5;
/// From this share of its words on a transcript is what the other party said; a short one may be said by both.
const SAME_SHARE: f32 = 0.7;
const SAME_MIN: usize = 4;
/// The same words come so much later on the line that brings them back, hops of 10 ms; recognisers are not exact.
const LATER: Range<i64> = -3..31;
/// What is remembered of a line.
const ECHOES_MAX: usize = 64;
const WORDS_MAX: usize = 200;

/// Lines that have ended and are still remembered: their last words are yet to be understood.
const ENDED_MAX: usize = 256;

/// The lines of all calls whose words are listened for.
#[derive(Debug, Default)]
pub(super) struct Crosstalk(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    lines: BTreeMap<LegId, Line>,
    /// Those that have ended, the oldest first.
    ended: VecDeque<LegId>,
}

#[derive(Debug)]
struct Line {
    call: CallKey,
    /// The hop in which its audio began, counted for all lines alike.
    origin: u64,
    /// Hops in which it brought an echo, in order.
    echoes: VecDeque<Range<u64>>,
    /// Words that were finally understood, and the hops in which they began.
    words: VecDeque<(u64, String)>,
}

impl Crosstalk {
    /// Takes up a line of a call; its audio began at `origin`.
    pub(super) fn begin(&self, leg: LegId, call: CallKey, origin: Duration) {
        let origin = hop_of(origin, 0);
        let mut all = self.lock();
        all.ended.retain(|ended| *ended != leg);
        all.lines.insert(leg, Line { call, origin, echoes: VecDeque::new(), words: VecDeque::new() });
    }

    /// Lets go of a line, once others have ended after it.
    pub(super) fn end(&self, leg: LegId) {
        self.lock().end(leg);
    }

    /// Lets go of every line but these, as of lines that end.
    pub(super) fn keep_only(&self, legs: &BTreeSet<LegId>) {
        let mut all = self.lock();
        let gone = all.lines.keys().filter(|leg| !legs.contains(leg) && !all.ended.contains(leg));
        for leg in gone.copied().collect::<Vec<_>>() {
            all.end(leg);
        }
    }

    /// Takes note that a line brought an echo in these hops.
    pub(super) fn echo(&self, leg: LegId, hops: Range<u64>) {
        let mut all = self.lock();
        let Some(Line { echoes, .. }) = all.lines.get_mut(&leg) else { return };
        match echoes.back_mut() {
            Some(last) if hops.start <= last.end => last.end = last.end.max(hops.end),
            _ => echoes.push_back(hops),
        }
        if echoes.len() > ECHOES_MAX {
            echoes.pop_front();
        }
    }

    /// Whether a transcript is of the other party's voice. What is final and is not, is remembered.
    pub(super) fn is_in(&self, transcript: &Transcript) -> bool {
        let leg = LegId(transcript.party.0);
        let lines = &mut self.lock().lines;
        let Some(line) = lines.get(&leg) else { return false };
        let said = line.said(transcript);
        let is_crosstalk = line.brings(transcript)
            || transcript.is_final && lines.iter().any(|(other, each)| *other != leg && each.said_before(line, &said));
        if transcript.is_final
            && !is_crosstalk
            && let Some(line) = lines.get_mut(&leg)
        {
            line.words.extend(said);
            let surplus = line.words.len().saturating_sub(WORDS_MAX);
            line.words.drain(..surplus);
        }
        is_crosstalk
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        // Every change is whole before anything in it can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn end(&mut self, leg: LegId) {
        self.ended.push_back(leg);
        if self.ended.len() > ENDED_MAX
            && let Some(oldest) = self.ended.pop_front()
        {
            self.lines.remove(&oldest);
        }
    }
}

impl Line {
    fn said(&self, transcript: &Transcript) -> Vec<(u64, String)> {
        let words = transcript.words.iter();
        words.map(|word| (self.origin + word.start / HOP as u64, word.text.to_lowercase())).collect()
    }

    /// Whether what was understood lies where the line brought an echo.
    fn brings(&self, transcript: &Transcript) -> bool {
        let Transcript { words, start, end, .. } = transcript;
        let mut spans: Vec<Range<u64>> =
            words.iter().map(|word| word.start..word.end.max(word.start + HOP as u64)).collect();
        if spans.is_empty() {
            spans.push(*start..*end);
        }
        let hops = |span: &Range<u64>| self.origin + span.start / HOP as u64..self.origin + span.end / HOP as u64;
        let all: u64 = spans.iter().map(hops).map(|span| span.end - span.start).sum();
        let shared = |span: Range<u64>| -> u64 {
            let shared = |echo: &Range<u64>| echo.end.min(span.end).saturating_sub(echo.start.max(span.start));
            self.echoes.iter().map(shared).sum()
        };
        let echoed: u64 = spans.iter().map(hops).map(shared).sum();
        all > 0 && echoed as f32 >= ECHO_SHARE * all as f32
    }

    /// Whether most of what came on another line of the call was said here a little before.
    fn said_before(&self, other: &Line, said: &[(u64, String)]) -> bool {
        if self.call != other.call || said.len() < SAME_MIN {
            return false;
        }
        let is_same = |(hop, text): &&(u64, String)| {
            let later = |own: u64| hop.checked_signed_diff(own).is_some_and(|later| LATER.contains(&later));
            self.words.iter().any(|(own, word)| word == text && later(*own))
        };
        said.iter().filter(is_same).count() as f32 >= SAME_SHARE * said.len() as f32
    }
}

#[cfg(test)]
mod tests {
    use nlu::PartyId;
    use nlu::recognition::{EngineKind, Word};

    use super::*;

    const CALLER: LegId = LegId(1);
    const AGENT: LegId = LegId(2);

    #[test]
    fn words_on_a_line_that_brings_an_echo_are_crosstalk() {
        let crosstalk = two_lines(Duration::from_secs(3));
        assert!(!crosstalk.is_in(&said(CALLER, "我要退款", 8_000)));
        // The caller's audio began at hop 100: its second second is the hops from 200 on.
        crosstalk.echo(CALLER, 200..300);
        crosstalk.echo(CALLER, 275..325);
        assert!(crosstalk.is_in(&said(CALLER, "请您稍等", 8_000)));
        assert!(!crosstalk.is_in(&said(CALLER, "我要退款", 24_000)), "the echo is over");
        assert!(!crosstalk.is_in(&said(AGENT, "请您稍等", 8_000)), "the other line has none");
        crosstalk.end(CALLER);
        assert!(crosstalk.is_in(&said(CALLER, "请您稍等", 8_000)), "its last words");
        (0..ENDED_MAX as u32).for_each(|other| crosstalk.end(LegId(100 + other)));
        assert!(!crosstalk.is_in(&said(CALLER, "请您稍等", 8_000)));
    }

    #[test]
    fn the_same_words_a_little_later_are_crosstalk() {
        // The agent's audio began 2 s after the caller's.
        let crosstalk = two_lines(Duration::from_secs(3));
        assert!(!crosstalk.is_in(&said(AGENT, "请您稍等一下", 8_000)));
        assert!(crosstalk.is_in(&said(CALLER, "请您稍等一下", 24_000 + 1_600)), "0.2 s later");
        assert!(crosstalk.is_in(&said(CALLER, "请您稍等了", 24_000 + 800)), "most of them");
        assert!(!crosstalk.is_in(&said(CALLER, "请您稍等一下", 24_000 + 8_000)), "a second later it is repeated");
        assert!(!crosstalk.is_in(&said(CALLER, "请您稍等一下", 24_000 - 1_600)), "who speaks first is heard");
        assert!(!crosstalk.is_in(&said(CALLER, "请您", 24_000 + 800)), "both may say so little");
    }

    #[test]
    fn another_calls_words_are_none() {
        let crosstalk = two_lines(Duration::from_secs(1));
        crosstalk.begin(LegId(3), CallKey(9), Duration::from_secs(1));
        assert!(!crosstalk.is_in(&said(LegId(3), "请您稍等一下", 8_000)));
        assert!(!crosstalk.is_in(&said(CALLER, "请您稍等一下", 8_800)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let crosstalk = two_lines(Duration::ZERO);
        for at in 0..300 {
            crosstalk.echo(CALLER, at * 100..at * 100 + 50);
            crosstalk.is_in(&said(AGENT, "请您稍等一下", at * 8_000));
        }
        let lines = &crosstalk.lock().lines;
        assert_eq!((lines[&CALLER].echoes.len(), lines[&AGENT].words.len()), (ECHOES_MAX, WORDS_MAX));
    }

    /// The caller's audio began after a second, the agent's at `later`.
    fn two_lines(later: Duration) -> Crosstalk {
        let crosstalk = Crosstalk::default();
        crosstalk.begin(CALLER, CallKey(1), Duration::from_secs(1));
        crosstalk.begin(AGENT, CallKey(1), later);
        crosstalk
    }

    /// Words of a character each, 0.1 s from one to the next.
    fn said(leg: LegId, text: &str, start: u64) -> Transcript {
        let word = |(index, letter): (usize, char)| {
            let start = start + index as u64 * 800;
            Word { text: letter.to_string(), start, end: start + 800, confidence: 1.0 }
        };
        let words: Vec<Word> = text.chars().enumerate().map(word).collect();
        let end = words.last().map_or(start, |word| word.end);
        let (party, engine) = (PartyId(leg.0), EngineKind::SherpaOnnx);
        Transcript { party, engine, is_final: true, start, end, words, phrases: vec![], text: Some(text.to_owned()) }
    }
}
