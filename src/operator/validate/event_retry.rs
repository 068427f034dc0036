//! How single events are tried again: what the synchronous and the asynchronous form share.

use std::{collections::VecDeque, hash::BuildHasher, hash::Hash, marker::PhantomData, mem, time::Duration};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::try_map_with_retry::NAME;
use crate::{
    buffer::{Buffer, Drops},
    dead_letter::{AttemptLog, Reason, Rejected},
    error::{StreamError, drop_each, named},
    operator::error::{CircuitBreaker, Next, Outcome, Permit, Retry, Series, Verdict, WhileOpen},
    source::SplitMix64,
    time::Clock,
};

/// How a [`try_map_with_retry_with`](super::ValidateOps::try_map_with_retry_with) tries an event again.
///
/// By default results come as they settle, what waits is bounded by the default [`Buffer`], and the stage of a failure
/// is `"try_map_with_retry"`.
///
/// ```
/// use rxevents::prelude::*;
/// use std::time::Duration;
///
/// struct Booking { account: u32 }
/// let bank = CircuitBreaker::new(Duration::from_secs(30));
/// let budget = RetryBudget::new(0.2, 5, Duration::from_secs(10));
/// let policy = Retry::times(5)
///     .exponential(Duration::from_millis(100), Duration::from_secs(10))
///     .jitter_with(Jitter::Equal)
///     .budget(budget.clone());
/// let retry = EventRetry::new(policy)
///     .circuit_breaker(bank.clone())
///     .ordered_by(|booking: &Booking| booking.account)
///     .stage("book");
/// # let _ = retry;
/// ```
#[derive(Clone)]
pub struct EventRetry<K = AnyKey> {
    pub(super) policy: Retry<Reason>,
    pub(super) buffer: Buffer,
    pub(super) ordered: bool,
    pub(super) stage: &'static str,
    pub(super) breaker: Option<CircuitBreaker>,
    pub(super) timeout: Option<Duration>,
    skipped: Drops,
    key: K,
}

impl EventRetry {
    /// When and how often an event is tried again.
    pub fn new(policy: Retry<Reason>) -> Self {
        Self {
            policy,
            buffer: Buffer::default(),
            ordered: false,
            stage: NAME,
            breaker: None,
            timeout: None,
            skipped: Drops::default(),
            key: AnyKey,
        }
    }
}

impl<K> EventRetry<K> {
    /// Results in the order of the source.
    pub fn ordered(self) -> EventRetry {
        EventRetry { ordered: true, ..self.with_key(AnyKey) }
    }

    /// In order for each key: while an event waits to be tried again, the later ones of its key wait behind it, and are
    /// not tried before it has settled; those of other keys pass.
    ///
    /// ```text
    /// a1-a2-b1--|
    ///   ordered_by(letter), f fails once for a1; fixed(7)
    /// ------b1(a1a2|)
    /// ```
    /// What waits behind another counts in the [buffer](Self::buffer). Two keys with the same 64-bit hash are taken as one,
    /// which costs a wait and nothing else. A panic in `key` ends the stream.
    pub fn ordered_by<I, G, F>(self, key: F) -> EventRetry<ByKey<F, G>>
    where
        F: Fn(&I) -> G,
        G: Hash,
    {
        EventRetry { ordered: false, ..self.with_key(ByKey(key, PhantomData)) }
    }

    fn with_key<L>(self, key: L) -> EventRetry<L> {
        let Self { policy, buffer, ordered, stage, breaker, timeout, skipped, .. } = self;
        EventRetry { policy, buffer, ordered, stage, breaker, timeout, skipped, key }
    }

