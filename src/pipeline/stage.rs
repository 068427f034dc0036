//! The counters at the two ends of a stage.

use std::{
    cell::{Cell, RefCell},
    marker::PhantomData,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use hdrhistogram::Histogram;
use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    subscription::Subscription,
};

use super::{Inner, StageTime};
use crate::{
    operator::batch::{Batch, BatchObserver},
    sync::lock,
    time::Clock,
};

/// Of so many events one is timed: a look at the clock costs more than a stage may.
const TIMED: u64 = 64;

/// A stage, or a source, of a pipeline.
pub(crate) struct Node {
    pub(super) name: &'static str,
    pub(super) is_source: bool,
    pub(super) index: usize,
    /// The stage that it is a part of.
    pub(super) within: Option<usize>,
    pipeline: Weak<Inner>,
    taken: Count,
    out: Count,
    dead_lettered: AtomicU64,
    /// How many subscriptions have not ended.
    open: AtomicUsize,
    times: Mutex<Option<Histogram<u64>>>,
}

/// A count, and those of the subscriptions that go on: each has its own, written by one at a time.
#[derive(Default)]
struct Count {
    ended: AtomicU64,
    live: Mutex<Vec<Arc<AtomicU64>>>,
}

impl Count {
    fn get(&self) -> u64 {
        let live = lock(&self.live);
        self.ended.load(Ordering::Acquire)
            + live.iter().map(|count| count.load(Ordering::Acquire)).sum::<u64>()
    }

    fn open(&self) -> Arc<AtomicU64> {
        let count = Arc::new(AtomicU64::new(0));
        lock(&self.live).push(count.clone());
        count
    }

    fn close(&self, count: &Arc<AtomicU64>) {
        let mut live = lock(&self.live);
        live.retain(|other| !Arc::ptr_eq(other, count));
        self.ended.fetch_add(count.load(Ordering::Acquire), Ordering::AcqRel);
    }
}

/// Which end of a node is counted.
#[derive(Clone, Copy)]
enum End {
    Taken,
    Out,
}

/// The count of one subscription. Observers are called by one at a time, so it takes no atomic addition.
struct Counter {
    node: Arc<Node>,
    end: End,
    count: Arc<AtomicU64>,
}

impl Counter {
    fn new(node: Arc<Node>, end: End) -> Self {
        let count = node.count(end).open();
        Self { node, end, count }
    }

    /// One more; how many there were before.
    #[inline(always)]
    fn add(&self) -> u64 {
        let before = self.count.load(Ordering::Relaxed);
        self.count.store(before + 1, Ordering::Release);
        before
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.node.count(self.end).close(&self.count);
    }
}

impl Node {
    pub(super) fn new(name: &'static str, is_source: bool, index: usize, pipeline: Weak<Inner>) -> Arc<Self> {
        Arc::new(Self {
            name,
            is_source,
            index,
            within: building().filter(|outer| outer.pipeline.ptr_eq(&pipeline)).map(|outer| outer.index),
            pipeline,
            taken: Count::default(),
            out: Count::default(),
            dead_lettered: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            // Two digits; it grows with the longest time.
            times: Mutex::new(Histogram::new(2).ok()),
        })
    }

    fn count(&self, end: End) -> &Count {
        match end {
            End::Taken => &self.taken,
            End::Out => &self.out,
        }
    }

    pub(super) fn taken(&self) -> u64 {
        self.taken.get()
    }

    pub(super) fn out(&self) -> u64 {
        self.out.get()
    }

