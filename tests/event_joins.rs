//! Joins by event time: beside a naive join of all items at once, however they come; and what others have got wrong.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use proptest::prelude::*;
use rxevents::{
    Overflow,
    delivery::MemoryPosition,
    event_time::{EventTime, Regression},
    operator::{
        combine::Unmatched,
        join::{Emit, Kind, LeftOver, WhyLeftOver},
    },
    prelude::*,
    testing::{TestLocal, VirtualScheduler, balanced},
};

/// Key, time, name.
type Event = (u8, i64, u32);
type Row = Joined<Event, Event>;
type Spec = EventJoin<fn(&Event) -> i64, fn(&Event) -> i64, fn(&Event) -> u8, fn(&Event) -> u8>;

fn spec() -> Spec {
    let time: fn(&Event) -> i64 = |event| event.1;
    let key: fn(&Event) -> u8 = |event| event.0;
    EventJoin::new(time, time).keyed(key, key)
}

fn failed(error: StreamError) -> ! {
    panic!("{error}")
}

/// What comes out of the join when the sides come in this order (`true`: left), and what is left over.
fn run<D>(
    spec: EventJoin<fn(&Event) -> i64, fn(&Event) -> i64, fn(&Event) -> u8, fn(&Event) -> u8, D>,
    left: &[Event],
    right: &[Event],
    order: impl Iterator<Item = bool>,
) -> Vec<Row>
where
    D: rxevents::operator::rate::OnDropped<LeftOver<Event, Event>> + 'static,
{
    let (a, b) = (Local::subject::<Event, StreamError>(), Local::subject::<Event, StreamError>());
    let seen = Rc::new(RefCell::new(vec![]));
    let log = seen.clone();
    a.clone()
        .join_events(b.clone(), spec)
        .on_error_route(observer(|error: StreamError| failed(error)))
        .subscribe(move |row| log.borrow_mut().push(row));
    let (mut left, mut right) = (left.iter(), right.iter());
    let (mut a, mut b) = (Some(a), Some(b));
    for from_left in order.chain([true, false].into_iter().cycle()) {
        let (side, items) = if from_left { (&mut a, &mut left) } else { (&mut b, &mut right) };
        match (side.take(), items.next()) {
            (Some(mut subject), Some(item)) => {
                subject.next(*item);
                *side = Some(subject);
            }
            (Some(subject), None) => subject.complete(),
            (None, _) => {}
        }
        if a.is_none() && b.is_none() {
            break;
        }
    }
    seen.take()
}

#[derive(Debug, Clone, Copy)]
struct Case {
    lower: i64,
    upper: i64,
    how: Match,
    kind: Kind,
    exact: bool,
}

