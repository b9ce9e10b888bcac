//! The DICOM side of the gateway: modalities send here as they would to a PACS.

use std::sync::Arc;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use medrelay_core::id::AeTitle;
use medrelay_core::transfer::Urgency;
use medrelay_dicom::association::Prompt;
use medrelay_dicom::association::acceptor::{
    AcceptorConfig, End, Peer, Provider, Sink, StoreRequest, Summary, Transport, serve,
};
use medrelay_dicom::command::{Priority, Reply, Status};
use medrelay_dicom::pdu::{AssociateRequest, Rejection};
use medrelay_dicom::uids;

use super::config::Config;
use crate::spool::{Arrival, Spool, SpoolError, Taken};

/// Associations at once: a clinic has a handful of modalities.
const ASSOCIATIONS: usize = 32;

/// Takes what modalities send until `stop`; an object under way is finished and answered.
pub async fn listen(
    listener: TcpListener,
    spool: Spool,
    config: Arc<Config>,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(ASSOCIATIONS));
    let open = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let Ok((stream, address)) = accepted else {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!("a modality was turned away: too many associations are open");
            continue;
        };
        let door = Door { spool: spool.clone(), config: Arc::clone(&config) };
        let stop = stop.clone();
        open.spawn(async move {
            association(stream, address, &door, &stop).await;
            drop(place);
        });
    }
    open.close();
    open.wait().await;
}

async fn association(
    stream: TcpStream,
    address: std::net::SocketAddr,
    door: &Door,
    stop: &CancellationToken,
) {
    let Ok(stream) = Prompt::new(stream) else { return };
    let peer = Peer { address, transport: Transport::Plain };
    let summary = serve(stream, &peer, door, &AcceptorConfig::default(), stop).await;
    report(address, &summary);
}

fn report(address: std::net::SocketAddr, summary: &Summary) {
    let (stored, failed) = (summary.stored, summary.failed);
    match &summary.end {
        End::Released if failed == 0 => {
            tracing::info!(net.peer = %address, stored, echoes = summary.echoes, "association ended");
        }
        End::Closed if stored == 0 && failed == 0 => {}
        end => tracing::warn!(net.peer = %address, stored, failed, %end, "association ended"),
    }
}

struct Door {
    spool: Spool,
    config: Arc<Config>,
}

/// An admitted modality.
struct Modality {
    ae_title: AeTitle,
    urgency: Urgency,
}

impl Provider for Door {
    type Caller = Modality;
    type Sink = Object;

    async fn admit(&self, request: &AssociateRequest, _: &Peer) -> Result<Modality, Rejection> {
        if request.called_ae_title != self.config.ae_title {
            tracing::warn!(
                "a modality was refused: it calls another AE title than {}",
                self.config.ae_title
            );
            return Err(Rejection::CALLED_AE_TITLE);
        }
        let ae_title =
            AeTitle::parse(&request.calling_ae_title).map_err(|_| Rejection::CALLING_AE_TITLE)?;
        if !self.config.admits(ae_title.as_str()) {
            tracing::warn!(
                dimse.calling = %ae_title,
                "a modality was refused: it is not listed, and known_only is set"
            );
            return Err(Rejection::CALLING_AE_TITLE);
        }
        let urgency = self.config.urgency_of(ae_title.as_str());
        Ok(Modality { ae_title, urgency })
    }

    /// Private SOP classes are stored as they come: the relay decides what it shows.
    fn stores_private(&self, _: &Modality, sop_class: &str) -> bool {
        uids::sop_class_name(sop_class).is_none()
    }

    async fn begin(&self, caller: &Modality, object: &StoreRequest) -> Result<Object, Reply> {
        // Priority (0000,0700) HIGH is how a console says that somebody waits.
        let asked =
            if object.priority == Priority::High { Urgency::Urgent } else { Urgency::Routine };
        let arrival = self
            .spool
            .receive(
                Some(object.sop_class.clone()),
                Some(object.sop_instance.clone()),
                object.transfer_syntax.clone(),
                Some(caller.ae_title.clone()),
                asked.min(caller.urgency),
            )
            .await;
        match arrival {
            Ok(arrival) => Ok(Object { spool: self.spool.clone(), arrival }),
            Err(error) => Err(self.refuse(error).await),
        }
    }
}

impl Door {
    async fn refuse(&self, error: SpoolError) -> Reply {
        refusal(&self.spool, error).await
    }
}

/// An object on its way in.
struct Object {
    spool: Spool,
    arrival: Arrival,
}

impl Sink for Object {
    async fn write(&mut self, chunk: Bytes) -> Result<(), Reply> {
        match self.arrival.write(chunk).await {
            Ok(()) => Ok(()),
            Err(error) => Err(refusal(&self.spool, error).await),
        }
    }

    async fn finish(self) -> Reply {
        match self.arrival.finish().await {
            Ok(Taken::Fresh { .. } | Taken::Same { .. }) => Status::SUCCESS.into(),
            Ok(Taken::Flagged { study, flag }) => {
                // It is safe here, and that is what the modality asks.
                let noted = self.spool.note_problem(flag.as_str(), Some(study), "").await;
                if let Err(error) = noted {
                    tracing::error!(%error, "a problem could not be noted");
                }
                Status::SUCCESS.into()
            }
            Err(error) => refusal(&self.spool, error).await,
        }
    }

    async fn abandon(self) {
        drop(self.arrival);
    }
}

/// The C-STORE status of an error (PS3.4 B.2.3), which people are shown too.
async fn refusal(spool: &Spool, error: SpoolError) -> Reply {
    let (status, code) = match &error {
        SpoolError::Full => (Status::OUT_OF_RESOURCES, "spool_full"),
        SpoolError::Unreadable(_) => (Status::CANNOT_UNDERSTAND, "unreadable"),
        SpoolError::Disk(_) | SpoolError::Database(_) => (Status::OUT_OF_RESOURCES, "disk"),
        SpoolError::Unknown => (Status::PROCESSING_FAILURE, "disk"),
    };
    tracing::warn!(%error, "an object was refused");
    if let Err(error) = spool.note_problem(code, None, &error.to_string()).await {
        tracing::error!(%error, "a problem could not be noted");
    }
    Reply::new(status, error.to_string())
}
