//! The fonts of a report: Noto Sans CJK from the system, and whatever an operator puts beside it.

use std::path::{Path, PathBuf};

use typst::foundations::Bytes;
use typst::text::{Font, FontBook};
use typst::utils::LazyHash;

use super::TypesetError;

/// Where Linux distributions put fonts.
const SYSTEM_DIRS: [&str; 2] = ["/usr/share/fonts", "/usr/local/share/fonts"];

/// Files of the system that are worth their memory: the two weights of the report and, where
/// installed, the rare characters.
const SYSTEM_FILES: [&str; 4] =
    ["NotoSansCJK-Regular.", "NotoSansCJK-Bold.", "NotoSansSC-", "HanaMin"];

/// One of these must be there.
const CHINESE: [&str; 2] = ["Noto Sans CJK SC", "Noto Sans SC"];

/// How deep directories are searched: a link to itself must not hang the start.
const MAX_DEPTH: usize = 6;

/// The fonts in memory.
pub(super) struct Fonts {
    pub(super) book: LazyHash<FontBook>,
    pub(super) fonts: Vec<Font>,
}

impl Fonts {
    /// Loads every font in `dirs` and those of the system that reports need.
    pub(super) fn load(dirs: &[PathBuf]) -> Result<Self, TypesetError> {
        let system = SYSTEM_DIRS.map(PathBuf::from);
        let mut files = Vec::new();
        dirs.iter().for_each(|dir| collect(dir, 0, &|_| true, &mut files));
        let wanted = |name: &str| SYSTEM_FILES.iter().any(|start| name.starts_with(start));
        system.iter().for_each(|dir| collect(dir, 0, &wanted, &mut files));

        let mut fonts = Vec::new();
        for file in files {
            // A font that cannot be read is as good as one that is not there; the check below
            // speaks up if it matters.
            let Ok(bytes) = std::fs::read(&file) else { continue };
            fonts.extend(Font::iter(Bytes::new(bytes)).filter(is_useful));
        }
        let book = FontBook::from_fonts(&fonts);
        let chinese = |family: &str| book.select_family(&family.to_lowercase()).next().is_some();
        if !CHINESE.iter().any(|family| chinese(family)) {
            let searched = dirs.iter().chain(&system).map(|dir| dir.display().to_string());
            return Err(TypesetError::NoFont { searched: searched.collect::<Vec<_>>().join(", ") });
        }
        Ok(Self { book: LazyHash::new(book), fonts })
    }

    /// The characters of `text` that no font has, each once.
    pub(super) fn missing(&self, text: &str) -> Vec<char> {
        let mut missing: Vec<char> = text.chars().filter(|c| !self.has(*c)).collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// `text` with every character that no font has spelled out: an empty box in a name would hide
    /// that something is there.
    pub(super) fn printable(&self, text: &str) -> String {
        let mut printable = String::with_capacity(text.len());
        for c in text.chars() {
            if self.has(c) {
                printable.push(c);
            } else {
                printable.push_str(&format!("〔U+{:04X}〕", u32::from(c)));
            }
        }
        printable
    }

    fn has(&self, c: char) -> bool {
        c.is_whitespace() || self.fonts.iter().any(|font| font.info().coverage.contains(c.into()))
    }
}

/// A collection holds the same characters in five national forms; the simplified Chinese one is
/// enough.
fn is_useful(font: &Font) -> bool {
    let family = font.info().family.as_str();
    !family.starts_with("Noto Sans CJK") && !family.starts_with("Noto Sans Mono CJK")
        || CHINESE.contains(&family)
}

/// Font files below `dir` whose names `wanted` takes, sorted so that every start finds the same
/// order.
fn collect(dir: &Path, depth: usize, wanted: &dyn Fn(&str) -> bool, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if depth < MAX_DEPTH {
                collect(&path, depth + 1, wanted, files);
            }
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        if ["ttf", "otf", "ttc", "otc"].iter().any(|known| ending == *known) && wanted(&name) {
            files.push(path);
        }
    }
}
