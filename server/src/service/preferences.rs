//! How people like their screen. The relay keeps it and does not know what it means.

use serde_json::Value;

use super::{Caller, Error, Service};
use crate::store::Preferences;

/// The longest text of somebody's preferences, in bytes.
const BODY_BYTES: usize = 64 << 10;

impl Service {
    /// The caller's preferences; an empty object with version 0 if they have saved none.
    pub async fn preferences(&self, caller: &Caller) -> Result<(Value, i64), Error> {
        let stored = self.db().read().await?.preferences(caller.person()?).await?;
        Ok((serde_json::from_str(&stored.body).unwrap_or_default(), stored.version))
    }

    /// Saves the caller's preferences over the state that was read; their new version.
    pub async fn save_preferences(
        &self,
        caller: &Caller,
        body: &Value,
        version: i64,
    ) -> Result<i64, Error> {
        let person = caller.person()?;
        if !body.is_object() {
            return Err(Error::invalid("body", "must be an object"));
        }
        let body = body.to_string();
        if body.len() > BODY_BYTES {
            return Err(Error::invalid("body", "must have at most 65536 bytes"));
        }
        if version < 0 {
            return Err(Error::VersionConflict);
        }
        let mut tx = self.db().write().await?;
        tx.save_preferences(person, &Preferences { body, version }, self.now()).await?;
        tx.commit().await?;
        Ok(version + 1)
    }
}
