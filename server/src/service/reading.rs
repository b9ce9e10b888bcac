//! The queue and the claims on its cases.

use medrelay_core::access::{self, Action};
use medrelay_core::case::{self, Case, Command, Hold, Stage};
use medrelay_core::id::{CaseId, OrganizationId, PersonId};
use medrelay_core::people::SigningPolicy;
use medrelay_core::queue::{self, Reader, Waiting};
use medrelay_core::time::Timestamp;

use super::{
    About, Caller, Error, JOB_EXPIRE, Service, allow, case_object, owned_by, persist, token_hash,
};
use crate::store::{CaseFilter, NewEvent, Order, Study, Tx};

/// How many entries of a queue are shown at once.
const QUEUE_SHOWN: usize = 200;

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

/// A case with what people want to see beside it.
#[derive(Debug, Clone)]
pub struct CaseView {
    /// The case.
    pub case: Case,
    /// Its number for people.
    pub number: String,
    /// Its study.
    pub study: Study,
    /// Its order, if it has one.
    pub order: Option<Order>,
    /// Name of the clinic.
    pub clinic_name: String,
    /// Name of the centre.
    pub centre_name: String,
    /// Name of whoever holds it.
    pub holder_name: Option<String>,
}

/// A waiting case and its place.
#[derive(Debug, Clone)]
pub struct QueueEntry {
    /// Its place in the queue, from 1.
    pub rank: usize,
    /// The case.
    pub view: CaseView,
}

impl Service {
    /// The cases that wait at the caller's centres (or at one of them), in the order in which
    /// they should be read.
    pub async fn queue(
        &self,
        caller: &Caller,
        centre: Option<&OrganizationId>,
    ) -> Result<Vec<QueueEntry>, Error> {
        let mut tx = self.parts.db.read().await?;
        let mut entries = Vec::new();
        for centre in self.centres(&mut tx, caller, centre).await? {
            let centre = std::slice::from_ref(&centre);
            let ordered = ordered_cases(&mut tx, centre, self.now()).await?;
            for (at, case) in ordered.into_iter().take(QUEUE_SHOWN).enumerate() {
                entries.push(QueueEntry { rank: at + 1, view: view(&mut tx, case).await? });
            }
        }
        Ok(entries)
    }

    async fn centres(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        wanted: Option<&OrganizationId>,
    ) -> Result<Vec<OrganizationId>, Error> {
        match wanted {
            Some(centre) => {
                let object = owned_by(tx, centre).await?;
                allow(caller, Action::ListQueue, &object)?;
                Ok(vec![centre.clone()])
            }
            None => Ok(access::scope(&caller.actor, Action::ListQueue).own),
        }
    }

    /// Claims the first case in the queue that the caller may read.
    pub async fn next_case(&self, caller: &Caller) -> Result<Claimed, Error> {
        let mut tx = self.parts.db.read().await?;
        let centres = self.centres(&mut tx, caller, None).await?;
        let ordered = ordered_cases(&mut tx, &centres, self.now()).await?;
        drop(tx);
        for case in ordered {
            match self.claim(caller, &case.id).await {
                // Taken in the meantime, or not for this reader: the next one may be.
                Err(
                    Error::Case(_)
                    | Error::VersionConflict
                    | Error::Denied(_)
                    | Error::Ineligible(
                        queue::Ineligible::Modality
                        | queue::Ineligible::AuthorCannotVerify
                        | queue::Ineligible::Assigned,
                    ),
                ) => {}
                outcome => return outcome,
            }
        }
        Err(Error::QueueEmpty)
    }

    /// Claims a case. Whoever comes second is told who has it, also at the very same moment.
    pub async fn claim(&self, caller: &Caller, id: &CaseId) -> Result<Claimed, Error> {
        persist!(self.claim_once(caller, id).await)
    }

