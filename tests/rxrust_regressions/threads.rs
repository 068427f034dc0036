use std::{
    convert::Infallible,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use rxevents::{gate::Signal, prelude::*};

use crate::common::{Log, lock, ms, watchdog};

/// Runs `f(0)` and `f(1)` at once.
fn two_threads(f: impl Fn(usize) + Sync) {
    let start = Barrier::new(2);
    thread::scope(|scope| {
        for n in 0..2 {
            let (start, f) = (&start, &f);
            scope.spawn(move || {
                start.wait();
                f(n);
            });
        }
    });
}

#[test]
fn shared_subject_serialises_two_producers() {
    watchdog(|| {
        let (subject, inside, count) =
            (Shared::subject::<i32, Infallible>(), AtomicBool::new(false), Arc::new(AtomicUsize::new(0)));
        let seen = count.clone();
        subject.clone().subscribe(move |_| {
            assert!(!inside.swap(true, Ordering::SeqCst), "two at once");
            seen.fetch_add(1, Ordering::SeqCst);
            inside.store(false, Ordering::SeqCst);
        });
        two_threads(|_| {
            let mut subject = subject.clone();
            (0..100_000).for_each(|v| subject.next(v));
        });
        assert_eq!(count.load(Ordering::SeqCst), 200_000);
    });
}

#[test]
fn who_subscribes_or_unsubscribes_while_another_thread_delivers_needs_no_runtime() {
    watchdog(|| {
        let mut subject = Shared::subject::<i32, Infallible>();
        let (inside, is_inside) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let log = Log::default();
        let slow = subject.clone().subscribe(move |_| {
            inside.send(()).unwrap();
            may_go_on.recv().unwrap();
        });
        let mut producer = subject.clone();
        let delivery = thread::spawn(move || producer.next(1));
        is_inside.recv().unwrap();
        subject.clone().subscribe_with(log.sink(|_| {}));
        slow.unsubscribe();
        go_on.send(()).unwrap();
        delivery.join().unwrap();
        subject.next(2);
        assert_eq!(log.text(), "2");
    });
}

#[test]
fn combine_latest_of_two_threads_loses_no_combination() {
    watchdog(|| {
        const N: i32 = 20_000;
        let (mut a, mut b, log) =
            (Shared::subject::<i32, Infallible>(), Shared::subject::<i32, Infallible>(), Log::default());
        a.clone().combine_latest(b.clone(), |a, b| (a, b)).subscribe_with(log.sink(|_| {}));
        a.next(0);
        b.next(0);
        let sources = [a, b];
        two_threads(|n| {
            let mut source = sources[n].clone();
            (1..N).for_each(|v| source.next(v));
        });
        let seen = log.items();
        assert_eq!(seen.len(), 2 * N as usize - 1);
        assert_eq!(seen.last(), Some(&(N - 1, N - 1)));
    });
}

#[test]
fn combine_latest_does_not_look_closed_while_another_thread_is_in_it() {
    watchdog(|| {
        let (b, log, over) =
            (Shared::subject::<i32, Infallible>(), Log::default(), Arc::new(AtomicBool::new(false)));
        let (mut feed, stop, pulled) = (b.clone(), over.clone(), Arc::new(AtomicUsize::new(0)));
        let feeder = thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                feed.next(0);
            }
            feed.complete();
        });
        let count = pulled.clone();
        let long = Shared::from_iter((0..50_000).inspect(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        }));
        b.combine_latest(long, |_, v| v).filter(|v| *v == 49_999).take(1).subscribe_with(log.sink(|_| {}));
        over.store(true, Ordering::SeqCst);
        feeder.join().unwrap();
        assert_eq!(pulled.load(Ordering::SeqCst), 50_000);
        assert_eq!(log.ends(), 1);
    });
}

#[test]
fn merge_and_zip_serialise_two_threads() {
    watchdog(|| {
        let sources = [Shared::subject::<i32, Infallible>(), Shared::subject::<i32, Infallible>()];
        let (merged, zipped) = (Log::default(), Log::default());
        sources[0].clone().merge(sources[1].clone()).subscribe_with(merged.sink(|_| {}));
        sources[0].clone().zip(sources[1].clone()).subscribe_with(zipped.sink(|_| {}));
        two_threads(|n| {
            let mut source = sources[n].clone();
            (0..50_000).for_each(|v| source.next(v));
        });
        assert_eq!(merged.items().len(), 100_000);
        assert!(zipped.items().into_iter().eq((0..50_000).map(|v| (v, v))));
    });
}

#[test]
fn take_of_two_threads_takes_one_and_completes_once() {
    watchdog(|| {
        for _ in 0..200 {
            let sources = [Shared::subject::<usize, Infallible>(), Shared::subject::<usize, Infallible>()];
            let (of_subject, of_merge) = (Log::default(), Log::default());
            sources[0].clone().take(1).subscribe_with(of_subject.sink(|_| {}));
            sources[0].clone().merge(sources[1].clone()).take(1).subscribe_with(of_merge.sink(|_| {}));
            two_threads(|n| {
                sources[0].clone().next(n);
                sources[1].clone().next(n);
            });
            for log in [of_subject, of_merge] {
                assert_eq!((log.items().len(), log.ends()), (1, 1));
            }
        }
    });
}

