//! Preferences, and texts for reports: who sees and changes which.

use anyhow::{Context, Result, ensure};
use medrelay_core::people::Role;
use medrelay_core::time::Span;
use medrelay_tests::clinic::{Consortium, Person, Place};
use medrelay_tests::relay::Relay;
use reqwest::Method;
use serde_json::{Value, json};

const PREFERENCES: &str = "/api/v1/me/preferences";
const TEMPLATES: &str = "/api/v1/templates";

fn code<T: std::fmt::Debug>(outcome: Result<T, medrelay_client::Error>) -> String {
    outcome.expect_err("refused").code().unwrap_or_default().to_owned()
}

pub async fn preferences_are_saved_over_what_was_read(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let reader = consortium.person(Place::Lead, Role::Reporter).await?;
    let nothing: Value = reader.get(PREFERENCES).await?;
    assert_eq!(nothing, json!({ "body": {}, "version": 0 }));
    let save = async |body: Value, version: i64| {
        let input = json!({ "body": body, "version": version });
        reader.call::<Value>(Method::PUT, PREFERENCES, &input).await
    };
    let dark = json!({ "theme": "dark", "键位": { "next": "n" } });
    assert_eq!(save(dark.clone(), 0).await?["version"], json!(1));
    assert_eq!(code(save(json!({ "theme": "light" }), 0).await), "VERSION_CONFLICT");
    let kept: Value = reader.get(PREFERENCES).await?;
    assert_eq!(kept, json!({ "body": dark, "version": 1 }));
    assert_eq!(save(json!({}), 1).await?["version"], json!(2));
    for bad in [json!([]), json!("text"), json!({ "long": "长".repeat(22_000) })] {
        assert_eq!(code(save(bad, 2).await), "VALIDATION");
    }
    assert_eq!(code(save(json!({}), -1).await), "VERSION_CONFLICT");
    let other = consortium.person(Place::Lead, Role::Verifier).await?;
    assert_eq!(other.get::<Value>(PREFERENCES).await?["version"], json!(0), "each their own");
    Ok(())
}

fn typed(consortium: &Consortium, own: bool, name: &str, shortcut: &str) -> Value {
    json!({
        "organization": consortium.at(Place::Lead), "own": own, "kind": "template",
        "name": name, "shortcut": shortcut, "modality": "CT",
        "findings": "双肺纹理清晰。\n<b>不是标记</b>", "impression": "未见异常。",
    })
}

/// Makes a text, a moment after the one before: lists are in the order of making.
async fn make(relay: &Relay, person: &Person, body: &Value) -> Result<String> {
    relay.pass(Span::from_millis(1));
    let made: Value = person.call(Method::POST, TEMPLATES, body).await?;
    Ok(made["id"].as_str().context("an identifier")?.to_owned())
}

async fn names(person: &Person, query: &str) -> Result<Vec<String>> {
    let page: Value = person.get(&format!("{TEMPLATES}?limit=200{query}")).await?;
    let items = page["items"].as_array().context("items")?;
    Ok(items.iter().map(|item| item["name"].as_str().unwrap_or_default().to_owned()).collect())
}

pub async fn own_texts_and_everybodys(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let reporter = consortium.person(Place::Lead, Role::Reporter).await?;
    let verifier = consortium.person(Place::Lead, Role::Verifier).await?;
    let elsewhere = consortium.person(Place::County, Role::Verifier).await?;

    let own = make(relay, &reporter, &typed(&consortium, true, "我的胸部CT", "#XB")).await?;
    let refused = reporter
        .call::<Value>(Method::POST, TEMPLATES, &typed(&consortium, false, "大家的", "xb"))
        .await;
    assert_eq!(code(refused), "FORBIDDEN", "everybody's are looked after by few");
    let shared = make(relay, &verifier, &typed(&consortium, false, "大家的胸部CT", "xb")).await?;
    make(relay, &verifier, &typed(&consortium, true, "审核自己的", "xb")).await?;
    let mut phrase = typed(&consortium, false, "未见异常", "wjyc");
    phrase["kind"] = "phrase".into();
    phrase["modality"] = "".into();
    make(relay, &verifier, &phrase).await?;

    assert_eq!(names(&reporter, "").await?, ["我的胸部CT", "大家的胸部CT", "未见异常"]);
    assert_eq!(names(&verifier, "").await?, ["大家的胸部CT", "审核自己的", "未见异常"]);
    ensure!(names(&elsewhere, "").await?.is_empty(), "another centre has its own");
    assert_eq!(names(&reporter, "&kind=phrase").await?, ["未见异常"]);
    assert_eq!(names(&reporter, "&modality=MR").await?, ["未见异常"], "for MR or for any");
    assert_eq!(names(&consortium.root, "").await?, ["大家的胸部CT", "未见异常"]);

    for (person, body) in [
        (&reporter, typed(&consortium, true, "又一个", "xB")),
        (&verifier, typed(&consortium, false, "又一个", "#xb")),
    ] {
        let taken = person.call::<Value>(Method::POST, TEMPLATES, &body).await;
        assert_eq!(code(taken), "TAKEN", "a shortcut means one thing");
    }
    for _ in 0..2 {
        make(relay, &reporter, &typed(&consortium, true, "没有快捷码", "")).await?;
    }
    let nowhere =
        elsewhere.call::<Value>(Method::POST, TEMPLATES, &typed(&consortium, true, "甲", "")).await;
    assert_eq!(code(nowhere), "NOT_FOUND", "an organization that one is not of");

    // Changes: by whoever looks after it, over what was read.
    let change = json!({ "version": 1, "impression": "请结合临床。" });
    let (own, shared) = (format!("{TEMPLATES}/{own}"), format!("{TEMPLATES}/{shared}"));
    let try_change = async |person: &Person, path: &str| {
        person.call::<Value>(Method::PATCH, path, &change).await
    };
    assert_eq!(code(try_change(&verifier, &own).await), "NOT_FOUND", "it is nobody else's matter");
    assert_eq!(code(try_change(&consortium.root, &own).await), "NOT_FOUND");
    assert_eq!(code(try_change(&reporter, &shared).await), "FORBIDDEN");
    assert_eq!(code(try_change(&elsewhere, &shared).await), "NOT_FOUND");
    let changed = try_change(&reporter, &own).await?;
    assert_eq!(changed["findings"], json!("双肺纹理清晰。\n<b>不是标记</b>"), "text is text");
    assert_eq!((&changed["impression"], &changed["version"]), (&json!("请结合临床。"), &json!(2)));
    assert_eq!(code(try_change(&reporter, &own).await), "VERSION_CONFLICT");

    // Removed, its shortcut is free again.
    let remove =
        async |person: &Person, path: &str| person.tell(Method::DELETE, path, &json!(null)).await;
    assert_eq!(code(remove(&reporter, &shared).await), "FORBIDDEN");
    remove(&verifier, &shared).await?;
    assert_eq!(code(remove(&verifier, &shared).await), "NOT_FOUND");
    make(relay, &verifier, &typed(&consortium, false, "新的", "xb")).await?;
    let told = relay.events().await?;
    assert_eq!(told.iter().filter(|kind| *kind == "template_changed").count(), 9);
    Ok(())
}
