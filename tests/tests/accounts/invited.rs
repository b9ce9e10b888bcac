//! From an invitation to a password, and to a second factor where the policy wants one.

use anyhow::{Context, Result, ensure};
use medrelay_client::Client;
use medrelay_core::people::Role;
use medrelay_core::time::Span;
use medrelay_tests::clinic::{Consortium, PASSWORD, Place, ROOT};
use medrelay_tests::relay::{Engine, Relay, tell_with};
use reqwest::Method;
use serde_json::{Value, json};

use crate::browser::{Browser, post, try_sign_in};
use crate::readers_need_it;

const OWN: &str = "four loud mountains";
const OPEN: &str = "/api/v1/invitations/open";
const ACCEPT: &str = "/api/v1/invitations/accept";

/// Somebody new without a password: their identifier and the secret of their invitation.
async fn invited(
    consortium: &Consortium,
    login: &str,
    place: Place,
    role: Role,
) -> Result<(String, String)> {
    let body = json!({
        "login": login, "name": "王丽",
        "grants": [{ "organization": consortium.at(place), "role": role }],
    });
    let made: Value = consortium.root.call(Method::POST, "/api/v1/people", &body).await?;
    assert_eq!((&made["invited"], &made["second_factor"]), (&json!(true), &json!(false)));
    let text = |value: &Value| value.as_str().map(str::to_owned).context("a text");
    Ok((text(&made["id"])?, text(&made["invitation"]["token"])?))
}

async fn invite_again(administrator: &Client, person: &str, hours: Value) -> Result<String> {
    let path = format!("/api/v1/people/{person}/invitation");
    let made: Value = administrator.call(Method::POST, &path, &json!({ "hours": hours })).await?;
    Ok(made["token"].as_str().context("a token")?.to_owned())
}

pub async fn from_the_link_to_the_second_factor(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let (person, token) = invited(&consortium, "wang.li", Place::Lead, Role::Reporter).await?;
    ensure!(relay.count("SELECT COUNT(*) FROM persons WHERE password_hash = ''").await? == 1);
    for guess in ["", PASSWORD] {
        let refused = try_sign_in(relay, "wang.li", guess, None).await?;
        assert_eq!(refused.said(), (401, "BAD_CREDENTIALS"), "no password fits none");
    }
    let opened = post(relay, OPEN, &json!({ "token": token })).await?;
    assert_eq!(
        opened.body,
        json!({
            "name": "王丽", "login": "wang.li", "organization_name": Place::Lead.name(),
            "second_factor": false, "needs_code": false,
        })
    );
    let weak = post(relay, ACCEPT, &json!({ "token": token, "password": "wang.li-1" })).await?;
    assert_eq!(weak.fault(), (422, "VALIDATION", "password"), "and the link is not used up");
    let body = json!({ "token": token, "password": OWN });
    let browser = Browser::by(relay, ACCEPT, &body).await?;
    ensure!(!browser.must_enrol);
    assert_eq!(browser.get("/api/v1/queue").await?.status, 200, "at work at once");
    for path in [OPEN, ACCEPT] {
        let body = if path == OPEN { json!({ "token": token }) } else { body.clone() };
        assert_eq!(post(relay, path, &body).await?.said(), (404, "BAD_TICKET"), "good once");
    }
    let shown: Value = consortium.root.get(&format!("/api/v1/people/{person}")).await?;
    assert_eq!((&shown["invited"], &shown["invitation"]), (&json!(false), &Value::Null));

    // Set up, and asked for from the next time on.
    let other = Browser::by(
        relay,
        "/api/v1/sessions",
        &json!({ "login": "wang.li", "password": OWN, "kind": "browser" }),
    )
    .await?;
    let wrong = browser.post("/api/v1/me/second-factor", &json!({ "password": PASSWORD })).await?;
    assert_eq!(wrong.fault(), (422, "VALIDATION", "password"));
    let early = browser.post("/api/v1/me/second-factor/confirm", &json!({ "code": "1" })).await?;
    assert_eq!(early.said(), (409, "STATE_CONFLICT"));
    let (phone, recovery) = browser.enrol(relay, OWN).await?;
    assert_eq!(recovery.len(), 10);
    assert_eq!(other.get("/api/v1/me").await?.status, 401, "opened without it");
    assert_eq!(browser.get("/api/v1/me").await?.body["second_factor"], json!(true));
    let sealed = relay.text("SELECT sealed FROM second_factors").await?;
    ensure!(sealed.starts_with("v1."), "the vault has it: {sealed}");

    relay.pass(Span::from_secs(30));
    assert_eq!(
        try_sign_in(relay, "wang.li", OWN, None).await?.said(),
        (401, "SECOND_FACTOR_REQUIRED")
    );
    assert_eq!(try_sign_in(relay, "wang.li", OWN, Some("")).await?.code, "SECOND_FACTOR_REQUIRED");
    let wrong = try_sign_in(relay, "wang.li", PASSWORD, Some(&phone.code(relay))).await?;
    assert_eq!(wrong.said(), (401, "BAD_CREDENTIALS"), "nothing is told without the password");
    let right = try_sign_in(relay, "wang.li", OWN, Some(&phone.code(relay))).await?;
    assert_eq!((right.status, &right.body["must_enrol"]), (201, &json!(false)));
    let program = relay.client().sign_in("wang.li", OWN).await;
    assert_eq!(program.expect_err("refused").code(), Some("SECOND_FACTOR_REQUIRED"));
    relay.pass(Span::from_secs(30));
    relay.client().sign_in_with_code("wang.li", OWN, &phone.code(relay)).await?.me().await?;
    let told = relay.events().await?;
    for kind in ["person_invited", "password_changed", "second_factor_changed"] {
        ensure!(told.iter().any(|it| it == kind), "no {kind}");
    }
    Ok(())
}

