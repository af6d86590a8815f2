//! Lexicons: words that operators write down with what they mean. They explain a judgement, and raise it a little.
//!
//! A lexicon is TOML text (`config/lexicons/`). Matching ignores case, width and script (traditional or simplified).
//! A word of letters matches whole words only; a negation shortly before it, in the same clause, turns it round.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};
use serde::Deserialize;

use super::tokens::normalized;

/// Longest file, bytes.
const FILE_BYTES_MAX: usize = 256 << 10;
/// Most words of one lexicon, negations included.
const WORDS_MAX: usize = 10_000;
/// Longest word, characters.
const WORD_CHARACTERS_MAX: usize = 40;
/// Words told of one text; further ones are left out.
pub const FOUND_MAX: usize = 16;
/// Longest text that is searched, characters.
const TEXT_CHARACTERS_MAX: usize = 4_096;
/// A negation reaches so far: characters between Chinese words, and between Latin ones.
const REACH_CHINESE: usize = 3;
const REACH_LATIN: usize = 12;
/// What ends a clause, and with it the reach of a negation.
const CLAUSE_ENDS: [char; 12] = [',', '.', '!', '?', ';', ':', '\n', '，', '。', '、', '！', '？'];

/// What a word of a lexicon means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// An emotion.
    Anger,
    /// An emotion: worry and fear.
    Anxiety,
    /// An emotion.
    Sadness,
    /// An emotion: joy and satisfaction.
    Joy,
    /// An emotion: politely unhappy.
    Dissatisfaction,
    /// An intent, and offensive.
    Abuse,
    /// An intent: to escalate, or to go public.
    Threat,
    /// An intent.
    Complaint,
    /// An intent: money back.
    Refund,
    /// An intent: end an order or a contract.
    Cancel,
    /// An intent: speak to a person.
    Human,
    /// An intent.
    Thanks,
    /// What an agent should say.
    Politeness,
    /// What an agent must not say.
    Forbidden,
}

/// A word that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// As the lexicon writes it.
    pub word: String,
    /// What it means.
    pub category: Category,
    /// How strongly, 0-1.
    pub strength: f32,
    /// True when a negation before it says the opposite.
    pub negated: bool,
}

/// Why a lexicon can not be used.
#[derive(Debug, thiserror::Error)]
pub enum LexiconError {
    /// Not TOML, or not of this form; the reader's words name line and column.
    #[error("{file}: expected [[entry]] tables with category, strength and words: {found}")]
    Form {
        /// Name of the file.
        file: String,
        /// What the reader of TOML said.
        found: String,
    },
    /// A value that can not be.
    #[error("{file}: {what}: expected {expected}, found {found}")]
    Value {
        /// Name of the file.
        file: String,
        /// Which value.
        what: String,
        /// What would be right.
        expected: String,
        /// What is there.
        found: String,
    },
}

/// The file's form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    negations: Vec<String>,
    #[serde(default)]
    entry: Vec<Entry>,
}

/// Words that mean the same.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    category: Category,
    strength: f32,
    words: Vec<String>,
}

