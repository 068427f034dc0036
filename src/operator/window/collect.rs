//! What buffers and windows collect their items into.

use std::marker::PhantomData;

use rxrust::context::{Context, Scope};

use super::{Keeper, Window, WindowFeed};
use crate::{
    buffer::Buffer,
    error::StreamError,
    held::{Held, QueueMeter},
    operator::share::Hosts,
};

/// What items are collected into.
pub trait Collect<I, T, E, Sc: Scope, S> {
    /// One that is open.
    type Pane;
    /// What errors call it.
    const NAME: &'static str;
    /// Whether it is a window.
    const WINDOWS: bool;
    /// Whether items are held that are still sent when the source has gone away without an end.
    const HOLDS: bool;
    /// A new one; what is sent of it at once.
    fn open(&mut self, env: &Env<Sc, S>) -> (Self::Pane, Option<T>);
    /// Puts an item in; `false` where nobody listens to that.
    fn put(&mut self, pane: &mut Self::Pane, item: I, env: &Env<Sc, S>) -> Result<bool, StreamError>;
    /// What is sent of it at its end.
    fn close(&mut self, pane: Self::Pane) -> Option<T>;
    /// The source has failed.
    fn error(&mut self, pane: Self::Pane, error: &E);
    /// The operator has failed.
    fn fail(&mut self, pane: Self::Pane, failure: &StreamError);
    /// Whether nobody would miss it.
    fn is_idle(&self, pane: &Self::Pane) -> bool;
}

/// What a subscription has for its windows.
pub struct Env<Sc: Scope, S> {
    pub(crate) keeper: Keeper<Sc>,
    pub(crate) scheduler: S,
}

/// Collects into a `Vec`, which is sent at the end.
#[derive(Clone, Default)]
pub struct Vecs {
    buffer: Buffer,
}

/// The items of a buffer so far.
pub struct Gathered<I>(Held<I>);

impl<I, E, Sc: Scope, S> Collect<I, Vec<I>, E, Sc, S> for Vecs {
    type Pane = Gathered<I>;
    const NAME: &'static str = "buffer";
    const WINDOWS: bool = false;
    const HOLDS: bool = true;

    fn open(&mut self, _env: &Env<Sc, S>) -> (Gathered<I>, Option<Vec<I>>) {
        (Gathered(Held::open(&self.buffer)), None)
    }

    #[inline]
    fn put(&mut self, pane: &mut Gathered<I>, item: I, _env: &Env<Sc, S>) -> Result<bool, StreamError> {
        match self.buffer.push(&mut pane.0, item, "buffer") {
            Ok(_) => Ok(true),
            Err((full, _)) => Err(full.into()),
        }
    }

    fn close(&mut self, mut pane: Gathered<I>) -> Option<Vec<I>> {
        Some(pane.0.close().into())
    }

    fn error(&mut self, mut pane: Gathered<I>, _error: &E) {
        self.buffer.drop_all(&mut pane.0);
    }

    fn fail(&mut self, mut pane: Gathered<I>, _failure: &StreamError) {
        self.buffer.drop_all(&mut pane.0);
    }

    fn is_idle(&self, pane: &Gathered<I>) -> bool {
        pane.0.is_empty()
    }
}

/// Collects into [`Window`]s, in contexts `W`, which are sent at their beginning.
pub struct Windows<W> {
    buffer: Buffer,
    types: PhantomData<fn() -> W>,
}

impl<W> Default for Windows<W> {
    fn default() -> Self {
        Self { buffer: Buffer::default(), types: PhantomData }
    }
}

impl<W> Clone for Windows<W> {
    fn clone(&self) -> Self {
        Self { buffer: self.buffer.clone(), types: PhantomData }
    }
}

impl<I, E, Sc, S, W> Collect<I, W, E, Sc, S> for Windows<W>
where
    I: 'static,
    E: Clone + 'static,
    Sc: Hosts<I, E>,
    S: Clone,
    W: Context<Inner = Window<I, E, Sc>, Scheduler = S>,
{
    type Pane = WindowFeed<I, E, Sc>;
    const NAME: &'static str = "window";
    const WINDOWS: bool = true;
    const HOLDS: bool = false;

    fn open(&mut self, env: &Env<Sc, S>) -> (Self::Pane, Option<W>) {
        let (feed, window) = WindowFeed::open(&self.buffer, &env.keeper);
        (feed, Some(W::from_parts(window, env.scheduler.clone())))
    }

    #[inline]
    fn put(&mut self, pane: &mut Self::Pane, item: I, env: &Env<Sc, S>) -> Result<bool, StreamError> {
        put(pane, item, &self.buffer, &env.keeper)
    }

    fn close(&mut self, pane: Self::Pane) -> Option<W> {
        pane.complete();
        None
    }

    fn error(&mut self, pane: Self::Pane, error: &E) {
        pane.error(error.clone());
    }

    fn fail(&mut self, pane: Self::Pane, failure: &StreamError) {
        pane.fail(failure.clone());
    }

    fn is_idle(&self, pane: &Self::Pane) -> bool {
        pane.closed()
    }
}

/// Puts an item into a window; `false`, and counts it, where nobody listens to that.
#[inline]
pub(crate) fn put<I, E, Sc: Hosts<I, E>>(
    pane: &WindowFeed<I, E, Sc>,
    item: I,
    buffer: &Buffer,
    keeper: &Keeper<Sc>,
) -> Result<bool, StreamError> {
    let heard = pane.next(item);
    if !heard {
        buffer.dropped(&QueueMeter::default(), 1);
    }
    if keeper.overflowed() { Err(buffer.full("window").into()) } else { Ok(heard) }
}

/// What has a bound that can be chosen; see [`bounded`](super::WindowOps::bounded).
pub trait Bounded {
    /// Chooses it.
    fn bound(&mut self, buffer: Buffer);
}

impl Bounded for Vecs {
    fn bound(&mut self, buffer: Buffer) {
        self.buffer = buffer;
    }
}

impl<W> Bounded for Windows<W> {
    fn bound(&mut self, buffer: Buffer) {
        self.buffer = buffer;
    }
}
