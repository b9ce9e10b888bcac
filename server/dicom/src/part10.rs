//! The front of a DICOM file (PS3.10 7.1): preamble, `DICM` and File Meta Information.
//!
//! A data set streams to disk as it arrives, so the front is made as bytes to put before it. Reading
//! takes a prefix of a file and says where the data set starts; it looks at group 0002 only, never
//! allocates by a declared length, and forgives what real files do: no preamble, a wrong or absent
//! group length, no meta group at all.

use medrelay_core::id::{AeTitle, Uid};
use thiserror::Error;

use crate::uids::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME};

/// What the front of a file that we write says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMeta {
    /// Media Storage SOP Class UID (0002,0002).
    pub sop_class: Uid,
    /// Media Storage SOP Instance UID (0002,0003).
    pub sop_instance: Uid,
    /// Transfer Syntax UID (0002,0010).
    pub transfer_syntax: Uid,
    /// Source Application Entity Title (0002,0016): who sent it to us.
    pub source: Option<AeTitle>,
}

impl FileMeta {
    /// Preamble, prefix and meta group: everything that stands before the data set.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut group = Vec::with_capacity(320);
        put(&mut group, 0x0001, b"OB", &[0, 1]);
        put_uid(&mut group, 0x0002, self.sop_class.as_str());
        put_uid(&mut group, 0x0003, self.sop_instance.as_str());
        put_uid(&mut group, 0x0010, self.transfer_syntax.as_str());
        put_uid(&mut group, 0x0012, IMPLEMENTATION_CLASS_UID);
        put(&mut group, 0x0013, b"SH", &padded(IMPLEMENTATION_VERSION_NAME, b' '));
        if let Some(source) = &self.source {
            put(&mut group, 0x0016, b"AE", &padded(source.as_str(), b' '));
        }
        let length = u32::try_from(group.len()).unwrap_or(u32::MAX);
        let mut front = vec![0u8; PREAMBLE];
        front.extend_from_slice(PREFIX);
        put(&mut front, 0x0000, b"UL", &length.to_le_bytes());
        front.extend_from_slice(&group);
        front
    }
}

/// What the front of a file somebody else wrote says; anything may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FoundMeta {
    /// Media Storage SOP Class UID, when given and a UID.
    pub sop_class: Option<Uid>,
    /// Media Storage SOP Instance UID, when given and a UID.
    pub sop_instance: Option<Uid>,
    /// Transfer Syntax UID; where the file does not say, judged from its first element.
    pub transfer_syntax: Option<Uid>,
    /// Source Application Entity Title, when given and valid.
    pub source: Option<AeTitle>,
}

/// Why the front of a file cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Part10Error {
    /// The prefix ends inside the meta group: read more of the file, or the file is truncated.
    #[error("the file meta information goes on beyond the bytes given")]
    Short,
    /// The meta group is larger than [`MAX_FRONT`]: refuse.
    #[error("the file meta information is larger than {MAX_FRONT} bytes")]
    Oversized,
    /// Neither a DICOM file nor a bare data set: refuse.
    #[error("not a DICOM file")]
    Foreign,
}

/// Reads the front of a file and returns what it says and the offset of the data set.
///
/// `prefix` is the start of the file; [`MAX_FRONT`] bytes are always enough.
pub fn read(prefix: &[u8]) -> Result<(FoundMeta, usize), Part10Error> {
    let after_preamble = PREAMBLE + PREFIX.len();
    let mut at = if prefix.get(PREAMBLE..after_preamble) == Some(PREFIX.as_slice()) {
        after_preamble
    } else if prefix.starts_with(PREFIX) {
        PREFIX.len()
    } else {
        0
    };
    let has_front = at > 0;
    let mut meta = FoundMeta::default();
    while let Some(element) = meta_element(prefix, at)? {
        keep(&mut meta, element.number, element.value);
        at = element.end;
        if at > MAX_FRONT {
            return Err(Part10Error::Oversized);
        }
    }
    if meta.transfer_syntax.is_none() {
        let judged = judge(prefix.get(at..).unwrap_or_default());
        if judged.is_none() && !has_front && at == 0 {
            return Err(Part10Error::Foreign);
        }
        meta.transfer_syntax = judged.and_then(|uid| Uid::parse(uid).ok());
    }
    Ok((meta, at))
}

