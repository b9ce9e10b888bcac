//! WADO-RS metadata (PS3.18 10.4.1.1.2): headers as DICOM JSON.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use utoipa_axum::routes;

use super::accept::{accepted, json};
use super::{Keep, address, has_it, kept, tag, target, unchanged, whole};
use crate::http::access::{Api, Routes, Rule, Who};
use crate::http::problem::Problem;
use crate::service::StoredImage;
use crate::service::imaging::Target;

pub(super) fn routes(routes: Routes, rule: Rule) -> Routes {
    routes
        .add(routes!(study_metadata), rule)
        .add(routes!(series_metadata), rule)
        .add(routes!(instance_metadata), rule)
}

/// The headers of all instances of a study.
#[utoipa::path(
    get, path = "/dicomweb/studies/{study}/metadata", tag = "dicomweb",
    params(("study" = String, Path)),
    responses((status = 200, content_type = "application/dicom+json"), (status = 404, body = Problem))
)]
async fn study_metadata(
    State(api): State<Api>,
    who: Who,
    Path(study): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    metadata(&api, &who, &target(&study, None, None)?, &headers).await
}

/// The headers of all instances of a series.
#[utoipa::path(
    get, path = "/dicomweb/studies/{study}/series/{series}/metadata", tag = "dicomweb",
    params(("study" = String, Path), ("series" = String, Path)),
    responses((status = 200, content_type = "application/dicom+json"), (status = 404, body = Problem))
)]
async fn series_metadata(
    State(api): State<Api>,
    who: Who,
    Path((study, series)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    metadata(&api, &who, &target(&study, Some(&series), None)?, &headers).await
}

/// The header of an instance.
#[utoipa::path(
    get, path = "/dicomweb/studies/{study}/series/{series}/instances/{instance}/metadata",
    tag = "dicomweb",
    params(("study" = String, Path), ("series" = String, Path), ("instance" = String, Path)),
    responses((status = 200, content_type = "application/dicom+json"), (status = 404, body = Problem))
)]
async fn instance_metadata(
    State(api): State<Api>,
    who: Who,
    Path((study, series, instance)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    metadata(&api, &who, &target(&study, Some(&series), Some(&instance))?, &headers).await
}

async fn metadata(
    api: &Api,
    who: &Who,
    target: &Target,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let media = json(&accepted(headers, None))?;
    let images = api.service.images(&who.caller, target).await?;
    let tag = tag(&images, "metadata");
    if has_it(headers, &tag) {
        return Ok(unchanged(&tag, Keep::Ask));
    }
    let study = &images.study.uid;
    let place = |image: &StoredImage| address(study, &image.series.uid, &image.instance.uid);
    let models = api.service.metadata(&images, place).await?;
    let text = serde_json::to_string(&models)
        .map_err(|_| Problem::new(500, "INTERNAL", "the answer cannot be written"))?;
    Ok(kept(whole(media, text), &tag, Keep::Ask))
}
