//! Codes of the second factor: good once, guessed in vain, lost with the phone.

use anyhow::{Context, Result, ensure};
use medrelay_core::people::Role;
use medrelay_core::time::Span;
use medrelay_tests::clinic::{Consortium, PASSWORD, Place, ROOT};
use medrelay_tests::relay::Relay;
use reqwest::Method;
use serde_json::json;

use crate::browser::{Browser, try_sign_in};

pub async fn codes_are_good_once_and_wrong_ones_lock(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let reader = consortium.person(Place::Lead, Role::Reporter).await?;
    let browser = Browser::sign_in(relay, &reader.login).await?;
    let (phone, recovery) = browser.enrol(relay, PASSWORD).await?;
    let sign_in = async |code: &str| try_sign_in(relay, &reader.login, PASSWORD, Some(code)).await;
    let used = phone.code(relay);
    assert_eq!(sign_in(&used).await?.code, "SECOND_FACTOR_WRONG", "confirmed with it");
    relay.pass(Span::from_secs(30));
    let code = phone.code(relay);
    let (one, two) = tokio::join!(sign_in(&code), sign_in(&code));
    let mut statuses = [one?.status, two?.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 401], "one of two at the same moment");
    relay.pass(Span::from_secs(20));
    assert_eq!(sign_in(&code).await?.code, "SECOND_FACTOR_WRONG", "an onlooker is too late");

    // However it is typed, once.
    let typed = recovery[0].to_uppercase().replace('-', " ");
    assert_eq!(sign_in(&typed).await?.status, 201);
    assert_eq!(sign_in(&recovery[0]).await?.code, "SECOND_FACTOR_WRONG");
    assert_eq!(sign_in(&recovery[1]).await?.status, 201);
    ensure!(
        relay.count("SELECT COUNT(*) FROM recovery_codes WHERE used_at IS NOT NULL").await? == 2
    );

    // The right password does not forgive wrong codes, at whatever door they are tried.
    let wrong = phone.wrong_code(relay);
    for _ in 0..3 {
        assert_eq!(sign_in(&wrong).await?.said(), (401, "SECOND_FACTOR_WRONG"));
    }
    assert_eq!(
        try_sign_in(relay, &reader.login, PASSWORD, None).await?.code,
        "SECOND_FACTOR_REQUIRED"
    );
    let step_up = "/api/v1/me/step-up";
    let guessed = browser.post(step_up, &json!({ "code": wrong })).await?;
    assert_eq!(guessed.fault(), (422, "VALIDATION", "code"));
    assert_eq!(browser.post(step_up, &json!({ "password": PASSWORD })).await?.status, 200);
    let guessed = browser.post(step_up, &json!({ "code": wrong })).await?;
    assert_eq!(guessed.fault(), (422, "VALIDATION", "code"));
    relay.pass(Span::from_secs(30));
    assert_eq!(sign_in(&phone.code(relay)).await?.said(), (429, "LOCKED"));
    let locked = browser.post(step_up, &json!({ "code": phone.code(relay) })).await?;
    assert_eq!(locked.said(), (429, "LOCKED"));
    relay.pass(Span::from_minutes(1));
    assert_eq!(sign_in(&phone.code(relay)).await?.status, 201);
    relay.client().sign_in(ROOT, PASSWORD).await?;
    Ok(())
}

pub async fn a_lost_phone(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let reader = consortium.person(Place::Lead, Role::Verifier).await?;
    let browser = Browser::sign_in(relay, &reader.login).await?;
    let (_, recovery) = browser.enrol(relay, PASSWORD).await?;
    let path = format!("/api/v1/people/{}/second-factor/remove", reader.id);
    consortium.root.tell(Method::POST, &path, &json!(null)).await?;
    assert_eq!(browser.get("/api/v1/me").await?.status, 401, "their sessions are over");
    let browser = Browser::sign_in(relay, &reader.login).await?;
    assert_eq!(browser.get("/api/v1/me").await?.body["second_factor"], json!(false));
    ensure!(relay.count("SELECT COUNT(*) FROM recovery_codes").await? == 0);
    consortium.root.tell(Method::POST, &path, &json!(null)).await?;
    assert_eq!(browser.get("/api/v1/me").await?.status, 200, "nothing was left to remove");

    // The new phone knows nothing of the old one.
    let (phone, fresh) = browser.enrol(relay, PASSWORD).await?;
    let login = &reader.login;
    let old = try_sign_in(relay, login, PASSWORD, Some(&recovery[0])).await?;
    assert_eq!(old.code, "SECOND_FACTOR_WRONG");
    assert_eq!(try_sign_in(relay, login, PASSWORD, Some(&fresh[0])).await?.status, 201);
    relay.pass(Span::from_secs(30));
    assert_eq!(try_sign_in(relay, login, PASSWORD, Some(&phone.code(relay))).await?.status, 201);
    let own = format!("/api/v1/people/{}/second-factor/remove", consortium.root.id);
    let refused = consortium.root.tell(Method::POST, &own, &json!(null)).await;
    assert_eq!(refused.expect_err("one's own").code(), Some("STATE_CONFLICT"));
    Ok(())
}

pub async fn removed_with_password_and_code(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let reader = consortium.person(Place::Lead, Role::Reporter).await?;
    let browser = Browser::sign_in(relay, &reader.login).await?;
    let remove = "/api/v1/me/second-factor/remove";
    let nothing = json!({ "password": PASSWORD, "code": "123456" });
    assert_eq!(browser.post(remove, &nothing).await?.said(), (409, "STATE_CONFLICT"));
    let (phone, recovery) = browser.enrol(relay, PASSWORD).await?;
    relay.pass(Span::from_secs(30));
    let again = json!({ "password": PASSWORD });
    let refused = browser.post("/api/v1/me/second-factor", &again).await?;
    assert_eq!(refused.said(), (409, "STATE_CONFLICT"), "a second one is not laid over the first");
    let body = |password: &str, code: &str| json!({ "password": password, "code": code });
    let code = phone.code(relay);
    let wrong = browser.post(remove, &body("not the password", &code)).await?;
    assert_eq!(wrong.fault(), (422, "VALIDATION", "password"));
    let wrong = browser.post(remove, &body(PASSWORD, &phone.wrong_code(relay))).await?;
    assert_eq!(wrong.fault(), (422, "VALIDATION", "code"));
    let missing = browser.post(remove, &body(PASSWORD, " ")).await?;
    assert_eq!(missing.fault(), (422, "VALIDATION", "code"));
    let code = recovery.first().context("codes")?;
    assert_eq!(browser.post(remove, &body(PASSWORD, code)).await?.status, 204);
    Browser::sign_in(relay, &reader.login).await?;
    Ok(())
}
