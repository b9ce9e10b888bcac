// What the stories in the browser stand on: a relay with sample data of its own on free ports, Chromium, and somebody signed in.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

// The packages lie with the pages, not here.
const packages = createRequire(new URL('../../server/web/package.json', import.meta.url));
const { chromium } = packages('playwright-core');

export const AXE = packages.resolve('axe-core/axe.min.js');
export const PASSWORD = 'sample-data-only-2026';
const TOP = fileURLToPath(new URL('../../', import.meta.url));
const CHROMIUM = process.env.MEDRELAY_TEST_CHROMIUM ?? '/usr/bin/chromium';
const QUIET = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Flags for a machine without a graphics card, and for one that cannot even pretend to have one. */
export const GRAPHICS = { software: ['--disable-gpu'], none: ['--disable-gpu', '--disable-software-rasterizer'] };

/** The program under test. */
export function program(profile = process.env.MEDRELAY_TEST_PROFILE ?? 'debug') {
  const path = join(process.env.CARGO_TARGET_DIR ?? join(TOP, 'target'), profile, 'medrelay');
  if (!existsSync(path)) throw new Error(`${path} is missing: run \`make build\` first`);
  return path;
}

/** A port that nobody has at the moment. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Waits until a question has a true answer; says what was waited for when it never has. */
export async function until(what, question, seconds = 60) {
  const end = Date.now() + seconds * 1000;
  let last;
  while (Date.now() < end) {
    try {
      last = await question();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`waited ${seconds} s in vain for ${what}; last: ${last instanceof Error ? last.message : JSON.stringify(last)}`);
}

/** A relay with the sample data of `medrelay demo`, on ports of its own; it can be killed and started again. */
export class Relay {
  static async start(settings = '') {
    const relay = new Relay();
    relay.folder = mkdtempSync(join(tmpdir(), 'medrelay-web-'));
    relay.ports = { http: await freePort(), https: await freePort(), dimse: await freePort() };
    const { http, https, dimse } = relay.ports;
    const text = `[data]\ndir = "${join(relay.folder, 'data')}"\n[http]\nplain_listen = "127.0.0.1:${http}"\n[https]\nlisten = "127.0.0.1:${https}"\n[link]\nlisten = "127.0.0.1:${https}"\n[dimse]\nlisten = "127.0.0.1:${dimse}"\n${settings}`;
    writeFileSync(join(relay.folder, 'medrelay.toml'), text);
    await relay.resume();
    return relay;
  }

  get url() {
    return `http://127.0.0.1:${this.ports.http}`;
  }

  /** Starts the program, and waits until it says that it is ready. */
  async resume() {
    this.log = '';
    this.process = spawn(program(), ['--config', join(this.folder, 'medrelay.toml'), 'demo'], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.process.stdout, this.process.stderr]) stream.on('data', (piece) => (this.log += piece));
    this.ended = new Promise((resolve) => this.process.once('exit', resolve));
    await until('the relay to be ready', async () => {
      if (this.process.exitCode !== null) throw new Error(`the relay has stopped:\n${this.log}`);
      const seeded = existsSync(join(this.folder, 'data', 'sample-data-complete'));
      return seeded && (await fetch(`${this.url}/readyz`)).ok;
    }, 120);
  }

  async kill() {
    this.process.kill('SIGKILL');
    await this.ended;
  }

  async stop() {
    this.process.kill('SIGTERM');
    await this.ended;
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A client of the interface with somebody's session. */
  async api(login) {
    const call = async (method, path, body, token) => {
      const headers = { ...(body ? { 'content-type': 'application/json' } : {}), ...(token ? { authorization: `Bearer ${token}` } : {}) };
      const response = await fetch(this.url + path, { method, headers, body: body ? JSON.stringify(body) : undefined });
      const text = await response.text();
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
      return text === '' ? null : JSON.parse(text);
    };
    const { token } = await call('POST', '/api/v1/sessions', { login, password: PASSWORD, kind: 'program' });
    return {
      token,
      get: (path) => call('GET', path, undefined, token),
      post: (path, body = {}) => call('POST', path, body, token),
      put: (path, body) => call('PUT', path, body, token),
    };
  }
}

/** Writes a synthetic study into a folder. */
export function phantom(folder, ...options) {
  mkdirSync(folder, { recursive: true });
  const made = spawnSync(program(), ['phantom', ...options, folder], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(made.stderr);
  return folder;
}

/** The study that the upload is tried with: the one that the environment names, else a phantom. */
export function studyFolder(scratch) {
  const named = process.env.MEDRELAY_TEST_STUDY;
  return named && existsSync(named) ? named : phantom(join(scratch, 'study'), '--modality', 'CT', '--slices', '40');
}

/** Every file below a folder. */
export function filesBelow(folder) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)).sort();
}

