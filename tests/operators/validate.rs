use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use rxevents::{
    dead_letter::{DeadLetterError, QueueError},
    prelude::*,
};

use super::flavour::Kind;
use crate::common::{Log, lock};

fn parse(text: &&str) -> Result<i32, Reason> {
    text.parse().map_err(Reason::other)
}

/// A closure that panics on the second of three: out comes the rest, and one dead letter.
#[test]
fn a_panic_in_try_map_is_one_dead_letter() {
    let (queue, log) = (MemoryQueue::new(10), Log::<i32, Infallible>::default());
    Kind::from_iter(["1", "2", "3"])
        .try_map(|text| {
            assert!(*text != "2", "not two");
            parse(text)
        })
        .dead_letter(queue.clone())
        .subscribe_with(log.sink(|_| {}));
    assert_eq!(log.text(), "1 3 |");
    let letters = queue.letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].kind, FailureKind::Panic);
}

/// arroyo's `dlq.rs`: good, bad, good, bad.
#[test]
fn good_and_bad_alternate() {
    let (bad, good) = (Log::<&str, Infallible>::default(), Log::<i32, Infallible>::default());
    let failures = Arc::new(Mutex::new(vec![]));
    let seen = failures.clone();
    Kind::from_iter(["1", "x", "2", "y"])
        .try_map(parse)
        .route_failures(observer(move |rejected: Rejected<&str>| lock(&seen).push(rejected.item)))
        .subscribe_with(good.sink(|_| {}));
    assert_eq!(good.text(), "1 2 |");
    assert_eq!(*lock(&failures), ["x", "y"]);
    // A subject as the route gets the end too.
    let route = Kind::subject::<Rejected<&'static str>, Infallible>();
    route.clone().map(|rejected| rejected.item).subscribe_with(bad.sink(|_| {}));
    Kind::from_iter(["x"]).try_map(parse).route_failures(route.into_inner()).subscribe(|_| {});
    assert_eq!(bad.text(), "\"x\" |");
}

/// Refuses all.
struct Down;

impl DeadLetterQueue for Down {
    fn push(&mut self, letter: DeadLetter) -> Result<(), DeadLetterError> {
        Err(DeadLetterError { letter: Box::new(letter), cause: QueueError::Full { capacity: 0 } })
    }

    fn flush(&mut self) -> Result<(), QueueError> {
        Ok(())
    }
}

#[test]
fn a_letter_that_cannot_be_stored_is_in_the_error() {
    let (errors, good) = (Arc::new(Mutex::new(vec![])), Log::<i32, Infallible>::default());
    let seen = errors.clone();
    Kind::from_iter(["1", "x", "2"])
        .stream_error()
        .try_map_stage("parse", parse)
        .dead_letter(Down)
        .on_error_route(observer(move |error: StreamError| lock(&seen).push(error)))
        .subscribe_with(good.sink(|_| {}));
    assert_eq!(good.text(), "1 |");
    match lock(&errors).as_slice() {
        [StreamError::DeadLetter(error)] => assert_eq!(error.letter.stage, "parse"),
        other => panic!("{other:?}"),
    }
}
