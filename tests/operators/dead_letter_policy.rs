//! What becomes of events that have failed: limits, queues that refuse, items that acknowledge.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use rxevents::{
    dead_letter::{
        DeadLetterError, DeadLetterPolicy, OnLimit, Origin, Oversize, PoisonLimit, QueueError, from_fn,
    },
    delivery::is_abandoning,
    prelude::*,
    testing::record,
};

use super::flavour::{Kind, OnTime, Scheduler};
use crate::common::{Log, lock, ms};

type Told = Arc<Mutex<Vec<String>>>;

fn told(told: &Told) -> Vec<String> {
    lock(told).drain(..).collect()
}

/// An event whose source wants to know what has become of it: dropped is done, unless it was abandoned, or in a panic.
#[derive(Debug)]
struct Receipt {
    text: &'static str,
    told: Told,
}

impl Receipt {
    fn new(text: &'static str, told: &Told) -> Self {
        Self { text, told: told.clone() }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        let what = if is_abandoning() { "abandoned" } else { "done" };
        lock(&self.told).push(format!("{what} {}", self.text));
    }
}

impl Payload for Receipt {
    fn payload(&self) -> Cow<'_, [u8]> {
        self.text.as_bytes().into()
    }

    fn origin(&self) -> Option<Origin> {
        Some(Origin::offset("t", 3, 42))
    }

    fn headers(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("trace".to_owned(), "ä\n".to_owned())])
    }

    fn acknowledges(&self) -> bool {
        true
    }
}

/// A queue that says what happens to it, is durable after a flush, and refuses so many times.
#[derive(Clone)]
struct Slow {
    told: Told,
    refuse_pushes: Arc<Mutex<u32>>,
    refuse_flushes: Arc<Mutex<u32>>,
    durable: bool,
    panics: bool,
}

impl Slow {
    fn new(told: &Told) -> Self {
        let (refuse_pushes, refuse_flushes) = Default::default();
        Self { told: told.clone(), refuse_pushes, refuse_flushes, durable: true, panics: false }
    }

    fn refuses(self, pushes: u32, flushes: u32) -> Self {
        (*lock(&self.refuse_pushes), *lock(&self.refuse_flushes)) = (pushes, flushes);
        self
    }
}

fn refused(left: &Mutex<u32>) -> bool {
    let mut left = lock(left);
    *left = left.saturating_sub(1);
    *left > 0
}

impl DeadLetterQueue for Slow {
    fn push(&mut self, letter: DeadLetter) -> Result<(), DeadLetterError> {
        let text = String::from_utf8_lossy(&letter.payload).into_owned();
        assert!(!self.panics, "the queue panics");
        if refused(&self.refuse_pushes) {
            lock(&self.told).push(format!("refused {text}"));
            return Err(DeadLetterError { letter: letter.into(), cause: QueueError::Other("down".into()) });
        }
        lock(&self.told).push(format!("stored {text}"));
        self.durable = false;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), QueueError> {
        if refused(&self.refuse_flushes) {
            lock(&self.told).push("not flushed".into());
            return Err(QueueError::Other("down".into()));
        }
        lock(&self.told).push("flushed".into());
        self.durable = true;
        Ok(())
    }

    fn is_durable(&self) -> bool {
        self.durable
    }
}

/// Good in lower case, rejected in upper case.
fn check(receipt: Receipt) -> Result<Receipt, Rejected<Receipt>> {
    if receipt.text.starts_with(char::is_lowercase) {
        Ok(receipt)
    } else {
        Err(Rejected::new(receipt, "check", Reason::violation("a", "b", "upper case")))
    }
}

/// What comes out, and the error.
macro_rules! run {
    ($told:expr, $texts:expr, $queue:expr, $policy:expr) => {{
        let (log, at) = (Log::<&str, StreamError>::default(), $told.clone());
        Kind::from_iter($texts)
            .map(move |text| Receipt::new(text, &at))
            .stream_error()
            .map(check)
            .dead_letter_with($queue, $policy)
            .map(|receipt| receipt.text)
            .subscribe_with(log.sink(|_| {}));
        log
    }};
}

