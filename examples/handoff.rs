//! From one thread to another: `hand_off` beside the ring that it is built on, and beside channels.
//!
//! ```text
//! cargo run --release --example handoff -- [--rate max] [--seconds 5] [--capacity 1024] [--json]
//! ```
//! One thread sends, another receives. With `--rate 1000000` the sender is paced by a clock at which it spins, and the time
//! of an event is that from when it was due; with `--rate max` it sends as fast as it can, and waits for room. All have the
//! same capacity, and their receivers the same patience: they look again for some 50 µs before they sleep (the ring by
//! itself, which cannot wake anybody, spins). Each has a warm-up of its own, which is not counted.
//!
//! `throughput` is in events a second, the rest in nanoseconds from send to receive; all sent events were received, or the
//! example fails. The figures of `ours` stand at the top, the others in `others`.

mod common;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    convert::Infallible,
    error::Error,
    hint, iter,
    num::NonZeroU64,
    process::ExitCode,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use common::{Args, Usage};
use hdrhistogram::Histogram;
use rxevents::prelude::*;
use serde::Serialize;

const USAGE: Usage = Usage {
    text: "\
usage: handoff [--rate max] [--seconds 5] [--capacity 1024] [--json]

  --rate N      events offered a second, or `max`: as many as go across
  --seconds S   for so long, each
  --capacity N  how many may be on their way, the same for all
  --json        print the figures on one line",
    flags: &[],
    options: &["rate", "seconds", "capacity"],
    files: 0,
};

fn main() -> ExitCode {
    common::run(&USAGE, job)
}

/// Events offered a second; `None`: as many as go across.
#[derive(Clone, Copy)]
struct Rate(Option<NonZeroU64>);

impl FromStr for Rate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "max" => Ok(Self(None)),
            number => {
                number.parse().map(|rate| Self(Some(rate))).map_err(|_| "neither a number above 0 nor `max`")
            }
        }
    }
}

#[derive(Serialize)]
struct Report {
    rate: Option<NonZeroU64>,
    capacity: usize,
    #[serde(flatten)]
    ours: Figures,
    others: BTreeMap<&'static str, Figures>,
}

#[derive(Serialize)]
struct Figures {
    sent: u64,
    received: u64,
    throughput: u64,
    p50_ns: u64,
    p99_ns: u64,
    p999_ns: u64,
}

/// How each of them is run.
#[derive(Clone, Copy)]
struct Run {
    rate: Rate,
    time: Duration,
    capacity: usize,
}

fn job(args: &Args) -> Result<Report, Box<dyn Error>> {
    let run = Run {
        rate: args.get("rate", Rate(None))?,
        time: Duration::from_secs_f64(args.get("seconds", 5.0_f64)?.clamp(0.0, 3600.0)),
        capacity: args.get("capacity", 1024_usize)?.clamp(1, 1 << 20),
    };
    let ours = run.measure("ours", ours)?;
    let others = [
        ("rtrb", run.measure("rtrb", rtrb)?),
        ("crossbeam", run.measure("crossbeam", crossbeam)?),
        ("flume", run.measure("flume", flume)?),
        ("kanal", run.measure("kanal", kanal)?),
        ("tokio", run.measure("tokio", tokio)?),
    ];
    Ok(Report { rate: run.rate.0, capacity: run.capacity, ours, others: others.into() })
}

/// An event: when it was sent, or due, on the sender's clock.
type Event = u64;

impl Run {
    fn measure(self, name: &str, cross: fn(Run, Sender) -> Received) -> Result<Figures, Box<dyn Error>> {
        // Once to warm up.
        let warm = Run { time: self.time / 10, ..self };
        cross(warm, Sender::new(warm));
        let received = cross(self, Sender::new(self));
        let figures = received.figures()?;
        if figures.sent != figures.received {
            return Err(format!("{name}: {} sent, {} received", figures.sent, figures.received).into());
        }
        Ok(figures)
    }
}

/// The sending side: what to send next, and when.
struct Sender {
    start: Instant,
    step: Option<f64>,
    events: u64,
    sent: u64,
    until: u64,
}

