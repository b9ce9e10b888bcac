//! The code that an administrator types once to join a clinic to a relay (PROTOCOL 8.1).
//!
//! ```text
//!  handle  secret                            authority                check
//!  4 bytes 16 bytes                          8 of SHA-256(its DER)    2 of SHA-256(the 28 before)
//!  └────────────────────────── 48 characters of Crockford's base 32 ─────────────────────────────┘
//! ```

use std::fmt;

use thiserror::Error;

use super::Hash;
use super::manifest::sha256;
use crate::time::Entropy;

/// A join code. It prints without its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinCode {
    /// What the relay finds the code by.
    pub handle: [u8; 4],
    /// What only the administrator and the relay's hash of it know.
    pub secret: [u8; 16],
    /// The first bytes of the SHA-256 of the authority's certificate (DER).
    pub authority: [u8; 8],
}

/// Why a text is not a join code. The text itself is never repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JoinCodeError {
    /// Too few or too many characters.
    #[error("a join code has 48 characters; this has {found}")]
    Length {
        /// Characters found, spaces and hyphens not counted.
        found: usize,
    },
    /// A character that no code has.
    #[error("character {at} of the join code is neither a digit nor a letter that codes use")]
    Character {
        /// Which, counted from 1, spaces and hyphens not counted.
        at: usize,
    },
    /// The check bytes do not fit.
    #[error("the join code has a typing mistake")]
    Mistyped,
}

impl JoinCode {
    /// A new code for the authority whose certificate (DER) has this SHA-256.
    pub fn new(authority_sha256: &Hash, entropy: &dyn Entropy) -> Self {
        let (mut handle, mut secret, mut authority) = ([0; 4], [0; 16], [0; 8]);
        entropy.fill(&mut handle);
        entropy.fill(&mut secret);
        authority.copy_from_slice(&authority_sha256[..8]);
        Self { handle, secret, authority }
    }

    /// The code to type: 48 characters in groups of six.
    pub fn to_text(&self) -> String {
        let body = self.body();
        let check = sha256(&body);
        let mut text = String::with_capacity(CHARACTERS + CHARACTERS / GROUP);
        let (mut bits, mut count) = (0u16, 0);
        let mut written = 0;
        for byte in body.iter().chain(&check[..CHECK]) {
            bits = bits << 8 | u16::from(*byte);
            count += 8;
            while count >= 5 {
                count -= 5;
                if written > 0 && written % GROUP == 0 {
                    text.push('-');
                }
                text.push(char::from(ALPHABET[usize::from(bits >> count & 31)]));
                written += 1;
            }
        }
        text
    }

    /// Reads a code as people type it: case, spaces and hyphens do not matter, `O` is `0`, `I`
    /// and `L` are `1`.
    pub fn parse(text: &str) -> Result<Self, JoinCodeError> {
        let typed = || text.chars().filter(|c| !c.is_whitespace() && !HYPHENS.contains(c));
        let found = typed().count();
        if found != CHARACTERS {
            return Err(JoinCodeError::Length { found });
        }
        let mut bytes = [0u8; BYTES];
        let (mut bits, mut count, mut filled) = (0u16, 0, 0);
        for (before, character) in typed().enumerate() {
            let value = value(character).ok_or(JoinCodeError::Character { at: before + 1 })?;
            bits = bits << 5 | value;
            count += 5;
            if count >= 8 {
                count -= 8;
                bytes[filled] = (bits >> count & 0xff) as u8;
                filled += 1;
            }
        }
        let (body, check) = bytes.split_at(BYTES - CHECK);
        if check != &sha256(body)[..CHECK] {
            return Err(JoinCodeError::Mistyped);
        }
        let (mut handle, mut secret, mut authority) = ([0; 4], [0; 16], [0; 8]);
        handle.copy_from_slice(&body[..4]);
        secret.copy_from_slice(&body[4..20]);
        authority.copy_from_slice(&body[20..]);
        Ok(Self { handle, secret, authority })
    }

    /// The handle in hexadecimal, as the relay keeps it.
    pub fn handle_text(&self) -> String {
        hex::encode(self.handle)
    }

    /// The SHA-256 of the secret in hexadecimal, as the relay keeps it.
    pub fn secret_hash(&self) -> String {
        hex::encode(sha256(&self.secret))
    }

    /// Whether the code was made for the authority with this certificate.
    pub fn pins(&self, authority_der: &[u8]) -> bool {
        sha256(authority_der).starts_with(&self.authority)
    }

    fn body(&self) -> [u8; BYTES - CHECK] {
        let mut body = [0; BYTES - CHECK];
        body[..4].copy_from_slice(&self.handle);
        body[4..20].copy_from_slice(&self.secret);
        body[20..].copy_from_slice(&self.authority);
        body
    }
}

impl fmt::Debug for JoinCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinCode({}, [redacted])", self.handle_text())
    }
}

fn value(character: char) -> Option<u16> {
    let upper = match character.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        upper => upper,
    };
    let at = ALPHABET.iter().position(|letter| char::from(*letter) == upper)?;
    u16::try_from(at).ok()
}

/// Crockford's base 32.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// What text programs make of a hyphen.
const HYPHENS: [char; 6] = ['-', '\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}'];
const BYTES: usize = 30;
const CHECK: usize = 2;
const CHARACTERS: usize = BYTES * 8 / 5;
const GROUP: usize = 6;
