//! rxRust's own, on its own or on virtual time. Not here, as they hang or abort: what is re-entrant in `Shared`
//! (merge, zip, with_latest_from deadlock), `finalize` that unsubscribes in `Shared`, `delay_subscription` + `take`,
//! an endless `from_stream` below `take`, the recursion of `concat_map` (stack overflow). Nor what fails only on many
//! real threads or timers, or not each time: the tasks that stay after an unsubscription, the lost and reordered items of `delay`, `observe_on` and `combine_latest` in
//! `Shared`, the gap of `BehaviorSubject`, the drift of `interval`.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::{Arc, mpsc},
    thread,
};

use rxevents::{
    rx::{ops::retry::RetryConfig, prelude::*},
    testing::VirtualScheduler,
};

use crate::common::{ms, panic_of, watchdog};

fn panics(f: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(f)).is_err()
}

fn in_local_set(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

type Log = Rc<RefCell<Vec<i32>>>;

fn push(log: &Log) -> impl FnMut(i32) + 'static {
    let log = log.clone();
    move |v| log.borrow_mut().push(v)
}

#[test]
fn shared_subject_does_not_serialise_two_producers() {
    watchdog(|| {
        let subject = Shared::subject::<i32, Infallible>();
        let (inside, is_inside) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        subject.clone().subscribe(move |_| {
            inside.send(()).unwrap();
            may_go_on.recv().unwrap();
        });
        let mut first = subject.clone();
        let delivery = thread::spawn(move || first.next(1));
        is_inside.recv().unwrap();
        let mut second = subject;
        assert!(panics(|| second.next(2)));
        go_on.send(()).unwrap();
        delivery.join().unwrap();
    });
}

#[test]
fn subject_is_not_fed_by_its_own_subscriber() {
    let mut subject = Local::subject::<i32, Infallible>();
    let mut back = subject.clone();
    subject.clone().subscribe(move |v| {
        if v < 3 {
            back.next(v + 1)
        }
    });
    assert!(panics(|| subject.next(0)));
    let mut subject = Shared::subject::<i32, Infallible>();
    let mut back = subject.clone();
    subject.clone().subscribe(move |v| {
        if v < 3 {
            back.next(v + 1)
        }
    });
    assert!(panics(|| subject.next(0)));
}

#[test]
fn merge_is_not_fed_by_its_own_subscriber() {
    let (mut a, b) = (Local::subject::<i32, Infallible>(), Local::subject::<i32, Infallible>());
    let mut back = b.clone();
    a.clone().merge(b).subscribe(move |v| {
        if v == 1 {
            back.next(2)
        }
    });
    assert!(panics(|| a.next(1)));
}

#[test]
fn combine_latest_loses_what_its_own_subscriber_feeds() {
    let (mut a, mut b) = (Local::subject::<i32, Infallible>(), Local::subject::<i32, Infallible>());
    let (log, mut back) = (Log::default(), b.clone());
    let mut push = push(&log);
    a.clone().combine_latest(b.clone(), |a, b| (a, b)).subscribe(move |(_, v)| {
        push(v);
        if v == 1 {
            back.next(2);
        }
    });
    b.next(1);
    a.next(1);
    assert_eq!(*log.borrow(), [1]);
}

#[test]
fn subjects_emit_after_their_end_and_do_not_tell_the_late() {
    let mut subject = Local::subject::<i32, Infallible>();
    subject.clone().complete();
    let (log, ended) = (Log::default(), Rc::new(Cell::new(false)));
    let end = ended.clone();
    subject.clone().on_complete(move || end.set(true)).subscribe(push(&log));
    subject.next(7);
    assert_eq!((log.borrow().as_slice(), ended.get()), ([7].as_slice(), false));

    let behavior = Local::behavior_subject::<i32, Infallible>(1);
    behavior.clone().complete();
    let log = Log::default();
    behavior.subscribe(push(&log));
    assert_eq!(*log.borrow(), [1]);
}

