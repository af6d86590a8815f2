//! The text model and the lexicons as files: those that come with the program, or an operator's own.

use std::path::{Path, PathBuf};

use nlu::Runtime;
use nlu::text::{Lexicon, TextModel, TextReader};

/// The lexicons that come with the program.
const SHIPPED: [(&str, &str); 2] =
    [("zh.toml", include_str!("../config/lexicons/zh.toml")), ("en.toml", include_str!("../config/lexicons/en.toml"))];

/// A reader with the shipped text model and `lexicons`, or the shipped ones where none is given; and why there is no model,
/// if there is none: words are then judged by lexicons alone.
///
/// # Errors
/// When a lexicon cannot be read or is wrong.
pub fn reader(runtime: Option<&Path>, lexicons: &[PathBuf]) -> Result<(TextReader, Option<String>), String> {
    let lexicons = if lexicons.is_empty() { shipped() } else { lexicons.iter().map(|path| read(path)).collect() }?;
    let model = Runtime::find(runtime).map_err(|error| error.to_string());
    let model = model.and_then(|runtime| TextModel::built_in(&runtime).map_err(|error| error.to_string()));
    let (model, why) = match model {
        Ok(model) => (Some(model), None),
        Err(why) => (None, Some(why)),
    };
    Ok((TextReader::new(model, lexicons), why))
}

/// Reads one lexicon.
///
/// # Errors
/// When the file cannot be read, or what is wrong with it.
pub fn read(path: &Path) -> Result<Lexicon, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Lexicon::parse(&path.display().to_string(), &text).map_err(|error| error.to_string())
}

fn shipped() -> Result<Vec<Lexicon>, String> {
    SHIPPED.iter().map(|(name, text)| Lexicon::parse(name, text).map_err(|error| error.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_lexicons_are_right_and_find_what_they_explain() {
        let lexicons = shipped().expect("they are right");
        check(&lexicons[0], "太差了，我要投诉", &["太差了", "投诉"]);
        check(&lexicons[1], "This is ridiculous, get me your manager", &["ridiculous", "manager"]);
        assert!(lexicons.iter().all(|lexicon| lexicon.words() > 80));
    }

    #[track_caller]
    fn check(lexicon: &Lexicon, text: &str, expected: &[&str]) {
        let found = lexicon.find(text);
        assert_eq!(found.iter().map(|found| found.word.as_str()).collect::<Vec<_>>(), expected);
    }
}
