//! The detectors beside their definitions, and on a recording whose anomalies are labelled.

use proptest::prelude::*;
use rxevents::{
    operator::window::{Detector, Ewma, MedianDeviation, Ratio, Scored, ZScore},
    prelude::*,
};

fn scores(detector: impl Detector + 'static, values: &[f64]) -> Vec<Option<f64>> {
    let mut seen = vec![];
    Local::from_iter(values.to_vec())
        .flag_anomalies(detector, |value| *value)
        .subscribe(|Scored { score, .. }| seen.push(score));
    seen
}

fn close(seen: Option<f64>, right: Option<f64>) -> bool {
    match (seen, right) {
        (Some(a), Some(b)) => a == b || (a - b).abs() <= 1e-6 * b.abs().max(1.0) || a.min(b) > 1e6,
        (a, b) => a == b,
    }
}

/// By the definition, of the `count` values before each.
fn rolling(values: &[f64], count: usize, f: impl Fn(&[f64], f64) -> f64) -> Vec<Option<f64>> {
    (0..values.len()).map(|at| Some(f(&values[at.checked_sub(count)?..at], values[at]))).collect()
}

fn spreads(distance: f64, spread: f64) -> f64 {
    if distance == 0.0 { 0.0 } else { distance.abs() / spread }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { f64::midpoint(values[half - 1], values[half]) }
}

proptest! {
    #[test]
    fn each_score_is_the_definition(
        values in proptest::collection::vec(prop_oneof![-50.0..50.0, Just(1.0), Just(-3.0), 1e4..1e5], 0..120),
        count in 2_usize..12,
        alpha in 0.05_f64..1.0,
    ) {
        let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
        let zscore = rolling(&values, count, |before, value| {
            let squares: f64 = before.iter().map(|v| (v - mean(before)).powi(2)).sum();
            spreads(value - mean(before), (squares / (count - 1) as f64).sqrt())
        });
        let mad = rolling(&values, count, |before, value| {
            let middle = median(before.to_vec());
            let deviation = median(before.iter().map(|v| (v - middle).abs()).collect());
            spreads(value - middle, 1.4826 * deviation)
        });
        let ratio = rolling(&values, count, |before, value| value / mean(before));
        // The weights written out.
        let ewma: Vec<_> = (0..values.len()).map(|at| {
            let (mut mean, mut variance): (f64, f64) = (values[0], 0.0);
            for value in &values[1..at.max(1)] {
                let distance = value - mean;
                mean = (1.0 - alpha) * mean + alpha * value;
                variance = (1.0 - alpha) * variance + alpha * (1.0 - alpha) * distance * distance;
            }
            (at as f64 >= (1.0 / alpha).ceil()).then(|| spreads(values[at] - mean, variance.sqrt()))
        }).collect();
        // A spread that should be nothing is so but for rounding.
        let same = |seen: Vec<Option<f64>>, right: &[Option<f64>]| {
            seen.iter().zip(right).position(|(a, b)| !close(*a, *b)).map(|at| (at, seen[at], right[at]))
        };
        prop_assert_eq!(same(scores(MedianDeviation::new(count, 3.0), &values), &mad), None);
        prop_assert_eq!(same(scores(Ewma::new(alpha, 3.0), &values), &ewma), None);
        let spread = |at: usize| {
            let before = &values[at - count..at];
            before.iter().any(|v| (v - before[0]).abs() > 1e-3)
        };
        for (at, (seen, right)) in scores(ZScore::new(count, 3.0), &values).into_iter().zip(&zscore).enumerate() {
            prop_assert!(close(seen, *right) || !spread(at), "{} {:?} {:?}", at, seen, right);
        }
        for (at, (seen, right)) in scores(Ratio::new(count, 3.0), &values).into_iter().zip(&ratio).enumerate() {
            let tiny = at >= count && mean(&values[at - count..at]).abs() < 1e-3;
            prop_assert!(close(seen, *right) || tiny, "{} {:?} {:?}", at, seen, right);
        }
    }
}

#[test]
fn errors_of_rounding_do_not_add_up() {
    let mut detector = ZScore::new(7, 3.0);
    let value = |n: u64| 1e6 + (n * 7919 % 1000) as f64 + if n.is_multiple_of(1000) { 1e9 } else { 0.0 };
    let mut worst = 0.0_f64;
    for n in 0..2_000_000 {
        let score = detector.score(value(n));
        if n % 997 == 100 {
            let before: Vec<f64> = (n - 7..n).map(value).collect();
            let mean = before.iter().sum::<f64>() / 7.0;
            let squares: f64 = before.iter().map(|v| (v - mean).powi(2)).sum();
            let right = (value(n) - mean).abs() / (squares / 6.0).sqrt();
            worst = worst.max((score.unwrap() - right).abs() / right);
        }
    }
    assert!(worst < 1e-3, "{worst}");
}

#[test]
fn what_is_not_finite_is_flagged_and_measures_nothing() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let clean = [1.0, 2.0, 3.0, 4.0, 5.0];
        let spoilt = [1.0, 2.0, bad, 3.0, 4.0, 5.0];
        let (clean, spoilt) = (scores(ZScore::new(2, 3.0), &clean), scores(ZScore::new(2, 3.0), &spoilt));
        assert_eq!(spoilt[2], Some(f64::INFINITY));
        assert_eq!([&spoilt[..2], &spoilt[3..]].concat(), clean);
    }
}

/// The variance of a value whose square is no number was never forgotten.
#[test]
fn a_huge_value_blinds_no_detector_for_ever() {
    let usual = |n: usize| 80.0 + (n * 7 % 5) as f64;
    for huge in [1e200, -1e308, f64::MAX] {
        let mut values: Vec<f64> = (0..100).map(usual).collect();
        values.push(huge);
        values.extend((0..200).map(usual));
        values.push(1e9);
        for (name, seen) in [
            ("zscore", scores(ZScore::new(20, 3.0), &values)),
            ("ewma", scores(Ewma::new(0.1, 3.0), &values)),
            ("mad", scores(MedianDeviation::new(20, 3.0), &values)),
            ("ratio", scores(Ratio::new(20, 3.0), &values)),
        ] {
            let last = seen.last().unwrap().unwrap();
            assert!(last > 1e5, "{name}, {huge}: {last}");
        }
    }
}
