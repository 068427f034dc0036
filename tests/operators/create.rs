use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use futures::stream;
use rxevents::{
    prelude::*,
    rx::scheduler::SleepProvider,
    testing::{MarbleError, Signal, record},
    time::Clock,
};

use super::flavour::{BoxFuture, Kind, OnTime, Scheduler};
use crate::common::{Log, lock, ms, unhandled};

marbles! {
    of: |s| s.on(Kind::of('a')), "(a|)";
    empty: |s| s.on(Kind::empty::<char>()), "|";
    never: |s| s.on(Kind::never::<char>()), "";
    throw_err: |s| s.on(Kind::throw_err::<char, _>(MarbleError)), "#";
    from_iter: |s| s.on(Kind::from_iter(['a', 'b'])), "(ab|)";
    from_iter_of_nothing: |s| s.on(Kind::from_iter(Vec::<char>::new())), "|";
    range: |s| s.on(Kind::range('a'..'d')), "(abc|)";
    range_inclusive: |s| s.on(Kind::range('a'..='c')), "(abc|)";
    range_of_nothing: |s| s.on(Kind::range('a'..'a')), "|";
    generate: |s| s.on(Kind::generate(0_u8, |n| *n < 3, |n| n + 1, |n| char::from(b'a' + n))), "(abc|)";
    generate_nothing: |s| s.on(Kind::generate(0, |_| false, |n| n, |_| 'x')), "|";
    generate_below_take: |s| s.on(Kind::generate(0, |_| true, |n| n, |_| 'x')).take(2), "(xx|)";
    from_fn: |s| s.on(Kind::from_fn(|| 'a')), "(a|)";
    from_callback: |s| s.on(Kind::from_callback(|callback| callback.call('a'))), "(a|)";
    from_callback_that_is_not_called: |s| s.on(Kind::from_callback(|_: rxevents::operator::create::Callback<_, char>| {})), "";
    using: |s| { let source = s.cold("-a-b|"); s.on(OnTime::<()>::using(|| (), move |()| source, |()| {})) }, "-a-b|";
    using_that_fails: |s| { let source = s.cold("-a#"); s.on(OnTime::<()>::using(|| (), move |()| source, |()| {})) }, "-a#";
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

/// A read that takes so many milliseconds of virtual time, and then says when it began and ended.
fn reads(s: &Scheduler, millis: &[u64]) -> impl FnMut() -> BoxFuture<(u64, u64)> + use<> {
    let (s, mut millis) = (s.clone(), Vec::from(millis).into_iter());
    move || {
        let s = s.clone();
        let length = millis.next().unwrap_or(0);
        Box::pin(async move {
            let began = s.now();
            if length > 0 {
                s.sleep(ms(length)).await;
            }
            (began.as_millis() as u64, s.now().as_millis() as u64)
        })
    }
}

#[test]
fn poll_every_reads_on_a_grid_and_never_twice_at_once() {
    use MissedTicks::{Burst, Delay, Skip};
    let quick = [(10, 10), (20, 20), (30, 30), (40, 40), (50, 50), (60, 60)];
    // The second read takes 25 ms: the ticks at 30 and 40 pass meanwhile.
    for (millis, missed, expected) in [
        (&[0, 0][..], Skip, &quick[..]),
        (&[0, 0], Burst, &quick),
        (&[0, 0], Delay, &quick),
        (&[3, 9], Skip, &[(10, 13), (20, 29), (30, 30), (40, 40), (50, 50), (60, 60)]),
        (&[3, 9], Delay, &[(10, 13), (20, 29), (30, 30), (40, 40), (50, 50), (60, 60)]),
        (&[0, 25], Skip, &[(10, 10), (20, 45), (50, 50), (60, 60)]),
        (&[0, 25], Burst, &[(10, 10), (20, 45), (45, 45), (45, 45), (50, 50), (60, 60)]),
        (&[0, 25], Delay, &[(10, 10), (20, 45), (55, 55), (65, 65)]),
        // A tick at the end of a read is not missed.
        (&[10, 20], Skip, &[(10, 20), (20, 40), (40, 40), (50, 50), (60, 60)]),
        (&[10, 20], Burst, &[(10, 20), (20, 40), (40, 40), (40, 40), (50, 50), (60, 60)]),
    ] {
        let s = Scheduler::new();
        let mut seen = record(s.on(Kind::poll_every_with(ms(10), missed, reads(&s, millis))));
        s.advance_by(ms(66));
        assert_eq!(seen.items(), expected, "{millis:?} {missed:?}");
        assert!(!seen.is_over());
        seen.unsubscribe();
        s.run_ready();
        assert_eq!((s.tasks(), s.sleeps()), (0, 0));
    }
}

#[test]
fn poll_every_after_a_stall_reads_once_and_goes_on_on_the_grid() {
    let s = Scheduler::new();
    let seen = record(s.on(Kind::poll_every(ms(10), reads(&s, &[]))));
    s.stall(ms(40));
    s.run_ready();
    s.advance_by(ms(20));
    assert_eq!(seen.items(), [(40, 40), (50, 50), (60, 60)]);
}

#[test]
fn poll_every_drops_a_running_read_with_its_subscriber() {
    let s = Scheduler::new();
    let mut seen = record(s.on(Kind::poll_every(ms(10), std::future::pending::<u8>)));
    s.advance_by(ms(100));
    assert!(seen.items().is_empty() && !seen.is_over());
    seen.unsubscribe();
    s.run_ready();
    assert_eq!((s.tasks(), s.sleeps()), (0, 0));

    let seen = record(s.on(Kind::poll_every(ms(10), reads(&s, &[]))).take(2));
    s.advance_by(ms(100));
    assert_eq!((seen.items().len(), seen.is_over(), s.tasks()), (2, true, 0));
}

#[test]
fn poll_every_for_ever_and_of_nothing() {
    let s = Scheduler::new();
    let never = record(s.on(Kind::poll_every(Duration::MAX, reads(&s, &[]))));
    let often = record(s.on(Kind::poll_every(Duration::ZERO, reads(&s, &[]))).take(1_000));
    s.advance_by(ms(1));
    assert_eq!((never.items().len(), often.items().len()), (0, 1_000));
}

#[test]
fn failed_reads_are_items_and_a_panic_is_the_end() {
    let s = Scheduler::new();
    let mut n = 0;
    let read = move || {
        n += 1;
        let n = n;
        async move {
            assert!(n < 4, "read {n}");
            if n == 2 { Err("no answer") } else { Ok(n) }
        }
    };
    let seen = record(s.on(Kind::poll_every(ms(10), read)).stream_error().map_err(|e| e.to_string()));
    s.advance_by(ms(100));
    seen.assert_eq(&[
        (10, Signal::Next(Ok(1))),
        (20, Signal::Next(Err("no answer"))),
        (30, Signal::Next(Ok(3))),
        (40, Signal::Error("panic in `poll_every`: read 4".to_owned())),
    ]);
    let read = || -> std::future::Ready<u8> { panic!("no read") };
    let seen = record(s.on(Kind::poll_every(ms(10), read)).stream_error().map_err(|e| e.to_string()));
    s.advance_by(ms(100));
    seen.assert_eq(&[(110, Signal::Error("panic in `poll_every`: no read".to_owned()))]);
    assert_eq!((s.tasks(), s.sleeps()), (0, 0));
}

#[test]
fn a_channel_of_std_is_an_iterator() {
    let (send, receive) = mpsc::sync_channel(2);
    let sender = thread::spawn(move || (0..10).take_while(|n| send.send(*n).is_ok()).count());
    let log = Log::<i32, Infallible>::default();
    Kind::from_iter(receive).subscribe_with(log.sink(|_| {}));
    assert_eq!((log.text(), sender.join().unwrap()), ("0 1 2 3 4 5 6 7 8 9 |".into(), 10));

    // Once nobody listens, the sender is told.
    let (send, receive) = mpsc::sync_channel(0);
    let sender = thread::spawn(move || (0..10).take_while(|n| send.send(*n).is_ok()).count());
    Kind::from_iter(receive).take(3).subscribe_with(log.sink(|_| {}));
    assert_eq!(sender.join().unwrap(), 3);
}

#[test]
fn channels_of_futures_and_tokio_are_streams() {
    let s = Scheduler::new();
    let (mut send, receive) = futures::channel::mpsc::channel(2);
    let seen = record(s.on(Kind::from_stream(receive)));
    for n in 0..3 {
        s.advance_by(ms(1));
        send.try_send(n).unwrap();
    }
    s.advance_by(ms(1));
    drop(send);
    s.advance_by(ms(1));
    seen.assert_eq(&[
        (1, Signal::Next(0)),
        (2, Signal::Next(1)),
        (3, Signal::Next(2)),
        (4, Signal::Complete),
    ]);

    let (send, mut receive) = tokio::sync::mpsc::channel(2);
    let stream = stream::poll_fn(move |context| receive.poll_recv(context));
    let mut seen = record(s.on(Kind::from_stream(stream)));
    send.try_send(1).unwrap();
    send.try_send(2).unwrap();
    assert!(send.try_send(3).is_err());
    s.run_ready();
    assert_eq!(seen.items(), [1, 2]);
    seen.unsubscribe();
    s.run_ready();
    assert!(send.is_closed());
}

#[test]
fn lines_of_an_asynchronous_reader() {
    let s = Scheduler::new();
    let text = "1\n12345\n\n4";
    let lines = rxevents::source::line_stream(text.as_bytes(), "t").max_line_bytes(4);
    let shown = |line: Result<rxevents::source::Line, Rejected<_>>| match line {
        Ok(line) => format!("{}:{}", line.number(), line.text().unwrap()),
        Err(rejected) => rejected.to_string(),
    };
    let seen = record(s.on(Kind::from_stream(lines)).map(shown));
    s.run_ready();
    assert_eq!(seen.items(), ["1:1", "read: 5 bytes long, at most 4 are allowed", "3:", "4:4"]);
    assert!(seen.is_over());
}

/// RxJS `generate`: the state is asked before it is used, and no further than somebody listens.
#[test]
fn generate_calls_in_order() {
    let calls = Arc::new(Mutex::new(String::new()));
    let note = |text: &'static str| {
        let calls = calls.clone();
        move |n: i32| lock(&calls).push_str(&format!("{text}{n} "))
    };
    let (condition, iterate, select) = (note("c"), note("i"), note("s"));
    let source = Kind::generate(
        1,
        move |n| {
            condition(*n);
            *n < 3
        },
        move |n| {
            iterate(n);
            n + 1
        },
        move |n| {
            select(*n);
            *n * 10
        },
    );
    let log = Log::default();
    source.clone().subscribe_with(log.sink(|_| {}));
    assert_eq!(
        (log.text(), std::mem::take(&mut *lock(&calls))),
        ("10 20 |".into(), "c1 s1 i1 c2 s2 i2 c3 ".into())
    );
    let log = Log::default();
    source.take(1).subscribe_with(log.sink(|_| {}));
    assert_eq!((log.text(), lock(&calls).clone()), ("10 |".into(), "c1 s1 ".into()));
}

