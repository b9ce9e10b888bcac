//! Step-up before signing, and pages that are loaded again.

use anyhow::{Context, Result, ensure};
use medrelay_client::{NewOrder, Text};
use medrelay_core::people::Role;
use medrelay_core::time::Span;
use medrelay_dicom::phantom::{Modality, PhantomPatient, PhantomSpec};
use medrelay_tests::clinic::{Consortium, PASSWORD, Place};
use medrelay_tests::relay::{Engine, Relay, tell};
use serde_json::{Value, json};

use crate::browser::Browser;

/// A case of clinic B, which a verifier signs alone, in the queue.
async fn send(relay: &Relay, consortium: &Consortium, seed: u64) -> Result<()> {
    let spec = PhantomSpec {
        patient: PhantomPatient::sample(usize::try_from(seed)?),
        accession: Some(format!("S{seed}")),
        ..PhantomSpec {
            rows: 16,
            columns: 16,
            instances: 1,
            ..PhantomSpec::new(Modality::Ct, seed)
        }
    };
    let doctor = consortium.person(Place::ClinicB, Role::ClinicDoctor).await?;
    let clinic = consortium.at(Place::ClinicB);
    let order = NewOrder {
        accession: spec.accession.clone(),
        ..NewOrder::new(clinic, spec.patient.id.clone(), "甲", "CT")
    };
    doctor.create_order(&order).await?;
    consortium.scanner(Place::ClinicB).send(&spec).await?;
    relay.advance(Span::from_minutes(2)).await?;
    Ok(())
}

pub async fn whoever_signs_has_proved_it_lately(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let verifier = consortium.person(Place::Lead, Role::Verifier).await?;
    send(relay, &consortium, 1).await?;
    let browser = Browser::sign_in(relay, &verifier.login).await?;
    let until = browser.get("/api/v1/me").await?.body["proved_until"].clone();
    assert_eq!(until, json!((relay.now() + Span::from_minutes(30)).micros()));
    relay.pass(Span::from_minutes(30));

    let claimed = browser.post("/api/v1/queue/next", &json!(null)).await?;
    assert_eq!(claimed.status, 200, "reading goes on: {}", claimed.body);
    let case = claimed.body["case"]["id"].as_str().context("a case")?.to_owned();
    let proof = json!({ "token": claimed.body["token"], "fence": claimed.body["fence"] });
    let held = json!({
        "proof": proof, "text": { "findings": "双肺未见异常。", "impression": "未见异常。" },
    });
    let draft = format!("/api/v1/cases/{case}/draft");
    assert_eq!(browser.call(reqwest::Method::PUT, &draft, &held).await?.status, 200);
    let sign = format!("/api/v1/cases/{case}/sign");
    let refused = browser.post(&sign, &held).await?;
    assert_eq!(refused.said(), (403, "STEP_UP_REQUIRED"));
    let drafts = browser.get(&format!("/api/v1/cases/{case}/drafts")).await?;
    assert_eq!(drafts.body[0]["text"]["findings"], json!("双肺未见异常。"), "nothing is lost");

    let step_up = "/api/v1/me/step-up";
    for (body, field) in [
        (json!({ "password": "not the password" }), "password"),
        (json!({ "code": "123456" }), "code"),
        (json!({}), "password"),
        (json!({ "password": PASSWORD, "code": "123456" }), "password"),
    ] {
        let refused = browser.post(step_up, &body).await?;
        assert_eq!(refused.fault(), (422, "VALIDATION", field), "{body}");
    }
    assert_eq!(browser.post(&sign, &held).await?.code, "STEP_UP_REQUIRED");
    let proved = browser.post(step_up, &json!({ "password": PASSWORD })).await?;
    let until = (relay.now() + Span::from_minutes(30)).micros();
    assert_eq!((proved.status, &proved.body["until"]), (200, &json!(until)));
    let signed = browser.post(&sign, &held).await?;
    assert_eq!(signed.status, 201, "{}", signed.body);
    relay.work().await?;

    // The same for what is added later; by the code where there is one.
    let (phone, _) = browser.enrol(relay, PASSWORD).await?;
    relay.pass(Span::from_minutes(30));
    let addenda = format!("/api/v1/cases/{case}/addenda");
    let addendum = json!({
        "reason": "补充", "text": { "findings": "甲", "impression": "乙" },
    });
    assert_eq!(browser.post(&addenda, &addendum).await?.said(), (403, "STEP_UP_REQUIRED"));
    let code = json!({ "code": phone.code(relay) });
    assert_eq!(browser.post(step_up, &code).await?.status, 200);
    assert_eq!(browser.post(&addenda, &addendum).await?.status, 201);
    relay.work().await?;
    ensure!(relay.events().await?.iter().filter(|it| *it == "identity_proved").count() == 2);

    // Nobody sits at a program's keyboard.
    let other = consortium.numbered(Place::Lead, Role::Verifier, 2).await?;
    send(relay, &consortium, 2).await?;
    relay.pass(Span::from_hours(2));
    let me: Value = other.get("/api/v1/me").await?;
    assert_eq!((&me["proved_until"], &me["csrf_token"]), (&Value::Null, &Value::Null));
    let claim = other.next_case().await?;
    other.sign(&claim, &Text::new("甲", "乙")).await?;
    relay.work().await?;
    Ok(())
}

/// A page that was loaded again gets its token back; every tab has the same one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_is_loaded_again_goes_on() -> Result<()> {
    tell(Engine::Sqlite, async |relay: &mut Relay| {
        let consortium = Consortium::found(relay).await?;
        let reader = consortium.person(Place::Lead, Role::Reporter).await?;
        let page = Browser::sign_in(relay, &reader.login).await?;
        let again = page.with_csrf("").get("/api/v1/me").await?;
        assert_eq!(again.text("csrf_token"), page.csrf);
        assert_eq!(again.body["organizations"][0]["name"], json!(Place::Lead.name()));
        assert_eq!(again.body["organizations"][0]["kind"], json!("lead_hospital"));
        let from_elsewhere = page.get_from_elsewhere("/api/v1/me").await?;
        assert_eq!(from_elsewhere.body["csrf_token"], Value::Null);
        let another = Browser::sign_in(relay, &reader.login).await?;
        assert_ne!(another.csrf, page.csrf, "each session has its own");
        let put = json!({ "body": {}, "version": 0 });
        let path = "/api/v1/me/preferences";
        let wrong = page.with_csrf(&another.csrf).call(reqwest::Method::PUT, path, &put).await?;
        assert_eq!(wrong.said(), (403, "CSRF"));

        // A new password gives the session a new secret; other tabs ask again and go on.
        let change = json!({ "current_password": PASSWORD, "password": "five loud rivers" });
        let changed = Browser::by_change(relay, &page, &change).await?;
        assert_ne!(changed.csrf, page.csrf);
        let stale = changed.with_csrf(&page.csrf);
        assert_eq!(stale.call(reqwest::Method::PUT, path, &put).await?.said(), (403, "CSRF"));
        let told = stale.get("/api/v1/me").await?.text("csrf_token");
        assert_eq!(told, changed.csrf);
        let tab = stale.with_csrf(&told);
        assert_eq!(tab.call(reqwest::Method::PUT, path, &put).await?.status, 200);
        Ok(())
    })
    .await
}
