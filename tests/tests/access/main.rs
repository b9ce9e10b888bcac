//! The permission matrix over HTTP: every route × every role × {own, partner by agreement, expired
//! agreement, stranger}, against a table that was written by hand from what people do, not from
//! the code. Whoever may not know of an object gets the very answer that a made-up identifier
//! gets. A route without a line here fails the test.

mod table;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use medrelay::edge::describe;
use medrelay_client::{Claim, DeliveryQuery, NewOrder, StudyQuery, Text};
use medrelay_core::people::Role;
use medrelay_core::time::Span;
use medrelay_dicom::phantom::{Modality as Kind, PhantomPatient, PhantomSpec};
use medrelay_tests::clinic::{Consortium, Pact, Person, Place};
use medrelay_tests::relay::{Engine, Relay, tell};
use reqwest::Method;
use serde_json::{Value, json};

use Place::{ClinicA, County, Lead, Stranger};
use Role::{ClinicDoctor as Doctor, Coordinator, Reporter, Technician, Verifier};
use table::{ALL, About, Line, TABLE};

/// Everybody who asks: each role at each of these places.
const ASKING: [Place; 4] = [ClinicA, Lead, County, Stranger];

#[test]
fn every_route_has_its_line_and_every_line_its_route() {
    let (description, rules) = describe();
    let described: BTreeSet<String> = description
        .paths
        .paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = [
                ("GET", item.get.is_some()),
                ("POST", item.post.is_some()),
                ("PUT", item.put.is_some()),
                ("PATCH", item.patch.is_some()),
                ("DELETE", item.delete.is_some()),
            ];
            methods.into_iter().filter(|(_, has)| *has).map(move |(m, _)| format!("{m} {path}"))
        })
        .collect();
    let ruled: BTreeSet<String> = rules.keys().cloned().collect();
    let lines: BTreeSet<String> = TABLE.iter().map(|line| line.route.to_owned()).collect();
    assert_eq!(described, ruled, "the description and the rules name the same routes");
    assert_eq!(described, lines, "a route without a line in this table is not proven");
    assert_eq!(lines.len(), TABLE.len(), "each route once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_matrix_over_http_on_sqlite() -> Result<()> {
    tell(Engine::Sqlite, matrix).await
}

/// The same on the other engine: with it, every route's statements have run on both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_matrix_over_http_on_postgres() -> Result<()> {
    tell(Engine::Postgres, matrix).await
}

