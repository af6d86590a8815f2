//! The files that operators edit beside the configuration: policies with their scripts, knowledge, lexicons, phrase lists,
//! compliance lists, and parts of the configuration itself. Finds them by kind and name, reads them, checks what is to take their place, and puts it there.
//!
//! Names lead to files that the configuration names, or that lie in a folder that it names, and to no others.

mod swap;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nlu::masking::MaskingLists;
use nlu::recognition::PhraseList;
use nlu::text::Lexicon;
use ring::digest::{SHA256, digest};
use routing::section::TEXT_BYTES_MAX;

use crate::compliance::{self, Phrases};
use crate::hexadecimal::hexadecimal;
use crate::knowledge::{self, Knowledge};
use crate::settings::{ComplianceSettings, Fault, POLICIES_MAX, Policies, Settings, read_text, toml_files};
pub use swap::{Before, Swap};

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Rules, services, scripts.
    Policies,
    /// Questions and answers.
    Knowledge,
    /// Words that tell of emotions.
    Lexicons,
    /// Phrases that are listened for.
    Phrases,
    /// What personal data is found by, and what whoever serves must say and must never say.
    Compliance,
    /// Sections of the configuration that stand in files of their own: administrators alone edit them.
    Parts,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 6] =
        [Kind::Policies, Kind::Knowledge, Kind::Lexicons, Kind::Phrases, Kind::Compliance, Kind::Parts];

    /// Its name in addresses.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Policies => "policies",
            Kind::Knowledge => "knowledge",
            Kind::Lexicons => "lexicons",
            Kind::Phrases => "phrases",
            Kind::Compliance => "compliance",
            Kind::Parts => "parts",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One file of a library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// What it is.
    pub kind: Kind,
    /// The name of its file, without `.toml`.
    pub name: String,
    /// Where it lies; `None` of what comes with the program.
    pub path: Option<PathBuf>,
}

/// What a volume says, and which version that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The file's text.
    pub text: String,
    /// What distinguishes it from every other text.
    pub version: Version,
}

impl Text {
    /// Of a text.
    pub fn new(text: String) -> Text {
        let version = Version::of(&text);
        Text { text, version }
    }
}

/// The first 128 bits of a text's SHA-256, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(String);

impl Version {
    /// Of a text.
    pub fn of(text: &str) -> Version {
        Version::of_bytes(text.as_bytes())
    }

    /// Of whatever is sent.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Version {
        Version(hexadecimal(&digest(&SHA256, bytes).as_ref()[..16]))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All libraries of one configuration.
#[derive(Debug, Clone)]
pub struct Libraries(Arc<Settings>);

impl Libraries {
    /// Those that a configuration names.
    pub fn of(settings: &Settings) -> Libraries {
        Libraries(Arc::new(settings.clone()))
    }

    /// Every volume of a kind, by name.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn volumes(&self, kind: Kind) -> Result<Vec<Volume>, Fault> {
        let volume = |path: PathBuf| {
            let name = path.file_stem()?.to_str()?.to_owned();
            Some(Volume { kind, name, path: Some(path) })
        };
        let (paths, more) = match self.folder(kind) {
            Some((folder, most)) => (toml_files(folder, most)?, Vec::new()),
            None => (self.files(kind).to_vec(), self.more_files(kind).to_vec()),
        };
        let mut volumes: Vec<Volume> = paths.into_iter().filter_map(volume).collect();
        if volumes.is_empty() && self.folder(kind).is_none() {
            let shipped = |(file, _): &(&str, &str)| {
                let name = file.trim_end_matches(".toml").to_owned();
                Volume { kind, name, path: None }
            };
            volumes = shipped_with_program(kind).iter().map(shipped).collect();
        }
        volumes.extend(more.into_iter().filter_map(volume));
        volumes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(volumes)
    }

