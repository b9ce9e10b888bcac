// The queue with thousands of cases: it scrolls, its lines stand in the order of the relay, and the last one is reached by one key.
// MEDRELAY_TEST_CASES says how many, MEDRELAY_TEST_FPS how smooth it must be.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { browser, page, Relay, signIn, until } from './harness.mjs';

const CASES = Number(process.env.MEDRELAY_TEST_CASES ?? 2000);
/** On a machine that does other things beside, drawing by software. */
const LEAST_FPS = Number(process.env.MEDRELAY_TEST_FPS ?? 10);
const SCROLL_MS = 3000;

let relay;
let started;
let reader;

before(async () => {
  relay = await Relay.start();
  await relay.kill();
  const crowd = fileURLToPath(new URL('crowd.py', import.meta.url));
  const filled = spawnSync('python3', [crowd, join(relay.folder, 'data', 'medrelay.sqlite'), String(CASES)], { encoding: 'utf8' });
  assert.equal(filled.status, 0, filled.stderr);
  await relay.resume();
  reader = await relay.api('verifier');
  started = await browser();
});

after(async () => {
  await started?.close();
  await relay?.stop();
});

/** Scrolls with the wheel for a while; gives frames a second, the longest frame and the longest task. */
async function scroll(at) {
  const box = await at.locator('.queue-box').boundingBox();
  await at.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await at.evaluate(() => {
    const seen = { frames: [], tasks: [] };
    globalThis.seen = seen;
    new PerformanceObserver((list) => seen.tasks.push(...list.getEntries().map((entry) => entry.duration))).observe({ type: 'longtask' });
    const frame = (time) => {
      seen.frames.push(time);
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
  const end = Date.now() + SCROLL_MS;
  while (Date.now() < end) {
    await at.mouse.wheel(0, 400);
    await at.waitForTimeout(16);
  }
  return at.evaluate(() => {
    const { frames, tasks } = globalThis.seen;
    const gaps = frames.slice(1).map((time, place) => time - frames[place]);
    const seconds = (frames.at(-1) - frames[0]) / 1000;
    const moved = document.querySelector('.queue-box').scrollTop;
    return { fps: (frames.length - 1) / seconds, gap: Math.max(...gaps), task: Math.max(0, ...tasks), moved };
  });
}

/** Every line in sight is the one that the relay has in its place. */
async function inOrder(at) {
  return until('the lines in sight to be there', async () => {
    const seen = await at.evaluate(() => {
      const box = document.querySelector('.queue-box').getBoundingClientRect();
      const inside = [...document.querySelectorAll('.queue-row')].filter((row) => {
        const { top, bottom } = row.getBoundingClientRect();
        return top >= box.top + 30 && bottom <= box.bottom;
      });
      return inside.map((row) => ({ place: Number(row.getAttribute('aria-rowindex')) - 2, text: row.textContent }));
    });
    if (seen.length < 3 || seen.some((row) => row.text.trim() === '…')) return null;
    const first = Math.min(...seen.map((row) => row.place));
    const { items } = await reader.get(`/api/v1/queue?tab=ready&offset=${first}&limit=100`);
    const wrong = seen.filter((row) => !row.text.includes(items[row.place - first]?.accession));
    assert.deepEqual(wrong, [], `from ${first} on`);
    return seen.map((row) => row.place);
  });
}

test(`a queue of ${CASES} cases`, async () => {
  const { total } = await reader.get('/api/v1/queue?tab=ready&limit=1');
  assert.ok(total >= CASES);
  const at = await page(started);
  await signIn(at, relay, 'verifier');
  const opened = performance.now();
  await at.goto(`${relay.url}/queue`);
  await at.locator('.queue-row[data-place="0"]').waitFor({ timeout: 60_000 });
  const seconds = (performance.now() - opened) / 1000;
  await inOrder(at);
  const { fps, gap, task, moved } = await scroll(at);
  console.log(
    `queue: ${CASES} cases, first lines after ${seconds.toFixed(1)} s; over ${Math.round(moved / 38)} lines in ${SCROLL_MS / 1000} s: ` +
      `${fps.toFixed(0)} frames a second, longest frame ${gap.toFixed(0)} ms, longest task ${task.toFixed(0)} ms`,
  );
  assert.ok(moved > 2000, `it scrolled by ${moved} px`);
  await inOrder(at);
  assert.ok(fps >= LEAST_FPS, `${fps} frames a second`);

  const chosen = at.locator('.queue-row[tabindex="0"]');
  await at.locator('.queue-row[data-place]').first().focus();
  await at.keyboard.press('End');
  await at.locator(`.queue-row[data-place="${total - 1}"]`).waitFor({ timeout: 30_000 });
  await until('the last line to have the focus', () => at.evaluate((last) => document.activeElement?.getAttribute('data-place') === String(last), total - 1));
  assert.ok((await inOrder(at)).includes(total - 1), 'the last line is in sight');
  await at.keyboard.press('Home');
  await at.locator('.queue-row[data-place="0"]').waitFor({ timeout: 30_000 });
  await chosen.first().waitFor();
  assert.deepEqual(at.faults, []);
});
