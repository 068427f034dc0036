use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{DeadLetter, DeadLetterError, DeadLetterQueue, QueueError};

/// A queue in memory, bounded by its number of letters. Clones are handles of the same queue.
///
/// When it is full it refuses new letters (the error gives them back) and keeps the old ones.
#[derive(Debug, Clone)]
pub struct MemoryQueue {
    letters: Arc<Mutex<VecDeque<DeadLetter>>>,
    capacity: usize,
}

impl MemoryQueue {
    /// An empty queue that holds at most `capacity` letters. Memory is taken only for those that it holds.
    pub fn new(capacity: usize) -> Self {
        Self { letters: Arc::default(), capacity }
    }

    /// Copies of all letters, the oldest first.
    pub fn letters(&self) -> Vec<DeadLetter> {
        self.lock().iter().cloned().collect()
    }

    /// Takes all letters out, the oldest first.
    pub fn drain(&self) -> Vec<DeadLetter> {
        std::mem::take(&mut *self.lock()).into()
    }

    /// The number of letters.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there is no letter.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// The number of letters that it can hold.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// A thread that panicked with the lock held cannot have left a letter half pushed: go on.
    fn lock(&self) -> MutexGuard<'_, VecDeque<DeadLetter>> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeadLetterQueue for MemoryQueue {
    fn push(&mut self, letter: DeadLetter) -> Result<(), DeadLetterError> {
        let mut letters = self.lock();
        if letters.len() >= self.capacity {
            let cause = QueueError::Full { capacity: self.capacity };
            return Err(DeadLetterError { letter: Box::new(letter), cause });
        }
        letters.push_back(letter);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), QueueError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter::{Reason, Rejected};

    fn letter(payload: &str) -> DeadLetter {
        let rejected = Rejected::new(payload.to_owned(), "check", Reason::decode("no"));
        DeadLetter::from_rejected(&rejected, chrono::DateTime::UNIX_EPOCH)
    }

    #[test]
    fn full_queue_gives_the_letter_back() {
        let mut queue = MemoryQueue::new(2);
        queue.push(letter("a")).unwrap();
        queue.clone().push(letter("b")).unwrap();
        let error = queue.push(letter("c")).unwrap_err();
        assert_eq!(*error.letter, letter("c"));
        assert!(matches!(error.cause, QueueError::Full { capacity: 2 }));
        assert_eq!(queue.letters(), [letter("a"), letter("b")]);
        assert_eq!(queue.drain(), [letter("a"), letter("b")]);
        assert!(queue.is_empty());
        queue.push(*error.letter).unwrap();
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn survives_a_panic_under_the_lock() {
        let mut queue = MemoryQueue::new(2);
        let other = queue.clone();
        std::thread::spawn(move || {
            let _guard = other.letters.lock().unwrap();
            std::panic::resume_unwind(Box::new("with the lock held"));
        })
        .join()
        .unwrap_err();
        queue.push(letter("a")).unwrap();
        assert_eq!(queue.len(), 1);
    }
}
