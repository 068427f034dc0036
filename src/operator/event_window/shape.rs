//! Which windows a moment is in: integers only, and nothing that overflows.

#[cfg(feature = "calendar")]
use super::Calendar;

/// What the windows are like.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// One after the other.
    Tumbling { size: i64, align: i64 },
    /// One each `hop`. Events are put into panes, which windows are made of.
    Hopping(Hopping),
    /// As long as there is an event within `gap`.
    Session { gap: i64 },
    /// So many events.
    Count { count: u64 },
    /// Days, months, … of a time zone.
    #[cfg(feature = "calendar")]
    Calendar(Calendar),
}

/// The first moment of the piece of time that `at` is in, where pieces of `length` begin at `align`, and the end of the
/// piece.
#[inline]
pub(super) fn piece(at: i64, length: i64, align: i64) -> (i64, i64) {
    let into = match at.checked_sub(align) {
        Some(since) => since.rem_euclid(length),
        None => (i128::from(at) - i128::from(align)).rem_euclid(i128::from(length)) as i64,
    };
    (at.saturating_sub(into), at.saturating_add(length - into))
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Hopping {
    pub(super) size: i64,
    pub(super) hop: i64,
    /// No window begins or ends within one.
    pub(super) pane: i64,
    pub(super) align: i64,
}

/// A pane, and the first and the last of the windows that it is in, by their starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) first: i64,
    pub(super) last: i64,
}

impl Hopping {
    pub(super) fn new(size: i64, hop: i64) -> Self {
        Self { size, hop, pane: gcd(size, hop), align: 0 }
    }

    /// `None`: between two windows.
    pub(super) fn span(&self, at: i64) -> Option<Span> {
        let (start, end) = piece(at, self.pane, self.align);
        let (last, _) = piece(at, self.hop, self.align);
        // Both are moments of the same grid, and the pane is within the window or outside of it.
        let into = at.abs_diff(last);
        let size = self.size.unsigned_abs();
        if into >= size {
            return None;
        }
        let earlier = (size - 1 - into) / self.hop.unsigned_abs();
        let back = i128::from(last) - i128::from(earlier) * i128::from(self.hop);
        Some(Span { start, end, first: i64::try_from(back).unwrap_or(i64::MIN), last })
    }

    #[inline]
    pub(super) fn end(&self, start: i64) -> i64 {
        start.saturating_add(self.size)
    }

    /// The first window, from `first` on, that ends after `closed`.
    pub(super) fn open_from(&self, first: i64, closed: i64) -> i64 {
        let end = self.end(first);
        if end > closed {
            return first;
        }
        let hops = closed.abs_diff(end) / self.hop.unsigned_abs() + 1;
        let start = i128::from(first) + i128::from(hops) * i128::from(self.hop);
        i64::try_from(start).unwrap_or(i64::MAX)
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pieces_are_half_open_and_go_on_below_zero() {
        for (at, start) in [(0, 0), (9, 0), (10, 10), (-1, -10), (-10, -10), (-11, -20)] {
            assert_eq!(piece(at, 10, 0), (start, start + 10), "{at}");
        }
        assert_eq!(piece(2, 10, 3), (-7, 3));
        assert_eq!(piece(i64::MIN, 10, i64::MAX).0, i64::MIN);
        assert_eq!(piece(i64::MAX, 10, i64::MIN).1, i64::MAX);
    }

    proptest! {
        #[test]
        fn a_moment_is_in_all_windows_from_the_first_to_the_last(
            at in -1_000_i64..1_000, size in 1_i64..50, hop in 1_i64..50, align in -100_i64..100,
        ) {
            let hopping = Hopping { align, ..Hopping::new(size, hop) };
            let starts: Vec<i64> =
                (-1_200..1_200).filter(|s| (s - align).rem_euclid(hop) == 0 && *s <= at && at < s + size).collect();
            match hopping.span(at) {
                None => prop_assert!(starts.is_empty()),
                Some(span) => {
                    prop_assert_eq!((Some(&span.first), Some(&span.last)), (starts.first(), starts.last()));
                    prop_assert!(span.start <= at && at < span.end);
                    if hop <= size && size % hop == 0 {
                        prop_assert_eq!(starts.len() as i64, size / hop);
                    }
                }
            }
        }

        #[test]
        fn no_moment_overflows(at: i64, size in 1_i64.., hop in 1_i64.., align: i64, closed: i64) {
            let hopping = Hopping { align, ..Hopping::new(size, hop) };
            if let Some(span) = hopping.span(at) {
                prop_assert!(span.start <= at && at <= span.end && span.first <= span.last);
                prop_assert!(hopping.end(hopping.open_from(span.first, closed)) >= closed.saturating_add(i64::from(closed < i64::MAX)));
            }
        }
    }
}
