use std::marker::PhantomData;

use rxrust::{
    context::{Context, RcDerefMut},
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    subscription::Subscription,
};

use crate::{
    error::{catch, unhandled},
    operator::batch::{Batch, BatchObserver},
};

/// See [`finalize`](super::ErrorOps::finalize).
pub struct Finalize<S, F, T, E> {
    source: S,
    f: F,
    types: PhantomData<fn() -> (T, E)>,
}

clone_by_fields!(Finalize<S, F, T, E>: source, f, types where S, F);

impl<S, F, T, E> Finalize<S, F, T, E> {
    pub(crate) fn new(source: S, f: F) -> Self {
        Self { source, f, types: PhantomData }
    }
}

/// What is done last.
pub trait Last {
    /// The operator's name, in errors.
    const NAME: &'static str;
    /// Called once.
    fn call(self);
}

impl<F: FnOnce()> Last for F {
    const NAME: &'static str = "finalize";

    fn call(self) {
        self();
    }
}

impl<S, F, T, E> ObservableType for Finalize<S, F, T, E> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

impl<S, F, T, E, C, U> CoreObservable<C> for Finalize<S, F, T, E>
where
    C: Context,
    F: Last,
    U: Subscription,
    S: CoreObservable<C::With<FinalizeObserver<C::Inner, C::RcMut<Option<F>>>>, Unsub = U>,
{
    type Unsub = FinalizeSubscription<U, C::RcMut<Option<F>>>;

    fn subscribe(self, context: C) -> Self::Unsub {
        let f = C::RcMut::from(Some(self.f));
        let finally = Finally { f: f.clone(), call };
        let upstream = self.source.subscribe(context.transform(|down| FinalizeObserver { down, finally }));
        FinalizeSubscription { upstream, f }
    }
}

/// Calls the function, unless it has been called.
fn call<R, F>(f: &R)
where
    R: RcDerefMut<Target = Option<F>>,
    F: Last,
{
    let f = f.rc_deref_mut().take();
    if let Some(Err(panic)) = f.map(|f| catch(F::NAME, || f.call())) {
        unhandled(&panic.into());
    }
}

/// The observer of a `finalize`.
pub struct FinalizeObserver<O, R> {
    down: O,
    /// After `down`: the subscriber is told first.
    finally: Finally<R>,
}

/// Calls the function when it is dropped: with the end, or when the source lets go of an observer that is closed.
struct Finally<R> {
    f: R,
    call: fn(&R),
}

impl<R> Drop for Finally<R> {
    fn drop(&mut self) {
        (self.call)(&self.f);
    }
}

impl<O, R, T, E> Observer<T, E> for FinalizeObserver<O, R>
where
    O: Observer<T, E>,
{
    #[inline(always)]
    fn next(&mut self, item: T) {
        self.down.next(item);
    }

    fn error(self, error: E) {
        let Self { down, finally } = self;
        down.error(error);
        drop(finally);
    }

    fn complete(self) {
        let Self { down, finally } = self;
        down.complete();
        drop(finally);
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.down.is_closed()
    }
}

impl<O: BatchObserver<T, E>, R, T, E> BatchObserver<T, E> for FinalizeObserver<O, R> {
    #[inline(always)]
    fn take_batch<B: Batch<T>>(&mut self, items: &mut B) {
        self.down.take_batch(items);
    }
}

/// The subscription to a `finalize`.
pub struct FinalizeSubscription<U, R> {
    upstream: U,
    f: R,
}

impl<U, R, F> Subscription for FinalizeSubscription<U, R>
where
    U: Subscription,
    R: RcDerefMut<Target = Option<F>>,
    F: Last,
{
    fn unsubscribe(self) {
        self.upstream.unsubscribe();
        call(&self.f);
    }

    fn is_closed(&self) -> bool {
        self.upstream.is_closed()
    }
}
