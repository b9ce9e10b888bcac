//! Joining: the code pins the relay, and the secret never reaches anybody else.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use medrelay_client::link::ambient::SystemEntropy;
use medrelay_client::link::{Ambient, Identity, JoinError, join};
use medrelay_core::transfer::join::JoinCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::authority::Authority;
use crate::relay::{CLINIC, GATEWAY};
use crate::{pem, pem_text};

/// A relay's web server, as far as joining needs one; keeps the bodies that it is sent.
struct Web {
    address: SocketAddr,
    authority: Arc<Authority>,
    bodies: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Web {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// `shown` is the authority that it names; a code is good once.
async fn web(authority: Arc<Authority>, shown: Arc<Authority>) -> Result<Web> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let tls = TlsAcceptor::from(Arc::new(authority.https()?));
    let (kept, issuer) = (bodies.clone(), authority.clone());
    let task = tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(mut io) = tls.accept(tcp).await else { continue };
            let Ok((head, body)) = request(&mut io).await else { continue };
            let (status, answer) = if head.starts_with("GET /api/v1/link/authority") {
                ("200 OK", pem(&shown.certificate))
            } else {
                let used = !kept.lock().expect("no panic").is_empty();
                kept.lock().expect("no panic").push(body.clone());
                match used {
                    true => ("403 Forbidden", REFUSAL.to_owned()),
                    false => ("201 Created", answer(&issuer, &body).expect("an answer")),
                }
            };
            let length = answer.len();
            let text = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{answer}"
            );
            let _ = io.write_all(text.as_bytes()).await;
            let _ = io.shutdown().await;
        }
    });
    Ok(Web { address, authority, bodies, task })
}

const REFUSAL: &str =
    r#"{"status":403,"code":"JOIN_CODE_USED","title":"Forbidden","detail":"used"}"#;

async fn request(io: &mut (impl tokio::io::AsyncRead + Unpin)) -> Result<(String, String)> {
    let mut read = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let count = io.read(&mut piece).await?;
        read.extend_from_slice(&piece[..count]);
        let text = String::from_utf8(read.clone())?;
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
            });
            if body.len() >= length.unwrap_or(0) {
                return Ok((head.to_owned(), body.to_owned()));
            }
        }
        anyhow::ensure!(count > 0, "the request ends early");
    }
}

fn answer(authority: &Authority, body: &str) -> Result<String> {
    use rustls_pki_types::pem::PemObject as _;
    let body: serde_json::Value = serde_json::from_str(body)?;
    let request = body["request"].as_str().context("a request")?;
    let request =
        rustls_pki_types::CertificateSigningRequestDer::from_pem_slice(request.as_bytes())?;
    let certificate = authority.issue(&request, (1, 30))?;
    Ok(serde_json::json!({
        "gateway": GATEWAY,
        "clinic": CLINIC,
        "clinic_name": "青山镇卫生院",
        "certificate": pem(&certificate),
        "authority": pem_text("CERTIFICATE", &authority.certificate),
        "receipt_key": "07".repeat(32),
        "port": 8443,
        "ae_title": "MEDRELAY",
    })
    .to_string())
}

#[tokio::test]
async fn a_code_joins_once_and_the_key_stays_here() -> Result<()> {
    let authority = Arc::new(Authority::new()?);
    let web = web(authority.clone(), authority).await?;
    let code = JoinCode::new(&web.authority.fingerprint(), &SystemEntropy).to_text();
    let url = format!("https://{}", web.address);
    let data = tempfile::tempdir()?;
    let joined = join(&url, &code, "CT room", data.path(), &Ambient::system()).await?;
    assert_eq!(joined.identity.relay().gateway, GATEWAY);
    assert_eq!(joined.identity.relay().tcp_port, web.address.port());
    let loaded = Identity::load(data.path())?;
    assert_eq!(loaded.authority_fingerprint(), web.authority.fingerprint());
    let sent = web.bodies.lock().expect("no panic").join("");
    assert!(sent.contains("CERTIFICATE REQUEST") && !sent.contains("PRIVATE KEY"));

    // The code is used: the folder keeps what it has.
    let again = join(&url, &code, "CT room", data.path(), &Ambient::system()).await;
    let Err(JoinError::Refused(problem)) = again else { anyhow::bail!("{again:?}") };
    assert_eq!(problem.code, "JOIN_CODE_USED");
    assert!(loaded.signed(b"t", &Identity::load(data.path())?.sign(b"t")));
    Ok(())
}

#[tokio::test]
async fn a_stranger_never_sees_the_secret() -> Result<()> {
    let (relay, stranger) = (Arc::new(Authority::new()?), Arc::new(Authority::new()?));
    let code = JoinCode::new(&relay.fingerprint(), &SystemEntropy).to_text();
    // The stranger names its own authority, or passes the relay's on.
    for shown in [stranger.clone(), relay] {
        let web = web(stranger.clone(), shown).await?;
        let url = format!("https://{}", web.address);
        let data = tempfile::tempdir()?;
        let joined = join(&url, &code, "x", data.path(), &Ambient::system()).await;
        assert!(joined.is_err(), "{joined:?}");
        assert!(web.bodies.lock().expect("no panic").is_empty(), "the secret was sent");
        assert!(Identity::load(data.path()).is_err());
    }
    Ok(())
}

#[tokio::test]
async fn a_mistyped_code_is_found_here() -> Result<()> {
    let code = JoinCode::new(&[7; 32], &SystemEntropy).to_text();
    let wrong = code.replacen(&code[..1], if code.starts_with('2') { "3" } else { "2" }, 1);
    let data = tempfile::tempdir()?;
    // Nobody listens there: had anybody been asked, the error would be another.
    let joined = join("https://127.0.0.1:1", &wrong, "x", data.path(), &Ambient::system()).await;
    assert!(matches!(joined, Err(JoinError::Code(_))), "{joined:?}");
    let plain = join("http://127.0.0.1:1", &code, "x", data.path(), &Ambient::system()).await;
    assert!(matches!(plain, Err(JoinError::Address(_))), "{plain:?}");
    let nobody = join("https://127.0.0.1:1", &code, "x", data.path(), &Ambient::system()).await;
    assert!(matches!(nobody, Err(JoinError::Unreachable(_))), "{nobody:?}");
    Ok(())
}
