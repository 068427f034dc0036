use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    time::Duration,
};

use super::RetryBudget;
use crate::source::SplitMix64;

/// When and how often [`retry_with`](super::ErrorOps::retry_with) subscribes again, or
/// [`try_map_with_retry`](crate::operator::validate::ValidateOps::try_map_with_retry) tries one event again.
///
/// ```
/// use rxevents::prelude::*;
/// use std::time::Duration;
///
/// let policy: Retry<String> = Retry::times(5)
///     .exponential(Duration::from_millis(100), Duration::from_secs(10))
///     .max_elapsed(Duration::from_secs(60))
///     .when(|error| error != "no such table");
/// assert_eq!(policy.delay(1), Duration::from_millis(100));
/// assert_eq!(policy.delay(3), Duration::from_millis(400));
/// assert_eq!(policy.delay(60), Duration::from_secs(10));
/// ```
pub struct Retry<E> {
    retries: u64,
    first: Duration,
    factor: u32,
    cap: Duration,
    jitter: Jitter,
    /// Of the random numbers of one subscription; `None`: another each time.
    seed: Option<u64>,
    max_elapsed: Option<Duration>,
    judge: Option<Judge<E>>,
    budget: Option<RetryBudget>,
}

type Judge<E> = Arc<dyn Fn(&E) -> Verdict + Send + Sync>;

/// How a delay is made random, so that many that failed together do not come again together. It is never longer than the
/// cap. The names are those of the AWS Architecture Blog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Jitter {
    /// Not at all.
    #[default]
    None,
    /// Between none and the delay.
    Full,
    /// Between half of the delay and the delay.
    Equal,
    /// Between the first delay and three times the last one, at most the cap. It grows by itself: the delays of
    /// [`exponential`](Retry::exponential) do not count beyond the first.
    Decorrelated,
}

/// What to do about a failure: see [`Retry::classify`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Try again, when the policy says.
    Retry,
    /// Try again after this time, as the server has said (HTTP `Retry-After`), instead of the policy's delay; the cap is
    /// not for it. All other limits are.
    RetryAfter(Duration),
    /// Give up: the event is a [`Rejected`](crate::dead_letter::Rejected).
    DeadLetter,
    /// Drop the event; it is counted ([`EventRetry::skipped`](crate::operator::validate::EventRetry::skipped)).
    Skip,
    /// The event is a [`Rejected`](crate::dead_letter::Rejected), and the stream ends with
    /// [`StreamError::EventFailed`](crate::StreamError::EventFailed).
    Fail,
}

/// What a policy says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Again(Duration),
    /// It would have been worth it, but a limit is reached.
    GiveUp,
    /// It is not worth it.
    Fatal,
    Skip,
    Fail,
}

/// What is known of the failures of one event, or of one stream.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Series {
    /// When it failed first.
    since: Option<Duration>,
    /// The last delay.
    delay: Duration,
}

impl<E> Clone for Retry<E> {
    fn clone(&self) -> Self {
        Self { judge: self.judge.clone(), budget: self.budget.clone(), ..*self }
    }
}

impl<E> Retry<E> {
    /// At most `retries` times after the first attempt, at once.
    pub fn times(retries: u64) -> Self {
        Self {
            retries,
            first: Duration::ZERO,
            factor: 1,
            cap: Duration::ZERO,
            jitter: Jitter::None,
            seed: None,
            max_elapsed: None,
            judge: None,
            budget: None,
        }
    }

    /// For ever, at once; best with a delay.
    pub fn forever() -> Self {
        Self::times(u64::MAX)
    }

    /// Waits `delay` before each retry.
    pub fn fixed(mut self, delay: Duration) -> Self {
        (self.first, self.factor, self.cap) = (delay, 1, delay);
        self
    }

    /// Waits `first` before the first retry, twice as long before each further one, at most `cap`.
    pub fn exponential(mut self, first: Duration, cap: Duration) -> Self {
        (self.first, self.factor, self.cap) = (first, 2, cap);
        self
    }

    /// Waits a random time between none and what it would wait otherwise, all equally likely ([`Jitter::Full`]), so that
    /// many that failed together do not come again together.
    pub fn jitter(self) -> Self {
        self.jitter_with(Jitter::Full)
    }

