//! The second factor: codes by time (RFC 6238), and ten recovery codes for whoever has lost it.
//!
//! The secret is sealed by the vault. A code is good once; wrong ones count like wrong passwords.

use medrelay_core::event::Kind;
use medrelay_core::id::{PersonId, SessionId};

use super::people::{must_reach_all, visible};
use super::sign_in::{Trial, home};
use super::{About, Caller, Error, Service, token_hash};
use crate::secrets::SecretError;
use crate::store::{Person, SecondFactor, StoreError, Tx};
use crate::totp;
use medrelay_core::access::Action;

/// Recovery codes that are given at once.
const RECOVERY_CODES: usize = 10;
/// Letters of a recovery code, without the hyphens: 80 bits.
const RECOVERY_LETTERS: usize = 16;
/// What recovery codes are made of: nothing that is mistaken for something else.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
/// What an authenticator app calls accounts of a relay without an organization.
const ISSUER: &str = "medrelay";

/// A secret that is to be confirmed with its first code. Cannot be printed.
pub struct Proposed {
    /// Base32, for typing.
    pub secret: String,
    /// `otpauth://…`, for a QR code.
    pub uri: String,
}

/// What stood for the second factor.
pub(super) enum Factor {
    /// A code of the authenticator app.
    Code,
    /// A recovery code; so many are left.
    Recovery(i64),
}

impl Factor {
    /// As the audit trail tells it.
    pub(super) fn told(&self) -> serde_json::Value {
        match self {
            Self::Code => serde_json::json!({ "by": "code" }),
            Self::Recovery(left) => serde_json::json!({ "by": "recovery_code", "left": left }),
        }
    }
}

impl Service {
    /// Makes a secret for the caller, who shows their password again. It is not asked for until
    /// it was confirmed.
    pub async fn propose_second_factor(
        &self,
        caller: &Caller,
        password: &str,
    ) -> Result<Proposed, Error> {
        let me = self.me(caller).await?;
        let proven = self.prove(&me.login, password, &caller.source).await;
        let (mut tx, person) = proven.map_err(wrong("password"))?;
        let mut secret = [0u8; totp::SECRET_BYTES];
        self.parts.entropy.fill(&mut secret);
        let sealed = self
            .parts
            .vault
            .seal(&purpose(&person.id), &secret, &*self.parts.entropy)
            .map_err(unusable)?;
        if !tx.propose_second_factor(&person.id, &sealed, self.now()).await? {
            return Err(Error::Conflict("there is a second factor: remove it first"));
        }
        let issuer = match home(&person) {
            Some(id) => tx.organization(id).await?.map(|organization| organization.name),
            None => None,
        };
        tx.commit().await?;
        let issuer = issuer.as_deref().unwrap_or(ISSUER);
        Ok(Proposed {
            secret: totp::base32(&secret),
            uri: totp::uri(issuer, &person.login, &secret),
        })
    }

    /// Puts the caller's second factor in force with its first code, and gives recovery codes,
    /// which are shown once. Their other sessions, which were opened without it, end.
    pub async fn confirm_second_factor(
        &self,
        caller: &Caller,
        session: &SessionId,
        code: &str,
    ) -> Result<Vec<String>, Error> {
        let me = self.me(caller).await?;
        let trial = Trial::new(&me.login, &caller.source);
        let mut tx = self.db().write().await?;
        let now = self.now();
        let factor = tx
            .hold_second_factor(&me.id)
            .await?
            .filter(|factor| factor.confirmed_at.is_none())
            .ok_or(Error::Conflict("there is no second factor that waits for its first code"))?;
        self.refuse_locked(&mut tx, &trial).await?;
        if self.use_code(&mut tx, &factor, code.trim()).await?.is_none() {
            self.count_failure(tx, &trial, Some(&me), "second_factor").await?;
            return Err(Error::invalid("code", "is wrong"));
        }
        if !tx.confirm_second_factor(&factor, now).await? {
            return Err(Error::VersionConflict);
        }
        let (codes, hashes): (Vec<String>, Vec<String>) = (0..RECOVERY_CODES)
            .map(|_| {
                let code = self.recovery_code();
                let hash = recovery_hash(&me.id, &code);
                (code, hash)
            })
            .unzip();
        tx.replace_recovery_codes(&me.id, &hashes).await?;
        tx.delete_sessions_of(&me.id, Some(session)).await?;
        tx.save_session_proof(session, now).await?;
        self.record_factor(&mut tx, caller, &me, serde_json::json!({ "set_up": true })).await?;
        tx.commit().await?;
        Ok(codes)
    }

    /// Removes the caller's second factor, for another phone or for good: password and code.
    pub async fn remove_second_factor(
        &self,
        caller: &Caller,
        password: &str,
        code: &str,
    ) -> Result<(), Error> {
        let me = self.me(caller).await?;
        let trial = Trial::new(&me.login, &caller.source);
        let known = self.know_password(&trial, password).await;
        let (tx, person) = known.map_err(wrong("password"))?;
        if !person.second_factor {
            return Err(Error::Conflict("there is no second factor"));
        }
        let asked = self.ask_code(tx, &trial, &person, Some(code)).await;
        let (mut tx, _) = asked.map_err(wrong("code"))?;
        self.passed(&mut tx, &trial).await?;
        tx.delete_second_factor(&person.id).await?;
        let details = serde_json::json!({ "removed": true });
        self.record_factor(&mut tx, caller, &person, details).await?;
        Ok(tx.commit().await?)
    }

