//! `[compliance]`: the phrases that whoever serves must say and must never say.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use routing::section::{Section, list, text};

use super::recognition::have_own_names;
use crate::compliance::{FILES_MAX, Phrases};

/// What agents' words are held to. Without the section, to nothing.
#[derive(Debug, Clone, Default)]
pub struct ComplianceSettings {
    /// The files of phrases.
    pub files: Arc<[PathBuf]>,
    /// What is in them.
    pub phrases: Arc<Phrases>,
}

/// Reads the section; `others` are files whose names are taken in the library that they share.
pub(super) fn read_compliance(mut section: Section<'_>, folder: &Path, others: &[PathBuf]) -> ComplianceSettings {
    let expected = format!("a list of 1-{FILES_MAX} files' paths, each with a name that [privacy] lists do not have");
    let files = section.read("phrases", expected, |value| {
        let files = list(FILES_MAX, text(4_096))(value)?;
        let files: Vec<PathBuf> = files.iter().map(|file| folder.join(file)).collect();
        let all: Vec<PathBuf> = files.iter().chain(others).cloned().collect();
        have_own_names(&all).then_some(files)
    });
    let files = files.unwrap_or_default();
    let phrases = Phrases::load(&files).unwrap_or_else(|faults| {
        for fault in faults {
            section.fault("phrases", &fault, "phrases as in config/compliance");
        }
        Phrases::default()
    });
    section.finish();
    ComplianceSettings { files: files.into(), phrases: Arc::new(phrases) }
}

#[cfg(test)]
mod tests {
    use routing::section::parse_table;

    use super::*;

    #[test]
    fn files_are_read_and_faults_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let good =
            "scenarios = [\"*\"]\n[[never_say]]\nid = \"away\"\ntext = \"Sent away\"\nphrases = [\"not my job\"]";
        for (name, text) in [("good.toml", good), ("again.toml", good), ("bad.toml", "scenarios = []")] {
            std::fs::write(folder.path().join(name), text).expect("written");
        }
        let check = |text: &str| {
            let table = parse_table(&format!("[compliance]\n{text}")).expect("TOML");
            let mut faults = Vec::new();
            let mut root = Section::root(&table, &mut faults);
            let read = read_compliance(root.section("compliance"), folder.path(), &["masking.zh.toml".into()]);
            root.finish();
            (read.phrases.rules().len(), faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        };
        assert_eq!(check("phrases = [\"good.toml\"]"), (1, String::new()));
        assert_eq!(check(""), (0, String::new()));
        for (text, expected) in [
            ("phrases = [\"good.toml\", \"again.toml\"]", "again.toml: id: found \"away\", once more"),
            ("phrases = [\"bad.toml\"]", "bad.toml: scenarios: found []"),
            ("phrases = [\"none.toml\"]", "none.toml: the whole file: found No such file"),
            ("phrases = [\"masking.zh.toml\"]", "that [privacy] lists do not have"),
            ("lists = []", "compliance.lists"),
        ] {
            let (_, faults) = check(text);
            assert!(faults.contains(expected), "{faults}");
        }
    }
}
