//! What people see of a case: itself, its study and order, and everything that stands beside it in
//! a list. A page of a list costs the same few statements as a single case.

use std::collections::{HashMap, HashSet};

use medrelay_core::access::{self, Action, Scope};
use medrelay_core::case::{Case, Stage};
use medrelay_core::id::{CaseId, OrganizationId, PersonId, Phi};
use medrelay_core::message::ReturnCode;
use medrelay_core::queue;
use medrelay_core::time::{Span, Timestamp};

use super::queueing::in_order;
use super::{Caller, Error, Service};
use crate::store::{CaseFilter, Order, PriorRow, Study, Tx};

/// Somebody counts as reading when they have done something within this time.
const AT_WORK: Span = Span::from_minutes(30);
/// How many of the last readings a forecast goes by, and how old they may be.
const READINGS: i64 = 50;
const READINGS_AGE: Span = Span::from_hours(30 * 24);

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
    /// Name of whoever signed the preliminary report that waits or is being verified.
    pub preliminary_by_name: Option<String>,
    /// Name of whoever it was given to.
    pub assigned_name: Option<String>,
    /// Series of the study.
    pub series: i64,
    /// Other studies of the patient that the caller may see.
    pub priors: usize,
    /// How much people have discussed it.
    pub discussion: i64,
    /// The most pressing of its critical findings.
    pub critical: Critical,
    /// Why it is with the clinic.
    pub returned: Option<Returned>,
    /// What its clinic may expect, while it waits for a reader.
    pub forecast: Option<Forecast>,
}

/// The most pressing critical finding of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Critical {
    /// There is none, or it was called off.
    None,
    /// The clinic has said what was done.
    Settled,
    /// The clinic has read it back.
    Acknowledged,
    /// The clinic is being told.
    Notifying,
}

/// Why a case is with its clinic.
#[derive(Debug, Clone)]
pub struct Returned {
    /// What is the matter.
    pub code: ReturnCode,
    /// In words.
    pub text: Phi<String>,
    /// Who returned it.
    pub by: PersonId,
    /// Their name.
    pub by_name: String,
    /// When.
    pub at: Timestamp,
    /// How often it was returned by now.
    pub times: i64,
}

/// What a clinic may expect of a case that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    /// Cases before it.
    pub ahead: usize,
    /// When a reader may begin; `None` when nobody is at work or nothing was read lately.
    pub expected_at: Option<Timestamp>,
}

/// The places of waiting cases and the pace of their centres.
#[derive(Debug, Default)]
pub(super) struct Outlook {
    /// Cases before it, by case.
    pub(super) ahead: HashMap<String, usize>,
    /// Readers at work and time for a case, by centre.
    pub(super) pace: HashMap<String, (usize, Option<Span>)>,
}

impl Outlook {
    fn of(&self, case: &Case, now: Timestamp) -> Option<Forecast> {
        let ahead = *self.ahead.get(case.id.as_str())?;
        let (readers, each) = self.pace.get(case.centre.as_str()).copied().unwrap_or((0, None));
        let expected_at = queue::expected_at(ahead, readers, each, now);
        matches!(case.stage, Stage::Ready).then_some(Forecast { ahead, expected_at })
    }
}

impl Service {
    /// One case; the look is an event of its study.
    pub async fn case(&self, caller: &Caller, id: &CaseId) -> Result<CaseView, Error> {
        let mut tx = self.parts.db.read().await?;
        self.visible_case(&mut tx, caller, Action::ReadCase, id).await?;
        let mut views = self.views(&mut tx, caller, &[id.to_string()], None).await?;
        drop(tx);
        let view = views.pop().ok_or(Error::hidden())?;
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
        let ids = tx.cases(&scope, filter, after, self.now(), limit).await?;
        self.views(&mut tx, caller, &ids, None).await
    }

