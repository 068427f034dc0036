//! Counts for a pipeline of several threads.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// A count. Clones share it, on other threads too.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedCounter(Arc<AtomicU64>);

impl SharedCounter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::SeqCst);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}
