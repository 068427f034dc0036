use std::{
    collections::BTreeMap,
    io,
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard},
};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    SourceState, StateError, Table, TableKey, TableOptions,
    cells::Rows,
    codec::{decode_at, encode},
    space::{Space, after, prefix},
    table::outside_of_updates,
};
use crate::{
    delivery::{Position, next_id},
    error::unhandled,
    sync::lock,
};

/// One change of a [`Store`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The key.
    pub key: Vec<u8>,
    /// Its value from now on; `None`: it is removed (a tombstone, where the store keeps a log).
    pub value: Option<Vec<u8>>,
}

/// What keeps committed state: an ordered map of bytes whose changes come in transactions.
pub trait Store: Send + Sync + 'static {
    /// Its name, in errors: its path, say.
    fn name(&self) -> Arc<str>;

    /// The committed value of a key.
    ///
    /// # Errors
    /// It cannot be read.
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>>;

    /// Hands the committed keys from `from` on, and before `to`, to `each`, in order, until that breaks.
    ///
    /// # Errors
    /// They cannot be read.
    fn scan(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        each: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> io::Result<()>;

    /// Commits all changes or none, the later of two of one key; durable when it returns.
    ///
    /// # Errors
    /// It is not certain that they are durable.
    fn commit(&self, batch: Vec<Write>) -> io::Result<()>;
}

/// Tables, and the positions of the sources that feed them, in one [`Store`], committed together. See the
/// [module](super). Clones are handles to the same one.
///
/// It is committed when an [`Acknowledger`](crate::delivery::Acknowledger) of one of its [sources](Self::source) commits;
/// when a table has changed as many keys as it keeps in memory; when [told to](Self::commit); and when nobody uses it any
/// more. At whatever moment, what is committed is exact: what a crash takes away, the sources deliver again.
#[derive(Clone)]
pub struct State(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) store: Arc<dyn Store>,
    /// Held while committing.
    committing: Mutex<()>,
    tables: Mutex<BTreeMap<Arc<str>, Arc<dyn Part>>>,
    pub(super) sources: Mutex<Sources>,
}

/// What is known of the sources.
#[derive(Default)]
pub(super) struct Sources(BTreeMap<Arc<str>, Source>);

#[derive(Default, Clone, Copy)]
pub(super) struct Source {
    /// How often its position was loaded: each time it begins to deliver anew.
    pub(super) generation: u64,
    /// Who delivers in this generation has this id or a higher one.
    pub(super) since: u64,
    pub(super) committed: Option<Position>,
}

impl Sources {
    pub(super) fn of(&mut self, name: &Arc<str>) -> &mut Source {
        self.0.entry(name.clone()).or_default()
    }

    /// A source whose position is kept here.
    pub(super) fn known(&self, name: &str) -> Option<Source> {
        self.0.get(name).copied().filter(|source| source.generation > 0)
    }

    /// Where a source had committed: events that end there or before are done.
    pub(super) fn committed(&self, name: &str) -> Option<Position> {
        self.0.get(name).and_then(|source| source.committed)
    }
}

/// A table, whatever its types.
pub(super) trait Part: Send + Sync {
    /// Nobody changes it until what this returns is dropped.
    fn lock(&self) -> Result<Box<dyn Changes + '_>, StateError>;
}

/// The changes of a table since the last commit.
pub(super) trait Changes {
    /// Adds them to a transaction that also sets `sources`.
    fn collect(&mut self, sources: &Sources, batch: &mut Vec<Write>) -> Result<(), StateError>;
    /// They are committed.
    fn committed(&mut self, sources: &Sources);
}

impl State {
    /// The state in `store`.
    ///
    /// # Errors
    /// The positions cannot be read.
    pub fn open(store: impl Store) -> Result<Self, StateError> {
        let store: Arc<dyn Store> = Arc::new(store);
        let mut sources = Sources::default();
        let (mut wrong, from) = (None, [Space::Position as u8]);
        let scanned = store.scan(&from, after(&from).as_deref(), &mut |key, value| {
            let source = String::from_utf8_lossy(key.get(3..).unwrap_or_default());
            match decode_at(value, &"positions".into(), key) {
                Ok(position) => {
                    sources.of(&source.into()).committed = Some(position);
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    wrong = Some(error);
                    ControlFlow::Break(())
                }
            }
        });
        scanned.map_err(|cause| StateError::store(&*store, cause))?;
        match wrong {
            Some(error) => Err(error),
            None => Ok(Self(Arc::new(Inner {
                store,
                committing: Mutex::default(),
                tables: Mutex::default(),
                sources: Mutex::new(sources),
            }))),
        }
    }

