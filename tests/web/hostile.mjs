// Texts that would like to be more than text, and whether a page has let one of them.

/** What would run, or turn the direction of writing, if it were taken for anything but text. No `=` and no `^`: names of DICOM split there. */
const TAG = '<x-evil>';
const SCRIPT = '<script>struck++</script>';
const TURN = '\u202e';

/** The texts that were planted, by their marks. */
export class Plants {
  constructor() {
    this.all = new Map();
    this.seen = new Set();
  }

  /** A text with a mark of its own, at most so long. With `turns`, the direction of writing is turned and never turned back. */
  text(mark, { most = 90, turns = false, split = true } = {}) {
    const start = `${mark}${TAG}${split ? '<img src=x onerror=struck++>javascript:struck++' : ''}${SCRIPT}${turns ? `${TURN}txet` : ''}`;
    if (start.length > most) throw new Error(`${mark} is longer than ${most}`);
    const whole = most > 200 ? start + 'x'.repeat(most - start.length) : start;
    this.all.set(mark, whole);
    return whole;
  }

  get unseen() {
    return [...this.all.keys()].filter((mark) => !this.seen.has(mark));
  }
}

/** Gathers what a page does when one of the texts comes to life. */
export async function guard(at) {
  at.struck = [];
  await at.addInitScript(() => (globalThis.struck = 0));
  at.on('dialog', (dialog) => {
    at.struck.push(`a dialog: ${dialog.message().slice(0, 80)}`);
    void dialog.dismiss();
  });
  at.on('request', (request) => {
    const { hostname, pathname } = new URL(request.url());
    if (/\/x$/.test(pathname) || hostname.includes('evil')) at.struck.push(`a request: ${request.url().slice(0, 120)}`);
  });
}

/** What is wrong with a page that shows some of the texts; which of them it shows is noted. */
export async function judge(at, plants) {
  const found = await at.evaluate(([marks, tag, texts, turn]) => {
    const wrong = [];
    if (globalThis.struck !== 0) wrong.push(`a script ran: ${globalThis.struck}`);
    const alive = document.querySelectorAll('x-evil, img[src="x"], [onerror], [onload], iframe, object, embed, a[href^="javascript:" i], script:not([src])');
    for (const one of alive) wrong.push(`an element: ${one.outerHTML.slice(0, 160)}`);
    if (marks.some((mark) => document.title.includes(mark) || location.href.includes(mark))) wrong.push('a title or an address holds a text');
    const wide = document.documentElement.scrollWidth - window.innerWidth;
    if (wide > 1) {
      const widest = [...document.querySelectorAll('body *')].filter((one) => one.getBoundingClientRect().right > window.innerWidth + 1).slice(-3);
      wrong.push(`${wide} px wider than the window: ${widest.map((one) => one.outerHTML.slice(0, 120)).join(' | ')}`);
    }
    // Whatever follows a turned text in the same line of writing would be turned with it.
    const alone = (element) => {
      const { unicodeBidi, display, float, position } = getComputedStyle(element);
      return /isolate|plaintext/.test(unicodeBidi) || !/^(inline|contents)$/.test(display) || float !== 'none' || /absolute|fixed/.test(position);
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const flat = (text) => text.replace(/\s+/g, '');
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (!node.data.includes(turn) || node.parentElement.closest('textarea')) continue;
      let element = node.parentElement;
      while (!alone(element)) element = element.parentElement;
      const whole = flat(element.textContent);
      const rest = whole.slice(whole.indexOf(turn));
      if (!texts.some((text) => flat(text).includes(rest))) wrong.push(`text turned along: ${rest.slice(0, 60)} in ${element.outerHTML.slice(0, 160)}`);
    }
    const fields = [...document.querySelectorAll('input, textarea')].map((one) => one.value);
    const shown = [document.body.textContent, ...fields].join('\n');
    return { wrong, seen: marks.filter((mark) => shown.includes(mark + tag)) };
  }, [[...plants.all.keys()], TAG, [...plants.all.values()], TURN]);
  for (const mark of found.seen) plants.seen.add(mark);
  return [...new Set([...found.wrong, ...at.struck.splice(0), ...at.faults.splice(0)])];
}
