//! What a join does with items: each goes to the others of its key, and event time goes on with it.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    hash::{BuildHasher, Hash},
    mem,
    time::Duration,
};

use hashbrown::HashTable;

use super::{
    JoinSpec, Joined, LeftOver, WhyLeftOver,
    lane::{Entry, Floors, Lane, Out},
    row::Counts,
    spec::Plan,
};
use crate::{
    buffer::{Buffer, Overflow},
    delivery::fate::abandon,
    error::named,
    event_time::{EventClock, EventTime, Regression, Run, Seen, Stop},
    held::QueueMeter,
    operator::{combine::Unmatched, key::FastHasher},
    shares::Share,
};

pub(super) const NAME: &str = "join_events";

/// One side.
struct Side {
    time: EventTime,
    clock: EventClock,
    buffer: Buffer,
    ended: bool,
    /// It has been silent for too long: it is not waited for.
    idle: bool,
    /// When it was heard last, in the scheduler's time.
    heard: Duration,
    /// While it is idle: when what the other side has sent meanwhile is closed.
    closes_at: Option<Duration>,
    /// How many of its items wait.
    held: usize,
    meter: QueueMeter,
    /// How many have come.
    numbers: u64,
    /// From which floor on which lane has something to do. Entries of what has changed since are skipped.
    wakes: BinaryHeap<Reverse<(i64, u32, u32)>>,
    /// The items that wait, the oldest first, where one may be evicted; the same.
    ages: BinaryHeap<Reverse<(i64, u64, u32, u32)>>,
}

impl Side {
    fn new(time: EventTime, buffer: Buffer) -> Self {
        Self {
            clock: EventClock::new(time.clone()),
            meter: QueueMeter::open(&buffer),
            time,
            buffer,
            ended: false,
            idle: false,
            heard: Duration::ZERO,
            closes_at: None,
            held: 0,
            numbers: 0,
            wakes: BinaryHeap::new(),
            ages: BinaryHeap::new(),
        }
    }

    /// Whether its policy evicts the oldest.
    fn evicts(&self) -> bool {
        matches!(self.buffer.overflow(), Overflow::DropOldest | Overflow::Latest)
    }

    /// No item older than this is taken.
    #[inline]
    fn oldest(&self, grace: i64) -> i64 {
        // The last moment is for a side that has ended.
        self.clock.watermark().map_or(i64::MIN, |at| at.saturating_sub(grace).min(i64::MAX - 1))
    }

    /// No item older than this will come, or is waited for. While the side is silent, the time of the other one counts.
    #[inline]
    fn floor(&self, other: &Self, grace: i64) -> i64 {
        match () {
            () if self.ended => i64::MAX,
            () if self.idle => self.oldest(grace).max(other.oldest(grace)),
            () => self.oldest(grace),
        }
    }
}

/// How many entries the heaps may have that mean nothing any more, beside as many as there are that do.
const SPARE: usize = 64;

/// A lane, and where it is in the heaps.
struct Place<K, T, U> {
    /// `None`: it is free.
    key: Option<K>,
    lane: Lane<T, U>,
    /// How often the place was given away.
    turn: u32,
    wakes: Floors,
}

impl<K: Hash, T, U> Place<K, T, U> {
    fn hash(&self, hasher: &FastHasher) -> u64 {
        self.key.as_ref().map_or(0, |key| hasher.hash_one(key))
    }
}

const NEVER: Floors = Floors { left: i64::MAX, right: i64::MAX };

/// The state of a join.
pub(super) struct Core<J: JoinSpec<T, U>, T, U> {
    spec: J,
    plan: Plan,
    left: Side,
    right: Side,
    places: Vec<Place<J::Key, T, U>>,
    free: Vec<u32>,
    index: HashTable<u32>,
    hasher: FastHasher,
    max_keys: usize,
    counts: Share<Counts>,
}

