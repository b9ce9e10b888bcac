// The main job through the browser alone: a technician uploads a study, a reader takes the next case, scrolls, measures, writes Chinese
// with an input method and signs; the clinic sees the report at once and acknowledges it. With and without a graphics card's help, and
// with the clinic's side on a phone.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { browser, filesBelow, GRAPHICS, page, phantom, Relay, signIn, studyFolder, text, until } from './harness.mjs';
import { drawn, greys, shown, which } from './picture.mjs';

const IMPRESSION = '颅脑CT平扫未见明显异常。';
let relay;
let scratch;

before(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'medrelay-story-'));
  relay = await Relay.start();
  // What the samples have of emergencies is somebody else's work: the uploaded study is to be the next case.
  const other = await relay.api('verifier');
  const urgent = (await other.get('/api/v1/queue')).items.filter((line) => line.case.priority === 'stat');
  for (const line of urgent) {
    const { token, fence } = await other.post(`/api/v1/cases/${line.case.id}/claim`);
    const words = { findings: '未见异常。', impression: '未见异常。', recommendation: '' };
    await other.post(`/api/v1/cases/${line.case.id}/sign`, { proof: { token, fence }, text: words });
  }
});

after(async () => {
  await relay?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

/** Uploads a folder as a technician does; gives how many images went. */
async function upload(at, folder) {
  await signIn(at, relay, 'tech2');
  await at.goto(`${relay.url}/upload`);
  await at.getByTestId('folder').setInputFiles(folder);
  const card = at.locator('article.study-card').filter({ has: at.locator('form.order-form') }).first();
  await card.waitFor({ timeout: 60_000 });
  await card.getByLabel(text('technician:order.question')).fill('头痛两天，有无出血？');
  await card.getByText(text('technician:priority.stat.name'), { exact: true }).click();
  const reason = card.getByLabel(text('technician:order.reason'));
  // Studies without a name or number on them are only sent with a reason.
  if ((await reason.count()) > 0) await reason.fill('去标识的教学影像，已核对');
  for (const field of ['name', 'id']) {
    const box = card.getByLabel(text(`technician:order.field.${field}`), { exact: true });
    if ((await box.count()) > 0 && (await box.inputValue()) === '') await box.fill(field === 'name' ? '测试患者' : 'WEB0001');
  }
  await card.getByRole('button', { name: text('technician:order.send') }).click();
  const done = at.locator('article.study-done').first();
  await done.waitFor({ timeout: 120_000 });
  const [there, all] = /(\d+) \/ (\d+)/.exec(await done.locator('.progress-numbers').innerText()).slice(1).map(Number);
  assert.equal(there, all);
  return all;
}

/** Types as an input method does: a composition that grows, and then stands. */
async function compose(at, words) {
  const protocol = await at.context().newCDPSession(at);
  for (let end = 1; end <= words.length; end += 1) {
    await protocol.send('Input.imeSetComposition', { text: words.slice(0, end), selectionStart: end, selectionEnd: end });
  }
  await protocol.send('Input.insertText', { text: words });
  await protocol.detach();
}

/** Takes the next case and waits for its first picture. */
async function takeNext(at) {
  await at.goto(`${relay.url}/queue`);
  await at.getByRole('button', { name: text('reader:queue.next') }).first().click();
  await at.waitForURL(/\/case\//, { timeout: 30_000 });
  await until('a picture in the viewer', async () => greys(await shown(at)) > 8, 60);
  return at.url().split('/').at(-1);
}

/** The right slice before scrolling, and the right one after. */
async function scrollAndCheck(at, reader, id) {
  const detail = await reader.get(`/api/v1/cases/${id}`);
  const label = await at.locator('.mrv-image').first();
  const box = await label.boundingBox();
  await at.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  const pictures = await drawn(at, detail.study.uid, '40,80,linear');
  const seen = async () => which(await shown(at), pictures);
  const before = await until('the picture to be one of the study', async () => {
    const found = await seen();
    return found.score > 0.8 && found;
  });
  const steps = before.index < pictures.length / 2 ? 3 : -3;
  for (let step = 0; step < 3; step += 1) {
    await at.mouse.wheel(0, 100 * Math.sign(steps));
    await at.waitForTimeout(150);
  }
  const after = await until('the picture three slices further', async () => {
    const found = await seen();
    return found.score > 0.8 && Math.abs(found.index - before.index) === 3 && found;
  });
  assert.ok(after.index !== before.index);
  return detail;
}

/** Measures a length across the picture; its value stands on the pane. */
async function measure(at) {
  await at.getByRole('toolbar', { name: text('viewer:toolbar.name') }).getByRole('button', { name: text('viewer:action.tool_length') }).click();
  const box = await at.locator('.mrv-image').first().boundingBox();
  await at.mouse.move(box.x + box.width * 0.4, box.y + box.height * 0.4);
  await at.mouse.down();
  await at.mouse.move(box.x + box.width * 0.6, box.y + box.height * 0.55, { steps: 5 });
  await at.mouse.up();
  await until('a length in millimetres', async () => /\d+(\.\d+)? ?mm/.test(await at.locator('.mrv-image').first().innerText()));
}

async function write(at) {
  const findings = at.getByLabel(text('reader:section.findings'), { exact: true });
  await findings.click();
  await compose(at, '脑实质密度均匀，中线结构居中。');
  const impression = at.getByLabel(text('reader:section.impression'), { exact: true });
  await impression.click();
  await compose(at, IMPRESSION);
  assert.equal(await impression.inputValue(), IMPRESSION, 'nothing is doubled or swallowed');
}

/** Signs; gives when the last button was pressed. */
async function sign(at) {
  await at.keyboard.press('Control+Enter');
  const dialog = at.getByRole('dialog');
  await dialog.waitFor();
  await dialog.getByText(text('reader:critical.no'), { exact: true }).click();
  const seen = dialog.getByText(text('reader:sign.seen'));
  if ((await seen.count()) > 0) await seen.click();
  const pressed = Date.now();
  await dialog.locator('.ant-btn-primary').last().click();
  return pressed;
}

async function story(by, clinicSize, folder, number) {
  const started = await browser(by === 'webgl' ? GRAPHICS.software : GRAPHICS.none);
  try {
    const technician = await page(started);
    const sent = await upload(technician, folder);
    assert.ok(sent > 10 && sent <= filesBelow(folder).length, `${sent} images`);
    const reading = await page(started);
    // By itself the viewer does not draw with graphics that are only played by the CPU, as they are here.
    if (by === 'webgl') await reading.addInitScript(() => localStorage.setItem('medrelay.drawing', 'webgl'));
    await signIn(reading, relay, 'verifier');
    const id = await takeNext(reading);
    assert.equal(await reading.getByText(text('viewer:drawing.cpu')).count(), by === 'webgl' ? 0 : 1, `drawn by ${by}`);
    const reader = await relay.api('verifier');
    const detail = await scrollAndCheck(reading, reader, id);
    assert.equal(detail.study.instances, sent, 'it is the study that was sent, and whole');
    await measure(reading);
    await write(reading);

    const clinic = await page(started, clinicSize);
    await signIn(clinic, relay, 'doctor2');
    await clinic.goto(`${relay.url}/reports`);
    await clinic.getByRole('heading', { name: text('clinic:reports.title') }).waitFor();
    const cards = clinic.locator(`a[href="/reports/${id}"]`);
    assert.equal(await cards.count(), 0, 'nothing is there before it is signed');
    const pressed = await sign(reading);
    await cards.first().waitFor({ timeout: 20_000 });
    const seconds = (Date.now() - pressed) / 1000;
    console.log(`story ${number}: the report was at the clinic ${seconds.toFixed(1)} s after signing`);
    await cards.first().click();
    await clinic.getByText(IMPRESSION).waitFor();
    await clinic.getByRole('button', { name: text('clinic:report.acknowledge') }).click();
    await clinic.getByText(text('clinic:reports.acknowledged')).first().waitFor();
    await until('the case to be closed', async () => (await reader.get(`/api/v1/cases/${id}`)).case.stage === 'closed');
    assert.deepEqual([...technician.faults, ...reading.faults, ...clinic.faults], []);
  } finally {
    await started.close();
  }
}

test('the main job, drawn by WebGL', () => story('webgl', {}, studyFolder(scratch), 1));

test('the main job, without any WebGL, the clinic on a phone', () => {
  const folder = phantom(join(scratch, 'second'), '--modality', 'CT', '--slices', '12', '--seed', '77', '--patient-id', 'WEB2', '--body-part', 'HEAD');
  return story('cpu', { width: 390, height: 844, hasTouch: true, isMobile: true }, folder, 2);
});
