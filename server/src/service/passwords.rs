//! Passwords: what is accepted, and Argon2id at a bounded rate.
//!
//! One hash takes 64 MiB for a moment; at most two are computed at once and whoever waits too long
//! is told to come again, so that a flood of sign-ins cannot take the machine's memory.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};

use super::{Error, Service};

/// Memory of one hash in KiB.
const MEMORY_KIB: u32 = 64 * 1024;
/// Passes over the memory.
const PASSES: u32 = 3;
/// Lanes.
const LANES: u32 = 1;
/// Bytes of salt.
const SALT_BYTES: usize = 16;
/// How long a sign-in waits for its turn to hash.
const WAIT: Duration = Duration::from_secs(5);
/// The shortest password, in characters.
const SHORTEST: usize = 12;
/// The longest password, in characters.
const LONGEST: usize = 256;
/// Different characters that a password must have at least.
const DIFFERENT: usize = 5;
/// Long passwords that everybody tries first.
const DENIED: &[&str] = &[
    "1q2w3e4r5t6y",
    "administrator",
    "administrator1",
    "admin123456789",
    "adminadminadmin",
    "changemechangeme",
    "hospital123456",
    "iloveyou1234",
    "letmeinletmein",
    "medrelaymedrelay",
    "p@ssw0rd1234",
    "p@ssword1234",
    "passw0rd1234",
    "password1234",
    "password12345",
    "password123456",
    "passwordpassword",
    "qazwsxedcrfv",
    "qwerty123456",
    "qwertyuiop12",
    "qwertyuiop123",
    "qwertyuiopas",
    "radiology123",
    "welcome12345",
    "welcome123456",
    "woaini1314520",
    "yiyuan123456",
];

/// Checks a new password; the message says what to do and never repeats it.
pub(super) fn check(password: &str, login: &str) -> Result<(), Error> {
    let fault = |reason: &str| Err(Error::invalid("password", reason));
    let length = password.chars().count();
    if length < SHORTEST {
        return fault("must have at least 12 characters; a few words in a row are best");
    }
    if length > LONGEST {
        return fault("must have at most 256 characters");
    }
    if password.chars().any(char::is_control) {
        return fault("must not contain control characters");
    }
    let lower = password.to_lowercase();
    if lower == login || (login.len() >= 4 && lower.replace(login, "").chars().count() < 6) {
        return fault("must not be made of the account name");
    }
    let mut different: Vec<char> = lower.chars().collect();
    different.sort_unstable();
    different.dedup();
    if different.len() < DIFFERENT {
        return fault("repeats too few characters; take a few words in a row");
    }
    if DENIED.contains(&lower.as_str()) || is_run(&lower) {
        return fault("is one of those that everybody tries first");
    }
    Ok(())
}

/// Whether each character is the one after (or before) the previous one: 123456789012, abcdef….
fn is_run(text: &str) -> bool {
    let codes: Vec<u32> = text.chars().map(u32::from).collect();
    let step = |up: bool| {
        codes.windows(2).all(|pair| {
            let (a, b) = if up { (pair[0], pair[1]) } else { (pair[1], pair[0]) };
            b == a + 1 || (a == u32::from('9') && b == u32::from('0'))
        })
    };
    step(true) || step(false)
}

/// The stored form of a password: a PHC string with its parameters and salt.
fn hash(password: &str, salt: &[u8]) -> Option<String> {
    let hashed: PasswordHash = argon2()?.hash_password_with_salt(password.as_bytes(), salt).ok()?;
    Some(hashed.to_string())
}

/// Whether a password is the one whose stored form this is.
fn fits(password: &str, stored: &str) -> bool {
    let (Some(argon2), Ok(parsed)) = (argon2(), PasswordHash::new(stored)) else { return false };
    argon2.verify_password(password.as_bytes(), &parsed).is_ok()
}

fn argon2() -> Option<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

impl Service {
    /// The stored form of a new password.
    pub(super) async fn hash_password(&self, password: &str) -> Result<String, Error> {
        let mut salt = [0u8; SALT_BYTES];
        self.parts.entropy.fill(&mut salt);
        let password = password.to_owned();
        self.in_turn(move || hash(&password, &salt)).await?.ok_or(Error::Busy)
    }

    /// Whether the password fits; without a stored form, or with the empty one of somebody who has
    /// no password yet, it does not, after the same time.
    pub(super) async fn password_fits(
        &self,
        password: &str,
        stored: Option<String>,
    ) -> Result<bool, Error> {
        let password = password.to_owned();
        self.in_turn(move || match stored {
            Some(stored) if !stored.is_empty() => fits(&password, &stored),
            Some(_) | None => {
                // An unknown account, and one without a password, must cost what a known one costs.
                let _ = hash(&password, &[0; SALT_BYTES]);
                false
            }
        })
        .await
    }

    /// Runs one hash when there is room for it, off the async threads.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let turn = tokio::time::timeout(WAIT, Arc::clone(&self.hashing).acquire_owned())
            .await
            .map_err(|_| Error::Busy)?
            .map_err(|_| Error::Busy)?;
        tokio::task::spawn_blocking(move || {
            // Held until the memory is free again, even if nobody waits for the answer any more.
            let _turn = turn;
            work()
        })
        .await
        .map_err(|_| Error::Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_fits_its_own_hash_only() {
        let stored = hash("three quiet rivers", &[7; SALT_BYTES]).expect("a hash");
        assert!(stored.starts_with("$argon2id$v=19$m=65536,t=3,p=1$"));
        assert!(fits("three quiet rivers", &stored));
        assert!(!fits("three quiet river", &stored));
        assert!(!fits("three quiet rivers", "nonsense"));
        assert!(!fits("", ""), "an empty form is no password");
        let other = hash("three quiet rivers", &[8; SALT_BYTES]).expect("a hash");
        assert_ne!(stored, other);
    }

    #[test]
    fn passphrases_are_welcome() {
        for good in ["three quiet rivers", "湖水很清山很高云很白风很轻", "kT9#vv2!pLq0"]
        {
            assert!(check(good, "wangli").is_ok(), "{good}");
        }
    }

    #[test]
    fn weak_passwords_are_refused_with_a_reason() {
        for (bad, word) in [
            ("short", "at least 12"),
            ("Password1234", "everybody"),
            ("123456789012", "everybody"),
            ("abcdefghijklm", "everybody"),
            ("aaaaaaaaaaaaaa", "too few"),
            ("abababababab", "too few"),
            ("wangli-wangli1", "account name"),
            ("with\u{7}control-char", "control"),
        ] {
            let error = check(bad, "wangli").expect_err(bad).to_string();
            assert!(error.contains(word), "{bad}: {error}");
            assert!(!error.contains(bad));
        }
        assert!(check(&"long ".repeat(60), "wangli").is_err());
    }
}
