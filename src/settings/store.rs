//! `[store]`: where calls and the audit trail are kept, for how long, and by which key they are sealed.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use routing::section::{Section, list, text, whole};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use toml::Value;

use super::audio::{AudioSettings, read_audio};
use super::read::{path, variable};
use super::{Routes, SecretSource, Settings, is_this_machine};

/// How long calls are kept unless the file says otherwise, days.
const KEEP_DAYS: u64 = 180;
const COMMAND: &str = "a program and its arguments, e.g. [\"/usr/local/bin/master-key\", \"calmline\"]";
const COMMAND_WORDS_MAX: usize = 64;
const DAY: Duration = Duration::from_secs(86_400);
/// How long the audit trail is kept at least, unless a legal basis for less is named: six years, two of them leap years, days.
const KEEP_AUDIT_DAYS_MIN: i64 = 6 * 365 + 2;
/// The least and the most that says what that basis is, characters.
const BASIS_CHARACTERS: std::ops::RangeInclusive<usize> = 10..=300;

/// What is kept, and how; the section's absence means that nothing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// The folder that everything lies in.
    pub folder: PathBuf,
    /// Where back-ups go, each into a folder of its own.
    pub backups: PathBuf,
    /// The database in which calls lie; in the folder, unless there is one.
    pub database: Option<DatabaseSettings>,
    /// Where the master key comes from.
    pub master_key: MasterKeySource,
    /// Where the one of before comes from, while it is being changed.
    pub previous_key: Option<MasterKeySource>,
    /// How long.
    pub keep: KeepSettings,
    /// How audio is kept.
    pub audio: AudioSettings,
    /// What becomes of the audit trail's files.
    pub trail: TrailSettings,
    /// Where this server is one of several, which have part of the database together.
    pub site: Option<SiteSettings>,
}

impl StoreSettings {
    /// What the section gives in `root` when it says nothing but how long: keys beside what they seal, no database.
    pub fn within(root: &Path, keep: Duration) -> Self {
        let folder = root.join("data");
        Self {
            audio: AudioSettings::beside(&folder, keep),
            folder,
            backups: root.join("backups"),
            database: None,
            master_key: MasterKeySource::Beside,
            previous_key: None,
            keep: KeepSettings { calls: keep, words: keep, timeline: keep },
            trail: TrailSettings::default(),
            site: None,
        }
    }
}

/// Which one of several servers this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteSettings {
    /// What they are together.
    pub name: String,
    /// This one, by a name that none of the others has.
    pub node: String,
}

/// What becomes of the audit trail's files once they are full.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrailSettings {
    /// Where they are moved to; `None`: they stay.
    pub archive: Option<PathBuf>,
    /// How long they are kept; `None`: for good.
    pub keep: Option<Duration>,
    /// Why that may be less than six years, in the words of who ordered it.
    pub basis: Option<String>,
}

/// How long each class of what is kept of a call stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepSettings {
    /// All of it.
    pub calls: Duration,
    /// What was said; at most as long as the call.
    pub words: Duration,
    /// The steps of the timeline; likewise.
    pub timeline: Duration,
}

impl KeepSettings {
    /// As long as every class stays.
    pub fn whole(&self) -> Duration {
        self.calls.min(self.words).min(self.timeline)
    }
}

/// A PostgreSQL database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseSettings {
    /// `postgres://USER@HOST:PORT/NAME?…`, with what libpq takes there, but for a password.
    url: String,
    /// The user's password; else the one of `PGPASSWORD` or `~/.pgpass`, if any.
    pub password: Option<SecretSource>,
}

