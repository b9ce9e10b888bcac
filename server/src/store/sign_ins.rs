//! Failed sign-ins and known addresses: what locks an account without locking a county.

use medrelay_core::time::Timestamp;

use super::{Columns, StoreError, Tx, statement};

/// Failed sign-ins of one account from one address since the last success there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failures {
    /// How many.
    pub failures: i64,
    /// When the last one was.
    pub last_at: Timestamp,
    /// Until when the pair is locked.
    pub locked_until: Timestamp,
}

/// Failed sign-ins counted over a window of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// When the window began.
    pub started_at: Timestamp,
    /// Failures in it.
    pub failures: i64,
}

impl Tx {
    /// The failures of an account from an address; zero if there were none.
    pub async fn sign_in_failures(
        &mut self,
        login: &str,
        source: &str,
    ) -> Result<Failures, StoreError> {
        let row = self
            .one(
                statement(
                    "SELECT failures, last_at, locked_until FROM sign_in_failures \
                     WHERE login = $1 AND source = $2",
                )
                .bind(login.to_owned())
                .bind(source.to_owned()),
            )
            .await?;
        row.map_or(Ok(Failures::default()), |row| {
            Ok(Failures {
                failures: row.int("failures")?,
                last_at: Timestamp::from_micros(row.int("last_at")?),
                locked_until: Timestamp::from_micros(row.int("locked_until")?),
            })
        })
    }

    /// Writes the failures of an account from an address.
    pub async fn save_sign_in_failures(
        &mut self,
        login: &str,
        source: &str,
        failures: Failures,
    ) -> Result<(), StoreError> {
        self.run(
            statement(
                "INSERT INTO sign_in_failures (login, source, failures, last_at, locked_until) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (login, source) DO UPDATE SET \
                 failures = excluded.failures, last_at = excluded.last_at, \
                 locked_until = excluded.locked_until",
            )
            .bind(login.to_owned())
            .bind(source.to_owned())
            .bind(failures.failures)
            .bind(failures.last_at.micros())
            .bind(failures.locked_until.micros()),
        )
        .await?;
        Ok(())
    }

    /// Forgets the failures of an account from an address: it has signed in.
    pub async fn clear_sign_in_failures(
        &mut self,
        login: &str,
        source: &str,
    ) -> Result<(), StoreError> {
        self.run(
            statement("DELETE FROM sign_in_failures WHERE login = $1 AND source = $2")
                .bind(login.to_owned())
                .bind(source.to_owned()),
        )
        .await?;
        Ok(())
    }

    /// The failures counted for a scope in its present window; zero if there were none.
    pub async fn sign_in_window(&mut self, scope: &str) -> Result<Window, StoreError> {
        let row = self
            .one(
                statement("SELECT started_at, failures FROM sign_in_windows WHERE scope = $1")
                    .bind(scope.to_owned()),
            )
            .await?;
        row.map_or(Ok(Window::default()), |row| {
            Ok(Window {
                started_at: Timestamp::from_micros(row.int("started_at")?),
                failures: row.int("failures")?,
            })
        })
    }

    /// Counts one failure for a scope and tells how many its window holds now; a window that began
    /// at or before `stale` begins anew. On PostgreSQL the scope is held until the commit.
    pub async fn count_sign_in_failure(
        &mut self,
        scope: &str,
        stale: Timestamp,
        now: Timestamp,
    ) -> Result<i64, StoreError> {
        let row = self
            .one(
                statement(
                    "INSERT INTO sign_in_windows (scope, started_at, failures) \
                     VALUES ($1, $2, 1) ON CONFLICT (scope) DO UPDATE SET \
                     failures = CASE WHEN sign_in_windows.started_at <= $3 THEN 1 \
                     ELSE sign_in_windows.failures + 1 END, \
                     started_at = CASE WHEN sign_in_windows.started_at <= $3 \
                     THEN excluded.started_at ELSE sign_in_windows.started_at END \
                     RETURNING failures",
                )
                .bind(scope.to_owned())
                .bind(now.micros())
                .bind(stale.micros()),
            )
            .await?
            .ok_or(StoreError::Inconsistent { table: "sign_in_windows", what: "no row" })?;
        row.int("failures")
    }

    /// Whether an account has signed in from an address since `oldest`.
    pub async fn is_known_source(
        &mut self,
        login: &str,
        source: &str,
        oldest: Timestamp,
    ) -> Result<bool, StoreError> {
        let row = self
            .one(
                statement(
                    "SELECT login FROM known_sources \
                     WHERE login = $1 AND source = $2 AND last_at > $3",
                )
                .bind(login.to_owned())
                .bind(source.to_owned())
                .bind(oldest.micros()),
            )
            .await?;
        Ok(row.is_some())
    }

    /// Remembers that an account has signed in from an address.
    pub async fn remember_source(
        &mut self,
        login: &str,
        source: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.run(
            statement(
                "INSERT INTO known_sources (login, source, last_at) VALUES ($1, $2, $3) \
                 ON CONFLICT (login, source) DO UPDATE SET last_at = excluded.last_at",
            )
            .bind(login.to_owned())
            .bind(source.to_owned())
            .bind(now.micros()),
        )
        .await?;
        Ok(())
    }

    /// Forgets failures and windows older than `failures_before` and addresses last seen before
    /// `sources_before`, so that guessing cannot fill the database.
    pub async fn sweep_sign_ins(
        &mut self,
        failures_before: Timestamp,
        sources_before: Timestamp,
    ) -> Result<(), StoreError> {
        for (text, before) in [
            ("DELETE FROM sign_in_failures WHERE last_at < $1", failures_before),
            ("DELETE FROM sign_in_windows WHERE started_at < $1", failures_before),
            ("DELETE FROM known_sources WHERE last_at < $1", sources_before),
        ] {
            self.run(statement(text).bind(before.micros())).await?;
        }
        Ok(())
    }
}
