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

// See `TableOps::scan_by_key_in`.
impl<K, Q, V, N, F, T, I, U> Kernel<Delivery<I>, Delivery<U>> for ByKeyIn<K, Q, V, T, (N, F)>
where
    K: FnMut(&I) -> &Q,
    Q: Key<Owned: TableKey + Borrow<Q>> + EncodeKey + ?Sized,
    V: Serialize + DeserializeOwned + Send + 'static,
    N: FnMut() -> V,
    F: FnMut(&mut V, &I) -> U,
    T: TimeOf<I>,
    U: Serialize + DeserializeOwned + Clone + Send + 'static,
{
    const NAME: &'static str = "scan_by_key_in";

    #[inline]
    fn next(&mut self, item: Delivery<I>) -> Emit<Delivery<U>> {
        let at = self.writer.time_of(&*item);
        let Self { writer, key, asked: (new, f) } = self;
        let scanned = writer.apply(item.receipt(), key(&item), at, new, |value| f(value, &item));
        told(item, scanned, |item, result| {
            let (value, receipt) = item.into_parts();
            drop(value);
            Emit::Item(Delivery::new(result, receipt))
        })
    }
}
