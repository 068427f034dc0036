use std::{convert::Infallible, marker::PhantomData};

use rxrust::observer::Observer;

use super::two_sources;
use crate::{
    error::StreamError,
    gate::{Down, Either, Machine, Signal, Step},
};

two_sources! {
    /// See [`with_latest_from`](super::CombineOps::with_latest_from).
    WithLatestFrom<T, U> {}
    left T, right U, item (T, U),
    machine WithLatest<C::Inner, T, U, E> = |down| WithLatest {
        down: Down::new(down),
        latest: None,
        types: PhantomData,
    },
    // The other first, so that a cold one has its item ready.
    order right then left
}

/// The state of a `with_latest_from`: the other's latest.
pub struct WithLatest<O, T, U, E> {
    down: Down<O>,
    latest: Option<U>,
    types: PhantomData<fn() -> (T, E)>,
}

impl<O: Observer<(T, U), E>, T, U: Clone, E: 'static> Machine<Either<T, U, E>> for WithLatest<O, T, U, E> {
    #[inline(always)]
    fn on(&mut self, input: Either<T, U, E>) -> Step<Infallible> {
        match input {
            Either::Left(Signal::Next(item)) => match &self.latest {
                Some(latest) => self.down.next((item, latest.clone())),
                None => Step::Continue,
            },
            Either::Right(Signal::Next(latest)) => {
                self.latest = Some(latest);
                Step::Continue
            }
            Either::Left(Signal::Complete) => self.down.complete(),
            Either::Right(Signal::Complete) => Step::Continue,
            Either::Left(Signal::Error(error)) | Either::Right(Signal::Error(error)) => {
                self.down.error(error)
            }
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Infallible> = self.down.fail(failure);
    }
}
