//! From the header of an instance to what the relay knows of it ([`InstanceFacts`]).
//!
//! The header is a closure from tag to raw value bytes, so that any scanner can feed it. UIDs must
//! be right, because everything hangs on them; all other attributes are read as tolerantly as their
//! meaning allows, because refusing an image for an odd date helps nobody. What cannot be read is
//! absent. Errors name the attribute and never repeat its value.

use std::fmt;

use medrelay_core::id::{Phi, Uid};
use medrelay_core::study::{InstanceFacts, PatientFacts};
use thiserror::Error;

use crate::text::{Kind, TextDecoder};

/// An attribute by tag and keyword, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    /// Group and element.
    pub tag: (u16, u16),
    /// Keyword of PS3.6.
    pub keyword: &'static str,
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:04X},{:04X})", self.keyword, self.tag.0, self.tag.1)
    }
}

/// Why an instance cannot be taken in. All of them are refusals: sending again will not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FactsError {
    /// A UID without which the instance has no place is absent or empty.
    #[error("{0} is missing")]
    Missing(Attribute),
    /// A UID is not a UID (PS3.5 9.1).
    #[error("{0} is not a valid UID")]
    Invalid(Attribute),
    /// The data set says something else than the C-STORE command that carries it.
    #[error("{0} differs from the one announced by the command")]
    Mismatch(Attribute),
}

impl FactsError {
    /// The C-STORE status that says so (PS3.4 B.2.3): A900 for a contradiction, C000 otherwise.
    pub const fn store_status(self) -> u16 {
        match self {
            Self::Mismatch(_) => 0xA900,
            Self::Missing(_) | Self::Invalid(_) => 0xC000,
        }
    }
}

/// What the carrier of an instance says about it, before its header is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// Transfer Syntax UID the data set is in.
    pub transfer_syntax: &'a Uid,
    /// Numbers in the data set are big endian (only 1.2.840.10008.1.2.2).
    pub big_endian: bool,
    /// SOP Class UID of the C-STORE command, when there was one.
    pub announced_class: Option<&'a Uid>,
    /// SOP Instance UID of the C-STORE command, when there was one.
    pub announced_instance: Option<&'a Uid>,
    /// Character set fixed for the sending device, whatever it declares.
    pub charset_profile: Option<&'a str>,
}

/// Reads the facts of an instance from its header.
///
/// `raw` returns the value bytes of a top-level attribute, padding included.
pub fn read<'h>(
    envelope: &Envelope<'_>,
    raw: impl Fn((u16, u16)) -> Option<&'h [u8]>,
) -> Result<InstanceFacts, FactsError> {
    let sop_class = uid(&raw, SOP_CLASS)?;
    let sop_instance = uid(&raw, SOP_INSTANCE)?;
    agree(&sop_class, envelope.announced_class, SOP_CLASS)?;
    agree(&sop_instance, envelope.announced_instance, SOP_INSTANCE)?;
    let study = uid(&raw, STUDY)?;
    let series = uid(&raw, SERIES)?;

    let samples: Vec<&[u8]> = TEXTS.iter().filter_map(|tag| raw(*tag)).collect();
    let decoder = TextDecoder::new(raw(CHARSET), envelope.charset_profile, samples.iter().copied());
    let mut reader = Reader { raw: &raw, decoder, big_endian: envelope.big_endian };
    let patient = PatientFacts {
        id: Phi::new(reader.text(PATIENT_ID, Kind::Strings).unwrap_or_default()),
        issuer: reader.text(ISSUER, Kind::Strings),
        name: Phi::new(reader.text(PATIENT_NAME, Kind::PersonName).unwrap_or_default()),
        birth_date: Phi::new(reader.date(BIRTH_DATE)),
        sex: reader.code(SEX),
    };
    Ok(InstanceFacts {
        sop_class,
        sop_instance,
        transfer_syntax: envelope.transfer_syntax.clone(),
        study,
        series,
        modality: reader.code(MODALITY).unwrap_or_else(|| "OT".to_owned()),
        patient,
        accession: reader.text(ACCESSION, Kind::Strings),
        study_number: reader.text(STUDY_ID, Kind::Strings),
        study_date: reader.date(STUDY_DATE),
        study_time: reader.time(STUDY_TIME),
        study_description: reader.text(STUDY_DESCRIPTION, Kind::Strings),
        series_number: reader.integer(SERIES_NUMBER),
        series_description: reader.text(SERIES_DESCRIPTION, Kind::Strings),
        body_part: reader.code(BODY_PART),
        instance_number: reader.integer(INSTANCE_NUMBER),
        rows: reader.short(ROWS),
        columns: reader.short(COLUMNS),
        frames: reader.integer(FRAMES).filter(|n| *n > 0).unwrap_or(1),
        charset: reader.decoder.charset(),
    })
}

