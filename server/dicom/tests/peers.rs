//! DCMTK at the other end: its senders against our acceptor, our requestor against its receiver.

#[expect(dead_code, reason = "each test binary uses a part of the shared harness")]
mod support;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use medrelay_dicom::association::Prompt;
use medrelay_dicom::association::acceptor::{AcceptorConfig, serve};
use medrelay_dicom::association::requestor::{
    Association, Proposal, RequestError, RequestorConfig, StoreObject, dial,
};
use medrelay_dicom::command::{Priority, Status};
use medrelay_dicom::pdu::Rejection;
use medrelay_dicom::phantom::{Modality, PhantomSpec};
use medrelay_dicom::scan::{Limits, SOP_INSTANCE_UID, Scanner};
use medrelay_dicom::uids;
use support::{CT, Manner, Shelf, loopback, uid};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

const NEEDS: &str = "is missing: apt-get install dcmtk";

/// Runs one of DCMTK's programs to its end.
async fn run(program: &str, arguments: &[&str]) -> Result<Output> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = tokio::time::timeout(Duration::from_secs(60), output).await?;
    output.with_context(|| format!("{program} {NEEDS}"))
}

fn said(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// Our acceptor on a free port, for as long as the test runs.
async fn listen(shelf: &Shelf) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let shelf = shelf.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let shelf = shelf.clone();
            tokio::spawn(async move {
                let stream = Prompt::new(stream).expect("a fresh socket");
                let (config, stop) = (AcceptorConfig::default(), CancellationToken::new());
                serve(stream, &loopback(), &shelf, &config, &stop).await
            });
        }
    });
    Ok(address)
}

fn ct_spec() -> PhantomSpec {
    PhantomSpec::new(Modality::Ct, 7)
}

/// Slices as files.
fn phantom(folder: &Path, spec: &PhantomSpec) -> Result<Vec<PathBuf>> {
    let files = spec.iter().enumerate().map(|(index, instance)| {
        let path = folder.join(format!("{index}.dcm"));
        std::fs::write(&path, instance.to_file(None))?;
        Ok(path)
    });
    files.collect()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}

#[tokio::test]
async fn echoscu_is_answered() -> Result<()> {
    let address = listen(&Shelf::default()).await?;
    let port = address.port().to_string();
    let output = run("echoscu", &["-v", "127.0.0.1", &port]).await?;
    ensure!(output.status.success(), "{}", said(&output));
    ensure!(said(&output).contains("Received Echo Response (Success)"), "{}", said(&output));
    Ok(())
}

#[tokio::test]
async fn echoscu_is_rejected_with_a_reason() -> Result<()> {
    let address = listen(&Shelf::new(Manner::RejectsAll)).await?;
    let port = address.port().to_string();
    let output = run("echoscu", &["-v", "127.0.0.1", &port]).await?;
    ensure!(!output.status.success(), "{}", said(&output));
    ensure!(said(&output).contains("Calling AE Title Not Recognized"), "{}", said(&output));
    Ok(())
}

#[tokio::test]
async fn echoscu_proposes_128_contexts() -> Result<()> {
    let address = listen(&Shelf::default()).await?;
    let port = address.port().to_string();
    let arguments = ["-v", "-ppc", "128", "-pts", "38", "--repeat", "3", "127.0.0.1", &port];
    let output = run("echoscu", &arguments).await?;
    ensure!(output.status.success(), "{}", said(&output));
    Ok(())
}

#[tokio::test]
async fn storescu_and_dcmsend_bring_whole_objects_in_pdus_of_any_size() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let files = phantom(folder.path(), &PhantomSpec { instances: 3, ..ct_spec() })?;
    let senders: [(&str, &[&str]); 5] = [
        ("storescu", &["-v", "-pdu", "4096"]),
        ("storescu", &["-v", "-pdu", "131072", "--max-send-pdu", "4096"]),
        ("storescu", &["-v", "-xi"]),
        ("storescu", &["-v", "-xb"]),
        ("dcmsend", &["-v"]),
    ];
    for (program, options) in senders {
        let shelf = Shelf::default();
        let port = listen(&shelf).await?.port().to_string();
        let mut arguments = options.to_vec();
        arguments.extend(["127.0.0.1", &port]);
        arguments.extend(files.iter().map(|path| text(path)));
        let output = run(program, &arguments).await?;
        ensure!(output.status.success(), "{program} {options:?}: {}", said(&output));
        let seen = shelf.seen.lock().expect("no panic with the lock");
        ensure!(seen.stored.len() == files.len(), "{program} {options:?}: {}", said(&output));
        for received in &seen.stored {
            let syntax = &received.request.transfer_syntax;
            let encoding = uids::encoding(syntax.as_str()).context("a syntax that was accepted")?;
            let mut scanner = Scanner::new(encoding, Limits::default());
            scanner.feed(&received.data)?;
            let header = scanner.finish()?;
            ensure!(header.pixel_data().is_some(), "{program} {options:?}: pixels");
            let named = header.raw(SOP_INSTANCE_UID).context("named")?;
            ensure!(uids::parse(named)? == received.request.sop_instance);
        }
    }
    Ok(())
}

#[tokio::test]
async fn storescu_is_told_why_an_object_was_refused_and_goes_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let files = phantom(folder.path(), &PhantomSpec { instances: 2, ..ct_spec() })?;
    let port = listen(&Shelf::new(Manner::RefusesAfter(10_000))).await?.port().to_string();
    let mut arguments = vec!["-v", "--no-halt", "127.0.0.1", &port];
    arguments.extend(files.iter().map(|path| text(path)));
    let output = run("storescu", &arguments).await?;
    let refused = said(&output).matches("Refused: OutOfResources").count();
    ensure!(refused == 2, "{}", said(&output));
    Ok(())
}