/// Each delivers to the other's subject from within its own delivery, more than an inbox holds.
#[test]
fn two_threads_that_feed_each_other_do_not_deadlock() {
    watchdog(|| {
        const EACH: usize = 2_000;
        let sources = [Shared::subject::<bool, Infallible>(), Shared::subject::<bool, Infallible>()];
        let (both_inside, count) = (Arc::new(Barrier::new(2)), Arc::new(AtomicUsize::new(0)));
        for n in 0..2 {
            let (mut other, count, both_inside) =
                (sources[1 - n].clone(), count.clone(), both_inside.clone());
            sources[n].clone().subscribe(move |first| {
                count.fetch_add(1, Ordering::SeqCst);
                if first {
                    both_inside.wait();
                    (0..EACH).for_each(|_| other.next(false));
                }
            });
        }
        two_threads(|n| sources[n].clone().next(true));
        assert_eq!(count.load(Ordering::SeqCst), 2 * (EACH + 1));
    });
}

#[test]
fn behavior_subject_has_no_gap_and_no_repetition_for_who_subscribes_while_it_emits() {
    watchdog(|| {
        for _ in 0..300 {
            let subject = Shared::behavior_subject::<i32, Infallible>(0);
            let log = Log::default();
            two_threads(|n| {
                if n == 0 {
                    let mut subject = subject.clone();
                    (1..=50).for_each(|v| subject.next(v));
                } else {
                    subject.clone().subscribe_with(log.sink(|_| {}));
                }
            });
            let seen: Vec<i32> = log.items();
            assert!(seen.iter().copied().eq(seen[0]..=50), "{seen:?}");
        }
    });
}

#[test]
fn a_thread_does_not_wait_for_another_that_delivers() {
    watchdog(|| {
        let sources = [Shared::subject::<i32, Infallible>(), Shared::subject::<i32, Infallible>()];
        let (count, (inside, is_inside)) = (Arc::new(AtomicUsize::new(0)), mpsc::channel());
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let seen = count.clone();
        sources[0].clone().merge(sources[1].clone()).subscribe(move |v| {
            seen.fetch_add(1, Ordering::SeqCst);
            if v < 0 {
                inside.send(()).unwrap();
                may_go_on.recv().unwrap();
            }
        });
        let [mut slow, mut fast] = sources;
        let delivery = thread::spawn(move || slow.next(-1));
        is_inside.recv().unwrap();
        (0..1000).for_each(|v| fast.next(v));
        assert_eq!(count.load(Ordering::SeqCst), 1);
        go_on.send(()).unwrap();
        delivery.join().unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 1001);
    });
}

/// The second thread may be waiting for room by then.
#[test]
fn a_thread_that_waits_for_room_goes_on_when_the_other_unsubscribes() {
    watchdog(|| {
        let sources = [Shared::subject::<i32, Infallible>(), Shared::subject::<i32, Infallible>()];
        let slot = Arc::new(Mutex::new(None::<rxevents::rx::subscription::BoxedSubscriptionSend>));
        let (sent, own) = (Arc::new(AtomicUsize::new(0)), slot.clone());
        let (progress, both_inside) = (sent.clone(), Arc::new(Barrier::new(2)));
        let inside = both_inside.clone();
        let sub = sources[0].clone().merge(sources[1].clone()).subscribe(move |_| {
            inside.wait();
            while progress.load(Ordering::SeqCst) < 1000 {
                thread::yield_now();
            }
            let sub = lock(&own).take();
            sub.into_iter().for_each(Subscription::unsubscribe);
        });
        *lock(&slot) = Some(rxevents::rx::subscription::BoxedSubscriptionSend::new(sub));
        let [mut slow, mut fast] = sources;
        let delivery = thread::spawn(move || slow.next(-1));
        both_inside.wait();
        for v in 0..5000 {
            fast.next(v);
            sent.fetch_add(1, Ordering::SeqCst);
        }
        delivery.join().unwrap();
    });
}

/// On real threads, with a real timer; waits for the end, not for a time.
fn on_a_runtime<S>(pipeline: impl FnOnce() -> S + Send + 'static) -> Vec<Signal<i32, Infallible>>
where
    S: SubscribeOps,
    S::Inner: rxevents::rx::observable::CoreObservable<S::With<Relayed>>,
{
    watchdog(move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
        let (sender, receiver) = mpsc::channel();
        let entered = runtime.enter();
        SubscribeOps::subscribe_with(pipeline(), Relayed(Mutex::new(sender)));
        drop(entered);
        let mut seen = vec![];
        while !matches!(seen.last(), Some(Signal::Complete)) {
            seen.push(receiver.recv().unwrap());
        }
        seen
    })
}

struct Relayed(Mutex<mpsc::Sender<Signal<i32, Infallible>>>);

