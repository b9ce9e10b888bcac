//! The whole stack of a listener over a real database: pages, health, keys, orders, streams.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::ConnectInfo;
use axum::http::Request;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt as _;

use super::*;
use crate::app::{Ambient, assemble};
use crate::config::Config;
use crate::lifecycle::Stopped;

const PASSWORD: &str = "seven green herons wade";

struct Scene {
    router: Router,
    service: Service,
    lifecycle: Lifecycle,
    settings: HttpSettings,
    _data: tempfile::TempDir,
}

struct Answer {
    status: u16,
    headers: axum::http::HeaderMap,
    body: Value,
}

impl Scene {
    async fn new() -> anyhow::Result<Self> {
        let data = tempfile::tempdir()?;
        let mut config = Config::default();
        config.data.dir = data.path().to_owned();
        let service = assemble(&config, &Ambient::system()).await?;
        let (lifecycle, settings) = (Lifecycle::new(), HttpSettings::default());
        let router = router(
            crate::edge::router(service.clone()),
            service.clone(),
            &lifecycle,
            &settings,
            true,
        );
        Ok(Self { router, service, lifecycle, settings, _data: data })
    }

    async fn ask(&self, request: Request<axum::body::Body>) -> anyhow::Result<Answer> {
        let response = self.router.clone().oneshot(request).await?;
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 4 << 20).await?;
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| text());
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    async fn get(&self, path: &str, token: &str) -> anyhow::Result<Answer> {
        self.ask(request("GET", path, token, &Value::Null, None)?).await
    }

    async fn post(&self, path: &str, token: &str, body: Value) -> anyhow::Result<Answer> {
        self.ask(request("POST", path, token, &body, None)?).await
    }

    /// Sets the relay up and signs a clinic's doctor in: the token and the clinic.
    async fn clinic_doctor(&self) -> anyhow::Result<(String, String)> {
        let ticket = self.service.ensure_setup_ticket().await?.expect("nobody is there yet");
        let first = json!({ "token": ticket, "hospital": "县医院", "name": "王管理", "login": "admin",
            "password": PASSWORD });
        let set_up = self.post("/api/v1/setup", "", first).await?;
        assert_eq!(set_up.status, 201, "{}", set_up.body);
        let admin = self.sign_in("admin").await?;
        let parent = &set_up.body["organization"]["id"];
        let clinic = json!({ "parent": parent, "kind": "township_clinic", "name": "东乡卫生院" });
        let clinic = self.post("/api/v1/organizations", &admin, clinic).await?;
        assert_eq!(clinic.status, 201, "{}", clinic.body);
        let clinic = clinic.body["id"].as_str().expect("an id").to_owned();
        let doctor = json!({ "login": "doctor", "name": "李医生", "password": PASSWORD,
            "modalities": [], "grants": [{ "organization": clinic, "role": "clinic_doctor" }] });
        let made = self.post("/api/v1/people", &admin, doctor).await?;
        assert_eq!(made.status, 201, "{}", made.body);
        Ok((self.sign_in("doctor").await?, clinic))
    }

    async fn sign_in(&self, login: &str) -> anyhow::Result<String> {
        let input = json!({ "login": login, "password": PASSWORD, "kind": "program" });
        let answer = self.post("/api/v1/sessions", "", input).await?;
        assert_eq!(answer.status, 201, "{}", answer.body);
        Ok(answer.body["token"].as_str().expect("a token").to_owned())
    }
}

fn request(
    method: &str,
    path: &str,
    token: &str,
    body: &Value,
    key: Option<&str>,
) -> anyhow::Result<Request<axum::body::Body>> {
    let mut request = Request::builder().method(method).uri(path);
    request = request.extension(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 40_000))));
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    if body.is_null() {
        return Ok(request.body(axum::body::Body::empty())?);
    }
    let request = request.header("content-type", "application/json");
    Ok(request.body(axum::body::Body::from(body.to_string()))?)
}

fn order(clinic: &str) -> Value {
    json!({ "clinic": clinic, "patient_id": "P1", "patient_name": "赵六", "modality": "CT",
        "accession": "A1", "priority": "stat", "question": "出血？" })
}

