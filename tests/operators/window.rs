use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rxevents::{
    assert_subscriptions,
    prelude::*,
    testing::{Cold, Signal, record},
};

use super::flavour::{Kind, OnTime, Scheduler};
use crate::common::{Log, lock, ms, watchdog};

fn text(window: &[char]) -> char {
    char::from_digit(window.iter().filter_map(|c| c.to_digit(10)).sum(), 36).unwrap_or('?')
}

marbles! {
    buffer_count_skip_overlaps: |s| s.cold("12345|").buffer_count_skip(3, 2).map(|w| text(&w)), "--6-c(5|)";
    buffer_count_skip_sends_all_open_ones: |s| s.cold("12345|").buffer_count_skip(3, 1).map(|w| text(&w)), "--69c(95|)";
    buffer_count_skip_leaves_gaps: |s| s.cold("12345|").buffer_count_skip(2, 3).map(|w| text(&w)), "-3--9|";
    buffer_count_skip_ends_in_a_gap: |s| s.cold("123|").buffer_count_skip(2, 3).map(|w| text(&w)), "-3-|";
    buffer_count_skip_nothing: |s| s.cold("--|").buffer_count_skip(3, 1).map(|w| text(&w)), "--|";
    buffer_count_skip_an_error: |s| s.cold("123#").buffer_count_skip(2, 1).map(|w| text(&w)), "-35#";
    buffer_count_skip_of_none: |s| s.cold("12|").buffer_count_skip(0, 0).map(|w| text(&w)), "12|";
    buffer_count_skip_below_take: |s| s.cold("123|").buffer_count_skip(3, 1).map(|w| text(&w)).take(2), "--6(5|)";

    chunks: |s| s.cold("12345|").chunks(2, text), "-3-7-(5|)";
    chunks_without_a_rest: |s| s.cold("12-|").chunks(2, text), "-3-|";
    chunks_an_error: |s| s.cold("123#").chunks(2, text), "-3-#";
    chunks_of_none: |s| s.cold("12|").chunks(0, text), "12|";
    chunks_of_all: |s| s.cold("12|").chunks(usize::MAX, text), "--(3|)";

    sliding: |s| s.cold("12345|").sliding(3, 1, text), "--69c|";
    sliding_by_two: |s| s.cold("123456|").sliding(3, 2, text), "--6-c-|";
    sliding_leaves_gaps: |s| s.cold("12345|").sliding(1, 3, text), "1--4-|";
    sliding_of_too_few: |s| s.cold("12|").sliding(3, 1, text), "--|";
    sliding_an_error: |s| s.cold("12#").sliding(2, 1, text), "-3#";
    sliding_of_none: |s| s.cold("12|").sliding(0, 0, text), "12|";
    sliding_of_all: |s| s.cold("12|").sliding(usize::MAX, 1, text), "--|";

    moving_average: |s| s.cold("135|").map(|c| f64::from(c.to_digit(10).unwrap_or(0))).moving_average(2)
        .map(|mean| text(&[char::from_digit(mean as u32, 10).unwrap_or('?')])), "-24|";
    moving_average_by: |s| s.cold("135#").moving_average_by(3, |c| f64::from(c.to_digit(10).unwrap_or(0)))
        .map(|mean| if mean == 3.0 { '3' } else { '?' }), "--3#";
}

/// Against `slice::windows`, and the partitions of ReactiveX by their definition.
#[test]
fn windows_are_those_of_the_slice() {
    let items: Vec<i64> = (0..40).collect();
    for (count, step) in (1..8).flat_map(|count| (1..10).map(move |step| (count, step))) {
        let (slid, partitions) = (Log::<_, Infallible>::default(), Log::<_, Infallible>::default());
        Kind::from_iter(items.clone())
            .sliding(count, step, <[i64]>::to_vec)
            .subscribe_with(slid.sink(|_| {}));
        let expected: Vec<_> = items.windows(count).step_by(step).map(<[i64]>::to_vec).collect();
        assert_eq!(slid.items(), expected, "{count} {step}");

        Kind::from_iter(items.clone()).buffer_count_skip(count, step).subscribe_with(partitions.sink(|_| {}));
        let of = |start: usize| items[start..items.len().min(start + count)].to_vec();
        let expected: Vec<_> = (0..items.len()).step_by(step).map(of).collect();
        assert_eq!(partitions.items(), expected, "{count} {step}");
    }
}

