// The desks of administrator and coordinator, and what holds for everybody: an invitation becomes an account, a clinic joins by a code, a
// device turns green, a study finds its order by a person, numbers leave as a file, a cut is told and mended, nothing stays behind.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { browser, page, phantom, Relay, signIn, text, until } from './harness.mjs';

const CLINIC = '青山镇卫生院';
const PATIENT = '孙晓桐';
let relay;
let started;
let scratch;

before(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'medrelay-desk-'));
  relay = await Relay.start();
  started = await browser();
});

after(async () => {
  await started?.close();
  await relay?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

/** DCMTK's tools, as a clinic's machine would. */
function dcmtk(tool, ...options) {
  const done = spawnSync(tool, options, { encoding: 'utf8' });
  assert.equal(done.status, 0, `${tool}: ${done.error?.message ?? ''}${done.stderr}`);
}

/** A page of somebody at an address. */
async function open(login, path) {
  const at = await page(started);
  await signIn(at, relay, login);
  await at.goto(relay.url + path);
  return at;
}

/** Chooses in a select of a dialog. */
async function choose(at, select, choice) {
  await select.click();
  await at.locator('.ant-select-dropdown:visible .ant-select-item-option').filter({ hasText: choice }).first().click();
}

/** Closes what a story opened; its scripts must have done nothing wrong. */
async function close(...pages) {
  for (const at of pages) {
    assert.deepEqual(at.faults, []);
    await at.context().close();
  }
}

test('an invitation becomes an account with a password of its own', async () => {
  const admin = await open('admin', '/people');
  await admin.getByRole('button', { name: text('admin:people.create') }).click();
  const form = admin.getByRole('dialog');
  await form.getByLabel(text('admin:people.name')).fill('何新来');
  await form.getByLabel(text('admin:people.login')).fill('newcomer');
  await choose(admin, form.locator('.ant-select').nth(0), '县人民医院');
  await choose(admin, form.locator('.ant-select').nth(1), text('common:role.verifier'));
  await form.locator('button[type="submit"]').click();
  await admin.getByRole('img', { name: text('admin:invitation.qr') }).waitFor();
  const link = (await admin.locator('.code-line').innerText()).trim();
  assert.match(link, /\/invite#[0-9a-f]{32,}$/, 'the secret stands behind the #');

  const newcomer = await page(started);
  await newcomer.goto(link);
  await newcomer.locator('#password').fill('steady-lamp-9031');
  await newcomer.locator('#again').fill('steady-lamp-9031');
  assert.ok(!newcomer.url().includes('#'), 'the secret has left the address');
  await newcomer.getByRole('button', { name: text('account:invite.send') }).click();
  await newcomer.getByRole('button', { name: text('account:welcome.next') }).click();
  await newcomer.getByRole('button', { name: text('account:welcome.start') }).click();
  await newcomer.waitForURL(/\/queue$/);

  const another = await page(started);
  await another.goto(link);
  await another.getByText(text('account:invite.over')).waitFor();
  await close(admin, newcomer, another);
});

test('a clinic joins by a code, which is also a QR code', async () => {
  const admin = await open('admin', '/clinics');
  await admin.getByRole('row', { name: CLINIC }).getByRole('button', { name: text('admin:clinics.join') }).click();
  await admin.getByRole('button', { name: text('admin:join.make') }).click();
  await admin.getByRole('img', { name: text('admin:join.qr') }).waitFor();
  await admin.locator('.code-line').nth(1).waitFor();
  const [command, code] = await admin.locator('.code-line').allInnerTexts();
  assert.match(code.trim(), /^[0-9A-Z]{6}(-[0-9A-Z]+)+$/);
  assert.ok(command.includes('medrelay-gateway join https://') && command.includes(code.trim()), command);
  await close(admin);
});

test('a device turns green at its first echo', async () => {
  const admin = await open('admin', '/devices');
  await admin.getByRole('button', { name: text('admin:devices.create') }).first().click();
  const form = admin.getByRole('dialog');
  await choose(admin, form.locator('.ant-select').first(), CLINIC);
  await form.getByLabel(text('admin:devices.name')).fill('新CT机');
  await form.getByLabel(text('admin:devices.ae')).fill('NEWCT');
  await form.locator('button[type="submit"]').click();
  const row = admin.getByRole('row', { name: '新CT机' });
  await row.getByText(text('admin:devices.silent')).waitFor();
  dcmtk('echoscu', '-aet', 'NEWCT', '-aec', 'MEDRELAY', '127.0.0.1', String(relay.ports.dimse));
  await row.locator('.state-good').waitFor({ timeout: 15_000 });
  await close(admin);
});

/** A study whose order is for another number: nobody but a person may say that they belong together. */
async function unmatched() {
  const doctor = await relay.api('doctor1');
  const clinic = (await doctor.get('/api/v1/me')).grants[0].organization;
  const asked = { clinic, accession: 'DESK1', patient_id: 'D0002', patient_name: PATIENT, modality: 'CT', priority: 'urgent', history: '咳嗽', question: '有无肺炎？' };
  const order = await doctor.post('/api/v1/orders', asked);
  const folder = phantom(join(scratch, 'study'), '--modality', 'CT', '--slices', '4', '--patient-id', 'D0001', '--patient-name', `Sun^Xiaotong=${PATIENT}`, '--accession', 'DESK1');
  dcmtk('storescu', '-aet', 'CLINIC1CT', '-aec', 'MEDRELAY', '+sd', '127.0.0.1', String(relay.ports.dimse), folder);
  const technician = await relay.api('tech1');
  const study = (await technician.get('/api/v1/studies?limit=200')).items.find((one) => one.accession === 'DESK1');
  await technician.post(`/api/v1/studies/${study.id}/complete`);
  return { order, study };
}

test('a cut is told and one is back where one was; then a person finds the order of a study', async () => {
  const { order, study } = await unmatched();
  const desk = await open('coordinator', '/unmatched');
  await desk.getByRole('link', { name: text('admin:unmatched.open') }).click();
  const search = desk.getByRole('searchbox', { name: text('admin:unmatched.search') });
  await search.fill('孙');
  const address = desk.url();

  await desk.context().setOffline(true);
  await desk.locator('.link-broken').waitFor({ timeout: 10_000 });
  await desk.context().setOffline(false);
  await desk.locator('.link-back').waitFor({ timeout: 15_000 });
  await relay.kill();
  await desk.locator('.link-broken').waitFor({ timeout: 10_000 });
  await relay.resume();
  await desk.locator('.link-back').waitFor({ timeout: 15_000 });
  assert.equal(desk.url(), address);
  assert.equal(await search.inputValue(), '孙', 'what was typed stays');

  assert.ok(!desk.url().includes('D0001') && !(await desk.title()).includes(PATIENT));
  await desk.getByRole('button', { name: text('admin:unmatched.choose') }).first().click();
  await desk.getByRole('button', { name: text('admin:unmatched.sureYes') }).click();
  await desk.waitForURL(/\/unmatched$/);
  const coordinator = await relay.api('coordinator');
  const found = await until('the study to have its order', async () => {
    const now = (await coordinator.get(`/api/v1/studies/${study.id}`)).study;
    return now.order && now;
  });
  assert.equal(found.order, order.id);
  await close(desk);
});

test('statistics leave as a file for a spreadsheet', async () => {
  const desk = await open('coordinator', '/statistics');
  const cases = desk.locator('.tile b').first();
  await cases.waitFor();
  const leaving = desk.waitForEvent('download');
  await desk.getByRole('button', { name: text('admin:statistics.export') }).click();
  const path = join(scratch, 'statistics.csv');
  await (await leaving).saveAs(path);
  const [heads, ...lines] = readFileSync(path, 'utf8').trim().split(/\r?\n/);
  assert.ok(heads.includes(text('admin:statistics.number.cases')), heads);
  const counted = lines.reduce((sum, line) => sum + Number(line.split(',')[1].replaceAll('"', '')), 0);
  assert.ok(counted >= Number(await cases.innerText()), `${counted} in ${lines.length} lines`);
  await close(desk);
});

/** Everything that a browser keeps for the pages, as one text. */
function stored(at) {
  return at.evaluate(async () => {
    const kept = [JSON.stringify({ ...localStorage }), JSON.stringify({ ...sessionStorage }), JSON.stringify('caches' in globalThis ? await caches.keys() : [])];
    for (const { name } of await indexedDB.databases()) {
      const database = await new Promise((done) => (indexedDB.open(name).onsuccess = (event) => done(event.target.result)));
      for (const store of database.objectStoreNames) {
        kept.push(await new Promise((done) => (database.transaction(store).objectStore(store).getAll().onsuccess = (event) => done(JSON.stringify(event.target.result)))));
      }
      database.close();
    }
    return kept.join('\n');
  });
}

test('nothing of a patient stays on the machine after signing out', async () => {
  const reader = await open('verifier', '/queue');
  await reader.getByRole('button', { name: text('reader:queue.next') }).first().click();
  await reader.waitForURL(/\/case\//);
  const id = reader.url().split('/').at(-1);
  const { patient } = await (await relay.api('verifier')).get(`/api/v1/cases/${id}`).then((detail) => ({ patient: detail.study.patient }));
  assert.ok(patient);
  const words = `${patient}，右肺下叶磨玻璃影`;
  await reader.getByLabel(text('reader:section.findings')).first().fill(words);
  await until('the words to be kept against a crash', async () => (await stored(reader)).includes('磨玻璃影'), 10);
  // Signing out from another page, newly loaded: the part that keeps the words is not in this page's memory.
  await reader.goto(`${relay.url}/account`);
  await reader.locator('header .ant-btn').last().click();
  await reader.getByRole('menuitem', { name: text('common:shell.signOut') }).click();
  await reader.waitForURL(/\/sign-in/);
  const rest = await stored(reader);
  assert.ok(!rest.includes(patient) && !rest.includes('磨玻璃影'), rest);
  await close(reader);
});
