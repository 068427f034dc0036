//! What is done with a payment, and what becomes of one that fails.

use std::{convert::Infallible, error::Error};

use rxevents::{dead_letter::RedriveCursor, event::Payment, prelude::*};
use serde::Deserialize;

use crate::common::{self, Failure, Rejects, tally::Counter, tried::Tried};

/// Handles events, lines or letters alike: how many succeeded, and in how many attempts at all of them. A letter that
/// succeeded is told to the cursor.
pub(crate) fn handle<P, R, Q>(
    events: LocalEvents<Result<P, Rejected<R>>, Infallible>,
    policy: Retry<Reason>,
    rejects: &Rejects,
    queue: Q,
    cursor: Option<RedriveCursor>,
) -> Result<(u64, u64), Box<dyn Error>>
where
    P: Payload + 'static,
    R: Payload + 'static,
    Q: DeadLetterQueue + Clone + 'static,
{
    let (failure, ok, attempts) = (Failure::default(), Counter::default(), Counter::default());
    let (arrived, tried) = (ok.clone(), attempts.clone());
    // What waits for its next attempt wants a runtime.
    common::until_end(|end| {
        events
            .dead_letter(queue.clone())
            .map(Tried::new)
            .try_map_with_retry_with(EventRetry::new(policy).stage("payment"), move |event: &Tried<P>| {
                tried.add(1);
                let payment = attempt(&event.payload(), event.count())?;
                if let (Some(cursor), Some(letter)) = (&cursor, event.letter())
                    && let Err(error) = cursor.done(letter.id)
                {
                    // It is booked nevertheless.
                    common::say(&format!("the position is not kept: {error}"));
                }
                Ok(payment)
            })
            .dead_letter(queue)
            .stream_error()
            .on_error_route(failure.observer())
            .finalize(move || _ = end.send(()))
            .subscribe(move |_: Payment| arrived.add(1));
    })?;
    failure.check()?;
    rejects.check()?;
    Ok((ok.get(), attempts.get()))
}

/// One attempt at a payment, the `tried`-th.
fn attempt(json: &[u8], tried: u64) -> Result<Payment, Reason> {
    #[derive(Deserialize)]
    struct Plan {
        #[serde(default)]
        fail: u64,
    }
    let payment = Payment::from_json(json)?;
    let Plan { fail } = serde_json::from_slice(json)?;
    if tried > fail { Ok(payment) } else { Err(Reason::other("the bank does not answer")) }
}
