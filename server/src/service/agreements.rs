//! Agreements between clinics and centres, and where their reports go.
//!
//! An agreement binds two sides, so an administrator must reach both to make or change one. What
//! was agreed for cases under way stays: an agreement ends, it is never removed.

use medrelay_core::access::{Action, Denial, Object, Partner, Standing};
use medrelay_core::delivery::Route;
use medrelay_core::event::Kind;
use medrelay_core::id::{AgreementId, DestinationId, OrganizationId};
use medrelay_core::people::{Agreement, SigningPolicy, TimeLimits};
use medrelay_core::time::{Span, Timestamp};

use super::consortium::{listing, must_be_open, standing};
use super::{About, Caller, DicomAddress, Error, Service, allow, input, owned_by};
use crate::store::{AgreementRecord, Destination, Tx};

/// How many destinations one agreement has at most.
const DESTINATIONS: usize = 16;
/// What the inbox that comes with every agreement is called.
const INBOX: &str = "Inbox";

/// A new agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAgreement {
    /// The inviting side.
    pub clinic: OrganizationId,
    /// The invited side.
    pub centre: OrganizationId,
    /// Modalities; empty means every one.
    pub modalities: Vec<String>,
    /// How soon reports are due.
    pub limits: TimeLimits,
    /// How many people sign.
    pub policy: SigningPolicy,
    /// Share of the readers' time, 1 to 100.
    pub weight: i64,
    /// From when; at once if absent.
    pub valid_from: Option<Timestamp>,
    /// Until when; open-ended if absent.
    pub valid_to: Option<Timestamp>,
}

/// What an agreement is to become.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgreementChange {
    /// The version that the change was decided on.
    pub version: i64,
    /// Other modalities.
    pub modalities: Option<Vec<String>>,
    /// Other time limits, for cases opened from now on.
    pub limits: Option<TimeLimits>,
    /// Another policy, for cases opened from now on.
    pub policy: Option<SigningPolicy>,
    /// Another weight.
    pub weight: Option<i64>,
    /// Another end, not in the past; `Some(None)` is open-ended.
    pub valid_to: Option<Option<Timestamp>>,
    /// End it now.
    pub end: bool,
}

/// A new destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDestination {
    /// By which way.
    pub route: Route,
    /// What people call it.
    pub name: String,
    /// Where, for [`Route::Dicom`].
    pub address: Option<DicomAddress>,
}

impl Service {
    /// Makes an agreement, with the clinic's inbox as its first destination.
    pub async fn create_agreement(
        &self,
        caller: &Caller,
        new: NewAgreement,
    ) -> Result<AgreementRecord, Error> {
        let now = self.now();
        let agreement = Agreement {
            id: AgreementId::new(now, &*self.parts.entropy),
            clinic: new.clinic,
            centre: new.centre,
            modalities: input::modalities(&new.modalities)?,
            limits: new.limits,
            policy: new.policy,
            weight: new.weight,
            valid_from: new.valid_from.unwrap_or(now),
            valid_to: new.valid_to,
        };
        if agreement.clinic == agreement.centre {
            return Err(Error::invalid("centre", "must be another organization than the clinic"));
        }
        agreement.validate()?;
        let mut tx = self.db().write().await?;
        for side in [&agreement.clinic, &agreement.centre] {
            let (organization, object) = standing(&mut tx, side).await?;
            allow(caller, Action::ManageAgreement, &object)?;
            must_be_open(&organization)?;
        }
        refuse_twin(&mut tx, &agreement, now).await?;
        tx.insert_agreement(&agreement, now).await?;
        let inbox = Destination {
            id: DestinationId::new(now, &*self.parts.entropy),
            agreement: agreement.id.clone(),
            route: Route::Inbox,
            name: INBOX.to_owned(),
            settings: "{}".to_owned(),
            removed_at: None,
            created_at: now,
        };
        tx.insert_destination(&inbox).await?;
        self.finish_agreement(tx, caller, &agreement, serde_json::json!({ "made": true })).await
    }

    /// Agreements that the caller may see, in the order of their making.
    pub async fn agreements(
        &self,
        caller: &Caller,
        after: Option<&AgreementId>,
        limit: i64,
    ) -> Result<Vec<AgreementRecord>, Error> {
        let reading = listing(caller, Action::ReadAgreement)?;
        let managing = listing(caller, Action::ManageAgreement).ok().flatten().unwrap_or_default();
        let scopes = reading.as_ref().map(|reading| (reading, &managing));
        Ok(self.db().read().await?.agreements(scopes, self.now(), after, limit).await?)
    }