#[test]
fn from_fn_is_called_for_each_subscriber() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let source = Kind::from_fn(move || count.fetch_add(1, Ordering::SeqCst));
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    for n in 0..2 {
        let log = Log::default();
        source.clone().subscribe_with(log.sink(|_| {}));
        assert_eq!(log.text(), format!("{n} |"));
    }
    for (source, text) in [
        (Kind::from_fn(|| -> i32 { panic!("not now") }).stream_error().boxed(), "from_fn"),
        (
            Kind::generate(0, |_| true, |n| n, |_| -> i32 { panic!("not now") }).stream_error().boxed(),
            "generate",
        ),
    ] {
        let log = Log::<String, Infallible>::default();
        source.map_err(|error| error.to_string()).on_error_route(log.sink(|_| {})).subscribe(|_| {});
        assert_eq!(log.text(), format!("\"panic in `{text}`: not now\" |"));
    }
}

#[test]
fn a_callback_can_be_kept_and_is_told_of_the_end() {
    let kept = Arc::new(Mutex::new(None));
    let (slot, log) = (kept.clone(), Log::<i32, Infallible>::default());
    Kind::from_callback(move |callback| *lock(&slot) = Some(callback)).subscribe_with(log.sink(|_| {}));
    let callback = lock(&kept).take().unwrap();
    assert!(!callback.is_closed());
    callback.call(1);
    assert_eq!(log.text(), "1 |");

    let (slot, log) = (kept.clone(), Log::<i32, Infallible>::default());
    let sub =
        Kind::from_callback(move |callback| *lock(&slot) = Some(callback)).subscribe_with(log.sink(|_| {}));
    let callback = lock(&kept).take().unwrap();
    sub.unsubscribe();
    assert!(callback.is_closed());
    callback.call(2);
    assert_eq!(log.text(), "");
}