#[tokio::test]
async fn pages_carry_their_headers_and_no_script_of_their_own() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    for path in ["/", "/setup", "/queue"] {
        let mut page = request("GET", path, "", &Value::Null, None)?;
        page.headers_mut().insert("accept", "text/html,*/*;q=0.8".parse()?);
        let answer = scene.ask(page).await?;
        assert_eq!(answer.status, 200, "{path}");
        let policy = answer.headers["content-security-policy"].to_str()?;
        assert!(policy.contains("default-src 'self'; script-src 'self' 'wasm-unsafe-eval';"));
        assert!(!policy.contains("'unsafe-eval'"), "{policy}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer");
        assert!(answer.headers.contains_key("strict-transport-security"));
        let text = answer.body.as_str().unwrap_or_default();
        assert!(!text.contains("<script>") && !text.contains("style="), "{path} is not inline");
    }
    let mut unknown = request("GET", "/api/v1/nothing", "", &Value::Null, None)?;
    unknown.headers_mut().insert("accept", "text/html".parse()?);
    assert_eq!(scene.ask(unknown).await?.status, 404, "an interface has no pages");
    let nothing = scene.get("/api/v1/nothing", "").await?;
    assert_eq!(nothing.status, 404);
    assert_eq!(nothing.body["code"], "NOT_FOUND");
    assert_eq!(nothing.headers["content-type"], "application/problem+json");
    assert_eq!(nothing.headers["x-request-id"].len(), 36);
    Ok(())
}

#[tokio::test]
async fn health_is_told_and_metrics_stay_on_this_machine() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    assert_eq!(scene.get("/healthz", "").await?.status, 200);
    let early = scene.get("/readyz", "").await?;
    assert_eq!((early.status, &early.body["serving"]), (503, &json!(false)));
    scene.lifecycle.set_ready();
    let ready = scene.get("/readyz", "").await?;
    assert_eq!(ready.status, 200, "{}", ready.body);
    scene.lifecycle.stop();
    assert_eq!(scene.get("/readyz", "").await?.status, 503, "a stop takes no new work");

    let numbers = scene.get("/metrics", "").await?;
    assert_eq!(numbers.status, 200);
    let text = numbers.body.as_str().unwrap_or_default();
    assert!(text.contains("medrelay_http_requests_total"), "{text}");
    let mut elsewhere = request("GET", "/metrics", "", &Value::Null, None)?;
    let stranger = SocketAddr::from(([10, 1, 2, 3], 40_000));
    elsewhere.extensions_mut().insert(ConnectInfo(stranger));
    assert_eq!(scene.ask(elsewhere).await?.status, 404);
    let mut passed_on = request("GET", "/metrics", "", &Value::Null, None)?;
    passed_on.headers_mut().insert("x-forwarded-for", "10.1.2.3".parse()?);
    assert_eq!(scene.ask(passed_on).await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn a_call_with_a_key_is_done_once() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (token, clinic) = scene.clinic_doctor().await?;
    let (path, body) = ("/api/v1/orders", order(&clinic));
    let first = scene.ask(request("POST", path, &token, &body, Some("k-1"))?).await?;
    assert_eq!(first.status, 201, "{}", first.body);
    assert!(first.body["number"].as_str().is_some_and(|n| n.starts_with("ORD-")));
    let again = scene.ask(request("POST", path, &token, &body, Some("k-1"))?).await?;
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert_eq!(again.headers["idempotent-replay"], "true");
    let other =
        json!({ "clinic": clinic, "patient_id": "P2", "patient_name": "x", "modality": "CT" });
    let other = scene.ask(request("POST", path, &token, &other, Some("k-1"))?).await?;
    assert_eq!((other.status, &other.body["code"]), (422, &json!("IDEMPOTENCY_MISMATCH")));
    let list = scene.get(path, &token).await?;
    assert_eq!(list.body["items"].as_array().map(Vec::len), Some(1));

    // A refusal changes nothing and is not kept: the same key may try again.
    let wrong =
        json!({ "clinic": clinic, "patient_id": "", "patient_name": "x", "modality": "CT" });
    for _ in 0..2 {
        let refused = scene.ask(request("POST", path, &token, &wrong, Some("k-2"))?).await?;
        assert_eq!((refused.status, &refused.body["field"]), (422, &json!("patient_id")));
        assert!(!refused.headers.contains_key("idempotent-replay"));
    }
    let spaced = scene.ask(request("POST", path, &token, &body, Some("two words"))?).await?;
    assert_eq!((spaced.status, &spaced.body["code"]), (422, &json!("VALIDATION")));
    Ok(())
}

