//! Signing in, staying signed in, and being thrown out: through the HTTP interface, with time that
//! passes when told to.

use anyhow::{Context, Result, ensure};
use medrelay::config::Config;
use medrelay_client::{Client, Error};
use medrelay_core::people::Role;
use medrelay_core::time::Span;
use medrelay_tests::clinic::{Consortium, PASSWORD, Place, ROOT};
use medrelay_tests::relay::{Engine, Relay, tell, tell_with};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// The shipped limits of a session, which the harness stretches otherwise.
fn shipped_sessions(config: &mut Config) {
    config.sessions = Config::default().sessions;
}

fn code<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    outcome.expect_err("refused").code().unwrap_or_default().to_owned()
}

fn set_up(token: &str) -> Value {
    json!({
        "token": token, "hospital": Place::Lead.name(), "name": "管理员", "login": ROOT,
        "password": PASSWORD,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_set_up_link_works_once_and_there_is_no_default_password() -> Result<()> {
    tell(Engine::Sqlite, async |relay: &mut Relay| {
        let client = relay.client();
        assert_eq!(relay.count("SELECT COUNT(*) FROM persons").await?, 0, "nobody is there");
        let token = relay.service().ensure_setup_ticket().await?.context("a link")?;
        let made_up = "0".repeat(token.len());
        for wrong in [made_up.as_str(), ""] {
            let refused: Result<Value, Error> =
                client.call(Method::POST, "/api/v1/setup", &set_up(wrong)).await;
            assert_eq!(code(refused), "BAD_TICKET");
        }
        let mut weak = set_up(&token);
        weak["password"] = "administrator".into();
        let refused: Result<Value, Error> = client.call(Method::POST, "/api/v1/setup", &weak).await;
        assert_eq!(code(refused), "VALIDATION", "and the link is not used up by it");

        let body = set_up(&token);
        let (one, two) = tokio::join!(
            client.call::<Value>(Method::POST, "/api/v1/setup", &body),
            client.call::<Value>(Method::POST, "/api/v1/setup", &body),
        );
        let made = [one.is_ok(), two.is_ok()].iter().filter(|ok| **ok).count();
        assert_eq!(made, 1, "one of two at the same moment");
        let third: Result<Value, Error> =
            client.call(Method::POST, "/api/v1/setup", &set_up(&token)).await;
        assert_eq!(code(third), "BAD_TICKET");
        relay.restart().await?;
        ensure!(relay.service().ensure_setup_ticket().await?.is_none(), "no second link");
        relay.client().sign_in(ROOT, PASSWORD).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_up_link_grows_old() -> Result<()> {
    tell(Engine::Sqlite, async |relay: &mut Relay| {
        let token = relay.service().ensure_setup_ticket().await?.context("a link")?;
        relay.advance(Span::from_hours(7 * 24)).await?;
        let late: Result<Value, Error> =
            relay.client().call(Method::POST, "/api/v1/setup", &set_up(&token)).await;
        assert_eq!(code(late), "BAD_TICKET");
        let fresh = relay.service().ensure_setup_ticket().await?.context("a new link")?;
        relay.client().call::<Value>(Method::POST, "/api/v1/setup", &set_up(&fresh)).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_are_kept_as_argon2id_and_tokens_as_hashes() -> Result<()> {
    tell(Engine::Sqlite, async |relay: &mut Relay| {
        let consortium = Consortium::found(relay).await?;
        let stored = relay.text("SELECT password_hash FROM persons").await?;
        assert!(stored.starts_with("$argon2id$v=19$m=65536,t=3,p=1$"), "{stored}");
        let token = consortium.root.token().context("signed in")?;
        let hash = relay.text("SELECT token_hash FROM sessions").await?;
        assert_eq!(hash, medrelay_core::report::sha256_hex(token.as_bytes()));
        assert_eq!(token.len(), 64, "256 bits");
        Ok(())
    })
    .await
}

/// The pool that calls from another address of the loopback network.
fn from_address(relay: &Relay, address: [u8; 4]) -> Result<Client> {
    let http = reqwest::Client::builder().local_address(std::net::IpAddr::from(address)).build()?;
    Ok(Client::over(&relay.url(), http)?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessing_locks_the_account_from_there_and_nobody_else() -> Result<()> {
    tell(Engine::Sqlite, async |relay: &mut Relay| {
        let consortium = Consortium::found(relay).await?;
        let doctor = consortium.person(Place::ClinicA, Role::ClinicDoctor).await?;
        let attacker = from_address(relay, [127, 0, 0, 66])?;
        for _ in 0..5 {
            assert_eq!(code(attacker.sign_in(&doctor.login, "wrong").await), "BAD_CREDENTIALS");
        }
        let locked = attacker.sign_in(&doctor.login, PASSWORD).await.expect_err("locked");
        let problem = locked.problem().context("a problem")?;
        assert_eq!((problem.status, problem.code.as_str()), (429, "LOCKED"));
        ensure!(locked.retry_after().is_some(), "it says when to come again");
        let until = problem.context.clone().context("facts")?["until"].as_i64();
        assert_eq!(until, Some((relay.now() + Span::from_minutes(1)).micros()));
        assert_eq!(code(attacker.sign_in("nobody.here", "wrong").await), "BAD_CREDENTIALS");

        // The same account from elsewhere, another account from there, the session under way.
        relay.client().sign_in(&doctor.login, PASSWORD).await?;
        attacker.sign_in(ROOT, PASSWORD).await?;
        doctor.me().await?;

        relay.pass(Span::from_secs(59));
        assert_eq!(code(attacker.sign_in(&doctor.login, PASSWORD).await), "LOCKED");
        relay.pass(Span::from_secs(1));
        attacker.sign_in(&doctor.login, PASSWORD).await?;
        let told = relay.events().await?;
        for kind in ["sign_in_failed", "sign_in_locked", "signed_in"] {
            ensure!(told.iter().any(|it| it == kind), "no {kind} in {told:?}");
        }
        Ok(())
    })
    .await
}

/// A browser's session: its cookie, its CSRF token, and the bare HTTP client that shows them.
struct Browser {
    http: reqwest::Client,
    base: String,
    set_cookie: String,
    cookie: String,
    csrf: String,
}

impl Browser {
    async fn sign_in(relay: &Relay, login: &str) -> Result<Self> {
        let http = reqwest::Client::new();
        let body = json!({ "login": login, "password": PASSWORD, "kind": "browser" });
        let url = format!("{}/api/v1/sessions", relay.url());
        let answer = http.post(url).json(&body).send().await?;
        assert_eq!(answer.status(), StatusCode::CREATED);
        let set_cookie = answer.headers()["set-cookie"].to_str()?.to_owned();
        let cookie = set_cookie.split(';').next().unwrap_or_default().to_owned();
        let body: Value = answer.json().await?;
        ensure!(body.get("token").is_none(), "a browser's secret is in the cookie only");
        let csrf = body["csrf_token"].as_str().context("a CSRF token")?.to_owned();
        Ok(Self { http, base: relay.url(), set_cookie, cookie, csrf })
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(u16, String)> {
        let url = format!("{}{path}", self.base);
        let mut request = self.http.request(method, url).header("cookie", &self.cookie);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap_or_default();
        Ok((status, body["code"].as_str().unwrap_or_default().to_owned()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_shows_cookie_and_csrf_token() -> Result<()> {
    tell(Engine::Sqlite, async |relay: &mut Relay| {
        Consortium::found(relay).await?;
        let browser = Browser::sign_in(relay, ROOT).await?;
        let flags: Vec<&str> = browser.set_cookie.split("; ").skip(1).collect();
        assert!(browser.cookie.starts_with("__Host-medrelay="));
        for flag in ["Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
            assert!(flags.contains(&flag), "no {flag} in {}", browser.set_cookie);
        }
        assert!(!browser.set_cookie.contains("Domain"), "the prefix forbids one");

        let none: &[(&str, &str)] = &[];
        let shown: &[(&str, &str)] = &[("x-medrelay-csrf", &browser.csrf)];
        let elsewhere: &[(&str, &str)] =
            &[("x-medrelay-csrf", &browser.csrf), ("sec-fetch-site", "cross-site")];
        let path = "/api/v1/sessions/current";
        let refused = (403, "CSRF".to_owned());
        assert_eq!(browser.call(Method::GET, "/api/v1/me", none).await?.0, 200);
        assert_eq!(browser.call(Method::DELETE, path, none).await?, refused);
        let wrong: &[(&str, &str)] = &[("x-medrelay-csrf", "0000")];
        assert_eq!(browser.call(Method::DELETE, path, wrong).await?, refused);
        assert_eq!(browser.call(Method::DELETE, path, elsewhere).await?, refused);

        // Neither kind of secret works in the other's place.
        let secret = browser.cookie.trim_start_matches("__Host-medrelay=").to_owned();
        assert_eq!(code(relay.client().with_token(secret).me().await), "UNAUTHENTICATED");

        assert_eq!(browser.call(Method::DELETE, path, shown).await?.0, 204);
        assert_eq!(browser.call(Method::GET, "/api/v1/me", none).await?.0, 401);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_when_idle_and_when_old() -> Result<()> {
    tell_with(Engine::Sqlite, shipped_sessions, async |relay: &mut Relay| {
        Consortium::found(relay).await?;
        let idle = relay.client().sign_in(ROOT, PASSWORD).await?;
        relay.advance(Span::from_minutes(29)).await?;
        idle.me().await?;
        relay.advance(Span::from_minutes(29)).await?;
        idle.me().await?;
        relay.advance(Span::from_minutes(30)).await?;
        assert_eq!(code(idle.me().await), "UNAUTHENTICATED");

        let busy = relay.client().sign_in(ROOT, PASSWORD).await?;
        for _ in 0..35 {
            relay.advance(Span::from_minutes(20)).await?;
            busy.me().await?;
        }
        relay.advance(Span::from_minutes(20)).await?;
        assert_eq!(code(busy.me().await), "UNAUTHENTICATED", "twelve hours are enough");
        relay.advance(Span::from_hours(2)).await?;
        assert_eq!(relay.count("SELECT COUNT(*) FROM sessions").await?, 0, "and swept away");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_end_with_the_password_and_with_the_account() -> Result<()> {
    tell(Engine::Sqlite, async |relay: &mut Relay| {
        let consortium = Consortium::found(relay).await?;
        let doctor = consortium.person(Place::ClinicA, Role::ClinicDoctor).await?;
        let other = relay.client().sign_in(&doctor.login, PASSWORD).await?;
        assert_eq!(doctor.sessions().await?.len(), 2);

        // One's own change ends the other sessions and gives this one a new secret.
        let change = json!({ "current_password": PASSWORD, "password": "five loud rivers" });
        let signed_in: Value = doctor.call(Method::POST, "/api/v1/me/password", &change).await?;
        assert_eq!(code(other.me().await), "UNAUTHENTICATED");
        assert_eq!(code(doctor.me().await), "UNAUTHENTICATED", "the old secret");
        let renewed = doctor.with_token(signed_in["token"].as_str().context("a token")?);
        renewed.me().await?;
        assert_eq!(code(relay.client().sign_in(&doctor.login, PASSWORD).await), "BAD_CREDENTIALS");

        // An administrator's reset ends them all.
        let path = format!("/api/v1/people/{}/password", doctor.id);
        let reset = json!({ "password": "six loud rivers" });
        consortium.root.tell(Method::POST, &path, &reset).await?;
        assert_eq!(code(renewed.me().await), "UNAUTHENTICATED");
        let again = relay.client().sign_in(&doctor.login, "six loud rivers").await?;

        // So does closing the account, and nobody signs in again.
        let path = format!("/api/v1/people/{}", doctor.id);
        let version: Value = consortium.root.get(&path).await?;
        let close = json!({ "version": version["version"], "disabled": true });
        consortium.root.tell(Method::PATCH, &path, &close).await?;
        assert_eq!(code(again.me().await), "UNAUTHENTICATED");
        let refused = relay.client().sign_in(&doctor.login, "six loud rivers").await;
        assert_eq!(code(refused), "BAD_CREDENTIALS");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_administrator_stays() -> Result<()> {
    tell(Engine::Sqlite, async |relay: &mut Relay| {
        let consortium = Consortium::found(relay).await?;
        let path = format!("/api/v1/people/{}", consortium.root.id);
        let close = json!({ "version": 1, "disabled": true });
        let refused = consortium.root.tell(Method::PATCH, &path, &close).await;
        assert_eq!(code(refused), "STATE_CONFLICT");
        consortium.root.me().await?;
        Ok(())
    })
    .await
}
