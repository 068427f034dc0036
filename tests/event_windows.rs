//! Windows of event time: which windows, when they close, and what becomes of what is late.

#[path = "common/recordings.rs"]
mod recordings;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use proptest::prelude::*;
use rxevents::{
    delivery::MemoryPosition,
    event::Click,
    event_time::{EventTime, Regression},
    operator::event_window::{
        Calendar, Closing, Emission, EventWindows, Firing, Late, SlidingWindows, WatermarkStrategy, WhyLate,
        Windowed,
        aggregate::{self, Aggregate, count, fold},
    },
    prelude::*,
    source::{Replayed, TextFile},
    testing::{VirtualScheduler, balanced, record},
};

use recordings::recording;

type Event = (char, i64);
type Short = (char, i64, i64, u64, Firing);

/// What a subscriber has seen.
type Kept<T> = Rc<RefCell<Vec<T>>>;

fn keep<T>(kept: &Kept<T>) -> impl FnMut(T) + use<T> {
    let kept = kept.clone();
    move |item| kept.borrow_mut().push(item)
}

const fn ns(n: u64) -> Duration {
    Duration::from_nanos(n)
}

fn disorder(n: u64) -> EventTime {
    EventTime::disorder(ns(n))
}

fn short(window: Windowed<char, u64>) -> Short {
    (window.key, window.start, window.end, window.value, window.firing)
}

/// Counts of events that come in this order.
fn counts<W>(spec: EventWindows<rxevents::operator::rate::Ignore, W>, events: &[Event]) -> Vec<Short>
where
    W: WatermarkStrategy<Event> + 'static,
{
    let seen = Kept::default();
    Local::from_iter(events.to_vec())
        .event_windows(spec, |event: &Event| &event.0, |event| event.1, count())
        .map(short)
        .subscribe(keep(&seen));
    seen.take()
}

/// The same as a table that is made of all events at once.
fn by_hand(events: &[Event], size: i64, hop: i64) -> BTreeMap<(i64, i64, char), u64> {
    let mut table = BTreeMap::new();
    for (key, at) in events {
        let last = at.div_euclid(hop) * hop;
        let starts = std::iter::successors(Some(last), |start| Some(start - hop));
        for start in starts.take_while(|start| start + size > *at) {
            *table.entry((start + size, start, *key)).or_default() += 1;
        }
    }
    table
}

fn table(seen: &[Short]) -> BTreeMap<(i64, i64, char), u64> {
    let mut table = BTreeMap::new();
    for (key, start, end, value, firing) in seen {
        assert_eq!(*firing, Firing::OnTime);
        assert_eq!(table.insert((*end, *start, *key), *value), None, "emitted twice");
    }
    table
}

/// Faust #514: a closed hopping window had one hop only.
#[test]
fn each_full_hopping_window_has_all_its_seconds() {
    let events: Vec<Event> = (0..120).map(|at| ('a', at)).collect();
    let seen = counts(EventWindows::hopping(ns(30), ns(3)), &events);
    assert_eq!(table(&seen), by_hand(&events, 30, 3));
    let full: Vec<_> = seen.iter().filter(|window| window.1 >= 0 && window.2 <= 120).collect();
    assert_eq!(full.len(), 31);
    assert!(full.iter().all(|window| window.3 == 30), "{full:?}");
}

/// What a run emits until it is killed after so many events, and how far it has committed.
fn run_until(position: &MemoryPosition, spec: EventWindows, events: &[Event], most: usize) -> Vec<Short> {
    let acks = Acknowledger::new("events", position.clone()).unwrap();
    let _books = balanced(&acks);
    let source = acks.resume(Replayed::new(events.to_vec())).unwrap();
    let mut subject = Local::subject::<Delivery<Event>, StreamError>();
    let seen = Kept::default();
    let sub = subject
        .clone()
        .event_windows_acked(spec, |event: &Event| &event.0, |event| event.1, count())
        .on_error_route(observer(|error: StreamError| panic!("{error}")))
        .map(|window: Delivery<Windowed<char, u64>>| short(window.ack()))
        .subscribe(keep(&seen));
    let mut left = source.take(most);
    left.by_ref().for_each(|event| subject.next(event.unwrap()));
    if acks.counts().taken < most as u64 {
        subject.complete();
    } else {
        sub.unsubscribe();
    }
    acks.commit().unwrap();
    assert_eq!(acks.counts().in_flight, 0);
    acks.counts().check().unwrap();
    seen.take()
}

/// Faust PR #203: windows vanished, or were counted too high, where a run was killed and went on.
#[test]
fn a_run_that_is_killed_goes_on_and_every_window_is_right() {
    let events: Vec<Event> = (0..200).map(|at| (if at % 7 == 0 { 'b' } else { 'a' }, at)).collect();
    let shapes: [(fn() -> EventWindows, i64, i64); 3] = [
        (|| EventWindows::hopping(ns(30), ns(3)), 30, 3),
        (|| EventWindows::tumbling(ns(20)), 20, 20),
        (|| EventWindows::hopping(ns(30), ns(3)).lateness(ns(10)), 30, 3),
    ];
    for (spec, size, hop) in shapes {
        for kill in [1, 29, 30, 31, 77, 100, 199] {
            let position = MemoryPosition::default();
            let before = run_until(&position, spec(), &events, kill);
            let closed_until = before.last().map_or(i64::MIN, |window| window.2);
            let committed = position.get().map_or(0, |at| at.lines);
            // What is not committed is no more than the events of open windows.
            assert!(
                committed <= kill as u64 && committed + (size + 12) as u64 >= kill as u64,
                "{committed} of {kill}"
            );
            let after = run_until(&position, spec().closed_until(closed_until), &events, 1_000);
            let all = [before, after].concat();
            assert_eq!(table(&all), by_hand(&events, size, hop), "killed after {kill}");
        }
    }
}

