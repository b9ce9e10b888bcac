//! A clinic's gateway in this process: the machine of `core::transfer` over the real carriers, with
//! a study in memory instead of a spool. What it is told and what it does is kept for the story.

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use medrelay_core::time::Timestamp;
use medrelay_core::transfer::gateway::{Offer, PackInfo, Session, Step};
use medrelay_core::transfer::manifest::sha256;
use medrelay_core::transfer::message::{Item, Welcome};
use medrelay_core::transfer::{
    CloseCode, Entry, Hash, Manifest, Message, SERVER_NAME, StreamHeader, Urgency,
};
use medrelay_dicom::pack;
use medrelay_dicom::phantom::PhantomInstance;
use medrelay_link::{Carrier, CarrierError, Incoming, quic, websocket};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey as _};
use reqwest::Method;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::clinic::{Consortium, Place};
use crate::receipts::vouched;
use crate::relay::Relay;

/// How long anything on loopback may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes written to a stream at once.
const PIECE: usize = 64 << 10;

/// By which carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// UDP.
    Quic,
    /// TCP, for places that block UDP.
    WebSocket,
}

/// A gateway that has joined.
pub struct Gateway {
    /// Its identifier.
    pub id: String,
    /// Its clinic.
    pub clinic: String,
    /// The key that the relay signs receipts with.
    pub receipt_key: Vec<u8>,
    /// The relay's authority, DER.
    pub authority: CertificateDer<'static>,
    key: KeyPair,
    certificate: CertificateDer<'static>,
    https: SocketAddr,
    link: SocketAddr,
    now: Timestamp,
}

/// A study as the gateway has it.
#[derive(Clone)]
pub struct Parcel {
    /// The manifest.
    pub manifest: Manifest,
    /// As signed.
    pub raw: Vec<u8>,
    /// Its signature.
    pub signature: Vec<u8>,
    pub(crate) packs: Arc<Vec<(PackInfo, Bytes)>>,
}

impl Parcel {
    /// The pack of an entry.
    pub fn pack(&self, index: usize) -> (PackInfo, Bytes) {
        self.packs[index].clone()
    }

    /// Bytes of all packs.
    pub fn pack_bytes(&self) -> u64 {
        self.packs.iter().map(|(info, _)| info.bytes).sum()
    }
}

impl Gateway {
    /// Joins with a code, as an administrator hands it out.
    pub async fn join(relay: &Relay, people: &Consortium, place: Place) -> Result<Self> {
        let path = format!("/api/v1/clinics/{}/join-codes", people.at(place));
        let made: Value = people.root.call(Method::POST, &path, &json!({})).await?;
        let code = made["code"].as_str().context("a code is given")?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let request = CertificateParams::default().serialize_request(&key)?.pem()?;
        let body = json!({
            "code": code, "request": request, "software": "harness 1", "name": "gateway",
        });
        let joined: Value = relay.client().call(Method::POST, "/api/v1/link/join", &body).await?;
        let text = |name: &str| {
            joined[name].as_str().map(str::to_owned).with_context(|| format!("{name} is missing"))
        };
        let der = |pem: String| CertificateDer::from_pem_slice(pem.as_bytes());
        Ok(Self {
            id: text("gateway")?,
            clinic: text("clinic")?,
            receipt_key: hex::decode(text("receipt_key")?)?,
            authority: der(text("authority")?)?,
            certificate: der(text("certificate")?)?,
            key,
            https: relay.https().context("the relay speaks HTTPS")?,
            link: relay.link().context("the relay has a link")?,
            now: relay.now(),
        })
    }

    /// Packs and announces instances.
    pub fn parcel(&self, instances: &[PhantomInstance]) -> Result<Parcel> {
        let manifest = announced(instances, &self.clinic, &self.id, self.now)?;
        let packs = instances.iter().map(|instance| packed(&instance.data_set));
        self.signed(manifest, packs.collect::<Result<_>>()?)
    }

    /// Announces whatever a manifest says, with these packs.
    pub fn signed(&self, manifest: Manifest, packs: Vec<(PackInfo, Bytes)>) -> Result<Parcel> {
        let raw = manifest.encode();
        let signature = self.key.sign(&raw)?;
        Ok(Parcel { manifest, raw, signature, packs: Arc::new(packs) })
    }

    /// Connects and greets.
    pub async fn connect(&self, way: Way) -> Result<Line> {
        Line::greet(self.carrier(way).await?, Some(self.proof())).await
    }

