use super::subject::{Hosts, Hub, Latest};

/// A [`Subject`](super::Subject) that sends its last item only, when it completes: to each subscriber, then and later
/// (ReactiveX `AsyncSubject`). Where there was no item, or after an error, it sends the end alone.
///
/// ```
/// use rxevents::prelude::*;
/// use std::{cell::RefCell, convert::Infallible, rc::Rc};
///
/// let mut answer = Local::async_subject::<i32, Infallible>();
/// let seen = Rc::new(RefCell::new(vec![]));
/// let (early, late) = (seen.clone(), seen.clone());
/// answer.clone().subscribe(move |v| early.borrow_mut().push(v));
/// answer.next(1);
/// answer.next(2);
/// assert!(seen.borrow().is_empty());
/// answer.clone().complete();
/// answer.subscribe(move |v| late.borrow_mut().push(v * 10));
/// assert_eq!(*seen.borrow(), [2, 20]);
/// ```
pub struct AsyncSubject<T: Clone + 'static, E: Clone + 'static, Sc: Hosts<T, E>>(Hub<T, E, Sc, Final<T>>);

impl<T: Clone, E: Clone, Sc: Hosts<T, E>> AsyncSubject<T, E, Sc> {
    pub(crate) fn new() -> Self {
        Self(Hub::new(Final(None)))
    }
}

impl<T: Clone, E: Clone, Sc: Hosts<T, E>> Clone for AsyncSubject<T, E, Sc> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

subject_impls!(AsyncSubject, Final<T>);

/// The last item of an [`AsyncSubject`].
pub struct Final<T>(Option<T>);

impl<T: Clone> Latest<T> for Final<T> {
    fn put(&mut self, item: T) -> Option<T> {
        self.0 = Some(item);
        None
    }

    fn greet(&mut self, ended: Option<bool>, next: &mut dyn FnMut(T) -> bool) -> bool {
        match &self.0 {
            Some(item) if ended == Some(true) => next(item.clone()),
            _ => true,
        }
    }

    fn end(&mut self, completed: bool) -> Option<T> {
        if !completed {
            self.0 = None;
        }
        self.0.clone()
    }
}
