use std::{path::PathBuf, sync::Arc};

use super::{State, StateError, table::outside_of_updates};
use crate::{
    delivery::{Position, PositionError, PositionStore},
    sync::lock,
};

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
        let path = PathBuf::from(&*self.state.0.name);
        PositionError { source_name: self.name.clone(), path, cause: error.into() }
    }
}

impl PositionStore for SourceState {
    fn load(&mut self) -> Result<Option<Position>, PositionError> {
        let mut sources = lock(&self.state.0.sources);
        let source = sources.of(&self.name);
        source.generation += 1;
        self.generation = source.generation;
        Ok(source.committed)
    }

    fn store(&mut self, position: Position) -> Result<(), PositionError> {
        outside_of_updates(&self.name).map_err(|error| self.failed(error))?;
        let latest = lock(&self.state.0.sources).of(&self.name).generation;
        if latest != self.generation {
            return Ok(());
        }
        self.state.0.commit(Some((&self.name, position))).map_err(|error| self.failed(error))
    }
}
