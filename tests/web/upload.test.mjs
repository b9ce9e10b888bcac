// An upload that is broken off again and again at moments left to chance: the tab is closed or crashes, the whole browser dies, the
// relay dies, the line is cut. Nothing may be lost or doubled, and little may go twice. MEDRELAY_TEST_FILES, MEDRELAY_TEST_SIDE (pixels),
// MEDRELAY_TEST_KILLS and MEDRELAY_TEST_SEED make it larger, or the same again.
import assert from 'node:assert/strict';
import { mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { chance, seed, shuffled } from './chance.mjs';
import { browser, page, phantom, profile, Relay, signIn, text, until, watch } from './harness.mjs';
import { Line } from './line.mjs';
import { order, proofs, studyAt } from './sending.mjs';

const FILES = Number(process.env.MEDRELAY_TEST_FILES ?? 200);
const SIDE = Number(process.env.MEDRELAY_TEST_SIDE ?? 128);
const KILLS = Number(process.env.MEDRELAY_TEST_KILLS ?? 8);
const AGAIN_BYTES = 8_000_000;
/** The line is so slow that the upload takes this long for each time that it is broken off. */
const SECONDS_EACH = 3;

let relay;
let scratch;

before(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'medrelay-upload-'));
  relay = await Relay.start();
});

