//! `/system`: how the relay is; `/statistics`: what was read, how soon and for whom.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::time::Timestamp;

use super::page::Params;
use crate::http::access::{Api, Routes, Rule, Who};
use crate::http::problem::Problem;
use crate::service::statistics::{Grouping, Line};
use crate::service::system::SystemView;

/// How the relay is.
#[derive(Serialize, ToSchema)]
struct SystemBody {
    /// The program's version.
    version: &'static str,
    /// Since when this server runs, in microseconds UTC.
    #[schema(value_type = i64)]
    started_at: Timestamp,
    /// The present moment of its clock.
    #[schema(value_type = i64)]
    now: Timestamp,
    /// Whether database and store work and have room.
    ready: bool,
    /// The volume with the least room, if it can be asked.
    disk: Option<DiskBody>,
    /// The database.
    database: DatabaseBody,
    /// The image store.
    blobs: BlobsBody,
    /// Work that falls due.
    jobs: JobsBody,
    /// Cases in the queues of the centres below the caller.
    queue: QueueBody,
    /// Deliveries.
    deliveries: DeliveriesBody,
    /// Studies without a case.
    studies: StudiesBody,
    /// What was put aside.
    quarantine: AsideBody,
    /// Gateways that are not revoked.
    gateways: GatewaysBody,
    /// Until when the certificate of HTTPS is good, if that is known.
    #[schema(value_type = Option<i64>)]
    certificate_until: Option<Timestamp>,
}

/// Room on a volume, in bytes.
#[derive(Serialize, ToSchema)]
struct DiskBody {
    /// Free.
    free: u64,
    /// In all.
    total: u64,
    /// That stay free: the relay takes no images beyond.
    reserve: u64,
}

/// The database.
#[derive(Serialize, ToSchema)]
struct DatabaseBody {
    /// `sqlite` or `postgres`.
    engine: &'static str,
    /// Its size in bytes, if it can be asked.
    bytes: Option<i64>,
}

/// The image store.
#[derive(Serialize, ToSchema)]
struct BlobsBody {
    /// `directory` or `bucket`.
    kind: &'static str,
}

/// Work that falls due.
#[derive(Serialize, ToSchema)]
struct JobsBody {
    /// Due and not begun.
    due: i64,
    /// Begun.
    running: i64,
    /// Given up: they wait for a person.
    failed: i64,
    /// When the oldest was due that was not begun.
    #[schema(value_type = Option<i64>)]
    oldest_due_at: Option<Timestamp>,
}

/// Cases in the queues.
#[derive(Serialize, ToSchema)]
struct QueueBody {
    /// That wait for a reader or a verifier.
    ready: i64,
    /// That somebody has.
    in_progress: i64,
    /// Of both, those whose time is over.
    overdue: i64,
}

/// Deliveries.
#[derive(Serialize, ToSchema)]
struct DeliveriesBody {
    /// That wait for a person.
    parked: i64,
}

/// Studies without a case.
#[derive(Serialize, ToSchema)]
struct StudiesBody {
    /// That arrive.
    receiving: i64,
    /// That a person must look at.
    unmatched: i64,
}

/// What was put aside.
#[derive(Serialize, ToSchema)]
struct AsideBody {
    /// That nobody has decided about.
    open: i64,
}

/// Gateways that are not revoked.
#[derive(Serialize, ToSchema)]
struct GatewaysBody {
    /// Connected.
    online: i64,
    /// Not connected.
    offline: i64,
}

impl From<SystemView> for SystemBody {
    fn from(view: SystemView) -> Self {
        let (jobs, it) = (view.jobs, view.standings);
        let reserve = view.reserve_bytes;
        let disk = view.disk.map(|volume| DiskBody {
            free: volume.free_bytes,
            total: volume.total_bytes,
            reserve,
        });
        Self {
            version: env!("CARGO_PKG_VERSION"),
            started_at: view.started_at,
            now: view.now,
            ready: view.ready,
            disk,
            database: DatabaseBody { engine: view.engine, bytes: view.database_bytes },
            blobs: BlobsBody { kind: view.blobs },
            jobs: JobsBody {
                due: jobs.due,
                running: jobs.running,
                failed: jobs.failed,
                oldest_due_at: jobs.oldest_due_at,
            },
            queue: QueueBody { ready: it.ready, in_progress: it.in_progress, overdue: it.overdue },
            deliveries: DeliveriesBody { parked: it.parked },
            studies: StudiesBody { receiving: it.receiving, unmatched: it.unmatched },
            quarantine: AsideBody { open: it.aside },
            gateways: GatewaysBody { online: it.online, offline: it.offline },
            certificate_until: view.certificate_until,
        }
    }
}

