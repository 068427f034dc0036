//! What outlives a restart, and what is injected.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rxevents::{
    dead_letter::{DeadLetterError, QueueError},
    delivery::{AckPolicy, MemoryPosition},
    prelude::*,
    source::Replayed,
};

/// Numbers from a seed (SplitMix64).
#[derive(Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut n = self.0;
        n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ (n >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// A few of these ids.
    fn some(&mut self, ids: &BTreeSet<u64>, share: u64) -> BTreeSet<u64> {
        ids.iter().copied().filter(|_| self.one_in(share)).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An event, whose drop may panic.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) id: u64,
    faults: Faults,
}

impl Clone for Item {
    fn clone(&self) -> Self {
        Self { id: self.id, faults: self.faults.clone() }
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        if !std::thread::panicking() && lock(&self.faults.0).drops.remove(&self.id) {
            panic!("injected: a drop of {}", self.id);
        }
    }
}

impl Payload for Item {
    fn payload(&self) -> Cow<'_, [u8]> {
        self.id.to_string().into_bytes().into()
    }
}

/// What is to go wrong, each thing once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults(Arc<Mutex<Planned>>);

#[derive(Debug, Default)]
struct Planned {
    panics: BTreeSet<u64>,
    drops: BTreeSet<u64>,
    write_fails: Option<(u64, bool)>,
    flush_fails: Option<(u64, bool)>,
    push_fails: Option<(u64, bool)>,
    letters_flush_fails: Option<(u64, bool)>,
}

/// Counts down to a failure: an error, or a panic.
fn due(plan: &mut Option<(u64, bool)>, what: &str) -> io::Result<()> {
    match plan {
        Some((0, panics)) => {
            let panics = *panics;
            *plan = None;
            assert!(!panics, "injected: {what}");
            Err(io::Error::other(format!("injected: {what}")))
        }
        Some((left, _)) => {
            *left -= 1;
            Ok(())
        }
        None => Ok(()),
    }
}

impl Faults {
    fn plan(&self, random: &mut Random, ids: &BTreeSet<u64>, n: u64) {
        let mut plan = lock(&self.0);
        let at =
            |random: &mut Random, share| random.one_in(share).then(|| (random.below(n), random.one_in(2)));
        *plan = Planned {
            panics: if random.one_in(4) { random.some(ids, n) } else { BTreeSet::new() },
            drops: if random.one_in(4) { random.some(ids, n) } else { BTreeSet::new() },
            write_fails: at(random, 6),
            flush_fails: at(random, 6).map(|(left, panics)| (left / 4, panics)),
            push_fails: at(random, 6).map(|(left, panics)| (left / 8, panics)),
            letters_flush_fails: at(random, 6).map(|(left, panics)| (left / 8, panics)),
        };
    }

    fn none(&self) {
        *lock(&self.0) = Planned::default();
    }

    /// Somewhere in a user's closure.
    pub(crate) fn maybe_panic(&self, id: u64) {
        let panics = lock(&self.0).panics.remove(&id);
        assert!(!panics, "injected: a closure at {id}");
    }
}

/// Ids that are safe somewhere.
#[derive(Clone, Default)]
pub(crate) struct Ids(Arc<Mutex<BTreeSet<u64>>>);

impl Ids {
    pub(crate) fn add(&self, ids: impl IntoIterator<Item = u64>) {
        lock(&self.0).extend(ids);
    }

    pub(crate) fn has(&self, id: u64) -> bool {
        lock(&self.0).contains(&id)
    }

    fn among(&self, ids: impl Iterator<Item = u64>) -> u64 {
        ids.filter(|id| self.has(*id)).count() as u64
    }

    fn clear(&self) {
        lock(&self.0).clear();
    }
}

/// A sink whose output counts when it is flushed.
#[derive(Clone)]
pub(crate) struct Sink {
    faults: Faults,
    flushed: Ids,
    flushed_now: Ids,
    written: Vec<u64>,
    slow: bool,
}

