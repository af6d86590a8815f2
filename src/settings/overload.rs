//! `[limits.overload]`: from what load on listening is spared, new calls are refused, and running ones led past us.

use std::ops::RangeInclusive;
use std::time::Duration;

use routing::section::{Section, whole};
use toml::Value;

use super::read::span;

/// What is measured of the load, twice a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// How late 5 % of the media ticks of the last 2 s ran, or later: milliseconds.
    Lateness,
    /// What the program took of the processors it may use, in the last 2 s: percent.
    Cpu,
    /// How full the queue of packets is that wait to be listened to: percent.
    Backlog,
    /// How full the fullest queue of call control is: percent.
    Queue,
    /// Datagrams of the last 2 s that the system did not take: percent.
    Unsent,
}

impl Measure {
    /// All of them.
    pub const ALL: [Measure; 5] = [Measure::Lateness, Measure::Cpu, Measure::Backlog, Measure::Queue, Measure::Unsent];

    /// Its key of the configuration, with the unit.
    pub fn key(self) -> &'static str {
        match self {
            Measure::Lateness => "late_ms",
            Measure::Cpu => "cpu_percent",
            Measure::Backlog => "backlog_percent",
            Measure::Queue => "queue_percent",
            Measure::Unsent => "unsent_percent",
        }
    }

    fn range(self) -> RangeInclusive<i64> {
        match self {
            Measure::Lateness => 1..=1_000,
            Measure::Cpu | Measure::Backlog | Measure::Queue | Measure::Unsent => 1..=100,
        }
    }

    fn usual(self) -> Thresholds {
        let (spare, refuse) = match self {
            Measure::Lateness => (5, 20),
            Measure::Cpu => (80, 95),
            Measure::Backlog | Measure::Queue => (25, 75),
            Measure::Unsent => (1, 5),
        };
        Thresholds { spare: Some(spare), refuse: Some(refuse) }
    }
}

/// From where on something is done about one measure, in its unit; `None`: never.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// Listening is spared.
    pub spare: Option<u16>,
    /// New calls are refused.
    pub refuse: Option<u16>,
}

/// What is done about which load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverloadSettings {
    /// Off: the load is shown and nothing is done about it.
    pub enabled: bool,
    /// In the order of [`Measure::ALL`].
    pub thresholds: [Thresholds; Measure::ALL.len()],
    /// How long every measure has to stay below four fifths of a threshold until less is done; new calls are then let in
    /// again little by little, in the same time.
    pub calm: Duration,
    /// How long an overload has to last until running calls are led past us whose routes allow it.
    pub bypass_after: Duration,
    /// How many calls are led past us or taken back in a second, at most; above zero.
    pub bypass_per_s: u32,
    /// How long the load has to be normal until they are taken back.
    pub bypass_calm: Duration,
}

impl Default for OverloadSettings {
    fn default() -> Self {
        OverloadSettings {
            enabled: true,
            thresholds: Measure::ALL.map(Measure::usual),
            calm: Duration::from_secs(5),
            bypass_after: Duration::from_secs(10),
            bypass_per_s: 5,
            bypass_calm: Duration::from_secs(60),
        }
    }
}

impl OverloadSettings {
    /// The thresholds of one measure.
    pub fn of(&self, measure: Measure) -> Thresholds {
        self.thresholds[measure as usize]
    }
}

pub(super) fn read_overload(mut section: Section<'_>) -> OverloadSettings {
    let default = OverloadSettings::default();
    let settings = OverloadSettings {
        enabled: section.read("enabled", "true or false", Value::as_bool).unwrap_or(default.enabled),
        thresholds: Measure::ALL.map(|measure| {
            let range = measure.range();
            let expected = format!(
                "[SPARE, REFUSE]: up to two whole numbers from {} to {}, the second not below the first",
                range.start(),
                range.end()
            );
            section.read(measure.key(), expected, thresholds(range)).unwrap_or(measure.usual())
        }),
        calm: span(&mut section, "calm_s", 1..=3_600).unwrap_or(default.calm),
        bypass_after: span(&mut section, "bypass_after_s", 1..=3_600).unwrap_or(default.bypass_after),
        bypass_per_s: section
            .read("bypass_per_s", "a whole number from 1 to 1000", whole(1..=1_000))
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or(default.bypass_per_s),
        bypass_calm: span(&mut section, "bypass_calm_s", 1..=86_400).unwrap_or(default.bypass_calm),
    };
    section.finish();
    settings
}

fn thresholds(range: RangeInclusive<i64>) -> impl Fn(&Value) -> Option<Thresholds> {
    move |value| {
        let written = value.as_array().filter(|written| written.len() <= 2)?;
        let number = |value: &Value| {
            let number = value.as_integer().filter(|number| range.contains(number))?;
            u16::try_from(number).ok()
        };
        let numbers: Option<Vec<u16>> = written.iter().map(number).collect();
        let numbers = numbers.filter(|numbers| numbers.is_sorted())?;
        Some(Thresholds { spare: numbers.first().copied(), refuse: numbers.get(1).copied() })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::settings::Settings;

    #[test]
    fn nothing_said_is_the_usual() {
        assert_eq!(read(""), Ok(OverloadSettings::default()));
        assert_eq!(read("[limits]\ncalls = 3\n"), Ok(OverloadSettings::default()));
    }

    #[test]
    fn two_thresholds_one_or_none() {
        let text = "[limits.overload]\nenabled = false\nlate_ms = [2, 1000]\ncpu_percent = [50]\nbacklog_percent = []\n\
                    calm_s = 9\nbypass_after_s = 30\nbypass_per_s = 2\nbypass_calm_s = 600\n";
        let settings = read(text).expect("good");
        assert_eq!((settings.enabled, settings.calm), (false, Duration::from_secs(9)));
        let bypass = (settings.bypass_after, settings.bypass_per_s, settings.bypass_calm);
        assert_eq!(bypass, (Duration::from_secs(30), 2, Duration::from_secs(600)));
        let of = |measure| (settings.of(measure).spare, settings.of(measure).refuse);
        assert_eq!(of(Measure::Lateness), (Some(2), Some(1_000)));
        assert_eq!(of(Measure::Cpu), (Some(50), None));
        assert_eq!(of(Measure::Backlog), (None, None));
        assert_eq!(of(Measure::Queue), (Some(25), Some(75)));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (line, expected) in [
            (
                "cpu_percent = [90, 80]",
                "limits.overload.cpu_percent: found [90, 80], expected [SPARE, REFUSE]: up to two whole numbers from 1 \
                 to 100, the second not below the first",
            ),
            (
                "late_ms = [0]",
                "limits.overload.late_ms: found [0], expected [SPARE, REFUSE]: up to two whole numbers from 1 to 1000, \
                 the second not below the first",
            ),
            ("bypass_per_s = 0", "limits.overload.bypass_per_s: found 0, expected a whole number from 1 to 1000"),
            ("calm_s = 0", "limits.overload.calm_s: found 0, expected whole seconds from 1 to 3600"),
        ] {
            assert_eq!(read(&format!("[limits.overload]\n{line}\n")), Err(format!("calmline.toml: {expected}")));
        }
    }

    fn read(text: &str) -> Result<OverloadSettings, String> {
        let settings = Settings::parse(text, Path::new("calmline.toml"));
        let faults = |faults: Vec<super::super::Fault>| faults.iter().map(ToString::to_string).collect::<String>();
        settings.map(|settings| settings.limits.overload).map_err(faults)
    }
}
