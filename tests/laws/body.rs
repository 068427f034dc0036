use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use rxevents::{prelude::*, rx::observable::IntoBoxedCoreObservable};

use super::{
    flavour::{Boxed, Kind, Part, Relay, Scheduler, Shareable, Sub},
    table::{Op, Source, operators, out},
};
use crate::common::{Again, Log, lock, ms, unhandled, watchdog};

/// What a law says of an operator that breaks it.
pub(super) type Verdict = Result<(), String>;

macro_rules! demand {
    ($condition:expr, $($message:tt)*) => {
        if !$condition {
            return Err(format!($($message)*));
        }
    };
}

/// A source as the operators of the table take it.
macro_rules! source {
    ($scheduler:expr, $events:expr) => {{
        let events = $events;
        let boxed = move || -> Boxed<i64, StreamError> { events.clone().into_inner().into_boxed() };
        Source::from_parts(Again::new(Shareable::new(boxed)), $scheduler.clone())
    }};
}

/// A subject, the operator below it, a sink below that.
pub(super) struct Rig {
    pub(super) scheduler: Scheduler,
    pub(super) subject: Relay<i64, StreamError>,
    pub(super) log: Log<i64, StreamError>,
    /// Held by the source's closure.
    above: Arc<()>,
    /// Held by the sink.
    below: Arc<()>,
    pub(super) sub: Option<Sub>,
}

impl Rig {
    fn new(op: &Op) -> Self {
        Self::on(op, &Kind::subject(), |_| {})
    }

    pub(super) fn on<F>(op: &Op, subject: &Relay<i64, StreamError>, mut act: F) -> Self
    where
        F: FnMut(&i64) + Part + 'static,
    {
        let (scheduler, log) = (Scheduler::new(), Log::default());
        let (above, below) = (Arc::new(()), Arc::new(()));
        let (up, down) = (above.clone(), below.clone());
        let held = move |_: &i64| {
            let _held = &up;
        };
        let events: Source = source!(scheduler, subject.clone().tap(held));
        let sink = log.sink(move |v| {
            let _held = &down;
            act(v);
        });
        let sub = (op.build)(events).subscribe_with(sink);
        Self { scheduler, subject: subject.clone(), log, above, below, sub: Some(sub) }
    }

    pub(super) fn send(&mut self, item: i64) {
        self.subject.next(item);
        self.scheduler.advance_by(ms(5));
    }

    fn unsubscribe(&mut self) {
        if let Some(sub) = self.sub.take() {
            sub.unsubscribe();
        }
        self.scheduler.run_ready();
    }

    /// Whether the chain holds nothing any more.
    pub(super) fn freed(&self) -> Verdict {
        let held = (Arc::strong_count(&self.above) - 1, Arc::strong_count(&self.below) - 1);
        demand!(held == (0, 0), "still held: (source, subscriber) {held:?}");
        demand!(self.scheduler.tasks() == 0, "{} tasks left", self.scheduler.tasks());
        Ok(())
    }
}

fn ends_once(op: &Op) -> Verdict {
    let failure = StreamError::source(std::io::Error::other("down"));
    for end in [Ok(()), Err(failure)] {
        let mut rig = Rig::new(op);
        rig.send(1);
        rig.send(2);
        let expected = match &end {
            Err(error) if !op.absorbs => format!("1 2 #{error:?}"),
            _ => "1 2 |".to_owned(),
        };
        match end {
            Ok(()) => rig.subject.clone().complete(),
            Err(error) => rig.subject.clone().error(error),
        }
        rig.scheduler.advance_by(ms(5));
        rig.send(3);
        rig.subject.clone().complete();
        rig.scheduler.advance_by(ms(5));
        let seen = rig.log.text().replace(" -1 |", " |");
        demand!(seen == expected, "{seen} instead of {expected}");
        rig.freed()?;
    }
    Ok(())
}

fn unsubscribing_stops(op: &Op) -> Verdict {
    let mut rig = Rig::new(op);
    rig.send(1);
    rig.unsubscribe();
    rig.freed()?;
    rig.send(2);
    demand!(rig.log.text() == "1", "{} after the unsubscription", rig.log.text());
    Ok(())
}

fn unsubscribing_inside_next_stops(op: &Op) -> Verdict {
    let slot = Arc::new(Mutex::new(None::<Sub>));
    let inside = slot.clone();
    let mut rig = Rig::on(op, &Kind::subject(), move |_| {
        let sub = lock(&inside).take();
        if let Some(sub) = sub {
            sub.unsubscribe();
        }
    });
    *lock(&slot) = rig.sub.take();
    rig.subject.next(1);
    rig.subject.next(2);
    rig.scheduler.advance_by(ms(5));
    rig.send(3);
    let items = rig.log.items();
    demand!(items.len() == 1 && rig.log.ends() == 0, "{} instead of one item", rig.log.text());
    rig.freed()
}

