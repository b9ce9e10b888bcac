// The keeper of a text: nothing is sent twice at once, nothing that was typed is forgotten.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { Problem } from '@/api/problem';

import type { Writing } from '../api';

const held = vi.hoisted(() => new Map<string, unknown>());
vi.mock('./recovery', () => ({
  keep: (name: string, text: unknown) => held.set(name, text),
  forget: (name: string) => held.delete(name),
}));

const { Keeper, EMPTY } = await import('./keeper');
const proof = { token: 't', fence: 1 };

function refusal(status: number, code: string): Problem {
  return new Problem({ status, code, detail: code });
}

beforeEach(() => {
  vi.useFakeTimers();
  held.clear();
});
afterEach(() => {
  vi.useRealTimers();
});

test('saves a pause after typing, and only what is new', async () => {
  const sent: Writing[] = [];
  const keeper = new Keeper('c', EMPTY, null, async (_proof, text) => {
    sent.push(text);
    return { saved_at: 7 };
  });
  keeper.hold(proof);
  keeper.write('findings', '双');
  keeper.write('findings', '双肺');
  expect(held.get('c')).toEqual({ ...EMPTY, findings: '双肺' });
  await vi.advanceTimersByTimeAsync(2_600);
  expect(sent).toEqual([{ ...EMPTY, findings: '双肺' }]);
  expect(keeper.now()).toMatchObject({ saving: 'saved', savedAt: 7 });
  expect(held.size).toBe(0);
  await keeper.save();
  expect(sent).toHaveLength(1);
});

test('whoever never stops typing is saved all the same', async () => {
  let count = 0;
  const keeper = new Keeper('c', EMPTY, null, async () => {
    count += 1;
    return { saved_at: 1 };
  });
  keeper.hold(proof);
  for (let letter = 0; letter < 30; letter += 1) {
    keeper.write('findings', '字'.repeat(letter + 1));
    await vi.advanceTimersByTimeAsync(500);
  }
  expect(count).toBeGreaterThanOrEqual(1);
});

test('a cut line is tried again until it goes', async () => {
  let fails = 2;
  const keeper = new Keeper('c', EMPTY, null, async () => {
    if (fails-- > 0) throw refusal(0, 'NETWORK');
    return { saved_at: 1 };
  });
  keeper.hold(proof);
  keeper.write('impression', '未见异常');
  await vi.advanceTimersByTimeAsync(2_600);
  expect(keeper.now().saving).toBe('offline');
  expect(held.size).toBe(1);
  await vi.advanceTimersByTimeAsync(20_000);
  expect(keeper.now().saving).toBe('saved');
});

test('a lost claim stops everything and keeps the text', async () => {
  let count = 0;
  const keeper = new Keeper('c', EMPTY, null, async () => {
    count += 1;
    throw refusal(409, 'CLAIM_LOST');
  });
  keeper.hold(proof);
  keeper.write('findings', '写了一半');
  await vi.advanceTimersByTimeAsync(60_000);
  expect(count).toBe(1);
  expect(keeper.now().saving).toBe('lost');
  expect(held.get('c')).toEqual({ ...EMPTY, findings: '写了一半' });
  keeper.write('findings', '写了一半再写');
  await vi.advanceTimersByTimeAsync(60_000);
  expect(count).toBe(1);
  expect(held.get('c')).toEqual({ ...EMPTY, findings: '写了一半再写' });
});

test('what is typed while a save is under way is saved after it', async () => {
  const sent: string[] = [];
  let release: (() => void) | undefined;
  const keeper = new Keeper('c', EMPTY, null, async (_proof, text) => {
    sent.push(text.findings);
    await new Promise<void>((go) => {
      release = go;
    });
    return { saved_at: 1 };
  });
  keeper.hold(proof);
  keeper.write('findings', '一');
  await vi.advanceTimersByTimeAsync(2_600);
  keeper.write('findings', '一二');
  release?.();
  await vi.advanceTimersByTimeAsync(3_000);
  release?.();
  await vi.advanceTimersByTimeAsync(3_000);
  expect(sent).toEqual(['一', '一二']);
  expect(keeper.now().saving).toBe('saved');
});
