//! The HTTP interface as a whole: calls that are repeated, lists that go on, refusals that can be
//! read by a program, live events that can be resumed, and how the relay says how it is.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use medrelay_client::{NewOrder, OrderQuery};
use medrelay_core::people::Role;
use medrelay_core::time::Span;
use medrelay_dicom::phantom::PhantomSpec;
use medrelay_tests::clinic::{Consortium, Person, Place};
use medrelay_tests::relay::{Engine, Relay, tell};
use reqwest::{Method, Response};
use serde_json::{Value, json};

/// How long an event may take through the loopback; passing it is a failure, not a wait.
const PATIENCE: Duration = Duration::from_secs(30);

fn order(consortium: &Consortium, patient: &str) -> NewOrder {
    NewOrder::new(consortium.at(Place::ClinicA), patient, "张^三", "CT")
}

/// A request in somebody's name, without the client's convenience.
fn bare(relay: &Relay, person: &Person, method: Method, path: &str) -> reqwest::RequestBuilder {
    let url = format!("{}{path}", relay.url());
    let token = person.token().unwrap_or_default();
    reqwest::Client::new().request(method, url).bearer_auth(token)
}

async fn orders(relay: &Relay) -> Result<i64> {
    relay.count("SELECT COUNT(*) FROM orders").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_with_a_key_is_done_once_on_sqlite() -> Result<()> {
    tell(Engine::Sqlite, idempotency).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_with_a_key_is_done_once_on_postgres() -> Result<()> {
    tell(Engine::Postgres, idempotency).await
}

async fn idempotency(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let doctor = consortium.person(Place::ClinicA, Role::ClinicDoctor).await?;
    let technician = consortium.person(Place::ClinicA, Role::Technician).await?;
    let wanted = order(&consortium, "P1");
    let first = doctor.with_key("k1").create_order(&wanted).await?;
    let second = doctor.with_key("k1").create_order(&wanted).await?;
    assert_eq!(first, second);
    assert_eq!(orders(relay).await?, 1);
    let answer = bare(relay, &doctor, Method::POST, "/api/v1/orders")
        .header("idempotency-key", "k1")
        .json(&wanted)
        .send()
        .await?;
    assert_eq!(answer.status().as_u16(), 201);
    assert_eq!(answer.headers()["idempotent-replay"], "true");

    let other = doctor.with_key("k1").create_order(&order(&consortium, "P2")).await;
    assert_eq!(other.expect_err("another call").code(), Some("IDEMPOTENCY_MISMATCH"));
    technician.with_key("k1").create_order(&wanted).await?;
    assert_eq!(orders(relay).await?, 2, "a key belongs to one person");

    // A refusal has changed nothing: the key may be used again.
    let bad = NewOrder { modality: "C T".to_owned(), ..wanted.clone() };
    let refused = doctor.with_key("k2").create_order(&bad).await.expect_err("no code");
    assert_eq!(refused.code(), Some("VALIDATION"));
    doctor.with_key("k2").create_order(&wanted).await?;
    assert_eq!(orders(relay).await?, 3);

    let keyed = doctor.with_key("k3");
    let wanted = order(&consortium, "P3");
    let (one, two, three) = tokio::join!(
        keyed.create_order(&wanted),
        keyed.create_order(&wanted),
        keyed.create_order(&wanted)
    );
    let mut made = BTreeSet::new();
    for outcome in [one, two, three] {
        match outcome {
            Ok(order) => drop(made.insert(order.id)),
            Err(error) => assert_eq!(error.code(), Some("IN_FLIGHT"), "{error}"),
        }
    }
    assert_eq!((made.len(), orders(relay).await?), (1, 4));

    // A day later the key is forgotten, and the answers that held patient data with it.
    let kept = relay.text("SELECT response FROM idempotency LIMIT 1").await?;
    ensure!(!kept.contains("P1") && !kept.contains("张"), "the kept answer is sealed: {kept}");
    relay.advance(Span::from_hours(25)).await?;
    assert_eq!(relay.count("SELECT COUNT(*) FROM idempotency").await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_goes_on_where_it_ended_on_sqlite() -> Result<()> {
    tell(Engine::Sqlite, paging).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_goes_on_where_it_ended_on_postgres() -> Result<()> {
    tell(Engine::Postgres, paging).await
}

async fn paging(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let doctor = consortium.person(Place::ClinicA, Role::ClinicDoctor).await?;
    let mut written = Vec::new();
    for patient in 0..7 {
        relay.pass(Span::from_millis(1));
        written.push(doctor.create_order(&order(&consortium, &format!("P{patient}"))).await?.id);
    }
    written.reverse();
    let (mut seen, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let query = OrderQuery { after, limit: Some(3), ..OrderQuery::default() };
        let page = doctor.orders(&query).await?;
        pages += 1;
        assert!(page.items.len() <= 3);
        seen.extend(page.items.into_iter().map(|order| order.id));
        // What comes in between neither shifts a page nor appears on a later one.
        relay.pass(Span::from_millis(1));
        doctor.create_order(&order(&consortium, "LATE")).await?;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((seen, pages), (written, 3), "newest first, each once");
    let all = OrderQuery { limit: Some(10_000), ..OrderQuery::default() };
    assert_eq!(doctor.orders(&all).await?.items.len(), 10, "more than allowed is the most allowed");
    let few = OrderQuery { limit: Some(-5), ..OrderQuery::default() };
    assert_eq!(doctor.orders(&few).await?.items.len(), 1);
    for query in ["?after=nonsense", "?limit=many", "?unknown=1"] {
        let path = format!("/api/v1/orders{query}");
        let refused = doctor.get::<Value>(&path).await.expect_err("not a query");
        assert_eq!(refused.code(), Some("VALIDATION"), "{query}");
    }
    Ok(())
}

async fn problem(answer: Response) -> Result<Value> {
    let kind = answer.headers()["content-type"].to_str()?.to_owned();
    ensure!(kind == "application/problem+json", "{kind}");
    ensure!(answer.headers().contains_key("x-request-id"), "no number to quote");
    let status = answer.status().as_u16();
    let body: Value = answer.json().await?;
    ensure!(body["status"] == status, "{body}");
    for member in ["code", "title", "detail"] {
        ensure!(body[member].as_str().is_some_and(|text| !text.is_empty()), "no {member}: {body}");
    }
    let code = body["code"].as_str().unwrap_or_default();
    ensure!(code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "not a stable code: {code}");
    Ok(body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_a_problem_that_a_program_can_read() -> Result<()> {
    tell(Engine::Sqlite, async |relay: &mut Relay| {
        let consortium = Consortium::found(relay).await?;
        let doctor = consortium.person(Place::ClinicA, Role::ClinicDoctor).await?;
        let call = |method, path: &str| bare(relay, &doctor, method, path);
        let post = || call(Method::POST, "/api/v1/orders");
        let good = serde_json::to_value(order(&consortium, "P1"))?;
        let mut extra = good.clone();
        extra["unknown"] = 1.into();
        let mut bad = good.clone();
        bad["patient_birth_date"] = "Secret\u{7}19990101".into();
        let json = "application/json";
        let large = format!("{{\"history\":\"{}\"}}", "x".repeat(1 << 20));
        let cases = [
            (call(Method::GET, "/api/v1/nothing/here"), 404, "NOT_FOUND"),
            (call(Method::GET, "/api/v1/orders/not-an-id"), 404, "NOT_FOUND"),
            (call(Method::PUT, "/api/v1/orders"), 405, "METHOD_NOT_ALLOWED"),
            (post().body("{}"), 415, "NOT_JSON"),
            (post().header("content-type", json).body("{\"clinic\":"), 422, "VALIDATION"),
            (post().json(&extra), 422, "VALIDATION"),
            (post().json(&bad), 422, "VALIDATION"),
            (post().header("content-type", json).body(large), 413, "BODY_TOO_LARGE"),
            (call(Method::GET, "/api/v1/people"), 403, "FORBIDDEN"),
            (call(Method::POST, "/api/v1/queue/next"), 403, "FORBIDDEN"),
            (post().header("idempotency-key", "a b").json(&good), 422, "VALIDATION"),
        ];
        for (request, status, code) in cases {
            let shown = format!("{request:?}");
            let body = problem(request.send().await?).await.context(shown.clone())?;
            ensure!(body["status"] == status && body["code"] == code, "{shown}: {body}");
            ensure!(!body.to_string().contains("Secret"), "a value is repeated: {body}");
        }
        let fields = problem(post().json(&bad).send().await?).await?;
        assert_eq!(fields["field"], "patient_birth_date");
        assert_eq!(orders(relay).await?, 0, "nothing of it was written");
        Ok(())
    })
    .await
}

/// Server-sent events as they come out of a response.
struct Stream {
    response: Response,
    text: String,
}

impl Stream {
    async fn open(relay: &Relay, person: &Person, last: Option<i64>) -> Result<Self> {
        let mut request = bare(relay, person, Method::GET, "/api/v1/events");
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let response = request.send().await?;
        ensure!(response.status().as_u16() == 200, "{}", response.status());
        ensure!(response.headers()["content-type"] == "text/event-stream");
        Ok(Self { response, text: String::new() })
    }

    /// The next event; `None` when the stream has ended.
    async fn next(&mut self) -> Result<Option<Value>> {
        // Around the whole: comments that keep the stream alive come for ever.
        tokio::time::timeout(PATIENCE, self.read()).await.context("no event came")?
    }

    async fn read(&mut self) -> Result<Option<Value>> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
                if let Some(data) = field("data:") {
                    let event: Value = serde_json::from_str(data.trim())?;
                    let id = field("id:").context("an event without a number")?.trim();
                    ensure!(event["seq"].as_i64() == id.parse().ok(), "{block}");
                    return Ok(Some(event));
                }
                continue;
            }
            match self.response.chunk().await? {
                Some(bytes) => self.text.push_str(&String::from_utf8_lossy(&bytes)),
                None => return Ok(None),
            }
        }
    }

    async fn kinds(&mut self, count: usize) -> Result<Vec<String>> {
        let mut kinds = Vec::new();
        for _ in 0..count {
            let event = self.next().await?.context("the stream has ended")?;
            kinds.push(event["kind"].as_str().unwrap_or_default().to_owned());
        }
        Ok(kinds)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_come_live_and_can_be_resumed() -> Result<()> {
    tell(Engine::Sqlite, async |relay: &mut Relay| {
        let consortium = Consortium::found(relay).await?;
        let doctor = consortium.person(Place::ClinicA, Role::ClinicDoctor).await?;
        let reader = consortium.person(Place::Lead, Role::Reporter).await?;
        let stranger = consortium.person(Place::Stranger, Role::ClinicDoctor).await?;
        let head = relay.count("SELECT MAX(seq) FROM events").await?;
        let mut live = Stream::open(relay, &doctor, None).await?;
        let mut centre = Stream::open(relay, &reader, None).await?;
        let mut outside = Stream::open(relay, &stranger, None).await?;

        doctor.create_order(&order(&consortium, "P1")).await?;
        consortium.scanner(Place::ClinicA).send(&PhantomSpec::tiny(1, 81)).await?;
        relay.advance(Span::from_secs(60)).await?;
        let expected =
            ["order_changed", "study_arriving", "study_complete", "case_opened", "case_queued"];
        let told = live.kinds(expected.len()).await.context("live")?;
        assert_eq!(told, expected);
        // The centre hears of everything but the order, which is the clinic's until it has images.
        assert_eq!(centre.kinds(4).await.context("at the centre")?, expected[1..]);

        // Whoever was away gets the same, from where they were; nothing twice, nothing left out.
        let mut resumed = Stream::open(relay, &doctor, Some(head)).await?;
        assert_eq!(resumed.kinds(told.len()).await.context("resumed")?, told);
        let written = doctor.create_order(&order(&consortium, "P2")).await?;
        let event = live.next().await?.context("the stream goes on")?;
        assert_eq!(event["object"], format!("order:{}", written.id));
        assert_eq!(resumed.next().await?, Some(event.clone()));
        let fields: Vec<&String> = event.as_object().context("an object")?.keys().collect();
        assert_eq!(fields, ["at", "kind", "object", "seq"], "no patient data");

        // A stranger is told of their own and of nothing else.
        let own = NewOrder::new(consortium.at(Place::Stranger), "P9", "李^四", "CT");
        stranger.create_order(&own).await?;
        let first = outside.next().await?.context("one's own event")?;
        assert_eq!(first["kind"], "order_changed");
        let all = relay.count("SELECT MAX(seq) FROM events").await?;
        ensure!(first["seq"].as_i64().is_some_and(|seq| seq > head && seq <= all));

        let bad = bare(relay, &reader, Method::GET, "/api/v1/events").header("last-event-id", "x");
        assert_eq!(problem(bad.send().await?).await?["code"], "VALIDATION");

        // Open streams do not hold up a stop: it ends them.
        relay.restart().await?;
        for stream in [&mut live, &mut centre, &mut resumed, &mut outside] {
            ensure!(stream.next().await?.is_none(), "the stream has ended");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_relay_says_how_it_is() -> Result<()> {
    tell(Engine::Sqlite, async |relay: &mut Relay| {
        let http = reqwest::Client::new();
        let at = |path: &str| http.get(format!("{}{path}", relay.url()));
        assert_eq!(at("/healthz").send().await?.text().await?, "ok\n");
        let ready = at("/readyz").send().await?;
        assert_eq!(ready.status().as_u16(), 200);
        let said: Value = ready.json().await?;
        for what in ["ready", "serving", "database", "blobs", "space"] {
            assert_eq!(said[what], true, "{said}");
        }
        let version: Value = at("/version").send().await?.json().await?;
        assert_eq!(version["name"], "medrelay");

        Consortium::found(relay).await?;
        let numbers = at("/metrics").send().await?.text().await?;
        ensure!(numbers.contains("medrelay_http_requests_total{"), "{numbers}");
        ensure!(numbers.contains("route=\"/api/v1/organizations\""), "{numbers}");
        let elsewhere = at("/metrics").header("x-forwarded-for", "10.0.0.9").send().await?;
        assert_eq!(elsewhere.status().as_u16(), 404, "for this machine only");

        let headers = at("/").send().await?.headers().clone();
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(headers[name], value);
        }
        let policy = headers["content-security-policy"].to_str()?;
        ensure!(policy.contains("default-src 'self'"), "{policy}");
        // Pages may compile their decoders and carry styles, and run no script from within a page.
        let scripts = policy.split("; ").find(|part| part.starts_with("script-src "));
        assert_eq!(scripts, Some("script-src 'self' 'wasm-unsafe-eval'"), "{policy}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_description_is_whole() -> Result<()> {
    tell(Engine::Sqlite, async |relay: &mut Relay| {
        let description: Value = relay.client().get("/api/v1/openapi.json").await?;
        ensure!(description["openapi"].as_str().is_some_and(|it| it.starts_with("3.1")));
        let mut operations = BTreeSet::new();
        for (path, item) in description["paths"].as_object().context("paths")? {
            let known = ["/api/v1/", "/dicomweb/"].iter().any(|base| path.starts_with(base));
            ensure!(known, "{path}");
            for (method, operation) in item.as_object().context("methods")? {
                let id = operation["operationId"].as_str().context("an operation's name")?;
                ensure!(operations.insert(id.to_owned()), "{id} twice");
                ensure!(operation["responses"].is_object(), "{method} {path} has no answer");
                let declared = operation["parameters"].to_string();
                for name in path.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
                    let named = declared.contains(&format!("\"name\":\"{name}\""));
                    ensure!(named, "{method} {path} does not declare {name}");
                }
            }
        }
        ensure!(operations.len() > 50, "only {} operations", operations.len());
        let text = description.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap_or_default();
            ensure!(description.pointer(pointer).is_some(), "{pointer} leads nowhere");
        }
        let problem = &description["components"]["schemas"]["Problem"]["properties"];
        ensure!(problem["code"].is_object(), "the shape of a refusal is described");
        Ok(())
    })
    .await
}

/// The example of the client library, which is documentation that runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_signs_in_and_out() -> Result<()> {
    tell(Engine::Sqlite, async |relay: &mut Relay| {
        let consortium = Consortium::found(relay).await?;
        let doctor = consortium.person(Place::ClinicA, Role::ClinicDoctor).await?;
        let me = doctor.me().await?;
        assert_eq!((me.id.as_str(), me.grants.len()), (doctor.id.as_str(), 1));
        assert_eq!(doctor.sessions().await?.len(), 1);
        assert!(doctor.inbox(None).await?.items.is_empty());
        let client = doctor.client.clone();
        client.sign_out().await?;
        let over = doctor.me().await.expect_err("signed out");
        assert_eq!(over.code(), Some("UNAUTHENTICATED"));
        let nobody: Value = json!({ "login": "x" });
        let refused = relay.client().tell(Method::POST, "/api/v1/sessions", &nobody).await;
        assert_eq!(refused.expect_err("no password").code(), Some("VALIDATION"));
        Ok(())
    })
    .await
}