/** A browser with an empty profile; pages fail the story when their scripts fail. */
export async function browser(graphics = GRAPHICS.software) {
  const started = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: [...QUIET, ...graphics] });
  return started;
}

/** A browser whose profile lies in a folder and outlives it, as a technician's does. */
export function profile(folder, { width = 1366, height = 768, locale = 'zh-CN' } = {}) {
  const args = [...QUIET, ...GRAPHICS.software];
  return chromium.launchPersistentContext(folder, { executablePath: CHROMIUM, headless: true, args, locale, viewport: { width, height } });
}

/** A page of a new profile. `faults` gathers what its scripts did wrong and what it asked of other hosts. */
export async function page(of, { width = 1366, height = 768, locale = 'zh-CN', ...more } = {}) {
  const context = await of.newContext({ viewport: { width, height }, locale, ignoreHTTPSErrors: true, ...more });
  const made = await context.newPage();
  watch(made);
  return made;
}

/** Gathers what goes wrong on a page. */
export function watch(made) {
  made.faults = [];
  made.on('pageerror', (error) => made.faults.push(`script: ${error.message}`));
  made.on('console', (message) => {
    // The browser itself tells of every refused request; those are answers, which the page shows.
    if (message.type() === 'error' && !/Failed to load resource|net::ERR_/.test(message.text())) made.faults.push(`console: ${message.text()}`);
  });
  made.on('request', (request) => {
    const url = new URL(request.url());
    if (!['blob:', 'data:'].includes(url.protocol) && url.hostname !== '127.0.0.1') made.faults.push(`another host: ${url.origin}`);
  });
  return made;
}

/** Signs in by the form, as a person does. */
export async function signIn(at, relay, login) {
  await at.goto(`${relay.url}/sign-in`);
  await at.locator('input[autocomplete="username"]').fill(login);
  await at.locator('input[autocomplete="current-password"]').fill(PASSWORD);
  await at.locator('button[type="submit"]').click();
  await at.waitForURL((url) => !url.pathname.startsWith('/sign-in'));
}

/** Serious findings of axe-core on a page, a line each. */
export async function accessibility(at) {
  await at.evaluate(readFileSync(AXE, 'utf8'));
  return at.evaluate(async () => {
    const found = await globalThis.axe.run(document, { resultTypes: ['violations'] });
    const serious = found.violations.filter((one) => one.impact === 'serious' || one.impact === 'critical');
    return serious.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(' | ')}`);
  });
}

/** What is wider than the window. */
export async function overflow(at) {
  return at.evaluate(() => {
    const extra = document.documentElement.scrollWidth - window.innerWidth;
    return extra > 1 ? [`the page is ${extra} px wider than the window`] : [];
  });
}

const texts = new Map();

/** A text of the pages as it stands in the Chinese (or another) file: `text('reader:queue.next')`. */
export function text(key, language = 'zh') {
  const [area, path] = key.split(':');
  const name = `${language}/${area}`;
  if (!texts.has(name)) texts.set(name, JSON.parse(readFileSync(join(TOP, `server/web/src/i18n/${name}.json`), 'utf8')));
  const found = path.split('.').reduce((level, part) => level?.[part], texts.get(name));
  if (typeof found !== 'string') throw new Error(`no text for ${key} in ${language}`);
  return found;
}
