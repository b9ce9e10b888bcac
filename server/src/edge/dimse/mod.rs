//! DICOM associations: the listeners, plain and TLS, and how many they let in.
//!
//! A connection that has not yet been admitted costs a place among [`HALF_OPEN_LIMIT`]; when all
//! are taken the oldest one gives way, so that whoever opens connections and says nothing cannot
//! keep a scanner out. Admitted associations are counted in all and for each device.

pub mod courier;
mod provider;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use medrelay_core::id::DeviceId;
use medrelay_dicom::association::Prompt;
use medrelay_dicom::association::acceptor::{AcceptorConfig, End, Peer, Summary, Transport, serve};

use self::provider::Connection;
use crate::lifecycle::Lifecycle;
use crate::service::{Device, Service};

/// Connections that have not yet been admitted, all peers together.
pub const HALF_OPEN_LIMIT: usize = 512;
/// Time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(15);
/// Pause after the system could not give us a connection (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often it is written down that a device was heard.
const HEARD_EVERY: Duration = Duration::from_secs(60);

/// What an operator sets about associations.
#[derive(Debug, Clone)]
pub struct DimseSettings {
    /// Our AE title.
    pub ae_title: String,
    /// Associations in all.
    pub max_associations: usize,
    /// Associations of one device.
    pub max_associations_per_device: usize,
    /// Private SOP classes that are stored too.
    pub extra_sop_classes: Vec<String>,
    /// What one association may cost.
    pub acceptor: AcceptorConfig,
}

impl Default for DimseSettings {
    fn default() -> Self {
        Self {
            ae_title: "MEDRELAY".to_owned(),
            max_associations: 200,
            max_associations_per_device: 50,
            extra_sop_classes: Vec::new(),
            acceptor: AcceptorConfig::default(),
        }
    }
}

/// What all connections share.
pub(in crate::edge::dimse) struct Shared {
    service: Service,
    ae_title: String,
    extra_sop_classes: Vec<String>,
    acceptor: AcceptorConfig,
    places: Arc<Semaphore>,
    per_device: usize,
    device_places: Mutex<HashMap<DeviceId, Arc<Semaphore>>>,
    half_open: Mutex<VecDeque<(u64, CancellationToken)>>,
    /// When it was last written down that a device was heard: an echo, an object stored.
    heard: Mutex<HashMap<(DeviceId, bool), Instant>>,
    next_id: AtomicU64,
}

impl Shared {
    fn new(service: Service, settings: DimseSettings) -> Self {
        Self {
            service,
            ae_title: settings.ae_title,
            extra_sop_classes: settings.extra_sop_classes,
            acceptor: settings.acceptor,
            places: Arc::new(Semaphore::new(settings.max_associations)),
            per_device: settings.max_associations_per_device,
            device_places: Mutex::default(),
            half_open: Mutex::default(),
            heard: Mutex::default(),
            next_id: AtomicU64::new(0),
        }
    }

    /// Notes that a device was heard: at most once a minute, beside the association, and without
    /// any harm to it.
    fn hear(&self, device: &DeviceId, stored: bool) {
        let now = Instant::now();
        {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.retain(|_, at| now.duration_since(*at) < HEARD_EVERY);
            if heard.contains_key(&(device.clone(), stored)) {
                return;
            }
            heard.insert((device.clone(), stored), now);
        }
        let (service, device) = (self.service.clone(), device.clone());
        tokio::spawn(async move {
            if let Err(error) = service.hear_device(&device, stored).await {
                tracing::debug!(device.id = %device, %error, "a device's visit is not noted");
            }
        });
    }

    /// A place among the device's associations and among all, if both are free.
    fn places_for(&self, device: &Device) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let own = {
            let mut all = self.device_places.lock().unwrap_or_else(PoisonError::into_inner);
            // Devices without an association need no entry.
            all.retain(|_, places| places.available_permits() < self.per_device);
            let fresh = || Arc::new(Semaphore::new(self.per_device));
            let places = all.entry(device.id.clone()).or_insert_with(fresh);
            Arc::clone(places).try_acquire_owned().ok()?
        };
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some((own, place))
    }

    /// Registers a new connection; the oldest one that is not yet admitted gives way if need be.
    fn arrive(&self, stop: &CancellationToken) -> (u64, CancellationToken) {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let token = stop.child_token();
        let mut waiting = self.half_open.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= HALF_OPEN_LIMIT
            && let Some((_, oldest)) = waiting.pop_front()
        {
            oldest.cancel();
        }
        waiting.push_back((id, token.clone()));
        (id, token)
    }

    /// Takes a connection off the list of those not yet admitted.
    fn admitted(&self, id: u64) {
        let mut waiting = self.half_open.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|(other, _)| *other != id);
    }
}

