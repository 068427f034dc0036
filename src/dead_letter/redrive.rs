use std::{
    borrow::Cow,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use validator::{Validate, ValidationErrors};

use super::{DeadLetter, Letters, Origin, Payload, ReadError, Reason, Rejected, attempt};
use crate::source::Line;

/// How often [`redrive`] sends a letter again unless told otherwise.
pub const DEFAULT_MAX_REDRIVES: u32 = 3;

/// Sends the letters in a file again, in the order in which they were written: a source for `from_iter`.
///
/// - Each comes with its count of [`redrives`](DeadLetter::redrives) raised by one; all else of it is as it was.
///   [`decode`](Redrive::decode) adds the value of its payload.
/// - One that was sent again [`max_redrives`](Redrive::max_redrives) times already is refused: it is a failure
///   ([`Reason::RedriveLimit`]), and a [`dead_letter`](crate::operator::validate::ValidateOps::dead_letter) operator
///   below hands it on unchanged.
/// - A line that is no letter, or a torn one, is a failure with its bytes. An I/O error is the last one.
/// - [`counts`](Redrive::counts) says how many there were of each. Together that is every line that is not empty.
/// - A letter that fails again keeps its id, payload, origin and first failure: see [`DeadLetter::from_rejected`].
///
/// The file is read only, and only what was in it at this call, so that letters which fail again may be appended to the
/// same file. To have none sent twice, move the file away first, write what fails again to a new one, and remove the old
/// one when the stream has completed. A crash before that sends its letters once more, with the same ids.
///
/// Holds one letter.
///
/// ```
/// use rxevents::{dead_letter::redrive, prelude::*};
///
/// let folder = tempfile::tempdir()?;
/// let (path, parked) = (folder.path().join("dead.jsonl"), folder.path().join("parked.jsonl"));
/// Local::from_iter(["1", "x"])
///     .decode_json::<u8, _>()
///     .dead_letter(JsonlQueue::create(&path)?)
///     .subscribe(|_| {});
///
/// // Now `x` has a meaning; it is still too large.
/// let letters = redrive(&path)?.decode(|bytes| if bytes == b"x" { Ok(10) } else { Err(Reason::decode("no number")) });
/// let parked_letters = MemoryQueue::new(10);
/// Local::from_iter(letters)
///     .dead_letter(parked_letters.clone())
///     .try_map_stage("limit", |sent| if sent.item < 10 { Ok(()) } else { Err(Reason::other("too large")) })
///     .dead_letter(JsonlQueue::create(&parked)?)
///     .subscribe(|()| unreachable!());
///
/// let before = rxevents::dead_letter::read_letters(&path)?.next().unwrap()?;
/// let after = rxevents::dead_letter::read_letters(&parked)?.next().unwrap()?;
/// assert_eq!((after.id, &after.payload), (before.id, &before.payload));
/// assert_eq!((&*after.stage, after.attempts, after.redrives), ("limit", 2, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The file cannot be opened.
pub fn redrive(path: impl AsRef<Path>) -> Result<Redrive, ReadError> {
    let letters = Letters::snapshot(path.as_ref())?;
    Ok(Redrive { letters, max_redrives: DEFAULT_MAX_REDRIVES, counts: RedriveCounts::default() })
}

/// The letters of a file, sent again; see [`redrive`].
#[derive(Debug)]
pub struct Redrive {
    letters: Letters,
    max_redrives: u32,
    counts: RedriveCounts,
}

/// The letters of a file, sent again, with the values of their payloads; see [`Redrive::decode`].
#[derive(Debug)]
pub struct Decoded<F> {
    letters: Redrive,
    decode: F,
}

/// What became of the letters of a [`Redrive`] so far. Clones count the same.
#[derive(Debug, Clone, Default)]
pub struct RedriveCounts(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    refused: AtomicU64,
    unreadable: AtomicU64,
}

/// What [`redrive`] did not send again.
#[derive(Debug, Clone)]
pub enum Unsent {
    /// A letter: it was sent again too often already, or cannot be decoded.
    Letter(Box<DeadLetter>),
    /// A line that is no letter.
    Line(Line),
}

/// A letter that is sent again, with what its payload says.
///
/// Its payload, as a [`Payload`], is the letter's. It is valid when the item is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redriven<T> {
    /// The letter.
    pub letter: DeadLetter,
    /// The value of its payload.
    pub item: T,
}

impl Redrive {
    /// Sets how often a letter may be sent again; the default is [`DEFAULT_MAX_REDRIVES`]. With 0 all are refused.
    #[must_use]
    pub fn max_redrives(self, max_redrives: u32) -> Self {
        Self { max_redrives, ..self }
    }

