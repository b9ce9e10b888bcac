//! The WebSocket below the carrier: what breaks the protocol, what goes silent, and
//! the order in which pieces leave.

#[expect(dead_code, reason = "each test binary uses a part of the shared harness")]
mod support;

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{DuplexStream, duplex};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::Role;

use medrelay_core::transfer::{CloseCode, Urgency};
use medrelay_link::websocket::mux::{Mux, Outbound, Side};
use medrelay_link::websocket::piece::{CREDIT_BYTES, PAYLOAD_BYTES, Piece};
use medrelay_link::{Carrier, CarrierError, Priority, websocket};

use support::{header, hello, localhost, read_whole};

/// A relay's carrier and a bare WebSocket at its other end.
async fn bare() -> (Carrier, WebSocketStream<DuplexStream>) {
    let (near, far) = duplex(1 << 20);
    let relay = websocket::accept(far, localhost()).await;
    (relay, WebSocketStream::from_raw_socket(near, Role::Client, None).await)
}

fn data(channel: u32, payload: &[u8]) -> Frame {
    let payload = Bytes::copy_from_slice(payload);
    Frame::Binary(Piece::Data { channel, last: false, payload }.encode())
}

fn begun(channel: u32) -> Vec<Frame> {
    vec![data(channel, &header(1, 1).encode())]
}

/// Pieces by which each of the rules of PROTOCOL 1 is broken.
fn offences() -> Vec<(&'static str, Vec<Frame>)> {
    let raw = |bytes: &[u8]| Frame::Binary(Bytes::copy_from_slice(bytes));
    let full = vec![0; PAYLOAD_BYTES];
    let overrun = (0..=CREDIT_BYTES as usize / PAYLOAD_BYTES).map(|_| data(1, &full)).collect();
    let after_last = [
        begun(1),
        vec![
            Frame::Binary(Piece::Data { channel: 1, last: true, payload: Bytes::new() }.encode()),
            data(1, b"more"),
        ],
    ];
    let crowd = (0..40).flat_map(|n| begun(2 * n + 1)).collect();
    vec![
        ("no header", vec![raw(&[0, 0])]),
        ("flags that do not go together", vec![raw(&[0, 0, 0, 1, 3])]),
        ("an unknown flag", vec![raw(&[0, 0, 0, 1, 0x40])]),
        ("a short number", vec![raw(&[0, 0, 0, 1, 2, 0])]),
        ("text", vec![Frame::Text("hello".into())]),
        ("a piece too long", vec![data(1, &vec![0; PAYLOAD_BYTES + 1])]),
        ("a frame too long", vec![data(0, &[0x00, 0x50, 0, 0, 1])]),
        ("no frame", vec![data(0, &[0, 0, 0, 3, 0x7e, 0, 0])]),
        ("the end of the control channel", vec![raw(&[0, 0, 0, 0, 1])]),
        ("credit for the control channel", vec![raw(&[0, 0, 0, 0, 8, 0, 0, 0, 1])]),
        ("a number out of order", begun(3)),
        ("the relay's number", begun(2)),
        ("credit for a channel never opened", vec![raw(&[0, 0, 0, 2, 8, 0, 0, 0, 1])]),
        ("a channel never opened is not wanted", vec![raw(&[0, 0, 0, 2, 4, 0, 0, 0, 1])]),
        (
            "credit for the sender's own channel",
            [begun(1), vec![raw(&[0, 0, 0, 1, 8, 0, 0, 0, 1])]].concat(),
        ),
        ("more than was granted", overrun),
        ("more after the last", after_last.concat()),
        ("no header of a stream", vec![data(1, &[0x77; 200])]),
        ("too many channels", crowd),
    ]
}

