// The fields that everything on the link is made of (PROTOCOL 2): integers, texts, byte strings, lists.

/** The other side, or a file, broke a rule; the text names the rule, never the content. */
export class Violation extends Error {
  constructor(rule: string) {
    super(rule);
    this.name = 'Violation';
  }
}

const utf8 = new TextEncoder();
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const SHORT = 'a field is longer than what is left';
const TEXT_BYTES = 0xffff;

/** Takes fields off the front of a byte string; what a length claims is checked before anything is made for it. */
export class Reader {
  private at = 0;
  private readonly view: DataView;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** How many bytes are left. */
  get left(): number {
    return this.bytes.length - this.at;
  }

  private take(count: number): number {
    if (count > this.left) throw new Violation(SHORT);
    const from = this.at;
    this.at += count;
    return from;
  }

  raw(count: number): Uint8Array {
    const from = this.take(count);
    return this.bytes.slice(from, from + count);
  }

  u8(): number {
    return this.view.getUint8(this.take(1));
  }

  u16(): number {
    return this.view.getUint16(this.take(2));
  }

  u32(): number {
    return this.view.getUint32(this.take(4));
  }

  u64(): number {
    const value = this.view.getBigUint64(this.take(8));
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Violation('a number is larger than can be counted');
    return Number(value);
  }

  time(): number {
    return Number(this.view.getBigInt64(this.take(8)));
  }

  hash(): Uint8Array {
    return this.raw(32);
  }

  text(): string {
    const length = this.u16();
    const from = this.take(length);
    try {
      return strict.decode(this.bytes.subarray(from, from + length));
    } catch {
      throw new Violation('a text is not UTF-8');
    }
  }

  byteString(): Uint8Array {
    return this.raw(this.u32());
  }

  /** A list of at most `most` items, none of which takes less than `least` bytes. */
  list<T>(least: number, most: number, item: () => T): T[] {
    const count = this.u32();
    if (count > most) throw new Violation('a list is longer than it may be');
    if (count * least > this.left) throw new Violation(SHORT);
    return Array.from({ length: count }, item);
  }

  option<T>(value: () => T): T | null {
    const flag = this.u8();
    if (flag > 1) throw new Violation('an option is neither 0 nor 1');
    return flag === 0 ? null : value();
  }

  /** Nothing may be left over. */
  end(): void {
    if (this.left > 0) throw new Violation('bytes after the last field');
  }
}

/** Appends fields to a byte string that grows. */
export class Writer {
  private bytes: Uint8Array<ArrayBuffer>;
  private view: DataView;
  private length = 0;

  constructor(capacity = 64) {
    this.bytes = new Uint8Array(Math.max(16, capacity));
    this.view = new DataView(this.bytes.buffer);
  }

  private grow(count: number): number {
    const from = this.length;
    this.length += count;
    if (this.length > this.bytes.length) {
      const larger = new Uint8Array(Math.max(this.length, this.bytes.length * 2));
      larger.set(this.bytes.subarray(0, from));
      this.bytes = larger;
      this.view = new DataView(larger.buffer);
    }
    return from;
  }

  raw(value: Uint8Array): this {
    const from = this.grow(value.length);
    this.bytes.set(value, from);
    return this;
  }

  u8(value: number): this {
    const from = this.grow(1);
    this.view.setUint8(from, value);
    return this;
  }

  u16(value: number): this {
    const from = this.grow(2);
    this.view.setUint16(from, value);
    return this;
  }

  u32(value: number): this {
    const from = this.grow(4);
    this.view.setUint32(from, value);
    return this;
  }

  u64(value: number): this {
    const from = this.grow(8);
    this.view.setBigUint64(from, BigInt(value));
    return this;
  }

  time(value: number): this {
    const from = this.grow(8);
    this.view.setBigInt64(from, BigInt(Math.trunc(value)));
    return this;
  }

  /** A text; what does not fit in its 16 bits of length is cut off between two characters. */
  text(value: string): this {
    let bytes = utf8.encode(value);
    if (bytes.length > TEXT_BYTES) {
      let end = TEXT_BYTES;
      while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
      bytes = bytes.subarray(0, end);
    }
    return this.u16(bytes.length).raw(bytes);
  }

  byteString(value: Uint8Array): this {
    return this.u32(value.length).raw(value);
  }

  /** What was written, as bytes of its own. */
  done(): Uint8Array<ArrayBuffer> {
    return this.bytes.slice(0, this.length);
  }
}
