use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use validator::{Validate, ValidationErrors};

use super::{Violations, utc};
use crate::dead_letter::Reason;

/// What a sensor measured at a moment.
///
/// Valid when the sensor has a name (not only of spaces) and the value is finite. Negative zero is a value like any other,
/// and its sign is kept.
///
/// ```
/// use rxevents::event::SensorReading;
/// use validator::Validate;
///
/// let json = br#"{"sensor":"boiler-3","at":"2024-05-01T12:00:00Z","value":81.5}"#;
/// let reading = SensorReading::from_json(json)?;
/// assert_eq!(reading.value, 81.5);
/// assert!(SensorReading { value: f64::NAN, ..reading }.validate().is_err());
/// # Ok::<(), rxevents::dead_letter::Reason>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SensorReading {
    /// The sensor's name.
    pub sensor: Arc<str>,
    /// When it measured. Read by [`utc`]: a time without a zone is taken as UTC.
    #[serde(with = "utc")]
    pub at: DateTime<Utc>,
    /// What it measured, in the sensor's unit. JSON has no number for a value that is not finite: it is written as
    /// `null`, and `null` is no reading.
    pub value: f64,
}

impl SensorReading {
    /// Decodes and checks a reading. Fields that it does not know are ignored.
    ///
    /// # Errors
    /// [`Reason::Decode`] when it is no JSON, a field is missing, of the wrong type, or no time, or the number is too
    /// large for an `f64`; [`Reason::Validation`] when it breaks a rule.
    pub fn from_json(json: &[u8]) -> Result<Self, Reason> {
        let reading: Self = serde_json::from_slice(json)?;
        reading.validate()?;
        Ok(reading)
    }
}

impl Validate for SensorReading {
    fn validate(&self) -> Result<(), ValidationErrors> {
        let mut violations = Violations::default();
        if self.sensor.trim_ascii().is_empty() {
            violations.add("sensor", "empty", "must not be empty");
        }
        violations.finite("value", self.value);
        violations.into_result()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter::{FailureKind, Payload};

    fn failure(json: &str) -> (FailureKind, String) {
        let reason = SensorReading::from_json(json.as_bytes()).unwrap_err();
        (reason.kind(), reason.message())
    }

    #[test]
    fn rules() {
        let (kind, message) = failure(r#"{"sensor":" ","at":"2024-05-01 12:00:00","value":1}"#);
        assert_eq!((kind, message.as_str()), (FailureKind::Validation, "sensor: must not be empty"));
        let reading = SensorReading { sensor: "a".into(), at: DateTime::UNIX_EPOCH, value: 0.0 };
        assert!(reading.validate().is_ok());
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let errors = SensorReading { value, ..reading.clone() }.validate().unwrap_err();
            assert_eq!(Reason::from(errors).violations()[0].path, "value");
        }
    }

    #[test]
    fn negative_zero_keeps_its_sign_and_unknown_fields_are_ignored() {
        let json = br#"{"note":[1],"sensor":"a","at":"2024-05-01T12:00:00Z","value":-0.0}"#;
        let reading = SensorReading::from_json(json).unwrap();
        let back = SensorReading::from_json(&reading.payload()).unwrap();
        assert!(reading.value.is_sign_negative() && back.value.is_sign_negative());
        assert_eq!(back, reading);
    }

    #[test]
    fn values_come_back_exactly() {
        let reading =
            SensorReading { sensor: "a".into(), at: DateTime::UNIX_EPOCH, value: 1.9451711940253707e-167 };
        assert_eq!(SensorReading::from_json(&reading.payload()).unwrap(), reading);
    }

    #[test]
    fn wrong_shapes() {
        for (json, message) in [
            (r#"{"sensor":"a","at":"2024-05-01T12:00:00Z"}"#, "missing field `value`"),
            (r#"{"sensor":"a","at":"2024-05-01T12:00:00Z","value":null}"#, "invalid type: null"),
            (r#"{"sensor":"a","at":"2024-05-01T12:00:00Z","value":1e999}"#, "number out of range"),
            (r#"{"sensor":"a","at":"2024-05-01T12:00:00Z","value":NaN}"#, "expected value"),
            (r#"{"sensor":"a","at":"2024-13-01T12:00:00Z","value":1}"#, "`2024-13-01T12:00:00Z` is no time"),
        ] {
            let (kind, text) = failure(json);
            assert_eq!(kind, FailureKind::Decode, "{json}");
            assert!(text.starts_with(message), "{text}");
        }
    }
}
