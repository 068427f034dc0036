//! Recordings of motion and position.

use chrono::{DateTime, Utc};
use rxevents::{
    dead_letter::Reason,
    event::{GeoFix, MotionSample},
    source::{CsvFile, CsvRecord, OpenError, SplitMix64},
};

use super::{Args, columns::with_columns, input};

/// What decodes a row: the moment that it is of.
pub(crate) type Decode = fn(&CsvRecord) -> Result<DateTime<Utc>, Reason>;

/// The file at this place of the command line, or made-up samples, and what decodes it.
pub(crate) fn open(args: &Args, index: u64) -> Result<(CsvFile<input::Text>, Decode), OpenError> {
    let mut random = SplitMix64::new(index + 1);
    let made_up = (0..10_000).filter(move |i| index == 0 || i % 50 != 0).map(move |i| {
        // Every 10 ms, up to 2 ms late.
        let micros = 10_000 * i + 3_000 * index + input::below(&mut random, 2_000);
        format!("{}.{:06},0.1,-0.2,9.8", micros / 1_000_000, micros % 1_000_000)
    });
    let header = std::iter::once("Time (s),X (m/s^2),Y (m/s^2),Z (m/s^2)".to_owned());
    let records = input::table(args.file(index as usize), header.chain(made_up))?;
    let motion: Decode =
        |record| MotionSample::from_csv(record, DateTime::UNIX_EPOCH).map(|sample| sample.at);
    let fix: Decode = |record| GeoFix::from_csv(record, DateTime::UNIX_EPOCH).map(|fix| fix.at);
    let kinds = [
        ("X (m/s^2)", motion),
        ("X (rad/s)", motion),
        ("X (µT)", motion),
        ("East (m)", fix),
        ("Latitude (°)", fix),
    ];
    let names = records.header().names();
    let kind = kinds.iter().find(|(column, _)| names.iter().any(|name| name == column));
    let (column, decode) = *kind.unwrap_or(&kinds[0]);
    Ok((with_columns(records, &["Time (s)", column])?, decode))
}