/// The definition, on all items at once.
fn naive(case: Case, left: &[Event], right: &[Event]) -> Vec<Row> {
    let Case { lower, upper, how, kind, exact } = case;
    let mut rows = vec![];
    let sorted = |side: &[Event]| {
        let mut side: Vec<_> = side.to_vec();
        side.sort_by_key(|event| event.1); // stable: of the same time, as they came
        side
    };
    let (left, right) = (sorted(left), sorted(right));
    let keys: std::collections::BTreeSet<u8> = left.iter().chain(&right).map(|event| event.0).collect();
    let (mut left_alone, mut right_alone) = (vec![], vec![]);
    for key in keys {
        let of = |side: &[Event]| side.iter().copied().filter(|event| event.0 == key).collect::<Vec<_>>();
        let (left, right) = (of(&left), of(&right));
        let mut taken = vec![false; right.len()];
        if how == Match::OneToOne {
            let (mut l, mut r) = (0, 0);
            while l < left.len() && r < right.len() {
                let delta = right[r].1 - left[l].1;
                if delta < lower {
                    right_alone.push(right[r]);
                    r += 1;
                } else if delta > upper {
                    left_alone.push(left[l]);
                    l += 1;
                } else {
                    rows.push(Joined::Both(left[l], right[r]));
                    (l, r) = (l + 1, r + 1);
                }
            }
            left_alone.extend(&left[l..]);
            right_alone.extend(&right[r..]);
            continue;
        }
        for a in &left {
            let within = |b: &Event| {
                let delta = b.1 - a.1;
                let side = match how {
                    Match::LatestBefore => delta < 0 || exact && delta == 0,
                    Match::EarliestAfter => delta > 0 || exact && delta == 0,
                    _ => true,
                };
                (lower..=upper).contains(&delta) && side
            };
            let candidates: Vec<usize> = (0..right.len()).filter(|&b| within(&right[b])).collect();
            let matches = match how {
                Match::All => candidates,
                // Smaller distance, then earlier, then the first that came.
                _ => candidates
                    .into_iter()
                    .min_by_key(|&b| ((right[b].1 - a.1).abs(), right[b].1, b))
                    .into_iter()
                    .collect(),
            };
            if matches.is_empty() {
                left_alone.push(*a);
            }
            for b in matches {
                taken[b] = true;
                rows.push(Joined::Both(*a, right[b]));
            }
        }
        right_alone.extend(right.iter().zip(&taken).filter(|(_, taken)| !**taken).map(|(b, _)| *b));
    }
    if matches!(kind, Kind::Left | Kind::Outer) {
        rows.extend(left_alone.into_iter().map(Joined::Left));
    }
    if matches!(kind, Kind::Right | Kind::Outer) {
        rows.extend(right_alone.into_iter().map(Joined::Right));
    }
    rows
}

fn key_of(row: &Row) -> (Option<Event>, Option<Event>) {
    (row.left().copied(), row.right().copied())
}

fn bag(mut rows: Vec<Row>) -> Vec<(Option<Event>, Option<Event>)> {
    let mut keys: Vec<_> = rows.drain(..).map(|row| key_of(&row)).collect();
    keys.sort_unstable();
    keys
}

/// Events that are out of order by at most `disorder`, numbered.
fn events(disorder: i64) -> impl Strategy<Value = Vec<Event>> {
    proptest::collection::vec((0_u8..3, 0_i64..6, 0..=disorder), 0..25).prop_map(move |steps| {
        let mut newest = -20;
        let mut number = 0;
        let mut at = |(key, step, back): (u8, i64, i64)| {
            newest += step;
            number += 1;
            (key, newest - back, number)
        };
        steps.into_iter().map(&mut at).collect()
    })
}

fn a_case() -> impl Strategy<Value = Case> {
    let how = prop_oneof![
        Just(Match::All),
        Just(Match::Nearest),
        Just(Match::LatestBefore),
        Just(Match::EarliestAfter),
        Just(Match::OneToOne),
    ];
    let kind = prop_oneof![Just(Kind::Inner), Just(Kind::Left), Just(Kind::Right), Just(Kind::Outer)];
    (-9_i64..9, 0_i64..12, how, kind, any::<bool>()).prop_map(|(lower, width, how, kind, exact)| Case {
        lower,
        upper: lower + width,
        how,
        kind,
        exact,
    })
}

