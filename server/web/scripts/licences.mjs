// Fails when a package that the pages are made of has another licence than those that we ship under, or a lock entry has no digest.
import { readFileSync } from 'node:fs';

const root = new URL('../', import.meta.url).pathname;
const allowed = new Set(['MIT', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MPL-2.0', '0BSD', 'Zlib', 'CC0-1.0', 'Unlicense', 'BlueOak-1.0.0', 'Python-2.0', 'CC-BY-4.0', 'BSL-1.0']);
const lock = JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8'));
const fits = (expression) => {
  const text = expression.replace(/[()]/g, '');
  return text.split(/ OR /).some((choice) => choice.split(/ AND /).every((one) => allowed.has(one.trim())));
};
const faults = [];
let seen = 0;
for (const [path, entry] of Object.entries(lock.packages)) {
  if (path === '' || entry.link) continue;
  if (!entry.integrity) faults.push(`${path}: no digest in package-lock.json`);
  let manifest;
  try {
    manifest = JSON.parse(readFileSync(`${root}${path}/package.json`, 'utf8'));
  } catch {
    if (entry.optional) continue;
    faults.push(`${path}: not installed`);
    continue;
  }
  const licence = typeof manifest.license === 'string' ? manifest.license : (manifest.license?.type ?? manifest.licenses?.[0]?.type);
  if (!licence || !fits(licence)) faults.push(`${path}: licence ${licence ?? 'unknown'}`);
  seen += 1;
}
if (faults.length > 0) {
  console.error(faults.join('\n'));
  process.exit(1);
}
console.log(`${seen} packages, licences as they should be`);