/// DCMTK's receiver, writing into `folder`.
struct Receiver {
    child: Child,
    port: u16,
}

impl Receiver {
    async fn start(folder: &Path, options: &[&str]) -> Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut child = Command::new("storescp")
            .args(["-v", "-od", text(folder), "-aet", "PACS"])
            .args(options)
            .arg(port.to_string())
            .env("TCP_NODELAY", "1")
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("storescp {NEEDS}"))?;
        let output = child.stdout.take().context("piped")?;
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(_)) = lines.next_line().await {}
        });
        // It says nothing when it begins to listen; being answered is the only sign.
        for _ in 0..200 {
            if dial(("127.0.0.1", port), Duration::from_secs(1)).await.is_ok() {
                return Ok(Self { child, port });
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        bail!("storescp does not listen");
    }

    async fn open(&self, proposals: &[Proposal]) -> Result<Association<Prompt>, RequestError> {
        let stream = dial(("127.0.0.1", self.port), Duration::from_secs(5)).await?;
        Association::open(stream, RequestorConfig::new("MEDRELAY", "PACS"), proposals).await
    }

    async fn stop(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }
}

fn ct_and_echo() -> Vec<Proposal> {
    let explicit = uid(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let implicit = uid(uids::IMPLICIT_VR_LITTLE_ENDIAN);
    Proposal::pairs([(uid(uids::VERIFICATION), implicit), (uid(CT), explicit)])
}

#[tokio::test]
async fn our_requestor_stores_into_storescp_byte_for_byte() -> Result<()> {
    for options in [&["+B"][..], &["+B", "-pdu", "4096"]] {
        let folder = tempfile::tempdir()?;
        let receiver = Receiver::start(folder.path(), options).await?;
        let mut association = receiver.open(&ct_and_echo()).await?;
        ensure!(association.echo().await?.status == Status::SUCCESS);
        let spec = PhantomSpec { instances: 3, ..ct_spec() };
        for instance in spec.iter() {
            let object = StoreObject {
                sop_class: instance.sop_class.clone(),
                sop_instance: instance.sop_instance.clone(),
                transfer_syntax: instance.transfer_syntax.clone(),
                data_set_bytes: instance.data_set.len() as u64,
                priority: Priority::Medium,
                move_originator: None,
            };
            let reply = association.store(&object, &instance.data_set[..]).await?;
            ensure!(reply.status == Status::SUCCESS, "{}", reply.status);
            let file = format!("CT.{}", instance.sop_instance);
            let file = std::fs::read(folder.path().join(file))?;
            ensure!(file.ends_with(&instance.data_set), "bit-preserved");
        }
        association.release().await?;
        receiver.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn our_requestor_says_what_is_wrong() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let receiver = Receiver::start(folder.path(), &["--refuse"]).await?;
    let error = receiver.open(&ct_and_echo()).await.err().context("storescp refuses")?;
    ensure!(matches!(error, RequestError::Rejected(Rejection { result: 1, .. })), "{error}");
    receiver.stop().await?;

    let receiver = Receiver::start(folder.path(), &["--abort-after"]).await?;
    let mut association = receiver.open(&ct_and_echo()).await?;
    let object = StoreObject {
        sop_class: uid("1.2.840.10008.5.1.4.1.1.4"),
        sop_instance: uid("1.2.3"),
        transfer_syntax: uid(uids::EXPLICIT_VR_LITTLE_ENDIAN),
        data_set_bytes: 4,
        priority: Priority::Medium,
        move_originator: None,
    };
    let refused = association.store(&object, &[0; 4][..]).await;
    ensure!(matches!(refused, Err(RequestError::ContextNotAccepted { .. })), "{refused:?}");
    let short = StoreObject { sop_class: uid(CT), data_set_bytes: 10, ..object.clone() };
    let refused = association.store(&short, &[0; 4][..]).await;
    ensure!(matches!(refused, Err(RequestError::Source(_))), "{refused:?}");
    association.abort().await;
    let mut association = receiver.open(&ct_and_echo()).await?;
    let instance = PhantomSpec::tiny(1, 7).instance(0, 0);
    let whole = StoreObject {
        sop_class: instance.sop_class.clone(),
        sop_instance: instance.sop_instance.clone(),
        data_set_bytes: instance.data_set.len() as u64,
        ..object
    };
    let aborted = association.store(&whole, &instance.data_set[..]).await;
    ensure!(matches!(aborted, Err(RequestError::Aborted(_))), "{aborted:?}");
    receiver.stop().await?;

    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let nobody = dial(("127.0.0.1", port), Duration::from_secs(1)).await;
    ensure!(matches!(nobody, Err(RequestError::Unreachable(_))), "{nobody:?}");
    Ok(())
}

/// Not a benchmark: a listener that lets the sender wait for delayed acknowledgements needs 40 ms
/// for every object, however fast the machine is.
#[tokio::test]
async fn a_stock_sender_never_waits_for_an_acknowledgement() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let spec = PhantomSpec { instances: 100, rows: 300, columns: 300, ..ct_spec() };
    let files = phantom(folder.path(), &spec)?;
    let port = listen(&Shelf::new(Manner::Counting)).await?.port().to_string();
    let mut arguments = vec!["127.0.0.1", &port];
    arguments.extend(files.iter().map(|path| text(path)));
    let started = tokio::time::Instant::now();
    let output = run("storescu", &arguments).await?;
    ensure!(output.status.success(), "{}", said(&output));
    let spent = started.elapsed();
    ensure!(spent < Duration::from_millis(100 * 25), "100 objects took {spent:?}");
    Ok(())
}
