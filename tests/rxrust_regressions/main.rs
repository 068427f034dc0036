//! What is broken in rxRust 1.0.0-rc.6 and works in this crate; and, in `theirs`, that it is still broken there: when
//! a test of that module fails, rxRust has been repaired.
//!
//! That memory is freed, that panics end one subscription, that `take` stops the source: see `laws.rs`, for every
//! operator.

#[path = "../common/mod.rs"]
mod common;
mod theirs;

#[path = "."]
#[allow(clippy::arc_with_non_send_sync, reason = "in `Shared` it is both")]
mod local {
    use crate::common::local as flavour;
    mod ours;
}

#[path = "."]
mod shared {
    use crate::common::shared as flavour;
    #[allow(clippy::duplicate_mod, reason = "written once, compiled for both kinds of pipeline")]
    mod ours;
    mod threads;
}
