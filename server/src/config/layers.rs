//! Lays the file, the environment and the command line over the defaults, and remembers where each
//! value came from.
//!
//! The JSON schema of [`Config`] is the only list of keys: it says which keys exist, what type each
//! has and which of them are secrets. Every problem is collected, so that an operator mends a file
//! in one go.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use toml::{Table, Value};

use super::sections::Config;

/// Prefix of every environment variable that is a setting.
pub const ENV_PREFIX: &str = "MEDRELAY__";

/// Ending of a key whose value is the path of a file that holds the secret.
const FILE_ENDING: &str = "_file";

/// Where the value of a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The default in the program.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// The environment variable of this name.
    Environment(String),
    /// An option of the command line.
    CommandLine(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::CommandLine(option) => write!(f, "option {option}"),
        }
    }
}

/// One thing that is wrong with the configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The dotted key it is about.
    pub key: String,
    /// Where the value came from.
    pub origin: Origin,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.key, self.origin, self.message)
    }
}

/// The values under construction.
pub(super) struct Layers {
    schema: Json,
    values: Table,
    pub(super) origins: BTreeMap<String, Origin>,
    pub(super) problems: Vec<Problem>,
}

impl Layers {
    /// Starts with the defaults.
    pub(super) fn new(schema: Json) -> Self {
        // A default that does not serialize would be seen by every test; an empty table falls back
        // to the same defaults.
        let values = Table::try_from(Config::default()).unwrap_or_default();
        Self { schema, values, origins: BTreeMap::new(), problems: Vec::new() }
    }

    /// Lays a table over what is there.
    pub(super) fn lay(&mut self, layer: Table, origin: &Origin) {
        let schema = self.schema.clone();
        let mut values = std::mem::take(&mut self.values);
        self.lay_section(&schema, &mut values, layer, "", origin);
        self.values = values;
    }

    /// Lays one environment variable over what is there; `name` starts with [`ENV_PREFIX`].
    pub(super) fn lay_variable(&mut self, name: &str, text: &str) {
        let path = name[ENV_PREFIX.len()..].to_ascii_lowercase();
        let segments: Vec<&str> = path.split("__").collect();
        let value = match find(&self.schema, &segments) {
            Some(leaf) => parse(leaf, text),
            None => Value::String(text.to_owned()),
        };
        let layer = segments.iter().rev().fold(value, |inner, segment| {
            Value::Table(Table::from_iter([((*segment).to_owned(), inner)]))
        });
        if let Value::Table(layer) = layer {
            self.lay(layer, &Origin::Environment(name.to_owned()));
        }
    }

    /// The configuration, as far as types go.
    pub(super) fn finish(&mut self) -> Config {
        match std::mem::take(&mut self.values).try_into() {
            Ok(config) => config,
            Err(error) => {
                let text = error.to_string();
                let key = self.key_in(&text).unwrap_or_else(|| String::from("configuration"));
                let origin = self.origin(&key);
                let message = text.lines().next().unwrap_or_default().to_owned();
                self.problems.push(Problem { key, origin, message });
                Config::default()
            }
        }
    }

    /// Where a key's value came from.
    pub(super) fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// The key that a deserializer's message names in backquotes.
    fn key_in(&self, text: &str) -> Option<String> {
        text.split('`').find(|part| self.origins.contains_key(*part)).map(str::to_owned)
    }

    fn lay_section(
        &mut self,
        schema: &Json,
        values: &mut Table,
        layer: Table,
        prefix: &str,
        origin: &Origin,
    ) {
        for (name, value) in layer {
            let key = join(prefix, &name);
            if let Some(child) = child(schema, &name) {
                if is_section(child) {
                    self.lay_subsection(child, values, name, value, &key, origin);
                } else {
                    self.set(child, values, name, value, &key, origin);
                }
            } else if let Some((secret, leaf)) = secret_of(schema, &name) {
                let key = join(prefix, secret);
                if self.origins.get(&key) == Some(origin) {
                    self.complain(&key, origin, "is given both here and as a file: keep one");
                }
                match read_secret(&value) {
                    Ok(text) => self.set(leaf, values, secret.to_owned(), text, &key, origin),
                    Err(message) => self.complain(&key, origin, message),
                }
            } else {
                let message = match self.nearest(&key, &name) {
                    Some(other) => format!("there is no such key; did you mean `{other}`?"),
                    None => String::from("there is no such key (see `medrelay config example`)"),
                };
                self.complain(&key, origin, message);
            }
        }
    }

    fn lay_subsection(
        &mut self,
        schema: &Json,
        values: &mut Table,
        name: String,
        value: Value,
        key: &str,
        origin: &Origin,
    ) {
        let Value::Table(layer) = value else {
            return self.complain(key, origin, "is a section: its keys stand below it");
        };
        let slot = values.entry(name).or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(inner) = slot {
            self.lay_section(schema, inner, layer, key, origin);
        }
    }

    fn set(
        &mut self,
        leaf: &Json,
        values: &mut Table,
        name: String,
        value: Value,
        key: &str,
        origin: &Origin,
    ) {
        match check_leaf(leaf, &value) {
            Ok(()) => {
                values.insert(name, value);
                self.origins.insert(key.to_owned(), origin.clone());
            }
            Err(message) => self.complain(key, origin, message),
        }
    }

    fn complain(&mut self, key: &str, origin: &Origin, message: impl Into<String>) {
        self.problems.push(Problem {
            key: key.to_owned(),
            origin: origin.clone(),
            message: message.into(),
        });
    }

