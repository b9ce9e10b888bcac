//! Texts for reports: whole ones and phrases. One's own are for oneself alone; those of an
//! organization are for everybody who reads there and are looked after by few.

use medrelay_core::access::Action;
use medrelay_core::event::Kind;
use medrelay_core::id::{OrganizationId, TemplateId};
use medrelay_core::people::TemplateKind;
use medrelay_core::report::{self, Text};

use super::consortium::{listing, must_be_open, standing};
use super::{About, Caller, Error, Service, allow, input, owned_by};
use crate::store::{StoreError, Template, TemplateFilter, Tx};

/// The longest shortcut, in characters.
const SHORTCUT_CHARS: usize = 32;
/// The longest body part, in characters.
const BODY_PART_CHARS: usize = 64;
/// Templates that a person may have of their own at an organization, and the organization for
/// everybody.
const TEMPLATES: i64 = 1000;

/// A text for reports that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTemplate {
    /// The organization that it is for.
    pub organization: OrganizationId,
    /// One's own, or everybody's there.
    pub own: bool,
    /// A whole report or a phrase.
    pub kind: TemplateKind,
    /// What it says.
    pub content: TemplateContent,
}

/// What a text for reports says, and how it is found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TemplateContent {
    /// Its name in lists.
    pub name: String,
    /// What is typed to get it; empty for none.
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
}

/// What a text for reports is to become; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TemplateChange {
    /// The version that the change was decided on.
    pub version: i64,
    /// Another name.
    pub name: Option<String>,
    /// Another shortcut.
    pub shortcut: Option<String>,
    /// Another modality.
    pub modality: Option<String>,
    /// Another body part.
    pub body_part: Option<String>,
    /// Other findings.
    pub findings: Option<String>,
    /// Another impression.
    pub impression: Option<String>,
    /// Another recommendation.
    pub recommendation: Option<String>,
}

impl Service {
    /// The caller's own texts and those of the organizations that they read for, in the order of
    /// their making.
    pub async fn templates(
        &self,
        caller: &Caller,
        filter: &TemplateFilter,
        after: Option<&TemplateId>,
        limit: i64,
    ) -> Result<Vec<Template>, Error> {
        let scope = listing(caller, Action::ReadTemplate)?;
        let mut tx = self.db().read().await?;
        let me = caller.actor.person();
        Ok(tx.templates(scope.as_ref(), me, filter, after, limit).await?)
    }

    /// Makes a text: one's own by whoever reads there, everybody's by whoever looks after them.
    pub async fn create_template(
        &self,
        caller: &Caller,
        new: NewTemplate,
    ) -> Result<Template, Error> {
        let now = self.now();
        let mut tx = self.db().write().await?;
        let (organization, object) = standing(&mut tx, &new.organization).await?;
        let action = if new.own { Action::ReadTemplate } else { Action::ManageTemplate };
        allow(caller, action, &object)?;
        must_be_open(&organization)?;
        let person = if new.own { Some(caller.person()?.clone()) } else { None };
        if tx.count_templates(&organization.id, person.as_ref()).await? >= TEMPLATES {
            return Err(Error::Conflict("there are too many: remove some first"));
        }
        let content = checked(new.content)?;
        let template = Template {
            id: TemplateId::new(now, &*self.parts.entropy),
            organization: organization.id,
            person,
            kind: new.kind,
            name: content.name,
            shortcut: content.shortcut,
            modality: content.modality,
            body_part: content.body_part,
            findings: content.findings,
            impression: content.impression,
            recommendation: content.recommendation,
            created_at: now,
            version: 1,
        };
        tx.insert_template(&template).await.map_err(shortcut_taken)?;
        self.record_template(&mut tx, caller, &template, "made").await?;
        tx.commit().await?;
        Ok(template)
    }

    /// Changes a text.
    pub async fn change_template(
        &self,
        caller: &Caller,
        id: &TemplateId,
        change: TemplateChange,
    ) -> Result<Template, Error> {
        let mut tx = self.db().write().await?;
        let mut template = mine_to_change(&mut tx, caller, id).await?;
        if template.version != change.version {
            return Err(Error::VersionConflict);
        }
        let content = checked(TemplateContent {
            name: change.name.unwrap_or(template.name),
            shortcut: change.shortcut.unwrap_or(template.shortcut),
            modality: change.modality.unwrap_or(template.modality),
            body_part: change.body_part.unwrap_or(template.body_part),
            findings: change.findings.unwrap_or(template.findings),
            impression: change.impression.unwrap_or(template.impression),
            recommendation: change.recommendation.unwrap_or(template.recommendation),
        })?;
        template = Template {
            name: content.name,
            shortcut: content.shortcut,
            modality: content.modality,
            body_part: content.body_part,
            findings: content.findings,
            impression: content.impression,
            recommendation: content.recommendation,
            ..template
        };
        tx.save_template(&template).await.map_err(shortcut_taken)?;
        template.version += 1;
        self.record_template(&mut tx, caller, &template, "changed").await?;
        tx.commit().await?;
        Ok(template)
    }

