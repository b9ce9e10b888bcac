// Every page of every role, in both languages, at a desk's and a phone's size: no script fails, nothing is asked of another host, no
// text is missing, nothing is wider than the window, and axe-core has no serious finding.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { accessibility, browser, overflow, page, Relay, signIn } from './harness.mjs';
import { addressesOf, furnish, LANGUAGES, LOGINS, settled, SIZES } from './pages.mjs';

let relay;
let started;
let made;

before(async () => {
  relay = await Relay.start();
  started = await browser();
  made = await furnish(relay);
});

after(async () => {
  await started?.close();
  await relay?.stop();
});

/** Keys of texts that were not found stand on the page as they are: `reader:queue.title`. */
function missingTexts(text) {
  return text.match(/\b(common|shared|account|admin|clinic|reader|technician|viewer):[a-zA-Z]+(\.[a-zA-Z0-9_]+)+/g) ?? [];
}

async function look(at, path, problems, where, thorough = true) {
  await at.goto(relay.url + path);
  await settled(at);
  const found = [
    ...missingTexts(await at.locator('body').innerText()).map((key) => `no text for ${key}`),
    ...(await overflow(at)),
    // The same page in another language has the same structure.
    ...(thorough ? await accessibility(at) : []),
    ...at.faults.splice(0),
  ];
  if ((await at.title()) === '') found.push('the page has no title');
  problems.push(...found.map((one) => `${where} ${path}: ${one}`));
}

for (const login of LOGINS) {
  for (const [size, viewport] of Object.entries(SIZES)) {
    test(`pages of ${login}, ${size}`, async () => {
      const problems = [];
      // A phone's width is tried with the longer words.
      for (const language of size === 'phone' ? ['en'] : LANGUAGES) {
        const at = await page(started, { ...viewport, locale: language === 'zh' ? 'zh-CN' : 'en-GB' });
        await at.addInitScript((chosen) => localStorage.setItem('medrelay.language', chosen), language);
        await signIn(at, relay, login);
        const addresses = await addressesOf(started, relay, login, made);
        assert.ok(addresses.length >= 2, `${login} reaches ${addresses}`);
        for (const path of addresses) await look(at, path, problems, `${login} ${language} ${size}`, language === 'en');
        await at.context().close();
      }
      assert.deepEqual(problems, []);
    });
  }
}

test('whoever is not signed in sees the page for it', async () => {
  const problems = [];
  for (const [size, viewport] of Object.entries(SIZES)) {
    const at = await page(started, viewport);
    for (const path of ['/sign-in', '/queue', '/invite', '/setup', '/nowhere']) await look(at, path, problems, `nobody ${size}`);
    await at.context().close();
  }
  assert.deepEqual(problems, []);
});