#[test]
fn who_subscribes_or_unsubscribes_in_a_callback_waits_for_the_executor() {
    in_local_set(async {
        let subject = Local::subject::<i32, Infallible>();
        let (late, source, once) = (Log::default(), subject.clone(), Cell::new(true));
        let inner = late.clone();
        subject.clone().subscribe(move |_| {
            if once.take() {
                source.clone().subscribe(push(&inner));
            }
        });
        let (own, slot) = (Log::default(), Rc::new(RefCell::new(None::<BoxedSubscription>)));
        let (mut noted, taken) = (push(&own), slot.clone());
        let sub = subject.clone().subscribe(move |v| {
            noted(v);
            if let Some(sub) = taken.borrow_mut().take() {
                sub.unsubscribe();
            }
        });
        *slot.borrow_mut() = Some(BoxedSubscription::new(sub));
        let mut producer = subject.clone();
        (1..=3).for_each(|v| producer.next(v));
        assert!(late.borrow().is_empty(), "ours: [2, 3]");
        assert_eq!(*own.borrow(), [1, 2, 3], "ours: [1]");
    });
}

#[test]
fn take_and_retry_need_a_runtime() {
    let mut subject = Local::subject::<i32, Infallible>();
    subject.clone().take(1).subscribe(|_| {});
    assert!(panics(|| subject.next(1)));
    let failing = Local::create::<i32, &str, _, _>(|emitter| emitter.error("down"));
    assert!(panics(|| drop(failing.retry(2_usize).on_error(|_| {}).subscribe(|_| {}))));
}

/// How many of `n` items an operator with `take(3)` below pulls.
macro_rules! pulled {
    ($n:literal, |$events:ident| $pipeline:expr) => {{
        let count = Rc::new(Cell::new(0));
        let counter = count.clone();
        let $events = Local::from_iter((0..$n).inspect(move |_| counter.set(counter.get() + 1)));
        $pipeline.take(3).subscribe(|_| {});
        count.get()
    }};
}

#[test]
fn take_does_not_stop_the_source_of_some_operators() {
    assert_eq!(pulled!(1000, |e| e), 4, "where it does");
    assert_eq!(pulled!(1000, |e| e.take_until(Local::never())), 1000);
    assert_eq!(pulled!(1000, |e| e.buffer(Local::never())), 1000);
    let count = Rc::new(Cell::new(0));
    let counter = count.clone();
    Local::create::<i32, Infallible, _, _>(move |emitter| {
        for n in 0..1000 {
            counter.set(n + 1);
            emitter.next(n);
        }
    })
    .take(3)
    .subscribe(|_| {});
    assert_eq!(count.get(), 1000);
}

#[test]
fn from_stream_is_not_stopped_by_take_and_does_not_yield() {
    in_local_set(async {
        let count = Rc::new(Cell::new(0));
        let counter = count.clone();
        let stream = futures::stream::iter((0..1000).inspect(move |_| counter.set(counter.get() + 1)));
        Local::from_stream(stream).take(3).subscribe(|_| {});
        tokio::task::yield_now().await;
        assert_eq!(count.get(), 1000);
    });
}

#[test]
fn retry_goes_on_after_it_was_unsubscribed() {
    let (scheduler, attempts) = (VirtualScheduler::new(), Rc::new(Cell::new(0)));
    let counter = attempts.clone();
    let failing = Local::create::<i32, &str, _, _>(move |emitter| {
        counter.set(counter.get() + 1);
        emitter.error("down");
    });
    let policy = RetryConfig::new().count(3).delay(ms(10));
    scheduler.on(failing).retry(policy).on_error(|_| {}).subscribe(|_| {}).unsubscribe();
    scheduler.advance_by(ms(100));
    assert_eq!(attempts.get(), 4, "ours: 1");
}

