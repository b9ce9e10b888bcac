// The clinic's side in the browser: what is dropped (folders, an archive, a disc, rubbish, two patients), a request with its consent
// form up to the reader, and on a doctor's phone the critical finding that is read back, the images under a finger, the discussion,
// the returned case, and the report to acknowledge, print and keep.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import { crc32, deflateRawSync } from 'node:zlib';

import { rewrite } from './dicom.mjs';
import { browser, filesBelow, page, phantom, Relay, signIn, text, until } from './harness.mjs';
import { studyAt } from './sending.mjs';

const PHONE = { width: 390, height: 844, hasTouch: true, isMobile: true };
const UID = '2.25.7700001';
const PAPER = Buffer.from('%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n');

let relay;
let scratch;
let started;
let verifier;
let technician;
let doctor;

before(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'medrelay-clinic-'));
  [relay, started] = await Promise.all([Relay.start(), browser()]);
  verifier = await relay.api('verifier');
  technician = await page(started);
  await signIn(technician, relay, 'tech2');
  doctor = await page(started, PHONE);
  await signIn(doctor, relay, 'doctor2');
});

after(async () => {
  await started?.close();
  await relay?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

function study(name, number, ...more) {
  const who = ['--patient-name', `Wang^Wu=王^五${number}`, '--patient-id', `CL${number}`];
  return phantom(join(scratch, name), '--modality', 'CT', '--slices', '9', '--rows', '128', '--columns', '128', '--seed', String(number), ...who, ...more);
}

/** An archive of a folder, its files deflated. */
function zip(folder) {
  const [parts, directory] = [[], []];
  let at = 0;
  for (const path of filesBelow(folder)) {
    const [bytes, name] = [readFileSync(path), Buffer.from(`影像/${basename(path)}`)];
    const packed = deflateRawSync(bytes);
    const head = Buffer.alloc(26);
    for (const [value, where] of [[20, 0], [0x800, 2], [8, 4], [name.length, 22]]) head.writeUInt16LE(value, where);
    for (const [value, where] of [[crc32(bytes), 10], [packed.length, 14], [bytes.length, 18]]) head.writeUInt32LE(value, where);
    parts.push(Buffer.from('PK\x03\x04', 'latin1'), head, name, packed);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(at, 10);
    directory.push(Buffer.from('PK\x01\x02\x14\x00', 'latin1'), head, tail, name);
    at += 30 + name.length + packed.length;
  }
  const listed = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0, 'latin1');
  for (const where of [8, 10]) end.writeUInt16LE(filesBelow(folder).length, where);
  end.writeUInt32LE(listed.length, 12);
  end.writeUInt32LE(at, 16);
  const path = join(scratch, 'study.zip');
  writeFileSync(path, Buffer.concat([...parts, listed, end]));
  return path;
}

/** A disc as devices burn them: DICOMDIR, images without endings, a viewer. */
function disc(folder) {
  const root = join(scratch, 'disc');
  mkdirSync(join(root, 'DICOM'), { recursive: true });
  for (const [at, path] of filesBelow(folder).entries()) cpSync(path, join(root, 'DICOM', `IM${at}`));
  const made = spawnSync('dcmmkdir', ['+r', '+id', root, 'DICOM'], { cwd: root, encoding: 'utf8' });
  assert.equal(made.status, 0, made.stderr);
  writeFileSync(join(root, 'AUTORUN.INF'), '[autorun]\n');
  return root;
}

/** Drops files and folders on the page as a hand does. */
async function drop(...files) {
  const protocol = await technician.context().newCDPSession(technician);
  const data = { items: [], files, dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop']) await protocol.send('Input.dispatchDragEvent', { type, x: 600, y: 500, data });
  await protocol.detach();
}

const cards = () => technician.locator('article.study-card');

/** Waits for so many cards, gives what stands on the page, and clears the table. */
async function looked(count) {
  await until(`${count} studies`, async () => (await cards().count()) === count);
  const said = { text: await technician.locator('.upload-page').innerText(), red: await technician.locator('article.study-red').count() };
  const skipped = technician.locator('.ant-collapse-header');
  if ((await skipped.count()) > 0) {
    await skipped.click();
    said.skipped = await technician.locator('.upload-skipped').first().innerText();
    await technician.getByRole('button', { name: text('technician:skip.clear') }).click();
  }
  for (let left = count; left > 0; left -= 1) {
    await technician.getByRole('button', { name: text('technician:study.discard') }).first().click();
    await until('a card less', async () => (await cards().count()) < left);
  }
  return said;
}

const filled = (key, values) => Object.entries(values).reduce((whole, [name, value]) => whole.replaceAll(`{{${name}}}`, value), text(key));

test('what is dropped becomes one card for each study, and says what is wrong with it', async () => {
  await technician.goto(`${relay.url}/upload`);
  await technician.getByRole('heading', { level: 1 }).waitFor();
  const [first, second] = [study('first', 1, '--body-part', 'CHEST'), study('second', 2, '--body-part', 'HEAD')];

  await drop(zip(first));
  const archive = await looked(1);
  assert.match(archive.text, /王五1[\s\S]*CL1/);
  assert.ok(archive.text.includes('· 9 ') && archive.red === 0, archive.text);

  await drop(disc(second));
  const burnt = await looked(1);
  assert.match(burnt.text, /王五2/);
  assert.ok(burnt.skipped.includes(filled('technician:skip.directory', { count: 1 })), burnt.skipped);
  assert.ok(burnt.skipped.includes('AUTORUN.INF'));

  const mixed = join(scratch, 'mixed');
  cpSync(first, join(mixed, 'a'), { recursive: true });
  cpSync(second, join(mixed, 'b'), { recursive: true });
  writeFileSync(join(mixed, 'letter.txt'), 'not an image');
  await drop(mixed, filesBelow(first)[0]);
  const two = await looked(2);
  assert.equal(two.red, 2, 'two patients in one folder are red');
  assert.ok(two.text.includes(filled('technician:issue.patientsTogether', { others: '王五2' })), two.text);
  assert.ok(two.skipped.includes(filled('technician:skip.notDicom', { count: 1 })) && two.skipped.includes(filled('technician:skip.copy', { count: 1 })), two.skipped);
});

let id;

test('a study without a patient ID goes with a reason, and its consent form is at the reader', async () => {
  const folder = rewrite(study('nobody', 3, '--body-part', 'CHEST', '--study-uid', UID), [[0x00100020, 'LO', '']]);
  await drop(folder);
  const card = cards().filter({ has: technician.locator('form.order-form') }).first();
  await card.getByText(text('technician:issue.noId')).waitFor();
  await card.getByRole('button', { name: text('technician:order.send') }).click();
  await card.getByText(text('technician:order.missing.question')).waitFor();
  await card.getByLabel(text('technician:order.field.id'), { exact: true }).fill('CL3');
  await card.getByLabel(text('technician:order.question')).fill('咳嗽三天，有无肺炎？');
  await card.getByLabel(text('technician:order.reason')).fill('腕带已核对，设备漏填编号');
  await card.getByText(text('technician:priority.stat.name'), { exact: true }).click();
  const paper = { name: '知情同意书 王五.pdf', mimeType: 'application/pdf', buffer: PAPER };
  await card.getByLabel(text('technician:paper.add')).last().setInputFiles([paper, { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('x') }]);
  await card.getByText(text('technician:paper.refused')).waitFor();

  // Whoever signs out now is asked first.
  await technician.locator('.shell-bar [aria-haspopup="menu"]').last().click();
  await technician.getByText(text('common:shell.signOut'), { exact: true }).click();
  await technician.getByRole('button', { name: text('common:shell.unsent.stay') }).click();

  await card.getByRole('button', { name: text('technician:order.send') }).click();
  await technician.locator('article.study-done').first().waitFor({ timeout: 60_000 });
  const line = await until('the case, tied to its request', async () => (await verifier.get('/api/v1/cases?limit=200')).items.find((one) => one.study_uid === UID));
  id = line.case.id;
  assert.equal(line.case.priority, 'stat');
  assert.equal((await studyAt(verifier, UID)).instances, 9);

  const reader = await page(started);
  await signIn(reader, relay, 'verifier');
  await reader.goto(`${relay.url}/case/${id}`);
  await reader.getByRole('tab', { name: text('reader:pane.request') }).click();
  const link = reader.getByRole('link', { name: `${text('technician:paper.name')}-1.pdf` });
  const address = await link.getAttribute('href');
  const bytes = await reader.evaluate(async (path) => [...new Uint8Array(await (await fetch(path)).arrayBuffer())], address);
  assert.deepEqual(Buffer.from(bytes), PAPER, 'the reader gets the paper as it was');
  assert.ok((await reader.getByText('腕带已核对', { exact: false }).count()) > 0, 'and the reason');
  assert.deepEqual(reader.faults, []);
  await reader.context().close();
});

/** Moves a finger upwards over the picture. */
async function swipe(at) {
  const box = await at.locator('.mrl-image').boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height * 0.7];
  const protocol = await at.context().newCDPSession(at);
  await protocol.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [{ x, y }] });
  for (let step = 1; step <= 8; step += 1) await protocol.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints: [{ x, y: y - step * 15 }] });
  await protocol.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
  await protocol.detach();
}

