//! In: bytes durable first, then the instance's row; only then is the sender told "success".
//!
//! Rows of instances that arrive at the same time, over whatever associations, are committed
//! together: one indexer task takes all that wait, so that eight senders cost hardly more syncs
//! than one.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use medrelay_core::access::{Action, Object};
use medrelay_core::case::{self, Command};
use medrelay_core::event::Kind;
use medrelay_core::id::{AeTitle, DeviceId, InstanceId, OrganizationId, SeriesId, StudyId};
use medrelay_core::people::Actor;
use medrelay_core::study::{self, InstanceFacts, QuarantineReason, Verdict};
use medrelay_core::time::{Span, Timestamp};

use super::link::ProgressBoard;
use super::studies::centre_of;
use super::{About, Caller, Error, JOB_SETTLE, Parts, Service, allow, persist};
use crate::blobs::{BlobError, BlobKey, Blobs, Upload};
use crate::store::{NewEvent, NewInstance, StoreError, Surroundings, Tx};

/// How many instances may wait for the indexer before senders are held back.
const WAITING_LIMIT: usize = 256;
/// How many rows one commit takes at most.
const BATCH_LIMIT: usize = 64;
/// An unknown device that asks again within this time is one event, not many.
const SAME_REFUSAL: Span = Span::from_minutes(10);
/// How many blob names are looked up at once in the sweep.
const SWEEP_BATCH: usize = 200;

/// Who sends an instance.
#[derive(Debug, Clone)]
pub struct Sender {
    /// As the permission function knows them.
    pub caller: Caller,
    /// The clinic that the instance will belong to.
    pub clinic: OrganizationId,
    /// The device, if it is one.
    pub device: Option<DeviceId>,
}

/// What became of an instance. In every case its bytes are safe, and the sender is told so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// A new instance.
    Fresh,
    /// The same bytes were stored before.
    Same,
    /// Kept apart, for a person to look at.
    Quarantined(QuarantineReason),
}

/// An instance on its way in. Dropping it throws the bytes away.
pub struct Intake {
    id: InstanceId,
    sender: Sender,
    upload: Upload,
    front: u64,
}

impl Intake {
    /// The name that its bytes will have, and the length of what stands before its data set.
    pub(super) fn name(&self) -> (&InstanceId, u64) {
        (&self.id, self.front)
    }

    /// Appends bytes of the data set as the sender sent them.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        Ok(self.upload.write(bytes).await?)
    }

    /// Throws the bytes away.
    pub async fn abandon(self) {
        self.upload.abandon().await;
    }
}

impl Service {
    /// Opens a place for an instance; `front` is what we put before its data set (the preamble
    /// and file meta group of PS3.10), so that the blob is a file that any viewer opens.
    pub async fn begin_intake(&self, sender: &Sender, front: Bytes) -> Result<Intake, Error> {
        // A sender acts for its own clinic only, so nothing above the clinic matters here: no
        // query, because this runs once for every slice.
        let object = Object::owned(sender.clinic.clone(), Vec::new());
        allow(&sender.caller, Action::StoreInstance, &object)?;
        self.check_room().await?;
        let id = InstanceId::new(self.now(), &*self.parts.entropy);
        let mut upload = self.parts.blobs.create(&key(&id)?).await?;
        let front_bytes = front.len() as u64;
        upload.write(front).await?;
        upload.start_hash();
        Ok(Intake { id, sender: sender.clone(), upload, front: front_bytes })
    }

    /// Refuses while less than the reserve is free.
    pub(super) async fn check_room(&self) -> Result<(), Error> {
        let free = self.room.bytes(self.free_bytes()).await;
        if free.is_some_and(|free| free < self.parts.settings.reserve_bytes) {
            return Err(Error::OutOfSpace);
        }
        Ok(())
    }

    /// Makes an instance durable, bytes first, and says what became of it.
    pub async fn finish_intake(
        &self,
        intake: Intake,
        facts: InstanceFacts,
    ) -> Result<Stored, Error> {
        let Intake { id, sender, upload, front } = intake;
        let committed = upload.commit().await?;
        let blob = key(&id)?;
        let length = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let new = NewInstance {
            id,
            facts,
            clinic: sender.clinic,
            device: sender.device,
            sha256: committed.sha256,
            bytes: length(committed.bytes.saturating_sub(front)),
            data_offset: length(front),
        };
        let indexed = self.indexer.index(sender.caller, new).await;
        let superfluous = match &indexed {
            Ok(indexed) => !indexed.kept,
            // The commit may or may not have happened: the sweep decides, from the rows.
            Err(_) => false,
        };
        if superfluous && let Err(error) = self.parts.blobs.delete(&blob).await {
            tracing::warn!(%error, "a superfluous copy stays until the next sweep");
        }
        indexed.map(|indexed| indexed.stored)
    }

