//! QUIC below the carrier: who may connect, moving to another address, and what breaks the rules.

#[expect(dead_code, reason = "each test binary uses a part of the shared harness")]
mod support;

use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use tokio::time::{Instant, timeout};

use medrelay_core::transfer::Urgency;
use medrelay_link::{Carrier, CarrierError, quic};

use support::{Authority, Impairment, Random, header, hello, localhost, read_whole};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_changes_in_mid_transfer_costs_nothing() -> Result<()> {
    let pair = support::quic().await?;
    let (client, _) = pair.quic.as_ref().context("QUIC has endpoints")?;
    let whole = Random(9).bytes(24 << 20);
    let mut stream = pair.gateway.open(&header(1, 1), Urgency::Routine).await?;
    let sent = whole.clone();
    let writer = tokio::spawn(async move {
        for part in sent.chunks(64 * 1024) {
            stream.write(Bytes::copy_from_slice(part)).await?;
        }
        stream.finish().await
    });
    let (_, mut incoming) = pair.relay.accept().await?;
    let before = pair.relay.remote();
    let mut got = Vec::new();
    let mut moves = 0;
    while let Some(bytes) = timeout(Duration::from_secs(20), incoming.read()).await?? {
        got.extend_from_slice(&bytes);
        if got.len() >= (moves + 1) * (6 << 20) && moves < 3 {
            quic::rebind(client)?;
            moves += 1;
        }
    }
    writer.await??;
    assert!(got == whole);
    assert_eq!(moves, 3);
    assert_ne!(pair.relay.remote(), before, "the relay sees the new address");
    Ok(())
}

/// Tries to connect with `tls`; what both ends see.
async fn attempt(
    authority: &Authority,
    tls: rustls::ClientConfig,
) -> Result<(Result<Carrier, CarrierError>, Result<Carrier, CarrierError>)> {
    let server = quic::server(localhost(), authority.server()?)?;
    let client = quic::client(localhost(), tls)?;
    let addr = server.local_addr()?;
    let gateway = async {
        let carrier = quic::connect(&client, addr).await?;
        carrier.send(&hello()).await?;
        // The relay refuses after the gateway's side of the handshake is done.
        match timeout(Duration::from_secs(5), carrier.closed()).await {
            Ok(reason) => Err(reason),
            Err(_) => Ok(carrier),
        }
    };
    let relay = async {
        match quic::Admission::default().next(&server).await {
            Some(attempt) => attempt.accept().await,
            None => Err(CarrierError::Lost("closed".into())),
        }
    };
    Ok(tokio::join!(gateway, relay))
}

#[tokio::test]
async fn a_gateway_without_a_certificate_is_refused() -> Result<()> {
    let authority = Authority::new()?;
    let (gateway, relay) = attempt(&authority, authority.stranger()?).await?;
    assert!(matches!(gateway, Err(CarrierError::Lost(_))), "{gateway:?}");
    assert!(matches!(relay, Err(CarrierError::Lost(_))), "{relay:?}");
    Ok(())
}

#[tokio::test]
async fn a_gateway_of_another_authority_is_refused_and_so_is_another_relay() -> Result<()> {
    let (authority, other) = (Authority::new()?, Authority::new()?);
    let (gateway, relay) = attempt(&authority, other.client()?).await?;
    assert!(matches!(gateway, Err(CarrierError::Lost(_))), "{gateway:?}");
    assert!(relay.is_err());
    Ok(())
}

#[tokio::test]
async fn another_application_protocol_is_refused() -> Result<()> {
    let authority = Authority::new()?;
    let server = quic::server(localhost(), authority.server()?)?;
    let mut tls = authority.client()?;
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(tls)?;
    let mut client = quinn::Endpoint::client(localhost())?;
    client.set_default_client_config(quinn::ClientConfig::new(std::sync::Arc::new(crypto)));
    let addr = server.local_addr()?;
    let (connected, accepted) =
        tokio::join!(async { anyhow::Ok(client.connect(addr, "link.medrelay")?.await?) }, async {
            let incoming = server.accept().await.context("closed")?;
            anyhow::Ok(quic::accept(incoming).await?)
        },);
    assert!(connected.is_err() && accepted.is_err());
    Ok(())
}

#[tokio::test]
async fn strangers_prove_their_address_when_it_gets_crowded() -> Result<()> {
    let authority = Authority::new()?;
    let server = quic::server(localhost(), authority.server()?)?;
    let addr = server.local_addr()?;
    let admission = quic::Admission::new(2);
    let gateway = |tls| async move {
        let client = quic::client(localhost(), tls)?;
        let carrier = quic::connect(&client, addr).await?;
        carrier.send(&hello()).await?;
        anyhow::Ok((client, carrier))
    };
    let first = tokio::spawn(gateway(authority.client()?));
    let early = admission.next(&server).await.context("closed")?;
    assert!(!early.is_proved(), "with room for all, nobody is asked");
    let second = tokio::spawn(gateway(authority.client()?));
    let late = admission.next(&server).await.context("closed")?;
    assert!(late.is_proved(), "half of the places are taken");
    let third = tokio::spawn(gateway(authority.client()?));
    let crowded = admission.clone();
    let waiting = tokio::spawn(async move { crowded.next(&server).await.is_some() });
    let refused = third.await?;
    assert!(refused.is_err(), "there is no third place");
    let (early, late) = tokio::join!(early.accept(), late.accept());
    assert_eq!(early?.receive().await?, Some(hello()));
    assert_eq!(late?.receive().await?, Some(hello()));
    drop((first.await??, second.await??));
    waiting.abort();
    Ok(())
}

