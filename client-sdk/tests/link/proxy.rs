//! A UDP line that can be taken down: everything between gateway and relay goes through it.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

pub struct Line {
    pub address: SocketAddr,
    up: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Line {
    /// A line to `relay` with this delay each way.
    pub async fn to(relay: SocketAddr, delay: Duration) -> Result<Self> {
        let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?);
        let address = socket.local_addr()?;
        let up = Arc::new(AtomicBool::new(true));
        let task = tokio::spawn(carry(socket, relay, up.clone(), delay));
        Ok(Self { address, up, task })
    }

    pub fn set(&self, up: bool) {
        self.up.store(up, Ordering::SeqCst);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(socket: Arc<UdpSocket>, relay: SocketAddr, up: Arc<AtomicBool>, delay: Duration) {
    let mut behind: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut buffer = vec![0; 65_536];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        if !up.load(Ordering::SeqCst) {
            continue;
        }
        let out = match behind.get(&from) {
            Some(out) => out.clone(),
            None => {
                let out = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
                let out = Arc::new(out);
                behind.insert(from, out.clone());
                tokio::spawn(back(out.clone(), socket.clone(), from, up.clone(), delay));
                out
            }
        };
        let datagram = buffer[..length].to_vec();
        later(delay, async move { drop(out.send_to(&datagram, relay).await) });
    }
}

async fn back(
    out: Arc<UdpSocket>,
    socket: Arc<UdpSocket>,
    to: SocketAddr,
    up: Arc<AtomicBool>,
    delay: Duration,
) {
    let mut buffer = vec![0; 65_536];
    while let Ok((length, _)) = out.recv_from(&mut buffer).await {
        if up.load(Ordering::SeqCst) {
            let (datagram, socket) = (buffer[..length].to_vec(), socket.clone());
            later(delay, async move { drop(socket.send_to(&datagram, to).await) });
        }
    }
}

fn later(delay: Duration, send: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(async move {
        tokio::time::sleep(delay).await;
        send.await;
    });
}
