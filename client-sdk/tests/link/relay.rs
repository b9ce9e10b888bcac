//! A small relay for these tests: the core's machine on the real carrier, with a store in memory. It
//! checks what a relay must check, and does on request what a relay must not do.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey,
};
use bytes::Bytes;
use medrelay_client::link::ambient::SystemClock;
use medrelay_core::id::Uid;
use medrelay_core::time::Clock as _;
use medrelay_core::transfer::manifest::sha256;
use medrelay_core::transfer::message::{Item, Partial};
use medrelay_core::transfer::relay::{Greeting, Peer, Session, Settings, Step, Verdict};
use medrelay_core::transfer::{
    CloseCode, Entry, Hash, Manifest, Message, Outcome, Receipt, RefusalCode, StreamHeader,
    Urgency, limits,
};
use medrelay_dicom::pack::{Limits, PackError, Unpacker};
use medrelay_link::{Carrier, Incoming, quic, websocket};
use rustls_pki_types::CertificateDer;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::authority::Authority;

pub const GATEWAY: &str = "0190a8a0-0000-7000-8000-000000000001";
pub const CLINIC: &str = "0190a8a0-0000-7000-8000-000000000002";

/// What the relay does wrong, and what it does with the line.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Receipts are signed with another key.
    pub forged_receipts: bool,
    /// So many attachments are sent with a byte changed.
    pub damaged_attachments: u32,
    /// The connection is cut whenever so many more pack bytes have come.
    pub cut_every: Option<u64>,
    /// No UDP.
    pub no_udp: bool,
}

/// What the relay has.
#[derive(Debug, Default)]
pub struct Store {
    pub objects: HashMap<Uid, Vec<u8>>,
    pub order: Vec<Uid>,
    pub manifests: HashMap<String, Manifest>,
    pub committed: Vec<Uid>,
    pub partial: HashMap<(String, u32), (Hash, Vec<u8>)>,
    pub items: Vec<(Item, Vec<u8>)>,
    pub received: HashSet<String>,
    /// Pack bytes that came, whole packs and parts.
    pub taken: u64,
    pub cuts: u32,
    pub connections: u32,
    pub websockets: u32,
    pub measured: u64,
    pub renewed: u32,
    faults: Faults,
    next_cut: u64,
}

