use std::{
    fmt::{self, Display},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    subscription::Subscription,
};

use super::{
    MarbleKind, Marbles,
    virtual_scheduler::{Flavour, Timeline, VirtualTime},
};
use crate::operator::batch::BatchObserver;

/// A source whose subscriptions are noted; see [`VirtualTime::watch`].
#[derive(Clone)]
pub struct Watched<S> {
    source: S,
    subscriptions: Subscriptions,
}

/// The subscriptions of a [watched](VirtualTime::watch) source, in their order.
#[derive(Clone)]
pub struct Subscriptions {
    timeline: Arc<Timeline>,
    spans: Arc<Mutex<Vec<Span>>>,
}

/// When it began, and when it ended: with the stream, or by its unsubscription.
type Span = (Duration, Option<Duration>);

impl Subscriptions {
    pub(super) fn new(timeline: &Arc<Timeline>) -> Self {
        Self { timeline: timeline.clone(), spans: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Span>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When each began and when it ended, from the scheduler's start; `None` where it has not ended.
    pub fn spans(&self) -> Vec<(Duration, Option<Duration>)> {
        self.lock().clone()
    }

    /// Asserts that the source was subscribed to just as these texts say, each `^` a subscription and `!` its end:
    /// the stream's, or the unsubscription. Without `!` it goes on. See
    /// [`assert_subscriptions!`](crate::assert_subscriptions).
    ///
    /// # Panics
    /// If not; the message shows both. If a text is none of a subscription.
    #[track_caller]
    pub fn assert_marbles(&self, expected: &[&str]) {
        let frame = self.timeline.frame;
        let read = |text: &&str| {
            let marbles = Marbles::expect(MarbleKind::Subscription, text, frame);
            (marbles.subscription.unwrap_or_default(), marbles.unsubscription)
        };
        let (expected, actual): (Vec<Span>, _) = (expected.iter().map(read).collect(), self.spans());
        if expected != actual {
            let (expected, actual) = (show(&expected), show(&actual));
            panic!("other subscriptions than expected\n  expected: {expected}\n    actual: {actual}");
        }
    }
}

fn show(spans: &[Span]) -> String {
    let span = |(begin, end): &Span| match end {
        Some(end) => format!("{begin:?} to {end:?}"),
        None => format!("from {begin:?} on"),
    };
    let spans: Vec<_> = spans.iter().map(span).collect();
    if spans.is_empty() { "none".into() } else { spans.join(", ") }
}

/// Asserts that a [watched](crate::testing::VirtualTime::watch) source was subscribed to just as these texts say.
///
/// ```
/// use rxevents::{assert_subscriptions, prelude::*, testing::{VirtualScheduler, record}};
/// use std::time::Duration;
///
/// let scheduler = VirtualScheduler::new();
/// let (failing, subscriptions) = scheduler.watch(scheduler.cold("-a#"));
/// let seen = record(failing.retry_with(Retry::times(1).fixed(Duration::from_millis(3))));
/// scheduler.advance_by(Duration::from_millis(20));
/// assert_subscriptions!(subscriptions, "^-!", "-----^-!");
/// ```
///
/// When it was not, the message shows both:
/// ```text
/// other subscriptions than expected
///   expected: 0ns to 2ms
///     actual: 0ns to 2ms, 5ms to 7ms
/// ```
#[macro_export]
macro_rules! assert_subscriptions {
    ($subscriptions:expr $(, $marbles:expr)* $(,)?) => {
        $subscriptions.assert_marbles(&[$($marbles),*])
    };
}

impl<S: ObservableType> ObservableType for Watched<S> {
    type Item<'a>
        = S::Item<'a>
    where
        Self: 'a;
    type Err = S::Err;
}

impl<S, C> CoreObservable<C> for Watched<S>
where
    C: Context,
    S: CoreObservable<C::With<WatchedObserver<C::Inner>>>,
{
    type Unsub = WatchedSubscription<S::Unsub>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let watch = Watch::open(self.subscriptions);
        let open = Open(watch.clone());
        let observer = context.transform(|down| WatchedObserver { down, open });
        WatchedSubscription { source: self.source.subscribe(observer), watch }
    }
}

/// One subscription.
#[derive(Clone)]
struct Watch {
    subscriptions: Subscriptions,
    place: usize,
}

impl Watch {
    fn open(subscriptions: Subscriptions) -> Self {
        subscriptions.timeline.opened();
        let mut spans = subscriptions.lock();
        let place = spans.len();
        spans.push((subscriptions.timeline.now(), None));
        drop(spans);
        Self { subscriptions, place }
    }

