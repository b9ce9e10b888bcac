//! What a carrier promises, over QUIC and over WebSockets alike.

#[expect(dead_code, reason = "each test binary uses a part of the shared harness")]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use tokio::time::{Instant, timeout};

use medrelay_core::transfer::{CloseCode, Message, StreamHeader, Urgency};
use medrelay_link::{CarrierError, Kind, StreamError};

use support::{Impairment, Pair, Random, header, hello, read_whole};

/// Every story is told over QUIC, over a WebSocket in memory, and over one on TCP.
macro_rules! over_every_carrier {
    ($($story:ident),+ $(,)?) => {
        mod quic { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() -> anyhow::Result<()> { super::$story(super::support::quic().await?).await })+ }
        mod pipe { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() -> anyhow::Result<()> { super::$story(super::support::pipe().await?).await })+ }
        mod tcp { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() -> anyhow::Result<()> { super::$story(super::support::tcp().await?).await })+ }
    };
}

over_every_carrier!(
    control_goes_both_ways_and_in_order,
    a_control_frame_of_four_mebibytes_passes,
    a_hundred_streams_arrive_as_they_were,
    streams_go_from_the_relay_too,
    a_slow_reader_stops_its_own_stream_only,
    a_stream_given_up_is_not_taken_for_whole,
    a_stream_not_wanted_stops_with_its_code,
    an_empty_stream_is_a_stream,
    closing_says_why,
    dropping_the_last_handle_is_an_orderly_end,
    what_was_sent_before_the_end_is_received,
    more_streams_than_places_wait_for_a_place,
    a_read_given_up_loses_nothing,
);

async fn control_goes_both_ways_and_in_order(pair: Pair) -> Result<()> {
    let (gateway, relay) = (&pair.gateway, &pair.relay);
    let sending = async {
        for study in 0..500 {
            gateway.send(&Message::Withdraw { study }).await?;
            relay.send(&Message::Measure { bytes: study }).await?;
        }
        anyhow::Ok(())
    };
    let receiving = async {
        for study in 0..500 {
            assert_eq!(relay.receive().await?, Some(Message::Withdraw { study }));
            assert_eq!(gateway.receive().await?, Some(Message::Measure { bytes: study }));
        }
        anyhow::Ok(())
    };
    tokio::try_join!(sending, receiving)?;
    assert_eq!(gateway.kind(), relay.kind());
    assert_eq!(relay.peer_certificate().is_some(), relay.kind() == Kind::Quic);
    let stats = gateway.stats();
    assert!(stats.sent_bytes > 500 * 9 && stats.received_bytes > 500 * 9, "{stats:?}");
    Ok(())
}

async fn a_control_frame_of_four_mebibytes_passes(pair: Pair) -> Result<()> {
    let offer = Message::Offer {
        study: 1,
        manifest: Random(5).bytes((4 << 20) - 100).to_vec(),
        signature: vec![1; 70],
    };
    let (sent, received) = tokio::join!(pair.gateway.send(&offer), pair.relay.receive());
    sent?;
    assert!(received? == Some(offer));
    Ok(())
}

async fn a_hundred_streams_arrive_as_they_were(pair: Pair) -> Result<()> {
    let sizes: Vec<u64> = {
        let mut random = Random(11);
        (0..100).map(|n| if n % 10 == 0 { n } else { random.below(400_000) }).collect()
    };
    let gateway = pair.gateway.clone();
    let sender = tokio::spawn(async move {
        let mut finishing = tokio::task::JoinSet::new();
        for (index, size) in sizes.into_iter().enumerate() {
            let urgency = [Urgency::Routine, Urgency::Urgent, Urgency::Stat][index % 3];
            let index = u32::try_from(index)?;
            let mut stream = gateway.open(&header(1, index), urgency).await?;
            finishing.spawn(async move {
                let mut random = Random(u64::from(index) + 1);
                let whole = random.bytes(usize::try_from(size)?);
                let mut rest = whole;
                while !rest.is_empty() {
                    let part = random.below(70_000) as usize + 1;
                    stream.write(rest.split_to(part.min(rest.len()))).await?;
                }
                stream.finish().await?;
                anyhow::Ok(())
            });
        }
        while let Some(done) = finishing.join_next().await {
            done??;
        }
        anyhow::Ok(())
    });
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (header, mut stream) = pair.relay.accept().await?;
        readers.spawn(async move {
            let StreamHeader::Instance { index, .. } = header else {
                anyhow::bail!("another header: {header:?}");
            };
            let whole = read_whole(&mut stream).await?;
            let mut random = Random(u64::from(index) + 1);
            assert!(random.bytes(whole.len()) == whole, "stream {index} is changed");
            Ok((index, whole.len() as u64))
        });
    }
    sender.await??;
    let mut got = Vec::new();
    while let Some(read) = readers.join_next().await {
        got.push(read??);
    }
    got.sort_unstable();
    let mut random = Random(11);
    let expected: Vec<(u32, u64)> = (0..100)
        .map(|n: u32| (n, if n.is_multiple_of(10) { u64::from(n) } else { random.below(400_000) }))
        .collect();
    assert_eq!(got, expected);
    Ok(())
}

