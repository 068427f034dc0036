//! The open windows of one key.

use smallvec::SmallVec;

use super::{
    Aggregate,
    shape::{Hopping, Shape},
};
use crate::event_time::EventClock;

/// When a lane wants to be looked at, and the start of its window then: the place of its entry in the index.
pub(super) type Due = (i64, i64);

/// There is nothing to wait for.
pub(super) const NEVER: Due = (i64::MAX, i64::MAX);

/// A window; of hopping windows, a part of several.
pub(super) struct Pane<A, R> {
    pub(super) start: i64,
    pub(super) end: i64,
    /// Up to this watermark an event is simply added: no window that it is in has closed.
    pub(super) quick_until: i64,
    /// It has been emitted at its close. (Not of panes.)
    pub(super) fired: bool,
    /// It has got events since it was last emitted early.
    pub(super) fresh: bool,
    pub(super) events: u64,
    pub(super) value: A,
    pub(super) receipt: R,
}

/// The windows of one key, by their starts.
pub(super) struct Lane<K, A, R> {
    /// `None`: nobody's, to be used again.
    pub(super) key: Option<K>,
    /// Which key it was, of all that ever came: later ones have greater numbers.
    pub(super) number: u64,
    pub(super) panes: SmallVec<[Pane<A, R>; 1]>,
    /// So many of the first panes are in no window any more. (Of hopping windows: removed in one go.)
    pub(super) dead: usize,
    /// Where it is in the index.
    pub(super) due: Due,
    /// The start of the first hopping window that has not closed; `i64::MAX` where there is none.
    pub(super) next: i64,
    pub(super) stacks: Option<Box<Stacks<A>>>,
    /// Where each key has a watermark of its own.
    pub(super) clock: Option<Box<EventClock>>,
}

impl<K, A, R> Lane<K, A, R> {
    pub(super) fn new(key: K, number: u64) -> Self {
        let (panes, stacks, clock) = Default::default();
        Self { key: Some(key), number, panes, dead: 0, due: NEVER, next: i64::MAX, stacks, clock }
    }

    /// The window (or pane) of this time, if it is one of the newest, and by how much an event makes it longer. A session
    /// may meet the one after it: only the newest is given.
    #[inline]
    pub(super) fn newest_of(&mut self, at: i64, shape: &Shape) -> Option<(&mut Pane<A, R>, i64)> {
        let (gap, most) = match shape {
            Shape::Session { gap } => (*gap, 1),
            _ => (0, 4),
        };
        let mut newest = self.panes.iter_mut().rev().take(most);
        newest.find(|pane| pane.start <= at).filter(|pane| at < pane.end).map(|pane| (pane, gap))
    }

    /// How many windows (or panes) are held.
    pub(super) fn held(&self) -> usize {
        self.panes.len() - self.dead
    }

    /// When to look at it next.
    pub(super) fn wanted(&self, shape: &Shape, lateness: i64) -> Due {
        match shape {
            Shape::Hopping(hopping) => self.wanted_of_hopping(hopping, lateness),
            // Not by its time.
            Shape::Count { .. } => self.panes.first().map_or(NEVER, |pane| (i64::MAX, pane.start)),
            _ => {
                let due = |pane: &Pane<A, R>| match pane.fired {
                    false => (pane.end, pane.start),
                    true => (pane.end.saturating_add(lateness), pane.start),
                };
                self.panes.iter().map(due).min().unwrap_or(NEVER)
            }
        }
    }

    fn wanted_of_hopping(&self, hopping: &Hopping, lateness: i64) -> Due {
        let next = if self.next == i64::MAX { NEVER } else { (hopping.end(self.next), self.next) };
        let over = self.panes.get(self.dead).map_or(NEVER, |pane| (over(pane, hopping, lateness), i64::MIN));
        if next.0 <= over.0 { next } else { over }
    }

