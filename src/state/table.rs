use std::{borrow::Borrow, cell::Cell, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    EncodeKey, State, StateError, TableKey, TableWriter,
    cells::Rows,
    key::{encode_start, encoded},
};
use crate::operator::key::Key;

/// A map of keys and values that survives a crash: what has changed is committed with the [`State`] that it belongs to.
///
/// Changed by the operators of [`TableOps`](crate::operator::table::TableOps), which apply each event exactly once, or by
/// yourself. No reference to a value leaves it: [`update`](Self::update) lends it to a closure, and what that leaves is
/// what will be committed (Faust's tables lose what is changed in place):
///
/// ```compile_fail
/// # use rxevents::state::{MemoryStore, State};
/// # let table = State::open(MemoryStore::new()).unwrap().table::<u8, Vec<u8>>("t").unwrap();
/// let mut escaped = None;
/// table.update(&1, Vec::new, |value| escaped = Some(value)); // does not compile
/// ```
///
/// Memory: the keys that are [cached](super::TableOptions::cached), with their values; all others are in the store. Time: a
/// lock that seldom anybody else wants, and one look-up; a read of the store for a key that is not cached.
///
/// Clones are handles to the same table.
pub struct Table<K, V> {
    rows: Arc<Rows<K, V>>,
    state: State,
}

impl<K, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        Self { rows: self.rows.clone(), state: self.state.clone() }
    }
}

/// A table for those who only ask: from any thread, while it is being changed. See [`Table::reader`].
pub struct TableReader<K, V>(Table<K, V>);

impl<K, V> Clone for TableReader<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

thread_local! {
    /// A closure of an update runs.
    static UPDATING: Cell<bool> = const { Cell::new(false) };
}

/// Whether no update runs on this thread.
pub(super) fn outside_of_updates(of: impl FnOnce() -> Arc<str>) -> Result<(), StateError> {
    if UPDATING.get() { Err(StateError::WithinUpdate(of())) } else { Ok(()) }
}

/// Runs a closure that is lent a value of a table.
pub(super) fn within_update<R>(f: impl FnOnce() -> R) -> R {
    struct Ends;
    impl Drop for Ends {
        fn drop(&mut self) {
            UPDATING.set(false);
        }
    }
    UPDATING.set(true);
    let _ends = Ends;
    f()
}

