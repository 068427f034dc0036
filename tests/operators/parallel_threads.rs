//! `parallel_map` with several threads that push.

use std::{
    convert::Infallible,
    num::NonZeroUsize,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use rxevents::{operator::parallel::Parallel, prelude::*, rayon::ThreadPoolBuilder};

use crate::common::watchdog;

const PRODUCERS: u32 = 4;
const EACH: u32 = 2_000;

fn how(in_flight: usize) -> Parallel {
    let pool = ThreadPoolBuilder::new().num_threads(2).build().expect("a pool");
    Parallel::new(NonZeroUsize::new(in_flight).expect("not 0")).pool(Arc::new(pool))
}

#[test]
fn producers_of_several_threads_lose_nothing() {
    for how in [how(3), how(3).unordered()] {
        watchdog(|| {
            let subject = Shared::subject::<u32, Infallible>();
            let (busy, (send, seen)) = (AtomicBool::new(false), mpsc::channel());
            let events = subject.clone().parallel_map_with(how, |v| Ok(*v)).finalize(|| {});
            let _sub = events.subscribe(move |result: Result<u32, Rejected<u32>>| {
                assert!(!busy.swap(true, Ordering::SeqCst), "two at once");
                send.send(result.expect("it does not fail")).expect("heard");
                busy.store(false, Ordering::SeqCst);
            });
            thread::scope(|scope| {
                for first in 0..PRODUCERS {
                    let mut subject = subject.clone();
                    scope.spawn(move || (first * EACH..(first + 1) * EACH).for_each(|v| subject.next(v)));
                }
            });
            subject.complete();
            let mut items: Vec<u32> = seen.iter().collect();
            items.sort_unstable();
            assert!(items.into_iter().eq(0..PRODUCERS * EACH));
        });
    }
}

/// The pushing thread waits for room; the subscription ends: it goes on.
#[test]
fn unsubscribing_frees_a_thread_that_waits() {
    watchdog(|| {
        let mut subject = Shared::subject::<u32, Infallible>();
        let (in_work, go_on) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let (begun, go, pushed) = (in_work.clone(), go_on.clone(), Arc::new(AtomicUsize::new(0)));
        let events = subject.clone().parallel_map_with(how(1), move |v| {
            begun.wait();
            go.wait();
            Ok(*v)
        });
        let sub = events.subscribe(|_| panic!("nothing is delivered"));
        let count = pushed.clone();
        let producer = thread::spawn(move || {
            for v in 0..3 {
                subject.next(v);
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        in_work.wait();
        sub.unsubscribe();
        producer.join().expect("it goes on");
        assert_eq!(pushed.load(Ordering::SeqCst), 3);
        go_on.wait();
    });
}

/// The thread that delivers waits for the pushing one, which waits for room: one of them goes on.
#[test]
fn a_subscriber_that_waits_for_the_pushing_thread() {
    watchdog(|| {
        let (mut subject, mut back) =
            (Shared::subject::<u32, Infallible>(), Shared::subject::<u32, Infallible>());
        let (send, seen) = mpsc::channel();
        let results = subject.clone().parallel_map_with(how(1), |v| Ok(*v));
        let mut to = back.clone();
        let _sub = results.subscribe(move |result: Result<u32, Rejected<u32>>| {
            // More than an inbox holds.
            (0..3_000).for_each(|_| to.next(0));
            send.send(result.expect("it does not fail")).expect("heard");
        });
        // All that is pushed comes from within `back`, so its machine is this thread's.
        let started = AtomicBool::new(false);
        let _fed = back.clone().subscribe(move |v| {
            if v == 1 && !started.swap(true, Ordering::SeqCst) {
                (1..=20).for_each(|v| subject.next(v));
                subject.clone().complete();
            }
        });
        back.next(1);
        assert!(seen.iter().eq(1..=20));
    });
}
