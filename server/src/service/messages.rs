//! What is said about a case: return requests and notices from the centre, which the gateways of
//! the clinic fetch, and what people of both sides discuss, which they do not. The stage of the
//! case does not change by words alone.

use medrelay_core::access::{self, Action};
use medrelay_core::case::Case;
use medrelay_core::event::Kind;
use medrelay_core::id::{CaseId, MessageId, OrganizationId, Phi};
use medrelay_core::message::{MessageKind, ReturnCode, checked_text};
use medrelay_core::time::Timestamp;

use super::{About, Caller, Error, Service, allow, case_object};
use crate::store::{Message, MessageFilter, NewEvent, Tx};

/// Messages about one case at most: beyond it people talk past each other.
const MESSAGES: i64 = 200;

/// A message as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// What kind it is.
    pub kind: MessageKind,
    /// What is the matter, where something is asked for.
    pub code: Option<ReturnCode>,
    /// What it says.
    pub text: Phi<String>,
}

/// A message of one side, whose writer may write it.
pub(super) struct Said {
    pub(super) organization: OrganizationId,
    pub(super) kind: MessageKind,
    pub(super) code: Option<ReturnCode>,
    pub(super) text: Phi<String>,
}

impl Service {
    /// Writes about a case: the centre to its clinic, or either side to the other.
    pub async fn write_message(
        &self,
        caller: &Caller,
        case: &CaseId,
        new: &NewMessage,
    ) -> Result<Message, Error> {
        let now = self.now();
        let mut tx = self.db().write().await?;
        let case = tx.case(case).await?.ok_or(Error::hidden())?;
        let object = case_object(&mut tx, &case, now).await?;
        let by_centre = allow(caller, Action::WriteMessage, &object);
        let organization = match (new.kind, by_centre) {
            (_, Ok(())) => case.centre.clone(),
            (MessageKind::Discussion, Err(_)) => {
                // Whoever may read what is said, and is not of the centre, is of the clinic.
                allow(caller, Action::ReadMessage, &object)?;
                case.clinic.clone()
            }
            (MessageKind::ReturnRequest | MessageKind::Notice, Err(denied)) => return Err(denied),
        };
        let said = Said { organization, kind: new.kind, code: new.code, text: new.text.clone() };
        let (message, event) = self.say(&mut tx, caller, &case, said, now).await?;
        tx.record(vec![event]).await?;
        tx.commit().await?;
        Ok(message)
    }

    /// Adds a message to the transaction; the caller records its event.
    pub(super) async fn say(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        case: &Case,
        said: Said,
        now: Timestamp,
    ) -> Result<(Message, NewEvent), Error> {
        let writer = tx.person(caller.person()?).await?.ok_or(Error::hidden())?;
        let text = checked_text(said.kind, said.code, said.text.reveal())
            .map_err(|fault| Error::invalid("text", fault.to_string()))?;
        if tx.count_messages(&case.id).await? >= MESSAGES {
            return Err(Error::Conflict("there are too many messages about this case: telephone"));
        }
        let organization = tx.organization(&said.organization).await?;
        let study = tx.study(&case.study).await?.ok_or(Error::hidden())?;
        let message = Message {
            id: MessageId::new(now, &*self.parts.entropy),
            clinic: case.clinic.clone(),
            centre: case.centre.clone(),
            case: case.id.clone(),
            organization: said.organization,
            organization_name: organization.map(|it| it.name).unwrap_or_default(),
            kind: said.kind,
            code: said.code,
            text: Phi::new(text),
            written_by: writer.id,
            written_by_name: writer.name,
            written_at: now,
            case_number: tx.case_number(&case.id).await?,
            patient_name: study.patient_name,
            unread: false,
        };
        tx.insert_message(&message).await?;
        // Never the text: it may name the patient.
        let about = About::case(case).with(serde_json::json!({
            "message": message.id, "kind": message.kind, "code": message.code,
            "organization": message.organization,
        }));
        let event = self.parts.event(caller, Kind::MessageWritten, about);
        Ok((message, event))
    }

    /// The messages about a case, oldest first, for both of its sides. From now on the caller has
    /// seen them.
    pub async fn messages(&self, caller: &Caller, case: &CaseId) -> Result<Vec<Message>, Error> {
        let person = caller.person()?;
        let now = self.now();
        let mut tx = self.db().read().await?;
        let case = tx.case(case).await?.ok_or(Error::hidden())?;
        allow(caller, Action::ReadMessage, &case_object(&mut tx, &case, now).await?)?;
        let messages = tx.messages_of_case(&case.id, person).await?;
        drop(tx);
        if let Some(last) = messages.iter().rfind(|message| message.unread) {
            let mut tx = self.db().write().await?;
            tx.see_messages(person, &case.id, last.written_at).await?;
            tx.commit().await?;
        }
        Ok(messages)
    }

    /// Everything that is said about the cases that the caller may see, newest first.
    pub async fn all_messages(
        &self,
        caller: &Caller,
        filter: &MessageFilter,
        after: Option<&MessageId>,
        limit: i64,
    ) -> Result<Vec<Message>, Error> {
        let person = caller.person()?;
        let scope = access::scope(&caller.actor, Action::ReadMessage);
        let mut tx = self.db().read().await?;
        Ok(tx.messages(&scope, person, filter, after, self.now(), limit).await?)
    }
}
