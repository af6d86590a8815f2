//! Phrases by pocketsphinx: one model of one language, with the phrase graph that it always decodes.
//!
//! Every stretch of speech is decoded as a whole, so that it has a cepstral mean of its own and nothing is carried from
//! one party to the next; a second pass by free speech only runs where the first one has found a phrase.

mod library;

use std::ffi::CStr;
use std::path::{Path, PathBuf};

pub use library::LIBRARY_NAME;
pub(super) use library::Unit;
use library::{Decoder, load};

use super::dictionary::Dictionary;
use super::graph::{Graph, GraphError, place_of};
use super::phrases::PhraseList;
use super::score::{FrameScores, confidence, unit_confidence};
use super::told::Found;
use super::{Language, SpokenPhrase, Word};
use crate::activity::doubled;

const PHRASES: &CStr = c"phrases";
const FREE: &CStr = c"free";
/// Samples at 8 kHz per frame.
const FRAME: u64 = 80;
/// What `feat.params` may set: the front end. The library takes any of its settings there, files to read and to write
/// among them.
const FRONT_END: [&str; 27] = [
    "-agc",
    "-agcthresh",
    "-alpha",
    "-ceplen",
    "-cmn",
    "-cmninit",
    "-dither",
    "-doublebw",
    "-feat",
    "-frate",
    "-input_endian",
    "-ldadim",
    "-lifter",
    "-lowerf",
    "-model",
    "-ncep",
    "-nfft",
    "-nfilt",
    "-remove_dc",
    "-remove_noise",
    "-round_filters",
    "-seed",
    "-svspec",
    "-transform",
    "-upperf",
    "-varnorm",
    "-wlen",
];
/// Bands above this need 16 kHz.
const TELEPHONE_HZ_MAX: f32 = 4_000.0;

/// A model's files, as the program has read them.
#[derive(Debug, Clone)]
pub struct ModelFolder {
    /// The language that it knows.
    pub language: Language,
    /// The folder of the acoustic model, which the library reads by itself.
    pub acoustic: PathBuf,
    /// Its `feat.params`: the front end's settings.
    pub parameters: Vec<u8>,
    /// The pronunciations.
    pub dictionary: Vec<u8>,
}

/// Why there is no recogniser.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SphinxError {
    /// The front end's settings are not.
    #[error("{}: expected settings of the front end and their values, found {found:?}", file.display())]
    Parameters {
        /// Where.
        file: PathBuf,
        /// What else is there.
        found: String,
    },
    /// The library is missing, or does not take the model.
    #[error("{0}")]
    Library(String),
    /// The phrases do not fit the dictionary.
    #[error("phrases ({}): {error}", language.code())]
    Graph {
        /// Of which language.
        language: Language,
        /// What is wrong.
        error: GraphError,
    },
}

/// Finds the phrases of one list in stretches of speech.
#[derive(Debug)]
pub(super) struct PhraseDecoder {
    decoder: Decoder,
    graph: Graph,
    wide: bool,
    linear: Vec<i16>,
}

/// Loads the library, once for the process.
///
/// # Errors
/// Why there is none.
pub fn load_library(path: Option<&Path>) -> Result<(), SphinxError> {
    load(path).map_err(SphinxError::Library)
}

impl PhraseDecoder {
    /// Reads the model and compiles the phrases for it.
    pub(super) fn new(model: &ModelFolder, list: &PhraseList) -> Result<Self, SphinxError> {
        check_parameters(&model.parameters).map_err(|found| {
            let file = model.acoustic.join("feat.params");
            SphinxError::Parameters { file, found }
        })?;
        let dictionary = Dictionary::read(&model.dictionary);
        let graph =
            Graph::new(list, &dictionary).map_err(|error| SphinxError::Graph { language: model.language, error })?;
        let wide = is_wide(&model.parameters);
        let setting = |name, value: &str| (name, value.to_owned());
        let settings = [
            ("-hmm", model.acoustic.display().to_string()),
            setting("-samprate", if wide { "16000" } else { "8000" }),
            // Silence is ours to find, or positions would not be positions of the audio.
            setting("-remove_silence", "no"),
            setting("-bestpath", "no"),
            setting("-beam", "1e-64"),
            setting("-pbeam", "1e-64"),
            setting("-wbeam", "1e-48"),
        ];
        let build = || {
            let mut decoder = Decoder::new(&settings)?;
            graph.entries().iter().try_for_each(|(entry, phones)| decoder.add_entry(entry, phones))?;
            decoder.add_grammar(PHRASES, &graph.grammar())?;
            decoder.add_grammar(FREE, &graph.free_grammar())?;
            Ok(decoder)
        };
        let decoder = build().map_err(SphinxError::Library)?;
        Ok(Self { decoder, graph, wide, linear: Vec::new() })
    }

    /// The phrases in a stretch of speech at 8 kHz, in order.
    pub(super) fn find(&mut self, samples: &[f32]) -> Vec<Found> {
        let to_linear = |sample: &f32| (sample.clamp(-1.0, 1.0) * 32_767.0) as i16;
        self.linear.clear();
        match self.wide {
            true => self.linear.extend(doubled(samples).iter().map(to_linear)),
            false => self.linear.extend(samples.iter().map(to_linear)),
        }
        let units = self.decoder.decode(PHRASES, &self.linear);
        let candidates = candidates(&units, |phrase| self.graph.phrase(phrase).map_or(0, |(_, units)| units.len()));
        if candidates.is_empty() {
            return Vec::new();
        }
        let free = FrameScores::of(&self.decoder.decode(FREE, &self.linear));
        candidates.iter().filter_map(|candidate| self.judge(candidate, &free)).collect()
    }

