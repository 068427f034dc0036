use std::borrow::Borrow;

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    delivery::{Delivery, fate::abandon},
    operator::{
        apply::{Emit, Kernel},
        key::Key,
    },
    state::{EncodeKey, IntoWriter, TableKey, TableWriter, TimeOf},
};

/// See [`aggregate_by_key_in`](super::TableOps::aggregate_by_key_in).
pub struct AggregateByKeyIn<K, Q: Key + ?Sized, V, N, F, T> {
    writer: TableWriter<Q::Owned, V, T>,
    key: K,
    new: N,
    f: F,
}

impl<K, Q: Key + ?Sized, V, N, F, T> AggregateByKeyIn<K, Q, V, N, F, T> {
    pub(super) fn new(table: impl IntoWriter<Q::Owned, V, Time = T>, key: K, new: N, f: F) -> Self {
        Self { writer: table.into_writer("aggregate_by_key_in"), key, new, f }
    }
}

impl<K: Clone, Q: Key + ?Sized, V, N: Clone, F: Clone, T: Clone> Clone
    for AggregateByKeyIn<K, Q, V, N, F, T>
{
    fn clone(&self) -> Self {
        let Self { writer, key, new, f } = self;
        Self { writer: writer.clone(), key: key.clone(), new: new.clone(), f: f.clone() }
    }
}

impl<K, Q, V, N, F, T, I> Kernel<Delivery<I>, (Delivery<I>, V)> for AggregateByKeyIn<K, Q, V, N, F, T>
where
    K: FnMut(&I) -> &Q,
    Q: Key<Owned: TableKey + Borrow<Q>> + EncodeKey + ?Sized,
    V: Serialize + DeserializeOwned + Clone + Send + 'static,
    N: FnMut() -> V,
    F: FnMut(&mut V, &I),
    T: TimeOf<I>,
{
    const NAME: &'static str = "aggregate_by_key_in";

    #[inline]
    fn next(&mut self, item: Delivery<I>) -> Emit<(Delivery<I>, V)> {
        let at = self.writer.time_of(&*item);
        let Self { writer, key, new, f } = self;
        let aggregated = writer.apply(item.receipt(), key(&item), at, new, |value| {
            f(value, &item);
            value.clone()
        });
        match aggregated {
            Ok(aggregate) => Emit::Item((item, aggregate)),
            Err(error) => {
                abandon(item);
                Emit::Fail(error.into())
            }
        }
    }
}
