//! `/gateways` and join codes: which gateways send for a clinic, and how one joins.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::id::{GatewayId, OrganizationId};
use medrelay_core::time::Timestamp;

use super::auth::Who;
use super::organizations::{after, named};
use super::page::{Body, Page, Paging, Params};
use super::{Api, Routes, Rule};
use crate::http::problem::Problem;
use crate::service::joining::NewJoinCode;
use crate::service::{Error, Gateway, Invitation, Service};

/// A gateway that has joined.
#[derive(Serialize, ToSchema)]
struct GatewayBody {
    /// Its identifier, the subject of its certificates.
    #[schema(value_type = String)]
    id: GatewayId,
    /// The clinic that it sends for.
    #[schema(value_type = String)]
    clinic: OrganizationId,
    /// The clinic's name.
    clinic_name: String,
    /// Whether it is connected, to about two minutes.
    online: bool,
    /// What people call it.
    name: String,
    /// What it said its program is.
    software: String,
    /// When it joined, in microseconds UTC.
    #[schema(value_type = i64)]
    joined_at: Timestamp,
    /// Since when it is revoked.
    #[schema(value_type = Option<i64>)]
    revoked_at: Option<Timestamp>,
    /// When it was last heard of.
    #[schema(value_type = Option<i64>)]
    seen_at: Option<Timestamp>,
    /// Address it was last seen at.
    source: String,
    /// By what it was last connected: `quic`, `websocket`, or empty.
    carrier: String,
    /// Until when its newest certificate is good.
    #[schema(value_type = i64)]
    certificate_until: Timestamp,
}

impl GatewayBody {
    fn of(gateway: Gateway, service: &Service) -> Self {
        Self {
            online: service.is_online(&gateway),
            clinic_name: gateway.clinic_name,
            id: gateway.id,
            clinic: gateway.clinic,
            name: gateway.name,
            software: gateway.software,
            joined_at: gateway.joined_at,
            revoked_at: gateway.revoked_at,
            seen_at: gateway.seen_at,
            source: gateway.source,
            carrier: gateway.carrier,
            certificate_until: gateway.certificate_until,
        }
    }
}

/// A join code, without what must be typed.
#[derive(Serialize, ToSchema)]
struct JoinCodeBody {
    /// What it is withdrawn by: its first four bytes in hexadecimal.
    handle: String,
    /// The clinic that the gateway will belong to.
    #[schema(value_type = String)]
    clinic: OrganizationId,
    /// The name that the gateway gets; empty for the one it asks for.
    name: String,
    /// Who made it, such as `person:…`.
    created_by: String,
    /// When it was made, in microseconds UTC.
    #[schema(value_type = i64)]
    created_at: Timestamp,
    /// Until when it is good.
    #[schema(value_type = i64)]
    expires_at: Timestamp,
    /// Attempts with a wrong secret; five lock it.
    failures: i64,
}

impl From<Invitation> for JoinCodeBody {
    fn from(invitation: Invitation) -> Self {
        Self {
            handle: invitation.handle,
            clinic: invitation.clinic,
            name: invitation.name,
            created_by: invitation.created_by,
            created_at: invitation.created_at,
            expires_at: invitation.expires_at,
            failures: invitation.failures,
        }
    }
}

/// A new join code with what must be typed, which is shown this once.
#[derive(Serialize, ToSchema)]
struct NewJoinCodeBody {
    /// What is typed at the gateway: 48 characters in groups of six.
    code: String,
    /// The same code as lists show it.
    #[serde(flatten)]
    kept: JoinCodeBody,
}

/// Every code of a clinic that could still be used.
#[derive(Serialize, ToSchema)]
struct JoinCodesBody {
    /// Newest first.
    items: Vec<JoinCodeBody>,
}

/// A code to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct JoinCodeInput {
    /// The name that the gateway gets; empty or absent for the one it asks for.
    #[serde(default)]
    name: String,
    /// Minutes it is good for, 1 to 1440; as configured if absent.
    minutes: Option<i64>,
}

/// Which gateways.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct GatewayQuery {
    /// Only those of this clinic.
    clinic: Option<String>,
    /// The identifier of the last gateway of the previous page.
    after: Option<String>,
    /// How many at most, 1 to 200; 50 if absent.
    limit: Option<i64>,
}

/// The routes of this file.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add(routes!(list_gateways), Rule::May(Action::ReadGateway))
        .add(routes!(read_gateway), Rule::May(Action::ReadGateway))
        .add(routes!(revoke_gateway), Rule::May(Action::ManageGateway))
        .add(routes!(list_join_codes), Rule::May(Action::ReadGateway))
        .add(routes!(create_join_code), Rule::May(Action::ManageGateway))
        .add(routes!(withdraw_join_code), Rule::May(Action::ManageGateway))
}

