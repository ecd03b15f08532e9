//! Where each thing is tested that the walkthrough of old ignores and production must not: one table, kept honest here.
#![expect(clippy::unwrap_used, reason = "a test may stop at once")]

mod calls;
mod ignored;
mod operations;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// One row of contract ams-v2: what must be so, what the walkthrough does instead, and the tests that fail on that.
/// A test goes by its path in this binary, or in the library where its name begins with a room of `src`.
type Row = (&'static str, &'static str, &'static [&'static str]);

/// The tables by the contract's sections.
const TABLES: [(&str, &[Row]); 5] = [
    ("9: what the walkthrough ignores", ignored::ROWS),
    ("5.1 and 5.2: shapes and statuses of errors", calls::STATUSES),
    ("5.3: what is repeated, and how safely", calls::REPETITION),
    ("4.1 and 4.2: files and locators", operations::FILES_AND_LOCATORS),
    ("4.3, 4.4 and 2.x: limits, timing, dates, pages", operations::LIMITS_AND_TIMING),
];

#[test]
fn every_row_has_tests_and_every_test_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut rows = BTreeSet::new();
    for (section, table) in TABLES {
        for (contract, _, tests) in table {
            assert!(rows.insert(contract), "{section}: '{contract}' stands there twice");
            found.extend(problems(root, contract, tests).into_iter().map(|problem| format!("{section}: {problem}")));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn planted_gaps_are_found() {
    let house = tempfile::tempdir().unwrap();
    let plant = |path: &str, text: &str| {
        let path = house.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    plant("tests/it/main.rs", "mod room;\nmod support;\n");
    plant(
        "tests/it/room.rs",
        "mod inner;\n#[test]\nfn there() {}\nfn helper() {}\n#[test]\n#[cfg(any())]\nfn skipped() {}\n",
    );
    plant("tests/it/room/inner.rs", "#[tokio::test]\n#[cfg(unix)]\nasync fn deep() {}\n");
    plant("tests/it/room/orphan.rs", "#[test]\nfn nobody_runs_me() {}\n");
    plant("src/lib.rs", "pub mod kitchen;\n");
    plant("src/kitchen/mod.rs", "mod stove;\n");
    plant("src/kitchen/stove.rs", "mod tests {\n    #[test]\n    fn hot() {}\n}\n");
    for good in ["room::there", "room::inner::deep", "kitchen::stove::tests::hot"] {
        assert_eq!(problems(house.path(), "row", &[good]), [""; 0], "{good}");
    }
    for bad in [
        "room::helper",
        "room::skipped",
        "room::orphan::nobody_runs_me",
        "room::gone",
        "attic::there",
        "kitchen::stove::hot",
    ] {
        assert_eq!(problems(house.path(), "row", &[bad]), [format!("'row': no test {bad}")]);
    }
    assert_eq!(problems(house.path(), "row", &[]), ["'row': no test at all"]);
}

/// What is wrong with a row of such a table, here or elsewhere.
pub fn problems(root: &Path, contract: &str, tests: &[&str]) -> Vec<String> {
    if tests.is_empty() {
        return vec![format!("'{contract}': no test at all")];
    }
    tests.iter().filter(|test| !is_test(root, test)).map(|test| format!("'{contract}': no test {test}")).collect()
}

/// What makes a function a test.
const TESTS: &[&str] = &["#[test]", "#[tokio::test"];
/// What else a test may carry: with any other attribute it might not be run.
const HARMLESS: &[&str] = &["#[cfg(unix)]", "#[expect("];

/// Whether the file of that module is part of a crate and has a function of that name that is run as a test.
fn is_test(root: &Path, test: &str) -> bool {
    let Some((module, name)) = test.rsplit_once("::") else { return false };
    let (folder, first, path) = match module.strip_suffix("::tests") {
        Some(path) => ("src", "lib.rs", path),
        None => ("tests/it", "main.rs", module),
    };
    let Some(file) = find_module(&root.join(folder), first, path) else { return false };
    let text = fs::read_to_string(file).unwrap();
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let starts = [format!("fn {name}("), format!("async fn {name}(")];
    let at = lines.iter().position(|line| starts.iter().any(|start| line.starts_with(start)));
    let attributes = lines[..at.unwrap_or_default()].iter().rev().take_while(|line| line.starts_with("#["));
    let attributes: Vec<_> = attributes.collect();
    let is = |line: &str, wanted: &[&str]| wanted.iter().any(|wanted| line.starts_with(wanted));
    attributes.iter().any(|line| is(line, TESTS)) && attributes.iter().all(|line| is(line, TESTS) || is(line, HARMLESS))
}

/// The file of a module that every module above it declares.
fn find_module(folder: &Path, first: &str, path: &str) -> Option<PathBuf> {
    let mut file = folder.join(first);
    let mut folder = folder.to_owned();
    for name in path.split("::") {
        let text = fs::read_to_string(&file).ok()?;
        let declared = [format!("mod {name};"), format!("pub mod {name};")];
        text.lines().find(|line| declared.iter().any(|declared| line.trim() == declared))?;
        let (flat, nested) = (folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs"));
        file = if flat.exists() { flat } else { nested };
        folder = folder.join(name);
    }
    Some(file).filter(|file| file.exists())
}
