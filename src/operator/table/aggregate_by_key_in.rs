use std::borrow::Borrow;

use serde::{Serialize, de::DeserializeOwned};

use super::{ByKeyIn, by_key_in::told};
use crate::{
    delivery::Delivery,
    operator::{
        apply::{Emit, Kernel},
        key::Key,
    },
    state::{EncodeKey, TableKey, TimeOf},
};

// See `TableOps::aggregate_by_key_in`.
impl<K, Q, V, N, F, T, I> Kernel<Delivery<I>, (Delivery<I>, V)> for ByKeyIn<K, Q, V, T, (N, F)>
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
        let Self { writer, key, asked: (new, f) } = self;
        let aggregated = writer.apply(item.receipt(), key(&item), at, new, |value| {
            f(value, &item);
            value.clone()
        });
        told(item, aggregated, |item, aggregate| Emit::Item((item, aggregate)))
    }
}