/// One element of group 0002.
struct Element<'a> {
    number: u16,
    value: &'a [u8],
    end: usize,
}

/// The element at `at`, or `None` when the data set starts there.
fn meta_element(prefix: &[u8], at: usize) -> Result<Option<Element<'_>>, Part10Error> {
    let rest = prefix.get(at..).unwrap_or_default();
    let Some(head) = rest.get(..8) else {
        // A file may end with its meta group; a tag cut in two is another matter.
        return if rest.is_empty() || !rest.starts_with(&META_GROUP) {
            Ok(None)
        } else {
            Err(Part10Error::Short)
        };
    };
    if !head.starts_with(&META_GROUP) {
        return Ok(None);
    }
    let number = u16::from_le_bytes([head[2], head[3]]);
    let vr = [head[4], head[5]];
    let (start, declared) = if !vr.iter().all(u8::is_ascii_uppercase) {
        // The meta group in implicit VR is wrong and seen in the field.
        (8, u32::from_le_bytes([head[4], head[5], head[6], head[7]]))
    } else if LONG_VRS.contains(&&vr) {
        let Some(length) = rest.get(8..12) else { return Err(Part10Error::Short) };
        (12, u32::from_le_bytes([length[0], length[1], length[2], length[3]]))
    } else {
        (8, u32::from(u16::from_le_bytes([head[6], head[7]])))
    };
    let length = usize::try_from(declared).unwrap_or(usize::MAX);
    if length > MAX_FRONT {
        return Err(Part10Error::Oversized);
    }
    let value = rest.get(start..start + length).ok_or(Part10Error::Short)?;
    Ok(Some(Element { number, value, end: at + start + length }))
}

fn keep(meta: &mut FoundMeta, number: u16, value: &[u8]) {
    let text = std::str::from_utf8(value).unwrap_or_default();
    match number {
        0x0002 => meta.sop_class = Uid::parse(text).ok(),
        0x0003 => meta.sop_instance = Uid::parse(text).ok(),
        0x0010 => meta.transfer_syntax = Uid::parse(text).ok(),
        0x0016 => meta.source = AeTitle::parse(text).ok(),
        _ => {}
    }
}

/// The transfer syntax of a bare data set, judged from its first element: a VR in its place means
/// explicit, a small length in its place means implicit. Anything else is not DICOM.
fn judge(data_set: &[u8]) -> Option<&'static str> {
    let head = data_set.get(..8)?;
    let first_groups = 0x0004..=0x0010;
    let explicit = head[4..6].iter().all(u8::is_ascii_uppercase);
    if !first_groups.contains(&u16::from_le_bytes([head[0], head[1]])) {
        let swapped = u16::from_be_bytes([head[0], head[1]]);
        return (explicit && first_groups.contains(&swapped)).then_some(EXPLICIT_BIG_ENDIAN);
    }
    if explicit {
        return Some(EXPLICIT_LITTLE_ENDIAN);
    }
    let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    (length <= 0xFFFF).then_some(IMPLICIT_LITTLE_ENDIAN)
}

fn put(out: &mut Vec<u8>, number: u16, vr: &[u8; 2], value: &[u8]) {
    out.extend_from_slice(&META_GROUP);
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(vr);
    // Every value here is far below 64 KiB: UIDs, titles, four numbers.
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    if vr == b"OB" {
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&u32::from(length).to_le_bytes());
    } else {
        out.extend_from_slice(&length.to_le_bytes());
    }
    out.extend_from_slice(value);
}

fn put_uid(out: &mut Vec<u8>, number: u16, uid: &str) {
    put(out, number, b"UI", &padded(uid, 0));
}

fn padded(text: &str, filler: u8) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    if bytes.len() % 2 == 1 {
        bytes.push(filler);
    }
    bytes
}

/// The largest front that is read, in bytes: private information (0002,0102) can be long.
pub const MAX_FRONT: usize = 64 * 1024;

