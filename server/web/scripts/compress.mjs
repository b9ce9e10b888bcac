// Puts a Brotli and a gzip form beside every built file: the server embeds these and nothing else.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const root = new URL('../dist/', import.meta.url).pathname;
let raw = 0;
let packed = 0;
for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || /\.(br|gz)$/.test(entry.name)) continue;
  const path = join(entry.parentPath, entry.name);
  const bytes = readFileSync(path);
  // 9 is within 3 % of 11 and takes a tenth of its time.
  const params = { [constants.BROTLI_PARAM_QUALITY]: Number(process.env.BROTLI ?? 9) };
  const brotli = brotliCompressSync(bytes, { params });
  writeFileSync(`${path}.br`, brotli);
  writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
  raw += bytes.length;
  packed += brotli.length;
}
console.log(`${(raw / 1e6).toFixed(2)} MB, ${(packed / 1e6).toFixed(2)} MB as Brotli`);
