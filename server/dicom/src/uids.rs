//! Unique identifiers: what counts as one, which name a SOP class and which a transfer syntax, and
//! our own.
//!
//! The tables come from the dictionary of the standard, so that a new edition is a new dictionary
//! version and nothing else.

use dicom_core::dictionary::UidDictionary;
use dicom_dictionary_std::StandardSopClassDictionary;
use dicom_dictionary_std::uids;

use medrelay_core::id::{NameError, Uid};

use crate::scan::Encoding;

/// Implementation Class UID that we announce (PS3.7 D.3.3.2): a UUID written as an OID arc (PS3.5
/// B.2).
pub const IMPLEMENTATION_CLASS_UID: &str = "2.25.280531424118337088060320355623177759246";

/// Implementation Version Name that we announce (PS3.7 D.3.3.2), at most 16 characters.
pub const IMPLEMENTATION_VERSION_NAME: &str = concat!("MEDRELAY_", env!("CARGO_PKG_VERSION"));

/// The one application context name there is (PS3.7 A.2.1).
pub const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";

/// Verification SOP Class, the subject of C-ECHO (PS3.4 A).
pub const VERIFICATION: &str = uids::VERIFICATION;

/// Reads a UID as it stands in a data set or a PDU, with its trailing padding.
///
/// # Errors
/// Anything but 1 to 64 digits and dots. The value is not repeated in the error.
pub fn parse(value: &[u8]) -> Result<Uid, NameError> {
    std::str::from_utf8(value).map_err(|_| NameError::Uid).and_then(Uid::parse)
}

/// Whether instances of this SOP class are stored with C-STORE (PS3.4 B.5, GG and the retired
/// ones).
#[must_use]
pub fn is_storage_sop_class(uid: &str) -> bool {
    if uid == uids::MEDIA_STORAGE_DIRECTORY_STORAGE {
        return false;
    }
    sop_class_name(uid)
        .is_some_and(|name| name.contains("Storage") && !name.contains("Storage Commitment"))
}

/// The standard's name of a SOP class, for logs and tables; `None` for private and unknown ones.
#[must_use]
pub fn sop_class_name(uid: &str) -> Option<&'static str> {
    StandardSopClassDictionary.by_uid(uid).map(|entry| entry.name)
}

/// The short name of a transfer syntax, for logs and tables; `None` when it is not in
/// [`TRANSFER_SYNTAXES`].
#[must_use]
pub fn transfer_syntax_name(uid: &str) -> Option<&'static str> {
    TRANSFER_SYNTAXES.iter().find(|(known, _)| *known == uid).map(|(_, name)| *name)
}

/// How a data set in this transfer syntax is written (PS3.5 A); `None` for a syntax that we cannot
/// scan.
#[must_use]
pub fn encoding(transfer_syntax: &str) -> Option<Encoding> {
    transfer_syntax_name(transfer_syntax)?;
    Some(match transfer_syntax {
        IMPLICIT_VR_LITTLE_ENDIAN => Encoding::ImplicitLittle,
        EXPLICIT_VR_BIG_ENDIAN => Encoding::ExplicitBig,
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
        | JPIP_REFERENCED_DEFLATE
        | JPIP_HTJ2K_REFERENCED_DEFLATE => Encoding::Deflated,
        _ => Encoding::ExplicitLittle,
    })
}

/// Implicit VR Little Endian, which every peer must be able to speak (PS3.5 10.1).
pub const IMPLICIT_VR_LITTLE_ENDIAN: &str = uids::IMPLICIT_VR_LITTLE_ENDIAN;

/// Explicit VR Little Endian.
pub const EXPLICIT_VR_LITTLE_ENDIAN: &str = uids::EXPLICIT_VR_LITTLE_ENDIAN;

/// Deflated Explicit VR Little Endian (PS3.5 A.5).
pub const DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: &str = uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN;

const JPIP_REFERENCED_DEFLATE: &str = "1.2.840.10008.1.2.4.95";
const JPIP_HTJ2K_REFERENCED_DEFLATE: &str = "1.2.840.10008.1.2.4.205";

/// Explicit VR Big Endian: retired from the standard, still sent by old equipment.
pub const EXPLICIT_VR_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