impl DatabaseSettings {
    /// Reads a database's address.
    ///
    /// # Errors
    /// What was found instead.
    pub fn new(url: &str, password: Option<SecretSource>) -> Result<Self, String> {
        let parsed = reqwest::Url::parse(url).map_err(|error| error.to_string())?;
        if !["postgres", "postgresql"].contains(&parsed.scheme()) {
            return Err(format!("the scheme {}", parsed.scheme()));
        }
        if parsed.password().is_some() || parsed.query_pairs().any(|(name, _)| name == "password") {
            return Err("a password in the address".to_owned());
        }
        PgConnectOptions::from_str(url).map_err(|error| error.to_string())?;
        Ok(Self { url: url.to_owned(), password })
    }

    /// How to connect: with a checked certificate beyond this machine, unless the address says otherwise.
    ///
    /// # Errors
    /// When the password is not there.
    pub fn options(&self) -> Result<PgConnectOptions, String> {
        let mut options = PgConnectOptions::from_str(&self.url).map_err(|error| error.to_string())?;
        if !self.says_mode() && !is_here(&options) {
            options = options.ssl_mode(PgSslMode::VerifyFull);
        }
        if let Some(password) = &self.password {
            options = options.password(password.fetch()?.reveal());
        }
        Ok(options)
    }

    /// Where it is, to be told.
    pub fn place(&self) -> &str {
        &self.url
    }

    /// The machine to which names and sealed values go without a checked certificate, other than this one.
    pub fn exposed(&self) -> Option<String> {
        let options = PgConnectOptions::from_str(&self.url).ok()?;
        let checked = matches!(options.get_ssl_mode(), PgSslMode::VerifyCa | PgSslMode::VerifyFull);
        (self.says_mode() && !checked && !is_here(&options)).then(|| options.get_host().to_owned())
    }

    fn says_mode(&self) -> bool {
        ["sslmode=", "ssl-mode="].iter().any(|name| self.url.contains(name))
    }
}

fn is_here(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    options.get_socket().is_some() || host.starts_with('/') || is_this_machine(host)
}

/// Where the key comes from that wraps all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MasterKeySource {
    /// The first line of a file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// A program that asks whoever keeps it, a key management service, and its arguments: it prints the key.
    Command(Vec<String>),
    /// A file in the store's own folder, made at the first start.
    Beside,
}

pub(super) fn read_store(mut section: Section<'_>, folder: &Path) -> Option<StoreSettings> {
    let enabled = section.read("enabled", "true or false", Value::as_bool);
    let master_key = read_key(&mut section, folder, ["key_file", "key_env", "key_command"]);
    let previous_key =
        read_key(&mut section, folder, ["previous_key_file", "previous_key_env", "previous_key_command"]);
    if previous_key.is_some() && master_key.is_none() {
        section.fault("previous_key_file", "it without a key that takes its place", "key_file, key_env or key_command");
    }
    let calls = days(&mut section, "keep_days").unwrap_or(KEEP_DAYS as i64);
    let mut within = |key| {
        let found = days(&mut section, key);
        if let Some(found) = found.filter(|found| *found > calls) {
            section.fault(key, format!("{found}"), format!("at most keep_days, {calls}"));
        }
        span(found.unwrap_or(calls))
    };
    let keep =
        KeepSettings { words: within("keep_words_days"), timeline: within("keep_timeline_days"), calls: span(calls) };
    let backups = section.read("backups", "a folder's path", path(folder));
    let database = read_database(&mut section, folder);
    let store = section.read("folder", "a folder's path", path(folder)).unwrap_or_else(|| folder.join("data"));
    let settings = StoreSettings {
        audio: read_audio(&mut section, folder, &store, calls),
        folder: store,
        backups: backups.unwrap_or_else(|| folder.join("backups")),
        database,
        master_key: master_key.unwrap_or(MasterKeySource::Beside),
        previous_key,
        keep,
        trail: read_trail(&mut section, folder),
        site: None,
    };
    // Whoever writes the section wants it, unless it says otherwise.
    let enabled = enabled.unwrap_or(section.is_present());
    section.finish();
    enabled.then_some(settings)
}

