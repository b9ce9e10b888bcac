//! What people type: each function answers with the value as it is kept, or says what is wrong
//! with it without repeating it.

use medrelay_core::id::AeTitle;

use super::{DicomAddress, Error};

/// The longest name of a person, place or device, in characters.
const NAME_CHARS: usize = 100;
/// The longest account name, in characters.
pub(super) const LOGIN_CHARS: usize = 64;
/// How many modalities a person or an agreement may name.
const MODALITIES: usize = 64;
/// Defined terms of Specific Character Set (PS3.3 C.12.1.1.2) that a device may be set to.
const CHARACTER_SETS: &[&str] = &[
    "ISO_IR 6",
    "ISO_IR 100",
    "ISO_IR 101",
    "ISO_IR 109",
    "ISO_IR 110",
    "ISO_IR 144",
    "ISO_IR 127",
    "ISO_IR 126",
    "ISO_IR 138",
    "ISO_IR 148",
    "ISO_IR 203",
    "ISO_IR 13",
    "ISO_IR 166",
    "ISO_IR 192",
    "GB18030",
    "GBK",
    "ISO 2022 IR 6",
    "ISO 2022 IR 100",
    "ISO 2022 IR 13",
    "ISO 2022 IR 58",
    "ISO 2022 IR 87",
    "ISO 2022 IR 149",
    "ISO 2022 IR 159",
    "ISO 2022 IR 166",
];

/// A name: 1 to 100 characters that can be seen, without white space around it.
pub(super) fn name(field: &'static str, text: &str) -> Result<String, Error> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::invalid(field, "must not be empty"));
    }
    if text.chars().count() > NAME_CHARS {
        return Err(Error::invalid(field, "must have at most 100 characters"));
    }
    if text.chars().any(is_invisible) {
        return Err(Error::invalid(field, "must not contain control characters"));
    }
    Ok(text.to_owned())
}

/// Controls, and marks that turn the direction of writing: a list could be made to lie with them.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// An account name: 2 to 64 of `a-z 0-9 . _ - @`, kept in lower case.
pub(super) fn login(text: &str) -> Result<String, Error> {
    let text = text.trim().to_ascii_lowercase();
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-@".contains(&b);
    if (2..=LOGIN_CHARS).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text)
    } else {
        Err(Error::invalid("login", "must be 2 to 64 of the characters a-z 0-9 . _ - @"))
    }
}

/// Modality codes as DICOM has them (VR CS), sorted, each once.
pub(super) fn modalities(list: &[String]) -> Result<Vec<String>, Error> {
    let is_code = |text: &String| {
        (1..=16).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    if list.len() > MODALITIES || !list.iter().all(is_code) {
        return Err(Error::invalid(
            "modalities",
            "must be at most 64 DICOM codes such as CT, MR, DX: capital letters, digits and _",
        ));
    }
    let mut list = list.to_vec();
    list.sort_unstable();
    list.dedup();
    Ok(list)
}

/// An AE title without padding.
pub(super) fn ae_title(text: &str) -> Result<String, Error> {
    AeTitle::parse(text)
        .map(String::from)
        .map_err(|error| Error::invalid("ae_title", error.to_string()))
}

/// Empty, or the value of Specific Character Set that a device should have sent.
pub(super) fn charset(text: &str) -> Result<String, Error> {
    let text = text.trim();
    let known = |part: &str| part.is_empty() || CHARACTER_SETS.contains(&part);
    if text.len() <= 128 && text.split('\\').all(known) {
        Ok(text.to_owned())
    } else {
        Err(Error::invalid(
            "charset",
            "must be empty or a Specific Character Set such as GB18030, GBK or ISO_IR 192",
        ))
    }
}

/// Where a DICOM node is.
pub(super) fn dicom_address(address: &DicomAddress) -> Result<DicomAddress, Error> {
    let host = address.host.trim();
    if !is_host(host) {
        return Err(Error::invalid("host", "must be an IP address or a host name"));
    }
    if address.port == 0 {
        return Err(Error::invalid("port", "must be 1 to 65535"));
    }
    Ok(DicomAddress {
        ae_title: ae_title(&address.ae_title)?,
        host: host.to_owned(),
        port: address.port,
        tls: address.tls,
    })
}

/// An IP address, or labels of letters, digits, `-` and `_` (RFC 1123 2.1; `_` is met in practice).
fn is_host(text: &str) -> bool {
    if text.parse::<std::net::IpAddr>().is_ok() {
        return true;
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // Digits and dots alone are an address with a mistake in it, not a name.
    let has_letter = text.bytes().any(|b| b.is_ascii_alphabetic());
    text.len() <= 253 && has_letter && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_and_bounded() {
        assert_eq!(name("name", " 白河乡卫生院 ").expect("a good name"), "白河乡卫生院");
        assert_eq!(name("name", &"院".repeat(100)).expect("100 characters").chars().count(), 100);
        for bad in ["", "  ", "a\u{0}b", "a\nb", "\u{202e}abc", &"院".repeat(101)] {
            assert!(name("name", bad).is_err());
        }
    }

    #[test]
    fn a_login_is_kept_in_lower_case() {
        assert_eq!(login(" Wang.Li@baihe ").expect("a good login"), "wang.li@baihe");
        for bad in ["a", "with space", "王丽", "a/b", &"a".repeat(65)] {
            assert!(login(bad).is_err());
        }
    }

    #[test]
    fn modalities_are_sorted_and_each_stands_once() {
        let list = ["MR", "CT", "MR"].map(str::to_owned);
        assert_eq!(modalities(&list).expect("codes"), ["CT", "MR"]);
        assert!(modalities(&["ct".to_owned()]).is_err());
        assert!(modalities(&[String::new()]).is_err());
    }

    #[test]
    fn hosts_are_addresses_or_names() {
        for good in ["10.1.2.3", "::1", "pacs", "pacs-1.county.example", "PACS_1"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "10.1.2", "10.1.2.999", "a b", "-a", "a..b", "a/b", "http://a", "a:1"] {
            assert!(!is_host(bad), "{bad}");
        }
    }

    #[test]
    fn character_sets_are_those_of_the_standard() {
        for good in ["", "GB18030", "GBK", "\\ISO 2022 IR 58", "ISO_IR 192"] {
            assert!(charset(good).is_ok(), "{good}");
        }
        assert!(charset("latin1").is_err());
    }

    #[test]
    fn a_dicom_address_needs_all_of_its_parts() {
        let good = DicomAddress {
            ae_title: " PACS ".to_owned(),
            host: " 10.0.0.9".to_owned(),
            port: 104,
            tls: false,
        };
        let kept = dicom_address(&good).expect("a good address");
        assert_eq!((kept.ae_title.as_str(), kept.host.as_str()), ("PACS", "10.0.0.9"));
        assert!(dicom_address(&DicomAddress { port: 0, ..good.clone() }).is_err());
        assert!(dicom_address(&DicomAddress { ae_title: "A\\B".to_owned(), ..good }).is_err());
    }
}
