use std::{
    io,
    ops::{Bound, ControlFlow},
    path::Path,
    sync::Arc,
};

use ::redb::{Database, ReadableDatabase, TableDefinition, TableError};

use super::{Store, Write};

const ALL: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rxevents");

/// A store in one file, by [redb](https://docs.rs/redb): each commit is a transaction, flushed to the disk before it
/// returns. Killed at any moment, the file is as the last commit left it.
pub struct RedbStore {
    name: Arc<str>,
    database: Database,
}

fn failed(error: impl Into<::redb::Error>) -> io::Error {
    match error.into() {
        ::redb::Error::Io(error) => error,
        error => io::Error::other(error),
    }
}

impl RedbStore {
    /// The file at `path`, made if it is not there; its folder must be. One process at a time has it.
    ///
    /// # Errors
    /// It cannot be read or written, is no such file, or somebody has it open.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let database = Database::create(path).map_err(failed).map_err(named)?;
        Ok(Self { name: path.display().to_string().into(), database })
    }
}

impl Store for RedbStore {
    fn name(&self) -> Arc<str> {
        self.name.clone()
    }

    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let read = self.database.begin_read().map_err(failed)?;
        let table = match read.open_table(ALL) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            table => table.map_err(failed)?,
        };
        Ok(table.get(key).map_err(failed)?.map(|value| value.value().to_vec()))
    }

    fn scan(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        each: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> io::Result<()> {
        let read = self.database.begin_read().map_err(failed)?;
        let table = match read.open_table(ALL) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(()),
            table => table.map_err(failed)?,
        };
        let to = to.map_or(Bound::Unbounded, Bound::Excluded);
        for row in table.range::<&[u8]>((Bound::Included(from), to)).map_err(failed)? {
            let (key, value) = row.map_err(failed)?;
            if each(key.value(), value.value()).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn commit(&self, mut batch: Vec<Write>) -> io::Result<()> {
        // Neighbours are in the same pages.
        batch.sort_by(|a, b| a.key.cmp(&b.key));
        let write = self.database.begin_write().map_err(failed)?;
        {
            let mut table = write.open_table(ALL).map_err(failed)?;
            for Write { key, value } in &batch {
                match value {
                    Some(value) => table.insert(&**key, &**value).map_err(failed)?,
                    None => table.remove(&**key).map_err(failed)?,
                };
            }
        }
        write.commit().map_err(failed)
    }
}