    /// One agreement.
    pub async fn agreement(
        &self,
        caller: &Caller,
        id: &AgreementId,
    ) -> Result<AgreementRecord, Error> {
        let mut tx = self.db().read().await?;
        let record = tx.agreement_record(id).await?.ok_or(Error::hidden())?;
        may_read(&mut tx, caller, &record.agreement, self.now()).await?;
        Ok(record)
    }

    /// Changes or ends an agreement that is not over.
    pub async fn change_agreement(
        &self,
        caller: &Caller,
        id: &AgreementId,
        change: AgreementChange,
    ) -> Result<AgreementRecord, Error> {
        let now = self.now();
        let mut tx = self.db().write().await?;
        let found = tx.agreement(id).await?.ok_or(Error::hidden())?;
        may_manage(&mut tx, caller, &found, now).await?;
        tx.hold_organization(&found.clinic).await?;
        let record = tx.agreement_record(id).await?.ok_or(Error::hidden())?;
        if record.version != change.version {
            return Err(Error::VersionConflict);
        }
        if is_over(&record.agreement, now) {
            return Err(Error::Conflict("the agreement is over: make a new one"));
        }
        let changed = applied(record.agreement, &change, now)?;
        changed.validate()?;
        if !is_over(&changed, now) {
            refuse_twin(&mut tx, &changed, now).await?;
        }
        tx.save_agreement(&changed, change.version).await?;
        let details = serde_json::json!({
            "policy": changed.policy.as_str(), "weight": changed.weight,
            "limits": changed.limits, "valid_to": changed.valid_to
        });
        self.finish_agreement(tx, caller, &changed, details).await
    }

    /// The destinations of an agreement, oldest first.
    pub async fn destinations(
        &self,
        caller: &Caller,
        id: &AgreementId,
    ) -> Result<Vec<Destination>, Error> {
        let mut tx = self.db().read().await?;
        let agreement = tx.agreement(id).await?.ok_or(Error::hidden())?;
        may_read(&mut tx, caller, &agreement, self.now()).await?;
        Ok(tx.destinations_of_agreement(id).await?)
    }

    /// Adds a place that reports signed from now on go to.
    pub async fn add_destination(
        &self,
        caller: &Caller,
        id: &AgreementId,
        new: NewDestination,
    ) -> Result<Destination, Error> {
        let now = self.now();
        let settings = settings_of(&new)?;
        let mut tx = self.db().write().await?;
        let agreement = tx.agreement(id).await?.ok_or(Error::hidden())?;
        may_manage(&mut tx, caller, &agreement, now).await?;
        let name = input::name("name", &new.name)?;
        tx.hold_organization(&agreement.clinic).await?;
        let present = tx.destinations_of_agreement(id).await?;
        if present.len() >= DESTINATIONS {
            return Err(Error::Conflict("an agreement has at most 16 destinations"));
        }
        if present.iter().any(|other| other.route == new.route && other.settings == settings) {
            return Err(Error::Taken("the destination"));
        }
        let destination = Destination {
            id: DestinationId::new(now, &*self.parts.entropy),
            agreement: id.clone(),
            route: new.route,
            name,
            settings,
            removed_at: None,
            created_at: now,
        };
        tx.insert_destination(&destination).await?;
        let details = serde_json::json!({
            "destination": destination.id, "route": destination.route.as_str(), "made": true
        });
        self.finish_agreement(tx, caller, &agreement, details).await?;
        Ok(destination)
    }

    /// Removes a destination, but not the last one; deliveries under way still go there.
    pub async fn remove_destination(
        &self,
        caller: &Caller,
        id: &DestinationId,
    ) -> Result<(), Error> {
        let now = self.now();
        let mut tx = self.db().write().await?;
        let destination = tx
            .destination(id)
            .await?
            .filter(|destination| destination.removed_at.is_none())
            .ok_or(Error::hidden())?;
        let agreement = tx.agreement(&destination.agreement).await?.ok_or(Error::hidden())?;
        may_manage(&mut tx, caller, &agreement, now).await?;
        tx.hold_organization(&agreement.clinic).await?;
        if tx.destinations_of_agreement(&agreement.id).await?.len() <= 1 {
            return Err(Error::Conflict("an agreement needs at least one destination"));
        }
        tx.remove_destination(id, now).await?;
        let details = serde_json::json!({ "destination": id, "removed": true });
        self.finish_agreement(tx, caller, &agreement, details).await?;
        Ok(())
    }

