//! `[knowledge]`: the questions that customers ask and their answers, and when answers are suggested.

use std::path::{Path, PathBuf};

use routing::section::{Section, number};
use toml::Value;

use super::read::path;

/// From which score on answers are suggested unless the file says otherwise; chosen on the questions of
/// `fixtures/knowledge`.
const FLOOR: f64 = 0.25;

/// How knowledge is used. Without the section nothing is known.
#[derive(Debug, Clone, PartialEq)]
pub struct KnowledgeSettings {
    /// Where its files are; `None` without the section.
    pub folder: Option<PathBuf>,
    /// Whether answers are suggested to whoever serves.
    pub suggest: bool,
    /// From which score on.
    pub floor: f32,
}

impl Default for KnowledgeSettings {
    fn default() -> Self {
        KnowledgeSettings { folder: None, suggest: false, floor: FLOOR as f32 }
    }
}

pub(super) fn read_knowledge(mut section: Section<'_>, folder: &Path) -> KnowledgeSettings {
    let is_present = section.is_present();
    let enabled = section.read("enabled", "true or false", Value::as_bool).unwrap_or(is_present);
    let files = section.read("folder", "a folder's path", path(folder)).unwrap_or_else(|| folder.join("knowledge"));
    let suggest = section.read("suggest", "true or false", Value::as_bool).unwrap_or(true);
    let floor = section.read("floor", "a number from 0 to 3", number(0.0..=3.0)).unwrap_or(FLOOR);
    section.finish();
    KnowledgeSettings { folder: enabled.then_some(files), suggest: enabled && suggest, floor: floor as f32 }
}