    /// How many were sent again, refused, and unreadable, so far.
    pub fn counts(&self) -> RedriveCounts {
        self.counts.clone()
    }

    /// Decodes each payload by `decode`, such as `serde_json::from_slice::<T>` or `Payment::from_json`. What cannot be
    /// decoded, or makes it panic, is a failure of that letter in the stage `"decode"`.
    pub fn decode<F, T, E>(self, decode: F) -> Decoded<F>
    where
        F: FnMut(&[u8]) -> Result<T, E>,
        E: Into<Reason>,
    {
        Decoded { letters: self, decode }
    }
}

impl<F> Decoded<F> {
    /// How many were sent again, refused, and unreadable, so far. What cannot be decoded was sent.
    pub fn counts(&self) -> RedriveCounts {
        self.letters.counts()
    }
}

impl RedriveCounts {
    /// How many letters were sent again.
    pub fn sent(&self) -> u64 {
        self.0.sent.load(Ordering::Relaxed)
    }

    /// How many letters were refused, because they were sent again too often already.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// How many lines were no letters.
    pub fn unreadable(&self) -> u64 {
        self.0.unreadable.load(Ordering::Relaxed)
    }
}

impl Iterator for Redrive {
    type Item = Result<DeadLetter, Rejected<Unsent>>;

    fn next(&mut self) -> Option<Self::Item> {
        let Counters { sent, refused, unreadable } = &*self.counts.0;
        let limit = self.max_redrives;
        Some(match self.letters.read()? {
            Ok(letter) if letter.redrives >= limit => {
                refused.fetch_add(1, Ordering::Relaxed);
                let reason = Reason::RedriveLimit { redrives: letter.redrives, limit };
                Err(Rejected::new(Unsent::Letter(letter.into()), "redrive", reason))
            }
            Ok(mut letter) => {
                sent.fetch_add(1, Ordering::Relaxed);
                letter.redrives += 1;
                Ok(letter)
            }
            Err((line, error)) => {
                unreadable.fetch_add(1, Ordering::Relaxed);
                let reason = match error {
                    ReadError::Io { cause, .. } => cause,
                    error => Reason::decode(error),
                };
                Err(Rejected::new(Unsent::Line(line), "redrive", reason))
            }
        })
    }
}

impl<F, T, E> Iterator for Decoded<F>
where
    F: FnMut(&[u8]) -> Result<T, E>,
    E: Into<Reason>,
{
    type Item = Result<Redriven<T>, Rejected<Unsent>>;

    fn next(&mut self) -> Option<Self::Item> {
        let letter = match self.letters.next()? {
            Ok(letter) => letter,
            Err(rejected) => return Some(Err(rejected)),
        };
        Some(match attempt("decode", || (self.decode)(&letter.payload).map_err(E::into)) {
            Ok(item) => Ok(Redriven { letter, item }),
            Err(reason) => Err(Rejected::new(Unsent::Letter(letter.into()), "decode", reason)),
        })
    }
}

impl Payload for Unsent {
    fn payload(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Letter(letter) => letter.payload(),
            Self::Line(line) => line.payload(),
        }
    }

    fn origin(&self) -> Option<Origin> {
        match self {
            Self::Letter(letter) => letter.origin(),
            Self::Line(line) => line.origin(),
        }
    }

    fn letter(&self) -> Option<&DeadLetter> {
        match self {
            Self::Letter(letter) => Some(letter),
            Self::Line(_) => None,
        }
    }
}

impl<T> Redriven<T> {
    /// The same letter with another view of the item, `f(item)`.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Redriven<U> {
        Redriven { letter: self.letter, item: f(self.item) }
    }
}

impl<T> Payload for Redriven<T> {
    fn payload(&self) -> Cow<'_, [u8]> {
        self.letter.payload()
    }

    fn origin(&self) -> Option<Origin> {
        self.letter.origin()
    }

    fn letter(&self) -> Option<&DeadLetter> {
        Some(&self.letter)
    }
}