fn uid<'h>(
    raw: &impl Fn((u16, u16)) -> Option<&'h [u8]>,
    attribute: Attribute,
) -> Result<Uid, FactsError> {
    let value = raw(attribute.tag).unwrap_or_default();
    let text = std::str::from_utf8(value).map_err(|_| FactsError::Invalid(attribute))?;
    // A space in front of a UID is seen in the field and means nothing.
    let text = text.trim_start_matches(' ');
    if text.trim_end_matches(['\0', ' ']).is_empty() {
        return Err(FactsError::Missing(attribute));
    }
    Uid::parse(text).map_err(|_| FactsError::Invalid(attribute))
}

fn agree(found: &Uid, announced: Option<&Uid>, attribute: Attribute) -> Result<(), FactsError> {
    match announced {
        Some(announced) if announced != found => Err(FactsError::Mismatch(attribute)),
        _ => Ok(()),
    }
}

struct Reader<'r, F> {
    raw: &'r F,
    decoder: TextDecoder,
    big_endian: bool,
}

impl<'h, F: Fn((u16, u16)) -> Option<&'h [u8]>> Reader<'_, F> {
    /// A text for the index: decoded, without control characters, trimmed, bounded.
    fn text(&mut self, tag: (u16, u16), kind: Kind) -> Option<String> {
        let decoded = self.decoder.decode((self.raw)(tag)?, kind);
        let kept: String =
            decoded.chars().filter(|c| !c.is_control()).take(MAX_TEXT_CHARACTERS).collect();
        let kept = kept.trim();
        if kept.is_empty() { None } else { Some(kept.to_owned()) }
    }

    /// The first value of an attribute whose repertoire is ASCII.
    fn first(&self, tag: (u16, u16)) -> Option<String> {
        let value = (self.raw)(tag)?.split(|b| *b == b'\\').next()?;
        let bounded = &value[..value.len().min(MAX_TEXT_CHARACTERS)];
        let kept: String =
            bounded.iter().filter(|b| (0x20..0x7f).contains(*b)).map(|b| char::from(*b)).collect();
        let kept = kept.trim();
        if kept.is_empty() { None } else { Some(kept.to_owned()) }
    }

    /// A coded string (VR CS): at most 16 characters; real devices send lower case too.
    fn code(&self, tag: (u16, u16)) -> Option<String> {
        let text = self.first(tag)?.to_ascii_uppercase();
        Some(text.chars().take(MAX_CODE_CHARACTERS).collect())
    }

    /// A date as `YYYYMMDD`; the older `YYYY.MM.DD` and `YYYY-MM-DD` are understood.
    fn date(&self, tag: (u16, u16)) -> Option<String> {
        let text = self.first(tag)?.replace(['.', '-', '/'], "");
        let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u16>().ok();
        let plausible = text.len() == 8
            && text.bytes().all(|b| b.is_ascii_digit())
            && number(4..6).is_some_and(|month| (1..=12).contains(&month))
            && number(6..8).is_some_and(|day| (1..=31).contains(&day));
        plausible.then_some(text)
    }

    /// A time as `HH[MM[SS[.F]]]`; the older `HH:MM:SS` is understood.
    fn time(&self, tag: (u16, u16)) -> Option<String> {
        let text = self.first(tag)?.replace(':', "");
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let plausible = matches!(whole.len(), 2 | 4 | 6)
            && whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
            && whole.get(..2).is_some_and(|hours| hours < "24")
            && text.len() <= 16;
        plausible.then_some(text)
    }

    /// An integer string (VR IS); `12.0` and `+12` are understood.
    fn integer(&self, tag: (u16, u16)) -> Option<i64> {
        let text = self.first(tag)?;
        let whole = match text.split_once('.') {
            Some((whole, zeros)) if zeros.bytes().all(|b| b == b'0') => whole,
            Some(_) => return None,
            None => &text,
        };
        // IS is bounded to 32 bits (PS3.5 6.2); anything beyond is noise.
        whole.parse::<i32>().ok().map(i64::from)
    }

    /// The first unsigned short (VR US).
    fn short(&self, tag: (u16, u16)) -> Option<i64> {
        let bytes: [u8; 2] = (self.raw)(tag)?.get(..2)?.try_into().ok()?;
        let value =
            if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
        Some(i64::from(value))
    }
}

