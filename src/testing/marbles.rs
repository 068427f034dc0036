use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    scheduler::Scheduler,
};

use super::{
    virtual_scheduler::{Flavour, Rank, Sleep, Timeline, VirtualTime},
    watch::Watched,
};
use crate::{gate::Signal, operator::share::Subject, time::Cancel};

/// The error of a `#`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the error of a marble diagram")]
pub struct MarbleError;

/// A text that is no marble diagram. Its message shows the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarbleSyntaxError {
    /// The text.
    pub text: String,
    /// Which character of it, from 0.
    pub position: usize,
    /// That character; `None` at the end of the text.
    pub found: Option<char>,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl fmt::Display for MarbleSyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, position, found, reason } = self;
        match found {
            Some(found) => write!(f, "marbles: {found:?} at position {position}: {reason}")?,
            None => write!(f, "marbles: at the end: {reason}")?,
        }
        write!(f, "\n  {text}\n  {:position$}^", "")
    }
}

impl std::error::Error for MarbleSyntaxError {}

/// What a text of marbles is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarbleKind {
    /// A source that starts when it is subscribed to, or what is expected: neither `^` nor `!`.
    Cold,
    /// A source that runs by itself: its time starts at the `^`, if there is one; what is before it is past.
    Hot,
    /// When somebody subscribes, `^`, and unsubscribes, `!`. No items.
    Subscription,
}

/// A text of marbles, read. The syntax is in the [module's documentation](super).
///
/// ```
/// use rxevents::testing::{MarbleKind, Marbles};
/// use std::time::Duration;
///
/// let frame = Duration::from_millis(1);
/// let marbles = Marbles::parse(MarbleKind::Cold, "-a 100ms |", frame).unwrap();
/// assert_eq!(marbles.signals[1].0, Duration::from_millis(102));
///
/// let error = Marbles::parse(MarbleKind::Cold, "-a?-|", frame).unwrap_err();
/// assert_eq!(error.to_string(), "\
/// marbles: '?' at position 2: not a marble
///   -a?-|
///     ^");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marbles {
    /// What is emitted, and when.
    pub signals: Vec<(Duration, Signal<char, MarbleError>)>,
    /// The moment of the `^`.
    pub subscription: Option<Duration>,
    /// The moment of the `!`.
    pub unsubscription: Option<Duration>,
}

impl Marbles {
    /// Reads `text`, in which a frame lasts `frame`.
    ///
    /// # Errors
    /// [`MarbleSyntaxError`], with the place.
    pub fn parse(kind: MarbleKind, text: &str, frame: Duration) -> Result<Self, MarbleSyntaxError> {
        let chars: Vec<char> = text.chars().collect();
        let mut reader =
            Reader { kind, chars: &chars, frame, now: Duration::ZERO, group: None, ended: false };
        let mut marbles = Self::default();
        let mut position = 0;
        while position < chars.len() {
            position += reader.read(position, &mut marbles).map_err(|reason| MarbleSyntaxError {
                text: text.into(),
                position,
                found: chars.get(position).copied(),
                reason,
            })?;
        }
        let missing = match (reader.group, kind, marbles.subscription) {
            (Some(_), ..) => Some("`)` is missing"),
            (None, MarbleKind::Subscription, None) => Some("`^` is missing"),
            _ => None,
        };
        if let Some(reason) = missing {
            return Err(MarbleSyntaxError { text: text.into(), position: chars.len(), found: None, reason });
        }
        if let (MarbleKind::Hot, Some(start)) = (kind, marbles.subscription) {
            marbles.signals.retain(|(at, _)| *at >= start);
            marbles.signals.iter_mut().for_each(|(at, _)| *at -= start);
        }
        Ok(marbles)
    }

    /// As [`parse`](Self::parse), for tests.
    #[track_caller]
    pub(super) fn expect(kind: MarbleKind, text: &str, frame: Duration) -> Self {
        match Self::parse(kind, text, frame) {
            Ok(marbles) => marbles,
            Err(error) => panic!("{error}"),
        }
    }
}

struct Reader<'a> {
    kind: MarbleKind,
    chars: &'a [char],
    frame: Duration,
    now: Duration,
    /// When the open group happens.
    group: Option<Duration>,
    ended: bool,
}

