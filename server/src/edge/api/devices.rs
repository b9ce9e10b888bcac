//! `/devices`: which machines may send.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::id::{DeviceId, OrganizationId};
use medrelay_core::time::Timestamp;

use super::auth::Who;
use super::organizations::{after, named};
use super::page::{Body, Page, Paging, Params};
use super::{Api, Routes, Rule};
use crate::http::problem::Problem;
use crate::service::Device;
use crate::service::Error;
use crate::service::devices::{DeviceChange, NewDevice};

/// A modality or workstation that sends to us.
#[derive(Serialize, ToSchema)]
struct DeviceBody {
    /// Its identifier.
    #[schema(value_type = String)]
    id: DeviceId,
    /// The clinic that owns it.
    #[schema(value_type = String)]
    clinic: OrganizationId,
    /// What people call it.
    name: String,
    /// The AE title that it calls with.
    ae_title: String,
    /// Address or network (CIDR) that it calls from; empty means any.
    address: String,
    /// Character set that its objects are really in; empty means believe them.
    charset: String,
    /// When it was admitted, in microseconds UTC.
    #[schema(value_type = i64)]
    created_at: Timestamp,
    /// When it last asked whether the relay is there (C-ECHO), to the minute.
    #[schema(value_type = Option<i64>)]
    echoed_at: Option<Timestamp>,
    /// When an object of it was last stored, to the minute.
    #[schema(value_type = Option<i64>)]
    stored_at: Option<Timestamp>,
    /// To be sent back with a change.
    version: i64,
}

impl From<Device> for DeviceBody {
    fn from(device: Device) -> Self {
        Self {
            id: device.id,
            clinic: device.clinic,
            name: device.name,
            ae_title: device.ae_title,
            address: device.address,
            charset: device.charset,
            created_at: device.created_at,
            echoed_at: device.echoed_at,
            stored_at: device.stored_at,
            version: device.version,
        }
    }
}

/// A new device.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeviceInput {
    /// The clinic that owns it.
    #[schema(value_type = String)]
    clinic: OrganizationId,
    /// What people call it: 1 to 100 characters.
    name: String,
    /// The AE title that it calls with: 1 to 16 characters.
    ae_title: String,
    /// Address or network (CIDR) that it calls from; empty or absent means any.
    #[serde(default)]
    address: String,
    /// Character set that its objects are really in, such as `GB18030`; empty means believe them.
    #[serde(default)]
    charset: String,
}

/// A change of a device; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DevicePatch {
    /// The version that was read.
    version: i64,
    /// Another name.
    name: Option<String>,
    /// Another AE title.
    ae_title: Option<String>,
    /// Another address; empty means any.
    address: Option<String>,
    /// Another character set; empty means believe its objects.
    charset: Option<String>,
}

/// Which devices.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeviceQuery {
    /// Only those of this clinic.
    clinic: Option<String>,
    /// The identifier of the last device of the previous page.
    after: Option<String>,
    /// How many at most, 1 to 200; 50 if absent.
    limit: Option<i64>,
}

/// What is typed in at a device or a gateway so that it finds this relay.
#[derive(Serialize, ToSchema)]
struct ConnectionBody {
    /// Our AE title.
    ae_title: String,
    /// Port of the plain DICOM listener; absent when there is none.
    dicom_port: Option<u16>,
    /// Port of the DICOM listener with TLS.
    dicom_tls_port: Option<u16>,
    /// Port that gateways join at, by HTTPS.
    link_port: u16,
    /// Names and addresses of this server as configured; those of the machine itself are left out.
    names: Vec<String>,
}

/// The routes of this file.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add(routes!(read_connection), Rule::May(Action::ReadDevice))
        .add(routes!(list_devices), Rule::May(Action::ReadDevice))
        .add(routes!(create_device), Rule::May(Action::ManageDevice))
        .add(routes!(read_device), Rule::May(Action::ReadDevice))
        .add(routes!(change_device), Rule::May(Action::ManageDevice))
        .add(routes!(remove_device), Rule::May(Action::ManageDevice))
}