/// A running relay; dropping it stops it.
pub struct Relay {
    pub authority: Arc<Authority>,
    pub address: SocketAddr,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

struct Shared {
    authority: Arc<Authority>,
    receipts: Ed25519KeyPair,
    store: Mutex<Store>,
    changed: watch::Sender<u64>,
    /// Connections are to be closed with this code.
    close: watch::Sender<Option<CloseCode>>,
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

impl Relay {
    pub async fn start(faults: Faults) -> Result<Self> {
        let authority = Arc::new(Authority::new()?);
        let shared = Arc::new(Shared {
            authority: authority.clone(),
            receipts: Ed25519KeyPair::generate()?,
            store: Mutex::new(Store {
                next_cut: faults.cut_every.unwrap_or(u64::MAX),
                faults: faults.clone(),
                ..Store::default()
            }),
            changed: watch::channel(0).0,
            close: watch::channel(None).0,
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let mut tasks = vec![tokio::spawn(websockets(
            listener,
            TlsAcceptor::from(Arc::new(authority.https()?)),
            shared.clone(),
        ))];
        if !faults.no_udp {
            let endpoint = quic::server(address, authority.quic()?)?;
            tasks.push(tokio::spawn(datagrams(endpoint, shared.clone())));
        }
        Ok(Self { authority, address, shared, tasks })
    }

    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.shared.store()
    }

    pub fn receipt_key(&self) -> String {
        hex::encode(self.shared.receipts.public_key())
    }

    /// Waits until the store is as wished.
    pub async fn until<T>(&self, ready: impl Fn(&Store) -> Option<T>) -> T {
        let mut changed = self.shared.changed.subscribe();
        loop {
            if let Some(found) = ready(&self.store()) {
                return found;
            }
            // The sender lives as long as the relay.
            let _ = changed.changed().await;
        }
    }

    /// Closes all connections with this code, and refuses new ones with it.
    pub fn close(&self, code: CloseCode) {
        self.shared.close.send_replace(Some(code));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn datagrams(endpoint: quinn::Endpoint, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        let shared = shared.clone();
        connections.spawn(async move {
            if let Ok(carrier) = quic::accept(incoming).await {
                serve(carrier, Greeting::Certified(peer()), shared).await;
            }
        });
    }
}

async fn websockets(listener: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>) {
    use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
    let mut connections = JoinSet::new();
    while let Ok((tcp, remote)) = listener.accept().await {
        let (tls, shared) = (tls.clone(), shared.clone());
        connections.spawn(async move {
            let Ok(io) = tls.accept(tcp).await else { return };
            #[expect(clippy::result_large_err, reason = "the handshake's own type")]
            let agree = |_: &Request, mut response: Response| {
                let protocol = medrelay_core::transfer::SUBPROTOCOL;
                let value = protocol.parse().expect("a header value");
                response.headers_mut().insert("sec-websocket-protocol", value);
                Ok(response)
            };
            let upgraded = tokio_tungstenite::accept_hdr_async_with_config(
                io,
                agree,
                Some(websocket::config()),
            );
            let Ok(stream) = upgraded.await else { return };
            shared.store().websockets += 1;
            let carrier = websocket::over(stream, websocket::Side::Relay, remote);
            serve(carrier, Greeting::Challenge([9; 32]), shared).await;
        });
    }
}

fn peer() -> Peer {
    Peer {
        gateway: GATEWAY.to_owned(),
        clinic: CLINIC.to_owned(),
        clinic_name: "青山镇卫生院".to_owned(),
    }
}

/// How a stream of packs ended.
enum Taken {
    Whole(Outcome),
    Refused(RefusalCode),
    Broken,
    Measured(u64, Duration),
}

struct Connection {
    carrier: Carrier,
    shared: Arc<Shared>,
    session: Session,
    /// The key that the gateway's certificate is for.
    key: Vec<u8>,
    manifests: BTreeMap<u32, Manifest>,
    raw: BTreeMap<u32, Vec<u8>>,
    done: mpsc::UnboundedSender<(u32, u32, Taken)>,
    tasks: JoinSet<()>,
}

async fn serve(carrier: Carrier, greeting: Greeting, shared: Arc<Shared>) {
    shared.store().connections += 1;
    let key = carrier.peer_certificate().map(|certificate| public_key(&certificate));
    let settings = Settings {
        relay: hex::encode(shared.authority.fingerprint()),
        receipt_key: shared.receipts.public_key().as_ref().try_into().expect("32 bytes"),
        streams: limits::STREAMS,
        instance_bytes: 1 << 30,
        entries: limits::ENTRIES,
    };
    let (done, mut taken) = mpsc::unbounded_channel();
    let (mut changed, mut close) = (shared.changed.subscribe(), shared.close.subscribe());
    let mut connection = Connection {
        session: Session::new(settings, greeting),
        key: key.unwrap_or_default(),
        manifests: BTreeMap::new(),
        raw: BTreeMap::new(),
        done,
        tasks: JoinSet::new(),
        carrier: carrier.clone(),
        shared: shared.clone(),
    };
    loop {
        let result = tokio::select! {
            message = carrier.receive() => match message {
                Ok(Some(message)) => connection.hear(message).await,
                _ => return,
            },
            stream = carrier.accept() => match stream {
                Ok((header, stream)) => connection.take(&header, stream).await,
                Err(_) => return,
            },
            Some((study, index, taken)) = taken.recv() => {
                connection.taken(study, index, taken).await
            }
            _ = changed.changed() => connection.items().await,
            code = closing(&mut close) => {
                carrier.close(code, "");
                return;
            }
        };
        if let Err(error) = result {
            panic!("the test's relay: {error:#}");
        }
    }
}

async fn closing(close: &mut watch::Receiver<Option<CloseCode>>) -> CloseCode {
    let code = close.wait_for(Option::is_some).await;
    code.ok().and_then(|code| *code).unwrap_or(CloseCode::Done)
}

impl Connection {
    async fn hear(&mut self, message: Message) -> Result<()> {
        let steps = self.session.handle(message, SystemClock.now())?;
        self.carry_out(steps).await?;
        self.items().await
    }

    async fn items(&mut self) -> Result<()> {
        let items = {
            let store = self.shared.store();
            let open = store.items.iter().filter(|(item, _)| !store.received.contains(&item.id));
            open.map(|(item, _)| item.clone()).collect()
        };
        let steps = self.session.items(items);
        self.carry_out(steps).await
    }

    async fn carry_out(&mut self, steps: Vec<Step>) -> Result<()> {
        for step in steps {
            Box::pin(self.step(step)).await?;
        }
        Ok(())
    }

    async fn step(&mut self, step: Step) -> Result<()> {
        match step {
            // Whoever cuts the line does not hear the answer.
            Step::Send(message) => drop(self.carrier.send(&message).await),
            Step::Prove { certificate, signature, nonce } => {
                let fingerprint = self.shared.authority.fingerprint();
                let statement =
                    [b"medrelay link proof 1\0".as_slice(), &nonce, &fingerprint].concat();
                self.key = public_key(&CertificateDer::from(certificate));
                ensure!(self.signed(&statement, &signature), "the proof is wrong");
                let steps = self.session.proved(peer(), SystemClock.now());
                self.carry_out(steps).await?;
            }
            Step::Register { study, manifest, raw, signature } => {
                ensure!(self.signed(&raw, &signature), "the manifest's signature is wrong");
                self.register(study, *manifest, raw).await?;
            }
            Step::Commit { study } => self.commit(study).await?,
            Step::Attach { item, offset } => self.attach(item, offset),
            Step::Received { item } => {
                self.shared.store().received.insert(item);
                self.shared.touch();
            }
            Step::Renew { request } => {
                let certificate = self.shared.authority.issue(&request, (1, 30))?;
                self.shared.store().renewed += 1;
                self.shared.touch();
                let chain = vec![certificate.to_vec()];
                self.carrier.send(&Message::Certificate { chain }).await?;
            }
            Step::Measure { bytes } => {
                let carrier = self.carrier.clone();
                self.tasks.spawn(async move {
                    let stream = carrier.open(&StreamHeader::Measure, Urgency::Routine).await;
                    let Ok(mut stream) = stream else { return };
                    if stream.write(Bytes::from(vec![7; bytes as usize])).await.is_ok() {
                        let _ = stream.finish().await;
                    }
                });
            }
            Step::Withdrawn { .. } | Step::Urgency { .. } => {}
            Step::Close { code, detail } => self.carrier.close(code, &detail),
        }
        Ok(())
    }

    fn signed(&self, bytes: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.key).verify(bytes, signature).is_ok()
    }

    async fn register(&mut self, study: u32, manifest: Manifest, raw: Vec<u8>) -> Result<()> {
        let (states, partial) = {
            let mut store = self.shared.store();
            let state = |entry: &Entry| {
                let known = store.objects.get(&entry.sop_instance)?;
                let equal = sha256(known) == entry.sha256;
                Some(if equal { Outcome::Stored } else { Outcome::OtherContent })
            };
            let states: Vec<_> = manifest.entries.iter().map(state).collect();
            let partial = (store.partial.iter())
                .filter(|((id, index), _)| *id == manifest.id && states[*index as usize].is_none())
                .map(|((_, index), (pack, bytes))| Partial {
                    index: *index,
                    pack: *pack,
                    offset: bytes.len() as u64,
                })
                .collect();
            store.manifests.insert(manifest.id.clone(), manifest.clone());
            (states, partial)
        };
        self.manifests.insert(study, manifest);
        self.raw.insert(study, raw);
        let steps = self.session.known(study, states, partial);
        self.carry_out(steps).await
    }

    async fn commit(&mut self, study: u32) -> Result<()> {
        let manifest = self.manifests.remove(&study).context("a manifest")?;
        let raw = self.raw.remove(&study).context("its bytes")?;
        let aside = {
            let store = self.shared.store();
            let other = |(index, entry): (u32, &Entry)| {
                let known = store.objects.get(&entry.sop_instance)?;
                (sha256(known) != entry.sha256).then_some((index, Outcome::OtherContent))
            };
            (0u32..).zip(&manifest.entries).filter_map(other).collect()
        };
        let receipt = Receipt {
            relay: hex::encode(self.shared.authority.fingerprint()),
            clinic: manifest.clinic.clone(),
            gateway: manifest.gateway.clone(),
            manifest: manifest.id.clone(),
            manifest_sha256: sha256(&raw),
            study: manifest.study.clone(),
            instances: u32::try_from(manifest.entries.len())?,
            bytes: manifest.bytes(),
            aside,
            committed: SystemClock.now(),
        }
        .encode();
        let signature = if self.shared.store().faults.forged_receipts {
            Ed25519KeyPair::generate()?.sign(&receipt).as_ref().to_vec()
        } else {
            self.shared.receipts.sign(&receipt).as_ref().to_vec()
        };
        self.shared.store().committed.push(manifest.study);
        self.shared.touch();
        let steps = self.session.committed(study, receipt, signature);
        self.carry_out(steps).await
    }

    fn attach(&mut self, item: String, offset: u64) {
        let mut bytes = {
            let mut store = self.shared.store();
            let found = store.items.iter().find(|(known, _)| known.id == item);
            let mut bytes = found.map(|(_, bytes)| bytes.clone()).unwrap_or_default();
            if store.faults.damaged_attachments > 0 {
                store.faults.damaged_attachments -= 1;
                if let Some(last) = bytes.last_mut() {
                    *last ^= 1;
                }
            }
            bytes
        };
        let bytes = bytes.split_off(offset as usize);
        let carrier = self.carrier.clone();
        self.tasks.spawn(async move {
            let header = StreamHeader::Attachment { item, offset };
            let Ok(mut stream) = carrier.open(&header, Urgency::Stat).await else { return };
            if stream.write(Bytes::from(bytes)).await.is_ok() {
                let _ = stream.finish().await;
            }
        });
    }

    async fn take(&mut self, header: &StreamHeader, stream: Incoming) -> Result<()> {
        let verdict = self.session.stream(header)?;
        let (done, shared) = (self.done.clone(), self.shared.clone());
        match (verdict, header.clone()) {
            (
                Verdict::Take { study, index, entry, .. },
                StreamHeader::Instance { offset, pack, .. },
            ) => {
                let id = self.manifests.get(&study).context("a manifest")?.id.clone();
                let carrier = self.carrier.clone();
                self.tasks.spawn(async move {
                    let place = (id, index);
                    let taken =
                        receive(&shared, &carrier, place, (pack, offset), &entry, stream).await;
                    let _ = done.send((study, index, taken));
                });
            }
            (Verdict::Measure, _) => {
                self.tasks.spawn(async move {
                    let (mut stream, mut bytes) = (stream, 0);
                    let began = tokio::time::Instant::now();
                    while let Ok(Some(piece)) = stream.read().await {
                        bytes += piece.len() as u64;
                    }
                    let _ = done.send((0, 0, Taken::Measured(bytes, began.elapsed())));
                });
            }
            (Verdict::Refuse(code), header) => {
                stream.stop(code as u8);
                let steps = self.session.turn_away(&header, code);
                self.carry_out(steps).await?;
            }
            (verdict, header) => anyhow::bail!("{verdict:?} for {header:?}"),
        }
        Ok(())
    }

    async fn taken(&mut self, study: u32, index: u32, taken: Taken) -> Result<()> {
        let steps = match taken {
            Taken::Whole(outcome) => self.session.stored(study, index, outcome),
            Taken::Refused(code) => self.session.refused(study, Some(index), code, 10, ""),
            Taken::Broken => {
                self.session.broken(study, index);
                Vec::new()
            }
            Taken::Measured(bytes, took) => {
                self.shared.store().measured = bytes;
                let micros = took.as_micros() as u64;
                vec![Step::Send(Message::Measured { bytes, micros })]
            }
        };
        self.carry_out(steps).await?;
        self.shared.touch();
        Ok(())
    }
}

/// Takes a pack in, and keeps what came of it when it breaks off.
async fn receive(
    shared: &Shared,
    carrier: &Carrier,
    place: (String, u32),
    (pack, offset): (Hash, u64),
    entry: &Entry,
    mut stream: Incoming,
) -> Taken {
    {
        let mut store = shared.store();
        let kept = store.partial.entry(place.clone()).or_insert_with(|| (pack, Vec::new()));
        if kept.0 != pack {
            *kept = (pack, Vec::new());
        }
        kept.1.truncate(offset as usize);
        assert_eq!(kept.1.len() as u64, offset, "the gateway goes on where nothing is");
    }
    loop {
        let piece = match stream.read().await {
            Ok(Some(piece)) => piece,
            Ok(None) => break,
            Err(_) => return Taken::Broken,
        };
        let is_cut = {
            let mut store = shared.store();
            store.taken += piece.len() as u64;
            if let Some((_, kept)) = store.partial.get_mut(&place) {
                kept.extend_from_slice(&piece);
            }
            let is_cut = store.taken >= store.next_cut;
            if is_cut {
                store.next_cut = store.taken + store.faults.cut_every.unwrap_or(u64::MAX / 2);
                store.cuts += 1;
            }
            is_cut
        };
        shared.touch();
        if is_cut {
            carrier.close(CloseCode::Stopping, "cut");
            return Taken::Broken;
        }
    }
    let Some((_, bytes)) = shared.store().partial.remove(&place) else { return Taken::Broken };
    if sha256(&bytes) != pack {
        return Taken::Refused(RefusalCode::Damaged);
    }
    let mut original = Vec::new();
    let mut unpacker = Unpacker::new(Limits::default());
    let unpacked = unpacker.feed(&bytes, &mut |piece: &[u8]| {
        original.extend_from_slice(piece);
        Ok::<(), PackError>(())
    });
    if unpacked.is_err() || unpacker.finish().is_err() {
        return Taken::Refused(RefusalCode::Damaged);
    }
    if sha256(&original) != entry.sha256 || original.len() as u64 != entry.bytes {
        return Taken::Refused(RefusalCode::OtherBytes);
    }
    let mut store = shared.store();
    store.order.push(entry.sop_instance.clone());
    let before = store.objects.insert(entry.sop_instance.clone(), original);
    assert!(before.is_none(), "an object came twice");
    Taken::Whole(Outcome::Stored)
}

fn public_key(certificate: &CertificateDer<'_>) -> Vec<u8> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).expect("a certificate");
    parsed.public_key().subject_public_key.data.to_vec()
}
