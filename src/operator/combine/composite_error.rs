use std::{error::Error, fmt};

use crate::{error::StreamError, operator::error::ToStreamError};

/// The errors of several sources, see [`merge_delay_error`](super::CombineOps::merge_delay_error): at least one, in the
/// order in which they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompositeError<E> {
    /// The first.
    pub first: E,
    /// The others.
    pub others: Vec<E>,
}

impl<E> CompositeError<E> {
    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = &E> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl<E: fmt::Display> fmt::Display for CompositeError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, others } = self;
        match others.len() {
            0 => first.fmt(f),
            n => {
                write!(f, "{} sources failed: {first}", n + 1)?;
                others.iter().try_for_each(|other| write!(f, "; {other}"))
            }
        }
    }
}

impl<E: Error + 'static> Error for CompositeError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.first)
    }
}

impl<E: Error + Send + Sync + 'static> ToStreamError for CompositeError<E> {
    fn to_stream_error(self) -> StreamError {
        StreamError::source(self)
    }
}

/// What a merge does with the error of a source.
pub trait Errors<E, X>: Default {
    /// One has failed: the output's error, or none yet.
    fn one(&mut self, error: E) -> Option<X>;
    /// All have ended: the output's error, if there is one.
    fn all(&mut self) -> Option<X>;
}

/// The first ends the output.
#[derive(Debug, Clone, Copy, Default)]
pub struct AtOnce;

impl<E> Errors<E, E> for AtOnce {
    #[inline]
    fn one(&mut self, error: E) -> Option<E> {
        Some(error)
    }

    #[inline]
    fn all(&mut self) -> Option<E> {
        None
    }
}

/// They wait until all sources have ended.
#[derive(Debug, Clone)]
pub struct Delayed<E>(Option<CompositeError<E>>);

impl<E> Default for Delayed<E> {
    fn default() -> Self {
        Self(None)
    }
}

impl<E> Errors<E, CompositeError<E>> for Delayed<E> {
    fn one(&mut self, error: E) -> Option<CompositeError<E>> {
        match &mut self.0 {
            Some(before) => before.others.push(error),
            none => *none = Some(CompositeError { first: error, others: Vec::new() }),
        }
        None
    }

    fn all(&mut self) -> Option<CompositeError<E>> {
        self.0.take()
    }
}
