use std::convert::Infallible;

use rxevents::prelude::*;

use super::flavour::Kind;
use crate::common::Log;

fn text(window: &[char]) -> char {
    char::from_digit(window.iter().filter_map(|c| c.to_digit(10)).sum(), 36).unwrap_or('?')
}

marbles! {
    buffer_count_skip_overlaps: |s| s.cold("12345|").buffer_count_skip(3, 2).map(|w| text(&w)), "--6-c(5|)";
    buffer_count_skip_sends_all_open_ones: |s| s.cold("12345|").buffer_count_skip(3, 1).map(|w| text(&w)), "--69c(95|)";
    buffer_count_skip_leaves_gaps: |s| s.cold("12345|").buffer_count_skip(2, 3).map(|w| text(&w)), "-3--9|";
    buffer_count_skip_ends_in_a_gap: |s| s.cold("123|").buffer_count_skip(2, 3).map(|w| text(&w)), "-3-|";
    buffer_count_skip_nothing: |s| s.cold("--|").buffer_count_skip(3, 1).map(|w| text(&w)), "--|";
    buffer_count_skip_an_error: |s| s.cold("123#").buffer_count_skip(2, 1).map(|w| text(&w)), "-35#";
    buffer_count_skip_of_none: |s| s.cold("12|").buffer_count_skip(0, 0).map(|w| text(&w)), "12|";
    buffer_count_skip_below_take: |s| s.cold("123|").buffer_count_skip(3, 1).map(|w| text(&w)).take(2), "--6(5|)";

    chunks: |s| s.cold("12345|").chunks(2, text), "-3-7-(5|)";
    chunks_without_a_rest: |s| s.cold("12-|").chunks(2, text), "-3-|";
    chunks_an_error: |s| s.cold("123#").chunks(2, text), "-3-#";
    chunks_of_none: |s| s.cold("12|").chunks(0, text), "12|";
    chunks_of_all: |s| s.cold("12|").chunks(usize::MAX, text), "--(3|)";

    sliding: |s| s.cold("12345|").sliding(3, 1, text), "--69c|";
    sliding_by_two: |s| s.cold("123456|").sliding(3, 2, text), "--6-c-|";
    sliding_leaves_gaps: |s| s.cold("12345|").sliding(1, 3, text), "1--4-|";
    sliding_of_too_few: |s| s.cold("12|").sliding(3, 1, text), "--|";
    sliding_an_error: |s| s.cold("12#").sliding(2, 1, text), "-3#";
    sliding_of_none: |s| s.cold("12|").sliding(0, 0, text), "12|";
    sliding_of_all: |s| s.cold("12|").sliding(usize::MAX, 1, text), "--|";

    moving_average: |s| s.cold("135|").map(|c| f64::from(c.to_digit(10).unwrap_or(0))).moving_average(2)
        .map(|mean| text(&[char::from_digit(mean as u32, 10).unwrap_or('?')])), "-24|";
    moving_average_by: |s| s.cold("135#").moving_average_by(3, |c| f64::from(c.to_digit(10).unwrap_or(0)))
        .map(|mean| if mean == 3.0 { '3' } else { '?' }), "--3#";
}

/// Against `slice::windows`, and the partitions of ReactiveX by their definition.
#[test]
fn windows_are_those_of_the_slice() {
    let items: Vec<i64> = (0..40).collect();
    for (count, step) in (1..8).flat_map(|count| (1..10).map(move |step| (count, step))) {
        let (slid, partitions) = (Log::<_, Infallible>::default(), Log::<_, Infallible>::default());
        Kind::from_iter(items.clone())
            .sliding(count, step, <[i64]>::to_vec)
            .subscribe_with(slid.sink(|_| {}));
        let expected: Vec<_> = items.windows(count).step_by(step).map(<[i64]>::to_vec).collect();
        assert_eq!(slid.items(), expected, "{count} {step}");

        Kind::from_iter(items.clone()).buffer_count_skip(count, step).subscribe_with(partitions.sink(|_| {}));
        let of = |start: usize| items[start..items.len().min(start + count)].to_vec();
        let expected: Vec<_> = (0..items.len()).step_by(step).map(of).collect();
        assert_eq!(partitions.items(), expected, "{count} {step}");
    }
}

#[test]
fn outliers_are_above_the_ratio() {
    let log = Log::<_, Infallible>::default();
    let partitions = [
        vec![2.0, 2.0, 2.0],
        vec![1.0, 1.0, 4.0],
        vec![1.0, 3.0],
        vec![],
        vec![f64::NAN, 9.0],
        vec![1.0, f64::INFINITY],
    ];
    Kind::from_iter(partitions.clone()).flag_outliers(1.5).subscribe_with(log.sink(|_| {}));
    let flagged: Vec<_> = log.items().iter().map(|judged| judged.flagged).collect();
    // 3 is not above 1.5 times 2.
    assert_eq!(flagged, [false, true, false, false, false, false]);
    let by = Log::<_, Infallible>::default();
    Kind::from_iter(partitions).flag_outliers_by(1.5, |v| *v).subscribe_with(by.sink(|_| {}));
    assert_eq!(format!("{:?}", by.items()), format!("{:?}", log.items()));
}