fn of(case: Case, disorder: i64) -> Spec {
    spec()
        .between(case.lower, case.upper)
        .matching(case.how)
        .kind(case.kind)
        .allow_exact(case.exact)
        .event_time(EventTime::disorder(Duration::from_nanos(disorder.unsigned_abs())))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn what_comes_out_is_the_definition_however_the_sides_are_interleaved(
        case in a_case(),
        (disorder, left, right) in (0_i64..8).prop_flat_map(|d| (Just(d), events(d), events(d))),
        order in proptest::collection::vec(any::<bool>(), 0..60),
        on_close in any::<bool>(),
    ) {
        let expected = bag(naive(case, &left, &right));
        let emit = if on_close { Emit::OnClose } else { Emit::OnMatch };
        let seen = run(of(case, disorder).emit(emit), &left, &right, order.into_iter());
        prop_assert_eq!(bag(seen), expected);
    }

    /// … and with the sides exchanged, and so the bounds; where one of the two matches at most.
    #[test]
    fn the_sides_may_be_exchanged(
        case in a_case().prop_filter("symmetric", |case| matches!(case.how, Match::All | Match::OneToOne)),
        (left, right) in (events(0), events(0)),
        order in proptest::collection::vec(any::<bool>(), 0..60),
    ) {
        let kind = match case.kind { Kind::Left => Kind::Right, Kind::Right => Kind::Left, kind => kind };
        let turned = Case { lower: -case.upper, upper: -case.lower, kind, ..case };
        let seen = run(of(case, 0), &left, &right, order.iter().copied());
        let exchanged = run(of(turned, 0), &right, &left, order.iter().map(|from_left| !from_left));
        prop_assert_eq!(bag(seen), bag(exchanged.into_iter().map(Joined::swap).collect()));
    }

    /// Each item is matched, comes out alone, or is left over for one reason, and is counted.
    #[test]
    fn every_item_is_accounted_for(
        case in a_case(),
        (left, right) in (events(9), events(9)),
        order in proptest::collection::vec(any::<bool>(), 0..60),
        disorder in 0_i64..9,
        capacity in 1_usize..9,
        newest in any::<bool>(),
    ) {
        let policy = if newest { Overflow::DropNewest } else { Overflow::DropOldest };
        let left_over = Rc::new(RefCell::new(vec![]));
        let log = left_over.clone();
        let spec = of(case, disorder).buffer(Buffer::new(capacity).on_overflow(policy)).to_the_end();
        let counts = spec.counts();
        let spec = spec.on_left_over(move |item: LeftOver<Event, Event>| log.borrow_mut().push(item));
        let seen = run(spec, &left, &right, order.into_iter());
        for (right_side, all) in [(false, &left), (true, &right)] {
            let mut times = BTreeMap::<u32, (u64, u64, u64)>::new();
            for row in &seen {
                let item = if right_side { row.right() } else { row.left() };
                if let Some(item) = item {
                    let times = times.entry(item.2).or_default();
                    if matches!(row, Joined::Both(..)) { times.0 += 1 } else { times.1 += 1 }
                }
            }
            let mut by_reason = BTreeMap::<usize, u64>::new();
            for LeftOver { item, why } in left_over.borrow().iter() {
                match (item, right_side) {
                    (Unmatched::Left(item), false) | (Unmatched::Right(item), true) => {
                        times.entry(item.2).or_default().2 += 1;
                        *by_reason.entry(*why as usize).or_default() += 1;
                    }
                    _ => {}
                }
            }
            let alone: u64 = times.values().map(|(_, alone, _)| alone).sum();
            let count = |why| if right_side { counts.right(why) } else { counts.left(why) };
            let counted = |why: WhyLeftOver| by_reason.get(&(why as usize)).copied().unwrap_or(0);
            prop_assert_eq!(count(WhyLeftOver::Unmatched), alone + counted(WhyLeftOver::Unmatched));
            prop_assert_eq!(count(WhyLeftOver::Late), counted(WhyLeftOver::Late));
            prop_assert_eq!(count(WhyLeftOver::Evicted), counted(WhyLeftOver::Evicted));
            for item in all {
                let (matched, alone, left_over) = times.get(&item.2).copied().unwrap_or_default();
                // One that was evicted may have been matched before.
                prop_assert!(alone + left_over <= 1 && matched + alone + left_over >= 1, "{:?}", item);
                prop_assert!(alone == 0 || matched == 0, "{:?}", item);
            }
        }
        prop_assert_eq!(counts.matches(), seen.iter().filter(|row| matches!(row, Joined::Both(..))).count() as u64);
    }
}

