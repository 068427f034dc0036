//! Operators that make one item of all items.

mod average;
mod count;
mod decide;
mod extreme;
mod fold;
mod if_empty;
mod sequence_equal;
mod sum;
mod to_vec;

pub use average::*;
pub use count::*;
pub use decide::*;
pub use extreme::*;
pub use fold::*;
pub use if_empty::*;
pub use sequence_equal::*;
pub use sum::*;
pub use to_vec::*;

use std::cmp::Ordering;

use rxrust::observable::Observable;

use super::{Events, apply::Apply, time::TimeoutWith};
use crate::buffer::Buffer;

/// Operators that make one item of all items, and those that ask whether there is one.
///
/// The one item comes when the source completes, so a source that never does gives none: cut it first, by
/// [`take_until`](super::filter::FilterOps::take_until), [`buffer_count`](super::window::WindowOps::buffer_count) and the
/// like; a running value is [`scan`](super::transform::TransformOps::scan). `all`, `any`, `contains`, `is_empty` and
/// `sequence_equal` answer as soon as one item decides, and stop the source. An error is passed on, without an item. Time:
/// O(1) an item.
pub trait AggregateOps: Observable + 'static {
    /// How many items there were (ReactiveX `count`).
    ///
    /// ```text
    /// --a--b-|
    ///   count
    /// -------(2|)
    /// ```
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(["a", "b"]).count().subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [2]);
    /// ```
    fn count<I>(self) -> Self::With<Apply<Self::Inner, Count, I, u64>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| Apply::new(source, Count::default()))
    }

    /// The sum of all items, zero where there are none (ReactiveX `sum`): integers, floats, `Decimal`, `Duration`, `TimeDelta`,
    /// and what else is a [`Summand`].
    ///
    /// ```text
    /// --1--2--3-|
    ///   sum
    /// ----------(6|)
    /// ```
    /// A sum that its type cannot hold ends the stream with [`StreamError::OutOfRange`](crate::StreamError::OutOfRange): `map`
    /// to a wider type above. Floats are added one after the other, in order; a NaN makes the sum NaN.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1, 2, 3]).sum().subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [6]);
    ///
    /// let mut told = String::new();
    /// let bytes = Local::from_iter([200_u8, 100]).stream_error().sum();
    /// bytes.map(|_| String::new()).on_error_return(|error| error.to_string()).subscribe(|v| told = v);
    /// assert_eq!(told, "`sum`: the result is out of the range of u8");
    /// ```
    fn sum<I>(self) -> Self::With<Apply<Self::Inner, Sum<I>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        I: Summand,
    {
        self.transform(|source| Apply::new(source, Sum::new()))
    }

    /// The mean of all items, none where there are none (ReactiveX `average`). A NaN makes it NaN.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1.0, 2.0, 6.0]).average().subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [3.0]);
    /// ```
    fn average(self) -> Self::With<Apply<Self::Inner, Average, f64, f64>>
    where
        Self: for<'a> Observable<Item<'a> = f64>,
    {
        self.transform(|source| Apply::new(source, Average::default()))
    }

    /// [`average`](Self::average) of a value of each item.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(["a", "bcd"]).average_by(|v| v.len() as f64).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [2.0]);
    /// ```
    fn average_by<F, I>(self, value: F) -> Self::With<Apply<Self::Inner, AverageBy<F>, I, f64>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> f64,
    {
        self.transform(|source| Apply::new(source, AverageBy::new(value)))
    }

    /// The least item, none where there are none (ReactiveX `min`); of equal ones the first, as [`Iterator::min`] has it.
    ///
    /// Floats have no total order of their own: `min_by(f64::total_cmp)`. There a NaN is greater than infinity (one with the
    /// sign bit set: less than minus infinity), so a NaN may be the result: `filter` them out above where they are no values.
    /// Memory: one item.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([3, 1, 2]).min().subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [1]);
    /// ```
    fn min<I: Ord>(self) -> Self::With<Apply<Self::Inner, Extreme<ByOrder<false>, I, ()>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| Apply::new(source, Extreme::new(ByOrder)))
    }

    /// The greatest item, none where there are none (ReactiveX `max`); of equal ones the last, as [`Iterator::max`] has it.
    /// Floats: see [`min`](Self::min).
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([3, 1, 2]).max().subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [3]);
    /// ```
    fn max<I: Ord>(self) -> Self::With<Apply<Self::Inner, Extreme<ByOrder<true>, I, ()>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| Apply::new(source, Extreme::new(ByOrder)))
    }

    /// [`min`](Self::min) by a function that compares, which must be a total order.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([0.5, -1.5, f64::NAN]).min_by(f64::total_cmp).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [-1.5]);
    /// ```
    fn min_by<F, I>(
        self,
        compare: F,
    ) -> Self::With<Apply<Self::Inner, Extreme<ByCompare<F, false>, I, ()>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I, &I) -> Ordering,
    {
        self.transform(|source| Apply::new(source, Extreme::new(ByCompare(compare))))
    }

    /// [`max`](Self::max) by a function that compares, which must be a total order.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// let readings = Local::from_iter([0.5, f64::NAN, -1.5]).filter(|v| v.is_finite());
    /// readings.max_by(f64::total_cmp).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [0.5]);
    /// ```
    fn max_by<F, I>(
        self,
        compare: F,
    ) -> Self::With<Apply<Self::Inner, Extreme<ByCompare<F, true>, I, ()>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I, &I) -> Ordering,
    {
        self.transform(|source| Apply::new(source, Extreme::new(ByCompare(compare))))
    }

    /// The item with the least key (as [`Iterator::min_by_key`]); `key` is called once for each item.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(["three", "two", "one"]).min_by_key(|v| v.len()).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, ["two"]);
    /// ```
    fn min_by_key<F, K, I>(
        self,
        key: F,
    ) -> Self::With<Apply<Self::Inner, Extreme<ByKey<F, false>, I, K>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> K,
        K: Ord,
    {
        self.transform(|source| Apply::new(source, Extreme::new(ByKey(key))))
    }

    /// The item with the greatest key (as [`Iterator::max_by_key`]); `key` is called once for each item.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(["three", "two", "one"]).max_by_key(|v| v.len()).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, ["three"]);
    /// ```
    fn max_by_key<F, K, I>(
        self,
        key: F,
    ) -> Self::With<Apply<Self::Inner, Extreme<ByKey<F, true>, I, K>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> K,
        K: Ord,
    {
        self.transform(|source| Apply::new(source, Extreme::new(ByKey(key))))
    }

    /// `f` of the first two items, of that and the third, and so on; the result at the end, none where there are no items
    /// (ReactiveX `reduce` without a seed).
    ///
    /// ```text
    /// --1--2--3-|
    ///   reduce(+)
    /// ----------(6|)
    /// ```
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(["a", "b", "c"].map(String::from)).reduce(|a, b| a + &b).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, ["abc"]);
    /// ```
    fn reduce<F, I>(self, f: F) -> Self::With<Apply<Self::Inner, Reduce<I, F>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(I, I) -> I,
    {
        self.transform(|source| Apply::new(source, Reduce { state: None, f }))
    }

    /// `f` of the seed and the first item, of that and the second, and so on; the result at the end, the seed where there
    /// are no items (ReactiveX `reduce` with a seed, RxJava `collect`).
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(["a", "bc"]).fold(0, |length, v| length + v.len()).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [3]);
    /// ```
    fn fold<A, F, I>(self, seed: A, f: F) -> Self::With<Apply<Self::Inner, Fold<A, F>, I, A>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(A, I) -> A,
    {
        self.transform(|source| Apply::new(source, Fold { state: Some(seed), f }))
    }

    /// All items, in order, as one `Vec` (ReactiveX `to`: RxJava `toList`, RxJS `toArray`); an empty one where there are
    /// none.
    ///
    /// ```text
    /// --1--2-|
    ///   to_vec
    /// -------([1, 2]|)
    /// ```
    /// Memory: all items, at most the default [`Buffer`]: the 1,048,577th ends the stream with
    /// [`StreamError::Overflow`](crate::StreamError::Overflow). For pieces of a long stream:
    /// [`buffer_count`](super::window::WindowOps::buffer_count).
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1, 2]).to_vec().subscribe(|v| seen = v);
    /// assert_eq!(seen, [1, 2]);
    /// ```
    fn to_vec<I>(self) -> Self::With<Apply<Self::Inner, ToVec<I>, I, Vec<I>>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.to_vec_with(Buffer::default())
    }

    /// [`to_vec`](Self::to_vec) with a stated bound and policy. What a policy drops is counted, and what was gathered of a
    /// stream that fails.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let latest = Buffer::new(2).on_overflow(Overflow::DropOldest);
    /// let (drops, mut seen) = (latest.drops(), vec![]);
    /// Local::from_iter(1..=5).to_vec_with(latest).subscribe(|v| seen = v);
    /// assert_eq!((seen, drops.get()), (vec![4, 5], 3));
    /// ```
    fn to_vec_with<I>(self, buffer: Buffer) -> Self::With<Apply<Self::Inner, ToVec<I>, I, Vec<I>>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| Apply::new(source, ToVec::new(buffer)))
    }

    /// Whether `f` is true of all items (ReactiveX `all`, RxJS `every`); it is, where there are none.
    ///
    /// ```text
    /// --2--4--5--6
    ///   all(even)
    /// --------(false|)
    /// ```
    /// The first item of which it is not decides, and stops the source.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(1..).all(|v| *v < 3).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [false]);
    /// ```
    fn all<F, I>(self, f: F) -> Self::With<Apply<Self::Inner, Decide<All<F>>, I, bool>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> bool,
    {
        self.transform(|source| Apply::new(source, Decide(All(f))))
    }

    /// Whether `f` is true of an item (RxJava `any`); it is not, where there are none. The first of which it is decides, and
    /// stops the source.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(1..).any(|v| *v > 3).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [true]);
    /// ```
    fn any<F, I>(self, f: F) -> Self::With<Apply<Self::Inner, Decide<Any<F>>, I, bool>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: FnMut(&I) -> bool,
    {
        self.transform(|source| Apply::new(source, Decide(Any(f))))
    }

    /// Whether an item equals `value` (ReactiveX `contains`). The first that does decides, and stops the source.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(1..).contains(3).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [true]);
    /// ```
    fn contains<T, I>(self, value: T) -> Self::With<Apply<Self::Inner, Decide<Contains<T>>, I, bool>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        I: PartialEq<T>,
    {
        self.transform(|source| Apply::new(source, Decide(Contains(value))))
    }

    /// Whether there are no items (RxJava and RxJS `isEmpty`). The first decides, and stops the source.
    ///
    /// ```text
    /// ---|           --1--2
    ///   is_empty
    /// ---(true|)     --(false|)
    /// ```
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(1..).is_empty().subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [false]);
    /// ```
    #[allow(clippy::wrong_self_convention, reason = "it is asked of the stream, which is used up")]
    fn is_empty<I>(self) -> Self::With<Apply<Self::Inner, Decide<IsEmpty>, I, bool>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| Apply::new(source, Decide(IsEmpty)))
    }

    /// The same items; `default` where there are none (ReactiveX `defaultIfEmpty`).
    ///
    /// ```text
    /// --1--2-|     -------|
    ///   default_if_empty(0)
    /// --1--2-|     -------(0|)
    /// ```
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1, 2]).filter(|v| *v > 5).default_if_empty(0).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [0]);
    /// ```
    fn default_if_empty<I>(self, default: I) -> Self::With<Apply<Self::Inner, DefaultIfEmpty<I>, I, I>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
    {
        self.transform(|source| Apply::new(source, DefaultIfEmpty { default: Some(default) }))
    }

    /// The same items; where there are none, those of `other` (RxJava `switchIfEmpty`).
    ///
    /// ```text
    /// ----|
    ///   switch_if_empty(1-2|)
    /// ----1-2|
    /// ```
    /// `other` is subscribed when the source has completed without an item; with an item it never is. An error of either is
    /// passed on.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1, 2])
    ///     .filter(|v| *v > 5)
    ///     .switch_if_empty(Local::from_iter([7, 8]))
    ///     .subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [7, 8]);
    /// ```
    fn switch_if_empty<B, I>(
        self,
        other: B,
    ) -> Self::With<TimeoutWith<Apply<Self::Inner, NoneIfEmpty, I, Option<I>>, B, I, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        B: Events<I, Self::Err>,
    {
        self.transform(|source| TimeoutWith::new(Apply::new(source, NoneIfEmpty::default()), other))
    }

    /// Whether both have the same items in the same order, and complete (ReactiveX `sequenceEqual`); when does not matter.
    /// The default [`Buffer`] per side.
    ///
    /// ```text
    /// --1--2--3-|
    /// ----1-----2-3|
    ///   sequence_equal
    /// -------------(true|)
    /// ```
    /// The first pair that differs decides, or an item more than the other side has had when it completed; both sources are
    /// stopped then. An error of either is passed on. Memory: the items of the side that is ahead, at most the buffer.
    ///
    /// The source that it is called on is subscribed first: one that emits at once is all in the buffer before the other
    /// begins, so one that never ends belongs on the other side, as for [`zip`](super::combine::CombineOps::zip).
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter([1, 2]).sequence_equal(Local::from_iter(1..)).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [false]);
    /// ```
    fn sequence_equal<B, T, U>(
        self,
        other: B,
    ) -> Self::With<SequenceEqual<Self::Inner, B::Inner, T, U, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        B: Events<U, Self::Err>,
        T: PartialEq<U>,
    {
        self.sequence_equal_with_buffer(other, Buffer::default())
    }

    /// [`sequence_equal`](Self::sequence_equal) with a stated bound per side and what happens beyond it. Where a policy
    /// drops items, it is what was kept that is compared.
    fn sequence_equal_with_buffer<B, T, U>(
        self,
        other: B,
        buffer: Buffer,
    ) -> Self::With<SequenceEqual<Self::Inner, B::Inner, T, U, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        B: Events<U, Self::Err>,
        T: PartialEq<U>,
    {
        self.transform(|source| SequenceEqual::new(source, other.into_inner(), buffer))
    }
}

impl<S: Observable + 'static> AggregateOps for S {}
