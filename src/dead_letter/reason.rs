use std::{
    borrow::Cow,
    error::Error,
    fmt::{self, Display, Write},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use validator::{ValidationError, ValidationErrors, ValidationErrorsKind};

use crate::error::{PanicError, catch};

/// [`Reason::message`] is at most this many bytes long, the mark of truncation included.
pub const MAX_MESSAGE_BYTES: usize = 1024;
/// [`Reason::violations`] lists at most this many violations; one more then says how many were left out.
pub const MAX_VIOLATIONS: usize = 100;

const TRUNCATED: &str = "… (truncated)";

/// Why one event failed, with the typed cause.
///
/// Nothing is formatted before it is asked for. It is 24 bytes, and cloning it shares the cause.
///
/// ```
/// use rxevents::dead_letter::{FailureKind, Reason};
///
/// let reason = Reason::from(serde_json::from_str::<u8>("300").unwrap_err());
/// assert_eq!(reason.kind(), FailureKind::Decode);
/// assert!(reason.message().starts_with("invalid value: integer `300`"));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Reason {
    /// The payload is not what it should be: not JSON, not CSV, a field missing or of the wrong type.
    Decode(Arc<dyn Error + Send + Sync>),
    /// The event is well formed, but breaks rules.
    Validation(Arc<ValidationErrors>),
    /// The payload is longer than allowed. Both in bytes.
    TooLong {
        /// The longest that is allowed.
        limit: u64,
        /// How long it is.
        length: u64,
    },
    /// An input or output failed.
    Io(Arc<std::io::Error>),
    /// Code that handled the event panicked with this message.
    Panic(Arc<str>),
    /// There was no room left for the event, and the overflow policy is to reject.
    Overflow {
        /// The number of events for which there is room.
        capacity: u64,
    },
    /// It is a dead letter that was sent again too often already: it was not tried.
    RedriveLimit {
        /// How often it was sent again.
        redrives: u32,
        /// How often it may be.
        limit: u32,
    },
    /// An attempt took longer than it may; its future was dropped.
    Timeout {
        /// How long it may take.
        within: Duration,
    },
    /// A [`CircuitBreaker`](crate::operator::error::CircuitBreaker) is open: it was not tried.
    CircuitOpen,
    /// It is a dead letter that was tried too often already, over all its redrives: it was not tried again.
    AttemptLimit {
        /// How often it was tried.
        attempts: u32,
        /// How often it may be.
        limit: u32,
    },
    /// It is a dead letter whose payload was cut: it cannot be tried again. Both in bytes.
    Truncated {
        /// How long the payload was.
        length: u64,
        /// How much of it was kept.
        kept: u64,
    },
    /// Anything else.
    Other(Arc<dyn Error + Send + Sync>),
}

/// The kind of a [`Reason`]: few values, fit for a metric's label. Serialized in snake_case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// [`Reason::Decode`].
    Decode,
    /// [`Reason::Validation`].
    Validation,
    /// [`Reason::TooLong`].
    TooLong,
    /// [`Reason::Io`].
    Io,
    /// [`Reason::Panic`].
    Panic,
    /// [`Reason::Overflow`].
    Overflow,
    /// [`Reason::RedriveLimit`].
    RedriveLimit,
    /// [`Reason::Timeout`].
    Timeout,
    /// [`Reason::CircuitOpen`].
    CircuitOpen,
    /// [`Reason::AttemptLimit`].
    AttemptLimit,
    /// [`Reason::Truncated`].
    Truncated,
    /// [`Reason::Other`].
    Other,
}

/// One rule that an event breaks. The offending value is never in it, unless a rule's own message quotes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The path of the field, such as `items[2].price`; empty when the rule is about the whole event.
    pub path: String,
    /// The rule's code, such as `range`.
    pub code: String,
    /// What the rule demands.
    pub message: String,
}

impl FailureKind {
    /// Its name in snake_case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Validation => "validation",
            Self::TooLong => "too_long",
            Self::Io => "io",
            Self::Panic => "panic",
            Self::Overflow => "overflow",
            Self::RedriveLimit => "redrive_limit",
            Self::Timeout => "timeout",
            Self::CircuitOpen => "circuit_open",
            Self::AttemptLimit => "attempt_limit",
            Self::Truncated => "truncated",
            Self::Other => "other",
        }
    }
}