impl<K, V> Table<K, V>
where
    K: TableKey,
    V: Serialize + DeserializeOwned + Send + 'static,
{
    pub(super) fn new(rows: Arc<Rows<K, V>>, state: State) -> Self {
        Self { rows, state }
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.rows.name
    }

    /// The state that it belongs to.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// A handle that only reads.
    pub fn reader(&self) -> TableReader<K, V> {
        TableReader(self.clone())
    }

    /// A writer of that name, for the operators: events that were applied are remembered by it. Two operators that
    /// change the same table want two names, which stay the same over restarts.
    pub fn writer(&self, name: impl Into<Arc<str>>) -> TableWriter<K, V> {
        TableWriter::new(self.clone(), name.into())
    }

    pub(super) fn rows(&self) -> &Rows<K, V> {
        &self.rows
    }

    /// Commits when as many keys have changed as are kept in memory.
    #[inline]
    pub(super) fn commit_if_due(&self, due: bool) -> Result<(), StateError> {
        if due { self.state.commit() } else { Ok(()) }
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// The store fails, or has something else under that key.
    pub fn get<Q>(&self, key: &Q) -> Result<Option<V>, StateError>
    where
        K: Borrow<Q>,
        Q: Key<Owned = K> + EncodeKey + ?Sized,
        V: Clone,
    {
        let mut cells = self.rows.cells()?;
        Ok(cells.values.get(&self.rows, key)?.cloned())
    }

    /// What `f` makes of the value of `key`, which begins as `new`; what it leaves is the value from then on.
    ///
    /// Not for events that may come again: see [`writer`](Self::writer).
    ///
    /// # Errors
    /// As [`get`](Self::get). Where the commit that it was time for fails, the value is changed nevertheless. When `f` panics,
    /// nothing can be committed any more: open the store again.
    pub fn update<Q, R>(
        &self,
        key: &Q,
        new: impl FnOnce() -> V,
        f: impl FnOnce(&mut V) -> R,
    ) -> Result<R, StateError>
    where
        K: Borrow<Q>,
        Q: Key<Owned = K> + EncodeKey + ?Sized,
    {
        let mut cells = self.rows.cells()?;
        let (new, f) = (|| within_update(new), |value: &mut V| within_update(|| f(value)));
        let result = cells.values.update(&self.rows, key, None, new, f)?;
        let due = cells.values.is_due();
        drop(cells);
        self.commit_if_due(due)?;
        Ok(result)
    }

    /// Sets the value of `key`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn insert<Q>(&self, key: &Q, value: V) -> Result<(), StateError>
    where
        K: Borrow<Q>,
        Q: Key<Owned = K> + EncodeKey + ?Sized,
    {
        let mut cells = self.rows.cells()?;
        let before = cells.values.change(&self.rows, key, None)?.replace(value);
        let due = cells.values.is_due();
        drop(cells);
        // A value that was replaced may do anything when it is dropped.
        drop(before);
        self.commit_if_due(due)
    }

    /// Removes `key`: its value.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn remove<Q>(&self, key: &Q) -> Result<Option<V>, StateError>
    where
        K: Borrow<Q>,
        Q: Key<Owned = K> + EncodeKey + ?Sized,
    {
        let mut cells = self.rows.cells()?;
        let before = cells.values.remove(&self.rows, key)?;
        let due = cells.values.is_due();
        drop(cells);
        self.commit_if_due(due)?;
        Ok(before)
    }

    /// The keys that begin with the parts of `prefix`, and their values, in order, `limit` of them at most: of keys
    /// `(user, element)` those of one user. `()` begins all. Those that are not cached are read from the store.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn scan_prefix<P>(&self, prefix: &P, limit: usize) -> Result<Vec<(K, V)>, StateError>
    where
        P: EncodeKey + ?Sized,
        V: Clone,
    {
        self.rows.cells()?.values.scan(&self.rows, &encoded(prefix), limit)
    }

    /// [`scan_prefix`](Self::scan_prefix) for keys whose first part is a text that begins with `start`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn scan_starting_with(&self, start: &str, limit: usize) -> Result<Vec<(K, V)>, StateError>
    where
        V: Clone,
    {
        let mut prefix = Vec::new();
        encode_start(start.as_bytes(), &mut prefix);
        self.rows.cells()?.values.scan(&self.rows, &prefix, limit)
    }

    /// How many keys it has; those whose time is over count until a commit has removed them.
    ///
    /// # Errors
    /// An update has panicked.
    pub fn len_estimate(&self) -> Result<usize, StateError> {
        Ok(self.rows.cells()?.values.len())
    }
}

impl<K, V> TableReader<K, V>
where
    K: TableKey,
    V: Serialize + DeserializeOwned + Clone + Send + 'static,
{
    /// See [`Table::get`].
    ///
    /// # Errors
    /// As there.
    pub fn get<Q>(&self, key: &Q) -> Result<Option<V>, StateError>
    where
        K: Borrow<Q>,
        Q: Key<Owned = K> + EncodeKey + ?Sized,
    {
        self.0.get(key)
    }

    /// See [`Table::scan_prefix`].
    ///
    /// # Errors
    /// As there.
    pub fn scan_prefix<P: EncodeKey + ?Sized>(
        &self,
        prefix: &P,
        limit: usize,
    ) -> Result<Vec<(K, V)>, StateError> {
        self.0.scan_prefix(prefix, limit)
    }

    /// See [`Table::len_estimate`].
    ///
    /// # Errors
    /// As there.
    pub fn len_estimate(&self) -> Result<usize, StateError> {
        self.0.len_estimate()
    }
}
