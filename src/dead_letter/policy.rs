use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{DeadLetter, DeadLetterError, QueueError, reason::cut};
use crate::{
    error::StreamError,
    operator::error::{Next, Retry, Series},
    time::{Clock, Sliding},
};

/// What [`dead_letter_with`](crate::operator::validate::ValidateOps::dead_letter_with) does with letters: how many are too
/// many, what is kept of them, and what happens when the queue refuses one.
///
/// ```
/// use rxevents::{dead_letter::{DeadLetterPolicy, Oversize}, prelude::*};
/// use std::time::Duration;
///
/// let policy = DeadLetterPolicy::new()
///     .max_consecutive(100)
///     .max_ratio_within(0.2, Duration::from_secs(60), 50)
///     .max_payload(64 << 10, Oversize::Truncate)
///     .redact(|letter| letter.message.clear());
/// let counts = policy.counts();
/// let queue = MemoryQueue::new(10);
/// Local::from_iter(["1", "x"])
///     .try_map(|text| text.parse::<u8>().map_err(Reason::decode))
///     .dead_letter_with(queue.clone(), policy)
///     .subscribe(|_| {});
/// assert_eq!((counts.valid(), counts.invalid()), (1, 1));
/// assert_eq!(queue.letters()[0].message, "");
/// ```
#[derive(Clone)]
pub struct DeadLetterPolicy {
    max_consecutive: Option<u64>,
    max_of_last: Option<(f64, u64)>,
    max_within: Option<(f64, Duration, u64)>,
    on_limit: Option<Arc<dyn Fn(&Poisoned) -> OnLimit + Send + Sync>>,
    redact: Option<Arc<dyn Fn(&mut DeadLetter) + Send + Sync>>,
    max_payload: Option<(usize, Oversize)>,
    max_message: Option<usize>,
    max_unflushed: usize,
    retry: Option<Retry<QueueError>>,
    pause: Option<Pause>,
    counts: DeadLetterCounts,
}

type Pause = Arc<dyn Fn(Duration) + Send + Sync>;

/// What to do at a limit: see [`DeadLetterPolicy::on_limit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLimit {
    /// The stream ends with [`StreamError::Poisoned`].
    Stop,
    /// The letter is stored, and it is counted anew from here.
    Store,
}

/// What becomes of a payload that is too long: see [`DeadLetterPolicy::max_payload`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oversize {
    /// Its beginning is kept, and [`DeadLetter::truncated_from`] says how long it was. Such a letter cannot be sent again.
    Truncate,
    /// The letter is refused: the stream ends with the error that holds it whole.
    Refuse,
}

/// More events failed than may: see [`StreamError::Poisoned`].
#[derive(Debug, Clone, thiserror::Error)]
#[error("`dead_letter`: {limit}; not stored: {}: {}", letter.stage, letter.message)]
pub struct Poisoned {
    /// The letter that was not stored. Its event was not acknowledged.
    pub letter: Box<DeadLetter>,
    /// The limit that was passed.
    pub limit: PoisonLimit,
    /// How many events of this subscription were valid.
    pub valid: u64,
    /// How many were not, this one included.
    pub invalid: u64,
}

/// A limit on how many events may fail.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum PoisonLimit {
    /// [`DeadLetterPolicy::max_consecutive`].
    Consecutive {
        /// How many may.
        max: u64,
    },
    /// [`DeadLetterPolicy::max_ratio`] or [`max_ratio_within`](DeadLetterPolicy::max_ratio_within).
    Ratio {
        /// Which part may.
        max: f64,
        /// Which part has.
        seen: f64,
    },
}

impl fmt::Display for PoisonLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Consecutive { max } => write!(f, "more than {max} events in a row have failed"),
            Self::Ratio { max, seen } => {
                write!(f, "{:.1} % of the events have failed, at most {:.1} % may", seen * 100.0, max * 100.0)
            }
        }
    }
}

