//! The time zone of the service: which hour and day it is there.
//!
//! The zones' rules come with the program; those of the machine are taken where they are there, for they may be newer.

use std::fmt;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use routing::{Day, LocalTime};

use crate::web::Moment;

/// A named time zone, e.g. `Asia/Shanghai`.
#[derive(Clone, PartialEq)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone of that name in the IANA time zone database.
    pub fn named(name: &str) -> Option<Zone> {
        TimeZone::get(name).ok().map(Zone)
    }

    /// The zone of the calendar that all others count from.
    pub fn utc() -> Zone {
        Zone(TimeZone::UTC)
    }

    /// Its name, e.g. `Asia/Shanghai`.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// When a day begins there, and when the next one does; `None` beyond the years that are known.
    pub fn day(&self, day: Date) -> Option<(Moment, Moment)> {
        let begins = |day: Date| {
            let begins = day.to_zoned(self.0.clone()).ok()?.timestamp().as_millisecond();
            u64::try_from(begins).ok().map(Moment)
        };
        Some((begins(day)?, begins(day.tomorrow().ok()?)?))
    }

    /// The hour there, 0-23.
    pub fn hour(&self, moment: Moment) -> u8 {
        let timestamp = i64::try_from(moment.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        timestamp.map_or(0, |timestamp| timestamp.to_zoned(self.0.clone()).hour().unsigned_abs())
    }

    /// Which day it was there so long before now.
    pub fn date_after(&self, after_midnight: std::time::Duration) -> Date {
        let span = jiff::SignedDuration::try_from(after_midnight).unwrap_or_default();
        Timestamp::now().checked_sub(span).unwrap_or_default().to_zoned(self.0.clone()).date()
    }

    /// Which day it is there.
    pub fn today(&self) -> Date {
        Timestamp::now().to_zoned(self.0.clone()).date()
    }

    /// The time there at `time`; `None` beyond the years that are known.
    pub fn local(&self, time: SystemTime) -> Option<LocalTime> {
        let local = Timestamp::try_from(time).ok()?.to_zoned(self.0.clone());
        let day = Day::ALL[usize::try_from(local.weekday().to_monday_zero_offset()).ok()?];
        let minute = u16::try_from(local.hour()).ok()? * 60 + u16::try_from(local.minute()).ok()?;
        Some(LocalTime { day, minute })
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_is_not_the_same_time_everywhere() {
        // 2026-03-29 00:59:30 and 01:00:30 UTC: the clock springs forward in Berlin between the two.
        for (unix_s, zone, local) in [
            (1_774_745_970, "Asia/Shanghai", "sun 08:59"),
            (1_774_745_970, "Europe/Berlin", "sun 01:59"),
            (1_774_746_030, "Europe/Berlin", "sun 03:00"),
            (1_774_746_030, "America/New_York", "sat 21:00"),
        ] {
            let zone_found = Zone::named(zone).expect(zone);
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(unix_s);
            assert_eq!(zone_found.local(time).expect("a year that is known").to_string(), local, "{zone}");
        }
        assert!(Zone::named("Mars/Olympus").is_none());
    }

    #[test]
    fn days_are_as_long_as_they_are_there() {
        for (zone, day, begins, hours) in [
            ("UTC", "2026-11-26", "2026-11-26T00:00:00.000Z", 24),
            ("Asia/Shanghai", "2026-11-26", "2026-11-25T16:00:00.000Z", 24),
            // The clock springs forward, and falls back.
            ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00:00.000Z", 23),
            ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00:00.000Z", 25),
            ("America/New_York", "2026-03-08", "2026-03-08T05:00:00.000Z", 23),
        ] {
            let zone = Zone::named(zone).expect("a zone");
            let (from, before) = zone.day(day.parse().expect("a day")).expect("a year that is known");
            assert_eq!((from.to_string().as_str(), before.0 - from.0), (begins, hours * 3_600_000), "{day}");
            assert_eq!((zone.hour(from), zone.hour(Moment(before.0 - 1))), (0, 23), "{day}");
        }
    }
}
