//! The connection: one request, one answer, one kind of error.

use std::sync::Once;
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Problem};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an answer may stay silent.
const SILENCE: Duration = Duration::from_secs(60);

/// A relay, and as whom we speak to it. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
    key: Option<String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The token is a secret and stays out of logs.
        f.debug_struct("Client").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the relay at `base`, such as `https://relay.example.org:8443`, with the
    /// system's trusted authorities.
    ///
    /// # Errors
    /// [`Error::Call`] when the address cannot be one of a relay.
    pub fn new(base: &str) -> Result<Self, Error> {
        Self::with_roots(base, &[])
    }

    /// The same, trusting these root certificates (PEM) too: a relay that issues its own.
    ///
    /// # Errors
    /// [`Error::Call`] when the address or a certificate cannot be used.
    pub fn with_roots(base: &str, roots: &[&[u8]]) -> Result<Self, Error> {
        install_cryptography();
        let mut builder = reqwest::Client::builder().connect_timeout(CONNECT).read_timeout(SILENCE);
        for root in roots {
            builder = builder.add_root_certificate(Certificate::from_pem(root)?);
        }
        Self::over(base, builder.build()?)
    }

    /// The same over a connection pool that the caller has set up: other time limits, a proxy, an
    /// address to call from.
    ///
    /// # Errors
    /// [`Error::Call`] when the address cannot be one of a relay.
    pub fn over(base: &str, http: reqwest::Client) -> Result<Self, Error> {
        let url = reqwest::Url::parse(base).map_err(|error| Error::Call(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(Error::Call("a relay is at http://… or https://…".to_owned()));
        }
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self { http, base, token: None, key: None })
    }

    /// The same relay under another session's token.
    #[must_use]
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// The same client whose next creating call carries this idempotency key: repeated with the
    /// same key, it is done once. One key names one call.
    #[must_use]
    pub fn with_key(&self, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..self.clone() }
    }

    /// The session's token, if signed in.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The address of the relay, without a slash at its end.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Asks for something.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        json(self.answer(self.request(Method::GET, path)?).await?).await
    }

    /// Asks for something with a query string.
    pub(crate) async fn find<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &impl Serialize,
    ) -> Result<T, Error> {
        let path = format!("{path}{}", query_string(query)?);
        self.get(&path).await
    }

    /// Makes a call with a JSON body and reads the answer as `T`: for calls that have no method of
    /// their own here. `path` starts with `/api/v1/`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        json(self.answer(self.request(method, path)?.json(body)).await?).await
    }

    /// Makes a call with a JSON body whose answer does not matter.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn tell(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<(), Error> {
        self.answer(self.request(method, path)?.json(body)).await.map(drop)
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        self.call(Method::POST, path, body).await
    }

    /// A call without a body.
    pub(crate) async fn act<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        json(self.answer(self.request(Method::POST, path)?).await?).await
    }

    /// The bytes at a path.
    pub(crate) async fn bytes(&self, path: &str) -> Result<Vec<u8>, Error> {
        let answer = self.answer(self.request(Method::GET, path)?).await?;
        Ok(answer.bytes().await?.to_vec())
    }

    /// The answer as it comes, for those who stream it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn open(&self, path: &str) -> Result<Response, Error> {
        self.answer(self.request(Method::GET, path)?).await
    }

    /// A request of this session.
    pub(crate) fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, Error> {
        if !path.starts_with('/') {
            return Err(Error::Call("a path starts with a slash".to_owned()));
        }
        let creates = method == Method::POST;
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let (true, Some(key)) = (creates, &self.key) {
            request = request.header("idempotency-key", key);
        }
        Ok(request)
    }

    /// Sends a request; a refusal becomes an error.
    pub(crate) async fn answer(&self, request: RequestBuilder) -> Result<Response, Error> {
        let answer = request.send().await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        let retry_after = seconds(answer.headers());
        let body = answer.bytes().await?;
        // A proxy in between answers in its own words: the status is what counts then.
        let problem = serde_json::from_slice(&body).unwrap_or_else(|_| Problem {
            status,
            code: "NOT_FROM_RELAY".to_owned(),
            title: String::new(),
            detail: "the answer is not a medrelay's".to_owned(),
            field: None,
            context: None,
            retry_after: None,
        });
        Err(Error::Refused(Box::new(Problem { retry_after, ..problem })))
    }
}

async fn json<T: DeserializeOwned>(answer: Response) -> Result<T, Error> {
    let body = answer.bytes().await?;
    // What serde quotes may be patient data: only the place and the kind of the fault are told.
    serde_json::from_slice(&body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Error::Answer(format!("{:?} at line {line} column {column}", error.classify()))
    })
}

fn seconds(headers: &HeaderMap) -> Option<u64> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()
}

/// `?a=1&b=2` out of a flat struct; fields without a value are left out.
fn query_string(query: &impl Serialize) -> Result<String, Error> {
    let fault = |error: serde_json::Error| Error::Call(error.to_string());
    let serde_json::Value::Object(fields) = serde_json::to_value(query).map_err(fault)? else {
        return Err(Error::Call("a query is a list of fields".to_owned()));
    };
    let pairs: Vec<String> = fields
        .iter()
        .filter_map(|(name, value)| {
            let text = match value {
                serde_json::Value::Null => return None,
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            Some(format!("{name}={}", escaped(&text)))
        })
        .collect();
    Ok(if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) })
}

/// A value as it stands in a query string or a path (RFC 3986 2.3: everything but unreserved
/// characters is escaped).
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// TLS needs a provider of cryptography, chosen once per process; one that the program has chosen
/// itself stays.
pub(crate) fn install_cryptography() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that there is one already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_leaves_out_what_is_not_asked_for() {
        #[derive(Serialize)]
        struct Query<'a> {
            name: Option<&'a str>,
            after: Option<&'a str>,
            limit: i64,
        }
        let query = Query { name: Some("张 &?"), after: None, limit: 3 };
        let text = query_string(&query).expect("a query");
        assert!(text.starts_with('?') && !text.contains("after"));
        assert!(text.contains("limit=3") && text.contains("name=%E5%BC%A0%20%26%3F"), "{text}");
    }

    #[test]
    fn addresses_that_are_no_relay_are_refused() {
        for bad in ["ftp://host", "relay", "http://", "mailto:a@b"] {
            assert!(Client::new(bad).is_err(), "{bad}");
        }
        let client = Client::new("http://127.0.0.1:8080/").expect("an address");
        assert_eq!(client.base(), "http://127.0.0.1:8080");
        let shown = format!("{:?}", client.with_token("secret"));
        assert!(!shown.contains("secret"), "{shown}");
    }
}