/// A gateway's connection without a carrier.
async fn bare() -> Result<(quinn::Connection, quinn::SendStream, Carrier, quinn::Endpoint)> {
    let authority = Authority::new()?;
    let server = quic::server(localhost(), authority.server()?)?;
    let client = quic::client(localhost(), authority.client()?)?;
    let addr = server.local_addr()?;
    let (connected, accepted) = tokio::join!(
        async {
            let connection = client.connect(addr, "link.medrelay")?.await?;
            let (mut control, _) = connection.open_bi().await?;
            control.write_all(&hello().encode()).await?;
            anyhow::Ok((connection, control))
        },
        async {
            let incoming = server.accept().await.context("closed")?;
            anyhow::Ok(quic::accept(incoming).await?)
        },
    );
    let ((connection, control), relay) = (connected?, accepted?);
    assert_eq!(relay.receive().await?, Some(hello()));
    drop(client);
    Ok((connection, control, relay, server))
}

async fn cut_off(connection: quinn::Connection) -> Result<()> {
    let quinn::ConnectionError::ApplicationClosed(close) = connection.closed().await else {
        anyhow::bail!("it ended in another way");
    };
    assert_eq!(close.error_code, quinn::VarInt::from_u32(2));
    Ok(())
}

#[tokio::test]
async fn a_control_frame_over_the_limit_ends_the_connection() -> Result<()> {
    let (connection, mut control, relay, _server) = bare().await?;
    control.write_all(&[0x00, 0x40, 0x00, 0x01, 0x10]).await?;
    assert!(matches!(relay.receive().await, Err(CarrierError::Violation(_))));
    assert!(matches!(relay.closed().await, CarrierError::Violation(_)));
    cut_off(connection).await
}

#[tokio::test]
async fn a_stream_that_begins_with_something_else_ends_the_connection() -> Result<()> {
    for (bytes, finished) in [(&[0x77; 200][..], false), (&[0x01, 0, 0][..], true)] {
        let (connection, _control, relay, _server) = bare().await?;
        let mut stream = connection.open_uni().await?;
        stream.write_all(bytes).await?;
        if finished {
            stream.finish()?;
        }
        assert!(matches!(relay.accept().await, Err(CarrierError::Violation(_))));
        cut_off(connection).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_whose_header_does_not_come_stops_no_other() -> Result<()> {
    let (connection, _control, relay, _server) = bare().await?;
    let mut silent = connection.open_uni().await?;
    silent.write_all(&[0x01]).await?;
    let mut whole = connection.open_uni().await?;
    whole.write_all(&header(4, 2).encode()).await?;
    whole.write_all(b"bytes").await?;
    whole.finish()?;
    let (accepted, mut incoming) = timeout(Duration::from_secs(5), relay.accept()).await??;
    assert_eq!(accepted, header(4, 2));
    assert_eq!(read_whole(&mut incoming).await?, b"bytes");
    Ok(())
}

#[tokio::test]
async fn a_peer_that_vanished_is_given_up_after_30_seconds() -> Result<()> {
    let line = Impairment::of(1 << 30);
    let pair = support::quic_through(Some(&line)).await?;
    line.die();
    // From here on nothing arrives, so time may run as fast as it likes.
    tokio::time::pause();
    let began = Instant::now();
    let (gateway, relay) = tokio::join!(pair.gateway.closed(), pair.relay.closed());
    assert_eq!((gateway, relay), (CarrierError::TimedOut, CarrierError::TimedOut));
    let took = began.elapsed();
    assert!((Duration::from_secs(25)..=Duration::from_secs(62)).contains(&took), "{took:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_was_cut_is_used_again_at_once() -> Result<()> {
    let line = Impairment::of(2 << 20);
    let pair = support::quic_through(Some(&line)).await?;
    let mut stream = pair.gateway.open(&header(1, 1), Urgency::Routine).await?;
    let writer = tokio::spawn(async move {
        loop {
            stream.write(Bytes::from(vec![0; 16 * 1024])).await?;
        }
        #[expect(unreachable_code, reason = "it says what the loop may fail with")]
        anyhow::Ok(())
    });
    let (_, mut incoming) = pair.relay.accept().await?;
    for _ in 0..50 {
        incoming.read().await?;
    }
    line.die();
    // What had arrived is read away; then nothing comes.
    while timeout(Duration::from_secs(3), incoming.read()).await.is_ok() {}
    tokio::time::sleep(Duration::from_secs(5)).await;
    line.revive();
    let began = Instant::now();
    timeout(Duration::from_secs(20), incoming.read()).await??;
    assert!(began.elapsed() < Duration::from_millis(1_200), "after {:?}", began.elapsed());
    writer.abort();
    Ok(())
}
