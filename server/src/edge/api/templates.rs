//! `/templates`: texts for reports, one's own and those of one's organizations.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::id::{OrganizationId, PersonId, TemplateId};
use medrelay_core::people::TemplateKind;

use super::auth::Who;
use super::organizations::{after, named};
use super::page::{Body, Page, Paging, Params};
use super::{Api, Routes, Rule};
use crate::http::problem::Problem;
use crate::service::templates::{NewTemplate, TemplateChange, TemplateContent};
use crate::service::{Error, Template, TemplateFilter};

/// A text for reports.
#[derive(Serialize, ToSchema)]
struct TemplateBody {
    /// Its identifier.
    #[schema(value_type = String)]
    id: TemplateId,
    /// The organization that it is for.
    #[schema(value_type = String)]
    organization: OrganizationId,
    /// Whose own it is; absent: everybody's at the organization.
    #[schema(value_type = Option<String>)]
    person: Option<PersonId>,
    /// `template` (a whole report) or `phrase` (expands while one writes).
    #[schema(value_type = String)]
    kind: TemplateKind,
    /// Its name in lists.
    name: String,
    /// What is typed after `#` to get it; empty for none.
    shortcut: String,
    /// The modality that it is for; empty: any.
    modality: String,
    /// The body part that it is for; empty: any.
    body_part: String,
    /// 检查所见.
    findings: String,
    /// 诊断意见.
    impression: String,
    /// 建议.
    recommendation: String,
    /// To be sent back with a change.
    version: i64,
}

impl From<Template> for TemplateBody {
    fn from(template: Template) -> Self {
        Self {
            id: template.id,
            organization: template.organization,
            person: template.person,
            kind: template.kind,
            name: template.name,
            shortcut: template.shortcut,
            modality: template.modality,
            body_part: template.body_part,
            findings: template.findings,
            impression: template.impression,
            recommendation: template.recommendation,
            version: template.version,
        }
    }
}

/// A text for reports that is to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TemplateInput {
    /// The organization that it is for.
    organization: String,
    /// One's own, or everybody's there.
    own: bool,
    /// `template` or `phrase`.
    #[schema(value_type = String)]
    kind: TemplateKind,
    /// Its name: 1 to 100 characters.
    name: String,
    /// At most 32 letters, digits, `-` and `_`; unique among one's own, and among everybody's.
    #[serde(default)]
    shortcut: String,
    /// A DICOM code; empty: any.
    #[serde(default)]
    modality: String,
    /// At most 64 characters; empty: any.
    #[serde(default)]
    body_part: String,
    /// 检查所见, at most 20000 characters, like the two below.
    #[serde(default)]
    findings: String,
    /// 诊断意见.
    #[serde(default)]
    impression: String,
    /// 建议.
    #[serde(default)]
    recommendation: String,
}

/// A change of a text; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TemplatePatch {
    /// The version that was read.
    version: i64,
    /// Another name.
    name: Option<String>,
    /// Another shortcut.
    shortcut: Option<String>,
    /// Another modality.
    modality: Option<String>,
    /// Another body part.
    body_part: Option<String>,
    /// Other findings.
    findings: Option<String>,
    /// Another impression.
    impression: Option<String>,
    /// Another recommendation.
    recommendation: Option<String>,
}

/// Which texts.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TemplateQuery {
    /// Only `template` or only `phrase`.
    kind: Option<String>,
    /// Only those for this modality or for any.
    modality: Option<String>,
    /// The identifier of the last text of the previous page.
    after: Option<String>,
    /// How many at most, 1 to 200; 50 if absent.
    limit: Option<i64>,
}

/// The routes of this file.
pub fn routes(routes: Routes) -> Routes {
    // One's own may be made by whoever reads; everybody's are looked after by few.
    routes
        .add(routes!(list_templates, create_template), Rule::May(Action::ReadTemplate))
        .add(routes!(change_template, remove_template), Rule::May(Action::ReadTemplate))
}

/// One's own texts and those of the organizations that one reads for.
#[utoipa::path(
    get, path = "/api/v1/templates", tag = "templates", params(TemplateQuery),
    operation_id = "list_templates",
    responses((status = 200, body = Page<TemplateBody>), (status = 403, body = Problem))
)]
async fn list_templates(
    State(api): State<Api>,
    who: Who,
    Params(query): Params<TemplateQuery>,
) -> Result<Json<Page<TemplateBody>>, Problem> {
    let from = after(query.after.as_deref(), TemplateId::parse)?;
    let kind = match query.kind.as_deref() {
        None | Some("") => None,
        Some(text) => Some(
            TemplateKind::parse(text)
                .ok_or_else(|| Error::invalid("kind", "must be template or phrase"))?,
        ),
    };
    let modality = query.modality.filter(|modality| !modality.is_empty());
    let filter = TemplateFilter { kind, modality };
    let limit = Paging { after: None, limit: query.limit }.limit();
    let found = api.service.templates(&who.caller, &filter, from.as_ref(), limit + 1).await?;
    let items = found.into_iter().map(TemplateBody::from).collect();
    Ok(Json(Page::of(items, limit, |item: &TemplateBody| item.id.to_string())))
}

/// Makes a text.
#[utoipa::path(
    post, path = "/api/v1/templates", tag = "templates", operation_id = "create_template",
    request_body = TemplateInput,
    responses(
        (status = 201, body = TemplateBody),
        (status = 403, body = Problem, description = "everybody's are looked after by others"),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "the shortcut is taken"),
        (status = 422, body = Problem),
    )
)]
async fn create_template(
    State(api): State<Api>,
    who: Who,
    Body(input): Body<TemplateInput>,
) -> Result<(StatusCode, Json<TemplateBody>), Problem> {
    let new = NewTemplate {
        organization: named(OrganizationId::parse(&input.organization))?,
        own: input.own,
        kind: input.kind,
        content: TemplateContent {
            name: input.name,
            shortcut: input.shortcut,
            modality: input.modality,
            body_part: input.body_part,
            findings: input.findings,
            impression: input.impression,
            recommendation: input.recommendation,
        },
    };
    let made = api.service.create_template(&who.caller, new).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// Changes a text.
#[utoipa::path(
    patch, path = "/api/v1/templates/{id}", tag = "templates", operation_id = "change_template",
    request_body = TemplatePatch,
    params(("id" = String, Path, description = "the text")),
    responses(
        (status = 200, body = TemplateBody),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
        (status = 409, body = Problem),
        (status = 422, body = Problem),
    )
)]
async fn change_template(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(patch): Body<TemplatePatch>,
) -> Result<Json<TemplateBody>, Problem> {
    let id = named(TemplateId::parse(&id))?;
    let change = TemplateChange {
        version: patch.version,
        name: patch.name,
        shortcut: patch.shortcut,
        modality: patch.modality,
        body_part: patch.body_part,
        findings: patch.findings,
        impression: patch.impression,
        recommendation: patch.recommendation,
    };
    Ok(Json(api.service.change_template(&who.caller, &id, change).await?.into()))
}

/// Removes a text.
#[utoipa::path(
    delete, path = "/api/v1/templates/{id}", tag = "templates", operation_id = "remove_template",
    params(("id" = String, Path, description = "the text")),
    responses(
        (status = 204),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
    )
)]
async fn remove_template(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = named(TemplateId::parse(&id))?;
    api.service.remove_template(&who.caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