#[test]
fn outliers_are_above_the_ratio() {
    let log = Log::<_, Infallible>::default();
    let partitions = [
        vec![2.0, 2.0, 2.0],
        vec![1.0, 1.0, 4.0],
        vec![1.0, 3.0],
        vec![],
        vec![f64::NAN, 9.0],
        vec![1.0, f64::INFINITY],
    ];
    Kind::from_iter(partitions.clone()).flag_outliers(1.5).subscribe_with(log.sink(|_| {}));
    let flagged: Vec<_> = log.items().iter().map(|judged| judged.flagged).collect();
    // 3 is not above 1.5 times 2.
    assert_eq!(flagged, [false, true, false, false, false, false]);
    let by = Log::<_, Infallible>::default();
    Kind::from_iter(partitions).flag_outliers_by(1.5, |v| *v).subscribe_with(by.sink(|_| {}));
    assert_eq!(format!("{:?}", by.items()), format!("{:?}", log.items()));
}

/// What a closure gives: a source that ends after so many milliseconds.
fn after(s: &Scheduler, n: u64) -> impl Fn() -> OnTime<Cold> + use<> {
    let s = s.clone();
    move || s.cold(&format!("{n}ms |"))
}

marbles! {
    buffer_time: |s| s.cold("-1-2-----3---|").buffer_time(ms(4)).map(|w| text(&w)), "----3---0---3(0|)";
    buffer_time_an_item_at_the_end_is_of_the_next: |s| s.cold("1---2-|").buffer_time(ms(4)).map(|w| text(&w)),
        "----1-(2|)";
    buffer_time_an_error: |s| s.cold("-1--2#").buffer_time(ms(4)).map(|w| text(&w)), "----1#";
    buffer_time_an_error_at_once: |s| s.cold("#").buffer_time(ms(4)).map(|w| text(&w)), "#";
    buffer_time_nothing: |s| s.cold("|").buffer_time(ms(4)).map(|w| text(&w)), "(0|)";
    buffer_time_never: |s| s.cold("-1").buffer_time(ms(4)).map(|w| text(&w)).take(2), "----1---(0|)";
    buffer_time_for_ever: |s| s.cold("12-|").buffer_time(Duration::MAX).map(|w| text(&w)), "---(3|)";
    buffer_time_at_once: |s| s.cold("(123|)").buffer_time(ms(4)).map(|w| text(&w)), "(6|)";
    buffer_time_unsubscribed: |s| s.cold("-1-2").buffer_time(ms(10)).map(|w| text(&w)).take_until(s.cold("---x")),
        "---|";
    buffer_time_max_of_one: |s| s.cold("-12-|").buffer_time_max(ms(4), 1, WhenFull::Restart).map(|w| text(&w)), "-12-|";
    buffer_time_max_fixed_is_never_without: |s| s.cold("-12----|")
        .buffer_time_max(ms(4), 2, WhenFull::Fixed).map(|w| text(&w)), "--3-0--(0|)";
    buffer_time_max_of_none: |s| s.cold("12|").buffer_time_max(ms(4), 0, WhenFull::Restart).map(|w| text(&w)), "12|";
    buffer_time_shift: |s| s.cold("1-2---3----|").buffer_time_shift(ms(6), ms(4)).map(|w| text(&w)), "------3---3(0|)";
    buffer_time_shift_leaves_gaps: |s| s.cold("1234567|").buffer_time_shift(ms(2), ms(4)).map(|w| text(&w)), "--3---b|";
    buffer_time_shift_of_none: |s| s.cold("12345|").buffer_time_shift(ms(2), ms(0)).map(|w| text(&w)), "--3-7(5|)";
    buffer_time_shift_an_error: |s| s.cold("12#").buffer_time_shift(ms(6), ms(1)).map(|w| text(&w)), "--#";
    buffer_time_shift_below_take: |s| s.cold("1-2-3-4").buffer_time_shift(ms(3), ms(1)).map(|w| text(&w)).take(2),
        "---3(2|)";

    buffer_with: |s| s.cold("-1-2---3-4--|").buffer_with(s.cold("-----x-x")).map(|w| text(&w)), "-----3-3----(4|)";
    buffer_with_a_notifier_that_ends: |s| s.cold("-1-2---3|").buffer_with(s.cold("--(x|)")).map(|w| text(&w)),
        "--1-----(5|)";
    buffer_with_a_failing_notifier: |s| s.cold("-1-2---3|").buffer_with(s.cold("--x#")).map(|w| text(&w)), "--1#";
    buffer_with_an_error: |s| s.cold("-1-2#").buffer_with(s.cold("--x")).map(|w| text(&w)), "--1-#";
    buffer_with_nothing: |s| s.cold("|").buffer_with(s.cold("--x")).map(|w| text(&w)), "(0|)";
    buffer_with_below_take: |s| s.cold("-1-2").buffer_with(s.cold("--x--x")).map(|w| text(&w)).take(1), "--(1|)";
    buffer_with_an_endless_source: |s| s.on(Kind::from_iter(0..)).map(|_| '1').stream_error()
        .buffer_with(s.on(Kind::from_iter([1, 2])).stream_error()).map(|w| text(&w)).take(2), "(00|)";

    buffer_toggle: |s| s.cold("-1-2-3-4-5-6-|").buffer_toggle(s.cold("--x---y"), {
        let five = after(s, 5);
        move |_| five()
    }).map(|w| text(&w)), "-------5---9-|";
    buffer_toggle_closed_by_an_item: |s| s.cold("1234567|").buffer_toggle(s.cold("-x"), {
        let s = s.clone();
        move |_| s.cold("--a-b-c")
    }).map(|w| text(&w)), "---5---|";
    buffer_toggle_sends_all_open_ones: |s| s.cold("1234|").buffer_toggle(s.cold("x-y|"), {
        let s = s.clone();
        move |_| s.cold("-")
    }).map(|w| text(&w)), "----(a7|)";
    buffer_toggle_never_open: |s| s.cold("12|").stream_error()
        .buffer_toggle(s.cold("--|").stream_error(), |x: char| Kind::of(x).stream_error())
        .map(|w| text(&w)), "--|";
    buffer_toggle_closed_at_once: |s| s.cold("12|").stream_error().buffer_toggle(
        s.cold("x-").stream_error(), |x: char| Kind::of(x).stream_error()).map(|w| text(&w)), "0-|";
    buffer_toggle_a_failing_closing: |s| s.cold("1234|").buffer_toggle(s.cold("x"), {
        let s = s.clone();
        move |_| s.cold("--#")
    }).map(|w| text(&w)), "--#";
    buffer_toggle_failing_openings: |s| s.cold("1234|").buffer_toggle(s.cold("-#"), {
        let s = s.clone();
        move |_: char| s.cold("-")
    }).map(|w| text(&w)), "-#";

    buffer_when: |s| s.cold("-1-2-3-4-5-|").buffer_when(after(s, 4)).map(|w| text(&w)), "----3---7--(5|)";
    buffer_when_an_error: |s| s.cold("-1-2-3#").buffer_when(after(s, 4)).map(|w| text(&w)), "----3-#";
    buffer_when_below_take: |s| s.cold("-1-2-3").buffer_when(after(s, 2)).map(|w| text(&w)).take(2), "--1-(2|)";
    buffer_when_a_failing_closing: |s| s.cold("-1-2-3").buffer_when({
        let s = s.clone();
        move || s.cold("--#")
    }).map(|w| text(&w)), "--#";
    buffer_when_closed_at_once: |s| s.cold("-1-2|").stream_error()
        .buffer_when(|| Kind::of(()).stream_error()).map(|w| text(&w)), "01-2|";

    window_count: |s| s.cold("12345|").window_count(2).flat_map(|w| w.to_vec()).map(|w| text(&w)), "-3-7-(5|)";
    window_count_opens_with_an_item: |s| s.cold("--12-3-4|").window_count(2).map(|_| 'w'), "--w--w--|";
    window_count_passes_on_at_once: |s| s.cold("1-2-3|").window_count(2).flat_map(|w| w), "1-2-3|";
    window_count_nothing: |s| s.cold("-|").window_count(2).flat_map(|w| w), "-|";
    window_count_an_error: |s| s.cold("123#").window_count(2).flat_map(|w| w), "123#";
    window_count_skip: |s| s.cold("12345|").window_count_skip(3, 2).flat_map(|w| w.to_vec()).map(|w| text(&w)),
        "--6-c(5|)";
    window_count_skip_leaves_gaps: |s| s.cold("12345|").window_count_skip(1, 3).flat_map(|w| w), "1--4-|";
    window_count_goes_on_without_the_outer: |s| s.cold("1-2-3-4-5").window_count(3).take(1).flat_map(|w| w), "1-2-(3|)";
    window_count_below_take: |s| s.cold("1-2-3-4").window_count(3).flat_map(|w| w).take(2), "1-(2|)";
    window_count_one_item_of_each: |s| s.cold("123456|").window_count(3).flat_map(|w| w.take(1)), "1--4--|";

    window_time: |s| s.cold("-1-2-----3---|").window_time(ms(4)).flat_map(|w| w.to_vec()).map(|w| text(&w)),
        "----3---0---3(0|)";
    window_time_opens: |s| s.cold("-1-2-----3---|").window_time(ms(4)).map(|_| 'w'), "w---w---w---w|";
    window_time_max: |s| s.cold("-123----4-|").window_time_max(ms(4), 2, WhenFull::Restart)
        .flat_map(|w| w.to_vec()).map(|w| text(&w)), "--3----3--(4|)";
    window_time_goes_on_without_the_outer: |s| s.cold("1-2-3-4-5").window_time(ms(3)).take(1).flat_map(|w| w), "1-2|";
    window_time_shift: |s| s.cold("1-2---3----|").window_time_shift(ms(6), ms(4))
        .flat_map(|w| w.to_vec()).map(|w| text(&w)), "------3---3(0|)";
    window_with: |s| s.cold("-1-2---3-4--|").window_with(s.cold("-----x-x"))
        .flat_map(|w| w.to_vec()).map(|w| text(&w)), "-----3-3----(4|)";
    window_with_opens: |s| s.cold("-1-2---3-4--|").window_with(s.cold("-----x-x")).map(|_| 'w'), "w----w-w----|";
    window_with_a_failing_notifier: |s| s.cold("-1--2--3|").window_with(s.cold("--x#")).flat_map(|w| w), "-1-#";
    window_toggle: |s| s.cold("-1-2-3-4-5-6-|").window_toggle(s.cold("--x---y"), {
        let five = after(s, 5);
        move |_| five()
    }).flat_map(|w| w.to_vec()).map(|w| text(&w)), "-------5---9-|";
    window_when: |s| s.cold("-1-2-3-4-5-|").window_when(after(s, 4)).flat_map(|w| w.to_vec()).map(|w| text(&w)),
        "----3---7--(5|)";
    window_when_goes_on_without_the_outer: |s| s.cold("-1-2-3-4-5").window_when(after(s, 4)).take(1).flat_map(|w| w),
        "-1-2|";
}

