//! How the relay is, for whoever runs it: space, jobs, and how things stand below them.

use std::sync::atomic::{AtomicI64, Ordering};

use medrelay_core::access::{self, Action};
use medrelay_core::time::Timestamp;

use super::gateways::ONLINE_FOR;
use super::{Caller, Error, Service};
use crate::store::{JobCounts, Standings};
use crate::system::DiskSpace;

/// What is known since the program runs.
#[derive(Debug)]
pub(super) struct Running {
    started_at: Timestamp,
    /// Until when the certificate is good that HTTPS shows; 0 while that is not known.
    certificate_until: AtomicI64,
}

impl Running {
    pub(super) fn since(started_at: Timestamp) -> Self {
        Self { started_at, certificate_until: AtomicI64::new(0) }
    }
}

/// How the relay is.
#[derive(Debug, Clone)]
pub struct SystemView {
    /// Since when this server runs.
    pub started_at: Timestamp,
    /// The present moment of its clock.
    pub now: Timestamp,
    /// Whether database and store work and have room.
    pub ready: bool,
    /// The volume with the least room, if it can be asked.
    pub disk: Option<DiskSpace>,
    /// Bytes that stay free.
    pub reserve_bytes: u64,
    /// `sqlite` or `postgres`.
    pub engine: &'static str,
    /// Bytes of the database, if it can be asked.
    pub database_bytes: Option<i64>,
    /// `directory` or `bucket`.
    pub blobs: &'static str,
    /// The relay's jobs.
    pub jobs: JobCounts,
    /// How things stand below the caller.
    pub standings: Standings,
    /// Until when the certificate is good.
    pub certificate_until: Option<Timestamp>,
}

impl Service {
    /// HTTPS shows a certificate that is good until then; `None` where that is not known.
    pub fn announce_certificate(&self, until: Option<Timestamp>) {
        let micros = until.map_or(0, Timestamp::micros);
        self.running.certificate_until.store(micros, Ordering::Relaxed);
    }

    /// How the relay is, and how things stand below the organizations that the caller administers.
    pub async fn system(&self, caller: &Caller) -> Result<SystemView, Error> {
        access::may_somewhere(&caller.actor, Action::ReadSystem)?;
        let scope = access::scope(&caller.actor, Action::ReadSystem);
        let now = self.now();
        let health = self.health().await;
        let volumes = [self.parts.blobs.space().await, self.db().space()];
        let disk = volumes.into_iter().flatten().min_by_key(|volume| volume.free_bytes);
        let mut tx = self.db().read().await?;
        let standings = tx.standings(&scope, now, now - ONLINE_FOR).await?;
        let jobs = tx.job_counts(now).await?;
        drop(tx);
        let until = self.running.certificate_until.load(Ordering::Relaxed);
        Ok(SystemView {
            started_at: self.running.started_at,
            now,
            ready: health.is_good(),
            disk,
            reserve_bytes: self.parts.settings.reserve_bytes,
            engine: self.db().engine_name(),
            database_bytes: self.db().size().await.ok(),
            blobs: self.parts.blobs.kind(),
            jobs,
            standings,
            certificate_until: (until > 0).then(|| Timestamp::from_micros(until)),
        })
    }
}
