//! Pipelines of deliveries of many shapes, in both contexts, on virtual time.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rxevents::{
    prelude::*,
    testing::{SharedVirtualScheduler, VirtualScheduler},
};

use crate::world::{Faults, Item, Run, World};

pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) sources: usize,
    /// Whether a policy may drop events.
    pub(crate) drops: bool,
    pub(crate) run: fn(&mut World, &mut Run, bool),
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn ids(item: Delivery<Item>) -> Delivery<Vec<u64>> {
    item.map(|item| vec![item.id])
}

fn gathered(items: Vec<Delivery<Item>>) -> Delivery<Vec<u64>> {
    Delivery::gather(items).map(|items| items.iter().map(|item| item.id).collect())
}

fn paired((left, right): (Delivery<Item>, Delivery<Item>)) -> Delivery<Vec<u64>> {
    left.pair(right).map(|(left, right)| vec![left.id, right.id])
}

/// One in five is bad, for ever or at first.
fn judge(faults: &Faults, id: u64, tries: &Mutex<u64>) -> Result<Vec<u64>, Reason> {
    faults.maybe_panic(id);
    let mut tries = tries.lock().unwrap_or_else(PoisonError::into_inner);
    *tries += 1;
    match id % 5 {
        1 => Err(Reason::decode("bad")),
        2 if !tries.is_multiple_of(3) => Err(Reason::other("busy")),
        _ => Ok(vec![id]),
    }
}

fn judged(
    faults: &Faults,
) -> impl Fn(&Delivery<Item>) -> Result<Delivery<Vec<u64>>, Reason> + Send + Sync + Clone + 'static + use<> {
    let (faults, tries) = (faults.clone(), Arc::new(Mutex::new(0)));
    move |item| judge(&faults, item.id, &tries).map(|ids| item.derive(ids))
}

fn retry() -> EventRetry {
    EventRetry::new(Retry::times(2).fixed(ms(3))).buffer(Buffer::new(16))
}

fn asked(
    faults: &Faults,
    s: impl Fn(Duration) -> futures::future::BoxFuture<'static, ()> + Send + Sync + Clone + 'static,
) -> impl Fn(&Delivery<Item>) -> futures::future::BoxFuture<'static, Result<Delivery<Vec<u64>>, Reason>>
+ Send
+ Sync
+ Clone
+ 'static {
    let judged = judged(faults);
    move |item| {
        let (item, judged, sleep) = (item.clone(), judged.clone(), s(ms(item.id % 3)));
        Box::pin(async move {
            sleep.await;
            let done = judged(&item);
            // Now: a drop that panics behind the value of a block would leak that value.
            drop(item);
            done
        })
    }
}

