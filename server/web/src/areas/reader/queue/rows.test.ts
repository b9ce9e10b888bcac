// The lines of the queue keep their places, whatever happens at the relay.
import { beforeEach, expect, test, vi } from 'vitest';

import type { Filter, QueueLine } from '../api';

const relay = vi.hoisted(() => ({ lines: [] as { id: string; stage: string }[], asked: [] as number[] }));

function line(id: string, stage: string): QueueLine {
  const body = { id, stage, study: `s-${id}`, hold: stage === 'in_progress' ? { holder: 'other', acquired: 1, expires: 2 } : null };
  return { rank: 1, number: id, clinic_name: 'c', centre_name: 'z', patient: 'p', instances: 1, case: body } as unknown as QueueLine;
}

vi.mock('../api', async (original) => ({
  ...(await original<typeof import('../api')>()),
  queuePage: async (_filter: Filter, offset: number, limit: number) => {
    relay.asked.push(offset);
    const ready = relay.lines.filter((entry) => entry.stage === 'ready');
    return { items: ready.slice(offset, offset + limit).map((entry) => line(entry.id, entry.stage)), total: ready.length, counts: { ready: ready.length } };
  },
  readCase: async (id: string) => {
    const entry = relay.lines.find((one) => one.id === id);
    if (!entry) throw new Error('gone');
    return { ...line(entry.id, entry.stage), study: { instances: 9 } };
  },
}));

const { Rows, WINDOW } = await import('./rows');
const filter: Filter = { tab: 'ready', text: '', modality: '', clinic: '', priority: '', overdue: false };

beforeEach(() => {
  relay.lines = Array.from({ length: 500 }, (_, index) => ({ id: `c${index}`, stage: 'ready' }));
  relay.asked = [];
});

async function opened() {
  const rows = new Rows(filter, 'me');
  rows.need(0, 30);
  await vi.waitFor(() => expect(rows.now().ready).toBe(true));
  return rows;
}

test('only the windows that are looked at are fetched', async () => {
  const rows = await opened();
  expect(rows.now().total).toBe(500);
  rows.need(WINDOW, WINDOW + 20);
  await vi.waitFor(() => expect(rows.at(WINDOW)).toBeDefined());
  expect(relay.asked).toEqual([0, WINDOW]);
  expect(rows.at(2 * WINDOW)).toBeUndefined();
});

test('new cases are counted and nothing moves', async () => {
  const rows = await opened();
  relay.lines.unshift({ id: 'n1', stage: 'ready' }, { id: 'n2', stage: 'ready' });
  const found = await rows.changed(new Set(['n1', 'n2']));
  expect(found.map((one) => one.case.id)).toEqual(['n1', 'n2']);
  expect(rows.now().fresh).toBe(2);
  expect(rows.at(0)?.case.id).toBe('c0');
});

test('a case that another took changes in place and does not count as new', async () => {
  const rows = await opened();
  const taken = relay.lines.find((one) => one.id === 'c3');
  if (taken) taken.stage = 'in_progress';
  await rows.changed(new Set(['c3']));
  expect(rows.at(3)?.case.stage).toBe('in_progress');
  expect(rows.hasLeft('c3')).toBe(true);
  expect(rows.now().fresh).toBe(0);
  expect(rows.at(4)?.case.id).toBe('c4');
});

test('one went, one came: one is new', async () => {
  const rows = await opened();
  relay.lines = [{ id: 'n', stage: 'ready' }, ...relay.lines.filter((one) => one.id !== 'c7')];
  await rows.changed(new Set(['c7', 'n']));
  expect(rows.now().fresh).toBe(1);
  expect(rows.hasLeft('c7')).toBe(true);
});
