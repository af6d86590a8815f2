//! `[privacy]`: what is masked of what parties say, before anybody is told.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use nlu::masking::{Class, MaskingLists};
use routing::section::{Section, list, name, text};
use toml::Value;

use super::recognition::have_own_names;
use crate::masking;

/// List files of one server.
const LISTS_MAX: usize = 20;
/// Regions of one server.
const REGIONS_MAX: usize = 50;
/// The lists that come with the program, read once: there are thousands of words in them.
static SHIPPED: LazyLock<Arc<MaskingLists>> = LazyLock::new(|| Arc::new(MaskingLists::built_in()));
pub(super) const REGION: &str = "a region's name of 1-64 letters, digits, \"-\", \"_\" or \".\"";

/// What is masked.
#[derive(Debug, Clone)]
pub struct PrivacySettings {
    /// The kinds of personal data that are masked on routes that do not say otherwise.
    pub mask: BTreeSet<Class>,
    /// The files that personal data is found by; empty for those that come with the program.
    pub files: Vec<PathBuf>,
    /// The lists that are in them.
    pub lists: Arc<MaskingLists>,
    /// The regions that what is said may go to; `None`: every one.
    pub regions: Option<BTreeSet<String>>,
}

impl Default for PrivacySettings {
    fn default() -> Self {
        Self { mask: Class::usual(), files: Vec::new(), lists: Arc::clone(&SHIPPED), regions: None }
    }
}

pub(super) fn read_privacy(mut section: Section<'_>, folder: &Path) -> PrivacySettings {
    let default = PrivacySettings::default();
    let mask = read_mask(&mut section).unwrap_or(default.mask);
    let expected = format!("a list of 1-{LISTS_MAX} files' paths, each with a name of its own");
    let files = section.read("lists", expected, |value| {
        let files = list(LISTS_MAX, text(4_096))(value)?;
        let files: Vec<PathBuf> = files.iter().map(|file| folder.join(file)).collect();
        have_own_names(&files).then_some(files)
    });
    let files = files.unwrap_or_default();
    let lists = (!files.is_empty()).then(|| {
        masking::lists(&files).inspect_err(|why| section.fault("lists", why, "lists as in config/compliance"))
    });
    let regions = section.read("regions", format!("a list of 0-{REGIONS_MAX}, each {REGION}"), |value| {
        let regions = value.as_array().filter(|regions| regions.len() <= REGIONS_MAX)?;
        regions.iter().map(name).collect::<Option<BTreeSet<_>>>()
    });
    section.finish();
    PrivacySettings { mask, files, lists: lists.and_then(Result::ok).map_or(default.lists, Arc::new), regions }
}

/// `mask` of the section or of a route.
pub(super) fn read_mask(section: &mut Section<'_>) -> Option<BTreeSet<Class>> {
    let expected = format!("a list of kinds out of {}; [] for none", Class::ALL.map(Class::name).join(", "));
    section.read("mask", expected, |value| {
        let names = value.as_array()?;
        names.iter().map(|name| Class::named(Value::as_str(name)?)).collect()
    })
}

#[cfg(test)]
mod tests {
    use routing::section::parse_table;

    use super::*;

    #[test]
    fn kinds_and_lists_are_read() {
        assert_eq!(check("").expect("it is right").mask, Class::usual());
        let some = check("mask = [\"phone\", \"amount\"]").expect("it is right");
        assert_eq!(some.mask.into_iter().collect::<Vec<_>>(), [Class::Phone, Class::Amount]);
        assert_eq!(check("mask = []").expect("it is right").mask.len(), 0);
        refuses("mask = [\"fax\"]", "privacy.mask: found [\"fax\"], expected a list of kinds out of name, phone");
        refuses("lists = [\"nowhere.toml\"]", "nowhere.toml");
        refuses("lists = [\"a/zh.toml\", \"b/zh.toml\"]", "files' paths, each with a name of its own");
        refuses("masks = []", "privacy.masks");
        assert_eq!(check("").expect("it is right").regions, None);
        assert_eq!(check("regions = [\"cn\"]").expect("it is right").regions, Some(["cn".to_owned()].into()));
        refuses("regions = [\"\"]", "privacy.regions");
    }

    fn check(text: &str) -> Result<PrivacySettings, String> {
        let table = parse_table(&format!("[privacy]\n{text}")).expect("TOML");
        let mut faults = Vec::new();
        let mut root = Section::root(&table, &mut faults);
        let read = read_privacy(root.section("privacy"), Path::new("."));
        root.finish();
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        if told.is_empty() { Ok(read) } else { Err(told.join("; ")) }
    }

    #[track_caller]
    fn refuses(text: &str, expected: &str) {
        let told = check(text).expect_err(expected);
        assert!(told.contains(expected), "{told}");
    }
}
