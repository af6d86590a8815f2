//! `[reports]`: which reports the server writes by itself, when, and where.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use routing::section::Section;
use toml::Value;

use super::Settings;
use super::mail::{ReportRecipient, read_recipients};
use super::read::path;
use crate::report::{Language, Period, ReportFormat};

/// When reports are written unless the file says otherwise: calls that came shortly before midnight are over then.
const AFTER_MIDNIGHT: Duration = Duration::from_secs(2 * 3_600);

/// Reports by the clock; the section's absence means that none are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportSettings {
    /// Where to.
    pub folder: PathBuf,
    /// How long after midnight.
    pub after_midnight: Duration,
    /// Of which times.
    pub periods: Vec<Period>,
    /// In which forms.
    pub formats: Vec<ReportFormat>,
    /// What is written for people, in which languages.
    pub languages: Vec<Language>,
    /// The font of printed ones; one of the system when nothing is said.
    pub font: Option<PathBuf>,
    /// Who is sent them, by name.
    pub to: BTreeMap<String, ReportRecipient>,
}

/// The section, and the font that printed reports are set in: they are written on demand, too.
pub(super) fn read_reports(mut section: Section<'_>, folder: &Path) -> (Option<ReportSettings>, Option<PathBuf>) {
    let enabled = section.read("enabled", "true or false", Value::as_bool);
    // Whoever writes the section wants it, unless it says otherwise.
    let enabled = enabled.unwrap_or(section.is_present());
    let reports = section.read("folder", "a folder's path", path(folder));
    let at = section.read("at", "a time of the day like \"02:00\"", time_of_day);
    let periods =
        section.read("periods", "some of \"day\", \"week\" and \"month\"", some_of(Period::ALL, Period::name));
    let formats = section.read(
        "formats",
        "some of \"html\", \"pdf\", \"csv\", \"json\" and \"xlsx\"",
        some_of(ReportFormat::ALL, ReportFormat::name),
    );
    let languages = section.read("languages", "\"zh\", \"en\", or both", some_of(Language::ALL, Language::name));
    let font = section.read("font", "a font file's path", path(folder));
    let to = read_recipients(section.section("to"));
    section.finish();
    let settings = enabled.then(|| ReportSettings {
        folder: reports.unwrap_or_else(|| folder.join("reports")),
        after_midnight: at.unwrap_or(AFTER_MIDNIGHT),
        periods: periods.unwrap_or_else(|| Period::ALL.to_vec()),
        formats: formats.unwrap_or_else(|| vec![ReportFormat::Html, ReportFormat::Csv]),
        languages: languages.unwrap_or_else(|| vec![Language::Zh]),
        font: font.clone(),
        to,
    });
    (settings, font)
}

/// `HH:MM`, as the time since midnight.
fn time_of_day(value: &Value) -> Option<Duration> {
    let (hour, minute) = value.as_str()?.split_once(':')?;
    let number = |text: &str, below: u64| {
        let is_plain = text.len() == 2 && text.bytes().all(|octet| octet.is_ascii_digit());
        text.parse::<u64>().ok().filter(|number| is_plain && *number < below)
    };
    Some(Duration::from_secs(number(hour, 24)? * 3_600 + number(minute, 60)? * 60))
}

/// A list of names, each once, one at least.
pub(super) fn some_of<T: Copy + PartialEq, const N: usize>(
    all: [T; N],
    name: impl Fn(T) -> &'static str,
) -> impl Fn(&Value) -> Option<Vec<T>> {
    move |value| {
        let mut found: Vec<T> = Vec::new();
        for wanted in value.as_array()? {
            let one = all.iter().copied().find(|one| wanted.as_str() == Some(name(*one)))?;
            if found.contains(&one) {
                return None;
            }
            found.push(one);
        }
        (!found.is_empty()).then_some(found)
    }
}

/// Which reports are never written and sent, because calls are not kept for so long.
pub(super) fn never_whole(settings: &Settings) -> Vec<String> {
    let (Some(reports), Some(store)) = (&settings.reports, &settings.store) else { return Vec::new() };
    let sent = reports.to.values().flat_map(|recipient| &recipient.periods);
    let wanted: Vec<Period> = reports.periods.iter().chain(sent).copied().collect();
    let kept = store.keep.calls.as_secs() / 86_400;
    let too_long = Period::ALL.into_iter().filter(|period| wanted.contains(period) && kept < period.days_kept_min());
    let line = |period: Period| {
        let (name, least) = (period.name(), period.days_kept_min());
        format!(
            "reports: none of a {name} is ever written or sent: store.keep_days is {kept}, expected {least} at least"
        )
    };
    too_long.map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_lists() {
        for (text, seconds) in [
            ("00:00", Some(0)),
            ("02:30", Some(9_000)),
            ("23:59", Some(86_340)),
            ("24:00", None),
            ("2:30", None),
            ("02:60", None),
            ("+2:30", None),
            ("", None),
        ] {
            assert_eq!(time_of_day(&Value::from(text)), seconds.map(Duration::from_secs), "{text}");
        }
        let read = |names: &[&str]| some_of(Period::ALL, Period::name)(&Value::from(names.to_vec()));
        assert_eq!(read(&["week", "day"]), Some(vec![Period::Week, Period::Day]));
        for wrong in [&[][..], &["year"], &["day", "day"]] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