impl EventSink<Vec<u64>> for Sink {
    type Error = io::Error;

    fn write(&mut self, ids: &Vec<u64>) -> io::Result<()> {
        if self.slow {
            std::thread::yield_now();
        }
        due(&mut lock(&self.faults.0).write_fails, "a write")?;
        self.written.extend(ids);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        // What is not flushed well is not there.
        let written = std::mem::take(&mut self.written);
        due(&mut lock(&self.faults.0).flush_fails, "a flush")?;
        self.flushed.add(written.iter().copied());
        self.flushed_now.add(written);
        Ok(())
    }
}

/// A queue whose letters count when it is flushed.
#[derive(Clone)]
pub(crate) struct Letters {
    faults: Faults,
    durable: Ids,
    durable_now: Ids,
    pushed: Vec<u64>,
}

impl DeadLetterQueue for Letters {
    fn push(&mut self, letter: DeadLetter) -> Result<(), DeadLetterError> {
        let failed = due(&mut lock(&self.faults.0).push_fails, "a letter");
        if let Err(cause) = failed {
            return Err(DeadLetterError { letter: letter.into(), cause: QueueError::Other(cause.into()) });
        }
        let id = String::from_utf8(letter.payload.to_vec()).unwrap().parse().unwrap();
        self.pushed.push(id);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), QueueError> {
        let pushed = std::mem::take(&mut self.pushed);
        due(&mut lock(&self.faults.0).letters_flush_fails, "a flush of letters")
            .map_err(|cause| QueueError::Other(cause.into()))?;
        self.durable.add(pushed.iter().copied());
        self.durable_now.add(pushed);
        Ok(())
    }

    fn is_durable(&self) -> bool {
        false
    }
}

/// One source: `first..first + n`.
pub(crate) struct Source {
    position: MemoryPosition,
    first: u64,
    n: u64,
    /// Ids that a policy has dropped, or may have.
    dropped: Ids,
}

/// What outlives restarts.
pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) sources: Vec<Source>,
    pub(crate) faults: Faults,
    flushed: Ids,
    letters: Ids,
    filtered: Ids,
    flushed_now: Ids,
    letters_now: Ids,
    filtered_now: Ids,
}

/// One run of a pipeline.
pub(crate) struct Run {
    pub(crate) acks: Vec<Acknowledger>,
    pub(crate) items: Vec<Items>,
    pub(crate) sink: Sink,
    pub(crate) letters: Letters,
    pub(crate) faults: Faults,
    filtered: [Ids; 2],
    from: Vec<u64>,
    pub(crate) flush_every: usize,
}

pub(crate) type Items = Box<dyn Iterator<Item = Result<Delivery<Item>, StreamError>> + Send>;

impl Run {
    /// The pipeline's own rule: every seventh is not wanted.
    pub(crate) fn wanted(&self) -> impl FnMut(&Delivery<Item>) -> bool + Clone + Send + use<> {
        let (faults, filtered) = (self.faults.clone(), self.filtered.clone());
        move |item| {
            faults.maybe_panic(item.id);
            let wanted = item.id % 7 != 3;
            if !wanted {
                filtered.iter().for_each(|ids| ids.add([item.id]));
            }
            wanted
        }
    }
}

impl World {
    pub(crate) fn new(seed: u64, sources: usize, n: u64) -> Self {
        let sources = (0..sources as u64).map(|source| Source {
            position: MemoryPosition::default(),
            first: source * 1_000_000,
            n,
            dropped: Ids::default(),
        });
        let ids = Ids::default;
        Self {
            random: Random(seed),
            sources: sources.collect(),
            faults: Faults::default(),
            flushed: ids(),
            letters: ids(),
            filtered: ids(),
            flushed_now: ids(),
            letters_now: ids(),
            filtered_now: ids(),
        }
    }

