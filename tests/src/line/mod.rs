//! A bad county line on loopback: a proxy between a client and a server that delays, loses, throttles and cuts what passes,
//! datagrams and connections alike, without any privilege.
//!
//! It stands for the way from a clinic to its relay. [`Line::address`] takes UDP and TCP on the same port number. Everything runs
//! on a thread of its own with real time, so that neither the scheduling nor a paused clock of the test comes into it.
//!
//! Datagrams are lost, overtaken by a cut or dropped by a full queue as on a real line. Of a connection no byte is ever lost, since
//! TCP would repeat it: delay and rate slow it down, a cut line stops it without a reset, [`Line::reset`] breaks it. Both share
//! the same bottleneck. A connection's handshake is the kernel's own and knows nothing of delays or cuts.

mod tcp;
mod udp;
mod wire;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use wire::{Fate, Wire};

/// How often a port is looked for that is free for UDP and for TCP.
const PORT_TRIES: usize = 100;

/// What a line does to what passes, the same in both directions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// From one end to the other; half of the round-trip time.
    pub delay: Duration,
    /// Share of the datagrams that vanish, 0 to 1.
    pub loss: f64,
    /// The bottleneck in bytes a second; no bottleneck without it.
    pub bytes_per_second: Option<u64>,
    /// How much may wait at the bottleneck, in time at its rate. What comes then is dropped, or waits if it is of a connection.
    pub queue: Duration,
    /// Which datagrams are lost depends on this and on their number alone. Looked at when the line is started.
    pub seed: u64,
}

impl Default for Shape {
    /// As good as no line at all.
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            loss: 0.0,
            bytes_per_second: None,
            queue: Duration::from_millis(60),
            seed: 1,
        }
    }
}

impl Shape {
    /// A line of a round-trip time in milliseconds, a loss in percent and a rate in Mbit/s, with a queue of one round trip.
    pub fn new(rtt_ms: u64, loss_percent: f64, mbit: u64) -> Self {
        let rtt = Duration::from_millis(rtt_ms);
        Self {
            delay: rtt / 2,
            loss: loss_percent / 100.0,
            bytes_per_second: Some(mbit * 1_000_000 / 8),
            queue: rtt.max(Duration::from_millis(20)),
            ..Self::default()
        }
    }
}

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    ToTarget,
    ToClient,
}

/// What one direction has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams that came to the line.
    pub offered_packets: u64,
    /// Bytes that came to the line, in datagrams and connections.
    pub offered_bytes: u64,
    /// Datagrams that arrived.
    pub packets: u64,
    /// Bytes of the datagrams that arrived.
    pub datagram_bytes: u64,
    /// Bytes of connections that arrived.
    pub stream_bytes: u64,
    /// Datagrams that were lost at random.
    pub lost: u64,
    /// Datagrams that found the queue full.
    pub overflowed: u64,
    /// Datagrams that vanished because the line was down or UDP blocked.
    pub cut: u64,
}

impl Traffic {
    /// Bytes that arrived.
    pub fn bytes(&self) -> u64 {
        self.datagram_bytes + self.stream_bytes
    }

    /// Datagrams that did not arrive.
    pub fn dropped(&self) -> u64 {
        self.lost + self.overflowed + self.cut
    }
}

/// What a line has seen so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// From clients to the target.
    pub to_target: Traffic,
    /// From the target to clients.
    pub to_client: Traffic,
    /// TCP connections that are open now.
    pub tcp_open: u64,
    /// TCP connections that were ever made.
    pub tcp_connections: u64,
    /// Addresses of clients that ever sent a datagram that was let in.
    pub udp_clients: u64,
}

/// A line that is up. Dropping it ends it and every connection through it.
#[derive(Debug)]
pub struct Line {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Line {
    /// A line to a server that takes UDP and TCP on the same port.
    pub fn start(target: SocketAddr, shape: Shape) -> Result<Self> {
        Self::start_between(target, target, shape)
    }

