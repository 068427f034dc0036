//! What is told to the [`metrics`](facade) facade (feature `metrics`), and by whom.
//!
//! | metric | kind | labels | told by |
//! |---|---|---|---|
//! | [`EVENTS`] | counter | `stage` | [`measured`](crate::operator::measure::MeasureOps::measured) |
//! | [`FAILURES`] | counter | `stage` | [`measured_results`](crate::operator::measure::MeasureOps::measured_results) |
//! | [`STREAM_ERRORS`] | counter | `stage` | both |
//! | [`STAGE_SECONDS`] | histogram | `stage` | both |
//! | [`QUEUE_DEPTH`], [`QUEUE_PEAK_DEPTH`], [`QUEUE_CAPACITY`] | gauge | `queue` | whatever holds items in a named [`Buffer`] |
//! | [`DROPPED`] | counter | `queue`, `policy` | the same |
//!
//! A subscription registers its handles once, with the recorder that is installed then: install it first. Nothing is
//! registered, looked up or allocated for an event. The labels are names in the program's text, never data.

#[cfg(feature = "prometheus")]
pub mod prometheus;

/// The facade itself.
pub use ::metrics as facade;

use facade::{Counter, Gauge, Histogram, Unit};

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use crate::buffer::{Buffer, Depth, Overflow};

/// Events that came to the stage.
pub const EVENTS: &str = "rxevents_events_total";
/// Those of them that are an `Err`: what is wrong with one event.
pub const FAILURES: &str = "rxevents_failures_total";
/// Streams that an error above the stage has ended.
pub const STREAM_ERRORS: &str = "rxevents_stream_errors_total";
/// How long the chain below the stage takes for one event.
pub const STAGE_SECONDS: &str = "rxevents_stage_seconds";
/// Events that wait in the queue.
pub const QUEUE_DEPTH: &str = "rxevents_queue_depth";
/// The most events that ever waited at once in the queues of that name, since the process began: a queue that fills and
/// empties between two looks at [`QUEUE_DEPTH`] is seen here.
pub const QUEUE_PEAK_DEPTH: &str = "rxevents_queue_peak_depth";
/// How many may wait: the sum over the queues of that name that are live.
pub const QUEUE_CAPACITY: &str = "rxevents_queue_capacity";
/// Events that the queue has dropped. The policy is that of its [`Overflow`]; or `abandoned`: what waits in a
/// [`delay`](crate::operator::time::TimeOps::delay) whose source fails, or in a
/// [`hand_off`](crate::operator::time::TimeOps::hand_off) whose output ends; or `expired`, in
/// [`on_backpressure_timeout`](crate::operator::time::TimeOps::on_backpressure_timeout).
pub const DROPPED: &str = "rxevents_dropped_total";

/// The handles of a stage.
#[derive(Clone)]
pub(crate) struct StageHandles {
    pub(crate) events: Counter,
    pub(crate) failures: Counter,
    pub(crate) errors: Counter,
    pub(crate) seconds: Histogram,
}

impl StageHandles {
    pub(crate) fn register(stage: &'static str, knows_failures: bool) -> Self {
        facade::describe_counter!(EVENTS, Unit::Count, "Events that came to the stage.");
        facade::describe_counter!(STREAM_ERRORS, Unit::Count, "Streams ended by an error above the stage.");
        facade::describe_histogram!(
            STAGE_SECONDS,
            Unit::Seconds,
            "Time that the chain below the stage takes for one event."
        );
        let failures = if knows_failures {
            facade::describe_counter!(FAILURES, Unit::Count, "Events at the stage that have failed.");
            facade::counter!(FAILURES, "stage" => stage)
        } else {
            Counter::noop()
        };
        Self {
            events: facade::counter!(EVENTS, "stage" => stage),
            failures,
            errors: facade::counter!(STREAM_ERRORS, "stage" => stage),
            seconds: facade::histogram!(STAGE_SECONDS, "stage" => stage),
        }
    }
}

/// The handles of a queue. Queues of one name add up; each takes its share back when it goes.
pub(crate) struct QueueHandles {
    name: &'static str,
    depth: Gauge,
    peak: Gauge,
    capacity: Gauge,
    dropped: Counter,
    bound: f64,
    len: usize,
    /// Of all queues of that name.
    all: Depth,
}

/// What waits in all queues of a name. The names are in the program's text, so there are few.
fn all_named(name: &'static str) -> Depth {
    static DEPTHS: Mutex<BTreeMap<&str, Depth>> = Mutex::new(BTreeMap::new());
    DEPTHS.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default().clone()
}

impl QueueHandles {
    pub(crate) fn open(name: &'static str, buffer: &Buffer) -> Self {
        facade::describe_gauge!(QUEUE_DEPTH, Unit::Count, "Events that wait in the queue.");
        facade::describe_gauge!(QUEUE_PEAK_DEPTH, Unit::Count, "The most events that ever waited at once.");
        facade::describe_gauge!(QUEUE_CAPACITY, Unit::Count, "Events that may wait in the queue.");
        facade::describe_counter!(DROPPED, Unit::Count, "Events that the queue has dropped, by policy.");
        let dropped = match buffer.overflow() {
            Overflow::DropOldest => drops(name, "drop_oldest"),
            Overflow::DropNewest => drops(name, "drop_newest"),
            Overflow::Latest => drops(name, "latest"),
            Overflow::Error | Overflow::Block | Overflow::Reject => Counter::noop(),
        };
        let handles = Self {
            name,
            depth: facade::gauge!(QUEUE_DEPTH, "queue" => name),
            peak: facade::gauge!(QUEUE_PEAK_DEPTH, "queue" => name),
            capacity: facade::gauge!(QUEUE_CAPACITY, "queue" => name),
            dropped,
            bound: buffer.capacity() as f64,
            len: 0,
            all: all_named(name),
        };
        handles.depth.increment(0.0); // shown from the start
        handles.peak.set(handles.all.peak() as f64);
        handles.capacity.increment(handles.bound);
        handles
    }

    #[inline]
    pub(crate) fn set(&mut self, len: usize) {
        if len > self.len {
            self.depth.increment((len - self.len) as f64);
        } else if len < self.len {
            self.depth.decrement((self.len - len) as f64);
        }
        if let Some(peak) = self.all.moved(self.len, len) {
            self.peak.set(peak as f64);
        }
        self.len = len;
    }

    pub(crate) fn dropped(&self, n: u64) {
        self.dropped.increment(n);
    }

    #[cold]
    pub(crate) fn left(&self, policy: &'static str, n: u64) {
        drops(self.name, policy).increment(n);
    }
}

impl Drop for QueueHandles {
    fn drop(&mut self) {
        self.set(0);
        self.capacity.decrement(self.bound);
    }
}

fn drops(queue: &'static str, policy: &'static str) -> Counter {
    facade::counter!(DROPPED, "queue" => queue, "policy" => policy)
}
