//! The keys that have open windows.

use std::{
    borrow::Borrow,
    hash::{BuildHasher, Hash},
    ops::{Index, IndexMut},
};

use hashbrown::HashTable;

use super::lane::Lane;
use crate::operator::key::{FastHasher, Key};

/// The lanes, in places that are used again, so that keys which come and go allocate nothing.
pub(super) struct Lanes<K, A, R> {
    table: HashTable<usize>,
    places: Vec<Lane<K, A, R>>,
    free: Vec<usize>,
    hasher: FastHasher,
    /// Where the last event was.
    last: usize,
    numbers: u64,
}

impl<K: Hash + Eq + Clone, A, R> Lanes<K, A, R> {
    pub(super) fn new() -> Self {
        let (table, places, free, hasher) = Default::default();
        Self { table, places, free, hasher, last: 0, numbers: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// The place of a key.
    #[inline]
    pub(super) fn find<Q>(&mut self, key: &Q) -> Option<usize>
    where
        Q: Key<Owned = K> + ?Sized,
        K: Borrow<Q>,
    {
        let places = &self.places;
        let is = |at: usize| places[at].key.as_ref().is_some_and(|of| Borrow::<Q>::borrow(of) == key);
        if self.last < places.len() && is(self.last) {
            return Some(self.last);
        }
        self.last = *self.table.find(self.hasher.hash_one(key), |at| is(*at))?;
        Some(self.last)
    }

    /// A place for a key that has none.
    pub(super) fn add<Q>(&mut self, key: &Q) -> usize
    where
        Q: Key<Owned = K> + ?Sized,
        K: Borrow<Q>,
    {
        self.numbers += 1;
        let (hash, owned) = (self.hasher.hash_one(key), key.to_owned());
        let at = match self.free.pop() {
            Some(at) => {
                let lane = &mut self.places[at];
                (lane.key, lane.number) = (Some(owned), self.numbers);
                at
            }
            None => {
                self.places.push(Lane::new(owned, self.numbers));
                self.places.len() - 1
            }
        };
        let Self { table, places, hasher, .. } = self;
        // The hash of an owned key is that of the borrowed one, as `Borrow` demands.
        table.insert_unique(hash, at, |at| places[*at].key.as_ref().map_or(0, |key| hasher.hash_one(key)));
        self.last = at;
        at
    }

    /// Forgets the key of a place that has no windows any more.
    pub(super) fn remove(&mut self, at: usize) -> Option<K> {
        let lane = &mut self.places[at];
        let key = lane.key.take()?;
        (lane.due, lane.next, lane.dead) = (super::lane::NEVER, i64::MAX, 0);
        lane.panes.clear();
        lane.stacks = None;
        lane.clock = None;
        if let Ok(found) = self.table.find_entry(self.hasher.hash_one(&key), |of| *of == at) {
            found.remove();
        }
        self.free.push(at);
        Some(key)
    }

    /// The places of all keys.
    pub(super) fn all(&self) -> impl Iterator<Item = usize> {
        self.places.iter().enumerate().filter(|(_, lane)| lane.key.is_some()).map(|(at, _)| at)
    }
}

impl<K, A, R> Index<usize> for Lanes<K, A, R> {
    type Output = Lane<K, A, R>;

    #[inline]
    fn index(&self, at: usize) -> &Lane<K, A, R> {
        &self.places[at]
    }
}

impl<K, A, R> IndexMut<usize> for Lanes<K, A, R> {
    #[inline]
    fn index_mut(&mut self, at: usize) -> &mut Lane<K, A, R> {
        &mut self.places[at]
    }
}
