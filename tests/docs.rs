//! The README and the book name every operator, and nothing that is none; each operator is documented and shown.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

#[path = "docs/catalogue.rs"]
mod catalogue;

use catalogue::{OTHER_NAMES, REACTIVEX};

const CATALOGUE: &str = "docs/src/reference/reactivex.md";
const MATRIX: &str = "docs/src/reference/operators.md";

/// A method of one of the extension traits.
#[derive(Debug)]
struct Operator {
    family: String,
    name: String,
    doc: String,
    /// Whether it is given a closure.
    closure: bool,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|of| of == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The folders, beside `src/operator`, with a family of that name, whatever its traits are called.
const FAMILIES: [(&str, &str); 4] =
    [("src/delivery", "Delivery"), ("src/sink", "Sink"), ("src/pipeline", "Pipeline"), ("src/flow", "Flow")];

/// The methods of all `pub trait …Ops` in `src/operator` and the folders of the families.
fn operators() -> Vec<Operator> {
    let mut found = vec![];
    let all = files(&root().join("src/operator"), "rs").into_iter().map(|file| (None, file)).chain(
        FAMILIES.into_iter().flat_map(|(folder, family)| {
            files(&root().join(folder), "rs").into_iter().map(move |file| (Some(family), file))
        }),
    );
    for (of, file) in all {
        let (mut family, mut doc, mut in_signature) = (None, String::new(), false);
        for line in read(&file).lines() {
            in_signature &= !line.starts_with("    }");
            if let Some(name) = line.strip_prefix("pub trait ") {
                let name = name.split([':', '<', ' ']).next().unwrap();
                family = name.strip_suffix("Ops").map(|name| of.unwrap_or(name).to_owned());
                doc.clear();
            } else if line == "}" {
                family = None;
            } else if let Some(text) = line.strip_prefix("    ///") {
                doc += text.strip_prefix(' ').unwrap_or(text);
                doc.push('\n');
            } else if let (Some(family), Some(method)) = (&family, line.strip_prefix("    fn ")) {
                let name = method.split(['<', '(']).next().unwrap().to_owned();
                let doc = std::mem::take(&mut doc);
                found.push(Operator { family: family.clone(), name, doc, closure: false });
                in_signature = true;
            } else if !line.starts_with("    #[") {
                doc.clear();
            }
            if let Some(last) = found.last_mut() {
                let of = ["Fn(", "FnMut(", "FnOnce("];
                last.closure |= in_signature && of.iter().any(|of| line.contains(of));
                in_signature &= !line.ends_with('{');
            }
        }
    }
    for family in FAMILIES.map(|(_, family)| family) {
        assert!(found.iter().any(|of| of.family == family), "no operator of {family} found");
    }
    assert!(found.len() > 50, "only {} operators found: has the layout of the sources changed?", found.len());
    found
}

/// The cells of the rows of all tables whose first cell begins with a name in backquotes.
fn rows(page: &str) -> Vec<Vec<&str>> {
    page.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches(['|', ' ']).split(" | ").map(str::trim).collect())
        .collect()
}

/// The words in backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn the_matrix_has_every_operator_and_no_other() {
    let page = read(MATRIX);
    let operators = operators();
    let rows = rows(&page);
    let columns =
        page.lines().find(|line| line.starts_with("| operator |")).unwrap().matches(" | ").count() + 1;
    let mut problems = vec![];
    for Operator { family, name, doc, .. } in &operators {
        let of =
            |row: &&Vec<&str>| quoted(row[0]).next() == Some(name) && row.get(1) == Some(&family.as_str());
        match rows.iter().find(of) {
            None => problems.push(format!("no row for `{name}` of {family}")),
            Some(row) if row.len() != columns => {
                problems.push(format!("`{name}`: {} cells of {columns}", row.len()))
            }
            Some(row) if row.iter().any(|cell| cell.is_empty()) => {
                problems.push(format!("`{name}`: an empty cell"))
            }
            Some(row) => {
                let theirs = doc.contains("(rxRust's own)");
                if (row[columns - 1] == "rxRust") != theirs {
                    problems.push(format!("`{name}`: ours or rxRust's?"));
                }
            }
        }
    }
    for row in &rows {
        let name = quoted(row[0]).next().unwrap();
        if !operators.iter().any(|operator| operator.name == name) {
            problems.push(format!("`{name}` is no operator"));
        }
    }
    assert!(problems.is_empty(), "{MATRIX}:\n{}", problems.join("\n"));
}

#[test]
fn the_readme_and_the_decision_tree_name_every_operator() {
    for page in ["README.md", "docs/src/reference/which-operator.md"] {
        let text = read(page);
        let named: BTreeSet<&str> = text
            .lines()
            .filter(|line| line.starts_with(['|', '-', ' ']))
            .flat_map(quoted)
            .map(|code| code.split(['(', '<']).next().unwrap().rsplit("::").next().unwrap())
            .collect();
        let missing: Vec<_> = operators()
            .into_iter()
            .map(|operator| operator.name)
            .filter(|name| !named.contains(name.as_str()))
            .collect();
        assert!(missing.is_empty(), "{page} lacks {missing:?}");
    }
}

