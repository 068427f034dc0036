//! The columns that a CSV file must have.

use std::io;

use rxevents::source::{CsvFile, OpenError};

/// The same records, if they have these columns.
pub(crate) fn with_columns<R>(records: CsvFile<R>, columns: &[&str]) -> Result<CsvFile<R>, OpenError> {
    let header = records.header();
    match columns.iter().find(|column| !header.names().iter().any(|name| name == *column)) {
        None => Ok(records),
        Some(missing) => Err(OpenError {
            name: format!("{}:1", header.source()).into(),
            source: io::Error::other(format!(
                "no column `{missing}`; there are `{}`",
                header.names().join("`, `")
            )),
        }),
    }
}
