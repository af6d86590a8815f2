//! Reads texts with a model and lexicons; goes on with lexicons alone when there is no model, and says so.

use super::judgement::{EMOTIONS, INTENTS, POLARITIES, TextJudgement};
use super::lexicon::{Category, FOUND_MAX, Found, Lexicon};
use super::model::TextModel;
use super::naming::Naming;

/// How much of a word's strength counts beside a model: words alone are wrong about irony and politeness.
const SHARE_BESIDE_MODEL: f32 = 0.3;

/// Which machinery made a judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextSource {
    /// The text model, raised by the words of lexicons.
    Model,
    /// Lexicons alone: the model or its library is missing, or failed.
    LexiconOnly,
}

/// The emotions of somebody who is upset.
const UPSETTING: [&str; 2] = ["anger", "dissatisfaction"];

/// What one text says.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Model and lexicons together.
    pub judgement: TextJudgement,
    /// How the judgement is named: by the model's card, or as usual without a model.
    pub naming: Naming,
    /// What the speaker wants, as named in [`INTENTS`].
    pub intents: Vec<&'static str>,
    /// The words that explain it, at most [`FOUND_MAX`] over all lexicons.
    pub words: Vec<Found>,
    /// Which machinery made it.
    pub source: TextSource,
}

/// A model and lexicons. Without either, every text says nothing.
#[derive(Debug, Default)]
pub struct TextReader {
    model: Option<TextModel>,
    lexicons: Vec<Lexicon>,
    model_failures: u64,
    /// Why the last run judged nothing.
    failure: Option<String>,
}

impl TextReader {
    /// A reader with what there is.
    pub fn new(model: Option<TextModel>, lexicons: Vec<Lexicon>) -> Self {
        Self { model, lexicons, model_failures: 0, failure: None }
    }

    /// Reads `texts` in as few runs of the model as can be. Never fails: what the model can not judge, lexicons do.
    pub fn read(&mut self, texts: &[&str]) -> Vec<Reading> {
        let judged = self.judge(texts);
        let read = |(index, text): (usize, &&str)| {
            let mut words: Vec<Found> = self.lexicons.iter().flat_map(|lexicon| lexicon.find(text)).collect();
            words.truncate(FOUND_MAX);
            let judged = judged.as_ref().and_then(|(judged, naming)| Some((judged[index]?, *naming)));
            let (judgement, naming, source) = match judged {
                Some((judged, naming)) => (raised(judged, &words, SHARE_BESIDE_MODEL), naming, TextSource::Model),
                None => (raised(TextJudgement::NOTHING, &words, 1.0), Naming::USUAL, TextSource::LexiconOnly),
            };
            Reading { judgement, naming, intents: naming.intents(&judgement), words, source }
        };
        texts.iter().enumerate().map(read).collect()
    }

    /// How the model judges these texts, and how that is named; nothing where there is none, or its run fails.
    fn judge(&mut self, texts: &[&str]) -> Option<(Vec<Option<TextJudgement>>, Naming)> {
        let model = self.model.as_mut().filter(|_| !texts.is_empty())?;
        let judged = model.judge(texts);
        let failed = !judged.as_ref().is_ok_and(|judged| judged.iter().all(Option::is_some));
        self.model_failures += u64::from(failed);
        self.failure = judged.as_ref().err().map(ToString::to_string);
        judged.ok().map(|judged| (judged, model.card().naming()))
    }

    /// The model in use.
    pub fn model(&self) -> Option<&TextModel> {
        self.model.as_ref()
    }

    /// Runs of the model that failed, or refused some of the texts, which were judged by lexicons alone.
    pub fn model_failures(&self) -> u64 {
        self.model_failures
    }

    /// Why the last run of the model judged nothing; `None` when it did, or there was none.
    pub fn model_failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }
}

