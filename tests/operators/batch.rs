use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use proptest::prelude::*;
use rxevents::prelude::*;

use super::flavour::{Kind, Relay, Scheduler};
use crate::common::{Log, lock, ms};

type Numbers = Log<i64, Infallible>;

fn subject() -> Relay<i64, Infallible> {
    Kind::subject()
}

#[test]
fn an_iterator_in_batches_is_the_same_stream() {
    for n in [0, 1, 255, 256, 257, 1000] {
        let log = Numbers::default();
        Kind::from_iter(0..n).batched().map(|v| v + 1).subscribe_with(log.sink(|_| {}));
        assert_eq!(log.items(), (1..=n).collect::<Vec<_>>(), "{n}");
        assert_eq!(log.ends(), 1);
    }
}

#[test]
fn each_takes_batches_apart() {
    let log = Numbers::default();
    Kind::from_iter(0..600).batched().each().skip(2).subscribe_with(log.sink(|_| {}));
    assert_eq!(log.items(), (2..600).collect::<Vec<_>>());
}

#[test]
fn gates_take_batches() {
    let (log, mut a, mut b) = (Numbers::default(), subject(), subject());
    a.clone().batched().merge(b.clone().batched()).subscribe_with(log.sink(|_| {}));
    a.inner_mut().next_batch([1, 2]);
    b.inner_mut().next_batch([3, 4, 5]);
    a.next(6);
    a.complete();
    b.inner_mut().next_batch([7]);
    b.complete();
    assert_eq!(log.text(), "1 2 3 4 5 6 7 |");

    let (log, mut a, mut b) = (Log::<_, Infallible>::default(), subject(), subject());
    a.clone().batched().zip(b.clone().batched()).subscribe_with(log.sink(|_| {}));
    a.inner_mut().next_batch(1..4);
    b.inner_mut().next_batch(11..15);
    a.next(4);
    a.complete();
    assert_eq!(log.text(), "(1, 11) (2, 12) (3, 13) (4, 14) |");
}

#[test]
fn a_subject_gives_the_whole_batch_to_each_in_turn() {
    let (log, mut source) = (Numbers::default(), subject());
    source.clone().subscribe_with(log.sink(|_| {}));
    source.clone().batched().map(|v| 10 * v).subscribe_with(log.sink(|_| {}));
    source.clone().subscribe_with(log.sink(|_| {}));
    source.inner_mut().next_batch([1, 2]);
    source.inner_mut().next_batch([]);
    source.complete();
    assert_eq!(log.text(), "1 2 10 20 1 2 | | |");
}

#[test]
fn what_is_fed_back_comes_after_the_batch() {
    let (log, mut source) = (Numbers::default(), subject());
    let mut back = source.clone();
    source.clone().batched().subscribe_with(log.sink(move |v| {
        if *v < 10 {
            back.next(v + 10);
        }
    }));
    source.inner_mut().next_batch([1, 2]);
    assert_eq!(log.text(), "1 2 11 12");

    // To the gate, from above it and from below it.
    let (log, source) = (Numbers::default(), subject());
    let (mut above, mut below) = (source.clone(), source.clone());
    let feeding = Kind::from_iter(1..=3).batched().tap(move |v| above.next(100 + v));
    source.merge(feeding).subscribe_with(log.sink(move |v| {
        if *v < 10 {
            below.next(v + 10);
        }
    }));
    assert_eq!(log.text(), "101 102 103 1 11 2 12 3 13");
}

#[test]
fn nothing_comes_after_an_unsubscription_within_a_batch() {
    let (log, mut source) = (Numbers::default(), subject());
    let subscription = Arc::new(std::sync::Mutex::new(None));
    let held = subscription.clone();
    let stop = move |v: &i64| {
        if *v == 2 {
            let own: Option<super::flavour::Sub> = lock(&held).take();
            own.expect("a subscription").unsubscribe();
        }
    };
    let sub = source.clone().batched().map(|v| v).subscribe_with(log.sink(stop));
    *lock(&subscription) = Some(rxevents::rx::subscription::IntoBoxedSubscription::into_boxed(sub));
    source.inner_mut().next_batch([1, 2, 3]);
    assert_eq!(log.text(), "1 2");
}

