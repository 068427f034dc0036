use std::marker::PhantomData;

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    subscription::Subscription,
};

use crate::{
    error::{catch, fail, unhandled},
    operator::error::{Finalize, Last},
};

/// See [`using`](super::CreateOps::using).
pub struct Using<A, F, D, R, S, T, E> {
    acquire: A,
    make: F,
    dispose: D,
    types: PhantomData<fn() -> (R, S, T, E)>,
}

impl<A, F, D, R, S, T, E> Using<A, F, D, R, S, T, E> {
    pub(super) fn new(acquire: A, make: F, dispose: D) -> Self {
        Self { acquire, make, dispose, types: PhantomData }
    }
}

impl<A: Clone, F: Clone, D: Clone, R, S, T, E> Clone for Using<A, F, D, R, S, T, E> {
    fn clone(&self) -> Self {
        Self::new(self.acquire.clone(), self.make.clone(), self.dispose.clone())
    }
}

impl<A, F, D, R, S, T, E> ObservableType for Using<A, F, D, R, S, T, E> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

impl<A, F, D, R, S, T, E, C, U> CoreObservable<C> for Using<A, F, D, R, S, T, E>
where
    C: Context,
    C::Inner: Observer<T, E>,
    E: 'static,
    A: FnOnce() -> R,
    F: FnOnce(&mut R) -> C::With<S>,
    D: FnOnce(R),
    Finalize<S, Dispose<R, D>, T, E>: CoreObservable<C, Unsub = U>,
    U: Subscription,
{
    type Unsub = Option<U>;

    fn subscribe(self, context: C) -> Option<U> {
        let Self { acquire, make, dispose, .. } = self;
        let failure = match catch("using", acquire) {
            Err(panic) => panic,
            Ok(mut resource) => {
                let made = catch("using", || make(&mut resource));
                let dispose = Dispose { resource, dispose };
                match made {
                    Ok(source) => {
                        return Some(Finalize::new(source.into_inner(), dispose).subscribe(context));
                    }
                    Err(panic) => {
                        if let Err(second) = catch("using", || dispose.call()) {
                            unhandled(&second.into());
                        }
                        panic
                    }
                }
            }
        };
        fail(context.into_inner(), failure);
        None
    }
}

/// A resource, and how it is released.
pub struct Dispose<R, D> {
    resource: R,
    dispose: D,
}

impl<R, D: FnOnce(R)> Last for Dispose<R, D> {
    const NAME: &'static str = "using";

    fn call(self) {
        (self.dispose)(self.resource);
    }
}
