//! The times that reports are of.

use jiff::civil::Date;
use jiff::{Span, ToSpan};

/// The time of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Period {
    /// One day.
    Day,
    /// Monday to Sunday.
    Week,
    /// A month of the calendar.
    Month,
}

impl Period {
    /// All of them, the shortest first.
    pub const ALL: [Period; 3] = [Period::Day, Period::Week, Period::Month];

    /// Its name in configurations and file names.
    pub fn name(self) -> &'static str {
        match self {
            Period::Day => "day",
            Period::Week => "week",
            Period::Month => "month",
        }
    }

    /// For how many days calls must be kept so that each of them is whole when it is over and its report is written.
    pub fn days_kept_min(self) -> u64 {
        match self {
            Period::Day => 2,
            Period::Week => 8,
            Period::Month => 32,
        }
    }

    /// The days of the one that `date` is in, in order.
    ///
    /// # Errors
    /// Beyond the years that are known.
    pub fn days(self, date: Date) -> Result<Vec<Date>, jiff::Error> {
        let first = self.first(date)?;
        let count = match self {
            Period::Day => 1,
            Period::Week => 7,
            Period::Month => usize::try_from(date.days_in_month()).unwrap_or(31),
        };
        Ok(first.series(1.day()).take(count).collect())
    }

    /// The first days of the last `count` that are over when `today` begins, the oldest first.
    ///
    /// # Errors
    /// As [`Period::days`].
    pub fn over(self, today: Date, count: i64) -> Result<Vec<Date>, jiff::Error> {
        let now = self.first(today)?;
        (1..=count).rev().map(|back| now.checked_sub(self.span(back))).collect()
    }

    /// What the one that begins on `first` is called: `2026-11-26`, `2026-W48` (ISO 8601), `2026-11`.
    pub fn title(self, first: Date) -> String {
        match self {
            Period::Day => first.to_string(),
            Period::Week => {
                let week = first.iso_week_date();
                format!("{:04}-W{:02}", week.year(), week.week())
            }
            Period::Month => first.strftime("%Y-%m").to_string(),
        }
    }

    fn first(self, date: Date) -> Result<Date, jiff::Error> {
        match self {
            Period::Day => Ok(date),
            Period::Week => date.checked_sub(i64::from(date.weekday().to_monday_zero_offset()).days()),
            Period::Month => Ok(date.first_of_month()),
        }
    }

    fn span(self, count: i64) -> Span {
        match self {
            Period::Day => count.days(),
            Period::Week => count.weeks(),
            Period::Month => count.months(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().expect("a day")
    }

    #[test]
    fn times_have_their_days() {
        for (period, date, first, last, count, title) in [
            (Period::Day, "2026-11-26", "2026-11-26", "2026-11-26", 1, "2026-11-26"),
            (Period::Week, "2026-11-26", "2026-11-23", "2026-11-29", 7, "2026-W48"),
            (Period::Week, "2027-01-01", "2026-12-28", "2027-01-03", 7, "2026-W53"),
            (Period::Month, "2028-02-29", "2028-02-01", "2028-02-29", 29, "2028-02"),
            (Period::Month, "2026-11-26", "2026-11-01", "2026-11-30", 30, "2026-11"),
        ] {
            let days = period.days(day(date)).expect("days");
            let ends = [days.first(), days.last()].map(|day| day.expect("one at least").to_string());
            assert_eq!((ends, days.len()), ([first.to_owned(), last.to_owned()], count), "{period:?} of {date}");
            assert_eq!(period.title(days[0]), title);
        }
    }

    #[test]
    fn what_is_over_ends_before_today() {
        for (period, today, expected) in [
            (Period::Day, "2026-03-01", vec!["2026-02-27", "2026-02-28"]),
            (Period::Week, "2026-11-23", vec!["2026-11-09", "2026-11-16"]),
            (Period::Week, "2026-11-22", vec!["2026-11-02", "2026-11-09"]),
            (Period::Month, "2026-01-31", vec!["2025-11-01", "2025-12-01"]),
        ] {
            let expected: Vec<Date> = expected.into_iter().map(day).collect();
            assert_eq!(period.over(day(today), 2).expect("days"), expected, "{period:?} on {today}");
        }
    }
}