#[test]
fn a_window_that_was_not_handled_comes_again() {
    let position = MemoryPosition::default();
    let acks = Acknowledger::new("events", position.clone()).unwrap();
    let _books = balanced(&acks);
    let mut subject = Local::subject::<Delivery<i64>, StreamError>();
    let kept = Kept::default();
    subject
        .clone()
        .event_windows_acked(EventWindows::tumbling(ns(10)), |_| &(), |at| *at, count())
        .on_error_route(observer(|error: StreamError| panic!("{error}")))
        .subscribe(keep(&kept));
    acks.deliver([1_i64, 2, 11, 21].into_iter()).for_each(|event| subject.next(event.unwrap()));
    // Two windows are emitted, and nobody has said that they are done.
    assert_eq!((kept.borrow().len(), acks.commit().unwrap()), (2, None));
    drop(kept.borrow_mut().remove(1));
    assert_eq!(acks.commit().unwrap(), None);
    kept.borrow_mut().remove(0).ack();
    assert_eq!(acks.commit().unwrap().map(|at| at.lines), Some(3));
    subject.complete();
    assert_eq!(kept.borrow().len(), 1);
    kept.borrow_mut().clear();
    assert_eq!(acks.commit().unwrap().map(|at| at.lines), Some(4));
}

/// Faust #118: a window expired before it was over.
#[test]
fn a_window_is_kept_for_its_lateness() {
    let spec = || EventWindows::tumbling(ns(60)).lateness(ns(10));
    let at_65 = counts(spec(), &[('a', 1), ('a', 65), ('a', 59)]);
    assert_eq!(
        at_65,
        [('a', 0, 60, 1, Firing::OnTime), ('a', 0, 60, 2, Firing::Late), ('a', 60, 120, 1, Firing::OnTime)]
    );
    for (watermark, late) in [(69, 0), (70, 1), (71, 1)] {
        let spec = spec();
        let count = spec.late();
        let seen = counts(spec, &[('a', 1), ('a', watermark), ('a', 59)]);
        assert_eq!((count.get(), count.of(WhyLate::Expired)), (late, late), "{watermark}");
        assert_eq!(seen.len() as u64, 3 - late);
    }
    // A window that had no event in time.
    let seen = counts(spec(), &[('a', 65), ('b', 59)]);
    assert_eq!(seen[0], ('b', 0, 60, 1, Firing::Late));
}

#[test]
fn a_late_event_is_in_those_of_its_windows_that_are_kept() {
    let spec = EventWindows::hopping(ns(30), ns(10)).lateness(ns(10));
    let late = spec.late();
    // 15 is in [-10, 20), [0, 30) and [10, 40); at 35 the first is over, the second closed and kept, the third open.
    let seen = counts(spec, &[('a', 12), ('a', 35), ('a', 15)]);
    assert_eq!(
        seen,
        [
            ('a', -10, 20, 1, Firing::OnTime),
            ('a', 0, 30, 1, Firing::OnTime),
            ('a', 0, 30, 2, Firing::Late),
            ('a', 10, 40, 3, Firing::OnTime),
            ('a', 20, 50, 1, Firing::OnTime),
            ('a', 30, 60, 1, Firing::OnTime),
        ]
    );
    assert_eq!(late.get(), 0);
}

/// Bytewax #413: an alignment of long ago lost data.
#[test]
fn windows_are_aligned_to_1970_and_hold_what_came_in_2024() {
    let at = "2024-02-29T12:34:56Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let seen = Kept::default();
    Local::from_iter([at])
        .event_windows_all(EventWindows::tumbling(Duration::from_secs(3_600)), |at| *at, count())
        .map(|window| (window.start_utc().to_rfc3339(), window.end_utc().to_rfc3339(), window.value))
        .subscribe(keep(&seen));
    assert_eq!(
        seen.take(),
        [("2024-02-29T12:00:00+00:00".to_owned(), "2024-02-29T13:00:00+00:00".to_owned(), 1)]
    );
    // Before 1970, and aligned.
    assert_eq!(counts(EventWindows::tumbling(ns(10)), &[('a', -1)]), [('a', -10, 0, 1, Firing::OnTime)]);
    assert_eq!(
        counts(EventWindows::tumbling(ns(10)).align(3), &[('a', 2)]),
        [('a', -7, 3, 1, Firing::OnTime)]
    );
    for at in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
        for spec in [
            EventWindows::tumbling(ns(10)),
            EventWindows::hopping(ns(30), ns(10)),
            EventWindows::session(ns(10)),
            EventWindows::calendar(Calendar::days(chrono_tz::Europe::Berlin)),
        ] {
            let seen = counts(spec.lateness(Duration::MAX), &[('a', at)]);
            assert!(!seen.is_empty() && seen.iter().all(|window| window.3 == 1), "{at}: {seen:?}");
        }
    }
}

