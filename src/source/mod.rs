//! Sources of events: files, readers and generators, as plain iterators.
//!
//! They are pulled: nothing is read before it is asked for, and memory stays within stated bounds. A bad line or record
//! is one `Err(`[`Rejected`](crate::dead_letter::Rejected)`)`, with its original bytes and its place; the next one is
//! read all the same. Only an I/O error ends a source, after having been reported.
//!
//! | source | items |
//! |---|---|
//! | [`TextFile::open`], [`lines`] | [`Line`]s |
//! | [`line_stream`] | the same, of an asynchronous reader, as a [`Stream`](futures::Stream) |
//! | [`JsonlFile::open`], [`jsonl`] | any `T: DeserializeOwned`, one JSON value a line |
//! | `CsvFile::open`, `csv` (feature `files`) | `CsvRecord`s, or any `T: DeserializeOwned` |
//! | `TextFile::open_gz`, `JsonlFile::open_gz`, `CsvFile::open_gz`, `Gunzip` (feature `gzip`) | the same, compressed |
//! | [`SensorReadings`], [`PaymentLines`], [`Clicks`], [`ClickLines`] | made-up events, the same for the same seed |

#[cfg(feature = "files")]
mod csv;
mod generate;
#[cfg(feature = "gzip")]
mod gzip;
mod jsonl;
mod line;
mod resumable;
mod stream;
mod text;

#[cfg(feature = "files")]
pub use csv::{CsvFile, CsvHeader, CsvRecord, CsvRecords, csv};
pub use generate::{
    Class, ClickLines, Clicks, Counts, Generator, Kind, Labelled, LineKind, PaymentLines, SensorReadings,
    SplitMix64,
};
#[cfg(feature = "gzip")]
pub use gzip::Gunzip;
pub use jsonl::{JsonlFile, jsonl};
pub use line::Line;
pub use resumable::{Replayed, Resumable};
pub use stream::{LineStream, line_stream};
pub use text::{DEFAULT_MAX_LINE_BYTES, OpenError, TextFile, lines};