    /// The table of that name, made when it is not there.
    ///
    /// # Errors
    /// It is open already (clone its handle), cannot be read, or has another schema version than 0.
    pub fn table<K, V>(&self, name: impl Into<Arc<str>>) -> Result<Table<K, V>, StateError>
    where
        K: TableKey,
        V: Serialize + DeserializeOwned + Send + 'static,
    {
        self.table_with(name, TableOptions::default())
    }

    /// [`table`](Self::table), otherwise than usual.
    ///
    /// # Errors
    /// It is open already, cannot be read, or its values cannot be migrated to the version that is wanted.
    pub fn table_with<K, V>(
        &self,
        name: impl Into<Arc<str>>,
        options: TableOptions<V>,
    ) -> Result<Table<K, V>, StateError>
    where
        K: TableKey,
        V: Serialize + DeserializeOwned + Send + 'static,
    {
        let name = name.into();
        if name.len() > usize::from(u16::MAX) {
            return Err(StateError::TableName(name.len()));
        }
        let mut tables = lock(&self.0.tables);
        if tables.contains_key(&name) {
            return Err(StateError::TableOpen(name));
        }
        let rows = Arc::new(Rows::open(self.0.store.clone(), name.clone(), options)?);
        tables.insert(name, rows.clone());
        Ok(Table::new(rows, self.clone()))
    }

    /// Where the position of a source is kept: together with the tables. For
    /// [`Acknowledger::new`](crate::delivery::Acknowledger::new), under the same name.
    pub fn source(&self, name: impl Into<Arc<str>>) -> SourceState {
        SourceState::new(self.clone(), name.into())
    }

    /// Commits all that has changed.
    ///
    /// # Errors
    /// The store fails, a value cannot be encoded, or an update has panicked. Nothing is lost by it: what has changed is
    /// committed by the next commit that succeeds (redb wants to be opened again first), or delivered again after a crash.
    pub fn commit(&self) -> Result<(), StateError> {
        self.0.commit(None)
    }

    /// Where a source had committed.
    pub fn committed(&self, source: &str) -> Option<Position> {
        lock(&self.0.sources).committed(source)
    }
}

impl Inner {
    /// A source begins to deliver, where it had committed; not while it is being committed.
    pub(super) fn begin(&self, name: &Arc<str>) -> Result<Source, StateError> {
        let _one_at_a_time = self.committing()?;
        let mut sources = lock(&self.sources);
        let source = sources.of(name);
        (source.generation, source.since) = (source.generation + 1, next_id());
        Ok(*source)
    }

    /// Nobody else commits. Not within an update: who commits then may wait for the table that is being updated.
    fn committing(&self) -> Result<MutexGuard<'_, ()>, StateError> {
        outside_of_updates(|| self.store.name())?;
        Ok(lock(&self.committing))
    }

    /// … with the position of a source, if it has not begun anew since that generation.
    pub(super) fn commit(&self, position: Option<(&Arc<str>, u64, Position)>) -> Result<(), StateError> {
        let _one_at_a_time = self.committing()?;
        if let Some((name, generation, _)) = position
            && lock(&self.sources).of(name).generation != generation
        {
            return Ok(());
        }
        let tables: Vec<_> = lock(&self.tables).values().cloned().collect();
        let mut changes = tables.iter().map(|table| table.lock()).collect::<Result<Vec<_>, _>>()?;
        let mut batch = Vec::new();
        let mut sources = Sources(lock(&self.sources).0.clone());
        if let Some((name, _, position)) = position {
            sources.of(name).committed = Some(position);
            let mut value = Vec::new();
            encode(&position, &"positions".into(), &mut value)?;
            batch.push(Write { key: prefix(Space::Position, name), value: Some(value) });
        }
        for changes in &mut changes {
            changes.collect(&sources, &mut batch)?;
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.store.commit(batch).map_err(|cause| StateError::store(&*self.store, cause))?;
        if let Some((name, _, position)) = position {
            lock(&self.sources).of(name).committed = Some(position);
        }
        changes.iter_mut().for_each(|changes| changes.committed(&sources));
        Ok(())
    }
}

/// What plain updates have changed since the last commit.
impl Drop for Inner {
    fn drop(&mut self) {
        match self.commit(None) {
            // What a panic has left half changed was reported by it.
            Ok(()) | Err(StateError::Poisoned(_)) => {}
            Err(error) => unhandled(&error.into()),
        }
    }
}
