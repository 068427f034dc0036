use std::{convert::Infallible, marker::PhantomData};

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
};

use crate::error::{complete, error};

macro_rules! trivial {
    ($name:ident<$($param:ident),*>, item $item:ty, error $error:ty, |$self:ident, $down:ident| $subscribe:expr) => {
        impl<$($param),*> ObservableType for $name<$($param),*> {
            type Item<'a>
                = $item
            where
                Self: 'a;
            type Err = $error;
        }

        impl<$($param,)* C> CoreObservable<C> for $name<$($param),*>
        where
            C: Context,
            C::Inner: Observer<$item, $error>,
        {
            type Unsub = ();

            fn subscribe($self, context: C) {
                let $down = context.into_inner();
                $subscribe
            }
        }
    };
}

/// See [`empty`](super::CreateOps::empty).
#[derive(Debug, Clone, Copy)]
pub struct Empty<T>(PhantomData<fn() -> T>);

impl<T> Default for Empty<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

/// See [`never`](super::CreateOps::never).
#[derive(Debug, Clone, Copy)]
pub struct Never<T>(PhantomData<fn() -> T>);

impl<T> Default for Never<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

/// See [`throw_err`](super::CreateOps::throw_err).
#[derive(Debug, Clone, Copy)]
pub struct Throw<T, E>(E, PhantomData<fn() -> T>);

impl<T, E> Throw<T, E> {
    pub(super) fn new(error: E) -> Self {
        Self(error, PhantomData)
    }
}

trivial!(Empty<T>, item T, error Infallible, |self, down| complete(down));
trivial!(Never<T>, item T, error Infallible, |self, down| drop(down));
trivial!(Throw<T, E>, item T, error E, |self, down| error(down, self.0));
