// Names, descriptions, orders, reports, templates, papers and messages that carry script, marks that turn the direction of writing, and
// as many characters as the relay takes: every page that shows them shows text.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { rewrite } from './dicom.mjs';
import { browser, filesBelow, page, phantom, Relay, signIn, text, until } from './harness.mjs';
import { guard, judge, Plants } from './hostile.mjs';
import { addressesOf, settled, SIZES } from './pages.mjs';
import { order, studyAt } from './sending.mjs';

const PNG = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
/** Everybody at a desk; on a phone those who use one. */
const VISITS = ['tech2', 'doctor2', 'reporter', 'verifier', 'coordinator', 'admin', 'auditor'].map((login) => [login, 'desk']).concat([['tech2', 'phone'], ['doctor2', 'phone'], ['verifier', 'phone'], ['coordinator', 'phone']]);

/** Pages that the menu does not always name. */
const BEHIND = {
  coordinator: ['/chase', '/assign', '/unmatched', '/quarantine', '/statistics', '/templates'],
  admin: ['/organizations', '/agreements', '/people', '/clinics', '/gateways', '/devices', '/templates', '/calendar', '/health', '/audit'],
};

const plants = new Plants();
const made = {};
let relay;
let started;
let scratch;

before(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'medrelay-hostile-'));
  relay = await Relay.start();
  started = await browser();
});

