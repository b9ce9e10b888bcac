//! Studies: what has arrived, and its bytes.

use serde::{Deserialize, Serialize};

use crate::client::{Client, escaped};
use crate::error::Error;
use crate::paging::Page;

/// A study as the relay holds it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Study {
    /// Its identifier.
    pub id: String,
    /// Study Instance UID.
    pub uid: String,
    /// The clinic that sent it.
    pub clinic: String,
    /// Patient ID.
    pub patient_id: String,
    /// Patient's name for people to read, ideographic form first.
    pub patient: String,
    /// Patient's name with its groups as sent.
    pub patient_name: String,
    /// Accession number.
    pub accession: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// Modality.
    pub modality: String,
    /// Specific Character Set as declared by the sender.
    pub charset: String,
    /// The declaration was absent or wrong and the encoding was guessed.
    pub charset_guessed: bool,
    /// Instances here so far.
    pub instances: i64,
    /// Bytes here so far.
    pub bytes: i64,
    /// `arriving` or `complete`.
    pub stage: String,
    /// Instances that its sender announced; absent when it sends without a manifest.
    pub expected: Option<i64>,
    /// Why it counts as complete: `manifest`, `quiet` or `person`.
    pub ready_reason: Option<String>,
    /// When the first instance came, microseconds since 1970 UTC.
    pub first_at: i64,
    /// When the last instance came.
    pub last_at: i64,
    /// When it counted as complete.
    pub completed_at: Option<i64>,
    /// Why it has no case and waits for a person.
    pub trouble: Option<String>,
    /// The order that it belongs to.
    pub order: Option<String>,
}

/// A series with its instances.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Series {
    /// Its identifier.
    pub id: String,
    /// Series Instance UID.
    pub uid: String,
    /// Modality.
    pub modality: String,
    /// Series number.
    pub number: Option<i64>,
    /// Description.
    pub description: Option<String>,
    /// Its instances, in the order of their numbers.
    pub instances: Vec<Instance>,
}

/// An instance of a series.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Instance {
    /// Its identifier.
    pub id: String,
    /// SOP Instance UID.
    pub uid: String,
    /// SOP Class UID.
    pub sop_class: String,
    /// Transfer Syntax UID.
    pub transfer_syntax: String,
    /// Instance number.
    pub number: Option<i64>,
    /// Rows of pixels.
    pub rows: Option<i64>,
    /// Columns of pixels.
    pub columns: Option<i64>,
    /// Frames.
    pub frames: i64,
    /// Length of the sender's data set in bytes.
    pub bytes: i64,
    /// SHA-256 (hex) of the sender's data set.
    pub sha256: String,
    /// When it came, microseconds since 1970 UTC.
    pub received_at: i64,
}

/// A study with everything in it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StudyDetail {
    /// The study.
    pub study: Study,
    /// Its series.
    pub series: Vec<Series>,
}

/// An object that was put aside at the door.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Quarantined {
    /// Its identifier.
    pub id: String,
    /// The clinic that sent it.
    pub clinic: String,
    /// SOP Instance UID.
    pub sop_instance: String,
    /// Study Instance UID.
    pub study_uid: String,
    /// `other_content`, `other_owner` or `other_patient`.
    pub reason: String,
    /// SHA-256 (hex) of the data set.
    pub sha256: String,
    /// Length of the data set in bytes.
    pub bytes: i64,
    /// When it came, microseconds since 1970 UTC.
    pub received_at: i64,
}

/// Which studies.
#[derive(Debug, Clone, Default, Serialize)]
pub struct StudyQuery {
    /// `arriving` or `complete`.
    pub stage: Option<String>,
    /// Only those that wait for a person because no case could be opened.
    pub trouble: bool,
    /// Only those of this clinic.
    pub clinic: Option<String>,
    /// Only the one with this Study Instance UID.
    pub uid: Option<String>,
    /// [`Page::next`] of the previous page.
    pub after: Option<String>,
    /// How many at most.
    pub limit: Option<i64>,
}

impl Client {
    /// Studies that the caller may see, newest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn studies(&self, query: &StudyQuery) -> Result<Page<Study>, Error> {
        self.find("/api/v1/studies", query).await
    }

    /// One study with its series and instances.
    ///
    /// # Errors
    /// `NOT_FOUND`; see [`Error`].
    pub async fn study(&self, id: &str) -> Result<StudyDetail, Error> {
        self.get(&format!("/api/v1/studies/{}", escaped(id))).await
    }

    /// "Start anyway": says that nothing more will come.
    ///
    /// # Errors
    /// `STATE_CONFLICT` when it is complete already; see [`Error`].
    pub async fn complete_study(&self, id: &str) -> Result<Study, Error> {
        self.act(&format!("/api/v1/studies/{}/complete", escaped(id))).await
    }

    /// Says which order a study belongs to.
    ///
    /// # Errors
    /// `STATE_CONFLICT` when either is matched already; see [`Error`].
    pub async fn match_study(&self, id: &str, order: &str) -> Result<Study, Error> {
        let body = serde_json::json!({ "order": order });
        self.post(&format!("/api/v1/studies/{}/match", escaped(id)), &body).await
    }

    /// The bytes of an instance as a DICOM file (PS3.10).
    ///
    /// # Errors
    /// `NOT_FOUND`; see [`Error`].
    pub async fn instance_file(&self, id: &str) -> Result<Vec<u8>, Error> {
        self.bytes(&format!("/api/v1/instances/{}/dicom", escaped(id))).await
    }

    /// The data set of an instance exactly as its sender sent it.
    ///
    /// # Errors
    /// `NOT_FOUND`; see [`Error`].
    pub async fn instance_data_set(&self, id: &str) -> Result<Vec<u8>, Error> {
        self.bytes(&format!("/api/v1/instances/{}/dicom?part=dataset", escaped(id))).await
    }

    /// What was put aside at the door, newest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn quarantine(&self) -> Result<Page<Quarantined>, Error> {
        self.get("/api/v1/quarantine").await
    }
}
