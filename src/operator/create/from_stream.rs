use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context as TaskContext, Poll},
};

use futures::Stream;
use rxrust::{
    context::Context,
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    scheduler::Scheduler,
};

use crate::{
    error::{catch, complete, drop_caught, fail, schedule},
    operator::time::{Feeding, Rooms},
    time::{BUDGET, Cancel},
};

/// See [`from_stream`](super::CreateOps::from_stream).
#[derive(Clone)]
pub struct FromStream<St>(pub(super) St);

/// See [`from_stream_result`](super::CreateOps::from_stream_result).
#[derive(Clone)]
pub struct FromStreamResult<St>(pub(super) St);

impl<St: Stream> ObservableType for FromStream<St> {
    type Item<'a>
        = St::Item
    where
        Self: 'a;
    type Err = Infallible;
}

impl<St: Stream<Item = Result<T, E>>, T, E> ObservableType for FromStreamResult<St> {
    type Item<'a>
        = T
    where
        Self: 'a;
    type Err = E;
}

impl<St, C> CoreObservable<C> for FromStream<St>
where
    St: Stream,
    C: Context,
    C::Inner: Observer<St::Item, Infallible>,
    C::Scheduler: Scheduler<StreamTask<St, C::Inner, St::Item, Infallible>>,
{
    type Unsub = Cancel;

    fn subscribe(self, context: C) -> Cancel {
        start::<C, St, St::Item, Infallible>(self.0, Ok, context)
    }
}

impl<St, T, E, C> CoreObservable<C> for FromStreamResult<St>
where
    St: Stream<Item = Result<T, E>>,
    C: Context,
    C::Inner: Observer<T, E>,
    E: 'static,
    C::Scheduler: Scheduler<StreamTask<St, C::Inner, T, E>>,
{
    type Unsub = Cancel;

    fn subscribe(self, context: C) -> Cancel {
        start::<C, St, T, E>(self.0, |item| item, context)
    }
}

fn start<C, St, T, E>(stream: St, read: fn(St::Item) -> Result<T, E>, context: C) -> Cancel
where
    St: Stream,
    C: Context,
    C::Scheduler: Scheduler<StreamTask<St, C::Inner, T, E>>,
{
    let (down, scheduler) = context.into_parts();
    let cancel = Cancel::default();
    let live = Live { stream: Box::pin(stream), down };
    let task = StreamTask { live: Some(live), read, rooms: Rooms::default(), cancel: cancel.clone() };
    if !schedule("from_stream", || drop(scheduler.schedule(task, None))) {
        cancel.cancel();
    }
    cancel
}

/// Polls a stream and delivers its items.
pub struct StreamTask<St: Stream, O, T, E> {
    live: Option<Live<St, O>>,
    read: fn(St::Item) -> Result<T, E>,
    /// The full queues below, whose room it awaits before the next item.
    rooms: Rooms,
    cancel: Cancel,
}

struct Live<St, O> {
    stream: Pin<Box<St>>,
    down: O,
}

impl<St: Stream, O, T, E> Drop for StreamTask<St, O, T, E> {
    fn drop(&mut self) {
        // The scheduler has dropped the task, with its runtime: no more items.
        self.cancel.cancel();
    }
}

// The stream is boxed; nothing else is ever pinned.
impl<St: Stream, O, T, E> Unpin for StreamTask<St, O, T, E> {}

/// Why the task stops for now.
enum Pause {
    Pending,
    Budget,
    Closed,
    End,
}

impl<St: Stream, O: Observer<T, E>, T, E: 'static> Future for StreamTask<St, O, T, E> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<()> {
        let this = &mut *self;
        this.cancel.register(context);
        let Some(live) = &mut this.live else { return Poll::Ready(()) };
        let mut error = None;
        let pause = catch("from_stream", || {
            let feeding = Feeding::begin();
            for _ in 0..BUDGET {
                if this.cancel.cancelled() || live.down.is_closed() {
                    return Pause::Closed;
                }
                feeding.asked(&mut this.rooms);
                if this.rooms.poll(context).is_pending() {
                    return Pause::Pending;
                }
                match live.stream.as_mut().poll_next(context) {
                    Poll::Pending => return Pause::Pending,
                    Poll::Ready(None) => return Pause::End,
                    Poll::Ready(Some(item)) => match (this.read)(item) {
                        Ok(item) => live.down.next(item),
                        Err(e) => {
                            error = Some(e);
                            return Pause::End;
                        }
                    },
                }
            }
            feeding.asked(&mut this.rooms);
            Pause::Budget
        });
        match pause {
            Ok(Pause::Pending) => return Poll::Pending,
            Ok(Pause::Budget) => {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            _ => {}
        }
        let Some(Live { stream, down }) = this.live.take() else { return Poll::Ready(()) };
        drop_caught(stream);
        let listening = !this.cancel.cancelled();
        this.cancel.cancel();
        match (pause, error) {
            (Err(panic), _) if listening => fail(down, panic),
            (Ok(Pause::End), Some(error)) if listening => crate::error::error(down, error),
            (Ok(Pause::End), None) if listening => complete(down),
            _ => drop_caught(down),
        }
        Poll::Ready(())
    }
}
