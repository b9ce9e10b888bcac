//! A real PostgreSQL: one server per test process, a fresh database per call.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, anyhow};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::process::{Peer, Ready, find_program, free_port, run};

/// Ports tried: another process may take one between our asking and the server's binding.
const START_ATTEMPTS: usize = 3;

/// Arguments: both programs, the data folder, the port. Under one keeper, which thus also ends a half-made cluster.
const INITDB_AND_POSTGRES: &str = r#"
initdb=$1; postgres=$2; data=$3; port=$4
"$initdb" -D "$data" -U postgres -A trust -E UTF8 --locale=C --no-sync || exit 1
exec "$postgres" -D "$data" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
    -c fsync=off -c max_connections=300 -c shared_buffers=64MB
"#;

static SERVER: OnceLock<Result<Postgres, String>> = OnceLock::new();
static DATABASES: AtomicU64 = AtomicU64::new(0);

/// A PostgreSQL server on a loopback port, with its data in a temporary folder and nothing synced.
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    peer: Peer,
}

impl Postgres {
    /// URL of a new empty database on this process's server, which is started at the first call.
    pub async fn database() -> Result<String> {
        let server = tokio::task::spawn_blocking(|| {
            SERVER
                .get_or_init(|| Self::start().map_err(|error| format!("{error:#}")))
                .as_ref()
                .map_err(|text| anyhow!("{text}"))
        })
        .await??;
        server.new_database().await
    }

    /// Starts a server of one's own, for tests that stop it. It ends when dropped.
    pub fn start() -> Result<Self> {
        let mut outcome = Self::try_start();
        for _ in 1..START_ATTEMPTS {
            if outcome.is_ok() {
                break;
            }
            outcome = Self::try_start();
        }
        outcome
    }

    /// URL of a new empty database on this server.
    pub async fn new_database(&self) -> Result<String> {
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let mut admin = PgConnection::connect(&self.url("postgres")).await?;
        admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
        admin.close().await?;
        Ok(self.url(&name))
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        self.peer.output()
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    fn try_start() -> Result<Self> {
        let user = ServerUser::find()?;
        let folder = tempfile::Builder::new().prefix("medrelay-postgres-").tempdir()?;
        if let Some((uid, gid)) = user.0 {
            chown(folder.path(), Some(uid), Some(gid))?;
        }
        let data = folder.path().join("data");
        let port = free_port()?;
        let mut command = user.command(Path::new("sh"));
        command.args(["-c", INITDB_AND_POSTGRES, "postgres"]);
        command.arg(program("initdb")?).arg(program("postgres")?).arg(&data).arg(port.to_string());
        command.current_dir(folder.path()).env("LC_ALL", "C");
        // From here on the keeper removes the folder, also when this process is killed.
        let folder = folder.keep();
        let ready = Ready::Output("database system is ready to accept connections".into());
        // The fast shutdown: it waits for no client and gives its shared memory back.
        let peer = Peer::start_with(&command, ready, "INT", Some(&folder))
            .context("PostgreSQL does not start")?;
        Ok(Self { port, peer })
    }
}

/// Whom the server runs as: PostgreSQL refuses root, so root becomes the package's user.
struct ServerUser(Option<(u32, u32)>);

impl ServerUser {
    fn find() -> Result<Self> {
        if id(&["-u"])? != 0 {
            return Ok(Self(None));
        }
        let missing = "PostgreSQL refuses root and there is no user postgres: install the Debian package postgresql";
        let uid = id(&["-u", "postgres"]).context(missing)?;
        Ok(Self(Some((uid, id(&["-g", "postgres"]).context(missing)?))))
    }

    /// `program` under this user. `setpriv` becomes the program, so that signals reach it.
    fn command(&self, program: &Path) -> Command {
        let Some((uid, gid)) = self.0 else {
            return Command::new(program);
        };
        let mut command = Command::new("setpriv");
        let user = [format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".into()];
        command.args(user).arg(program);
        command
    }
}

/// One of the server's programs.
fn program(name: &str) -> Result<PathBuf> {
    find_program(name, &program_folders()).with_context(|| {
        format!("{name} is not in PATH nor in /usr/lib/postgresql/*/bin: install the Debian package postgresql")
    })
}

fn id(arguments: &[&str]) -> Result<u32> {
    Ok(run(Command::new("id").args(arguments))?.trim().parse()?)
}

/// Debian keeps the server's programs per major version, newest last in name order.
fn program_folders() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    folders.push(Path::new("/usr/local/bin").to_owned());
    folders
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn every_database_is_fresh_and_speaks_through_any() -> Result<()> {
        sqlx::any::install_default_drivers();
        let (one, two) = (Postgres::database().await?, Postgres::database().await?);
        assert_ne!(one, two);
        for url in [one, two] {
            let mut connection = sqlx::AnyConnection::connect(&url).await?;
            connection.execute("CREATE TABLE fresh (id BIGINT PRIMARY KEY)").await?;
            connection.close().await?;
        }
        Ok(())
    }

    #[test]
    fn a_dropped_server_is_gone() -> Result<()> {
        let server = Postgres::start()?;
        let address = ("127.0.0.1", server.port);
        TcpStream::connect(address).context("it serves")?;
        drop(server);
        assert!(TcpStream::connect(address).is_err());
        Ok(())
    }
}
