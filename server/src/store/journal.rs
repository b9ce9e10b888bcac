//! Events (append-only, chained), jobs (work that is due), idempotency keys and human numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use medrelay_core::event::{Head, Kind, Record, sealed_bytes};
use medrelay_core::id::{EventId, JobId};
use medrelay_core::time::Timestamp;
use sqlx::any::AnyRow;

use super::{Columns, StoreError, Tx, assembled, placeholders, statement};

/// Makes the keyed seal (hex) of bytes: HMAC with a key that is not in the database.
pub type Sealer = Arc<dyn Fn(&[u8]) -> String + Send + Sync>;

/// An event before it has its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Its identifier.
    pub id: EventId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: Kind,
    /// Who: `person:…`, `device:…`, `system`, `anonymous`.
    pub actor: String,
    /// From where.
    pub source: String,
    /// Whose event it is; empty for the relay's own.
    pub organization: String,
    /// The centre that may see it too; empty if none.
    pub partner: String,
    /// Which object: `case:…`; empty if none.
    pub object: String,
    /// More, as a JSON object without patient data.
    pub details: String,
}

/// Work that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its identifier.
    pub id: JobId,
    /// What is to be done.
    pub kind: String,
    /// To which object.
    pub subject: String,
    /// When it was due.
    pub due_at: Timestamp,
    /// Attempts made before this one.
    pub attempts: i64,
}

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only what happened to this object.
    pub object: Option<String>,
    /// Only what is of this kind.
    pub kind: Option<Kind>,
    /// Only what this one did: `person:…`.
    pub actor: Option<String>,
    /// Only what belongs to this organization.
    pub organization: Option<String>,
    /// Only from this moment on.
    pub from: Option<Timestamp>,
    /// Only before this moment.
    pub to: Option<Timestamp>,
}

/// What is known of an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Idempotent {
    /// The first call with this key: go on.
    First,
    /// The same request is being worked on.
    InFlight,
    /// The key was used for another request.
    Mismatch,
    /// The same request was answered: status and body.
    Answered(i64, String),
}

impl Tx {
    /// Makes the row of the chain's end, once.
    pub(super) async fn ensure_head(&mut self) -> Result<(), StoreError> {
        let head = Head::empty();
        let head_seal = (self.db.sealer)(&head.canonical_bytes());
        self.run(
            statement(
                "INSERT INTO event_head (id, seq, seal, head_seal) VALUES (1, $1, $2, $3) \
                 ON CONFLICT (id) DO NOTHING",
            )
            .bind(head.seq)
            .bind(head.seal)
            .bind(head_seal),
        )
        .await?;
        Ok(())
    }

