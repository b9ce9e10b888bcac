//! What a caller accepts (PS3.18 8.3.3, 8.7): media types with their parameters, in the order of preference, and which
//! form of a frame fits them best.

use axum::http::{HeaderMap, header};

use crate::http::problem::Problem;
use crate::service::imaging::{JPEG_LS, Repair};

/// A media range with its parameters.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Range {
    /// `multipart/related`, `*/*` and so on, in lower case.
    pub kind: String,
    parameters: Vec<(String, String)>,
    quality: f32,
}

/// The most ranges that are looked at.
const RANGES: usize = 64;

/// What is accepted, the most wanted first; anything where nothing is said. A query parameter `accept` goes before the
/// header.
pub(super) fn accepted(headers: &HeaderMap, asked: Option<&str>) -> Vec<Range> {
    let header = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let text = match asked {
        Some(asked) => asked.to_owned(),
        None => header.collect::<Vec<_>>().join(","),
    };
    let mut ranges: Vec<Range> =
        outside_quotes(&text, ',').into_iter().take(RANGES).filter_map(range).collect();
    if ranges.is_empty() {
        ranges.extend(range("*/*"));
    }
    ranges.retain(|range| range.quality > 0.0);
    ranges.sort_by(|one, other| other.quality.total_cmp(&one.quality));
    ranges
}

fn range(text: &str) -> Option<Range> {
    let mut parts = outside_quotes(text, ';').into_iter();
    let kind = parts.next()?.trim().to_ascii_lowercase();
    if !kind.contains('/') {
        return None;
    }
    let mut range = Range { kind, parameters: Vec::new(), quality: 1.0 };
    for part in parts {
        let Some((name, value)) = part.split_once('=') else { continue };
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().trim_matches('"'));
        if name == "q" {
            range.quality = value.parse().ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0);
        } else {
            range.parameters.push((name, value.trim().to_ascii_lowercase()));
        }
    }
    Some(range)
}

fn outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    let split = text.split(move |letter| {
        quoted ^= letter == '"';
        letter == separator && !quoted
    });
    split.filter(|part| !part.trim().is_empty()).collect()
}

impl Range {
    /// A parameter by its name.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether it covers a media type.
    pub fn covers(&self, media: &str) -> bool {
        let family = media.split('/').next().unwrap_or_default();
        self.kind == media || self.kind == "*/*" || self.kind == format!("{family}/*")
    }
}

/// In which form a frame is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Form {
    /// What is done to it.
    pub repair: Repair,
    /// Parts of a multipart message, or the frame alone.
    pub multipart: bool,
    /// Media type of the frame.
    pub media: &'static str,
}

/// What is known of an instance before a form is chosen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored<'a> {
    /// Transfer syntax.
    pub syntax: &'a str,
    /// Its frames are compressed.
    pub compressed: bool,
    /// Its frames can be made JPEG-LS.
    pub codable: bool,
}

/// The media types in which frames are given, for the refusal of others.
pub(super) const FRAME_MEDIA: &str = "multipart/related; type=\"application/octet-stream\"; transfer-syntax=*, \
     application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1, \
     image/jls; transfer-syntax=1.2.840.10008.1.2.4.80, and what is stored";

/// The forms that fit, best first: by what is wanted more, and among equals by what is shorter.
pub(super) fn forms(ranges: &[Range], stored: Stored<'_>) -> Vec<Form> {
    let mut forms: Vec<(f32, u8, Form)> = Vec::new();
    for range in ranges {
        if let Some(form) = form(range, stored) {
            let cost = match form.repair {
                Repair::None if stored.compressed => 0,
                Repair::JpegLs => 1,
                Repair::None | Repair::Decode => 2,
            };
            forms.push((range.quality, cost, form));
        }
    }
    forms.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)));
    forms.into_iter().map(|(_, _, form)| form).collect()
}

fn form(range: &Range, stored: Stored<'_>) -> Option<Form> {
    let (inner, multipart) = match range.kind.as_str() {
        "multipart/related" => (range.parameter("type").unwrap_or(OCTETS), true),
        "*/*" | "multipart/*" => ("*/*", true),
        kind => (kind, false),
    };
    let wanted = range.parameter("transfer-syntax");
    let as_stored = wanted.is_none_or(|wanted| wanted == "*" || wanted == stored.syntax);
    let own = media_of(stored.syntax, stored.compressed);
    let form = |repair, media| Some(Form { repair, multipart, media });
    match inner {
        OCTETS => match wanted {
            Some(JPEG_LS) if stored.codable && stored.syntax != JPEG_LS => {
                form(Repair::JpegLs, OCTETS)
            }
            None | Some(IMPLICIT | EXPLICIT) => form(Repair::Decode, OCTETS),
            Some(_) if as_stored => form(Repair::None, OCTETS),
            Some(_) => None,
        },
        "image/jls" if own == "image/jls" && as_stored => form(Repair::None, own),
        "image/jls" if stored.codable && matches!(wanted, None | Some("*" | JPEG_LS)) => {
            form(Repair::JpegLs, "image/jls")
        }
        "*/*" | "application/*" if as_stored => form(Repair::None, own),
        "image/*" if as_stored && stored.compressed => form(Repair::None, own),
        media if media == own && as_stored => form(Repair::None, own),
        _ => None,
    }
}