    /// The window that closes first, if it has closed at `due`.
    pub(super) fn closed(&self, due: i64) -> Option<usize> {
        let open = self.panes.iter().enumerate().filter(|(_, pane)| !pane.fired && pane.end <= due);
        open.min_by_key(|(_, pane)| (pane.end, pane.start)).map(|(at, _)| at)
    }

    /// The panes of the window from `start` to `end`.
    pub(super) fn range(&self, start: i64, end: i64) -> std::ops::Range<usize> {
        let from = self.panes.partition_point(|pane| pane.start < start).max(self.dead);
        from..self.panes.partition_point(|pane| pane.start < end).max(from)
    }

    /// What comes after the hopping window `from`: the next that something is in.
    pub(super) fn next_after(&self, from: i64, hopping: &Hopping) -> i64 {
        let Some(next) = from.checked_add(hopping.hop) else { return i64::MAX };
        let at = self.panes.partition_point(|pane| pane.start < next).max(self.dead);
        match self.panes.get(at).and_then(|pane| hopping.span(pane.start)) {
            Some(span) => span.first.max(next),
            None => i64::MAX,
        }
    }

    /// Gives up the panes that no window is made of any more; how many.
    pub(super) fn expire_panes(&mut self, due: i64, hopping: &Hopping, lateness: i64) -> usize
    where
        R: Default,
    {
        let before = self.dead;
        while let Some(pane) = self.panes.get_mut(self.dead)
            && over(pane, hopping, lateness) <= due
        {
            // What is still held of it is done.
            drop(std::mem::take(&mut pane.receipt));
            self.dead += 1;
        }
        let expired = self.dead - before;
        if self.dead * 2 > self.panes.len() {
            self.panes.drain(..self.dead);
            self.dead = 0;
        }
        expired
    }
}

/// When a pane is in no window any more.
fn over<A, R>(pane: &Pane<A, R>, hopping: &Hopping, lateness: i64) -> i64 {
    let last = hopping.span(pane.start).map_or(pane.end, |span| hopping.end(span.last));
    last.saturating_add(lateness)
}

/// Merged panes, so that each window after the other needs few merges: the queue of two stacks. The first stack has, for
/// each of the earlier panes, all from it on to the last of them; `later` is all after those.
pub(super) struct Stacks<A> {
    /// The earliest last.
    earlier: Vec<(i64, A)>,
    later: Option<A>,
    /// Panes from here on are in neither.
    until: i64,
}

impl<A> Stacks<A> {
    pub(super) fn new() -> Self {
        Self { earlier: vec![], later: None, until: i64::MIN }
    }

    /// A pane of before `until` has changed.
    pub(super) fn forget_if_has(&mut self, pane: i64) {
        if pane < self.until {
            *self = Self::new();
        }
    }

    /// All of `panes`, those of the window that ends at `end`; windows are asked for in their order.
    pub(super) fn window<T, R, G>(&mut self, panes: &[Pane<A, R>], end: i64, of: &G) -> Option<A>
    where
        G: Aggregate<T, Acc = A>,
        A: Clone,
    {
        let start = panes.first()?.start;
        while self.earlier.last().is_some_and(|(pane, _)| *pane < start) {
            self.earlier.pop();
        }
        if self.earlier.is_empty() {
            self.fill(panes, of);
        } else {
            for pane in &panes[panes.partition_point(|pane| pane.start < self.until)..] {
                match &mut self.later {
                    Some(later) => of.merge(later, &pane.value),
                    None => self.later = Some(pane.value.clone()),
                }
            }
        }
        self.until = end;
        let mut all = self.earlier.last()?.1.clone();
        if let Some(later) = &self.later {
            of.merge(&mut all, later);
        }
        Some(all)
    }

    fn fill<T, R, G>(&mut self, panes: &[Pane<A, R>], of: &G)
    where
        G: Aggregate<T, Acc = A>,
        A: Clone,
    {
        self.later = None;
        for pane in panes.iter().rev() {
            let mut value = pane.value.clone();
            if let Some((_, later)) = self.earlier.last() {
                of.merge(&mut value, later);
            }
            self.earlier.push((pane.start, value));
        }
    }
}
