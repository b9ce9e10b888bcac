//! What readers draw on the images of a case: kept under their hold like a draft, and with the
//! report when that is signed. The signature covers its hash.

use medrelay_core::access::Action;
use medrelay_core::case::{self, Command};
use medrelay_core::event::Kind;
use medrelay_core::id::{CaseId, Phi, ReportId};
use medrelay_core::report::{ANNOTATIONS_LIMIT_BYTES, sha256_hex};

use super::reading::Proof;
use super::{About, Caller, Error, Service};
use crate::store::{Annotations, StoreError};

impl Service {
    /// Saves what a reader has drawn so far under their claim.
    pub async fn save_annotations(
        &self,
        caller: &Caller,
        id: &CaseId,
        proof: &Proof,
        body: &serde_json::Value,
    ) -> Result<Annotations, Error> {
        let person = caller.person()?.clone();
        let body = body.is_object().then(|| body.to_string());
        let body = body.filter(|text| text.len() <= ANNOTATIONS_LIMIT_BYTES);
        let body = body.ok_or_else(|| Error::invalid("body", "an object of at most 512 KiB"))?;
        let now = self.now();
        let mut tx = self.db().write().await?;
        let case = self.visible_case(&mut tx, caller, Action::ClaimCase, id).await?;
        let command = Command::SaveDraft { hold: proof.hold(&person) };
        case::apply(case.clone(), command, now)?;
        let drawn = Annotations {
            author: person,
            fence: proof.fence,
            sha256: sha256_hex(body.as_bytes()),
            body: Phi::new(body),
            saved_at: now,
        };
        tx.save_annotations(&case.id, &drawn).await?;
        let about = About::case(&case).with(serde_json::json!({ "sha256": drawn.sha256 }));
        tx.record(vec![self.parts.event(caller, Kind::AnnotationsSaved, about)]).await?;
        tx.commit().await?;
        Ok(drawn)
    }

    /// What whoever holds the case has drawn, else what was drawn last.
    pub async fn annotations(
        &self,
        caller: &Caller,
        id: &CaseId,
    ) -> Result<Option<Annotations>, Error> {
        let person = caller.person()?;
        let mut tx = self.db().read().await?;
        let case = self.visible_case(&mut tx, caller, Action::ClaimCase, id).await?;
        let holder = case.stage.claim().map_or(person, |claim| &claim.holder);
        Ok(tx.annotations(&case.id, holder, case.fence).await?)
    }

    /// What was drawn when a version was signed, with its SHA-256 (hex); looking at it is recorded.
    pub async fn report_annotations(
        &self,
        caller: &Caller,
        id: &ReportId,
    ) -> Result<(Phi<String>, String), Error> {
        let mut tx = self.db().write().await?;
        let (case, report) = self.visible_report(&mut tx, caller, id).await?;
        let (body, sha256) = tx.report_annotations(id).await?.ok_or(Error::hidden())?;
        if sha256_hex(body.reveal().as_bytes()) != sha256 {
            let what = "the annotations are not what was signed";
            return Err(StoreError::Inconsistent { table: "report_annotations", what }.into());
        }
        self.record_reading(&mut tx, caller, &case, &report, "annotations").await?;
        tx.commit().await?;
        Ok((body, sha256))
    }
}
