//! The queue of a centre: what waits and in which order, what a reader has, what went back to its
//! clinic, and who comes next.

use std::collections::{HashMap, HashSet};

use medrelay_core::access::{self, Action};
use medrelay_core::id::{OrganizationId, PersonId};
use medrelay_core::people::{Priority, Role, SigningPolicy};
use medrelay_core::queue::{self, Needs, OnStaff, Waiting};
use medrelay_core::time::Timestamp;

use super::casebook::{CaseView, Outlook};
use super::reading::Claimed;
use super::{Caller, Error, Service, allow, owned_by};
use crate::store::{Queued, StaffMember, Tx};

/// A part of what is at a centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tab {
    /// What waits for a reader.
    Ready,
    /// What the caller has, or was given.
    Mine,
    /// What waits for a verifier, or is with one.
    Review,
    /// What is with its clinic.
    Returned,
    /// Where a critical finding is open.
    Critical,
    /// Where announced images are still missing.
    Receiving,
    /// Everything that is not signed.
    All,
}

/// Which part of the queue is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueFilter {
    /// Only that of this centre.
    pub centre: Option<OrganizationId>,
    /// Which part; `None` is what waits, for a reader or for a verifier.
    pub tab: Option<Tab>,
    /// Only cases in which this is found.
    pub text: Option<String>,
    /// Only this modality.
    pub modality: Option<String>,
    /// Only this clinic.
    pub clinic: Option<OrganizationId>,
    /// Only this priority.
    pub priority: Option<Priority>,
    /// Only what is late, or only what is not.
    pub overdue: Option<bool>,
    /// How many to leave out at the beginning.
    pub offset: usize,
    /// How many at most.
    pub limit: usize,
}

/// A case of the queue and its place.
#[derive(Debug, Clone)]
pub struct QueueEntry {
    /// Its place at its centre, from 1; 0 for what waits for nobody.
    pub rank: usize,
    /// The case.
    pub view: CaseView,
}

/// How many cases each part of the queue has, whatever else is filtered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Waiting for a reader.
    pub ready: usize,
    /// The caller's.
    pub mine: usize,
    /// Waiting for a verifier, or with one.
    pub review: usize,
    /// With the clinic.
    pub returned: usize,
    /// With an open critical finding.
    pub critical: usize,
    /// Studies that are still arriving.
    pub receiving: usize,
    /// Not signed.
    pub all: usize,
    /// What the caller has signed since midnight, at whichever centre.
    pub signed_today: i64,
}

/// One page of the queue.
#[derive(Debug, Clone)]
pub struct QueuePage {
    /// The cases.
    pub entries: Vec<QueueEntry>,
    /// How many there are with this filter.
    pub total: usize,
    /// How many there are in each part.
    pub counts: QueueCounts,
}

/// What decides to which parts a case belongs.
struct Sorting<'a> {
    person: Option<&'a PersonId>,
    critical: HashSet<String>,
    incomplete: HashSet<String>,
    found: Option<HashSet<String>>,
    now: Timestamp,
}

