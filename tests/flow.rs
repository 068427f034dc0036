//! Operators between two streams: demand reaches the source, timed operators wake the stream, nothing is lost.

mod common;

use std::{
    cell::Cell,
    convert::Infallible,
    pin::Pin,
    rc::Rc,
    sync::{Arc, Mutex},
    task::{Context as TaskContext, Poll, Wake, Waker},
    time::Duration,
};

use futures::{FutureExt, SinkExt, Stream, StreamExt, executor::block_on, stream};
use rxevents::{
    delivery::{AckPolicy, MemoryPosition},
    flow::ForwardError,
    prelude::*,
    testing::{VirtualScheduler, balanced},
};

/// Endless numbers that count how often they were asked for.
fn counted() -> (impl Stream<Item = u64>, Rc<Cell<u64>>) {
    let polled = Rc::new(Cell::new(0));
    let count = polled.clone();
    let numbers = stream::iter(0..).inspect(move |_| count.set(count.get() + 1));
    (numbers, polled)
}

/// Says whether it was woken.
#[derive(Default)]
struct Woken(Mutex<u32>);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        *self.0.lock().unwrap() += 1;
    }
}

impl Woken {
    fn take(&self) -> u32 {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn poll<S: Stream + Unpin>(stream: &mut S, woken: &Arc<Woken>) -> Poll<Option<S::Item>> {
    Pin::new(stream).poll_next(&mut TaskContext::from_waker(&Waker::from(woken.clone())))
}

#[test]
fn a_slow_consumer_polls_an_endless_source_no_more_than_it_takes() {
    let (numbers, polled) = counted();
    let mut stream =
        numbers.through(|n| n.filter(|n| n % 10 == 9).flat_map(|n| Local::from_iter([n; 3]).stream_error()));
    let woken = Arc::<Woken>::default();
    assert_eq!(polled.get(), 0);
    for taken in 0..30_u64 {
        assert!(matches!(poll(&mut stream, &woken), Poll::Ready(Some(Ok(n))) if n == taken / 3 * 10 + 9));
        assert_eq!(polled.get(), (taken / 3 + 1) * 10, "after {taken}");
    }
}

#[test]
fn a_source_that_yields_nothing_lets_others_run() {
    let (numbers, polled) = counted();
    let mut stream = numbers.through(|n| n.filter(|_| false));
    let woken = Arc::<Woken>::default();
    for turn in 1..4 {
        assert!(poll(&mut stream, &woken).is_pending());
        assert_eq!((polled.get(), woken.take()), (256 * turn, 1));
    }
}

/// Only the channel wakes it: what comes out while it is polled, it finds by itself.
#[test]
fn a_task_is_not_woken_by_what_it_makes_itself() {
    fn test<S>(through: impl Fn(futures::channel::mpsc::UnboundedReceiver<u64>) -> S)
    where
        S: Stream<Item = Result<u64, StreamError>> + Unpin,
    {
        let (sender, receiver) = futures::channel::mpsc::unbounded();
        let (mut stream, woken) = (through(receiver), Arc::<Woken>::default());
        assert!(poll(&mut stream, &woken).is_pending());
        for n in 0..6 {
            sender.unbounded_send(n).unwrap();
            assert_eq!(woken.take(), 1);
            match n % 2 {
                0 => assert!(matches!(poll(&mut stream, &woken), Poll::Ready(Some(Ok(even))) if even == n)),
                _ => assert!(poll(&mut stream, &woken).is_pending()),
            }
            assert!(poll(&mut stream, &woken).is_pending());
            assert_eq!(woken.take(), 0, "after {n}");
        }
    }
    test(|numbers| numbers.through(|n| n.filter(|n| n % 2 == 0)));
    test(|numbers| numbers.through_shared(|n| n.filter(|n| n % 2 == 0)));
}

/// What a chain sends back into itself while it is polled comes out behind, and wakes nobody either.
#[test]
fn what_a_chain_feeds_back_comes_out_in_order() {
    let side = Local::subject::<u64, StreamError>();
    let (from, mut back) = (side.clone(), side);
    let mut stream = stream::iter(0..3).chain(stream::pending()).through(move |n| {
        n.merge(from).tap(move |n| {
            if *n < 3 {
                (1..=3).for_each(|again| back.next(n + again * 10));
            }
        })
    });
    let woken = Arc::<Woken>::default();
    let mut seen = vec![];
    while let Poll::Ready(Some(Ok(n))) = poll(&mut stream, &woken) {
        seen.push(n);
    }
    assert_eq!(seen, [0, 10, 20, 30, 1, 11, 21, 31, 2, 12, 22, 32]);
    assert_eq!(woken.take(), 0);
}

/// The task falls asleep between any two of them: each that came meanwhile must have woken it.
#[test]
fn what_another_thread_sends_is_neither_lost_nor_slept_through() {
    const N: u64 = 20_000;
    for round in 0..6 {
        let (sum, count) = common::watchdog(move || {
            let side = Shared::subject::<u64, StreamError>();
            let (from, mut other) = (side.clone(), side);
            let (sender, receiver) = futures::channel::mpsc::unbounded();
            let room = Buffer::new(2 * N as usize);
            let mut stream = receiver.through_in(Shared::new(()), room, move |n| n.merge(from));
            // The other one must be subscribed before it sends.
            assert!(stream.next().now_or_never().is_none());
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    for n in 0..N {
                        other.next(n);
                        if round % 2 == 0 {
                            std::thread::yield_now();
                        }
                    }
                    other.complete();
                });
                scope.spawn(move || (0..N).for_each(|n| sender.unbounded_send(N + n).unwrap()));
                block_on(stream.fold((0, 0), |(sum, count), n| async move { (sum + n.unwrap(), count + 1) }))
            })
        });
        assert_eq!((sum, count), ((0..2 * N).sum::<u64>(), 2 * N));
    }
}

