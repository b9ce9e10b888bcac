//! A modality: sends phantoms over DIMSE as a scanner in a clinic does.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use medrelay_core::id::Uid;
use medrelay_dicom::association::Prompt;
use medrelay_dicom::association::requestor::{
    Association, Proposal, RequestError, RequestorConfig, StoreObject, dial,
};
use medrelay_dicom::command::{Priority, Reply, Status};
use medrelay_dicom::phantom::{PhantomInstance, PhantomSpec};
use medrelay_dicom::uids;

/// How long loopback may take to connect.
const CONNECT: Duration = Duration::from_secs(10);

/// A device that sends.
#[derive(Debug, Clone)]
pub struct Modality {
    /// The title it calls itself by.
    pub ae_title: String,
    /// The title it calls.
    pub called: String,
    /// Where it sends to.
    pub relay: SocketAddr,
}

impl Modality {
    /// A modality with this title that sends to a relay's DICOM listener.
    pub fn new(ae_title: &str, relay: SocketAddr) -> Self {
        Self { ae_title: ae_title.to_owned(), called: "MEDRELAY".to_owned(), relay }
    }

    /// The same, calling another title.
    #[must_use]
    pub fn calling(mut self, called: &str) -> Self {
        called.clone_into(&mut self.called);
        self
    }

    /// Opens an association that can carry these instances and C-ECHO.
    pub async fn associate(
        &self,
        instances: &[PhantomInstance],
    ) -> Result<Association<Prompt>, RequestError> {
        let echo = known(uids::VERIFICATION);
        let plain = known(uids::EXPLICIT_VR_LITTLE_ENDIAN);
        let pairs = instances
            .iter()
            .map(|instance| (instance.sop_class.clone(), instance.transfer_syntax.clone()))
            .chain([(echo, plain)]);
        let proposals = Proposal::pairs(pairs);
        let stream = dial(self.relay, CONNECT).await?;
        let config = RequestorConfig::new(self.ae_title.clone(), self.called.clone());
        Association::open(stream, config, &proposals).await
    }

    /// Sends instances over one association; says what was answered to each.
    pub async fn offer(&self, instances: &[PhantomInstance]) -> Result<Vec<Reply>, RequestError> {
        let mut association = self.associate(instances).await?;
        let mut replies = Vec::with_capacity(instances.len());
        for instance in instances {
            let object = StoreObject {
                sop_class: instance.sop_class.clone(),
                sop_instance: instance.sop_instance.clone(),
                transfer_syntax: instance.transfer_syntax.clone(),
                data_set_bytes: instance.data_set.len() as u64,
                priority: Priority::Medium,
                move_originator: None,
            };
            replies.push(association.store(&object, instance.data_set.as_slice()).await?);
        }
        association.release().await?;
        Ok(replies)
    }

    /// Sends instances; each must be taken.
    pub async fn send_instances(&self, instances: &[PhantomInstance]) -> Result<()> {
        for reply in self.offer(instances).await? {
            ensure!(reply.status == Status::SUCCESS, "answered {:?}", reply);
        }
        Ok(())
    }

    /// Sends a whole study; each instance must be taken.
    pub async fn send(&self, study: &PhantomSpec) -> Result<Vec<PhantomInstance>> {
        let instances: Vec<PhantomInstance> = study.iter().collect();
        self.send_instances(&instances).await?;
        Ok(instances)
    }

    /// C-ECHO.
    pub async fn echo(&self) -> Result<Status, RequestError> {
        let mut association = self.associate(&[]).await?;
        let reply = association.echo().await?;
        association.release().await?;
        Ok(reply.status)
    }
}

fn known(uid: &str) -> Uid {
    Uid::parse(uid).expect("a UID of the standard is a UID")
}