/// The DICOM side of the relay: one for all listeners, so that their limits are shared.
#[derive(Clone)]
pub struct Dimse {
    shared: Arc<Shared>,
}

impl Dimse {
    /// Puts it together.
    pub fn new(service: Service, settings: DimseSettings) -> Self {
        Self { shared: Arc::new(Shared::new(service, settings)) }
    }

    /// Accepts associations until the lifecycle's soft stop; with `tls`, over TLS only.
    pub async fn listen(
        &self,
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        lifecycle: &Lifecycle,
    ) {
        let stop = lifecycle.soft();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, address)) => {
                    let (dimse, tls, stop) = (self.clone(), tls.clone(), stop.clone());
                    // The task tracker waits for it at the end; nobody needs its result.
                    drop(lifecycle.spawn(async move {
                        dimse.connection(stream, address, tls, &stop).await;
                    }));
                }
                Err(error) => {
                    tracing::error!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn connection(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        tls: Option<TlsAcceptor>,
        stop: &CancellationToken,
    ) {
        let (id, token) = self.shared.arrive(stop);
        let provider = Connection { shared: Arc::clone(&self.shared), id };
        let config = &self.shared.acceptor;
        let summary = match (Prompt::new(stream), tls) {
            (Err(error), _) => {
                tracing::debug!(%error, "a connection was gone before it began");
                None
            }
            (Ok(stream), None) => {
                let peer = Peer { address, transport: Transport::Plain };
                Some(serve(stream, &peer, &provider, config, &token).await)
            }
            (Ok(stream), Some(tls)) => {
                self.over_tls(stream, address, &tls, &provider, &token).await
            }
        };
        self.shared.admitted(id);
        if let Some(summary) = summary {
            report(address, &summary);
        }
    }

    async fn over_tls(
        &self,
        stream: Prompt,
        address: SocketAddr,
        tls: &TlsAcceptor,
        provider: &Connection,
        token: &CancellationToken,
    ) -> Option<Summary> {
        let handshake = tokio::select! {
            shaken = tokio::time::timeout(HANDSHAKE, tls.accept(stream)) => shaken,
            () = token.cancelled() => return None,
        };
        match handshake {
            Ok(Ok(stream)) => {
                let shown = stream.get_ref().1.peer_certificates().and_then(|all| all.first());
                let certificate = shown.map(|der| bytes::Bytes::copy_from_slice(der));
                let peer = Peer { address, transport: Transport::Tls { certificate } };
                Some(serve(stream, &peer, provider, &self.shared.acceptor, token).await)
            }
            Ok(Err(error)) => {
                tracing::warn!(net.peer = %address, %error, "a DICOM TLS handshake failed");
                None
            }
            Err(_) => {
                tracing::warn!(net.peer = %address, "a DICOM TLS handshake took too long");
                None
            }
        }
    }
}

fn report(address: SocketAddr, summary: &Summary) {
    metrics::counter!("medrelay_dimse_associations_total").increment(1);
    metrics::counter!("medrelay_dimse_instances_stored_total").increment(summary.stored);
    metrics::counter!("medrelay_dimse_instances_failed_total").increment(summary.failed);
    metrics::counter!("medrelay_dimse_bytes_total").increment(summary.data_set_bytes);
    let (stored, failed, end) = (summary.stored, summary.failed, &summary.end);
    match end {
        End::Released if failed == 0 => {
            tracing::info!(net.peer = %address, stored, bytes = summary.data_set_bytes, "association ended");
        }
        End::Closed if stored == 0 && failed == 0 => {
            tracing::debug!(net.peer = %address, "connection closed before it said anything");
        }
        _ => {
            tracing::warn!(net.peer = %address, stored, failed, %end, "association ended");
        }
    }
}
