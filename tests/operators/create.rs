use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::stream;
use rxevents::{
    prelude::*,
    testing::{MarbleError, record},
};

use super::flavour::{Kind, Scheduler};
use crate::common::{Log, lock, ms, unhandled};

marbles! {
    of: |s| s.on(Kind::of('a')), "(a|)";
    empty: |s| s.on(Kind::empty::<char>()), "|";
    never: |s| s.on(Kind::never::<char>()), "";
    throw_err: |s| s.on(Kind::throw_err::<char, _>(MarbleError)), "#";
    from_iter: |s| s.on(Kind::from_iter(['a', 'b'])), "(ab|)";
    from_iter_of_nothing: |s| s.on(Kind::from_iter(Vec::<char>::new())), "|";
    timer: |s| s.on(Kind::timer(ms(3))).map(|()| 'x'), "---(x|)";
    interval: |s| s.on(Kind::interval(ms(2))).map(|n| if n == 0 { 'a' } else { 'b' }).take(3), "--a-b-(b|)";
    interval_for_ever: |s| s.on(Kind::interval(Duration::MAX)).map(|_| 'x'), "";
    from_stream: |s| s.on(Kind::from_stream(stream::iter(['a', 'b']))), "(ab|)";
    from_stream_of_nothing: |s| s.on(Kind::from_stream(stream::empty::<char>())), "|";
    from_stream_of_nothing_ever: |s| s.on(Kind::from_stream(stream::pending::<char>())), "";
    from_stream_result: |s| s.on(Kind::from_stream_result(stream::iter([Ok('a'), Err(1), Ok('b')]))), "(a#)";
    from_future: |s| s.on(Kind::from_future(std::future::ready('a'))), "(a|)";
    hot: |s| s.hot("a^b-c|"), "-b-c|";
}

#[test]
fn a_timer_of_nothing_is_due_at_once() {
    let s = Scheduler::new();
    let seen = record(s.on(Kind::timer(Duration::ZERO)));
    s.run_ready();
    assert_eq!((seen.items().len(), seen.is_over()), (1, true));
}

#[test]
fn an_interval_of_nothing_lasts_a_nanosecond() {
    let s = Scheduler::new();
    let seen = record(s.on(Kind::interval(Duration::ZERO)).take(3));
    s.advance_by(ms(1));
    let times: Vec<_> = seen.signals().into_iter().map(|(at, _)| at.as_nanos()).collect();
    assert_eq!(times, [1, 2, 3, 3]);
}

#[test]
fn defer_makes_the_source_for_each_subscriber() {
    let made = Arc::new(AtomicUsize::new(0));
    let count = made.clone();
    let source = Kind::defer(move || Kind::of(count.fetch_add(1, Ordering::SeqCst)));
    assert_eq!(made.load(Ordering::SeqCst), 0);
    for n in 0..2 {
        let log = Log::default();
        source.clone().subscribe_with(log.sink(|_| {}));
        assert_eq!(log.text(), format!("{n} |"));
    }
}

#[test]
fn a_panic_in_a_source_is_an_error_of_the_stream() {
    let panicking = |item: i32| -> i32 { panic!("item {item}") };
    let routed = |text: &str| format!("\"panic in `{text}`: item 0\" |");
    let log = Log::<String, Infallible>::default();
    let stream = Kind::from_iter((0..3).map(panicking)).stream_error().map_err(|error| error.to_string());
    stream.on_error_route(log.sink(|_| {})).subscribe(|_| {});
    assert_eq!(log.text(), routed("from_iter"));

    let s = Scheduler::new();
    let log = Log::<String, Infallible>::default();
    let stream = s.on(Kind::from_stream(stream::iter(0..3).map_items(panicking))).stream_error();
    let seen = record(stream.map_err(|error| error.to_string()).on_error_route(log.sink(|_| {})));
    s.run_ready();
    assert!(seen.is_over());
    assert_eq!(log.text(), routed("from_stream"));

    let log = Log::<String, Infallible>::default();
    let made = Kind::create::<i32, StreamError, _, ()>(|_emitter| panic!("item 0"));
    made.map_err(|error| error.to_string()).on_error_route(log.sink(|_| {})).subscribe(|_| {});
    assert_eq!(log.text(), routed("create"));
}

/// `StreamExt::map`, whose name collides with ours.
trait MapItems: stream::Stream + Sized {
    fn map_items<T>(self, f: impl FnMut(Self::Item) -> T) -> impl stream::Stream<Item = T> {
        futures::StreamExt::map(self, f)
    }
}

impl<S: stream::Stream> MapItems for S {}

#[test]
fn an_emitter_can_be_kept_and_is_told_of_the_end() {
    let (kept, log) = (Arc::new(Mutex::new(None)), Log::<i32, &str>::default());
    let slot = kept.clone();
    let sub = Kind::create(move |emitter| *lock(&slot) = Some(emitter)).subscribe_with(log.sink(|_| {}));
    let mut emitter = lock(&kept).take().unwrap();
    assert_eq!(emitter.next(1), Ok(()));
    assert!(!emitter.is_closed());
    sub.unsubscribe();
    assert_eq!((emitter.is_closed(), emitter.next(2)), (true, Err(Closed)));
    emitter.error("late");
    assert_eq!(log.text(), "1");

    let (slot, log) = (kept.clone(), Log::<i32, &str>::default());
    Kind::create(move |emitter| *lock(&slot) = Some(emitter)).take(1).subscribe_with(log.sink(|_| {}));
    let mut emitter = lock(&kept).take().unwrap();
    assert_eq!(emitter.next(1), Err(Closed));
    assert_eq!(log.text(), "1 |");
}

#[test]
fn a_panic_below_an_emitter_ends_it() {
    unhandled("");
    let (kept, text) = (Arc::new(Mutex::new(None)), format!("below: {}", std::any::type_name::<Kind<()>>()));
    let (slot, message) = (kept.clone(), text.clone());
    Kind::create::<i32, Infallible, _, ()>(move |emitter| *lock(&slot) = Some(emitter))
        .subscribe(move |_| panic!("{message}"));
    let mut emitter = lock(&kept).take().unwrap();
    assert_eq!(emitter.next(1), Err(Closed));
    assert_eq!(unhandled(&text).len(), 1);
}

#[test]
fn subjects_know_their_value() {
    let mut level = Kind::behavior_subject::<i32, Infallible>(1);
    let log = Log::default();
    level.clone().subscribe_with(log.sink(|_| {}));
    level.next(2);
    assert_eq!((level.inner().value(), log.text()), (2, "1 2".into()));
}
