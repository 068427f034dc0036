use std::cmp::Ordering;

use crate::operator::apply::{Emit, Kernel};

/// The least item, or the greatest: see [`min`](super::AggregateOps::min), [`max_by_key`](super::AggregateOps::max_by_key)
/// and the like.
#[derive(Clone)]
pub struct Extreme<R, I, K> {
    rank: R,
    /// The best so far, and its key.
    best: Option<(I, K)>,
}

impl<R, I, K> Extreme<R, I, K> {
    pub(super) fn new(rank: R) -> Self {
        Self { rank, best: None }
    }
}

impl<R: Rank<I, K>, I, K> Kernel<I, I> for Extreme<R, I, K> {
    const NAME: &'static str = R::NAME;

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<I> {
        let key = self.rank.key(&item);
        let better = match &self.best {
            Some((best, of)) => self.rank.beats((&item, &key), (best, of)),
            None => true,
        };
        if better {
            self.best = Some((item, key));
        }
        Emit::Skip
    }

    fn finish(&mut self) -> Option<I> {
        self.best.take().map(|(item, _)| item)
    }
}

/// Which item is the better one.
pub trait Rank<I, K> {
    /// The operator.
    const NAME: &'static str;
    /// What is kept with the best item, to compare others with.
    fn key(&mut self, item: &I) -> K;
    /// Whether a new item takes the place of the best so far.
    fn beats(&mut self, new: (&I, &K), best: (&I, &K)) -> bool;
}

/// As [`Iterator`] has it: of equal ones the first is the least, the last the greatest.
#[inline(always)]
fn beats<const MAX: bool>(new_to_best: Ordering) -> bool {
    if MAX { new_to_best.is_ge() } else { new_to_best.is_lt() }
}

/// By the items' own order.
#[derive(Clone)]
pub struct ByOrder<const MAX: bool>;

impl<I: Ord, const MAX: bool> Rank<I, ()> for ByOrder<MAX> {
    const NAME: &'static str = if MAX { "max" } else { "min" };

    #[inline(always)]
    fn key(&mut self, _item: &I) {}

    #[inline(always)]
    fn beats(&mut self, (new, ()): (&I, &()), (best, ()): (&I, &())) -> bool {
        beats::<MAX>(new.cmp(best))
    }
}

/// By a function that compares.
#[derive(Clone)]
pub struct ByCompare<F, const MAX: bool>(pub(super) F);

impl<F: FnMut(&I, &I) -> Ordering, I, const MAX: bool> Rank<I, ()> for ByCompare<F, MAX> {
    const NAME: &'static str = if MAX { "max_by" } else { "min_by" };

    #[inline(always)]
    fn key(&mut self, _item: &I) {}

    #[inline(always)]
    fn beats(&mut self, (new, ()): (&I, &()), (best, ()): (&I, &())) -> bool {
        beats::<MAX>((self.0)(new, best))
    }
}

/// By a key of each item.
#[derive(Clone)]
pub struct ByKey<F, const MAX: bool>(pub(super) F);

impl<F: FnMut(&I) -> K, I, K: Ord, const MAX: bool> Rank<I, K> for ByKey<F, MAX> {
    const NAME: &'static str = if MAX { "max_by_key" } else { "min_by_key" };

    #[inline(always)]
    fn key(&mut self, item: &I) -> K {
        (self.0)(item)
    }

    #[inline(always)]
    fn beats(&mut self, (_, new): (&I, &K), (_, best): (&I, &K)) -> bool {
        beats::<MAX>(new.cmp(best))
    }
}