/// Whatever becomes of the source.
#[test]
fn using_releases_its_resource_once() {
    let released = Arc::new(Mutex::new(Vec::<u32>::new()));
    let count = Arc::new(Mutex::new(0));
    let acquire = || {
        let count = count.clone();
        move || {
            *lock(&count) += 1;
            *lock(&count)
        }
    };
    let dispose = || {
        let released = released.clone();
        move |n: u32| lock(&released).push(n)
    };
    let taken = || std::mem::take(&mut *lock(&released));
    unhandled("");

    let log = Log::default();
    Kind::using(acquire(), |n| Kind::of(*n), dispose()).subscribe_with(log.sink(|_| {}));
    assert_eq!((log.text(), taken()), ("1 |".into(), vec![1]));

    let log = Log::<u32, &str>::default();
    Kind::using(acquire(), |_| Kind::throw_err("down"), dispose()).subscribe_with(log.sink(|_| {}));
    assert_eq!((log.text(), taken()), ("#\"down\"".into(), vec![2]));

    let log = Log::default();
    Kind::using(acquire(), |n| Kind::range(*n..), dispose()).take(2).subscribe_with(log.sink(|_| {}));
    assert_eq!((log.text(), taken()), ("3 4 |".into(), vec![3]));

    let subject = Kind::subject::<u32, Infallible>();
    let source = subject.clone();
    let sub = Kind::using(acquire(), move |_| source, dispose()).subscribe(|_| {});
    assert!(taken().is_empty());
    sub.unsubscribe();
    assert_eq!(taken(), [4]);
    subject.clone().complete();
    assert!(taken().is_empty());

    // Panics: of the subscriber, of a closure above, of the closures themselves.
    let errors = Log::<String, Infallible>::default();
    let panicking = Kind::using(acquire(), |n| Kind::of(*n).stream_error(), dispose())
        .map(|n| -> u32 { panic!("at {n}") });
    panicking.map_err(|error| error.to_string()).on_error_route(errors.sink(|_| {})).subscribe(|_| {});
    assert_eq!((errors.text(), taken()), ("\"panic in `map`: at 5\" |".into(), vec![5]));

    let errors = Log::<String, Infallible>::default();
    let panicking = Kind::using(
        acquire(),
        |n| Kind::of(*n).map(|n| -> u32 { panic!("at {n}") }).stream_error(),
        dispose(),
    );
    panicking.map_err(|error| error.to_string()).on_error_route(errors.sink(|_| {})).subscribe(|_| {});
    assert_eq!((errors.text(), taken()), ("\"panic in `map`: at 6\" |".into(), vec![6]));

    let errors = Log::<String, Infallible>::default();
    let panicking = Kind::using(
        acquire(),
        |n| -> Kind<rxevents::operator::create::Throw<u32, StreamError>> { panic!("of {n}") },
        dispose(),
    );
    panicking.map_err(|error| error.to_string()).on_error_route(errors.sink(|_| {})).subscribe(|_| {});
    assert_eq!((errors.text(), taken()), ("\"panic in `using`: of 7\" |".into(), vec![7]));

    let errors = Log::<String, Infallible>::default();
    let panicking = Kind::using(|| -> u32 { panic!("none") }, |n| Kind::of(*n).stream_error(), dispose());
    panicking.map_err(|error| error.to_string()).on_error_route(errors.sink(|_| {})).subscribe(|_| {});
    assert_eq!((errors.text(), taken()), ("\"panic in `using`: none\" |".into(), vec![]));

    let text = format!("disposed {}", std::any::type_name::<Kind<()>>());
    let message = text.clone();
    let log = Log::default();
    Kind::using(|| (), |()| Kind::of(1), move |()| panic!("{message}")).subscribe_with(log.sink(|_| {}));
    assert_eq!((log.text(), unhandled(&text)), ("1 |".into(), vec![format!("panic in `using`: {text}")]));
}

/// For each subscription a resource of its own.
#[test]
fn using_can_be_repeated() {
    let open = Arc::new(AtomicUsize::new(0));
    let (opened, closed) = (open.clone(), open.clone());
    let source = Kind::using(
        move || opened.fetch_add(1, Ordering::SeqCst),
        |n| Kind::of(*n),
        move |_| drop(closed.fetch_sub(1, Ordering::SeqCst).to_string()),
    );
    let log = Log::default();
    source.repeat(1000).subscribe_with(log.sink(|n| assert_eq!(*n, 0)));
    assert_eq!((log.items().len(), open.load(Ordering::SeqCst)), (1000, 0));
}
