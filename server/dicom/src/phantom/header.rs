//! The attributes of phantom images, complete by the modules of their IODs (PS3.3 A.3, A.4, A.26, A.7).

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use super::{Colour, Modality, Names, PhantomSpec};
use crate::dataset::{DataSet, put_large};

/// Header of a CT slice (PS3.3 A.3).
pub(super) fn ct(spec: &PhantomSpec, names: &Names, series: u32, index: u32) -> Vec<u8> {
    let mut set = common(spec, names, series, index);
    slice_geometry(&mut set, spec, names, index, 350.0);
    grey_pixels(&mut set, spec);
    set.text(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\AXIAL")
        .text(tags::KVP, "120")
        .text(tags::ACQUISITION_NUMBER, "1")
        .text(tags::DATA_COLLECTION_DIAMETER, "500")
        .text(tags::RECONSTRUCTION_DIAMETER, "350")
        .text(tags::X_RAY_TUBE_CURRENT, "180")
        .text(tags::EXPOSURE_TIME, "500")
        .text(tags::CONVOLUTION_KERNEL, "STANDARD")
        .text(tags::RESCALE_INTERCEPT, "-1024")
        .text(tags::RESCALE_SLOPE, "1")
        .text(tags::RESCALE_TYPE, "HU");
    if super::anatomy::is_head(spec) {
        set.text(tags::WINDOW_CENTER, "40").text(tags::WINDOW_WIDTH, "80");
    } else {
        set.text(tags::WINDOW_CENTER, "40\\-600").text(tags::WINDOW_WIDTH, "400\\1500");
    }
    set.encode()
}

/// Header of an MR slice (PS3.3 A.4).
pub(super) fn mr(spec: &PhantomSpec, names: &Names, series: u32, index: u32) -> Vec<u8> {
    let mut set = common(spec, names, series, index);
    slice_geometry(&mut set, spec, names, index, 230.0);
    grey_pixels(&mut set, spec);
    set.text(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\M\\SE")
        .text(tags::SCANNING_SEQUENCE, "SE")
        .text(tags::SEQUENCE_VARIANT, "SK")
        .text(tags::SCAN_OPTIONS, "")
        .text(tags::MR_ACQUISITION_TYPE, "2D")
        .text(tags::SEQUENCE_NAME, "tse2d1_11")
        .text(tags::REPETITION_TIME, "4000")
        .text(tags::ECHO_TIME, "96")
        .text(tags::ECHO_TRAIN_LENGTH, "11")
        .text(tags::MAGNETIC_FIELD_STRENGTH, "1.5")
        .text(tags::IMAGING_FREQUENCY, "63.87")
        .text(tags::IMAGED_NUCLEUS, "1H")
        .text(tags::FLIP_ANGLE, "150")
        .text(tags::WINDOW_CENTER, "700")
        .text(tags::WINDOW_WIDTH, "1400");
    set.encode()
}

/// Header of a radiograph (PS3.3 A.26).
pub(super) fn dx(spec: &PhantomSpec, names: &Names, series: u32, index: u32) -> Vec<u8> {
    let mut set = common(spec, names, series, index);
    grey_pixels(&mut set, spec);
    let spacing = decimal(430.0 / f32::from(spec.columns.max(1)));
    set.text(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\")
        .text(tags::PRESENTATION_INTENT_TYPE, "FOR PRESENTATION")
        .text(tags::PIXEL_INTENSITY_RELATIONSHIP, "LOG")
        .bytes(tags::PIXEL_INTENSITY_RELATIONSHIP_SIGN, (-1i16).to_le_bytes().to_vec())
        .text(tags::RESCALE_INTERCEPT, "0")
        .text(tags::RESCALE_SLOPE, "1")
        .text(tags::RESCALE_TYPE, "US")
        .text(tags::PRESENTATION_LUT_SHAPE, "IDENTITY")
        .text(tags::LOSSY_IMAGE_COMPRESSION, "00")
        .text(tags::BURNED_IN_ANNOTATION, "NO")
        .text(tags::IMAGE_LATERALITY, "U")
        .text(tags::PATIENT_ORIENTATION, "L\\F")
        .text(tags::VIEW_POSITION, "PA")
        .text(tags::DETECTOR_TYPE, "DIRECT")
        .text(tags::DETECTOR_CONFIGURATION, "AREA")
        .text(tags::POSITIONER_TYPE, "NONE")
        .text(tags::KVP, "125")
        .text(tags::EXPOSURE, "3")
        .text(tags::ACQUISITION_DEVICE_PROCESSING_DESCRIPTION, "STANDARD")
        .text(tags::IMAGER_PIXEL_SPACING, &format!("{spacing}\\{spacing}"))
        .text(tags::PIXEL_SPACING, &format!("{spacing}\\{spacing}"))
        .text(tags::WINDOW_CENTER, "2048")
        .text(tags::WINDOW_WIDTH, "4096")
        .sequence(tags::ACQUISITION_CONTEXT_SEQUENCE, Vec::new())
        .sequence(tags::ANATOMIC_REGION_SEQUENCE, vec![code("51185008", "SCT", "Chest")])
        .sequence(tags::VIEW_CODE_SEQUENCE, vec![view_code()]);
    set.encode()
}

/// Header of an ultrasound clip (PS3.3 A.7).
pub(super) fn us(spec: &PhantomSpec, names: &Names, series: u32, index: u32) -> Vec<u8> {
    let mut set = common(spec, names, series, index);
    pixel_size(&mut set, spec);
    let photometric = match spec.colour {
        Colour::Rgb => "RGB",
        Colour::YbrFull422 => "YBR_FULL_422",
    };
    set.text(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\ABDOMINAL\\0011")
        .text(tags::PATIENT_ORIENTATION, "")
        .text(tags::LOSSY_IMAGE_COMPRESSION, "00")
        .text(tags::TRANSDUCER_TYPE, "CURVED LINEAR")
        .text(tags::NUMBER_OF_FRAMES, &spec.frames.to_string())
        .text(tags::FRAME_TIME, "50")
        .text(tags::CINE_RATE, "20")
        .pointer(tags::FRAME_INCREMENT_POINTER, tags::FRAME_TIME)
        .shorts(tags::ULTRASOUND_COLOR_DATA_PRESENT, &[1])
        .shorts(tags::SAMPLES_PER_PIXEL, &[3])
        .text(tags::PHOTOMETRIC_INTERPRETATION, photometric)
        .shorts(tags::PLANAR_CONFIGURATION, &[0])
        .shorts(tags::BITS_ALLOCATED, &[8])
        .shorts(tags::BITS_STORED, &[8])
        .shorts(tags::HIGH_BIT, &[7])
        .shorts(tags::PIXEL_REPRESENTATION, &[0]);
    set.encode()
}

/// Puts the pixels behind the header; (7FE0,0010) is the last attribute of every phantom.
pub(super) fn append_pixels(data_set: &mut Vec<u8>, modality: Modality, mut pixels: Vec<u8>) {
    let vr = if modality == Modality::Us { VR::OB } else { VR::OW };
    if pixels.len() % 2 == 1 {
        pixels.push(0);
    }
    data_set.reserve_exact(pixels.len() + 12);
    put_large(data_set, tags::PIXEL_DATA, vr, pixels.len());
    data_set.append(&mut pixels);
}

/// Patient, Study, Series, Equipment and SOP Common modules.
fn common(spec: &PhantomSpec, names: &Names, series: u32, index: u32) -> DataSet {
    let mut set = DataSet::new();
    let mut localized = |tag: Tag, text: &str| {
        set.bytes(tag, spec.charset.encode(text));
    };
    localized(tags::INSTITUTION_NAME, &spec.institution);
    localized(tags::STUDY_DESCRIPTION, &spec.description);
    localized(tags::SERIES_DESCRIPTION, series_description(spec.modality));
    localized(tags::PATIENT_NAME, &spec.patient.name);
    localized(tags::PATIENT_ID, &spec.patient.id);
    set.text_if_any(tags::SPECIFIC_CHARACTER_SET, spec.charset.declaration())
        .text(tags::SOP_CLASS_UID, names.sop_class.as_str())
        .text(tags::SOP_INSTANCE_UID, names.sop_instance.as_str())
        .text(tags::STUDY_INSTANCE_UID, names.study.as_str())
        .text(tags::SERIES_INSTANCE_UID, names.series.as_str())
        .text(tags::STUDY_DATE, &spec.study_date)
        .text(tags::SERIES_DATE, &spec.study_date)
        .text(tags::ACQUISITION_DATE, &spec.study_date)
        .text(tags::CONTENT_DATE, &spec.study_date)
        .text(tags::STUDY_TIME, &spec.study_time)
        .text(tags::SERIES_TIME, &spec.study_time)
        .text(tags::ACQUISITION_TIME, &spec.study_time)
        .text(tags::CONTENT_TIME, &spec.study_time)
        .text_or_empty(tags::ACCESSION_NUMBER, spec.accession.as_deref())
        .text(tags::MODALITY, spec.modality.code())
        .text(tags::MANUFACTURER, "MEDRELAY")
        .text(tags::MANUFACTURER_MODEL_NAME, "PHANTOM")
        .text(tags::DEVICE_SERIAL_NUMBER, "1")
        .text(tags::SOFTWARE_VERSIONS, env!("CARGO_PKG_VERSION"))
        .text(tags::REFERRING_PHYSICIAN_NAME, "")
        .text(tags::PATIENT_BIRTH_DATE, &spec.patient.birth_date)
        .text(tags::PATIENT_SEX, &spec.patient.sex)
        .text(tags::BODY_PART_EXAMINED, &spec.body_part)
        .text(tags::STUDY_ID, "1")
        .text(tags::SERIES_NUMBER, &(series + 1).to_string())
        .text(tags::INSTANCE_NUMBER, &(index + 1).to_string());
    set
}

/// Frame of Reference and Image Plane modules for a stack of axial slices over `field` millimetres.
fn slice_geometry(set: &mut DataSet, spec: &PhantomSpec, names: &Names, index: u32, field: f32) {
    let spacing = decimal(field / f32::from(spec.columns.max(1)));
    let thickness = 300.0 / spec.instances.max(60) as f32;
    let z = decimal(thickness * index as f32);
    let corner = decimal(-field / 2.0);
    set.text(tags::FRAME_OF_REFERENCE_UID, names.frame_of_reference.as_str())
        .text(tags::POSITION_REFERENCE_INDICATOR, "")
        .text(tags::PATIENT_POSITION, "HFS")
        .text(tags::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0")
        .text(tags::IMAGE_POSITION_PATIENT, &format!("{corner}\\{corner}\\{z}"))
        .text(tags::PIXEL_SPACING, &format!("{spacing}\\{spacing}"))
        .text(tags::SLICE_THICKNESS, &decimal(thickness))
        .text(tags::SLICE_LOCATION, &z);
}

/// Image Pixel module of 12 stored bits in 16.
fn grey_pixels(set: &mut DataSet, spec: &PhantomSpec) {
    pixel_size(set, spec);
    set.shorts(tags::SAMPLES_PER_PIXEL, &[1])
        .text(tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2")
        .shorts(tags::BITS_ALLOCATED, &[16])
        .shorts(tags::BITS_STORED, &[12])
        .shorts(tags::HIGH_BIT, &[11])
        .shorts(tags::PIXEL_REPRESENTATION, &[0]);
}

fn pixel_size(set: &mut DataSet, spec: &PhantomSpec) {
    set.shorts(tags::ROWS, &[spec.rows]).shorts(tags::COLUMNS, &[spec.columns]);
}

fn code(value: &str, scheme: &str, meaning: &str) -> DataSet {
    let mut item = DataSet::new();
    item.text(tags::CODE_VALUE, value)
        .text(tags::CODING_SCHEME_DESIGNATOR, scheme)
        .text(tags::CODE_MEANING, meaning);
    item
}

fn view_code() -> DataSet {
    let mut item = code("272479007", "SCT", "postero-anterior");
    item.sequence(tags::VIEW_MODIFIER_CODE_SEQUENCE, Vec::new());
    item
}

/// A decimal string (VR DS) of at most 16 characters.
fn decimal(value: f32) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

const fn series_description(modality: Modality) -> &'static str {
    match modality {
        Modality::Ct => "横断位 5mm",
        Modality::Mr => "T2 TSE 横断位",
        Modality::Dx => "正位",
        Modality::Us => "彩色动态",
    }
}
