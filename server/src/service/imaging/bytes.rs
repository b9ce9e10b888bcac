//! The bytes of images: headers, frames, long values and whole objects, read from where they lie.

use bytes::Bytes;
use std::sync::Arc;

use medrelay_core::id::InstanceId;
use medrelay_dicom::elements::{Elements, PixelElement, Progress, Reader, Value};
use medrelay_dicom::pixels::{self, Image, Locator, PixelError};
use medrelay_dicom::scan::{self, Encoding};
use medrelay_dicom::{json, uids};

use super::{ImageError, Located};
use crate::blobs::BlobReader;
use crate::service::{Error, Service, ingest};
use crate::store::{Instance, StoredImage};

/// Objects up to here are read at once, in bytes: header and pixels in one go.
const WHOLE_BYTES: u64 = 1 << 20;
/// The longest value that is given away, in bytes.
const BULK_BYTES: u64 = 1 << 30;

/// The header of an instance, and a way to the bytes behind it.
pub(super) struct Header {
    pub elements: Elements,
    pub pixels: Option<PixelElement>,
    pub source: Source,
}

/// Where the bytes of a data set are.
pub(super) enum Source {
    /// In the blob store; what has been read of it already, from its start.
    Stored { id: InstanceId, front: u64, length: u64, begin: Bytes },
    /// Here: it was deflated.
    Memory(Bytes),
}

/// A frame as it is stored, or decoded.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Its bytes.
    pub bytes: Bytes,
    /// The transfer syntax that they are in.
    pub syntax: String,
}

/// How a frame is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// As it is stored; uncompressed ones in little endian order.
    None,
    /// Without compression, in little endian order.
    Decode,
    /// As lossless JPEG-LS.
    JpegLs,
}

/// A long value.
pub enum Bulk {
    /// Its bytes, in little endian order.
    Bytes(Bytes),
    /// A stream of them.
    Stored(BlobReader),
    /// It is the pixel data: ask for its frames; there are so many.
    Frames(u32),
}

impl Service {
    /// Reads the header of an instance, and not more than a little behind it.
    pub(super) async fn header(&self, instance: &Instance) -> Result<Header, Error> {
        self.header_and(instance, 0).await
    }

    /// Reads the header of an instance, and what lies behind it where that is in the first `ahead` bytes.
    async fn header_and(&self, instance: &Instance, ahead: u64) -> Result<Header, Error> {
        let encoding = uids::encoding(instance.transfer_syntax.as_str());
        let encoding = encoding.ok_or(ImageError::Syntax)?;
        let size = |n: i64| u64::try_from(n).unwrap_or(0);
        let (front, length) = (size(instance.data_offset), size(instance.bytes));
        if encoding == Encoding::Deflated {
            let data_set = self.inflated(instance, front, length).await?;
            let (elements, pixels) =
                medrelay_dicom::elements::read(encoding, &data_set).map_err(ImageError::Header)?;
            return Ok(Header { elements, pixels, source: Source::Memory(data_set) });
        }
        let mut source =
            Source::Stored { id: instance.id.clone(), front, length, begin: Bytes::new() };
        let mut reader = Reader::new(encoding, length);
        let mut progress = reader.start();
        while let Progress::Wants { offset, length: wanted } = progress {
            let wanted = if offset == 0 { ahead.max(wanted as u64) } else { wanted as u64 };
            let piece = self.piece(&source, offset, wanted).await?;
            if let (0, Source::Stored { begin, .. }) = (offset, &mut source) {
                *begin = piece.clone();
            }
            progress = reader.feed(&piece).map_err(ImageError::Header)?;
        }
        let (elements, pixels) = reader.finish();
        Ok(Header { elements, pixels, source })
    }

    /// A whole data set that was deflated, in memory; bounded like at the door.
    async fn inflated(&self, instance: &Instance, front: u64, length: u64) -> Result<Bytes, Error> {
        let key = ingest::key(&instance.id)?;
        let deflated = self.parts.blobs.range(&key, front, length).await?;
        let deflated = deflated.collect(scan::Limits::default().inflated_bytes).await?;
        let _turn = self.imaging.turn().await;
        let inflated = tokio::task::spawn_blocking(move || scan::inflate(&deflated)).await;
        let inflated = inflated.map_err(|_| ImageError::Pixels(PixelError::Damaged("deflate")))?;
        Ok(inflated.map_err(|_| ImageError::Pixels(PixelError::Damaged("deflate")))?.into())
    }