    pub(super) fn dead_letters(&self) -> u64 {
        self.dead_lettered.load(Ordering::Acquire)
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// One of the events in it is with the dead letters now.
    pub(crate) fn dead_lettered(&self) {
        self.dead_lettered.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn time(&self) -> StageTime {
        let times = lock(&self.times);
        let Some(times) = times.as_ref() else { return StageTime::default() };
        StageTime {
            samples: times.len(),
            p50_ns: times.value_at_quantile(0.5),
            p99_ns: times.value_at_quantile(0.99),
            p999_ns: times.value_at_quantile(0.999),
            max_ns: times.max(),
        }
    }

    #[cold]
    fn timed(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        if let Some(times) = lock(&self.times).as_mut() {
            times.saturating_record(nanos.max(1));
        }
    }
}

/// An open subscription to a node.
pub(super) struct Open(Arc<Node>);

impl Open {
    pub(super) fn new(node: Arc<Node>) -> Self {
        node.open.fetch_add(1, Ordering::AcqRel);
        if let Some(pipeline) = node.pipeline.upgrade() {
            pipeline.opened();
        }
        Self(node)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
        if let Some(pipeline) = self.0.pipeline.upgrade() {
            pipeline.ended();
        }
    }
}

thread_local! {
    /// The stage whose chain is being built.
    static BUILDING: RefCell<Option<Arc<Node>>> = const { RefCell::new(None) };
    /// The node that is being subscribed, and whether it is its inside.
    static SUBSCRIBING: RefCell<Option<(Arc<Node>, bool)>> = const { RefCell::new(None) };
    /// How many events on this thread are being timed, one within the other.
    static TIMING: Cell<usize> = const { Cell::new(0) };
    /// Their stages, and when they have entered, until they have left.
    static ENTERED: RefCell<Vec<(*const Node, Option<Duration>)>> = const { RefCell::new(Vec::new()) };
}

/// The stage whose chain is being built, if one is.
pub(crate) fn building() -> Option<Arc<Node>> {
    BUILDING.with_borrow(Clone::clone)
}

/// Builds the chain of a stage.
pub(super) fn build<R>(node: &Arc<Node>, f: impl FnOnce() -> R) -> R {
    struct Outer(Option<Arc<Node>>);
    impl Drop for Outer {
        fn drop(&mut self) {
            BUILDING.set(self.0.take());
        }
    }
    let _outer = Outer(BUILDING.replace(Some(node.clone())));
    f()
}

/// Subscribes what is above (or inside) a node; what is found there feeds it.
pub(super) fn subscribe_above<R>(node: &Arc<Node>, inside: bool, subscribe: impl FnOnce() -> R) -> R {
    struct Outer(Option<(Arc<Node>, bool)>);
    impl Drop for Outer {
        fn drop(&mut self) {
            SUBSCRIBING.set(self.0.take());
        }
    }
    let _outer = Outer(SUBSCRIBING.replace(Some((node.clone(), inside))));
    subscribe()
}

/// Notes what this node feeds.
pub(super) fn note_edge(node: &Node) {
    SUBSCRIBING.with_borrow(|below| {
        if let Some((below, inside)) = below
            && !inside
            && below.pipeline.ptr_eq(&node.pipeline)
            && let Some(pipeline) = node.pipeline.upgrade()
        {
            pipeline.edge(node.index, below.index);
        }
    });
}

/// The entrance of a stage; see [`stage`](super::PipelineOps::stage).
pub struct Enter<S, I, E> {
    source: S,
    node: Arc<Node>,
    types: PhantomData<fn() -> (I, E)>,
}

/// The exit of a stage; see [`stage`](super::PipelineOps::stage).
pub struct Exit<S, T, E> {
    source: S,
    node: Arc<Node>,
    types: PhantomData<fn() -> (T, E)>,
}

macro_rules! end_of_stage {
    ($name:ident) => {
        impl<S: Clone, T, E> Clone for $name<S, T, E> {
            fn clone(&self) -> Self {
                Self::new(self.source.clone(), self.node.clone())
            }
        }

        impl<S, T, E> $name<S, T, E> {
            pub(super) fn new(source: S, node: Arc<Node>) -> Self {
                Self { source, node, types: PhantomData }
            }
        }

        impl<S, T, E> ObservableType for $name<S, T, E> {
            type Item<'a>
                = T
            where
                Self: 'a;
            type Err = E;
        }
    };
}
end_of_stage!(Enter);
end_of_stage!(Exit);

impl<S, I, E, C, U> CoreObservable<C> for Enter<S, I, E>
where
    C: Context,
    C::Scheduler: Clock,
    S: CoreObservable<C::With<EnterObserver<C::Inner, C::Scheduler>>, Unsub = U>,
    U: Subscription,
{
    type Unsub = U;

    fn subscribe(self, context: C) -> U {
        let Self { source, node, .. } = self;
        let (down, clock) = context.into_parts();
        let counter = Counter::new(node.clone(), End::Taken);
        let observer = EnterObserver { down, clock: clock.clone(), counter };
        subscribe_above(&node, false, || source.subscribe(C::With::from_parts(observer, clock)))
    }
}

impl<S, T, E, C, U> CoreObservable<C> for Exit<S, T, E>
where
    C: Context,
    C::Scheduler: Clock,
    S: CoreObservable<C::With<ExitObserver<C::Inner, C::Scheduler>>, Unsub = U>,
    U: Subscription,
{
    type Unsub = U;

    fn subscribe(self, context: C) -> U {
        let Self { source, node, .. } = self;
        note_edge(&node);
        let (down, clock) = context.into_parts();
        let counter = Counter::new(node.clone(), End::Out);
        let observer = ExitObserver { down, clock: clock.clone(), counter, open: Open::new(node.clone()) };
        subscribe_above(&node, true, || source.subscribe(C::With::from_parts(observer, clock)))
    }
}

/// The ends are passed on.
macro_rules! passes_on {
    ($error:ident) => {
        fn error(self, error: $error) {
            self.down.error(error);
        }

        fn complete(self) {
            self.down.complete();
        }

        #[inline]
        fn is_closed(&self) -> bool {
            self.down.is_closed()
        }
    };
}

/// The items of a batch are counted as they are asked for.
macro_rules! counts_batch {
    ($item:ident) => {
        #[inline(always)]
        fn take_batch<B: Batch<$item>>(&mut self, items: &mut B) {
            let Self { down, counter, .. } = self;
            down.take_batch(&mut Counted { items, counter });
        }
    };
}

/// The observer of an [`Enter`].
pub struct EnterObserver<O, S> {
    down: O,
    clock: S,
    counter: Counter,
}

impl<O, S: Clock> EnterObserver<O, S> {
    /// Times this one.
    #[cold]
    fn timed(&mut self, handle: impl FnOnce(&mut O)) {
        struct Over;
        impl Drop for Over {
            fn drop(&mut self) {
                TIMING.set(TIMING.get() - 1);
                ENTERED.with_borrow_mut(Vec::pop);
            }
        }
        TIMING.set(TIMING.get() + 1);
        let node = Arc::as_ptr(&self.counter.node);
        ENTERED.with_borrow_mut(|entered| entered.push((node, Some(self.clock.now()))));
        let _over = Over;
        handle(&mut self.down);
    }
}

impl<O, S, I, E> Observer<I, E> for EnterObserver<O, S>
where
    O: Observer<I, E>,
    S: Clock,
{
    #[inline(always)]
    fn next(&mut self, item: I) {
        if self.counter.add().is_multiple_of(TIMED) {
            return self.timed(|down| down.next(item));
        }
        self.down.next(item);
    }

    passes_on!(E);
}

/// The items of a batch, counted as they are asked for.
struct Counted<'a, B> {
    items: &'a mut B,
    counter: &'a Counter,
}

impl<B: Batch<I>, I> Batch<I> for Counted<'_, B> {
    #[inline(always)]
    fn pull(&mut self) -> Option<I> {
        let item = self.items.pull()?;
        self.counter.add();
        Some(item)
    }
}

