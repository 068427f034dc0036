use std::borrow::Borrow;

use serde::{Serialize, de::DeserializeOwned};

use super::{LookUp, by_key_in::told};
use crate::{
    operator::{
        apply::{Emit, Kernel},
        key::Key,
    },
    state::{EncodeKey, TableKey},
};

// See `TableOps::join_table`.
impl<K, Q, V, I> Kernel<I, (I, V)> for LookUp<K, Q, V>
where
    K: FnMut(&I) -> &Q,
    Q: Key<Owned: TableKey + Borrow<Q>> + EncodeKey + ?Sized,
    V: Serialize + DeserializeOwned + Clone + Send + 'static,
{
    const NAME: &'static str = "join_table";

    #[inline]
    fn next(&mut self, item: I) -> Emit<(I, V)> {
        let value = self.table.get((self.key)(&item));
        told(item, value, |item, value| value.map_or(Emit::Skip, |value| Emit::Item((item, value))))
    }
}
