//! `/audit`: what has happened, for those who must know.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::event::{Kind, Record};
use medrelay_core::time::Timestamp;

use super::page::{Page, Params};
use crate::http::access::{Api, Routes, Rule, Who};
use crate::http::problem::Problem;
use crate::service::audit::EventFilter;
use crate::service::{Error, PAGE_LIMIT};

/// Which part of the trail.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// Only what happened to this object: `case:…`, `study:…`, `person:…`.
    object: Option<String>,
    /// Only what is of this kind, a name of `/audit/kinds`.
    kind: Option<String>,
    /// Only what this one did: `person:…`, `device:…`, `gateway:…`, `system`, `anonymous`.
    actor: Option<String>,
    /// Only what belongs to this organization.
    organization: Option<String>,
    /// Only from this moment on, microseconds since 1970 UTC.
    from: Option<i64>,
    /// Only before this moment, microseconds since 1970 UTC.
    to: Option<i64>,
    /// The number of the last event of the previous page.
    after: Option<i64>,
    /// How many events at most, 1 to 200; 50 if absent.
    limit: Option<i64>,
}

/// An event of the audit trail.
#[derive(Debug, Serialize, ToSchema)]
struct AuditEntry {
    /// Its place in the trail.
    seq: i64,
    /// When, microseconds since 1970 UTC.
    #[schema(value_type = i64)]
    at: Timestamp,
    /// What happened.
    kind: String,
    /// Who: `person:…`, `device:…`, `gateway:…`, `system` or `anonymous`.
    actor: String,
    /// What the person, device or gateway is called now.
    actor_name: Option<String>,
    /// From which address.
    source: String,
    /// Whose event it is.
    organization: String,
    /// The centre that it concerns too.
    partner: String,
    /// To what.
    object: String,
    /// More, without patient data.
    #[schema(value_type = Object)]
    details: serde_json::Value,
}

/// What events may be called.
#[derive(Debug, Serialize, ToSchema)]
struct AuditKinds {
    /// In the order in which they came to be known.
    items: Vec<String>,
}

/// The routes of this file.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add(routes!(list_audit), Rule::May(Action::ReadAudit))
        .add(routes!(list_audit_kinds), Rule::May(Action::ReadAudit))
}

/// The audit trail of the organizations that the caller audits, newest first.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "audit", params(AuditQuery), operation_id = "list_audit",
    responses((status = 200, body = Page<AuditEntry>), (status = 422, body = Problem))
)]
async fn list_audit(
    State(api): State<Api>,
    who: Who,
    Params(query): Params<AuditQuery>,
) -> Result<Json<Page<AuditEntry>>, Problem> {
    let limit = query.limit.unwrap_or(50).clamp(1, PAGE_LIMIT);
    let unknown = || Error::invalid("kind", "no event is called so");
    let filter = EventFilter {
        object: query.object,
        kind: query.kind.map(|kind| Kind::parse(&kind).ok_or_else(unknown)).transpose()?,
        actor: query.actor,
        organization: query.organization,
        from: query.from.map(Timestamp::from_micros),
        to: query.to.map(Timestamp::from_micros),
    };
    let records = api.service.audit(&who.caller, &filter, query.after, limit + 1).await?;
    let entries = records.into_iter().map(entry).collect();
    Ok(Json(Page::of(entries, limit, |entry: &AuditEntry| entry.seq.to_string())))
}

/// What events may be called, for a list to choose from.
#[utoipa::path(
    get, path = "/api/v1/audit/kinds", tag = "audit", operation_id = "list_audit_kinds",
    responses((status = 200, body = AuditKinds))
)]
async fn list_audit_kinds() -> Json<AuditKinds> {
    let items = Kind::ALL.iter().map(|kind| kind.as_str().to_owned()).collect();
    Json(AuditKinds { items })
}

fn entry((record, actor_name): (Record, Option<String>)) -> AuditEntry {
    AuditEntry {
        seq: record.seq,
        at: record.at,
        kind: record.kind,
        actor: record.actor,
        actor_name,
        source: record.source,
        organization: record.organization,
        partner: record.partner,
        object: record.object,
        details: serde_json::from_str(&record.details).unwrap_or_default(),
    }
}
