//! On real threads; what must happen is waited for, under a watchdog.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use futures::stream;
use rxevents::prelude::*;
use tokio::runtime::{Builder, Runtime};

use crate::common::watchdog;

const MANY: u64 = 20_000;

fn runtimes() -> [Runtime; 2] {
    [
        Builder::new_current_thread().enable_all().build().unwrap(),
        Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap(),
    ]
}

/// All that comes in order, and the end.
fn observing() -> (impl Observer<u64, StreamError> + Send, mpsc::Receiver<(Vec<u64>, Option<String>)>) {
    struct Seen(Vec<u64>, mpsc::Sender<(Vec<u64>, Option<String>)>);
    impl Observer<u64, StreamError> for Seen {
        fn next(&mut self, n: u64) {
            assert!(n != 666, "six");
            self.0.push(n);
        }
        fn error(self, error: StreamError) {
            self.1.send((self.0, Some(error.to_string()))).unwrap();
        }
        fn complete(self) {
            self.1.send((self.0, None)).unwrap();
        }
        fn is_closed(&self) -> bool {
            false
        }
    }
    let (send, seen) = mpsc::channel();
    (Seen(vec![], send), seen)
}

#[test]
fn all_cross_or_are_counted() {
    watchdog(|| {
        for capacity in [1, 2, 64, 1024] {
            for overflow in [Overflow::Block, Overflow::DropOldest, Overflow::DropNewest, Overflow::Latest] {
                let ring = Buffer::new(capacity).on_overflow(overflow);
                let (drops, depth, told) = (ring.drops(), ring.depth(), Arc::new(AtomicU64::new(0)));
                let (lost, (observer, seen)) = (told.clone(), observing());
                let count = move |_| _ = lost.fetch_add(1, Ordering::Relaxed);
                let _sub = Shared::from_iter((0..MANY).map(|n| n + 1000))
                    .stream_error()
                    .hand_off_with(ring, count)
                    .subscribe_with(observer);
                let (items, error) = seen.recv().unwrap();
                assert_eq!(error, None);
                assert!(items.is_sorted());
                assert_eq!(items.len() as u64 + drops.get(), MANY, "{overflow:?} of {capacity}");
                assert_eq!(told.load(Ordering::Relaxed), drops.get());
                assert!((1..=capacity).contains(&depth.peak()), "{overflow:?} of {capacity}: {depth:?}");
                if overflow == Overflow::Block {
                    assert_eq!(drops.get(), 0);
                }
            }
        }
    });
}

#[test]
fn batches_cross_too() {
    watchdog(|| {
        let (observer, seen) = observing();
        let ring = Buffer::new(100).on_overflow(Overflow::Block);
        Shared::from_iter((0..MANY).map(|n| n + 1000))
            .batched()
            .stream_error()
            .hand_off(ring)
            .subscribe_with(observer);
        assert!(seen.recv().unwrap().0.into_iter().eq(1000..MANY + 1000));
    });
}

/// A consumer that panics ends the stream; the items before it were delivered, it is in the error, the rest is counted.
#[test]
fn a_panic_of_the_consumer_loses_nothing_silently() {
    watchdog(|| {
        for overflow in [Overflow::Error, Overflow::Block, Overflow::DropOldest] {
            let ring = Buffer::new(1 << 20).on_overflow(overflow);
            let (drops, (observer, seen)) = (ring.drops(), observing());
            let mut pushed = Shared::subject::<u64, Infallible>();
            let sub = pushed.clone().stream_error().hand_off(ring).subscribe_with(observer);
            let mut n = 0;
            while !sub.is_closed() {
                pushed.next(n);
                n += 1;
            }
            let (items, error) = seen.recv().unwrap();
            assert_eq!((items.len(), error.as_deref()), (666, Some("panic in `downstream`: six")));
            drop((pushed, sub));
            // The consumer's thread counts at its end.
            while 666 + 1 + drops.get() < n - 1 {
                thread::yield_now();
            }
            // The last may have found nobody who listens any more.
            assert!((n - 1..=n).contains(&(666 + 1 + drops.get())), "{overflow:?}: {n}, {drops:?}");
        }
    });
}

#[test]
fn a_producer_that_waits_for_room_is_freed() {
    watchdog(|| {
        let (entered, has_entered) = mpsc::channel();
        let (leave, may_leave) = mpsc::channel::<()>();
        let mut pushed = Shared::subject::<u64, Infallible>();
        let ring = Buffer::new(1).on_overflow(Overflow::Block);
        let sub = pushed.clone().hand_off(ring).subscribe(move |_| {
            entered.send(()).unwrap_or_default();
            may_leave.recv().unwrap_or_default();
        });
        let producer = thread::spawn(move || (0..10).for_each(|n| pushed.next(n)));
        has_entered.recv().unwrap();
        sub.unsubscribe();
        producer.join().unwrap();
        drop(leave);
    });
}

