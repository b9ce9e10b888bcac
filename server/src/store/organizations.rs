//! Organizations: the tree of the consortium.

use sqlx::any::AnyRow;

use medrelay_core::access::Scope;
use medrelay_core::id::OrganizationId;
use medrelay_core::people::OrganizationKind;
use medrelay_core::time::Timestamp;

use super::{Columns, StoreError, Tx, assembled, known, parsed, statement, within};

/// A hospital or clinic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its identifier.
    pub id: OrganizationId,
    /// Every organization above it, nearest first; empty for the top of a tree.
    pub above: Vec<OrganizationId>,
    /// What kind of place it is.
    pub kind: OrganizationKind,
    /// Its name.
    pub name: String,
    /// Since when it is closed.
    pub closed_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Number of the row's state.
    pub version: i64,
}

impl Organization {
    /// The organization directly above it.
    pub fn parent(&self) -> Option<&OrganizationId> {
        self.above.first()
    }
}

impl Tx {
    /// Adds an organization.
    pub async fn insert_organization(&mut self, new: &Organization) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "INSERT INTO organizations (id, parent_id, kind, name, above, closed_at, \
                 created_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(new.id.as_str().to_owned())
            .bind(new.parent().map(|id| id.as_str().to_owned()))
            .bind(new.kind.as_str().to_owned())
            .bind(new.name.clone())
            .bind(json_list(&new.above))
            .bind(new.closed_at.map(Timestamp::micros))
            .bind(new.created_at.micros())
            .bind(new.version),
        )
        .await
    }

    /// Saves the name and whether it is closed, where `version` is still the one that was loaded.
    pub async fn save_organization(&mut self, changed: &Organization) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "UPDATE organizations SET name = $3, closed_at = $4, version = version + 1 \
                 WHERE id = $1 AND version = $2",
            )
            .bind(changed.id.as_str().to_owned())
            .bind(changed.version)
            .bind(changed.name.clone())
            .bind(changed.closed_at.map(Timestamp::micros)),
        )
        .await
    }

    /// Makes other writers that say the same of this organization wait until this transaction is
    /// over: what is checked about its agreements stays true until it is written.
    pub async fn hold_organization(&mut self, id: &OrganizationId) -> Result<(), StoreError> {
        self.change_one(
            statement("UPDATE organizations SET version = version WHERE id = $1")
                .bind(id.as_str().to_owned()),
        )
        .await
    }

    /// One organization.
    pub async fn organization(
        &mut self,
        id: &OrganizationId,
    ) -> Result<Option<Organization>, StoreError> {
        let row = self
            .one(
                statement("SELECT * FROM organizations WHERE id = $1").bind(id.as_str().to_owned()),
            )
            .await?;
        row.as_ref().map(organization).transpose()
    }

    /// The organizations above one, nearest first; empty for one that does not exist.
    pub async fn organizations_above(
        &mut self,
        id: &OrganizationId,
    ) -> Result<Vec<OrganizationId>, StoreError> {
        let row = self
            .one(
                statement("SELECT above FROM organizations WHERE id = $1")
                    .bind(id.as_str().to_owned()),
            )
            .await?;
        row.map_or(Ok(Vec::new()), |row| {
            parsed(serde_json::from_str(&row.text("above")?), "organizations")
        })
    }

    /// Organizations after `after` in the order of their making that are within `scope` (`None`:
    /// every one); a centre's people see the clinics of its agreements in force at `now`.
    pub async fn organizations(
        &mut self,
        scope: Option<&Scope>,
        now: Timestamp,
        after: Option<&OrganizationId>,
        limit: i64,
    ) -> Result<Vec<Organization>, StoreError> {
        let partner = "organizations.id IN (SELECT clinic_id FROM agreements \
             WHERE centre_id IN ({}) AND valid_from <= $2 AND (valid_to IS NULL OR valid_to > $2))";
        let (filter, binds) = match scope {
            Some(scope) => within(scope, "organizations.id", partner, 4),
            None => ("1 = 1".to_owned(), Vec::new()),
        };
        let mut query = assembled(format!(
            "SELECT organizations.* FROM organizations \
             WHERE (CAST($1 AS TEXT) IS NULL OR organizations.id > $1) \
             AND CAST($2 AS BIGINT) IS NOT NULL AND {filter} ORDER BY organizations.id LIMIT $3"
        ))
        .bind(after.map(|id| id.as_str().to_owned()))
        .bind(now.micros())
        .bind(limit);
        for value in binds {
            query = query.bind(value);
        }
        self.all(query).await?.iter().map(organization).collect()
    }

    /// How many organizations directly below one are not closed.
    pub async fn open_organizations_below(
        &mut self,
        id: &OrganizationId,
    ) -> Result<i64, StoreError> {
        let row = self
            .one(
                statement(
                    "SELECT COUNT(*) AS n FROM organizations \
                     WHERE parent_id = $1 AND closed_at IS NULL",
                )
                .bind(id.as_str().to_owned()),
            )
            .await?;
        row.map_or(Ok(0), |row| row.int("n"))
    }
}

fn organization(row: &AnyRow) -> Result<Organization, StoreError> {
    Ok(Organization {
        id: parsed(OrganizationId::parse(&row.text("id")?), "organizations")?,
        above: parsed(serde_json::from_str(&row.text("above")?), "organizations")?,
        kind: known(OrganizationKind::parse(&row.text("kind")?), "organizations")?,
        name: row.text("name")?,
        closed_at: row.maybe_int("closed_at")?.map(Timestamp::from_micros),
        created_at: Timestamp::from_micros(row.int("created_at")?),
        version: row.int("version")?,
    })
}

/// A list of texts as the JSON that a column holds.
pub(super) fn json_list<T: serde::Serialize>(list: &[T]) -> String {
    // Texts only: nothing here can fail to serialize.
    serde_json::to_string(list).unwrap_or_else(|_| "[]".to_owned())
}
