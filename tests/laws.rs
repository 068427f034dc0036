//! What holds for every operator, checked for each of them; and that the checks find operators that break it.

mod common;

#[path = "laws"]
#[allow(clippy::arc_with_non_send_sync, reason = "in `Shared` it is both")]
mod local {
    use crate::common::local as flavour;
    #[path = "closures.rs"]
    mod closures;
    #[path = "body.rs"]
    mod laws;
    #[path = "table.rs"]
    mod table;
}

#[path = "laws"]
mod shared {
    use crate::common::shared as flavour;
    #[allow(clippy::duplicate_mod, reason = "written once, compiled for both kinds of pipeline")]
    #[path = "closures.rs"]
    mod closures;
    #[allow(clippy::duplicate_mod, reason = "written once, compiled for both kinds of pipeline")]
    #[path = "body.rs"]
    mod laws;
    #[allow(clippy::duplicate_mod, reason = "written once, compiled for both kinds of pipeline")]
    #[path = "table.rs"]
    mod table;
    #[path = "threads.rs"]
    mod threads;
}
