//! Second factors: the wrapped secret of an account, the steps of time whose codes are used up, and
//! the recovery codes.

use sqlx::any::AnyRow;

use medrelay_core::id::PersonId;
use medrelay_core::time::Timestamp;

use super::{Columns, StoreError, Tx, parsed, statement};

/// The second factor of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondFactor {
    /// Whose.
    pub person: PersonId,
    /// The shared secret, wrapped by the vault.
    pub sealed: String,
    /// Since when it is asked for; `None` until the first code was right.
    pub confirmed_at: Option<Timestamp>,
    /// The last step of time whose code was used.
    pub last_step: i64,
}

impl Tx {
    /// Writes a secret that is to be confirmed; false if a confirmed one is there, which stays.
    pub async fn propose_second_factor(
        &mut self,
        person: &PersonId,
        sealed: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let changed = self
            .run(
                statement(
                    "INSERT INTO second_factors (person_id, sealed, created_at, confirmed_at, \
                     last_step) VALUES ($1, $2, $3, NULL, 0) ON CONFLICT (person_id) DO UPDATE SET \
                     sealed = excluded.sealed, created_at = excluded.created_at, last_step = 0 \
                     WHERE second_factors.confirmed_at IS NULL",
                )
                .bind(person.as_str().to_owned())
                .bind(sealed.to_owned())
                .bind(now.micros()),
            )
            .await?;
        Ok(changed > 0)
    }

    /// The second factor of a person, confirmed or not, which is held until the commit: guesses
    /// that are made side by side come one after the other.
    pub async fn hold_second_factor(
        &mut self,
        person: &PersonId,
    ) -> Result<Option<SecondFactor>, StoreError> {
        let query = statement(
            "UPDATE second_factors SET last_step = last_step WHERE person_id = $1 RETURNING *",
        );
        let row = self.one(query.bind(person.as_str().to_owned())).await?;
        row.as_ref().map(second_factor).transpose()
    }

    /// From now on the second factor is asked for; false if it is another secret by now.
    pub async fn confirm_second_factor(
        &mut self,
        factor: &SecondFactor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let changed = self
            .run(
                statement(
                    "UPDATE second_factors SET confirmed_at = $3 \
                     WHERE person_id = $1 AND sealed = $2 AND confirmed_at IS NULL",
                )
                .bind(factor.person.as_str().to_owned())
                .bind(factor.sealed.clone())
                .bind(now.micros()),
            )
            .await?;
        Ok(changed > 0)
    }

    /// Uses the code of a step up, and those of every step before it; false if it was.
    pub async fn use_second_factor_step(
        &mut self,
        factor: &SecondFactor,
        step: i64,
    ) -> Result<bool, StoreError> {
        let changed = self
            .run(
                statement(
                    "UPDATE second_factors SET last_step = $3 \
                     WHERE person_id = $1 AND sealed = $2 AND last_step < $3",
                )
                .bind(factor.person.as_str().to_owned())
                .bind(factor.sealed.clone())
                .bind(step),
            )
            .await?;
        Ok(changed > 0)
    }

    /// Removes the second factor of a person and their recovery codes; false if there was none.
    pub async fn delete_second_factor(&mut self, person: &PersonId) -> Result<bool, StoreError> {
        let codes = statement("DELETE FROM recovery_codes WHERE person_id = $1");
        self.run(codes.bind(person.as_str().to_owned())).await?;
        let factor = statement("DELETE FROM second_factors WHERE person_id = $1");
        Ok(self.run(factor.bind(person.as_str().to_owned())).await? > 0)
    }

    /// Gives a person new recovery codes, by their hashes; older ones are worth nothing.
    pub async fn replace_recovery_codes(
        &mut self,
        person: &PersonId,
        hashes: &[String],
    ) -> Result<(), StoreError> {
        let old = statement("DELETE FROM recovery_codes WHERE person_id = $1");
        self.run(old.bind(person.as_str().to_owned())).await?;
        for hash in hashes {
            self.change_one(
                statement(
                    "INSERT INTO recovery_codes (person_id, code_hash, used_at) \
                     VALUES ($1, $2, NULL)",
                )
                .bind(person.as_str().to_owned())
                .bind(hash.clone()),
            )
            .await?;
        }
        Ok(())
    }

    /// Uses a recovery code up; false if there is none with this hash, or it was used.
    pub async fn use_recovery_code(
        &mut self,
        person: &PersonId,
        hash: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let changed = self
            .run(
                statement(
                    "UPDATE recovery_codes SET used_at = $3 \
                     WHERE person_id = $1 AND code_hash = $2 AND used_at IS NULL",
                )
                .bind(person.as_str().to_owned())
                .bind(hash.to_owned())
                .bind(now.micros()),
            )
            .await?;
        Ok(changed > 0)
    }

    /// How many recovery codes a person has left.
    pub async fn recovery_codes_left(&mut self, person: &PersonId) -> Result<i64, StoreError> {
        let query = statement(
            "SELECT COUNT(*) AS n FROM recovery_codes WHERE person_id = $1 AND used_at IS NULL",
        );
        let row = self.one(query.bind(person.as_str().to_owned())).await?;
        row.map_or(Ok(0), |row| row.int("n"))
    }
}

fn second_factor(row: &AnyRow) -> Result<SecondFactor, StoreError> {
    Ok(SecondFactor {
        person: parsed(PersonId::parse(&row.text("person_id")?), "second_factors")?,
        sealed: row.text("sealed")?,
        confirmed_at: row.maybe_int("confirmed_at")?.map(Timestamp::from_micros),
        last_step: row.int("last_step")?,
    })
}