/// One item of one side; the sides differ in type, so this is written as a macro.
macro_rules! next {
    (
        $name:ident, $put:ident, $side:ident: $item:ty, $other:ident, is left $is_left:literal, $time:ident,
        $key:ident, $wrap:ident, $offset:expr
    ) => {
        /// An item of that side; `now` is the scheduler's time.
        #[inline]
        pub(super) fn $name(
            &mut self,
            item: $item,
            now: impl Fn() -> Duration,
            out: &mut impl FnMut(Joined<T, U>) -> bool,
        ) -> Run {
            if self.$side.time.idle_after().is_some() {
                (self.$side.heard, self.$side.idle, self.$side.closes_at) = (now(), false, None);
            }
            if self.$other.idle
                && self.$other.closes_at.is_none()
                && let Some(idle) = self.$other.time.idle_after()
            {
                self.$other.closes_at = Some(now().saturating_add(idle));
            }
            let offset = $offset(&self.plan);
            let at = named(|| NAME, || self.spec.$time(&item)).and_then(|at| at.checked_add(offset));
            let Some(at) = at else {
                self.left_over(Unmatched::$wrap(item), WhyLeftOver::NoTime);
                return Ok(());
            };
            let newest = self.$side.clock.newest();
            match self.$side.clock.see(at) {
                Seen::OnTime => {}
                Seen::Future => {
                    self.left_over(Unmatched::$wrap(item), WhyLeftOver::Future);
                    return Ok(());
                }
                Seen::Regressed(Regression::Error) => {
                    abandon(item);
                    return Err(Stop::time_regression(NAME, at, newest));
                }
                Seen::Regressed(Regression::Reset) => {
                    if let Err(stop) = self.begin_again(out) {
                        abandon(item);
                        return Err(stop);
                    }
                    self.$side.clock.see(at);
                }
                Seen::Behind(_) | Seen::Regressed(Regression::Late) => {
                    if at < self.$side.oldest(self.plan.grace) {
                        self.left_over(Unmatched::$wrap(item), WhyLeftOver::Late);
                        return Ok(());
                    }
                }
            }
            if let Err(stop) = self.advance(out) {
                abandon(item);
                return Err(stop);
            }
            let key = named(|| NAME, || self.spec.$key(&item));
            let place = match self.place(key) {
                Ok(place) => place,
                Err(stop) => {
                    abandon(item);
                    return Err(stop);
                }
            };
            let number = self.$side.numbers;
            self.$side.numbers += 1;
            self.$side.held += 1;
            if self.$side.evicts() {
                let turn = self.places[place as usize].turn;
                self.$side.ages.push(Reverse((at, number, place, turn)));
                if self.$side.ages.len() > 2 * self.$side.held + SPARE {
                    let places = &self.places;
                    self.$side.ages.retain(|&Reverse((at, number, place, turn))| {
                        let of = &places[place as usize];
                        of.key.is_some() && of.turn == turn && of.lane.$side.has(at, number)
                    });
                }
            }
            let Self { spec, plan, places, counts, .. } = self;
            let (lane, entry) =
                (&mut places[place as usize].lane, Entry { at, number, item, matched: false });
            if !lane.$put(entry, plan, &mut sender(spec, plan, counts.own(), out)) {
                return Err(Stop::Closed);
            }
            self.settle(place, out)?;
            if self.$side.held <= self.$side.buffer.capacity() {
                return Ok(());
            }
            // What has matched and left needs no room; this one does.
            match self.$side.buffer.overflow() {
                Overflow::DropOldest | Overflow::Latest => self.evict_oldest($is_left),
                Overflow::DropNewest => {
                    let newest = self.places[place as usize].lane.$side.take(at, number);
                    newest.into_iter().for_each(|item| self.evict(place, Unmatched::$wrap(item)));
                }
                _ => return Err(Stop::Fail(self.$side.buffer.full(NAME).into())),
            }
            Ok(())
        }
    };
}

