use std::vec::Drain;

use super::Rows;
use crate::{
    buffer::Buffer,
    error::{OverflowError, StreamError, named},
    held::Held,
};

/// Which sources give an item each, by their position from 0: see [`when`](crate::operator::create::CreateOps::when).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<usize>);

impl Pattern {
    /// An item of that source.
    pub fn of(source: usize) -> Self {
        Self(vec![source])
    }

    /// And one of that source. One that is named twice gives two items.
    pub fn and(mut self, source: usize) -> Self {
        self.0.push(source);
        self
    }

    /// For each of its sources, how many items it needs of it.
    fn needs(&self) -> impl Iterator<Item = (usize, usize)> {
        self.0.iter().map(|source| (*source, self.0.iter().filter(|other| *other == source).count()))
    }
}

/// A [`Pattern`] names a source that there is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "`when`: pattern {pattern} names source {source_number}, but there are {sources} (both count from 0)"
)]
pub struct UnknownSource {
    /// Which pattern.
    pub pattern: usize,
    /// Which source it names.
    pub source_number: usize,
    /// How many there are.
    pub sources: usize,
}

/// The rows that patterns make.
#[derive(Clone)]
pub struct PatternRow<F, T> {
    f: F,
    patterns: Vec<Pattern>,
    buffer: Buffer,
    waiting: Vec<Held<T>>,
    done: Vec<bool>,
    row: Vec<T>,
}

impl<F, T> PatternRow<F, T> {
    pub(crate) fn new(patterns: Vec<Pattern>, buffer: Buffer, f: F) -> Self {
        Self { f, patterns, buffer, waiting: Vec::new(), done: Vec::new(), row: Vec::new() }
    }

    /// Whether it may still match.
    fn lives(&self, pattern: &Pattern) -> bool {
        pattern.needs().all(|(source, n)| !self.done[source] || self.waiting[source].len() >= n)
    }
}

impl<F, T, R> Rows<T, R> for PatternRow<F, T>
where
    F: FnMut(usize, Drain<'_, T>) -> R,
{
    fn open(&mut self, sources: usize) -> Result<(), StreamError> {
        for (pattern, Pattern(named)) in self.patterns.iter().enumerate() {
            if let Some(&source_number) = named.iter().find(|source| **source >= sources) {
                return Err(StreamError::source(UnknownSource { pattern, source_number, sources }));
            }
        }
        self.waiting = (0..sources).map(|_| Held::open(&self.buffer)).collect();
        self.done = vec![false; sources];
        Ok(())
    }

    fn item(&mut self, n: usize, item: T) -> Result<Option<R>, OverflowError> {
        if !self.patterns.iter().any(|pattern| pattern.0.contains(&n) && self.lives(pattern)) {
            return Ok(None);
        }
        self.buffer.push(&mut self.waiting[n], item, "when").map_err(|(full, _)| full)?;
        let Self { f, patterns, waiting, row, .. } = self;
        // Nothing matched before, so only one that needs this item can.
        let matches = |pattern: &Pattern| {
            pattern.0.contains(&n) && pattern.needs().all(|(source, n)| waiting[source].len() >= n)
        };
        let Some(first) = patterns.iter().position(matches) else { return Ok(None) };
        row.extend(patterns[first].0.iter().filter_map(|source| waiting[*source].pop_front()));
        Ok(Some(named(|| "when", || f(first, row.drain(..)))))
    }

    fn done(&mut self, n: usize) {
        self.done[n] = true;
    }

    fn is_over(&self) -> bool {
        !self.patterns.iter().any(|pattern| self.lives(pattern))
    }
}
