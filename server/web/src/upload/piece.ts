// A piece: what one binary message of the WebSocket carries (PROTOCOL 1).
import { Violation } from './fields';

export const PAYLOAD_BYTES = 16 * 1024;
export const CREDIT_BYTES = 256 * 1024;
export const CONTROL = 0;
const HEADER_BYTES = 5;
const LAST = 0x01;
const GIVEN_UP = 0x02;
const UNWANTED = 0x04;
const CREDIT = 0x08;

/** What a piece says. */
export type Piece =
  | { kind: 'data'; channel: number; last: boolean; payload: Uint8Array }
  | { kind: 'givenUp'; channel: number; code: number }
  | { kind: 'unwanted'; channel: number; code: number }
  | { kind: 'credit'; channel: number; more: number };

/** The message of the WebSocket. */
export function encodePiece(piece: Piece): Uint8Array<ArrayBuffer> {
  const payload = piece.kind === 'data' ? piece.payload.length : 4;
  const bytes = new Uint8Array(HEADER_BYTES + payload);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, piece.channel);
  switch (piece.kind) {
    case 'data':
      bytes[4] = piece.last ? LAST : 0;
      bytes.set(piece.payload, HEADER_BYTES);
      break;
    case 'givenUp':
      bytes[4] = GIVEN_UP;
      view.setUint32(HEADER_BYTES, piece.code);
      break;
    case 'unwanted':
      bytes[4] = UNWANTED;
      view.setUint32(HEADER_BYTES, piece.code);
      break;
    case 'credit':
      bytes[4] = CREDIT;
      view.setUint32(HEADER_BYTES, piece.more);
      break;
  }
  return bytes;
}

/** Reads a message of the WebSocket. */
export function decodePiece(message: ArrayBuffer): Piece {
  if (message.byteLength < HEADER_BYTES) throw new Violation('a piece is too short');
  if (message.byteLength > HEADER_BYTES + PAYLOAD_BYTES) throw new Violation('a piece is too long');
  const view = new DataView(message);
  const channel = view.getUint32(0);
  const flags = view.getUint8(4);
  if (flags === 0 || flags === LAST) {
    return { kind: 'data', channel, last: flags === LAST, payload: new Uint8Array(message, HEADER_BYTES) };
  }
  if (flags !== GIVEN_UP && flags !== UNWANTED && flags !== CREDIT) throw new Violation('a piece has flags that do not go together');
  if (message.byteLength !== HEADER_BYTES + 4) throw new Violation("a piece's number is not four bytes long");
  const number = view.getUint32(HEADER_BYTES);
  if (flags === GIVEN_UP) return { kind: 'givenUp', channel, code: number };
  if (flags === UNWANTED) return { kind: 'unwanted', channel, code: number };
  return { kind: 'credit', channel, more: number };
}
