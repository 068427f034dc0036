//! A pipeline as a whole: its stages by name, where every event is, and an end that leaves nothing behind.
//!
//! ```
//! use rxevents::{delivery::MemoryPosition, pipeline::{Pipeline, PipelineOps}, prelude::*};
//! use std::{sync::{Arc, Mutex}, time::Duration};
//!
//! let payments = Pipeline::new("payments");
//! let (letters, stored) = (MemoryQueue::new(10), Arc::new(Mutex::new(vec![])));
//! let acks = Acknowledger::new("amounts", MemoryPosition::default())?;
//! payments.acknowledges(&acks);
//! Local::from_iter_result(acks.deliver(["12", "x", "-3", "7"].into_iter()))
//!     .stoppable(&payments, "amounts")
//!     .stage(&payments, "decode", |texts| {
//!         texts
//!             .map(|text: Delivery<&str>| text.map(str::to_owned))
//!             .map(|text: Delivery<String>| {
//!                 text.try_map("decode", |text| text.parse::<i32>().map_err(Reason::decode))
//!             })
//!             .dead_letter(letters)
//!     })
//!     .stage(&payments, "positive", |amounts| amounts.filter(|amount| **amount > 0))
//!     .write_to(stored)
//!     .on_error_route(observer(|error: StreamError| panic!("{error}")))
//!     .subscribe(drop);
//! let drained = payments.shutdown(Duration::from_secs(5))?;
//! drained.ledger.check()?;
//! let counts = &drained.ledger.deliveries[0];
//! assert_eq!((counts.taken, counts.delivered, counts.filtered, counts.dead_lettered), (4, 2, 1, 1));
//! assert_eq!(payments.graph().edges, [(1, 2), (0, 1)]); // from the end up, as they are subscribed
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod graph;
mod ledger;
mod local;
mod shutdown;
#[cfg(feature = "signals")]
mod signals;
mod stage;
mod stoppable;

pub use graph::{Graph, GraphNode};
pub use ledger::{Ledger, StageCounts, StageTime};
pub use shutdown::{Drained, Left};
#[cfg(feature = "signals")]
pub use signals::{SignalError, Signals};
pub use stage::{Enter, EnterObserver, Exit, ExitObserver};
pub(crate) use stage::{Node, building};
pub use stoppable::{Input, Keeps, Source, Stop, Stoppable, Stopping, Withheld};

use std::{
    mem,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Poll, Waker},
    time::Duration,
};

use rxrust::{
    context::Context,
    observable::Observable,
    subscription::{BoxedSubscriptionSend, IntoBoxedSubscription, Subscription},
};

use crate::{delivery::Acknowledger, operator::Events, sync::lock};

/// A pipeline: what its stages, sources and acknowledgers have in common. Clones are handles to the same one.
#[derive(Clone)]
pub struct Pipeline(Arc<Inner>);

pub(crate) struct Inner {
    name: Arc<str>,
    nodes: Mutex<Vec<Arc<Node>>>,
    edges: Mutex<Vec<(usize, usize)>>,
    acknowledgers: Mutex<Vec<Acknowledger>>,
    stopping: AtomicBool,
    /// That of [`Pipeline::abandon_windows`].
    abandons_after: Mutex<Option<Duration>>,
    /// How many subscriptions of nodes have not ended.
    open: AtomicUsize,
    kept: Mutex<Kept<BoxedSubscriptionSend>>,
    lock: Mutex<Vec<Waker>>,
    changed: Condvar,
}

/// When a pipeline ends what it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// When it stops: a source is completed.
    Stopped,
    /// When windows are abandoned: what is below a source that has stopped without an end.
    Quiet,
    /// When the deadline is over: a subscription.
    Over,
}

/// What a pipeline must end, and when.
struct Kept<Sub>(Vec<(When, Sub)>);

impl<Sub> Default for Kept<Sub> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<Sub: Subscription> Kept<Sub> {
    /// Amortised: what has ended by itself is swept as the list grows.
    fn keep(&mut self, when: When, subscription: Sub) {
        if self.0.len() == self.0.capacity() {
            self.0.retain(|(_, kept)| !kept.is_closed());
        }
        self.0.push((when, subscription));
    }

    /// What is to be ended now.
    fn take(&mut self, now: When) -> Vec<(When, Sub)> {
        self.0.extract_if(.., |(when, _)| *when == now).collect()
    }
}

impl Inner {
    fn opened(&self) {
        self.open.fetch_add(1, Ordering::AcqRel);
    }

