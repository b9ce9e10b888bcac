//! Sockets to requests: HTTP/1.1 and HTTP/2, plain or TLS, with a bound on everything that a
//! stranger can hold on to.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{HttpSettings, Server};

/// After an error of `accept` (out of file handles), wait instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// ALPN name of a certificate authority's challenge: answered by the handshake itself.
const ACME_PROTOCOL: &[u8] = b"acme-tls/1";
/// Most header fields of a request.
const HEADERS: usize = 100;
/// Most bytes of a request's header fields.
const HEADER_BYTES: u32 = 32 << 10;

impl Server {
    /// Accepts connections until the soft stop; then the open ones finish what they are at.
    pub async fn listen(self, listener: TcpListener, tls: Option<TlsAcceptor>) {
        let slots = Arc::new(Semaphore::new(self.settings.connections));
        let stop = self.lifecycle.soft();
        loop {
            // The slot first: whoever does not fit waits in the kernel's queue.
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let connection = Connection {
                router: self.router.clone(),
                peer,
                settings: self.settings.clone(),
                stop: stop.clone(),
            };
            let tls = tls.clone();
            drop(self.lifecycle.spawn(async move {
                connection.run(stream, tls).await;
                drop(slot);
            }));
        }
    }
}

struct Connection {
    router: Router,
    peer: SocketAddr,
    settings: HttpSettings,
    stop: CancellationToken,
}

impl Connection {
    async fn run(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // Small answers must not wait for an acknowledgement that the other side delays.
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let Some(tls) = tls else { return self.serve(stream).await };
        let shaken = tokio::time::timeout(self.settings.head_time, tls.accept(stream)).await;
        // Scanners and broken clients come all day: not worth a line each.
        let Ok(Ok(mut stream)) = shaken else { return };
        if stream.get_ref().1.alpn_protocol() == Some(ACME_PROTOCOL) {
            let _ = stream.shutdown().await;
            return;
        }
        self.serve(stream).await;
    }

    async fn serve<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { router, peer, settings, stop } = self;
        let begun = Arc::new(AtomicBool::new(false));
        let service = {
            let begun = Arc::clone(&begun);
            hyper::service::service_fn(move |request: Request<Incoming>| {
                begun.store(true, Ordering::Relaxed);
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(ConnectInfo(peer));
                let router = router.clone();
                async move {
                    let response: Result<_, Infallible> = router.oneshot(request).await;
                    response
                }
            })
        };
        let builder = builder(&settings);
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        tokio::pin!(connection);
        // Neither the guess of the protocol nor an HTTP/2 greeting has a time limit of its own.
        let first_request = tokio::time::sleep(settings.head_time);
        tokio::pin!(first_request);
        let (mut waiting, mut stopping) = (true, false);
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection broke off");
                    }
                    return;
                }
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = &mut first_request, if waiting => {
                    waiting = false;
                    if !begun.load(Ordering::Relaxed) {
                        return;
                    }
                }
            }
        }
    }
}

/// The limits of both protocols (those of HTTP/2 are about resets that cost us more than the
/// other side: CVE-2023-44487 and its kin).
fn builder(settings: &HttpSettings) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.head_time)
        .max_headers(HEADERS)
        .max_buf_size(HEADER_BYTES as usize * 2);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.streams)
        .max_header_list_size(HEADER_BYTES)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(100)
        .max_send_buf_size(256 << 10)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}
