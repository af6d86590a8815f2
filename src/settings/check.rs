//! Looks at a configuration as a whole, as `calmline check` does: the file and everything it names.
//!
//! Opens files, and has the texts of policies spoken: no socket is bound, no model is run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use media::Sound;
use nlu::text::Lexicon;

use super::policies::{Policies, load_policy};
use super::read::read_text;
use super::reports;
use super::web::shared_token;
use super::{Fault, PasswordSource, SecretSource, Settings, SourcePlace, TextModelChoice, TokenSource};
use crate::compliance::Phrases;
use crate::judges::JudgeFiles;
use crate::knowledge::Knowledge;
use crate::recognizer::{Engine, RecognizerFiles, Remote};
use crate::speech::{EspeakNg, Saying, Speech};

/// Checks a configuration file with everything it names, or a policy file by itself.
///
/// # Returns
/// What was found good, a line each.
///
/// # Errors
/// Every fault in every file.
pub fn check(path: &Path) -> Result<Vec<String>, Vec<Fault>> {
    let text = read_text(path).map_err(|fault| vec![fault])?;
    match kind_of(&text) {
        Kind::Policy => check_policy(path),
        Kind::Lexicon => check_lexicon(path, &text),
        Kind::Knowledge => check_knowledge(path, text),
        Kind::Compliance => check_compliance(path, text),
        Kind::Settings => check_settings(path).map(|checked| checked.good),
    }
}

enum Kind {
    Policy,
    Lexicon,
    Knowledge,
    Compliance,
    Settings,
}

/// Policies and knowledge have a name and scenarios at the top, knowledge and lexicons entries, compliance phrases what must or must
/// never be said, configurations only sections.
fn kind_of(text: &str) -> Kind {
    let Ok(table) = routing::section::parse_table(text) else { return Kind::Settings };
    let has = |keys: &[&str]| keys.iter().any(|key| table.contains_key(*key));
    if has(&["never_say", "must_say"]) {
        Kind::Compliance
    } else if has(&["name", "scenarios"]) && has(&["entry"]) {
        Kind::Knowledge
    } else if has(&["name", "scenarios", "rule", "fallback"]) {
        Kind::Policy
    } else if has(&["entry", "negations"]) {
        Kind::Lexicon
    } else {
        Kind::Settings
    }
}

fn check_lexicon(path: &Path, text: &str) -> Result<Vec<String>, Vec<Fault>> {
    let lexicon = Lexicon::parse("lexicon", text).map_err(|error| {
        let (file, key) = (path.to_owned(), "entry".to_owned());
        let expected = "a lexicon as in config/lexicons".to_owned();
        vec![Fault { file, key, found: error.to_string(), expected }]
    })?;
    Ok(vec![format!("{}: lexicon, {} words", path.display(), lexicon.words())])
}

fn check_knowledge(path: &Path, text: String) -> Result<Vec<String>, Vec<Fault>> {
    let knowledge = Knowledge::of(&[(path.to_owned(), text)])?;
    Ok(vec![format!("{}: knowledge, {} entries", path.display(), knowledge.entries().len())])
}

fn check_compliance(path: &Path, text: String) -> Result<Vec<String>, Vec<Fault>> {
    let phrases = Phrases::of(&[(path.to_owned(), text)])?;
    Ok(vec![format!("{}: compliance, {} rules", path.display(), phrases.rules().len())])
}

fn check_policy(path: &Path) -> Result<Vec<String>, Vec<Fault>> {
    let policy = load_policy(path)?;
    let (rules, fallbacks) = (policy.rules.len(), policy.fallbacks.len());
    Ok(vec![format!(
        "{}: policy {}, {rules} rules, {fallbacks} fallbacks (targets and prompts: check the file that names this folder)",
        path.display(),
        policy.label()
    )])
}

