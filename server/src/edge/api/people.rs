//! `/people`: accounts and roles, for administrators.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::id::{OrganizationId, PersonId};
use medrelay_core::people::{Grant, Role};
use medrelay_core::time::Timestamp;

use super::auth::Who;
use super::invitations::InvitationBody;
use super::organizations::{after, named};
use super::page::{Body, Page, Paging, Params};
use super::{Api, Routes, Rule};
use crate::http::problem::Problem;
use crate::service::Error;
use crate::service::Person;
use crate::service::people::{NewPerson, PersonChange};

/// A role in an organization.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantBody {
    /// Where.
    #[schema(value_type = String)]
    organization: OrganizationId,
    /// `technician`, `clinic_doctor`, `reporter`, `verifier`, `coordinator`, `administrator` or
    /// `auditor`.
    #[schema(value_type = String)]
    role: Role,
}

impl From<Grant> for GrantBody {
    fn from(grant: Grant) -> Self {
        Self { organization: grant.organization, role: grant.role }
    }
}

impl From<GrantBody> for Grant {
    fn from(grant: GrantBody) -> Self {
        Self { organization: grant.organization, role: grant.role }
    }
}

/// Somebody with an account.
#[derive(Serialize, ToSchema)]
pub(super) struct PersonBody {
    /// Their identifier.
    #[schema(value_type = String)]
    id: PersonId,
    /// Account name.
    login: String,
    /// Name.
    name: String,
    /// Modalities that the person may read; empty means every one.
    modalities: Vec<String>,
    /// Roles, as far as the caller may see them.
    grants: Vec<GrantBody>,
    /// Whether they have no password yet: they are invited to choose one.
    invited: bool,
    /// Whether signing in takes a second factor.
    second_factor: bool,
    /// The invitation that was just made, in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    invitation: Option<InvitationBody>,
    /// Since when the account is closed, in microseconds UTC.
    #[schema(value_type = Option<i64>)]
    disabled_at: Option<Timestamp>,
    /// When it was made.
    #[schema(value_type = i64)]
    created_at: Timestamp,
    /// To be sent back with a change.
    version: i64,
}

impl From<Person> for PersonBody {
    fn from(person: Person) -> Self {
        Self {
            id: person.id,
            login: person.login,
            name: person.name,
            modalities: person.modalities,
            grants: person.grants.into_iter().map(GrantBody::from).collect(),
            invited: person.invited,
            second_factor: person.second_factor,
            invitation: None,
            disabled_at: person.disabled_at,
            created_at: person.created_at,
            version: person.version,
        }
    }
}

/// Somebody new.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PersonInput {
    /// Account name: 2 to 64 of `a-z 0-9 . _ - @`.
    login: String,
    /// Name: 1 to 100 characters.
    name: String,
    /// First password: at least 12 characters. Without it the person is invited to choose one,
    /// and the answer holds the invitation.
    password: Option<String>,
    /// Modalities that the person may read; empty or absent means every one.
    #[serde(default)]
    modalities: Vec<String>,
    /// Roles; at least one.
    grants: Vec<GrantBody>,
}

/// A change of a person; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PersonPatch {
    /// The version that was read.
    version: i64,
    /// A new name.
    name: Option<String>,
    /// Other modalities.
    modalities: Option<Vec<String>>,
    /// The roles in the organizations that the caller administers, in full.
    grants: Option<Vec<GrantBody>>,
    /// Close the account, or open it again.
    disabled: Option<bool>,
}

/// A password set by an administrator.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordReset {
    /// The new password: at least 12 characters.
    password: String,
}

/// Which people.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PeopleQuery {
    /// Only those with a role in this organization.
    organization: Option<String>,
    /// The identifier of the last person of the previous page.
    after: Option<String>,
    /// How many at most, 1 to 200; 50 if absent.
    limit: Option<i64>,
}

/// The routes of this file.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add(routes!(list_people), Rule::May(Action::ReadPeople))
        .add(routes!(create_person), Rule::May(Action::ManagePeople))
        .add(routes!(read_person), Rule::May(Action::ReadPeople))
        .add(routes!(change_person), Rule::May(Action::ManagePeople))
        .add(routes!(reset_password), Rule::May(Action::ManagePeople))
}