const PREAMBLE: usize = 128;
const PREFIX: &[u8; 4] = b"DICM";
const META_GROUP: [u8; 2] = [0x02, 0x00];
const LONG_VRS: &[&[u8; 2]] = &[b"OB", b"OW", b"OF", b"OD", b"OL", b"SQ", b"UN", b"UT"];
const EXPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";
const EXPLICIT_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
const IMPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn uid(text: &str) -> Uid {
        Uid::parse(text).expect("a UID")
    }

    fn meta() -> FileMeta {
        FileMeta {
            sop_class: uid("1.2.840.10008.5.1.4.1.1.2"),
            sop_instance: uid("1.2.3.4"),
            transfer_syntax: uid(EXPLICIT_LITTLE_ENDIAN),
            source: Some(AeTitle::parse("CLINIC07").expect("a title")),
        }
    }

    const DATA_SET: &[u8] = b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 192";

    fn assert_same(found: &FoundMeta, written: &FileMeta) {
        assert_eq!(found.sop_class.as_ref(), Some(&written.sop_class));
        assert_eq!(found.sop_instance.as_ref(), Some(&written.sop_instance));
        assert_eq!(found.transfer_syntax.as_ref(), Some(&written.transfer_syntax));
        assert_eq!(found.source, written.source);
    }

    #[test]
    fn what_is_written_is_read_with_and_without_its_preamble() {
        let front = meta().to_bytes();
        assert_eq!(front.len() % 2, 0);
        let file = [front.as_slice(), DATA_SET].concat();
        for skipped in [0, PREAMBLE, PREAMBLE + 4] {
            let (found, offset) = read(&file[skipped..]).expect("a file");
            assert_same(&found, &meta());
            assert_eq!(offset, front.len() - skipped);
        }
    }

    #[test]
    fn a_wrong_group_length_is_no_obstacle() {
        let mut front = meta().to_bytes();
        front[140..144].copy_from_slice(&0xFFFF_FFFFu32.to_le_bytes());
        let file = [front.as_slice(), DATA_SET].concat();
        assert_same(&read(&file).expect("a file").0, &meta());
    }

    #[test]
    fn a_bare_data_set_is_judged_and_anything_else_refused() {
        let (found, offset) = read(DATA_SET).expect("a data set");
        assert_eq!((found.transfer_syntax, offset), (Some(uid(EXPLICIT_LITTLE_ENDIAN)), 0));
        let (found, _) = read(b"\x08\x00\x05\x00\x0a\x00\x00\x00ISO_IR 192").expect("a data set");
        assert_eq!(found.transfer_syntax, Some(uid(IMPLICIT_LITTLE_ENDIAN)));
        let (found, _) = read(b"\x00\x08\x00\x05CS\x00\x0aISO_IR 192").expect("a data set");
        assert_eq!(found.transfer_syntax, Some(uid(EXPLICIT_BIG_ENDIAN)));
        assert_eq!(read(b"%PDF-1.7 and so on"), Err(Part10Error::Foreign));
        assert_eq!(read(b""), Err(Part10Error::Foreign));
    }

    #[test]
    fn lengths_are_not_believed() {
        let mut file = meta().to_bytes();
        file.truncate(200);
        assert_eq!(read(&file), Err(Part10Error::Short));
        let huge = b"\x02\x00\x01\x00OB\x00\x00\x00\x00\x00\x40";
        assert_eq!(read(huge), Err(Part10Error::Oversized));
        let endless: Vec<u8> = b"\x02\x00\x16\x00AE\x00\x00".repeat(20_000);
        assert_eq!(read(&endless), Err(Part10Error::Oversized));
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..400), front: bool) {
            let file = if front { [&[0; 128][..], b"DICM\x02\x00", &bytes].concat() } else { bytes };
            if let Ok((_, offset)) = read(&file) {
                prop_assert!(offset <= file.len());
            }
        }

        #[test]
        fn every_cut_of_a_good_file_is_answered(cut in 0usize..320) {
            let file = meta().to_bytes();
            let cut = cut.min(file.len());
            if let Ok((_, offset)) = read(&file[..cut]) {
                prop_assert!(offset <= cut);
            }
        }
    }
}
