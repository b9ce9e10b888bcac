//! What the relay signs when a study is safe (PROTOCOL 5).

use super::wire::field::{Reader, Writer};
use super::wire::{read_outcomes, write_outcomes};
use super::{Hash, Outcome, Violation};
use crate::id::Uid;
use crate::time::Timestamp;

/// A receipt: every entry of the manifest was read back from the store and was equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The relay: its authority's fingerprint, hexadecimal.
    pub relay: String,
    /// Whose study.
    pub clinic: String,
    /// Who offered it.
    pub gateway: String,
    /// The manifest's identifier.
    pub manifest: String,
    /// SHA-256 of the manifest as signed.
    pub manifest_sha256: Hash,
    /// Study Instance UID.
    pub study: Uid,
    /// Entries of the manifest.
    pub instances: u32,
    /// Their original bytes.
    pub bytes: u64,
    /// Entries that were put aside, and why: never [`Outcome::Stored`].
    pub aside: Vec<(u32, Outcome)>,
    /// When the last was read back.
    pub committed: Timestamp,
}

impl Receipt {
    /// The bytes that are signed.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Writer::with_capacity(512);
        bytes.raw(MAGIC).text(&self.relay).text(&self.clinic).text(&self.gateway);
        bytes.text(&self.manifest).raw(&self.manifest_sha256).text(self.study.as_str());
        bytes.u32(self.instances).u64(self.bytes);
        write_outcomes(&self.aside, &mut bytes);
        bytes.time(self.committed);
        bytes.into_bytes()
    }

    /// Reads a receipt; its signature is another matter.
    pub fn decode(bytes: &[u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(bytes);
        if reader.u32()?.to_be_bytes() != *MAGIC {
            return Err(Violation("not a receipt of this version"));
        }
        let receipt = Self {
            relay: reader.string()?,
            clinic: reader.string()?,
            gateway: reader.string()?,
            manifest: reader.string()?,
            manifest_sha256: reader.hash()?,
            study: super::manifest::read_uid(&mut reader)?,
            instances: reader.u32()?,
            bytes: reader.u64()?,
            aside: read_outcomes(&mut reader)?,
            committed: reader.time()?,
        };
        reader.end()?;
        if receipt.aside.iter().any(|(_, outcome)| *outcome == Outcome::Stored) {
            return Err(Violation("stored is not put aside"));
        }
        Ok(receipt)
    }
}

const MAGIC: &[u8; 4] = b"MRR1";
