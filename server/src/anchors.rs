//! Anchors of the audit trail: where its end stood, written once a minute to a file beside the
//! database.
//!
//! Whoever can only write to the database cannot go back to an older copy of it unseen, because
//! the file still names later events. The lines are keyed (HMAC), so a line cannot be invented
//! either. Copies of the file on another machine guard against somebody who can write both.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use medrelay_core::event::Head;
use medrelay_core::time::Timestamp;

/// Longest line: its four numbers and words have fixed bounds.
const LINE_LIMIT: u64 = 256;
/// First word of a line: the version of its layout.
const VERSION: &str = "v1";

/// The file of anchors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchors(PathBuf);

/// Where the trail's end stood at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// When it was written.
    pub at: Timestamp,
    /// The last event and its seal.
    pub head: Head,
    /// The keyed hash (hex) of [`Anchor::canonical_bytes`].
    pub mac: String,
}

impl Anchor {
    /// The bytes that the keyed hash of an anchor covers.
    pub fn canonical_bytes(at: Timestamp, head: &Head) -> Vec<u8> {
        format!("medrelay-anchor/1 {} {} {}", at.micros(), head.seq, head.seal).into_bytes()
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (version, at, seq) = (words.next()?, words.next()?, words.next()?);
        let (seal, mac) = (words.next()?, words.next()?);
        if version != VERSION || words.next().is_some() {
            return None;
        }
        let head = Head { seq: seq.parse().ok()?, seal: seal.to_owned() };
        Some(Self { at: Timestamp::from_micros(at.parse().ok()?), head, mac: mac.to_owned() })
    }
}

/// What the file holds: whole lines in order; `None` for one that is not an anchor.
pub type Lines = Vec<Option<Anchor>>;

impl Anchors {
    /// The anchors in the directory `dir`: `anchors.log`.
    pub fn in_dir(dir: &Path) -> Self {
        Self(dir.join("anchors.log"))
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Every whole line. A last line without its end was cut off by a crash while it was written
    /// and does not count; no file is an empty one.
    pub fn read(&self) -> io::Result<Lines> {
        let text = match fs::read(&self.0) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        Ok(whole.split('\n').filter(|line| !line.is_empty()).map(Anchor::parse).collect())
    }

    /// Appends an anchor durably, unless the last one already names the same event.
    pub fn append(&self, anchor: &Anchor) -> io::Result<()> {
        let dir = self.0.parent().unwrap_or(Path::new("."));
        let fresh = !self.0.exists();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.0)?;
        let (end, last) = last_line(&mut file)?;
        if last.is_some_and(|last| last.head == anchor.head) {
            return Ok(());
        }
        // What a crash left of a line goes; the new one begins where the last whole one ends.
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        let Anchor { at, head, mac } = anchor;
        let line = format!("{VERSION} {} {} {} {mac}\n", at.micros(), head.seq, head.seal);
        file.write_all(line.as_bytes())?;
        file.sync_all()?;
        if fresh {
            File::open(dir)?.sync_all()?;
        }
        Ok(())
    }
}

/// Where the last whole line ends, and what it says.
fn last_line(file: &mut File) -> io::Result<(u64, Option<Anchor>)> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(2 * LINE_LIMIT);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.take(2 * LINE_LIMIT).read_to_end(&mut tail)?;
    let Some(end) = tail.iter().rposition(|byte| *byte == b'\n') else {
        return Ok((if start == 0 { 0 } else { length }, None));
    };
    let text = String::from_utf8_lossy(&tail[..end]);
    let last = text.rsplit('\n').next().and_then(Anchor::parse);
    Ok((start + end as u64 + 1, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchor(seq: i64) -> Anchor {
        let head = Head { seq, seal: format!("{seq:064x}") };
        Anchor { at: Timestamp::from_micros(seq * 60), head, mac: "ab".repeat(32) }
    }

    #[test]
    fn lines_come_back_as_they_were_written_and_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let anchors = Anchors::in_dir(&dir.path().join("audit"));
        assert!(anchors.read().expect("no file").is_empty());
        for seq in [1, 5, 5, 9] {
            anchors.append(&anchor(seq)).expect("written");
        }
        let expected: Lines = [1, 5, 9].map(|seq| Some(anchor(seq))).to_vec();
        assert_eq!(anchors.read().expect("read"), expected);
    }

    #[test]
    fn a_line_that_a_crash_cut_off_is_written_over() {
        let dir = tempfile::tempdir().expect("a directory");
        let anchors = Anchors::in_dir(&dir.path().join("audit"));
        anchors.append(&anchor(1)).expect("written");
        let mut file = OpenOptions::new().append(true).open(anchors.path()).expect("ours");
        file.write_all(b"v1 120 2 00").expect("written");
        assert_eq!(anchors.read().expect("read").len(), 1);
        anchors.append(&anchor(3)).expect("written");
        let lines = anchors.read().expect("read");
        assert_eq!(lines, [Some(anchor(1)), Some(anchor(3))]);
    }

    #[test]
    fn a_whole_line_that_is_no_anchor_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let anchors = Anchors::in_dir(&dir.path().join("audit"));
        anchors.append(&anchor(1)).expect("written");
        let mut file = OpenOptions::new().append(true).open(anchors.path()).expect("ours");
        file.write_all(b"v1 120 two 00 00\n").expect("written");
        assert_eq!(anchors.read().expect("read"), [Some(anchor(1)), None]);
    }
}
