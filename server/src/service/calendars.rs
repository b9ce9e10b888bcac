//! When people of an organization work, and when a case of a centre is due.

use medrelay_core::access::Action;
use medrelay_core::calendar::{Calendar, Written};
use medrelay_core::event::Kind;
use medrelay_core::id::OrganizationId;
use medrelay_core::people::{Priority, TimeLimits};
use medrelay_core::time::Timestamp;

use super::consortium::{must_be_open, standing};
use super::{About, Caller, Error, Service, allow};
use crate::store::{StoreError, Tx};

/// A calendar as it is kept, and the number of its state; 0 while there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCalendar {
    /// What people wrote.
    pub written: Written,
    /// To be sent back with a change.
    pub version: i64,
}

impl Service {
    /// The calendar of an organization that the caller may see. Without hours in its week everything
    /// goes by the clock.
    pub async fn calendar(
        &self,
        caller: &Caller,
        id: &OrganizationId,
    ) -> Result<KeptCalendar, Error> {
        self.organization(caller, id).await?;
        let mut tx = self.db().read().await?;
        Ok(kept(&mut tx, id).await?.unwrap_or_else(|| KeptCalendar {
            written: Written {
                offset_minutes: self.settings().utc_offset_minutes,
                ..Written::default()
            },
            version: 0,
        }))
    }

    /// Writes the calendar of an organization. Cases that are open keep their due times.
    pub async fn set_calendar(
        &self,
        caller: &Caller,
        id: &OrganizationId,
        new: KeptCalendar,
    ) -> Result<KeptCalendar, Error> {
        let mut tx = self.db().write().await?;
        let (organization, object) = standing(&mut tx, id).await?;
        allow(caller, Action::ManageCalendar, &object)?;
        must_be_open(&organization)?;
        Calendar::read(&new.written)
            .map_err(|fault| Error::invalid("calendar", fault.to_string()))?;
        let body = serde_json::to_string(&new.written)
            .map_err(|_| Error::Conflict("the calendar cannot be written"))?;
        tx.save_calendar(id, &body, new.version).await?;
        let details = serde_json::json!({
            "holidays": new.written.holidays.len(), "workdays": new.written.workdays.len(),
        });
        let about = About::of(id, format!("organization:{id}")).with(details);
        tx.record(vec![self.parts.event(caller, Kind::CalendarChanged, about)]).await?;
        tx.commit().await?;
        Ok(KeptCalendar { version: new.version + 1, ..new })
    }
}

async fn kept(tx: &mut Tx, id: &OrganizationId) -> Result<Option<KeptCalendar>, Error> {
    let Some((body, version)) = tx.calendar(id).await? else { return Ok(None) };
    let damaged = StoreError::Inconsistent { table: "calendars", what: "a body does not parse" };
    let written = serde_json::from_str(&body).map_err(|_| damaged)?;
    Ok(Some(KeptCalendar { written, version }))
}

/// When a case is due that was opened at a centre at a moment: what is urgent or routine by the
/// centre's working time, where it has a calendar; STAT by the clock.
pub(super) async fn due(
    tx: &mut Tx,
    centre: &OrganizationId,
    opened: Timestamp,
    limits: &TimeLimits,
    priority: Priority,
) -> Result<Timestamp, Error> {
    let by_clock = opened + limits.span(priority);
    if priority == Priority::Stat {
        return Ok(by_clock);
    }
    let Some(kept) = kept(tx, centre).await? else { return Ok(by_clock) };
    // A calendar that an older program took and this one does not must not keep images out.
    let calendar = Calendar::read(&kept.written).unwrap_or_else(|fault| {
        tracing::error!(organization.id = %centre, %fault, "a calendar is left aside");
        None
    });
    let due = |calendar: Calendar| calendar.add_working(opened, limits.span(priority));
    Ok(calendar.map_or(by_clock, due))
}