/// RxJava #5352, #3066.
#[test]
fn a_full_partition_restarts_the_time_or_not() {
    for (when_full, end) in [(WhenFull::Restart, 185), (WhenFull::Fixed, 100)] {
        let s = Scheduler::new();
        let seen = record(s.cold("80ms (ab) 1ms c").buffer_time_max(ms(100), 2, when_full).take(2));
        s.advance_by(ms(300));
        let items = [vec!['a', 'b'], vec!['c']].map(Signal::Next);
        let [first, second] = items;
        seen.assert_eq(&[(80, first), (end, second), (end, Signal::Complete)]);
        s.assert_no_leaks();
    }
}

/// RxJS #4084, reactor-core #969.
#[test]
fn no_more_overlap_than_must() {
    let s = Scheduler::new();
    let mut items = Kind::subject::<u64, StreamError>();
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (opened, closed, max) = (open.clone(), open.clone(), most.clone());
    let seen = Log::<usize, StreamError>::default();
    s.on(items.clone())
        .window_time_shift(ms(30), ms(20))
        .flat_map(move |window| {
            let now = opened.fetch_add(1, Ordering::Relaxed) + 1;
            max.fetch_max(now, Ordering::Relaxed);
            let closed = closed.clone();
            window.count().tap(move |_| {
                let _open = closed.fetch_sub(1, Ordering::Relaxed);
            })
        })
        .map(|count| count as usize)
        .subscribe_with(seen.sink(|_| {}));
    for n in 0..100_000 {
        (0..10).for_each(|i| items.next(10 * n + i));
        s.advance_by(ms(1));
    }
    assert_eq!(most.load(Ordering::Relaxed), 2);
    assert!(
        seen.items().len() == 4_999 && seen.items().iter().all(|count| *count == 300),
        "{:?}",
        seen.items()
    );
    items.complete();
    s.assert_no_leaks();
}

