//! People, their roles, their sessions and the one-time set-up ticket.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;

use medrelay_core::access::Scope;
use medrelay_core::id::{OrganizationId, PersonId, SessionId};
use medrelay_core::people::{Actor, Grant, Role};
use medrelay_core::time::Timestamp;

use super::{Columns, StoreError, Tx, assembled, known, parsed, placeholders, statement, within};

/// Somebody with an account. The password's hash never leaves [`Tx::credentials`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Its identifier.
    pub id: PersonId,
    /// Account name, lower case; unique in the relay, never changed.
    pub login: String,
    /// The name that reports and lists show.
    pub name: String,
    /// Modalities that the person may read; empty means every one.
    pub modalities: Vec<String>,
    /// Roles per organization, those in closed organizations included.
    pub grants: Vec<Grant>,
    /// Whether they have no password yet: they are invited to choose one.
    pub invited: bool,
    /// Whether signing in takes a second factor.
    pub second_factor: bool,
    /// Since when the account is closed.
    pub disabled_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Number of the row's state.
    pub version: i64,
}

impl Person {
    /// The person as an actor with every role on record.
    pub fn actor(&self) -> Actor {
        Actor::Person { id: self.id.clone(), grants: self.grants.clone() }
    }
}

/// How a session's token travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionKind {
    /// As a cookie; changing calls must show the CSRF token too.
    Browser,
    /// As a bearer token.
    Program,
}

impl SessionKind {
    /// The stable text, as stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Program => "program",
        }
    }

    /// Reads the stable text.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "browser" => Some(Self::Browser),
            "program" => Some(Self::Program),
            _ => None,
        }
    }
}

/// A signed-in session, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its identifier.
    pub id: SessionId,
    /// Whose.
    pub person: PersonId,
    /// How its token travels.
    pub kind: SessionKind,
    /// Address that it was opened from.
    pub source: String,
    /// SHA-256 (hex) of its CSRF token.
    pub csrf_hash: String,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When its holder last proved who they are.
    pub proved_at: Timestamp,
    /// When it was last used, to the minute.
    pub used_at: Timestamp,
    /// When it ends in any case.
    pub expires_at: Timestamp,
}

/// People with whether their second factor is in force.
const PERSONS: &str = "SELECT persons.*, (SELECT COUNT(*) FROM second_factors \
                       WHERE second_factors.person_id = persons.id \
                       AND second_factors.confirmed_at IS NOT NULL) AS factors FROM persons";