    /// The bound on what waits, and the policy for an item that finds no room.
    ///
    /// Unordered, that is an item that has just failed, one that is held because a
    /// [circuit breaker](Self::circuit_breaker) is open, or one behind another of its key; ordered, any that arrives behind
    /// one that waits, before it is tried. With [`Overflow::Reject`](crate::Overflow::Reject) the item that has just failed
    /// is [`Rejected`] as if its attempts were used up; one that was not tried, with
    /// [`Reason::Overflow`] and 0 attempts; ordered, the first in the line is, as that makes room.
    /// [`Overflow::DropOldest`](crate::Overflow::DropOldest) drops the one that is due first; ordered, the first in the line.
    pub fn buffer(mut self, buffer: Buffer) -> Self {
        self.buffer = buffer;
        self
    }

    /// The name of the stage that a failure carries.
    pub fn stage(mut self, stage: &'static str) -> Self {
        self.stage = stage;
        self
    }

    /// Makes no attempt while `breaker` is open.
    pub fn circuit_breaker(mut self, breaker: CircuitBreaker) -> Self {
        self.breaker = Some(breaker);
        self
    }

    /// An attempt that takes longer has failed, with [`Reason::Timeout`]; its future is dropped. By the scheduler's clock.
    ///
    /// Only for `try_map_async_with_retry_with`: a function that has not returned cannot be stopped.
    pub fn attempt_timeout(mut self, within: Duration) -> Self {
        self.timeout = Some(within);
        self
    }

    /// How many events were dropped by [`Verdict::Skip`]; it stays readable while the stream runs.
    pub fn skipped(&self) -> Drops {
        self.skipped.clone()
    }

    pub(super) fn skip(&self) {
        self.skipped.add(1);
    }

    /// What to do after a failure, which is noted in `past`.
    pub(super) fn judge<C: Clock>(
        &self,
        reason: &Reason,
        past: &mut Past,
        random: &mut Option<SplitMix64>,
        clock: &C,
    ) -> Next {
        let Past { attempts, series, log } = past;
        let usual = |reason: &Reason| match reason.kind().is_fatal() {
            true => Verdict::DeadLetter,
            false => Verdict::Retry,
        };
        let next = named(
            || self.stage,
            || self.policy.next_or(*attempts, reason, usual, series, random, || clock.now()),
        );
        let again = if let Next::Again(delay) = next { Some(delay) } else { None };
        if again.is_some() || log.is_some() {
            let now = clock.utc();
            let log = log.get_or_insert_with(|| AttemptLog::new(now).into());
            log.delayed = log.delayed.saturating_add(again.unwrap_or_default());
            log.failed(now, reason);
        }
        next
    }

    /// Whether an attempt may be made.
    #[inline]
    pub(super) fn permit<C: Clock>(&self, clock: &C) -> Entry {
        let Some(breaker) = &self.breaker else { return Entry::Go(0) };
        match breaker.permit(|| clock.now()) {
            Permit::Go(number) => Entry::Go(number),
            Permit::Wait(_) if breaker.while_open == WhileOpen::Reject => Entry::Reject,
            Permit::Wait(until) => Entry::Hold(until),
        }
    }

    /// Tells the circuit breaker what has become of an attempt.
    #[inline]
    pub(super) fn outcome<C: Clock>(&self, permit: u64, outcome: Outcome, clock: &C) {
        if let Some(breaker) = &self.breaker {
            breaker.outcome(permit, outcome, || clock.now());
        }
    }

    /// Ends the stream because of an event.
    pub(super) fn failed(&self, reason: Reason) -> StreamError {
        StreamError::EventFailed { stage: self.stage, reason }
    }

    pub(super) fn key<I>(&self, item: &I) -> Option<u64>
    where
        K: OrderKey<I>,
    {
        if K::KEYED { named(|| self.stage, || self.key.key(item)) } else { None }
    }
}

/// Whether an attempt may be made.
pub(super) enum Entry {
    Go(u64),
    Hold(Duration),
    Reject,
}

/// What a failure says of the server.
pub(super) fn outcome_of(next: &Next) -> Outcome {
    match next {
        Next::Again(_) | Next::GiveUp => Outcome::Bad,
        Next::Fatal | Next::Skip | Next::Fail => Outcome::Nothing,
    }
}