/// A configuration that was found good, with what it names.
#[derive(Debug)]
pub struct Checked {
    /// The configuration.
    pub settings: Settings,
    /// Its policies and their prompts.
    pub policies: Policies,
    /// What judges voices and reads words.
    pub judges: JudgeFiles,
    /// What hears words, or why nothing can; nothing where nobody is to.
    pub recognizer: Option<Result<RecognizerFiles, String>>,
    /// What customers ask, and the answers.
    pub knowledge: Knowledge,
    /// The texts of the policies, spoken.
    pub spoken: Vec<(Saying, Arc<Sound>)>,
    /// What was found good, a line each.
    pub good: Vec<String>,
}

/// Reads a configuration file and looks at everything it names.
///
/// # Errors
/// Every fault in every file.
pub fn check_settings(path: &Path) -> Result<Checked, Vec<Fault>> {
    check_settings_as(path, &read_text(path).map_err(|fault| vec![fault])?, None)
}

/// The same of a text that was read before, whatever the file says by now, and with policies that were read before instead of
/// those of the folder, where there are any: texts by the names of their files.
///
/// # Errors
/// As `check_settings`.
pub(crate) fn check_settings_as(
    path: &Path,
    text: &str,
    policies: Option<&BTreeMap<String, String>>,
) -> Result<Checked, Vec<Fault>> {
    let settings = Settings::parse(text, path)?;
    let (targets, routes) = (settings.targets.len(), settings.routes.0.len());
    let mut report = Report { file: path, good: Vec::new(), faults: Vec::new() };
    report.good.push(format!("{}: {targets} targets, {routes} routes", path.display()));

    if let Some(runtime) = &settings.listening.runtime {
        report.take("listening.runtime", "a readable file", read_file(runtime).map(|bytes| size(runtime, &bytes)));
    }
    let judges = check_judges(&settings, &mut report);
    let recognizer = check_recognition(&settings, &mut report);
    check_token(&settings, &mut report);
    check_secrets(&settings, &mut report);
    check_crms(&settings, &mut report);
    check_sources(&settings, &mut report);
    check_sip(&settings, &mut report);
    report.good.extend(reports::never_whole(&settings));
    let read = policies.map_or_else(|| Policies::load(&settings), |texts| Policies::of(&settings, texts));
    let policies = read.unwrap_or_else(|found| {
        report.faults.extend(found);
        Policies::default()
    });
    let knowledge = load_knowledge(&settings).unwrap_or_else(|found| {
        report.faults.extend(found);
        Knowledge::default()
    });
    if !report.faults.is_empty() {
        return Err(report.faults);
    }
    if let Some(folder) = &settings.knowledge.folder {
        report.good.push(format!("{}: {} entries", folder.display(), knowledge.entries().len()));
    }
    report.good.extend(policy_lines(&settings, &policies));
    let spoken = check_sayings(&settings, &policies, &mut report);
    let Report { good, faults, .. } = report;
    match judges.filter(|_| faults.is_empty()) {
        Some(judges) => Ok(Checked { settings, policies, judges, recognizer, knowledge, spoken, good }),
        None => Err(faults),
    }
}

/// What is known, where anything is to be.
pub(crate) fn load_knowledge(settings: &Settings) -> Result<Knowledge, Vec<Fault>> {
    settings.knowledge.folder.as_deref().map_or_else(|| Ok(Knowledge::default()), Knowledge::load)
}

/// Speaks every text that the policies say in the same words in every call.
fn check_sayings(settings: &Settings, loaded: &Policies, report: &mut Report<'_>) -> Vec<(Saying, Arc<Sound>)> {
    let mut spoken = Vec::new();
    let mut engine = EspeakNg::new(settings.speech.program.clone());
    for saying in &loaded.sayings {
        match engine.speak(saying) {
            Ok(sound) => spoken.push((saying.clone(), Arc::new(sound))),
            Err(error) => {
                let found = format!("{error}, for the text \"{}\" of a policy", saying.text);
                report.take("speech.program", "a program that speaks it, e.g. Debian's espeak-ng", Err(found));
                return spoken;
            }
        }
    }
    if !loaded.sayings.is_empty() {
        report.good.push(format!("{}: {} texts spoken", settings.speech.program.display(), loaded.sayings.len()));
    }
    spoken
}

