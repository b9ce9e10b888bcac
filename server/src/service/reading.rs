//! The claims on cases: taking, keeping, giving back.

use medrelay_core::access::Action;
use medrelay_core::case::{self, Case, Command, Hold, Stage};
use medrelay_core::id::{CaseId, PersonId};
use medrelay_core::people::SigningPolicy;
use medrelay_core::queue::{self, Needs, Reader};
use medrelay_core::time::Timestamp;

use super::queueing::Staff;
use super::{About, Caller, Error, JOB_EXPIRE, Service, allow, case_object, persist, token_hash};
use crate::store::{NewEvent, Tx};

/// What the holder of a claim shows with every write.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The secret token that claiming returned.
    pub token: String,
    /// The fence that claiming returned.
    pub fence: i64,
}

impl Proof {
    /// The hold that this proves for a person.
    pub fn hold(&self, by: &PersonId) -> Hold {
        Hold { by: by.clone(), token_hash: token_hash(&self.token), fence: self.fence }
    }
}

/// A case that was just claimed, with the secret that only its holder gets.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The case.
    pub case: Case,
    /// The secret token.
    pub token: String,
}

/// What a command on a case writes beside the case.
pub(super) struct Beside {
    /// Details of its events.
    pub(super) details: Option<serde_json::Value>,
    /// Further events.
    pub(super) events: Vec<NewEvent>,
    /// The moment of all of it.
    pub(super) now: Timestamp,
}

impl Service {
    /// Claims a case. Whoever comes second is told who has it, also at the very same moment.
    pub async fn claim(&self, caller: &Caller, id: &CaseId) -> Result<Claimed, Error> {
        // Whoever picks instead of taking what comes leaves a trace of how far down they reached. A
        // case whose lease has run out but was not swept yet stands nowhere in the queue.
        let rank = self.rank(id).await?;
        self.claim_at(caller, id, rank).await
    }

    /// Claims a case that stands at a place in the queue.
    pub(super) async fn claim_at(
        &self,
        caller: &Caller,
        id: &CaseId,
        rank: Option<usize>,
    ) -> Result<Claimed, Error> {
        persist!(self.claim_once(caller, id, rank).await)
    }

    async fn claim_once(
        &self,
        caller: &Caller,
        id: &CaseId,
        rank: Option<usize>,
    ) -> Result<Claimed, Error> {
        let person = caller.person()?.clone();
        let mut tx = self.parts.db.write().await?;
        let case = self.visible_case(&mut tx, caller, Action::ClaimCase, id).await?;
        if needs_verifier(&case) {
            let object = case_object(&mut tx, &case, self.now()).await?;
            allow(caller, Action::SignFinal, &object)?;
        }
        let live = case.stage.claim().is_some_and(|claim| self.now() < claim.expires);
        if !live {
            let reader = self.reader(&mut tx, &person).await?;
            let staff = Staff::of(tx.staff(std::slice::from_ref(&case.centre)).await?);
            let given = case.assigned.as_ref();
            let assignee = given.and_then(|assignee| staff.get(&case.centre, assignee));
            let bound = queue::binding(given, assignee, needs(&case));
            queue::eligible(&reader, &case.modality, case.stage.preliminary_by(), bound)?;
        }
        let (token, hash) = self.token();
        let lease = self.parts.settings.lease;
        let command = Command::Claim { by: person, token_hash: hash, lease };
        let details = serde_json::json!({ "rank": rank });
        tx.raise_fair_tag(&case.centre, None, case.fair).await?;
        let case = self.advance(tx, caller, case, command, Some(details)).await?;
        Ok(Claimed { case, token })
    }

    /// Takes a case from its holder, who is told; their text is kept. A verifier goes on reading;
    /// a coordinator, who reads nothing, gives it back to the queue with [`Service::release`].
    pub async fn take_over(
        &self,
        caller: &Caller,
        id: &CaseId,
        reason: &str,
    ) -> Result<Claimed, Error> {
        let person = caller.person()?.clone();
        let mut tx = self.parts.db.write().await?;
        let case = self.visible_case(&mut tx, caller, Action::ReadCase, id).await?;
        let own = case.stage.claim().is_some_and(|claim| claim.holder == person);
        let action = if own { Action::ClaimCase } else { Action::TakeOverCase };
        let object = case_object(&mut tx, &case, self.now()).await?;
        allow(caller, action, &object)?;
        if reason.trim().is_empty() {
            return Err(Error::invalid("reason", "say why the case is taken over"));
        }
        let (token, hash) = self.token();
        let lease = self.parts.settings.lease;
        let from = case.stage.claim().map(|claim| claim.holder.clone());
        let command = Command::TakeOver { by: person, token_hash: hash, lease };
        let details = serde_json::json!({ "from": from, "reason": reason.trim() });
        let case = self.advance(tx, caller, case, command, Some(details)).await?;
        Ok(Claimed { case, token })
    }

    /// Keeps a claim alive while its holder works.
    pub async fn heartbeat(
        &self,
        caller: &Caller,
        id: &CaseId,
        proof: &Proof,
    ) -> Result<Case, Error> {
        let lease = self.parts.settings.lease;
        let hold = proof.hold(caller.person()?);
        let only = &[Action::ClaimCase];
        self.hold_on(caller, id, only, Command::Heartbeat { hold, lease }, None).await
    }

    /// Gives a case back to the queue.
    pub async fn release(
        &self,
        caller: &Caller,
        id: &CaseId,
        proof: &Proof,
        reason: &str,
    ) -> Result<Case, Error> {
        let hold = proof.hold(caller.person()?);
        let details = serde_json::json!({ "reason": reason.trim() });
        let either = &[Action::ClaimCase, Action::TakeOverCase];
        self.hold_on(caller, id, either, Command::Release { hold }, Some(details)).await
    }

