//! Images for a viewer: searching them, their headers as JSON, their frames as they are stored or decoded.
//!
//! Whoever reads images is noted once in a while per study, not per frame. Stored bytes never change, so where the
//! frames of an instance lie is remembered and never has to be forgotten.

mod bytes;
mod pictures;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::{Map, Value as Json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use medrelay_core::access::{self, Action};
use medrelay_core::event::Kind;
use medrelay_core::id::{InstanceId, StudyId, Uid};
use medrelay_core::time::Span;
use medrelay_dicom::elements::ReadError;
use medrelay_dicom::json::{self, Tag, VR};
use medrelay_dicom::pixels::{Image, PixelError, Places};

use super::{About, Caller, Error, Service};
use crate::store::{ImageQuery, SeriesHit, StoredImage, Study, StudyHit};

pub use self::bytes::{Bulk, Frame, JPEG_LS, Repair};
pub use self::pictures::{Drawing, Format};

/// Whoever reads images of the same study again within this time is one access, not many.
const SAME_READING: Span = Span::from_minutes(60);
/// Headers that are read at once for one call.
const HEADERS_AT_ONCE: usize = 8;
/// Places of frames that are remembered.
const PLACES: usize = 500_000;

/// Why an image cannot be read. Trying again cannot help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Its header cannot be read.
    #[error(transparent)]
    Header(ReadError),
    /// Its pixels cannot be had as asked.
    #[error(transparent)]
    Pixels(PixelError),
    /// Its transfer syntax is not known here.
    #[error("the transfer syntax is not known")]
    Syntax,
}

impl From<PixelError> for Error {
    fn from(error: PixelError) -> Self {
        Self::Image(ImageError::Pixels(error))
    }
}

/// Which images: a study, one of its series, one instance of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Study Instance UID.
    pub study: Uid,
    /// Series Instance UID.
    pub series: Option<Uid>,
    /// SOP Instance UID.
    pub instance: Option<Uid>,
}

/// A study and those of its images that were asked for.
#[derive(Debug, Clone)]
pub struct Images {
    /// The study.
    pub study: Study,
    /// The images, in the order of their numbers; never empty.
    pub list: Vec<StoredImage>,
}

/// What is remembered of an instance whose frames have been found.
#[derive(Debug)]
pub(super) struct Located {
    image: Image,
    places: Places,
}

/// What the use cases of this file share.
pub(super) struct Imaging {
    located: Mutex<Memory>,
    decoding: Arc<Semaphore>,
}

#[derive(Default)]
struct Memory {
    known: HashMap<InstanceId, Arc<Located>>,
    weight: usize,
}

impl Imaging {
    /// Decodes as many frames at once as there are processors.
    pub(super) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        Self { located: Mutex::default(), decoding: Arc::new(Semaphore::new(processors)) }
    }

    /// Waits for a processor.
    async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        // It is never closed.
        Arc::clone(&self.decoding).acquire_owned().await.ok()
    }

    fn recall(&self, id: &InstanceId) -> Option<Arc<Located>> {
        let memory = self.located.lock().unwrap_or_else(PoisonError::into_inner);
        memory.known.get(id).map(Arc::clone)
    }

    fn remember(&self, id: &InstanceId, located: Located) -> Arc<Located> {
        let located = Arc::new(located);
        let mut memory = self.located.lock().unwrap_or_else(PoisonError::into_inner);
        let weight = located.places.weight();
        if memory.weight + weight > PLACES {
            // Finding them again is cheap; which ones to keep is not worth knowing.
            *memory = Memory::default();
        }
        if memory.known.insert(id.clone(), Arc::clone(&located)).is_none() {
            memory.weight += weight;
        }
        located
    }
}

impl Service {
    /// Studies that the caller may see and that fit, newest first.
    pub async fn search_studies(
        &self,
        caller: &Caller,
        query: &ImageQuery,
    ) -> Result<Vec<StudyHit>, Error> {
        let scope = access::scope(&caller.actor, Action::ReadStudy);
        let mut tx = self.db().read().await?;
        Ok(tx.search_studies(&scope, query, self.now()).await?)
    }

    /// Series that the caller may see and that fit; inside `study`, if it is given.
    pub async fn search_series(
        &self,
        caller: &Caller,
        study: Option<&Uid>,
        query: &ImageQuery,
    ) -> Result<Vec<SeriesHit>, Error> {
        if let Some(study) = study {
            self.look_at(caller, study, Kind::StudyRead).await?;
        }
        let scope = access::scope(&caller.actor, Action::ReadStudy);
        let mut tx = self.db().read().await?;
        Ok(tx.search_series(&scope, query, self.now()).await?)
    }

    /// Instances that the caller may see and that fit; inside `study`, if it is given.
    pub async fn search_instances(
        &self,
        caller: &Caller,
        study: Option<&Uid>,
        query: &ImageQuery,
    ) -> Result<Vec<(Study, StoredImage)>, Error> {
        if let Some(study) = study {
            self.look_at(caller, study, Kind::StudyRead).await?;
        }
        let scope = access::scope(&caller.actor, Action::ReadStudy);
        let mut tx = self.db().read().await?;
        Ok(tx.search_instances(&scope, query, self.now()).await?)
    }

    /// The images of a target, all of which the caller may see; the look is an event.
    pub async fn images(&self, caller: &Caller, target: &Target) -> Result<Images, Error> {
        let study = self.look_at(caller, &target.study, Kind::StudyRead).await?;
        self.images_in(study, target).await
    }

