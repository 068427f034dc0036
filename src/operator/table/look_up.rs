use crate::{operator::key::Key, state::TableReader};

/// An operator that reads a table by each item's key.
pub struct LookUp<K, Q: Key + ?Sized, V> {
    pub(super) table: TableReader<Q::Owned, V>,
    pub(super) key: K,
}

impl<K: Clone, Q: Key + ?Sized, V> Clone for LookUp<K, Q, V> {
    fn clone(&self) -> Self {
        Self { table: self.table.clone(), key: self.key.clone() }
    }
}
