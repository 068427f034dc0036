use std::hash::BuildHasher;

use super::{EventTime, OnDropped, throttle_first::State};
use crate::delivery::fate::abandon;
use crate::operator::{
    apply::{Emit, Kernel},
    key::{Key, Keys, Table},
};

/// See [`throttle_first_by_key`](super::RateOps::throttle_first_by_key).
pub struct ThrottleFirstByKey<K, Q: Key + ?Sized, F, W, Time, H, D> {
    table: Table<Q::Owned, State<Time>, H>,
    key: K,
    time: F,
    window: W,
    on_dropped: D,
}

impl<K, Q: Key + ?Sized, F, W, Time, H: BuildHasher, D> ThrottleFirstByKey<K, Q, F, W, Time, H, D> {
    pub(super) fn new(keys: Keys<H>, key: K, time: F, window: W, on_dropped: D) -> Self {
        Self { table: Table::new(keys), key, time, window, on_dropped }
    }
}

impl<K, Q, F, W, Time, H, D> Clone for ThrottleFirstByKey<K, Q, F, W, Time, H, D>
where
    K: Clone,
    Q: Key + ?Sized,
    F: Clone,
    W: Clone,
    Time: Clone,
    H: Clone,
    D: Clone,
{
    fn clone(&self) -> Self {
        Self {
            table: self.table.clone(),
            key: self.key.clone(),
            time: self.time.clone(),
            window: self.window.clone(),
            on_dropped: self.on_dropped.clone(),
        }
    }
}

impl<K, Q, F, W, Time, H, D, I> Kernel<I, I> for ThrottleFirstByKey<K, Q, F, W, Time, H, D>
where
    K: FnMut(&I) -> &Q,
    Q: Key + ?Sized,
    F: FnMut(&I) -> Time,
    Time: EventTime<W>,
    H: BuildHasher,
    D: OnDropped<I>,
{
    const NAME: &'static str = "throttle_first_by_key";

    #[inline(always)]
    fn next(&mut self, item: I) -> Emit<I> {
        let at = (self.time)(&item);
        match self.table.get((self.key)(&item), Self::NAME, || State::Start) {
            Ok(state) => {
                if state.passes(&at, &self.window) {
                    return Emit::Item(item);
                }
                self.on_dropped.dropped(item);
                Emit::Skip
            }
            Err(full) => {
                abandon(item);
                Emit::Fail(full.into())
            }
        }
    }
}