    fn ended(&self) {
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            drop(lock(&self.lock));
            self.changed.notify_all();
        }
    }

    fn edge(&self, from: usize, to: usize) {
        let mut edges = lock(&self.edges);
        if !edges.contains(&(from, to)) {
            edges.push((from, to));
        }
    }
}

impl Pipeline {
    /// A pipeline of that name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(Arc::new(Inner {
            name: name.into(),
            nodes: Mutex::default(),
            edges: Mutex::default(),
            acknowledgers: Mutex::default(),
            stopping: AtomicBool::new(false),
            abandons_after: Mutex::default(),
            open: AtomicUsize::new(0),
            kept: Mutex::default(),
            lock: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// Has the pipeline know a source of deliveries: its counts are in the [ledger](Self::ledger), the shutdown waits until
    /// none is in flight, and commits.
    pub fn acknowledges(&self, acks: &Acknowledger) {
        lock(&self.0.acknowledgers).push(acks.clone());
    }

    /// Has the pipeline end a subscription when something is left at the deadline of its shutdown.
    pub fn keep<C, U>(&self, _context: C, subscription: U)
    where
        C: Context<Inner = ()>,
        C::Scope: Keeps,
        U: Subscription + IntoBoxedSubscription<crate::gate::SubOf<C>>,
    {
        C::Scope::keep(self, When::Over, subscription.into_boxed());
    }

