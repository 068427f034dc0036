//! Keyed state that survives a crash: tables, and the stores under them.
//!
//! A [`Table`] is a map of keys and values over a [`Store`]: in memory, or a file of [redb](https://docs.rs/redb) (feature
//! `redb`). Several tables, and the positions of the sources that feed them, are one [`State`], and are committed
//! together, in one transaction. So a pipeline that was killed counts each event exactly once:
//!
//! ```text
//! events      1  2  3  4  5 | killed, started again | 4  5  6
//! counted     1  2  3  4  5 |                       |       6
//! committed            ^ counts of 1 to 3, position 3, and that 4 and 5 are counted, with what they were counted as
//! ```
//! An event that comes again because it was not [done](crate::delivery) changes no state for a second time; what it
//! made of the state then is recorded until it is done, and sent again. So what is below sees what it saw before:
//! at-least-once for the outputs, exactly once for the state (as Kafka Streams and Flink define it).
//!
//! ```
//! use rxevents::{prelude::*, state::{MemoryStore, State}};
//!
//! let disk = MemoryStore::new(); // or RedbStore::open("clicks.redb")?
//! let run = |most: usize| -> Result<Vec<(&str, u64)>, Box<dyn std::error::Error>> {
//!     let state = State::open(disk.clone())?;
//!     let counts = state.table::<String, u64>("clicks")?;
//!     let acks = Acknowledger::new("log", state.source("log"))?; // the position is committed with the counts
//!     let clicks = rxevents::source::Replayed::new(["/", "/shop", "/", "/"]);
//!     let mut seen = vec![];
//!     Local::from_iter_result(acks.resume(clicks)?)
//!         .count_by_key_in(&counts, |path: &&str| *path)
//!         .take(most)
//!         .on_error_route(observer(|error: StreamError| panic!("{error}")))
//!         .subscribe(|(click, count)| seen.push((click.ack(), count)));
//!     Ok(seen)
//! };
//! assert_eq!(run(2)?, [("/", 1), ("/shop", 1)]);
//! assert_eq!(run(9)?, [("/", 2), ("/", 3)]); // goes on where it was, with the counts that it had
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod applied;
mod cells;
mod codec;
mod error;
mod key;
mod memory;
mod options;
#[cfg(feature = "redb")]
mod redb;
mod rows;
mod snapshot;
mod source;
mod space;
mod store;
mod table;
mod writer;

pub use codec::decode;
pub use error::StateError;
pub use key::{EncodeKey, TableKey};
pub use memory::MemoryStore;
pub use options::{DEFAULT_CACHED, DEFAULT_SWEEP, TableOptions};
#[cfg(feature = "redb")]
pub use redb::RedbStore;
pub use source::SourceState;
pub use store::{State, Store, Write};
pub use table::{Table, TableReader};
pub use writer::{IntoWriter, TableWriter, TimeOf, Timed, Untimed};
