use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::time::deadline;

/// Stops the attempts at what is down: after so many failures it *opens*, and no attempt is made for a time; then it is
/// *half open* and lets a few through; when all of them succeed it *closes*, when one fails it opens again. Clones are
/// handles of the same breaker: give it to all stages that need the same server.
///
/// ```text
/// closed ──(failures)──▶ open ──(open_for)──▶ half open ──(all succeed)──▶ closed
///                         ▲──────(one fails)──────┘
/// ```
/// Only failures that are worth another attempt count: a malformed event says nothing of the server. Time is that of the
/// scheduler. While it is open, events wait in the retry's buffer, or are rejected: [`WhileOpen`].
///
/// A closed breaker that has seen no failure costs two atomic reads an event. With a [ratio](Self::failure_ratio) it holds the
/// outcomes of the last attempts, and takes a lock for each.
///
/// ```
/// use rxevents::prelude::*;
/// use std::time::Duration;
///
/// let bank = CircuitBreaker::new(Duration::from_secs(30)).consecutive(5).failure_ratio(0.5, 100).half_open(3);
/// let retry = EventRetry::new(Retry::times(3).fixed(Duration::from_secs(1))).circuit_breaker(bank.clone());
/// # let _ = retry;
/// assert!(!bank.is_open() && bank.opened() == 0);
/// ```
#[derive(Debug, Clone)]
pub struct CircuitBreaker {
    open_for: Duration,
    consecutive: u32,
    /// A part of the last so many.
    ratio: Option<(f64, usize)>,
    half_open: u32,
    pub(crate) while_open: WhileOpen,
    shared: Arc<Shared>,
}

/// What becomes of an event that is to be tried while a [`CircuitBreaker`] is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhileOpen {
    /// It waits in the buffer of the [`EventRetry`](crate::operator::validate::EventRetry), with its bound and policy.
    #[default]
    Hold,
    /// It is rejected at once: with what it failed with, or [`CircuitOpen`](crate::dead_letter::Reason::CircuitOpen) and 0
    /// attempts when it was never tried.
    Reject,
}

#[derive(Debug, Default)]
struct Shared {
    /// Not closed.
    broken: AtomicBool,
    /// Failures in a row.
    failures: AtomicU32,
    opened: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    /// The number of the phase: what was begun in an earlier one tells nothing any more.
    number: u64,
    last: VecDeque<bool>,
    bad: usize,
}

#[derive(Debug, Default, Clone, Copy)]
enum Phase {
    #[default]
    Closed,
    Open(Duration),
    /// So many may still be begun, so many have succeeded; what has told nothing until then is taken as lost.
    HalfOpen(u32, u32, Duration),
}

/// Whether to make an attempt.
pub(crate) enum Permit {
    /// In the phase of this number.
    Go(u64),
    /// Not before this moment.
    Wait(Duration),
}

/// What an attempt says of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Good,
    Bad,
    Nothing,
}

impl CircuitBreaker {
    /// Opens for `open_for`, after 5 failures in a row; half open, it lets 1 attempt through.
    pub fn new(open_for: Duration) -> Self {
        Self {
            open_for,
            consecutive: 5,
            ratio: None,
            half_open: 1,
            while_open: WhileOpen::default(),
            shared: Arc::default(),
        }
    }

    /// Opens after so many failures in a row (0 is taken as 1; `u32::MAX`: never).
    pub fn consecutive(mut self, failures: u32) -> Self {
        self.consecutive = failures.max(1);
        self
    }

    /// Opens, too, when at least this part of the last `window` attempts has failed; not before there were so many.
    pub fn failure_ratio(mut self, ratio: f64, window: usize) -> Self {
        self.ratio = Some((ratio, window.max(1)));
        self
    }

    /// How many attempts it lets through when it is half open; it closes when all have succeeded. 0 is taken as 1.
    pub fn half_open(mut self, attempts: u32) -> Self {
        self.half_open = attempts.max(1);
        self
    }

    /// What becomes of events while it is open; by default they wait.
    pub fn while_open(mut self, while_open: WhileOpen) -> Self {
        self.while_open = while_open;
        self
    }

    /// Whether it is open or half open.
    pub fn is_open(&self) -> bool {
        self.shared.broken.load(Ordering::Relaxed)
    }

