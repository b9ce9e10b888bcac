//! Keys of the relay as a whole: the same on every server that shares the database.

use medrelay_core::time::Timestamp;

use super::{Columns, StoreError, Tx, statement};

/// A key pair of the relay, its private half wrapped by the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayKey {
    /// The certificate (PEM), or the public key (hexadecimal).
    pub public: String,
    /// The private key as the vault sealed it.
    pub sealed: String,
}

impl Tx {
    /// The key of this name, if one was made.
    pub async fn relay_key(&mut self, name: &str) -> Result<Option<RelayKey>, StoreError> {
        let query = statement("SELECT public, sealed FROM relay_keys WHERE name = $1");
        let row = self.one(query.bind(name.to_owned())).await?;
        row.map(|row| Ok(RelayKey { public: row.text("public")?, sealed: row.text("sealed")? }))
            .transpose()
    }

    /// Keeps a key unless there is one of this name, and answers with the one that is there now.
    pub async fn keep_relay_key(
        &mut self,
        name: &str,
        new: &RelayKey,
        now: Timestamp,
    ) -> Result<RelayKey, StoreError> {
        let query = statement(
            "INSERT INTO relay_keys (name, public, sealed, made_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT DO NOTHING",
        );
        let query = query.bind(name.to_owned()).bind(new.public.clone());
        self.run(query.bind(new.sealed.clone()).bind(now.micros())).await?;
        self.relay_key(name).await?.ok_or(StoreError::Lost)
    }
}