/// A subscriber that takes long.
#[test]
fn missed_ends_are_one() {
    let s = Scheduler::new();
    let (mut plain, mut shifted) = (
        record(s.cold("a 50ms b").buffer_time(ms(10))),
        record(s.cold("a 50ms b").buffer_time_shift(ms(10), ms(5))),
    );
    s.run_ready();
    s.stall(ms(45));
    s.advance_by(ms(15)); // 60 ms
    let partitions = plain.items();
    assert!(partitions.len() == 3 && partitions[0] == ['a'] && partitions[1].is_empty(), "{partitions:?}");
    assert!(shifted.items().len() < 7, "{:?}", shifted.items());
    plain.unsubscribe();
    shifted.unsubscribe();
    s.assert_no_leaks();
}

#[test]
fn windows_that_wait_lose_nothing() {
    let log = Log::<_, Infallible>::default();
    let windows = Kind::from_iter(0..1000).window_count_skip(3, 1);
    let one_by_one = windows.flat_map_with(1, Buffer::default(), |window| window.to_vec());
    one_by_one.subscribe_with(log.sink(|_| {}));
    let items: Vec<i32> = (0..1000).collect();
    let expected: Vec<_> = (0..1000).map(|start| items[start..items.len().min(start + 3)].to_vec()).collect();
    assert_eq!(log.items(), expected);
}

