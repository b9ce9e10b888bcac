// One measurement in Chromium; prints its result as a line of JSON. Arguments: what to measure, settings as JSON.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect } from 'node:tls';

import { browser, filesBelow } from '../../web/harness.mjs';

const [what, text] = process.argv.slice(2);
const settings = JSON.parse(text);

/** Trust in one server's key. A browser that only overlooks a certificate keeps nothing in its cache. */
async function trust(url) {
  const { hostname, port } = new URL(url);
  const certificate = await new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate());
      socket.end();
    });
    socket.once('error', reject);
  });
  const key = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return `--ignore-certificate-errors-spki-list=${createHash('sha256').update(key).digest('base64')}`;
}

/** Where a viewer shows a study. */
function address({ viewer, url, studies }, which) {
  if (viewer === 'ohif') return `${url}/viewer?StudyInstanceUIDs=${studies[which].uid}`;
  return `${url}/${viewer === 'case' ? 'case' : 'viewer'}/${studies[which].case}`;
}

/** Somebody's session in the browser; its pages are not opened for it, so that its cache stays empty. */
async function signIn(context, { viewer, url, password }, login = 'verifier') {
  if (viewer === 'ohif') return;
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${url}/api/v1/sessions`, { method: 'POST', headers, body: JSON.stringify({ login, password, kind: 'browser' }) });
  if (!answer.ok) throw new Error(`signing in: ${answer.status}`);
  const cookies = answer.headers.getSetCookie().map((line) => {
    const [pair] = line.split(';');
    const at = pair.indexOf('=');
    return { name: pair.slice(0, at), value: pair.slice(at + 1), domain: new URL(url).hostname, path: '/', secure: true };
  });
  await context.addCookies(cookies);
}

/** Looks at every canvas again and again until one has a picture: many different greys in its middle. */
const watchPictures = () => {
  const look = () => {
    for (const canvas of document.querySelectorAll('canvas')) {
      if (canvas.width < 100 || canvas.height < 100) continue;
      const copy = document.createElement('canvas');
      copy.width = 32;
      copy.height = 32;
      const flat = copy.getContext('2d', { willReadFrequently: true });
      flat.drawImage(canvas, canvas.width * 0.25, canvas.height * 0.25, canvas.width * 0.5, canvas.height * 0.5, 0, 0, 32, 32);
      const bytes = flat.getImageData(0, 0, 32, 32).data;
      const greys = new Set();
      for (let at = 0; at < bytes.length; at += 4) if (bytes[at + 3] > 0) greys.add(bytes[at] >> 2);
      if (greys.size > 8) {
        globalThis.pictureAt ??= performance.now();
        return;
      }
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
};

async function timeToPicture(page, goTo, limit) {
  await page.goto(goTo, { waitUntil: 'commit', timeout: limit * 1000 });
  await page.waitForFunction(() => globalThis.pictureAt !== undefined, undefined, { timeout: limit * 1000, polling: 50 });
  return (await page.evaluate(() => globalThis.pictureAt)) / 1000;
}

async function counted(context, page) {
  const protocol = await context.newCDPSession(page);
  await protocol.send('Network.enable');
  const kinds = new Map();
  const sum = { kB: 0, scripts_kB: 0 };
  protocol.on('Network.responseReceived', ({ requestId, response }) => kinds.set(requestId, response.mimeType));
  protocol.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    sum.kB += encodedDataLength / 1000;
    if (/script|css|wasm|html/.test(kinds.get(requestId) ?? '')) sum.scripts_kB += encodedDataLength / 1000;
  });
  return { protocol, sum };
}

async function first(started) {
  const context = await started.newContext({ viewport: { width: 1366, height: 768 } });
  await signIn(context, settings);
  const page = await context.newPage();
  await page.addInitScript(watchPictures);
  const { sum } = await counted(context, page);
  const cold = await timeToPicture(page, address(settings, 0), settings.limit);
  const loaded = { ...sum };
  // Nothing of the first study is to be in the way of the second.
  await page.goto('about:blank');
  const warm = await timeToPicture(page, address(settings, 1), settings.limit);
  return { cold, warm, ...loaded };
}

/** Memory of the browser's largest process, which is the page's, in MB. */
function memory(pid) {
  let most = 0;
  const below = (parent) => {
    const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim().split(' ').filter(Boolean);
    for (const child of children) {
      try {
        const resident = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child}/status`, 'utf8'));
        const command = readFileSync(`/proc/${child}/cmdline`, 'utf8');
        if (resident && command.includes('--type=renderer')) most = Math.max(most, Number(resident[1]) / 1000);
        below(child);
      } catch {
        // It has ended in between.
      }
    }
  };
  below(pid);
  return most;
}

