//! Connections: bytes are carried in order, late and slowly, stand still while the line is down, and are never lost.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use super::{Control, Shared, Way};

/// How many bytes are carried at a time.
const CHUNK: usize = 4096;
/// How many chunks may be on their way in one direction of a connection.
const CHUNKS_IN_FLIGHT: usize = 1024;

struct Chunk {
    due: Instant,
    bytes: Vec<u8>,
}

/// Takes connections until the listener breaks.
pub(super) async fn serve(
    shared: Arc<Shared>,
    listener: std::net::TcpListener,
    target: SocketAddr,
) -> Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut tasks = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await?;
        {
            let counters = &mut shared.state().counters;
            counters.tcp_connections += 1;
            counters.tcp_open += 1;
        }
        let shared = shared.clone();
        tasks.spawn(async move {
            // Of an error both ends have been told by a reset; there is nobody else to tell.
            let _told = through(&shared, client, target).await;
            shared.state().counters.tcp_open -= 1;
        });
        while tasks.try_join_next().is_some() {}
    }
}

/// One connection from its first byte to its end; an error at one end is a reset at both.
async fn through(shared: &Shared, mut client: TcpStream, target: SocketAddr) -> io::Result<()> {
    let mut control = shared.control.subscribe();
    let resets = control.borrow().resets;
    let mut server = {
        let mut state = control.clone();
        let dial = async {
            while_down(&mut state).await;
            TcpStream::connect(target).await
        };
        tokio::select! {
            outcome = dial => outcome,
            () = reset_after(&mut control, resets) => Err(io::ErrorKind::ConnectionReset.into()),
        }
    }
    .inspect_err(|_| break_off(&client))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let outcome = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let there = pump(shared, Way::ToTarget, from_client, to_server);
        let back = pump(shared, Way::ToClient, from_server, to_client);
        tokio::select! {
            outcome = async { tokio::try_join!(there, back) } => outcome.map(|_| ()),
            () = reset_after(&mut control, resets) => Err(io::ErrorKind::ConnectionReset.into()),
        }
    };
    outcome.inspect_err(|_| {
        break_off(&client);
        break_off(&server);
    })
}

/// Carries one direction until its end, which is carried, too.
async fn pump(
    shared: &Shared,
    way: Way,
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
) -> io::Result<((), ())> {
    let (sender, receiver) = channel(CHUNKS_IN_FLIGHT);
    tokio::try_join!(take(shared, way, from, sender), give(shared, way, receiver, to))
}

async fn take(
    shared: &Shared,
    way: Way,
    mut from: ReadHalf<'_>,
    sender: Sender<Chunk>,
) -> io::Result<()> {
    let mut control = shared.control.subscribe();
    let mut buffer = [0; CHUNK];
    loop {
        while_down(&mut control).await;
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        let (due, wait) = shared.carry(way, length);
        if sender.send(Chunk { due, bytes: buffer[..length].to_vec() }).await.is_err() {
            return Ok(());
        }
        if !wait.is_zero() {
            sleep(wait).await;
        }
    }
}

async fn give(
    shared: &Shared,
    way: Way,
    mut receiver: Receiver<Chunk>,
    mut to: WriteHalf<'_>,
) -> io::Result<()> {
    let mut control = shared.control.subscribe();
    while let Some(Chunk { due, bytes }) = receiver.recv().await {
        sleep_until(due.into()).await;
        while_down(&mut control).await;
        to.write_all(&bytes).await?;
        shared.carried(way, bytes.len());
    }
    while_down(&mut control).await;
    to.shutdown().await
}

async fn while_down(control: &mut watch::Receiver<Control>) {
    // The sender lives as long as the line, and the line ends all of this.
    let _gone = control.wait_for(|control| !control.down).await;
}

async fn reset_after(control: &mut watch::Receiver<Control>, resets: u64) {
    let _gone = control.wait_for(|control| control.resets != resets).await;
}

/// Makes the coming close a reset.
fn break_off(stream: &TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        eprintln!("a line cannot reset a connection: {error}");
    }
}
