//! Synthetic studies: anatomically suggestive, reproducible, and nobody's patient data.
//!
//! One [`PhantomSpec`] and one seed always give the same bytes. Instances are made one at a time and
//! on their own, so a study of any size needs the memory of one instance. Small rows and columns
//! give the objects that index tests need in great numbers.

mod anatomy;
mod charset;
mod header;
pub mod hostile;
mod ultrasound;

use medrelay_core::id::{AeTitle, Uid};
use medrelay_core::time::SeededEntropy;

pub use charset::TextEncoding;

use crate::part10::FileMeta;

/// What kind of images a phantom study holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modality {
    /// CT Image Storage: axial slices in Hounsfield units.
    Ct,
    /// MR Image Storage: axial T2-like slices.
    Mr,
    /// Digital X-Ray Image Storage - For Presentation: one projection per instance.
    Dx,
    /// Ultrasound Multi-frame Image Storage: a colour clip per instance.
    Us,
}

impl Modality {
    /// The code of (0008,0060).
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ct => "CT",
            Self::Mr => "MR",
            Self::Dx => "DX",
            Self::Us => "US",
        }
    }

    /// Reads the code of (0008,0060), in any case.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Ct, Self::Mr, Self::Dx, Self::Us]
            .into_iter()
            .find(|modality| modality.code().eq_ignore_ascii_case(code))
    }

    const fn sop_class(self) -> &'static str {
        match self {
            Self::Ct => "1.2.840.10008.5.1.4.1.1.2",
            Self::Mr => "1.2.840.10008.5.1.4.1.1.4",
            Self::Dx => "1.2.840.10008.5.1.4.1.1.1.1",
            Self::Us => "1.2.840.10008.5.1.4.1.1.3.1",
        }
    }
}

/// How the colours of an ultrasound clip are written, always uncompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Photometric Interpretation RGB.
    Rgb,
    /// Photometric Interpretation YBR_FULL_422: two pixels share their chrominance. Devices send it,
    /// though the standard wants it compressed.
    YbrFull422,
}

/// Who is imaged. Invented people only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhantomPatient {
    /// Patient ID (0010,0020).
    pub id: String,
    /// Patient's Name (0010,0010) with its groups.
    pub name: String,
    /// Patient's Birth Date (0010,0030), `YYYYMMDD`.
    pub birth_date: String,
    /// Patient's Sex (0010,0040).
    pub sex: String,
}

impl PhantomPatient {
    /// One of [`PhantomPatient::SAMPLES`] invented people, repeating after the last.
    pub fn sample(number: usize) -> Self {
        let (name, birth_date, sex) = SAMPLES[number % SAMPLES.len()];
        Self {
            id: format!("PH{:06}", number + 1),
            name: name.to_owned(),
            birth_date: birth_date.to_owned(),
            sex: sex.to_owned(),
        }
    }

    /// How many different people [`PhantomPatient::sample`] knows; number 1 has a name with a
    /// character of four bytes in GB18030, numbers 2 and 5 one whose trail byte is `\\` or `|`.
    pub const SAMPLES: usize = SAMPLES.len();
}

/// A synthetic study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhantomSpec {
    /// Kind of images.
    pub modality: Modality,
    /// Number of series.
    pub series: u32,
    /// Instances in each series: slices, projections or clips.
    pub instances: u32,
    /// Rows of a frame in pixels.
    pub rows: u16,
    /// Columns of a frame in pixels.
    pub columns: u16,
    /// Frames of an instance; only ultrasound has more than one.
    pub frames: u16,
    /// Colours of ultrasound.
    pub colour: Colour,
    /// Who is imaged.
    pub patient: PhantomPatient,
    /// How text is written.
    pub charset: TextEncoding,
    /// Accession Number (0008,0050).
    pub accession: Option<String>,
    /// Body Part Examined (0018,0015); `HEAD` and `BRAIN` give a head, anything else a chest.
    pub body_part: String,
    /// Study Description (0008,1030).
    pub description: String,
    /// Institution Name (0008,0080).
    pub institution: String,
    /// Study Date (0008,0020), `YYYYMMDD`.
    pub study_date: String,
    /// Study Time (0008,0030), `HHMMSS`.
    pub study_time: String,
    /// Study Instance UID; derived from the seed when absent.
    pub study: Option<Uid>,
    /// Where all pseudo-randomness comes from: noise, lesions, UIDs.
    pub seed: u64,
}

impl PhantomSpec {
    /// A plain study of one series of the modality's usual size.
    pub fn new(modality: Modality, seed: u64) -> Self {
        let (instances, rows, columns, frames) = match modality {
            Modality::Ct => (40, 512, 512, 1),
            Modality::Mr => (24, 256, 256, 1),
            Modality::Dx => (1, 2_048, 2_048, 1),
            Modality::Us => (1, 480, 640, 20),
        };
        let (body_part, description) = match modality {
            Modality::Ct => ("CHEST", "胸部CT平扫"),
            Modality::Mr => ("BRAIN", "颅脑MR平扫"),
            Modality::Dx => ("CHEST", "胸部正位片"),
            Modality::Us => ("ABDOMEN", "腹部彩超"),
        };
        Self {
            modality,
            series: 1,
            instances,
            rows,
            columns,
            frames,
            colour: Colour::Rgb,
            patient: PhantomPatient::sample(0),
            charset: TextEncoding::Utf8,
            accession: None,
            body_part: body_part.to_owned(),
            description: description.to_owned(),
            institution: "青山镇卫生院".to_owned(),
            study_date: "20260105".to_owned(),
            study_time: "093000".to_owned(),
            study: None,
            seed,
        }
    }