/// Arroyo PR #222: a partition that is silent froze the watermark.
#[test]
fn a_silent_partition_is_not_waited_for() {
    let ms = Duration::from_millis;
    for (idle, closes_at) in [(true, Some(100)), (false, None)] {
        let scheduler = VirtualScheduler::new();
        let time = EventTime::in_order();
        let time = if idle { time.idle(ms(100)) } else { time };
        let spec = EventWindows::tumbling(ms(500))
            .time(time)
            .lateness(ms(100))
            .partitioned_by(|event: &Event| event.0);
        let late = spec.late();
        let mut events = Local::subject::<Event, Infallible>();
        let source = scheduler.on(events.clone());
        let at = |n: i64| n * 1_000_000;
        let seen = record(source.event_windows_all(spec, |event: &Event| event.1, count()));
        events.next(('2', at(10)));
        (0..=10).for_each(|n| events.next(('1', at(n * 100))));
        assert!(seen.items().is_empty());
        scheduler.advance_by(ms(99));
        assert!(seen.items().is_empty());
        scheduler.advance_by(ms(200));
        let closed: Vec<_> = seen.signals().iter().map(|(when, _)| when.as_millis()).collect();
        match closes_at {
            None => {
                assert!(closed.is_empty());
                events.next(('2', at(20)));
                assert_eq!(late.get(), 0);
            }
            Some(when) => {
                assert_eq!(closed, [when, when]); // [0, 500) and [500, 1000)
                assert_eq!((seen.items()[0].start, seen.items()[0].value), (0, 6));
                // It speaks again: late, or not, as the lateness says; the watermark stays where it was.
                events.next(('2', at(899)));
                assert_eq!((late.get(), seen.items().len()), (0, 3));
                assert_eq!((seen.items()[2].firing, seen.items()[2].value), (Firing::Late, 6));
                events.next(('2', at(20)));
                assert_eq!((late.get(), seen.items().len()), (1, 3));
            }
        }
        events.complete();
        scheduler.run_ready();
        assert_eq!(scheduler.tasks(), 0);
    }
}

#[test]
fn the_watermark_of_partitions_is_the_least_of_theirs() {
    let spec = EventWindows::tumbling(ns(10)).partitioned_by(|event: &Event| event.0);
    let late = spec.late();
    let mut events = Local::subject::<Event, Infallible>();
    let seen = Kept::default();
    events
        .clone()
        .event_windows_all(spec, |event: &Event| event.1, count())
        .map(|window| (window.start, window.value))
        .subscribe(keep(&seen));
    for event in [('1', 1), ('2', 1), ('1', 25), ('2', 9), ('1', 35)] {
        events.next(event);
        assert!(seen.borrow().is_empty());
    }
    events.next(('2', 30));
    assert_eq!(*seen.borrow(), [(0, 3), (20, 1)]);
    assert_eq!(late.get(), 0);
}

/// The example of Quix' documentation, "Closing strategies".
#[test]
fn windows_close_by_key_or_by_one_watermark() {
    let events =
        [('A', 100, 1), ('B', 101, 2), ('C', 105, 3), ('B', 10_100, 2), ('A', 8_000, 1), ('A', 10_001, 1)];
    for (closing, expected, late) in [
        (Closing::ByKey, vec![('B', 2), ('A', 2)], 0),
        (Closing::Watermark, vec![('A', 1), ('B', 2), ('C', 3)], 1),
    ] {
        let spec = EventWindows::tumbling(ns(10_000)).closing(closing);
        let count = spec.late();
        let mut source = Local::subject::<(char, i64, i64), Infallible>();
        let seen = Kept::default();
        source
            .clone()
            .event_windows(
                spec,
                |event| &event.0,
                |event| event.1,
                aggregate::sum(|event: &(char, i64, i64)| event.2),
            )
            .map(|window| (window.key, window.value))
            .subscribe(keep(&seen));
        events.iter().for_each(|event| source.next(*event));
        assert_eq!(*seen.borrow(), expected, "{closing:?}");
        assert_eq!(count.get(), late);
        seen.borrow_mut().clear();
        source.complete();
        // A quiet key's windows close at the end.
        let rest = if closing == Closing::ByKey {
            vec![('C', 3), ('A', 1), ('B', 2)]
        } else {
            vec![('B', 2), ('A', 1)]
        };
        assert_eq!(*seen.borrow(), rest, "{closing:?}");
    }
}

#[test]
fn days_of_a_zone_have_23_and_25_hours() {
    let hour = 3_600_000_000_000;
    let at =
        |text: &str| text.parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp_nanos_opt().unwrap();
    let start = at("2026-03-28T23:00:00Z");
    let events: Vec<Event> = (0..24 * 300).map(|n| ('a', start + n * hour)).collect();
    let seen = counts(EventWindows::calendar(Calendar::days(chrono_tz::Europe::Berlin)), &events);
    let of = |start: i64| seen.iter().find(|window| window.1 == start).unwrap();
    let short_day = of(start);
    assert_eq!(((short_day.2 - short_day.1) / hour, short_day.3), (23, 23));
    let long_day = of(at("2026-10-24T22:00:00Z"));
    assert_eq!(((long_day.2 - long_day.1) / hour, long_day.3), (25, 25));
    assert!(
        seen.iter()
            .all(|window| (window.2 - window.1) / hour == window.3 as i64 || window.2 > events[7199].1)
    );
}

#[test]
fn sessions_merge() {
    let spec = EventWindows::session(ns(10)).time(disorder(100));
    let seen = counts(spec, &[('a', 0), ('a', 18), ('b', 5), ('a', 9), ('a', 28)]);
    assert_eq!(
        seen,
        [('b', 5, 15, 1, Firing::OnTime), ('a', 0, 28, 3, Firing::OnTime), ('a', 28, 38, 1, Firing::OnTime)]
    );
    // One that is late merges two that were emitted; what was emitted is within what is.
    let spec = EventWindows::session(ns(10)).lateness(ns(100));
    let seen = counts(spec, &[('a', 0), ('a', 18), ('b', 50), ('a', 9)]);
    assert_eq!(seen[2], ('a', 0, 28, 3, Firing::Late));
    // Its own time is over, but not that of its session.
    let spec = EventWindows::session(ns(10)).time(disorder(12));
    let late = spec.late();
    assert_eq!(counts(spec, &[('a', 0), ('a', 9), ('b', 30), ('a', 2)])[0], ('a', 0, 19, 3, Firing::OnTime));
    assert_eq!(late.get(), 0);
}

