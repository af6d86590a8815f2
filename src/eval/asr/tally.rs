//! Counts what was heard against what was said: phrases, characters, time.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use media::wav;
use nlu::numbers::normalized;
use nlu::recognition::{SpokenPhrase, Transcript};
use serde::Serialize;

use super::super::bold;
use crate::cli::{Failure, print_line};

/// The normal quantile of a two-sided interval of 95 %.
const Z_95: f64 = 1.96;

/// What was heard of one recording.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) samples: u64,
    /// The final ones, in order.
    pub(super) transcripts: Vec<Transcript>,
    /// From the end of a phrase to its first partial transcript.
    pub(super) partials: Vec<Duration>,
    /// From the end of a phrase to its final transcript.
    pub(super) finals: Vec<Duration>,
    /// From the endpoint to the final transcript.
    pub(super) computing: Vec<Duration>,
}

impl Heard {
    /// The phrases of the final transcripts.
    pub(super) fn phrases(&self) -> impl Iterator<Item = &SpokenPhrase> {
        self.transcripts.iter().flat_map(|transcript| &transcript.phrases)
    }

    /// All that was understood, where dictation was taken.
    pub(super) fn dictated(&self) -> String {
        let texts = self.transcripts.iter().filter_map(|transcript| transcript.text.as_deref());
        texts.collect::<Vec<_>>().join(" ")
    }
}

/// Everything so far.
#[derive(Debug)]
pub(super) struct Tally {
    listed: BTreeSet<String>,
    dictates: bool,
    recordings: usize,
    audio_s: f64,
    said: usize,
    hits: usize,
    made_up: usize,
    /// Recordings in which no phrase of the lists is said.
    other_s: f64,
    other_made_up: usize,
    /// Edits and length of the reference, by recording, where a phrase is all that is said; all of dictation.
    edits: Vec<(usize, usize)>,
    partials: Vec<Duration>,
    finals: Vec<Duration>,
    computing: Vec<Duration>,
}

#[derive(Debug, Serialize)]
struct Figures {
    data: String,
    recognizer: String,
    #[serde(skip)]
    dictates: bool,
    recordings: usize,
    audio_s: f64,
    /// Phrases of the lists that were said, and heard.
    phrases_said: usize,
    phrases_heard: usize,
    /// Their share with its interval of 95 % (Wilson).
    phrase_accuracy: Share,
    /// Phrases that nobody said, in all recordings.
    phrases_made_up: usize,
    /// In recordings without a phrase of the lists: hours, and made-up phrases per hour with the interval of 95 %.
    other_speech_h: f64,
    false_per_hour: Share,
    /// Character error rate of recordings that are one phrase, or of all that were dictated; the interval by recordings.
    character_error_rate: Share,
    /// Processor seconds per second of audio, silence and partial transcripts included.
    real_time_factor: f64,
    /// Milliseconds, median and 99th percentile.
    partial_ms: [f64; 2],
    final_ms: [f64; 2],
    after_endpoint_ms: [f64; 2],
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Share {
    value: f64,
    low: f64,
    high: f64,
}

impl Tally {
    /// Of a recogniser that listens for these phrases, and may take dictation.
    pub(super) fn new(phrases: &BTreeSet<String>, dictates: bool) -> Self {
        Self {
            listed: phrases.iter().map(|phrase| plain(phrase)).collect(),
            dictates,
            recordings: 0,
            audio_s: 0.0,
            said: 0,
            hits: 0,
            made_up: 0,
            other_s: 0.0,
            other_made_up: 0,
            edits: Vec::new(),
            partials: Vec::new(),
            finals: Vec::new(),
            computing: Vec::new(),
        }
    }

    /// Takes what was said in a recording, as far as it is known, and what was heard.
    pub(super) fn add(&mut self, text: &str, heard: &Heard) {
        let said = plain(text);
        let seconds = heard.samples as f64 / f64::from(wav::RATE_HZ);
        let phrases: Vec<String> = heard.phrases().map(|phrase| plain(&phrase.text)).collect();
        let listed: Vec<&String> = self.listed.iter().filter(|phrase| said.contains(phrase.as_str())).collect();
        self.recordings += 1;
        self.audio_s += seconds;
        self.said += listed.len();
        self.hits += listed.iter().filter(|phrase| phrases.contains(phrase)).count();
        let made_up = phrases.iter().filter(|phrase| !said.contains(phrase.as_str())).count();
        self.made_up += made_up;
        if listed.is_empty() {
            self.other_s += seconds;
            self.other_made_up += made_up;
        }
        if self.dictates && !said.is_empty() {
            self.compare(&plain(&normalized(text)), &plain(&heard.dictated()));
        } else if self.listed.contains(&said) {
            self.compare(&said, &phrases.concat());
        }
        self.partials.extend(&heard.partials);
        self.finals.extend(&heard.finals);
        self.computing.extend(&heard.computing);
    }

