// What pages look like in the middle of somebody's work, which no address leads to.
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';

import { phantom, text, until } from './harness.mjs';
import { settled } from './pages.mjs';
import { greys, shown } from './picture.mjs';

/** A technician has chosen the folder of a study and looks at its card and the request beside it. */
export async function uploading(at, relay, language, scratch) {
  const folder = phantom(mkdtempSync(join(scratch, 'study-')), '--modality', 'CT', '--slices', '40', '--seed', '4711', '--patient-id', 'QS20261', '--body-part', 'CHEST');
  await at.goto(`${relay.url}/upload`);
  await at.getByTestId('folder').setInputFiles(folder);
  const form = at.locator('form.order-form').first();
  await form.waitFor();
  await form.getByLabel(text('technician:order.question', language)).fill('咳嗽两周，痰中带血，有无占位？');
  await settled(at);
}

/** A reader has taken a case, measures and writes. */
export async function writing(at, relay, language, _scratch, made) {
  await at.goto(`${relay.url}/case/${made.writing}`);
  // The first time it is claimed, later it is taken over from the window before.
  const names = ['reader:act.claim', 'reader:claim.here'].map((key) => [...text(key, language)].join('\\s?'));
  const claim = at.getByRole('button', { name: new RegExp(`^(${names.join('|')})$`) });
  await claim.first().click();
  await settled(at);
  await until('a picture', async () => greys(await shown(at)) > 8);
  const findings = at.getByLabel(text('reader:section.findings', language), { exact: true });
  if (await findings.isVisible()) {
    await findings.fill('双侧大脑半球对称，脑实质信号未见异常，脑室、脑池形态正常，中线结构居中。');
    await at.getByLabel(text('reader:section.impression', language), { exact: true }).fill('颅脑MR平扫未见明显异常。');
  }
  await settled(at);
}

/** A clinic's doctor looks through the images of a case. */
export async function looking(at, relay, language, _scratch, made) {
  await at.goto(`${relay.url}/reports/${made.signed}`);
  await at.getByRole('tab', { name: text('clinic:case.images', language) }).click();
  await until('an image', () => at.locator('.clinic-images img').first().evaluate((image) => image.complete && image.naturalWidth > 50).catch(() => false));
  await settled(at);
}

export const SCENES = { tech2: { uploading }, verifier: { writing }, doctor2: { looking } };