/// What has been found so far about one file.
struct Report<'a> {
    file: &'a Path,
    good: Vec<String>,
    faults: Vec<Fault>,
}

impl Report<'_> {
    fn take(&mut self, key: &str, expected: &str, outcome: Result<String, String>) {
        match outcome {
            Ok(line) => self.good.push(line),
            Err(found) => {
                let (key, expected) = (key.to_owned(), expected.to_owned());
                self.faults.push(Fault { file: self.file.to_owned(), key, found, expected });
            }
        }
    }
}

/// Reads models and lexicons, and loads the models that are not the shipped ones; none when one of them is wrong.
fn check_judges(settings: &Settings, report: &mut Report<'_>) -> Option<JudgeFiles> {
    let listening = &settings.listening;
    match JudgeFiles::read(listening).and_then(|files| files.try_all().map(|()| files)) {
        Ok(files) => {
            let own = match &listening.text_model {
                TextModelChoice::Own(path) => Some(path),
                TextModelChoice::None | TextModelChoice::Shipped => None,
            };
            let shadows = [&listening.shadow_model, &listening.shadow_text_model].into_iter().flatten();
            let models = listening.model.iter().chain(own).chain(shadows);
            report.good.extend(models.map(|path| format!("{}: a model, as its card says", path.display())));
            if !listening.lexicons.is_empty() {
                report.good.push(format!("listening.lexicons: {} words", files.words()));
            }
            Some(files)
        }
        Err((key, found)) => {
            let expected = match key {
                "lexicons" => "lexicons as in config/lexicons",
                _ => "an ONNX file of this kind with its card (.json) beside it",
            };
            report.take(&format!("listening.{key}"), expected, Err(found));
            None
        }
    }
}

/// Reads models and phrases, and has the phrases compiled for the models.
fn check_recognition(settings: &Settings, report: &mut Report<'_>) -> Option<Result<RecognizerFiles, String>> {
    let wanted = settings.recognition.as_ref()?;
    let files = RecognizerFiles::read(&wanted.models, &wanted.phrases, &wanted.engine, &wanted.trusted);
    if let Engine::Remote(remote) = &wanted.engine {
        return Some(check_remote(remote, files, report));
    }
    let loaded = files.and_then(|files| files.load().map(|recognizer| (files, recognizer.name())));
    Some(match loaded {
        Ok((files, name)) => {
            report.good.push(format!("{}: {name}", wanted.models.display()));
            Ok(files)
        }
        Err(why) => {
            // A server runs on without words: worth a line, not a fault.
            report.good.push(format!("recognition: no words will be heard: {why}"));
            Err(why)
        }
    })
}

/// What a recogniser elsewhere is checked by, whether what is said is shown on the way, and what hears in its absence.
fn check_remote(
    remote: &Remote,
    files: Result<RecognizerFiles, String>,
    report: &mut Report<'_>,
) -> Result<RecognizerFiles, String> {
    let files = match files {
        Ok(files) => files,
        Err(found) => {
            let expected = "certificates, PEM, as authorities, and phrase lists";
            report.take("recognition", expected, Err(found.clone()));
            return Err(found);
        }
    };
    let here = files.load().map_or_else(|why| format!("nothing hears words: {why}"), |here| here.name());
    report.good.push(format!("recognition: {}, in its absence {here}", remote.endpoint));
    if remote.endpoint.is_exposed() {
        report.good.push(format!("recognition: what goes to {} is not encrypted", remote.endpoint.host));
    }
    Ok(files)
}