/// One lexicon, ready to search with.
#[derive(Debug)]
pub struct Lexicon {
    automaton: AhoCorasick,
    /// What each pattern of the automaton is.
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
enum Pattern {
    Negation,
    Word { word: String, category: Category, strength: f32 },
}

impl Lexicon {
    /// Reads a lexicon; `file` is the name that errors tell.
    ///
    /// # Errors
    /// When it is no such TOML, a strength is not in 0-1, a word is empty, too long or given twice, or there is none.
    pub fn parse(file: &str, text: &str) -> Result<Self, LexiconError> {
        let wrong = |what: String, expected: String, found: String| LexiconError::Value {
            file: file.to_owned(),
            what,
            expected,
            found,
        };
        if text.len() > FILE_BYTES_MAX {
            let found = format!("{} bytes", text.len());
            return Err(wrong("size".to_owned(), format!("at most {FILE_BYTES_MAX} bytes"), found));
        }
        let form = |error: toml::de::Error| LexiconError::Form { file: file.to_owned(), found: error.to_string() };
        let read: File = toml::from_str(text).map_err(form)?;
        let mut patterns = BTreeMap::new();
        let negations = read.negations.into_iter().map(|word| (word, Pattern::Negation));
        let words = read.entry.iter().flat_map(|entry| {
            let Entry { category, strength, words } = entry;
            words.iter().map(|word| {
                let pattern = Pattern::Word { word: word.clone(), category: *category, strength: *strength };
                (word.clone(), pattern)
            })
        });
        for (word, pattern) in negations.chain(words) {
            let key: String = normalized(&word).collect();
            let length = key.chars().count();
            if key.trim().is_empty() || key.trim() != key || length > WORD_CHARACTERS_MAX {
                let expected = format!("1-{WORD_CHARACTERS_MAX} characters without spaces around them");
                return Err(wrong("a word".to_owned(), expected, format!("{word:?}")));
            }
            if let Pattern::Word { strength, .. } = &pattern
                && !(0.0..=1.0).contains(strength)
            {
                return Err(wrong(format!("strength of {word:?}"), "0-1".to_owned(), strength.to_string()));
            }
            if patterns.insert(key, pattern).is_some() {
                let expected = "each word once, whatever its case and script".to_owned();
                return Err(wrong("words".to_owned(), expected, format!("{word:?} twice")));
            }
        }
        if patterns.is_empty() || patterns.len() > WORDS_MAX {
            let found = format!("{} words", patterns.len());
            return Err(wrong("words".to_owned(), format!("1-{WORDS_MAX}"), found));
        }
        Self::build(patterns).map_err(|found| wrong("words".to_owned(), "words to search for".to_owned(), found))
    }

    fn build(patterns: BTreeMap<String, Pattern>) -> Result<Self, String> {
        let (keys, patterns): (Vec<String>, Vec<Pattern>) = patterns.into_iter().unzip();
        let automaton = AhoCorasickBuilder::new().match_kind(MatchKind::LeftmostLongest).build(keys);
        Ok(Self { automaton: automaton.map_err(|error| error.to_string())?, patterns })
    }

    /// The words of `text`, in order; at most [`FOUND_MAX`].
    pub fn find(&self, text: &str) -> Vec<Found> {
        let plain: String = normalized(text).take(TEXT_CHARACTERS_MAX).collect();
        let mut found: Vec<Found> = Vec::new();
        let mut negation_end = None;
        for hit in self.automaton.find_iter(&plain).filter(|hit| is_whole(&plain, hit.start(), hit.end())) {
            match &self.patterns[hit.pattern().as_usize()] {
                Pattern::Negation => negation_end = Some(hit.end()),
                Pattern::Word { word, category, strength } if found.len() < FOUND_MAX => found.push(Found {
                    word: word.clone(),
                    category: *category,
                    strength: *strength,
                    negated: negation_end.is_some_and(|end| reaches(&plain[end..hit.start()])),
                }),
                Pattern::Word { .. } => break,
            }
        }
        found
    }

