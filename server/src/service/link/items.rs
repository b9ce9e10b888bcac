//! What flows back to a clinic: signed reports as PDF, and what the centre says about a case.

use std::collections::HashSet;

use bytes::Bytes;

use medrelay_core::event::Kind;
use medrelay_core::id::{MessageId, ReportId};
use medrelay_core::time::{Span, Timestamp};
use medrelay_core::transfer::limits;
use medrelay_core::transfer::manifest::sha256;
use medrelay_core::transfer::message::{Attachment, Item, ItemKind};

use super::LinkPeer;
use crate::service::ingest::Sender;
use crate::service::{About, Error, Service};
use crate::store::{Form, ItemsFor, Report, WaitingMessage, WaitingReport};

/// How far back it is looked again for what other servers wrote with an earlier time.
const MARGIN: Span = Span::from_minutes(10);

/// What waits for a gateway, oldest first.
#[derive(Debug, Default)]
pub struct WaitingItems {
    /// What it has not been shown.
    pub items: Vec<Item>,
    /// Where to look from next time.
    pub since: Timestamp,
}

impl Service {
    /// What a gateway has not received, from `since` on; what is in `shown` is left out. A report
    /// that cannot be typeset now is left for the next time.
    pub async fn items_for(
        &self,
        peer: &LinkPeer,
        since: Timestamp,
        shown: &HashSet<String>,
    ) -> Result<WaitingItems, Error> {
        let Some(gateway) = peer.gateway() else { return Ok(WaitingItems::default()) };
        let limit = i64::try_from(limits::ITEMS).unwrap_or(i64::MAX);
        let gateway = gateway.as_str();
        let wanted = ItemsFor { gateway, clinic: &peer.clinic, since, limit };
        let now = self.now();
        let mut tx = self.parts.db.read().await?;
        let reports = tx.waiting_reports(&wanted).await?;
        let messages = tx.waiting_messages(&wanted).await?;
        drop(tx);
        let full = [reports.len(), messages.len()].contains(&limits::ITEMS);
        let mut whole = !full;
        let mut items = Vec::new();
        for waiting in reports {
            if shown.contains(waiting.report.as_str()) {
                continue;
            }
            match self.report_item(waiting).await {
                Ok(item) => items.push(item),
                Err(error) => {
                    whole = false;
                    tracing::error!(%error, "a report cannot be made ready for a gateway");
                }
            }
        }
        let fresh = messages.into_iter().filter_map(|waiting| message_item(waiting, shown));
        items.extend(fresh);
        items.sort_by_key(|item| item.at);
        Ok(WaitingItems { items, since: if whole { since.max(now - MARGIN) } else { since } })
    }

    /// The document that comes with an item.
    pub async fn item_attachment(&self, peer: &LinkPeer, item: &str) -> Result<Bytes, Error> {
        let report = self.report_of_item(peer, item).await?.ok_or(Error::hidden())?;
        self.rendered(&report, Form::Pdf).await
    }

    /// A gateway has made an item durable.
    pub async fn item_received(
        &self,
        peer: &LinkPeer,
        sender: &Sender,
        item: &str,
    ) -> Result<(), Error> {
        let gateway = peer.gateway().ok_or(Error::hidden())?;
        let object = match self.report_of_item(peer, item).await? {
            Some(report) => format!("report:{}", report.id),
            None => {
                let id = MessageId::parse(item).map_err(|_| Error::hidden())?;
                let clinic = self.parts.db.read().await?.clinic_of_message(&id).await?;
                if clinic.as_ref() != Some(&peer.clinic) {
                    return Err(Error::hidden());
                }
                format!("message:{id}")
            }
        };
        let mut tx = self.parts.db.write().await?;
        if tx.item_received(gateway.as_str(), &object, self.now()).await? {
            let about = About::of(&peer.clinic, object);
            let details = serde_json::json!({ "gateway": gateway });
            let event = self.parts.event(&sender.caller, Kind::ItemReceived, about.with(details));
            tx.record(vec![event]).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// The report that an item is, if it is one of the gateway's clinic.
    async fn report_of_item(&self, peer: &LinkPeer, item: &str) -> Result<Option<Report>, Error> {
        let Ok(id) = ReportId::parse(item) else { return Ok(None) };
        let mut tx = self.parts.db.read().await?;
        let Some(report) = tx.report(&id).await? else { return Ok(None) };
        let case = tx.case(&report.case).await?;
        Ok(case.is_some_and(|case| case.clinic == peer.clinic).then_some(report))
    }

    async fn report_item(&self, waiting: WaitingReport) -> Result<Item, Error> {
        let mut tx = self.parts.db.read().await?;
        let report = tx.report(&waiting.report).await?.ok_or(Error::hidden())?;
        drop(tx);
        let pdf = self.rendered(&report, Form::Pdf).await?;
        Ok(Item {
            id: waiting.report.into(),
            kind: ItemKind::Report,
            at: waiting.at,
            study_uid: waiting.study_uid.into(),
            text: format!("{}-{}", waiting.case_number, waiting.number),
            case_number: waiting.case_number,
            code: waiting.kind,
            attachment: Some(Attachment {
                media_type: "application/pdf".to_owned(),
                bytes: pdf.len() as u64,
                sha256: sha256(&pdf),
            }),
        })
    }
}

fn message_item(waiting: WaitingMessage, shown: &HashSet<String>) -> Option<Item> {
    let id = String::from(waiting.message);
    if shown.contains(&id) {
        return None;
    }
    let return_request = waiting.kind == "return_request";
    Some(Item {
        id,
        kind: if return_request { ItemKind::ReturnRequest } else { ItemKind::Notice },
        at: waiting.at,
        study_uid: waiting.study_uid.into(),
        case_number: waiting.case_number,
        code: waiting.code,
        text: waiting.text,
        attachment: None,
    })
}
