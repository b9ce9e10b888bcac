//! Datagrams: every client has a socket of its own toward the server, whose port can change.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use tokio::net::UdpSocket;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::{Shared, Ticket, Way};

/// The longest datagram, in bytes.
const DATAGRAM: usize = 65_536;

struct Parcel {
    ticket: Ticket,
    bytes: Vec<u8>,
}

/// Takes datagrams from clients until the socket breaks.
pub(super) async fn serve(
    shared: Arc<Shared>,
    socket: std::net::UdpSocket,
    target: SocketAddr,
) -> Result<()> {
    let socket = Arc::new(UdpSocket::from_std(socket)?);
    let mut clients: HashMap<SocketAddr, UnboundedSender<Parcel>> = HashMap::new();
    let mut tasks = JoinSet::new();
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let (length, client) = socket.recv_from(&mut buffer).await?;
        let Some(ticket) = shared.admit(Way::ToTarget, length) else { continue };
        if !clients.contains_key(&client) {
            let (sender, receiver) = unbounded_channel();
            let upstream = dial(target).await?;
            let client = Client {
                shared: shared.clone(),
                socket: socket.clone(),
                client,
                target,
                upstream,
                out: VecDeque::new(),
                back: VecDeque::new(),
            };
            shared.state().counters.udp_clients += 1;
            clients.insert(client.client, sender);
            tasks.spawn(client.run(receiver));
        }
        // What waits in the channel has been admitted, so the queue of the line bounds it.
        if let Some(sender) = clients.get(&client)
            && sender.send(Parcel { ticket, bytes: buffer[..length].to_vec() }).is_err()
        {
            clients.remove(&client);
        }
    }
}

/// One client and what is on its way to and from it.
struct Client {
    shared: Arc<Shared>,
    socket: Arc<UdpSocket>,
    client: SocketAddr,
    target: SocketAddr,
    upstream: UdpSocket,
    out: VecDeque<Parcel>,
    back: VecDeque<Parcel>,
}

enum Step {
    Sent(Parcel),
    Answered(io::Result<usize>),
    Due,
    Asked,
    Ended,
}

impl Client {
    async fn run(mut self, mut from_client: UnboundedReceiver<Parcel>) {
        let mut control = self.shared.control.subscribe();
        let mut rebinds = control.borrow().rebinds;
        let mut buffer = vec![0; DATAGRAM];
        loop {
            let due = self.next_due();
            let step = tokio::select! {
                parcel = from_client.recv() => parcel.map_or(Step::Ended, Step::Sent),
                outcome = self.upstream.recv(&mut buffer) => Step::Answered(outcome),
                () = until(due) => Step::Due,
                outcome = control.changed() => outcome.map_or(Step::Ended, |()| Step::Asked),
            };
            match step {
                Step::Sent(parcel) => self.out.push_back(parcel),
                Step::Answered(Ok(length)) => {
                    if let Some(ticket) = self.shared.admit(Way::ToClient, length) {
                        self.back.push_back(Parcel { ticket, bytes: buffer[..length].to_vec() });
                    }
                }
                // Nobody listens there just now; a line does not report that.
                Step::Answered(Err(_)) | Step::Due | Step::Asked => {}
                Step::Ended => return,
            }
            // Before every delivery: what is sent after the request leaves from the new port.
            let asked = control.borrow_and_update().rebinds;
            if asked != rebinds {
                rebinds = asked;
                self.rebind().await;
            }
            self.deliver().await;
        }
    }

    async fn rebind(&mut self) {
        // Made before the old one is closed, so that its port is another.
        match dial(self.target).await {
            Ok(upstream) => self.upstream = upstream,
            Err(error) => eprintln!("a line keeps its port: {error}"),
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let fronts = self.out.front().into_iter().chain(self.back.front());
        fronts.map(|parcel| parcel.ticket.due).min()
    }

    /// Hands over what is due. That a datagram cannot be sent is the same as that it is lost.
    async fn deliver(&mut self) {
        let now = Instant::now();
        while let Some(Parcel { ticket, bytes }) = pop_due(&mut self.out, now) {
            if self.shared.arrives(Way::ToTarget, ticket, bytes.len()) {
                let _lost = self.upstream.send(&bytes).await;
            }
        }
        while let Some(Parcel { ticket, bytes }) = pop_due(&mut self.back, now) {
            if self.shared.arrives(Way::ToClient, ticket, bytes.len()) {
                let _lost = self.socket.send_to(&bytes, self.client).await;
            }
        }
    }
}

fn pop_due(parcels: &mut VecDeque<Parcel>, now: Instant) -> Option<Parcel> {
    if parcels.front()?.ticket.due <= now { parcels.pop_front() } else { None }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// A socket on a new port that talks with the server alone.
async fn dial(target: SocketAddr) -> io::Result<UdpSocket> {
    let local: SocketAddr = match target {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(target).await?;
    Ok(socket)
}
