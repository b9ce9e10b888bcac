//! `medrelay clinic`: a clinic with its agreement, its devices and where its reports go.

use clap::{Args, Subcommand};
use serde_json::json;

use medrelay_core::delivery::Route;
use medrelay_core::id::DestinationId;
use medrelay_core::people::{OrganizationKind, SigningPolicy, TimeLimits};

use super::super::table::table;
use super::gateway::{self, GatewayCommand, JoinCodeArgs};
use super::{Desk, Outcome, Unclear, codes, name_of, organization};
use crate::service::DicomAddress;
use crate::service::agreements::{NewAgreement, NewDestination};
use crate::service::devices::NewDevice;
use crate::store::{AgreementRecord, Destination, Device, Organization, PAGE_LIMIT};

/// What to do with clinics.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ClinicCommand {
    /// Show clinics and their agreements.
    List,
    /// Add a clinic and its agreement in one go; a clinic that is there already gets the agreement.
    Add(AddClinic),
    /// Make a one-time code with which a gateway joins for a clinic.
    JoinCode(JoinCodeArgs),
    /// The gateways that have joined.
    #[command(subcommand)]
    Gateway(GatewayCommand),
    /// The machines that may send.
    #[command(subcommand)]
    Device(DeviceCommand),
    /// The places that signed reports go to.
    #[command(subcommand)]
    Destination(DestinationCommand),
}

/// A clinic and its agreement.
#[derive(Debug, Args)]
pub(in crate::cli) struct AddClinic {
    /// Name of the clinic.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// The organization above it: name or identifier.
    #[arg(long, value_name = "ORG")]
    parent: String,
    /// The organization that reads for it: name or identifier.
    #[arg(long, value_name = "ORG")]
    centre: String,
    /// `county_hospital`, `township_clinic` or `village_clinic`.
    #[arg(long, value_name = "KIND", default_value = "township_clinic",
          value_parser = organization::kind)]
    kind: OrganizationKind,
    /// Modalities that the agreement covers; every one without it.
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    modalities: Vec<String>,
    /// Who signs: `double` (a reporter, then a verifier) or `single_senior` (a verifier).
    #[arg(long, default_value = "double", value_parser = policy)]
    policy: SigningPolicy,
    /// Minutes within which an emergency is due.
    #[arg(long, value_name = "N", default_value_t = TimeLimits::default().stat_minutes)]
    stat_minutes: i64,
    /// Minutes within which an urgent case is due.
    #[arg(long, value_name = "N", default_value_t = TimeLimits::default().urgent_minutes)]
    urgent_minutes: i64,
    /// Minutes within which a routine case is due.
    #[arg(long, value_name = "N", default_value_t = TimeLimits::default().routine_minutes)]
    routine_minutes: i64,
    /// Share of the readers' time relative to other clinics, 1 to 100.
    #[arg(long, value_name = "N", default_value_t = 1)]
    weight: i64,
}

/// What to do with devices.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DeviceCommand {
    /// Show who may send.
    List {
        /// Only those of this clinic: name or identifier.
        #[arg(long, value_name = "CLINIC")]
        clinic: Option<String>,
    },
    /// Let a machine send.
    Add {
        /// The clinic that owns it: name or identifier.
        #[arg(long, value_name = "CLINIC")]
        clinic: String,
        /// The AE title that it calls with.
        #[arg(long, value_name = "AET")]
        ae_title: String,
        /// What people call it; the AE title without it.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Address or network that it calls from, such as 10.1.0.0/16; anywhere without it.
        #[arg(long, value_name = "CIDR")]
        address: Option<String>,
        /// The character set that it really writes, where it says something else: utf8, gb18030,
        /// gbk, iso2022 or a DICOM term.
        #[arg(long, value_name = "CHARSET")]
        charset: Option<String>,
    },
    /// Let a machine send no more. What it has sent stays.
    Remove {
        /// The clinic that owns it: name or identifier.
        #[arg(long, value_name = "CLINIC")]
        clinic: String,
        /// The AE title that it calls with.
        #[arg(long, value_name = "AET")]
        ae_title: String,
    },
}

