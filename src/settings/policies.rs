//! Reads what the rules of a server need: its policy files and the prompts they name.
//!
//! Nothing here is applied; the engine and call control are built from what comes out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use media::Sound;
use media::sound;
use media::wav::RATE_HZ;
use routing::{Action, Hold, Language, Policy, Route, Texts, Whisper};

use super::read::read_text;
use super::{Fault, PbxKind, Settings};
use crate::recognizer::read_list;
use crate::speech::Saying;

/// Policy files of one server.
pub const FILES_MAX: usize = 100;

/// The policies of a server with everything they name.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    /// The policies, in the order of their files' names.
    pub policies: Vec<Policy>,
    /// The prompts and the music that the policies name, by that name, at 8 kHz.
    pub prompts: BTreeMap<String, Arc<Sound>>,
    /// The texts that are said in the same words in every call.
    pub sayings: BTreeSet<Saying>,
    /// What the phrases that are listened for can mean.
    pub intents: BTreeSet<String>,
    /// The files as they were read, by name without its ending.
    pub texts: BTreeMap<String, String>,
}

/// What a file says, or why that is not known.
type Read = Result<String, Fault>;

impl Policies {
    /// Reads every `*.toml` of the policy folder and every prompt that they name.
    ///
    /// # Errors
    /// Every fault in every file: also targets that are not in `settings`, and prompts that cannot be read.
    pub fn load(settings: &Settings) -> Result<Policies, Vec<Fault>> {
        Policies::load_with(settings, None)
    }

    /// The same of files that were read before, by their names without the ending, whatever the folder has by now.
    ///
    /// # Errors
    /// As `load`.
    pub(crate) fn of(settings: &Settings, texts: &BTreeMap<String, String>) -> Result<Policies, Vec<Fault>> {
        let folder = &settings.policy.folder;
        if texts.len() > FILES_MAX {
            let (file, key, expected) = (folder.clone(), "the folder".to_owned(), "fewer".to_owned());
            return Err(vec![Fault { file, key, found: format!("more than {FILES_MAX} files"), expected }]);
        }
        let mut files: Vec<(PathBuf, Read)> =
            texts.iter().map(|(name, text)| (folder.join(format!("{name}.toml")), Ok(text.clone()))).collect();
        files.sort_by(|a, b| a.0.cmp(&b.0));
        Policies::of_files(settings, files)
    }

    /// The same, with another text in the place of one file, or one file more.
    ///
    /// # Errors
    /// As `load`.
    pub(crate) fn load_with(settings: &Settings, other: Option<(&Path, &str)>) -> Result<Policies, Vec<Fault>> {
        let mut files = toml_files(&settings.policy.folder, FILES_MAX).map_err(|fault| vec![fault])?;
        files.extend(other.map(|(path, _)| path.to_owned()).filter(|path| !files.contains(path)));
        files.sort();
        let read = files.into_iter().map(|file| {
            let text = match other.filter(|(path, _)| *path == file) {
                Some((_, text)) => Ok(text.to_owned()),
                None => read_text(&file),
            };
            (file, text)
        });
        Policies::of_files(settings, read.collect())
    }

