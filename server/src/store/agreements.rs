//! Agreements between clinics and centres, and the destinations that their reports go to.

use sqlx::any::AnyRow;

use medrelay_core::access::Scope;
use medrelay_core::delivery::Route;
use medrelay_core::id::{AgreementId, DestinationId, OrganizationId};
use medrelay_core::people::{Agreement, SigningPolicy};
use medrelay_core::time::Timestamp;

use super::organizations::json_list;
use super::{Columns, StoreError, Tx, assembled, known, parsed, statement, within};

/// An agreement with what the row says beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreementRecord {
    /// The agreement itself.
    pub agreement: Agreement,
    /// Name of the clinic.
    pub clinic_name: String,
    /// Name of the centre.
    pub centre_name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Number of the row's state.
    pub version: i64,
}

/// A place that reports of an agreement go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Its identifier.
    pub id: DestinationId,
    /// Whose reports go there.
    pub agreement: AgreementId,
    /// By which way.
    pub route: Route,
    /// What people call it.
    pub name: String,
    /// How to reach it, as JSON: `{}` for the inbox, a `DicomAddress` for DICOM.
    pub settings: String,
    /// Since when nothing new goes there.
    pub removed_at: Option<Timestamp>,
    /// When it was added.
    pub created_at: Timestamp,
}

const WITH_NAMES: &str = "SELECT agreements.*, clinic.name AS clinic_name, \
     centre.name AS centre_name FROM agreements \
     JOIN organizations clinic ON clinic.id = agreements.clinic_id \
     JOIN organizations centre ON centre.id = agreements.centre_id";

impl Tx {
    /// Adds an agreement.
    pub async fn insert_agreement(
        &mut self,
        new: &Agreement,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "INSERT INTO agreements (id, clinic_id, centre_id, modalities, limits, policy, \
                 weight, valid_from, valid_to, created_at, version) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1)",
            )
            .bind(new.id.as_str().to_owned())
            .bind(new.clinic.as_str().to_owned())
            .bind(new.centre.as_str().to_owned())
            .bind(json_list(&new.modalities))
            .bind(limits_text(new))
            .bind(new.policy.as_str().to_owned())
            .bind(new.weight)
            .bind(new.valid_from.micros())
            .bind(new.valid_to.map(Timestamp::micros))
            .bind(now.micros()),
        )
        .await
    }

    /// Saves everything but the two sides, where `version` is still the one that was loaded.
    pub async fn save_agreement(
        &mut self,
        changed: &Agreement,
        version: i64,
    ) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "UPDATE agreements SET modalities = $3, limits = $4, policy = $5, weight = $6, \
                 valid_from = $7, valid_to = $8, version = version + 1 \
                 WHERE id = $1 AND version = $2",
            )
            .bind(changed.id.as_str().to_owned())
            .bind(version)
            .bind(json_list(&changed.modalities))
            .bind(limits_text(changed))
            .bind(changed.policy.as_str().to_owned())
            .bind(changed.weight)
            .bind(changed.valid_from.micros())
            .bind(changed.valid_to.map(Timestamp::micros)),
        )
        .await
    }

    /// One agreement.
    pub async fn agreement(&mut self, id: &AgreementId) -> Result<Option<Agreement>, StoreError> {
        let row = self
            .one(statement("SELECT * FROM agreements WHERE id = $1").bind(id.as_str().to_owned()))
            .await?;
        row.as_ref().map(agreement).transpose()
    }

    /// One agreement with the names of its sides.
    pub async fn agreement_record(
        &mut self,
        id: &AgreementId,
    ) -> Result<Option<AgreementRecord>, StoreError> {
        let row = self
            .one(
                assembled(format!("{WITH_NAMES} WHERE agreements.id = $1"))
                    .bind(id.as_str().to_owned()),
            )
            .await?;
        row.as_ref().map(record).transpose()
    }

    /// Every agreement of a clinic, over or not, oldest first.
    pub async fn agreements_of_clinic(
        &mut self,
        clinic: &OrganizationId,
    ) -> Result<Vec<Agreement>, StoreError> {
        let rows = self
            .all(
                statement("SELECT * FROM agreements WHERE clinic_id = $1 ORDER BY id")
                    .bind(clinic.as_str().to_owned()),
            )
            .await?;
        rows.iter().map(agreement).collect()
    }

    /// Every agreement of a centre, over or not, oldest first.
    pub async fn agreements_of_centre(
        &mut self,
        centre: &OrganizationId,
    ) -> Result<Vec<Agreement>, StoreError> {
        let rows = self
            .all(
                statement("SELECT * FROM agreements WHERE centre_id = $1 ORDER BY id")
                    .bind(centre.as_str().to_owned()),
            )
            .await?;
        rows.iter().map(agreement).collect()
    }

    /// Agreements after `after` in the order of their making: those whose clinic is within
    /// `reading` (the centre's people see those in force at `now`), and those whose centre is
    /// within `managing`. `None` for both: every one.
    pub async fn agreements(
        &mut self,
        scopes: Option<(&Scope, &Scope)>,
        now: Timestamp,
        after: Option<&AgreementId>,
        limit: i64,
    ) -> Result<Vec<AgreementRecord>, StoreError> {
        let partner = "(agreements.centre_id IN ({}) AND agreements.valid_from <= $2 \
             AND (agreements.valid_to IS NULL OR agreements.valid_to > $2))";
        let (filter, binds) = match scopes {
            Some((reading, managing)) => {
                let (clinic, mut binds) = within(reading, "agreements.clinic_id", partner, 4);
                let (centre, more) =
                    within(managing, "agreements.centre_id", partner, 4 + binds.len());
                binds.extend(more);
                (format!("({clinic} OR {centre})"), binds)
            }
            None => ("1 = 1".to_owned(), Vec::new()),
        };
        let mut query = assembled(format!(
            "{WITH_NAMES} WHERE (CAST($1 AS TEXT) IS NULL OR agreements.id > $1) \
             AND CAST($2 AS BIGINT) IS NOT NULL AND {filter} ORDER BY agreements.id LIMIT $3"
        ))
        .bind(after.map(|id| id.as_str().to_owned()))
        .bind(now.micros())
        .bind(limit);
        for value in binds {
            query = query.bind(value);
        }
        self.all(query).await?.iter().map(record).collect()
    }

    /// Adds a destination.
    pub async fn insert_destination(&mut self, new: &Destination) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "INSERT INTO destinations (id, agreement_id, route, name, settings, removed_at, \
                 created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(new.id.as_str().to_owned())
            .bind(new.agreement.as_str().to_owned())
            .bind(new.route.as_str().to_owned())
            .bind(new.name.clone())
            .bind(new.settings.clone())
            .bind(new.removed_at.map(Timestamp::micros))
            .bind(new.created_at.micros()),
        )
        .await
    }

    /// Removes a destination: nothing new goes there. [`StoreError::Lost`] if it was removed.
    pub async fn remove_destination(
        &mut self,
        id: &DestinationId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "UPDATE destinations SET removed_at = $2 WHERE id = $1 AND removed_at IS NULL",
            )
            .bind(id.as_str().to_owned())
            .bind(now.micros()),
        )
        .await
    }

    /// The destinations of an agreement that are not removed, oldest first.
    pub async fn destinations_of_agreement(
        &mut self,
        agreement: &AgreementId,
    ) -> Result<Vec<Destination>, StoreError> {
        let rows = self
            .all(
                statement(
                    "SELECT * FROM destinations WHERE agreement_id = $1 AND removed_at IS NULL \
                     ORDER BY id",
                )
                .bind(agreement.as_str().to_owned()),
            )
            .await?;
        rows.iter().map(destination).collect()
    }

    /// One destination, removed or not: deliveries made before still go there.
    pub async fn destination(
        &mut self,
        id: &DestinationId,
    ) -> Result<Option<Destination>, StoreError> {
        let row = self
            .one(statement("SELECT * FROM destinations WHERE id = $1").bind(id.as_str().to_owned()))
            .await?;
        row.as_ref().map(destination).transpose()
    }
}

