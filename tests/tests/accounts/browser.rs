//! A browser as the relay sees it: a cookie, a CSRF token, and a page that shows both.

use anyhow::{Context, Result, ensure};
use medrelay::totp;
use medrelay_tests::clinic::PASSWORD;
use medrelay_tests::relay::Relay;
use reqwest::Method;
use serde_json::{Value, json};

/// An answer: its status, its `code` if it is a problem, and its body.
pub struct Answer {
    pub status: u16,
    pub code: String,
    pub body: Value,
}

impl Answer {
    async fn of(response: reqwest::Response) -> Result<Self> {
        let status = response.status().as_u16();
        let body: Value = response.json().await.unwrap_or_default();
        let code = body["code"].as_str().unwrap_or_default().to_owned();
        Ok(Self { status, code, body })
    }

    /// Status and code, for comparing.
    pub fn said(&self) -> (u16, &str) {
        (self.status, self.code.as_str())
    }

    /// Status, code and field of a fault in a form.
    pub fn fault(&self) -> (u16, &str, &str) {
        (self.status, self.code.as_str(), self.body["field"].as_str().unwrap_or_default())
    }

    /// A text of the body.
    pub fn text(&self, name: &str) -> String {
        self.body[name].as_str().unwrap_or_default().to_owned()
    }
}

/// A call without any session.
pub async fn post(relay: &Relay, path: &str, body: &Value) -> Result<Answer> {
    let url = format!("{}{path}", relay.url());
    Answer::of(reqwest::Client::new().post(url).json(body).send().await?).await
}

/// Signs in at a browser; what was answered.
pub async fn try_sign_in(
    relay: &Relay,
    login: &str,
    password: &str,
    code: Option<&str>,
) -> Result<Answer> {
    let mut body = json!({ "login": login, "password": password, "kind": "browser" });
    if let Some(code) = code {
        body["code"] = code.into();
    }
    post(relay, "/api/v1/sessions", &body).await
}

/// A browser with a session.
pub struct Browser {
    http: reqwest::Client,
    base: String,
    pub cookie: String,
    pub csrf: String,
    pub must_enrol: bool,
}

impl Browser {
    /// Signs in with the password of everybody.
    pub async fn sign_in(relay: &Relay, login: &str) -> Result<Self> {
        let body = json!({ "login": login, "password": PASSWORD, "kind": "browser" });
        Self::by(relay, "/api/v1/sessions", &body).await
    }

    /// Makes the call that opens a session.
    pub async fn by(relay: &Relay, path: &str, body: &Value) -> Result<Self> {
        let http = reqwest::Client::new();
        let answer = http.post(format!("{}{path}", relay.url())).json(body).send().await?;
        ensure!(answer.status() == 201, "{path}: {}", answer.text().await?);
        let cookie = answer.headers()["set-cookie"].to_str()?;
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        let body: Value = answer.json().await?;
        let csrf = body["csrf_token"].as_str().context("a CSRF token")?.to_owned();
        let must_enrol = body["must_enrol"].as_bool().context("must_enrol")?;
        Ok(Self { http, base: relay.url(), cookie, csrf, must_enrol })
    }

    /// The same session in a page that knows another token, or none.
    pub fn with_csrf(&self, csrf: &str) -> Self {
        Self {
            http: self.http.clone(),
            base: self.base.clone(),
            cookie: self.cookie.clone(),
            csrf: csrf.to_owned(),
            must_enrol: self.must_enrol,
        }
    }

    /// Asks.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, None, "same-origin").await
    }

    /// Asks as a page of another site would make the browser ask.
    pub async fn get_from_elsewhere(&self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, None, "cross-site").await
    }

    /// Posts.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(Method::POST, path, Some(body), "same-origin").await
    }

    /// Puts, patches, deletes.
    pub async fn call(&self, method: Method, path: &str, body: &Value) -> Result<Answer> {
        self.send(method, path, Some(body), "same-origin").await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        site: &str,
    ) -> Result<Answer> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .header("cookie", &self.cookie)
            .header("x-medrelay-csrf", &self.csrf)
            .header("sec-fetch-site", site);
        if let Some(body) = body {
            request = request.json(body);
        }
        Answer::of(request.send().await?).await
    }

    /// Sets a second factor up; the phone, and the recovery codes.
    pub async fn enrol(&self, relay: &Relay, password: &str) -> Result<(Phone, Vec<String>)> {
        let path = "/api/v1/me/second-factor";
        let proposed = self.post(path, &json!({ "password": password })).await?;
        ensure!(proposed.status == 200, "{}", proposed.body);
        let phone = Phone::scan(&proposed.text("uri"))?;
        ensure!(phone.typed == proposed.text("secret"), "both say the same");
        let path = "/api/v1/me/second-factor/confirm";
        let confirmed = self.post(path, &json!({ "code": phone.code(relay) })).await?;
        ensure!(confirmed.status == 200, "{}", confirmed.body);
        let codes = confirmed.body["recovery_codes"].as_array().context("codes")?;
        let codes = codes.iter().filter_map(|code| code.as_str().map(str::to_owned)).collect();
        Ok((phone, codes))
    }
}

/// A phone with an authenticator app.
pub struct Phone {
    secret: Vec<u8>,
    typed: String,
}

impl Phone {
    /// Reads the QR code.
    fn scan(uri: &str) -> Result<Self> {
        ensure!(uri.starts_with("otpauth://totp/"), "{uri}");
        ensure!(uri.ends_with("&algorithm=SHA1&digits=6&period=30"), "{uri}");
        let typed = uri.split("secret=").nth(1).and_then(|rest| rest.split('&').next());
        let typed = typed.context("a secret")?.to_owned();
        Ok(Self { secret: unbase32(&typed)?, typed })
    }

    /// What it shows now.
    pub fn code(&self, relay: &Relay) -> String {
        totp::code(&self.secret, totp::step_at(relay.now()))
    }

    /// Something that it does not show about now.
    pub fn wrong_code(&self, relay: &Relay) -> String {
        let step = totp::step_at(relay.now());
        let near: Vec<String> =
            (step - 1..=step + 1).map(|step| totp::code(&self.secret, step)).collect();
        let all = ["000000", "111111", "222222", "333333"];
        let other = all.iter().find(|code| !near.iter().any(|shown| shown == *code));
        (*other.unwrap_or(&"444444")).to_owned()
    }
}

/// RFC 4648 6, as an app reads it.
fn unbase32(text: &str) -> Result<Vec<u8>> {
    let mut bits = 0u32;
    let mut held = 0;
    let mut bytes = Vec::new();
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'2'..=b'7' => letter - b'2' + 26,
            _ => anyhow::bail!("not base32: {text}"),
        };
        bits = bits << 5 | u32::from(value);
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff)?);
        }
    }
    Ok(bytes)
}

impl Browser {
    /// Changes the password, which gives the session new secrets.
    pub async fn by_change(relay: &Relay, old: &Self, change: &Value) -> Result<Self> {
        let answer = old
            .http
            .post(format!("{}/api/v1/me/password", relay.url()))
            .header("cookie", &old.cookie)
            .header("x-medrelay-csrf", &old.csrf)
            .json(change)
            .send()
            .await?;
        ensure!(answer.status() == 200, "{}", answer.text().await?);
        let cookie = answer.headers()["set-cookie"].to_str()?;
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        let body: Value = answer.json().await?;
        let csrf = body["csrf_token"].as_str().context("a CSRF token")?;
        Ok(Self { cookie, ..old.with_csrf(csrf) })
    }
}
