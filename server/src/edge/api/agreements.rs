//! `/agreements` and their destinations: which clinic sends what to which centre, and where the
//! reports go.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::delivery::Route;
use medrelay_core::id::{AgreementId, DestinationId, OrganizationId};
use medrelay_core::people::{SigningPolicy, TimeLimits};
use medrelay_core::time::Timestamp;

use super::auth::Who;
use super::organizations::{after, named};
use super::page::{Body, Page, Paging, Params};
use super::{Api, Routes, Rule};
use crate::http::problem::Problem;
use crate::service::DicomAddress;
use crate::service::agreements::{AgreementChange, NewAgreement, NewDestination};
use crate::service::{AgreementRecord, Destination};

/// Minutes within which a report is due, by priority.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LimitsBody {
    /// Emergencies.
    stat_minutes: i64,
    /// Urgent cases.
    urgent_minutes: i64,
    /// All others.
    routine_minutes: i64,
}

impl From<TimeLimits> for LimitsBody {
    fn from(limits: TimeLimits) -> Self {
        Self {
            stat_minutes: limits.stat_minutes,
            urgent_minutes: limits.urgent_minutes,
            routine_minutes: limits.routine_minutes,
        }
    }
}

impl From<LimitsBody> for TimeLimits {
    fn from(limits: LimitsBody) -> Self {
        Self {
            stat_minutes: limits.stat_minutes,
            urgent_minutes: limits.urgent_minutes,
            routine_minutes: limits.routine_minutes,
        }
    }
}

/// Which clinic sends what to which centre, and how it is answered.
#[derive(Serialize, ToSchema)]
struct AgreementBody {
    /// Its identifier.
    #[schema(value_type = String)]
    id: AgreementId,
    /// The clinic.
    #[schema(value_type = String)]
    clinic: OrganizationId,
    /// Its name.
    clinic_name: String,
    /// The centre.
    #[schema(value_type = String)]
    centre: OrganizationId,
    /// Its name.
    centre_name: String,
    /// Modalities; empty means every one.
    modalities: Vec<String>,
    /// How soon reports are due.
    limits: LimitsBody,
    /// `single_senior` or `double`.
    #[schema(value_type = String)]
    policy: SigningPolicy,
    /// Share of the readers' time relative to other clinics, 1 to 100.
    weight: i64,
    /// From when, in microseconds UTC.
    #[schema(value_type = i64)]
    valid_from: Timestamp,
    /// Until when; absent is open-ended.
    #[schema(value_type = Option<i64>)]
    valid_to: Option<Timestamp>,
    /// When it was made.
    #[schema(value_type = i64)]
    created_at: Timestamp,
    /// To be sent back with a change.
    version: i64,
}

impl From<AgreementRecord> for AgreementBody {
    fn from(record: AgreementRecord) -> Self {
        let agreement = record.agreement;
        Self {
            id: agreement.id,
            clinic: agreement.clinic,
            clinic_name: record.clinic_name,
            centre: agreement.centre,
            centre_name: record.centre_name,
            modalities: agreement.modalities,
            limits: agreement.limits.into(),
            policy: agreement.policy,
            weight: agreement.weight,
            valid_from: agreement.valid_from,
            valid_to: agreement.valid_to,
            created_at: record.created_at,
            version: record.version,
        }
    }
}

/// A new agreement.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AgreementInput {
    /// The clinic.
    #[schema(value_type = String)]
    clinic: OrganizationId,
    /// The centre.
    #[schema(value_type = String)]
    centre: OrganizationId,
    /// Modalities; empty or absent means every one.
    #[serde(default)]
    modalities: Vec<String>,
    /// How soon reports are due; 60, 120 and 240 minutes if absent.
    limits: Option<LimitsBody>,
    /// `single_senior` or `double`.
    #[schema(value_type = String)]
    policy: SigningPolicy,
    /// Share of the readers' time, 1 to 100; 1 if absent.
    weight: Option<i64>,
    /// From when, in microseconds UTC; at once if absent.
    #[schema(value_type = Option<i64>)]
    valid_from: Option<Timestamp>,
    /// Until when; open-ended if absent.
    #[schema(value_type = Option<i64>)]
    valid_to: Option<Timestamp>,
}

