//! The way out, against a receiver that we did not write: DCMTK's `storescp`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use medrelay::edge::dimse::courier::{CourierSettings, DicomCourier};
use medrelay::service::{Courier, CourierError, DicomAddress, Parcel, ParcelObject};
use medrelay_core::id::{Phi, Uid};
use medrelay_core::study::PatientFacts;
use medrelay_core::time::{SeededEntropy, Timestamp};
use medrelay_dicom::sr::{BASIC_TEXT_SR, DocumentIdentity, Observer, ReportDocument, Standing};
use tokio::process::{Child, Command};

const FINDINGS: &str = "右肺下叶见小斑片状模糊影";

/// `storescp` writing into `folder`; ends with the test.
struct Receiver {
    port: u16,
    _child: Child,
}

impl Receiver {
    async fn start(folder: &Path, options: &[&str]) -> Result<Self> {
        let port = free_port()?;
        let child = Command::new("storescp")
            .arg("-od")
            .arg(folder)
            .args(["-aet", "PACS"])
            .args(options)
            .arg(port.to_string())
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("storescp is missing: apt-get install dcmtk")?;
        // It says nothing when it begins to listen; being let in is the only sign.
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Ok(Self { port, _child: child });
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        bail!("storescp does not listen")
    }
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn courier(authorities: Option<PathBuf>) -> Result<DicomCourier> {
    let settings = CourierSettings { authorities, ..CourierSettings::default() };
    Ok(DicomCourier::new(settings)?)
}

fn parcel(host: &str, port: u16, tls: bool) -> Result<Parcel> {
    let entropy = SeededEntropy::new(5);
    let instance = Uid::random(&entropy);
    let document = ReportDocument {
        identity: DocumentIdentity {
            patient: PatientFacts {
                id: Phi::new("P1".to_owned()),
                name: Phi::new("Li^Si=李^四".to_owned()),
                ..PatientFacts::default()
            },
            study: Uid::random(&entropy),
            study_date: Some("20260301".to_owned()),
            study_time: None,
            study_number: None,
            accession: None,
            study_description: None,
            referring_physician: None,
            modality: "CT".to_owned(),
            institution: Some("示例县人民医院".to_owned()),
            series: Uid::random(&entropy),
            series_number: 9_001,
            instance: instance.clone(),
            instance_number: 1,
            created: Timestamp::from_micros(1_772_331_600_000_000),
            utc_offset_minutes: 480,
        },
        request: None,
        reporter: Observer { name: "王五".to_owned(), organization: "示例".to_owned() },
        standing: Standing::Preliminary,
        findings: FINDINGS.to_owned(),
        impression: "炎症".to_owned(),
        recommendation: String::new(),
        key_images: Vec::new(),
        evidence: Vec::new(),
    };
    Ok(Parcel {
        address: DicomAddress { ae_title: "PACS".to_owned(), host: host.to_owned(), port, tls },
        objects: vec![ParcelObject {
            sop_class: BASIC_TEXT_SR.to_owned(),
            sop_instance: instance.to_string(),
            data_set: document.encode()?.into(),
        }],
    })
}

/// What a foreign program says of the only file that arrived.
async fn said_of(folder: &Path, program: &str, arguments: &[&str]) -> Result<String> {
    let mut files = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let file = files.pop().context("nothing arrived")?.path();
    ensure!(files.is_empty(), "one object is one file");
    let output = Command::new(program)
        .args(arguments)
        .arg(file)
        .output()
        .await
        .with_context(|| format!("{program} is missing: apt-get install dcmtk dicom3tools"))?;
    let all = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&all).into_owned())
}

#[tokio::test]
async fn a_report_arrives_in_either_value_representation() -> Result<()> {
    for (options, syntax) in [(&[][..], "LittleEndianExplicit"), (&["+xi"], "LittleEndianImplicit")]
    {
        let folder = tempfile::tempdir()?;
        let receiver = Receiver::start(folder.path(), options).await?;
        let parcel = parcel("127.0.0.1", receiver.port, false)?;
        let courier = courier(None)?;
        courier.send(&parcel).await?;
        // Sent again, as after an answer that was lost: taken for what it is.
        courier.send(&parcel).await?;
        let dump = said_of(folder.path(), "dcmdump", &["+L"]).await?;
        ensure!(
            dump.contains(&format!("TransferSyntaxUID={syntax}")) || dump.contains(syntax),
            "{syntax}: {dump}"
        );
        ensure!(dump.contains(FINDINGS), "{dump}");
        let judged = said_of(folder.path(), "dciodvfy", &["-new"]).await?;
        ensure!(!judged.lines().any(|line| line.starts_with("Error")), "{judged}");
    }
    Ok(())
}

#[tokio::test]
async fn a_report_arrives_over_tls_where_the_authority_is_trusted() -> Result<()> {
    let keys = tempfile::tempdir()?;
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let (key, certificate) = (keys.path().join("key.pem"), keys.path().join("cert.pem"));
    std::fs::write(&key, made.signing_key.serialize_pem())?;
    std::fs::write(&certificate, made.cert.pem())?;
    let folder = tempfile::tempdir()?;
    let (k, c) = (key.display().to_string(), certificate.display().to_string());
    let options = ["+tls", k.as_str(), c.as_str(), "-ic"];
    let receiver = Receiver::start(folder.path(), &options).await?;
    let parcel = parcel("localhost", receiver.port, true)?;

    let stranger = courier(None)?.send(&parcel).await;
    ensure!(matches!(stranger, Err(CourierError::Refused(_))), "not trusted: {stranger:?}");
    courier(Some(certificate))?.send(&parcel).await?;
    let dump = said_of(folder.path(), "dcmdump", &["+L"]).await?;
    ensure!(dump.contains(FINDINGS), "{dump}");
    Ok(())
}

#[tokio::test]
async fn nobody_there_is_tried_again_and_a_wrong_address_is_not() -> Result<()> {
    let nobody = courier(None)?.send(&parcel("127.0.0.1", free_port()?, false)?).await;
    ensure!(matches!(nobody, Err(CourierError::Retry(_))), "{nobody:?}");
    let mut parcel = parcel("127.0.0.1", free_port()?, false)?;
    let folder = tempfile::tempdir()?;
    let receiver = Receiver::start(folder.path(), &["--refuse"]).await?;
    parcel.address.port = receiver.port;
    let refused = courier(None)?.send(&parcel).await;
    ensure!(refused.is_err(), "{refused:?}");
    parcel.address.ae_title = "a title that is too long".to_owned();
    let wrong = courier(None)?.send(&parcel).await;
    ensure!(matches!(wrong, Err(CourierError::Refused(_))), "{wrong:?}");
    Ok(())
}
