//! A scheduler that a user interface's loop runs: pumped by hand, with a clock of the test's.

mod common;

use std::{
    cell::RefCell,
    convert::Infallible,
    future::poll_fn,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    task::Poll,
    thread,
    time::Duration,
};

use rxevents::{
    prelude::*,
    rx::scheduler::Scheduler,
    time::{Clock, LocalEventLoop, SharedEventLoop},
};

use crate::common::{HANGS, Log, ms, unhandled};

/// A clock that the test moves, in milliseconds.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicU64>);

impl Hand {
    fn set(&self, at: u64) {
        self.0.store(at, Ordering::SeqCst);
    }

    fn clock(&self) -> impl Fn() -> Duration + Send + Sync + 'static {
        let now = self.0.clone();
        move || ms(now.load(Ordering::SeqCst))
    }
}

/// How often a loop asked to be run.
fn count_wakes(hook: impl FnOnce(Box<dyn Fn() + Send + Sync>)) -> Arc<AtomicUsize> {
    let wakes = Arc::new(AtomicUsize::new(0));
    let count = wakes.clone();
    hook(Box::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
    }));
    wakes
}

#[test]
fn timers_are_due_when_the_loop_looks() {
    let hand = Hand::default();
    let ui = LocalEventLoop::with_clock(hand.clock());
    let (mut typed, shown) = (Local::subject::<char, Infallible>(), Rc::new(RefCell::new(vec![])));
    let label = shown.clone(); // not `Send`, as widgets are
    let sub = ui.on(typed.clone()).debounce(ms(10)).subscribe(move |c| label.borrow_mut().push(c));
    ui.run_ready();
    assert_eq!(ui.until_next(), None);
    typed.next('a');
    hand.set(4);
    typed.next('b');
    assert!(!ui.run_ready());
    assert_eq!(ui.until_next(), Some(ms(10)));
    hand.set(13);
    ui.run_ready();
    assert_eq!((shown.borrow().len(), ui.until_next()), (0, Some(ms(1))));
    hand.set(14);
    assert_eq!(ui.until_next(), Some(Duration::ZERO));
    ui.run_ready();
    assert_eq!(*shown.borrow(), ['b']);
    assert_eq!(ui.tasks(), 1);
    sub.unsubscribe();
    ui.run_ready();
    assert_eq!((ui.tasks(), ui.until_next()), (0, None));
}

#[test]
fn the_hook_is_called_once_until_the_loop_has_looked() {
    let ui = SharedEventLoop::new();
    let wakes = count_wakes(|hook| ui.on_wake(hook));
    let subject = Shared::subject::<u32, Infallible>();
    let log = Log::<u32, Infallible>::default();
    subject.clone().observe_on(ui.clone()).subscribe_with(log.sink(|_| {}));
    assert_eq!(wakes.load(Ordering::SeqCst), 1, "the task itself");
    ui.run_ready();
    (0..1_000).for_each(|v| subject.clone().next(v));
    assert_eq!((wakes.load(Ordering::SeqCst), ui.until_next()), (2, Some(Duration::ZERO)));
    assert!(log.items().is_empty(), "nothing runs before the loop does");
    ui.run_ready();
    assert_eq!(log.items().len(), 1_000);
    assert_eq!(wakes.load(Ordering::SeqCst), 2, "what the run itself wakes is no news");
    // Who sets the hook late is told at once.
    subject.clone().next(7);
    let late = count_wakes(|hook| ui.on_wake(hook));
    assert_eq!(late.load(Ordering::SeqCst), 1);
}

/// A pipeline on another thread, whose results arrive in the loop's: each wake-up is a message to the loop.
#[test]
fn another_thread_hands_its_items_in() {
    const ITEMS: u64 = 20_000;
    let ui = SharedEventLoop::new();
    let (redraw, frames) = mpsc::channel();
    ui.on_wake(move || {
        let _gone = redraw.send(());
    });
    let (here, log) = (thread::current().id(), Log::<u64, StreamError>::default());
    let readings = Shared::subject::<u64, StreamError>();
    let small = Buffer::new(16).on_overflow(Overflow::Block);
    readings.clone().map(|v| v * 2).observe_on_with(ui.clone(), small).subscribe_with(log.sink(move |_| {
        assert_eq!(thread::current().id(), here);
    }));
    let worker = thread::spawn(move || {
        (0..ITEMS).for_each(|v| readings.clone().next(v));
        readings.complete();
    });
    while log.ends() == 0 {
        frames.recv_timeout(HANGS).expect("the loop is woken");
        ui.run_ready();
    }
    worker.join().unwrap();
    assert!(log.items().into_iter().eq((0..ITEMS).map(|v| v * 2)), "{} items", log.items().len());
    assert_eq!(ui.tasks(), 0);
}

