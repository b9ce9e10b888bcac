//! `/queue`: what is at a centre, and who comes next.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::id::OrganizationId;
use medrelay_core::people::Priority;

use super::auth::Who;
use super::cases::{CaseLine, ClaimOutput};
use super::page::Params;
use super::{Api, Routes, Rule};
use crate::http::problem::Problem;
use crate::service::queueing::{QueueCounts, QueueEntry, QueueFilter, Tab};

/// How many cases a page has unless asked for otherwise, and at most.
const QUEUE_SHOWN: usize = 200;
const QUEUE_LIMIT: usize = 1_000;

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(routes!(list_queue), Rule::May(Action::ListQueue))
        .add(routes!(next_case), Rule::May(Action::ClaimCase))
}

/// A case of the queue and its place.
#[derive(Serialize, ToSchema)]
struct QueueLine {
    /// Its place at its centre, from 1; 0 for what waits for nobody.
    rank: usize,
    /// The case.
    #[serde(flatten)]
    line: CaseLine,
}

impl From<QueueEntry> for QueueLine {
    fn from(entry: QueueEntry) -> Self {
        Self { rank: entry.rank, line: entry.view.into() }
    }
}

/// How many cases each part of the queue has, whatever else is filtered.
#[derive(Serialize, ToSchema)]
struct QueueCountsOutput {
    /// Waiting for a reader.
    ready: usize,
    /// The caller's own, or given to them.
    mine: usize,
    /// Waiting for a verifier, or with one.
    review: usize,
    /// With the clinic.
    returned: usize,
    /// With an open critical finding.
    critical: usize,
    /// Studies that are still arriving: see `GET /studies?stage=arriving`.
    receiving: usize,
    /// Not signed.
    all: usize,
    /// What the caller has signed since midnight, at whichever centre.
    signed_today: i64,
}

impl From<QueueCounts> for QueueCountsOutput {
    fn from(counts: QueueCounts) -> Self {
        Self {
            ready: counts.ready,
            mine: counts.mine,
            review: counts.review,
            returned: counts.returned,
            critical: counts.critical,
            receiving: counts.receiving,
            all: counts.all,
            signed_today: counts.signed_today,
        }
    }
}

/// One page of what is at the caller's centres.
#[derive(Serialize, ToSchema)]
struct QueueOutput {
    /// First comes first.
    items: Vec<QueueLine>,
    /// How many there are with this filter.
    total: usize,
    /// How many there are in each part.
    counts: QueueCountsOutput,
}

/// Which part of which queue.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct QueueQuery {
    /// Only that of this centre.
    #[param(value_type = Option<String>)]
    centre: Option<OrganizationId>,
    /// `ready`, `mine`, `review`, `returned`, `critical`, `receiving` (announced images are
    /// missing) or `all` (not signed); absent: what waits, for a reader or for a verifier.
    #[param(value_type = Option<String>)]
    tab: Option<Tab>,
    /// Only cases in which this is found: number, patient's name and number, accession number.
    text: Option<String>,
    /// Only this modality.
    modality: Option<String>,
    /// Only this clinic.
    #[param(value_type = Option<String>)]
    clinic: Option<OrganizationId>,
    /// Only this priority: `stat`, `urgent` or `routine`.
    #[param(value_type = Option<String>)]
    priority: Option<Priority>,
    /// Only what is late (`true`), or only what is not (`false`).
    overdue: Option<bool>,
    /// How many to leave out at the beginning.
    offset: Option<usize>,
    /// How many at most, 1 to 1000; 200 if absent.
    limit: Option<usize>,
}

/// One page of what is at the caller's centres: what waits in the order in which it should be
/// read, everything else by its deadline.
#[utoipa::path(
    get, path = "/api/v1/queue", tag = "cases", params(QueueQuery),
    responses((status = 200, body = QueueOutput))
)]
async fn list_queue(
    State(api): State<Api>,
    who: Who,
    Params(query): Params<QueueQuery>,
) -> Result<Json<QueueOutput>, Problem> {
    let filter = QueueFilter {
        centre: query.centre,
        tab: query.tab,
        text: query.text,
        modality: query.modality,
        clinic: query.clinic,
        priority: query.priority,
        overdue: query.overdue,
        offset: query.offset.unwrap_or(0),
        limit: query.limit.unwrap_or(QUEUE_SHOWN).clamp(1, QUEUE_LIMIT),
    };
    let page = api.service.queue(&who.caller, &filter).await?;
    Ok(Json(QueueOutput {
        items: page.entries.into_iter().map(QueueLine::from).collect(),
        total: page.total,
        counts: page.counts.into(),
    }))
}

/// Claims the first case in the queue that the caller may read. What a coordinator has given to
/// them comes first.
#[utoipa::path(
    post, path = "/api/v1/queue/next", tag = "cases",
    responses((status = 200, body = ClaimOutput), (status = 404, body = Problem))
)]
async fn next_case(State(api): State<Api>, who: Who) -> Result<Json<ClaimOutput>, Problem> {
    Ok(Json(api.service.next_case(&who.caller).await?.into()))
}
