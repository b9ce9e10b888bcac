//! A line between echo servers and their clients. Waits are generous: what is checked is that things happen, not how fast.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;

use super::*;

/// Long enough for anything that must happen.
const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough to believe that nothing happens.
const SILENCE: Duration = Duration::from_millis(200);

/// Answers every datagram and every connection's bytes; its threads end with the process.
fn echo() -> Result<(SocketAddr, mpsc::Receiver<SocketAddr>)> {
    let (listener, socket) = free_pair()?;
    listener.set_nonblocking(false)?;
    socket.set_nonblocking(false)?;
    let address = listener.local_addr()?;
    let (senders, seen) = mpsc::channel();
    thread::spawn(move || -> Result<()> {
        let mut buffer = [0; 2048];
        loop {
            let (length, from) = socket.recv_from(&mut buffer)?;
            senders.send(from)?;
            socket.send_to(&buffer[..length], from)?;
        }
    });
    thread::spawn(move || -> Result<()> {
        for stream in listener.incoming() {
            let mut stream = stream?;
            thread::spawn(move || std::io::copy(&mut stream.try_clone()?, &mut stream));
        }
        Ok(())
    });
    Ok((address, seen))
}

fn client(line: &Line) -> Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(line.address())?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn connect(line: &Line) -> Result<TcpStream> {
    let stream = TcpStream::connect(line.address())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn ask(socket: &UdpSocket, text: &[u8]) -> Result<Vec<u8>> {
    socket.send(text)?;
    let mut buffer = [0; 2048];
    let length = socket.recv(&mut buffer)?;
    Ok(buffer[..length].to_vec())
}

/// Whether nothing comes for a while.
fn is_silent(read: impl FnOnce() -> std::io::Result<usize>) -> bool {
    read().is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

fn wait_until(what: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !what() {
        if Instant::now() > deadline {
            bail!("not within {PATIENCE:?}");
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

#[test]
fn datagrams_and_bytes_go_there_and_back_on_one_port_and_are_counted() -> Result<()> {
    let (server, _seen) = echo()?;
    let line = Line::start(server, Shape::default())?;
    let socket = client(&line)?;
    assert_eq!(ask(&socket, b"hello")?, b"hello");
    let mut stream = connect(&line)?;
    stream.write_all(&[7; 100_000])?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut back = Vec::new();
    stream.read_to_end(&mut back)?;
    assert_eq!(back, [7; 100_000]);
    let counters = line.counters();
    for way in [counters.to_target, counters.to_client] {
        assert_eq!((way.packets, way.datagram_bytes, way.dropped()), (1, 5, 0));
        assert_eq!((way.stream_bytes, way.offered_bytes), (100_000, 100_005));
    }
    assert_eq!((counters.udp_clients, counters.tcp_connections), (1, 1));
    wait_until(|| line.counters().tcp_open == 0)
}

#[test]
fn a_delay_is_kept_in_both_directions() -> Result<()> {
    let (server, _seen) = echo()?;
    let delay = Duration::from_millis(50);
    let line = Line::start(server, Shape { delay, ..Shape::default() })?;
    let socket = client(&line)?;
    let mut stream = connect(&line)?;
    let begun = Instant::now();
    ask(&socket, b"ping")?;
    assert!(begun.elapsed() >= 2 * delay);
    let begun = Instant::now();
    stream.write_all(b"x")?;
    stream.read_exact(&mut [0])?;
    assert!(begun.elapsed() >= 2 * delay);
    Ok(())
}

#[test]
fn a_rate_holds_a_connection_back() -> Result<()> {
    let (server, _seen) = echo()?;
    let shape = Shape { bytes_per_second: Some(200_000), ..Shape::default() };
    let line = Line::start(server, shape)?;
    let mut stream = connect(&line)?;
    let begun = Instant::now();
    let mut writer = stream.try_clone()?;
    let sender = thread::spawn(move || writer.write_all(&[1; 60_000]));
    stream.read_exact(&mut [0; 60_000])?;
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
    sender.join().expect("the writer does not panic")?;
    Ok(())
}

#[test]
fn loss_takes_its_share_of_datagrams() -> Result<()> {
    let (server, _seen) = echo()?;
    let line = Line::start(server, Shape { loss: 0.5, ..Shape::default() })?;
    let socket = client(&line)?;
    for _ in 0..200 {
        socket.send(b"x")?;
    }
    wait_until(|| line.counters().to_target.offered_packets == 200)?;
    wait_until(|| {
        let way = line.counters().to_target;
        way.packets + way.lost == 200 && (60..140).contains(&way.lost)
    })
}

#[test]
fn a_line_that_is_down_swallows_datagrams_and_holds_bytes_until_it_is_up() -> Result<()> {
    let (server, _seen) = echo()?;
    let line = Line::start(server, Shape::default())?;
    let (socket, mut stream) = (client(&line)?, connect(&line)?);
    ask(&socket, b"before")?;
    stream.write_all(b"a")?;
    stream.read_exact(&mut [0])?;
    line.down();
    socket.send(b"swallowed")?;
    stream.write_all(b"b")?;
    socket.set_read_timeout(Some(SILENCE))?;
    stream.set_read_timeout(Some(SILENCE))?;
    assert!(is_silent(|| socket.recv(&mut [0; 16])));
    assert!(is_silent(|| stream.read(&mut [0])));
    line.up();
    socket.set_read_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut late = [0];
    stream.read_exact(&mut late)?;
    assert_eq!(&late, b"b");
    assert_eq!(ask(&socket, b"after")?, b"after");
    assert_eq!(line.counters().to_target.cut, 1);
    Ok(())
}

#[test]
fn what_is_on_its_way_when_the_line_is_cut_never_arrives() -> Result<()> {
    let (server, seen) = echo()?;
    let shape = Shape { delay: Duration::from_millis(300), ..Shape::default() };
    let line = Line::start(server, shape)?;
    client(&line)?.send(b"too late")?;
    wait_until(|| line.counters().to_target.offered_packets == 1)?;
    line.down();
    line.up();
    wait_until(|| line.counters().to_target.cut == 1)?;
    assert!(seen.try_recv().is_err());
    Ok(())
}

#[test]
fn blocked_udp_leaves_tcp_alone() -> Result<()> {
    let (server, _seen) = echo()?;
    let line = Line::start(server, Shape::default())?;
    let (socket, mut stream) = (client(&line)?, connect(&line)?);
    line.block_udp(true);
    socket.send(b"x")?;
    stream.write_all(b"y")?;
    stream.read_exact(&mut [0])?;
    wait_until(|| line.counters().to_target.cut == 1)?;
    line.block_udp(false);
    assert_eq!(ask(&socket, b"z")?, b"z");
    Ok(())
}

#[test]
fn another_port_toward_the_server_does_not_interrupt() -> Result<()> {
    let (server, seen) = echo()?;
    let line = Line::start(server, Shape::default())?;
    let socket = client(&line)?;
    ask(&socket, b"one")?;
    let before = seen.recv_timeout(PATIENCE)?;
    line.rebind();
    assert_eq!(ask(&socket, b"two")?, b"two");
    assert_ne!(seen.recv_timeout(PATIENCE)?, before);
    assert_eq!(line.counters().udp_clients, 1);
    Ok(())
}

#[test]
fn a_reset_breaks_open_connections_and_lets_new_ones_through() -> Result<()> {
    let (server, _seen) = echo()?;
    let line = Line::start(server, Shape::default())?;
    let mut stream = connect(&line)?;
    stream.write_all(b"x")?;
    stream.read_exact(&mut [0])?;
    line.reset();
    let error = stream.read(&mut [0]).expect_err("it is broken, not ended");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let mut again = connect(&line)?;
    again.write_all(b"x")?;
    again.read_exact(&mut [0])?;
    wait_until(|| line.counters().tcp_open == 1)
}

#[test]
fn a_server_that_is_gone_resets_connections_and_swallows_datagrams() -> Result<()> {
    let (listener, socket) = free_pair()?;
    let gone = listener.local_addr()?;
    drop((listener, socket));
    let line = Line::start(gone, Shape::default())?;
    let mut stream = connect(&line)?;
    assert!(stream.read(&mut [0]).is_err());
    let socket = client(&line)?;
    socket.send(b"x")?;
    socket.set_read_timeout(Some(SILENCE))?;
    assert!(is_silent(|| socket.recv(&mut [0; 16])));
    Ok(())
}
