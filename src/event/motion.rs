use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use validator::{Validate, ValidationErrors};

use super::{Violations, utc};
use crate::dead_letter::Reason;

/// What a three-axis sensor (accelerometer, gyroscope, magnetometer) measured at a moment.
///
/// Valid when all three values are finite. Negative zero is a value like any other, and its sign is kept.
///
/// ```
/// use rxevents::event::MotionSample;
/// use validator::Validate;
///
/// let json = br#"{"at":"2024-05-01T12:00:00.010Z","x":-0.48,"y":1.7,"z":9.45}"#;
/// let sample = MotionSample::from_json(json)?;
/// assert_eq!(sample.z, 9.45);
/// assert!(MotionSample { x: f64::INFINITY, ..sample }.validate().is_err());
/// # Ok::<(), rxevents::dead_letter::Reason>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MotionSample {
    /// When it was measured. Read by [`utc`]: a time without a zone is taken as UTC.
    #[serde(with = "utc")]
    pub at: DateTime<Utc>,
    /// Along or about the first axis, in the sensor's unit (m/s², rad/s …). JSON has no number for a value that is not
    /// finite: it is written as `null`, and `null` is no value.
    pub x: f64,
    /// As `x`, of the second axis.
    pub y: f64,
    /// As `x`, of the third axis.
    pub z: f64,
}

impl MotionSample {
    /// Decodes and checks a sample. Fields that it does not know are ignored.
    ///
    /// # Errors
    /// [`Reason::Decode`] when it is no JSON, a field is missing, of the wrong type, or no time, or a number is too
    /// large for an `f64`; [`Reason::Validation`] when it breaks a rule.
    pub fn from_json(json: &[u8]) -> Result<Self, Reason> {
        let sample: Self = serde_json::from_slice(json)?;
        sample.validate()?;
        Ok(sample)
    }

    /// Decodes and checks a record of a recording that began at `start` and counts seconds from there, as the app
    /// phyphox exports them: the columns `Time (s)`, and `X (m/s^2)`, `Y (m/s^2)`, `Z (m/s^2)` or the three in `rad/s`
    /// or `µT`. Other columns are ignored. Times are rounded to nanoseconds.
    ///
    /// ```
    /// use rxevents::{event::MotionSample, prelude::*, source::csv};
    ///
    /// let text = "\"Time (s)\",\"X (m/s^2)\",\"Y (m/s^2)\",\"Z (m/s^2)\"\n3.5E-3,-4.8E-1,1.7E0,9.4E0\nx,0,0,0\n";
    /// let start = chrono::DateTime::UNIX_EPOCH;
    /// let (rejects, mut samples) = (MemoryQueue::new(10), vec![]);
    /// Local::from_iter(csv(text.as_bytes(), "walk.csv")?)
    ///     .dead_letter(rejects.clone())
    ///     .try_map(move |record| MotionSample::from_csv(record, start))
    ///     .dead_letter(rejects.clone())
    ///     .subscribe(|sample| samples.push(sample));
    /// assert_eq!(samples[0].at.timestamp_subsec_micros(), 3_500);
    /// let message = "walk.csv:3: column 1 `Time (s)` is `x`: invalid float literal";
    /// assert_eq!(rejects.letters()[0].message, message);
    /// # Ok::<(), rxevents::source::OpenError>(())
    /// ```
    ///
    /// # Errors
    /// [`Reason::Decode`], with the place, when a column is missing, a field is no number, or the time is not finite;
    /// [`Reason::Validation`] when the time is out of range, or it breaks a rule.
    #[cfg(feature = "files")]
    pub fn from_csv(record: &crate::source::CsvRecord, start: DateTime<Utc>) -> Result<Self, Reason> {
        #[derive(Deserialize)]
        struct Row {
            #[serde(rename = "Time (s)")]
            time: super::elapsed::Seconds,
            #[serde(rename = "X (m/s^2)", alias = "X (rad/s)", alias = "X (µT)")]
            x: f64,
            #[serde(rename = "Y (m/s^2)", alias = "Y (rad/s)", alias = "Y (µT)")]
            y: f64,
            #[serde(rename = "Z (m/s^2)", alias = "Z (rad/s)", alias = "Z (µT)")]
            z: f64,
        }
        let Row { time, x, y, z } = record.deserialize()?;
        let sample = Self { at: time.after(start)?, x, y, z };
        sample.validate()?;
        Ok(sample)
    }
}

