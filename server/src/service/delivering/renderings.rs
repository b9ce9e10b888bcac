//! Rendered forms: made once, kept for ever, so that the same UID never has two contents.

use bytes::Bytes;

use medrelay_core::id::{ReportId, uuid_v7};
use medrelay_core::report::sha256_hex;

use super::documents::Paper;
use crate::blobs::{BlobError, BlobKey};
use crate::service::{Caller, Error, Service};
use crate::store::{Form, Rendering, Report, StoreError};

/// The longest rendered form that is read into memory, in bytes.
const FORM_LIMIT_BYTES: u64 = 64 << 20;

/// A rendered form for somebody to look at.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// Its bytes.
    pub bytes: Bytes,
    /// Number of the report with its version; no patient data.
    pub report_number: String,
}

impl Service {
    /// The PDF of a signed version; looking at it is recorded.
    pub async fn report_pdf(&self, caller: &Caller, id: &ReportId) -> Result<Rendered, Error> {
        self.shown(caller, id, Form::Pdf).await
    }

    /// The structured report of a signed version as a DICOM file; looking at it is recorded.
    pub async fn report_sr(&self, caller: &Caller, id: &ReportId) -> Result<Rendered, Error> {
        let mut rendered = self.shown(caller, id, Form::SrObject).await?;
        let mut tx = self.parts.db.read().await?;
        let report = tx.report(id).await?.ok_or(Error::hidden())?;
        rendered.bytes = super::documents::as_file(&report, &rendered.bytes)?;
        Ok(rendered)
    }

    async fn shown(&self, caller: &Caller, id: &ReportId, form: Form) -> Result<Rendered, Error> {
        let mut tx = self.parts.db.read().await?;
        let (_, report) = self.visible_report(&mut tx, caller, id).await?;
        let case_number = tx.case_number(&report.case).await?;
        drop(tx);
        let bytes = self.rendered(&report, form).await?;
        // Asked again: the right to see it may have ended while it was being typeset.
        let mut tx = self.parts.db.write().await?;
        let (case, report) = self.visible_report(&mut tx, caller, id).await?;
        self.record_reading(&mut tx, caller, &case, &report, form.as_str()).await?;
        tx.commit().await?;
        Ok(Rendered { bytes, report_number: format!("{case_number}-{}", report.number) })
    }

    /// The bytes of a form: the stored ones, or made and stored now.
    pub(in crate::service) async fn rendered(
        &self,
        report: &Report,
        form: Form,
    ) -> Result<Bytes, Error> {
        let mut tx = self.parts.db.read().await?;
        let known = tx.rendering(&report.id, form).await?;
        drop(tx);
        match known {
            Some(rendering) => self.stored(&rendering).await,
            None => {
                let bytes = self.made(report, form).await?;
                self.kept(report, form, bytes).await
            }
        }
    }

    async fn made(&self, report: &Report, form: Form) -> Result<Bytes, Error> {
        let mut tx = self.parts.db.read().await?;
        let paper = Paper::load(&mut tx, report, self.parts.settings.utc_offset_minutes).await?;
        drop(tx);
        match form {
            Form::Pdf => {
                let (printer, sheet) = (self.parts.printer.clone(), paper.sheet());
                let printed = tokio::task::spawn_blocking(move || printer.print(&sheet)).await;
                let cut_short = |_| Err("the printing was cut short".to_owned());
                let pdf = printed.unwrap_or_else(cut_short).map_err(Error::Document)?;
                Ok(pdf.into())
            }
            Form::SrObject => paper.structured(),
            // Boxed: this form is made of another one.
            Form::PdfObject => {
                let pdf = Box::pin(self.rendered(report, Form::Pdf)).await?;
                paper.encapsulated(&pdf)
            }
        }
    }

    /// Makes a form durable, then registers it. When somebody else was faster, theirs counts.
    async fn kept(&self, report: &Report, form: Form, bytes: Bytes) -> Result<Bytes, Error> {
        let blob_id = uuid_v7(self.now(), &*self.parts.entropy);
        let key = key(&blob_id)?;
        let committed = self.parts.blobs.put(&key, bytes.clone()).await?;
        let rendering = Rendering {
            blob_id,
            sha256: committed.sha256,
            bytes: i64::try_from(committed.bytes).unwrap_or(i64::MAX),
        };
        let mut tx = self.parts.db.write().await?;
        if tx.insert_rendering(&report.id, form, &rendering).await? {
            tx.commit().await?;
            return Ok(bytes);
        }
        let winner = tx.rendering(&report.id, form).await?.ok_or(StoreError::Lost)?;
        drop(tx);
        self.parts.blobs.delete(&key).await?;
        self.stored(&winner).await
    }

    async fn stored(&self, rendering: &Rendering) -> Result<Bytes, Error> {
        let key = key(&rendering.blob_id)?;
        let bytes = self.parts.blobs.read_all(&key, FORM_LIMIT_BYTES).await?;
        if sha256_hex(&bytes) == rendering.sha256 {
            Ok(bytes)
        } else {
            Err(Error::Blob(BlobError::Damaged("a rendered report is not what it was".into())))
        }
    }
}

fn key(blob_id: &str) -> Result<BlobKey, Error> {
    BlobKey::parse(blob_id).ok_or(Error::Store(StoreError::Inconsistent {
        table: "renderings",
        what: "the name of the bytes is not one of ours",
    }))
}
