//! Invitations of people to choose a password: one-time secrets, kept as hashes.

use sqlx::any::AnyRow;

use medrelay_core::id::PersonId;
use medrelay_core::time::Timestamp;

use super::{Columns, StoreError, Tx, parsed, statement};

/// An invitation to choose a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonInvitation {
    /// Who is invited.
    pub person: PersonId,
    /// Who invited: as the audit trail names them.
    pub invited_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

impl Tx {
    /// Keeps an invitation under the SHA-256 (hex) of its secret; those that the person had are
    /// worth nothing from here on.
    pub async fn replace_person_invitation(
        &mut self,
        new: &PersonInvitation,
        token_hash: &str,
    ) -> Result<(), StoreError> {
        self.withdraw_person_invitations(&new.person, new.created_at).await?;
        self.change_one(
            statement(
                "INSERT INTO invitations (token_hash, person_id, invited_by, created_at, \
                 expires_at, used_at, withdrawn_at) VALUES ($1, $2, $3, $4, $5, NULL, NULL)",
            )
            .bind(token_hash.to_owned())
            .bind(new.person.as_str().to_owned())
            .bind(new.invited_by.clone())
            .bind(new.created_at.micros())
            .bind(new.expires_at.micros()),
        )
        .await
    }

    /// Withdraws every invitation of a person that was not used.
    pub async fn withdraw_person_invitations(
        &mut self,
        person: &PersonId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.run(
            statement(
                "UPDATE invitations SET withdrawn_at = $2 \
                 WHERE person_id = $1 AND used_at IS NULL AND withdrawn_at IS NULL",
            )
            .bind(person.as_str().to_owned())
            .bind(now.micros()),
        )
        .await?;
        Ok(())
    }

    /// The invitation with this secret, if it is good at `now`.
    pub async fn good_person_invitation(
        &mut self,
        token_hash: &str,
        now: Timestamp,
    ) -> Result<Option<PersonInvitation>, StoreError> {
        let row = self
            .one(
                statement(
                    "SELECT * FROM invitations WHERE token_hash = $1 AND used_at IS NULL \
                     AND withdrawn_at IS NULL AND expires_at > $2",
                )
                .bind(token_hash.to_owned())
                .bind(now.micros()),
            )
            .await?;
        row.as_ref().map(invitation).transpose()
    }

    /// Uses an invitation up; [`StoreError::Lost`] if it is no longer good.
    pub async fn use_person_invitation(
        &mut self,
        token_hash: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "UPDATE invitations SET used_at = $2 WHERE token_hash = $1 AND used_at IS NULL \
                 AND withdrawn_at IS NULL AND expires_at > $2",
            )
            .bind(token_hash.to_owned())
            .bind(now.micros()),
        )
        .await
    }
}

fn invitation(row: &AnyRow) -> Result<PersonInvitation, StoreError> {
    Ok(PersonInvitation {
        person: parsed(PersonId::parse(&row.text("person_id")?), "invitations")?,
        invited_by: row.text("invited_by")?,
        created_at: Timestamp::from_micros(row.int("created_at")?),
        expires_at: Timestamp::from_micros(row.int("expires_at")?),
    })
}