    /// A piece of a data set.
    async fn piece(&self, source: &Source, offset: u64, length: u64) -> Result<Bytes, Error> {
        match source {
            Source::Memory(data_set) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX).min(data_set.len());
                let rest = data_set.slice(from..);
                let length = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
                Ok(rest.slice(..length))
            }
            Source::Stored { id, front, length: total, begin } => {
                let end = offset.saturating_add(length).min(*total);
                if end <= begin.len() as u64 && offset <= end {
                    // Both fit a length in memory.
                    return Ok(begin.slice(offset as usize..end as usize));
                }
                let length = end.saturating_sub(offset);
                let key = ingest::key(id)?;
                let reader = self.parts.blobs.range(&key, front + offset, length).await?;
                Ok(reader.collect(length).await?)
            }
        }
    }

    /// Where the frames of an instance lie.
    pub(super) async fn located(&self, instance: &Instance) -> Result<Arc<Located>, Error> {
        if let Some(located) = self.imaging.recall(&instance.id) {
            return Ok(located);
        }
        Ok(self.opened(instance).await?.1)
    }

    /// The header of an instance and where its frames lie.
    pub(super) async fn opened(
        &self,
        instance: &Instance,
    ) -> Result<(Header, Arc<Located>), Error> {
        // A small one is read at once: the pixels will be wanted next.
        let small = u64::try_from(instance.bytes).is_ok_and(|bytes| bytes <= WHOLE_BYTES);
        let header = self.header_and(instance, if small { WHOLE_BYTES } else { 0 }).await?;
        let pixels = header.pixels.as_ref().ok_or(PixelError::NoPixels)?;
        if let Some(located) = self.imaging.recall(&instance.id) {
            return Ok((header, located));
        }
        let image = Image::describe(&header.elements, Some(pixels))?;
        let end = header.source.length();
        let mut locator = Locator::new(&header.elements, pixels, &image, end);
        let mut progress = locator.wants();
        while let Progress::Wants { offset, length } = progress {
            let piece = self.piece(&header.source, offset, length as u64).await?;
            progress = locator.feed(&piece)?;
        }
        let located = Located { image, places: locator.finish() };
        let located = self.imaging.remember(&instance.id, located);
        Ok((header, located))
    }

    /// What an image says of its pixels, and how many frames it really has.
    pub async fn frames_of(&self, image: &StoredImage) -> Result<(Image, u32), Error> {
        let located = self.located(&image.instance).await?;
        Ok((located.image, located.places.frames()))
    }

    /// Whether the frames of an image are compressed.
    pub async fn compressed(&self, image: &StoredImage) -> Result<bool, Error> {
        let located = self.located(&image.instance).await?;
        Ok(located.places.get(0).is_ok_and(|place| place.framed))
    }

    /// One frame, counted from 0.
    pub async fn frame(
        &self,
        image: &StoredImage,
        frame: u32,
        repair: Repair,
    ) -> Result<Frame, Error> {
        let instance = &image.instance;
        let (header, located) = match self.imaging.recall(&instance.id) {
            Some(located) => (None, located),
            None => {
                let (header, located) = self.opened(instance).await?;
                (Some(header), located)
            }
        };
        let (stored, shift) = self.stored_frame(instance, &located, frame, header.as_ref()).await?;
        let compressed = located.places.get(frame)?.framed;
        if repair == Repair::None && compressed {
            return Ok(Frame { bytes: stored, syntax: instance.transfer_syntax.to_string() });
        }
        let plain = |bytes| Frame { bytes, syntax: uids::EXPLICIT_VR_LITTLE_ENDIAN.to_owned() };
        let (described, syntax) = (located.image, instance.transfer_syntax.to_string());
        if repair != Repair::JpegLs && !compressed && !described.big_endian && shift == 0 {
            return Ok(plain(stored));
        }
        self.off_thread(move || {
            let decoded = pixels::decode(&described, &syntax, &stored, shift)?;
            if repair != Repair::JpegLs {
                return Ok(plain(decoded.bytes));
            }
            if decoded.photometric != described.photometric {
                return Err(PixelError::Unsupported("JPEG-LS of colours that were compressed"));
            }
            let bytes = pixels::jpeg_ls(&described, &decoded)?.into();
            Ok(Frame { bytes, syntax: JPEG_LS.to_owned() })
        })
        .await
    }

    /// The stored bytes of a frame, and the bits to leave out at their start.
    pub(super) async fn stored_frame(
        &self,
        instance: &Instance,
        located: &Located,
        frame: u32,
        header: Option<&Header>,
    ) -> Result<(Bytes, u8), Error> {
        let place = located.places.get(frame)?;
        if place.length > pixels::FRAME_BYTES {
            return Err(PixelError::TooLarge.into());
        }
        let bytes = match header {
            Some(header) => self.piece(&header.source, place.offset, place.length).await?,
            None if is_deflated(instance) => {
                let header = self.header(instance).await?;
                self.piece(&header.source, place.offset, place.length).await?
            }
            None => {
                let source = Source::of(instance);
                self.piece(&source, place.offset, place.length).await?
            }
        };
        let bytes = if place.framed { pixels::unframed(&bytes)? } else { bytes };
        Ok((bytes, place.shift))
    }

    /// Runs what takes a processor, as many at once as there are.
    pub(super) async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PixelError> + Send + 'static,
    ) -> Result<T, Error> {
        let _turn = self.imaging.turn().await;
        let done = tokio::task::spawn_blocking(work).await;
        Ok(done.unwrap_or(Err(PixelError::Damaged("the codec gave up")))?)
    }

    /// The value of an element by its path, see [`json::find`]. `None`: there is none.
    pub async fn bulk(&self, image: &StoredImage, path: &str) -> Result<Option<Bulk>, Error> {
        let header = self.header(&image.instance).await?;
        let tag = json::tag_of(path);
        if header.pixels.is_some_and(|pixels| Some(pixels.tag) == tag) {
            return Ok(Some(Bulk::Frames(self.frames_of(image).await?.1)));
        }
        let Some((element, big)) = json::find(&header.elements, path) else { return Ok(None) };
        Ok(match &element.value {
            Value::Bytes(bytes) => {
                Some(Bulk::Bytes(json::little_endian(bytes, element.vr, big).into()))
            }
            Value::Elsewhere { offset, length } if !big => match &header.source {
                Source::Memory(_) => {
                    Some(Bulk::Bytes(self.piece(&header.source, *offset, *length).await?))
                }
                Source::Stored { id, front, .. } => {
                    let key = ingest::key(id)?;
                    Some(Bulk::Stored(self.parts.blobs.range(&key, front + offset, *length).await?))
                }
            },
            Value::Elsewhere { offset, length } => {
                if *length > BULK_BYTES {
                    return Err(PixelError::TooLarge.into());
                }
                let bytes = self.piece(&header.source, *offset, *length).await?;
                Some(Bulk::Bytes(json::little_endian(&bytes, element.vr, big).into()))
            }
            Value::Items(_) => None,
        })
    }

    /// The whole file of an image (PS3.10).
    pub async fn file(&self, image: &StoredImage) -> Result<BlobReader, Error> {
        Ok(self.parts.blobs.open(&ingest::key(&image.instance.id)?).await?)
    }
}

fn is_deflated(instance: &Instance) -> bool {
    uids::encoding(instance.transfer_syntax.as_str()) == Some(Encoding::Deflated)
}

impl Source {
    fn of(instance: &Instance) -> Self {
        let size = |n: i64| u64::try_from(n).unwrap_or(0);
        Self::Stored {
            id: instance.id.clone(),
            front: size(instance.data_offset),
            length: size(instance.bytes),
            begin: Bytes::new(),
        }
    }

    fn length(&self) -> u64 {
        match self {
            Self::Stored { length, .. } => *length,
            Self::Memory(data_set) => data_set.len() as u64,
        }
    }
}

/// JPEG-LS Lossless Image Compression.
pub const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
