use std::{convert::Infallible, hash::BuildHasher, marker::PhantomData};

use rxrust::observer::Observer;

use super::DistinctBy;
use crate::{
    error::{StreamError, named},
    gate::{Down, Either, Machine, Signal, Step},
    operator::{
        apply::{Emit, Kernel},
        combine::two_sources,
        key::Key,
    },
};

two_sources! {
    /// See [`distinct_by_flush`](super::FilterOps::distinct_by_flush).
    DistinctByFlush<D, T, U> { distinct: D }
    left T, right U, item T,
    machine Flushing<C::Inner, D, T, U, E> =
        |down| Flushing { down: Down::new(down), distinct, types: PhantomData },
    order right then left
}

/// The state of a `distinct_by_flush`.
pub struct Flushing<O, D, T, U, E> {
    down: Down<O>,
    distinct: D,
    types: PhantomData<fn() -> (T, U, E)>,
}

impl<O, K, Q, H, T, U, E> Machine<Either<T, U, E>> for Flushing<O, DistinctBy<K, Q, H>, T, U, E>
where
    O: Observer<T, E>,
    K: FnMut(&T) -> &Q,
    Q: Key + ?Sized,
    H: BuildHasher,
    E: 'static,
{
    #[inline(always)]
    fn on(&mut self, input: Either<T, U, E>) -> Step<Infallible> {
        match input {
            Either::Left(Signal::Next(item)) => {
                match named(|| "distinct_by_flush", || self.distinct.next(item)) {
                    Emit::Item(item) => self.down.next(item),
                    Emit::Fail(full) => self.down.fail(full),
                    _ => Step::Continue,
                }
            }
            Either::Right(Signal::Next(_)) => {
                self.distinct.flush();
                Step::Continue
            }
            Either::Right(Signal::Complete) => Step::Continue,
            Either::Left(Signal::Complete) => self.down.complete(),
            Either::Left(Signal::Error(error)) | Either::Right(Signal::Error(error)) => {
                self.down.error(error)
            }
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Infallible> = self.down.fail(failure);
    }
}
