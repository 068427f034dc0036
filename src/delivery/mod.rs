//! At least once, from source to sink: events that know their source, and tell it when they are done.
//!
//! An [`Acknowledger`] makes the events of a source [`Delivery`]s. They go through any operator like other items. A
//! delivery that is dropped is done; so is one that a sink has written, or a dead-letter queue. What a panic drops, or an
//! operator whose stream has ended while it still held it (a part-filled window, a queue), is not done. The source commits
//! its [`Position`] up to the first event that is not done, and goes on there when it is started again.
//!
//! ```text
//! taken       1  2  3  4  5  6
//! done        x  x     x  x        3 is held by a window, 6 is on its way
//! committed   ---->|               2
//! ```
//!
//! ```
//! use rxevents::{delivery::{Acknowledger, Delivery, PositionFile}, prelude::*, source::TextFile};
//!
//! let folder = tempfile::tempdir()?;
//! let (log, positions) = (folder.path().join("log.txt"), folder.path().join("positions.json"));
//! std::fs::write(&log, "one\n\ntwo\nthree\n")?;
//! let run = |most: usize| -> Result<Vec<String>, Box<dyn std::error::Error>> {
//!     let acks = Acknowledger::new("log", PositionFile::open(&positions)?.source("log"))?;
//!     let mut seen = vec![];
//!     Local::from_iter_result(acks.resume(TextFile::open(&log)?)?)
//!         .filter_map(|line: Delivery<_>| line.transpose().ok())
//!         .filter(|line| !line.bytes().is_empty())
//!         .take(most)
//!         .on_error_route(observer(|error: StreamError| panic!("{error}")))
//!         .subscribe(|line| seen.push(line.ack().text().unwrap().to_owned()));
//!     Ok(seen)
//! };
//! assert_eq!(run(2)?, ["one", "two"]);
//! assert_eq!(run(9)?, ["three"]); // goes on where it was
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod acknowledger;
mod commit_every;
pub(crate) mod fate;
mod item;
mod ops;
mod position;
mod receipt;
mod tracker;

pub use acknowledger::{
    AckPolicy, Acknowledger, DEFAULT_COMMIT_EVERY, DEFAULT_MAX_IN_FLIGHT, Deliveries, DeliveryCounts,
    DeliveryError, DeliveryStream, Imbalance,
};
pub use commit_every::CommitEvery;
pub use fate::is_abandoning;
pub use item::Delivery;
pub use ops::{DeliveryOps, TryMapValue};
pub use position::{MemoryPosition, Position, PositionError, PositionFile, PositionStore, SourcePosition};
pub use receipt::Receipt;
#[cfg(feature = "state")]
pub(crate) use receipt::ReceiptPart;
pub(crate) use receipt::SourceId;
pub(crate) use tracker::Flush;
#[cfg(feature = "state")]
pub(crate) use tracker::next_id;
