//! Live events: what somebody may be told the moment it happens, and nothing more.
//!
//! The table of events is the only source, so a listener who was away for an hour gets the same
//! as one who was there. Which kinds a role may follow is the rule of what it may read.

use std::collections::BTreeSet;

use tokio::sync::watch;

use medrelay_core::access::{self, Action};
use medrelay_core::event::{Kind, Record};
use medrelay_core::id::SessionId;
use medrelay_core::people::Actor;

use super::audit::everyone_below;
use super::link::Progress;
use super::{Error, Service};

/// Events read at once.
const PAGE: i64 = 200;

/// What one listener may follow: for each action, whose events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Audience {
    reach: Vec<Reach>,
    organizations: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Reach {
    action: Action,
    owners: BTreeSet<String>,
    partners: BTreeSet<String>,
}

impl Audience {
    /// Whether its owner may be told how far a study is.
    pub fn hears_progress(&self, progress: &Progress) -> bool {
        let partner = progress.partner.as_ref().map_or("", |centre| centre.as_str());
        self.reach.iter().any(|reach| {
            reach.action == Action::ReadStudy
                && (reach.owners.contains(progress.clinic.as_str())
                    || reach.partners.contains(partner))
        })
    }

    fn hears(&self, record: &Record) -> bool {
        let action = Kind::parse(&record.kind).and_then(audience);
        self.reach.iter().any(|reach| {
            Some(reach.action) == action
                && (reach.owners.contains(&record.organization)
                    || reach.partners.contains(&record.partner))
        })
    }
}

impl Service {
    /// What the person behind a session may follow now; `None` once the session is over. It does
    /// not count as using the session.
    pub async fn audience(&self, session: &SessionId) -> Result<Option<Audience>, Error> {
        let now = self.now();
        let mut tx = self.db().read().await?;
        let Some(session) = tx.session(session).await? else { return Ok(None) };
        if session.expires_at <= now || session.used_at + self.settings().session_idle <= now {
            return Ok(None);
        }
        let person = tx.person(&session.person).await?;
        if person.is_none_or(|person| person.disabled_at.is_some()) {
            return Ok(None);
        }
        let grants = tx.acting_grants(&session.person).await?;
        let actor = Actor::Person { id: session.person, grants };
        let mut audience = Audience::default();
        let mut all = BTreeSet::new();
        for (action, _) in AUDIENCES {
            let scope = access::scope(&actor, *action);
            let mut owners: BTreeSet<String> = scope.own.iter().map(ToString::to_string).collect();
            owners.extend(everyone_below(&mut tx, &scope, now).await?);
            let partners: BTreeSet<String> =
                scope.partner.iter().map(ToString::to_string).collect();
            all.extend(owners.iter().chain(&partners).cloned());
            audience.reach.push(Reach { action: *action, owners, partners });
        }
        audience.organizations = all.into_iter().collect();
        Ok(Some(audience))
    }

    /// Events after `seq` for an audience, oldest first, and the number to go on from: it may be
    /// past the last event given, so that what others do is not read again and again.
    pub async fn events_after(
        &self,
        audience: &Audience,
        seq: i64,
    ) -> Result<(Vec<Record>, i64), Error> {
        let mut tx = self.db().read().await?;
        let (head, _) = tx.event_head().await?;
        if head.seq <= seq || audience.organizations.is_empty() {
            return Ok((Vec::new(), seq.max(head.seq)));
        }
        let mut events = tx.events_for(&audience.organizations, seq, PAGE).await?;
        let full = i64::try_from(events.len()).unwrap_or(PAGE) >= PAGE;
        let last = events.last().map_or(seq, |event| event.seq);
        events.retain(|event| audience.hears(event));
        Ok((events, if full { last } else { last.max(head.seq) }))
    }

    /// The number of the last event.
    pub async fn last_event(&self) -> Result<i64, Error> {
        let mut tx = self.db().read().await?;
        Ok(tx.event_head().await?.0.seq)
    }

    /// Wakes up when this server has written an event; what other servers write, it does not see.
    pub fn event_signal(&self) -> watch::Receiver<i64> {
        self.db().follow_events()
    }
}

