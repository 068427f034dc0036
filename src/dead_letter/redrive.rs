use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use uuid::Uuid;
use validator::{Validate, ValidationErrors};

use super::{
    DeadLetter, FailureKind, Letters, Origin, Payload, ReadError, Reason, RedriveCursor, Rejected, attempt,
};
use crate::{
    error::{PanicError, catch},
    source::Line,
};

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
/// - One that was tried [`max_attempts`](Redrive::max_attempts) times already, or whose payload was cut, is refused, too.
/// - [`only`](Redrive::only) chooses, [`newest_only`](Redrive::newest_only) leaves out what a later line is in the place of,
///   [`resume`](Redrive::resume) goes on where an earlier run was interrupted, [`at_rate`](Redrive::at_rate) sends so many a
///   second, and [`dry_run`](Redrive::dry_run) sends nothing and counts.
/// - [`counts`](Redrive::counts) says how many there were of each. Together that is every line that is not empty.
/// - A letter that fails again keeps its id, payload, origin and first failure: see [`DeadLetter::from_rejected`].
///
/// The file is read only, and only what was in it at this call, so that letters which fail again may be appended to the
/// same file: they are not read in this run, and the next one, with [`newest_only`](Redrive::newest_only), reads them in
/// the place of the old ones, so that their count of redrives holds. To have none sent twice, move the file away first, write what fails again to a new one, and remove the old
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
    let counts = RedriveCounts::default();
    counts.0.length.store(letters.end().unwrap_or(0), Ordering::Relaxed);
    Ok(Redrive {
        letters,
        max_redrives: DEFAULT_MAX_REDRIVES,
        max_attempts: None,
        only: None,
        newest: None,
        cursor: None,
        counts,
    })
}

/// The letters of a file, sent again; see [`redrive`].
pub struct Redrive {
    letters: Letters,
    max_redrives: u32,
    max_attempts: Option<u32>,
    only: Option<Box<dyn FnMut(&DeadLetter) -> bool + Send>>,
    /// The line of the last letter with this id.
    newest: Option<HashMap<Uuid, u64, RandomState>>,
    cursor: Option<RedriveCursor>,
    counts: RedriveCounts,
}

impl fmt::Debug for Redrive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redrive")
            .field("letters", &self.letters)
            .field("max_redrives", &self.max_redrives)
            .field("max_attempts", &self.max_attempts)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

/// What a redrive would do; see [`Redrive::dry_run`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DryRun {
    /// How many letters would be sent.
    pub sent: u64,
    /// How many would be refused.
    pub refused: u64,
    /// How many lines are no letters.
    pub unreadable: u64,
    /// How many letters [`only`](Redrive::only) leaves out.
    pub left_out: u64,
    /// How many letters a later line is in the place of.
    pub superseded: u64,
    /// Those that would be sent, by the kind of their failure.
    pub by_kind: BTreeMap<FailureKind, u64>,
    /// Those that would be sent, by the stage in which they failed. At most 1,000 stages; the rest is under the empty name.
    pub by_stage: BTreeMap<String, u64>,
}

