//! Operators that gather items.

mod buffer_count;

pub use buffer_count::*;

use rxrust::observable::Observable;

use super::apply::Apply;

/// Operators that gather items.
pub trait WindowOps: Observable + 'static {
    /// Partitions of `count` items, the last one what is left (ReactiveX `buffer(count)`; `count` 0 is taken as 1).
    ///
    /// ```text
    /// --1--2--3--4--5-|
    ///   buffer_count(2)
    /// -----12----34---5|
    /// ```
    /// Each partition is one allocation of its final size. Memory: `count` items. On an error the part-filled one is
    /// dropped, as ReactiveX says.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(1..=5).buffer_count(2).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [vec![1, 2], vec![3, 4], vec![5]]);
    /// ```
    fn buffer_count<I>(self, count: usize) -> Self::With<Apply<Self::Inner, BufferCount<I>, I, Vec<I>>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| Apply::new(source, BufferCount::new(count)))
    }
}

impl<S: Observable + 'static> WindowOps for S {}
