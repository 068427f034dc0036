//! On real runtimes, and on none: nothing hangs, nothing panics, nothing ends without a word.
//! No test waits for a time; what must happen is waited for, under a watchdog.

mod common;

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    num::NonZeroUsize,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    task, thread,
    time::Duration,
};

use common::{ms, unhandled, watchdog};
use rxevents::{
    dead_letter::{DeadLetterError, QueueError},
    prelude::*,
};
use tokio::runtime::{Builder, Runtime};

const HOUR: Duration = Duration::from_secs(3600);

fn many_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

fn blocking(capacity: usize) -> Buffer {
    Buffer::new(capacity).on_overflow(Overflow::Block)
}

fn down() -> StreamError {
    StreamError::source(std::io::Error::other("down"))
}

/// An observer of errors, and what it saw.
fn errors() -> (impl Observer<StreamError, Infallible> + Send, mpsc::Receiver<String>) {
    let (send, seen) = mpsc::channel();
    (observer(move |error: StreamError| send.send(error.to_string()).unwrap_or_default()), seen)
}

#[test]
fn a_consumer_that_feeds_back_does_not_wait_for_itself() {
    watchdog(|| {
        let runtime = many_threads();
        let _inside = runtime.enter();
        let mut subject = Shared::subject::<u32, Infallible>();
        let (mut back, (errors, seen)) = (subject.clone(), errors());
        // Once the producer is out of the subject, so that the consumer's own thread runs it.
        let (left, has_left) = mpsc::channel::<()>();
        subject
            .clone()
            .stream_error()
            .observe_on_with(SharedScheduler, blocking(2))
            .on_error_route(errors)
            .subscribe(move |v| {
                if v == 0 {
                    has_left.recv().unwrap_or_default();
                    (1..=5).for_each(|v| back.next(v));
                }
            });
        subject.next(0);
        left.send(()).unwrap_or_default();
        assert_eq!(seen.recv().as_deref(), Ok("`observe_on`: buffer of 2 items is full"));
    });
}

/// Who comes first decides whether all arrive, or the consumer finds the queue full that only it could empty.
#[test]
fn a_full_inbox_and_a_full_queue_do_not_wait_for_each_other() {
    watchdog(|| {
        let runtime = many_threads();
        let _inside = runtime.enter();
        let (mut source, feed) = (Shared::subject::<u32, Infallible>(), Shared::subject::<u32, Infallible>());
        let (mut back, (done, outcome)) = (feed.clone(), mpsc::channel());
        let (overflow, mut seen) = (done.clone(), 0);
        source
            .clone()
            .merge(feed)
            .observe_on_with(SharedScheduler, blocking(1))
            .stream_error()
            .on_error_route(observer(move |error: StreamError| {
                overflow.send(error.to_string()).unwrap_or_default();
            }))
            .subscribe(move |v| {
                if v == 0 {
                    (1..=2000).for_each(|v| back.next(v));
                }
                seen += 1;
                if seen == 2010 {
                    done.send("all".into()).unwrap_or_default();
                }
            });
        let producer = thread::spawn(move || (0..10).for_each(|v| source.next(v)));
        let outcome = outcome.recv().expect("an end");
        assert!(["all", "`observe_on`: buffer of 1 items is full"].contains(&outcome.as_str()), "{outcome}");
        producer.join().expect("no panic");
    });
}

#[test]
fn a_producer_that_waits_is_freed_when_the_runtime_ends_or_it_is_unsubscribed() {
    watchdog(|| {
        let runtime = many_threads();
        let mut subject = Shared::subject::<u32, Infallible>();
        let sub = {
            let _inside = runtime.enter();
            subject.clone().observe_on_with(SharedScheduler, blocking(1)).subscribe(|_| {})
        };
        drop(runtime);
        thread::spawn(move || (0..3).for_each(|v| subject.next(v))).join().expect("no panic");
        assert!(sub.is_closed());
        sub.unsubscribe();
    });
}

#[test]
fn a_runtime_that_ends_ends_what_waits_in_it_with_an_error() {
    watchdog(|| {
        let runtime = many_threads();
        let (route, seen) = errors();
        let (stream, delayed) = {
            let _inside = runtime.enter();
            let stream = Shared::from_stream(futures::stream::pending::<u32>()).subscribe(|_| {});
            let delayed = Shared::from_iter([1, 2, 3]).delay(HOUR).stream_error().on_error_route(route);
            (stream, delayed.subscribe(|_| {}))
        };
        drop(runtime);
        assert_eq!(seen.recv().as_deref(), Ok("`delay`: the scheduler has ended while items waited"));
        assert!(stream.is_closed() && delayed.is_closed());
    });
}

