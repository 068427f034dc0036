use chrono::{
    DateTime, Datelike, Days, LocalResult, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc,
};
use chrono_tz::Tz;

/// Windows by the calendar of a time zone: a day there may have 23 or 25 hours.
///
/// A window begins at midnight there. Where that midnight does not exist, as clocks are put forward over it, it begins
/// where they are put to; where it comes twice, at the first. Times are nanoseconds since 1970, UTC.
///
/// ```
/// use chrono::{DateTime, Utc};
/// use rxevents::operator::event_window::Calendar;
///
/// let days = Calendar::days(chrono_tz::Europe::Berlin);
/// let noon: DateTime<Utc> = "2026-03-29T10:00:00Z".parse()?; // clocks are put forward on that day
/// let (start, end) = days.window(noon.timestamp_nanos_opt().unwrap());
/// assert_eq!((end - start) / 3_600_000_000_000, 23);
/// # Ok::<(), chrono::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calendar {
    zone: Tz,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Day,
    Week,
    Month,
    Year,
}

impl Calendar {
    /// Days, from midnight to midnight.
    pub const fn days(zone: Tz) -> Self {
        Self { zone, unit: Unit::Day }
    }

    /// Weeks, from Monday on (ISO 8601).
    pub const fn weeks(zone: Tz) -> Self {
        Self { zone, unit: Unit::Week }
    }

    /// Months, from the first on.
    pub const fn months(zone: Tz) -> Self {
        Self { zone, unit: Unit::Month }
    }

    /// Years, from the first of January on.
    pub const fn years(zone: Tz) -> Self {
        Self { zone, unit: Unit::Year }
    }

    /// The start and the end of the window that a moment is in.
    pub fn window(&self, at: i64) -> (i64, i64) {
        let mut first = self.first_day(self.zone.from_utc_datetime(&utc(at).naive_utc()).date_naive());
        let mut next = self.next(first);
        // Where clocks are put back over midnight, the date alone does not say which side of it a moment is on.
        while self.midnight(first) > at
            && let Some(day) = first.pred_opt()
        {
            (first, next) = (self.first_day(day), first);
        }
        while self.midnight(next) <= at && at < i64::MAX {
            (first, next) = (next, self.next(next));
        }
        (self.midnight(first), self.midnight(next))
    }

    /// The first day of the window that this one is in.
    fn first_day(&self, day: NaiveDate) -> NaiveDate {
        match self.unit {
            Unit::Day => Some(day),
            Unit::Week => day.checked_sub_days(Days::new(day.weekday().num_days_from_monday().into())),
            Unit::Month => day.with_day(1),
            Unit::Year => NaiveDate::from_ymd_opt(day.year(), 1, 1),
        }
        .unwrap_or(day)
    }

    /// The first day of the window after the one that begins with this.
    fn next(&self, first: NaiveDate) -> NaiveDate {
        match self.unit {
            Unit::Day => first.succ_opt(),
            Unit::Week => first.checked_add_days(Days::new(7)),
            Unit::Month => first.checked_add_months(Months::new(1)),
            Unit::Year => first.checked_add_months(Months::new(12)),
        }
        .unwrap_or(first)
    }

    /// When a day begins.
    fn midnight(&self, day: NaiveDate) -> i64 {
        let local = day.and_time(NaiveTime::MIN);
        let at = match self.zone.from_local_datetime(&local) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at.to_utc(),
            LocalResult::None => self.after_gap(local),
        };
        at.timestamp_nanos_opt().unwrap_or(if at.timestamp() < 0 { i64::MIN } else { i64::MAX })
    }

    /// The first moment at which clocks there show a time that is not before `local`, which they never show.
    fn after_gap(&self, local: NaiveDateTime) -> DateTime<Utc> {
        const TWO_DAYS: i64 = 2 * 24 * 3_600;
        let shows = |second: i64| {
            DateTime::from_timestamp(second, 0)
                .map(|at| self.zone.from_utc_datetime(&at.naive_utc()).naive_local())
        };
        let as_utc = local.and_utc().timestamp();
        let (mut before, mut after) = (as_utc - TWO_DAYS, as_utc + TWO_DAYS);
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            if shows(middle).is_some_and(|shown| shown >= local) { after = middle } else { before = middle }
        }
        DateTime::from_timestamp(after, 0).unwrap_or(local.and_utc())
    }
}

