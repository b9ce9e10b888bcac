//! How people like their screen: one JSON object each.

use medrelay_core::id::PersonId;
use medrelay_core::time::Timestamp;

use super::{Columns, StoreError, Tx, statement};

/// Somebody's preferences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preferences {
    /// A JSON object.
    pub body: String,
    /// Number of its state; 0 when nothing was saved yet.
    pub version: i64,
}

impl Tx {
    /// The preferences of a person; an empty object if they have none.
    pub async fn preferences(&mut self, person: &PersonId) -> Result<Preferences, StoreError> {
        let query = statement("SELECT body, version FROM preferences WHERE person_id = $1");
        match self.one(query.bind(person.as_str().to_owned())).await? {
            Some(row) => Ok(Preferences { body: row.text("body")?, version: row.int("version")? }),
            None => Ok(Preferences { body: "{}".to_owned(), version: 0 }),
        }
    }

    /// Saves preferences where `version` is still the one that was read (0: none were);
    /// [`StoreError::Lost`] if another window was faster.
    pub async fn save_preferences(
        &mut self,
        person: &PersonId,
        changed: &Preferences,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let text = if changed.version == 0 {
            "INSERT INTO preferences (person_id, body, saved_at, version) \
             VALUES ($1, $2, $3, $4 + 1) ON CONFLICT (person_id) DO NOTHING"
        } else {
            "UPDATE preferences SET body = $2, saved_at = $3, version = version + 1 \
             WHERE person_id = $1 AND version = $4"
        };
        self.change_one(
            statement(text)
                .bind(person.as_str().to_owned())
                .bind(changed.body.clone())
                .bind(now.micros())
                .bind(changed.version),
        )
        .await
    }
}
