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

mod jsonl;
mod letter;
mod letters;
mod memory;
mod payload;
mod queue;
mod reason;
mod redrive;
mod rejected;

pub use jsonl::{JsonlQueue, SyncPolicy};
pub use letter::{DeadLetter, LETTER_VERSION};
pub use letters::{Letters, MAX_LETTER_BYTES, ReadError, read_letters};
pub use memory::MemoryQueue;
pub use payload::{Origin, Payload};
pub use queue::{DeadLetterError, DeadLetterQueue, QueueError};
pub(crate) use reason::attempt;
pub use reason::{FailureKind, MAX_MESSAGE_BYTES, MAX_VIOLATIONS, Reason, Violation};
pub use redrive::{DEFAULT_MAX_REDRIVES, Decoded, Redrive, RedriveCounts, Redriven, Unsent, redrive};
pub use rejected::Rejected;