impl Sorting<'_> {
    fn is_in(&self, case: &Queued, tab: Option<Tab>) -> bool {
        let id = case.case.as_str();
        let unsigned = !matches!(case.stage, "final" | "delivered" | "closed");
        match tab {
            None => matches!(case.stage, "ready" | "preliminary"),
            Some(Tab::Ready) => case.stage == "ready",
            Some(Tab::Mine) => {
                let given = unsigned && case.assigned.as_ref() == self.person;
                self.person.is_some() && (case.holder.as_ref() == self.person || given)
            }
            Some(Tab::Review) => matches!(case.stage, "preliminary" | "verifying"),
            Some(Tab::Returned) => case.stage == "returned",
            Some(Tab::Critical) => self.critical.contains(id),
            Some(Tab::Receiving) => self.incomplete.contains(id),
            Some(Tab::All) => unsigned,
        }
    }

    fn passes(&self, case: &Queued, filter: &QueueFilter) -> bool {
        // The time of a case that is with its clinic stands still.
        let late = case.deadline < self.now && case.stage != "returned";
        self.is_in(case, filter.tab)
            && filter.modality.as_ref().is_none_or(|modality| *modality == case.modality)
            && filter.clinic.as_ref().is_none_or(|clinic| *clinic == case.clinic)
            && filter.priority.is_none_or(|priority| priority == case.priority)
            && filter.overdue.is_none_or(|overdue| overdue == late)
            && self.found.as_ref().is_none_or(|found| found.contains(case.case.as_str()))
    }

    fn count(&self, cases: &[Queued], arriving: i64) -> QueueCounts {
        let tab = |tab| cases.iter().filter(|case| self.is_in(case, Some(tab))).count();
        QueueCounts {
            ready: tab(Tab::Ready),
            mine: tab(Tab::Mine),
            review: tab(Tab::Review),
            returned: tab(Tab::Returned),
            critical: tab(Tab::Critical),
            receiving: usize::try_from(arriving).unwrap_or(0),
            all: tab(Tab::All),
            signed_today: 0,
        }
    }
}

impl Service {
    /// One page of what is at the caller's centres (or at one of them). What waits comes in the
    /// order in which it should be read, everything else by its deadline.
    pub async fn queue(&self, caller: &Caller, filter: &QueueFilter) -> Result<QueuePage, Error> {
        let now = self.now();
        let mut tx = self.parts.db.read().await?;
        let centres = self.centres(&mut tx, caller, filter.centre.as_ref()).await?;
        let cases = tx.active_cases(&centres, now).await?;
        let text = filter.text.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let found = match text {
            Some(text) => Some(tx.cases_with_text(&centres, text).await?),
            None => None,
        };
        let sorting = Sorting {
            person: caller.actor.person(),
            critical: tx.critical_cases(&centres).await?,
            incomplete: tx.incomplete_cases(&centres).await?,
            found,
            now,
        };
        let reach = access::Scope { partner: centres.clone(), ..access::Scope::default() };
        let mut counts = sorting.count(&cases, tx.count_arriving(&reach, now).await?);
        if let Some(person) = sorting.person {
            counts.signed_today = tx.count_signed(person, self.midnight()).await?;
        }
        let (mut cases, ranks) = ranked(cases, now);
        cases.retain(|case| sorting.passes(case, filter));
        if !matches!(filter.tab, None | Some(Tab::Ready)) {
            cases.sort_by_key(|case| case.deadline);
        }
        let total = cases.len();
        let page: Vec<Queued> = cases.into_iter().skip(filter.offset).take(filter.limit).collect();
        let outlook = self.page_outlook(&mut tx, &page, &ranks).await?;
        let ids: Vec<String> = page.iter().map(|case| case.case.to_string()).collect();
        let views = self.views(&mut tx, caller, &ids, Some(outlook)).await?;
        let entries = views.into_iter().map(|view| QueueEntry {
            rank: ranks.get(view.case.id.as_str()).copied().unwrap_or(0),
            view,
        });
        Ok(QueuePage { entries: entries.collect(), total, counts })
    }

