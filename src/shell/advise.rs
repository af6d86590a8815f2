//! Suggests answers while customers speak or write: a thread that searches the library for their words and tells what it
//! finds. Nobody waits for it; when too much waits, words are passed over and counted.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::told::Told;
use crate::knowledge::{Found, Shelf};
use crate::metrics::Metrics;
use crate::notice::{Advice, AnswerFound, Notice, What};
use crate::web::Moment;

/// Words of customers that may wait.
const WAITING_MAX: usize = 256;
/// Calls of which it is remembered what was suggested last; beyond it those that were quiet for long are forgotten.
const CALLS_MAX: usize = 4_096;
const QUIET: Duration = Duration::from_secs(60);
/// Suggestions of one call at once, and how long until one more may come.
const BURST: f32 = 3.0;
const ONE_MORE_AFTER: Duration = Duration::from_secs(4);

/// The knowledge in force, for everybody who looks things up in it.
pub type SharedShelf = Arc<ArcSwap<Shelf>>;

/// The way to whoever suggests. The thread ends with it.
pub struct Advisor {
    words: SyncSender<Words>,
    shelf: SharedShelf,
    metrics: Metrics,
}

/// What a customer has said, masked.
struct Words {
    call: String,
    text: String,
}

impl Advisor {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(shelf: SharedShelf, told: Told) -> io::Result<Advisor> {
        let (words, waiting) = sync_channel(WAITING_MAX);
        let (searched, metrics) = (Arc::clone(&shelf), told.metrics.clone());
        thread::Builder::new().name("advice".into()).spawn(move || advise(&waiting, &searched, &told))?;
        Ok(Advisor { words, shelf, metrics })
    }

    /// Puts other knowledge in the place of what there is.
    pub fn exchange(&self, shelf: Shelf) {
        self.metrics.set_knowledge(shelf.knowledge.entries().len());
        self.shelf.store(Arc::new(shelf));
    }

    /// Hears what is told of calls; never waits.
    pub fn hear(&self, notice: &Notice) {
        if !self.shelf.load().settings.suggest {
            return;
        }
        let Some(text) = words_of(&notice.what) else { return };
        if self.words.try_send(Words { call: notice.call.clone(), text }).is_err() {
            self.metrics.count_advice("passed_over");
        }
    }
}

/// What a caller has said, once it is whole; phrases where nobody takes dictation.
fn words_of(what: &What) -> Option<String> {
    let What::Said { party, is_final: true, phrases, text, crosstalk: false, .. } = what else { return None };
    if party != "caller" {
        return None;
    }
    let heard = || phrases.iter().map(|phrase| phrase.text.reveal().as_str()).collect::<Vec<_>>().join(" ");
    let text = text.as_ref().map_or_else(heard, |text| text.reveal().clone());
    (!text.trim().is_empty()).then_some(text)
}

fn advise(words: &Receiver<Words>, shelf: &SharedShelf, told: &Told) {
    let mut pace = Pace::default();
    while let Ok(words) = words.recv() {
        let known = told.bus.with_board(|board| {
            let record = board.call(&words.call).filter(|_| board.is_active(&words.call))?;
            record.keeps_words().then(|| (record.scenario.clone(), record.started))
        });
        let Some((scenario, started)) = known else { continue };
        let shelf = shelf.load();
        let found = shelf.suggest(&words.text, &scenario);
        let entries: Vec<&str> = found.iter().map(|found| found.entry.id.as_str()).collect();
        let outcome = match pace.take(&words.call, &entries, Instant::now()) {
            Turn::Nothing => "nothing",
            Turn::Same => "same",
            Turn::TooFast => "too_fast",
            Turn::Told => "suggested",
        };
        told.metrics.count_advice(outcome);
        if outcome != "suggested" {
            continue;
        }
        let now = Moment::now();
        let call_ms = now.0.saturating_sub(started.0);
        let advice = Advice { query: words.text.into(), answers: found.iter().map(answer).collect() };
        told.tell_words(&Notice { call: words.call, call_ms, what: What::AnswersSuggested(Box::new(advice)) }, now);
    }
}

fn answer(Found { entry, saying, language, score }: &Found<'_>) -> AnswerFound {
    AnswerFound {
        entry: entry.id.clone(),
        question: saying.questions.first().cloned().unwrap_or_default(),
        answer: saying.answer.clone(),
        language: language.as_str().to_owned(),
        score: hundredths(*score),
    }
}

/// A hundredth is finer than a score is right.
pub fn hundredths(score: f32) -> f32 {
    (score * 100.0).round() / 100.0
}

/// What becomes of answers that were found.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// There are none.
    Nothing,
    /// They were told last.
    Same,
    /// There were too many lately.
    TooFast,
    /// They are told.
    Told,
}

/// How often each call may have suggestions, and what it had last.
#[derive(Debug, Default)]
struct Pace(BTreeMap<String, Last>);

#[derive(Debug)]
struct Last {
    entries: Vec<String>,
    left: f32,
    at: Instant,
}

impl Pace {
    fn take(&mut self, call: &str, entries: &[&str], now: Instant) -> Turn {
        if entries.is_empty() {
            return Turn::Nothing;
        }
        if self.0.len() >= CALLS_MAX && !self.0.contains_key(call) {
            self.0.retain(|_, last| now.saturating_duration_since(last.at) < QUIET);
            if self.0.len() >= CALLS_MAX {
                return Turn::TooFast;
            }
        }
        let last = self.0.entry(call.to_owned()).or_insert(Last { entries: Vec::new(), left: BURST, at: now });
        let gained = now.saturating_duration_since(last.at).as_secs_f32() / ONE_MORE_AFTER.as_secs_f32();
        (last.left, last.at) = ((last.left + gained).min(BURST), now);
        if last.entries == entries {
            return Turn::Same;
        }
        if last.left < 1.0 {
            return Turn::TooFast;
        }
        last.left -= 1.0;
        last.entries = entries.iter().map(|entry| (*entry).to_owned()).collect();
        Turn::Told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_told_no_more_than_it_can_read() {
        let begin = Instant::now();
        let mut pace = Pace::default();
        let mut check = |call: &str, entries: &[&str], after_s: u64, expected: Turn| {
            let at = begin + Duration::from_secs(after_s);
            assert_eq!(pace.take(call, entries, at), expected, "{call} {entries:?} after {after_s} s");
        };
        check("a", &[], 0, Turn::Nothing);
        check("a", &["refund"], 0, Turn::Told);
        check("a", &["refund"], 0, Turn::Same);
        check("a", &["refund", "hours"], 0, Turn::Told);
        check("a", &["hours"], 0, Turn::Told);
        check("a", &["refund"], 1, Turn::TooFast);
        check("b", &["refund"], 1, Turn::Told);
        check("a", &["refund"], 4, Turn::Told);
    }

    #[test]
    fn calls_that_are_remembered_are_bounded() {
        let begin = Instant::now();
        let mut pace = Pace::default();
        for call in 0..CALLS_MAX {
            assert_eq!(pace.take(&call.to_string(), &["a"], begin), Turn::Told);
        }
        assert_eq!(pace.take("one more", &["a"], begin), Turn::TooFast);
        assert_eq!(pace.take("one more", &["a"], begin + QUIET), Turn::Told);
        assert_eq!(pace.0.len(), 1);
    }

    #[test]
    fn only_what_customers_have_said_to_its_end_is_looked_for() {
        let heard: Vec<String> =
            crate::notice_samples::one_of_each().iter().filter_map(|notice| words_of(&notice.what)).collect();
        assert_eq!(heard, ["我要投诉"]);
    }
}