#[test]
fn a_runtime_without_a_timer_is_an_error() {
    watchdog(|| {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let mut subject = Local::subject::<u32, StreamError>();
            let (debounced, of_debounce) = errors();
            let (ticks, of_ticks) = errors();
            let (polled, of_poll) = errors();
            let (retried, of_retry) = errors();
            subject.clone().debounce(ms(5)).on_error_route(debounced).subscribe(|_| {});
            Local::interval(ms(5)).stream_error().on_error_route(ticks).subscribe(|_| {});
            Local::poll_every(ms(5), async || 1).stream_error().on_error_route(polled).subscribe(|_| {});
            Local::throw_err::<u32, _>(down())
                .retry_with(Retry::forever().fixed(ms(5)))
                .on_error_route(retried)
                .subscribe(|_| {});
            subject.next(1);
            for seen in [of_debounce, of_ticks, of_poll, of_retry] {
                let error = loop {
                    match seen.try_recv() {
                        Ok(error) => break error,
                        Err(_) => tokio::task::yield_now().await,
                    }
                };
                assert!(error.starts_with("panic in `sleep`: A Tokio 1.x context"), "{error}");
            }
        });
    });
}

#[test]
fn block_on_a_thread_that_must_not_wait_is_an_overflow() {
    watchdog(|| {
        let runtime = many_threads();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let (route, seen) = errors();
            // The consumer cannot make room: it is a task of this very thread.
            Local::from_iter(0..1000)
                .stream_error()
                .observe_on_with(LocalScheduler, blocking(4))
                .on_error_route(route)
                .subscribe(|_| {});
            let error = loop {
                match seen.try_recv() {
                    Ok(error) => break error,
                    Err(_) => tokio::task::yield_now().await,
                }
            };
            assert_eq!(error, "`observe_on`: buffer of 4 items is full");
        });
    });
}

/// A queue that refuses everything, in one way or another.
struct Refuses {
    push: bool,
    flush_panics: bool,
    flushed: Rc<Cell<u32>>,
}

impl DeadLetterQueue for Refuses {
    fn push(&mut self, letter: DeadLetter) -> Result<(), DeadLetterError> {
        if self.push {
            return Ok(());
        }
        Err(DeadLetterError { letter: Box::new(letter), cause: QueueError::Full { capacity: 0 } })
    }

    fn flush(&mut self) -> Result<(), QueueError> {
        self.flushed.set(self.flushed.get() + 1);
        assert!(!self.flush_panics, "no flush today");
        Err(QueueError::Other("the flush failed".into()))
    }
}

#[test]
fn no_failure_of_a_queue_is_lost() {
    unhandled("");
    let queue = |push, flush_panics| Refuses { push, flush_panics, flushed: Rc::default() };
    let bad = |_: &String| Err::<u32, _>(Reason::decode("bad"));
    let line = || Local::of("line".to_string()).stream_error();
    let log = Rc::new(RefCell::new(vec![]));
    let route = || {
        let log = log.clone();
        observer(move |error: StreamError| log.borrow_mut().push(error.to_string()))
    };
    // Both fail: the first is the stream's error, the second the hook's.
    line().try_map(bad).dead_letter(queue(false, false)).on_error_route(route()).subscribe(|_| {});
    assert!(log.borrow_mut().remove(0).ends_with("the queue is full: it holds 0 letters"));
    assert_eq!(unhandled("the flush failed").len(), 1);
    // A panic of the flush is the stream's error, but the source's own goes first.
    line().try_map(bad).dead_letter(queue(true, true)).on_error_route(route()).subscribe(|_| {});
    assert_eq!(log.borrow_mut().remove(0), "panic in `dead_letter`: no flush today");
    Local::throw_err::<String, _>(down())
        .try_map(bad)
        .dead_letter(queue(true, true))
        .on_error_route(route())
        .subscribe(|_| {});
    assert_eq!(log.borrow_mut().remove(0), "down");
    // Nobody listens below: the hook's. And letters are flushed also without an end.
    let flushed = Rc::new(Cell::new(0));
    let mut subject = Local::subject::<String, StreamError>();
    let counting = Refuses { push: true, flush_panics: false, flushed: flushed.clone() };
    let lines =
        subject.clone().try_map(|line| line.parse::<u32>().map_err(Reason::decode)).dead_letter(counting);
    lines.take(1).on_error_route(route()).subscribe(|_| {});
    subject.next("bad".into());
    subject.next("1".into());
    assert_eq!((flushed.get(), log.borrow().len()), (1, 0));
    assert_eq!(unhandled("the flush failed").len(), 2);
}