/// Kept windows, to be subscribed late.
macro_rules! kept {
    ($windows:expr) => {{
        let kept = Arc::new(Mutex::new(vec![]));
        let store = kept.clone();
        let sub =
            $windows.on_error_route(observer(|_| {})).subscribe(move |window| lock(&store).push(window));
        (kept, sub)
    }};
}

#[test]
fn what_comes_before_the_subscription_waits() {
    let buffer = Buffer::new(2).on_overflow(Overflow::DropOldest);
    let drops = buffer.drops();
    let mut items = Kind::subject::<i32, StreamError>();
    let (kept, _sub) = kept!(items.clone().window_count(4).bounded(buffer));
    (1..=3).for_each(|v| items.next(v)); // 1 is dropped
    let log = Log::<i32, StreamError>::default();
    let window = lock(&kept).remove(0);
    window.subscribe_with(log.sink(|_| {}));
    assert_eq!(log.text(), "2 3");
    (4..=6).for_each(|v| items.next(v));
    assert_eq!((log.text(), drops.get()), ("2 3 4 |".to_owned(), 1));
    // Dropped, it holds nothing, and what would come is counted.
    lock(&kept).clear();
    items.next(7);
    assert_eq!(drops.get(), 4);
}

#[test]
fn a_window_that_has_ended_waits_for_its_subscriber() {
    let mut items = Kind::subject::<i32, StreamError>();
    let (kept, _sub) = kept!(items.clone().window_count(2));
    (1..=3).for_each(|v| items.next(v));
    items.error(StreamError::NoItem("test"));
    let texts: Vec<_> = std::mem::take(&mut *lock(&kept))
        .into_iter()
        .map(|window| {
            let log = Log::<i32, StreamError>::default();
            window.subscribe_with(log.sink(|_| {}));
            log.text()
        })
        .collect();
    assert_eq!(texts, ["1 2 |", "3 #NoItem(\"test\")"]);
}

