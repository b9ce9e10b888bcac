//! The rules of the house (docs/ARCHITECTURE.md, "The house"), held by reading the source: which
//! module may name which, where SQL and engine names may stand, who may end the process, and how
//! long things may be. Folders that do not exist yet are fine; what appears is held to the rules.
//!
//! Needs nothing but the standard library, and reads tokens, so that a rule is neither fooled by a
//! `use` spread over lines nor by a word in a comment.

mod tokens;

use std::fs;
use std::path::{Path, PathBuf};

use tokens::{Kind, Token, tokens};

/// What core may depend on: nothing that does I/O, tells the time or draws random numbers.
const CORE_DEPENDENCIES: &[&str] = &["hex", "serde", "serde_json", "sha2", "thiserror"];
/// Longest file, in lines.
const FILE_LINES: usize = 600;
/// Longest function, in lines from its opening to its closing brace.
const FUNCTION_LINES: usize = 70;
/// Longest `main.rs`, in lines.
const MAIN_LINES: usize = 99;
/// How SQL begins, as we write it.
const SQL: &[&str] = &[
    "SELECT ",
    "INSERT INTO ",
    "INSERT OR ",
    "UPDATE ",
    "DELETE FROM ",
    "CREATE TABLE",
    "CREATE INDEX",
    "CREATE UNIQUE",
    "ALTER TABLE",
    "DROP TABLE",
    "PRAGMA ",
    "BEGIN IMMEDIATE",
    "WITH ",
];

/// One source file, read once.
struct Source {
    /// From the project's root, with `/`.
    path: String,
    text: String,
    tokens: Vec<Token>,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), tokens: tokens(text) }
    }

    fn is(&self, place: &str) -> bool {
        self.path == format!("server/src/{place}.rs")
            || self.path.starts_with(&format!("server/src/{place}/"))
    }

    /// Unit tests beside the code put together what they need.
    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }

    /// Whether the tokens from `start` read so.
    fn reads(&self, start: usize, words: &[&str]) -> bool {
        let here = self.tokens.iter().skip(start).map(|token| token.text.as_str());
        here.take(words.len()).eq(words.iter().copied())
    }

    /// Every path into our own server: line and segments, from `crate::`, `super::`, `medrelay::`.
    fn paths(&self) -> Vec<(usize, Vec<String>)> {
        let mut found = Vec::new();
        for (start, token) in self.tokens.iter().enumerate() {
            let continues = start > 0 && self.tokens[start - 1].text == "::";
            if token.kind != Kind::Word || continues || !self.reads(start + 1, &["::"]) {
                continue;
            }
            let prefix = match token.text.as_str() {
                "crate" | "medrelay" => Vec::new(),
                "super" => {
                    let mut module = self.module();
                    module.pop();
                    module
                }
                _ => continue,
            };
            let mut paths = Vec::new();
            tree(&self.tokens, start + 2, prefix, &mut paths);
            found.extend(paths.into_iter().map(|path| (token.line, path)));
        }
        found
    }

    /// The module that this file of the server is.
    fn module(&self) -> Vec<String> {
        let inside = self.path.strip_prefix("server/src/").unwrap_or(&self.path);
        let mut module: Vec<String> =
            inside.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        module
    }
}

/// Reads a use tree from token `at`; returns the place behind it.
fn tree(
    tokens: &[Token],
    mut at: usize,
    mut prefix: Vec<String>,
    out: &mut Vec<Vec<String>>,
) -> usize {
    let text = |at: usize| tokens.get(at).map_or("}", |token| token.text.as_str());
    if text(at) == "{" {
        at += 1;
        while at < tokens.len() && text(at) != "}" {
            at = tree(tokens, at, prefix.clone(), out);
            // "as name" belongs to the leaf before it.
            while at < tokens.len() && !matches!(text(at), "," | "}") {
                at += 1;
            }
            at += usize::from(text(at) == ",");
        }
        return at + 1;
    }
    match text(at) {
        "super" => drop(prefix.pop()),
        other => prefix.push(other.to_owned()),
    }
    let follows = tokens
        .get(at + 2)
        .is_some_and(|t| t.kind == Kind::Word || matches!(t.text.as_str(), "{" | "*"));
    if text(at + 1) == "::" && follows {
        return tree(tokens, at + 2, prefix, out);
    }
    out.push(prefix);
    at + 1
}

