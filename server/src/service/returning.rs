//! Cases that go back to their clinic and come again, and cases that a coordinator gives to a reader.

use medrelay_core::access::{Action, Denial, Partner, Standing};
use medrelay_core::case::{Case, Command};
use medrelay_core::id::{CaseId, OrganizationId, PersonId, Phi};
use medrelay_core::message::{MessageKind, ReturnCode};
use medrelay_core::queue;
use medrelay_core::time::{Span, Timestamp};

use super::calendars::due;
use super::messages::Said;
use super::queueing::Staff;
use super::reading::{Beside, Proof, needs};
use super::{Caller, Error, Service, allow, case_object, owned_by, persist};
use crate::store::{Load, StaffMember};

/// A reader of a centre and what they have in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderView {
    /// Who, and what they may read.
    pub member: StaffMember,
    /// What they have in hand.
    pub load: Load,
}

impl Service {
    /// Returns a case to its clinic: whoever holds it shows the proof, a coordinator returns what
    /// waits for a reader. The clinic gets a return request.
    pub async fn return_case(
        &self,
        caller: &Caller,
        id: &CaseId,
        proof: Option<&Proof>,
        code: ReturnCode,
        text: &Phi<String>,
    ) -> Result<Case, Error> {
        persist!(self.return_once(caller, id, proof, code, text).await)
    }

    async fn return_once(
        &self,
        caller: &Caller,
        id: &CaseId,
        proof: Option<&Proof>,
        code: ReturnCode,
        text: &Phi<String>,
    ) -> Result<Case, Error> {
        let by = caller.person()?.clone();
        let now = self.now();
        let mut tx = self.parts.db.write().await?;
        let case = self.visible_case(&mut tx, caller, Action::ReturnCase, id).await?;
        let command = match proof {
            Some(proof) => Command::Return { hold: proof.hold(&by), code },
            None => {
                let object = case_object(&mut tx, &case, now).await?;
                allow(caller, Action::AssignCase, &object).map_err(|denial| match denial {
                    Error::Denied(Denial::Forbidden) => {
                        Error::invalid("proof", "claim the case first, and show the claim")
                    }
                    other => other,
                })?;
                Command::ReturnWaiting { by, code }
            }
        };
        let said = Said {
            organization: case.centre.clone(),
            kind: MessageKind::ReturnRequest,
            code: Some(code),
            text: text.clone(),
        };
        let (message, event) = self.say(&mut tx, caller, &case, said, now).await?;
        let details = serde_json::json!({
            "code": code, "times": case.returns + 1, "message": message.id,
        });
        let beside = Beside { details: Some(details), events: vec![event], now };
        self.advance_with(tx, caller, case, command, beside).await
    }

    /// Sends a returned case again. Its deadline goes on with the rest of the time, at least half
    /// of what the agreement gives.
    pub async fn resubmit(
        &self,
        caller: &Caller,
        id: &CaseId,
        text: &Phi<String>,
    ) -> Result<Case, Error> {
        persist!(self.resubmit_once(caller, id, text).await)
    }

    async fn resubmit_once(
        &self,
        caller: &Caller,
        id: &CaseId,
        text: &Phi<String>,
    ) -> Result<Case, Error> {
        caller.person()?;
        let now = self.now();
        let mut tx = self.parts.db.write().await?;
        let case = self.visible_case(&mut tx, caller, Action::ResubmitCase, id).await?;
        let agreement = tx.agreement(&case.agreement).await?;
        let agreed = match agreement {
            // As long as it would have if it were opened now, by the centre's working time.
            Some(agreement) => {
                due(&mut tx, &case.centre, now, &agreement.limits, case.priority).await?.since(now)
            }
            None => case.deadline.since(case.opened_at),
        };
        let mut events = Vec::new();
        if !text.reveal().trim().is_empty() {
            let said = Said {
                organization: case.clinic.clone(),
                kind: MessageKind::Discussion,
                code: None,
                text: text.clone(),
            };
            events.push(self.say(&mut tx, caller, &case, said, now).await?.1);
        }
        let beside = Beside { details: None, events, now };
        self.advance_with(tx, caller, case, Command::Resubmit { agreed }, beside).await
    }

    /// Gives a case to a reader of its centre, or to whoever comes.
    pub async fn assign(
        &self,
        caller: &Caller,
        id: &CaseId,
        to: Option<&PersonId>,
    ) -> Result<Case, Error> {
        persist!(self.assign_once(caller, id, to).await)
    }

    async fn assign_once(
        &self,
        caller: &Caller,
        id: &CaseId,
        to: Option<&PersonId>,
    ) -> Result<Case, Error> {
        caller.person()?;
        let mut tx = self.parts.db.write().await?;
        let case = self.visible_case(&mut tx, caller, Action::AssignCase, id).await?;
        if let Some(person) = to
            && case.stage.preliminary_by() != Some(person)
        {
            let staff = Staff::of(tx.staff(std::slice::from_ref(&case.centre)).await?);
            let reader = staff.get(&case.centre, person);
            if !reader.is_some_and(|reader| queue::fit(person, reader, needs(&case))) {
                let why = "name a reader of the centre who may read and sign this case";
                return Err(Error::invalid("person", why));
            }
        }
        let details = serde_json::json!({ "to": to });
        let command = Command::Assign { to: to.cloned() };
        self.advance(tx, caller, case, command, Some(details)).await
    }

    /// Who reads at a centre and what they have in hand: whom a case can be given to.
    pub async fn readers(
        &self,
        caller: &Caller,
        centre: &OrganizationId,
    ) -> Result<Vec<ReaderView>, Error> {
        let mut tx = self.parts.db.read().await?;
        tx.organization(centre).await?.ok_or(Error::hidden())?;
        let mut object = owned_by(&mut tx, centre).await?;
        object.partners.push(Partner { centre: centre.clone(), standing: Standing::Active });
        allow(caller, Action::AssignCase, &object)?;
        let loads = tx.loads(centre, self.midnight()).await?;
        let members = tx.staff(std::slice::from_ref(centre)).await?.into_iter();
        let view = |member: StaffMember| ReaderView {
            load: loads.get(member.person.as_str()).copied().unwrap_or_default(),
            member,
        };
        Ok(members.map(view).collect())
    }

    /// When the present day began where the relay's clocks hang.
    pub(super) fn midnight(&self) -> Timestamp {
        let offset = Span::from_minutes(i64::from(self.parts.settings.utc_offset_minutes));
        midnight(self.now(), offset)
    }
}

/// When the present day began where the clock is `offset` east of UTC.
fn midnight(now: Timestamp, offset: Span) -> Timestamp {
    const DAY: i64 = Span::from_hours(24).micros();
    let local = (now + offset).micros();
    Timestamp::from_micros(local - local.rem_euclid(DAY)) - offset
}
