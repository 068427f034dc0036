use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use validator::{Validate, ValidationErrors};

use super::{Violations, utc};
use crate::dead_letter::Reason;

/// Where something was at a moment, and how fast.
///
/// Valid when the position is finite (and, of [`Position::Geodetic`], within ±90° and ±180°) and the speed, if known,
/// is finite and not negative. Negative zero is zero, and its sign is kept.
///
/// In JSON the position's two fields stand beside the others. A `speed` of -1 means *unknown*, as receivers write it,
/// and is `None`; so is an absent one. `null` is refused: that is how JSON writes a speed that is not finite.
///
/// ```
/// use rxevents::event::{GeoFix, Position};
///
/// let json = br#"{"at":"2024-05-01T12:00:00Z","east":-2.65,"north":0.535,"speed":-1}"#;
/// let fix = GeoFix::from_json(json)?;
/// assert_eq!(fix.position, Position::Relative { east: -2.65, north: 0.535 });
/// assert_eq!(fix.speed, None);
///
/// let json = br#"{"at":"2024-05-01T12:00:00Z","latitude":91,"longitude":8.4}"#;
/// let reason = GeoFix::from_json(json).unwrap_err();
/// assert_eq!(reason.message(), "latitude: must be from -90 to 90");
/// # Ok::<(), rxevents::dead_letter::Reason>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Fields", try_from = "Fields")]
pub struct GeoFix {
    /// When. Read by [`utc`]: a time without a zone is taken as UTC.
    pub at: DateTime<Utc>,
    /// Where.
    pub position: Position,
    /// How fast, in m/s, if known.
    pub speed: Option<f64>,
}

/// The position of a [`GeoFix`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Position {
    /// In metres from a point of reference, such as the first fix.
    Relative {
        /// To the east; to the west when negative.
        east: f64,
        /// To the north; to the south when negative.
        north: f64,
    },
    /// In degrees.
    Geodetic {
        /// North of the equator; south when negative.
        latitude: f64,
        /// East of Greenwich; west when negative.
        longitude: f64,
    },
}

impl GeoFix {
    /// Decodes and checks a fix. Fields that it does not know are ignored.
    ///
    /// # Errors
    /// [`Reason::Decode`] when it is no JSON, a field is missing, of the wrong type, or no time, a number is too large
    /// for an `f64`, or there is not exactly one whole position; [`Reason::Validation`] when it breaks a rule.
    pub fn from_json(json: &[u8]) -> Result<Self, Reason> {
        let fix: Self = serde_json::from_slice(json)?;
        fix.validate()?;
        Ok(fix)
    }

    /// Decodes and checks a record of a recording that began at `start` and counts seconds from there: the columns
    /// `Time (s)`; `East (m)` and `North (m)`, or `Latitude (°)` and `Longitude (°)`, as the app phyphox exports them;
    /// and maybe `Velocity (m/s)`, where -1 and nothing mean *unknown*. Other columns are ignored. Times are rounded to
    /// nanoseconds.
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
            #[serde(rename = "East (m)")]
            east: Option<f64>,
            #[serde(rename = "North (m)")]
            north: Option<f64>,
            #[serde(rename = "Latitude (°)")]
            latitude: Option<f64>,
            #[serde(rename = "Longitude (°)")]
            longitude: Option<f64>,
            #[serde(rename = "Velocity (m/s)")]
            speed: Option<f64>,
        }
        let row: Row = record.deserialize()?;
        let position = position(row.east, row.north, row.latitude, row.longitude).map_err(|error| {
            Reason::decode(format!("{}:{}: {error}", record.header().source(), record.line()))
        })?;
        let fix = Self { at: row.time.after(start)?, position, speed: row.speed.and_then(known) };
        fix.validate()?;
        Ok(fix)
    }
}

/// `None` for -1.
fn known(speed: f64) -> Option<f64> {
    (speed != -1.0).then_some(speed)
}