fn at(times: &[i64]) -> Vec<Event> {
    times.iter().zip(1..).map(|(&at, number)| (0, at, number)).collect()
}

/// The times of the rows; `None` where there is no partner.
fn times(rows: &[Row]) -> Vec<(Option<i64>, Option<i64>)> {
    rows.iter().map(|row| (row.left().map(|l| l.1), row.right().map(|r| r.1))).collect()
}

fn joined(spec: Spec, left: &[i64], right: &[i64]) -> Vec<(Option<i64>, Option<i64>)> {
    times(&run(spec, &at(left), &at(right), std::iter::empty()))
}

/// pandas: the tolerance was ignored where exact matches are excluded, or times repeat.
#[test]
fn a_tolerance_holds_where_times_repeat_and_exact_matches_are_excluded() {
    let spec = spec().within(Duration::from_nanos(10)).matching(Match::LatestBefore).kind(Kind::Left);
    let seen = joined(spec.clone().allow_exact(false), &[30, 30], &[0, 30]);
    assert_eq!(seen, [(Some(30), None), (Some(30), None)]);
    assert_eq!(joined(spec, &[30, 30], &[0, 30]), [(Some(30), Some(30)), (Some(30), Some(30))]);
}

/// pandas: the tolerance looked backward only.
#[test]
fn nearest_looks_both_ways_and_the_earlier_wins() {
    let spec = || spec().within(Duration::from_nanos(5)).kind(Kind::Left);
    let before = spec().matching(Match::LatestBefore);
    assert_eq!(joined(before, &[50], &[51, 54]), [(Some(50), None)]);
    let nearest = || spec().matching(Match::Nearest);
    assert_eq!(joined(nearest(), &[50], &[51, 54]), [(Some(50), Some(51))]);
    assert_eq!(joined(nearest(), &[50], &[47, 53]), [(Some(50), Some(47))]);
}

/// ROS: a pair exactly at the tolerance, and two items of one time.
#[test]
fn the_bounds_are_included_and_equal_times_are_kept() {
    let spec = || spec().within(Duration::from_nanos(10));
    assert_eq!(joined(spec(), &[0], &[-11, -10, 10, 11]).len(), 2);
    assert_eq!(joined(spec().excluding(false, true), &[0], &[-10, 10]), [(Some(0), Some(-10))]);
    assert_eq!(joined(spec().excluding(true, false), &[0], &[-10, 10]), [(Some(0), Some(10))]);
    let rows = run(spec(), &at(&[5, 5]), &at(&[5, 5]), std::iter::empty());
    assert_eq!(rows.len(), 4);
    let pairs = run(spec().matching(Match::OneToOne), &at(&[5, 5]), &at(&[5, 5]), std::iter::empty());
    let numbers: Vec<_> = pairs.iter().filter_map(|row| row.both()).map(|(l, r)| (l.2, r.2)).collect();
    assert_eq!(numbers, [(1, 1), (2, 2)]);
}

/// A recording that begins again.
#[test]
fn a_clock_set_back_begins_again_or_is_an_error() {
    let left = at(&[90, 100, 0, 10]);
    let right = at(&[90, 100, 0, 10]);
    let lockstep = [true, false].into_iter().cycle().take(8);
    let with = |policy| {
        spec()
            .within(Duration::from_nanos(1))
            .event_time(EventTime::in_order().regression(Duration::from_nanos(50), policy))
    };
    let again = run(with(Regression::Reset), &left, &right, lockstep);
    assert_eq!(times(&again), [90, 100, 0, 10].map(|at| (Some(at), Some(at))), "it clears, and goes on");
    let errors = Rc::new(RefCell::new(vec![]));
    let log = errors.clone();
    Local::from_iter(left)
        .stream_error()
        .join_events(Local::from_iter(right).stream_error(), with(Regression::Error))
        .on_error_route(observer(move |error: StreamError| log.borrow_mut().push(error.to_string())))
        .subscribe(|_| {});
    let message = "`join_events`: an event at 0 ns, 100 ns older than the newest: time has gone back";
    assert_eq!(*errors.borrow(), [message]);
}