/// The source is far too long rather than endless, so that a broken operator ends too.
fn an_endless_source_is_stopped(op: &Op) -> Verdict {
    let (scheduler, log) = (Scheduler::new(), Log::default());
    let pulled = Arc::new(AtomicU64::new(0));
    let count = pulled.clone();
    let count = move |_: &i64| {
        count.fetch_add(1, Ordering::Relaxed);
    };
    let events: Source = if op.late {
        source!(scheduler, Kind::interval(ms(10)).map(|n| n as i64).tap(count).stream_error())
    } else {
        source!(scheduler, Kind::from_iter(0..1_000_000).tap(count).stream_error())
    };
    (op.build)(events).take(3).subscribe_with(log.sink(|_| {}));
    scheduler.advance_by(ms(200));
    demand!(log.text() == "0 1 2 |", "{} instead of 0 1 2 |", log.text());
    let pulled = pulled.load(Ordering::Relaxed);
    // `sample_with` of the table subscribes twice.
    demand!(pulled <= 7, "{pulled} items were pulled");
    demand!(scheduler.tasks() == 0, "{} tasks left", scheduler.tasks());
    Ok(())
}

fn what_is_fed_back_comes_after(op: &Op) -> Verdict {
    let subject = Kind::subject();
    let mut back = subject.clone();
    let mut rig = Rig::on(op, &subject, move |v| {
        if *v < 3 {
            back.next(*v + 1);
        }
    });
    rig.send(0);
    rig.scheduler.advance_by(ms(20));
    demand!(rig.log.items() == [0, 1, 2, 3], "{} instead of 0 1 2 3", rig.log.text());
    Ok(())
}

fn a_panic_ends_its_own_subscription(op: &Op) -> Verdict {
    panic_below(op).map(|_| ())
}

fn a_panic_keeps_its_message(op: &Op) -> Verdict {
    let routed = panic_below(op)?;
    demand!(routed.iter().all(|error| error.contains(": two below ")), "routed: {routed:?}");
    Ok(())
}

/// A subscriber panics; what arrived at the route: for a source that can hold the panic as its error, and for one that
/// cannot.
fn panic_below(op: &Op) -> Result<[String; 2], String> {
    let fallible: Relay<i64, StreamError> = Kind::subject();
    let infallible: Relay<i64, Infallible> = Kind::subject();
    let (scheduler, other) = (Scheduler::new(), Scheduler::new());
    let first = source!(scheduler, fallible.clone());
    let second = source!(other, infallible.clone().stream_error());
    Ok([panic_of_one(op, first, fallible)?, panic_of_one(op, second, infallible)?])
}

fn panic_of_one<S>(op: &Op, events: Source, subject: S) -> Result<String, String>
where
    S: SubjectOf,
{
    let scheduler = events.scheduler().clone();
    let (routed, log, held) = (Arc::new(Mutex::new(Vec::new())), Log::default(), Arc::new(()));
    let message = format!("two below {} {}", op.name, std::any::type_name::<S>());
    let (errors, inside, text) = (routed.clone(), held.clone(), message.clone());
    unhandled(&message);
    (op.build)(events)
        .on_error_route(observer(move |error: StreamError| lock(&errors).push(error.to_string())))
        .subscribe_with(log.sink(move |v| {
            let _held = &inside;
            assert!(*v != 2, "{text}");
        }));
    let sibling = subject.listen();
    for v in 1..=3 {
        subject.send(v);
        scheduler.advance_by(ms(5));
    }
    demand!(sibling() == [1, 2, 3], "the sibling has {:?}", sibling());
    demand!(log.text() == "1 2 |", "{} instead of 1 2 |", log.text());
    let (routed, hooked) = (lock(&routed).clone(), unhandled(&message));
    demand!(routed.len() == 1 && routed[0].starts_with("panic in `"), "routed: {routed:?}");
    demand!(hooked.is_empty(), "routed, and unhandled: {hooked:?}");
    demand!(Arc::strong_count(&held) == 1, "the subscriber is still held");
    Ok(routed[0].clone())
}

/// What the two subjects of the law have in common.
trait SubjectOf {
    fn send(&self, item: i64);
    fn listen(&self) -> Box<dyn Fn() -> Vec<i64>>;
}

macro_rules! subject_of {
    ($error:ty) => {
        impl SubjectOf for Relay<i64, $error> {
            fn send(&self, item: i64) {
                self.clone().next(item);
            }

            fn listen(&self) -> Box<dyn Fn() -> Vec<i64>> {
                let log = Log::<i64, $error>::default();
                self.clone().subscribe_with(log.sink(|_| {}));
                Box::new(move || log.items())
            }
        }
    };
}
subject_of!(StreamError);
subject_of!(Infallible);

