//! Voice and words on one timeline: either may be missing, old words are forgotten, queues are bounded.

mod voice;

use nlu::text::{Lexicon, TextReader, TextSource};
use nlu::{Level, Listener, ListenerSettings, Observation, PartyId, Source, Utterance};
use voice::{AGITATED, CALM, speak};

const PARTY: PartyId = PartyId(7);
const SECOND: u64 = 8_000;
const SMALL: &str = r#"
    negations = ["不"]
    [[entry]]
    category = "anger"
    strength = 0.95
    words = ["气死我了", "骗人", "生气"]
"#;

#[test]
fn words_alone_make_a_timeline_and_tell_why() {
    let mut listener = reading();
    let found = hear(&mut listener, &[(0, 2, "你们骗人，真是气死我了，等了三天"), (3, 5, "骗人骗人，我气死我了")]);
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|observation| observation.source == Source::WordsOnly));
    assert_eq!((found[0].position, found[1].position), (2 * SECOND, 5 * SECOND));
    assert!(found[0].anger > 0.3 && found[1].anger > found[0].anger, "{found:?}");
    assert!(found[1].level >= Level::Medium, "{found:?}");
    let evidence = found[0].words.as_deref().expect("the words are the evidence");
    let words: Vec<&str> = evidence.words.iter().map(|found| found.word.as_str()).collect();
    assert_eq!((words, evidence.source), (vec!["骗人", "气死我了"], TextSource::LexiconOnly));
    assert!(evidence.reliability > 0.3 && evidence.reliability < 0.6, "{evidence:?}");
}

#[test]
fn calm_and_negated_words_raise_nothing() {
    for text in ["好的，我想问一下套餐的事情", "我不生气，就是问问"] {
        let found = hear(&mut reading(), &[(0, 2, text), (2, 4, text)]);
        assert!(found.iter().all(|observation| observation.level == Level::Low && observation.anger < 0.2), "{text}");
    }
}

#[test]
fn words_join_the_voice_and_are_forgotten() {
    let samples = speak(CALM, 30.0);
    let mut listener = reading();
    let alone = listen(&mut listener, &samples, None);
    let said =
        Utterance {
            text: "你们骗人，真是气死我了".to_owned(), start: 8 * SECOND, end: 10 * SECOND, confidence: 0.9
        };
    let mut listener = reading();
    let together = listen(&mut listener, &samples, Some(said));
    assert!(alone.iter().all(|observation| observation.words.is_none() && observation.source == Source::SignalOnly));
    let at = |observations: &[Observation], second: u64| {
        let near = observations.iter().find(|each| each.position >= second * SECOND).expect("it goes on");
        (near.anger, near.words.is_some(), near.source)
    };
    assert_eq!(at(&together, 8), at(&alone, 8), "nothing is known before it is said");
    assert!(at(&together, 11).0 > at(&alone, 11).0 + 0.05, "{together:?}");
    assert_eq!((at(&together, 12).1, at(&together, 12).2), (true, Source::SignalOnly));
    assert!(!at(&together, 27).1 && (at(&together, 29).0 - at(&alone, 29).0).abs() < 0.05);
    assert!(together.windows(2).all(|pair| pair[0].position <= pair[1].position), "time goes on");
}

#[test]
fn angry_words_before_an_outburst_let_it_be_heard_sooner() {
    let mut samples = speak(CALM, 14.0);
    samples.extend(speak(AGITATED, 6.0));
    let alone = listen(&mut reading(), &samples, None);
    let said =
        Utterance {
            text: "你们骗人，真是气死我了".to_owned(), start: 11 * SECOND, end: 13 * SECOND, confidence: 1.0
        };
    let together = listen(&mut reading(), &samples, Some(said));
    let high = |observations: &[Observation]| {
        let first = observations.iter().find(|each| each.level == Level::High);
        first.map(|each| each.position).expect("an outburst is high")
    };
    assert!(high(&together) < high(&alone), "{} {}", high(&together), high(&alone));
    assert!(high(&together) >= 13 * SECOND, "not before anything was said");
}

#[test]
fn without_a_reader_words_say_nothing() {
    let mut listener = Listener::new(None, ListenerSettings::default());
    listener.add(PARTY);
    let found = hear(&mut listener, &[(0, 2, "气死我了")]);
    assert!(found[0].anger < 0.2 && found[0].level == Level::Low);
}

#[test]
fn utterances_that_wait_are_bounded_and_strangers_are_ignored() {
    let mut listener = reading();
    for second in 0..20 {
        listener.hear(PARTY, said(second, second + 1, "骗人"));
        listener.hear(PartyId(8), said(second, second + 1, "骗人"));
    }
    let mut found = Vec::new();
    listener.run(&mut found);
    assert_eq!((found.len(), listener.utterances_unread(PARTY), listener.utterances_unread(PartyId(8))), (8, 12, 0));
    assert_eq!(found.last().map(|observation| observation.position), Some(20 * SECOND), "the newest are read");
}

fn reading() -> Listener {
    let lexicon = Lexicon::parse("small", SMALL).expect("it is right");
    let mut listener =
        Listener::new(None, ListenerSettings::default()).with_reader(TextReader::new(None, vec![lexicon]));
    listener.add(PARTY);
    listener
}

fn said(from_s: u64, to_s: u64, text: &str) -> Utterance {
    Utterance { text: text.to_owned(), start: from_s * SECOND, end: to_s * SECOND, confidence: 1.0 }
}

/// Says each text (from, to, seconds) and runs.
fn hear(listener: &mut Listener, texts: &[(u64, u64, &str)]) -> Vec<Observation> {
    let mut found = Vec::new();
    for (from_s, to_s, text) in texts {
        listener.hear(PARTY, said(*from_s, *to_s, text));
        listener.run(&mut found);
    }
    found
}

/// Plays `samples`; `said` comes half a second after its end, as from a recogniser.
fn listen(listener: &mut Listener, samples: &[f32], mut said: Option<Utterance>) -> Vec<Observation> {
    let mut found = Vec::new();
    for (index, chunk) in samples.chunks(160).enumerate() {
        if let Some(utterance) = said.take_if(|said| index as u64 * 160 >= said.end + SECOND / 2) {
            listener.hear(PARTY, utterance);
        }
        listener.push(PARTY, chunk);
        listener.run(&mut found);
    }
    found
}
