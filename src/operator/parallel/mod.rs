//! Work on the threads of a [rayon](https://docs.rs/rayon) pool (feature `parallel`).

mod parallel_map;
mod work;

pub use parallel_map::*;

use std::{num::NonZeroUsize, sync::Arc};

use rayon::ThreadPool;
use rxrust::observable::Observable;

use crate::dead_letter::Reason;

/// How a [`parallel_map_with`](ParallelOps::parallel_map_with) works.
///
/// ```
/// use rxevents::{prelude::*, rayon::ThreadPoolBuilder};
/// use std::{num::NonZeroUsize, sync::Arc};
/// let pool = Arc::new(ThreadPoolBuilder::new().num_threads(2).build().unwrap());
/// let eight = NonZeroUsize::new(8).unwrap();
/// let mut sum = 0;
/// Local::from_iter(1..=100)
///     .parallel_map_with(Parallel::new(eight).pool(pool).unordered().stage("square"), |v| Ok(v * v))
///     .route_failures(observer(|_: Rejected<i32>| {}))
///     .subscribe(|v| sum += v);
/// assert_eq!(sum, 338_350);
/// ```
#[derive(Debug, Clone)]
pub struct Parallel {
    pub(crate) in_flight: NonZeroUsize,
    pub(crate) pool: Option<Arc<ThreadPool>>,
    pub(crate) ordered: bool,
    pub(crate) stage: &'static str,
}

impl Parallel {
    /// At most `in_flight` items at a time, on rayon's current pool, results in the order of the source.
    pub fn new(in_flight: NonZeroUsize) -> Self {
        Self { in_flight, pool: None, ordered: true, stage: "parallel_map" }
    }

    /// Works on `pool`; by default on the pool of the thread that pushes an item, or the global one.
    pub fn pool(mut self, pool: Arc<ThreadPool>) -> Self {
        self.pool = Some(pool);
        self
    }

    /// Results as they are done.
    pub fn unordered(mut self) -> Self {
        self.ordered = false;
        self
    }

    /// The name of the stage that a failure carries.
    pub fn stage(mut self, stage: &'static str) -> Self {
        self.stage = stage;
        self
    }
}

/// Operators that work on several threads at once.
pub trait ParallelOps: Observable + 'static {
    /// `f` of each item, on the threads of a rayon pool; results in the order of the source (the parallel
    /// [`try_map`](super::validate::ValidateOps::try_map)).
    ///
    /// ```text
    /// --a-b-c-----|
    ///   parallel_map(a takes 4, b and c take 1)
    /// ------(abc)-|
    /// ```
    /// - Each item gives exactly one output: `f`'s value, or a [`Rejected`](crate::dead_letter::Rejected) with the item and the reason. A panic in
    ///   `f` is such a reason.
    /// - At most `in_flight` items are in the pool or wait for their turn in the order. When that many are, the
    ///   pushing thread waits: that is the back-pressure. A thread of a rayon pool helps with the pool's work
    ///   meanwhile. What the subscriber itself feeds back while it handles a result does not wait, as it would wait for
    ///   itself: so much more may be in flight. Nothing is locked while `f` runs.
    /// - In `Shared`, results are delivered by the thread that has done the work, or another, one at a time. The
    ///   source's thread does not wait for them at the end.
    /// - In `Local`, results are delivered by the subscriber's thread: when an item is pushed, and at the end, for
    ///   which it waits. So what stands below need not be `Send`. A source that pauses holds back what is done until
    ///   its next item.
    /// - The completion, and an error, are passed on after the results of all items before them. Where the source goes
    ///   away without an end, the results are still delivered.
    /// - Unsubscribed, it delivers nothing more: what is being worked on is finished and discarded, what has not been
    ///   begun is not.
    ///
    /// An item costs a job of the pool, about a microsecond: gather cheap ones first, as in
    /// `buffer_count(100).parallel_map(…)`. To wait for something else than the processor, do not block the pool: use
    /// [`try_map_async_with_retry`](super::validate::ValidateOps::try_map_async_with_retry).
    ///
    /// ```
    /// use rxevents::prelude::*;
    /// use std::num::NonZeroUsize;
    /// let in_flight = NonZeroUsize::new(8).unwrap();
    /// let mut good = vec![];
    /// Local::from_iter(["1", "x", "3"])
    ///     .parallel_map(in_flight, |s| s.parse::<i32>().map_err(Reason::other))
    ///     .route_failures(observer(|r: Rejected<&str>| assert_eq!(r.item, "x")))
    ///     .subscribe(|v| good.push(v));
    /// assert_eq!(good, [1, 3]);
    /// ```
    fn parallel_map<F, I, T>(
        self,
        in_flight: NonZeroUsize,
        f: F,
    ) -> Self::With<ParallelMap<Self::Inner, F, I, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: Fn(&I) -> Result<T, Reason> + Send + Sync + 'static,
    {
        self.parallel_map_with(Parallel::new(in_flight), f)
    }

    /// As [`parallel_map`](Self::parallel_map), results as they are done: none waits for one before it.
    ///
    /// ```text
    /// --a-b-c-----|
    ///   parallel_map_unordered(a takes 4, b and c take 1)
    /// -----b(ac)--|
    /// ```
    fn parallel_map_unordered<F, I, T>(
        self,
        in_flight: NonZeroUsize,
        f: F,
    ) -> Self::With<ParallelMap<Self::Inner, F, I, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: Fn(&I) -> Result<T, Reason> + Send + Sync + 'static,
    {
        self.parallel_map_with(Parallel::new(in_flight).unordered().stage("parallel_map_unordered"), f)
    }

    /// As [`parallel_map`](Self::parallel_map), on a pool of your own, ordered or not, with the name of the stage that
    /// a failure carries: as [`Parallel`] says.
    ///
    /// ```
    /// use rxevents::{prelude::*, rayon::ThreadPoolBuilder};
    /// use std::{num::NonZeroUsize, sync::Arc};
    /// let pool = Arc::new(ThreadPoolBuilder::new().num_threads(2).build().unwrap());
    /// let how = Parallel::new(NonZeroUsize::new(8).unwrap()).pool(pool).stage("halve");
    /// Local::of(3)
    ///     .parallel_map_with(how, |v| if v % 2 == 0 { Ok(v / 2) } else { Err(Reason::other("odd")) })
    ///     .subscribe(|half| assert_eq!(half.unwrap_err().to_string(), "halve: odd"));
    /// ```
    fn parallel_map_with<F, I, T>(
        self,
        how: Parallel,
        f: F,
    ) -> Self::With<ParallelMap<Self::Inner, F, I, T, Self::Err>>
    where
        Self: for<'a> Observable<Item<'a> = I>,
        F: Fn(&I) -> Result<T, Reason> + Send + Sync + 'static,
    {
        self.transform(|source| ParallelMap::new(source, how, f))
    }
}

impl<S: Observable + 'static> ParallelOps for S {}
