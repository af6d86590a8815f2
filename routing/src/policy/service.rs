//! How callers are to be served by mood, the texts for that, and which calls are served in which of two ways.

use std::time::Duration;

use super::then::{PROMPT_FILE, prompt_file};
use super::{File, NAME, SAYING_CHARS_MAX, choice, is_saying, one_of};
use crate::section::{Section, list, name, number, text, whole};
use crate::{Action, Emotion, Language, Level, Serve, ServedBy, Texts, words};

/// One `[[service]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// The mood that it is for; `None`: the usual one, for every other mood.
    pub mood: Option<Mood>,
    /// Only in calls of this scenario.
    pub scenario: Option<String>,
    /// How long the mood must have held.
    pub lasted: Duration,
    /// How the caller is served.
    pub serve: Serve,
    /// What that is for.
    pub purpose: Option<Purpose>,
}

/// A mood that a service is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mood {
    /// This emotion leads; anger at this level or above.
    Feels(Emotion, Level),
    /// Words of one of these categories of the lexicons were used not long ago.
    Uses(Vec<String>),
}

/// One `[[script]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// Unique among the policy's scripts.
    pub id: String,
    /// Its text by language.
    pub texts: Texts,
    /// The files in which it has been recorded, by language; each of them has a text, too.
    pub sounds: Texts,
}

/// The `[split]`: a comparison of two ways, told apart by a hash that stays the same from call to call.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// Its name; another name deals the calls out anew.
    pub id: String,
    /// How many of the calls get the treatment, 0-1.
    pub share: f64,
    /// Whether a caller stays in one group from call to call, as far as callers can be told apart.
    pub by_caller: bool,
}

/// The two groups of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Served as before.
    Control,
    /// Served in the new way.
    Treatment,
}

words!(Group: Control = "control", Treatment = "treatment");

/// What a rule or a service is for, the mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// The caller is told how things stand.
    Inform,
    /// The caller is soothed.
    Soothe,
    /// The caller gets fewer steps at a time.
    Simplify,
    /// The caller is offered a call back.
    CallBack,
    /// A person is told.
    Alert,
    /// A person takes over.
    Human,
}

words!(Purpose: Inform = "inform", Soothe = "soothe", Simplify = "simplify", CallBack = "call_back", Alert = "alert", Human = "human");

impl Purpose {
    /// What actions are for whose rule does not say.
    pub(crate) fn of(actions: &[Action]) -> Option<Purpose> {
        let purpose = |action: &Action| match action {
            Action::Reroute { .. } => Some(Purpose::Human),
            Action::Alert { .. } | Action::Notify { .. } => Some(Purpose::Alert),
            Action::Prompt { .. } | Action::Say { .. } | Action::Script { .. } | Action::Announce { .. } => {
                Some(Purpose::Soothe)
            }
            Action::Serve(_) | Action::SecureInput(_) => None,
        };
        actions.iter().filter_map(purpose).max()
    }
}

impl Split {
    /// The group of a call. `caller` stands for the caller where one is known, `call` is the call's id.
    pub fn group(&self, caller: Option<&str>, call: &str) -> Group {
        let key = caller.filter(|_| self.by_caller).unwrap_or(call);
        let hash = stable_hash([self.id.as_bytes(), &[0], key.as_bytes()]);
        // The upper 53 bits are a fraction of 1 without rounding.
        let dealt = (hash >> 11) as f64 / (1u64 << 53) as f64;
        if dealt < self.share { Group::Treatment } else { Group::Control }
    }

    /// One of its groups in words, e.g. `wording: control`.
    pub fn in_words(&self, group: Group) -> String {
        format!("{}: {}", self.id, group.as_str())
    }
}

/// FNV-1a of 64 bits over all pieces, then the finaliser of SplitMix64, without which short keys cluster.
///
/// Never changed: it would move callers from one group to the other.
fn stable_hash<const N: usize>(pieces: [&[u8]; N]) -> u64 {
    let bytes = pieces.into_iter().flatten();
    let hash = bytes
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

pub(super) fn read_split(root: &mut Section<'_>) -> Option<Split> {
    let mut section = root.section("split");
    if !section.is_present() {
        return None;
    }
    let id = section.need("id", NAME, name);
    let share = section.need("share", "a number from 0 to 1: the part of the calls that is treated", number(0.0..=1.0));
    let by = "\"caller\" (one caller, one group) or \"call\"";
    let by = section.read("by", by, |value| ["caller", "call"].into_iter().find(|word| value.as_str() == Some(word)));
    section.finish();
    Some(Split { id: id?, share: share?, by_caller: by != Some("call") })
}

/// Where the recording of a script stands.
fn audio_key(language: Language) -> &'static str {
    match language {
        Language::Mandarin => "zh_audio",
        Language::English => "en_audio",
    }
}

pub(super) fn read_scripts(root: &mut Section<'_>) -> Vec<Script> {
    let mut scripts: Vec<Script> = Vec::new();
    root.each("script", |section| {
        let id = section.need("id", NAME, name);
        let (mut texts, mut sounds) = (Texts::new(), Texts::new());
        for language in Language::ALL {
            let expected =
                format!("1-{SAYING_CHARS_MAX} characters on one line; {{NAME}} stands for a header of the INVITE");
            let read = section.read(language.as_str(), expected, |value| {
                text(SAYING_CHARS_MAX)(value).filter(|text| is_saying(text))
            });
            texts.extend(read.map(|text| (language, text)));
            let key = audio_key(language);
            let file = section.read(key, PROMPT_FILE, prompt_file);
            if file.is_some() && !section.has(language.as_str()) {
                let expected = format!("{} beside it: what the recording says, for chats", language.as_str());
                section.fault(key, "it without a text", expected);
            }
            sounds.extend(file.map(|file| (language, file)));
        }
        if !Language::ALL.iter().any(|language| section.has(language.as_str())) {
            section.fault("", "no text", one_of(&Language::ALL, Language::as_str));
        }
        let Some(id) = id else { return };
        if scripts.iter().any(|script| script.id == id) {
            section.fault("id", format!("\"{id}\", which stands above already"), "an id of its own");
        }
        scripts.push(Script { id, texts, sounds });
    });
    if scripts.len() > super::RULES_MAX {
        root.fault("script", format!("{} of them", scripts.len()), format!("at most {}", super::RULES_MAX));
    }
    scripts
}

