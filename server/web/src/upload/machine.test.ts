// The gateway's machine and the line under it: order, limits, going on after a break, and a relay that breaks the rules.
import { describe, expect, it } from 'vitest';

import { Violation } from './fields';
import { random } from './fixtures/made';
import { type Act, Session } from './machine';
import { Mux } from './mux';
import { decodePiece, encodePiece } from './piece';
import type { Offer } from './progress';
import type { Message, Welcome } from './wire';

const WELCOME: Welcome & { type: 'welcome' } = {
  type: 'welcome', version: 1, relay: 'r', gateway: 'person:1', clinic: 'c', clinicName: 'C', clock: 0, receiptKey: new Uint8Array(32), streams: 16, instanceBytes: 1 << 30, entries: 20_000,
};

function offer(key: string, sizes: number[], urgency: 0 | 1 | 2 = 2): Offer {
  return { key, raw: Uint8Array.of(1), sizes, urgency, offered: urgency, since: 0 };
}

function open(): Session {
  const session = new Session('test');
  session.start(0);
  session.handle(WELCOME, 1);
  return session;
}

const pack = (index: number) => ({ bytes: 1_000, sha256: new Uint8Array(32).fill(index % 251) });
const of = <K extends Act['do']>(acts: Act[], what: K) => acts.filter((act): act is Extract<Act, { do: K }> => act.do === what);
const need = (study: number, count: number, there: number[] = []): Message => ({
  type: 'need', study, states: Array.from({ length: count }, (_, at) => (there.includes(at) ? 1 : null)), partial: [],
});

