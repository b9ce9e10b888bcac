//! What belongs to a study, announced and signed before the first byte of it (PROTOCOL 5).

use std::collections::{BTreeMap, HashSet};

use sha2::{Digest, Sha256};

use super::wire::field::{Reader, Writer};
use super::{Hash, Urgency, Violation, limits};
use crate::id::{Uid, is_uuid};
use crate::time::Timestamp;

/// One object of a study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// SOP Instance UID (0008,0018).
    pub sop_instance: Uid,
    /// SOP Class UID (0008,0016).
    pub sop_class: Uid,
    /// Transfer Syntax UID (0002,0010) of the original.
    pub transfer_syntax: Uid,
    /// Length of the original data set, without preamble and file meta group.
    pub bytes: u64,
    /// SHA-256 of the same bytes.
    pub sha256: Hash,
}

/// What belongs to a study now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its own identifier, a UUID.
    pub id: String,
    /// Whose study.
    pub clinic: String,
    /// Who offers it.
    pub gateway: String,
    /// Study Instance UID (0020,000D).
    pub study: Uid,
    /// How urgent it was when it was made.
    pub urgency: Urgency,
    /// When it was made.
    pub made: Timestamp,
    /// Its objects in the order of the images: 1 to [`limits::ENTRIES`], no UID twice.
    pub entries: Vec<Entry>,
}

impl Manifest {
    /// The bytes that are signed.
    pub fn encode(&self) -> Vec<u8> {
        let classes = Table::of(self.entries.iter().map(|entry| &entry.sop_class));
        let syntaxes = Table::of(self.entries.iter().map(|entry| &entry.transfer_syntax));
        let mut bytes = Writer::with_capacity(512 + self.entries.len() * 64);
        bytes.raw(MAGIC).text(&self.id).text(&self.clinic).text(&self.gateway);
        bytes.text(self.study.as_str()).u8(self.urgency.code()).time(self.made);
        classes.write(&mut bytes);
        syntaxes.write(&mut bytes);
        bytes.count(self.entries.len());
        let mut before = "";
        for entry in &self.entries {
            let uid = entry.sop_instance.as_str();
            let shared = common_start(before, uid);
            bytes.u8(shared).text(&uid[usize::from(shared)..]);
            bytes.u16(classes.index(&entry.sop_class)).u16(syntaxes.index(&entry.transfer_syntax));
            bytes.u64(entry.bytes).raw(&entry.sha256);
            before = uid;
        }
        bytes.into_bytes()
    }

    /// Reads a manifest: limits, duplicates and references into the tables are checked; its
    /// signature is another matter.
    pub fn decode(bytes: &[u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(bytes);
        if reader.u32()?.to_be_bytes() != *MAGIC {
            return Err(Violation("not a manifest of this version"));
        }
        let id = reader.string()?;
        if !is_uuid(&id) {
            return Err(Violation("the manifest's identifier is not a UUID"));
        }
        let (clinic, gateway) = (reader.string()?, reader.string()?);
        let study = read_uid(&mut reader)?;
        let urgency = Urgency::from_code(reader.u8()?).ok_or(Violation("no priority"))?;
        let made = reader.time()?;
        let classes = reader.list(3, TABLE, read_uid)?;
        let syntaxes = reader.list(3, TABLE, read_uid)?;
        let mut before = String::new();
        let most = usize::try_from(limits::ENTRIES).unwrap_or(usize::MAX);
        let entries = reader.list(47, most, |item| {
            let entry = read_entry(item, &before, &classes, &syntaxes)?;
            before.clear();
            before.push_str(entry.sop_instance.as_str());
            Ok(entry)
        })?;
        reader.end()?;
        let manifest = Self { id, clinic, gateway, study, urgency, made, entries };
        manifest.check()?;
        Ok(manifest)
    }

    /// Original bytes of all entries.
    pub fn bytes(&self) -> u64 {
        self.entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.bytes))
    }

    fn check(&self) -> Result<(), Violation> {
        if self.entries.is_empty() {
            return Err(Violation("a manifest without entries"));
        }
        let mut seen = HashSet::with_capacity(self.entries.len());
        if !self.entries.iter().all(|entry| seen.insert(entry.sop_instance.as_str())) {
            return Err(Violation("a SOP Instance UID occurs twice"));
        }
        let sum = self.entries.iter().try_fold(0u64, |sum, entry| sum.checked_add(entry.bytes));
        if sum.is_none() {
            return Err(Violation("more bytes than can be counted"));
        }
        Ok(())
    }
}

/// SHA-256 of a byte string.
pub fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// A UID, written without padding.
pub(super) fn read_uid(reader: &mut Reader<'_>) -> Result<Uid, Violation> {
    exact_uid(reader.text()?)
}

fn read_entry(
    reader: &mut Reader<'_>,
    before: &str,
    classes: &[Uid],
    syntaxes: &[Uid],
) -> Result<Entry, Violation> {
    let shared = usize::from(reader.u8()?);
    let start = before.get(..shared).ok_or(Violation("more is shared than there was"))?;
    let rest = reader.text()?;
    if start.len() + rest.len() > UID_LENGTH {
        return Err(NO_UID);
    }
    let class = classes.get(usize::from(reader.u16()?)).ok_or(NO_ROW)?;
    let syntax = syntaxes.get(usize::from(reader.u16()?)).ok_or(NO_ROW)?;
    Ok(Entry {
        sop_instance: exact_uid(&[start, rest].concat())?,
        sop_class: class.clone(),
        transfer_syntax: syntax.clone(),
        bytes: reader.u64()?,
        sha256: reader.hash()?,
    })
}

fn exact_uid(text: &str) -> Result<Uid, Violation> {
    match Uid::parse(text) {
        Ok(uid) if uid.as_str() == text => Ok(uid),
        _ => Err(NO_UID),
    }
}

fn common_start(a: &str, b: &str) -> u8 {
    let shared = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    u8::try_from(shared).unwrap_or(u8::MAX)
}

/// The different UIDs of a column, in the order of their first use.
struct Table<'a> {
    rows: Vec<&'a Uid>,
    index: BTreeMap<&'a Uid, u16>,
}

impl<'a> Table<'a> {
    fn of(column: impl Iterator<Item = &'a Uid>) -> Self {
        let mut table = Self { rows: Vec::new(), index: BTreeMap::new() };
        for uid in column {
            let next = u16::try_from(table.rows.len()).unwrap_or(u16::MAX);
            table.index.entry(uid).or_insert_with(|| {
                table.rows.push(uid);
                next
            });
        }
        table
    }

    fn index(&self, uid: &Uid) -> u16 {
        self.index.get(uid).copied().unwrap_or(u16::MAX)
    }

    fn write(&self, bytes: &mut Writer) {
        bytes.count(self.rows.len());
        for uid in &self.rows {
            bytes.text(uid.as_str());
        }
    }
}

const MAGIC: &[u8; 4] = b"MRM1";
/// Rows of a table at most.
const TABLE: usize = 1_000;
/// Characters of a UID at most (PS3.5 9.1).
const UID_LENGTH: usize = 64;
const NO_UID: Violation = Violation("a UID is not one");
const NO_ROW: Violation = Violation("a row that the table does not have");