/// How many events a [`DeadLetterPolicy`] has seen. Clones count the same.
#[derive(Debug, Clone, Default)]
pub struct DeadLetterCounts(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    valid: AtomicU64,
    invalid: AtomicU64,
    poisoned: AtomicU64,
    truncated: AtomicU64,
}

impl DeadLetterCounts {
    /// How many events were good.
    pub fn valid(&self) -> u64 {
        self.0.valid.load(Ordering::Relaxed)
    }

    /// How many had failed.
    pub fn invalid(&self) -> u64 {
        self.0.invalid.load(Ordering::Relaxed)
    }

    /// How many of those ended their stream, because there were too many.
    pub fn poisoned(&self) -> u64 {
        self.0.poisoned.load(Ordering::Relaxed)
    }

    /// How many payloads were cut.
    pub fn truncated(&self) -> u64 {
        self.0.truncated.load(Ordering::Relaxed)
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Default for DeadLetterPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl DeadLetterPolicy {
    /// No limits: as [`dead_letter`](crate::operator::validate::ValidateOps::dead_letter).
    pub fn new() -> Self {
        Self {
            max_consecutive: None,
            max_of_last: None,
            max_within: None,
            on_limit: None,
            redact: None,
            max_payload: None,
            max_message: None,
            max_unflushed: DEFAULT_MAX_UNFLUSHED,
            retry: None,
            pause: None,
            counts: DeadLetterCounts::default(),
        }
    }

    /// At most so many events in a row may fail; one more ends the stream with [`StreamError::Poisoned`].
    pub fn max_consecutive(mut self, events: u64) -> Self {
        self.max_consecutive = Some(events);
        self
    }

    /// Of the last `events` events at most this part may fail; one more ends the stream with [`StreamError::Poisoned`].
    /// It is not looked at before there were so many (0 is taken as 1). Holds 8 bytes for each of them that failed.
    pub fn max_ratio(mut self, ratio: f64, events: u64) -> Self {
        self.max_of_last = Some((ratio, events.max(1)));
        self
    }

    /// Of the events of the last `time`, by the scheduler's clock, at most this part may fail; one more ends the stream with
    /// [`StreamError::Poisoned`]. It is not looked at while there were fewer than `min_events`.
    ///
    /// The clock is asked when an event fails, not for each: those between two failures are taken as evenly spread.
    pub fn max_ratio_within(mut self, ratio: f64, time: Duration, min_events: u64) -> Self {
        self.max_within = Some((ratio, time, min_events));
        self
    }

    /// Asks `decide` before a stream is ended because of a limit. It may raise an alarm, or pause a plain thread until
    /// somebody says how to go on. A panic in it ends the stream.
    pub fn on_limit(mut self, decide: impl Fn(&Poisoned) -> OnLimit + Send + Sync + 'static) -> Self {
        self.on_limit = Some(Arc::new(decide));
        self
    }

    /// Takes out of a letter what must not be stored, with its whole payload, before anything else sees it: the queue,
    /// or the error that holds it. If `redact` panics nothing is stored, and the stream ends with the panic.
    ///
    /// The values that break a rule are never in a letter, unless the payload or a rule's own message has them.
    pub fn redact(mut self, redact: impl Fn(&mut DeadLetter) + Send + Sync + 'static) -> Self {
        self.redact = Some(Arc::new(redact));
        self
    }

    /// The longest payload that is stored, in bytes, and what becomes of a longer one.
    pub fn max_payload(mut self, bytes: usize, oversize: Oversize) -> Self {
        self.max_payload = Some((bytes, oversize));
        self
    }

    /// The longest message, in bytes, with the chain of causes; less than the
    /// [`MAX_MESSAGE_BYTES`](super::MAX_MESSAGE_BYTES) which it has anyway.
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = Some(bytes);
        self
    }

    /// How many items that acknowledge at their source ([`Payload::acknowledges`](super::Payload::acknowledges)) are held until their
    /// letters are flushed: with so many, the queue is flushed. 1,024 unless set; 0 is taken as 1.
    pub fn max_unflushed(mut self, items: usize) -> Self {
        self.max_unflushed = items.max(1);
        self
    }

    /// Pushes a letter again, and flushes again, when the queue refuses: as `policy` says. When it gives up, the stream ends
    /// with the error that holds the letter.
    ///
    /// **It blocks** the thread for the delays. On a thread of an async runtime, where that would stop others, it does not
    /// wait: the first retry with a delay gives up, unless there is a [`pause`](Self::pause) of your own.
    pub fn retry_push(mut self, policy: Retry<QueueError>) -> Self {
        self.retry = Some(policy);
        self
    }

    /// How [`retry_push`](Self::retry_push) waits.
    pub fn pause(mut self, pause: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        self.pause = Some(Arc::new(pause));
        self
    }

    /// How many events it has seen; it stays readable while the stream runs.
    pub fn counts(&self) -> DeadLetterCounts {
        self.counts.clone()
    }

    /// Takes out and cuts what is not to be stored.
    fn bound(&self, letter: &mut DeadLetter) -> Result<(), QueueError> {
        if let Some(redact) = &self.redact {
            redact(letter);
        }
        if let Some(max) = self.max_message
            && letter.message.len() > max
        {
            cut(&mut letter.message, max);
        }
        match self.max_payload {
            Some((max, oversize)) if letter.payload.len() > max => match oversize {
                Oversize::Refuse => {
                    return Err(QueueError::TooLong { limit: max, length: letter.payload.len() });
                }
                Oversize::Truncate => {
                    count(&self.counts.0.truncated);
                    letter.truncate(max);
                }
            },
            _ => {}
        }
        Ok(())
    }
}

const DEFAULT_MAX_UNFLUSHED: usize = 1024;

/// What a `dead_letter` does with what passes.
pub trait Limits {
    /// An event is good.
    fn good(&mut self, clock: &impl Clock);
    /// A letter is to be stored; it may be changed.
    fn bad(&mut self, letter: Box<DeadLetter>, clock: &impl Clock) -> Result<Box<DeadLetter>, StreamError>;
    /// How many items are held until the queue is flushed.
    fn max_unflushed(&self) -> usize;
    /// Does something again while it fails. `Err` holds what the last failure was.
    fn again<F>(
        &self,
        try_it: impl FnMut(F) -> Result<(), (F, QueueError)>,
        first: F,
        clock: &impl Clock,
    ) -> Result<(), (F, QueueError)>;
}

/// That of `dead_letter`: none.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPolicy;

impl Limits for NoPolicy {
    #[inline(always)]
    fn good(&mut self, _: &impl Clock) {}

