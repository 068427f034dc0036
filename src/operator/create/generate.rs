use crate::error::named;

/// See [`generate`](super::CreateOps::generate): the items, as they are asked for.
#[derive(Debug, Clone)]
pub struct Generate<A, C, I, F> {
    /// `None` once it has ended.
    state: Option<A>,
    condition: C,
    iterate: I,
    select: F,
    started: bool,
}

impl<A, C, I, F> Generate<A, C, I, F> {
    pub(super) fn new(state: A, condition: C, iterate: I, select: F) -> Self {
        Self { state: Some(state), condition, iterate, select, started: false }
    }
}

impl<A, C, I, F, T> Iterator for Generate<A, C, I, F>
where
    C: FnMut(&A) -> bool,
    I: FnMut(A) -> A,
    F: FnMut(&A) -> T,
{
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let Self { state, condition, iterate, select, started } = self;
        named(
            || "generate",
            || {
                let before = state.take()?;
                let now = if std::mem::replace(started, true) { iterate(before) } else { before };
                let item = condition(&now).then(|| select(&now))?;
                *state = Some(now);
                Some(item)
            },
        )
    }
}

/// See [`from_fn`](super::CreateOps::from_fn): one item, made when it is asked for.
#[derive(Debug, Clone)]
pub struct Call<F>(pub(super) Option<F>);

impl<F: FnOnce() -> T, T> Iterator for Call<F> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let f = self.0.take()?;
        Some(named(|| "from_fn", f))
    }
}