async fn matrix(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let scene = Scene::play(relay, &consortium).await?;
    served_description(relay).await?;
    let mut wrong = Vec::new();
    // Those who may not first: what is allowed may change things.
    for allowed in [false, true] {
        for line in TABLE {
            walk(&scene, &consortium, line, allowed, &mut wrong).await?;
        }
    }
    relay.work().await?;
    ensure!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

/// What is served is what was compared with the table.
async fn served_description(relay: &Relay) -> Result<()> {
    let served: Value = relay.client().get("/api/v1/openapi.json").await?;
    let here: Value = serde_json::from_str(&describe().0.to_json()?)?;
    assert_eq!(served["paths"], here["paths"]);
    Ok(())
}

async fn walk(
    scene: &Scene,
    consortium: &Consortium,
    line: &Line,
    allowed: bool,
    wrong: &mut Vec<String>,
) -> Result<()> {
    if line.about == About::Public {
        return Ok(());
    }
    if !allowed {
        let (status, code, _) = scene.ask(line, None, ClinicA, false).await?;
        if (status, code.as_str()) != (401, "UNAUTHENTICATED") {
            wrong.push(format!("{} by nobody: {status} {code}", line.route));
        }
    }
    for place in ASKING {
        for role in ALL.iter().copied() {
            let expected = line.expected(role, place);
            if expected.is_none() != allowed || ends_session(line) {
                continue;
            }
            let person = consortium.person(place, role).await?;
            if line.route == "DELETE /api/v1/devices/{id}" && allowed {
                scene.admit_device_again(consortium).await?;
            }
            if line.route == "DELETE /api/v1/templates/{id}" && allowed {
                scene.make_template_again(consortium).await?;
            }
            let (status, code, body) = scene.ask(line, Some(&person), place, false).await?;
            let who = format!("{} by {role:?} of {place:?}", line.route);
            match expected {
                None if matches!(code.as_str(), "UNAUTHENTICATED" | "FORBIDDEN" | "NOT_FOUND") => {
                    // A session of one's own that does not exist is not there for anybody.
                    if line.route != "DELETE /api/v1/sessions/{id}" {
                        wrong.push(format!("{who}: refused with {status} {code}"));
                    }
                }
                None if status >= 500 => wrong.push(format!("{who}: {status} {code}")),
                None => {
                    if line.about == About::List && place == Stranger && scene.is_told(&body) {
                        wrong.push(format!("{who}: a stranger's list names clinic A's objects"));
                    }
                }
                Some(expected) if status != expected => {
                    wrong.push(format!("{who}: {status} {code}, expected {expected}"));
                }
                Some(404) => {
                    let made_up = scene.ask(line, Some(&person), place, true).await?;
                    if made_up != (status, code.clone(), body) {
                        wrong.push(format!("{who}: differs from what does not exist"));
                    }
                }
                Some(_) => {}
            }
        }
    }
    Ok(())
}

/// Calls that end the caller's session have a test of their own.
fn ends_session(line: &Line) -> bool {
    matches!(line.route, "DELETE /api/v1/sessions" | "DELETE /api/v1/sessions/current")
}

/// One case with everything that belongs to it.
#[derive(Debug, Clone, Default)]
struct Objects {
    order: String,
    paper: String,
    study: String,
    instance: String,
    /// UIDs of the study, its series and the instance.
    uids: [String; 3],
    case: String,
    report: String,
    delivery: String,
    agreement: String,
    destination: String,
    finding: String,
    centre: String,
}

/// What is there when people ask.
struct Scene {
    http: reqwest::Client,
    base: String,
    clinic: String,
    person: String,
    device: std::sync::Mutex<String>,
    template: std::sync::Mutex<String>,
    gateway: String,
    /// The handle of a join code that nobody uses.
    join_code: String,
    /// An object of clinic A that was put aside.
    aside: String,
    /// Read by the lead hospital under an agreement in force.
    current: Objects,
    /// Read by the county hospital, closed, its agreement ended.
    expired: Objects,
}

impl Scene {
    async fn play(relay: &Relay, consortium: &Consortium) -> Result<Self> {
        let lead = read_and_signed(relay, consortium, Kind::Ct, Lead, Pact::Double).await?;
        let county = read_and_signed(relay, consortium, Kind::Mr, County, Pact::Magnet).await?;
        let doctor = consortium.person(ClinicA, Doctor).await?;
        doctor.acknowledge(&county.delivery).await?;
        assert_eq!(doctor.case(&county.case).await?.case.stage, "closed");
        consortium.end(relay, Pact::Magnet).await?;
        let person = json!({
            "login": "asked.about", "name": "甲", "password": "four quiet rivers",
            "grants": [{ "organization": consortium.at(ClinicA), "role": "technician" }],
        });
        let person = consortium.make("/api/v1/people", &person).await?.id;
        let (gateway, join_code) = gateway_joined(relay, consortium).await?;
        let aside = put_aside(consortium).await?;
        let scene = Self {
            gateway,
            join_code,
            aside,
            http: reqwest::Client::new(),
            base: relay.url(),
            clinic: consortium.at(ClinicA).to_owned(),
            person,
            device: std::sync::Mutex::default(),
            template: std::sync::Mutex::default(),
            current: lead,
            expired: county,
        };
        scene.admit_device_again(consortium).await?;
        scene.make_template_again(consortium).await?;
        Ok(scene)
    }

    /// A text for everybody at clinic A that may be removed.
    async fn make_template_again(&self, consortium: &Consortium) -> Result<()> {
        let made = consortium.make("/api/v1/templates", &template(&self.clinic)).await?;
        *self.template.lock().expect("no test panics with it") = made.id;
        Ok(())
    }

    /// A device that may be removed.
    async fn admit_device_again(&self, consortium: &Consortium) -> Result<()> {
        let body = json!({
            "clinic": self.clinic, "name": "DX", "address": "10.1.0.0/16",
            "ae_title": format!("DX{}", nonce() % 1_000_000),
        });
        let made = consortium.make("/api/v1/devices", &body).await?;
        *self.device.lock().expect("no test panics with it") = made.id;
        Ok(())
    }

    /// Whether a text names one of clinic A's objects.
    fn is_told(&self, body: &str) -> bool {
        let objects = [&self.current, &self.expired];
        objects.iter().any(|it| {
            let clinical = [&it.order, &it.study, &it.case, &it.report, &it.delivery];
            [clinical.as_slice(), &[&it.agreement, &it.finding]]
                .concat()
                .iter()
                .any(|id| body.contains(id.as_str()))
                || body.contains(&it.uids[0])
        }) || body.contains(&self.person)
            || body.contains(&self.clinic)
    }

    /// Makes the call of a line as somebody; `made_up` asks about things that do not exist.
    async fn ask(
        &self,
        line: &Line,
        who: Option<&Person>,
        place: Place,
        made_up: bool,
    ) -> Result<(u16, String, String)> {
        let (method, pattern) = line.route.split_once(' ').context("METHOD path")?;
        let objects = if place == County { &self.expired } else { &self.current };
        let nothing = |id: &str| if made_up { made_up_id() } else { id.to_owned() };
        let id = match pattern.split('/').nth(3).unwrap_or_default() {
            "organizations" => self.clinic.clone(),
            "people" => self.person.clone(),
            "agreements" => objects.agreement.clone(),
            "destinations" => objects.destination.clone(),
            "devices" => self.device.lock().expect("no test panics with it").clone(),
            "templates" => self.template.lock().expect("no test panics with it").clone(),
            "gateways" => self.gateway.clone(),
            "clinics" => self.clinic.clone(),
            "join-codes" => self.join_code.clone(),
            "orders" => objects.order.clone(),
            "attachments" => objects.paper.clone(),
            "quarantine" => self.aside.clone(),
            "studies" => objects.study.clone(),
            "instances" => objects.instance.clone(),
            "cases" => objects.case.clone(),
            "reports" => objects.report.clone(),
            "deliveries" => objects.delivery.clone(),
            "findings" => objects.finding.clone(),
            "centres" => self.current.centre.clone(),
            _ => made_up_id(),
        };
        let path = pattern.replace("{id}", &nothing(&id));
        let path = named_in_dicom(&path, &objects.uids, made_up);
        let query = if line.route == PAPERS { "?name=a.pdf" } else { "" };
        let url = format!("{}{path}{query}", self.base);
        let mut request = self.http.request(Method::from_bytes(method.as_bytes())?, url);
        if let Some(person) = who {
            request = request.bearer_auth(person.token().context("signed in")?);
        }
        if let Some(body) = self.body(line.route, objects, &nothing(&self.clinic)) {
            request = request.json(&body);
        }
        if line.route == PAPERS {
            request = request.body(PAPER).header("content-type", "application/pdf");
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        if pattern == "/api/v1/events" && status == 200 {
            // The stream does not end; that it begins is enough here.
            return Ok((status, String::new(), String::new()));
        }
        let bytes = answer.bytes().await?;
        let problem: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let code = problem["code"].as_str().unwrap_or_default().to_owned();
        Ok((status, code, String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// A body that is well-formed, and where it may, does no harm: an old version, a wrong token.
    fn body(&self, route: &str, objects: &Objects, clinic: &str) -> Option<Value> {
        let proof = json!({ "token": "0".repeat(64), "fence": 0 });
        let text = json!({ "findings": "甲", "impression": "乙" });
        let name = format!("{}", nonce());
        Some(match route {
            "POST /api/v1/organizations" => {
                json!({ "parent": clinic, "kind": "village_clinic", "name": name })
            }
            "POST /api/v1/people" => json!({
                "login": format!("p{name}"), "name": "乙", "password": "five quiet rivers",
                "grants": [{ "organization": clinic, "role": "technician" }],
            }),
            "POST /api/v1/people/{id}/password" => json!({ "password": "six quiet rivers" }),
            // Guesses would lock: what is asked here is refused before anything is proved.
            "POST /api/v1/me/second-factor"
            | "POST /api/v1/me/second-factor/remove"
            | "POST /api/v1/me/step-up"
            | "POST /api/v1/people/{id}/invitation" => json!({}),
            "POST /api/v1/me/second-factor/confirm" => json!({ "code": "1" }),
            "PUT /api/v1/me/preferences" => json!({ "body": {}, "version": 0 }),
            "POST /api/v1/templates" => template(clinic),
            "POST /api/v1/me/password" => {
                json!({ "current_password": "seven quiet rivers", "password": "short" })
            }
            "POST /api/v1/agreements" => {
                json!({ "clinic": clinic, "centre": objects.centre, "policy": "double" })
            }
            "POST /api/v1/agreements/{id}/destinations" => {
                json!({ "route": "inbox", "name": "收件箱" })
            }
            "POST /api/v1/devices" => {
                json!({ "clinic": clinic, "name": "甲", "ae_title": &name[..name.len().min(16)] })
            }
            "POST /api/v1/clinics/{id}/join-codes" => json!({ "name": "甲" }),
            "POST /api/v1/cases/{id}/return" => json!({ "proof": proof, "code": "MOTION" }),
            "POST /api/v1/cases/{id}/resubmit" => json!({ "text": "" }),
            "POST /api/v1/cases/{id}/assign" => json!({ "person": null }),
            "POST /api/v1/cases/{id}/findings" => json!({ "code": "FREE_GAS", "text": "甲" }),
            "POST /api/v1/findings/{id}/acknowledge" => json!({ "read_back": "甲有游离气体" }),
            "POST /api/v1/findings/{id}/settle" => json!({ "disposition": "observe" }),
            "POST /api/v1/findings/{id}/false-alarm" => json!({ "reason": "甲" }),
            "PUT /api/v1/cases/{id}/annotations" => json!({ "proof": proof, "body": {} }),
            "POST /api/v1/cases/{id}/messages" => json!({ "kind": "notice", "text": "甲" }),
            "POST /api/v1/orders" => json!({
                "clinic": clinic, "patient_id": "P9", "patient_name": "甲", "modality": "CT",
            }),
            "PUT /api/v1/organizations/{id}/calendar" => json!({
                "week": [[], [], [], [], [], [], []], "holidays": [], "workdays": [],
                "offset_minutes": 480, "version": 999,
            }),
            "POST /api/v1/quarantine/{id}/settle" => json!({ "reason": "重新发送" }),
            "POST /api/v1/studies/{id}/match" => json!({ "order": objects.order }),
            "POST /api/v1/cases/{id}/heartbeat" => proof,
            "POST /api/v1/cases/{id}/release" => json!({ "token": "0", "fence": 0 }),
            "POST /api/v1/cases/{id}/take-over" => json!({ "reason": "换班" }),
            "PUT /api/v1/cases/{id}/draft" | "POST /api/v1/cases/{id}/sign" => {
                json!({ "proof": proof, "text": text })
            }
            "POST /api/v1/cases/{id}/addenda" => json!({ "text": text, "reason": "补充" }),
            route if route.starts_with("PATCH") => json!({ "version": 999 }),
            _ => return None,
        })
    }
}

/// A text for everybody at a clinic.
fn template(clinic: &str) -> Value {
    json!({
        "organization": clinic, "own": false, "kind": "phrase", "name": "未见异常",
        "findings": "未见异常。",
    })
}

/// The path of DICOMweb to an image, or to one that is made up.
fn named_in_dicom(path: &str, uids: &[String; 3], made_up: bool) -> String {
    let mut path = path.replace("{frames}", "1").replace("{frame}", "1");
    path = path.replace("{path}", "00100020");
    for (name, uid) in ["{study}", "{series}", "{instance}"].into_iter().zip(uids) {
        let made_up = if made_up { format!("2.25.{}", nonce()) } else { uid.clone() };
        path = path.replace(name, &made_up);
    }
    path
}

/// A gateway of clinic A, and the handle of a second code.
async fn gateway_joined(relay: &Relay, consortium: &Consortium) -> Result<(String, String)> {
    let codes = format!("/api/v1/clinics/{}/join-codes", consortium.at(ClinicA));
    let code = async || consortium.root.call::<Value>(Method::POST, &codes, &json!({})).await;
    let (first, second) = (code().await?, code().await?);
    let key = rcgen::KeyPair::generate()?;
    let request = rcgen::CertificateParams::default().serialize_request(&key)?.pem()?;
    let body = json!({ "code": first["code"], "request": request });
    let joined: Value = relay.client().call(Method::POST, "/api/v1/link/join", &body).await?;
    let text = |value: &Value| value.as_str().map(str::to_owned).context("a text");
    Ok((text(&joined["gateway"])?, text(&second["handle"])?))
}

/// An object of clinic A whose UID is known with other bytes.
async fn put_aside(consortium: &Consortium) -> Result<String> {
    let one = PhantomSpec::tiny(1, 77).iter().next().context("an image")?;
    let mut other = one.clone();
    // A private element behind the pixels: (7FE1,0010) OB of two bytes.
    other.data_set.extend_from_slice(b"\xE1\x7F\x10\x00OB\0\0\x02\0\0\0\x01\x02");
    let scanner = consortium.scanner(ClinicA);
    scanner.send_instances(&[one]).await?;
    scanner.send_instances(&[other]).await?;
    let technician = consortium.person(ClinicA, Technician).await?;
    let found: Value = technician.get("/api/v1/quarantine?settled=false").await?;
    Ok(found["items"][0]["id"].as_str().context("put aside")?.to_owned())
}

/// Adds a paper to an order: the one route whose body is not JSON.
const PAPERS: &str = "POST /api/v1/orders/{id}/attachments";
/// What may be a paper of an order.
const PAPER: &[u8] = b"%PDF-1.7\n";

/// A paper of an order.
async fn paper_added(relay: &Relay, doctor: &Person, order: &str) -> Result<String> {
    let request = reqwest::Client::new()
        .post(format!("{}/api/v1/orders/{order}/attachments?name=a.pdf", relay.url()))
        .header("content-type", "application/pdf")
        .bearer_auth(doctor.token().context("signed in")?)
        .body(PAPER);
    let made: Value = request.send().await?.error_for_status()?.json().await?;
    Ok(made["id"].as_str().context("a paper")?.to_owned())
}

/// A study of clinic A, ordered, read at `centre` and signed; not acknowledged.
async fn read_and_signed(
    relay: &Relay,
    consortium: &Consortium,
    kind: Kind,
    centre: Place,
    pact: Pact,
) -> Result<Objects> {
    let seed = 71 + kind as u64;
    let spec = PhantomSpec {
        patient: PhantomPatient::sample(kind as usize),
        accession: Some(format!("M{}", kind.code())),
        ..PhantomSpec { rows: 16, columns: 16, instances: 1, ..PhantomSpec::new(kind, seed) }
    };
    let doctor = consortium.person(ClinicA, Doctor).await?;
    let clinic = consortium.at(ClinicA);
    let order = NewOrder {
        accession: spec.accession.clone(),
        ..NewOrder::new(clinic, spec.patient.id.clone(), "甲", kind.code())
    };
    let order = doctor.create_order(&order).await?;
    let paper = paper_added(relay, &doctor, &order.id).await?;
    consortium.scanner(ClinicA).send(&spec).await?;
    relay.advance(Span::from_minutes(2)).await?;
    let studies = doctor.studies(&StudyQuery::default()).await?;
    let study = studies.into_iter().find(|study| study.uid == spec.study_uid().to_string());
    let study = study.context("the study is there")?;
    let first = consortium.numbered(centre, Verifier, 1).await?;
    let second = consortium.numbered(centre, Verifier, 2).await?;
    let text = Text::new("甲", "乙");
    let mut claim = first.next_case().await?;
    let finding = found(&first, &claim).await?;
    let mut report = first.sign(&claim, &text).await?;
    if report.kind == "preliminary" {
        claim = second.next_case().await?;
        report = second.sign(&claim, &text).await?;
    }
    relay.work().await?;
    let of_case = DeliveryQuery { case: Some(claim.case.id.clone()), ..DeliveryQuery::default() };
    let deliveries = doctor.deliveries(&of_case).await?.items;
    let destinations = format!("/api/v1/agreements/{}/destinations", consortium.pact(pact));
    let destinations: Value = consortium.root.get(&destinations).await?;
    let destination = destinations["items"][0]["id"].as_str().context("an inbox")?;
    let detail = doctor.study(&study.id).await?;
    Ok(Objects {
        paper,
        order: order.id,
        instance: detail.series[0].instances[0].id.clone(),
        uids: [
            study.uid.clone(),
            detail.series[0].uid.clone(),
            detail.series[0].instances[0].uid.clone(),
        ],
        study: study.id,
        case: claim.case.id,
        report: report.id,
        delivery: deliveries.first().context("a delivery")?.id.clone(),
        agreement: consortium.pact(pact).to_owned(),
        destination: destination.to_owned(),
        finding,
        centre: consortium.at(centre).to_owned(),
    })
}

/// A critical finding and something drawn, under a claim.
async fn found(reader: &Person, claim: &Claim) -> Result<String> {
    let path = |what: &str| format!("/api/v1/cases/{}/{what}", claim.case.id);
    let finding = json!({ "code": "FREE_GAS", "text": "甲" });
    let finding: Value = reader.call(Method::POST, &path("findings"), &finding).await?;
    let proof = json!({ "token": claim.token, "fence": claim.fence });
    let drawn = json!({ "proof": proof, "body": { "arrows": [] } });
    let _: Value = reader.call(Method::PUT, &path("annotations"), &drawn).await?;
    finding["id"].as_str().map(str::to_owned).context("an identifier")
}

/// A list holds what its caller may see: one's own, one's partners', nobody else's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_hold_what_single_objects_allow() -> Result<()> {
    tell(Engine::Sqlite, async |relay: &mut Relay| {
        let consortium = Consortium::found(relay).await?;
        let scene = Scene::play(relay, &consortium).await?;
        let lists: BTreeMap<&str, &str> = BTreeMap::from([
            ("/api/v1/orders", scene.current.order.as_str()),
            ("/api/v1/studies", scene.current.study.as_str()),
            ("/api/v1/cases", scene.current.case.as_str()),
            ("/api/v1/findings", scene.current.finding.as_str()),
            ("/api/v1/messages", scene.current.case.as_str()),
        ]);
        for (list, id) in lists {
            for (place, role, sees) in [
                (ClinicA, Technician, true),
                (ClinicA, Doctor, true),
                (Lead, Reporter, true),
                (Lead, Coordinator, true),
                (Lead, Technician, false),
                (County, Reporter, false),
                (County, Coordinator, false),
                (Stranger, Technician, false),
                (Place::ClinicB, Doctor, false),
            ] {
                let person = consortium.person(place, role).await?;
                let page: Value = person.get(list).await?;
                let found = page["items"].to_string().contains(id);
                ensure!(found == sees, "{list} for {role:?} of {place:?}: {found}");
            }
        }
        // What was read by the county hospital is gone from its lists with the agreement.
        let county = consortium.person(County, Coordinator).await?;
        let gone = [
            "/api/v1/orders",
            "/api/v1/studies",
            "/api/v1/cases",
            "/api/v1/deliveries",
            "/api/v1/findings",
            "/api/v1/messages",
        ];
        for list in gone {
            let page: Value = county.get(list).await?;
            ensure!(page["items"] == json!([]), "{list} still shows: {page}");
        }
        Ok(())
    })
    .await
}

/// The only two calls that end sessions, for one person of each role.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_may_sign_out() -> Result<()> {
    tell(Engine::Sqlite, async |relay: &mut Relay| {
        let consortium = Consortium::found(relay).await?;
        for (at, role) in ALL.iter().enumerate() {
            let person = consortium.person(ClinicA, *role).await?;
            let path = ["/api/v1/sessions/current", "/api/v1/sessions"][at % 2];
            person.tell(Method::DELETE, path, &json!(null)).await?;
            match person.me().await {
                Err(error) if error.code() == Some("UNAUTHENTICATED") => {}
                other => bail!("{role:?} is still signed in: {other:?}"),
            }
        }
        Ok(())
    })
    .await
}

/// A number that was not used before.
fn nonce() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(100_000);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// An identifier that nothing has.
fn made_up_id() -> String {
    uuid::Uuid::from_u128(0x0190_a5c0_0000_7000_8000_0000_0000_0000 | u128::from(nonce()))
        .to_string()
}