/// What somebody must be allowed to read to be told of which events. What is not named here is in
/// the audit trail only.
const AUDIENCES: &[(Action, &[Kind])] = &[
    (Action::ReadOrganization, &[Kind::OrganizationChanged]),
    (Action::ReadAgreement, &[Kind::AgreementChanged]),
    (Action::ReadDevice, &[Kind::DeviceChanged]),
    (
        Action::ReadGateway,
        &[Kind::JoinCodeMade, Kind::JoinCodeWithdrawn, Kind::GatewayJoined, Kind::GatewayRevoked],
    ),
    (Action::ReadOrder, &[Kind::OrderChanged, Kind::AttachmentAdded, Kind::AttachmentRemoved]),
    (
        Action::ReadStudy,
        &[
            Kind::StudyArriving,
            Kind::ManifestReceived,
            Kind::StudyComplete,
            Kind::StudyCommitted,
            Kind::StudyMatched,
            Kind::StudyUnmatched,
        ],
    ),
    (Action::ReadQuarantine, &[Kind::InstanceQuarantined, Kind::QuarantineSettled]),
    (
        Action::ReadCase,
        &[
            Kind::LateImage,
            Kind::CaseOpened,
            Kind::CaseQueued,
            Kind::CaseClaimed,
            Kind::CaseReleased,
            Kind::ClaimExpired,
            Kind::CaseTakenOver,
            Kind::CaseDelivered,
            Kind::CaseAssigned,
            Kind::CaseReturned,
            Kind::CaseResubmitted,
            Kind::CaseClosed,
        ],
    ),
    (Action::ReadMessage, &[Kind::MessageWritten, Kind::ItemReceived]),
    (Action::ReadTemplate, &[Kind::TemplateChanged]),
    (Action::ReadFinding, &[Kind::FindingRaised, Kind::FindingAcknowledged, Kind::FindingSettled]),
    (
        Action::ReadReport,
        &[
            Kind::PreliminarySigned,
            Kind::FinalSigned,
            Kind::AddendumSigned,
            Kind::ReportAcknowledged,
        ],
    ),
    (
        Action::ReadDelivery,
        &[Kind::DeliveryFailed, Kind::DeliveryParked, Kind::DeliveryRetried, Kind::DeliverySent],
    ),
];

/// What somebody must be allowed to read to be told of an event.
fn audience(kind: Kind) -> Option<Action> {
    AUDIENCES.iter().find(|(_, kinds)| kinds.contains(&kind)).map(|(action, _)| *action)
}

#[cfg(test)]
mod tests {
    use super::*;
    use medrelay_core::time::Timestamp;

    /// What nobody is told of at once.
    const TRAIL_ONLY: &[Kind] = &[
        Kind::Started,
        Kind::Stopped,
        Kind::SignedIn,
        Kind::SignInFailed,
        Kind::SignInLocked,
        Kind::SignedOut,
        Kind::SetUp,
        Kind::PersonChanged,
        Kind::PasswordChanged,
        Kind::AccessDenied,
        Kind::AssociationRefused,
        Kind::JoinFailed,
        Kind::CertificateRenewed,
        Kind::StudyRead,
        Kind::ClaimRenewed,
        Kind::DraftSaved,
        Kind::ReportRead,
        Kind::PersonInvited,
        Kind::SecondFactorChanged,
        Kind::IdentityProved,
        Kind::CalendarChanged,
        Kind::AttachmentRead,
        Kind::AnnotationsSaved,
        Kind::ImagesRead,
        Kind::StatisticsRead,
        Kind::AuditRead,
    ];

    #[test]
    fn every_kind_has_one_audience_or_none_on_purpose() {
        let heard = AUDIENCES.iter().flat_map(|(_, kinds)| kinds.iter());
        for kind in Kind::ALL {
            let times = heard.clone().chain(TRAIL_ONLY).filter(|one| *one == kind).count();
            assert_eq!(times, 1, "{kind:?}");
        }
    }

    #[test]
    fn a_listener_hears_only_what_its_role_reads_there() {
        let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect();
        let reach = Reach {
            action: Action::ReadCase,
            owners: names(&["clinic"]),
            partners: names(&["centre"]),
        };
        let audience = Audience { reach: vec![reach], organizations: Vec::new() };
        let record = |kind: Kind, organization: &str, partner: &str| Record {
            seq: 1,
            id: String::new(),
            at: Timestamp::default(),
            kind: kind.as_str().to_owned(),
            actor: String::new(),
            source: String::new(),
            organization: organization.to_owned(),
            partner: partner.to_owned(),
            object: String::new(),
            details: String::new(),
        };
        assert!(audience.hears(&record(Kind::CaseClaimed, "clinic", "elsewhere")));
        assert!(audience.hears(&record(Kind::CaseClaimed, "elsewhere", "centre")));
        assert!(!audience.hears(&record(Kind::CaseClaimed, "elsewhere", "elsewhere")));
        assert!(!audience.hears(&record(Kind::CaseClaimed, "centre", "clinic")));
        assert!(!audience.hears(&record(Kind::FinalSigned, "clinic", "centre")));
        assert!(!audience.hears(&record(Kind::StudyRead, "clinic", "centre")));
    }
}
