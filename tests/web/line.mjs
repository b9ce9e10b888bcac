// A line between a browser and a relay: of limited rate upwards, counted, and to be cut and closed for a while. Nothing of TCP is
// imitated: what is cut ends like a cable that is pulled out of the nearest socket.
import { connect, createServer } from 'node:net';

export class Line {
  /** Opens a line to a port of this machine. `rate` is in bytes a second. */
  static async open(port, rate = Infinity) {
    const line = new Line();
    Object.assign(line, { port, rate, closed: false, up: 0, free: 0, pairs: new Set() });
    line.server = createServer((browser) => line.carry(browser));
    await new Promise((resolve, reject) => {
      line.server.once('error', reject);
      line.server.listen(0, '127.0.0.1', resolve);
    });
    return line;
  }

  get url() {
    return `http://127.0.0.1:${this.server.address().port}`;
  }

  /** Ends every connection, and takes none for so long. */
  async cut(milliseconds) {
    this.closed = true;
    for (const pair of [...this.pairs]) pair.end();
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    this.closed = false;
  }

  async close() {
    this.closed = true;
    for (const pair of [...this.pairs]) pair.end();
    await new Promise((resolve) => this.server.close(resolve));
  }

  carry(browser) {
    if (this.closed) {
      browser.resetAndDestroy();
      return;
    }
    const relay = connect(this.port, '127.0.0.1');
    const pair = {
      end: () => {
        this.pairs.delete(pair);
        browser.resetAndDestroy();
        relay.resetAndDestroy();
      },
    };
    this.pairs.add(pair);
    // What counts is what the upload sends; pages and questions go by the same line.
    let link = null;
    browser.on('data', (piece) => {
      link ??= piece.subarray(0, 9).toString('latin1') === 'GET /link';
      if (link) this.up += piece.length;
      relay.write(piece);
      const wait = this.waiting(piece.length);
      if (wait <= 0) return;
      browser.pause();
      setTimeout(() => browser.resume(), wait);
    });
    relay.on('data', (piece) => {
      if (!browser.write(piece)) {
        relay.pause();
        browser.once('drain', () => relay.resume());
      }
    });
    for (const side of [browser, relay]) {
      side.on('error', () => undefined);
      side.on('close', pair.end);
    }
  }

  /** How long the line is busy with so many bytes, after what is on it already. */
  waiting(bytes) {
    if (this.rate === Infinity) return 0;
    const now = performance.now();
    this.free = Math.max(now, this.free) + (bytes / this.rate) * 1000;
    return this.free - now;
  }
}
