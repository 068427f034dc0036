//! Operators that gather items.

mod buffer_count;
mod buffer_count_skip;
mod chunks;
mod flag_outliers;
mod moving_average;
mod sliding;

pub use buffer_count::*;
pub use buffer_count_skip::*;
pub use chunks::*;
pub use flag_outliers::*;
pub use moving_average::*;
pub use sliding::*;

use rxrust::observable::Observable;

use super::apply::Apply;

/// The most items that room is made for before they are there.
const RESERVE: usize = 1024;

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

    /// Partitions of `count` items, one starting every `skip` items (ReactiveX `buffer(count, skip)`). With `skip`
    /// below `count` they overlap; with `skip` above it, the items in the gaps are left out. Either of them 0 is taken
    /// as 1.
    ///
    /// ```text
    /// --1--2--3--4--5-|
    ///   buffer_count_skip(3, 2)
    /// --------123---345(5|)
    /// ```
    /// When the source completes, the partitions that have begun and are not full are sent first, the oldest first, as
    /// ReactiveX says; an error drops them. Each partition is one allocation of its final size; items that are in more
    /// than one are cloned. Memory: `count` items. Time: `count / skip` clones an item. [`sliding`](Self::sliding) does
    /// without both.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(1..=5).buffer_count_skip(3, 2).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [vec![1, 2, 3], vec![3, 4, 5], vec![5]]);
    /// let mut seen = vec![];
    /// Local::from_iter(1..=5).buffer_count_skip(1, 3).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [[1], [4]]);
    /// ```
    fn buffer_count_skip<I>(
        self,
        count: usize,
        skip: usize,
    ) -> Self::With<Apply<Self::Inner, BufferCountSkip<I>, I, Vec<I>>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        I: Clone,
    {
        self.transform(|source| Apply::new(source, BufferCountSkip::new(count, skip)))
    }

    /// What `f` makes of each partition of `count` items, which is lent to it (as `slice::chunks`: the last one is what
    /// is left; `count` 0 is taken as 1). [`buffer_count`](Self::buffer_count) without the allocation.
    ///
    /// ```text
    /// --1--2--3--4--5-|
    ///   chunks(2, sum)
    /// -----3-----7----(5|)
    /// ```
    /// An error drops what is left. Memory: `count` items; nothing is allocated once there is room for them.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(1..=5).chunks(2, |v| v.iter().sum::<i32>()).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [3, 7, 5]);
    /// ```
    fn chunks<F, U, I>(self, count: usize, f: F) -> Self::With<Apply<Self::Inner, Chunks<I, F>, I, U>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&[I]) -> U,
    {
        self.transform(|source| Apply::new(source, Chunks::new(count, f)))
    }

    /// What `f` makes of each window of `count` items, which is lent to it; one window starts every `step` items (as
    /// `slice::windows`, with a step: full windows only). With `step` above `count`, the items in the gaps are left out.
    /// Either of them 0 is taken as 1.
    ///
    /// ```text
    /// --1--2--3--4--5-|
    ///   sliding(3, 1, sum)
    /// --------6--9--12|
    /// ```
    /// Memory: twice `count` items (items stay up to `count` items longer than their window); nothing is allocated once
    /// there is room for them. Time: one move an item, besides `f`.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1, 4, 2, 8, 5]).sliding(2, 1, |v| v[1] - v[0]).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [3, -2, 6, -3]);
    /// ```
    fn sliding<F, U, I>(
        self,
        count: usize,
        step: usize,
        f: F,
    ) -> Self::With<Apply<Self::Inner, Sliding<I, F>, I, U>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&[I]) -> U,
    {
        self.transform(|source| Apply::new(source, Sliding::new(count, step, f)))
    }

    /// The mean of the latest `count` values, from the `count`-th on (the simple moving average; `count` 0 is taken as
    /// 1).
    ///
    /// ```text
    /// --1--2--3--4--5-|
    ///   moving_average(3)
    /// --------2--3--4-|
    /// ```
    /// A value that is not finite makes the means of its windows so, by the rules of IEEE 754 (one NaN: NaN); they are
    /// right again when it has left. Nothing is ever subtracted from a sum: errors do not add up, however long the stream,
    /// and a large value leaves no trace behind; the error of a mean is that of a plain sum of its window. A sum beyond the
    /// range of `f64` is no harm, but costs `count` steps.
    ///
    /// Memory: twice `count` values, and no allocation once there is room for them. Time: constant on average; once in
    /// `count` values it is `count` steps.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1.0, 3.0, f64::NAN, 4.0, 6.0]).moving_average(2).subscribe(|v| seen.push(v));
    /// assert_eq!((seen[0], seen[3]), (2.0, 5.0));
    /// assert!(seen[1].is_nan() && seen[2].is_nan());
    /// ```
    fn moving_average(self, count: usize) -> Self::With<Apply<Self::Inner, MovingAverage, f64, f64>>
    where
        Self: for<'a> Observable<Item<'a> = f64>,
    {
        self.transform(|source| Apply::new(source, MovingAverage::new(count)))
    }

    /// [`moving_average`](Self::moving_average) of the `value`s of the items.
    ///
    /// ```
    /// use rxevents::{prelude::*, source::SensorReadings};
    /// let mut means = vec![];
    /// Local::from_iter(SensorReadings::new(1).take(100))
    ///     .moving_average_by(12, |reading| reading.value)
    ///     .subscribe(|mean| means.push(mean));
    /// assert!(means.len() == 89 && means.iter().all(|mean| (20.0..25.0).contains(mean)));
    /// ```
    fn moving_average_by<F, I>(
        self,
        count: usize,
        value: F,
    ) -> Self::With<Apply<Self::Inner, MovingAverageBy<F>, I, f64>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> f64,
    {
        self.transform(|source| Apply::new(source, MovingAverageBy::new(count, value)))
    }

    /// Judges partitions of values, such as those of [`buffer_count`](Self::buffer_count): each goes on as [`Judged`],
    /// with its mean, flagged when a value in it is above `ratio` times the mean.
    ///
    /// For values that are above 0 by nature, and finite: where the mean is not finite, nothing is flagged. An empty
    /// partition is not flagged. Memory: none.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([vec![1.0, 1.0, 1.0], vec![1.0, 1.0, 4.0]])
    ///     .flag_outliers(1.5)
    ///     .subscribe(|judged| seen.push((judged.mean, judged.flagged)));
    /// assert_eq!(seen, [(1.0, false), (2.0, true)]);
    /// ```
    fn flag_outliers<P>(self, ratio: f64) -> Self::With<Apply<Self::Inner, FlagOutliers, P, Judged<P>>>
    where
        Self: for<'a> Observable<Item<'a> = P>,
        P: AsRef<[f64]>,
    {
        self.transform(|source| Apply::new(source, FlagOutliers { ratio }))
    }

    /// [`flag_outliers`](Self::flag_outliers) by the `value`s of the items of the partitions.
    ///
    /// ```
    /// use rxevents::{prelude::*, source::SensorReadings};
    /// let mut flagged = 0;
    /// Local::from_iter(SensorReadings::new(1).anomalies(0.01).take(1_000))
    ///     .buffer_count(5)
    ///     .flag_outliers_by(1.5, |reading| reading.value)
    ///     .subscribe(|judged| flagged += usize::from(judged.flagged));
    /// assert!(flagged > 0);
    /// ```
    fn flag_outliers_by<F, P, I>(
        self,
        ratio: f64,
        value: F,
    ) -> Self::With<Apply<Self::Inner, FlagOutliersBy<F, I>, P, Judged<P>>>
    where
        Self: for<'a> Observable<Item<'a> = P>,
        P: AsRef<[I]>,
        F: FnMut(&I) -> f64,
    {
        self.transform(|source| Apply::new(source, FlagOutliersBy::new(ratio, value)))
    }
}

impl<S: Observable + 'static> WindowOps for S {}
