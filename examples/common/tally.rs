//! Counts, and names for what is counted.

use std::{cell::Cell, rc::Rc};

use rxevents::dead_letter::DeadLetter;

/// A count. Clones share it: one is in the pipeline, another reads it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counter(Rc<Cell<u64>>);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.set(self.0.get() + n);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.get()
    }
}

/// The violated fields, sorted, as in `amount+customer`; for another failure its kind, such as `decode`.
pub(crate) fn reason(letter: &DeadLetter) -> String {
    let mut fields: Vec<&str> = letter.violations.iter().map(|violation| violation.path.as_str()).collect();
    if fields.is_empty() {
        return letter.kind.to_string();
    }
    fields.sort_unstable();
    fields.dedup();
    fields.join("+")
}
