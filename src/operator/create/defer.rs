use std::marker::PhantomData;

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
};

use crate::error::{catch, fail};

/// See [`defer`](super::CreateOps::defer).
pub struct Defer<F, S, T, E> {
    f: F,
    types: PhantomData<fn() -> (S, T, E)>,
}

impl<F, S, T, E> Defer<F, S, T, E> {
    pub(super) fn new(f: F) -> Self {
        Self { f, types: PhantomData }
    }
}

impl<F: Clone, S, T, E> Clone for Defer<F, S, T, E> {
    fn clone(&self) -> Self {
        Self::new(self.f.clone())
    }
}

impl<F, S, T, E> ObservableType for Defer<F, S, T, E> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

impl<F, S, T, E, C, U> CoreObservable<C> for Defer<F, S, T, E>
where
    C: Context,
    C::Inner: Observer<T, E>,
    E: 'static,
    F: FnOnce() -> C::With<S>,
    S: CoreObservable<C, Unsub = U>,
    U: rxrust::subscription::Subscription,
{
    type Unsub = Option<U>;

    fn subscribe(self, context: C) -> Option<U> {
        match catch("defer", self.f) {
            Ok(source) => Some(source.into_inner().subscribe(context)),
            Err(panic) => {
                fail(context.into_inner(), panic);
                None
            }
        }
    }
}