describe('the machine', () => {
  it('greets, offers, and sends every 16th first, at most 14 streams of routine', () => {
    const session = open();
    const [sent] = of(session.offer(offer('a', new Array<number>(100).fill(5_000))), 'send');
    expect(sent?.message).toMatchObject({ type: 'offer', study: 1 });
    const acts = session.handle(need(1, 100), 2);
    const prepared = of(acts, 'prepare').map((act) => act.index);
    expect(prepared.slice(0, 8)).toEqual([0, 16, 32, 48, 64, 80, 96, 8]);
    const running = prepared.flatMap((index) => of(session.packed('a', index, pack(index)), 'transmit'));
    expect(running).toHaveLength(14);
    expect(running[0]).toMatchObject({ index: 0, offset: 0, study: 1 });
    // A place is free when the last byte is handed over; so many wait for STORED and no more.
    let more = running.map((act) => act.index);
    let count = more.length;
    for (; more.length > 0; count += more.length) more = more.flatMap((index) => of(session.streamed('a', index), 'transmit').map((act) => act.index));
    expect(count).toBe(62);
  });

  it('keeps places for what is more urgent, and gives up packs for it', () => {
    const session = open();
    session.offer(offer('a', new Array<number>(300).fill(300_000)));
    const first = of(session.handle(need(1, 300), 2), 'prepare');
    expect(first.length).toBeLessThanOrEqual(192);
    first.forEach((act) => session.packed('a', act.index, { ...pack(act.index), bytes: 300_000 }));
    session.offer(offer('s', new Array<number>(40).fill(2_000_000), 0));
    const acts = session.handle(need(2, 40), 3);
    expect(of(acts, 'prepare').filter((act) => act.key === 's').length).toBeGreaterThan(15);
    expect(of(acts, 'drop').filter((act) => act.key === 'a').length).toBeGreaterThan(0);
    const running = of(acts, 'prepare').flatMap((act) => of(session.packed('s', act.index, pack(act.index)), 'transmit'));
    expect(running).toHaveLength(2);
  });

  it('goes on where the relay says, if the pack is the same', () => {
    for (const [same, offset] of [[true, 400], [false, 0]] as const) {
      const session = open();
      session.offer(offer('a', [5_000]));
      const acts = session.handle({ type: 'need', study: 1, states: [null], partial: [{ index: 0, pack: same ? pack(0).sha256 : pack(9).sha256, offset: 400 }] }, 2);
      expect(of(acts, 'prepare')).toHaveLength(1);
      expect(of(session.packed('a', 0, pack(0)), 'transmit')[0]?.offset).toBe(offset);
    }
  });

  it('commits when everything is there, and never before', () => {
    const session = open();
    session.offer(offer('a', [1, 1]));
    session.handle(need(1, 2, [1]), 2);
    const committed: Message = { type: 'committed', study: 1, receipt: new Uint8Array(1), signature: new Uint8Array(64) };
    expect(() => session.handle(committed, 3)).toThrow(Violation);
    const again = open();
    again.offer(offer('a', [1, 1]));
    again.handle(need(1, 2, [1]), 2);
    again.handle({ type: 'stored', study: 1, entries: [[0, 1]] }, 3);
    expect(of(again.handle(committed, 4), 'committed')).toHaveLength(1);
    // What comes late about a study that is over is ignored; what was never offered is not.
    expect(again.handle({ type: 'stored', study: 1, entries: [[0, 1]] }, 5)).toEqual([]);
    expect(() => again.handle({ type: 'stored', study: 2, entries: [[0, 1]] }, 5)).toThrow(Violation);
  });

  it('tries again what passes, after a pause that grows, and gives up what does not', () => {
    const session = open();
    session.offer(offer('a', [5_000, 5_000]));
    session.handle(need(1, 2), 0);
    session.packed('a', 0, pack(0));
    let now = 1;
    for (const pause of [250, 500, 1_000]) {
      session.broken('a', 0);
      expect(session.nextTick()).toBe(now + pause);
      now += pause;
      expect(of(session.tick(now), 'transmit')).toHaveLength(1);
    }
    session.handle({ type: 'refused', study: 1, index: 0, code: 1, retryMs: 60_000, detail: '' }, now);
    session.streamed('a', 0);
    expect(session.nextTick()).toBe(now + 60_000);
    const lost = session.handle({ type: 'refused', study: 1, index: 0, code: 6, retryMs: 0, detail: 'no' }, now);
    expect(of(lost, 'refused')[0]).toMatchObject({ index: 0, code: 6 });
    const stuck = session.unpackable('a', 1);
    expect(of(stuck, 'withdrawn')).toHaveLength(1);
    expect(of(stuck, 'send')[0]?.message).toMatchObject({ type: 'withdraw', study: 1 });
  });

  it('offers again under a new number what was refused for a time', () => {
    const session = open();
    session.offer(offer('a', [1]));
    session.handle({ type: 'refused', study: 1, index: null, code: 2, retryMs: 1_000, detail: '' }, 10);
    expect(session.nextTick()).toBe(1_010);
    expect(of(session.tick(1_010), 'send')[0]?.message).toMatchObject({ type: 'offer', study: 2 });
  });

  it('brings every study of any shape to its end against a relay that stores, breaks and forgets at random', () => {
    const next = random(31);
    for (let round = 0; round < 30; round += 1) {
      const counts = Array.from({ length: 1 + Math.floor(next() * 4) }, () => 1 + Math.floor(next() * 60));
      const stored = counts.map(() => new Set<number>());
      const done = new Set<string>();
      for (let connection = 0; connection < 50 && done.size < counts.length; connection += 1) {
        const session = open();
        let now = 2;
        const queue: Act[] = counts.flatMap((count, at) => (done.has(`${at}`) ? [] : session.offer(offer(`${at}`, new Array<number>(count).fill(2_000_000), (at % 3) as 0 | 1 | 2))));
        const numbers = new Map<number, number>();
        let offered = counts.map((_, at) => at).filter((at) => !done.has(`${at}`));
        for (let steps = 0; steps < 5_000; steps += 1) {
          const act = queue.shift();
          if (!act) {
            const due = session.nextTick();
            if (due === null) break;
            now = due;
            queue.push(...session.tick(now));
            continue;
          }
          if (act.do === 'send' && act.message.type === 'offer') {
            const at = offered.shift() ?? 0;
            numbers.set(act.message.study, at);
            queue.push(...session.handle(need(act.message.study, counts[at]!, [...stored[at]!]), now));
            if (stored[at]!.size === counts[at]) queue.push(...session.handle({ type: 'committed', study: act.message.study, receipt: new Uint8Array(1), signature: new Uint8Array(64) }, now));
          } else if (act.do === 'prepare') queue.push(...session.packed(act.key, act.index, pack(act.index)));
          else if (act.do === 'transmit') {
            const at = Number(act.key);
            if (next() < 0.2) queue.push(...session.broken(act.key, act.index));
            else {
              queue.push(...session.streamed(act.key, act.index));
              stored[at]!.add(act.index);
              queue.push(...session.handle({ type: 'stored', study: act.study, entries: [[act.index, 1]] }, now));
              if (stored[at]!.size === counts[at]) queue.push(...session.handle({ type: 'committed', study: act.study, receipt: new Uint8Array(1), signature: new Uint8Array(64) }, now));
            }
          } else if (act.do === 'committed') done.add(act.key);
          if (next() < 0.002) break;
        }
      }
      expect(done.size).toBe(counts.length);
    }
  });
});

