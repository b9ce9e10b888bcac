// What this side writes and reads is what the relay's side writes and reads, and damaged bytes are refused, never believed.
import { describe, expect, it } from 'vitest';

import { Violation } from './fields';
import fixture from './fixtures/link.json';
import { decodeManifest, decodeReceipt, encodeManifest } from './manifest';
import { extentFirst } from './order';
import { random } from './fixtures/made';
import { decodePiece, encodePiece, type Piece } from './piece';
import { decodeHeader, decodeMessage, encodeHeader, encodeMessage, Frames, type Message } from './wire';

const bytes: Record<string, string> = fixture;
const hex = (name: string) => Uint8Array.from((bytes[name] ?? '').match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
const NAMES = ['hello', 'welcome', 'offer', 'need', 'stored', 'refused', 'committed', 'priority', 'withdraw', 'goaway'];

function read(frame: Uint8Array): Message[] {
  return new Frames().feed(frame);
}

describe('control frames', () => {
  it.each(NAMES)('%s is read and written as the relay does it', (name) => {
    const [message] = read(hex(name));
    expect(message?.type).toBe(name);
    expect(encodeMessage(message!)).toEqual(hex(name));
  });

  it('says what the relay meant', () => {
    const [welcome] = read(hex('welcome'));
    expect(welcome).toMatchObject({ version: 1, gateway: 'person:7d9f', clinicName: '青山镇卫生院', streams: 16, instanceBytes: 4 * 2 ** 30, entries: 20_000 });
    const [need] = read(hex('need'));
    expect(need).toMatchObject({ study: 7, states: [null, 1, null], partial: [{ index: 2, offset: 131_072 }] });
    expect(read(hex('refused'))[0]).toMatchObject({ index: null, code: 2, retryMs: 1_500, detail: 'busy' });
  });

  it('comes whole however it is cut', () => {
    const all = NAMES.map(hex);
    const line = Uint8Array.from(all.flatMap((frame) => [...frame]));
    for (const step of [1, 3, 7, 100, line.length]) {
      const frames = new Frames();
      const messages: Message[] = [];
      for (let at = 0; at < line.length; at += step) messages.push(...frames.feed(line.slice(at, at + step)));
      expect(messages.map((message) => message.type)).toEqual(NAMES);
    }
  });

  it('refuses damaged frames and keeps nothing by a claimed length', () => {
    expect(() => new Frames().feed(Uint8Array.of(0xff, 0xff, 0xff, 0xff))).toThrow(Violation);
    expect(() => decodeMessage(Uint8Array.of(0x05))).toThrow(Violation);
    expect(decodeMessage(Uint8Array.of(0x80, 1, 2))).toEqual({ type: 'other', kind: 0x80 });
    const next = random(7);
    for (const name of NAMES) {
      const whole = hex(name).slice(4);
      for (let end = 1; end < Math.min(whole.length, 60); end += 1) expect(() => decodeMessage(whole.slice(0, end))).toThrow(Violation);
      for (let round = 0; round < 200; round += 1) {
        const changed = whole.slice();
        changed[Math.floor(next() * changed.length)] = Math.floor(next() * 256);
        try {
          const again = encodeMessage(decodeMessage(changed)).slice(4);
          if (changed[0]! < 0x80) expect(again.length).toBeLessThanOrEqual(changed.length);
        } catch (error) {
          expect(error).toBeInstanceOf(Violation);
        }
      }
    }
  });
});

describe('manifests, receipts, headers, pieces', () => {
  it('a manifest is the relay’s, byte for byte', () => {
    const manifest = decodeManifest(hex('manifest'));
    expect(manifest.entries.map((entry) => entry.bytes)).toEqual([525_312, 525_314, 6_000_000_000]);
    expect(encodeManifest(manifest)).toEqual(hex('manifest'));
    expect(() => decodeManifest(hex('manifest').slice(0, -1))).toThrow(Violation);
    expect(() => decodeManifest(encodeManifest({ ...manifest, entries: [] }))).toThrow('without entries');
    expect(() => decodeManifest(encodeManifest({ ...manifest, entries: [manifest.entries[0]!, manifest.entries[0]!] }))).toThrow('twice');
  });

  it('a receipt names the manifest', () => {
    const receipt = decodeReceipt(hex('receipt'));
    expect(receipt).toMatchObject({ manifest: decodeManifest(hex('manifest')).id, instances: 3, aside: [[2, 2]] });
  });

  it('a stream’s header is the relay’s', () => {
    expect(encodeHeader(decodeHeader(hex('header')))).toEqual(hex('header'));
    expect(decodeHeader(hex('header'))).toMatchObject({ study: 7, index: 16, offset: 65_536, packBytes: 5_000_000_000 });
  });

  it('pieces come back, and what is not a piece is refused', () => {
    const pieces: Piece[] = [
      { kind: 'data', channel: 7, last: true, payload: Uint8Array.of(1, 2, 3) },
      { kind: 'givenUp', channel: 9, code: 0 },
      { kind: 'unwanted', channel: 2, code: 255 },
      { kind: 'credit', channel: 0xffffffff, more: 65_536 },
    ];
    for (const piece of pieces) expect(decodePiece(encodePiece(piece).buffer)).toEqual(piece);
    for (const bad of [[], [0, 0, 0, 1], [0, 0, 0, 1, 3], [0, 0, 0, 1, 0x10], [0, 0, 0, 1, 2, 0], [0, 0, 0, 1, 8]]) {
      expect(() => decodePiece(Uint8Array.from(bad).buffer)).toThrow(Violation);
    }
  });

  it('the extent goes first, and each image once', () => {
    expect(extentFirst(40).slice(0, 6)).toEqual([0, 16, 32, 8, 24, 4]);
    for (const count of [0, 1, 17, 1000]) expect(extentFirst(count).sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, at) => at));
  });
});
