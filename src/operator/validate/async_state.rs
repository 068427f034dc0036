//! Which item of a `try_map_async_with_retry` is where.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    convert::Infallible,
    time::Duration,
};

use rxrust::{context::RcDerefMut, observer::Observer};

use futures::future::AbortHandle;

use super::{
    EventRetry,
    async_worker::{Settled, Start},
    event_retry::{AnyKey, Entry, Failed, KeyLines, OrderKey, Past, outcome_of},
    try_map_async::NAME,
    try_map_with_retry::{Done, not_tried},
};
use crate::{
    buffer::Overflow,
    dead_letter::{Reason, Rejected},
    delivery::fate::{Fate, with_fate},
    error::{PanicError, StreamError, drop_caught},
    gate::{Down, Machine, Signal, Step},
    held::QueueMeter,
    operator::error::{Next, Outcome},
    source::SplitMix64,
    time::{Cancel, Clock, Timer, deadline},
};

/// The inputs of a `try_map_async_with_retry`.
pub enum Input<I, T, E> {
    /// From the source.
    Source(Signal<I, E>),
    /// The source has dropped its observer.
    Gone,
    /// An attempt is over.
    Settled(Settled<I, T>),
    /// An item may be due.
    Tick,
    /// There is no timer or no worker any more, and why, if that is known.
    Lost(Option<PanicError>),
}

enum End<E> {
    Complete,
    Error(E),
    /// An event has ended the stream.
    Failed(StreamError),
    Gone,
}

impl<E> End<E> {
    /// Nothing more is begun.
    fn stops(&self) -> bool {
        matches!(self, Self::Error(_) | Self::Failed(_))
    }
}

/// The state of a `try_map_async_with_retry`: which items are where.
pub struct Trying<O, S, R, I, T, E, K = AnyKey> {
    down: Down<O>,
    listening: bool,
    clock: S,
    timer: Timer,
    random: Option<SplitMix64>,
    retry: EventRetry<K>,
    concurrency: usize,
    /// For the worker, which `cancel` wakes.
    starts: R,
    cancel: Cancel,
    /// Not begun, with their keys.
    backlog: VecDeque<(u64, I, Option<u64>)>,
    /// In order of each key: what waits for another of its key.
    keys: KeyLines<I>,
    /// What stops the attempts that take too long: by the time, then by the number.
    deadlines: BTreeMap<(Duration, u64), AbortHandle>,
    /// Waits to be tried again: by the time, then by the order of the source.
    waiting: BTreeMap<(Duration, u64), Failed<I>>,
    /// How many the worker has.
    running: usize,
    /// How many have come and not gone.
    held: usize,
    /// The number of the next item.
    next: u64,
    /// Ordered: the numbers of those that have not settled.
    open: BTreeSet<u64>,
    /// Ordered: results that wait for one before them.
    settled: BTreeMap<u64, Done<I, T>>,
    end: Option<End<E>>,
    meter: QueueMeter,
}

