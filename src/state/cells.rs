//! What of a table is in memory, and how it comes from the store and goes there.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, BTreeSet},
    hash::BuildHasher,
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard},
};

use hashbrown::HashTable;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    EncodeKey, StateError, Store, TableKey, TableOptions, Write,
    applied::Logs,
    codec::{decode_at, encode, shown},
    key::{decoded, encoded},
    options::{Migrate, Ttl},
    rows::{self, NEVER},
    space::{Space, after, prefix},
    store::{Changes, Part, Sources},
    table::outside_of_updates,
};
use crate::operator::key::{FastHasher, Key};

/// A table as its state has it.
pub(crate) struct Rows<K, V> {
    pub(super) name: Arc<str>,
    store: Arc<dyn Store>,
    hasher: FastHasher,
    cells: Mutex<Cells<K, V>>,
}

/// What changes of a table.
pub(super) struct Cells<K, V> {
    pub(super) values: Values<K, V>,
    pub(super) logs: Logs,
}

/// The keys that are in memory.
pub(crate) struct Values<K, V> {
    slots: Vec<Slot<K, V>>,
    index: HashTable<u32>,
    /// The slots that have changed since the last commit.
    changed: Vec<u32>,
    /// The slots whose keys the commit that is going on forgets.
    swept: Vec<u32>,
    /// Where the next slot to be given up is looked for (second chance).
    hand: usize,
    /// All keys of the table are in the slots: no need to ask the store.
    complete: bool,
    facts: Facts,
    /// Those that are committed, and those of the commit that is going on.
    committed_facts: Facts,
    next_facts: Facts,
    cached: usize,
    sweep: usize,
    ttl: Option<Ttl>,
}

/// What is stored of a table as a whole: how many rows it has, and the newest event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Facts {
    rows: u64,
    newest: i64,
}

/// A key, and whether it has a value.
struct Slot<K, V> {
    key: K,
    value: Option<V>,
    expires: i64,
    /// The store has a row for it.
    stored: bool,
    /// The index of expiries has an entry for it.
    indexed: bool,
    changed: bool,
    used: bool,
}

impl<K, V> Slot<K, V> {
    #[inline]
    fn live(&self, now: i64) -> Option<&V> {
        self.value.as_ref().filter(|_| is_live(self.expires, now))
    }
}

#[inline]
fn is_live(expires: i64, now: i64) -> bool {
    expires > now || expires == NEVER
}

const FACTS: &[u8] = b"facts";
const VERSION: &[u8] = b"version";

impl<K, V> Rows<K, V> {
    pub(super) fn cells(&self) -> Result<MutexGuard<'_, Cells<K, V>>, StateError> {
        outside_of_updates(|| self.name.clone())?;
        self.cells.lock().map_err(|_| StateError::Poisoned(self.name.clone()))
    }

    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.store.get(key).map_err(|cause| StateError::store(&*self.store, cause))
    }

    /// The committed keys from `from` on, and before `to`.
    fn scan(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StateError>,
    ) -> Result<(), StateError> {
        let mut wrong = None;
        let scanned = self.store.scan(from, to, &mut |key, value| match each(key, value) {
            Ok(flow) => flow,
            Err(error) => {
                wrong = Some(error);
                ControlFlow::Break(())
            }
        });
        scanned.map_err(|cause| StateError::store(&*self.store, cause))?;
        wrong.map_or(Ok(()), Err)
    }

    fn key_in<Q: EncodeKey + ?Sized>(&self, space: Space, key: &Q) -> Vec<u8> {
        let mut out = prefix(space, &self.name);
        key.encode_key(&mut out);
        out
    }

    fn meta(&self, what: &[u8]) -> Vec<u8> {
        [&prefix(Space::Meta, &self.name), what].concat()
    }

    fn wrong_key(&self, key: &[u8]) -> StateError {
        StateError::Key { table: self.name.clone(), key: shown(key) }
    }
}

