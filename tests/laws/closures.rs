//! A panic in each closure that a user gives an operator.

use std::{
    cell::Cell,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    vec::Drain,
};

use rxevents::{
    operator::{
        combine::Pattern,
        event_window::{EventWindows, Late, SlidingWindows, aggregate},
    },
    prelude::*,
    rx::observable::IntoBoxedCoreObservable,
};

use super::{
    flavour::{Boxed, Kind, OnTime, Shareable},
    laws::Verdict,
    table::{Out, Source, fresh, out},
};
use crate::common::{Again, Log, lock, ms, unhandled, watchdog};

/// A closure, by the operator that names it in the error; it panics at 2, or when it is called at all.
struct Closure {
    /// The operators that have it.
    name: &'static str,
    /// Which of them is to blame.
    blamed: &'static str,
    build: fn(Source) -> Out,
}

const fn closure(name: &'static str, build: fn(Source) -> Out) -> Closure {
    Closure { name, blamed: name, build }
}

const fn named(name: &'static str, blamed: &'static str, build: fn(Source) -> Out) -> Closure {
    Closure { name, blamed, build }
}

/// Panics for 2, with the number of the case.
fn boom<T>(v: i64, value: T) -> T {
    assert!(v != 2, "boom {} {}", std::any::type_name::<Out>(), CASE.get());
    value
}

std::thread_local! {
    static CASE: Cell<u64> = const { Cell::new(0) };
}

/// A source that fails at once, on the scheduler of `e`.
macro_rules! failing {
    ($e:expr) => {
        $e.scheduler().on(Kind::throw_err(2_i64).map(|()| 0_i64))
    };
}

