use std::hash::BuildHasher;

use super::{Key, Keys, Table};
use crate::delivery::fate::abandon;
use crate::operator::apply::{Emit, Kernel};

/// See [`count_by_key`](super::KeyOps::count_by_key).
pub struct CountByKey<K, Q: Key + ?Sized, H> {
    table: Table<Q::Owned, u64, H>,
    key: K,
}

impl<K, Q: Key + ?Sized, H: BuildHasher> CountByKey<K, Q, H> {
    pub(super) fn new(key: K, keys: Keys<H>) -> Self {
        Self { table: Table::new(keys), key }
    }
}

impl<K: Clone, Q: Key + ?Sized, H: Clone> Clone for CountByKey<K, Q, H> {
    fn clone(&self) -> Self {
        Self { table: self.table.clone(), key: self.key.clone() }
    }
}

impl<K, Q, H, I> Kernel<I, (I, u64)> for CountByKey<K, Q, H>
where
    K: FnMut(&I) -> &Q,
    Q: Key + ?Sized,
    H: BuildHasher,
{
    const NAME: &'static str = "count_by_key";

    #[inline]
    fn next(&mut self, item: I) -> Emit<(I, u64)> {
        match self.table.get((self.key)(&item), Self::NAME, || 0) {
            Ok(count) => {
                *count = count.saturating_add(1);
                let count = *count;
                Emit::Item((item, count))
            }
            Err(full) => {
                abandon(item);
                Emit::Fail(full.into())
            }
        }
    }
}