impl Reader<'_> {
    /// Reads what is at `position`; how many characters that was.
    fn read(&mut self, position: usize, marbles: &mut Marbles) -> Result<usize, &'static str> {
        if self.chars[position] == ' ' {
            return Ok(1);
        }
        if self.group.is_none()
            && let Some((length, duration)) = self.progress(position)?
        {
            self.now = self.now.saturating_add(duration);
            return Ok(length);
        }
        let at = self.group.unwrap_or(self.now);
        match self.chars[position] {
            '-' if self.group.is_some() => return Err("time does not pass in a group"),
            '-' => {}
            '(' if self.group.is_some() => return Err("a group in a group"),
            '(' => self.group = Some(at),
            ')' if self.group.take().is_none() => return Err("`(` is missing"),
            ')' => {}
            '^' => {
                if self.kind == MarbleKind::Cold {
                    return Err("only a hot source or a subscription has a `^`");
                }
                if marbles.subscription.is_some() {
                    return Err("a second `^`");
                }
                if self.ended {
                    return Err("after the end");
                }
                marbles.subscription = Some(at);
            }
            '!' => {
                if self.kind != MarbleKind::Subscription {
                    return Err("only a subscription has a `!`");
                }
                if marbles.subscription.is_none() {
                    return Err("before the `^`");
                }
                if marbles.unsubscription.is_some() {
                    return Err("a second `!`");
                }
                marbles.unsubscription = Some(at);
            }
            marble => {
                let signal = match marble {
                    '|' => Signal::Complete,
                    '#' => Signal::Error(MarbleError),
                    item if item.is_ascii_alphanumeric() => Signal::Next(item),
                    _ => return Err("not a marble"),
                };
                if self.kind == MarbleKind::Subscription {
                    return Err("a subscription has only `^`, `!` and time");
                }
                if self.ended {
                    return Err("after the end");
                }
                self.ended = !matches!(signal, Signal::Next(_));
                marbles.signals.push((at, signal));
            }
        }
        self.now = self.now.saturating_add(self.frame);
        Ok(1)
    }

    /// A stretch of time, ` 100ms `; spaces, or the ends of the text, are around it.
    fn progress(&self, position: usize) -> Result<Option<(usize, Duration)>, &'static str> {
        if position > 0 && self.chars[position - 1] != ' ' {
            return Ok(None);
        }
        let word: String = self.chars[position..].iter().take_while(|c| **c != ' ').collect();
        let Some(unit) = word.find(|c: char| !c.is_ascii_digit() && c != '.') else { return Ok(None) };
        let (number, unit) = word.split_at(unit);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            _ => return Ok(None),
        };
        if number.is_empty() {
            return Ok(None);
        }
        let number: f64 = number.parse().map_err(|_| "not a number")?;
        let duration = Duration::try_from_secs_f64(number * seconds).map_err(|_| "too long")?;
        Ok(Some((word.len(), duration)))
    }
}

/// The events as text, if it can say them and is not too long.
pub(super) fn render<T, E>(
    signals: &[(Duration, Signal<T, E>)],
    frame: Duration,
    item: impl Fn(&T) -> char,
) -> Option<String> {
    const LONGEST: u128 = 120;
    let mut text = String::new();
    for instant in signals.chunk_by(|a, b| a.0 == b.0) {
        let at = instant[0].0.as_nanos();
        let column = at / frame.as_nanos();
        if at % frame.as_nanos() != 0 || column > LONGEST {
            return None;
        }
        let gap = usize::try_from(column).ok()?.checked_sub(text.chars().count())?;
        text.extend(std::iter::repeat_n('-', gap));
        let group = instant.len() > 1;
        text.extend(group.then_some('('));
        text.extend(instant.iter().map(|(_, signal)| match signal {
            Signal::Next(value) => item(value),
            Signal::Error(_) => '#',
            Signal::Complete => '|',
        }));
        text.extend(group.then_some(')'));
    }
    Some(text)
}

/// A source that emits its marbles anew for each subscriber; see [`VirtualTime::cold`].
#[derive(Debug, Clone)]
pub struct Cold {
    signals: VecDeque<(Duration, Signal<char, MarbleError>)>,
}

impl ObservableType for Cold {
    type Item<'a>
        = char
    where
        Self: 'a;
    type Err = MarbleError;
}

impl<C, F> CoreObservable<C> for Cold
where
    F: Future<Output = ()> + ?Sized,
    C: Context<Scheduler = VirtualTime<F>>,
    C::Inner: Observer<char, MarbleError>,
    VirtualTime<F>: Scheduler<MarbleTask<C::Inner>>,
{
    type Unsub = Cancel;

    fn subscribe(self, context: C) -> Cancel {
        let (down, scheduler) = context.into_parts();
        let cancel = Cancel::default();
        scheduler
            .schedule(MarbleTask::new(scheduler.timeline(), self.signals, down, true, cancel.clone()), None);
        cancel
    }
}

/// Emits the signals of a text of marbles.
pub struct MarbleTask<O> {
    timeline: Arc<Timeline>,
    start: Duration,
    signals: VecDeque<(Duration, Signal<char, MarbleError>)>,
    down: Option<O>,
    /// Whether a text without an end leaves the subscription open.
    stays: bool,
    sleep: Option<Sleep>,
    cancel: Cancel,
}