/// A recursion of a hundred bytes for each would need twice the stack that the watchdog's thread has.
const DEEP: i64 = 20_000;

fn many_at_once_need_no_stack(op: &Op) -> Verdict {
    let (scheduler, log) = (Scheduler::new(), Log::default());
    let events: Source = source!(scheduler, Kind::from_iter(0..DEEP).stream_error());
    (op.build)(events).subscribe_with(log.sink(|_| {}));
    scheduler.advance_by(ms(5));
    let count = log.items().len();
    demand!(count == DEEP as usize && log.ends() == 1, "{count} items, {} ends", log.ends());
    Ok(())
}

fn feeding_back_needs_no_stack(op: &Op) -> Verdict {
    let subject = Kind::subject();
    let mut back = subject.clone();
    let mut rig = Rig::on(op, &subject, move |v| {
        if *v < DEEP {
            back.next(*v + 1);
        }
    });
    rig.send(0);
    let count = rig.log.items().len();
    demand!(count == DEEP as usize + 1, "{count} items");
    Ok(())
}

fn dropping_both_ends_frees(op: &Op) -> Verdict {
    let mut rig = Rig::new(op);
    rig.send(1);
    rig.sub = None;
    rig.subject = Kind::subject();
    rig.scheduler.advance_by(ms(5));
    rig.freed()
}

/// All that break the law, in one message.
pub(super) fn all(law: fn(&Op) -> Verdict, concerns: fn(&Op) -> bool) {
    let broken: Vec<String> = operators()
        .into_iter()
        .filter(concerns)
        .filter_map(|op| {
            let name = op.name;
            watchdog(move || law(&op)).err().map(|what| format!("{name}: {what}"))
        })
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_operator_ends_once_and_is_silent_after() {
    all(ends_once, |_| true);
}

#[test]
fn unsubscribing_stops_every_operator_and_its_source() {
    all(unsubscribing_stops, |_| true);
}

#[test]
fn unsubscribing_inside_next_stops_every_operator() {
    all(unsubscribing_inside_next_stops, |_| true);
}

#[test]
fn an_endless_source_below_take_is_stopped_by_every_operator() {
    all(an_endless_source_is_stopped, |_| true);
}

#[test]
fn every_operator_can_be_fed_by_its_own_subscriber() {
    all(what_is_fed_back_comes_after, |op| !op.deaf);
}

#[test]
fn a_panic_below_every_operator_ends_its_own_subscription_only() {
    all(a_panic_ends_its_own_subscription, |op| !op.absorbs);
}

#[test]
fn a_panic_below_every_operator_keeps_its_message() {
    all(a_panic_keeps_its_message, |op| !op.absorbs);
}

#[test]
fn no_operator_recurses_by_items() {
    all(many_at_once_need_no_stack, |op| !(op.late && op.thins));
}

#[test]
fn no_operator_recurses_by_what_is_fed_back() {
    all(feeding_back_needs_no_stack, |op| !op.late);
}

#[test]
fn every_operator_is_freed_with_its_source_and_subscription() {
    all(dropping_both_ends_frees, |op| !op.holds_source && !op.outlives_source);
}

/// Operators that break a law.
#[test]
fn the_laws_find_what_breaks_them() {
    let swallows = Op::new("swallows errors", |e| out(e.catch_error(|_| Kind::never().stream_error())));
    let subscribes_early = Op::new("subscribes early", |e| {
        let hub: Relay<i64, StreamError> = Kind::subject();
        let scheduler = e.scheduler().clone();
        e.subscribe_with(hub.clone().into_inner());
        out(scheduler.on(hub))
    });
    let loses = Op::new("loses items", |e| out(e.filter(|v| v % 2 == 0)));
    let slow = Op::new("lets one item pass", |e| out(e.throttle_first(ms(100))));
    let hides = Op::new("hides panics", |e| out(e.on_error_return(|_| 0).stream_error()));
    let keeps = Op::new("keeps its source", |e| {
        std::mem::forget(e.clone());
        out(e)
    });
    assert!(ends_once(&swallows).is_err());
    assert!(unsubscribing_stops(&subscribes_early).is_err());
    assert!(unsubscribing_inside_next_stops(&subscribes_early).is_err());
    assert!(an_endless_source_is_stopped(&subscribes_early).is_err());
    assert!(what_is_fed_back_comes_after(&slow).is_err());
    assert!(a_panic_ends_its_own_subscription(&hides).is_err());
    let garbles = Op::new("garbles panics", |e| {
        let error = PanicError { operator: "no", message: "panic".into() };
        out(e.map_err(move |_| StreamError::from(error)))
    });
    assert!(a_panic_keeps_its_message(&garbles).is_err());
    assert!(many_at_once_need_no_stack(&loses).is_err());
    assert!(feeding_back_needs_no_stack(&loses).is_err());
    assert!(dropping_both_ends_frees(&keeps).is_err());
}
