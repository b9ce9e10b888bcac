// Pictures of every page in both languages and two sizes, for people to look at. Argument: the folder for them.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { browser, page, Relay, signIn, until } from './harness.mjs';
import { addressesOf, furnish, LANGUAGES, LOGINS, nameOf, settled, SIZES } from './pages.mjs';
import { greys, shown } from './picture.mjs';
import { SCENES } from './scenes.mjs';

const folder = process.argv[2] ?? 'screenshots';
const only = process.argv.slice(3);
mkdirSync(folder, { recursive: true });
const scratch = mkdtempSync(join(tmpdir(), 'medrelay-scenes-'));
const relay = await Relay.start();
const started = await browser();
let count = 0;
try {
  const made = await furnish(relay);
  for (const login of [...LOGINS, 'tech2', 'doctor2'].filter((one) => only.length === 0 || only.includes(one))) {
    for (const language of LANGUAGES) {
      for (const [size, viewport] of Object.entries(SIZES)) {
        const at = await page(started, { ...viewport, locale: language === 'zh' ? 'zh-CN' : 'en-GB' });
        await at.addInitScript((chosen) => localStorage.setItem('medrelay.language', chosen), language);
        if (login === LOGINS[0]) {
          await at.goto(`${relay.url}/sign-in`);
          await settled(at);
          await at.screenshot({ path: join(folder, nameOf('nobody', '/sign-in', language, size)) });
        }
        await signIn(at, relay, login);
        // The second clinic's people have the pages of the first one's.
        for (const path of LOGINS.includes(login) ? await addressesOf(started, relay, login, made) : []) {
          await at.goto(relay.url + path);
          await settled(at);
          // The first picture comes a moment after the words around it.
          if (/^\/(case|viewer)\//.test(path)) await until(`a picture on ${path}`, async () => greys(await shown(at)) > 8).catch(console.error);
          await at.screenshot({ path: join(folder, nameOf(login, path, language, size)) });
          count += 1;
        }
        for (const [name, scene] of Object.entries(SCENES[login] ?? {})) {
          await scene(at, relay, language, scratch, made);
          await at.screenshot({ path: join(folder, nameOf(login, name, language, size)) });
          count += 1;
        }
        if (at.faults.length > 0) console.error(`${login} ${language} ${size}:\n  ${at.faults.join('\n  ')}`);
        await at.context().close();
      }
    }
  }
} finally {
  await started.close();
  await relay.stop();
  rmSync(scratch, { recursive: true, force: true });
}
console.log(`${count} pictures in ${folder}`);