/// Where a master key comes from, under one of three names: a file, an environment variable or a program.
fn read_key(section: &mut Section<'_>, folder: &Path, names: [&'static str; 3]) -> Option<MasterKeySource> {
    let [in_file, in_variable, by_command] = names;
    let file = section.read(in_file, "a file's path", path(folder));
    let name = section.read(in_variable, "the name of an environment variable", variable);
    let command = section.read(by_command, COMMAND, list(COMMAND_WORDS_MAX, text(4_096)));
    let named =
        [file.map(MasterKeySource::File), name.map(MasterKeySource::Variable), command.map(MasterKeySource::Command)];
    let mut named = named.into_iter().flatten();
    let first = named.next();
    if named.next().is_some() {
        section.fault(in_file, format!("more than one of {in_file}, {in_variable} and {by_command}"), "one of them");
    }
    first
}

fn read_trail(section: &mut Section<'_>, folder: &Path) -> TrailSettings {
    let archive = section.read("audit_archive", "a folder's path", path(folder));
    let days = section.read("keep_audit_days", "a whole number from 1 to 36500", whole(1..=36_500));
    let (least, most) = (BASIS_CHARACTERS.start(), BASIS_CHARACTERS.end());
    let basis = section.read("keep_audit_override", format!("the legal basis, {least}-{most} characters"), |value| {
        text(4 * most)(value).filter(|text| BASIS_CHARACTERS.contains(&text.trim().chars().count()))
    });
    let is_short = days.is_some_and(|days| days < KEEP_AUDIT_DAYS_MIN);
    if let Some(days) = days.filter(|_| is_short && basis.is_none() && !section.has("keep_audit_override")) {
        let expected = format!("at least {KEEP_AUDIT_DAYS_MIN}, six years, or the legal basis in keep_audit_override");
        section.fault("keep_audit_days", days.to_string(), expected);
    }
    if let Some(basis) = basis.as_ref().filter(|_| !is_short) {
        let expected = format!("nothing, unless keep_audit_days is below {KEEP_AUDIT_DAYS_MIN}");
        section.fault("keep_audit_override", format!("{basis:?}"), expected);
    }
    TrailSettings { archive, keep: days.map(span), basis }
}

fn read_database(section: &mut Section<'_>, folder: &Path) -> Option<DatabaseSettings> {
    let expected = "postgres://USER@HOST/NAME, without a password";
    let url = section.read("database", expected, text(1_024));
    let file = section.read("database_password_file", "a file's path", path(folder));
    let name = section.read("database_password_env", "the name of an environment variable", variable);
    if file.is_some() && name.is_some() {
        let found = "both database_password_file and database_password_env";
        section.fault("database_password_env", found, "one of them");
    }
    if url.is_none() && (file.is_some() || name.is_some()) {
        section.fault("database", "none, but a password for it", expected);
    }
    let password = file.map(SecretSource::File).or(name.map(SecretSource::Variable));
    match DatabaseSettings::new(&url?, password) {
        Ok(database) => Some(database),
        Err(found) => {
            section.fault("database", found, expected);
            None
        }
    }
}

pub(super) fn days(section: &mut Section<'_>, key: &'static str) -> Option<i64> {
    section.read(key, "a whole number from 1 to 3650", whole(1..=3_650))
}

pub(super) fn span(days: i64) -> Duration {
    DAY * u32::try_from(days).unwrap_or(u32::MAX)
}

