//! the stream can fail with `rxevents::StreamError`, and nobody handles that

use rxevents::prelude::*;

fn main() {
    let clicks = Shared::subject::<u32, StreamError>();
    let guard = clicks.throttle_first_by(10_i64, |v| i64::from(*v)).subscribe_guarded(|v| println!("{v}"));
    drop(guard);
}