pub async fn links_are_good_once_and_not_for_ever(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let (person, first) = invited(&consortium, "wang.li", Place::ClinicA, Role::Technician).await?;
    let second = invite_again(&consortium.root, &person, json!(null)).await?;
    let open = async |token: &str| post(relay, OPEN, &json!({ "token": token })).await;
    assert_eq!(open(&first).await?.said(), (404, "BAD_TICKET"), "withdrawn by the second");
    relay.pass(Span::from_secs(72 * 3600 - 1));
    assert_eq!(open(&second).await?.status, 200);
    relay.pass(Span::from_secs(1));
    assert_eq!(open(&second).await?.said(), (404, "BAD_TICKET"), "72 hours are over");

    let root = relay.client().sign_in(ROOT, PASSWORD).await?;
    let path = format!("/api/v1/people/{person}/invitation");
    for hours in [0, -1, 337] {
        let refused: Result<Value, _> =
            root.call(Method::POST, &path, &json!({ "hours": hours })).await;
        assert_eq!(refused.expect_err("refused").code(), Some("VALIDATION"));
    }
    let third = invite_again(&root, &person, json!(336)).await?;
    let account = format!("/api/v1/people/{person}");
    let close = |version: i64, disabled: bool| json!({ "version": version, "disabled": disabled });
    root.tell(Method::PATCH, &account, &close(1, true)).await?;
    assert_eq!(open(&third).await?.said(), (404, "BAD_TICKET"), "a closed account");
    let refused: Result<Value, _> = root.call(Method::POST, &path, &json!({})).await;
    assert_eq!(refused.expect_err("closed").code(), Some("STATE_CONFLICT"));
    root.tell(Method::PATCH, &account, &close(2, false)).await?;
    assert_eq!(open(&third).await?.said(), (404, "BAD_TICKET"), "and stays withdrawn");

    let own = format!("/api/v1/people/{}/invitation", consortium.root.id);
    let refused: Result<Value, _> = root.call(Method::POST, &own, &json!({})).await;
    assert_eq!(refused.expect_err("one's own").code(), Some("STATE_CONFLICT"));

    // Guessing is slowed down by address, and keeps nobody from signing in.
    let fourth = invite_again(&root, &person, json!(1)).await?;
    let mut refused = open("made up").await?;
    for _ in 0..40 {
        refused = open("made up").await?;
    }
    assert_eq!(refused.said(), (429, "LOCKED"));
    assert_eq!(open(&fourth).await?.said(), (429, "LOCKED"));
    relay.client().sign_in(ROOT, PASSWORD).await?;
    relay.pass(Span::from_minutes(10));
    assert_eq!(open(&fourth).await?.status, 200);
    Ok(())
}

