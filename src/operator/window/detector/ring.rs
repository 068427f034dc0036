use std::collections::VecDeque;

/// The latest `count` values.
#[derive(Debug, Clone)]
pub(super) struct Ring {
    count: usize,
    pub(super) values: VecDeque<f64>,
}

impl Ring {
    pub(super) fn new(count: usize, least: usize) -> Self {
        Self { count: count.max(least), values: VecDeque::new() }
    }

    pub(super) fn is_full(&self) -> bool {
        self.values.len() == self.count
    }

    /// A value more: the one that leaves for it.
    pub(super) fn push(&mut self, value: f64) -> Option<f64> {
        let oldest = if self.is_full() { self.values.pop_front() } else { None };
        self.values.push_back(value);
        oldest
    }
}