    /// What the holder of a claim, who may do one of `actions`, does with it.
    async fn hold_on(
        &self,
        caller: &Caller,
        id: &CaseId,
        actions: &[Action],
        command: Command,
        details: Option<serde_json::Value>,
    ) -> Result<Case, Error> {
        persist!(self.hold_on_once(caller, id, actions, command.clone(), details.clone()).await)
    }

    async fn hold_on_once(
        &self,
        caller: &Caller,
        id: &CaseId,
        actions: &[Action],
        command: Command,
        details: Option<serde_json::Value>,
    ) -> Result<Case, Error> {
        let mut tx = self.parts.db.write().await?;
        let case = tx.case(id).await?.ok_or(Error::hidden())?;
        let object = case_object(&mut tx, &case, self.now()).await?;
        let mut allowed = Err(Error::hidden());
        for action in actions {
            allowed = allowed.or_else(|_| allow(caller, *action, &object));
        }
        allowed?;
        self.advance(tx, caller, case, command, details).await
    }

    /// Puts an opened case into the queue, with its fair place among the clinics.
    pub(super) async fn enqueue(&self, id: &CaseId) -> Result<(), Error> {
        let mut tx = self.parts.db.write().await?;
        let Some(mut case) = tx.case(id).await? else { return Ok(()) };
        if case.stage != Stage::Submitted {
            return Ok(());
        }
        let weight = tx.agreement(&case.agreement).await?.map_or(1, |agreement| agreement.weight);
        let virtual_time = tx.fair_tag(&case.centre, None).await?;
        let last = tx.fair_tag(&case.centre, Some(&case.clinic)).await?;
        let expected = queue::expected_service(&case.modality);
        case.fair = queue::finish_tag(virtual_time, last, expected, weight);
        tx.raise_fair_tag(&case.centre, Some(&case.clinic), case.fair).await?;
        self.advance(tx, &Caller::system(), case, Command::Enqueue, None).await?;
        Ok(())
    }

    /// Ends a claim whose lease ran out; says when to look again, if it was renewed.
    pub(super) async fn expire_claim(&self, id: &CaseId) -> Result<Option<Timestamp>, Error> {
        let mut tx = self.parts.db.write().await?;
        let Some(case) = tx.case(id).await? else { return Ok(None) };
        match case.stage.claim() {
            None => Ok(None),
            Some(claim) if self.now() < claim.expires => Ok(Some(claim.expires)),
            Some(_) => {
                self.advance(tx, &Caller::system(), case, Command::Expire, None).await?;
                Ok(None)
            }
        }
    }

    /// Applies a command, writes everything it changes and commits.
    pub(super) async fn advance(
        &self,
        tx: Tx,
        caller: &Caller,
        case: Case,
        command: Command,
        details: Option<serde_json::Value>,
    ) -> Result<Case, Error> {
        let beside = Beside { details, events: Vec::new(), now: self.now() };
        self.advance_with(tx, caller, case, command, beside).await
    }

    /// The same at a moment that the caller has chosen, with more events in the transaction.
    pub(super) async fn advance_with(
        &self,
        mut tx: Tx,
        caller: &Caller,
        case: Case,
        command: Command,
        beside: Beside,
    ) -> Result<Case, Error> {
        let ends_hold = matches!(
            command,
            Command::Claim { .. }
                | Command::TakeOver { .. }
                | Command::Release { .. }
                | Command::Return { .. }
                | Command::Expire
        );
        let starts_hold = matches!(command, Command::Claim { .. } | Command::TakeOver { .. });
        let step = case::apply(case, command, beside.now)?;
        let mut case = step.case;
        if ends_hold {
            tx.orphan_drafts(&case.id).await?;
        }
        if starts_hold && let Some(claim) = case.stage.claim() {
            self.parts.schedule(&mut tx, JOB_EXPIRE, case.id.as_str(), claim.expires).await?;
        }
        tx.save_case(&case).await?;
        case.version += 1;
        let mut events: Vec<NewEvent> = step
            .events
            .into_iter()
            .map(|kind| {
                let about = About { details: beside.details.clone(), ..About::case(&case) };
                self.parts.event(caller, kind, about)
            })
            .collect();
        events.extend(beside.events);
        tx.record(events).await?;
        tx.commit().await?;
        Ok(case)
    }

    /// Loads a case that the caller may do `action` to.
    pub(super) async fn visible_case(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        action: Action,
        id: &CaseId,
    ) -> Result<Case, Error> {
        let case = tx.case(id).await?.ok_or(Error::hidden())?;
        let object = case_object(tx, &case, self.now()).await?;
        allow(caller, action, &object)?;
        Ok(case)
    }

    async fn reader(&self, tx: &mut Tx, id: &PersonId) -> Result<Reader, Error> {
        let person = tx.person(id).await?.ok_or(Error::hidden())?;
        let holding = usize::try_from(tx.cases_held(id).await?).unwrap_or(usize::MAX);
        Ok(Reader {
            person: id.clone(),
            modalities: person.modalities,
            holding,
            claim_limit: self.parts.settings.claim_limit,
        })
    }
}

/// Whether only somebody who may sign a final report can do anything with the case.
fn needs_verifier(case: &Case) -> bool {
    case.policy == SigningPolicy::SingleSenior || case.stage.preliminary_by().is_some()
}

/// What a case asks of whoever takes it.
pub(super) fn needs(case: &Case) -> Needs<'_> {
    Needs {
        modality: &case.modality,
        verifier: needs_verifier(case),
        preliminary_by: case.stage.preliminary_by(),
    }
}
