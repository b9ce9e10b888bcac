//! What a receipt of the relay must be.

use anyhow::{Result, ensure};
use medrelay_core::transfer::Receipt;
use medrelay_core::transfer::manifest::sha256;

use crate::gateway::Parcel;

/// Checks what a receipt must be, by what whoever made the parcel knows of the relay: the relay's
/// signature over this parcel.
///
/// # Errors
/// What is wrong with it.
pub fn vouched(
    receipt_key: &[u8],
    relay: &str,
    parcel: &Parcel,
    signed: &(Vec<u8>, Vec<u8>),
) -> Result<()> {
    let (receipt, signature) = signed;
    let holds = medrelay::secrets::verify(receipt_key, receipt, signature);
    ensure!(holds, "the receipt is not signed by the relay");
    let receipt = Receipt::decode(receipt)?;
    let manifest = &parcel.manifest;
    ensure!(receipt.manifest == manifest.id, "the receipt is for another manifest");
    ensure!(receipt.manifest_sha256 == sha256(&parcel.raw), "the manifest's bytes are others");
    ensure!(receipt.study == manifest.study, "the study is another");
    ensure!(
        receipt.gateway == manifest.gateway && receipt.clinic == manifest.clinic,
        "{receipt:?}"
    );
    ensure!(receipt.relay == relay, "another relay");
    ensure!(receipt.bytes == manifest.bytes(), "{receipt:?}");
    ensure!(usize::try_from(receipt.instances)? == manifest.entries.len(), "{receipt:?}");
    Ok(())
}
