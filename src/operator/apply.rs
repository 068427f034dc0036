//! What every operator with one input and no clock has in common: the closure's panic, the end, who still listens.

use std::marker::PhantomData;

use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
};

use super::batch::{Batch, BatchObserver};
use crate::{
    delivery::fate::{Abandoned, abandoning},
    error::{StreamError, catch, drop_with, fail, named, unhandled},
};

/// What a [`Kernel`] makes of an item.
#[derive(Debug)]
pub enum Emit<T> {
    /// Send this down.
    Item(T),
    /// Send nothing.
    Skip,
    /// Send this down, then complete.
    Last(T),
    /// Complete.
    End,
    /// End with an error of the operator itself (see [`StreamError`] for where it goes).
    Fail(StreamError),
}

/// The work of an operator with one input and no clock: what becomes of an item.
///
/// ```
/// use rxevents::{operator::apply::{Apply, Emit, Kernel}, prelude::*};
///
/// /// Running sum.
/// struct Sum(i64);
/// impl Kernel<i64, i64> for Sum {
///     const NAME: &'static str = "sum";
///     fn next(&mut self, item: i64) -> Emit<i64> {
///         self.0 += item;
///         Emit::Item(self.0)
///     }
/// }
/// let mut seen = vec![];
/// Local::from_iter([1, 2, 3]).apply(Sum(0)).map(|v| v * 10).subscribe(|v| seen.push(v));
/// assert_eq!(seen, [10, 30, 60]);
/// ```
pub trait Kernel<I, T> {
    /// The operator's name, in errors.
    const NAME: &'static str;
    /// Handles one item. A panic ends the stream with [`StreamError::Panic`].
    fn next(&mut self, item: I) -> Emit<T>;
    /// Items that arrive together follow, until [`batch_ends`](Self::batch_ends).
    fn batch_begins(&mut self) {}
    /// See [`batch_begins`](Self::batch_begins).
    fn batch_ends(&mut self) {}
    /// What is left when the source completes.
    fn finish(&mut self) -> Option<T> {
        None
    }
    /// The rest, where more than one item is left: asked after `finish`, again and again until there is no more.
    fn finish_rest(&mut self) -> Option<T> {
        None
    }
    /// Called once, when the stream ends, after [`finish`](Self::finish). Its failure is the stream's. Not called when
    /// the stream is unsubscribed, or its source goes away without an end: what must be done then too, belongs into the
    /// kernel's `Drop`.
    fn end(&mut self) -> Result<(), StreamError> {
        Ok(())
    }
}

/// A source with a [`Kernel`] below it.
pub struct Apply<S, K, I, T> {
    source: S,
    kernel: K,
    types: PhantomData<fn(I) -> T>,
}

clone_by_fields!(Apply<S, K, I, T>: source, kernel, types where S, K);

impl<S, K, I, T> Apply<S, K, I, T> {
    pub(crate) fn new(source: S, kernel: K) -> Self {
        Self { source, kernel, types: PhantomData }
    }
}

impl<S: ObservableType, K, I, T> ObservableType for Apply<S, K, I, T> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = S::Err;
}

impl<S, K, I, T, C> CoreObservable<C> for Apply<S, K, I, T>
where
    C: Context,
    S: CoreObservable<C::With<ApplyObserver<C::Inner, K, I, T>>>,
{
    type Unsub = S::Unsub;

    fn subscribe(self, context: C) -> S::Unsub {
        let Self { source, kernel, types } = self;
        source.subscribe(context.transform(|down| ApplyObserver {
            down: Some(down),
            kernel: Abandoned::new(kernel),
            types,
        }))
    }
}

/// The observer of an [`Apply`].
#[derive(Clone)]
pub struct ApplyObserver<O, K, I, T> {
    down: Option<O>,
    kernel: Abandoned<K>,
    types: PhantomData<fn(I) -> T>,
}

impl<O, K, I, T> ApplyObserver<O, K, I, T> {
    #[inline(always)]
    fn end<E: 'static>(&mut self, failure: Option<StreamError>)
    where
        O: Observer<T, E>,
        K: Kernel<I, T>,
    {
        let ended = end_kernel(&mut self.kernel.value);
        if let Some(down) = self.down.take() {
            finish(down, failure, ended.err());
        }
    }
}