#[tokio::test]
async fn who_breaks_a_rule_is_cut_off_and_nobody_else() -> Result<()> {
    let bystander = support::pipe().await?;
    for (what, pieces) in offences() {
        let (relay, mut peer) = bare().await;
        for piece in pieces {
            // It may be cut off before the last one.
            drop(peer.send(piece).await);
        }
        let patience = Duration::from_secs(5);
        let reader = async {
            loop {
                tokio::select! {
                    received = relay.receive() => if received.is_err() { break },
                    // What overruns its credit must not be read meanwhile.
                    accepted = relay.accept(), if what.contains("header") => {
                        if accepted.is_err() { break }
                    }
                }
            }
        };
        timeout(patience, reader).await.with_context(|| what.to_owned())?;
        let end = timeout(patience, relay.closed()).await?;
        assert!(matches!(end, CarrierError::Violation(_)), "{what}: {end}");
        let told = timeout(patience, async {
            while let Some(Ok(frame)) = peer.next().await {
                if let Frame::Close(Some(close)) = frame {
                    return Some(u16::from(close.code));
                }
            }
            None
        });
        assert_eq!(told.await?, Some(4000 + CloseCode::Violation as u16), "{what}");
    }
    bystander.gateway.send(&hello()).await?;
    assert_eq!(bystander.relay.receive().await?, Some(hello()));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_vanished_is_given_up_after_45_seconds() -> Result<()> {
    let line = support::Impairment::of(1 << 30);
    let (near, far) = line.pipe();
    let pair = support::websocket_over(near, far).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    line.die();
    let began = Instant::now();
    let (gateway, relay) = tokio::join!(pair.gateway.closed(), pair.relay.closed());
    assert_eq!((gateway, relay), (CarrierError::TimedOut, CarrierError::TimedOut));
    let took = began.elapsed();
    assert!((Duration::from_secs(38)..=Duration::from_secs(46)).contains(&took), "{took:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_kept_by_pings() -> Result<()> {
    let pair = support::pipe().await?;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    pair.gateway.send(&hello()).await?;
    assert_eq!(pair.relay.receive().await?, Some(hello()));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_sleeps_for_an_hour_is_not_silence() -> Result<()> {
    let pair = support::pipe().await?;
    // More than fits: the relay stops reading its socket.
    let gateway = pair.gateway.clone();
    let sender = tokio::spawn(async move {
        for _ in 0..400_000 {
            gateway.send(&hello()).await?;
        }
        anyhow::Ok(())
    });
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert!(!sender.is_finished(), "what waits is bounded");
    for _ in 0..400_000 {
        assert_eq!(pair.relay.receive().await?, Some(hello()));
    }
    sender.await?
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_cannot_be_closed_in_good_order_ends_all_the_same() -> Result<()> {
    let (near, far) = duplex(1024);
    let relay = websocket::accept(far, localhost()).await;
    for _ in 0..100 {
        relay.send(&hello()).await?;
    }
    let began = Instant::now();
    relay.close(CloseCode::Stopping, "");
    let end = relay.closed().await;
    assert!(matches!(end, CarrierError::Lost(_)), "{end}");
    assert!(began.elapsed() <= Duration::from_secs(3));
    drop(near);
    Ok(())
}

#[tokio::test]
async fn a_server_that_does_not_speak_the_subprotocol_is_refused() -> Result<()> {
    let (near, mut far) = duplex(64 * 1024);
    let server = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(far.read_u8().await?);
        }
        far.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await?;
        anyhow::Ok(far)
    });
    let refused = websocket::connect(near, "link.medrelay", localhost()).await;
    assert!(matches!(refused, Err(CarrierError::Lost(_))), "{refused:?}");
    drop(server.await??);
    Ok(())
}

/// Everything that is known to a bare mux is polled with this.
fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn next_piece(mux: &mut Mux) -> Option<Piece> {
    match mux.poll_next(&context()) {
        Poll::Ready(Outbound::Message(bytes)) => Piece::decode(bytes).ok(),
        _ => None,
    }
}

#[test]
fn numbers_are_given_in_the_order_of_sending() -> Result<()> {
    let mut mux = Mux::new(Side::Relay);
    let open = |mux: &mut Mux, urgency| match mux.poll_open(&context(), &Priority::new(urgency)) {
        Poll::Ready(Ok(key)) => Ok(key),
        other => anyhow::bail!("{other:?}"),
    };
    let routine = open(&mut mux, Urgency::Routine)?;
    let never = open(&mut mux, Urgency::Routine)?;
    let stat = open(&mut mux, Urgency::Stat)?;
    for key in [routine, never, stat] {
        let written = mux.poll_write(&context(), key, &Bytes::from(vec![0; 20_000]));
        assert_eq!(written, Poll::Ready(Ok(())));
    }
    mux.release_own(never, 0);
    mux.finish(stat);
    let mut order = Vec::new();
    while let Some(Piece::Data { channel, last, payload }) = next_piece(&mut mux) {
        order.push((channel, last, payload.len()));
    }
    assert_eq!(
        order,
        [(2, false, 16_384), (2, true, 3_616), (4, false, 16_384), (4, false, 3_616)],
        "the urgent one first, under the first number; the one given up before it began not at all"
    );
    assert_eq!(mux.poll_finished(&context(), stat), Poll::Ready(Ok(())));
    mux.release_own(routine, 9);
    assert_eq!(next_piece(&mut mux), Some(Piece::GivenUp { channel: 4, code: 9 }));
    assert_eq!(next_piece(&mut mux), None);
    Ok(())
}

#[test]
fn control_and_credit_go_before_any_stream() -> Result<()> {
    let mut mux = Mux::new(Side::Gateway);
    let Poll::Ready(Ok(key)) = mux.poll_open(&context(), &Priority::new(Urgency::Stat)) else {
        anyhow::bail!("no place");
    };
    drop(mux.poll_write(&context(), key, &Bytes::from(vec![1; 100])));
    for _ in 0..4 {
        mux.take(
            Piece::Data { channel: 2, last: false, payload: Bytes::from(vec![0; 16_384]) }.encode(),
        )?;
    }
    for _ in 0..4 {
        assert!(matches!(mux.poll_read(&context(), 2), Poll::Ready(Ok(Some(_)))));
    }
    drop(mux.poll_send(&context(), &Bytes::from_static(b"frame")));
    let kinds: Vec<u32> = std::iter::from_fn(|| next_piece(&mut mux))
        .map(|piece| match piece {
            Piece::Data { channel, .. } => channel,
            Piece::Credit { channel: 2, more: 65_536 } => 1000,
            _ => u32::MAX,
        })
        .collect();
    assert_eq!(kinds, [0, 1000, 1]);
    Ok(())
}

#[tokio::test]
async fn a_stream_of_single_bytes_arrives_whole() -> Result<()> {
    let (relay, mut peer) = bare().await;
    let pieces = tokio::spawn(async move {
        peer.send(data(1, &header(1, 1).encode())).await?;
        for n in 0..5_000_u32 {
            peer.feed(data(1, &[n as u8])).await?;
        }
        peer.send(Frame::Binary(
            Piece::Data { channel: 1, last: true, payload: Bytes::new() }.encode(),
        ))
        .await?;
        anyhow::Ok(peer)
    });
    let (_, mut incoming) = relay.accept().await?;
    let whole = read_whole(&mut incoming).await?;
    let expected: Vec<u8> = (0..5_000_u32).map(|n| n as u8).collect();
    assert!(whole == expected);
    drop(pieces.await??);
    Ok(())
}