const fn attribute(tag: (u16, u16), keyword: &'static str) -> Attribute {
    Attribute { tag, keyword }
}

const SOP_CLASS: Attribute = attribute((0x0008, 0x0016), "SOPClassUID");
const SOP_INSTANCE: Attribute = attribute((0x0008, 0x0018), "SOPInstanceUID");
const STUDY: Attribute = attribute((0x0020, 0x000D), "StudyInstanceUID");
const SERIES: Attribute = attribute((0x0020, 0x000E), "SeriesInstanceUID");
const CHARSET: (u16, u16) = (0x0008, 0x0005);
const STUDY_DATE: (u16, u16) = (0x0008, 0x0020);
const STUDY_TIME: (u16, u16) = (0x0008, 0x0030);
const ACCESSION: (u16, u16) = (0x0008, 0x0050);
const MODALITY: (u16, u16) = (0x0008, 0x0060);
const STUDY_DESCRIPTION: (u16, u16) = (0x0008, 0x1030);
const SERIES_DESCRIPTION: (u16, u16) = (0x0008, 0x103E);
const PATIENT_NAME: (u16, u16) = (0x0010, 0x0010);
const PATIENT_ID: (u16, u16) = (0x0010, 0x0020);
const ISSUER: (u16, u16) = (0x0010, 0x0021);
const BIRTH_DATE: (u16, u16) = (0x0010, 0x0030);
const SEX: (u16, u16) = (0x0010, 0x0040);
const BODY_PART: (u16, u16) = (0x0018, 0x0015);
const STUDY_ID: (u16, u16) = (0x0020, 0x0010);
const SERIES_NUMBER: (u16, u16) = (0x0020, 0x0011);
const INSTANCE_NUMBER: (u16, u16) = (0x0020, 0x0013);
const FRAMES: (u16, u16) = (0x0028, 0x0008);
const ROWS: (u16, u16) = (0x0028, 0x0010);
const COLUMNS: (u16, u16) = (0x0028, 0x0011);

/// The attributes whose text obeys Specific Character Set.
const TEXTS: &[(u16, u16)] =
    &[PATIENT_NAME, PATIENT_ID, ISSUER, ACCESSION, STUDY_ID, STUDY_DESCRIPTION, SERIES_DESCRIPTION];

/// Every top-level attribute that [`read`] looks at, for scanners that keep only what is asked for.
pub const WANTED: &[(u16, u16)] = &[
    CHARSET,
    SOP_CLASS.tag,
    SOP_INSTANCE.tag,
    STUDY_DATE,
    STUDY_TIME,
    ACCESSION,
    MODALITY,
    STUDY_DESCRIPTION,
    SERIES_DESCRIPTION,
    PATIENT_NAME,
    PATIENT_ID,
    ISSUER,
    BIRTH_DATE,
    SEX,
    BODY_PART,
    STUDY.tag,
    SERIES.tag,
    STUDY_ID,
    SERIES_NUMBER,
    INSTANCE_NUMBER,
    FRAMES,
    ROWS,
    COLUMNS,
];

