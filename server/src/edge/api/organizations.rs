//! `/organizations`: the tree of the consortium.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::id::{NameError, OrganizationId};
use medrelay_core::people::OrganizationKind;
use medrelay_core::time::Timestamp;

use super::auth::Who;
use super::page::{Body, Page, Paging, Params};
use super::{Api, Routes, Rule};
use crate::http::problem::{Problem, not_found};
use crate::service::Error;
use crate::service::Organization;
use crate::service::consortium::OrganizationChange;

/// A hospital or clinic.
#[derive(Serialize, ToSchema)]
pub(super) struct OrganizationBody {
    /// Its identifier.
    #[schema(value_type = String)]
    id: OrganizationId,
    /// The organization directly above it.
    #[schema(value_type = Option<String>)]
    parent: Option<OrganizationId>,
    /// `lead_hospital`, `county_hospital`, `township_clinic` or `village_clinic`.
    #[schema(value_type = String)]
    kind: OrganizationKind,
    /// Its name.
    name: String,
    /// Since when it is closed, in microseconds UTC.
    #[schema(value_type = Option<i64>)]
    closed_at: Option<Timestamp>,
    /// When it was made.
    #[schema(value_type = i64)]
    created_at: Timestamp,
    /// To be sent back with a change.
    version: i64,
}

impl From<Organization> for OrganizationBody {
    fn from(organization: Organization) -> Self {
        Self {
            parent: organization.parent().cloned(),
            id: organization.id,
            kind: organization.kind,
            name: organization.name,
            closed_at: organization.closed_at,
            created_at: organization.created_at,
            version: organization.version,
        }
    }
}

/// A new organization.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewOrganization {
    /// The organization above it.
    #[schema(value_type = String)]
    parent: OrganizationId,
    /// `lead_hospital`, `county_hospital`, `township_clinic` or `village_clinic`.
    #[schema(value_type = String)]
    kind: OrganizationKind,
    /// Its name: 1 to 100 characters.
    name: String,
}

/// A change of an organization; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OrganizationPatch {
    /// The version that was read.
    version: i64,
    /// A new name.
    name: Option<String>,
    /// Closed, or open again.
    closed: Option<bool>,
}

/// The routes of this file.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add(routes!(list_organizations), Rule::May(Action::ReadOrganization))
        .add(routes!(create_organization), Rule::May(Action::ManageOrganization))
        .add(routes!(read_organization), Rule::May(Action::ReadOrganization))
        .add(routes!(change_organization), Rule::May(Action::ManageOrganization))
}

/// Organizations that one may see.
#[utoipa::path(
    get, path = "/api/v1/organizations", tag = "organizations", params(Paging),
    operation_id = "list_organizations",
    responses((status = 200, body = Page<OrganizationBody>), (status = 401, body = Problem))
)]
async fn list_organizations(
    State(api): State<Api>,
    who: Who,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<OrganizationBody>>, Problem> {
    let after = after(paging.after.as_deref(), OrganizationId::parse)?;
    let limit = paging.limit();
    let found = api.service.organizations(&who.caller, after.as_ref(), limit + 1).await?;
    let items = found.into_iter().map(OrganizationBody::from).collect();
    Ok(Json(Page::of(items, limit, |item: &OrganizationBody| item.id.to_string())))
}

/// Makes an organization below another.
#[utoipa::path(
    post, path = "/api/v1/organizations", tag = "organizations",
    operation_id = "create_organization", request_body = NewOrganization,
    responses(
        (status = 201, body = OrganizationBody),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
        (status = 422, body = Problem),
    )
)]
async fn create_organization(
    State(api): State<Api>,
    who: Who,
    Body(new): Body<NewOrganization>,
) -> Result<(StatusCode, Json<OrganizationBody>), Problem> {
    let made = api
        .service
        .create_organization(&who.caller, Some(&new.parent), new.kind, &new.name)
        .await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// One organization.
#[utoipa::path(
    get, path = "/api/v1/organizations/{id}", tag = "organizations",
    operation_id = "read_organization",
    params(("id" = String, Path, description = "the organization")),
    responses((status = 200, body = OrganizationBody), (status = 404, body = Problem))
)]
async fn read_organization(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<OrganizationBody>, Problem> {
    let id = named(OrganizationId::parse(&id))?;
    Ok(Json(api.service.organization(&who.caller, &id).await?.into()))
}

/// Renames, closes or re-opens an organization.
#[utoipa::path(
    patch, path = "/api/v1/organizations/{id}", tag = "organizations",
    operation_id = "change_organization", request_body = OrganizationPatch,
    params(("id" = String, Path, description = "the organization")),
    responses(
        (status = 200, body = OrganizationBody),
        (status = 404, body = Problem),
        (status = 409, body = Problem),
    )
)]
async fn change_organization(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(patch): Body<OrganizationPatch>,
) -> Result<Json<OrganizationBody>, Problem> {
    let id = named(OrganizationId::parse(&id))?;
    let change =
        OrganizationChange { version: patch.version, name: patch.name, closed: patch.closed };
    Ok(Json(api.service.change_organization(&who.caller, &id, change).await?.into()))
}

/// An identifier in a path: what cannot be one names nothing.
pub(super) fn named<T>(parsed: Result<T, NameError>) -> Result<T, Problem> {
    parsed.map_err(|_| not_found())
}

/// The identifier that a list goes on after.
pub(super) fn after<T>(
    text: Option<&str>,
    parse: impl Fn(&str) -> Result<T, NameError>,
) -> Result<Option<T>, Problem> {
    text.map(parse).transpose().map_err(|error| Error::invalid("after", error.to_string()).into())
}
