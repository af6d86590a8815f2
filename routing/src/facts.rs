//! What is known of a call besides what is heard in it: customer and order facts, and the local time.
//!
//! Knows no clock: whoever does says what time it is.

use std::fmt;

use crate::words;

/// Facts of one call at a time; further ones are refused.
pub const FACTS_MAX: usize = 64;
/// Characters of a fact that is a text.
pub const FACT_CHARS_MAX: usize = 100;

/// What a fact says.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// A word or a code, 1-[`FACT_CHARS_MAX`] characters on one line.
    Text(String),
    /// A finite number.
    Number(f64),
    /// Yes or no.
    Flag(bool),
}

impl Fact {
    /// Whether it keeps to the limits.
    pub fn is_well_formed(&self) -> bool {
        match self {
            Fact::Text(text) => {
                let fits = !text.trim().is_empty() && text.chars().count() <= FACT_CHARS_MAX;
                fits && !text.chars().any(char::is_control)
            }
            Fact::Number(number) => number.is_finite(),
            Fact::Flag(_) => true,
        }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fact::Text(text) => f.write_str(text),
            Fact::Number(number) => write!(f, "{number}"),
            Fact::Flag(flag) => write!(f, "{flag}"),
        }
    }
}

/// Whether `name` can name a fact: `customer.` or `order.`, then 1-32 of `a`-`z`, `0`-`9` and `_`.
pub fn is_fact_name(name: &str) -> bool {
    let Some((kind, rest)) = name.split_once('.') else { return false };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    FACT_KINDS.contains(&kind) && (1..=32).contains(&rest.len()) && rest.bytes().all(plain)
}

/// Whom facts are about.
pub const FACT_KINDS: [&str; 2] = ["customer", "order"];

/// The days of a week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Day {
    /// Monday.
    Monday,
    /// Tuesday.
    Tuesday,
    /// Wednesday.
    Wednesday,
    /// Thursday.
    Thursday,
    /// Friday.
    Friday,
    /// Saturday.
    Saturday,
    /// Sunday.
    Sunday,
}

words!(Day: Monday = "mon", Tuesday = "tue", Wednesday = "wed", Thursday = "thu", Friday = "fri", Saturday = "sat", Sunday = "sun");

/// A minute of a week, where the service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalTime {
    /// The day.
    pub day: Day,
    /// Minutes since midnight, 0-1439.
    pub minute: u16,
}

impl LocalTime {
    /// What it will be `seconds` later, without changes of the clock on the way.
    pub fn after(self, seconds: u64) -> LocalTime {
        let minutes = self.day as u64 * DAY_MINUTES + u64::from(self.minute) + seconds / 60;
        let day = Day::ALL[(minutes / DAY_MINUTES % 7) as usize];
        LocalTime { day, minute: (minutes % DAY_MINUTES) as u16 }
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:02}:{:02}", self.day.as_str(), self.minute / 60, self.minute % 60)
    }
}

/// A part of a day, e.g. `09:00-18:00`; past midnight when it ends before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeSpan {
    /// Its first minute.
    pub from: u16,
    /// The first minute after it, 1-1440.
    pub until: u16,
}

impl TimeSpan {
    /// Reads `HH:MM-HH:MM`; `24:00` may end it.
    pub fn parse(text: &str) -> Option<TimeSpan> {
        let (from, until) = text.split_once('-')?;
        let (from, until) = (minute_of(from)?, minute_of(until)?);
        (from < 1_440 && until > 0 && from != until).then_some(TimeSpan { from, until })
    }

    /// Whether a minute of a day is in it.
    pub fn contains(self, minute: u16) -> bool {
        if self.from < self.until {
            (self.from..self.until).contains(&minute)
        } else {
            minute >= self.from || minute < self.until
        }
    }
}

/// Reads `HH:MM` as minutes since midnight, at most 24:00.
pub(crate) fn minute_of(text: &str) -> Option<u16> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let two = |digits: &str| {
        let plain = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
        plain.then(|| digits.parse::<u16>().ok()).flatten()
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= 1_440).then_some(minute)
}

const DAY_MINUTES: u64 = 1_440;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_may_pass_midnight() {
        let inside = |span: &str, time: &str| TimeSpan::parse(span).expect(span).contains(minute_of(time).expect(time));
        assert!(inside("09:00-18:00", "09:00") && !inside("09:00-18:00", "18:00"));
        assert!(inside("22:00-06:00", "23:59") && inside("22:00-06:00", "05:59") && !inside("22:00-06:00", "06:00"));
        assert!(inside("00:00-24:00", "23:59"));
        for wrong in ["9:00-18:00", "09:00", "09:00-09:00", "24:00-06:00", "09:60-10:00", "25:00-26:00", "+9:00-10:00"]
        {
            assert_eq!(TimeSpan::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn weeks_go_round() {
        let sunday = LocalTime { day: Day::Sunday, minute: 1_439 };
        assert_eq!(sunday.after(59).to_string(), "sun 23:59");
        assert_eq!(sunday.after(60).to_string(), "mon 00:00");
        assert_eq!(sunday.after(8 * 86_400).to_string(), "mon 23:59");
    }

    #[test]
    fn facts_are_about_customers_and_orders() {
        for name in ["customer.tier", "order.state_2"] {
            assert!(is_fact_name(name), "{name}");
        }
        for name in ["tier", "customer.", "customer.Tier", "weather.rain", "order.a.b", "order.名"] {
            assert!(!is_fact_name(name), "{name}");
        }
        assert!(!Fact::Number(f64::NAN).is_well_formed());
        assert!(!Fact::Text("a\nb".to_owned()).is_well_formed());
    }
}
