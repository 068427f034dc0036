use std::{
    fmt::{self, Debug},
    mem,
    sync::{Arc, Weak},
};

use super::{
    Position,
    fate::{self, Fate},
    tracker::{Flush, Tracker},
};
use crate::dead_letter::Origin;

/// The right to say that events are done, and that it has not been said yet.
///
/// To drop it says so: "done with it", as a filter does. What is dropped by a panic, or with an operator whose stream
/// has ended, is not done; nor is what was [`abandon`](Self::abandon)ed. A receipt that was cloned, or that a derived
/// value carries, is done when all are.
#[derive(Default)]
pub struct Receipt(Parts);

#[derive(Default)]
enum Parts {
    /// Of no source.
    #[default]
    None,
    One(Part),
    Many(Vec<Part>),
}

/// Which source it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SourceId(u64);

/// One of the events of a receipt.
#[cfg(feature = "state")]
pub(crate) struct ReceiptPart<'a> {
    /// Which acknowledger has made it: no other has that number.
    pub(crate) tracker: u64,
    /// The source's name.
    pub(crate) source: &'a Arc<str>,
    /// Where the source is after it.
    pub(crate) end: Position,
}

/// One delivery of a source.
struct Part {
    tracker: Arc<Tracker>,
    /// Where the source is after it.
    end: Position,
    /// The low half of its number, which is enough to find its place: there are fewer places than 2^32.
    number: u32,
    /// What has become of it; until then, what its drop means.
    fate: Option<Fate>,
}

impl Clone for Part {
    fn clone(&self) -> Self {
        self.tracker.hold(u64::from(self.number));
        Self { tracker: self.tracker.clone(), fate: None, ..*self }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let fate = self.fate.unwrap_or_else(fate::of_a_drop);
        self.tracker.let_go(u64::from(self.number), fate);
    }
}

impl Receipt {
    pub(super) fn new(tracker: Arc<Tracker>, number: u64, end: Position) -> Self {
        Self(Parts::One(Part { tracker, end, number: number as u32, fate: None }))
    }

    /// Of no source: nothing becomes of it.
    pub fn untracked() -> Self {
        Self::default()
    }

    /// One receipt for both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(match (self.0, other.0) {
            (Parts::None, parts) | (parts, Parts::None) => parts,
            (Parts::One(one), Parts::One(other)) => Parts::Many(vec![one, other]),
            (Parts::Many(mut parts), Parts::One(one)) | (Parts::One(one), Parts::Many(mut parts)) => {
                parts.push(one);
                Parts::Many(parts)
            }
            (Parts::Many(mut parts), Parts::Many(mut others)) => {
                parts.append(&mut others);
                Parts::Many(parts)
            }
        })
    }

    /// [`and`](Self::and), in place.
    #[inline]
    pub(crate) fn join(&mut self, other: Self) {
        match (&mut self.0, other.0) {
            (_, Parts::None) => {}
            (Parts::Many(parts), Parts::One(one)) => parts.push(one),
            (_, other) => *self = mem::take(self).and(Self(other)),
        }
    }

    fn parts(&self) -> &[Part] {
        match &self.0 {
            Parts::None => &[],
            Parts::One(part) => std::slice::from_ref(part),
            Parts::Many(parts) => parts,
        }
    }

    fn parts_mut(&mut self) -> &mut [Part] {
        match &mut self.0 {
            Parts::None => &mut [],
            Parts::One(part) => std::slice::from_mut(part),
            Parts::Many(parts) => parts,
        }
    }

    /// The source of the first of its events.
    pub(crate) fn source(&self) -> Option<SourceId> {
        self.parts().first().map(|part| SourceId(part.tracker.id))
    }

    /// Its events.
    #[cfg(feature = "state")]
    pub(crate) fn each(&self) -> impl Iterator<Item = ReceiptPart<'_>> {
        self.parts().iter().map(|part| ReceiptPart {
            tracker: part.tracker.id,
            source: &part.tracker.name,
            end: part.end,
        })
    }

    /// Has its sources flush that when they have no room.
    pub(crate) fn flushes(&self, flush: Weak<dyn Flush>) {
        self.parts().iter().for_each(|part| part.tracker.flushes(flush.clone()));
    }

    /// Whether a source waits for room.
    pub(crate) fn is_awaited(&self) -> bool {
        self.parts().iter().any(|part| part.tracker.is_awaited())
    }

    /// How many events of sources it is for.
    pub fn events(&self) -> usize {
        self.parts().len()
    }

    /// The source of the first of its events, and where it was there.
    pub fn origin(&self) -> Option<Origin> {
        let part = self.parts().first()?;
        Some(Origin::line(part.tracker.name.clone(), part.end.lines))
    }

    fn settle(mut self, fate: Fate) {
        self.parts_mut().iter_mut().for_each(|part| part.fate = Some(fate));
        drop(mem::take(&mut self.0));
    }

    /// Done: it has arrived. Also where a drop would not say so.
    pub fn ack(self) {
        self.settle(Fate::Delivered);
    }

    /// Done: it is kept with the dead letters.
    pub fn dead_lettered(self) {
        self.settle(Fate::DeadLettered);
    }

    /// Done: a policy of a name has dropped it.
    pub fn dropped(self) {
        self.settle(Fate::Dropped);
    }

    /// Not done: its source will deliver it again when it resumes, with all that came after it.
    pub fn abandon(self) {
        self.settle(Fate::Abandoned);
    }
}

impl Clone for Receipt {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Parts::None => Parts::None,
            Parts::One(part) => Parts::One(part.clone()),
            Parts::Many(parts) => Parts::Many(parts.clone()),
        })
    }
}

impl Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.parts().iter().map(|part| (&part.tracker.name, part.number))).finish()
    }
}
