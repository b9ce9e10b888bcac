// The worker that holds the upload; hashing and packing are done by further workers of its own.
import { Engine } from './engine';
import { Pool } from './pool';
import type { Ask, Told } from './views';

const pool = new Pool(() => new Worker(new URL('./packing.worker.ts', import.meta.url), { type: 'module' }), navigator.hardwareConcurrency);
const engine = new Engine(pool, (told: Told, moved?: Transferable[]) => self.postMessage(told, { transfer: moved ?? [] }));

self.onmessage = (message: MessageEvent<Ask>) => engine.handle(message.data);
