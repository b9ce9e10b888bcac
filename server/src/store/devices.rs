//! Devices: who may send, under which AE title and from where.

use sqlx::any::AnyRow;

use medrelay_core::access::Scope;
use medrelay_core::id::{DeviceId, OrganizationId};
use medrelay_core::time::Timestamp;

use super::{Columns, StoreError, Tx, assembled, parsed, statement, within};

/// A modality or workstation that sends to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its identifier.
    pub id: DeviceId,
    /// The clinic that owns it.
    pub clinic: OrganizationId,
    /// What people call it.
    pub name: String,
    /// The AE title that it calls with.
    pub ae_title: String,
    /// Address or network (CIDR) that it calls from; empty means any.
    pub address: String,
    /// Character set that its objects are really in; empty means believe them.
    pub charset: String,
    /// Since when it is removed.
    pub removed_at: Option<Timestamp>,
    /// When it was admitted.
    pub created_at: Timestamp,
    /// When it last asked whether we are there.
    pub echoed_at: Option<Timestamp>,
    /// When an object of it was last stored.
    pub stored_at: Option<Timestamp>,
    /// Number of the row's state.
    pub version: i64,
}

impl Tx {
    /// Adds a device.
    pub async fn insert_device(&mut self, new: &Device) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "INSERT INTO devices (id, clinic_id, name, ae_title, address, charset, \
                 removed_at, created_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            )
            .bind(new.id.as_str().to_owned())
            .bind(new.clinic.as_str().to_owned())
            .bind(new.name.clone())
            .bind(new.ae_title.clone())
            .bind(new.address.clone())
            .bind(new.charset.clone())
            .bind(new.removed_at.map(Timestamp::micros))
            .bind(new.created_at.micros())
            .bind(new.version),
        )
        .await
    }

    /// Saves a device as changed, where `version` is still the one that was loaded.
    pub async fn save_device(&mut self, changed: &Device) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "UPDATE devices SET name = $3, ae_title = $4, address = $5, charset = $6, \
                 removed_at = $7, version = version + 1 WHERE id = $1 AND version = $2",
            )
            .bind(changed.id.as_str().to_owned())
            .bind(changed.version)
            .bind(changed.name.clone())
            .bind(changed.ae_title.clone())
            .bind(changed.address.clone())
            .bind(changed.charset.clone())
            .bind(changed.removed_at.map(Timestamp::micros)),
        )
        .await
    }

    /// Notes that a device was heard: an echo, or an object that was stored. Its version stays.
    pub async fn hear_device(
        &mut self,
        id: &DeviceId,
        stored: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let query = statement(if stored {
            "UPDATE devices SET stored_at = $2 WHERE id = $1"
        } else {
            "UPDATE devices SET echoed_at = $2 WHERE id = $1"
        });
        self.run(query.bind(id.to_string()).bind(now.micros())).await?;
        Ok(())
    }

    /// One device, removed or not.
    pub async fn device(&mut self, id: &DeviceId) -> Result<Option<Device>, StoreError> {
        let row = self
            .one(statement("SELECT * FROM devices WHERE id = $1").bind(id.as_str().to_owned()))
            .await?;
        row.as_ref().map(device).transpose()
    }

    /// The devices that call with an AE title: not removed, of clinics that are not closed.
    pub async fn devices_by_ae_title(&mut self, title: &str) -> Result<Vec<Device>, StoreError> {
        let rows = self
            .all(
                statement(
                    "SELECT devices.* FROM devices \
                     JOIN organizations ON organizations.id = devices.clinic_id \
                     WHERE devices.ae_title = $1 AND devices.removed_at IS NULL \
                     AND organizations.closed_at IS NULL ORDER BY devices.id",
                )
                .bind(title.to_owned()),
            )
            .await?;
        rows.iter().map(device).collect()
    }

    /// How many devices of a clinic are not removed.
    pub async fn count_devices(&mut self, clinic: &OrganizationId) -> Result<i64, StoreError> {
        let row = self
            .one(
                statement(
                    "SELECT COUNT(*) AS n FROM devices \
                     WHERE clinic_id = $1 AND removed_at IS NULL",
                )
                .bind(clinic.as_str().to_owned()),
            )
            .await?;
        row.map_or(Ok(0), |row| row.int("n"))
    }

    /// Devices after `after` that are not removed and whose clinic is within `scope` (`None`:
    /// every one), of one `clinic` if given.
    pub async fn devices(
        &mut self,
        scope: Option<&Scope>,
        clinic: Option<&OrganizationId>,
        after: Option<&DeviceId>,
        limit: i64,
    ) -> Result<Vec<Device>, StoreError> {
        let (filter, binds) = match scope {
            Some(scope) => within(scope, "devices.clinic_id", "1 = 0 AND '' IN ({})", 4),
            None => ("1 = 1".to_owned(), Vec::new()),
        };
        let mut query = assembled(format!(
            "SELECT devices.* FROM devices WHERE removed_at IS NULL \
             AND (CAST($1 AS TEXT) IS NULL OR devices.id > $1) \
             AND (CAST($2 AS TEXT) IS NULL OR devices.clinic_id = $2) AND {filter} \
             ORDER BY devices.id LIMIT $3"
        ))
        .bind(after.map(|id| id.as_str().to_owned()))
        .bind(clinic.map(|id| id.as_str().to_owned()))
        .bind(limit);
        for value in binds {
            query = query.bind(value);
        }
        self.all(query).await?.iter().map(device).collect()
    }
}

fn device(row: &AnyRow) -> Result<Device, StoreError> {
    Ok(Device {
        id: parsed(DeviceId::parse(&row.text("id")?), "devices")?,
        clinic: parsed(OrganizationId::parse(&row.text("clinic_id")?), "devices")?,
        name: row.text("name")?,
        ae_title: row.text("ae_title")?,
        address: row.text("address")?,
        charset: row.text("charset")?,
        removed_at: row.maybe_int("removed_at")?.map(Timestamp::from_micros),
        created_at: Timestamp::from_micros(row.int("created_at")?),
        echoed_at: row.maybe_int("echoed_at")?.map(Timestamp::from_micros),
        stored_at: row.maybe_int("stored_at")?.map(Timestamp::from_micros),
        version: row.int("version")?,
    })
}
