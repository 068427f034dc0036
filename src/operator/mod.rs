//! The operators, one family a folder, one operator a file.
//!
//! Each family has an extension trait; `use rxevents::prelude::*` brings them all. An operator of your own with one
//! input and no clock is a [`Kernel`](apply::Kernel); one with several inputs, a thread or a timer is a
//! [`Machine`](crate::gate::Machine) in a [`Gate`](crate::gate::Gate).

/// `Clone` of what is kept. A derived one would ask it of all types, those of the items and errors included, which are only
/// named; `where` are the types that are kept.
macro_rules! clone_by_fields {
    ($name:ident<$($param:ident),*>: $($field:ident),* where $($kept:ident),*) => {
        impl<$($param),*> Clone for $name<$($param),*>
        where
            $($kept: Clone),*
        {
            fn clone(&self) -> Self {
                Self { $($field: self.$field.clone()),* }
            }
        }
    };
}

pub mod aggregate;
pub mod apply;
pub mod batch;
pub mod combine;
pub mod create;
pub mod error;
pub mod event_window;
pub mod filter;
pub mod join;
pub mod key;
#[cfg(feature = "metrics")]
pub mod measure;
#[cfg(feature = "parallel")]
pub mod parallel;
pub mod rate;
pub mod share;
pub mod subscribe;
#[cfg(feature = "state")]
pub mod table;
pub mod time;
pub mod timed;
pub mod transform;
pub mod validate;
pub mod window;

use rxrust::observable::Observable;

/// Any observable of owned items `T` with stream error `E`: the bound of the operators' other sources.
///
/// A function that builds a part of a pipeline takes and gives [`LocalEvents`](subscribe::LocalEvents) or
/// [`SharedEvents`](subscribe::SharedEvents) instead: what is only known to be *some* observable cannot be subscribed.
pub trait Events<T, E>: Observable<Err = E> + for<'a> Observable<Item<'a> = T> + 'static {}

impl<S, T, E> Events<T, E> for S where S: Observable<Err = E> + for<'a> Observable<Item<'a> = T> + 'static {}
