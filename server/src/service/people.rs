//! People as administrators see them: accounts, roles per organization, resets.
//!
//! A role is given and taken by whoever administers its organization. The account itself (name,
//! modalities, password, closing) belongs to whoever administers every organization that the
//! person has a role in: otherwise the administrator of a clinic could take the account of a
//! doctor of the lead hospital over.

use std::collections::{BTreeMap, BTreeSet};

use medrelay_core::access::{self, Action, Denial};
use medrelay_core::event::Kind;
use medrelay_core::id::{OrganizationId, PersonId};
use medrelay_core::people::{Actor, Grant};

use super::consortium::{listing, must_be_open, standing};
use super::invitations::NewInvitation;
use super::sign_in::home;
use super::{About, Caller, Error, Service, allow, input, owned_by, passwords};
use crate::store::{Person, StoreError, Tx};

/// How many roles one person may hold.
const GRANTS: usize = 64;
/// Changes that could leave nobody to administer the relay come one after the other.
const ADMINISTRATORS_TURN: &str = "turn:administrators";

/// Somebody new.
pub struct NewPerson {
    /// Account name.
    pub login: String,
    /// Name.
    pub name: String,
    /// First password; without it they are invited to choose one.
    pub password: Option<String>,
    /// Modalities that the person may read; empty means every one.
    pub modalities: Vec<String>,
    /// Roles per organization; at least one.
    pub grants: Vec<Grant>,
}

/// What a person is to become.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PersonChange {
    /// The version that the change was decided on.
    pub version: i64,
    /// A new name.
    pub name: Option<String>,
    /// Other modalities.
    pub modalities: Option<Vec<String>>,
    /// The roles in the organizations that the caller administers, in full; roles elsewhere stay.
    pub grants: Option<Vec<Grant>>,
    /// Close the account, or open it again.
    pub disabled: Option<bool>,
}

impl PersonChange {
    fn touches_account(&self) -> bool {
        self.name.is_some() || self.modalities.is_some() || self.disabled.is_some()
    }
}

impl Service {
    /// Makes an account; whoever gets no password is invited to choose one.
    pub async fn create_person(
        &self,
        caller: &Caller,
        new: NewPerson,
    ) -> Result<(Person, Option<NewInvitation>), Error> {
        let login = input::login(&new.login)?;
        let name = input::name("name", &new.name)?;
        let modalities = input::modalities(&new.modalities)?;
        let grants = tidy(new.grants)?;
        if let Some(password) = &new.password {
            passwords::check(password, &login)?;
        }
        let mut tx = self.db().read().await?;
        may_grant(&mut tx, caller, &grants).await?;
        drop(tx);
        // An empty form is no password: nothing that is typed fits it.
        let password_hash = match &new.password {
            Some(password) => self.hash_password(password).await?,
            None => String::new(),
        };

        let now = self.now();
        let person = Person {
            id: PersonId::new(now, &*self.parts.entropy),
            login,
            name,
            modalities,
            grants,
            invited: new.password.is_none(),
            second_factor: false,
            disabled_at: None,
            created_at: now,
            version: 1,
        };
        let mut tx = self.db().write().await?;
        may_grant(&mut tx, caller, &person.grants).await?;
        tx.insert_person(&person, &password_hash).await.map_err(login_taken)?;
        let details = serde_json::json!({ "made": true, "roles": roles(&person.grants) });
        self.record_person(&mut tx, caller, Kind::PersonChanged, &person, details).await?;
        let invitation = if person.invited {
            Some(self.put_invitation(&mut tx, caller, &person, None).await?)
        } else {
            None
        };
        tx.commit().await?;
        Ok((person, invitation))
    }

    /// People with a role in an organization in the caller's reach, in the order of their making;
    /// roles elsewhere are not shown.
    pub async fn people(
        &self,
        caller: &Caller,
        organization: Option<&OrganizationId>,
        after: Option<&PersonId>,
        limit: i64,
    ) -> Result<Vec<Person>, Error> {
        let scope = listing(caller, Action::ReadPeople)?;
        let mut tx = self.db().read().await?;
        let mut people = tx.people(scope.as_ref(), organization, after, limit).await?;
        let grants = people.iter().flat_map(|person| &person.grants);
        let reach = reach(&mut tx, caller, Action::ReadPeople, grants).await?;
        for person in &mut people {
            person.grants.retain(|grant| reach.contains(&grant.organization));
        }
        Ok(people)
    }

