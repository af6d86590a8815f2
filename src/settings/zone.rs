//! The time zone of the service: which hour and day it is there.
//!
//! The zones' rules come with the program; those of the machine are taken where they are there, for they may be newer.

use std::fmt;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use routing::{Day, LocalTime};

/// A named time zone, e.g. `Asia/Shanghai`.
#[derive(Clone, PartialEq)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone of that name in the IANA time zone database.
    pub fn named(name: &str) -> Option<Zone> {
        TimeZone::get(name).ok().map(Zone)
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
        write!(f, "Zone({})", self.0.iana_name().unwrap_or("?"))
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
}