impl<T: Validate> Validate for Redriven<T> {
    fn validate(&self) -> Result<(), ValidationErrors> {
        self.item.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter::{DeadLetterQueue, FailureKind, JsonlQueue, read_letters};
    use chrono::DateTime;
    use std::path::PathBuf;

    fn letter(payload: &[u8], redrives: u32) -> DeadLetter {
        let line = Line::new(payload, 7, "a.jsonl");
        let rejected = Rejected::new(line, "check", Reason::decode("no")).with_attempts(2);
        DeadLetter { redrives, ..DeadLetter::from_rejected(&rejected, DateTime::UNIX_EPOCH) }
    }

    fn file(letters: &[DeadLetter]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dead.jsonl");
        let mut queue = JsonlQueue::create(&path).unwrap();
        letters.iter().for_each(|letter| queue.push(letter.clone()).unwrap());
        (folder, path)
    }

    fn counted(counts: &RedriveCounts) -> [u64; 3] {
        [counts.sent(), counts.refused(), counts.unreadable()]
    }

    #[test]
    fn each_line_is_sent_refused_or_unreadable() {
        let (_folder, path) = file(&[letter(b"a", 0), letter(b"b", 2), letter(b"\xff\0", 1)]);
        let mut text = std::fs::read(&path).unwrap();
        text.extend_from_slice(b"no letter\n\n{\"version\":1,\"id");
        std::fs::write(&path, &text).unwrap();
        let letters = redrive(&path).unwrap().max_redrives(2);
        let counts = letters.counts();
        let read: Vec<_> = letters.collect();
        assert_eq!(counted(&counts), [2, 1, 2]);
        assert_eq!(read[0].as_ref().unwrap(), &letter(b"a", 1));
        assert_eq!(read[2].as_ref().unwrap(), &letter(b"\xff\0", 2));
        let failures: Vec<_> = read.iter().filter_map(|read| read.as_ref().err()).collect();
        let told: Vec<_> =
            failures.iter().map(|rejected| (rejected.reason.kind(), rejected.item.payload())).collect();
        assert_eq!(
            told,
            [
                (FailureKind::RedriveLimit, b"b"[..].into()),
                (FailureKind::Decode, b"no letter"[..].into()),
                (FailureKind::Decode, b"{\"version\":1,\"id"[..].into()),
            ]
        );
        assert_eq!(failures[0].to_string(), "redrive: sent again 2 times already, at most 2 are allowed");
        let torn = failures[2].reason.message();
        assert!(torn.contains("line 6: torn after 16 bytes, from byte"), "{torn}");
        assert_eq!(failures[2].item.origin().unwrap().line, Some(6));

        // With 0 all letters are refused.
        let letters = redrive(&path).unwrap().max_redrives(0);
        let counts = letters.counts();
        assert_eq!((letters.filter(Result::is_ok).count(), counted(&counts)), (0, [0, 3, 2]));
    }

    #[test]
    fn what_cannot_be_decoded_is_a_failure_of_its_letter() {
        let (_folder, path) = file(&[letter(b"1", 0), letter(b"x", 0), letter(b"3", 0)]);
        let values = redrive(&path).unwrap().decode(|bytes| {
            assert_ne!(bytes, b"3", "three");
            serde_json::from_slice::<u8>(bytes)
        });
        let counts = values.counts();
        let read: Vec<_> = values.collect();
        let first = read[0].as_ref().unwrap();
        assert_eq!((first.item, &first.letter), (1, &letter(b"1", 1)));
        assert_eq!(first.clone().map(|n| n + 1).item, 2);
        let kinds: Vec<_> = read[1..].iter().map(|read| read.as_ref().unwrap_err().reason.kind()).collect();
        assert_eq!(kinds, [FailureKind::Decode, FailureKind::Panic]);
        assert_eq!(counted(&counts), [3, 0, 0]);
        let again = DeadLetter::from_rejected(read[1].as_ref().unwrap_err(), DateTime::UNIX_EPOCH);
        assert_eq!((again.id, again.attempts, again.redrives), (letter(b"x", 0).id, 3, 1));
    }

    #[test]
    fn letters_that_fail_again_may_go_to_the_same_file() {
        let (_folder, path) = file(&[letter(b"a", 0), letter(b"b", 0)]);
        let mut queue = JsonlQueue::append(&path).unwrap();
        let mut sent = 0;
        for letter in redrive(&path).unwrap() {
            let rejected = Rejected::new(letter.unwrap(), "check", Reason::decode("still no"));
            queue.push(DeadLetter::from_rejected(&rejected, DateTime::UNIX_EPOCH)).unwrap();
            sent += 1;
        }
        assert_eq!((sent, read_letters(&path).unwrap().count()), (2, 4));
    }

    #[test]
    fn absent_file_is_named() {
        let error = redrive("/absent/dead.jsonl").unwrap_err().to_string();
        assert!(error.starts_with("/absent/dead.jsonl: line 0: "), "{error}");
    }
}
