//! A piece: what one binary message of the WebSocket carries (PROTOCOL 1).

use bytes::{Buf, BufMut, Bytes, BytesMut};

use medrelay_core::transfer::Violation;

/// Bytes of payload in a piece at most.
pub const PAYLOAD_BYTES: usize = 16 * 1024;
/// Bytes before the payload.
pub const HEADER_BYTES: usize = 5;
/// Bytes that a channel may carry before its receiver grants more.
pub const CREDIT_BYTES: u32 = 256 * 1024;
/// The control channel's number.
pub const CONTROL: u32 = 0;

/// A piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Bytes of a channel.
    Data {
        /// Which channel.
        channel: u32,
        /// Whether these are its last.
        last: bool,
        /// The bytes.
        payload: Bytes,
    },
    /// The sender gave the channel up.
    GivenUp {
        /// Which channel.
        channel: u32,
        /// The application's code.
        code: u32,
    },
    /// The receiver does not want the channel.
    Unwanted {
        /// Which channel.
        channel: u32,
        /// The application's code.
        code: u32,
    },
    /// The receiver takes so many more bytes.
    Credit {
        /// Which channel.
        channel: u32,
        /// How many more.
        more: u32,
    },
}

impl Piece {
    /// Reads a message of the WebSocket.
    ///
    /// # Errors
    /// A violation when it is too short or too long or its flags are not those of a piece.
    pub fn decode(mut message: Bytes) -> Result<Self, Violation> {
        if message.len() < HEADER_BYTES {
            return Err(Violation("a piece is too short"));
        }
        if message.len() > HEADER_BYTES + PAYLOAD_BYTES {
            return Err(Violation("a piece is too long"));
        }
        let channel = message.get_u32();
        let flags = message.get_u8();
        match flags {
            0 | LAST => Ok(Self::Data { channel, last: flags == LAST, payload: message }),
            GIVEN_UP => Ok(Self::GivenUp { channel, code: number(message)? }),
            UNWANTED => Ok(Self::Unwanted { channel, code: number(message)? }),
            CREDIT => Ok(Self::Credit { channel, more: number(message)? }),
            _ => Err(Violation("a piece has flags that do not go together")),
        }
    }

    /// The message of the WebSocket.
    pub fn encode(&self) -> Bytes {
        let (channel, flags, payload) = match self {
            Self::Data { channel, last, payload } => {
                (*channel, if *last { LAST } else { 0 }, payload.clone())
            }
            Self::GivenUp { channel, code } => (*channel, GIVEN_UP, be(*code)),
            Self::Unwanted { channel, code } => (*channel, UNWANTED, be(*code)),
            Self::Credit { channel, more } => (*channel, CREDIT, be(*more)),
        };
        let mut message = BytesMut::with_capacity(HEADER_BYTES + payload.len());
        message.put_u32(channel);
        message.put_u8(flags);
        message.put_slice(&payload);
        message.freeze()
    }
}

const LAST: u8 = 0x01;
const GIVEN_UP: u8 = 0x02;
const UNWANTED: u8 = 0x04;
const CREDIT: u8 = 0x08;

fn number(mut payload: Bytes) -> Result<u32, Violation> {
    if payload.len() != 4 {
        return Err(Violation("a piece's number is not four bytes long"));
    }
    Ok(payload.get_u32())
}

fn be(number: u32) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_back_as_they_were() {
        for piece in [
            Piece::Data { channel: 0, last: false, payload: Bytes::from_static(b"abc") },
            Piece::Data { channel: 7, last: true, payload: Bytes::new() },
            Piece::GivenUp { channel: 9, code: 0 },
            Piece::Unwanted { channel: 2, code: 255 },
            Piece::Credit { channel: u32::MAX, more: 65_536 },
        ] {
            assert_eq!(Piece::decode(piece.encode()), Ok(piece));
        }
    }

    #[test]
    fn what_is_not_a_piece_is_refused() {
        for bad in [
            &b""[..],
            b"\0\0\0\x01",
            b"\0\0\0\x01\x03",
            b"\0\0\0\x01\x10",
            b"\0\0\0\x01\x02\0\0\0",
            b"\0\0\0\x01\x04\0\0\0\0\0",
            b"\0\0\0\x01\x08",
        ] {
            assert!(Piece::decode(Bytes::copy_from_slice(bad)).is_err(), "{bad:?}");
        }
        let long = vec![0; HEADER_BYTES + PAYLOAD_BYTES + 1];
        assert!(Piece::decode(Bytes::from(long)).is_err());
    }
}
