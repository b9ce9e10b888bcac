// Fails when a text is missing in one of the languages, has other places to fill in, is used but nowhere written, or is written but
// nowhere used.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = new URL('../src/', import.meta.url).pathname;
const faults = [];

function flat(value, prefix, into) {
  for (const [key, inner] of Object.entries(value)) {
    const name = prefix ? `${prefix}.${key}` : key;
    if (typeof inner === 'string') into.set(name, inner);
    else flat(inner, name, into);
  }
  return into;
}

const plural = /_(zero|one|two|few|many|other)$/;
const places = (text) => [...text.matchAll(/\{\{\s*(\w+)[^}]*\}\}/g)].map((found) => found[1]).sort().join(',');
const known = new Set();
for (const file of readdirSync(join(root, 'i18n/zh'))) {
  const area = file.replace('.json', '');
  const read = (language) => flat(JSON.parse(readFileSync(join(root, 'i18n', language, file), 'utf8')), '', new Map());
  const zh = read('zh');
  const en = read('en');
  const base = (key) => key.replace(plural, '');
  const bases = { zh: new Set([...zh.keys()].map(base)), en: new Set([...en.keys()].map(base)) };
  for (const key of bases.zh) {
    if (!bases.en.has(key)) faults.push(`en/${file}: ${key} is missing`);
    known.add(`${area}:${key}`);
  }
  for (const key of bases.en) if (!bases.zh.has(key)) faults.push(`zh/${file}: ${key} is missing`);
  for (const [key, text] of zh) {
    if (text.trim() === '') faults.push(`zh/${file}: ${key} is empty`);
    const other = en.get(key) ?? en.get(`${base(key)}_other`);
    if (other !== undefined && places(other) !== places(text)) faults.push(`${file}: ${key} is filled in differently`);
  }
}

let source = '';
for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
  if (entry.isFile() && /\.tsx?$/.test(entry.name)) source += readFileSync(join(entry.parentPath, entry.name), 'utf8');
}
// A text is named by its area and key: t('reader:queue.title'). Keys that are put together name their front: t(`common:stage.${stage}`).
const whole = new Set([...source.matchAll(/['"`]([a-z]+:[A-Za-z0-9_.-]+)['"`]/g)].map((found) => found[1]));
const fronts = [...source.matchAll(/`([a-z]+:[A-Za-z0-9_.-]*)\$\{/g)].map((found) => found[1]);
const areas = new Set([...known].map((key) => key.split(':')[0]));
for (const key of whole) {
  if (areas.has(key.split(':')[0]) && !known.has(key)) faults.push(`${key} is used and nowhere written`);
}
for (const key of known) {
  if (!whole.has(key) && !fronts.some((front) => key.startsWith(front))) faults.push(`${key} is written and nowhere used`);
}
if (faults.length > 0) {
  console.error(faults.join('\n'));
  process.exit(1);
}
console.log(`${known.size} texts in two languages`);