    async fn claim_once(&self, caller: &Caller, id: &CaseId) -> Result<Claimed, Error> {
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
            queue::eligible(&reader, &case.modality, case.stage.preliminary_by(), None)?;
        }
        let (token, hash) = self.token();
        let lease = self.parts.settings.lease;
        let command = Command::Claim { by: person, token_hash: hash, lease };
        // Whoever picks instead of taking what comes leaves a trace of how far down they reached. A
        // case whose lease has run out but was not swept yet stands nowhere in the queue.
        let waiting =
            ordered_cases(&mut tx, std::slice::from_ref(&case.centre), self.now()).await?;
        let rank = waiting.iter().position(|other| other.id == case.id).map(|at| at + 1);
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

    /// One case; the look is an event of its study.
    pub async fn case(&self, caller: &Caller, id: &CaseId) -> Result<CaseView, Error> {
        let mut tx = self.parts.db.read().await?;
        let case = self.visible_case(&mut tx, caller, Action::ReadCase, id).await?;
        let view = view(&mut tx, case).await?;
        drop(tx);
        self.note_access(caller, &view.study).await?;
        Ok(view)
    }

    /// Cases that the caller may see, newest first.
    pub async fn cases(
        &self,
        caller: &Caller,
        filter: &CaseFilter,
        after: Option<&CaseId>,
        limit: i64,
    ) -> Result<Vec<CaseView>, Error> {
        let scope = access::scope(&caller.actor, Action::ReadCase);
        let mut tx = self.parts.db.read().await?;
        let mut views = Vec::new();
        for case in tx.cases(&scope, filter, after, self.now(), limit).await? {
            views.push(view(&mut tx, case).await?);
        }
        Ok(views)
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
    async fn advance(
        &self,
        mut tx: Tx,
        caller: &Caller,
        case: Case,
        command: Command,
        details: Option<serde_json::Value>,
    ) -> Result<Case, Error> {
        let ends_hold = matches!(
            command,
            Command::Claim { .. }
                | Command::TakeOver { .. }
                | Command::Release { .. }
                | Command::Expire
        );
        let starts_hold = matches!(command, Command::Claim { .. } | Command::TakeOver { .. });
        let step = case::apply(case, command, self.now())?;
        let mut case = step.case;
        if ends_hold {
            tx.orphan_drafts(&case.id).await?;
        }
        if starts_hold && let Some(claim) = case.stage.claim() {
            self.parts.schedule(&mut tx, JOB_EXPIRE, case.id.as_str(), claim.expires).await?;
        }
        tx.save_case(&case).await?;
        case.version += 1;
        let events: Vec<NewEvent> = step
            .events
            .into_iter()
            .map(|kind| {
                let about = About { details: details.clone(), ..About::case(&case) };
                self.parts.event(caller, kind, about)
            })
            .collect();
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

/// The cases that wait at some centres, in one order for all of them.
async fn ordered_cases(
    tx: &mut Tx,
    centres: &[OrganizationId],
    now: Timestamp,
) -> Result<Vec<Case>, Error> {
    let mut cases = Vec::new();
    for centre in centres {
        cases.extend(tx.waiting_cases(centre).await?);
    }
    cases.sort_by_cached_key(|case| queue::key(&waiting(case), now));
    Ok(cases)
}

fn waiting(case: &Case) -> Waiting {
    Waiting {
        case: case.id.clone(),
        clinic: case.clinic.clone(),
        priority: case.priority,
        deadline: case.deadline,
        submitted_at: case.opened_at,
        expected: queue::expected_service(&case.modality),
        fair: case.fair,
    }
}

async fn view(tx: &mut Tx, case: Case) -> Result<CaseView, Error> {
    let study = tx.study(&case.study).await?.ok_or(Error::hidden())?;
    let order = match &case.order {
        Some(id) => tx.order(id).await?,
        None => None,
    };
    let name = |organization: Option<crate::store::Organization>| {
        organization.map(|o| o.name).unwrap_or_default()
    };
    let clinic_name = name(tx.organization(&case.clinic).await?);
    let centre_name = name(tx.organization(&case.centre).await?);
    let holder_name = match case.stage.claim() {
        Some(claim) => tx.person(&claim.holder).await?.map(|person| person.name),
        None => None,
    };
    let number = tx.case_number(&case.id).await?;
    Ok(CaseView { case, number, study, order, clinic_name, centre_name, holder_name })
}