    /// The same for somebody who will read pixels.
    pub async fn images_to_read(&self, caller: &Caller, target: &Target) -> Result<Images, Error> {
        let study = self.look_at(caller, &target.study, Kind::ImagesRead).await?;
        self.images_in(study, target).await
    }

    async fn images_in(&self, study: Study, target: &Target) -> Result<Images, Error> {
        let mut tx = self.db().read().await?;
        let list = match (&target.series, &target.instance) {
            (Some(series), Some(instance)) => {
                tx.image(&study.id, series, instance).await?.into_iter().collect()
            }
            (series, _) => tx.images(&study.id, series.as_ref()).await?,
        };
        if list.is_empty() {
            return Err(Error::hidden());
        }
        Ok(Images { study, list })
    }

    /// The study, if the caller may see it; notes that they looked.
    async fn look_at(&self, caller: &Caller, study: &Uid, kind: Kind) -> Result<Study, Error> {
        let mut tx = self.db().read().await?;
        let study = tx.study_by_uid(study).await?.ok_or(Error::hidden())?;
        let id: StudyId = study.id;
        let study = self.visible_study(&mut tx, caller, Action::ReadStudy, &id).await?;
        drop(tx);
        if kind == Kind::ImagesRead {
            self.note_reading(caller, &study).await?;
        } else {
            self.note_access(caller, &study).await?;
        }
        Ok(study)
    }

    /// Records that somebody reads images of a study, once in [`SAME_READING`]. Many frames are asked for at once, so
    /// it is looked again when it is this caller's turn to write.
    async fn note_reading(&self, caller: &Caller, study: &Study) -> Result<(), Error> {
        let object = format!("study:{}", study.id);
        let since = self.now() - SAME_READING;
        let mut tx = self.db().read().await?;
        let known = tx.happened_since(Kind::ImagesRead, &caller.name(), &object, since).await?;
        drop(tx);
        if known {
            return Ok(());
        }
        let mut tx = self.db().write().await?;
        if tx.happened_since(Kind::ImagesRead, &caller.name(), &object, since).await? {
            return Ok(());
        }
        let centre = super::studies::centre_of(&mut tx, &study.clinic, &study.modality, self.now());
        let centre = centre.await?;
        let about = About { partner: centre.as_ref(), ..About::of(&study.clinic, object) };
        tx.record(vec![self.parts.event(caller, Kind::ImagesRead, about)]).await?;
        Ok(tx.commit().await?)
    }

    /// The headers of images as DICOM JSON, in their order. Elements that are left out are found below the `place` of
    /// their image.
    pub async fn metadata(
        &self,
        images: &Images,
        place: impl Fn(&StoredImage) -> String,
    ) -> Result<Vec<Map<String, Json>>, Error> {
        let list: Vec<_> = images.list.iter().map(|image| (image.clone(), place(image))).collect();
        let study = Arc::new(images.study.clone());
        let models = stream::iter(list).map(|(image, place)| {
            let (service, study) = (self.clone(), Arc::clone(&study));
            async move { service.model(&study, &image, &place).await }
        });
        models.buffered(HEADERS_AT_ONCE).try_collect().await
    }

    async fn model(
        &self,
        study: &Study,
        image: &StoredImage,
        place: &str,
    ) -> Result<Map<String, Json>, Error> {
        match self.header(&image.instance).await {
            Ok(header) => {
                let address = |path: &str| format!("{place}/bulkdata/{path}");
                let profile = image.profile.as_deref();
                let pixels = header.pixels.as_ref();
                let mut model = json::model(&header.elements, pixels, profile, &address);
                available(&mut model, image);
                Ok(model)
            }
            // An image that cannot be read must not hide those that can, nor be missing.
            Err(Error::Image(error)) => {
                tracing::warn!(
                    error = %error, instance.id = %image.instance.id,
                    "a stored header cannot be read"
                );
                Ok(names(study, image))
            }
            Err(error) => Err(error),
        }
    }
}

/// Says in which transfer syntax the pixels can be had.
fn available(model: &mut Map<String, Json>, image: &StoredImage) {
    let syntax = Json::from(image.instance.transfer_syntax.as_str());
    json::put(model, Tag(0x0008, 0x3002), VR::UI, Some(syntax));
}

/// What the relay itself knows of an image.
fn names(study: &Study, image: &StoredImage) -> Map<String, Json> {
    let mut model = Map::new();
    let mut put = |tag, vr, value: Option<Json>| json::put(&mut model, tag, vr, value);
    put(Tag(0x0008, 0x0016), VR::UI, Some(image.instance.sop_class.as_str().into()));
    put(Tag(0x0008, 0x0018), VR::UI, Some(image.instance.uid.as_str().into()));
    put(Tag(0x0008, 0x0060), VR::CS, Some(image.series.modality.clone().into()));
    put(Tag(0x0010, 0x0010), VR::PN, json::person_name(study.patient_name.reveal()));
    put(Tag(0x0010, 0x0020), VR::LO, Some(study.patient_id.reveal().clone().into()));
    put(Tag(0x0020, 0x000D), VR::UI, Some(study.uid.as_str().into()));
    put(Tag(0x0020, 0x000E), VR::UI, Some(image.series.uid.as_str().into()));
    put(Tag(0x0020, 0x0013), VR::IS, image.instance.number.map(Json::from));
    available(&mut model, image);
    model
}
