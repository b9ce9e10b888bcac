//! DICOMweb (PS3.18) for viewers: searching (QIDO-RS) and retrieving (WADO-RS), in the same sessions as `/api/v1`.
//!
//! A study that its caller may not see is not there. What names an instance never changes, so frames and pictures may
//! stay in the browser's own cache; lists and headers are asked for again, because studies grow.

mod accept;
mod frames;
mod metadata;
mod multipart;
mod objects;
mod qido;
mod rendered;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use medrelay_core::access::Action;
use medrelay_core::id::Uid;

use crate::http::access::{Routes, Rule};
use crate::http::problem::{Problem, not_found};
use crate::service::imaging::{Images, Target};
use crate::service::token_hash;

/// Adds the routes; every one of them reads studies.
pub fn routes(routes: Routes) -> Routes {
    let rule = Rule::May(Action::ReadStudy);
    let routes = qido::routes(routes, rule);
    let routes = metadata::routes(routes, rule);
    let routes = frames::routes(routes, rule);
    let routes = rendered::routes(routes, rule);
    objects::routes(routes, rule)
}

/// What a path names; a text that is no UID names nothing.
fn target(study: &str, series: Option<&str>, instance: Option<&str>) -> Result<Target, Problem> {
    let uid = |text: &str| Uid::parse(text).map_err(|_| not_found());
    Ok(Target {
        study: uid(study)?,
        series: series.map(uid).transpose()?,
        instance: instance.map(uid).transpose()?,
    })
}

/// A query that is not as it must be.
fn bad_query(detail: impl Into<String>) -> Problem {
    Problem { field: Some("query"), ..Problem::new(400, "BAD_QUERY", detail) }
}

/// The tag of an answer that is made of these images in this way; another version of the relay may make it otherwise.
fn tag(images: &Images, how: &str) -> String {
    let mut text = format!("{} {how}", env!("CARGO_PKG_VERSION"));
    for image in &images.list {
        text.push_str(image.instance.id.as_str());
        text.push_str(image.profile.as_deref().unwrap_or_default());
    }
    let mut tag = token_hash(&text);
    tag.truncate(32);
    tag
}

/// Whether the caller has the answer with this tag already.
fn has_it(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|v| v.to_str().ok());
    known.flat_map(|line| line.split(',')).any(|known| {
        let known = known.trim().trim_start_matches("W/").trim_matches('"');
        known == tag || known == "*"
    })
}

/// How long an answer is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// For ever, by this caller alone.
    Always,
    /// Until asked again.
    Ask,
}

/// "You have it already."
fn unchanged(tag: &str, keep: Keep) -> Response {
    kept(StatusCode::NOT_MODIFIED.into_response(), tag, keep)
}

/// An answer with its tag, and how long it is good.
fn kept(mut response: Response, tag: &str, keep: Keep) -> Response {
    let (tag, control) = match keep {
        Keep::Always => (format!("\"{tag}\""), "private, max-age=31536000, immutable"),
        Keep::Ask => (format!("W/\"{tag}\""), "private, no-cache"),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(control));
    headers.insert(header::VARY, HeaderValue::from_static("Accept, Cookie, Authorization"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// An answer of one media type.
fn whole(media: &str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    if let Ok(media) = HeaderValue::try_from(media) {
        response.headers_mut().insert(header::CONTENT_TYPE, media);
    }
    response
}

/// Where an instance is.
fn address(study: &Uid, series: &Uid, instance: &Uid) -> String {
    format!("/dicomweb/studies/{study}/series/{series}/instances/{instance}")
}
