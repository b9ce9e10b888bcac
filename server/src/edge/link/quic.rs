//! Gateways that come in over QUIC: the certificate of the handshake says who they are.

use std::time::Duration;

use medrelay_core::transfer::CloseCode;
use medrelay_link::Carrier;
use medrelay_link::quic::{Admission as Door, Attempt};

use super::{Link, session};
use crate::service::gateways::Admission;
use crate::service::link::LinkPeer;

/// How long open connections get to close after the last session has ended.
const IDLE: Duration = Duration::from_secs(3);

impl Link {
    /// Accepts connections until the soft stop, then waits for the last one to go.
    pub async fn listen(self, endpoint: quinn::Endpoint) {
        let stop = self.shared.lifecycle.soft();
        let door = Door::default();
        loop {
            let attempt = tokio::select! {
                attempt = door.next(&endpoint) => attempt,
                () = stop.cancelled() => break,
            };
            let Some(attempt) = attempt else { break };
            let link = self.clone();
            drop(self.shared.lifecycle.spawn(async move { link.arrive(attempt).await }));
        }
        endpoint.set_server_config(None);
        let sessions = async {
            while endpoint.open_connections() > 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        // Sessions close their connections within their own time; the rest is the hard stop's.
        let _ = tokio::time::timeout(session::LEAVING + IDLE, sessions).await;
        endpoint.close(0u32.into(), b"");
        let _ = tokio::time::timeout(IDLE, endpoint.wait_idle()).await;
    }

    async fn arrive(self, attempt: Attempt) {
        let remote = attempt.remote();
        let Some(place) = self.place() else {
            tracing::warn!(net.peer = %remote, "a gateway is turned away: too many connections");
            return;
        };
        let carrier = match attempt.accept().await {
            Ok(carrier) => carrier,
            Err(error) => {
                // Without a certificate of ours, or gone: not worth more.
                tracing::debug!(net.peer = %remote, %error, "a QUIC connection did not begin");
                return;
            }
        };
        if let Some(peer) = self.certified(&carrier).await {
            session::run(self, carrier, Some(peer)).await;
        }
        drop(place);
    }

    async fn certified(&self, carrier: &Carrier) -> Option<LinkPeer> {
        let certificate = carrier.peer_certificate();
        let shown = certificate.as_ref().map_or(&[][..], |certificate| certificate.as_ref());
        match self.service().admit_gateway(shown).await {
            Ok(Admission::Admitted(peer)) => Some(peer),
            Ok(refused) => {
                let (code, detail) = refusal(&refused);
                tracing::warn!(net.peer = %carrier.remote(), "a gateway is turned away: {detail}");
                carrier.close(code, detail);
                None
            }
            Err(error) => {
                tracing::error!(%error, "a gateway could not be looked up");
                carrier.close(CloseCode::Stopping, "the relay cannot look certificates up now");
                None
            }
        }
    }
}

/// How somebody is told that they may not use the link.
pub(super) const fn refusal(admission: &Admission) -> (CloseCode, &'static str) {
    match admission {
        Admission::Revoked => (CloseCode::Revoked, "the gateway was revoked"),
        Admission::SessionOver => {
            (CloseCode::Revoked, "the session is over or may not send for this clinic any more")
        }
        Admission::ClinicClosed => (CloseCode::Closed, "the clinic is closed"),
        Admission::Unknown | Admission::Admitted(_) => {
            (CloseCode::Proof, "the certificate is not known here or out of date")
        }
    }
}
