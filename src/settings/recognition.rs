//! `[recognition]`: what is listened for in what callers say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nlu::Device;
use nlu::recognition::remote::Protocol;
use nlu::recognition::streaming::{EndpointRules, Search, StreamingOptions};
use nlu::recognition::{Language, LanguageChoice};
use routing::section::{Section, list, name, number, text};
use toml::Value;

use super::privacy::REGION;
use super::read::{TRUSTED, path, trust};
use super::{PrivacySettings, Routes};
use crate::recognizer::{Dictation, Endpoint, Engine, Remote};
use crate::signed::Trust;

/// Phrase lists of one server, and lexicons.
const FILES_MAX: usize = 20;
pub(super) const FILES: &str = "a list of 1-20 files' paths, each with a name of its own";
/// The lists beside the sample configuration.
const SHIPPED: [&str; 2] = ["lexicons/phrases-zh.toml", "lexicons/phrases-en.toml"];

/// Ways that a beam search follows: what sherpa-onnx follows.
const PATHS: usize = 4;
/// What a token of a listed phrase is preferred by: sherpa-onnx's default.
const BOOST: f32 = 1.5;
/// The most calls of one run.
const BATCH_MAX: usize = 1_024;
/// Speech that may go unanswered until a recogniser elsewhere counts as away, seconds.
const ANSWER_S: f64 = 10.0;
/// What words count that such a recogniser tells without a confidence.
const CONFIDENCE: f32 = 0.9;
/// The keys that only a recogniser elsewhere has.
const REMOTE_KEYS: [&str; 6] = ["url", "authorities", "region", "answer_s", "confidence", "fallback"];

/// How words are recognised; the section's absence means not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct RecognitionSettings {
    /// The folder of models.
    pub models: PathBuf,
    /// The phrase lists.
    pub phrases: Vec<PathBuf>,
    /// By whom the models have to be signed.
    pub trusted: Trust,
    /// What recognises.
    pub engine: Engine,
    /// Whether punctuation is set in dictation that comes without any.
    pub punctuation: bool,
    /// What is spoken on routes that do not say otherwise.
    pub language: Spoken,
}

/// What is spoken on a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// Always this.
    Always(Language),
    /// What a party's first speech tells; until then, and where that is not sure, what is usual.
    ByEar,
}

impl Spoken {
    /// All that may be spoken.
    pub fn languages(self) -> &'static [Language] {
        match self {
            Spoken::Always(Language::Mandarin) => &[Language::Mandarin],
            Spoken::Always(Language::English) => &[Language::English],
            Spoken::ByEar => &Language::ALL,
        }
    }

    /// Which language a party is heard in where `usual` is what the section says.
    pub fn choice(self, usual: Spoken) -> LanguageChoice {
        let before = match (self, usual) {
            (Spoken::Always(language), _) | (Spoken::ByEar, Spoken::Always(language)) => language,
            (Spoken::ByEar, Spoken::ByEar) => Language::ALL[0],
        };
        LanguageChoice { language: before, by_ear: self == Spoken::ByEar }
    }
}

pub(super) fn read_recognition(mut section: Section<'_>, folder: &Path) -> Option<RecognitionSettings> {
    let enabled = section.read("enabled", "true or false", Value::as_bool);
    let phrases = section.read("phrases", FILES, files(folder));
    let settings = RecognitionSettings {
        models: section.read("models", "a folder's path", path(folder)).unwrap_or(folder.join("models")),
        phrases: phrases.unwrap_or_else(|| in_folder(folder, &SHIPPED)),
        trusted: section.read("trusted_keys", TRUSTED, trust).unwrap_or_default(),
        engine: read_engine(&mut section, folder),
        punctuation: section.read("punctuation", "true or false", Value::as_bool).unwrap_or(true),
        language: read_language(&mut section).unwrap_or(Spoken::Always(Language::Mandarin)),
    };
    // Whoever writes the section wants it, unless it says otherwise.
    let enabled = enabled.unwrap_or(section.is_present());
    section.finish();
    enabled.then_some(settings)
}

/// What a section may name as its engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    BuiltIn,
    Phrases,
    Dictation,
    Remote(Protocol),
}

