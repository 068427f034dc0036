use std::{
    collections::BTreeSet,
    convert::Infallible,
    num::NonZeroUsize,
    sync::{
        Arc, Barrier, Condvar, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use rxevents::{
    gate::Flow,
    operator::parallel::{Parallel, ParallelOps},
    prelude::*,
    rayon::{ThreadPool, ThreadPoolBuilder},
    rx::subscription::IntoBoxedSubscription,
};

use super::flavour::{Kind, Part, Sub};
use crate::common::{Log, lock, unhandled, watchdog};

fn at_most(in_flight: usize) -> NonZeroUsize {
    NonZeroUsize::new(in_flight).expect("not 0")
}

fn pool(threads: usize) -> Arc<ThreadPool> {
    Arc::new(ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool"))
}

fn on(threads: usize, in_flight: usize) -> Parallel {
    Parallel::new(at_most(in_flight)).pool(pool(threads))
}

/// A door that is opened once.
#[derive(Default)]
struct Door {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Door {
    fn pass(&self) {
        let mut open = lock(&self.open);
        while !*open {
            open = self.opened.wait(open).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    fn open(&self) {
        *lock(&self.open) = true;
        self.opened.notify_all();
    }
}

/// Says when the stream has ended in whatever way: in `Shared` that is on another thread.
fn end() -> (impl FnOnce() + Part + 'static, mpsc::Receiver<()>) {
    let (send, ended) = mpsc::channel();
    (move || send.send(()).unwrap_or_default(), ended)
}

fn value(result: &Result<u32, Rejected<u32>>) -> i64 {
    match result {
        Ok(value) => i64::from(*value),
        Err(rejected) => -i64::from(rejected.item),
    }
}

/// `subscribe`s it and waits for its end: items and the end, as text.
macro_rules! run {
    ($events:expr) => {{
        let (log, (end, ended)) = (Log::<_, _>::default(), end());
        let _sub = $events.finalize(end).subscribe_with(log.sink(|_| {}));
        ended.recv().expect("it ends");
        log
    }};
}

/// The later an item, the sooner its work is done: each waits for the one after it.
fn backwards(n: u32) -> impl Fn(&u32) -> Result<u32, Reason> + Send + Sync + 'static {
    let doors: Vec<Door> = (0..=n).map(|_| Door::default()).collect();
    doors[n as usize].open();
    move |v| {
        doors[*v as usize + 1].pass();
        doors[*v as usize].open();
        Ok(*v)
    }
}

#[test]
fn results_are_in_the_order_of_the_source() {
    watchdog(|| {
        let log =
            run!(Kind::from_iter(0..4_u32).parallel_map_with(on(4, 4), backwards(4)).map(|r| value(&r)));
        assert_eq!(log.text(), "0 1 2 3 |");
    });
}

#[test]
fn or_as_they_are_done() {
    watchdog(|| {
        let how = on(4, 4).unordered();
        let events = Kind::from_iter(0..4_u32).parallel_map_with(how, backwards(4)).map(|r| value(&r));
        let log = run!(events);
        let seen: BTreeSet<i64> = log.items().into_iter().collect();
        assert_eq!((seen.into_iter().collect::<Vec<_>>(), log.ends()), (vec![0, 1, 2, 3], 1));
        // The first waits until the second has been delivered.
        let door = Arc::new(Door::default());
        let (work, open) = (door.clone(), door);
        let first_waits = move |v: &u32| {
            if *v == 0 {
                work.pass();
            }
            Ok(*v)
        };
        let how = on(2, 2).unordered();
        let events = Kind::from_iter(0..2_u32).parallel_map_with(how, first_waits).map(|r| value(&r));
        let log = run!(events.tap(move |v| {
            if *v == 1 {
                open.open();
            }
        }));
        assert_eq!(log.text(), "1 0 |");
    });
}

#[test]
fn many_more_items_than_fit() {
    watchdog(|| {
        for ordered in [true, false] {
            let how = if ordered { on(2, 3) } else { on(2, 3).unordered() };
            let events = Kind::from_iter(0..5_000_u32).parallel_map_with(how, |v| Ok(*v)).map(|r| value(&r));
            let me = thread::current().id();
            let mut items = run!(events.tap(move |_| {
                // In `Local`, by the subscriber's own thread.
                assert!(<<Kind<()> as Context>::Scope as Flow>::THREADS || thread::current().id() == me);
            }))
            .items();
            if !ordered {
                items.sort_unstable();
            }
            assert!(items.into_iter().eq(0..5_000));
        }
    });
}

#[test]
fn nothing_and_an_error_alone() {
    watchdog(|| {
        let nothing = Kind::empty().map(|()| 0).parallel_map(at_most(1), |v: &u32| Ok(*v)).map(|r| value(&r));
        assert_eq!(run!(nothing).text(), "|");
        let error = Kind::throw_err("down").map(|()| 0).parallel_map_unordered(at_most(1), |v: &u32| Ok(*v));
        assert_eq!(run!(error.map(|r| value(&r))).text(), "#\"down\"");
    });
}

#[test]
fn a_failure_and_a_panic_are_one_rejected_each() {
    watchdog(|| {
        let f = |v: &u32| match v {
            2 => Err(Reason::other("not two")),
            3 => panic!("not three"),
            v => Ok(*v),
        };
        let told = |r: Result<u32, Rejected<u32>>| match r {
            Ok(v) => v.to_string(),
            Err(r) => format!("{} of {}, attempt {}", r, r.item, r.attempts),
        };
        let log = run!(Kind::from_iter(1..=4_u32).parallel_map_with(on(2, 2).stage("work"), f).map(told));
        let expected =
            ["1", "work: not two of 2, attempt 1", "work: panicked: not three of 3, attempt 1", "4"];
        assert_eq!(log.items(), expected);
        assert_eq!(log.ends(), 1);
    });
}

/// Source, pool, subscriber: all items are somewhere.
#[test]
fn no_more_than_allowed_are_in_flight() {
    watchdog(|| {
        for ordered in [true, false] {
            let how = if ordered { on(4, 3) } else { on(4, 3).unordered() };
            let (pushed, seen, most) = <(Arc<AtomicUsize>, Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
            let (count, done, max) = (pushed.clone(), seen.clone(), most.clone());
            // Three are worked on at a time; the fourth may be on its way in.
            let barrier = Barrier::new(3);
            let source = Kind::from_iter(0..30_u32).tap(move |_| {
                let out = count.fetch_add(1, Ordering::SeqCst) + 1 - done.load(Ordering::SeqCst);
                max.fetch_max(out, Ordering::SeqCst);
            });
            let events = source.parallel_map_with(how, move |v| {
                barrier.wait();
                Ok(*v)
            });
            let log = run!(events.map(move |r| {
                seen.fetch_add(1, Ordering::SeqCst);
                value(&r)
            }));
            assert_eq!((log.items().len(), log.ends()), (30, 1));
            // In `Shared` one has left the line and is on its way to where it is counted.
            assert!((4..=5).contains(&most.load(Ordering::SeqCst)), "{most:?}");
        }
    });
}

/// The only thread of the pool pushes: it must do the work too.
#[test]
fn from_within_a_pool_of_one_thread() {
    watchdog(|| {
        let one = pool(1);
        let log = one.install(|| {
            let log = Log::<i64, Infallible>::default();
            let twice = Kind::from_iter(0..100_u32)
                .parallel_map(at_most(2), |v| Ok(*v))
                .map(|r| r.unwrap_or(0))
                .parallel_map_unordered(at_most(1), |v| Ok(*v));
            drop(twice.map(|r| value(&r)).subscribe_with(log.sink(|_| {})));
            while log.ends() == 0 {
                rxevents::rayon::yield_now();
            }
            log
        });
        assert!(log.items().into_iter().eq(0..100));
    });
}

/// Two in a row on one thread of the pool; the source is elsewhere.
#[test]
fn two_on_the_same_pool() {
    watchdog(|| {
        let one = pool(1);
        let how = || Parallel::new(at_most(1)).pool(one.clone());
        let events = Kind::from_iter(0..500_u32)
            .parallel_map_with(how(), |v| Ok(*v))
            .map(|r| r.unwrap_or(0))
            .parallel_map_with(how(), |v| Ok(*v));
        assert!(run!(events.map(|r| value(&r))).items().into_iter().eq(0..500));
    });
}

#[test]
fn the_source_s_error_comes_after_what_was_before_it() {
    watchdog(|| {
        let mut subject = Kind::subject::<u32, &str>();
        let door = Arc::new(Door::default());
        let (work, end_log, (end, ended)) = (door.clone(), Log::<i64, &str>::default(), end());
        let events = subject.clone().parallel_map_with(on(2, 4), move |v| {
            work.pass();
            Ok(*v)
        });
        let _sub = events.map(|r| value(&r)).finalize(end).subscribe_with(end_log.sink(|_| {}));
        subject.next(1);
        subject.next(2);
        assert_eq!(end_log.text(), "");
        let opener = thread::spawn(move || door.open());
        subject.error("down");
        ended.recv().expect("it ends");
        opener.join().expect("opened");
        assert_eq!(end_log.text(), "1 2 #\"down\"");
    });
}

/// `take` ends it while others are in flight.
#[test]
fn ended_below_it_delivers_no_more() {
    watchdog(|| {
        let held = Arc::new(());
        let hold = held.clone();
        let log = run!(
            Kind::from_iter(0..1_000_000_u32)
                .parallel_map_with(on(2, 8), move |v| {
                    let _hold = &hold;
                    Ok(*v)
                })
                .map(|r| value(&r))
                .take(3)
        );
        assert_eq!(log.text(), "0 1 2 |");
        // The last jobs let go of the closure.
        while Arc::strong_count(&held) > 1 {
            thread::yield_now();
        }
    });
}

#[test]
fn unsubscribed_it_delivers_no_more_and_nothing_is_held() {
    watchdog(|| {
        let (held, below) = (Arc::new(()), Arc::new(()));
        let (hold, door, begun) = (held.clone(), Arc::new(Door::default()), Arc::new(AtomicUsize::new(0)));
        let (work, count, down) = (door.clone(), begun.clone(), below.clone());
        let mut subject = Kind::subject::<u32, Infallible>();
        let log = Log::<i64, Infallible>::default();
        let events = subject.clone().parallel_map_with(on(1, 3), move |v| {
            let _hold = &hold;
            count.fetch_add(1, Ordering::SeqCst);
            work.pass();
            Ok(*v)
        });
        let sub = events.map(|r| value(&r)).subscribe_with(log.sink(move |_| {
            let _down = &down;
        }));
        (0..3).for_each(|v| subject.next(v));
        // One thread: one has begun, or will.
        while begun.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        sub.unsubscribe();
        subject.next(4);
        assert_eq!(Arc::strong_count(&below), 1);
        door.open();
        while Arc::strong_count(&held) > 1 {
            thread::yield_now();
        }
        assert_eq!((log.text().as_str(), begun.load(Ordering::SeqCst)), ("", 1));
    });
}

/// Several results are ready; the first ends the subscription.
#[test]
fn unsubscribed_while_it_delivers() {
    watchdog(|| {
        let mut subject = Kind::subject::<u32, Infallible>();
        let (log, door, held) = (Log::<i64, Infallible>::default(), Arc::new(Door::default()), Arc::new(()));
        let (sub, work, hold) = (Arc::new(Mutex::new(None::<Sub>)), door.clone(), held.clone());
        let events = subject.clone().parallel_map_with(on(3, 3), move |v| {
            let _hold = &hold;
            // The first comes last, so that all are there at once.
            if *v == 0 {
                work.pass()
            } else if *v == 2 {
                work.open()
            }
            Ok(*v)
        });
        let ends = sub.clone();
        let sink = log.sink(move |_| lock(&ends).take().into_iter().for_each(Subscription::unsubscribe));
        *lock(&sub) = Some(events.map(|r| value(&r)).subscribe_with(sink).into_boxed());
        (0..3).for_each(|v| subject.next(v));
        subject.complete();
        while Arc::strong_count(&held) > 1 {
            thread::yield_now();
        }
        assert_eq!(log.text(), "0");
    });
}

/// A source that is dropped without an end loses nothing.
#[test]
fn a_source_that_goes_away_loses_nothing() {
    watchdog(|| {
        let log = Log::<i64, Infallible>::default();
        let (drops, gone) = mpsc::channel::<()>();
        let (emit, kept) = (Arc::new(AtomicBool::new(false)), log.clone());
        let said = emit.clone();
        let source = Kind::create(move |mut emitter| {
            said.store(true, Ordering::SeqCst);
            assert!((0..10_u32).all(|v| emitter.next(v).is_ok()));
        });
        let sub = source.parallel_map_with(on(2, 4), |v| Ok(*v)).map(|r| value(&r)).subscribe_with(log.sink(
            move |_| {
                let _drops = &drops;
            },
        ));
        assert!(gone.recv().is_err());
        assert!(emit.load(Ordering::SeqCst));
        assert_eq!(kept.text(), "0 1 2 3 4 5 6 7 8 9");
        drop(sub);
    });
}

/// The subscriber pushes more than fits while it handles a result: it does not wait for itself.
#[test]
fn what_the_subscriber_feeds_back_does_not_wait() {
    watchdog(|| {
        let mut subject = Kind::subject::<u32, Infallible>();
        let (log, mut back, (end, ended)) = (Log::<i64, Infallible>::default(), subject.clone(), end());
        let events = subject.clone().parallel_map_with(on(1, 1), |v| Ok(*v)).map(|r| value(&r));
        let _sub = events.finalize(end).subscribe_with(log.sink(move |v| {
            if *v == 0 {
                (1..=5).for_each(|v| back.next(v));
                back.clone().complete();
            }
        }));
        subject.next(0);
        if !<<Kind<()> as Context>::Scope as Flow>::THREADS {
            // The next item brings what is done; what is fed back meanwhile comes after it.
            subject.next(6);
        }
        ended.recv().expect("it ends");
        let mut items = log.items();
        items.sort_unstable();
        items.retain(|v| *v != 6);
        assert_eq!((items, log.ends()), (vec![0, 1, 2, 3, 4, 5], 1));
    });
}

#[test]
fn a_panic_of_the_subscriber_ends_it_once() {
    watchdog(|| {
        let (errors, seen) = mpsc::channel();
        let log = run!(
            Kind::from_iter(0..10_u32)
                .stream_error()
                .parallel_map_with(on(2, 2), |v| Ok(*v))
                .map(|r| {
                    assert!(value(&r) < 2, "not two");
                    value(&r)
                })
                .on_error_route(observer(move |e: StreamError| errors
                    .send(e.to_string())
                    .unwrap_or_default()))
        );
        assert_eq!(log.text(), "0 1 |");
        assert_eq!(seen.iter().collect::<Vec<_>>(), ["panic in `map`: not two"]);
        assert!(unhandled("not two").is_empty());
    });
}

/// A job that waits for its own jobs helps, also where it is the only thread; and does not go deeper with each item.
#[test]
fn within_itself_on_the_same_pool() {
    for threads in [1, 2] {
        let squares = watchdog(move || {
            let shared = pool(threads);
            let inner_pool = shared.clone();
            let log = Log::<u32, Infallible>::default();
            let (end, ended) = end();
            Kind::from_iter(0..500_u32)
                .parallel_map_with(Parallel::new(at_most(8)).pool(shared), move |n| {
                    let sum = Arc::new(AtomicU32::new(0));
                    let (total, n) = (sum.clone(), *n);
                    Local::from_iter(0..20)
                        .parallel_map_with(Parallel::new(at_most(3)).pool(inner_pool.clone()), move |i| {
                            Ok(i * n)
                        })
                        .route_failures(observer(|_: Rejected<u32>| {}))
                        .subscribe(move |v| {
                            total.fetch_add(v, Ordering::SeqCst);
                        });
                    Ok(sum.load(Ordering::SeqCst))
                })
                .route_failures(observer(|_: Rejected<u32>| {}))
                .on_complete(end)
                .subscribe_with(log.sink(|_| {}));
            ended.recv().expect("an end");
            log.items()
        });
        assert_eq!(squares, (0..500).map(|n| 190 * n).collect::<Vec<_>>(), "{threads}");
    }
}