/// What keeps the order of an [`EventRetry`]: a key of the item, or none.
pub trait OrderKey<I> {
    /// Whether there is a key.
    const KEYED: bool;
    /// The hash of the key.
    fn key(&self, item: &I) -> Option<u64>;
}

/// No key: see [`OrderKey`].
#[derive(Debug, Clone, Copy)]
pub struct AnyKey;

impl<I> OrderKey<I> for AnyKey {
    const KEYED: bool = false;

    #[inline(always)]
    fn key(&self, _: &I) -> Option<u64> {
        None
    }
}

/// See [`EventRetry::ordered_by`].
pub struct ByKey<F, G>(F, PhantomData<fn() -> G>);

impl<F: Clone, G> Clone for ByKey<F, G> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<I, F: Fn(&I) -> G, G: Hash> OrderKey<I> for ByKey<F, G> {
    const KEYED: bool = true;

    #[inline]
    fn key(&self, item: &I) -> Option<u64> {
        Some(FixedState::default().hash_one((self.0)(item)))
    }
}

/// What has become of an event so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Past {
    pub(super) attempts: u64,
    series: Series,
    log: Option<Box<AttemptLog>>,
}

/// An item that waits, and its last attempt.
#[derive(Clone)]
pub(super) struct Failed<I> {
    pub(super) item: I,
    pub(super) key: Option<u64>,
    pub(super) past: Past,
    pub(super) reason: Reason,
}

impl<I> Failed<I> {
    /// It was not tried yet, because of `reason`.
    pub(super) fn untried(item: I, key: Option<u64>, reason: Reason) -> Self {
        Self { item, key, past: Past::default(), reason }
    }

    pub(super) fn reject(self, stage: &'static str) -> Rejected<I> {
        let attempts = u32::try_from(self.past.attempts).unwrap_or(u32::MAX);
        Rejected::new(self.item, stage, self.reason).with_attempts(attempts).with_history(self.past.log)
    }
}

/// Those that wait for another of their key.
#[derive(Clone)]
pub(super) struct KeyLines<I> {
    /// A line for each key of which one is being tried or waits; mostly empty.
    lines: HashMap<u64, VecDeque<(u64, I)>, FixedState>,
    held: usize,
}

impl<I> Default for KeyLines<I> {
    fn default() -> Self {
        Self { lines: HashMap::default(), held: 0 }
    }
}

impl<I> Drop for KeyLines<I> {
    fn drop(&mut self) {
        drop_each(self.lines.drain());
    }
}

impl<I> KeyLines<I> {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.held
    }

    pub(super) fn is_taken(&self, key: Option<u64>) -> bool {
        key.is_some_and(|key| self.lines.contains_key(&key))
    }

    /// One of this key is being tried, or waits.
    pub(super) fn take(&mut self, key: Option<u64>) {
        if let Some(key) = key {
            self.lines.entry(key).or_default();
        }
    }

    pub(super) fn push(&mut self, key: Option<u64>, number: u64, item: I) {
        if let Some(key) = key {
            self.lines.entry(key).or_default().push_back((number, item));
            self.held += 1;
        }
    }

    /// That one has settled: the next of its key has its turn, or the key is free.
    pub(super) fn next(&mut self, key: Option<u64>) -> Option<(u64, I)> {
        let key = key?;
        let next = self.lines.get_mut(&key)?.pop_front();
        match next {
            Some(_) => self.held -= 1,
            None => drop(self.lines.remove(&key)),
        }
        next
    }

    /// Gives up all, in the order of the source.
    pub(super) fn clear(&mut self) -> Vec<(u64, I)> {
        self.held = 0;
        let mut all: Vec<_> = mem::take(&mut self.lines).into_values().flatten().collect();
        all.sort_unstable_by_key(|(number, _)| *number);
        all
    }
}