after(async () => {
  await relay?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

function study(name, uid, number) {
  const size = ['--rows', SIDE, '--columns', SIDE, '--slices', FILES].map(String);
  const who = ['--patient-name', 'Zhao^Liu=赵^六', '--patient-id', `UP${number}`, '--body-part', 'CHEST'];
  return phantom(join(scratch, name), '--modality', 'CT', ...size, ...who, '--seed', String(number), '--study-uid', uid);
}

/** What an upload of such a study takes when nothing goes wrong: bytes over the line. */
async function undisturbed(folder) {
  const line = await Line.open(relay.ports.http);
  const started = await browser();
  try {
    const at = await page(started);
    await signIn(at, { url: line.url }, 'tech2');
    await at.goto(`${line.url}/upload`);
    await at.getByTestId('folder').setInputFiles(folder);
    await order(at);
    await at.locator('article.study-done').first().waitFor({ timeout: 300_000 });
    assert.deepEqual(at.faults, []);
    return line.up;
  } finally {
    await started.close();
    await line.close();
  }
}

/** The technician's place: a browser with its profile, and a page that is opened again after every mishap. */
class Place {
  constructor(line, folder, random) {
    Object.assign(this, { line, folder, random, data: join(scratch, 'profile'), faults: [] });
  }

  async open() {
    this.context ??= await profile(this.data);
    const [blank] = this.context.pages().filter((one) => one.url() === 'about:blank');
    this.page = watch(blank ?? (await this.context.newPage()));
    this.page.faults = this.faults;
    await this.page.goto(`${this.line.url}/upload`);
    const title = this.page.getByRole('heading', { level: 1, name: text('technician:upload.title') });
    await title.or(this.page.locator('input[autocomplete="current-password"]')).first().waitFor({ timeout: 60_000 });
    // A session ends with the browser; the upload must not.
    if (!(await title.isVisible())) await signIn(this.page, { url: this.line.url }, 'tech1');
    if (!this.page.url().endsWith('/upload')) await this.page.goto(`${this.line.url}/upload`);
    await title.waitFor();
  }

  pick() {
    return this.page.getByTestId('folder').setInputFiles(this.folder);
  }

  /** As a person does who finds the page asking for the folder. */
  async again() {
    await this.open();
    const asked = this.page.getByText(text('technician:state.needsFiles'));
    const done = this.page.locator('article.study-done');
    await asked.or(done).first().waitFor({ timeout: 60_000 });
    if (await asked.isVisible()) await this.pick();
  }

  async close() {
    await this.context?.close();
  }
}

/** What may happen. Each goes on to where a person, or nobody, has to do something. */
const MISHAPS = {
  'tab closed': async (place) => {
    const gone = place.page;
    const kept = await place.context.newPage();
    await gone.close();
    await kept.waitForTimeout(place.random() * 1500);
    await place.again();
  },
  'tab crashed': async (place) => {
    const crashed = new Promise((resolve) => place.page.once('crash', resolve));
    const protocol = await place.context.newCDPSession(place.page);
    protocol.send('Page.crash').catch(() => undefined);
    await crashed;
    const gone = place.page;
    await place.context.newPage();
    await gone.close();
    await place.again();
  },
  'browser killed': async (place) => {
    const gone = new Promise((resolve) => place.context.once('close', resolve));
    process.kill(Number(readlinkSync(join(place.data, 'SingletonLock')).split('-').at(-1)), 'SIGKILL');
    await gone;
    for (const name of ['SingletonLock', 'SingletonCookie', 'SingletonSocket']) rmSync(join(place.data, name), { force: true });
    place.context = null;
    await place.again();
  },
  'relay killed': async (place) => {
    await relay.kill();
    await new Promise((resolve) => setTimeout(resolve, place.random() * 1500));
    await relay.resume();
  },
  'line cut': (place) => place.line.cut(200 + place.random() * 2500),
};

/** When what happens: every kind in turn, in an order of chance; the first while the files are still being looked at. */
function plan(random) {
  const names = Object.keys(MISHAPS);
  const kinds = Array.from({ length: Math.ceil(KILLS / names.length) }, () => shuffled(names, random)).flat().slice(0, KILLS);
  const shares = Array.from({ length: KILLS - 1 }, () => random() * 0.93).sort((a, b) => a - b);
  return kinds.map((kind, place) => ({ kind, at: place === 0 ? 0 : Math.floor(shares[place - 1] * FILES), delay: random() * 400 }));
}

test('an upload that is broken off again and again', async () => {
  const run = seed();
  const random = chance(run);
  console.log(`upload: seed ${run}, ${FILES} files of ${SIDE}x${SIDE}, broken off ${KILLS} times`);
  const usual = await undisturbed(study('plain', `2.25.${run}1`, 1));
  const uid = `2.25.${run}2`;
  const folder = study('broken', uid, 2);
  const line = await Line.open(relay.ports.http, usual / (KILLS * SECONDS_EACH));
  const place = new Place(line, folder, random);
  const technician = await relay.api('tech1');
  const there = async () => (await studyAt(technician, uid))?.instances ?? 0;
  const marks = [];
  const began = performance.now();
  try {
    await place.open();
    await place.pick();
    await order(place.page);
    const card = place.page.locator('article.study-card');
    await card.waitFor();
    await until('the study to be kept', async () => (await card.locator('form.order-form').count()) === 0);
    for (const { kind, at, delay } of plan(random)) {
      const count = await until(`${at} images at the relay`, async () => (await there()) >= at && { images: await there() }, 180);
      await new Promise((resolve) => setTimeout(resolve, delay));
      marks.push({ kind, at, images: count.images, up: line.up });
      await MISHAPS[kind](place);
    }
    marks.push({ kind: 'end', images: FILES, up: 0 });
    await place.page.locator('article.study-done').first().waitFor({ timeout: 300_000 });
    marks.at(-1).up = line.up;
    await check(technician, uid, proofs(folder));
    report(marks, usual, line.up, (performance.now() - began) / 1000);
    assert.deepEqual(place.faults, []);
  } catch (error) {
    console.log(JSON.stringify(marks), await place.page?.locator('main').innerText({ timeout: 2000 }).catch(() => 'no page'));
    throw error;
  } finally {
    await place.close();
    await line.close();
  }
});

/** Every image once, with its bytes; one study, one case. */
async function check(technician, uid, expected) {
  const found = await studyAt(technician, uid);
  const { series } = await technician.get(`/api/v1/studies/${found.id}`);
  const instances = series.flatMap((one) => one.instances);
  const stored = new Map(instances.map((one) => [one.uid, one.sha256]));
  assert.equal(instances.length, stored.size, 'no image twice');
  assert.equal(expected.size, FILES);
  assert.deepEqual([...stored].sort(), [...expected].sort(), 'every image with the bytes of its file');
  assert.equal(found.instances, FILES);
  const cases = await until('the case', async () => {
    const { items } = await technician.get('/api/v1/cases?limit=200');
    return items.filter((one) => one.study_uid === uid).length;
  });
  assert.equal(cases, 1, 'one case');
  assert.equal((await technician.get('/api/v1/quarantine')).items.filter((one) => one.study_uid === uid).length, 0, 'nothing put aside');
}

/** What went again between one mishap and the next, beyond what the new images take. */
function report(marks, usual, up, seconds) {
  const each = usual / FILES;
  const again = marks.slice(1).map((mark, place) => mark.up - marks[place].up - (mark.images - marks[place].images) * each);
  const most = Math.max(...again);
  const extra = (up - usual) / KILLS;
  const kinds = Object.keys(MISHAPS).map((kind) => `${marks.filter((mark) => mark.kind === kind).length} × ${kind}`);
  console.log(
    `upload: ${FILES} files, ${(usual / 1e6).toFixed(1)} MB on the line when undisturbed, ${KILLS} mishaps (${kinds.join(', ')}) in ${seconds.toFixed(0)} s: ` +
      `0 lost, 0 doubled, ${(extra / 1e3).toFixed(0)} kB sent again for each, ${(most / 1e3).toFixed(0)} kB at most`,
  );
  assert.ok(most <= AGAIN_BYTES && extra <= AGAIN_BYTES, `${most} bytes went again`);
}
