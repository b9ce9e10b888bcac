//! Papers of an order: visible like the order, written like the order.

use bytes::Bytes;

use medrelay_core::access::{Action, Partner};
use medrelay_core::event::Kind;
use medrelay_core::id::{AttachmentId, OrderId, Phi};
use medrelay_core::time::Span;

use super::ordering::order_object;
use super::{About, Caller, Error, Service, allow};
use crate::blobs::{BlobError, BlobKey, BlobReader};
use crate::store::{Attachment, Order, Tx};

/// The longest paper.
pub const ATTACHMENT_BYTES: usize = 8 << 20;
/// Papers of one order at most.
const ATTACHMENTS: usize = 20;
/// The longest name of a paper, in characters.
const NAME_CHARS: usize = 120;
/// Somebody who looks at the same paper again within this time is one access, not many.
const SAME_ACCESS: Span = Span::from_minutes(10);
/// What a paper may be, and what each kind begins with.
const KINDS: [(&str, &[u8]); 3] = [
    ("application/pdf", b"%PDF-"),
    ("image/jpeg", &[0xFF, 0xD8, 0xFF]),
    ("image/png", &[0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A]),
];

/// A paper as it is added.
#[derive(Debug, Clone)]
pub struct NewAttachment {
    /// Its file name.
    pub name: Phi<String>,
    /// The media type that its sender says.
    pub media_type: String,
    /// What it is.
    pub body: Bytes,
}

impl Service {
    /// Adds a paper to an order: the bytes are durable before anybody sees the row.
    pub async fn add_attachment(
        &self,
        caller: &Caller,
        order: &OrderId,
        new: NewAttachment,
    ) -> Result<Attachment, Error> {
        let mut tx = self.db().read().await?;
        let (order, _) = self.reached_order(&mut tx, caller, Action::WriteOrder, order).await?;
        let by = tx.person(caller.person()?).await?.ok_or(Error::hidden())?;
        drop(tx);
        let name = checked_name(new.name.reveal())?;
        let media_type = checked_kind(&new.media_type, &new.body)?;
        self.check_room().await?;
        let now = self.now();
        let id = AttachmentId::new(now, &*self.parts.entropy);
        let blob = key(&id)?;
        let bytes = i64::try_from(new.body.len()).unwrap_or(i64::MAX);
        let stored = self.parts.blobs.put(&blob, new.body).await?;
        let attachment = Attachment {
            id,
            order: order.id,
            clinic: order.clinic,
            name: Phi::new(name),
            media_type: media_type.to_owned(),
            bytes,
            sha256: stored.sha256,
            added_by: by.id,
            added_by_name: by.name,
            added_at: now,
        };
        let kept = self.keep_attachment(caller, &attachment).await;
        // Where the database does not say whether it was kept, the sweep decides by the rows.
        let refused = matches!(kept, Err(Error::Denied(_) | Error::Conflict(_)));
        if refused && let Err(error) = self.parts.blobs.delete(&blob).await {
            tracing::warn!(%error, "the bytes of a refused paper stay until the next sweep");
        }
        kept.map(|()| attachment)
    }