#[test]
fn so_many_events_are_a_window() {
    let seen = counts(EventWindows::count(2), &[('a', 5), ('b', 9), ('a', 3), ('b', 1), ('a', 0)]);
    assert_eq!(
        seen,
        [('a', 3, 6, 2, Firing::OnTime), ('b', 1, 10, 2, Firing::OnTime), ('a', 0, 1, 1, Firing::OnTime)]
    );
}

#[test]
fn windows_are_emitted_early() {
    let on_update = EventWindows::tumbling(ns(10)).emission(Emission::OnUpdate);
    let seen = counts(on_update, &[('a', 1), ('a', 2), ('a', 11)]);
    let kinds: Vec<_> = seen.iter().map(|window| (window.3, window.4)).collect();
    assert_eq!(
        kinds,
        [
            (1, Firing::Early),
            (2, Firing::Early),
            (2, Firing::OnTime),
            (1, Firing::Early),
            (1, Firing::OnTime)
        ]
    );

    let each_two = || EventWindows::hopping(ns(20), ns(10)).emission(Emission::EveryCount(2));
    let seen = counts(each_two(), &[('a', 1), ('a', 2), ('a', 11), ('a', 12)]);
    let early: Vec<_> =
        seen.iter().filter(|window| window.4 == Firing::Early).map(|window| (window.1, window.3)).collect();
    assert_eq!(early, [(-10, 2), (0, 2), (0, 4), (10, 2)]);
}

#[test]
fn windows_are_emitted_early_by_the_schedulers_time() {
    let (scheduler, ms) = (VirtualScheduler::new(), Duration::from_millis);
    for hop in [10, 5] {
        let spec = EventWindows::hopping(ns(10), ns(hop)).emission(Emission::Every(ms(100)));
        let mut events = Local::subject::<Event, Infallible>();
        let source = scheduler.on(events.clone());
        let seen = record(source.event_windows(spec, |event: &Event| &event.0, |event| event.1, count()));
        events.next(('a', 6));
        scheduler.advance_by(ms(99));
        events.next(('b', 7));
        assert!(seen.items().is_empty());
        scheduler.advance_by(ms(1));
        let early = seen.items().len();
        assert_eq!(early, if hop == 10 { 2 } else { 4 });
        // Nothing new, nothing emitted, and no timer that runs on.
        scheduler.advance_by(ms(1_000));
        assert_eq!(seen.items().len(), early);
        events.next(('b', 8));
        scheduler.advance_by(ms(100));
        assert_eq!(seen.items().last().map(|window| (window.value, window.firing)), Some((2, Firing::Early)));
        events.complete();
        scheduler.run_ready();
        assert_eq!(scheduler.tasks(), 0);
    }
}

#[test]
fn what_is_in_no_window_is_handed_over_with_the_reason() {
    let left = Arc::new(Mutex::new(vec![]));
    let log = left.clone();
    let time = EventTime::in_order().future_bound(ns(5), || 100_i64);
    let spec =
        EventWindows::hopping(ns(10), ns(20)).time(time).on_late(move |late: Late<(char, Option<i64>)>| {
            log.lock().unwrap().push((late.event.0, late.at, late.why))
        });
    let late = spec.late();
    let seen = Kept::default();
    let events =
        [('a', Some(1)), ('b', None), ('c', Some(15)), ('d', Some(106)), ('e', Some(40)), ('f', Some(9))];
    Local::from_iter(events)
        .event_windows_all(spec, |event: &(char, Option<i64>)| MaybeTime(event.1), count())
        .map(|window| (window.start, window.value))
        .subscribe(keep(&seen));
    assert_eq!(seen.take(), [(0, 1), (40, 1)]);
    let expected = [
        ('b', None, WhyLate::NoTime),
        ('c', Some(15), WhyLate::Between),
        ('d', Some(106), WhyLate::Future),
        ('f', Some(9), WhyLate::Expired),
    ];
    assert_eq!(*left.lock().unwrap(), expected);
    assert_eq!(late.get(), 4);
    expected.iter().for_each(|(.., why)| assert_eq!(late.of(*why), 1));
}

/// A time that may be missing.
struct MaybeTime(Option<i64>);

impl rxevents::event_time::Nanos for MaybeTime {
    fn nanos(&self) -> Option<i64> {
        self.0
    }
}

#[test]
fn time_that_goes_back_does_what_the_policy_says() {
    let spec = |policy| EventWindows::tumbling(ns(10)).time(EventTime::in_order().regression(ns(50), policy));
    let events = [('a', 100), ('b', 101), ('a', 1), ('a', 12)];
    let seen = counts(spec(Regression::Reset), &events);
    let starts: Vec<_> = seen.iter().map(|window| (window.0, window.1)).collect();
    assert_eq!(starts, [('a', 100), ('b', 100), ('a', 0), ('a', 10)]);
    let late = spec(Regression::Late);
    let late_count = late.late();
    assert_eq!((counts(late, &events).len(), late_count.get()), (2, 2));
    let by_key = spec(Regression::Reset).closing(Closing::ByKey);
    let starts: Vec<_> = counts(by_key, &events).iter().map(|window| (window.0, window.1)).collect();
    assert_eq!(starts, [('a', 100), ('a', 0), ('a', 10), ('b', 100)]);

    for closing in [Closing::Watermark, Closing::ByKey] {
        let failure = Rc::new(RefCell::new(None));
        let route = failure.clone();
        Local::from_iter(events)
            .stream_error()
            .event_windows(
                spec(Regression::Error).closing(closing),
                |event| &event.0,
                |event| event.1,
                count(),
            )
            .on_error_route(observer(move |error: StreamError| *route.borrow_mut() = Some(error)))
            .subscribe(|window| panic!("{window:?}"));
        assert!(
            matches!(*failure.borrow(), Some(StreamError::TimeRegression { at: 1, behind: 99 | 100, .. })),
            "{failure:?}"
        );
    }
}

