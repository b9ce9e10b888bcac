//! Drafts, signatures, signed versions, and their way to the clinic.

use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::cases::Claim;
use crate::client::{Client, escaped};
use crate::error::Error;
use crate::paging::Page;

/// What a reader writes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// 检查所见.
    pub findings: String,
    /// 诊断意见.
    pub impression: String,
    /// 建议.
    pub recommendation: String,
}

impl Text {
    /// A text without a recommendation.
    pub fn new(findings: impl Into<String>, impression: impl Into<String>) -> Self {
        Self {
            findings: findings.into(),
            impression: impression.into(),
            recommendation: String::new(),
        }
    }
}

/// A text that is not signed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Draft {
    /// Its identifier.
    pub id: String,
    /// Who wrote it.
    pub author: String,
    /// Their name, in lists.
    pub author_name: Option<String>,
    /// The fence of the claim that it was written under.
    pub fence: i64,
    /// `live`, or `orphan` when its writer had lost the claim.
    pub state: String,
    /// The text.
    pub text: Text,
    /// When it was saved last, microseconds since 1970 UTC.
    pub saved_at: i64,
}

/// Somebody who signed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Signatory {
    /// Who.
    pub person: String,
    /// Their name when they signed.
    pub name: String,
    /// For which organization.
    pub organization: String,
}

/// A signed version. A list has no texts: `text`, `canonical` and what follows are empty there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Report {
    /// Its identifier.
    pub id: String,
    /// The case.
    pub case: String,
    /// 1, 2, 3, … within the case.
    pub number: i64,
    /// Its number for people.
    pub report_number: String,
    /// `preliminary`, `final` or `addendum`.
    pub kind: String,
    /// Who wrote it.
    pub reporter: Signatory,
    /// Who verified it.
    pub verifier: Option<Signatory>,
    /// When it was signed, microseconds since 1970 UTC.
    pub signed_at: i64,
    /// SHA-256 (hex) of the canonical bytes.
    pub sha256: String,
    /// SHA-256 (hex) of the version before it.
    pub predecessor: Option<String>,
    /// What it says.
    #[serde(default)]
    pub text: Text,
    /// Why an addendum was made.
    #[serde(default)]
    pub reason: Option<String>,
    /// The bytes that were signed.
    #[serde(default)]
    pub canonical: String,
    /// Ed25519 signature over them, in hexadecimal.
    #[serde(default)]
    pub signature: String,
    /// SOP Instance UID of the structured report.
    #[serde(default)]
    pub sr_uid: String,
    /// SOP Instance UID of the encapsulated PDF.
    #[serde(default)]
    pub pdf_uid: String,
}

/// What a check of a signed version found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Verification {
    /// Everything is as it was signed.
    pub holds: bool,
    /// The stored hash is that of the signed bytes.
    pub hash_holds: bool,
    /// The signature was made with the key below.
    pub signature_holds: bool,
    /// The key belongs to whoever the report names as signer.
    pub signer_holds: bool,
    /// The version before it is the one that it names.
    pub chain_holds: bool,
    /// SHA-256 (hex), computed now.
    pub sha256: String,
    /// The signature in hexadecimal.
    pub signature: String,
    /// The Ed25519 public key in hexadecimal.
    pub public_key: String,
}

/// A report in the clinic's inbox.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct InboxEntry {
    /// Identifier of its delivery: what is acknowledged.
    pub id: String,
    /// The clinic.
    pub clinic: String,
    /// Whether somebody has acknowledged it.
    pub acknowledged: bool,
    /// Who, if so.
    pub acknowledged_by: Option<String>,
    /// Since when it is here, microseconds since 1970 UTC.
    pub since: i64,
    /// The signed version.
    pub report: String,
    /// Its number for people.
    pub report_number: String,
    /// `final` or `addendum`.
    pub kind: String,
    /// The case.
    pub case: String,
    /// Patient's name for people to read.
    pub patient_name: String,
}

/// A report version on its way to one destination.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Delivery {
    /// Its identifier.
    pub id: String,
    /// The signed version.
    pub report: String,
    /// The case.
    pub case: String,
    /// Name of the destination.
    pub destination_name: String,
    /// `inbox` or `dicom`.
    pub route: String,
    /// `due`, `sending`, `sent`, `in_inbox`, `acknowledged`, `parked` or `superseded`.
    pub stage: String,
    /// When it is tried next, microseconds since 1970 UTC.
    pub next_at: Option<i64>,
    /// Attempts made.
    pub attempts: i64,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
}