/// `Block` on the thread that would have to make room: an error, and no deadlock.
#[test]
fn the_loops_own_thread_does_not_wait_for_itself() {
    let ui = SharedEventLoop::new();
    let (readings, log) = (Shared::subject::<u64, StreamError>(), Log::<u64, StreamError>::default());
    let small = Buffer::new(2).on_overflow(Overflow::Block);
    readings.clone().observe_on_with(ui.clone(), small).subscribe_with(log.sink(|_| {}));
    (0..5).for_each(|v| readings.clone().next(v));
    ui.run_ready();
    assert_eq!(log.items(), [0, 1]);
    assert!(log.text().contains("#WouldBlock"), "{}", log.text());
}

/// A channel from another thread into a `Local` pipeline, whose closures need not be `Send`.
#[test]
fn a_channel_leads_into_a_local_pipeline() {
    let ui = LocalEventLoop::new();
    let (redraw, frames) = mpsc::channel();
    ui.on_wake(move || {
        let _gone = redraw.send(());
    });
    let (to_ui, from_worker) = futures::channel::mpsc::unbounded();
    let shown = Rc::new(RefCell::new(0));
    let label = shown.clone();
    ui.on(Local::from_stream(from_worker)).subscribe(move |v: u64| *label.borrow_mut() += v);
    let worker = thread::spawn(move || (1..=100).for_each(|v| to_ui.unbounded_send(v).unwrap()));
    while ui.tasks() > 0 {
        frames.recv_timeout(HANGS).expect("the loop is woken");
        ui.run_ready();
    }
    worker.join().unwrap();
    assert_eq!(*shown.borrow(), 5_050);
}

#[test]
fn a_task_that_never_rests_does_not_stop_the_frame() {
    let ui = LocalEventLoop::new();
    let wakes = count_wakes(|hook| ui.on_wake(hook));
    let polls = Rc::new(RefCell::new(0_u64));
    let count = polls.clone();
    ui.schedule(
        poll_fn(move |context| {
            *count.borrow_mut() += 1;
            context.waker().wake_by_ref();
            Poll::Pending
        }),
        None,
    );
    for frame in 1..=3 {
        assert!(ui.run_ready());
        assert_eq!(ui.until_next(), Some(Duration::ZERO));
        assert_eq!(wakes.load(Ordering::SeqCst), 1 + frame);
    }
    assert!((3..10_000).contains(&*polls.borrow()), "{} polls", polls.borrow());
}

#[test]
fn a_task_that_panics_harms_no_other() {
    let ui = LocalEventLoop::new();
    unhandled("bad task of a loop");
    let done = Rc::new(RefCell::new(false));
    let flag = done.clone();
    let bad = ui.schedule(async { panic!("bad task of a loop") }, None);
    ui.schedule(async move { *flag.borrow_mut() = true }, None);
    ui.run_ready();
    assert!(*done.borrow());
    assert!(Subscription::is_closed(&bad));
    assert_eq!(ui.tasks(), 0);
    assert_eq!(unhandled("bad task of a loop").len(), 1);
}

#[test]
fn a_task_may_run_the_loop_and_schedule_and_unsubscribe() {
    let ui = LocalEventLoop::new();
    let (inner, log) = (ui.clone(), Rc::new(RefCell::new(vec![])));
    let (first, second) = (log.clone(), log.clone());
    ui.schedule(
        async move {
            inner.schedule(async move { second.borrow_mut().push("second") }, None);
            assert!(!inner.run_ready());
            first.borrow_mut().push("first");
        },
        None,
    );
    let never = ui.schedule(std::future::pending(), None);
    ui.run_ready();
    assert_eq!(*log.borrow(), ["first", "second"]);
    assert_eq!(ui.tasks(), 1);
    Subscription::unsubscribe(never);
    ui.run_ready();
    assert_eq!(ui.tasks(), 0);
}