impl<J: JoinSpec<T, U>, T: Clone, U: Clone> Core<J, T, U> {
    pub(super) fn new(
        spec: J,
        plan: Plan,
        [left, right]: [EventTime; 2],
        [left_buffer, right_buffer]: [Buffer; 2],
        max_keys: usize,
        counts: Share<Counts>,
    ) -> Self {
        Self {
            spec,
            plan: plan.narrowed(),
            left: Side::new(left, left_buffer),
            right: Side::new(right, right_buffer),
            places: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            hasher: FastHasher::default(),
            max_keys,
            counts,
        }
    }

    next!(next_left, put_left, left: T, right, is left true, left_time, left_key, Left, |_: &Plan| 0);
    next!(next_right, put_right, right: U, left, is left false, right_time, right_key, Right, |plan: &Plan| plan.offset);

    /// The scheduler's time at the subscription.
    pub(super) fn start(&mut self, now: Duration) {
        (self.left.heard, self.right.heard) = (now, now);
    }

    #[inline]
    fn floors(&self) -> Floors {
        let grace = self.plan.grace;
        Floors { left: self.left.floor(&self.right, grace), right: self.right.floor(&self.left, grace) }
    }

    /// There are no keys, so one lane, which is looked at with each item.
    const KEYLESS: bool = mem::size_of::<J::Key>() == 0;

    /// The lane of a key.
    #[inline]
    fn place(&mut self, key: J::Key) -> Result<u32, Stop> {
        if Self::KEYLESS && !self.places.is_empty() {
            return Ok(0);
        }
        let hash = self.hasher.hash_one(&key);
        let places = &self.places;
        match self.index.find(hash, |&place| places[place as usize].key.as_ref() == Some(&key)) {
            Some(&place) => Ok(place),
            None => self.add(key, hash),
        }
    }

    #[cold]
    fn add(&mut self, key: J::Key, hash: u64) -> Result<u32, Stop> {
        if self.index.len() >= self.max_keys {
            let full = crate::error::OverflowError { operator: NAME, capacity: self.max_keys };
            return Err(Stop::Fail(full.into()));
        }
        let place = match self.free.pop() {
            Some(place) => {
                self.places[place as usize].key = Some(key);
                place
            }
            None => {
                self.places.push(Place { key: Some(key), lane: Lane::new(), turn: 0, wakes: NEVER });
                // There is at most one for each item that waits.
                self.places.len() as u32 - 1
            }
        };
        let (places, hasher) = (&self.places, &self.hasher);
        self.index.insert_unique(hash, place, |&place| places[place as usize].hash(hasher));
        Ok(place)
    }

    /// Does what can be done in a lane.
    fn settle(&mut self, place: u32, out: &mut impl FnMut(Joined<T, U>) -> bool) -> Run {
        self.settle_until(place, self.floors(), out)
    }

    fn settle_until(
        &mut self,
        place: u32,
        floors: Floors,
        out: &mut impl FnMut(Joined<T, U>) -> bool,
    ) -> Run {
        let Self { spec, plan, places, counts, left, right, .. } = self;
        let Place { lane, wakes, turn, .. } = &mut places[place as usize];
        let before = (lane.left.0.len(), lane.right.0.len());
        let wanted = lane.settle(plan, floors, &mut sender(spec, plan, counts.own(), out));
        left.held -= before.0 - lane.left.0.len();
        right.held -= before.1 - lane.right.0.len();
        left.meter.set(left.held);
        right.meter.set(right.held);
        let Some(wanted) = wanted else { return Err(Stop::Closed) };
        if Self::KEYLESS {
            return Ok(());
        }
        if lane.is_empty() {
            self.remove(place);
            return Ok(());
        }
        if wanted.left < wakes.left {
            wakes.left = wanted.left;
            left.wakes.push(Reverse((wanted.left, place, *turn)));
        }
        if wanted.right < wakes.right {
            wakes.right = wanted.right;
            right.wakes.push(Reverse((wanted.right, place, *turn)));
        }
        let most = 2 * self.index.len() + SPARE;
        if self.left.wakes.len().max(self.right.wakes.len()) > most {
            self.compact_wakes();
        }
        Ok(())
    }

