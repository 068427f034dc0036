//! What the seeds, and a look at the code, have found, each for itself.

use std::{
    cell::RefCell,
    io,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::numbers::Source;
use rxevents::{
    delivery::{AckPolicy, MemoryPosition, Position},
    gate::Signal,
    prelude::*,
    testing::{VirtualScheduler, balanced, record},
};

fn ignored(_: StreamError) {}

/// Each where a table of keys, or the operator itself, is full: the item that it fails at is not done.
#[test]
fn what_an_operator_fails_at_is_not_done() {
    macro_rules! fails_at_the_third {
        ($(|$source:ident| $chain:expr),* $(,)?) => {$({
            let source = Source::new();
            let $source = Local::from_iter_result(source.items(5));
            $chain.on_error_route(observer(ignored)).subscribe(drop);
            let counts = source.counts();
            assert_eq!((counts.filtered, counts.taken, counts.abandoned), (2, 3, 1), "{}", stringify!($chain));
        })*};
    }
    let keys = || Keys::new(2);
    fails_at_the_third!(|source| source.distinct_by_with(keys(), |n: &Delivery<u64>| &**n), |source| source
        .count_by_key_with(keys(), |n: &Delivery<u64>| &**n)
        .map(|(n, _)| n),);
    let source = Source::new();
    Local::from_iter_result(source.items(5)).single().on_error_route(observer(ignored)).subscribe(drop);
    assert_eq!((source.counts().filtered, source.counts().abandoned), (0, 2));
}

#[test]
fn the_rest_of_a_batch_is_not_done_when_the_stream_ends_in_it() {
    let source = Source::new();
    let items: Vec<_> = source.items(9).map(Result::unwrap).collect();
    Local::from_iter(items).batched().merge(Local::never()).take(2).subscribe(|item| _ = item.ack());
    let counts = source.counts();
    assert_eq!((counts.delivered, counts.filtered, counts.abandoned), (2, 0, 7));
}

#[test]
fn what_an_iterator_still_has_is_not_done() {
    let source = Source::new();
    let items: Vec<_> = source.items(9).map(Result::unwrap).collect();
    Local::from_iter(items).take(2).subscribe(|item| _ = item.ack());
    assert_eq!((source.counts().delivered, source.counts().abandoned), (2, 7));
}

/// As `switch_map` says: otherwise the event would come again and be cancelled again.
#[test]
fn what_switch_map_cancels_is_dropped_by_policy() {
    let scheduler = VirtualScheduler::new();
    let source = Source::new();
    let inner = scheduler.clone();
    scheduler
        .on(Local::from_iter_result(source.items(4)))
        .switch_map(move |item| {
            inner.on(Local::of(item)).stream_error().delay(Duration::from_millis(5)).buffer_count(2)
        })
        .map(Delivery::gather)
        .on_error_route(observer(ignored))
        .subscribe(|items| _ = items.ack());
    scheduler.advance_by(Duration::from_secs(1));
    let counts = source.counts();
    assert_eq!((counts.dropped, counts.delivered, counts.abandoned), (3, 1, 0));
}

/// A closed gate had let go of the sources that were to be subscribed to next, as if they were done.
#[test]
fn inner_sources_that_are_not_subscribed_any_more_are_not_done() {
    let source = Source::new();
    let mut items = source.items(3).map(Result::unwrap);
    let subject = Local::subject::<Delivery<u64>, StreamError>;
    let (outer, first, second) = (Local::subject::<usize, StreamError>(), subject(), subject());
    let waiting = RefCell::new(items.next());
    let inner = [first.clone(), second.clone()];
    let (mut outer_again, mut second_again, mut other) = (outer.clone(), second.clone(), items.next());
    outer
        .clone()
        .flat_map(move |n| match inner.get(n) {
            Some(subject) => subject.clone().boxed(),
            None => Local::from_iter(waiting.take()).stream_error().boxed(),
        })
        .take(2)
        .on_error_route(observer(ignored))
        .subscribe(move |item: Delivery<u64>| {
            _ = item.ack();
            if let Some(other) = other.take() {
                // Both wait at the gate: the first makes an inner source, the second ends the stream.
                outer_again.next(2);
                second_again.next(other);
            }
        });
    let (mut outer, mut first) = (outer, first);
    outer.next(0);
    outer.next(1);
    first.next(items.next().unwrap());
    let counts = source.counts();
    assert_eq!((counts.delivered, counts.filtered, counts.abandoned), (2, 0, 1));
}

struct Sink {
    written: usize,
    panics_at: usize,
    flush: bool,
}

impl EventSink<u64> for Sink {
    type Error = io::Error;

    fn write(&mut self, _: &u64) -> io::Result<()> {
        self.written += 1;
        assert!(self.flush || self.written != self.panics_at, "injected");
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let panics = self.flush && self.written == self.panics_at;
        self.written += 1;
        assert!(!panics, "injected");
        Ok(())
    }
}

/// Whatever a later flush says: the stream's end flushes once more.
#[test]
fn what_was_written_to_a_sink_that_panics_is_not_done() {
    super::quiet();
    for flush in [false, true] {
        let source = Source::new();
        Local::from_iter_result(source.items(9))
            .write_to_every(3, Sink { written: 0, panics_at: 3, flush })
            .on_error_route(observer(ignored))
            .subscribe(drop);
        let counts = source.counts();
        assert_eq!((counts.delivered, counts.filtered, counts.abandoned), (0, 0, 3), "{flush}");
    }
}

#[test]
fn a_retry_without_room_does_not_lose_what_it_fails_at() {
    let scheduler = VirtualScheduler::new();
    let retry = |overflow| {
        EventRetry::new(Retry::times(1).fixed(Duration::from_secs(1)))
            .buffer(Buffer::new(1).on_overflow(overflow))
    };
    let fails = |_: &Delivery<u64>| Err::<Delivery<u64>, _>(Reason::other("busy"));
    for ordered in [false, true] {
        for (overflow, dropped) in [
            (Overflow::Error, 0),
            (Overflow::DropNewest, 3),
            (Overflow::DropOldest, 3),
            (Overflow::Latest, 3),
        ] {
            let source = Source::new();
            let events = scheduler.on(Local::from_iter_result(source.items(4)));
            let retry = retry(overflow);
            let done = Arc::new(Mutex::new(0));
            let letters = done.clone();
            let count = move |result: Result<Delivery<u64>, Rejected<Delivery<u64>>>| {
                *letters.lock().unwrap() += 1;
                result.unwrap_err().item.into_parts().1.dead_lettered();
            };
            if ordered {
                let events = events.try_map_with_retry_with(retry.ordered(), fails);
                events.on_error_route(observer(ignored)).subscribe(count);
            } else {
                let events = events.try_map_with_retry_with(retry, fails);
                events.on_error_route(observer(ignored)).subscribe(count);
            }
            scheduler.advance_by(Duration::from_secs(5));
            let counts = source.counts();
            assert_eq!(counts.filtered, 0, "{overflow:?}, ordered: {ordered}: {counts:?}");
            assert_eq!(counts.dropped, dropped, "{overflow:?}, ordered: {ordered}: {counts:?}");
        }
    }
}

/// CASES: after a reconnect, acknowledgements of the generation before are discarded.
#[test]
fn an_older_acknowledger_does_not_move_the_position() {
    let folder = tempfile::tempdir().unwrap();
    let file = PositionFile::open(folder.path().join("positions.json")).unwrap();
    let memory = MemoryPosition::default();
    for durable in [false, true] {
        let connect = || match durable {
            true => Acknowledger::new("numbers", file.source("numbers")).unwrap(),
            false => Acknowledger::new("numbers", memory.clone()).unwrap(),
        };
        let first = connect();
        let mut held: Vec<_> = first.deliver(0..10).map(Result::unwrap).collect();
        held.drain(..2).for_each(|item| _ = item.ack());
        assert_eq!(first.commit().unwrap(), Some(Position { bytes: 0, lines: 2 }));
        // A new connection delivers the rest again.
        let second = connect();
        assert_eq!(second.resumes_at().unwrap().lines, 2);
        let mut again: Vec<_> = second.deliver(2..10).map(Result::unwrap).collect();
        again.drain(..1).for_each(|item| _ = item.ack());
        second.commit().unwrap();
        // Late acknowledgements of the first one.
        held.into_iter().for_each(|item| _ = item.ack());
        let _ = first.commit();
        drop(first);
        if !durable {
            assert_eq!(memory.get().unwrap().lines, 3);
        } else {
            let text = std::fs::read_to_string(folder.path().join("positions.json")).unwrap();
            assert!(text.contains("\"lines\":3"), "{text}");
        }
        again.into_iter().for_each(|item| _ = item.ack());
        second.commit().unwrap();
        assert_eq!(connect().resumes_at().unwrap().lines, 10);
    }
}

/// CASES: a limit of N makes the source wait, and what fails then still has its original bytes.
#[test]
fn a_full_limit_back_pressures_and_late_failures_keep_their_bytes() {
    use futures::{FutureExt, StreamExt, stream};
    use std::{cell::Cell, rc::Rc};
    const N: usize = 4;
    let policy = AckPolicy::default().max_in_flight(N).commit_every(1);
    let acks = Acknowledger::with("lines", MemoryPosition::default(), policy).unwrap();
    let polled = Rc::new(Cell::new(0_u64));
    let count = polled.clone();
    let lines = stream::iter(0_u8..20).map(move |n| {
        count.set(count.get() + 1);
        vec![0xff, n, b'\n', 0]
    });
    let letters = MemoryQueue::new(100);
    // A processor that says of N raw messages only later that they were bad.
    let mut stream = acks.deliver_stream(lines).through(|lines| lines.filter_map(Result::ok));
    let (mut held, mut taken) = (vec![], 0);
    while taken < 20 {
        while let Some(Some(Ok(line))) = stream.next().now_or_never() {
            held.push(line);
        }
        assert!(held.len() <= N && polled.get() <= taken + N as u64 + 1, "{} after {taken}", polled.get());
        taken += held.len() as u64;
        let bad: Vec<_> = held
            .drain(..)
            .map(|line| line.try_map("late", |_| Err::<(), _>(Reason::decode("late"))))
            .collect();
        Local::from_iter(bad).dead_letter(letters.clone()).subscribe(drop);
    }
    let bytes: Vec<_> = letters.letters().iter().map(|letter| letter.payload.to_vec()).collect();
    assert_eq!(bytes, (0_u8..20).map(|n| vec![0xff, n, b'\n', 0]).collect::<Vec<_>>());
    drop(balanced(&acks));
    assert_eq!(acks.counts().dead_lettered, 20);
}

/// CASES: received = sent + queued + dropped at every step; a gauge of the peak; a drop says what it is.
#[test]
fn received_is_sent_and_queued_and_dropped_at_every_step() {
    for (overflow, most) in [(Overflow::DropOldest, 3), (Overflow::DropNewest, 3), (Overflow::Latest, 3)] {
        let scheduler = VirtualScheduler::new();
        let source = Source::new();
        let buffer = Buffer::new(3).on_overflow(overflow);
        let (depth, drops) = (buffer.depth(), buffer.drops());
        let slot = Rc::new(RefCell::new(None));
        let emitter = slot.clone();
        let sent = Arc::new(Mutex::new(0));
        let count = sent.clone();
        scheduler
            .on(Local::create(move |emitter| *slot.borrow_mut() = Some(emitter)))
            .observe_on_with(scheduler.clone(), buffer)
            .on_error_route(observer(ignored))
            .subscribe(move |item: Delivery<u64>| {
                *count.lock().unwrap() += 1;
                _ = item.ack();
            });
        let mut emitter = emitter.borrow_mut().take().unwrap();
        let (mut received, mut dropped_now) = (0, 0);
        for (step, item) in source.items(40).enumerate() {
            emitter.next(item.unwrap()).unwrap();
            received += 1;
            if step % 7 == 6 {
                // A look between two bursts sees none queued; the peak is still known.
                scheduler.run_ready();
                assert_eq!(depth.get(), 0);
            }
            let counts = source.counts();
            assert_eq!(received, *sent.lock().unwrap() + depth.get() as u64 + drops.get(), "{overflow:?}");
            assert_eq!((counts.dropped, counts.filtered), (drops.get(), 0), "{overflow:?}");
            assert!(drops.get() >= dropped_now);
            dropped_now = drops.get();
        }
        assert_eq!(depth.peak(), most);
        assert!(dropped_now > 0);
    }
}

/// CASES: a handler publishes far more than there is room for to the queue that feeds it: it goes on, or is told, and never waits
/// for itself.
#[test]
fn a_handler_that_publishes_to_its_own_full_queue_does_not_wait_for_itself() {
    use futures::stream;
    for overflow in
        [Overflow::DropOldest, Overflow::DropNewest, Overflow::Latest, Overflow::Error, Overflow::Block]
    {
        let scheduler = VirtualScheduler::new();
        let buffer = Buffer::new(3).on_overflow(overflow);
        let drops = buffer.drops();
        let mut bus = Local::subject::<u64, StreamError>();
        let mut publish = bus.clone();
        let fed = scheduler.on(bus.clone()).observe_on_with(scheduler.clone(), buffer);
        let seen = record(fed.tap(move |n| {
            if *n == 0 {
                (1..=1000).for_each(|n| publish.next(n));
            }
        }));
        bus.next(0);
        scheduler.run_ready();
        let items = seen.items();
        if matches!(overflow, Overflow::Error | Overflow::Block) {
            let Some((_, Signal::Error(error))) = seen.signals().pop() else {
                panic!("{overflow:?}: no error")
            };
            assert_eq!(error.to_string(), "`observe_on`: buffer of 3 items is full", "{overflow:?}");
            assert_eq!(items[0], 0);
        } else {
            assert_eq!(items.len() as u64 + drops.get(), 1001, "{overflow:?}");
            let last = if overflow == Overflow::DropNewest { 3 } else { 1000 };
            assert_eq!((items[0], items.last()), (0, Some(&last)), "{overflow:?}");
        }
    }
    // What is given as a stream is awaited: all of it arrives.
    let scheduler = VirtualScheduler::new();
    let buffer = Buffer::new(3).on_overflow(Overflow::Block);
    let (depth, inner) = (buffer.depth(), scheduler.clone());
    let published =
        scheduler.on(Local::of(0)).flat_map(move |_| inner.on(Local::from_stream(stream::iter(1..=1000))));
    let seen = record(published.stream_error().observe_on_with(scheduler.clone(), buffer));
    scheduler.run_ready();
    assert_eq!(seen.items(), (1..=1000).collect::<Vec<_>>());
    assert!(depth.peak() <= 4, "{}", depth.peak());
}