/// Panics when it is cloned while told so.
struct Fragile(Arc<AtomicBool>);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        assert!(!self.0.load(Ordering::SeqCst), "it broke");
        Self(self.0.clone())
    }
}

#[test]
fn a_clone_that_panics_ends_the_subscribers_and_not_the_producer() {
    let breaks = Arc::new(AtomicBool::new(false));
    let (route, seen) = errors();
    let mut subject = Local::behavior_subject::<Fragile, StreamError>(Fragile(breaks.clone()));
    subject.clone().on_error_route(route).subscribe(|_| {});
    breaks.store(true, Ordering::SeqCst);
    subject.next(Fragile(breaks.clone()));
    assert_eq!(seen.try_recv().as_deref(), Ok("panic in `subject`: it broke"));
    assert!(subject.is_closed());
    let (late, seen) = errors();
    subject.clone().on_error_route(late).subscribe(|_| {});
    assert_eq!(seen.try_recv().as_deref(), Ok("panic in `subject`: an item could not be cloned"));
}

#[test]
fn a_source_whose_clone_panics_is_an_error_of_the_retry() {
    let cloned = Rc::new(Cell::new(0));
    struct Source(Rc<Cell<u32>>);
    impl Clone for Source {
        fn clone(&self) -> Self {
            self.0.set(self.0.get() + 1);
            assert!(self.0.get() < 2, "no second one");
            Self(self.0.clone())
        }
    }
    let (route, seen) = errors();
    let source = Source(cloned);
    Local::defer(move || {
        let _source = &source;
        Local::throw_err::<u32, _>(down())
    })
    .retry_with(Retry::times(5))
    .on_error_route(route)
    .subscribe(|_| {});
    assert_eq!(seen.try_recv().as_deref(), Ok("panic in `retry_with`: no second one"));
}

