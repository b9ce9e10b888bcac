//! Keys: the master key of the installation, what is derived from it, and the vault that wraps
//! everything secret which is stored.
//!
//! One 32-byte master key lies in `<data>/keys/master.key` (mode 0600) or comes from the
//! configuration. HKDF-SHA256 gives a key per purpose, so that the audit chain, the vault and the
//! tokens never share one. Whoever has the database but not this key has no signing key, no
//! password of a PACS and no way to rewrite the audit chain.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use aws_lc_rs::{hkdf, hmac};
use medrelay_core::time::Entropy;

use crate::config::Secret;

/// Name of the master key's file in the key directory.
pub const MASTER_KEY_FILE: &str = "master.key";

/// What a sealed text starts with: the version of its encoding.
const SEAL_PREFIX: &str = "v1.";

const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 12;

/// Why a key or a sealed text cannot be used. None of these passes by trying again.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// A key file cannot be read or written.
    #[error("key file {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key file is open to others than its owner.
    #[error("{} can be read by others (mode {mode:03o}); run: chmod 600 {}", path.display(), path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The master key is gone while keys that it wraps are there.
    #[error(
        "{} is missing, but keys wrapped by it are there: restore it from the backup; without it they \
         are lost",
        path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A key has the wrong length or encoding.
    #[error("{0} is not a valid key")]
    Malformed(&'static str),
    /// A sealed text was changed, belongs to another purpose, or was sealed under another master
    /// key.
    #[error("cannot be opened with this master key: it was changed, or the key is another one")]
    NotOurs,
}

/// The secret from which all others are derived.
pub struct MasterKey([u8; KEY_LEN]);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

impl MasterKey {
    /// The configured key if there is one, else the one in `dir`, which is made at the first start
    /// and is durable when this returns.
    pub fn open(
        dir: &Path,
        configured: Option<&Secret>,
        entropy: &dyn Entropy,
    ) -> Result<Self, SecretError> {
        if let Some(secret) = configured {
            let bytes = hex::decode(secret.reveal()).ok().and_then(|bytes| bytes.try_into().ok());
            return bytes.map(Self).ok_or(SecretError::Malformed("secrets.master_key"));
        }
        let path = dir.join(MASTER_KEY_FILE);
        match read_private(&path)? {
            Some(text) => {
                let text = String::from_utf8(text).unwrap_or_default();
                let bytes = hex::decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
                bytes.map(Self).ok_or(SecretError::Malformed(MASTER_KEY_FILE))
            }
            None if holds_keys(dir) => Err(SecretError::Missing { path }),
            None => {
                let mut key = [0; KEY_LEN];
                entropy.fill(&mut key);
                write_private(&path, format!("{}\n", hex::encode(key)).as_bytes())?;
                Ok(Self(key))
            }
        }
    }

    /// A key for one purpose (RFC 5869). The label is part of the stored format: never change one.
    pub fn derive(&self, label: &str) -> Result<[u8; KEY_LEN], SecretError> {
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"medrelay").extract(&self.0);
        let mut key = [0; KEY_LEN];
        let info = [label.as_bytes()];
        prk.expand(&info, hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut key))
            .map_err(|_| SecretError::Malformed("key label"))?;
        Ok(key)
    }

    /// The vault under this key.
    pub fn vault(&self) -> Result<Vault, SecretError> {
        Vault::new(&self.derive("vault v1")?)
    }

    /// The key of a keyed hash for one purpose, such as the audit chain or the pseudonyms in logs.
    pub fn mac(&self, label: &str) -> Result<Mac, SecretError> {
        Ok(Mac(hmac::Key::new(hmac::HMAC_SHA256, &self.derive(&format!("mac {label}"))?)))
    }
}

/// Wraps secrets that are stored: AES-256-GCM with a random 96-bit nonce, bound to a purpose.
#[derive(Debug)]
pub struct Vault(LessSafeKey);

impl Vault {
    fn new(key: &[u8; KEY_LEN]) -> Result<Self, SecretError> {
        let key = UnboundKey::new(&AES_256_GCM, key);
        key.map(|key| Self(LessSafeKey::new(key))).map_err(|_| SecretError::Malformed("vault key"))
    }

