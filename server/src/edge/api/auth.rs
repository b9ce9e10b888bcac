//! Who is asking: the same for every edge over HTTP.

pub use crate::http::access::{COOKIE, CSRF_HEADER, Who, guard};