    /// Makes the delays random in this way.
    pub fn jitter_with(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// [`jitter`](Self::jitter) with the same random numbers in each subscription, for tests.
    pub fn jitter_seeded(self, seed: u64) -> Self {
        self.jitter().seed(seed)
    }

    /// The same random numbers in each subscription, for tests.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// No attempt begins later than this after the first failure, by the scheduler's clock.
    pub fn max_elapsed(mut self, time: Duration) -> Self {
        self.max_elapsed = Some(time);
        self
    }

    /// Retries only errors for which `worth` is true; others are passed on at once. In the place of an earlier `when` or
    /// [`classify`](Self::classify).
    pub fn when(self, worth: impl Fn(&E) -> bool + Send + Sync + 'static) -> Self {
        self.classify(move |error| if worth(error) { Verdict::Retry } else { Verdict::DeadLetter })
    }

    /// What to do is as `judge` says of each error. In the place of an earlier [`when`](Self::when) or `classify`.
    ///
    /// Without either, all errors of a stream are worth a retry; of single events those are not that a retry cannot mend:
    /// [`Decode`](crate::dead_letter::Reason::Decode), [`Validation`](crate::dead_letter::Reason::Validation) and
    /// [`TooLong`](crate::dead_letter::Reason::TooLong). In [`retry_with`](super::ErrorOps::retry_with), `DeadLetter`, `Skip`
    /// and `Fail` are the same: the error is passed on.
    pub fn classify(mut self, judge: impl Fn(&E) -> Verdict + Send + Sync + 'static) -> Self {
        self.judge = Some(Arc::new(judge));
        self
    }

    /// Retries only while `budget` has something left. The subscription of a [`retry_with`](super::ErrorOps::retry_with)
    /// counts as one event in it.
    pub fn budget(mut self, budget: RetryBudget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// How long it waits before the `retry`-th retry (from 1), without jitter.
    pub fn delay(&self, retry: u64) -> Duration {
        let steps = u32::try_from(retry.saturating_sub(1)).unwrap_or(u32::MAX);
        let factor = self.factor.checked_pow(steps).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.cap)
    }

    /// Begins a subscription: the random numbers, where they are needed.
    pub(crate) fn begin(&self, now: impl FnOnce() -> Duration) -> Option<SplitMix64> {
        if let Some(budget) = &self.budget {
            budget.begin(now());
        }
        if self.jitter == Jitter::None {
            return None;
        }
        let seed = self.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        Some(SplitMix64::new(seed))
    }

    /// An event arrives, for the budget.
    #[inline]
    pub(crate) fn event(&self) {
        if let Some(budget) = &self.budget {
            budget.event();
        }
    }

    pub(crate) fn has_budget(&self) -> bool {
        self.budget.is_some()
    }

    /// Whether there is none after the `attempt`-th attempt (from 1).
    pub(super) fn is_last(&self, attempt: u64) -> bool {
        attempt > self.retries
    }

    /// What to do after the `attempt`-th attempt (from 1) failed with `error`; after the last one it makes no difference what
    /// the error is.
    pub(crate) fn next(
        &self,
        attempt: u64,
        error: &E,
        series: &mut Series,
        random: &mut Option<SplitMix64>,
        now: impl Fn() -> Duration,
    ) -> Next {
        if self.is_last(attempt) {
            return Next::GiveUp;
        }
        self.next_or(attempt, error, |_| Verdict::Retry, series, random, now)
    }

    /// The same with the verdict of a policy without `classify`.
    pub(crate) fn next_or(
        &self,
        attempt: u64,
        error: &E,
        usual: impl FnOnce(&E) -> Verdict,
        series: &mut Series,
        random: &mut Option<SplitMix64>,
        now: impl Fn() -> Duration,
    ) -> Next {
        let verdict = match &self.judge {
            Some(judge) => judge(error),
            None => usual(error),
        };
        let asked = match verdict {
            Verdict::Retry => None,
            Verdict::RetryAfter(delay) => Some(delay),
            Verdict::DeadLetter => return Next::Fatal,
            Verdict::Skip => return Next::Skip,
            Verdict::Fail => return Next::Fail,
        };
        if self.is_last(attempt) {
            return Next::GiveUp;
        }
        let delay = asked.unwrap_or_else(|| self.jittered(attempt, series.delay, random));
        if let Some(max) = self.max_elapsed {
            let now = now();
            let since = *series.since.get_or_insert(now);
            if now.saturating_add(delay).saturating_sub(since) > max {
                return Next::GiveUp;
            }
        }
        if self.budget.as_ref().is_some_and(|budget| !budget.withdraw(now())) {
            return Next::GiveUp;
        }
        series.delay = delay;
        Next::Again(delay)
    }

    fn jittered(&self, attempt: u64, last: Duration, random: &mut Option<SplitMix64>) -> Duration {
        let delay = self.delay(attempt);
        let Some(random) = random else { return delay };
        let part = random.next_u64() as f64 / u64::MAX as f64;
        let part_of = |all: Duration| {
            // `mul_f64` would panic on the longest of delays.
            Duration::try_from_secs_f64(all.as_secs_f64() * part).map_or(all, |part| part.min(all))
        };
        let delay = match self.jitter {
            Jitter::None => delay,
            Jitter::Full => part_of(delay),
            Jitter::Equal => delay / 2 + part_of(delay - delay / 2),
            Jitter::Decorrelated => {
                let most = last.max(self.first).saturating_mul(3);
                self.first.saturating_add(part_of(most.saturating_sub(self.first)))
            }
        };
        delay.min(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn delays(policy: Retry<()>) -> Vec<Duration> {
        let (mut series, mut random) = (Series::default(), policy.begin(|| ms(0)));
        let next = |attempt| match policy.next(attempt, &(), &mut series, &mut random, || ms(0)) {
            Next::Again(delay) => Some(delay),
            _ => None,
        };
        (1..=1000).map_while(next).collect()
    }

    fn policy(jitter: Jitter) -> Retry<()> {
        Retry::forever().exponential(ms(100), ms(10_000)).jitter_with(jitter).seed(7)
    }

    #[test]
    fn jitter_of_each_kind_stays_in_its_bounds() {
        for jitter in [Jitter::None, Jitter::Full, Jitter::Equal, Jitter::Decorrelated] {
            let (one, same) = (delays(policy(jitter)), delays(policy(jitter)));
            assert_eq!(one, same);
            for (delay, n) in one.iter().zip(1..) {
                let plain = policy(jitter).delay(n);
                let (least, most) = match jitter {
                    Jitter::None => (plain, plain),
                    Jitter::Full => (Duration::ZERO, plain),
                    Jitter::Equal => (plain / 2, plain),
                    Jitter::Decorrelated => (ms(100), ms(10_000)),
                };
                assert!((least..=most).contains(delay), "{jitter:?} {n}: {delay:?}");
            }
            let distinct: std::collections::BTreeSet<_> = one[10..].iter().collect();
            assert_eq!(distinct.len() > 100, jitter != Jitter::None, "{jitter:?}: {}", distinct.len());
        }
        let longest = Retry::times(9).exponential(Duration::MAX, Duration::MAX);
        for jitter in [Jitter::Full, Jitter::Equal, Jitter::Decorrelated] {
            assert_eq!(delays(longest.clone().jitter_with(jitter)).len(), 9);
        }
    }

    #[test]
    fn what_the_server_asks_for_is_waited_for() {
        let policy =
            |times| Retry::<()>::times(times).fixed(ms(5)).classify(|()| Verdict::RetryAfter(ms(250)));
        assert_eq!(delays(policy(2)), [ms(250), ms(250)]);
        assert_eq!(delays(policy(9).max_elapsed(ms(249))), []);
        assert_eq!(delays(policy(9).max_elapsed(ms(250))).len(), 9, "the clock stands still");
    }

    #[test]
    fn no_attempt_begins_too_late() {
        let policy = Retry::<()>::forever().fixed(ms(100)).max_elapsed(ms(350));
        let (mut series, mut now) = (Series::default(), ms(5000));
        let mut attempts = 1;
        while policy.next(attempts, &(), &mut series, &mut None, || now) == Next::Again(ms(100)) {
            attempts += 1;
            now += ms(100);
        }
        assert_eq!(attempts, 4);
    }
}