const MAX_STAGES: usize = 1000;

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
    left_out: AtomicU64,
    superseded: AtomicU64,
    position: AtomicU64,
    length: AtomicU64,
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

    /// Refuses letters that were tried so often already, over all their redrives ([`Reason::AttemptLimit`]): an event that
    /// never succeeds is poison.
    #[must_use]
    pub fn max_attempts(self, max_attempts: u32) -> Self {
        Self { max_attempts: Some(max_attempts), ..self }
    }

    /// Sends only the letters for which `choose` is true. Others stay in the file, are not handed on, and are counted; a
    /// [cursor](Self::resume) passes them. One that makes it panic is refused.
    #[must_use]
    pub fn only(self, choose: impl FnMut(&DeadLetter) -> bool + Send + 'static) -> Self {
        Self { only: Some(Box::new(choose)), ..self }
    }

    /// Of several letters with the same id, sends the last one only: it is the one that has counted all attempts and
    /// redrives. Others are counted as [`superseded`](RedriveCounts::superseded).
    ///
    /// Reads the file once more, now. Holds about 32 bytes for each id, of `max_ids` at most: letters with more ids than that
    /// are sent without a look.
    ///
    /// # Errors
    /// The file cannot be read twice: it is a pipe, say.
    pub fn newest_only(self, max_ids: usize) -> Result<Self, ReadError> {
        let path = self.letters.path();
        let Some(end) = self.letters.end() else {
            let cause =
                std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is no file that can be read twice");
            return Err(ReadError::Io { path: path.into(), line: 0, cause: cause.into() });
        };
        let mut newest = HashMap::<Uuid, u64, RandomState>::default();
        let mut letters = Letters::within(path, self.letters.next_place(), Some(end))?;
        while let Some(read) = letters.read() {
            let line = letters.last_place().lines;
            match read {
                Ok(letter) if newest.len() < max_ids || newest.contains_key(&letter.id) => {
                    newest.insert(letter.id, line);
                }
                Err((_, error @ ReadError::Io { .. })) => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(Self { newest: Some(newest), ..self })
    }

    /// Goes on where an earlier run with this position file was interrupted, and keeps the position in it. If the file is not
    /// there, it begins at the beginning.
    ///
    /// The position is the place before which all letters are done. A letter that comes out, sent or refused, is done when
    /// [`RedriveCursor::done`] is told its id, or when it arrives in a [`RedriveCursor::queue`]: so letters that wait for a
    /// retry when the process is killed are sent once more. Lines that are no letters are done when the next line is
    /// taken.
    ///
    /// ```
    /// use rxevents::{dead_letter::{Redriven, redrive}, prelude::*};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = |name: &str| folder.path().join(name);
    /// Local::from_iter(["1", "x", "3"])
    ///     .try_map(|text| if *text == "1" { Ok(()) } else { Err(Reason::other("down")) })
    ///     .dead_letter(JsonlQueue::create(path("dead.jsonl"))?)
    ///     .subscribe(|()| {});
    ///
    /// for sent in [2, 0] {
    ///     let (letters, cursor) = redrive(path("dead.jsonl"))?.resume(path("position"))?;
    ///     let (counts, again) = (letters.counts(), cursor.queue(JsonlQueue::append(path("again.jsonl"))?));
    ///     Local::from_iter(letters.decode(|bytes| serde_json::from_slice::<u8>(bytes)))
    ///         .dead_letter(again) // x
    ///         .subscribe(move |sent: Redriven<u8>| cursor.done(sent.letter.id).unwrap()); // 3
    ///     assert_eq!(counts.sent(), sent);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The position file cannot be read, or is of another file.
    pub fn resume(self, position: impl AsRef<Path>) -> Result<(Self, RedriveCursor), ReadError> {
        let path = self.letters.path().to_owned();
        let (cursor, place) = RedriveCursor::open(position.as_ref(), &path)?;
        let letters = Letters::within(&path, place, self.letters.end())?;
        Ok((Self { letters, cursor: Some(cursor.clone()), ..self }, cursor))
    }

    /// What would be sent. Sends nothing, and changes nothing: no file, no position.
    pub fn dry_run(mut self) -> DryRun {
        self.cursor = None;
        self.counts = RedriveCounts::default();
        let mut run = DryRun::default();
        for letter in &mut self {
            let Ok(letter) = letter else { continue };
            *run.by_kind.entry(letter.kind).or_default() += 1;
            let known = run.by_stage.len() < MAX_STAGES || run.by_stage.contains_key(&letter.stage);
            *run.by_stage.entry(if known { letter.stage } else { String::new() }).or_default() += 1;
        }
        let counts = &self.counts;
        DryRun {
            sent: counts.sent(),
            refused: counts.refused(),
            unreadable: counts.unreadable(),
            left_out: counts.left_out(),
            superseded: counts.superseded(),
            ..run
        }
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

    /// How many letters [`only`](Redrive::only) has left out.
    pub fn left_out(&self) -> u64 {
        self.0.left_out.load(Ordering::Relaxed)
    }

    /// How many letters were left out because of a later one with the same id: see [`newest_only`](Redrive::newest_only).
    pub fn superseded(&self) -> u64 {
        self.0.superseded.load(Ordering::Relaxed)
    }

    /// How much of the file is read, in bytes: the first is where, the second its length (0 for a pipe).
    pub fn progress(&self) -> (u64, u64) {
        (self.0.position.load(Ordering::Relaxed), self.0.length.load(Ordering::Relaxed))
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Redrive {
    /// Why it is not tried again.
    fn refusal(&self, letter: &DeadLetter) -> Option<Reason> {
        let DeadLetter { redrives, attempts, .. } = *letter;
        if redrives >= self.max_redrives {
            return Some(Reason::RedriveLimit { redrives, limit: self.max_redrives });
        }
        if let Some(limit) = self.max_attempts.filter(|limit| attempts >= *limit) {
            return Some(Reason::AttemptLimit { attempts, limit });
        }
        let length = letter.truncated_from?;
        Some(Reason::Truncated { length, kept: letter.payload.len() as u64 })
    }

    /// Whether to send it; `Err`: the closure has panicked.
    fn chosen(&mut self, letter: &DeadLetter) -> Result<bool, PanicError> {
        let Self { letters, only, newest, counts, .. } = self;
        let later = newest.as_ref().and_then(|newest| newest.get(&letter.id));
        if later.is_some_and(|line| *line != letters.last_place().lines) {
            count(&counts.0.superseded);
            return Ok(false);
        }
        let Some(only) = only else { return Ok(true) };
        let chosen = catch("redrive", || only(letter))?;
        if !chosen {
            count(&counts.0.left_out);
        }
        Ok(chosen)
    }
}

impl Iterator for Redrive {
    type Item = Result<DeadLetter, Rejected<Unsent>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // What was read before is handed on.
            if let Some(cursor) = &self.cursor {
                cursor.read_to(self.letters.next_place());
            }
            let read = self.letters.read();
            self.counts.0.position.store(self.letters.next_place().offset, Ordering::Relaxed);
            let Some(read) = read else {
                if let Some(cursor) = &self.cursor {
                    cursor.read_to(self.letters.next_place());
                }
                return None;
            };
            let mut letter = match read {
                Ok(letter) => letter,
                Err((line, error)) => {
                    count(&self.counts.0.unreadable);
                    let reason = match error {
                        ReadError::Io { cause, .. } => cause,
                        error => Reason::decode(error),
                    };
                    return Some(Err(Rejected::new(Unsent::Line(line), "redrive", reason)));
                }
            };
            let refusal = match self.chosen(&letter) {
                Ok(true) => self.refusal(&letter),
                Ok(false) => continue,
                Err(panic) => Some(panic.into()),
            };
            if let Some(cursor) = &self.cursor {
                cursor.sent(letter.id, self.letters.last_place());
            }
            return Some(match refusal {
                Some(reason) => {
                    count(&self.counts.0.refused);
                    Err(Rejected::new(Unsent::Letter(letter.into()), "redrive", reason).with_attempts(0))
                }
                None => {
                    count(&self.counts.0.sent);
                    letter.redrives += 1;
                    Ok(letter)
                }
            });
        }
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

    fn headers(&self) -> BTreeMap<String, String> {
        match self {
            Self::Letter(letter) => letter.headers.clone(),
            Self::Line(_) => BTreeMap::new(),
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

    fn headers(&self) -> BTreeMap<String, String> {
        self.letter.headers.clone()
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
