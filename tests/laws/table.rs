//! The operators, each on a given source.

use std::{
    collections::HashSet,
    convert::Infallible,
    future::ready,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use rxevents::{
    delivery::MemoryPosition,
    event_time::EventTime,
    operator::{
        apply::{Emit, Kernel},
        combine::Pattern,
        event_window::{Emission, EventWindows, Firing, SlidingWindows, aggregate},
        timed::{Time, TimedKernel},
    },
    prelude::*,
    rx::observable::IntoBoxedCoreObservable,
    state::MemoryStore,
    time::Clock,
};
use validator::Validate;

use super::flavour::{Boxed, Cloneable, Kind, OnTime};
use crate::common::ms;

/// An empty table.
pub(crate) fn fresh<V>() -> Table<i64, V>
where
    V: serde::Serialize + serde::de::DeserializeOwned + Send + 'static,
{
    State::open(MemoryStore::new()).and_then(|state| state.table("laws")).unwrap()
}

pub(crate) type Source = OnTime<Cloneable<i64, StreamError>>;
pub(crate) type Out = OnTime<Boxed<i64, StreamError>>;

/// An operator that passes the items of its source on; how it does that is in the flags.
pub(crate) struct Op {
    pub(crate) name: &'static str,
    pub(crate) build: fn(Source) -> Out,
    /// It needs time for it.
    pub(crate) late: bool,
    /// It leaves items out that come close together.
    pub(crate) thins: bool,
    /// Its output cannot fail by its source.
    pub(crate) absorbs: bool,
    /// It keeps a handle of its source, to subscribe to it again.
    pub(crate) holds_source: bool,
    /// It waits for an item even where its source has gone away.
    pub(crate) outlives_source: bool,
    /// It leaves out what its own subscriber feeds back while it handles an item.
    pub(crate) deaf: bool,
}

impl Op {
    pub(crate) const fn new(name: &'static str, build: fn(Source) -> Out) -> Self {
        Self {
            name,
            build,
            late: false,
            thins: false,
            absorbs: false,
            holds_source: false,
            outlives_source: false,
            deaf: false,
        }
    }

    const fn late(mut self) -> Self {
        self.late = true;
        self
    }

    const fn thins(mut self) -> Self {
        self.thins = true;
        self
    }

    const fn holds_source(mut self) -> Self {
        self.holds_source = true;
        self
    }

    const fn outlives_source(mut self) -> Self {
        self.outlives_source = true;
        self
    }

    const fn deaf(mut self) -> Self {
        self.deaf = true;
        self
    }

    const fn absorbs(mut self) -> Self {
        self.absorbs = true;
        self
    }
}

pub(crate) fn out<S>(events: OnTime<S>) -> Out
where
    S: IntoBoxedCoreObservable<Boxed<i64, StreamError>>,
{
    events.transform(S::into_boxed)
}

/// More than any law sends.
const MANY: i64 = 200_000;

/// An operator that gives one item at the end, on a source of each item alone.
macro_rules! one_each {
    ($name:literal, |$item:ident| $one:ident => $chain:expr) => {
        Op::new($name, |e| {
            out(e.flat_map(|$item| {
                let $one = Kind::of($item).stream_error();
                $chain
            }))
        })
    };
}

struct Same;

impl Kernel<i64, i64> for Same {
    const NAME: &'static str = "same";

    fn next(&mut self, item: i64) -> Emit<i64> {
        Emit::Item(item)
    }
}

/// A sink that knows the last value.
#[derive(Clone, Default)]
struct Last(Arc<AtomicI64>);

impl Last {
    fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl EventSink<i64> for Last {
    type Error = Infallible;

    fn write(&mut self, value: &i64) -> Result<(), Infallible> {
        self.0.store(*value, Ordering::Relaxed);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

struct SameOnTime;

impl TimedKernel<i64, i64> for SameOnTime {
    const NAME: &'static str = "same";

    fn next<S: Clock>(&mut self, item: i64, _time: &Time<S>) -> Emit<i64> {
        Emit::Item(item)
    }

    fn tick<S: Clock>(&mut self, _time: &Time<S>) -> Emit<i64> {
        Emit::Skip
    }

    fn complete<S: Clock>(&mut self, _time: &Time<S>) -> Emit<i64> {
        Emit::End
    }

    fn is_idle(&self) -> bool {
        true
    }
}

#[derive(Debug, Validate)]
struct Valid {
    #[validate(range(min = 0))]
    value: i64,
}

/// A closure that gives its one value.
fn once<T>(value: T) -> impl FnMut() -> T {
    let mut value = Some(value);
    move || value.take().expect("called once")
}

/// Fails at the first attempt.
fn the_second_time() -> impl FnMut(&i64) -> Result<i64, Reason> + Clone {
    let mut tried = HashSet::new();
    move |v| if tried.insert(*v) { Err(Reason::other("not now")) } else { Ok(*v) }
}

/// A window for each item.
fn one_each() -> EventWindows {
    EventWindows::count(1)
}

/// The latest item.
fn last() -> aggregate::Edge<fn(&i64) -> i64, true> {
    aggregate::last(|v| *v)
}

pub(crate) fn operators() -> Vec<Op> {
    vec![
        Op::new("map", |e| out(e.map(|v| v))),
        Op::new("filter", |e| out(e.filter(|_| true))),
        Op::new("filter_map", |e| out(e.filter_map(Some))),
        Op::new("scan", |e| out(e.scan(0, |_, v| v))),
        Op::new("tap", |e| out(e.tap(|_| {}))),
        Op::new("apply", |e| out(e.apply(Same))),
        Op::new("take", |e| out(e.take(usize::MAX))),
        Op::new("take_while", |e| out(e.take_while(|_| true))),
        Op::new("take_until", |e| out(e.take_until(Kind::never::<()>().stream_error()))),
        Op::new("skip", |e| out(e.skip(0))),
        Op::new("skip_last", |e| out(e.skip_last(0))),
        Op::new("distinct_until_changed", |e| out(e.distinct_until_changed())),
        Op::new("distinct_until_key_changed", |e| out(e.distinct_until_key_changed(|v| v))),
        Op::new("distinct", |e| out(e.distinct())),
        Op::new("distinct_by", |e| out(e.distinct_by(|v| v))),
        Op::new("distinct_by_with", |e| out(e.distinct_by_with(Keys::default(), |v| v))),
        Op::new("distinct_by_flush", |e| {
            out(e.distinct_by_flush(Keys::default(), |v| v, Kind::never::<()>().stream_error()))
        }),
        Op::new("take_while_inclusive", |e| out(e.take_while_inclusive(|_| true))),
        Op::new("skip_while", |e| out(e.skip_while(|_| false))),
        Op::new("skip_until", |e| out(e.skip_until(Kind::of(()).stream_error()))),
        one_each!("first_or", |v| one => one.first_or(-v)),
        one_each!("element_at", |v| one => one.element_at(0)),
        one_each!("element_at_or", |v| one => one.element_at_or(1, v)),
        one_each!("last", |v| one => one.last()),
        one_each!("last_or", |v| one => one.last_or(-v)),
        one_each!("single", |v| one => one.single()),
        one_each!("ignore_elements", |v| one => one.ignore_elements::<(), _>().last_or(()).map(move |()| v)),
        one_each!("count", |v| one => one.count().map(move |n| v * n as i64)),
        one_each!("sum", |v| one => one.sum()),
        one_each!("average_by", |v| one => one.average_by(|v| *v as f64).map(|v| v as i64)),
        one_each!("average", |v| one => one.map(|v| v as f64).average().map(|v| v as i64)),
        one_each!("min", |v| one => one.min()),
        one_each!("max", |v| one => one.max()),
        one_each!("min_by", |v| one => one.min_by(i64::cmp)),
        one_each!("max_by", |v| one => one.max_by(i64::cmp)),
        one_each!("min_by_key", |v| one => one.min_by_key(|v| *v)),
        one_each!("max_by_key", |v| one => one.max_by_key(|v| *v)),
        one_each!("reduce", |v| one => one.reduce(|a, b| a + b)),
        one_each!("fold", |v| one => one.fold(0, |a, b| a + b)),
        one_each!("to_vec", |v| one => one.to_vec().map(|all| all[0])),
        one_each!("all", |v| one => one.all(|_| true).map(move |yes| if yes { v } else { -1 })),
        one_each!("any", |v| one => one.any(|_| true).map(move |yes| if yes { v } else { -1 })),
        one_each!("contains", |v| one => one.contains(v).map(move |yes| if yes { v } else { -1 })),
        one_each!("is_empty", |v| one => one.is_empty().map(move |yes| if yes { -1 } else { v })),
        one_each!("sequence_equal", |v| one => {
            one.sequence_equal(Kind::of(v).stream_error()).map(move |yes| if yes { v } else { -1 })
        }),
        one_each!("sequence_equal_with_buffer", |v| one => {
            let other = Kind::of(v).stream_error();
            one.sequence_equal_with_buffer(other, Buffer::new(1)).map(move |yes| if yes { v } else { -1 })
        }),
        one_each!("to_vec_with", |v| one => one.to_vec_with(Buffer::new(1)).map(|all| all[0])),
        Op::new("default_if_empty", |e| out(e.default_if_empty(-1))),
        Op::new("switch_if_empty: source", |e| out(e.switch_if_empty(Kind::of(-1).stream_error()))),
        Op::new("switch_if_empty: other", |e| {
            let empty = e.scheduler().on(Kind::empty().map(|()| 0).stream_error());
            out(empty.switch_if_empty(e))
        }),
        Op::new("materialize, dematerialize", |e| out(e.materialize().dematerialize())),
        // Of two that are the same.
        Op::new("pairwise", |e| {
            let twice = e.flat_map(|v| Kind::from_iter([v, v]).stream_error());
            out(twice.pairwise().filter_map(|(a, b)| (a == b).then_some(a)))
        }),
        Op::new("index", |e| out(e.index().map(|(_, v)| v))),
        Op::new("timestamp", |e| out(e.timestamp().map(|stamped| stamped.value))),
        Op::new("time_interval", |e| out(e.time_interval().map(|interval| interval.value))),
        Op::new("merge: left", |e| out(e.merge(Kind::empty().stream_error()))),
        Op::new("merge: right", |e| {
            let empty = e.scheduler().on(Kind::empty().stream_error());
            out(empty.merge(e))
        }),
        Op::new("merge_all", |e| {
            let scheduler = e.scheduler().clone();
            let empty: Boxed<i64, _> = Kind::empty().stream_error().into_inner().into_boxed();
            let sources: [Boxed<i64, _>; 2] = [e.into_inner().into_boxed(), empty];
            out(scheduler.on(Kind::merge_all(sources.map(Kind::<()>::lift))))
        }),
        Op::new("merge_delay_error", |e| {
            let both = e.merge_delay_error(Kind::empty().stream_error());
            out(both.map_err(|errors: CompositeError<_>| errors.first).stream_error())
        }),
        Op::new("merge_all_delay_error", |e| {
            let scheduler = e.scheduler().clone();
            let merged = Kind::merge_all_delay_error([Kind::<()>::lift(e.into_inner())]);
            out(scheduler.on(merged.map_err(|errors: CompositeError<_>| errors.first).stream_error()))
        }),
        Op::new("concat_with: first", |e| out(e.concat_with(Kind::empty().stream_error()))),
        Op::new("concat_with: second", |e| {
            let empty = e.scheduler().on(Kind::empty().stream_error());
            out(empty.concat_with(e))
        }),
        Op::new("concat_all", |e| {
            let scheduler = e.scheduler().clone();
            out(scheduler.on(Kind::concat_all([Kind::<()>::lift(e.into_inner())])))
        }),
        Op::new("start_with, end_with", |e| out(e.start_with([]).end_with([]))),
        Op::new("repeat", |e| out(e.repeat(1))),
        Op::new("repeat_when", |e| out(e.repeat_when(|completions| completions.take_while(|()| false))))
            .holds_source(),
        Op::new("amb: left", |e| out(e.amb(Kind::never().stream_error()))),
        Op::new("amb: right", |e| {
            let never = e.scheduler().on(Kind::never().stream_error());
            out(never.amb(e))
        }),
        Op::new("amb_all", |e| {
            let scheduler = e.scheduler().clone();
            out(scheduler.on(Kind::amb_all([Kind::<()>::lift(e.into_inner())])))
        }),
        Op::new("combine_latest_all", |e| {
            let scheduler = e.scheduler().clone();
            let sources = [Kind::<()>::lift(e.into_inner())];
            out(scheduler.on(Kind::combine_latest_all(sources, |row| row[0])))
        }),
        Op::new("zip_all", |e| {
            let scheduler = e.scheduler().clone();
            let numbers: Boxed<i64, _> =
                scheduler.on(Kind::from_iter(0..MANY).stream_error()).into_inner().into_boxed();
            let sources: [Boxed<i64, _>; 2] = [numbers, e.into_inner().into_boxed()];
            let last = |row: std::vec::Drain<'_, i64>| row.as_slice()[1];
            out(scheduler.on(Kind::zip_all(sources.map(Kind::<()>::lift), last)))
        }),
        Op::new("when", |e| {
            let scheduler = e.scheduler().clone();
            let numbers: Boxed<i64, _> =
                scheduler.on(Kind::from_iter(0..MANY).stream_error()).into_inner().into_boxed();
            let sources: [Boxed<i64, _>; 2] = [numbers, e.into_inner().into_boxed()];
            let second = |_: usize, row: std::vec::Drain<'_, i64>| row.as_slice()[1];
            let patterns = [Pattern::of(0).and(1)];
            out(scheduler.on(Kind::when(sources.map(Kind::<()>::lift), patterns, second)))
        }),
        Op::new("zip", |e| {
            let numbers = e.scheduler().on(Kind::from_iter(0..MANY).stream_error());
            out(numbers.zip(e).map(|(_, v)| v))
        }),
        Op::new("zip_all_with_buffer", |e| {
            let scheduler = e.scheduler().clone();
            let sources = [Kind::<()>::lift(e.into_inner())];
            let one = |row: std::vec::Drain<'_, i64>| row.as_slice()[0];
            out(scheduler.on(Kind::zip_all_with_buffer(sources, Buffer::new(1), one)))
        }),
        Op::new("when_with_buffer", |e| {
            let scheduler = e.scheduler().clone();
            let sources = [Kind::<()>::lift(e.into_inner())];
            let one = |_: usize, row: std::vec::Drain<'_, i64>| row.as_slice()[0];
            out(scheduler.on(Kind::when_with_buffer(sources, [Pattern::of(0)], Buffer::new(1), one)))
        }),
        Op::new("join_with_buffer", |e| {
            let one = e.scheduler().on(Kind::of(0_i64).stream_error());
            let (never, empty) =
                (|_: &i64| Kind::never::<()>().stream_error(), |_: &i64| Kind::empty::<()>().stream_error());
            out(one.join_with_buffer(e, never, empty, Buffer::new(10)).map(|(_, v)| v))
        }),
        Op::new("group_join_with_buffer", |e| {
            let one = e.scheduler().on(Kind::of(0_i64).stream_error());
            let (never, empty) =
                (|_: &i64| Kind::never::<()>().stream_error(), |_: &i64| Kind::empty::<()>().stream_error());
            out(one.group_join_with_buffer(e, never, empty, Buffer::new(10)).flat_map(|(_, group)| group))
        }),
        Op::new("join", |e| {
            let one = e.scheduler().on(Kind::of(0_i64).stream_error());
            let (never, empty) =
                (|_: &i64| Kind::never::<()>().stream_error(), |_: &i64| Kind::empty::<()>().stream_error());
            out(one.join(e, never, empty).map(|(_, v)| v))
        }),
        Op::new("group_join: left", |e| {
            let (never, empty) =
                (|_: &i64| Kind::never::<()>().stream_error(), |_: &i64| Kind::empty::<()>().stream_error());
            out(e.group_join(Kind::never::<i64>().stream_error(), empty, never).map(|(v, _)| v))
        }),
        Op::new("group_join: right", |e| {
            let one = e.scheduler().on(Kind::of(0_i64).stream_error());
            let (never, empty) =
                (|_: &i64| Kind::never::<()>().stream_error(), |_: &i64| Kind::empty::<()>().stream_error());
            out(one.group_join(e, never, empty).flat_map(|(_, group)| group))
        }),
        Op::new("flag_anomalies", |e| {
            let detector = rxevents::operator::window::Ewma::new(0.1, 3.0);
            out(e.flag_anomalies(detector, |v| *v as f64).map(|scored| scored.item))
        }),
        Op::new("join_events", |e| {
            let numbers = e.scheduler().on(Kind::from_iter(0..MANY).stream_error());
            let spec = EventJoin::new(|_: &i64| 0_i64, |_: &i64| 0_i64).matching(Match::OneToOne);
            out(numbers.join_events(e, spec).filter_map(Joined::both).map(|(_, v)| v))
        }),
        Op::new("merge_asof", |e| {
            let numbers = e.scheduler().on(Kind::from_iter(0..MANY).stream_error());
            // The n-th with the n-th.
            let number = AtomicI64::new(-1);
            let spec =
                EventJoin::new(|n: &i64| *n, move |_: &i64| number.fetch_add(1, Ordering::Relaxed) + 1);
            let matched = numbers.merge_asof(e, Match::EarliestAfter, spec);
            out(matched.filter_map(Joined::both).map(|(_, v)| v))
        }),
        Op::new("join_within", |e| {
            let numbers = e.scheduler().on(Kind::from_iter(0..MANY).stream_error());
            // All at one time: the n-th with the n-th.
            out(numbers.join_within(e, ms(0), |_| 0_i64, |_| 0_i64).map(|(_, v)| v))
        }),
        Op::new("combine_latest", |e| {
            let one = e.scheduler().on(Kind::of(0).stream_error());
            out(one.combine_latest(e, |_, v| v))
        }),
        Op::new("with_latest_from", |e| out(e.with_latest_from(Kind::of(0).stream_error()).map(|(v, _)| v))),
        Op::new("flat_map: outer", |e| out(e.flat_map(|v| Kind::of(v).stream_error()))),
        Op::new("flat_map: inner", |e| {
            let one = e.scheduler().on(Kind::of(0).stream_error());
            let mut inner = once(e);
            out(one.flat_map(move |_| inner()))
        }),
        Op::new("flat_map_with", |e| {
            out(e.flat_map_with(2, Buffer::default(), |v| Kind::of(v).stream_error()))
        }),
        Op::new("concat_map: outer", |e| out(e.concat_map(|v| Kind::of(v).stream_error()))),
        Op::new("concat_map: inner", |e| {
            let one = e.scheduler().on(Kind::of(0).stream_error());
            let mut inner = once(e);
            out(one.concat_map(move |_| inner()))
        }),
        Op::new("exhaust_map: outer", |e| out(e.exhaust_map(|v| Kind::of(v).stream_error()))),
        Op::new("exhaust_map_on_dropped", |e| {
            out(e.exhaust_map_on_dropped(|v| Kind::of(v).stream_error(), |_| {}))
        }),
        Op::new("exhaust_map: inner", |e| {
            let one = e.scheduler().on(Kind::of(0).stream_error());
            let mut inner = once(e);
            out(one.exhaust_map(move |_| inner()))
        }),
        Op::new("merge_on_next", |e| out(e.map(|v| Kind::of(v).stream_error()).merge_on_next())),
        Op::new("concat_on_next", |e| out(e.map(|v| Kind::of(v).stream_error()).concat_on_next())),
        Op::new("switch_on_next", |e| out(e.map(|v| Kind::of(v).stream_error()).switch_on_next())).thins(),
        Op::new("switch_map: outer", |e| out(e.switch_map(|v| Kind::of(v).stream_error()))).thins(),
        Op::new("switch_map: inner", |e| {
            let one = e.scheduler().on(Kind::of(0).stream_error());
            let mut inner = once(e);
            out(one.switch_map(move |_| inner()))
        }),
        Op::new("defer", |e| {
            let scheduler = e.scheduler().clone();
            out(scheduler.on(OnTime::<()>::defer(once(e))))
        }),
        Op::new("catch_error: source", |e| out(e.catch_error(|error| Kind::throw_err(error).map(|()| 0)))),
        Op::new("catch_error: other", |e| {
            let failed = e.scheduler().on(Kind::throw_err(()).map(|()| 0));
            out(failed.catch_error(move |()| e))
        }),
        Op::new("retry_with", |e| out(e.retry_with(Retry::times(0)))).holds_source(),
        Op::new("on_error_return", |e| out(e.on_error_return(|_| -1).stream_error())).absorbs(),
        Op::new("on_error_route", |e| out(e.on_error_route(observer(|_: StreamError| {})).stream_error()))
            .absorbs(),
        Op::new("stream_error", |e| out(e.stream_error())),
        Op::new("map_err", |e| out(e.map_err(|error| error))),
        Op::new("on_complete", |e| out(e.on_complete(|| {}))),
        Op::new("finalize", |e| out(e.finalize(|| {}))),
        Op::new("buffer_count", |e| out(e.buffer_count(1).map(|window| window[0]))),
        Op::new("buffer_count_skip", |e| out(e.buffer_count_skip(1, 1).map(|window| window[0]))),
        Op::new("chunks", |e| out(e.chunks(1, |window| window[0]))),
        Op::new("sliding", |e| out(e.sliding(1, 1, |window| window[0]))),
        Op::new("moving_average", |e| out(e.map(|v| v as f64).moving_average(1).map(|mean| mean as i64))),
        Op::new("moving_average_by", |e| out(e.moving_average_by(1, |v| *v as f64).map(|mean| mean as i64))),
        Op::new("flag_outliers", |e| {
            out(e.map(|v| [v as f64]).flag_outliers(1.5).map(|judged| judged.mean as i64))
        }),
        Op::new("flag_outliers_by", |e| {
            out(e.map(|v| [v]).flag_outliers_by(1.5, |v| *v as f64).map(|judged| judged.partition[0]))
        }),
        Op::new("retry_when", |e| out(e.retry_when(|errors| errors.flat_map(Kind::throw_err::<(), _>))))
            .holds_source(),
        Op::new(
            "on_error_resume_next: source",
            |e| out(e.on_error_resume_next(Kind::empty().stream_error())),
        )
        .absorbs(),
        Op::new("on_error_resume_next: other", |e| {
            let failure = StreamError::source(std::io::Error::other("down"));
            let failing = e.scheduler().on(Kind::throw_err(failure));
            out(failing.on_error_resume_next(e))
        }),
        Op::new("using", |e| {
            let scheduler = e.scheduler().clone();
            let source = e.clone();
            out(scheduler.on(OnTime::<()>::using(|| (), move |()| source, |()| {})))
        }),
        Op::new("try_map, route_failures", |e| {
            let failures = observer(|_: Rejected<i64>| {});
            out(e.try_map(|v| Ok(*v)).route_failures(failures))
        }),
        Op::new("try_map_with_retry", |e| {
            let tried = e.try_map_with_retry(Retry::times(1).fixed(ms(1)), |v| Ok(*v));
            out(tried.route_failures(observer(|_: Rejected<i64>| {})))
        }),
        Op::new("try_map_with_retry: later", |e| {
            let tried = e.try_map_with_retry(Retry::times(1).fixed(ms(1)), the_second_time());
            out(tried.route_failures(observer(|_: Rejected<i64>| {})))
        })
        .late(),
        Op::new("try_map_with_retry_ordered", |e| {
            let tried = e.try_map_with_retry_ordered(Retry::times(1).fixed(ms(1)), the_second_time());
            out(tried.route_failures(observer(|_: Rejected<i64>| {})))
        })
        .late(),
        Op::new("try_map_async_with_retry", |e| {
            let asked = e.try_map_async_with_retry(NonZeroUsize::MIN, Retry::times(0), |v| ready(Ok(*v)));
            out(asked.route_failures(observer(|_: Rejected<i64>| {})))
        })
        .late(),
        Op::new("try_map_async_with_retry_ordered", |e| {
            let mut tried = the_second_time();
            let (two, policy) = (NonZeroUsize::MIN.saturating_add(1), Retry::times(1).fixed(ms(1)));
            let asked = e.try_map_async_with_retry_ordered(two, policy, move |v| ready(tried(v)));
            out(asked.route_failures(observer(|_: Rejected<i64>| {})))
        })
        .late(),
        Op::new("validate, route_failures", |e| {
            let valid = e.map(|value| Valid { value }).validate();
            out(valid.route_failures(observer(|_: Rejected<Valid>| {})).map(|valid| valid.value))
        }),
        Op::new("decode_json, dead_letter", |e| {
            let decoded = e.map(|v| v.to_string()).decode_json::<i64, _>();
            out(decoded.dead_letter(MemoryQueue::new(10)))
        }),
        Op::new("dead_letter_with", |e| {
            let (queue, policy) = (MemoryQueue::new(10), DeadLetterPolicy::new().max_consecutive(1));
            out(e.map(Ok::<i64, Rejected<String>>).dead_letter_with(queue, policy))
        }),
        Op::new("try_map_with_retry_with: by key", |e| {
            let breaker = CircuitBreaker::new(ms(1)).consecutive(u32::MAX);
            let retry =
                EventRetry::new(Retry::times(1).fixed(ms(1)).budget(RetryBudget::new(2.0, 9, ms(1000))));
            let retry = retry.circuit_breaker(breaker).ordered_by(|v: &i64| *v);
            let tried = e.try_map_with_retry_with(retry, the_second_time());
            out(tried.route_failures(observer(|_: Rejected<i64>| {})))
        })
        .late(),
        Op::new("throttle_first", |e| out(e.throttle_first(ms(0)))),
        Op::new("throttle_first_by", |e| out(e.throttle_first_by(0_i64, |v| *v))).thins(),
        Op::new("throttle_first_by_key", |e| out(e.throttle_first_by_key(|v| v, |v| *v, 0_i64))),
        Op::new("count_by_key", |e| out(e.count_by_key(|v| v).map(|(v, _)| v))),
        Op::new("event_windows", |e| out(e.event_windows(one_each(), |v| v, |v| *v, last()).map(|w| w.key))),
        Op::new("event_windows: emitted early", |e| {
            let spec = EventWindows::tumbling(ms(1000)).time(EventTime::disorder(ms(1000)));
            let windows = e.event_windows(spec.emission(Emission::OnUpdate), |v| v, |v| *v, last());
            out(windows.filter_map(|w| if w.firing == Firing::Early { w.value } else { None }))
        }),
        Op::new("event_windows: hopping, early by time", |e| {
            let spec = EventWindows::hopping(ms(1000), ms(500))
                .align(400_000_000_i64)
                .time(EventTime::disorder(ms(1000)));
            let windows = e.event_windows_all(spec.emission(Emission::Every(ms(1))), |v| *v, last());
            out(windows.filter_map(|w| {
                if w.firing == Firing::Early && w.start <= -600_000_000 { w.value } else { None }
            }))
        })
        .late()
        .thins(),
        Op::new("event_windows_all", |e| {
            out(e.event_windows_all(one_each(), |v| *v, last()).filter_map(|w| w.value))
        }),
        Op::new("event_windows_acked", |e| {
            let windows = e.map(Delivery::untracked).event_windows_acked(one_each(), |v| v, |v| *v, last());
            out(windows.map(|window| window.key))
        }),
        Op::new("sliding_event_windows", |e| {
            let spec = SlidingWindows::new(ms(1));
            out(e.sliding_event_windows(spec, |v| v, |_| 0_i64, last()).map(|w| w.key))
        }),
        Op::new("alert_once_above", |e| out(e.map(|v| (v, 1)).alert_once_above(0).map(|(v, _)| v))),
        Op::new("scan_by_key", |e| out(e.scan_by_key(|v| v, (), |(), v| v))),
        Op::new("share", |e| out(e.share())).holds_source(),
        Op::new("share_replay", |e| out(e.share_replay(Replay::last(1)))).holds_source(),
        Op::new("publish, ref_count", |e| out(e.publish().ref_count())).holds_source(),
        Op::new("replay, ref_count", |e| out(e.replay(Replay::last(1)).ref_count())).holds_source(),
        Op::new("replay_subject", |e| {
            out(e.flat_map(|v| {
                let mut subject = Kind::replay_subject::<_, Infallible>(Replay::last(1));
                subject.next(-v);
                subject.next(v);
                subject.clone().complete();
                subject.stream_error()
            }))
        }),
        Op::new("async_subject", |e| {
            out(e.flat_map(|v| {
                let mut subject = Kind::async_subject::<_, Infallible>();
                subject.next(v);
                subject.clone().complete();
                subject.stream_error()
            }))
        }),
        Op::new("throttle_with", |e| out(e.throttle_with(ms(1), Edges::both()))).late().thins(),
        Op::new("audit", |e| out(e.audit(ms(1)))).late().thins(),
        Op::new("debounce_with", |e| out(e.debounce_with(ms(1), Edges::trailing()))).late().thins(),
        Op::new("throttle_by", |e| {
            let scheduler = e.scheduler().clone();
            let timer = move |_: &i64| scheduler.on(Kind::timer(ms(1))).stream_error();
            out(e.throttle_by(timer, Edges::both()))
        })
        .late()
        .thins(),
        Op::new("audit_with", |e| {
            let scheduler = e.scheduler().clone();
            out(e.audit_with(move |_| scheduler.on(Kind::timer(ms(1))).stream_error()))
        })
        .late()
        .thins(),
        Op::new("debounce_by", |e| {
            let scheduler = e.scheduler().clone();
            let timer = move |_: &i64| scheduler.on(Kind::timer(ms(1))).stream_error();
            out(e.debounce_by(timer, Edges::trailing()))
        })
        .late()
        .thins(),
        Op::new("debounce_by: at once", |e| {
            out(e.debounce_by(|_| Kind::of(()).stream_error(), Edges::trailing()))
        })
        .thins(),
        Op::new("delay_each", |e| out(e.delay_each(|_| Kind::of(()).stream_error()))),
        Op::new("delay_subscription", |e| {
            let scheduler = e.scheduler().clone();
            out(e.flat_map(move |v| scheduler.on(Kind::of(v)).stream_error().delay_subscription(ms(1))))
        })
        .late(),
        Op::new("subscribe_on", |e| {
            let scheduler = e.scheduler().clone();
            out(e.flat_map(move |v| scheduler.on(Kind::of(v)).stream_error().subscribe_on(scheduler.clone())))
        })
        .late(),
        Op::new("throttle_latest", |e| out(e.throttle_latest(ms(1)))).late().thins(),
        Op::new("debounce", |e| out(e.debounce(ms(1)))).late().thins(),
        Op::new("sample", |e| out(e.sample(ms(1)))).late().thins(),
        Op::new("sample_emit_last", |e| out(e.sample_emit_last(ms(1)))).late().thins(),
        Op::new("sample_with", |e| {
            let ticks = e.clone().delay(ms(1));
            out(e.sample_with(ticks))
        })
        .late()
        .thins(),
        Op::new("delay", |e| out(e.delay(ms(1)))).late(),
        Op::new("timeout", |e| out(e.timeout(ms(3_600_000)))).outlives_source(),
        Op::new("timeout_first", |e| out(e.timeout_first(ms(3_600_000)))),
        Op::new("timeout_with", |e| out(e.timeout_with(ms(3_600_000), Kind::never::<i64>().stream_error())))
            .outlives_source(),
        Op::new("observe_on", |e| {
            let scheduler = e.scheduler().clone();
            out(e.observe_on(scheduler))
        })
        .late(),
        Op::new("on_backpressure_buffer", |e| out(e.on_backpressure_buffer(1_000_000, Overflow::Error)))
            .late(),
        Op::new("on_backpressure_drop", |e| out(e.on_backpressure_drop(|_| {}))).late().thins().deaf(),
        Op::new("on_backpressure_latest", |e| out(e.on_backpressure_latest())).late().thins(),
        Op::new("on_backpressure_timeout", |e| {
            out(e.on_backpressure_timeout(ms(3_600_000), Buffer::new(1_000_000), |_| {}))
        })
        .late(),
        Op::new("hand_off_on", |e| {
            let scheduler = e.scheduler().clone();
            out(e.hand_off_on(scheduler, Buffer::new(1_000_000)))
        })
        .late(),
        Op::new("rate_limit", |e| {
            out(e.rate_limit(Quota::new(1_000_000, ms(1)), Excess::Delay(Buffer::default())))
        })
        .late(),
        Op::new("measured", |e| out(e.measured("laws"))),
        Op::new("measured_results", |e| {
            out(e.map(Ok::<i64, ()>).measured_results("laws").filter_map(Result::ok))
        }),
        one_each!("from_iter", |v| _one => Kind::from_iter([v]).stream_error()),
        one_each!("from_iter_result", |v| _one => Kind::from_iter_result([Ok::<i64, StreamError>(v)])),
        one_each!("of", |_v| one => one),
        one_each!("range", |v| _one => Kind::range(v..=v).stream_error()),
        one_each!("generate", |v| _one => {
            Kind::generate(v, move |at| *at == v, |at| at + 1, |at| *at).stream_error()
        }),
        one_each!("from_fn", |v| _one => Kind::from_fn(move || v).stream_error()),
        one_each!("from_callback", |v| _one => {
            Kind::from_callback(move |callback| callback.call(v)).stream_error()
        }),
        one_each!("empty", |_v| one => one.merge(Kind::empty().stream_error())),
        one_each!("never", |_v| one => one.merge(Kind::never().stream_error()).take(1)),
        Op::new("throw_err", |e| {
            out(e.flat_map(|v| Kind::throw_err(v).on_error_return(|v| v).stream_error()))
        }),
        Op::new("create", |e| {
            out(e.flat_map(|v| {
                let source = Kind::create::<_, Infallible, _, _>(move |mut emitter| {
                    let _gone = emitter.next(v);
                    emitter.complete();
                });
                source.stream_error()
            }))
        }),
        Op::new("timer", |e| {
            let scheduler = e.scheduler().clone();
            out(e.flat_map(move |v| scheduler.on(Kind::timer(ms(1))).map(move |_| v).stream_error()))
        })
        .late(),
        Op::new("interval", |e| {
            let scheduler = e.scheduler().clone();
            out(e.flat_map(move |v| {
                scheduler.on(Kind::interval(ms(1))).take(1).map(move |_| v).stream_error()
            }))
        })
        .late(),
        Op::new("interval_with", |e| {
            let scheduler = e.scheduler().clone();
            out(e.flat_map(move |v| {
                let ticks = scheduler.on(Kind::interval_with(ms(1), MissedTicks::Skip));
                ticks.take(1).map(move |_| v).stream_error()
            }))
        })
        .late(),
        Op::new("poll_every", |e| {
            let scheduler = e.scheduler().clone();
            out(e.flat_map(move |v| {
                scheduler.on(Kind::poll_every(ms(1), move || ready(v))).take(1).stream_error()
            }))
        })
        .late(),
        Op::new("poll_every_with", |e| {
            let scheduler = e.scheduler().clone();
            out(e.flat_map(move |v| {
                let reads = scheduler.on(Kind::poll_every_with(ms(1), MissedTicks::Burst, move || ready(v)));
                reads.take(1).stream_error()
            }))
        })
        .late(),
        Op::new("from_stream", |e| {
            let scheduler = e.scheduler().clone();
            out(e.flat_map(move |v| {
                scheduler.on(Kind::from_stream(futures::stream::iter([v]))).stream_error()
            }))
        })
        .late(),
        Op::new("from_stream_result", |e| {
            let scheduler = e.scheduler().clone();
            out(e.flat_map(move |v| {
                let items = futures::stream::iter([Ok::<i64, StreamError>(v)]);
                scheduler.on(Kind::from_stream_result(items))
            }))
        })
        .late(),
        Op::new("from_future", |e| {
            let scheduler = e.scheduler().clone();
            out(e.flat_map(move |v| scheduler.on(Kind::from_future(ready(v))).stream_error()))
        })
        .late(),
        Op::new("apply_timed", |e| out(e.apply_timed(SameOnTime))),
        Op::new("first", |e| out(e.flat_map(|v| Kind::from_iter([v, -5]).first().stream_error()))),
        Op::new("take_last", |e| out(e.flat_map(|v| Kind::from_iter([-5, v]).take_last(1).stream_error()))),
        Op::new("zip_with_buffer", |e| {
            let numbers = e.scheduler().on(Kind::from_iter(0..MANY).stream_error());
            out(numbers.zip_with_buffer(e, Buffer::new(1 << 20)).map(|(_, v)| v))
        }),
        Op::new("try_map_stage", |e| {
            let failures = observer(|_: Rejected<i64>| {});
            out(e.try_map_stage("stage", |v| Ok(*v)).route_failures(failures))
        }),
        Op::new("try_map_with_retry_with", |e| {
            let tried = e.try_map_with_retry_with(EventRetry::new(Retry::times(0)), |v| Ok(*v));
            out(tried.route_failures(observer(|_: Rejected<i64>| {})))
        }),
        Op::new("try_map_async_with_retry_with", |e| {
            let retry = EventRetry::new(Retry::times(0));
            let asked = e.try_map_async_with_retry_with(NonZeroUsize::MIN, retry, |v| ready(Ok(*v)));
            out(asked.route_failures(observer(|_: Rejected<i64>| {})))
        })
        .late(),
        Op::new("batched, each", |e| {
            out(e.flat_map(|v| Kind::from_iter([v]).batched().each().stream_error()))
        }),
        Op::new("throttle_first_on_dropped", |e| out(e.throttle_first_on_dropped(ms(0), |_| {}))),
        Op::new("throttle_first_by_on_dropped", |e| {
            out(e.throttle_first_by_on_dropped(0_i64, |v| *v, |_| {}))
        })
        .thins(),
        Op::new("throttle_first_by_key_on_dropped", |e| {
            out(e.throttle_first_by_key_on_dropped(Keys::default(), |v| v, |v| *v, 0_i64, |_| {}))
        }),
        Op::new("count_by_key_with", |e| out(e.count_by_key_with(Keys::default(), |v| v).map(|(v, _)| v))),
        Op::new("throttle_latest_on_dropped", |e| out(e.throttle_latest_on_dropped(ms(1), |_| {})))
            .late()
            .thins(),
        Op::new("debounce_on_dropped", |e| out(e.debounce_on_dropped(ms(1), |_| {}))).late().thins(),
        Op::new("sample_on_dropped", |e| out(e.sample_on_dropped(ms(1), |_| {}))).late().thins(),
        Op::new("sample_with_on_dropped", |e| {
            let ticks = e.clone().delay(ms(1));
            out(e.sample_with_on_dropped(ticks, |_| {}))
        })
        .late()
        .thins(),
        Op::new("delay_with_buffer", |e| out(e.delay_with_buffer(ms(1), Buffer::default()))).late(),
        Op::new("observe_on_with", |e| {
            let scheduler = e.scheduler().clone();
            out(e.observe_on_with(scheduler, Buffer::default()))
        })
        .late(),
        Op::new("on_backpressure_buffer_with", |e| {
            out(e.on_backpressure_buffer_with(Buffer::new(1_000_000), |_| {}))
        })
        .late(),
        Op::new("on_backpressure_drop_with", |e| out(e.on_backpressure_drop_with(Buffer::new(1), |_| {})))
            .late()
            .thins()
            .deaf(),
        Op::new("on_backpressure_latest_on_dropped", |e| out(e.on_backpressure_latest_on_dropped(|_| {})))
            .late()
            .thins(),
        Op::new("rate_limit_on_dropped", |e| {
            let quota = Quota::new(1_000_000, ms(1));
            out(e.rate_limit_on_dropped(quota, Excess::Delay(Buffer::default()), |_| {}))
        })
        .late(),
        Op::new("behavior_subject", |e| {
            out(e.flat_map(|v| Kind::behavior_subject::<_, Infallible>(v).take(1).stream_error()))
        }),
        Op::new("buffer_time", |e| out(e.buffer_time(ms(1)).flat_map(|v| Kind::from_iter(v).stream_error())))
            .late(),
        Op::new("buffer_time_max", |e| {
            let single = e.buffer_time_max(ms(3_600_000), 1, WhenFull::Restart);
            out(single.flat_map(|v| Kind::from_iter(v).stream_error()))
        }),
        Op::new("buffer_time_shift", |e| {
            out(e.buffer_time_shift(ms(1), ms(1)).flat_map(|v| Kind::from_iter(v).stream_error()))
        })
        .late(),
        Op::new("buffer_with, bounded", |e| {
            let ticks = e.clone().delay(ms(1));
            let partitions = e.buffer_with(ticks).bounded(Buffer::default());
            out(partitions.flat_map(|v| Kind::from_iter(v).stream_error()))
        })
        .late(),
        one_each!("buffer_toggle", |v| one => {
            let open = Kind::of(()).stream_error();
            let partitions = one.buffer_toggle(open, |()| Kind::never::<()>().stream_error());
            partitions.flat_map(|v| Kind::from_iter(v).stream_error())
        }),
        Op::new("buffer_when", |e| {
            let partitions = e.buffer_when(|| Kind::of(()).stream_error());
            out(partitions.flat_map(|v| Kind::from_iter(v).stream_error()))
        }),
        Op::new("window_count", |e| out(e.window_count(2).flat_map(|window| window))),
        Op::new("window_count, one by one", |e| out(e.window_count(2).concat_map(|window| window))),
        Op::new("window_count_skip", |e| out(e.window_count_skip(1, 1).flat_map(|window| window))),
        Op::new("window_time", |e| out(e.window_time(ms(1)).flat_map(|window| window))),
        Op::new("window_time_max", |e| {
            out(e.window_time_max(ms(1), 2, WhenFull::Fixed).flat_map(|window| window))
        }),
        Op::new("window_time_shift", |e| out(e.window_time_shift(ms(1), ms(1)).flat_map(|window| window))),
        Op::new("window_with", |e| {
            let ticks = e.clone().delay(ms(1));
            out(e.window_with(ticks).flat_map(|window| window))
        })
        .late(),
        Op::new("window_toggle", |e| {
            let time = e.scheduler().clone();
            out(e.flat_map(move |v| {
                let (one, open) = (time.on(Kind::of(v)).stream_error(), Kind::of(()).stream_error());
                let windows = one.window_toggle(open, |()| Kind::never::<()>().stream_error());
                windows.flat_map(|window| window)
            }))
        }),
        Op::new("window_when", |e| {
            out(e.window_when(|| Kind::of(()).stream_error()).flat_map(|window| window))
        }),
        Op::new("group_by", |e| out(e.group_by(|v| v).flat_map(|group| group))),
        Op::new("group_by_with", |e| {
            let time = e.scheduler().clone();
            let duration = move |_: &i64| time.on(Kind::timer(ms(1))).stream_error();
            out(e.group_by_with(Keys::default(), |v| v, duration).flat_map(|group| group))
        }),
        Op::new("try_map_value", |e| {
            let tried = e.map(Delivery::untracked).try_map_value("laws", |v| Ok(*v));
            out(tried.filter_map(Result::ok).map(Delivery::ack))
        }),
        Op::new("commit_every", |e| {
            let acks = Acknowledger::new("laws", MemoryPosition::default()).unwrap();
            out(e.commit_every(&acks, ms(1)))
        }),
        Op::new("count_by_key_in", |e| {
            let counted = e.map(Delivery::untracked).count_by_key_in(&fresh::<u64>(), |v| v);
            out(counted.map(|(v, _)| v.ack()))
        }),
        Op::new("scan_by_key_in", |e| {
            let scanned = e.map(Delivery::untracked).scan_by_key_in(&fresh::<()>(), |v| v, || (), |(), v| *v);
            out(scanned.map(Delivery::ack))
        }),
        Op::new("aggregate_by_key_in", |e| {
            let table = fresh::<()>();
            let aggregated = e.map(Delivery::untracked).aggregate_by_key_in(&table, |v| v, || (), |(), _| ());
            out(aggregated.map(|(v, ())| v.ack()))
        }),
        Op::new("deduplicate_in", |e| {
            let number = AtomicI64::new(0);
            let numbered = e.map(move |v| Delivery::untracked((number.fetch_add(1, Ordering::Relaxed), v)));
            out(numbered.deduplicate_in(&fresh::<()>(), |(number, _)| number).map(|v| v.ack().1))
        }),
        Op::new("join_table", |e| {
            let all = e.map(Delivery::untracked);
            let table = fresh::<u64>();
            let known = all.count_by_key_in(&table, |v| v).map(|(v, _)| v.ack());
            out(known.join_table(table.reader(), |v| v).map(|(v, _)| v))
        }),
        Op::new("enrich_from", |e| out(e.enrich_from(fresh::<()>().reader(), |v| v).map(|(v, _)| v))),
        Op::new("write_to", |e| {
            let last = Last::default();
            let written = last.clone();
            out(e.flat_map(move |v| {
                let written = written.clone();
                let one = Kind::of(Delivery::untracked(v)).stream_error().write_to(written.clone());
                one.map(move |_| written.get())
            }))
        }),
        Op::new("write_to_every", |e| {
            let last = Last::default();
            let written = last.clone();
            out(e.map(Delivery::untracked).write_to_every(1, last).map(move |_| written.get()))
        }),
        Op::new("stage", |e| out(e.stage(&Pipeline::new("laws"), "stage", |e| e.map(|v| v)))),
        Op::new("stoppable", |e| out(e.stoppable(&Pipeline::new("laws"), "source"))),
        Op::new("into_bounded_stream", |e| {
            // It is subscribed at the first poll, so the laws' subject is too early for it.
            let scheduler = e.scheduler().clone();
            out(e.flat_map(move |v| {
                let stream = Kind::of(v).stream_error().into_bounded_stream(Buffer::new(1));
                scheduler.on(Kind::from_stream_result(stream))
            }))
        })
        .late(),
        Op::new("a chain", |e| {
            let other = Kind::empty().stream_error();
            let chain = e.map(|v| v).merge(other).flat_map(|v| Kind::of(v).stream_error());
            out(chain.retry_with(Retry::times(0)).take_until(Kind::never::<()>().stream_error()))
        })
        .holds_source(),
    ]
}