    /// A CT study of 8 × 8 pixel slices: under 2 KiB an instance, for tests that need very many.
    pub fn tiny(instances: u32, seed: u64) -> Self {
        Self { instances, rows: 8, columns: 8, ..Self::new(Modality::Ct, seed) }
    }

    /// Study Instance UID of the study.
    pub fn study_uid(&self) -> Uid {
        self.study.clone().unwrap_or_else(|| self.uid(Level::Study, 0, 0))
    }

    /// All instances in order of series and instance number, made when asked for.
    pub fn iter(&self) -> impl Iterator<Item = PhantomInstance> + '_ {
        (0..self.series).flat_map(move |series| {
            (0..self.instances).map(move |index| self.instance(series, index))
        })
    }

    /// One instance, counted from 0; the same whichever instances were made before.
    pub fn instance(&self, series: u32, index: u32) -> PhantomInstance {
        let names = Names {
            sop_class: known_uid(self.modality.sop_class()),
            sop_instance: self.uid(Level::Instance, series, index),
            study: self.study_uid(),
            series: self.uid(Level::Series, series, 0),
            frame_of_reference: self.uid(Level::Frame, 0, 0),
        };
        let entropy = self.entropy(Level::Pixels, series, index);
        let (mut data_set, pixels) = match self.modality {
            Modality::Ct => {
                (header::ct(self, &names, series, index), anatomy::ct(self, index, &entropy))
            }
            Modality::Mr => {
                (header::mr(self, &names, series, index), anatomy::mr(self, index, &entropy))
            }
            Modality::Dx => (header::dx(self, &names, series, index), anatomy::dx(self, &entropy)),
            Modality::Us => {
                (header::us(self, &names, series, index), ultrasound::clip(self, &entropy))
            }
        };
        header::append_pixels(&mut data_set, self.modality, pixels);
        PhantomInstance {
            sop_class: names.sop_class,
            sop_instance: names.sop_instance,
            study: names.study,
            series: names.series,
            transfer_syntax: known_uid("1.2.840.10008.1.2.1"),
            series_number: series + 1,
            instance_number: index + 1,
            data_set,
        }
    }

    /// Where on the long axis slice `index` lies, from -1 to 1.
    fn position(&self, index: u32) -> f32 {
        let count = self.instances.max(1);
        (2.0 * index as f32 + 1.0) / count as f32 - 1.0
    }

    fn uid(&self, level: Level, series: u32, index: u32) -> Uid {
        Uid::random(&self.entropy(level, series, index))
    }

    /// A source of its own for every thing that is made, so that instances do not depend on order.
    fn entropy(&self, level: Level, series: u32, index: u32) -> SeededEntropy {
        let place = (u64::from(series) << 32) | u64::from(index);
        let first = SeededEntropy::new(self.seed).next_u64() ^ level as u64;
        let second = SeededEntropy::new(first).next_u64() ^ place;
        SeededEntropy::new(SeededEntropy::new(second).next_u64())
    }
}

/// One synthetic instance, ready for C-STORE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhantomInstance {
    /// SOP Class UID.
    pub sop_class: Uid,
    /// SOP Instance UID.
    pub sop_instance: Uid,
    /// Study Instance UID.
    pub study: Uid,
    /// Series Instance UID.
    pub series: Uid,
    /// Transfer Syntax UID of `data_set`: Explicit VR Little Endian.
    pub transfer_syntax: Uid,
    /// Series Number, from 1.
    pub series_number: u32,
    /// Instance Number, from 1.
    pub instance_number: u32,
    /// The data set.
    pub data_set: Vec<u8>,
}

impl PhantomInstance {
    /// The instance as a DICOM file.
    pub fn to_file(&self, source: Option<AeTitle>) -> Vec<u8> {
        let meta = FileMeta {
            sop_class: self.sop_class.clone(),
            sop_instance: self.sop_instance.clone(),
            transfer_syntax: self.transfer_syntax.clone(),
            source,
        };
        let mut file = meta.to_bytes();
        file.extend_from_slice(&self.data_set);
        file
    }
}

/// The UIDs of one instance.
struct Names {
    sop_class: Uid,
    sop_instance: Uid,
    study: Uid,
    series: Uid,
    frame_of_reference: Uid,
}

#[derive(Debug, Clone, Copy)]
enum Level {
    Study = 1,
    Series = 2,
    Instance = 3,
    Frame = 4,
    Pixels = 5,
    Anatomy = 6,
}

fn known_uid(text: &str) -> Uid {
    Uid::parse(text).expect("a UID of the standard is a UID")
}

const SAMPLES: [(&str, &str, &str); 8] = [
    ("Zhang^Xiaodong=张^小东", "19700101", "M"),
    ("Ji^Yan=𠮷^䶮", "19840217", "F"),
    ("Li^Bing=李^昞", "19560930", "M"),
    ("Wang^Xiulan=王^秀兰", "19490512", "F"),
    ("Ouyang^Jianguo=欧阳^建国", "19621120", "M"),
    ("Zhao^Hai=赵^晐", "19930704", "M"),
    ("Ma^Yingying=马^㛃莹", "20010308", "F"),
    ("Chen^Guihua=陈^桂花", "19380816", "F"),
];