fn check_token(settings: &Settings, report: &mut Report<'_>) {
    const EXPECTED: &str = "a token of 16-512 characters";
    let Some(web) = &settings.web else { return };
    let all = web.tokens.iter().map(|(name, token)| (format!("web.tokens.{name}"), &token.token));
    let mut there = Vec::new();
    for (place, token) in std::iter::once(("web".to_owned(), &web.token)).chain(all) {
        let key = match token {
            // The server may get its environment from elsewhere, e.g. systemd: worth a line, not a fault.
            TokenSource::Variable(name) if std::env::var_os(name).is_none() => {
                report.good.push(format!("{place}.token_env: {name} is not set here; the server will need it"));
                continue;
            }
            TokenSource::Variable(_) => "token_env",
            TokenSource::File(_) => "token_file",
            TokenSource::Given(_) => continue,
        };
        let fetched = token.fetch();
        report.take(&format!("{place}.{key}"), EXPECTED, fetched.clone().map(|_| token_line()));
        there.extend(fetched.ok().map(|token| (place, token)));
    }
    if let Some((place, other)) = shared_token(there.iter().map(|(place, token)| (place.clone(), token))) {
        report.take(&place, "a token of its own", Err(format!("the token of {other}")));
    }
}

/// The secrets of PBXs; those of the environment may be set elsewhere, as with the token. Their authorities, and where
/// secrets go unencrypted.
fn check_secrets(settings: &Settings, report: &mut Report<'_>) {
    for (name, pbx) in &settings.pbxes {
        if let Some(file) = &pbx.authorities {
            let found = crate::shell::sip::client_by(Some(file)).map_err(|error| error.to_string());
            let good = || format!("pbx.{name}: {} can be checked by", file.display());
            report.take(&format!("pbx.{name}.authorities"), "certificates, PEM", found.map(|_| good()));
        }
        if let Some(to) = pbx.exposed() {
            report.good.push(format!("pbx.{name}: what goes to {to} is not encrypted"));
        }
        check_secret(pbx.secret(), &format!("pbx.{name}"), "secret", report);
    }
    if let Some(database) = settings.store.as_ref().and_then(|store| store.database.as_ref()) {
        if let Some(to) = database.exposed() {
            report.good.push(format!("store.database: what goes to {to} is not encrypted, or to whom is not checked"));
        }
        check_secret(database.password.as_ref(), "store", "database_password", report);
    }
}

/// One of them, which is named in `NAME_file` or `NAME_env` of a section.
fn check_secret(secret: Option<&SecretSource>, section: &str, name: &str, report: &mut Report<'_>) {
    match secret {
        Some(SecretSource::Variable(variable)) if std::env::var_os(variable).is_none() => {
            report.good.push(format!("{section}.{name}_env: {variable} is not set here; the server will need it"));
        }
        Some(secret) => {
            let found = secret.fetch().map(|_| format!("{section}: the {} is there", name.replace('_', " ")));
            report.take(&format!("{section}.{name}_file or {name}_env"), "a secret of 1-256 bytes on one line", found);
        }
        None => {}
    }
}

/// Templates and secrets of the systems that are told of events.
fn check_crms(settings: &Settings, report: &mut Report<'_>) {
    for (name, crm) in &settings.crms {
        match crm.read_template() {
            Ok(_) => report.good.push(format!("crm.{name}: {} is told of {}", crm.url, crm.events.join(", "))),
            Err(fault) => report.faults.push(fault),
        }
        for secret in [Some(&crm.secret), crm.authorization.as_ref()].into_iter().flatten() {
            match secret {
                SecretSource::Variable(variable) if std::env::var_os(variable).is_none() => {
                    report.good.push(format!("crm.{name}: {variable} is not set here; the server will need it"));
                }
                secret => {
                    let found = secret.fetch().map(|_| format!("crm.{name}: a secret is there"));
                    report.take(&format!("crm.{name}"), "secrets of 1-256 bytes on one line", found);
                }
            }
        }
    }
}