describe('the channels of a WebSocket', () => {
  function mux() {
    const pieces: ReturnType<typeof decodePiece>[] = [];
    const ended: [string, string][] = [];
    const socket = { bufferedAmount: 0, send: (bytes: Uint8Array<ArrayBuffer>) => void pieces.push(decodePiece(bytes.slice().buffer)) };
    const made = new Mux(socket, { control: () => undefined, ended: (key, how) => void ended.push([key, how]), sent: () => undefined });
    const piece = (value: Parameters<typeof encodePiece>[0]) => made.take(encodePiece(value).buffer);
    return { made, pieces, ended, socket, piece };
  }
  const bytes = (size: number) => (offset: number) => new Uint8Array(Math.max(0, Math.min(50_000, size - offset)));

  it('send no more than their credit, and go on when more is granted', async () => {
    const { made, pieces, ended, piece } = mux();
    made.open('a', new Uint8Array(57), 0, bytes(600_000), 2);
    const sum = () => pieces.reduce((total, one) => total + (one.kind === 'data' ? one.payload.length : 0), 0);
    expect(sum()).toBe(256 * 1024);
    piece({ kind: 'credit', channel: 1, more: 1_000_000 });
    expect(sum()).toBe(600_057);
    expect(pieces.at(-1)).toMatchObject({ last: true, channel: 1 });
    await Promise.resolve();
    expect(ended).toEqual([['a', 'sent']]);
  });

  it('let the urgent overtake, and number themselves by their first piece', () => {
    const { made, pieces, socket } = mux();
    socket.bufferedAmount = 1 << 20;
    made.open('routine', new Uint8Array(57), 0, bytes(10), 2);
    made.open('stat', new Uint8Array(57), 0, bytes(10), 0);
    socket.bufferedAmount = 0;
    made.send(Uint8Array.of(1, 2));
    expect(pieces.map((one) => one.channel)).toEqual([0, 1, 3]);
    expect(pieces[1]).toMatchObject({ last: true });
    made.stop();
  });

  it('are given up when the relay does not want them, and a wrong piece ends the connection', () => {
    const { made, pieces, ended, piece } = mux();
    made.open('a', new Uint8Array(57), 0, bytes(600_000), 2);
    piece({ kind: 'unwanted', channel: 1, code: 7 });
    expect(pieces.at(-1)).toEqual({ kind: 'givenUp', channel: 1, code: 7 });
    expect(ended).toEqual([['a', 'broken']]);
    expect(() => piece({ kind: 'credit', channel: 9, more: 1 })).toThrow(Violation);
    expect(() => piece({ kind: 'credit', channel: 2, more: 1 })).toThrow(Violation);
    expect(() => piece({ kind: 'data', channel: 1, last: false, payload: new Uint8Array(1) })).toThrow(Violation);
    expect(() => piece({ kind: 'credit', channel: 0, more: 1 })).toThrow(Violation);
    made.stop();
  });
});