/// What to do with destinations.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DestinationCommand {
    /// Show where the reports of a clinic go.
    List {
        /// The clinic: name or identifier.
        #[arg(long, value_name = "CLINIC")]
        clinic: String,
    },
    /// Send the reports that are signed from now on to a PACS, too.
    Add {
        /// The clinic: name or identifier.
        #[arg(long, value_name = "CLINIC")]
        clinic: String,
        /// Only for the agreement with this centre; for every agreement without it.
        #[arg(long, value_name = "ORG")]
        centre: Option<String>,
        /// What people call it; the AE title without it.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// AE title of the PACS.
        #[arg(long, value_name = "AET")]
        ae_title: String,
        /// Host name or address of the PACS.
        #[arg(long)]
        host: String,
        /// Port of the PACS.
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
        port: u16,
        /// DICOM TLS.
        #[arg(long)]
        tls: bool,
    },
    /// Send nothing new to a destination.
    Remove {
        /// Its identifier, as `list` shows it.
        id: String,
    },
}

pub(super) async fn run(desk: &Desk, command: ClinicCommand) -> anyhow::Result<Outcome> {
    match command {
        ClinicCommand::List => list(desk).await,
        ClinicCommand::Add(new) => add(desk, new).await,
        ClinicCommand::JoinCode(asked) => gateway::join_code(desk, asked).await,
        ClinicCommand::Gateway(command) => gateway::run(desk, command).await,
        ClinicCommand::Device(command) => device(desk, command).await,
        ClinicCommand::Destination(command) => destination(desk, command).await,
    }
}

async fn list(desk: &Desk) -> anyhow::Result<Outcome> {
    let records = agreements(desk).await?;
    let rows: Vec<Vec<String>> = records
        .iter()
        .map(|record| {
            let agreement = &record.agreement;
            let modalities = match agreement.modalities.as_slice() {
                [] => "all".to_owned(),
                some => some.join(","),
            };
            let state =
                if agreement.is_active(desk.service.now()) { "in force" } else { "not in force" };
            let limits = agreement.limits;
            vec![
                record.clinic_name.clone(),
                record.centre_name.clone(),
                modalities,
                agreement.policy.as_str().to_owned(),
                format!(
                    "{}/{}/{}",
                    limits.stat_minutes, limits.urgent_minutes, limits.routine_minutes
                ),
                state.to_owned(),
            ]
        })
        .collect();
    let headings = ["clinic", "centre", "modalities", "policy", "minutes", "state"];
    desk.say(&records.iter().map(shown).collect(), &table(&headings, &rows))
}

async fn add(desk: &Desk, new: AddClinic) -> anyhow::Result<Outcome> {
    let parent = desk.organization(&new.parent).await?;
    let centre = desk.organization(&new.centre).await?;
    let there = desk.organizations().await?.into_iter().find(|one| {
        one.name == new.name.trim() && one.parent() == Some(&parent.id) && one.closed_at.is_none()
    });
    let (service, caller) = (&desk.service, &desk.caller);
    let clinic = match there {
        Some(clinic) => clinic,
        None => service.create_organization(caller, Some(&parent.id), new.kind, &new.name).await?,
    };
    let agreement = NewAgreement {
        clinic: clinic.id.clone(),
        centre: centre.id,
        modalities: codes(&new.modalities),
        limits: TimeLimits {
            stat_minutes: new.stat_minutes,
            urgent_minutes: new.urgent_minutes,
            routine_minutes: new.routine_minutes,
        },
        policy: new.policy,
        weight: new.weight,
        valid_from: None,
        valid_to: None,
    };
    let record = service.create_agreement(caller, agreement).await.map_err(|error| {
        anyhow::Error::from(error)
            .context("the clinic is there, its agreement is not; call again with what is mended")
    })?;
    let json = json!({ "clinic": organization::shown(&clinic), "agreement": shown(&record) });
    let text = format!(
        "clinic {} {}\nagreement {} with {}",
        clinic.id, clinic.name, record.agreement.id, record.centre_name
    );
    desk.say(&json, &text)
}