    /// Drops what has changed since from the heaps, so that they are not larger than what waits.
    #[cold]
    fn compact_wakes(&mut self) {
        let Self { left, right, places, .. } = self;
        let is_live = |at: i64, place: u32, turn: u32, of: fn(&Floors) -> i64| {
            let place = &places[place as usize];
            place.key.is_some() && place.turn == turn && of(&place.wakes) == at
        };
        left.wakes.retain(|&Reverse((at, place, turn))| is_live(at, place, turn, |wakes| wakes.left));
        right.wakes.retain(|&Reverse((at, place, turn))| is_live(at, place, turn, |wakes| wakes.right));
    }

    fn remove(&mut self, at: u32) {
        let Self { places, index, hasher, free, .. } = self;
        let place = &mut places[at as usize];
        let hash = place.hash(hasher);
        if let Ok(entry) = index.find_entry(hash, |&other| other == at) {
            entry.remove();
        }
        (place.key, place.wakes) = (None, NEVER);
        place.turn = place.turn.wrapping_add(1);
        free.push(at);
    }

    /// Looks at the lanes that have waited for event time to go on.
    #[inline]
    fn advance(&mut self, out: &mut impl FnMut(Joined<T, U>) -> bool) -> Run {
        if Self::KEYLESS {
            return Ok(());
        }
        let floors = self.floors();
        loop {
            let due = |side: &Side, floor| side.wakes.peek().is_some_and(|Reverse((at, ..))| *at <= floor);
            let wake = if due(&self.left, floors.left) {
                self.left.wakes.pop()
            } else if due(&self.right, floors.right) {
                self.right.wakes.pop()
            } else {
                return Ok(());
            };
            let Some(Reverse((at, place, turn))) = wake else { return Ok(()) };
            let of = &mut self.places[place as usize];
            if of.turn != turn || of.key.is_none() {
                continue;
            }
            if of.wakes.left == at {
                of.wakes.left = i64::MAX;
            }
            if of.wakes.right == at {
                of.wakes.right = i64::MAX;
            }
            self.settle(place, out)?;
        }
    }

    /// Looks at all lanes.
    fn settle_all(&mut self, floors: Floors, out: &mut impl FnMut(Joined<T, U>) -> bool) -> Run {
        for place in 0..self.places.len() {
            if self.places[place].key.is_some() {
                self.settle_until(place as u32, floors, out)?;
            }
        }
        Ok(())
    }

    /// Event time begins again: all that waits is closed.
    #[cold]
    fn begin_again(&mut self, out: &mut impl FnMut(Joined<T, U>) -> bool) -> Run {
        let closed = self.settle_all(NEVER, out);
        self.left.clock = EventClock::new(self.left.time.clone());
        self.right.clock = EventClock::new(self.right.time.clone());
        closed
    }

    /// A side has ended; whether the join has.
    pub(super) fn end(
        &mut self,
        right: bool,
        out: &mut impl FnMut(Joined<T, U>) -> bool,
    ) -> Result<bool, Stop> {
        let side = if right { &mut self.right } else { &mut self.left };
        side.ended = true;
        self.settle_all(self.floors(), out)?;
        let over = self.is_over();
        if over {
            self.finish(out)?;
        }
        Ok(over)
    }

    /// Closes all that waits.
    pub(super) fn finish(&mut self, out: &mut impl FnMut(Joined<T, U>) -> bool) -> Run {
        self.settle_all(NEVER, out)
    }

