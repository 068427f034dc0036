//! Joins by event time.

mod core;
mod joining;
mod lane;
mod row;
mod spec;

pub use joining::*;
pub use row::*;
pub use spec::*;

use std::hash::Hash;

use rxrust::{context::Context, observable::Observable};

use super::{Events, combine::Nanos, rate::OnDropped};

/// `join_events` of the streams `S` and `R`.
pub type JoinOf<S, R, FL, FR, KL, KR, D, T, U> = <S as Context>::With<
    JoinEvents<<S as Context>::Inner, <R as Context>::Inner, FL, FR, KL, KR, D, T, U, <S as Observable>::Err>,
>;

/// Joins by event time.
pub trait JoinOps: Observable + 'static {
    /// Joins the events of two streams that happened close to each other, as [`EventJoin`] says: how far apart, by which
    /// key, which of several, and whether those without a partner come out too.
    ///
    /// ```text
    /// left    --a5--------------b30--|       nearest, at most 4 apart
    /// right   ------x2--y8--------------z50--|
    /// out     -----------(a5,x2)-----------|
    /// ```
    /// - **What comes out does not depend on how the two are interleaved**, only on what each of them sends, in its order:
    ///   an item is matched when it is certain what with, by the *watermarks* of both sides ([`EventTime`]). `Match::All`
    ///   sends matches at once, and nothing else can be done better later.
    /// - The sides may be out of order, each by its own disorder. An item older than its side's watermark, and the grace,
    ///   is late: it is left over. Both sides of equal times are kept, in the order in which they came.
    /// - **Without a partner**: an item comes out alone ([`Kind`]), or is left over, once the other side's watermark has
    ///   passed its bounds, and the grace; never before, so never alone and then matched.
    /// - **Completes** when nothing can come out any more: both sides have ended; or one has, none of its items waits, and
    ///   those of the other do not come out alone ([`to_the_end`](EventJoin::to_the_end) waits for both).
    /// - **Silent side**: with [`EventTime::idle`], when that time is over, what waits for it is closed; until it speaks again,
    ///   the other side's event time stands for its own. A clock set back: [`EventTime::regression`]; at a reset, all that waits is closed, and both sides begin anew.
    /// - **Errors** of either source end it. So does a buffer that is full, unless its policy says otherwise.
    /// - **Memory**: items wait until they can have no partner any more; at most [`buffer`](EventJoin::buffer) of each side.
    ///   An item that matches several times is cloned. Time: of `n` of its key that wait, `O(log n + matches)`, and the
    ///   distance by which it is out of order.
    ///
    /// For two streams in order, without keys, each item at most once, [`join_within`] does the same work faster.
    ///
    /// [`join_within`]: super::combine::CombineOps::join_within
    /// [`EventTime`]: crate::event_time::EventTime
    /// [`EventTime::idle`]: crate::event_time::EventTime::idle
    /// [`EventTime::regression`]: crate::event_time::EventTime::regression
    ///
    /// ```
    /// use rxevents::{operator::join::{EventJoin, Joined, Kind, Match}, prelude::*};
    /// use std::{cell::RefCell, rc::Rc, time::Duration};
    ///
    /// let orders = Local::from_iter([(5_i64, "order 1"), (30, "order 2")]);
    /// let payments = Local::from_iter([(2_i64, "ann"), (8, "bob"), (50, "cyd")]);
    /// let spec = EventJoin::new(|order: &(i64, &str)| order.0, |payment: &(i64, &str)| payment.0)
    ///     .within(Duration::from_nanos(4))
    ///     .matching(Match::Nearest)
    ///     .kind(Kind::Left);
    /// let seen = Rc::new(RefCell::new(vec![]));
    /// let log = seen.clone();
    /// orders.join_events(payments, spec).subscribe(move |row| log.borrow_mut().push(row));
    /// assert_eq!(*seen.borrow(), [Joined::Both((5, "order 1"), (2, "ann")), Joined::Left((30, "order 2"))]);
    /// ```
    fn join_events<R, FL, FR, KL, KR, D, T, U, M, N, K>(
        self,
        right: R,
        spec: EventJoin<FL, FR, KL, KR, D>,
    ) -> JoinOf<Self, R, FL, FR, KL, KR, D, T, U>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        R: Events<U, Self::Err>,
        FL: FnMut(&T) -> M,
        FR: FnMut(&U) -> N,
        M: Nanos,
        N: Nanos,
        KL: JoinKey<T, Key = K>,
        KR: JoinKey<U, Key = K>,
        K: Hash + Eq + Clone,
        D: OnDropped<LeftOver<T, U>>,
        T: Clone,
        U: Clone,
    {
        self.transform(|left| JoinEvents::new(left, right.into_inner(), spec))
    }

    /// Each event with the one of the other stream that is closest in time, or alone: pandas' `merge_asof`, for streams. It
    /// is [`join_events`](Self::join_events) with a [`Kind::Left`] and a match of one: [`Match::LatestBefore`] (pandas'
    /// `backward`), [`Match::EarliestAfter`] (`forward`) or [`Match::Nearest`]; the tolerance is that of `spec`
    /// (`within`), `by` is its `keyed`. Of several right items of the same time, the first is taken, where pandas takes the
    /// last; and [`allow_exact`](EventJoin::allow_exact) counts before the tolerance does.
    ///
    /// ```
    /// use rxevents::{operator::join::{EventJoin, Joined, Match}, prelude::*};
    /// use std::{cell::RefCell, rc::Rc, time::Duration};
    ///
    /// let trades = Local::from_iter([(3_i64, "t"), (9, "u")]);
    /// let quotes = Local::from_iter([(1_i64, 10), (2, 11), (7, 12)]);
    /// let spec = EventJoin::new(|trade: &(i64, &str)| trade.0, |quote: &(i64, i32)| quote.0).within(Duration::MAX);
    /// let seen = Rc::new(RefCell::new(vec![]));
    /// let log = seen.clone();
    /// trades.merge_asof(quotes, Match::LatestBefore, spec).subscribe(move |row| log.borrow_mut().push(row));
    /// assert_eq!(*seen.borrow(), [Joined::Both((3, "t"), (2, 11)), Joined::Both((9, "u"), (7, 12))]);
    /// ```
    fn merge_asof<R, FL, FR, KL, KR, D, T, U, M, N, K>(
        self,
        right: R,
        direction: Match,
        spec: EventJoin<FL, FR, KL, KR, D>,
    ) -> JoinOf<Self, R, FL, FR, KL, KR, D, T, U>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        R: Events<U, Self::Err>,
        FL: FnMut(&T) -> M,
        FR: FnMut(&U) -> N,
        M: Nanos,
        N: Nanos,
        KL: JoinKey<T, Key = K>,
        KR: JoinKey<U, Key = K>,
        K: Hash + Eq + Clone,
        D: OnDropped<LeftOver<T, U>>,
        T: Clone,
        U: Clone,
    {
        self.join_events(right, spec.matching(direction).kind(Kind::Left))
    }
}

impl<S: Observable + 'static> JoinOps for S {}