/// A panic in it is a failure like another.
#[inline(always)]
fn end_kernel<K: Kernel<I, T>, I, T>(kernel: &mut K) -> Result<(), StreamError> {
    catch(K::NAME, || kernel.end())?
}

/// Takes the observer by value, so that the rest of the chain's state need not be in memory for it. The first failure
/// is the stream's, if somebody still listens; what it cannot tell is the hook's.
#[cold]
fn finish<T, E: 'static, O: Observer<T, E>>(
    down: O,
    failure: Option<StreamError>,
    of_end: Option<StreamError>,
) {
    let (first, second) = match failure {
        Some(failure) => (Some(failure), of_end),
        None => (of_end, None),
    };
    if let Some(second) = second {
        unhandled(&second);
    }
    match first {
        // A gate below that has panicked is closed, too, and takes it.
        Some(failure) if down.is_closed() => drop_with(down, failure),
        Some(failure) => fail(down, failure),
        None => down.complete(),
    }
}

impl<O, K, I, T, E> Observer<I, E> for ApplyObserver<O, K, I, T>
where
    O: Observer<T, E>,
    K: Kernel<I, T>,
    E: 'static,
{
    #[inline(always)]
    fn next(&mut self, item: I) {
        let Some(down) = &mut self.down else { return abandoning(|| drop(item)) };
        let emit = named(|| K::NAME, || self.kernel.value.next(item));
        let last = matches!(emit, Emit::Last(_));
        match emit {
            // One call for both: all that is below is compiled into it, so that two would double the code at each operator.
            Emit::Item(out) | Emit::Last(out) => {
                down.next(out);
                if last {
                    self.end(None);
                }
            }
            Emit::Skip => {}
            Emit::End => self.end(None),
            Emit::Fail(failure) => self.end(Some(failure)),
        }
    }

    fn error(mut self, error: E) {
        // The source's error is the one that is passed on.
        if let Err(failure) = end_kernel(&mut self.kernel.value) {
            unhandled(&failure);
        }
        if let Some(down) = self.down {
            down.error(error);
        }
    }

    fn complete(mut self) {
        let Some(down) = &mut self.down else { return };
        // Caught here and not by the source, which has given its observer away and could not end it any more.
        let finished = catch(K::NAME, || {
            let mut last = named(|| K::NAME, || self.kernel.value.finish());
            while let Some(item) = last {
                down.next(item);
                last = if down.is_closed() {
                    None
                } else {
                    named(|| K::NAME, || self.kernel.value.finish_rest())
                };
            }
        });
        self.end(finished.err().map(StreamError::from));
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.down.as_ref().is_none_or(Observer::is_closed)
    }
}

impl<O, K, I, T, E> BatchObserver<I, E> for ApplyObserver<O, K, I, T>
where
    O: BatchObserver<T, E>,
    K: Kernel<I, T>,
    E: 'static,
{
    #[inline(always)]
    fn take_batch<B: Batch<I>>(&mut self, items: &mut B) {
        let Some(down) = &mut self.down else { return };
        self.kernel.value.batch_begins();
        let mut made = Made { items, kernel: &mut self.kernel.value, over: None, types: PhantomData };
        down.take_batch(&mut made);
        let over = made.over;
        self.kernel.value.batch_ends();
        if let Some(failure) = over {
            self.end(failure);
        }
    }
}

/// What a kernel makes of a batch, as it is asked for.
struct Made<'a, B, K, I, T> {
    items: &'a mut B,
    kernel: &'a mut K,
    /// The stream has ended, perhaps by a failure.
    over: Option<Option<StreamError>>,
    types: PhantomData<fn(I) -> T>,
}

impl<B: Batch<I>, K: Kernel<I, T>, I, T> Batch<T> for Made<'_, B, K, I, T> {
    #[inline(always)]
    fn pull(&mut self) -> Option<T> {
        while self.over.is_none() {
            let item = self.items.pull()?;
            match named(|| K::NAME, || self.kernel.next(item)) {
                Emit::Item(out) => return Some(out),
                Emit::Skip => {}
                Emit::Last(out) => {
                    self.over = Some(None);
                    return Some(out);
                }
                Emit::End => self.over = Some(None),
                Emit::Fail(failure) => self.over = Some(Some(failure)),
            }
        }
        None
    }
}