/// `engine`, and the keys that go with one of them.
fn read_engine(section: &mut Section<'_>, folder: &Path) -> Engine {
    let expected = "\"built-in\", \"pocketsphinx\", \"sherpa-onnx\", \"funasr\" or \"sherpa-onnx-server\"";
    let named = section.read("engine", expected, |value| match value.as_str()? {
        "funasr" => Some(Named::Remote(Protocol::FunAsr)),
        "sherpa-onnx-server" => Some(Named::Remote(Protocol::SherpaOnnx)),
        name => local_named(name),
    });
    let library = section.read("library", "a file's path", path(folder));
    let dictation = read_dictation(section);
    let local = |named: Named| match named {
        Named::BuiltIn => Engine::BuiltIn { runtime: None },
        Named::Dictation => Engine::Dictation(dictation.clone()),
        Named::Phrases | Named::Remote(_) => Engine::Phrases { library: library.clone() },
    };
    match named.unwrap_or(Named::Phrases) {
        Named::Remote(protocol) => match read_remote(section, protocol, folder, local) {
            Some(remote) => Engine::Remote(remote),
            None => local(Named::Phrases),
        },
        named => {
            for key in REMOTE_KEYS {
                let nothing = |_: &Value| None::<()>;
                section.read(key, "no such key: the engine is on this machine", nothing);
            }
            local(named)
        }
    }
}

fn local_named(name: &str) -> Option<Named> {
    match name {
        "built-in" => Some(Named::BuiltIn),
        "pocketsphinx" => Some(Named::Phrases),
        "sherpa-onnx" => Some(Named::Dictation),
        _ => None,
    }
}

fn read_dictation(section: &mut Section<'_>) -> Dictation {
    let search = section.read("search", "\"greedy\" or \"beam\"", |value| match value.as_str()? {
        "greedy" => Some(Search::Greedy),
        "beam" => Some(Search::Beam(PATHS)),
        _ => None,
    });
    let boost = section.read("boost", "a number of 0-10", number(0.0..=10.0));
    let pause_s = section.read("pause_s", "seconds, 0.2-5", number(0.2..=5.0));
    let threads = section.read("threads", "a number of 1-16", |value| {
        usize::try_from(value.as_integer()?).ok().filter(|threads| (1..=16).contains(threads))
    });
    let device = section
        .read("device", "\"cpu\", or \"cuda:0\" to \"cuda:63\" for a GPU", |value| Device::of_name(value.as_str()?));
    let batch = section.read("batch", "a number of 1-1024", |value| {
        usize::try_from(value.as_integer()?).ok().filter(|batch| (1..=BATCH_MAX).contains(batch))
    });
    let options = StreamingOptions::default();
    let options = StreamingOptions {
        search: search.unwrap_or(options.search),
        device: device.unwrap_or(options.device),
        batch: batch.unwrap_or(options.batch),
    };
    let usual = EndpointRules::default();
    let silence_after_words_s = pause_s.map_or(usual.silence_after_words_s, |pause_s| pause_s as f32);
    Dictation {
        runtime: None,
        options,
        boost: boost.map_or(BOOST, |boost| boost as f32),
        threads: threads.unwrap_or(1),
        rules: EndpointRules { silence_s: usual.silence_s.max(silence_after_words_s), silence_after_words_s, ..usual },
    }
}

/// The keys of a recogniser elsewhere; its absence is heard by `fallback`.
fn read_remote(
    section: &mut Section<'_>,
    protocol: Protocol,
    folder: &Path,
    local: impl Fn(Named) -> Engine,
) -> Option<Remote> {
    let expected = "where the recogniser is: \"wss://HOST:PORT\", \"ws://HOST:PORT\" or \"HOST:PORT\"";
    let endpoint = section.need("url", expected, |value| Endpoint::parse(value.as_str()?));
    let authorities = section.read("authorities", "a file's path", path(folder));
    let region = section.read("region", REGION, name);
    let answer_s = section.read("answer_s", "seconds, 2-60", number(2.0..=60.0));
    let confidence = section.read("confidence", "a number of 0-1", number(0.0..=1.0));
    let fallback = section.read("fallback", "\"built-in\", \"pocketsphinx\", \"sherpa-onnx\" or \"none\"", |value| {
        match value.as_str()? {
            "none" => Some(None),
            name => local_named(name).map(Some),
        }
    });
    let endpoint = endpoint?;
    if authorities.is_some() && !endpoint.is_secured {
        section.fault("authorities", "no TLS to check by them", "a URL with wss:// beside it");
    }
    let fallback = fallback.unwrap_or(Some(Named::Phrases)).map(|named| Box::new(local(named)));
    let answer = Duration::from_secs_f64(answer_s.unwrap_or(ANSWER_S));
    let confidence = confidence.map_or(CONFIDENCE, |confidence| confidence as f32);
    Some(Remote { protocol, endpoint, authorities, region, answer, confidence, fallback })
}

