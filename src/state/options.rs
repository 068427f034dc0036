use std::{fmt, sync::Arc, time::Duration};

use crate::event_time::{Nanos, whole_nanos};

/// How many keys of a table are kept in memory unless told otherwise.
pub const DEFAULT_CACHED: usize = 1 << 16;
/// How many keys whose time is over a commit forgets at most, unless told otherwise.
pub const DEFAULT_SWEEP: usize = 1000;

/// How a [`Table`](super::Table) is to be.
///
/// ```
/// use rxevents::state::{MemoryStore, State, TableOptions, decode};
/// use std::time::Duration;
///
/// let disk = MemoryStore::new();
/// let state = State::open(disk.clone())?;
/// state.table::<String, u32>("visits")?.insert("ann", 7)?;
/// state.commit()?;
/// drop(state);
///
/// // Now with the name of the last page beside the count.
/// let options = TableOptions::new()
///     .version(1)
///     .migrate(|_from, bytes| Ok((decode::<u32>(bytes)?, String::new())))
///     .ttl(Duration::from_secs(3600));
/// let visits = State::open(disk)?.table_with::<String, (u32, String)>("visits", options)?;
/// assert_eq!(visits.get("ann")?, Some((7, String::new())));
/// # Ok::<(), rxevents::state::StateError>(())
/// ```
pub struct TableOptions<V> {
    pub(super) cached: usize,
    pub(super) sweep: usize,
    pub(super) version: u32,
    pub(super) migrate: Option<Migrate<V>>,
    pub(super) ttl: Option<Ttl>,
}

pub(super) type Migrate<V> = Box<dyn Fn(u32, &[u8]) -> Result<V, rmp_serde::decode::Error>>;

/// When a key is forgotten.
pub(super) struct Ttl {
    pub(super) after: i64,
    /// Otherwise the time is the newest of the events.
    pub(super) now: Option<Arc<dyn Fn() -> i64 + Send + Sync>>,
}

impl<V> Default for TableOptions<V> {
    fn default() -> Self {
        Self { cached: DEFAULT_CACHED, sweep: DEFAULT_SWEEP, version: 0, migrate: None, ttl: None }
    }
}

impl<V> fmt::Debug for TableOptions<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableOptions")
            .field("cached", &self.cached)
            .field("sweep", &self.sweep)
            .field("version", &self.version)
            .field("ttl", &self.ttl.as_ref().map(|ttl| ttl.after))
            .finish_non_exhaustive()
    }
}

impl<V> TableOptions<V> {
    /// The default: 65,536 keys in memory, nothing is forgotten, schema version 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many keys are in memory (at least 1); those used longest ago are read from the store again. When as many have
    /// changed since the last commit, the state is committed.
    #[must_use]
    pub fn cached(self, keys: usize) -> Self {
        Self { cached: keys.clamp(1, 1 << 31), ..self }
    }

    /// The version of the schema of the values, from 0 on.
    #[must_use]
    pub fn version(self, version: u32) -> Self {
        Self { version, ..self }
    }

    /// Makes of each value of an older version, given as its bytes ([`decode`](super::decode) reads them), one of this.
    /// All are migrated when the table is opened, in one transaction.
    #[must_use]
    pub fn migrate(self, f: impl Fn(u32, &[u8]) -> Result<V, rmp_serde::decode::Error> + 'static) -> Self {
        Self { migrate: Some(Box::new(f)), ..self }
    }

    /// Forgets a key this long after its last update, in event time: what [`TableWriter::timed`](super::TableWriter::timed)
    /// says, and the time now is the newest that was seen. An event older than a key's last update does not shorten its life.
    #[must_use]
    pub fn ttl(self, after: Duration) -> Self {
        Self { ttl: Some(Ttl { after: whole_nanos(after), now: None }), ..self }
    }

    /// Forgets a key this long after its last update, by a clock of yours (in production the system's; nanoseconds since
    /// anything that stays the same over restarts).
    #[must_use]
    pub fn ttl_by_clock<N: Nanos>(
        self,
        after: Duration,
        now: impl Fn() -> N + Send + Sync + 'static,
    ) -> Self {
        let now = Arc::new(move || now().nanos().unwrap_or(i64::MAX));
        Self { ttl: Some(Ttl { after: whole_nanos(after), now: Some(now) }), ..self }
    }

    /// How many keys whose time is over a commit removes at most (at least 1), so that it does not stall. A key that
    /// waits for that is already absent for all who ask.
    #[must_use]
    pub fn sweep(self, keys: usize) -> Self {
        Self { sweep: keys.max(1), ..self }
    }
}
