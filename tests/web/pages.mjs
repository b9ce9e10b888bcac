// Every page of the browser side, found as people find it: by the menu of each role, and one of each kind of thing behind it.
import { page, signIn } from './harness.mjs';

export const LOGINS = ['tech1', 'doctor1', 'reporter', 'verifier', 'coordinator', 'admin', 'auditor'];
export const SIZES = { desk: { width: 1366, height: 768 }, phone: { width: 390, height: 844 } };
export const LANGUAGES = ['zh', 'en'];

/** Gives the relay something of everything: a signed report, a returned case, a critical finding, a question. */
export async function furnish(relay) {
  const verifier = await relay.api('verifier');
  const cases = (await verifier.get('/api/v1/cases?limit=50')).items;
  // The second clinic's agreement lets a verifier sign alone.
  const alone = cases.filter((line) => line.case.policy === 'single_senior' && line.case.stage === 'ready');
  const others = cases.filter((line) => line.case.stage === 'ready' && !alone.includes(line));
  const made = {};
  const claim = async (line) => {
    const { token, fence } = await verifier.post(`/api/v1/cases/${line.case.id}/claim`);
    return { token, fence };
  };
  const [head, brain] = ['CT', 'MR'].map((modality) => alone.find((line) => line.case.modality === modality));
  if (head) {
    const text = { findings: '脑实质密度均匀，脑室、脑池形态正常，中线结构居中，颅骨未见骨折。', impression: '颅脑CT平扫未见明显异常。', recommendation: '' };
    await verifier.post(`/api/v1/cases/${head.case.id}/sign`, { proof: await claim(head), text });
    made.signed = head.case.id;
  }
  if (others[0]) {
    const proof = await claim(others[0]);
    await verifier.post(`/api/v1/cases/${others[0].case.id}/findings`, { code: 'TENSION_PNEUMOTHORAX', text: '左侧大量气胸，纵隔向右移位，请立即处理。' });
    await verifier.post(`/api/v1/cases/${others[0].case.id}/messages`, { kind: 'discussion', text: '患者目前血氧多少？有无胸闷加重？' });
    await verifier.post(`/api/v1/cases/${others[0].case.id}/release`, { ...proof, reason: '' });
    made.critical = others[0].case.id;
  }
  if (others[1]) {
    const proof = await claim(others[1]);
    await verifier.post(`/api/v1/cases/${others[1].case.id}/return`, { proof, code: 'POSITIONING', text: '肩部未包全，请重拍。' });
    made.returned = others[1].case.id;
  }
  made.writing = brain?.case.id;
  const open = (await verifier.get('/api/v1/cases?limit=50')).items.find((line) => line.case.stage === 'ready' && line.case.id !== made.writing);
  made.open = open?.case.id;
  return made;
}

const reached = new Map();

/** The addresses of every page that somebody can reach: the menu of a wide screen, and one of each kind of thing. */
export async function addressesOf(started, relay, login, made) {
  if (!reached.has(login)) reached.set(login, await explore(started, relay, login, made));
  return reached.get(login);
}

async function explore(started, relay, login, made) {
  const at = await page(started, SIZES.desk);
  await signIn(at, relay, login);
  await at.locator('nav a[href^="/"]').first().waitFor();
  // Lines of a group are made when it is opened.
  const groups = at.locator('nav .ant-menu-submenu-title:not([aria-disabled="true"])');
  for (let place = 0; place < (await groups.count()); place += 1) {
    await groups.nth(place).hover();
    await at.waitForTimeout(500);
  }
  const found = await at.evaluate(() => [...document.querySelectorAll('a[href^="/"]')].map((link) => link.getAttribute('href')));
  await at.context().close();
  const addresses = new Set(found.filter((path) => !/^\/(api|dicomweb)\//.test(path) && !path.includes('#')));
  addresses.add('/account');
  if (['tech1', 'doctor1'].includes(login)) {
    for (const id of [made.critical, made.returned]) if (id) addresses.add(`/reports/${id}`);
  }
  if (['reporter', 'verifier'].includes(login) && made.open) {
    addresses.add(`/case/${made.open}`);
    addresses.add(`/viewer/${made.open}`);
  }
  return [...addresses].sort();
}

/** Waits until a page no longer changes and waits for nothing: its live streams never end, so not for silence on the line. */
export async function settled(at) {
  await at.waitForLoadState('domcontentloaded');
  let before = null;
  let same = 0;
  for (let turn = 0; turn < 40 && same < 3; turn += 1) {
    await at.waitForTimeout(100);
    const now = await at.evaluate(() => (document.querySelector('.ant-spin-spinning, .ant-skeleton') ? null : document.body.innerText)).catch(() => null);
    same = now !== null && now !== '' && now === before ? same + 1 : 0;
    before = now;
  }
}

/** A name for a picture of an address, without what differs from run to run. */
export function nameOf(login, path, language, size) {
  const plain = path.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'one').replace(/[^a-z0-9]+/gi, '-').replace(/^-|-$/g, '');
  return `${login}-${plain || 'start'}-${language}-${size}.png`;
}
