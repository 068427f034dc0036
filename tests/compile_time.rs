//! A chain of 32 mixed operators type-checks in under 3 seconds, and is built in well under a minute.
//!
//! The types of a chain nest. Where the compiler must look at the whole chain again at each operator, or makes the code
//! of all that is below twice, the time doubles with each of them. So this is measured: the chain is compiled in a package
//! of its own, against the library as it is now, by the same cargo.

use std::{
    env, fs,
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

const CHAIN: &str = include_str!("compile_time/chain32.rs");
/// Windows, buffers and groups.
const WINDOWS: &str = include_str!("compile_time/windows32.rs");
/// Filters and aggregates.
const FILTERS: &str = include_str!("compile_time/filters40.rs");
/// Several sources, many subscribers, errors, rates and time.
const SOURCES: &str = include_str!("compile_time/sources40.rs");
const LIMIT: Duration = Duration::from_secs(3);
const BUILD_LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_chain_of_32_operators_is_checked_in_3_seconds() {
    // The dependencies stay in the target directory, so that they are built once.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_time");
    let package = tempfile::tempdir().unwrap();
    let check = |source: &str| {
        fs::write(package.path().join("src/main.rs"), source).unwrap();
        let start = Instant::now();
        let output = cargo("check", package.path(), &target);
        (start.elapsed(), output)
    };
    write_package(package.path());

    let (_, first) = check("fn main() {}");
    assert!(first.status.success(), "the library: {}", text(&first));

    // Each gate of `Shared` takes a dozen steps of the compiler's recursion, to see that it is `Send`.
    let shared = |chain: &str| format!("#![recursion_limit = \"256\"]\n{}", chain.replace("Local", "Shared"));
    // All of these have one.
    let gates = shared(WINDOWS).replace("256", "512");
    for chain in
        [CHAIN, &shared(CHAIN), FILTERS, &shared(FILTERS), SOURCES, &shared(SOURCES), WINDOWS, &gates]
    {
        let operators = chain.lines().filter(|line| line.starts_with("        .")).count() - 1; // without `subscribe`
        assert!(operators >= 32, "the chain has {operators} operators only");
        // The best of three: other work on the machine is not the compiler's.
        let best = (0..3)
            .map(|round| {
                let (took, output) = check(&format!("{chain}\n// {round}\n"));
                assert!(output.status.success(), "{}", text(&output));
                assert!(text(&output).contains("Checking chain32"), "not checked anew: {}", text(&output));
                took
            })
            .min()
            .unwrap();
        eprintln!("{operators} operators: {best:.2?}");
        assert!(best < LIMIT, "{operators} operators took {best:.2?}");
    }

    // It was the chain that was checked: with a wrong type in it, it fails.
    let (_, broken) = check(&CHAIN.replace(".map(|v| v.len())", ".map(|v: Vec<String>| v.len())"));
    assert!(!broken.status.success() && text(&broken).contains("error[E0"), "{}", text(&broken));
}

/// Where an operator's type names that of its source twice, the type doubles with each of them.
#[test]
fn chains_of_one_operator_that_keeps_its_source_are_checked_in_3_seconds() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_time_kept");
    let package = tempfile::tempdir().unwrap();
    write_package(package.path());
    let check = |source: &str| {
        fs::write(package.path().join("src/main.rs"), source).unwrap();
        let start = Instant::now();
        let output = cargo("check", package.path(), &target);
        assert!(output.status.success(), "{}", text(&output));
        start.elapsed()
    };
    check("fn main() {}");
    for operator in [
        "repeat(2)",
        "repeat_when(|ends| ends.skip(0))",
        "retry_when(|errors| errors.skip(0))",
        "concat_with(Local::of(1))",
        "on_error_resume_next(Local::of(1))",
        "amb(Local::of(1))",
        "join(Local::of(1), |_| Local::never::<()>(), |_| Local::never::<()>()).map(|(a, b)| a + b)",
        "share().map(|v| v + 1)",
        "publish().ref_count()",
        "share_replay(Replay::last(1))",
        "throttle_by(|_| Local::of(()), Edges::leading())",
        "debounce_with(std::time::Duration::ZERO, Edges::both())",
        "delay_each(|_| Local::of(()))",
        "delay_subscription(std::time::Duration::ZERO)",
    ] {
        let chain = format!(".{operator}").repeat(20);
        let source = format!(
            "#![recursion_limit = \"256\"]\nuse rxevents::prelude::*;\nfn main() {{\n    \
             Local::of(1_u64){chain}.subscribe(|_| {{}});\n}}\n"
        );
        let took = check(&source);
        eprintln!("20 times {operator}: {took:.2?}");
        assert!(took < LIMIT, "20 times {operator} took {took:.2?}");
    }
}

/// Not once in 60 seconds, where the code doubles with each operator: 12 of them took longer.
#[test]
fn chains_of_32_operators_are_built() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_time_build");
    let package = tempfile::tempdir().unwrap();
    write_package(package.path());
    let build = |source: &str| {
        fs::write(package.path().join("src/main.rs"), source).unwrap();
        let start = Instant::now();
        let output = cargo("build", package.path(), &target);
        assert!(output.status.success(), "{}", text(&output));
        start.elapsed()
    };
    build("fn main() {}");
    let operators = [
        "map(|v: u64| v.wrapping_mul(3))",
        "filter(|v| v & 1 == 0)",
        "scan(0, |a, v| a + v)",
        "filter_map(|v: u64| v.checked_sub(1))",
    ];
    let chain = operators.map(|operator| format!(".{operator}")).concat().repeat(8);
    let source = format!(
        "use rxevents::prelude::*;\nfn main() {{\n\
         Local::from_iter(0_u64..9){chain}.subscribe(|_| {{}});\n\
         Local::from_iter(0_u64..9).batched(){chain}.subscribe(|_| {{}});\n}}\n"
    );
    let took = build(&source);
    let mixed = build(CHAIN);
    eprintln!("32 operators twice: {took:.2?}; 32 mixed ones: {mixed:.2?}");
    assert!(took.max(mixed) < BUILD_LIMIT, "{took:.2?}, {mixed:.2?}");
}

/// What must not compile does not, and the first error says why in our words, at the place.
#[test]
fn unhandled_errors_do_not_compile() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_time");
    let package = tempfile::tempdir().unwrap();
    write_package(package.path());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile_fail");
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let (path, main) = (entry.unwrap().path(), package.path().join("src/main.rs"));
        let source = fs::read_to_string(&path).unwrap();
        let says = source.lines().next().and_then(|line| line.strip_prefix("//! ")).unwrap();
        fs::write(main, &source).unwrap();
        let output = cargo("check", package.path(), &target);
        let text = text(&output);
        let first = text.split("\nerror").nth(1).unwrap_or_default();
        let place = source.lines().position(|line| line.contains(".subscribe")).unwrap() + 1;
        assert!(!output.status.success(), "{} compiles", path.display());
        assert!(first.contains(says), "{}: {text}", path.display());
        assert!(first.contains(&format!("src/main.rs:{place}:")), "{}: {text}", path.display());
        assert!(first.contains("on_error_route"), "{}: {text}", path.display());
        files += 1;
    }
    assert!(files >= 3, "only {files} files");
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

fn cargo(command: &str, package: &Path, target: &Path) -> Output {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([command, "--offline", "--color=never"])
        .current_dir(package)
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_INCREMENTAL", "0")
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