/// A change of an agreement; what is absent stays. It counts for cases opened from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AgreementPatch {
    /// The version that was read.
    version: i64,
    /// Other modalities.
    modalities: Option<Vec<String>>,
    /// Other time limits.
    limits: Option<LimitsBody>,
    /// Another policy.
    #[schema(value_type = Option<String>)]
    policy: Option<SigningPolicy>,
    /// Another weight.
    weight: Option<i64>,
    /// Another end, not in the past; `null` is open-ended.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<i64>)]
    valid_to: Option<Option<Timestamp>>,
    /// End it now.
    #[serde(default)]
    end: bool,
}

/// A place that reports of an agreement go to.
#[derive(Serialize, ToSchema)]
struct DestinationBody {
    /// Its identifier.
    #[schema(value_type = String)]
    id: DestinationId,
    /// Whose reports go there.
    #[schema(value_type = String)]
    agreement: AgreementId,
    /// `inbox` or `dicom`.
    #[schema(value_type = String)]
    route: Route,
    /// What people call it.
    name: String,
    /// The DICOM node, for `dicom`.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<DicomAddress>,
    /// When it was added, in microseconds UTC.
    #[schema(value_type = i64)]
    created_at: Timestamp,
}

impl From<Destination> for DestinationBody {
    fn from(destination: Destination) -> Self {
        Self {
            id: destination.id,
            agreement: destination.agreement,
            route: destination.route,
            name: destination.name,
            address: serde_json::from_str(&destination.settings).ok(),
            created_at: destination.created_at,
        }
    }
}

/// The destinations of an agreement.
#[derive(Serialize, ToSchema)]
struct DestinationList {
    /// The destinations, oldest first.
    items: Vec<DestinationBody>,
}

/// A new destination.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DestinationInput {
    /// `inbox` or `dicom`.
    #[schema(value_type = String)]
    route: Route,
    /// What people call it: 1 to 100 characters.
    name: String,
    /// The DICOM node, for `dicom`.
    address: Option<DicomAddress>,
}

/// The routes of this file.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add(routes!(list_agreements), Rule::May(Action::ReadAgreement))
        .add(routes!(create_agreement), Rule::May(Action::ManageAgreement))
        .add(routes!(read_agreement), Rule::May(Action::ReadAgreement))
        .add(routes!(change_agreement), Rule::May(Action::ManageAgreement))
        .add(routes!(list_destinations), Rule::May(Action::ReadAgreement))
        .add(routes!(add_destination), Rule::May(Action::ManageAgreement))
        .add(routes!(remove_destination), Rule::May(Action::ManageAgreement))
}