/// By what is counted together.
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum By {
    /// By the day on which cases were opened.
    Day,
    /// By the clinic that they came from.
    Clinic,
    /// By who signed; a case that two people signed counts for both.
    Reader,
    /// By modality.
    Modality,
}

/// Which cases, and by what they are counted together.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct StatisticsQuery {
    /// Opened from this moment on, microseconds UTC.
    from: i64,
    /// Opened before this moment; at most 366 days later.
    to: i64,
    /// By what; by day if absent.
    #[param(inline)]
    by: Option<By>,
}

/// Statistics over some time.
#[derive(Serialize, ToSchema)]
struct StatisticsBody {
    /// From when.
    from: i64,
    /// Until when.
    to: i64,
    /// By what.
    by: By,
    /// Group by group, in the order of their keys.
    rows: Vec<StatRow>,
    /// Every case once.
    total: StatRow,
}

/// One group of cases.
#[derive(Serialize, ToSchema)]
struct StatRow {
    /// A date `YYYY-MM-DD`, a clinic, a person or a modality.
    key: String,
    /// What people call it.
    label: String,
    /// Cases opened.
    cases: i64,
    /// Of these STAT.
    stat: i64,
    /// Of these urgent.
    urgent: i64,
    /// Returned to the clinic at least once.
    returned: i64,
    /// With a critical finding.
    critical: i64,
    /// With a final report.
    signed: i64,
    /// Signed too late, or due and not signed.
    overdue: i64,
    /// Half of the signed ones took no longer from opening to the final report.
    median_minutes: Option<i64>,
    /// Nine of ten took no longer.
    p90_minutes: Option<i64>,
    /// Images of their studies.
    instances: i64,
    /// Bytes of these.
    bytes: i64,
}

impl From<Line> for StatRow {
    fn from(line: Line) -> Self {
        let Line { counts, median_minutes, p90_minutes } = line;
        Self {
            key: counts.key,
            label: counts.label,
            cases: counts.cases,
            stat: counts.stat,
            urgent: counts.urgent,
            returned: counts.returned,
            critical: counts.critical,
            signed: counts.signed,
            overdue: counts.overdue,
            median_minutes,
            p90_minutes,
            instances: counts.instances,
            bytes: counts.bytes,
        }
    }
}

/// The routes of this file.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add(routes!(read_system), Rule::May(Action::ReadSystem))
        .add(routes!(read_statistics), Rule::May(Action::ReadStatistics))
}

/// How the relay is, and how things stand below the organizations that one administers.
#[utoipa::path(
    get, path = "/api/v1/system", tag = "system", operation_id = "read_system",
    responses((status = 200, body = SystemBody))
)]
async fn read_system(State(api): State<Api>, who: Who) -> Result<Json<SystemBody>, Problem> {
    Ok(Json(api.service.system(&who.caller).await?.into()))
}

/// Counts cases: those of the coordinator's centres, or with either side below the administrator's
/// organizations.
#[utoipa::path(
    get, path = "/api/v1/statistics", tag = "system", operation_id = "read_statistics",
    params(StatisticsQuery),
    responses((status = 200, body = StatisticsBody), (status = 422, body = Problem))
)]
async fn read_statistics(
    State(api): State<Api>,
    who: Who,
    Params(query): Params<StatisticsQuery>,
) -> Result<Json<StatisticsBody>, Problem> {
    let StatisticsQuery { from, to, by } = query;
    let by = by.unwrap_or(By::Day);
    let grouping = match by {
        By::Day => Grouping::Day,
        By::Clinic => Grouping::Clinic,
        By::Reader => Grouping::Reader,
        By::Modality => Grouping::Modality,
    };
    let (first, last) = (Timestamp::from_micros(from), Timestamp::from_micros(to));
    let found = api.service.statistics(&who.caller, first, last, grouping).await?;
    let rows = found.lines.into_iter().map(StatRow::from).collect();
    Ok(Json(StatisticsBody { from, to, by, rows, total: found.total.into() }))
}