#[test]
fn a_stream_that_panics_when_it_is_dropped_has_ended_all_the_same() {
    struct Ends;
    impl futures::Stream for Ends {
        type Item = Result<u32, StreamError>;
        fn poll_next(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> task::Poll<Option<Self::Item>> {
            task::Poll::Ready(Some(Err(down())))
        }
    }
    impl Drop for Ends {
        fn drop(&mut self) {
            assert!(thread::panicking(), "a stream's drop");
        }
    }
    watchdog(|| {
        unhandled("");
        let runtime = many_threads();
        let _inside = runtime.enter();
        let (route, seen) = errors();
        Shared::from_stream_result(Ends).on_error_route(route).subscribe(|_| {});
        assert_eq!(seen.recv().as_deref(), Ok("down"));
        assert_eq!(unhandled("a stream's drop").len(), 1);
    });
}

#[test]
fn gates_above_each_other_are_freed_with_their_sources() {
    let held = Arc::new(());
    let keep = || {
        let held = held.clone();
        move |_| drop(held.clone())
    };
    let subject = Local::subject::<u32, Infallible>;
    subject().flat_map(Local::of).take_until(subject()).subscribe(keep());
    subject().merge(subject()).merge(subject()).subscribe(keep());
    subject().zip(subject()).map(|(v, _)| v).combine_latest(subject(), |v, _| v).subscribe(keep());
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn a_panic_is_settled_by_the_thread_that_caught_it() {
    watchdog(|| {
        // While the panic unwinds, the iterator waits in its drop until the other source has ended.
        struct Waits(mpsc::Sender<()>, mpsc::Receiver<()>);
        impl Iterator for Waits {
            type Item = u32;
            fn next(&mut self) -> Option<u32> {
                Some(1)
            }
        }
        impl Drop for Waits {
            fn drop(&mut self) {
                self.0.send(()).unwrap_or_default();
                self.1.recv().unwrap_or_default();
            }
        }
        let (unwinding, wait) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel();
        let other = Shared::subject::<u32, Infallible>();
        let (ends, (route, seen), count) = (other.clone(), errors(), Arc::new(AtomicUsize::new(0)));
        let helper = thread::spawn(move || {
            wait.recv().unwrap_or_default();
            ends.complete();
            go_on.send(()).unwrap_or_default();
        });
        let panics = count.clone();
        let merged = other.merge(Shared::from_iter(Waits(unwinding, may_go_on)));
        merged
            .map(move |_| {
                panics.fetch_add(1, Ordering::SeqCst);
                assert_eq!(1, 2, "the real message");
            })
            .stream_error()
            .on_error_route(route)
            .subscribe(|()| {});
        helper.join().expect("no panic");
        let error = seen.try_recv().expect("an error");
        assert!(error.starts_with("panic in `map`: ") && error.contains("the real message"), "{error}");
        assert!(seen.try_recv().is_err() && count.load(Ordering::SeqCst) == 1);
    });
}

#[test]
fn a_source_without_a_runtime_is_an_error_of_what_is_below() {
    let said = "panic in `interval`: the scheduler takes no task (is there a runtime?)";
    let (route, seen) = errors();
    Local::timer(ms(1)).stream_error().on_error_route(route).subscribe(|()| {});
    assert_eq!(seen.try_recv().as_deref(), Ok(said));
    let (route, seen) = errors();
    Shared::poll_every(ms(1), async || 1).stream_error().on_error_route(route).subscribe(|_| {});
    assert_eq!(seen.try_recv(), Ok(said.replace("interval", "poll_every")));
    let (route, seen) = errors();
    let merged = Shared::interval(ms(1)).stream_error().merge(Shared::never().stream_error());
    merged.on_error_route(route).subscribe(|_| {});
    assert_eq!(seen.try_recv().as_deref(), Ok(said));
}

#[test]
fn poll_every_waits_for_what_it_reads() {
    watchdog(|| {
        let runtime = many_threads();
        let _inside = runtime.enter();
        let (send, seen) = mpsc::channel();
        let read = async || tokio::task::spawn_blocking(|| 7).await;
        let polled = Shared::poll_every(ms(1), read).map(|read| read.unwrap_or_default()).take(3);
        polled.subscribe(move |n| send.send(n).unwrap_or_default());
        assert_eq!(seen.iter().collect::<Vec<_>>(), [7, 7, 7]);
    });
}

#[test]
fn a_panic_above_a_timer_ends_what_is_below_it() {
    fn explodes(v: u32) -> u32 {
        assert!(v < 2, "two");
        v
    }
    watchdog(|| {
        let runtime = many_threads();
        let _inside = runtime.enter();
        let (route, seen) = errors();
        let crossed = Shared::from_iter(0..4).map(explodes).observe_on(SharedScheduler).delay(ms(1));
        crossed.stream_error().on_error_route(route).subscribe(|_| {});
        assert_eq!(seen.recv().as_deref(), Ok("panic in `map`: two"));
    });
}

fn eight() -> NonZeroUsize {
    NonZeroUsize::new(8).expect("not 0")
}

/// Futures that need the runtime to be made, on two threads; each is asked twice.
#[test]
fn futures_are_made_and_polled_in_the_runtime() {
    watchdog(|| {
        let runtime = many_threads();
        let _inside = runtime.enter();
        let (send, seen) = mpsc::channel();
        let asked = AtomicUsize::new(0);
        Shared::from_iter(0..1000_u32)
            .try_map_async_with_retry(eight(), Retry::times(1), move |n| {
                let (n, second) = (*n, asked.fetch_add(1, Ordering::SeqCst) % 2 == 1);
                let task = tokio::spawn(async move { if second { Some(n) } else { None } });
                async move { task.await.map_err(Reason::other)?.ok_or_else(|| Reason::other("not yet")) }
            })
            .subscribe(move |result| send.send(result.is_ok()).unwrap_or_default());
        assert_eq!(seen.iter().count(), 1000);
    });
}

#[test]
fn futures_without_a_runtime_are_an_error() {
    watchdog(|| {
        let (errors, seen) = errors();
        let pending = |_: &u32| std::future::pending::<Result<u32, Reason>>();
        Shared::from_iter(0..3_u32)
            .stream_error()
            .try_map_async_with_retry(eight(), Retry::times(0), pending)
            .on_error_route(errors)
            .subscribe(|_| panic!("no result"));
        let seen: Vec<_> = seen.iter().collect();
        assert!(seen.len() == 1 && seen[0].contains("panic in `schedule`"), "{seen:?}");
    });
}

#[test]
fn futures_whose_runtime_ends_are_an_error() {
    watchdog(|| {
        let (errors, seen) = errors();
        let runtime = many_threads();
        {
            let _inside = runtime.enter();
            let (begun, has_begun) = mpsc::channel();
            Shared::from_iter(0..3_u32)
                .stream_error()
                .try_map_async_with_retry(eight(), Retry::times(0), move |_| {
                    begun.send(()).unwrap_or_default();
                    std::future::pending::<Result<u32, Reason>>()
                })
                .on_error_route(errors)
                .subscribe(|_| panic!("no result"));
            has_begun.recv().expect("it begins");
        }
        drop(runtime);
        let seen: Vec<_> = seen.iter().collect();
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert!(seen[0].contains("the scheduler has ended while items waited"), "{seen:?}");
    });
}

#[test]
fn a_timeout_whose_runtime_ends_is_an_error() {
    watchdog(|| {
        let (errors, seen) = errors();
        let (runtime, subject) = (many_threads(), Shared::subject::<u32, StreamError>());
        {
            let _inside = runtime.enter();
            subject.clone().timeout(HOUR).on_error_route(errors).subscribe(|_| {});
        }
        drop(runtime);
        assert_eq!(seen.recv().as_deref(), Ok("`timeout`: the scheduler has ended while items waited"));
    });
}

/// Batches of two threads, one of which a closure below also feeds, meet at one gate; a third unsubscribes in the middle.
#[test]
fn batches_of_several_threads_lose_nothing() {
    const BATCHES: u32 = 300;
    const SIZE: u32 = 70;
    watchdog(|| {
        let [left, right, fed] = [(); 3].map(|()| Shared::subject::<u32, Infallible>());
        let (seen, in_order) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (count, ordered, mut back) = (seen.clone(), in_order.clone(), fed.clone());
        let mut latest = [None; 2];
        left.clone().batched().map(|v| 2 * v).merge(right.clone().batched().map(|v| 2 * v + 1)).subscribe(
            move |v| {
                count.fetch_add(1, Ordering::SeqCst);
                let latest = &mut latest[v as usize % 2];
                ordered.fetch_add(usize::from(latest.is_none_or(|before| before < v)), Ordering::SeqCst);
                *latest = Some(v);
                back.next(v);
            },
        );
        let (echoes, some) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (heard, few) = (echoes.clone(), some.clone());
        fed.clone().batched().merge(Shared::from_iter([0]).batched()).subscribe(move |_| {
            heard.fetch_add(1, Ordering::SeqCst);
        });
        left.clone().batched().merge(right.clone().batched()).take(1_000).subscribe(move |_| {
            few.fetch_add(1, Ordering::SeqCst);
        });
        thread::scope(|scope| {
            for mut source in [left.clone(), right.clone()] {
                scope.spawn(move || {
                    for batch in 0..BATCHES {
                        source.inner_mut().next_batch(batch * SIZE..(batch + 1) * SIZE);
                    }
                });
            }
        });
        let all = (2 * BATCHES * SIZE) as usize;
        assert_eq!((seen.load(Ordering::SeqCst), in_order.load(Ordering::SeqCst)), (all, all));
        assert_eq!((echoes.load(Ordering::SeqCst), some.load(Ordering::SeqCst)), (all + 1, 1_000));
    });
}

/// What is always due, in a runtime of one thread: it can be unsubscribed by another task.
#[test]
fn what_is_always_due_lets_other_tasks_run() {
    async fn unsubscribed(subscription: impl Subscription) {
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        subscription.unsubscribe();
    }
    watchdog(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let never = |_: &u32| Err::<(), _>(Reason::other("never"));
            let retried = Local::from_iter([1_u32]).try_map_with_retry(Retry::forever(), never);
            unsubscribed(retried.subscribe(|_| {})).await;
            let nano = Duration::from_nanos(1);
            unsubscribed(Local::interval_with(nano, MissedTicks::Burst).subscribe(|_| {})).await;
            let read = || std::future::ready(());
            unsubscribed(Local::poll_every_with(nano, MissedTicks::Burst, read).subscribe(|()| {})).await;
        });
    });
}
