//! How far a study is while it arrives: told to those who look, in memory only.
//!
//! Counts that change with every slice do not belong into the audit trail. They are told at most
//! twice a second for each study, and only while somebody listens.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;

use medrelay_core::id::{OrganizationId, StudyId};

use crate::service::studies::centre_of;
use crate::service::{Error, Parts, Service};

/// Shortest time between two messages about the same study.
const EVERY: Duration = Duration::from_millis(500);
/// Messages that a slow listener may miss by.
const BACKLOG: usize = 256;

/// How far a study is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Which.
    pub study: StudyId,
    /// The clinic that sends it.
    pub clinic: OrganizationId,
    /// The centre that it is for.
    pub partner: Option<OrganizationId>,
    /// Instances here.
    pub instances: i64,
    /// Instances announced, if there is a manifest.
    pub expected: Option<i64>,
}

/// Who is told, and about which studies something is to be told.
pub struct ProgressBoard {
    sender: broadcast::Sender<Arc<Progress>>,
    pending: Mutex<HashSet<StudyId>>,
}

impl Default for ProgressBoard {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(BACKLOG), pending: Mutex::default() }
    }
}

impl ProgressBoard {
    /// An instance of the study was stored: it is told in a moment.
    pub(crate) fn touch(self: &Arc<Self>, parts: &Arc<Parts>, study: StudyId) {
        if self.sender.receiver_count() == 0 {
            return;
        }
        let fresh =
            self.pending.lock().unwrap_or_else(PoisonError::into_inner).insert(study.clone());
        if !fresh {
            return;
        }
        let (board, parts) = (Arc::clone(self), Arc::clone(parts));
        tokio::spawn(async move {
            tokio::time::sleep(EVERY).await;
            board.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(&study);
            match look(&parts, &study).await {
                // Nobody left to tell it to.
                Ok(Some(progress)) => drop(board.sender.send(Arc::new(progress))),
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "the progress of a study is not known"),
            }
        });
    }
}

async fn look(parts: &Parts, id: &StudyId) -> Result<Option<Progress>, Error> {
    let mut tx = parts.db.read().await?;
    let Some(study) = tx.study(id).await? else { return Ok(None) };
    let partner = centre_of(&mut tx, &study.clinic, &study.modality, parts.clock.now()).await?;
    Ok(Some(Progress {
        study: study.id,
        clinic: study.clinic,
        partner,
        instances: study.instances,
        expected: study.expected,
    }))
}

impl Service {
    /// Follows how far studies are while they arrive at this server.
    pub fn progress(&self) -> broadcast::Receiver<Arc<Progress>> {
        self.link.progress.sender.subscribe()
    }
}
