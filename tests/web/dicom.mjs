// Other texts in DICOM files: a file of PS3.10 in Explicit VR Little Endian with some elements replaced, or put where they belong.
import { readFileSync, writeFileSync } from 'node:fs';

import { filesBelow } from './harness.mjs';

const LONG = ['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV'];
const PIXELS = 0x7fe0_0010;

/** The elements of a data set up to the pixels, whose place is `rest`. */
function elements(bytes, start) {
  const found = [];
  let at = start;
  while (at + 8 <= bytes.length) {
    const tag = ((bytes.readUInt16LE(at) << 16) | bytes.readUInt16LE(at + 2)) >>> 0;
    if (tag >= PIXELS) break;
    const vr = bytes.toString('latin1', at + 4, at + 6);
    const length = LONG.includes(vr) ? bytes.readUInt32LE(at + 8) : bytes.readUInt16LE(at + 6);
    if (length === 0xffff_ffff) throw new Error(`no length at ${tag.toString(16)}`);
    const end = at + (LONG.includes(vr) ? 12 : 8) + length;
    found.push({ tag, bytes: bytes.subarray(at, end) });
    at = end;
  }
  return { found, rest: at };
}

function element(tag, vr, text) {
  const value = Buffer.from(text, 'utf8');
  const even = value.length % 2 === 0 ? value : Buffer.concat([value, Buffer.from(' ')]);
  const head = Buffer.alloc(8);
  head.writeUInt16LE(tag >>> 16, 0);
  head.writeUInt16LE(tag & 0xffff, 2);
  head.write(vr, 4, 'latin1');
  head.writeUInt16LE(even.length, 6);
  return { tag, bytes: Buffer.concat([head, even]) };
}

/** Puts texts into every file of a folder: `[[0x00100010, 'PN', 'text'], …]`. */
export function rewrite(folder, texts) {
  for (const path of filesBelow(folder)) {
    const bytes = readFileSync(path);
    const start = 144 + bytes.readUInt32LE(140);
    const { found, rest } = elements(bytes, start);
    const changed = texts.map(([tag, vr, text]) => element(tag, vr, text));
    const kept = found.filter((one) => !changed.some((other) => other.tag === one.tag));
    const all = [...kept, ...changed].sort((a, b) => a.tag - b.tag).map((one) => one.bytes);
    writeFileSync(path, Buffer.concat([bytes.subarray(0, start), ...all, bytes.subarray(rest)]));
  }
  return folder;
}