impl FailureKind {
    /// Whether it says that another attempt would fail, too: the event itself is wrong.
    pub(crate) fn is_fatal(self) -> bool {
        matches!(self, Self::Decode | Self::Validation | Self::TooLong | Self::Panic) || self.is_refusal()
    }

    /// Whether it says that a letter was not tried: nothing new is known of it.
    pub(crate) fn is_refusal(self) -> bool {
        matches!(self, Self::RedriveLimit | Self::AttemptLimit | Self::Truncated)
    }
}

impl Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl Reason {
    /// The payload is not what it should be, because of `cause`: an error, or a text.
    pub fn decode(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Decode(Arc::from(cause.into()))
    }

    /// The event breaks one rule. `path` is empty when the rule is about the whole event.
    pub fn violation(
        path: &'static str,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let error =
            ValidationError { code: code.into(), message: Some(message.into()), params: Default::default() };
        let mut errors = ValidationErrors::new();
        errors.add(path, error);
        errors.into()
    }

    /// Code that handled the event panicked with `message`.
    pub fn panic(message: impl Into<Arc<str>>) -> Self {
        Self::Panic(message.into())
    }

    /// Any other failure: an error, or a text.
    pub fn other(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Other(Arc::from(cause.into()))
    }

    /// The kind of failure.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Decode(_) => FailureKind::Decode,
            Self::Validation(_) => FailureKind::Validation,
            Self::TooLong { .. } => FailureKind::TooLong,
            Self::Io(_) => FailureKind::Io,
            Self::Panic(_) => FailureKind::Panic,
            Self::Overflow { .. } => FailureKind::Overflow,
            Self::RedriveLimit { .. } => FailureKind::RedriveLimit,
            Self::Timeout { .. } => FailureKind::Timeout,
            Self::CircuitOpen => FailureKind::CircuitOpen,
            Self::AttemptLimit { .. } => FailureKind::AttemptLimit,
            Self::Truncated { .. } => FailureKind::Truncated,
            Self::Other(_) => FailureKind::Other,
        }
    }

    /// The reason and the causes behind it, joined by `: `.
    ///
    /// At most [`MAX_MESSAGE_BYTES`] long; a longer one is cut between two characters and ends with `… (truncated)`.
    /// However long it would be, no more than that is ever held.
    pub fn message(&self) -> String {
        self.message_within(MAX_MESSAGE_BYTES)
    }

    /// [`message`](Self::message) with a bound of its own.
    pub(crate) fn message_within(&self, bytes: usize) -> String {
        let mut out = Bounded { text: String::new(), max: bytes, full: false };
        let mut result = write!(out, "{self}");
        let mut cause = self.source();
        while let (Ok(()), Some(error)) = (result, cause) {
            result = write!(out, ": {error}");
            cause = error.source();
        }
        if out.full {
            cut(&mut out.text, bytes);
        }
        out.text
    }

    /// The rules that the event breaks, sorted by path; empty unless this is a [`Reason::Validation`].
    ///
    /// At most [`MAX_VIOLATIONS`]; if there are more, a last one with the code `more` says how many.
    pub fn violations(&self) -> Vec<Violation> {
        let mut list = ViolationList::default();
        if let Self::Validation(errors) = self {
            list.walk("", errors);
        }
        if list.left_out > 0 {
            list.violations.push(Violation {
                path: String::new(),
                code: "more".into(),
                message: format!("{} more violations", list.left_out),
            });
        }
        list.violations
    }
}

