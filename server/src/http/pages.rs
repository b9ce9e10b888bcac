//! The browser side inside the program: its files as `make web` built them, packed, and its one
//! page for every path that a person can see in the address bar.

use std::io::Read as _;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::problem::not_found;

/// A file of the browser side.
struct Asset {
    path: &'static str,
    kind: &'static str,
    brotli: &'static [u8],
    gzip: &'static [u8],
}

const ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// Shown by a debug build that was made without `make web`.
const MISSING: &str = "浏览器页面尚未构建，请运行 make web 后重新编译。\n\
                       The pages are not built: run `make web`, then build the program again.\n";

/// What belongs to the interfaces: there, nothing but the truth about what is missing.
const INTERFACES: [&str; 4] = ["/api/", "/dicomweb", "/link", "/metrics"];

pub(super) fn routes() -> Router {
    let mut router = Router::new().route("/", get(index));
    for asset in ASSETS.iter().filter(|asset| asset.path != "/index.html") {
        router = router.route(asset.path, get(move |headers| async move { file(asset, &headers) }));
    }
    router
}

/// Answers what no route knows: the page, when a person has typed or reloaded one of its paths.
pub(super) async fn otherwise(request: Request) -> Response {
    let path = request.uri().path();
    let headers = request.headers();
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let wanted = accept.is_some_and(|kinds| kinds.contains("text/html"));
    let last = path.rsplit('/').next().unwrap_or_default();
    let ours = INTERFACES.iter().all(|front| !path.starts_with(front)) && !last.contains('.');
    if wanted && ours && matches!(*request.method(), Method::GET | Method::HEAD) {
        return index(headers.clone()).await;
    }
    not_found().into_response()
}

async fn index(headers: HeaderMap) -> Response {
    match ASSETS.iter().find(|asset| asset.path == "/index.html") {
        Some(page) => file(page, &headers),
        None => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], MISSING).into_response(),
    }
}

/// A file in the form that the browser takes. Its name changes with its content, so it may be
/// kept for ever; those without such a name are asked for again each time.
fn file(asset: &'static Asset, headers: &HeaderMap) -> Response {
    let named = asset.path.starts_with("/assets/");
    let keep = if named { "public, max-age=31536000, immutable" } else { "no-cache" };
    let tag = format!("\"{:08x}\"", checksum(asset.brotli));
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let same = known.is_some_and(|tags| tags.split(',').any(|one| one.trim().ends_with(&tag)));
    let common = [
        (header::CACHE_CONTROL, keep.to_owned()),
        (header::ETAG, tag),
        (header::VARY, "accept-encoding".to_owned()),
    ];
    if same {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let kind = [(header::CONTENT_TYPE, asset.kind)];
    let packed = |name, bytes| {
        let encoding = [(header::CONTENT_ENCODING, name)];
        (common.clone(), kind.clone(), encoding, Bytes::from_static(bytes)).into_response()
    };
    match accepted(headers) {
        Some("br") => packed("br", asset.brotli),
        Some(_) => packed("gzip", asset.gzip),
        None => match unpacked(asset.gzip) {
            Ok(bytes) => (common, kind, bytes).into_response(),
            Err(error) => {
                tracing::error!(%error, "a page inside the program is damaged");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        },
    }
}

/// The better packed form that the browser names and does not exclude (RFC 9110 12.5.3).
fn accepted(headers: &HeaderMap) -> Option<&'static str> {
    let text = headers.get(header::ACCEPT_ENCODING)?.to_str().ok()?;
    let takes = |name: &str| {
        text.split(',').any(|one| {
            let mut parts = one.split(';').map(str::trim);
            let excluded = |part: &str| part.strip_prefix("q=").is_some_and(is_zero);
            parts.next() == Some(name) && !parts.any(excluded)
        })
    };
    ["br", "gzip"].into_iter().find(|name| takes(name))
}

fn is_zero(weight: &str) -> bool {
    weight.parse::<f32>().is_ok_and(|weight| weight <= 0.0)
}

fn unpacked(gzip: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(gzip).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// FNV-1a: enough to tell two builds of a page apart.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(text: &'static str) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, header::HeaderValue::from_static(text));
        accepted(&headers)
    }

    #[test]
    fn the_packed_form_is_the_one_that_the_browser_takes() {
        assert_eq!(takes("gzip, deflate, br, zstd"), Some("br"));
        assert_eq!(takes("gzip;q=1.0, br;q=0"), Some("gzip"));
        assert_eq!(takes("deflate"), None);
        assert_eq!(takes(""), None);
        assert_eq!(accepted(&HeaderMap::new()), None);
    }

    #[test]
    fn every_file_is_whole_and_named_once() -> std::io::Result<()> {
        let mut paths: Vec<&str> = ASSETS.iter().map(|asset| asset.path).collect();
        paths.dedup();
        assert_eq!(paths.len(), ASSETS.len());
        for asset in ASSETS {
            assert!(
                !unpacked(asset.gzip)?.is_empty() && !asset.brotli.is_empty(),
                "{}",
                asset.path
            );
        }
        Ok(())
    }
}
