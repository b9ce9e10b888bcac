//! A technician's browser in this process: a session by cookie, and the link by that session.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use medrelay_core::time::Timestamp;
use medrelay_core::transfer::{Manifest, SUBPROTOCOL};
use medrelay_dicom::phantom::PhantomInstance;
use medrelay_link::{Carrier, websocket};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::clinic::{PASSWORD, Person};
use crate::gateway::{Line, Parcel, announced, packed};
use crate::relay::Relay;

/// A WebSocket as a browser has it.
pub type Socket = WebSocketStream<TcpStream>;

/// How a request for the link differs from that of an honest page.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Another `Origin`; empty for none at all.
    pub origin: Option<String>,
    /// For which clinic.
    pub clinic: Option<String>,
    /// Another cookie; empty for none at all.
    pub cookie: Option<String>,
}

/// A browser in which somebody is signed in.
pub struct Browser {
    /// Whose it is, as the protocol calls them.
    pub name: String,
    /// Identifier of the session.
    pub session: String,
    /// What changing calls show.
    pub csrf: String,
    cookie: String,
    now: Timestamp,
}

impl Browser {
    /// Signs somebody in.
    pub async fn sign_in(relay: &Relay, person: &Person) -> Result<Self> {
        let body = json!({ "login": person.login, "password": PASSWORD, "kind": "browser" });
        let http = reqwest::Client::new();
        let url = format!("{}/api/v1/sessions", relay.url());
        let answer = http.post(url).json(&body).send().await?.error_for_status()?;
        let set = answer.headers().get("set-cookie").context("a cookie")?.to_str()?;
        let cookie = set.split(';').next().unwrap_or_default().to_owned();
        let body: Value = answer.json().await?;
        let text = |at: &str| body.pointer(at).and_then(Value::as_str).unwrap_or_default();
        Ok(Self {
            name: format!("person:{}", person.id),
            session: text("/session/id").to_owned(),
            csrf: text("/csrf_token").to_owned(),
            cookie,
            now: relay.now(),
        })
    }

    /// Asks for the link: a WebSocket, or the status that the relay answers instead.
    pub async fn knock(
        &self,
        relay: &Relay,
        request: &Request,
    ) -> Result<std::result::Result<(Socket, SocketAddr), StatusCode>> {
        let base = relay.url();
        let host = base.trim_start_matches("http://").to_owned();
        let address: SocketAddr = host.parse()?;
        let query = request.clinic.as_ref().map(|id| format!("?clinic={id}")).unwrap_or_default();
        let mut asked = format!("ws://{host}/link{query}").into_client_request()?;
        let headers = asked.headers_mut();
        let value = |text: &str| HeaderValue::from_str(text);
        headers.insert("sec-websocket-protocol", value(SUBPROTOCOL)?);
        let origin = request.origin.clone().unwrap_or(base);
        let cookie = request.cookie.clone().unwrap_or_else(|| self.cookie.clone());
        for (name, text) in [("origin", origin), ("cookie", cookie)] {
            if !text.is_empty() {
                headers.insert(name, value(&text)?);
            }
        }
        let stream = TcpStream::connect(address).await?;
        match client_async_with_config(asked, stream, Some(websocket::config())).await {
            Ok((socket, _)) => Ok(Ok((socket, address))),
            Err(Error::Http(answer)) => Ok(Err(StatusCode::from_u16(answer.status().as_u16())?)),
            Err(error) => bail!("no answer to the upgrade: {error}"),
        }
    }

    /// Connects without a word.
    pub async fn carrier(&self, relay: &Relay, clinic: Option<&str>) -> Result<Carrier> {
        let request = Request { clinic: clinic.map(str::to_owned), ..Request::default() };
        match self.knock(relay, &request).await? {
            Ok((socket, address)) => Ok(websocket::over(socket, websocket::Side::Gateway, address)),
            Err(status) => bail!("the link was refused with {status}"),
        }
    }

    /// Connects and greets.
    pub async fn connect(&self, relay: &Relay) -> Result<Line> {
        Line::greet(self.carrier(relay, None).await?, None).await
    }

    /// Packs and announces instances for a clinic.
    pub fn parcel(&self, clinic: &str, instances: &[PhantomInstance]) -> Result<Parcel> {
        let manifest = announced(instances, clinic, &self.name, self.now)?;
        Self::unsigned(manifest, instances)
    }

    /// Announces whatever a manifest says.
    pub fn unsigned(manifest: Manifest, instances: &[PhantomInstance]) -> Result<Parcel> {
        let packs = instances.iter().map(|instance| packed(&instance.data_set));
        Ok(Parcel {
            raw: manifest.encode(),
            manifest,
            signature: Vec::new(),
            packs: Arc::new(packs.collect::<Result<_>>()?),
        })
    }
}
