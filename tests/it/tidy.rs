//! House rules as a test: floors, one home for each library, first lines, file lengths.
#![expect(clippy::unwrap_used, reason = "a test may stop at once")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Every room and its floor; a room imports only from lower floors.
const FLOORS: [(&str, u8); 18] = [
    ("model", 0),
    ("failure", 1),
    ("manifests", 1),
    ("settings", 1),
    ("telemetry", 1),
    ("tls", 1),
    ("http", 2),
    ("events", 2),
    ("rabbitmq", 2),
    ("settle", 2),
    ("blob_store", 3),
    ("media_service", 4),
    ("replication", 5),
    ("audit", 5),
    ("worker", 6),
    ("admin", 6),
    ("cli", 7),
    ("lib", 8),
];

/// Libraries that only some rooms may name.
const HOMES: [(&str, &[&str]); 19] = [
    ("lapin", &["rabbitmq"]),
    ("reqwest", &["http"]),
    ("azure_identity", &["http"]),
    ("azure_core", &["http", "blob_store"]),
    ("azure_storage_blob", &["blob_store"]),
    ("quick_xml", &["blob_store"]),
    ("metrics", &["telemetry"]),
    ("metrics_exporter_prometheus", &["telemetry"]),
    ("opentelemetry", &["telemetry"]),
    ("opentelemetry_http", &["http", "telemetry"]),
    ("opentelemetry_otlp", &["telemetry"]),
    ("opentelemetry_sdk", &["telemetry"]),
    ("tracing_opentelemetry", &["telemetry"]),
    ("axum", &["admin"]),
    ("clap", &["cli", "main"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("jsonschema", &["events"]),
    ("anyhow", &["cli", "main"]),
];

const LONGEST_FILE: usize = 400;

#[test]
fn the_house_is_in_order() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = floor_violations(&root.join("src"));
    found.extend(shape_violations(&root.join("src")));
    found.extend(shape_violations(&root.join("tests")));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn planted_violations_are_found() {
    let house = tempfile::tempdir().unwrap();
    let plant = |path: &str, text: &str| {
        let path = house.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    plant("model/mod.rs", "//! x\nuse crate::failure::Failure;\n");
    plant("events/mod.rs", "//! x\nuse crate::{model::A, rabbitmq::{B, C}};\n");
    plant("http/deep/mod.rs", "//! x\nfn f() { super::super::worker::run() }\n");
    plant("settle.rs", "//! x\nmod tests { use super::super::events::x; }\n");
    plant("worker/mod.rs", "//! x\nuse lapin::Channel;\n// crate::cli is only mentioned here\n");
    plant("attic/mod.rs", "//! x\n");
    plant("replication/ok.rs", "//! x\nuse crate::media_service::A;\nuse super::sites::B;\n");
    let found = floor_violations(house.path());
    let expected = [
        "attic/mod.rs: room 'attic' is on no floor: add it to the table",
        "events/mod.rs: floor 2 imports 'rabbitmq' of floor 2",
        "http/deep/mod.rs: floor 2 imports 'worker' of floor 6",
        "model/mod.rs: floor 0 imports 'failure' of floor 1",
        "settle.rs: floor 2 imports 'events' of floor 2",
        "worker/mod.rs: names 'lapin', whose home is rabbitmq",
    ];
    assert_eq!(found, expected);

    plant("model/long.rs", &"//! x\n".repeat(LONGEST_FILE + 1));
    plant("model/bare.rs", "use std::fmt;\n");
    let found = shape_violations(house.path());
    assert_eq!(
        found,
        ["model/bare.rs: first line is not a `//!` sentence", "model/long.rs: 401 lines, 400 are allowed"]
    );
}

fn floor_violations(src: &Path) -> Vec<String> {
    let floors: BTreeMap<&str, u8> = FLOORS.into();
    let mut found = Vec::new();
    for file in rust_files(src) {
        let path = module_path(&file);
        let name = file.display();
        let room = path.first().map_or("lib", String::as_str);
        let code = without_comments(&fs::read_to_string(src.join(&file)).unwrap());
        for (library, homes) in HOMES {
            if names(&code, library) && !homes.contains(&room) {
                found.push(format!("{name}: names '{library}', whose home is {}", homes.join(" or ")));
            }
        }
        if room == "main" || room == "lib" {
            continue;
        }
        let Some(floor) = floors.get(room) else {
            found.push(format!("{name}: room '{room}' is on no floor: add it to the table"));
            continue;
        };
        for imported in imported_rooms(&code, path.len()) {
            match floors.get(imported.as_str()) {
                Some(other) if imported != room && other >= floor => {
                    found.push(format!("{name}: floor {floor} imports '{imported}' of floor {other}"));
                }
                _ => {}
            }
        }
    }
    found.dedup();
    found
}

fn shape_violations(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for file in rust_files(root) {
        let text = fs::read_to_string(root.join(&file)).unwrap();
        let lines = text.lines().count();
        if !text.starts_with("//! ") {
            found.push(format!("{}: first line is not a `//!` sentence", file.display()));
        }
        if lines > LONGEST_FILE {
            found.push(format!("{}: {lines} lines, {LONGEST_FILE} are allowed", file.display()));
        }
    }
    found
}

/// All Rust files below `root`, relative to it, in name order.
fn rust_files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                let skipped = ["target", "node_modules"].iter().any(|name| path.ends_with(name));
                folders.extend((!skipped).then_some(path));
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// `http/deep/mod.rs` is the module `http::deep`.
fn module_path(file: &Path) -> Vec<String> {
    let words = file.with_extension("").iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>();
    words.into_iter().filter(|word| word != "mod").collect()
}

fn without_comments(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn names(code: &str, library: &str) -> bool {
    words(code).any(|(at, word)| word == library && code[at + word.len()..].trim_start().starts_with("::"))
}

/// Identifiers and where they begin.
fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(is_part).filter_map(move |(at, _)| {
        let begins = !code[..at].chars().next_back().is_some_and(is_part);
        let end = code[at..].find(|c| !is_part(c)).map_or(code.len(), |length| at + length);
        begins.then(|| (at, &code[at..end]))
    })
}

/// Rooms named after `crate::`, or after as many `super::` as lead out of a module that lies `depth` deep.
fn imported_rooms(code: &str, depth: usize) -> Vec<String> {
    let mut found = Vec::new();
    for (at, word) in words(code) {
        let after = match word {
            "crate" => code[at + word.len()..].trim_start().strip_prefix("::"),
            "super" if !code[..at].trim_end().ends_with("::") => climb(&code[at..], depth + inner_modules(&code[..at])),
            _ => None,
        };
        found.extend(after.into_iter().flat_map(heads));
    }
    found
}

/// What follows `depth` times `super::`, if there are as many.
fn climb(mut code: &str, depth: usize) -> Option<&str> {
    for _ in 0..depth {
        code = code.trim_start().strip_prefix("super")?.trim_start().strip_prefix("::")?;
    }
    Some(code)
}

/// How many inline modules (`mod tests {`) are open before this place.
fn inner_modules(before: &str) -> usize {
    usize::from(before.lines().any(|line| line.trim_start().starts_with("mod ") && line.contains('{')))
}

/// The first words of a path or of each path in a group: `a::b` or `{a::b, c}`.
fn heads(path: &str) -> Vec<String> {
    let first = |text: &str| words(text.trim_start()).next().map(|(_, word)| word.to_owned());
    let Some(group) = path.trim_start().strip_prefix('{') else { return first(path).into_iter().collect() };
    let (mut level, mut begin, mut found) = (0_i32, 0, Vec::new());
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => level += 1,
            '}' | ',' if level == 0 => {
                found.extend(first(&group[begin..at]));
                begin = at + 1;
                if letter == '}' {
                    break;
                }
            }
            '}' => level -= 1,
            _ => {}
        }
    }
    found
}
