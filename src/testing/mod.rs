//! Virtual time and marbles: tests of pipelines that take no time and give the same result each time. Feature
//! `testing`.
//!
//! A [`VirtualScheduler`] (for `Local` pipelines; [`SharedVirtualScheduler`] for `Shared`) is an ordinary scheduler
//! whose time moves only when the test says so. Put a source on it, [`record`] what comes out, let time pass, look:
//!
//! ```
//! use rxevents::{assert_marbles, prelude::*, testing::{VirtualScheduler, record}};
//! use std::time::Duration;
//!
//! let ms = Duration::from_millis;
//! let scheduler = VirtualScheduler::new();
//! let typing = scheduler.hot("-a-b-------c-|");
//! let seen = record(typing.debounce(ms(5)));
//! scheduler.advance_by(ms(20));
//! assert_marbles!(seen, "     --------b----(c|)");
//! assert!(seen.is_over());
//! assert_eq!(scheduler.tasks(), 0); // nothing is left behind
//! ```
//!
//! Any source will do, [`on`](VirtualTime::on) the scheduler:
//!
//! ```
//! use rxevents::{prelude::*, testing::{VirtualScheduler, record}};
//! use std::time::Duration;
//!
//! let scheduler = VirtualScheduler::new();
//! let mut ticks = record(scheduler.on(Local::interval(Duration::from_secs(1))));
//! scheduler.advance_by(Duration::from_secs(2));
//! assert_eq!(ticks.items(), [0, 1]);
//! ticks.unsubscribe();
//! scheduler.run_ready();
//! assert_eq!(scheduler.tasks(), 0);
//! ```
//!
//! # Marbles
//! A text in which each character takes one frame, a virtual millisecond unless
//! [said otherwise](VirtualTime::with_frame):
//!
//! | | |
//! |---|---|
//! | `-` | one frame |
//! | a letter or a digit | an item, a `char`; `map` makes others of it |
//! | <code>&#124;</code> | completion |
//! | `#` | an error, [`MarbleError`] |
//! | <code>(ab&#124;)</code> | all at the moment of the `(`; the group takes as many frames as it has characters |
//! | <code>&nbsp;100ms&nbsp;</code> | that time passes; also `2s`, `1.5s`, `3m`; with spaces, or the text's end, around it |
//! | a space | nothing, it takes no time |
//! | `^` | [`hot`](VirtualTime::hot): where the time starts; [`record_during`]: the subscription |
//! | `!` | [`record_during`]: the unsubscription |
//!
//! As in the marble tests of RxJS. At one instant marbles come before timers.
//!
//! # Slow subscribers
//! [`stall`](VirtualTime::stall) lets time pass without running anything, as a subscriber does that takes long:
//!
//! ```
//! use rxevents::{prelude::*, testing::{Signal, VirtualScheduler, record}};
//! use std::time::Duration;
//!
//! let ms = Duration::from_millis;
//! let scheduler = VirtualScheduler::new();
//! let ticks = record(scheduler.on(Local::interval(ms(100))));
//! scheduler.advance_by(ms(100));
//! scheduler.stall(ms(350));
//! scheduler.advance_by(ms(50));
//! ticks.assert_eq(&[(100, Signal::Next(0)), (450, Signal::Next(1)), (500, Signal::Next(2))]);
//! ```

mod balanced;
mod marbles;
mod probe;
#[cfg(feature = "proptest")]
pub mod strategy;
mod virtual_scheduler;
mod watch;

pub use crate::{assert_marbles, assert_subscriptions, gate::Signal};
pub use balanced::{Balanced, Books, balanced};
pub use marbles::{Cold, Hot, MarbleError, MarbleKind, MarbleSyntaxError, MarbleTask, Marbles};
pub use probe::{Probe, Recording, record, record_during};
pub use virtual_scheduler::{
    Flavour, POLL_LIMIT, SharedVirtualScheduler, Sleep, TestLocal, TestShared, VirtualScheduler, VirtualTime,
    VirtualTimeLimit,
};
pub use watch::{Leaks, Subscriptions, Watched, WatchedObserver, WatchedSubscription};