    async fn keep_attachment(&self, caller: &Caller, new: &Attachment) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        let (_, partner) =
            self.reached_order(&mut tx, caller, Action::WriteOrder, &new.order).await?;
        if tx.attachments_of(&new.order).await?.len() >= ATTACHMENTS {
            return Err(Error::Conflict("the order has as many papers as it may have"));
        }
        tx.insert_attachment(new).await?;
        let about = about(new, &partner, format!("order:{}", new.order));
        tx.record(vec![self.parts.event(caller, Kind::AttachmentAdded, about)]).await?;
        Ok(tx.commit().await?)
    }

    /// The papers of an order, oldest first; that their names were looked at is recorded.
    pub async fn attachments(
        &self,
        caller: &Caller,
        order: &OrderId,
    ) -> Result<Vec<Attachment>, Error> {
        let mut tx = self.db().read().await?;
        let (order, _) = self.reached_order(&mut tx, caller, Action::ReadOrder, order).await?;
        let found = tx.attachments_of(&order.id).await?;
        drop(tx);
        let about = About::of(&order.clinic, format!("order:{}", order.id));
        self.note_look(caller, Kind::StudyRead, about).await?;
        Ok(found)
    }

    /// A paper with its bytes; the look is an event.
    pub async fn open_attachment(
        &self,
        caller: &Caller,
        id: &AttachmentId,
    ) -> Result<(Attachment, BlobReader), Error> {
        let mut tx = self.db().read().await?;
        let found = tx.attachment(id).await?.ok_or(Error::hidden())?;
        let (_, partner) =
            self.reached_order(&mut tx, caller, Action::ReadOrder, &found.order).await?;
        drop(tx);
        let about = about(&found, &partner, format!("attachment:{id}"));
        self.note_look(caller, Kind::AttachmentRead, about).await?;
        let reader = self.parts.blobs.open(&key(id)?).await?;
        Ok((found, reader))
    }

    /// Takes a paper from its order, while no report was signed with it before the reader.
    pub async fn remove_attachment(&self, caller: &Caller, id: &AttachmentId) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        let found = tx.attachment(id).await?.ok_or(Error::hidden())?;
        let (order, partner) =
            self.reached_order(&mut tx, caller, Action::WriteOrder, &found.order).await?;
        if tx.reports_of_order(&order.id).await? > 0 {
            return Err(Error::Conflict("a report was signed: its order keeps its papers"));
        }
        tx.remove_attachment(id, self.now()).await?;
        let about = about(&found, &partner, format!("order:{}", order.id));
        tx.record(vec![self.parts.event(caller, Kind::AttachmentRemoved, about)]).await?;
        tx.commit().await?;
        if let Err(error) = self.parts.blobs.delete(&key(id)?).await {
            tracing::warn!(%error, "the bytes of a removed paper stay until the next sweep");
        }
        Ok(())
    }

    /// An order that the caller may do `action` to, and the centres that have it.
    async fn reached_order(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        action: Action,
        id: &OrderId,
    ) -> Result<(Order, Vec<Partner>), Error> {
        let order = tx.order(id).await?.ok_or(Error::hidden())?;
        let object = order_object(tx, &order, self.now()).await?;
        allow(caller, action, &object)?;
        Ok((order, object.partners))
    }

    /// Records that somebody looked at something, unless they did so a moment ago.
    async fn note_look(&self, caller: &Caller, kind: Kind, about: About<'_>) -> Result<(), Error> {
        let since = self.now() - SAME_ACCESS;
        let mut tx = self.db().read().await?;
        if tx.happened_since(kind, &caller.name(), &about.object, since).await? {
            return Ok(());
        }
        drop(tx);
        let mut tx = self.db().write().await?;
        tx.record(vec![self.parts.event(caller, kind, about)]).await?;
        Ok(tx.commit().await?)
    }
}

/// Never the name: it may be the patient's.
fn about<'a>(paper: &'a Attachment, partners: &'a [Partner], object: String) -> About<'a> {
    let partner = partners.first().map(|partner| &partner.centre);
    let details = serde_json::json!({
        "attachment": paper.id, "order": paper.order, "media_type": paper.media_type,
        "bytes": paper.bytes, "sha256": paper.sha256,
    });
    About { partner, ..About::of(&paper.clinic, object) }.with(details)
}

fn key(id: &AttachmentId) -> Result<BlobKey, Error> {
    BlobKey::parse(id.as_str()).ok_or(Error::Blob(BlobError::NotFound))
}

/// A file name as it is kept: without folders, without what cannot be seen.
fn checked_name(typed: &str) -> Result<String, Error> {
    let name = typed.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    if name.is_empty() || name.chars().count() > NAME_CHARS {
        Err(Error::invalid("name", format!("1 to {NAME_CHARS} characters")))
    } else if name.chars().any(|c| c.is_control() || is_formatting(c)) {
        Err(Error::invalid("name", "no control characters"))
    } else {
        Ok(name.to_owned())
    }
}

/// Marks that turn the direction of text: a name with them reads otherwise than it is.
const fn is_formatting(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// The kind of a paper: one that may be, and that its first bytes are.
fn checked_kind(said: &str, body: &[u8]) -> Result<&'static str, Error> {
    let said = said.split(';').next().unwrap_or_default().trim();
    let kind = KINDS.iter().find(|(kind, _)| kind.eq_ignore_ascii_case(said));
    let (kind, magic) =
        kind.ok_or(Error::invalid("content-type", "application/pdf, image/jpeg or image/png"))?;
    if body.starts_with(magic) {
        Ok(kind)
    } else {
        Err(Error::invalid("body", format!("this is not {kind}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paper_is_what_it_says() {
        assert_eq!(checked_kind("application/pdf", b"%PDF-1.7\n").expect("a PDF"), KINDS[0].0);
        assert_eq!(
            checked_kind("image/JPEG; q=1", &[0xFF, 0xD8, 0xFF, 0xE0]).expect("a JPEG"),
            KINDS[1].0
        );
        for (said, body) in [
            ("image/png", &b"%PDF-1.7"[..]),
            ("text/html", b"<html>"),
            ("", b"%PDF-1.7"),
            ("application/pdf", b""),
            ("image/svg+xml", b"<svg"),
        ] {
            assert!(checked_kind(said, body).is_err(), "{said}");
        }
    }

    #[test]
    fn a_name_has_no_folder_and_nothing_hidden() {
        assert_eq!(checked_name("C:\\scans\\知情同意书.pdf").expect("a name"), "知情同意书.pdf");
        assert_eq!(checked_name("../../etc/passwd").expect("a name"), "passwd");
        for bad in ["", "  ", "a/", "a\nb", "gnp.\u{202E}fdp", &"长".repeat(121)] {
            assert!(checked_name(bad).is_err(), "{bad:?}");
        }
    }
}