async fn device(desk: &Desk, command: DeviceCommand) -> anyhow::Result<Outcome> {
    match command {
        DeviceCommand::List { clinic } => {
            let clinic = match clinic {
                Some(clinic) => Some(desk.organization(&clinic).await?),
                None => None,
            };
            list_devices(desk, clinic.as_ref()).await
        }
        DeviceCommand::Add { clinic, ae_title, name, address, charset } => {
            let clinic = desk.organization(&clinic).await?;
            let new = NewDevice {
                name: name.unwrap_or_else(|| ae_title.clone()),
                ae_title,
                address: address.unwrap_or_default(),
                charset: charset.as_deref().map(charset_term).unwrap_or_default(),
            };
            let made = desk.service.create_device(&desk.caller, &clinic.id, new).await?;
            let text = format!("{} of {} may send", made.ae_title, clinic.name);
            desk.say(&shown_device(&made), &text)
        }
        DeviceCommand::Remove { clinic, ae_title } => {
            let clinic = desk.organization(&clinic).await?;
            let mut gone = devices(desk, Some(&clinic)).await?;
            gone.retain(|device| device.ae_title == ae_title.trim());
            if gone.is_empty() {
                return Err(Unclear::none("device of this clinic", &ae_title));
            }
            for device in &gone {
                desk.service.remove_device(&desk.caller, &device.id).await?;
            }
            let text = format!("{ae_title} of {} may send no more", clinic.name);
            desk.say(&gone.iter().map(shown_device).collect(), &text)
        }
    }
}

async fn list_devices(desk: &Desk, clinic: Option<&Organization>) -> anyhow::Result<Outcome> {
    let devices = devices(desk, clinic).await?;
    let places = desk.organizations().await?;
    let rows: Vec<Vec<String>> = devices
        .iter()
        .map(|device| {
            let or = |text: &str, empty: &str| {
                if text.is_empty() { empty.to_owned() } else { text.to_owned() }
            };
            vec![
                device.ae_title.clone(),
                device.name.clone(),
                name_of(&places, &device.clinic),
                or(&device.address, "anywhere"),
                or(&device.charset, "as declared"),
            ]
        })
        .collect();
    let headings = ["AE title", "name", "clinic", "calls from", "character set"];
    desk.say(&devices.iter().map(shown_device).collect(), &table(&headings, &rows))
}

