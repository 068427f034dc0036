use std::{
    pin::Pin,
    task::{Context as TaskContext, Poll, Waker},
};

use futures::Stream;
use rxrust::{
    context::{Context, Local, LocalScope, MutArc, MutRc, RcDerefMut, Scope, Shared, SharedScope},
    observable::{CoreObservable, ObservableType},
    observer::Observer,
    subscription::{IntoBoxedSubscription, Subscription},
};

use super::{Outlet, OutletObserver, outlet::Flags};
use crate::{
    buffer::Buffer,
    error::{PanicError, StreamError, catch, complete, drop_caught, fail},
    gate::SubOf,
    operator::Events,
};

const NAME: &str = "through";
/// How many items of the source in a row may yield nothing before other tasks have their turn.
const BUDGET: usize = 256;

/// Operators between two streams.
pub trait StreamOps: Stream + Sized + 'static {
    /// Runs the items of this stream through a chain of operators: what comes out is a stream again.
    ///
    /// Demand goes through the chain: the source is polled only when all that has come out was taken. There is no task,
    /// and no buffer but for what one item of the source makes, and for what timed operators send in between; that is
    /// bounded ([`through_in`](Self::through_in)), and too much is an error of the stream. Timed operators wake the stream's
    /// task; in `Local`, which this is, they want a [`LocalSet`](https://docs.rs/tokio/latest/tokio/task/struct.LocalSet.html)
    /// of tokio. The chain is subscribed at the first poll, and once. Dropping the stream drops the source.
    ///
    /// ```text
    /// poll        p        p           p
    /// source      -1-2     -3          -4-|
    ///   through(|n| n.filter(even))
    /// stream      ---2     -------     -4-|
    /// ```
    ///
    /// ```
    /// use futures::{StreamExt, stream};
    /// use rxevents::{flow::StreamOps, prelude::*};
    ///
    /// let even = stream::iter(1..).through(|n| n.filter(|n| n % 2 == 0).map(|n| n * 10));
    /// let first: Vec<_> = futures::executor::block_on(even.take(3).map(Result::unwrap).collect());
    /// assert_eq!(first, [20, 40, 60]);
    /// ```
    fn through<F, R, U, X, V>(self, f: F) -> Through<Local<()>, R, U, X>
    where
        F: FnOnce(Local<StreamSource<Self, LocalLink>>) -> R,
        R: Events<U, X>,
        R::Inner: CoreObservable<R::With<OutletObserver<MutRc<Outlet<U, X>>, U, X>>, Unsub = V>,
        V: IntoBoxedSubscription<SubOf<Local<()>>>,
        X: 'static,
    {
        self.through_in(Local::new(()), Buffer::default(), f)
    }

    /// [`through`](Self::through) in `Shared`: a stream that goes from thread to thread.
    fn through_shared<F, R, U, X, V>(self, f: F) -> Through<Shared<()>, R, U, X>
    where
        F: FnOnce(Shared<StreamSource<Self, SharedLink>>) -> R,
        R: Events<U, X>,
        R::Inner: CoreObservable<R::With<OutletObserver<MutArc<Outlet<U, X>>, U, X>>, Unsub = V>,
        V: IntoBoxedSubscription<SubOf<Shared<()>>>,
        X: 'static,
    {
        self.through_in(Shared::new(()), Buffer::default(), f)
    }

    /// [`through`](Self::through) in a context of your own, such as one on virtual time, with the bound of what has come
    /// out and is not taken.
    fn through_in<C, F, R, U, X, V>(self, context: C, buffer: Buffer, f: F) -> Through<C, R, U, X>
    where
        C: Context<Inner = ()>,
        C::Scope: Drives,
        F: FnOnce(C::With<StreamSource<Self, LinkOf<C>>>) -> R,
        R: Events<U, X>,
        R::Inner: CoreObservable<R::With<OutletObserver<OutletOf<C, U, X>, U, X>>, Unsub = V>,
        V: IntoBoxedSubscription<SubOf<C>>,
        X: 'static,
    {
        Through::new(self, context, buffer, f)
    }
}

impl<S: Stream + Sized + 'static> StreamOps for S {}

/// The link of `Local`.
type LocalLink = MutRc<Link<Box<dyn Drive>>>;
/// The link of `Shared`.
type SharedLink = MutArc<Link<Box<dyn Drive + Send>>>;
/// Where the driver of a context is.
pub type LinkOf<C> = <C as Context>::RcMut<Link<<<C as Context>::Scope as Drives>::Driver>>;
/// Where the outlet of a context is.
pub type OutletOf<C, T, E> = <C as Context>::RcMut<Outlet<T, E>>;