impl Tx {
    /// Adds a person and their roles; [`StoreError::Taken`] if the login is. An empty hash is no
    /// password at all.
    pub async fn insert_person(
        &mut self,
        person: &Person,
        password_hash: &str,
    ) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "INSERT INTO persons (id, login, name, password_hash, modalities, disabled_at, \
                 created_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(person.id.as_str().to_owned())
            .bind(person.login.clone())
            .bind(person.name.clone())
            .bind(password_hash.to_owned())
            .bind(super::organizations::json_list(&person.modalities))
            .bind(person.disabled_at.map(Timestamp::micros))
            .bind(person.created_at.micros())
            .bind(person.version),
        )
        .await?;
        self.insert_grants(&person.id, &person.grants).await
    }

    /// Saves a person as changed, where `version` is still the one that was loaded, and replaces
    /// their roles.
    pub async fn save_person(&mut self, person: &Person) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "UPDATE persons SET name = $3, modalities = $4, disabled_at = $5, \
                 version = version + 1 WHERE id = $1 AND version = $2",
            )
            .bind(person.id.as_str().to_owned())
            .bind(person.version)
            .bind(person.name.clone())
            .bind(super::organizations::json_list(&person.modalities))
            .bind(person.disabled_at.map(Timestamp::micros)),
        )
        .await?;
        self.run(
            statement("DELETE FROM grants WHERE person_id = $1")
                .bind(person.id.as_str().to_owned()),
        )
        .await?;
        self.insert_grants(&person.id, &person.grants).await
    }

    async fn insert_grants(
        &mut self,
        person: &PersonId,
        grants: &[Grant],
    ) -> Result<(), StoreError> {
        for grant in grants {
            self.run(
                statement(
                    "INSERT INTO grants (person_id, organization_id, role) VALUES ($1, $2, $3) \
                     ON CONFLICT DO NOTHING",
                )
                .bind(person.as_str().to_owned())
                .bind(grant.organization.as_str().to_owned())
                .bind(grant.role.as_str().to_owned()),
            )
            .await?;
        }
        Ok(())
    }

    /// Replaces a password's hash.
    pub async fn save_password(
        &mut self,
        person: &PersonId,
        password_hash: &str,
    ) -> Result<(), StoreError> {
        self.change_one(
            statement("UPDATE persons SET password_hash = $2 WHERE id = $1")
                .bind(person.as_str().to_owned())
                .bind(password_hash.to_owned()),
        )
        .await
    }

    /// One person with their roles.
    pub async fn person(&mut self, id: &PersonId) -> Result<Option<Person>, StoreError> {
        let row = self
            .one(assembled(format!("{PERSONS} WHERE persons.id = $1")).bind(id.as_str().to_owned()))
            .await?;
        match row {
            Some(row) => Ok(self.with_grants(vec![person(&row)?]).await?.pop()),
            None => Ok(None),
        }
    }

    /// The person of an account name with the hash of the password.
    pub async fn credentials(
        &mut self,
        login: &str,
    ) -> Result<Option<(Person, String)>, StoreError> {
        let row = self
            .one(assembled(format!("{PERSONS} WHERE persons.login = $1")).bind(login.to_owned()))
            .await?;
        let Some(row) = row else { return Ok(None) };
        let hash = row.text("password_hash")?;
        Ok(self.with_grants(vec![person(&row)?]).await?.pop().map(|person| (person, hash)))
    }

    /// People after `after` in the order of their making. `scope` keeps to those with a role in
    /// reach (`None`: everybody), `organization` to those with a role there.
    pub async fn people(
        &mut self,
        scope: Option<&Scope>,
        organization: Option<&OrganizationId>,
        after: Option<&PersonId>,
        limit: i64,
    ) -> Result<Vec<Person>, StoreError> {
        let (filter, binds) = match scope {
            Some(scope) => within(scope, "grants.organization_id", "1 = 0 AND '' IN ({})", 4),
            None => ("1 = 1".to_owned(), Vec::new()),
        };
        let mut query = assembled(format!(
            "{PERSONS} WHERE (CAST($1 AS TEXT) IS NULL OR id > $1) AND EXISTS \
             (SELECT 1 FROM grants WHERE grants.person_id = persons.id \
             AND (CAST($2 AS TEXT) IS NULL OR grants.organization_id = $2) AND {filter}) \
             ORDER BY id LIMIT $3"
        ))
        .bind(after.map(|id| id.as_str().to_owned()))
        .bind(organization.map(|id| id.as_str().to_owned()))
        .bind(limit);
        for value in binds {
            query = query.bind(value);
        }
        let rows = self.all(query).await?;
        let people = rows.iter().map(person).collect::<Result<Vec<_>, _>>()?;
        self.with_grants(people).await
    }

    async fn with_grants(&mut self, mut people: Vec<Person>) -> Result<Vec<Person>, StoreError> {
        let mut query = assembled(format!(
            "SELECT person_id, organization_id, role FROM grants WHERE person_id IN ({}) \
             ORDER BY organization_id, role",
            placeholders(1, people.len())
        ));
        for person in &people {
            query = query.bind(person.id.as_str().to_owned());
        }
        let mut grants: BTreeMap<String, Vec<Grant>> = BTreeMap::new();
        for row in self.all(query).await? {
            grants.entry(row.text("person_id")?).or_default().push(grant(&row)?);
        }
        for person in &mut people {
            person.grants = grants.remove(person.id.as_str()).unwrap_or_default();
        }
        Ok(people)
    }

    /// The roles that a person may act in now: those in organizations that are not closed.
    pub async fn acting_grants(&mut self, person: &PersonId) -> Result<Vec<Grant>, StoreError> {
        let rows = self
            .all(
                statement(
                    "SELECT grants.organization_id, grants.role FROM grants \
                     JOIN organizations ON organizations.id = grants.organization_id \
                     WHERE grants.person_id = $1 AND organizations.closed_at IS NULL \
                     ORDER BY grants.organization_id, grants.role",
                )
                .bind(person.as_str().to_owned()),
            )
            .await?;
        rows.iter().map(grant).collect()
    }

    /// How many people other than `except` can administer a whole tree: administrators of an
    /// organization with nothing above it, whose account is open.
    pub async fn root_administrators(
        &mut self,
        except: Option<&PersonId>,
    ) -> Result<i64, StoreError> {
        let row = self
            .one(
                statement(
                    "SELECT COUNT(DISTINCT persons.id) AS n FROM persons \
                     JOIN grants ON grants.person_id = persons.id \
                     JOIN organizations ON organizations.id = grants.organization_id \
                     WHERE grants.role = 'administrator' AND persons.disabled_at IS NULL \
                     AND organizations.parent_id IS NULL AND organizations.closed_at IS NULL \
                     AND (CAST($1 AS TEXT) IS NULL OR persons.id <> $1)",
                )
                .bind(except.map(|id| id.as_str().to_owned())),
            )
            .await?;
        row.map_or(Ok(0), |row| row.int("n"))
    }

    /// Opens a session; `token_hash` is the SHA-256 (hex) of its secret.
    pub async fn insert_session(
        &mut self,
        session: &Session,
        token_hash: &str,
    ) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "INSERT INTO sessions (id, person_id, token_hash, csrf_hash, kind, source, \
                 created_at, proved_at, used_at, expires_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            )
            .bind(session.id.as_str().to_owned())
            .bind(session.person.as_str().to_owned())
            .bind(token_hash.to_owned())
            .bind(session.csrf_hash.clone())
            .bind(session.kind.as_str().to_owned())
            .bind(session.source.clone())
            .bind(session.created_at.micros())
            .bind(session.proved_at.micros())
            .bind(session.used_at.micros())
            .bind(session.expires_at.micros()),
        )
        .await
    }

    /// The session with this secret, whether still valid or not.
    pub async fn session_by_token(
        &mut self,
        token_hash: &str,
    ) -> Result<Option<Session>, StoreError> {
        let row = self
            .one(
                statement("SELECT * FROM sessions WHERE token_hash = $1")
                    .bind(token_hash.to_owned()),
            )
            .await?;
        row.as_ref().map(session).transpose()
    }

    /// One session.
    pub async fn session(&mut self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        let row = self
            .one(statement("SELECT * FROM sessions WHERE id = $1").bind(id.as_str().to_owned()))
            .await?;
        row.as_ref().map(session).transpose()
    }

    /// The sessions of a person, oldest first.
    pub async fn sessions_of(&mut self, person: &PersonId) -> Result<Vec<Session>, StoreError> {
        let rows = self
            .all(
                statement("SELECT * FROM sessions WHERE person_id = $1 ORDER BY id")
                    .bind(person.as_str().to_owned()),
            )
            .await?;
        rows.iter().map(session).collect()
    }

    /// Notes that a session was used.
    pub async fn touch_session(
        &mut self,
        id: &SessionId,
        used_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.run(
            statement("UPDATE sessions SET used_at = $2 WHERE id = $1 AND used_at < $2")
                .bind(id.as_str().to_owned())
                .bind(used_at.micros()),
        )
        .await?;
        Ok(())
    }

    /// Notes that the holder of a session has proved again who they are.
    pub async fn save_session_proof(
        &mut self,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change_one(
            statement("UPDATE sessions SET proved_at = $2 WHERE id = $1")
                .bind(id.as_str().to_owned())
                .bind(now.micros()),
        )
        .await
    }

    /// Gives a session new secrets; the old ones are worth nothing from here on.
    pub async fn rotate_session(
        &mut self,
        id: &SessionId,
        token_hash: &str,
        csrf_hash: &str,
    ) -> Result<(), StoreError> {
        self.change_one(
            statement("UPDATE sessions SET token_hash = $2, csrf_hash = $3 WHERE id = $1")
                .bind(id.as_str().to_owned())
                .bind(token_hash.to_owned())
                .bind(csrf_hash.to_owned()),
        )
        .await
    }

    /// Ends one session; false if it was over.
    pub async fn delete_session(&mut self, id: &SessionId) -> Result<bool, StoreError> {
        let gone = self
            .run(statement("DELETE FROM sessions WHERE id = $1").bind(id.as_str().to_owned()))
            .await?;
        Ok(gone > 0)
    }

    /// Ends every session of a person, `except` one; tells how many.
    pub async fn delete_sessions_of(
        &mut self,
        person: &PersonId,
        except: Option<&SessionId>,
    ) -> Result<u64, StoreError> {
        self.run(
            statement(
                "DELETE FROM sessions WHERE person_id = $1 \
                 AND (CAST($2 AS TEXT) IS NULL OR id <> $2)",
            )
            .bind(person.as_str().to_owned())
            .bind(except.map(|id| id.as_str().to_owned())),
        )
        .await
    }

    /// Forgets sessions that have run out.
    pub async fn sweep_sessions(
        &mut self,
        idle_since: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.run(
            statement("DELETE FROM sessions WHERE expires_at <= $1 OR used_at <= $2")
                .bind(now.micros())
                .bind(idle_since.micros()),
        )
        .await?;
        Ok(())
    }

    /// Makes a one-time ticket; an older one for the same purpose is worth nothing from here on.
    pub async fn replace_ticket(
        &mut self,
        purpose: &str,
        token_hash: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.run(
            statement(
                "INSERT INTO tickets (purpose, token_hash, created_at, used_at) \
                 VALUES ($1, $2, $3, NULL) ON CONFLICT (purpose) DO UPDATE SET \
                 token_hash = excluded.token_hash, created_at = excluded.created_at, used_at = NULL",
            )
            .bind(purpose.to_owned())
            .bind(token_hash.to_owned())
            .bind(now.micros()),
        )
        .await?;
        Ok(())
    }

    /// Whether a ticket is unused and was made after `oldest`.
    pub async fn ticket_is_good(
        &mut self,
        purpose: &str,
        token_hash: &str,
        oldest: Timestamp,
    ) -> Result<bool, StoreError> {
        let row = self
            .one(
                statement(
                    "SELECT purpose FROM tickets WHERE purpose = $1 AND token_hash = $2 \
                     AND used_at IS NULL AND created_at > $3",
                )
                .bind(purpose.to_owned())
                .bind(token_hash.to_owned())
                .bind(oldest.micros()),
            )
            .await?;
        Ok(row.is_some())
    }

    /// Uses a ticket up; [`StoreError::Lost`] if somebody was faster.
    pub async fn use_ticket(
        &mut self,
        purpose: &str,
        token_hash: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "UPDATE tickets SET used_at = $3 \
                 WHERE purpose = $1 AND token_hash = $2 AND used_at IS NULL",
            )
            .bind(purpose.to_owned())
            .bind(token_hash.to_owned())
            .bind(now.micros()),
        )
        .await
    }
}

