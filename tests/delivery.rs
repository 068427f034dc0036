//! At least once, from source to sink, through every kind of operator: what is done is committed, what is not comes again.

#[path = "common/numbers.rs"]
mod numbers;

use std::{
    cell::RefCell,
    num::NonZeroUsize,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use numbers::Source;
use rxevents::{
    delivery::{AckPolicy, MemoryPosition, Position},
    prelude::*,
    source::Replayed,
    testing::VirtualScheduler,
};

type Kept<T> = Rc<RefCell<Vec<T>>>;

fn keep<T>(kept: &Kept<T>) -> impl FnMut(T) + use<T> {
    let kept = kept.clone();
    move |item| kept.borrow_mut().push(item)
}

fn unexpected(error: StreamError) {
    panic!("{error}");
}

#[test]
fn the_contiguous_prefix_is_committed_whatever_the_order() {
    let source = Source::new();
    let kept = Kept::default();
    Local::from_iter_result(source.items(6)).on_error_route(observer(unexpected)).subscribe(keep(&kept));
    let mut kept: Vec<Option<Delivery<u64>>> = kept.take().into_iter().map(Some).collect();
    for (done, committed) in [(1, 0), (3, 0), (0, 2), (5, 2), (4, 2), (2, 6)] {
        drop(kept[done].take());
        assert_eq!(source.committed(), committed, "after {done}");
    }
}

#[test]
fn the_last_one_commits_when_the_source_has_ended() {
    let source = Source::with(AckPolicy::default());
    let kept = Kept::default();
    Local::from_iter_result(source.items(3)).on_error_route(observer(unexpected)).subscribe(keep(&kept));
    assert_eq!(source.position.get(), None);
    kept.take();
    assert_eq!(source.position.get(), Some(Position { bytes: 0, lines: 3 }));
}

#[test]
fn it_commits_when_nobody_uses_it_any_more() {
    let source = Source::with(AckPolicy::default());
    Local::from_iter_result(source.items(9))
        .take(5)
        .on_error_route(observer(unexpected))
        .subscribe(|item| _ = item.ack());
    let Source { acks, position, books } = source;
    drop(books);
    assert_eq!(position.get(), None);
    drop(acks);
    assert_eq!(position.get().unwrap().lines, 5);
}

#[test]
fn it_commits_while_the_source_is_read() {
    let source = Source::with(AckPolicy::default().commit_every(10));
    let position = source.position.clone();
    let mut seen = vec![];
    Local::from_iter_result(source.items(35)).on_error_route(observer(unexpected)).subscribe(|item| {
        seen.push(position.get().unwrap_or_default().lines);
        drop(item);
    });
    assert_eq!((seen[9], seen[10], seen[20], seen[34]), (0, 10, 20, 30));
    assert_eq!(source.position.get().unwrap().lines, 35);
}

/// Each chain is written once, for both contexts.
macro_rules! both {
    ($($(#[$attribute:meta])* fn $name:ident($cx:ident) $body:block)*) => {$(
        mod $name {
            use super::*;
            $(#[$attribute])*
            #[test]
            fn local() {
                type $cx = Local<()>;
                $body
            }
            $(#[$attribute])*
            #[test]
            fn shared() {
                type $cx = Shared<()>;
                $body
            }
        }
    )*};
}

/// Receipts that a subscriber keeps, in both contexts.
type Receipts = Arc<Mutex<Vec<Receipt>>>;

fn receipts_to(kept: &Receipts) -> impl FnMut(Receipt) + Send + use<> {
    let kept = kept.clone();
    move |receipt| kept.lock().unwrap().push(receipt)
}

both! {
    fn filters_are_done_with_what_they_drop(Cx) {
        let source = Source::new();
        let kept = Receipts::default();
        let mut keep = receipts_to(&kept);
        Cx::from_iter_result(source.items(10))
            .filter(|n| **n >= 4)
            .skip(1)
            .map(|item: Delivery<u64>| item.map(|n| n.to_string()))
            .filter(|item| item.as_str() == "5")
            .on_error_route(observer(unexpected))
            .subscribe(move |item| keep(item.into_parts().1));
        assert_eq!(source.committed(), 5);
        let counts = source.counts();
        assert_eq!((counts.filtered, counts.in_flight), (9, 1));
        kept.lock().unwrap().drain(..).for_each(Receipt::ack);
        assert_eq!(source.committed(), 10);
        assert_eq!(source.counts().delivered, 1);
    }

    fn a_window_is_done_when_the_whole_is(Cx) {
        let source = Source::new();
        let kept = Receipts::default();
        let mut keep = receipts_to(&kept);
        Cx::from_iter_result(source.items(10))
            .buffer_count(4)
            .take(2)
            .map(Delivery::gather)
            .on_error_route(observer(unexpected))
            .subscribe(move |window| keep(window.into_parts().1));
        let mut windows = std::mem::take(&mut *kept.lock().unwrap());
        assert_eq!(windows.iter().map(Receipt::events).collect::<Vec<_>>(), [4, 4]);
        assert_eq!(source.committed(), 0);
        windows.pop().unwrap().ack();
        assert_eq!(source.committed(), 0);
        windows.pop().unwrap().ack();
        assert_eq!(source.committed(), 8);
    }

    fn a_part_filled_window_of_a_stream_that_is_unsubscribed_is_not_done(Cx) {
        let source = Source::new();
        let subject = Cx::subject::<Arc<Mutex<Option<Delivery<u64>>>>, StreamError>();
        let subscription = subject
            .clone()
            .filter_map(|item| item.lock().unwrap().take())
            .buffer_count(4)
            .on_error_route(observer(unexpected))
            .subscribe(drop);
        let mut subject = subject;
        for item in source.items(6) {
            subject.next(Arc::new(Mutex::new(Some(item.unwrap()))));
        }
        assert_eq!(source.committed(), 4);
        subscription.unsubscribe();
        drop(subject);
        assert_eq!(source.committed(), 4);
        assert_eq!((source.counts().abandoned, source.counts().in_flight), (2, 0));
    }

    fn what_a_failed_stream_held_is_not_done(Cx) {
        let source = Source::new();
        Cx::from_iter_result(source.items(7).chain([Err(StreamError::NoItem("test"))]))
            .buffer_count(4)
            .on_error_route(observer(|error: StreamError| assert!(matches!(error, StreamError::NoItem(_)))))
            .subscribe(drop);
        assert_eq!(source.committed(), 4);
        assert_eq!(source.counts().abandoned, 3);
    }

    fn a_zip_is_done_with_its_pairs_and_not_with_what_is_left(Cx) {
        let (left, right) = (Source::new(), Source::new());
        Cx::from_iter_result(left.items(5))
            .zip(Cx::from_iter_result(right.items(3)))
            .map(|(left, right)| left.pair(right))
            .filter(|pair| pair.0 < 2)
            .on_error_route(observer(unexpected))
            .subscribe(|pair| _ = pair.ack());
        assert_eq!((left.committed(), right.committed()), (3, 3));
        assert_eq!((left.counts().delivered, left.counts().filtered, left.counts().abandoned), (2, 1, 2));
    }

    fn a_full_buffer_that_fails_is_not_done_with_what_it_held(Cx) {
        let source = Source::new();
        Cx::from_iter_result(source.items(9))
            .zip_with_buffer(Cx::never().stream_error(), Buffer::new(3))
            .on_error_route(observer(|error: StreamError| assert!(matches!(error, StreamError::Overflow(_)))))
            .subscribe(|(_, ())| {});
        assert_eq!(source.committed(), 0);
        assert_eq!(source.counts().abandoned, 4);
        assert_eq!(source.counts().taken, 4);
    }

    fn a_policy_that_drops_is_done_with_what_it_dropped(Cx) {
        let source = Source::new();
        let buffer = Buffer::new(3).on_overflow(Overflow::DropOldest);
        Cx::from_iter_result(source.items(9))
            .zip_with_buffer(Cx::never().stream_error(), buffer.clone())
            .on_error_route(observer(unexpected))
            .subscribe(|(_, ())| {});
        assert_eq!(source.committed(), 6);
        assert_eq!((source.counts().dropped, buffer.drops().get()), (6, 6));
    }

    fn throttled_items_are_dropped_by_policy(Cx) {
        let source = Source::new();
        Cx::from_iter_result(source.items(10))
            .throttle_first_by(5_u64, |n: &Delivery<u64>| **n)
            .on_error_route(observer(unexpected))
            .subscribe(|item| _ = item.ack());
        assert_eq!(source.committed(), 10);
        assert_eq!((source.counts().dropped, source.counts().delivered), (8, 2));
    }

    fn a_join_is_done_with_pairs_and_with_what_has_no_match(Cx) {
        let (left, right) = (Source::new(), Source::new());
        let at = |seconds: u64| Duration::from_secs(seconds);
        Cx::from_iter_result(left.items(6))
            .join_within(
                Cx::from_iter_result(right.items(3)),
                Within::new(Duration::ZERO),
                move |n: &Delivery<u64>| at(**n),
                move |n: &Delivery<u64>| at(**n * 2),
            )
            .map(|(left, right)| left.pair(right))
            .on_error_route(observer(unexpected))
            .subscribe(|pair| _ = pair.ack());
        let (left, right) = (left.counts(), right.counts());
        left.check().unwrap();
        right.check().unwrap();
        assert_eq!((left.delivered, right.delivered), (3, 3));
        assert_eq!(left.in_flight + right.in_flight, 0);
    }

    fn a_panic_is_not_done(Cx) {
        let source = Source::new();
        let routed = Arc::new(Mutex::new(None));
        let route = routed.clone();
        Cx::from_iter_result(source.items(9))
            .map(|item: Delivery<u64>| item.map(|n| if n == 4 { panic!("four") } else { n }))
            .on_error_route(observer(move |error: StreamError| {
                *route.lock().unwrap() = Some(error.to_string());
            }))
            .subscribe(|item| _ = item.ack());
        assert_eq!(routed.lock().unwrap().as_deref(), Some("panic in `map`: four"));
        assert_eq!(source.committed(), 4);
        assert_eq!(source.counts().abandoned, 1);
    }

    fn a_failing_sink_is_not_done(Cx) {
        #[derive(Clone, Default)]
        struct Dying(u64);
        impl EventSink<u64> for Dying {
            type Error = std::io::Error;
            fn write(&mut self, value: &u64) -> Result<(), std::io::Error> {
                self.0 += 1;
                if *value == 5 { Err(std::io::Error::other("disk full")) } else { Ok(()) }
            }
            fn flush(&mut self) -> Result<(), std::io::Error> {
                Ok(())
            }
        }
        let source = Source::new();
        let routed = Arc::new(Mutex::new(None));
        let route = routed.clone();
        Cx::from_iter_result(source.items(9))
            .write_to_every(2, Dying::default())
            .on_error_route(observer(move |error: StreamError| {
                *route.lock().unwrap() = Some(error.to_string());
            }))
            .subscribe(drop);
        assert_eq!(routed.lock().unwrap().as_deref(), Some("disk full"));
        assert_eq!(source.committed(), 4);
        // The fourth was written, and not flushed.
        assert_eq!((source.counts().delivered, source.counts().abandoned), (4, 2));
    }

    fn a_sink_is_flushed_at_the_end_and_when_it_is_unsubscribed(Cx) {
        let source = Source::new();
        let stored = Arc::new(Mutex::new(vec![]));
        Cx::from_iter_result(source.items(9))
            .write_to(stored.clone())
            .on_error_route(observer(unexpected))
            .subscribe(drop);
        assert_eq!((source.committed(), stored.lock().unwrap().len()), (9, 9));
    }

    fn a_sink_says_how_many_it_has_flushed(Cx) {
        for (n, expected) in [(0, &[][..]), (4, &[2, 2]), (5, &[2, 2, 1])] {
            let (source, stored, flushed) = (Source::new(), Arc::<Mutex<Vec<_>>>::default(), Arc::default());
            let log: Arc<Mutex<Vec<u64>>> = Arc::clone(&flushed);
            Cx::from_iter_result(source.items(n))
                .write_to_every(2, stored)
                .on_error_route(observer(unexpected))
                .subscribe(move |written| log.lock().unwrap().push(written));
            assert_eq!(*flushed.lock().unwrap(), expected);
        }
    }

    fn a_poisoned_event_is_done_when_its_letter_is_stored(Cx) {
        let source = Source::new();
        let letters = MemoryQueue::new(10);
        Cx::from_iter_result(source.items(9))
            .map(|item: Delivery<u64>| item.map(|n| n.to_string()))
            .try_map(|text: &Delivery<String>| match text.as_str() {
                "3" => Err(Reason::decode("three")),
                text => Ok(text.len()),
            })
            .dead_letter(letters.clone())
            .on_error_route(observer(unexpected))
            .subscribe(drop);
        assert_eq!(source.committed(), 9);
        assert_eq!(letters.letters()[0].payload, b"3");
        assert_eq!(source.counts().dead_lettered, 1);
    }

    fn a_letter_that_cannot_be_stored_is_not_done(Cx) {
        let source = Source::new();
        let letters = MemoryQueue::new(1);
        Cx::from_iter_result(source.items(9))
            .map(|item: Delivery<u64>| item.map(|n| n.to_string()))
            .map(|item: Delivery<String>| item.try_map("odd", |text| match text.as_bytes()[0] % 2 {
                1 => Err(Reason::decode("odd")),
                _ => Ok(()),
            }))
            .dead_letter(letters.clone())
            .on_error_route(observer(|error: StreamError| assert!(matches!(error, StreamError::DeadLetter(_)))))
            .subscribe(drop);
        assert_eq!((letters.len(), source.committed()), (1, 3));
        assert_eq!(source.counts().abandoned, 1);
    }

    fn clones_to_several_consumers_are_done_when_all_are(Cx) {
        let source = Source::new();
        let kept = Receipts::default();
        let mut keep = receipts_to(&kept);
        let sum = Arc::new(Mutex::new(0));
        let total = sum.clone();
        let events = Cx::subject::<Delivery<u64>, StreamError>();
        events.clone().on_error_route(observer(unexpected)).subscribe(move |item| keep(item.into_parts().1));
        events.clone().on_error_route(observer(unexpected)).subscribe(move |item| {
            *total.lock().unwrap() += item.ack();
        });
        let mut entrance = events;
        source.items(3).for_each(|item| entrance.next(item.unwrap()));
        assert_eq!((*sum.lock().unwrap(), source.committed()), (3, 0));
        kept.lock().unwrap().drain(..).for_each(drop);
        assert_eq!(source.committed(), 3);
        // Of several fates the one counts that says most.
        assert_eq!(source.counts().delivered, 3);
    }

    fn what_nobody_listens_to_is_not_done(Cx) {
        let source = Source::new();
        let events = Cx::subject::<Delivery<u64>, StreamError>();
        let mut entrance = events.clone();
        let mut items = source.items(6).map(Result::unwrap);
        let listener =
            events.clone().on_error_route(observer(unexpected)).subscribe(|item| _ = item.ack());
        items.by_ref().take(3).for_each(|item| entrance.next(item));
        listener.unsubscribe();
        entrance.next(items.next().unwrap());
        let batched = vec![items.next().unwrap()];
        entrance.inner_mut().next_batch(batched);
        entrance.clone().complete();
        entrance.next(items.next().unwrap());
        assert_eq!((source.committed(), source.counts().abandoned), (3, 3));
    }

    fn more_in_flight_than_may_be_is_an_error_and_nothing_is_lost(Cx) {
        let source = Source::with(AckPolicy::default().max_in_flight(5));
        let routed = Arc::new(Mutex::new(None));
        let route = routed.clone();
        Cx::from_iter_result(source.items(100))
            .buffer_count(6)
            .on_error_route(observer(move |error: StreamError| {
                *route.lock().unwrap() = Some(error.to_string());
            }))
            .subscribe(drop);
        assert_eq!(
            routed.lock().unwrap().as_deref(),
            Some("`numbers`: 5 deliveries are in flight, of which 0 were abandoned and will never be done")
        );
        assert_eq!((source.counts().taken, source.committed()), (5, 0));
    }

    fn a_resumed_source_delivers_what_was_not_done(Cx) {
        let position = MemoryPosition::default();
        let run = |poison: Option<u64>| {
            let policy = AckPolicy::default().commit_every(1);
            let acks = Acknowledger::with("numbers", position.clone(), policy).unwrap();
            let seen = Arc::new(Mutex::new(vec![]));
            let see = seen.clone();
            Cx::from_iter_result(acks.resume(Replayed::new(0..6_u64)).unwrap())
                .map(move |item: Delivery<u64>| item.map(|n| if Some(n) == poison { panic!("poison") } else { n }))
                .on_error_route(observer(|error: StreamError| assert!(matches!(error, StreamError::Panic(_)))))
                .subscribe(move |item| see.lock().unwrap().push(item.ack()));
            acks.counts().check().unwrap();
            std::mem::take(&mut *seen.lock().unwrap())
        };
        assert_eq!(run(Some(2)), [0, 1]);
        assert_eq!(run(Some(4)), [2, 3]);
        assert_eq!(run(None), [4, 5]);
        assert_eq!(run(None), [] as [u64; 0]);
    }

    fn a_source_that_begins_below_what_ends_is_done_as_usual(Cx) {
        // The second source is subscribed while the observers of the first are let go of.
        let (first, second) = (Source::new(), Source::new());
        let items = second.items(5);
        Cx::from_iter_result(first.items(3))
            .map(|_: Delivery<u64>| -> Delivery<u64> { panic!("at once") })
            .catch_error(move |_| Cx::from_iter_result(items))
            .on_error_route(observer(unexpected))
            .subscribe(|item| _ = item.ack());
        assert_eq!((first.committed(), second.committed()), (0, 5));
    }
}

#[test]
fn what_a_timed_window_holds_at_its_end_is_done_only_when_it_is_sent() {
    let scheduler = VirtualScheduler::new();
    let source = Source::new();
    let items: Vec<_> = source.items(4).map(|item| Arc::new(Mutex::new(item.ok()))).collect();
    let subject = Local::subject::<Arc<Mutex<Option<Delivery<u64>>>>, StreamError>();
    let subscription = scheduler
        .on(subject.clone())
        .filter_map(|item| item.lock().unwrap().take())
        .buffer_time(Duration::from_secs(1))
        .on_error_route(observer(unexpected))
        .subscribe(drop);
    let mut entrance = subject;
    for (n, item) in items.into_iter().enumerate() {
        entrance.next(item);
        if n == 1 {
            scheduler.advance_by(Duration::from_secs(1));
        }
    }
    assert_eq!(source.committed(), 2);
    subscription.unsubscribe();
    drop(entrance);
    scheduler.run_ready();
    assert_eq!((source.committed(), source.counts().abandoned), (2, 2));
}

#[test]
fn handed_over_to_another_thread_and_back() {
    let source = Source::with(AckPolicy::default().max_in_flight(64).commit_every(16));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let _inside = runtime.enter();
    let sum = Arc::new(Mutex::new((0, 0)));
    let total = sum.clone();
    let (done, ended) = std::sync::mpsc::channel();
    let items = source.acks.resume(Replayed::new(0..10_000_u64)).unwrap().waiting();
    Shared::from_iter_result(items)
        .observe_on_with(SharedScheduler, Buffer::new(16).on_overflow(Overflow::Block))
        .finalize(move || done.send(()).unwrap())
        .on_error_route(observer(unexpected))
        .subscribe(move |item: Delivery<u64>| {
            let (count, sum) = &mut *total.lock().unwrap();
            (*count, *sum) = (*count + 1, *sum + item.ack());
        });
    ended.recv().unwrap();
    assert_eq!(*sum.lock().unwrap(), (10_000, 49_995_000));
    assert_eq!(source.committed(), 10_000);
}

#[test]
fn parallel_work_is_committed_in_the_order_of_the_source() {
    let source = Source::with(AckPolicy::default().commit_every(10));
    let seen = Arc::new(Mutex::new(0));
    let count = seen.clone();
    let (done, ended) = std::sync::mpsc::channel();
    Shared::from_iter_result(source.items(1_000))
        .parallel_map_with(
            Parallel::new(NonZeroUsize::new(32).unwrap()).unordered(),
            |item: &Delivery<u64>| {
                if **item % 100 == 99 {
                    panic!("hundredth")
                }
                Ok(item.derive(**item * 2))
            },
        )
        .filter_map(|worked: Result<Delivery<u64>, Rejected<Delivery<u64>>>| worked.ok())
        .finalize(move || done.send(()).unwrap())
        .on_error_route(observer(unexpected))
        .subscribe(move |item: Delivery<u64>| {
            assert_eq!(*item % 2, 0);
            *count.lock().unwrap() += 1;
            item.ack();
        });
    ended.recv().unwrap();
    assert_eq!(*seen.lock().unwrap(), 990);
    assert_eq!(source.committed(), 1_000);
    assert_eq!((source.counts().delivered, source.counts().filtered), (990, 10));
}

/// What is written and not flushed does not keep the source from going on, in whatever proportion others are left out.
#[test]
fn a_source_without_room_has_the_sinks_flushed() {
    for (most, part) in [(10, 1), (10, 7), (10, 1_000), (1, 3)] {
        let source = Source::with(AckPolicy::default().max_in_flight(most));
        let stored = Arc::new(Mutex::new(vec![]));
        Local::from_iter_result(source.items(1_000))
            .filter(move |n| **n % part == 0)
            .write_to(stored.clone())
            .on_error_route(observer(unexpected))
            .subscribe(drop);
        assert_eq!(
            (source.committed(), stored.lock().unwrap().len() as u64),
            (1_000, 1_000_u64.div_ceil(part))
        );
    }
}

#[test]
fn a_waiting_stream_has_the_sinks_flushed() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let source = Source::with(AckPolicy::default().max_in_flight(10));
    let stored = Arc::new(Mutex::new(vec![]));
    let numbers = source.acks.deliver_stream(futures::stream::iter(0..1_000_u64));
    let (done, ended) = tokio::sync::oneshot::channel();
    let written = stored.clone();
    runtime.block_on(tokio::task::LocalSet::new().run_until(async move {
        Local::from_stream_result(numbers)
            .observe_on_with(LocalScheduler, Buffer::new(100))
            .filter(|n| **n % 3 == 0)
            .write_to(written)
            .finalize(move || done.send(()).unwrap())
            .on_error_route(observer(unexpected))
            .subscribe(drop);
        ended.await.unwrap();
    }));
    assert_eq!((source.committed(), stored.lock().unwrap().len()), (1_000, 334));
}

#[test]
fn a_sink_that_fails_when_the_source_has_it_flushed_fails_the_stream() {
    struct Full;
    impl EventSink<u64> for Full {
        type Error = std::io::Error;
        fn write(&mut self, _: &u64) -> Result<(), std::io::Error> {
            Ok(())
        }
        fn flush(&mut self) -> Result<(), std::io::Error> {
            Err(std::io::Error::other("disk full"))
        }
    }
    let source = Source::with(AckPolicy::default().max_in_flight(10));
    let routed = Arc::new(Mutex::new(vec![]));
    let route = routed.clone();
    Local::from_iter_result(source.items(100))
        .write_to(Full)
        .on_error_route(observer(move |error: StreamError| route.lock().unwrap().push(error.to_string())))
        .subscribe(drop);
    assert_eq!(source.committed(), 0);
    assert_eq!(routed.lock().unwrap().len(), 1);
    assert_eq!((source.counts().abandoned, source.counts().taken), (10, 10));
}

/// Whoever unsubscribes within `next` has had that item; all after it are not done, wherever they were.
#[test]
fn unsubscribed_within_next() {
    macro_rules! chains {
        ($(|$s:ident, $events:ident| $chain:expr),* $(,)?) => {$({
            let $s = VirtualScheduler::new();
            let source = Source::new();
            let items: Vec<_> = source.items(6).map(Result::unwrap).collect();
            let entrance = Local::subject::<Arc<Mutex<Option<Delivery<u64>>>>, StreamError>();
            let $events = $s.on(entrance.clone()).filter_map(|item| item.lock().unwrap().take());
            let subscription = Rc::new(RefCell::new(None));
            let (slot, mut seen) = (subscription.clone(), 0);
            let subscribed = $chain.on_error_route(observer(unexpected)).subscribe(move |item: Delivery<u64>| {
                assert_eq!(item.ack(), seen, "{}", stringify!($chain));
                seen += 1;
                if seen == 2 {
                    let unsubscribe: Option<Box<dyn FnOnce()>> = slot.take();
                    unsubscribe.unwrap()();
                }
            });
            let unsubscribe: Box<dyn FnOnce()> = Box::new(move || subscribed.unsubscribe());
            *subscription.borrow_mut() = Some(unsubscribe);
            let mut entrance = entrance;
            items.into_iter().for_each(|item| entrance.next(Arc::new(Mutex::new(Some(item)))));
            $s.advance_by(Duration::from_secs(1));
            drop(entrance);
            $s.run_ready();
            let counts = source.counts();
            let rest = (counts.filtered, counts.dropped, counts.in_flight);
            assert_eq!((counts.delivered, rest), (2, (0, 0, 0)), "{}", stringify!($chain));
            assert_eq!(source.committed(), 2, "{}", stringify!($chain));
        })*};
    }
    let ms = Duration::from_millis;
    let one = |item: Delivery<u64>| Local::of(item).stream_error();
    chains!(
        |s, events| events.observe_on(s.clone()),
        |s, events| events.on_backpressure_buffer(10, Overflow::Error),
        |s, events| events.hand_off_on(s.clone(), Buffer::new(10)),
        |s, events| events.delay(ms(5)),
        |s, events| events.merge(s.on(Local::never()).stream_error()),
        |s, events| events.buffer_count(3).flat_map(move |all| Local::from_iter(all).stream_error()),
        |s, events| events.buffer_time(ms(5)).flat_map(move |all| Local::from_iter(all).stream_error()),
        |s, events| events.concat_map(one),
        |s, events| events.zip(s.on(Local::interval(ms(1))).stream_error()).map(|(item, _)| item),
        |s, events| events.rate_limit(Quota::new(1, ms(1)), Excess::Delay(Buffer::new(10))),
    );
}
