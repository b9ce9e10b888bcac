//! The consortium's tree: organizations below organizations.

use medrelay_core::access::{self, Action, Object};
use medrelay_core::event::Kind;
use medrelay_core::id::OrganizationId;
use medrelay_core::people::{Actor, OrganizationKind};
use medrelay_core::time::Timestamp;

use super::{About, Caller, Error, Service, allow, input, owned_by};
use crate::store::{Organization, Tx};

/// How many levels a tree has at most.
const DEPTH: usize = 8;

/// What an organization is to become.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrganizationChange {
    /// The version that the change was decided on.
    pub version: i64,
    /// A new name.
    pub name: Option<String>,
    /// Closed, or open again.
    pub closed: Option<bool>,
}

impl Service {
    /// Makes an organization below another; only the relay itself makes one with nothing above.
    pub async fn create_organization(
        &self,
        caller: &Caller,
        parent: Option<&OrganizationId>,
        kind: OrganizationKind,
        name: &str,
    ) -> Result<Organization, Error> {
        let mut tx = self.db().write().await?;
        let above = match parent {
            Some(parent) => {
                let (parent, object) = standing(&mut tx, parent).await?;
                allow(caller, Action::ManageOrganization, &object)?;
                must_be_open(&parent)?;
                [vec![parent.id], parent.above].concat()
            }
            None if caller.actor == Actor::System => Vec::new(),
            None => return Err(Error::invalid("parent", "name the organization above it")),
        };
        if above.len() >= DEPTH {
            return Err(Error::invalid("parent", "a tree has at most eight levels"));
        }
        let now = self.now();
        let organization = Organization {
            id: OrganizationId::new(now, &*self.parts.entropy),
            above,
            kind,
            name: input::name("name", name)?,
            closed_at: None,
            created_at: now,
            version: 1,
        };
        if let Some(parent) = organization.parent() {
            // So that it is not closed at the same time.
            tx.hold_organization(parent).await?;
        }
        tx.insert_organization(&organization).await?;
        self.finish_organization(tx, caller, organization, serde_json::json!({ "made": true }))
            .await
    }

    /// Organizations that the caller may see, in the order of their making.
    pub async fn organizations(
        &self,
        caller: &Caller,
        after: Option<&OrganizationId>,
        limit: i64,
    ) -> Result<Vec<Organization>, Error> {
        let scope = listing(caller, Action::ReadOrganization)?;
        let mut tx = self.db().read().await?;
        Ok(tx.organizations(scope.as_ref(), self.now(), after, limit).await?)
    }

    /// One organization.
    pub async fn organization(
        &self,
        caller: &Caller,
        id: &OrganizationId,
    ) -> Result<Organization, Error> {
        let mut tx = self.db().read().await?;
        let (organization, object) = reached(&mut tx, id, self.now()).await?;
        allow(caller, Action::ReadOrganization, &object)?;
        Ok(organization)
    }

    /// Renames, closes or re-opens an organization. It is closed last: after everything below it,
    /// its agreements and its devices.
    pub async fn change_organization(
        &self,
        caller: &Caller,
        id: &OrganizationId,
        change: OrganizationChange,
    ) -> Result<Organization, Error> {
        let now = self.now();
        let mut tx = self.db().write().await?;
        let (_, object) = reached(&mut tx, id, now).await?;
        allow(caller, Action::ManageOrganization, &object)?;
        tx.hold_organization(id).await?;
        let mut organization = tx.organization(id).await?.ok_or(Error::hidden())?;
        if organization.version != change.version {
            return Err(Error::VersionConflict);
        }
        if let Some(name) = &change.name {
            organization.name = input::name("name", name)?;
        }
        match change.closed {
            Some(true) if organization.closed_at.is_none() => {
                may_close(&mut tx, &organization, now).await?;
                organization.closed_at = Some(now);
            }
            Some(false) => {
                if let Some(parent) = organization.parent() {
                    must_be_open(&standing(&mut tx, parent).await?.0)?;
                }
                organization.closed_at = None;
            }
            Some(true) | None => {}
        }
        tx.save_organization(&organization).await?;
        organization.version += 1;
        let details = serde_json::json!({
            "renamed": change.name.is_some(), "closed": organization.closed_at.is_some()
        });
        self.finish_organization(tx, caller, organization, details).await
    }

    async fn finish_organization(
        &self,
        mut tx: Tx,
        caller: &Caller,
        organization: Organization,
        details: serde_json::Value,
    ) -> Result<Organization, Error> {
        let object = format!("organization:{}", organization.id);
        let about = About::of(&organization.id, object).with(details);
        tx.record(vec![self.parts.event(caller, Kind::OrganizationChanged, about)]).await?;
        tx.commit().await?;
        Ok(organization)
    }
}

/// The scope of a list, or `None` for the relay itself, which sees everything.
pub(super) fn listing(caller: &Caller, action: Action) -> Result<Option<access::Scope>, Error> {
    access::may_somewhere(&caller.actor, action).map_err(Error::Denied)?;
    Ok((caller.actor != Actor::System).then(|| access::scope(&caller.actor, action)))
}

/// An organization and its standing as the owner of things.
pub(super) async fn standing(
    tx: &mut Tx,
    id: &OrganizationId,
) -> Result<(Organization, Object), Error> {
    let organization = tx.organization(id).await?.ok_or(Error::hidden())?;
    let object = Object::owned(organization.id.clone(), organization.above.clone());
    Ok((organization, object))
}

/// An organization with its standing toward the centres of its agreements, whatever they cover.
async fn reached(
    tx: &mut Tx,
    id: &OrganizationId,
    now: Timestamp,
) -> Result<(Organization, Object), Error> {
    let organization = tx.organization(id).await?.ok_or(Error::hidden())?;
    let mut object = owned_by(tx, id).await?;
    for agreement in tx.agreements_of_clinic(id).await? {
        object.partners.push(super::agreements::partner(&agreement, now));
    }
    Ok((organization, object))
}

/// Nothing new is made in an organization that is closed.
pub(super) fn must_be_open(organization: &Organization) -> Result<(), Error> {
    match organization.closed_at {
        None => Ok(()),
        Some(_) => Err(Error::Conflict("the organization is closed")),
    }
}

async fn may_close(tx: &mut Tx, organization: &Organization, now: Timestamp) -> Result<(), Error> {
    let id = &organization.id;
    if organization.above.is_empty() {
        return Err(Error::Conflict("the top of a tree cannot be closed"));
    }
    if tx.open_organizations_below(id).await? > 0 {
        return Err(Error::Conflict("close the organizations below it first"));
    }
    let mut agreements = tx.agreements_of_clinic(id).await?;
    agreements.extend(tx.agreements_of_centre(id).await?);
    if agreements.iter().any(|agreement| !super::agreements::is_over(agreement, now)) {
        return Err(Error::Conflict("end its agreements first"));
    }
    if tx.count_devices(id).await? > 0 {
        return Err(Error::Conflict("remove its devices first"));
    }
    Ok(())
}
