use std::{
    convert::Infallible,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use rxevents::prelude::*;

use crate::common::Log;

/// Subscribers come and go on two threads while a third sends: each gets what is sent in order, and at the end the source
/// has no subscriber, and has had one at a time.
#[test]
fn subscribers_come_and_go_on_threads() {
    let subject = Shared::subject::<i64, Infallible>();
    let (live, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (begun, ended, top) = (live.clone(), live.clone(), most.clone());
    let counted = subject.clone().finalize(move || {
        ended.fetch_sub(1, Ordering::SeqCst);
    });
    let source = Shared::<()>::defer(move || {
        top.fetch_max(begun.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        counted.clone()
    });
    let shared = source.share();
    let start = Barrier::new(3);
    thread::scope(|scope| {
        for _ in 0..2 {
            let (start, shared) = (&start, shared.clone());
            scope.spawn(move || {
                start.wait();
                for _ in 0..500 {
                    let log = Log::<i64, Infallible>::default();
                    let sub = shared.clone().subscribe_with(log.sink(|_| {}));
                    thread::yield_now();
                    sub.unsubscribe();
                    let items = log.items();
                    assert!(items.windows(2).all(|pair| pair[1] > pair[0]), "{items:?}");
                }
            });
        }
        start.wait();
        (0..20_000).for_each(|v| subject.clone().next(v));
    });
    assert_eq!(live.load(Ordering::SeqCst), 0);
    assert!(most.load(Ordering::SeqCst) <= 2, "{} at once", most.load(Ordering::SeqCst));
    let log = Log::<i64, Infallible>::default();
    shared.subscribe_with(log.sink(|_| {}));
    subject.clone().next(-1);
    assert_eq!(log.items(), [-1]);
}

/// Two threads send into one shared source: nothing is lost, and both subscribers see one order.
#[test]
fn two_producers_of_a_share_lose_nothing() {
    let subject = Shared::subject::<i64, Infallible>();
    let shared = subject.clone().share_replay(Replay::last(1_000_000));
    let logs = [Log::<i64, Infallible>::default(), Log::default()];
    for log in &logs {
        shared.clone().subscribe_with(log.sink(|_| {}));
    }
    thread::scope(|scope| {
        for first in [0, 10_000] {
            let mut subject = subject.clone();
            scope.spawn(move || (first..first + 10_000).for_each(|v| subject.next(v)));
        }
    });
    let late = Log::<i64, Infallible>::default();
    shared.subscribe_with(late.sink(|_| {}));
    assert_eq!(logs[0].items(), logs[1].items());
    assert_eq!(logs[0].items(), late.items());
    let mut all = late.items();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..20_000));
}
