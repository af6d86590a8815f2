//! The house rules that no compiler holds: who imports whom, how long files and functions are, where links lead.
//!
//! Reads the sources as text. Rules that clippy can hold are in `Cargo.toml` and in the `clippy.toml` files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// Who may import whom among our own crates. The program also imports `loadtest`: its phones are the demo's caller.
const IMPORTS: [(&str, &[&str]); 7] = [
    (".", &["forks", "loadtest", "media", "nlu", "prosody", "routing"]),
    ("forks", &["media"]),
    ("loadtest", &["media"]),
    ("media", &[]),
    ("nlu", &["prosody"]),
    ("prosody", &[]),
    ("routing", &[]),
];
/// Crates that only one of ours may use.
const RESERVED: [(&str, &str); 6] =
    [("tokio", "."), ("axum", "."), ("sled", "."), ("rsipstack", "."), ("webrtc", "."), ("ort", "nlu")];
/// Crates of ours without socket, clock, thread or file; their `clippy.toml` bans what would bring one in.
const PURE: [&str; 4] = ["forks", "media", "prosody", "routing"];
const BANNED_IN_PURE: [&str; 5] = [
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "std::thread::spawn",
    "std::fs::File::open",
    "std::net::UdpSocket::bind",
];

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
/// Files whose one long function is a flat table: one arm per word of a script language.
const FLAT_TABLES: [&str; 1] = ["src/control/tests/script.rs"];
/// Split so that this file does not hold them itself.
const FORBIDDEN: [&str; 6] = [
    concat!("to", "do!("),
    concat!("unimpl", "emented!("),
    concat!("#[ign", "ore"),
    concat!("db", "g!("),
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
];
/// Folders that are no sources of ours, wherever they are.
const SKIPPED: [&str; 8] = ["target", ".git", ".cache", "out", "node_modules", "corpus", ".venv", "__pycache__"];

#[test]
fn imports_keep_to_the_table() {
    let mut wrong = Vec::new();
    for (krate, allowed) in IMPORTS {
        for dependency in dependencies(krate, &["dependencies", "build-dependencies"]) {
            let ours = IMPORTS.iter().any(|&(own, _)| own == dependency);
            if ours && !allowed.contains(&dependency.as_str()) {
                wrong.push(format!("{krate} imports {dependency}"));
            }
        }
        for dependency in dependencies(krate, &["dependencies", "build-dependencies", "dev-dependencies"]) {
            // The load test's own tests may run the whole program.
            let tests_the_program = krate == "loadtest";
            let reserved = RESERVED.iter().find(|&&(name, only)| name == dependency && only != krate);
            if let Some((name, only)) = reserved.filter(|_| !tests_the_program) {
                wrong.push(format!("{krate} uses {name}, which is only for {only}"));
            }
        }
    }
    nothing(&wrong);
}

#[test]
fn every_member_is_in_the_table() {
    let manifest = manifest(".");
    let members = manifest["workspace"]["members"].as_array().expect("a list of members");
    let unknown: Vec<String> = members
        .iter()
        .filter_map(Value::as_str)
        .filter(|member| !IMPORTS.iter().any(|(known, _)| known == member))
        .map(str::to_owned)
        .collect();
    nothing(&unknown);
}

#[test]
fn pure_crates_ban_clocks_and_sockets() {
    let mut wrong = Vec::new();
    for krate in PURE {
        let text = fs::read_to_string(root().join(krate).join("clippy.toml")).unwrap_or_default();
        let missing = BANNED_IN_PURE.iter().filter(|banned| !text.contains(*banned));
        wrong.extend(missing.map(|banned| format!("{krate}/clippy.toml does not ban {banned}")));
    }
    nothing(&wrong);
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let mut wrong = Vec::new();
    for (name, text) in files(&["rs"]) {
        let lines = text.lines().count();
        if lines >= FILE_LINES_MAX {
            wrong.push(format!("{name}: {lines} lines, {FILE_LINES_MAX} are too many"));
        }
        if !text.starts_with("//! ") {
            wrong.push(format!("{name}: does not open with //!"));
        }
        let header = text.lines().take_while(|line| line.starts_with("//!")).count();
        if header > 10 {
            wrong.push(format!("{name}: a header of {header} lines"));
        }
        for forbidden in FORBIDDEN.iter().filter(|forbidden| text.contains(*forbidden)) {
            wrong.push(format!("{name}: {forbidden}"));
        }
    }
    nothing(&wrong);
}

