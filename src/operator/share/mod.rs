//! Subjects: observers that are observables, for many subscribers.

/// What all subjects are: observables, and observers.
macro_rules! subject_impls {
    ($name:ident, $latest:ty $(, $more:ident: $bound:path)?) => {
        impl<T, E, Sc $(, $more)?> rxrust::observable::ObservableType for $name<T, E, Sc $(, $more)?>
        where
            T: Clone + 'static,
            E: Clone + 'static,
            Sc: $crate::operator::share::Hosts<T, E>,
            $($more: $bound,)?
        {
            type Item<'a>
                = T
            where
                Self: 'a;
            type Err = E;
        }

        impl<T, E, Sc, C $(, $more)?> rxrust::observable::CoreObservable<C> for $name<T, E, Sc $(, $more)?>
        where
            T: Clone + 'static,
            E: Clone + 'static,
            Sc: $crate::operator::share::Hosts<T, E>,
            $($more: $bound,)?
            C: rxrust::context::Context<Scope = Sc>,
            C::Inner: $crate::operator::share::IntoListener<Sc::Listener>,
        {
            type Unsub = $crate::operator::share::SubjectSubscription<T, E, Sc, $latest>;

            fn subscribe(self, context: C) -> Self::Unsub {
                use $crate::operator::share::IntoListener;
                self.0.subscribe(context.into_inner().into_listener())
            }
        }

        impl<T, E, Sc $(, $more)?> rxrust::observer::Observer<T, E> for $name<T, E, Sc $(, $more)?>
        where
            T: Clone + 'static,
            E: Clone + 'static,
            Sc: $crate::operator::share::Hosts<T, E>,
            $($more: $bound,)?
        {
            #[inline]
            fn next(&mut self, item: T) {
                self.0.send($crate::gate::Signal::Next(item));
            }

            fn error(self, error: E) {
                self.0.send($crate::gate::Signal::Error(error));
            }

            fn complete(self) {
                self.0.send($crate::gate::Signal::Complete);
            }

            #[inline]
            fn is_closed(&self) -> bool {
                self.0.ended()
            }
        }

        impl<T, E, Sc $(, $more)?> $crate::operator::batch::BatchObserver<T, E> for $name<T, E, Sc $(, $more)?>
        where
            T: Clone + 'static,
            E: Clone + 'static,
            Sc: $crate::operator::share::Hosts<T, E>,
            $($more: $bound,)?
        {
            /// Gathers the items first, with no bound: they are to be at hand.
            fn take_batch<B: $crate::operator::batch::Batch<T>>(&mut self, items: &mut B) {
                self.0.send_batch(std::iter::from_fn(|| items.pull()).collect());
            }
        }

        impl<T, E, Sc $(, $more)?> $crate::operator::batch::BatchSource for $name<T, E, Sc $(, $more)?>
        where
            T: Clone + 'static,
            E: Clone + 'static,
            Sc: $crate::operator::share::Hosts<T, E>,
            $($more: $bound,)?
        {
        }

        impl<T, E, Sc, C $(, $more)?> rxrust::observable::CoreObservable<C>
            for $crate::operator::batch::Batched<$name<T, E, Sc $(, $more)?>>
        where
            T: Clone + 'static,
            E: Clone + 'static,
            Sc: $crate::operator::share::Hosts<T, E>,
            $($more: $bound,)?
            C: rxrust::context::Context<Scope = Sc>,
            C::Inner: $crate::operator::share::IntoBatchListener<Sc::Listener>,
        {
            type Unsub = $crate::operator::share::SubjectSubscription<T, E, Sc, $latest>;

            fn subscribe(self, context: C) -> Self::Unsub {
                use $crate::operator::share::IntoBatchListener;
                self.0.0.subscribe(context.into_inner().into_batch_listener())
            }
        }
    };
}

mod async_subject;
mod behavior_subject;
mod multicast;
mod replay_subject;
mod subject;

pub use async_subject::*;
pub use behavior_subject::*;
pub use multicast::*;
pub use replay_subject::*;
pub use subject::*;

use rxrust::{
    context::{Context, Local, LocalScope, Shared, SharedScope},
    observable::{CoreObservable, Observable},
    subscription::{IntoBoxedSubscription, Subscription},
};

use crate::{gate::SubOf, time::Clock};
use multicast::Mode;

/// What `Local::subject` gives.
pub type LocalSubject<T, E> = Local<Subject<T, E, LocalScope>>;
/// What `Shared::subject` gives.
pub type SharedSubject<T, E> = Shared<Subject<T, E, SharedScope>>;

/// What [`ShareOps::share`] gives, of a context and its source.
type SharedOf<C, S, T, E, V> = Multicast<<C as Context>::Scope, <C as Context>::Scheduler, S, T, E, V>;
/// What subscribes to that source.
type RunOf<C, S, T, E, V> = RunObserver<<C as Context>::Scope, <C as Context>::Scheduler, S, T, E, V>;
/// What is kept of it for late subscribers.
type KeptOf<C, T> = Kept<T, <C as Context>::Scheduler>;