/// A person without roles: they are loaded for many at once.
fn person(row: &AnyRow) -> Result<Person, StoreError> {
    Ok(Person {
        id: parsed(PersonId::parse(&row.text("id")?), "persons")?,
        login: row.text("login")?,
        name: row.text("name")?,
        modalities: parsed(serde_json::from_str(&row.text("modalities")?), "persons")?,
        grants: Vec::new(),
        invited: row.text("password_hash")?.is_empty(),
        second_factor: row.int("factors")? > 0,
        disabled_at: row.maybe_int("disabled_at")?.map(Timestamp::from_micros),
        created_at: Timestamp::from_micros(row.int("created_at")?),
        version: row.int("version")?,
    })
}

fn grant(row: &AnyRow) -> Result<Grant, StoreError> {
    Ok(Grant {
        organization: parsed(OrganizationId::parse(&row.text("organization_id")?), "grants")?,
        role: known(Role::parse(&row.text("role")?), "grants")?,
    })
}

fn session(row: &AnyRow) -> Result<Session, StoreError> {
    let created_at = row.int("created_at")?;
    Ok(Session {
        id: parsed(SessionId::parse(&row.text("id")?), "sessions")?,
        person: parsed(PersonId::parse(&row.text("person_id")?), "sessions")?,
        kind: known(SessionKind::parse(&row.text("kind")?), "sessions")?,
        source: row.text("source")?,
        csrf_hash: row.text("csrf_hash")?,
        created_at: Timestamp::from_micros(created_at),
        proved_at: Timestamp::from_micros(row.maybe_int("proved_at")?.unwrap_or(created_at)),
        used_at: Timestamp::from_micros(row.int("used_at")?),
        expires_at: Timestamp::from_micros(row.int("expires_at")?),
    })
}
