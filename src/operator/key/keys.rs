use std::{
    borrow::Borrow,
    collections::VecDeque,
    hash::{BuildHasher, Hash},
    mem,
    num::NonZeroUsize,
};

use hashbrown::HashTable;

use crate::{
    Drops,
    error::{OverflowError, drop_each},
};

/// The hasher of keys unless another is chosen: foldhash, seeded anew in each process.
pub type FastHasher = foldhash::fast::RandomState;

/// What an operator can go by: anything with a hash, borrowed or owned (`str` is kept as `String`, `Arc<str>` as itself).
pub trait Key: ToOwned<Owned: Hash + Eq + Clone> + Hash + Eq {}
impl<K: ToOwned<Owned: Hash + Eq + Clone> + Hash + Eq + ?Sized> Key for K {}

/// What happens when there is no room for a new key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum KeyOverflow {
    /// The stream ends with [`StreamError::Overflow`](crate::StreamError::Overflow): nothing is lost silently.
    #[default]
    Error,
    /// A key without an item for long is forgotten, with its state, and counted: the oldest one that had no item since
    /// it was last looked at (second chance, also called CLOCK).
    Forget,
}

/// How many keys an operator remembers, what happens beyond that, and how they are hashed.
///
/// The default is 1,048,576 keys and fails when full; memory grows with use.
#[derive(Debug, Clone)]
pub struct Keys<H = FastHasher> {
    capacity: NonZeroUsize,
    overflow: KeyOverflow,
    forgotten: Drops,
    hasher: H,
}

impl Default for Keys {
    fn default() -> Self {
        Self::new(1 << 20)
    }
}

impl Keys {
    /// Room for `capacity` keys (0 is taken as 1); it fails when full.
    pub fn new(capacity: usize) -> Self {
        let capacity = NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN);
        let (overflow, forgotten) = Default::default();
        Self { capacity, overflow, forgotten, hasher: FastHasher::default() }
    }
}

impl<H> Keys<H> {
    /// The policy for a new key when there is no room.
    #[must_use]
    pub fn on_overflow(self, overflow: KeyOverflow) -> Self {
        Self { overflow, ..self }
    }

    /// Hashes keys by `hasher`.
    pub fn hasher<J: BuildHasher>(self, hasher: J) -> Keys<J> {
        let Self { capacity, overflow, forgotten, .. } = self;
        Keys { capacity, overflow, forgotten, hasher }
    }

    /// The counter of forgotten keys; it stays readable while the stream runs.
    pub fn forgotten(&self) -> Drops {
        self.forgotten.clone()
    }
}

/// A state for each key.
pub(crate) struct Table<K, V, H> {
    /// Behind a pointer, and the slots are given away as a value when a key is new: so the operators' states need not
    /// be in memory for that.
    keys: Box<Keys<H>>,
    slots: Slots<K, V>,
}

/// The states, and for forgetting the keys in the order in which they are looked at.
#[derive(Clone)]
struct Slots<K, V> {
    table: HashTable<Slot<K, V>>,
    clock: VecDeque<K>,
}

#[derive(Clone)]
struct Slot<K, V> {
    key: K,
    used: bool,
    /// While the clock is swept: it has been found.
    listed: bool,
    value: V,
}

impl<K: Clone, V: Clone, H: Clone> Clone for Table<K, V, H> {
    fn clone(&self) -> Self {
        Self { keys: self.keys.clone(), slots: self.slots.clone() }
    }
}

impl<K, V, H> Drop for Table<K, V, H> {
    fn drop(&mut self) {
        drop_each(self.slots.table.drain());
    }
}

impl<K: Hash + Eq + Clone, V, H: BuildHasher> Table<K, V, H> {
    pub(crate) fn new(keys: Keys<H>) -> Self {
        Self { keys: Box::new(keys), slots: Slots { table: HashTable::new(), clock: VecDeque::new() } }
    }

    /// Forgets all keys at once; the policy has no part in it.
    pub(crate) fn clear(&mut self) {
        drop_each(self.slots.table.drain());
        self.slots.clock.clear();
    }

    /// The state of `key`; that of a new one is `new`.
    #[inline(always)]
    pub(crate) fn get<Q>(
        &mut self,
        key: &Q,
        operator: &'static str,
        new: impl FnOnce() -> V,
    ) -> Result<&mut V, OverflowError>
    where
        Q: Key<Owned = K> + ?Sized,
        K: Borrow<Q>,
    {
        self.get_or_evict(key, operator, new).map(|(value, _)| value)
    }

