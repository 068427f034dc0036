//! Readings of a CSV file with the columns `timestamp` and `value`, or made-up ones.

use std::error::Error;

use chrono::{DateTime, Utc};
use rxevents::{
    event::{SensorReading, utc},
    prelude::*,
    source::{CsvFile, CsvRecord, SensorReadings},
};
use serde::Deserialize;
use validator::Validate;

/// A reading, or what is wrong with it and where.
pub(crate) type Taken = Result<SensorReading, String>;
pub(crate) type Readings = Box<dyn Iterator<Item = Taken> + Send>;

#[derive(Deserialize)]
struct Row {
    #[serde(with = "utc")]
    timestamp: DateTime<Utc>,
    value: f64,
}

/// Those of the file, or else `count` of `generated`.
pub(crate) fn open(
    file: Option<&str>,
    generated: SensorReadings,
    count: usize,
) -> Result<Readings, Box<dyn Error>> {
    let Some(path) = file else {
        return Ok(Box::new(generated.take(count).map(check)));
    };
    let records = CsvFile::open(path)?;
    for column in ["timestamp", "value"] {
        if !records.header().names().iter().any(|name| name == column) {
            return Err(format!("{path}: there is no column `{column}`").into());
        }
    }
    Ok(Box::new(records.map(|record| {
        let record = record.map_err(|rejected| rejected.reason.message())?;
        let place = format!("{}:{}", record.header().source(), record.line());
        reading(&record).map_err(|reason| reason.message()).and_then(check).map_err(|message| {
            if message.starts_with(&place) { message } else { format!("{place}: {message}") }
        })
    })))
}

fn reading(record: &CsvRecord) -> Result<SensorReading, Reason> {
    let Row { timestamp, value } = record.deserialize()?;
    Ok(SensorReading { sensor: record.header().source().clone(), at: timestamp, value })
}

fn check(reading: SensorReading) -> Taken {
    match reading.validate() {
        Ok(()) => Ok(reading),
        Err(errors) => Err(Reason::from(errors).message()),
    }
}

/// The value of the argument `name`.
pub(crate) fn value<T>(name: &str, args: &mut impl Iterator<Item = String>) -> Result<T, Box<dyn Error>>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
    Ok(value.parse().map_err(|error| format!("{name} `{value}`: {error}"))?)
}
