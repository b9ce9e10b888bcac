//! Work that falls due: taken under a lease, done, put off or given up loudly.

use medrelay_core::id::{CaseId, DeliveryId, JobId, StudyId};
use medrelay_core::time::{Span, Timestamp};

use super::{
    Error, JOB_ANCHOR, JOB_DELIVER, JOB_EXPIRE, JOB_ROUTE, JOB_SETTLE, JOB_SWEEP, Service,
};
use crate::blobs::BlobError;
use crate::store::{Job, StoreError};

/// How long one attempt may take before somebody else may try; longer than any delivery attempt.
const LEASE: Span = Span::from_minutes(10);
/// First wait after a failure; doubles with each further one.
const FIRST_WAIT: Span = Span::from_secs(1);
/// Longest wait between two attempts.
const LONGEST_WAIT: Span = Span::from_minutes(5);
/// After so many attempts a job is given up and waits for a person.
const ATTEMPT_LIMIT: i64 = 20;
/// How often the periodic jobs run.
const ANCHOR_EVERY: Span = Span::from_minutes(1);
const SWEEP_EVERY: Span = Span::from_hours(1);
/// A browser's upload that nothing has come of for so long is not waited for any more.
const FORGOTTEN_AFTER: Span = Span::from_hours(24);

/// A job that this node works on.
pub struct TakenJob {
    job: Job,
    lease: String,
}

impl TakenJob {
    /// What is to be done, for logs.
    pub fn kind(&self) -> &str {
        &self.job.kind
    }
}

impl Service {
    /// Frees what an earlier life of this node was working on, and schedules the periodic jobs.
    pub async fn start_jobs(&self) -> Result<(), Error> {
        let now = self.now();
        let mut tx = self.parts.db.write().await?;
        tx.free_leases(&format!("{}:", self.parts.node)).await?;
        self.parts.schedule(&mut tx, JOB_ANCHOR, "", now).await?;
        self.parts.schedule(&mut tx, JOB_SWEEP, "", now).await?;
        Ok(tx.commit().await?)
    }

    /// Takes one due job, if there is one.
    pub async fn take_job(&self) -> Result<Option<TakenJob>, Error> {
        let now = self.now();
        let lease = format!("{}:{}", self.parts.node, JobId::new(now, &*self.parts.entropy));
        // A look first: an idle relay must not write once a second.
        let mut tx = self.parts.db.read().await?;
        if tx.next_due().await?.is_none_or(|due| due > now) {
            return Ok(None);
        }
        drop(tx);
        let mut tx = self.parts.db.write().await?;
        let job = tx.take_job(&lease, now + LEASE, now).await?;
        tx.commit().await?;
        Ok(job.map(|job| TakenJob { job, lease }))
    }

    /// Does a job and writes down what came of it.
    pub async fn work(&self, taken: TakenJob) -> Result<(), Error> {
        let TakenJob { job, lease } = taken;
        let outcome = self.run_job(&job).await;
        let mut tx = self.parts.db.write().await?;
        match outcome {
            Ok(None) => tx.finish_job(&job.id, &lease).await?,
            Ok(Some(due)) => tx.postpone_job(&job.id, &lease, due, "").await?,
            Err(error) if retry(&error) && job.attempts + 1 < ATTEMPT_LIMIT => {
                let doublings = u32::try_from(job.attempts).unwrap_or(16).min(16);
                let wait = Span::from_micros(FIRST_WAIT.micros() << doublings).min(LONGEST_WAIT);
                tracing::warn!(job.kind = job.kind, attempts = job.attempts + 1, %error, "a job is put off");
                tx.postpone_job(&job.id, &lease, self.now() + wait, &error.to_string()).await?;
            }
            Err(error) => {
                tracing::error!(job.kind = job.kind, %error, "a job is given up and waits for a person");
                metrics::counter!("medrelay_jobs_given_up_total").increment(1);
                tx.fail_job(&job.id, &lease, &error.to_string(), self.now()).await?;
            }
        }
        Ok(tx.commit().await?)
    }

    /// When the next job falls due, if any waits.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, Error> {
        Ok(self.parts.db.read().await?.next_due().await?)
    }

    /// Waits until this process has committed a new or moved job.
    pub async fn job_committed(&self) {
        self.parts.db.job_committed().await;
    }

    /// How many jobs were given up and wait for a person.
    pub async fn failed_jobs(&self) -> Result<i64, Error> {
        Ok(self.parts.db.read().await?.failed_jobs().await?)
    }

    /// Does a job; answers when it is due again, or that it is done.
    async fn run_job(&self, job: &Job) -> Result<Option<Timestamp>, Error> {
        let unknown = |_| Error::Conflict("the job names no object");
        match job.kind.as_str() {
            JOB_SETTLE => self.settle_study(&StudyId::parse(&job.subject).map_err(unknown)?).await,
            JOB_ROUTE => {
                self.enqueue(&CaseId::parse(&job.subject).map_err(unknown)?).await?;
                Ok(None)
            }
            JOB_EXPIRE => self.expire_claim(&CaseId::parse(&job.subject).map_err(unknown)?).await,
            JOB_DELIVER => self.deliver(&DeliveryId::parse(&job.subject).map_err(unknown)?).await,
            JOB_ANCHOR => {
                self.anchor_audit().await?;
                Ok(Some(self.now() + ANCHOR_EVERY))
            }
            JOB_SWEEP => {
                self.sweep().await?;
                Ok(Some(self.now() + SWEEP_EVERY))
            }
            _ => Err(Error::Conflict("no such kind of job")),
        }
    }

    /// Removes what has outlived its use: old idempotency keys, dead sessions, old failures.
    async fn sweep(&self) -> Result<(), Error> {
        let now = self.now();
        let mut tx = self.parts.db.write().await?;
        tx.sweep_idempotency(now - Span::from_hours(24), now - Span::from_minutes(10)).await?;
        tx.sweep_sessions(now - self.parts.settings.session_idle, now).await?;
        tx.sweep_sign_ins(now - Span::from_hours(24), now - Span::from_hours(24 * 90)).await?;
        tx.withdraw_forgotten(now - FORGOTTEN_AFTER, now).await?;
        tx.commit().await?;
        self.sweep_partials().await
    }
}

/// Whether the same job may succeed later without a person.
fn retry(error: &Error) -> bool {
    matches!(
        error,
        Error::Busy
            | Error::VersionConflict
            | Error::OutOfSpace
            | Error::Store(StoreError::Unavailable(_) | StoreError::Lost | StoreError::OutOfSpace)
            | Error::Blob(BlobError::Unavailable(_) | BlobError::OutOfSpace)
    )
}
