//! Studies after they have arrived: settling, opening a case, matching, looking.

use medrelay_core::access::{self, Action};
use medrelay_core::case::{Case, Stage as CaseStage};
use medrelay_core::event::Kind;
use medrelay_core::id::{CaseId, InstanceId, OrderId, OrganizationId, StudyId};
use medrelay_core::matching::Match;
use medrelay_core::people::{Agreement, Priority};
use medrelay_core::study::{self, Occasion, Settled, Stage};
use medrelay_core::time::{Span, Timestamp};

use super::calendars::due;
use super::{About, Caller, Error, JOB_ROUTE, Service, allow, case_object, clinic_object, ingest};
use crate::blobs::BlobReader;
use crate::store::{Instance, NewEvent, Order, Series, Study, StudyFilter, Tx};

/// Somebody who looks at the same study again within this time is one access, not many.
const SAME_ACCESS: Span = Span::from_minutes(10);

/// A study with everything in it.
#[derive(Debug, Clone)]
pub struct StudyView {
    /// The study.
    pub study: Study,
    /// Its series, by number.
    pub series: Vec<Series>,
    /// Its instances, in the order of their numbers.
    pub instances: Vec<Instance>,
}

/// Why a complete study has no case.
pub const TROUBLE_NO_AGREEMENT: &str = "no_agreement";
/// More than one order fits.
pub const TROUBLE_AMBIGUOUS_ORDER: &str = "ambiguous_order";

impl Service {
    /// Settles a study whose quiet time is due; says when to look again, if it is not over.
    pub(super) async fn settle_study(&self, id: &StudyId) -> Result<Option<Timestamp>, Error> {
        let mut tx = self.parts.db.write().await?;
        let Some(study) = tx.study(id).await? else { return Ok(None) };
        let mut events = Vec::new();
        let awaited = tx.open_manifests(&study.uid, &study.clinic).await? > 0;
        match study::settle(study.stage, study.settle_at, Occasion::Quiet { awaited }, self.now()) {
            Settled::Already => return Ok(None),
            Settled::NotBefore(at) => return Ok(Some(at)),
            Settled::Complete(reason) => {
                let caller = Caller::system();
                self.complete(&mut tx, &caller, study, reason, None, &mut events).await?;
            }
        }
        tx.record(events).await?;
        tx.commit().await?;
        Ok(None)
    }

    /// "Start anyway": a person says that the study is complete.
    pub async fn complete_study(&self, caller: &Caller, id: &StudyId) -> Result<Study, Error> {
        let mut tx = self.parts.db.write().await?;
        let study = self.visible_study(&mut tx, caller, Action::CompleteStudy, id).await?;
        let mut events = Vec::new();
        match study::settle(study.stage, study.settle_at, Occasion::Person, self.now()) {
            Settled::Complete(reason) => {
                self.complete(&mut tx, caller, study, reason, None, &mut events).await?;
            }
            Settled::Already | Settled::NotBefore(_) => {
                return Err(Error::Conflict("the study is complete already"));
            }
        }
        tx.record(events).await?;
        let study = tx.study(id).await?.ok_or(Error::hidden())?;
        tx.commit().await?;
        Ok(study)
    }

    /// Says which order a study belongs to, and opens its case if that was all it waited for.
    pub async fn match_study(
        &self,
        caller: &Caller,
        id: &StudyId,
        order: &OrderId,
    ) -> Result<Study, Error> {
        let mut tx = self.parts.db.write().await?;
        let mut study = self.visible_study(&mut tx, caller, Action::MatchStudy, id).await?;
        let order = tx.order(order).await?.ok_or(Error::hidden())?;
        if order.clinic != study.clinic {
            return Err(Error::hidden());
        }
        if study.order.is_some() || order.study.is_some() {
            return Err(Error::Conflict("the study or the order is matched already"));
        }
        let mut events = Vec::new();
        self.tie(&mut tx, caller, &mut study, &order, "person", &mut events).await?;
        tx.save_study(&study).await?;
        tx.record(events).await?;
        let study = tx.study(id).await?.ok_or(Error::hidden())?;
        tx.commit().await?;
        Ok(study)
    }

