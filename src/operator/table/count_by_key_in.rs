use std::borrow::Borrow;

use crate::{
    delivery::{Delivery, fate::abandon},
    operator::{
        apply::{Emit, Kernel},
        key::Key,
    },
    state::{EncodeKey, IntoWriter, TableKey, TableWriter, TimeOf},
};

/// See [`count_by_key_in`](super::TableOps::count_by_key_in).
pub struct CountByKeyIn<K, Q: Key + ?Sized, T> {
    writer: TableWriter<Q::Owned, u64, T>,
    key: K,
}

impl<K, Q: Key + ?Sized, T> CountByKeyIn<K, Q, T> {
    pub(super) fn new(table: impl IntoWriter<Q::Owned, u64, Time = T>, key: K) -> Self {
        Self { writer: table.into_writer("count_by_key_in"), key }
    }
}

impl<K: Clone, Q: Key + ?Sized, T: Clone> Clone for CountByKeyIn<K, Q, T> {
    fn clone(&self) -> Self {
        Self { writer: self.writer.clone(), key: self.key.clone() }
    }
}

impl<K, Q, T, I> Kernel<Delivery<I>, (Delivery<I>, u64)> for CountByKeyIn<K, Q, T>
where
    K: FnMut(&I) -> &Q,
    Q: Key<Owned: TableKey + Borrow<Q>> + EncodeKey + ?Sized,
    T: TimeOf<I>,
{
    const NAME: &'static str = "count_by_key_in";

    #[inline]
    fn next(&mut self, item: Delivery<I>) -> Emit<(Delivery<I>, u64)> {
        let at = self.writer.time_of(&*item);
        let key = (self.key)(&item);
        let counted = self.writer.once(item.receipt(), |values, rows| {
            values.update(
                rows,
                key,
                at,
                || 0,
                |count: &mut u64| {
                    *count = count.saturating_add(1);
                    *count
                },
            )
        });
        match counted {
            Ok(count) => Emit::Item((item, count)),
            Err(error) => {
                abandon(item);
                Emit::Fail(error.into())
            }
        }
    }
}
