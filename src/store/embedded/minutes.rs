//! Minutes in which the server was up, and ready for calls: two bits each, a row for every day (UTC).
//!
//! Nothing of it says anything of anybody, so it is not sealed.

use std::ops::RangeInclusive;

use super::Embedded;
use crate::report::Minutes;
use crate::web::Moment;

/// Minutes of a day, and octets of its row: first the bits of being up, then those of being ready.
const MINUTES: u64 = 1_440;
const HALF: usize = (MINUTES / 8) as usize;
const MINUTE_MS: u64 = 60_000;
/// Rows are kept for so many days: as long as the audit trail has to be.
const DAYS_MAX: u64 = 6 * 366;

impl Embedded {
    /// Notes that the server is up in the minute of `now`, and whether it takes calls.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn note_minute(&self, now: Moment, ready: bool) -> Result<(), String> {
        let minute = now.0 / MINUTE_MS;
        let (day, at) = (minute / MINUTES, (minute % MINUTES) as usize);
        let mut row = self.own_row(day)?;
        row[at / 8] |= 1 << (at % 8);
        row[HALF + at / 8] |= u8::from(ready) << (at % 8);
        self.marks.insert(key_of(day), row)?;
        self.site().map_or(Ok(()), |site| site.keep_minutes(day, &row))?;
        day.checked_sub(DAYS_MAX).map_or(Ok(()), |old| self.marks.remove(key_of(old)))
    }

    /// What is known of the minutes in which it, or any node of its site, was up, from `from` on and before `before`, as of `now`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn minutes(&self, from: Moment, before: Moment, now: Moment) -> Result<Minutes, String> {
        let Some(first) = self.first_minute()? else { return Ok(Minutes::default()) };
        let (begin, end) = ((from.0 / MINUTE_MS).max(first), (before.0 / MINUTE_MS).min(now.0 / MINUTE_MS));
        let mut minutes = Minutes { known: end.saturating_sub(begin), ..Minutes::default() };
        let days: RangeInclusive<u64> = begin / MINUTES..=end.saturating_sub(1) / MINUTES;
        for day in days.filter(|_| begin < end) {
            let row = self.row(day)?;
            let of_day = (day * MINUTES).max(begin)..((day + 1) * MINUTES).min(end);
            for at in of_day.map(|minute| (minute % MINUTES) as usize) {
                let bit = |offset: usize| u64::from(row[offset + at / 8] >> (at % 8) & 1);
                minutes.up += bit(0);
                minutes.ready += bit(HALF);
            }
        }
        Ok(minutes)
    }

    /// The first minute that was ever noted.
    fn first_minute(&self) -> Result<Option<u64>, String> {
        let first = match self.site() {
            Some(site) => site.first_day()?,
            None => {
                let first = self.marks.scan_prefix(PREFIX).next().transpose()?;
                first.map(|(key, _)| key.last_chunk().map(|day| u64::from_be_bytes(*day)).unwrap_or_default())
            }
        };
        let Some(day) = first else { return Ok(None) };
        let row = self.row(day)?;
        let at = row.iter().take(HALF).enumerate().find(|(_, bits)| **bits != 0);
        let at = at.map(|(octet, bits)| octet as u64 * 8 + u64::from(bits.trailing_zeros()));
        Ok(at.map(|at| day * MINUTES + at))
    }

    /// A day's row; of a site, a minute of any node's is one of all.
    fn row(&self, day: u64) -> Result<[u8; 2 * HALF], String> {
        let Some(site) = self.site() else { return self.own_row(day) };
        let mut all = [0; 2 * HALF];
        for row in site.minutes(day)? {
            all.iter_mut().zip(&row).for_each(|(all, own)| *all |= own);
        }
        Ok(all)
    }

    fn own_row(&self, day: u64) -> Result<[u8; 2 * HALF], String> {
        let row = self.marks.get(key_of(day))?;
        Ok(row.and_then(|row| row.try_into().ok()).unwrap_or([0; 2 * HALF]))
    }
}

const PREFIX: &[u8] = b"minutes ";

fn key_of(day: u64) -> Vec<u8> {
    [PREFIX, &day.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::super::tests::Place;
    use super::*;

    #[test]
    fn minutes_are_counted_over_midnight_and_over_openings() {
        Place::each().iter().for_each(check);
    }

    fn check(place: &Place) {
        let store = place.open();
        // The second day begins after 1,440 minutes.
        let at = |minute: u64| Moment(minute * MINUTE_MS + 30_000);
        let minutes = |store: &Embedded, from: u64, before: u64, now: u64| {
            let Minutes { known, up, ready } = store.minutes(at(from), at(before), at(now)).expect("readable");
            (known, up, ready)
        };
        assert_eq!(minutes(&store, 0, 100, 100), (0, 0, 0), "nothing is known");
        for minute in 1_430..1_436 {
            store.note_minute(at(minute), minute != 1_432).expect("written");
        }
        let store = place.open_again(store);
        for minute in 1_440..1_445 {
            store.note_minute(at(minute), true).expect("written");
            store.note_minute(at(minute), false).expect("written");
        }
        assert_eq!(minutes(&store, 0, 2_880, 1_450), (20, 11, 10), "from the first that was noted, up to now");
        assert_eq!(minutes(&store, 1_440, 2_880, 1_450), (10, 5, 5));
        assert_eq!(minutes(&store, 1_431, 1_434, 9_999), (3, 3, 2));
        assert_eq!(minutes(&store, 0, 1_430, 9_999), (0, 0, 0));
    }
}