/// Kafka Streams: an item came out alone, and was matched later.
#[test]
fn an_item_is_never_alone_and_then_matched() {
    let (mut a, mut b) = (Local::subject::<Event, StreamError>(), Local::subject::<Event, StreamError>());
    let seen = Rc::new(RefCell::new(vec![]));
    let log = seen.clone();
    let spec = spec().within(Duration::from_nanos(50)).kind(Kind::Left).grace(Duration::from_nanos(100));
    a.clone()
        .join_events(b.clone(), spec)
        .on_error_route(observer(|error: StreamError| failed(error)))
        .subscribe(move |row: Row| {
            log.borrow_mut().push((row.left().map(|l| l.1), row.right().map(|r| r.1)))
        });
    a.next((0, 0, 1));
    a.next((0, 95, 2));
    b.next((0, 40, 1));
    assert_eq!(*seen.borrow(), [(Some(0), Some(40))], "95 is more than 50 from 40");
    b.next((0, 145 + 100, 2));
    assert_eq!(seen.borrow().len(), 1, "not past 95 + 50 + 100");
    b.next((0, 145 + 101, 3));
    assert_eq!(seen.borrow()[1..], [(Some(95), None)]);
}

/// Quix: the side that has nothing more to say held the other one up.
#[test]
fn a_silent_side_is_not_waited_for() {
    let time = VirtualScheduler::default();
    let on = |subject: Local<_>| -> TestLocal<_> { time.on(subject) };
    let (mut a, mut b) = (Local::subject::<Event, StreamError>(), Local::subject::<Event, StreamError>());
    let seen = Rc::new(RefCell::new(vec![]));
    let log = seen.clone();
    let spec = spec()
        .within(Duration::from_nanos(5))
        .kind(Kind::Outer)
        .event_time(EventTime::in_order().idle(Duration::from_millis(100)));
    on(a.clone())
        .join_events(on(b.clone()), spec)
        .on_error_route(observer(|error: StreamError| failed(error)))
        .subscribe(move |row: Row| {
            log.borrow_mut().push((row.left().map(|l| l.1), row.right().map(|r| r.1)))
        });
    b.next((0, 10, 1));
    a.next((0, 12, 1));
    a.next((0, 90, 2));
    time.advance_by(Duration::from_millis(99));
    assert_eq!(*seen.borrow(), [(Some(12), Some(10))]);
    time.advance_by(Duration::from_millis(1));
    assert_eq!(seen.borrow()[1..], [(Some(90), None)], "10 and 12 were matched");
    // It speaks again, too late for 90; it is matched with what comes.
    b.next((0, 91, 2));
    a.next((0, 93, 3));
    assert_eq!(seen.borrow()[2..], [(Some(93), Some(91))]);
}

/// Only one side can be silent, and the other goes on a little.
#[test]
fn what_comes_while_the_other_side_is_silent_is_closed_in_time() {
    let time = VirtualScheduler::default();
    let mut a = Local::subject::<Event, StreamError>();
    let seen = Rc::new(RefCell::new(vec![]));
    let log = seen.clone();
    let spec = spec()
        .within(Duration::from_nanos(5))
        .kind(Kind::Left)
        .right_event_time(EventTime::in_order().idle(Duration::from_millis(100)));
    time.on(a.clone())
        .join_events(time.on(Local::never().stream_error()), spec)
        .on_error_route(observer(|error: StreamError| failed(error)))
        .subscribe(move |row: Row| log.borrow_mut().push(row.left().map(|l| l.1)));
    time.advance_by(Duration::from_millis(150));
    a.next((0, 10, 1));
    a.next((0, 20, 2));
    assert_eq!(*seen.borrow(), [Some(10)], "past it by the side's own time");
    time.advance_by(Duration::from_millis(99));
    assert_eq!(seen.borrow().len(), 1);
    time.advance_by(Duration::from_millis(1));
    assert_eq!(*seen.borrow(), [Some(10), Some(20)]);
    a.next((0, 30, 3));
    time.advance_by(Duration::from_millis(100));
    assert_eq!(seen.borrow().len(), 3);
}