/// Agreements that one may see.
#[utoipa::path(
    get, path = "/api/v1/agreements", tag = "agreements", params(Paging),
    operation_id = "list_agreements",
    responses((status = 200, body = Page<AgreementBody>), (status = 401, body = Problem))
)]
async fn list_agreements(
    State(api): State<Api>,
    who: Who,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<AgreementBody>>, Problem> {
    let from = after(paging.after.as_deref(), AgreementId::parse)?;
    let limit = paging.limit();
    let found = api.service.agreements(&who.caller, from.as_ref(), limit + 1).await?;
    let items = found.into_iter().map(AgreementBody::from).collect();
    Ok(Json(Page::of(items, limit, |item: &AgreementBody| item.id.to_string())))
}

/// Makes an agreement; the clinic's inbox is its first destination.
#[utoipa::path(
    post, path = "/api/v1/agreements", tag = "agreements", operation_id = "create_agreement",
    request_body = AgreementInput,
    responses(
        (status = 201, body = AgreementBody),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "another one of the two overlaps"),
        (status = 422, body = Problem),
    )
)]
async fn create_agreement(
    State(api): State<Api>,
    who: Who,
    Body(input): Body<AgreementInput>,
) -> Result<(StatusCode, Json<AgreementBody>), Problem> {
    let new = NewAgreement {
        clinic: input.clinic,
        centre: input.centre,
        modalities: input.modalities,
        limits: input.limits.map_or_else(TimeLimits::default, TimeLimits::from),
        policy: input.policy,
        weight: input.weight.unwrap_or(1),
        valid_from: input.valid_from,
        valid_to: input.valid_to,
    };
    let made = api.service.create_agreement(&who.caller, new).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// One agreement.
#[utoipa::path(
    get, path = "/api/v1/agreements/{id}", tag = "agreements", operation_id = "read_agreement",
    params(("id" = String, Path, description = "the agreement")),
    responses((status = 200, body = AgreementBody), (status = 404, body = Problem))
)]
async fn read_agreement(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<AgreementBody>, Problem> {
    let id = named(AgreementId::parse(&id))?;
    Ok(Json(api.service.agreement(&who.caller, &id).await?.into()))
}

/// Changes or ends an agreement.
#[utoipa::path(
    patch, path = "/api/v1/agreements/{id}", tag = "agreements",
    operation_id = "change_agreement", request_body = AgreementPatch,
    params(("id" = String, Path, description = "the agreement")),
    responses(
        (status = 200, body = AgreementBody),
        (status = 403, body = Problem, description = "one administers one side only"),
        (status = 404, body = Problem),
        (status = 409, body = Problem),
        (status = 422, body = Problem),
    )
)]
async fn change_agreement(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(patch): Body<AgreementPatch>,
) -> Result<Json<AgreementBody>, Problem> {
    let id = named(AgreementId::parse(&id))?;
    let change = AgreementChange {
        version: patch.version,
        modalities: patch.modalities,
        limits: patch.limits.map(TimeLimits::from),
        policy: patch.policy,
        weight: patch.weight,
        valid_to: patch.valid_to,
        end: patch.end,
    };
    Ok(Json(api.service.change_agreement(&who.caller, &id, change).await?.into()))
}

/// The destinations of an agreement.
#[utoipa::path(
    get, path = "/api/v1/agreements/{id}/destinations", tag = "agreements",
    operation_id = "list_destinations",
    params(("id" = String, Path, description = "the agreement")),
    responses((status = 200, body = DestinationList), (status = 404, body = Problem))
)]
async fn list_destinations(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<DestinationList>, Problem> {
    let id = named(AgreementId::parse(&id))?;
    let found = api.service.destinations(&who.caller, &id).await?;
    Ok(Json(DestinationList { items: found.into_iter().map(DestinationBody::from).collect() }))
}

/// Adds a destination for reports signed from now on.
#[utoipa::path(
    post, path = "/api/v1/agreements/{id}/destinations", tag = "agreements",
    operation_id = "add_destination", request_body = DestinationInput,
    params(("id" = String, Path, description = "the agreement")),
    responses(
        (status = 201, body = DestinationBody),
        (status = 404, body = Problem),
        (status = 409, body = Problem),
        (status = 422, body = Problem),
    )
)]
async fn add_destination(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(input): Body<DestinationInput>,
) -> Result<(StatusCode, Json<DestinationBody>), Problem> {
    let id = named(AgreementId::parse(&id))?;
    let new = NewDestination { route: input.route, name: input.name, address: input.address };
    let made = api.service.add_destination(&who.caller, &id, new).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// Removes a destination, but not the last one of its agreement.
#[utoipa::path(
    delete, path = "/api/v1/destinations/{id}", tag = "agreements",
    operation_id = "remove_destination",
    params(("id" = String, Path, description = "the destination")),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem))
)]
async fn remove_destination(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = named(DestinationId::parse(&id))?;
    api.service.remove_destination(&who.caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tells a field that is `null` from one that is absent.
fn present<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Option<Timestamp>>, D::Error> {
    Option::<Timestamp>::deserialize(input).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_tells_null_from_absent() {
        let of = |text| serde_json::from_str::<AgreementPatch>(text).expect("a patch").valid_to;
        assert_eq!(of(r#"{"version":1}"#), None);
        assert_eq!(of(r#"{"version":1,"valid_to":null}"#), Some(None));
        assert_eq!(of(r#"{"version":1,"valid_to":5}"#), Some(Some(Timestamp::from_micros(5))));
        assert!(serde_json::from_str::<AgreementPatch>(r#"{"version":1,"x":1}"#).is_err());
    }
}