/// Sends the items as the seed says, until nobody listens: with errors, unsubscriptions and time in between.
macro_rules! drive {
    ($world:ident, $run:ident, $faulty:ident, $scheduler:ident, $subs:expr, $slots:ident) => {{
        let mut subs: Vec<Option<SubscriptionGuard<_>>> =
            $subs.into_iter().map(|sub| Some(SubscriptionGuard::new(sub))).collect();
        let random = &mut $world.random;
        let stop = ($faulty && random.one_in(3)).then(|| random.below(60));
        let fail = ($faulty && random.one_in(4)).then(|| random.below(60));
        let end = !$faulty || random.one_in(2);
        let burst = random.below(3);
        let mut open = vec![true; $slots.len()];
        for step in 0.. {
            if Some(step) == stop {
                let at = random.below(subs.len() as u64) as usize;
                subs[at] = None;
            }
            let at = random.below($slots.len() as u64) as usize;
            let at = if open[at] { at } else { 1_usize.saturating_sub(at).min($slots.len() - 1) };
            if !open[at] || subs.iter().all(Option::is_none) {
                break;
            }
            let emitter = $slots[at].lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(mut emitter) = emitter.filter(|emitter| !emitter.is_closed()) else {
                // Perhaps it is subscribed again.
                $scheduler.advance_by(ms(50));
                let back = $slots[at].lock().unwrap_or_else(PoisonError::into_inner).is_some();
                open[at] = back && step < 500;
                continue;
            };
            if Some(step) == fail {
                emitter.error(StreamError::NoItem("injected"));
                continue;
            }
            match $run.items[at].next() {
                None => {
                    open[at] = false;
                    if end {
                        emitter.complete();
                    }
                }
                Some(Err(error)) => {
                    open[at] = false;
                    emitter.error(error);
                }
                Some(Ok(item)) => {
                    if emitter.next(item).is_ok() {
                        *$slots[at].lock().unwrap_or_else(PoisonError::into_inner) = Some(emitter);
                    }
                }
            }
            if random.below(3) >= burst {
                $scheduler.advance_by(ms(random.below(4)));
            }
        }
        $scheduler.advance_by(Duration::from_secs(20));
        // Threads of a pool may have some still.
        let patience = Instant::now() + if end && !$faulty { ms(1_000) } else { ms(random.below(2)) };
        while $run.acks.iter().any(|acks| acks.counts().in_flight > 0) && Instant::now() < patience {
            std::thread::sleep(Duration::from_micros(50));
        }
        drop(subs);
        for slot in &$slots {
            drop(slot.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
        $scheduler.advance_by(Duration::from_secs(20));
    }};
}

macro_rules! shapes {
    ($($name:ident($sources:literal, $drops:literal): |$s:ident, $run:ident, $source:ident $(, $other:ident)?| $chain:expr;)*) => {
        pub(crate) fn all() -> Vec<Shape> {
            vec![$(
                shapes!(@one $name, "local", Local, VirtualScheduler, $sources, $drops, $s, $run, [$source $(, $other)?], $chain),
                shapes!(@one $name, "shared", Shared, SharedVirtualScheduler, $sources, $drops, $s, $run, [$source $(, $other)?], $chain),
            )*]
        }
    };
    (@one $name:ident, $context:literal, $Cx:ident, $Scheduler:ident, $sources:literal, $drops:literal,
        $s:ident, $run:ident, [$source:ident $(, $other:ident)?], $chain:expr) => {{
        fn run(world: &mut World, run: &mut Run, faulty: bool) {
            #[allow(dead_code)]
            type Cx<T> = $Cx<T>;
            let $s = $Scheduler::new();
            let slots: Vec<_> = (0..$sources).map(|_| Arc::new(Mutex::new(None))).collect();
            let mut sources = slots.iter().map(|slot| {
                let slot = slot.clone();
                $s.on($Cx::create(move |emitter| {
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(emitter);
                }))
            });
            let $source = sources.next().unwrap();
            $(let $other = sources.next().unwrap();)?
            drop(sources);
            let $run = &*run;
            let _ = &$run;
            let chains = $chain;
            let subs: Vec<_> = chains
                .into_iter()
                .map(|chain| {
                    chain
                        .write_to_every(run.flush_every, run.sink.clone())
                        .on_error_route(observer(|_: StreamError| {}))
                        .subscribe(|_| {})
                })
                .collect();
            drive!(world, run, faulty, $s, subs, slots);
        }
        Shape { name: concat!(stringify!($name), "_", $context), sources: $sources, drops: $drops, run }
    }};
}

shapes! {
    plain(1, false): |s, run, source| [source.filter(run.wanted()).map(ids)];
    letters(1, false): |s, run, source| {
        let judged = judged(&run.faults);
        [source.try_map(judged).dead_letter(run.letters.clone())]
    };
    buffer_count(1, false): |s, run, source| [source.filter(run.wanted()).buffer_count(3).map(gathered)];
    buffer_time(1, false): |s, run, source| [source.filter(run.wanted()).buffer_time(ms(5)).map(gathered)];
    window_count(1, false): |s, run, source| [source.window_count(4).flat_map(|window| window).filter(run.wanted()).map(ids)];
    window_time(1, false): |s, run, source| [
        source.window_time(ms(6)).concat_map(|window| window.filter(|_| true)).filter(run.wanted()).map(ids)
    ];
    group_by(1, false): |s, run, source| [
        source.group_by(|item: &Delivery<Item>| if item.id.is_multiple_of(2) { "even" } else { "odd" })
            .flat_map(|group| group.buffer_count(3)).map(gathered)
    ];
    zip(2, false): |s, run, left, right| [left.zip(right).map(paired)];
    merge(2, false): |s, run, left, right| [left.filter(run.wanted()).merge(right).map(ids)];
    join(2, true): |s, run, left, right| {
        let at = |item: &Delivery<Item>| ms(item.id % 1_000_000);
        [left.join_within(right, Within::new(Duration::ZERO), at, at).map(paired)]
    };
    flat_map(1, false): |s, run, source| {
        let scheduler = s.clone();
        [source.flat_map(move |item: Delivery<Item>| {
            let twice = [item.derive(vec![item.id]), ids(item)];
            scheduler.on(Cx::from_iter(twice)).stream_error().delay(ms(3))
        })]
    };
    concat_map(1, false): |s, run, source| {
        let scheduler = s.clone();
        [source.filter(run.wanted()).concat_map(move |item: Delivery<Item>| {
            scheduler.on(Cx::of(ids(item))).stream_error().delay(ms(2))
        })]
    };
    switch_map(1, true): |s, run, source| {
        let scheduler = s.clone();
        [source.switch_map(move |item: Delivery<Item>| {
            scheduler.on(Cx::of(ids(item))).stream_error().delay(ms(2))
        })]
    };
    exhaust_map(1, true): |s, run, source| {
        let scheduler = s.clone();
        [source.exhaust_map(move |item: Delivery<Item>| {
            scheduler.on(Cx::of(ids(item))).stream_error().delay(ms(2))
        })]
    };
    delay(1, false): |s, run, source| [source.delay(ms(4)).filter(run.wanted()).map(ids)];
    delay_each(1, false): |s, run, source| {
        let scheduler = s.clone();
        [source.delay_each(move |item: &Delivery<Item>| {
            scheduler.on(Cx::timer(ms(item.id % 4))).stream_error()
        }).map(ids)]
    };
    observe_on(1, false): |s, run, source| [
        source.filter(run.wanted()).observe_on_with(s.clone(), Buffer::new(8)).map(ids)
    ];
    backpressure_oldest(1, true): |s, run, source| [
        source.on_backpressure_buffer(3, Overflow::DropOldest).filter(run.wanted()).map(ids)
    ];
    backpressure_latest(1, true): |s, run, source| [source.on_backpressure_latest().map(ids)];
    debounce(1, true): |s, run, source| [source.debounce(ms(2)).map(ids)];
    throttle(1, true): |s, run, source| [source.throttle_first(ms(3)).filter(run.wanted()).map(ids)];
    throttle_latest(1, true): |s, run, source| [source.throttle_latest(ms(3)).map(ids)];
    sample(1, true): |s, run, source| [source.sample(ms(3)).map(ids)];
    audit(1, true): |s, run, source| [source.audit(ms(3)).map(ids)];
    rate_limit(1, false): |s, run, source| [
        source.rate_limit(Quota::new(1, ms(2)), Excess::Delay(Buffer::new(20))).filter(run.wanted()).map(ids)
    ];
    distinct_full(1, false): |s, run, source| [
        // Full at some time: the stream fails, and what comes next has a new table.
        source.distinct_by_with(Keys::new(30), |item: &Delivery<Item>| &item.id).map(ids)
    ];
    take_until(1, false): |s, run, source| {
        let stop = s.on(Cx::timer(ms(400))).stream_error();
        [source.filter(run.wanted()).buffer_count(2).take_until(stop).map(gathered)]
    };
    retried(1, false): |s, run, source| [
        source.try_map_with_retry_with(retry(), judged(&run.faults)).dead_letter(run.letters.clone())
    ];
    retried_in_order(1, false): |s, run, source| [
        source.try_map_with_retry_with(retry().ordered(), judged(&run.faults)).dead_letter(run.letters.clone())
    ];
    retried_by_key(1, false): |s, run, source| [
        source.try_map_with_retry_with(retry().ordered_by(|item: &Delivery<Item>| item.id % 3), judged(&run.faults))
            .dead_letter(run.letters.clone())
    ];
    retried_few(1, false): |s, run, source| [
        source.try_map_with_retry_with(retry().buffer(Buffer::new(1)), judged(&run.faults))
            .dead_letter(run.letters.clone())
    ];
    retried_dropping(1, true): |s, run, source| [
        source.try_map_with_retry_with(
            retry().buffer(Buffer::new(1).on_overflow(Overflow::DropOldest)),
            judged(&run.faults),
        ).dead_letter(run.letters.clone())
    ];
    asked_at_once(1, false): |s, run, source| {
        [source.try_map_async_with_retry_with(
            NonZeroUsize::new(3).unwrap(), retry(), asked(&run.faults, yields),
        ).dead_letter(run.letters.clone())]
    };
    asked_in_order(1, false): |s, run, source| [
        source.try_map_async_with_retry_with(
            NonZeroUsize::new(3).unwrap(), retry().ordered(), asked(&run.faults, yields),
        ).dead_letter(run.letters.clone())
    ];
    asked_dropping(1, true): |s, run, source| [
        source.try_map_async_with_retry_with(
            NonZeroUsize::new(2).unwrap(),
            retry().buffer(Buffer::new(1).on_overflow(Overflow::DropNewest)),
            asked(&run.faults, yields),
        ).dead_letter(run.letters.clone())
    ];
    parallel(1, false): |s, run, source| [
        source.parallel_map(NonZeroUsize::new(4).unwrap(), judged(&run.faults)).dead_letter(run.letters.clone())
    ];
    parallel_unordered(1, false): |s, run, source| [
        source.parallel_map_unordered(NonZeroUsize::new(4).unwrap(), judged(&run.faults))
            .dead_letter(run.letters.clone())
    ];
    retry_with(1, false): |s, run, source| [
        source.filter(run.wanted()).map(ids).retry_with(Retry::times(3).fixed(ms(2)))
    ];
    catch_error(1, false): |s, run, source| {
        let again = source.clone();
        [source.filter(run.wanted()).buffer_count(2).catch_error(move |_: StreamError| again.buffer_count(2)).map(gathered)]
    };
    share(1, false): |s, run, source| {
        let shared = source.share();
        [shared.clone().filter(run.wanted()).map(ids).boxed(), shared.buffer_count(2).map(gathered).boxed()]
    };
    buffer_toggle(1, false): |s, run, source| {
        // Always one is open, so that each item is in one at least.
        let (openings, closings) = (s.on(Cx::of(())).stream_error(), s.clone());
        [source.buffer_toggle(openings, move |_| closings.on(Cx::never()).stream_error().map(|()| 0))
            .map(gathered)]
    };
    sliding(1, false): |s, run, source| [source.buffer_count_skip(3, 2).map(gathered)];
    backpressure_drop(1, true): |s, run, source| [source.on_backpressure_drop(drop).map(ids)];
    backpressure_timeout(1, true): |s, run, source| [
        source.on_backpressure_timeout(ms(1), Buffer::new(4).on_overflow(Overflow::DropOldest), drop).map(ids)
    ];
    hand_off(1, false): |s, run, source| {
        [source.filter(run.wanted()).hand_off_on(s.clone(), Buffer::new(8)).map(ids)]
    };
    batches(1, false): |s, run, source| [
        source.buffer_count(5).concat_map(|items| Cx::from_iter(items).batched().stream_error()).take(33).map(ids)
    ];
}

/// Another turn of the scheduler.
fn yields(time: Duration) -> futures::future::BoxFuture<'static, ()> {
    let mut left = time.as_millis();
    Box::pin(std::future::poll_fn(move |context| {
        if left == 0 {
            return std::task::Poll::Ready(());
        }
        left -= 1;
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    }))
}
