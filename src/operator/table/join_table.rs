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

/// See [`join_table`](super::TableOps::join_table).
pub struct JoinTable<K, Q: Key + ?Sized, V> {
    table: TableReader<Q::Owned, V>,
    key: K,
}

impl<K, Q: Key + ?Sized, V> JoinTable<K, Q, V> {
    pub(super) fn new(table: TableReader<Q::Owned, V>, key: K) -> Self {
        Self { table, key }
    }
}

impl<K: Clone, Q: Key + ?Sized, V> Clone for JoinTable<K, Q, V> {
    fn clone(&self) -> Self {
        Self { table: self.table.clone(), key: self.key.clone() }
    }
}

impl<K, Q, V, I> Kernel<I, (I, V)> for JoinTable<K, Q, V>
where
    K: FnMut(&I) -> &Q,
    Q: Key<Owned: TableKey + Borrow<Q>> + EncodeKey + ?Sized,
    V: Serialize + DeserializeOwned + Clone + Send + 'static,
{
    const NAME: &'static str = "join_table";

    #[inline]
    fn next(&mut self, item: I) -> Emit<(I, V)> {
        match self.table.get((self.key)(&item)) {
            Ok(Some(value)) => Emit::Item((item, value)),
            Ok(None) => Emit::Skip,
            Err(error) => {
                abandon(item);
                Emit::Fail(error.into())
            }
        }
    }
}
