//! The spool as the link sees it.

use std::fs::File;
use std::path::PathBuf;

use bytes::Bytes;
use medrelay_core::transfer::message::Item;
use medrelay_core::transfer::{Outcome, Receipt, RefusalCode};

use super::arrival::blocking;
use super::{Spool, SpoolError};
use crate::link::shelf::{Shelf, ShelfError, Signed, Source, Waiting, is_intact};

impl From<SpoolError> for ShelfError {
    fn from(error: SpoolError) -> Self {
        match error {
            SpoolError::Unknown => Self::Missing,
            SpoolError::Disk(error) => error.into(),
            other => Self::Storage(other.to_string()),
        }
    }
}

impl Shelf for Spool {
    async fn waiting(&self) -> Result<Vec<Waiting>, ShelfError> {
        let offers = self.open_offers().await?;
        let waiting = |offer: super::offers::OpenOffer| Waiting {
            key: offer.key,
            urgency: offer.urgency,
            since: offer.since,
            study: offer.study,
            signed: offer.signed.map(|(raw, signature)| Signed { raw, signature }),
            entries: offer.entries,
        };
        Ok(offers.into_iter().map(waiting).collect())
    }

    async fn sign(&self, key: u64, signed: Signed) -> Result<(), ShelfError> {
        Ok(self.keep_signed(key, &signed.raw, &signed.signature).await?)
    }

    async fn object(&self, key: u64, index: u32) -> Result<Source, ShelfError> {
        let place = self.place(key, index).await?;
        Ok(Source {
            path: place.path,
            data_offset: place.data_offset,
            transfer_syntax: place.transfer_syntax,
        })
    }

    async fn known(&self, _key: u64, _have: u32) -> Result<(), ShelfError> {
        // What the relay has is told entry by entry, too; nothing is counted here.
        Ok(())
    }

    async fn stored(&self, key: u64, entries: Vec<(u32, Outcome)>) -> Result<(), ShelfError> {
        Ok(self.entries_stored(key, &entries).await?)
    }

    async fn refused(
        &self,
        key: u64,
        index: Option<u32>,
        code: RefusalCode,
        detail: String,
    ) -> Result<(), ShelfError> {
        Ok(self.entry_refused(key, index, code, &detail).await?)
    }

    async fn committed(
        &self,
        key: u64,
        receipt: Vec<u8>,
        signature: Vec<u8>,
    ) -> Result<(), ShelfError> {
        let aside = Receipt::decode(&receipt)
            .map(|receipt| receipt.aside.into_iter().map(|(index, _)| index).collect())
            .unwrap_or_else(|_| Vec::new());
        Ok(self.offer_committed(key, &receipt, &signature, &aside).await?)
    }

    async fn attachment(&self, item: &Item) -> Result<u64, ShelfError> {
        Ok(self.attachment_offset(&item.id).await?)
    }

    async fn attach(&self, item: &Item, offset: u64, bytes: Bytes) -> Result<(), ShelfError> {
        Ok(self.append_attachment(&item.id, offset, bytes).await?)
    }

    async fn keep(&self, item: Item) -> Result<(), ShelfError> {
        if let Some(attachment) = item.attachment.clone() {
            let path = self.item_path(&item.id);
            let intact = blocking(move || {
                let intact = is_intact(&attachment, File::open(&path)?)?;
                if !intact {
                    std::fs::remove_file(&path)?;
                }
                Ok(intact)
            })
            .await?;
            if !intact {
                return Err(ShelfError::Damaged);
            }
        }
        Ok(self.keep_item(&item).await?)
    }

    async fn changed(&self) {
        let mut changes = self.changes();
        // A change between this call and the one before must not be missed: the first is at once,
        // and the link asks what waits before it waits again.
        let _ = tokio::time::timeout(LOOK_AGAIN, changes.changed()).await;
    }

    fn scratch(&self) -> PathBuf {
        self.inner.root.join("incoming")
    }
}

/// A change that came between two waits, or from another process, is seen after this at the
/// latest.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(500);
