use std::{
    fmt::{Debug, Write},
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rxrust::{context::Context, observable::CoreObservable, observer::Observer, subscription::Subscription};

use super::{
    MarbleKind, Marbles,
    marbles::render,
    virtual_scheduler::{Timeline, VirtualTime},
};
use crate::{
    gate::Signal,
    operator::{Events, batch::BatchObserver},
    time::Clock,
};

/// An observer that notes what it is told, and when. [`record`] subscribes one.
///
/// What comes after an end, or after the recording was unsubscribed, is a violation of the observer's grammar,
/// `next* (error | complete)?`: it is noted apart.
pub struct Probe<T, E> {
    timeline: Arc<Timeline>,
    log: Arc<Mutex<Log<T, E>>>,
}

impl<T, E> Clone for Probe<T, E> {
    fn clone(&self) -> Self {
        Self { timeline: self.timeline.clone(), log: self.log.clone() }
    }
}

struct Log<T, E> {
    signals: Vec<(Duration, Signal<T, E>)>,
    violations: Vec<(Duration, Signal<T, E>)>,
    ended: bool,
    unsubscribed: bool,
}

impl<T, E> Probe<T, E> {
    fn log(&self) -> MutexGuard<'_, Log<T, E>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, signal: Signal<T, E>) {
        let now = self.timeline.now();
        let mut log = self.log();
        if log.ended || log.unsubscribed {
            log.violations.push((now, signal));
        } else {
            log.ended = !matches!(signal, Signal::Next(_));
            log.signals.push((now, signal));
        }
    }
}

impl<T, E> BatchObserver<T, E> for Probe<T, E> {}

impl<T, E> Observer<T, E> for Probe<T, E> {
    fn next(&mut self, item: T) {
        self.note(Signal::Next(item));
    }

    fn error(self, error: E) {
        self.note(Signal::Error(error));
    }

    fn complete(self) {
        self.note(Signal::Complete);
    }

    fn is_closed(&self) -> bool {
        let log = self.log();
        log.ended || log.unsubscribed
    }
}

/// Subscribes a [`Probe`] now, for any items and errors. `events` must be on a virtual scheduler (see
/// [`VirtualTime::on`]); the times are that scheduler's, from its start.
///
/// ```
/// use rxevents::{prelude::*, testing::{Signal, VirtualScheduler, record}};
/// use std::time::Duration;
///
/// let scheduler = VirtualScheduler::new();
/// let pairs = record(scheduler.cold("a-b-c-d|").buffer_count(2));
/// scheduler.advance_by(Duration::from_millis(100));
/// pairs.assert_eq(&[
///     (2, Signal::Next(vec!['a', 'b'])),
///     (6, Signal::Next(vec!['c', 'd'])),
///     (7, Signal::Complete),
/// ]);
/// ```
pub fn record<S, T, E, F, U>(events: S) -> Recording<T, E>
where
    S: Events<T, E> + Context<Scheduler = VirtualTime<F>>,
    S::Inner: CoreObservable<S::With<Probe<T, E>>, Unsub = U>,
    F: Future<Output = ()> + ?Sized,
    U: Subscription + 'static,
{
    let (source, scheduler) = events.into_parts();
    let log = Log { signals: Vec::new(), violations: Vec::new(), ended: false, unsubscribed: false };
    let probe = Probe { timeline: scheduler.timeline().clone(), log: Arc::new(Mutex::new(log)) };
    let subscription = source.subscribe(S::With::from_parts(probe.clone(), scheduler));
    Recording { probe, unsubscribe: Some(Box::new(|| subscription.unsubscribe())) }
}

/// Runs the scheduler up to the `^` of `subscription`, [records](record), and goes on to the `!`, if there is one,
/// where it unsubscribes; both before anything else of that instant.
///
/// ```
/// use rxevents::{assert_marbles, testing::{VirtualScheduler, record_during}};
///
/// let scheduler = VirtualScheduler::new();
/// let seen = record_during(scheduler.hot("abcdef|"), "-^--!");
/// assert_marbles!(seen, "-bcd");
/// assert!(!seen.is_over());
/// ```
///
/// # Panics
/// If `subscription` is no such text, and as [`VirtualTime::advance_by`].
#[track_caller]
pub fn record_during<S, T, E, F, U>(events: S, subscription: &str) -> Recording<T, E>
where
    S: Events<T, E> + Context<Scheduler = VirtualTime<F>>,
    S::Inner: CoreObservable<S::With<Probe<T, E>>, Unsub = U>,
    F: Future<Output = ()> + ?Sized,
    U: Subscription + 'static,
{
    let scheduler = events.scheduler().clone();
    let marbles = Marbles::expect(MarbleKind::Subscription, subscription, scheduler.timeline().frame);
    let start = scheduler.now();
    scheduler.advance_before(start.saturating_add(marbles.subscription.unwrap_or_default()));
    let mut recording = record(events);
    if let Some(end) = marbles.unsubscription {
        scheduler.advance_before(start.saturating_add(end));
        recording.unsubscribe();
    }
    recording
}