    /// Removes bytes that no row refers to: their server died between the bytes and the row.
    /// Only names made before `before` are looked at, so that arriving ones are left alone.
    pub async fn sweep_orphans(&self, before: Timestamp) -> Result<u64, Error> {
        let mut names = self.parts.blobs.list();
        let mut removed = 0;
        let mut batch = Vec::with_capacity(SWEEP_BATCH);
        loop {
            let next = names.next().await?;
            let last = next.is_none();
            batch.extend(next.filter(|key| made_at(key) < before));
            if batch.len() >= SWEEP_BATCH || (last && !batch.is_empty()) {
                removed += self.sweep_batch(std::mem::take(&mut batch)).await?;
            }
            if last {
                return Ok(removed);
            }
        }
    }

    async fn sweep_batch(&self, keys: Vec<BlobKey>) -> Result<u64, Error> {
        let ids: Vec<String> = keys.iter().map(hyphenated).collect();
        let known = self.parts.db.read().await?.known_blobs(&ids).await?;
        let mut removed = 0;
        for (key, id) in keys.iter().zip(&ids) {
            if !known.contains(id) {
                self.parts.blobs.delete(key).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// The name of an instance's bytes.
pub(super) fn key(id: &InstanceId) -> Result<BlobKey, Error> {
    BlobKey::parse(id.as_str()).ok_or(Error::Blob(BlobError::NotFound))
}

/// When the name was made: the first 48 bits of a version 7 UUID are milliseconds.
fn made_at(key: &BlobKey) -> Timestamp {
    let digits: String = key.to_string().chars().take(12).collect();
    let millis = i64::from_str_radix(&digits, 16).unwrap_or(i64::MAX / 1_000);
    Timestamp::from_micros(millis.saturating_mul(1_000))
}

fn hyphenated(key: &BlobKey) -> String {
    let text = key.to_string();
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

/// What the transaction of an instance's row decided.
struct Indexed {
    stored: Stored,
    /// Whether its bytes are kept.
    kept: bool,
    /// The study that has one instance more.
    study: Option<StudyId>,
}

/// One instance that waits for its row.
struct Waiting {
    caller: Caller,
    new: NewInstance,
    answer: oneshot::Sender<Result<Indexed, Error>>,
}

/// The task that writes the rows of instances.
#[derive(Clone)]
pub struct Indexer {
    waiting: mpsc::Sender<Waiting>,
}

impl Indexer {
    /// Starts the task; it ends when the last clone of the indexer is gone.
    pub fn start(parts: Arc<Parts>, progress: Arc<ProgressBoard>) -> Self {
        let (waiting, mut arrivals) = mpsc::channel::<Waiting>(WAITING_LIMIT);
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH_LIMIT);
            while arrivals.recv_many(&mut batch, BATCH_LIMIT).await > 0 {
                index_batch(&parts, &progress, std::mem::take(&mut batch)).await;
            }
        });
        Self { waiting }
    }

    /// Writes the row of an instance; says what became of it and whether its bytes are kept.
    async fn index(&self, caller: Caller, new: NewInstance) -> Result<Indexed, Error> {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { caller, new, answer };
        self.waiting.send(waiting).await.map_err(|_| Error::Busy)?;
        answered.await.map_err(|_| Error::Busy)?
    }
}

async fn index_batch(parts: &Arc<Parts>, progress: &Arc<ProgressBoard>, batch: Vec<Waiting>) {
    let tell = |waiting: Waiting, outcome: Result<Indexed, Error>| {
        if let Ok(Indexed { study: Some(study), .. }) = &outcome {
            progress.touch(parts, study.clone());
        }
        // A sender that is gone does not need its answer.
        let _ = waiting.answer.send(outcome);
    };
    if batch.len() > 1
        && let Ok(outcomes) = index_together(parts, batch.iter().map(|w| (&w.caller, &w.new))).await
    {
        for (waiting, outcome) in batch.into_iter().zip(outcomes) {
            tell(waiting, Ok(outcome));
        }
        return;
    }
    // One of them spoils the transaction: each gets its own, and its own error.
    for waiting in batch {
        // Another server opened the same study, or somebody works on the case: look again.
        let outcome = persist!(match index_alone(parts, &waiting).await {
            Err(Error::Store(StoreError::Taken)) => Err(Error::VersionConflict),
            outcome => outcome,
        });
        tell(waiting, outcome);
    }
}

async fn index_alone(parts: &Parts, waiting: &Waiting) -> Result<Indexed, Error> {
    let alone = std::iter::once((&waiting.caller, &waiting.new));
    index_together(parts, alone).await?.pop().ok_or(Error::Busy)
}

async fn index_together<'a>(
    parts: &Parts,
    batch: impl Iterator<Item = (&'a Caller, &'a NewInstance)>,
) -> Result<Vec<Indexed>, Error> {
    let mut tx = parts.db.write().await?;
    let mut events = Vec::new();
    let mut outcomes = Vec::new();
    for (caller, new) in batch {
        outcomes.push(index_one(parts, &mut tx, caller, new, &mut events).await?);
    }
    tx.record(events).await?;
    tx.commit().await?;
    Ok(outcomes)
}

async fn index_one(
    parts: &Parts,
    tx: &mut Tx,
    caller: &Caller,
    new: &NewInstance,
    events: &mut Vec<NewEvent>,
) -> Result<Indexed, Error> {
    let facts = &new.facts;
    let Surroundings { twin, arrival, series } = tx.surroundings(facts).await?;
    let verdict = study::receive(facts, &new.sha256, &new.clinic, twin.as_ref(), arrival.as_ref());
    let now = parts.clock.now();
    match verdict {
        Verdict::Same => Ok(Indexed { stored: Stored::Same, kept: false, study: None }),
        Verdict::Quarantine(reason) => {
            let kept = tx.quarantine(new, reason, now).await?;
            if kept {
                let details = serde_json::json!({ "reason": reason, "study_uid": facts.study });
                let about = About::of(&new.clinic, format!("quarantine:{}", new.id));
                events.push(parts.event(caller, Kind::InstanceQuarantined, about.with(details)));
            }
            Ok(Indexed { stored: Stored::Quarantined(reason), kept, study: None })
        }
        Verdict::Accept { late } => {
            let settle_at = parts.settings.quiet.settle_at(&facts.modality, now);
            let study = match arrival {
                Some(arrival) => arrival.study,
                None => open_study(parts, tx, caller, new, settle_at, events).await?,
            };
            let series = match series {
                Some(series) => series,
                None => {
                    let fresh = SeriesId::new(now, &*parts.entropy);
                    tx.insert_series(&fresh, &study, facts).await?;
                    fresh
                }
            };
            tx.insert_instance(new, &study, &series, settle_at, now).await?;
            if late {
                note_late_image(parts, tx, caller, new, &study, events).await?;
            }
            Ok(Indexed { stored: Stored::Fresh, kept: true, study: Some(study) })
        }
    }
}

async fn open_study(
    parts: &Parts,
    tx: &mut Tx,
    caller: &Caller,
    new: &NewInstance,
    settle_at: Timestamp,
    events: &mut Vec<NewEvent>,
) -> Result<StudyId, Error> {
    let now = parts.clock.now();
    let id = StudyId::new(now, &*parts.entropy);
    tx.insert_study(&id, new, settle_at, now).await?;
    if let Some(expected) = tx.announced(&new.facts.study, &new.clinic).await? {
        tx.expect(&new.facts.study, &new.clinic, Some(expected)).await?;
    }
    // The due time moves with every instance in the study's own row; the job looks there when it
    // falls due, so that an instance does not cost a write of the job too.
    parts.schedule(tx, JOB_SETTLE, id.as_str(), settle_at).await?;
    let centre = centre_of(tx, &new.clinic, &new.facts.modality, now).await?;
    let about = About { partner: centre.as_ref(), ..About::of(&new.clinic, format!("study:{id}")) };
    let details = serde_json::json!({ "modality": new.facts.modality });
    events.push(parts.event(caller, Kind::StudyArriving, about.with(details)));
    Ok(id)
}

async fn note_late_image(
    parts: &Parts,
    tx: &mut Tx,
    caller: &Caller,
    new: &NewInstance,
    study: &StudyId,
    events: &mut Vec<NewEvent>,
) -> Result<(), Error> {
    let Some(case) = tx.case_of_study(study).await? else {
        return Ok(());
    };
    // One event until somebody has dealt with it, not one for each of 300 slices; and none for
    // what a returned case waits for.
    if case.late_images || matches!(case.stage, case::Stage::Returned { .. }) {
        return Ok(());
    }
    let step = case::apply(case, Command::LateImage, parts.clock.now())?;
    // If somebody works on the case this very moment, the whole commit is refused and the sender
    // told to try again.
    tx.save_case(&step.case).await?;
    let about = About::case(&step.case);
    let details = serde_json::json!({ "study": study, "clinic": new.clinic });
    events.push(parts.event(caller, Kind::LateImage, about.with(details)));
    Ok(())
}

/// The sender behind an admitted device.
pub fn device_sender(device: DeviceId, clinic: OrganizationId, source: String) -> Sender {
    let actor = Actor::Device { id: device.clone(), clinic: clinic.clone() };
    Sender { caller: Caller { actor, source }, clinic, device: Some(device) }
}

/// The blob store, for those who only read bytes.
pub(super) fn blobs(parts: &Parts) -> &Blobs {
    &parts.blobs
}

impl Service {
    /// Records that an unknown device asked for an association; once in a while for the same one.
    pub async fn note_refused_association(
        &self,
        calling: &AeTitle,
        source: &str,
    ) -> Result<(), Error> {
        let caller = Caller { actor: Actor::Anonymous, source: source.to_owned() };
        let object = format!("ae_title:{calling}");
        let mut tx = self.parts.db.write().await?;
        let since = self.now() - SAME_REFUSAL;
        if !tx.happened_since(Kind::AssociationRefused, &caller.name(), &object, since).await? {
            let about = About { object, ..About::default() };
            tx.record(vec![self.parts.event(&caller, Kind::AssociationRefused, about)]).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}
