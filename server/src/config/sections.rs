//! Every setting there is, one struct per concern.
//!
//! The doc comment of a field is what the generated example and the JSON schema print, and its
//! value in `Default` is the only place where the default stands. A setting exists because an
//! operator asks for it; what differs from clinic to clinic is data (rows with a user interface),
//! not configuration.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::Secret;

/// The whole configuration of one relay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the relay keeps what it must not lose.
    pub data: Data,
    /// The database: SQLite for one machine, PostgreSQL for several.
    pub database: Database,
    /// Where the bytes of instances and reports are kept.
    pub blobs: Blobs,
    /// The plain HTTP listener.
    pub http: Http,
    /// The HTTPS listener and its certificate.
    pub https: Https,
    /// The link that clinics' gateways send over.
    pub link: Link,
    /// The DICOM listeners.
    pub dimse: Dimse,
    /// When a study counts as complete.
    pub study: Study,
    /// How long a reader may hold a case.
    pub claim: Claim,
    /// How long a person stays signed in.
    pub sessions: Sessions,
    /// What people prove beside their password, and how often.
    pub accounts: Accounts,
    /// How signed reports are sent on.
    pub delivery: Delivery,
    /// How a signed report looks on paper.
    pub report: Report,
    /// Bounds on what one peer may ask for.
    pub limits: Limits,
    /// What the log says, and how.
    pub log: Log,
    /// When a filling disk is reported and when it stops new images.
    pub disk: Disk,
    /// Keys that come from outside instead of from the data directory.
    pub secrets: Secrets,
}

/// Where the relay keeps what it must not lose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    /// Directory of the database, the images and the keys unless they are configured elsewhere.
    /// Made at the first start. A relative path starts at the working directory.
    pub dir: PathBuf,
}

impl Default for Data {
    fn default() -> Self {
        Self { dir: PathBuf::from("medrelay-data") }
    }
}

/// The database: SQLite for one machine, PostgreSQL for several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `sqlite:///path/to/file` or `postgres://user:password@host/database`. Without it: the file
    /// `medrelay.sqlite` in the data directory.
    #[schemars(example = "postgres://medrelay@db.example.org/medrelay")]
    pub url: Option<Secret>,
    /// Connections held open to the database at most.
    #[schemars(range(min = 1, max = 1000))]
    pub max_connections: u32,
}

impl Default for Database {
    fn default() -> Self {
        Self { url: None, max_connections: 8 }
    }
}

/// Where the bytes of instances and reports are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Blobs {
    /// `file:///path/to/directory` or `s3://bucket` (optionally `s3://bucket/prefix`, and
    /// `?endpoint=` for a store other than Amazon's). Without it: the directory `blobs` in the data
    /// directory.
    #[schemars(example = "s3://medrelay?endpoint=https://s3.example.org")]
    pub url: Option<String>,
    /// Address of the S3 store; the same as `?endpoint=` in the URL.
    #[schemars(example = "https://s3.example.org")]
    pub s3_endpoint: Option<String>,
    /// Region of the S3 store.
    #[schemars(example = "cn-north-1")]
    pub s3_region: Option<String>,
    /// Access key of the S3 store.
    #[schemars(example = &"AKIAEXAMPLE")]
    pub s3_access_key: Option<String>,
    /// Secret key of the S3 store.
    #[schemars(example = &"the secret key")]
    pub s3_secret_key: Option<Secret>,
    /// Talk to the S3 store without TLS. For a store on the same machine or in a closed network.
    pub s3_allow_http: bool,
}

/// The plain HTTP listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Address of the plain listener. Passwords and images pass here unencrypted, so it stays on
    /// this machine: for trying out, and for a reverse proxy beside the relay.
    pub plain_listen: SocketAddr,
    /// Allow `plain_listen` to be an address that other machines reach.
    pub allow_plain_elsewhere: bool,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            plain_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            allow_plain_elsewhere: false,
        }
    }
}

/// The HTTPS listener and its certificate.
///
/// The certificate comes from files if `certificate` is set, else from an ACME authority if
/// `acme_domains` is set, else from a small authority of the relay's own, whose root certificate is
/// then to be trusted by the browsers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Https {
    /// Listen for HTTPS at all.
    pub enabled: bool,
    /// Address of the HTTPS listener.
    pub listen: SocketAddr,
    /// PEM file with the server's certificate first and the intermediate ones after it. Read again
    /// on SIGHUP.
    #[schemars(example = "/etc/medrelay/fullchain.pem")]
    pub certificate: Option<PathBuf>,
    /// PEM file with the private key of `certificate`.
    #[schemars(example = "/etc/medrelay/privkey.pem")]
    pub key: Option<PathBuf>,
    /// Names to get a certificate for from an ACME authority (tls-alpn-01: port 443 of these names
    /// must lead here).
    #[schemars(example = ["relay.example.org"])]
    pub acme_domains: Vec<String>,
    /// Mail address at which the ACME authority may warn.
    #[schemars(example = "it@example.org")]
    pub acme_contact: Option<String>,
    /// Directory address of the ACME authority. Without it: Let's Encrypt.
    #[schemars(example = "https://acme.example.org/directory")]
    pub acme_directory: Option<String>,
    /// Names and addresses in the certificate that the relay issues for itself.
    pub names: Vec<String>,
}

