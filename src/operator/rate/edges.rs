use std::time::Duration;

use super::{HandTo, Ignore, OnDropped};
use crate::{
    operator::{
        apply::Emit,
        timed::{Time, TimedKernel},
    },
    time::{Clock, deadline},
};

/// Which items of a window are sent: the first (the leading edge), the last (the trailing edge), or both. What is left out
/// is dropped, or handed to a closure.
///
/// ```
/// use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
/// use std::{cell::Cell, rc::Rc, time::Duration};
/// let (scheduler, dropped) = (VirtualScheduler::new(), Rc::new(Cell::new(0)));
/// let count = dropped.clone();
/// let edges = Edges::both().on_dropped(move |_: char| count.set(count.get() + 1));
/// let seen = record(scheduler.cold("abc-----d|").throttle_with(Duration::from_millis(4), edges));
/// scheduler.advance_by(Duration::from_millis(20));
/// assert_eq!((seen.items(), dropped.get()), (vec!['a', 'c', 'd'], 1));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Edges<D = Ignore> {
    leading: bool,
    trailing: bool,
    opens: TrailingOpensWindow,
    on_dropped: D,
}

/// Whether an item that is sent at the end of a window opens the next one, in operators that throttle. If not, the next
/// item does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrailingOpensWindow {
    /// It does, so that two items are at least a window apart (RxJS `throttle`).
    Yes,
    /// It does not, so that the next item is sent without delay (RxJS `audit`).
    No,
}

impl Edges {
    const fn new(leading: bool, trailing: bool) -> Self {
        Self { leading, trailing, opens: TrailingOpensWindow::Yes, on_dropped: Ignore }
    }

    /// The first item.
    pub const fn leading() -> Self {
        Self::new(true, false)
    }

    /// The last item.
    pub const fn trailing() -> Self {
        Self::new(false, true)
    }

    /// The first item, and the last one, if there is another.
    pub const fn both() -> Self {
        Self::new(true, true)
    }
}

impl<D> Edges<D> {
    /// Whether an item that is sent at the end of a window opens the next; without this it does.
    pub fn trailing_opens(self, opens: TrailingOpensWindow) -> Self {
        Self { opens, ..self }
    }

    /// Hands what is left out to `on_dropped`.
    pub fn on_dropped<F>(self, on_dropped: F) -> Edges<HandTo<F>> {
        let Self { leading, trailing, opens, .. } = self;
        Edges { leading, trailing, opens, on_dropped: HandTo(on_dropped) }
    }

    /// Has the item wait for the end of the window, in place of an earlier one, or leaves it out.
    #[inline]
    fn hold<I>(&mut self, waiting: &mut Option<I>, item: I)
    where
        D: OnDropped<I>,
    {
        let dropped = if self.trailing { waiting.replace(item) } else { Some(item) };
        if let Some(dropped) = dropped {
            self.on_dropped.dropped(dropped);
        }
    }

    /// Leaves out what waits.
    fn abandon<I>(&mut self, waiting: &mut Option<I>)
    where
        D: OnDropped<I>,
    {
        if let Some(last) = waiting.take() {
            self.on_dropped.dropped(last);
        }
    }
}

/// What is made of the items of a window, whatever opens and ends the window.
pub trait Thin<I> {
    /// The operator's name, in errors, where a time ends the window.
    const NAME: &'static str;
    /// The same, where a notifier does.
    const BY: &'static str;
    /// Handles one item; `open` opens a window, in place of one that is open.
    fn next(&mut self, item: I, open: impl FnOnce(&I)) -> Emit<I>;
    /// The window is over.
    fn over(&mut self, open: impl FnOnce(&I)) -> Emit<I>;
    /// The source has completed. [`Emit::Skip`]: the end of the window will end it.
    fn complete(&mut self) -> Emit<I>;
    /// The source has failed: what waits is dropped.
    fn abandon(&mut self);
    /// Whether nothing waits.
    fn is_idle(&self) -> bool;
}