    /// Connects without a word.
    pub async fn carrier(&self, way: Way) -> Result<Carrier> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone())?;
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).map_err(anyhow::Error::msg)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_details(provider, Arc::new(Then(self.now)))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots);
        match way {
            Way::Quic => {
                let tls = builder.with_client_auth_cert(vec![self.certificate.clone()], key)?;
                let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                let endpoint = quic::client(any, tls)?;
                Ok(quic::connect(&endpoint, self.link).await?)
            }
            Way::WebSocket => {
                let mut tls = builder.with_no_client_auth();
                tls.alpn_protocols = vec![b"http/1.1".to_vec()];
                let stream = TcpStream::connect(self.https).await?;
                websocket::small_send_buffer(&stream)?;
                let connector = tokio_rustls::TlsConnector::from(Arc::new(tls));
                let name = ServerName::try_from(SERVER_NAME)?;
                let stream = connector.connect(name, stream).await?;
                Ok(websocket::connect(stream, SERVER_NAME, self.https).await?)
            }
        }
    }

    /// What this gateway answers to a nonce: its certificate and what it signs.
    pub fn proof(&self) -> Proof {
        let (certificate, authority) = (self.certificate.to_vec(), sha256(&self.authority));
        let key = KeyPair::from_der_and_sign_algo(
            &PrivateKeyDer::try_from(self.key.serialize_der()).expect("a key just written"),
            &PKCS_ECDSA_P256_SHA256,
        )
        .expect("the key was made for this");
        Box::new(move |nonce| {
            let message = [b"medrelay link proof 1\0".as_slice(), &nonce, &authority].concat();
            (certificate.clone(), key.sign(&message).expect("a key signs"))
        })
    }
}

/// The manifest of instances that `sender` sends for a clinic.
pub fn announced(
    instances: &[PhantomInstance],
    clinic: &str,
    sender: &str,
    made: Timestamp,
) -> Result<Manifest> {
    let study = instances.first().context("an empty study")?.study.clone();
    let entries = instances.iter().map(|instance| Entry {
        sop_instance: instance.sop_instance.clone(),
        sop_class: instance.sop_class.clone(),
        transfer_syntax: instance.transfer_syntax.clone(),
        bytes: instance.data_set.len() as u64,
        sha256: sha256(&instance.data_set),
    });
    Ok(Manifest {
        id: new_id(),
        clinic: clinic.to_owned(),
        gateway: sender.to_owned(),
        study,
        urgency: Urgency::Routine,
        made,
        entries: entries.collect(),
    })
}

/// Answers a nonce with certificate and signature.
pub type Proof = Box<dyn Fn([u8; 32]) -> (Vec<u8>, Vec<u8>) + Send>;

/// An identifier for a manifest.
pub fn new_id() -> String {
    medrelay_core::id::uuid_v7(wall(), &medrelay::system::SystemEntropy)
}

/// Packs a data set.
pub fn packed(data_set: &[u8]) -> Result<(PackInfo, Bytes)> {
    let mut pack = Vec::new();
    pack::identity(data_set, &mut pack)?;
    Ok((PackInfo { bytes: pack.len() as u64, sha256: sha256(&pack) }, pack.into()))
}

/// A moment that stands still, as the relay's clock does.
#[derive(Debug)]
struct Then(Timestamp);

impl TimeProvider for Then {
    fn current_time(&self) -> Option<UnixTime> {
        let micros = u64::try_from(self.0.micros()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_micros(micros)))
    }
}

/// A connection of the gateway.
pub struct Line {
    /// The carrier below.
    pub carrier: Carrier,
    /// What the machine said that is not sending, oldest first.
    pub seen: Vec<Step>,
    /// Attachments that came whole, by item.
    pub attachments: HashMap<String, Vec<u8>>,
    /// Bytes of packs that were put on streams.
    pub sent: u64,
    /// How the connection ended, if it has.
    pub ended: Option<CarrierError>,
    /// Streams stop after so many bytes and stay open.
    pub stall_after: Option<usize>,
    machine: Session,
    steps: VecDeque<Step>,
    parcels: HashMap<u64, Parcel>,
    proof: Option<Proof>,
    streams: mpsc::UnboundedSender<Ended>,
    ends: mpsc::UnboundedReceiver<Ended>,
}

enum Ended {
    Stream { key: u64, index: u32, whole: bool },
    Attachment { item: String, bytes: Vec<u8> },
}

enum Happened {
    Message(Result<Option<Message>, CarrierError>),
    Stream(Result<(StreamHeader, Incoming), CarrierError>),
    Ended(Ended),
    Tick,
}

impl Line {
    fn new(carrier: Carrier) -> Self {
        let (streams, ends) = mpsc::unbounded_channel();
        Self {
            carrier,
            seen: Vec::new(),
            attachments: HashMap::new(),
            sent: 0,
            ended: None,
            stall_after: None,
            machine: Session::new("harness 1"),
            steps: VecDeque::new(),
            parcels: HashMap::new(),
            proof: None,
            streams,
            ends,
        }
    }