#[test]
fn a_delayed_task_starts_late() {
    let hand = Hand::default();
    let ui = LocalEventLoop::with_clock(hand.clock());
    let at = Rc::new(RefCell::new(None));
    let (log, clock) = (at.clone(), ui.clone());
    ui.schedule(async move { *log.borrow_mut() = Some(clock.now()) }, Some(ms(7)));
    ui.run_ready();
    assert_eq!((*at.borrow(), ui.until_next()), (None, Some(ms(7))));
    hand.set(9);
    ui.run_ready();
    assert_eq!(*at.borrow(), Some(ms(9)));
}

#[test]
fn a_closed_loop_fails_what_waits_in_it() {
    let ui = LocalEventLoop::new();
    let gone = |log: &Log<i64, StreamError>| log.text().contains("SchedulerGone");
    let logs = [(); 3].map(|()| Log::<i64, StreamError>::default());
    let mut subject = Local::subject::<i64, StreamError>();
    Local::of(1).stream_error().subscribe_on(ui.clone()).subscribe_with(logs[0].sink(|_| {}));
    ui.on(subject.clone()).delay(ms(10)).subscribe_with(logs[1].sink(|_| {}));
    ui.run_ready();
    Local::of(1).stream_error().subscribe_on(ui.clone()).subscribe_with(logs[2].sink(|_| {}));
    subject.next(1);
    ui.close();
    assert_eq!(logs[0].text(), "1 |");
    assert!(gone(&logs[1]) && gone(&logs[2]), "{} {}", logs[1].text(), logs[2].text());
    let late = Log::<i64, StreamError>::default();
    Local::of(1).stream_error().subscribe_on(ui.clone()).subscribe_with(late.sink(|_| {}));
    assert!(late.text().contains("the event loop is closed"), "{}", late.text());
    assert_eq!(ui.tasks(), 0);
}

#[test]
fn a_task_may_ask_how_many_there_are() {
    let counts = common::watchdog(|| {
        let ui = LocalEventLoop::new();
        let (asked, seen) = (ui.clone(), Rc::new(RefCell::new(vec![])));
        let log = seen.clone();
        ui.on(Local::from_iter(0..2))
            .delay(Duration::ZERO)
            .subscribe(move |_| log.borrow_mut().push(asked.tasks()));
        ui.run_ready();
        seen.take()
    });
    assert_eq!(counts, [1, 1]);
}

/// The others are not run any more, and nothing keeps the loop in memory.
#[test]
fn a_task_may_close_the_loop() {
    let ui = LocalEventLoop::new();
    let (mut closes, mut waits) = (Local::subject::<i32, Infallible>(), Local::subject::<i32, Infallible>());
    let (own, log, held) = (ui.clone(), Log::<i32, StreamError>::default(), Rc::new(()));
    ui.on(closes.clone()).debounce(Duration::ZERO).subscribe(move |_| own.close());
    let kept = held.clone();
    let sink = log.sink(move |_| drop(kept.clone()));
    ui.on(waits.clone()).stream_error().debounce(ms(1000)).subscribe_with(sink);
    ui.run_ready();
    waits.next(1);
    closes.next(1);
    ui.run_ready();
    assert_eq!(ui.tasks(), 0);
    assert!(log.text().contains("SchedulerGone"), "{}", log.text());
    assert_eq!(Rc::strong_count(&held), 1);
}

/// A subscription that waited on a scheduler that has ended is over.
#[test]
fn a_late_subscription_ends_with_the_loop() {
    let ui = LocalEventLoop::new();
    let log = Log::<i32, StreamError>::default();
    let source = ui.on(Local::from_iter(0..9)).stream_error().delay_subscription(ms(5));
    let sub = source.subscribe_with(log.sink(|_| {}));
    ui.run_ready();
    assert!(!sub.is_closed());
    ui.close();
    assert!(sub.is_closed());
    assert!(log.text().contains("SchedulerGone"), "{}", log.text());
}