impl<O> MarbleTask<O> {
    fn new(
        timeline: &Arc<Timeline>,
        signals: VecDeque<(Duration, Signal<char, MarbleError>)>,
        down: O,
        stays: bool,
        cancel: Cancel,
    ) -> Self {
        let start = timeline.now();
        Self { timeline: timeline.clone(), start, signals, down: Some(down), stays, sleep: None, cancel }
    }
}

// Nothing in it is ever pinned.
impl<O> Unpin for MarbleTask<O> {}

impl<O: Observer<char, MarbleError>> Future for MarbleTask<O> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<()> {
        let this = &mut *self;
        this.cancel.register(context);
        while let Some(down) = &mut this.down {
            if this.cancel.cancelled() || down.is_closed() {
                break;
            }
            let Some((at, _)) = this.signals.front() else {
                if this.stays {
                    return Poll::Pending;
                }
                break;
            };
            let at = this.start.saturating_add(*at);
            if this.timeline.now() < at {
                let sleep = this.sleep.get_or_insert_with(|| Sleep::until(&this.timeline, at, Rank::Marble));
                if Pin::new(sleep).poll(context).is_pending() {
                    return Poll::Pending;
                }
                this.sleep = None;
                continue;
            }
            match (this.signals.pop_front(), this.down.take()) {
                (Some((_, Signal::Next(item))), Some(mut down)) => {
                    down.next(item);
                    this.down = Some(down);
                }
                (Some((_, Signal::Error(error))), Some(down)) => down.error(error),
                (Some((_, Signal::Complete)), Some(down)) => down.complete(),
                _ => break,
            }
        }
        this.cancel.cancel();
        this.down = None;
        this.sleep = None;
        Poll::Ready(())
    }
}

/// The source that [`VirtualTime::hot`] gives.
pub type Hot<F> = Watched<Relay<F>>;
type Relay<F> = Subject<char, MarbleError, <F as Flavour>::Scope>;

impl<F: Flavour + ?Sized> VirtualTime<F> {
    /// A source that starts anew for each subscriber, when it subscribes. A text without an end leaves the
    /// subscription open, and its task alive, until it is unsubscribed.
    ///
    /// ```
    /// use rxevents::{assert_marbles, prelude::*, testing::{VirtualScheduler, record}};
    /// use std::time::Duration;
    ///
    /// let scheduler = VirtualScheduler::new();
    /// let source = scheduler.cold("a-b|");
    /// scheduler.advance_by(Duration::from_millis(5));
    /// let seen = record(source.map(|c| c.to_ascii_uppercase()));
    /// scheduler.advance_by(Duration::from_millis(5));
    /// assert_marbles!(seen, "5ms A-B|");
    /// ```
    ///
    /// # Panics
    /// If `text` is no marble diagram; the message shows where.
    #[track_caller]
    pub fn cold(&self, text: &str) -> F::Context<Cold> {
        let marbles = Marbles::expect(MarbleKind::Cold, text, self.timeline().frame);
        F::Context::from_parts(Cold { signals: marbles.signals.into() }, self.clone())
    }