fn closures() -> Vec<Closure> {
    vec![
        closure("map", |e| out(e.map(|v| boom(v, v)))),
        closure("filter", |e| out(e.filter(|v| boom(*v, true)))),
        closure("filter_map", |e| out(e.filter_map(|v| boom(v, Some(v))))),
        closure("scan", |e| out(e.scan(0, |_, v| boom(v, v)))),
        closure("tap", |e| out(e.tap(|v| boom(*v, ())))),
        closure("flat_map", |e| out(e.flat_map(|v| boom(v, Kind::of(v).stream_error())))),
        named("flat_map_with", "flat_map", |e| {
            out(e.flat_map_with(2, Buffer::default(), |v| boom(v, Kind::of(v).stream_error())))
        }),
        closure("concat_map", |e| out(e.concat_map(|v| boom(v, Kind::of(v).stream_error())))),
        closure("switch_map", |e| out(e.switch_map(|v| boom(v, Kind::of(v).stream_error())))),
        closure("take_while", |e| out(e.take_while(|v| boom(*v, true)))),
        closure("take_while_inclusive", |e| out(e.take_while_inclusive(|v| boom(*v, true)))),
        closure("skip_while", |e| out(e.skip_while(|v| boom(*v, true)))),
        closure("distinct_by", |e| out(e.distinct_by(|v| boom(*v, v)))),
        named("distinct_by_with", "distinct_by", |e| {
            out(e.distinct_by_with(Keys::default(), |v| boom(*v, v)))
        }),
        closure("distinct_by_flush", |e| {
            out(e.distinct_by_flush(Keys::default(), |v| boom(*v, v), Kind::never::<()>().stream_error()))
        }),
        closure("distinct_until_key_changed", |e| out(e.distinct_until_key_changed(|v| boom(*v, v)))),
        closure("average_by", |e| out(e.average_by(|v| boom(*v, 0.0)).map(|_| 0))),
        closure("min_by", |e| out(e.min_by(|a, b| boom(*a.max(b), a.cmp(b))))),
        closure("max_by", |e| out(e.max_by(|a, b| boom(*a.max(b), a.cmp(b))))),
        closure("min_by_key", |e| out(e.min_by_key(|v| boom(*v, *v)))),
        closure("max_by_key", |e| out(e.max_by_key(|v| boom(*v, *v)))),
        closure("reduce", |e| out(e.reduce(|_, v| boom(v, v)))),
        closure("fold", |e| out(e.fold(0, |_, v| boom(v, v)))),
        closure("all", |e| out(e.all(|v| boom(*v, true)).map(i64::from))),
        closure("any", |e| out(e.any(|v| boom(*v, false)).map(i64::from))),
        closure("combine_latest", |e| {
            let one = e.scheduler().on(Kind::of(0).stream_error());
            out(one.combine_latest(e, |_, v| boom(v, v)))
        }),
        closure("flag_anomalies", |e| {
            let scored = e.flag_anomalies(rxevents::operator::window::Ewma::new(0.1, 3.0), |v| boom(*v, 0.0));
            out(scored.map(|scored| scored.item))
        }),
        closure("join_events", |e| {
            let other = e.scheduler().on(Kind::never::<i64>().stream_error());
            let spec = EventJoin::new(|v: &i64| boom(*v, *v), |v: &i64| *v);
            out(e.join_events(other, spec).filter_map(Joined::both).map(|(v, _)| v))
        }),
        named("merge_asof", "join_events", |e| {
            let other = e.scheduler().on(Kind::never::<i64>().stream_error());
            let spec = EventJoin::new(|v: &i64| *v, |v: &i64| *v);
            let spec = spec.keyed(|v: &i64| boom(*v, *v), |v: &i64| *v);
            out(e.merge_asof(other, Match::Nearest, spec).filter_map(Joined::both).map(|(v, _)| v))
        }),
        closure("join_within", |e| {
            let other = e.scheduler().on(Kind::never::<i64>().stream_error());
            out(e.join_within(other, ms(0), |v| boom(*v, *v), |v| *v).map(|(v, _)| v))
        }),
        closure("defer", |e| {
            let scheduler = e.scheduler().clone();
            out(e.flat_map(move |_| {
                let of = scheduler.clone();
                scheduler.on(OnTime::<()>::defer(move || boom(2, of.on(Kind::of(2))))).stream_error()
            }))
        }),
        closure("create", |e| {
            let inner = Kind::create::<i64, StreamError, _, _>(|_emitter| boom(2, ()));
            out(e.flat_map(move |_| inner.clone()))
        }),
        closure("poll_every", |e| {
            let scheduler = e.scheduler().clone();
            out(e.flat_map(move |_| {
                let read = || boom(2, std::future::ready(2));
                scheduler.on(Kind::poll_every(ms(1), read)).stream_error()
            }))
        }),
        named("poll_every_with", "poll_every", |e| {
            let scheduler = e.scheduler().clone();
            out(e.flat_map(move |_| {
                let read = || async { boom(2, 2) };
                scheduler.on(Kind::poll_every_with(ms(1), MissedTicks::Skip, read)).stream_error()
            }))
        }),
        closure("from_fn", |e| out(e.flat_map(|_| Kind::from_fn(|| boom(2, 2)).stream_error()))),
        closure("from_callback", |e| {
            out(e.flat_map(|_| Kind::from_callback::<_, i64>(|_| boom(2, ())).stream_error()))
        }),
        closure("generate", |e| {
            out(e.flat_map(|v| {
                Kind::generate(v, move |at| boom(*at, *at == v), |at| at + 10, |at| *at).stream_error()
            }))
        }),
        closure("using", |e| {
            let scheduler = e.scheduler().clone();
            out(e.flat_map(move |_| {
                let source = scheduler.on(Kind::of(1).stream_error());
                scheduler.on(OnTime::<()>::using(|| boom(2, ()), move |()| source, |()| {}))
            }))
        }),
        closure("repeat_when", |e| {
            out(e.repeat_when(|completions| boom(2, completions.take_while(|()| false))))
        }),
        closure("retry_when", |e| {
            out(e.retry_when(|errors| boom(2, errors.flat_map(Kind::throw_err::<(), _>))))
        }),
        closure("exhaust_map", |e| out(e.exhaust_map(|v| boom(v, Kind::of(v).stream_error())))),
        named("exhaust_map_on_dropped", "exhaust_map", |e| {
            out(e.exhaust_map_on_dropped(|_| Kind::never::<i64>().stream_error(), |v| boom(v, ())))
        }),
        closure("join", |e| {
            let one = e.scheduler().on(Kind::of(0_i64).stream_error());
            let (never, empty) = (
                |_: &i64| Kind::never::<()>().stream_error(),
                |v: &i64| boom(*v, Kind::empty::<()>().stream_error()),
            );
            out(one.join(e, never, empty).map(|(_, v)| v))
        }),
        named("join_with_buffer", "join", |e| {
            let one = e.scheduler().on(Kind::never::<i64>().stream_error());
            let (never, empty) = (
                |v: &i64| boom(*v, Kind::never::<()>().stream_error()),
                |_: &i64| Kind::empty::<()>().stream_error(),
            );
            out(e.join_with_buffer(one, never, empty, Buffer::new(10)).map(|(v, _)| v))
        }),
        closure("group_join", |e| {
            let one = e.scheduler().on(Kind::of(0_i64).stream_error());
            let (never, empty) = (
                |_: &i64| Kind::never::<()>().stream_error(),
                |v: &i64| boom(*v, Kind::empty::<()>().stream_error()),
            );
            out(one.group_join(e, never, empty).flat_map(|(_, group)| group))
        }),
        named("group_join_with_buffer", "group_join", |e| {
            let one = e.scheduler().on(Kind::of(0_i64).stream_error());
            let (never, empty) = (
                |_: &i64| Kind::never::<()>().stream_error(),
                |v: &i64| boom(*v, Kind::empty::<()>().stream_error()),
            );
            out(one.group_join_with_buffer(e, never, empty, Buffer::new(10)).flat_map(|(_, group)| group))
        }),
        closure("combine_latest_all", |e| {
            let scheduler = e.scheduler().clone();
            let sources = [Kind::<()>::lift(e.into_inner())];
            out(scheduler.on(Kind::combine_latest_all(sources, |row| boom(row[0], row[0]))))
        }),
        closure("zip_all", |e| {
            let scheduler = e.scheduler().clone();
            let sources = [Kind::<()>::lift(e.into_inner())];
            let one = |row: Drain<'_, i64>| boom(row.as_slice()[0], 0);
            out(scheduler.on(Kind::zip_all(sources, one)))
        }),
        named("zip_all_with_buffer", "zip_all", |e| {
            let scheduler = e.scheduler().clone();
            let sources = [Kind::<()>::lift(e.into_inner())];
            let one = |row: Drain<'_, i64>| boom(row.as_slice()[0], 0);
            out(scheduler.on(Kind::zip_all_with_buffer(sources, Buffer::new(1), one)))
        }),
        closure("when", |e| {
            let scheduler = e.scheduler().clone();
            let sources = [Kind::<()>::lift(e.into_inner())];
            let one = |_: usize, row: Drain<'_, i64>| boom(row.as_slice()[0], 0);
            out(scheduler.on(Kind::when(sources, [Pattern::of(0)], one)))
        }),
        named("when_with_buffer", "when", |e| {
            let scheduler = e.scheduler().clone();
            let sources = [Kind::<()>::lift(e.into_inner())];
            let one = |_: usize, row: Drain<'_, i64>| boom(row.as_slice()[0], 0);
            out(scheduler.on(Kind::when_with_buffer(sources, [Pattern::of(0)], Buffer::new(1), one)))
        }),
        closure("group_by", |e| out(e.group_by(|v| boom(*v, v)).flat_map(|group| group))),
        named("group_by_with", "group_by", |e| {
            let duration = |v: &i64| boom(*v, Kind::never::<()>().stream_error());
            out(e.group_by_with(Keys::default(), |v| v, duration).flat_map(|group| group))
        }),
        closure("buffer_toggle", |e| {
            let openings = e.clone();
            let closing = |v: i64| boom(v, Kind::never::<()>().stream_error());
            out(e.buffer_toggle(openings, closing).map(|_| 0))
        }),
        closure("window_toggle", |e| {
            let openings = e.clone();
            let closing = |v: i64| boom(v, Kind::never::<()>().stream_error());
            out(e.window_toggle(openings, closing).map(|_| 0))
        }),
        closure("buffer_when", |e| {
            out(e.buffer_when(|| boom(2, Kind::never::<()>().stream_error())).map(|_| 0))
        }),
        closure("window_when", |e| {
            out(e.window_when(|| boom(2, Kind::never::<()>().stream_error())).map(|_| 0))
        }),
        closure("catch_error", |e| out(failing!(e).catch_error(|v| boom(v, Kind::of(v).stream_error())))),
        closure("on_error_return", |e| out(failing!(e).on_error_return(|_| boom(2, 0)).stream_error())),
        closure("map_err", |e| {
            out(failing!(e).map_err(|v| boom(v, StreamError::source(std::io::Error::other("never")))))
        }),
        closure("on_complete", |e| out(e.take(1).on_complete(|| boom(2, ())))),
        closure("count_by_key", |e| out(e.count_by_key(|v| boom(*v, v)).map(|(v, _)| v))),
        named("count_by_key_with", "count_by_key", |e| {
            out(e.count_by_key_with(Keys::default(), |v| boom(*v, v)).map(|(v, _)| v))
        }),
        closure("count_by_key_in", |e| {
            let counted = e.map(Delivery::untracked).count_by_key_in(&fresh::<u64>(), |v| boom(*v, v));
            out(counted.map(|(v, _)| v.ack()))
        }),
        closure("scan_by_key_in", |e| {
            let from = e.map(Delivery::untracked);
            out(from.scan_by_key_in(&fresh::<()>(), |v| v, || (), |(), v| boom(*v, *v)).map(Delivery::ack))
        }),
        closure("aggregate_by_key_in", |e| {
            let from = e.map(Delivery::untracked);
            let aggregated = from.aggregate_by_key_in(&fresh::<()>(), |v| v, || (), |(), v| boom(*v, ()));
            out(aggregated.map(|(v, ())| v.ack()))
        }),
        closure("deduplicate_in", |e| {
            let from = e.map(Delivery::untracked);
            out(from.deduplicate_in(&fresh::<()>(), |v| boom(*v, v)).map(Delivery::ack))
        }),
        closure("join_table", |e| out(e.join_table(fresh::<()>().reader(), |v| boom(*v, v)).map(|(v, _)| v))),
        closure("enrich_from", |e| {
            out(e.enrich_from(fresh::<()>().reader(), |v| boom(*v, v)).map(|(v, _)| v))
        }),
        named("event_windows, event_windows_all", "event_windows", |e| {
            let last = aggregate::last(|v: &i64| *v);
            out(e.event_windows(EventWindows::count(1), |v| boom(*v, v), |v| *v, last).map(|w| w.key))
        }),
        named("event_windows: its time", "event_windows", |e| {
            let last = aggregate::last(|v: &i64| *v);
            out(e.event_windows(EventWindows::count(1), |v| v, |v| boom(*v, *v), last).map(|w| w.key))
        }),
        named("event_windows: its aggregate", "event_windows", |e| {
            let last = aggregate::last(|v: &i64| boom(*v, *v));
            out(e.event_windows_all(EventWindows::tumbling(ms(1)), |v| *v, last).map(|_| 0))
        }),
        named("event_windows: its late observer", "event_windows", |e| {
            let spec = EventWindows::count(1).on_late(|late: Late<i64>| boom(late.event, ()));
            let time =
                |v: &i64| chrono::DateTime::<chrono::Utc>::MAX_UTC - chrono::TimeDelta::nanoseconds(*v);
            out(e.event_windows_all(spec, time, aggregate::count()).map(|_| 0))
        }),
        named("event_windows: its partitions", "event_windows", |e| {
            let spec = EventWindows::count(1).partitioned_by(|v: &i64| boom(*v, *v));
            out(e.event_windows_all(spec, |v| *v, aggregate::count()).map(|_| 0))
        }),
        named("event_windows_acked", "event_windows", |e| {
            let deliveries = e.map(Delivery::untracked);
            let windows = deliveries.event_windows_acked(
                EventWindows::count(1),
                |v| boom(*v, v),
                |v| *v,
                aggregate::count(),
            );
            out(windows.map(|w| w.key))
        }),
        closure("sliding_event_windows", |e| {
            let spec = SlidingWindows::new(ms(1));
            out(e.sliding_event_windows(spec, |v| boom(*v, v), |v| *v, aggregate::count()).map(|w| w.key))
        }),
        closure("scan_by_key", |e| out(e.scan_by_key(|v| v, 0, |_, v| boom(v, v)))),
        named("throttle_first_on_dropped", "throttle_first", |e| {
            out(e.throttle_first_on_dropped(ms(1000), |v| boom(v, ())))
        }),
        closure("throttle_first_by", |e| out(e.throttle_first_by(0_i64, |v| boom(*v, *v)))),
        named("throttle_first_by_on_dropped", "throttle_first_by", |e| {
            out(e.throttle_first_by_on_dropped(1000_i64, |v| *v, |v| boom(v, ())))
        }),
        closure("throttle_first_by_key", |e| out(e.throttle_first_by_key(|v| boom(*v, v), |v| *v, 0_i64))),
        named("throttle_first_by_key_on_dropped", "throttle_first_by_key", |e| {
            let keys = Keys::default();
            out(e.throttle_first_by_key_on_dropped(keys, |_| &0_i64, |v| *v, 1000_i64, |v| boom(v, ())))
        }),
        named("throttle_latest_on_dropped", "throttle_latest", |e| {
            out(e.throttle_latest_on_dropped(ms(1000), |v| boom(v, ())))
        }),
        named("debounce_on_dropped", "debounce", |e| out(e.debounce_on_dropped(ms(1000), |v| boom(v, ())))),
        named("throttle_with", "throttle_with", |e| {
            out(e.throttle_with(ms(1000), Edges::leading().on_dropped(|v| boom(v, ()))))
        }),
        named("debounce_with", "debounce", |e| {
            out(e.debounce_with(ms(1000), Edges::trailing().on_dropped(|v| boom(v, ()))))
        }),
        closure("throttle_by", |e| {
            out(e.throttle_by(|v| boom(*v, Kind::of(()).stream_error()), Edges::leading()))
        }),
        named("throttle_by", "throttle_by", |e| {
            let never = |_: &i64| Kind::never::<()>().stream_error();
            out(e.throttle_by(never, Edges::leading().on_dropped(|v| boom(v, ()))))
        }),
        named("audit_with", "throttle_by", |e| out(e.audit_with(|v| boom(*v, Kind::of(()).stream_error())))),
        closure("debounce_by", |e| {
            out(e.debounce_by(|v| boom(*v, Kind::of(()).stream_error()), Edges::trailing()))
        }),
        closure("delay_each", |e| out(e.delay_each(|v| boom(*v, Kind::of(()).stream_error())))),
        named("sample_on_dropped", "sample", |e| out(e.sample_on_dropped(ms(1000), |v| boom(v, ())))),
        named("sample_with_on_dropped", "sample_with", |e| {
            let never = e.scheduler().on(Kind::never::<()>().stream_error());
            out(e.sample_with_on_dropped(never, |v| boom(v, ())))
        }),
        closure("chunks", |e| out(e.chunks(1, |v| boom(v[0], v[0])))),
        closure("sliding", |e| out(e.sliding(1, 1, |v| boom(v[0], v[0])))),
        closure("moving_average_by", |e| out(e.moving_average_by(1, |v| boom(*v, 0.0)).map(|_| 0))),
        closure("flag_outliers_by", |e| {
            out(e.map(|v| [v]).flag_outliers_by(1.5, |v| boom(*v, 0.0)).map(|_| 0))
        }),
    ]
}