#[test]
fn no_more_than_a_batch_is_taken_once_nobody_listens() {
    for take_above in [true, false] {
        let (log, made) = (Numbers::default(), Arc::new(AtomicUsize::new(0)));
        let counter = made.clone();
        let numbers = Kind::from_iter(0..).batched().tap(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let silent = subject();
        if take_above {
            numbers.take(3).merge(silent.clone()).subscribe_with(log.sink(|_| {}));
            silent.complete();
        } else {
            numbers.merge(silent).take(3).subscribe_with(log.sink(|_| {}));
        }
        assert_eq!(log.text(), "0 1 2 |");
        assert_eq!(made.load(Ordering::Relaxed), if take_above { 3 } else { 256 });
    }
}

#[test]
fn what_came_before_a_panic_is_delivered() {
    let log = Log::<_, StreamError>::default();
    Kind::from_iter(0..10)
        .batched()
        .stream_error()
        .map(|v| if v == 3 { panic!("three") } else { v })
        .merge(subject().stream_error())
        .subscribe_with(log.sink(|_| {}));
    assert_eq!(log.items(), [0, 1, 2]);
    assert!(log.text().contains("three"), "{}", log.text());
}

#[test]
fn a_subscriber_that_panics_in_a_batch_ends_alone() {
    let (bad, good, mut source) =
        (Log::<i64, StreamError>::default(), Log::<i64, StreamError>::default(), Kind::subject());
    source.clone().batched().map(|v| if v == 2 { panic!("two") } else { v }).subscribe_with(bad.sink(|_| {}));
    source.clone().batched().subscribe_with(good.sink(|_| {}));
    source.inner_mut().next_batch([1, 2, 3]);
    source.next(4);
    assert_eq!((bad.items(), bad.ends()), (vec![1], 1));
    assert_eq!(good.items(), [1, 2, 3, 4]);
}

#[test]
fn the_items_of_a_batch_share_their_moment() {
    let scheduler = Scheduler::new();
    let (seen, dropped) = (Numbers::default(), Numbers::default());
    let (mut source, mut sink) = (subject(), dropped.sink(|_| {}));
    let items = scheduler.on(source.clone().batched());
    items.throttle_first_on_dropped(ms(10), move |v| sink.next(v)).subscribe_with(seen.sink(|_| {}));
    source.inner_mut().next_batch([1, 2, 3]);
    scheduler.advance_by(ms(9));
    source.next(4);
    scheduler.advance_by(ms(1));
    source.inner_mut().next_batch([5, 6]);
    assert_eq!((seen.items(), dropped.items()), (vec![1, 5], vec![2, 3, 4, 6]));
}

/// A batch is no more than its items.
fn same(batches: &[Vec<i64>]) {
    let run = |together: bool| {
        let (log, mut a, mut b) = (Log::<_, Infallible>::default(), subject(), subject());
        let left = a.clone().batched().filter(|v| v % 3 != 0).scan(0, |sum, v| sum + v);
        let right = b.clone().batched().map(|v| -v).take(20);
        left.merge(right).buffer_count(2).subscribe_with(log.sink(|_| {}));
        for (n, batch) in batches.iter().enumerate() {
            let source = if n % 2 == 0 { &mut a } else { &mut b };
            if together {
                source.inner_mut().next_batch(batch.clone());
            } else {
                batch.iter().for_each(|v| source.next(*v));
            }
        }
        a.complete();
        b.complete();
        log.text()
    };
    assert_eq!(run(true), run(false));
}

proptest! {
    #[test]
    fn batches_are_their_items(batches in prop::collection::vec(prop::collection::vec(-9..9_i64, 0..9), 0..9)) {
        same(&batches);
    }
}
