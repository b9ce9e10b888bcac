//! DICOM associations over any byte stream, plain or TLS: [`acceptor`] serves one that came in,
//! [`requestor`] opens one. Both stream: memory does not grow with the object, and every wait has
//! an end.

pub mod acceptor;
mod connection;
mod prompt;
pub mod requestor;

use std::io;

use tokio::net::TcpStream;

pub use connection::Pace;
pub use prompt::Prompt;

/// Makes a TCP connection fit for DIMSE: without TCP_NODELAY every response waits for the peer's
/// delayed acknowledgement, which limits a sender to about twenty instances a second.
///
/// A listener wants [`Prompt`], which includes this.
///
/// # Errors
/// The socket is gone.
pub fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)
}

/// Longest P-DATA-TF PDU that we announce, in bytes: the largest that DCMTK does not cut down.
pub const MAX_PDU_BYTES: u32 = 131_072;