/// What a [`Probe`] has noted so far. Dropping it does not unsubscribe.
#[must_use]
pub struct Recording<T, E> {
    probe: Probe<T, E>,
    unsubscribe: Option<Box<dyn FnOnce()>>,
}

impl<T, E> Recording<T, E> {
    /// Whether the stream has ended.
    pub fn is_over(&self) -> bool {
        self.probe.log().ended
    }

    /// Unsubscribes. Whatever comes after that is a violation.
    pub fn unsubscribe(&mut self) {
        if let Some(unsubscribe) = self.unsubscribe.take() {
            unsubscribe();
            self.probe.log().unsubscribed = true;
        }
    }

    /// The items.
    pub fn items(&self) -> Vec<T>
    where
        T: Clone,
    {
        let log = self.probe.log();
        let items = log.signals.iter().filter_map(|(_, signal)| match signal {
            Signal::Next(item) => Some(item.clone()),
            _ => None,
        });
        items.collect()
    }

    /// All that came, and when.
    pub fn signals(&self) -> Vec<(Duration, Signal<T, E>)>
    where
        T: Clone,
        E: Clone,
    {
        self.probe.log().signals.clone()
    }

    /// What came after the end, or after it was unsubscribed; the assertions fail if there is any.
    pub fn violations(&self) -> Vec<(Duration, Signal<T, E>)>
    where
        T: Clone,
        E: Clone,
    {
        self.probe.log().violations.clone()
    }

    /// Asserts that this came, and nothing else; the times are milliseconds. Errors are compared by their `Debug`
    /// text.
    ///
    /// # Panics
    /// If not; the message shows both.
    #[track_caller]
    pub fn assert_eq(&self, expected: &[(u64, Signal<T, E>)])
    where
        T: Debug + PartialEq,
        E: Debug,
    {
        let expected: Vec<_> =
            expected.iter().map(|(ms, signal)| (Duration::from_millis(*ms), signal)).collect();
        let same_error = |a: &E, b: &E| format!("{a:?}") == format!("{b:?}");
        if let Some(difference) = difference(&self.probe.log(), &expected, T::eq, same_error) {
            panic!("other events than expected\n{difference}");
        }
    }
}

impl<E: Debug> Recording<char, E> {
    /// Asserts that what came is what `marbles` say; any error is a `#`. See [`assert_marbles!`](crate::assert_marbles).
    ///
    /// # Panics
    /// If not; the message shows both.
    #[track_caller]
    pub fn assert_marbles(&self, marbles: &str) {
        let frame = self.probe.timeline.frame;
        let expected = Marbles::expect(MarbleKind::Cold, marbles, frame).signals;
        let rows: Vec<_> = expected.iter().map(|(at, signal)| (*at, signal)).collect();
        let log = self.probe.log();
        if let Some(difference) = difference(&log, &rows, char::eq, |_, _| true) {
            let texts = render(&expected, frame, |c| *c).zip(render(&log.signals, frame, |c| *c));
            let texts =
                texts.map(|(expected, actual)| format!("  expected: {expected}\n    actual: {actual}\n"));
            panic!("other marbles than expected\n{}{difference}", texts.unwrap_or_default());
        }
    }
}