    /// Calls a study complete and opens its case.
    pub(super) async fn complete(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        mut study: Study,
        reason: study::ReadyReason,
        order: Option<&Order>,
        events: &mut Vec<NewEvent>,
    ) -> Result<(), Error> {
        study.stage = Stage::Complete;
        study.ready_reason = Some(reason);
        study.completed_at = Some(self.now());
        let centre = centre_of(tx, &study.clinic, &study.modality, self.now()).await?;
        let object = format!("study:{}", study.id);
        let about = About { partner: centre.as_ref(), ..About::of(&study.clinic, object) };
        let details = serde_json::json!({ "reason": reason, "instances": study.instances });
        events.push(self.parts.event(caller, Kind::StudyComplete, about.with(details)));
        self.route(tx, caller, &mut study, order, events).await?;
        tx.save_study(&study).await?;
        Ok(())
    }

    /// Finds the agreement and the order of a complete study and opens its case, or notes why a
    /// person must look. The caller saves the study.
    pub(super) async fn route(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        study: &mut Study,
        order: Option<&Order>,
        events: &mut Vec<NewEvent>,
    ) -> Result<(), Error> {
        let now = self.now();
        let order = match (order, &study.order) {
            (Some(order), _) => Some(order.clone()),
            (None, Some(id)) => tx.order(id).await?,
            (None, None) => match self.find_order(tx, study).await? {
                Match::One(id) => tx.order(&id).await?,
                Match::None => None,
                Match::Ambiguous => {
                    self.trouble(caller, study, TROUBLE_AMBIGUOUS_ORDER, events);
                    return Ok(());
                }
            },
        };
        let agreements = tx.agreements_of_clinic(&study.clinic).await?;
        let Some(agreement) = choose_agreement(agreements, &study.modality, now) else {
            self.trouble(caller, study, TROUBLE_NO_AGREEMENT, events);
            return Ok(());
        };
        if let Some(order) = &order
            && study.order.is_none()
        {
            tx.mark_order_matched(order, &study.id).await?;
            study.order = Some(order.id.clone());
            let about = About::of(&study.clinic, format!("study:{}", study.id));
            let details = serde_json::json!({ "order": order.id, "by": "rule" });
            events.push(self.parts.event(caller, Kind::StudyMatched, about.with(details)));
        }
        self.open_case(tx, caller, study, order.as_ref(), &agreement, events).await
    }

    fn trouble(
        &self,
        caller: &Caller,
        study: &mut Study,
        trouble: &'static str,
        events: &mut Vec<NewEvent>,
    ) {
        study.trouble = Some(trouble.to_owned());
        let about = About::of(&study.clinic, format!("study:{}", study.id));
        let details = serde_json::json!({ "trouble": trouble });
        events.push(self.parts.event(caller, Kind::StudyUnmatched, about.with(details)));
    }

    async fn open_case(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        study: &Study,
        order: Option<&Order>,
        agreement: &Agreement,
        events: &mut Vec<NewEvent>,
    ) -> Result<(), Error> {
        let now = self.now();
        let priority = order.map_or(Priority::Routine, |order| order.priority);
        let case = Case {
            id: CaseId::new(now, &*self.parts.entropy),
            agreement: agreement.id.clone(),
            clinic: study.clinic.clone(),
            centre: agreement.centre.clone(),
            study: study.id.clone(),
            order: order.map(|order| order.id.clone()),
            modality: study.modality.clone(),
            priority,
            policy: agreement.policy,
            opened_at: now,
            deadline: due(tx, &agreement.centre, now, &agreement.limits, priority).await?,
            fair: 0,
            fence: 0,
            late_images: false,
            assigned: None,
            returns: 0,
            version: 1,
            stage: CaseStage::Submitted,
        };
        let number = self.human_number(tx, "IMG").await?;
        tx.insert_case(&case, &number).await?;
        self.parts.schedule(tx, JOB_ROUTE, case.id.as_str(), now).await?;
        let details = serde_json::json!({ "number": number, "priority": priority });
        let about = About::case(&case).with(details);
        events.push(self.parts.event(caller, Kind::CaseOpened, about));
        Ok(())
    }

    /// The next number of a kind for people, `IMG-2026-000123`.
    pub(super) async fn human_number(&self, tx: &mut Tx, kind: &str) -> Result<String, Error> {
        let year = year_of(self.now(), self.parts.settings.utc_offset_minutes);
        let count = tx.count_up(&format!("{kind}-{year}")).await?;
        Ok(format!("{kind}-{year}-{count:06}"))
    }

