//! Foreign programs that look at reports: pdftotext, dciodvfy, dsrdump. A missing one is an error.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process::run;

/// The text of a PDF file, as another program extracts it.
pub fn text_of_pdf(pdf: &[u8], folder: &Path) -> Result<String> {
    let path = folder.join("report.pdf");
    std::fs::write(&path, pdf)?;
    run(Command::new("pdftotext").args(["-enc", "UTF-8"]).arg(&path).arg("-"))
        .context("the Debian package poppler-utils has pdftotext")
}

/// Has dicom3tools judge an object that it must recognise as `kind`; any error that it names is one.
pub fn must_conform(file: &Path, kind: &str) -> Result<()> {
    // It tells its findings on standard error.
    let output = Command::new("dciodvfy")
        .arg("-new")
        .arg(file)
        .output()
        .context("the Debian package dicom3tools has dciodvfy")?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("Error")).collect();
    ensure!(text.lines().any(|line| line == kind), "not recognised as {kind}:\n{text}");
    ensure!(errors.is_empty(), "{}: {errors:#?}", file.display());
    Ok(())
}

/// What DCMTK reads out of a structured report, in UTF-8.
pub fn text_of_sr(file: &Path) -> Result<String> {
    run(Command::new("dsrdump").args(["-q", "+Pc", "+U8", "+Pl"]).arg(file))
        .context("the Debian package dcmtk has dsrdump")
}

/// The PDF inside an Encapsulated PDF object: its bytes from the PDF header to its last line.
pub fn pdf_inside(data_set: &[u8]) -> Result<Vec<u8>> {
    let find = |what: &[u8]| data_set.windows(what.len()).position(|part| part == what);
    let start = find(b"%PDF-").context("no PDF header in the object")?;
    let last = data_set.windows(5).rposition(|part| part == b"%%EOF").context("no PDF end")?;
    Ok(data_set[start..last + 5].to_vec())
}
