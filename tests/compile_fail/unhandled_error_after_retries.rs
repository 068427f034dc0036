//! the stream can fail with `&str`, and nobody handles that

use rxevents::prelude::*;

fn main() {
    Local::throw_err::<i32, _>("down").retry_with(Retry::times(3)).subscribe(|v| println!("{v}"));
}