#[test]
fn an_event_may_say_up_to_when_all_have_come() {
    let spec = EventWindows::tumbling(ns(10)).punctuated(|event: &Event| (event.0 == '!').then_some(event.1));
    let late = spec.late();
    let mut events = Local::subject::<Event, Infallible>();
    let seen = Kept::default();
    events
        .clone()
        .event_windows_all(spec, |event: &Event| event.1, count())
        .map(|window| (window.start, window.value))
        .subscribe(keep(&seen));
    [('a', 500), ('a', 5), ('a', 15)].into_iter().for_each(|event| events.next(event));
    assert!(seen.borrow().is_empty());
    events.next(('!', 10));
    assert_eq!(*seen.borrow(), [(0, 1)]);
    events.next(('a', 9));
    assert_eq!(late.get(), 1);
    events.next(('!', 20));
    assert_eq!(*seen.borrow(), [(0, 1), (10, 2)]);
}

#[test]
fn the_number_of_windows_is_bounded() {
    let events = [('a', 1), ('b', 1), ('a', 15), ('c', 1), ('d', 16)];
    let spec = |overflow| {
        let buffer = Buffer::new(2).on_overflow(overflow);
        (EventWindows::tumbling(ns(10)).time(disorder(100)).buffer(buffer.clone()), buffer)
    };
    // Those of [0, 10) make room, as if time had come so far; so `c` is late.
    let (oldest, buffer) = spec(Overflow::DropOldest);
    let late = oldest.late();
    assert_eq!(
        counts(oldest, &events),
        [
            ('a', 0, 10, 1, Firing::Evicted),
            ('b', 0, 10, 1, Firing::Evicted),
            ('a', 10, 20, 1, Firing::OnTime),
            ('d', 10, 20, 1, Firing::OnTime)
        ]
    );
    assert_eq!((buffer.drops().get(), late.of(WhyLate::Expired)), (2, 1));

    let (newest, buffer) = spec(Overflow::DropNewest);
    let late = newest.late();
    assert_eq!(counts(newest, &events).len(), 2);
    assert_eq!((buffer.drops().get(), late.of(WhyLate::NoRoom)), (3, 3));

    let failure = Rc::new(RefCell::new(None));
    let route = failure.clone();
    Local::from_iter(events)
        .stream_error()
        .event_windows(spec(Overflow::Error).0, |event| &event.0, |event| event.1, count())
        .on_error_route(observer(move |error: StreamError| *route.borrow_mut() = Some(error.to_string())))
        .subscribe(|window| panic!("{window:?}"));
    assert_eq!(failure.borrow().as_deref(), Some("`event_windows`: buffer of 2 items is full"));
}

#[test]
fn windows_that_are_evicted_are_complete_otherwise() {
    for spec in [EventWindows::hopping(ns(20), ns(10)), EventWindows::session(ns(5)), EventWindows::count(10)]
    {
        let buffer = Buffer::new(3).on_overflow(Overflow::DropOldest);
        let by_key = spec.clone().closing(Closing::ByKey).buffer(Buffer::new(100));
        let spec = spec.time(disorder(1_000)).buffer(buffer);
        let late = spec.late();
        let events: Vec<Event> = (0..100).map(|at| (char::from(b'a' + (at % 5) as u8), at * 3)).collect();
        let count: u64 = counts(spec.clone(), &events).iter().map(|window| window.3).sum();
        if let Some((size, hop)) = format!("{spec:?}").contains("Hopping").then_some((20, 10)) {
            let whole: u64 = by_hand(&events, size, hop).values().sum();
            assert!(count <= whole && count > 0);
        } else {
            assert_eq!(count + late.get(), 100);
        }
        assert!(!counts(by_key, &events).is_empty());
    }
}

/// Who unsubscribes at a window gets no other, and what is held is not done.
#[test]
fn nothing_comes_after_an_unsubscription() {
    let acks = Acknowledger::new("events", MemoryPosition::default()).unwrap();
    let _books = balanced(&acks);
    let events: Vec<Event> = vec![('a', 1), ('b', 2), ('c', 3), ('d', 11)];
    let seen = Kept::default();
    Local::from_iter_result(acks.deliver(events.into_iter()))
        .event_windows_acked(
            EventWindows::tumbling(ns(10)),
            |event: &Event| &event.0,
            |event| event.1,
            count(),
        )
        .take(1)
        .on_error_route(observer(|error: StreamError| panic!("{error}")))
        .map(|window| window.ack().value)
        .subscribe(keep(&seen));
    assert_eq!(seen.take(), [1]);
    let counts = acks.counts();
    assert_eq!((counts.delivered, counts.abandoned, counts.in_flight), (1, 3, 0));
}

