// The viewer by itself: every modality, tools, planes, priors, a lost graphics context, two screens, keys, and the report after a crash.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { ecg } from './ecg.mjs';
import { browser, GRAPHICS, page, Relay, signIn, text, until, watch } from './harness.mjs';
import { alike, greys, shown } from './picture.mjs';
import { order } from './sending.mjs';

let relay;
let started;
let api;
let lines;
let scratch;
/** The browser that the reader is signed in with; a test takes a tab of it. */
let context;

before(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'medrelay-viewer-'));
  [relay, started] = await Promise.all([Relay.start(), browser()]);
  api = await relay.api('verifier');
  lines = (await api.get('/api/v1/cases?limit=100')).items;
  const first = await page(started);
  await signIn(first, relay, 'verifier');
  context = first.context();
});

after(async () => {
  await started?.close();
  await relay?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

const named = (part, modality) => {
  const found = lines.find((line) => line.case.modality === modality && (line.description ?? '').includes(part));
  assert.ok(found, `a sample case ${part} ${modality}`);
  return found;
};
const chest = () => lines.filter((line) => (line.description ?? '').includes('胸部CT')).sort((a, b) => b.study_date.localeCompare(a.study_date));

const reader = async () => watch(await context.newPage());

async function openCase(at, line) {
  await at.goto(`${relay.url}/case/${line.case.id}`);
  await until(`a picture of ${line.case.modality}`, async () => greys(await shown(at)) > 6);
}

/** Claims the case that is open, or goes on with one's own in this window. */
async function claim(at) {
  const words = new RegExp(`^(${text('reader:act.claim').split('').join('\\s?')}|${text('reader:claim.here')})$`);
  await at.getByRole('button', { name: words }).click();
  await at.getByLabel(text('reader:section.findings'), { exact: true }).waitFor();
}

const tool = (at, name) => at.getByRole('toolbar', { name: text('viewer:toolbar.name') }).getByRole('button', { name: text(`viewer:action.${name}`), exact: true });
const pane = (at, number = 0) => at.locator('.mrv-pane').nth(number);
const words = (at, number = 0) => pane(at, number).innerText();
const place = async (at, number = 0) => Number(/第 (\d+) \/ \d+ 幅/.exec(await words(at, number))?.[1]);

/** Drags over the first pane, in shares of its width and height. */
async function drag(at, from, to) {
  const box = await at.locator('.mrv-image').first().boundingBox();
  const point = ([x, y]) => [box.x + box.width * x, box.y + box.height * y];
  await at.mouse.move(...point(from));
  await at.mouse.down();
  await at.mouse.move(...point(to), { steps: 5 });
  await at.mouse.up();
  await at.waitForTimeout(150);
}

/** Gives the images the keys: away from every text. */
async function toImages(at) {
  const box = await at.locator('.mrv-image').first().boundingBox();
  await at.mouse.click(box.x + box.width / 2, box.y + box.height * 0.97);
}

test('MR, DX and ultrasound are shown, and a clip runs', async () => {
  const at = await reader();
  await openCase(at, named('颅脑MR', 'MR'));
  await openCase(at, named('胸部正位片', 'DX'));
  assert.ok(await tool(at, 'mpr_toggle').isDisabled(), 'there are no planes in a projection');
  await openCase(at, named('腹部彩超', 'US'));
  const coloured = await at.evaluate(() => {
    const canvas = document.querySelector('.mrv-image canvas');
    const copy = new OffscreenCanvas(200, 200).getContext('2d');
    copy.drawImage(canvas, 0, 0, 200, 200);
    const bytes = copy.getImageData(0, 0, 200, 200).data;
    let count = 0;
    for (let place = 0; place < bytes.length; place += 4) if (Math.abs(bytes[place] - bytes[place + 2]) > 60) count += 1;
    return count;
  });
  assert.ok(coloured > 50, `${coloured} dots are coloured`);
  await toImages(at);
  await at.keyboard.press('c');
  const places = new Set();
  await until('the clip to run', async () => places.add(await place(at)).size >= 4, 20);
  await at.keyboard.press('c');
  assert.deepEqual(at.faults, []);
  await at.close();
});

test('an ECG is drawn to scale, and measured with calipers', async () => {
  const technician = await page(started);
  await signIn(technician, relay, 'tech2');
  await technician.goto(`${relay.url}/upload`);
  const { study } = ecg(join(scratch, 'ecg'));
  await technician.getByTestId('folder').setInputFiles(join(scratch, 'ecg'));
  await order(technician, '胸闷，有无心律失常？');
  const line = await until('the case of the ECG', async () => (await api.get('/api/v1/cases?limit=100')).items.find((one) => one.study_uid === study), 60);
  await technician.context().close();
  const at = await reader();
  await at.goto(`${relay.url}/case/${line.case.id}`);
  const canvas = at.locator('.mrv-ecgpaper canvas');
  await canvas.waitFor({ timeout: 30_000 });
  await claim(at);
  const pixels = 96 / 25.4;
  const box = await canvas.boundingBox();
  // Twelve millimetres before, four after, ten seconds of 25 mm between.
  assert.ok(Math.abs(box.width - (12 + 250 + 4) * pixels) < 2, `${box.width} px wide`);
  await at.getByText(text('viewer:ecg.unchecked')).waitFor();
  // From beat to beat: 0.8 s, which is 20 mm of paper; they begin at 0.265 s.
  const beat = (number) => box.x + (12 + 25 * (0.265 + 0.8 * number)) * pixels;
  const row = box.y + 15 * pixels;
  await at.mouse.move(beat(0), row);
  await at.mouse.down();
  await at.mouse.move(beat(1), row, { steps: 6 });
  await at.mouse.up();
  const said = await until('the calipers to say something', async () => {
    const all = await at.locator('.mrv-ecg ul li').allInnerTexts();
    return all.find((one) => one.includes('bpm'));
  });
  const [, milliseconds, rate] = /(\d+) ms · (\d+) bpm/.exec(said).map(Number);
  assert.ok(Math.abs(milliseconds - 800) <= 12 && Math.abs(rate - 75) <= 1, said);
  assert.deepEqual(at.faults, []);
  await at.close();
});

test('tools measure, marks are saved and come back, planes open and close', async () => {
  const [now] = chest();
  const at = await reader();
  await openCase(at, now);
  await claim(at);
  assert.ok(/既往/.test(await words(at, 1)), 'the prior hangs beside it');
  const start = await place(at);
  const other = await place(at, 1);
  await toImages(at);
  for (let step = 0; step < 2; step += 1) await at.keyboard.press('ArrowDown');
  await until('the prior to go along', async () => (await place(at)) === start + 2 && (await place(at, 1)) > other);
  const draw = async (name, from, to) => {
    await tool(at, name).click();
    await drag(at, from, to);
  };
  await draw('tool_length', [0.15, 0.12], [0.45, 0.12]);
  await until('a length', async () => /\d ?mm/.test(await at.locator('.mrv-image').first().innerText()));
  await draw('tool_ellipse', [0.66, 0.42], [0.78, 0.5]);
  await until('the values of the region', async () => /HU/.test(await at.locator('.mrv-image').first().innerText()));
  await draw('tool_probe', [0.3, 0.5], [0.3, 0.5]);
  await until('the value of the probe', async () => ((await at.locator('.mrv-image').first().innerText()).match(/HU/g) ?? []).length >= 2);
  await draw('tool_arrow', [0.6, 0.85], [0.7, 0.8]);
  await at.getByRole('dialog').locator('input, textarea').first().fill('结节');
  await at.keyboard.press('Enter');
  await until('the words of the arrow', async () => (await at.locator('.mrv-image').first().innerText()).includes('结节'));
  await toImages(at);
  await at.keyboard.press('w');
  await at.keyboard.press('k');
  await at.keyboard.press('2');
  await until('the lung window in both', async () => /1500 \/ -600/.test(await words(at)) && /1500 \/ -600/.test(await words(at, 1)));
  const kept = await until('everything to be saved', async () => {
    const { body } = await api.get(`/api/v1/cases/${now.case.id}/annotations`);
    return body?.marks.length === 4 && body.keyImages.length === 1 && body.panes[0].window?.width === 1500 && body;
  }, 20);
  assert.deepEqual(kept.marks.map((mark) => mark.tool).sort(), ['ArrowAnnotate', 'EllipticalROI', 'Length', 'Probe']);
  await at.keyboard.press('x');
  await until('three planes', async () => (await at.locator('.mrv-pane canvas').count()) >= 3 && greys(await shown(at, 1)) > 4 && greys(await shown(at, 2)) > 4);
  assert.match(await words(at, 1), new RegExp(text('viewer:plane.coronal')));
  await at.keyboard.press('x');
  await until('the layout of before', async () => (await at.locator('.mrv-pane').count()) === 2 && /既往/.test(await words(at, 1)) && (await place(at)) === start + 2);
  await at.reload();
  await until('the marks to be back', async () => /结节/.test(await at.locator('.mrv-image').first().innerText()) && (await place(at)) === start + 2 && /1500 \/ -600/.test(await words(at)));
  assert.deepEqual(at.faults, []);
  await at.close();
});

test('what was made later is no prior', async () => {
  const [, before_] = chest();
  const at = await reader();
  await openCase(at, before_);
  assert.equal(await at.locator('.mrv-pane').count(), 1);
  await at.getByRole('navigation', { name: text('viewer:rail.name') }).getByText(text('viewer:overlay.later')).waitFor();
  await at.getByRole('tab', { name: text('reader:pane.priors') }).click();
  await at.getByText(text('reader:priors.later')).waitFor();
  assert.deepEqual(at.faults, []);
  await at.close();
});

test('a lost graphics context keeps picture, window and place', async () => {
  const software = await browser([...GRAPHICS.software, '--enable-unsafe-swiftshader']);
  try {
    const at = await page(software);
    await at.addInitScript(() => {
      localStorage.setItem('medrelay.drawing', 'webgl');
      globalThis.contexts = [];
      for (const kind of [HTMLCanvasElement, globalThis.OffscreenCanvas].filter(Boolean)) {
        const get = kind.prototype.getContext;
        kind.prototype.getContext = function (name, ...more) {
          const made = get.call(this, name, ...more);
          if (made && /^webgl/.test(name) && !globalThis.contexts.includes(made)) globalThis.contexts.push(made);
          return made;
        };
      }
    });
    await signIn(at, relay, 'verifier');
    await openCase(at, named('颅脑CT', 'CT'));
    assert.equal(await at.getByText(text('viewer:drawing.cpu'), { exact: true }).count(), 0, 'WebGL draws');
    await toImages(at);
    await at.keyboard.press('3');
    await at.keyboard.press('ArrowDown');
    await at.keyboard.press('h');
    await until('the bone window', async () => /2000 \/ 400/.test(await words(at)));
    await at.waitForTimeout(500);
    const [picture, where] = [await shown(at), await place(at)];
    const lost = await at.evaluate(() => globalThis.contexts.filter((one) => one.getExtension('WEBGL_lose_context')).map((one) => one.getExtension('WEBGL_lose_context').loseContext()).length);
    assert.ok(lost > 0, 'there was a context to lose');
    await at.getByText(text('viewer:drawing.cpu'), { exact: true }).waitFor();
    await until('the same picture by the processor', async () => alike(await shown(at), picture) > 0.95, 10);
    assert.equal(await place(at), where);
    assert.match(await words(at), /2000 \/ 400/);
    await at.keyboard.press('ArrowDown');
    await until('scrolling to go on', async () => (await place(at)) === where + 1);
    assert.deepEqual(at.faults.filter((fault) => !/webgl|context/i.test(fault)), []);
  } finally {
    await software.close();
  }
});

test('without any WebGL the processor draws planes, too', async () => {
  const plain = await browser(GRAPHICS.none);
  try {
    const at = await page(plain);
    await signIn(at, relay, 'verifier');
    await openCase(at, named('颅脑CT', 'CT'));
    await at.getByText(text('viewer:drawing.cpu'), { exact: true }).waitFor();
    await toImages(at);
    await at.keyboard.press('x');
    await until('three planes', async () => greys(await shown(at, 1)) > 4 && greys(await shown(at, 2)) > 4);
    assert.deepEqual(at.faults, []);
  } finally {
    await plain.close();
  }
});

test('two screens show one case, and what is marked on the second is saved', async () => {
  const line = named('颅脑MR', 'MR');
  const at = await reader();
  await openCase(at, line);
  await claim(at);
  const [second] = await Promise.all([at.context().waitForEvent('page'), at.getByRole('button', { name: text('viewer:toolbar.second') }).click()]);
  await until('a picture on the second screen', async () => greys(await shown(second)) > 6);
  await at.getByText(text('viewer:second.away')).waitFor();
  await toImages(second);
  await second.keyboard.press('d');
  await drag(second, [0.35, 0.45], [0.6, 0.55]);
  await until('the length to be saved', async () => (await api.get(`/api/v1/cases/${line.case.id}/annotations`)).body?.marks.some((mark) => mark.tool === 'Length'), 20);
  await second.close();
  await until('the images to be back beside the report, with the length', async () => /\d ?mm/.test(await at.locator('.mrv-image').first().innerText()));
  assert.deepEqual(at.faults, []);
  await at.close();
});

test('keys are changed on their sheet, and the report comes back after a crash', async () => {
  // In hand since the tools were tried; more than three cases at once are refused.
  const [line] = chest();
  const at = await reader();
  await openCase(at, line);
  await claim(at);
  await toImages(at);
  await at.keyboard.press('F1');
  const sheet = at.getByRole('dialog');
  const inverting = sheet.getByRole('button', { name: new RegExp(`^${text('viewer:action.invert')}`) });
  await inverting.click();
  await at.keyboard.press('y');
  await until('the new key', async () => (await inverting.innerText()) === 'y');
  await at.keyboard.press('Escape');
  await sheet.waitFor({ state: 'hidden' });
  await toImages(at);
  await at.keyboard.press('y');
  await until('the image to be inverted', async () => (await tool(at, 'invert').getAttribute('aria-pressed')) === 'true');
  const findings = at.getByLabel(text('reader:section.findings'), { exact: true });
  await findings.fill('脑实质密度正常。');
  // Sooner than it is saved at the relay.
  await at.waitForTimeout(400);
  const protocol = await at.context().newCDPSession(at);
  protocol.send('Page.crash').catch(() => undefined);
  await at.waitForEvent('crash');
  const again = await at.context().newPage();
  await again.goto(`${relay.url}/case/${line.case.id}`);
  await claim(again);
  await until('the words of before', async () => (await again.getByLabel(text('reader:section.findings'), { exact: true }).inputValue()) === '脑实质密度正常。');
  await again.close();
});