#[test]
fn take_until_swallows_the_error_of_its_notifier() {
    let (mut source, notifier) = (Local::subject::<i32, &str>(), Local::subject::<(), &str>());
    let (log, failed) = (Log::default(), Rc::new(Cell::new(false)));
    let error = failed.clone();
    source.clone().take_until(notifier.clone()).on_error(move |_| error.set(true)).subscribe(push(&log));
    notifier.error("down");
    source.next(1);
    assert!(!failed.get());
}

#[test]
fn skip_until_is_opened_by_a_notifier_that_completes() {
    let log = Log::default();
    let notifier = Local::from_iter(0..0);
    Local::from_iter([1, 2]).skip_until(notifier).subscribe(push(&log));
    assert_eq!(*log.borrow(), [1, 2], "ours: none");
}

/// In a debug build; else it wraps.
#[test]
fn a_sum_that_is_too_large_is_no_error() {
    let sum = |log: &Log| Local::from_iter([i32::MAX, 1]).sum().subscribe(push(log));
    let log = Log::default();
    assert!(panics(|| sum(&log)) || *log.borrow() == [i32::MIN]);
}

#[test]
fn a_panic_poisons_a_shared_chain() {
    let (mut a, mut b) = (Shared::subject::<i32, Infallible>(), Shared::subject::<i32, Infallible>());
    a.clone().merge(b.clone()).subscribe(|v| assert!(v != 1, "a user's"));
    assert_eq!(panic_of(|| a.next(1)), "a user's");
    assert!(panics(|| b.next(2)), "the healthy input");
}

#[test]
fn debounce_and_delay_have_a_task_per_item() {
    let scheduler = VirtualScheduler::new();
    let mut subject = Local::subject::<i32, Infallible>();
    scheduler.on(subject.clone()).debounce(ms(3_600_000)).subscribe(|_| {});
    scheduler.on(subject.clone()).delay(ms(3_600_000)).subscribe(|_| {});
    for v in 0..100 {
        subject.next(v);
        scheduler.advance_by(ms(1));
    }
    assert!(scheduler.tasks() > 100, "{}", scheduler.tasks());
}

#[test]
fn operators_keep_their_closures_when_subject_and_subscription_are_dropped() {
    macro_rules! leaks {
        (|$a:ident, $b:ident| $pipeline:expr) => {{
            let held = Arc::new(());
            let ($a, $b) = (Local::subject::<i32, Infallible>(), Local::subject::<i32, Infallible>());
            let inside = held.clone();
            drop($pipeline.subscribe(move |_| {
                let _held = &inside;
            }));
            Arc::strong_count(&held) > 1
        }};
    }
    assert!(!leaks!(|a, _b| a.map(|v| v)), "what does not leak");
    assert!(leaks!(|a, _b| a.take(9)));
    assert!(leaks!(|a, _b| a.take_while(|_| true)));
    assert!(leaks!(|a, b| a.merge(b)));
    assert!(leaks!(|a, b| a.zip(b)));
    assert!(leaks!(|a, b| a.combine_latest(b, |a, _| a)));
    assert!(leaks!(|a, b| a.with_latest_from(b)));
    assert!(leaks!(|a, b| a.sample(b)));
    assert!(leaks!(|a, b| a.take_until(b)));
    assert!(leaks!(|a, b| a.flat_map(move |_| b.clone())));
    assert!(leaks!(|a, b| a.switch_map(move |_| b.clone())));
}

#[test]
fn finalize_panics_when_it_unsubscribes() {
    let (subject, slot) =
        (Local::subject::<i32, Infallible>(), Rc::new(RefCell::new(None::<BoxedSubscription>)));
    let own = slot.clone();
    let finalized = subject.clone().finalize(move || {
        let sub = own.borrow_mut().take();
        sub.into_iter().for_each(Subscription::unsubscribe);
    });
    *slot.borrow_mut() = Some(BoxedSubscription::new(finalized.subscribe(|_| {})));
    assert!(panics(|| subject.complete()));
}
