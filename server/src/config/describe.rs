//! What is printed about the configuration: example, schema, and the values in force with their
//! origins. All three come from the structs of `sections`.

use std::fmt::{self, Write as _};

use schemars::generate::SchemaSettings;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Value as Json, json};
use toml::{Table, Value};

use super::layers::{is_secret, is_section, join};
use super::sections::Config;
use super::{ENV_PREFIX, Loaded};

/// The JSON schema of the structs, every section in place.
pub(super) fn bare_schema() -> Json {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<Config>().to_value();
    join_lines(&mut schema);
    schema
}

/// Makes one line of each paragraph of a description: where a comment wraps is no matter of its
/// text.
fn join_lines(schema: &mut Json) {
    match schema {
        Json::Object(fields) => {
            if let Some(Json::String(text)) = fields.get_mut("description") {
                let paragraphs = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " "));
                *text = paragraphs.collect::<Vec<_>>().join("\n\n");
            }
            fields.values_mut().for_each(join_lines);
        }
        Json::Array(items) => items.iter_mut().for_each(join_lines),
        _ => {}
    }
}

/// The JSON schema for editors, with a `…_file` key beside every secret.
pub(super) fn schema_json() -> String {
    let mut schema = bare_schema();
    add_secret_files(&mut schema);
    let mut text = format!("{schema:#}");
    text.push('\n');
    text
}

fn add_secret_files(schema: &mut Json) {
    let Some(properties) = schema.get_mut("properties").and_then(Json::as_object_mut) else {
        return;
    };
    let secrets = properties.iter().filter(|(_, leaf)| is_secret(leaf));
    let names: Vec<String> = secrets.map(|(name, _)| name.clone()).collect();
    for name in names {
        let description = format!("File that holds `{name}`.");
        let file = json!({ "type": "string", "description": description });
        properties.insert(format!("{name}_file"), file);
    }
    properties.values_mut().for_each(add_secret_files);
}

/// A configuration file with every key, its meaning and its default.
pub(super) fn example_toml() -> String {
    let mut text = String::from(
        "# Configuration of medrelay. Every key is here with its default, or with an example where there\n\
         # is none; remove the \"#\" before a line to change it. A variable MEDRELAY__SECTION__KEY in the\n\
         # environment wins over this file. A secret may also come from a file: add \"_file\" to its key\n\
         # (or \"_FILE\" to its variable) and give the path.\n",
    );
    let schema = bare_schema();
    section(&mut text, &schema, &Shape::of_config(), "");
    text
}

/// The keys of a section in the order in which the structs declare them, which neither a JSON
/// object nor a TOML table keeps.
#[derive(Default)]
struct Shape(Vec<(String, Shape)>);

impl Shape {
    fn of_config() -> Self {
        let text = serde_json::to_string(&Config::default()).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut keys = Vec::new();
        while let Some(entry) = map.next_entry()? {
            keys.push(entry);
        }
        Ok(Shape(keys))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Shape::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::default())
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::default())
    }
}

fn section(text: &mut String, schema: &Json, shape: &Shape, prefix: &str) {
    for (name, inner) in &shape.0 {
        let properties = schema.get("properties");
        let free = schema.get("additionalProperties");
        let Some(leaf) = properties.and_then(|all| all.get(name)).or(free) else { continue };
        let key = join(prefix, name);
        if is_section(leaf) {
            text.push('\n');
            comment(text, leaf);
            let _ = writeln!(text, "[{key}]");
            section(text, leaf, inner, &key);
        } else {
            comment(text, leaf);
            let _ = writeln!(text, "#{name} = {}", shown_default(leaf, schema, name));
        }
    }
}

fn comment(text: &mut String, schema: &Json) {
    let Some(description) = schema.get("description").and_then(Json::as_str) else { return };
    for paragraph in description.split("\n\n") {
        for line in wrap(paragraph, 98) {
            let _ = writeln!(text, "# {line}");
        }
    }
}

/// The default of a key, or its example where the default is "none".
fn shown_default(leaf: &Json, section: &Json, name: &str) -> String {
    let own = leaf.get("default").filter(|value| !value.is_null() && **value != json!([]));
    let example = || leaf.get("examples").and_then(|all| all.get(0));
    let of_section = || section.get("default").and_then(|all| all.get(name));
    let value = own.or_else(example).or_else(of_section);
    match value {
        // TOML writes lists with a space after each comma, JSON without.
        Some(Json::Array(items)) => {
            let items: Vec<String> = items.iter().map(Json::to_string).collect();
            format!("[{}]", items.join(", "))
        }
        Some(value) => value.to_string(),
        None => String::from("\"\""),
    }
}

/// Words in lines of at most `width` characters.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Every value in force and where it came from, one a line, secrets redacted.
pub(super) fn show(loaded: &Loaded) -> String {
    let values = Table::try_from(&loaded.config).unwrap_or_default();
    let mut lines = Vec::new();
    flatten(&values, &Shape::of_config(), "", &mut lines);
    let width = lines.iter().map(|(key, value)| key.len() + value.len() + 3).max().unwrap_or(0);
    let mut text = String::new();
    for (key, value) in lines {
        let line = format!("{key} = {value}");
        let _ = writeln!(text, "{line:width$}  # {}", loaded.origin(&key));
    }
    text
}

fn flatten(values: &Table, shape: &Shape, prefix: &str, lines: &mut Vec<(String, String)>) {
    let known = shape.0.iter().map(|(name, inner)| (name.as_str(), Some(inner)));
    let added = values.keys().filter(|name| !shape.0.iter().any(|(known, _)| known == *name));
    for (name, inner) in known.chain(added.map(|name| (name.as_str(), None))) {
        let key = join(prefix, name);
        match values.get(name) {
            Some(Value::Table(section)) => {
                let empty = Shape::default();
                flatten(section, inner.unwrap_or(&empty), &key, lines);
            }
            Some(value) => lines.push((key, value.to_string())),
            None => lines.push((key, String::from("(none)"))),
        }
    }
}

/// The environment variable of a dotted key.
pub fn variable(key: &str) -> String {
    format!("{ENV_PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}