    fn compare(&mut self, wanted: &str, got: &str) {
        let (wanted, got): (Vec<char>, Vec<char>) = (wanted.chars().collect(), got.chars().collect());
        self.edits.push((edits(&wanted, &got), wanted.len()));
    }

    /// Prints the figures; all of it took so many processor seconds.
    pub(super) fn report(mut self, recognizer: &str, data: &Path, cpu_s: f64, json: bool) -> Result<(), Failure> {
        let hours = self.other_s / 3_600.0;
        let figures = Figures {
            data: data.display().to_string(),
            recognizer: recognizer.to_owned(),
            dictates: self.dictates,
            recordings: self.recordings,
            audio_s: self.audio_s,
            phrases_said: self.said,
            phrases_heard: self.hits,
            phrase_accuracy: proportion(self.hits, self.said),
            phrases_made_up: self.made_up,
            other_speech_h: hours,
            false_per_hour: rate(self.other_made_up, hours),
            character_error_rate: error_rate(&self.edits),
            real_time_factor: cpu_s / self.audio_s.max(f64::MIN_POSITIVE),
            partial_ms: quantiles(&mut self.partials),
            final_ms: quantiles(&mut self.finals),
            after_endpoint_ms: quantiles(&mut self.computing),
        };
        if json {
            let text = serde_json::to_string(&figures).map_err(|error| Failure::of("writing JSON", error))?;
            return print_line(text);
        }
        print(&figures)
    }
}

fn print(figures: &Figures) -> Result<(), Failure> {
    let Figures { data, recognizer, recordings, audio_s, phrases_said, phrases_heard, phrases_made_up, .. } = figures;
    print_line(bold(&format!("{data} (8 kHz, {recognizer}): {recordings} recordings, {audio_s:.0} s")))?;
    let Share { value, low, high } = figures.phrase_accuracy;
    print_line(format_args!(
        "  phrases said {phrases_said}, heard {phrases_heard}: {:.1} % ({:.1}-{:.1}); made up {phrases_made_up}",
        value * 100.0,
        low * 100.0,
        high * 100.0
    ))?;
    let Share { value, low, high } = figures.character_error_rate;
    print_line(format_args!(
        "  character error rate{}: {:.1} % ({:.1}-{:.1})",
        if figures.dictates { "" } else { " of recordings that are one phrase" },
        value * 100.0,
        low * 100.0,
        high * 100.0
    ))?;
    let Share { value, low, high } = figures.false_per_hour;
    let hours = figures.other_speech_h;
    print_line(format_args!(
        "  speech without phrases {hours:.2} h: {value:.1} false phrases per hour ({low:.1}-{high:.1})"
    ))?;
    let ([p50, p99], [q50, q99]) = (figures.final_ms, figures.partial_ms);
    let [e50, e99] = figures.after_endpoint_ms;
    print_line(format_args!(
        "  from the end of a phrase: final {p50:.0}/{p99:.0} ms, partial {q50:.0}/{q99:.0} ms; from the endpoint: final \
         {e50:.0}/{e99:.0} ms (median/99 %)"
    ))?;
    print_line(format_args!("  {:.4} s of processor time per second of audio", figures.real_time_factor))
}

/// Letters and characters alone, small.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Levenshtein's distance.
fn edits(wanted: &[char], got: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=got.len()).collect();
    for (i, a) in wanted.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in got.iter().enumerate() {
            let best = (diagonal + usize::from(a != b)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row[got.len()]
}

/// A share of trials, with Wilson's interval.
fn proportion(hits: usize, of: usize) -> Share {
    if of == 0 {
        return Share { value: 0.0, low: 0.0, high: 1.0 };
    }
    let (n, p) = (of as f64, hits as f64 / of as f64);
    let centre = (p + Z_95 * Z_95 / (2.0 * n)) / (1.0 + Z_95 * Z_95 / n);
    let half = Z_95 * (p * (1.0 - p) / n + Z_95 * Z_95 / (4.0 * n * n)).sqrt() / (1.0 + Z_95 * Z_95 / n);
    Share { value: p, low: (centre - half).max(0.0), high: (centre + half).min(1.0) }
}

/// Events per hour; the interval of a Poisson count by Byar's approximation.
fn rate(count: usize, hours: f64) -> Share {
    if hours == 0.0 {
        return Share { value: 0.0, low: 0.0, high: 0.0 };
    }
    let n = count as f64;
    let byar = |n: f64, z: f64| if n == 0.0 { 0.0 } else { n * (1.0 - 1.0 / (9.0 * n) + z / (3.0 * n.sqrt())).powi(3) };
    Share { value: n / hours, low: byar(n, -Z_95) / hours, high: byar(n + 1.0, Z_95) / hours }
}

/// Edits per character, with the interval of a ratio of sums over recordings.
fn error_rate(edits: &[(usize, usize)]) -> Share {
    let (errors, length) = edits.iter().fold((0, 0), |(e, l), (errors, length)| (e + errors, l + length));
    if length == 0 {
        return Share { value: 0.0, low: 0.0, high: 1.0 };
    }
    let value = errors as f64 / length as f64;
    let squares: f64 = edits.iter().map(|&(e, l)| (e as f64 - value * l as f64).powi(2)).sum();
    let half = Z_95 * squares.sqrt() / length as f64;
    Share { value, low: (value - half).max(0.0), high: value + half }
}

/// Median and 99th percentile, milliseconds; 0 without values.
fn quantiles(values: &mut [Duration]) -> [f64; 2] {
    values.sort_unstable();
    [0.5, 0.99].map(|q| {
        let at = ((values.len() as f64 * q).ceil() as usize).clamp(1, values.len().max(1)) - 1;
        values.get(at).map_or(0.0, |value| value.as_secs_f64() * 1_000.0)
    })
}

#[cfg(test)]
mod tests {
    use nlu::recognition::EngineKind;

    use super::*;

    #[test]
    fn edits_are_levenshteins() {
        for (a, b, expected) in [("", "", 0), ("投诉", "", 2), ("投诉", "投诉", 0), ("kitten", "sitting", 3)] {
            let characters = |text: &str| text.chars().collect::<Vec<_>>();
            assert_eq!(edits(&characters(a), &characters(b)), expected, "{a} {b}");
        }
    }

    #[test]
    fn intervals_hold_the_value_and_shrink() {
        let few = proportion(9, 10);
        let many = proportion(900, 1_000);
        assert!(few.low < 0.9 && 0.9 < few.high && many.high - many.low < few.high - few.low, "{few:?} {many:?}");
        // Exact limits for 3 events: 0.62 and 8.77.
        let three = rate(3, 1.0);
        assert!((three.low - 0.62).abs() < 0.05 && (three.high - 8.77).abs() < 0.05, "{three:?}");
        assert_eq!(rate(0, 1.0).low, 0.0);
        assert!((rate(0, 1.0).high - 3.69).abs() < 0.3, "{:?}", rate(0, 1.0));
    }

    #[test]
    fn hits_misses_and_what_nobody_said() {
        let mut tally = Tally::new(&["我要投诉".to_owned(), "退款".to_owned()].into(), false);
        tally.add("我要投诉。", &heard(&["我要投诉"]));
        tally.add("我要退款", &heard(&["我要投诉"]));
        tally.add("今天天气不错", &heard(&["退款"]));
        assert_eq!((tally.said, tally.hits, tally.made_up, tally.other_made_up), (2, 1, 2, 1));
        assert_eq!(tally.edits, [(0, 4)]);
    }

    #[test]
    fn dictation_is_compared_as_it_is_written_and_silence_counts() {
        let mut tally = Tally::new(&["退款".to_owned()].into(), true);
        let mut said = heard(&["退款"]);
        said.transcripts[0].text = Some("我要退款120块".to_owned());
        tally.add("我要退款，一百二十块。", &said);
        tally.add("今天天气不错", &Heard::default());
        tally.add("", &said);
        assert_eq!(tally.edits, [(0, 8), (6, 6)]);
        assert_eq!((tally.said, tally.hits, tally.made_up), (1, 1, 1));
    }

    fn heard(phrases: &[&str]) -> Heard {
        let phrase = |text: &&str| SpokenPhrase {
            intent: "any".into(),
            text: (*text).to_owned(),
            start: 0,
            end: 8_000,
            confidence: 0.9,
        };
        let phrases = phrases.iter().map(phrase).collect();
        let party = nlu::PartyId(1);
        let transcript = Transcript {
            party,
            engine: EngineKind::Pocketsphinx,
            is_final: true,
            start: 0,
            end: 8_000,
            words: Vec::new(),
            phrases,
            text: None,
        };
        Heard { samples: 8_000, transcripts: vec![transcript], ..Heard::default() }
    }
}