/// The media type of frames in a transfer syntax (PS3.18 8.7.3.3).
fn media_of(syntax: &str, compressed: bool) -> &'static str {
    let known = match syntax.strip_prefix("1.2.840.10008.1.2.") {
        Some("5") => "image/dicom-rle",
        Some("4.80" | "4.81") => "image/jls",
        Some("4.90" | "4.91") => "image/jp2",
        Some("4.92" | "4.93") => "image/jpx",
        Some("4.201" | "4.202" | "4.203") => "image/jphc",
        Some("4.110" | "4.111" | "4.112") => "image/jxl",
        Some("4.50" | "4.51" | "4.53" | "4.55" | "4.57" | "4.70") => "image/jpeg",
        _ => OCTETS,
    };
    if compressed { known } else { OCTETS }
}

/// The refusal of everything that is accepted, with what is offered.
pub(super) fn not_acceptable(offered: &str) -> Problem {
    Problem::new(406, "NOT_ACCEPTABLE", format!("what is offered here: {offered}"))
}

/// Refuses whoever accepts no DICOM JSON; says which of its two names is wanted.
pub(super) fn json(ranges: &[Range]) -> Result<&'static str, Problem> {
    const DICOM_JSON: &str = "application/dicom+json";
    for range in ranges {
        if range.covers(DICOM_JSON) {
            return Ok(DICOM_JSON);
        }
        if range.kind == "application/json" {
            return Ok("application/json");
        }
    }
    Err(not_acceptable("application/dicom+json"))
}

const OCTETS: &str = "application/octet-stream";
const IMPLICIT: &str = "1.2.840.10008.1.2";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const CT: Stored<'_> = Stored { syntax: EXPLICIT, compressed: false, codable: true };
    const JPEG: Stored<'_> =
        Stored { syntax: "1.2.840.10008.1.2.4.50", compressed: true, codable: true };

    fn first(accept: &'static str, stored: Stored<'_>) -> Option<(Repair, bool, &'static str)> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        let forms = forms(&accepted(&headers, None), stored);
        forms.first().map(|form| (form.repair, form.multipart, form.media))
    }

    #[test]
    fn what_viewers_ask_for_is_understood() {
        let viewer = "multipart/related; type=application/octet-stream; transfer-syntax=*";
        assert_eq!(first(viewer, CT), Some((Repair::None, true, OCTETS)));
        assert_eq!(first(viewer, JPEG), Some((Repair::None, true, OCTETS)));
        let quoted = "multipart/related; type=\"application/octet-stream\"; transfer-syntax=\"*\"";
        assert_eq!(first(quoted, JPEG), Some((Repair::None, true, OCTETS)));
        let jls = "image/jls; transfer-syntax=1.2.840.10008.1.2.4.80";
        assert_eq!(first(jls, CT), Some((Repair::JpegLs, false, "image/jls")));
        assert_eq!(first("image/jpeg", JPEG), Some((Repair::None, false, "image/jpeg")));
        assert_eq!(first("image/jpeg", CT), None);
        let raw = "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1";
        assert_eq!(first(raw, JPEG), Some((Repair::Decode, false, OCTETS)));
        assert_eq!(first("text/html", CT), None);
        assert_eq!(first("*/*;q=0", CT), None);
    }

    #[test]
    fn what_is_wanted_more_comes_first_and_what_is_shorter_among_equals() {
        let both = "multipart/related; type=\"application/octet-stream\"; transfer-syntax=*, \
                    image/jls; transfer-syntax=1.2.840.10008.1.2.4.80";
        assert_eq!(first(both, CT), Some((Repair::JpegLs, false, "image/jls")));
        assert_eq!(first(both, JPEG), Some((Repair::None, true, OCTETS)));
        let less = "image/jls; transfer-syntax=1.2.840.10008.1.2.4.80; q=0.3, \
                    application/octet-stream; q=0.9";
        assert_eq!(first(less, CT), Some((Repair::Decode, false, OCTETS)));
    }
}