    /// Words of the lexicon, negations included.
    pub fn words(&self) -> usize {
        self.patterns.len()
    }
}

/// Whether what stands from byte `start` to byte `end` of `plain` neither begins nor ends inside a word of Latin letters, nor
/// inside a number: 12345 is a hotline, and no part of the telephone number 13912345678.
pub fn is_whole(plain: &str, start: usize, end: usize) -> bool {
    let both = |before: Option<char>, after: Option<char>, is: fn(&char) -> bool| {
        before.as_ref().is_some_and(is) && after.as_ref().is_some_and(is)
    };
    let cuts = |before: Option<char>, after: Option<char>| {
        both(before, after, char::is_ascii_alphabetic) || both(before, after, char::is_ascii_digit)
    };
    let (head, matched, tail) = (&plain[..start], &plain[start..end], &plain[end..]);
    !cuts(head.chars().next_back(), matched.chars().next()) && !cuts(matched.chars().next_back(), tail.chars().next())
}

/// Whether a negation reaches over what stands between it and a word.
fn reaches(between: &str) -> bool {
    let latin = between.contains(|character: char| character.is_ascii_alphabetic());
    let reach = if latin { REACH_LATIN } else { REACH_CHINESE };
    between.chars().count() <= reach && !between.contains(CLAUSE_ENDS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SMALL: &str = r#"
        negations = ["不", "没有", "not", "isn't"]
        [[entry]]
        category = "anger"
        strength = 0.9
        words = ["太差了", "生气", "angry", "fed up", "12345"]
        [[entry]]
        category = "dissatisfaction"
        strength = 0.5
        words = ["不满意", "服务态度差"]
    "#;

    #[test]
    fn words_are_found_whatever_their_script_and_case() {
        check("你们的服務態度差，太差了！", &["服务态度差", "太差了"]);
        check("I am FED UP and Angry", &["fed up", "angry"]);
        check("ＡＮＧＲＹ", &["angry"]);
        check("hungry, strangry", &[]);
        check("我打12345投诉", &["12345"]);
        check("我的电话是13912345678", &[]);
        check("", &[]);
    }

    #[test]
    fn negations_turn_words_round() {
        check("我不生气", &["!生气"]);
        check("我没有很生气", &["!生气"]);
        check("我不是这个意思，我很生气", &["生气"]);
        check("I am not really angry", &["!angry"]);
        check("it isn't working. angry!", &["angry"]);
        // A word that begins like a negation is a word.
        check("我很不满意", &["不满意"]);
    }

    #[test]
    fn a_wrong_lexicon_says_where_and_what() {
        refuses("", "words: expected 1-10000, found 0 words");
        refuses("nonsense", "a.toml: expected [[entry]] tables with category, strength and words");
        refuses("[[entry]]\ncategory = \"rage\"\nstrength = 1\nwords = [\"x\"]", "unknown variant `rage`");
        refuses(
            "[[entry]]\ncategory = \"anger\"\nstrength = 2\nwords = [\"x\"]",
            "strength of \"x\": expected 0-1, found 2",
        );
        refuses("[[entry]]\ncategory = \"anger\"\nstrength = 1\nwords = [\" \"]", "a word: expected 1-40 characters");
        refuses("negations = [\"ａ\"]\n[[entry]]\ncategory = \"anger\"\nstrength = 1\nwords = [\"A\"]", "\"A\" twice");
        refuses("[[entry]]\ncategory = \"anger\"\nstrength = 1\nwords = []\ncolour = 1", "unknown field `colour`");
        refuses(&"#".repeat(FILE_BYTES_MAX + 1), "size: expected at most 262144 bytes, found 262145 bytes");
    }

    proptest! {
        #[test]
        fn any_text_is_searched(text in "(?s).{0,200}|[不没太差了生气notagry ,，]{0,60}") {
            let lexicon = Lexicon::parse("a.toml", SMALL).expect("it is right");
            prop_assert!(lexicon.find(&text).len() <= FOUND_MAX);
        }

        #[test]
        fn any_file_is_read_or_refused(text in "(?s).{0,200}|(negations = |\\[\\[entry\\]\\]\n|strength = 1\n|words = \\[\"a\"\\]\n|category = \"anger\"\n){0,6}") {
            if let Err(error) = Lexicon::parse("a.toml", &text) {
                prop_assert!(error.to_string().starts_with("a.toml: "));
            }
        }

        #[test]
        fn a_word_of_its_own_is_found(word in "[a-z]{1,20}|[一-龥]{1,20}", before in "[，。 ]{0,3}") {
            let file = format!("[[entry]]\ncategory = \"joy\"\nstrength = 1\nwords = [\"{word}\"]");
            let found = Lexicon::parse("a.toml", &file).expect("it is right").find(&format!("{before}{word}"));
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(&found[0].word, &word);
        }
    }

    /// A negated word is expected with `!` before it.
    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let found = Lexicon::parse("a.toml", SMALL).expect("it is right").find(text);
        let found: Vec<String> =
            found.iter().map(|found| format!("{}{}", if found.negated { "!" } else { "" }, found.word)).collect();
        assert_eq!(found, expected);
    }

    #[track_caller]
    fn refuses(text: &str, expected: &str) {
        let error = Lexicon::parse("a.toml", text).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
}
