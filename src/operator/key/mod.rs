//! Operators that go by a key of the items.

mod alert_once_above;
mod count_by_key;
mod keys;
mod scan_by_key;

pub use alert_once_above::*;
pub use count_by_key::*;
pub use keys::*;
pub use scan_by_key::*;

use std::hash::BuildHasher;

use rxrust::observable::Observable;

use super::apply::Apply;

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