    fn bad(&mut self, letter: Box<DeadLetter>, _: &impl Clock) -> Result<Box<DeadLetter>, StreamError> {
        Ok(letter)
    }

    fn max_unflushed(&self) -> usize {
        DEFAULT_MAX_UNFLUSHED
    }

    fn again<F>(
        &self,
        mut try_it: impl FnMut(F) -> Result<(), (F, QueueError)>,
        first: F,
        _: &impl Clock,
    ) -> Result<(), (F, QueueError)> {
        try_it(first)
    }
}

/// A policy, and what one subscription has seen.
#[derive(Clone)]
pub struct Watched {
    policy: DeadLetterPolicy,
    /// How many events there were since the limits were last passed, and in all how many failed.
    events: u64,
    invalid: u64,
    in_a_row: u64,
    /// The numbers of those among the last that failed.
    of_last: VecDeque<u64>,
    within: Option<Sliding<2>>,
    /// How many events `within` knows of.
    told: u64,
}

impl Watched {
    pub(crate) fn new(policy: DeadLetterPolicy) -> Self {
        let within = policy.max_within.map(|(_, time, _)| Sliding::new(time));
        Self { policy, events: 0, invalid: 0, in_a_row: 0, of_last: VecDeque::new(), within, told: 0 }
    }

