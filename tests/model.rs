//! Operators of several threads in all orders that the model checker `shuttle` thinks of:
//! `RUSTFLAGS="--cfg shuttle" cargo test --test model`. Without that flag there is nothing here.
#![cfg(shuttle)]

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use rxevents::prelude::*;
use shuttle::thread;

type Events<T> = Shared<Subject<T, Infallible, rxevents::rx::context::SharedScope>>;

/// What the subscriber saw; `None` is the end.
#[derive(Clone, Default)]
struct Seen<T>(Arc<Mutex<Vec<Option<T>>>>);

impl<T: Clone> Seen<T> {
    fn push(&self, what: Option<T>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    fn all(&self) -> Vec<Option<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The items in their order, if what came is as the grammar says and has ended.
    fn ended(&self) -> Vec<T> {
        let mut all = self.all();
        assert!(matches!(all.pop(), Some(None)), "no end");
        all.into_iter().map(|item| item.expect("nothing after the end")).collect()
    }
}

/// Half of the orders at random, half by preempting at few places.
fn in_many_orders(test: impl Fn() + Send + Sync + Clone + 'static) {
    let cases = std::env::var("SHUTTLE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2_000);
    shuttle::check_random(test.clone(), cases);
    shuttle::check_pct(test, cases, 3);
}

fn produce(
    mut subject: Events<u32>,
    items: impl IntoIterator<Item = u32> + Send + 'static,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        items.into_iter().for_each(|item| subject.next(item));
        subject.complete();
    })
}

macro_rules! listen {
    ($events:expr) => {{
        let seen = Seen::default();
        let (items, end) = (seen.clone(), seen.clone());
        $events.on_complete(move || end.push(None)).subscribe(move |item| items.push(Some(item)));
        seen
    }};
}

fn join(threads: impl IntoIterator<Item = thread::JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn merge_loses_nothing_and_ends_once() {
    in_many_orders(|| {
        let (left, right) = (Shared::subject(), Shared::subject());
        let seen = listen!(left.clone().merge(right.clone()));
        join([produce(left, 0..3), produce(right, 10..13)]);
        let items = seen.ended();
        let (left, right): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| *item < 10);
        assert_eq!((left, right), (vec![0, 1, 2], vec![10, 11, 12]));
    });
}

#[test]
fn zip_pairs_the_nth_with_the_nth() {
    in_many_orders(|| {
        let (left, right) = (Shared::subject(), Shared::subject());
        let seen = listen!(left.clone().zip(right.clone()));
        join([produce(left, 0..3), produce(right, 10..12)]);
        assert_eq!(seen.ended(), [(0, 10), (1, 11)]);
    });
}

/// As the last of both came.
#[test]
fn combine_latest_ends_with_the_latest_of_both() {
    in_many_orders(|| {
        let (left, right) = (Shared::subject(), Shared::subject());
        let seen = listen!(left.clone().combine_latest(right.clone(), |a, b| (a, b)));
        join([produce(left, 0..2), produce(right, 10..12)]);
        let items = seen.ended();
        assert_eq!(items.last(), Some(&(1, 11)));
        assert!(items.is_sorted(), "{items:?}");
    });
}

/// Two threads send into one subject.
#[test]
fn take_one_of_two_threads_is_one_item_and_one_end() {
    in_many_orders(|| {
        let subject = Shared::subject();
        let seen = listen!(subject.clone().take(1));
        join([produce(subject.clone(), [1]), produce(subject, [2])]);
        assert_eq!(seen.ended().len(), 1);
    });
}

/// What is fed back while an item is delivered comes after it, whatever other threads do.
#[test]
fn feedback_among_two_threads_is_delivered_once() {
    in_many_orders(|| {
        let (source, other) = (Shared::subject(), Shared::subject());
        let seen = Seen::default();
        let (log, mut back) = (seen.clone(), source.clone());
        source.clone().merge(other.clone()).subscribe(move |item: u32| {
            log.push(Some(item));
            if item < 3 {
                back.next(item + 1);
            }
        });
        let (mut source, mut other) = (source, other);
        join([thread::spawn(move || source.next(0)), thread::spawn(move || other.next(10))]);
        let mut items: Vec<_> = seen.all().into_iter().flatten().collect();
        items.retain(|item| *item < 10);
        assert_eq!(items, [0, 1, 2, 3]);
        assert_eq!(seen.all().len(), 5);
    });
}

/// After `unsubscribe` has returned and the sender is done, the subscriber has been let go of; nothing comes then.
#[test]
fn unsubscribing_while_another_thread_sends_frees() {
    in_many_orders(|| {
        let (source, other) = (Shared::subject(), Shared::subject());
        let (seen, held) = (Seen::default(), Arc::new(()));
        let (log, inside) = (seen.clone(), held.clone());
        let subscription = source.clone().merge(other.clone()).subscribe(move |item: u32| {
            let _held = &inside;
            log.push(Some(item));
        });
        let mut sender = source.clone();
        let sending = thread::spawn(move || (0..3).for_each(|item| sender.next(item)));
        subscription.unsubscribe();
        sending.join().unwrap();
        assert_eq!(Arc::strong_count(&held), 1, "the subscriber is still held");
        let before = seen.all();
        source.clone().next(9);
        assert_eq!(seen.all(), before);
        assert!(before.is_sorted(), "{before:?}");
        drop(other);
    });
}

/// One ends the stream while another sends.
#[test]
fn an_end_among_items_is_one_end() {
    in_many_orders(|| {
        let (source, stop) = (Shared::subject(), Shared::subject());
        let seen = listen!(source.clone().take_until(stop.clone()));
        let mut stop = stop;
        join([produce(source, 0..3), thread::spawn(move || stop.next(()))]);
        let items = seen.ended();
        assert!(items.iter().copied().eq(0..items.len() as u32), "{items:?}");
    });
}

/// The inner sources are of other threads than the outer one.
#[test]
fn flat_map_loses_nothing_of_inner_sources() {
    in_many_orders(|| {
        let (outer, inner) = (Shared::subject::<u32, Infallible>(), Shared::subject());
        let inside = inner.clone();
        let seen = listen!(outer.clone().flat_map(move |n| inside.clone().map(move |v: u32| (n, v)).take(1)));
        join([
            produce(outer, 0..2),
            thread::spawn(move || {
                let mut inner = inner;
                (10..13).for_each(|item| inner.next(item));
                inner.complete();
            }),
        ]);
        let items = seen.ended();
        assert!(items.len() <= 2 && items.iter().all(|(n, v)| *n < 2 && (10..13).contains(v)), "{items:?}");
        let mut outer: Vec<_> = items.iter().map(|(n, _)| *n).collect();
        outer.dedup();
        assert_eq!(outer.len(), items.len(), "one each: {items:?}");
    });
}

/// The model finds what is wrong: a counter that is read and written in two steps.
#[test]
#[should_panic(expected = "lost")]
fn the_model_finds_a_lost_update() {
    in_many_orders(|| {
        let count = Arc::new(shuttle::sync::Mutex::new(0));
        let add = |count: Arc<shuttle::sync::Mutex<i32>>| {
            thread::spawn(move || {
                let before = *count.lock().unwrap();
                *count.lock().unwrap() = before + 1;
            })
        };
        join([add(count.clone()), add(count.clone())]);
        assert_eq!(*count.lock().unwrap(), 2, "lost");
    });
}