#[test]
fn valid_and_invalid_are_counted_one_by_one() {
    let (all, queue, policy) =
        (Told::default(), MemoryQueue::new(10), DeadLetterPolicy::new().max_consecutive(1));
    let counts = policy.counts();
    let log = run!(all, ["v", "X", "w", "Y"], queue.clone(), policy);
    assert_eq!(log.text(), r#""v" "w" |"#);
    assert_eq!((counts.valid(), counts.invalid(), counts.poisoned()), (2, 2, 0));
    let letters = queue.letters();
    assert_eq!(letters[0].origin, Some(Origin::offset("t", 3, 42)));
    assert_eq!(letters[0].headers["trace"], "ä\n");
    assert_eq!(letters[0].violations.len(), 1);
}

#[test]
fn an_item_is_done_when_its_letter_is_durable() {
    let all = Told::default();
    run!(all, ["X", "a", "Y", "Z"], Slow::new(&all), DeadLetterPolicy::new().max_unflushed(2));
    let expected =
        ["stored X", "done a", "stored Y", "flushed", "done X", "done Y", "stored Z", "flushed", "done Z"];
    assert_eq!(told(&all), expected);
}

#[test]
fn an_item_whose_letter_is_refused_is_not_done() {
    let all = Told::default();
    let log = run!(all, ["X", "Y"], Slow::new(&all).refuses(3, 0), DeadLetterPolicy::new());
    assert!(log.text().starts_with("#"), "{}", log.text());
    assert_eq!(told(&all), ["refused X", "abandoned X", "flushed"]);
}

#[test]
fn items_whose_letters_are_not_flushed_are_not_done() {
    let all = Told::default();
    let log = run!(all, ["X", "Y"], Slow::new(&all).refuses(0, 9), DeadLetterPolicy::new());
    assert!(log.text().starts_with("#"), "{}", log.text());
    assert_eq!(told(&all), ["stored X", "stored Y", "not flushed", "abandoned X", "abandoned Y"]);
}

#[test]
fn an_item_is_not_done_when_the_queue_panics() {
    let all = Told::default();
    let queue = Slow { panics: true, ..Slow::new(&all) };
    let log = run!(all, ["X"], queue, DeadLetterPolicy::new());
    assert!(log.text().contains("the queue panics"), "{}", log.text());
    assert_eq!(told(&all)[0], "abandoned X");
}

#[test]
fn unsubscribed_it_flushes_and_then_the_items_are_done() {
    let all = Told::default();
    let at = all.clone();
    let subject = Kind::subject::<&'static str, std::convert::Infallible>();
    let subscription = subject
        .clone()
        .map(move |text| Receipt::new(text, &at))
        .map(check)
        .dead_letter(Slow::new(&all))
        .subscribe(|_| {});
    subject.clone().next("X");
    assert_eq!(told(&all), ["stored X"]);
    subscription.unsubscribe();
    assert_eq!(told(&all), ["flushed", "done X"]);
}

#[test]
fn what_a_queue_refuses_is_pushed_again() {
    let (all, pauses) = (Told::default(), Told::default());
    let at = pauses.clone();
    let policy = DeadLetterPolicy::new()
        .retry_push(Retry::times(3).exponential(ms(10), ms(15)))
        .pause(move |time| lock(&at).push(format!("{time:?}")));
    let log = run!(all, ["X", "a"], Slow::new(&all).refuses(4, 2), policy.clone());
    assert_eq!(log.text(), r#""a" |"#);
    let expected =
        ["refused X", "refused X", "refused X", "stored X", "done a", "not flushed", "flushed", "done X"];
    assert_eq!(told(&all), expected);
    assert_eq!(told(&pauses), ["10ms", "15ms", "15ms", "10ms"]);
    // One more than it is worth.
    let log = run!(all, ["X", "a"], Slow::new(&all).refuses(9, 0), policy);
    assert!(log.text().starts_with("#"), "{}", log.text());
    assert_eq!(told(&all).iter().filter(|what| *what == "refused X").count(), 4);
}

#[test]
fn on_a_thread_of_a_runtime_it_does_not_block() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let all = Told::default();
    let policy = DeadLetterPolicy::new().retry_push(Retry::forever().fixed(Duration::from_secs(3600)));
    let log = runtime.block_on(async { run!(all, ["X"], Slow::new(&all).refuses(9, 0), policy) });
    assert!(log.text().starts_with("#"), "{}", log.text());
}

fn limit(texts: &'static [&'static str], policy: DeadLetterPolicy) -> Option<(PoisonLimit, u64, u64)> {
    let (all, errors) = (Told::default(), Arc::new(Mutex::new(None)));
    let (at, seen) = (all.clone(), errors.clone());
    Kind::from_iter(texts.iter().copied())
        .map(move |text| Receipt::new(text, &at))
        .stream_error()
        .map(check)
        .dead_letter_with(MemoryQueue::new(100), policy)
        .on_error_route(observer(move |error| match error {
            StreamError::Poisoned(poisoned) => {
                *lock(&seen) = Some((poisoned.limit, poisoned.valid, poisoned.invalid))
            }
            other => panic!("{other}"),
        }))
        .subscribe(|_| {});
    let abandoned = told(&all).iter().filter(|what| what.starts_with("abandoned")).count();
    let limit = *lock(&errors);
    assert_eq!(abandoned, usize::from(limit.is_some()));
    limit
}

