use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, de::Error};

use super::rest::Failure;
use crate::dead_letter::Reason;

/// A finite number of seconds since the start of a recording.
pub(super) struct Seconds(f64);

impl Seconds {
    /// The moment that is as much after `start`, rounded to nanoseconds.
    pub(super) fn after(&self, start: DateTime<Utc>) -> Result<DateTime<Utc>, Reason> {
        let whole = self.0.trunc();
        // The casts saturate; what is left of a second always fits.
        let nanos = ((self.0 - whole) * 1e9).round() as i64;
        TimeDelta::try_seconds(whole as i64)
            .and_then(|seconds| start.checked_add_signed(seconds))
            .and_then(|at| at.checked_add_signed(TimeDelta::nanoseconds(nanos)))
            .ok_or_else(|| Failure::Time.into())
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        if !seconds.is_finite() {
            return Err(D::Error::custom("not a finite number of seconds"));
        }
        Ok(Self(seconds))
    }
}
