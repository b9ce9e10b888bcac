// Sending a study as a technician does, and what of it the relay must have.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { filesBelow, text } from './harness.mjs';

/** Fills the order form of the only card, with reasons where it wants them, and sends the study. */
export async function order(at, question = '咳嗽三天，有无肺炎？', history = '') {
  const card = at.locator('article.study-card').filter({ has: at.locator('form.order-form') }).first();
  await card.waitFor({ timeout: 120_000 });
  await card.getByLabel(text('technician:order.question')).fill(question);
  if (history !== '') await card.getByLabel(text('technician:order.history')).fill(history);
  const reason = card.getByLabel(text('technician:order.reason'));
  if ((await reason.count()) > 0) await reason.fill('合成影像，已核对');
  await card.getByRole('button', { name: text('technician:order.send') }).click();
}

/** Where the data set begins: after preamble, mark and the file meta group, whose length stands in its first element. */
function dataSet(bytes) {
  if (bytes.toString('latin1', 128, 132) !== 'DICM' || bytes.readUInt32LE(132) !== 0x0000_0002) throw new Error('not a file of PS3.10');
  return bytes.subarray(144 + bytes.readUInt32LE(140));
}

/** The SOP Instance UID as the file meta group has it. */
function instanceOf(bytes) {
  const end = 144 + bytes.readUInt32LE(140);
  for (let at = 144; at + 8 <= end; ) {
    const long = ['OB', 'UN', 'UT', 'OW', 'SQ'].includes(bytes.toString('latin1', at + 4, at + 6));
    const [length, value] = long ? [bytes.readUInt32LE(at + 8), at + 12] : [bytes.readUInt16LE(at + 6), at + 8];
    if (bytes.readUInt16LE(at + 2) === 0x0003) return bytes.toString('latin1', value, value + length).replace(/\0+$/, '');
    at = value + length;
  }
  throw new Error('no SOP Instance UID');
}

/** SHA-256 of the data set of every file in a folder, by SOP Instance UID. */
export function proofs(folder) {
  return new Map(
    filesBelow(folder).map((path) => {
      const bytes = readFileSync(path);
      return [instanceOf(bytes), createHash('sha256').update(dataSet(bytes)).digest('hex')];
    }),
  );
}

/** A study at the relay by its UID; null while it is not there. */
export async function studyAt(api, uid) {
  const { items } = await api.get(`/api/v1/studies?uid=${uid}`);
  return items[0] ?? null;
}