test('on a phone a critical finding is read back, and the images follow a finger', async () => {
  await doctor.goto(`${relay.url}/reports`);
  await doctor.getByRole('heading', { name: text('clinic:reports.title') }).waitFor();
  // It is raised while the phone has no network, and before the page has heard of anything: it comes with the network.
  await doctor.context().setOffline(true);
  await doctor.getByText(text('common:shell.reconnecting')).waitFor();
  await verifier.post(`/api/v1/cases/${id}/findings`, { code: 'TENSION_PNEUMOTHORAX', text: '右侧张力性气胸。' });
  await doctor.context().setOffline(false);
  const banner = doctor.locator('.critical-banner');
  await banner.waitFor({ timeout: 10_000 });
  await banner.getByRole('link').first().tap();
  await doctor.waitForURL(`**/reports/${id}`);
  await doctor.getByRole('button', { name: text('clinic:finding.readBack') }).tap();
  const dialog = doctor.getByRole('dialog');
  await dialog.getByRole('button', { name: text('clinic:finding.confirm') }).tap();
  await dialog.getByText(text('clinic:finding.readBackRule')).waitFor();
  await dialog.getByLabel(text('clinic:finding.readBackLabel')).fill('王五3，右侧张力性气胸，已收到');
  await dialog.getByRole('button', { name: text('clinic:finding.confirm') }).tap();
  await banner.waitFor({ state: 'detached' });
  await doctor.getByRole('button', { name: text('clinic:finding.settle') }).tap();
  await dialog.getByText(text('clinic:disposition.emergency')).tap();
  await dialog.getByRole('button', { name: text('clinic:finding.send') }).tap();
  const settled = async () => (await verifier.get(`/api/v1/cases/${id}/findings`)).items[0];
  const finding = await until('the finding to be settled', async () => (await settled()).stage === 'settled' && settled());
  assert.equal(finding.read_back, '王五3，右侧张力性气胸，已收到');

  await doctor.getByRole('tab', { name: text('clinic:case.images') }).tap();
  const image = doctor.locator('.mrl-image');
  await image.waitFor();
  const tools = await doctor.locator('.mrl-tools').boundingBox();
  const bar = await doctor.locator('.bottom-bar').boundingBox();
  assert.ok(tools.y + tools.height <= bar.y + 1, 'what the images are worked by is on the screen');
  const place = async () => Number(await image.getAttribute('aria-valuenow'));
  const begun = await place();
  await swipe(doctor);
  await until('another image', async () => (await place()) !== begun);
  await doctor.getByLabel(text('viewer:toolbar.presets')).selectOption('lung');
  await until('the picture in that window', () =>
    doctor.locator('.mrl-image img').evaluate((one) => one.src.includes('window=-600,1500') && one.complete && one.naturalWidth > 0),
  );
});