/// At the highest rate, the clock is asked for one event in so many: it takes longer than to send one.
const SAMPLE: u64 = 64;
/// An event whose time is not taken.
const UNTIMED: Event = u64::MAX;

impl Sender {
    fn new(run: Run) -> Self {
        let step = run.rate.0.map(|rate| 1e9 / rate.get() as f64);
        let until = u64::try_from(run.time.as_nanos()).unwrap_or(u64::MAX);
        let events = step.map_or(u64::MAX, |step| (until as f64 / step) as u64);
        Self { start: Instant::now(), step, events, sent: 0, until }
    }

    fn now(start: Instant) -> u64 {
        start.elapsed().as_nanos() as u64
    }
}

impl Iterator for Sender {
    type Item = Event;

    #[inline]
    fn next(&mut self) -> Option<Event> {
        if self.sent == self.events {
            return None;
        }
        let at = match self.step {
            Some(step) => {
                let due = (self.sent as f64 * step) as u64;
                while Self::now(self.start) < due {
                    hint::spin_loop();
                }
                due
            }
            None if self.sent.is_multiple_of(SAMPLE) => {
                let now = Self::now(self.start);
                if now >= self.until {
                    return None;
                }
                now
            }
            None => UNTIMED,
        };
        self.sent += 1;
        Some(at)
    }
}

/// The receiving side.
struct Received {
    start: Instant,
    times: Histogram<u64>,
    sent: u64,
    received: u64,
    took: Duration,
}

impl Received {
    fn new(start: Instant) -> Self {
        let times =
            Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap_or_else(|_| unreachable!("fixed bounds"));
        Self { start, times, sent: 0, received: 0, took: Duration::ZERO }
    }

    #[inline]
    fn take(&mut self, event: Event) {
        self.received += 1;
        if event != UNTIMED {
            self.times.saturating_record(Sender::now(self.start).saturating_sub(event).max(1));
        }
    }

    /// Now it is over.
    fn ended(mut self) -> Self {
        self.took = self.start.elapsed();
        self
    }

    fn figures(&self) -> Result<Figures, Box<dyn Error>> {
        let at = |quantile| self.times.value_at_quantile(quantile);
        Ok(Figures {
            sent: self.sent,
            received: self.received,
            throughput: (self.received as f64 / self.took.as_secs_f64().max(1e-9)) as u64,
            p50_ns: at(0.5),
            p99_ns: at(0.99),
            p999_ns: at(0.999),
        })
    }
}

fn ours(run: Run, mut sender: Sender) -> Received {
    let ring = Buffer::new(run.capacity).on_overflow(Overflow::Block);
    let ((end, ended), start) = (mpsc::channel(), sender.start);
    let sent = Arc::new(AtomicU64::new(0));
    let count = sent.clone();
    let events = iter::from_fn(move || {
        let event = sender.next();
        if event.is_none() {
            count.store(sender.sent, Ordering::Relaxed);
        }
        event
    });
    Shared::from_iter(events).hand_off(ring).subscribe_with(Receiver { received: Received::new(start), end });
    let mut received = ended.recv().unwrap_or_else(|_| Received::new(start));
    received.sent = sent.load(Ordering::Relaxed);
    received
}

/// Takes the events, and gives the account away at the end.
struct Receiver {
    received: Received,
    end: mpsc::Sender<Received>,
}

impl Observer<Event, Infallible> for Receiver {
    #[inline]
    fn next(&mut self, event: Event) {
        self.received.take(event);
    }

    fn error(self, error: Infallible) {
        match error {}
    }

    fn complete(self) {
        let Self { received, end } = self;
        let _ = end.send(received.ended());
    }

    fn is_closed(&self) -> bool {
        false
    }
}

/// The two threads of the others.
fn between(
    mut sender: Sender,
    mut send: impl FnMut(Event),
    end: impl FnOnce(),
    mut receive: impl FnMut() -> Option<Event> + Send,
) -> Received {
    let mut received = Received::new(sender.start);
    let sent = thread::scope(|scope| {
        scope.spawn(|| {
            while let Some(event) = receive() {
                received.take(event);
            }
            received.took = received.start.elapsed();
        });
        for event in sender.by_ref() {
            send(event);
        }
        end();
        sender.sent
    });
    received.sent = sent;
    received
}

