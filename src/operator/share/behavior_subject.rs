use std::{
    cell::RefCell,
    mem,
    rc::Rc,
    sync::{Arc, Mutex},
};

use super::subject::{Hosts, Hub, Latest};
use crate::sync::lock;

/// A [`Subject`](super::Subject) with a current value: a new subscriber gets it first, with no gap and no repetition
/// before what follows (ReactiveX `BehaviorSubject`). After the end a new subscriber gets the end only.
///
/// ```
/// use rxevents::prelude::*;
/// use std::{cell::RefCell, convert::Infallible, rc::Rc};
///
/// let mut level = Local::behavior_subject::<i32, Infallible>(1);
/// level.next(2);
/// let seen = Rc::new(RefCell::new(vec![]));
/// let log = seen.clone();
/// level.clone().subscribe(move |v| log.borrow_mut().push(v));
/// level.next(3);
/// assert_eq!(*seen.borrow(), [2, 3]);
/// assert_eq!(level.inner().value(), 3);
/// ```
pub struct BehaviorSubject<T: Clone + 'static, E: Clone + 'static, Sc: Hosts<T, E>>(
    Hub<T, E, Sc, Current<Sc::Value>>,
    Current<Sc::Value>,
);

impl<T: Clone, E: Clone, Sc: Hosts<T, E>> BehaviorSubject<T, E, Sc> {
    pub(crate) fn new(initial: T) -> Self {
        let current = Current(Sc::Value::new(initial));
        Self(Hub::new(current.clone()), current)
    }

    /// The current value: the latest item that is being or has been delivered.
    pub fn value(&self) -> T {
        self.1.0.get()
    }
}

impl<T: Clone, E: Clone, Sc: Hosts<T, E>> Clone for BehaviorSubject<T, E, Sc> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), self.1.clone())
    }
}

subject_impls!(BehaviorSubject, Current<<Sc as Hosts<T, E>>::Value>);

/// The current value of a [`BehaviorSubject`].
#[derive(Clone)]
pub struct Current<V>(V);

impl<T: Clone, V: Value<T>> Latest<T> for Current<V> {
    fn put(&mut self, item: T) -> Option<T> {
        let kept = item.clone();
        // The earlier one is dropped with nothing held.
        let _earlier = self.0.replace(kept);
        Some(item)
    }

    fn greet(&mut self, ended: Option<bool>, next: &mut dyn FnMut(T) -> bool) -> bool {
        ended.is_some() || next(self.0.get())
    }
}

/// A value that clones share.
pub trait Value<T>: Clone {
    /// With a first value.
    fn new(value: T) -> Self;
    /// Another one; the one before.
    fn replace(&self, value: T) -> T;
    /// A clone of it.
    fn get(&self) -> T
    where
        T: Clone;
}

impl<T> Value<T> for Rc<RefCell<T>> {
    fn new(value: T) -> Self {
        Rc::new(RefCell::new(value))
    }

    #[inline]
    fn replace(&self, value: T) -> T {
        RefCell::replace(self, value)
    }

    fn get(&self) -> T
    where
        T: Clone,
    {
        self.borrow().clone()
    }
}

impl<T> Value<T> for Arc<Mutex<T>> {
    fn new(value: T) -> Self {
        Arc::new(Mutex::new(value))
    }

    #[inline]
    fn replace(&self, value: T) -> T {
        mem::replace(&mut *lock(self), value)
    }

    fn get(&self) -> T
    where
        T: Clone,
    {
        lock(self).clone()
    }
}