impl Validate for MotionSample {
    fn validate(&self) -> Result<(), ValidationErrors> {
        let mut violations = Violations::default();
        violations.finite("x", self.x);
        violations.finite("y", self.y);
        violations.finite("z", self.z);
        violations.into_result()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter::{FailureKind, Payload};
    use proptest::prelude::*;

    const GOOD: &str = r#"{"at":"2024-05-01T12:00:00Z","x":1,"y":-2.5,"z":0}"#;

    #[test]
    fn values_that_are_not_finite_break_a_rule() {
        let good = MotionSample::from_json(GOOD.as_bytes()).unwrap();
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let sample = MotionSample { x: value, z: value, ..good.clone() };
            let reason = Reason::from(sample.validate().unwrap_err());
            assert_eq!(reason.message(), "x: must be finite; z: must be finite");
            // As JSON it is refused, too.
            let json = String::from_utf8(sample.payload().into_owned()).unwrap();
            assert!(json.contains(r#""x":null"#), "{json}");
            assert_eq!(MotionSample::from_json(json.as_bytes()).unwrap_err().kind(), FailureKind::Decode);
        }
    }

    #[test]
    fn negative_zero_keeps_its_sign() {
        let sample = MotionSample::from_json(GOOD.replace(":0}", ":-0.0}").as_bytes()).unwrap();
        let back = MotionSample::from_json(&sample.payload()).unwrap();
        assert!(sample.z.is_sign_negative() && back.z.is_sign_negative());
    }

    #[test]
    fn unknown_fields_are_ignored_and_wrong_shapes_refused() {
        assert!(MotionSample::from_json(GOOD.replace('{', r#"{"note":[1],"#).as_bytes()).is_ok());
        for (from, to, message) in [
            (r#","z":0"#, "", "missing field `z`"),
            (":1,", ":\"1\",", "invalid type: string \"1\""),
            (":1,", ":NaN,", "expected value"),
            (":1,", ":1e999,", "number out of range"),
            ("05-01", "02-30", "`2024-02-30T12:00:00Z` is no time"),
            ("12:00:00Z", "24:00:00Z", "`2024-05-01T24:00:00Z` is no time"),
        ] {
            let reason = MotionSample::from_json(GOOD.replace(from, to).as_bytes()).unwrap_err();
            assert_eq!(reason.kind(), FailureKind::Decode);
            assert!(reason.message().starts_with(message), "{reason}");
        }
    }

    #[cfg(feature = "files")]
    #[test]
    fn rows_count_seconds_from_the_start() {
        let start = DateTime::from_timestamp(1_000, 0).unwrap();
        let read = |row: &str| {
            let text = format!("Time (s),X (rad/s),Y (rad/s),Z (rad/s),note\n{row},-\n");
            let record = crate::source::csv(text.as_bytes(), "a.csv").unwrap().next().unwrap().unwrap();
            MotionSample::from_csv(&record, start)
        };
        let sample = read("1.958608333E-2,1E0,-0,3").unwrap();
        assert_eq!((sample.at - start).num_nanoseconds(), Some(19_586_083));
        assert!(sample.y == 0.0 && sample.y.is_sign_negative());
        assert_eq!((read("-1.5,1,2,3").unwrap().at - start).num_milliseconds(), -1_500);
        for (row, kind, message) in [
            ("NaN,1,2,3", "decode", "a.csv:2: column 1 `Time (s)` is `NaN`: not a finite number of seconds"),
            ("inf,1,2,3", "decode", "a.csv:2: column 1 `Time (s)` is `inf`: not a finite number of seconds"),
            ("1,1,2,", "decode", "a.csv:2: column 4 `Z (rad/s)` is ``: cannot parse float from empty string"),
            ("1,NaN,2,-inf", "validation", "x: must be finite; z: must be finite"),
            ("1e13,1,2,3", "validation", "at: must be a time that exists"),
            ("-1e300,1,2,3", "validation", "at: must be a time that exists"),
        ] {
            let reason = read(row).unwrap_err();
            assert_eq!((reason.kind().as_str(), reason.message().as_str()), (kind, message), "{row}");
        }
    }

    proptest! {
        #[test]
        fn json_round_trip(seconds in 0i64..1 << 33, nanos in 0u32..1_000_000_000, x: f64, y: f64, z: f64) {
            let sample = MotionSample { at: DateTime::from_timestamp(seconds, nanos).unwrap(), x, y, z };
            let json = sample.payload();
            prop_assert_eq!(&MotionSample::from_json(&json).unwrap(), &sample);
            prop_assert_eq!(&serde_json::from_slice::<MotionSample>(&json).unwrap(), &sample);
        }
    }
}
