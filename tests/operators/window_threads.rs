//! Buffers and windows with several threads that push, and a timer.

use std::{sync::Barrier, thread};

use rxevents::{prelude::*, testing::SharedVirtualScheduler};

use crate::common::{Log, ms, watchdog};

/// RxPY #604, #229: two producers and a timer neither lose nor double an item.
macro_rules! lose_nothing {
    ($($name:ident: |$events:ident| $pipeline:expr;)*) => {$(
        #[test]
        fn $name() {
            watchdog(|| for _ in 0..200 {
                let (scheduler, log) = (SharedVirtualScheduler::new(), Log::<u32, StreamError>::default());
                let items = Shared::subject::<u32, StreamError>();
                let $events = scheduler.on(items.clone());
                let _sub = $pipeline.subscribe_with(log.sink(|_| {}));
                let start = Barrier::new(3);
                thread::scope(|scope| {
                    for first in [0, 3] {
                        let (start, mut items) = (&start, items.clone());
                        scope.spawn(move || {
                            start.wait();
                            (first..first + 3).for_each(|v| items.next(v));
                        });
                    }
                    start.wait();
                    (0..4).for_each(|_| scheduler.advance_by(ms(1)));
                });
                items.complete();
                let mut seen = log.items();
                seen.sort_unstable();
                assert_eq!((seen, log.ends()), ((0..6).collect(), 1));
            });
        }
    )*};
}

lose_nothing! {
    buffer_time: |e| e.buffer_time(ms(1)).flat_map(|v| Shared::from_iter(v).stream_error());
    buffer_time_max: |e| e.buffer_time_max(ms(1), 2, WhenFull::Restart).flat_map(|v| Shared::from_iter(v).stream_error());
    buffer_with: |e| {
        let ticks = e.scheduler().on(Shared::interval(ms(1))).stream_error();
        e.buffer_with(ticks).flat_map(|v| Shared::from_iter(v).stream_error())
    };
    window_time: |e| e.window_time(ms(1)).flat_map(|window| window);
    window_time_one_by_one: |e| e.window_time(ms(1)).concat_map(|window| window);
    window_count: |e| e.window_count(2).flat_map(|window| window);
    group_by: |e| e.group_by(|v| v).flat_map(|group| group);
    group_by_with: |e| {
        let time = e.scheduler().clone();
        e.group_by_with(Keys::default(), |v| v, move |_| time.on(Shared::timer(ms(1))).stream_error())
            .flat_map(|group| group)
    };
}