    /// A candidate as what was heard, if one can be sure enough.
    fn judge(&self, candidate: &Candidate<'_>, free: &FrameScores) -> Option<Found> {
        let (phrase, written) = self.graph.phrase(candidate.phrase)?;
        let confidence = confidence(&candidate.units, free);
        if confidence < phrase.confidence_min {
            return None;
        }
        let span = |unit: &Unit| (unit.frames.0 as u64 * FRAME, (unit.frames.1 as u64 + 1) * FRAME);
        let word = |(unit, written): (&&Unit, &super::dictionary::SpokenUnit)| {
            let (start, end) = span(unit);
            Word { text: written.text.clone(), start, end, confidence: unit_confidence(unit, free) }
        };
        let words: Vec<Word> = candidate.units.iter().zip(written).map(word).collect();
        let (start, end) = (words.first()?.start, words.last()?.end);
        let phrase = SpokenPhrase { intent: phrase.intent.clone(), text: phrase.text.clone(), start, end, confidence };
        Some(Found { phrase, words })
    }
}

/// The units of one phrase, all of them, one behind the other.
#[derive(Debug, PartialEq)]
struct Candidate<'a> {
    phrase: usize,
    units: Vec<&'a Unit>,
}

/// Every whole phrase among decoded units; silence may lie between its units.
fn candidates<'a>(units: &'a [Unit], length_of: impl Fn(usize) -> usize) -> Vec<Candidate<'a>> {
    let mut found = Vec::new();
    let mut open: Option<Candidate<'a>> = None;
    for unit in units {
        let Some((phrase, place)) = place_of(&unit.entry) else { continue };
        if place == 0 {
            open = Some(Candidate { phrase, units: Vec::new() });
        }
        let Some(candidate) = open.as_mut().filter(|open| open.phrase == phrase && open.units.len() == place) else {
            open = None;
            continue;
        };
        candidate.units.push(unit);
        if candidate.units.len() == length_of(phrase) {
            found.extend(open.take());
        }
    }
    found
}

/// Whether a model's `feat.params` sets nothing but the front end; what else it sets, if not.
fn check_parameters(parameters: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(parameters).map_err(|error| error.to_string())?;
    let mut fields = text.split_whitespace();
    while let Some(setting) = fields.next() {
        let value = fields.next().unwrap_or_default();
        let is_value = |c: char| c.is_ascii_alphanumeric() || "+-.,/_".contains(c);
        if !FRONT_END.contains(&setting) || value.is_empty() || !value.chars().all(is_value) {
            return Err(format!("{setting} {value}").chars().take(FOUND_CHARACTERS_MAX).collect());
        }
    }
    Ok(())
}

/// So much of what is wrong is told.
const FOUND_CHARACTERS_MAX: usize = 80;

/// Whether a model's front end looks above the telephone's band.
fn is_wide(parameters: &[u8]) -> bool {
    let text = String::from_utf8_lossy(parameters);
    let mut fields = text.split_whitespace().skip_while(|field| *field != "-upperf").skip(1);
    fields.next().and_then(|hz| hz.parse::<f32>().ok()).is_some_and(|hz| hz > TELEPHONE_HZ_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_phrases_are_candidates() {
        check("f1 p0u0 p0u1 f2 p1u0(2) <sil> p1u1", &[(0, 2), (1, 2)]);
        check("p0u0 p0u0 p0u1", &[(0, 2)]);
        check("p0u1 f3 p0u0 p1u1", &[]);
        check("p0u0", &[]);
    }

    #[test]
    fn a_front_end_sets_no_files_and_no_searches() {
        let zh = b"-nfilt 20\n-lowerf 1\n-feat 1s_c_d_dd\n-svspec 0-12/13-25/26-38\n-cmninit 54,-1,2\n-agc none\n";
        assert_eq!(check_parameters(zh), Ok(()));
        assert_eq!(check_parameters(b""), Ok(()));
        let refused = |text: &[u8]| check_parameters(text).expect_err("no front end");
        assert_eq!(refused(b"-nfilt 20 -rawlogdir /tmp"), "-rawlogdir /tmp");
        assert_eq!(refused(b"-nfilt 20\n-mean ../other\n"), "-mean ../other");
        assert_eq!(refused(b"-upperf"), "-upperf ");
        assert_eq!(refused(b"-upperf $(id)"), "-upperf $(id)");
        assert!(refused(b"-upperf \xff").contains("utf-8"));
    }

    #[test]
    fn the_band_tells_the_rate() {
        assert!(!is_wide(b"-nfilt 20\n-lowerf 1\n-upperf 4000\n"));
        assert!(is_wide(b"-lowerf 130\n-upperf 6800\n-nfilt 25"));
        assert!(!is_wide(b"-upperf"));
    }

    /// Phrases of two units each.
    #[track_caller]
    fn check(entries: &str, expected: &[(usize, usize)]) {
        let unit =
            |(i, entry): (usize, &str)| Unit { entry: entry.to_owned(), frames: (10 * i, 10 * i + 9), score: -1 };
        let units: Vec<Unit> = entries.split(' ').enumerate().map(unit).collect();
        let found = candidates(&units, |_| 2);
        let found: Vec<(usize, usize)> = found.iter().map(|found| (found.phrase, found.units.len())).collect();
        assert_eq!(found, expected, "{entries}");
    }
}