/// Asserts that a [`Recording`](crate::testing::Recording) of `char`s is what a text of marbles says.
///
/// ```
/// use rxevents::{assert_marbles, prelude::*, testing::{VirtualScheduler, record}};
/// use std::time::Duration;
///
/// let scheduler = VirtualScheduler::new();
/// let seen = record(scheduler.cold("-a-b---c|").debounce(Duration::from_millis(3)));
/// scheduler.advance_by(Duration::from_millis(100));
/// assert_marbles!(seen, "------b-(c|)");
/// ```
///
/// When it is not, the message shows both:
/// ```text
/// other marbles than expected
///   expected: --a-b-|
///     actual: --a--b|
///         2ms 'a'                  2ms 'a'
///   !     4ms 'b'                  5ms 'b'
///         6ms complete             6ms complete
/// ```
#[macro_export]
macro_rules! assert_marbles {
    ($recording:expr, $marbles:expr $(,)?) => {
        $recording.assert_marbles($marbles)
    };
}

fn show<T: Debug, E: Debug>(signal: &Signal<T, E>) -> String {
    match signal {
        Signal::Next(item) => format!("{item:?}"),
        Signal::Error(error) => format!("error {error:?}"),
        Signal::Complete => "complete".into(),
    }
}

/// What is expected on the left, what came on the right, `!` where they differ; `None` if they do not.
fn difference<X: Debug, Y: Debug, T: Debug, E: Debug>(
    log: &Log<T, E>,
    expected: &[(Duration, &Signal<X, Y>)],
    same_item: impl Fn(&X, &T) -> bool,
    same_error: impl Fn(&Y, &E) -> bool,
) -> Option<String> {
    let Log { signals, violations, .. } = log;
    let same = |expected: &Signal<X, Y>, actual: &Signal<T, E>| match (expected, actual) {
        (Signal::Next(expected), Signal::Next(actual)) => same_item(expected, actual),
        (Signal::Error(expected), Signal::Error(actual)) => same_error(expected, actual),
        (Signal::Complete, Signal::Complete) => true,
        _ => false,
    };
    let differs = |row: usize| match (expected.get(row), signals.get(row)) {
        (Some((at, expected)), Some((when, actual))) => at != when || !same(expected, actual),
        _ => true,
    };
    let rows = expected.len().max(signals.len());
    if !(0..rows).any(differs) && violations.is_empty() {
        return None;
    }
    let cell = |at: Duration, what: String| format!("{:>7} {what}", format!("{at:?}"));
    let mut text = String::new();
    for row in 0..rows {
        let mark = if differs(row) { '!' } else { ' ' };
        let left = expected.get(row).map_or_else(String::new, |(at, signal)| cell(*at, show(signal)));
        let right = signals.get(row).map_or_else(String::new, |(at, signal)| cell(*at, show(signal)));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {mark} {left:<24} {right}");
    }
    for (at, signal) in violations {
        let _ = writeln!(text, "  ! after the end or the unsubscription: {}", cell(*at, show(signal)).trim());
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::{error::panic_message, prelude::*, testing::VirtualScheduler};

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// A recording, and its probe for the test to misuse.
    fn probed(scheduler: &VirtualScheduler) -> (Recording<char, &'static str>, Probe<char, &'static str>) {
        let recording = record(scheduler.on(Local::never().map_err(|never| match never {})));
        let probe = recording.probe.clone();
        (recording, probe)
    }

    #[test]
    fn what_comes_after_an_end_is_a_violation() {
        let scheduler = VirtualScheduler::new();
        let (recording, mut probe) = probed(&scheduler);
        probe.next('a');
        assert!(!probe.is_closed() && !recording.is_over());
        probe.clone().complete();
        assert!(probe.is_closed() && recording.is_over());
        scheduler.advance_by(ms(5));
        probe.next('b');
        probe.clone().error("late");
        assert_eq!(recording.items(), ['a']);
        assert_eq!(recording.violations(), [(ms(5), Signal::Next('b')), (ms(5), Signal::Error("late"))]);
        let failed = catch_unwind(AssertUnwindSafe(|| recording.assert_marbles("(a|)"))).unwrap_err();
        let message = panic_message(&*failed);
        assert!(message.contains("! after the end or the unsubscription: 5ms error \"late\"\n"), "{message}");
    }

    #[test]
    fn what_comes_after_it_was_unsubscribed_is_a_violation() {
        let scheduler = VirtualScheduler::new();
        let (mut recording, mut probe) = probed(&scheduler);
        recording.unsubscribe();
        recording.unsubscribe();
        assert!(probe.is_closed() && !recording.is_over());
        probe.next('a');
        assert_eq!(recording.signals(), []);
        assert_eq!(recording.violations(), [(ms(0), Signal::Next('a'))]);
    }
}
