//! WADO-RS whole instances (PS3.18 10.4.1.1.1) and long values (10.4.1.1.7).

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use utoipa_axum::routes;

use super::accept::{Range, accepted, not_acceptable};
use super::frames;
use super::multipart::{self, Boundary, Cut};
use super::{Keep, has_it, kept, tag, target, unchanged, whole};
use crate::http::access::{Api, Routes, Rule, Who};
use crate::http::problem::{Problem, not_found};
use crate::service::StoredImage;
use crate::service::imaging::{Bulk, Images, Target};

pub(super) fn routes(routes: Routes, rule: Rule) -> Routes {
    routes
        .add(routes!(retrieve_study), rule)
        .add(routes!(retrieve_series), rule)
        .add(routes!(retrieve_instance), rule)
        .add(routes!(bulk_data), rule)
}

const DICOM: &str = "application/dicom";
const OCTETS: &str = "application/octet-stream";

/// All instances of a study, as they are stored.
#[utoipa::path(
    get, path = "/dicomweb/studies/{study}", tag = "dicomweb", params(("study" = String, Path)),
    responses(
        (status = 200, description = "DICOM files", content_type = "multipart/related"),
        (status = 404, body = Problem), (status = 406, body = Problem)
    )
)]
async fn retrieve_study(
    State(api): State<Api>,
    who: Who,
    Path(study): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    retrieve(api, &who, &target(&study, None, None)?, &headers).await
}

/// All instances of a series, as they are stored.
#[utoipa::path(
    get, path = "/dicomweb/studies/{study}/series/{series}", tag = "dicomweb",
    params(("study" = String, Path), ("series" = String, Path)),
    responses(
        (status = 200, description = "DICOM files", content_type = "multipart/related"),
        (status = 404, body = Problem), (status = 406, body = Problem)
    )
)]
async fn retrieve_series(
    State(api): State<Api>,
    who: Who,
    Path((study, series)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    retrieve(api, &who, &target(&study, Some(&series), None)?, &headers).await
}

/// An instance, as it is stored.
#[utoipa::path(
    get, path = "/dicomweb/studies/{study}/series/{series}/instances/{instance}", tag = "dicomweb",
    params(("study" = String, Path), ("series" = String, Path), ("instance" = String, Path)),
    responses(
        (status = 200, description = "A DICOM file", content_type = "multipart/related"),
        (status = 404, body = Problem), (status = 406, body = Problem)
    )
)]
async fn retrieve_instance(
    State(api): State<Api>,
    who: Who,
    Path((study, series, instance)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    retrieve(api, &who, &target(&study, Some(&series), Some(&instance))?, &headers).await
}

async fn retrieve(
    api: Api,
    who: &Who,
    target: &Target,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let Images { study, list } = api.service.images_to_read(&who.caller, target).await?;
    let fits = |range: &Range| {
        let media = match range.kind.as_str() {
            "multipart/related" => range.parameter("type").unwrap_or(DICOM) == DICOM,
            kind => range.covers(DICOM) && (kind != DICOM || list.len() == 1),
        };
        let syntax = range.parameter("transfer-syntax").unwrap_or("*");
        media
            && (syntax == "*"
                || list.iter().all(|image| image.instance.transfer_syntax.as_str() == syntax))
    };
    let Some(range) = accepted(headers, None).into_iter().find(fits) else {
        return Err(not_acceptable(
            "multipart/related; type=\"application/dicom\"; transfer-syntax=*: what is stored",
        ));
    };
    let alone = range.kind == DICOM;
    let images = Images { study, list };
    let tag = tag(&images, &format!("files {alone}"));
    let keep = if target.instance.is_some() { Keep::Always } else { Keep::Ask };
    if has_it(headers, &tag) {
        return Ok(unchanged(&tag, keep));
    }
    let mut list = images.list.into_iter();
    let first = list.next().ok_or_else(not_found)?;
    // That the first can be read is known before the answer begins.
    let reader = api.service.file(&first).await?;
    if alone {
        let length = reader.length();
        let mut response = kept(whole(DICOM, Body::from_stream(reader.into_stream())), &tag, keep);
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        return Ok(response);
    }
    let boundary = Boundary::new(&tag);
    let parts = boundary.clone();
    let begin = move |image: &StoredImage| -> Bytes {
        parts.begin(&format!("{DICOM}; transfer-syntax={}", image.instance.transfer_syntax))
    };
    let head = stream::iter([Ok(begin(&first))]).chain(reader.into_stream().map_err(Cut::from));
    let rest = stream::iter(list).then(move |image| {
        let (service, begin) = (api.service.clone(), begin(&image));
        async move {
            let reader = service.file(&image).await.map_err(Cut::from)?;
            Ok::<_, Cut>(stream::iter([Ok(begin)]).chain(reader.into_stream().map_err(Cut::from)))
        }
    });
    let files = head.chain(rest.try_flatten());
    Ok(kept(multipart::answer(&boundary, DICOM, files), &tag, keep))
}

/// A long value of an instance. Its path is made of tags and item numbers counted from 0, separated by dots.
#[utoipa::path(
    get, path = "/dicomweb/studies/{study}/series/{series}/instances/{instance}/bulkdata/{path}",
    tag = "dicomweb",
    params(
        ("study" = String, Path), ("series" = String, Path), ("instance" = String, Path),
        ("path" = String, Path)
    ),
    responses(
        (status = 200, description = "The value", content_type = "application/octet-stream"),
        (status = 404, body = Problem), (status = 406, body = Problem)
    )
)]
async fn bulk_data(
    State(api): State<Api>,
    who: Who,
    Path((study, series, instance, path)): Path<(String, String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let target = target(&study, Some(&series), Some(&instance))?;
    let images = api.service.images_to_read(&who.caller, &target).await?;
    let image = images.list.first().ok_or_else(not_found)?;
    let bulk = api.service.bulk(image, &path).await?;
    if let Some(Bulk::Frames(count)) = bulk {
        return frames::send(&api.service, &images, (0..count).collect(), &headers).await;
    }
    let fits = |range: &Range| match range.kind.as_str() {
        "multipart/related" => matches!(range.parameter("type"), None | Some(OCTETS | "*/*")),
        _ => range.covers(OCTETS),
    };
    let Some(range) = accepted(&headers, None).into_iter().find(fits) else {
        return Err(not_acceptable(OCTETS));
    };
    let multipart = range.kind == "multipart/related";
    let tag = tag(&images, &format!("{path} {multipart}"));
    if has_it(&headers, &tag) {
        return Ok(unchanged(&tag, Keep::Always));
    }
    let (body, length) = match bulk {
        Some(Bulk::Bytes(bytes)) => {
            let length = bytes.len() as u64;
            (stream::iter([Ok(bytes)]).left_stream(), length)
        }
        Some(Bulk::Stored(reader)) => {
            let length = reader.length();
            (reader.into_stream().map_err(Cut::from).right_stream(), length)
        }
        Some(Bulk::Frames(_)) | None => return Err(not_found()),
    };
    if multipart {
        let boundary = Boundary::new(&tag);
        let parts = stream::iter([Ok(boundary.begin(OCTETS))]).chain(body);
        return Ok(kept(multipart::answer(&boundary, OCTETS, parts), &tag, Keep::Always));
    }
    let mut response = kept(whole(OCTETS, Body::from_stream(body)), &tag, Keep::Always);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    Ok(response)
}
