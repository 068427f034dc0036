use std::borrow::Borrow;

use super::{ByKeyIn, by_key_in::told};
use crate::{
    delivery::Delivery,
    operator::{
        apply::{Emit, Kernel},
        key::Key,
    },
    state::{EncodeKey, TableKey, TimeOf},
};

// See `TableOps::count_by_key_in`.
impl<K, Q, T, I> Kernel<Delivery<I>, (Delivery<I>, u64)> for ByKeyIn<K, Q, u64, T>
where
    K: FnMut(&I) -> &Q,
    Q: Key<Owned: TableKey + Borrow<Q>> + EncodeKey + ?Sized,
    T: TimeOf<I>,
{
    const NAME: &'static str = "count_by_key_in";

    #[inline]
    fn next(&mut self, item: Delivery<I>) -> Emit<(Delivery<I>, u64)> {
        let at = self.writer.time_of(&*item);
        let key = (self.key)(&item);
        let one_more = |count: &mut u64| {
            *count = count.saturating_add(1);
            *count
        };
        let counted =
            self.writer.once(item.receipt(), |values, rows| values.update(rows, key, at, || 0, one_more));
        told(item, counted, |item, count| Emit::Item((item, count)))
    }
}
