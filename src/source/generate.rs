use std::{fmt::Write, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::event::{Click, SensorReading};

/// A small fast generator of pseudo-random numbers (splitmix64): the same seed gives the same numbers everywhere. Not for
/// secrets.
#[derive(Debug, Clone)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// Starts at `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number; all 64-bit numbers are equally likely.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = self.0;
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// What a generated item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// As it should be.
    Good,
    /// A line that is cut off: it cannot be decoded.
    Malformed,
    /// It can be decoded, but breaks a rule.
    Invalid,
    /// Good, but older than those before it.
    Late,
    /// The last good item (or anomaly) once more.
    Duplicate,
    /// Good, but with an unusual value (sensor readings only).
    Anomaly,
}

/// How many items of each [`Class`] were generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// [`Class::Good`].
    pub good: u64,
    /// [`Class::Malformed`].
    pub malformed: u64,
    /// [`Class::Invalid`].
    pub invalid: u64,
    /// [`Class::Late`].
    pub late: u64,
    /// [`Class::Duplicate`].
    pub duplicates: u64,
    /// [`Class::Anomaly`].
    pub anomalies: u64,
}

/// An endless source of made-up events, the same for the same seed: [`SensorReadings`], [`PaymentLines`], [`Clicks`] or
/// [`ClickLines`].
///
/// It yields good events, and a share of others, each between 0 and 1 (what is below counts as 0, what is above as 1, NaN as
/// 0), exact to a millionth. An event is of one class only: where the shares add up to more than 1, the first ones in the
/// order of malformed, invalid, late, duplicates, anomalies have theirs, and the last ones get what is left. The good
/// events are the same whatever the shares.
///
/// [`counts`](Self::counts) says what was generated, and [`labelled`](Self::labelled) says it for each item.
///
/// ```
/// use rxevents::{event::Payment, source::PaymentLines};
///
/// let mut lines = PaymentLines::new(5).malformed(0.05).invalid(0.05);
/// let failed = lines.by_ref().take(1_000).filter(|line| Payment::from_json(line.as_bytes()).is_err()).count();
/// let counts = lines.counts();
/// assert_eq!(failed as u64, counts.malformed + counts.invalid);
/// ```
#[derive(Debug, Clone)]
pub struct Generator<K: Kind> {
    kind: K,
    random: SplitMix64,
    /// Malformed, invalid, late, duplicates, anomalies: in millionths.
    shares: [u64; 5],
    counts: Counts,
    last_good: Option<K::Item>,
}

/// Readings of temperatures, one per sensor and step of time. By default one sensor (`sensor-0`), a step of 5 minutes and
/// no [`anomalies`](Generator::anomalies).
///
/// Values are 20 to 25; those of anomalies three times as much. Invalid ones are NaN, infinite or without a sensor; late
/// ones are 2 to 12 steps late.
pub type SensorReadings = Generator<SensorKind>;

/// Payments as lines of JSON, as [`Payment`](crate::event::Payment) reads them.
///
/// They are made in eight currencies within a year from 2023-11-14T22:13:20Z, in no order; amounts are 0.01 to
/// 10,000.00 (in JPY at least 1, and whole). Malformed lines are cut after two thirds. Invalid ones have a negative
/// amount, no currency, no UUID or no time, one of these each. Late ones are from the day before that year.
pub type PaymentLines = Generator<PaymentKind>;

/// Clicks of a million users on ten thousand elements, the n-th most popular of which is clicked on in proportion to
/// 1/n, each up to 2 seconds after the one before. Late ones are one minute to one hour late; invalid ones have no user
/// or no element.
pub type Clicks = Generator<ClickKind>;

/// [`Clicks`] as lines of a web server's log, as [`Click::from_combined_log`] reads them. Malformed lines are cut after two
/// thirds, invalid ones are from 30 February.
pub type ClickLines = Generator<ClickLineKind>;

/// What a [`Generator`] generates.
pub trait Kind: sealed::Make {}
impl<K: sealed::Make> Kind for K {}

/// Kinds of lines of text: these can be malformed.
pub trait LineKind: Kind<Item = String> {}
impl LineKind for PaymentKind {}
impl LineKind for ClickLineKind {}

mod sealed {
    use super::{Class, SplitMix64};

