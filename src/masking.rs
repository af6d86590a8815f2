//! The lists that masking goes by, as files: those that come with the program, or an operator's own.

use std::path::PathBuf;

use nlu::masking::MaskingLists;

/// The lists of these files, or the shipped ones where none is given.
///
/// # Errors
/// When a file cannot be read, or what is wrong with it.
pub fn lists(files: &[PathBuf]) -> Result<MaskingLists, String> {
    if files.is_empty() {
        return Ok(MaskingLists::built_in());
    }
    let mut texts = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        texts.push((path.display().to_string(), text));
    }
    let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    MaskingLists::parse(&texts).map_err(|error| error.to_string())
}