/// A clock that is 30 ns ahead.
#[test]
fn an_offset_is_taken_from_a_clock_and_what_remains_is_shown() {
    let spec = spec().within(Duration::from_nanos(3)).right_offset(-30);
    let counts = spec.counts();
    let seen = joined(spec, &[0, 10, 20], &[31, 41, 51]);
    assert_eq!(seen.len(), 3);
    assert_eq!((counts.matches(), counts.mean_skew()), (3, Some(1)));
}

#[test]
fn a_time_that_is_none_or_far_ahead_is_left_over_with_its_reason() {
    let left_over = Rc::new(RefCell::new(vec![]));
    let log = left_over.clone();
    let spec = EventJoin::new(|at: &Duration| *at, |at: &Duration| *at)
        .event_time(EventTime::in_order().future_bound(Duration::from_nanos(5), || 10_i64))
        .on_left_over(move |item: LeftOver<Duration, Duration>| log.borrow_mut().push((item.item, item.why)));
    let ns = Duration::from_nanos;
    let seen = Rc::new(RefCell::new(vec![]));
    let rows = seen.clone();
    Local::from_iter([ns(3), Duration::MAX, ns(16), ns(4)])
        .join_events(Local::from_iter([ns(4)]), spec)
        .subscribe(move |row| rows.borrow_mut().push(row));
    assert_eq!(*seen.borrow(), [Joined::Both(ns(4), ns(4))]);
    assert_eq!(
        *left_over.borrow(),
        [
            (Unmatched::Left(Duration::MAX), WhyLeftOver::NoTime),
            (Unmatched::Left(ns(16)), WhyLeftOver::Future),
            (Unmatched::Left(ns(3)), WhyLeftOver::Unmatched),
        ]
    );
}

#[test]
fn times_at_both_ends_do_not_overflow() {
    for how in [Match::All, Match::Nearest, Match::LatestBefore, Match::EarliestAfter, Match::OneToOne] {
        let spec = || spec().within(Duration::MAX).matching(how).kind(Kind::Outer);
        let seen = joined(spec(), &[i64::MIN, i64::MAX], &[i64::MIN, i64::MAX]);
        let both = [(Some(i64::MIN), Some(i64::MIN)), (Some(i64::MAX), Some(i64::MAX))];
        assert!(both.iter().all(|row| seen.contains(row)), "{how:?}: {seen:?}");
        assert!(seen.iter().all(|row| row.0.is_some() && row.1.is_some()), "{how:?}: {seen:?}");
    }
}

/// Only what may be matched still is kept.
#[test]
fn what_cannot_be_matched_any_more_is_given_up() {
    for how in [Match::All, Match::Nearest, Match::LatestBefore, Match::EarliestAfter, Match::OneToOne] {
        let within = if how == Match::LatestBefore { Duration::MAX } else { Duration::from_nanos(50) };
        let mut spec = EventJoin::new(|at: &i64| *at, |at: &i64| *at).within(within).matching(how);
        let buffer = Buffer::new(120);
        spec = spec.buffer(buffer.clone());
        let (mut a, mut b) = (Local::subject::<i64, StreamError>(), Local::subject::<i64, StreamError>());
        let seen = Rc::new(RefCell::new(0));
        let log = seen.clone();
        a.clone()
            .join_events(b.clone(), spec)
            .on_error_route(observer(move |error: StreamError| panic!("{how:?}: {error}")))
            .subscribe(move |_| *log.borrow_mut() += 1);
        for at in 0..10_000 {
            a.next(at);
            b.next(at);
        }
        assert!(*seen.borrow() >= 9_900, "{how:?}: {}", seen.borrow());
    }
}

