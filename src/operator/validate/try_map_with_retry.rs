use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::event_retry::{AnyKey, Entry, EventRetry, Failed, KeyLines, OrderKey, Past, outcome_of};
use crate::{
    buffer::Overflow,
    dead_letter::{Reason, Rejected},
    delivery::fate::{Fate, abandon, with_fate},
    error::{PanicError, StreamError, catch},
    held::QueueMeter,
    operator::{
        apply::Emit,
        error::{Next, Outcome},
        timed::{Time, TimedKernel},
    },
    source::SplitMix64,
    time::{Clock, deadline},
};

pub(super) const NAME: &str = "try_map_with_retry";
/// How many attempts in a row without a delay before others have their turn: some policies never give up.
const AT_ONCE: u64 = 64;

/// See [`try_map_with_retry`](super::ValidateOps::try_map_with_retry).
#[derive(Clone)]
pub struct TryMapWithRetry<F, I, T, K = AnyKey> {
    retry: EventRetry<K>,
    f: F,
    random: Option<SplitMix64>,
    /// What waits to be tried: by the time, then by the order of the source.
    waiting: BTreeMap<(Duration, u64), Failed<I>>,
    /// Ordered: the last items, from the first that is not settled on.
    line: VecDeque<Place<I, T>>,
    /// In order of each key: what waits for another of its key.
    keys: KeyLines<I>,
    /// The number of the next item.
    next: u64,
    /// A first attempt needs more than the attempt.
    guarded: bool,
    /// No attempt before this moment.
    blocked: Duration,
    /// The item that has ended the stream.
    last: Option<Done<I, T>>,
    ended: bool,
    meter: QueueMeter,
}

pub(super) type Done<I, T> = Result<T, Rejected<I>>;
/// What an attempt gives.
type Tried<T> = Result<Result<T, Reason>, PanicError>;
/// What comes out, if something does.
type Out<I, T> = Result<Option<Done<I, T>>, StreamError>;

/// A place in the line.
#[derive(Clone)]
enum Place<I, T> {
    /// Its item waits until then.
    Waits(Duration),
    Settled(Done<I, T>),
    /// Nothing comes out of it.
    Empty,
}

enum Attempt<I, T> {
    Settled(Done<I, T>),
    Again(Duration, Failed<I>),
    Skipped,
    /// It ends the stream.
    Fatal(Failed<I>),
}