    pub trait Make {
        /// What is generated.
        type Item: Clone + std::fmt::Debug;
        /// A good event, before it is spoilt or written as a line.
        type Draft;
        /// The next good event.
        fn draft(&mut self, random: &mut SplitMix64) -> Self::Draft;
        /// The event as an item of the class (which is not [`Class::Duplicate`]); `how` is random.
        fn item(&self, draft: Self::Draft, class: Class, how: u64) -> Self::Item;
    }
}
use sealed::Make;

impl<K: Kind + Default> Generator<K> {
    /// Good events only, made from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            kind: K::default(),
            random: SplitMix64::new(seed),
            shares: [0; 5],
            counts: Counts::default(),
            last_good: None,
        }
    }
}

impl<K: Kind> Generator<K> {
    /// Sets the share of events that break a rule.
    #[must_use]
    pub fn invalid(self, share: f64) -> Self {
        self.share(1, share)
    }

    /// Sets the share of events that are older than those before them.
    #[must_use]
    pub fn late(self, share: f64) -> Self {
        self.share(2, share)
    }

    /// Sets the share of events that are the last good one once more. Before there is one, a good one takes their place.
    #[must_use]
    pub fn duplicates(self, share: f64) -> Self {
        self.share(3, share)
    }

    /// What was generated so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The same events, each with its class.
    pub fn labelled(self) -> Labelled<K> {
        Labelled(self)
    }

    fn share(mut self, class: usize, share: f64) -> Self {
        if let Some(millionths) = self.shares.get_mut(class) {
            // A cast takes NaN as 0.
            *millionths = (share.clamp(0.0, 1.0) * 1e6).round() as u64;
        }
        self
    }

    fn generate(&mut self) -> (Class, K::Item) {
        let draft = self.kind.draft(&mut self.random);
        let (draw, how) = (self.random.next_u64(), self.random.next_u64());
        // The hundredths first, for shares of whole hundredths to depend on nothing else.
        let mut left = draw % 100 * 10_000 + draw / 100 % 10_000;
        let classes = [Class::Malformed, Class::Invalid, Class::Late, Class::Duplicate, Class::Anomaly];
        let class = classes.into_iter().zip(self.shares).find(|&(_, share)| {
            let found = left < share;
            left = left.saturating_sub(share);
            found
        });
        let class = class.map_or(Class::Good, |(class, _)| class);
        if class == Class::Duplicate
            && let Some(item) = &self.last_good
        {
            self.counts.duplicates += 1;
            return (class, item.clone());
        }
        let class = if class == Class::Duplicate { Class::Good } else { class };
        let item = self.kind.item(draft, class, how);
        *match class {
            Class::Good | Class::Duplicate => &mut self.counts.good,
            Class::Malformed => &mut self.counts.malformed,
            Class::Invalid => &mut self.counts.invalid,
            Class::Late => &mut self.counts.late,
            Class::Anomaly => &mut self.counts.anomalies,
        } += 1;
        if self.shares[3] > 0 && matches!(class, Class::Good | Class::Anomaly) {
            self.last_good = Some(item.clone());
        }
        (class, item)
    }
}

impl<K: LineKind> Generator<K> {
    /// Sets the share of lines that are cut off.
    #[must_use]
    pub fn malformed(self, share: f64) -> Self {
        self.share(0, share)
    }
}

impl<K: Kind> Iterator for Generator<K> {
    type Item = K::Item;

    fn next(&mut self) -> Option<K::Item> {
        Some(self.generate().1)
    }
}

/// The events of a [`Generator`], each with its class.
#[derive(Debug, Clone)]
pub struct Labelled<K: Kind>(Generator<K>);

impl<K: Kind> Iterator for Labelled<K> {
    type Item = (Class, K::Item);

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.generate())
    }
}

/// The first moment of all generators: 2023-11-14T22:13:20Z.
const START: DateTime<Utc> = match DateTime::from_timestamp(1_700_000_000, 0) {
    Some(start) => start,
    None => DateTime::UNIX_EPOCH,
};

/// See [`SensorReadings`].
#[derive(Debug, Clone)]
pub struct SensorKind {
    sensors: Vec<Arc<str>>,
    next: usize,
    at: DateTime<Utc>,
    step: TimeDelta,
}

impl Default for SensorKind {
    fn default() -> Self {
        Self { sensors: vec!["sensor-0".into()], next: 0, at: START, step: TimeDelta::minutes(5) }
    }
}

