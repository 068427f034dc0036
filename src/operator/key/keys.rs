use std::{
    borrow::Borrow,
    collections::VecDeque,
    hash::{BuildHasher, Hash},
    num::NonZeroUsize,
};

use hashbrown::HashTable;

use crate::{Drops, error::OverflowError};

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
#[derive(Clone)]
pub(crate) struct Table<K, V, H> {
    keys: Keys<H>,
    slots: HashTable<Slot<K, V>>,
    /// For forgetting: the keys in the order in which they are looked at.
    clock: VecDeque<K>,
}

#[derive(Clone)]
struct Slot<K, V> {
    key: K,
    used: bool,
    value: V,
}

impl<K: Hash + Eq + Clone, V, H: BuildHasher> Table<K, V, H> {
    pub(crate) fn new(keys: Keys<H>) -> Self {
        Self { keys, slots: HashTable::new(), clock: VecDeque::new() }
    }

    /// Forgets all keys at once; the policy has no part in it.
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.clock.clear();
    }

    /// The state of `key`; that of a new one is `new`.
    #[inline]
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
        let Self { keys, slots, clock } = self;
        let hash = keys.hasher.hash_one(key);
        let slots = match slots.find_entry(hash, |slot| Borrow::<Q>::borrow(&slot.key) == key) {
            Ok(slot) => {
                let slot = slot.into_mut();
                slot.used = true;
                return Ok(&mut slot.value);
            }
            Err(absent) => absent.into_table(),
        };
        // The state may be a user's, whose making may panic: before anything is changed.
        let (value, key) = (new(), key.to_owned());
        if slots.len() >= keys.capacity.get() {
            if keys.overflow == KeyOverflow::Error {
                return Err(OverflowError { operator, capacity: keys.capacity.get() });
            }
            forget(keys, slots, clock);
        }
        if keys.overflow == KeyOverflow::Forget {
            clock.push_back(key.clone());
        }
        let slot = Slot { key, used: false, value };
        // The hash of an owned key is that of the borrowed one, as `Borrow` demands.
        let slot = slots.insert_unique(hash, slot, |slot| keys.hasher.hash_one(&slot.key));
        Ok(&mut slot.into_mut().value)
    }
}

#[cold]
fn forget<K: Hash + Eq, V, H: BuildHasher>(
    keys: &Keys<H>,
    slots: &mut HashTable<Slot<K, V>>,
    clock: &mut VecDeque<K>,
) {
    while let Some(key) = clock.pop_front() {
        let Ok(mut slot) = slots.find_entry(keys.hasher.hash_one(&key), |slot| slot.key == key) else {
            continue;
        };
        if std::mem::take(&mut slot.get_mut().used) {
            clock.push_back(key);
        } else {
            slot.remove();
            return keys.forgotten.add(1);
        }
    }
}
