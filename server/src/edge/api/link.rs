//! `/link`: how a gateway joins. The code is the permission; nobody is signed in here.

use axum::Json;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use medrelay_core::id::{GatewayId, OrganizationId};

use super::auth::Who;
use super::page::Body;
use super::{Api, Routes, Rule};
use crate::http::problem::Problem;
use crate::service::joining::JoinRequest;

/// Bytes of a request to join: a code, a certificate request of 4 KiB, two names.
const JOIN_BYTES: usize = 16 << 10;

/// What a gateway sends to join.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct JoinInput {
    /// The code as it was typed; case, spaces and hyphens do not matter.
    code: String,
    /// A certificate request (PKCS#10, PEM) for a key on the curve P-256. Only its key is used.
    request: String,
    /// The gateway's program and version.
    #[serde(default)]
    software: String,
    /// What people call the gateway, unless the code names it.
    #[serde(default)]
    name: String,
}

/// What a gateway that has joined needs to know.
#[derive(Serialize, ToSchema)]
struct JoinedBody {
    /// Its identifier.
    #[schema(value_type = String)]
    gateway: GatewayId,
    /// Its clinic.
    #[schema(value_type = String)]
    clinic: OrganizationId,
    /// The clinic's name.
    clinic_name: String,
    /// Its name for people.
    name: String,
    /// Its certificate, PEM.
    certificate: String,
    /// The relay's authority, PEM: the only one that it trusts from now on.
    authority: String,
    /// The key that signs receipts: Ed25519, hexadecimal.
    receipt_key: String,
    /// UDP port of the link.
    port: u16,
    /// AE title of the relay.
    ae_title: String,
}

/// The routes of this file.
pub fn routes(routes: Routes) -> Routes {
    let (schemas, paths, join) = routes!(join_link);
    let join = join.layer(DefaultBodyLimit::max(JOIN_BYTES));
    routes.add(routes!(read_authority), Rule::Public).add((schemas, paths, join), Rule::Public)
}

/// The certificate of the authority that the clinic link trusts.
#[utoipa::path(
    get, path = "/api/v1/link/authority", tag = "link", operation_id = "read_authority",
    responses((status = 200, body = String, content_type = "application/x-pem-file"))
)]
async fn read_authority(State(api): State<Api>) -> Response {
    let pem = api.service.authority().certificate_pem().to_owned();
    ([(header::CONTENT_TYPE, "application/x-pem-file")], pem).into_response()
}

/// Trades a join code for a gateway and its first certificate, once.
#[utoipa::path(
    post, path = "/api/v1/link/join", tag = "link", operation_id = "join_link",
    request_body = JoinInput,
    responses(
        (status = 201, body = JoinedBody),
        (status = 404, body = Problem, description = "the code is wrong, used or out of date"),
        (status = 422, body = Problem, description = "the code is mistyped, or the request unusable"),
        (status = 429, body = Problem, description = "too many failed attempts from this address"),
    )
)]
async fn join_link(
    State(api): State<Api>,
    who: Who,
    Body(input): Body<JoinInput>,
) -> Result<(StatusCode, Json<JoinedBody>), Problem> {
    let asked = JoinRequest {
        code: input.code,
        request: input.request,
        software: input.software,
        name: input.name,
    };
    let joined = api.service.join(&who.caller.source, &asked).await?;
    let body = JoinedBody {
        gateway: joined.gateway.id,
        clinic: joined.gateway.clinic,
        clinic_name: joined.clinic_name,
        name: joined.gateway.name,
        certificate: joined.certificate,
        authority: api.service.authority().certificate_pem().to_owned(),
        receipt_key: hex::encode(api.service.receipt_key()),
        port: api.service.link_port(),
        ae_title: api.service.settings().ae_title.clone(),
    };
    Ok((StatusCode::CREATED, Json(body)))
}