impl Default for Https {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8443)),
            certificate: None,
            key: None,
            acme_domains: Vec::new(),
            acme_contact: None,
            acme_directory: None,
            names: ["localhost", "127.0.0.1", "::1"].map(String::from).to_vec(),
        }
    }
}

/// The link that clinics' gateways send over.
///
/// It goes over QUIC (UDP), and where UDP is blocked over a WebSocket on the HTTPS port. Its
/// certificates come from the relay's own authority, wherever the HTTPS certificate comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Link {
    /// Take gateways at all.
    pub enabled: bool,
    /// UDP address of the link. Without it: the address and port of `https.listen`, if HTTPS is on.
    #[schemars(example = "0.0.0.0:8443")]
    pub listen: Option<SocketAddr>,
    /// UDP port that gateways are told, where a router maps it to another one here.
    #[schemars(example = 443, range(min = 1))]
    pub announced_port: Option<u16>,
    /// Minutes that a join code is good unless it is asked for otherwise.
    #[schemars(range(min = 1, max = 1440))]
    pub join_minutes: u32,
    /// Days that a gateway's certificate is good. It is renewed from half of them on.
    #[schemars(range(min = 2, max = 398))]
    pub certificate_days: u32,
    /// Connections of all gateways together.
    #[schemars(range(min = 1, max = 100000))]
    pub connections: u32,
    /// Connections of one gateway; those that broke count until they are found dead.
    #[schemars(range(min = 2, max = 64))]
    pub connections_per_gateway: u32,
    /// GiB per clinic of images that have arrived in part; beyond it the oldest parts go first.
    #[schemars(range(min = 1, max = 1024))]
    pub partial_gib: u32,
    /// Days that images which have arrived in part are kept.
    #[schemars(range(min = 1, max = 90))]
    pub partial_days: u32,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: None,
            announced_port: None,
            join_minutes: 60,
            certificate_days: 30,
            connections: 1000,
            connections_per_gateway: 16,
            partial_gib: 4,
            partial_days: 7,
        }
    }
}

/// The DICOM listeners.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dimse {
    /// Accept DICOM associations at all.
    pub enabled: bool,
    /// Address of the plain DICOM listener, for scanners in the same network.
    pub listen: SocketAddr,
    /// Address of the DICOM listener with TLS (2762 by convention). It uses the certificate of
    /// `[https]`. Without it: none.
    #[schemars(example = "0.0.0.0:2762")]
    pub tls_listen: Option<SocketAddr>,
    /// The relay's own AE title, 1 to 16 characters.
    pub ae_title: String,
    /// Largest PDU the relay takes and announces, in bytes.
    #[schemars(range(min = 4096, max = 1048576))]
    pub max_pdu_bytes: u32,
    /// Associations open at once, all peers together. Further ones are refused as "local limit
    /// exceeded".
    #[schemars(range(min = 1, max = 10000))]
    pub max_associations: u32,
    /// Associations open at once from one peer address.
    #[schemars(range(min = 1, max = 10000))]
    pub max_associations_per_peer: u32,
    /// Seconds a new connection may take until its association request is complete (ARTIM timer).
    #[schemars(range(min = 1, max = 600))]
    pub artim_seconds: u32,
    /// Seconds without a byte after which an association is aborted.
    #[schemars(range(min = 5, max = 86400))]
    pub idle_seconds: u32,
    /// UIDs of private storage SOP classes to accept beside those of the standard.
    #[schemars(example = ["1.2.840.113619.4.30"])]
    pub extra_sop_classes: Vec<String>,
}

impl Default for Dimse {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 11112)),
            tls_listen: None,
            ae_title: String::from("MEDRELAY"),
            max_pdu_bytes: 131_072,
            max_associations: 200,
            max_associations_per_peer: 50,
            artim_seconds: 30,
            idle_seconds: 300,
            extra_sop_classes: Vec::new(),
        }
    }
}

/// When a study counts as complete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Study {
    /// Seconds without a new image after which a study counts as complete when no manifest came, by
    /// modality; `other` is for all that are not named. Further modalities may be added.
    pub quiet_seconds: BTreeMap<String, u32>,
}

impl Default for Study {
    fn default() -> Self {
        let quiet = [("ct", 60), ("mr", 60), ("dx", 20), ("cr", 20), ("dr", 20), ("us", 120)];
        let rest = [("ecg", 5), (OTHER, 60)];
        let all = quiet.into_iter().chain(rest);
        Self { quiet_seconds: all.map(|(name, seconds)| (name.to_owned(), seconds)).collect() }
    }
}

/// Key in `study.quiet_seconds` for every modality without a line of its own.
pub(super) const OTHER: &str = "other";

