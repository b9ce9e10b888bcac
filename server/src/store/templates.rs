//! Texts for reports: whole ones and phrases, one's own and those of an organization.

use sqlx::any::AnyRow;

use medrelay_core::access::Scope;
use medrelay_core::id::{OrganizationId, PersonId, TemplateId};
use medrelay_core::people::TemplateKind;
use medrelay_core::time::Timestamp;

use super::{Columns, StoreError, Tx, assembled, known, parsed, statement, within};

/// A text for reports. What it says is about nobody: it is no patient data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its identifier.
    pub id: TemplateId,
    /// The organization that it is for.
    pub organization: OrganizationId,
    /// Whose own it is; `None`: everybody's at the organization.
    pub person: Option<PersonId>,
    /// A whole report or a phrase.
    pub kind: TemplateKind,
    /// Its name in lists.
    pub name: String,
    /// What is typed to get it; empty for none. Unique among one's own, and in the organization.
    pub shortcut: String,
    /// The modality that it is for; empty: any.
    pub modality: String,
    /// The body part that it is for; empty: any.
    pub body_part: String,
    /// 检查所见.
    pub findings: String,
    /// 诊断意见.
    pub impression: String,
    /// 建议.
    pub recommendation: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Number of the row's state.
    pub version: i64,
}

/// Which templates a list holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TemplateFilter {
    /// Only this kind.
    pub kind: Option<TemplateKind>,
    /// Only those for this modality or for any.
    pub modality: Option<String>,
}

impl Tx {
    /// Adds a template; [`StoreError::Taken`] if the shortcut is.
    pub async fn insert_template(&mut self, new: &Template) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "INSERT INTO templates (id, organization_id, person_id, kind, name, shortcut, \
                 modality, body_part, findings, impression, recommendation, removed_at, \
                 created_at, version) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, NULL, $12, $13)",
            )
            .bind(new.id.as_str().to_owned())
            .bind(new.organization.as_str().to_owned())
            .bind(new.person.as_ref().map(|id| id.as_str().to_owned()))
            .bind(new.kind.as_str().to_owned())
            .bind(new.name.clone())
            .bind(new.shortcut.clone())
            .bind(new.modality.clone())
            .bind(new.body_part.clone())
            .bind(new.findings.clone())
            .bind(new.impression.clone())
            .bind(new.recommendation.clone())
            .bind(new.created_at.micros())
            .bind(new.version),
        )
        .await
    }

    /// Saves a template as changed, where `version` is still the one that was loaded.
    pub async fn save_template(&mut self, changed: &Template) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "UPDATE templates SET name = $3, shortcut = $4, modality = $5, body_part = $6, \
                 findings = $7, impression = $8, recommendation = $9, version = version + 1 \
                 WHERE id = $1 AND version = $2 AND removed_at IS NULL",
            )
            .bind(changed.id.as_str().to_owned())
            .bind(changed.version)
            .bind(changed.name.clone())
            .bind(changed.shortcut.clone())
            .bind(changed.modality.clone())
            .bind(changed.body_part.clone())
            .bind(changed.findings.clone())
            .bind(changed.impression.clone())
            .bind(changed.recommendation.clone()),
        )
        .await
    }

    /// Removes a template.
    pub async fn remove_template(
        &mut self,
        id: &TemplateId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "UPDATE templates SET removed_at = $2, version = version + 1 \
                 WHERE id = $1 AND removed_at IS NULL",
            )
            .bind(id.as_str().to_owned())
            .bind(now.micros()),
        )
        .await
    }

    /// One template that was not removed.
    pub async fn template(&mut self, id: &TemplateId) -> Result<Option<Template>, StoreError> {
        let query = statement("SELECT * FROM templates WHERE id = $1 AND removed_at IS NULL");
        self.one(query.bind(id.as_str().to_owned())).await?.as_ref().map(template).transpose()
    }

    /// Templates after `after` in the order of their making: `person`'s own, and everybody's at
    /// the organizations in `scope` (`None`: of every organization).
    pub async fn templates(
        &mut self,
        scope: Option<&Scope>,
        person: Option<&PersonId>,
        filter: &TemplateFilter,
        after: Option<&TemplateId>,
        limit: i64,
    ) -> Result<Vec<Template>, StoreError> {
        let (reach, binds) = match scope {
            Some(scope) => within(scope, "templates.organization_id", "1 = 0 AND '' IN ({})", 6),
            None => ("1 = 1".to_owned(), Vec::new()),
        };
        let mut query = assembled(format!(
            "SELECT * FROM templates WHERE removed_at IS NULL \
             AND (CAST($1 AS TEXT) IS NULL OR id > $1) \
             AND (person_id IS NULL OR person_id = $2) \
             AND (CAST($3 AS TEXT) IS NULL OR kind = $3) \
             AND (CAST($4 AS TEXT) IS NULL OR modality = '' OR modality = $4) \
             AND {reach} ORDER BY id LIMIT $5"
        ))
        .bind(after.map(|id| id.as_str().to_owned()))
        .bind(person.map(|id| id.as_str().to_owned()))
        .bind(filter.kind.map(|kind| kind.as_str().to_owned()))
        .bind(filter.modality.clone())
        .bind(limit);
        for value in binds {
            query = query.bind(value);
        }
        self.all(query).await?.iter().map(template).collect()
    }

    /// How many templates a person has of their own at an organization, or (`None`) the
    /// organization for everybody.
    pub async fn count_templates(
        &mut self,
        organization: &OrganizationId,
        person: Option<&PersonId>,
    ) -> Result<i64, StoreError> {
        let query = statement(
            "SELECT COUNT(*) AS n FROM templates WHERE organization_id = $1 \
             AND COALESCE(person_id, '') = $2 AND removed_at IS NULL",
        )
        .bind(organization.as_str().to_owned())
        .bind(person.map_or_else(String::new, |id| id.as_str().to_owned()));
        self.one(query).await?.map_or(Ok(0), |row| row.int("n"))
    }
}

fn template(row: &AnyRow) -> Result<Template, StoreError> {
    let person = row.maybe_text("person_id")?;
    Ok(Template {
        id: parsed(TemplateId::parse(&row.text("id")?), "templates")?,
        organization: parsed(OrganizationId::parse(&row.text("organization_id")?), "templates")?,
        person: person.map(|id| parsed(PersonId::parse(&id), "templates")).transpose()?,
        kind: known(TemplateKind::parse(&row.text("kind")?), "templates")?,
        name: row.text("name")?,
        shortcut: row.text("shortcut")?,
        modality: row.text("modality")?,
        body_part: row.text("body_part")?,
        findings: row.text("findings")?,
        impression: row.text("impression")?,
        recommendation: row.text("recommendation")?,
        created_at: Timestamp::from_micros(row.int("created_at")?),
        version: row.int("version")?,
    })
}
