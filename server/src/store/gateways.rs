//! Gateways that have joined, their certificates, and the one-time codes they join with.

use sqlx::any::AnyRow;

use medrelay_core::access::Scope;
use medrelay_core::id::{GatewayId, OrganizationId};
use medrelay_core::time::Timestamp;

use super::{Columns, StoreError, Tx, assembled, parsed, statement, within};

/// A clinic's gateway that has joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// Its identifier, the subject of its certificates.
    pub id: GatewayId,
    /// The clinic that it sends for.
    pub clinic: OrganizationId,
    /// The clinic's name.
    pub clinic_name: String,
    /// What people call it.
    pub name: String,
    /// What it said its program is.
    pub software: String,
    /// When it joined.
    pub joined_at: Timestamp,
    /// Since when it is revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last connected or heard of.
    pub seen_at: Option<Timestamp>,
    /// Address it was last seen at.
    pub source: String,
    /// By what it was last connected: `quic`, `websocket`, or empty.
    pub carrier: String,
    /// Until when its newest certificate is good.
    pub certificate_until: Timestamp,
}

/// A one-time code that a gateway joins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The code's first four bytes, hexadecimal.
    pub handle: String,
    /// The clinic that the gateway will belong to.
    pub clinic: OrganizationId,
    /// SHA-256 of the code's secret, hexadecimal.
    pub secret_hash: String,
    /// The name that the gateway gets; empty for the one it asks for.
    pub name: String,
    /// Who made it, as the audit trail names them.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it is good.
    pub expires_at: Timestamp,
    /// Attempts with a wrong secret.
    pub failures: i64,
    /// When it was used.
    pub used_at: Option<Timestamp>,
    /// When it was taken back.
    pub withdrawn_at: Option<Timestamp>,
}

/// A certificate that the relay's authority gave to a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayCertificate {
    /// SHA-256 of the DER, hexadecimal.
    pub fingerprint: String,
    /// Whose it is.
    pub gateway: GatewayId,
    /// SubjectPublicKeyInfo, DER, hexadecimal.
    pub public_key: String,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

const GATEWAY: &str = "SELECT gateways.*, (SELECT MAX(expires_at) FROM gateway_certificates \
     WHERE gateway_id = gateways.id) AS certificate_until, organizations.name AS clinic_name \
     FROM gateways JOIN organizations ON organizations.id = gateways.clinic_id";