/// Arrows that the layers forbid, and wiring that is not in `app.rs`.
fn arrows(source: &Source) -> Vec<String> {
    if source.is_test() {
        return Vec::new();
    }
    if source.path.starts_with(CLIENT) {
        return arrows_of_the_clinic(source);
    }
    if !source.path.starts_with("server/src/") {
        return Vec::new();
    }
    let module = source.module();
    let layer = module.first().map_or("", String::as_str);
    let forbidden: &[&str] = match layer {
        "edge" => &["store", "blobs", "app", "worker"],
        "worker" => &["edge", "app"],
        "service" => &["edge", "app", "worker"],
        "store" => &["edge", "service", "app", "worker", "blobs"],
        "blobs" => &["edge", "service", "app", "worker", "store"],
        "config" | "lifecycle" => &["edge", "service", "app", "worker", "store", "blobs"],
        "app" | "main" => &[],
        _ => &["edge", "worker"],
    };
    let mut offences = Vec::new();
    for (line, path) in source.paths() {
        let to = path.first().map_or("", String::as_str);
        if forbidden.contains(&to) {
            offences.push(source.at(line, &format!("{layer} must not name {}", path.join("::"))));
        }
        // An item of edge/mod.rs is for all edges; a module below it is another edge.
        let own = module.get(1);
        let sibling = path.get(1).filter(|name| name.starts_with(char::is_lowercase));
        if layer == "edge" && to == "edge" && own.is_some() && sibling.is_some() && sibling != own {
            let name = sibling.map_or("", String::as_str);
            if is_module(&format!("server/src/edge/{name}")) {
                offences.push(source.at(line, &format!("edges never name each other: {name}")));
            }
        }
    }
    offences
}

/// At the clinic: the gateway names the spool and the link, the spool the link's shelf, the link
/// neither of them.
fn arrows_of_the_clinic(source: &Source) -> Vec<String> {
    let place = source.path.trim_start_matches(CLIENT);
    let forbidden: &[&str] = match place.split(['/', '.']).next().unwrap_or_default() {
        "link" => &["spool", "gateway"],
        "spool" => &["gateway"],
        _ => &[],
    };
    let mut offences = Vec::new();
    for (at, token) in source.tokens.iter().enumerate() {
        for name in forbidden {
            if source.reads(at, &["crate", "::", name]) {
                offences.push(source.at(token.line, &format!("must not name {name}")));
            }
        }
    }
    offences
}

const CLIENT: &str = "client-sdk/src/";

/// Where SQL may stand: the relay's store and the gateway's spool.
fn keeps_rows(source: &Source) -> bool {
    source.is("store") || source.path.starts_with("client-sdk/src/spool/")
}

fn is_module(path: &str) -> bool {
    root().join(path).is_dir() || root().join(format!("{path}.rs")).is_file()
}

/// SQL, the database library and engine names outside their home.
fn sql(source: &Source) -> Vec<String> {
    let product =
        ["server/src/", "server/core/src/", "server/dicom/src/", "server/link/src/", CLIENT];
    if source.is_test() || !product.iter().any(|folder| source.path.starts_with(folder)) {
        return Vec::new();
    }
    let mut offences = Vec::new();
    let engines_live_here = source.path == "server/src/store/mod.rs"
        || source.is("config")
        || source.path.starts_with("client-sdk/src/spool/");
    for token in &source.tokens {
        let lower = token.text.to_lowercase();
        let literal = token.text.trim_start_matches(['b', 'r', '#', '"', '\\', '\n', ' ']);
        if token.kind == Kind::Text
            && !keeps_rows(source)
            && SQL.iter().any(|s| literal.starts_with(s))
        {
            offences.push(source.at(token.line, "SQL text outside store/"));
        }
        if token.kind == Kind::Word && token.text == "sqlx" && !keeps_rows(source) {
            offences.push(source.at(token.line, "sqlx outside store/"));
        }
        let engine = lower.contains("sqlite") || lower.contains("postgres");
        if engine && token.kind != Kind::Mark && !engines_live_here {
            offences
                .push(source.at(token.line, "an engine is named outside store/mod.rs and config"));
        }
    }
    offences
}