#[test]
fn nothing_comes_after_an_end() {
    let woken = Arc::<Woken>::default();
    let mut ended: [Pin<Box<dyn Stream<Item = Result<u64, StreamError>>>>; 4] = [
        Box::pin(stream::empty().through(|n| n)),
        Box::pin(stream::iter(0..9).through(|n| n.take(0))),
        Box::pin(stream::iter(0..9).through(|n| n.map(|n| 6 / n))),
        Box::pin(stream::iter(0..9).through_shared(|n| n.throttle_first_by(u64::MAX, |n| *n).skip(1))),
    ];
    for (case, stream) in ended.iter_mut().enumerate() {
        let first = poll(stream, &woken);
        assert!(
            matches!((case, &first), (2, Poll::Ready(Some(Err(_)))) | (_, Poll::Ready(None))),
            "{case}: {first:?}"
        );
        (0..3).for_each(|_| assert!(matches!(poll(stream, &woken), Poll::Ready(None)), "{case}"));
    }
}

#[test]
fn ends_are_passed_on() {
    let all = |stream| block_on(StreamExt::collect::<Vec<Result<i32, String>>>(stream));
    let text = |error: StreamError| error.to_string();
    let numbers = || stream::iter(1..=3);
    let of = |chain: Box<dyn Stream<Item = Result<i32, StreamError>> + Unpin>| {
        all(chain.map(|item| item.map_err(text)))
    };
    assert_eq!(of(Box::new(numbers().through(|n| n))), [Ok(1), Ok(2), Ok(3)]);
    assert_eq!(of(Box::new(numbers().through(|n| n.take(2)))), [Ok(1), Ok(2)]);
    assert_eq!(of(Box::new(numbers().through(|n| n.take(0)))), []);
    assert_eq!(of(Box::new(numbers().through(|n| n.take_last(1)))), [Ok(3)]);
    assert_eq!(of(Box::new(numbers().through(|n| n.start_with([7])))), [Ok(7), Ok(1), Ok(2), Ok(3)]);
    assert_eq!(
        of(Box::new(numbers().through(|n| n.map(|n| 6 / (n - 2))))),
        [Ok(-6), Err("panic in `map`: attempt to divide by zero".into())]
    );
    assert_eq!(
        of(Box::new(numbers().through(|n| n.single()))),
        [Err("`single`: the source has more than one item".to_owned())]
    );
}

#[test]
fn a_panic_of_the_source_ends_the_stream() {
    let source = stream::iter(0..3).map(|n| 6 / (1 - n));
    let ends: Vec<_> = block_on(source.through(|n| n).map(|item| item.map_err(|e| e.to_string())).collect());
    assert_eq!(ends, [Ok(6), Err("panic in `through`: attempt to divide by zero".to_owned())]);
}

#[test]
fn a_stream_that_is_dropped_drops_its_source_and_what_was_not_taken() {
    let token = Arc::new(());
    let held = token.clone();
    let source = stream::iter(0..9).map(move |_| held.clone());
    let mut stream =
        source.through(|n| n.flat_map(|n| Local::from_iter([n.clone(), n]).stream_error()).buffer_count(1));
    assert!(block_on(stream.next()).is_some());
    drop(stream);
    assert_eq!(Arc::strong_count(&token), 1);
}