/// Secrets and certificates of what is pulled; that it is there is nobody's promise.
fn check_sources(settings: &Settings, report: &mut Report<'_>) {
    for (name, source) in &settings.sources {
        let section = format!("sources.{name}");
        match &source.place {
            SourcePlace::File { path, .. } => report.good.push(format!("{section}: pulled from {}", path.display())),
            SourcePlace::Http { url, authorization, authorities, .. } => {
                if let Some(file) = authorities {
                    let found = crate::shell::sip::client_by(Some(file)).map_err(|error| error.to_string());
                    let good = || format!("{section}: {} can be checked by", file.display());
                    report.take(&format!("{section}.authorities"), "certificates, PEM", found.map(|_| good()));
                }
                report.good.push(format!("{section}: pulled from {url}"));
                check_secret(authorization.as_ref(), &section, "authorization", report);
            }
            SourcePlace::Database { database, .. } => {
                if let Some(to) = database.exposed() {
                    report
                        .good
                        .push(format!("{section}: what comes from {to} is not encrypted, or from whom is not checked"));
                }
                check_secret(database.password.as_ref(), &section, "database_password", report);
            }
        }
    }
}

/// Certificates that can be used, and passwords that are there.
fn check_sip(settings: &Settings, report: &mut Report<'_>) {
    if let Some(tls) = &settings.sip.tls {
        let found = crate::shell::sip::check_certificates(tls).map_err(|error| error.to_string());
        let good = || format!("sip.tls: {} and its key go together", tls.certificate.display());
        report.take("sip.tls", "a certificate, its key and authorities, PEM", found.map(|()| good()));
    }
    for (name, trunk) in &settings.trunks {
        let accounts = [
            ("authentication", trunk.authentication.as_ref().map(|wanted| &wanted.account)),
            ("credentials", trunk.credentials.as_ref()),
        ];
        for (key, account) in accounts {
            let key = format!("trunks.{name}.{key}");
            match account.map(|account| &account.password) {
                None => {}
                // As with the token: the server may get its environment from elsewhere.
                Some(PasswordSource::Variable(name)) if std::env::var_os(name).is_none() => {
                    report.good.push(format!("{key}: {name} is not set here; the server will need it"));
                }
                Some(password) => {
                    let found = password.fetch().map(|_| format!("{key}: the password is there"));
                    report.take(&key, "a password of 1-512 characters", found);
                }
            }
        }
    }
}

fn token_line() -> String {
    "web: the token is there".to_owned()
}

/// The largest library or model that is read, bytes.
const FILE_BYTES_MAX: u64 = 1 << 30;

fn read_file(file: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", file.display());
    let bytes = std::fs::metadata(file).map_err(failed)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(format!("{}: {bytes} bytes, more than {FILE_BYTES_MAX}", file.display()));
    }
    std::fs::read(file).map_err(failed)
}

fn size(file: &Path, bytes: &[u8]) -> String {
    format!("{}: {} bytes", file.display(), bytes.len())
}

/// Which policies there are, and which of them the calls of each route meet: none is no fault, but worth a look.
fn policy_lines(settings: &Settings, loaded: &Policies) -> Vec<String> {
    let folder = settings.policy.folder.display();
    let mut lines: Vec<String> = loaded
        .policies
        .iter()
        .map(|policy| format!("{folder}: policy {}, {} rules", policy.label(), policy.rules.len()))
        .collect();
    lines.push(format!("{}: {} prompts named and read", settings.policy.prompts.display(), loaded.prompts.len()));
    let scenarios: BTreeSet<&str> = settings.routes.0.iter().map(|route| route.scenario.as_str()).collect();
    for scenario in scenarios {
        let labels: Vec<String> =
            loaded.policies.iter().filter(|policy| policy.covers(scenario)).map(routing::Policy::label).collect();
        let policies = if labels.is_empty() { "no policy".to_owned() } else { labels.join(", ") };
        lines.push(format!("scenario {scenario}: {policies}"));
    }
    lines
}

#[cfg(test)]
mod tests;
