use std::borrow::Borrow;

use super::{ByKeyIn, by_key_in::told};
use crate::{
    delivery::{
        Delivery,
        fate::{Fate, with_fate},
    },
    operator::{
        apply::{Emit, Kernel},
        key::Key,
    },
    state::{EncodeKey, TableKey, TimeOf},
};

// See `TableOps::deduplicate_in`.
impl<K, Q, T, I> Kernel<Delivery<I>, Delivery<I>> for ByKeyIn<K, Q, (), T>
where
    K: FnMut(&I) -> &Q,
    Q: Key<Owned: TableKey + Borrow<Q>> + EncodeKey + ?Sized,
    T: TimeOf<I>,
{
    const NAME: &'static str = "deduplicate_in";

    #[inline]
    fn next(&mut self, item: Delivery<I>) -> Emit<Delivery<I>> {
        let at = self.writer.time_of(&*item);
        let key = (self.key)(&item);
        let new = self.writer.once(item.receipt(), |values, rows| values.insert_new(rows, key, at, ()));
        told(item, new, |item, new| {
            if new {
                return Emit::Item(item);
            }
            with_fate(Fate::Dropped, || drop(item));
            Emit::Skip
        })
    }
}
