use std::{convert::Infallible, marker::PhantomData};

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
};

use super::{Create, Emitter};
use crate::{
    error::named,
    operator::share::{Hosts, IntoListener, Listener},
};

/// See [`from_callback`](super::CreateOps::from_callback).
pub struct FromCallback<F, T> {
    f: F,
    types: PhantomData<fn() -> T>,
}

impl<F, T> FromCallback<F, T> {
    pub(super) fn new(f: F) -> Self {
        Self { f, types: PhantomData }
    }
}

impl<F: Clone, T> Clone for FromCallback<F, T> {
    fn clone(&self) -> Self {
        Self::new(self.f.clone())
    }
}

impl<F, T> ObservableType for FromCallback<F, T> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = Infallible;
}

impl<F, T, C, O> CoreObservable<C> for FromCallback<F, T>
where
    C: Context,
    C::Scope: Hosts<T, Infallible, Listener = O>,
    C::Inner: IntoListener<O>,
    O: Listener<T, Infallible>,
    F: FnOnce(Callback<O, T>),
{
    type Unsub = super::CreateSubscription<()>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let f = self.f;
        Create::new(|emitter| named(|| "from_callback", || f(Callback(emitter)))).subscribe(context)
    }
}

/// What takes the one value of [`from_callback`](super::CreateOps::from_callback). In `Shared` it can be moved to another
/// thread. Dropping it without a call means that nothing comes.
pub struct Callback<O, T>(Emitter<O, T, Infallible>);

impl<O: Listener<T, Infallible>, T> Callback<O, T> {
    /// Emits `value`, and completes.
    pub fn call(mut self, value: T) {
        // `Closed` ends in silence: nobody listens any more.
        if self.0.next(value).is_ok() {
            self.0.complete();
        }
    }

    /// Whether nobody listens any more, so that the work can be spared.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}