/// What drives the source: it polls the stream, and pushes what it yields into the chain.
pub trait Drive {
    /// Until something has come out, or nothing comes any more (`Ready`), or the stream waits.
    fn poll(&mut self, context: &mut TaskContext<'_>) -> Poll<()>;
}

/// The two scopes, with their boxed [`Drive`].
pub trait Drives: Scope {
    /// Boxed.
    type Driver: Drive + 'static;
}

impl Drives for LocalScope {
    type Driver = Box<dyn Drive>;
}

impl Drives for SharedScope {
    type Driver = Box<dyn Drive + Send>;
}

impl<D: Drive + ?Sized> Drive for Box<D> {
    fn poll(&mut self, context: &mut TaskContext<'_>) -> Poll<()> {
        (**self).poll(context)
    }
}

/// What can be boxed as `B`.
pub trait IntoDriver<B> {
    /// Boxed.
    fn into_driver(self) -> B;
}

impl<D: Drive + 'static> IntoDriver<Box<dyn Drive>> for D {
    fn into_driver(self) -> Box<dyn Drive> {
        Box::new(self)
    }
}

impl<D: Drive + Send + 'static> IntoDriver<Box<dyn Drive + Send>> for D {
    fn into_driver(self) -> Box<dyn Drive + Send> {
        Box::new(self)
    }
}

/// Between the stream that is polled and the source in the chain.
pub struct Link<D> {
    /// While it is not polled.
    driver: Option<D>,
    /// Of the task, until the chain subscribes the source.
    waker: Option<Waker>,
    /// The chain has ended the source.
    ended: bool,
}

/// The stream as the source of a chain. It can be subscribed once.
pub struct StreamSource<St, L> {
    stream: St,
    link: L,
    flags: Flags,
}

impl<St: Stream, L> ObservableType for StreamSource<St, L> {
    type Item<'a>
        = St::Item
    where
        Self: 'a;
    type Err = StreamError;
}

