use crate::{
    delivery::fate::abandon,
    operator::{apply::Emit, key::Key},
    state::{IntoWriter, StateError, TableWriter},
};

/// An operator that changes a table by each event's key; `A` is what it asks for besides the key.
pub struct ByKeyIn<K, Q: Key + ?Sized, V, T, A = ()> {
    pub(super) writer: TableWriter<Q::Owned, V, T>,
    pub(super) key: K,
    pub(super) asked: A,
}

impl<K, Q: Key + ?Sized, V, T, A> ByKeyIn<K, Q, V, T, A> {
    pub(super) fn new(
        operator: &'static str,
        table: impl IntoWriter<Q::Owned, V, Time = T>,
        key: K,
        asked: A,
    ) -> Self {
        Self { writer: table.into_writer(operator), key, asked }
    }
}

impl<K: Clone, Q: Key + ?Sized, V, T: Clone, A: Clone> Clone for ByKeyIn<K, Q, V, T, A> {
    fn clone(&self) -> Self {
        Self { writer: self.writer.clone(), key: self.key.clone(), asked: self.asked.clone() }
    }
}

/// Sends what `emit` makes of the item and what the table said; the item is not done where the table failed.
#[inline]
pub(super) fn told<I, R, T>(
    item: I,
    said: Result<R, StateError>,
    emit: impl FnOnce(I, R) -> Emit<T>,
) -> Emit<T> {
    match said {
        Ok(said) => emit(item, said),
        Err(error) => {
            abandon(item);
            Emit::Fail(error.into())
        }
    }
}
