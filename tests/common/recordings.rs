//! The real recordings beside the project, and right values of them that several tests use.
#![allow(dead_code, reason = "not every test file uses all of it")]

use std::path::PathBuf;

/// The path of a recording; where it is absent the test is skipped, and says so.
pub(crate) fn recording(name: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if path.exists() {
        return Some(path.to_str().unwrap().to_owned());
    }
    eprintln!("skipped: {} is absent", path.display());
    None
}

/// A day of a shop: its file, its lines, how many are valid, their sum, and why the others are not.
pub(crate) type Day = (&'static str, u64, u64, &'static str, &'static [(&'static str, u64)]);

pub(crate) const SHOP: [Day; 2] = [
    (
        "payments/retail_2010-12-01.csv",
        3_108,
        1_942,
        "46376.49",
        &[("amount", 26), ("customer", 1_130), ("amount+customer+description", 10)],
    ),
    (
        "payments/retail_2011-11-08.csv",
        4_070,
        2_310,
        "38295.12",
        &[("amount", 89), ("customer", 1_668), ("amount+customer", 3)],
    ),
];
