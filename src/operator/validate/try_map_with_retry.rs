use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use crate::{
    buffer::{Buffer, Overflow},
    dead_letter::{Reason, Rejected},
    error::{OverflowError, PanicError, catch, named},
    held::QueueMeter,
    operator::{
        apply::Emit,
        error::Retry,
        timed::{Time, TimedKernel},
    },
    source::SplitMix64,
    time::{Clock, deadline},
};

const NAME: &str = "try_map_with_retry";
/// How many attempts in a row without a delay before others have their turn: some policies never give up.
const AT_ONCE: u64 = 64;

/// How a [`try_map_with_retry_with`](super::ValidateOps::try_map_with_retry_with) tries an event again.
///
/// By default results come as they settle, what waits is bounded by the default [`Buffer`], and the stage of a failure
/// is `"try_map_with_retry"`.
#[derive(Clone)]
pub struct EventRetry {
    pub(super) policy: Retry<Reason>,
    pub(super) buffer: Buffer,
    pub(super) ordered: bool,
    pub(super) stage: &'static str,
}

impl EventRetry {
    /// When and how often an event is tried again.
    pub fn new(policy: Retry<Reason>) -> Self {
        Self { policy, buffer: Buffer::default(), ordered: false, stage: NAME }
    }

    /// Results in the order of the source.
    pub fn ordered(mut self) -> Self {
        self.ordered = true;
        self
    }

    /// The bound on what waits, and the policy for an item that finds no room.
    ///
    /// Unordered, that is an item that has just failed; ordered, any that arrives behind one that waits, before it is
    /// tried. With [`Overflow::Reject`] the item that has just failed is [`Rejected`] as if its attempts were used up;
    /// ordered, the first in the line is, as that makes room. [`Overflow::DropOldest`] drops the one that is due first;
    /// ordered, the first in the line.
    pub fn buffer(mut self, buffer: Buffer) -> Self {
        self.buffer = buffer;
        self
    }

    /// The name of the stage that a failure carries.
    pub fn stage(mut self, stage: &'static str) -> Self {
        self.stage = stage;
        self
    }
}

/// See [`try_map_with_retry`](super::ValidateOps::try_map_with_retry).
#[derive(Clone)]
pub struct TryMapWithRetry<F, I, T> {
    retry: EventRetry,
    f: F,
    random: Option<SplitMix64>,
    /// What waits to be tried again: by the time, then by the order of the source.
    waiting: BTreeMap<(Duration, u64), Failed<I>>,
    /// Ordered: the last items, from the first that is not settled on.
    line: VecDeque<Place<I, T>>,
    /// The number of the next item.
    next: u64,
    ended: bool,
    meter: QueueMeter,
}

pub(super) type Done<I, T> = Result<T, Rejected<I>>;
/// What an attempt gives.
type Tried<T> = Result<Result<T, Reason>, PanicError>;

/// An item that waits, and its last attempt.
#[derive(Clone)]
pub(super) struct Failed<I> {
    pub(super) item: I,
    pub(super) attempts: u64,
    pub(super) reason: Reason,
}

impl<I> Failed<I> {
    pub(super) fn reject(self, stage: &'static str) -> Rejected<I> {
        let attempts = u32::try_from(self.attempts).unwrap_or(u32::MAX);
        Rejected::new(self.item, stage, self.reason).with_attempts(attempts)
    }
}

/// A place in the line.
#[derive(Clone)]
enum Place<I, T> {
    /// Its item waits until then.
    Waits(Duration),
    Settled(Done<I, T>),
}

enum Attempt<I, T> {
    Settled(Done<I, T>),
    Again(Duration, Failed<I>),
}