    async fn page_outlook(
        &self,
        tx: &mut Tx,
        page: &[Queued],
        ranks: &HashMap<String, usize>,
    ) -> Result<Outlook, Error> {
        let mut outlook = Outlook::default();
        for case in page.iter().filter(|case| case.stage == "ready") {
            if let Some(rank) = ranks.get(case.case.as_str()) {
                outlook.ahead.insert(case.case.to_string(), rank - 1);
            }
            if !outlook.pace.contains_key(case.centre.as_str()) {
                let pace = self.pace(tx, &case.centre).await?;
                outlook.pace.insert(case.centre.to_string(), pace);
            }
        }
        Ok(outlook)
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

    /// Claims the first case in the queue that the caller may read. What was given to them comes
    /// before everything else of its lane; what was given to somebody else does not come at all.
    pub async fn next_case(&self, caller: &Caller) -> Result<Claimed, Error> {
        let person = caller.person()?.clone();
        let mut tx = self.parts.db.read().await?;
        let centres = self.centres(&mut tx, caller, None).await?;
        let waiting = tx.waiting_cases(&centres).await?;
        let staff = Staff::of(tx.staff(&centres).await?);
        drop(tx);
        let (mut cases, ranks) = ranked(waiting, self.now());
        cases.retain(|case| staff.may_take(&person, case));
        cases.sort_by_key(|case| {
            (queue::lane(case.priority), case.assigned.as_ref() != Some(&person))
        });
        for case in cases {
            match self.claim_at(caller, &case.case, ranks.get(case.case.as_str()).copied()).await {
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

    /// The place of a case in the queue of its centre, from 1.
    pub(super) async fn rank(
        &self,
        case: &medrelay_core::id::CaseId,
    ) -> Result<Option<usize>, Error> {
        let mut tx = self.parts.db.read().await?;
        let Some(case) = tx.case(case).await? else { return Ok(None) };
        if !case.stage.is_waiting() {
            return Ok(None);
        }
        let waiting = tx.waiting_cases(std::slice::from_ref(&case.centre)).await?;
        let (_, ranks) = ranked(waiting, self.now());
        Ok(ranks.get(case.id.as_str()).copied())
    }
}

/// Who reads where, by centre and person.
pub(super) struct Staff(HashMap<(OrganizationId, PersonId), OnStaff>);

impl Staff {
    /// Puts a list of staff in order.
    pub(super) fn of(members: Vec<StaffMember>) -> Self {
        let members = members.into_iter().map(|member| {
            let verifier = member.roles.contains(&Role::Verifier);
            let staff = OnStaff { modalities: member.modalities, verifier };
            ((member.centre, member.person), staff)
        });
        Self(members.collect())
    }

    /// What somebody is at a centre.
    pub(super) fn get(&self, centre: &OrganizationId, person: &PersonId) -> Option<&OnStaff> {
        self.0.get(&(centre.clone(), person.clone()))
    }

    fn may_take(&self, person: &PersonId, case: &Queued) -> bool {
        let needs = Needs {
            modality: &case.modality,
            verifier: case.policy == SigningPolicy::SingleSenior || case.stage == "preliminary",
            preliminary_by: case.preliminary_by.as_ref(),
        };
        let given = case.assigned.as_ref();
        let assignee = given.and_then(|assignee| self.get(&case.centre, assignee));
        let bound = queue::binding(given, assignee, needs);
        let fit = self.get(&case.centre, person).is_some_and(|s| queue::fit(person, s, needs));
        fit && bound.is_none_or(|assignee| assignee == person)
    }
}

/// Puts waiting cases in the order in which they should be read.
pub(super) fn in_order(mut cases: Vec<Queued>, now: Timestamp) -> Vec<Queued> {
    cases.sort_by_cached_key(|case| queue::key(&waiting(case), now));
    cases
}

/// The same for cases of several centres that do not all wait, with the places of those that do.
fn ranked(cases: Vec<Queued>, now: Timestamp) -> (Vec<Queued>, HashMap<String, usize>) {
    let cases = in_order(cases, now);
    let mut last: HashMap<&OrganizationId, usize> = HashMap::new();
    let mut ranks = HashMap::new();
    for case in cases.iter().filter(|case| matches!(case.stage, "ready" | "preliminary")) {
        let rank = last.entry(&case.centre).or_default();
        *rank += 1;
        ranks.insert(case.case.to_string(), *rank);
    }
    (cases, ranks)
}

fn waiting(case: &Queued) -> Waiting {
    Waiting {
        case: case.case.clone(),
        clinic: case.clinic.clone(),
        priority: case.priority,
        deadline: case.deadline,
        submitted_at: case.opened_at,
        expected: queue::expected_service(&case.modality),
        fair: case.fair,
    }
}
