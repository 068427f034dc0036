//! What the integration tests share.
#![allow(dead_code, unused_imports, reason = "not every test file uses all of it")]

use std::{
    any::Any,
    collections::BTreeMap,
    fmt::Debug,
    marker::PhantomData,
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Mutex, Once, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use rxevents::{
    gate::Signal,
    metrics::facade::{
        self, Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, SharedString, Unit,
    },
    prelude::*,
    rx::observable::{CoreObservable, ObservableType},
};

/// What a test module needs of the one or the other kind of pipeline. A module of tests is written once and compiled
/// for both.
pub(crate) mod local {
    use super::*;

    pub(crate) use std::rc::Rc as Shareable;

    pub(crate) use rxevents::prelude::Local as Kind;
    pub(crate) use rxevents::rx::subscription::BoxedSubscription as Sub;
    pub(crate) type Scheduler = rxevents::testing::VirtualScheduler;
    pub(crate) type OnTime<T> = rxevents::testing::TestLocal<T>;
    pub(crate) type Boxed<T, E> = rxevents::rx::observable::BoxedCoreObservable<'static, T, E, Scheduler>;
    pub(crate) type Cloneable<T, E> = Again<std::rc::Rc<dyn Fn() -> Boxed<T, E>>, T, E>;
    pub(crate) type Relay<T, E> = Local<Subject<T, E, rxevents::rx::context::LocalScope>>;
    pub(crate) type BoxFuture<T> = futures::future::LocalBoxFuture<'static, T>;
    /// What may be part of a pipeline of this kind.
    pub(crate) trait Part {}
    impl<T> Part for T {}
}

/// See [`local`].
pub(crate) mod shared {
    use super::*;

    pub(crate) use std::sync::Arc as Shareable;

    pub(crate) use rxevents::prelude::Shared as Kind;
    pub(crate) use rxevents::rx::subscription::BoxedSubscriptionSend as Sub;
    pub(crate) type Scheduler = rxevents::testing::SharedVirtualScheduler;
    pub(crate) type OnTime<T> = rxevents::testing::TestShared<T>;
    pub(crate) type Boxed<T, E> = rxevents::rx::observable::BoxedCoreObservableSend<'static, T, E, Scheduler>;
    pub(crate) type Cloneable<T, E> = Again<Arc<dyn Fn() -> Boxed<T, E> + Send + Sync>, T, E>;
    pub(crate) type Relay<T, E> = Shared<Subject<T, E, rxevents::rx::context::SharedScope>>;
    pub(crate) type BoxFuture<T> = futures::future::BoxFuture<'static, T>;
    /// What may be part of a pipeline of this kind.
    pub(crate) trait Part: Send {}
    impl<T: Send> Part for T {}
}

/// A boxed source that can be subscribed to again: it is made anew each time. (rxRust's own, for `Shared`, is not
/// `Clone`.)
#[derive(Clone)]
pub(crate) struct Again<P, T, E>(P, PhantomData<fn() -> (T, E)>);

impl<P, T, E> Again<P, T, E> {
    pub(crate) fn new(make: P) -> Self {
        Self(make, PhantomData)
    }
}

impl<P, T, E> ObservableType for Again<P, T, E> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

impl<P, T, E, B, C> CoreObservable<C> for Again<P, T, E>
where
    P: Deref,
    P::Target: Fn() -> B,
    B: CoreObservable<C>,
    C: Context,
{
    type Unsub = B::Unsub;

    fn subscribe(self, context: C) -> B::Unsub {
        (self.0)().subscribe(context)
    }
}

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// What takes longer hangs. It is long, as nothing is measured by it: a machine may be busy with
/// other work.
pub(crate) const HANGS: Duration = Duration::from_secs(120);

/// What `f` returns; a panic if it hangs.
pub(crate) fn watchdog<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, result) = mpsc::channel();
    let worker = move || drop(done.send(catch_unwind(AssertUnwindSafe(f))));
    thread::Builder::new().stack_size(1 << 20).spawn(worker).expect("a thread for the watchdog");
    match result.recv_timeout(HANGS) {
        Ok(Ok(value)) => value,
        Ok(Err(panic)) => resume_unwind(panic),
        Err(_) => panic!("it hangs"),
    }
}

/// What a panic said.
pub(crate) fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// The panic of `f`, which must panic.
pub(crate) fn panic_of(f: impl FnOnce()) -> String {
    said(&*catch_unwind(AssertUnwindSafe(f)).expect_err("it did not panic"))
}

/// Failures that no stream could carry and that contain `text`, in this process so far.
pub(crate) fn unhandled(text: &str) -> Vec<String> {
    static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        rxevents::on_unhandled(|failure| lock(&SEEN).push(failure.to_string()));
    });
    lock(&SEEN).iter().filter(|failure| failure.contains(text)).cloned().collect()
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes all that it is told, and calls `act` for each item. It keeps `act` as long as it lives.
pub(crate) struct Sink<T, E, F> {
    pub(crate) log: Log<T, E>,
    pub(crate) act: F,
}