impl Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode(cause) | Self::Other(cause) => cause.fmt(f),
            Self::Validation(_) => {
                for (i, violation) in self.violations().iter().enumerate() {
                    write!(f, "{}{violation}", if i == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
            Self::TooLong { limit, length } => write!(f, "{length} bytes long, at most {limit} are allowed"),
            Self::Io(cause) => cause.fmt(f),
            Self::Panic(message) => write!(f, "panicked: {message}"),
            Self::RedriveLimit { redrives, limit } => {
                write!(f, "sent again {redrives} times already, at most {limit} are allowed")
            }
            Self::Timeout { within } => write!(f, "no result within {within:?}"),
            Self::CircuitOpen => f.write_str("not tried: the circuit breaker is open"),
            Self::AttemptLimit { attempts, limit } => {
                write!(f, "tried {attempts} times already, at most {limit} are allowed")
            }
            Self::Truncated { length, kept } => {
                write!(f, "only {kept} of the payload's {length} bytes were kept: it cannot be sent again")
            }
            Self::Overflow { capacity } => write!(f, "no room left: the capacity is {capacity} events"),
        }
    }
}

impl Error for Reason {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Decode(cause) | Self::Other(cause) => cause.source(),
            Self::Io(cause) => cause.source(),
            _ => None,
        }
    }
}

impl From<serde_json::Error> for Reason {
    fn from(cause: serde_json::Error) -> Self {
        Self::Decode(Arc::new(cause))
    }
}

impl From<std::str::Utf8Error> for Reason {
    fn from(cause: std::str::Utf8Error) -> Self {
        Self::Decode(Arc::new(cause))
    }
}

impl From<ValidationErrors> for Reason {
    fn from(errors: ValidationErrors) -> Self {
        Self::Validation(Arc::new(errors))
    }
}

impl From<std::io::Error> for Reason {
    fn from(cause: std::io::Error) -> Self {
        Self::Io(Arc::new(cause))
    }
}

impl From<PanicError> for Reason {
    #[cold]
    fn from(panic: PanicError) -> Self {
        Self::Panic(panic.message)
    }
}

/// What `f` gives for an item; a panic in it is a failure of that item.
#[inline(always)]
pub(crate) fn attempt<T>(stage: &'static str, f: impl FnOnce() -> Result<T, Reason>) -> Result<T, Reason> {
    catch(stage, f).unwrap_or_else(|panic| Err(panic.into()))
}

/// Cuts a text between two characters, so that with the mark it is at most so long.
pub(super) fn cut(text: &mut String, bytes: usize) {
    let room = bytes.saturating_sub(TRUNCATED.len()).min(text.len());
    text.truncate((0..=room).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0));
    text.push_str(TRUNCATED);
}

/// Takes text until it is longer than a message may be, then refuses more.
struct Bounded {
    text: String,
    max: usize,
    full: bool,
}

impl Write for Bounded {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let room = self.max - self.text.len();
        if s.len() <= room {
            self.text.push_str(s);
            return Ok(());
        }
        let cut = (0..=room).rev().find(|&i| s.is_char_boundary(i)).unwrap_or(0);
        self.text.push_str(s.get(..cut).unwrap_or_default());
        self.full = true;
        Err(fmt::Error)
    }
}

#[derive(Default)]
struct ViolationList {
    violations: Vec<Violation>,
    left_out: usize,
}

impl ViolationList {
    fn walk(&mut self, path: &str, errors: &ValidationErrors) {
        let mut fields: Vec<_> = errors.errors().iter().collect();
        fields.sort_unstable_by(|a, b| a.0.cmp(b.0));
        for (field, kind) in fields {
            // `__all__` is validator's name for the struct itself.
            let path = match (path, field.as_ref()) {
                (path, "" | "__all__") => path.to_owned(),
                ("", field) => field.to_owned(),
                (path, field) => format!("{path}.{field}"),
            };
            match kind {
                ValidationErrorsKind::Struct(errors) => self.walk(&path, errors),
                ValidationErrorsKind::List(items) => {
                    for (index, errors) in items {
                        self.walk(&format!("{path}[{index}]"), errors);
                    }
                }
                ValidationErrorsKind::Field(errors) => errors.iter().for_each(|error| self.add(&path, error)),
            }
        }
    }

    fn add(&mut self, path: &str, error: &ValidationError) {
        if self.violations.len() == MAX_VIOLATIONS {
            self.left_out += 1;
            return;
        }
        let message = match &error.message {
            Some(message) => message.to_string(),
            None => rule(error),
        };
        self.violations.push(Violation { path: path.to_owned(), code: error.code.to_string(), message });
    }
}