async fn devices(desk: &Desk, clinic: Option<&Organization>) -> anyhow::Result<Vec<Device>> {
    let mut all: Vec<Device> = Vec::new();
    loop {
        let after = all.last().map(|device| device.id.clone());
        let clinic = clinic.map(|clinic| &clinic.id);
        let page = desk.service.devices(&desk.caller, clinic, after.as_ref(), PAGE_LIMIT).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

async fn destination(desk: &Desk, command: DestinationCommand) -> anyhow::Result<Outcome> {
    match command {
        DestinationCommand::List { clinic } => {
            let clinic = desk.organization(&clinic).await?;
            list_destinations(desk, &clinic).await
        }
        DestinationCommand::Add { clinic, centre, name, ae_title, host, port, tls } => {
            let clinic = desk.organization(&clinic).await?;
            let centre = match centre {
                Some(centre) => Some(desk.organization(&centre).await?),
                None => None,
            };
            let new = NewDestination {
                route: Route::Dicom,
                name: name.unwrap_or_else(|| ae_title.clone()),
                address: Some(DicomAddress { ae_title, host, port, tls }),
            };
            add_destination(desk, &clinic, centre.as_ref(), &new).await
        }
        DestinationCommand::Remove { id } => {
            let Ok(id) = DestinationId::parse(&id) else {
                return Err(Unclear::none("destination", &id));
            };
            desk.service.remove_destination(&desk.caller, &id).await?;
            desk.say(&json!({ "id": id, "removed": true }), "nothing new goes there")
        }
    }
}

async fn list_destinations(desk: &Desk, clinic: &Organization) -> anyhow::Result<Outcome> {
    let mut rows = Vec::new();
    let mut json = Vec::new();
    for record in agreements(desk).await?.iter().filter(|one| one.agreement.clinic == clinic.id) {
        let (service, caller) = (&desk.service, &desk.caller);
        for destination in service.destinations(caller, &record.agreement.id).await? {
            rows.push(vec![
                destination.id.to_string(),
                destination.route.as_str().to_owned(),
                destination.name.clone(),
                where_to(&destination),
                record.centre_name.clone(),
            ]);
            json.push(shown_destination(&destination));
        }
    }
    let headings = ["id", "route", "name", "address", "reports of"];
    desk.say(&json.into(), &table(&headings, &rows))
}

async fn add_destination(
    desk: &Desk,
    clinic: &Organization,
    centre: Option<&Organization>,
    new: &NewDestination,
) -> anyhow::Result<Outcome> {
    let now = desk.service.now();
    let mut records = agreements(desk).await?;
    records.retain(|AgreementRecord { agreement, .. }| {
        agreement.clinic == clinic.id
            && centre.is_none_or(|centre| centre.id == agreement.centre)
            && agreement.valid_to.is_none_or(|end| now < end)
    });
    if records.is_empty() {
        return Err(Unclear::none("clinic with such an agreement", &clinic.name));
    }
    let mut made = Vec::new();
    for record in &records {
        let (service, caller) = (&desk.service, &desk.caller);
        let id = &record.agreement.id;
        made.push(service.add_destination(caller, id, new.clone()).await?);
    }
    let text: Vec<String> =
        made.iter().map(|one| format!("{} {}", one.id, where_to(one))).collect();
    desk.say(&made.iter().map(shown_destination).collect(), &text.join("\n"))
}

async fn agreements(desk: &Desk) -> anyhow::Result<Vec<AgreementRecord>> {
    let mut all: Vec<AgreementRecord> = Vec::new();
    loop {
        let after = all.last().map(|record| record.agreement.id.clone());
        let page = desk.service.agreements(&desk.caller, after.as_ref(), PAGE_LIMIT).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

fn where_to(destination: &Destination) -> String {
    match serde_json::from_str::<DicomAddress>(&destination.settings) {
        Ok(DicomAddress { ae_title, host, port, tls }) => {
            format!("{ae_title}@{host}:{port}{}", if tls { " TLS" } else { "" })
        }
        Err(_) => String::new(),
    }
}

fn shown(record: &AgreementRecord) -> serde_json::Value {
    let agreement = &record.agreement;
    json!({
        "id": agreement.id,
        "clinic": agreement.clinic, "clinic_name": record.clinic_name,
        "centre": agreement.centre, "centre_name": record.centre_name,
        "modalities": agreement.modalities, "limits": agreement.limits,
        "policy": agreement.policy, "weight": agreement.weight,
        "valid_from": agreement.valid_from, "valid_to": agreement.valid_to,
    })
}

fn shown_device(device: &Device) -> serde_json::Value {
    json!({
        "id": device.id, "clinic": device.clinic, "name": device.name,
        "ae_title": device.ae_title, "address": device.address, "charset": device.charset,
    })
}

fn shown_destination(destination: &Destination) -> serde_json::Value {
    json!({
        "id": destination.id, "agreement": destination.agreement,
        "route": destination.route.as_str(), "name": destination.name,
        "address": serde_json::from_str::<DicomAddress>(&destination.settings).ok(),
    })
}

/// The DICOM term for what people call a character set.
fn charset_term(typed: &str) -> String {
    match typed.trim().to_ascii_lowercase().as_str() {
        "utf8" | "utf-8" => "ISO_IR 192".to_owned(),
        "gb18030" => "GB18030".to_owned(),
        "gbk" => "GBK".to_owned(),
        "iso2022" => "\\ISO 2022 IR 58".to_owned(),
        _ => typed.trim().to_owned(),
    }
}

fn policy(text: &str) -> Result<SigningPolicy, String> {
    SigningPolicy::parse(text).ok_or_else(|| "double or single_senior".to_owned())
}
