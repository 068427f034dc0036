//! The events of the workloads: made before anything is measured, the same on every machine.

use rxevents::source::SplitMix64;

/// 24 bytes, as a reading has.
#[derive(Clone, Copy)]
#[allow(dead_code, reason = "carried along")]
pub(crate) struct Sensor {
    pub(crate) id: u64,
    pub(crate) temperature: f64,
    pub(crate) at: i64,
}

pub(crate) fn sensors() -> Vec<Sensor> {
    let mut random = SplitMix64::new(1);
    let sensor = |n: i64| Sensor {
        id: random.next_u64() % 1_000_000,
        temperature: 20.0 + (random.next_u64() >> 43) as f64 * 5.0 / f64::from(1 << 19),
        at: 1_700_000_000_000_000_000 + n * 1_000_000,
    };
    (0..32_768).map(sensor).collect()
}

/// Values from 1 to 2; one in 20 is three times as much.
pub(crate) fn values() -> Vec<f64> {
    let mut random = SplitMix64::new(2);
    let value = |_| {
        let value = 1.0 + (random.next_u64() >> 54) as f64 / 1024.0;
        if random.next_u64().is_multiple_of(20) { value * 3.0 } else { value }
    };
    (0..40_000).map(value).collect()
}

/// A thousand sensors, each event up to 20 µs after the one before: id, nanoseconds.
pub(crate) fn ticks() -> Vec<(u64, i64)> {
    let (mut random, mut at) = (SplitMix64::new(3), 0);
    let tick = |_| {
        let id = random.next_u64() % 1000;
        at += (random.next_u64() % 20_000) as i64 + 1;
        (id, at)
    };
    (0..262_144).map(tick).collect()
}

/// Clicks on ten thousand elements, the n-th in proportion to 1/n: the place in the stream, from 1, and the element.
pub(crate) fn clicks() -> Vec<(u32, String)> {
    let mut random = SplitMix64::new(4);
    let weights = (0..10_000_u64).map(|n| (1 << 32) / (n + 1));
    let cumulated: Vec<u64> = weights
        .scan(0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        })
        .collect();
    let total = *cumulated.last().unwrap_or(&1);
    let click = |n| {
        random.next_u64(); // the user
        let place = (random.next_u64() >> 11) % total;
        let element = cumulated.partition_point(|sum| *sum <= place);
        (n, format!("/shop/section-{:03}/item-{element:05}", element % 100))
    };
    (1..=1_048_576).map(click).collect()
}

/// Lines of JSON, one in twenty cut off, one in twenty wrong.
pub(crate) fn payments() -> Vec<String> {
    let mut random = SplitMix64::new(5);
    let payment = |_| {
        let (a, b) = (random.next_u64(), random.next_u64());
        let bytes = (u128::from(a) << 64 | u128::from(b)).to_be_bytes();
        let mut id = uuid::Builder::from_random_bytes(bytes).into_uuid().hyphenated().to_string();
        let cents = (random.next_u64() % 1_000_000 + 1) as i64;
        let mut currency =
            ["EUR", "USD", "GBP", "CHF", "JPY", "SEK", "NOK", "PLN"][(random.next_u64() % 8) as usize];
        let epoch = 1_700_000_000 + (random.next_u64() % 31_536_000) as i64;
        let time = chrono::DateTime::from_timestamp(epoch, 0).unwrap_or_default();
        let mut timestamp = time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let (kind, sub) = (random.next_u64() % 100, random.next_u64() % 4);
        let mut sign = "";
        if (5..10).contains(&kind) {
            match sub {
                0 => sign = "-",
                1 => currency = "eu",
                2 => id = format!("not-a-uuid-{cents}"),
                _ => timestamp = "2024-13-45T99:00:00Z".into(),
            }
        }
        let mut line = format!(
            r#"{{"id":"{id}","amount":{sign}{}.{:02},"currency":"{currency}","timestamp":"{timestamp}"}}"#,
            cents / 100,
            cents % 100,
        );
        if kind < 5 {
            line.truncate(2 * line.len() / 3);
        }
        line
    };
    (0..1_000_000).map(payment).collect()
}

/// An hour of GPS and IMU times in nanoseconds, each in order.
pub(crate) fn motion() -> (Vec<i64>, Vec<i64>) {
    let times = |seed, count: i64, period: i64, jitter: u64| {
        let mut random = SplitMix64::new(seed);
        let time = |n| n * period + (random.next_u64() % jitter) as i64 - (jitter / 2) as i64;
        (0..count).map(time).collect()
    };
    (times(6, 36_000, 100_000_000, 40_000_001), times(7, 360_000, 10_000_000, 4_000_001))
}

/// 32-bit numbers.
pub(crate) fn numbers(seed: u64, count: usize) -> Vec<u32> {
    let mut random = SplitMix64::new(seed);
    (0..count).map(|_| (random.next_u64() >> 32) as u32).collect()
}

/// Lines of a service's log.
pub(crate) fn log() -> Vec<String> {
    let mut random = SplitMix64::new(11);
    let line = |n: u64| {
        let (r, q) = (random.next_u64(), random.next_u64());
        let level = match r % 100 {
            0..80 => "INFO",
            80..93 => "WARN",
            93..98 => "ERROR",
            _ => "DEBUG",
        };
        let (host, service, ms) = ((r >> 8) % 50, (r >> 16) % 20, (r >> 24) % 1000);
        let status = if level == "ERROR" { 500 } else { 200 };
        format!(
            "2024-05-01T12:{:02}:{:02}.{ms:03}Z host-{host} {level} svc-{service} request id={q:016x} took {ms}ms \
             status={status} ERRORS=0 retry={}",
            n / 60 % 60,
            n % 60,
            q >> 60,
        )
    };
    (0..1_000_000).map(line).collect()
}
