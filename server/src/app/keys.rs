//! The keys that all servers of one relay share: they lie in the database, wrapped by the vault.

use anyhow::Context as _;

use crate::config::Config;
use crate::secrets::{Signer, Vault};
use crate::store::{Db, RelayKey};
use crate::tls::{self, ClinicAuthority};

use super::Ambient;

/// Name of the authority that gateways trust.
const AUTHORITY: &str = "authority";
/// Name of the key that signs receipts, and what its seal is bound to.
const RECEIPTS: &str = "receipts";
const RECEIPTS_PURPOSE: &str = "receipt key";

/// The authority of the clinic link: that of the database, and before there is one, that of this
/// server's key directory, so that one root serves browsers and gateways.
pub(super) async fn authority(
    config: &Config,
    db: &Db,
    vault: &Vault,
    ambient: &Ambient,
) -> anyhow::Result<ClinicAuthority> {
    let kept = match stored(db, AUTHORITY).await? {
        Some(kept) => kept,
        None => {
            let now = ambient.clock.now();
            let (public, sealed) =
                tls::root_files(&config.keys_dir(), vault, now, &*ambient.entropy)
                    .context("the authority of the clinic link cannot be made")?;
            keep(db, AUTHORITY, &RelayKey { public, sealed }, ambient).await?
        }
    };
    ClinicAuthority::open(&kept.public, &kept.sealed, vault)
        .context("the authority of the clinic link cannot be opened")
}

/// The key that signs receipts.
pub(super) async fn receipts(db: &Db, vault: &Vault, ambient: &Ambient) -> anyhow::Result<Signer> {
    let kept = match stored(db, RECEIPTS).await? {
        Some(kept) => kept,
        None => {
            let (signer, sealed) = Signer::generate(vault, RECEIPTS_PURPOSE, &*ambient.entropy)
                .context("the key for receipts cannot be made")?;
            let new = RelayKey { public: hex::encode(signer.public_key()), sealed };
            keep(db, RECEIPTS, &new, ambient).await?
        }
    };
    Signer::open(vault, RECEIPTS_PURPOSE, &kept.sealed)
        .context("the key for receipts cannot be opened")
}

async fn stored(db: &Db, name: &str) -> anyhow::Result<Option<RelayKey>> {
    let found = async { db.read().await?.relay_key(name).await }.await;
    found.context("the keys of the relay cannot be read")
}

/// Keeps a key, or finds that another server was faster.
async fn keep(db: &Db, name: &str, new: &RelayKey, ambient: &Ambient) -> anyhow::Result<RelayKey> {
    let kept = async {
        let mut tx = db.write().await?;
        let kept = tx.keep_relay_key(name, new, ambient.clock.now()).await?;
        tx.commit().await?;
        Ok::<_, crate::store::StoreError>(kept)
    };
    kept.await.context("the keys of the relay cannot be kept")
}
