//! Which item of a `try_map_async_with_retry` is where.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    convert::Infallible,
    time::Duration,
};

use rxrust::{context::RcDerefMut, observer::Observer};

use super::{
    EventRetry,
    async_worker::{Settled, Start},
    try_map_async::NAME,
    try_map_with_retry::{Done, Failed},
};
use crate::{
    buffer::Overflow,
    dead_letter::{Reason, Rejected},
    error::{PanicError, StreamError, named},
    gate::{Down, Machine, Signal, Step},
    held::QueueMeter,
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
    Gone,
}

/// The state of a `try_map_async_with_retry`: which items are where.
pub struct Trying<O, S, R, I, T, E> {
    down: Down<O>,
    listening: bool,
    clock: S,
    timer: Timer,
    random: Option<SplitMix64>,
    retry: EventRetry,
    concurrency: usize,
    /// For the worker, which `cancel` wakes.
    starts: R,
    cancel: Cancel,
    /// Not begun.
    backlog: VecDeque<(u64, I)>,
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

impl<O, S, R, I, T, E> Drop for Trying<O, S, R, I, T, E> {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl<O, S, R, I, T, E> Trying<O, S, R, I, T, E> {
    pub(super) fn new(
        down: Down<O>,
        clock: S,
        timer: Timer,
        retry: EventRetry,
        concurrency: usize,
        starts: R,
        cancel: Cancel,
    ) -> Self {
        Self {
            down,
            listening: true,
            clock,
            timer,
            random: retry.policy.random(),
            meter: QueueMeter::open(&retry.buffer),
            retry,
            concurrency,
            starts,
            cancel,
            backlog: VecDeque::new(),
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

impl<O, S, R, I, T, E> Trying<O, S, R, I, T, E>
where
    O: Observer<Done<I, T>, E>,
    S: Clock,
    R: RcDerefMut<Target = VecDeque<Start<I>>>,
    E: 'static,
{
    fn send(&mut self, done: Done<I, T>) {
        if self.listening {
            let step: Step<Infallible> = self.down.next(done);
            self.listening = step == Step::Continue && !self.cancel.cancelled();
        }
    }

    /// The item `number` has its result.
    fn settle(&mut self, number: u64, done: Done<I, T>) {
        if !self.retry.ordered {
            self.held -= 1;
            return self.send(done);
        }
        self.settled.insert(number, done);
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
        let capacity = self.retry.buffer.capacity();
        if self.held >= capacity.saturating_add(self.concurrency) {
            match self.retry.buffer.overflow() {
                Overflow::Error | Overflow::Block => return self.down.fail(self.retry.buffer.full(NAME)),
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
        let number = self.next;
        self.next += 1;
        self.held += 1;
        if self.retry.ordered {
            self.open.insert(number);
        }
        self.backlog.push_back((number, item));
        Step::Continue
    }

    /// Drops the oldest that is not being worked on, if there is one.
    fn drop_oldest(&mut self) -> bool {
        let oldest = self.waiting.pop_first().map(|((_, number), failed)| (number, failed.item));
        let Some((number, oldest)) = oldest.or_else(|| self.backlog.pop_front()) else { return false };
        self.drop_counted(oldest);
        self.held -= 1;
        self.leave(number);
        true
    }

    fn drop_counted(&self, item: I) -> Step<Infallible> {
        self.retry.buffer.dropped(&self.meter, 1);
        drop(item);
        Step::Continue
    }

    /// An attempt is over: so is the item, or it waits.
    fn attempted(&mut self, over: Settled<I, T>) {
        let Settled { start: Start { number, item, attempts }, result } = over;
        self.running -= 1;
        let attempts = attempts + 1;
        let Self { retry: EventRetry { policy, stage, .. }, random, end, .. } = self;
        let (reason, delay) = match result {
            Ok(Ok(value)) => return self.settle(number, Ok(value)),
            Ok(Err(reason)) if matches!(end, Some(End::Error(_))) => (reason, None),
            Ok(Err(reason)) => {
                let delay = named(|| stage, || policy.wait(attempts, &reason, random));
                (reason, delay)
            }
            Err(panic) => (panic.into(), None),
        };
        let failed = Failed { item, attempts, reason };
        match delay {
            Some(delay) => {
                let due = deadline(self.clock.now(), delay);
                self.waiting.insert((due, number), failed);
            }
            None => {
                let rejected = failed.reject(stage);
                self.settle(number, Err(rejected));
            }
        }
    }

    /// The source has failed: nothing more is begun.
    fn give_up(&mut self) {
        let stage = self.retry.stage;
        while let Some(((_, number), failed)) = self.waiting.pop_first() {
            self.settle(number, Err(failed.reject(stage)));
        }
        while let Some((number, item)) = self.backlog.pop_front() {
            let reason = Reason::other("not tried: the source has failed");
            self.settle(number, Err(Rejected::new(item, stage, reason).with_attempts(0)));
        }
    }

    /// Gives the worker what there is room for: first what is due again.
    fn start(&mut self) {
        let now = if self.waiting.is_empty() { Duration::ZERO } else { self.clock.now() };
        let mut begun = false;
        while self.running < self.concurrency {
            let again = self.waiting.first_entry().filter(|first| first.key().0 <= now);
            let start = match again.map(|first| first.remove_entry()) {
                Some(((_, number), Failed { item, attempts, .. })) => Start { number, item, attempts },
                None => match self.backlog.pop_front() {
                    Some((number, item)) => Start { number, item, attempts: 0 },
                    None => break,
                },
            };
            self.running += 1;
            self.starts.rc_deref_mut().push_back(start);
            begun = true;
        }
        if begun {
            self.cancel.wake();
        }
        match self.waiting.first_key_value() {
            Some(((due, _), _)) if self.running < self.concurrency => self.timer.arm(*due),
            _ => self.timer.disarm(),
        }
    }
}

impl<O, S, R, I, T, E> Machine<Input<I, T, E>> for Trying<O, S, R, I, T, E>
where
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
            Input::Settled(over) => self.attempted(over),
            Input::Tick => {}
            Input::Source(Signal::Complete) => self.end = Some(End::Complete),
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
            self.meter.set(self.held - self.running);
            return Step::Continue;
        }
        self.meter.set(0);
        match self.end.take() {
            None => Step::Continue,
            Some(End::Complete) => self.down.complete(),
            Some(End::Error(error)) => self.down.error(error),
            Some(End::Gone) => Step::Done,
        }
    }

    fn fail(&mut self, failure: StreamError) {
        let _: Step<Infallible> = self.down.fail(failure);
    }
}