/// The rule's code with its limits, but without any value that came with the event.
fn rule(error: &ValidationError) -> String {
    let mut text = format!("breaks the rule {}", error.code);
    let mut separator = " (";
    for name in ["min", "max", "exclusive_min", "exclusive_max", "equal"] {
        if let Some(limit) = error.params.get(name) {
            text.push_str(&format!("{separator}{name} {limit}"));
            separator = ", ";
        }
    }
    if separator == ", " {
        text.push(')');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use validator::Validate;

    #[derive(Validate)]
    struct Order {
        #[validate(length(min = 3))]
        name: String,
        #[validate(nested)]
        items: Vec<Item>,
    }

    #[derive(Validate)]
    struct Item {
        #[validate(range(exclusive_min = 0.0, max = 10.0))]
        price: f64,
    }

    fn order(prices: &[f64]) -> Reason {
        let items = prices.iter().map(|&price| Item { price }).collect();
        Order { name: "ab".into(), items }.validate().unwrap_err().into()
    }

    #[test]
    fn stays_small() {
        assert!(size_of::<Reason>() <= 24);
    }

    #[test]
    fn violations_have_paths_and_no_values() {
        let violations = order(&[1.0, 2.0, 4711.0]).violations();
        let shown: Vec<_> =
            violations.iter().map(|v| format!("{} {} {}", v.path, v.code, v.message)).collect();
        assert_eq!(
            shown,
            [
                "items[2].price range breaks the rule range (max 10.0, exclusive_min 0.0)",
                "name length breaks the rule length (min 3)",
            ]
        );
    }

    #[test]
    fn many_violations_are_counted_not_listed() {
        let violations = order(&[-1.0; 1000]).violations();
        assert_eq!(violations.len(), MAX_VIOLATIONS + 1);
        assert_eq!(violations.last().map(|v| v.message.as_str()), Some("901 more violations"));
    }

    #[test]
    fn whole_event_rules_have_no_path() {
        let reason = Reason::violation("__all__", "dates", "the end is before the start");
        assert_eq!(reason.to_string(), "the end is before the start");
        assert_eq!(reason.violations()[0].path, "");
    }

    #[test]
    fn message_is_cut_between_characters() {
        let exact = "x".repeat(MAX_MESSAGE_BYTES);
        assert_eq!(Reason::decode(exact.clone()).message(), exact);
        for shift in 0..4 {
            let message = Reason::decode("x".repeat(shift) + &"𝄞".repeat(MAX_MESSAGE_BYTES)).message();
            assert!(message.len() <= MAX_MESSAGE_BYTES && message.len() > MAX_MESSAGE_BYTES - 8);
            assert!(message.ends_with("𝄞… (truncated)"));
        }
    }

    #[test]
    fn message_names_the_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("lookup failed")]
        struct Lookup(#[source] std::io::Error);
        let reason = Reason::other(Lookup(std::io::Error::other("connection reset")));
        assert_eq!(reason.message(), "lookup failed: connection reset");
    }

    #[test]
    fn kinds_are_snake_case() {
        for (reason, kind) in [
            (Reason::decode("x"), "decode"),
            (order(&[]), "validation"),
            (Reason::TooLong { limit: 1, length: 2 }, "too_long"),
            (std::io::Error::other("x").into(), "io"),
            (Reason::panic("x"), "panic"),
            (Reason::Overflow { capacity: 1 }, "overflow"),
            (Reason::RedriveLimit { redrives: 1, limit: 1 }, "redrive_limit"),
            (Reason::Timeout { within: Duration::from_secs(1) }, "timeout"),
            (Reason::CircuitOpen, "circuit_open"),
            (Reason::AttemptLimit { attempts: 1, limit: 1 }, "attempt_limit"),
            (Reason::Truncated { length: 2, kept: 1 }, "truncated"),
            (Reason::other("x"), "other"),
        ] {
            assert_eq!(reason.kind().as_str(), kind);
            assert_eq!(serde_json::to_value(reason.kind()).unwrap(), kind);
        }
    }
}