async fn streams_go_from_the_relay_too(pair: Pair) -> Result<()> {
    let sent =
        StreamHeader::Attachment { item: "01900000-0000-7000-8000-000000000001".into(), offset: 3 };
    let mut stream = pair.relay.open(&sent, Urgency::Urgent).await?;
    stream.write(Bytes::from_static(b"%PDF-2.0")).await?;
    let (header, mut incoming) = pair.gateway.accept().await?;
    let (finished, whole) = tokio::join!(stream.finish(), read_whole(&mut incoming));
    finished?;
    assert_eq!(header, sent);
    assert_eq!(whole?, b"%PDF-2.0");
    Ok(())
}

async fn a_slow_reader_stops_its_own_stream_only(pair: Pair) -> Result<()> {
    const WHOLE: usize = 8 << 20;
    let taken = Arc::new(AtomicU64::new(0));
    let mut stuck = pair.gateway.open(&header(1, 0), Urgency::Stat).await?;
    let counter = Arc::clone(&taken);
    let stuck = tokio::spawn(async move {
        let part = Bytes::from(vec![1; 16 * 1024]);
        for _ in 0..WHOLE / part.len() {
            stuck.write(part.clone()).await?;
            counter.fetch_add(part.len() as u64, Ordering::SeqCst);
        }
        stuck.finish().await
    });
    let (_, mut unread) = pair.relay.accept().await?;
    for index in 1..4 {
        let mut stream = pair.gateway.open(&header(1, index), Urgency::Routine).await?;
        let writer = tokio::spawn(async move {
            for _ in 0..64 {
                stream.write(Bytes::from(vec![2; 64 * 1024])).await?;
            }
            stream.finish().await
        });
        let (_, mut read) = pair.relay.accept().await?;
        assert_eq!(read_whole(&mut read).await?.len(), 4 << 20);
        writer.await??;
    }
    // Its window (QUIC: 2 MiB, WebSocket: 256 KiB) and what its sender may queue.
    let limit = match pair.gateway.kind() {
        Kind::Quic => (2 << 20) + 64 * 1024,
        Kind::WebSocket => 256 * 1024 + 128 * 1024,
    };
    assert!(taken.load(Ordering::SeqCst) <= limit, "the sender took {taken:?}");
    assert!(!stuck.is_finished());
    pair.gateway.send(&hello()).await?;
    assert_eq!(pair.relay.receive().await?, Some(hello()), "control is not stopped");
    assert_eq!(read_whole(&mut unread).await?.len(), WHOLE);
    stuck.await??;
    Ok(())
}

async fn a_stream_given_up_is_not_taken_for_whole(pair: Pair) -> Result<()> {
    for dropped in [false, true] {
        let mut stream = pair.gateway.open(&header(1, 1), Urgency::Routine).await?;
        stream.write(Bytes::from_static(b"some of it")).await?;
        let (_, mut incoming) = pair.relay.accept().await?;
        if dropped {
            drop(stream);
        } else {
            stream.abandon();
        }
        let read = timeout(Duration::from_secs(10), read_whole(&mut incoming)).await?;
        assert_eq!(read, Err(StreamError::Abandoned { code: 0 }));
    }
    pair.gateway.send(&hello()).await?;
    assert_eq!(pair.relay.receive().await?, Some(hello()));
    Ok(())
}