/// How long a reader may hold a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Claim {
    /// Minutes a claim lasts without a sign of life from the reader's screen.
    #[schemars(range(min = 1, max = 1440))]
    pub lease_minutes: u32,
    /// Hours after which a claim ends however often it was renewed.
    #[schemars(range(min = 1, max = 72))]
    pub cap_hours: u32,
    /// Cases one reader may hold at once.
    #[schemars(range(min = 1, max = 100))]
    pub limit: u32,
}

impl Default for Claim {
    fn default() -> Self {
        Self { lease_minutes: 20, cap_hours: 4, limit: 3 }
    }
}

/// How long a person stays signed in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sessions {
    /// Minutes without a request after which a session ends.
    #[schemars(range(min = 1, max = 1440))]
    pub idle_minutes: u32,
    /// Hours after sign-in at which a session ends in any case.
    #[schemars(range(min = 1, max = 168))]
    pub absolute_hours: u32,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { idle_minutes: 30, absolute_hours: 12 }
    }
}

/// What people prove beside their password, and how often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Accounts {
    /// Who must have a second factor (a code by time, RFC 6238): `optional`, `readers` (whoever
    /// signs) or `everybody`. Who must and has none can only set one up.
    pub second_factor: SecondFactor,
    /// Minutes after which whoever signs a report at a browser shows password or code again.
    #[schemars(range(min = 1, max = 1440))]
    pub step_up_minutes: u32,
}

impl Default for Accounts {
    fn default() -> Self {
        Self { second_factor: SecondFactor::Optional, step_up_minutes: 30 }
    }
}

/// Who must have a second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum SecondFactor {
    /// Whoever wants one.
    Optional,
    /// Everybody who reads and signs.
    Readers,
    /// Everybody.
    Everybody,
}

/// How signed reports are sent on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Delivery {
    /// Seconds to wait before each further attempt. After the last the delivery is parked for a
    /// person.
    #[schemars(length(min = 1, max = 50), inner(range(min = 1, max = 604800)))]
    pub backoff_seconds: Vec<u32>,
    /// Seconds one attempt may take.
    #[schemars(range(min = 5, max = 3600))]
    pub attempt_seconds: u32,
    /// PEM file of the authorities that certify PACS reached by DICOM TLS. Without it: those that
    /// the system trusts.
    #[schemars(example = "/etc/medrelay/pacs-authorities.pem")]
    pub authorities: Option<PathBuf>,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            backoff_seconds: vec![10, 30, 120, 600, 1800, 3600, 7200, 21600],
            attempt_seconds: 120,
            authorities: None,
        }
    }
}

/// How a signed report looks on paper.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Report {
    /// Typst file that lays out the report. Without it: the template inside the program, which is a
    /// good start for an own one.
    #[schemars(example = "/etc/medrelay/report.typ")]
    pub template: Option<PathBuf>,
    /// Directories searched for fonts before those of the system.
    #[schemars(example = ["/usr/local/share/fonts"])]
    pub fonts: Vec<PathBuf>,
}

/// Bounds on what one peer may ask for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest JSON request body, in KiB.
    #[schemars(range(min = 16, max = 65536))]
    pub request_body_kib: u32,
    /// Largest single instance, in MiB, by whatever way it comes.
    #[schemars(range(min = 1, max = 65536))]
    pub instance_mib: u32,
    /// Seconds an HTTP request may take, uploads and event streams aside.
    #[schemars(range(min = 1, max = 600))]
    pub request_seconds: u32,
    /// HTTP and HTTPS connections open at once.
    #[schemars(range(min = 16, max = 100000))]
    pub http_connections: u32,
    /// Seconds that running work gets to finish after a stop signal.
    #[schemars(range(min = 1, max = 300))]
    pub stop_seconds: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_body_kib: 1024,
            instance_mib: 4096,
            request_seconds: 60,
            http_connections: 2048,
            stop_seconds: 20,
        }
    }
}

/// What the log says, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `pretty` for people, `json` for machines, `auto`: pretty on a terminal and JSON on a pipe.
    pub format: LogFormat,
    /// Which events are written: a level, or levels per module (`info,medrelay::edge=debug`).
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Auto, filter: String::from("info") }
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON on a pipe.
    Auto,
    /// Coloured lines for people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// When a filling disk is reported and when it stops new images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Disk {
    /// Free MiB below which new images are refused ("out of resources"). Reading and signing go on.
    #[schemars(range(min = 16, max = 1048576))]
    pub reserve_mib: u32,
    /// Percent of the disk in use above which the relay warns.
    #[schemars(range(min = 1, max = 99))]
    pub warn_percent: u32,
}

impl Default for Disk {
    fn default() -> Self {
        Self { reserve_mib: 64, warn_percent: 85 }
    }
}

/// Keys that come from outside instead of from the data directory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Secrets {
    /// The master key that wraps all other keys: 64 hexadecimal digits. Without it: the file
    /// `keys/master.key` in the data directory, made at the first start.
    #[schemars(example = &"64 hexadecimal digits")]
    pub master_key: Option<Secret>,
}
