//! Names of things: identifiers made by us, UIDs and AE titles made by others, and [`Phi`].

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::time::{Entropy, Timestamp};

/// Why a text is not the name it claims to be. The message never repeats the text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// Not one of our identifiers (RFC 9562 UUID in its hyphenated form).
    #[error("not an identifier: expected a UUID such as 0190a5c0-0000-7000-8000-000000000000")]
    Id,
    /// Not a DICOM UID (PS3.5 9.1).
    #[error("not a DICOM UID: digits and dots, at most 64 characters, no empty component")]
    Uid,
    /// Not an application entity title (PS3.5 6.2, VR AE).
    #[error("not an AE title: 1 to 16 printable ASCII characters without backslash")]
    AeTitle,
}

/// Makes a time-ordered UUID (version 7, RFC 9562 5.7) from a time and 10 random bytes.
pub fn uuid_v7(now: Timestamp, entropy: &dyn Entropy) -> String {
    let mut bytes = [0u8; 16];
    entropy.fill(&mut bytes[6..]);
    let millis = u64::try_from(now.micros() / 1_000).unwrap_or(0);
    bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    bytes[6] = (bytes[6] & 0x0f) | 0x70;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

/// Characters of an identifier.
pub(crate) const UUID_LENGTH: usize = 36;

/// Whether a text is a UUID in its lower-case hyphenated form.
pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == UUID_LENGTH
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        })
}

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// A new identifier, ordered by `now`.
            pub fn new(now: Timestamp, entropy: &dyn Entropy) -> Self {
                Self(uuid_v7(now, entropy))
            }

            /// Reads an identifier; anything but a lower-case hyphenated UUID is refused.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                if is_uuid(text) { Ok(Self(text.to_owned())) } else { Err(NameError::Id) }
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

identifiers! {
    /// A hospital or clinic: a node in the consortium tree.
    OrganizationId
    /// Somebody with an account.
    PersonId
    /// An agreement between a clinic and a centre.
    AgreementId
    /// A modality or workstation that sends to us.
    DeviceId
    /// A place that reports of an agreement go to.
    DestinationId
    /// What a clinic asks and why.
    OrderId
    /// A study as we hold it (not its Study Instance UID).
    StudyId
    /// A series as we hold it.
    SeriesId
    /// An instance as we hold it; also the name of its bytes in the blob store.
    InstanceId
    /// The unit of work in the queue.
    CaseId
    /// A draft text.
    DraftId
    /// One immutable version of a report.
    ReportId
    /// One report version on its way to one destination.
    DeliveryId
    /// Work that is due.
    JobId
    /// Something that happened.
    EventId
    /// A signed-in session.
    SessionId
    /// A signing key of a person.
    KeyId
    /// A clinic's gateway that has joined.
    GatewayId
    /// What a gateway says belongs to a study.
    ManifestId
    /// What a centre says to a clinic about a case.
    MessageId
    /// A result that must reach a person now.
    FindingId
    /// A text for reports.
    TemplateId
    /// A paper of an order.
    AttachmentId
}

/// A DICOM unique identifier (PS3.5 9.1): components of digits, at most 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Uid(String);

impl Uid {
    /// Reads a UID after trailing padding (NUL or space) has been taken off.
    ///
    /// Leading zeros in a component are tolerated, because real devices send them; everything
    /// that could mean something to a file system or a query is refused.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.trim_end_matches(['\0', ' ']);
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if text.len() <= 64 && !text.is_empty() && text.split('.').all(digits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Uid)
        }
    }

    /// A UID under the UUID-derived root `2.25` (PS3.5 B.2) from 16 random bytes.
    pub fn random(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0u8; 16];
        entropy.fill(&mut bytes);
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(format!("2.25.{}", u128::from_be_bytes(bytes)))
    }

    /// The UID as text, without padding.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Uid {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<Uid> for String {
    fn from(uid: Uid) -> String {
        uid.0
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An application entity title: 1 to 16 printable ASCII characters, spaces around it ignored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AeTitle(String);

impl AeTitle {
    /// Reads an AE title; leading and trailing spaces are not significant (PS3.5 6.2).
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.trim_matches([' ', '\0']);
        let printable = |b: u8| (0x20..0x7f).contains(&b) && b != b'\\';
        if (1..=16).contains(&text.len()) && text.bytes().all(printable) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::AeTitle)
        }
    }

    /// The title as text, without padding.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AeTitle {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<AeTitle> for String {
    fn from(title: AeTitle) -> String {
        title.0
    }
}

impl fmt::Display for AeTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Patient data. It prints as `[redacted]`, so it cannot enter a log, a metric or an error text;
/// whoever needs the value says [`Phi::reveal`] and answers for where it goes.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Phi<T>(T);

impl<T> Phi<T> {
    /// Wraps a value that must not be printed.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself.
    pub fn reveal(&self) -> &T {
        &self.0
    }

    /// The value itself, owned.
    pub fn into_revealed(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Phi<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<T> fmt::Display for Phi<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