#[tokio::test]
async fn an_order_is_changed_until_it_has_its_study() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (token, clinic) = scene.clinic_doctor().await?;
    let made = scene.post("/api/v1/orders", &token, order(&clinic)).await?;
    let path = format!("/api/v1/orders/{}", made.body["id"].as_str().unwrap_or_default());
    let patch = json!({ "version": 1, "accession": "", "priority": "urgent" });
    let changed = scene.ask(request("PATCH", &path, &token, &patch, None)?).await?;
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(changed.body["accession"], Value::Null);
    assert_eq!(changed.body["priority"], "urgent");
    let stale = scene.ask(request("PATCH", &path, &token, &patch, None)?).await?;
    assert_eq!((stale.status, &stale.body["code"]), (409, &json!("VERSION_CONFLICT")));
    let read = scene.get(&path, &token).await?;
    assert_eq!(read.body, changed.body);
    let admin = scene.sign_in("admin").await?;
    assert_eq!(scene.get(&path, &admin).await?.status, 403, "no clinical content for them");
    assert_eq!(scene.get("/api/v1/orders?matched=yes", &token).await?.status, 422);
    Ok(())
}

#[tokio::test]
async fn the_trail_is_whole_and_its_anchors_agree() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (token, clinic) = scene.clinic_doctor().await?;
    scene.service.anchor_audit().await?;
    scene.post("/api/v1/orders", &token, order(&clinic)).await?;
    scene.service.anchor_audit().await?;
    let report = scene.service.verify_audit().await?;
    assert_eq!((report.fault, report.anchors), (None, 2));
    assert!(report.events >= 5, "only {} events", report.events);
    assert_eq!(scene.get("/api/v1/audit", &token).await?.status, 403);
    Ok(())
}

#[tokio::test]
async fn silent_connections_end_and_streams_end_with_the_relay() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (token, clinic) = scene.clinic_doctor().await?;
    scene.post("/api/v1/orders", &token, order(&clinic)).await?;
    let settings = HttpSettings { head_time: Duration::from_millis(200), ..scene.settings.clone() };
    let server = Server::new(
        crate::edge::router(scene.service.clone()),
        scene.service.clone(),
        scene.lifecycle.clone(),
        settings,
        false,
    );
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    drop(scene.lifecycle.spawn(server.listen(listener, None)));

    for start in ["", "P", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\nHost: x\r\n"] {
        let mut silent = TcpStream::connect(address).await?;
        silent.write_all(start.as_bytes()).await?;
        let mut rest = Vec::new();
        // The end may come as an error; what counts is that it comes.
        let ended = tokio::time::timeout(Duration::from_secs(5), silent.read_to_end(&mut rest));
        assert!(ended.await.is_ok(), "{start:?} holds its connection");
    }

    let mut stream = TcpStream::connect(address).await?;
    let ask = format!(
        "GET /api/v1/events?after=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(ask.as_bytes()).await?;
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    while !seen.contains("order_changed") {
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut buffer)).await??;
        assert!(read > 0, "the stream ended early: {seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    assert!(seen.contains("text/event-stream") && !seen.contains("赵六"), "{seen}");
    assert!(!seen.contains("signed_in") && !seen.contains("person_changed"), "{seen}");
    scene.lifecycle.stop();
    let how = scene.lifecycle.stopped(Duration::from_secs(5), std::future::pending()).await;
    assert_eq!(how, Stopped::Cleanly, "an open stream does not hold the relay up");
    Ok(())
}
