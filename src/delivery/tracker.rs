//! Which deliveries of a source are done.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, Weak,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    task::Waker,
    time::Duration,
};

use super::{DeliveryCounts, Position, PositionError, PositionStore, fate::Fate};
use crate::{
    error::{StreamError, unhandled},
    sync::lock,
};

/// A place of the ring holds how many hold its delivery, and these flags.
const HOLDERS: u32 = (1 << 24) - 1;
const FILTERED: u32 = 0;
const DROPPED: u32 = 1 << 24;
const DEAD_LETTERED: u32 = 1 << 25;
const DELIVERED: u32 = 1 << 26;
const ABANDONED: u32 = 1 << 27;
/// The delivery is done, and its place is free when all before it are.
const DONE: u32 = u32::MAX;

/// Who waits for room looks by himself, too.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// The trackers made from now on have this id, or a higher one.
#[cfg(feature = "state")]
pub(crate) fn next_id() -> u64 {
    NEXT_ID.load(Ordering::Relaxed)
}

/// What keeps deliveries until it is flushed.
pub(crate) trait Flush: Send + Sync {
    /// Makes what was written durable, and acknowledges it.
    fn flush(&self);
}

/// The deliveries of one source: a ring of places, each a count of those who hold its delivery.
pub(super) struct Tracker {
    pub(super) name: Arc<str>,
    /// No other in this process has it.
    pub(super) id: u64,
    places: Box<[AtomicU32]>,
    max_in_flight: u64,
    commit_every: u64,
    issued: AtomicU64,
    /// All before this one are done, as far as somebody has looked.
    seen: AtomicU64,
    filtered: AtomicU64,
    dropped: AtomicU64,
    dead_lettered: AtomicU64,
    delivered: AtomicU64,
    abandoned: AtomicU64,
    prefix: Mutex<Prefix>,
    room: Condvar,
    /// Somebody waits for room.
    wanted: AtomicBool,
    waker: Mutex<Option<Waker>>,
    /// What may keep deliveries that others wait for.
    flushes: Mutex<Vec<Weak<dyn Flush>>>,
    /// The source yields nothing more: who is the last to be done commits.
    over: AtomicBool,
}

/// How far all is done.
struct Prefix {
    /// All before this one are done.
    next: u64,
    /// Where the source is after each of the deliveries from `next` on.
    ends: VecDeque<Position>,
    /// Where it is after the last one that is done, if that is not committed.
    reached: Option<Position>,
    /// How many are committed.
    committed: u64,
    committed_at: Option<Position>,
    store: Box<dyn PositionStore + Send>,
}

impl Tracker {
    pub(super) fn new(
        name: Arc<str>,
        max_in_flight: usize,
        commit_every: u64,
        store: Box<dyn PositionStore + Send>,
        committed_at: Option<Position>,
    ) -> Self {
        let places = max_in_flight.next_power_of_two();
        Self {
            name,
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            places: (0..places).map(|_| AtomicU32::new(DONE)).collect(),
            max_in_flight: max_in_flight as u64,
            commit_every,
            issued: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            filtered: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            dead_lettered: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            prefix: Mutex::new(Prefix {
                next: 0,
                ends: VecDeque::new(),
                reached: None,
                committed: 0,
                committed_at,
                store,
            }),
            room: Condvar::new(),
            wanted: AtomicBool::new(false),
            waker: Mutex::new(None),
            flushes: Mutex::default(),
            over: AtomicBool::new(false),
        }
    }

    fn place(&self, number: u64) -> &AtomicU32 {
        // The ring's length is a power of two, so the index is in it.
        &self.places[number as usize & (self.places.len() - 1)]
    }

    pub(super) fn max_in_flight(&self) -> usize {
        self.max_in_flight as usize
    }

    /// A delivery after which the source is at `end`: its number. Only while there is room. Commits when it is time.
    pub(super) fn issue(&self, end: Position) -> Result<u64, PositionError> {
        let mut prefix = lock(&self.prefix);
        let number = self.issued.load(Ordering::Relaxed);
        self.place(number).store(1, Ordering::Relaxed);
        prefix.ends.push_back(end);
        self.issued.store(number + 1, Ordering::Release);
        if number + 1 - prefix.committed >= self.commit_every {
            self.advance(&mut prefix);
            if prefix.next - prefix.committed >= self.commit_every {
                prefix.commit()?;
            }
        }
        Ok(number)
    }