/// Gateways that one may see, revoked ones too.
#[utoipa::path(
    get, path = "/api/v1/gateways", tag = "gateways", params(GatewayQuery),
    operation_id = "list_gateways",
    responses((status = 200, body = Page<GatewayBody>), (status = 401, body = Problem))
)]
async fn list_gateways(
    State(api): State<Api>,
    who: Who,
    Params(query): Params<GatewayQuery>,
) -> Result<Json<Page<GatewayBody>>, Problem> {
    let from = after(query.after.as_deref(), GatewayId::parse)?;
    let clinic = query
        .clinic
        .map(|id| OrganizationId::parse(&id))
        .transpose()
        .map_err(|error| Error::invalid("clinic", error.to_string()))?;
    let limit = Paging { after: None, limit: query.limit }.limit();
    let found =
        api.service.gateways(&who.caller, clinic.as_ref(), from.as_ref(), limit + 1).await?;
    let items = found.into_iter().map(|one| GatewayBody::of(one, &api.service)).collect();
    Ok(Json(Page::of(items, limit, |item: &GatewayBody| item.id.to_string())))
}

/// One gateway.
#[utoipa::path(
    get, path = "/api/v1/gateways/{id}", tag = "gateways", operation_id = "read_gateway",
    params(("id" = String, Path, description = "the gateway")),
    responses((status = 200, body = GatewayBody), (status = 404, body = Problem))
)]
async fn read_gateway(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<GatewayBody>, Problem> {
    let id = named(GatewayId::parse(&id))?;
    let found = api.service.gateway(&who.caller, &id).await?;
    Ok(Json(GatewayBody::of(found, &api.service)))
}

/// Revokes a gateway for good; its connections are closed within seconds.
#[utoipa::path(
    post, path = "/api/v1/gateways/{id}/revoke", tag = "gateways",
    operation_id = "revoke_gateway",
    params(("id" = String, Path, description = "the gateway")),
    responses((status = 200, body = GatewayBody), (status = 404, body = Problem))
)]
async fn revoke_gateway(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<GatewayBody>, Problem> {
    let id = named(GatewayId::parse(&id))?;
    let revoked = api.service.revoke_gateway(&who.caller, &id).await?;
    Ok(Json(GatewayBody::of(revoked, &api.service)))
}

/// Codes of a clinic that could still be used.
#[utoipa::path(
    get, path = "/api/v1/clinics/{id}/join-codes", tag = "gateways",
    operation_id = "list_join_codes",
    params(("id" = String, Path, description = "the clinic")),
    responses((status = 200, body = JoinCodesBody), (status = 404, body = Problem))
)]
async fn list_join_codes(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<JoinCodesBody>, Problem> {
    let clinic = named(OrganizationId::parse(&id))?;
    let codes = api.service.join_codes(&who.caller, &clinic).await?;
    Ok(Json(JoinCodesBody { items: codes.into_iter().map(JoinCodeBody::from).collect() }))
}

/// Makes a one-time code with which a gateway joins for a clinic. It is shown this once.
#[utoipa::path(
    post, path = "/api/v1/clinics/{id}/join-codes", tag = "gateways",
    operation_id = "create_join_code", request_body = JoinCodeInput,
    params(("id" = String, Path, description = "the clinic")),
    responses(
        (status = 201, body = NewJoinCodeBody),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "the clinic is closed"),
        (status = 422, body = Problem),
    )
)]
async fn create_join_code(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(input): Body<JoinCodeInput>,
) -> Result<(StatusCode, Json<NewJoinCodeBody>), Problem> {
    let clinic = named(OrganizationId::parse(&id))?;
    let new = NewJoinCode { name: input.name, minutes: input.minutes };
    let made = api.service.create_join_code(&who.caller, &clinic, &new).await?;
    let body = NewJoinCodeBody { code: made.code, kept: made.invitation.into() };
    Ok((StatusCode::CREATED, Json(body)))
}

/// Takes a join code back that was not used.
#[utoipa::path(
    delete, path = "/api/v1/join-codes/{id}", tag = "gateways",
    operation_id = "withdraw_join_code",
    params(("id" = String, Path, description = "the handle of the code")),
    responses(
        (status = 204),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "a gateway has joined with it"),
    )
)]
async fn withdraw_join_code(
    State(api): State<Api>,
    who: Who,
    Path(handle): Path<String>,
) -> Result<StatusCode, Problem> {
    api.service.withdraw_join_code(&who.caller, &handle).await?;
    Ok(StatusCode::NO_CONTENT)
}
