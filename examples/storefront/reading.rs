//! The shop's sensors: a line of their CSV.

use chrono::{DateTime, Utc};
use rxevents::{
    event::{SensorReading, utc},
    prelude::*,
    source::CsvRecord,
};
use serde::Deserialize;
use validator::Validate;

/// The columns that a reading is made of; there may be more. The sensor is called like its file.
pub(crate) const COLUMNS: [&str; 2] = ["timestamp", "value"];

#[derive(Deserialize)]
struct Row {
    #[serde(with = "utc")]
    timestamp: DateTime<Utc>,
    value: f64,
}

/// Decodes and checks a record.
pub(crate) fn from_record(record: &CsvRecord) -> Result<SensorReading, Reason> {
    let Row { timestamp, value } = record.deserialize()?;
    let reading = SensorReading { sensor: record.header().source().clone(), at: timestamp, value };
    reading.validate()?;
    Ok(reading)
}