    /// One person; roles out of the caller's reach are not shown.
    pub async fn person(&self, caller: &Caller, id: &PersonId) -> Result<Person, Error> {
        let mut tx = self.db().read().await?;
        let mut person = tx.person(id).await?.ok_or(Error::hidden())?;
        let reach = visible(&mut tx, caller, Action::ReadPeople, &person).await?;
        person.grants.retain(|grant| reach.contains(&grant.organization));
        Ok(person)
    }

    /// Changes a person's account or roles. Closing an account ends its sessions; roles count
    /// from the next request on.
    pub async fn change_person(
        &self,
        caller: &Caller,
        id: &PersonId,
        change: PersonChange,
    ) -> Result<Person, Error> {
        let now = self.now();
        let mut tx = self.db().write().await?;
        tx.count_up(ADMINISTRATORS_TURN).await?;
        let administered = tx.root_administrators(None).await? > 0;
        let mut person = tx.person(id).await?.ok_or(Error::hidden())?;
        let reach = visible(&mut tx, caller, Action::ManagePeople, &person).await?;
        if change.touches_account() {
            must_reach_all(&person, &reach)?;
        }
        if person.version != change.version {
            return Err(Error::VersionConflict);
        }
        let mut details = serde_json::json!({});
        if let Some(name) = &change.name {
            person.name = input::name("name", name)?;
            details["renamed"] = true.into();
        }
        if let Some(modalities) = &change.modalities {
            person.modalities = input::modalities(modalities)?;
            details["modalities"] = person.modalities.clone().into();
        }
        if let Some(disabled) = change.disabled {
            person.disabled_at = disabled.then(|| person.disabled_at.unwrap_or(now));
            details["disabled"] = disabled.into();
        }
        if let Some(wanted) = change.grants {
            person.grants = regrant(&mut tx, caller, &person, &reach, wanted).await?;
            details["roles"] = roles(&person.grants);
        }
        tx.save_person(&person).await?;
        if person.disabled_at.is_some() {
            tx.delete_sessions_of(id, None).await?;
            tx.withdraw_person_invitations(id, now).await?;
        }
        if administered && tx.root_administrators(None).await? == 0 {
            return Err(Error::Conflict("nobody would be left to administer the relay"));
        }
        person.version += 1;
        self.record_person(&mut tx, caller, Kind::PersonChanged, &person, details).await?;
        tx.commit().await?;
        if caller.actor != Actor::System {
            return self.person(caller, id).await;
        }
        Ok(person)
    }

    /// Gives a person a new password and ends their sessions.
    pub async fn reset_password(
        &self,
        caller: &Caller,
        id: &PersonId,
        password: &str,
    ) -> Result<(), Error> {
        let mut tx = self.db().read().await?;
        let person = tx.person(id).await?.ok_or(Error::hidden())?;
        let reach = visible(&mut tx, caller, Action::ManagePeople, &person).await?;
        must_reach_all(&person, &reach)?;
        drop(tx);
        passwords::check(password, &person.login)?;
        let password_hash = self.hash_password(password).await?;
        let mut tx = self.db().write().await?;
        // Roles may have changed while we hashed.
        let person = tx.person(id).await?.ok_or(Error::hidden())?;
        let reach = visible(&mut tx, caller, Action::ManagePeople, &person).await?;
        must_reach_all(&person, &reach)?;
        tx.save_password(id, &password_hash).await?;
        tx.withdraw_person_invitations(id, self.now()).await?;
        let ended = tx.delete_sessions_of(id, None).await?;
        let details = serde_json::json!({ "reset": true, "sessions": ended });
        self.record_person(&mut tx, caller, Kind::PasswordChanged, &person, details).await?;
        Ok(tx.commit().await?)
    }

    async fn record_person(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        kind: Kind,
        person: &Person,
        details: serde_json::Value,
    ) -> Result<(), Error> {
        let about = About {
            organization: home(person),
            object: format!("person:{}", person.id),
            ..About::default()
        };
        let event = self.parts.event(caller, kind, about.with(details));
        Ok(tx.record(vec![event]).await?)
    }
}

/// A unique name that a new account collides with can only be its login.
pub(super) fn login_taken(error: StoreError) -> Error {
    match error {
        StoreError::Taken => Error::Taken("login"),
        other => other.into(),
    }
}