impl SensorReadings {
    /// Sets the number of sensors; at least one. At each step of time each of them is read, in order.
    #[must_use]
    pub fn sensors(mut self, sensors: usize) -> Self {
        self.kind.sensors = (0..sensors.max(1)).map(|index| format!("sensor-{index}").into()).collect();
        self
    }

    /// Sets the time of the first readings; the default is 2023-11-14T22:13:20Z.
    #[must_use]
    pub fn start(mut self, at: DateTime<Utc>) -> Self {
        self.kind.at = at;
        self
    }

    /// Sets the time between two readings of a sensor. At the end of chrono's years (262142) time stands still.
    #[must_use]
    pub fn step(mut self, step: TimeDelta) -> Self {
        self.kind.step = step;
        self
    }

    /// Sets the share of readings of three times the usual value; none by default.
    #[must_use]
    pub fn anomalies(self, share: f64) -> Self {
        self.share(4, share)
    }
}

impl Make for SensorKind {
    type Item = SensorReading;
    type Draft = SensorReading;

    fn draft(&mut self, random: &mut SplitMix64) -> SensorReading {
        let value = 20.0 + (random.next_u64() >> 43) as f64 * 5.0 / (1u64 << 21) as f64;
        let sensor = self.sensors.get(self.next).cloned().unwrap_or_default();
        let reading = SensorReading { sensor, at: self.at, value };
        self.next += 1;
        if self.next >= self.sensors.len() {
            self.next = 0;
            self.at = self.at.checked_add_signed(self.step).unwrap_or(self.at);
        }
        reading
    }

    fn item(&self, reading: SensorReading, class: Class, how: u64) -> SensorReading {
        match class {
            Class::Invalid => match how % 3 {
                0 => SensorReading { value: f64::NAN, ..reading },
                1 => SensorReading { value: f64::INFINITY, ..reading },
                _ => SensorReading { sensor: "".into(), ..reading },
            },
            Class::Late => {
                let steps = 2 + (how % 11) as i32;
                let delay = self.step.checked_mul(steps).unwrap_or(self.step);
                SensorReading { at: reading.at.checked_sub_signed(delay).unwrap_or(reading.at), ..reading }
            }
            Class::Anomaly => SensorReading { value: reading.value * 3.0, ..reading },
            Class::Good | Class::Malformed | Class::Duplicate => reading,
        }
    }
}

/// See [`PaymentLines`].
#[derive(Debug, Clone, Default)]
pub struct PaymentKind(());

/// A good payment before it is written as a line.
#[derive(Debug)]
pub struct PaymentDraft {
    id: Uuid,
    cents: u64,
    currency: &'static str,
    /// Seconds since [`START`].
    seconds: u64,
}

impl Make for PaymentKind {
    type Item = String;
    type Draft = PaymentDraft;

    fn draft(&mut self, random: &mut SplitMix64) -> PaymentDraft {
        const CURRENCIES: [&str; 8] = ["EUR", "USD", "GBP", "CHF", "JPY", "SEK", "NOK", "PLN"];
        let id = uuid::Builder::from_random_bytes(
            Uuid::from_u64_pair(random.next_u64(), random.next_u64()).into_bytes(),
        );
        PaymentDraft {
            id: id.into_uuid(),
            cents: random.next_u64() % 1_000_000 + 1,
            currency: CURRENCIES[(random.next_u64() % 8) as usize],
            seconds: random.next_u64() % 31_536_000,
        }
    }