    /// Cases by identifier, in the order of the identifiers, with everything beside them.
    pub(super) async fn views(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        ids: &[String],
        outlook: Option<Outlook>,
    ) -> Result<Vec<CaseView>, Error> {
        let now = self.now();
        let mut cases = tx.cases_by_id(ids).await?;
        let outlook = match outlook {
            Some(outlook) => outlook,
            None => {
                let ready = cases.values().map(|(case, _)| case);
                let ready = ready.filter(|case| matches!(case.stage, Stage::Ready));
                let centres = each_once(ready.map(|case| &case.centre));
                self.outlook(tx, &centres).await?
            }
        };
        let beside = Beside::load(tx, caller, &cases, now).await?;
        let mut views = Vec::with_capacity(ids.len());
        for id in ids {
            let Some((case, number)) = cases.remove(id) else { continue };
            let forecast = outlook.of(&case, now);
            views.extend(beside.view(case, number, forecast));
        }
        Ok(views)
    }

    /// The places of everything that waits at some centres, and how fast they read.
    async fn outlook(&self, tx: &mut Tx, centres: &[OrganizationId]) -> Result<Outlook, Error> {
        let mut outlook = Outlook::default();
        for centre in centres {
            let waiting = tx.waiting_cases(std::slice::from_ref(centre)).await?;
            for (ahead, case) in in_order(waiting, self.now()).into_iter().enumerate() {
                outlook.ahead.insert(case.case.into(), ahead);
            }
            outlook.pace.insert(centre.to_string(), self.pace(tx, centre).await?);
        }
        Ok(outlook)
    }

    /// How many people read at a centre now, and how long they take for a case.
    pub(super) async fn pace(
        &self,
        tx: &mut Tx,
        centre: &OrganizationId,
    ) -> Result<(usize, Option<Span>), Error> {
        let now = self.now();
        let readers = tx.readers_since(centre, now - AT_WORK).await?;
        let readings = tx.last_readings(centre, now - READINGS_AGE, READINGS).await?;
        let spans = readings.into_iter().map(|(taken, signed)| signed.since(taken)).collect();
        Ok((usize::try_from(readers).unwrap_or(0), queue::median(spans)))
    }
}

/// What stands beside the cases of a page.
struct Beside {
    studies: HashMap<String, Study>,
    orders: HashMap<String, Order>,
    organizations: HashMap<String, String>,
    people: HashMap<String, String>,
    series: HashMap<String, i64>,
    discussion: HashMap<String, i64>,
    findings: HashMap<String, Vec<String>>,
    priors: HashMap<String, usize>,
    texts: HashMap<(String, i64), String>,
}

impl Beside {
    async fn load(
        tx: &mut Tx,
        caller: &Caller,
        cases: &HashMap<String, (Case, String)>,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let all = || cases.values().map(|(case, _)| case);
        let ids: Vec<String> = cases.keys().cloned().collect();
        let studies = texts(all().map(|case| &case.study));
        let orders = texts(all().filter_map(|case| case.order.as_ref()));
        let organizations = texts(all().flat_map(|case| [&case.clinic, &case.centre]));
        let people = texts(all().flat_map(people_of));
        let returned: Vec<String> =
            all().filter(|case| case.returns > 0).map(|case| case.id.to_string()).collect();
        let scope = access::scope(&caller.actor, Action::ReadStudy);
        let mut priors: HashMap<String, usize> = HashMap::new();
        if !ids.is_empty() {
            for row in tx.priors(&ids, now).await?.into_iter().filter(|row| sees(&scope, row)) {
                *priors.entry(row.case.into()).or_default() += 1;
            }
        }
        Ok(Self {
            series: tx.count_series(&studies).await?,
            studies: tx.studies_by_id(&studies).await?,
            orders: tx.orders_by_id(&orders).await?,
            organizations: tx.organization_names(&organizations).await?,
            people: tx.person_names(&people).await?,
            discussion: tx.count_discussion(&ids).await?,
            findings: tx.finding_stages(&ids).await?,
            texts: tx.return_texts(&returned).await?,
            priors,
        })
    }

