//! Images as pictures that any browser shows, and which of many stands for them.

use std::sync::Arc;

use bytes::Bytes;

use medrelay_dicom::pixels::{self, Look};

use super::Images;
use crate::service::{Error, Service};
use crate::store::StoredImage;

/// What kind of picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JPEG of this quality, 1 to 100.
    Jpeg(u8),
    /// PNG.
    Png,
}

/// How a frame is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drawing {
    /// Window and size.
    pub look: Look,
    /// What kind of picture.
    pub format: Format,
}

impl Images {
    /// The image that stands for all of them: the middle one of the longest series that has pictures.
    pub fn representative(&self) -> Option<&StoredImage> {
        let pictured = |image: &&StoredImage| image.instance.rows.is_some();
        let mut best: Option<Vec<&StoredImage>> = None;
        let images: Vec<&StoredImage> = self.list.iter().filter(pictured).collect();
        for series in images.chunk_by(|one, other| one.series.id == other.series.id) {
            if best.as_ref().is_none_or(|best| best.len() < series.len()) {
                best = Some(series.to_vec());
            }
        }
        best.and_then(|series| series.get(series.len() / 2).copied())
    }
}

impl Service {
    /// Draws a frame, counted from 0; the middle one if none is named.
    pub async fn draw(
        &self,
        image: &StoredImage,
        frame: Option<u32>,
        drawing: Drawing,
    ) -> Result<Bytes, Error> {
        let instance = &image.instance;
        let (header, located) = self.opened(instance).await?;
        let frame = frame.unwrap_or(located.places.frames() / 2);
        let (stored, shift) = self.stored_frame(instance, &located, frame, Some(&header)).await?;
        let syntax = instance.transfer_syntax.to_string();
        let located = Arc::clone(&located);
        self.off_thread(move || {
            let image = &located.image;
            let decoded = pixels::decode(image, &syntax, &stored, shift)?;
            let look = &drawing.look;
            let picture = pixels::render(&header.elements, image, &decoded, frame, look)?;
            let file = match drawing.format {
                Format::Jpeg(quality) => picture.jpeg(quality)?,
                Format::Png => picture.png()?,
            };
            Ok(file.into())
        })
        .await
    }
}