#[test]
fn late_deliveries_are_dropped_by_that_policy() {
    let acks = Acknowledger::new("events", MemoryPosition::default()).unwrap();
    let _books = balanced(&acks);
    Local::from_iter_result(acks.deliver([1_i64, 11, 2].into_iter()))
        .event_windows_acked(EventWindows::tumbling(ns(10)), |_| &(), |at| *at, count())
        .on_error_route(observer(|error: StreamError| panic!("{error}")))
        .subscribe(|window| _ = window.ack());
    let counts = acks.counts();
    assert_eq!((counts.delivered, counts.dropped, counts.in_flight), (2, 1, 0));
}

#[test]
fn shared_is_as_local() {
    let seen = Arc::new(Mutex::new(vec![]));
    let log = seen.clone();
    let spec = EventWindows::hopping(ns(20), ns(10)).partitioned_by(|event: &Event| event.0);
    let spec = spec.on_late(|_: Late<Event>| {});
    Shared::from_iter(vec![('a', 1), ('b', 12), ('a', 31)])
        .event_windows(spec, |event: &Event| &event.0, |event| event.1, count())
        .subscribe(move |window| log.lock().unwrap().push(short(window)));
    assert_eq!(seen.lock().unwrap().len(), 6);
    let seen = Arc::new(Mutex::new(vec![]));
    let log = seen.clone();
    Shared::from_iter(vec![1_i64, 2, 9])
        .sliding_event_windows(SlidingWindows::new(ns(3)), |_| &(), |at| *at, count())
        .subscribe(move |window| log.lock().unwrap().push(window.value));
    assert_eq!(*seen.lock().unwrap(), [1, 2, 1]);
}

#[test]
fn sliding_windows_count_what_is_late() {
    let left = Rc::new(RefCell::new(vec![]));
    let log = left.clone();
    let spec = SlidingWindows::new(ns(10))
        .time(disorder(2))
        .buffer(Buffer::new(3).on_overflow(Overflow::DropNewest))
        .on_late(move |late: Late<i64>| log.borrow_mut().push((late.event, late.why)));
    let late = spec.late();
    let mut seen = vec![];
    Local::from_iter([3_i64, 5, 4, 2, 6, 30])
        .sliding_event_windows(spec, |_| &(), |at| *at, count())
        .subscribe(|window| seen.push((window.start, window.end, window.value)));
    assert_eq!(seen, [(-6, 4, 1), (-5, 5, 2), (-4, 6, 3), (21, 31, 1)]);
    assert_eq!(*left.borrow(), [(2, WhyLate::Expired), (6, WhyLate::NoRoom)]);
    assert_eq!(late.get(), 2);
}

/// What all aggregates make of the values, put in pieces that are merged.
fn merged<A: Aggregate<f64>>(of: &A, values: &[f64], pieces: usize) -> A::Out {
    let mut all = of.create();
    for (n, piece) in values.chunks(values.len().div_ceil(pieces).max(1)).enumerate() {
        let mut acc = of.create();
        piece.iter().enumerate().for_each(|(i, value)| of.add(&mut acc, value, (n * 1_000 + i) as i64));
        of.merge(&mut all, &acc);
    }
    of.result(&all)
}

#[test]
fn aggregates_are_what_they_say() {
    use aggregate::*;
    let values = [3.0, 1.0, f64::NAN, 2.0, 7.0, 1.0];
    let (max_of, min_of) = (max(|v: &f64| *v), min(|v: &f64| *v));
    assert!(merged(&max_of, &values, 3).unwrap().is_nan()); // above all numbers
    assert_eq!(merged(&min_of, &values, 3), Some(1.0));
    assert_eq!(
        merged(&(count(), aggregate::first(|v: &f64| *v), aggregate::last(|v: &f64| *v)), &values, 2),
        (6, Some(3.0), Some(1.0))
    );
    assert_eq!(merged(&sum(|v: &f64| *v as i64), &values, 2), 14);
    let top = top_k(2, 10, |v: &f64| *v as i64);
    let names: Vec<_> =
        merged(&top, &values, 3).into_iter().map(|of| (of.name, of.count, of.error)).collect();
    assert_eq!(names, [(1, 2, 0), (0, 1, 0)]);
    // A sum that an i64 cannot hold.
    let most = sum(|_: &f64| i64::MAX);
    assert_eq!(merged(&most, &values, 1), i128::from(i64::MAX) * 6);
    let wide: Vec<f64> = (0..10_000).map(f64::from).collect();
    let quantile = merged(&quantiles(0.01, |v: &f64| *v), &wide, 7).quantile(0.9).unwrap();
    assert!((quantile - 9_000.0).abs() < 100.0, "{quantile}");
    let different = merged(&distinct(|v: &f64| *v as u64 % 5_000), &wide, 7);
    assert!(different.abs_diff(5_000) < 250, "{different}");
}

fn arrivals() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec((prop::char::range('a', 'c'), -200_i64..200), 0..60)
}