    /// The same, with the state that was forgotten for that of a new key.
    #[inline(always)]
    pub(crate) fn get_or_evict<Q>(
        &mut self,
        key: &Q,
        operator: &'static str,
        new: impl FnOnce() -> V,
    ) -> Result<(&mut V, Option<V>), OverflowError>
    where
        Q: Key<Owned = K> + ?Sized,
        K: Borrow<Q>,
    {
        let Self { keys, slots: Slots { table, clock } } = self;
        let hash = keys.hasher.hash_one(key);
        let table = match table.find_entry(hash, |slot| Borrow::<Q>::borrow(&slot.key) == key) {
            Ok(slot) => {
                let slot = slot.into_mut();
                slot.used = true;
                return Ok((&mut slot.value, None));
            }
            Err(absent) => absent.into_table(),
        };
        let full = OverflowError { operator, capacity: keys.capacity.get() };
        if keys.is_full(table.len()) {
            return Err(full);
        }
        // The state may be a user's, whose making may panic: before anything is changed.
        let slot = Slot { value: new(), key: key.to_owned(), used: false, listed: false };
        let mut forgotten = None;
        if keys.overflow == KeyOverflow::Forget {
            let slots = Slots { table: mem::take(table), clock: mem::take(clock) };
            (Slots { table: *table, clock: *clock }, forgotten) = with_room(slots, keys, slot.key.clone());
        }
        let at;
        (*table, at) = inserted(mem::take(table), keys, hash, slot);
        // It is there.
        Ok((&mut table.get_bucket_mut(at).ok_or(full)?.value, forgotten))
    }

    /// The state of `key`, if it has one.
    pub(crate) fn find<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        Q: Key<Owned = K> + ?Sized,
        K: Borrow<Q>,
    {
        let hash = self.keys.hasher.hash_one(key);
        let found = self.slots.table.find_mut(hash, |slot| Borrow::<Q>::borrow(&slot.key) == key);
        found.map(|slot| &mut slot.value)
    }

    /// Forgets `key`, if its state is what `which` says; the policy has no part in it.
    pub(crate) fn remove(&mut self, key: &K, which: impl FnOnce(&V) -> bool) -> Option<V> {
        let hash = self.keys.hasher.hash_one(key);
        let slot = self.slots.table.find_entry(hash, |slot| slot.key == *key).ok()?;
        if which(&slot.get().value) { Some(slot.remove().0.value) } else { None }
    }

    /// All states, in no order; the keys are forgotten.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = V> {
        self.slots.clock.clear();
        self.slots.table.drain().map(|slot| slot.value)
    }

    /// How many keys it remembers at most.
    pub(crate) fn capacity(&self) -> usize {
        self.keys.capacity.get()
    }
}

impl<H> Keys<H> {
    /// Whether there is neither room for a new key nor a policy that makes some.
    fn is_full(&self, len: usize) -> bool {
        len >= self.capacity.get() && self.overflow == KeyOverflow::Error
    }
}

/// With a key more, and the place of its state.
#[inline(never)]
fn inserted<K: Hash + Eq, V, H: BuildHasher>(
    mut table: HashTable<Slot<K, V>>,
    keys: &Keys<H>,
    hash: u64,
    slot: Slot<K, V>,
) -> (HashTable<Slot<K, V>>, usize) {
    // The hash of an owned key is that of the borrowed one, as `Borrow` demands.
    let at = table.insert_unique(hash, slot, |slot| keys.hasher.hash_one(&slot.key)).bucket_index();
    (table, at)
}

/// With room for a new key, which is the last to be looked at, and the state that was forgotten for it.
#[inline(never)]
fn with_room<K: Hash + Eq, V, H: BuildHasher>(
    mut slots: Slots<K, V>,
    keys: &Keys<H>,
    key: K,
) -> (Slots<K, V>, Option<V>) {
    let full = slots.table.len() >= keys.capacity.get();
    let forgotten = if full { forget(keys, &mut slots) } else { None };
    // Keys that were removed are still in it.
    if slots.clock.len() > 2 * slots.table.len() + 16 {
        sweep(keys, &mut slots);
    }
    slots.clock.push_back(key);
    (slots, forgotten)
}

/// Has each key in the clock once.
fn sweep<K: Hash + Eq, V, H: BuildHasher>(keys: &Keys<H>, slots: &mut Slots<K, V>) {
    let Slots { table, clock } = slots;
    clock.retain(|key| match table.find_mut(keys.hasher.hash_one(key), |slot| slot.key == *key) {
        Some(slot) => !mem::replace(&mut slot.listed, true),
        None => false,
    });
    table.iter_mut().for_each(|slot| slot.listed = false);
}

fn forget<K: Hash + Eq, V, H: BuildHasher>(keys: &Keys<H>, slots: &mut Slots<K, V>) -> Option<V> {
    while let Some(key) = slots.clock.pop_front() {
        let hash = keys.hasher.hash_one(&key);
        let Ok(mut slot) = slots.table.find_entry(hash, |slot| slot.key == key) else {
            continue;
        };
        if mem::take(&mut slot.get_mut().used) {
            slots.clock.push_back(key);
        } else {
            keys.forgotten.add(1);
            return Some(slot.remove().0.value);
        }
    }
    None
}
