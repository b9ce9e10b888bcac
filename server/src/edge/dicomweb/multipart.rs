//! `multipart/related` answers (RFC 2387) that stream: no part waits for the next.

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::stream::{self, Stream, StreamExt as _};

use crate::service::{BlobError, Error};

/// The bytes between parts, and how a part begins.
#[derive(Debug, Clone)]
pub(super) struct Boundary(String);

impl Boundary {
    /// A boundary that no sender of images can know, made of the answer's tag.
    pub fn new(tag: &str) -> Self {
        let letters = tag.chars().filter(char::is_ascii_alphanumeric);
        Self(format!("medrelay-{}", letters.collect::<String>()))
    }

    /// What stands before a part.
    pub fn begin(&self, media: &str) -> Bytes {
        format!("\r\n--{}\r\nContent-Type: {media}\r\n\r\n", self.0).into()
    }

    fn end(&self) -> Bytes {
        format!("\r\n--{}--\r\n", self.0).into()
    }
}

/// The answer of parts that begin with [`Boundary::begin`].
pub(super) fn answer(
    boundary: &Boundary,
    media: &str,
    parts: impl Stream<Item = Result<Bytes, Cut>> + Send + 'static,
) -> Response {
    let end = stream::iter([Ok(boundary.end())]);
    let mut response = Response::new(Body::from_stream(parts.chain(end)));
    let kind = format!("multipart/related; type=\"{media}\"; boundary={}", boundary.0);
    if let Ok(kind) = HeaderValue::try_from(kind) {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

/// Why an answer that had begun broke off; the connection ends with it, so nobody takes it for whole.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
pub(super) struct Cut;

impl From<Error> for Cut {
    fn from(error: Error) -> Self {
        tracing::warn!(error = %error, "images that were being sent cannot be read");
        Self
    }
}

impl From<BlobError> for Cut {
    fn from(error: BlobError) -> Self {
        Self::from(Error::from(error))
    }
}