/// Which deliveries.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DeliveryQuery {
    /// Only those of this case.
    pub case: Option<String>,
    /// Only those that stand here.
    pub stage: Option<String>,
    /// [`Page::next`] of the previous page.
    pub after: Option<String>,
    /// How many at most.
    pub limit: Option<i64>,
}

impl Client {
    /// Saves what has been written so far. When the claim has ended, the relay keeps the text all
    /// the same and says `CLAIM_LOST`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn save_draft(&self, claim: &Claim, text: &Text) -> Result<Draft, Error> {
        let path = format!("/api/v1/cases/{}/draft", escaped(&claim.case.id));
        self.call(Method::PUT, &path, &held(claim, text)).await
    }

    /// One's own drafts of a case and, for its holder, those that others left behind.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn drafts(&self, case: &str) -> Result<Vec<Draft>, Error> {
        self.get(&format!("/api/v1/cases/{}/drafts", escaped(case))).await
    }

    /// Signs: a preliminary or the final report, as policy and stage of the case want.
    ///
    /// # Errors
    /// `CLAIM_LOST`, `VALIDATION`, `AUTHOR_CANNOT_VERIFY`, `SIGNING_POLICY`; see [`Error`].
    pub async fn sign(&self, claim: &Claim, text: &Text) -> Result<Report, Error> {
        let path = format!("/api/v1/cases/{}/sign", escaped(&claim.case.id));
        self.post(&path, &held(claim, text)).await
    }

    /// Adds to a final report: a new version, delivered and to be acknowledged again.
    ///
    /// # Errors
    /// `STATE_CONFLICT` before there is a final report; see [`Error`].
    pub async fn add_addendum(
        &self,
        case: &str,
        text: &Text,
        reason: &str,
    ) -> Result<Report, Error> {
        let body = serde_json::json!({ "text": text, "reason": reason });
        self.post(&format!("/api/v1/cases/{}/addenda", escaped(case)), &body).await
    }

    /// The signed versions of a case in order, without their texts.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn reports(&self, case: &str) -> Result<Vec<Report>, Error> {
        self.get(&format!("/api/v1/cases/{}/reports", escaped(case))).await
    }

    /// A signed version.
    ///
    /// # Errors
    /// `NOT_FOUND`; see [`Error`].
    pub async fn report(&self, id: &str) -> Result<Report, Error> {
        self.get(&format!("/api/v1/reports/{}", escaped(id))).await
    }

    /// A signed version as a PDF file.
    ///
    /// # Errors
    /// `DOCUMENT` when it cannot be typeset; see [`Error`].
    pub async fn report_pdf(&self, id: &str) -> Result<Vec<u8>, Error> {
        self.bytes(&format!("/api/v1/reports/{}/pdf", escaped(id))).await
    }

    /// A signed version as a DICOM structured report (a PS3.10 file).
    ///
    /// # Errors
    /// `DOCUMENT` when it cannot be made; see [`Error`].
    pub async fn report_sr(&self, id: &str) -> Result<Vec<u8>, Error> {
        self.bytes(&format!("/api/v1/reports/{}/sr", escaped(id))).await
    }

    /// Has the relay check hash, signature and chain of a signed version.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn verify_report(&self, id: &str) -> Result<Verification, Error> {
        self.get(&format!("/api/v1/reports/{}/verification", escaped(id))).await
    }

    /// The inbox of the caller's clinics: what waits for a person first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn inbox(&self, after: Option<&str>) -> Result<Page<InboxEntry>, Error> {
        let query = DeliveryQuery { after: after.map(str::to_owned), ..DeliveryQuery::default() };
        self.find("/api/v1/inbox", &query).await
    }

    /// Says that a person at the clinic has the report.
    ///
    /// # Errors
    /// `STATE_CONFLICT` when it is acknowledged already; see [`Error`].
    pub async fn acknowledge(&self, delivery: &str) -> Result<Delivery, Error> {
        self.act(&format!("/api/v1/deliveries/{}/acknowledge", escaped(delivery))).await
    }

    /// Deliveries that the caller may see, newest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn deliveries(&self, query: &DeliveryQuery) -> Result<Page<Delivery>, Error> {
        self.find("/api/v1/deliveries", query).await
    }

    /// Starts a parked delivery again.
    ///
    /// # Errors
    /// `STATE_CONFLICT` when it is not parked; see [`Error`].
    pub async fn retry_delivery(&self, id: &str) -> Result<Delivery, Error> {
        self.act(&format!("/api/v1/deliveries/{}/retry", escaped(id))).await
    }
}

fn held(claim: &Claim, text: &Text) -> serde_json::Value {
    serde_json::json!({ "proof": claim.proof(), "text": text })
}
