//! What was answered to a request that carried an idempotency key.
//!
//! An answer may hold patient data or a claim's secret token, so it is kept sealed by the vault,
//! bound to the person and the key; the hourly sweep forgets it after a day.

use medrelay_core::id::PersonId;
use medrelay_core::report::sha256_hex;

use super::{Error, Service};
use crate::store::Idempotent;

/// What to do with a request that carries a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repeated {
    /// It is the first: do it.
    First,
    /// The same request is being worked on.
    InFlight,
    /// The key was used for another request.
    Mismatch,
    /// It was done: status and body.
    Answered(u16, String),
}

impl Service {
    /// Registers a key of a person for a request with this hash, or tells what became of it.
    pub async fn begin_idempotent(
        &self,
        person: &PersonId,
        key: &str,
        request_hash: &str,
    ) -> Result<Repeated, Error> {
        let mut tx = self.db().write().await?;
        let known = tx.begin_idempotent(person.as_str(), key, request_hash, self.now()).await?;
        tx.commit().await?;
        Ok(match known {
            Idempotent::First => Repeated::First,
            Idempotent::InFlight => Repeated::InFlight,
            Idempotent::Mismatch => Repeated::Mismatch,
            Idempotent::Answered(status, sealed) => {
                let opened = self.parts.vault.open(&purpose(person, key), &sealed);
                let body = opened.ok().and_then(|bytes| String::from_utf8(bytes).ok());
                // Sealed under another master key: what was done is not known any more, and doing
                // it again could double it.
                let body = body.ok_or(Error::Conflict(
                    "the recorded answer to this Idempotency-Key cannot be read any more",
                ))?;
                Repeated::Answered(u16::try_from(status).unwrap_or(500), body)
            }
        })
    }

    /// Keeps the answer for the next call with the same key.
    pub async fn finish_idempotent(
        &self,
        person: &PersonId,
        key: &str,
        status: u16,
        body: &str,
    ) -> Result<(), Error> {
        let sealed = self
            .parts
            .vault
            .seal(&purpose(person, key), body.as_bytes(), &*self.parts.entropy)
            .map_err(|_| Error::Conflict("the answer cannot be sealed"))?;
        let mut tx = self.db().write().await?;
        tx.finish_idempotent(person.as_str(), key, i64::from(status), &sealed).await?;
        Ok(tx.commit().await?)
    }

    /// Forgets a key whose request was refused or failed: it may be tried again.
    pub async fn forget_idempotent(&self, person: &PersonId, key: &str) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        tx.forget_idempotent(person.as_str(), key).await?;
        Ok(tx.commit().await?)
    }
}

/// The hash that tells requests apart: method, path with query, body, each with its length.
pub fn request_hash(method: &str, path: &str, body: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(body.len() + path.len() + 32);
    for part in [method.as_bytes(), path.as_bytes(), body] {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    sha256_hex(&bytes)
}

/// What an answer is sealed for: it opens for no other person and no other key.
fn purpose(person: &PersonId, key: &str) -> String {
    format!("idempotency:{person}:{key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_request_counts() {
        let hash = request_hash("POST", "/api/v1/orders", b"{}");
        assert_eq!(hash, request_hash("POST", "/api/v1/orders", b"{}"));
        assert_ne!(hash, request_hash("PUT", "/api/v1/orders", b"{}"));
        assert_ne!(hash, request_hash("POST", "/api/v1/orders?a=1", b"{}"));
        assert_ne!(hash, request_hash("POST", "/api/v1/orders", b"{ }"));
        // Moving a byte from one part to the next is another request.
        assert_ne!(request_hash("POST", "/a", b"b"), request_hash("POST", "/ab", b""));
    }
}
