//! A setting that must not be shown.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

/// What stands in place of a secret wherever it is printed.
pub const REDACTED: &str = "********";

/// A secret setting. Printing and serializing it gives asterisks; a URL keeps everything but its
/// password and query.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself: only for the one place that uses it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The text that may be shown: asterisks, or a URL without its password and query.
    pub fn redacted(&self) -> String {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return REDACTED.to_owned();
        };
        let (rest, query) = match rest.split_once('?') {
            Some((rest, _)) => (rest, "?********"),
            None => (rest, ""),
        };
        // The last "@" ends the user part: a password may hold unescaped ones.
        match rest.rsplit_once('@') {
            Some((user, place)) => {
                let name = user.split_once(':').map_or(user, |(name, _)| name);
                let password = if user.contains(':') { ":********" } else { "" };
                format!("{scheme}://{name}{password}@{place}{query}")
            }
            None => format!("{scheme}://{rest}{query}"),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.redacted())
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "writeOnly": true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_printed() {
        for (secret, shown) in [
            ("hunter2", "********"),
            (
                "postgres://u:p@ss@db/medrelay?password=x",
                "postgres://u:********@db/medrelay?********",
            ),
            ("postgres://u@db/medrelay", "postgres://u@db/medrelay"),
            ("sqlite:///var/lib/medrelay/m.sqlite", "sqlite:///var/lib/medrelay/m.sqlite"),
        ] {
            assert_eq!(Secret::new(secret).redacted(), shown);
            assert_eq!(format!("{:?}", Secret::new(secret)), shown);
        }
    }
}
