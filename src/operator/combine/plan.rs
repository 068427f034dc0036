use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
};

/// There is no first source. (A type that names the type of a source twice doubles with each of its kind in a chain.)
#[derive(Debug, Clone, Copy)]
pub struct NoFirst;

impl<C: Context> CoreObservable<C> for NoFirst {
    type Unsub = ();

    fn subscribe(self, _context: C) {}
}

impl ObservableType for NoFirst {
    type Item<'a> = ();
    type Err = std::convert::Infallible;
}

/// What comes after a source.
pub trait Plan<E> {
    /// The operator's name, in errors.
    const NAME: &'static str;
    /// The sources.
    type Source;
    /// The next source after one that has ended so, or the end.
    fn after(&mut self, end: Result<(), E>) -> Result<Self::Source, Result<(), E>>;
}

/// Another source when the first has completed.
#[derive(Debug, Clone)]
pub struct Then<B>(pub(super) Option<B>);

impl<B, E> Plan<E> for Then<B> {
    type Source = B;
    const NAME: &'static str = "concat_with";

    fn after(&mut self, end: Result<(), E>) -> Result<B, Result<(), E>> {
        end.map_err(Err).and_then(|()| self.0.take().ok_or(Ok(())))
    }
}

/// Another source when the first has failed.
#[derive(Debug, Clone)]
pub struct Instead<B>(pub(crate) Option<B>);

impl<B, E> Plan<E> for Instead<B> {
    type Source = B;
    const NAME: &'static str = "on_error_resume_next";

    fn after(&mut self, end: Result<(), E>) -> Result<B, Result<(), E>> {
        match end {
            Ok(()) => Err(Ok(())),
            Err(error) => self.0.take().ok_or(Err(error)),
        }
    }
}

/// The sources of an iterator.
#[derive(Debug, Clone)]
pub struct Each<I>(pub(crate) I);

impl<I, B, E> Plan<E> for Each<I>
where
    I: Iterator,
    I::Item: Context<Inner = B>,
{
    type Source = B;
    const NAME: &'static str = "concat_all";

    fn after(&mut self, end: Result<(), E>) -> Result<B, Result<(), E>> {
        end.map_err(Err).and_then(|()| self.0.next().map(Context::into_inner).ok_or(Ok(())))
    }
}

/// The same source again.
#[derive(Debug, Clone)]
pub struct Again<S> {
    /// Given away with the last time.
    source: Option<S>,
    times: u64,
}

impl<S> Again<S> {
    pub(super) fn new(source: S, times: u64) -> Self {
        Self { source: Some(source), times }
    }
}

impl<S: Clone, E> Plan<E> for Again<S> {
    type Source = S;
    const NAME: &'static str = "repeat";

    fn after(&mut self, end: Result<(), E>) -> Result<S, Result<(), E>> {
        end.map_err(Err)?;
        let left = self.times.checked_sub(1).ok_or(Ok(()))?;
        self.times = left;
        if left == 0 { self.source.take() } else { self.source.clone() }.ok_or(Ok(()))
    }
}