impl<F, I, T, K> TryMapWithRetry<F, I, T, K>
where
    F: FnMut(&I) -> Result<T, Reason>,
    K: OrderKey<I>,
{
    pub(super) fn new(retry: EventRetry<K>, f: F) -> Self {
        let (waiting, line) = Default::default();
        let guarded = K::KEYED || retry.breaker.is_some() || retry.policy.has_budget();
        Self {
            retry,
            f,
            random: None,
            waiting,
            line,
            keys: KeyLines::default(),
            next: 0,
            guarded,
            blocked: Duration::ZERO,
            last: None,
            ended: false,
            meter: QueueMeter::default(),
        }
    }

    #[inline(always)]
    fn try_once(&mut self, item: &I) -> Tried<T> {
        catch(self.retry.stage, || (self.f)(item))
    }

    /// What becomes of an item that was tried: it is tried again until it settles or has to wait.
    fn attempt(
        &mut self,
        item: I,
        key: Option<u64>,
        mut past: Past,
        mut tried: Tried<T>,
        mut permit: u64,
        clock: &impl Clock,
    ) -> Attempt<I, T> {
        loop {
            past.attempts += 1;
            let Self { retry, random, .. } = self;
            let (reason, next) = match tried {
                Ok(Ok(value)) => {
                    retry.outcome(permit, Outcome::Good, clock);
                    // Before there is something to return, which would leak if this panicked.
                    drop(item);
                    return Attempt::Settled(Ok(value));
                }
                Ok(Err(reason)) => {
                    let next = retry.judge(&reason, &mut past, random, clock);
                    (reason, next)
                }
                Err(panic) => (panic.into(), Next::Fatal),
            };
            retry.outcome(permit, outcome_of(&next), clock);
            let failed = |item, past, reason| Failed { item, key, past, reason };
            match next {
                Next::Again(Duration::ZERO) if !past.attempts.is_multiple_of(AT_ONCE) => {
                    match retry.permit(clock) {
                        Entry::Go(number) => permit = number,
                        Entry::Hold(_) => return Attempt::Again(Duration::ZERO, failed(item, past, reason)),
                        Entry::Reject => {
                            return Attempt::Settled(Err(failed(item, past, reason).reject(retry.stage)));
                        }
                    }
                }
                Next::Again(delay) => return Attempt::Again(delay, failed(item, past, reason)),
                Next::GiveUp | Next::Fatal => {
                    return Attempt::Settled(Err(failed(item, past, reason).reject(retry.stage)));
                }
                Next::Skip => {
                    retry.skip();
                    with_fate(Fate::Dropped, || drop(item));
                    return Attempt::Skipped;
                }
                Next::Fail => return Attempt::Fatal(failed(item, past, reason)),
            }
            tried = self.try_once(&item);
        }
    }

    /// The first in the line, if it has settled.
    fn head(&mut self) -> Option<Done<I, T>> {
        loop {
            match self.line.pop_front()? {
                Place::Settled(done) => return Some(done),
                Place::Empty => {}
                waits => {
                    self.line.push_front(waits);
                    return None;
                }
            }
        }
    }

    /// The item at the head of the line, which waits, gives up its place.
    fn give_up_head(&mut self) -> Option<Failed<I>> {
        let number = self.next - self.line.len() as u64;
        match self.line.pop_front()? {
            Place::Waits(due) => self.waiting.remove(&(due, number)),
            Place::Settled(_) | Place::Empty => None,
        }
    }

    /// Makes room in a full line; `true` where the arriving item is dropped instead.
    fn make_room(&mut self, out: &mut Option<Done<I, T>>) -> Result<bool, StreamError> {
        let buffer = &self.retry.buffer;
        if !self.retry.ordered || self.line.len() < buffer.capacity() {
            return Ok(false);
        }
        match buffer.overflow() {
            Overflow::Error | Overflow::Block => return Err(buffer.full(NAME).into()),
            Overflow::DropNewest => {
                buffer.dropped(&self.meter, 1);
                return Ok(true);
            }
            Overflow::DropOldest => {
                buffer.dropped(&self.meter, 1);
                let oldest = self.give_up_head();
                with_fate(Fate::Dropped, || drop(oldest));
            }
            // The arriving one is the newest; what is done keeps its place.
            Overflow::Latest => {
                while matches!(self.line.front(), Some(Place::Waits(_))) {
                    self.retry.buffer.dropped(&self.meter, 1);
                    let oldest = self.give_up_head();
                    with_fate(Fate::Dropped, || drop(oldest));
                }
            }
            Overflow::Reject => {
                let stage = self.retry.stage;
                *out = self.give_up_head().map(|failed| Err(failed.reject(stage)));
            }
        }
        Ok(false)
    }

    /// How many the bound is for.
    fn held(&self) -> usize {
        if self.retry.ordered { self.line.len() } else { self.waiting.len() + self.keys.len() }
    }

    /// Keeps an item, unordered: until it is due, or behind another of its key.
    fn keep(&mut self, due: Option<Duration>, number: u64, failed: Failed<I>, now: Duration) -> Out<I, T> {
        let buffer = &self.retry.buffer;
        if self.held() >= buffer.capacity() {
            match buffer.overflow() {
                Overflow::Error | Overflow::Block => {
                    abandon(failed);
                    return Err(buffer.full(NAME).into());
                }
                Overflow::Reject => {
                    let reason = Reason::Overflow { capacity: buffer.capacity() as u64 };
                    let failed = if failed.past.attempts == 0 { Failed { reason, ..failed } } else { failed };
                    return Ok(Some(Err(failed.reject(self.retry.stage))));
                }
                Overflow::DropNewest => {
                    buffer.dropped(&self.meter, 1);
                    with_fate(Fate::Dropped, || drop(failed));
                    return Ok(None);
                }
                Overflow::DropOldest => _ = self.drop_oldest(now),
                // Behind those of a key others may wait: they are due then, and not the newest either.
                Overflow::Latest => while self.drop_oldest(now) {},
            }
        }
        match due {
            Some(due) => {
                self.keys.take(failed.key);
                self.waiting.insert((due, number), failed);
            }
            // The one before it may just have been dropped.
            None if self.keys.is_taken(failed.key) => self.keys.push(failed.key, number, failed.item),
            None => {
                self.keys.take(failed.key);
                self.waiting.insert((now, number), failed);
            }
        }
        Ok(None)
    }

    /// Drops the first of those that wait, if there is one.
    fn drop_oldest(&mut self, now: Duration) -> bool {
        let Some((_, oldest)) = self.waiting.pop_first() else { return false };
        self.retry.buffer.dropped(&self.meter, 1);
        let key = oldest.key;
        with_fate(Fate::Dropped, || drop(oldest));
        self.free(key, now);
        true
    }

    /// An item of this key has settled: the next one is due.
    fn free(&mut self, key: Option<u64>, now: Duration) {
        if let Some((number, item)) = self.keys.next(key) {
            self.waiting.insert((now, number), Failed::untried(item, key, not_tried()));
        }
    }

    /// An item arrives while others are in the line, or wait, or its first attempt is guarded.
    fn arrive(&mut self, item: I, clock: &impl Clock) -> Out<I, T> {
        // Ordered, one at most comes out: what is left there is for the timer.
        let mut out = self.head();
        match self.make_room(&mut out) {
            Ok(false) => {}
            Ok(true) => {
                with_fate(Fate::Dropped, || drop(item));
                return Ok(out);
            }
            Err(full) => {
                abandon((item, out));
                return Err(full);
            }
        }
        self.retry.policy.event();
        let key = self.retry.key(&item);
        if self.keys.is_taken(key) {
            let number = self.number();
            return self.keep(None, number, Failed::untried(item, key, not_tried()), clock.now());
        }
        match self.retry.permit(clock) {
            Entry::Go(permit) => {
                self.blocked = Duration::ZERO;
                let tried = self.try_once(&item);
                self.enter(item, key, tried, permit, out, clock)
            }
            Entry::Hold(until) => {
                self.blocked = until;
                let untried = Attempt::Again(Duration::ZERO, Failed::untried(item, key, Reason::CircuitOpen));
                self.place(untried, out, clock)
            }
            Entry::Reject => {
                let rejected = Failed::untried(item, key, Reason::CircuitOpen).reject(self.retry.stage);
                self.place(Attempt::Settled(Err(rejected)), out, clock)
            }
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// An item that was tried once; `out` is what comes out instead, if there is something.
    fn enter(
        &mut self,
        item: I,
        key: Option<u64>,
        tried: Tried<T>,
        permit: u64,
        out: Option<Done<I, T>>,
        clock: &impl Clock,
    ) -> Out<I, T> {
        let attempt = self.attempt(item, key, Past::default(), tried, permit, clock);
        self.place(attempt, out, clock)
    }

    fn place(&mut self, attempt: Attempt<I, T>, out: Option<Done<I, T>>, clock: &impl Clock) -> Out<I, T> {
        let number = self.number();
        if !self.retry.ordered {
            return match attempt {
                Attempt::Settled(done) => Ok(Some(done)),
                Attempt::Skipped => Ok(None),
                Attempt::Again(delay, failed) => {
                    let now = clock.now();
                    self.keep(Some(deadline(now, delay)), number, failed, now)
                }
                Attempt::Fatal(failed) => Err(self.fatal(failed)),
            };
        }
        let (place, failure) = self.ordered(attempt, number, clock);
        self.line.push_back(place);
        match failure {
            Some(failure) => {
                // It comes out first; then the line, up to the item that has failed.
                self.last = out;
                Err(failure)
            }
            None => Ok(out.or_else(|| self.head())),
        }
    }

    /// Ends the stream; the item comes out before.
    fn fatal(&mut self, failed: Failed<I>) -> StreamError {
        let failure = self.retry.failed(failed.reason.clone());
        self.last = Some(Err(failed.reject(self.retry.stage)));
        failure
    }

    /// The item's place in the line, and what ends the stream.
    fn ordered(
        &mut self,
        attempt: Attempt<I, T>,
        number: u64,
        clock: &impl Clock,
    ) -> (Place<I, T>, Option<StreamError>) {
        match attempt {
            Attempt::Settled(done) => (Place::Settled(done), None),
            Attempt::Skipped => (Place::Empty, None),
            Attempt::Again(delay, failed) => {
                let due = deadline(clock.now(), delay);
                self.waiting.insert((due, number), failed);
                (Place::Waits(due), None)
            }
            Attempt::Fatal(failed) => {
                let failure = self.retry.failed(failed.reason.clone());
                (Place::Settled(Err(failed.reject(self.retry.stage))), Some(failure))
            }
        }
    }

    /// Tries the first that is due.
    fn try_again(&mut self, clock: &impl Clock) -> Out<I, T> {
        let now = clock.now();
        if self.waiting.first_key_value().is_none_or(|((due, _), _)| *due > now) {
            return Ok(None);
        }
        let entry = self.retry.permit(clock);
        self.blocked = if let Entry::Hold(until) = entry { until } else { Duration::ZERO };
        if self.blocked > Duration::ZERO {
            return Ok(None);
        }
        let Some(((_, number), failed)) = self.waiting.pop_first() else { return Ok(None) };
        let key = failed.key;
        let attempt = match entry {
            Entry::Go(permit) => {
                let Failed { item, past, .. } = failed;
                let tried = self.try_once(&item);
                self.attempt(item, key, past, tried, permit, clock)
            }
            _ => {
                let reason = if failed.past.attempts == 0 { Reason::CircuitOpen } else { failed.reason };
                Attempt::Settled(Err(Failed { reason, ..failed }.reject(self.retry.stage)))
            }
        };
        if !self.retry.ordered {
            return match attempt {
                Attempt::Again(delay, failed) => {
                    self.waiting.insert((deadline(now, delay), number), failed);
                    Ok(None)
                }
                Attempt::Fatal(failed) => Err(self.fatal(failed)),
                settled => {
                    self.free(key, now);
                    Ok(if let Attempt::Settled(done) = settled { Some(done) } else { None })
                }
            };
        }
        let (place, failure) = self.ordered(attempt, number, clock);
        let at = number.wrapping_sub(self.next - self.line.len() as u64) as usize;
        if let Some(old) = self.line.get_mut(at) {
            *old = place;
        }
        match failure {
            Some(failure) => Err(failure),
            None => Ok(self.head()),
        }
    }

    #[inline(always)]
    fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.line.is_empty()
    }

    /// Reports how many the bound is for.
    fn report(&mut self) {
        let held = self.held();
        self.meter.set(held);
    }

    /// For what waits first.
    fn arm<S: Clock>(&self, time: &Time<S>) {
        match (self.line.front(), self.waiting.first_key_value()) {
            (Some(Place::Settled(_) | Place::Empty), _) => time.arm(Duration::ZERO),
            (_, Some(((due, _), _))) => time.arm(self.blocked.max(*due)),
            (_, None) => time.disarm(),
        }
    }
}

/// Why an item is rejected that had no turn.
pub(super) fn not_tried() -> Reason {
    #[derive(Debug, thiserror::Error)]
    #[error("not tried: the stream has ended before it had its turn")]
    struct NotTried;
    Reason::other(NotTried)
}

impl<F, I, T, K> TimedKernel<I, Done<I, T>> for TryMapWithRetry<F, I, T, K>
where
    F: FnMut(&I) -> Result<T, Reason>,
    K: OrderKey<I>,
{
    const NAME: &'static str = NAME;

    fn start<S: Clock>(&mut self, time: &Time<S>) {
        self.random = self.retry.policy.begin(|| time.now());
        self.meter = QueueMeter::open(&self.retry.buffer);
    }

    #[inline]
    fn next<S: Clock>(&mut self, item: I, time: &Time<S>) -> Emit<Done<I, T>> {
        let out = if self.is_over() && !self.guarded {
            // Most items: nothing waits, and it settles at once.
            match self.try_once(&item) {
                Ok(Ok(value)) => {
                    drop(item);
                    return Emit::Item(Ok(value));
                }
                failed => self.enter(item, None, failed, 0, None, time.clock()),
            }
        } else {
            self.arrive(item, time.clock())
        };
        self.report();
        if !self.is_over() {
            self.arm(time);
        }
        match out {
            Ok(out) => out.map_or(Emit::Skip, Emit::Item),
            Err(failure) => Emit::Fail(failure),
        }
    }

    fn tick<S: Clock>(&mut self, time: &Time<S>) -> Emit<Done<I, T>> {
        let out = match self.head() {
            Some(done) => Ok(Some(done)),
            None => self.try_again(time.clock()),
        };
        self.report();
        self.arm(time);
        match out {
            Err(failure) => Emit::Fail(failure),
            Ok(Some(last)) if self.ended && self.is_over() => Emit::Last(last),
            Ok(Some(done)) => Emit::Item(done),
            Ok(None) if self.ended && self.is_over() => Emit::End,
            Ok(None) => Emit::Skip,
        }
    }

    fn complete<S: Clock>(&mut self, _time: &Time<S>) -> Emit<Done<I, T>> {
        self.ended = true;
        if self.is_over() { Emit::End } else { Emit::Skip }
    }

    /// One output for each item: in the order of the source, or unordered, in that of the next attempts.
    fn salvage(&mut self) -> Option<Done<I, T>> {
        if let Some(done) = self.last.take().or_else(|| self.head()) {
            return Some(done);
        }
        if self.keys.len() > 0 {
            let untried =
                self.keys.clear().into_iter().map(|(number, item)| {
                    ((Duration::MAX, number), Failed::untried(item, None, not_tried()))
                });
            self.waiting.extend(untried);
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
