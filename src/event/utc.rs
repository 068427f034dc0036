//! Times in RFC 3339, or without a zone and then taken as UTC: for `#[serde(with = "rxevents::event::utc")]`.
//!
//! ```
//! use chrono::{DateTime, Utc};
//!
//! #[derive(serde::Deserialize)]
//! struct Row {
//!     #[serde(with = "rxevents::event::utc")]
//!     timestamp: DateTime<Utc>,
//! }
//! let row: Row = serde_json::from_str(r#"{"timestamp":"2013-12-02 21:15:00"}"#)?;
//! assert_eq!(row.timestamp.to_rfc3339(), "2013-12-02T21:15:00+00:00");
//! # Ok::<(), serde_json::Error>(())
//! ```

use std::borrow::Cow;

use chrono::{DateTime, ParseError, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Reads `2013-12-02T21:15:00Z`, with any offset, with a space for the `T`, with a fraction of a second; or the same
/// without a zone, which is taken as UTC. The 60th second is a leap second.
///
/// # Errors
/// It is no such time, or a date that does not exist.
pub fn parse(text: &str) -> Result<DateTime<Utc>, ParseError> {
    let has_zone = text.get(19..).is_some_and(|rest| rest.contains(['Z', 'z', '+', '-']));
    let time = if has_zone {
        DateTime::parse_from_rfc3339(text)?
    } else {
        DateTime::parse_from_rfc3339(&format!("{text}Z"))?
    };
    Ok(time.to_utc())
}

/// Writes RFC 3339.
///
/// # Errors
/// The serializer's.
pub fn serialize<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    time.serialize(serializer)
}

/// Reads what [`parse`] reads.
///
/// # Errors
/// It is no text, or no such time.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    let Text(text) = Text::deserialize(deserializer)?;
    parse(&text).map_err(|error| D::Error::custom(format_args!("`{text}` is no time: {error}")))
}

/// The same for an `Option`, which is `None` when it is `null`; together with `#[serde(default)]` also when it is absent:
/// for `#[serde(default, with = "rxevents::event::utc::option")]`.
pub mod option {
    use chrono::{DateTime, Utc};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Writes RFC 3339, or nothing.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(time: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
        time.serialize(serializer)
    }

    /// Reads what [`parse`](super::parse) reads, or nothing.
    ///
    /// # Errors
    /// It is something else than such a time.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<DateTime<Utc>>, D::Error> {
        #[derive(Deserialize)]
        struct Time(#[serde(with = "super")] DateTime<Utc>);
        Ok(Option::<Time>::deserialize(deserializer)?.map(|Time(time)| time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones() {
        let time = parse("2013-12-02T21:15:00Z").unwrap();
        for text in [
            "2013-12-02 21:15:00",
            "2013-12-02T21:15:00",
            "2013-12-02T23:15:00.0+02:00",
            "2013-12-02 21:15:00Z",
        ] {
            assert_eq!(parse(text), Ok(time), "{text}");
        }
        assert_eq!(parse("2013-12-02 21:15:00.5").unwrap().timestamp_subsec_millis(), 500);
        for text in [
            "",
            "2013-12-02",
            "2013-02-29 00:00:00",
            "2013-12-02 24:00:00",
            "2013-12-02 21:15",
            "1386018900",
            "x",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
