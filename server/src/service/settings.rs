//! What an operator can set, as the use cases need it.

use medrelay_core::people::SecondFactorPolicy;
use medrelay_core::study::QuietTimes;
use medrelay_core::time::Span;
use medrelay_core::{case, delivery};

/// What an operator can set about the clinic link.
#[derive(Debug, Clone)]
pub struct LinkSettings {
    /// How long a join code is good unless it is asked for otherwise.
    pub join_life: Span,
    /// How long a gateway's certificate is good.
    pub certificate_life: Span,
    /// UDP port that gateways are told until it is known which one was bound.
    pub port: u16,
    /// UDP port that gateways are told in any case.
    pub announced_port: Option<u16>,
    /// Bytes per clinic of images that have arrived in part.
    pub partial_bytes: u64,
    /// How long images that have arrived in part are kept.
    pub partial_life: Span,
}

impl Default for LinkSettings {
    fn default() -> Self {
        Self {
            join_life: Span::from_minutes(60),
            certificate_life: Span::from_hours(30 * 24),
            port: 8443,
            announced_port: None,
            partial_bytes: 4 << 30,
            partial_life: Span::from_hours(7 * 24),
        }
    }
}

/// What an operator can set, as the use cases need it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our AE title.
    pub ae_title: String,
    /// Port of the plain DICOM listener; absent when there is none.
    pub dicom_port: Option<u16>,
    /// Port of the DICOM listener with TLS.
    pub dicom_tls_port: Option<u16>,
    /// Names and addresses by which others reach this server.
    pub names: Vec<String>,
    /// When a study without a manifest counts as complete.
    pub quiet: QuietTimes,
    /// How long a claim lasts.
    pub lease: case::Lease,
    /// How many cases one reader may hold.
    pub claim_limit: usize,
    /// How deliveries are retried.
    pub backoff: delivery::Backoff,
    /// A session ends after this long without use.
    pub session_idle: Span,
    /// A session ends after this long in any case.
    pub session_absolute: Span,
    /// Who must have a second factor.
    pub second_factor: SecondFactorPolicy,
    /// Whoever signs at a browser has proved who they are within this time.
    pub step_up: Span,
    /// Ingest stops when less than this is free, in bytes.
    pub reserve_bytes: u64,
    /// Minutes east of UTC in which reports print their times.
    pub utc_offset_minutes: i32,
    /// The clinic link.
    pub link: LinkSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ae_title: "MEDRELAY".to_owned(),
            dicom_port: None,
            dicom_tls_port: None,
            names: Vec::new(),
            quiet: QuietTimes::default(),
            lease: case::Lease::default(),
            claim_limit: medrelay_core::queue::CLAIM_LIMIT,
            backoff: delivery::Backoff::default(),
            session_idle: Span::from_minutes(30),
            session_absolute: Span::from_hours(12),
            second_factor: SecondFactorPolicy::Optional,
            step_up: Span::from_minutes(30),
            reserve_bytes: 64 << 20,
            utc_offset_minutes: 480,
            link: LinkSettings::default(),
        }
    }
}