    /// How often it has opened.
    pub fn opened(&self) -> u64 {
        self.shared.opened.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an attempt may be begun; the caller tells its [`outcome`](Self::outcome).
    pub(crate) fn permit(&self, now: impl FnOnce() -> Duration) -> Permit {
        if !self.is_open() {
            return Permit::Go(0);
        }
        let (now, mut state) = (now(), self.state());
        match state.phase {
            Phase::Closed => return Permit::Go(0),
            Phase::HalfOpen(left @ 1.., good, until) => {
                state.phase = Phase::HalfOpen(left - 1, good, until);
                return Permit::Go(state.number);
            }
            Phase::Open(until) | Phase::HalfOpen(0, _, until) if now < until => return Permit::Wait(until),
            Phase::Open(_) | Phase::HalfOpen(..) => {}
        }
        state.number += 1;
        state.phase = Phase::HalfOpen(self.half_open - 1, 0, deadline(now, self.open_for));
        Permit::Go(state.number)
    }

    /// What has become of an attempt that was begun in the phase `number`, or 0 when it was closed.
    pub(crate) fn outcome(&self, number: u64, outcome: Outcome, now: impl FnOnce() -> Duration) {
        let Shared { broken, failures, .. } = &*self.shared;
        if number == 0 && self.ratio.is_none() && outcome != Outcome::Bad {
            // Only a failure in a row of failures needs more than this.
            if outcome == Outcome::Good && failures.load(Ordering::Relaxed) > 0 {
                failures.store(0, Ordering::Relaxed);
            }
            return;
        }
        let mut state = self.state();
        let phase = state.phase;
        match phase {
            Phase::Closed if number == 0 && self.breaks(&mut state, outcome) => self.open(&mut state, now()),
            Phase::HalfOpen(left, good, until) if number == state.number => match outcome {
                Outcome::Bad => self.open(&mut state, now()),
                Outcome::Nothing => state.phase = Phase::HalfOpen(left + 1, good, until),
                Outcome::Good if good + 1 < self.half_open => {
                    state.phase = Phase::HalfOpen(left, good + 1, until);
                }
                Outcome::Good => {
                    state.phase = Phase::Closed;
                    broken.store(false, Ordering::Relaxed);
                }
            },
            _ => {}
        }
    }

    fn breaks(&self, state: &mut State, outcome: Outcome) -> bool {
        let failures = &self.shared.failures;
        let in_a_row = match outcome {
            Outcome::Nothing => return false,
            Outcome::Good => {
                failures.store(0, Ordering::Relaxed);
                0
            }
            Outcome::Bad => failures.fetch_add(1, Ordering::Relaxed).saturating_add(1),
        };
        let Some((ratio, window)) = self.ratio else { return in_a_row >= self.consecutive };
        if state.last.len() == window && state.last.pop_front() == Some(true) {
            state.bad -= 1;
        }
        state.last.push_back(outcome == Outcome::Bad);
        state.bad += usize::from(outcome == Outcome::Bad);
        in_a_row >= self.consecutive
            || outcome == Outcome::Bad
                && state.last.len() == window
                && state.bad as f64 >= ratio * window as f64
    }

    fn open(&self, state: &mut State, now: Duration) {
        let Shared { broken, failures, opened, .. } = &*self.shared;
        state.number += 1;
        state.phase = Phase::Open(deadline(now, self.open_for));
        state.last.clear();
        state.bad = 0;
        failures.store(0, Ordering::Relaxed);
        broken.store(true, Ordering::Relaxed);
        opened.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(n: u64) -> impl Fn() -> Duration {
        move || Duration::from_millis(n)
    }

    fn go(breaker: &CircuitBreaker, now: u64) -> Option<u64> {
        match breaker.permit(at(now)) {
            Permit::Go(number) => Some(number),
            Permit::Wait(_) => None,
        }
    }

    fn breaker() -> CircuitBreaker {
        CircuitBreaker::new(Duration::from_millis(100)).consecutive(2)
    }

    #[test]
    fn closed_open_half_open_closed() {
        let breaker = breaker().half_open(2);
        breaker.outcome(0, Outcome::Bad, at(0));
        breaker.outcome(0, Outcome::Good, at(1));
        breaker.outcome(0, Outcome::Bad, at(2));
        breaker.outcome(0, Outcome::Nothing, at(3));
        assert_eq!(go(&breaker, 4), Some(0));
        breaker.outcome(0, Outcome::Bad, at(5));
        assert!(breaker.is_open());
        assert!(matches!(breaker.permit(at(6)), Permit::Wait(until) if until == at(105)()));
        // What was begun before tells nothing any more.
        breaker.outcome(0, Outcome::Bad, at(50));
        let (one, two) = (go(&breaker, 105).unwrap(), go(&breaker, 105).unwrap());
        assert_eq!(go(&breaker, 106), None);
        breaker.outcome(one, Outcome::Good, at(107));
        assert!(breaker.is_open());
        breaker.outcome(two, Outcome::Bad, at(108));
        assert_eq!((go(&breaker, 207), breaker.opened()), (None, 2));
        let (three, four) = (go(&breaker, 208).unwrap(), go(&breaker, 208).unwrap());
        // One that says nothing gives its place back.
        breaker.outcome(three, Outcome::Nothing, at(209));
        let five = go(&breaker, 210).unwrap();
        breaker.outcome(one, Outcome::Bad, at(210));
        breaker.outcome(four, Outcome::Good, at(211));
        breaker.outcome(five, Outcome::Good, at(212));
        assert!(!breaker.is_open());
        // It takes as many failures again.
        breaker.outcome(0, Outcome::Bad, at(213));
        assert_eq!(go(&breaker, 214), Some(0));
    }

    #[test]
    fn what_is_never_told_does_not_keep_it_half_open() {
        let breaker = breaker();
        (0..2).for_each(|_| breaker.outcome(0, Outcome::Bad, at(0)));
        assert!(go(&breaker, 100).is_some());
        assert!(matches!(breaker.permit(at(150)), Permit::Wait(until) if until == at(200)()));
        let second = go(&breaker, 200).unwrap();
        breaker.outcome(second, Outcome::Good, at(201));
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_part_of_the_last_attempts() {
        let breaker = breaker().consecutive(u32::MAX).failure_ratio(0.5, 4);
        let tell = |outcomes: &str| {
            for outcome in outcomes.chars() {
                let outcome = if outcome == 'x' { Outcome::Bad } else { Outcome::Good };
                breaker.outcome(0, outcome, at(0));
            }
            breaker.is_open()
        };
        assert!(!tell("xx-"), "not before there were four");
        assert!(!tell("-"), "only a failure opens it");
        assert!(!tell("--"));
        assert!(!tell("x"));
        assert!(tell("x"));
    }
}