impl<K, V> Rows<K, V>
where
    K: TableKey,
    V: Serialize + DeserializeOwned + Send + 'static,
{
    pub(super) fn open(
        store: Arc<dyn Store>,
        name: Arc<str>,
        options: TableOptions<V>,
    ) -> Result<Self, StateError> {
        let TableOptions { cached, sweep, version, migrate, ttl } = options;
        let facts = Facts { rows: 0, newest: i64::MIN };
        let mut this = Self {
            store,
            hasher: FastHasher::default(),
            cells: Mutex::new(Cells {
                values: Values {
                    slots: Vec::new(),
                    index: HashTable::new(),
                    changed: Vec::new(),
                    swept: Vec::new(),
                    hand: 0,
                    complete: true,
                    facts,
                    committed_facts: facts,
                    next_facts: facts,
                    cached,
                    sweep,
                    ttl,
                },
                logs: Logs::new(name.clone()),
            }),
            name,
        };
        this.migrate(version, migrate)?;
        let facts_at = this.meta(FACTS);
        let facts = match this.read(&facts_at)? {
            Some(bytes) => decode_at::<(u64, i64)>(&bytes, &this.name, FACTS)?,
            None => (facts.rows, facts.newest),
        };
        let (mut empty, rows) = (true, prefix(Space::Row, &this.name));
        this.scan(&rows, after(&rows).as_deref(), |_, _| {
            empty = false;
            Ok(ControlFlow::Break(()))
        })?;
        let mut logs = Logs::new(this.name.clone());
        let applied = prefix(Space::Applied, &this.name);
        this.scan(&applied, after(&applied).as_deref(), |key, value| {
            if logs.stored(key, value) {
                Ok(ControlFlow::Continue(()))
            } else {
                Err(this.wrong_key(&key[applied.len()..]))
            }
        })?;
        let cells = this.cells.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        cells.logs = logs;
        let facts = Facts { rows: facts.0, newest: facts.1 };
        (cells.values.facts, cells.values.committed_facts) = (facts, facts);
        cells.values.complete = empty;
        Ok(this)
    }

    /// Brings the table to the version of its schema that is wanted, in one transaction.
    fn migrate(&self, wanted: u32, migrate: Option<Migrate<V>>) -> Result<(), StateError> {
        let version = self.meta(VERSION);
        let stored = match self.read(&version)? {
            Some(bytes) => decode_at(&bytes, &self.name, VERSION)?,
            None => 0_u32,
        };
        if stored == wanted {
            return Ok(());
        }
        let mut value = Vec::new();
        encode(&wanted, &self.name, &mut value)?;
        let mut batch = vec![Write { key: version, value: Some(value) }];
        let all = prefix(Space::Row, &self.name);
        self.scan(&all, after(&all).as_deref(), |key, row| {
            let Some(migrate) = migrate.as_ref().filter(|_| stored < wanted) else {
                return Err(StateError::Version { table: self.name.clone(), stored, wanted });
            };
            let name = &key[all.len()..];
            let (expires, value) = rows::split(row, &self.name, name)?;
            let value = migrate(stored, value).map_err(|cause| StateError::Decode {
                table: self.name.clone(),
                key: shown(name),
                cause,
            })?;
            let row = rows::write(expires, &value, &self.name)?;
            batch.push(Write { key: key.to_vec(), value: Some(row) });
            Ok(ControlFlow::Continue(()))
        })?;
        // What was made of events in flight, where that is a value of the table.
        let results = prefix(Space::Applied, &self.name);
        self.scan(&results, after(&results).as_deref(), |key, stored_result| {
            if let Some(migrate) = &migrate
                && let Some((id, result)) = stored_result.split_first_chunk::<8>()
                && let Ok(result) = migrate(stored, result)
            {
                let mut value = id.to_vec();
                encode(&result, &self.name, &mut value)?;
                batch.push(Write { key: key.to_vec(), value: Some(value) });
            }
            Ok(ControlFlow::Continue(()))
        })?;
        self.store.commit(batch).map_err(|cause| StateError::store(&*self.store, cause))
    }
}

