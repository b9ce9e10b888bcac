//! Files into the spool: folders, a CD, ZIP archives inside each other, single files.
//!
//! What is not DICOM is counted and skipped. A DICOMDIR is not believed and not needed: the headers
//! of the files decide what they are.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use medrelay_core::transfer::Urgency;
use medrelay_dicom::part10;

use crate::spool::{Spool, SpoolError, Taken};

/// ZIP archives inside each other.
const ZIP_DEPTH: u32 = 3;
/// Entries of one ZIP archive.
const ZIP_ENTRIES: usize = 100_000;
/// Longest file inside an archive, in bytes.
const ZIP_ENTRY_BYTES: u64 = 8 << 30;
/// Bytes out of an archive for one byte of it.
const ZIP_RATIO: u64 = 200;
/// Files taken at the same time.
const AT_ONCE: usize = 6;
/// The name of a CD's index, which is DICOM and no image.
const INDEX: &str = "DICOMDIR";

/// What an import found.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Found {
    /// Studies that objects were taken for.
    pub studies: BTreeSet<u64>,
    /// New objects.
    pub fresh: u64,
    /// Objects that were here already.
    pub same: u64,
    /// Objects that a person must look at.
    pub flagged: u64,
    /// Files that are not DICOM.
    pub foreign: u64,
    /// DICOM files that cannot be read, and why.
    pub unreadable: Vec<Unreadable>,
}

/// A file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Unreadable {
    /// The file's place among those looked at, from 1: names may hold patients.
    pub number: u64,
    /// Why.
    pub reason: String,
}

impl Found {
    fn count(&mut self, kind: Kind) {
        match kind {
            Kind::Foreign => self.foreign += 1,
            Kind::Unreadable(reason) => {
                let number = self.looked_at() + 1;
                self.unreadable.push(Unreadable { number, reason });
            }
            Kind::Taken(taken) => {
                self.studies.insert(taken.study());
                match taken {
                    Taken::Fresh { .. } => self.fresh += 1,
                    Taken::Same { .. } => self.same += 1,
                    Taken::Flagged { .. } => self.flagged += 1,
                }
            }
        }
    }

    fn looked_at(&self) -> u64 {
        self.fresh + self.same + self.flagged + self.foreign + self.unreadable.len() as u64
    }
}

/// Takes everything below `paths` into the spool; `progress` hears of every file.
///
/// # Errors
/// `Full` when the spool has no more room, and errors of its disk; a file that cannot be read is
/// no error.
pub async fn import(
    spool: &Spool,
    paths: &[PathBuf],
    urgency: Urgency,
    mut progress: impl FnMut(&Found),
) -> Result<Found, SpoolError> {
    let mut found = Found::default();
    let mut taking = FuturesUnordered::new();
    let mut waiting: Vec<(PathBuf, u32, Option<tempfile::TempDir>)> =
        paths.iter().rev().map(|path| (path.clone(), 0, None)).collect();
    while let Some((path, depth, unpacked)) = waiting.pop() {
        if path.is_dir() {
            let mut below = children(&path)?;
            below.reverse();
            // The folder of an archive lives until everything in it was looked at.
            if unpacked.is_some() {
                waiting.push((PathBuf::new(), depth, unpacked));
            }
            waiting.extend(below.into_iter().map(|child| (child, depth, None)));
        } else if path.as_os_str().is_empty() {
            while let Some(one) = taking.next().await {
                found.count(one?);
            }
            drop(unpacked);
        } else if depth < ZIP_DEPTH && is_zip(&path)? {
            let folder = unzip(&path).await;
            match folder {
                Ok(folder) => waiting.push((folder.path().to_owned(), depth + 1, Some(folder))),
                Err(reason) => {
                    let number = found.looked_at() + 1;
                    found.unreadable.push(Unreadable { number, reason });
                }
            }
        } else {
            // While one waits for the disk, the others are read.
            taking.push(async move { take_one(spool, &path, urgency).await });
            if taking.len() >= AT_ONCE
                && let Some(one) = taking.next().await
            {
                found.count(one?);
            }
        }
        progress(&found);
    }
    while let Some(one) = taking.next().await {
        found.count(one?);
        progress(&found);
    }
    Ok(found)
}