    /// Removes the second factor of somebody who has lost it, and ends their sessions. One's own
    /// is removed with password and code, or by another administrator.
    pub async fn remove_second_factor_of(
        &self,
        caller: &Caller,
        id: &PersonId,
    ) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        let person = tx.person(id).await?.ok_or(Error::hidden())?;
        let reach = visible(&mut tx, caller, Action::ManagePeople, &person).await?;
        must_reach_all(&person, &reach)?;
        if caller.actor.person() == Some(id) {
            return Err(Error::Conflict("your own is removed with your password and a code"));
        }
        if !tx.delete_second_factor(id).await? {
            return Ok(());
        }
        let ended = tx.delete_sessions_of(id, None).await?;
        let details = serde_json::json!({ "removed": true, "reset": true, "sessions": ended });
        self.record_factor(&mut tx, caller, &person, details).await?;
        Ok(tx.commit().await?)
    }

    /// Asks for the second factor where one is in force; a wrong code is counted and committed.
    pub(super) async fn ask_code(
        &self,
        mut tx: Tx,
        trial: &Trial,
        person: &Person,
        code: Option<&str>,
    ) -> Result<(Tx, Option<Factor>), Error> {
        let held = tx.hold_second_factor(&person.id).await?;
        let Some(factor) = held.filter(|factor| factor.confirmed_at.is_some()) else {
            return Ok((tx, None));
        };
        let code = code.map(str::trim).filter(|code| !code.is_empty());
        let code = code.ok_or(Error::SecondFactorRequired)?;
        // Whoever waited for the row while others guessed sees what they have done.
        self.refuse_locked(&mut tx, trial).await?;
        match self.use_code(&mut tx, &factor, code).await? {
            Some(used) => Ok((tx, Some(used))),
            None => {
                self.count_failure(tx, trial, Some(person), "second_factor").await?;
                Err(Error::SecondFactorWrong)
            }
        }
    }

    /// Uses a code of the app, or a recovery code, up in the transaction; `None` if it is wrong.
    async fn use_code(
        &self,
        tx: &mut Tx,
        factor: &SecondFactor,
        code: &str,
    ) -> Result<Option<Factor>, Error> {
        let now = self.now();
        let digits: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        if digits.len() == totp::DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let secret = self.parts.vault.open(&purpose(&factor.person), &factor.sealed);
            let secret = secret.map_err(unusable)?;
            let step = totp::matching_step(&secret, &digits, now, factor.last_step);
            return Ok(match step {
                Some(step) if tx.use_second_factor_step(factor, step).await? => Some(Factor::Code),
                Some(_) | None => None,
            });
        }
        let hash = recovery_hash(&factor.person, code);
        if factor.confirmed_at.is_some() && tx.use_recovery_code(&factor.person, &hash, now).await?
        {
            return Ok(Some(Factor::Recovery(tx.recovery_codes_left(&factor.person).await?)));
        }
        Ok(None)
    }

    fn recovery_code(&self) -> String {
        let mut bytes = [0u8; RECOVERY_LETTERS];
        self.parts.entropy.fill(&mut bytes);
        let letters: Vec<char> =
            bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
        let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
        groups.join("-")
    }

    async fn record_factor(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        person: &Person,
        details: serde_json::Value,
    ) -> Result<(), Error> {
        let object = format!("person:{}", person.id);
        let about = About { organization: home(person), object, ..About::default() };
        let event = self.parts.event(caller, Kind::SecondFactorChanged, about.with(details));
        Ok(tx.record(vec![event]).await?)
    }
}

/// A fault in a form of somebody who is signed in: 401 would tell them that they are not.
pub(super) fn wrong(field: &'static str) -> impl Fn(Error) -> Error {
    move |error| match error {
        Error::BadCredentials | Error::SecondFactorWrong | Error::SecondFactorRequired => {
            Error::invalid(field, "is wrong")
        }
        other => other,
    }
}

/// How a recovery code is kept: however it was typed, and for one person only.
fn recovery_hash(person: &PersonId, code: &str) -> String {
    let letters: String = code
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(RECOVERY_LETTERS + 1)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    token_hash(&format!("recovery code of {person}: {letters}"))
}

fn purpose(person: &PersonId) -> String {
    format!("second factor of {person}")
}

fn unusable(error: SecretError) -> Error {
    tracing::error!(error = ?error, "a second factor cannot be used");
    Error::Store(StoreError::Inconsistent { table: "second_factors", what: "a secret is not ours" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use medrelay_core::time::{SeededEntropy, Timestamp};

    #[test]
    fn a_recovery_code_is_the_same_however_it_is_typed() {
        let entropy = SeededEntropy::new(5);
        let me = PersonId::new(Timestamp::default(), &entropy);
        let other = PersonId::new(Timestamp::default(), &entropy);
        let hash = recovery_hash(&me, "abcd-efgh-2345-6789");
        assert_eq!(hash, recovery_hash(&me, " ABCD efgh23456789 "));
        assert_ne!(hash, recovery_hash(&me, "abcd-efgh-2345-678"));
        assert_ne!(hash, recovery_hash(&me, "abcd-efgh-2345-67899"));
        assert_ne!(hash, recovery_hash(&other, "abcd-efgh-2345-6789"));
    }
}
