//! What was done for the same patient before: the studies that a reader compares with.

use medrelay_core::access::{self, Action};
use medrelay_core::id::{CaseId, ReportId};

use super::casebook::{sees, texts};
use super::{Caller, Error, Service};
use crate::store::{PriorRow, Study};

/// Another study of the same patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prior {
    /// The study.
    pub study: Study,
    /// Its case, if it has one.
    pub case: Option<CaseId>,
    /// Name of the clinic that made it.
    pub clinic_name: String,
    /// Its newest final report.
    pub report: Option<ReportId>,
    /// It carries the same patient number of the same clinic; otherwise the same name, birth date
    /// and sex, which a person must judge.
    pub same_patient_id: bool,
}

impl Service {
    /// The other studies of a case's patient that the caller may see: those of the same part of
    /// the body and modality first, then the newest. The look is an event of the case's study.
    pub async fn priors(&self, caller: &Caller, id: &CaseId) -> Result<Vec<Prior>, Error> {
        let mut tx = self.parts.db.read().await?;
        let case = self.visible_case(&mut tx, caller, Action::ReadCase, id).await?;
        let study = tx.study(&case.study).await?.ok_or(Error::hidden())?;
        let scope = access::scope(&caller.actor, Action::ReadStudy);
        let mut rows = tx.priors(&[id.to_string()], self.now()).await?;
        rows.retain(|row| sees(&scope, row));
        let mut studies = tx.studies_by_id(&texts(rows.iter().map(|row| &row.study))).await?;
        let clinics = tx.organization_names(&texts(rows.iter().map(|row| &row.clinic))).await?;
        let cases = texts(rows.iter().filter_map(|row| row.prior_case.as_ref()));
        let reports = tx.newest_reports(&cases).await?;
        drop(tx);
        self.note_access(caller, &study).await?;
        let prior = |row: PriorRow| {
            let report = row.prior_case.as_ref().and_then(|case| reports.get(case.as_str()));
            Some(Prior {
                study: studies.remove(row.study.as_str())?,
                report: report.cloned(),
                clinic_name: clinics.get(row.clinic.as_str()).cloned().unwrap_or_default(),
                case: row.prior_case,
                same_patient_id: row.same_patient_id,
            })
        };
        let mut priors: Vec<Prior> = rows.into_iter().filter_map(prior).collect();
        priors.sort_by_cached_key(|prior| {
            let part = study.body_part.is_some() && prior.study.body_part == study.body_part;
            let modality = prior.study.modality == study.modality;
            let rank = 2 - u8::from(part) - u8::from(modality);
            let date = prior.study.study_date.clone().unwrap_or_default();
            (rank, std::cmp::Reverse((date, prior.study.first_at)))
        });
        Ok(priors)
    }
}
