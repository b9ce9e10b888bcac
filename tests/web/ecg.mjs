// A 12-lead ECG as a DICOM file of PS3.10: eight leads as devices record them, ten seconds, 75 beats a minute.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const LONG = new Set(['OB', 'OW', 'SQ', 'UN', 'UT']);
const CLASS = '1.2.840.10008.5.1.4.1.1.9.1.1';
const RATE = 500;
const SECONDS = 10;
/** Leads with their codes (CID 3001) and how high their beat is, in millivolts. */
const LEADS = [['I', '2:1', 0.7], ['II', '2:2', 1.1], ['V1', '2:3', -0.8], ['V2', '2:4', -1], ['V3', '2:5', 0.5], ['V4', '2:6', 1.2], ['V5', '2:7', 1.1], ['V6', '2:8', 0.9]];

function element(tag, vr, value) {
  const pad = vr === 'UI' ? '\0' : ' ';
  const plain = Buffer.isBuffer(value) ? value : Buffer.from(value, 'utf8');
  const bytes = plain.length % 2 === 0 ? plain : Buffer.concat([plain, Buffer.from(vr === 'OB' || vr === 'OW' ? '\0' : pad)]);
  const head = Buffer.alloc(LONG.has(vr) ? 12 : 8);
  head.writeUInt16LE(tag >>> 16, 0);
  head.writeUInt16LE(tag & 0xffff, 2);
  head.write(vr, 4, 'latin1');
  if (LONG.has(vr)) head.writeUInt32LE(bytes.length, 8);
  else head.writeUInt16LE(bytes.length, 6);
  return Buffer.concat([head, bytes]);
}

function number(tag, vr, value) {
  const bytes = Buffer.alloc(vr === 'US' ? 2 : 4);
  if (vr === 'US') bytes.writeUInt16LE(value);
  else bytes.writeUInt32LE(value);
  return element(tag, vr, bytes);
}

function sequence(tag, ...items) {
  const wrapped = items.map((item) => {
    const bytes = Buffer.concat(item);
    const head = Buffer.from([0xfe, 0xff, 0x00, 0xe0, 0, 0, 0, 0]);
    head.writeUInt32LE(bytes.length, 4);
    return Buffer.concat([head, bytes]);
  });
  return element(tag, 'SQ', Buffer.concat(wrapped));
}

const code = (tag, value, scheme, meaning) => sequence(tag, [element(0x0008_0100, 'SH', value), element(0x0008_0102, 'SH', scheme), element(0x0008_0104, 'LO', meaning)]);

/** One heart beat, `at` seconds after its beginning: P, QRS and T of height one. */
function beat(at) {
  const hump = (middle, width, height) => height * Math.exp(-(((at - middle) / width) ** 2));
  return hump(0.12, 0.025, 0.12) + hump(0.245, 0.008, -0.12) + hump(0.265, 0.01, 1) + hump(0.29, 0.01, -0.2) + hump(0.5, 0.05, 0.28);
}

/** Writes the ECG into a folder; gives its UIDs. */
export function ecg(folder, { patientId = 'ECG1', name = 'Wang^Fang=王^芳' } = {}) {
  mkdirSync(folder, { recursive: true });
  const uid = (part) => `2.25.77${Date.now()}${part}`;
  const [study, series, sop] = [uid(1), uid(2), uid(3)];
  const samples = RATE * SECONDS;
  const pixels = Buffer.alloc(samples * LEADS.length * 2);
  for (let sample = 0; sample < samples; sample += 1) {
    // Microvolts, interleaved.
    LEADS.forEach(([, , height], lead) => pixels.writeInt16LE(Math.round(1_000 * height * beat((sample / RATE) % 0.8)), (sample * LEADS.length + lead) * 2));
  }
  const channels = LEADS.map(([lead, value]) => [
    element(0x003a_0203, 'SH', lead),
    code(0x003a_0208, value, 'MDC', `Lead ${lead}`),
    element(0x003a_0210, 'DS', '1'),
    code(0x003a_0211, 'uV', 'UCUM', 'microvolt'),
    element(0x003a_0212, 'DS', '1'),
    element(0x003a_0213, 'DS', '0'),
    number(0x003a_021a, 'US', 16),
    element(0x003a_0220, 'DS', '0.05'),
    element(0x003a_0221, 'DS', '150'),
  ]);
  const data = Buffer.concat([
    element(0x0008_0005, 'CS', 'ISO_IR 192'), element(0x0008_0016, 'UI', CLASS), element(0x0008_0018, 'UI', sop), element(0x0008_0020, 'DA', '20261122'),
    element(0x0008_002a, 'DT', '20261122080000'), element(0x0008_0030, 'TM', '080000'), element(0x0008_0050, 'SH', `E${patientId}`),
    element(0x0008_0060, 'CS', 'ECG'), element(0x0008_0070, 'LO', 'phantom'), element(0x0008_1030, 'LO', '十二导联心电图'),
    element(0x0010_0010, 'PN', name), element(0x0010_0020, 'LO', patientId), element(0x0010_0030, 'DA', '19600101'), element(0x0010_0040, 'CS', 'F'),
    element(0x0018_0015, 'CS', 'CHEST'), element(0x0020_000d, 'UI', study), element(0x0020_000e, 'UI', series), element(0x0020_0011, 'IS', '1'), element(0x0020_0013, 'IS', '1'),
    sequence(0x5400_0100, [
      element(0x003a_0004, 'CS', 'ORIGINAL'), number(0x003a_0005, 'US', LEADS.length), number(0x003a_0010, 'UL', samples), element(0x003a_001a, 'DS', String(RATE)),
      element(0x003a_0020, 'SH', 'RHYTHM'), sequence(0x003a_0200, ...channels), number(0x5400_1004, 'US', 16), element(0x5400_1006, 'CS', 'SS'), element(0x5400_1010, 'OW', pixels),
    ]),
  ]);
  const meta = Buffer.concat([
    element(0x0002_0001, 'OB', Buffer.from([0, 1])), element(0x0002_0002, 'UI', CLASS), element(0x0002_0003, 'UI', sop),
    element(0x0002_0010, 'UI', '1.2.840.10008.1.2.1'), element(0x0002_0012, 'UI', '2.25.770000000000000000000000000001'),
  ]);
  const file = Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), number(0x0002_0000, 'UL', meta.length), meta, data]);
  writeFileSync(join(folder, 'ecg.dcm'), file);
  return { study, series, sop };
}