async function scroll(started) {
  const context = await started.newContext({ viewport: { width: 1366, height: 768 } });
  await signIn(context, settings);
  const page = await context.newPage();
  await page.addInitScript(watchPictures);
  let frames = 0;
  page.on('response', (response) => (frames += /\/frames\//.test(response.url()) ? 1 : 0));
  await timeToPicture(page, address(settings, 0), settings.limit);
  const end = Date.now() + settings.limit * 1000;
  while (frames < settings.slices && Date.now() < end) await page.waitForTimeout(250);
  await page.waitForTimeout(2000);
  const box = await page.locator('canvas').first().boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.evaluate(() => {
    globalThis.frameTimes = [];
    let last = performance.now();
    const count = (now) => {
      globalThis.frameTimes.push(now - last);
      last = now;
      globalThis.counting = requestAnimationFrame(count);
    };
    requestAnimationFrame(count);
  });
  const began = Date.now();
  while (Date.now() - began < 5000) {
    await page.mouse.wheel(0, 100);
    await page.waitForTimeout(16);
  }
  const times = await page.evaluate(() => {
    cancelAnimationFrame(globalThis.counting);
    return globalThis.frameTimes;
  });
  const whole = times.reduce((sum, one) => sum + one, 0);
  return { fps: (times.length * 1000) / whole, slowest_ms: Math.max(...times), memory_MB: memory(process.pid), frames_loaded: frames };
}

/** Drops a folder onto the page as the system's file manager does. */
async function dropOnto(context, page, folder) {
  const protocol = await context.newCDPSession(page);
  const { width, height } = page.viewportSize();
  const data = { items: [], files: [folder], dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop']) {
    await protocol.send('Input.dispatchDragEvent', { type, x: width / 2, y: height / 2, data });
  }
}

async function drop(started) {
  const context = await started.newContext({ viewport: { width: 1366, height: 768 } });
  await signIn(context, settings, 'tech2');
  const page = await context.newPage();
  await page.addInitScript(() => {
    globalThis.longest = 0;
    new PerformanceObserver((list) => {
      for (const task of list.getEntries()) globalThis.longest = Math.max(globalThis.longest, task.duration);
    }).observe({ type: 'longtask', buffered: true });
  });
  await page.goto(`${settings.url}/upload`);
  await page.getByTestId('folder').waitFor({ state: 'attached' });
  await page.waitForTimeout(1000);
  await page.evaluate(() => (globalThis.longest = 0));
  const began = Date.now();
  await dropOnto(context, page, settings.folder);
  const cards = (wanted) => document.querySelectorAll('article.study-card').length >= wanted;
  await page.waitForFunction(cards, settings.cards, { timeout: settings.limit * 1000, polling: 100 });
  const seconds = (Date.now() - began) / 1000;
  const longest = await page.evaluate(() => globalThis.longest);
  return { drop_cards_s: seconds, drop_longest_ms: longest, drop_memory_MB: memory(process.pid), drop_files: filesBelow(settings.folder).length };
}

const started = await browser(['--disable-gpu', await trust(settings.url)]);
try {
  console.log(JSON.stringify(await { first, scroll, drop }[what](started)));
} finally {
  await started.close();
}