impl<O, S, R, I, T, E, K> Drop for Trying<O, S, R, I, T, E, K> {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl<O, S: Clock, R, I, T, E, K> Trying<O, S, R, I, T, E, K> {
    pub(super) fn new(
        down: Down<O>,
        clock: S,
        timer: Timer,
        retry: EventRetry<K>,
        concurrency: usize,
        starts: R,
        cancel: Cancel,
    ) -> Self {
        Self {
            down,
            listening: true,
            random: retry.policy.begin(|| clock.now()),
            clock,
            timer,
            meter: QueueMeter::open(&retry.buffer),
            retry,
            concurrency,
            starts,
            cancel,
            backlog: VecDeque::new(),
            keys: KeyLines::default(),
            deadlines: BTreeMap::new(),
            waiting: BTreeMap::new(),
            running: 0,
            held: 0,
            next: 0,
            open: BTreeSet::new(),
            settled: BTreeMap::new(),
            end: None,
        }
    }
}

impl<O, S, R, I, T, E, K> Trying<O, S, R, I, T, E, K>
where
    K: OrderKey<I>,
    O: Observer<Done<I, T>, E>,
    S: Clock,
    R: RcDerefMut<Target = VecDeque<Start<I>>>,
    E: 'static,
{
    fn send(&mut self, done: Done<I, T>) {
        if self.listening {
            let step: Step<Infallible> = self.down.next(done);
            self.listening = step == Step::Continue && !self.cancel.cancelled();
        } else {
            drop_caught(done);
        }
    }

    /// The item `number` has its result.
    fn settle(&mut self, number: u64, key: Option<u64>, done: Done<I, T>) {
        self.free(key);
        if !self.retry.ordered {
            self.held -= 1;
            return self.send(done);
        }
        self.settled.insert(number, done);
        self.leave(number);
    }

    /// One of this key has settled: the next one has its turn.
    fn free(&mut self, key: Option<u64>) {
        if let Some((number, item)) = self.keys.next(key) {
            self.backlog.push_back((number, item, key));
        }
    }

    /// The item `number` is gone without a result.
    fn vanish(&mut self, number: u64, key: Option<u64>) {
        self.free(key);
        self.held -= 1;
        self.leave(number);
    }

    /// Ordered: none waits for the item `number` any more.
    fn leave(&mut self, number: u64) {
        self.open.remove(&number);
        while let Some(first) = self.settled.first_entry()
            && self.open.first().is_none_or(|open| open > first.key())
        {
            let done = first.remove();
            self.held -= 1;
            self.send(done);
        }
    }

    fn arrive(&mut self, item: I) -> Step<Infallible> {
        if self.end.is_some() {
            // An event has ended the stream: its source may not know yet.
            self.send(Err(Failed::untried(item, None, not_tried()).reject(self.retry.stage)));
            return Step::Continue;
        }
        let capacity = self.retry.buffer.capacity();
        if self.held >= capacity.saturating_add(self.concurrency) {
            match self.retry.buffer.overflow() {
                Overflow::Error | Overflow::Block => {
                    drop_caught(item);
                    return self.down.fail(self.retry.buffer.full(NAME));
                }
                Overflow::Reject => {
                    let reason = Reason::Overflow { capacity: capacity as u64 };
                    self.send(Err(Rejected::new(item, self.retry.stage, reason).with_attempts(0)));
                    return Step::Continue;
                }
                Overflow::DropNewest => return self.drop_counted(item),
                Overflow::DropOldest => {
                    if !self.drop_oldest() {
                        return self.drop_counted(item);
                    }
                }
                Overflow::Latest => {
                    if !self.drop_oldest() {
                        return self.drop_counted(item);
                    }
                    while self.drop_oldest() {}
                }
            }
        }
        self.retry.policy.event();
        let key = self.retry.key(&item);
        let number = self.next;
        self.next += 1;
        self.held += 1;
        if self.retry.ordered {
            self.open.insert(number);
        }
        if self.keys.is_taken(key) {
            self.keys.push(key, number, item);
        } else {
            self.keys.take(key);
            self.backlog.push_back((number, item, key));
        }
        Step::Continue
    }

    /// Drops the oldest that is not being worked on, if there is one.
    fn drop_oldest(&mut self) -> bool {
        let due = self.waiting.pop_first();
        let oldest = due.map(|((_, number), failed)| (number, failed.item, failed.key));
        let Some((number, oldest, key)) = oldest.or_else(|| self.backlog.pop_front()) else { return false };
        self.drop_counted(oldest);
        self.vanish(number, key);
        true
    }

    fn drop_counted(&self, item: I) -> Step<Infallible> {
        self.retry.buffer.dropped(&self.meter, 1);
        with_fate(Fate::Dropped, || drop(item));
        Step::Continue
    }

    /// An attempt is over: so is the item, or it waits.
    fn attempted(&mut self, over: Settled<I, T>) {
        let Settled { start: Start { number, item, key, mut past, permit, due, .. }, result } = over;
        self.running -= 1;
        // Not there any more: it was stopped.
        let late = due.is_some_and(|due| self.deadlines.remove(&(due, number)).is_none());
        past.attempts += 1;
        let Self { retry, random, end, clock, .. } = self;
        let (reason, mut next) = match result {
            Ok(Ok(value)) => {
                retry.outcome(permit, Outcome::Good, clock);
                return self.settle(number, key, Ok(value));
            }
            Ok(Err(reason)) => {
                let reason = match (reason, retry.timeout) {
                    (Reason::Timeout { .. }, Some(within)) if late => Reason::Timeout { within },
                    (reason, _) => reason,
                };
                let next = match end {
                    Some(end) if end.stops() => Next::GiveUp,
                    _ => retry.judge(&reason, &mut past, random, clock),
                };
                (reason, next)
            }
            Err(panic) => (panic.into(), Next::Fatal),
        };
        retry.outcome(permit, outcome_of(&next), clock);
        let failed = Failed { item, key, past, reason };
        if next == Next::Fail {
            self.end = Some(End::Failed(self.retry.failed(failed.reason.clone())));
            next = Next::Fatal;
        }
        match next {
            Next::Again(delay) => {
                let due = deadline(self.clock.now(), delay);
                self.waiting.insert((due, number), failed);
            }
            Next::Skip => {
                self.retry.skip();
                with_fate(Fate::Dropped, || drop(failed));
                self.vanish(number, key);
            }
            Next::GiveUp | Next::Fatal | Next::Fail => {
                let rejected = failed.reject(self.retry.stage);
                self.settle(number, key, Err(rejected));
            }
        }
    }

    /// The stream has failed: nothing more is begun.
    fn give_up(&mut self) {
        let stage = self.retry.stage;
        while let Some(((_, number), failed)) = self.waiting.pop_first() {
            self.settle(number, failed.key, Err(failed.reject(stage)));
        }
        // With those that had waited for one of these of their key; those behind one that runs wait for it.
        while let Some((number, item, key)) = self.backlog.pop_front() {
            let reason = Reason::other("not tried: the source has failed");
            self.settle(number, key, Err(Rejected::new(item, stage, reason).with_attempts(0)));
        }
    }

    /// Those for which a circuit breaker is open are rejected: first what is due again.
    fn reject_next(&mut self, now: Duration) -> bool {
        let stage = self.retry.stage;
        let again = self.waiting.first_entry().filter(|first| first.key().0 <= now);
        if let Some(((_, number), failed)) = again.map(|first| first.remove_entry()) {
            self.settle(number, failed.key, Err(failed.reject(stage)));
            return true;
        }
        let Some((number, item, key)) = self.backlog.pop_front() else { return false };
        let untried = Failed::untried(item, key, Reason::CircuitOpen);
        self.settle(number, key, Err(untried.reject(stage)));
        true
    }

    /// Gives the worker what there is room for: first what is due again.
    fn start(&mut self) {
        let timed = !self.waiting.is_empty() || self.retry.timeout.is_some();
        let now = if timed { self.clock.now() } else { Duration::ZERO };
        let (mut begun, mut blocked) = (false, None);
        while self.running < self.concurrency {
            let again = self.waiting.first_key_value().is_some_and(|((due, _), _)| *due <= now);
            if !again && self.backlog.is_empty() {
                break;
            }
            let permit = match self.retry.permit(&self.clock) {
                Entry::Go(permit) => permit,
                Entry::Hold(until) => {
                    blocked = Some(until);
                    break;
                }
                Entry::Reject if self.reject_next(now) => continue,
                Entry::Reject => break,
            };
            let (number, item, key, past) = if again && let Some(first) = self.waiting.pop_first() {
                let ((_, number), Failed { item, key, past, .. }) = first;
                (number, item, key, past)
            } else if let Some((number, item, key)) = self.backlog.pop_front() {
                (number, item, key, Past::default())
            } else {
                break;
            };
            let (stop, due) = match self.retry.timeout {
                None => (None, None),
                Some(within) => {
                    let (handle, stop) = AbortHandle::new_pair();
                    let due = deadline(now, within);
                    self.deadlines.insert((due, number), handle);
                    (Some(stop), Some(due))
                }
            };
            self.running += 1;
            let start = Start { number, item, key, past, permit, stop, due };
            self.starts.rc_deref_mut().push_back(start);
            begun = true;
        }
        if begun {
            self.cancel.wake();
        }
        self.arm(blocked);
    }

    fn arm(&self, blocked: Option<Duration>) {
        let due = self.waiting.first_key_value().map(|((due, _), _)| *due);
        let next = match blocked {
            Some(until) => Some(until),
            None => due.filter(|_| self.running < self.concurrency),
        };
        let late = self.deadlines.first_key_value().map(|((due, _), _)| *due);
        match next.into_iter().chain(late).min() {
            Some(at) => self.timer.arm(at),
            None => self.timer.disarm(),
        }
    }

    /// Stops the attempts that have taken too long; they come back as such.
    fn stop_late(&mut self) {
        if self.deadlines.is_empty() {
            return;
        }
        let now = self.clock.now();
        while let Some(first) = self.deadlines.first_entry().filter(|first| first.key().0 <= now) {
            first.remove().abort();
        }
    }
}

impl<O, S, R, I, T, E, K> Machine<Input<I, T, E>> for Trying<O, S, R, I, T, E, K>
where
    K: OrderKey<I>,
    O: Observer<Done<I, T>, E>,
    S: Clock,
    R: RcDerefMut<Target = VecDeque<Start<I>>>,
    E: 'static,
{
    fn on(&mut self, input: Input<I, T, E>) -> Step<Infallible> {
        match input {
            Input::Source(Signal::Next(item)) => {
                if self.arrive(item) == Step::Done {
                    return Step::Done;
                }
            }
            Input::Settled(over) => {
                self.attempted(over);
                if self.end.as_ref().is_some_and(End::stops) {
                    self.give_up();
                }
            }
            Input::Tick => self.stop_late(),
            // What an event has ended, stays so.
            Input::Source(Signal::Complete) if self.end.is_none() => self.end = Some(End::Complete),
            Input::Source(Signal::Complete) => {}
            Input::Source(Signal::Error(error)) => {
                self.end = Some(End::Error(error));
                self.give_up();
            }
            Input::Gone if self.end.is_none() => self.end = Some(End::Gone),
            Input::Gone => {}
            Input::Lost(Some(panic)) => return self.down.fail(panic),
            Input::Lost(None) => return self.down.fail(StreamError::SchedulerGone(NAME)),
        }
        if !self.listening {
            return Step::Done;
        }
        if self.held > 0 {
            self.start();
        }
        // A circuit breaker may have rejected all that was left.
        self.meter.set(self.held - self.running);
        if !self.listening {
            return Step::Done;
        }
        if self.held > 0 {
            return Step::Continue;
        }
        match self.end.take() {
            None => Step::Continue,
            Some(End::Complete) => self.down.complete(),
            Some(End::Error(error)) => self.down.error(error),
            Some(End::Failed(failure)) => self.down.fail(failure),
            Some(End::Gone) => Step::Done,
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Infallible> = self.down.fail(failure);
    }
}