/// What is typed in at a device or a gateway so that it finds this relay.
#[utoipa::path(
    get, path = "/api/v1/connection", tag = "devices", operation_id = "read_connection",
    responses((status = 200, body = ConnectionBody), (status = 403, body = Problem))
)]
async fn read_connection(State(api): State<Api>) -> Json<ConnectionBody> {
    let settings = api.service.settings();
    Json(ConnectionBody {
        ae_title: settings.ae_title.clone(),
        dicom_port: settings.dicom_port,
        dicom_tls_port: settings.dicom_tls_port,
        link_port: api.service.link_port(),
        names: settings.names.clone(),
    })
}

/// Devices that one may see.
#[utoipa::path(
    get, path = "/api/v1/devices", tag = "devices", params(DeviceQuery),
    operation_id = "list_devices",
    responses((status = 200, body = Page<DeviceBody>), (status = 401, body = Problem))
)]
async fn list_devices(
    State(api): State<Api>,
    who: Who,
    Params(query): Params<DeviceQuery>,
) -> Result<Json<Page<DeviceBody>>, Problem> {
    let from = after(query.after.as_deref(), DeviceId::parse)?;
    let clinic = query
        .clinic
        .map(|id| OrganizationId::parse(&id))
        .transpose()
        .map_err(|error| Error::invalid("clinic", error.to_string()))?;
    let limit = Paging { after: None, limit: query.limit }.limit();
    let found = api.service.devices(&who.caller, clinic.as_ref(), from.as_ref(), limit + 1).await?;
    let items = found.into_iter().map(DeviceBody::from).collect();
    Ok(Json(Page::of(items, limit, |item: &DeviceBody| item.id.to_string())))
}

/// Admits a device.
#[utoipa::path(
    post, path = "/api/v1/devices", tag = "devices", operation_id = "create_device",
    request_body = DeviceInput,
    responses(
        (status = 201, body = DeviceBody),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "the AE title at this address is taken"),
        (status = 422, body = Problem),
    )
)]
async fn create_device(
    State(api): State<Api>,
    who: Who,
    Body(input): Body<DeviceInput>,
) -> Result<(StatusCode, Json<DeviceBody>), Problem> {
    let new = NewDevice {
        name: input.name,
        ae_title: input.ae_title,
        address: input.address,
        charset: input.charset,
    };
    let made = api.service.create_device(&who.caller, &input.clinic, new).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// One device.
#[utoipa::path(
    get, path = "/api/v1/devices/{id}", tag = "devices", operation_id = "read_device",
    params(("id" = String, Path, description = "the device")),
    responses((status = 200, body = DeviceBody), (status = 404, body = Problem))
)]
async fn read_device(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<DeviceBody>, Problem> {
    let id = named(DeviceId::parse(&id))?;
    Ok(Json(api.service.device(&who.caller, &id).await?.into()))
}

/// Changes a device.
#[utoipa::path(
    patch, path = "/api/v1/devices/{id}", tag = "devices", operation_id = "change_device",
    request_body = DevicePatch,
    params(("id" = String, Path, description = "the device")),
    responses(
        (status = 200, body = DeviceBody),
        (status = 404, body = Problem),
        (status = 409, body = Problem),
        (status = 422, body = Problem),
    )
)]
async fn change_device(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(patch): Body<DevicePatch>,
) -> Result<Json<DeviceBody>, Problem> {
    let id = named(DeviceId::parse(&id))?;
    let change = DeviceChange {
        version: patch.version,
        name: patch.name,
        ae_title: patch.ae_title,
        address: patch.address,
        charset: patch.charset,
    };
    Ok(Json(api.service.change_device(&who.caller, &id, change).await?.into()))
}

/// Removes a device; what it has sent stays.
#[utoipa::path(
    delete, path = "/api/v1/devices/{id}", tag = "devices", operation_id = "remove_device",
    params(("id" = String, Path, description = "the device")),
    responses((status = 204), (status = 404, body = Problem))
)]
async fn remove_device(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = named(DeviceId::parse(&id))?;
    api.service.remove_device(&who.caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
