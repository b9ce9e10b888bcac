//! `medrelay user`: accounts.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::json;

use medrelay_core::people::{Grant, Role};
use medrelay_core::time::Entropy as _;

use super::super::table::table;
use super::{Desk, Outcome, Unclear, codes, name_of};
use crate::service::people::{NewPerson, PersonChange};
use crate::store::{Organization, PAGE_LIMIT, Person};
use crate::system::SystemEntropy;

/// What to do with people.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum UserCommand {
    /// Show accounts and roles.
    List {
        /// Only those with a role here: name or identifier.
        #[arg(long, value_name = "ORG")]
        org: Option<String>,
    },
    /// Add an account. Without `--password-stdin` a password is made and shown once.
    Add(AddUser),
    /// Give an account a new password and end its sessions.
    ResetPassword {
        /// Account name.
        login: String,
        /// Read the password from the first line of standard input.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Make a link, good once, by which somebody chooses a new password; the present one stays
    /// until they do.
    Invite {
        /// Account name.
        login: String,
        /// Hours that it is good.
        #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(i64).range(1..=336))]
        hours: Option<i64>,
    },
    /// Take the second factor from somebody who has lost it, and end their sessions.
    RemoveSecondFactor {
        /// Account name.
        login: String,
    },
    /// Close an account and end its sessions.
    Disable {
        /// Account name.
        login: String,
    },
    /// Open a closed account again.
    Enable {
        /// Account name.
        login: String,
    },
}

/// Somebody new.
#[derive(Debug, Args)]
pub(in crate::cli) struct AddUser {
    /// Account name.
    #[arg(long, value_name = "LOGIN")]
    login: String,
    /// Name as it stands on reports.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Role and organization (name or identifier), such as `reporter@ORG`; may be repeated. Roles:
    /// technician, clinic_doctor, reporter, verifier, coordinator, administrator, auditor.
    #[arg(long = "role", value_name = "ROLE@ORG", required = true, value_parser = role)]
    roles: Vec<(Role, String)>,
    /// Modalities that the person may read; every one without it.
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    modalities: Vec<String>,
    /// Read the password from the first line of standard input.
    #[arg(long)]
    password_stdin: bool,
}

pub(super) async fn run(desk: &Desk, command: UserCommand) -> anyhow::Result<Outcome> {
    match command {
        UserCommand::List { org } => list(desk, org.as_deref()).await,
        UserCommand::Add(new) => add(desk, new).await,
        UserCommand::ResetPassword { login, password_stdin } => {
            reset(desk, &login, password_stdin).await
        }
        UserCommand::Invite { login, hours } => invite(desk, &login, hours).await,
        UserCommand::RemoveSecondFactor { login } => {
            let person = find(desk, &login).await?;
            desk.service.remove_second_factor_of(&desk.caller, &person.id).await?;
            let text = format!("{} signs in with the password alone", person.login);
            desk.say(&json!({ "login": person.login }), &text)
        }
        UserCommand::Disable { login } => set_disabled(desk, &login, true).await,
        UserCommand::Enable { login } => set_disabled(desk, &login, false).await,
    }
}

async fn list(desk: &Desk, org: Option<&str>) -> anyhow::Result<Outcome> {
    let organization = match org {
        Some(org) => Some(desk.organization(org).await?.id),
        None => None,
    };
    let places = desk.organizations().await?;
    let mut people: Vec<Person> = Vec::new();
    loop {
        let after = people.last().map(|person| person.id.clone());
        let (service, caller) = (&desk.service, &desk.caller);
        let page =
            service.people(caller, organization.as_ref(), after.as_ref(), PAGE_LIMIT).await?;
        if page.is_empty() {
            break;
        }
        people.extend(page);
    }
    let rows: Vec<Vec<String>> = people
        .iter()
        .map(|person| {
            let state = match (person.disabled_at, person.invited) {
                (Some(_), _) => "closed",
                (None, true) => "invited",
                (None, false) => "open",
            };
            let roles = roles(person, &places).join(", ");
            vec![person.login.clone(), person.name.clone(), state.to_owned(), roles]
        })
        .collect();
    let text = table(&["login", "name", "state", "roles"], &rows);
    desk.say(&people.iter().map(shown).collect(), &text)
}

