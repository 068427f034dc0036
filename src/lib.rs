//! Rx operators for production event pipelines: every event is accounted for.
//!
//! | module | has |
//! |---|---|
//! | [`prelude`] | all that a pipeline needs |
//! | [`operator`] | the operators, by families |
//! | [`source`], [`event`] | files and made-up events; ready-made types |
//! | [`event_time`] | when things happened, and how long late ones are waited for |
//! | [`delivery`], [`sink`] | at least once, from a source that resumes to a sink |
//! | [`pipeline`] | stages, ledger, graph, shutdown |
//! | [`flow`] | Rx between two `Stream`s |
//! | [`dead_letter`] | what has failed for good, kept and sent again |
//! | `state` | keyed state that survives a crash |
//! | [`buffer`] | bounds, and what happens beyond them |
//! | [`time`], `testing` | clocks, and virtual time |
//! | [`gate`] | what makes one sequence of several inputs |

// The type of a chain names all its operators: that is how it is checked and run without a box.
#![allow(clippy::type_complexity)]

#[cfg(doctest)]
mod book;
pub mod buffer;
pub mod dead_letter;
pub mod delivery;
mod durable;
mod error;
pub mod event;
pub mod event_time;
pub mod flow;
pub mod gate;
mod held;
#[cfg(feature = "metrics")]
pub mod metrics;
pub mod operator;
pub mod pipeline;
pub mod prelude;
mod shares;
pub mod sink;
pub mod source;
#[cfg(feature = "state")]
pub mod state;
mod sync;
#[cfg(all(any(test, feature = "testing"), not(target_arch = "wasm32")))]
pub mod testing;
pub mod time;

pub use buffer::{Buffer, Depth, Drops, Overflow};
pub use error::{OverflowError, PanicError, StreamError, on_unhandled};

/// rayon itself, for a pool of one's own.
#[cfg(feature = "parallel")]
pub use rayon;
/// rxRust itself.
pub use rxrust as rx;