/// What a [`Sink`] was told.
pub(crate) struct Log<T, E>(Arc<Mutex<Vec<Signal<T, E>>>>);

impl<T, E> Clone for Log<T, E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T, E> Default for Log<T, E> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone + Debug, E: Debug> Log<T, E> {
    /// A sink that writes into it.
    pub(crate) fn sink<F: FnMut(&T)>(&self, act: F) -> Sink<T, E, F> {
        Sink { log: self.clone(), act }
    }

    pub(crate) fn items(&self) -> Vec<T> {
        let item = |signal: &Signal<T, E>| match signal {
            Signal::Next(item) => Some(item.clone()),
            _ => None,
        };
        lock(&self.0).iter().filter_map(item).collect()
    }

    /// Items as they are, `|` and `#error`.
    pub(crate) fn text(&self) -> String {
        let text = |signal: &Signal<T, E>| match signal {
            Signal::Next(item) => format!("{item:?}"),
            Signal::Error(error) => format!("#{error:?}"),
            Signal::Complete => "|".into(),
        };
        lock(&self.0).iter().map(text).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn ends(&self) -> usize {
        lock(&self.0).iter().filter(|signal| !matches!(signal, Signal::Next(_))).count()
    }
}

impl<T: Clone, E, F: FnMut(&T)> Observer<T, E> for Sink<T, E, F> {
    fn next(&mut self, item: T) {
        lock(&self.log.0).push(Signal::Next(item.clone()));
        (self.act)(&item);
    }

    fn error(self, error: E) {
        lock(&self.log.0).push(Signal::Error(error));
    }

    fn complete(self) {
        lock(&self.log.0).push(Signal::Complete);
    }

    fn is_closed(&self) -> bool {
        false
    }
}

impl<T: Clone, E, F: FnMut(&T)> BatchObserver<T, E> for Sink<T, E, F> {}

/// Keeps what it is told, under `name{label=value,…}`.
#[derive(Default)]
pub(crate) struct Recorder {
    counters: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    gauges: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    times: Mutex<BTreeMap<String, Arc<Times>>>,
    descriptions: Mutex<BTreeMap<String, (Option<Unit>, String)>>,
    registrations: AtomicU64,
}

/// There is room for twenty thousand.
pub(crate) struct Times(Mutex<Vec<f64>>);

impl HistogramFn for Times {
    fn record(&self, value: f64) {
        lock(&self.0).push(value);
    }
}

impl Recorder {
    pub(crate) fn counter(&self, name: &str, labels: &str) -> u64 {
        let counters = lock(&self.counters);
        counters.get(&format!("{name}{{{labels}}}")).map_or(0, |value| value.load(Ordering::Relaxed))
    }

    pub(crate) fn gauge(&self, name: &str, labels: &str) -> f64 {
        let gauges = lock(&self.gauges);
        let bits = gauges.get(&format!("{name}{{{labels}}}")).map(|value| value.load(Ordering::Relaxed));
        f64::from_bits(bits.unwrap_or_else(|| panic!("no {name} of {labels}")))
    }

    pub(crate) fn times(&self, name: &str, labels: &str) -> Vec<f64> {
        let times = lock(&self.times);
        times.get(&format!("{name}{{{labels}}}")).map_or(vec![], |times| lock(&times.0).clone())
    }

    /// Whether a metric of that name is registered.
    pub(crate) fn knows(&self, name: &str) -> bool {
        let name = format!("{name}{{");
        lock(&self.counters).keys().chain(lock(&self.gauges).keys()).any(|key| key.starts_with(&name))
            || lock(&self.times).keys().any(|key| key.starts_with(&name))
    }

    pub(crate) fn described(&self, name: &str) -> (Option<Unit>, String) {
        lock(&self.descriptions).get(name).cloned().unwrap_or_default()
    }

    pub(crate) fn registrations(&self) -> u64 {
        self.registrations.load(Ordering::Relaxed)
    }

    fn describe(&self, key: &KeyName, unit: Option<Unit>, text: &SharedString) {
        lock(&self.descriptions).insert(key.as_str().into(), (unit, text.to_string()));
    }

    fn text(&self, key: &Key) -> String {
        self.registrations.fetch_add(1, Ordering::Relaxed);
        let mut labels: Vec<_> = key.labels().map(|l| format!("{}={}", l.key(), l.value())).collect();
        labels.sort();
        format!("{}{{{}}}", key.name(), labels.join(","))
    }
}

impl facade::Recorder for Recorder {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe(&key, unit, &text);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe(&key, unit, &text);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe(&key, unit, &text);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(lock(&self.counters).entry(self.text(key)).or_default().clone())
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(lock(&self.gauges).entry(self.text(key)).or_default().clone())
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let mut times = lock(&self.times);
        let new = || Arc::new(Times(Mutex::new(Vec::with_capacity(20_000))));
        Histogram::from_arc(times.entry(self.text(key)).or_insert_with(new).clone())
    }
}