/// Ends of the process outside `main.rs`, and a `main.rs` that does more than start.
fn endings(source: &Source) -> Vec<String> {
    let is_main = source.path.ends_with("/src/main.rs") || source.path.contains("/src/bin/");
    let mut offences = Vec::new();
    for (at, token) in source.tokens.iter().enumerate() {
        let ends = ["exit", "abort"].iter().any(|end| source.reads(at, &["process", "::", end]));
        if ends && !is_main {
            offences.push(source.at(token.line, "only main.rs ends the process"));
        }
    }
    let lines = source.text.lines().count();
    if is_main && lines > MAIN_LINES {
        offences.push(source.at(lines, "main.rs stays under 100 lines"));
    }
    offences
}

/// Files and functions that are too long, and modules that do not say what they are.
fn shape(source: &Source) -> Vec<String> {
    let mut offences = Vec::new();
    let lines = source.text.lines().count();
    if lines > FILE_LINES {
        offences.push(source.at(lines, "files stay within 600 lines"));
    }
    let first = source.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    if !first.starts_with("//!") {
        offences.push(source.at(1, "a module begins with a //! paragraph"));
    }
    for (at, token) in source.tokens.iter().enumerate() {
        let named = source.tokens.get(at + 1).is_some_and(|next| next.kind == Kind::Word);
        if token.kind == Kind::Word && token.text == "fn" && named {
            let length = body_lines(&source.tokens[at..]);
            if length > FUNCTION_LINES {
                let name = &source.tokens[at + 1].text;
                offences.push(source.at(token.line, &format!("{name} has {length} lines")));
            }
        }
    }
    offences
}

/// Lines of the body of the function that begins with the first token; 0 if it has none.
fn body_lines(tokens: &[Token]) -> usize {
    let (mut depth, mut brackets, mut opened) = (0usize, 0usize, 0);
    for token in tokens.iter().filter(|token| token.kind == Kind::Mark) {
        match token.text.as_str() {
            "(" | "[" => brackets += 1,
            ")" | "]" => brackets = brackets.saturating_sub(1),
            ";" if depth == 0 && brackets == 0 => return 0,
            "{" => {
                if depth == 0 {
                    opened = token.line;
                }
                depth += 1;
            }
            "}" if depth == 1 => return token.line + 1 - opened,
            "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    0
}

/// Silenced lints and unfinished code.
fn excuses(source: &Source) -> Vec<String> {
    let mut offences = Vec::new();
    for (at, token) in source.tokens.iter().enumerate() {
        let before = |text: &str| at > 0 && source.tokens[at - 1].text == text;
        let listed = source.tokens[..at]
            .iter()
            .rev()
            .take_while(|earlier| earlier.line == token.line)
            .any(|earlier| earlier.text == "cfg_attr");
        let attribute = before("[") || (before(",") && listed);
        if attribute && source.reads(at, &["allow", "("]) {
            offences.push(source.at(token.line, "write #[expect(…, reason = …)], not allow"));
        }
        for name in ["todo", "unimplemented", "dbg"] {
            if token.kind == Kind::Word && source.reads(at, &[name, "!", "("]) {
                offences.push(source.at(token.line, &format!("{name}! is not product code")));
            }
        }
    }
    offences
}

/// Ways out of core: files, sockets, the clock, the environment.
fn ways_out(source: &Source) -> Vec<String> {
    if !source.path.starts_with("server/core/src/") {
        return Vec::new();
    }
    let modules = ["fs", "net", "env", "io", "process", "thread", "os", "time"];
    let words = ["SystemTime", "Instant", "println", "eprintln", "print", "eprint"];
    let mut offences = Vec::new();
    for (at, token) in source.tokens.iter().enumerate() {
        // A length of time is a number; only clocks tell the time.
        let length = source.reads(at, &["std", "::", "time", "::", "Duration"]);
        let module =
            !length && modules.iter().any(|module| source.reads(at, &["std", "::", module]));
        if module || (token.kind == Kind::Word && words.contains(&token.text.as_str())) {
            offences.push(source.at(token.line, "core has no I/O, no clock, no randomness"));
        }
    }
    offences
}

/// The names under `[dependencies]` of a manifest, target-specific and build ones included.
fn dependencies(manifest: &str) -> Vec<String> {
    let (mut names, mut inside) = (Vec::new(), false);
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            let plain = !section.contains("dev-dependencies") && !section.starts_with("workspace");
            inside = plain && section.ends_with("dependencies");
            if let (true, Some((_, name))) = (plain, section.split_once("dependencies.")) {
                names.push(name.to_owned());
            }
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            names
                .extend(line.split(['.', '=', ' ']).next().map(|n| n.trim_matches('"').to_owned()));
        }
    }
    names
}

fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("the package lies in the project").to_owned()
}

fn collect(folder: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !matches!(name, "target" | "node_modules" | "web") {
            collect(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in ["server", "client-sdk", "tests"] {
        collect(&root().join(folder), &mut paths);
    }
    paths.sort();
    assert!(paths.len() > 10, "the project's sources were not found");
    let read = |path: &PathBuf| {
        let inside = path.strip_prefix(root()).expect("below the root").to_string_lossy();
        Source::new(&inside.replace('\\', "/"), &fs::read_to_string(path).expect("UTF-8"))
    };
    paths.iter().map(read).collect()
}

fn hold(rule: fn(&Source) -> Vec<String>) {
    let offences: Vec<String> = sources().iter().flat_map(rule).collect();
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
}

#[test]
fn arrows_point_one_way() {
    hold(arrows);
}

#[test]
fn sql_and_engines_stay_in_the_store() {
    hold(sql);
    for entry in fs::read_dir(root().join("server/migrations")).into_iter().flatten().flatten() {
        assert!(entry.path().is_file(), "one migrations folder for both engines");
    }
}

#[test]
fn only_main_ends_the_process() {
    hold(endings);
}

#[test]
fn everything_is_short_and_says_what_it_is() {
    hold(shape);
}

#[test]
fn nothing_is_silenced_or_unfinished() {
    hold(excuses);
}

#[test]
fn core_depends_on_nothing_that_acts() {
    hold(ways_out);
    let manifest = |path| fs::read_to_string(root().join(path)).expect("a manifest");
    let core = dependencies(&manifest("server/core/Cargo.toml"));
    assert!(!core.is_empty(), "the manifest was not understood");
    for name in &core {
        assert!(CORE_DEPENDENCIES.contains(&name.as_str()), "core must not depend on {name}");
    }
    for package in ["server/dicom/Cargo.toml", "server/link/Cargo.toml", "client-sdk/Cargo.toml"] {
        let names = dependencies(&manifest(package));
        assert!(!names.iter().any(|name| name == "medrelay"), "{package} depends on the server");
        let sdk = package.starts_with("server") && names.iter().any(|n| n == "medrelay-client");
        assert!(!sdk, "{package} depends on the client");
    }
    let ours = |name: &String| name.starts_with("medrelay") && name != "medrelay-core";
    assert!(!dependencies(&manifest("server/link/Cargo.toml")).iter().any(ours));
}

/// Each rule, shown something that breaks it and something that only looks so.
#[test]
fn every_rule_can_fail() {
    type Rule = fn(&Source) -> Vec<String>;
    let long = format!("//! x\nfn f() {{\n{}}}\n", "g();\n".repeat(70));
    let short = format!("//! x\nfn f() {{\n{}}}\n", "g();\n".repeat(68));
    let file = format!("//! x\n{}", "//\n".repeat(600));
    let bad: &[(Rule, &str, &str)] = &[
        (arrows, "server/src/edge/api/x.rs", "use crate::store::cases;"),
        (arrows, "server/src/edge/api/x.rs", "use crate::{config, blobs::{self as b, X}};"),
        (arrows, "server/src/edge/api.rs", "fn f() { crate::store::open() }"),
        (arrows, "server/src/edge/dimse/mod.rs", "use super::super::store::Pool;"),
        (arrows, "server/src/service/sign.rs", "use crate::\n    edge::api;"),
        (arrows, "server/src/store/mod.rs", "use crate::service::sign;"),
        (arrows, "server/src/worker.rs", "use crate::edge::dimse;"),
        (arrows, "server/src/clock.rs", "use crate::edge::api;"),
        (sql, "server/src/service/sign.rs", r#"const Q: &str = "SELECT 1";"#),
        (sql, "server/src/app.rs", "const Q: &str = r#\"\n  UPDATE cases SET x = 1\"#;"),
        (arrows, "client-sdk/src/link/mod.rs", "use crate::spool::Spool;"),
        (arrows, "client-sdk/src/spool/mod.rs", "use crate::gateway::Config;"),
        (sql, "server/src/service/sign.rs", "use sqlx::Row;"),
        (sql, "client-sdk/src/gateway/run.rs", "use sqlx::Row;"),
        (sql, "server/src/store/cases.rs", r#"f("sqlite");"#),
        (sql, "server/src/service/sign.rs", "enum E { Postgres }"),
        (endings, "server/src/app.rs", "fn f() { std::process::exit(1) }"),
        (endings, "server/src/main.rs", &file),
        (shape, "server/src/app.rs", "fn f() {}"),
        (shape, "server/src/app.rs", &long),
        (shape, "server/src/app.rs", &file),
        (excuses, "tests/src/lib.rs", "#[allow(dead_code)]"),
        (excuses, "tests/src/lib.rs", "#![cfg_attr(test, allow(x))]"),
        (excuses, "server/src/app.rs", "fn f() { todo!() }"),
        (ways_out, "server/core/src/x.rs", "use std::fs::File;"),
        (ways_out, "server/core/src/x.rs", "use std::time::Instant;"),
        (ways_out, "server/core/src/x.rs", "fn f() { SystemTime::now(); }"),
    ];
    for (rule, path, text) in bad {
        assert!(!rule(&Source::new(path, text)).is_empty(), "{path}: {text} went unseen");
    }
    let good: &[(Rule, &str, &str)] = &[
        (arrows, "server/src/edge/api/x.rs", "use crate::service; // crate::store::x"),
        (arrows, "server/src/edge/api/x.rs", r#"f("crate::store::x"); use crate::edge::Problem;"#),
        (arrows, "server/src/edge/api/x.rs", "use super::y; pub(crate) fn f<'a>(x: &'a str) {}"),
        (arrows, "server/src/edge/mod.rs", "use crate::edge::api;"),
        (arrows, "server/src/app.rs", "use crate::{edge, service, store, worker};"),
        (sql, "server/src/store/cases.rs", r#"const Q: &str = "SELECT 1";"#),
        (sql, "server/src/store/mod.rs", r#"f("sqlite:x"); /* SELECT */"#),
        (sql, "server/src/service/sign.rs", r#"f("Select a case"); // sqlite, SELECT"#),
        (endings, "server/src/main.rs", "fn main() { std::process::exit(1) }"),
        (shape, "server/src/app.rs", &short),
        (excuses, "server/src/app.rs", "//! x\nfn f() { x.allow(1); f(\"todo!()\") }"),
        (arrows, "client-sdk/src/gateway/run.rs", "use crate::{link::Link, spool::Spool};"),
        (sql, "client-sdk/src/spool/offers.rs", r#"const Q: &str = "SELECT 1";"#),
        (ways_out, "server/core/src/x.rs", "use std::fmt; // std::fs"),
        (ways_out, "server/core/src/x.rs", "use std::time::Duration;"),
    ];
    for (rule, path, text) in good {
        assert_eq!(rule(&Source::new(path, text)), Vec::<String>::new(), "{text}");
    }
    let manifest = "[dependencies]\na.workspace = true\n# no\n[dev-dependencies]\nb = \"1\"\n\
        [dependencies.c]\n[target.'cfg(unix)'.dependencies]\nd = \"1\"\n[workspace.dependencies]\ne = 1";
    assert_eq!(dependencies(manifest), ["a", "c", "d"]);
}
