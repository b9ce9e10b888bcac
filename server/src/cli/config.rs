//! `medrelay config`: an example, the schema, the values in force.

use clap::Subcommand;

use super::{Outcome, Place};
use crate::config::Config;

/// What to show.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// A configuration file with every key, its meaning and its default.
    Example,
    /// The JSON schema of the configuration file, for editors.
    Schema,
    /// Every value in force and where it came from; secrets are not shown.
    Show,
}

/// Shows it.
pub(super) fn run(place: &Place, command: &ConfigCommand) -> anyhow::Result<Outcome> {
    match command {
        ConfigCommand::Example => print!("{}", Config::example_toml()),
        ConfigCommand::Schema => print!("{}", Config::schema_json()),
        ConfigCommand::Show => print!("{}", place.load()?.show()),
    }
    Ok(Outcome::Done)
}