#[test]
fn many_keys_are_closed_by_event_time_though_nothing_comes_for_them() {
    let spec = || spec().within(Duration::from_nanos(5)).kind(Kind::Outer);
    for how in [Match::All, Match::Nearest, Match::LatestBefore, Match::EarliestAfter, Match::OneToOne] {
        let (mut a, mut b) = (Local::subject::<Event, StreamError>(), Local::subject::<Event, StreamError>());
        let seen = Rc::new(RefCell::new(vec![]));
        let log = seen.clone();
        a.clone()
            .join_events(b.clone(), spec().matching(how))
            .on_error_route(observer(|error: StreamError| failed(error)))
            .subscribe(move |row: Row| log.borrow_mut().push(row));
        (0..200).for_each(|key| a.next((key, 10, 0)));
        (100..230).for_each(|key| b.next((key, 10, 0)));
        a.next((255, 100, 0));
        assert_eq!(seen.borrow().iter().filter(|row| row.left().is_none()).count(), 30, "{how:?}");
        b.next((254, 100, 0));
        let rows = seen.borrow();
        let alone = rows.iter().filter(|row| row.right().is_none()).count();
        assert_eq!((rows.len(), alone), (230, 100), "{how:?}");
        drop(rows);
    }
}

#[test]
fn the_oldest_is_evicted_one_for_one() {
    let evicted = Rc::new(RefCell::new(vec![]));
    let (log, mut a) = (evicted.clone(), Local::subject::<Event, StreamError>());
    let buffer = Buffer::new(2).on_overflow(Overflow::DropOldest);
    let (drops, spec) = (buffer.drops(), spec().within(Duration::from_nanos(9)).buffer(buffer));
    let spec = spec.on_left_over(move |item: LeftOver<Event, Event>| log.borrow_mut().push(item));
    a.clone()
        .join_events(Local::never().stream_error(), spec)
        .on_error_route(observer(|error: StreamError| failed(error)))
        .subscribe(|_| {});
    for (key, at) in [(1, 10), (2, 11), (1, 12), (3, 13)] {
        a.next((key, at, 0));
    }
    let of = |key, at| LeftOver { item: Unmatched::Left((key, at, 0)), why: WhyLeftOver::Evicted };
    assert_eq!(*evicted.borrow(), [of(1, 10), of(2, 11)]);
    assert_eq!(drops.get(), 2);
}

/// One that is matched and leaves needs no room, and the depth is shown.
#[test]
fn room_is_for_what_waits() {
    for overflow in [Overflow::Error, Overflow::DropNewest, Overflow::DropOldest] {
        let buffer = Buffer::new(1).on_overflow(overflow);
        let (depth, drops) = (buffer.depth(), buffer.drops());
        let spec = spec().within(Duration::from_nanos(1)).matching(Match::OneToOne).buffer(buffer);
        let (mut a, mut b) = (Local::subject::<Event, StreamError>(), Local::subject::<Event, StreamError>());
        let seen = Rc::new(RefCell::new(0));
        let log = seen.clone();
        a.clone()
            .join_events(b.clone(), spec)
            .on_error_route(observer(move |error: StreamError| panic!("{overflow:?}: {error}")))
            .subscribe(move |_| *log.borrow_mut() += 1);
        b.next((0, 5, 0));
        a.next((1, 5, 0));
        assert_eq!(depth.get(), 2, "one of each side");
        a.next((0, 5, 0));
        assert_eq!((*seen.borrow(), depth.get(), drops.get()), (1, 1, 0), "{overflow:?}");
    }
}