test('the clinic asks, the reader answers; a returned case is sent again', async () => {
  const reader = await page(started);
  await signIn(reader, relay, 'verifier');
  await reader.goto(`${relay.url}/case/${id}`);
  await reader.getByRole('tab', { name: text('reader:pane.discussion') }).click();

  await doctor.getByRole('tab', { name: text('clinic:case.talk') }).tap();
  await doctor.getByLabel(text('clinic:talk.label')).fill('需要增强扫描吗？');
  await doctor.getByRole('button', { name: text('clinic:talk.send') }).tap();
  await reader.getByText('需要增强扫描吗？').waitFor({ timeout: 10_000 });
  await reader.getByLabel(text('reader:said.write')).fill('不需要，先处理气胸。');
  await reader.getByRole('button', { name: text('reader:said.send') }).click();
  await doctor.getByText('不需要，先处理气胸。').waitFor({ timeout: 10_000 });

  const proof = await verifier.post(`/api/v1/cases/${id}/claim`).then(({ token, fence }) => ({ token, fence }));
  await verifier.post(`/api/v1/cases/${id}/return`, { proof, code: 'MISSING_HISTORY', text: '请补充外伤史。' });
  await technician.goto(`${relay.url}/cases`);
  const returned = technician.getByRole('region', { name: text('clinic:cases.returned') });
  await returned.getByText('请补充外伤史。').waitFor();
  await returned.getByText(text('shared:advice.MISSING_HISTORY')).waitFor();
  await returned.getByRole('button', { name: text('clinic:returned.resubmit') }).click();
  const dialog = technician.getByRole('dialog');
  await dialog.getByRole('button', { name: text('clinic:returned.send') }).click();
  await dialog.getByText(text('clinic:returned.historyRule')).waitFor();
  await dialog.getByLabel(text('clinic:returned.history')).fill('昨日从三米高处坠落。');
  await dialog.getByRole('button', { name: text('clinic:returned.send') }).click();
  await returned.waitFor({ state: 'detached' });
  assert.equal((await verifier.get(`/api/v1/cases/${id}`)).case.stage, 'ready');
  await reader.getByText('昨日从三米高处坠落。').waitFor({ timeout: 10_000 });
  assert.deepEqual(reader.faults, []);
  await reader.context().close();
});

