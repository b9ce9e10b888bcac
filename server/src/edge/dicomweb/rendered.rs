//! WADO-RS rendered images and thumbnails (PS3.18 8.3.5, 10.4.1.1.3, 10.4.1.1.5).

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use utoipa_axum::routes;

use medrelay_dicom::pixels::{Curve, Look, Window};

use super::accept::{accepted, not_acceptable};
use super::{Keep, bad_query, has_it, kept, tag, target, unchanged, whole};
use crate::http::access::{Api, Routes, Rule, Who};
use crate::http::problem::Problem;
use crate::service::imaging::{Drawing, Format, Target};

pub(super) fn routes(routes: Routes, rule: Rule) -> Routes {
    routes
        .add(routes!(study_rendered), rule)
        .add(routes!(study_thumbnail), rule)
        .add(routes!(series_rendered), rule)
        .add(routes!(series_thumbnail), rule)
        .add(routes!(instance_rendered), rule)
        .add(routes!(instance_thumbnail), rule)
        .add(routes!(frame_rendered), rule)
        .add(routes!(frame_thumbnail), rule)
}

type Pairs = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// Quality of a JPEG unless asked for another.
const QUALITY: u8 = 90;
/// Longest side of a thumbnail unless asked for another, in pixels.
const THUMBNAIL: u32 = 200;

/// Whether a picture is for looking at or for finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Rendered,
    Thumbnail,
}

/// The image that stands for a study, as a picture.
#[utoipa::path(
    get, path = "/dicomweb/studies/{study}/rendered", tag = "dicomweb",
    params(("study" = String, Path)),
    responses((status = 200, content_type = "image/jpeg"), (status = 404, body = Problem))
)]
async fn study_rendered(
    State(api): State<Api>,
    who: Who,
    Path(study): Path<String>,
    headers: HeaderMap,
    pairs: Pairs,
) -> Result<Response, Problem> {
    let target = target(&study, None, None)?;
    draw(&api, &who, target, None, Asked::read(pairs, &headers, Purpose::Rendered)?).await
}

/// The image that stands for a study, small.
#[utoipa::path(
    get, path = "/dicomweb/studies/{study}/thumbnail", tag = "dicomweb",
    params(("study" = String, Path)),
    responses((status = 200, content_type = "image/jpeg"), (status = 404, body = Problem))
)]
async fn study_thumbnail(
    State(api): State<Api>,
    who: Who,
    Path(study): Path<String>,
    headers: HeaderMap,
    pairs: Pairs,
) -> Result<Response, Problem> {
    let target = target(&study, None, None)?;
    draw(&api, &who, target, None, Asked::read(pairs, &headers, Purpose::Thumbnail)?).await
}

/// The image that stands for a series, as a picture.
#[utoipa::path(
    get, path = "/dicomweb/studies/{study}/series/{series}/rendered", tag = "dicomweb",
    params(("study" = String, Path), ("series" = String, Path)),
    responses((status = 200, content_type = "image/jpeg"), (status = 404, body = Problem))
)]
async fn series_rendered(
    State(api): State<Api>,
    who: Who,
    Path((study, series)): Path<(String, String)>,
    headers: HeaderMap,
    pairs: Pairs,
) -> Result<Response, Problem> {
    let target = target(&study, Some(&series), None)?;
    draw(&api, &who, target, None, Asked::read(pairs, &headers, Purpose::Rendered)?).await
}

/// The image that stands for a series, small.
#[utoipa::path(
    get, path = "/dicomweb/studies/{study}/series/{series}/thumbnail", tag = "dicomweb",
    params(("study" = String, Path), ("series" = String, Path)),
    responses((status = 200, content_type = "image/jpeg"), (status = 404, body = Problem))
)]
async fn series_thumbnail(
    State(api): State<Api>,
    who: Who,
    Path((study, series)): Path<(String, String)>,
    headers: HeaderMap,
    pairs: Pairs,
) -> Result<Response, Problem> {
    let target = target(&study, Some(&series), None)?;
    draw(&api, &who, target, None, Asked::read(pairs, &headers, Purpose::Thumbnail)?).await
}

/// An instance as a picture: its middle frame.
#[utoipa::path(
    get, path = "/dicomweb/studies/{study}/series/{series}/instances/{instance}/rendered",
    tag = "dicomweb",
    params(("study" = String, Path), ("series" = String, Path), ("instance" = String, Path)),
    responses((status = 200, content_type = "image/jpeg"), (status = 404, body = Problem))
)]
async fn instance_rendered(
    State(api): State<Api>,
    who: Who,
    Path((study, series, instance)): Path<(String, String, String)>,
    headers: HeaderMap,
    pairs: Pairs,
) -> Result<Response, Problem> {
    let target = target(&study, Some(&series), Some(&instance))?;
    draw(&api, &who, target, None, Asked::read(pairs, &headers, Purpose::Rendered)?).await
}

/// An instance, small.
#[utoipa::path(
    get, path = "/dicomweb/studies/{study}/series/{series}/instances/{instance}/thumbnail",
    tag = "dicomweb",
    params(("study" = String, Path), ("series" = String, Path), ("instance" = String, Path)),
    responses((status = 200, content_type = "image/jpeg"), (status = 404, body = Problem))
)]
async fn instance_thumbnail(
    State(api): State<Api>,
    who: Who,
    Path((study, series, instance)): Path<(String, String, String)>,
    headers: HeaderMap,
    pairs: Pairs,
) -> Result<Response, Problem> {
    let target = target(&study, Some(&series), Some(&instance))?;
    draw(&api, &who, target, None, Asked::read(pairs, &headers, Purpose::Thumbnail)?).await
}

