//! Devices: which machine may send, known by its calling AE title and its address.

use std::net::IpAddr;

use medrelay_core::access::Action;
use medrelay_core::event::Kind;
use medrelay_core::id::{AeTitle, DeviceId, OrganizationId};

use super::consortium::{listing, must_be_open, standing};
use super::network::Network;
use super::{About, Caller, Error, Service, allow, input, owned_by};
use crate::store::{Device, Tx};

/// Changes that could admit two devices under one name come one after the other.
const DEVICES_TURN: &str = "turn:devices";

/// A new device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewDevice {
    /// What people call it.
    pub name: String,
    /// The AE title that it calls with.
    pub ae_title: String,
    /// Address or network (CIDR) that it calls from; empty means any.
    pub address: String,
    /// Character set that its objects are really in; empty means believe them.
    pub charset: String,
}

/// What a device is to become.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceChange {
    /// The version that the change was decided on.
    pub version: i64,
    /// Another name.
    pub name: Option<String>,
    /// Another AE title.
    pub ae_title: Option<String>,
    /// Another address; empty means any.
    pub address: Option<String>,
    /// Another character set; empty means believe its objects.
    pub charset: Option<String>,
}

impl Service {
    /// Admits a device of a clinic.
    pub async fn create_device(
        &self,
        caller: &Caller,
        clinic: &OrganizationId,
        new: NewDevice,
    ) -> Result<Device, Error> {
        let now = self.now();
        let mut tx = self.db().write().await?;
        let (organization, object) = standing(&mut tx, clinic).await?;
        allow(caller, Action::ManageDevice, &object)?;
        must_be_open(&organization)?;
        let device = Device {
            id: DeviceId::new(now, &*self.parts.entropy),
            clinic: clinic.clone(),
            name: input::name("name", &new.name)?,
            ae_title: input::ae_title(&new.ae_title)?,
            address: address(&new.address)?,
            charset: input::charset(&new.charset)?,
            removed_at: None,
            created_at: now,
            echoed_at: None,
            stored_at: None,
            version: 1,
        };
        // So that the clinic is not closed at the same time.
        tx.hold_organization(clinic).await?;
        refuse_twin(&mut tx, &device).await?;
        tx.insert_device(&device).await?;
        self.finish_device(tx, caller, device, serde_json::json!({ "made": true })).await
    }

    /// Devices that the caller may see, in the order of their making.
    pub async fn devices(
        &self,
        caller: &Caller,
        clinic: Option<&OrganizationId>,
        after: Option<&DeviceId>,
        limit: i64,
    ) -> Result<Vec<Device>, Error> {
        let scope = listing(caller, Action::ReadDevice)?;
        Ok(self.db().read().await?.devices(scope.as_ref(), clinic, after, limit).await?)
    }

    /// One device that is not removed.
    pub async fn device(&self, caller: &Caller, id: &DeviceId) -> Result<Device, Error> {
        let mut tx = self.db().read().await?;
        present(&mut tx, caller, Action::ReadDevice, id).await
    }

    /// Changes a device.
    pub async fn change_device(
        &self,
        caller: &Caller,
        id: &DeviceId,
        change: DeviceChange,
    ) -> Result<Device, Error> {
        let mut tx = self.db().write().await?;
        let mut device = present(&mut tx, caller, Action::ManageDevice, id).await?;
        if device.version != change.version {
            return Err(Error::VersionConflict);
        }
        if let Some(name) = &change.name {
            device.name = input::name("name", name)?;
        }
        if let Some(ae_title) = &change.ae_title {
            device.ae_title = input::ae_title(ae_title)?;
        }
        if let Some(typed) = &change.address {
            device.address = address(typed)?;
        }
        if let Some(charset) = &change.charset {
            device.charset = input::charset(charset)?;
        }
        refuse_twin(&mut tx, &device).await?;
        tx.save_device(&device).await?;
        device.version += 1;
        let details = serde_json::json!({
            "ae_title": device.ae_title, "address": device.address, "charset": device.charset
        });
        self.finish_device(tx, caller, device, details).await
    }

