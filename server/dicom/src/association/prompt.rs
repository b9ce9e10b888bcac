//! A TCP connection that never makes its peer wait for an acknowledgement.
//!
//! Stock senders leave Nagle's algorithm on: the end of an object stays with them until the part
//! before it is acknowledged, and a kernel that delays acknowledgements by 40 ms (because this side
//! has nothing to send) allows some twenty-five objects a second. TCP_NODELAY on our side does not
//! help there; acknowledging at once, whenever we are about to wait, does.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP stream that sends without delay and acknowledges before it waits. Goes below TLS, too.
#[derive(Debug)]
pub struct Prompt(TcpStream);

impl Prompt {
    /// Takes over a connected stream.
    ///
    /// # Errors
    /// The socket is gone.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        super::prepare(&stream)?;
        Ok(Self(stream))
    }

    /// The stream itself, for its addresses.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        &self.0
    }

    /// Sends a pending acknowledgement now. The kernel forgets the wish again, so it is repeated
    /// before every wait; where it cannot be had, nothing but speed is lost.
    fn acknowledge(&self) {
        #[cfg(target_os = "linux")]
        let _ = self.0.set_quickack(true);
    }
}

impl AsyncRead for Prompt {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.0).poll_read(context, buffer);
        if read.is_pending() {
            self.acknowledge();
        }
        read
    }
}

impl AsyncWrite for Prompt {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}