    /// A line to a server that takes UDP at one address and TCP at another.
    pub fn start_between(udp: SocketAddr, tcp: SocketAddr, shape: Shape) -> Result<Self> {
        let (listener, socket) = free_pair()?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(shape));
        let stop = CancellationToken::new();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (sharing, stopped) = (shared.clone(), stop.clone());
        let thread = std::thread::Builder::new().name("line".into()).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = stopped.cancelled() => {}
                    outcome = udp::serve(sharing.clone(), socket, udp) => failed("UDP", outcome),
                    outcome = tcp::serve(sharing, listener, tcp) => failed("TCP", outcome),
                }
            });
        })?;
        Ok(Self { address, shared, stop, thread: Some(thread) })
    }

    /// Where clients find the server, by UDP and by TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts the line: what is on it and what comes vanishes, connections stand still without an error.
    pub fn down(&self) {
        self.shared.control.send_modify(|control| {
            control.down = true;
            control.cuts += 1;
        });
    }

    /// Mends the line.
    pub fn up(&self) {
        self.shared.control.send_modify(|control| control.down = false);
    }

    /// Whether UDP vanishes while TCP goes on, as behind some firewalls.
    pub fn block_udp(&self, blocked: bool) {
        self.shared.state().udp_blocked = blocked;
    }

    /// Gives every client another port toward the server, as a change from 4G to fibre or a forgetful NAT does. Datagrams on their
    /// way back to the old one vanish. Connections stay; where they should not, [`Line::reset`] them.
    pub fn rebind(&self) {
        self.shared.control.send_modify(|control| control.rebinds += 1);
    }

    /// Breaks every open connection, at both ends.
    pub fn reset(&self) {
        self.shared.control.send_modify(|control| control.resets += 1);
    }

    /// Makes another line of it. What is on its way already arrives as it would have.
    pub fn reshape(&self, shape: Shape) {
        self.shared.state().shape = shape;
    }

    /// What it has seen so far.
    pub fn counters(&self) -> Counters {
        self.shared.state().counters
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            eprintln!("the thread of a line had panicked");
        }
    }
}

/// What the tasks of a line look at together.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    control: watch::Sender<Control>,
}

#[derive(Debug)]
struct State {
    shape: Shape,
    udp_blocked: bool,
    to_target: Wire,
    to_client: Wire,
    counters: Counters,
}

/// What was asked of the line; tasks wait for it to change.
#[derive(Debug, Clone, Copy, Default)]
struct Control {
    down: bool,
    cuts: u64,
    resets: u64,
    rebinds: u64,
}

/// When something arrives, unless the line is cut before.
#[derive(Debug, Clone, Copy)]
struct Ticket {
    due: Instant,
    cuts: u64,
}

impl Shared {
    fn new(shape: Shape) -> Self {
        let state = State {
            shape,
            udp_blocked: false,
            to_target: Wire::new(shape.seed),
            to_client: Wire::new(!shape.seed),
            counters: Counters::default(),
        };
        Self { state: Mutex::new(state), control: watch::Sender::new(Control::default()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a datagram onto the line, or not.
    fn admit(&self, way: Way, bytes: usize) -> Option<Ticket> {
        let control = *self.control.borrow();
        let mut state = self.state();
        let (shape, blocked) = (state.shape, state.udp_blocked);
        let (wire, traffic) = state.way(way);
        traffic.offered_packets += 1;
        traffic.offered_bytes += bytes as u64;
        if control.down || blocked {
            traffic.cut += 1;
            return None;
        }
        match wire.datagram(Instant::now(), bytes, &shape) {
            Fate::Arrives(due) => Some(Ticket { due, cuts: control.cuts }),
            Fate::Lost => {
                traffic.lost += 1;
                None
            }
            Fate::Overflowed => {
                traffic.overflowed += 1;
                None
            }
        }
    }

    /// Whether a datagram comes out at the other end, now that it is due.
    fn arrives(&self, way: Way, ticket: Ticket, bytes: usize) -> bool {
        let control = *self.control.borrow();
        let mut state = self.state();
        let (_, traffic) = state.way(way);
        if control.down || control.cuts != ticket.cuts {
            traffic.cut += 1;
            return false;
        }
        traffic.packets += 1;
        traffic.datagram_bytes += bytes as u64;
        true
    }

    /// Puts bytes of a connection onto the line: when they arrive, and how long to wait before the next.
    fn carry(&self, way: Way, bytes: usize) -> (Instant, Duration) {
        let mut state = self.state();
        let shape = state.shape;
        let (wire, traffic) = state.way(way);
        traffic.offered_bytes += bytes as u64;
        wire.stream(Instant::now(), bytes, &shape)
    }

    fn carried(&self, way: Way, bytes: usize) {
        self.state().way(way).1.stream_bytes += bytes as u64;
    }
}

impl State {
    fn way(&mut self, way: Way) -> (&mut Wire, &mut Traffic) {
        match way {
            Way::ToTarget => (&mut self.to_target, &mut self.counters.to_target),
            Way::ToClient => (&mut self.to_client, &mut self.counters.to_client),
        }
    }
}

/// A port that is free for both.
fn free_pair() -> Result<(TcpListener, UdpSocket)> {
    for _ in 0..PORT_TRIES {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        if let Ok(socket) = UdpSocket::bind(listener.local_addr()?) {
            listener.set_nonblocking(true)?;
            socket.set_nonblocking(true)?;
            return Ok((listener, socket));
        }
    }
    bail!("no port is free for UDP and TCP")
}

fn failed(what: &str, outcome: Result<()>) {
    if let Err(error) = outcome.with_context(|| format!("the {what} side of a line has ended")) {
        eprintln!("{error:#}");
    }
}

#[cfg(test)]
mod tests;
