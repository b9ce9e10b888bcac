//! What the settings come to: addresses, paths and durations as the rest of the program wants them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::sections::{Config, OTHER, Study};

/// Which database to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseTarget {
    /// A SQLite file, in the form sqlx takes (`sqlite://path`).
    Sqlite {
        /// The file.
        path: PathBuf,
    },
    /// A PostgreSQL server.
    Postgres {
        /// The URL with the password in it: not for printing.
        url: super::Secret,
    },
}

/// Where blobs go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobTarget {
    /// A directory of this machine.
    Directory(PathBuf),
    /// A bucket of an S3 store.
    S3(S3Target),
}

/// A bucket of an S3 store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Target {
    /// Name of the bucket.
    pub bucket: String,
    /// Key prefix inside the bucket, without slashes at its ends; empty for none.
    pub prefix: String,
    /// Address of the store; `None` for Amazon's.
    pub endpoint: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// Access key.
    pub access_key: Option<String>,
    /// Secret key.
    pub secret_key: Option<super::Secret>,
    /// Whether `http://` is allowed.
    pub allow_http: bool,
}

impl Config {
    /// The database to open; the message says what is wrong with the URL, without quoting it.
    pub fn database_target(&self) -> Result<DatabaseTarget, String> {
        let Some(secret) = &self.database.url else {
            return Ok(DatabaseTarget::Sqlite { path: self.data.dir.join("medrelay.sqlite") });
        };
        let url = secret.reveal();
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(DatabaseTarget::Postgres { url: secret.clone() });
        }
        let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"));
        match path {
            Some(path) if !path.is_empty() && !path.contains(['?', ':']) => {
                Ok(DatabaseTarget::Sqlite { path: PathBuf::from(path) })
            }
            _ => {
                Err(String::from("must be sqlite:///path/to/file or postgres://user@host/database"))
            }
        }
    }

    /// The URL to open the database with (a secret: it may hold a password), and the directory that
    /// must be there first; the message says what is wrong, without quoting it.
    pub fn database_url(&self) -> Result<(String, Option<PathBuf>), String> {
        Ok(match self.database_target()? {
            DatabaseTarget::Sqlite { path } => {
                let dir = path.parent().map(PathBuf::from);
                (format!("sqlite://{}?mode=rwc", path.display()), dir)
            }
            DatabaseTarget::Postgres { url } => (url.reveal().to_owned(), None),
        })
    }

    /// Where blobs go; the message says what is wrong with the URL.
    pub fn blob_target(&self) -> Result<BlobTarget, String> {
        let Some(url) = &self.blobs.url else {
            return Ok(BlobTarget::Directory(self.data.dir.join("blobs")));
        };
        if let Some(path) = url.strip_prefix("file://").filter(|path| path.starts_with('/')) {
            return Ok(BlobTarget::Directory(PathBuf::from(path)));
        }
        let rest = url.strip_prefix("s3://").ok_or(
            "must be file:///path/to/directory or s3://bucket, optionally with ?endpoint=",
        )?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        if bucket.is_empty() {
            return Err(String::from("names no bucket"));
        }
        let in_url = match query.split_once('=') {
            Some(("endpoint", value)) => Some(value.to_owned()),
            None if query.is_empty() => None,
            _ => return Err(String::from("takes no parameter but endpoint")),
        };
        let endpoint = in_url.or_else(|| self.blobs.s3_endpoint.clone());
        if endpoint.as_ref().is_some_and(|address| address.starts_with("http://"))
            && !self.blobs.s3_allow_http
        {
            return Err(String::from(
                "has an endpoint without TLS; set blobs.s3_allow_http = true",
            ));
        }
        Ok(BlobTarget::S3(S3Target {
            bucket: bucket.to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
            endpoint,
            region: self.blobs.s3_region.clone(),
            access_key: self.blobs.s3_access_key.clone(),
            secret_key: self.blobs.s3_secret_key.clone(),
            allow_http: self.blobs.s3_allow_http,
        }))
    }

    /// The UDP address of the clinic link, if it is to be open: its own, or that of HTTPS (whose
    /// port then counts as it was really bound).
    pub fn link_listen(&self) -> Option<SocketAddr> {
        let beside = self.https.enabled.then_some(self.https.listen);
        self.link.enabled.then_some(self.link.listen.or(beside)).flatten()
    }

    /// Directory of the relay's keys and certificates.
    pub fn keys_dir(&self) -> PathBuf {
        self.data.dir.join("keys")
    }
}

impl Study {
    /// How long a study of this modality must be quiet to count as complete.
    pub fn quiet(&self, modality: &str) -> Duration {
        let line = |name: &str| self.quiet_seconds.get(name);
        let seconds = line(&modality.trim().to_ascii_lowercase()).or_else(|| line(OTHER));
        Duration::from_secs(seconds.copied().unwrap_or(60).into())
    }
}
