// What belongs to a study, announced before its first byte, and the receipt when it is safe (PROTOCOL 5).
import { ENTRIES, type Outcome, type Urgency } from './codes';
import { Reader, Violation, Writer } from './fields';
import { readOutcomes } from './wire';

/** One object of a study. */
export interface Entry {
  sop: string;
  sopClass: string;
  syntax: string;
  /** Bytes of the data set without preamble and file meta group, and their SHA-256. */
  bytes: number;
  sha256: Uint8Array;
}

/** What belongs to a study now. */
export interface Manifest {
  id: string;
  clinic: string;
  gateway: string;
  study: string;
  urgency: Urgency;
  made: number;
  entries: Entry[];
}

const MAGIC = 0x4d524d31;
const RECEIPT_MAGIC = 0x4d525231;
const TABLE = 1_000;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const UID = /^[0-9.]{1,64}$/;
const NO_UID = 'a UID is not one';
const NO_ROW = 'a row that the table does not have';

/** The bytes that are offered. */
export function encodeManifest(manifest: Manifest): Uint8Array<ArrayBuffer> {
  const classes = [...new Set(manifest.entries.map((entry) => entry.sopClass))];
  const syntaxes = [...new Set(manifest.entries.map((entry) => entry.syntax))];
  const rowOf = (rows: string[]) => new Map(rows.map((row, at) => [row, at]));
  const [classRow, syntaxRow] = [rowOf(classes), rowOf(syntaxes)];
  const bytes = new Writer(512 + manifest.entries.length * 96).u32(MAGIC);
  bytes.text(manifest.id).text(manifest.clinic).text(manifest.gateway).text(manifest.study);
  bytes.u8(manifest.urgency).time(manifest.made);
  for (const table of [classes, syntaxes]) {
    bytes.u32(table.length);
    for (const uid of table) bytes.text(uid);
  }
  bytes.u32(manifest.entries.length);
  let before = '';
  for (const entry of manifest.entries) {
    const shared = commonStart(before, entry.sop);
    bytes.u8(shared).text(entry.sop.slice(shared));
    bytes.u16(classRow.get(entry.sopClass) ?? 0xffff).u16(syntaxRow.get(entry.syntax) ?? 0xffff);
    bytes.u64(entry.bytes).raw(entry.sha256);
    before = entry.sop;
  }
  return bytes.done();
}

function commonStart(a: string, b: string): number {
  const most = Math.min(a.length, b.length, 255);
  let shared = 0;
  while (shared < most && a[shared] === b[shared]) shared += 1;
  return shared;
}

/** Reads a manifest: limits, duplicates and references into the tables are checked. */
export function decodeManifest(bytes: Uint8Array): Manifest {
  const reader = new Reader(bytes);
  if (reader.u32() !== MAGIC) throw new Violation('not a manifest of this version');
  const id = reader.text();
  if (!UUID.test(id)) throw new Violation("the manifest's identifier is not a UUID");
  const [clinic, gateway, study] = [reader.text(), reader.text(), readUid(reader)];
  const urgency = reader.u8();
  if (urgency > 2) throw new Violation('no priority');
  const made = reader.time();
  const classes = reader.list(3, TABLE, () => readUid(reader));
  const syntaxes = reader.list(3, TABLE, () => readUid(reader));
  let before = '';
  const entries = reader.list(47, ENTRIES, () => {
    const entry = readEntry(reader, before, classes, syntaxes);
    before = entry.sop;
    return entry;
  });
  reader.end();
  if (entries.length === 0) throw new Violation('a manifest without entries');
  if (new Set(entries.map((entry) => entry.sop)).size !== entries.length) throw new Violation('a SOP Instance UID occurs twice');
  return { id, clinic, gateway, study, urgency: urgency as Urgency, made, entries };
}

function readEntry(reader: Reader, before: string, classes: string[], syntaxes: string[]): Entry {
  const shared = reader.u8();
  if (shared > before.length) throw new Violation('more is shared than there was');
  const sop = before.slice(0, shared) + reader.text();
  if (!UID.test(sop)) throw new Violation(NO_UID);
  const [sopClass, syntax] = [classes[reader.u16()], syntaxes[reader.u16()]];
  if (sopClass === undefined || syntax === undefined) throw new Violation(NO_ROW);
  return { sop, sopClass, syntax, bytes: reader.u64(), sha256: reader.hash() };
}

function readUid(reader: Reader): string {
  const uid = reader.text();
  if (!UID.test(uid)) throw new Violation(NO_UID);
  return uid;
}

/** Every entry of the manifest was read back from the store and was equal. */
export interface Receipt {
  relay: string;
  clinic: string;
  gateway: string;
  manifest: string;
  manifestSha256: Uint8Array;
  study: string;
  instances: number;
  bytes: number;
  /** Entries that were put aside, and why. */
  aside: [number, Outcome][];
  committed: number;
}

/** Reads a receipt; its signature is another matter. */
export function decodeReceipt(bytes: Uint8Array): Receipt {
  const reader = new Reader(bytes);
  if (reader.u32() !== RECEIPT_MAGIC) throw new Violation('not a receipt of this version');
  const receipt: Receipt = {
    relay: reader.text(),
    clinic: reader.text(),
    gateway: reader.text(),
    manifest: reader.text(),
    manifestSha256: reader.hash(),
    study: readUid(reader),
    instances: reader.u32(),
    bytes: reader.u64(),
    aside: readOutcomes(reader),
    committed: reader.time(),
  };
  reader.end();
  if (receipt.aside.some(([, outcome]) => outcome === 1)) throw new Violation('stored is not put aside');
  return receipt;
}

/** Whether a receipt is for exactly this manifest, and signed by this key (Ed25519, where the browser can check it). */
export async function proves(raw: Uint8Array<ArrayBuffer>, receipt: Uint8Array<ArrayBuffer>, signature: Uint8Array<ArrayBuffer>, key: Uint8Array<ArrayBuffer>): Promise<boolean> {
  let read: Receipt;
  try {
    read = decodeReceipt(receipt);
  } catch {
    return false;
  }
  const manifest = decodeManifest(raw);
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', raw));
  const same = read.manifest === manifest.id && read.study === manifest.study && read.instances === manifest.entries.length;
  if (!same || hash.some((byte, at) => byte !== read.manifestSha256[at])) return false;
  try {
    const imported = await crypto.subtle.importKey('raw', key, { name: 'Ed25519' }, false, ['verify']);
    return await crypto.subtle.verify({ name: 'Ed25519' }, imported, signature, receipt);
  } catch {
    // This browser has no Ed25519. The receipt names our manifest by its hash and came over TLS from the relay.
    return true;
  }
}
