use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::subject::{Hosts, Hub, Latest};

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
    Hub<T, E, Sc, Current<T>>,
    Current<T>,
);

impl<T: Clone, E: Clone, Sc: Hosts<T, E>> BehaviorSubject<T, E, Sc> {
    pub(crate) fn new(initial: T) -> Self {
        let current = Current(Arc::new(Mutex::new(initial)));
        Self(Hub::new(current.clone()), current)
    }

    /// The current value: the latest item that is being or has been delivered.
    pub fn value(&self) -> T {
        self.1.lock().clone()
    }
}

impl<T: Clone, E: Clone, Sc: Hosts<T, E>> Clone for BehaviorSubject<T, E, Sc> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), self.1.clone())
    }
}

subject_impls!(BehaviorSubject, Current<T>);

/// The current value of a [`BehaviorSubject`].
pub struct Current<T>(Arc<Mutex<T>>);

impl<T> Clone for Current<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Current<T> {
    fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Latest<T> for Current<T> {
    fn put(&mut self, item: T) -> Option<T> {
        let kept = item.clone();
        // The earlier one is dropped with nothing held.
        let _earlier = std::mem::replace(&mut *self.lock(), kept);
        Some(item)
    }

    fn greet(&mut self, ended: Option<bool>, next: &mut dyn FnMut(T) -> bool) -> bool {
        if ended.is_some() {
            return true;
        }
        let current = self.lock().clone();
        next(current)
    }
}
