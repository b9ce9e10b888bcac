//! Orders: what a clinic asks and why.

use medrelay_core::people::Priority;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::client::{Client, escaped};
use crate::error::Error;
use crate::paging::Page;

/// An order as a clinic writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewOrder {
    /// Identifier of the clinic that asks.
    pub clinic: String,
    /// Patient ID as the clinic's devices send it.
    pub patient_id: String,
    /// Patient's name.
    pub patient_name: String,
    /// Birth date, `YYYYMMDD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient_birth_date: Option<String>,
    /// `M`, `F` or `O`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient_sex: Option<String>,
    /// A DICOM code such as `CT`.
    pub modality: String,
    /// A DICOM code such as `CHEST`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_part: Option<String>,
    /// Accession number; a study that carries it is matched by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accession: Option<String>,
    /// Study Instance UID, where it is known beforehand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub study_uid: Option<String>,
    /// How soon.
    pub priority: Priority,
    /// History and findings so far.
    pub history: String,
    /// What the clinic wants to know.
    pub question: String,
}

impl NewOrder {
    /// A routine order with what every order needs.
    pub fn new(
        clinic: impl Into<String>,
        patient_id: impl Into<String>,
        patient_name: impl Into<String>,
        modality: impl Into<String>,
    ) -> Self {
        Self {
            clinic: clinic.into(),
            patient_id: patient_id.into(),
            patient_name: patient_name.into(),
            patient_birth_date: None,
            patient_sex: None,
            modality: modality.into(),
            body_part: None,
            accession: None,
            study_uid: None,
            priority: Priority::Routine,
            history: String::new(),
            question: String::new(),
        }
    }
}

/// What changes on an order: `None` leaves a field, an empty text clears an optional one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are those of `NewOrder`")]
pub struct OrderChange {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accession: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub study_uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
}

/// An order as the relay holds it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Order {
    /// Its identifier.
    pub id: String,
    /// Its number for people.
    pub number: String,
    /// The clinic that asks.
    pub clinic: String,
    /// Patient ID.
    pub patient_id: String,
    /// Patient's name.
    pub patient_name: String,
    /// Birth date, `YYYYMMDD`.
    pub patient_birth_date: Option<String>,
    /// Sex.
    pub patient_sex: Option<String>,
    /// Modality.
    pub modality: String,
    /// Part of the body.
    pub body_part: Option<String>,
    /// Accession number.
    pub accession: Option<String>,
    /// Study Instance UID.
    pub study_uid: Option<String>,
    /// How soon.
    pub priority: Priority,
    /// History.
    pub history: String,
    /// Question.
    pub question: String,
    /// Who wrote it.
    pub ordered_by: String,
    /// The study that was matched with it.
    pub study: Option<String>,
    /// When it was written, microseconds since 1970 UTC.
    pub created_at: i64,
    /// Grows with every change.
    pub version: i64,
}

/// Which orders.
#[derive(Debug, Clone, Default, Serialize)]
pub struct OrderQuery {
    /// Only those of this clinic.
    pub clinic: Option<String>,
    /// Only those that have their study, or that wait for it.
    pub matched: Option<bool>,
    /// Only those with this accession number.
    pub accession: Option<String>,
    /// [`Page::next`] of the previous page.
    pub after: Option<String>,
    /// How many at most.
    pub limit: Option<i64>,
}

impl Client {
    /// Writes an order; a study that is here already is matched with it at once.
    ///
    /// # Errors
    /// `VALIDATION` names the field; see [`Error`].
    pub async fn create_order(&self, order: &NewOrder) -> Result<Order, Error> {
        self.post("/api/v1/orders", order).await
    }

    /// Orders that the caller may see, newest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn orders(&self, query: &OrderQuery) -> Result<Page<Order>, Error> {
        self.find("/api/v1/orders", query).await
    }

    /// One order.
    ///
    /// # Errors
    /// `NOT_FOUND`; see [`Error`].
    pub async fn order(&self, id: &str) -> Result<Order, Error> {
        self.get(&format!("/api/v1/orders/{}", escaped(id))).await
    }

    /// Changes an order that has no study yet.
    ///
    /// # Errors
    /// `STATE_CONFLICT` once it has its study, `VERSION_CONFLICT` when somebody was faster.
    pub async fn change_order(&self, id: &str, change: &OrderChange) -> Result<Order, Error> {
        self.call(Method::PATCH, &format!("/api/v1/orders/{}", escaped(id)), change).await
    }
}
