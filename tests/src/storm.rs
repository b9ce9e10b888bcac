//! Load and malice around a relay: senders and readers who keep a ledger, a PACS that remembers what it was given, and peers
//! that open connections only to hold them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use medrelay_core::id::Uid;
use medrelay_core::time::SeededEntropy;
use medrelay_dicom::association::Prompt;
use medrelay_dicom::association::acceptor::{
    AcceptorConfig, Peer, Provider, Sink, StoreRequest, Transport, serve,
};
use medrelay_dicom::association::requestor::{
    Association, Proposal, RequestError, RequestorConfig, StoreObject, dial,
};
use medrelay_dicom::command::{Priority, Reply, Status};
use medrelay_dicom::pdu::{AssociateRequest, Rejection};
use medrelay_dicom::phantom::{Modality, PhantomInstance, PhantomSpec};
use medrelay_dicom::uids;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::binary::{Api, RELAY, SCANNER, text};
use crate::ledger::Ledger;

/// How long a connection to a loopback port may take.
const DIAL: Duration = Duration::from_secs(5);
/// Pause of a reader or a clinic doctor who has found nothing to do.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// CT, MR, DX and multi-frame ultrasound image storage.
const STORAGE: [&str; 4] = [
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.1.1",
    "1.2.840.10008.5.1.4.1.1.3.1",
];
/// Sentence in every report.
pub const SENTENCE: &str = "双肺未见明确活动性病变，建议随访。";

/// A sequence of numbers that depends on its seed alone.
#[derive(Debug)]
pub struct Dice(SeededEntropy);

impl Dice {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    /// A number from `low` up to and without `high`.
    pub fn between(&self, low: u64, high: u64) -> u64 {
        low + self.0.next_u64() % (high - low).max(1)
    }
}

/// Parses a UID that a test wrote.
pub fn uid(text: &str) -> Uid {
    Uid::parse(text).expect("a UID")
}