    /// Removes a device: its next association is refused. What it has sent stays.
    pub async fn remove_device(&self, caller: &Caller, id: &DeviceId) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        let mut device = present(&mut tx, caller, Action::ManageDevice, id).await?;
        device.removed_at = Some(self.now());
        tx.save_device(&device).await?;
        self.finish_device(tx, caller, device, serde_json::json!({ "removed": true })).await?;
        Ok(())
    }

    /// The device that calls with this AE title from this address, if one is admitted.
    pub async fn admit_device(
        &self,
        calling_ae: &AeTitle,
        source: IpAddr,
    ) -> Result<Option<Device>, Error> {
        let devices = self.db().read().await?.devices_by_ae_title(calling_ae.as_str()).await?;
        Ok(devices.into_iter().find(|device| calls_from(&device.address, source)))
    }

    /// Notes that a device was heard: an echo, or an object that was `stored`.
    pub async fn hear_device(&self, id: &DeviceId, stored: bool) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        tx.hear_device(id, stored, self.now()).await?;
        Ok(tx.commit().await?)
    }

    async fn finish_device(
        &self,
        mut tx: Tx,
        caller: &Caller,
        device: Device,
        details: serde_json::Value,
    ) -> Result<Device, Error> {
        let about = About::of(&device.clinic, format!("device:{}", device.id)).with(details);
        tx.record(vec![self.parts.event(caller, Kind::DeviceChanged, about)]).await?;
        tx.commit().await?;
        Ok(device)
    }
}

async fn present(
    tx: &mut Tx,
    caller: &Caller,
    action: Action,
    id: &DeviceId,
) -> Result<Device, Error> {
    let device =
        tx.device(id).await?.filter(|device| device.removed_at.is_none()).ok_or(Error::hidden())?;
    allow(caller, action, &owned_by(tx, &device.clinic).await?)?;
    Ok(device)
}

/// Refuses a device that an association could not tell from another one.
async fn refuse_twin(tx: &mut Tx, device: &Device) -> Result<(), Error> {
    tx.count_up(DEVICES_TURN).await?;
    let others = tx.devices_by_ae_title(&device.ae_title).await?;
    let is_twin =
        |other: &Device| other.id != device.id && overlap(&other.address, &device.address);
    if others.iter().any(is_twin) {
        return Err(Error::Taken("the AE title at this address"));
    }
    Ok(())
}

/// The address as it is kept: empty, an address or a network.
fn address(typed: &str) -> Result<String, Error> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Ok(String::new());
    }
    Network::parse(typed).map(|network| network.text()).ok_or_else(|| {
        Error::invalid("address", "must be empty, an IP address, or a network such as 10.1.0.0/16")
    })
}

fn calls_from(address: &str, source: IpAddr) -> bool {
    address.is_empty() || Network::parse(address).is_some_and(|network| network.contains(source))
}

fn overlap(a: &str, b: &str) -> bool {
    match (Network::parse(a), Network::parse(b)) {
        (Some(a), Some(b)) => a.overlaps(&b),
        // An empty address is every address.
        (None, _) | (_, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_address_is_every_address() {
        let source: IpAddr = "10.1.2.3".parse().expect("an address");
        assert!(calls_from("", source));
        assert!(calls_from("10.1.0.0/16", source));
        assert!(!calls_from("10.2.0.0/16", source));
        assert!(overlap("", "10.1.2.3") && overlap("10.1.2.3", ""));
        assert!(!overlap("10.1.0.0/16", "10.2.0.0/16"));
    }

    #[test]
    fn addresses_are_kept_in_one_form() {
        assert_eq!(address(" 10.1.2.3/16 ").expect("a network"), "10.1.0.0/16");
        assert_eq!(address("").expect("any"), "");
        assert!(address("ct-room").is_err());
    }
}