/// A frame as a picture, by its number from 1.
#[utoipa::path(
    get, path = "/dicomweb/studies/{study}/series/{series}/instances/{instance}/frames/{frame}/rendered",
    tag = "dicomweb",
    params(
        ("study" = String, Path), ("series" = String, Path), ("instance" = String, Path),
        ("frame" = String, Path)
    ),
    responses((status = 200, content_type = "image/jpeg"), (status = 404, body = Problem))
)]
async fn frame_rendered(
    State(api): State<Api>,
    who: Who,
    Path((study, series, instance, frame)): Path<(String, String, String, String)>,
    headers: HeaderMap,
    pairs: Pairs,
) -> Result<Response, Problem> {
    let target = target(&study, Some(&series), Some(&instance))?;
    let asked = Asked::read(pairs, &headers, Purpose::Rendered)?;
    draw(&api, &who, target, Some(number(&frame)?), asked).await
}

/// A frame, small, by its number from 1.
#[utoipa::path(
    get, path = "/dicomweb/studies/{study}/series/{series}/instances/{instance}/frames/{frame}/thumbnail",
    tag = "dicomweb",
    params(
        ("study" = String, Path), ("series" = String, Path), ("instance" = String, Path),
        ("frame" = String, Path)
    ),
    responses((status = 200, content_type = "image/jpeg"), (status = 404, body = Problem))
)]
async fn frame_thumbnail(
    State(api): State<Api>,
    who: Who,
    Path((study, series, instance, frame)): Path<(String, String, String, String)>,
    headers: HeaderMap,
    pairs: Pairs,
) -> Result<Response, Problem> {
    let target = target(&study, Some(&series), Some(&instance))?;
    let asked = Asked::read(pairs, &headers, Purpose::Thumbnail)?;
    draw(&api, &who, target, Some(number(&frame)?), asked).await
}

fn number(text: &str) -> Result<u32, Problem> {
    let number = text.parse::<u32>().ok().and_then(|number| number.checked_sub(1));
    number.ok_or_else(|| Problem {
        field: Some("frame"),
        ..Problem::new(400, "BAD_FRAMES", "a frame is a number from 1")
    })
}

async fn draw(
    api: &Api,
    who: &Who,
    target: Target,
    frame: Option<u32>,
    asked: Asked,
) -> Result<Response, Problem> {
    let mut images = api.service.images_to_read(&who.caller, &target).await?;
    let image = images.representative().or_else(|| images.list.first()).cloned();
    let image = image.ok_or_else(crate::http::problem::not_found)?;
    images.list = vec![image.clone()];
    let tag = tag(&images, &format!("{frame:?} {:?}", asked.drawing));
    // Which image stands for a study may change when more arrive.
    let keep = if target.instance.is_some() { Keep::Always } else { Keep::Ask };
    if has_it(&asked.known, &tag) {
        return Ok(unchanged(&tag, keep));
    }
    let picture = api.service.draw(&image, frame, asked.drawing).await?;
    let media = match asked.drawing.format {
        Format::Jpeg(_) => "image/jpeg",
        Format::Png => "image/png",
    };
    Ok(kept(whole(media, picture), &tag, keep))
}

/// A picture as it was asked for.
struct Asked {
    drawing: Drawing,
    known: HeaderMap,
}

impl Asked {
    fn read(pairs: Pairs, headers: &HeaderMap, purpose: Purpose) -> Result<Self, Problem> {
        let Query(pairs) = pairs.map_err(|_| bad_query("the query string cannot be read"))?;
        let mut look = Look::default();
        if purpose == Purpose::Thumbnail {
            look.size = Some((THUMBNAIL, THUMBNAIL));
        }
        let (mut quality, mut media) = (QUALITY, None);
        for (name, value) in &pairs {
            match name.as_str() {
                "window" => {
                    let window = window(value);
                    look.window = Some(window.ok_or_else(|| {
                        bad_query(
                            "window is center,width,function; linear, linear-exact or sigmoid",
                        )
                    })?);
                }
                "viewport" => {
                    let size = viewport(value);
                    look.size = Some(size.ok_or_else(|| bad_query("viewport is width,height"))?);
                }
                "quality" => {
                    let number = value.parse().ok().filter(|number| (1..=100).contains(number));
                    quality = number.ok_or_else(|| bad_query("quality is from 1 to 100"))?;
                }
                "accept" => media = Some(value.as_str()),
                _ => return Err(bad_query("window, viewport, quality and accept are taken here")),
            }
        }
        let format = accepted(headers, media).into_iter().find_map(|range| {
            let formats = [("image/jpeg", Format::Jpeg(quality)), ("image/png", Format::Png)];
            formats.into_iter().find(|(media, _)| range.covers(media)).map(|(_, format)| format)
        });
        let format = format.ok_or_else(|| not_acceptable("image/jpeg, image/png"))?;
        Ok(Self { drawing: Drawing { look, format }, known: headers.clone() })
    }
}

fn window(text: &str) -> Option<Window> {
    let mut parts = text.split(',').map(str::trim);
    let mut number = || parts.next()?.parse::<f64>().ok().filter(|number| number.is_finite());
    let (center, width) = (number()?, number().filter(|width| *width > 0.0)?);
    let curve = match parts.next().unwrap_or("linear").to_ascii_lowercase().as_str() {
        "linear" => Curve::Linear,
        "linear-exact" | "linear_exact" => Curve::LinearExact,
        "sigmoid" => Curve::Sigmoid,
        _ => return None,
    };
    parts.next().is_none().then_some(Window { center, width, curve })
}

fn viewport(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.split_once(',')?;
    let side =
        |text: &str| text.trim().parse::<u32>().ok().filter(|side| (1..=8192).contains(side));
    Some((side(width)?, side(height)?))
}
