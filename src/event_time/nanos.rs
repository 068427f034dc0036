//! Moments.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeZone};

/// Whole nanoseconds; more than fits in 292 years is for ever.
pub(crate) fn whole_nanos(d: Duration) -> i64 {
    i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)
}

/// A moment in event time, as whole nanoseconds since some fixed one: there is no NaN among them.
pub trait Nanos {
    /// The nanoseconds; `None` where they do not fit (a date outside of the years 1678 to 2261).
    fn nanos(&self) -> Option<i64>;
}

/// Nanoseconds.
impl Nanos for i64 {
    #[inline]
    fn nanos(&self) -> Option<i64> {
        Some(*self)
    }
}

/// Since the start of what it is measured from.
impl Nanos for Duration {
    #[inline]
    fn nanos(&self) -> Option<i64> {
        i64::try_from(self.as_nanos()).ok()
    }
}

impl<Tz: TimeZone> Nanos for DateTime<Tz> {
    #[inline]
    fn nanos(&self) -> Option<i64> {
        self.timestamp_nanos_opt()
    }
}

/// As if it were UTC.
impl Nanos for NaiveDateTime {
    #[inline]
    fn nanos(&self) -> Option<i64> {
        self.and_utc().timestamp_nanos_opt()
    }
}
