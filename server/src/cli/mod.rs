//! The command line: every sub-command, and which exit code it ends with.

mod admin;
mod audit;
mod check;
mod config;
mod demo;
mod phantom;
mod serve;
mod table;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, Loaded, environment};

/// How a command ended; the exit codes that DCMTK and dcm4che users expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All done.
    Done,
    /// Some of it failed.
    SomeFailed,
    /// The other side cannot be reached.
    Unreachable,
    /// The other side refused.
    Refused,
}

impl Outcome {
    /// Exit code of a command that failed in part or as a whole.
    pub const SOME_FAILED: u8 = 2;

    /// The exit code: 0 all done, 2 some failed, 3 unreachable, 4 refused (1 is a usage error).
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::SomeFailed => Self::SOME_FAILED,
            Self::Unreachable => 3,
            Self::Refused => 4,
        }
    }
}

/// Teleradiology and remote-consultation relay for medical consortia.
#[derive(Debug, Parser)]
#[command(name = "medrelay", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

/// Which configuration and which data.
#[derive(Debug, Clone, Default, Args)]
pub struct Place {
    /// Configuration file (TOML). See `medrelay config example`.
    #[arg(long, global = true, value_name = "FILE", env = "MEDRELAY_CONFIG")]
    config: Option<PathBuf>,
    /// Data directory: database, images and keys unless configured elsewhere.
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print JSON instead of text for people.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the relay.
    Serve,
    /// Run the relay with sample organizations, people and phantom studies.
    Demo(demo::DemoArgs),
    /// Look for what is wrong: configuration, database, store, disk, fonts, clock, certificate.
    Check,
    /// Show the configuration: an example file, its schema, or the values in force.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Organizations: list, add.
    #[command(subcommand)]
    Org(admin::OrgCommand),
    /// People: list, add, reset a password.
    #[command(subcommand)]
    User(admin::UserCommand),
    /// Clinics: add one with its agreement, let a gateway join, admit its devices, say where its
    /// reports go.
    #[command(subcommand)]
    Clinic(admin::ClinicCommand),
    /// Write a synthetic study to a directory.
    Phantom(phantom::PhantomArgs),
    /// The audit trail.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
}

impl Place {
    fn load(&self) -> anyhow::Result<Loaded> {
        Ok(Config::load(self.config.as_deref(), self.data.as_deref(), environment())?)
    }
}

/// Runs a command.
pub async fn run(cli: Cli) -> anyhow::Result<Outcome> {
    let Cli { place, command } = cli;
    match command {
        Command::Serve => serve::run(&place).await,
        Command::Demo(args) => demo::run(&place, &args).await,
        Command::Check => check::run(&place).await,
        Command::Config(command) => config::run(&place, &command),
        Command::Org(command) => admin::org(&place, command).await,
        Command::User(command) => admin::user(&place, command).await,
        Command::Clinic(command) => admin::clinic(&place, command).await,
        Command::Phantom(args) => phantom::run(&place, &args),
        Command::Audit(command) => audit::run(&place, &command).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