/// Receives with the patience that `hand_off` has, then sleeps. `Err`: there is nothing yet.
fn patiently(
    mut look: impl FnMut() -> Result<Option<Event>, ()>,
    sleep: impl FnOnce() -> Option<Event>,
) -> Option<Event> {
    for n in 0..1088 {
        if let Ok(event) = look() {
            return event;
        }
        if n < 1024 { hint::spin_loop() } else { thread::yield_now() }
    }
    sleep()
}

fn rtrb(run: Run, sender: Sender) -> Received {
    let (mut push, mut pop) = rtrb::RingBuffer::new(run.capacity);
    let ended = AtomicBool::new(false);
    let send = |mut event| {
        let mut looks = 0_u32;
        while let Err(rtrb::PushError::Full(back)) = push.push(event) {
            event = back;
            looks += 1;
            if looks.is_multiple_of(64) { thread::yield_now() } else { hint::spin_loop() }
        }
    };
    let receive = || {
        let mut looks = 0_u32;
        loop {
            let over = ended.load(Ordering::Acquire);
            match pop.pop() {
                Ok(event) => return Some(event),
                Err(_) if over => return None,
                Err(_) => {}
            }
            looks += 1;
            if looks > 1024 { thread::yield_now() } else { hint::spin_loop() }
        }
    };
    between(sender, send, || ended.store(true, Ordering::Release), receive)
}

fn crossbeam(run: Run, sender: Sender) -> Received {
    use crossbeam_channel::{TryRecvError, bounded};
    let (tx, receive) = bounded(run.capacity);
    let look = || match receive.try_recv() {
        Ok(event) => Ok(Some(event)),
        Err(TryRecvError::Empty) => Err(()),
        Err(TryRecvError::Disconnected) => Ok(None),
    };
    let tx = RefCell::new(Some(tx));
    let push = |event| _ = tx.borrow().as_ref().map(|tx| tx.send(event));
    between(sender, push, || drop(tx.take()), || patiently(look, || receive.recv().ok()))
}

fn flume(run: Run, sender: Sender) -> Received {
    use flume::{TryRecvError, bounded};
    let (tx, receive) = bounded(run.capacity);
    let look = || match receive.try_recv() {
        Ok(event) => Ok(Some(event)),
        Err(TryRecvError::Empty) => Err(()),
        Err(TryRecvError::Disconnected) => Ok(None),
    };
    let tx = RefCell::new(Some(tx));
    let push = |event| _ = tx.borrow().as_ref().map(|tx| tx.send(event));
    between(sender, push, || drop(tx.take()), || patiently(look, || receive.recv().ok()))
}

fn kanal(run: Run, sender: Sender) -> Received {
    let (tx, receive) = kanal::bounded(run.capacity);
    let look = || match receive.try_recv() {
        Ok(Some(event)) => Ok(Some(event)),
        Ok(None) => Err(()),
        Err(_) => Ok(None),
    };
    let tx = RefCell::new(Some(tx));
    let push = |event| _ = tx.borrow().as_ref().map(|tx| tx.send(event));
    between(sender, push, || drop(tx.take()), || patiently(look, || receive.recv().ok()))
}

fn tokio(run: Run, sender: Sender) -> Received {
    use tokio::sync::mpsc::{channel, error::TryRecvError};
    let (tx, mut receive) = channel(run.capacity);
    let tx = RefCell::new(Some(tx));
    let push = |event| _ = tx.borrow().as_ref().map(|tx| tx.blocking_send(event));
    let mut take = || {
        for n in 0..1088 {
            match receive.try_recv() {
                Ok(event) => return Some(event),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {}
            }
            if n < 1024 { hint::spin_loop() } else { thread::yield_now() }
        }
        receive.blocking_recv()
    };
    between(sender, push, || drop(tx.take()), &mut take)
}
