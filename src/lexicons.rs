//! The text model and the lexicons as files: those that come with the program, or an operator's own.

use std::path::{Path, PathBuf};

use nlu::text::{Lexicon, TextReader};

use crate::model::{ModelFiles, ModelKind};
use crate::settings::TextModelChoice;
use crate::signed::Trust;

/// The lexicons that come with the program.
pub(crate) const SHIPPED: [(&str, &str); 2] =
    [("zh.toml", include_str!("../config/lexicons/zh.toml")), ("en.toml", include_str!("../config/lexicons/en.toml"))];

/// A file no larger than this is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The lexicons of a reader, read and found right, and what else it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderFiles {
    model: Option<ModelFiles>,
    /// Names and texts.
    lexicons: Vec<(String, String)>,
    words: usize,
}

impl ReaderFiles {
    /// Reads `lexicons`, or takes the shipped ones where none is given. `runtime` is the ONNX Runtime library; it is
    /// searched for when not given.
    ///
    /// # Errors
    /// When a lexicon or a model cannot be read or is wrong.
    pub fn read(
        runtime: Option<&Path>,
        lexicons: &[PathBuf],
        model: &TextModelChoice,
        trust: &Trust,
    ) -> Result<Self, String> {
        let lexicons = match lexicons {
            [] => SHIPPED.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
            paths => paths.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?,
        };
        let parse = |(name, text): &(String, String)| Lexicon::parse(name, text).map(|lexicon| lexicon.words());
        let words: Result<usize, _> = lexicons.iter().map(parse).sum();
        let words = words.map_err(|error| error.to_string())?;
        let model = match model {
            TextModelChoice::None => None,
            TextModelChoice::Shipped => Some(ModelFiles::read(None, runtime, trust)?),
            TextModelChoice::Own(path) => Some(ModelFiles::read(Some(path), runtime, trust)?),
        };
        Ok(Self { model, lexicons, words })
    }

    /// A reader of these, and why there is no model in it, if there should be one: words are then judged by lexicons
    /// alone. Takes some tenths of a second.
    pub fn load(&self) -> (TextReader, Option<String>) {
        let parsed = self.lexicons.iter().filter_map(|(name, text)| Lexicon::parse(name, text).ok()).collect();
        match self.model.as_ref().map(ModelFiles::load_text).transpose() {
            Ok(model) => (TextReader::new(model, parsed), None),
            Err(why) => (TextReader::new(None, parsed), Some(why)),
        }
    }

    /// Loads an operator's own model and lets go of it again.
    ///
    /// # Errors
    /// What was expected of it and what was found.
    pub fn try_model(&self) -> Result<(), String> {
        self.model.as_ref().map_or(Ok(()), |files| files.try_as(ModelKind::Text))
    }

    /// Words of all lexicons, negations included.
    pub fn words(&self) -> usize {
        self.words
    }
}

/// The name and the text of one lexicon.
fn read(path: &Path) -> Result<(String, String), String> {
    let named = |error: std::io::Error| format!("{}: {error}", path.display());
    let bytes = std::fs::metadata(path).map_err(named)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(format!("{}: found {bytes} bytes, expected at most {FILE_BYTES_MAX}", path.display()));
    }
    Ok((path.display().to_string(), std::fs::read_to_string(path).map_err(named)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_lexicons_are_right_and_find_what_they_explain() {
        let files = ReaderFiles::read(None, &[], &TextModelChoice::None, &Trust::anybody()).expect("they are right");
        assert!(files.words() > 160, "{}", files.words());
        let (mut reader, why) = files.load();
        assert_eq!((reader.model().is_none(), why), (true, None), "nobody asked for a model");
        for (text, expected) in [
            ("太差了，我要投诉", ["太差了", "我要投诉"]),
            ("This is ridiculous, get me your manager", ["ridiculous", "manager"]),
        ] {
            let read = reader.read(&[text]).remove(0);
            assert_eq!(read.words.iter().map(|found| found.word.as_str()).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_lexicon_that_is_missing_or_wrong_is_named() {
        let folder = std::env::temp_dir().join(format!("calmline-lexicons-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("own.toml");
        let refused = || {
            ReaderFiles::read(None, std::slice::from_ref(&path), &TextModelChoice::None, &Trust::anybody())
                .expect_err("no lexicon")
        };
        assert!(refused().contains("own.toml: No such file"), "{}", refused());
        std::fs::write(&path, "[[entry]]\ncategory = \"rage\"").expect("written");
        assert!(refused().contains("own.toml: expected [[entry]] tables"), "{}", refused());
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
