//! Puts the built browser side (`web/dist`, made by `make web`) into the program, each file as Brotli and as gzip.
//!
//! A release without its pages would be a product that nobody can use, so that does not build. In a debug build without
//! them the server says on its front page how to make them.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Media types by extension: what a browser needs to be told under `nosniff`.
const KINDS: &[(&str, &str)] = &[
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("json", "application/json"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("wasm", "application/wasm"),
    ("woff2", "font/woff2"),
    ("md", "text/markdown; charset=utf-8"),
    ("txt", "text/plain; charset=utf-8"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let dist = here.join("web/dist");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=migrations");
    println!("cargo::rerun-if-changed={}", dist.display());
    let mut files = Vec::new();
    if dist.join("index.html.br").is_file() {
        gather(&dist, &mut files)?;
        files.sort();
    } else if env::var("PROFILE")? == "release" {
        return Err("the pages are not built yet: run `make web` first".into());
    }
    let mut text = String::from("&[\n");
    for file in files {
        let path = file.strip_prefix(&dist)?.to_str().ok_or("a file name is not UTF-8")?;
        let extension = file.extension().and_then(|it| it.to_str()).unwrap_or_default();
        let kind = KINDS.iter().find(|(known, _)| *known == extension);
        let (_, kind) = kind.ok_or_else(|| format!("{path}: add its media type to build.rs"))?;
        let packed = |suffix: &str| format!("{}.{suffix}", file.display());
        writeln!(
            text,
            "    Asset {{ path: {:?}, kind: {kind:?}, brotli: include_bytes!({:?}), gzip: include_bytes!({:?}) }},",
            format!("/{path}"),
            packed("br"),
            packed("gz"),
        )?;
    }
    text.push(']');
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("pages.rs"), text)?;
    Ok(())
}

/// The files below a folder, without their packed forms.
fn gather(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let packed = path.extension().is_some_and(|it| it == "br" || it == "gz");
        if path.is_dir() {
            gather(&path, files)?;
        } else if !packed {
            files.push(path);
        }
    }
    Ok(())
}
