//! The relay's own life: start, stop, left-overs.

use std::time::SystemTime;

use medrelay_core::event::Kind;

use super::{About, Caller, Error, Service};

impl Service {
    /// Records that the relay has started.
    pub async fn note_started(&self) -> Result<(), Error> {
        self.note_life(Kind::Started).await
    }

    /// Records that the relay stops in order, and anchors the trail's end.
    pub async fn note_stopped(&self) -> Result<(), Error> {
        self.note_life(Kind::Stopped).await?;
        self.anchor_audit().await?;
        Ok(())
    }

    async fn note_life(&self, kind: Kind) -> Result<(), Error> {
        let details = serde_json::json!({
            "node": self.parts.node, "version": env!("CARGO_PKG_VERSION")
        });
        let about = About { details: Some(details), ..About::default() };
        let mut tx = self.parts.db.write().await?;
        tx.record(vec![self.parts.event(&Caller::system(), kind, about)]).await?;
        Ok(tx.commit().await?)
    }

    /// Removes uploads that an earlier life left unfinished.
    pub async fn sweep_incoming(&self, before: SystemTime) -> Result<u64, Error> {
        Ok(self.parts.blobs.sweep_incoming(before).await?)
    }

    /// Whether database and store answer and take something in.
    pub async fn probe(&self) -> Result<(), Error> {
        self.parts.db.ping().await?;
        Ok(self.parts.blobs.probe().await?)
    }

    /// Lets go of the database after what is under way.
    pub async fn close(&self) {
        self.parts.db.close().await;
    }
}