#[test]
fn timed_operators_wake_the_stream() {
    let scheduler = VirtualScheduler::new();
    let (mut sender, receiver) = futures::channel::mpsc::unbounded();
    let context = scheduler.on(Local::new(()));
    let mut stream = receiver.through_in(context, Buffer::new(10), |n| n.debounce(Duration::from_millis(10)));
    let woken = Arc::<Woken>::default();
    assert!(poll(&mut stream, &woken).is_pending());
    sender.send(1).now_or_never().unwrap().unwrap();
    sender.send(2).now_or_never().unwrap().unwrap();
    assert_eq!(woken.take(), 1);
    assert!(poll(&mut stream, &woken).is_pending());
    scheduler.advance_by(Duration::from_millis(9));
    assert_eq!(woken.take(), 0);
    scheduler.advance_by(Duration::from_millis(1));
    assert_eq!(woken.take(), 1);
    assert!(matches!(poll(&mut stream, &woken), Poll::Ready(Some(Ok(2)))));
    drop(sender);
    assert!(matches!(poll(&mut stream, &woken), Poll::Ready(None)));
}

#[test]
fn what_timed_operators_send_is_bounded() {
    let scheduler = VirtualScheduler::new();
    let context = scheduler.on(Local::new(()));
    let ticks = scheduler.on(Local::interval(Duration::from_millis(1))).stream_error();
    let buffer = Buffer::new(3).on_overflow(Overflow::DropOldest);
    let drops = buffer.drops();
    let mut stream = stream::pending().through_in(context, buffer, |n| n.merge(ticks));
    let woken = Arc::<Woken>::default();
    assert!(poll(&mut stream, &woken).is_pending());
    scheduler.advance_by(Duration::from_millis(10));
    assert_eq!(drops.get(), 7);
    for n in [7, 8, 9] {
        assert!(matches!(poll(&mut stream, &woken), Poll::Ready(Some(Ok(item))) if item == n));
    }
    assert!(poll(&mut stream, &woken).is_pending());
}

#[test]
fn too_much_is_an_error_by_default() {
    let scheduler = VirtualScheduler::new();
    let context = scheduler.on(Local::new(()));
    let ticks = scheduler.on(Local::interval(Duration::from_millis(1))).stream_error();
    let mut stream = stream::pending().through_in(context, Buffer::new(2), |n| n.merge(ticks));
    let woken = Arc::<Woken>::default();
    assert!(poll(&mut stream, &woken).is_pending());
    scheduler.advance_by(Duration::from_millis(10));
    let mut next = || match poll(&mut stream, &woken) {
        Poll::Ready(next) => next.map(|item| item.map_err(|error| error.to_string())),
        Poll::Pending => panic!(),
    };
    assert_eq!((next(), next()), (Some(Ok(0)), Some(Ok(1))));
    assert_eq!(next(), Some(Err("`through`: buffer of 2 items is full".into())));
    assert_eq!(next(), None);
}

#[test]
fn a_shared_chain_goes_between_threads() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let numbers = stream::iter(0..1_000_u64).then(|n| async move {
        tokio::task::yield_now().await;
        n
    });
    let sums = numbers.through_shared(|n| n.buffer_count(10).map(|n| n.iter().sum::<u64>()));
    let total = runtime.block_on(async {
        let task = tokio::spawn(async move {
            sums.fold(0, |total, sum| async move { total + sum.unwrap_or_default() }).await
        });
        task.await
    });
    assert_eq!(total.unwrap(), 499_500);
}

#[test]
fn deliveries_go_through_with_back_pressure_to_the_source() {
    let position = MemoryPosition::default();
    let acks = Acknowledger::with(
        "numbers",
        position.clone(),
        AckPolicy::default().max_in_flight(4).commit_every(1),
    )
    .unwrap();
    let (numbers, polled) = counted();
    let mut stream =
        acks.deliver_stream(numbers).through(|n| n.filter_map(Result::ok).filter(|n| **n % 2 == 1));
    let woken = Arc::<Woken>::default();
    let mut held = vec![];
    while let Poll::Ready(Some(Ok(item))) = poll(&mut stream, &woken) {
        held.push(item);
    }
    // 1, 3, 5 and what is behind the first of them: four are in flight from 1 on.
    assert_eq!((held.len(), polled.get()), (2, 5));
    assert_eq!(woken.take(), 0);
    assert_eq!(held.remove(0).ack(), 1);
    assert_eq!(woken.take(), 1);
    assert!(matches!(poll(&mut stream, &woken), Poll::Ready(Some(Ok(item))) if *item == 5));
    drop((stream, held));
    acks.counts().check().unwrap();
    drop(balanced(&acks));
}