/// Those of a batch are not timed.
impl<O, S, I, E> BatchObserver<I, E> for EnterObserver<O, S>
where
    O: BatchObserver<I, E>,
    S: Clock,
{
    counts_batch!(I);
}

/// The observer of an [`Exit`].
pub struct ExitObserver<O, S> {
    down: O,
    clock: S,
    counter: Counter,
    open: Open,
}

impl<O, S: Clock> ExitObserver<O, S> {
    #[cold]
    fn time(&self) {
        let node = Arc::as_ptr(&self.open.0);
        let entered = ENTERED.with_borrow_mut(|entered| {
            entered.iter_mut().rfind(|(of, _)| std::ptr::eq(*of, node)).and_then(|(_, at)| at.take())
        });
        if let Some(at) = entered {
            self.open.0.timed(self.clock.now().saturating_sub(at));
        }
    }
}

impl<O, S, T, E> Observer<T, E> for ExitObserver<O, S>
where
    O: Observer<T, E>,
    S: Clock,
{
    #[inline(always)]
    fn next(&mut self, item: T) {
        self.counter.add();
        if TIMING.get() > 0 {
            self.time();
        }
        self.down.next(item);
    }

    passes_on!(E);
}

impl<O, S, T, E> BatchObserver<T, E> for ExitObserver<O, S>
where
    O: BatchObserver<T, E>,
    S: Clock,
{
    counts_batch!(T);
}

/// Counts what a source yields; for [`Stoppable`](super::Stoppable).
pub(super) struct Yielded(Counter);

impl Yielded {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self(Counter::new(node, End::Out))
    }

    #[inline]
    pub(super) fn one(&self) {
        self.0.add();
    }
}
