//! Critical findings: raised at the centre, read back and settled at the clinic, called off only by
//! the centre. People follow them live, gateways get a notice.

use std::collections::HashMap;

use medrelay_core::access::{self, Action};
use medrelay_core::event::Kind;
use medrelay_core::finding::{self, Command, Disposition, FindingCode, Stage};
use medrelay_core::id::{CaseId, FindingId, PersonId, Phi};
use medrelay_core::message::MessageKind;

use super::casebook::texts;
use super::messages::Said;
use super::{About, Caller, Error, Service, allow, case_object, persist};
use crate::store::{Finding, Tx};

/// Critical findings of one case at most.
const FINDINGS: i64 = 20;

/// A critical finding with the names of everybody who had to do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingView {
    /// The finding.
    pub finding: Finding,
    /// Name of whoever read it back.
    pub acknowledged_by_name: Option<String>,
    /// Name of whoever settled it or called it off.
    pub settled_by_name: Option<String>,
}

impl Service {
    /// Raises a critical finding in a case.
    pub async fn raise_finding(
        &self,
        caller: &Caller,
        case: &CaseId,
        code: FindingCode,
        text: &Phi<String>,
    ) -> Result<FindingView, Error> {
        let now = self.now();
        let text = finding::checked_text(text.reveal(), code != FindingCode::Other)?;
        let mut tx = self.db().write().await?;
        let case = self.visible_case(&mut tx, caller, Action::RaiseFinding, case).await?;
        if tx.count_findings(&case.id).await? >= FINDINGS {
            return Err(Error::Conflict("there are too many critical findings in this case"));
        }
        // For those who have nobody at a screen: the gateway at the clinic shows it.
        let notice = Said {
            organization: case.centre.clone(),
            kind: MessageKind::Notice,
            code: None,
            text: Phi::new(format!("危急值 / critical finding: {} {text}", code.as_str())),
        };
        let (message, told) = self.say(&mut tx, caller, &case, notice, now).await?;
        let clinic = tx.organization(&case.clinic).await?;
        let finding = Finding {
            id: FindingId::new(now, &*self.parts.entropy),
            clinic: case.clinic.clone(),
            centre: case.centre.clone(),
            case: case.id.clone(),
            code,
            text: Phi::new(text),
            stage: Stage::Notifying,
            raised_by: message.written_by,
            raised_at: now,
            version: 1,
            case_number: message.case_number,
            patient_name: message.patient_name,
            clinic_name: clinic.map(|it| it.name).unwrap_or_default(),
            raised_by_name: message.written_by_name,
        };
        tx.insert_finding(&finding).await?;
        let details = serde_json::json!({ "finding": finding.id, "code": code });
        let about = About::case(&case).with(details);
        let raised = self.parts.event(caller, Kind::FindingRaised, about);
        tx.record(vec![raised, told]).await?;
        tx.commit().await?;
        Ok(FindingView { finding, acknowledged_by_name: None, settled_by_name: None })
    }

    /// The clinic reads a finding back.
    pub async fn acknowledge_finding(
        &self,
        caller: &Caller,
        id: &FindingId,
        words: Phi<String>,
    ) -> Result<FindingView, Error> {
        let command = Command::Acknowledge { by: caller.person()?.clone(), words };
        persist!(self.move_finding(caller, id, Action::AcknowledgeFinding, command.clone()).await)
    }

    /// The clinic says what was done.
    pub async fn settle_finding(
        &self,
        caller: &Caller,
        id: &FindingId,
        disposition: Disposition,
        text: Phi<String>,
    ) -> Result<FindingView, Error> {
        let command = Command::Settle { by: caller.person()?.clone(), disposition, text };
        persist!(self.move_finding(caller, id, Action::AcknowledgeFinding, command.clone()).await)
    }

    /// The centre calls a finding off.
    pub async fn call_off_finding(
        &self,
        caller: &Caller,
        id: &FindingId,
        reason: Phi<String>,
    ) -> Result<FindingView, Error> {
        let command = Command::CallOff { by: caller.person()?.clone(), reason };
        persist!(self.move_finding(caller, id, Action::RaiseFinding, command.clone()).await)
    }

    async fn move_finding(
        &self,
        caller: &Caller,
        id: &FindingId,
        action: Action,
        command: Command,
    ) -> Result<FindingView, Error> {
        let now = self.now();
        let mut tx = self.db().write().await?;
        let mut finding = tx.finding(id).await?.ok_or(Error::hidden())?;
        let case = self.visible_case(&mut tx, caller, action, &finding.case).await?;
        let (stage, kind) = finding::apply(finding.stage, command, now)?;
        finding.stage = stage;
        tx.save_finding(&finding, now).await?;
        finding.version += 1;
        let details = serde_json::json!({
            "finding": finding.id, "code": finding.code, "stage": finding.stage.name(),
        });
        let about = About::case(&case).with(details);
        tx.record(vec![self.parts.event(caller, kind, about)]).await?;
        let view = with_names(&mut tx, vec![finding]).await?.pop();
        tx.commit().await?;
        view.ok_or(Error::hidden())
    }

    /// The critical findings of a case, oldest first.
    pub async fn findings_of_case(
        &self,
        caller: &Caller,
        case: &CaseId,
    ) -> Result<Vec<FindingView>, Error> {
        let mut tx = self.db().read().await?;
        let case = tx.case(case).await?.ok_or(Error::hidden())?;
        allow(caller, Action::ReadFinding, &case_object(&mut tx, &case, self.now()).await?)?;
        let findings = tx.findings_of_case(&case.id).await?;
        with_names(&mut tx, findings).await
    }

    /// Critical findings that the caller may see, newest first.
    pub async fn findings(
        &self,
        caller: &Caller,
        stage: Option<&str>,
        after: Option<&FindingId>,
        limit: i64,
    ) -> Result<Vec<FindingView>, Error> {
        let scope = access::scope(&caller.actor, Action::ReadFinding);
        let mut tx = self.db().read().await?;
        let findings = tx.findings(&scope, stage, after, self.now(), limit).await?;
        with_names(&mut tx, findings).await
    }
}

async fn with_names(tx: &mut Tx, findings: Vec<Finding>) -> Result<Vec<FindingView>, Error> {
    let people = findings.iter().flat_map(|finding| {
        let read_back = finding.stage.read_back().map(|it| &it.by);
        [read_back, ended_by(&finding.stage)].into_iter().flatten()
    });
    let names = tx.person_names(&texts(people)).await?;
    let named = |names: &HashMap<String, String>, id: Option<&PersonId>| {
        id.map(|id| names.get(id.as_str()).cloned().unwrap_or_default())
    };
    let view = |finding: Finding| FindingView {
        acknowledged_by_name: named(&names, finding.stage.read_back().map(|it| &it.by)),
        settled_by_name: named(&names, ended_by(&finding.stage)),
        finding,
    };
    Ok(findings.into_iter().map(view).collect())
}

const fn ended_by(stage: &Stage) -> Option<&PersonId> {
    match stage {
        Stage::Settled { by, .. } | Stage::FalseAlarm { by, .. } => Some(by),
        Stage::Notifying | Stage::Acknowledged { .. } => None,
    }
}
