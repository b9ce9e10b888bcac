//! `/events`: what happens, as it happens.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream, StreamExt as _};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use medrelay_core::access::{Action, Denial};
use medrelay_core::event::Record;
use medrelay_core::id::SessionId;
use medrelay_core::time::Timestamp;

use super::auth::Who;
use super::page::Params;
use super::{Api, Routes, Rule};
use crate::http::Stopping;
use crate::http::problem::Problem;
use crate::service::following::Audience;
use crate::service::link::Progress;
use crate::service::{Error, Service};

/// How often the table is looked at for what other servers wrote.
const POLL: Duration = Duration::from_secs(5);
/// How often the session and its roles are looked at.
const RECHECK: Duration = Duration::from_secs(60);
/// A comment that keeps proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) fn routes(routes: Routes) -> Routes {
    routes.add(routes!(follow_events), Rule::May(Action::UseOwnAccount))
}

/// Where a stream goes on.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Since {
    /// The number of the last event that is known; the header `Last-Event-ID` counts before it.
    /// Without both, only what happens from now on is sent.
    after: Option<i64>,
}

/// One line of the stream.
#[derive(Debug, Serialize, ToSchema)]
struct Happened {
    /// Its number: also the event's `id`.
    seq: i64,
    /// What happened.
    kind: String,
    /// To what: `case:…`, `study:…`; ask the interface for more.
    object: String,
    /// When, microseconds since 1970 UTC.
    #[schema(value_type = i64)]
    at: Timestamp,
}

/// How far a study is: an event of the type `progress`, which has no number and is not kept.
#[derive(Debug, Serialize, ToSchema)]
struct Arriving {
    /// Which study.
    study: String,
    /// Instances here.
    instances: i64,
    /// Instances that its sender announced; absent when it sends without a manifest.
    expected: Option<i64>,
}

/// What happens, as it happens.
///
/// Server-sent events without patient data. A broken stream goes on where it ended by
/// `Last-Event-ID`. It ends with the session. Events of the type `progress` between them say how
/// far a study is that arrives (`{study, instances, expected}`), at most twice a second for each.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events", params(Since),
    responses((status = 200, description = "A stream of `Happened`", content_type = "text/event-stream", body = Happened))
)]
async fn follow_events(
    State(api): State<Api>,
    who: Who,
    stopping: Option<Extension<Stopping>>,
    headers: HeaderMap,
    Params(since): Params<Since>,
) -> Result<impl IntoResponse, Problem> {
    let session = who.session.ok_or(Error::Denied(Denial::Unauthenticated))?;
    let audience = api.service.audience(&session).await?;
    let audience = audience.ok_or(Error::Denied(Denial::Unauthenticated))?;
    let last = headers.get("last-event-id").and_then(|v| v.to_str().ok()).map(str::parse::<i64>);
    // Subscribed before the table is read: nothing can fall between the two.
    let signal = api.service.event_signal();
    let progress = api.service.progress();
    let head = api.service.last_event().await?;
    let from = match last {
        Some(Ok(seq)) => seq,
        Some(Err(_)) => {
            return Err(Problem::new(422, "VALIDATION", "Last-Event-ID is not an event's number"));
        }
        None => since.after.unwrap_or(head),
    };
    let follower = Follower {
        service: api.service,
        session,
        audience,
        signal,
        progress,
        stop: stopping.map_or_else(CancellationToken::new, |Extension(stopping)| stopping.0),
        seq: from.clamp(0, head),
        ready: VecDeque::new(),
        checked: Instant::now(),
    };
    // Some proxies hold even the headers back until the first byte.
    let opened = stream::once(async { Ok(Event::default().comment("open")) });
    let stream = Sse::new(opened.chain(follower.into_stream()))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    // Proxies that gather answers would hold events back.
    Ok(([("x-accel-buffering", "no"), ("cache-control", "no-store")], stream))
}

/// What a stream tells.
enum News {
    Event(Record),
    Progress(Arc<Progress>),
}

fn event(record: Record) -> Event {
    let happened =
        Happened { seq: record.seq, kind: record.kind, object: record.object, at: record.at };
    let text = serde_json::to_string(&happened).unwrap_or_default();
    Event::default().id(happened.seq.to_string()).data(text)
}

fn arriving(progress: &Progress) -> Event {
    let arriving = Arriving {
        study: progress.study.to_string(),
        instances: progress.instances,
        expected: progress.expected,
    };
    let text = serde_json::to_string(&arriving).unwrap_or_default();
    Event::default().event("progress").data(text)
}

/// One open stream: reads a page, sends it, waits without holding anything.
struct Follower {
    service: Service,
    session: SessionId,
    audience: Audience,
    signal: watch::Receiver<i64>,
    progress: broadcast::Receiver<Arc<Progress>>,
    stop: CancellationToken,
    seq: i64,
    ready: VecDeque<Record>,
    checked: Instant,
}

impl Follower {
    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> + Send {
        stream::unfold(self, |mut follower| async move {
            let event = match follower.next().await? {
                News::Event(record) => event(record),
                News::Progress(progress) => arriving(&progress),
            };
            Some((Ok(event), follower))
        })
    }

    /// The next event; `None` ends the stream.
    async fn next(&mut self) -> Option<News> {
        loop {
            if self.stop.is_cancelled() || !self.still_welcome().await {
                return None;
            }
            if let Some(record) = self.ready.pop_front() {
                return Some(News::Event(record));
            }
            self.signal.mark_unchanged();
            match self.service.events_after(&self.audience, self.seq).await {
                Ok((events, seq)) if seq > self.seq => {
                    self.seq = seq;
                    self.ready = events.into();
                    continue;
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "live events cannot be read now"),
            }
            if let Some(progress) = self.wait().await? {
                return Some(News::Progress(progress));
            }
        }
    }

    /// Waits for something to look at; a listener too slow for progress misses some of it.
    async fn wait(&mut self) -> Option<Option<Arc<Progress>>> {
        tokio::select! {
            changed = self.signal.changed() => changed.ok().map(|()| None),
            progress = self.progress.recv() => match progress {
                Ok(progress) => Some(Some(progress).filter(|p| self.audience.hears_progress(p))),
                Err(RecvError::Lagged(_)) => Some(None),
                Err(RecvError::Closed) => None,
            },
            () = tokio::time::sleep(POLL) => Some(None),
            () = self.stop.cancelled() => None,
        }
    }

    /// Looks at the session again once a minute; roles may have changed too.
    async fn still_welcome(&mut self) -> bool {
        if self.checked.elapsed() < RECHECK {
            return true;
        }
        self.checked = Instant::now();
        match self.service.audience(&self.session).await {
            Ok(Some(audience)) => {
                self.audience = audience;
                true
            }
            Ok(None) => false,
            Err(error) => {
                tracing::warn!(%error, "a stream ends because its session cannot be checked");
                false
            }
        }
    }
}
