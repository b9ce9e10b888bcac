//! `/organizations/{id}/calendar`: working hours, holidays and make-up days.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::calendar::Written;
use medrelay_core::id::OrganizationId;

use super::organizations::named;
use super::page::Body;
use crate::http::access::{Api, Routes, Rule, Who};
use crate::http::problem::Problem;
use crate::service::calendars::KeptCalendar;

/// When people of an organization work.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CalendarBody {
    /// Seven days, Monday first: for each from when to when, as `["08:00", "12:00"]`. Without any
    /// hours everything goes by the clock.
    #[schema(value_type = Vec<Vec<Vec<String>>>)]
    week: [Vec<(String, String)>; 7],
    /// Days on which nobody works, `YYYY-MM-DD`.
    holidays: Vec<String>,
    /// Days on which people work although their weekday is free.
    workdays: Vec<String>,
    /// Minutes east of UTC.
    offset_minutes: i32,
    /// The version that was read; 0 while there is none.
    version: i64,
}

impl From<KeptCalendar> for CalendarBody {
    fn from(kept: KeptCalendar) -> Self {
        let Written { week, holidays, workdays, offset_minutes } = kept.written;
        Self { week, holidays, workdays, offset_minutes, version: kept.version }
    }
}

impl From<CalendarBody> for KeptCalendar {
    fn from(body: CalendarBody) -> Self {
        let CalendarBody { week, holidays, workdays, offset_minutes, version } = body;
        Self { written: Written { week, holidays, workdays, offset_minutes }, version }
    }
}

/// The routes of this file.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add(routes!(read_calendar), Rule::May(Action::ReadOrganization))
        .add(routes!(set_calendar), Rule::May(Action::ManageCalendar))
}

/// The calendar of an organization; version 0 and no hours while there is none.
#[utoipa::path(
    get, path = "/api/v1/organizations/{id}/calendar", tag = "organizations",
    operation_id = "read_calendar",
    params(("id" = String, Path, description = "the organization")),
    responses((status = 200, body = CalendarBody), (status = 404, body = Problem))
)]
async fn read_calendar(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<CalendarBody>, Problem> {
    let id = named(OrganizationId::parse(&id))?;
    Ok(Json(api.service.calendar(&who.caller, &id).await?.into()))
}

/// Writes the calendar: urgent and routine cases that are opened at this centre from now on are due
/// by its working time.
#[utoipa::path(
    put, path = "/api/v1/organizations/{id}/calendar", tag = "organizations",
    operation_id = "set_calendar", request_body = CalendarBody,
    params(("id" = String, Path, description = "the organization")),
    responses(
        (status = 200, body = CalendarBody),
        (status = 404, body = Problem),
        (status = 409, body = Problem),
        (status = 422, body = Problem),
    )
)]
async fn set_calendar(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(input): Body<CalendarBody>,
) -> Result<Json<CalendarBody>, Problem> {
    let id = named(OrganizationId::parse(&id))?;
    Ok(Json(api.service.set_calendar(&who.caller, &id, input.into()).await?.into()))
}