impl<F, I, T> TryMapWithRetry<F, I, T>
where
    F: FnMut(&I) -> Result<T, Reason>,
{
    pub(super) fn new(retry: EventRetry, f: F) -> Self {
        let (waiting, line) = Default::default();
        Self { retry, f, random: None, waiting, line, next: 0, ended: false, meter: QueueMeter::default() }
    }

    #[inline(always)]
    fn try_once(&mut self, item: &I) -> Tried<T> {
        catch(self.retry.stage, || (self.f)(item))
    }

    /// What becomes of an item that was tried: it is tried again until it settles or has to wait.
    fn attempt(&mut self, item: I, mut attempts: u64, mut tried: Tried<T>) -> Attempt<I, T> {
        loop {
            let Self { retry: EventRetry { policy, stage, .. }, random, .. } = self;
            let (reason, delay) = match tried {
                Ok(Ok(value)) => return Attempt::Settled(Ok(value)),
                Ok(Err(reason)) => {
                    let delay = named(|| stage, || policy.wait(attempts, &reason, random));
                    (reason, delay)
                }
                Err(panic) => (panic.into(), None),
            };
            match delay {
                Some(Duration::ZERO) if !attempts.is_multiple_of(AT_ONCE) => {}
                Some(delay) => return Attempt::Again(delay, Failed { item, attempts, reason }),
                None => return Attempt::Settled(Err(Failed { item, attempts, reason }.reject(stage))),
            }
            attempts += 1;
            tried = self.try_once(&item);
        }
    }

    /// The first in the line, if it has settled.
    fn head(&mut self) -> Option<Done<I, T>> {
        match self.line.pop_front()? {
            Place::Settled(done) => Some(done),
            waits => {
                self.line.push_front(waits);
                None
            }
        }
    }

    /// The item at the head of the line, which waits, gives up its place.
    fn give_up_head(&mut self) -> Option<Failed<I>> {
        let number = self.next - self.line.len() as u64;
        match self.line.pop_front()? {
            Place::Waits(due) => self.waiting.remove(&(due, number)),
            Place::Settled(_) => None,
        }
    }

    /// Makes room in a full line; `true` where the arriving item is dropped instead.
    fn make_room(&mut self, out: &mut Option<Done<I, T>>) -> Result<bool, OverflowError> {
        let buffer = &self.retry.buffer;
        if !self.retry.ordered || self.line.len() < buffer.capacity() {
            return Ok(false);
        }
        match buffer.overflow() {
            Overflow::Error | Overflow::Block => return Err(buffer.full(NAME)),
            Overflow::DropNewest => {
                buffer.dropped(&self.meter, 1);
                return Ok(true);
            }
            Overflow::DropOldest => {
                buffer.dropped(&self.meter, 1);
                drop(self.give_up_head());
            }
            // The arriving one is the newest; what is done keeps its place.
            Overflow::Latest => {
                while matches!(self.line.front(), Some(Place::Waits(_))) {
                    self.retry.buffer.dropped(&self.meter, 1);
                    drop(self.give_up_head());
                }
            }
            Overflow::Reject => {
                let stage = self.retry.stage;
                *out = self.give_up_head().map(|failed| Err(failed.reject(stage)));
            }
        }
        Ok(false)
    }

    /// Keeps an item that has failed, unordered, for its first retry.
    fn keep(
        &mut self,
        due: Duration,
        number: u64,
        failed: Failed<I>,
    ) -> Result<Option<Done<I, T>>, OverflowError> {
        let buffer = &self.retry.buffer;
        if self.waiting.len() >= buffer.capacity() {
            match buffer.overflow() {
                Overflow::Error | Overflow::Block => return Err(buffer.full(NAME)),
                Overflow::Reject => return Ok(Some(Err(failed.reject(self.retry.stage)))),
                Overflow::DropNewest => {
                    buffer.dropped(&self.meter, 1);
                    return Ok(None);
                }
                Overflow::DropOldest => {
                    buffer.dropped(&self.meter, 1);
                    drop(self.waiting.pop_first());
                }
                Overflow::Latest => {
                    buffer.dropped(&self.meter, self.waiting.len() as u64);
                    drop(std::mem::take(&mut self.waiting));
                }
            }
        }
        self.waiting.insert((due, number), failed);
        Ok(None)
    }

    /// An item arrives while others are in the line, or wait.
    fn arrive(&mut self, item: I, now: impl Fn() -> Duration) -> Result<Option<Done<I, T>>, OverflowError> {
        // Ordered, one at most comes out: what is left there is for the timer.
        let mut out = self.head();
        if self.make_room(&mut out)? {
            return Ok(out);
        }
        let tried = self.try_once(&item);
        self.enter(item, tried, out, now)
    }

    /// An item that was tried once; `out` is what comes out instead, if there is something.
    fn enter(
        &mut self,
        item: I,
        tried: Tried<T>,
        out: Option<Done<I, T>>,
        now: impl Fn() -> Duration,
    ) -> Result<Option<Done<I, T>>, OverflowError> {
        let number = self.next;
        self.next += 1;
        let attempt = self.attempt(item, 1, tried);
        if !self.retry.ordered {
            return match attempt {
                Attempt::Settled(done) => Ok(Some(done)),
                Attempt::Again(delay, failed) => self.keep(deadline(now(), delay), number, failed),
            };
        }
        self.line.push_back(match attempt {
            Attempt::Settled(done) => Place::Settled(done),
            Attempt::Again(delay, failed) => {
                let due = deadline(now(), delay);
                self.waiting.insert((due, number), failed);
                Place::Waits(due)
            }
        });
        Ok(out.or_else(|| self.head()))
    }

    /// Tries the first that is due.
    fn try_again(&mut self, now: Duration) -> Option<Done<I, T>> {
        let first = self.waiting.first_entry().filter(|first| first.key().0 <= now)?;
        let ((_, number), Failed { item, attempts, .. }) = first.remove_entry();
        let tried = self.try_once(&item);
        let place = match self.attempt(item, attempts + 1, tried) {
            Attempt::Settled(done) if !self.retry.ordered => return Some(done),
            Attempt::Settled(done) => Place::Settled(done),
            Attempt::Again(delay, failed) => {
                let due = deadline(now, delay);
                self.waiting.insert((due, number), failed);
                Place::Waits(due)
            }
        };
        let at = number.wrapping_sub(self.next - self.line.len() as u64) as usize;
        if let Some(old) = self.line.get_mut(at) {
            *old = place;
        }
        self.head()
    }

    fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.line.is_empty()
    }

    /// Reports how many the bound is for.
    fn report(&mut self) {
        let held = if self.retry.ordered { self.line.len() } else { self.waiting.len() };
        self.meter.set(held);
    }

    /// For what waits first.
    fn arm<S: Clock>(&self, time: &Time<S>) {
        match (self.line.front(), self.waiting.first_key_value()) {
            (Some(Place::Settled(_)), _) => time.arm(Duration::ZERO),
            (_, Some(((due, _), _))) => time.arm(*due),
            (_, None) => time.disarm(),
        }
    }
}