    /// The volume of that name; in a folder also one that is not there yet.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn volume(&self, kind: Kind, name: &str) -> Result<Option<Volume>, Fault> {
        if let Some(found) = self.volumes(kind)?.into_iter().find(|volume| volume.name == name) {
            return Ok(Some(found));
        }
        let path = self.folder(kind).filter(|_| is_plain(name)).map(|(folder, _)| folder.join(format!("{name}.toml")));
        Ok(path.map(|path| Volume { kind, name: name.to_owned(), path: Some(path) }))
    }

    /// What a volume says; `None` when it is not there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, volume: &Volume) -> Result<Option<Text>, Fault> {
        let Some(path) = &volume.path else {
            let file = format!("{}.toml", volume.name);
            let shipped = shipped_with_program(volume.kind).iter().find(|(name, _)| *name == file);
            return Ok(shipped.map(|(_, text)| Text::new((*text).to_owned())));
        };
        if !path.exists() { Ok(None) } else { read_text(path).map(|text| Some(Text::new(text))) }
    }

    /// Looks at a text as one that is to take the place of a volume, with what it goes together with: `policies` are those in
    /// force, by the names of their files.
    ///
    /// # Errors
    /// Every fault in it.
    pub fn check(&self, volume: &Volume, text: &str, policies: &BTreeMap<String, String>) -> Result<(), Vec<Fault>> {
        let path = volume.path.clone().unwrap_or_else(|| PathBuf::from(&volume.name));
        let fault = |found: String, expected: &str| {
            let (file, key) = (path.clone(), "the whole file".to_owned());
            vec![Fault { file, key, found, expected: expected.to_owned() }]
        };
        if text.len() > TEXT_BYTES_MAX {
            return Err(fault(format!("{} bytes", text.len()), "at most 1 MiB"));
        }
        match volume.kind {
            Kind::Policies => self.check_policy((&volume.name, &path), text, policies),
            Kind::Knowledge => self.check_knowledge(&path, text),
            Kind::Lexicons => Lexicon::parse(&volume.name, text)
                .map(|_| ())
                .map_err(|error| fault(error.to_string(), "a lexicon as in config/lexicons")),
            Kind::Phrases => PhraseList::from_toml(text)
                .map(|_| ())
                .map_err(|error| fault(error.to_string(), "a phrase list as in config/lexicons")),
            Kind::Compliance if self.0.compliance.files.contains(&path) => self.check_compliance(&path, text, policies),
            Kind::Compliance => MaskingLists::parse(&[(&volume.name, text)])
                .map(|_| ())
                .map_err(|error| fault(error.to_string(), "lists as in config/compliance")),
            Kind::Parts => self.check_part(&path, text, policies),
        }
    }

    /// With the other policies as they are in force. The next start goes by the files: what is wrong with those only because of
    /// this one is wrong with this one.
    fn check_policy(
        &self,
        (name, path): (&str, &Path),
        text: &str,
        policies: &BTreeMap<String, String>,
    ) -> Result<(), Vec<Fault>> {
        let mut with = policies.clone();
        with.insert(name.to_owned(), text.to_owned());
        Policies::of(&self.0, &with)?;
        let Err(mut faults) = Policies::load_with(&self.0, Some((path, text))) else { return Ok(()) };
        let before = Policies::load(&self.0).err().unwrap_or_default();
        faults.retain(|fault| !before.contains(fault));
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// With the entries of the other files: ids stand once.
    fn check_knowledge(&self, path: &Path, text: &str) -> Result<(), Vec<Fault>> {
        let mut files = Vec::new();
        for volume in self.volumes(Kind::Knowledge).map_err(|fault| vec![fault])? {
            if let Some(other) = volume.path.filter(|other| other != path) {
                // What is wrong with another file is told when all are read together.
                files.extend(
                    read_text(&other).ok().filter(|text| knowledge::parse(text).is_ok()).map(|text| (other, text)),
                );
            }
        }
        files.push((path.to_owned(), text.to_owned()));
        Knowledge::of(&files).map(|_| ())
    }

    /// With the rules of the other files: ids stand once.
    fn check_compliance(&self, path: &Path, text: &str, policies: &BTreeMap<String, String>) -> Result<(), Vec<Fault>> {
        let others = self.0.compliance.files.iter().filter(|other| *other != path);
        // What is wrong with another file is told when all are read together.
        let read = others.filter_map(|other| Some((other.clone(), read_text(other).ok()?)));
        let mut files: Vec<(PathBuf, String)> = read.filter(|(_, text)| compliance::parse(text).is_ok()).collect();
        files.push((path.to_owned(), text.to_owned()));
        let phrases = Phrases::of(&files)?;
        // A rule that a policy waits for must not go.
        let with = Settings {
            compliance: ComplianceSettings { phrases: Arc::new(phrases), ..self.0.compliance.clone() },
            ..(*self.0).clone()
        };
        Policies::of(&with, policies).map(|_| ())
    }

    /// With the rest of the configuration, and the policies that go by it.
    fn check_part(&self, path: &Path, text: &str, policies: &BTreeMap<String, String>) -> Result<(), Vec<Fault>> {
        let written = &self.0.written;
        let with = Settings::parse_with(&written.text, &written.path, Some((path, text)))?;
        Policies::of(&with, policies).map(|_| ())
    }

    /// The folder of a kind that has one, and how many files it may have.
    fn folder(&self, kind: Kind) -> Option<(&Path, usize)> {
        match kind {
            Kind::Policies => Some((&self.0.policy.folder, POLICIES_MAX)),
            Kind::Knowledge => self.0.knowledge.folder.as_deref().map(|folder| (folder, knowledge::FILES_MAX)),
            Kind::Lexicons | Kind::Phrases | Kind::Compliance | Kind::Parts => None,
        }
    }

    /// The files of a kind that stand beside those for which something comes with the program.
    fn more_files(&self, kind: Kind) -> &[PathBuf] {
        if kind == Kind::Compliance { &self.0.compliance.files } else { &[] }
    }

    /// The files of a kind that are named one by one.
    fn files(&self, kind: Kind) -> &[PathBuf] {
        match kind {
            Kind::Policies | Kind::Knowledge => &[],
            Kind::Lexicons => &self.0.listening.lexicons,
            Kind::Phrases => self.0.recognition.as_ref().map_or(&[], |recognition| &recognition.phrases),
            Kind::Compliance => &self.0.privacy.files,
            Kind::Parts => &self.0.written.parts,
        }
    }
}

/// What stands in where the configuration names no files.
fn shipped_with_program(kind: Kind) -> &'static [(&'static str, &'static str)] {
    match kind {
        Kind::Lexicons => &crate::lexicons::SHIPPED,
        Kind::Compliance => &nlu::masking::BUILT_IN,
        Kind::Policies | Kind::Knowledge | Kind::Phrases | Kind::Parts => &[],
    }
}

/// Whether a name may become a file's: nothing in it leads anywhere else.
fn is_plain(name: &str) -> bool {
    let fits = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"-_".contains(&letter);
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}

#[cfg(test)]
mod tests;
