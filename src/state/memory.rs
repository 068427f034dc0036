use std::{
    collections::BTreeMap,
    io,
    ops::{Bound, ControlFlow},
    sync::{Arc, PoisonError, RwLock},
};

use super::{Store, Write};

/// A store in memory: for tests, and for state that need not survive the process. Clones share what was committed, so a
/// test keeps one to "crash" with.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<RwLock<BTreeMap<Vec<u8>, Vec<u8>>>>);

impl MemoryStore {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is committed now, as a store of its own: the disk at the moment of a crash.
    pub fn fork(&self) -> Self {
        Self(Arc::new(RwLock::new(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())))
    }
}

impl Store for MemoryStore {
    fn name(&self) -> Arc<str> {
        "memory".into()
    }

    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    fn scan(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        each: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> io::Result<()> {
        let to = to.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = self.0.read().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in rows.range::<[u8], _>((Bound::Included(from), to)) {
            if each(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn commit(&self, batch: Vec<Write>) -> io::Result<()> {
        let mut rows = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for Write { key, value } in batch {
            match value {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
        Ok(())
    }
}
