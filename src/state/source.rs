use std::{path::PathBuf, sync::Arc};

use super::{State, StateError};
use crate::delivery::{Position, PositionError, PositionStore};

/// The position of one source in a [`State`]: to commit it commits the tables with it, in one transaction.
///
/// Who has loaded it last is who may store: see [`PositionStore::store`].
#[derive(Clone)]
pub struct SourceState {
    state: State,
    name: Arc<str>,
    generation: u64,
}

impl SourceState {
    pub(super) fn new(state: State, name: Arc<str>) -> Self {
        Self { state, name, generation: 0 }
    }

    fn failed(&self, error: StateError) -> PositionError {
        let path = PathBuf::from(&*self.state.0.store.name());
        PositionError { source_name: self.name.clone(), path, cause: error.into() }
    }
}

impl PositionStore for SourceState {
    fn load(&mut self) -> Result<Option<Position>, PositionError> {
        let source = self.state.0.begin(&self.name).map_err(|error| self.failed(error))?;
        self.generation = source.generation;
        Ok(source.committed)
    }

    fn store(&mut self, position: Position) -> Result<(), PositionError> {
        let position = (&self.name, self.generation, position);
        self.state.0.commit(Some(position)).map_err(|error| self.failed(error))
    }
}
