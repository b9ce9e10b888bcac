//! What the gateway says of itself: to the status page, to `status`, to programs.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use medrelay_core::time::{Span, Timestamp};
use serde::Serialize;
use tokio::sync::watch;

use super::config::{Config, Language};
use medrelay_link::Kind;

use crate::link::{self, LinkState, Phase};
use crate::spool::{KeptItem, Numbers, Problem, Spool, SpoolError, StudyLine};

/// Lines of each list.
const LINES: u32 = 50;

/// Everything that people are shown. Holds patient data: for the clinic's own machine only.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// `zh` or `en`.
    pub language: &'static str,
    /// The clinic's name at the relay.
    pub clinic: String,
    /// How the link is.
    pub link: LinkLine,
    /// Waiting and done.
    pub numbers: Numbers,
    /// Studies that are under way now.
    pub sending: usize,
    /// What went wrong last, if it is not over.
    pub problem: Option<Problem>,
    /// What a person must decide.
    pub review: Vec<Review>,
    /// Studies, the newest first.
    pub studies: Vec<StudyLine>,
    /// What came back, the newest first.
    pub items: Vec<KeptItem>,
    /// What to type into a modality: title.
    pub ae_title: String,
    /// Addresses of this machine.
    pub addresses: Vec<IpAddr>,
    /// Port.
    pub port: u16,
}

/// How the link is.
#[derive(Debug, Clone, Serialize)]
pub struct LinkLine {
    /// `up`, `down` or `stopped`.
    pub state: &'static str,
    /// `quic` or `websocket`, while it is up.
    pub carrier: &'static str,
    /// Bytes given to the line since the start.
    pub sent_bytes: u64,
    /// Of which were lost on it.
    pub lost_bytes: u64,
}

/// A study that a person must decide about.
#[derive(Debug, Clone, Serialize)]
pub struct Review {
    /// Its number in the spool.
    pub study: u64,
    /// The patient's name.
    pub patient: String,
    /// What is wrong with it, each once.
    pub flags: Vec<String>,
}

/// Puts the status together.
pub struct Watcher {
    pub(super) spool: Spool,
    config: Config,
    clinic: String,
    dimse: Option<SocketAddr>,
    link: watch::Receiver<LinkState>,
}

impl Watcher {
    /// Watches a spool and a link; `dimse` is where modalities send to, if anywhere.
    pub fn new(
        spool: Spool,
        config: Config,
        clinic: String,
        dimse: Option<SocketAddr>,
        link: watch::Receiver<LinkState>,
    ) -> Self {
        Self { spool, config, clinic, dimse, link }
    }

    /// The status now.
    pub async fn status(&self) -> Result<Status, SpoolError> {
        let link = self.link.borrow().clone();
        let midnight = midnight(self.spool.now(), self.config.utc_offset_minutes);
        let studies = self.spool.lines(LINES).await?;
        let problem = self.problem(&link).await?;
        Ok(Status {
            language: match self.config.language {
                Language::Zh => "zh",
                Language::En => "en",
            },
            clinic: self.clinic.clone(),
            sending: link.sending.len(),
            link: link_line(&link),
            numbers: self.spool.numbers(midnight).await?,
            problem,
            review: self.review().await?,
            studies,
            items: self.spool.items(LINES).await?,
            ae_title: self.config.ae_title.clone(),
            addresses: addresses(self.dimse),
            port: self.dimse.map_or(0, |address| address.port()),
        })
    }

    /// The last thing that went wrong and is not over: trouble of the link is over when it is up.
    async fn problem(&self, link: &LinkState) -> Result<Option<Problem>, SpoolError> {
        if let (Some(at), Phase::Connected) = (link.relay_full_since, link.phase) {
            let code = "relay_out_of_space".to_owned();
            return Ok(Some(Problem { code, at, detail: String::new(), times: 1 }));
        }
        let here = self.spool.last_problem().await?;
        let Some((at, problem)) = &link.last_problem else { return Ok(here) };
        if link.phase == Phase::Connected && !outlasts(problem) {
            return Ok(here);
        }
        if here.as_ref().is_some_and(|here| here.at > *at) {
            return Ok(here);
        }
        let detail = link::words::problem(problem, self.config.language.into());
        Ok(Some(Problem { code: "link".to_owned(), at: *at, detail, times: 1 }))
    }

    async fn review(&self) -> Result<Vec<Review>, SpoolError> {
        let mut studies: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for flagged in self.spool.flagged().await? {
            let flags = studies.entry(flagged.study).or_default();
            if !flags.contains(&flagged.flag) {
                flags.push(flagged.flag);
            }
        }
        let mut review = Vec::with_capacity(studies.len());
        for (study, flags) in studies {
            let patient = self.spool.line(study).await?.patient;
            review.push(Review { study, patient, flags });
        }
        Ok(review)
    }
}

/// Whether something is wrong though the line is up again.
fn outlasts(problem: &link::Problem) -> bool {
    use link::Problem;
    matches!(problem, Problem::BadReceipt(_) | Problem::BadAttachment | Problem::Renewal(_))
}

fn link_line(link: &LinkState) -> LinkLine {
    LinkLine {
        state: match link.phase {
            Phase::Connected => "up",
            Phase::Connecting => "down",
            Phase::Stopped(_) => "stopped",
        },
        carrier: carrier_name(link.carrier),
        sent_bytes: link.sent_bytes,
        lost_bytes: link.lost_bytes,
    }
}

/// The name of a carrier, as programs and the page know it.
pub(super) fn carrier_name(carrier: Option<Kind>) -> &'static str {
    match carrier {
        Some(Kind::Quic) => "quic",
        Some(Kind::WebSocket) => "websocket",
        None => "",
    }
}

/// The last midnight at an offset from UTC.
pub(super) fn midnight(now: Timestamp, utc_offset_minutes: i32) -> Timestamp {
    const DAY: i64 = 24 * 60 * 60 * 1_000_000;
    let offset = Span::from_minutes(i64::from(utc_offset_minutes));
    let local = (now + offset).micros();
    Timestamp::from_micros(local - local.rem_euclid(DAY)) - offset
}

/// The addresses that a modality can reach this machine by: the one it listens on, or the one that
/// the machine itself would speak from.
pub(super) fn addresses(listening: Option<SocketAddr>) -> Vec<IpAddr> {
    match listening {
        None => Vec::new(),
        Some(address) if !address.ip().is_unspecified() => vec![address.ip()],
        // No packet is sent: connecting a UDP socket only asks for the route. The addresses are
        // those of documentation (RFC 5737) and of private networks, so that some route is found.
        Some(_) => {
            let mut found = Vec::new();
            for target in ["192.0.2.1:9", "10.255.255.255:9", "192.168.255.255:9"] {
                let spoken = UdpSocket::bind("0.0.0.0:0")
                    .and_then(|socket| socket.connect(target).and_then(|()| socket.local_addr()));
                if let Ok(address) = spoken
                    && !found.contains(&address.ip())
                {
                    found.push(address.ip());
                }
            }
            found
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_begins_at_local_midnight() {
        let day = Span::from_hours(24).micros();
        // 1970-01-02 01:00 in China is still the first of January in Greenwich.
        let now = Timestamp::from_micros(day - Span::from_hours(7).micros());
        assert_eq!(midnight(now, 480), Timestamp::from_micros(day) - Span::from_hours(8));
        assert_eq!(midnight(now, 0), Timestamp::from_micros(0));
    }
}
