//! Signing in and out.

use medrelay_core::people::Role;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::Error;

/// A role that a person holds in an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Identifier of the organization.
    pub organization: String,
    /// As what.
    pub role: Role,
}

/// Somebody's account.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Account {
    /// Its identifier.
    pub id: String,
    /// Account name.
    pub login: String,
    /// Name.
    pub name: String,
    /// Modalities that the person may read; empty means every one.
    pub modalities: Vec<String>,
    /// What the person may do where.
    pub grants: Vec<Grant>,
    /// When the account was closed, if it was; microseconds since 1970 UTC.
    pub disabled_at: Option<i64>,
    /// Grows with every change.
    pub version: i64,
}

/// A signed-in session.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Session {
    /// Its identifier.
    pub id: String,
    /// `browser` or `program`.
    pub kind: String,
    /// Address that it was opened from.
    pub source: String,
    /// When it was opened, microseconds since 1970 UTC.
    pub created_at: i64,
    /// When it ends in any case.
    pub expires_at: i64,
    /// Whether it is the one that asks.
    pub current: bool,
}

#[derive(Deserialize)]
struct SignedIn {
    token: Option<String>,
}

#[derive(Deserialize)]
struct Sessions {
    items: Vec<Session>,
}

impl Client {
    /// Signs in as a program; the client that comes back speaks under the new session.
    ///
    /// # Errors
    /// `BAD_CREDENTIALS`; `SECOND_FACTOR_REQUIRED`; `LOCKED` with the time after which to try again;
    /// see [`Error`].
    pub async fn sign_in(&self, login: &str, password: &str) -> Result<Self, Error> {
        let body = serde_json::json!({ "login": login, "password": password, "kind": "program" });
        self.signed_in(&body).await
    }

    /// As [`Client::sign_in`], for an account with a second factor: with the code of the present
    /// 30 seconds, or a recovery code.
    ///
    /// # Errors
    /// `BAD_CREDENTIALS`; `SECOND_FACTOR_WRONG`, also for a code that was used; `LOCKED` with the
    /// time after which to try again; see [`Error`].
    pub async fn sign_in_with_code(
        &self,
        login: &str,
        password: &str,
        code: &str,
    ) -> Result<Self, Error> {
        let body = serde_json::json!({
            "login": login, "password": password, "code": code, "kind": "program",
        });
        self.signed_in(&body).await
    }

    async fn signed_in(&self, body: &serde_json::Value) -> Result<Self, Error> {
        let signed_in: SignedIn = self.post("/api/v1/sessions", body).await?;
        let token =
            signed_in.token.ok_or_else(|| Error::Answer("no token was given".to_owned()))?;
        Ok(self.with_token(token))
    }

    /// Ends the session; the client is worth nothing after it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn sign_out(self) -> Result<(), Error> {
        self.answer(self.request(Method::DELETE, "/api/v1/sessions/current")?).await.map(drop)
    }

    /// One's own account with the roles that count now.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` when the session is over; see [`Error`].
    pub async fn me(&self) -> Result<Account, Error> {
        self.get("/api/v1/me").await
    }

    /// One's own sessions, oldest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn sessions(&self) -> Result<Vec<Session>, Error> {
        let sessions: Sessions = self.get("/api/v1/sessions").await?;
        Ok(sessions.items)
    }
}