async fn a_stream_not_wanted_stops_with_its_code(pair: Pair) -> Result<()> {
    for code in [0, 3, 255] {
        let mut stream = pair.gateway.open(&header(1, 1), Urgency::Routine).await?;
        let (_, incoming) = pair.relay.accept().await?;
        incoming.stop(code);
        let stopped = timeout(Duration::from_secs(10), async {
            loop {
                if let Err(error) = stream.write(Bytes::from(vec![0; 16 * 1024])).await {
                    return error;
                }
            }
        });
        assert_eq!(stopped.await?, StreamError::Stopped { code });
        let mut stream = pair.gateway.open(&header(1, 2), Urgency::Routine).await?;
        stream.write(Bytes::from(vec![0; 16 * 1024])).await?;
        let (_, incoming) = pair.relay.accept().await?;
        drop(incoming);
        let stopped = timeout(Duration::from_secs(10), async {
            loop {
                if let Err(error) = stream.write(Bytes::from(vec![0; 16 * 1024])).await {
                    return error;
                }
            }
        });
        assert_eq!(stopped.await?, StreamError::Stopped { code: 0 });
    }
    pair.gateway.send(&hello()).await?;
    assert_eq!(pair.relay.receive().await?, Some(hello()));
    Ok(())
}

async fn an_empty_stream_is_a_stream(pair: Pair) -> Result<()> {
    let stream = pair.gateway.open(&StreamHeader::Measure, Urgency::Routine).await?;
    stream.finish().await?;
    let (header, mut incoming) = pair.relay.accept().await?;
    assert_eq!(header, StreamHeader::Measure);
    assert_eq!(incoming.read().await?, None);
    Ok(())
}

async fn closing_says_why(pair: Pair) -> Result<()> {
    let mut stream = pair.gateway.open(&header(1, 1), Urgency::Routine).await?;
    let (_, mut incoming) = pair.relay.accept().await?;
    pair.relay.close(CloseCode::Revoked, "the gateway was revoked");
    let why = CarrierError::Closed { code: Some(3), detail: "the gateway was revoked".into() };
    let patience = Duration::from_secs(10);
    assert_eq!(timeout(patience, pair.gateway.closed()).await?, why);
    assert_eq!(timeout(patience, pair.relay.closed()).await?, why);
    assert_eq!(pair.gateway.receive().await, Err(why.clone()));
    assert_eq!(pair.gateway.send(&hello()).await, Err(why.clone()));
    assert_eq!(pair.gateway.accept().await.err(), Some(why.clone()));
    assert_eq!(pair.gateway.open(&header(1, 2), Urgency::Stat).await.err(), Some(why.clone()));
    let over = StreamError::Connection(why);
    assert_eq!(stream.write(Bytes::from_static(b"x")).await, Err(over.clone()));
    assert_eq!(incoming.read().await, Err(over));
    Ok(())
}

async fn dropping_the_last_handle_is_an_orderly_end(pair: Pair) -> Result<()> {
    let Pair { gateway, relay, quic } = pair;
    let stream = gateway.open(&header(1, 1), Urgency::Routine).await?;
    drop(gateway);
    let (_, incoming) = relay.accept().await?;
    assert!(timeout(Duration::from_millis(50), relay.closed()).await.is_err(), "a stream holds it");
    drop(stream);
    assert_eq!(timeout(Duration::from_secs(10), relay.receive()).await?, Ok(None));
    assert!(timeout(Duration::from_secs(10), relay.closed()).await?.is_orderly());
    drop((incoming, quic));
    Ok(())
}

async fn what_was_sent_before_the_end_is_received(pair: Pair) -> Result<()> {
    for study in 0..200 {
        pair.relay.send(&Message::Withdraw { study }).await?;
    }
    pair.relay.close(CloseCode::Stopping, "");
    for study in 0..200 {
        assert_eq!(pair.gateway.receive().await?, Some(Message::Withdraw { study }));
    }
    let end = timeout(Duration::from_secs(10), pair.gateway.receive()).await?;
    assert_eq!(end, Err(CarrierError::Closed { code: Some(5), detail: String::new() }));
    Ok(())
}