/// How a queue is put below a source, and who consumes.
macro_rules! with_each_queue {
    ($source:expr, |$below:ident, $depth:ident| $body:block) => {{
        for which in 0..4 {
            let buffer = Buffer::new(4).on_overflow(Overflow::Block);
            let ($depth, source) = (buffer.depth(), $source);
            let $below: SharedEvents<u64, StreamError> = match which {
                0 => source.observe_on_with(SharedScheduler, buffer).boxed(),
                1 => source.on_backpressure_buffer_with(buffer, |_| {}).boxed(),
                2 => source.hand_off_on(SharedScheduler, buffer).boxed(),
                _ => source.hand_off(buffer).boxed(),
            };
            $body
        }
    }};
}

/// The source's task awaits room: on one thread, too, which the consumer needs.
#[test]
fn an_asynchronous_source_awaits_room() {
    watchdog(|| {
        for runtime in runtimes() {
            let _inside = runtime.enter();
            with_each_queue!(Shared::from_stream(stream::iter(1000..3000)).stream_error(), |below, depth| {
                let (observer, seen) = observing();
                let _sub = below.subscribe_with(observer);
                let (items, error) = runtime.block_on(async {
                    loop {
                        match seen.try_recv() {
                            Ok(seen) => break seen,
                            Err(_) => tokio::task::yield_now().await,
                        }
                    }
                });
                assert_eq!(error, None);
                assert!(items.into_iter().eq(1000..3000));
                assert!(depth.peak() <= 4, "{depth:?}");
            });
        }
    });
}

/// What one item becomes is taken as a whole, up to as much again as the bound.
#[test]
fn what_one_item_becomes_is_taken_as_a_whole() {
    watchdog(|| {
        for runtime in runtimes() {
            let _inside = runtime.enter();
            let source = || {
                Shared::from_stream(stream::iter(1000..1500_u64))
                    .flat_map(|n| Shared::from_iter([n, n, n]))
                    .stream_error()
            };
            with_each_queue!(source(), |below, depth| {
                let (observer, seen) = observing();
                let _sub = below.subscribe_with(observer);
                let (items, error) = runtime.block_on(async {
                    loop {
                        match seen.try_recv() {
                            Ok(seen) => break seen,
                            Err(_) => tokio::task::yield_now().await,
                        }
                    }
                });
                assert_eq!((items.len(), error), (1500, None));
                assert!(depth.peak() <= 6, "{depth:?}");
            });
        }
    });
}

/// Two queues in a row: the task that delivers from the first awaits room in the second.
#[test]
fn a_queue_awaits_room_in_the_next() {
    watchdog(|| {
        for runtime in runtimes() {
            let _inside = runtime.enter();
            let first = Buffer::new(4).on_overflow(Overflow::Block);
            let source = Shared::from_stream(stream::iter(1000..2000))
                .stream_error()
                .observe_on_with(SharedScheduler, first.clone())
                .hand_off_on(SharedScheduler, first);
            with_each_queue!(source.clone(), |below, _depth| {
                let (observer, seen) = observing();
                let _sub = below.subscribe_with(observer);
                let (items, error) = runtime.block_on(async {
                    loop {
                        match seen.try_recv() {
                            Ok(seen) => break seen,
                            Err(_) => tokio::task::yield_now().await,
                        }
                    }
                });
                assert_eq!(error, None);
                assert!(items.into_iter().eq(1000..2000));
            });
        }
    });
}

/// A task that pushes by hand cannot await, and must not block its thread: that is an error which says so.
#[test]
fn a_task_that_pushes_is_told_that_it_would_block() {
    watchdog(|| {
        for runtime in runtimes() {
            let _inside = runtime.enter();
            let (leave, may_leave) = mpsc::channel::<()>();
            let may_leave = std::sync::Mutex::new(may_leave);
            let mut pushed = Shared::subject::<u64, StreamError>();
            let buffer = Buffer::new(4).on_overflow(Overflow::Block);
            let (route, seen) = mpsc::channel();
            let _sub = pushed
                .clone()
                .hand_off(buffer)
                .on_error_route(observer(move |error: StreamError| route.send(error.to_string()).unwrap()))
                .subscribe(move |_| may_leave.lock().unwrap().recv().unwrap_or_default());
            let task = runtime.spawn(async move { (0..10).for_each(|n| pushed.next(n)) });
            runtime.block_on(task).unwrap();
            drop(leave);
            let full = "`hand_off`: buffer of 4 items is full, and this thread must not wait for room: it runs tasks";
            assert_eq!(seen.recv().as_deref(), Ok(full));
        }
    });
}
