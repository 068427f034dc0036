use std::borrow::Borrow;

use crate::operator::apply::{Emit, Kernel};

/// See [`distinct_until_changed`](super::FilterOps::distinct_until_changed).
#[derive(Clone)]
pub struct DistinctUntilChanged<I> {
    pub(super) latest: Option<I>,
}

impl<I: PartialEq + Clone> Kernel<I, I> for DistinctUntilChanged<I> {
    const NAME: &'static str = "distinct_until_changed";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<I> {
        if self.latest.as_ref() == Some(&item) {
            return Emit::Skip;
        }
        self.latest = Some(item.clone());
        Emit::Item(item)
    }
}

/// See [`distinct_until_key_changed`](super::FilterOps::distinct_until_key_changed).
pub struct DistinctUntilKeyChanged<K, Q: ToOwned + ?Sized> {
    key: K,
    latest: Option<Q::Owned>,
}

impl<K, Q: ToOwned + ?Sized> DistinctUntilKeyChanged<K, Q> {
    pub(super) fn new(key: K) -> Self {
        Self { key, latest: None }
    }
}

impl<K: Clone, Q: ToOwned<Owned: Clone> + ?Sized> Clone for DistinctUntilKeyChanged<K, Q> {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), latest: self.latest.clone() }
    }
}

impl<K, Q, I> Kernel<I, I> for DistinctUntilKeyChanged<K, Q>
where
    K: FnMut(&I) -> &Q,
    Q: ToOwned + PartialEq + ?Sized,
{
    const NAME: &'static str = "distinct_until_key_changed";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<I> {
        let key = (self.key)(&item);
        match &mut self.latest {
            Some(latest) if Borrow::<Q>::borrow(latest) == key => return Emit::Skip,
            // Reuses what it has allocated.
            Some(latest) => key.clone_into(latest),
            None => self.latest = Some(key.to_owned()),
        }
        Emit::Item(item)
    }
}
