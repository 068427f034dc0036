//! A chain of 32 mixed operators type-checks in under 3 seconds.
//!
//! The types of a chain nest. Where the compiler must look at the whole chain again at each operator, the time doubles
//! with each of them. So this is measured: the chain is checked in a package of its own, against the library as it is
//! now, by the same cargo.

use std::{
    env, fs,
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

const CHAIN: &str = include_str!("compile_time/chain32.rs");
const LIMIT: Duration = Duration::from_secs(3);

#[test]
fn a_chain_of_32_operators_is_checked_in_3_seconds() {
    let operators = CHAIN.lines().filter(|line| line.starts_with("        .")).count() - 1; // without `subscribe`
    assert!(operators >= 32, "the chain has {operators} operators only");

    // The dependencies stay in the target directory, so that they are built once.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_time");
    let package = tempfile::tempdir().unwrap();
    let check = |source: &str| {
        fs::write(package.path().join("src/main.rs"), source).unwrap();
        let start = Instant::now();
        let output = cargo_check(package.path(), &target);
        (start.elapsed(), output)
    };
    write_package(package.path());

    let (_, first) = check("fn main() {}");
    assert!(first.status.success(), "the library: {}", text(&first));

    // The best of three: other work on the machine is not the compiler's.
    let best = (0..3)
        .map(|round| {
            let (took, output) = check(&format!("{CHAIN}\n// {round}\n"));
            assert!(output.status.success(), "{}", text(&output));
            assert!(text(&output).contains("Checking chain32"), "not checked anew: {}", text(&output));
            took
        })
        .min()
        .unwrap();
    eprintln!("{operators} operators: {best:.2?}");
    assert!(best < LIMIT, "{operators} operators took {best:.2?}");

    // It was the chain that was checked: with a wrong type in it, it fails.
    let (_, broken) = check(&CHAIN.replace(".map(|v| v.len())", ".map(|v: Vec<String>| v.len())"));
    assert!(!broken.status.success() && text(&broken).contains("error[E0"), "{}", text(&broken));
}

fn write_package(folder: &Path) {
    let library = env!("CARGO_MANIFEST_DIR");
    let manifest = format!(
        "[package]\nname = \"chain32\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [dependencies]\nrxevents = {{ path = {library:?} }}\n\n[workspace]\n"
    );
    fs::create_dir(folder.join("src")).unwrap();
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    // The same versions, which are there already.
    fs::copy(Path::new(library).join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
}

fn cargo_check(package: &Path, target: &Path) -> Output {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["check", "--offline", "--color=never"])
        .current_dir(package)
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_INCREMENTAL", "0")
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
