//! What a centre says to a clinic about a case: return requests and notices. The gateways of the
//! clinic fetch them; the stage of the case does not change.

use medrelay_core::access::Action;
use medrelay_core::event::Kind;
use medrelay_core::id::{CaseId, MessageId, Phi};
use medrelay_core::message::{MessageKind, ReturnCode, checked_text};

use super::{About, Caller, Error, Service, allow, case_object};
use crate::store::Message;

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

impl Service {
    /// Writes to the clinic of a case.
    pub async fn write_message(
        &self,
        caller: &Caller,
        case: &CaseId,
        new: &NewMessage,
    ) -> Result<Message, Error> {
        let now = self.now();
        let mut tx = self.db().write().await?;
        let case = tx.case(case).await?.ok_or(Error::hidden())?;
        allow(caller, Action::WriteMessage, &case_object(&mut tx, &case, now).await?)?;
        let writer = tx.person(caller.person()?).await?.ok_or(Error::hidden())?;
        let text = checked_text(new.kind, new.code, new.text.reveal())
            .map_err(|fault| Error::invalid("text", fault.to_string()))?;
        if tx.count_messages(&case.id).await? >= MESSAGES {
            return Err(Error::Conflict("there are too many messages about this case: telephone"));
        }
        let message = Message {
            id: MessageId::new(now, &*self.parts.entropy),
            clinic: case.clinic.clone(),
            centre: case.centre.clone(),
            case: case.id.clone(),
            kind: new.kind,
            code: new.code,
            text: Phi::new(text),
            written_by: writer.id,
            written_by_name: writer.name,
            written_at: now,
        };
        tx.insert_message(&message).await?;
        // Never the text: it may name the patient.
        let about = About::case(&case).with(serde_json::json!({
            "message": message.id, "kind": message.kind, "code": message.code,
        }));
        tx.record(vec![self.parts.event(caller, Kind::MessageWritten, about)]).await?;
        tx.commit().await?;
        Ok(message)
    }

    /// The messages about a case, oldest first, for both of its sides.
    pub async fn messages(&self, caller: &Caller, case: &CaseId) -> Result<Vec<Message>, Error> {
        let mut tx = self.db().read().await?;
        let case = tx.case(case).await?.ok_or(Error::hidden())?;
        allow(caller, Action::ReadMessage, &case_object(&mut tx, &case, self.now()).await?)?;
        Ok(tx.messages_of_case(&case.id).await?)
    }
}
