use std::{convert::Infallible, marker::PhantomData};

use rxrust::observer::Observer;

use crate::{
    buffer::Buffer,
    error::{StreamError, named},
    gate::{Down, Either, Machine, Signal, Step},
    held::Held,
    operator::combine::two_sources,
};

const NAME: &str = "sequence_equal";

two_sources! {
    /// See [`sequence_equal`](super::AggregateOps::sequence_equal).
    SequenceEqual<T, U> { buffer: Buffer }
    left T, right U, item bool,
    machine Comparing<C::Inner, T, U, E> = |down| Comparing {
        down: Down::new(down),
        left: Held::open(&buffer),
        right: Held::open(&buffer),
        left_done: false,
        right_done: false,
        buffer,
        types: PhantomData,
    },
    order left then right
}

/// The state of a `sequence_equal`: the items of the side that is ahead.
pub struct Comparing<O, T, U, E> {
    down: Down<O>,
    left: Held<T>,
    right: Held<U>,
    left_done: bool,
    right_done: bool,
    buffer: Buffer,
    types: PhantomData<fn() -> E>,
}

impl<O: Observer<bool, E>, T: PartialEq<U>, U, E: 'static> Comparing<O, T, U, E> {
    fn answer(&mut self, equal: bool) -> Step<Infallible> {
        match self.down.next(equal) {
            Step::Continue => self.down.complete(),
            done => done,
        }
    }

    #[inline]
    fn compare(&mut self, left: &T, right: &U) -> Step<Infallible> {
        if named(|| NAME, || left == right) { self.answer_if_over() } else { self.answer(false) }
    }

    /// A side is over, and the other has more; or both are over.
    fn answer_if_over(&mut self) -> Step<Infallible> {
        let more = (self.left_done && !self.right.is_empty()) || (self.right_done && !self.left.is_empty());
        if more || (self.left_done && self.right_done) { self.answer(!more) } else { Step::Continue }
    }
}

impl<O, T, U, E> Machine<Either<T, U, E>> for Comparing<O, T, U, E>
where
    O: Observer<bool, E>,
    T: PartialEq<U>,
    E: 'static,
{
    #[inline(always)]
    fn on(&mut self, input: Either<T, U, E>) -> Step<Infallible> {
        match input {
            Either::Left(Signal::Next(left)) => match self.right.pop_front() {
                Some(right) => self.compare(&left, &right),
                None if self.right_done => self.answer(false),
                None => self.down.hold(&self.buffer, &mut self.left, left, NAME),
            },
            Either::Right(Signal::Next(right)) => match self.left.pop_front() {
                Some(left) => self.compare(&left, &right),
                None if self.left_done => self.answer(false),
                None => self.down.hold(&self.buffer, &mut self.right, right, NAME),
            },
            Either::Left(Signal::Complete) => {
                self.left_done = true;
                self.answer_if_over()
            }
            Either::Right(Signal::Complete) => {
                self.right_done = true;
                self.answer_if_over()
            }
            Either::Left(Signal::Error(error)) | Either::Right(Signal::Error(error)) => {
                self.down.error(error)
            }
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Infallible> = self.down.fail(failure);
    }
}