pub async fn a_forgotten_password_is_replaced(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let doctor = consortium.person(Place::ClinicA, Role::ClinicDoctor).await?;
    let token = invite_again(&consortium.root, &doctor.id, json!(2)).await?;
    doctor.me().await?;
    let browser = Browser::sign_in(relay, &doctor.login).await?;
    let body = json!({ "token": token, "password": OWN });
    let accepted = Browser::by(relay, ACCEPT, &body).await?;
    assert_eq!(browser.get("/api/v1/me").await?.status, 401, "every other session is over");
    assert_eq!(doctor.me().await.expect_err("over").code(), Some("UNAUTHENTICATED"));
    let old = try_sign_in(relay, &doctor.login, PASSWORD, None).await?;
    assert_eq!(old.code, "BAD_CREDENTIALS");

    // It does not stand for the second factor.
    let (phone, _) = accepted.enrol(relay, OWN).await?;
    let token = invite_again(&consortium.root, &doctor.id, json!(null)).await?;
    let opened = post(relay, OPEN, &json!({ "token": token })).await?;
    assert_eq!(opened.body["needs_code"], json!(true));
    let mut body = json!({ "token": token, "password": PASSWORD });
    assert_eq!(post(relay, ACCEPT, &body).await?.said(), (401, "SECOND_FACTOR_REQUIRED"));
    body["code"] = phone.wrong_code(relay).into();
    assert_eq!(post(relay, ACCEPT, &body).await?.said(), (401, "SECOND_FACTOR_WRONG"));
    relay.pass(Span::from_secs(30));
    body["code"] = phone.code(relay).into();
    let browser = Browser::by(relay, ACCEPT, &body).await?;
    assert_eq!(browser.get("/api/v1/me").await?.status, 200);
    Ok(())
}

/// With the policy, a reader without a second factor can set one up and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_policy_lets_nobody_read_without_it() -> Result<()> {
    tell_with(Engine::Sqlite, readers_need_it, async |relay: &mut Relay| {
        let consortium = Consortium::found(relay).await?;
        let doctor = consortium.person(Place::ClinicA, Role::ClinicDoctor).await?;
        doctor.get::<Value>("/api/v1/inbox").await?;
        let (_, token) = invited(&consortium, "wang.li", Place::Lead, Role::Verifier).await?;
        let opened = post(relay, OPEN, &json!({ "token": token })).await?;
        assert_eq!(opened.body["second_factor"], json!(true));
        let body = json!({ "token": token, "password": OWN });
        let browser = Browser::by(relay, ACCEPT, &body).await?;
        ensure!(browser.must_enrol, "told at once");
        for path in ["/api/v1/queue", "/api/v1/cases", "/api/v1/events", "/api/v1/templates"] {
            assert_eq!(browser.get(path).await?.said(), (403, "SECOND_FACTOR_NEEDED"), "{path}");
        }
        let me = browser.get("/api/v1/me").await?;
        assert_eq!((me.status, &me.body["must_enrol"]), (200, &json!(true)));
        assert_eq!(browser.get("/api/v1/sessions").await?.status, 200);
        assert_eq!(browser.get("/api/v1/me/preferences").await?.status, 200);
        // A program is no way around it.
        let program = relay.client().sign_in("wang.li", OWN).await?;
        let refused = program.get::<Value>("/api/v1/queue").await.expect_err("refused");
        assert_eq!(refused.code(), Some("SECOND_FACTOR_NEEDED"));

        let (phone, _) = browser.enrol(relay, OWN).await?;
        assert_eq!(browser.get("/api/v1/queue").await?.status, 200);
        assert_eq!(browser.get("/api/v1/me").await?.body["must_enrol"], json!(false));
        // Taken away, it is needed again.
        relay.pass(Span::from_secs(30));
        let removal = json!({ "password": OWN, "code": phone.code(relay) });
        let removed = browser.post("/api/v1/me/second-factor/remove", &removal).await?;
        assert_eq!(removed.status, 204, "{}", removed.body);
        assert_eq!(browser.get("/api/v1/queue").await?.code, "SECOND_FACTOR_NEEDED");
        let out = browser.call(Method::DELETE, "/api/v1/sessions/current", &json!(null)).await?;
        assert_eq!(out.status, 204);
        Ok(())
    })
    .await
}
