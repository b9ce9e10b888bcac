//! Lists and inputs: keyset paging and JSON bodies whose faults are told in full.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::problem::Problem;
use crate::service::PAGE_LIMIT;

/// Where a list goes on, and how far.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// The identifier of the last item of the previous page.
    pub after: Option<String>,
    /// How many items at most, 1 to 200; 50 if absent.
    pub limit: Option<i64>,
}

impl Paging {
    /// The number of items to read: one more than shown, to know whether there are more.
    pub fn limit(&self) -> i64 {
        self.limit.unwrap_or(50).clamp(1, PAGE_LIMIT)
    }
}

/// One page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Pass this as `after` to get the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A page of at most `limit` items out of a list that was read with one more than that.
    pub fn of(mut items: Vec<T>, limit: i64, id: impl Fn(&T) -> String) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(id) } else { None };
        Self { items, next }
    }
}

/// A JSON body; what is wrong with it is told as a problem.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(JsonRejection::BytesRejection(_)) => {
                Err(Problem::new(413, "BODY_TOO_LARGE", "the body is larger than is taken here"))
            }
            Err(JsonRejection::MissingJsonContentType(_)) => {
                Err(Problem::new(415, "NOT_JSON", "send the body as application/json"))
            }
            Err(rejection) => Err(Problem::new(422, "VALIDATION", json_fault(&rejection))),
        }
    }
}

/// What serde says, without the value that it may quote.
fn json_fault(rejection: &JsonRejection) -> String {
    let mut source: Option<&dyn std::error::Error> = Some(rejection);
    let mut last = String::new();
    while let Some(error) = source {
        last = error.to_string();
        source = error.source();
    }
    match last.find("invalid type").or_else(|| last.find("invalid value")) {
        Some(_) => {
            let tail = last.find(" at line").map_or("", |at| &last[at..]);
            let field = last.split(':').next().filter(|f| !f.contains(' ')).unwrap_or("a field");
            format!("{field}: wrong type or value{tail}")
        }
        None => last,
    }
}

/// A query string; what is wrong with it is told as a problem.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(QueryRejection::FailedToDeserializeQueryString(_)) | Err(_) => Err(Problem::new(
                422,
                "VALIDATION",
                "the query string has an unknown or malformed parameter",
            )),
        }
    }
}