#[test]
fn a_full_window_that_waits_fails_the_stream() {
    let mut items = Kind::subject::<i32, StreamError>();
    let log = Log::<i32, StreamError>::default();
    let windows = items.clone().window_count(3).bounded(Buffer::new(2));
    windows
        .flat_map_with(1, Buffer::default(), |window| window.merge(Kind::never().stream_error()))
        .subscribe_with(log.sink(|_| {}));
    (1..=6).for_each(|v| items.next(v));
    assert_eq!(log.text(), "1 2 3 #Overflow(OverflowError { operator: \"window\", capacity: 2 })");
    assert!(items.inner().is_closed() || log.ends() == 1);
}

#[test]
fn open_windows_keep_the_source_and_no_longer() {
    let s = Scheduler::new();
    let (source, subscriptions) = s.watch(s.cold("1-2-3-4-5-6"));
    let (kept, sub) = kept!(source.window_count(4));
    s.advance_by(ms(1));
    sub.unsubscribe();
    let mut window = record(lock(&kept).remove(0));
    s.advance_by(ms(2));
    assert_subscriptions!(subscriptions, "^");
    window.unsubscribe();
    s.assert_no_leaks();
    assert_subscriptions!(subscriptions, "^--!");
}

#[test]
fn a_panic_in_a_window_ends_that_window() {
    let mut items = Kind::subject::<i32, StreamError>();
    let (bad, good) = (Log::<i32, StreamError>::default(), Log::<i32, StreamError>::default());
    let (kept, _sub) = kept!(items.clone().window_count_skip(4, 1));
    (1..=2).for_each(|v| items.next(v));
    let mut windows = std::mem::take(&mut *lock(&kept)).into_iter();
    let [first, second] = [windows.next(), windows.next()].map(Option::unwrap);
    first.map(|v| if v == 3 { panic!("three") } else { v }).subscribe_with(bad.sink(|_| {}));
    second.subscribe_with(good.sink(|_| {}));
    (3..=6).for_each(|v| items.next(v));
    assert!(bad.text().starts_with("1 2 #Panic(") && bad.text().contains("three"), "{}", bad.text());
    assert_eq!(good.text(), "2 3 4 5 |");
}

