// The two coders of a pack, as WebAssembly: JPEG-LS by CharLS, and zstd.
import charls from '@cornerstonejs/codec-charls/wasmjs';
import charlsWasm from '@cornerstonejs/codec-charls/wasm?url';
import { compress, decompress, init } from '@bokuweb/zstd-wasm';

const ZSTD_LEVEL = 3;

/** The grey image of a JPEG-LS stream. */
export interface Image {
  width: number;
  height: number;
  bits: number;
}

interface FrameInfo {
  width: number;
  height: number;
  bitsPerSample: number;
  componentCount: number;
}
interface Encoder {
  getDecodedBuffer(frame: FrameInfo): Uint8Array;
  getEncodedBuffer(): Uint8Array;
  setNearLossless(near: number): void;
  encode(): void;
  delete(): void;
}
interface Decoder {
  getEncodedBuffer(length: number): Uint8Array;
  getDecodedBuffer(): Uint8Array;
  getFrameInfo(): FrameInfo;
  decode(): void;
  delete(): void;
}
interface CharLs {
  JpegLSEncoder: new () => Encoder;
  JpegLSDecoder: new () => Decoder;
}

/** Both coders, ready. */
export interface Codecs {
  encodeJpegLs(image: Image, samples: Uint8Array): Uint8Array | null;
  decodeJpegLs(stream: Uint8Array): { image: Image; components: number; samples: Uint8Array } | null;
  compress(bytes: Uint8Array): Uint8Array | null;
  decompress(frame: Uint8Array): Uint8Array | null;
}

let loading: Promise<Codecs> | null = null;

/** Loads the coders, once. */
export function loadCodecs(): Promise<Codecs> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Codecs> {
  const inBrowser = typeof self !== 'undefined';
  const options = inBrowser ? { locateFile: () => charlsWasm } : {};
  const [loaded] = await Promise.all([charls(options), init()]);
  const module = loaded as CharLs;
  return {
    encodeJpegLs: (image, samples) => encodeJpegLs(module, image, samples),
    decodeJpegLs: (stream) => decodeJpegLs(module, stream),
    compress: (bytes) => quietly(() => compress(bytes, ZSTD_LEVEL)),
    decompress: (frame) => quietly(() => decompress(frame)),
  };
}

/** A coder that gives up is no reason to stop: the bytes go another way. */
function quietly<T>(work: () => T): T | null {
  try {
    return work();
  } catch {
    return null;
  }
}

function encodeJpegLs(module: CharLs, image: Image, samples: Uint8Array): Uint8Array | null {
  const encoder = new module.JpegLSEncoder();
  try {
    const frame = { width: image.width, height: image.height, bitsPerSample: image.bits, componentCount: 1 };
    const into = encoder.getDecodedBuffer(frame);
    if (into.length !== samples.length) return null;
    into.set(samples);
    encoder.setNearLossless(0);
    encoder.encode();
    return encoder.getEncodedBuffer().slice();
  } catch {
    return null;
  } finally {
    encoder.delete();
  }
}

function decodeJpegLs(module: CharLs, stream: Uint8Array): { image: Image; components: number; samples: Uint8Array } | null {
  const decoder = new module.JpegLSDecoder();
  try {
    decoder.getEncodedBuffer(stream.length).set(stream);
    decoder.decode();
    const frame = decoder.getFrameInfo();
    const image = { width: frame.width, height: frame.height, bits: frame.bitsPerSample };
    return { image, components: frame.componentCount, samples: decoder.getDecodedBuffer().slice() };
  } catch {
    return null;
  } finally {
    decoder.delete();
  }
}