fn utc(at: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: i64 = 3_600_000_000_000;

    fn at(text: &str) -> i64 {
        text.parse::<DateTime<Utc>>().unwrap().timestamp_nanos_opt().unwrap()
    }

    #[test]
    fn a_day_may_have_23_or_25_hours() {
        let days = Calendar::days(chrono_tz::Europe::Berlin);
        for (noon, start, hours) in [
            ("2026-03-29T10:00:00Z", "2026-03-28T23:00:00Z", 23),
            ("2026-10-25T11:00:00Z", "2026-10-24T22:00:00Z", 25),
            ("2026-07-01T10:00:00Z", "2026-06-30T22:00:00Z", 24),
        ] {
            let start = at(start);
            assert_eq!(days.window(at(noon)), (start, start + hours * HOUR));
            // Half-open.
            assert_eq!(days.window(start).0, start);
            assert_eq!(days.window(start + hours * HOUR - 1).0, start);
            assert_eq!(days.window(start + hours * HOUR).0, start + hours * HOUR);
        }
        let months = Calendar::months(chrono_tz::Europe::Berlin);
        let (start, end) = months.window(at("2026-03-29T10:00:00Z"));
        assert_eq!((start, (end - start) / HOUR), (at("2026-02-28T23:00:00Z"), 31 * 24 - 1));
    }

    #[test]
    fn a_midnight_that_does_not_exist_is_where_the_gap_ends() {
        // Clocks went from 00:00 to 01:00.
        let days = Calendar::days(chrono_tz::America::Sao_Paulo);
        let (start, end) = days.window(at("2018-11-04T12:00:00Z"));
        assert_eq!((start, (end - start) / HOUR), (at("2018-11-04T03:00:00Z"), 23));
        // A whole day was left out.
        let days = Calendar::days(chrono_tz::Pacific::Apia);
        let (start, end) = days.window(at("2011-12-30T09:59:59Z"));
        assert_eq!((start, end), (at("2011-12-29T10:00:00Z"), at("2011-12-30T10:00:00Z")));
        assert_eq!(days.window(end).0, end);
    }

    #[test]
    fn a_midnight_that_comes_twice_is_the_first() {
        // Clocks went from 01:00 to 00:00.
        let days = Calendar::days(chrono_tz::America::Havana);
        let (start, end) = days.window(at("2026-11-01T12:00:00Z"));
        assert_eq!((start, (end - start) / HOUR), (at("2026-11-01T04:00:00Z"), 25));
        // Clocks went from 24:00 to 23:00: the hour before midnight came twice.
        let days = Calendar::days(chrono_tz::America::Sao_Paulo);
        let (start, end) = days.window(at("2019-02-17T02:30:00Z"));
        assert_eq!((start, (end - start) / HOUR), (at("2019-02-16T02:00:00Z"), 25));
    }

    proptest! {
        #[test]
        fn windows_follow_each_other(at: i64, zone in 0_usize..chrono_tz::TZ_VARIANTS.len(), unit in 0..4) {
            let zone = chrono_tz::TZ_VARIANTS[zone];
            let calendar = match unit {
                0 => Calendar::days(zone),
                1 => Calendar::weeks(zone),
                2 => Calendar::months(zone),
                _ => Calendar::years(zone),
            };
            let (start, end) = calendar.window(at);
            prop_assert!(start <= at && at < end || at == i64::MAX);
            if end < i64::MAX {
                prop_assert_eq!(calendar.window(end).0, end);
                prop_assert_eq!(calendar.window(end - 1).0, start);
            }
        }
    }
}