    /// Greets over a carrier, with a proof for whom it is asked of.
    pub async fn greet(carrier: Carrier, proof: Option<Proof>) -> Result<Self> {
        let mut line = Self::new(carrier);
        let hello = line.machine.start(wall());
        line.steps.extend(hello);
        line.proof = proof;
        line.until("a welcome", |line| line.machine.is_welcome()).await?;
        Ok(line)
    }

    /// What the relay said in its welcome.
    pub fn welcome(&self) -> Option<&Welcome> {
        self.seen.iter().find_map(|step| match step {
            Step::Welcomed(welcome) => Some(welcome),
            _ => None,
        })
    }

    /// Offers a study under a key of the story's own.
    pub fn offer(&mut self, key: u64, parcel: &Parcel) {
        self.parcels.insert(key, parcel.clone());
        let offer = Offer {
            key,
            manifest: parcel.manifest.clone(),
            raw: parcel.raw.clone(),
            signature: parcel.signature.clone(),
            urgency: parcel.manifest.urgency,
            since: wall(),
        };
        self.steps.extend(self.machine.offer(offer));
    }

    /// Gives a study up.
    pub fn withdraw(&mut self, key: u64) {
        self.steps.extend(self.machine.withdraw(key));
    }

    /// Asks for an item's attachment.
    pub fn fetch(&mut self, item: &Item, offset: u64) {
        self.steps.extend(self.machine.fetch(item.id.clone(), offset));
    }

    /// Says that an item is durable.
    pub fn received(&mut self, item: &Item) {
        self.steps.extend(self.machine.received(item.id.clone()));
    }

    /// Offers a study and waits until it is committed: receipt and signature.
    pub async fn commit(&mut self, key: u64, parcel: &Parcel) -> Result<(Vec<u8>, Vec<u8>)> {
        self.offer(key, parcel);
        self.until("a receipt", |line| line.receipt(key).is_some()).await?;
        self.receipt(key).context("the receipt was there")
    }

    /// The receipt of a study, once it has come.
    pub fn receipt(&self, key: u64) -> Option<(Vec<u8>, Vec<u8>)> {
        self.seen.iter().find_map(|step| match step {
            Step::Committed { key: of, receipt, signature } if *of == key => {
                Some((receipt.clone(), signature.clone()))
            }
            _ => None,
        })
    }

    /// Items that came, oldest first.
    pub fn items(&self) -> Vec<Item> {
        let item = |step: &Step| match step {
            Step::Item(item) => Some(item.clone()),
            _ => None,
        };
        self.seen.iter().filter_map(item).collect()
    }

    /// Where the streams that were begun started in their packs.
    pub fn offsets(&self) -> Vec<u64> {
        let offset = |step: &Step| match step {
            Step::Transmit { offset, .. } => Some(*offset),
            _ => None,
        };
        self.seen.iter().filter_map(offset).collect()
    }