    fn ends(&self) {
        let now = self.subscriptions.timeline.now();
        if let Some((_, end)) = self.subscriptions.lock().get_mut(self.place) {
            end.get_or_insert(now);
        }
    }
}

/// Open for as long as the source has its observer.
struct Open(Watch);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.ends();
        self.0.subscriptions.timeline.closed();
    }
}

/// The observer of a [`Watched`] source.
pub struct WatchedObserver<O> {
    down: O,
    open: Open,
}

impl<O: Observer<T, E>, T, E> Observer<T, E> for WatchedObserver<O> {
    fn next(&mut self, item: T) {
        self.down.next(item);
    }

    fn error(self, error: E) {
        drop(self.open);
        self.down.error(error);
    }

    fn complete(self) {
        drop(self.open);
        self.down.complete();
    }

    fn is_closed(&self) -> bool {
        self.down.is_closed()
    }
}

impl<O: Observer<T, E>, T, E> BatchObserver<T, E> for WatchedObserver<O> {}

/// Notes its unsubscription.
pub struct WatchedSubscription<U> {
    source: U,
    watch: Watch,
}

impl<U: Subscription> Subscription for WatchedSubscription<U> {
    fn unsubscribe(self) {
        self.watch.ends();
        self.source.unsubscribe();
    }

    fn is_closed(&self) -> bool {
        self.source.is_closed()
    }
}

/// What is left on a scheduler; see [`VirtualTime::leaks`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Leaks {
    /// Tasks that have not ended.
    pub tasks: usize,
    /// Sleeps that somebody waits for.
    pub sleeps: usize,
    /// Subscriptions of [watched](VirtualTime::watch) and of [hot](VirtualTime::hot) sources whose observers are still
    /// held.
    pub subscriptions: usize,
}

impl Display for Leaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "tasks: {}, sleeps: {}, open subscriptions: {}",
            self.tasks, self.sleeps, self.subscriptions
        )
    }
}

impl<F: Flavour + ?Sized> VirtualTime<F> {
    /// Puts a source on this scheduler, and notes when it is subscribed to and when that ends.
    ///
    /// ```
    /// use rxevents::{assert_subscriptions, prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    ///
    /// let scheduler = VirtualScheduler::new();
    /// let (letters, subscriptions) = scheduler.watch(scheduler.hot("a-b-c-d|"));
    /// let seen = record(letters.take(2));
    /// scheduler.advance_by(Duration::from_millis(20));
    /// assert_subscriptions!(subscriptions, "^-!");
    /// assert_eq!(scheduler.leaks(), None);
    /// ```
    pub fn watch<C: Context>(&self, source: C) -> (F::Context<Watched<C::Inner>>, Subscriptions) {
        let subscriptions = Subscriptions::new(self.timeline());
        let source = Watched { source: source.into_inner(), subscriptions: subscriptions.clone() };
        (F::Context::from_parts(source, self.clone()), subscriptions)
    }

    /// What is left, once what is due has run; `None` when there is nothing. For the end of a test, when all streams
    /// have ended or were unsubscribed.
    ///
    /// ```
    /// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    ///
    /// let scheduler = VirtualScheduler::new();
    /// let mut ticks = record(scheduler.on(Local::interval(Duration::from_secs(1))));
    /// let left = scheduler.leaks().unwrap();
    /// assert_eq!(left.to_string(), "tasks: 1, sleeps: 1, open subscriptions: 0");
    /// ticks.unsubscribe();
    /// scheduler.assert_no_leaks();
    /// ```
    ///
    /// # Panics
    /// As [`run_ready`](Self::run_ready).
    pub fn leaks(&self) -> Option<Leaks> {
        self.run_ready();
        let subscriptions = self.timeline().open();
        let left = Leaks { tasks: self.tasks(), sleeps: self.sleeps(), subscriptions };
        (left != Leaks::default()).then_some(left)
    }

    /// Asserts that nothing is [left](Self::leaks).
    ///
    /// # Panics
    /// If something is; the message says what.
    #[track_caller]
    pub fn assert_no_leaks(&self) {
        if let Some(left) = self.leaks() {
            panic!("left behind: {left}");
        }
    }
}