/// Whether there is a store for what is kept in one.
pub(super) fn check_store(root: &mut Section<'_>, settings: &Settings, routes: &Routes) {
    if settings.store.is_some() {
        return;
    }
    if !settings.crms.is_empty() {
        root.fault("crm", "it without a store", "[store] beside it: deliveries are kept until they are taken");
    }
    if !settings.sources.is_empty() {
        root.fault("sources", "it without a store", "[store] beside it: people are known by its pseudonyms");
    }
    if settings.capture.is_some() {
        root.fault("capture", "it without a store", "[store] beside it: who captures what is in the audit trail");
    }
    if settings.reports.is_some() {
        root.fault("reports", "it without a store", "[store] beside it: reports add up what is kept");
    }
    if routes.0.iter().any(|route| route.keep_audio) {
        root.fault("route", "keep_audio without a store", "[store] beside it: audio is sealed by its keys");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_trail_is_kept_for_six_years_unless_a_legal_basis_is_named() {
        let day = |days: i64| Some(span(days));
        for (written, expected) in [
            ("", Ok((None, None))),
            ("keep_audit_days = 2192", Ok((day(2_192), None))),
            (
                "keep_audit_days = 2191",
                Err("store.keep_audit_days: found 2191, expected at least 2192, six years, or the legal basis"),
            ),
            (
                "keep_audit_days = 30\nkeep_audit_override = \"order 7/2026 of the court\"",
                Ok((day(30), Some("order 7/2026 of the court"))),
            ),
            (
                "keep_audit_days = 30\nkeep_audit_override = \"so\"",
                Err("found \"so\", expected the legal basis, 10-300"),
            ),
            (
                "keep_audit_override = \"order 7/2026 of the court\"",
                Err("expected nothing, unless keep_audit_days is below 2192"),
            ),
        ] {
            let table = routing::section::parse_table(&format!("[store]\n{written}")).expect("TOML");
            let mut faults = Vec::new();
            let mut root = Section::root(&table, &mut faults);
            let read = read_store(root.section("store"), Path::new(".")).map(|read| read.trail);
            root.finish();
            let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
            match expected {
                Ok((keep, basis)) => {
                    let basis = basis.map(str::to_owned);
                    assert_eq!((told, read), (vec![], Some(TrailSettings { archive: None, keep, basis })), "{written}");
                }
                Err(expected) => assert!(told.len() == 1 && told[0].contains(expected), "{written}: {told:?}"),
            }
        }
    }

    #[test]
    fn addresses_of_databases() {
        for (url, expected) in [
            ("postgres://calmline@db.example/calls", Ok((PgSslMode::VerifyFull, None))),
            (
                "postgresql://calmline@db.example:5433/calls?sslmode=require",
                Ok((PgSslMode::Require, Some("db.example"))),
            ),
            ("postgres://calmline@db.example/calls?sslmode=disable", Ok((PgSslMode::Disable, Some("db.example")))),
            ("postgres://calmline@db.example/calls?sslmode=verify-ca", Ok((PgSslMode::VerifyCa, None))),
            ("postgres://calmline@127.0.0.1/calls", Ok((PgSslMode::Prefer, None))),
            ("postgres://calmline@[::1]/calls?sslmode=disable", Ok((PgSslMode::Disable, None))),
            ("postgres:///calls?host=/run/postgresql", Ok((PgSslMode::Prefer, None))),
            ("postgres://calmline:secret@db.example/calls", Err("a password in the address")),
            ("postgres://calmline@db.example/calls?password=secret", Err("a password in the address")),
            ("mysql://calmline@db.example/calls", Err("the scheme mysql")),
            ("calls", Err("relative URL without a base")),
        ] {
            let found = DatabaseSettings::new(url, None);
            let told = found
                .as_ref()
                .map(|found| (found.options().expect("no password is needed").get_ssl_mode(), found.exposed()));
            let expected = expected.map(|(mode, exposed)| (mode, exposed.map(str::to_owned)));
            match (told, expected) {
                (Ok((mode, exposed)), Ok((expected, to))) => {
                    assert_eq!((format!("{mode:?}"), exposed), (format!("{expected:?}"), to), "{url}");
                }
                (Err(found), Err(expected)) => assert_eq!(found, expected, "{url}"),
                (told, expected) => panic!("{url}: {told:?}, expected {expected:?}"),
            }
        }
    }
}
