//! Windows that begin and end at the same time for all keys, and of which nothing is wanted but that they close: all keys of
//! one window are together, so that it closes by one look, and a key without events costs nothing.

use std::{
    borrow::Borrow,
    collections::VecDeque,
    hash::{BuildHasher, Hash},
};

use hashbrown::HashTable;

use super::{
    Aggregate, Carry, Firing, Late, Watermarks, WhyLate, Windowed,
    core::{Core, NAME, Sink, emit},
    shape::{Shape, piece},
};
use crate::{
    delivery::fate::abandon,
    error::named,
    event_time::{Nanos, Run},
    operator::{
        key::{FastHasher, Key},
        rate::OnDropped,
    },
};

/// One window, of all its keys.
struct Bucket<K, A, R> {
    start: i64,
    end: i64,
    index: HashTable<u32>,
    /// In the order in which the keys came.
    entries: Vec<Entry<K, A, R>>,
}

struct Entry<K, A, R> {
    key: K,
    value: A,
    receipt: R,
}

/// The open windows, in order.
pub(super) struct Buckets<K, A, R> {
    open: VecDeque<Bucket<K, A, R>>,
    /// Empty ones, whose room is used again.
    spare: Vec<Bucket<K, A, R>>,
    hasher: FastHasher,
}

/// How many empty ones are kept.
const SPARE: usize = 4;

impl<K: Hash + Eq + Clone, A, R: Default> Buckets<K, A, R> {
    pub(super) fn new() -> Self {
        Self { open: VecDeque::new(), spare: Vec::new(), hasher: FastHasher::default() }
    }

    /// The window that `at` is in, if it is the latest.
    #[inline]
    fn latest(&self, at: i64) -> Option<usize> {
        let last = self.open.len().checked_sub(1)?;
        let bucket = &self.open[last];
        (bucket.start <= at && at < bucket.end).then_some(last)
    }

    fn find(&self, start: i64) -> Result<usize, usize> {
        self.open.binary_search_by_key(&start, |bucket| bucket.start)
    }

    fn insert(&mut self, place: usize, (start, end): (i64, i64)) {
        let spare = self.spare.pop();
        let (index, entries) = spare.map_or_else(Default::default, |spare| (spare.index, spare.entries));
        self.open.insert(place, Bucket { start, end, index, entries });
    }

    /// When the first window closes.
    pub(super) fn first_end(&self) -> Option<i64> {
        self.open.front().map(|bucket| bucket.end)
    }

    fn next_due(&self) -> i64 {
        self.first_end().unwrap_or(i64::MAX)
    }

    /// The place of a key, whose hash that is, in a window.
    #[inline]
    fn entry<Q>(&self, bucket: usize, hash: u64, key: &Q) -> Option<usize>
    where
        Q: Key<Owned = K> + ?Sized,
        K: Borrow<Q>,
    {
        let Bucket { index, entries, .. } = &self.open[bucket];
        let is = |&at: &u32| Borrow::<Q>::borrow(&entries[at as usize].key) == key;
        index.find(hash, is).map(|at| *at as usize)
    }

    #[inline]
    fn add<Q>(&mut self, bucket: usize, hash: u64, key: &Q, value: A) -> usize
    where
        Q: Key<Owned = K> + ?Sized,
        K: Borrow<Q>,
    {
        let Self { open, hasher, .. } = self;
        let Bucket { index, entries, .. } = &mut open[bucket];
        let at = entries.len();
        entries.push(Entry { key: key.to_owned(), value, receipt: R::default() });
        // The hash of an owned key is that of the borrowed one, as `Borrow` demands. There are fewer windows than 2^32.
        index.insert_unique(hash, at as u32, |at| hasher.hash_one(&entries[*at as usize].key));
        at
    }
}