test('the report is acknowledged, printed and kept as a file', async () => {
  const proof = await verifier.post(`/api/v1/cases/${id}/claim`).then(({ token, fence }) => ({ token, fence }));
  const words = { findings: '右侧胸腔大量积气，肺压缩约80%。', impression: '右侧张力性气胸。', recommendation: '立即胸腔闭式引流。' };
  await verifier.post(`/api/v1/cases/${id}/sign`, { proof, text: words });
  await doctor.getByRole('tab', { name: text('clinic:case.report') }).tap();
  const report = doctor.locator('.clinic-page .ant-card').first();
  await report.getByText(words.recommendation).waitFor({ timeout: 10_000 });
  assert.doesNotMatch(await report.innerText(), /[0-9a-f]{8}-[0-9a-f]{4}-/, 'people read names, not identifiers');
  const print = report.getByRole('link', { name: text('clinic:report.print') });
  const answer = await doctor.evaluate(async (path) => {
    const got = await fetch(path);
    return { type: got.headers.get('content-type'), how: got.headers.get('content-disposition'), front: (await got.text()).slice(0, 5) };
  }, await print.getAttribute('href'));
  assert.equal(answer.type, 'application/pdf');
  assert.match(answer.how, /^inline/);
  assert.equal(answer.front, '%PDF-');
  const [kept] = await Promise.all([doctor.waitForEvent('download'), report.getByRole('link', { name: text('clinic:report.download') }).tap()]);
  assert.equal(readFileSync(await kept.path(), 'latin1').slice(0, 5), '%PDF-');
  assert.match(kept.suggestedFilename(), /^[\w-]+\.pdf$/);
  await report.getByRole('button', { name: text('clinic:report.acknowledge') }).tap();
  await report.getByText(text('clinic:reports.acknowledged')).waitFor();
  await until('the case to be closed', async () => (await verifier.get(`/api/v1/cases/${id}`)).case.stage === 'closed');
  assert.deepEqual([...technician.faults, ...doctor.faults], []);
});
