//! What must hold between settings, checked before anything binds or opens.

use std::net::SocketAddr;

use tracing_subscriber::EnvFilter;

use super::sections::{Config, Dimse};

/// Every broken rule as (key, what is wrong).
pub(super) fn broken_rules(config: &Config) -> Vec<(&'static str, String)> {
    let mut broken = Vec::new();
    let mut refuse = |key, message: &str| broken.push((key, message.to_owned()));

    let http = &config.http;
    if !http.plain_listen.ip().is_loopback() && !http.allow_plain_elsewhere {
        refuse(
            "http.plain_listen",
            "other machines would reach this address without encryption; use https, or set \
             http.allow_plain_elsewhere = true in a closed network",
        );
    }
    if let Err(message) = config.database_target() {
        refuse("database.url", &message);
    }
    if let Err(message) = config.blob_target() {
        refuse("blobs.url", &message);
    }
    https(config, &mut refuse);
    dimse(config, &mut refuse);
    if let Some((key, message)) = times(config) {
        refuse(key, message);
    }
    let filter = EnvFilter::builder().parse(&config.log.filter);
    if filter.is_err() {
        refuse("log.filter", "is not a filter; write a level (info) or module=level, by commas");
    }
    if let Some(key) = &config.secrets.master_key
        && hex::decode(key.reveal()).map_or(0, |bytes| bytes.len()) != 32
    {
        refuse("secrets.master_key", "must be 64 hexadecimal digits (32 bytes)");
    }
    if let Some((key, message)) = same_address(config) {
        refuse(key, &message);
    }
    broken
}

fn https(config: &Config, refuse: &mut impl FnMut(&'static str, &str)) {
    let https = &config.https;
    match (&https.certificate, &https.key) {
        (Some(_), None) => refuse("https.key", "is needed beside https.certificate"),
        (None, Some(_)) => refuse("https.certificate", "is needed beside https.key"),
        (Some(_), Some(_)) if !https.acme_domains.is_empty() => {
            refuse("https.acme_domains", "and https.certificate exclude each other: keep one");
        }
        _ => {}
    }
    let own = https.certificate.is_none() && https.acme_domains.is_empty();
    let needed = https.enabled || config.dimse.tls_listen.is_some();
    if needed && own && https.names.is_empty() {
        refuse("https.names", "needs at least one name for the relay's own certificate");
    }
}

fn dimse(config: &Config, refuse: &mut impl FnMut(&'static str, &str)) {
    let dimse = &config.dimse;
    if !is_ae_title(&dimse.ae_title) {
        refuse(
            "dimse.ae_title",
            "must be 1 to 16 characters of printable ASCII without backslash, not only spaces",
        );
    }
    if dimse.max_associations_per_peer > dimse.max_associations {
        refuse("dimse.max_associations_per_peer", "is more than dimse.max_associations");
    }
    if dimse.extra_sop_classes.iter().any(|uid| !is_uid(uid)) {
        refuse("dimse.extra_sop_classes", "holds something that is not a UID");
    }
    if dimse.tls_listen.is_some() && !config.https.acme_domains.is_empty() {
        refuse("dimse.tls_listen", "needs a certificate from files or the relay's own, not ACME");
    }
}

fn times(config: &Config) -> Option<(&'static str, &'static str)> {
    if config.claim.lease_minutes > config.claim.cap_hours * 60 {
        return Some(("claim.lease_minutes", "is longer than claim.cap_hours"));
    }
    if config.sessions.idle_minutes > config.sessions.absolute_hours * 60 {
        return Some(("sessions.idle_minutes", "is longer than sessions.absolute_hours"));
    }
    let out_of_range = |seconds: &u32| !(1..=86_400).contains(seconds);
    if config.study.quiet_seconds.values().any(out_of_range) {
        return Some(("study.quiet_seconds", "each must be from 1 to 86400"));
    }
    None
}

/// Two listeners that ask for one address. Port 0 means "any free port" and never clashes.
fn same_address(config: &Config) -> Option<(&'static str, String)> {
    let Dimse { enabled, listen, tls_listen, .. } = &config.dimse;
    let https = config.https.enabled.then_some(config.https.listen);
    let listeners = [
        ("http.plain_listen", Some(config.http.plain_listen)),
        ("https.listen", https),
        ("dimse.listen", enabled.then_some(*listen)),
        ("dimse.tls_listen", tls_listen.filter(|_| *enabled)),
    ];
    let open: Vec<(&str, SocketAddr)> =
        listeners.into_iter().filter_map(|(key, address)| Some((key, address?))).collect();
    open.iter().enumerate().find_map(|(i, (key, address))| {
        let earlier = open[..i].iter().find(|(_, other)| clash(*other, *address));
        earlier.map(|(other, _)| (*key, format!("is the same address as {other}")))
    })
}

fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    let overlap = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && overlap
}

/// DICOM PS3.5 6.2, VR AE: no backslash, no control characters, not only spaces.
fn is_ae_title(text: &str) -> bool {
    let allowed = |c: char| (' '..='~').contains(&c) && c != '\\';
    (1..=16).contains(&text.len()) && text.chars().all(allowed) && !text.trim().is_empty()
}

/// DICOM PS3.5 9.1.
fn is_uid(text: &str) -> bool {
    let component = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    text.len() <= 64 && text.split('.').all(component)
}