async fn add(desk: &Desk, new: AddUser) -> anyhow::Result<Outcome> {
    let mut grants = Vec::new();
    for (role, place) in &new.roles {
        grants.push(Grant { organization: desk.organization(place).await?.id, role: *role });
    }
    let (password, made) = password(new.password_stdin)?;
    let new = NewPerson {
        login: new.login,
        name: new.name,
        password: Some(password.clone()),
        modalities: codes(&new.modalities),
        grants,
    };
    let (person, _) = desk.service.create_person(&desk.caller, new).await?;
    let mut json = shown(&person);
    let mut text = format!("{} {}", person.login, person.name);
    tell_password(&mut json, &mut text, &password, made);
    desk.say(&json, &text)
}

async fn reset(desk: &Desk, login: &str, from_stdin: bool) -> anyhow::Result<Outcome> {
    let person = find(desk, login).await?;
    let (password, made) = password(from_stdin)?;
    desk.service.reset_password(&desk.caller, &person.id, &password).await?;
    let mut json = json!({ "login": person.login });
    let mut text = format!("{} has a new password; its sessions are over", person.login);
    tell_password(&mut json, &mut text, &password, made);
    desk.say(&json, &text)
}

async fn invite(desk: &Desk, login: &str, hours: Option<i64>) -> anyhow::Result<Outcome> {
    let person = find(desk, login).await?;
    let invitation = desk.service.invite(&desk.caller, &person.id, hours).await?;
    let path = format!("/invite#{}", invitation.token);
    let json = json!({
        "login": person.login, "path": path, "expires_at": invitation.expires_at,
    });
    let text = format!(
        "{} chooses a password at the relay's address followed by (shown only now):\n{path}",
        person.login
    );
    desk.say(&json, &text)
}

async fn set_disabled(desk: &Desk, login: &str, disabled: bool) -> anyhow::Result<Outcome> {
    let person = find(desk, login).await?;
    let change = PersonChange {
        version: person.version,
        disabled: Some(disabled),
        ..PersonChange::default()
    };
    let person = desk.service.change_person(&desk.caller, &person.id, change).await?;
    let state = if disabled { "closed" } else { "open" };
    desk.say(&shown(&person), &format!("{} is {state}", person.login))
}

async fn find(desk: &Desk, login: &str) -> anyhow::Result<Person> {
    let login = login.trim().to_ascii_lowercase();
    let mut after = None;
    loop {
        let (service, caller) = (&desk.service, &desk.caller);
        let page = service.people(caller, None, after.as_ref(), PAGE_LIMIT).await?;
        let Some(last) = page.last() else { return Err(Unclear::none("account", &login)) };
        after = Some(last.id.clone());
        if let Some(person) = page.into_iter().find(|person| person.login == login) {
            return Ok(person);
        }
    }
}

/// The password that was typed, or one that was made (then `true`).
fn password(from_stdin: bool) -> anyhow::Result<(String, bool)> {
    if !from_stdin {
        return Ok((generated(), true));
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("no password can be read")?;
    Ok((line.trim_end_matches(['\r', '\n']).to_owned(), false))
}

/// Five groups of four letters and digits that are not mistaken for each other: 100 bits.
fn generated() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz123456789";
    let mut bytes = [0u8; 20];
    SystemEntropy.fill(&mut bytes);
    let letters: Vec<char> =
        bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
    groups.join("-")
}

fn tell_password(json: &mut serde_json::Value, text: &mut String, password: &str, made: bool) {
    if made {
        json["password"] = password.into();
        text.push_str(&format!("\npassword (shown only now): {password}"));
    }
}

fn shown(person: &Person) -> serde_json::Value {
    json!({
        "id": person.id, "login": person.login, "name": person.name,
        "modalities": person.modalities, "grants": person.grants,
        "invited": person.invited, "second_factor": person.second_factor,
        "disabled_at": person.disabled_at,
    })
}

fn roles(person: &Person, places: &[Organization]) -> Vec<String> {
    let role =
        |grant: &Grant| format!("{}@{}", grant.role.as_str(), name_of(places, &grant.organization));
    person.grants.iter().map(role).collect()
}

fn role(text: &str) -> Result<(Role, String), String> {
    let known = || Role::ALL.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
    let (role, place) = text.split_once('@').ok_or("write it as ROLE@ORG")?;
    let role = Role::parse(role).ok_or_else(|| format!("the role must be one of {}", known()))?;
    match place.trim() {
        "" => Err("write it as ROLE@ORG".to_owned()),
        place => Ok((role, place.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_needs_its_place() {
        assert_eq!(role("reporter@县医院"), Ok((Role::Reporter, "县医院".to_owned())));
        for bad in ["reporter", "reporter@", "king@县医院", "@县医院"] {
            assert!(role(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn generated_passwords_are_long_and_differ() {
        let (a, b) = (generated(), generated());
        assert_eq!(a.len(), 24);
        assert_ne!(a, b);
    }
}