#[test]
fn a_full_buffer_and_one_key_too_many_are_errors() {
    let errors = Rc::new(RefCell::new(vec![]));
    for spec in [spec().buffer(Buffer::new(2)), spec().max_keys(2)] {
        let log = errors.clone();
        let left = Local::from_iter([(0, 0, 0), (1, 1, 0), (2, 2, 0)]).stream_error();
        left.join_events(Local::never().stream_error(), spec.within(Duration::from_nanos(9)))
            .on_error_route(observer(move |error: StreamError| log.borrow_mut().push(error.to_string())))
            .subscribe(|_| {});
    }
    let message = "`join_events`: buffer of 2 items is full";
    assert_eq!(*errors.borrow(), [message, message]);
}

/// A delivery is done when it can be matched no more; what waits at the end is not.
#[test]
fn deliveries_are_done_when_they_can_be_matched_no_more() {
    let acks = Acknowledger::new("left", MemoryPosition::default()).unwrap();
    let _books = balanced(&acks);
    let others = Acknowledger::new("right", MemoryPosition::default()).unwrap();
    let _others_books = balanced(&others);
    let (mut a, mut b) =
        (Local::subject::<Delivery<i64>, StreamError>(), Local::subject::<Delivery<i64>, StreamError>());
    let spec =
        EventJoin::new(|at: &Delivery<i64>| **at, |at: &Delivery<i64>| **at).within(Duration::from_nanos(5));
    let kept = Rc::new(RefCell::new(vec![]));
    let log = kept.clone();
    let subscription = a
        .clone()
        .join_events(b.clone(), spec)
        .on_error_route(observer(|error: StreamError| failed(error)))
        .subscribe(move |row| log.borrow_mut().push(row));
    let mut left = acks.deliver([0_i64, 2, 20, 40].into_iter()).map(Result::unwrap);
    let mut right = others.deliver([1_i64, 30, 44].into_iter()).map(Result::unwrap);
    for _ in 0..3 {
        a.next(left.next().unwrap());
    }
    b.next(right.next().unwrap()); // 1: with 0 and 2
    b.next(right.next().unwrap()); // 30: closes 0, 2 and 20
    assert_eq!(kept.borrow().len(), 2);
    assert_eq!(
        (acks.counts().in_flight, acks.counts().dropped),
        (2, 1),
        "two are in rows, 20 had no partner"
    );
    kept.borrow_mut().drain(..).for_each(|row: Joined<_, _>| {
        let (left, right) = row.both().unwrap();
        left.pair(right).ack();
    });
    assert_eq!((acks.counts().in_flight, acks.counts().delivered), (0, 2));
    // 1 may be matched still with what comes of the left side, until that is past 6.
    a.next(left.next().unwrap());
    assert_eq!((others.counts().in_flight, others.counts().delivered, others.counts().dropped), (0, 1, 1));
    subscription.unsubscribe();
    let (left, right) = (acks.counts(), others.counts());
    assert_eq!((left.abandoned, right.abandoned), (1, 0), "40 waited, 30 had no partner");
    left.check().unwrap();
    right.check().unwrap();
}

#[test]
fn merge_asof_by_key() {
    let trades = [(1_u8, 3_i64, 0_u32), (2, 9, 1), (1, 12, 2)];
    let quotes = [(1_u8, 1_i64, 10_u32), (2, 2, 11), (1, 12, 12)];
    let seen = Rc::new(RefCell::new(vec![]));
    let log = seen.clone();
    let spec = spec().within(Duration::from_nanos(5));
    Local::from_iter(trades).merge_asof(Local::from_iter(quotes), Match::LatestBefore, spec).subscribe(
        move |row: Row| log.borrow_mut().push((row.left().map(|l| l.2), row.right().map(|r| r.2))),
    );
    let mut seen = seen.take();
    seen.sort_unstable();
    assert_eq!(seen, [(Some(0), Some(10)), (Some(1), None), (Some(2), Some(12))]);
}
