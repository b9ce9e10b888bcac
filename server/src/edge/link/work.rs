//! What takes time on a connection: each a task that calls a use case and reports to the driver.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use medrelay_core::time::Timestamp;
use medrelay_core::transfer::{Manifest, StreamHeader, Urgency, limits};
use medrelay_link::{Carrier, Incoming};

use super::Link;
use super::receiving::{self, Expected};
use super::report::{Party, Report, Study};
use crate::service::gateways::Admission;
use crate::service::link::{Identity, LinkPeer};

/// Errands (not streams of instances, which the machine counts) of a connection at once; a gateway
/// that asks for more is not listened to until one is done.
const ERRANDS: usize = 96;
/// Bytes of an attachment that are written at once.
const PIECE_BYTES: usize = 64 << 10;

/// Starts the tasks of a connection.
pub(super) struct Works {
    link: Link,
    carrier: Carrier,
    reports: mpsc::UnboundedSender<Report>,
    errands: Arc<Semaphore>,
}

impl Works {
    pub(super) fn new(
        link: Link,
        carrier: Carrier,
        reports: mpsc::UnboundedSender<Report>,
    ) -> Self {
        Self { link, carrier, reports, errands: Arc::new(Semaphore::new(ERRANDS)) }
    }

    /// The number of reports is that of the tasks, which is bounded.
    fn start(&self, task: impl Future<Output = Option<Report>> + Send + 'static) {
        let reports = self.reports.clone();
        drop(self.link.shared.lifecycle.spawn(async move {
            if let Some(report) = task.await {
                // The connection may be over: what was made durable stays so.
                let _ = reports.send(report);
            }
        }));
    }

    async fn errand(&self, task: impl Future<Output = Option<Report>> + Send + 'static) {
        let turn = Arc::clone(&self.errands).acquire_owned().await;
        self.start(async move {
            let _turn: Result<OwnedSemaphorePermit, _> = turn;
            task.await
        });
    }

    pub(super) async fn prove(&self, certificate: Vec<u8>, signature: Vec<u8>, nonce: [u8; 32]) {
        let service = self.link.service().clone();
        self.errand(async move {
            let admission = match service.admit_gateway(&certificate).await {
                Ok(Admission::Admitted(peer)) => {
                    let proved = service.gateway_proved(&peer, &nonce, &signature);
                    if proved { Admission::Admitted(peer) } else { Admission::Unknown }
                }
                Ok(refused) => refused,
                Err(error) => {
                    tracing::error!(%error, "a gateway could not be looked up");
                    Admission::Unknown
                }
            };
            Some(Report::Proved(admission))
        })
        .await;
    }

    pub(super) async fn register(
        &self,
        party: &Party,
        study: u32,
        manifest: Box<Manifest>,
        raw: Vec<u8>,
        signature: Vec<u8>,
    ) {
        let (service, party) = (self.link.service().clone(), party.clone());
        self.errand(async move {
            let Party { peer, sender } = &party;
            let outcome =
                service.register_manifest(peer, sender, &manifest, &raw, &signature).await;
            Some(Report::Registered { study, manifest, outcome })
        })
        .await;
    }

    /// The machine has counted this stream.
    pub(super) fn receive(
        &self,
        party: &Party,
        (study, index): (u32, u32),
        expected: Expected,
        incoming: Incoming,
    ) {
        let (service, sender) = (self.link.service().clone(), party.sender.clone());
        self.start(async move {
            let end = receiving::receive(&service, &sender, expected, incoming).await;
            Some(Report::Arrived { study, index, end })
        });
    }

    pub(super) async fn commit(&self, party: &Party, number: u32, study: Arc<Study>) {
        let (service, party) = (self.link.service().clone(), party.clone());
        self.errand(async move {
            let Party { peer, sender } = &party;
            let begun = Instant::now();
            let outcome = service.commit_manifest(peer, sender, &study.id, &study.manifest).await;
            metrics::histogram!("medrelay_link_commit_seconds").record(begun.elapsed());
            Some(Report::Committed { study: number, outcome })
        })
        .await;
    }

    pub(super) async fn withdraw(&self, study: Arc<Study>) {
        let service = self.link.service().clone();
        self.errand(async move {
            if let Err(error) = service.withdraw_manifest(&study.id).await {
                tracing::warn!(%error, "a manifest could not be withdrawn");
            }
            None
        })
        .await;
    }

    pub(super) async fn items(&self, party: &Party, since: Timestamp, shown: HashSet<String>) {
        let (service, peer) = (self.link.service().clone(), party.peer.clone());
        self.errand(async move {
            let waiting = service.items_for(&peer, since, &shown).await;
            let waiting = waiting.inspect_err(|error| {
                tracing::warn!(%error, "what waits for a clinic could not be looked up");
            });
            Some(Report::Items(waiting.ok()))
        })
        .await;
    }

