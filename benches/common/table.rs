//! Measures the columns of a row beside each other.

use std::{fmt::Debug, time::Instant};

/// Whether the columns run once each, only to show that they do the same work.
fn testing() -> bool {
    std::env::args().any(|arg| arg == "--test")
}

/// How often each column is measured.
pub(crate) fn rounds() -> usize {
    if testing() { 1 } else { 7 }
}

/// Runs each column [`rounds`] times, in turn, and prints the best time for an event, in nanoseconds, with the ratio to the
/// first column. Each must give the same sum: it does the same work.
pub(crate) fn measure<S: PartialEq + Debug, const N: usize>(
    name: &str,
    events: usize,
    mut works: [Option<Box<dyn FnMut() -> S>>; N],
) {
    let mut best = [f64::INFINITY; N];
    let mut first = None;
    // Long enough for the clock.
    let runs = if testing() { 1 } else { (1_000_000 / events).max(1) };
    for _ in 0..rounds() {
        for (work, best) in works.iter_mut().zip(&mut best) {
            let Some(work) = work else { continue };
            let start = Instant::now();
            let sum = work();
            (1..runs).for_each(|_| drop(work()));
            *best = best.min(start.elapsed().as_secs_f64() * 1e9 / (events * runs) as f64);
            match &first {
                None => first = Some(sum),
                Some(first) => {
                    assert_eq!(*first, sum, "{name}: a column did other work than the loop by hand");
                }
            }
        }
    }
    let cells = best.iter().enumerate().map(|(column, ns)| match (column, ns.is_finite()) {
        (0, _) => format!("{ns:.2}"),
        (_, true) => format!("{ns:.2} ({:.2} ×)", ns / best[0]),
        (_, false) => "–".to_string(),
    });
    println!("| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
}
