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

/// See [`scan_by_key_in`](super::TableOps::scan_by_key_in).
pub struct ScanByKeyIn<K, Q: Key + ?Sized, V, N, F, T> {
    writer: TableWriter<Q::Owned, V, T>,
    key: K,
    new: N,
    f: F,
}

impl<K, Q: Key + ?Sized, V, N, F, T> ScanByKeyIn<K, Q, V, N, F, T> {
    pub(super) fn new(table: impl IntoWriter<Q::Owned, V, Time = T>, key: K, new: N, f: F) -> Self {
        Self { writer: table.into_writer("scan_by_key_in"), key, new, f }
    }
}

impl<K: Clone, Q: Key + ?Sized, V, N: Clone, F: Clone, T: Clone> Clone for ScanByKeyIn<K, Q, V, N, F, T> {
    fn clone(&self) -> Self {
        let Self { writer, key, new, f } = self;
        Self { writer: writer.clone(), key: key.clone(), new: new.clone(), f: f.clone() }
    }
}

impl<K, Q, V, N, F, T, I, U> Kernel<Delivery<I>, Delivery<U>> for ScanByKeyIn<K, Q, V, N, F, T>
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
        let Self { writer, key, new, f } = self;
        match writer.apply(item.receipt(), key(&item), at, new, |value| f(value, &item)) {
            Ok(result) => {
                let (value, receipt) = item.into_parts();
                drop(value);
                Emit::Item(Delivery::new(result, receipt))
            }
            Err(error) => {
                abandon(item);
                Emit::Fail(error.into())
            }
        }
    }
}
