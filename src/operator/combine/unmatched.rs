use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// An item of [`join_within`](super::CombineOps::join_within) that has found no partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmatched<T, U> {
    /// From the source that the operator was called on.
    Left(T),
    /// From the other one.
    Right(U),
}

/// How many items have found no partner. Clones share the count.
#[derive(Debug, Clone, Default)]
pub struct UnmatchedCount(Arc<Mutex<Shares>>);

#[derive(Debug, Default)]
struct Shares {
    /// Of joins that are over.
    over: [u64; 2],
    live: Vec<Arc<[AtomicU64; 2]>>,
}

impl UnmatchedCount {
    /// Those of the source that the operator was called on, so far.
    pub fn left(&self) -> u64 {
        self.count(0)
    }

    /// Those of the other one, so far.
    pub fn right(&self) -> u64 {
        self.count(1)
    }

    fn count(&self, side: usize) -> u64 {
        let shares = self.shares();
        shares.live.iter().map(|own| own[side].load(Ordering::Relaxed)).sum::<u64>() + shares.over[side]
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The share of one join.
    pub(super) fn share(&self) -> Share {
        let own = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
        self.shares().live.push(own.clone());
        Share { own, all: self.clone() }
    }
}

/// What one join counts. It alone writes to it, so that counting takes no exclusive access to memory: that would cost more
/// than all else that the join does with an item.
pub(super) struct Share {
    own: Arc<[AtomicU64; 2]>,
    all: UnmatchedCount,
}

impl Share {
    #[inline]
    pub(super) fn add<T, U>(&mut self, item: &Unmatched<T, U>) {
        let count = match item {
            Unmatched::Left(_) => &self.own[0],
            Unmatched::Right(_) => &self.own[1],
        };
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut shares = self.all.shares();
        for (over, own) in shares.over.iter_mut().zip(&*self.own) {
            *over += own.load(Ordering::Relaxed);
        }
        shares.live.retain(|own| !Arc::ptr_eq(own, &self.own));
    }
}