after(async () => {
  await started?.close();
  await relay?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

/** A study whose texts are hostile; `kind` is a letter for its marks. */
function study(kind, uid) {
  const folder = phantom(join(scratch, kind), '--modality', 'CT', '--slices', '2', '--rows', '64', '--columns', '64', '--seed', String(uid), '--study-uid', `2.25.${uid}`, '--patient-id', `HOSTILE${kind}`);
  rewrite(folder, [
    [0x0010_0010, 'PN', plants.text(`P${kind}0`, { turns: true, split: false, most: 64 })],
    [0x0008_1030, 'LO', plants.text(`D${kind}0`, { turns: true, most: 110 })],
    [0x0008_103e, 'LO', plants.text(`S${kind}0`, { turns: true, most: 110 })],
  ]);
  for (const [place, path] of filesBelow(folder).entries()) renameSync(path, join(folder, `F${kind}${place}<img src=x onerror=struck++>\u202e.dcm`));
  return folder;
}

/** What administrators write: organizations, people, texts for reports, devices. */
async function furnish() {
  const admin = await relay.api('admin');
  const { items: places } = await admin.get('/api/v1/organizations?limit=50');
  const hospital = places.find((one) => one.kind === 'lead_hospital');
  const clinic = places.find((one) => one.name.startsWith('白河'));
  const { version } = await admin.get(`/api/v1/organizations/${clinic.id}`);
  const patch = (path, body) => send(admin, 'PATCH', path, body);
  await patch(`/api/v1/organizations/${clinic.id}`, { version, name: plants.text('OR0') });
  await assert.rejects(patch(`/api/v1/organizations/${clinic.id}`, { version: version + 1, name: 'turned \u202e round' }), /422/);
  const { items: people } = await admin.get('/api/v1/people?limit=50');
  for (const [login, mark] of [['tech2', 'PE0'], ['verifier', 'PE1'], ['reporter', 'PE2']]) {
    const person = people.find((one) => one.login === login);
    await patch(`/api/v1/people/${person.id}`, { version: person.version, name: plants.text(mark) });
  }
  for (const [kind, mark] of [['template', 'TA'], ['phrase', 'TB']]) {
    const findings = plants.text(`${mark}1`, { most: 20_000, turns: true });
    await admin.post('/api/v1/templates', { organization: hospital.id, own: false, kind, name: plants.text(`${mark}0`), shortcut: mark, modality: 'CT', findings });
  }
  await admin.post('/api/v1/devices', { clinic: clinic.id, name: plants.text('DE0'), ae_title: '<B>X' });
  await admin.post(`/api/v1/clinics/${clinic.id}/join-codes`, { name: plants.text('JC0'), minutes: 60 });
  made.hospital = hospital.id;
}

async function send(api, method, path, body, type = 'application/json') {
  const answer = await fetch(relay.url + path, { method, headers: { 'content-type': type, authorization: `Bearer ${api.token}` }, body: type === 'application/json' ? JSON.stringify(body) : body });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
}

/** Uploads a study by the pages, which show it on its way. */
async function upload(at, kind, uid) {
  const folder = study(kind, uid);
  await at.getByTestId('folder').setInputFiles(folder);
  await at.locator('form.order-form').first().waitFor();
  await settled(at);
  const problems = await judge(at, plants);
  await order(at, plants.text(`Q${kind}0`, { most: 300, turns: true }), plants.text(`H${kind}0`, { most: kind === 'B' ? 9_900 : 300, turns: true }));
  const technician = await relay.api('tech2');
  const found = await until(`study ${kind} at the relay`, async () => {
    const one = await studyAt(technician, `2.25.${uid}`);
    return one?.stage === 'complete' && one;
  });
  await settled(at);
  problems.push(...(await judge(at, plants)));
  const written = (await technician.get('/api/v1/orders?limit=50')).items.find((one) => one.study_uid === found.uid);
  const name = encodeURIComponent(plants.text(`A${kind}0`, { split: false }).replaceAll('/', ':'));
  await send(technician, 'POST', `/api/v1/orders/${written.id}/attachments?name=${name}.png`, PNG, 'image/png');
  const { items } = await technician.get('/api/v1/cases?limit=50');
  made[kind] = items.find((line) => line.study_uid === `2.25.${uid}`)?.case.id;
  assert.ok(made[kind], `the case of study ${kind}`);
  return problems;
}

/** One case is signed, with a critical finding and talk; one returned; one has a text in work; one waits. */
async function read() {
  const verifier = await relay.api('verifier');
  const claim = async (api, id) => {
    const { token, fence } = await api.post(`/api/v1/cases/${id}/claim`);
    return { token, fence };
  };
  const report = (mark) => ({ findings: plants.text(`${mark}1`, { most: 5_000, turns: true }), impression: plants.text(`${mark}2`, { turns: true, most: 100 }), recommendation: plants.text(`${mark}3`, { turns: true, most: 100 }) });
  const signing = await claim(verifier, made.A);
  await verifier.post(`/api/v1/cases/${made.A}/findings`, { code: 'OTHER', text: plants.text('CF0', { most: 1_000, turns: true }) });
  await verifier.post(`/api/v1/cases/${made.A}/messages`, { kind: 'discussion', text: plants.text('ME0', { most: 2_000, turns: true }) });
  await verifier.post(`/api/v1/cases/${made.A}/sign`, { proof: signing, text: report('RA') });
  await verifier.post(`/api/v1/cases/${made.C}/return`, { proof: await claim(verifier, made.C), code: 'POSITIONING', text: plants.text('RT0', { most: 2_000, turns: true }) });
  await verifier.put(`/api/v1/cases/${made.B}/draft`, { proof: await claim(verifier, made.B), text: report('RB') });
}

/** A text in work, with the texts that it may be made from, and the codes of a clinic: what is only there once it is asked for. */
const DEEPER = {
  async verifier(at) {
    await at.goto(`${relay.url}/case/${made.B}`);
    await at.getByRole('button', { name: text('reader:claim.here') }).click();
    const findings = at.getByLabel(text('reader:section.findings'), { exact: true });
    await findings.waitFor();
    const problems = await judge(at, plants);
    await findings.press('Control+End');
    await findings.pressSequentially(' #TB');
    await at.getByRole('listbox').getByRole('option').first().waitFor();
    return [...problems, ...(await judge(at, plants))];
  },
  async admin(at) {
    await at.goto(`${relay.url}/templates`);
    await at.getByText(text('admin:templates.kind.phrase'), { exact: true }).click();
    await settled(at);
    const problems = await judge(at, plants);
    await at.goto(`${relay.url}/clinics`);
    await settled(at);
    const codes = at.getByRole('button', { name: text('admin:clinics.codes') });
    for (let place = 0; place < (await codes.count()) && !plants.seen.has('JC0'); place += 1) {
      await codes.nth(place).click();
      await settled(at);
      problems.push(...(await judge(at, plants)));
      await at.keyboard.press('Escape');
      await settled(at);
    }
    return problems;
  },
};

/** Opens what a page keeps folded: its tabs, one after the other, and its folds; what each shows is judged. */
async function unfold(at) {
  const problems = await judge(at, plants);
  for (const fold of await at.locator('.ant-collapse-header[aria-expanded="false"]').all()) await fold.click();
  const tabs = at.locator('main [role="tab"][aria-selected="false"]:not([aria-disabled="true"])');
  const names = await tabs.allInnerTexts();
  for (const name of names) {
    await at.locator('main [role="tab"]', { hasText: name }).first().click();
    await settled(at);
    problems.push(...(await judge(at, plants)));
  }
  return problems;
}

test('files with hostile names and texts, on the way up', async () => {
  await furnish();
  const at = await page(started);
  await guard(at);
  await signIn(at, relay, 'tech2');
  await at.goto(`${relay.url}/upload`);
  // Files that are no images are named, too, and a study may carry more than the relay takes.
  const odd = join(scratch, 'odd');
  mkdirSync(odd);
  const name = `${plants.text('FN0', { split: false }).replaceAll('/', ':')}\u202etxt.pdf`;
  plants.all.set('FN0', name);
  writeFileSync(join(odd, name), 'not an image');
  rewrite(phantom(join(odd, 'long'), '--modality', 'CT', '--slices', '1', '--rows', '64', '--columns', '64', '--seed', '9', '--patient-id', 'LONG'), [
    [0x0010_0010, 'PN', plants.text('PL0', { most: 10_000, turns: true, split: false })],
    [0x0008_1030, 'LO', plants.text('DL0', { most: 10_000, turns: true })],
  ]);
  await at.getByTestId('folder').setInputFiles(odd);
  await at.locator('article.study-card').first().waitFor();
  for (const fold of await at.locator('.ant-collapse-header').all()) await fold.click();
  await settled(at);
  const problems = await judge(at, plants);
  await at.getByRole('button', { name: text('technician:study.discard') }).first().click();
  for (const [kind, uid] of [['A', 501], ['B', 502], ['C', 503], ['E', 504]]) problems.push(...(await upload(at, kind, uid)));
  assert.deepEqual([...new Set(problems)], []);
});

test('hostile texts of those who read', read);

for (const [login, size] of VISITS) {
  test(`hostile texts before ${login}, ${size}`, async () => {
    const addresses = [...(await addressesOf(started, relay, login, { critical: made.A, returned: made.C, open: made.B }))];
    const at = await page(started, SIZES[size]);
    await guard(at);
    await signIn(at, relay, login);
    const problems = [];
    const more = { tech2: 'reports', doctor2: 'reports', coordinator: 'case', verifier: 'case' }[login];
    addresses.push(...(BEHIND[login] ?? []));
    if (more) addresses.push(...['A', 'B', 'C', 'E'].map((kind) => `/${more}/${made[kind]}`));
    for (const path of new Set(addresses)) {
      await at.goto(relay.url + path);
      await settled(at);
      problems.push(...(await (Object.values(made).some((id) => path.includes(id)) ? unfold(at) : judge(at, plants))).map((one) => `${path.replace(/[0-9a-f-]{36}/, 'one')}: ${one}`));
    }
    if (size === 'desk' && DEEPER[login]) problems.push(...(await DEEPER[login](at)));
    await at.context().close();
    assert.deepEqual(problems, []);
  });
}

test('an address that would lead elsewhere', async () => {
  const at = await page(started);
  await guard(at);
  for (const back of ['javascript:struck++', '//evil.invalid/', '/\\evil.invalid/', 'https://evil.invalid/']) {
    await at.goto(`${relay.url}/sign-in?back=${encodeURIComponent(back)}`);
    await at.locator('input[autocomplete="username"]').fill('auditor');
    await at.locator('input[autocomplete="current-password"]').fill('sample-data-only-2026');
    await at.locator('button[type="submit"]').click();
    await at.waitForURL((url) => url.pathname !== '/sign-in');
    await settled(at);
    assert.equal(new URL(at.url()).origin, relay.url);
    assert.deepEqual(await judge(at, plants), []);
    await at.context().clearCookies();
  }
});

test('every hostile text was seen as text', () => {
  console.log(`injection: ${plants.all.size} texts, ${plants.seen.size} seen on the pages`);
  assert.deepEqual(plants.unseen, [], 'texts that no page showed');
});