    pub(super) async fn attach(&self, party: &Party, item: String, offset: u64) {
        let (service, peer) = (self.link.service().clone(), party.peer.clone());
        let carrier = self.carrier.clone();
        self.errand(async move {
            match service.item_attachment(&peer, &item).await {
                Ok(document) => send(&carrier, item, offset, document).await,
                Err(error) => tracing::warn!(%error, "an attachment could not be opened"),
            }
            None
        })
        .await;
    }

    pub(super) async fn received(&self, party: &Party, item: String) {
        let (service, party) = (self.link.service().clone(), party.clone());
        self.errand(async move {
            let Party { peer, sender } = &party;
            match service.item_received(peer, sender, &item).await {
                Ok(()) => metrics::counter!("medrelay_link_items_received_total").increment(1),
                // It is sent again after the next connection.
                Err(error) => tracing::warn!(%error, "an item's receipt could not be kept"),
            }
            None
        })
        .await;
    }

    pub(super) async fn renew(&self, party: &Party, request: Vec<u8>) {
        let (service, party) = (self.link.service().clone(), party.clone());
        self.errand(async move {
            let (gateway, source) = (party.peer.gateway()?, &party.sender.caller.source);
            match service.renew_certificate(gateway, &request, source).await {
                Ok(chain) => Some(Report::Renewed(chain)),
                // The gateway tries again until its certificate ends, and says so.
                Err(error) => {
                    tracing::warn!(gateway.id = %gateway, %error, "no new certificate was given");
                    None
                }
            }
        })
        .await;
    }

    pub(super) async fn measure(&self, bytes: u32) {
        let carrier = self.carrier.clone();
        self.errand(async move {
            let Ok(mut stream) = carrier.open(&StreamHeader::Measure, Urgency::Routine).await
            else {
                return None;
            };
            let mut left = usize::try_from(bytes).unwrap_or(0);
            let zeros = Bytes::from_static(&[0; 16 << 10]);
            while left > 0 {
                let piece = zeros.slice(..left.min(zeros.len()));
                left -= piece.len();
                stream.write(piece).await.ok()?;
            }
            // The gateway measures; whether all of it came, it sees.
            let _ = stream.finish().await;
            None
        })
        .await;
    }

    pub(super) async fn measured(&self, mut incoming: Incoming) {
        self.errand(async move {
            let (mut bytes, mut begun) = (0u64, None);
            while let Ok(Some(piece)) = incoming.read().await {
                begun.get_or_insert_with(Instant::now);
                bytes += piece.len() as u64;
                if bytes > u64::from(limits::MEASURE_BYTES) {
                    break;
                }
            }
            let micros = begun.map_or(0, |begun| begun.elapsed().as_micros());
            Some(Report::Measured { bytes, micros: u64::try_from(micros).unwrap_or(u64::MAX) })
        })
        .await;
    }

    pub(super) async fn standing(&self, peer: LinkPeer) {
        let service = self.link.service().clone();
        self.errand(async move {
            match service.link_standing(&peer).await {
                Ok(admission) => Some(Report::Standing(admission)),
                // A database that is away for a moment must not throw every clinic out.
                Err(error) => {
                    tracing::warn!(%error, "whether somebody may go on is not known now");
                    None
                }
            }
        })
        .await;
    }

    /// Notes that somebody is here; `busy` says that something has come of them.
    pub(super) async fn note(
        &self,
        peer: LinkPeer,
        source: String,
        carrier: &'static str,
        busy: bool,
    ) {
        let service = self.link.service().clone();
        self.errand(async move {
            let noted = match &peer.identity {
                Identity::Gateway { id, .. } => service.note_gateway(id, &source, carrier).await,
                Identity::Person { session, .. } if busy => service.use_session(session).await,
                Identity::Person { .. } => Ok(()),
            };
            if let Err(error) = noted {
                tracing::debug!(%error, "a visit could not be noted");
            }
            None
        })
        .await;
    }
}

/// Sends a document from `offset` on; one that breaks off is fetched again.
async fn send(carrier: &Carrier, item: String, offset: u64, document: Bytes) {
    let sending = async {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(document.len());
        let mut rest = document.slice(start..);
        let header = StreamHeader::Attachment { item, offset };
        let mut stream = carrier.open(&header, Urgency::Urgent).await?;
        while !rest.is_empty() {
            let piece = rest.split_to(rest.len().min(PIECE_BYTES));
            stream.write(piece).await?;
        }
        stream.finish().await
    };
    if let Err(error) = sending.await {
        tracing::debug!(%error, "an attachment broke off");
    }
}