fn limits_text(agreement: &Agreement) -> String {
    // Three integers: this cannot fail to serialize.
    serde_json::to_string(&agreement.limits).unwrap_or_default()
}

fn agreement(row: &AnyRow) -> Result<Agreement, StoreError> {
    const TABLE: &str = "agreements";
    Ok(Agreement {
        id: parsed(AgreementId::parse(&row.text("id")?), TABLE)?,
        clinic: parsed(OrganizationId::parse(&row.text("clinic_id")?), TABLE)?,
        centre: parsed(OrganizationId::parse(&row.text("centre_id")?), TABLE)?,
        modalities: parsed(serde_json::from_str(&row.text("modalities")?), TABLE)?,
        limits: parsed(serde_json::from_str(&row.text("limits")?), TABLE)?,
        policy: known(SigningPolicy::parse(&row.text("policy")?), TABLE)?,
        weight: row.int("weight")?,
        valid_from: Timestamp::from_micros(row.int("valid_from")?),
        valid_to: row.maybe_int("valid_to")?.map(Timestamp::from_micros),
    })
}

fn record(row: &AnyRow) -> Result<AgreementRecord, StoreError> {
    Ok(AgreementRecord {
        agreement: agreement(row)?,
        clinic_name: row.text("clinic_name")?,
        centre_name: row.text("centre_name")?,
        created_at: Timestamp::from_micros(row.int("created_at")?),
        version: row.int("version")?,
    })
}

fn destination(row: &AnyRow) -> Result<Destination, StoreError> {
    const TABLE: &str = "destinations";
    Ok(Destination {
        id: parsed(DestinationId::parse(&row.text("id")?), TABLE)?,
        agreement: parsed(AgreementId::parse(&row.text("agreement_id")?), TABLE)?,
        route: known(Route::parse(&row.text("route")?), TABLE)?,
        name: row.text("name")?,
        settings: row.text("settings")?,
        removed_at: row.maybe_int("removed_at")?.map(Timestamp::from_micros),
        created_at: Timestamp::from_micros(row.int("created_at")?),
    })
}