/// Roles in a fixed order, each once, at least one.
fn tidy(mut grants: Vec<Grant>) -> Result<Vec<Grant>, Error> {
    grants.sort_by(|a, b| (&a.organization, a.role).cmp(&(&b.organization, b.role)));
    grants.dedup();
    match grants.len() {
        0 => Err(Error::invalid("grants", "name at least one role; close the account instead")),
        1..=GRANTS => Ok(grants),
        _ => Err(Error::invalid("grants", "a person holds at most 64 roles")),
    }
}

/// The roles after a change: those out of the caller's reach stay, the others become `wanted`.
async fn regrant(
    tx: &mut Tx,
    caller: &Caller,
    person: &Person,
    reach: &BTreeSet<OrganizationId>,
    wanted: Vec<Grant>,
) -> Result<Vec<Grant>, Error> {
    let added: Vec<Grant> =
        wanted.iter().filter(|grant| !person.grants.contains(grant)).cloned().collect();
    may_grant(tx, caller, &added).await?;
    let kept = person.grants.iter().filter(|grant| !reach.contains(&grant.organization)).cloned();
    tidy(kept.chain(wanted).collect())
}

/// Whether the caller may give these roles: it administers each organization, and it is open.
async fn may_grant(tx: &mut Tx, caller: &Caller, grants: &[Grant]) -> Result<(), Error> {
    let organizations: BTreeSet<&OrganizationId> =
        grants.iter().map(|grant| &grant.organization).collect();
    for id in organizations {
        let (organization, object) = standing(tx, id).await?;
        allow(caller, Action::ManagePeople, &object)?;
        must_be_open(&organization)?;
    }
    Ok(())
}

/// The organizations of these roles that the caller may do `action` in.
async fn reach<'a>(
    tx: &mut Tx,
    caller: &Caller,
    action: Action,
    grants: impl Iterator<Item = &'a Grant>,
) -> Result<BTreeSet<OrganizationId>, Error> {
    let mut asked: BTreeMap<OrganizationId, bool> = BTreeMap::new();
    for grant in grants {
        if !asked.contains_key(&grant.organization) {
            let object = owned_by(tx, &grant.organization).await?;
            let may = access::may(&caller.actor, action, &object).is_ok();
            asked.insert(grant.organization.clone(), may);
        }
    }
    Ok(asked.into_iter().filter(|(_, may)| *may).map(|(id, _)| id).collect())
}

/// The caller's reach over a person, who is hidden where it is empty.
pub(super) async fn visible(
    tx: &mut Tx,
    caller: &Caller,
    action: Action,
    person: &Person,
) -> Result<BTreeSet<OrganizationId>, Error> {
    let reach = reach(tx, caller, action, person.grants.iter()).await?;
    match caller.actor {
        Actor::System => Ok(reach),
        Actor::Anonymous => Err(Error::Denied(Denial::Unauthenticated)),
        Actor::Person { .. } | Actor::Device { .. } | Actor::Gateway { .. } if reach.is_empty() => {
            Err(Error::hidden())
        }
        Actor::Person { .. } | Actor::Device { .. } | Actor::Gateway { .. } => Ok(reach),
    }
}

/// Whether the caller's reach holds every organization that the person has a role in.
pub(super) fn must_reach_all(
    person: &Person,
    reach: &BTreeSet<OrganizationId>,
) -> Result<(), Error> {
    if person.grants.iter().all(|grant| reach.contains(&grant.organization)) {
        Ok(())
    } else {
        Err(Error::Denied(Denial::Forbidden))
    }
}

fn roles(grants: &[Grant]) -> serde_json::Value {
    grants
        .iter()
        .map(|grant| format!("{}@{}", grant.role.as_str(), grant.organization))
        .collect::<Vec<_>>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use medrelay_core::people::Role;
    use medrelay_core::time::{SeededEntropy, Timestamp};

    #[test]
    fn roles_stand_once_and_in_order() {
        let entropy = SeededEntropy::new(3);
        let organization = OrganizationId::new(Timestamp::default(), &entropy);
        let grant = |role| Grant { organization: organization.clone(), role };
        let tidied =
            tidy(vec![grant(Role::Verifier), grant(Role::Reporter), grant(Role::Verifier)]);
        assert_eq!(tidied.expect("two roles"), vec![grant(Role::Reporter), grant(Role::Verifier)]);
        assert!(tidy(Vec::new()).is_err());
    }
}
