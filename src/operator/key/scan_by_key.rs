use std::hash::BuildHasher;

use super::{Key, Keys, Table};
use crate::delivery::fate::abandon;
use crate::operator::apply::{Emit, Kernel};

/// See [`scan_by_key`](super::KeyOps::scan_by_key).
pub struct ScanByKey<K, Q: Key + ?Sized, A, F, H> {
    table: Table<Q::Owned, A, H>,
    key: K,
    seed: A,
    f: F,
}

impl<K, Q: Key + ?Sized, A, F, H: BuildHasher> ScanByKey<K, Q, A, F, H> {
    pub(super) fn new(key: K, keys: Keys<H>, seed: A, f: F) -> Self {
        Self { table: Table::new(keys), key, seed, f }
    }
}

impl<K: Clone, Q: Key + ?Sized, A: Clone, F: Clone, H: Clone> Clone for ScanByKey<K, Q, A, F, H> {
    fn clone(&self) -> Self {
        let Self { table, key, seed, f } = self;
        Self { table: table.clone(), key: key.clone(), seed: seed.clone(), f: f.clone() }
    }
}

impl<K, Q, A, F, H, I, U> Kernel<I, U> for ScanByKey<K, Q, A, F, H>
where
    K: FnMut(&I) -> &Q,
    Q: Key + ?Sized,
    A: Clone,
    F: FnMut(&mut A, I) -> U,
    H: BuildHasher,
{
    const NAME: &'static str = "scan_by_key";

    #[inline]
    fn next(&mut self, item: I) -> Emit<U> {
        match self.table.get((self.key)(&item), Self::NAME, || self.seed.clone()) {
            Ok(state) => Emit::Item((self.f)(state, item)),
            Err(full) => {
                abandon(item);
                Emit::Fail(full.into())
            }
        }
    }
}
