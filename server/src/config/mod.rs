//! The configuration: documented structs with defaults, overlaid by a TOML file, the environment
//! and the command line, and checked as a whole before anything binds or opens.
//!
//! Every key can be set as `MEDRELAY__SECTION__KEY`; a secret also as the path of a file (`…_file`
//! in TOML, `…_FILE` in the environment). Unknown keys are refused.

mod describe;
mod layers;
mod secret;
mod sections;
mod targets;
mod validate;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Table;

pub use describe::variable;
pub use layers::{ENV_PREFIX, Origin, Problem};
pub use secret::{REDACTED, Secret};
pub use sections::{
    Accounts, Blobs, Claim, Config, Data, Database, Delivery, Dimse, Disk, Http, Https, Limits,
    Link, Log, LogFormat, Report, SecondFactor, Secrets, Sessions, Study,
};
pub use targets::{BlobTarget, DatabaseTarget, S3Target};

/// A checked configuration and where its values came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The values in force.
    pub config: Config,
    origins: BTreeMap<String, Origin>,
}

impl Loaded {
    /// Where the value of a dotted key came from.
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// Every value in force and where it came from, one a line, secrets redacted.
    pub fn show(&self) -> String {
        describe::show(self)
    }
}

/// Why there is no configuration. An operator mends it; trying again does not help.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{} is not valid TOML: {source}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// Keys or values are wrong; all of them are listed.
    #[error("the configuration is wrong:\n{}", list(.0))]
    Wrong(Vec<Problem>),
}

impl Config {
    /// Loads and checks the configuration: defaults, then the file at `path`, then the variables of
    /// `env`, then `data` as the data directory. `env` may hold any variables; those without the
    /// prefix are not looked at.
    pub fn load(
        path: Option<&Path>,
        data: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Loaded, ConfigError> {
        let mut layers = layers::Layers::new(describe::bare_schema());
        if let Some(path) = path {
            layers.lay(read(path)?, &Origin::File(path.to_owned()));
        }
        let mut variables: Vec<(String, String)> =
            env.filter(|(name, _)| name.starts_with(ENV_PREFIX)).collect();
        variables.sort();
        for (name, text) in &variables {
            layers.lay_variable(name, text);
        }
        if let Some(dir) = data {
            let dir = Table::from_iter([(
                String::from("dir"),
                toml::Value::String(dir.to_string_lossy().into_owned()),
            )]);
            let layer = Table::from_iter([(String::from("data"), toml::Value::Table(dir))]);
            layers.lay(layer, &Origin::CommandLine("--data"));
        }
        let config = layers.finish();
        if layers.problems.is_empty() {
            for (key, message) in validate::broken_rules(&config) {
                let origin = layers.origin(key);
                layers.problems.push(Problem { key: key.to_owned(), origin, message });
            }
        }
        if layers.problems.is_empty() {
            Ok(Loaded { config, origins: layers.origins })
        } else {
            Err(ConfigError::Wrong(layers.problems))
        }
    }

    /// A configuration file with every key, its meaning and its default.
    pub fn example_toml() -> String {
        describe::example_toml()
    }

    /// The JSON schema of the configuration file, for editors.
    pub fn schema_json() -> String {
        describe::schema_json()
    }
}

/// The process's environment for [`Config::load`]; what is not UTF-8 cannot be a setting and is left
/// out.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)))
}

fn read(path: &Path) -> Result<Table, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    text.parse()
        .map_err(|source| ConfigError::Syntax { path: path.to_owned(), source: Box::new(source) })
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("  {problem}")).collect::<Vec<_>>().join("\n")
}