    async fn finish_agreement(
        &self,
        mut tx: Tx,
        caller: &Caller,
        agreement: &Agreement,
        details: serde_json::Value,
    ) -> Result<AgreementRecord, Error> {
        let record = tx.agreement_record(&agreement.id).await?.ok_or(Error::hidden())?;
        let about = About {
            partner: Some(&agreement.centre),
            ..About::of(&agreement.clinic, format!("agreement:{}", agreement.id))
        }
        .with(details);
        tx.record(vec![self.parts.event(caller, Kind::AgreementChanged, about)]).await?;
        tx.commit().await?;
        Ok(record)
    }
}

/// Whether an agreement will never be in force again.
pub(super) fn is_over(agreement: &Agreement, now: Timestamp) -> bool {
    agreement.valid_to.is_some_and(|end| end <= now)
}

/// The centre of an agreement as it stands toward the clinic's objects.
pub(super) fn partner(agreement: &Agreement, now: Timestamp) -> Partner {
    let standing = if agreement.is_active(now) { Standing::Active } else { Standing::Expired };
    Partner { centre: agreement.centre.clone(), standing }
}

/// What the agreement is after a change that is decided at `now`.
fn applied(
    mut agreement: Agreement,
    change: &AgreementChange,
    now: Timestamp,
) -> Result<Agreement, Error> {
    if let Some(modalities) = &change.modalities {
        agreement.modalities = input::modalities(modalities)?;
    }
    agreement.limits = change.limits.unwrap_or(agreement.limits);
    agreement.policy = change.policy.unwrap_or(agreement.policy);
    agreement.weight = change.weight.unwrap_or(agreement.weight);
    match change.valid_to {
        Some(Some(end)) if end < now => {
            return Err(Error::invalid(
                "valid_to",
                "must not lie in the past; use `end` to end it",
            ));
        }
        Some(end) => agreement.valid_to = end,
        None => {}
    }
    if change.end {
        // One that has not begun yet keeps the shortest period there is.
        agreement.valid_to = Some(now.max(agreement.valid_from + Span::from_micros(1)));
    }
    Ok(agreement)
}

/// Whether some study at some time could come under both.
fn overlap(a: &Agreement, b: &Agreement) -> bool {
    let before = |end: Option<Timestamp>, begin: Timestamp| end.is_some_and(|end| end <= begin);
    let modality = a.modalities.is_empty()
        || b.modalities.is_empty()
        || a.modalities.iter().any(|modality| b.modalities.contains(modality));
    a.clinic == b.clinic
        && a.centre == b.centre
        && modality
        && !before(a.valid_to, b.valid_from)
        && !before(b.valid_to, a.valid_from)
}

/// Refuses an agreement that overlaps another one of the same two sides.
async fn refuse_twin(tx: &mut Tx, agreement: &Agreement, now: Timestamp) -> Result<(), Error> {
    tx.hold_organization(&agreement.clinic).await?;
    let others = tx.agreements_of_clinic(&agreement.clinic).await?;
    let is_twin = |other: &Agreement| {
        other.id != agreement.id && !is_over(other, now) && overlap(agreement, other)
    };
    if others.iter().any(is_twin) {
        return Err(Error::Conflict(
            "another agreement of the two covers the same modality at the same time",
        ));
    }
    Ok(())
}

fn settings_of(new: &NewDestination) -> Result<String, Error> {
    match (new.route, &new.address) {
        (Route::Inbox, None) => Ok("{}".to_owned()),
        (Route::Inbox, Some(_)) => Err(Error::invalid("address", "the inbox has none")),
        (Route::Dicom, None) => {
            Err(Error::invalid("address", "name the AE title, host and port of the node"))
        }
        (Route::Dicom, Some(address)) => {
            // Texts and numbers only: this cannot fail to serialize.
            Ok(serde_json::to_string(&input::dicom_address(address)?).unwrap_or_default())
        }
    }
}

/// The clinic's side of an agreement with the centre as its partner, and the centre's own side.
async fn sides(
    tx: &mut Tx,
    agreement: &Agreement,
    now: Timestamp,
) -> Result<(Object, Object), Error> {
    let mut clinic = owned_by(tx, &agreement.clinic).await?;
    clinic.partners.push(partner(agreement, now));
    Ok((clinic, owned_by(tx, &agreement.centre).await?))
}