#[test]
fn functions_are_short() {
    let mut wrong = Vec::new();
    for (name, text) in files(&["rs"]).into_iter().filter(|(name, _)| !FLAT_TABLES.contains(&name.as_str())) {
        wrong.extend(long_functions(&text).into_iter().map(|(line, length)| format!("{name}:{line}: {length} lines")));
    }
    nothing(&wrong);
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    for (name, text) in files(&["md"]) {
        let folder = root().join(&name);
        let folder = folder.parent().expect("a file lies in a folder");
        for link in links(&text) {
            let path = link.split('#').next().unwrap_or_default();
            if !path.is_empty() && !folder.join(path).exists() {
                wrong.push(format!("{name}: {link}"));
            }
        }
    }
    nothing(&wrong);
}

#[test]
fn tests_that_documents_name_exist() {
    let documents = ["docs/INTEGRATIONS.md", "docs/SECURITY.md"];
    let documents = documents.map(|path| fs::read_to_string(root().join(path)).expect("the document")).join("\n");
    let sources = files(&["rs"]);
    // Every second piece between backquotes is code; tests are named like paths.
    let named: Vec<&str> = documents.split('`').skip(1).step_by(2).filter(|code| code.contains("::")).collect();
    assert!(named.len() > 20, "only {named:?}");
    let exists = |test: &str| {
        let function = format!("fn {}(", test.rsplit("::").next().unwrap_or_default());
        sources.values().any(|text| text.contains(&function))
    };
    let wrong: Vec<String> = named.into_iter().filter(|test| !exists(test)).map(str::to_owned).collect();
    nothing(&wrong);
}

#[test]
fn the_readers_of_this_test_see() {
    let long = format!("fn a() {{\n{}}}\n\nfn b() {{\n}}\n", "    x();\n".repeat(FUNCTION_LINES_MAX));
    assert_eq!(long_functions(&long), [(1, FUNCTION_LINES_MAX + 2)]);
    let text = "[a](b.md#c) `[x](y)` [d](https://e) ![f](g/h.svg \"title\") [i](#j)\n```\n[k](l)\n```\n[m](n)";
    assert_eq!(links(text), ["b.md#c", "g/h.svg", "#j", "n"]);
}

/// Functions longer than allowed, as (line, lines). rustfmt puts the closing brace below the `fn`.
fn long_functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut long = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let is_function = code.starts_with("fn ") || (code.contains(" fn ") && !code.starts_with("//"));
        let excused = start > 0 && lines[..start].iter().rev().take(4).any(|above| above.contains("too_many_lines"));
        if !is_function || excused || line.contains(';') || line.contains('"') {
            continue;
        }
        let end = format!("{}}}", &line[..line.len() - code.len()]);
        let length = lines[start..].iter().position(|line| *line == end).map_or(0, |length| length + 1);
        if length > FUNCTION_LINES_MAX {
            long.push((start + 1, length));
        }
    }
    long
}

/// The relative links of a Markdown text, outside code.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        in_code ^= line.trim_start().starts_with("```");
        if in_code {
            continue;
        }
        // Every second piece between backquotes is code.
        for prose in line.split('`').step_by(2) {
            for piece in prose.split("](").skip(1) {
                let link = piece.split([')', ' ']).next().unwrap_or_default();
                let is_elsewhere = link.contains("://") || link.starts_with("mailto:");
                links.extend((!is_elsewhere).then(|| link.to_owned()));
            }
        }
    }
    links
}

/// The crates that a manifest's tables name, by their real names, for every platform.
fn dependencies(krate: &str, tables: &[&str]) -> Vec<String> {
    let manifest = manifest(krate);
    let platforms = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let sections = platforms.filter_map(Value::as_table).chain([&manifest]);
    let mut names = Vec::new();
    for section in sections {
        for table in tables.iter().filter_map(|table| section.get(*table).and_then(Value::as_table)) {
            names.extend(
                table
                    .iter()
                    .map(|(name, value)| value.get("package").and_then(Value::as_str).unwrap_or(name).to_owned()),
            );
        }
    }
    names
}

fn manifest(krate: &str) -> Table {
    let path = root().join(krate).join("Cargo.toml");
    fs::read_to_string(path).expect("a manifest").parse().expect("TOML")
}

/// Our files with one of these extensions: path from the root → text.
fn files(extensions: &[&str]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a readable folder") {
            let path: PathBuf = entry.expect("a readable folder").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && !SKIPPED.contains(&name) {
                folders.push(path);
            } else if path.extension().is_some_and(|e| extensions.iter().any(|wanted| e == *wanted)) {
                let text = fs::read_to_string(&path).expect("a text file");
                let name = path.strip_prefix(root()).expect("below the root").display().to_string();
                found.insert(name, text);
            }
        }
    }
    assert!(!found.is_empty(), "no {extensions:?} below {}", root().display());
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn nothing(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
