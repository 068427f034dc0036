use chrono::{DateTime, Utc};

/// Why a window was emitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Firing {
    /// Before its end, by [`Emission`](super::Emission): what it has so far.
    Early,
    /// It has closed: the watermark has passed its end, or the source has completed.
    OnTime,
    /// After its end, within the lateness: what was emitted before, with one event more.
    Late,
    /// Before its end, as there was no room ([`EventWindows::buffer`](super::EventWindows::buffer)): events that still
    /// come for it are late.
    Evicted,
}

/// What the events of one key in one window of event time come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Windowed<K, A> {
    /// The key; `()` where all events are of one.
    pub key: K,
    /// The first nanosecond that is in it.
    pub start: i64,
    /// The first nanosecond after it.
    pub end: i64,
    /// The aggregate of its events.
    pub value: A,
    /// Why it was emitted now.
    pub firing: Firing,
}

impl<K, A> Windowed<K, A> {
    /// [`start`](Self::start) as a date, where times are nanoseconds since 1970.
    pub fn start_utc(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_nanos(self.start)
    }

    /// [`end`](Self::end) as a date, where times are nanoseconds since 1970.
    pub fn end_utc(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_nanos(self.end)
    }

    /// The same window with `f` of its value.
    pub fn map<B>(self, f: impl FnOnce(A) -> B) -> Windowed<K, B> {
        let Self { key, start, end, value, firing } = self;
        Windowed { key, start, end, value: f(value), firing }
    }
}
