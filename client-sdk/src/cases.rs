//! The queue, the cases and the hold on them.

use medrelay_core::people::Priority;
use serde::{Deserialize, Serialize};

use crate::client::{Client, escaped};
use crate::error::Error;
use crate::orders::Order;
use crate::paging::Page;
use crate::studies::Study;

/// Who has a case, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Hold {
    /// Who.
    pub holder: String,
    /// Since when, microseconds since 1970 UTC.
    pub acquired: i64,
    /// Until when, unless it is renewed.
    pub expires: i64,
}

/// A case: the unit of work in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Case {
    /// Its identifier.
    pub id: String,
    /// Who asks.
    pub clinic: String,
    /// Who reads.
    pub centre: String,
    /// Its study.
    pub study: String,
    /// Its order, once known.
    pub order: Option<String>,
    /// Modality.
    pub modality: String,
    /// How soon.
    pub priority: Priority,
    /// `single_senior` or `double`.
    pub policy: String,
    /// `submitted`, `ready`, `in_progress`, `preliminary`, `verifying`, `returned`, `final`,
    /// `delivered` or `closed`.
    pub stage: String,
    /// Who signed the preliminary report that waits or is being verified.
    pub preliminary_by: Option<String>,
    /// Who has it.
    pub hold: Option<Hold>,
    /// When it was opened, microseconds since 1970 UTC.
    pub opened_at: i64,
    /// When the report is due.
    pub deadline: i64,
    /// Images came after it was opened, and nobody has dealt with them yet.
    pub late_images: bool,
    /// Who is to take it, if a coordinator has said so.
    #[serde(default)]
    pub assigned: Option<String>,
    /// How often it was returned to the clinic.
    #[serde(default)]
    pub returns: i64,
    /// Grows with every change.
    pub version: i64,
}

/// A case in a list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CaseLine {
    /// The case.
    pub case: Case,
    /// Its number for people.
    pub number: String,
    /// Name of the clinic.
    pub clinic_name: String,
    /// Name of the centre.
    pub centre_name: String,
    /// Name of whoever has it.
    pub holder_name: Option<String>,
    /// Patient's name for people to read.
    pub patient: String,
    /// Instances here so far.
    pub instances: i64,
    /// What the clinic wants to know.
    pub question: Option<String>,
}

/// A waiting case and its place.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct QueueLine {
    /// Its place at its centre, from 1.
    pub rank: usize,
    /// What waits.
    #[serde(flatten)]
    pub line: CaseLine,
}

/// A case with its study and its order.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CaseDetail {
    /// The case.
    pub case: Case,
    /// Its number for people.
    pub number: String,
    /// Name of the clinic.
    pub clinic_name: String,
    /// Name of the centre.
    pub centre_name: String,
    /// Name of whoever has it.
    pub holder_name: Option<String>,
    /// The study.
    pub study: Study,
    /// The order, once known.
    pub order: Option<Order>,
}

/// A claim with its secret, which the relay shows once.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Claim {
    /// The case.
    pub case: Case,
    /// The secret that every write under the claim shows.
    pub token: String,
    /// The number that every write under the claim shows beside it.
    pub fence: i64,
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim")
            .field("case", &self.case.id)
            .field("fence", &self.fence)
            .finish_non_exhaustive()
    }
}

impl Claim {
    pub(crate) fn proof(&self) -> serde_json::Value {
        serde_json::json!({ "token": self.token, "fence": self.fence })
    }
}

/// Which cases.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CaseQuery {
    /// Only those that stand here.
    pub stage: Option<String>,
    /// Only those of this clinic.
    pub clinic: Option<String>,
    /// Only those that this person has.
    pub holder: Option<String>,
    /// [`Page::next`] of the previous page.
    pub after: Option<String>,
    /// How many at most.
    pub limit: Option<i64>,
}

#[derive(Deserialize)]
struct Queue {
    items: Vec<QueueLine>,
}

impl Client {
    /// The first 200 cases that wait at the caller's centres, in the order in which they should be
    /// read.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn queue(&self) -> Result<Vec<QueueLine>, Error> {
        let queue: Queue = self.get("/api/v1/queue").await?;
        Ok(queue.items)
    }

    /// Claims the first case in the queue that the caller may read.
    ///
    /// # Errors
    /// `QUEUE_EMPTY`, `CLAIM_LIMIT`; see [`Error`].
    pub async fn next_case(&self) -> Result<Claim, Error> {
        self.act("/api/v1/queue/next").await
    }

    /// Cases that the caller may see, newest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cases(&self, query: &CaseQuery) -> Result<Page<CaseLine>, Error> {
        self.find("/api/v1/cases", query).await
    }

    /// One case with its study and its order.
    ///
    /// # Errors
    /// `NOT_FOUND`; see [`Error`].
    pub async fn case(&self, id: &str) -> Result<CaseDetail, Error> {
        self.get(&format!("/api/v1/cases/{}", escaped(id))).await
    }

    /// Claims a case.
    ///
    /// # Errors
    /// `ALREADY_CLAIMED` says by whom and until when; see [`Error`].
    pub async fn claim(&self, id: &str) -> Result<Claim, Error> {
        self.act(&format!("/api/v1/cases/{}/claim", escaped(id))).await
    }

    /// Keeps a claim a while longer.
    ///
    /// # Errors
    /// `CLAIM_LOST` when it has ended; see [`Error`].
    pub async fn heartbeat(&self, claim: &Claim) -> Result<Case, Error> {
        let path = format!("/api/v1/cases/{}/heartbeat", escaped(&claim.case.id));
        self.post(&path, &claim.proof()).await
    }

    /// Gives a case back to the queue. No patient data in the reason.
    ///
    /// # Errors
    /// `CLAIM_LOST` when it has ended; see [`Error`].
    pub async fn release(&self, claim: &Claim, reason: &str) -> Result<Case, Error> {
        let mut body = claim.proof();
        body["reason"] = reason.into();
        self.post(&format!("/api/v1/cases/{}/release", escaped(&claim.case.id)), &body).await
    }

    /// Returns a case that the caller holds to its clinic: `code` is that of a return request, such
    /// as `POSITIONING`.
    ///
    /// # Errors
    /// `CLAIM_LOST` when it has ended; see [`Error`].
    pub async fn return_case(&self, claim: &Claim, code: &str, text: &str) -> Result<Case, Error> {
        let body = serde_json::json!({ "proof": claim.proof(), "code": code, "text": text });
        self.post(&format!("/api/v1/cases/{}/return", escaped(&claim.case.id)), &body).await
    }

    /// Sends a returned case again, with a word about what was done.
    ///
    /// # Errors
    /// `STATE_CONFLICT` when it is not with the clinic; see [`Error`].
    pub async fn resubmit(&self, id: &str, text: &str) -> Result<Case, Error> {
        let body = serde_json::json!({ "text": text });
        self.post(&format!("/api/v1/cases/{}/resubmit", escaped(id)), &body).await
    }

    /// Takes a case from whoever holds it; their text is kept. No patient data in the reason.
    ///
    /// # Errors
    /// `STATE_CONFLICT` when nobody holds it; see [`Error`].
    pub async fn take_over(&self, id: &str, reason: &str) -> Result<Claim, Error> {
        let body = serde_json::json!({ "reason": reason });
        self.post(&format!("/api/v1/cases/{}/take-over", escaped(id)), &body).await
    }
}
