use std::marker::PhantomData;

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    subscription::Subscription,
};

use crate::{
    error::{catch, drop_caught, fail},
    operator::apply::{Emit, Kernel},
};

/// See [`start_with`](super::CombineOps::start_with).
pub struct StartWith<S, I, T, E> {
    source: S,
    items: I,
    types: PhantomData<fn() -> (T, E)>,
}

clone_by_fields!(StartWith<S, I, T, E>: source, items, types where S, I);

impl<S, I, T, E> StartWith<S, I, T, E> {
    pub(super) fn new(source: S, items: I) -> Self {
        Self { source, items, types: PhantomData }
    }
}

impl<S, I, T, E> ObservableType for StartWith<S, I, T, E> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

impl<S, I, T, E, C, U> CoreObservable<C> for StartWith<S, I, T, E>
where
    C: Context,
    C::Inner: Observer<T, E>,
    I: IntoIterator<Item = T>,
    S: CoreObservable<C, Unsub = U>,
    U: Subscription,
    E: 'static,
{
    type Unsub = Option<U>;

    fn subscribe(self, context: C) -> Option<U> {
        let (mut down, scheduler) = context.into_parts();
        match catch("start_with", || send(self.items, &mut down)) {
            Ok(true) => Some(self.source.subscribe(C::from_parts(down, scheduler))),
            Ok(false) => {
                drop_caught((down, self.source));
                None
            }
            Err(panic) => {
                fail(down, panic);
                None
            }
        }
    }
}

/// Whether somebody still listens.
fn send<I: IntoIterator, O: Observer<I::Item, E>, E>(items: I, down: &mut O) -> bool {
    let mut items = items.into_iter();
    while !down.is_closed() {
        let Some(item) = items.next() else { return true };
        down.next(item);
    }
    false
}

/// See [`end_with`](super::CombineOps::end_with).
#[derive(Debug, Clone)]
pub struct EndWith<I>(pub(super) I);

impl<I: Iterator> Kernel<I::Item, I::Item> for EndWith<I> {
    const NAME: &'static str = "end_with";

    #[inline(always)]
    fn next(&mut self, item: I::Item) -> Emit<I::Item> {
        Emit::Item(item)
    }

    fn finish(&mut self) -> Option<I::Item> {
        self.0.next()
    }

    fn finish_rest(&mut self) -> Option<I::Item> {
        self.0.next()
    }
}