    /// Has its sources stop without an end, so that part-filled windows are not sent when it stops: a window that is cut
    /// short would be wrong, say. [Stopped](Self::stop), a [`stoppable`](PipelineOps::stoppable) source is unsubscribed, and
    /// what is below it goes on with what it has; the shutdown waits until nothing has moved for `quiet` (in the counts of
    /// the [ledger](Self::ledger)), and then drops what is left. That is not acknowledged: its source delivers it again when
    /// it resumes, and the window is filled from its beginning. Sinks flush what they have written, and acknowledge it.
    ///
    /// What waits longer than `quiet` between two steps (a delay, a retry) is taken for a window: choose a time above that.
    /// Whatever does not end when its source goes away, such as a merge with a source that is not stoppable, is ended at
    /// the deadline if its subscription is [kept](Self::keep).
    ///
    /// ```
    /// use rxevents::{delivery::MemoryPosition, prelude::*};
    /// use std::{sync::{Arc, Mutex}, time::Duration};
    ///
    /// let pipeline = Pipeline::new("fours").abandon_windows(Duration::from_millis(10));
    /// let (position, stored) = (MemoryPosition::default(), Arc::new(Mutex::new(vec![])));
    /// let acks = Acknowledger::new("numbers", position.clone())?;
    /// pipeline.acknowledges(&acks);
    /// let mut numbers = Local::subject::<Delivery<u32>, StreamError>();
    /// numbers
    ///     .clone()
    ///     .stoppable(&pipeline, "numbers")
    ///     .buffer_count(4)
    ///     .map(Delivery::gather)
    ///     .write_to(stored.clone())
    ///     .on_error_route(observer(|error: StreamError| panic!("{error}")))
    ///     .subscribe(drop);
    /// acks.deliver(0..10).for_each(|number| numbers.next(number.unwrap()));
    /// let drained = pipeline.shutdown(Duration::from_secs(5))?;
    /// assert_eq!(*stored.lock().unwrap(), [[0, 1, 2, 3], [4, 5, 6, 7]]);
    /// assert_eq!((drained.ledger.deliveries[0].abandoned, position.get().unwrap().lines), (2, 8));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn abandon_windows(self, quiet: Duration) -> Self {
        *lock(&self.0.abandons_after) = Some(quiet);
        self
    }

    /// How long nothing moves before windows are abandoned, if they are.
    fn abandons_after(&self) -> Option<Duration> {
        *lock(&self.0.abandons_after)
    }

    /// Stops its sources: they complete, unless they [stop without an end](Self::abandon_windows). Those in `Local` do so
    /// at once if this is their thread, else with their next event. Does not wait.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::SeqCst);
        self.end_kept(When::Stopped);
        let wakers = mem::take(&mut *lock(&self.0.lock));
        self.0.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Whether it has been told to stop.
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Relaxed)
    }

    /// Waits until it is told to stop, as by a signal.
    pub async fn stopped(&self) {
        std::future::poll_fn(|context| {
            let mut wakers = lock(&self.0.lock);
            if self.0.stopping.load(Ordering::SeqCst) {
                return Poll::Ready(());
            }
            if !wakers.iter().any(|waker| waker.will_wake(context.waker())) {
                wakers.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// Whether all its sources and stages have ended, and no delivery is in flight.
    pub fn is_drained(&self) -> bool {
        self.0.open.load(Ordering::Acquire) == 0
            && self.acknowledgers().iter().all(|acks| acks.counts().in_flight == 0)
    }

    /// Waits for a change.
    fn wait(&self, at_most: Duration) {
        let guard = lock(&self.0.lock);
        drop(self.0.changed.wait_timeout(guard, at_most));
    }

    /// Ends what is to be ended now; of what is in `Local`, that of this thread.
    fn end_kept(&self, now: When) {
        let shared = lock(&self.0.kept).take(now);
        shared.into_iter().for_each(|(_, kept)| kept.unsubscribe());
        local::take(self, now).into_iter().for_each(|(_, kept)| kept.unsubscribe());
    }

    fn nodes(&self) -> Vec<Arc<Node>> {
        lock(&self.0.nodes).clone()
    }

    fn edges(&self) -> Vec<(usize, usize)> {
        lock(&self.0.edges).clone()
    }

    fn acknowledgers(&self) -> Vec<Acknowledger> {
        lock(&self.0.acknowledgers).clone()
    }

    fn node(&self, name: &'static str, is_source: bool) -> Arc<Node> {
        let mut nodes = lock(&self.0.nodes);
        let node = Node::new(name, is_source, nodes.len(), Arc::downgrade(&self.0));
        nodes.push(node.clone());
        node
    }
}

/// The parts of a pipeline.
pub trait PipelineOps: Observable + 'static {
    /// Gives a part of the chain a name: `f` of this stream, between two counters. What comes in, what goes out, and what
    /// the dead-letter queues within store is in the [ledger](Pipeline::ledger), what feeds what in the
    /// [graph](Pipeline::graph); and the pipeline's shutdown waits until the stage has ended.
    ///
    /// ```text
    /// --------1--2--3--4--|
    ///   stage("even", |n| n.filter(even))        in 4, out 2
    /// -----------2-----4--|
    /// ```
    ///
    /// Cost: two counters that one thread writes at a time, and for one event in 64 two looks at the clock.
    ///
    /// ```
    /// use rxevents::{pipeline::{Pipeline, PipelineOps}, prelude::*};
    ///
    /// let numbers = Pipeline::new("numbers");
    /// Local::from_iter(1..=4).stage(&numbers, "even", |n| n.filter(|n| n % 2 == 0)).subscribe(drop);
    /// let ledger = numbers.ledger();
    /// let even = ledger.stage("even").unwrap();
    /// assert_eq!((even.taken, even.out, even.absorbed), (4, 2, 2));
    /// ```
    fn stage<T, E, F, R, U, X>(
        self,
        pipeline: &Pipeline,
        name: &'static str,
        f: F,
    ) -> R::With<Exit<R::Inner, U, X>>
    where
        Self: Events<T, E>,
        F: FnOnce(Self::With<Enter<Self::Inner, T, E>>) -> R,
        R: Events<U, X>,
    {
        let node = pipeline.node(name, false);
        let entered = self.transform(|source| Enter::new(source, node.clone()));
        let built = stage::build(&node, || f(entered));
        built.transform(|source| Exit::new(source, node))
    }

    /// Makes this stream a source of the pipeline, by a name: it completes when the pipeline [stops](Pipeline::stop), after
    /// the event that it may be at. What it feeds ends as it does at the end of any stream: windows send what they hold,
    /// sinks flush. (Otherwise with [`abandon_windows`](Pipeline::abandon_windows).)
    ///
    /// ```text
    /// ------1--2--3-------4--
    /// stop            x
    /// ------1--2--3---|
    /// ```
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::{cell::RefCell, rc::Rc};
    ///
    /// let pipeline = Pipeline::new("numbers");
    /// let (stop, seen) = (pipeline.clone(), Rc::new(RefCell::new(vec![])));
    /// let log = seen.clone();
    /// Local::from_iter(1..) // endless
    ///     .stoppable(&pipeline, "numbers")
    ///     .tap(move |n| if *n == 3 { stop.stop() })
    ///     .buffer_count(2)
    ///     .subscribe(move |pair| log.borrow_mut().push(pair));
    /// assert_eq!(*seen.borrow(), [vec![1, 2], vec![3]]);
    /// ```
    fn stoppable<T, E>(
        self,
        pipeline: &Pipeline,
        name: &'static str,
    ) -> Self::With<Stoppable<Self::Inner, T, E>>
    where
        Self: Events<T, E>,
    {
        let node = pipeline.node(name, true);
        self.transform(|source| Stoppable::new(source, pipeline.clone(), node))
    }
}

impl<S: Observable + 'static> PipelineOps for S {}