    /// Whether one more may be in flight.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.issued.load(Ordering::Relaxed) - self.seen.load(Ordering::Relaxed) < self.max_in_flight
            || self.has_room_after(&mut lock(&self.prefix))
            || self.has_room_after_a_flush()
    }

    /// Has those flushed who keep deliveries until then.
    #[cold]
    fn has_room_after_a_flush(&self) -> bool {
        let flushes: Vec<_> = {
            let mut flushes = lock(&self.flushes);
            flushes.retain(|flush| flush.strong_count() > 0);
            flushes.iter().filter_map(Weak::upgrade).collect()
        };
        flushes.iter().for_each(|flush| flush.flush());
        self.has_room_after(&mut lock(&self.prefix))
    }

    /// Has that flushed when there is no room.
    pub(super) fn flushes(&self, flush: Weak<dyn Flush>) {
        let mut flushes = lock(&self.flushes);
        flushes.retain(|other| other.strong_count() > 0 && !Weak::ptr_eq(other, &flush));
        flushes.push(flush);
    }

    fn has_room_after(&self, prefix: &mut Prefix) -> bool {
        let issued = self.issued.load(Ordering::Relaxed);
        if issued - prefix.next < self.max_in_flight {
            return true;
        }
        self.advance(prefix);
        issued - prefix.next < self.max_in_flight
    }

    /// Whether there is no room, and will never be: one was abandoned, and all after it wait for it.
    pub(super) fn is_stuck(&self) -> bool {
        self.abandoned.load(Ordering::SeqCst) > 0
    }

    /// Whether somebody waits for room.
    #[inline]
    pub(super) fn is_awaited(&self) -> bool {
        self.wanted.load(Ordering::SeqCst)
    }

    /// Waits until there is room; `false`: there will be none.
    pub(super) fn wait_for_room(&self) -> bool {
        while !self.has_room() {
            if self.is_stuck() {
                return false;
            }
            self.wanted.store(true, Ordering::SeqCst);
            let mut prefix = lock(&self.prefix);
            if !self.has_room_after(&mut prefix) {
                drop(self.room.wait_timeout(prefix, LOOK_AGAIN));
            }
            self.wanted.store(false, Ordering::SeqCst);
        }
        true
    }

    /// Whether there is room; otherwise `waker` is called when there is.
    pub(super) fn has_room_or_wakes(&self, waker: &Waker) -> bool {
        if self.has_room() {
            return true;
        }
        *lock(&self.waker) = Some(waker.clone());
        self.wanted.store(true, Ordering::SeqCst);
        self.has_room()
    }

    /// One more holds it.
    pub(super) fn hold(&self, number: u64) {
        self.place(number).fetch_add(1, Ordering::Relaxed);
    }

    /// One less holds it.
    pub(super) fn let_go(&self, number: u64, fate: Fate) {
        let place = self.place(number);
        let flag = match fate {
            Fate::Filtered => FILTERED,
            Fate::Dropped => DROPPED,
            Fate::DeadLettered => DEAD_LETTERED,
            Fate::Delivered => DELIVERED,
            Fate::Abandoned => ABANDONED,
        };
        if flag != FILTERED {
            place.fetch_or(flag, Ordering::Release);
        }
        let before = place.fetch_sub(1, Ordering::AcqRel);
        if before & HOLDERS == 1 {
            self.last(place, before);
        }
    }

    /// Nobody holds it any more. Of several fates the one counts that says most.
    fn last(&self, place: &AtomicU32, flags: u32) {
        if flags & ABANDONED != 0 {
            self.abandoned.fetch_add(1, Ordering::SeqCst);
        } else {
            let count = if flags & DELIVERED != 0 {
                &self.delivered
            } else if flags & DEAD_LETTERED != 0 {
                &self.dead_lettered
            } else if flags & DROPPED != 0 {
                &self.dropped
            } else {
                &self.filtered
            };
            count.fetch_add(1, Ordering::SeqCst);
            place.store(DONE, Ordering::SeqCst);
        }
        if self.wanted.load(Ordering::SeqCst) && self.wanted.swap(false, Ordering::SeqCst) {
            drop(lock(&self.prefix));
            self.room.notify_all();
            let waker = lock(&self.waker).take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        if self.over.load(Ordering::SeqCst) && self.settled() == self.issued.load(Ordering::Acquire) {
            self.commit_at_last();
        }
    }

    fn settled(&self) -> u64 {
        [&self.filtered, &self.dropped, &self.dead_lettered, &self.delivered, &self.abandoned]
            .map(|count| count.load(Ordering::SeqCst))
            .into_iter()
            .sum()
    }

    fn commit_at_last(&self) {
        if let Err(error) = self.commit() {
            unhandled(&StreamError::source(error));
        }
    }

    /// The source yields nothing more.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
        if self.settled() == self.issued.load(Ordering::Acquire) {
            self.commit_at_last();
        }
    }

    /// Moves the prefix past all that is done.
    fn advance(&self, prefix: &mut Prefix) {
        let issued = self.issued.load(Ordering::Acquire);
        while prefix.next < issued && self.place(prefix.next).load(Ordering::SeqCst) == DONE {
            prefix.next += 1;
            prefix.reached = prefix.ends.pop_front();
        }
        self.seen.store(prefix.next, Ordering::Relaxed);
    }

    /// Commits how far all is done.
    pub(super) fn commit(&self) -> Result<Option<Position>, PositionError> {
        let mut prefix = lock(&self.prefix);
        self.advance(&mut prefix);
        prefix.commit()?;
        Ok(prefix.committed_at)
    }

    pub(super) fn committed(&self) -> Option<Position> {
        lock(&self.prefix).committed_at
    }

    pub(super) fn counts(&self) -> DeliveryCounts {
        let prefix = lock(&self.prefix);
        let taken = self.issued.load(Ordering::Acquire);
        // Counted for itself, so that the books can be wrong.
        let in_flight = (prefix.next..taken)
            .filter(|&number| {
                let place = self.place(number).load(Ordering::Acquire);
                place != DONE && place & HOLDERS > 0
            })
            .count() as u64;
        DeliveryCounts {
            source: self.name.clone(),
            taken,
            delivered: self.delivered.load(Ordering::Acquire),
            filtered: self.filtered.load(Ordering::Acquire),
            dropped: self.dropped.load(Ordering::Acquire),
            dead_lettered: self.dead_lettered.load(Ordering::Acquire),
            abandoned: self.abandoned.load(Ordering::Acquire),
            in_flight,
            committed: prefix.committed,
        }
    }
}

impl Prefix {
    fn commit(&mut self) -> Result<(), PositionError> {
        let Some(reached) = self.reached else { return Ok(()) };
        self.store.store(reached)?;
        (self.committed, self.committed_at, self.reached) = (self.next, Some(reached), None);
        Ok(())
    }
}

/// Nobody holds a delivery any more, and no source will make one.
impl Drop for Tracker {
    fn drop(&mut self) {
        self.commit_at_last();
    }
}
