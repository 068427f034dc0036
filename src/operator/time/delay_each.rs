use std::marker::PhantomData;

use rxrust::context::Context;

use crate::operator::{
    apply::{Apply, Emit, Kernel},
    transform::Flatten,
};

/// See [`delay_each`](super::TimeOps::delay_each).
pub type DelayEach<S, F, I, N, X, E> =
    Flatten<Apply<S, WithNotifier<F, N, X>, I, ItemAfter<N, I, X>>, ItemAfter<N, I, X>, I, E>;

/// An item when its notifier has emitted or completed.
pub type ItemAfter<N, I, X> = <N as Context>::With<Apply<<N as Context>::Inner, After<I>, X, I>>;

/// Makes a stream of each item.
pub struct WithNotifier<F, N, X> {
    f: F,
    types: PhantomData<fn() -> (N, X)>,
}

impl<F, N, X> WithNotifier<F, N, X> {
    pub(super) fn new(f: F) -> Self {
        Self { f, types: PhantomData }
    }
}

impl<F: Clone, N, X> Clone for WithNotifier<F, N, X> {
    fn clone(&self) -> Self {
        Self::new(self.f.clone())
    }
}

impl<F, I, N, X> Kernel<I, ItemAfter<N, I, X>> for WithNotifier<F, N, X>
where
    F: FnMut(&I) -> N,
    N: Context,
{
    const NAME: &'static str = "delay_each";

    fn next(&mut self, item: I) -> Emit<ItemAfter<N, I, X>> {
        let notifier = (self.f)(&item);
        Emit::Item(notifier.transform(|notifier| Apply::new(notifier, After(Some(item)))))
    }
}

/// An item that is sent at the first sign of its notifier.
#[derive(Clone)]
pub struct After<I>(Option<I>);

impl<X, I> Kernel<X, I> for After<I> {
    const NAME: &'static str = "delay_each";

    fn next(&mut self, _sign: X) -> Emit<I> {
        self.0.take().map_or(Emit::End, Emit::Last)
    }

    fn finish(&mut self) -> Option<I> {
        self.0.take()
    }
}