    pub(crate) fn begin(&mut self, faulty: bool) -> Run {
        let ids = self.sources.iter().flat_map(|source| source.first..source.first + source.n).collect();
        match faulty {
            true => self.faults.plan(&mut self.random, &ids, 40),
            false => self.faults.none(),
        }
        for ids in [&self.flushed_now, &self.letters_now, &self.filtered_now] {
            ids.clear();
        }
        let policy = AckPolicy::default().commit_every(1 + self.random.below(4));
        let acks = self.sources.iter().enumerate().map(|(n, source)| {
            let name = ["left", "right"][n];
            Acknowledger::with(name, source.position.clone(), policy).unwrap()
        });
        let acks: Vec<_> = acks.collect();
        let items = acks.iter().zip(&self.sources).map(|(acks, source)| {
            let faults = self.faults.clone();
            let ids = source.first..source.first + source.n;
            let items = Replayed::new(ids);
            let items = acks.resume(items).unwrap();
            let items = items.map(move |id| {
                let faults = faults.clone();
                id.map(|delivery| delivery.map(|id| Item { id, faults }))
            });
            Box::new(items) as Items
        });
        let items = items.collect();
        let sink = Sink {
            faults: self.faults.clone(),
            flushed: self.flushed.clone(),
            flushed_now: self.flushed_now.clone(),
            written: vec![],
            slow: self.random.one_in(3),
        };
        let letters = Letters {
            faults: self.faults.clone(),
            durable: self.letters.clone(),
            durable_now: self.letters_now.clone(),
            pushed: vec![],
        };
        Run {
            from: self.committed(),
            acks,
            items,
            sink,
            letters,
            faults: self.faults.clone(),
            filtered: [self.filtered.clone(), self.filtered_now.clone()],
            flush_every: 1 + self.random.below(5) as usize,
        }
    }

    fn committed(&self) -> Vec<u64> {
        self.sources.iter().map(|source| source.position.get().map_or(0, |at| at.lines)).collect()
    }

    /// Looks whether anything was lost in a run that is over; whether all is done.
    pub(crate) fn end(&mut self, run: Run, drops: bool) -> Result<bool, String> {
        let Run { acks, items, sink, letters, from, .. } = run;
        drop((items, sink, letters));
        for ((acks, source), from) in acks.iter().zip(&self.sources).zip(from) {
            let committed = acks.commit().map_err(|error| error.to_string())?.map_or(0, |at| at.lines);
            // Other threads may still be about to let go of theirs.
            let patience = Instant::now() + Duration::from_secs(60);
            while acks.counts().in_flight > 0 && Instant::now() < patience {
                std::thread::sleep(Duration::from_micros(50));
            }
            let counts = acks.counts();
            counts.check().map_err(|error| error.to_string())?;
            if counts.in_flight > 0 {
                return Err(format!("held for ever: {counts:?}"));
            }
            if counts.dropped > 0 && !drops {
                return Err(format!("dropped, and there is no policy: {counts:?}"));
            }
            let ids = || source.first..source.first + source.n;
            for (count, known, name) in [
                (counts.delivered, &self.flushed_now, "delivered"),
                (counts.filtered, &self.filtered_now, "filtered"),
                (counts.dead_lettered, &self.letters_now, "dead-lettered"),
            ] {
                let known = known.among(ids());
                if count > known {
                    return Err(format!("{name} {count}, and should be at most {known}: {counts:?}"));
                }
            }
            let safe = |id: &u64| self.flushed.has(*id) || self.letters.has(*id) || self.filtered.has(*id);
            let lost: Vec<u64> = (source.first + from..source.first + committed)
                .filter(|id| !safe(id) && !source.dropped.has(*id))
                .collect();
            if lost.len() as u64 > counts.dropped {
                return Err(format!("committed {committed}, and these are lost: {lost:?}; {counts:?}"));
            }
            source.dropped.add(lost);
        }
        Ok(self.sources.iter().zip(self.committed()).all(|(source, committed)| committed == source.n))
    }
}