    /// The limit that one more failure passes.
    fn fails(&mut self, now: impl Fn() -> Duration) -> Option<PoisonLimit> {
        self.events += 1;
        self.invalid += 1;
        self.in_a_row += 1;
        let mut passed = None;
        if let (Some((max, _, min)), Some(within)) = (self.policy.max_within, &mut self.within) {
            let now = now();
            let good = (self.events - 1).saturating_sub(self.told);
            self.told = self.events;
            within.spread(now, 0, good as f64);
            within.add(now, 1, 1.0);
            let (good, bad) = (within.sum(0), within.sum(1));
            let seen = bad / (good + bad);
            if good + bad >= min as f64 && seen > max {
                passed = Some(PoisonLimit::Ratio { max, seen });
            }
        }
        if let Some((max, last)) = self.policy.max_of_last {
            let from = self.events.saturating_sub(last);
            while self.of_last.front().is_some_and(|number| *number <= from) {
                self.of_last.pop_front();
            }
            self.of_last.push_back(self.events);
            let seen = self.of_last.len() as f64 / last as f64;
            if self.events >= last && seen > max {
                passed = Some(PoisonLimit::Ratio { max, seen });
            }
        }
        match self.policy.max_consecutive {
            Some(max) if self.in_a_row > max => Some(PoisonLimit::Consecutive { max }),
            _ => passed,
        }
    }

    /// Counts anew.
    fn reset(&mut self) {
        (self.events, self.invalid, self.in_a_row, self.told) = (0, 0, 0, 0);
        self.of_last.clear();
        self.within = self.policy.max_within.map(|(_, time, _)| Sliding::new(time));
    }
}

impl Limits for Watched {
    #[inline]
    fn good(&mut self, clock: &impl Clock) {
        if self.events == 0
            && let Some(within) = &mut self.within
        {
            within.begin(clock.now());
        }
        self.events += 1;
        self.in_a_row = 0;
        count(&self.policy.counts.0.valid);
    }

    fn bad(
        &mut self,
        mut letter: Box<DeadLetter>,
        clock: &impl Clock,
    ) -> Result<Box<DeadLetter>, StreamError> {
        count(&self.policy.counts.0.invalid);
        if let Err(cause) = self.policy.bound(&mut letter) {
            return Err(StreamError::DeadLetter(Arc::new(DeadLetterError { letter, cause })));
        }
        let Some(limit) = self.fails(|| clock.now()) else { return Ok(letter) };
        let (valid, invalid) = (self.events - self.invalid, self.invalid);
        let poisoned = Poisoned { letter, limit, valid, invalid };
        if self.policy.on_limit.as_ref().is_some_and(|decide| decide(&poisoned) == OnLimit::Store) {
            self.reset();
            return Ok(poisoned.letter);
        }
        count(&self.policy.counts.0.poisoned);
        Err(StreamError::Poisoned(Arc::new(poisoned)))
    }

    fn max_unflushed(&self) -> usize {
        self.policy.max_unflushed
    }

    fn again<F>(
        &self,
        mut try_it: impl FnMut(F) -> Result<(), (F, QueueError)>,
        first: F,
        clock: &impl Clock,
    ) -> Result<(), (F, QueueError)> {
        let Some(retry) = &self.policy.retry else { return try_it(first) };
        let (mut series, mut random) = (Series::default(), retry.begin(|| clock.now()));
        let mut attempt = 0;
        let mut next = first;
        loop {
            attempt += 1;
            let (back, cause) = match try_it(next) {
                Ok(()) => return Ok(()),
                Err(failed) => failed,
            };
            match retry.next(attempt, &cause, &mut series, &mut random, || clock.now()) {
                Next::Again(Duration::ZERO) => {}
                Next::Again(delay) => match &self.policy.pause {
                    Some(pause) => pause(delay),
                    None if block(delay) => {}
                    None => return Err((back, cause)),
                },
                _ => return Err((back, cause)),
            }
            next = back;
        }
    }
}

/// Blocks a plain thread; `false`, at once, on one of an async runtime.
fn block(delay: Duration) -> bool {
    #[cfg(not(target_arch = "wasm32"))]
    if rxrust::scheduler::tokio::runtime::Handle::try_current().is_err() {
        std::thread::sleep(delay);
        return true;
    }
    let _ = delay;
    false
}