    fn item(
        &self,
        PaymentDraft { id, cents, currency, seconds }: PaymentDraft,
        class: Class,
        how: u64,
    ) -> String {
        let wrong = (class == Class::Invalid).then_some(how % 4);
        let sign = if wrong == Some(0) { "-" } else { "" };
        let (units, decimals) = match currency {
            "JPY" => ((cents / 100).max(1), None),
            _ => (cents / 100, Some(cents % 100)),
        };
        let currency = if wrong == Some(1) { "eu" } else { currency };
        let mut line = String::with_capacity(144);
        let delay = if class == Class::Late { how % 86_400 + 1 + seconds } else { 0 };
        let at = START + TimeDelta::seconds(seconds as i64 - delay as i64);
        // Writing into a String cannot fail.
        let _ = match wrong {
            Some(2) => write!(line, r#"{{"id":"not-a-uuid-{cents}","#),
            _ => write!(line, r#"{{"id":"{id}","#),
        };
        let _ = write!(line, r#""amount":{sign}{units}"#);
        if let Some(decimals) = decimals {
            let _ = write!(line, ".{decimals:02}");
        }
        let _ = write!(line, r#","currency":"{currency}","timestamp":"#);
        let _ = match wrong {
            Some(3) => write!(line, r#""2024-13-45T99:00:00Z"}}"#),
            _ => write!(line, r#""{}"}}"#, at.format("%Y-%m-%dT%H:%M:%SZ")),
        };
        cut_if_malformed(line, class)
    }
}

fn cut_if_malformed(mut line: String, class: Class) -> String {
    if class == Class::Malformed {
        // The lines are ASCII.
        line.truncate(line.len() * 2 / 3);
    }
    line
}

/// See [`Clicks`].
#[derive(Debug, Clone)]
pub struct ClickKind {
    elements: Arc<[Arc<str>]>,
    /// The sum of the weights of an element and all that are more popular.
    sums: Arc<[u64]>,
    at: DateTime<Utc>,
}

impl Default for ClickKind {
    fn default() -> Self {
        let weights = (0..10_000).map(|rank| (1 << 32) / (rank + 1));
        Self {
            elements: (0..10_000)
                .map(|rank| format!("/shop/section-{:03}/item-{rank:05}", rank % 100).into())
                .collect(),
            sums: weights
                .scan(0, |sum, weight: u64| {
                    *sum += weight;
                    Some(*sum)
                })
                .collect(),
            at: START,
        }
    }
}

impl Make for ClickKind {
    type Item = Click;
    type Draft = Click;

    fn draft(&mut self, random: &mut SplitMix64) -> Click {
        let user = format!("user-{}", random.next_u64() % 1_000_000);
        let total = self.sums.last().copied().unwrap_or(1);
        let at = (random.next_u64() >> 11) % total;
        let element =
            self.elements.get(self.sums.partition_point(|&sum| sum <= at)).cloned().unwrap_or_default();
        self.at += TimeDelta::milliseconds((random.next_u64() % 2_001) as i64);
        Click { user: user.into(), element, at: self.at }
    }

    fn item(&self, click: Click, class: Class, how: u64) -> Click {
        match class {
            Class::Invalid if how.is_multiple_of(2) => Click { user: "".into(), ..click },
            Class::Invalid => Click { element: "".into(), ..click },
            Class::Late => Click { at: click.at - TimeDelta::seconds((60 + how % 3_541) as i64), ..click },
            Class::Good | Class::Malformed | Class::Duplicate | Class::Anomaly => click,
        }
    }
}

/// See [`ClickLines`].
#[derive(Debug, Clone, Default)]
pub struct ClickLineKind(ClickKind);

impl Make for ClickLineKind {
    type Item = String;
    type Draft = Click;

    fn draft(&mut self, random: &mut SplitMix64) -> Click {
        self.0.draft(random)
    }

    fn item(&self, click: Click, class: Class, how: u64) -> String {
        let click = if class == Class::Late { self.0.item(click, class, how) } else { click };
        let time = match class {
            Class::Invalid => "30/Feb/2024:12:00:00 +0000".to_owned(),
            _ => click.at.format("%d/%b/%Y:%H:%M:%S +0000").to_string(),
        };
        let Click { user, element, .. } = click;
        let line = format!(
            r#"{user} - - [{time}] "GET {element} HTTP/1.1" 200 {} "-" "Mozilla/5.0""#,
            how % 100_000
        );
        cut_if_malformed(line, class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dead_letter::FailureKind, event::Payment};
    use validator::Validate;

    /// What a label promises of a line or event that was decoded and checked, if it was.
    fn kind_of(class: Class) -> Option<FailureKind> {
        match class {
            Class::Malformed => Some(FailureKind::Decode),
            Class::Invalid => Some(FailureKind::Validation),
            _ => None,
        }
    }

    #[test]
    fn labels_are_true() {
        for (class, line) in
            PaymentLines::new(5).malformed(0.1).invalid(0.1).late(0.1).duplicates(0.1).labelled().take(2_000)
        {
            let payment = Payment::from_json(line.as_bytes());
            assert_eq!(payment.as_ref().err().map(|reason| reason.kind()), kind_of(class), "{line}");
            if let Ok(payment) = payment {
                assert_eq!(class == Class::Late, payment.at < START, "{line}");
            }
        }
        for (class, line) in ClickLines::new(1).malformed(0.1).invalid(0.1).late(0.1).labelled().take(2_000) {
            let click = Click::from_combined_log(&line);
            assert_eq!(click.err().map(|reason| reason.kind()), kind_of(class), "{line}");
        }
        let mut newest = START;
        for (class, click) in Clicks::new(1).invalid(0.1).late(0.1).labelled().take(2_000) {
            assert_eq!(click.validate().is_err(), class == Class::Invalid, "{click:?}");
            assert_eq!(click.at < newest, class == Class::Late, "{click:?}");
            newest = newest.max(click.at);
        }
        let mut newest = START;
        for (class, reading) in
            SensorReadings::new(1).sensors(3).invalid(0.1).late(0.1).anomalies(0.1).labelled().take(2_000)
        {
            assert_eq!(reading.validate().is_err(), class == Class::Invalid, "{reading:?}");
            assert_eq!(
                reading.value.is_finite() && reading.value > 25.0,
                class == Class::Anomaly,
                "{reading:?}"
            );
            assert_eq!(reading.at < newest, class == Class::Late, "{reading:?}");
            newest = newest.max(reading.at);
        }
    }

    #[test]
    fn counts_add_up_and_seeds_repeat() {
        let mut lines = PaymentLines::new(7).malformed(0.05).invalid(0.05).duplicates(0.2);
        let first: Vec<_> = lines.by_ref().take(10_000).collect();
        let Counts { good, malformed, invalid, late, duplicates, anomalies } = lines.counts();
        assert_eq!(good + malformed + invalid + duplicates, 10_000);
        assert_eq!((late, anomalies), (0, 0));
        for (count, expected) in [(malformed, 500), (invalid, 500), (duplicates, 2_000)] {
            assert!(count.abs_diff(expected) < 150, "{count} {expected}");
        }
        let again =
            PaymentLines::new(7).malformed(0.05).invalid(0.05).duplicates(0.2).labelled().take(10_000);
        let mut last = None;
        for ((class, line), first) in again.zip(&first) {
            assert_eq!(&line, first);
            match class {
                Class::Duplicate => assert_eq!(Some(line), last),
                Class::Good => last = Some(line),
                _ => {}
            }
        }
        assert_ne!(first[0], PaymentLines::new(8).next().unwrap());
    }

    #[test]
    fn odd_shares() {
        let classes =
            |lines: PaymentLines| lines.labelled().take(100).map(|(class, _)| class).collect::<Vec<_>>();
        assert!(classes(PaymentLines::new(1).invalid(7.0)).iter().all(|&class| class == Class::Invalid));
        for share in [-1.0, f64::NAN, 0.0] {
            assert!(classes(PaymentLines::new(1).invalid(share)).iter().all(|&class| class == Class::Good));
        }
        let both = classes(PaymentLines::new(1).malformed(0.6).invalid(1.0));
        assert!(both.iter().all(|&class| matches!(class, Class::Malformed | Class::Invalid)));
        assert!(both.contains(&Class::Malformed) && both.contains(&Class::Invalid));
        // There is nothing to repeat before the first good one.
        assert_eq!(classes(PaymentLines::new(1).duplicates(1.0))[..2], [Class::Good, Class::Duplicate]);
    }

    #[test]
    fn known_numbers() {
        let mut random = SplitMix64::new(0);
        assert_eq!([random.next_u64(), random.next_u64()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
        assert_eq!(
            PaymentLines::new(5).next().unwrap(),
            r#"{"id":"63033b0c-a389-435a-8097-314d939736f8","amount":6130.64,"currency":"SEK","timestamp":"2024-11-02T09:24:21Z"}"#
        );
    }

    #[test]
    fn popular_elements_are_clicked_on_more() {
        let clicks: Vec<_> = Clicks::new(4).take(10_000).collect();
        let count = |item: &str| clicks.iter().filter(|click| click.element.ends_with(item)).count();
        // 1 / (1 + 1/2 + … + 1/10,000) of them is about a tenth.
        assert!(count("item-00000").abs_diff(1_022) < 150);
        assert!(count("item-00009").abs_diff(102) < 50);
        assert!(clicks.windows(2).all(|pair| pair[0].at <= pair[1].at));
    }
}
