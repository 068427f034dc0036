use std::hash::BuildHasher;

use crate::delivery::fate::abandon;
use crate::operator::{
    apply::{Emit, Kernel},
    key::{Key, Keys, Table},
};

/// See [`distinct_by`](super::FilterOps::distinct_by).
pub struct DistinctBy<K, Q: Key + ?Sized, H> {
    seen: Table<Q::Owned, bool, H>,
    key: K,
}

impl<K, Q: Key + ?Sized, H: BuildHasher> DistinctBy<K, Q, H> {
    pub(super) fn new(keys: Keys<H>, key: K) -> Self {
        Self { seen: Table::new(keys), key }
    }

    /// Forgets all keys.
    pub(super) fn flush(&mut self) {
        self.seen.clear();
    }
}

impl<K: Clone, Q: Key + ?Sized, H: Clone> Clone for DistinctBy<K, Q, H> {
    fn clone(&self) -> Self {
        Self { seen: self.seen.clone(), key: self.key.clone() }
    }
}

impl<K, Q, H, I> Kernel<I, I> for DistinctBy<K, Q, H>
where
    K: FnMut(&I) -> &Q,
    Q: Key + ?Sized,
    H: BuildHasher,
{
    const NAME: &'static str = "distinct_by";

    #[inline]
    fn next(&mut self, item: I) -> Emit<I> {
        pass(self.seen.get((self.key)(&item), "distinct_by", || false), item)
    }
}

/// See [`distinct`](super::FilterOps::distinct).
pub struct Distinct<I: Key, H> {
    seen: Table<I::Owned, bool, H>,
}

impl<I: Key, H: BuildHasher> Distinct<I, H> {
    pub(super) fn new(keys: Keys<H>) -> Self {
        Self { seen: Table::new(keys) }
    }
}

impl<I: Key, H: Clone> Clone for Distinct<I, H> {
    fn clone(&self) -> Self {
        Self { seen: self.seen.clone() }
    }
}

impl<I: Key, H: BuildHasher> Kernel<I, I> for Distinct<I, H> {
    const NAME: &'static str = "distinct";

    #[inline]
    fn next(&mut self, item: I) -> Emit<I> {
        pass(self.seen.get(&item, "distinct", || false), item)
    }
}

/// Whether its key is there already.
#[inline(always)]
fn pass<I>(seen: Result<&mut bool, crate::OverflowError>, item: I) -> Emit<I> {
    match seen {
        Ok(true) => Emit::Skip,
        Ok(seen) => {
            *seen = true;
            Emit::Item(item)
        }
        Err(full) => {
            abandon(item);
            Emit::Fail(full.into())
        }
    }
}
