//! WADO-RS frames (PS3.18 10.4.1.1.6): as they are stored, decoded, or as lossless JPEG-LS.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use futures_util::stream::{self, StreamExt as _};
use utoipa_axum::routes;

use medrelay_dicom::pixels::losslessly_codable;

use super::accept::{FRAME_MEDIA, Form, Stored, accepted, forms, not_acceptable};
use super::multipart::{self, Boundary, Cut};
use super::{Keep, has_it, kept, tag, target, unchanged, whole};
use crate::http::access::{Api, Routes, Rule, Who};
use crate::http::problem::{Problem, not_found};
use crate::service::imaging::{Frame, Images};
use crate::service::{Service, StoredImage};

pub(super) fn routes(routes: Routes, rule: Rule) -> Routes {
    routes.add(routes!(frames), rule)
}

/// Frames of one call at most.
const FRAMES: usize = 2000;
/// Frames that are made ready ahead of the one that is being sent.
const AHEAD: usize = 2;

/// Frames of an instance by their numbers from 1, separated by commas.
#[utoipa::path(
    get, path = "/dicomweb/studies/{study}/series/{series}/instances/{instance}/frames/{frames}",
    tag = "dicomweb",
    params(
        ("study" = String, Path), ("series" = String, Path), ("instance" = String, Path),
        ("frames" = String, Path)
    ),
    responses(
        (status = 200, description = "The frames: in parts, or one alone", content_type = "multipart/related"),
        (status = 404, body = Problem), (status = 406, body = Problem), (status = 422, body = Problem)
    )
)]
async fn frames(
    State(api): State<Api>,
    who: Who,
    Path((study, series, instance, frames)): Path<(String, String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let target = target(&study, Some(&series), Some(&instance))?;
    let images = api.service.images_to_read(&who.caller, &target).await?;
    let wanted = numbers(&frames)?;
    send(&api.service, &images, wanted, &headers).await
}

/// Reads `1,2,3`.
fn numbers(text: &str) -> Result<Vec<u32>, Problem> {
    let numbers = text.split(',').map(|part| part.trim().parse::<u32>().ok());
    let numbers: Option<Vec<u32>> =
        numbers.take(FRAMES + 1).map(|number| number?.checked_sub(1)).collect();
    numbers.filter(|numbers| numbers.len() <= FRAMES).ok_or_else(|| Problem {
        field: Some("frames"),
        ..Problem::new(400, "BAD_FRAMES", "frames are numbers from 1, separated by commas")
    })
}

/// Sends frames, counted from 0, in the form that the caller accepts.
pub(super) async fn send(
    service: &Service,
    images: &Images,
    wanted: Vec<u32>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let image = images.list.first().ok_or_else(not_found)?;
    let (described, count) = service.frames_of(image).await?;
    if let Some(missing) = wanted.iter().find(|number| **number >= count) {
        let text = format!("there is no frame {}; the instance has {count}", missing + 1);
        return Err(Problem::new(404, "NO_SUCH_FRAME", text));
    }
    let stored = Stored {
        syntax: image.instance.transfer_syntax.as_str(),
        compressed: service.compressed(image).await?,
        codable: losslessly_codable(&described),
    };
    let mut fitting = forms(&accepted(headers, None), stored);
    // Several frames need several parts.
    fitting.retain(|form| form.multipart || wanted.len() == 1);
    let mut refusal = not_acceptable(FRAME_MEDIA);
    for form in fitting {
        match send_as(service, images, image, &wanted, &form, headers).await {
            // What cannot be made in this form may be had in the next one.
            Err(problem) if problem.code == "NOT_DECODABLE" => refusal = problem,
            answer => return answer,
        }
    }
    Err(refusal)
}

async fn send_as(
    service: &Service,
    images: &Images,
    image: &StoredImage,
    wanted: &[u32],
    form: &Form,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let tag = tag(images, &format!("{wanted:?} {form:?}"));
    if has_it(headers, &tag) {
        return Ok(unchanged(&tag, Keep::Always));
    }
    let Some((first, rest)) = wanted.split_first() else { return Err(not_found()) };
    let first = service.frame(image, *first, form.repair).await?;
    let media = |frame: &Frame| format!("{}; transfer-syntax={}", form.media, frame.syntax);
    if !form.multipart {
        return Ok(kept(whole(&media(&first), first.bytes), &tag, Keep::Always));
    }
    let boundary = Boundary::new(&tag);
    let begin = boundary.begin(&media(&first));
    let (service, image, repair) = (service.clone(), image.clone(), form.repair);
    let rest = stream::iter(rest.to_vec()).map(move |number| {
        let (service, image) = (service.clone(), image.clone());
        async move { service.frame(&image, number, repair).await }
    });
    let of_rest = begin.clone();
    let rest = rest.buffered(AHEAD).flat_map(move |frame| {
        stream::iter(match frame {
            Ok(frame) => vec![Ok(of_rest.clone()), Ok(frame.bytes)],
            Err(error) => vec![Err(Cut::from(error))],
        })
    });
    let parts = stream::iter([Ok(begin), Ok(first.bytes)]).chain(rest);
    Ok(kept(multipart::answer(&boundary, form.media, parts), &tag, Keep::Always))
}