/// Longest text kept in the index; the object itself keeps every byte.
const MAX_TEXT_CHARACTERS: usize = 1_024;
const MAX_CODE_CHARACTERS: usize = 16;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    type Header = HashMap<(u16, u16), Vec<u8>>;

    fn header() -> Header {
        let mut header = Header::new();
        for (tag, value) in [
            (SOP_CLASS.tag, "1.2.840.10008.5.1.4.1.1.2\0"),
            (SOP_INSTANCE.tag, "1.2.3.4.5"),
            (STUDY.tag, "1.2.3"),
            (SERIES.tag, "1.2.3.4 "),
            (CHARSET, "ISO_IR 192"),
            (PATIENT_NAME, "Zhang^San=张^三 "),
            (PATIENT_ID, "P001 "),
            (BIRTH_DATE, "1970.01.02"),
            (SEX, "m "),
            (STUDY_DATE, "20260101"),
            (STUDY_TIME, "10:05:00.25"),
            (MODALITY, "CT"),
            (SERIES_NUMBER, " +3 "),
            (INSTANCE_NUMBER, "12.0"),
            (FRAMES, "0"),
        ] {
            header.insert(tag, value.as_bytes().to_vec());
        }
        header.insert(ROWS, vec![0x00, 0x02]);
        header.insert(COLUMNS, vec![0x00, 0x01]);
        header
    }

    fn read_from(header: &Header, class: Option<&Uid>) -> Result<InstanceFacts, FactsError> {
        let syntax = Uid::parse("1.2.840.10008.1.2.1").expect("a UID");
        let envelope = Envelope {
            transfer_syntax: &syntax,
            big_endian: false,
            announced_class: class,
            announced_instance: None,
            charset_profile: None,
        };
        read(&envelope, |tag| header.get(&tag).map(Vec::as_slice))
    }

    #[test]
    fn a_header_of_the_field_is_understood() {
        let facts = read_from(&header(), None).expect("facts");
        assert_eq!(facts.sop_class.as_str(), "1.2.840.10008.5.1.4.1.1.2");
        assert_eq!(facts.series.as_str(), "1.2.3.4");
        assert_eq!(facts.patient.name.reveal(), "Zhang^San=张^三");
        assert_eq!(facts.patient.birth_date.reveal().as_deref(), Some("19700102"));
        assert_eq!(facts.patient.sex.as_deref(), Some("M"));
        assert_eq!(facts.study_time.as_deref(), Some("100500.25"));
        assert_eq!((facts.series_number, facts.instance_number), (Some(3), Some(12)));
        assert_eq!((facts.rows, facts.columns, facts.frames), (Some(512), Some(256), 1));
        assert!(!facts.charset.guessed);
    }

    #[test]
    fn what_is_absent_or_nonsense_is_absent() {
        let mut header = header();
        for tag in [PATIENT_ID, MODALITY] {
            header.remove(&tag);
        }
        for tag in [STUDY_DATE, STUDY_TIME, SERIES_NUMBER, BIRTH_DATE] {
            header.insert(tag, b"\xff\x00-nonsense".to_vec());
        }
        header.insert(ROWS, vec![1]);
        let facts = read_from(&header, None).expect("facts");
        assert_eq!(facts.modality, "OT");
        assert_eq!(facts.patient.id.reveal(), "");
        assert_eq!((facts.study_date, facts.study_time), (None, None));
        assert_eq!((facts.series_number, facts.rows), (None, None));
    }

    #[test]
    fn uids_must_be_right_and_errors_repeat_no_value() {
        for attribute in [SOP_CLASS, SOP_INSTANCE, STUDY, SERIES] {
            let mut header = header();
            header.insert(attribute.tag, b"\0\0".to_vec());
            assert_eq!(read_from(&header, None), Err(FactsError::Missing(attribute)));
            for wrong in [&b"../../etc"[..], b"1.2\0.3", b"1..2", b"\xff\xfe"] {
                header.insert(attribute.tag, wrong.to_vec());
                let error = read_from(&header, None).expect_err("not a UID");
                assert_eq!(error, FactsError::Invalid(attribute));
                assert!(!error.to_string().contains("etc"));
            }
        }
    }

    #[test]
    fn a_command_that_announces_something_else_is_contradicted() {
        let other = Uid::parse("1.2.840.10008.5.1.4.1.1.4").expect("a UID");
        let error = read_from(&header(), Some(&other)).expect_err("a contradiction");
        assert_eq!(error, FactsError::Mismatch(SOP_CLASS));
        assert_eq!(error.store_status(), 0xA900);
        assert_eq!(
            error.to_string(),
            "SOPClassUID (0008,0016) differs from the one announced by the command"
        );
    }

    #[test]
    fn numbers_follow_the_byte_order() {
        let header = header();
        let syntax = Uid::parse("1.2.840.10008.1.2.2").expect("a UID");
        let envelope = Envelope {
            transfer_syntax: &syntax,
            big_endian: true,
            announced_class: None,
            announced_instance: None,
            charset_profile: None,
        };
        let facts = read(&envelope, |tag| header.get(&tag).map(Vec::as_slice)).expect("facts");
        assert_eq!((facts.rows, facts.columns), (Some(2), Some(1)));
    }

    proptest! {
        #[test]
        fn any_values_give_facts_without_control_characters(
            values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), WANTED.len()),
        ) {
            let mut header: Header = WANTED.iter().copied().zip(values).collect();
            for attribute in [SOP_CLASS, SOP_INSTANCE, STUDY, SERIES] {
                header.insert(attribute.tag, b"1.2.3".to_vec());
            }
            let facts = read_from(&header, None).expect("only UIDs can be refused");
            prop_assert!(!facts.patient.name.reveal().contains(char::is_control));
            prop_assert!(!facts.modality.is_empty());
        }
    }
}
