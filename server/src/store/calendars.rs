//! Working hours and holidays of organizations.

use medrelay_core::id::OrganizationId;

use super::{Columns, StoreError, Tx, statement};

impl Tx {
    /// The calendar of an organization, JSON, and the number of its state.
    pub async fn calendar(
        &mut self,
        organization: &OrganizationId,
    ) -> Result<Option<(String, i64)>, StoreError> {
        let query = statement("SELECT body, version FROM calendars WHERE organization_id = $1");
        let row = self.one(query.bind(organization.to_string())).await?;
        row.map(|row| Ok((row.text("body")?, row.int("version")?))).transpose()
    }

    /// Writes a calendar where `version` is still the one that was loaded; 0 for none so far.
    pub async fn save_calendar(
        &mut self,
        organization: &OrganizationId,
        body: &str,
        version: i64,
    ) -> Result<(), StoreError> {
        let query = if version == 0 {
            statement(
                "INSERT INTO calendars (organization_id, body, version) VALUES ($1, $2, $3 + 1) \
                 ON CONFLICT DO NOTHING",
            )
        } else {
            statement(
                "UPDATE calendars SET body = $2, version = version + 1 \
                 WHERE organization_id = $1 AND version = $3",
            )
        };
        let query = query.bind(organization.to_string()).bind(body.to_owned()).bind(version);
        self.change_one(query).await
    }
}
