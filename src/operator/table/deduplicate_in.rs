use std::borrow::Borrow;

use crate::{
    delivery::{
        Delivery,
        fate::{Fate, abandon, with_fate},
    },
    operator::{
        apply::{Emit, Kernel},
        key::Key,
    },
    state::{EncodeKey, IntoWriter, TableKey, TableWriter, TimeOf},
};

/// See [`deduplicate_in`](super::TableOps::deduplicate_in).
pub struct DeduplicateIn<K, Q: Key + ?Sized, T> {
    writer: TableWriter<Q::Owned, (), T>,
    key: K,
}

impl<K, Q: Key + ?Sized, T> DeduplicateIn<K, Q, T> {
    pub(super) fn new(table: impl IntoWriter<Q::Owned, (), Time = T>, key: K) -> Self {
        Self { writer: table.into_writer("deduplicate_in"), key }
    }
}

impl<K: Clone, Q: Key + ?Sized, T: Clone> Clone for DeduplicateIn<K, Q, T> {
    fn clone(&self) -> Self {
        Self { writer: self.writer.clone(), key: self.key.clone() }
    }
}

impl<K, Q, T, I> Kernel<Delivery<I>, Delivery<I>> for DeduplicateIn<K, Q, T>
where
    K: FnMut(&I) -> &Q,
    Q: Key<Owned: TableKey + Borrow<Q>> + EncodeKey + ?Sized,
    T: TimeOf<I>,
{
    const NAME: &'static str = "deduplicate_in";

    #[inline]
    fn next(&mut self, item: Delivery<I>) -> Emit<Delivery<I>> {
        let at = self.writer.time_of(&*item);
        let key = (self.key)(&item);
        match self.writer.once(item.receipt(), |values, rows| values.insert_new(rows, key, at, ())) {
            Ok(true) => Emit::Item(item),
            Ok(false) => {
                with_fate(Fate::Dropped, || drop(item));
                Emit::Skip
            }
            Err(error) => {
                abandon(item);
                Emit::Fail(error.into())
            }
        }
    }
}