impl Observer<i32, Infallible> for Relayed {
    fn next(&mut self, item: i32) {
        drop(lock(&self.0).send(Signal::Next(item)));
    }

    fn error(self, error: Infallible) {
        match error {}
    }

    fn complete(self) {
        drop(lock(&self.0).send(Signal::Complete));
    }

    fn is_closed(&self) -> bool {
        false
    }
}

#[test]
fn delay_on_many_threads_keeps_the_order() {
    let seen = on_a_runtime(|| Shared::from_iter(0..1000).delay(ms(20)));
    assert!(seen.into_iter().eq((0..1000).map(Signal::Next).chain([Signal::Complete])));
}

#[test]
fn observe_on_on_many_threads_keeps_the_order() {
    let seen = on_a_runtime(|| Shared::from_iter(0..20_000).observe_on(SharedScheduler));
    assert!(seen.into_iter().eq((0..20_000).map(Signal::Next).chain([Signal::Complete])));
}

/// The task of the scheduler that would make room is the one that waits for it.
#[test]
fn observe_on_with_block_fails_where_waiting_would_be_for_ever() {
    let text = watchdog(|| {
        let scheduler = rxevents::testing::SharedVirtualScheduler::new();
        let buffer = Buffer::new(2).on_overflow(Overflow::Block);
        let source = scheduler.cold("(abc|)").map_err(StreamError::source);
        let log = Log::default();
        source.observe_on_with(scheduler.clone(), buffer).subscribe_with(log.sink(|_| {}));
        scheduler.run_ready();
        log.text()
    });
    assert!(text.starts_with("'a' 'b' #WouldBlock"), "{text}");
}

#[test]
fn observe_on_with_block_holds_the_producer_up_and_lets_it_go() {
    let blocking = || Buffer::new(4).on_overflow(Overflow::Block);
    let seen =
        on_a_runtime(move || Shared::from_iter(0..20_000).observe_on_with(SharedScheduler, blocking()));
    assert!(seen.into_iter().eq((0..20_000).map(Signal::Next).chain([Signal::Complete])));
    // Endless, but for the consumer.
    let seen =
        on_a_runtime(move || Shared::from_iter(0..).observe_on_with(SharedScheduler, blocking()).take(3));
    assert!(seen.into_iter().eq((0..3).map(Signal::Next).chain([Signal::Complete])));
}

/// The panic is in one thread's delivery while the other is at the same merge.
#[test]
fn a_panic_below_a_merge_of_two_threads_is_an_error_once() {
    watchdog(|| {
        for _ in 0..300 {
            let sources = [Shared::subject::<usize, Infallible>(), Shared::subject::<usize, Infallible>()];
            let (errors, log) = (Arc::new(Mutex::new(Vec::new())), Log::default());
            let seen = errors.clone();
            let merged = sources[0].clone().merge(sources[1].clone()).scan(0_usize, |count, _| count + 1);
            merged
                .map(|count| assert!(count != 100, "the hundredth"))
                .stream_error()
                .on_error_route(observer(move |error: StreamError| lock(&seen).push(error.to_string())))
                .subscribe_with(log.sink(|()| {}));
            two_threads(|n| {
                let mut source = sources[n].clone();
                (0..200).for_each(|v| source.next(v));
            });
            assert_eq!(*lock(&errors), ["panic in `map`: the hundredth"]);
            assert_eq!((log.items().len(), log.ends()), (99, 1));
        }
    });
}

/// The side that is ahead waits; each item is compared with its own.
#[test]
fn sequence_equal_compares_two_threads() {
    watchdog(|| {
        for last in [0, 1] {
            let (a, b) = (Shared::subject::<i32, Infallible>(), Shared::subject::<i32, Infallible>());
            let log = Log::<bool, Infallible>::default();
            a.clone().sequence_equal(b.clone()).subscribe_with(log.sink(|_| {}));
            two_threads(|n| {
                let mut subject = if n == 0 { a.clone() } else { b.clone() };
                (0..50_000).for_each(|v| subject.next(v));
                subject.next(if n == 0 { 0 } else { last });
                subject.complete();
            });
            assert_eq!(log.text(), if last == 0 { "true |" } else { "false |" });
        }
    });
}

/// Each key once after each flush, and nothing but that.
#[test]
fn distinct_by_flush_is_flushed_by_another_thread() {
    watchdog(|| {
        let (items, flushes) = (Shared::subject::<i32, Infallible>(), Shared::subject::<i32, Infallible>());
        let log = Log::<i32, Infallible>::default();
        let distinct = items.clone().distinct_by_flush(Keys::new(10), |v| v, flushes.clone());
        distinct.subscribe_with(log.sink(|_| {}));
        two_threads(|n| {
            let mut subject = if n == 0 { items.clone() } else { flushes.clone() };
            (0..10_000).for_each(|v| subject.next(v % 10));
        });
        let seen = log.items();
        let times = |key| seen.iter().filter(|v| **v == key).count();
        // Of ten thousand items, a thousand are of each key.
        assert!((0..10).all(|key| (1..=1_000).contains(&times(key))), "{} items", seen.len());
    });
}
