use std::borrow::Borrow;

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    delivery::fate::abandon,
    operator::{
        apply::{Emit, Kernel},
        key::Key,
    },
    state::{EncodeKey, TableKey, TableReader},
};

/// See [`enrich_from`](super::TableOps::enrich_from).
pub struct EnrichFrom<K, Q: Key + ?Sized, V> {
    table: TableReader<Q::Owned, V>,
    key: K,
}

impl<K, Q: Key + ?Sized, V> EnrichFrom<K, Q, V> {
    pub(super) fn new(table: TableReader<Q::Owned, V>, key: K) -> Self {
        Self { table, key }
    }
}

impl<K: Clone, Q: Key + ?Sized, V> Clone for EnrichFrom<K, Q, V> {
    fn clone(&self) -> Self {
        Self { table: self.table.clone(), key: self.key.clone() }
    }
}

impl<K, Q, V, I> Kernel<I, (I, Option<V>)> for EnrichFrom<K, Q, V>
where
    K: FnMut(&I) -> &Q,
    Q: Key<Owned: TableKey + Borrow<Q>> + EncodeKey + ?Sized,
    V: Serialize + DeserializeOwned + Clone + Send + 'static,
{
    const NAME: &'static str = "enrich_from";

    #[inline]
    fn next(&mut self, item: I) -> Emit<(I, Option<V>)> {
        match self.table.get((self.key)(&item)) {
            Ok(value) => Emit::Item((item, value)),
            Err(error) => {
                abandon(item);
                Emit::Fail(error.into())
            }
        }
    }
}
