//! What was put aside at the door: looking at it, and a person's decision.

use medrelay_core::access::{self, Action, Object};
use medrelay_core::event::Kind;
use medrelay_core::id::{InstanceId, OrganizationId, Phi};
use medrelay_core::time::Timestamp;

use super::{About, Caller, Error, Service, allow, owned_by};
use crate::store::{Quarantined, Settlement, Tx};

/// The longest reason, in characters.
const REASON_CHARS: usize = 500;

impl Service {
    /// What was put aside at the door, newest first: settled or not, or only the one of both.
    pub async fn quarantine(
        &self,
        caller: &Caller,
        settled: Option<bool>,
        after: Option<&InstanceId>,
        limit: i64,
    ) -> Result<Vec<Quarantined>, Error> {
        let scope = access::scope(&caller.actor, Action::ReadQuarantine);
        let mut tx = self.db().read().await?;
        Ok(tx.quarantined(&scope, settled, after, self.now(), limit).await?)
    }

    /// Writes down what a person decided about an object that was put aside. Its bytes stay.
    pub async fn settle_quarantine(
        &self,
        caller: &Caller,
        id: &InstanceId,
        reason: &Phi<String>,
    ) -> Result<Quarantined, Error> {
        let now = self.now();
        let mut tx = self.db().write().await?;
        let mut found = tx.quarantined_one(id).await?.ok_or(Error::hidden())?;
        let object = standing(&mut tx, &found.clinic, now).await?;
        allow(caller, Action::SettleQuarantine, &object)?;
        let by = tx.person(caller.person()?).await?.ok_or(Error::hidden())?;
        let reason = reason.reveal().trim();
        if reason.is_empty() || reason.chars().count() > REASON_CHARS {
            return Err(Error::invalid("reason", format!("1 to {REASON_CHARS} characters")));
        }
        if found.settled.is_some() {
            return Err(Error::Conflict("somebody has decided about it already"));
        }
        let reason = Phi::new(reason.to_owned());
        let settlement = Settlement { at: now, by: by.id, by_name: by.name, reason };
        tx.settle_quarantined(id, &settlement).await?;
        // Never the reason: it may name the patient.
        let details = serde_json::json!({ "study_uid": found.study_uid });
        let partner = object.partners.first().map(|partner| &partner.centre);
        let about = About { partner, ..About::of(&found.clinic, format!("quarantine:{id}")) };
        let event = self.parts.event(caller, Kind::QuarantineSettled, about.with(details));
        tx.record(vec![event]).await?;
        tx.commit().await?;
        found.settled = Some(settlement);
        Ok(found)
    }
}

/// The standing of what a clinic sent toward the centres of its agreements, whatever they cover.
async fn standing(tx: &mut Tx, clinic: &OrganizationId, now: Timestamp) -> Result<Object, Error> {
    let mut object = owned_by(tx, clinic).await?;
    for agreement in tx.agreements_of_clinic(clinic).await? {
        object.partners.push(super::agreements::partner(&agreement, now));
    }
    Ok(object)
}