/// The same events, each delayed by less than the disorder.
fn shuffled(events: &[Event], late_by: &[i64]) -> Vec<Event> {
    let mut order: Vec<_> = events.iter().zip(late_by).map(|(event, by)| (event.1 + by, *event)).collect();
    order.sort_by_key(|(when, _)| *when);
    order.into_iter().map(|(_, event)| event).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_comes_within_the_disorder_gives_what_a_batch_gives(
        events in arrivals(), delays in prop::collection::vec(0_i64..=20, 60), hop in 1_i64..30, hops in 1_i64..6,
    ) {
        let size = hop * hops;
        let spec = EventWindows::hopping(ns(size as u64), ns(hop as u64)).time(disorder(20));
        let late = spec.late();
        let seen = counts(spec, &shuffled(&events, &delays));
        prop_assert_eq!(late.get(), 0);
        prop_assert_eq!(table(&seen), by_hand(&events, size, hop));
        // Each is in exactly so many windows; and they close in their order.
        prop_assert_eq!(seen.iter().map(|window| window.3).sum::<u64>(), (events.len() as i64 * hops) as u64);
        prop_assert!(seen.is_sorted_by_key(|window| (window.2, window.1)));
    }

    #[test]
    fn hops_that_do_not_divide_the_size(events in arrivals(), size in 1_i64..40, hop in 1_i64..40) {
        let spec = EventWindows::hopping(ns(size as u64), ns(hop as u64)).time(disorder(1_000));
        let late = spec.late();
        prop_assert_eq!(table(&counts(spec, &events)), by_hand(&events, size, hop));
        let between = events.iter().filter(|event| event.1.rem_euclid(hop) >= size).count();
        prop_assert_eq!(late.of(WhyLate::Between), between as u64);
    }

    /// Whatever the order: each event is in a window or late, the watermark never goes back, and what an emission said is
    /// not less than the one before.
    #[test]
    fn counted_and_late_are_all(
        events in arrivals(), allowed in 0_u64..50, late_for in 0_u64..50, keep: bool, by_key: bool,
    ) {
        let closing = if by_key { Closing::ByKey } else { Closing::Watermark };
        let lateness = if keep { late_for } else { 0 };
        let spec = EventWindows::tumbling(ns(10)).time(disorder(allowed)).lateness(ns(lateness)).closing(closing);
        let late = spec.late();
        let mut last = BTreeMap::new();
        let (mut ends, mut total) = (vec![], 0);
        for (key, start, end, value, firing) in counts(spec, &events) {
            if firing == Firing::OnTime {
                ends.push(end);
            }
            // What is emitted again has all that was emitted before of its time.
            let before: Vec<_> = last.range((key, start)..(key, end)).map(|(at, value)| (*at, *value)).collect();
            let known: u64 = before.iter().map(|(_, value)| value).sum();
            before.iter().for_each(|(at, _)| _ = last.remove(at));
            prop_assert!(value > known);
            last.insert((key, start), value);
            total += value - known;
        }
        prop_assert!(by_key || ends.is_sorted());
        prop_assert_eq!(total + late.get(), events.len() as u64);
    }

    /// An event is in the sessions that come out, or late; a session that comes again has all that it had, unless that
    /// was over already.
    #[test]
    fn events_of_sessions_come_out_or_are_late(
        events in arrivals(), allowed in 0_u64..50, lateness in 0_u64..50, by_key: bool,
    ) {
        let closing = if by_key { Closing::ByKey } else { Closing::Watermark };
        let late = Kept::default();
        let spec = EventWindows::session(ns(10)).time(disorder(allowed)).lateness(ns(lateness)).closing(closing);
        let spec = spec.on_late(keep(&late));
        let numbered: Vec<_> = (0..events.len()).map(|n| (events[n].0, events[n].1, n)).collect();
        let ids = fold(
            Vec::new(),
            |ids: &mut Vec<usize>, event: &(char, i64, usize)| ids.push(event.2),
            |ids, others| ids.extend(others),
        );
        let seen = Kept::default();
        Local::from_iter(numbered)
            .event_windows(spec, |event: &(char, i64, usize)| &event.0, |event| event.1, ids)
            .subscribe(keep(&seen));
        let mut out = BTreeSet::new();
        for window in seen.take() {
            for id in window.value {
                prop_assert!(events[id].0 == window.key && (window.start..window.end).contains(&events[id].1));
                out.insert(id);
            }
        }
        let late: BTreeSet<_> = late.take().into_iter().map(|late: Late<(char, i64, usize)>| late.event.2).collect();
        prop_assert!(out.is_disjoint(&late));
        prop_assert_eq!(out.len() + late.len(), events.len());
    }

    /// What had to make room is not emitted again, and not counted twice.
    #[test]
    fn an_evicted_window_is_final(
        events in arrivals(), allowed in 0_u64..100, lateness in 0_u64..50, capacity in 3_usize..8, by_key: bool,
    ) {
        let closing = if by_key { Closing::ByKey } else { Closing::Watermark };
        let buffer = Buffer::new(capacity).on_overflow(Overflow::DropOldest);
        let spec = EventWindows::tumbling(ns(10)).time(disorder(allowed)).lateness(ns(lateness)).closing(closing);
        let spec = spec.buffer(buffer.clone());
        let late = spec.late();
        let (mut last, mut evicted) = (BTreeMap::new(), 0);
        for (key, start, _, value, firing) in counts(spec, &events) {
            let before = last.insert((key, start), (value, firing));
            prop_assert!(before.is_none_or(|(count, kind)| count < value && kind != Firing::Evicted));
            prop_assert!(before.is_none() || firing == Firing::Late);
            evicted += u64::from(firing == Firing::Evicted);
        }
        prop_assert_eq!(buffer.drops().get(), evicted);
        prop_assert_eq!(last.values().map(|(count, _)| count).sum::<u64>() + late.get(), events.len() as u64);
    }

    /// A run that is killed anywhere, of events in any order within the disorder.
    #[test]
    fn a_run_may_be_killed_anywhere(
        events in arrivals(), delays in prop::collection::vec(0_i64..=20, 60), kill in 1_usize..60, hops in 1_i64..4,
    ) {
        let events = shuffled(&events, &delays);
        let spec = || EventWindows::hopping(ns(10 * hops as u64), ns(10)).time(disorder(20));
        let position = MemoryPosition::default();
        let before = run_until(&position, spec(), &events, kill);
        let closed_until = before.last().map_or(i64::MIN, |window| window.2);
        let after = run_until(&position, spec().closed_until(closed_until), &events, 1_000);
        // One that was killed after the last event has nothing left to do but to read it again.
        prop_assert_eq!(table(&[before, after].concat()), by_hand(&events, 10 * hops, 10));
    }

    #[test]
    fn sessions_are_the_same_in_any_order(events in arrivals(), order in prop::collection::vec(0_i64..400, 60)) {
        let spec = || EventWindows::session(ns(10)).time(disorder(1_000));
        prop_assert_eq!(table(&counts(spec(), &shuffled(&events, &order))), table(&counts(spec(), &events)));
    }

    #[test]
    fn hopping_windows_take_late_events_as_a_batch_does(events in arrivals(), hop in 1_i64..10, hops in 1_i64..6) {
        let size = hop * hops;
        let spec = EventWindows::hopping(ns(size as u64), ns(hop as u64)).lateness(ns(1_000));
        let mut last = BTreeMap::new();
        for (key, start, end, value, _) in counts(spec, &events) {
            last.insert((end, start, key), value);
        }
        prop_assert_eq!(last, by_hand(&events, size, hop));
    }

    #[test]
    fn two_stacks_slide_as_a_loop_does(
        events in arrivals(), delays in prop::collection::vec(0_i64..=20, 60), span in 1_i64..80,
    ) {
        let mut sorted = shuffled(&events, &delays);
        let spec = SlidingWindows::new(ns(span as u64)).time(disorder(20));
        let sums = (count(), aggregate::sum(|event: &Event| event.1), aggregate::max(|event: &Event| event.1));
        let mut seen = vec![];
        Local::from_iter(sorted.clone())
            .sliding_event_windows(spec, |event: &Event| &event.0, |event| event.1, sums)
            .subscribe(|window| seen.push((window.key, window.end - 1, window.value)));
        sorted.sort_by_key(|event| event.1);
        let expected: Vec<_> = (0..sorted.len())
            .map(|n| {
                let (key, at) = sorted[n];
                let of = || sorted[..=n].iter().filter(|event| event.0 == key && event.1 > at - span);
                (key, at, (of().count() as u64, of().map(|event| i128::from(event.1)).sum::<i128>(), Some(at)))
            })
            .collect();
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn the_newest_is_never_late(times in prop::collection::vec(-1_000_000_i64..1_000_000, 1..50), size in 1_u64..100) {
        let (mut newest, mut events) = (i64::MIN, vec![]);
        for at in times {
            newest = newest.max(at);
            events.push(('a', newest));
        }
        for spec in [
            EventWindows::tumbling(ns(size)),
            EventWindows::hopping(ns(size), ns(size.div_ceil(3))),
            EventWindows::session(ns(size)),
            EventWindows::calendar(Calendar::months(chrono_tz::Asia::Kathmandu)),
        ] {
            let late = spec.late();
            counts(spec, &events);
            prop_assert_eq!(late.get(), 0);
        }
    }
}

/// The clicks of a recording, whose lines are written when a request ends.
fn clicks() -> Option<Vec<Click>> {
    let lines = TextFile::open(recording("clicks/access.log")?).unwrap();
    Some(lines.map(|line| Click::from_combined_log(line.unwrap().text().unwrap()).unwrap()).collect())
}

#[test]
fn windows_of_a_recording_are_those_of_a_batch() {
    let Some(clicks) = clicks() else { return };
    let at = |click: &Click| click.at.timestamp_nanos_opt().unwrap();
    // (size, disorder, late); all clicks of an hour are in one minute of it.
    for (size, disorder, expected_late) in [(60, 60, 0), (60, 0, 0), (1, 60, 0), (1, 0, LATE_BY_SECONDS)] {
        let nanos = size as i64 * 1_000_000_000;
        let mut expected: BTreeMap<i64, u64> = BTreeMap::new();
        clicks
            .iter()
            .for_each(|click| *expected.entry(at(click).div_euclid(nanos) * nanos).or_default() += 1);
        let left = Kept::default();
        let mut log = keep(&left);
        let spec = EventWindows::tumbling(Duration::from_secs(size))
            .time(EventTime::disorder(Duration::from_secs(disorder)))
            .on_late(move |late: Late<Click>| log((late.at, late.why)));
        let (late, seen) = (spec.late(), Kept::default());
        Local::from_iter(clicks.clone())
            .event_windows_all(spec, |click: &Click| click.at, count())
            .map(|window| (window.start, window.value))
            .subscribe(keep(&seen));
        let seen = seen.take();
        let counted: u64 = seen.iter().map(|(_, count)| count).sum();
        assert_eq!((late.get(), counted + late.get()), (expected_late, 7_000));
        assert_eq!(left.borrow().len() as u64, late.get());
        assert!(left.borrow().iter().all(|(_, why)| *why == WhyLate::Expired));
        if expected_late == 0 {
            assert_eq!(seen, Vec::from_iter(expected));
        } else {
            // Each that is late is missing in the window of its time.
            left.borrow().iter().for_each(|(at, _)| {
                *expected.get_mut(&(at.unwrap().div_euclid(nanos) * nanos)).unwrap() -= 1
            });
            expected.retain(|_, count| *count > 0);
            assert_eq!(seen, Vec::from_iter(expected));
        }
    }
}

/// Clicks that are older than a click before by a second at least, counted by a loop.
const LATE_BY_SECONDS: u64 = 6_615;
