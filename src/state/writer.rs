use std::{borrow::Borrow, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    EncodeKey, StateError, Table, TableKey,
    applied::Turn,
    cells::{Rows, Values},
    table::within_update,
};
use crate::{delivery::Receipt, event_time::Nanos, operator::key::Key};

/// Who changes a [`Table`] by events that may come again: each is applied once, and what was made of it then is
/// remembered until it is done. See [`Table::writer`].
///
/// An event that becomes several items is told by the order in which they come, which is to be the same each time.
pub struct TableWriter<K, V, T = Untimed> {
    table: Table<K, V>,
    name: Arc<str>,
    time: T,
}

impl<K, V, T: Clone> Clone for TableWriter<K, V, T> {
    fn clone(&self) -> Self {
        Self { table: self.table.clone(), name: self.name.clone(), time: self.time.clone() }
    }
}

/// The events' times are of no interest.
#[derive(Debug, Clone, Copy, Default)]
pub struct Untimed;

/// The event time of an item.
pub trait TimeOf<I> {
    /// `None`: it has none.
    fn time_of(&mut self, item: &I) -> Option<i64>;
}

impl<I> TimeOf<I> for Untimed {
    #[inline]
    fn time_of(&mut self, _: &I) -> Option<i64> {
        None
    }
}

impl<I, N: Nanos, F: FnMut(&I) -> N> TimeOf<I> for Timed<F> {
    #[inline]
    fn time_of(&mut self, item: &I) -> Option<i64> {
        (self.0)(item).nanos()
    }
}

/// See [`TableWriter::timed`].
#[derive(Debug, Clone)]
pub struct Timed<F>(F);

/// What operators take: a table, or a writer of one.
pub trait IntoWriter<K, V> {
    /// How the writer finds an event's time.
    type Time;
    /// A writer; of a table, one of that name.
    fn into_writer(self, operator: &'static str) -> TableWriter<K, V, Self::Time>;
}

impl<K, V> IntoWriter<K, V> for &Table<K, V>
where
    K: TableKey,
    V: Serialize + DeserializeOwned + Send + 'static,
{
    type Time = Untimed;

    fn into_writer(self, operator: &'static str) -> TableWriter<K, V> {
        self.writer(operator)
    }
}

impl<K, V, T> IntoWriter<K, V> for TableWriter<K, V, T> {
    type Time = T;

    fn into_writer(self, _: &'static str) -> Self {
        self
    }
}

impl<K, V> TableWriter<K, V> {
    pub(super) fn new(table: Table<K, V>, name: Arc<str>) -> Self {
        Self { table, name, time: Untimed }
    }

    /// With the events' own times, for a table that [forgets](super::TableOptions::ttl) by them. A time that is no
    /// [`Nanos`] is none.
    pub fn timed<I, N: Nanos, F: FnMut(&I) -> N>(self, time: F) -> TableWriter<K, V, Timed<F>> {
        TableWriter { table: self.table, name: self.name, time: Timed(time) }
    }
}

impl<K, V, T> TableWriter<K, V, T>
where
    K: TableKey,
    V: Serialize + DeserializeOwned + Send + 'static,
{
    /// The event time of an item.
    #[inline]
    pub(crate) fn time_of<I>(&mut self, item: &I) -> Option<i64>
    where
        T: TimeOf<I>,
    {
        self.time.time_of(item)
    }

    /// What `f` makes of the value of `key`, which begins as `new`, at the first time that the events of `receipt` come
    /// here. When they come again, that again. `at` is the event's time, in nanoseconds.
    ///
    /// # Errors
    /// As [`Table::get`]; and where events would be counted twice after a crash: the
    /// [position of their source is kept elsewhere](StateError::ForeignSource), or they are of before the source began anew.
    pub fn apply<Q, R>(
        &self,
        receipt: &Receipt,
        key: &Q,
        at: Option<i64>,
        new: impl FnOnce() -> V,
        f: impl FnOnce(&mut V) -> R,
    ) -> Result<R, StateError>
    where
        K: Borrow<Q>,
        Q: Key<Owned = K> + EncodeKey + ?Sized,
        R: Serialize + DeserializeOwned + Clone + Send + 'static,
    {
        self.once(receipt, |values, rows| {
            let (new, f) = (|| within_update(new), |value: &mut V| within_update(|| f(value)));
            values.update(rows, key, at, new, f)
        })
    }

    /// Runs `f` unless the events of `receipt` were here before.
    #[inline]
    pub(crate) fn once<R>(
        &self,
        receipt: &Receipt,
        f: impl FnOnce(&mut Values<K, V>, &Rows<K, V>) -> Result<R, StateError>,
    ) -> Result<R, StateError>
    where
        R: Serialize + DeserializeOwned + Clone + Send + 'static,
    {
        let rows = self.table.rows();
        let mut cells = rows.cells()?;
        let cells_now = &mut *cells;
        let log = cells_now.logs.of(&self.name)?;
        let (result, due) = match log.turn(receipt, &self.table.state().0.sources)? {
            Turn::Again(result) => (result, false),
            Turn::New(place) => {
                let result = f(&mut cells_now.values, rows)?;
                log.record(place, &result);
                (result, cells_now.values.is_due())
            }
        };
        drop(cells);
        self.table.commit_if_due(due)?;
        Ok(result)
    }
}
