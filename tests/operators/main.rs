//! What each operator makes of its input, on virtual time, in `Local` and in `Shared`.

#[path = "../common/mod.rs"]
mod common;

/// Tests of what comes out of a pipeline, in marbles; each ends with an unsubscription that must leave nothing.
macro_rules! marbles {
    ($($name:ident: |$scheduler:ident| $pipeline:expr, $expected:literal;)*) => {$(
        #[test]
        fn $name() {
            let $scheduler = &super::flavour::Scheduler::new();
            let mut seen = rxevents::testing::record($pipeline);
            $scheduler.advance_by(crate::common::ms(1000));
            rxevents::assert_marbles!(seen, $expected);
            seen.unsubscribe();
            $scheduler.run_ready();
            assert_eq!(($scheduler.tasks(), $scheduler.sleeps()), (0, 0));
            $scheduler.advance_by(crate::common::ms(1000));
            rxevents::assert_marbles!(seen, $expected);
        }
    )*};
}

#[path = "."]
#[allow(clippy::arc_with_non_send_sync, reason = "in `Shared` it is both")]
mod local {
    use crate::common::local as flavour;
    mod aggregate;
    mod batch;
    mod combine;
    mod create;
    mod dead_letter_policy;
    mod error;
    mod filter;
    mod key;
    mod measure;
    mod parallel;
    mod rate;
    mod retry_policy;
    mod share;
    mod time;
    mod transform;
    mod validate;
    mod window;
}

#[path = "."]
#[allow(clippy::duplicate_mod, reason = "written once, compiled for both kinds of pipeline")]
mod shared {
    use crate::common::shared as flavour;
    mod aggregate;
    mod batch;
    mod combine;
    mod create;
    mod dead_letter_policy;
    mod error;
    mod filter;
    mod hand_off_threads;
    mod key;
    mod measure;
    mod parallel;
    mod parallel_threads;
    mod rate;
    mod retry_policy;
    mod share;
    mod share_threads;
    mod time;
    mod transform;
    mod validate;
    mod window;
    mod window_threads;
}