    /// Goes on until something is so.
    pub async fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) -> Result<()> {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                self.settle().await?;
                if so(self) {
                    return Ok(());
                }
                if let Some(error) = &self.ended {
                    bail!("the link ended before {what}: {error:?}; seen: {:?}", self.seen);
                }
                let happened = self.wait().await;
                self.act(happened)?;
            }
        });
        match waited.await {
            Ok(done) => done,
            Err(_) => bail!("no {what} within {PATIENCE:?}; seen: {:?}", self.seen),
        }
    }

    /// Waits for the end of the connection and says how it was.
    pub async fn end(&mut self) -> Result<CarrierError> {
        let end = tokio::time::timeout(PATIENCE, self.carrier.closed()).await;
        end.context("the link does not end")
    }

    /// Ends the connection at once.
    pub fn cut(&self) {
        self.carrier.close(CloseCode::Done, "cut");
    }

    async fn wait(&mut self) -> Happened {
        let due = self.machine.next_tick().map(|at| at.micros() - wall().micros());
        let due = due.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0)));
        let tick = async move {
            match due {
                Some(due) => tokio::time::sleep(due).await,
                None => std::future::pending().await,
            }
        };
        let Self { carrier, ends, .. } = self;
        // What was said before the end comes before the end.
        tokio::select! {
            biased;
            message = carrier.receive() => Happened::Message(message),
            stream = carrier.accept() => Happened::Stream(stream),
            Some(ended) = ends.recv() => Happened::Ended(ended),
            () = tick => Happened::Tick,
        }
    }

    fn act(&mut self, happened: Happened) -> Result<()> {
        let steps = match happened {
            Happened::Message(Ok(Some(message))) => self.machine.handle(message, wall())?,
            Happened::Message(Ok(None)) => {
                self.ended = Some(CarrierError::Closed { code: Some(0), detail: String::new() });
                Vec::new()
            }
            Happened::Message(Err(error)) | Happened::Stream(Err(error)) => {
                self.ended = Some(error);
                Vec::new()
            }
            Happened::Stream(Ok((header, incoming))) => {
                self.take(header, incoming);
                Vec::new()
            }
            Happened::Ended(Ended::Stream { key, index, whole: true }) => {
                self.machine.streamed(key, index)
            }
            Happened::Ended(Ended::Stream { key, index, whole: false }) => {
                self.machine.broken(key, index)
            }
            Happened::Ended(Ended::Attachment { item, bytes }) => {
                self.attachments.insert(item, bytes);
                Vec::new()
            }
            Happened::Tick => self.machine.tick(wall()),
        };
        self.steps.extend(steps);
        Ok(())
    }

    /// Does what the machine wants done.
    async fn settle(&mut self) -> Result<()> {
        while let Some(step) = self.steps.pop_front() {
            match &step {
                Step::Send(message) => {
                    if let Err(error) = self.carrier.send(message).await {
                        self.ended = Some(error);
                    }
                    continue;
                }
                Step::Prove { nonce } => {
                    let proof = self.proof.as_ref().context("nothing to prove with")?;
                    let (certificate, signature) = proof(*nonce);
                    self.steps.extend(self.machine.proof(certificate, signature));
                }
                Step::Prepare { key, index } => {
                    let parcel = self.parcels.get(key).context("an offered study")?;
                    let (info, _) = parcel.pack(usize::try_from(*index)?);
                    self.steps.extend(self.machine.packed(*key, *index, info));
                }
                Step::Transmit { key, study, index, offset, pack, urgency } => {
                    self.transmit((*key, *index), *study, *offset, *pack, *urgency)?;
                }
                _ => {}
            }
            self.seen.push(step);
        }
        Ok(())
    }

    fn transmit(
        &mut self,
        (key, index): (u64, u32),
        study: u32,
        offset: u64,
        info: PackInfo,
        urgency: Urgency,
    ) -> Result<()> {
        let parcel = self.parcels.get(&key).context("an offered study")?;
        let (_, pack) = parcel.pack(usize::try_from(index)?);
        let mut rest = pack.slice(usize::try_from(offset)?..);
        self.sent += rest.len() as u64;
        let header = StreamHeader::Instance {
            study,
            index,
            offset,
            pack_bytes: info.bytes,
            pack: info.sha256,
        };
        let (carrier, streams, stall) =
            (self.carrier.clone(), self.streams.clone(), self.stall_after);
        tokio::spawn(async move {
            let sending = async {
                let mut stream = carrier.open(&header, urgency).await?;
                let stalled = stall.filter(|after| *after < rest.len());
                rest.truncate(stalled.unwrap_or(rest.len()));
                while !rest.is_empty() {
                    stream.write(rest.split_to(rest.len().min(PIECE))).await?;
                }
                if stalled.is_some() {
                    carrier.closed().await;
                }
                stream.finish().await
            };
            let whole = sending.await.is_ok();
            // The story may be over.
            let _ = streams.send(Ended::Stream { key, index, whole });
        });
        Ok(())
    }

    fn take(&self, header: StreamHeader, mut incoming: Incoming) {
        let streams = self.streams.clone();
        tokio::spawn(async move {
            let StreamHeader::Attachment { item, .. } = header else { return };
            let mut bytes = Vec::new();
            while let Ok(Some(piece)) = incoming.read().await {
                bytes.extend_from_slice(&piece);
            }
            // The story may be over.
            let _ = streams.send(Ended::Attachment { item, bytes });
        });
    }

    /// Sends a message past the machine, as a broken or hostile gateway may.
    pub async fn say(&self, message: &Message) -> Result<()> {
        Ok(self.carrier.send(message).await?)
    }

    /// The next message, past the machine.
    pub async fn hear(&self) -> Result<Message> {
        let heard = tokio::time::timeout(PATIENCE, self.carrier.receive()).await;
        heard.context("the relay says nothing")??.context("the link ended")
    }

    /// Puts a pack on a stream past the machine.
    pub async fn put(
        &self,
        (study, index): (u32, u32),
        (pack_bytes, pack): (u64, Hash),
        bytes: &[u8],
    ) -> Result<()> {
        let header = StreamHeader::Instance { study, index, offset: 0, pack_bytes, pack };
        let mut stream = self.carrier.open(&header, Urgency::Routine).await?;
        // A relay that refuses stops the stream.
        if stream.write(Bytes::copy_from_slice(bytes)).await.is_ok() {
            let _ = stream.finish().await;
        }
        Ok(())
    }
}

/// Checks what a receipt must be: the relay's signature over this parcel.
///
/// # Errors
/// What is wrong with it.
pub fn must_vouch(gateway: &Gateway, parcel: &Parcel, signed: &(Vec<u8>, Vec<u8>)) -> Result<()> {
    let relay = hex::encode(sha256(&gateway.authority));
    vouched(&gateway.receipt_key, &relay, parcel, signed)
}

fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(0))
}