/// What the scanner proposes: Verification, and CT, MR, DX and US in explicit and implicit little endian.
pub fn proposals() -> Vec<Proposal> {
    let explicit = uid(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let implicit = uid(uids::IMPLICIT_VR_LITTLE_ENDIAN);
    let classes = STORAGE.into_iter().map(uid);
    let pairs =
        classes.flat_map(|class| [(class.clone(), explicit.clone()), (class, implicit.clone())]);
    Proposal::pairs(std::iter::once((uid(uids::VERIFICATION), implicit.clone())).chain(pairs))
}

/// Opens an association with the relay as the admitted scanner.
pub async fn associate(port: u16) -> Result<Association<Prompt>, RequestError> {
    let stream = dial(("127.0.0.1", port), DIAL).await?;
    Association::open(stream, RequestorConfig::new(SCANNER, RELAY), &proposals()).await
}

/// Sends one instance.
pub async fn store(
    association: &mut Association<Prompt>,
    instance: &PhantomInstance,
) -> Result<Reply, RequestError> {
    let object = StoreObject {
        sop_class: instance.sop_class.clone(),
        sop_instance: instance.sop_instance.clone(),
        transfer_syntax: instance.transfer_syntax.clone(),
        data_set_bytes: instance.data_set.len() as u64,
        priority: Priority::Medium,
        move_originator: None,
    };
    association.store(&object, &instance.data_set[..]).await
}

/// Sends one instance and keeps the ledger.
pub async fn store_noted(
    association: &mut Association<Prompt>,
    instance: &PhantomInstance,
    ledger: &Ledger,
) -> Result<Reply, RequestError> {
    let name = instance.sop_instance.as_str();
    ledger.sending(name, &instance.data_set);
    let reply = store(association, instance).await?;
    if reply.status == Status::SUCCESS {
        ledger.stored(name);
    }
    Ok(reply)
}

/// Sends small studies of mixed kind and size until the relay is gone, some instances twice.
pub async fn send_until_gone(port: u16, ledger: Arc<Ledger>, seed: u64) {
    let dice = Dice::new(seed);
    while let Ok(mut association) = associate(port).await {
        let modality = [Modality::Ct, Modality::Ct, Modality::Mr, Modality::Dx];
        let modality = modality[dice.between(0, 4) as usize];
        let side = [8, 64, 200][dice.between(0, 3) as usize];
        let study = PhantomSpec {
            instances: dice.between(1, 6) as u32,
            rows: side,
            columns: side,
            ..PhantomSpec::new(modality, dice.between(0, u64::MAX))
        };
        for instance in study.iter() {
            for _ in 0..dice.between(1, 10) / 9 + 1 {
                match store_noted(&mut association, &instance, &ledger).await {
                    Ok(reply) if reply.status == Status::SUCCESS => {}
                    Ok(reply) => ledger.surprise(format!("C-STORE was answered {reply:?}")),
                    Err(_) => return,
                }
            }
        }
        if association.release().await.is_err() {
            return;
        }
    }
}

/// Claims, writes and signs whatever waits, until the relay is gone.
pub async fn sign_until_gone(reader: Api, ledger: Arc<Ledger>) {
    while let Ok((status, claim)) = reader.call("POST", "/api/v1/queue/next", None).await {
        match status {
            200 => {}
            404 => {
                tokio::time::sleep(LOOK_AGAIN).await;
                continue;
            }
            _ => ledger.surprise(format!("the next case was answered {status} {claim}")),
        }
        let case = claim["case"]["id"].as_str().unwrap_or_default();
        let held = json!({
            "proof": { "token": claim["token"], "fence": claim["fence"] },
            "text": { "findings": SENTENCE, "impression": SENTENCE, "recommendation": "" },
        });
        for (method, what, expected) in [("PUT", "draft", 200), ("POST", "sign", 201)] {
            match reader.call(method, &format!("/api/v1/cases/{case}/{what}"), Some(&held)).await {
                Ok((status, report)) if status == expected => {
                    if what == "sign" {
                        ledger.signed(&report);
                    }
                }
                Ok((status, problem)) => ledger.surprise(format!("{what}: {status} {problem}")),
                Err(_) => return,
            }
        }
    }
}

/// Acknowledges whatever lies in the inbox, until the relay is gone.
pub async fn acknowledge_until_gone(clinician: Api, ledger: Arc<Ledger>) {
    while let Ok((_, inbox)) = clinician.call("GET", "/api/v1/inbox?limit=5", None).await {
        let waiting = inbox["items"].as_array().into_iter().flatten();
        for item in waiting.filter(|item| item["acknowledged"] == false) {
            let Ok(delivery) = text(item, "id") else { continue };
            let path = format!("/api/v1/deliveries/{delivery}/acknowledge");
            match clinician.call("POST", &path, None).await {
                Ok((200, _)) => ledger.acknowledged(&delivery),
                Ok((status, problem)) => {
                    ledger.surprise(format!("acknowledge: {status} {problem}"));
                }
                Err(_) => return,
            }
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// A PACS in this process: takes everything and remembers the hash of everything. It ends when dropped.
#[derive(Debug)]
pub struct Pacs {
    shelf: Shelf,
    port: u16,
    listener: JoinHandle<()>,
}

impl Pacs {
    /// Starts it on a free port.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let shelf = Shelf::default();
        let shared = shelf.clone();
        let listener = tokio::spawn(async move {
            while let Ok((stream, address)) = listener.accept().await {
                let shelf = shared.clone();
                tokio::spawn(async move {
                    let Ok(stream) = Prompt::new(stream) else { return };
                    let peer = Peer { address, transport: Transport::Plain };
                    let (config, stop) = (AcceptorConfig::default(), CancellationToken::new());
                    serve(stream, &peer, &shelf, &config, &stop).await;
                });
            }
        });
        Ok(Self { shelf, port, listener })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Hashes of the data sets received, by UID; more than one where the same UID came with different contents.
    pub fn received(&self) -> BTreeMap<String, Vec<String>> {
        self.shelf.objects.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Pacs {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

#[derive(Debug, Clone, Default)]
struct Shelf {
    objects: Arc<Mutex<BTreeMap<String, Vec<String>>>>,
}

struct Place {
    shelf: Shelf,
    uid: String,
    hash: Sha256,
}

impl Provider for Shelf {
    type Caller = ();
    type Sink = Place;

    async fn admit(&self, _: &AssociateRequest, _: &Peer) -> Result<(), Rejection> {
        Ok(())
    }

    async fn begin(&self, (): &(), object: &StoreRequest) -> Result<Place, Reply> {
        let uid = object.sop_instance.to_string();
        Ok(Place { shelf: self.clone(), uid, hash: Sha256::new() })
    }
}

impl Sink for Place {
    async fn write(&mut self, chunk: Bytes) -> Result<(), Reply> {
        self.hash.update(&chunk);
        Ok(())
    }

    async fn finish(self) -> Reply {
        let hash = hex::encode(self.hash.finalize());
        let mut objects = self.shelf.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let contents = objects.entry(self.uid).or_default();
        if !contents.contains(&hash) {
            contents.push(hash);
        }
        Status::SUCCESS.into()
    }

    async fn abandon(self) {}
}

/// Connections that are held open by saying as little as possible. They end when dropped.
#[derive(Debug)]
pub struct Siege {
    tasks: JoinSet<()>,
}

impl Siege {
    /// Opens `count` connections; each sends one byte of `bytes` every `pace`, and nothing when `bytes` are none.
    pub async fn lay(
        address: SocketAddr,
        count: usize,
        bytes: &'static [u8],
        pace: Duration,
    ) -> Result<Self> {
        let mut tasks = JoinSet::new();
        for _ in 0..count {
            let mut stream = TcpStream::connect(address).await?;
            tasks.spawn(async move {
                for byte in bytes {
                    if stream.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(pace).await;
                }
                // Says nothing more and does not go away either.
                std::future::pending::<()>().await;
            });
        }
        Ok(Self { tasks })
    }

    /// How many hold on.
    pub fn strength(&self) -> usize {
        self.tasks.len()
    }
}
