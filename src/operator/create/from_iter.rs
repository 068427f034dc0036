use std::convert::Infallible;

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
};

use crate::delivery::fate::Abandoned;
use crate::error::{push, push_result};

/// See [`from_iter`](super::CreateOps::from_iter).
#[derive(Clone)]
pub struct FromIter<I>(pub(crate) I);

impl<I: IntoIterator> ObservableType for FromIter<I> {
    type Item<'a>
        = I::Item
    where
        Self: 'a;
    type Err = Infallible;
}

impl<I, C> CoreObservable<C> for FromIter<I>
where
    C: Context,
    C::Inner: Observer<I::Item, Infallible>,
    I: IntoIterator,
{
    type Unsub = ();

    #[inline]
    fn subscribe(self, context: C) {
        push("from_iter", context.into_inner(), |down| {
            // What is left when nobody listens any more is not done.
            let mut items = Abandoned::new(self.0.into_iter());
            if down.is_closed() {
                return;
            }
            for item in items.value.by_ref() {
                down.next(item);
                if down.is_closed() {
                    return;
                }
            }
        });
    }
}

/// See [`from_iter_result`](super::CreateOps::from_iter_result).
#[derive(Clone)]
pub struct FromIterResult<I>(pub(crate) I);

impl<T, E, I: IntoIterator<Item = Result<T, E>>> ObservableType for FromIterResult<I> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

impl<T, E: 'static, I, C> CoreObservable<C> for FromIterResult<I>
where
    C: Context,
    C::Inner: Observer<T, E>,
    I: IntoIterator<Item = Result<T, E>>,
{
    type Unsub = ();

    fn subscribe(self, context: C) {
        push_result("from_iter_result", context.into_inner(), |down| {
            let mut items = Abandoned::new(self.0.into_iter());
            if down.is_closed() {
                return Ok(());
            }
            for item in items.value.by_ref() {
                down.next(item?);
                if down.is_closed() {
                    break;
                }
            }
            Ok(())
        });
    }
}
