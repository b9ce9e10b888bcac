//! What the scanner keeps of a data set: the identifying elements of the top level, as they were
//! written.

use dicom_core::Tag;

use super::Encoding;

/// Elements of the top level that are kept. Everything else is checked and forgotten.
pub const WANTED: &[Tag] = &[
    Tag(0x0008, 0x0005), // Specific Character Set
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    Tag(0x0008, 0x0020), // Study Date
    Tag(0x0008, 0x0021), // Series Date
    Tag(0x0008, 0x0030), // Study Time
    Tag(0x0008, 0x0031), // Series Time
    Tag(0x0008, 0x0050), // Accession Number
    Tag(0x0008, 0x0060), // Modality
    Tag(0x0008, 0x0070), // Manufacturer
    Tag(0x0008, 0x0080), // Institution Name
    Tag(0x0008, 0x0090), // Referring Physician's Name
    Tag(0x0008, 0x1010), // Station Name
    Tag(0x0008, 0x1030), // Study Description
    Tag(0x0008, 0x103E), // Series Description
    Tag(0x0010, 0x0010), // Patient's Name
    Tag(0x0010, 0x0020), // Patient ID
    Tag(0x0010, 0x0021), // Issuer of Patient ID
    Tag(0x0010, 0x0030), // Patient's Birth Date
    Tag(0x0010, 0x0040), // Patient's Sex
    Tag(0x0010, 0x1010), // Patient's Age
    Tag(0x0018, 0x0015), // Body Part Examined
    STUDY_INSTANCE_UID,
    SERIES_INSTANCE_UID,
    Tag(0x0020, 0x0010), // Study ID
    Tag(0x0020, 0x0011), // Series Number
    Tag(0x0020, 0x0012), // Acquisition Number
    Tag(0x0020, 0x0013), // Instance Number
    Tag(0x0020, 0x0060), // Laterality
    Tag(0x0028, 0x0002), // Samples per Pixel
    Tag(0x0028, 0x0004), // Photometric Interpretation
    Tag(0x0028, 0x0006), // Planar Configuration
    Tag(0x0028, 0x0008), // Number of Frames
    Tag(0x0028, 0x0010), // Rows
    Tag(0x0028, 0x0011), // Columns
    Tag(0x0028, 0x0100), // Bits Allocated
    Tag(0x0028, 0x0103), // Pixel Representation
];

/// (0008,0016)
pub const SOP_CLASS_UID: Tag = Tag(0x0008, 0x0016);
/// (0008,0018)
pub const SOP_INSTANCE_UID: Tag = Tag(0x0008, 0x0018);
/// (0020,000D)
pub const STUDY_INSTANCE_UID: Tag = Tag(0x0020, 0x000D);
/// (0020,000E)
pub const SERIES_INSTANCE_UID: Tag = Tag(0x0020, 0x000E);

/// Where a tag stands in [`WANTED`].
pub(super) fn wanted_index(tag: Tag) -> Option<usize> {
    WANTED.binary_search(&tag).ok()
}

/// Whether a wanted element is a UID, whose characters are checked.
pub(super) fn is_wanted_uid(tag: Tag) -> bool {
    matches!(tag, SOP_CLASS_UID | SOP_INSTANCE_UID | STUDY_INSTANCE_UID | SERIES_INSTANCE_UID)
}

/// The outcome of a scan: raw values of the wanted elements, and the shape of the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    encoding: Encoding,
    values: Vec<(Tag, Box<[u8]>)>,
    pub(super) pixel_data: Option<PixelData>,
    pub(super) elements: u32,
    pub(super) data_set_bytes: u64,
}

impl Header {
    pub(super) fn new(encoding: Encoding) -> Self {
        Self { encoding, values: Vec::new(), pixel_data: None, elements: 0, data_set_bytes: 0 }
    }

    pub(super) fn insert(&mut self, tag: Tag, value: Vec<u8>) {
        self.values.push((tag, value.into_boxed_slice()));
    }

    /// The value of a wanted element of the top level as it was written, padding included; `None`
    /// when it is absent (or not in [`WANTED`]), empty when it is present without a value.
    #[must_use]
    pub fn raw(&self, tag: Tag) -> Option<&[u8]> {
        self.values.iter().find(|(kept, _)| *kept == tag).map(|(_, value)| &**value)
    }

    /// A number of VR US, read in the byte order of the data set; `None` when absent or not two
    /// bytes long.
    #[must_use]
    pub fn u16(&self, tag: Tag) -> Option<u16> {
        let value: [u8; 2] = self.raw(tag)?.try_into().ok()?;
        Some(match self.encoding {
            Encoding::ExplicitBig => u16::from_be_bytes(value),
            _ => u16::from_le_bytes(value),
        })
    }

    /// How the data set is written.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Where the pixels of the instance are, if it has any.
    #[must_use]
    pub fn pixel_data(&self) -> Option<PixelData> {
        self.pixel_data
    }

    /// Number of elements on all levels.
    #[must_use]
    pub fn elements(&self) -> u32 {
        self.elements
    }

    /// Length of the whole data set in bytes, inflated where it came deflated.
    #[must_use]
    pub fn data_set_bytes(&self) -> u64 {
        self.data_set_bytes
    }
}

/// Pixel Data (7FE0,0010), Float (7FE0,0008) or Double Float Pixel Data (7FE0,0009) of the top
/// level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelData {
    /// Which of the three.
    pub tag: Tag,
    /// Bytes from the start of the (inflated) data set to this element's tag.
    pub offset: u64,
    /// Length in bytes; `None` for encapsulated fragments (PS3.5 A.4).
    pub length: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wanted_table_is_sorted_so_that_it_can_be_searched() {
        assert!(WANTED.is_sorted());
        assert!(WANTED.len() <= 64, "the scanner keeps one bit for each");
    }
}
