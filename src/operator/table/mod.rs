//! Operators over tables: keyed state that survives a crash.
//!
//! They take [deliveries](crate::delivery::Delivery), which know their source and can come again; of items without a
//! source make such with `map(Delivery::untracked)`.

mod aggregate_by_key_in;
mod by_key_in;
mod count_by_key_in;
mod deduplicate_in;
mod enrich_from;
mod join_table;
mod look_up;
mod scan_by_key_in;

pub use by_key_in::ByKeyIn;
pub use look_up::LookUp;

use std::borrow::Borrow;

use rxrust::{context::Context, observable::Observable};
use serde::{Serialize, de::DeserializeOwned};

use super::{Events, apply::Apply, key::Key};
use crate::{
    delivery::Delivery,
    state::{EncodeKey, IntoWriter, TableKey, TableReader, TimeOf},
};

/// The operator `K` with deliveries of `I` in and items `T` out, below the stream `S`.
pub type Below<S, K, I, T> = <S as Context>::With<Apply<<S as Context>::Inner, K, Delivery<I>, T>>;

/// Operators over [tables](crate::state::Table).
///
/// Each event changes a table once, however often it is delivered, and what was made of it then is sent each time; see
/// [`state`](crate::state). The operators take a table, or a [writer](crate::state::Table::writer) of it where two of one
/// kind change the same table, or where keys are forgotten by event time. Keys are borrowed from the event, as in
/// [`KeyOps`](super::key::KeyOps). A [`StateError`](crate::state::StateError), when the store fails, ends the stream as
/// [`StreamError::Source`](crate::StreamError::Source); the event is then not done. Memory: the table's
/// [cached](crate::state::TableOptions::cached) keys, and a result for each event that is in flight. Time: a lock and a
/// look-up an event; a read of the store for a key that is not cached.
pub trait TableOps: Observable + 'static {
    /// Each delivery with the number of events of its key so far, itself included:
    /// [`count_by_key`](super::key::KeyOps::count_by_key), going on after a crash.
    ///
    /// ```text
    /// --a--b--a--| killed, started again --a--|
    ///   count_by_key_in(table)
    /// --a1-b1-a2-|                       --a3-|
    /// ```
    /// ```
    /// use rxevents::{prelude::*, state::{MemoryStore, State}};
    ///
    /// let disk = MemoryStore::new();
    /// for counts in [[1, 1, 2], [3, 2, 4]] {
    ///     let state = State::open(disk.clone())?;
    ///     let clicks = state.table::<String, u64>("clicks")?;
    ///     let mut seen = vec![];
    ///     Local::from_iter(["a", "b", "a"])
    ///         .map(Delivery::untracked)
    ///         .stream_error()
    ///         .count_by_key_in(&clicks, |click: &&str| *click)
    ///         .on_error_route(observer(|error: StreamError| panic!("{error}")))
    ///         .subscribe(|(_, count)| seen.push(count));
    ///     assert_eq!(seen, counts);
    /// } // committed when nobody uses the state any more
    /// # Ok::<(), rxevents::state::StateError>(())
    /// ```
    fn count_by_key_in<K, Q, W, I, E>(
        self,
        table: W,
        key: K,
    ) -> Below<Self, ByKeyIn<K, Q, u64, W::Time>, I, (Delivery<I>, u64)>
    where
        Self: Events<Delivery<I>, E>,
        W: IntoWriter<Q::Owned, u64, Time: TimeOf<I>>,
        K: FnMut(&I) -> &Q,
        Q: Key<Owned: TableKey + Borrow<Q>> + EncodeKey + ?Sized,
    {
        self.transform(|source| Apply::new(source, ByKeyIn::new("count_by_key_in", table, key, ())))
    }

    /// What `f` makes of each event and the state of its key, which begins as `new()`:
    /// [`scan_by_key`](super::key::KeyOps::scan_by_key), going on after a crash. The result carries the receipt on.
    ///
    /// ```
    /// use rxevents::{prelude::*, state::{MemoryStore, State}};
    ///
    /// let state = State::open(MemoryStore::new())?;
    /// let balances = state.table::<String, i64>("balances")?;
    /// let mut seen = vec![];
    /// Local::from_iter([("ann", 5), ("bob", 1), ("ann", -2)])
    ///     .map(Delivery::untracked)
    ///     .stream_error()
    ///     .scan_by_key_in(&balances, |(who, _)| *who, || 0, |balance, (_, amount)| {
    ///         *balance += amount;
    ///         *balance
    ///     })
    ///     .on_error_route(observer(|error: StreamError| panic!("{error}")))
    ///     .subscribe(|balance| seen.push(*balance));
    /// assert_eq!(seen, [5, 1, 3]);
    /// # Ok::<(), rxevents::state::StateError>(())
    /// ```
    fn scan_by_key_in<K, Q, W, V, N, F, U, I, E>(
        self,
        table: W,
        key: K,
        new: N,
        f: F,
    ) -> Below<Self, ByKeyIn<K, Q, V, W::Time, (N, F)>, I, Delivery<U>>
    where
        Self: Events<Delivery<I>, E>,
        W: IntoWriter<Q::Owned, V, Time: TimeOf<I>>,
        K: FnMut(&I) -> &Q,
        Q: Key<Owned: TableKey + Borrow<Q>> + EncodeKey + ?Sized,
        V: Serialize + DeserializeOwned + Send + 'static,
        N: FnMut() -> V,
        F: FnMut(&mut V, &I) -> U,
        U: Serialize + DeserializeOwned + Clone + Send + 'static,
    {
        self.transform(|source| Apply::new(source, ByKeyIn::new("scan_by_key_in", table, key, (new, f))))
    }

    /// Each delivery with the aggregate of its key so far, which begins as `new()` and which `f` adds the event to (Kafka
    /// Streams `aggregate`, each update sent).
    ///
    /// ```
    /// use rxevents::{prelude::*, state::{MemoryStore, State}};
    ///
    /// let state = State::open(MemoryStore::new())?;
    /// let pages = state.table::<String, Vec<u32>>("pages")?;
    /// let mut seen = vec![];
    /// Local::from_iter([("ann", 1), ("ann", 7)])
    ///     .map(Delivery::untracked)
    ///     .stream_error()
    ///     .aggregate_by_key_in(&pages, |(who, _)| *who, Vec::new, |pages, (_, page)| pages.push(*page))
    ///     .on_error_route(observer(|error: StreamError| panic!("{error}")))
    ///     .subscribe(|(_, pages)| seen.push(pages));
    /// assert_eq!(seen, [vec![1], vec![1, 7]]);
    /// # Ok::<(), rxevents::state::StateError>(())
    /// ```
    fn aggregate_by_key_in<K, Q, W, V, N, F, I, E>(
        self,
        table: W,
        key: K,
        new: N,
        f: F,
    ) -> Below<Self, ByKeyIn<K, Q, V, W::Time, (N, F)>, I, (Delivery<I>, V)>
    where
        Self: Events<Delivery<I>, E>,
        W: IntoWriter<Q::Owned, V, Time: TimeOf<I>>,
        K: FnMut(&I) -> &Q,
        Q: Key<Owned: TableKey + Borrow<Q>> + EncodeKey + ?Sized,
        V: Serialize + DeserializeOwned + Clone + Send + 'static,
        N: FnMut() -> V,
        F: FnMut(&mut V, &I),
    {
        self.transform(|source| Apply::new(source, ByKeyIn::new("aggregate_by_key_in", table, key, (new, f))))
    }

    /// The first event of each key, for as long as the table remembers the key
    /// ([`ttl`](crate::state::TableOptions::ttl), from the first event on: those that are dropped do not prolong it).
    /// The others are dropped by policy.
    ///
    /// ```
    /// use rxevents::{prelude::*, state::{MemoryStore, State}};
    ///
    /// let state = State::open(MemoryStore::new())?;
    /// let orders = state.table::<u64, ()>("orders")?;
    /// let mut seen = vec![];
    /// Local::from_iter([17_u64, 18, 17])
    ///     .map(Delivery::untracked)
    ///     .stream_error()
    ///     .deduplicate_in(&orders, |order| order)
    ///     .on_error_route(observer(|error: StreamError| panic!("{error}")))
    ///     .subscribe(|order| seen.push(*order));
    /// assert_eq!(seen, [17, 18]);
    /// # Ok::<(), rxevents::state::StateError>(())
    /// ```
    fn deduplicate_in<K, Q, W, I, E>(
        self,
        table: W,
        key: K,
    ) -> Below<Self, ByKeyIn<K, Q, (), W::Time>, I, Delivery<I>>
    where
        Self: Events<Delivery<I>, E>,
        W: IntoWriter<Q::Owned, (), Time: TimeOf<I>>,
        K: FnMut(&I) -> &Q,
        Q: Key<Owned: TableKey + Borrow<Q>> + EncodeKey + ?Sized,
    {
        self.transform(|source| Apply::new(source, ByKeyIn::new("deduplicate_in", table, key, ())))
    }

    /// Each item, of any type, with what a table has for its key now (Kafka Streams' left join of a stream and a table; the
    /// inner one is [`join_table`](Self::join_table)). The table may be changed by another pipeline, on another thread.
    ///
    /// ```
    /// use rxevents::{prelude::*, state::{MemoryStore, State}};
    ///
    /// let names = State::open(MemoryStore::new())?.table::<u32, String>("names")?;
    /// names.insert(&1, "pump".into())?;
    /// let mut seen = vec![];
    /// Local::from_iter([(1_u32, 20.5), (2, 7.0)])
    ///     .stream_error()
    ///     .enrich_from(names.reader(), |(sensor, _)| sensor)
    ///     .on_error_route(observer(|error: StreamError| panic!("{error}")))
    ///     .subscribe(|((_, value), name)| seen.push((value, name)));
    /// assert_eq!(seen, [(20.5, Some("pump".into())), (7.0, None)]);
    /// # Ok::<(), rxevents::state::StateError>(())
    /// ```
    fn enrich_from<K, Q, V, I, E>(
        self,
        table: TableReader<Q::Owned, V>,
        key: K,
    ) -> Self::With<Apply<<Self as Context>::Inner, LookUp<K, Q, V>, I, (I, Option<V>)>>
    where
        Self: Events<I, E>,
        K: FnMut(&I) -> &Q,
        Q: Key<Owned: TableKey + Borrow<Q>> + EncodeKey + ?Sized,
        V: Serialize + DeserializeOwned + Clone + Send + 'static,
    {
        self.transform(|source| Apply::new(source, LookUp { table, key }))
    }

    /// Each item, of any type, for whose key a table has something, with that (Kafka Streams' inner join of a stream and a
    /// table). The others are filtered.
    ///
    /// ```
    /// use rxevents::{prelude::*, state::{MemoryStore, State}};
    ///
    /// let names = State::open(MemoryStore::new())?.table::<u32, String>("names")?;
    /// names.insert(&1, "pump".into())?;
    /// let mut seen = vec![];
    /// Local::from_iter([(1_u32, 20.5), (2, 7.0)])
    ///     .stream_error()
    ///     .join_table(names.reader(), |(sensor, _)| sensor)
    ///     .on_error_route(observer(|error: StreamError| panic!("{error}")))
    ///     .subscribe(|((_, value), name)| seen.push((value, name)));
    /// assert_eq!(seen, [(20.5, "pump".into())]);
    /// # Ok::<(), rxevents::state::StateError>(())
    /// ```
    fn join_table<K, Q, V, I, E>(
        self,
        table: TableReader<Q::Owned, V>,
        key: K,
    ) -> Self::With<Apply<<Self as Context>::Inner, LookUp<K, Q, V>, I, (I, V)>>
    where
        Self: Events<I, E>,
        K: FnMut(&I) -> &Q,
        Q: Key<Owned: TableKey + Borrow<Q>> + EncodeKey + ?Sized,
        V: Serialize + DeserializeOwned + Clone + Send + 'static,
    {
        self.transform(|source| Apply::new(source, LookUp { table, key }))
    }
}

impl<S: Observable + 'static> TableOps for S {}
