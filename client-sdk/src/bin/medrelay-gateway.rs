//! The program `medrelay-gateway`: parses the command line and ends the process. Everything else is
//! in the library.

use std::process::ExitCode;

use clap::Parser as _;

use medrelay_client::gateway::{Cli, Outcome, run, start_log};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(shown) => {
            // Help and version are no error, and whoever closes the pipe does not want to read them.
            let _ = shown.print();
            return ExitCode::from(u8::from(shown.use_stderr()));
        }
    };
    start_log(&cli);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("medrelay-gateway: no runtime: {error}");
            return ExitCode::from(Outcome::SOME_FAILED);
        }
    };
    match runtime.block_on(run(cli)) {
        Ok(outcome) => ExitCode::from(outcome.code()),
        Err(error) => {
            eprintln!("medrelay-gateway: {error:#}");
            ExitCode::from(Outcome::SOME_FAILED)
        }
    }
}