impl<F, I, T> TimedKernel<I, Done<I, T>> for TryMapWithRetry<F, I, T>
where
    F: FnMut(&I) -> Result<T, Reason>,
{
    const NAME: &'static str = NAME;

    fn start<S: Clock>(&mut self, _time: &Time<S>) {
        self.random = self.retry.policy.random();
        self.meter = QueueMeter::open(&self.retry.buffer);
    }

    #[inline]
    fn next<S: Clock>(&mut self, item: I, time: &Time<S>) -> Emit<Done<I, T>> {
        let out = if self.is_over() {
            // Most items: nothing waits, and it settles at once.
            match self.try_once(&item) {
                Ok(Ok(value)) => return Emit::Item(Ok(value)),
                failed => self.enter(item, failed, None, || time.now()),
            }
        } else {
            self.arrive(item, || time.now())
        };
        self.report();
        if !self.is_over() {
            self.arm(time);
        }
        match out {
            Ok(out) => out.map_or(Emit::Skip, Emit::Item),
            Err(full) => Emit::Fail(full.into()),
        }
    }

    fn tick<S: Clock>(&mut self, time: &Time<S>) -> Emit<Done<I, T>> {
        let out = self.head().or_else(|| self.try_again(time.now()));
        self.report();
        self.arm(time);
        match out {
            Some(last) if self.ended && self.is_over() => Emit::Last(last),
            Some(done) => Emit::Item(done),
            None if self.ended && self.is_over() => Emit::End,
            None => Emit::Skip,
        }
    }

    fn complete<S: Clock>(&mut self, _time: &Time<S>) -> Emit<Done<I, T>> {
        self.ended = true;
        if self.is_over() { Emit::End } else { Emit::Skip }
    }

    /// One output for each item: in the order of the source, or unordered, in that of the next attempts.
    fn salvage(&mut self) -> Option<Done<I, T>> {
        if let Some(done) = self.head() {
            return Some(done);
        }
        let failed = match self.retry.ordered {
            true => self.give_up_head(),
            false => self.waiting.pop_first().map(|(_, failed)| failed),
        };
        failed.map(|failed| Err(failed.reject(self.retry.stage)))
    }

    fn is_idle(&self) -> bool {
        self.is_over()
    }
}
