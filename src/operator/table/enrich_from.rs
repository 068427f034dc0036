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

// See `TableOps::enrich_from`.
impl<K, Q, V, I> Kernel<I, (I, Option<V>)> for LookUp<K, Q, V>
where
    K: FnMut(&I) -> &Q,
    Q: Key<Owned: TableKey + Borrow<Q>> + EncodeKey + ?Sized,
    V: Serialize + DeserializeOwned + Clone + Send + 'static,
{
    const NAME: &'static str = "enrich_from";

    #[inline]
    fn next(&mut self, item: I) -> Emit<(I, Option<V>)> {
        let value = self.table.get((self.key)(&item));
        told(item, value, |item, value| Emit::Item((item, value)))
    }
}