/// The clinic's people, the centre's coordinators while it is in force, and whoever administers
/// either side may see an agreement.
async fn may_read(
    tx: &mut Tx,
    caller: &Caller,
    agreement: &Agreement,
    now: Timestamp,
) -> Result<(), Error> {
    let (clinic, centre) = sides(tx, agreement, now).await?;
    match allow(caller, Action::ReadAgreement, &clinic) {
        Ok(()) => Ok(()),
        Err(denied) => allow(caller, Action::ManageAgreement, &centre).map_err(|_| denied),
    }
}

/// Both sides must be administered by the caller; whoever administers one may know of it.
async fn may_manage(
    tx: &mut Tx,
    caller: &Caller,
    agreement: &Agreement,
    now: Timestamp,
) -> Result<(), Error> {
    let (clinic, centre) = sides(tx, agreement, now).await?;
    match (
        allow(caller, Action::ManageAgreement, &clinic),
        allow(caller, Action::ManageAgreement, &centre),
    ) {
        (Ok(()), Ok(())) => Ok(()),
        (Ok(()), Err(_)) | (Err(_), Ok(())) => Err(Error::Denied(Denial::Forbidden)),
        (Err(denied), Err(_)) => Err(denied),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use medrelay_core::time::SeededEntropy;

    const NOON: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn agreement() -> Agreement {
        let entropy = SeededEntropy::new(9);
        Agreement {
            id: AgreementId::new(NOON, &entropy),
            clinic: OrganizationId::new(NOON, &entropy),
            centre: OrganizationId::new(NOON, &entropy),
            modalities: vec!["CT".to_owned()],
            limits: TimeLimits::default(),
            policy: SigningPolicy::Double,
            weight: 1,
            valid_from: NOON,
            valid_to: None,
        }
    }

    #[test]
    fn agreements_overlap_in_sides_modality_and_time() {
        let first = agreement();
        assert!(overlap(&first, &first.clone()));
        let every = Agreement { modalities: Vec::new(), ..first.clone() };
        assert!(overlap(&first, &every) && overlap(&every, &first));
        let other = Agreement { modalities: vec!["MR".to_owned()], ..first.clone() };
        assert!(!overlap(&first, &other));
        let ended = Agreement { valid_to: Some(NOON + Span::from_hours(1)), ..first.clone() };
        let next = Agreement { valid_from: NOON + Span::from_hours(1), ..first.clone() };
        assert!(!overlap(&ended, &next) && !overlap(&next, &ended));
        let late = Agreement { valid_from: NOON + Span::from_minutes(59), ..first.clone() };
        assert!(overlap(&ended, &late) && overlap(&late, &ended));
        let stranger = Agreement {
            centre: OrganizationId::new(NOON, &SeededEntropy::new(10)),
            ..first.clone()
        };
        assert!(!overlap(&first, &stranger));
    }

    #[test]
    fn an_agreement_ends_at_once_or_later_but_not_in_the_past() {
        let later = NOON + Span::from_hours(1);
        let end = AgreementChange { end: true, ..AgreementChange::default() };
        let ended = applied(agreement(), &end, later).expect("it ends");
        assert_eq!(ended.valid_to, Some(later));
        assert!(is_over(&ended, later) && ended.validate().is_ok());
        let past = AgreementChange { valid_to: Some(Some(NOON)), ..AgreementChange::default() };
        assert!(applied(agreement(), &past, later).is_err());
        let future = Agreement { valid_from: later, ..agreement() };
        let never = applied(future, &end, NOON).expect("it ends before it begins");
        assert!(never.validate().is_ok());
        let open = AgreementChange { valid_to: Some(None), ..AgreementChange::default() };
        assert_eq!(applied(ended, &open, later).expect("open").valid_to, None);
    }

    #[test]
    fn a_destination_has_an_address_exactly_when_its_route_needs_one() {
        let address = DicomAddress {
            ae_title: "PACS".to_owned(),
            host: "10.0.0.9".to_owned(),
            port: 104,
            tls: false,
        };
        let of =
            |route, address| settings_of(&NewDestination { route, name: String::new(), address });
        assert_eq!(of(Route::Inbox, None).expect("the inbox"), "{}");
        assert!(of(Route::Inbox, Some(address.clone())).is_err());
        assert!(of(Route::Dicom, None).is_err());
        let text = of(Route::Dicom, Some(address.clone())).expect("a node");
        assert_eq!(serde_json::from_str::<DicomAddress>(&text).expect("JSON"), address);
    }
}