impl Tx {
    /// Adds a join code; [`StoreError::Taken`] if there is one with this handle.
    pub async fn insert_invitation(&mut self, new: &Invitation) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "INSERT INTO join_codes (handle, clinic_id, secret_hash, name, created_by, \
                 created_at, expires_at, failures) VALUES ($1, $2, $3, $4, $5, $6, $7, 0)",
            )
            .bind(new.handle.clone())
            .bind(new.clinic.to_string())
            .bind(new.secret_hash.clone())
            .bind(new.name.clone())
            .bind(new.created_by.clone())
            .bind(new.created_at.micros())
            .bind(new.expires_at.micros()),
        )
        .await
    }

    /// One join code, whatever became of it.
    pub async fn invitation(&mut self, handle: &str) -> Result<Option<Invitation>, StoreError> {
        let query = statement("SELECT * FROM join_codes WHERE handle = $1").bind(handle.to_owned());
        self.one(query).await?.as_ref().map(invitation).transpose()
    }

    /// Join codes of a clinic that could still be used at `now`, newest first.
    pub async fn open_invitations(
        &mut self,
        clinic: &OrganizationId,
        now: Timestamp,
    ) -> Result<Vec<Invitation>, StoreError> {
        let query = statement(
            "SELECT * FROM join_codes WHERE clinic_id = $1 AND expires_at > $2 \
             AND used_at IS NULL AND withdrawn_at IS NULL \
             ORDER BY created_at DESC, handle LIMIT 200",
        );
        let rows = self.all(query.bind(clinic.to_string()).bind(now.micros())).await?;
        rows.iter().map(invitation).collect()
    }

    /// Counts an attempt with a join code as a failure and gives the code with that count; nobody
    /// else has an attempt at it until this transaction ends. [`Tx::use_invitation`] takes the
    /// failure back.
    pub async fn attempt_invitation(
        &mut self,
        handle: &str,
    ) -> Result<Option<Invitation>, StoreError> {
        let query = statement(
            "UPDATE join_codes SET failures = failures + 1 WHERE handle = $1 RETURNING *",
        );
        self.one(query.bind(handle.to_owned())).await?.as_ref().map(invitation).transpose()
    }

    /// Marks a join code as used, after [`Tx::attempt_invitation`] in the same transaction.
    pub async fn use_invitation(
        &mut self,
        handle: &str,
        gateway: &GatewayId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let query = statement(
            "UPDATE join_codes SET used_at = $2, gateway_id = $3, failures = failures - 1 \
             WHERE handle = $1 AND used_at IS NULL AND withdrawn_at IS NULL",
        );
        let query = query.bind(handle.to_owned()).bind(now.micros()).bind(gateway.to_string());
        self.change_one(query).await
    }

    /// Takes a join code back that was not used.
    pub async fn withdraw_invitation(
        &mut self,
        handle: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let query = statement(
            "UPDATE join_codes SET withdrawn_at = $2 \
             WHERE handle = $1 AND used_at IS NULL AND withdrawn_at IS NULL",
        );
        self.change_one(query.bind(handle.to_owned()).bind(now.micros())).await
    }

    /// Adds a gateway; its certificate is added on its own.
    pub async fn insert_gateway(&mut self, new: &Gateway) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "INSERT INTO gateways (id, clinic_id, name, software, joined_at, revoked_at, \
                 seen_at, source, carrier, version) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1)",
            )
            .bind(new.id.to_string())
            .bind(new.clinic.to_string())
            .bind(new.name.clone())
            .bind(new.software.clone())
            .bind(new.joined_at.micros())
            .bind(new.revoked_at.map(Timestamp::micros))
            .bind(new.seen_at.map(Timestamp::micros))
            .bind(new.source.clone())
            .bind(new.carrier.clone()),
        )
        .await
    }

    /// One gateway, revoked or not.
    pub async fn gateway(&mut self, id: &GatewayId) -> Result<Option<Gateway>, StoreError> {
        let query = assembled(format!("{GATEWAY} WHERE gateways.id = $1")).bind(id.to_string());
        self.one(query).await?.as_ref().map(gateway).transpose()
    }

    /// Gateways after `after`, revoked ones too, whose clinic is within `scope` (`None`: every
    /// one), of one `clinic` if given.
    pub async fn gateways(
        &mut self,
        scope: Option<&Scope>,
        clinic: Option<&OrganizationId>,
        after: Option<&GatewayId>,
        limit: i64,
    ) -> Result<Vec<Gateway>, StoreError> {
        let (filter, binds) = match scope {
            Some(scope) => within(scope, "gateways.clinic_id", "1 = 0 AND '' IN ({})", 4),
            None => ("1 = 1".to_owned(), Vec::new()),
        };
        let mut query = assembled(format!(
            "{GATEWAY} WHERE (CAST($1 AS TEXT) IS NULL OR gateways.id > $1) \
             AND (CAST($2 AS TEXT) IS NULL OR gateways.clinic_id = $2) AND {filter} \
             ORDER BY gateways.id LIMIT $3"
        ))
        .bind(after.map(ToString::to_string))
        .bind(clinic.map(ToString::to_string))
        .bind(limit);
        for value in binds {
            query = query.bind(value);
        }
        self.all(query).await?.iter().map(gateway).collect()
    }

    /// Revokes a gateway that is not revoked; [`StoreError::Lost`] if it is.
    pub async fn revoke_gateway(
        &mut self,
        id: &GatewayId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let query = statement(
            "UPDATE gateways SET revoked_at = $2, version = version + 1 \
             WHERE id = $1 AND revoked_at IS NULL",
        );
        self.change_one(query.bind(id.to_string()).bind(now.micros())).await
    }

    /// Notes that a gateway was heard of.
    pub async fn touch_gateway(
        &mut self,
        id: &GatewayId,
        source: &str,
        carrier: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let query =
            statement("UPDATE gateways SET seen_at = $2, source = $3, carrier = $4 WHERE id = $1");
        let query = query.bind(id.to_string()).bind(now.micros());
        self.run(query.bind(source.to_owned()).bind(carrier.to_owned())).await?;
        Ok(())
    }

    /// Adds a certificate; [`StoreError::Taken`] if it is known.
    pub async fn insert_gateway_certificate(
        &mut self,
        new: &GatewayCertificate,
    ) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "INSERT INTO gateway_certificates (fingerprint, gateway_id, public_key, \
                 issued_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(new.fingerprint.clone())
            .bind(new.gateway.to_string())
            .bind(new.public_key.clone())
            .bind(new.issued_at.micros())
            .bind(new.expires_at.micros()),
        )
        .await
    }

    /// The certificate with this fingerprint, if it was ever issued.
    pub async fn gateway_certificate(
        &mut self,
        fingerprint: &str,
    ) -> Result<Option<GatewayCertificate>, StoreError> {
        let query = statement("SELECT * FROM gateway_certificates WHERE fingerprint = $1");
        self.one(query.bind(fingerprint.to_owned())).await?.as_ref().map(certificate).transpose()
    }

    /// Every certificate of a gateway, newest first.
    pub async fn gateway_certificates(
        &mut self,
        gateway: &GatewayId,
    ) -> Result<Vec<GatewayCertificate>, StoreError> {
        let query = statement(
            "SELECT * FROM gateway_certificates WHERE gateway_id = $1 \
             ORDER BY issued_at DESC, expires_at DESC, fingerprint",
        );
        let rows = self.all(query.bind(gateway.to_string())).await?;
        rows.iter().map(certificate).collect()
    }
}