    /// Nothing can come out any more.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        let Self { left, right, plan, .. } = self;
        let nothing = |side: &Side, others_come_alone: bool| {
            side.ended && side.held == 0 && !others_come_alone && !plan.to_the_end
        };
        (left.ended && right.ended) || nothing(left, plan.kind.right()) || nothing(right, plan.kind.left())
    }

    /// Evicts the oldest of a side.
    #[cold]
    fn evict_oldest(&mut self, left: bool) {
        loop {
            let side = if left { &mut self.left } else { &mut self.right };
            let Some(Reverse((at, number, place, turn))) = side.ages.pop() else { return };
            let of = &mut self.places[place as usize];
            if of.turn != turn || of.key.is_none() {
                continue;
            }
            let item = match left {
                true => of.lane.left.take(at, number).map(Unmatched::Left),
                false => of.lane.right.take(at, number).map(Unmatched::Right),
            };
            if let Some(item) = item {
                return self.evict(place, item);
            }
        }
    }

    /// An item that was taken out of its lane for want of room.
    fn evict(&mut self, place: u32, item: Unmatched<T, U>) {
        let side = if matches!(item, Unmatched::Left(_)) { &mut self.left } else { &mut self.right };
        side.held -= 1;
        side.meter.set(side.held);
        side.buffer.dropped(&side.meter, 1);
        if self.places[place as usize].lane.is_empty() && !Self::KEYLESS {
            self.remove(place);
        }
        self.left_over(item, WhyLeftOver::Evicted);
    }

    /// When a side may be idle, in the scheduler's time.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let of = |side: &Side| match side.time.idle_after() {
            Some(idle) if !side.ended && !side.idle => Some(side.heard.saturating_add(idle)),
            _ => side.closes_at,
        };
        of(&self.left).into_iter().chain(of(&self.right)).min()
    }

    /// The scheduler's time has come.
    pub(super) fn tick(&mut self, now: Duration, out: &mut impl FnMut(Joined<T, U>) -> bool) -> Run {
        let mut changed = false;
        for side in [&mut self.left, &mut self.right] {
            let silent = |idle| side.heard.saturating_add(idle) <= now;
            if !side.ended && !side.idle && side.time.idle_after().is_some_and(silent) {
                (side.idle, changed) = (true, true);
            }
            if side.closes_at.is_some_and(|at| at <= now) {
                (side.closes_at, changed) = (None, true);
            }
        }
        if !changed {
            return Ok(());
        }
        // What waits for a side that is silent is closed.
        let Floors { left, right } = self.floors();
        let closed = |side: &Side, floor| if side.idle { i64::MAX } else { floor };
        let floors = Floors { left: closed(&self.left, left), right: closed(&self.right, right) };
        self.settle_all(floors, out)
    }

    fn left_over(&mut self, item: Unmatched<T, U>, why: WhyLeftOver) {
        self.counts.own().left_over(why, matches!(item, Unmatched::Right(_)));
        named(|| NAME, || self.spec.left_over(LeftOver { item, why }));
    }
}

/// What becomes of what a lane gives.
#[inline]
fn sender<'a, J, T, U>(
    spec: &'a mut J,
    plan: &'a Plan,
    counts: &'a Counts,
    out: &'a mut impl FnMut(Joined<T, U>) -> bool,
) -> impl FnMut(Out<T, U>) -> bool + 'a
where
    J: JoinSpec<T, U>,
{
    move |given| match given {
        Out::Both(left, right, delta) => {
            counts.matched(delta);
            out(Joined::Both(left, right))
        }
        Out::Left(item) => {
            counts.left_over(WhyLeftOver::Unmatched, false);
            if plan.kind.left() {
                return out(Joined::Left(item));
            }
            let item = LeftOver { item: Unmatched::Left(item), why: WhyLeftOver::Unmatched };
            named(|| NAME, || spec.left_over(item));
            true
        }
        Out::Right(item) => {
            counts.left_over(WhyLeftOver::Unmatched, true);
            if plan.kind.right() {
                return out(Joined::Right(item));
            }
            let item = LeftOver { item: Unmatched::Right(item), why: WhyLeftOver::Unmatched };
            named(|| NAME, || spec.left_over(item));
            true
        }
        Out::DoneLeft(_) | Out::DoneRight(_) => true,
    }
}