/// One subscription to a source, for many subscribers. What is returned can be cloned, and each clone be subscribed to.
///
/// The source is subscribed to on its own scheduler, again for each run, so it must be `Clone`. Items are handed on as a
/// [`Subject`] does it: what a subscriber feeds back comes after, a subscriber that panics ends alone, and two threads are
/// serialised. Each costs one clone for each subscriber but the last; memory: the subscribers, and a clone of the source. A
/// subject as the source and what is shared keep each other while there are subscribers: unsubscribe them, or end it.
pub trait ShareOps: Observable + 'static {
    /// All subscribers share one subscription to the source (ReactiveX `publish().refCount()`, RxJS `share`): it begins
    /// with the first subscriber and ends when the last one has gone.
    ///
    /// ```text
    ///          ---1---2---3---|
    ///   share
    /// first    ---1---2---3---|
    /// second        --2---3---|
    /// ```
    /// After an error, after the completion, or when all have gone, who comes next begins a new run of the source. That
    /// holds from when the first subscriber is told of the end: if all of them [`retry_with`](super::error::ErrorOps::retry_with), they share the
    /// next run, too. A source that emits while it is subscribed to gives all to the first subscriber.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::{Cell, RefCell}, convert::Infallible, rc::Rc};
    /// let readings = Local::subject::<i64, Infallible>();
    /// let parsed = Rc::new(Cell::new(0));
    /// let (count, seen) = (parsed.clone(), Rc::new(RefCell::new(vec![])));
    /// let shared = readings.clone().tap(move |_| count.set(count.get() + 1)).share();
    /// for _ in 0..2 {
    ///     let log = seen.clone();
    ///     shared.clone().subscribe(move |v| log.borrow_mut().push(v));
    /// }
    /// readings.clone().next(7);
    /// assert_eq!(*seen.borrow(), [7, 7]);
    /// assert_eq!(parsed.get(), 1);
    /// ```
    fn share<T, U>(self) -> Self::With<SharedOf<Self, Self::Inner, T, Self::Err, ()>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        Self::Scope: Hosts<T, Self::Err>,
        Self::Inner:
            Clone + CoreObservable<Self::With<RunOf<Self, Self::Inner, T, Self::Err, ()>>, Unsub = U>,
        U: Subscription + IntoBoxedSubscription<SubOf<Self>>,
        T: Clone + 'static,
        Self::Err: Clone + 'static,
    {
        let scheduler = self.scheduler().clone();
        self.transform(|source| Multicast::new::<Self, _>(source, scheduler, Mode::RefCount, ()))
    }

    /// [`share`](Self::share) that first sends a late subscriber what `replay` has kept of the run (RxJS `shareReplay` with
    /// `refCount: true`).
    ///
    /// ```text
    ///          ---1---2---3---|
    ///   share_replay(Replay::last(1))
    /// first    ---1---2---3---|
    /// second        1-2---3---|
    /// third                      (3|)
    /// ```
    /// When the last subscriber has gone before the end, or after an error, what was kept is dropped, and the next
    /// subscriber begins a new run. After the completion it is kept, and late subscribers get it, and the end: the source
    /// is not asked again.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::{Cell, RefCell}, rc::Rc};
    /// let asked = Rc::new(Cell::new(0));
    /// let (count, seen) = (asked.clone(), Rc::new(RefCell::new(vec![])));
    /// let answer = Local::from_iter([41, 42]).tap(move |_| count.set(count.get() + 1)).share_replay(Replay::last(1));
    /// for _ in 0..2 {
    ///     let log = seen.clone();
    ///     answer.clone().subscribe(move |v| log.borrow_mut().push(v));
    /// }
    /// assert_eq!(*seen.borrow(), [41, 42, 42]);
    /// assert_eq!(asked.get(), 2);
    /// ```
    fn share_replay<T, U>(
        self,
        replay: Replay,
    ) -> Self::With<SharedOf<Self, Self::Inner, T, Self::Err, KeptOf<Self, T>>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        Self::Scope: Hosts<T, Self::Err>,
        Self::Scheduler: Clock,
        Self::Inner: Clone
            + CoreObservable<Self::With<RunOf<Self, Self::Inner, T, Self::Err, KeptOf<Self, T>>>, Unsub = U>,
        U: Subscription + IntoBoxedSubscription<SubOf<Self>>,
        T: Clone + 'static,
        Self::Err: Clone + 'static,
    {
        let scheduler = self.scheduler().clone();
        let kept = Kept::new(replay, scheduler.clone());
        self.transform(|source| Multicast::new::<Self, _>(source, scheduler, Mode::Cached, kept))
    }

    /// A source for many subscribers that begins when [`connect`](Self::connect) says so (ReactiveX `publish`), so that all
    /// can be there before the first item.
    ///
    /// ```text
    ///   subscribe  connect  subscribe
    ///                 -1---2---3-|
    /// first         --1---2---3-|
    /// second             --2---3-|
    /// ```
    /// After the end late subscribers get the end, until it is connected again.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::RefCell, rc::Rc};
    /// let numbers = Local::from_iter([1, 2]).publish();
    /// let seen = Rc::new(RefCell::new(vec![]));
    /// for name in ["a", "b"] {
    ///     let log = seen.clone();
    ///     numbers.clone().subscribe(move |v| log.borrow_mut().push((name, v)));
    /// }
    /// assert!(seen.borrow().is_empty());
    /// numbers.connect();
    /// assert_eq!(*seen.borrow(), [("a", 1), ("b", 1), ("a", 2), ("b", 2)]);
    /// ```
    fn publish<T, U>(
        self,
    ) -> Self::With<Connectable<Self::Scope, Self::Scheduler, Self::Inner, T, Self::Err, ()>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        Self::Scope: Hosts<T, Self::Err>,
        Self::Inner:
            Clone + CoreObservable<Self::With<RunOf<Self, Self::Inner, T, Self::Err, ()>>, Unsub = U>,
        U: Subscription + IntoBoxedSubscription<SubOf<Self>>,
        T: Clone + 'static,
        Self::Err: Clone + 'static,
    {
        let scheduler = self.scheduler().clone();
        self.transform(|source| Connectable(Multicast::new::<Self, _>(source, scheduler, Mode::ByHand, ())))
    }

    /// [`publish`](Self::publish) that first sends a late subscriber what `replay` has kept (ReactiveX `replay`), also after
    /// the end.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::RefCell, rc::Rc};
    /// let numbers = Local::from_iter(0..5).replay(Replay::last(2));
    /// numbers.connect();
    /// let seen = Rc::new(RefCell::new(vec![]));
    /// let log = seen.clone();
    /// numbers.clone().subscribe(move |v| log.borrow_mut().push(v));
    /// assert_eq!(*seen.borrow(), [3, 4]);
    /// ```
    fn replay<T, U>(
        self,
        replay: Replay,
    ) -> Self::With<Connectable<Self::Scope, Self::Scheduler, Self::Inner, T, Self::Err, KeptOf<Self, T>>>
    where
        Self: for<'a> Observable<Item<'a> = T>,
        Self::Scope: Hosts<T, Self::Err>,
        Self::Scheduler: Clock,
        Self::Inner: Clone
            + CoreObservable<Self::With<RunOf<Self, Self::Inner, T, Self::Err, KeptOf<Self, T>>>, Unsub = U>,
        U: Subscription + IntoBoxedSubscription<SubOf<Self>>,
        T: Clone + 'static,
        Self::Err: Clone + 'static,
    {
        let scheduler = self.scheduler().clone();
        let kept = Kept::new(replay, scheduler.clone());
        self.transform(|source| Connectable(Multicast::new::<Self, _>(source, scheduler, Mode::ByHand, kept)))
    }

    /// Subscribes what [`publish`](Self::publish) or [`replay`](Self::replay) gave to its source, if it is not (ReactiveX
    /// `connect`). Unsubscribing the result unsubscribes the source; the subscribers, and what is kept, stay for the next
    /// `connect`.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::RefCell, convert::Infallible, rc::Rc};
    /// let source = Local::subject::<i64, Infallible>();
    /// let published = source.clone().publish();
    /// let seen = Rc::new(RefCell::new(vec![]));
    /// let log = seen.clone();
    /// published.clone().subscribe(move |v| log.borrow_mut().push(v));
    /// let connection = published.connect();
    /// source.clone().next(1);
    /// connection.unsubscribe();
    /// source.clone().next(2);
    /// published.connect();
    /// source.clone().next(3);
    /// assert_eq!(*seen.borrow(), [1, 3]);
    /// ```
    fn connect(&self) -> <Self::Inner as Connect>::Connection
    where
        Self::Inner: Connect,
    {
        self.inner().connect()
    }

    /// Connects what [`publish`](Self::publish) or [`replay`](Self::replay) gave with its first subscriber, and disconnects
    /// it when the last one has gone (ReactiveX `refCount`). After an end the next subscriber begins a new run, as in
    /// [`share`](Self::share). From then on this holds for all clones; a connection by hand counts as a subscriber.
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::RefCell, convert::Infallible, rc::Rc};
    /// let source = Local::subject::<i64, Infallible>();
    /// let counted = source.clone().replay(Replay::last(1)).ref_count();
    /// let seen = Rc::new(RefCell::new(vec![]));
    /// let (first, second) = (seen.clone(), seen.clone());
    /// counted.clone().subscribe(move |v| first.borrow_mut().push(v));
    /// source.clone().next(1);
    /// counted.subscribe(move |v| second.borrow_mut().push(v * 10));
    /// source.clone().next(2);
    /// assert_eq!(*seen.borrow(), [1, 10, 2, 20]);
    /// ```
    fn ref_count(self) -> Self::With<<Self::Inner as Connect>::RefCounted>
    where
        Self::Inner: Connect,
    {
        self.transform(Connect::ref_count)
    }
}

impl<S: Observable + 'static> ShareOps for S {}
