//! the stream can fail with `String`, and nobody handles that

use rxevents::prelude::*;

fn main() {
    Local::throw_err::<i32, String>("down".into())
        .map(|v| v + 1)
        .filter(|v| *v > 0)
        .subscribe(|v| println!("{v}"));
}
