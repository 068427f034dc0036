//! A pipeline as a whole: the ledger, the graph, and an end that leaves nothing behind.

use std::{
    any::Any,
    cell::RefCell,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use rxevents::{
    delivery::{AckPolicy, Deliveries, MemoryPosition},
    prelude::*,
    source::Replayed,
    testing::{VirtualScheduler, balanced, record},
};

const DEADLINE: Duration = Duration::from_secs(60);

fn unexpected(error: StreamError) {
    panic!("{error}");
}

/// Numbers as deliveries, and how far they were committed.
fn acks() -> (Acknowledger, MemoryPosition) {
    let position = MemoryPosition::default();
    let acks = Acknowledger::with("numbers", position.clone(), AckPolicy::default().commit_every(1)).unwrap();
    (acks, position)
}

type Stored = Arc<Mutex<Vec<Vec<u64>>>>;

#[test]
fn counts_and_edges_of_nested_and_merged_stages() {
    let pipeline = Pipeline::new("p");
    let left = Local::from_iter(0..10).stoppable(&pipeline, "left");
    let right = Local::from_iter(0..5).stoppable(&pipeline, "right");
    let letters = MemoryQueue::new(10);
    left.merge(right)
        .stage(&pipeline, "decode", |numbers| {
            numbers
                .stage(&pipeline, "small", |numbers| numbers.filter(|n| *n < 8))
                .map(|n| n.to_string())
                .try_map(|text: &String| {
                    text.parse::<u8>().map_err(Reason::decode).and_then(|n| match n {
                        3 => Err(Reason::decode("three")),
                        n => Ok(n),
                    })
                })
                .dead_letter(letters.clone())
        })
        .stage(&pipeline, "pairs", |numbers| numbers.buffer_count(2))
        .stage(&pipeline, "twice", |pairs| pairs.flat_map(|pair| Local::from_iter([pair.clone(), pair])))
        .subscribe(drop);
    let ledger = pipeline.ledger();
    let counts: Vec<_> = ledger
        .stages
        .iter()
        .map(|s| (s.stage, s.taken, s.out, s.dead_lettered, s.absorbed, s.made, s.open))
        .collect();
    assert_eq!(
        counts,
        [
            ("left", 10, 10, 0, 0, 0, 0),
            ("right", 5, 5, 0, 0, 0, 0),
            ("decode", 15, 11, 2, 2, 0, 0),
            ("small", 15, 13, 0, 2, 0, 0),
            ("pairs", 11, 6, 0, 5, 0, 0),
            ("twice", 6, 12, 0, 0, 6, 0),
        ]
    );
    assert!(
        ledger.stages[2..].iter().all(|stage| (stage.time.samples > 0) == (stage.stage != "pairs")),
        "{ledger}"
    );
    let graph = pipeline.graph();
    assert_eq!(graph.edges, [(4, 5), (2, 4), (0, 2), (1, 2)]);
    assert_eq!(
        graph.mermaid(),
        "flowchart LR\n    \
         n0([\"left<br/>10 out\"])\n    \
         n1([\"right<br/>5 out\"])\n    \
         n2[\"decode<br/>15 in, 11 out, 2 dead letters\"]\n    \
         n3[\"small<br/>15 in, 13 out\"]\n    \
         n4[\"pairs<br/>11 in, 6 out\"]\n    \
         n5[\"twice<br/>6 in, 12 out\"]\n    \
         n4 --> n5\n    n2 --> n4\n    n0 --> n2\n    n1 --> n2\n    n2 -.- n3\n"
    );
    let dot = graph.dot();
    assert!(dot.contains("n0 [shape=oval, label=\"left\\n10 out\"];"), "{dot}");
    assert!(dot.contains("n0 -> n2;") && dot.contains("n2 -> n3 [style=dotted, dir=none];"), "{dot}");
}

#[test]
fn subscriptions_are_added_up() {
    let pipeline = Pipeline::new("p");
    let numbers = Local::from_iter(0..10).stage(&pipeline, "all", |numbers| numbers.map(|n| n + 1));
    numbers.clone().subscribe(drop);
    numbers.take(3).subscribe(drop);
    let ledger = pipeline.ledger();
    let all = ledger.stage("all").unwrap();
    assert_eq!((all.taken, all.out, all.open), (13, 13, 0));
}

#[test]
fn batches_are_counted() {
    let pipeline = Pipeline::new("p");
    let mut seen = 0;
    Local::from_iter(0..100)
        .batched()
        .each()
        .stage(&pipeline, "odd", |numbers| numbers.filter(|n| n % 2 == 1))
        .subscribe(|_| seen += 1);
    let ledger = pipeline.ledger();
    let odd = ledger.stage("odd").unwrap();
    assert_eq!((seen, odd.taken, odd.out), (50, 100, 50));
}

/// CASES: 300 items, a batch of 250: a shutdown delivers all 300.
#[test]
fn a_part_filled_batch_is_sent_at_the_shutdown() {
    let pipeline = Pipeline::new("p");
    let (acks, position) = acks();
    pipeline.acknowledges(&acks);
    let _books = balanced(&pipeline);
    let stored = Stored::default();
    let mut entrance = Local::subject::<Delivery<u64>, StreamError>();
    entrance
        .clone()
        .stoppable(&pipeline, "numbers")
        .stage(&pipeline, "batches", |numbers| numbers.buffer_count(250).map(Delivery::gather))
        .write_to(stored.clone())
        .on_error_route(observer(unexpected))
        .subscribe(drop);
    acks.deliver(0..300).for_each(|item| entrance.next(item.unwrap()));
    assert_eq!(pipeline.ledger().in_flight(), 300);
    let drained = pipeline.shutdown(DEADLINE).unwrap();
    drained.ledger.check().unwrap();
    assert_eq!(stored.lock().unwrap().iter().map(Vec::len).collect::<Vec<_>>(), [250, 50]);
    assert_eq!(position.get().unwrap().lines, 300);
    assert_eq!(drained.ledger.deliveries[0].delivered, 300);
}

#[test]
fn a_source_that_keeps_its_thread_stops_after_the_event_it_is_at() {
    let pipeline = Pipeline::new("p");
    let stop = pipeline.clone();
    let seen = record(VirtualScheduler::new().on(Local::from_iter(0..)).stoppable(&pipeline, "endless").tap(
        move |n| {
            if *n == 3 {
                stop.stop()
            }
        },
    ));
    assert_eq!(seen.items(), [0, 1, 2, 3]);
    pipeline.shutdown(DEADLINE).unwrap();
}

#[test]
fn a_source_that_is_subscribed_after_the_stop_yields_nothing() {
    let pipeline = Pipeline::new("p");
    pipeline.stop();
    let seen = record(VirtualScheduler::new().on(Local::from_iter(0..)).stoppable(&pipeline, "late"));
    assert!(matches!(seen.signals()[..], [(Duration::ZERO, rxevents::gate::Signal::Complete)]));
}

#[test]
fn a_shared_source_is_stopped_from_another_thread() {
    let pipeline = Pipeline::new("p");
    let stop = pipeline.clone();
    let (acks, position) = acks();
    pipeline.acknowledges(&acks);
    let _books = balanced(&pipeline);
    let worker = std::thread::spawn(move || {
        let stored = Stored::default();
        Shared::from_iter_result(acks.resume(Replayed::new(0_u64..)).unwrap())
            .stoppable(&pipeline, "endless")
            .stage(&pipeline, "batches", |numbers| numbers.buffer_count(100).map(Delivery::gather))
            .write_to(stored.clone())
            .on_error_route(observer(unexpected))
            .subscribe(drop);
        (pipeline.ledger(), stored.lock().unwrap().iter().map(Vec::len).sum::<usize>())
    });
    while stop.ledger().stages.iter().all(|stage| stage.out < 1_000) {
        std::thread::yield_now();
    }
    let drained = stop.shutdown(DEADLINE).unwrap();
    let (ledger, stored) = worker.join().unwrap();
    assert_eq!(drained.ledger.deliveries[0].delivered, ledger.deliveries[0].delivered);
    ledger.check().unwrap();
    assert_eq!(position.get().unwrap().lines, stored as u64);
    assert_eq!(ledger.deliveries[0].delivered, stored as u64);
}

/// A sink that never comes back to the queue before it: what is left at the deadline is said, and delivered again.
#[test]
fn what_is_left_at_the_deadline_is_delivered_again() {
    let scheduler = VirtualScheduler::new();
    let pipeline = Pipeline::new("p");
    let (acks, position) = acks();
    pipeline.acknowledges(&acks);
    let mut entrance = Local::subject::<Delivery<u64>, StreamError>();
    let subscription = scheduler
        .on(entrance.clone())
        .stoppable(&pipeline, "numbers")
        .stage(&pipeline, "slow", |numbers| numbers.delay(Duration::from_secs(60)))
        .on_error_route(observer(unexpected))
        .subscribe(|item| _ = item.ack());
    pipeline.keep(Local::new(()), subscription);
    let mut items = acks.deliver(0..10);
    items.by_ref().take(2).for_each(|item| entrance.next(item.unwrap()));
    scheduler.advance_by(Duration::from_secs(60));
    items.for_each(|item| entrance.next(item.unwrap()));
    let shutdown = pipeline.shutdown_on(&scheduler, Duration::from_secs(5));
    let outcome = Rc::new(RefCell::new(None));
    let told = outcome.clone();
    scheduler.on(Local::from_future(shutdown)).subscribe(move |end| *told.borrow_mut() = Some(end));
    scheduler.advance_by(Duration::from_secs(5));
    let left = outcome.take().unwrap().unwrap_err();
    assert_eq!((left.took, left.open.as_slice()), (Duration::from_secs(5), &["slow"][..]));
    left.ledger.check().unwrap();
    let counts = &left.ledger.deliveries[0];
    assert_eq!((counts.delivered, counts.abandoned, counts.in_flight), (2, 8, 0));
    assert_eq!(position.get().unwrap().lines, 2);
    assert_eq!(
        left.to_string(),
        "`p` was shut down after 5s, before these had ended: slow; `numbers` will deliver again 8 events, and what came \
         after the first of them"
    );
}

/// Gives back what it feeds by, so that it is there until the shutdown.
type Feed = fn(&Pipeline, Deliveries<Replayed<std::ops::Range<u64>>>, Stored) -> Box<dyn Any>;

/// What is stored, committed, abandoned, and comes again, of ten numbers in windows of four.
fn stopped_in_a_window(pipeline: Pipeline, feed: Feed) -> (Vec<usize>, u64, u64, Vec<u64>) {
    let (acks, position) = acks();
    pipeline.acknowledges(&acks);
    let stored = Stored::default();
    let _fed = feed(&pipeline, acks.resume(Replayed::new(0..10)).unwrap(), stored.clone());
    let drained = pipeline.shutdown(DEADLINE).unwrap();
    drained.ledger.check().unwrap();
    assert!(drained.ledger.stages.iter().all(|stage| stage.open == 0), "{}", drained.ledger);
    let sizes = stored.lock().unwrap().iter().map(Vec::len).collect();
    let committed = position.get().unwrap().lines;
    let again = Acknowledger::new("numbers", position).unwrap();
    let _again_books = balanced(&again);
    let again = again.resume(Replayed::new(0..10)).unwrap().map(|item| item.unwrap().ack()).collect();
    (sizes, committed, drained.ledger.deliveries[0].abandoned, again)
}

/// Pushed by hand, and stopped between two events.
fn pushed(
    pipeline: &Pipeline,
    items: Deliveries<Replayed<std::ops::Range<u64>>>,
    stored: Stored,
) -> Box<dyn Any> {
    let mut entrance = Local::subject::<Delivery<u64>, StreamError>();
    entrance
        .clone()
        .stoppable(pipeline, "numbers")
        .stage(pipeline, "batches", |numbers| numbers.buffer_count(4).map(Delivery::gather))
        .write_to(stored)
        .on_error_route(observer(unexpected))
        .subscribe(drop);
    items.for_each(|item| entrance.next(item.unwrap()));
    Box::new(entrance)
}

/// A source that keeps its thread, and is stopped while it yields the tenth.
fn pulled(
    pipeline: &Pipeline,
    items: Deliveries<Replayed<std::ops::Range<u64>>>,
    stored: Stored,
) -> Box<dyn Any> {
    let stop = pipeline.clone();
    Shared::from_iter_result(items)
        .stoppable(pipeline, "numbers")
        .tap(move |n| {
            if **n == 9 {
                stop.stop();
            }
        })
        .stage(pipeline, "batches", |numbers| numbers.buffer_count(4).map(Delivery::gather))
        .write_to(stored)
        .on_error_route(observer(unexpected))
        .subscribe(drop);
    Box::new(())
}

#[test]
fn a_part_filled_window_is_sent_at_the_shutdown_or_comes_again() {
    let quiet = Duration::from_millis(1);
    let sent = (vec![4, 4, 2], 10, 0, vec![]);
    let abandoned = (vec![4, 4], 8, 2, vec![8, 9]);
    for feed in [pushed as Feed, pulled] {
        assert_eq!(stopped_in_a_window(Pipeline::new("p"), feed), sent);
        assert_eq!(stopped_in_a_window(Pipeline::new("p").abandon_windows(quiet), feed), abandoned);
    }
}

#[test]
fn what_moves_is_waited_for_before_windows_are_abandoned() {
    let seconds = Duration::from_secs;
    let (scheduler, pipeline) = (VirtualScheduler::new(), Pipeline::new("p").abandon_windows(seconds(2)));
    let (acks, position) = acks();
    pipeline.acknowledges(&acks);
    let (stored, mut entrance) = (Stored::default(), Local::subject::<Delivery<u64>, StreamError>());
    scheduler
        .on(entrance.clone())
        .stoppable(&pipeline, "numbers")
        .stage(&pipeline, "windows", |n| n.delay(seconds(3)).buffer_count(2).map(Delivery::gather))
        .write_to(stored.clone())
        .on_error_route(observer(unexpected))
        .subscribe(drop);
    for item in acks.deliver(0..5) {
        entrance.next(item.unwrap());
        scheduler.advance_by(seconds(1));
    }
    let shutdown = pipeline.shutdown_on(&scheduler, DEADLINE);
    let outcome = Rc::new(RefCell::new(None));
    let told = outcome.clone();
    scheduler.on(Local::from_future(shutdown)).subscribe(move |end| *told.borrow_mut() = Some(end));
    scheduler.advance_by(DEADLINE);
    let drained = outcome.take().unwrap().unwrap();
    drained.ledger.check().unwrap();
    assert_eq!(*stored.lock().unwrap(), [[0, 1], [2, 3]]);
    assert_eq!((position.get().unwrap().lines, drained.ledger.deliveries[0].abandoned), (4, 1));
    // 3 came out of the delay one second after the stop; then nothing moved for two.
    assert!(drained.took >= seconds(3) && drained.took < seconds(4), "{:?}", drained.took);
}

#[test]
fn a_pushed_local_source_that_another_thread_stops_completes_with_its_next_event() {
    for (pipeline, abandoned) in
        [(Pipeline::new("p"), 0), (Pipeline::new("p").abandon_windows(Duration::from_millis(1)), 3)]
    {
        let (acks, _) = acks();
        pipeline.acknowledges(&acks);
        let (stored, mut entrance) = (Stored::default(), Local::subject::<Delivery<u64>, StreamError>());
        entrance
            .clone()
            .stoppable(&pipeline, "numbers")
            .buffer_count(100)
            .map(Delivery::gather)
            .write_to(stored.clone())
            .on_error_route(observer(unexpected))
            .subscribe(drop);
        let mut items = acks.deliver(0..9);
        items.by_ref().take(2).for_each(|item| entrance.next(item.unwrap()));
        let stop = pipeline.clone();
        std::thread::spawn(move || stop.stop()).join().unwrap();
        items.by_ref().take(1).for_each(|item| entrance.next(item.unwrap()));
        // Before its own thread tells it to.
        assert_eq!(stored.lock().unwrap().len(), usize::from(abandoned == 0));
        assert_eq!(pipeline.ledger().stages[0].open, 0);
        let drained = pipeline.shutdown(DEADLINE).unwrap();
        assert_eq!(drained.ledger.deliveries[0].abandoned, abandoned);
        let sent: &[u64] = if abandoned == 0 { &[0, 1, 2] } else { &[] };
        assert_eq!(stored.lock().unwrap().concat(), sent);
    }
}

#[test]
fn stages_behind_a_thread_are_waited_for() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let _inside = runtime.enter();
    let pipeline = Pipeline::new("p");
    let (acks, position) = acks();
    pipeline.acknowledges(&acks);
    let _books = balanced(&pipeline);
    let buffer = Buffer::new(1_000);
    Shared::from_iter_result(acks.deliver(0..1_000_u64))
        .stoppable(&pipeline, "numbers")
        .stage(&pipeline, "over there", |numbers| numbers.observe_on_with(SharedScheduler, buffer))
        .on_error_route(observer(unexpected))
        .subscribe(|item| _ = item.ack());
    let drained = pipeline.shutdown(DEADLINE).unwrap();
    drained.ledger.check().unwrap();
    assert_eq!(position.get().unwrap().lines, drained.ledger.deliveries[0].delivered);
    assert_eq!(drained.ledger.deliveries[0].delivered, 1_000);
}

#[test]
fn a_pipeline_is_let_go_of() {
    let pipeline = Pipeline::new("p");
    let (acks, position) = acks();
    pipeline.acknowledges(&acks);
    Local::from_iter_result(acks.deliver(0..3))
        .stage(&pipeline, "all", |numbers| numbers.stage(&pipeline, "inner", |numbers| numbers))
        .take(2)
        .on_error_route(observer(unexpected))
        .subscribe(|item: Delivery<i32>| _ = item.ack());
    drop(acks);
    assert_eq!(position.get().unwrap().lines, 1);
    // With the pipeline goes the acknowledger, which commits.
    drop(pipeline);
    assert_eq!(position.get().unwrap().lines, 2);
}