/// See [`throttle_with`](super::RateOps::throttle_with).
#[derive(Clone)]
pub struct Throttle<I, D> {
    edges: Edges<D>,
    open: bool,
    waiting: Option<I>,
    /// The source has completed.
    ended: bool,
}

impl<I, D> Throttle<I, D> {
    pub(super) fn new(edges: Edges<D>) -> Self {
        Self { edges, open: false, waiting: None, ended: false }
    }
}

impl<I, D: OnDropped<I>> Thin<I> for Throttle<I, D> {
    const NAME: &'static str = "throttle_with";
    const BY: &'static str = "throttle_by";

    #[inline]
    fn next(&mut self, item: I, open: impl FnOnce(&I)) -> Emit<I> {
        if !self.open {
            self.open = true;
            open(&item);
            if self.edges.leading {
                return Emit::Item(item);
            }
        }
        self.edges.hold(&mut self.waiting, item);
        Emit::Skip
    }

    fn over(&mut self, open: impl FnOnce(&I)) -> Emit<I> {
        self.open = false;
        match self.waiting.take() {
            Some(item) if self.ended => Emit::Last(item),
            Some(item) => {
                if self.edges.opens == TrailingOpensWindow::Yes {
                    self.open = true;
                    open(&item);
                }
                Emit::Item(item)
            }
            None => Emit::Skip,
        }
    }

    fn complete(&mut self) -> Emit<I> {
        self.ended = true;
        if self.waiting.is_some() { Emit::Skip } else { Emit::End }
    }

    fn abandon(&mut self) {
        self.edges.abandon(&mut self.waiting);
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_none()
    }
}

/// See [`debounce`](super::RateOps::debounce) and [`debounce_with`](super::RateOps::debounce_with).
#[derive(Clone)]
pub struct Debounce<I, D> {
    edges: Edges<D>,
    open: bool,
    waiting: Option<I>,
}

impl<I, D> Debounce<I, D> {
    pub(super) fn new(edges: Edges<D>) -> Self {
        Self { edges, open: false, waiting: None }
    }
}

impl<I, D: OnDropped<I>> Thin<I> for Debounce<I, D> {
    const NAME: &'static str = "debounce";
    const BY: &'static str = "debounce_by";

    #[inline]
    fn next(&mut self, item: I, open: impl FnOnce(&I)) -> Emit<I> {
        open(&item);
        let first = !std::mem::replace(&mut self.open, true);
        if first && self.edges.leading {
            return Emit::Item(item);
        }
        self.edges.hold(&mut self.waiting, item);
        Emit::Skip
    }

    fn over(&mut self, _open: impl FnOnce(&I)) -> Emit<I> {
        self.open = false;
        self.waiting.take().map_or(Emit::Skip, Emit::Item)
    }

    fn complete(&mut self) -> Emit<I> {
        self.waiting.take().map_or(Emit::End, Emit::Last)
    }

    fn abandon(&mut self) {
        self.edges.abandon(&mut self.waiting);
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_none()
    }
}

/// Windows that last a time.
#[derive(Clone)]
pub struct ForTime<K> {
    window: Duration,
    kernel: K,
}

impl<K> ForTime<K> {
    pub(super) fn new(window: Duration, kernel: K) -> Self {
        Self { window, kernel }
    }
}

impl<I, K: Thin<I>> TimedKernel<I, I> for ForTime<K> {
    const NAME: &'static str = K::NAME;

    #[inline]
    fn next<S: Clock>(&mut self, item: I, time: &Time<S>) -> Emit<I> {
        self.kernel.next(item, |_| time.arm(deadline(time.now(), self.window)))
    }

    fn tick<S: Clock>(&mut self, time: &Time<S>) -> Emit<I> {
        self.kernel.over(|_| time.arm(deadline(time.now(), self.window)))
    }

    fn complete<S: Clock>(&mut self, _time: &Time<S>) -> Emit<I> {
        self.kernel.complete()
    }

    fn abandon(&mut self) {
        self.kernel.abandon();
    }

    fn is_idle(&self) -> bool {
        self.kernel.is_idle()
    }
}