/// Takes one file and counts it.
pub(super) async fn take(
    spool: &Spool,
    path: &Path,
    urgency: Urgency,
    found: &mut Found,
) -> Result<(), SpoolError> {
    found.count(take_one(spool, path, urgency).await?);
    Ok(())
}

/// What a file was.
enum Kind {
    Taken(Taken),
    Foreign,
    Unreadable(String),
}

async fn take_one(spool: &Spool, path: &Path, urgency: Urgency) -> Result<Kind, SpoolError> {
    if path.file_name().is_some_and(|name| name.eq_ignore_ascii_case(INDEX)) || !is_dicom(path)? {
        return Ok(Kind::Foreign);
    }
    match spool.take_file(path, urgency).await {
        Ok(taken) => Ok(Kind::Taken(taken)),
        Err(SpoolError::Unreadable(reason)) => Ok(Kind::Unreadable(reason)),
        Err(error) => Err(error),
    }
}

fn children(folder: &Path) -> Result<Vec<PathBuf>, SpoolError> {
    let mut below = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // A link may lead in circles, or out of the folder that somebody chose.
        if !entry.file_type()?.is_symlink() {
            below.push(entry.path());
        }
    }
    below.sort();
    Ok(below)
}

/// Whether the file may be DICOM: it has a front, or begins as a bare data set does.
fn is_dicom(path: &Path) -> Result<bool, SpoolError> {
    let mut prefix = Vec::new();
    File::open(path)?.take(part10::MAX_FRONT as u64).read_to_end(&mut prefix)?;
    Ok(part10::read(&prefix).is_ok_and(|(meta, _)| meta.transfer_syntax.is_some()))
}

fn is_zip(path: &Path) -> Result<bool, SpoolError> {
    let mut magic = [0; 4];
    let mut file = File::open(path)?;
    Ok(matches!(file.read(&mut magic)?, 4) && magic == *b"PK\x03\x04")
}

/// Unpacks an archive into a folder of its own. Names inside are not used: an archive that says
/// `../../` writes nowhere else.
async fn unzip(path: &Path) -> Result<tempfile::TempDir, String> {
    let path = path.to_owned();
    let unpack = move || -> Result<tempfile::TempDir, String> {
        let text = |error: &dyn std::fmt::Display| format!("the ZIP archive: {error}");
        let file = File::open(&path).map_err(|error| text(&error))?;
        let packed = file.metadata().map_err(|error| text(&error))?.len();
        let mut archive = zip::ZipArchive::new(file).map_err(|error| text(&error))?;
        if archive.len() > ZIP_ENTRIES {
            return Err("the ZIP archive has too many entries".to_owned());
        }
        let folder = tempfile::tempdir().map_err(|error| text(&error))?;
        let mut left = packed.saturating_mul(ZIP_RATIO).min(ZIP_ENTRY_BYTES * 8);
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).map_err(|error| text(&error))?;
            if !entry.is_file() {
                continue;
            }
            let is_index =
                entry.name().is_ok_and(|name| name.to_ascii_uppercase().ends_with(INDEX));
            let name = if is_index { INDEX.to_owned() } else { format!("{index:06}") };
            let mut out = File::create(folder.path().join(name)).map_err(|error| text(&error))?;
            let limit = left.min(ZIP_ENTRY_BYTES);
            let written = std::io::copy(&mut (&mut entry).take(limit + 1), &mut out)
                .map_err(|error| text(&error))?;
            if written > limit {
                return Err("the ZIP archive unpacks to more than it may".to_owned());
            }
            out.flush().map_err(|error| text(&error))?;
            left -= written;
        }
        Ok(folder)
    };
    tokio::task::spawn_blocking(unpack)
        .await
        .unwrap_or_else(|_| Err("the ZIP archive could not be read".to_owned()))
}