/// The panic ends its own subscription, is the stream's error once, with the operator's name and the message, and is told
/// to nobody else; siblings go on.
fn a_panic_is_routed(closure: &Closure) -> Verdict {
    static CASES: AtomicU64 = AtomicU64::new(0);
    let number = CASES.fetch_add(1, Ordering::Relaxed);
    CASE.set(number);
    let (scheduler, subject) = (super::flavour::Scheduler::new(), Kind::subject::<i64, StreamError>());
    let (routed, log, sibling) = (Arc::new(Mutex::new(Vec::new())), Log::default(), Log::default());
    let (errors, source) = (routed.clone(), subject.clone());
    let boxed = move || -> Boxed<i64, StreamError> { source.clone().into_inner().into_boxed() };
    let events = Source::from_parts(Again::new(Shareable::new(boxed)), scheduler.clone());
    (closure.build)(events)
        .on_error_route(observer(move |error: StreamError| lock(&errors).push(error.to_string())))
        .subscribe_with(log.sink(|_| {}));
    subject.clone().subscribe_with(sibling.sink(|_| {}));
    for v in [1, 2, 3] {
        subject.clone().next(v);
        scheduler.advance_by(ms(5));
    }
    subject.clone().complete();
    scheduler.advance_by(ms(5));
    let boom = format!("boom {} {number}", std::any::type_name::<Out>());
    let message = format!("panic in `{}`: {boom}", closure.blamed);
    let (routed, hooked) = (lock(&routed).clone(), unhandled(&boom));
    if routed != [message.as_str()] {
        return Err(format!("routed: {routed:?} instead of {message:?}"));
    }
    if !hooked.is_empty() {
        return Err(format!("routed, and unhandled: {hooked:?}"));
    }
    if log.ends() != 1 || sibling.items() != [1, 2, 3] || sibling.ends() != 1 {
        return Err(format!("seen {}, by the sibling {}", log.text(), sibling.text()));
    }
    if scheduler.tasks() > 0 {
        return Err(format!("{} tasks left", scheduler.tasks()));
    }
    Ok(())
}

#[test]
fn a_panic_in_each_closure_can_be_routed() {
    let broken: Vec<String> = closures()
        .into_iter()
        .filter_map(|closure| {
            let name = closure.name;
            watchdog(move || a_panic_is_routed(&closure)).err().map(|what| format!("{name}: {what}"))
        })
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_law_of_closures_finds_what_breaks_it() {
    let hides = closure("map", |e| out(e.map(|v| boom(v, v)).on_error_return(|_| 0).stream_error()));
    let loses = closure("map", |e| out(e.map(|v| if v == 2 { -1 } else { v })));
    assert!(a_panic_is_routed(&hides).is_err());
    assert!(a_panic_is_routed(&loses).is_err());
}
