//! What can go wrong, with the decision in it: try again, or do something else.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The relay's word for a refusal: problem details (RFC 9457) with a stable code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// Stable name of the fault; branch on this.
    pub code: String,
    /// Short text that belongs to the status.
    #[serde(default)]
    pub title: String,
    /// What is wrong and what to do, for people.
    #[serde(default)]
    pub detail: String,
    /// Which field, for `VALIDATION`.
    #[serde(default)]
    pub field: Option<String>,
    /// Facts that belong to the fault: the current stage, who holds the case, times.
    #[serde(default)]
    pub context: Option<serde_json::Value>,
    /// Seconds after which trying again makes sense, from the header `Retry-After`.
    #[serde(skip)]
    pub retry_after: Option<u64>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.code, self.detail)
    }
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The relay refuses.
    #[error("{0}")]
    Refused(Box<Problem>),
    /// The relay cannot be reached, or the connection broke: try again. Whether the call was done
    /// is not known; repeat it with the same idempotency key.
    #[error("the relay cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// The answer is not what this version of the client understands.
    #[error("the answer is not understood: {0}")]
    Answer(String),
    /// The address, a token or a path cannot be used: mend the call.
    #[error("the call cannot be made: {0}")]
    Call(String),
}

impl Error {
    /// The refusal, if it is one.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            Self::Unreachable(_) | Self::Answer(_) | Self::Call(_) => None,
        }
    }

    /// The stable code of the refusal, if it is one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.problem().map(|problem| problem.code.as_str())
    }

    /// After which time the same call may succeed without anybody changing anything; `None` when
    /// trying again is useless.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unreachable(_) => Some(Duration::from_secs(1)),
            Self::Refused(problem) => match (problem.retry_after, problem.status) {
                (Some(seconds), _) => Some(Duration::from_secs(seconds)),
                (None, 503 | 507) => Some(Duration::from_secs(5)),
                (None, _) => None,
            },
            Self::Answer(_) | Self::Call(_) => None,
        }
    }
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        // The address may hold identifiers; the error says enough without it.
        let error = error.without_url();
        if error.is_builder() {
            Self::Call(error.to_string())
        } else if error.is_decode() {
            Self::Answer(error.to_string())
        } else {
            Self::Unreachable(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(status: u16, retry_after: Option<u64>) -> Error {
        let text = format!(r#"{{"status":{status},"code":"X","title":"T","detail":"d"}}"#);
        let read: Problem = serde_json::from_str(&text).expect("a problem");
        Error::Refused(Box::new(Problem { retry_after, ..read }))
    }

    #[test]
    fn an_error_carries_its_decision() {
        assert_eq!(problem(409, None).retry_after(), None);
        assert_eq!(problem(507, None).retry_after(), Some(Duration::from_secs(5)));
        assert_eq!(problem(429, Some(60)).retry_after(), Some(Duration::from_secs(60)));
        assert_eq!(Error::Answer("no JSON".to_owned()).retry_after(), None);
    }

    #[test]
    fn a_problem_reads_with_and_without_its_facts() {
        let text = r#"{"status":409,"code":"ALREADY_CLAIMED","title":"Conflict","detail":"d",
                       "context":{"holder":"x"},"later":"fields are ignored"}"#;
        let problem: Problem = serde_json::from_str(text).expect("a problem");
        assert_eq!(problem.context.expect("facts")["holder"], "x");
        assert_eq!(problem.field, None);
    }
}