    /// Removes a text.
    pub async fn remove_template(&self, caller: &Caller, id: &TemplateId) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        let template = mine_to_change(&mut tx, caller, id).await?;
        tx.remove_template(id, self.now()).await?;
        self.record_template(&mut tx, caller, &template, "removed").await?;
        Ok(tx.commit().await?)
    }

    async fn record_template(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        template: &Template,
        what: &'static str,
    ) -> Result<(), Error> {
        let about = About::of(&template.organization, format!("template:{}", template.id)).with(
            serde_json::json!({
                "what": what, "kind": template.kind, "own": template.person.is_some(),
            }),
        );
        Ok(tx.record(vec![self.parts.event(caller, Kind::TemplateChanged, about)]).await?)
    }
}

/// A text that the caller may change. Somebody else's own does not exist for them.
async fn mine_to_change(tx: &mut Tx, caller: &Caller, id: &TemplateId) -> Result<Template, Error> {
    let template = tx.template(id).await?.ok_or(Error::hidden())?;
    let object = owned_by(tx, &template.organization).await?;
    match &template.person {
        Some(person) if caller.actor.person() == Some(person) => {
            allow(caller, Action::ReadTemplate, &object)?;
        }
        Some(_) => return Err(Error::hidden()),
        None => allow(caller, Action::ManageTemplate, &object)?,
    }
    Ok(template)
}

/// A unique name that a template collides with can only be its shortcut.
fn shortcut_taken(error: StoreError) -> Error {
    match error {
        StoreError::Taken => Error::Taken("shortcut"),
        other => other.into(),
    }
}

/// What was typed, as it is kept.
fn checked(typed: TemplateContent) -> Result<TemplateContent, Error> {
    let modality = typed.modality.trim();
    if !modality.is_empty() {
        input::modalities(&[modality.to_owned()])
            .map_err(|_| Error::invalid("modality", "must be a DICOM code such as CT, or empty"))?;
    }
    let body_part = match typed.body_part.trim() {
        "" => String::new(),
        text => input::name("body_part", text)?,
    };
    if body_part.chars().count() > BODY_PART_CHARS {
        return Err(Error::invalid("body_part", "must have at most 64 characters"));
    }
    let text = Text {
        findings: medrelay_core::id::Phi::new(typed.findings),
        impression: medrelay_core::id::Phi::new(typed.impression),
        recommendation: medrelay_core::id::Phi::new(typed.recommendation),
    };
    report::check_draft(&text)?;
    let sections = [&text.findings, &text.impression, &text.recommendation];
    if sections.iter().all(|section| section.reveal().trim().is_empty()) {
        return Err(Error::invalid("findings", "say something in at least one section"));
    }
    Ok(TemplateContent {
        name: input::name("name", &typed.name)?,
        shortcut: shortcut(&typed.shortcut)?,
        modality: modality.to_owned(),
        body_part,
        findings: text.findings.into_revealed(),
        impression: text.impression.into_revealed(),
        recommendation: text.recommendation.into_revealed(),
    })
}

/// What is typed after `#`: letters, digits, `-` and `_`, in lower case.
fn shortcut(text: &str) -> Result<String, Error> {
    let text = text.trim().trim_start_matches('#').to_lowercase();
    let allowed = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    if text.chars().count() <= SHORTCUT_CHARS && text.chars().all(allowed) {
        Ok(text)
    } else {
        Err(Error::invalid("shortcut", "must be at most 32 letters, digits, - and _"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content() -> TemplateContent {
        TemplateContent {
            name: " 胸部CT平扫 ".to_owned(),
            shortcut: "#Xiong-CT".to_owned(),
            modality: "CT".to_owned(),
            findings: "双肺纹理清晰。\n未见实变。".to_owned(),
            ..TemplateContent::default()
        }
    }

    #[test]
    fn what_is_typed_is_tidied() {
        let kept = checked(content()).expect("a good template");
        assert_eq!((kept.name.as_str(), kept.shortcut.as_str()), ("胸部CT平扫", "xiong-ct"));
        assert_eq!(kept.findings, "双肺纹理清晰。\n未见实变。", "text is text");
    }

    #[test]
    fn what_no_page_can_show_is_refused() {
        let refused = |change: fn(&mut TemplateContent)| {
            let mut typed = content();
            change(&mut typed);
            checked(typed).is_err()
        };
        assert!(refused(|it| it.name = String::new()));
        assert!(refused(|it| it.shortcut = "a b".to_owned()));
        assert!(refused(|it| it.shortcut = "长".repeat(33)));
        assert!(refused(|it| it.modality = "ct".to_owned()));
        assert!(refused(|it| it.findings = " \n".to_owned()));
        assert!(refused(|it| it.findings = "a\u{0}b".to_owned()));
        assert!(refused(|it| it.findings = "长".repeat(report::SECTION_LIMIT + 1)));
        assert!(!refused(|it| it.shortcut = "肝囊肿".to_owned()));
    }
}