    /// Wraps `secret`. It can be opened with the same purpose only, so that one row's secret cannot
    /// be put into another.
    pub fn seal(
        &self,
        purpose: &str,
        secret: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<String, SecretError> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut sealed = secret.to_vec();
        let aad = Aad::from(purpose.as_bytes());
        let result =
            self.0.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed);
        result.map_err(|_| SecretError::Malformed("secret to seal"))?;
        Ok(format!("{SEAL_PREFIX}{}.{}", hex::encode(nonce), hex::encode(sealed)))
    }

    /// Unwraps what [`Vault::seal`] made for the same purpose.
    pub fn open(&self, purpose: &str, sealed: &str) -> Result<Vec<u8>, SecretError> {
        let text = sealed.strip_prefix(SEAL_PREFIX).ok_or(SecretError::NotOurs)?;
        let (nonce, body) = text.split_once('.').ok_or(SecretError::NotOurs)?;
        let nonce: [u8; NONCE_LEN] = hex::decode(nonce)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(SecretError::NotOurs)?;
        let mut bytes = hex::decode(body).map_err(|_| SecretError::NotOurs)?;
        let aad = Aad::from(purpose.as_bytes());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self.0.open_in_place(nonce, aad, &mut bytes);
        let length = opened.map_err(|_| SecretError::NotOurs)?.len();
        bytes.truncate(length);
        Ok(bytes)
    }
}

/// HMAC-SHA256 under a key of one purpose.
#[derive(Clone, Debug)]
pub struct Mac(hmac::Key);

impl Mac {
    /// The keyed hash of the parts, each preceded by its length so that no two lists of parts give
    /// the same input.
    pub fn of(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }
}

/// An Ed25519 key that signs reports.
#[derive(Debug)]
pub struct Signer(Ed25519KeyPair);

impl Signer {
    /// Makes a key pair and gives it with its seed wrapped by the vault, which is what gets stored.
    pub fn generate(
        vault: &Vault,
        purpose: &str,
        entropy: &dyn Entropy,
    ) -> Result<(Self, String), SecretError> {
        let mut seed = [0; KEY_LEN];
        entropy.fill(&mut seed);
        let sealed = vault.seal(purpose, &seed, entropy)?;
        Ok((Self::from_seed(&seed)?, sealed))
    }

    /// The key pair that [`Signer::generate`] wrapped.
    pub fn open(vault: &Vault, purpose: &str, sealed: &str) -> Result<Self, SecretError> {
        Self::from_seed(&vault.open(purpose, sealed)?)
    }

    fn from_seed(seed: &[u8]) -> Result<Self, SecretError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed);
        pair.map(Self).map_err(|_| SecretError::Malformed("signing key"))
    }

    /// The signature over `message` (64 bytes, RFC 8032).
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }

    /// The public key (32 bytes).
    pub fn public_key(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// A short name of the key: the first 8 bytes of the SHA-256 of its public half, in
    /// hexadecimal.
    pub fn key_id(&self) -> String {
        key_id(self.public_key())
    }
}

/// The short name of a public key, see [`Signer::key_id`].
pub fn key_id(public_key: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, public_key);
    hex::encode(&digest.as_ref()[..8])
}

/// Whether `signature` over `message` was made with the private half of `public_key`.
pub fn verify(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key).verify(message, signature).is_ok()
}

/// A token for another purpose that only whoever has `secret` can be given: HMAC-SHA256 in
/// hexadecimal. The secret does not follow from it.
pub fn derived_token(secret: &str, purpose: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hex::encode(hmac::sign(&key, purpose.as_bytes()))
}

/// A token that cannot be guessed: 32 random bytes in hexadecimal.
pub fn random_token(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes);
    hex::encode(bytes)
}

/// Whether a key directory has been in use: a new master key there would make the others useless.
fn holds_keys(dir: &Path) -> bool {
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    files.into_iter().any(|file| file.path().extension().is_some_and(|ending| ending == "key"))
}

/// Reads a file that only its owner may read; `None` if there is none.
pub(crate) fn read_private(path: &Path) -> Result<Option<Vec<u8>>, SecretError> {
    let failed = |source| SecretError::File { path: path.to_owned(), source };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SecretError::TooOpen { path: path.to_owned(), mode });
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}

/// Makes a directory that only its owner may enter.
pub(crate) fn private_dir(path: &Path) -> Result<(), SecretError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| SecretError::File { path: path.to_owned(), source })
}

/// Writes a file that only its owner may read, durably: temporary name, fsync, rename, directory
/// fsync.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), SecretError> {
    write_durably(path, bytes).map_err(|source| SecretError::File { path: path.to_owned(), source })
}

fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let temporary = path.with_extension("new");
    // A remainder of an interrupted start may have other permissions: begin afresh.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(dir)?.sync_all()?;
    match dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use medrelay_core::time::SeededEntropy;

    fn key(seed: u64) -> MasterKey {
        let dir = tempfile::tempdir().expect("a temporary directory");
        MasterKey::open(dir.path(), None, &SeededEntropy::new(seed)).expect("a new key")
    }

    #[test]
    fn the_master_key_is_made_once_and_private() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let keys = dir.path().join("data/keys");
        let entropy = SeededEntropy::new(1);
        let first = MasterKey::open(&keys, None, &entropy).expect("made");
        let again = MasterKey::open(&keys, None, &entropy).expect("read");
        assert_eq!(first.0, again.0);
        let path = keys.join(MASTER_KEY_FILE);
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&keys)), (0o600, 0o700));

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("ours");
        let error = MasterKey::open(&keys, None, &entropy).expect_err("open to the group");
        assert!(matches!(error, SecretError::TooOpen { mode: 0o640, .. }), "{error}");

        fs::write(&path, "short").expect("ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("ours");
        let error = MasterKey::open(&keys, None, &entropy).expect_err("too short");
        assert!(matches!(error, SecretError::Malformed(_)), "a damaged key is never replaced");
    }

    #[test]
    fn a_lost_master_key_is_not_replaced_while_others_hang_on_it() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::write(dir.path().join("ca.key"), "v1.00.00").expect("written");
        let error = MasterKey::open(dir.path(), None, &SeededEntropy::new(1)).expect_err("lost");
        assert!(matches!(error, SecretError::Missing { .. }), "{error}");
        assert!(!dir.path().join(MASTER_KEY_FILE).exists());
    }

    #[test]
    fn a_configured_key_needs_no_file() {
        let secret = Secret::new("ab".repeat(32));
        let nowhere = Path::new("/nonexistent/keys");
        let key = MasterKey::open(nowhere, Some(&secret), &SeededEntropy::new(1)).expect("given");
        assert_eq!(key.0, [0xab; 32]);
        assert_eq!(format!("{key:?}"), "MasterKey(..)");
    }

    #[test]
    fn derived_keys_differ_by_label_and_stay_the_same() {
        let secret = Secret::new("00".repeat(32));
        let key = MasterKey::open(Path::new("/"), Some(&secret), &SeededEntropy::new(1));
        let key = key.expect("given");
        let a = key.derive("a").expect("derived");
        assert_ne!(a, key.derive("b").expect("derived"));
        assert_eq!(a, key.derive("a").expect("derived"));
        let known = hex::encode(key.derive("vault v1").expect("derived"));
        // Computed independently with Python: hmac over RFC 5869 steps. A change here makes every
        // stored secret unreadable.
        assert_eq!(known, KNOWN_VAULT_KEY);
    }

    const KNOWN_VAULT_KEY: &str =
        "be62a4a74b0f68d704651935a3419b9b3453106076b5e857d41918e11c4ac1c4";

    #[test]
    fn the_vault_opens_only_what_it_sealed_for_that_purpose() {
        let entropy = SeededEntropy::new(7);
        let vault = key(1).vault().expect("a vault");
        let sealed = vault.seal("signer:1", b"seed", &entropy).expect("sealed");
        assert_eq!(vault.open("signer:1", &sealed).expect("ours"), b"seed");
        assert_ne!(sealed, vault.seal("signer:1", b"seed", &entropy).expect("sealed"));
        assert!(vault.open("signer:2", &sealed).is_err());
        assert!(key(2).vault().expect("a vault").open("signer:1", &sealed).is_err());
        for i in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[i] = if changed[i] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert!(vault.open("signer:1", &changed).is_err(), "byte {i}");
        }
        assert!(vault.open("signer:1", "").is_err());
    }

    #[test]
    fn signatures_hold_for_one_message_and_one_key() {
        let entropy = SeededEntropy::new(3);
        let vault = key(1).vault().expect("a vault");
        let (signer, sealed) = Signer::generate(&vault, "signer", &entropy).expect("made");
        let again = Signer::open(&vault, "signer", &sealed).expect("opened");
        assert_eq!(signer.public_key(), again.public_key());
        assert_eq!(signer.key_id().len(), 16);
        let signature = again.sign(b"report");
        assert!(verify(signer.public_key(), b"report", &signature));
        assert!(!verify(signer.public_key(), b"Report", &signature));
        let (other, _) = Signer::generate(&vault, "signer", &entropy).expect("made");
        assert!(!verify(other.public_key(), b"report", &signature));
        assert!(!verify(b"no key", b"report", &signature));
    }

    #[test]
    fn keyed_hashes_tell_parts_apart() {
        let mac = key(1).mac("audit").expect("a key");
        assert_ne!(mac.of(&[b"ab", b"c"]), mac.of(&[b"a", b"bc"]));
        assert_eq!(mac.of(&[b"ab"]), mac.of(&[b"ab"]));
        assert_ne!(mac.of(&[b"ab"]), key(1).mac("other").expect("a key").of(&[b"ab"]));
    }

    #[test]
    fn a_derived_token_is_the_same_for_one_secret_and_purpose() {
        let token = derived_token("secret", "a page");
        assert_eq!(token, derived_token("secret", "a page"));
        assert_ne!(token, derived_token("secret", "another"));
        assert_ne!(token, derived_token("Secret", "a page"));
        assert_eq!(token.len(), 64);
    }

    #[test]
    fn tokens_are_long_and_new_each_time() {
        let entropy = crate::system::SystemEntropy;
        let token = random_token(&entropy);
        assert_eq!(token.len(), 64);
        assert_ne!(token, random_token(&entropy));
    }
}