/// People with a role in an organization that one administers.
#[utoipa::path(
    get, path = "/api/v1/people", tag = "people", params(PeopleQuery),
    operation_id = "list_people",
    responses((status = 200, body = Page<PersonBody>), (status = 403, body = Problem))
)]
async fn list_people(
    State(api): State<Api>,
    who: Who,
    Params(query): Params<PeopleQuery>,
) -> Result<Json<Page<PersonBody>>, Problem> {
    let from = after(query.after.as_deref(), PersonId::parse)?;
    let organization = query
        .organization
        .map(|id| OrganizationId::parse(&id))
        .transpose()
        .map_err(|error| Error::invalid("organization", error.to_string()))?;
    let limit = Paging { after: None, limit: query.limit }.limit();
    let found =
        api.service.people(&who.caller, organization.as_ref(), from.as_ref(), limit + 1).await?;
    let items = found.into_iter().map(PersonBody::from).collect();
    Ok(Json(Page::of(items, limit, |item: &PersonBody| item.id.to_string())))
}

/// Makes an account.
#[utoipa::path(
    post, path = "/api/v1/people", tag = "people", operation_id = "create_person",
    request_body = PersonInput,
    responses(
        (status = 201, body = PersonBody),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "the account name is taken"),
        (status = 422, body = Problem),
    )
)]
async fn create_person(
    State(api): State<Api>,
    who: Who,
    Body(input): Body<PersonInput>,
) -> Result<(StatusCode, Json<PersonBody>), Problem> {
    let new = NewPerson {
        login: input.login,
        name: input.name,
        password: input.password,
        modalities: input.modalities,
        grants: input.grants.into_iter().map(Grant::from).collect(),
    };
    let (made, invitation) = api.service.create_person(&who.caller, new).await?;
    let invitation = invitation.map(InvitationBody::from);
    Ok((StatusCode::CREATED, Json(PersonBody { invitation, ..made.into() })))
}

/// One person.
#[utoipa::path(
    get, path = "/api/v1/people/{id}", tag = "people", operation_id = "read_person",
    params(("id" = String, Path, description = "the person")),
    responses((status = 200, body = PersonBody), (status = 404, body = Problem))
)]
async fn read_person(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<PersonBody>, Problem> {
    let id = named(PersonId::parse(&id))?;
    Ok(Json(api.service.person(&who.caller, &id).await?.into()))
}

/// Changes a person's account or roles.
#[utoipa::path(
    patch, path = "/api/v1/people/{id}", tag = "people", operation_id = "change_person",
    request_body = PersonPatch,
    params(("id" = String, Path, description = "the person")),
    responses(
        (status = 200, body = PersonBody),
        (status = 403, body = Problem, description = "the person has roles elsewhere, too"),
        (status = 404, body = Problem),
        (status = 409, body = Problem),
    )
)]
async fn change_person(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(patch): Body<PersonPatch>,
) -> Result<Json<PersonBody>, Problem> {
    let id = named(PersonId::parse(&id))?;
    let change = PersonChange {
        version: patch.version,
        name: patch.name,
        modalities: patch.modalities,
        grants: patch.grants.map(|grants| grants.into_iter().map(Grant::from).collect()),
        disabled: patch.disabled,
    };
    Ok(Json(api.service.change_person(&who.caller, &id, change).await?.into()))
}

/// Gives a person a new password and ends their sessions.
#[utoipa::path(
    post, path = "/api/v1/people/{id}/password", tag = "people",
    operation_id = "reset_password", request_body = PasswordReset,
    params(("id" = String, Path, description = "the person")),
    responses(
        (status = 204),
        (status = 403, body = Problem, description = "the person has roles elsewhere, too"),
        (status = 404, body = Problem),
        (status = 422, body = Problem),
    )
)]
async fn reset_password(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(input): Body<PasswordReset>,
) -> Result<StatusCode, Problem> {
    let id = named(PersonId::parse(&id))?;
    api.service.reset_password(&who.caller, &id, &input.password).await?;
    Ok(StatusCode::NO_CONTENT)
}