    /// The existing key that was most likely meant.
    fn nearest(&self, key: &str, name: &str) -> Option<String> {
        let mut keys = Vec::new();
        collect_keys(&self.schema, "", &mut keys);
        let moved = keys.iter().find(|known| known.rsplit('.').next() == Some(name));
        let distance = |known: &String| edit_distance(known, key);
        let close = || keys.iter().min_by_key(|known| distance(known));
        moved.or_else(|| close().filter(|known| distance(known) <= 3)).cloned()
    }
}

/// The schema of a key inside a section; a section with free keys (`additionalProperties`) gives
/// the same one for all.
fn child<'a>(schema: &'a Json, name: &str) -> Option<&'a Json> {
    let named = schema.get("properties").and_then(|properties| properties.get(name));
    named.or_else(|| schema.get("additionalProperties").filter(|free| free.is_object()))
}

/// Whether a schema is a section rather than a value.
pub(super) fn is_section(schema: &Json) -> bool {
    schema.get("properties").is_some()
        || schema.get("additionalProperties").is_some_and(Json::is_object)
}

/// Whether a schema is that of a secret.
pub(super) fn is_secret(schema: &Json) -> bool {
    schema.get("writeOnly").and_then(Json::as_bool).unwrap_or(false)
}

/// `a.b`, or `b` at the top.
pub(super) fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

fn secret_of<'a, 'b>(schema: &'a Json, name: &'b str) -> Option<(&'b str, &'a Json)> {
    let secret = name.strip_suffix(FILE_ENDING)?;
    let leaf = schema.get("properties")?.get(secret)?;
    is_secret(leaf).then_some((secret, leaf))
}

fn read_secret(path: &Value) -> Result<Value, String> {
    let path = path.as_str().map(Path::new).ok_or("must be the path of a file, in quotes")?;
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(Value::String(text.trim_end_matches(['\r', '\n']).to_owned()))
}

fn find<'a>(schema: &'a Json, segments: &[&str]) -> Option<&'a Json> {
    segments.iter().try_fold(schema, |schema, segment| child(schema, segment))
}

fn collect_keys(schema: &Json, prefix: &str, keys: &mut Vec<String>) {
    let Some(properties) = schema.get("properties").and_then(Json::as_object) else { return };
    for (name, schema) in properties {
        let key = join(prefix, name);
        collect_keys(schema, &key, keys);
        keys.push(key);
    }
}

/// The JSON types a leaf may have, `null` aside.
pub(super) fn types(leaf: &Json) -> Vec<&str> {
    match leaf.get("type") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(many)) => {
            many.iter().filter_map(Json::as_str).filter(|name| *name != "null").collect()
        }
        _ => vec!["string"],
    }
}

/// An environment variable's text as the type that the key wants; text that does not fit stays text
/// and is refused later.
fn parse(leaf: &Json, text: &str) -> Value {
    let string = || Value::String(text.to_owned());
    match types(leaf)[..] {
        ["integer"] => text.trim().parse().map_or_else(|_| string(), Value::Integer),
        ["boolean"] => text.trim().parse().map_or_else(|_| string(), Value::Boolean),
        ["array"] => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            let item = leaf.get("items").unwrap_or(&Json::Null);
            Value::Array(items.map(|text| parse(item, text)).collect())
        }
        _ => string(),
    }
}

fn check_leaf(leaf: &Json, value: &Value) -> Result<(), String> {
    if let Some(choices) = choices(leaf) {
        return match value.as_str() {
            Some(text) if choices.contains(&text) => Ok(()),
            _ => Err(format!("must be one of {}", choices.join(", "))),
        };
    }
    let (fits, wanted) = match types(leaf)[..] {
        ["integer"] => (value.is_integer(), "a whole number"),
        ["boolean"] => (value.is_bool(), "true or false"),
        ["array"] => (value.is_array(), "a list"),
        _ => (value.is_str(), "text in quotes"),
    };
    if !fits {
        return Err(format!("must be {wanted}, not {}", value.type_str()));
    }
    match value {
        Value::Integer(number) => check_range(leaf, *number),
        Value::Array(items) => check_list(leaf, items),
        _ => Ok(()),
    }
}

fn check_range(leaf: &Json, number: i64) -> Result<(), String> {
    let bound = |name| leaf.get(name).and_then(Json::as_i64);
    let (low, high) = (bound("minimum").unwrap_or(0), bound("maximum").unwrap_or(u32::MAX.into()));
    if (low..=high).contains(&number) {
        return Ok(());
    }
    Err(format!("must be from {low} to {high}, not {number}"))
}

fn check_list(leaf: &Json, items: &[Value]) -> Result<(), String> {
    let least = leaf.get("minItems").and_then(Json::as_u64).unwrap_or(0);
    if (items.len() as u64) < least {
        return Err(format!("needs at least {least} entries"));
    }
    if let Some(most) = leaf.get("maxItems").and_then(Json::as_u64)
        && items.len() as u64 > most
    {
        return Err(format!("may have at most {most} entries"));
    }
    let Some(item) = leaf.get("items") else { return Ok(()) };
    items.iter().try_for_each(|value| {
        check_leaf(item, value).map_err(|message| format!("each entry {message}"))
    })
}

/// The words a leaf may have, if it is an enumeration.
pub(super) fn choices(leaf: &Json) -> Option<Vec<&str>> {
    if let Some(words) = leaf.get("enum").and_then(Json::as_array) {
        return Some(words.iter().filter_map(Json::as_str).collect());
    }
    let variants = leaf.get("oneOf").and_then(Json::as_array)?;
    Some(variants.iter().filter_map(|one| one.get("const").and_then(Json::as_str)).collect())
}

/// Levenshtein distance in characters.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}