/// Refuses a recogniser in a region that what is said may not go to.
pub(super) fn check_region(root: &mut Section<'_>, wanted: Option<&RecognitionSettings>, privacy: &PrivacySettings) {
    let (Some(Engine::Remote(remote)), Some(allowed)) = (wanted.map(|wanted| &wanted.engine), &privacy.regions) else {
        return;
    };
    if remote.region.as_ref().is_none_or(|region| !allowed.contains(region)) {
        let found = remote.region.as_ref().map_or("no region".to_owned(), |region| format!("\"{region}\""));
        let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
        let expected = format!("a region that [privacy] has in its regions: {}", allowed.join(", "));
        root.fault("recognition.region", format!("{found} for {}", remote.endpoint), expected);
    }
}

/// Refuses routes whose data is of another region than the recogniser that would hear it.
pub(super) fn check_regions_of(root: &mut Section<'_>, wanted: Option<&RecognitionSettings>, routes: &Routes) {
    let Some(Engine::Remote(remote)) = wanted.map(|wanted| &wanted.engine) else { return };
    for (number, route) in (1..).zip(&routes.0) {
        if let Some(region) = route.tags.region.as_ref().filter(|region| remote.region.as_ref() != Some(region)) {
            let there = remote.region.as_ref().map_or("no region".to_owned(), |region| format!("\"{region}\""));
            let expected = format!("the region of the recogniser {}: {there}", remote.endpoint);
            root.fault(&format!("route[{number}].region"), format!("\"{region}\""), expected);
        }
    }
}

/// `language` of the section or of a route.
pub(super) fn read_language(section: &mut Section<'_>) -> Option<Spoken> {
    section.read("language", "\"zh\", \"en\" or \"auto\"", |value| match value.as_str()? {
        "auto" => Some(Spoken::ByEar),
        code => Language::of_code(code).map(Spoken::Always),
    })
}

/// A list of 1-20 files; they start at the folder of the configuration.
pub(super) fn files(folder: &Path) -> impl Fn(&Value) -> Option<Vec<PathBuf>> {
    |value| {
        let files = list(FILES_MAX, text(4_096))(value).map(|files| in_folder(folder, &files))?;
        have_own_names(&files).then_some(files)
    }
}

/// Whether each file has a name of its own, its extension apart: by that it is read and replaced over the API.
pub(super) fn have_own_names(files: &[PathBuf]) -> bool {
    let names: BTreeSet<_> = files.iter().map(|file| file.file_stem()).collect();
    names.len() == files.len()
}

fn in_folder(folder: &Path, files: &[impl AsRef<Path>]) -> Vec<PathBuf> {
    files.iter().map(|file| folder.join(file)).collect()
}

#[cfg(test)]
mod tests {
    use routing::section::parse_table;

    use super::*;

    #[test]
    fn recognisers_elsewhere_are_read() {
        let Engine::Remote(read) = check("engine = \"funasr\"\nurl = \"asr.example:10095\"").expect("good") else {
            panic!("another engine")
        };
        let usual = Remote {
            protocol: Protocol::FunAsr,
            endpoint: Endpoint::parse("wss://asr.example:10095").expect("a URL"),
            authorities: None,
            region: None,
            answer: Duration::from_secs(10),
            confidence: 0.9,
            fallback: Some(Box::new(Engine::Phrases { library: None })),
        };
        assert_eq!(read, usual);
        let all = "engine = \"sherpa-onnx-server\"\nurl = \"wss://10.0.0.9:6006\"\nauthorities = \"ca.pem\"\nregion = \"cn\"\n\
             answer_s = 2.5\nconfidence = 0.5\nfallback = \"sherpa-onnx\"\nthreads = 2";
        let Engine::Remote(read) = check(all).expect("good") else { panic!("another engine") };
        let dictation = Dictation { threads: 2, boost: BOOST, ..Dictation::default() };
        let expected = Remote {
            protocol: Protocol::SherpaOnnx,
            endpoint: Endpoint::parse("wss://10.0.0.9:6006").expect("a URL"),
            authorities: Some("/etc/calmline/ca.pem".into()),
            region: Some("cn".to_owned()),
            answer: Duration::from_millis(2_500),
            confidence: 0.5,
            fallback: Some(Box::new(Engine::Dictation(dictation))),
        };
        assert_eq!(read, expected);
        let nobody = check("engine = \"funasr\"\nurl = \"127.0.0.1:1\"\nfallback = \"none\"").expect("good");
        assert!(nobody.local().is_none());
    }