fn position(
    east: Option<f64>,
    north: Option<f64>,
    latitude: Option<f64>,
    longitude: Option<f64>,
) -> Result<Position, NoPosition> {
    match (east, north, latitude, longitude) {
        (Some(east), Some(north), None, None) => Ok(Position::Relative { east, north }),
        (None, None, Some(latitude), Some(longitude)) => Ok(Position::Geodetic { latitude, longitude }),
        _ => Err(NoPosition),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a position is either east and north, or latitude and longitude")]
struct NoPosition;

/// A fix as it is in JSON.
#[derive(Serialize, Deserialize)]
struct Fields {
    #[serde(with = "utc")]
    at: DateTime<Utc>,
    #[serde(flatten)]
    position: Coordinates,
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    speed: Option<f64>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Coordinates {
    #[serde(skip_serializing_if = "Option::is_none")]
    east: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    north: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latitude: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    longitude: Option<f64>,
}

fn not_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    Option::deserialize(deserializer)?.map(Some).ok_or_else(|| D::Error::custom("`speed` is null"))
}

impl From<GeoFix> for Fields {
    fn from(GeoFix { at, position, speed }: GeoFix) -> Self {
        let position = match position {
            Position::Relative { east, north } => {
                Coordinates { east: Some(east), north: Some(north), ..Coordinates::default() }
            }
            Position::Geodetic { latitude, longitude } => {
                Coordinates { latitude: Some(latitude), longitude: Some(longitude), ..Coordinates::default() }
            }
        };
        Self { at, position, speed }
    }
}

impl TryFrom<Fields> for GeoFix {
    type Error = NoPosition;

    fn try_from(Fields { at, position: p, speed }: Fields) -> Result<Self, NoPosition> {
        let position = position(p.east, p.north, p.latitude, p.longitude)?;
        Ok(Self { at, position, speed: speed.and_then(known) })
    }
}

impl Validate for GeoFix {
    fn validate(&self) -> Result<(), ValidationErrors> {
        let mut violations = Violations::default();
        match self.position {
            Position::Relative { east, north } => {
                violations.finite("east", east);
                violations.finite("north", north);
            }
            Position::Geodetic { latitude, longitude } => {
                // Not finite is not in range.
                if !(-90.0..=90.0).contains(&latitude) {
                    violations.add("latitude", "range", "must be from -90 to 90");
                }
                if !(-180.0..=180.0).contains(&longitude) {
                    violations.add("longitude", "range", "must be from -180 to 180");
                }
            }
        }
        if let Some(speed) = self.speed {
            violations.finite("speed", speed);
            if speed < 0.0 {
                violations.add("speed", "range", "must not be below 0");
            }
        }
        violations.into_result()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter::Payload;
    use proptest::prelude::*;

    const GOOD: &str = r#"{"at":"2024-05-01T12:00:00Z","east":1,"north":-2.5,"speed":1.5}"#;

    fn failure(json: &str) -> String {
        let reason = GeoFix::from_json(json.as_bytes()).unwrap_err();
        format!("{}: {}", reason.kind(), reason.message())
    }

    #[test]
    fn speeds() {
        let speed =
            |text: &str| GeoFix::from_json(GOOD.replace("1.5", text).as_bytes()).map(|fix| fix.speed).ok();
        assert_eq!(speed("0"), Some(Some(0.0)));
        assert_eq!(speed("-1"), Some(None));
        assert_eq!(speed("-1.000000000E0"), Some(None));
        assert!(speed("-0.0").flatten().is_some_and(f64::is_sign_negative));
        for json in [r#""speed":null"#, r#""speed":"1""#, r#""speed":1e999"#] {
            let failure = failure(&GOOD.replace(r#""speed":1.5"#, json));
            assert!(failure.starts_with("decode: "), "{failure}");
        }
        assert_eq!(failure(&GOOD.replace("1.5", "-2")), "validation: speed: must not be below 0");
        assert_eq!(GeoFix::from_json(GOOD.replace(r#","speed":1.5"#, "").as_bytes()).unwrap().speed, None);
    }

    #[test]
    fn values_that_are_not_finite_break_a_rule() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for (position, fields) in [
                (Position::Relative { east: value, north: value }, ["east", "north", "speed"]),
                (
                    Position::Geodetic { latitude: value, longitude: value },
                    ["latitude", "longitude", "speed"],
                ),
            ] {
                let fix = GeoFix { at: DateTime::UNIX_EPOCH, position, speed: Some(value) };
                let mut paths: Vec<_> = Reason::from(fix.validate().unwrap_err())
                    .violations()
                    .into_iter()
                    .map(|v| v.path)
                    .collect();
                paths.dedup();
                assert_eq!(paths, fields);
                // It does not become a fix without a speed by being written and read.
                assert!(GeoFix::from_json(&fix.payload()).is_err());
            }
            let fix = GeoFix { speed: Some(value), ..GeoFix::from_json(GOOD.as_bytes()).unwrap() };
            assert_eq!(
                GeoFix::from_json(&fix.payload()).unwrap_err().message().split(" at ").next(),
                Some("`speed` is null")
            );
        }
    }

    #[test]
    fn one_position_exactly() {
        let message = "decode: a position is either east and north, or latitude and longitude";
        for bad in [
            GOOD.replace(r#""east":1,"#, ""),
            GOOD.replace(":1,", ":null,"),
            GOOD.replace('{', r#"{"latitude":1,"#),
            GOOD.replace("east", "latitude"),
        ] {
            assert!(failure(&bad).starts_with(message), "{bad}: {}", failure(&bad));
        }
        assert!(GeoFix::from_json(GOOD.replace('{', r#"{"note":[1],"#).as_bytes()).is_ok());
        let failure = failure(&GOOD.replace("05-01", "02-30"));
        assert!(failure.starts_with("decode: `2024-02-30T12:00:00Z` is no time"), "{failure}");
    }

    #[cfg(feature = "files")]
    #[test]
    fn rows_count_seconds_from_the_start() {
        let start = DateTime::from_timestamp(1_000, 0).unwrap();
        let read = |header: &str, row: &str| {
            let text = format!("{header}\n{row}\n");
            let record = crate::source::csv(text.as_bytes(), "a.csv").unwrap().next().unwrap().unwrap();
            GeoFix::from_csv(&record, start).map_err(|reason| reason.message())
        };
        let header = "Time (s),East (m),North (m),Velocity (m/s)";
        let fix = read(header, "1.5,-0,2,-1.000000000E0").unwrap();
        assert_eq!((fix.at - start).num_milliseconds(), 1_500);
        assert_eq!(fix.speed, None);
        assert_eq!(read(header, "1,1,2,").unwrap().speed, None);
        assert_eq!(read(header, "1,1,2,0.5").unwrap().speed, Some(0.5));
        assert_eq!(read(header, "1,1,2,-3").unwrap_err(), "speed: must not be below 0");
        assert_eq!(
            read(header, "NaN,1,2,").unwrap_err(),
            "a.csv:2: column 1 `Time (s)` is `NaN`: not a finite number of seconds"
        );
        assert_eq!(
            read(header, "1,1,,").unwrap_err(),
            "a.csv:2: a position is either east and north, or latitude and longitude"
        );
        let fix = read("Time (s),Latitude (°),Longitude (°),Height (m)", "1,49,8.4,115").unwrap();
        assert_eq!(fix.position, Position::Geodetic { latitude: 49.0, longitude: 8.4 });
    }

    proptest! {
        #[test]
        fn json_round_trip(seconds in 0i64..1 << 33, a: f64, b: f64, speed in proptest::option::of(0f64..1e9)) {
            let at = DateTime::from_timestamp(seconds, 0).unwrap();
            let (latitude, longitude) = (a % 90.0, b % 180.0);
            for position in
                [Position::Relative { east: a, north: b }, Position::Geodetic { latitude, longitude }]
            {
                let fix = GeoFix { at, position, speed };
                prop_assert_eq!(&GeoFix::from_json(&fix.payload()).unwrap(), &fix);
            }
        }
    }
}
