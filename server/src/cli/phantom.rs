//! `medrelay phantom`: a synthetic study as DICOM files, for trying out and for tests.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use medrelay_core::id::{NameError, Uid};
use medrelay_core::time::Entropy as _;
use medrelay_dicom::phantom::{Modality, PhantomPatient, PhantomSpec, TextEncoding};

use super::{Outcome, Place};
use crate::system::SystemEntropy;

/// What the study is to be like.
#[derive(Debug, Args)]
pub(super) struct PhantomArgs {
    /// Kind of images: CT, MR, DX or US.
    #[arg(long, value_parser = modality, default_value = "CT")]
    modality: Modality,
    /// Slices, projections or clips in each series; without it as many as are usual.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    slices: Option<u32>,
    /// Series.
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    series: u32,
    /// Rows of a frame in pixels.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(8..=8_192))]
    rows: Option<u16>,
    /// Columns of a frame in pixels.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(8..=8_192))]
    columns: Option<u16>,
    /// How the text is written and declared.
    #[arg(long, value_enum, default_value_t = Charset::Utf8)]
    charset: Charset,
    /// Accession number.
    #[arg(long, value_name = "A")]
    accession: Option<String>,
    /// Patient's name with its groups, such as `Zhang^San=张^三`.
    #[arg(long, value_name = "NAME")]
    patient_name: Option<String>,
    /// Patient ID.
    #[arg(long, value_name = "ID")]
    patient_id: Option<String>,
    /// Body part, such as HEAD or CHEST.
    #[arg(long, value_name = "CODE")]
    body_part: Option<String>,
    /// Study date.
    #[arg(long, value_name = "YYYYMMDD", value_parser = date)]
    study_date: Option<String>,
    /// Study Instance UID; made from the seed without it.
    #[arg(long, value_name = "UID", value_parser = uid)]
    study_uid: Option<Uid>,
    /// The same seed gives the same files; without it a random one is taken and printed.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// A directory that is empty or does not exist yet.
    #[arg(value_name = "OUT")]
    out: PathBuf,
}

/// How the text is written and declared.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Charset {
    /// UTF-8 (ISO_IR 192).
    Utf8,
    /// GB18030.
    Gb18030,
    /// GB 2312 by escapes (ISO 2022 IR 58).
    Iso2022,
    /// GB18030 that is not declared, as careless devices send.
    None,
}

impl From<Charset> for TextEncoding {
    fn from(charset: Charset) -> Self {
        match charset {
            Charset::Utf8 => Self::Utf8,
            Charset::Gb18030 => Self::Gb18030,
            Charset::Iso2022 => Self::Iso2022Ir58,
            Charset::None => Self::Undeclared,
        }
    }
}

/// Writes the study.
pub(super) fn run(place: &Place, args: &PhantomArgs) -> anyhow::Result<Outcome> {
    if !is_empty(&args.out)? {
        eprintln!("medrelay: {} is not empty; name a new directory", args.out.display());
        return Ok(Outcome::Refused);
    }
    let spec = spec(args);
    let total = u64::from(spec.series) * u64::from(spec.instances);
    let progress = !place.json && std::io::stderr().is_terminal();
    let (mut files, mut bytes) = (0u64, 0u64);
    for instance in spec.iter() {
        let dir = match spec.series {
            1 => args.out.clone(),
            _ => args.out.join(format!("SE{:04}", instance.series_number)),
        };
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let path = dir.join(format!("IM{:06}.dcm", instance.instance_number));
        let file = instance.to_file(None);
        std::fs::write(&path, &file).with_context(|| format!("cannot write {}", path.display()))?;
        files += 1;
        bytes += file.len() as u64;
        if progress {
            eprint!("\r  {files}/{total}");
            // A progress line that cannot be shown is no reason to stop.
            let _ = std::io::stderr().flush();
        }
    }
    if progress {
        eprint!("\r\x1b[K");
    }
    let study = spec.study_uid();
    if place.json {
        let summary = serde_json::json!({
            "directory": args.out, "modality": spec.modality.code(), "series": spec.series,
            "files": files, "bytes": bytes, "study_uid": study, "seed": spec.seed,
        });
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        println!("{files} {} files, {bytes} bytes in {}", spec.modality.code(), args.out.display());
        println!("study {study}");
        println!("seed {}", spec.seed);
    }
    Ok(Outcome::Done)
}

fn spec(args: &PhantomArgs) -> PhantomSpec {
    let seed = args.seed.unwrap_or_else(|| {
        let mut bytes = [0; 8];
        SystemEntropy.fill(&mut bytes);
        // 53 bits: every reader of JSON keeps such a number exactly.
        u64::from_le_bytes(bytes) >> 11
    });
    let usual = PhantomSpec::new(args.modality, seed);
    let sample = PhantomPatient::sample(0);
    PhantomSpec {
        series: args.series,
        instances: args.slices.unwrap_or(usual.instances),
        rows: args.rows.unwrap_or(usual.rows),
        columns: args.columns.unwrap_or(usual.columns),
        charset: args.charset.into(),
        accession: args.accession.clone(),
        patient: PhantomPatient {
            id: args.patient_id.clone().unwrap_or(sample.id),
            name: args.patient_name.clone().unwrap_or(sample.name),
            ..sample
        },
        body_part: args.body_part.clone().unwrap_or_else(|| usual.body_part.clone()),
        study_date: args.study_date.clone().unwrap_or_else(|| usual.study_date.clone()),
        study: args.study_uid.clone(),
        ..usual
    }
}

/// Whether nothing would be mixed with what is written there.
fn is_empty(dir: &Path) -> anyhow::Result<bool> {
    match std::fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error).with_context(|| format!("cannot use {}", dir.display())),
    }
}

fn modality(text: &str) -> Result<Modality, String> {
    Modality::from_code(text).ok_or_else(|| "CT, MR, DX or US".to_owned())
}

fn uid(text: &str) -> Result<Uid, NameError> {
    Uid::parse(text)
}

fn date(text: &str) -> Result<String, String> {
    match chrono::NaiveDate::parse_from_str(text, "%Y%m%d") {
        Ok(_) if text.len() == 8 => Ok(text.to_owned()),
        _ => Err("write it as YYYYMMDD".to_owned()),
    }
}
