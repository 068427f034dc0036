use std::{collections::VecDeque, time::Duration};

use super::subject::{Hosts, Hub, Latest};
use crate::time::Clock;

/// What is kept for late subscribers: the last items, or those of the last while, or both. What goes beyond, goes oldest
/// first. At least one item is kept (unless it is too old), and by default at most 1,048,576 are.
///
/// ```
/// use rxevents::prelude::*;
/// use std::time::Duration;
/// let of_a_minute = Replay::default().within(Duration::from_secs(60));
/// let ten_of_a_minute = Replay::last(10).within(Duration::from_secs(60));
/// # let _ = (of_a_minute, ten_of_a_minute);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replay {
    count: usize,
    within: Option<Duration>,
}

impl Default for Replay {
    fn default() -> Self {
        Self::last(1 << 20)
    }
}

impl Replay {
    /// The last `count` items (0 is taken as 1).
    pub fn last(count: usize) -> Self {
        Self { count: count.max(1), within: None }
    }

    /// Of these, the ones that came less than `age` ago, by the scheduler's clock.
    pub fn within(self, age: Duration) -> Self {
        Self { within: Some(age), ..self }
    }
}

/// A [`Subject`](super::Subject) that first sends a new subscriber what it has kept (ReactiveX `ReplaySubject`), and then
/// all that follows, with no gap and no repetition. After the end a new subscriber gets what is kept, and the end.
///
/// What is too old is not sent; it is dropped at the next item or subscriber.
///
/// ```
/// use rxevents::prelude::*;
/// use std::{cell::RefCell, convert::Infallible, rc::Rc};
///
/// let mut subject = Local::replay_subject::<i32, Infallible>(Replay::last(2));
/// for v in [1, 2, 3] {
///     subject.next(v);
/// }
/// let seen = Rc::new(RefCell::new(vec![]));
/// let log = seen.clone();
/// subject.clone().subscribe(move |v| log.borrow_mut().push(v));
/// subject.next(4);
/// assert_eq!(*seen.borrow(), [2, 3, 4]);
/// ```
pub struct ReplaySubject<T: Clone + 'static, E: Clone + 'static, Sc: Hosts<T, E>, Sch: Clock>(
    Hub<T, E, Sc, Kept<T, Sch>>,
);

impl<T: Clone, E: Clone, Sc: Hosts<T, E>, Sch: Clock> ReplaySubject<T, E, Sc, Sch> {
    pub(crate) fn new(replay: Replay, clock: Sch) -> Self {
        Self(Hub::new(Kept::new(replay, clock)))
    }
}

impl<T: Clone, E: Clone, Sc: Hosts<T, E>, Sch: Clock> Clone for ReplaySubject<T, E, Sc, Sch> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

subject_impls!(ReplaySubject, Kept<T, Sch>, Sch: Clock);

/// The items that are kept, with the time at which they came where that counts.
pub struct Kept<T, Sch> {
    replay: Replay,
    clock: Sch,
    items: VecDeque<(Duration, T)>,
}

impl<T, Sch: Clock> Kept<T, Sch> {
    pub(super) fn new(replay: Replay, clock: Sch) -> Self {
        Self { replay, clock, items: VecDeque::new() }
    }

    pub(super) fn fresh(&self) -> Self {
        Self::new(self.replay, self.clock.clone())
    }

    /// Drops what is too old; the time.
    fn forget(&mut self) -> Duration {
        let Some(age) = self.replay.within else { return Duration::ZERO };
        let now = self.clock.now();
        while self.items.front().is_some_and(|(came, _)| came.saturating_add(age) <= now) {
            self.items.pop_front();
        }
        now
    }
}

impl<T: Clone, Sch: Clock> Latest<T> for Kept<T, Sch> {
    fn put(&mut self, item: T) -> Option<T> {
        let now = self.forget();
        while self.items.len() >= self.replay.count {
            self.items.pop_front();
        }
        self.items.push_back((now, item.clone()));
        Some(item)
    }

    fn greet(&mut self, _ended: Option<bool>, next: &mut dyn FnMut(T) -> bool) -> bool {
        self.forget();
        self.items.iter().all(|(_, item)| next(item.clone()))
    }
}
