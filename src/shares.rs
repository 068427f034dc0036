//! Counters with several writers, each with a share of its own. It alone writes to that, so that counting takes no exclusive
//! access to memory, which costs more than much else that an operator does with an item.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use crate::sync::lock;

/// What is counted.
pub(crate) trait Counters: Default {
    /// Adds what another writer has counted, which has ended.
    fn take_over(&self, other: &Self);
}

/// The counters of all writers. Clones are the same ones.
#[derive(Debug, Default)]
pub(crate) struct Shares<C>(Arc<Mutex<All<C>>>);

#[derive(Debug, Default)]
struct All<C> {
    /// Of writers that have ended.
    over: C,
    live: Vec<Arc<C>>,
}

impl<C> Clone for Shares<C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<C: Counters> Shares<C> {
    /// The share of one writer.
    pub(crate) fn share(&self) -> Share<C> {
        let own = Arc::<C>::default();
        lock(&self.0).live.push(own.clone());
        Share { own, all: self.clone() }
    }

    /// The sum of what `of` says of each writer.
    pub(crate) fn sum<N: std::iter::Sum>(&self, of: impl Fn(&C) -> N) -> N {
        let all = lock(&self.0);
        all.live.iter().map(|own| &**own).chain([&all.over]).map(of).sum()
    }
}

/// What one writer counts.
pub(crate) struct Share<C: Counters> {
    own: Arc<C>,
    all: Shares<C>,
}

impl<C: Counters> Share<C> {
    /// For [`add`]ing to.
    #[inline(always)]
    pub(crate) fn own(&mut self) -> &C {
        &self.own
    }
}

impl<C: Counters> Drop for Share<C> {
    fn drop(&mut self) {
        let mut all = lock(&self.all.0);
        all.over.take_over(&self.own);
        all.live.retain(|own| !Arc::ptr_eq(own, &self.own));
    }
}

/// Adds to a counter to which nobody else writes.
#[inline(always)]
pub(crate) fn add(count: &AtomicU64, n: u64) {
    count.store(count.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Count(AtomicU64);

    impl Counters for Count {
        fn take_over(&self, other: &Self) {
            add(&self.0, other.0.load(Ordering::Relaxed));
        }
    }

    #[test]
    fn what_those_who_have_ended_counted_stays() {
        let all = Shares::<Count>::default();
        let sum = || all.sum(|count| count.0.load(Ordering::Relaxed));
        let (mut first, mut second) = (all.share(), all.share());
        add(&first.own().0, 1);
        add(&second.own().0, 10);
        assert_eq!(sum(), 11);
        drop(first);
        add(&second.own().0, 10);
        assert_eq!((sum(), lock(&all.0).live.len()), (21, 1));
        drop(second);
        assert_eq!((sum(), lock(&all.0).live.len()), (21, 0));
    }
}
