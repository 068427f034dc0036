//! Operators that go by a key of the items.

mod alert_once_above;
mod count_by_key;
mod group_by;
mod keys;
mod scan_by_key;

pub use alert_once_above::*;
pub use count_by_key::*;
pub use group_by::*;
pub use keys::*;
pub use scan_by_key::*;

use std::hash::BuildHasher;

use rxrust::{context::Context, observable::Observable};

use super::{Events, apply::Apply, share::Hosts, window::NoSource};

/// A group of items `I` of the stream `S`, of the key `Q`: what [`KeyOps::group_by`] sends.
pub type GroupOf<S, Q, I> =
    <S as Context>::With<Group<<Q as ToOwned>::Owned, I, <S as Observable>::Err, <S as Context>::Scope>>;
/// Groups of items `I` of the stream `S`.
pub type Groups<S, K, Q, H, F, I, In, X> =
    GroupBy<<S as Context>::Inner, K, Q, H, F, I, In, X, GroupOf<S, Q, I>, <S as Observable>::Err>;

/// Operators that go by a key of the items.
///
/// The key is borrowed from the item, and copied only when it is new: `|click| &click.element`, or `|line| line.as_str()`
/// for keys of type `str`. One that is computed is put into the item first (`map(|v| (v % 10, v))`). How many keys are
/// remembered, and what happens beyond that, is [`Keys`]; by default 1,048,576, and the next one ends the stream with
/// [`StreamError::Overflow`](crate::StreamError::Overflow). Time: one look-up an item. Memory: each key with its state;
/// to forget keys, each key twice.
pub trait KeyOps: Observable + 'static {
    /// Each item with the number of items of its key so far, itself included.
    ///
    /// ```text
    /// --a--b--a--|
    ///   count_by_key
    /// --a1-b1-a2-|
    /// ```
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// Local::from_iter(["a", "b", "a"]).count_by_key(|v| *v).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [("a", 1), ("b", 1), ("a", 2)]);
    /// ```
    fn count_by_key<K, Q, I>(
        self,
        key: K,
    ) -> Self::With<Apply<Self::Inner, CountByKey<K, Q, FastHasher>, I, (I, u64)>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        K: FnMut(&I) -> &Q,
        Q: Key + ?Sized,
    {
        self.count_by_key_with(Keys::default(), key)
    }

    /// [`count_by_key`](Self::count_by_key) with a bound and a policy of your own. A key that was forgotten counts from
    /// 1 again.
    ///
    /// ```
    /// use rxevents::{operator::key::KeyOverflow, prelude::*};
    /// let keys = Keys::new(1).on_overflow(KeyOverflow::Forget);
    /// let (forgotten, mut seen) = (keys.forgotten(), vec![]);
    /// Local::from_iter("aab".chars()).count_by_key_with(keys, |v| v).subscribe(|v| seen.push(v));
    /// assert_eq!((seen[2], forgotten.get()), (('b', 1), 1));
    /// ```
    fn count_by_key_with<K, Q, H, I>(
        self,
        keys: Keys<H>,
        key: K,
    ) -> Self::With<Apply<Self::Inner, CountByKey<K, Q, H>, I, (I, u64)>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        K: FnMut(&I) -> &Q,
        Q: Key + ?Sized,
        H: BuildHasher,
    {
        self.transform(|source| Apply::new(source, CountByKey::new(key, keys)))
    }

    /// Below [`count_by_key`](Self::count_by_key): the item with which its key's count is above `count` for the first
    /// time; once for each key (again only when the key was forgotten meanwhile). Memory: none.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut hot = vec![];
    /// let clicks = Local::from_iter("abaaab".chars());
    /// clicks.count_by_key(|v| v).alert_once_above(2).subscribe(|v| hot.push(v));
    /// assert_eq!(hot, [('a', 3)]);
    /// ```
    fn alert_once_above<I>(
        self,
        count: u64,
    ) -> Self::With<Apply<Self::Inner, AlertOnceAbove, (I, u64), (I, u64)>>
    where
        Self: for<'a> Observable<Item<'a> = (I, u64)>,
    {
        self.transform(|source| Apply::new(source, AlertOnceAbove { count }))
    }

    /// A stream for each key, with the items of that key (ReactiveX `groupBy`).
    ///
    /// ```text
    /// --a1--b2--a3--|
    ///   group_by
    /// --A---B-------|
    ///   a1--------a3--|
    ///       b2--------|
    /// ```
    /// A group is sent with its first item, and is asked for its key by [`key`](Keyed::key). It is a stream of its own, as
    /// a window is: see [`window_count`](super::window::WindowOps::window_count) for what becomes of items before its
    /// subscription, of groups that nobody wants, of the source when the outer stream is unsubscribed, and how groups end.
    /// So groups that wait below `flat_map_with` lose nothing. A group that nobody wants is not opened again.
    ///
    /// At most 1,048,576 groups are open; an item of one more key ends the stream with
    /// [`StreamError::GroupLimitExceeded`](crate::StreamError::GroupLimitExceeded). For endless streams of ever new keys use
    /// [`group_by_with`](Self::group_by_with). Memory: each key, and the default [`Buffer`](crate::Buffer) for each group
    /// that is not yet subscribed; see [`bounded`](super::window::WindowOps::bounded).
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::RefCell, rc::Rc};
    ///
    /// let seen = Rc::new(RefCell::new(vec![]));
    /// let log = seen.clone();
    /// let groups = Local::from_iter([("a", 1), ("b", 2), ("a", 3)]).group_by(|(key, _)| *key);
    /// groups
    ///     .flat_map(|group| {
    ///         let key = group.key().clone();
    ///         group.map(|(_, v)| v).sum().map(move |sum| (key.clone(), sum))
    ///     })
    ///     .subscribe(move |v| log.borrow_mut().push(v));
    /// assert_eq!(*seen.borrow(), [("a".to_owned(), 4), ("b".to_owned(), 2)]);
    /// ```
    fn group_by<K, Q, I>(
        self,
        key: K,
    ) -> Self::With<Groups<Self, K, Q, FastHasher, ForEver, I, NoSource<Self>, ()>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        Self::Scope: Hosts<I, Self::Err>,
        K: FnMut(&I) -> &Q,
        Q: Key + ?Sized,
        I: 'static,
    {
        self.transform(|source| GroupBy::new(source, Keys::default(), key, ForEver))
    }

    /// [`group_by`](Self::group_by) with a bound on the open groups and a policy for one more, and with an end for each
    /// group: the first item, or the completion, of the source that `duration` gives for it (RxJS, Rx.NET: `groupByUntil`).
    /// The next item of that key opens a new group. For groups that stay, give `never`.
    ///
    /// ```text
    /// -a-a---a---|
    ///   group_by_with(keys, |v| v, |_| timer(4ms))
    /// -A-----A---|
    ///  a-a-|
    ///        a---|
    /// ```
    /// Beyond the bound, with [`KeyOverflow::Error`] the stream ends with
    /// [`StreamError::GroupLimitExceeded`](crate::StreamError::GroupLimitExceeded); with [`KeyOverflow::Forget`] a group
    /// without an item for long is completed, and counted. An error of a `duration` ends the stream.
    ///
    /// ```
    /// use rxevents::{operator::key::KeyOverflow, prelude::*};
    /// use std::{cell::RefCell, rc::Rc};
    ///
    /// let seen = Rc::new(RefCell::new(vec![]));
    /// let log = seen.clone();
    /// let one = Keys::new(1).on_overflow(KeyOverflow::Forget);
    /// Local::from_iter("aab".chars())
    ///     .group_by_with(one, |v| v, |_| Local::never::<()>())
    ///     .flat_map(|group| group.count())
    ///     .subscribe(move |count| log.borrow_mut().push(count));
    /// assert_eq!(*seen.borrow(), [2, 1]);
    /// ```
    fn group_by_with<K, Q, H, F, In, X, I>(
        self,
        keys: Keys<H>,
        key: K,
        duration: F,
    ) -> Self::With<Groups<Self, K, Q, H, Until<F>, I, In, X>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        Self::Scope: Hosts<I, Self::Err>,
        K: FnMut(&I) -> &Q,
        Q: Key + ?Sized,
        H: BuildHasher,
        F: FnMut(&Q::Owned) -> In,
        In: Events<X, Self::Err>,
        I: 'static,
    {
        self.transform(|source| GroupBy::new(source, keys, key, Until(duration)))
    }

    /// What `f` makes of each item and the state of its key, which begins as `seed`.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// let mut seen = vec![];
    /// let sum = |sum: &mut i32, (key, value): (char, i32)| {
    ///     *sum += value;
    ///     (key, *sum)
    /// };
    /// Local::from_iter([('a', 1), ('b', 2), ('a', 3)]).scan_by_key(|(key, _)| key, 0, sum).subscribe(|v| seen.push(v));
    /// assert_eq!(seen, [('a', 1), ('b', 2), ('a', 4)]);
    /// ```
    fn scan_by_key<K, Q, A, F, U, I>(
        self,
        key: K,
        seed: A,
        f: F,
    ) -> Self::With<Apply<Self::Inner, ScanByKey<K, Q, A, F, FastHasher>, I, U>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        K: FnMut(&I) -> &Q,
        Q: Key + ?Sized,
        A: Clone,
        F: FnMut(&mut A, I) -> U,
    {
        self.transform(|source| Apply::new(source, ScanByKey::new(key, Keys::default(), seed, f)))
    }
}

impl<S: Observable + 'static> KeyOps for S {}