impl<K, Q, F, A, D, M, Y, I, N, V, B, T> Core<K, Q, F, A, D, M, Y, I>
where
    K: FnMut(&V) -> &Q,
    Q: Key + ?Sized,
    Q::Owned: Borrow<Q>,
    F: FnMut(&V) -> N,
    N: Nanos,
    Y: Carry<I, Value = V, Out<Windowed<Q::Owned, B>> = T>,
    A: Aggregate<V, Out = B>,
    D: OnDropped<Late<I>>,
    M: Watermarks<V>,
{
    /// Puts an event into its window.
    #[inline]
    pub(super) fn put_in_bucket(&mut self, item: I, at: i64, out: &mut impl Sink<T>) -> Run {
        let Some(buckets) = &mut self.buckets else { return Ok(()) };
        let value = Y::value(&item);
        let key = named(|| NAME, || (self.asked.key)(value));
        if let Some(bucket) = buckets.latest(at)
            && let hash = buckets.hasher.hash_one(key)
            && let found = buckets.entry(bucket, hash, key)
            && (found.is_some() || self.held < self.buffer.capacity())
        {
            let entry = found.unwrap_or_else(|| {
                let new = self.asked.aggregate.create();
                self.held += 1;
                buckets.add(bucket, hash, key, new)
            });
            self.add_to_entry(bucket, entry, item, at);
            return Ok(());
        }
        self.put_in_any_bucket(item, at, out)
    }

    #[inline]
    fn add_to_entry(&mut self, bucket: usize, entry: usize, item: I, at: i64) {
        let Some(buckets) = &mut self.buckets else { return };
        let (entry, value) = (&mut buckets.open[bucket].entries[entry], Y::value(&item));
        named(|| NAME, || self.asked.aggregate.add(&mut entry.value, value, at));
        if M::PUNCTUATED {
            named(|| NAME, || self.watermarks.seen(value));
        }
        Y::join(&mut entry.receipt, Y::receipt(item));
    }

    #[inline(never)]
    fn put_in_any_bucket(&mut self, item: I, at: i64, out: &mut impl Sink<T>) -> Run {
        let (start, end) = match self.shape {
            Shape::Tumbling { size, align } => piece(at, size, align),
            #[cfg(feature = "calendar")]
            Shape::Calendar(calendar) => calendar.window(at),
            _ => return Ok(()),
        };
        let mut has_room = false;
        loop {
            if end <= self.watermark || end <= self.over_until {
                self.too_late(item, Some(at), WhyLate::Expired);
                return Ok(());
            }
            let Some(buckets) = &mut self.buckets else { return Ok(()) };
            let value = Y::value(&item);
            let key = named(|| NAME, || (self.asked.key)(value));
            let found = buckets.find(start);
            let hash = buckets.hasher.hash_one(key);
            let entry = found.ok().and_then(|bucket| Some((bucket, buckets.entry(bucket, hash, key)?)));
            let (bucket, entry) = match entry {
                Some(entry) => entry,
                None if self.held < self.buffer.capacity() || has_room => {
                    let new = self.asked.aggregate.create();
                    let bucket = found.unwrap_or_else(|place| {
                        buckets.insert(place, (start, end));
                        place
                    });
                    self.held += 1;
                    self.next_due = buckets.next_due();
                    (bucket, buckets.add(bucket, hash, key, new))
                }
                None => {
                    match self.make_room(out) {
                        // The window may have closed for it.
                        Ok(true) => has_room = true,
                        Ok(false) => {
                            self.too_late(item, Some(at), WhyLate::NoRoom);
                            return Ok(());
                        }
                        Err(stop) => {
                            abandon(item);
                            return Err(stop);
                        }
                    }
                    continue;
                }
            };
            self.add_to_entry(bucket, entry, item, at);
            return Ok(());
        }
    }

    /// Closes the windows that have ended, in their order.
    pub(super) fn close_buckets(&mut self, out: &mut impl Sink<T>) -> Run {
        while let Some(buckets) = &mut self.buckets
            && buckets.next_due() <= self.watermark
            && let Some(Bucket { start, end, mut index, mut entries }) = buckets.open.pop_front()
        {
            self.next_due = buckets.next_due();
            self.held -= entries.len();
            if self.firing == Firing::Evicted {
                self.buffer.count(entries.len() as u64);
            }
            let mut rest = entries.drain(..);
            while let Some(Entry { key, value, receipt }) = rest.next() {
                let aggregate = &self.asked.aggregate;
                let sent = emit::<I, Y, _, _, _, _, _>(
                    aggregate,
                    key,
                    (start, end),
                    &value,
                    receipt,
                    self.firing,
                    out,
                );
                if sent.is_err() {
                    abandon(rest.collect::<Vec<_>>());
                    return sent;
                }
            }
            drop(rest);
            if let Some(buckets) = &mut self.buckets
                && buckets.spare.len() < SPARE
            {
                index.clear();
                buckets.spare.push(Bucket { start, end, index, entries });
            }
        }
        Ok(())
    }
}