/// Raises what the words that are not negated speak of, by `share` of their strength; the rest gives way.
fn raised(mut judgement: TextJudgement, words: &[Found], share: f32) -> TextJudgement {
    for word in words.iter().filter(|word| !word.negated) {
        let by = share * word.strength;
        let (emotion, polarity, intent) = meaning(word.category);
        raise_one(&mut judgement.emotions, &EMOTIONS, emotion, by);
        raise_one(&mut judgement.polarity, &POLARITIES, polarity, by);
        if let Some(intent) = intent
            && let Some(index) = INTENTS.iter().position(|name| *name == intent)
        {
            judgement.intents[index] += (1.0 - judgement.intents[index]) * by;
        }
        if emotion.is_some_and(|emotion| UPSETTING.contains(&emotion)) {
            judgement.upset += (1.0 - judgement.upset) * by;
        }
        if word.category == Category::Abuse {
            judgement.offensive += (1.0 - judgement.offensive) * by;
        }
    }
    judgement
}

/// Moves `by` of the way to certainty of the class `name`; the sum stays 1.
fn raise_one<const N: usize>(probabilities: &mut [f32; N], names: &[&str; N], name: Option<&str>, by: f32) {
    if let Some(index) = names.iter().position(|known| Some(*known) == name) {
        probabilities.iter_mut().for_each(|probability| *probability *= 1.0 - by);
        probabilities[index] += by;
    }
}

/// The emotion, polarity and intent that a word of `category` speaks of.
fn meaning(category: Category) -> (Option<&'static str>, Option<&'static str>, Option<&'static str>) {
    let negative = Some("negative");
    match category {
        Category::Anger => (Some("anger"), negative, None),
        Category::Anxiety => (Some("anxiety"), negative, None),
        Category::Sadness => (Some("sadness"), negative, None),
        Category::Joy => (Some("joy"), Some("positive"), None),
        Category::Dissatisfaction => (Some("dissatisfaction"), negative, None),
        Category::Abuse => (Some("anger"), negative, Some("abuse")),
        Category::Threat => (Some("anger"), negative, Some("threat")),
        Category::Complaint => (Some("dissatisfaction"), negative, Some("complaint")),
        Category::Refund => (None, None, Some("refund")),
        Category::Cancel => (None, None, Some("cancel")),
        Category::Human => (None, None, Some("human")),
        Category::Thanks => (None, Some("positive"), Some("thanks")),
        Category::Politeness | Category::Forbidden => (None, None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
        negations = ["不"]
        [[entry]]
        category = "abuse"
        strength = 0.9
        words = ["骗子"]
        [[entry]]
        category = "anger"
        strength = 0.8
        words = ["生气"]
        [[entry]]
        category = "forbidden"
        strength = 1
        words = ["不归我管"]
    "#;

    #[test]
    fn without_a_model_words_speak_alone_and_say_so() {
        check("今天天气好", "neutral", 0.0, &[]);
        check("我很生气", "anger", 0.8, &["生气"]);
        check("我不生气", "neutral", 0.0, &["生气"]);
        check("骗子，我很生气", "anger", 0.98, &["骗子", "生气"]);
        // What agents must not say is told, and is no emotion.
        check("不归我管", "neutral", 0.0, &["不归我管"]);
    }

    #[test]
    fn without_anything_a_text_says_nothing() {
        let read = TextReader::default().read(&["骗子"]);
        assert_eq!((read[0].judgement, read[0].source), (TextJudgement::NOTHING, TextSource::LexiconOnly));
        assert!(TextReader::default().read(&[]).is_empty());
    }

    #[track_caller]
    fn check(text: &str, leading: &str, anger: f32, words: &[&str]) {
        let lexicon = Lexicon::parse("small", SMALL).expect("it is right");
        let read = TextReader::new(None, vec![lexicon]).read(&[text]).remove(0);
        assert_eq!((read.naming.emotion(&read.judgement), read.source), (leading, TextSource::LexiconOnly));
        assert!((read.judgement.anger() - anger).abs() < 1e-5, "{:?}", read.judgement);
        assert!((read.judgement.emotions.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert_eq!(read.words.iter().map(|word| word.word.as_str()).collect::<Vec<_>>(), words);
    }
}