#[test]
fn too_many_failures_end_the_stream() {
    let in_a_row = |max| DeadLetterPolicy::new().max_consecutive(max);
    assert_eq!(limit(&["X", "Y", "a", "X", "Y", "b"], in_a_row(2)), None);
    let consecutive = |max| PoisonLimit::Consecutive { max };
    assert_eq!(limit(&["X", "Y", "a", "X", "Y", "Z", "Z"], in_a_row(2)), Some((consecutive(2), 1, 5)));
    assert_eq!(limit(&["X"], in_a_row(0)), Some((consecutive(0), 0, 1)));

    let of_last = |ratio, last| DeadLetterPolicy::new().max_ratio(ratio, last);
    assert_eq!(limit(&["X", "Y", "Z", "a", "b", "c", "X"], of_last(0.5, 4)), None);
    let ratio = |max, seen| PoisonLimit::Ratio { max, seen };
    assert_eq!(limit(&["X", "Y", "Z", "a", "X", "b"], of_last(0.5, 4)), Some((ratio(0.5, 0.75), 1, 4)));
    assert_eq!(limit(&["X", "Y", "Z", "X"], of_last(0.5, 4)), Some((ratio(0.5, 1.0), 0, 4)));
}

#[test]
fn a_part_of_the_events_of_the_last_time() {
    let policy = || DeadLetterPolicy::new().max_ratio_within(0.5, ms(100), 4);
    let run = |marbles: &str| {
        let (s, queue) = (Scheduler::new(), MemoryQueue::new(100));
        let check = |c: char| match c.is_lowercase() {
            true => Ok(c),
            false => Err(Rejected::new(c.to_string(), "check", Reason::other("upper case"))),
        };
        let events = s.cold(marbles).map_err(std::io::Error::other).stream_error().map(check);
        let seen = record(events.dead_letter_with(queue.clone(), policy()));
        s.advance_by(ms(10_000));
        (seen.items().len(), queue.len())
    };
    assert_eq!(run("aXbXcXdX|"), (4, 4));
    // The fourth is the third of four that fails.
    assert_eq!(run("aXYZb|"), (1, 2));
    // Too few in a time.
    assert_eq!(run("X 200ms Y 200ms Z 200ms X|"), (0, 4));
    // What was good long ago does not count.
    assert_eq!(run("abcdef 10s XYZ|").1, 0);
}

/// A push stream cannot pause; it ends before the letter is stored, and goes on with that event after a delay.
#[test]
fn it_pauses_and_goes_on_where_it_was() {
    let (s, all, queue) = (Scheduler::new(), Told::default(), MemoryQueue::new(100));
    let events: Vec<&'static str> = vec!["a", "X", "Y", "Z", "X", "Y", "b"];
    // Sends again all from the first that is not done.
    let source = {
        let (all, s) = (all.clone(), s.clone());
        OnTime::defer(move || {
            let done = lock(&all).iter().filter(|what| what.starts_with("done")).count();
            let all = all.clone();
            s.on(Kind::from_iter(events[done..].to_vec()).map(move |text| Receipt::new(text, &all)))
        })
    };
    let stored = s
        .on(source)
        .stream_error()
        .map(check)
        .dead_letter_with(queue.clone(), DeadLetterPolicy::new().max_consecutive(2))
        .retry_with(Retry::times(9).fixed(ms(1000)))
        .map(|receipt| receipt.text.chars().next().unwrap_or_default());
    let seen = record(stored);
    s.advance_by(ms(100));
    assert_eq!((seen.items().len(), queue.len()), (1, 2));
    s.advance_by(ms(1000));
    assert_eq!((seen.items().len(), queue.len()), (1, 4), "{:?} {:?}", lock(&all), seen.signals());
    s.advance_by(ms(1000));
    assert!(seen.is_over());
    assert_eq!((seen.items(), queue.len()), (vec!['a', 'b'], 5));
    let payloads: Vec<_> = queue.letters().iter().map(|letter| letter.payload[0]).collect();
    assert_eq!(payloads, b"XYZXY");
    let abandoned = told(&all).into_iter().filter(|what| what.starts_with("abandoned")).collect::<Vec<_>>();
    assert!(abandoned.contains(&"abandoned Z".to_owned()), "{abandoned:?}");
}