    /// Appends events to the chain. Call it last in a transaction: on PostgreSQL it holds the
    /// chain's end until the commit.
    pub async fn record(&mut self, events: Vec<NewEvent>) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        // Taking the row first serialises all chains of writers on both engines.
        let row = self
            .one(statement("UPDATE event_head SET seq = seq WHERE id = 1 RETURNING seq, seal"))
            .await?
            .ok_or(StoreError::Inconsistent { table: "event_head", what: "no row" })?;
        let mut head = Head { seq: row.int("seq")?, seal: row.text("seal")? };
        for event in events {
            let record = Record {
                seq: head.seq + 1,
                id: event.id.into(),
                at: event.at,
                kind: event.kind.as_str().to_owned(),
                actor: event.actor,
                source: event.source,
                organization: event.organization,
                partner: event.partner,
                object: event.object,
                details: event.details,
            };
            let seal = (self.db.sealer)(&sealed_bytes(&head.seal, &record));
            self.insert_event(&record, &seal).await?;
            head = Head { seq: record.seq, seal };
        }
        let head_seal = (self.db.sealer)(&head.canonical_bytes());
        self.change_one(
            statement("UPDATE event_head SET seq = $1, seal = $2, head_seal = $3 WHERE id = 1")
                .bind(head.seq)
                .bind(head.seal)
                .bind(head_seal),
        )
        .await?;
        self.last_event = Some(head.seq);
        Ok(())
    }

    async fn insert_event(&mut self, record: &Record, seal: &str) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "INSERT INTO events (seq, id, at, kind, actor, source, organization, partner, \
                 object, details, seal) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            )
            .bind(record.seq)
            .bind(record.id.clone())
            .bind(record.at.micros())
            .bind(record.kind.clone())
            .bind(record.actor.clone())
            .bind(record.source.clone())
            .bind(record.organization.clone())
            .bind(record.partner.clone())
            .bind(record.object.clone())
            .bind(record.details.clone())
            .bind(seal.to_owned()),
        )
        .await
    }

    /// The end of the chain with the seal of the end itself.
    pub async fn event_head(&mut self) -> Result<(Head, String), StoreError> {
        let row = self
            .one(statement("SELECT seq, seal, head_seal FROM event_head WHERE id = 1"))
            .await?
            .ok_or(StoreError::Inconsistent { table: "event_head", what: "no row" })?;
        Ok((Head { seq: row.int("seq")?, seal: row.text("seal")? }, row.text("head_seal")?))
    }

    /// Events after `seq` in order, with their seals: what the verifier walks.
    pub async fn events_after(
        &mut self,
        seq: i64,
        limit: i64,
    ) -> Result<Vec<(Record, String)>, StoreError> {
        let rows = self
            .all(
                statement("SELECT * FROM events WHERE seq > $1 ORDER BY seq LIMIT $2")
                    .bind(seq)
                    .bind(limit),
            )
            .await?;
        rows.iter().map(|row| Ok((record(row)?, row.text("seal")?))).collect()
    }

    /// Events after `seq` that belong to one of `organizations` (as owner or partner), oldest
    /// first: live updates.
    pub async fn events_for(
        &mut self,
        organizations: &[String],
        seq: i64,
        limit: i64,
    ) -> Result<Vec<Record>, StoreError> {
        let list = placeholders(3, organizations.len());
        let mut query = assembled(format!(
            "SELECT * FROM events WHERE seq > $1 AND (organization IN ({list}) \
             OR partner IN ({list})) ORDER BY seq LIMIT $2"
        ))
        .bind(seq)
        .bind(limit);
        for id in organizations {
            query = query.bind(id.clone());
        }
        self.all(query).await?.iter().map(record).collect()
    }

    /// Events of these organizations (`None`: of everybody) that a filter lets through, newest first,
    /// before event `seq`.
    pub async fn events_before(
        &mut self,
        organizations: Option<&[String]>,
        filter: &EventFilter,
        seq: i64,
        limit: i64,
    ) -> Result<Vec<Record>, StoreError> {
        let all = organizations.is_none();
        let organizations = organizations.unwrap_or_default();
        let owned = if all {
            "1 = 1".to_owned()
        } else {
            format!("organization IN ({})", placeholders(9, organizations.len()))
        };
        let mut query = assembled(format!(
            "SELECT * FROM events WHERE seq < $1 AND (CAST($2 AS TEXT) IS NULL OR object = $2) \
             AND (CAST($3 AS TEXT) IS NULL OR kind = $3) \
             AND (CAST($4 AS TEXT) IS NULL OR actor = $4) \
             AND (CAST($5 AS TEXT) IS NULL OR organization = $5) \
             AND at >= $6 AND at < $7 AND {owned} ORDER BY seq DESC LIMIT $8"
        ))
        .bind(seq)
        .bind(filter.object.clone())
        .bind(filter.kind.map(|kind| kind.as_str().to_owned()))
        .bind(filter.actor.clone())
        .bind(filter.organization.clone())
        .bind(filter.from.map_or(i64::MIN, Timestamp::micros))
        .bind(filter.to.map_or(i64::MAX, Timestamp::micros))
        .bind(limit);
        for id in organizations {
            query = query.bind(id.clone());
        }
        self.all(query).await?.iter().map(record).collect()
    }

    /// The names of people, devices and gateways, by what events call them (`person:…`).
    pub async fn actor_names(
        &mut self,
        actors: &[String],
    ) -> Result<BTreeMap<String, String>, StoreError> {
        let mut names = BTreeMap::new();
        for (prefix, table) in
            [("person:", "persons"), ("device:", "devices"), ("gateway:", "gateways")]
        {
            let ids: Vec<&str> = actors.iter().filter_map(|a| a.strip_prefix(prefix)).collect();
            if ids.is_empty() {
                continue;
            }
            let list = placeholders(1, ids.len());
            let mut query = assembled(format!("SELECT id, name FROM {table} WHERE id IN ({list})"));
            for id in ids {
                query = query.bind(id.to_owned());
            }
            for row in self.all(query).await? {
                names.insert(format!("{prefix}{}", row.text("id")?), row.text("name")?);
            }
        }
        Ok(names)
    }

    /// Whether somebody did something to an object at or after `since`.
    pub async fn happened_since(
        &mut self,
        kind: Kind,
        actor: &str,
        object: &str,
        since: Timestamp,
    ) -> Result<bool, StoreError> {
        let row = self
            .one(
                statement(
                    "SELECT seq FROM events WHERE object = $1 AND kind = $2 AND actor = $3 \
                     AND at >= $4 LIMIT 1",
                )
                .bind(object.to_owned())
                .bind(kind.as_str().to_owned())
                .bind(actor.to_owned())
                .bind(since.micros()),
            )
            .await?;
        Ok(row.is_some())
    }

    /// Makes work due at `due_at`, or moves it there if it waits already.
    pub async fn schedule(
        &mut self,
        id: JobId,
        kind: &str,
        subject: &str,
        due_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.run(
            statement(
                "INSERT INTO jobs (id, kind, subject, due_at, attempts, lease, lease_until, \
                 created_at) VALUES ($1, $2, $3, $4, 0, '', 0, $5) \
                 ON CONFLICT (kind, subject) DO UPDATE SET due_at = excluded.due_at, \
                 attempts = 0, failed_at = NULL, lease = '', lease_until = 0",
            )
            .bind(String::from(id))
            .bind(kind.to_owned())
            .bind(subject.to_owned())
            .bind(due_at.micros())
            .bind(now.micros()),
        )
        .await?;
        self.jobs_moved = true;
        Ok(())
    }

    /// Takes one due job that nobody works on; `lease` must be unique to this attempt.
    pub async fn take_job(
        &mut self,
        lease: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Job>, StoreError> {
        let row = self
            .one(
                statement(
                    "UPDATE jobs SET lease = $1, lease_until = $2, attempts = attempts + 1 \
                     WHERE lease_until <= $3 AND failed_at IS NULL AND id = (SELECT id FROM jobs \
                     WHERE due_at <= $3 AND lease_until <= $3 AND failed_at IS NULL \
                     ORDER BY due_at, id LIMIT 1) RETURNING id, kind, subject, due_at, attempts",
                )
                .bind(lease.to_owned())
                .bind(until.micros())
                .bind(now.micros()),
            )
            .await?;
        row.map(|row| {
            Ok(Job {
                id: super::parsed(JobId::parse(&row.text("id")?), "jobs")?,
                kind: row.text("kind")?,
                subject: row.text("subject")?,
                due_at: Timestamp::from_micros(row.int("due_at")?),
                attempts: row.int("attempts")? - 1,
            })
        })
        .transpose()
    }

    /// Removes a job that is done, if it was not moved or taken in the meantime.
    pub async fn finish_job(&mut self, id: &JobId, lease: &str) -> Result<(), StoreError> {
        self.run(
            statement("DELETE FROM jobs WHERE id = $1 AND lease = $2")
                .bind(id.as_str().to_owned())
                .bind(lease.to_owned()),
        )
        .await?;
        Ok(())
    }

    /// Puts a job off until `due_at`, if it was not moved or taken in the meantime.
    pub async fn postpone_job(
        &mut self,
        id: &JobId,
        lease: &str,
        due_at: Timestamp,
        error: &str,
    ) -> Result<(), StoreError> {
        self.run(
            statement(
                "UPDATE jobs SET due_at = $3, lease = '', lease_until = 0, last_error = $4 \
                 WHERE id = $1 AND lease = $2",
            )
            .bind(id.as_str().to_owned())
            .bind(lease.to_owned())
            .bind(due_at.micros())
            .bind(error.to_owned()),
        )
        .await?;
        Ok(())
    }

    /// Gives a job up; it stays as a row for a person to see.
    pub async fn fail_job(
        &mut self,
        id: &JobId,
        lease: &str,
        error: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.run(
            statement(
                "UPDATE jobs SET failed_at = $3, lease = '', lease_until = 0, last_error = $4 \
                 WHERE id = $1 AND lease = $2",
            )
            .bind(id.as_str().to_owned())
            .bind(lease.to_owned())
            .bind(now.micros())
            .bind(error.to_owned()),
        )
        .await?;
        Ok(())
    }

    /// Frees the jobs that somebody whose leases begin with `prefix` was working on when they died.
    pub async fn free_leases(&mut self, prefix: &str) -> Result<u64, StoreError> {
        let query = statement("UPDATE jobs SET lease = '', lease_until = 0 WHERE lease LIKE $1")
            .bind(format!("{prefix}%"));
        self.run(query).await
    }

    /// When the next job falls due, if any waits.
    pub async fn next_due(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let row = self
            .one(statement(
                "SELECT MIN(CASE WHEN lease_until > due_at THEN lease_until ELSE due_at END) AS due \
                 FROM jobs WHERE failed_at IS NULL",
            ))
            .await?;
        Ok(row.map(|row| row.maybe_int("due")).transpose()?.flatten().map(Timestamp::from_micros))
    }

    /// How many jobs were given up and wait for a person.
    pub async fn failed_jobs(&mut self) -> Result<i64, StoreError> {
        let row = self
            .one(statement("SELECT COUNT(*) AS n FROM jobs WHERE failed_at IS NOT NULL"))
            .await?;
        row.map_or(Ok(0), |row| row.int("n"))
    }

    /// Registers an idempotency key, or tells what is known of it.
    pub async fn begin_idempotent(
        &mut self,
        person: &str,
        key: &str,
        request_hash: &str,
        now: Timestamp,
    ) -> Result<Idempotent, StoreError> {
        let inserted = self
            .run(
                statement(
                    "INSERT INTO idempotency (person_id, key, request_hash, status, response, \
                     created_at) VALUES ($1, $2, $3, 0, '', $4) ON CONFLICT DO NOTHING",
                )
                .bind(person.to_owned())
                .bind(key.to_owned())
                .bind(request_hash.to_owned())
                .bind(now.micros()),
            )
            .await?;
        if inserted == 1 {
            return Ok(Idempotent::First);
        }
        let row = self
            .one(
                statement(
                    "SELECT request_hash, status, response FROM idempotency \
                     WHERE person_id = $1 AND key = $2",
                )
                .bind(person.to_owned())
                .bind(key.to_owned()),
            )
            .await?
            .ok_or(StoreError::Lost)?;
        Ok(match row.int("status")? {
            _ if row.text("request_hash")? != request_hash => Idempotent::Mismatch,
            0 => Idempotent::InFlight,
            status => Idempotent::Answered(status, row.text("response")?),
        })
    }

    /// Keeps the answer to a request for the next call with the same key.
    pub async fn finish_idempotent(
        &mut self,
        person: &str,
        key: &str,
        status: i64,
        response: &str,
    ) -> Result<(), StoreError> {
        self.run(
            statement(
                "UPDATE idempotency SET status = $3, response = $4 \
                 WHERE person_id = $1 AND key = $2",
            )
            .bind(person.to_owned())
            .bind(key.to_owned())
            .bind(status)
            .bind(response.to_owned()),
        )
        .await?;
        Ok(())
    }

    /// Forgets a key whose request failed, so that it can be tried again.
    pub async fn forget_idempotent(&mut self, person: &str, key: &str) -> Result<(), StoreError> {
        self.run(
            statement("DELETE FROM idempotency WHERE person_id = $1 AND key = $2")
                .bind(person.to_owned())
                .bind(key.to_owned()),
        )
        .await?;
        Ok(())
    }

    /// Forgets keys made before `before`, and unanswered ones made before `stale`: their server
    /// died in between.
    pub async fn sweep_idempotency(
        &mut self,
        before: Timestamp,
        stale: Timestamp,
    ) -> Result<(), StoreError> {
        self.run(
            statement(
                "DELETE FROM idempotency WHERE created_at < $1 OR (status = 0 AND created_at < $2)",
            )
            .bind(before.micros())
            .bind(stale.micros()),
        )
        .await?;
        Ok(())
    }

    /// The next value of a named counter, from 1.
    pub async fn count_up(&mut self, name: &str) -> Result<i64, StoreError> {
        let row = self
            .one(
                statement(
                    "INSERT INTO counters (name, value) VALUES ($1, 1) \
                     ON CONFLICT (name) DO UPDATE SET value = counters.value + 1 RETURNING value",
                )
                .bind(name.to_owned()),
            )
            .await?
            .ok_or(StoreError::Inconsistent { table: "counters", what: "no row" })?;
        row.int("value")
    }
}

fn record(row: &AnyRow) -> Result<Record, StoreError> {
    Ok(Record {
        seq: row.int("seq")?,
        id: row.text("id")?,
        at: Timestamp::from_micros(row.int("at")?),
        kind: row.text("kind")?,
        actor: row.text("actor")?,
        source: row.text("source")?,
        organization: row.text("organization")?,
        partner: row.text("partner")?,
        object: row.text("object")?,
        details: row.text("details")?,
    })
}