    fn of_files(settings: &Settings, files: Vec<(PathBuf, Read)>) -> Result<Policies, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut read = Policies { intents: intents(settings, &mut faults), ..Policies::default() };
        for (file, text) in files {
            let text = text.map_err(|fault| vec![fault]);
            match text.and_then(|text| Ok((parse_policy(&file, &text)?, text))) {
                Ok((policy, text)) => {
                    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                    read.texts.insert(name, text);
                    read.add(&file, policy, settings, &mut faults);
                }
                Err(found) => faults.extend(found),
            }
        }
        for route in &settings.routes.0 {
            let Some(file) = &route.consent.announcement else { continue };
            read.add_prompt(file, settings).unwrap_or_else(|(found, expected)| {
                let (file, key) =
                    (settings.policy.prompts.clone(), format!("route {}: consent.announcement", route.name));
                faults.push(Fault { file, key, found, expected });
            });
        }
        if faults.is_empty() { Ok(read) } else { Err(faults) }
    }

    fn add(&mut self, file: &Path, policy: Policy, settings: &Settings, faults: &mut Vec<Fault>) {
        let mut fault = |key: String, found: String, expected: String| {
            faults.push(Fault { file: file.to_owned(), key, found, expected });
        };
        if self.policies.iter().any(|earlier| earlier.name == policy.name) {
            fault(
                "name".to_owned(),
                format!("\"{}\", as in another file", policy.name),
                "a name of its own".to_owned(),
            );
        }
        for (key, intent) in policy.intents() {
            if !self.intents.contains(intent) {
                let known: Vec<&str> = self.intents.iter().map(String::as_str).collect();
                let expected = format!("an intent of the lists of [recognition]; there are: {}", known.join(", "));
                fault(key, format!("\"{intent}\""), expected);
            }
        }
        for (key, found, expected) in unknown_breaches(&policy, settings) {
            fault(key, found, expected);
        }
        for (at, rule) in policy.rules.iter().enumerate() {
            let own = &rule.when.circumstances;
            if settings.policy.zone.is_none() && !(own.hours.is_empty() && own.days.is_empty()) {
                let expected = "time_zone in [policy] of the configuration, e.g. \"Asia/Shanghai\"".to_owned();
                fault(format!("rule[{}].while", at + 1), "hours or days, and no time zone".to_owned(), expected);
            }
        }
        for (key, action) in policy.actions() {
            if let Action::Reroute { hold: Some(hold), .. } = action {
                self.add_hold(hold, settings).unwrap_or_else(|(found, expected)| {
                    fault(format!("{key}.hold"), found, expected);
                });
            }
            for (found, expected) in unknown(action, settings) {
                fault(key.clone(), found, expected);
            }
            if let Action::Reroute { whisper: Some(whisper), .. } = action {
                self.add_whisper(whisper, settings).unwrap_or_else(|(found, expected)| {
                    fault(format!("{key}.whisper"), found, expected);
                });
            }
            match action {
                Action::Reroute { target, .. } if !settings.targets.contains_key(target) => {
                    let known: Vec<&str> = settings.targets.keys().map(String::as_str).collect();
                    let expected = format!("the name of a [targets.NAME]; there are: {}", known.join(", "));
                    fault(format!("{key}.target"), format!("\"{target}\""), expected);
                }
                Action::Prompt { file: prompt, .. } => {
                    self.add_prompt(prompt, settings).unwrap_or_else(|(found, expected)| {
                        fault(format!("{key}.prompt"), found, expected);
                    });
                }
                Action::Say { text, language, .. } => self.add_saying(text, *language),
                Action::Script { texts, sounds, .. } => {
                    self.add_script(texts, sounds, settings).unwrap_or_else(|(found, expected)| {
                        fault(format!("{key}.say"), found, expected);
                    });
                }
                Action::Reroute { .. }
                | Action::Serve(_)
                | Action::SecureInput(_)
                | Action::Announce { .. }
                | Action::Notify { .. }
                | Action::Alert { .. } => {}
            }
        }
        self.policies.push(policy);
    }

    fn add_hold(&mut self, hold: &Hold, settings: &Settings) -> Result<(), (String, String)> {
        match hold {
            Hold::Ringback => Ok(()),
            Hold::Music(file) => self.add_prompt(file, settings),
        }
    }

    fn add_whisper(&mut self, whisper: &Whisper, settings: &Settings) -> Result<(), (String, String)> {
        match whisper {
            Whisper::File(file) => self.add_prompt(file, settings)?,
            Whisper::Say { text, language } => self.add_saying(text, *language),
        }
        Ok(())
    }

    fn add_prompt(&mut self, file: &str, settings: &Settings) -> Result<(), (String, String)> {
        if !self.prompts.contains_key(file) {
            let sound = read_prompt(&settings.policy.prompts.join(file))?;
            self.prompts.insert(file.to_owned(), Arc::new(sound));
        }
        Ok(())
    }

    /// Texts, and the recordings that take their places.
    fn add_script(&mut self, texts: &Texts, sounds: &Texts, settings: &Settings) -> Result<(), (String, String)> {
        for (language, text) in texts.iter().filter(|(language, _)| !sounds.contains_key(language)) {
            self.add_saying(text, *language);
        }
        sounds.values().try_for_each(|file| self.add_prompt(file, settings))
    }

    /// Takes note of a text, unless something of the call stands in it.
    fn add_saying(&mut self, text: &str, language: Language) {
        if routing::variables(text).next().is_none() {
            self.sayings.insert(Saying { text: text.to_owned(), language });
        }
    }
}

/// The compliance rules that a policy waits for and no file has: where they stand, and what there is.
fn unknown_breaches(policy: &Policy, settings: &Settings) -> Vec<(String, String, String)> {
    let rules = settings.compliance.phrases.rules();
    let known: Vec<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
    let unknown = policy.breaches().filter(|(_, breach)| !known.contains(&breach.as_str()));
    let expected = || format!("a rule of the files of [compliance]; there are: {}", known.join(", "));
    unknown.map(|(key, breach)| (key, format!("\"{breach}\""), expected())).collect()
}

/// What the phrases of the lists can mean.
fn intents(settings: &Settings, faults: &mut Vec<Fault>) -> BTreeSet<String> {
    let mut intents = BTreeSet::new();
    for path in settings.recognition.iter().flat_map(|recognition| &recognition.phrases) {
        match read_list(path) {
            Ok(list) => intents.extend(list.phrases.into_iter().map(|phrase| phrase.intent)),
            Err(found) => faults.push(Fault {
                file: path.clone(),
                key: "the file".to_owned(),
                found,
                expected: "a phrase list".to_owned(),
            }),
        }
    }
    intents
}

