use std::{io, path::Path, sync::Arc};

use super::Store;

/// What is wrong with a state, and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The store failed.
    #[error("store {store}: {cause}")]
    Store {
        /// The store.
        store: Arc<str>,
        /// What it says.
        #[source]
        cause: io::Error,
    },
    /// A value or key cannot be written.
    #[error("table `{table}`: cannot encode: {cause}")]
    Encode {
        /// The table.
        table: Arc<str>,
        /// Why.
        #[source]
        cause: rmp_serde::encode::Error,
    },
    /// What the store has is no value of the table's type: another type wrote it, or the file is damaged.
    #[error("table `{table}`, key {key}: not a value of its type: {cause}")]
    Decode {
        /// The table.
        table: Arc<str>,
        /// The key, as its bytes.
        key: String,
        /// Why.
        #[source]
        cause: rmp_serde::decode::Error,
    },
    /// What the store has is no key of the table's type.
    #[error("table `{table}`: {key} is no key of its type")]
    Key {
        /// The table.
        table: Arc<str>,
        /// The bytes.
        key: String,
    },
    /// A table of that name is open already: clone its handle.
    #[error("table `{0}` is open already")]
    TableOpen(Arc<str>),
    /// The name of a table is longer than 65,535 bytes.
    #[error("the name of a table has {0} bytes")]
    TableName(usize),
    /// The store has the table in another version of its schema, and there is no migration from it.
    #[error("table `{table}` has schema version {stored}, and the program wants {wanted}{}", if stored < wanted { ", without a migration" } else { "" })]
    Version {
        /// The table.
        table: Arc<str>,
        /// The version in the store.
        stored: u32,
        /// The program's.
        wanted: u32,
    },
    /// A closure panicked while it changed a value, so the table may be half changed. The store is as it was committed:
    /// open it again.
    #[error("table `{0}`: an update panicked, so nothing can be committed any more")]
    Poisoned(Arc<str>),
    /// A table was used within an update of one, on the same thread.
    #[error("table `{0}` was used within an update of a table")]
    WithinUpdate(Arc<str>),
    /// A delivery of a source whose position is not committed with the table: it would be counted again after a crash.
    #[error("table `{table}`: the position of source `{source_name}` is not kept in the same state")]
    ForeignSource {
        /// The table.
        table: Arc<str>,
        /// The source.
        source_name: Arc<str>,
    },
    /// Two writers of one name have results of different types.
    #[error("table `{table}`: writer `{writer}` has results of another type already")]
    WriterType {
        /// The table.
        table: Arc<str>,
        /// The writer.
        writer: Arc<str>,
    },
    /// A table that forgets by event time was updated without one.
    #[error("table `{0}` forgets by event time, and an update has none")]
    NoTime(Arc<str>),
    /// A snapshot cannot be read, or not into this store.
    #[error("snapshot, record {record}: {what}")]
    Snapshot {
        /// Which record.
        record: u64,
        /// What is wrong.
        what: String,
    },
}

impl StateError {
    pub(super) fn store(store: &dyn Store, cause: io::Error) -> Self {
        Self::Store { store: store.name(), cause }
    }

    pub(super) fn file(path: &Path, cause: io::Error) -> Self {
        Self::Store { store: path.display().to_string().into(), cause }
    }
}

impl From<StateError> for io::Error {
    fn from(error: StateError) -> Self {
        Self::other(error)
    }
}

impl From<StateError> for crate::StreamError {
    fn from(error: StateError) -> Self {
        Self::source(error)
    }
}
