//! What is injected into pipelines of deliveries, from a seed: errors, panics (in closures, sinks, queues, drops), sinks
//! that die, unsubscriptions, full buffers. Whatever happens, nothing that was only held is acknowledged, and restarts get
//! every event through.
//!
//! `FAULT_SEEDS=10000 cargo test --test faults` for more seeds than usual, `FAULT_SEED=7` for one.

#[path = "faults/named.rs"]
mod named;
#[path = "common/numbers.rs"]
mod numbers;
#[path = "faults/shapes.rs"]
mod shapes;
#[path = "faults/soak.rs"]
mod soak;
#[path = "faults/world.rs"]
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use world::World;

/// The panics that are injected need not be seen.
fn quiet() {
    use std::sync::Once;
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let payload = info.payload();
            let text = payload.downcast_ref::<&str>().copied();
            let text =
                text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or_default();
            if !text.starts_with("injected") || std::env::var_os("FAULT_TRACE").is_some() {
                usual(info);
            }
        }));
        rxevents::on_unhandled(|_| {});
    });
}

fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    match number("FAULT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("FAULT_SEEDS").unwrap_or(240),
    }
}

/// Restarts that have faults, and those that may follow until all is done.
const FAULTY: usize = 4;
const MOST: usize = 8;

fn try_shape(shape: &shapes::Shape, seed: u64) -> Result<(), String> {
    let mut world = World::new(seed, shape.sources, 40);
    for restart in 0..MOST {
        let faulty = restart < FAULTY;
        let mut run = world.begin(faulty);
        let escaped = catch_unwind(AssertUnwindSafe(|| (shape.run)(&mut world, &mut run, faulty)));
        escaped.map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            format!("restart {restart}: a panic has escaped: {text}")
        })?;
        if world.end(run, shape.drops).map_err(|error| format!("restart {restart}: {error}"))? {
            return Ok(());
        }
    }
    Err(format!("not done after {MOST} restarts, of which {FAULTY} had faults"))
}

/// Two items whose drops panic, in one hash table, one `FuturesUnordered`, one ring: these leak what comes after the first.
#[test]
fn what_has_been_found_stays_mended() {
    quiet();
    for (name, seed) in
        [("retried_by_key_local", 6238), ("asked_at_once_local", 4584), ("hand_off_local", 2296)]
    {
        let shape = shapes::all().into_iter().find(|shape| shape.name == name).unwrap();
        assert_eq!(try_shape(&shape, seed), Ok(()), "{name}");
    }
}

#[test]
fn nothing_is_lost_whatever_happens() {
    quiet();
    let shapes = shapes::all();
    let only = std::env::var("FAULT_SHAPE").ok();
    let mut failed = std::collections::BTreeMap::<&str, Vec<String>>::new();
    for seed in seeds() {
        for (n, shape) in shapes.iter().enumerate() {
            // Of each seed some shapes have their turn.
            let turn = (n as u64 + seed).is_multiple_of(8);
            if only.as_ref().map_or(!turn, |only| only != shape.name) {
                continue;
            }
            if let Err(error) = try_shape(shape, seed) {
                failed.entry(shape.name).or_default().push(format!("FAULT_SEED={seed}: {error}"));
            }
        }
    }
    let report: Vec<_> = failed
        .iter()
        .map(|(shape, errors)| {
            format!("FAULT_SHAPE={shape}: {} seeds, e.g.\n    {}", errors.len(), errors[0])
        })
        .collect();
    assert!(report.is_empty(), "\n{}", report.join("\n"));
}
