//! The signed report as a PDF: typst as a library, a template that a hospital can edit, Noto Sans
//! CJK from the system.
//!
//! The template sees itself, `report.json` and two watermarks, and no other file. There is no file
//! access, no network and no clock, so the same sheet gives the same bytes on every machine with
//! the same fonts. What people typed reaches the page as data, never as markup.

mod fonts;
mod sheet;
mod world;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use typst::diag::SourceDiagnostic;
use typst::foundations::{Datetime, Smart};
use typst::{World, WorldExt};
use typst_layout::PagedDocument;
use typst_pdf::{PdfOptions, Timestamp as PdfTimestamp};

use fonts::Fonts;
pub use sheet::{ReportSheet, VersionKind};
use world::{ReportWorld, Template};

/// The template inside the program.
pub const DEFAULT_TEMPLATE: &str = include_str!("report.typ");

/// Why a report cannot be typeset. All are for an operator to mend; trying again does not help.
#[derive(Debug, thiserror::Error)]
pub enum TypesetError {
    /// No font with Chinese characters is there.
    #[error(
        "no font \"Noto Sans CJK SC\" in {searched}; install it (Debian: apt-get install fonts-noto-cjk) or name its \
         directory in report.fonts"
    )]
    NoFont {
        /// The directories that were searched.
        searched: String,
    },
    /// The template cannot be read.
    #[error("cannot read the report template {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The template is wrong: one line per error, with its place.
    #[error("the report template is wrong:\n{0}")]
    Template(String),
}

/// Typesets reports. Made once: it holds the fonts in memory. Shared between threads.
pub struct Typesetter {
    fonts: Fonts,
    template: Template,
}

impl std::fmt::Debug for Typesetter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Typesetter").field("template", &self.template.name).finish_non_exhaustive()
    }
}

impl Typesetter {
    /// Reads the template (the one inside the program if `None`) and the fonts: those in
    /// `font_dirs`, then the system's.
    pub fn new(template: Option<&Path>, font_dirs: &[PathBuf]) -> Result<Self, TypesetError> {
        let template = match template {
            None => Template::new("report.typ", DEFAULT_TEMPLATE.to_owned()),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| TypesetError::Unreadable { path: path.to_owned(), source })?;
                Template::new(&path.display().to_string(), text)
            }
        };
        Ok(Self { fonts: Fonts::load(font_dirs)?, template })
    }

    /// Typesets one report. Takes some tens of milliseconds of one processor: call it from a
    /// blocking thread.
    pub fn render(&self, sheet: &ReportSheet) -> Result<Vec<u8>, TypesetError> {
        let printable = |text: &str| self.fonts.printable(text);
        let world = ReportWorld::new(&self.template, &self.fonts, sheet.to_json(printable));
        let result = typst::compile::<PagedDocument>(&world).output.and_then(|document| {
            let options = PdfOptions {
                ident: Smart::Custom(format!("{} {}", sheet.report_number, sheet.sha256)),
                creator: Smart::Custom(Some(String::from("medrelay"))),
                timestamp: pdf_time(sheet),
                ..PdfOptions::default()
            };
            typst_pdf::pdf(&document, &options)
        });
        // The memory of the compiler would keep the texts of past reports otherwise.
        typst::comemo::evict(0);
        result.map_err(|errors| {
            let lines = errors.iter().map(|error| self.describe(&world, error));
            TypesetError::Template(lines.collect::<Vec<_>>().join("\n"))
        })
    }

    /// Characters of a sheet that no font has. They are printed as 〔U+XXXX〕.
    pub fn unprintable(&self, sheet: &ReportSheet) -> Vec<char> {
        self.fonts.missing(&sheet.all_text())
    }

    /// `name:line:column: message (hint)`. Typst's messages quote the template, not the data.
    fn describe(&self, world: &ReportWorld<'_>, error: &SourceDiagnostic) -> String {
        let at_template = || {
            let spans =
                std::iter::once(error.span).chain(error.trace.iter().map(|t| t.span.into()));
            spans.into_iter().find(|span| span.id() == Some(world.main()))
        };
        let place = at_template().and_then(|span| {
            let range = world.range(span)?;
            let lines = self.template.source.lines();
            let (line, column) = lines.byte_to_line_column(range.start)?;
            Some(format!("{}:{}: ", line + 1, column + 1))
        });
        let hints: Vec<&str> = error.hints.iter().map(|hint| hint.v.as_str()).collect();
        let hint =
            if hints.is_empty() { String::new() } else { format!(" ({})", hints.join("; ")) };
        format!("{}:{}{}{hint}", self.template.name, place.unwrap_or_default(), error.message)
    }
}

/// The moment of signing as the PDF's creation date.
fn pdf_time(sheet: &ReportSheet) -> Option<PdfTimestamp> {
    use chrono::{Datelike, Timelike};
    let local = sheet.signed_local()?;
    let small = |value: u32| u8::try_from(value).ok();
    let moment = Datetime::from_ymd_hms(
        local.year(),
        small(local.month())?,
        small(local.day())?,
        small(local.hour())?,
        small(local.minute())?,
        small(local.second())?,
    )?;
    PdfTimestamp::new_local(moment, sheet.utc_offset_minutes)
}
