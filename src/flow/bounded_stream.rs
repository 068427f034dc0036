use std::{
    pin::Pin,
    task::{Context as TaskContext, Poll},
};

use futures::Stream;
use rxrust::{
    context::{Context, RcDerefMut},
    observable::{CoreObservable, Observable},
    subscription::{IntoBoxedSubscription, Subscription},
};

use super::{Outlet, OutletObserver, outlet::Flags, through::OutletOf};
use crate::{buffer::Buffer, error::drop_caught, gate::SubOf, operator::Events};

const NAME: &str = "into_bounded_stream";

/// From Rx to streams.
pub trait FlowOps: Observable + 'static {
    /// This observable as a [`Stream`] of results: an error is its last item. What has come and is not taken waits in
    /// `buffer`, whose policy says what happens beyond it; with [`Overflow::Error`](crate::Overflow::Error) (and the
    /// policies that ask for a thread to wait, as there is none here) that is an error of the stream, if its error type is
    /// [`StreamError`](crate::StreamError).
    ///
    /// It is subscribed at the first poll, and unsubscribed when the stream is dropped; what waits then is dropped. A source
    /// that hands over all it has when it is subscribed fills the buffer at once: for a source that can be pulled,
    /// [`through`](super::StreamOps::through) needs no buffer.
    ///
    /// ```
    /// use futures::{FutureExt, StreamExt};
    /// use rxevents::{flow::FlowOps, prelude::*};
    /// use std::convert::Infallible;
    ///
    /// let mut clicks = Local::subject::<u32, Infallible>();
    /// let buffer = Buffer::new(2).on_overflow(Overflow::DropOldest);
    /// let (drops, mut stream) = (buffer.drops(), clicks.clone().into_bounded_stream(buffer));
    /// futures::executor::block_on(async {
    ///     assert!(stream.next().now_or_never().is_none()); // subscribed
    ///     (1..=3).for_each(|click| clicks.next(click));
    ///     clicks.complete();
    ///     assert_eq!(stream.collect::<Vec<_>>().await, [Ok(2), Ok(3)]);
    /// });
    /// assert_eq!(drops.get(), 1);
    /// ```
    fn into_bounded_stream<T, E, U>(self, buffer: Buffer) -> BoundedStream<Self, T, E>
    where
        Self: Events<T, E> + Context,
        <Self as Context>::Inner:
            CoreObservable<Self::With<OutletObserver<OutletOf<Self, T, E>, T, E>>, Unsub = U>,
        U: IntoBoxedSubscription<SubOf<Self>>,
        E: 'static,
    {
        BoundedStream {
            chain: Some(self),
            subscribe: |chain, outlet, flags| {
                let observer = OutletObserver::new(outlet, flags, NAME);
                let (source, context) = chain.swap(observer);
                source.subscribe(context).into_boxed()
            },
            subscription: None,
            outlet: OutletOf::<Self, T, E>::from(Outlet::new(buffer)),
            flags: Flags::default(),
            over: false,
        }
    }
}

impl<S: Observable + 'static> FlowOps for S {}

/// An observable as a stream; see [`into_bounded_stream`](FlowOps::into_bounded_stream).
pub struct BoundedStream<S: Context, T, E> {
    /// Until the first poll.
    chain: Option<S>,
    subscribe: fn(S, OutletOf<S, T, E>, Flags) -> SubOf<S>,
    subscription: Option<SubOf<S>>,
    outlet: OutletOf<S, T, E>,
    flags: Flags,
    over: bool,
}

// Nothing in it is ever pinned.
impl<S: Context, T, E> Unpin for BoundedStream<S, T, E> {}

impl<S: Context, T, E> Stream for BoundedStream<S, T, E> {
    type Item = Result<T, E>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        if let Some(chain) = this.chain.take() {
            this.subscription = Some((this.subscribe)(chain, this.outlet.clone(), this.flags.clone()));
        }
        let mut outlet = this.outlet.rc_deref_mut();
        let next = outlet.next(&this.flags, &mut this.over);
        if next.is_pending() {
            outlet.waits(&this.flags, context.waker());
        }
        next
    }
}

impl<S: Context, T, E> Drop for BoundedStream<S, T, E> {
    fn drop(&mut self) {
        if let Some(subscription) = self.subscription.take() {
            subscription.unsubscribe();
        }
        let left = self.outlet.rc_deref_mut().close(&self.flags);
        drop_caught(left);
    }
}
