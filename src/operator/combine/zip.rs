use std::{convert::Infallible, marker::PhantomData};

use rxrust::observer::Observer;

use super::two_sources;
use crate::{
    buffer::Buffer,
    error::StreamError,
    gate::{Down, Either, Machine, Signal, Step},
    held::Held,
};

two_sources! {
    /// See [`zip`](super::CombineOps::zip).
    Zip<T, U> { buffer: Buffer }
    left T, right U, item (T, U),
    machine Zipping<C::Inner, T, U, E> = |down| Zipping {
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

/// The state of a zip: the items of the side that is ahead.
pub struct Zipping<O, T, U, E> {
    down: Down<O>,
    left: Held<T>,
    right: Held<U>,
    left_done: bool,
    right_done: bool,
    buffer: Buffer,
    types: PhantomData<fn() -> E>,
}

impl<O: Observer<(T, U), E>, T, U, E: 'static> Zipping<O, T, U, E> {
    #[inline]
    fn pair(&mut self, left: T, right: U) -> Step<Infallible> {
        match self.down.next((left, right)) {
            Step::Continue => self.end_if_used_up(),
            step => step,
        }
    }

    #[inline]
    fn end_if_used_up(&mut self) -> Step<Infallible> {
        if (self.left_done && self.left.is_empty()) || (self.right_done && self.right.is_empty()) {
            self.down.complete()
        } else {
            Step::Continue
        }
    }
}

impl<O: Observer<(T, U), E>, T, U, E: 'static> Machine<Either<T, U, E>> for Zipping<O, T, U, E> {
    #[inline(always)]
    fn on(&mut self, input: Either<T, U, E>) -> Step<Infallible> {
        match input {
            Either::Left(Signal::Next(left)) => match self.right.pop_front() {
                Some(right) => self.pair(left, right),
                None => self.down.hold(&self.buffer, &mut self.left, left, "zip"),
            },
            Either::Right(Signal::Next(right)) => match self.left.pop_front() {
                Some(left) => self.pair(left, right),
                None => self.down.hold(&self.buffer, &mut self.right, right, "zip"),
            },
            Either::Left(Signal::Complete) => {
                self.left_done = true;
                self.end_if_used_up()
            }
            Either::Right(Signal::Complete) => {
                self.right_done = true;
                self.end_if_used_up()
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