#[test]
fn a_panic_in_a_closing_is_the_streams() {
    let buffers = Log::<Vec<u32>, StreamError>::default();
    let windows = Log::<u32, StreamError>::default();
    let closing = || {
        assert!(std::hint::black_box(false), "no closing");
        Kind::never::<()>().stream_error()
    };
    let s = Scheduler::new();
    s.cold("12|").stream_error().buffer_when(closing).map(|_| vec![0]).subscribe_with(buffers.sink(|_| {}));
    let flat = s.cold("12|").stream_error().window_when(closing).flat_map(|w| w);
    flat.map(|_| 0).subscribe_with(windows.sink(|_| {}));
    let opening = Log::<u32, StreamError>::default();
    let opened = s.cold("12|").stream_error().window_time(ms(5)).map(|_| panic!("no window"));
    opened.subscribe_with(opening.sink(|_| {}));
    s.advance_by(ms(10));
    assert!(opening.text().starts_with("#Panic") && opening.ends() == 1, "{}", opening.text());
    for (text, of) in [(buffers.text(), "buffer_when"), (windows.text(), "window_when")] {
        assert!(
            text.starts_with("#Panic")
                && text.contains(&format!("operator: \"{of}\", message: \"no closing\"")),
            "{text}"
        );
    }
    s.assert_no_leaks();
}

#[test]
fn windows_are_fed_by_their_subscribers() {
    watchdog(|| {
        let items = Kind::subject::<u32, Infallible>();
        let (mut back, log) = (items.clone(), Log::<_, Infallible>::default());
        let flat = items.clone().window_count(2).flat_map(|window| window);
        flat.subscribe_with(log.sink(move |v| {
            if *v < 3 {
                back.next(v + 1);
            }
        }));
        items.clone().next(0);
        assert_eq!(log.items(), [0, 1, 2, 3]);
    });
}

/// What is dropped by an error or a full buffer is counted.
#[test]
fn every_item_of_a_buffer_is_accounted_for() {
    for overflow in [Overflow::DropOldest, Overflow::DropNewest] {
        let s = Scheduler::new();
        let buffer = Buffer::new(2).on_overflow(overflow);
        let drops = buffer.drops();
        let seen = record(s.cold("(abcd)e#").buffer_time(ms(3)).bounded(buffer));
        s.advance_by(ms(20));
        let sent: usize = seen.items().iter().map(Vec::len).sum();
        assert_eq!((sent as u64 + drops.get(), sent), (5, 2), "{overflow:?}");
        s.assert_no_leaks();
    }
    let s = Scheduler::new();
    let full = record(s.cold("abc").stream_error().buffer_time(ms(30)).bounded(Buffer::new(2)));
    s.advance_by(ms(20));
    let [(_, Signal::Error(StreamError::Overflow(error)))] = &full.signals()[..] else {
        panic!("{:?}", full.signals())
    };
    assert_eq!(error.to_string(), "`buffer`: buffer of 2 items is full");
    s.assert_no_leaks();
}

/// What a window's subscriber feeds back while it is busy, and then ends, is counted.
#[test]
fn what_waits_at_the_gate_of_a_window_is_counted() {
    for (limit, before) in [(1, 1), (1, 3), (2, 1), (3, 2), (5, 5), (9, 5)] {
        let subject = Kind::subject::<u64, Infallible>();
        let buffer = Buffer::new(100);
        let (drops, windows) = (buffer.drops(), Arc::new(Mutex::new(vec![])));
        let keep = windows.clone();
        subject.clone().window_count(100).bounded(buffer).subscribe(move |window| lock(&keep).push(window));
        (0..before).for_each(|v| subject.clone().next(v));
        let heard = Arc::new(Mutex::new(vec![]));
        let (log, back) = (heard.clone(), subject.clone());
        let window = lock(&windows).remove(0);
        window.take(limit).subscribe(move |v| {
            lock(&log).push(v);
            if v < 100 {
                back.clone().next(v + 100);
                back.clone().next(v + 200);
            }
        });
        subject.clone().next(300);
        let fed = before + 1 + 2 * lock(&heard).iter().filter(|v| **v < 100).count() as u64;
        assert_eq!(lock(&heard).len() as u64 + drops.get(), fed, "take({limit}) of {before}");
    }
}