    /// Loads a study that the caller may do `action` to.
    pub(super) async fn visible_study(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        action: Action,
        id: &StudyId,
    ) -> Result<Study, Error> {
        let study = tx.study(id).await?.ok_or(Error::hidden())?;
        let object = match tx.case_of_study(id).await? {
            Some(case) => case_object(tx, &case, self.now()).await?,
            None => clinic_object(tx, &study.clinic, &study.modality, self.now()).await?,
        };
        allow(caller, action, &object)?;
        Ok(study)
    }

    /// Studies that the caller may see, newest first.
    pub async fn studies(
        &self,
        caller: &Caller,
        filter: &StudyFilter,
        after: Option<&StudyId>,
        limit: i64,
    ) -> Result<Vec<Study>, Error> {
        let scope = access::scope(&caller.actor, Action::ReadStudy);
        let mut tx = self.parts.db.read().await?;
        Ok(tx.studies(&scope, filter, after, self.now(), limit).await?)
    }

    /// A study with its series and instances; the look is an event.
    pub async fn study(&self, caller: &Caller, id: &StudyId) -> Result<StudyView, Error> {
        let mut tx = self.parts.db.read().await?;
        let study = self.visible_study(&mut tx, caller, Action::ReadStudy, id).await?;
        let series = tx.series_of_study(id).await?;
        let instances = tx.instances_of_study(id).await?;
        drop(tx);
        self.note_access(caller, &study).await?;
        Ok(StudyView { study, series, instances })
    }

    /// The stored bytes of an instance (a PS3.10 file); the look at its study is an event.
    pub async fn open_instance(
        &self,
        caller: &Caller,
        id: &InstanceId,
        data_set_only: bool,
    ) -> Result<(Instance, BlobReader), Error> {
        let mut tx = self.parts.db.read().await?;
        let instance = tx.instance(id).await?.ok_or(Error::hidden())?;
        let study = self.visible_study(&mut tx, caller, Action::ReadStudy, &instance.study).await?;
        drop(tx);
        self.note_access(caller, &study).await?;
        let blobs = ingest::blobs(&self.parts);
        let key = ingest::key(id)?;
        let reader = if data_set_only {
            let size = |n: i64| u64::try_from(n).unwrap_or(0);
            blobs.range(&key, size(instance.data_offset), size(instance.bytes)).await?
        } else {
            blobs.open(&key).await?
        };
        Ok((instance, reader))
    }

    /// Records that somebody looked at a study, unless they did so a moment ago.
    pub(super) async fn note_access(&self, caller: &Caller, study: &Study) -> Result<(), Error> {
        let object = format!("study:{}", study.id);
        let since = self.now() - SAME_ACCESS;
        let mut tx = self.parts.db.read().await?;
        let known = tx.happened_since(Kind::StudyRead, &caller.name(), &object, since).await?;
        drop(tx);
        if known {
            return Ok(());
        }
        let mut tx = self.parts.db.write().await?;
        let about = About::of(&study.clinic, object);
        tx.record(vec![self.parts.event(caller, Kind::StudyRead, about)]).await?;
        Ok(tx.commit().await?)
    }
}

/// The agreement that a study of `modality` goes under: in force now, and the one that names the
/// modality before the one that covers everything.
fn choose_agreement(
    agreements: Vec<Agreement>,
    modality: &str,
    now: Timestamp,
) -> Option<Agreement> {
    agreements
        .into_iter()
        .filter(|agreement| agreement.is_active(now) && agreement.covers(modality))
        .min_by_key(|agreement| (agreement.modalities.is_empty(), agreement.id.clone()))
}

/// The centre that a clinic's study of `modality` is for, by the agreement in force.
pub(super) async fn centre_of(
    tx: &mut Tx,
    clinic: &OrganizationId,
    modality: &str,
    now: Timestamp,
) -> Result<Option<OrganizationId>, Error> {
    let agreements = tx.agreements_of_clinic(clinic).await?;
    Ok(choose_agreement(agreements, modality, now).map(|agreement| agreement.centre))
}

/// The calendar year of a moment at an offset from UTC.
pub(super) fn year_of(at: Timestamp, utc_offset_minutes: i32) -> i32 {
    use chrono::Datelike as _;
    let local = at + Span::from_minutes(i64::from(utc_offset_minutes));
    chrono::DateTime::from_timestamp_micros(local.micros()).map_or(1970, |time| time.year())
}
