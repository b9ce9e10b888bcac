//! The clinic's PACS: a storage provider that keeps what it is given, and can be unwell.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use medrelay_dicom::association::acceptor::{
    AcceptorConfig, Peer, Provider, Sink, StoreRequest, Transport, serve,
};
use medrelay_dicom::association::prepare;
use medrelay_dicom::command::{Reply, Status};
use medrelay_dicom::part10::FileMeta;
use medrelay_dicom::pdu::{AssociateRequest, Rejection};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Basic Text SR Storage.
pub const BASIC_TEXT_SR: &str = "1.2.840.10008.5.1.4.1.1.88.11";
/// Encapsulated PDF Storage.
pub const ENCAPSULATED_PDF: &str = "1.2.840.10008.5.1.4.1.1.104.1";

/// How the PACS behaves until told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    /// Takes everything.
    #[default]
    Well,
    /// Answers every object with this status.
    Answers(Status),
    /// Rejects every association.
    Rejects(Rejection),
    /// Takes the bytes and never answers.
    Hangs,
}

/// An object that the PACS was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// SOP Class UID.
    pub sop_class: String,
    /// SOP Instance UID.
    pub sop_instance: String,
    /// Title of the sender.
    pub from: String,
    meta: FileMeta,
    /// The data set as sent.
    pub data_set: Bytes,
}

impl Received {
    /// Writes the object as a DICOM file into `folder`.
    pub fn write_to(&self, folder: &Path) -> Result<PathBuf> {
        let path = folder.join(format!("{}.dcm", self.sop_instance));
        let mut bytes = self.meta.to_bytes();
        bytes.extend_from_slice(&self.data_set);
        std::fs::write(&path, bytes)?;
        Ok(path)
    }
}

#[derive(Debug, Default)]
struct State {
    mood: Mood,
    received: Vec<Received>,
    associations: usize,
}

/// A PACS that listens on a loopback port until it is dropped.
pub struct ClinicPacs {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its title.
    pub ae_title: String,
    shelf: Shelf,
    stop: CancellationToken,
}

impl ClinicPacs {
    /// Starts a PACS that is well.
    pub async fn start(ae_title: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shelf = Shelf { ae_title: ae_title.to_owned(), state: Arc::default() };
        let stop = CancellationToken::new();
        tokio::spawn(listen(listener, shelf.clone(), stop.clone()));
        Ok(Self { address, ae_title: ae_title.to_owned(), shelf, stop })
    }

    /// Changes its behaviour from the next association or object on.
    pub fn set(&self, mood: Mood) {
        self.shelf.lock().mood = mood;
    }

    /// What it has taken, oldest first.
    pub fn received(&self) -> Vec<Received> {
        self.shelf.lock().received.clone()
    }

    /// How many associations were asked for.
    pub fn associations(&self) -> usize {
        self.shelf.lock().associations
    }

    /// The newest object of a SOP class.
    pub fn newest(&self, sop_class: &str) -> Result<Received> {
        let received = self.received();
        let found = received.into_iter().rev().find(|object| object.sop_class == sop_class);
        found.with_context(|| format!("the PACS has no object of class {sop_class}"))
    }
}

impl Drop for ClinicPacs {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn listen(listener: TcpListener, shelf: Shelf, stop: CancellationToken) {
    let config = Arc::new(AcceptorConfig::default());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let Ok((stream, address)) = accepted else { return };
        let (shelf, config, stop) = (shelf.clone(), Arc::clone(&config), stop.clone());
        tokio::spawn(async move {
            if prepare(&stream).is_ok() {
                let peer = Peer { address, transport: Transport::Plain };
                serve(stream, &peer, &shelf, &config, &stop).await;
            }
        });
    }
}

#[derive(Clone)]
struct Shelf {
    ae_title: String,
    state: Arc<Mutex<State>>,
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Provider for Shelf {
    type Caller = String;
    type Sink = Place;

    async fn admit(&self, request: &AssociateRequest, _: &Peer) -> Result<String, Rejection> {
        let mut state = self.lock();
        state.associations += 1;
        match state.mood {
            Mood::Rejects(rejection) => Err(rejection),
            _ if request.called_ae_title != self.ae_title => Err(Rejection::CALLED_AE_TITLE),
            _ => Ok(request.calling_ae_title.clone()),
        }
    }

    async fn begin(&self, caller: &String, object: &StoreRequest) -> Result<Place, Reply> {
        let meta = FileMeta {
            sop_class: object.sop_class.clone(),
            sop_instance: object.sop_instance.clone(),
            transfer_syntax: object.transfer_syntax.clone(),
            source: None,
        };
        Ok(Place { shelf: self.clone(), from: caller.clone(), meta, data: BytesMut::new() })
    }
}

struct Place {
    shelf: Shelf,
    from: String,
    meta: FileMeta,
    data: BytesMut,
}

impl Sink for Place {
    async fn write(&mut self, chunk: Bytes) -> Result<(), Reply> {
        self.data.extend_from_slice(&chunk);
        Ok(())
    }

    async fn finish(self) -> Reply {
        let mood = self.shelf.lock().mood;
        match mood {
            Mood::Well | Mood::Rejects(_) => {}
            Mood::Answers(status) => return status.into(),
            Mood::Hangs => std::future::pending().await,
        }
        let received = Received {
            sop_class: self.meta.sop_class.to_string(),
            sop_instance: self.meta.sop_instance.to_string(),
            from: self.from,
            meta: self.meta,
            data_set: self.data.freeze(),
        };
        self.shelf.lock().received.push(received);
        Status::SUCCESS.into()
    }

    async fn abandon(self) {}
}