impl<K, V> Values<K, V>
where
    K: TableKey,
    V: Serialize + DeserializeOwned + Send + 'static,
{
    /// The time by which keys are forgotten.
    #[inline]
    fn now(&self) -> i64 {
        match &self.ttl {
            Some(Ttl { now: Some(now), .. }) => now(),
            Some(_) => self.facts.newest,
            // Nothing is forgotten.
            None => i64::MIN,
        }
    }

    /// Half of what may be in memory has changed, and the other half is to be there for what is read.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        self.changed.len() * 2 >= self.cached
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        let changed = self.changed.iter().map(|&at| &self.slots[at as usize]);
        let (new, gone) = changed.fold((0, 0), |(new, gone), slot| match (slot.stored, &slot.value) {
            (false, Some(_)) => (new + 1, gone),
            (true, None) => (new, gone + 1),
            _ => (new, gone),
        });
        usize::try_from((self.facts.rows + new).saturating_sub(gone)).unwrap_or(usize::MAX)
    }

    /// When a key is to be forgotten that an event of the time `at` updates.
    #[inline]
    fn expires(&mut self, rows: &Rows<K, V>, at: Option<i64>) -> Result<Option<i64>, StateError> {
        let Some(Ttl { after, now }) = &self.ttl else { return Ok(None) };
        let newest = self.facts.newest;
        let at = match now {
            Some(now) => now(),
            None => at
                .or(Some(newest).filter(|newest| *newest > i64::MIN))
                .ok_or_else(|| StateError::NoTime(rows.name.clone()))?,
        };
        self.facts.newest = newest.max(at);
        // `NEVER` is for tables that forget nothing.
        Ok(Some(at.saturating_add(*after).min(NEVER - 1)))
    }

    #[inline]
    fn position<Q>(&mut self, rows: &Rows<K, V>, key: &Q) -> Result<u32, StateError>
    where
        K: Borrow<Q>,
        Q: Key<Owned = K> + EncodeKey + ?Sized,
    {
        let hash = rows.hasher.hash_one(key);
        let slots = &self.slots;
        match self.index.find(hash, |&at| Borrow::<Q>::borrow(&slots[at as usize].key) == key) {
            Some(&at) => Ok(at),
            None => self.load(rows, key, hash),
        }
    }

    /// A slot for a key that has none.
    #[cold]
    fn load<Q>(&mut self, rows: &Rows<K, V>, key: &Q, hash: u64) -> Result<u32, StateError>
    where
        Q: Key<Owned = K> + EncodeKey + ?Sized,
    {
        let mut slot = Slot {
            key: key.to_owned(),
            value: None,
            expires: NEVER,
            stored: false,
            indexed: false,
            changed: false,
            used: false,
        };
        if !self.complete
            && let row_key = rows.key_in(Space::Row, key)
            && let Some(row) = rows.read(&row_key)?
        {
            let (expires, value) = rows::read(&row, &rows.name, &row_key)?;
            (slot.expires, slot.value) = (expires, Some(value));
            (slot.stored, slot.indexed) = (true, expires != NEVER);
        }
        let at = match self.room(rows) {
            Some(at) => {
                self.slots[at] = slot;
                at
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        };
        // At most 2^31 are cached.
        let at = at as u32;
        let slots = &self.slots;
        self.index.insert_unique(hash, at, |&at| rows.hasher.hash_one(&slots[at as usize].key));
        Ok(at)
    }

    /// A slot to be used for another key, once as many are in use as may be: of a key that was not used for long, and has
    /// not changed. `None`: take a new one.
    fn room(&mut self, rows: &Rows<K, V>) -> Option<usize> {
        if self.slots.len() < self.cached {
            return None;
        }
        // Twice around: the first time takes the marks away.
        for _ in 0..2 * self.slots.len() {
            self.hand = (self.hand + 1) % self.slots.len();
            let slot = &mut self.slots[self.hand];
            if !slot.changed && !std::mem::take(&mut slot.used) {
                let hash = rows.hasher.hash_one(&slot.key);
                // What the store has is not all among the slots from now on.
                self.complete &= !slot.stored;
                if let Ok(entry) = self.index.find_entry(hash, |&at| at as usize == self.hand) {
                    entry.remove();
                }
                return Some(self.hand);
            }
        }
        None
    }

    /// The value of `key`.
    #[inline]
    pub(super) fn get<Q>(&mut self, rows: &Rows<K, V>, key: &Q) -> Result<Option<&V>, StateError>
    where
        K: Borrow<Q>,
        Q: Key<Owned = K> + EncodeKey + ?Sized,
    {
        let now = self.now();
        let at = self.position(rows, key)?;
        let slot = &mut self.slots[at as usize];
        slot.used = true;
        Ok(slot.live(now))
    }

    /// The value of `key`, to be changed by an event of the time `at`.
    #[inline]
    pub(super) fn change<Q>(
        &mut self,
        rows: &Rows<K, V>,
        key: &Q,
        at: Option<i64>,
    ) -> Result<&mut Option<V>, StateError>
    where
        K: Borrow<Q>,
        Q: Key<Owned = K> + EncodeKey + ?Sized,
    {
        let expires = self.expires(rows, at)?;
        let now = self.now();
        let place = self.position(rows, key)?;
        let slot = &mut self.slots[place as usize];
        slot.used = true;
        if !slot.changed {
            slot.changed = true;
            self.changed.push(place);
        }
        if slot.expires <= now {
            // Forgotten, if not removed yet.
            (slot.value, slot.expires) = (None, i64::MIN);
        }
        slot.expires = match expires {
            Some(expires) if slot.expires != NEVER => slot.expires.max(expires),
            Some(expires) => expires,
            None => NEVER,
        };
        Ok(&mut slot.value)
    }

    /// Changes the value of `key`, which begins as `new`.
    #[inline]
    pub(crate) fn update<Q, R>(
        &mut self,
        rows: &Rows<K, V>,
        key: &Q,
        at: Option<i64>,
        new: impl FnOnce() -> V,
        f: impl FnOnce(&mut V) -> R,
    ) -> Result<R, StateError>
    where
        K: Borrow<Q>,
        Q: Key<Owned = K> + EncodeKey + ?Sized,
    {
        Ok(f(self.change(rows, key, at)?.get_or_insert_with(new)))
    }

    /// Sets the value of `key` if it has none: whether it had none.
    #[inline]
    pub(crate) fn insert_new<Q>(
        &mut self,
        rows: &Rows<K, V>,
        key: &Q,
        at: Option<i64>,
        value: V,
    ) -> Result<bool, StateError>
    where
        K: Borrow<Q>,
        Q: Key<Owned = K> + EncodeKey + ?Sized,
    {
        // The event's time counts, whatever becomes of the event.
        self.expires(rows, at)?;
        if self.get(rows, key)?.is_some() {
            return Ok(false);
        }
        *self.change(rows, key, at)? = Some(value);
        Ok(true)
    }

    /// Removes `key`.
    pub(super) fn remove<Q>(&mut self, rows: &Rows<K, V>, key: &Q) -> Result<Option<V>, StateError>
    where
        K: Borrow<Q>,
        Q: Key<Owned = K> + EncodeKey + ?Sized,
    {
        let now = self.now();
        let place = self.position(rows, key)?;
        let slot = &mut self.slots[place as usize];
        if slot.value.is_some() && !slot.changed {
            slot.changed = true;
            self.changed.push(place);
        }
        let live = is_live(std::mem::replace(&mut slot.expires, NEVER), now);
        Ok(slot.value.take().filter(|_| live))
    }

    /// What the store and the slots have together.
    pub(super) fn scan(
        &self,
        rows: &Rows<K, V>,
        start: &[u8],
        limit: usize,
    ) -> Result<Vec<(K, V)>, StateError>
    where
        V: Clone,
    {
        let now = self.now();
        let changed: BTreeMap<_, _> = self
            .changed
            .iter()
            .map(|&at| &self.slots[at as usize])
            .map(|slot| (encoded(&slot.key), slot))
            .filter(|(key, _)| key.starts_with(start))
            .collect();
        let mut from = prefix(Space::Row, &rows.name);
        let space = from.len();
        from.extend_from_slice(start);
        let mut found = BTreeMap::new();
        rows.scan(&from, after(&from).as_deref(), |key, row| {
            let key = &key[space..];
            if !changed.contains_key(key) {
                let (expires, value) = rows::read(row, &rows.name, key)?;
                if is_live(expires, now) {
                    found.insert(key.to_vec(), value);
                }
            }
            Ok(if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        found.extend(changed.into_iter().filter_map(|(key, slot)| Some((key, slot.live(now)?.clone()))));
        let found = found.into_iter().take(limit);
        found.map(|(key, value)| Ok((decoded(&key).ok_or_else(|| rows.wrong_key(&key))?, value))).collect()
    }

    /// The rows that have changed.
    fn collect(&mut self, rows: &Rows<K, V>, batch: &mut Vec<Write>) -> Result<(), StateError> {
        for &at in &self.changed {
            let Slot { key, value, expires, indexed, .. } = &self.slots[at as usize];
            let row_key = rows.key_in(Space::Row, key);
            match value {
                Some(value) => {
                    let row = rows::write(*expires, value, &rows.name)?;
                    batch.push(Write { key: row_key, value: Some(row) });
                    if *expires != NEVER && !indexed {
                        let key = rows.key_in(Space::Expiry, &(*expires, key));
                        batch.push(Write { key, value: Some(Vec::new()) });
                    }
                }
                // Also where it is not known to be stored: a commit that failed may be durable nevertheless.
                None => batch.push(Write { key: row_key, value: None }),
            }
        }
        self.next_facts = Facts { rows: self.len() as u64, ..self.facts };
        self.forget(rows, batch)?;
        if self.next_facts != self.committed_facts {
            let mut value = Vec::new();
            encode(&(self.next_facts.rows, self.next_facts.newest), &rows.name, &mut value)?;
            batch.push(Write { key: rows.meta(FACTS), value: Some(value) });
        }
        Ok(())
    }

    /// Removes some of the keys whose time is over. Each row has at least one entry in the index, under a time that is
    /// not after it expires; an entry of a row that lives longer, since it was updated, moves.
    fn forget(&mut self, rows: &Rows<K, V>, batch: &mut Vec<Write>) -> Result<(), StateError> {
        self.swept.clear();
        if self.ttl.is_none() {
            return Ok(());
        }
        let now = self.now();
        let from = prefix(Space::Expiry, &rows.name);
        let mut due = Vec::new();
        let to = now.checked_add(1).map(|next| rows.key_in(Space::Expiry, &next)).or_else(|| after(&from));
        rows.scan(&from, to.as_deref(), |entry, _| {
            due.push(entry.to_vec());
            Ok(if due.len() < self.sweep { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        let mut forgotten = BTreeSet::new();
        for entry in due {
            let (_, key): (i64, K) =
                decoded(&entry[from.len()..]).ok_or_else(|| rows.wrong_key(&entry[from.len()..]))?;
            batch.push(Write { key: entry, value: None });
            let row_key = rows.key_in(Space::Row, &key);
            let hash = rows.hasher.hash_one(&key);
            let slots = &self.slots;
            let cached = self.index.find(hash, |&at| slots[at as usize].key == key).copied();
            let expires = match cached.map(|at| &slots[at as usize]) {
                Some(slot) => slot.value.as_ref().map(|_| slot.expires),
                None => match rows.read(&row_key)? {
                    Some(row) => Some(rows::split(&row, &rows.name, &row_key)?.0),
                    None => None,
                },
            };
            match expires {
                Some(NEVER) | None => {}
                Some(expires) if expires > now => {
                    let key = rows.key_in(Space::Expiry, &(expires, key));
                    batch.push(Write { key, value: Some(Vec::new()) });
                }
                // A key that was removed in between may have two entries.
                Some(_) if !forgotten.insert(row_key.clone()) => {}
                Some(_) => {
                    batch.push(Write { key: row_key, value: None });
                    self.next_facts.rows = self.next_facts.rows.saturating_sub(1);
                    self.swept.extend(cached);
                }
            }
        }
        Ok(())
    }

    fn committed(&mut self) {
        for at in self.changed.drain(..) {
            let slot = &mut self.slots[at as usize];
            slot.changed = false;
            slot.stored = slot.value.is_some();
            slot.indexed = slot.stored && slot.expires != NEVER;
        }
        for at in self.swept.drain(..) {
            let slot = &mut self.slots[at as usize];
            (slot.value, slot.expires) = (None, NEVER);
            (slot.stored, slot.indexed) = (false, false);
        }
        (self.facts, self.committed_facts) = (self.next_facts, self.next_facts);
    }
}

/// A table that is being committed.
struct Committing<'a, K, V> {
    rows: &'a Rows<K, V>,
    cells: MutexGuard<'a, Cells<K, V>>,
}

impl<K, V> Part for Rows<K, V>
where
    K: TableKey,
    V: Serialize + DeserializeOwned + Send + 'static,
{
    fn lock(&self) -> Result<Box<dyn Changes + '_>, StateError> {
        Ok(Box::new(Committing { rows: self, cells: self.cells()? }))
    }
}

impl<K, V> Changes for Committing<'_, K, V>
where
    K: TableKey,
    V: Serialize + DeserializeOwned + Send + 'static,
{
    fn collect(&mut self, sources: &Sources, batch: &mut Vec<Write>) -> Result<(), StateError> {
        self.cells.values.collect(self.rows, batch)?;
        self.cells.logs.collect(sources, batch)
    }

    fn committed(&mut self, sources: &Sources) {
        self.cells.values.committed();
        self.cells.logs.committed(sources);
    }
}
