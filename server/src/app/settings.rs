//! From the configuration to what each part wants to know.

use std::time::Duration;

use medrelay_core::case::Lease;
use medrelay_core::delivery::Backoff;
use medrelay_core::people::SecondFactorPolicy;
use medrelay_core::study::QuietTimes;
use medrelay_core::time::Span;
use medrelay_dicom::association::acceptor::AcceptorConfig;

use crate::config::{Config, SecondFactor};
use crate::edge::dimse::DimseSettings;
use crate::edge::dimse::courier::CourierSettings;
use crate::edge::link;
use crate::http::HttpSettings;
use crate::service::{LinkSettings, Settings};

/// What the use cases want to know.
pub(super) fn service(config: &Config) -> Settings {
    let secs = |n: u32| Span::from_secs(i64::from(n));
    Settings {
        ae_title: config.dimse.ae_title.clone(),
        dicom_port: config.dimse.enabled.then(|| config.dimse.listen.port()),
        dicom_tls_port: config
            .dimse
            .tls_listen
            .filter(|_| config.dimse.enabled)
            .map(|at| at.port()),
        names: config.https.names.iter().filter(|name| !is_this_machine(name)).cloned().collect(),
        quiet: quiet(config),
        lease: Lease {
            length: Span::from_minutes(i64::from(config.claim.lease_minutes)),
            cap: Span::from_hours(i64::from(config.claim.cap_hours)),
        },
        claim_limit: usize::try_from(config.claim.limit).unwrap_or(usize::MAX),
        backoff: Backoff {
            waits: config.delivery.backoff_seconds.iter().copied().map(secs).collect(),
            attempt: secs(config.delivery.attempt_seconds),
        },
        session_idle: Span::from_minutes(i64::from(config.sessions.idle_minutes)),
        session_absolute: Span::from_hours(i64::from(config.sessions.absolute_hours)),
        second_factor: match config.accounts.second_factor {
            SecondFactor::Optional => SecondFactorPolicy::Optional,
            SecondFactor::Readers => SecondFactorPolicy::Readers,
            SecondFactor::Everybody => SecondFactorPolicy::Everybody,
        },
        step_up: Span::from_minutes(i64::from(config.accounts.step_up_minutes)),
        reserve_bytes: u64::from(config.disk.reserve_mib) << 20,
        link: link(config),
        ..Settings::default()
    }
}

/// Whether a name means the machine that asks: nobody else reaches us by it.
fn is_this_machine(name: &str) -> bool {
    name == "localhost"
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn link(config: &Config) -> LinkSettings {
    let days = |n: u32| Span::from_hours(i64::from(n) * 24);
    let listen = config.link_listen().map_or(config.https.listen.port(), |at| at.port());
    LinkSettings {
        join_life: Span::from_minutes(i64::from(config.link.join_minutes)),
        certificate_life: days(config.link.certificate_days),
        port: listen,
        announced_port: config.link.announced_port,
        partial_bytes: u64::from(config.link.partial_gib) << 30,
        partial_life: days(config.link.partial_days),
    }
}

/// What the relay's end of the link wants to know.
pub(super) fn link_edge(config: &Config) -> link::LinkSettings {
    let count = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    link::LinkSettings {
        connections: count(config.link.connections),
        connections_per_gateway: count(config.link.connections_per_gateway),
        instance_bytes: u64::from(config.limits.instance_mib) << 20,
        ..link::LinkSettings::default()
    }
}

fn quiet(config: &Config) -> QuietTimes {
    let span = |modality: &str| {
        Span::from_secs(i64::try_from(config.study.quiet(modality).as_secs()).unwrap_or(60))
    };
    let named = config.study.quiet_seconds.keys();
    let by_modality = named.map(|name| (name.to_ascii_uppercase(), span(name))).collect();
    QuietTimes { by_modality, other: span("other") }
}

/// What the DICOM listeners want to know.
pub(super) fn dimse(config: &Config) -> DimseSettings {
    let count = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    DimseSettings {
        ae_title: config.dimse.ae_title.clone(),
        max_associations: count(config.dimse.max_associations),
        max_associations_per_device: count(config.dimse.max_associations_per_peer),
        extra_sop_classes: config.dimse.extra_sop_classes.clone(),
        acceptor: AcceptorConfig {
            max_pdu_bytes: config.dimse.max_pdu_bytes,
            artim_timeout: Duration::from_secs(config.dimse.artim_seconds.into()),
            idle_timeout: Duration::from_secs(config.dimse.idle_seconds.into()),
            object_bytes: u64::from(config.limits.instance_mib) << 20,
            ..AcceptorConfig::default()
        },
    }
}

/// What the way out wants to know.
pub(super) fn courier(config: &Config) -> CourierSettings {
    CourierSettings {
        ae_title: config.dimse.ae_title.clone(),
        attempt: Duration::from_secs(config.delivery.attempt_seconds.into()),
        authorities: config.delivery.authorities.clone(),
    }
}

/// What the HTTP listeners want to know.
pub(super) fn http(config: &Config) -> HttpSettings {
    HttpSettings {
        connections: usize::try_from(config.limits.http_connections).unwrap_or(usize::MAX),
        request_time: Duration::from_secs(config.limits.request_seconds.into()),
        ..HttpSettings::default()
    }
}
