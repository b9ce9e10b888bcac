//! What the typesetting program can see: the template, `report.json`, two watermarks, and fonts.

use typst::diag::{FileError, FileResult};
use typst::foundations::{Bytes, Datetime, Duration};
use typst::syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot};
use typst::text::{Font, FontBook};
use typst::utils::LazyHash;
use typst::{Library, LibraryExt, World};

use super::fonts::Fonts;

/// A template and its name for error messages.
pub(super) struct Template {
    pub(super) name: String,
    pub(super) source: Source,
    data: FileId,
    watermarks: [(FileId, Bytes); 2],
    library: LazyHash<Library>,
}

impl Template {
    pub(super) fn new(name: &str, text: String) -> Self {
        Self {
            name: name.to_owned(),
            source: Source::new(file_id("report.typ"), text),
            data: file_id("report.json"),
            watermarks: [
                (file_id("preliminary.svg"), Bytes::new(include_bytes!("preliminary.svg"))),
                (file_id("retraction.svg"), Bytes::new(include_bytes!("retraction.svg"))),
            ],
            library: LazyHash::new(Library::default()),
        }
    }
}

/// An id in the root of the two files. Ids are interned by path, so this gives the same two every
/// time.
fn file_id(name: &str) -> FileId {
    let path = VirtualPath::new(name).unwrap_or_else(|_| unreachable!("a plain file name"));
    FileId::new(RootedPath::new(VirtualRoot::Project, path))
}

/// One report being typeset.
pub(super) struct ReportWorld<'a> {
    template: &'a Template,
    fonts: &'a Fonts,
    json: Bytes,
}

impl<'a> ReportWorld<'a> {
    pub(super) fn new(template: &'a Template, fonts: &'a Fonts, json: Vec<u8>) -> Self {
        Self { template, fonts, json: Bytes::new(json) }
    }
}

impl World for ReportWorld<'_> {
    fn library(&self) -> &LazyHash<Library> {
        &self.template.library
    }

    fn book(&self) -> &LazyHash<FontBook> {
        &self.fonts.book
    }

    fn main(&self) -> FileId {
        self.template.source.id()
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        if id == self.main() {
            Ok(self.template.source.clone())
        } else {
            Err(FileError::AccessDenied)
        }
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        if id == self.template.data {
            return Ok(self.json.clone());
        }
        let watermark = self.template.watermarks.iter().find(|(known, _)| *known == id);
        watermark.map(|(_, bytes)| bytes.clone()).ok_or(FileError::AccessDenied)
    }

    fn font(&self, index: usize) -> Option<Font> {
        self.fonts.fonts.get(index).cloned()
    }

    /// A report has no "today": its dates come with it.
    fn today(&self, _: Option<Duration>) -> Option<Datetime> {
        None
    }
}
