//! The sample devices: they send over DICOM as real ones do.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use medrelay_dicom::association::Prompt;
use medrelay_dicom::association::requestor::{
    Association, Proposal, RequestorConfig, StoreObject, dial,
};
use medrelay_dicom::command::Priority;
use medrelay_dicom::phantom::{PhantomInstance, PhantomSpec};

use crate::app::Relay;

/// Instances that are made while others are sent.
const AHEAD: usize = 4;
/// Time for a connection to our own listener.
const DIAL: Duration = Duration::from_secs(10);
/// How long the slow line takes for one instance.
const SLOW_INSTANCE: Duration = Duration::from_secs(15);

/// The way to the relay's DICOM listener.
pub(super) struct Line {
    address: SocketAddr,
    ae_title: String,
}

impl Line {
    /// The way to a running relay, on this machine.
    pub(super) fn to(relay: &Relay) -> anyhow::Result<Self> {
        let Some(mut address) = relay.addresses.dimse else {
            bail!("the demonstration sends its studies over DICOM, and nothing listens for it");
        };
        if address.ip().is_unspecified() {
            address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        if !address.ip().is_loopback() {
            bail!("the sample devices send from this machine only: let dimse.listen be loopback");
        }
        Ok(Self { address, ae_title: relay.service.settings().ae_title.clone() })
    }

    /// Sends a whole study in one association.
    pub(super) async fn send(&self, device: &str, spec: PhantomSpec) -> anyhow::Result<()> {
        let mut made = make(spec);
        let Some(first) = made.recv().await else { bail!("a sample study has no images") };
        let mut association = self.open(device, &first).await?;
        store(&mut association, first).await?;
        while let Some(instance) = made.recv().await {
            store(&mut association, instance).await?;
        }
        association.release().await.context("the relay did not release")
    }

    async fn open(
        &self,
        device: &str,
        like: &PhantomInstance,
    ) -> anyhow::Result<Association<Prompt>> {
        let stream = dial(self.address, DIAL).await.context("our own listener")?;
        let config = RequestorConfig::new(device, self.ae_title.as_str());
        let pair = (like.sop_class.clone(), like.transfer_syntax.clone());
        Association::open(stream, config, &Proposal::pairs([pair]))
            .await
            .with_context(|| format!("{device} is not let in"))
    }
}

/// A study that trickles in: its first instances are there, the others follow one by one.
pub(super) struct SlowLine {
    association: Association<Prompt>,
    spec: PhantomSpec,
    sent: u32,
}

impl SlowLine {
    /// Opens the association and sends the first instances at once.
    pub(super) async fn open(
        line: &Line,
        device: &str,
        spec: PhantomSpec,
        first: u32,
    ) -> anyhow::Result<Self> {
        let mut association = line.open(device, &spec.instance(0, 0)).await?;
        let mut made = make(PhantomSpec { series: 1, ..spec.clone() });
        let mut sent = 0;
        while sent < first
            && let Some(instance) = made.recv().await
        {
            store(&mut association, instance).await?;
            sent += 1;
        }
        Ok(Self { association, spec, sent })
    }

    /// Sends the others, until all are there or the relay stops. What is left then never comes,
    /// as from a real line that broke.
    pub(super) async fn go_on(mut self, stop: CancellationToken) {
        while self.sent < self.spec.instances {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(SLOW_INSTANCE) => {}
            }
            let instance = self.spec.instance(0, self.sent);
            if let Err(error) = store(&mut self.association, instance).await {
                tracing::warn!(error = format!("{error:#}"), "the slow sample line broke");
                return;
            }
            self.sent += 1;
        }
        // The relay may be gone already: nothing is lost by that.
        let _ = self.association.release().await;
    }
}

/// Makes the instances of a study beside their sending; stops when nobody takes them any more.
fn make(spec: PhantomSpec) -> mpsc::Receiver<PhantomInstance> {
    let (give, take) = mpsc::channel(AHEAD);
    drop(tokio::task::spawn_blocking(move || {
        for instance in spec.iter() {
            if give.blocking_send(instance).is_err() {
                return;
            }
        }
    }));
    take
}

async fn store(
    association: &mut Association<Prompt>,
    instance: PhantomInstance,
) -> anyhow::Result<()> {
    let object = StoreObject {
        sop_class: instance.sop_class,
        sop_instance: instance.sop_instance,
        transfer_syntax: instance.transfer_syntax,
        data_set_bytes: instance.data_set.len() as u64,
        priority: Priority::Medium,
        move_originator: None,
    };
    let reply = association.store(&object, instance.data_set.as_slice()).await?;
    if !reply.status.is_stored() {
        bail!("a sample image was answered with status {:04X}", reply.status.0);
    }
    Ok(())
}