#[test]
fn somebody_may_say_that_it_goes_on() {
    let (all, asked) = (Told::default(), Told::default());
    let at = asked.clone();
    let policy = DeadLetterPolicy::new().max_consecutive(1).on_limit(move |poisoned| {
        lock(&at).push(poisoned.to_string());
        if poisoned.letter.payload == b"Y" { OnLimit::Store } else { OnLimit::Stop }
    });
    let queue = MemoryQueue::new(10);
    let log = run!(all, ["X", "Y", "Z", "V", "a"], queue.clone(), policy);
    assert!(log.text().starts_with("#"), "{}", log.text());
    assert_eq!(queue.len(), 3);
    let expected = "`dead_letter`: more than 1 events in a row have failed; not stored: check: a: upper case";
    assert_eq!(told(&asked), [expected; 2]);
}

#[test]
fn what_must_not_be_stored_is_taken_out_first() {
    let (all, queue) = (Told::default(), MemoryQueue::new(10));
    let policy = DeadLetterPolicy::new()
        .redact(|letter| {
            assert_eq!(letter.payload, "SECRET äö".as_bytes());
            letter.payload[..6].fill(b'*');
        })
        .max_payload(8, Oversize::Truncate)
        .max_message(20);
    let counts = policy.counts();
    run!(all, ["SECRET äö"], queue.clone(), policy);
    let letters = queue.letters();
    // To a whole character.
    assert_eq!((&letters[0].payload[..], letters[0].truncated_from), (&b"****** "[..], Some(11)));
    assert_eq!((letters[0].message.as_str(), counts.truncated()), ("a: upper case", 1));

    let secret = "with the secret ".repeat(10);
    let policy = DeadLetterPolicy::new().max_message(40);
    Kind::from_iter(["x"])
        .try_map(move |_| Err::<(), _>(Reason::decode(secret.clone())))
        .dead_letter_with(queue.clone(), policy)
        .subscribe(|()| {});
    let message = &queue.letters()[1].message;
    assert!(message.len() <= 40 && message.ends_with("… (truncated)"), "{message}");
}

#[test]
fn a_panic_of_the_redactor_stores_nothing() {
    let (all, queue) = (Told::default(), MemoryQueue::new(10));
    let policy = DeadLetterPolicy::new().redact(|_| panic!("no"));
    let log = run!(all, ["X"], queue.clone(), policy);
    assert!(log.text().starts_with("#Panic"), "{}", log.text());
    assert_eq!((queue.len(), &told(&all)[..]), (0, &["abandoned X".to_owned()][..]));
}

#[test]
fn a_payload_that_is_too_long_may_be_refused() {
    let (all, queue) = (Told::default(), MemoryQueue::new(10));
    let policy = DeadLetterPolicy::new().max_payload(3, Oversize::Refuse);
    let log = run!(all, ["XYZ", "XYZ!"], queue.clone(), policy);
    assert!(log.text().contains("TooLong { limit: 3, length: 4 }"), "{}", log.text());
    assert_eq!((queue.len(), &told(&all)[1..]), (1, &["abandoned XYZ!".to_owned()][..]));
}

#[test]
fn a_letter_that_all_refuse_comes_back() {
    let (first, second) = (MemoryQueue::new(1), MemoryQueue::new(1));
    let alarm = from_fn(|letter: &DeadLetter| Err(format!("nobody hears of {}", letter.stage)));
    let (all, log) = (Told::default(), Log::<&str, StreamError>::default());
    let at = all.clone();
    let chain = first.clone().or_else(second.clone()).or_else(alarm);
    Kind::from_iter(["X", "Y", "Z"])
        .map(move |text| Receipt::new(text, &at))
        .stream_error()
        .map(check)
        .dead_letter(chain)
        .map(|receipt| receipt.text)
        .subscribe_with(log.sink(|_| {}));
    let text = log.text();
    assert!(text.contains("BothRefused") && text.contains("nobody hears of check"), "{text}");
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_eq!(told(&all), ["done X", "done Y", "abandoned Z"]);
}