async fn more_streams_than_places_wait_for_a_place(pair: Pair) -> Result<()> {
    let mut open = Vec::new();
    for index in 0..24 {
        open.push(pair.gateway.open(&header(1, index), Urgency::Routine).await?);
    }
    let waiting = header(1, 99);
    let mut next = Box::pin(pair.gateway.open(&waiting, Urgency::Stat));
    assert!(timeout(Duration::from_millis(100), &mut next).await.is_err());
    let relay = pair.relay.clone();
    let reading = tokio::spawn(async move {
        let mut readers = tokio::task::JoinSet::new();
        for _ in 0..25 {
            let (_, mut stream) = relay.accept().await?;
            readers.spawn(async move { read_whole(&mut stream).await });
        }
        while let Some(read) = readers.join_next().await {
            read??;
        }
        anyhow::Ok(())
    });
    // QUIC gives places back in portions.
    for stream in open.drain(..8) {
        stream.finish().await?;
    }
    timeout(Duration::from_secs(10), next).await??.finish().await?;
    for stream in open {
        stream.finish().await?;
    }
    reading.await?
}

async fn a_read_given_up_loses_nothing(pair: Pair) -> Result<()> {
    let mut random = Random(3);
    let whole = random.bytes(300_000);
    let mut stream = pair.gateway.open(&header(1, 1), Urgency::Routine).await?;
    let sent = whole.clone();
    let writer = tokio::spawn(async move {
        for part in sent.chunks(10_000) {
            stream.write(Bytes::copy_from_slice(part)).await?;
            tokio::task::yield_now().await;
        }
        stream.finish().await
    });
    // Given up again and again before it is ready.
    let mut incoming = loop {
        tokio::select! {
            biased;
            accepted = pair.relay.accept() => break accepted?.1,
            () = tokio::task::yield_now() => {}
        }
    };
    let mut got = Vec::new();
    loop {
        let read = tokio::select! {
            biased;
            read = incoming.read() => Some(read?),
            () = tokio::task::yield_now() => None,
        };
        match read {
            Some(Some(bytes)) => got.extend_from_slice(&bytes),
            Some(None) => break,
            None => {}
        }
    }
    writer.await??;
    assert!(got == whole);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stat_overtakes_on_a_slow_quic_line() -> Result<()> {
    overtaking(support::quic_through(Some(&Impairment::of(512 * 1024))).await?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stat_overtakes_on_a_slow_websocket() -> Result<()> {
    let (near, far) = Impairment::of(512 * 1024).pipe();
    overtaking(support::websocket_over(near, far).await?).await
}

/// Six routine streams saturate the line; one that becomes urgent half way and one that is
/// urgent from its beginning finish before all of them.
async fn overtaking(pair: Pair) -> Result<()> {
    let mut levers = Vec::new();
    for index in 0..6 {
        let mut stream = pair.gateway.open(&header(1, index), Urgency::Routine).await?;
        levers.push(stream.priority());
        tokio::spawn(async move {
            for _ in 0..26 {
                stream.write(Bytes::from(vec![0; 16 * 1024])).await?;
            }
            stream.finish().await
        });
    }
    let relay = pair.relay.clone();
    let mut arrived = tokio::task::spawn(async move {
        let mut readers = tokio::task::JoinSet::new();
        for _ in 0..7 {
            let (header, mut stream) = relay.accept().await?;
            readers.spawn(async move {
                read_whole(&mut stream).await?;
                anyhow::Ok((header, Instant::now()))
            });
        }
        let mut ends = Vec::new();
        while let Some(read) = readers.join_next().await {
            ends.push(read??);
        }
        anyhow::Ok(ends)
    });
    assert!(timeout(Duration::from_millis(500), &mut arrived).await.is_err(), "it is saturated");
    let began = Instant::now();
    levers[5].set(Urgency::Urgent);
    let mut stat = pair.gateway.open(&header(2, 0), Urgency::Stat).await?;
    for _ in 0..8 {
        stat.write(Bytes::from(vec![0; 16 * 1024])).await?;
    }
    stat.finish().await?;
    let ends = arrived.await??;
    let order: Vec<(u32, u32)> = ends
        .iter()
        .map(|(header, _)| match header {
            StreamHeader::Instance { study, index, .. } => (*study, *index),
            _ => (0, 0),
        })
        .collect();
    let took = ends[0].1.duration_since(began);
    assert_eq!(order[0], (2, 0), "{order:?}");
    assert_eq!(order[1], (1, 5), "{order:?}");
    // 128 KiB at 512 KiB/s, behind a queue of 128 KiB.
    assert!(took < Duration::from_millis(1500), "it took {took:?}");
    Ok(())
}
