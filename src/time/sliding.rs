use std::time::Duration;

const SLOTS: usize = 10;

/// Sums of what happened in the last `length`, in ten slots: fixed memory, exact to a tenth of the length.
///
/// What happens often need not be told one by one, and so needs no clock: [`spread`](Self::spread) takes it as evenly
/// spread over the time since it was told last.
#[derive(Debug, Clone)]
pub(crate) struct Sliding<const KINDS: usize> {
    slots: [[f64; KINDS]; SLOTS],
    slot: Duration,
    /// The number of the newest slot, from the clock's zero.
    newest: u128,
    since: Option<Duration>,
}

impl<const KINDS: usize> Sliding<KINDS> {
    pub(crate) fn new(length: Duration) -> Self {
        let slot = (length / SLOTS as u32).max(Duration::from_nanos(1));
        Self { slots: [[0.0; KINDS]; SLOTS], slot, newest: 0, since: None }
    }

    /// Begins, if it has not begun.
    pub(crate) fn begin(&mut self, now: Duration) {
        self.since.get_or_insert(now);
    }

    /// Forgets what is too old.
    fn advance(&mut self, now: Duration) {
        let number = now.as_nanos() / self.slot.as_nanos();
        let passed = number.saturating_sub(self.newest).min(SLOTS as u128);
        for n in 0..passed {
            self.slots[((number - n) % SLOTS as u128) as usize] = [0.0; KINDS];
        }
        self.newest = self.newest.max(number);
    }

    /// `n` of `kind` happened now.
    pub(crate) fn add(&mut self, now: Duration, kind: usize, n: f64) {
        self.advance(now);
        self.slots[(self.newest % SLOTS as u128) as usize][kind] += n;
    }

    /// `n` of `kind` happened since the last call.
    pub(crate) fn spread(&mut self, now: Duration, kind: usize, n: f64) {
        self.advance(now);
        let since = self.since.replace(now).unwrap_or(now);
        let slots = now.saturating_sub(since).as_secs_f64() / self.slot.as_secs_f64();
        let each = if slots > 1.0 { n / slots } else { n };
        let touched = (slots.ceil() as u128).clamp(1, SLOTS as u128).min(self.newest + 1);
        for slot in 0..touched {
            self.slots[((self.newest - slot) % SLOTS as u128) as usize][kind] += each;
        }
    }

    pub(crate) fn sum(&self, kind: usize) -> f64 {
        self.slots.iter().map(|slot| slot[kind]).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn what_is_too_old_is_forgotten() {
        let mut seen = Sliding::<2>::new(ms(100));
        seen.add(ms(1005), 0, 3.0);
        seen.add(ms(1060), 1, 1.0);
        assert_eq!((seen.sum(0), seen.sum(1)), (3.0, 1.0));
        seen.add(ms(1099), 0, 1.0);
        assert_eq!(seen.sum(0), 4.0);
        seen.add(ms(1101), 0, 0.0);
        assert_eq!((seen.sum(0), seen.sum(1)), (1.0, 1.0));
        seen.add(ms(900_000), 0, 0.0);
        assert_eq!((seen.sum(0), seen.sum(1)), (0.0, 0.0));
        // A clock that goes back changes nothing.
        seen.add(ms(1), 0, 1.0);
        assert_eq!(seen.sum(0), 1.0);
    }

    #[test]
    fn what_was_told_together_did_not_happen_at_once() {
        let mut seen = Sliding::<1>::new(ms(100));
        seen.begin(ms(1000));
        // An hour: what happened in the last 100 ms is little of it.
        seen.spread(ms(3_601_000), 0, 3_600_000.0);
        assert!((seen.sum(0) - 100.0).abs() < 1.0, "{}", seen.sum(0));
        seen.spread(ms(3_601_001), 0, 5.0);
        assert!((seen.sum(0) - 105.0).abs() < 1.0, "{}", seen.sum(0));
    }
}
