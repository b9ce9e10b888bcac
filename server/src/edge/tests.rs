//! The description of the interface agrees with its routes.

use std::collections::BTreeSet;

use super::describe;

#[test]
fn every_described_operation_has_a_rule_and_every_rule_is_described() {
    let (description, rules) = describe();
    let text = description.to_json().expect("serializes");
    let json: serde_json::Value = serde_json::from_str(&text).expect("is JSON");
    let mut described = BTreeSet::new();
    let mut names = BTreeSet::new();
    for (path, item) in json["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("an item") {
            described.insert(format!("{} {path}", method.to_uppercase()));
            let name = operation["operationId"].as_str().expect("a name").to_owned();
            assert!(names.insert(name.clone()), "the operation id {name} stands twice");
            let declared = operation["parameters"].as_array().cloned().unwrap_or_default();
            let declared: BTreeSet<String> = declared
                .iter()
                .filter(|parameter| parameter["in"] == "path")
                .filter_map(|parameter| parameter["name"].as_str())
                .map(|name| format!("{{{name}}}"))
                .collect();
            let named: BTreeSet<String> =
                path.split('/').filter(|part| part.starts_with('{')).map(str::to_owned).collect();
            assert_eq!(declared, named, "parameters of {method} {path}");
        }
    }
    assert_eq!(described, rules.keys().cloned().collect());
    assert!(described.len() > 30, "only {} operations", described.len());
}

#[test]
fn every_reference_in_the_description_leads_somewhere() {
    let text = describe().0.to_json().expect("serializes");
    let json: serde_json::Value = serde_json::from_str(&text).expect("is JSON");
    let mut missing = BTreeSet::new();
    let mut open = vec![&json];
    while let Some(value) = open.pop() {
        match value {
            serde_json::Value::Object(map) => {
                if let Some(target) = map.get("$ref").and_then(|target| target.as_str())
                    && json.pointer(target.trim_start_matches('#')).is_none()
                {
                    missing.insert(target.to_owned());
                }
                open.extend(map.values());
            }
            serde_json::Value::Array(list) => open.extend(list),
            _ => {}
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_path_is_below_the_version() {
    let known = |key: &String| key.contains(" /api/v1/") || key.contains(" /dicomweb/");
    assert!(describe().1.keys().all(known));
}

/// The browser side's client is made from this file. `MEDRELAY_WRITE_GENERATED=1` writes it
/// instead of comparing it (`make gen`).
#[test]
fn the_generated_description_is_current() -> anyhow::Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/web/src/api/openapi.json");
    let text = super::describe().0.to_pretty_json()? + "\n";
    if std::env::var_os("MEDRELAY_WRITE_GENERATED").is_some() {
        std::fs::write(path, &text)?;
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    anyhow::ensure!(found == text, "openapi.json is stale: run `make gen`");
    Ok(())
}
