use std::{
    borrow::Cow,
    error::Error,
    fmt::{self, Debug, Display},
};

use super::{AttemptLog, Reason};

/// One event that failed: the item itself, where, why, and after how many attempts.
///
/// It costs 64 bytes on top of the item, so `Result<U, Rejected<T>>` travels cheaply. It is `Clone` when the item is.
///
/// ```
/// use rxevents::dead_letter::{FailureKind, Reason, Rejected};
///
/// let rejected = Rejected::new(-5, "check", Reason::violation("amount", "range", "must be above 0"));
/// assert_eq!(rejected.item, -5);
/// assert_eq!(rejected.reason.kind(), FailureKind::Validation);
/// assert_eq!(rejected.to_string(), "check: amount: must be above 0");
/// ```
#[derive(Debug, Clone)]
pub struct Rejected<T> {
    /// The item that failed, unchanged.
    pub item: T,
    /// The name of the stage in which it failed.
    pub stage: Cow<'static, str>,
    /// Why it failed.
    pub reason: Reason,
    /// How often it was tried. The first attempt counts: an item that was never retried has 1.
    pub attempts: u32,
    /// Its attempts, if it was tried more than once.
    pub history: Option<Box<AttemptLog>>,
}

impl<T> Rejected<T> {
    /// `item` failed at its first attempt.
    pub fn new(item: T, stage: impl Into<Cow<'static, str>>, reason: impl Into<Reason>) -> Self {
        Self { item, stage: stage.into(), reason: reason.into(), attempts: 1, history: None }
    }

    /// Sets the number of attempts, the first included.
    #[must_use]
    pub fn with_attempts(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }

    /// Adds what is known of the attempts.
    #[must_use]
    pub(crate) fn with_history(self, history: Option<Box<AttemptLog>>) -> Self {
        Self { history, ..self }
    }

    /// The same failure of another view of the item, `f(item)`.
    pub fn map_item<U>(self, f: impl FnOnce(T) -> U) -> Rejected<U> {
        let Self { item, stage, reason, attempts, history } = self;
        Rejected { item: f(item), stage, reason, attempts, history }
    }
}

impl<T> Display for Rejected<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.stage, self.reason)?;
        if self.attempts > 1 {
            write!(f, " (after {} attempts)", self.attempts)?;
        }
        Ok(())
    }
}

impl<T: Debug> Error for Rejected<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.reason.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_small() {
        assert!(size_of::<Rejected<()>>() <= 64);
        assert!(size_of::<Result<(), Rejected<String>>>() <= 88);
    }

    #[test]
    fn goes_between_threads() {
        fn check(_: impl Send + Sync + Clone + Error + 'static) {}
        check(Rejected::new(1, "parse", Reason::decode("no")));
    }

    #[test]
    fn keeps_everything_when_the_item_is_mapped() {
        let rejected =
            Rejected::new(7, "parse", Reason::decode("no")).with_attempts(3).map_item(|n| n.to_string());
        assert_eq!((rejected.item.as_str(), rejected.attempts), ("7", 3));
        assert_eq!(rejected.to_string(), "parse: no (after 3 attempts)");
    }
}