impl<St, L, D, C> CoreObservable<C> for StreamSource<St, L>
where
    St: Stream,
    C: Context,
    C::Inner: Observer<St::Item, StreamError>,
    L: RcDerefMut<Target = Link<D>> + Clone,
    D: Drive,
    Driver<St, C::Inner>: IntoDriver<D>,
{
    type Unsub = StreamSubscription<L>;

    fn subscribe(self, context: C) -> StreamSubscription<L> {
        let Self { stream, link, flags } = self;
        let live = Live { stream: Box::pin(stream), down: context.into_inner() };
        let driver = Driver { live: Some(live), flags };
        let waker = {
            let mut link = link.rc_deref_mut();
            link.driver = Some(driver.into_driver());
            link.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        StreamSubscription(link)
    }
}

/// The chain's subscription to the stream: to end it drops the stream.
pub struct StreamSubscription<L>(L);

impl<L, D> Subscription for StreamSubscription<L>
where
    L: RcDerefMut<Target = Link<D>>,
    D: Drive,
{
    fn unsubscribe(self) {
        let driver = {
            let mut link = self.0.rc_deref_mut();
            link.ended = true;
            link.driver.take()
        };
        drop_caught(driver);
    }

    fn is_closed(&self) -> bool {
        self.0.rc_deref_mut().ended
    }
}

/// The source while it goes on.
pub struct Driver<St, O> {
    live: Option<Live<St, O>>,
    flags: Flags,
}

struct Live<St, O> {
    stream: Pin<Box<St>>,
    down: O,
}

/// Why it stops, but for the usual reasons.
enum Stop {
    Budget,
    Closed,
    End,
}

impl<St, O> Drive for Driver<St, O>
where
    St: Stream,
    O: Observer<St::Item, StreamError>,
{
    fn poll(&mut self, context: &mut TaskContext<'_>) -> Poll<()> {
        let Some(Live { stream, down }) = &mut self.live else { return Poll::Ready(()) };
        let flags = &self.flags;
        let run = catch(NAME, || {
            for _ in 0..BUDGET {
                if down.is_closed() {
                    return Some(Stop::Closed);
                }
                match stream.as_mut().poll_next(context) {
                    Poll::Pending => return None,
                    Poll::Ready(None) => return Some(Stop::End),
                    Poll::Ready(Some(item)) => down.next(item),
                }
                if flags.is_filled() {
                    return None;
                }
            }
            Some(Stop::Budget)
        });
        match run.transpose() {
            None => Poll::Pending,
            Some(stop) => self.stopped(stop, context),
        }
    }
}

impl<St, O> Driver<St, O>
where
    St: Stream,
    O: Observer<St::Item, StreamError>,
{
    #[cold]
    fn stopped(&mut self, stop: Result<Stop, PanicError>, context: &TaskContext<'_>) -> Poll<()> {
        if let Ok(Stop::Budget) = stop {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(Live { stream, down }) = self.live.take() else { return Poll::Ready(()) };
        drop_caught(stream);
        match stop {
            Ok(Stop::End) => complete(down),
            Ok(_) => drop_caught(down),
            Err(panic) => fail(down, panic),
        }
        Poll::Ready(())
    }
}

/// A stream with a chain of operators in it; see [`through`](StreamOps::through).
pub struct Through<C, R, T, E>
where
    C: Context,
    C::Scope: Drives,
{
    /// Until the first poll.
    chain: Option<R>,
    subscribe: fn(R, OutletOf<C, T, E>, Flags) -> SubOf<C>,
    subscription: Option<SubOf<C>>,
    /// Out of the link, once the chain has subscribed the source.
    driver: Option<<C::Scope as Drives>::Driver>,
    link: LinkOf<C>,
    outlet: OutletOf<C, T, E>,
    flags: Flags,
    over: bool,
}

// Nothing in it is ever pinned: the stream is boxed.
impl<C, R, T, E> Unpin for Through<C, R, T, E>
where
    C: Context,
    C::Scope: Drives,
{
}

impl<C, R, T, E> Through<C, R, T, E>
where
    C: Context,
    C::Scope: Drives,
{
    fn new<St, F, V>(stream: St, context: C, buffer: Buffer, f: F) -> Self
    where
        C: Context<Inner = ()>,
        St: Stream,
        F: FnOnce(C::With<StreamSource<St, LinkOf<C>>>) -> R,
        R: Events<T, E>,
        R::Inner: CoreObservable<R::With<OutletObserver<OutletOf<C, T, E>, T, E>>, Unsub = V>,
        V: IntoBoxedSubscription<SubOf<C>>,
        E: 'static,
    {
        let link = LinkOf::<C>::from(Link { driver: None, waker: None, ended: false });
        let flags = Flags::default();
        let source = StreamSource { stream, link: link.clone(), flags: flags.clone() };
        let chain = f(context.transform(|()| source));
        Self {
            chain: Some(chain),
            subscribe: |chain, outlet, flags| {
                let (source, context) = chain.swap(OutletObserver::new(outlet, flags, NAME));
                source.subscribe(context).into_boxed()
            },
            subscription: None,
            driver: None,
            link,
            outlet: OutletOf::<C, T, E>::from(Outlet::new(buffer)),
            flags,
            over: false,
        }
    }
}

impl<C, R, T, E> Through<C, R, T, E>
where
    C: Context,
    C::Scope: Drives,
{
    /// Subscribes the chain, or takes the driver that it has made; `false`: there is neither.
    #[cold]
    fn begin(&mut self, context: &TaskContext<'_>) -> bool {
        if let Some(chain) = self.chain.take() {
            self.subscription = Some((self.subscribe)(chain, self.outlet.clone(), self.flags.clone()));
            return true;
        }
        let mut link = self.link.rc_deref_mut();
        self.driver = link.driver.take();
        if self.driver.is_none() && !link.ended {
            link.waker = Some(context.waker().clone());
        }
        self.driver.is_some()
    }

    /// What can be done now; `driven`: the driver has been polled, and this is what it said.
    #[inline(never)]
    fn poll_on(
        &mut self,
        context: &mut TaskContext<'_>,
        mut driven: Option<Poll<()>>,
    ) -> Poll<Option<Result<T, E>>> {
        if self.over {
            return Poll::Ready(None);
        }
        loop {
            if self.flags.is_filled() {
                let next = self.outlet.rc_deref_mut().next(&self.flags, &mut self.over);
                if next.is_ready() {
                    return next;
                }
            }
            let poll = if let Some(poll) = driven.take() {
                poll
            } else if let Some(driver) = &mut self.driver {
                driver.poll(context)
            } else if self.begin(context) {
                continue;
            } else {
                Poll::Pending
            };
            if poll.is_ready() {
                self.link.rc_deref_mut().ended = true;
                drop_caught(self.driver.take());
            }
            if !self.flags.is_filled() && self.outlet.rc_deref_mut().waits(&self.flags, context.waker()) {
                return Poll::Pending;
            }
        }
    }
}

impl<C, R, T, E> Stream for Through<C, R, T, E>
where
    C: Context,
    C::Scope: Drives,
{
    type Item = Result<T, E>;

    /// The usual case in line: the source's next item makes one of the stream. So it need not go through memory as one of
    /// the many things that a stream may yield.
    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        this.flags.awake();
        let mut driven = None;
        if this.flags.is_empty()
            && let Some(driver) = &mut this.driver
        {
            driven = Some(driver.poll(context));
            if this.flags.is_one()
                && let Some(item) = this.outlet.rc_deref_mut().only(&this.flags)
            {
                return Poll::Ready(Some(Ok(item)));
            }
        }
        this.poll_on(context, driven)
    }
}

impl<C, R, T, E> Drop for Through<C, R, T, E>
where
    C: Context,
    C::Scope: Drives,
{
    fn drop(&mut self) {
        if let Some(subscription) = self.subscription.take() {
            subscription.unsubscribe();
        }
        let left = self.outlet.rc_deref_mut().close(&self.flags);
        let driver = self.link.rc_deref_mut().driver.take();
        drop_caught((left, driver, self.driver.take()));
    }
}