    #[test]
    fn dictation_is_computed_where_it_is_said() {
        let options = |text: &str| match check(&format!("engine = \"sherpa-onnx\"\n{text}")).expect("good") {
            Engine::Dictation(dictation) => (dictation.options.device.to_string(), dictation.options.batch),
            other => panic!("another engine: {other:?}"),
        };
        assert_eq!(options(""), ("cpu".to_owned(), 64));
        assert_eq!(options("device = \"cuda:1\"\nbatch = 256"), ("cuda:1".to_owned(), 256));
        refuses("device = \"gpu\"", "recognition.device: found \"gpu\", expected \"cpu\", or \"cuda:0\" to");
        refuses("batch = 0", "recognition.batch: found 0, expected a number of 1-1024");
    }

    #[test]
    fn the_language_of_a_route_is_its_own_or_found_by_ear() {
        let (zh, en) = (Spoken::Always(Language::Mandarin), Spoken::Always(Language::English));
        for (route, section, language, by_ear) in [
            (en, zh, Language::English, false),
            (Spoken::ByEar, en, Language::English, true),
            (Spoken::ByEar, Spoken::ByEar, Language::Mandarin, true),
            (zh, Spoken::ByEar, Language::Mandarin, false),
        ] {
            assert_eq!(route.choice(section), LanguageChoice { language, by_ear });
        }
        refuses("language = \"fr\"", "expected \"zh\", \"en\" or \"auto\"");
        assert!(check("language = \"auto\"\npunctuation = false").is_ok());
    }

    #[test]
    fn the_model_that_comes_with_the_program_is_named() {
        assert_eq!(check("engine = \"built-in\""), Ok(Engine::BuiltIn { runtime: None }));
        assert_eq!(check(""), Ok(Engine::Phrases { library: None }));
    }

    #[test]
    fn files_that_are_named_have_names_of_their_own() {
        let name = |files: &str| check(&format!("phrases = {files}"));
        assert!(name("[\"a/zh.toml\", \"a/en.toml\"]").is_ok());
        let expected = "files' paths, each with a name of its own";
        refuses("phrases = [\"a/zh.toml\", \"b/zh.toml\"]", expected);
        refuses("phrases = [\"zh.toml\", \"zh.txt\"]", expected);
    }

    #[test]
    fn faults_of_recognisers_elsewhere() {
        refuses("engine = \"funasr\"", "recognition.url: found nothing, expected where the recogniser is");
        refuses("engine = \"funasr\"\nurl = \"https://asr.example\"", "recognition.url: found \"https://asr.example\"");
        refuses(
            "engine = \"funasr\"\nurl = \"ws://asr.example:1\"\nauthorities = \"ca.pem\"",
            "recognition.authorities: found no TLS to check by them, expected a URL with wss:// beside it",
        );
        refuses(
            "engine = \"funasr\"\nurl = \"asr.example:1\"\nfallback = \"funasr\"",
            "recognition.fallback: found \"funasr\", expected \"built-in\", \"pocketsphinx\", \"sherpa-onnx\" or \"none\"",
        );
        refuses("url = \"asr.example:1\"", "recognition.url: found \"asr.example:1\", expected no such key");
        refuses("engine = \"vosk\"", "\"funasr\" or \"sherpa-onnx-server\"");
    }

    fn check(text: &str) -> Result<Engine, String> {
        let table = parse_table(&format!("[recognition]\n{text}")).expect("TOML");
        let mut faults = Vec::new();
        let mut root = Section::root(&table, &mut faults);
        let read = read_recognition(root.section("recognition"), Path::new("/etc/calmline"));
        root.finish();
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        if told.is_empty() { Ok(read.expect("the section is there").engine) } else { Err(told.join("; ")) }
    }

    #[track_caller]
    fn refuses(text: &str, expected: &str) {
        let told = check(text).expect_err(expected);
        assert!(told.contains(expected), "{told}");
    }
}