/// Every transfer syntax of the standard in which stored data sets travel, with its keyword.
///
/// Not here: real-time video (PS3.22), and the retired MIME and XML wrappings, which are no data
/// sets.
pub const TRANSFER_SYNTAXES: &[(&str, &str)] = &[
    ("1.2.840.10008.1.2", "ImplicitVRLittleEndian"),
    ("1.2.840.10008.1.2.1", "ExplicitVRLittleEndian"),
    ("1.2.840.10008.1.2.1.98", "EncapsulatedUncompressedExplicitVRLittleEndian"),
    ("1.2.840.10008.1.2.1.99", "DeflatedExplicitVRLittleEndian"),
    ("1.2.840.10008.1.2.2", "ExplicitVRBigEndian"),
    ("1.2.840.10008.1.2.4.50", "JPEGBaseline8Bit"),
    ("1.2.840.10008.1.2.4.51", "JPEGExtended12Bit"),
    ("1.2.840.10008.1.2.4.52", "JPEGExtended35"),
    ("1.2.840.10008.1.2.4.53", "JPEGSpectralSelectionNonHierarchical68"),
    ("1.2.840.10008.1.2.4.54", "JPEGSpectralSelectionNonHierarchical79"),
    ("1.2.840.10008.1.2.4.55", "JPEGFullProgressionNonHierarchical1012"),
    ("1.2.840.10008.1.2.4.56", "JPEGFullProgressionNonHierarchical1113"),
    ("1.2.840.10008.1.2.4.57", "JPEGLossless"),
    ("1.2.840.10008.1.2.4.58", "JPEGLosslessNonHierarchical15"),
    ("1.2.840.10008.1.2.4.59", "JPEGExtendedHierarchical1618"),
    ("1.2.840.10008.1.2.4.60", "JPEGExtendedHierarchical1719"),
    ("1.2.840.10008.1.2.4.61", "JPEGSpectralSelectionHierarchical2022"),
    ("1.2.840.10008.1.2.4.62", "JPEGSpectralSelectionHierarchical2123"),
    ("1.2.840.10008.1.2.4.63", "JPEGFullProgressionHierarchical2426"),
    ("1.2.840.10008.1.2.4.64", "JPEGFullProgressionHierarchical2527"),
    ("1.2.840.10008.1.2.4.65", "JPEGLosslessHierarchical28"),
    ("1.2.840.10008.1.2.4.66", "JPEGLosslessHierarchical29"),
    ("1.2.840.10008.1.2.4.70", "JPEGLosslessSV1"),
    ("1.2.840.10008.1.2.4.80", "JPEGLSLossless"),
    ("1.2.840.10008.1.2.4.81", "JPEGLSNearLossless"),
    ("1.2.840.10008.1.2.4.90", "JPEG2000Lossless"),
    ("1.2.840.10008.1.2.4.91", "JPEG2000"),
    ("1.2.840.10008.1.2.4.92", "JPEG2000MCLossless"),
    ("1.2.840.10008.1.2.4.93", "JPEG2000MC"),
    ("1.2.840.10008.1.2.4.94", "JPIPReferenced"),
    ("1.2.840.10008.1.2.4.95", "JPIPReferencedDeflate"),
    ("1.2.840.10008.1.2.4.100", "MPEG2MPML"),
    ("1.2.840.10008.1.2.4.100.1", "MPEG2MPMLF"),
    ("1.2.840.10008.1.2.4.101", "MPEG2MPHL"),
    ("1.2.840.10008.1.2.4.101.1", "MPEG2MPHLF"),
    ("1.2.840.10008.1.2.4.102", "MPEG4HP41"),
    ("1.2.840.10008.1.2.4.102.1", "MPEG4HP41F"),
    ("1.2.840.10008.1.2.4.103", "MPEG4HP41BD"),
    ("1.2.840.10008.1.2.4.103.1", "MPEG4HP41BDF"),
    ("1.2.840.10008.1.2.4.104", "MPEG4HP422D"),
    ("1.2.840.10008.1.2.4.104.1", "MPEG4HP422DF"),
    ("1.2.840.10008.1.2.4.105", "MPEG4HP423D"),
    ("1.2.840.10008.1.2.4.105.1", "MPEG4HP423DF"),
    ("1.2.840.10008.1.2.4.106", "MPEG4HP42STEREO"),
    ("1.2.840.10008.1.2.4.106.1", "MPEG4HP42STEREOF"),
    ("1.2.840.10008.1.2.4.107", "HEVCMP51"),
    ("1.2.840.10008.1.2.4.108", "HEVCM10P51"),
    ("1.2.840.10008.1.2.4.110", "JPEGXLLossless"),
    ("1.2.840.10008.1.2.4.111", "JPEGXLJPEGRecompression"),
    ("1.2.840.10008.1.2.4.112", "JPEGXL"),
    ("1.2.840.10008.1.2.4.201", "HTJ2KLossless"),
    ("1.2.840.10008.1.2.4.202", "HTJ2KLosslessRPCL"),
    ("1.2.840.10008.1.2.4.203", "HTJ2K"),
    ("1.2.840.10008.1.2.4.204", "JPIPHTJ2KReferenced"),
    ("1.2.840.10008.1.2.4.205", "JPIPHTJ2KReferencedDeflate"),
    ("1.2.840.10008.1.2.5", "RLELossless"),
    ("1.2.840.10008.1.2.8.1", "DeflatedImageFrameCompression"),
];