fn gateway(row: &AnyRow) -> Result<Gateway, StoreError> {
    Ok(Gateway {
        id: parsed(GatewayId::parse(&row.text("id")?), "gateways")?,
        clinic: parsed(OrganizationId::parse(&row.text("clinic_id")?), "gateways")?,
        clinic_name: row.text("clinic_name")?,
        name: row.text("name")?,
        software: row.text("software")?,
        joined_at: Timestamp::from_micros(row.int("joined_at")?),
        revoked_at: row.maybe_int("revoked_at")?.map(Timestamp::from_micros),
        seen_at: row.maybe_int("seen_at")?.map(Timestamp::from_micros),
        source: row.text("source")?,
        carrier: row.text("carrier")?,
        certificate_until: Timestamp::from_micros(
            row.maybe_int("certificate_until")?.unwrap_or_default(),
        ),
    })
}

fn invitation(row: &AnyRow) -> Result<Invitation, StoreError> {
    Ok(Invitation {
        handle: row.text("handle")?,
        clinic: parsed(OrganizationId::parse(&row.text("clinic_id")?), "join_codes")?,
        secret_hash: row.text("secret_hash")?,
        name: row.text("name")?,
        created_by: row.text("created_by")?,
        created_at: Timestamp::from_micros(row.int("created_at")?),
        expires_at: Timestamp::from_micros(row.int("expires_at")?),
        failures: row.int("failures")?,
        used_at: row.maybe_int("used_at")?.map(Timestamp::from_micros),
        withdrawn_at: row.maybe_int("withdrawn_at")?.map(Timestamp::from_micros),
    })
}

fn certificate(row: &AnyRow) -> Result<GatewayCertificate, StoreError> {
    Ok(GatewayCertificate {
        fingerprint: row.text("fingerprint")?,
        gateway: parsed(GatewayId::parse(&row.text("gateway_id")?), "gateway_certificates")?,
        public_key: row.text("public_key")?,
        issued_at: Timestamp::from_micros(row.int("issued_at")?),
        expires_at: Timestamp::from_micros(row.int("expires_at")?),
    })
}
