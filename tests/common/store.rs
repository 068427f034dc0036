//! A store whose commits can be interrupted and made to fail.
#![allow(dead_code, reason = "not every test file uses all of it")]

use std::{
    io,
    ops::ControlFlow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use rxevents::state::{MemoryStore, Store, Write};

type Hook = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

#[derive(Clone, Default)]
pub(crate) struct Faulty {
    pub inner: MemoryStore,
    /// Is called once, within the next commit.
    pub before: Hook,
    /// A commit does nothing, and says so.
    pub fails_before: Arc<AtomicBool>,
    /// A commit is done, and says that it is not certain.
    pub fails_after: Arc<AtomicBool>,
}

impl Store for Faulty {
    fn name(&self) -> Arc<str> {
        "failing".into()
    }

    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.inner.get(key)
    }

    fn scan(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        each: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> io::Result<()> {
        self.inner.scan(from, to, each)
    }

    fn commit(&self, batch: Vec<Write>) -> io::Result<()> {
        let hook = self.before.lock().unwrap().take();
        if let Some(hook) = hook {
            hook();
        }
        if self.fails_before.load(Ordering::SeqCst) {
            return Err(io::Error::other("disk full"));
        }
        self.inner.commit(batch)?;
        if self.fails_after.load(Ordering::SeqCst) { Err(io::Error::other("fsync")) } else { Ok(()) }
    }
}