/// Whether a PBX of that kind can do something.
type Can = fn(&PbxKind) -> bool;

/// Whom an action asks, and who can do it.
fn asked(action: &Action) -> Vec<(&str, Can)> {
    match action {
        Action::Reroute { ways, .. } => {
            let pbxes = ways.iter().filter(|way| matches!(way, Route::Pbx(_)));
            pbxes.map(|way| (way.as_str(), anybody as Can)).collect()
        }
        Action::Announce { pbx, .. } => vec![(pbx, |kind| matches!(kind, PbxKind::Ari { .. } | PbxKind::Esl { .. }))],
        Action::Notify { pbx } => vec![(pbx, |kind| matches!(kind, PbxKind::Webhook { .. }))],
        _ => Vec::new(),
    }
}

/// Whom an action asks who is not there or cannot do it, and who could.
fn unknown(action: &Action, settings: &Settings) -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    for (pbx, can) in asked(action) {
        let fitting = settings.pbxes.iter().filter(|(_, found)| can(&found.kind));
        let mut known: Vec<&str> = fitting.map(|(name, _)| name.as_str()).collect();
        if matches!(action, Action::Notify { .. }) {
            known.extend(settings.crms.keys().map(String::as_str));
        }
        if !known.contains(&pbx) {
            let expected = format!("the name of a fitting [pbx.NAME]; there are: {}", known.join(", "));
            wrong.push((format!("\"{pbx}\""), expected));
        }
    }
    wrong
}

fn anybody(_: &PbxKind) -> bool {
    true
}

/// Reads one policy file by itself.
///
/// # Errors
/// Every fault in it; what it names is not looked at.
pub fn load_policy(file: &Path) -> Result<Policy, Vec<Fault>> {
    parse_policy(file, &read_text(file).map_err(|fault| vec![fault])?)
}

/// A policy by its text; `file` names it in faults.
pub(crate) fn parse_policy(file: &Path, text: &str) -> Result<Policy, Vec<Fault>> {
    Policy::parse(text).map_err(|faults| faults.into_iter().map(|fault| Fault::inside(file, fault)).collect())
}

/// Reads policies by themselves: files, and every `*.toml` of folders.
///
/// # Errors
/// Every fault in every file; what they name is not looked at.
pub fn load_policies(paths: &[PathBuf]) -> Result<Vec<Policy>, Vec<Fault>> {
    let (mut policies, mut faults) = (Vec::new(), Vec::new());
    for path in paths {
        let files = if path.is_dir() { toml_files(path, FILES_MAX) } else { Ok(vec![path.clone()]) };
        for file in files.map_err(|fault| vec![fault])? {
            match load_policy(&file) {
                Ok(policy) => policies.push(policy),
                Err(found) => faults.extend(found),
            }
        }
    }
    if faults.is_empty() { Ok(policies) } else { Err(faults) }
}

/// The `*.toml` files of a folder, by name, at most `most`.
pub(crate) fn toml_files(folder: &Path, most: usize) -> Result<Vec<PathBuf>, Fault> {
    let fault = |found: String, expected: &str| Fault {
        file: folder.to_owned(),
        key: "the folder".to_owned(),
        found,
        expected: expected.to_owned(),
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| fault(error.to_string(), "a readable folder"))? {
        let file = entry.map_err(|error| fault(error.to_string(), "a readable folder"))?.path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            files.push(file);
        }
        if files.len() > most {
            return Err(fault(format!("more than {most} files"), "fewer"));
        }
    }
    files.sort();
    Ok(files)
}

/// The longest prompt, seconds.
const PROMPT_SECONDS_MAX: usize = 60;

/// Reads a prompt.
///
/// # Errors
/// What was found and what was expected, in words.
pub fn read_prompt(file: &Path) -> Result<Sound, (String, String)> {
    let wrong = |found: String| (format!("{}: {found}", file.display()), PROMPT.to_owned());
    let bytes = std::fs::metadata(file).map_err(|error| wrong(error.to_string()))?.len();
    if bytes > PROMPT_BYTES_MAX {
        return Err(wrong(format!("{bytes} bytes")));
    }
    let bytes = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let recording = sound::read(&bytes).map_err(|error| wrong(error.to_string()))?;
    let seconds = recording.samples.len() / RATE_HZ as usize;
    if recording.samples.is_empty() || seconds >= PROMPT_SECONDS_MAX {
        return Err(wrong(format!("{seconds} s of audio")));
    }
    Ok(recording.to_sound())
}

/// The largest prompt file: a minute of stereo at 48 kHz with room for what else may be in it, bytes.
const PROMPT_BYTES_MAX: u64 = 64 << 20;

const PROMPT: &str = "a WAV or Ogg Opus file in the prompt folder, shorter than 60 s and not empty";