/// A sink that fails at the flush after so many values.
struct Dying {
    values: Vec<u64>,
    flushed: usize,
    most: usize,
}

impl futures::Sink<u64> for Dying {
    type Error = &'static str;

    fn poll_ready(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, value: u64) -> Result<(), &'static str> {
        self.values.push(value);
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Result<(), &'static str>> {
        if self.values.len() > self.most {
            return Poll::Ready(Err("disk full"));
        }
        self.flushed = self.values.len();
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Result<(), &'static str>> {
        self.poll_flush(context)
    }
}

#[test]
fn a_sink_that_fails_acknowledges_only_what_it_had_flushed() {
    for (n, most, delivered) in [(1_000_u64, 600, 512), (1_000, 1_000, 1_000), (300, 0, 0)] {
        let acks = Acknowledger::new("numbers", MemoryPosition::default()).unwrap();
        let _books = balanced(&acks);
        let numbers = acks.deliver_stream(stream::iter(0..n));
        let sink = Dying { values: vec![], flushed: 0, most };
        let sent = block_on(numbers.forward_acked(sink));
        match sent {
            Ok(sent) => assert_eq!(sent, n),
            Err(ForwardError::Sink(error)) => assert_eq!(error, "disk full"),
            Err(error) => panic!("{error}"),
        }
        let counts = acks.counts();
        assert_eq!((counts.delivered, counts.abandoned), (delivered, counts.taken - delivered));
        assert_eq!(acks.commit().unwrap().map_or(0, |at| at.lines), delivered);
    }
}

#[test]
fn a_stream_that_waits_is_flushed() {
    let acks = Acknowledger::new("numbers", MemoryPosition::default()).unwrap();
    let _books = balanced(&acks);
    let (mut sender, receiver) = futures::channel::mpsc::unbounded();
    let mut forwarded = Box::pin(acks.deliver_stream(receiver).forward_acked(futures::sink::drain()));
    sender.send(1).now_or_never().unwrap().unwrap();
    assert!(forwarded.as_mut().now_or_never().is_none());
    assert_eq!(acks.counts().delivered, 1);
    drop(sender);
    assert_eq!(block_on(forwarded).unwrap(), 1);
    drop(balanced(&acks));
}

#[test]
fn a_bounded_stream_is_unsubscribed_when_it_is_dropped() {
    let mut clicks = Local::subject::<i32, Infallible>();
    let unsubscribed = Rc::new(Cell::new(false));
    let told = unsubscribed.clone();
    let mut stream = clicks.clone().finalize(move || told.set(true)).into_bounded_stream(Buffer::new(2));
    let woken = Arc::<Woken>::default();
    assert!(poll(&mut stream, &woken).is_pending());
    clicks.next(1);
    assert_eq!(woken.take(), 1);
    assert!(matches!(poll(&mut stream, &woken), Poll::Ready(Some(Ok(1)))));
    drop(stream);
    assert!(unsubscribed.get());
}

#[test]
fn a_bounded_stream_says_that_it_is_full() {
    let mut stream = Local::from_iter(0..5).stream_error().into_bounded_stream(Buffer::new(3));
    let items: Vec<_> =
        block_on(stream.by_ref().map(|item| item.map_err(|error| error.to_string())).collect());
    let full = "`into_bounded_stream`: buffer of 3 items is full".to_owned();
    assert_eq!(items, [Ok(0), Ok(1), Ok(2), Err(full)]);
}

/// CASES: a handler that publishes a thousand messages into a channel of three makes progress: it waits as a task does.
#[test]
fn a_handler_that_publishes_what_it_handles_goes_on() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (sender, receiver) = futures::channel::mpsc::channel(3);
    let handled = runtime.block_on(tokio::task::LocalSet::new().run_until(async {
        let published = tokio::task::spawn_local(async move {
            let mut sender = sender;
            for n in 0..1_000_u64 {
                sender.send(n).await.unwrap();
            }
        });
        let handled = receiver.through(|n| n.map(|n| n + 1)).map(Result::unwrap).collect::<Vec<u64>>().await;
        published.await.unwrap();
        handled
    }));
    assert_eq!(handled, (1..=1_000).collect::<Vec<_>>());
}