#[test]
fn every_operator_is_documented_and_shown() {
    // What runs as a doctest, of the book.
    let mut shown = String::new();
    for page in pages() {
        for (i, block) in read(&page).split("```").enumerate() {
            if i % 2 == 1 && block.starts_with("rust") {
                shown += block;
            }
        }
    }
    let mut problems = vec![];
    for Operator { family, name, doc, .. } in operators() {
        if doc.trim().is_empty() {
            problems.push(format!("{family}::{name} has no documentation"));
        }
        let called =
            [format!(".{name}("), format!("::{name}("), format!("::{name}::<"), format!(".{name}::<")];
        if !doc.contains("```") && !called.iter().any(|call| shown.contains(call.as_str())) {
            problems.push(format!("{family}::{name} has no example or diagram, and none in the book"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The pages whose code is compiled.
fn pages() -> Vec<PathBuf> {
    let mut pages = files(&root().join("docs/src"), "md");
    pages.retain(|page| !page.ends_with("SUMMARY.md"));
    pages.push(root().join("README.md"));
    pages
}

#[test]
fn every_page_is_in_the_book_and_its_code_is_compiled() {
    let (summary, compiled) = (read("docs/src/SUMMARY.md"), read("src/book.rs"));
    for page in pages() {
        let path = page.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
        assert!(compiled.contains(&format!("\"../{path}\"")), "src/book.rs lacks {path}");
        if let Some(path) = path.strip_prefix("docs/src/") {
            assert!(summary.contains(&format!("({path})")), "SUMMARY.md lacks {path}");
        }
    }
}

#[test]
fn links_between_files_lead_somewhere() {
    let mut problems = vec![];
    for page in pages().into_iter().chain(["CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name))) {
        for (i, text) in read(&page).split("```").enumerate() {
            if i % 2 == 1 {
                continue; // code
            }
            for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let target = link.split('#').next().unwrap();
                if !target.is_empty()
                    && !target.contains("://")
                    && !page.parent().unwrap().join(target).exists()
                {
                    problems.push(format!("{}: {link}", page.display()));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The names in a table of the laws: the operators of a row, before what kind of row it is.
fn under_laws(file: &str, before: &[&str]) -> BTreeSet<String> {
    let table = read(file);
    let rows = before.iter().flat_map(|before| table.split(before).skip(1));
    let names = rows.filter_map(|row| row.trim_start().strip_prefix('"')?.split('"').next());
    let names = names.flat_map(|names| names.split(':').next().unwrap_or_default().split(", "));
    names.map(str::to_owned).collect()
}

/// Operators that are under the laws elsewhere, or otherwise.
const ELSEWHERE: [(&str, &str); 15] = [
    ("subject", "the source of every law"),
    ("connect", "it begins the source before anybody listens: tests/operators/share.rs"),
    ("subscribe_with", "the sink of every law"),
    ("subscribe", "an observer made of a closure"),
    ("subscribe_guarded", "an observer made of a closure"),
    ("boxed", "the output of every row"),
    ("through", "a `Stream` of a `Stream`: tests/flow.rs"),
    ("through_shared", "a `Stream` of a `Stream`: tests/flow.rs"),
    ("through_in", "a `Stream` of a `Stream`: tests/flow.rs"),
    ("forward_acked", "a future of a `Stream`: tests/flow.rs"),
    ("hand_off", "`hand_off_on` with a thread of its own: tests/operators/hand_off_threads.rs"),
    ("hand_off_with", "`hand_off_on` with a thread of its own: tests/operators/hand_off_threads.rs"),
    ("parallel_map", "on real threads: tests/operators/parallel_threads.rs"),
    ("parallel_map_unordered", "on real threads: tests/operators/parallel_threads.rs"),
    ("parallel_map_with", "on real threads: tests/operators/parallel_threads.rs"),
];

#[test]
fn every_operator_is_under_the_laws() {
    let (rows, elsewhere) = (
        under_laws("tests/laws/table.rs", &["Op::new(", "one_each!("]),
        BTreeSet::from(ELSEWHERE.map(|(name, _)| name)),
    );
    let of = |name: &str| rows.contains(name) || elsewhere.contains(name);
    let missing: Vec<_> = operators().into_iter().map(|op| op.name).filter(|name| !of(name)).collect();
    assert!(missing.is_empty(), "no row in tests/laws/table.rs for {missing:?}");
}

/// Closures whose panic is not an error of the stream.
const NO_ERROR: [(&str, &str); 24] = [
    ("subscribe", "the panic below every operator is a law of its own"),
    ("subscribe_guarded", "the panic below every operator is a law of its own"),
    ("finalize", "the stream has ended: the hook"),
    ("on_backpressure_buffer_with", "tests/operators/time.rs"),
    ("on_backpressure_drop", "as `on_backpressure_buffer_with`"),
    ("on_backpressure_drop_with", "as `on_backpressure_buffer_with`"),
    ("on_backpressure_latest_on_dropped", "as `on_backpressure_buffer_with`"),
    ("on_backpressure_timeout", "tests/operators/time.rs"),
    ("hand_off_with", "tests/operators/hand_off_threads.rs"),
    ("rate_limit_on_dropped", "tests/operators/rate.rs"),
    ("stage", "called once, where the chain is built: a panic is its builder's"),
    ("through", "as `stage`"),
    ("through_shared", "as `stage`"),
    ("through_in", "as `stage`"),
    ("try_map_value", "a rejected item"),
    ("try_map", "a rejected item"),
    ("try_map_stage", "a rejected item"),
    ("try_map_with_retry", "a rejected item"),
    ("try_map_with_retry_ordered", "a rejected item"),
    ("try_map_with_retry_with", "a rejected item"),
    ("try_map_async_with_retry", "a rejected item"),
    ("try_map_async_with_retry_ordered", "a rejected item"),
    ("try_map_async_with_retry_with", "a rejected item"),
    ("parallel_map", "a rejected item"),
];

#[test]
fn every_closure_is_under_the_law_of_closures() {
    let rows = under_laws("tests/laws/closures.rs", &["closure(", "named("]);
    let of = |name: &str| {
        rows.contains(name) || NO_ERROR.iter().any(|(no, _)| name == *no) || name.starts_with("parallel_map")
    };
    let missing: Vec<_> =
        operators().into_iter().filter(|op| op.closure).map(|op| op.name).filter(|name| !of(name)).collect();
    assert!(missing.is_empty(), "no row in tests/laws/closures.rs for {missing:?}");
    assert!(rows.len() > 50, "only {} rows found: has the table changed?", rows.len());
}

/// The page that leads from the names of ReactiveX, RxJS and RxJava to ours. Each of ours is an operator, and its row of
/// the matrix says where it runs.
#[test]
fn the_catalogue_of_reactivex_is_complete() {
    let (matrix, operators) = (read(MATRIX), operators());
    let rows = rows(&matrix);
    let mut problems = vec![];
    let mut page = String::from(
        "# ReactiveX, RxJS, RxJava\n\n\
         <!-- Made by `UPDATE_DOCS=1 cargo test --test docs`, of tests/docs/catalogue.rs and the matrix. -->\n\n\
         Every operator of the [ReactiveX catalogue](https://reactivex.io/documentation/operators.html), and what it is \
         here. Each behaves as its definition says; the [matrix](operators.md) says what it holds, and the API \
         documentation has a marble diagram and an example of each. *Contexts*: L is `Local`, S `Shared`, V virtual \
         time.\n",
    );
    for (category, names) in REACTIVEX {
        page +=
            &format!("\n## {category}\n\n| ReactiveX | here | contexts | definition |\n|---|---|---|---|\n");
        for (name, ours) in *names {
            let mut contexts = BTreeSet::new();
            for our in ours.split(' ') {
                match rows.iter().find(|row| quoted(row[0]).next() == Some(our)) {
                    Some(row) => drop(contexts.insert(row[2])),
                    None => problems.push(format!("{name}: `{our}` has no row in the matrix")),
                }
            }
            let ours: Vec<_> = ours.split(' ').map(|our| format!("`{our}`")).collect();
            let contexts: Vec<_> = contexts.into_iter().collect();
            if contexts != ["L S V"] {
                problems.push(format!("{name}: contexts {contexts:?}"));
            }
            let slug = match *name {
                "Empty/Never/Throw" => "empty-never-throw".to_owned(),
                "And/Then/When" => "and-then-when".to_owned(),
                "Materialize/Dematerialize" => "materialize-dematerialize".to_owned(),
                name => name.split(' ').next().unwrap().to_lowercase(),
            };
            page += &format!(
                "| {name} | {} | {} | [reactivex.io](https://reactivex.io/documentation/operators/{slug}.html) |\n",
                ours.join(", "),
                contexts.join("; "),
            );
        }
    }
    page += "\n## Other names\n\nWhat RxJS 7 and RxJava 3 call otherwise; the rest has the same name, in snake_case.\n\n\
             | there | here |\n|---|---|\n";
    for (theirs, ours) in OTHER_NAMES {
        for our in quoted(ours) {
            if !operators.iter().any(|operator| operator.name == our) {
                problems.push(format!("{theirs}: `{our}` is no operator"));
            }
        }
        page += &format!("| {theirs} | {ours} |\n");
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root().join(CATALOGUE), &page).unwrap();
    }
    assert!(read(CATALOGUE) == page, "{CATALOGUE} is not up to date: UPDATE_DOCS=1 cargo test --test docs");
}