    /// A source that emits from now on, whoever listens; clone it for several subscribers. Its own task ends with the
    /// last marble.
    ///
    /// ```
    /// use rxevents::{assert_marbles, prelude::*, testing::{SharedVirtualScheduler, record}};
    /// use std::time::Duration;
    ///
    /// let scheduler = SharedVirtualScheduler::new();
    /// let letters = scheduler.hot("a-b---c|");
    /// scheduler.advance_by(Duration::from_millis(1));
    /// let late = record(letters.clone());
    /// let delayed = record(letters.delay(Duration::from_millis(2)));
    /// scheduler.advance_by(Duration::from_millis(20));
    /// assert_marbles!(late, "--b---c|");
    /// assert_marbles!(delayed, "----b---c|");
    /// ```
    ///
    /// # Panics
    /// If `text` is no marble diagram; the message shows where.
    #[track_caller]
    pub fn hot(&self, text: &str) -> F::Context<Hot<F>>
    where
        Self: Scheduler<MarbleTask<Relay<F>>>,
    {
        let marbles = Marbles::expect(MarbleKind::Hot, text, self.timeline().frame);
        let subject = Relay::<F>::new();
        let (signals, cancel) = (marbles.signals.into(), Cancel::default());
        self.schedule(MarbleTask::new(self.timeline(), signals, subject.clone(), false, cancel), None);
        self.watch(F::Context::from_parts(subject, self.clone())).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn read(kind: MarbleKind, text: &str) -> String {
        let marbles = Marbles::parse(kind, text, MS).unwrap();
        let mut read: Vec<String> = Vec::new();
        for (at, signal) in marbles.signals {
            let marble = match signal {
                Signal::Next(item) => item,
                Signal::Error(_) => '#',
                Signal::Complete => '|',
            };
            read.push(format!("{marble}@{:?}", at));
        }
        let points = [('^', marbles.subscription), ('!', marbles.unsubscription)];
        read.extend(points.iter().filter_map(|(c, at)| at.map(|at| format!("{c}@{at:?}"))));
        read.join(" ")
    }

    #[test]
    fn each_character_is_a_frame() {
        assert_eq!(read(MarbleKind::Cold, "--a-9|"), "a@2ms 9@4ms |@5ms");
        assert_eq!(read(MarbleKind::Cold, " - A #  "), "A@1ms #@2ms");
        assert_eq!(read(MarbleKind::Cold, ""), "");
    }

    #[test]
    fn a_group_takes_the_frames_of_its_text() {
        assert_eq!(read(MarbleKind::Cold, "-(ab)-c"), "a@1ms b@1ms c@6ms");
        assert_eq!(read(MarbleKind::Cold, "-(a b|)"), "a@1ms b@1ms |@1ms");
    }

    #[test]
    fn time_progresses() {
        assert_eq!(read(MarbleKind::Cold, "a 9ms b 1s c"), "a@0ns b@10ms c@1.011s");
        assert_eq!(read(MarbleKind::Cold, "1.5s a 2m (b|)"), "a@1.5s b@121.501s |@121.501s");
        assert_eq!(read(MarbleKind::Cold, "- 100ms"), "");
        // Without the spaces they are items.
        assert_eq!(read(MarbleKind::Cold, "-9ms"), "9@1ms m@2ms s@3ms");
        assert_eq!(read(MarbleKind::Cold, "12 9x s"), "1@0ns 2@1ms 9@2ms x@3ms s@4ms");
    }

    #[test]
    fn the_subscription_point_is_time_zero_of_a_hot_source() {
        assert_eq!(read(MarbleKind::Hot, "-a-^-b|"), "b@2ms |@3ms ^@3ms");
        assert_eq!(read(MarbleKind::Subscription, "-^ 10ms !-"), "^@1ms !@12ms");
    }

    #[test]
    fn errors_name_the_place() {
        use MarbleKind::{Cold, Hot, Subscription};
        for (kind, text, position, reason) in [
            (Cold, "-ä-", 1, "not a marble"),
            (Cold, "--é?", 2, "not a marble"),
            (Cold, "a|b", 2, "after the end"),
            (Cold, "a#|", 2, "after the end"),
            (Cold, "-^-", 1, "only a hot source or a subscription has a `^`"),
            (Hot, "^-^", 2, "a second `^`"),
            (Hot, "a|^", 2, "after the end"),
            (Hot, "^-!", 2, "only a subscription has a `!`"),
            (Cold, "(a(b))", 2, "a group in a group"),
            (Cold, "(a-b)", 2, "time does not pass in a group"),
            (Cold, "a)", 1, "`(` is missing"),
            (Cold, "-(ab", 4, "`)` is missing"),
            (Subscription, "---", 3, "`^` is missing"),
            (Subscription, "-!^", 1, "before the `^`"),
            (Subscription, "^!!", 2, "a second `!`"),
            (Subscription, "^a!", 1, "a subscription has only `^`, `!` and time"),
            (Cold, "- 1.2.3ms a", 2, "not a number"),
            (Cold, "99999999999999999999s a", 0, "too long"),
        ] {
            let error = Marbles::parse(kind, text, MS).unwrap_err();
            assert_eq!((error.position, error.reason), (position, reason), "{text}");
            assert_eq!(error.found, text.chars().nth(position), "{text}");
        }
        let error = Marbles::parse(Cold, "-äb?", MS).unwrap_err().to_string();
        assert_eq!(error, "marbles: 'ä' at position 1: not a marble\n  -äb?\n   ^");
        let error = Marbles::parse(Cold, "-(a", MS).unwrap_err().to_string();
        assert_eq!(error, "marbles: at the end: `)` is missing\n  -(a\n     ^");
    }

    #[test]
    fn what_is_rendered_reads_the_same() {
        for text in ["--a-b-|", "-(ab)-c", "", "(a|)", "--#", "abc"] {
            let signals = Marbles::parse(MarbleKind::Cold, text, MS).unwrap().signals;
            assert_eq!(render(&signals, MS, |c| *c).as_deref(), Some(text));
        }
        let next = |at: u64| (Duration::from_micros(at), Signal::<_, ()>::Next('a'));
        assert_eq!(render(&[next(1500)], MS, |c| *c), None, "between two frames");
        assert_eq!(render(&[next(0), next(0), next(1000)], MS, |c| *c), None, "within a group's text");
        assert_eq!(render(&[next(1_000_000)], MS, |c| *c), None, "too long");
    }
}
