//! Packs that began to arrive and were cut off: one file each, so that the next stream goes on
//! where the last one broke.
//!
//! A file lies below its clinic and is named by the hash of the original and that of the pack, so
//! that no text of a sender becomes part of a name, and what a manifest announces is found again.
//! Everything here blocks: it is called off the async threads.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use medrelay_core::id::OrganizationId;
use medrelay_core::transfer::Hash;

/// The folder of unfinished packs.
#[derive(Debug)]
pub(super) struct Partials {
    root: PathBuf,
    /// Bytes that are kept for one clinic (PROTOCOL 9).
    share: u64,
}

/// An unfinished pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unfinished {
    /// SHA-256 of the original.
    pub(super) entry: Hash,
    /// SHA-256 of the whole pack.
    pub(super) pack: Hash,
    /// Bytes of it that are here.
    pub(super) bytes: u64,
    path: PathBuf,
    modified: SystemTime,
}

impl Partials {
    pub(super) fn new(root: PathBuf, share: u64) -> Self {
        Self { root, share }
    }

    /// Where a pack is kept.
    pub(super) fn path(&self, clinic: &OrganizationId, entry: &Hash, pack: &Hash) -> PathBuf {
        let name = format!("{}.{}", hex::encode(entry), hex::encode(pack));
        self.root.join(clinic.as_str()).join(name)
    }

    /// What is kept for a clinic.
    pub(super) fn of(&self, clinic: &OrganizationId) -> io::Result<Vec<Unfinished>> {
        list(&self.root.join(clinic.as_str()))
    }

    /// Opens a pack's file to go on at `offset`, cutting off what lies behind; `None` when less
    /// than that is there. The clinic's oldest packs give way if it has too many.
    pub(super) fn open(
        &self,
        clinic: &OrganizationId,
        path: &Path,
        offset: u64,
    ) -> io::Result<Option<File>> {
        let folder = self.root.join(clinic.as_str());
        fs::create_dir_all(&folder)?;
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        if file.metadata()?.len() < offset {
            return Ok(None);
        }
        file.set_len(offset)?;
        file.seek(SeekFrom::End(0))?;
        thin(list(&folder)?, self.share, Some(path))?;
        Ok(Some(file))
    }

    /// Removes packs last written before `before` and what exceeds a clinic's share, oldest first.
    pub(super) fn sweep(&self, before: SystemTime) -> io::Result<u64> {
        let mut removed = 0;
        let clinics = match fs::read_dir(&self.root) {
            Ok(clinics) => clinics,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        for clinic in clinics {
            let (old, kept): (Vec<_>, Vec<_>) =
                list(&clinic?.path())?.into_iter().partition(|pack| pack.modified < before);
            for pack in old {
                remove(&pack.path)?;
                removed += 1;
            }
            removed += thin(kept, self.share, None)?;
        }
        Ok(removed)
    }
}

/// Removes a pack's file; one that is not there is success.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes the oldest packs until the rest is not more than `limit` bytes; `keep` stays.
fn thin(mut packs: Vec<Unfinished>, limit: u64, keep: Option<&Path>) -> io::Result<u64> {
    let mut bytes: u64 = packs.iter().map(|pack| pack.bytes).sum();
    packs.sort_by_key(|pack| pack.modified);
    let mut removed = 0;
    for pack in packs {
        if bytes <= limit {
            break;
        }
        if keep != Some(pack.path.as_path()) {
            remove(&pack.path)?;
            bytes -= pack.bytes;
            removed += 1;
        }
    }
    Ok(removed)
}

fn list(folder: &Path) -> io::Result<Vec<Unfinished>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut packs = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some((original, pack)) = name.to_str().and_then(|name| name.split_once('.')) else {
            continue;
        };
        let (Some(original), Some(pack)) = (hash(original), hash(pack)) else { continue };
        // It may be finished and removed while we look.
        let Ok(about) = entry.metadata() else { continue };
        packs.push(Unfinished {
            entry: original,
            pack,
            bytes: about.len(),
            path: entry.path(),
            modified: about.modified()?,
        });
    }
    Ok(packs)
}

fn hash(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).ok()?;
    Some(hash)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn clinic() -> OrganizationId {
        OrganizationId::parse("00000000-0000-7000-8000-000000000001").expect("a UUID")
    }

    fn kept(partials: &Partials, n: u8, bytes: usize, age: u64) -> PathBuf {
        let path = partials.path(&clinic(), &[n; 32], &[n; 32]);
        let mut file = partials.open(&clinic(), &path, 0).expect("a file").expect("from 0");
        file.write_all(&vec![n; bytes]).expect("written");
        let moment = UNIX_EPOCH + Duration::from_secs(1_000_000 - age);
        file.set_modified(moment).expect("dated");
        path
    }

    #[test]
    fn a_pack_goes_on_where_it_broke_and_not_beyond_what_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let partials = Partials::new(folder.path().join("partial"), 1 << 20);
        assert_eq!(partials.of(&clinic()).expect("nothing yet"), []);
        let path = kept(&partials, 7, 100, 0);
        let known = partials.of(&clinic()).expect("listed");
        assert_eq!((known[0].entry, known[0].pack, known[0].bytes), ([7; 32], [7; 32], 100));
        assert!(partials.open(&clinic(), &path, 101).expect("looked at").is_none());
        let mut file = partials.open(&clinic(), &path, 60).expect("opened").expect("enough there");
        file.write_all(b"on").expect("written");
        assert_eq!(fs::read(&path).expect("read").len(), 62);
    }

    #[test]
    fn the_old_and_the_oldest_of_too_many_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let partials = Partials::new(folder.path().join("partial"), 1 << 20);
        assert_eq!(partials.sweep(SystemTime::UNIX_EPOCH).expect("no folder yet"), 0);
        let old = kept(&partials, 1, 10, 500);
        let new = kept(&partials, 2, 10, 100);
        let before = UNIX_EPOCH + Duration::from_secs(1_000_000 - 200);
        assert_eq!(partials.sweep(before).expect("swept"), 1);
        assert!(!old.exists() && new.exists());
        let newest = kept(&partials, 3, 10, 50);
        let packs = partials.of(&clinic()).expect("listed");
        assert_eq!(thin(packs, 15, Some(&new)).expect("thinned"), 1);
        assert!(new.exists() && !newest.exists(), "the one in use stays");
    }
}