/// A value without its trailing padding: spaces and the NUL that fills a UID to even length (PS3.5
/// 6.2).
pub(crate) fn unpadded(value: &[u8]) -> &[u8] {
    let end = value.iter().rposition(|byte| !matches!(byte, 0 | b' ')).map_or(0, |last| last + 1);
    &value[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_classes_are_told_from_services() {
        for storage in [
            "1.2.840.10008.5.1.4.1.1.2",
            "1.2.840.10008.5.1.4.1.1.1.1.1",
            "1.2.840.10008.5.1.4.1.1.104.1",
            "1.2.840.10008.5.1.4.1.1.88.11",
            "1.2.840.10008.5.1.4.34.7",
            "1.2.840.10008.5.1.4.45.1",
            "1.2.840.10008.5.1.1.29",
            "1.2.840.10008.5.1.4.1.1.9.1",
        ] {
            assert!(is_storage_sop_class(storage), "{storage}");
        }
        for service in [
            VERIFICATION,
            "1.2.840.10008.1.20.1",
            "1.2.840.10008.1.20.2",
            "1.2.840.10008.1.3.10",
            "1.2.840.10008.5.1.4.1.1.200.4",
            "1.2.840.10008.5.1.4.1.2.2.1",
            "1.2.840.10008.5.1.4.31",
            "1.2.826.0.1.3680043.9.1",
        ] {
            assert!(!is_storage_sop_class(service), "{service}");
        }
    }

    #[test]
    fn identifiers_are_digits_and_dots() {
        assert_eq!(parse(b"1.2.840\0").expect("padded").as_str(), "1.2.840");
        assert_eq!(parse(b"1.2.840 ").expect("padded").as_str(), "1.2.840");
        for refused in
            [&b""[..], b"\0", b"../etc", b"1.2\x001.3", b"1.2/3", b"1.2.x", b" 1.2", b"1\\2"]
        {
            assert_eq!(parse(refused), Err(NameError::Uid), "{refused:?}");
        }
        assert!(parse(&[b'1'; 64]).is_ok());
        assert!(parse(&[b'1'; 65]).is_err());
    }

    #[test]
    fn every_known_transfer_syntax_has_an_encoding() {
        for (uid, _) in TRANSFER_SYNTAXES {
            assert!(encoding(uid).is_some(), "{uid}");
        }
        assert_eq!(encoding("1.2.840.10008.1.2"), Some(Encoding::ImplicitLittle));
        assert_eq!(encoding("1.2.840.10008.1.2.4.90"), Some(Encoding::ExplicitLittle));
        assert_eq!(encoding("1.2.3"), None);
    }

    #[test]
    fn our_names_fit_their_fields() {
        assert!(Uid::parse(IMPLEMENTATION_CLASS_UID).is_ok());
        assert!(IMPLEMENTATION_VERSION_NAME.len() <= 16, "{IMPLEMENTATION_VERSION_NAME}");
    }
}