pub(super) fn read_services(root: &mut Section<'_>, file: &File) -> Vec<Service> {
    let mut services = Vec::new();
    root.each("service", |section| services.extend(read_service(section, file)));
    services
}

fn read_service(section: &mut Section<'_>, file: &File) -> Option<Service> {
    let id = section.need("id", NAME, name);
    let has_mood = section.has("when");
    let mut when = section.section("when");
    let (mut mood, mut lasted, mut scenario) = (None, None, None);
    if when.is_present() {
        scenario = when.read("scenario", NAME, name);
        file.check_scenario(&mut when, scenario.as_ref());
        mood = read_mood(&mut when);
        lasted = when.read("lasted_s", "seconds, 0-3600", number(0.0..=3600.0)).map(Duration::from_secs_f64);
    }
    when.finish();
    let by = one_of(&ServedBy::ALL, ServedBy::as_str);
    let served_by = section.need("served_by", by, choice(&ServedBy::ALL, ServedBy::as_str));
    let priority = section.read("priority", "a whole number from 1 (first) to 9 (last)", whole(1..=9)).unwrap_or(5);
    let skill = section.read("skill", NAME, name);
    let script = section.read("script", "the id of a [[script]]", name);
    if let Some(id) = &script {
        file.texts(section, "script", id);
    }
    let tone = section.read("tone", NAME, name);
    let simplify = section.read("simplify", "true or false", toml::Value::as_bool).unwrap_or(false);
    let purpose = read_purpose(section);
    let serve =
        Serve { id: id?, served_by: served_by?, priority: u8::try_from(priority).ok()?, skill, script, tone, simplify };
    let mood = if has_mood { Some(mood?) } else { None };
    let usual = if matches!(mood, Some(Mood::Uses(_))) { Duration::ZERO } else { LASTED };
    Some(Service { mood, scenario, lasted: lasted.unwrap_or(usual), serve, purpose })
}

fn read_mood(when: &mut Section<'_>) -> Option<Mood> {
    let words = when.read("words", "a list of 1-20 categories of the lexicons", list(20, name));
    if when.has("words") {
        for key in ["emotion", "level"] {
            if when.has(key) {
                when.fault(key, "it beside words", "either an emotion or words");
            }
            when.read(key, "", Some);
        }
        return words.map(Mood::Uses);
    }
    let emotions = one_of(&Emotion::ALL, Emotion::as_str);
    let emotion = when.need("emotion", emotions, choice(&Emotion::ALL, Emotion::as_str));
    let level = when.read("level", one_of(&Level::ALL, Level::as_str), choice(&Level::ALL, Level::as_str));
    if emotion.is_some_and(|emotion| emotion != Emotion::Anger) && when.has("level") {
        when.fault("level", "it beside another emotion", "emotion = \"anger\": levels are those of anger");
    }
    Some(Mood::Feels(emotion?, level.unwrap_or(Level::Low)))
}

/// What a rule or a service is for, where it says so.
pub(super) fn read_purpose(section: &mut Section<'_>) -> Option<Purpose> {
    section.read("purpose", one_of(&Purpose::ALL, Purpose::as_str), choice(&Purpose::ALL, Purpose::as_str))
}

/// How long a mood must have held before the service follows, unless the policy says otherwise.
const LASTED: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    fn split(id: &str, share: f64, by_caller: bool) -> Split {
        Split { id: id.to_owned(), share, by_caller }
    }

    #[test]
    fn groups_never_change() {
        // Literals: another hash would move callers between the groups of a comparison that runs.
        assert_eq!(stable_hash([b"wording", &[0], b"7"]), 16_429_567_879_507_350_036);
        let split = split("wording", 0.5, true);
        let treated: Vec<u32> = (0..12).filter(|n| split.group(Some(&n.to_string()), "") == Group::Treatment).collect();
        assert_eq!(treated, [0, 3, 4, 6, 8, 10]);
    }

    #[test]
    fn shares_are_kept() {
        for share in [0.0, 0.1, 0.5, 1.0] {
            let split = split("a", share, false);
            let treated = (0..20_000).filter(|n| split.group(None, &format!("call-{n}")) == Group::Treatment).count();
            let found = treated as f64 / 20_000.0;
            assert!((found - share).abs() < 0.015, "{found} instead of {share}");
        }
    }

    #[test]
    fn callers_stay_in_their_group() {
        let own = split("a", 0.5, true);
        let of = |caller: Option<&str>, call: &str| own.group(caller, call);
        assert!((0..50).all(|n| of(Some("li"), &n.to_string()) == of(Some("li"), "x")));
        let by_call = split("a", 0.5, false);
        assert!((0..50).any(|n| by_call.group(Some("li"), &n.to_string()) != by_call.group(Some("li"), "x")));
        // Another comparison deals out anew.
        let other = split("b", 0.5, true);
        assert!((0..50).any(|n| other.group(Some(&n.to_string()), "") != of(Some(&n.to_string()), "")));
    }
}