    fn view(&self, case: Case, number: String, forecast: Option<Forecast>) -> Option<CaseView> {
        let study = self.studies.get(case.study.as_str())?.clone();
        let id = case.id.as_str();
        let person = |id: Option<&PersonId>| id.map(|id| self.name(id));
        let organization =
            |id: &OrganizationId| self.organizations.get(id.as_str()).cloned().unwrap_or_default();
        let stages = self.findings.get(id).map(Vec::as_slice).unwrap_or_default();
        let order = case.order.as_ref().and_then(|order| self.orders.get(order.as_str()));
        Some(CaseView {
            order: order.cloned(),
            clinic_name: organization(&case.clinic),
            centre_name: organization(&case.centre),
            holder_name: person(case.stage.claim().map(|claim| &claim.holder)),
            preliminary_by_name: person(case.stage.preliminary_by()),
            assigned_name: person(case.assigned.as_ref()),
            series: self.series.get(study.id.as_str()).copied().unwrap_or(0),
            priors: self.priors.get(id).copied().unwrap_or(0),
            discussion: self.discussion.get(id).copied().unwrap_or(0),
            critical: most_pressing(stages),
            returned: self.returned(&case),
            forecast,
            study,
            case,
            number,
        })
    }

    fn returned(&self, case: &Case) -> Option<Returned> {
        let Stage::Returned { by, code, at, .. } = &case.stage else { return None };
        let text = self.texts.get(&(case.id.to_string(), at.micros())).cloned();
        Some(Returned {
            code: *code,
            text: Phi::new(text.unwrap_or_default()),
            by: by.clone(),
            by_name: self.name(by),
            at: *at,
            times: case.returns,
        })
    }

    fn name(&self, person: &PersonId) -> String {
        self.people.get(person.as_str()).cloned().unwrap_or_default()
    }
}

fn people_of(case: &Case) -> impl Iterator<Item = &PersonId> {
    let returned = match &case.stage {
        Stage::Returned { by, .. } => Some(by),
        Stage::Submitted
        | Stage::Ready
        | Stage::InProgress { .. }
        | Stage::Preliminary { .. }
        | Stage::Verifying { .. }
        | Stage::Final
        | Stage::Delivered
        | Stage::Closed => None,
    };
    let holder = case.stage.claim().map(|claim| &claim.holder);
    let people = [holder, case.stage.preliminary_by(), case.assigned.as_ref(), returned];
    people.into_iter().flatten()
}

fn most_pressing(stages: &[String]) -> Critical {
    let one = |stage: &String| match stage.as_str() {
        "notifying" => Critical::Notifying,
        "acknowledged" => Critical::Acknowledged,
        "settled" => Critical::Settled,
        _ => Critical::None,
    };
    stages.iter().map(one).max_by_key(|critical| *critical as u8).unwrap_or(Critical::None)
}

/// Whether somebody with this scope may see another study of a patient: its own clinic may, and
/// the centre that reads it or has read it.
pub(super) fn sees(scope: &Scope, prior: &PriorRow) -> bool {
    let centre = prior.centre.as_ref().filter(|_| prior.standing);
    scope.own.contains(&prior.clinic) || centre.is_some_and(|id| scope.partner.contains(id))
}

/// Identifiers as text, each once.
pub(super) fn texts<'a, T: ToString + 'a>(ids: impl Iterator<Item = &'a T>) -> Vec<String> {
    let once: HashSet<String> = ids.map(ToString::to_string).collect();
    once.into_iter().collect()
}

fn each_once<'a>(ids: impl Iterator<Item = &'a OrganizationId>) -> Vec<OrganizationId> {
    let once: HashSet<&OrganizationId> = ids.collect();
    once.into_iter().cloned().collect()
}
