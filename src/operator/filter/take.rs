use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    subscription::Subscription,
};

use crate::{
    error::complete,
    operator::apply::{Apply, Emit, Kernel},
};

/// See [`take`](super::FilterOps::take).
pub struct Take<S, I> {
    source: Apply<S, TakeFirst, I, I>,
    count: usize,
}

clone_by_fields!(Take<S, I>: source, count where S);

impl<S, I> Take<S, I> {
    pub(super) fn new(source: S, count: usize) -> Self {
        Self { source: Apply::new(source, TakeFirst { left: count }), count }
    }
}

impl<S: ObservableType, I> ObservableType for Take<S, I> {
    type Item<'a>
        = I
    where
        Self: 'a;
    type Err = S::Err;
}

impl<S, I, E, C, U> CoreObservable<C> for Take<S, I>
where
    C: Context,
    C::Inner: Observer<I, E>,
    S: ObservableType<Err = E>,
    Apply<S, TakeFirst, I, I>: CoreObservable<C, Unsub = U>,
    U: Subscription,
{
    type Unsub = Option<U>;

    fn subscribe(self, context: C) -> Option<U> {
        if self.count == 0 {
            complete(context.into_inner());
            return None;
        }
        Some(self.source.subscribe(context))
    }
}

/// The first items, of which there is at least one.
#[derive(Clone)]
pub struct TakeFirst {
    left: usize,
}

impl<I> Kernel<I, I> for TakeFirst {
    const NAME: &'static str = "take";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<I> {
        if self.left <= 1 {
            return Emit::Last(item);
        }
        self.left -= 1;
        Emit::Item(item)
    }
}
