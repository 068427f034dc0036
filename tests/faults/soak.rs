//! An hour of virtual time under random load.

use std::{
    cell::RefCell,
    num::NonZeroUsize,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use rxevents::{
    delivery::{AckPolicy, MemoryPosition},
    pipeline::{Pipeline, PipelineOps},
    prelude::*,
    source::Replayed,
    testing::{VirtualScheduler, balanced},
};

use crate::world::Random;

const HOUR: Duration = Duration::from_secs(3600);
const IN_FLIGHT: usize = 10_000;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[derive(Debug, Clone, Copy)]
struct Number(u64);

impl Payload for Number {
    fn payload(&self) -> std::borrow::Cow<'_, [u8]> {
        self.0.to_string().into_bytes().into()
    }
}

/// Keeps no more than how many.
#[derive(Clone, Default)]
struct Tally(Arc<Mutex<u64>>);

impl EventSink<Vec<Number>> for Tally {
    type Error = std::convert::Infallible;

    fn write(&mut self, values: &Vec<Number>) -> Result<(), Self::Error> {
        *self.0.lock().unwrap() += values.len() as u64;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

#[derive(Clone, Default)]
struct Discard(Arc<Mutex<u64>>);

impl DeadLetterQueue for Discard {
    fn push(&mut self, _: DeadLetter) -> Result<(), rxevents::dead_letter::DeadLetterError> {
        *self.0.lock().unwrap() += 1;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), rxevents::dead_letter::QueueError> {
        Ok(())
    }
}

/// Bursts, retries with delays, windows, dead letters, a sink that is slow at times: the books balance at every moment,
/// queues keep their bounds, and nothing is left.
#[test]
fn an_hour_of_random_load_stays_in_its_bounds() {
    for seed in 0..1 {
        let mut random = Random(seed);
        let scheduler = VirtualScheduler::new();
        let (position, pipeline) = (MemoryPosition::default(), Pipeline::new("soak"));
        let policy = AckPolicy::default().max_in_flight(IN_FLIGHT).commit_every(500);
        let acks = Acknowledger::with("numbers", position.clone(), policy).unwrap();
        pipeline.acknowledges(&acks);
        let _books = balanced(&pipeline);
        let (stored, letters) = (Tally::default(), Discard::default());
        let limited = Buffer::new(300).on_overflow(Overflow::DropOldest);
        let (depth, drops) = (limited.depth(), limited.drops());
        let retries = Buffer::new(200);
        let retrying = retries.depth();
        let slot = Rc::new(RefCell::new(None));
        let emitter = slot.clone();
        let mut tries = 0_u64;
        let mut asked = 0_u64;
        let attempt = move |n: &Delivery<Number>| {
            tries += 1;
            match n.0 % 50 {
                7 => Err(Reason::decode("bad")),
                11 if !tries.is_multiple_of(3) => Err(Reason::other("busy")),
                _ => Ok(n.derive(**n)),
            }
        };
        let ask = move |n: &Delivery<Number>| {
            asked += 1;
            let (result, mut turns) = (n.derive(**n), asked % 3);
            Box::pin(std::future::poll_fn(move |context| {
                if turns == 0 {
                    return std::task::Poll::Ready(Ok(result.clone()));
                }
                turns -= 1;
                context.waker().wake_by_ref();
                std::task::Poll::Pending
            }))
        };
        scheduler
            .on(Local::create(move |emitter| *slot.borrow_mut() = Some(emitter)))
            .stage(&pipeline, "limited", |events| {
                events.rate_limit(Quota::new(100, Duration::from_secs(1)), Excess::Delay(limited))
            })
            .stage(&pipeline, "tried", |events| {
                let retry = EventRetry::new(Retry::times(3).fixed(ms(700))).buffer(retries);
                events.try_map_with_retry_with(retry, attempt).dead_letter(letters.clone())
            })
            .stage(&pipeline, "asked", |events| {
                let (retry, at_once) =
                    (EventRetry::new(Retry::times(1).fixed(ms(50))), NonZeroUsize::new(4).unwrap());
                events.try_map_async_with_retry_with(at_once, retry, ask).dead_letter(Discard::default())
            })
            .filter(|n: &Delivery<Number>| n.0 % 10 != 3)
            .stage(&pipeline, "windows", |events| {
                events.window_time(ms(500)).concat_map(|window| window.buffer_count(64))
            })
            .map(Delivery::gather)
            .write_to_every(16, stored.clone())
            .on_error_route(observer(|error: StreamError| panic!("{error}")))
            .subscribe(drop);
        let mut emitter = emitter.borrow_mut().take().unwrap();
        let mut items = acks.resume(Replayed::new((0..).map(Number))).unwrap();
        let (mut now, mut steps) = (Duration::ZERO, 0_u64);
        while now < HOUR {
            let burst = if random.one_in(50) { 400 + random.below(400) } else { random.below(12) };
            for item in items.by_ref().take(burst as usize) {
                emitter.next(item.unwrap()).unwrap();
            }
            let time = ms(20 + random.below(400));
            match random.one_in(40) {
                true => scheduler.stall(time * 5),
                false => scheduler.advance_by(time),
            }
            now += time;
            steps += 1;
            if steps.is_multiple_of(64) {
                let ledger = pipeline.ledger();
                ledger.check().unwrap();
                assert!(ledger.in_flight() <= IN_FLIGHT as u64, "{ledger}");
                assert!(depth.get() <= 300 && retrying.get() <= 200, "{} {}", depth.get(), retrying.get());
                assert!(scheduler.tasks() < 50, "{} tasks", scheduler.tasks());
            }
        }
        emitter.complete();
        scheduler.advance_by(Duration::from_secs(60));
        let counts = acks.counts();
        assert_eq!(counts.abandoned + counts.in_flight, 0, "{counts:?}");
        assert_eq!((counts.delivered, counts.dropped), (*stored.0.lock().unwrap(), drops.get()));
        assert_eq!(counts.dead_lettered, *letters.0.lock().unwrap());
        assert!(counts.taken > 50_000 && counts.dropped > 0 && counts.dead_lettered > 0, "{counts:?}");
        acks.commit().unwrap();
        assert_eq!(position.get().unwrap().lines, counts.taken);
        scheduler.assert_no_leaks();
    }
}
