use std::{convert::Infallible, marker::PhantomData};

use rxrust::observer::Observer;

use super::two_sources;
use crate::{
    error::{StreamError, named},
    gate::{Down, Either, Machine, Signal, Step},
};

two_sources! {
    /// See [`combine_latest`](super::CombineOps::combine_latest).
    CombineLatest<F, T, U, R> { f: F }
    left T, right U, item R,
    machine Combining<C::Inner, F, T, U, R, E> = |down| Combining {
        down: Down::new(down),
        f,
        left: None,
        right: None,
        left_done: false,
        right_done: false,
        types: PhantomData,
    },
    order left then right
}

/// The state of a `combine_latest`: the latest of each side.
pub struct Combining<O, F, T, U, R, E> {
    down: Down<O>,
    f: F,
    left: Option<T>,
    right: Option<U>,
    left_done: bool,
    right_done: bool,
    types: PhantomData<fn() -> (R, E)>,
}

impl<O, F, T, U, R, E> Combining<O, F, T, U, R, E>
where
    O: Observer<R, E>,
    F: FnMut(T, U) -> R,
    T: Clone,
    U: Clone,
    E: 'static,
{
    #[inline]
    fn emit(&mut self) -> Step<Infallible> {
        let (Some(left), Some(right)) = (&self.left, &self.right) else { return Step::Continue };
        let f = &mut self.f;
        let out = named(|| "combine_latest", || f(left.clone(), right.clone()));
        self.down.next(out)
    }

    fn end_if_over(&mut self) -> Step<Infallible> {
        let (left_silent, right_silent) = (self.left.is_none(), self.right.is_none());
        let never_again = (self.left_done && left_silent) || (self.right_done && right_silent);
        if never_again || (self.left_done && self.right_done) { self.down.complete() } else { Step::Continue }
    }
}

impl<O, F, T, U, R, E> Machine<Either<T, U, E>> for Combining<O, F, T, U, R, E>
where
    O: Observer<R, E>,
    F: FnMut(T, U) -> R,
    T: Clone,
    U: Clone,
    E: 'static,
{
    #[inline(always)]
    fn on(&mut self, input: Either<T, U, E>) -> Step<Infallible> {
        match input {
            Either::Left(Signal::Next(left)) => {
                self.left = Some(left);
                self.emit()
            }
            Either::Right(Signal::Next(right)) => {
                self.right = Some(right);
                self.emit()
            }
            Either::Left(Signal::Complete) => {
                self.left_done = true;
                self.end_if_over()
            }
            Either::Right(Signal::Complete) => {
                self.right_done = true;
                self.end_if_over()
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
