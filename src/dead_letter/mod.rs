//! Events that failed: why, where, and where they are kept.
//!
//! A fallible operator emits `Result<U, Rejected<T>>`. [`Rejected`] keeps the very item that failed, the stage, a
//! typed [`Reason`] and the number of attempts. To store it, it becomes a [`DeadLetter`]: a self-contained record with
//! the original payload, byte for byte, which a [`DeadLetterQueue`] keeps in memory ([`MemoryQueue`]) or in a file
//! ([`JsonlQueue`], read back by [`read_letters`]). [`redrive()`] sends the letters of a file again.
//!
//! ```
//! use rxevents::dead_letter::{DeadLetter, DeadLetterQueue, MemoryQueue, Reason, Rejected};
//!
//! let rejected = Rejected::new("{\"amount\":", "decode", Reason::decode("unexpected end"));
//! let queue = MemoryQueue::new(100);
//! queue.clone().push(DeadLetter::from_rejected(&rejected, chrono::DateTime::UNIX_EPOCH))?;
//! let letters = queue.letters();
//! assert_eq!(letters[0].payload, b"{\"amount\":");
//! assert_eq!(letters[0].stage, "decode");
//! # Ok::<(), rxevents::dead_letter::DeadLetterError>(())
//! ```

mod history;
mod jsonl;
mod letter;
mod letters;
mod memory;
mod or_else;
mod payload;
mod policy;
mod queue;
mod reason;
mod redrive;
mod redrive_cursor;
mod redrive_rate;
mod rejected;

pub use history::{AttemptLog, MAX_HISTORY, MAX_HISTORY_MESSAGE_BYTES, PastAttempt};
pub use jsonl::{JsonlQueue, Rotation, SyncPolicy};
pub use letter::{DeadLetter, LETTER_VERSION};
pub use letters::{Letters, MAX_LETTER_BYTES, ReadError, read_letters};
pub use memory::MemoryQueue;
pub use or_else::{FnQueue, OrElse, from_fn};
pub use payload::{Origin, Payload};
pub use policy::{
    DeadLetterCounts, DeadLetterPolicy, Limits, NoPolicy, OnLimit, Oversize, PoisonLimit, Poisoned, Watched,
};
pub use queue::{DeadLetterError, DeadLetterQueue, QueueError};
pub(crate) use reason::attempt;
pub use reason::{FailureKind, MAX_MESSAGE_BYTES, MAX_VIOLATIONS, Reason, Violation};
pub use redrive::{DEFAULT_MAX_REDRIVES, Decoded, DryRun, Redrive, RedriveCounts, Redriven, Unsent, redrive};
pub use redrive_cursor::{CursorQueue, RedriveCursor};
pub use redrive_rate::AtRate;
pub use rejected::Rejected;
